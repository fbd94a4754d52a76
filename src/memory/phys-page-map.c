/* SPDX-License-Identifier: MIT */
/* PhysPageMap: builds the radix of a view in one walk over its tiles, and drops it again. */
#include <glib.h>
#include <string.h>
#include "section-table-internal.h"

/* A walk over the tiles by address, with one tile of foresight. */
typedef struct Cursor {
    FlatViewIter it;
    const FlatRange *cur;
    const FlatRange *next;
} Cursor;

typedef struct Builder {
    SectionTable *table;
    Cursor cursor;
    uint64_t nodes;
    size_t subpage_bytes;
} Builder;

static PhysPageEntry make_entry(unsigned skip, uint32_t ptr)
{
    return ptr << PHYS_SKIP_BITS | skip;
}

static unsigned entry_skip(PhysPageEntry entry)
{
    return entry & PHYS_SKIP_MASK;
}

static uint32_t entry_ptr(PhysPageEntry entry)
{
    return entry >> PHYS_SKIP_BITS;
}

static PhysPageEntry make_leaf(const FlatRange *fr)
{
    g_assert(fr->section_id != SECTION_ID_UNASSIGNED);
    if (fr->section_id == SECTION_ID_NONE) {
        return PHYS_UNASSIGNED; /* there was no memory for it: nobody will see this map */
    }
    return make_entry(0, fr->section_id);
}

static void cursor_advance(Cursor *c)
{
    c->cur = c->next;
    c->next = c->cur ? flatview_iter_next(&c->it) : NULL;
}

static void cursor_init(Cursor *c, const FlatView *view)
{
    flatview_iter_init(&c->it, view);
    c->cur = NULL;
    c->next = flatview_iter_next(&c->it);
    cursor_advance(c);
}

static void cursor_pass_below(Cursor *c, hwaddr addr)
{
    while (c->cur && c->cur->last < addr) {
        cursor_advance(c);
    }
}

/* Last address of the window of one entry: a page at level 0, the whole space at PHYS_LEVELS. */
static hwaddr window_last(unsigned level, hwaddr base)
{
    unsigned bits = PHYS_PAGE_BITS + PHYS_LEVEL_BITS * level;

    return bits >= 64 ? UINT64_MAX : base + ((UINT64_C(1) << bits) - 1);
}

static size_t subpage_size(uint32_t count)
{
    return sizeof(PhysSubpage) + count * (sizeof(uint32_t) + sizeof(uint16_t));
}

/* All tiles that touch the page at @base, the cursor's first. */
static G_GNUC_NO_INLINE PhysPageEntry build_subpage(Builder *b, hwaddr base)
{
    hwaddr last = window_last(0, base);
    uint16_t starts[1u << PHYS_PAGE_BITS];
    uint32_t ids[1u << PHYS_PAGE_BITS];
    uint32_t count = 0;
    uint32_t slot;
    PhysSubpage *sp;

    while (b->cursor.cur && b->cursor.cur->start <= last) {
        const FlatRange *fr = b->cursor.cur;

        starts[count] = fr->start > base ? fr->start - base : 0;
        ids[count] = entry_ptr(make_leaf(fr));
        count++;
        if (fr->last >= last) {
            break; /* may reach into the next page: not passed yet */
        }
        cursor_advance(&b->cursor);
    }
    sp = g_malloc(subpage_size(count));
    sp->count = count;
    memcpy(sp->ids, ids, count * sizeof(*ids));
    memcpy(phys_subpage_starts(sp), starts, count * sizeof(*starts));
    slot = slot_pool_get(&b->table->subpages);
    if (slot == SLOT_NONE) {
        g_free(sp);
        return PHYS_UNASSIGNED;
    }
    *(PhysSubpage **)slot_pool_at(&b->table->subpages, slot) = sp;
    b->subpage_bytes += subpage_size(count) + sizeof(PhysSubpage *);
    return make_entry(PHYS_SUBPAGE, slot);
}

