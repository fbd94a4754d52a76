/* SPDX-License-Identifier: MIT */
/* The log: items that -d switches on, written as lines of text to stderr or -D's file. */
#ifndef TESSERA_UTIL_LOG_H
#define TESSERA_UTIL_LOG_H

#include <glib.h>
#include <stdatomic.h>
#include <stdbool.h>

/* Items, a mask. Names and meanings for the user stand in log.c's table. */
#define LOG_GUEST_ERROR (1u << 0)
#define LOG_UNIMP       (1u << 1)
#define LOG_EXIT        (1u << 2)
#define LOG_COMMIT      (1u << 3)
#define LOG_SLOT        (1u << 4)
#define LOG_BOOT        (1u << 5)
#define LOG_CHAR        (1u << 6)
#define LOG_PCI         (1u << 7)
#define LOG_ACPI        (1u << 8)
#define LOG_IRQ         (1u << 9)
#define LOG_CPU         (1u << 10)
#define LOG_RESET       (1u << 11)
#define LOG_RAM         (1u << 12)
#define LOG_POST        (1u << 13)

/* The log belongs to the process, like stderr: machines share it. Read it with log_enabled(). */
extern _Atomic unsigned log_items_on;

/** log_enabled() - is one of @items on? One relaxed load: fit for the exit path. */
static inline bool log_enabled(unsigned items)
{
    return __builtin_expect(
        (atomic_load_explicit(&log_items_on, memory_order_relaxed) & items) != 0, 0);
}

/**
 * log_line() - writes "[ seconds] item: text" as one line; use log_item()
 *
 * A newline is added; those inside the text are kept. Context: any thread; lines never mix.
 */
void log_line(unsigned item, const char *format, ...) G_GNUC_PRINTF(2, 3);

/** log_item() - writes the line if @item is on; the arguments are not evaluated otherwise */
#define log_item(item, ...)                                                                      \
    do {                                                                                         \
        if (log_enabled(item)) {                                                                 \
            log_line(item, __VA_ARGS__);                                                         \
        }                                                                                        \
    } while (0)

/**
 * log_configure() - what is logged from now on, and where to
 * @items: comma-separated names (-d), "all" or "none", "-name" takes one out again; NULL: as it is
 * @file: -D's path, created or emptied, "%d" in it is the process id; NULL: as it is (at first
 *      stderr)
 *
 * On failure nothing has changed. The time stamps count from the first call.
 * Errors: TESSERA_ERROR_NOT_FOUND (an item, with the nearest name), _INVALID, _SYSTEM (the file).
 */
bool log_configure(const char *items, const char *file, GError **error);

/** log_items_help() - a line for each item, for "-d help". Returns: a new string. */
char *log_items_help(void);

/** log_close() - nothing is logged any more; the file is closed */
void log_close(void);

#endif
