/* SPDX-License-Identifier: MIT */
/* Writes docs/monitor.md anew: its head as it is, then the commands from their table (make docs). */
#include <stdio.h>
#include <string.h>
#include "tessera/monitor/monitor.h"

int main(int argc, char *argv[])
{
    static const char marker[] = "\n## Commands\n";
    g_autoptr(GError) error = NULL;
    g_autofree char *page = NULL;
    g_autofree char *reference = monitor_reference();
    g_autofree char *text = NULL;
    char *end;

    if (argc != 2 || !g_file_get_contents(argv[1], &page, NULL, &error)) {
        fprintf(stderr, "monitor-reference: %s\n", error ? error->message : "PAGE is missing");
        return 1;
    }
    end = strstr(page, marker);
    if (!end) {
        fprintf(stderr, "monitor-reference: %s has no line '## Commands'\n", argv[1]);
        return 1;
    }
    end[sizeof(marker) - 1] = 0;
    text = g_strconcat(page, reference, NULL);
    if (!g_file_set_contents(argv[1], text, -1, &error)) {
        fprintf(stderr, "monitor-reference: %s\n", error->message);
        return 1;
    }
    return 0;
}
