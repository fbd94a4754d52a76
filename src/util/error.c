/* SPDX-License-Identifier: MIT */
/* The GError domain of the program. */
#include "tessera/util/error.h"

#include <stdarg.h>

GQuark tessera_error_quark(void)
{
    return g_quark_from_static_string("tessera-error");
}

void error_set_errno(GError **error, int errnum, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list ap;

    va_start(ap, format);
    text = g_strdup_vprintf(format, ap);
    va_end(ap);
    g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_SYSTEM, "%s: %s", text, g_strerror(errnum));
}
