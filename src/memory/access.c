/* SPDX-License-Identifier: MIT */
/* The access path: reads and writes of an address space, tile by tile. */
#include "tessera/memory/address-space.h"

#include "access-internal.h"
#include "tessera/util/trace.h"

_Thread_local RecentSection recent_sections[RECENT_VIEWS] __attribute__((aligned(64)));

/*
 * A region whose callback is running on this thread; they nest when a callback makes accesses of its
 * own. Each frame that is not @detached stands for one read section of this thread.
 */
typedef struct AccessFrame {
    MemoryRegion *mr;
    struct AccessFrame *outer;
    bool detached; /* the read section was left; the frame holds a reference on @mr instead */
} AccessFrame;

static _Thread_local AccessFrame *innermost_frame;

/* One call of address_space_rw() or its kin. */
typedef struct Access {
    AddressSpace *as;
    const FlatView *view;
    MemTxAttrs attrs;
    MemTxResult result;
    bool single; /* one instruction's access: an I/O region at its first byte gets it whole */
} Access;

/* A step deals with the first bytes of what is left and returns how many; never 0. */
typedef uint64_t AccessStep(Access *a, hwaddr addr, uint8_t *buf, uint64_t len);

const DispatchSection *memory_access_lookup_slow(const Dispatch *dispatch, hwaddr addr)
{
    const DispatchSection *s = dispatch_lookup(dispatch, addr);

    if (s->mr) { /* unassigned space has no bounds to remember */
        recent_sections[dispatch->generation % RECENT_VIEWS] =
            (RecentSection){ dispatch->generation, s->start, s->last - s->start, s };
    }
    return s;
}

void memory_access_leave_read_section(void)
{
    for (AccessFrame *f = innermost_frame; f && !f->detached; f = f->outer) {
        memory_region_ref(f->mr); /* all of them before the first section is left */
    }
    for (AccessFrame *f = innermost_frame; f && !f->detached; f = f->outer) {
        f->detached = true;
        rcu_read_section_leave();
    }
}

static void access_enter(Access *a)
{
    rcu_read_section_enter();
    a->view = address_space_flatview(a->as);
}

static void frame_push(AccessFrame *f, MemoryRegion *mr)
{
    f->mr = mr;
    f->detached = false;
    f->outer = innermost_frame;
    innermost_frame = f;
}

/*
 * The callback may have edited the map: goes on with the view of now. One that had to leave the
 * read section opens another; one that ran with the machine lock held is still in the old one.
 */
static void frame_pop(AccessFrame *f, Access *a)
{
    innermost_frame = f->outer;
    if (G_UNLIKELY(f->detached)) {
        memory_region_unref(f->mr);
        access_enter(a);
    } else {
        a->view = address_space_flatview(a->as);
    }
}

/* Writes that the guest made before this access, and that wait in a queue, come first. */
static void flush_coalesced(const Access *a, const MemoryRegion *mr)
{
    const CoalescedFlush *f;

    if (G_LIKELY(!atomic_load_explicit(&mr->flush_coalesced, memory_order_relaxed)) ||
        a->attrs.debug) {
        return;
    }
    f = rcu_dereference_ptr(&mr->ms->coalesced_flush);
    if (f) {
        f->flush(f->opaque);
    }
}

static uint64_t clamp_to_tile(const DispatchSection *s, hwaddr addr, uint64_t len)
{
    return MIN(len - 1, s->last - addr) + 1;
}

/* An exit counts where its first piece goes. */
static inline void count(Access *a, const DispatchSection *s, bool is_write)
{
    access_count(a->as->ms, s->counter, is_write, a->attrs.exit);
    a->attrs.exit = false;
}

static hwaddr region_offset(const DispatchSection *s, hwaddr addr)
{
    return s->offset_in_region + (addr - s->start);
}

