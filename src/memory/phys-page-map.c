/* SPDX-License-Identifier: MIT */
/* PhysPageMap: a view's radix, built from that of the view before. */
#include <glib.h>
#include <string.h>
#include "section-table-internal.h"

/* A walk over the tiles by address, with one tile of foresight. */
typedef struct Cursor {
    FlatViewIter it;
    const FlatRange *cur;
    const FlatRange *next;
} Cursor;

/* Windows are visited by increasing address, so both cursor and span only ever move on. */
typedef struct Builder {
    SectionTable *table;
    const FlatView *view;
    const FlatView *old_view;
    const GArray *spans; /* AddrRange; NULL: all is new */
    guint span;          /* the first that does not end before the window */
    Cursor cursor;
    const FlatRange *way; /* of the old view: the first tile that ends at or after way_base */
    hwaddr way_base;
    uint64_t nodes; /* built */
    uint64_t gone;  /* nodes of the old radix that the new one has not */
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

static void cursor_init_at(Cursor *c, const FlatView *view, hwaddr addr)
{
    flatview_iter_init_at(&c->it, view, addr);
    c->cur = NULL;
    c->next = flatview_iter_next(&c->it);
    cursor_advance(c);
}

/* To the first tile that does not end before @addr. */
static void cursor_seek(Cursor *c, const FlatView *view, hwaddr addr)
{
    for (unsigned step = 0; c->cur && c->cur->last < addr; step++) {
        if (step == 4) { /* far: what lies between has not changed */
            cursor_init_at(c, view, addr);
            return;
        }
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
    slot_pool_set_word(&b->table->subpages, slot, b->view->version.number);
    return make_entry(PHYS_SUBPAGE, slot);
}

/* The first address from @base on that is in a span; false: none is, up to @last. */
static bool next_changed(Builder *b, hwaddr base, hwaddr last, hwaddr *ret_addr)
{
    const AddrRange *span;

    *ret_addr = base;
    if (!b->spans) {
        return true;
    }
    while (b->span < b->spans->len &&
           addr_range_end(g_array_index(b->spans, AddrRange, b->span)) <= base) {
        b->span++;
    }
    if (b->span == b->spans->len) {
        return false;
    }
    span = &g_array_index(b->spans, AddrRange, b->span);
    if (span->start > last) {
        return false;
    }
    *ret_addr = span->start > base ? (hwaddr)span->start : base;
    return true;
}

/* A leaf stands for each part of its window that its tile touches. */
static void unfold_leaf(Builder *b, unsigned level, hwaddr base, PhysPageEntry leaf,
                        PhysPageEntry *entries)
{
    const DispatchSection *s = section_table_get(b->table, entry_ptr(leaf));
    unsigned child_bits = PHYS_PAGE_BITS + PHYS_LEVEL_BITS * (level - 1);
    hwaddr first = MAX(s->start, base), last = MIN(s->last, window_last(level, base));

    for (hwaddr i = (first - base) >> child_bits; i <= (last - base) >> child_bits; i++) {
        entries[i] = leaf;
    }
}

/* Were nodes left out below @entry? Then one entry of the level below leads to all there is. */
static bool is_short(PhysPageEntry entry)
{
    return entry_skip(entry) > 1;
}

/* A short entry as it stands one level further down, and one level further up. */
static PhysPageEntry shorten(PhysPageEntry entry)
{
    unsigned skip = entry_skip(entry);

    return skip == PHYS_SUBPAGE ? entry : make_entry(skip - 1, entry_ptr(entry));
}

static PhysPageEntry lengthen(PhysPageEntry entry)
{
    unsigned skip = entry_skip(entry);

    return skip == 0 || skip == PHYS_SUBPAGE ? entry : make_entry(skip + 1, entry_ptr(entry));
}

static const FlatRange *first_tile_from(const FlatView *view, hwaddr addr)
{
    FlatViewIter it;

    flatview_iter_init_at(&it, view, addr);
    return flatview_iter_next(&it);
}

/* Which one leads on from a short entry for the window at @base: the first tile there tells. */
static unsigned way_down(Builder *b, unsigned level, hwaddr base)
{
    const FlatRange *fr = b->way;

    if (!fr || base < b->way_base || base > fr->last) {
        b->way = fr = first_tile_from(b->old_view, base);
        b->way_base = base;
    }
    return ((fr->start > base ? fr->start : base) - base) >>
           (PHYS_PAGE_BITS + PHYS_LEVEL_BITS * (level - 1));
}

/*
 * The entries of the level below of which @old is the short form, for the window at @base in the
 * old radix.
 */
static void unfold(Builder *b, unsigned level, hwaddr base, PhysPageEntry old,
                   PhysPageEntry *entries)
{
    unsigned skip = entry_skip(old);

    if (skip == 1) {
        const PhysPageNode *node = slot_pool_at(&b->table->nodes, entry_ptr(old));

        memcpy(entries, node->entries, sizeof(node->entries));
        return;
    }
    memset(entries, 0, sizeof(PhysPageNode));
    if (old == PHYS_UNASSIGNED) {
        return;
    }
    if (skip == 0) {
        unfold_leaf(b, level, base, old, entries);
    } else {
        entries[way_down(b, level, base)] = shorten(old);
    }
}

static PhysPageEntry build_window(Builder *b, unsigned level, hwaddr base, PhysPageEntry old);

/* What an entry names that is neither unassigned nor a leaf. */
static Part node_part(const SectionTable *table, PhysPageEntry entry)
{
    bool subpage = entry_skip(entry) == PHYS_SUBPAGE;

    return (Part){
        .born = slot_pool_word(subpage ? &table->subpages : &table->nodes, entry_ptr(entry)),
        .ref = entry_ptr(entry),
        .kind = subpage ? PART_SUBPAGE : PART_RADIX_NODE,
    };
}

static void leave(const Part *part, void *opaque)
{
    Builder *b = opaque;

    b->gone += part->kind == PART_RADIX_NODE;
    version_leave(&b->view->version, *part);
}

/* Nothing below @old is part of the new radix: costs what is dropped, as dropping it will. */
static PhysPageEntry instead_of(Builder *b, PhysPageEntry old, PhysPageEntry entry)
{
    phys_page_map_walk_parts(b->table, old, 0, leave, b);
    return entry;
}

/* Where nothing was: on to the first window below, from @child on, that holds a tile. */
static bool next_used(Builder *b, hwaddr *child, unsigned child_bits, hwaddr last)
{
    const FlatRange *fr;

    cursor_seek(&b->cursor, b->view, *child);
    fr = b->cursor.cur;
    if (!fr || fr->start > last) {
        return false;
    }
    if (fr->start > *child) {
        *child = fr->start >> child_bits << child_bits;
    }
    return true;
}

/*
 * Where the next entry stands that is to be built: from the window at @child on, the first with a
 * change in it and, where nothing was before, with a tile, too. False: none up to @last.
 */
static bool next_to_build(Builder *b, hwaddr *child, unsigned child_bits, hwaddr last,
                          PhysPageEntry old)
{
    hwaddr addr;

    if (!next_changed(b, *child, last, &addr)) {
        return false;
    }
    if (addr > *child) {
        *child = addr >> child_bits << child_bits;
    }
    return old != PHYS_UNASSIGNED || next_used(b, child, child_bits, last);
}

/*
 * Of the window at @child, which was just built, and those behind it up to @last: how many does one
 * tile fill, and all of it in one span? They are the same leaf.
 */
static unsigned count_filled(const Builder *b, hwaddr child, unsigned child_bits, hwaddr last)
{
    const FlatRange *fr = b->cursor.cur;
    hwaddr end = last;

    if (!fr || fr->start > child || (b->spans && b->span == b->spans->len)) {
        return 0;
    }
    end = MIN(end, fr->last);
    if (b->spans) {
        AddrRange span = g_array_index(b->spans, AddrRange, b->span);

        if (span.start > child) {
            return 0;
        }
        end = (hwaddr)MIN(end, addr_range_end(span) - 1);
    }
    return end > child ? (end - child + 1) >> child_bits : 0;
}

static void build_entries(Builder *b, unsigned level, hwaddr base, PhysPageEntry old,
                          PhysPageEntry *entries)
{
    unsigned child_bits = PHYS_PAGE_BITS + PHYS_LEVEL_BITS * (level - 1);
    unsigned count = MIN(PHYS_NODE_SIZE, 1u << MIN(64 - child_bits, 31u));
    hwaddr last = window_last(level, base);
    unsigned i = 0;

    unfold(b, level, base, old, entries);
    while (i < count) {
        hwaddr child = base + ((hwaddr)i << child_bits);
        unsigned next = count;

        if (next_to_build(b, &child, child_bits, last, old)) {
            next = (child - base) >> child_bits;
        }
        if (next < count) {
            entries[next] = build_window(b, level - 1, child, entries[next]);
            for (unsigned n = count_filled(b, child, child_bits, last); n > 1; n--, next++) {
                entries[next + 1] = instead_of(b, entries[next + 1], entries[next]);
            }
        }
        i = next + 1;
    }
}

/* Is one entry in use, and no other? */
static bool only_one_used(const PhysPageEntry *entries, PhysPageEntry *ret_only)
{
    unsigned used = 0;

    for (unsigned i = 0; i < PHYS_NODE_SIZE && used < 2; i++) {
        if (entries[i] != PHYS_UNASSIGNED) {
            *ret_only = entries[i];
            used++;
        }
    }
    return used == 1;
}

/* Do the changes in the window at @base all lie in that of its entry @i? */
static bool changes_stay_in(const Builder *b, unsigned level, hwaddr base, unsigned i)
{
    unsigned child_bits = PHYS_PAGE_BITS + PHYS_LEVEL_BITS * (level - 1);
    hwaddr first = base + ((hwaddr)i << child_bits), last = window_last(level - 1, first);

    for (guint n = b->span; n < b->spans->len; n++) {
        AddrRange span = g_array_index(b->spans, AddrRange, n);

        if (span.start > window_last(level, base)) {
            break;
        }
        if (span.start < first || addr_range_end(span) - 1 > last) {
            return false;
        }
    }
    return true;
}

/*
 * Takes the window at @base of an entry at @level apart into entries of the level below. If only
 * one of them is in use, that one takes the place of the node; if that is so before and after,
 * without a look at the others.
 */
static PhysPageEntry build_node(Builder *b, unsigned level, hwaddr base, PhysPageEntry old)
{
    PhysPageEntry only;
    PhysPageNode *node;
    uint32_t slot;

    if (is_short(old)) {
        unsigned way = way_down(b, level, base);

        if (changes_stay_in(b, level, base, way)) {
            hwaddr child = base + ((hwaddr)way << (PHYS_PAGE_BITS + PHYS_LEVEL_BITS * (level - 1)));

            return lengthen(build_window(b, level - 1, child, shorten(old)));
        }
    }
    if (entry_skip(old) == 1) {
        Part part = node_part(b->table, old);

        leave(&part, b);
    }
    slot = slot_pool_get(&b->table->nodes);
    if (slot == SLOT_NONE) {
        return PHYS_UNASSIGNED; /* nobody will see this map */
    }
    node = slot_pool_at(&b->table->nodes, slot);
    build_entries(b, level, base, old, node->entries);
    if (only_one_used(node->entries, &only)) {
        slot_pool_put(&b->table->nodes, slot);
        return lengthen(only);
    }
    b->nodes++;
    slot_pool_set_word(&b->table->nodes, slot, b->view->version.number);
    return make_entry(1, slot);
}

/*
 * The entry, seen from one level up, for the window at @base whose size is that of @level. @old:
 * what stood there in the old radix; where no span reaches in, it still stands.
 */
static PhysPageEntry build_window(Builder *b, unsigned level, hwaddr base, PhysPageEntry old)
{
    hwaddr last = window_last(level, base), changed;
    const Cursor *c = &b->cursor;

    if (!next_changed(b, base, last, &changed)) {
        return old;
    }
    cursor_seek(&b->cursor, b->view, base);
    if (!c->cur || c->cur->start > last) {
        return instead_of(b, old, PHYS_UNASSIGNED);
    }
    if (c->cur->last >= last || !c->next || c->next->start > last) {
        return instead_of(b, old, make_leaf(c->cur));
    }
    return level == 0 ? instead_of(b, old, build_subpage(b, base))
                      : build_node(b, level, base, old);
}

PhysPageEntry phys_page_map_build(SectionTable *table, const FlatView *view, const Dispatch *old,
                                  const GArray *spans, uint64_t *ret_built, uint64_t *ret_gone)
{
    Builder b = { .table = table, .view = view };
    PhysPageEntry root;

    if (old) {
        b.old_view = old->view;
        b.spans = spans;
    }
    cursor_init_at(&b.cursor, view, 0);
    root = build_window(&b, PHYS_LEVELS, 0, old ? old->root : PHYS_UNASSIGNED);
    *ret_built = b.nodes;
    *ret_gone = b.gone;
    return root;
}

/* A node's parent is not older. Recursion is at most PHYS_LEVELS deep. */
void phys_page_map_walk_parts(SectionTable *table, PhysPageEntry entry, uint64_t since,
                              PartVisitor *fn, void *opaque)
{
    Part part;

    if (entry_skip(entry) == 0) { /* most are leaves */
        return;
    }
    part = node_part(table, entry);
    if (part.born <= since) {
        return;
    }
    if (part.kind == PART_RADIX_NODE) {
        const PhysPageNode *node = slot_pool_at(&table->nodes, entry_ptr(entry));

        for (unsigned i = 0; i < PHYS_NODE_SIZE; i++) {
            if (entry_skip(node->entries[i]) != 0) {
                phys_page_map_walk_parts(table, node->entries[i], since, fn, opaque);
            }
        }
    }
    fn(&part, opaque);
}

void phys_page_map_count(const SectionTable *table, PhysPageEntry entry, uint64_t *nodes,
                         size_t *subpage_bytes)
{
    uint32_t slot = entry_ptr(entry);
    const PhysPageNode *node;

    if (entry_skip(entry) == 0) {
        return;
    }
    if (entry_skip(entry) == PHYS_SUBPAGE) {
        const PhysSubpage *sp = *(PhysSubpage **)slot_pool_at(&table->subpages, slot);

        *subpage_bytes += subpage_size(sp->count) + sizeof(PhysSubpage *);
        return;
    }
    (*nodes)++;
    node = slot_pool_at(&table->nodes, slot);
    for (unsigned i = 0; i < PHYS_NODE_SIZE; i++) {
        phys_page_map_count(table, node->entries[i], nodes, subpage_bytes);
    }
}
