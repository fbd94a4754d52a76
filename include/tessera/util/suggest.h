/* SPDX-License-Identifier: MIT */
/* The nearest right name for a wrong one. */
#ifndef TESSERA_UTIL_SUGGEST_H
#define TESSERA_UTIL_SUGGEST_H

#include <stddef.h>

/**
 * edit_distance() - insertions, deletions, replacements and swaps of neighbours from @a to @b
 *
 * Damerau-Levenshtein, in the restricted form (no letter is touched twice); letter case is ignored.
 */
unsigned edit_distance(const char *a, const char *b);

/**
 * suggest_name() - the name of @names that @wrong was probably meant to be
 * @names: NULL-terminated; NULL is allowed
 *
 * Near enough is: at most a third of the longer word's letters wrong (at least one); or @wrong is
 * the beginning, three letters or more, of a name. Of equals the first wins.
 *
 * Returns: one of @names, or NULL if none is near.
 */
const char *suggest_name(const char *wrong, const char *const *names);

/**
 * suggest_phrase() - " (did you mean 'x'?)", or what there is: " (there are: a, b, c)", or ""
 *
 * For the end of an error message. The list is given when nothing is near and it is short.
 * Returns: a new string.
 */
char *suggest_phrase(const char *wrong, const char *const *names);

#endif
