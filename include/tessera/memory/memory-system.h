/* SPDX-License-Identifier: MIT */
/* One machine's memory: its lock, transactions, address spaces and RAMBlocks. */
#ifndef TESSERA_MEMORY_MEMORY_SYSTEM_H
#define TESSERA_MEMORY_MEMORY_SYSTEM_H

#include <glib.h>
#include "tessera/memory/commit-stats.h"
#include "tessera/memory/types.h"

/**
 * memory_system_new() - an empty system: no regions, no address spaces, no RAM
 *
 * Nothing in the memory core is global: two systems in one process know nothing of each other.
 *
 * Fails where 9 MiB of address space, the least that a memory map needs, cannot be reserved.
 */
MemorySystem *memory_system_new(GError **error);

/**
 * memory_system_free() - ends a system; waits for every pending grace period
 *
 * All address spaces, listeners and regions must have been released before (asserted). NULL is
 * allowed. Context: no lock held, not in a read section.
 */
void memory_system_free(MemorySystem *ms);

/**
 * memory_system_lock() / memory_system_unlock() - the machine lock
 *
 * Guards the region tree, the list of address spaces, listeners and RAMBlocks, and everything a
 * header says it guards. Recursive. When called from inside a register handler, the thread first
 * leaves the read section that its access opened (the region being accessed stays alive until the
 * handler returns), so that no grace period can wait for a lock owner.
 */
void memory_system_lock(MemorySystem *ms);
void memory_system_unlock(MemorySystem *ms);

/** memory_system_is_locked() - does this thread hold the machine lock? For assertions. */
bool memory_system_is_locked(MemorySystem *ms);

/**
 * memory_region_transaction_begin() - edits that follow take effect together
 *
 * Takes the machine lock. Nests; each begin is paired with one commit or one abort. Edit functions
 * (memory/region.h) called outside a transaction are one of their own.
 */
void memory_region_transaction_begin(MemorySystem *ms);

/**
 * memory_region_transaction_begin_for() - the same, and says why, for the history of commits
 * @format: printf's, one line without an end: "device_add dimm1"
 *
 * Of several inside one outermost transaction the first one counts. Where none says why, it is the
 * first edit: "enable vga", "rom-device mode of flash".
 */
void memory_region_transaction_begin_for(MemorySystem *ms, const char *format, ...)
    G_GNUC_PRINTF(2, 3);

/**
 * memory_region_transaction_commit() - ends a transaction; the outermost makes it effective
 * @error: why it could not; every edit since the outermost begin has then been undone, sibling order
 *      included, and the previous map stays in force
 *
 * Renders new views, asks every listener, tells it the difference, lets it apply, publishes the
 * views and frees the old ones after a grace period. An inner commit returns true: its edits are
 * pending. Releases the machine lock.
 *
 * Returns: false if a listener refused or failed, or if the transaction was aborted inside.
 */
bool memory_region_transaction_commit(MemorySystem *ms, GError **error);

/**
 * memory_region_transaction_abort() - ends a transaction and marks it as failed
 *
 * The outermost commit or abort undoes every edit since the outermost begin. For callers that
 * find out half-way that they cannot go on. Releases the machine lock.
 */
void memory_region_transaction_abort(MemorySystem *ms);

/**
 * memory_system_set_failed_handler() - who stops the VM when even undoing a commit failed
 * @handler: called with both errors under the machine lock; the old views stay published. It is one
 *      and the same error when a listener that failed could not go back itself, and tells both in it
 */
void memory_system_set_failed_handler(MemorySystem *ms,
                                      void (*handler)(void *opaque, const GError *commit_error,
                                                      const GError *revert_error),
                                      void *opaque);

/**
 * memory_system_set_full_render() - whether commits render every view whole (default: false)
 *
 * What a commit does stays the same; it costs what exists instead of what changed. To compare with,
 * and to tell whether a fault lies in the incremental commit. Not inside a transaction (asserted).
 */
void memory_system_set_full_render(MemorySystem *ms, bool full);

/**
 * struct CoalescedFlush - who holds writes that the guest has made and no device has seen yet
 * @flush: brings them to their devices; called before an access to a region that demands it
 *      (memory_region_set_flush_coalesced()), on any thread, inside a read section. Must return at
 *      once when this thread holds the machine lock or is already delivering them
 */
typedef struct CoalescedFlush {
    void (*flush)(void *opaque);
    void *opaque;
} CoalescedFlush;

/**
 * memory_system_set_coalesced_flush() - @flush is not copied and lives until another one, or NULL, is
 * set and a grace period has passed
 */
void memory_system_set_coalesced_flush(MemorySystem *ms, const CoalescedFlush *flush);

/** memory_system_rom_writes() - writes to read-only memory that were dropped. Context: any thread */
uint64_t memory_system_rom_writes(MemorySystem *ms);

#endif
