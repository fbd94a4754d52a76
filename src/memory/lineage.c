/* SPDX-License-Identifier: MIT */
/* Lineage: views made one from the other, and when the parts that they share come to an end. */
#include "lineage-internal.h"

#include "section-table-internal.h"

#define LEFT_USUAL 16u /* parts that a commit of one tile leaves out, about */

void version_init(Version *v, SectionTable *table, uint64_t number)
{
    *v = (Version){ .number = number, .table = table };
}

bool version_follow(Version *v, Version *prev)
{
    bool follows;

    g_assert(prev->number < v->number);
    pthread_mutex_lock(&v->table->lineage_lock);
    follows = !prev->next;
    if (follows) {
        g_assert(!prev->left);
        prev->next = v;
        prev->left = g_array_sized_new(FALSE, FALSE, sizeof(Part), LEFT_USUAL);
        v->prev = prev;
    }
    pthread_mutex_unlock(&v->table->lineage_lock);
    return follows;
}

static void drop_subpage(SectionTable *table, uint32_t slot)
{
    g_free(*(PhysSubpage **)slot_pool_at(&table->subpages, slot));
    slot_pool_put(&table->subpages, slot);
}

void part_drop(const Part *part, void *opaque)
{
    SectionTable *table = opaque;

    switch (part->kind) {
    case PART_TREE_NODE:
        flat_node_free(table, (void *)part->ref);
        break;
    case PART_RADIX_NODE:
        slot_pool_put(&table->nodes, (uint32_t)part->ref);
        break;
    case PART_SUBPAGE:
        drop_subpage(table, (uint32_t)part->ref);
        break;
    case PART_SECTION:
        section_table_remove(table, (uint32_t)part->ref);
        break;
    }
}

void version_leave(const Version *v, Part part)
{
    if (part.born == v->number) {
        part_drop(&part, v->table); /* nobody has seen it */
    } else {
        g_array_append_val(v->prev->left, part);
    }
}

static void collect(const Part *part, void *opaque)
{
    g_array_append_vals(opaque, part, 1);
}

/* What @p has of the @left of its successor goes onto its own list; the rest stays. */
static void pass_on(GArray *left, Version *p)
{
    guint kept = 0;

    for (guint i = 0; i < left->len; i++) {
        const Part *part = &g_array_index(left, Part, i);

        if (part->born <= p->number) {
            g_array_append_vals(p->left, part, 1);
        } else {
            g_array_index(left, Part, kept++) = *part;
        }
    }
    g_array_set_size(left, kept);
}

/*
 * Returns: what nobody has but @v, which is out of the chain; NULL: all that it has. The walk beside
 * a predecessor is under the lock: else that could end, and drop what the walk passes.
 */
static GArray *unchain(Version *v, PartWalk *walk, void *owner)
{
    Version *p = v->prev, *n = v->next;
    GArray *own = g_steal_pointer(&v->left);

    if (n) {
        n->prev = p;
        if (p) {
            pass_on(own, p);
        }
    } else if (p) {
        own = g_steal_pointer(&p->left);
        g_array_set_size(own, 0);
        walk(owner, p->number, collect, own);
    }
    if (p) {
        p->next = n;
    }
    return own;
}

void version_end(Version *v, PartWalk *walk, void *owner)
{
    GArray *own;

    pthread_mutex_lock(&v->table->lineage_lock);
    own = unchain(v, walk, owner);
    pthread_mutex_unlock(&v->table->lineage_lock);
    if (!own) {
        walk(owner, 0, part_drop, v->table);
        return;
    }
    for (guint i = 0; i < own->len; i++) {
        part_drop(&g_array_index(own, Part, i), v->table);
    }
    g_array_free(own, TRUE);
}
