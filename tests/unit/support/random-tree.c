/* SPDX-License-Identifier: MIT */
/* Random trees of regions and random edits. */
#include "random-tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

#define PAGE 0x1000u

uint32_t random_tree_below(RandomTree *t, uint32_t n)
{
    return test_random_below(t->random, n);
}

static uint32_t below(RandomTree *t, uint32_t n)
{
    return random_tree_below(t, n);
}

/* Every byte of a region says whose it is. */
static uint8_t byte_of(unsigned i)
{
    return (uint8_t)(1 + i % 251);
}

static unsigned index_of(const RandomTree *t, const MemoryRegion *mr)
{
    unsigned i = 0;

    while (t->regions[i] != mr) {
        assert_true(++i < t->style.regions);
    }
    return i;
}

uint8_t random_tree_byte(const RandomTree *t, const MemoryRegion *mr)
{
    return byte_of(index_of(t, mr));
}

static MemTxResult read_byte(void *opaque, hwaddr offset, uint64_t *ret_value, unsigned size,
                             MemTxAttrs attrs)
{
    *ret_value = byte_of(GPOINTER_TO_UINT(opaque));
    return MEMTX_OK;
}

static MemTxResult no_write(void *opaque, hwaddr offset, uint64_t value, unsigned size,
                            MemTxAttrs attrs)
{
    return MEMTX_OK;
}

static const MemoryRegionOps byte_ops = { .read = read_byte, .write = no_write };

/* --- Regions --- */

/*
 * Places that collide often, some of them not aligned to pages; and the edges of 2^64. Most lie in
 * @in, which shows what lies there.
 */
static hwaddr random_addr(RandomTree *t, const MemoryRegion *in)
{
    Int128 places = in ? in->size / 0x400 + 1 : INT128_2_64;
    hwaddr near_zero = (hwaddr)below(t, (uint32_t)MIN(places, t->style.places)) * 0x400;

    if (below(t, t->style.edges) == 0) {
        return below(t, 2) ? UINT64_MAX - near_zero : (hwaddr)1 << 63;
    }
    switch (below(t, 8)) {
    case 0:
        return near_zero + below(t, 0x400);
    case 1:
        return 0;
    default:
        return near_zero;
    }
}

static Int128 random_size(RandomTree *t)
{
    if (below(t, t->style.edges) == 0) {
        return below(t, 2) ? INT128_2_64 : INT128_2_64 - 1 - below(t, 0x2000);
    }
    switch (below(t, 8)) {
    case 0:
        return 1 + below(t, 7);
    case 1:
        return (Int128)(1 + below(t, t->style.places)) * 0x400;
    default:
        return (Int128)(1 + below(t, 24)) * 0x400;
    }
}

static MemoryRegion *new_block_region(RandomTree *t, unsigned i, const char *name)
{
    g_autoptr(GError) error = NULL;
    uint64_t size = (1 + below(t, 6)) * PAGE;
    RAMBlock *block = ram_block_new(t->ms, name, size, 8 * PAGE, RAM_NORESERVE, &error);
    MemoryRegion *mr;

    if (!block) {
        fail_msg("%s", error->message);
    }
    t->blocks[i] = block;
    memset(ram_block_host(block), byte_of(i), size);
    switch (below(t, 4)) {
    case 0:
        mr = memory_region_new_rom(t->ms, NULL, name, block);
        break;
    case 1:
        mr = memory_region_new_rom_device(t->ms, NULL, &byte_ops, GUINT_TO_POINTER(i), name, block);
        break;
    case 2:
        mr = memory_region_new_ram_device(t->ms, NULL, name, block);
        break;
    default:
        mr = memory_region_new_ram(t->ms, NULL, name, block);
        break;
    }
    return mr;
}

static MemoryRegion *new_random_region(RandomTree *t, unsigned i, const char *name)
{
    uint32_t dice = below(t, 10);
    MemoryRegion *target;
    hwaddr offset;

    if (dice < 3) {
        return memory_region_new_container(t->ms, NULL, name, random_size(t));
    }
    if (dice < 5) {
        return memory_region_new_io(t->ms, NULL, &byte_ops, GUINT_TO_POINTER(i), name,
                                    random_size(t));
    }
    if (dice < 8) {
        return new_block_region(t, i, name);
    }
    target = t->regions[below(t, 3) ? below(t, i) : 0];
    /* One after the other, for equal trees by every compiler. */
    offset = below(t, 3) ? random_addr(t, target) : 0;
    return memory_region_new_alias(t->ms, NULL, name, target, offset,
                                   below(t, 4) ? random_size(t) : target->size);
}

