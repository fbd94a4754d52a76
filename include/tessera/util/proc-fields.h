/* SPDX-License-Identifier: MIT */
/* Files of the kernel that say "Key:  123 kB", or "key 123", line by line. */
#ifndef TESSERA_UTIL_PROC_FIELDS_H
#define TESSERA_UTIL_PROC_FIELDS_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/**
 * proc_file_read() - all of <@root>@path; g_free()
 * @root: folder in front of it; NULL: none, the host's own files
 * @path: absolute: "/proc/self/status"
 *
 * Errors: TESSERA_ERROR_SYSTEM with the path and the reason.
 */
char *proc_file_read(const char *root, const char *path, GError **error);

/**
 * proc_field_kib() - the amount in the line "@key:  N kB" of @text, in bytes
 *
 * So are /proc/PID/status and /proc/meminfo (Linux, Documentation/filesystems/proc.rst).
 *
 * Errors: TESSERA_ERROR_NOT_FOUND: there is no such line; _INVALID: it says something else.
 * @ret_bytes is left alone then. The message has no subject ("has no line 'VmPTE'").
 */
bool proc_field_kib(const char *text, const char *key, uint64_t *ret_bytes, GError **error);

/** proc_field_number() - the same for a line "@key N", as in a control group's memory.stat */
bool proc_field_number(const char *text, const char *key, uint64_t *ret_value, GError **error);

/**
 * proc_cgroup_path() - the control group (version 2) of the process whose /proc/PID/cgroup is @text
 *
 * Returns: a path that begins with a slash (g_free()), or NULL if it is in none but of version 1.
 */
char *proc_cgroup_path(const char *text);

#endif
