/* SPDX-License-Identifier: MIT */
/* MachineConfig: the defaults. */
#include "tessera/machine/config.h"

MachineConfig *machine_config_new(void)
{
    MachineConfig *config = g_new0(MachineConfig, 1);

    config->ram_size = MACHINE_RAM_SIZE_DEFAULT;
    config->cpus = 1;
    config->cpu = g_strdup("host");
    config->objects = g_ptr_array_new_with_free_func(g_free);
    config->devices = g_ptr_array_new_with_free_func(g_free);
    config->serials = g_ptr_array_new_with_free_func(g_free);
    config->monitors = g_ptr_array_new_with_free_func(g_free);
    config->qmps = g_ptr_array_new_with_free_func(g_free);
    config->traces = g_ptr_array_new_with_free_func(g_free);
    return config;
}

void machine_config_free(MachineConfig *config)
{
    if (!config) {
        return;
    }
    g_free(config->name);
    g_free(config->cpu);
    g_free(config->kernel);
    g_free(config->initrd);
    g_free(config->append);
    g_free(config->kvm_device);
    g_ptr_array_unref(config->objects);
    g_ptr_array_unref(config->devices);
    g_free(config->memory_backend);
    g_free(config->dump_dtb);
    g_free(config->dump_memory_map);
    g_free(config->gdb);
    g_ptr_array_unref(config->serials);
    g_ptr_array_unref(config->monitors);
    g_ptr_array_unref(config->qmps);
    g_free(config->log_items);
    g_free(config->log_file);
    g_ptr_array_unref(config->traces);
    g_free(config->trace_file);
    g_free(config);
}