static uint64_t unassigned_bytes(const Access *a, hwaddr addr, uint64_t len)
{
    hwaddr start;

    if (a->single || !dispatch_next_start(flatview_dispatch(a->view), addr, &start)) {
        return len;
    }
    return MIN(len, start - addr);
}

static uint64_t io_bytes(const Access *a, const DispatchSection *s, hwaddr addr, uint64_t len)
{
    if (!a->single) {
        len = clamp_to_tile(s, addr, len);
    }
    return memory_io_access_size(s->mr->ops, region_offset(s, addr), len, a->single);
}

/* @sizes: of the region's whole_reads or whole_writes. What an earlier piece left may be 3 bytes. */
static bool goes_whole(const Access *a, uint8_t sizes, hwaddr offset, uint64_t len)
{
    return a->single && (sizes & len) && !((offset | len) & (len - 1));
}

/* Device memory is reached with aligned accesses of 1, 2, 4 or 8 bytes. */
static uint64_t ram_device_bytes(const DispatchSection *s, const uint8_t *host, hwaddr addr,
                                 uint64_t len)
{
    uint64_t n = 8;

    len = clamp_to_tile(s, addr, len);
    while (n > len || ((uintptr_t)host & (n - 1))) {
        n /= 2;
    }
    return n;
}

static uint8_t *block_host(const DispatchSection *s, hwaddr addr)
{
    return (uint8_t *)ram_block_host(s->mr->block) + region_offset(s, addr);
}

static void mark_dirty(const DispatchSection *s, hwaddr addr, uint64_t len)
{
    if (G_UNLIKELY(s->dirty_log_mask)) {
        ram_block_mark_dirty(s->mr->block, region_offset(s, addr), len);
    }
}

/* What reads that are not made in place do. */
static uint64_t read_slow(Access *a, const DispatchSection *s, hwaddr addr, uint8_t *buf,
                          uint64_t len)
{
    AccessFrame frame;
    hwaddr offset;
    uint64_t n;
    bool whole;

    if (!s->mr) {
        n = unassigned_bytes(a, addr, len);
        memset(buf, 0xff, n);
        a->result |= MEMTX_DECODE_ERROR;
        return n;
    }
    if (s->mr->kind == REGION_RAM_DEVICE) {
        const uint8_t *host = block_host(s, addr);

        n = ram_device_bytes(s, host, addr, len);
        copy_from_memory(buf, host, n);
        return n;
    }
    offset = region_offset(s, addr);
    whole = goes_whole(a, s->mr->whole_reads, offset, len);
    n = whole ? len : io_bytes(a, s, addr, len);
    frame_push(&frame, s->mr);
    flush_coalesced(a, frame.mr); /* may edit the map: @s is not used any more */
    a->result |= whole ? memory_io_read_whole(frame.mr, offset, buf, n, a->attrs)
                       : memory_io_read(frame.mr, offset, buf, n, a->attrs);
    frame_pop(&frame, a);
    return n;
}

static uint64_t read_step(Access *a, hwaddr addr, uint8_t *buf, uint64_t len)
{
    const DispatchSection *s = memory_access_lookup(a->view, addr);

    count(a, s, false);
    if (G_LIKELY(s->host)) {
        uint64_t n = clamp_to_tile(s, addr, len);

        copy_from_memory(buf, s->host + (addr - s->start), n);
        return n;
    }
    return read_slow(a, s, addr, buf, len);
}

static uint64_t drop_rom_write(Access *a, const DispatchSection *s, hwaddr addr, uint64_t len)
{
    atomic_fetch_add_explicit(&a->as->ms->rom_writes, 1, memory_order_relaxed);
    a->result |= MEMTX_ROM_WRITE;
    return clamp_to_tile(s, addr, len);
}

static uint64_t write_ram_device(const DispatchSection *s, hwaddr addr, const uint8_t *buf,
                                 uint64_t len)
{
    uint8_t *host = block_host(s, addr);
    uint64_t n = ram_device_bytes(s, host, addr, len);

    copy_to_memory(host, buf, n);
    mark_dirty(s, addr, n);
    return n;
}

