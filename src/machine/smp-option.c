/* SPDX-License-Identifier: MIT */
/* -smp: how many CPUs. */
#include "options-internal.h"

#include "tessera/util/error.h"

/* The kernel's own ceiling for x86 (KVM_MAX_VCPUS); what this host allows is asked of it later. */
#define CPUS_MAX 4096

/*
 * The guest sees one package with a core of one thread for each CPU, all there from the start.
 * Numbers that describe that are welcome, whatever the script they come from; others would be a
 * promise that is not kept.
 */
typedef struct SmpOption {
    uint64_t cpus;
    uint64_t sockets;
    uint64_t cores;
    uint64_t threads;
    uint64_t maxcpus;
} SmpOption;

static bool refuse(GError **error, const char *key, uint64_t value, const char *rule)
{
    g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID, "-smp %s=%" G_GUINT64_FORMAT ": %s",
                key, value, rule);
    return false;
}

static bool check(const SmpOption *smp, GError **error)
{
    g_autofree char *rule = NULL;

    if (smp->sockets != 1) {
        return refuse(error, "sockets", smp->sockets, "CPUs are cores of one socket: sockets=1");
    }
    if (smp->threads != 1) {
        return refuse(error, "threads", smp->threads, "a core has one thread: threads=1");
    }
    if (smp->cores != smp->cpus) {
        rule = g_strdup_printf("each CPU is a core of the one socket: cores=%" G_GUINT64_FORMAT,
                               smp->cpus);
        return refuse(error, "cores", smp->cores, rule);
    }
    if (smp->maxcpus != smp->cpus) {
        rule = g_strdup_printf("no CPU comes or goes while it runs: maxcpus=%" G_GUINT64_FORMAT,
                               smp->cpus);
        return refuse(error, "maxcpus", smp->maxcpus, rule);
    }
    return true;
}

OptionsResult smp_option(MachineConfig *config, const char *text, GError **error)
{
    static const char *const known[] = { "cpus", "sockets", "cores", "threads", "maxcpus", NULL };
    g_autoptr(Keyval) kv = keyval_parse(text, "cpus", error);
    SmpOption smp = { .cpus = 1, .sockets = 1, .threads = 1 };

    if (!kv) {
        g_prefix_error(error, "-smp: ");
        return OPTIONS_ERROR;
    }
    if (!keyval_check_known(kv, "-smp", known, error) ||
        !keyval_get_uint(kv, "-smp", "cores", 1, CPUS_MAX, &smp.cpus, error) ||
        !keyval_get_uint(kv, "-smp", "cpus", 1, CPUS_MAX, &smp.cpus, error)) {
        return OPTIONS_ERROR;
    }
    smp.cores = smp.maxcpus = smp.cpus;
    if (!keyval_get_uint(kv, "-smp", "sockets", 1, CPUS_MAX, &smp.sockets, error) ||
        !keyval_get_uint(kv, "-smp", "cores", 1, CPUS_MAX, &smp.cores, error) ||
        !keyval_get_uint(kv, "-smp", "threads", 1, CPUS_MAX, &smp.threads, error) ||
        !keyval_get_uint(kv, "-smp", "maxcpus", 1, CPUS_MAX, &smp.maxcpus, error) ||
        !check(&smp, error)) {
        return OPTIONS_ERROR;
    }
    config->cpus = smp.cpus;
    return OPTIONS_RUN;
}
