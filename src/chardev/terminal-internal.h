/* SPDX-License-Identifier: MIT */
/* The terminal on standard input: raw while a chardev uses it, itself again on every way out. */
#ifndef TESSERA_CHARDEV_TERMINAL_INTERNAL_H
#define TESSERA_CHARDEV_TERMINAL_INTERNAL_H

#include <stdbool.h>

/**
 * terminal_set_raw() - @fd is a terminal: every key, Ctrl-C too, arrives as a byte
 *
 * terminal_restore() undoes it. Until then it is also undone when the program exits or dies of a
 * signal, and while it is stopped (SIGTSTP). Signals that somebody else handles are left to them.
 */
void terminal_set_raw(int fd);

#endif
