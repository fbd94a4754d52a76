/* SPDX-License-Identifier: MIT */
/* Mappings of guest memory for DMA, in place or through a bounce buffer. */
#include "tessera/memory/address-space.h"

#include <pthread.h>
#include "access-internal.h"

/* What one address_space_map() handed out. */
typedef struct Mapping {
    void *host;
    uint64_t len;
    hwaddr addr;
    MemTxAttrs attrs;
    bool is_write;
    MemoryRegion *mr; /* held; NULL: @host is a bounce buffer */
    uint64_t block_off;
    struct Mapping *same_host; /* another mapping at the same host address */
} Mapping;

struct BouncePool {
    pthread_mutex_t lock; /* guards the two below */
    GHashTable *mappings; /* host address -> Mapping, a chain */
    uint64_t bounce_used; /* bytes */
};

static struct BouncePool *bounce_pool_new(void)
{
    struct BouncePool *pool = g_new0(struct BouncePool, 1);

    pthread_mutex_init(&pool->lock, NULL);
    pool->mappings = g_hash_table_new(g_direct_hash, g_direct_equal);
    return pool;
}

void bounce_pool_free(struct BouncePool *pool)
{
    if (!pool) {
        return;
    }
    g_assert(g_hash_table_size(pool->mappings) == 0);
    g_hash_table_destroy(pool->mappings);
    pthread_mutex_destroy(&pool->lock);
    g_free(pool);
}

/* Most address spaces never see a mapping: the first one makes the pool. */
static struct BouncePool *pool_of(AddressSpace *as)
{
    struct BouncePool *pool = __atomic_load_n(&as->bounce, __ATOMIC_ACQUIRE);
    struct BouncePool *made;

    if (pool) {
        return pool;
    }
    made = bounce_pool_new();
    if (__atomic_compare_exchange_n(&as->bounce, &pool, made, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE)) {
        return made;
    }
    bounce_pool_free(made);
    return pool;
}

static void pool_insert(struct BouncePool *pool, Mapping *m)
{
    pthread_mutex_lock(&pool->lock);
    m->same_host = g_hash_table_lookup(pool->mappings, m->host);
    g_hash_table_insert(pool->mappings, m->host, m);
    pthread_mutex_unlock(&pool->lock);
}

static Mapping *pool_take(struct BouncePool *pool, void *host, uint64_t len, bool is_write)
{
    Mapping *first, **link, *m;

    pthread_mutex_lock(&pool->lock);
    first = g_hash_table_lookup(pool->mappings, host);
    for (link = &first; *link && ((*link)->len != len || (*link)->is_write != is_write);) {
        link = &(*link)->same_host;
    }
    m = *link;
    g_assert(m); /* not what address_space_map() returned */
    *link = m->same_host;
    if (first) {
        g_hash_table_insert(pool->mappings, host, first);
    } else {
        g_hash_table_remove(pool->mappings, host);
    }
    pthread_mutex_unlock(&pool->lock);
    return m;
}

static uint64_t bounce_reserve(struct BouncePool *pool, uint64_t wanted)
{
    uint64_t got;

    pthread_mutex_lock(&pool->lock);
    got = MIN(wanted, ADDRESS_SPACE_BOUNCE_MAX - pool->bounce_used);
    pool->bounce_used += got;
    pthread_mutex_unlock(&pool->lock);
    return got;
}

static void bounce_release(struct BouncePool *pool, uint64_t len)
{
    pthread_mutex_lock(&pool->lock);
    pool->bounce_used -= len;
    pthread_mutex_unlock(&pool->lock);
}

/*
 * How far one mapping at @addr can go: to the end of the tile, or of the hole. If it can be made in
 * place, fills in @m and takes the reference that keeps the memory there. In a read section.
 */
