/* SPDX-License-Identifier: MIT */
/* The nearest right name for a wrong one. */
#include "tessera/util/suggest.h"

#include <glib.h>
#include <string.h>

/* A user's word may be a megabyte of junk: what is compared is capped, the square stays small. */
#define WORD_MAX       64
#define PREFIX_MIN     3
#define LIST_NAMES_MAX 12

unsigned edit_distance(const char *a, const char *b)
{
    size_t len_a = strnlen(a, WORD_MAX), len_b = strnlen(b, WORD_MAX);
    unsigned rows[3][WORD_MAX + 1];
    unsigned *before = rows[0], *above = rows[1], *row = rows[2];

    for (size_t j = 0; j <= len_b; j++) {
        above[j] = (unsigned)j;
    }
    for (size_t i = 1; i <= len_a; i++) {
        unsigned *spare = before;

        row[0] = (unsigned)i;
        for (size_t j = 1; j <= len_b; j++) {
            char x = g_ascii_tolower(a[i - 1]), y = g_ascii_tolower(b[j - 1]);

            row[j] = MIN(MIN(above[j], row[j - 1]) + 1, above[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == g_ascii_tolower(b[j - 2]) &&
                y == g_ascii_tolower(a[i - 2])) {
                row[j] = MIN(row[j], before[j - 2] + 1);
            }
        }
        before = above;
        above = row;
        row = spare;
    }
    return above[len_b];
}

const char *suggest_name(const char *wrong, const char *const *names)
{
    size_t len = strlen(wrong);
    const char *best = NULL;
    unsigned best_distance = WORD_MAX + 1;

    if (len == 0 || len > WORD_MAX) {
        return NULL;
    }
    for (; names && *names; names++) {
        unsigned distance = edit_distance(wrong, *names);
        unsigned allowed = (unsigned)MAX(len, strnlen(*names, WORD_MAX)) / 3;

        if (distance < best_distance && distance <= MAX(allowed, 1)) {
            best = *names;
            best_distance = distance;
        } else if (!best && len >= PREFIX_MIN && g_ascii_strncasecmp(wrong, *names, len) == 0) {
            best = *names; /* until something nearer comes */
        }
    }
    return best;
}

char *suggest_phrase(const char *wrong, const char *const *names)
{
    const char *near = suggest_name(wrong, names);
    guint n = names ? g_strv_length((char **)names) : 0;

    if (near) {
        return g_strdup_printf(" (did you mean '%s'?)", near);
    }
    if (n > 0 && n <= LIST_NAMES_MAX) {
        g_autofree char *list = g_strjoinv(", ", (char **)names);

        return g_strconcat(n == 1 ? " (there is only: " : " (there are: ", list, ")", NULL);
    }
    return g_strdup("");
}
