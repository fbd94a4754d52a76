/* SPDX-License-Identifier: MIT */
/* FlatTree: a persistent B+ tree of tiles. */
#include "flat-tree-internal.h"

#include <string.h>
#include "dispatch-internal.h"

/*
 * Copying an inner node writes the reference counts of all its children, each a cache line that is
 * elsewhere; of a leaf, it writes neighbouring counts of the SectionTable. Hence few and many.
 */
#define LEAF_MAX  32u /* tiles of a leaf */
#define INNER_MAX 8u  /* children of an inner node */

struct FlatNode {
    _Atomic unsigned refs;
    uint32_t height; /* 0: a leaf */
    uint32_t count;
};

typedef struct FlatLeaf {
    FlatNode node;
    FlatRange ranges[];
} FlatLeaf;

typedef struct FlatChild {
    FlatNode *node;
    hwaddr last; /* address of its last tile */
} FlatChild;

typedef struct FlatInner {
    FlatNode node;
    FlatChild children[];
} FlatInner;

/* Nodes of one height, by address, on their way into a parent: FlatChild, each with a reference. */
typedef GArray NodeList;

static const FlatLeaf *as_leaf(const FlatNode *node)
{
    return (const FlatLeaf *)(const void *)node;
}

static const FlatInner *as_inner(const FlatNode *node)
{
    return (const FlatInner *)(const void *)node;
}

static void node_init(FlatNode *node, uint32_t height, uint32_t count)
{
    atomic_init(&node->refs, 1);
    node->height = height;
    node->count = count;
}

/* A view for which memory ran out has tiles without an id; it is copied before it is thrown away. */
static void hold_section(SectionTable *table, const FlatRange *fr)
{
    if (fr->section_id != SECTION_ID_NONE) {
        section_table_ref(table, fr->section_id);
    }
}

static void drop_section(SectionTable *table, const FlatRange *fr)
{
    if (fr->section_id != SECTION_ID_NONE) {
        section_table_remove(table, fr->section_id);
    }
}

FlatNode *flat_tree_ref(FlatNode *root)
{
    if (root) {
        atomic_fetch_add_explicit(&root->refs, 1, memory_order_relaxed);
    }
    return root;
}

void flat_tree_unref(SectionTable *table, FlatNode *root)
{
    if (!root || atomic_fetch_sub_explicit(&root->refs, 1, memory_order_acq_rel) > 1) {
        return;
    }
    for (uint32_t i = 0; i < root->count; i++) {
        if (root->height == 0) {
            drop_section(table, &as_leaf(root)->ranges[i]);
        } else {
            flat_tree_unref(table, as_inner(root)->children[i].node);
        }
    }
    g_free(root);
}

/* --- Making nodes --- */

static NodeList *node_list_new(void)
{
    return g_array_sized_new(FALSE, FALSE, sizeof(FlatChild), INNER_MAX + 1);
}

static FlatChild *node_at(const NodeList *list, guint i)
{
    return &g_array_index(list, FlatChild, i);
}

static void push_leaf(NodeList *out, const FlatRange *ranges, uint32_t count)
{
    FlatLeaf *leaf = g_malloc(sizeof(*leaf) + count * sizeof(*ranges));
    FlatChild child = { &leaf->node, ranges[count - 1].last };

    node_init(&leaf->node, 0, count);
    memcpy(leaf->ranges, ranges, count * sizeof(*ranges));
    g_array_append_val(out, child);
}

static void push_inner(NodeList *out, const FlatChild *children, uint32_t count)
{
    FlatInner *inner = g_malloc(sizeof(*inner) + count * sizeof(*children));
    FlatChild child = { &inner->node, children[count - 1].last };

    node_init(&inner->node, children[0].node->height + 1, count);
    memcpy(inner->children, children, count * sizeof(*children));
    g_array_append_val(out, child);
}

/* As few nodes as hold @n elements, filled alike; their references move into the nodes. */
static void pack_leaves(NodeList *out, const FlatRange *ranges, uint32_t n)
{
    for (uint32_t nodes = (n + LEAF_MAX - 1) / LEAF_MAX; nodes > 0; nodes--) {
        uint32_t count = (n + nodes - 1) / nodes;

        push_leaf(out, ranges, count);
        ranges += count;
        n -= count;
    }
}

static void pack_inner(NodeList *out, const FlatChild *children, uint32_t n)
{
    for (uint32_t nodes = (n + INNER_MAX - 1) / INNER_MAX; nodes > 0; nodes--) {
        uint32_t count = (n + nodes - 1) / nodes;

        push_inner(out, children, count);
        children += count;
        n -= count;
    }
}

