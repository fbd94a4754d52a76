/* SPDX-License-Identifier: MIT */
/* A whole machine on the unit tests' model KVM: ioctls cost next to nothing, and are counted. */
#ifndef TESSERA_BENCH_MODEL_MACHINE_H
#define TESSERA_BENCH_MODEL_MACHINE_H

#include "../../unit/kvm/support/model-kvm.h"
#include "tessera/machine/machine.h"

typedef struct ModelMachine {
    MachineConfig *config;
    Machine *machine;
} ModelMachine;

/**
 * model_machine_new() - stopped, without a guest. Ends the program if it fails
 * @memory: what -m says
 * @ram: NULL, or the size of boot RAM once more: it is then a backend that reserves nothing of the host
 */
ModelMachine model_machine_new(const char *memory, const char *ram);
void model_machine_free(ModelMachine *m);

/** model_machine_plug() - object-add and device_add of DIMM @n, @size as in an option. Must succeed */
void model_machine_plug(ModelMachine *m, unsigned n, const char *size);

/** bench_die() - ends the program with @what and the error, which may be NULL */
void bench_die(const char *what, const GError *error) G_GNUC_NORETURN;

#endif
