/* SPDX-License-Identifier: MIT */
/* The list of RAMBlocks: where blocks go in ram_addr_t space, and lookups without a lock. */
#include "ram-internal.h"

#include <pthread.h>
#include <string.h>

/*
 * Each array holds all blocks. @host_reach[i] is the largest end of by_host[0..i]: mappings that a
 * caller brought along may overlap, and a search must know when to stop looking further down.
 */
typedef struct RAMTable {
    RcuHead rcu;
    size_t n;
    RAMBlock **by_size;
    RAMBlock **by_host;
    RAMBlock **by_offset;
    uintptr_t *host_reach;
    void *storage[];
} RAMTable;

typedef struct NotifierTable {
    RcuHead rcu;
    size_t n;
    size_t n_dirty; /* those with a dirty callback come first in @dirty */
    RAMBlockNotifier **all;
    RAMBlockNotifier **dirty;
    RAMBlockNotifier *storage[];
} NotifierTable;

struct RAMList {
    _Atomic(RAMTable *) table;
    _Atomic(NotifierTable *) notifiers;
    pthread_mutex_t leaving_lock; /* guards the next; a leaf */
    GPtrArray *leaving;           /* RAMBlock *, not owned: mapped until a grace period is over */
};

bool find_ram_offset(const RAMExtent *taken, size_t n_taken, uint64_t size, uint64_t align,
                     uint64_t limit, ram_addr_t *ret_offset)
{
    uint64_t best = 0;
    bool found = false;
    uint64_t end = 0;

    for (size_t i = 0; i <= n_taken; i++) {
        uint64_t next = i < n_taken ? taken[i].start : limit;
        uint64_t start;

        if (!__builtin_add_overflow(end, align - 1, &start)) {
            start &= ~(align - 1);
            if (start < next && next - start >= size && (!found || next - start < best)) {
                best = next - start;
                *ret_offset = start;
                found = true;
            }
        }
        end = i < n_taken ? taken[i].start + taken[i].size : limit;
    }
    return found;
}

static RAMTable *table_alloc(size_t n)
{
    RAMTable *table = g_malloc0(sizeof(*table) + 4 * n * sizeof(void *));

    table->n = n;
    table->by_size = (RAMBlock **)&table->storage[0];
    table->by_host = (RAMBlock **)&table->storage[n];
    table->by_offset = (RAMBlock **)&table->storage[2 * n];
    table->host_reach = (uintptr_t *)&table->storage[3 * n];
    return table;
}

static void table_free_deferred(RcuHead *head)
{
    g_free(head);
}

static int compare_size(const void *a, const void *b)
{
    const RAMBlock *x = *(RAMBlock *const *)a, *y = *(RAMBlock *const *)b;

    if (x->max_length != y->max_length) {
        return x->max_length > y->max_length ? -1 : 1;
    }
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static int compare_host(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t)(*(RAMBlock *const *)a)->mem.host;
    uintptr_t y = (uintptr_t)(*(RAMBlock *const *)b)->mem.host;

    return x < y ? -1 : x > y;
}

static int compare_offset(const void *a, const void *b)
{
    ram_addr_t x = (*(RAMBlock *const *)a)->offset, y = (*(RAMBlock *const *)b)->offset;

    return x < y ? -1 : x > y;
}

static void table_sort(RAMTable *table)
{
    size_t bytes = table->n * sizeof(RAMBlock *);
    uintptr_t reach = 0;

    if (table->n == 0) {
        return;
    }
    memcpy(table->by_host, table->by_size, bytes);
    memcpy(table->by_offset, table->by_size, bytes);
    qsort(table->by_size, table->n, sizeof(RAMBlock *), compare_size);
    qsort(table->by_host, table->n, sizeof(RAMBlock *), compare_host);
    qsort(table->by_offset, table->n, sizeof(RAMBlock *), compare_offset);
    for (size_t i = 0; i < table->n; i++) {
        RAMBlock *block = table->by_host[i];

        reach = MAX(reach, (uintptr_t)block->mem.host + block->max_length);
        table->host_reach[i] = reach;
    }
}

/* Publishes the old table with @add in and @remove out (either may be NULL). */
static void table_replace(RAMList *list, RAMBlock *add, RAMBlock *remove)
{
    RAMTable *old = rcu_dereference_ptr(&list->table);
    RAMTable *table = table_alloc(old->n + (add != NULL) - (remove != NULL));
    size_t n = 0;

    for (size_t i = 0; i < old->n; i++) {
        if (old->by_size[i] != remove) {
            g_assert(n < table->n);
            table->by_size[n++] = old->by_size[i];
        }
    }
    if (add) {
        table->by_size[n++] = add;
    }
    g_assert(n == table->n);
    table_sort(table);
    rcu_publish(&list->table, table);
    rcu_defer(&old->rcu, table_free_deferred);
}

RAMList *ram_list_new(void)
{
    RAMList *list = g_new0(RAMList, 1);

    atomic_init(&list->table, table_alloc(0));
    atomic_init(&list->notifiers, g_new0(NotifierTable, 1));
    pthread_mutex_init(&list->leaving_lock, NULL);
    list->leaving = g_ptr_array_new();
    return list;
}

void ram_list_free(RAMList *list)
{
    if (!list) {
        return;
    }
    g_assert(rcu_dereference_ptr(&list->table)->n == 0);
    g_assert(list->leaving->len == 0);
    g_free(rcu_dereference_ptr(&list->table));
    g_free(rcu_dereference_ptr(&list->notifiers));
    g_ptr_array_unref(list->leaving);
    pthread_mutex_destroy(&list->leaving_lock);
    g_free(list);
}

