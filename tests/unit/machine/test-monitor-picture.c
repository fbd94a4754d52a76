/* SPDX-License-Identifier: MIT */
/* Pictures of whole machines: info mtree -g, -machine dump-memory-map=, beside a machine that changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdatomic.h>
#include <string.h>
#include <cmocka.h>
#include "../support/external-tool.h"
#include "../support/picture-check.h"
#include "support/monitor-fixture.h"
#include "tessera/picture/picture.h"
#include "tessera/util/rcu.h"

static void plug(MonitorFixture *f, unsigned n)
{
    g_autofree char *object =
        g_strdup_printf("object_add memory-backend-ram,id=m%u,size=128M,reserve=off", n);
    g_autofree char *device = g_strdup_printf("device_add pc-dimm,id=dimm%u,memdev=m%u", n, n);

    monitor_fixture_hmp(f, object);
    monitor_fixture_hmp(f, device);
}

static void assert_file_has(const char *folder, const char *name, const char *part)
{
    g_autoptr(GByteArray) data = tool_read(folder, name);
    g_autofree char *text = g_strndup((const char *)data->data, data->len);

    assert_text_has(text, part);
}

static void test_mtree_g_writes_pictures(void **state)
{
    MonitorFixture *f = monitor_fixture_new("-m 256M,slots=2,maxmem=1G -name picture");
    char *folder = tool_folder_new();
    g_autofree char *svg = g_strdup_printf("info mtree -g %s/map.svg", folder);
    g_autofree char *dot = g_strdup_printf("info mtree -o --picture %s/map.dot", folder);
    g_autofree char *json = g_strdup_printf("info mtree -g \"%s/map.json\"", folder);

    plug(f, 0);
    assert_string_equal(monitor_fixture_hmp(f, svg), "");
    assert_file_has(folder, "map.svg", "<title>picture</title>");
    assert_file_has(folder, "map.svg", "data-region=\"dimm0\"");
    assert_file_has(folder, "map.svg", "owner: device dimm0 (pc-dimm)");
    assert_file_has(folder, "map.svg", "KVM slot 3: 100000000-107ffffff, 134217728 bytes, of dimm0");
    assert_file_has(folder, "map.svg", ">room for DIMMs</text>");
    assert_file_has(folder, "map.svg", ">IOAPIC, in KVM</text>");
    monitor_fixture_hmp(f, dot);
    assert_file_has(folder, "map.dot", "dimm0\\l");
    monitor_fixture_hmp(f, json);
    assert_file_has(folder, "map.json", "\"name\":\"dimm0\"");
    tool_folder_remove(folder);
    monitor_fixture_free(f);
}

static void test_mtree_g_refuses(void **state)
{
    MonitorFixture *f = monitor_fixture_new("-m 64M");
    char *folder = tool_folder_new();
    g_autofree char *png = g_strdup_printf("info mtree -g %s/map.png", folder);
    g_autofree char *unwritable = g_strdup_printf("info mtree -g %s/no/map.svg", folder);
    const char *message;

    message = monitor_fixture_hmp_error(f, "info mtree -g");
    assert_text_has(message, "picture is missing; usage: info mtree");
    message = monitor_fixture_hmp_error(f, png);
    assert_text_has(message, "/map.png: ");
    assert_text_has(message, ".svg, .dot (Graphviz) or .json");
    message = monitor_fixture_hmp_error(f, unwritable);
    assert_text_has(message, "/no/map.svg: cannot be written: No such file or directory");
    tool_folder_remove(folder);
    monitor_fixture_free(f);
}

static void test_dump_memory_map_by_suffix(void **state)
{
    MonitorFixture *f = monitor_fixture_new("-m 64M");
    char *folder = tool_folder_new();
    g_autofree char *svg = g_build_filename(folder, "map.svg", NULL);
    g_autofree char *text = g_build_filename(folder, "map.x7f", NULL);
    g_autofree char *nowhere = g_build_filename(folder, "no", "map.svg", NULL);
    g_autoptr(GError) error = NULL;

    assert_true(machine_dump_memory_map(f->machine, svg, NULL));
    assert_file_has(folder, "map.svg", "<svg xmlns=");
    assert_true(machine_dump_memory_map(f->machine, text, NULL));
    assert_file_has(folder, "map.x7f", "address-space: memory\n");
    assert_false(machine_dump_memory_map(f->machine, nowhere, &error));
    assert_text_has(error->message, "-machine dump-memory-map=");
    assert_text_has(error->message, "map.svg: cannot be written: No such file");
    tool_folder_remove(folder);
    monitor_fixture_free(f);
}

static void check_machine(MonitorFixture *f)
{
    g_autoptr(MapSnapshot) map = machine_memory_map(f->machine);
    GString *svg = picture_make(map, PICTURE_SVG, "machine");
    GString *json = picture_make(map, PICTURE_JSON, "machine");

    picture_check_layout(map);
    picture_check_svg(map, svg);
    picture_check_json(map, json);
    g_string_free(svg, TRUE);
    g_string_free(json, TRUE);
}

static void test_pictures_of_machines(void **state)
{
    static const char *const options[] = {
        "-m 1M", "-m 256M", "-m 5G", "-m 1G,slots=256,maxmem=512G", "-m 3G,slots=1,maxmem=4G",
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(options); i++) {
        MonitorFixture *f = monitor_fixture_new(options[i]);

        check_machine(f);
        monitor_fixture_free(f);
    }
}

static void test_picture_of_64_dimms(void **state)
{
    MonitorFixture *f = monitor_fixture_new("-m 1G,slots=64,maxmem=32G");
    g_autoptr(MapSnapshot) map = NULL;

    for (unsigned i = 0; i < 64; i++) {
        plug(f, i);
    }
    check_machine(f);
    map = machine_memory_map(f->machine);
    assert_int_equal(map_snapshot_view_of(map, "memory")->slots->len, 3 + 64);
    monitor_fixture_free(f);
}

static unsigned count_chips(MonitorFixture *f, const MapView *view, bool port)
{
    unsigned chips = 0;

    for (guint i = 0; i < view->notes->len; i++) {
        const MapNote *note = map_note(view, i);
        bool chip = g_str_has_suffix(note->text, ", in KVM");

        assert_int_equal(kvm_chip_at(machine_kvm(f->machine), note->start, port) != NULL, chip);
        chips += chip;
    }
    return chips;
}

/* What the board says of the kernel's chips is what the accelerator says. */
static void test_notes_name_the_chips_in_kvm(void **state)
{
    MonitorFixture *f = monitor_fixture_new("-m 256M,slots=2,maxmem=1G");
    g_autoptr(MapSnapshot) map = machine_memory_map(f->machine);

    assert_int_equal(count_chips(f, map_snapshot_view_of(map, "memory"), false), 2);
    assert_int_equal(count_chips(f, map_snapshot_view_of(map, "I/O"), true), 5);
    monitor_fixture_free(f);
}