static PhysPageEntry build_window(Builder *b, unsigned level, hwaddr base);

/*
 * Takes the window at @base of an entry at @level apart into entries of the level below. If only one
 * of them is in use, that one takes the place of the node.
 */
static PhysPageEntry build_node(Builder *b, unsigned level, hwaddr base)
{
    unsigned child_bits = PHYS_PAGE_BITS + PHYS_LEVEL_BITS * (level - 1);
    unsigned count = MIN(PHYS_NODE_SIZE, 1u << MIN(64 - child_bits, 31u));
    hwaddr last = window_last(level, base);
    PhysPageEntry entries[PHYS_NODE_SIZE] = { 0 };
    unsigned used = 0, only = 0;
    uint32_t slot;

    for (unsigned i = 0; i < count; i++) {
        hwaddr child = base + ((hwaddr)i << child_bits);

        cursor_pass_below(&b->cursor, child);
        if (!b->cursor.cur || b->cursor.cur->start > last) {
            break;
        }
        if (b->cursor.cur->start > child) {
            i = MAX(i, (b->cursor.cur->start - base) >> child_bits);
            child = base + ((hwaddr)i << child_bits);
        }
        entries[i] = build_window(b, level - 1, child);
        used++;
        only = i;
    }
    if (used == 1) {
        unsigned skip = entry_skip(entries[only]);

        return skip == 0 || skip == PHYS_SUBPAGE ? entries[only]
                                                 : make_entry(skip + 1, entry_ptr(entries[only]));
    }
    slot = slot_pool_get(&b->table->nodes);
    if (slot == SLOT_NONE) {
        for (unsigned i = 0; i < count; i++) {
            phys_page_map_unref(b->table, entries[i]);
        }
        return PHYS_UNASSIGNED;
    }
    memcpy(slot_pool_at(&b->table->nodes, slot), entries, sizeof(entries));
    b->nodes++;
    return make_entry(1, slot);
}

/* The entry, seen from one level up, for the window at @base whose size is that of @level. */
static PhysPageEntry build_window(Builder *b, unsigned level, hwaddr base)
{
    hwaddr last = window_last(level, base);
    const Cursor *c = &b->cursor;

    cursor_pass_below(&b->cursor, base);
    if (!c->cur || c->cur->start > last) {
        return PHYS_UNASSIGNED;
    }
    if (c->cur->last >= last || !c->next || c->next->start > last) {
        return make_leaf(c->cur);
    }
    return level == 0 ? build_subpage(b, base) : build_node(b, level, base);
}

PhysPageEntry phys_page_map_build(SectionTable *table, const FlatView *view, uint64_t *ret_nodes,
                                  size_t *ret_subpage_bytes)
{
    Builder b = { .table = table };
    PhysPageEntry root;

    cursor_init(&b.cursor, view);
    root = build_window(&b, PHYS_LEVELS, 0);
    *ret_nodes = b.nodes;
    *ret_subpage_bytes = b.subpage_bytes;
    return root;
}

static void drop_subpage(SectionTable *table, uint32_t slot)
{
    if (slot_pool_unref(&table->subpages, slot)) {
        g_free(*(PhysSubpage **)slot_pool_at(&table->subpages, slot));
        slot_pool_put(&table->subpages, slot);
    }
}

/* Recursion is at most PHYS_LEVELS deep. */
void phys_page_map_unref(SectionTable *table, PhysPageEntry entry)
{
    uint32_t slot = entry_ptr(entry);
    const PhysPageNode *node;

    if (entry_skip(entry) == 0) {
        return;
    }
    if (entry_skip(entry) == PHYS_SUBPAGE) {
        drop_subpage(table, slot);
        return;
    }
    if (!slot_pool_unref(&table->nodes, slot)) {
        return;
    }
    node = slot_pool_at(&table->nodes, slot);
    for (unsigned i = 0; i < PHYS_NODE_SIZE; i++) {
        phys_page_map_unref(table, node->entries[i]);
    }
    slot_pool_put(&table->nodes, slot);
}
