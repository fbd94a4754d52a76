/* SPDX-License-Identifier: MIT */
/* MemoryListener: who wants to know how an address space's view changes. */
#ifndef TESSERA_MEMORY_LISTENER_H
#define TESSERA_MEMORY_LISTENER_H

#include <glib.h>
#include "tessera/memory/section.h"
#include "tessera/memory/types.h"

/* What happens to a tile in one commit. */
typedef enum MemoryDiffKind {
    MEMORY_DIFF_DEL,
    MEMORY_DIFF_ADD,
    MEMORY_DIFF_NOP, /* stays as it is, or changes its dirty-log mask only */
} MemoryDiffKind;

typedef struct MemoryDiff MemoryDiff;

/**
 * memory_diff_for_each() - the tiles that go and come, by increasing address (a del before an add at
 * the same address); NOPs are left out
 */
void memory_diff_for_each(const MemoryDiff *diff,
                          void (*fn)(MemoryDiffKind kind, const MemoryRegionSection *section,
                                     void *opaque),
                          void *opaque);

/**
 * struct MemoryListener - callbacks, all optional, all under the machine lock
 * @name: for error messages and counters
 * @priority: adds are heard in increasing order, dels in decreasing order
 *
 * One commit calls, for each address space that changed, in this order:
 *   prepare       every listener, with the whole difference. May refuse: nothing has happened yet.
 *   begin
 *   region_del    pass 1, for tiles that go (listeners in reverse priority)
 *   region_add    pass 2, by increasing address; region_nop for tiles that stay, followed by
 *   region_nop    log_start (bits set) or log_stop (bits cleared, listeners in reverse priority)
 *                 (where a listener of the space has a region_nop, each commit that changes
 *                 something walks all tiles, those elsewhere too; without one it costs what changed)
 *                 (a tile that comes brings its mask in the section; only a replay at registration
 *                 calls log_start behind region_add, and at its end log_stop before region_del)
 *   eventfd_del, eventfd_add, coalesced_io_del, coalesced_io_add    where those changed
 *   apply         make effective what was queued. May fail: then
 *   revert        runs on those that had applied, in reverse order, and the commit fails; a listener
 *                 whose apply failed has undone its own part before returning (if it could not:
 *                 see @apply)
 *   commit        the new view is published. Cannot fail.
 * A commit that fails after begin calls abort, last first, on every listener that had begun and not
 * applied: the one whose apply failed and those without an apply are among them. A space of which
 * nothing that shows has changed is told nothing. A listener must not edit the map (asserted).
 * A listener with outside effects only queues between begin and apply.
 */
struct MemoryListener {
    const char *name;
    int priority;
    bool (*prepare)(MemoryListener *l, const MemoryDiff *diff, GError **error);
    void (*begin)(MemoryListener *l);
    void (*region_del)(MemoryListener *l, const MemoryRegionSection *section);
    void (*region_add)(MemoryListener *l, const MemoryRegionSection *section);
    void (*region_nop)(MemoryListener *l, const MemoryRegionSection *section);
    void (*log_start)(MemoryListener *l, const MemoryRegionSection *section, uint8_t old_mask,
                      uint8_t new_mask);
    void (*log_stop)(MemoryListener *l, const MemoryRegionSection *section, uint8_t old_mask,
                     uint8_t new_mask);
    /* @section is 1 to 8 bytes long (size 0: any access size) at the eventfd's address */
    void (*eventfd_add)(MemoryListener *l, const MemoryRegionSection *section, unsigned size,
                        bool match_data, uint64_t data, EventNotifier *notifier);
    void (*eventfd_del)(MemoryListener *l, const MemoryRegionSection *section, unsigned size,
                        bool match_data, uint64_t data, EventNotifier *notifier);
    void (*coalesced_io_add)(MemoryListener *l, const MemoryRegionSection *section, hwaddr addr,
                             uint64_t size);
    void (*coalesced_io_del)(MemoryListener *l, const MemoryRegionSection *section, hwaddr addr,
                             uint64_t size);
    /*
     * On failure sets @error. *@ret_broken (false on entry) is set to true when the listener could
     * not go back either: the VM is then stopped through memory_system_set_failed_handler().
     */
    bool (*apply)(MemoryListener *l, bool *ret_broken, GError **error);
    /* Undo a successful apply of this commit. Failure stops the VM, as above. */
    bool (*revert)(MemoryListener *l, GError **error);
    void (*abort)(MemoryListener *l);
    void (*commit)(MemoryListener *l);

    /* Owned by the core. */
    AddressSpace *as;
    GList link;
};

/**
 * memory_listener_register() - from now on @l hears of @as; the current view is replayed as adds,
 * (prepare, begin, region_add..., log_start, eventfd_add, coalesced_io_add, apply, commit)
 *
 * Returns: false, and not registered, if @l refused. @l must outlive its registration.
 */
bool memory_listener_register(MemoryListener *l, AddressSpace *as, GError **error);

/**
 * memory_listener_unregister() - replays the current view as dels (no prepare), then forgets @l
 *
 * If its apply fails, the failed handler is told: nobody can refuse to be told nothing more.
 */
void memory_listener_unregister(MemoryListener *l);

/**
 * memory_listener_count_ioctls() - @n system calls were made to follow; in apply or revert
 * memory_listener_count_pause() - the vCPUs were held once for that, for @us microseconds
 *
 * Counted for the commit that runs, and in the totals (memory/commit-stats.h). Machine lock.
 */
void memory_listener_count_ioctls(MemoryListener *l, uint64_t n);
void memory_listener_count_pause(MemoryListener *l, uint64_t us);

/**
 * struct MemoryNote - what a listener has made of tiles, as the history of commits remembers it
 * @mr: the region behind its first byte; NULL: none any more
 * @offset: into it, of that byte
 */
typedef struct MemoryNote {
    const MemoryRegion *mr;
    hwaddr offset;
    hwaddr start;
    hwaddr last;
    bool readonly;
    bool logged;
} MemoryNote;

/**
 * memory_listener_note() - such a thing has come, or gone; one that changes goes and comes
 *
 * For what memory_system_diff() (memory/commit-diff.h) tells of slots. In apply or commit. Machine
 * lock.
 */
void memory_listener_note(MemoryListener *l, bool come, const MemoryNote *note);

#endif