/* What writes that are not made in place do. */
static uint64_t write_slow(Access *a, const DispatchSection *s, hwaddr addr, const uint8_t *buf,
                           uint64_t len)
{
    AccessFrame frame;
    hwaddr offset;
    uint64_t n;
    bool whole;

    if (!s->mr) {
        a->result |= MEMTX_DECODE_ERROR;
        return unassigned_bytes(a, addr, len);
    }
    if (s->mr->ops) { /* I/O, or a ROM device in either mode */
        offset = region_offset(s, addr);
        whole = goes_whole(a, s->mr->whole_writes, offset, len);
        n = whole ? len : io_bytes(a, s, addr, len);
        frame_push(&frame, s->mr);
        flush_coalesced(a, frame.mr);
        a->result |= whole ? memory_io_write_whole(frame.mr, offset, buf, n, a->attrs)
                           : memory_io_write(frame.mr, offset, buf, n, a->attrs);
        frame_pop(&frame, a);
        return n;
    }
    if (s->readonly) {
        return drop_rom_write(a, s, addr, len);
    }
    return write_ram_device(s, addr, buf, len);
}

static uint64_t write_step(Access *a, hwaddr addr, uint8_t *buf, uint64_t len)
{
    const DispatchSection *s = memory_access_lookup(a->view, addr);

    count(a, s, true);
    if (G_LIKELY(s->direct_write)) {
        uint64_t n = clamp_to_tile(s, addr, len);

        copy_to_memory(s->host + (addr - s->start), buf, n);
        mark_dirty(s, addr, n);
        return n;
    }
    return write_slow(a, s, addr, buf, len);
}

/* A loader's write: what the guest may not write is written, what is no memory is left alone. */
static uint64_t write_rom_step(Access *a, hwaddr addr, uint8_t *buf, uint64_t len)
{
    const DispatchSection *s = memory_access_lookup(a->view, addr);
    uint64_t n;

    if (!s->mr) {
        a->result |= MEMTX_DECODE_ERROR;
        return unassigned_bytes(a, addr, len);
    }
    n = clamp_to_tile(s, addr, len);
    if (!s->mr->block) {
        a->result |= MEMTX_ERROR;
        return n;
    }
    if (ram_block_flags(s->mr->block) & RAM_READONLY) {
        return drop_rom_write(a, s, addr, len);
    }
    if (s->mr->kind == REGION_RAM_DEVICE) {
        return write_ram_device(s, addr, buf, len);
    }
    copy_to_memory(block_host(s, addr), buf, n);
    mark_dirty(s, addr, n);
    return n;
}

/* Asks instead of accessing; @is_write is a constant in each of its two callers. */
static inline uint64_t check_step(Access *a, hwaddr addr, uint64_t len, bool is_write)
{
    const DispatchSection *s = memory_access_lookup(a->view, addr);
    AccessFrame frame;
    uint64_t n;

    if (!s->mr) {
        a->result |= MEMTX_DECODE_ERROR;
        return len;
    }
    if (s->mr->ops && (is_write || !s->host)) {
        n = io_bytes(a, s, addr, len);
        frame_push(&frame, s->mr);
        if (!memory_io_accepts(frame.mr, region_offset(s, addr), n, is_write, a->attrs)) {
            a->result |= MEMTX_ERROR;
        }
        frame_pop(&frame, a);
        return n;
    }
    if (is_write && s->readonly) {
        a->result |= MEMTX_ROM_WRITE;
    }
    return clamp_to_tile(s, addr, len);
}

static uint64_t check_read_step(Access *a, hwaddr addr, uint8_t *buf, uint64_t len)
{
    return check_step(a, addr, len, false);
}

static uint64_t check_write_step(Access *a, hwaddr addr, uint8_t *buf, uint64_t len)
{
    return check_step(a, addr, len, true);
}

