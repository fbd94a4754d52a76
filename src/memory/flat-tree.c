/* SPDX-License-Identifier: MIT */
/* FlatTree: a persistent B+ tree of tiles. */
#include "flat-tree-internal.h"

#include <string.h>
#include "section-table-internal.h"
#include "tessera/util/prefetch.h"

/* Ways down are short, and copies of what is on them, too: nodes of half a KiB or so. */
#define LEAF_MAX  16u /* tiles of a leaf */
#define INNER_MAX 32u /* children of an inner node */

struct FlatNode {
    uint64_t born; /* number of the version that made it */
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

static Part node_part(FlatNode *node)
{
    return (Part){ .born = node->born, .ref = (uintptr_t)node, .kind = PART_TREE_NODE };
}

/* A view for which memory ran out has tiles without an id. */
static void walk_sections(SectionTable *table, const FlatLeaf *leaf, uint64_t since,
                          PartVisitor *fn, void *opaque)
{
    for (uint32_t i = 0; i < leaf->node.count; i++) {
        uint32_t id = leaf->ranges[i].section_id;
        Part part = { .ref = id, .kind = PART_SECTION };

        if (id != SECTION_ID_NONE) {
            part.born = section_table_get(table, id)->born;
            if (part.born > since) {
                fn(&part, opaque);
            }
        }
    }
}

/* A node's parent is not older, and neither is a section's leaf. */
void flat_tree_walk_parts(SectionTable *table, FlatNode *root, uint64_t since, PartVisitor *fn,
                          void *opaque)
{
    Part part;

    if (!root || root->born <= since) {
        return;
    }
    if (root->height == 0) {
        walk_sections(table, as_leaf(root), since, fn, opaque);
    } else {
        for (uint32_t i = 0; i < root->count; i++) {
            flat_tree_walk_parts(table, as_inner(root)->children[i].node, since, fn, opaque);
        }
    }
    part = node_part(root);
    fn(&part, opaque);
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

G_STATIC_ASSERT(sizeof(FlatLeaf) + LEAF_MAX * sizeof(FlatRange) == FLAT_NODE_BYTES);
G_STATIC_ASSERT(sizeof(FlatInner) + INNER_MAX * sizeof(FlatChild) <= FLAT_NODE_BYTES);

/*
 * Nodes come from a pool: those that went last are used first, and are near the processor. Where it
 * cannot grow, the view is made nevertheless, and thrown away (see section_table_check()).
 */
static void *node_alloc(const Version *version)
{
    SlotPool *pool = &version->table->tree_nodes;
    uint32_t slot = slot_pool_get(pool);

    return slot == SLOT_NONE ? g_malloc(FLAT_NODE_BYTES) : slot_pool_at(pool, slot);
}

void flat_node_free(SectionTable *table, void *node)
{
    uint32_t slot = slot_pool_find(&table->tree_nodes, node);

    if (slot != SLOT_NONE) {
        slot_pool_put(&table->tree_nodes, slot);
    } else {
        g_free(node);
    }
}

/* What is made belongs to @version. */
static void push_leaf(const Version *version, NodeList *out, const FlatRange *ranges,
                      uint32_t count)
{
    FlatLeaf *leaf = node_alloc(version);
    FlatChild child = { &leaf->node, ranges[count - 1].last };

    leaf->node = (FlatNode){ version->number, 0, count };
    memcpy(leaf->ranges, ranges, count * sizeof(*ranges));
    g_array_append_val(out, child);
}

static void push_inner(const Version *version, NodeList *out, const FlatChild *children,
                       uint32_t count)
{
    FlatInner *inner = node_alloc(version);
    FlatChild child = { &inner->node, children[count - 1].last };

    inner->node = (FlatNode){ version->number, children[0].node->height + 1, count };
    memcpy(inner->children, children, count * sizeof(*children));
    g_array_append_val(out, child);
}

/* As few nodes as hold @n elements, filled alike. */
static void pack_leaves(const Version *version, NodeList *out, const FlatRange *ranges, uint32_t n)
{
    for (uint32_t nodes = (n + LEAF_MAX - 1) / LEAF_MAX; nodes > 0; nodes--) {
        uint32_t count = (n + nodes - 1) / nodes;

        push_leaf(version, out, ranges, count);
        ranges += count;
        n -= count;
    }
}

static void pack_inner(const Version *version, NodeList *out, const FlatChild *children, uint32_t n)
{
    for (uint32_t nodes = (n + INNER_MAX - 1) / INNER_MAX; nodes > 0; nodes--) {
        uint32_t count = (n + nodes - 1) / nodes;

        push_inner(version, out, children, count);
        children += count;
        n -= count;
    }
}

/* --- Replacing --- */

typedef struct Replacement {
    const Version *version;
    hwaddr first;
    hwaddr last;
    const GArray *ranges;
} Replacement;

/* Nothing of @node is part of the new tree. */
static void leave_all(const Version *version, FlatNode *node)
{
    if (node->height > 0) {
        for (uint32_t i = 0; i < node->count; i++) {
            leave_all(version, as_inner(node)->children[i].node);
        }
    }
    version_leave(version, node_part(node));
}

/* @insert: here the new tiles go in. */
static void replace_in_leaf(const Replacement *r, FlatLeaf *leaf, bool insert, NodeList *out)
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
    g_array_append_vals(ranges, leaf->ranges, before);
    if (insert) {
        g_array_append_vals(ranges, r->ranges->data, r->ranges->len);
    }
    g_array_append_vals(ranges, leaf->ranges + behind, leaf->node.count - behind);
    pack_leaves(r->version, out, (const FlatRange *)(const void *)ranges->data, ranges->len);
    version_leave(r->version, node_part(&leaf->node));
}

static hwaddr first_address(const FlatNode *node)
{
    while (node->height > 0) {
        node = as_inner(node)->children[0].node;
    }
    return as_leaf(node)->ranges[0].start;
}

/* Two neighbours of one height in one node. */
static FlatChild join(const Version *version, const FlatChild *a, const FlatChild *b)
{
    g_autoptr(GArray) joined = node_list_new();
    const FlatNode *nodes[] = { a->node, b->node };
    uint32_t n = 0;

    if (a->node->height == 0) {
        FlatRange ranges[LEAF_MAX];

        for (unsigned side = 0; side < 2; n += nodes[side++]->count) {
            memcpy(ranges + n, as_leaf(nodes[side])->ranges, nodes[side]->count * sizeof(*ranges));
        }
        push_leaf(version, joined, ranges, n);
    } else {
        FlatChild children[INNER_MAX];

        for (unsigned side = 0; side < 2; n += nodes[side++]->count) {
            memcpy(children + n, as_inner(nodes[side])->children,
                   nodes[side]->count * sizeof(*children));
        }
        push_inner(version, joined, children, n);
    }
    version_leave(version, node_part(a->node));
    version_leave(version, node_part(b->node));
    return *node_at(joined, 0);
}

static uint32_t node_max(const FlatNode *node)
{
    return node->height == 0 ? LEAF_MAX : INNER_MAX;
}

static bool is_small(const FlatNode *node)
{
    return node->count <= node_max(node) / 4;
}

/*
 * Joins those among @list[@from .. @to - 1], which have just been made, that are at most a quarter
 * full, with a neighbour, where both fit into one. A neighbour outside is not looked at without
 * need: it is elsewhere in memory.
 */
static void join_small(const Version *version, NodeList *list, guint from, guint to)
{
    guint i = from > 0 ? from - 1 : 0;

    while (i + 1 < list->len && i < to) {
        FlatChild *a = node_at(list, i), *b = node_at(list, i + 1);
        bool small = (i >= from && is_small(a->node)) || (i + 1 < to && is_small(b->node));

        if (small && a->node->count + b->node->count <= node_max(a->node)) {
            *a = join(version, a, b);
            g_array_remove_index(list, i + 1);
            to -= i + 1 < to;
            from = MIN(from, i);
        } else {
            i++;
        }
    }
}

static void replace_in_node(const Replacement *r, FlatNode *node, bool insert, NodeList *out);

/* Which child gets the new tiles: the first that ends at or behind where they begin. */
static uint32_t target_child(const FlatInner *inner, hwaddr first)
{
    uint32_t i = 0;

    while (i + 1 < inner->node.count && inner->children[i].last < first) {
        i++;
    }
    return i;
}

/* Where the children that begin behind what is replaced begin; one of [@from, the end]. */
static uint32_t first_behind(const Replacement *r, const FlatInner *inner, uint32_t from)
{
    uint32_t i = from;

    while (i < inner->node.count && !(i > 0 && inner->children[i - 1].last >= r->last) &&
           first_address(inner->children[i].node) <= r->last) {
        i++;
    }
    return i;
}

/* Children [@from, @to) are reached: each is kept in part, or gone. */
static void replace_in_inner(const Replacement *r, FlatInner *inner, bool insert, NodeList *out)
{
    g_autoptr(GArray) children = node_list_new();
    uint32_t from = target_child(inner, r->first), to;
    guint made;

    to = first_behind(r, inner, insert ? from + 1 : from);
    g_array_append_vals(children, inner->children, from);
    for (uint32_t i = from; i < to; i++) {
        FlatNode *child = inner->children[i].node;
        bool here = insert && i == from;

        if (here || inner->children[i].last > r->last || first_address(child) < r->first) {
            replace_in_node(r, child, here, children);
        } else {
            leave_all(r->version, child);
        }
    }
    made = children->len;
    g_array_append_vals(children, inner->children + to, inner->node.count - to);
    if (to > from) {
        join_small(r->version, children, from, made);
    }
    pack_inner(r->version, out, (const FlatChild *)(const void *)children->data, children->len);
    version_leave(r->version, node_part(&inner->node));
}

static void replace_in_node(const Replacement *r, FlatNode *node, bool insert, NodeList *out)
{
    if (node->height == 0) {
        replace_in_leaf(r, (FlatLeaf *)(void *)node, insert, out);
    } else {
        replace_in_inner(r, (FlatInner *)(void *)node, insert, out);
    }
}

/* One root from what is left, however many nodes or levels that is. */
static FlatNode *take_root(const Version *version, NodeList *list)
{
    FlatNode *root = list->len ? node_at(list, 0)->node : NULL;

    while (list->len > 1) {
        g_autoptr(GArray) below = g_array_copy(list);

        g_array_set_size(list, 0);
        pack_inner(version, list, (const FlatChild *)(const void *)below->data, below->len);
        root = node_at(list, 0)->node;
    }
    while (root && root->height > 0 && root->count == 1) {
        FlatNode *only = as_inner(root)->children[0].node;

        version_leave(version, node_part(root));
        root = only;
    }
    return root;
}

FlatNode *flat_tree_replace(const Version *version, FlatNode *root, hwaddr first, hwaddr last,
                            const GArray *ranges)
{
    Replacement r = { version, first, last, ranges };
    g_autoptr(GArray) out = node_list_new();

    if (root) {
        replace_in_node(&r, root, true, out);
    } else {
        pack_leaves(version, out, (const FlatRange *)(const void *)ranges->data, ranges->len);
    }
    return take_root(version, out);
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

static const FlatRange *find_in_leaf(const FlatLeaf *leaf, hwaddr addr, uint32_t *ret_left)
{
    uint32_t i = range_from(leaf, addr);

    if (i == leaf->node.count) {
        return NULL;
    }
    if (ret_left) {
        *ret_left = leaf->node.count - i - 1;
    }
    return &leaf->ranges[i];
}

const FlatRange *flat_tree_find_near(const FlatNode *root, FlatFinger *finger, hwaddr addr,
                                     uint32_t *ret_left)
{
    hwaddr low = 0;

    if (finger->leaf && addr >= finger->low && addr <= finger->last) {
        return find_in_leaf(as_leaf(finger->leaf), addr, ret_left);
    }
    while (root && root->height > 0) {
        const FlatInner *inner = as_inner(root);
        uint32_t i = child_from(inner, addr);

        if (i == inner->node.count) {
            return NULL;
        }
        low = i > 0 ? inner->children[i - 1].last + 1 : low;
        root = inner->children[i].node;
        prefetch_lines(root, sizeof(FlatLeaf) + LEAF_MAX * sizeof(FlatRange));
    }
    if (!root) {
        return NULL;
    }
    *finger = (FlatFinger){ root, low, as_leaf(root)->ranges[root->count - 1].last };
    return find_in_leaf(as_leaf(root), addr, ret_left);
}

const FlatRange *flat_tree_find_from(const FlatNode *root, hwaddr addr, uint32_t *ret_left)
{
    FlatFinger nowhere = { 0 };

    return flat_tree_find_near(root, &nowhere, addr, ret_left);
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
    size_t bytes = FLAT_NODE_BYTES + sizeof(uint64_t); /* with its word in the pool */

    if (!root) {
        return 0;
    }
    for (uint32_t i = 0; root->height > 0 && i < root->count; i++) {
        bytes += flat_tree_bytes(as_inner(root)->children[i].node);
    }
    return bytes;
}
