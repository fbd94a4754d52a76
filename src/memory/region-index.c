/* SPDX-License-Identifier: MIT */
/* RegionIndex: regions by place in a treap that answers "who intersects this window?". */
#include "region-index-internal.h"

#include <stdlib.h>

typedef struct IndexNode IndexNode;

/*
 * One cache line: a way down among 100,000 regions passes two dozen nodes, and none beside the way,
 * because each node knows how far the enabled regions of either child reach. Addresses are
 * inclusive, and cut at the end of the address space, where no window lies.
 */
struct IndexNode {
    IndexNode *left;
    IndexNode *right;
    MemoryRegion *mr;
    hwaddr start;
    hwaddr last;
    hwaddr left_max; /* highest last address of an enabled region in that subtree, if any */
    hwaddr right_max;
    uint32_t heap;   /* random; a parent's is not lower than its children's */
    bool enabled;    /* the region's: here, it costs no look at the region */
    bool left_any;   /* enabled in that subtree */
    bool right_any;
} __attribute__((aligned(64)));

G_STATIC_ASSERT(sizeof(IndexNode) == 64);

struct RegionIndex {
    RegionIndexKey key;
    IndexNode *root;
    uint32_t count;
    uint32_t random;
    uint64_t visits;
};

static hwaddr start_of(const RegionIndex *index, const MemoryRegion *mr)
{
    return index->key == REGION_INDEX_CHILDREN ? mr->addr : mr->alias_offset;
}

/* The highest last address of an enabled region in the subtree of @node; false: there is none. */
static bool node_max(const IndexNode *node, hwaddr *ret_max)
{
    hwaddr max = node->enabled ? node->last : 0;

    if (node->left_any && node->left_max > max) {
        max = node->left_max;
    }
    if (node->right_any && node->right_max > max) {
        max = node->right_max;
    }
    *ret_max = max;
    return node->enabled || node->left_any || node->right_any;
}

/* Notes what is below on the left; or on the right. Returns: whether that is news. */
static bool note_left(IndexNode *node)
{
    hwaddr max = 0;
    bool any = node->left && node_max(node->left, &max);
    bool news = any != node->left_any || max != node->left_max;

    node->left_any = any;
    node->left_max = max;
    return news;
}

static bool note_right(IndexNode *node)
{
    hwaddr max = 0;
    bool any = node->right && node_max(node->right, &max);
    bool news = any != node->right_any || max != node->right_max;

    node->right_any = any;
    node->right_max = max;
    return news;
}

/* By start; ties by the region's address, so that every child has one place. */
static bool node_before(const IndexNode *node, hwaddr start, const MemoryRegion *mr)
{
    return node->start < start || (node->start == start && (uintptr_t)node->mr < (uintptr_t)mr);
}

/* Splits @node into what is before (@start, @mr) and the rest. */
static void node_split(IndexNode *node, hwaddr start, const MemoryRegion *mr, IndexNode **ret_left,
                       IndexNode **ret_right)
{
    if (!node) {
        *ret_left = *ret_right = NULL;
    } else if (node_before(node, start, mr)) {
        node_split(node->right, start, mr, &node->right, ret_right);
        *ret_left = node;
        note_right(node);
    } else {
        node_split(node->left, start, mr, ret_left, &node->left);
        *ret_right = node;
        note_left(node);
    }
}

static IndexNode *node_merge(IndexNode *left, IndexNode *right)
{
    if (!left || !right) {
        return left ? left : right;
    }
    if (left->heap >= right->heap) {
        left->right = node_merge(left->right, right);
        note_right(left);
        return left;
    }
    right->left = node_merge(left, right->left);
    note_left(right);
    return right;
}

static IndexNode *node_insert(IndexNode *at, IndexNode *node)
{
    if (!at || node->heap > at->heap) {
        node_split(at, node->start, node->mr, &node->left, &node->right);
        note_left(node);
        note_right(node);
        return node;
    }
    if (node_before(at, node->start, node->mr)) {
        at->right = node_insert(at->right, node);
        note_right(at);
    } else {
        at->left = node_insert(at->left, node);
        note_left(at);
    }
    return at;
}

static IndexNode *node_remove(IndexNode *at, hwaddr start, const MemoryRegion *mr)
{
    g_assert(at); /* else the region's place changed while it was indexed */
    if (at->mr == mr) {
        IndexNode *rest = node_merge(at->left, at->right);

        free(at);
        return rest;
    }
    if (node_before(at, start, mr)) {
        at->right = node_remove(at->right, start, mr);
        note_right(at);
    } else {
        at->left = node_remove(at->left, start, mr);
        note_left(at);
    }
    return at;
}

/* Returns: whether that may be news for those above. */
static bool node_refresh(IndexNode *at, hwaddr start, const MemoryRegion *mr)
{
    g_assert(at);
    if (at->mr == mr) {
        at->enabled = mr->enabled;
        return true;
    }
    if (node_before(at, start, mr)) {
        return node_refresh(at->right, start, mr) && note_right(at);
    }
    return node_refresh(at->left, start, mr) && note_left(at);
}

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
    q->visits++;
    if (node->left_any && node->left_max >= q->first && !node_query(q, node->left)) {
        return false;
    }
    if (node->start > q->last) {
        return true;
    }
    if (node->last >= q->first && node->enabled && !q->fn(node->mr, q->opaque)) {
        return false;
    }
    return !node->right_any || node->right_max < q->first || node_query(q, node->right);
}

static void node_collect(const IndexNode *node, GPtrArray *all)
{
    if (node) {
        node_collect(node->left, all);
        g_ptr_array_add(all, node->mr);
        node_collect(node->right, all);
    }
}

static void node_free(IndexNode *node)
{
    if (node) {
        node_free(node->left);
        node_free(node->right);
        free(node);
    }
}

RegionIndex *region_index_new(RegionIndexKey key)
{
    RegionIndex *index = g_new0(RegionIndex, 1);

    index->key = key;
    index->random = 2463534242u; /* xorshift32: any seed but 0 */
    return index;
}

void region_index_free(RegionIndex *index)
{
    if (index) {
        node_free(index->root);
        g_free(index);
    }
}

static IndexNode *node_new(hwaddr start, MemoryRegion *mr)
{
    Int128 last = (Int128)start + mr->size - 1;
    IndexNode *node = aligned_alloc(sizeof(*node), sizeof(*node));

    if (!node) {
        g_error("no memory for a memory region's place");
    }
    *node = (IndexNode){ .mr = mr, .start = start, .last = (hwaddr)MIN(last, UINT64_MAX),
                         .enabled = mr->enabled };
    return node;
}

void region_index_insert(RegionIndex *index, MemoryRegion *mr)
{
    IndexNode *node = node_new(start_of(index, mr), mr);

    index->random ^= index->random << 13;
    index->random ^= index->random >> 17;
    index->random ^= index->random << 5;
    node->heap = index->random;
    index->root = node_insert(index->root, node);
    index->count++;
}

void region_index_remove(RegionIndex *index, MemoryRegion *mr)
{
    index->root = node_remove(index->root, start_of(index, mr), mr);
    index->count--;
}

void region_index_refresh(RegionIndex *index, MemoryRegion *mr)
{
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

    if (index) {
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
