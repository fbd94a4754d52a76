/* SPDX-License-Identifier: MIT */
/* EventNotifier: an eventfd that one side signals and another waits for. */
#ifndef TESSERA_UTIL_EVENT_NOTIFIER_H
#define TESSERA_UTIL_EVENT_NOTIFIER_H

#include <glib.h>
#include <stdbool.h>

/* Opaque to devices; the accelerator binds its descriptor to a guest write or to an interrupt. */
typedef struct EventNotifier {
    int fd;
} EventNotifier;

/** event_notifier_init() - a non-blocking, close-on-exec eventfd; false with @error if none left */
bool event_notifier_init(EventNotifier *n, GError **error);
/** event_notifier_done() - closes it; a zeroed or half-built one (fd <= 0) is allowed */
void event_notifier_done(EventNotifier *n);
/** event_notifier_set() - signals. Context: any thread, async-signal-safe */
void event_notifier_set(EventNotifier *n);
/** event_notifier_test_and_clear() - was it signalled since the last call? */
bool event_notifier_test_and_clear(EventNotifier *n);

#endif
