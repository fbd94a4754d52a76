/* SPDX-License-Identifier: MIT */
/* SectionRefs: counts the tiles that carry each section id; the last one gives the id back. */
#include "flatview-internal.h"

#include <glib.h>
#include <pthread.h>
#include "dispatch-internal.h"

struct SectionRefs {
    SectionTable *table;
    pthread_mutex_t lock; /* guards counts: views die on the RCU callback thread */
    GArray *counts;       /* uint32_t, by id */
};

SectionRefs *section_refs_new(SectionTable *table)
{
    SectionRefs *refs = g_new0(SectionRefs, 1);

    refs->table = table;
    pthread_mutex_init(&refs->lock, NULL);
    refs->counts = g_array_new(FALSE, TRUE, sizeof(uint32_t));
    return refs;
}

void section_refs_free(SectionRefs *refs)
{
    if (!refs) {
        return;
    }
    g_array_free(refs->counts, TRUE);
    pthread_mutex_destroy(&refs->lock);
    g_free(refs);
}

uint32_t section_refs_add(SectionRefs *refs, const FlatRange *fr)
{
    uint32_t id = section_table_add(refs->table, fr);

    pthread_mutex_lock(&refs->lock);
    if (id >= refs->counts->len) {
        g_array_set_size(refs->counts, id + 1);
    }
    g_assert(g_array_index(refs->counts, uint32_t, id) == 0);
    g_array_index(refs->counts, uint32_t, id) = 1;
    pthread_mutex_unlock(&refs->lock);
    return id;
}

void section_refs_ref(SectionRefs *refs, uint32_t id)
{
    pthread_mutex_lock(&refs->lock);
    g_assert(g_array_index(refs->counts, uint32_t, id) > 0);
    g_array_index(refs->counts, uint32_t, id)++;
    pthread_mutex_unlock(&refs->lock);
}

void section_refs_unref_ranges(SectionRefs *refs, const FlatRange *ranges, uint32_t n)
{
    pthread_mutex_lock(&refs->lock);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t id = ranges[i].section_id;

        if (id == SECTION_ID_NONE) {
            continue;
        }
        g_assert(g_array_index(refs->counts, uint32_t, id) > 0);
        if (--g_array_index(refs->counts, uint32_t, id) == 0) {
            section_table_remove(refs->table, id);
        }
    }
    pthread_mutex_unlock(&refs->lock);
}