bool ram_list_place(RAMList *list, uint64_t max_length, ram_addr_t *ret_offset)
{
    RAMTable *table = rcu_dereference_ptr(&list->table);
    g_autofree RAMExtent *taken = g_new(RAMExtent, table->n);

    for (size_t i = 0; i < table->n; i++) {
        taken[i] = (RAMExtent){ .start = table->by_offset[i]->offset,
                                .size = table->by_offset[i]->max_length };
    }
    return find_ram_offset(taken, table->n, max_length, RAM_ADDR_ALIGN, UINT64_MAX, ret_offset);
}

void ram_list_insert(RAMList *list, RAMBlock *block)
{
    table_replace(list, block, NULL);
}

void ram_list_remove(RAMList *list, RAMBlock *block)
{
    table_replace(list, NULL, block);
}

GPtrArray *ram_list_blocks(RAMList *list)
{
    RAMTable *table = rcu_dereference_ptr(&list->table);
    GPtrArray *blocks = g_ptr_array_sized_new(table->n);

    for (size_t i = 0; i < table->n; i++) {
        g_ptr_array_add(blocks, table->by_size[i]);
    }
    return blocks;
}

void ram_list_leave(RAMList *list, RAMBlock *block)
{
    pthread_mutex_lock(&list->leaving_lock);
    g_ptr_array_add(list->leaving, block);
    pthread_mutex_unlock(&list->leaving_lock);
}

void ram_list_left(RAMList *list, RAMBlock *block)
{
    pthread_mutex_lock(&list->leaving_lock);
    g_ptr_array_remove_fast(list->leaving, block);
    pthread_mutex_unlock(&list->leaving_lock);
}

GArray *ram_list_leaving(RAMList *list)
{
    GArray *ranges = g_array_new(FALSE, FALSE, sizeof(RAMLeaving));

    pthread_mutex_lock(&list->leaving_lock);
    for (guint i = 0; i < list->leaving->len; i++) {
        const RAMBlock *block = list->leaving->pdata[i];
        RAMLeaving range = { (uintptr_t)block->mem.host, block->mem.size };

        g_array_append_val(ranges, range);
    }
    pthread_mutex_unlock(&list->leaving_lock);
    return ranges;
}

RAMBlock *ram_list_find_named(RAMList *list, const char *idstr)
{
    RAMTable *table = rcu_dereference_ptr(&list->table);

    for (size_t i = 0; i < table->n; i++) {
        if (table->by_size[i]->named && g_str_equal(table->by_size[i]->idstr, idstr)) {
            return table->by_size[i];
        }
    }
    return NULL;
}

RAMBlock *ram_list_find_host(RAMList *list, uintptr_t host)
{
    RAMTable *table = rcu_dereference_ptr(&list->table);
    size_t low = 0, high = table->n;

    /* Behind the last block that starts at or below @host. */
    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if ((uintptr_t)table->by_host[mid]->mem.host <= host) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    while (low > 0 && table->host_reach[low - 1] > host) {
        RAMBlock *block = table->by_host[--low];

        if (host - (uintptr_t)block->mem.host < block->max_length) {
            return block;
        }
    }
    return NULL;
}

RAMBlock *ram_list_find_ram_addr(RAMList *list, ram_addr_t addr)
{
    RAMTable *table = rcu_dereference_ptr(&list->table);
    size_t low = 0, high = table->n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        RAMBlock *block = table->by_offset[mid];

        if (addr < block->offset) {
            high = mid;
        } else if (addr - block->offset < block->max_length) {
            return block;
        } else {
            low = mid + 1;
        }
    }
    return NULL;
}

static void notifiers_replace(RAMList *list, RAMBlockNotifier *add, RAMBlockNotifier *remove)
{
    NotifierTable *old = rcu_dereference_ptr(&list->notifiers);
    size_t n = old->n + (add != NULL);
    NotifierTable *table = g_malloc0(sizeof(*table) + 2 * n * sizeof(RAMBlockNotifier *));

    table->all = &table->storage[0];
    table->dirty = &table->storage[n];
    for (size_t i = 0; i < n; i++) {
        RAMBlockNotifier *notifier = i < old->n ? old->all[i] : add;

        if (notifier == remove) {
            continue;
        }
        table->all[table->n++] = notifier;
        if (notifier->dirty) {
            table->dirty[table->n_dirty++] = notifier;
        }
    }
    rcu_publish(&list->notifiers, table);
    rcu_defer(&old->rcu, table_free_deferred);
}

void ram_list_notifier_insert(RAMList *list, RAMBlockNotifier *n)
{
    notifiers_replace(list, n, NULL);
}

void ram_list_notifier_remove(RAMList *list, RAMBlockNotifier *n)
{
    notifiers_replace(list, NULL, n);
}

GPtrArray *ram_list_notifiers(RAMList *list)
{
    NotifierTable *table = rcu_dereference_ptr(&list->notifiers);
    GPtrArray *copy = g_ptr_array_sized_new(table->n);

    for (size_t i = 0; i < table->n; i++) {
        g_ptr_array_add(copy, table->all[i]);
    }
    return copy;
}

void ram_list_dirty(RAMList *list, RAMBlock *block, uint64_t block_off, uint64_t len)
{
    NotifierTable *table = rcu_dereference_ptr(&list->notifiers);

    for (size_t i = 0; i < table->n_dirty; i++) {
        table->dirty[i]->dirty(table->dirty[i], block, block_off, len);
    }
}
