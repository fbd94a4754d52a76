/* SPDX-License-Identifier: MIT */
/* RegionIndex: children by address in a treap that answers "who intersects this window?". */
#include "tree-internal.h"

typedef struct IndexNode IndexNode;

struct IndexNode {
    MemoryRegion *mr;
    IndexNode *left;
    IndexNode *right;
    Int128 start;
    Int128 end;
    Int128 max_end; /* highest end in this subtree */
    uint32_t heap;  /* random; a parent's is not lower than its children's */
};

struct RegionIndex {
    IndexNode *root;
    uint32_t count;
    uint32_t random;
    uint64_t visits;
};

static void node_update(IndexNode *node)
{
    node->max_end = node->end;
    if (node->left && node->left->max_end > node->max_end) {
        node->max_end = node->left->max_end;
    }
    if (node->right && node->right->max_end > node->max_end) {
        node->max_end = node->right->max_end;
    }
}

/* By start; ties by the region's address, so that every child has one place. */
static bool node_before(const IndexNode *node, Int128 start, const MemoryRegion *mr)
{
    return node->start < start || (node->start == start && (uintptr_t)node->mr < (uintptr_t)mr);
}

/* Splits @node into what is before (@start, @mr) and the rest. */
static void node_split(IndexNode *node, Int128 start, const MemoryRegion *mr, IndexNode **ret_left,
                       IndexNode **ret_right)
{
    if (!node) {
        *ret_left = *ret_right = NULL;
    } else if (node_before(node, start, mr)) {
        node_split(node->right, start, mr, &node->right, ret_right);
        *ret_left = node;
        node_update(node);
    } else {
        node_split(node->left, start, mr, ret_left, &node->left);
        *ret_right = node;
        node_update(node);
    }
}

static IndexNode *node_merge(IndexNode *left, IndexNode *right)
{
    if (!left || !right) {
        return left ? left : right;
    }
    if (left->heap >= right->heap) {
        left->right = node_merge(left->right, right);
        node_update(left);
        return left;
    }
    right->left = node_merge(left, right->left);
    node_update(right);
    return right;
}

static IndexNode *node_insert(IndexNode *at, IndexNode *node)
{
    if (!at || node->heap > at->heap) {
        node_split(at, node->start, node->mr, &node->left, &node->right);
        node_update(node);
        return node;
    }
    if (node_before(at, node->start, node->mr)) {
        at->right = node_insert(at->right, node);
    } else {
        at->left = node_insert(at->left, node);
    }
    node_update(at);
    return at;
}

static IndexNode *node_remove(IndexNode *at, const MemoryRegion *mr)
{
    g_assert(at); /* else the child's address changed while it was indexed */
    if (at->mr == mr) {
        IndexNode *rest = node_merge(at->left, at->right);

        g_free(at);
        return rest;
    }
    if (node_before(at, mr->addr, mr)) {
        at->right = node_remove(at->right, mr);
    } else {
        at->left = node_remove(at->left, mr);
    }
    node_update(at);
    return at;
}

static uint64_t node_query(const IndexNode *node, AddrRange window, GPtrArray *found)
{
    uint64_t visits = 0;

    if (!node || node->max_end <= window.start) {
        return 1;
    }
    visits += node_query(node->left, window, found);
    if (node->start < addr_range_end(window)) {
        if (node->end > window.start) {
            g_ptr_array_add(found, node->mr);
        }
        visits += node_query(node->right, window, found);
    }
    return visits + 1;
}

static void node_free(IndexNode *node)
{
    if (node) {
        node_free(node->left);
        node_free(node->right);
        g_free(node);
    }
}

RegionIndex *region_index_new(void)
{
    RegionIndex *index = g_new0(RegionIndex, 1);

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

void region_index_insert(RegionIndex *index, MemoryRegion *mr)
{
    IndexNode *node = g_new0(IndexNode, 1);

    index->random ^= index->random << 13;
    index->random ^= index->random >> 17;
    index->random ^= index->random << 5;
    node->mr = mr;
    node->heap = index->random;
    node->start = mr->addr;
    node->end = node->start + mr->size;
    index->root = node_insert(index->root, node);
    index->count++;
}

void region_index_remove(RegionIndex *index, MemoryRegion *mr)
{
    index->root = node_remove(index->root, mr);
    index->count--;
}

uint32_t region_index_count(const RegionIndex *index)
{
    return index ? index->count : 0;
}

void region_index_query(RegionIndex *index, AddrRange window, GPtrArray *found)
{
    if (index && !addr_range_is_empty(window)) {
        index->visits += node_query(index->root, window, found);
    }
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
    GPtrArray *children = g_ptr_array_new();

    region_index_query(mr->children, addr_range(0, 2 * INT128_2_64), children);
    g_ptr_array_sort(children, compare_winning);
    return children;
}
