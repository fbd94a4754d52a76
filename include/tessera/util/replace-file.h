/* SPDX-License-Identifier: MIT */
/* Files that are written whole or not at all. */
#ifndef TESSERA_UTIL_REPLACE_FILE_H
#define TESSERA_UTIL_REPLACE_FILE_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

/**
 * replace_file() - makes @path a file that holds @data, and nothing else
 *
 * A new file is written beside it and takes its place when it is complete: who looks meanwhile sees
 * the old one, and a failure leaves it as it is. A symbolic link stays, and what it names is replaced.
 * What is no regular file (a device, a pipe that has a reader) cannot be replaced and is written to.
 *
 * Errors: TESSERA_ERROR_SYSTEM: "PATH: cannot be written: REASON". Context: any thread
 */
bool replace_file(const char *path, const void *data, size_t len, GError **error);

#endif
