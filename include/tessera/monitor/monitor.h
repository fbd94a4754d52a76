/* SPDX-License-Identifier: MIT */
/* Monitors: several at once, on chardevs, for people and for programs. */
#ifndef TESSERA_MONITOR_MONITOR_H
#define TESSERA_MONITOR_MONITOR_H

#include <glib.h>
#include "tessera/chardev/chardev.h"
#include "tessera/machine/machine.h"

typedef struct MonitorHub MonitorHub;

typedef enum MonitorMode { MONITOR_HMP, MONITOR_QMP } MonitorMode;

/**
 * monitor_hub_new() - no monitors yet; takes the machine's event handler over
 *
 * Every QMP client that has negotiated gets every event. Context of all functions: main thread.
 */
MonitorHub *monitor_hub_new(Machine *machine);
void monitor_hub_free(MonitorHub *hub); /* ends all monitors; NULL is allowed */

/**
 * monitor_hub_add() - a monitor on @chr (not owned, outlives the hub; becomes its front end)
 *
 * From now on a machine that fails stays, to be looked at: machine_set_watched().
 */
void monitor_hub_add(MonitorHub *hub, Chardev *chr, MonitorMode mode);

/**
 * monitor_hub_add_configured() - those that the machine's command line asks for
 *
 * -monitor and -qmp, whose back ends the hub owns, the one that shares the serial port's, and what
 * -gdb says.
 * Errors: a back end that cannot be opened.
 */
bool monitor_hub_add_configured(MonitorHub *hub, GError **error);

/**
 * monitor_hub_hmp() - runs one HMP line without a monitor (human-monitor-command, tests)
 *
 * Returns: false with @error when the command failed; @out has what it printed in any case.
 */
bool monitor_hub_hmp(MonitorHub *hub, const char *line, unsigned cpu, GString *out, GError **error);

/** monitor_reference() - every command with its arguments and help, in Markdown. A new string */
char *monitor_reference(void);

#endif