/* Slots and tiles of one moment: each slot lies in a tile of its region. */
static void check_moment(MapSnapshot *map)
{
    const MapView *view = map_snapshot_view_of(map, "memory");
    guint tile = 0;

    for (guint i = 0; i < view->slots->len; i++) {
        const MapSlot *slot = map_slot(view, i);

        while (map_tile(view, tile)->last < slot->start) {
            tile++;
        }
        assert_true(map_tile(view, tile)->start <= slot->start);
        assert_true(map_tile(view, tile)->last >= slot->last);
        assert_string_equal(map_region(map, map_tile(view, tile)->region)->name, slot->region);
    }
}

typedef struct Painter {
    Machine *machine;
    atomic_bool stop;
    _Atomic unsigned pictures;
} Painter;

static gpointer paint_on(gpointer opaque)
{
    Painter *p = opaque;

    while (!atomic_load(&p->stop)) {
        g_autoptr(MapSnapshot) map = machine_memory_map(p->machine);
        GString *svg = picture_make(map, PICTURE_SVG, "beside");

        check_moment(map);
        picture_check_svg(map, svg);
        g_string_free(svg, TRUE);
        atomic_fetch_add(&p->pictures, 1);
    }
    return NULL;
}

/* A vCPU's accesses, which are counted, without a vCPU. */
typedef struct Reader {
    Machine *machine;
    AccessCounters *counters;
    atomic_bool stop;
} Reader;

static gpointer read_on(gpointer opaque)
{
    Reader *r = opaque;

    rcu_thread_register();
    access_counters_use(r->counters);
    while (!atomic_load(&r->stop)) {
        uint8_t byte;

        address_space_rw(machine_memory(r->machine), 0x100000000, MEMTXATTRS_NONE, &byte, 1, false);
        address_space_rw(machine_memory(r->machine), 0xa0000, MEMTXATTRS_NONE, &byte, 1, false);
    }
    access_counters_use(NULL);
    rcu_thread_unregister();
    return NULL;
}

static void test_pictures_beside_plugging_and_access(void **state)
{
    MonitorFixture *f = monitor_fixture_new("-m 256M,slots=4,maxmem=2G");
    Painter painter = { .machine = f->machine };
    Reader reader = { f->machine,
                      access_counters_new(machine_memory_system(f->machine), "reader", NULL), false };
    GThread *paints = g_thread_new("painter", paint_on, &painter);
    GThread *reads = g_thread_new("reader", read_on, &reader);

    for (unsigned i = 0; i < 60 || atomic_load(&painter.pictures) < 5; i++) {
        plug(f, i % 4);
        monitor_fixture_guest_eject(f, 0);
        monitor_fixture_settle();
        monitor_fixture_hmp(f, i % 4 == 0   ? "object_del m0"
                               : i % 4 == 1 ? "object_del m1"
                               : i % 4 == 2 ? "object_del m2"
                                            : "object_del m3");
    }
    atomic_store(&painter.stop, true);
    atomic_store(&reader.stop, true);
    g_thread_join(paints);
    g_thread_join(reads);
    access_counters_free(reader.counters);
    monitor_fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mtree_g_writes_pictures),
        cmocka_unit_test(test_mtree_g_refuses),
        cmocka_unit_test(test_dump_memory_map_by_suffix),
        cmocka_unit_test(test_pictures_of_machines),
        cmocka_unit_test(test_picture_of_64_dimms),
        cmocka_unit_test(test_notes_name_the_chips_in_kvm),
        cmocka_unit_test(test_pictures_beside_plugging_and_access),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
