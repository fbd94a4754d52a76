/* SPDX-License-Identifier: MIT */
/* VirtualClock: nanoseconds that the machine has run, and timers on it. */
#ifndef TESSERA_HW_CORE_CLOCK_H
#define TESSERA_HW_CORE_CLOCK_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The clock stands still while the machine is stopped. Timers fire on the GMainContext that the
 * clock was made with (the main thread), never early. It owns its lock; callbacks run without it.
 */
typedef struct VirtualClock VirtualClock;
typedef struct VirtualTimer VirtualTimer;

/** virtual_clock_new() - stopped at 0. @context NULL: the default one */
VirtualClock *virtual_clock_new(GMainContext *context);
/**
 * virtual_clock_new_manual() - for tests: time passes only by virtual_clock_advance(), which runs
 * what is due on the caller's thread
 */
VirtualClock *virtual_clock_new_manual(void);
void virtual_clock_advance(VirtualClock *clock, int64_t ns);
void virtual_clock_free(VirtualClock *clock); /* all timers freed before; NULL allowed */

/** virtual_clock_start() / virtual_clock_stop() - idempotent. Context: main thread */
void virtual_clock_start(VirtualClock *clock);
void virtual_clock_stop(VirtualClock *clock);

/** virtual_clock_ns() - time of the machine. Context: any thread; no lock another thread may hold */
int64_t virtual_clock_ns(VirtualClock *clock);

/** virtual_timer_new() - a timer that is not armed */
VirtualTimer *virtual_timer_new(VirtualClock *clock, void (*fn)(void *opaque), void *opaque);
/** virtual_timer_free() - disarms; main thread only. NULL allowed */
void virtual_timer_free(VirtualTimer *timer);
/** virtual_timer_arm() - fires once at @deadline_ns (past: as soon as possible). Any thread */
void virtual_timer_arm(VirtualTimer *timer, int64_t deadline_ns);
void virtual_timer_disarm(VirtualTimer *timer);

#endif
