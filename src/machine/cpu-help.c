/* SPDX-License-Identifier: MIT */
/* -cpu help: what this host's KVM offers. */
#include "tessera/machine/config.h"

#include "options-internal.h"
#include "tessera/accel/kvm/kvm.h"
#include "tessera/accel/kvm/vcpu.h"
#include "tessera/hw/i386/pc-map.h"

bool options_print_cpu_help(GError **error)
{
    const KvmConfig config = {
        .identity_map_base = PC_IDENTITY_MAP_BASE,
        .tss_base = PC_TSS_BASE,
        .irqchip = true, /* some features are its */
    };
    Kvm *kvm = kvm_new(&config, error);
    g_autoptr(GString) text = g_string_new(NULL);

    if (!kvm) {
        return false;
    }
    cpu_model_print_features(kvm, text);
    kvm_free(kvm);
    return options_answer(text->str, error) == OPTIONS_DONE;
}
