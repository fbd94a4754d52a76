/* SPDX-License-Identifier: MIT */
/* What the kernel says of a mapping of this process. */
#include "host-mapping.h"

#include <glib.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* The VmFlags line of the mapping that holds @host. */
static char *vm_flags(const void *host)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    bool inside = false;

    g_file_get_contents("/proc/self/smaps", &text, NULL, NULL);
    lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        unsigned long start, end;

        if (sscanf(*line, "%lx-%lx ", &start, &end) == 2) {
            inside = (uintptr_t)host >= start && (uintptr_t)host < end;
        } else if (inside && g_str_has_prefix(*line, "VmFlags:")) {
            return g_strconcat(*line, " ", NULL);
        }
    }
    return g_strdup("");
}

bool host_mapping_has_flag(const void *host, const char *flag)
{
    g_autofree char *flags = vm_flags(host);
    g_autofree char *word = g_strdup_printf(" %s ", flag);

    return strstr(flags, word) != NULL;
}
