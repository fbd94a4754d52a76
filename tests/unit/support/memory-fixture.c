/* SPDX-License-Identifier: MIT */
/* What tests of the memory core share. */
#include "memory-fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <ctype.h>
#include <inttypes.h>

#include "tessera/memory/mtree-dump.h"
#include "tessera/memory/ram-block.h"
#include "tessera/util/rcu.h"

static MemTxResult ops_read(void *opaque, hwaddr offset, uint64_t *ret_value, unsigned size,
                            MemTxAttrs attrs)
{
    *ret_value = offset;
    return MEMTX_OK;
}

static MemTxResult ops_write(void *opaque, hwaddr offset, uint64_t value, unsigned size,
                             MemTxAttrs attrs)
{
    return MEMTX_OK;
}

static const MemoryRegionOps fixture_ops = { .read = ops_read, .write = ops_write };

static void release_region(gpointer data)
{
    memory_region_release(data);
}

static void release_block(gpointer data)
{
    ram_block_unref(data);
}

Fixture *fixture_new(void)
{
    Fixture *f = g_new0(Fixture, 1);

    f->ms = memory_system_new(NULL);
    f->regions = g_ptr_array_new_with_free_func(release_region);
    f->blocks = g_ptr_array_new_with_free_func(release_block);
    f->listeners = g_ptr_array_new_with_free_func(g_free);
    f->log = g_string_new(NULL);
    f->root = fixture_container(f, "root", 16);
    return f;
}

void fixture_space(Fixture *f)
{
    f->as = address_space_new(f->ms, f->root, "memory", NULL);
}

void fixture_done(Fixture *f)
{
    if (!f) {
        return;
    }
    for (guint i = 0; i < f->listeners->len; i++) {
        Recorder *r = f->listeners->pdata[i];

        if (r->listener.as) {
            memory_listener_unregister(&r->listener);
        }
    }
    address_space_free(f->as);
    for (guint i = 0; i < f->regions->len; i++) {
        MemoryRegion *mr = f->regions->pdata[i], *container = memory_region_container(mr);

        if (container) {
            assert_true(memory_region_del_subregion(container, mr, NULL));
        }
    }
    g_ptr_array_unref(f->regions);
    g_ptr_array_unref(f->blocks);
    g_ptr_array_unref(f->listeners);
    g_string_free(f->log, TRUE);
    memory_system_free(f->ms);
    g_free(f);
}

int fixture_setup(void **state)
{
    *state = fixture_new();
    return 0;
}

int fixture_setup_space(void **state)
{
    fixture_setup(state);
    fixture_space(*state);
    return 0;
}

int fixture_teardown(void **state)
{
    fixture_done(*state);
    return 0;
}

MemoryRegion *fixture_keep(Fixture *f, MemoryRegion *mr)
{
    g_ptr_array_add(f->regions, mr);
    return mr;
}

MemoryRegion *fixture_container(Fixture *f, const char *name, Int128 pages)
{
    return fixture_keep(f, memory_region_new_container(f->ms, NULL, name, pages * FIXTURE_PAGE));
}

MemoryRegion *fixture_io(Fixture *f, const char *name, Int128 pages)
{
    return fixture_keep(
        f, memory_region_new_io(f->ms, NULL, &fixture_ops, NULL, name, pages * FIXTURE_PAGE));
}

static RAMBlock *fixture_block(Fixture *f, const char *name, uint64_t pages)
{
    g_autoptr(GError) error = NULL;
    RAMBlock *block = ram_block_new(f->ms, name, pages * FIXTURE_PAGE, 0, 0, &error);

    if (!block) {
        fail_msg("%s", error->message);
    }
    g_ptr_array_add(f->blocks, block);
    return block;
}

MemoryRegion *fixture_ram(Fixture *f, const char *name, uint64_t pages)
{
    return fixture_keep(f,
                        memory_region_new_ram(f->ms, NULL, name, fixture_block(f, name, pages)));
}

MemoryRegion *fixture_rom(Fixture *f, const char *name, uint64_t pages)
{
    return fixture_keep(f,
                        memory_region_new_rom(f->ms, NULL, name, fixture_block(f, name, pages)));
}

MemoryRegion *fixture_romd(Fixture *f, const char *name, uint64_t pages)
{
    return fixture_keep(f, memory_region_new_rom_device(f->ms, NULL, &fixture_ops, NULL, name,
                                                        fixture_block(f, name, pages)));
}

