/* SPDX-License-Identifier: MIT */
/* EventNotifier: an eventfd that one side signals and another waits for. */
#include "tessera/util/event-notifier.h"

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "tessera/util/error.h"

bool event_notifier_init(EventNotifier *n, GError **error)
{
    n->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (n->fd < 0) {
        error_set_errno(error, errno, "cannot create an eventfd (see 'ulimit -n')");
        n->fd = 0;
        return false;
    }
    return true;
}

void event_notifier_done(EventNotifier *n)
{
    if (n->fd > 0) {
        close(n->fd);
    }
    n->fd = 0;
}

void event_notifier_set(EventNotifier *n)
{
    uint64_t one = 1;
    ssize_t done;

    /* EAGAIN means that the counter is full: it is signalled already. */
    do {
        done = write(n->fd, &one, sizeof(one));
    } while (done < 0 && errno == EINTR);
}

bool event_notifier_test_and_clear(EventNotifier *n)
{
    uint64_t count;
    ssize_t done;

    do {
        done = read(n->fd, &count, sizeof(count));
    } while (done < 0 && errno == EINTR);
    return done == (ssize_t)sizeof(count);
}
