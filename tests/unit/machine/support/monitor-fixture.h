/* SPDX-License-Identifier: MIT */
/* A machine on the model KVM with a monitor that a test talks to, in HMP and in QMP. */
#ifndef TESSERA_TESTS_MONITOR_FIXTURE_H
#define TESSERA_TESTS_MONITOR_FIXTURE_H

#include "../../../../src/monitor/monitor-internal.h"
#include "../../kvm/support/model-kvm.h"

typedef struct MonitorFixture {
    MachineConfig *config;
    Machine *machine;
    MonitorHub *hub;
    Monitor mon; /* without a chardev: keeps the vCPU of `cpu N` */
    ModelVm *vm;
    GString *out;
    GError *error;
    json_t *result;
} MonitorFixture;

/** monitor_fixture_new() - @options: a command line, split at blanks; NULL: none but the defaults */
MonitorFixture *monitor_fixture_new(const char *options);
void monitor_fixture_free(MonitorFixture *f);

/** monitor_fixture_hmp() - a line that must succeed: what it printed, valid until the next call */
const char *monitor_fixture_hmp(MonitorFixture *f, const char *line);
/** monitor_fixture_hmp_error() - a line that must fail: the message */
const char *monitor_fixture_hmp_error(MonitorFixture *f, const char *line);

/** monitor_fixture_qmp() - must succeed: its "return", valid until the next call ({} for nothing) */
json_t *monitor_fixture_qmp(MonitorFixture *f, const char *command, const char *arguments);
/** monitor_fixture_qmp_error() - must fail: the message */
const char *monitor_fixture_qmp_error(MonitorFixture *f, const char *command,
                                      const char *arguments);

/** monitor_fixture_poke() - writes guest memory, ROM too */
void monitor_fixture_poke(MonitorFixture *f, hwaddr gpa, const void *bytes, size_t len);

/*
 * The guest's side of memory hotplug: port accesses as the methods of its namespace make them, and
 * the main loop's turn afterwards.
 */
void monitor_fixture_guest_ost(MonitorFixture *f, unsigned slot, uint32_t event, uint32_t status);
void monitor_fixture_guest_eject(MonitorFixture *f, unsigned slot);
/** monitor_fixture_settle() - runs the main loop until nothing is ready */
void monitor_fixture_settle(void);

/** monitor_fixture_map() - `info mtree -f`: to compare before and after */
char *monitor_fixture_map(MonitorFixture *f);

/** assert_text_has() - fails with both texts unless @part is in @text */
void assert_text_has(const char *text, const char *part);

#endif