static void new_region(RandomTree *t, unsigned i)
{
    g_autofree char *name = g_strdup_printf("r%u", i);
    MemoryRegion *mr;

    if (i == 0 || i == 2) {
        mr = memory_region_new_container(t->ms, NULL, name, INT128_2_64);
    } else if (i == 1) {
        mr = memory_region_new_alias(t->ms, NULL, name, t->regions[0], 0, INT128_2_64);
    } else {
        mr = new_random_region(t, i, name);
    }
    t->regions[i] = mr;
    t->shadows[i] = (Shadow){ .size = mr->size, .alias_offset = mr->alias_offset, .container = -1,
                              .enabled = true, .readonly = mr->readonly,
                              .romd_mode = mr->romd_mode };
}

/* --- Edits --- */

static bool reaches(MemoryRegion *from, MemoryRegion *to);

typedef struct Reach {
    MemoryRegion *to;
    bool found;
} Reach;

static void reach_child(MemoryRegion *sub, void *opaque)
{
    Reach *reach = opaque;

    reach->found = reach->found || reaches(sub, reach->to);
}

static bool reaches(MemoryRegion *from, MemoryRegion *to)
{
    Reach reach = { .to = to, .found = from == to };

    if (!reach.found && from->alias) {
        reach.found = reaches(from->alias, to);
    }
    memory_region_for_each_subregion(from, reach_child, &reach);
    return reach.found;
}

static void edit_del(RandomTree *t, unsigned i)
{
    Shadow *s = &t->shadows[i];

    if (s->container >= 0) {
        assert_true(memory_region_del_subregion(t->regions[s->container], t->regions[i], NULL));
        s->container = -1;
    }
}

static void edit_add(RandomTree *t, unsigned i, unsigned j)
{
    MemoryRegion *container = t->regions[j], *sub = t->regions[i];
    hwaddr addr = random_addr(t, container);
    int priority = (int)below(t, 5) - 2;
    bool allowed, ok;

    if (below(t, 2)) {
        edit_del(t, i); /* it moves */
    }
    allowed = !sub->container && container->kind != REGION_ALIAS && !reaches(sub, container);
    ok = memory_region_add_subregion_overlap(container, addr, sub, priority, NULL);
    assert_int_equal(ok, allowed);
    if (ok) {
        t->shadows[i].container = (int)j;
        t->shadows[i].addr = addr;
        t->shadows[i].priority = priority;
        t->shadows[i].age = ++t->age;
    }
}

/* What the block has in use grows first, if that is the wish; it never shrinks below a region. */
static void edit_size(RandomTree *t, unsigned i)
{
    MemoryRegion *mr = t->regions[i];
    Int128 size = i == 0 && below(t, 8) ? INT128_2_64 : random_size(t); /* or nothing shows */
    bool allowed;

    if (mr->block && below(t, 2)) {
        uint64_t length = (4 + below(t, 5)) * PAGE;

        if (length >= t->shadows[i].size && ram_block_resize(mr->block, length, NULL)) {
            memset(ram_block_host(mr->block), byte_of(i), length);
        }
        size = 1 + below(t, (uint32_t)ram_block_used_length(mr->block));
    }
    allowed = !mr->block || size <= ram_block_used_length(mr->block);
    assert_int_equal(memory_region_set_size(mr, size, NULL), allowed);
    if (allowed) {
        t->shadows[i].size = size;
    }
}

static void edit_place(RandomTree *t, unsigned i)
{
    MemoryRegion *mr = t->regions[i];
    Shadow *s = &t->shadows[i];
    hwaddr addr = random_addr(t, mr->container);
    int priority = (int)below(t, 5) - 2;

    switch (below(t, 5)) {
    case 0:
        edit_del(t, i);
        break;
    case 1:
        assert_true(memory_region_set_address(mr, addr, NULL));
        s->addr = addr;
        s->age = ++t->age;
        break;
    case 2:
        assert_true(memory_region_set_priority(mr, priority, NULL));
        s->priority = priority;
        break;
    case 3:
        edit_size(t, i);
        break;
    default:
        addr = random_addr(t, mr->alias);
        if (memory_region_set_alias_offset(mr, addr, NULL)) {
            s->alias_offset = addr;
        }
    }
}