/* The tile is looked up a second time for it: the path without a trace has no part in this. */
static void trace_dispatch(const Access *a, hwaddr addr, uint64_t len, bool is_write)
{
    const DispatchSection *s = memory_access_lookup(a->view, addr);

    trace_event(memory_dispatch, .region = s->mr ? s->mr->name : "nothing", .space = a->as->name,
                .address = addr, .offset = s->mr ? region_offset(s, addr) : addr, .size = len,
                .write = is_write);
}

static uint64_t traced_read_step(Access *a, hwaddr addr, uint8_t *buf, uint64_t len)
{
    trace_dispatch(a, addr, len, false);
    return read_step(a, addr, buf, len);
}

static uint64_t traced_write_step(Access *a, hwaddr addr, uint8_t *buf, uint64_t len)
{
    trace_dispatch(a, addr, len, true);
    return write_step(a, addr, buf, len);
}

static inline __attribute__((always_inline)) MemTxResult
access_walk(AddressSpace *as, hwaddr addr, MemTxAttrs attrs, uint8_t *buf, uint64_t len,
            bool single, AccessStep *step)
{
    Access a = { .as = as, .attrs = attrs, .single = single };

    access_enter(&a);
    while (len) {
        uint64_t n = step(&a, addr, buf, len);

        addr += n;
        buf = buf ? buf + n : NULL;
        len -= n;
        if (G_UNLIKELY(len && addr < n)) {
            /* Nothing lies at 2^64 and above; an access does not come round to address 0. */
            if (buf && (step == read_step || step == traced_read_step)) {
                memset(buf, 0xff, len);
            }
            a.result |= MEMTX_DECODE_ERROR;
            break;
        }
    }
    rcu_read_section_leave();
    return a.result;
}

MemTxResult address_space_read(AddressSpace *as, hwaddr addr, MemTxAttrs attrs, void *buf,
                               uint64_t len)
{
    return access_walk(as, addr, attrs, buf, len, memory_is_single_access(len), read_step);
}

MemTxResult address_space_write(AddressSpace *as, hwaddr addr, MemTxAttrs attrs, const void *buf,
                                uint64_t len)
{
    return access_walk(as, addr, attrs, (uint8_t *)buf, len, memory_is_single_access(len),
                       write_step);
}

MemTxResult address_space_rw(AddressSpace *as, hwaddr addr, MemTxAttrs attrs, void *buf,
                             uint64_t len, bool is_write)
{
    return is_write ? address_space_write(as, addr, attrs, buf, len)
                    : address_space_read(as, addr, attrs, buf, len);
}

MemTxResult address_space_rw_traced(AddressSpace *as, hwaddr addr, MemTxAttrs attrs, void *buf,
                                    uint64_t len, bool is_write)
{
    return access_walk(as, addr, attrs, buf, len, memory_is_single_access(len),
                       is_write ? traced_write_step : traced_read_step);
}

MemTxResult memory_access_buffer(AddressSpace *as, hwaddr addr, MemTxAttrs attrs, void *buf,
                                 uint64_t len, bool is_write)
{
    return access_walk(as, addr, attrs, buf, len, false, is_write ? write_step : read_step);
}

MemTxResult address_space_write_rom(AddressSpace *as, hwaddr addr, MemTxAttrs attrs,
                                    const void *buf, uint64_t len)
{
    return access_walk(as, addr, attrs, (uint8_t *)buf, len, false, write_rom_step);
}

bool address_space_access_valid(AddressSpace *as, hwaddr addr, uint64_t len, bool is_write,
                                MemTxAttrs attrs)
{
    return access_walk(as, addr, attrs, NULL, len, memory_is_single_access(len),
                       is_write ? check_write_step : check_read_step) == MEMTX_OK;
}

uint64_t memory_system_rom_writes(MemorySystem *ms)
{
    return atomic_load_explicit(&ms->rom_writes, memory_order_relaxed);
}
