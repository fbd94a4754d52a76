/* SPDX-License-Identifier: MIT */
#include "model-machine.h"

#include <stdio.h>
#include <stdlib.h>
#include "tessera/util/keyval.h"

void bench_die(const char *what, const GError *error)
{
    fprintf(stderr, "%s: %s: %s\n", g_get_prgname() ? g_get_prgname() : "bench", what,
            error ? error->message : "it failed");
    exit(1);
}

ModelMachine model_machine_new(const char *memory, const char *ram)
{
    static const char accel[] = "kvm,device=" MODEL_KVM_DEVICE;
    g_autofree char *object =
        g_strdup_printf("memory-backend-ram,id=ram,reserve=off,size=%s", ram ? ram : "");
    const char *argv[] = { "tessera", "-nodefaults", "-nographic", "-m",    memory,    "-S",
                           "-kernel", "none",        "-accel",     accel,   "-object", object,
                           "-machine", "memory-backend=ram" };
    int argc = G_N_ELEMENTS(argv) - (ram ? 0 : 4);
    ModelMachine m = { NULL, NULL };
    g_autoptr(GError) error = NULL;

    model_kvm_reset();
    if (options_parse(argc, (char **)argv, &m.config, &error) != OPTIONS_RUN) {
        bench_die("options", error);
    }
    g_clear_pointer(&m.config->kernel, g_free); /* an empty machine */
    m.machine = machine_new(m.config, &error);
    if (!m.machine) {
        bench_die("machine", error);
    }
    return m;
}

void model_machine_free(ModelMachine *m)
{
    machine_free(m->machine);
    machine_config_free(m->config);
    model_kvm_reset();
}

void model_machine_plug(ModelMachine *m, unsigned n, const char *size)
{
    g_autofree char *object =
        g_strdup_printf("memory-backend-ram,id=m%u,size=%s,reserve=off", n, size);
    g_autofree char *device = g_strdup_printf("pc-dimm,id=d%u,memdev=m%u", n, n);
    g_autoptr(Keyval) properties = keyval_parse(device, "driver", NULL);
    g_autoptr(GError) error = NULL;

    if (!object_store_add_option(machine_objects(m->machine), object, &error)) {
        bench_die("object-add", error);
    }
    if (!machine_device_add(m->machine, properties, &error)) {
        bench_die("device_add", error);
    }
}
