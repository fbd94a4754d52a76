/* SPDX-License-Identifier: MIT */
/* The GError domain of the program. */
#ifndef TESSERA_UTIL_ERROR_H
#define TESSERA_UTIL_ERROR_H

#include <glib.h>

/**
 * enum TesseraError - codes of the domain TESSERA_ERROR
 *
 * The message carries the sentence for the user; the code says what a program could do about it
 * (a monitor maps it to an error class).
 */
typedef enum TesseraError {
    TESSERA_ERROR_INVALID,     /* the request breaks a rule; say something else */
    TESSERA_ERROR_NOT_FOUND,   /* no such object, file, property or option */
    TESSERA_ERROR_EXISTS,      /* the name, range or socket is taken */
    TESSERA_ERROR_LIMIT,       /* a limit is reached: slots, sizes, host address width */
    TESSERA_ERROR_NO_MEMORY,   /* the host has no memory for it */
    TESSERA_ERROR_UNSUPPORTED, /* this host or build cannot do it */
    TESSERA_ERROR_SYSTEM,      /* a system call failed; the message has its error string */
} TesseraError;

#define TESSERA_ERROR tessera_error_quark()
GQuark tessera_error_quark(void);

/** error_set_errno() - sets TESSERA_ERROR_SYSTEM: the formatted text, ": ", strerror(@errnum) */
void error_set_errno(GError **error, int errnum, const char *format, ...) G_GNUC_PRINTF(3, 4);

#endif