MemoryRegion *fixture_alias(Fixture *f, const char *name, MemoryRegion *target, uint64_t page,
                            Int128 pages)
{
    return fixture_keep(f, memory_region_new_alias(f->ms, NULL, name, target, page * FIXTURE_PAGE,
                                                   pages * FIXTURE_PAGE));
}

void fixture_add(MemoryRegion *container, uint64_t page, MemoryRegion *sub, int priority)
{
    g_autoptr(GError) error = NULL;

    if (!memory_region_add_subregion_overlap(container, page * FIXTURE_PAGE, sub, priority,
                                             &error)) {
        fail_msg("%s", error->message);
    }
}

char *fixture_map(Fixture *f)
{
    char *map = g_strnfill(16, '.');

    memory_system_lock(f->ms);
    for (unsigned page = 0; page < 16; page++) {
        MemoryRegionSection s;

        if (address_space_find(f->as, (hwaddr)page * FIXTURE_PAGE, &s)) {
            char letter = memory_region_name(s.mr)[0];

            map[page] = s.readonly ? (char)toupper(letter) : letter;
        }
    }
    memory_system_unlock(f->ms);
    return map;
}

void fixture_assert_map(Fixture *f, const char *drawn)
{
    g_autofree char *map = fixture_map(f);

    assert_string_equal(map, drawn);
}

static void record(MemoryListener *l, const char *format, ...) G_GNUC_PRINTF(2, 3);

static void record(MemoryListener *l, const char *format, ...)
{
    Recorder *r = (Recorder *)l;
    va_list ap;

    g_string_append_printf(r->f->log, "%s:", l->name);
    va_start(ap, format);
    g_string_append_vprintf(r->f->log, format, ap);
    va_end(ap);
    g_string_append_c(r->f->log, '\n');
}

static void record_section(MemoryListener *l, const char *what, const MemoryRegionSection *s)
{
    record(l, "%s %s %" PRIu64 "+%" PRIu64, what, memory_region_name(s->mr),
           s->offset_within_address_space / FIXTURE_PAGE, (uint64_t)(s->size / FIXTURE_PAGE));
}

static void record_diff(MemoryDiffKind kind, const MemoryRegionSection *s, void *opaque)
{
    g_string_append_printf(opaque, " %c%s", kind == MEMORY_DIFF_ADD ? '+' : '-',
                           memory_region_name(s->mr));
}

static bool rec_prepare(MemoryListener *l, const MemoryDiff *diff, GError **error)
{
    g_autoptr(GString) text = g_string_new(NULL);

    memory_diff_for_each(diff, record_diff, text);
    record(l, "prepare%s", text->str);
    if (((Recorder *)l)->refuse_prepare) {
        g_set_error(error, g_quark_from_static_string("test"), 1, "%s refuses", l->name);
        return false;
    }
    return true;
}

static void rec_begin(MemoryListener *l)
{
    record(l, "begin");
}

static void rec_del(MemoryListener *l, const MemoryRegionSection *s)
{
    record_section(l, "del", s);
}

static void rec_add(MemoryListener *l, const MemoryRegionSection *s)
{
    record_section(l, "add", s);
}

static void rec_nop(MemoryListener *l, const MemoryRegionSection *s)
{
    record_section(l, "nop", s);
}

static void rec_log_start(MemoryListener *l, const MemoryRegionSection *s, uint8_t old_mask,
                          uint8_t new_mask)
{
    record(l, "log_start %s %u>%u", memory_region_name(s->mr), old_mask, new_mask);
}

static void rec_log_stop(MemoryListener *l, const MemoryRegionSection *s, uint8_t old_mask,
                         uint8_t new_mask)
{
    record(l, "log_stop %s %u>%u", memory_region_name(s->mr), old_mask, new_mask);
}

static void record_eventfd(MemoryListener *l, const char *what, const MemoryRegionSection *s,
                           unsigned size, bool match_data, uint64_t data)
{
    if (match_data) {
        record(l, "%s %s 0x%" PRIx64 "/%u=%" PRIu64, what, memory_region_name(s->mr),
               s->offset_within_address_space, size, data);
    } else {
        record(l, "%s %s 0x%" PRIx64 "/%u", what, memory_region_name(s->mr),
               s->offset_within_address_space, size);
    }
}