static void edit_attribute(RandomTree *t, unsigned i)
{
    MemoryRegion *mr = t->regions[i];
    Shadow *s = &t->shadows[i];
    bool on = below(t, 2);
    unsigned client;

    switch (below(t, 5)) {
    case 0:
        on = below(t, i < 3 ? 16 : 3) != 0; /* mostly something to see */
        if (memory_region_set_enabled(mr, on, NULL)) {
            s->enabled = on;
        }
        break;
    case 1:
        if (memory_region_set_readonly(mr, on, NULL)) {
            s->readonly = on;
        }
        break;
    case 2:
        if (memory_region_set_nonvolatile(mr, on, NULL)) {
            s->nonvolatile = on;
        }
        break;
    case 3:
        if (memory_region_rom_device_set_romd(mr, on, NULL)) {
            s->romd_mode = on;
        }
        break;
    default:
        client = below(t, 2) ? DIRTY_CLIENT_MIGRATION : DIRTY_CLIENT_MONITOR;
        if (memory_region_set_log(mr, on, client, NULL)) {
            s->dirty_log_mask = on ? s->dirty_log_mask | client : s->dirty_log_mask & ~client;
        }
    }
}

/* Few offsets and notifiers, so that they are found again, refused, and replaced. */
static void edit_events(RandomTree *t, unsigned i)
{
    MemoryRegion *mr = t->regions[i];
    EventNotifier *notifier = &t->notifiers[below(t, RANDOM_TREE_NOTIFIERS)];
    hwaddr offset = (hwaddr)below(t, 5) * 0x3ff;
    unsigned size = 1u << below(t, 4);
    bool match = below(t, 2);
    uint64_t data = 7 * below(t, 2);

    switch (below(t, 5)) {
    case 0:
        memory_region_del_eventfd(mr, offset, size, match, data, notifier, NULL);
        break;
    case 1:
        memory_region_add_coalescing(mr, offset, 1 + below(t, 0x2000), NULL);
        break;
    case 2:
        memory_region_clear_coalescing(mr, NULL);
        break;
    default:
        memory_region_add_eventfd(mr, offset, size, match, data, notifier, NULL);
    }
}

void random_tree_edit(RandomTree *t, const MemoryRegion *shown)
{
    unsigned i = shown && below(t, 2) ? index_of(t, shown) : below(t, t->style.regions);
    uint32_t dice = below(t, 12);

    if (dice < 4) {
        edit_add(t, i, below(t, 3) ? 0 : below(t, t->style.regions));
    } else if (dice < 8) {
        edit_place(t, i);
    } else if (dice < 10) {
        edit_attribute(t, i);
    } else {
        edit_events(t, i);
    }
}

void random_tree_check(RandomTree *t)
{
    for (unsigned i = 0; i < t->style.regions; i++) {
        const MemoryRegion *mr = t->regions[i];
        const Shadow *s = &t->shadows[i];

        assert_ptr_equal(mr->container, s->container < 0 ? NULL : t->regions[s->container]);
        assert_true(mr->size == s->size && mr->addr == s->addr && mr->priority == s->priority &&
                    mr->alias_offset == s->alias_offset && mr->enabled == s->enabled &&
                    mr->readonly == s->readonly && mr->nonvolatile == s->nonvolatile &&
                    mr->romd_mode == s->romd_mode && mr->dirty_log_mask == s->dirty_log_mask);
        for (unsigned j = 0; j < i; j++) {
            if (s->container >= 0 && s->container == t->shadows[j].container) {
                assert_int_equal(mr->order > t->regions[j]->order, s->age > t->shadows[j].age);
            }
        }
    }
}

void random_tree_init(RandomTree *t, TestRandom *random, const TreeStyle *style)
{
    *t = (RandomTree){ .style = *style, .random = random, .ms = memory_system_new(NULL) };
    for (unsigned i = 0; i < style->regions; i++) {
        new_region(t, i);
    }
    memory_region_transaction_begin(t->ms);
    for (unsigned i = 1; i < style->regions; i++) {
        edit_add(t, i, i == 1 ? 2 : below(t, 3) ? 0 : below(t, style->regions));
    }
    assert_true(memory_region_set_address(t->regions[1], 0, NULL));
    t->shadows[1].addr = 0;
    t->shadows[1].age = ++t->age;
    assert_true(memory_region_transaction_commit(t->ms, NULL));
}

void random_tree_done(RandomTree *t)
{
    memory_region_transaction_begin(t->ms);
    for (unsigned i = 0; i < t->style.regions; i++) {
        edit_del(t, i);
    }
    assert_true(memory_region_transaction_commit(t->ms, NULL));
    for (unsigned i = t->style.regions; i-- > 0;) {
        memory_region_release(t->regions[i]);
        ram_block_unref(t->blocks[i]);
    }
    memory_system_free(t->ms);
}
