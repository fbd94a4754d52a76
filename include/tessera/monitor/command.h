/* SPDX-License-Identifier: MIT */
/* Monitor commands: one table entry each, for people (HMP) and programs (QMP). */
#ifndef TESSERA_MONITOR_COMMAND_H
#define TESSERA_MONITOR_COMMAND_H

#include <glib.h>
#include <jansson.h>
#include "tessera/machine/machine.h"
#include "tessera/util/registry.h"

typedef struct Monitor Monitor;
typedef struct MonitorCommand MonitorCommand;

/* Types of arguments: how HMP reads a word, and which JSON type QMP wants. */
typedef enum MonitorArgType {
    MONITOR_ARG_STRING,
    MONITOR_ARG_INT,  /* HMP: decimal, 0x..; QMP: integer */
    MONITOR_ARG_SIZE, /* HMP: with suffix, bytes by default; QMP: integer, bytes */
    MONITOR_ARG_ADDR, /* HMP: hexadecimal or decimal, $register allowed; QMP: integer */
    MONITOR_ARG_BOOL, /* HMP: on|off; QMP: boolean */
    MONITOR_ARG_FLAG, /* HMP: --name, or -f; QMP: boolean */
    MONITOR_ARG_KEYVAL, /* HMP: "driver,key=value,..."; QMP: all other members. The last argument */
    MONITOR_ARG_REST, /* HMP: the rest of the line; QMP: string */
    MONITOR_ARG_FORMAT, /* HMP: "/16xw" behind the command's name; QMP: string */
} MonitorArgType;

/**
 * struct MonitorArg - a table ends with a line of zeroes
 * @complete: adds words that fit to @words for HMP's completion; NULL: none
 * @complete_property: MONITOR_ARG_KEYVAL, behind the first comma: adds the names of @type's properties
 *      (@key is NULL), or values of @key
 */
typedef struct MonitorArg {
    const char *name;
    MonitorArgType type;
    /*
     * HMP: a flag's letter; a MONITOR_ARG_FLAG with 0 has only its name, "--name", which may stand in
     * the place of a letter everywhere. MONITOR_ARG_INT, _STRING: the value stands behind the flag
     */
    char flag;
    bool optional;
    const char *implied_key; /* MONITOR_ARG_KEYVAL: key of the first word */
    void (*complete)(Machine *machine, GPtrArray *words);
    void (*complete_property)(Machine *machine, const char *type, const char *key,
                              GPtrArray *words);
} MonitorArg;

/**
 * struct MonitorCommand - register with TESSERA_REGISTER(monitor_command, var)
 * @name: key of the registry, unique: the QMP name, or the HMP name if there is no QMP command
 * @qmp: QMP name ("device_add", "query-status"), NULL: HMP only
 * @hmp: HMP name ("device_add", "info status"), with short forms behind it ("quit|q"); NULL: QMP only
 * @help: one sentence; @details: more for `help CMD` and the reference, or NULL
 * @args: NULL: none
 * @run: does it. @args holds a checked value for each argument that was given, by name.
 *      *@ret_result: a new reference for QMP's "return" and for @print; NULL counts as {}.
 * @print: the result as text for people; NULL: nothing is printed
 * @run_text: instead of @run and @print, for commands whose result is text (HMP only)
 *
 * Context: main thread, no machine lock; a callback may take it.
 */
struct MonitorCommand {
    const char *name;
    const char *qmp;
    const char *hmp;
    const char *help;
    const char *details;
    const MonitorArg *args;
    bool (*run)(Monitor *mon, json_t *args, json_t **ret_result, GError **error);
    void (*print)(const json_t *result, GString *out);
    bool (*run_text)(Monitor *mon, json_t *args, GString *out, GError **error);
};

#define MONITOR_COMMAND_REGISTER(var) TESSERA_REGISTER(monitor_command, var)

/** monitor_machine() - the machine that @mon controls */
Machine *monitor_machine(Monitor *mon);

/** monitor_cpu() / monitor_set_cpu() - the vCPU that this monitor looks at (`cpu N`) */
unsigned monitor_cpu(const Monitor *mon);
void monitor_set_cpu(Monitor *mon, unsigned cpu);

#endif
