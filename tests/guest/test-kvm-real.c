/* SPDX-License-Identifier: MIT */
/*
 * This machine's KVM beside the model of it: the same calls must give the same errno. Memory slots
 * are test-slot-differential.c's.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "../unit/kvm/support/model-kvm.h"
#include "tessera/util/event-notifier.h"

int __wrap_kvm_system_ioctl(Kvm *kvm, unsigned long req, void *arg);
int __wrap_kvm_vm_ioctl(Kvm *kvm, unsigned long req, void *arg);

/* The kernel's VM through the program's own functions, the model's through those of the unit tests. */
typedef struct Pair {
    Kvm *real;
    Kvm model;
    EventNotifier notifiers[3];
    uint64_t random;
    uint64_t seed;
} Pair;

static int setup(void **state)
{
    const KvmConfig config = { .identity_map_base = 0xfeffc000, .tss_base = 0xfeffd000 };
    g_autoptr(GError) error = NULL;
    Pair *p = g_new0(Pair, 1);
    const char *seed = g_getenv("TESSERA_SEED");

    *state = p;
    model_kvm_reset();
    p->real = kvm_new(&config, &error);
    if (!p->real) {
        print_message("# skip: no comparison with the kernel: %s\n", error->message);
        return 0;
    }
    p->model = (Kvm){ .system_fd = -1, .vm_fd = -1 };
    p->model.vm_fd = __wrap_kvm_system_ioctl(&p->model, KVM_CREATE_VM, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(p->notifiers); i++) {
        if (!event_notifier_init(&p->notifiers[i], NULL)) {
            return -1;
        }
    }
    p->seed = seed ? strtoull(seed, NULL, 0) : 1;
    p->random = p->seed * 2 + 1;
    return p->model.vm_fd >= 0 ? 0 : -1;
}

static int teardown(void **state)
{
    Pair *p = *state;

    if (p->real) {
        kvm_free(p->real);
        close(p->model.vm_fd);
        for (unsigned i = 0; i < G_N_ELEMENTS(p->notifiers); i++) {
            event_notifier_done(&p->notifiers[i]);
        }
    }
    g_free(p);
    model_kvm_reset();
    return 0;
}

static uint32_t below(Pair *p, uint32_t n)
{
    p->random = p->random * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(p->random >> 33) % n;
}

/* Mostly small and right, at times a value from the edge. */
static uint64_t pick(Pair *p, uint64_t usual, const uint64_t *edges, uint32_t n_edges)
{
    return below(p, 12) ? usual : edges[below(p, n_edges)];
}

static void test_ioeventfd_random_sequences(void **state)
{
    const uint32_t lens[] = { 0, 1, 2, 4, 8, 3 };
    const uint64_t addrs[] = { UINT64_MAX - 1, UINT64_MAX - 8 };
    Pair *p = *state;
    unsigned calls = 3000, taken = 0;

    if (!p->real) {
        skip();
    }
    printf("TESSERA_SEED=%llu\n", (unsigned long long)p->seed);
    for (unsigned i = 0; i < calls; i++) {
        struct kvm_ioeventfd e = {
            .addr = pick(p, 0x1000 + 4 * below(p, 3), addrs, G_N_ELEMENTS(addrs)),
            .len = lens[below(p, G_N_ELEMENTS(lens))],
            .datamatch = below(p, 3),
            .fd = below(p, 10) ? p->notifiers[below(p, 3)].fd : -1,
            .flags = below(p, 20) ? below(p, 8) : 1u << 5,
        };
        int real = kvm_vm_ioctl(p->real, KVM_IOEVENTFD, &e);
        int model = __wrap_kvm_vm_ioctl(&p->model, KVM_IOEVENTFD, &e);

        if (real != model) {
            fail_msg("call %u: addr %llx len %u data %llu fd %d flags %x: KVM %d, model %d", i,
                     e.addr, e.len, e.datamatch, e.fd, e.flags, real, model);
        }
        taken += real == 0;
    }
    assert_true(taken > calls / 20);
}

static int zone_call(Pair *p, bool add, uint64_t addr, uint32_t size, uint32_t pio)
{
    struct kvm_coalesced_mmio_zone z = { .addr = addr, .size = size, .pio = pio };
    unsigned long req = add ? KVM_REGISTER_COALESCED_MMIO : KVM_UNREGISTER_COALESCED_MMIO;
    int real = kvm_vm_ioctl(p->real, req, &z);

    assert_int_equal(real, __wrap_kvm_vm_ioctl(&p->model, req, &z));
    return real;
}

static void test_zones_by_rule(void **state)
{
    Pair *p = *state;

    if (!p->real) {
        skip();
    }
    assert_int_equal(zone_call(p, true, 0x1000, 0x100, 2), -EINVAL);
    assert_int_equal(zone_call(p, false, 0x1000, 0x100, 0), 0); /* there is none */
    assert_int_equal(zone_call(p, true, 0x1000, 0x100, 0), 0);
    assert_int_equal(zone_call(p, true, 0x1000, 0x100, 0), 0); /* the same again */
    assert_int_equal(zone_call(p, true, 0x70, 2, 1), 0);
    assert_int_equal(zone_call(p, false, 0x1010, 0x10, 0), 0);
}

int main(void)
{
#define WITH_PAIR(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_PAIR(test_ioeventfd_random_sequences),
        WITH_PAIR(test_zones_by_rule),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
