/* SPDX-License-Identifier: MIT */
/* The steps of a commit, for transaction.c. */
#ifndef TESSERA_MEMORY_COMMIT_INTERNAL_H
#define TESSERA_MEMORY_COMMIT_INTERNAL_H

#include "tree-internal.h"

/**
 * commit_spaces() - makes the edits effective in every space that has dirty windows
 * @cause: what the history says of it
 *
 * All or nothing: on failure the spaces and listeners are as before; undoing the tree is the
 * caller's part. Machine lock.
 */
bool commit_spaces(MemorySystem *ms, const char *cause, GError **error);

#endif