/* --- Replacing --- */

typedef struct Replacement {
    SectionTable *table;
    hwaddr first;
    hwaddr last;
    const GArray *ranges;
} Replacement;

static void keep_ranges(const Replacement *r, GArray *to, const FlatRange *from, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        hold_section(r->table, &from[i]);
    }
    g_array_append_vals(to, from, count);
}

/* @insert: here the new tiles go in. */
static void replace_in_leaf(const Replacement *r, const FlatLeaf *leaf, bool insert, NodeList *out)
{
    g_autoptr(GArray) ranges = g_array_sized_new(FALSE, FALSE, sizeof(FlatRange), LEAF_MAX + 4);
    uint32_t before = 0, behind;

    while (before < leaf->node.count && leaf->ranges[before].start < r->first) {
        g_assert(leaf->ranges[before].last < r->first);
        before++;
    }
    for (behind = before; behind < leaf->node.count && leaf->ranges[behind].start <= r->last;
         behind++) {
        g_assert(leaf->ranges[behind].last <= r->last);
    }
    keep_ranges(r, ranges, leaf->ranges, before);
    if (insert) {
        g_array_append_vals(ranges, r->ranges->data, r->ranges->len);
    }
    keep_ranges(r, ranges, leaf->ranges + behind, leaf->node.count - behind);
    pack_leaves(out, (const FlatRange *)(const void *)ranges->data, ranges->len);
}

static hwaddr first_address(const FlatNode *node)
{
    while (node->height > 0) {
        node = as_inner(node)->children[0].node;
    }
    return as_leaf(node)->ranges[0].start;
}

/* Two neighbours of one height in one node. */
static FlatChild join(SectionTable *table, const FlatChild *a, const FlatChild *b)
{
    g_autoptr(GArray) joined = node_list_new();
    const FlatNode *nodes[] = { a->node, b->node };

    if (a->node->height == 0) {
        FlatRange ranges[LEAF_MAX];
        uint32_t n = 0;

        for (unsigned side = 0; side < 2; side++) {
            for (uint32_t i = 0; i < nodes[side]->count; i++) {
                ranges[n] = as_leaf(nodes[side])->ranges[i];
                hold_section(table, &ranges[n++]);
            }
        }
        push_leaf(joined, ranges, n);
    } else {
        FlatChild children[INNER_MAX];
        uint32_t n = 0;

        for (unsigned side = 0; side < 2; side++) {
            for (uint32_t i = 0; i < nodes[side]->count; i++) {
                children[n] = as_inner(nodes[side])->children[i];
                flat_tree_ref(children[n++].node);
            }
        }
        push_inner(joined, children, n);
    }
    flat_tree_unref(table, a->node);
    flat_tree_unref(table, b->node);
    return *node_at(joined, 0);
}

/*
 * Joins nodes among @list[@from .. @to], and their neighbours outside: where one is at most a
 * quarter full and both fit into one.
 */
static void join_small(SectionTable *table, NodeList *list, guint from, guint to)
{
    guint i = from > 0 ? from - 1 : 0;

    while (i + 1 < list->len && i <= to) {
        FlatChild *a = node_at(list, i), *b = node_at(list, i + 1);
        uint32_t max = a->node->height == 0 ? LEAF_MAX : INNER_MAX;
        uint32_t sum = a->node->count + b->node->count;

        if (sum <= max && MIN(a->node->count, b->node->count) <= max / 4) {
            *a = join(table, a, b);
            g_array_remove_index(list, i + 1);
            to -= to > 0;
        } else {
            i++;
        }
    }
}

static void replace_in_node(const Replacement *r, const FlatNode *node, bool insert, NodeList *out);

/* Which child gets the new tiles: the first that ends at or behind where they begin. */
static uint32_t target_child(const FlatInner *inner, hwaddr first)
{
    uint32_t i = 0;

    while (i + 1 < inner->node.count && inner->children[i].last < first) {
        i++;
    }
    return i;
}

