/* SPDX-License-Identifier: MIT */
/* RegionIndex: regions by place in a B+ tree that answers "who intersects this window?". */
#include "region-index-internal.h"

#include <string.h>
#include "tessera/util/prefetch.h"

/*
 * Regions stand in leaves, by where they begin. Each entry of an inner node knows how far the enabled
 * regions below reach, each entry of a leaf how far its region does, so that a search enters no node
 * in vain. Most nodes of a large index are far from the processor: few levels, and what a search
 * compares lies together. Addresses are inclusive, and cut at the end of the address space, where no
 * window lies.
 *
 *      words[room]  begin: of the region, or of the first below
 *           [room]  reach: last address of the region, or the highest of an enabled one below
 *           [room]  the region, or the first below: breaks ties of begin
 *           [room]  the child; only in inner nodes
 */
#define NODE_MAX  32u /* entries: a bit each in @live */
#define ROOM_MIN  4u  /* most containers have few children: a leaf that is all there is grows */

typedef struct IndexNode IndexNode;

typedef union Word {
    hwaddr addr;
    MemoryRegion *mr;
    IndexNode *child;
} Word;

struct IndexNode {
    uint32_t height; /* 0: a leaf */
    uint32_t count;
    uint32_t room;
    uint32_t live; /* bit n: the region of entry n is enabled, or one below it is */
    Word words[];
};

/* An entry, on its way from or to a node. */
typedef struct Entry {
    hwaddr begin;
    hwaddr reach; /* where not @live in an inner node: 0 */
    MemoryRegion *mr;
    IndexNode *child;
    bool live;
} Entry;

struct RegionIndex {
    RegionIndexKey key;
    IndexNode *root; /* NULL: empty */
    uint32_t count;
    uint64_t visits;
};

static hwaddr start_of(const RegionIndex *index, const MemoryRegion *mr)
{
    return index->key == REGION_INDEX_CHILDREN ? mr->addr : mr->alias_offset;
}

/* --- Entries of a node --- */

static hwaddr begin_at(const IndexNode *node, uint32_t i)
{
    return node->words[i].addr;
}

static hwaddr reach_at(const IndexNode *node, uint32_t i)
{
    return node->words[node->room + i].addr;
}

static MemoryRegion *region_at(const IndexNode *node, uint32_t i)
{
    return node->words[2 * node->room + i].mr;
}

static IndexNode *child_at(const IndexNode *node, uint32_t i)
{
    return node->words[3 * node->room + i].child;
}

/* The same, for who goes on there to search by begin and reach. */
static IndexNode *enter_child(const IndexNode *node, uint32_t i)
{
    IndexNode *child = child_at(node, i);

    prefetch_lines(child, sizeof(*child) + 2 * NODE_MAX * sizeof(Word));
    return child;
}

static bool live_at(const IndexNode *node, uint32_t i)
{
    return node->live >> i & 1;
}

static unsigned columns(const IndexNode *node)
{
    return node->height > 0 ? 4 : 3;
}

static void put_live(IndexNode *node, uint32_t i, bool live)
{
    node->live = (node->live & ~(UINT32_C(1) << i)) | (uint32_t)live << i;
}

static void put_entry(IndexNode *node, uint32_t i, const Entry *e)
{
    node->words[i].addr = e->begin;
    node->words[node->room + i].addr = e->reach;
    node->words[2 * node->room + i].mr = e->mr;
    if (node->height > 0) {
        node->words[3 * node->room + i].child = e->child;
    }
    put_live(node, i, e->live);
}

/* Moves @n entries of @from, at @i, to @to at @j; the same node or another of the same height. */
static void move_entries(IndexNode *to, uint32_t j, const IndexNode *from, uint32_t i, uint32_t n)
{
    uint64_t mask = (UINT64_C(1) << n) - 1, live = (uint64_t)from->live >> i & mask;

    for (unsigned c = 0; c < columns(from); c++) {
        memmove(&to->words[c * to->room + j], &from->words[c * from->room + i], n * sizeof(Word));
    }
    to->live = (uint32_t)((to->live & ~(mask << j)) | live << j);
}

static void open_gap(IndexNode *node, uint32_t i)
{
    if (i < node->count) {
        move_entries(node, i + 1, node, i, node->count - i);
    }
    node->count++;
}

static void close_gap(IndexNode *node, uint32_t i)
{
    node->count--;
    if (i < node->count) {
        move_entries(node, i, node, i + 1, node->count - i);
    }
    put_live(node, node->count, false);
}

static IndexNode *node_new(uint32_t height, uint32_t room)
{
    IndexNode *node = g_malloc(sizeof(*node) + (height > 0 ? 4 : 3) * room * sizeof(Word));

    *node = (IndexNode){ .height = height, .room = room };
    return node;
}

