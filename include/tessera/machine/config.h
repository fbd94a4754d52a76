/* SPDX-License-Identifier: MIT */
/* MachineConfig: what the command line asked for, checked as far as that needs no host. */
#ifndef TESSERA_MACHINE_CONFIG_H
#define TESSERA_MACHINE_CONFIG_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define MACHINE_RAM_SIZE_DEFAULT (UINT64_C(128) << 20) /* bytes, without -m size */

/**
 * struct MachineConfig - one machine, before it is made
 * @name: -name, or NULL
 * @ram_size: -m size: bytes, a whole number of host pages, 1 MiB or more; without one the size that
 *      the -object of @memory_backend says, as it stands there; default 128 MiB
 * @ram_size_given: -m gave a size
 * @memory_slots, @maxmem: -m slots=,maxmem=: DIMM sockets (0..256) and the end of growth in bytes
 *      (0 when there are no slots, else >= @ram_size)
 * @cpus: -smp: 1 or more
 * @cpu: -cpu; default "host"
 * @kernel, @initrd, @append: paths and the kernel's command line; NULL: not given
 * @kvm_device: -accel kvm[,device=PATH]; NULL: /dev/kvm
 * @objects: char *: -object arguments, in order
 * @devices: char *: -device arguments, in order: plugged before the machine starts
 * @memory_backend: -machine memory-backend=ID: the object that is boot RAM; NULL: anonymous memory
 * @dump_dtb: -machine dumpdtb=FILE: write the device tree there ("-": standard output) and end.
 *      NULL: no
 * @dtb: -machine dtb=on: hand the device tree to the kernel
 * @full_render: -machine full-render=on: every commit renders whole views
 * @dump_memory_map: -machine dump-memory-map=FILE, "-" is standard output. NULL: no
 * @serials: char *: -serial back ends in order, "mon:BACKEND" as given: shared with a monitor; empty:
 *      "stdio" unless -nodefaults, then none
 * @monitors, @qmps: char *: back ends of -monitor and -qmp in order, "none" among them
 * @gdb: -gdb: where a debugger can connect, or "none". NULL: nowhere
 * @nographic: -nographic
 * @no_reboot: -no-reboot: a reset ends the program
 * @stopped: -S: vCPUs wait for a `cont`
 * @log_items, @log_file: -d and -D, or NULL
 * @traces: char *: the patterns of -trace in order, each of which names an event; one with '-' before
 *      it switches off
 * @trace_file: -trace file=, the last one; NULL: standard error
 */
typedef struct MachineConfig {
    char *name;
    uint64_t ram_size;
    bool ram_size_given;
    uint64_t memory_slots;
    uint64_t maxmem;
    uint64_t cpus;
    char *cpu;
    char *kernel;
    char *initrd;
    char *append;
    char *kvm_device;
    GPtrArray *objects;
    GPtrArray *devices;
    char *memory_backend;
    char *dump_dtb;
    bool dtb;
    bool full_render;
    char *dump_memory_map;
    GPtrArray *serials;
    GPtrArray *monitors;
    GPtrArray *qmps;
    char *gdb;
    bool nographic;
    bool nodefaults;
    bool no_reboot;
    bool stopped;
    char *log_items;
    char *log_file;
    GPtrArray *traces;
    char *trace_file;
} MachineConfig;

/** machine_config_new() - the defaults */
MachineConfig *machine_config_new(void);
void machine_config_free(MachineConfig *config); /* NULL is allowed */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MachineConfig, machine_config_free)

/* What the command line was. */
typedef enum OptionsResult {
    OPTIONS_RUN,   /* @ret_config is filled: make the machine */
    OPTIONS_DONE,  /* -help, -version, "-d help" and the like were answered on standard output */
    OPTIONS_ERROR, /* @error says what is wrong */
} OptionsResult;

/**
 * options_parse() - reads a command line in QEMU's spelling (-option or --option)
 * @argc, @argv: main()'s
 * @ret_config: untouched unless OPTIONS_RUN
 *
 * Errors name the option, the value, the rule it broke and what would work; an unknown option names
 * the nearest one. An option that takes one value and comes twice: the last counts; -object,
 * -device, -serial, -monitor, -qmp and -trace add up, and so do the properties of -machine. Context: main
 * thread; prints nothing but the answers of OPTIONS_DONE.
 */
OptionsResult options_parse(int argc, char *const argv[], MachineConfig **ret_config,
                            GError **error);

/** options_help() - the text of -help: one entry for each option. Returns: a new string */
char *options_help(void);

/** options_print_cpu_help() - answers "-cpu help" (asks the host's KVM) */
bool options_print_cpu_help(GError **error);

#endif
