/* SPDX-License-Identifier: MIT */
/* The parts of x-query-translate's answer. */
#include "translate-internal.h"

#include <inttypes.h>
#include "command-util-internal.h"
#include "tessera/memory/region.h"

/* --- Page tables --- */

static json_t *entry_flags(const X86WalkEntry *e)
{
    json_t *flags = json_array();

    for (unsigned i = 0; (e->flags & X86_ENTRY_PRESENT) && i < X86_ENTRY_FLAGS; i++) {
        if (e->flags & 1u << i) {
            json_array_append_new(flags, json_string(x86_entry_flag_name(i)));
        }
    }
    return flags;
}

static json_t *entry_json(const X86WalkEntry *e, bool readable)
{
    json_t *o = json_pack("{s:s,s:i,s:i,s:o}", "name", x86_level_name(e->level), "level",
                          (int)e->level, "index", (int)e->index, "gpa", json_u64(e->gpa));

    if (!readable) {
        return o;
    }
    json_object_set_new(o, "value", json_u64(e->value));
    json_object_set_new(o, "flags", entry_flags(e));
    json_object_set_new(o, "leaf", json_boolean(e->leaf));
    if (e->flags & X86_ENTRY_PRESENT) {
        json_object_set_new(o, "target", json_u64(e->target));
        json_object_set_new(o, "reserved", json_u64(e->reserved));
    }
    if (e->protection_key >= 0) {
        json_object_set_new(o, "protection-key", json_integer(e->protection_key));
    }
    return o;
}

static const char *walk_result_name(X86WalkResult result)
{
    static const char *const names[] = {
        [X86_WALK_MAPPED] = "mapped",           [X86_WALK_TOO_WIDE] = "too-wide",
        [X86_WALK_NOT_CANONICAL] = "not-canonical", [X86_WALK_NOT_PRESENT] = "not-present",
        [X86_WALK_RESERVED] = "reserved-bits",  [X86_WALK_UNREADABLE] = "no-memory",
    };

    return names[result];
}

char *translate_paging_message(const X86Walk *walk)
{
    const X86WalkEntry *last = walk->count ? &walk->entries[walk->count - 1] : NULL;
    unsigned bits = walk->mode == X86_PAGING_5LEVEL ? 56 : 47;

    switch (walk->result) {
    case X86_WALK_TOO_WIDE:
        return g_strdup_printf("virtual addresses have 32 bits with %s paging; -g takes a "
                               "guest-physical address",
                               walk->mode == X86_PAGING_OFF ? "no"
                                                            : x86_paging_mode_name(walk->mode));
    case X86_WALK_NOT_CANONICAL:
        return g_strdup_printf("not canonical: with %s paging bits 63 to %u are all equal",
                               x86_paging_mode_name(walk->mode), bits);
    case X86_WALK_NOT_PRESENT:
        return g_strdup_printf("the %s is not present: an access is a page fault",
                               x86_level_name(last->level));
    case X86_WALK_RESERVED:
        return g_strdup_printf("the %s has reserved bits set (0x%" PRIx64 "): an access is a page "
                               "fault", x86_level_name(last->level), last->reserved);
    case X86_WALK_UNREADABLE:
        return g_strdup_printf("there is no memory at 0x%" PRIx64 ", where the %s would stand",
                               last->gpa, x86_level_name(last->level));
    default:
        return g_strdup(walk->page_size ? "mapped" : "paging is off: virtual is physical");
    }
}

json_t *translate_paging_json(const X86PagingState *state, const X86Walk *walk)
{
    g_autofree char *message = translate_paging_message(walk);
    json_t *entries = json_array();
    json_t *o = json_pack("{s:s,s:o,s:o,s:o,s:o,s:o,s:s,s:s}", "mode",
                          x86_paging_mode_name(walk->mode), "cr0", json_u64(state->cr0), "cr3",
                          json_u64(state->cr3), "cr4", json_u64(state->cr4), "efer",
                          json_u64(state->efer), "entries", entries, "result",
                          walk_result_name(walk->result), "message", message);

    for (unsigned i = 0; i < walk->count; i++) {
        bool readable = i + 1 < walk->count || walk->result != X86_WALK_UNREADABLE;

        json_array_append_new(entries, entry_json(&walk->entries[i], readable));
    }
    if (walk->result == X86_WALK_MAPPED) {
        json_object_set_new(o, "gpa", json_u64(walk->gpa));
        json_object_set_new(o, "page-size", json_u64(walk->page_size));
        json_object_set_new(o, "writable", json_boolean(walk->writable));
        json_object_set_new(o, "user", json_boolean(walk->user));
        json_object_set_new(o, "executable", json_boolean(walk->executable));
    }
    return o;
}

/* --- Tree, view and dispatch --- */

static json_t *contest_entry_json(const ContestEntry *e)
{
    Int128 last = e->base + memory_region_size(e->mr) - 1;
    bool disputed = e->beaten_by || e->result == CONTEST_DISABLED;
    json_t *o = json_pack("{s:s,s:s,s:i,s:i,s:o,s:s,s:b}", "region", memory_region_name(e->mr),
                          "kind", memory_region_kind_name(e->mr), "depth", (int)e->depth,
                          "priority", memory_region_priority(e->mr), "offset",
                          json_u64(e->offset), "result", contest_result_name(e->result),
                          "behind-alias", e->behind_alias);

    json_object_set_new(o, "size-less-1", json_u64((uint64_t)(memory_region_size(e->mr) - 1)));
    if (e->base >= 0) { /* else it begins below the address space's own beginning */
        json_object_set_new(o, "start", json_u64((uint64_t)e->base));
        json_object_set_new(o, "last", json_u64((uint64_t)MIN(last, INT128_2_64 - 1)));
    }
    if (memory_region_alias(e->mr)) {
        json_object_set_new(o, "target",
                            json_string(memory_region_name(memory_region_alias(e->mr))));
        json_object_set_new(o, "target-offset", json_u64(memory_region_alias_offset(e->mr)));
    }
    if (e->beaten_by) {
        json_object_set_new(o, "beaten-by", json_string(memory_region_name(e->beaten_by)));
    }
    if (disputed) {
        json_object_set_new(o, "would-show",
                            e->would_show ? json_string(memory_region_name(e->would_show))
                                          : json_null());
    }
    return o;
}

