/* SPDX-License-Identifier: MIT */
/* Edits of a region's ioeventfds and coalesced ranges. */
#include "tessera/memory/region.h"

#include <inttypes.h>
#include "dirty-internal.h"
#include "tessera/util/error.h"
#include "tree-internal.h"

/* Lists are replaced as a whole, because the journal holds the one before. */
static GArray *list_copy(const GArray *list, guint element_size)
{
    GArray *copy = g_array_new(FALSE, FALSE, element_size);

    if (list) {
        g_array_append_vals(copy, list->data, list->len);
    }
    return copy;
}

/* Inside the edit's transaction. @window: what was added or taken away, in @mr. */
static void replace_list(MemoryRegion *mr, GArray **list, GArray *with, AddrRange window)
{
    GArray *old = *list;

    transaction_record(mr, list == &mr->coalesced ? "coalescing of" : "eventfds of");
    *list = with;
    dirty_content(mr, window);
    if (old) {
        g_array_unref(old);
    }
}

static int eventfd_find(const MemoryRegion *mr, const RegionEventfd *wanted)
{
    for (guint i = 0; mr->ioeventfds && i < mr->ioeventfds->len; i++) {
        const RegionEventfd *fd = &g_array_index(mr->ioeventfds, RegionEventfd, i);

        if (fd->offset == wanted->offset && fd->size == wanted->size &&
            fd->match_data == wanted->match_data &&
            (!fd->match_data || fd->data == wanted->data)) {
            return (int)i;
        }
    }
    return -1;
}

static bool check_eventfd(const MemoryRegion *mr, const RegionEventfd *fd, GError **error)
{
    unsigned length = fd->size ? fd->size : 1;

    if (!mr->ops) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "region '%s' is %s: an eventfd needs one whose writes reach a device", mr->name,
                    memory_region_kind_name(mr));
    } else if (fd->size > 8 || (fd->size & (fd->size - 1)) != 0) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "eventfd of region '%s' with size %u: must be 0 (any), 1, 2, 4 or 8", mr->name,
                    fd->size);
    } else if (fd->match_data && (fd->size == 0 || (fd->size < 8 && fd->data >> (8 * fd->size)))) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "eventfd of region '%s' matches 0x%" PRIx64 ", which no write of %u bytes has",
                    mr->name, fd->data, fd->size);
    } else if ((Int128)fd->offset + length > mr->size) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "eventfd at offset 0x%" PRIx64 " lies outside of region '%s'", fd->offset,
                    mr->name);
    } else {
        return true;
    }
    return false;
}

static bool add_eventfd(MemoryRegion *mr, const RegionEventfd *fd, GError **error)
{
    GArray *list;

    if (!check_eventfd(mr, fd, error)) {
        return false;
    }
    if (eventfd_find(mr, fd) >= 0) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_EXISTS,
                    "region '%s' has an eventfd at offset 0x%" PRIx64 " with size %u already",
                    mr->name, fd->offset, fd->size);
        return false;
    }
    list = list_copy(mr->ioeventfds, sizeof(RegionEventfd));
    g_array_append_val(list, *fd);
    replace_list(mr, &mr->ioeventfds, list, addr_range(fd->offset, 1));
    return true;
}

static bool del_eventfd(MemoryRegion *mr, const RegionEventfd *fd, GError **error)
{
    int at = eventfd_find(mr, fd);
    GArray *list;

    if (at < 0 || g_array_index(mr->ioeventfds, RegionEventfd, at).notifier != fd->notifier) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_NOT_FOUND,
                    "region '%s' has no such eventfd at offset 0x%" PRIx64 " with size %u",
                    mr->name, fd->offset, fd->size);
        return false;
    }
    list = list_copy(mr->ioeventfds, sizeof(RegionEventfd));
    g_array_remove_index(list, (guint)at);
    replace_list(mr, &mr->ioeventfds, list, addr_range(fd->offset, 1));
    return true;
}

/* A transaction around @edit; what a rule refused changed nothing, and ends it so. */
static bool edit_eventfd(MemoryRegion *mr, const RegionEventfd *fd,
                         bool (*edit)(MemoryRegion *, const RegionEventfd *, GError **),
                         GError **error)
{
    memory_region_transaction_begin(mr->ms);
    if (!edit(mr, fd, error)) {
        memory_region_transaction_commit(mr->ms, NULL);
        return false;
    }
    return memory_region_transaction_commit(mr->ms, error);
}

bool memory_region_add_eventfd(MemoryRegion *mr, hwaddr offset, unsigned size, bool match_data,
                               uint64_t data, EventNotifier *notifier, GError **error)
{
    RegionEventfd fd = { .offset = offset, .data = match_data ? data : 0, .notifier = notifier,
                         .size = size, .match_data = match_data };

    g_assert(notifier);
    return edit_eventfd(mr, &fd, add_eventfd, error);
}

bool memory_region_del_eventfd(MemoryRegion *mr, hwaddr offset, unsigned size, bool match_data,
                               uint64_t data, EventNotifier *notifier, GError **error)
{
    RegionEventfd fd = { .offset = offset, .data = match_data ? data : 0, .notifier = notifier,
                         .size = size, .match_data = match_data };

    return edit_eventfd(mr, &fd, del_eventfd, error);
}

static bool check_coalescing(const MemoryRegion *mr, AddrRange range, GError **error)
{
    if (mr->kind != REGION_IO) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "region '%s' is %s: only writes to I/O regions are coalesced", mr->name,
                    memory_region_kind_name(mr));
        return false;
    }
    if (addr_range_is_empty(range) || addr_range_end(range) > mr->size) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "coalesced range [0x%" PRIx64 ", +0x%" PRIx64 ") does not lie in region '%s'",
                    (uint64_t)range.start, (uint64_t)range.size, mr->name);
        return false;
    }
    for (guint i = 0; mr->coalesced && i < mr->coalesced->len; i++) {
        if (addr_range_intersects(range, g_array_index(mr->coalesced, AddrRange, i))) {
            g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_EXISTS,
                        "coalesced range [0x%" PRIx64 ", +0x%" PRIx64 ") of region '%s' overlaps "
                        "another one",
                        (uint64_t)range.start, (uint64_t)range.size, mr->name);
            return false;
        }
    }
    return true;
}

bool memory_region_add_coalescing(MemoryRegion *mr, hwaddr offset, uint64_t size, GError **error)
{
    AddrRange range = addr_range(offset, size);
    GArray *list;

    memory_region_transaction_begin(mr->ms);
    if (!check_coalescing(mr, range, error)) {
        memory_region_transaction_commit(mr->ms, NULL);
        return false;
    }
    list = list_copy(mr->coalesced, sizeof(AddrRange));
    g_array_append_val(list, range);
    replace_list(mr, &mr->coalesced, list, range);
    return memory_region_transaction_commit(mr->ms, error);
}

bool memory_region_clear_coalescing(MemoryRegion *mr, GError **error)
{
    memory_region_transaction_begin(mr->ms);
    if (mr->coalesced) {
        replace_list(mr, &mr->coalesced, NULL, addr_range(0, mr->size));
    }
    return memory_region_transaction_commit(mr->ms, error);
}