static void replace_in_inner(const Replacement *r, const FlatInner *inner, bool insert,
                             NodeList *out)
{
    g_autoptr(GArray) children = node_list_new();
    uint32_t target = insert ? target_child(inner, r->first) : inner->node.count;
    guint from = UINT_MAX, to = 0;
    bool behind = false; /* all that is left begins behind what is replaced */

    for (uint32_t i = 0; i < inner->node.count; i++) {
        const FlatChild *child = &inner->children[i];
        hwaddr start = 0;

        if (child->last >= r->first && !behind) {
            start = first_address(child->node);
            behind = start > r->last;
        }
        if ((behind || child->last < r->first) && i != target) {
            flat_tree_ref(child->node);
            g_array_append_vals(children, child, 1);
            continue;
        }
        from = MIN(from, children->len);
        if (i == target || start < r->first || child->last > r->last) {
            replace_in_node(r, child->node, i == target, children);
        }
        to = children->len;
    }
    if (from != UINT_MAX) {
        join_small(r->table, children, from, to);
    }
    pack_inner(out, (const FlatChild *)(const void *)children->data, children->len);
}

static void replace_in_node(const Replacement *r, const FlatNode *node, bool insert, NodeList *out)
{
    if (node->height == 0) {
        replace_in_leaf(r, as_leaf(node), insert, out);
    } else {
        replace_in_inner(r, as_inner(node), insert, out);
    }
}

/* One root from what is left, however many nodes or levels that is. */
static FlatNode *take_root(SectionTable *table, NodeList *list)
{
    FlatNode *root = list->len ? node_at(list, 0)->node : NULL;

    while (list->len > 1) {
        g_autoptr(GArray) below = g_array_copy(list);

        g_array_set_size(list, 0);
        pack_inner(list, (const FlatChild *)(const void *)below->data, below->len);
        root = node_at(list, 0)->node;
    }
    while (root && root->height > 0 && root->count == 1) {
        FlatNode *only = flat_tree_ref(as_inner(root)->children[0].node);

        flat_tree_unref(table, root);
        root = only;
    }
    return root;
}

FlatNode *flat_tree_replace(SectionTable *table, const FlatNode *root, hwaddr first, hwaddr last,
                            const GArray *ranges)
{
    Replacement r = { table, first, last, ranges };
    g_autoptr(GArray) out = node_list_new();

    if (root) {
        replace_in_node(&r, root, true, out);
    } else {
        pack_leaves(out, (const FlatRange *)(const void *)ranges->data, ranges->len);
    }
    return take_root(table, out);
}

/* --- Questions --- */

/* The first child whose last tile ends at or after @addr; the count if there is none. */
static uint32_t child_from(const FlatInner *inner, hwaddr addr)
{
    uint32_t lo = 0, hi = inner->node.count;

    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;

        if (inner->children[mid].last < addr) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

/* The first tile that ends at or after @addr, the same. */
static uint32_t range_from(const FlatLeaf *leaf, hwaddr addr)
{
    uint32_t lo = 0, hi = leaf->node.count;

    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;

        if (leaf->ranges[mid].last < addr) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

const FlatRange *flat_tree_find_from(const FlatNode *root, hwaddr addr, uint32_t *ret_left)
{
    const FlatLeaf *leaf;
    uint32_t i;

    while (root && root->height > 0) {
        const FlatInner *inner = as_inner(root);

        i = child_from(inner, addr);
        root = i < inner->node.count ? inner->children[i].node : NULL;
    }
    if (!root) {
        return NULL;
    }
    leaf = as_leaf(root);
    i = range_from(leaf, addr);
    if (i == leaf->node.count) {
        return NULL;
    }
    if (ret_left) {
        *ret_left = leaf->node.count - i - 1;
    }
    return &leaf->ranges[i];
}

const FlatRange *flat_tree_find_before(const FlatNode *root, hwaddr addr)
{
    const FlatRange *found = NULL;
    uint32_t i;

    if (!root) {
        return NULL;
    }
    if (root->height == 0) {
        i = range_from(as_leaf(root), addr);
        return i > 0 ? &as_leaf(root)->ranges[i - 1] : NULL;
    }
    i = child_from(as_inner(root), addr);
    if (i < root->count) {
        found = flat_tree_find_before(as_inner(root)->children[i].node, addr);
    }
    return !found && i > 0 ? flat_tree_find_before(as_inner(root)->children[i - 1].node, addr)
                           : found;
}

unsigned flat_tree_height(const FlatNode *root)
{
    return root ? root->height + 1 : 0;
}

size_t flat_tree_bytes(const FlatNode *root)
{
    size_t bytes;

    if (!root) {
        return 0;
    }
    if (root->height == 0) {
        return sizeof(FlatLeaf) + root->count * sizeof(FlatRange);
    }
    bytes = sizeof(FlatInner) + root->count * sizeof(FlatChild);
    for (uint32_t i = 0; i < root->count; i++) {
        bytes += flat_tree_bytes(as_inner(root)->children[i].node);
    }
    return bytes;
}
