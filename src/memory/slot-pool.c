/* SPDX-License-Identifier: MIT */
/* SlotPool: numbered slots of one size whose addresses never change. */
#include "slot-pool-internal.h"

#include <errno.h>
#include <sys/mman.h>
#include "tessera/util/error.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POOL_ASAN 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define POOL_ASAN 1
#endif

#ifdef POOL_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n)   ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

#define FIRST_STEP (64u << 10) /* bytes made usable at first: too small for a huge page */
#define MIN_LIMIT  (1u << 12)

static void *reserve(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return p == MAP_FAILED ? NULL : p;
}

static size_t page_round(size_t bytes)
{
    return (bytes + 4095) & ~(size_t)4095;
}

/*
 * Under a limit on address space (RLIMIT_AS) less is reserved: the pool holds fewer slots then,
 * still far more than a machine has tiles.
 */
bool slot_pool_init(SlotPool *pool, const char *what, size_t slot_size, uint32_t limit,
                    GError **error)
{
    g_assert(slot_size % 8 == 0 && limit >= MIN_LIMIT);
    *pool = (SlotPool){ .what = what, .slot_size = slot_size, .first_free = SLOT_NONE };
    for (; limit >= MIN_LIMIT; limit /= 2) {
        pool->base = reserve(limit * slot_size);
        if (!pool->base) {
            continue;
        }
        pool->words = reserve(limit * sizeof(uint64_t));
        if (pool->words) {
            pool->limit = limit;
            pool->reserved = limit * slot_size;
            pthread_mutex_init(&pool->lock, NULL);
            return true;
        }
        munmap(pool->base, limit * slot_size);
        pool->base = NULL;
    }
    error_set_errno(error, errno,
                    "cannot reserve %zu KiB of address space for the memory map's %s (`ulimit -v` "
                    "may be too low)",
                    MIN_LIMIT * slot_size / 1024, what);
    return false;
}

void slot_pool_done(SlotPool *pool)
{
    if (!pool->base) {
        return;
    }
    ASAN_UNPOISON_MEMORY_REGION(pool->base, pool->ready * pool->slot_size);
    munmap(pool->base, pool->reserved);
    munmap((void *)pool->words, pool->reserved / pool->slot_size * sizeof(uint64_t));
    pthread_mutex_destroy(&pool->lock);
    pool->base = NULL;
}

/* Doubles what is usable; the kernel gives memory only when a slot is touched. 0 or an errno. */
static int grow(SlotPool *pool)
{
    size_t first = FIRST_STEP / pool->slot_size;
    size_t ready = pool->ready ? (size_t)pool->ready * 2 : first;

    ready = MIN(ready, pool->limit);
    if (ready <= pool->ready) {
        return ENOSPC;
    }
    if (mprotect(pool->base, page_round(ready * pool->slot_size), PROT_READ | PROT_WRITE) ||
        mprotect((void *)pool->words, page_round(ready * sizeof(uint64_t)),
                 PROT_READ | PROT_WRITE)) {
        return errno;
    }
    pool->ready = ready;
    return 0;
}

/* Takes a slot that is free or was never used. The pool's lock. */
static uint32_t take_slot(SlotPool *pool)
{
    uint32_t slot = pool->first_free;

    if (slot != SLOT_NONE) {
        pool->first_free = (uint32_t)atomic_load_explicit(&pool->words[slot], memory_order_relaxed);
        ASAN_UNPOISON_MEMORY_REGION(slot_pool_at(pool, slot), pool->slot_size);
        return slot;
    }
    if (pool->fresh == pool->ready) {
        int err = grow(pool);

        if (err) {
            pool->failed = err;
            return SLOT_NONE;
        }
    }
    return pool->fresh++;
}

uint32_t slot_pool_get(SlotPool *pool)
{
    uint32_t slot;

    pthread_mutex_lock(&pool->lock);
    slot = take_slot(pool);
    if (slot != SLOT_NONE) {
        pool->used++;
        atomic_store_explicit(&pool->words[slot], 1, memory_order_relaxed);
    }
    pthread_mutex_unlock(&pool->lock);
    return slot;
}

bool slot_pool_check(SlotPool *pool, GError **error)
{
    int failed;

    pthread_mutex_lock(&pool->lock);
    failed = pool->failed;
    pool->failed = 0;
    pthread_mutex_unlock(&pool->lock);
    if (failed == ENOSPC) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_SYSTEM,
                    "the memory map has more %s than the %u that it can have", pool->what,
                    pool->limit);
    } else if (failed) {
        error_set_errno(error, failed,
                        "no memory for more than %u %s of the memory map (`ulimit -d` or the "
                        "host's memory is too low)",
                        pool->ready, pool->what);
    }
    return failed == 0;
}

void slot_pool_put(SlotPool *pool, uint32_t slot)
{
    pthread_mutex_lock(&pool->lock);
    g_assert(slot < pool->fresh && pool->used > 0);
    ASAN_POISON_MEMORY_REGION(slot_pool_at(pool, slot), pool->slot_size);
    atomic_store_explicit(&pool->words[slot], pool->first_free, memory_order_relaxed);
    pool->first_free = slot;
    pool->used--;
    pthread_mutex_unlock(&pool->lock);
}

uint32_t slot_pool_used(SlotPool *pool)
{
    uint32_t used;

    pthread_mutex_lock(&pool->lock);
    used = pool->used;
    pthread_mutex_unlock(&pool->lock);
    return used;
}
