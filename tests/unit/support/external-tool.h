/* SPDX-License-Identifier: MIT */
/* Unit tests that check Tessera's output with a tool of other makers (iasl, acpiexec, dtc). */
#ifndef TESSERA_TESTS_EXTERNAL_TOOL_H
#define TESSERA_TESTS_EXTERNAL_TOOL_H

#include <glib.h>
#include <stdbool.h>

/* Whether @program is in PATH; says loudly on stderr that tests are skipped when it is not. */
bool tool_available(const char *program);

/* A new empty folder for one test's files. */
char *tool_folder_new(void);

/* Remove the folder with its files, and free the name; NULL is fine. */
void tool_folder_remove(char *folder);

/* Write @length bytes to the file @name in @folder; the test fails when that fails. */
void tool_write(const char *folder, const char *name, const void *data, gsize length);

/* The contents of the file @name in @folder; the test fails when there is none. */
GByteArray *tool_read(const char *folder, const char *name);

/*
 * Run the NULL-terminated command line in @folder. Returns its exit status (-1: it was killed) and
 * what it wrote to stdout and stderr, one behind the other.
 */
int tool_run(const char *folder, char **ret_output, const char *program,
             ...) G_GNUC_NULL_TERMINATED;

#endif