/* What stands for @node, which is not empty, in its parent. */
static Entry entry_of(IndexNode *node)
{
    Entry e = { .begin = begin_at(node, 0), .mr = region_at(node, 0), .child = node,
                .live = node->live != 0 };

    for (uint32_t i = 0; i < node->count; i++) {
        if (live_at(node, i) && reach_at(node, i) > e.reach) {
            e.reach = reach_at(node, i);
        }
    }
    return e;
}

/* The first entry behind (@begin, @mr): ties by the region's address, so each has one place. */
static uint32_t entry_behind(const IndexNode *node, hwaddr begin, const MemoryRegion *mr)
{
    uint32_t lo = 0, hi = node->count;

    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        hwaddr at = begin_at(node, mid);

        if (at < begin || (at == begin && (uintptr_t)region_at(node, mid) <= (uintptr_t)mr)) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

/* Where the way to (@begin, @mr) goes on. */
static uint32_t child_for(const IndexNode *node, hwaddr begin, const MemoryRegion *mr)
{
    uint32_t behind = entry_behind(node, begin, mr);

    return behind > 0 ? behind - 1 : 0;
}

static uint32_t leaf_entry(const IndexNode *leaf, hwaddr begin, const MemoryRegion *mr)
{
    uint32_t i = child_for(leaf, begin, mr);

    g_assert(region_at(leaf, i) == mr); /* else the region's place changed while it was indexed */
    return i;
}

/* --- Changes --- */

/* The entries of @node from @keep on, in a node of their own. */
static IndexNode *split(IndexNode *node, uint32_t keep)
{
    IndexNode *right = node_new(node->height, node->room);

    right->count = node->count - keep;
    move_entries(right, 0, node, keep, right->count);
    node->live &= (uint32_t)((UINT64_C(1) << keep) - 1);
    node->count = keep;
    return right;
}

/* Returns: a node that follows @node now, or NULL. What is appended leaves full nodes behind. */
static IndexNode *insert_at(IndexNode *node, uint32_t i, const Entry *e)
{
    IndexNode *right = NULL;

    if (node->count == node->room) {
        right = split(node, i == node->count ? i : node->count / 2);
        if (i > node->count || right->count == 0) {
            i -= node->count;
            node = right;
        }
    }
    open_gap(node, i);
    put_entry(node, i, e);
    return right;
}

static IndexNode *node_insert(IndexNode *node, const Entry *e)
{
    IndexNode *right;
    uint32_t i;
    Entry below;

    if (node->height == 0) {
        return insert_at(node, entry_behind(node, e->begin, e->mr), e);
    }
    i = child_for(node, e->begin, e->mr);
    right = node_insert(enter_child(node, i), e);
    below = entry_of(child_at(node, i));
    put_entry(node, i, &below);
    if (!right) {
        return NULL;
    }
    below = entry_of(right);
    return insert_at(node, i + 1, &below);
}

/* Children @i and @i + 1 become one, where the first or the second has become small and both fit. */
static void join_at(IndexNode *node, uint32_t i)
{
    IndexNode *a = child_at(node, i), *b = child_at(node, i + 1);
    Entry joined;

    if (MIN(a->count, b->count) > NODE_MAX / 4 || a->count + b->count > NODE_MAX) {
        return;
    }
    move_entries(a, a->count, b, 0, b->count);
    a->count += b->count;
    g_free(b);
    close_gap(node, i + 1);
    joined = entry_of(a);
    put_entry(node, i, &joined);
}

static void node_remove(IndexNode *node, hwaddr begin, const MemoryRegion *mr)
{
    IndexNode *child;
    uint32_t i;
    Entry below;

    if (node->height == 0) {
        close_gap(node, leaf_entry(node, begin, mr));
        return;
    }
    i = child_for(node, begin, mr);
    child = enter_child(node, i);
    node_remove(child, begin, mr);
    if (child->count == 0) {
        g_free(child);
        close_gap(node, i);
        return;
    }
    below = entry_of(child);
    put_entry(node, i, &below);
    if (child->count <= NODE_MAX / 4) {
        if (i + 1 < node->count) {
            join_at(node, i);
        } else if (i > 0) {
            join_at(node, i - 1);
        }
    }
}

/* Returns: whether that may be news for those above. */
static bool node_refresh(IndexNode *node, hwaddr begin, const MemoryRegion *mr)
{
    uint32_t i;
    Entry below;

    if (node->height == 0) {
        put_live(node, leaf_entry(node, begin, mr), mr->enabled);
        return true;
    }
    i = child_for(node, begin, mr);
    if (!node_refresh(enter_child(node, i), begin, mr)) {
        return false;
    }
    below = entry_of(child_at(node, i));
    if (below.live == live_at(node, i) && below.reach == reach_at(node, i)) {
        return false;
    }
    put_entry(node, i, &below);
    return true;
}

/* --- Questions --- */

typedef struct Query {
    hwaddr first;
    hwaddr last;
    RegionVisitor *fn;
    void *opaque;
    uint64_t visits;
} Query;

/* By increasing place; a subtree that does not reach the window is not entered. */
static bool node_query(Query *q, const IndexNode *node)
{
    for (uint32_t i = 0; i < node->count; i++) {
        q->visits++;
        if (!live_at(node, i) || reach_at(node, i) < q->first) {
            continue;
        }
        if (begin_at(node, i) > q->last) {
            return true;
        }
        if (node->height > 0 ? !node_query(q, enter_child(node, i))
                             : !q->fn(region_at(node, i), q->opaque)) {
            return false;
        }
    }
    return true;
}

static void node_collect(const IndexNode *node, GPtrArray *all)
{
    for (uint32_t i = 0; i < node->count; i++) {
        if (node->height > 0) {
            node_collect(child_at(node, i), all);
        } else {
            g_ptr_array_add(all, region_at(node, i));
        }
    }
}

static void node_free(IndexNode *node)
{
    for (uint32_t i = 0; node->height > 0 && i < node->count; i++) {
        node_free(child_at(node, i));
    }
    g_free(node);
}

RegionIndex *region_index_new(RegionIndexKey key)
{
    RegionIndex *index = g_new0(RegionIndex, 1);

    index->key = key;
    return index;
}

void region_index_free(RegionIndex *index)
{
    if (index) {
        if (index->root) {
            node_free(index->root);
        }
        g_free(index);
    }
}

/* Makes room for one more in a root that is a leaf. */
static void grow_leaf(RegionIndex *index)
{
    IndexNode *old = index->root, *root;

    if (!old) {
        index->root = node_new(0, ROOM_MIN);
    } else if (old->height == 0 && old->count == old->room && old->room < NODE_MAX) {
        root = node_new(0, 2 * old->room);
        move_entries(root, 0, old, 0, old->count);
        root->count = old->count;
        g_free(old);
        index->root = root;
    }
}

void region_index_insert(RegionIndex *index, MemoryRegion *mr)
{
    hwaddr start = start_of(index, mr);
    Int128 last = (Int128)start + mr->size - 1;
    Entry e = { .begin = start, .reach = (hwaddr)MIN(last, UINT64_MAX), .mr = mr,
                .live = mr->enabled };
    IndexNode *right, *left;

    grow_leaf(index);
    left = index->root;
    right = node_insert(left, &e);
    if (right) {
        index->root = node_new(left->height + 1, NODE_MAX);
        e = entry_of(left);
        insert_at(index->root, 0, &e);
        e = entry_of(right);
        insert_at(index->root, 1, &e);
    }
    index->count++;
}

void region_index_remove(RegionIndex *index, MemoryRegion *mr)
{
    IndexNode *root = index->root;

    g_assert(root);
    node_remove(root, start_of(index, mr), mr);
    while (root->height > 0 && root->count == 1) {
        index->root = child_at(root, 0);
        g_free(root);
        root = index->root;
    }
    if (root->count == 0) {
        g_free(root);
        index->root = NULL;
    }
    index->count--;
}

void region_index_refresh(RegionIndex *index, MemoryRegion *mr)
{
    g_assert(index->root);
    node_refresh(index->root, start_of(index, mr), mr);
}

uint32_t region_index_count(const RegionIndex *index)
{
    return index ? index->count : 0;
}

void region_index_visit(RegionIndex *index, AddrRange window, RegionVisitor *fn, void *opaque)
{
    Query q = { .fn = fn, .opaque = opaque };

    window = addr_range_intersection(window, addr_range(0, INT128_2_64));
    if (index && index->root && !addr_range_is_empty(window)) {
        q.first = (hwaddr)window.start;
        q.last = (hwaddr)(addr_range_end(window) - 1);
        node_query(&q, index->root);
        index->visits += q.visits;
    }
}

static bool add_found(MemoryRegion *mr, void *opaque)
{
    g_ptr_array_add(opaque, mr);
    return true;
}

void region_index_query(RegionIndex *index, AddrRange window, GPtrArray *found)
{
    region_index_visit(index, window, add_found, found);
}

GPtrArray *region_index_all(const RegionIndex *index)
{
    GPtrArray *all = g_ptr_array_new();

    if (index && index->root) {
        node_collect(index->root, all);
    }
    return all;
}

uint64_t region_index_visits(const RegionIndex *index)
{
    return index->visits;
}

bool region_beats(const MemoryRegion *a, const MemoryRegion *b)
{
    return a->priority > b->priority || (a->priority == b->priority && a->order > b->order);
}

static gint compare_winning(gconstpointer a, gconstpointer b)
{
    const MemoryRegion *x = *(MemoryRegion *const *)a;
    const MemoryRegion *y = *(MemoryRegion *const *)b;

    return region_beats(x, y) ? -1 : x != y;
}

GPtrArray *region_children_in_order(const MemoryRegion *mr)
{
    GPtrArray *children = region_index_all(mr->children);

    g_ptr_array_sort(children, compare_winning);
    return children;
}