static json_t *contest_json(const AddressExplanation *x)
{
    json_t *list = json_array();

    for (guint i = 0; i < x->contest->len; i++) {
        json_array_append_new(list, contest_entry_json(&g_array_index(x->contest, ContestEntry,
                                                                      i)));
    }
    return list;
}

/* What the guest finds there: a RAM region may show as ROM, a ROM device as its registers. */
static const char *tile_kind(const MemoryRegionSection *s)
{
    if (memory_region_is_rom_device(s->mr)) {
        return s->romd_mode ? "romd" : "i/o";
    }
    return memory_region_is_ram(s->mr) && !memory_region_is_ram_device(s->mr)
               ? s->readonly ? "rom" : "ram"
               : memory_region_kind_name(s->mr);
}

static json_t *tile_json(const MemoryRegionSection *s)
{
    g_autofree char *owner = command_owner_text(memory_region_owner(s->mr));
    hwaddr start = s->offset_within_address_space;

    return json_pack("{s:s,s:s,s:s,s:o,s:o,s:o,s:b,s:b,s:b}", "region", memory_region_name(s->mr),
                     "kind", tile_kind(s), "owner", owner, "start", json_u64(start), "last",
                     json_u64((uint64_t)(start + s->size - 1)), "offset-in-region",
                     json_u64(s->offset_within_region), "readonly", s->readonly, "nonvolatile",
                     s->nonvolatile, "dirty-log", s->dirty_log_mask != 0);
}

static json_t *neighbours_json(const AddressExplanation *x)
{
    json_t *o = json_object();

    if (x->has_before) {
        json_object_set_new(o, "below", tile_json(&x->before));
    }
    if (x->has_after) {
        json_object_set_new(o, "above", tile_json(&x->after));
    }
    return o;
}

static json_t *dispatch_json(const DispatchPath *path)
{
    json_t *steps = json_array();
    json_t *o = json_pack("{s:o,s:i,s:b}", "steps", steps, "section", (int)path->section,
                          "outside-section", path->outside);

    for (unsigned i = 0; i < path->count; i++) {
        const DispatchStep *s = &path->steps[i];

        json_array_append_new(steps, json_pack("{s:i,s:i,s:i,s:i}", "skip", (int)s->skip, "node",
                                               (int)s->node, "level", (int)s->level, "index",
                                               (int)s->index));
    }
    if (path->in_subpage) {
        json_object_set_new(o, "subpage",
                            json_pack("{s:i,s:i,s:i,s:i}", "number", (int)path->subpage, "part",
                                      (int)path->part, "parts", (int)path->parts, "start",
                                      (int)path->part_start));
    }
    return o;
}

json_t *translate_memory_json(const AddressExplanation *x)
{
    json_t *o = json_pack("{s:s,s:o,s:o,s:o}", "address-space", address_space_name(x->as), "view",
                          json_u64(x->generation), "contest", contest_json(x), "dispatch",
                          dispatch_json(&x->dispatch));

    if (x->answered) {
        json_object_set_new(o, "tile", tile_json(&x->tile));
    } else {
        json_object_set_new(o, "neighbours", neighbours_json(x));
    }
    return o;
}

/* --- Host memory --- */

json_t *translate_slot_json(const KvmSlotInfo *slot, hwaddr gpa)
{
    return json_pack("{s:i,s:o,s:o,s:o,s:b,s:b,s:o}", "id", (int)slot->id, "gpa",
                     json_u64(slot->gpa), "size", json_u64(slot->size), "hva",
                     json_u64((uintptr_t)slot->host), "readonly", slot->readonly, "dirty-log",
                     slot->dirty_log, "largest-page",
                     json_u64(kvm_slot_largest_page(slot, gpa)));
}

json_t *translate_ram_json(const RAMBlock *block, uint64_t block_off)
{
    unsigned flags = ram_block_flags(block);

    return json_pack("{s:s,s:o,s:o,s:o,s:b,s:b}", "block", ram_block_idstr(block), "offset",
                     json_u64(block_off), "ram-addr", json_u64(ram_block_offset(block) + block_off),
                     "page-size", json_u64(ram_block_page_size(block)), "shared",
                     (flags & RAM_SHARED) != 0, "file", ram_block_fd(block) >= 0);
}

json_t *translate_host_json(const HostPage *page)
{
    json_t *o = json_pack("{s:s,s:s}", "page", host_page_state_name(page->state), "kind",
                          host_page_kind_name(page->kind));

    if (page->size) {
        json_object_set_new(o, "page-size", json_u64(page->size));
    } else {
        json_object_set_new(o, "page-size-unknown", json_string(page->why_no_size));
    }
    if (page->hpa_known) {
        json_object_set_new(o, "hpa", json_u64(page->hpa));
    } else {
        json_object_set_new(o, "hpa-unknown", json_string(page->why_unknown));
    }
    if (page->state == HOST_PAGE_SWAPPED) {
        json_object_set_new(o, "swap-area", json_integer(page->swap_type));
        json_object_set_new(o, "swap-page", json_u64(page->swap_offset));
    }
    return o;
}