static uint64_t mapping_reach(AddressSpace *as, hwaddr addr, uint64_t len, bool is_write,
                              Mapping *m)
{
    const FlatView *view = address_space_flatview(as);
    const DispatchSection *s = memory_access_lookup(view, addr);
    hwaddr next;

    if (!s->mr) {
        len = MIN(len - 1, UINT64_MAX - addr) + 1;
        if (dispatch_next_start(flatview_dispatch(view), addr, &next)) {
            len = MIN(len, next - addr);
        }
        return len;
    }
    if (is_write ? s->direct_write : s->host != NULL) {
        m->mr = memory_region_ref(s->mr);
        m->host = s->host + (addr - s->start);
        m->block_off = s->offset_in_region + (addr - s->start);
    }
    return MIN(len - 1, s->last - addr) + 1;
}

static bool map_bounce(AddressSpace *as, struct BouncePool *pool, Mapping *m)
{
    m->len = bounce_reserve(pool, m->len);
    if (m->len == 0) {
        return false;
    }
    m->host = g_malloc0(m->len);
    if (!m->is_write) {
        memory_access_buffer(as, m->addr, m->attrs, m->host, m->len, false);
    }
    return true;
}

void *address_space_map(AddressSpace *as, hwaddr addr, uint64_t *len, bool is_write,
                        MemTxAttrs attrs)
{
    struct BouncePool *pool = pool_of(as);
    Mapping *m;

    g_assert(*len > 0);
    m = g_new(Mapping, 1);
    *m = (Mapping){ .addr = addr, .attrs = attrs, .is_write = is_write };
    rcu_read_section_enter();
    m->len = mapping_reach(as, addr, *len, is_write, m);
    rcu_read_section_leave();
    if (!m->mr && !map_bounce(as, pool, m)) {
        g_free(m);
        *len = 0;
        return NULL;
    }
    pool_insert(pool, m);
    *len = m->len;
    return m->host;
}

/*
 * Logging may have started since the memory was mapped, and the memory may have moved: asks the
 * view of today. Where it no longer shows the region, its log may still be read: marked as well.
 */
static void mark_mapping_dirty(AddressSpace *as, const Mapping *m, uint64_t len)
{
    const DispatchSection *s;

    rcu_read_section_enter();
    s = memory_access_lookup(address_space_flatview(as), m->addr);
    if (s->mr != m->mr || s->dirty_log_mask) {
        ram_block_mark_dirty(m->mr->block, m->block_off, len);
    }
    rcu_read_section_leave();
}

void address_space_unmap(AddressSpace *as, void *host, uint64_t len, bool is_write,
                         uint64_t access_len)
{
    struct BouncePool *pool = pool_of(as);
    Mapping *m = pool_take(pool, host, len, is_write);

    g_assert(access_len <= m->len);
    if (m->mr) {
        if (is_write && access_len) {
            mark_mapping_dirty(as, m, access_len);
        }
        memory_region_unref(m->mr);
    } else {
        if (is_write && access_len) {
            memory_access_buffer(as, m->addr, m->attrs, host, access_len, true);
        }
        g_free(host);
        bounce_release(pool, m->len);
    }
    g_free(m);
}

static bool writable_by_loader(const DispatchSection *s)
{
    return s->mr && s->mr->block && s->mr->kind != REGION_RAM_DEVICE &&
           !(ram_block_flags(s->mr->block) & RAM_READONLY);
}

void *address_space_ram_host(AddressSpace *as, hwaddr addr, uint64_t len)
{
    const DispatchSection *s;
    void *host = NULL;

    g_assert(memory_system_is_locked(as->ms));
    rcu_read_section_enter();
    s = memory_access_lookup(address_space_flatview(as), addr);
    if (len && writable_by_loader(s) && len - 1 <= s->last - addr) {
        uint64_t block_off = s->offset_in_region + (addr - s->start);

        host = (uint8_t *)ram_block_host(s->mr->block) + block_off;
        if (s->dirty_log_mask) {
            ram_block_mark_dirty(s->mr->block, block_off, len);
        }
    }
    rcu_read_section_leave();
    return host;
}
