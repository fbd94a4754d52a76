/* SPDX-License-Identifier: MIT */
/* What the command files share: taking arguments out of JSON, words for completion. */
#ifndef TESSERA_MONITOR_COMMAND_UTIL_INTERNAL_H
#define TESSERA_MONITOR_COMMAND_UTIL_INTERNAL_H

#include "tessera/monitor/command.h"
#include "tessera/util/keyval.h"

/*
 * Arguments that the core has checked against the command's table: they are there unless optional,
 * and of their type.
 */

/** arg_string() - borrowed from @args; NULL: not given */
static inline const char *arg_string(const json_t *args, const char *name)
{
    return json_string_value(json_object_get(args, name));
}

static inline bool arg_given(const json_t *args, const char *name)
{
    return json_object_get(args, name) != NULL;
}

/** arg_u64() - an integer, address or size; 0: not given */
static inline uint64_t arg_u64(const json_t *args, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(args, name));
}

/** arg_flag() - false: not given */
static inline bool arg_flag(const json_t *args, const char *name)
{
    return json_is_true(json_object_get(args, name));
}

/** json_u64() - JSON has no unsigned integers: the bits are kept, which arg_u64() reads back */
static inline json_t *json_u64(uint64_t value)
{
    return json_integer((json_int_t)value);
}

/** json_get_u64() / json_get_text() / json_get_flag() - members of a result, for print functions */
static inline uint64_t json_get_u64(const json_t *object, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(object, name));
}

static inline const char *json_get_text(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static inline const char *json_get_flag(const json_t *object, const char *name)
{
    return json_is_true(json_object_get(object, name)) ? "true" : "false";
}

/**
 * mtree_diff_text() - what changed between the commits "from" and "to" (may be missing: the last)
 */
bool mtree_diff_text(Monitor *mon, json_t *args, GString *out, GError **error);

/**
 * command_keyval() - the members of @args as an option's pairs: strings as they are, numbers in
 * decimal, booleans as on|off
 *
 * Errors: TESSERA_ERROR_INVALID naming a member that is a list or an object.
 */
Keyval *command_keyval(const json_t *args, GError **error);

/** command_wants_help() - was the bare word "help" or "?" among the pairs of an HMP line? */
bool command_wants_help(const json_t *args);

/**
 * command_check_cpu() - is there a vCPU of that number?
 *
 * Errors: TESSERA_ERROR_NOT_FOUND, with the numbers that there are.
 */
bool command_check_cpu(Monitor *mon, uint64_t cpu, GError **error);

/** command_owner_text() - of a region's owner: "dev id=ID", "dev type=DRIVER", "obj" or, for NULL,
 * "board"; a new string */
char *command_owner_text(Object *owner);

/* MonitorArg.complete */
void complete_objects(Machine *machine, GPtrArray *words);
void complete_devices(Machine *machine, GPtrArray *words);
void complete_cpus(Machine *machine, GPtrArray *words);

/* MonitorArg.complete_property */
void complete_object_property(Machine *machine, const char *type, const char *key,
                              GPtrArray *words);
void complete_device_property(Machine *machine, const char *type, const char *key,
                              GPtrArray *words);

#endif
