/* SPDX-License-Identifier: MIT */
/* SectionTable: from a section's id to what the access path needs to know about the tile. */
#include "section-table-internal.h"

#include <glib.h>
#include "memory-internal.h"

/*
 * Address space is reserved for this many (4, 4, 1/8 and 1 1/4 GiB; memory is used for what exists).
 * An entry could name 2^29.
 */
#define MAX_SECTIONS   (1u << 26)
#define MAX_NODES      (1u << 21)
#define MAX_SUBPAGES   (1u << 24)
#define MAX_TREE_NODES (1u << 21)

G_STATIC_ASSERT(sizeof(DispatchSection) == 64);
G_STATIC_ASSERT(MAX_SECTIONS <= SECTION_ID_LIMIT);

static void fill_unassigned(DispatchSection *section)
{
    *section = (DispatchSection){ .last = UINT64_MAX,
                                   .id = SECTION_ID_UNASSIGNED,
                                   .counter = COUNTER_UNASSIGNED };
}

/*
 * RAM, ROM and a ROM device in ROM mode are read in place. RAM devices are not: what lies behind
 * them cares about the width of each access.
 */
static bool reads_in_place(const FlatRange *fr)
{
    switch (fr->mr->kind) {
    case REGION_RAM:
    case REGION_ROM:
        return true;
    case REGION_ROM_DEVICE:
        return fr->romd_mode;
    default:
        return false;
    }
}

static void fill_section(DispatchSection *section, const FlatRange *fr, uint32_t id, uint64_t born)
{
    MemoryRegion *mr = fr->mr;
    bool readonly = fr->readonly || mr->kind == REGION_ROM;
    uint8_t *host = NULL;

    if (mr->block) {
        readonly |= (ram_block_flags(mr->block) & RAM_READONLY) != 0;
        if (reads_in_place(fr)) {
            host = (uint8_t *)ram_block_host(mr->block) + fr->offset_in_region;
        }
    }
    *section = (DispatchSection){
        .mr = mr,
        .host = host,
        .start = fr->start,
        .last = fr->last,
        .offset_in_region = fr->offset_in_region,
        .id = id,
        .counter = mr->counter,
        .born = born,
        .dirty_log_mask = fr->dirty_log_mask,
        .readonly = readonly,
        .romd_mode = fr->romd_mode,
        .direct_write = host && !readonly && mr->kind == REGION_RAM,
    };
}

static bool init_pools(SectionTable *table, GError **error)
{
    uint32_t unassigned;

    if (!slot_pool_init(&table->sections, "tiles", sizeof(DispatchSection), MAX_SECTIONS, error) ||
        !slot_pool_init(&table->nodes, "radix nodes", sizeof(PhysPageNode), MAX_NODES, error) ||
        !slot_pool_init(&table->subpages, "divided pages", sizeof(PhysSubpage *), MAX_SUBPAGES,
                        error) ||
        !slot_pool_init(&table->tree_nodes, "nodes of tiles", FLAT_NODE_BYTES, MAX_TREE_NODES,
                        error)) {
        return false;
    }
    unassigned = slot_pool_get(&table->sections);
    if (!slot_pool_check(&table->sections, error)) {
        return false;
    }
    g_assert(unassigned == SECTION_ID_UNASSIGNED);
    fill_unassigned(slot_pool_at(&table->sections, unassigned));
    return true;
}

static void table_free(SectionTable *table)
{
    slot_pool_done(&table->sections);
    slot_pool_done(&table->nodes);
    slot_pool_done(&table->subpages);
    slot_pool_done(&table->tree_nodes);
    pthread_mutex_destroy(&table->lineage_lock);
    g_free(table);
}

SectionTable *section_table_new(GError **error)
{
    SectionTable *table = g_new0(SectionTable, 1);

    pthread_mutex_init(&table->lineage_lock, NULL);
    if (!init_pools(table, error)) {
        table_free(table);
        return NULL;
    }
    return table;
}

bool section_table_check(SectionTable *table, GError **error)
{
    bool sections = slot_pool_check(&table->sections, error);
    bool nodes = slot_pool_check(&table->nodes, sections ? error : NULL);
    bool subpages = slot_pool_check(&table->subpages, sections && nodes ? error : NULL);
    bool tree_nodes =
        slot_pool_check(&table->tree_nodes, sections && nodes && subpages ? error : NULL);

    return sections && nodes && subpages && tree_nodes;
}

void section_table_free(SectionTable *table)
{
    if (!table) {
        return;
    }
    g_assert(slot_pool_used(&table->nodes) == 0 && slot_pool_used(&table->subpages) == 0 &&
             slot_pool_used(&table->tree_nodes) == 0);
    table_free(table);
}

uint32_t section_table_add(SectionTable *table, const FlatRange *fr, uint64_t born)
{
    uint32_t id = slot_pool_get(&table->sections);

    if (id == SLOT_NONE) {
        return SECTION_ID_NONE;
    }
    memory_region_ref(fr->mr);
    fill_section(slot_pool_at(&table->sections, id), fr, id, born);
    return id;
}

void section_table_ref(SectionTable *table, uint32_t id)
{
    slot_pool_ref(&table->sections, id);
}

void section_table_remove(SectionTable *table, uint32_t id)
{
    g_assert(id != SECTION_ID_UNASSIGNED && id != SECTION_ID_NONE);
    if (slot_pool_unref(&table->sections, id)) {
        MemoryRegion *mr = section_table_get(table, id)->mr;

        slot_pool_put(&table->sections, id);
        memory_region_unref(mr);
    }
}

uint32_t section_table_count(SectionTable *table)
{
    return slot_pool_used(&table->sections) - 1;
}

const DispatchSection *section_table_get(const SectionTable *table, uint32_t id)
{
    return slot_pool_at(&table->sections, id);
}