static void rec_eventfd_add(MemoryListener *l, const MemoryRegionSection *s, unsigned size,
                            bool match_data, uint64_t data, EventNotifier *notifier)
{
    record_eventfd(l, "eventfd_add", s, size, match_data, data);
}

static void rec_eventfd_del(MemoryListener *l, const MemoryRegionSection *s, unsigned size,
                            bool match_data, uint64_t data, EventNotifier *notifier)
{
    record_eventfd(l, "eventfd_del", s, size, match_data, data);
}

static void rec_coalesced_add(MemoryListener *l, const MemoryRegionSection *s, hwaddr addr,
                              uint64_t size)
{
    assert_true(s->offset_within_address_space == addr && s->size == size);
    record(l, "coalesced_add %s 0x%" PRIx64 "+0x%" PRIx64, memory_region_name(s->mr), addr, size);
}

static void rec_coalesced_del(MemoryListener *l, const MemoryRegionSection *s, hwaddr addr,
                              uint64_t size)
{
    record(l, "coalesced_del %s 0x%" PRIx64 "+0x%" PRIx64, memory_region_name(s->mr), addr, size);
}

static bool rec_apply(MemoryListener *l, bool *ret_broken, GError **error)
{
    Recorder *r = (Recorder *)l;

    record(l, "apply");
    assert_false(*ret_broken);
    *ret_broken = r->break_apply;
    if (r->fail_apply || r->break_apply) {
        g_set_error(error, g_quark_from_static_string("test"), 2, "%s cannot apply", l->name);
        return false;
    }
    return true;
}

static bool rec_revert(MemoryListener *l, GError **error)
{
    record(l, "revert");
    if (((Recorder *)l)->fail_revert) {
        g_set_error(error, g_quark_from_static_string("test"), 3, "%s cannot revert", l->name);
        return false;
    }
    return true;
}

static void rec_abort(MemoryListener *l)
{
    record(l, "abort");
}

static void rec_commit(MemoryListener *l)
{
    record(l, "commit");
}

Recorder *fixture_record(Fixture *f, const char *name, int priority)
{
    Recorder *r = g_new0(Recorder, 1);
    g_autoptr(GError) error = NULL;

    r->f = f;
    r->listener = (MemoryListener){
        .name = name, .priority = priority, .prepare = rec_prepare, .begin = rec_begin,
        .region_del = rec_del, .region_add = rec_add, .region_nop = rec_nop,
        .log_start = rec_log_start, .log_stop = rec_log_stop, .eventfd_add = rec_eventfd_add,
        .eventfd_del = rec_eventfd_del, .coalesced_io_add = rec_coalesced_add,
        .coalesced_io_del = rec_coalesced_del, .apply = rec_apply, .revert = rec_revert,
        .abort = rec_abort, .commit = rec_commit,
    };
    g_ptr_array_add(f->listeners, r);
    if (!memory_listener_register(&r->listener, f->as, &error)) {
        fail_msg("%s", error->message);
    }
    return r;
}

void fixture_clear_log(Fixture *f)
{
    g_string_truncate(f->log, 0);
}

void fixture_assert_log(Fixture *f, const char *expected)
{
    assert_string_equal(f->log->str, expected);
    fixture_clear_log(f);
}

typedef struct OrderDump {
    GString *out;
    unsigned depth;
} OrderDump;

static void dump_order(MemoryRegion *mr, void *opaque)
{
    OrderDump *dump = opaque;

    g_string_append_printf(dump->out, "%*s%s\n", dump->depth, "", memory_region_name(mr));
    dump->depth++;
    memory_region_for_each_subregion(mr, dump_order, dump);
    dump->depth--;
}

char *fixture_dump(Fixture *f)
{
    GString *out = g_string_new(NULL);
    OrderDump dump = { out, 0 };

    memory_dump_tree(f->ms, out);
    memory_dump_flatviews(f->ms, out);
    memory_system_lock(f->ms);
    for (guint i = 0; i < f->regions->len; i++) {
        MemoryRegion *mr = f->regions->pdata[i];

        if (!memory_region_container(mr)) {
            dump_order(mr, &dump);
        }
    }
    memory_system_unlock(f->ms);
    return g_string_free(out, FALSE);
}
