/* SPDX-License-Identifier: MIT */
/* info memory: the guest's side, the sums, the table, and reasons where nothing is known. */
#include <glib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "../../../src/monitor/memory-report-internal.h"
#include "support/monitor-fixture.h"
#include "tessera/util/size.h"

static uint64_t number(const json_t *o, const char *name)
{
    const json_t *value = json_object_get(o, name);

    if (!json_is_integer(value)) {
        fail_msg("%s is no number", name);
    }
    return (uint64_t)json_integer_value(value);
}

static const json_t *part(const json_t *o, const char *name)
{
    const json_t *value = json_object_get(o, name);

    if (!value) {
        fail_msg("there is no %s", name);
    }
    return value;
}

static const json_t *entry(const json_t *list, const char *key, const char *wanted)
{
    size_t i;
    json_t *o;

    json_array_foreach((json_t *)list, i, o) {
        if (g_strcmp0(json_string_value(json_object_get(o, key)), wanted) == 0) {
            return o;
        }
    }
    fail_msg("there is no entry with %s %s", key, wanted);
    return NULL;
}

static void plug(MonitorFixture *f, const char *n, const char *size)
{
    g_autofree char *object = g_strdup_printf("object_add memory-backend-ram,id=m%s,size=%s", n,
                                              size);
    g_autofree char *device = g_strdup_printf("device_add pc-dimm,id=d%s,memdev=m%s", n, n);

    monitor_fixture_hmp(f, object);
    monitor_fixture_hmp(f, device);
}

static void check_guest(MonitorFixture *f, uint64_t plugged, uint64_t pending, unsigned used)
{
    const json_t *g = part(monitor_fixture_qmp(f, "x-query-memory", NULL), "guest");

    assert_int_equal(number(g, "boot-memory"), 512 * MIB);
    assert_int_equal(number(g, "plugged-memory"), plugged);
    assert_int_equal(number(g, "memory"), 512 * MIB + plugged);
    assert_int_equal(number(g, "unplug-pending"), pending);
    assert_int_equal(number(g, "maximum"), 4 * GIB);
    assert_int_equal(number(g, "slots"), 4);
    assert_int_equal(number(g, "slots-used"), used);
}

static void check_role(MonitorFixture *f, const char *id, const char *role)
{
    const json_t *blocks = part(f->result, "blocks");

    assert_string_equal(json_string_value(part(entry(blocks, "id", id), "role")), role);
}

static void test_info_memory_follows_plug_and_unplug(void **state)
{
    MonitorFixture *f = monitor_fixture_new("-m 512,slots=4,maxmem=4G");

    monitor_fixture_hmp(f, "cont");
    check_guest(f, 0, 0, 0);
    check_role(f, "pc.ram", "boot");
    monitor_fixture_hmp(f, "object_add memory-backend-ram,id=m9,size=4M");
    plug(f, "1", "128M");
    plug(f, "2", "256M");
    check_guest(f, 384 * MIB, 0, 2);
    check_role(f, "m9", "unused");
    check_role(f, "m1", "dimm");
    assert_string_equal(json_string_value(part(entry(part(f->result, "blocks"), "id", "m1"),
                                               "device")), "d1");
    assert_true(json_is_false(part(entry(part(f->result, "blocks"), "id", "m2"),
                                   "unplug-pending")));
    monitor_fixture_hmp(f, "device_del d2");
    check_guest(f, 384 * MIB, 256 * MIB, 2);
    assert_true(json_is_true(part(entry(part(f->result, "blocks"), "id", "m2"),
                                  "unplug-pending")));
    assert_text_has(monitor_fixture_hmp(f, "info memory"), "m2 (DIMM d2) ");
    assert_text_has(f->out->str, "UNPLUG PENDING");
    assert_text_has(f->out->str, "The guest has 896 MiB: 512 MiB boot RAM + 384 MiB in 2 of 4 "
                                 "slots; maximum 4 GiB; unplug pending: 256 MiB\n");
    monitor_fixture_guest_ost(f, 1, 3, 0x84);
    check_guest(f, 384 * MIB, 256 * MIB, 2);
    monitor_fixture_guest_ost(f, 1, 3, 0x80); /* refused: the guest keeps it */
    check_guest(f, 384 * MIB, 0, 2);
    monitor_fixture_hmp(f, "device_del d2");
    monitor_fixture_guest_eject(f, 1);
    check_guest(f, 128 * MIB, 0, 1);
    check_role(f, "m2", "unused");
    monitor_fixture_free(f);
}

static void test_info_memory_refused_plug(void **state)
{
    MonitorFixture *f = monitor_fixture_new("-m 512,slots=4,maxmem=4G");

    monitor_fixture_hmp(f, "cont");
    plug(f, "1", "128M");
    monitor_fixture_guest_ost(f, 0, 1, 1);
    check_guest(f, 128 * MIB, 0, 1);
    assert_int_equal(number(part(f->result, "guest"), "refused-plug"), 128 * MIB);
    assert_text_has(monitor_fixture_hmp(f, "info memory"), "refused by the guest: 128 MiB");
    monitor_fixture_free(f);
}

static void test_info_memory_without_slots(void **state)
{
    MonitorFixture *f = monitor_fixture_new("-m 64");
    const json_t *g = part(monitor_fixture_qmp(f, "x-query-memory", NULL), "guest");

    assert_int_equal(number(g, "maximum"), 64 * MIB);
    assert_int_equal(number(g, "slots"), 0);
    monitor_fixture_free(f);
}

static const char *const amounts[] = { "resident", "transparent-huge", "hugetlb", "anonymous",
                                       "shared", "swapped" };

/* Every total is the sum of its parts. */
static void check_sum(const json_t *parts, const json_t *more, const json_t *total)
{
    for (size_t k = 0; k < G_N_ELEMENTS(amounts); k++) {
        uint64_t sum = more ? number(more, amounts[k]) : 0;
        size_t i;
        json_t *o;

        json_array_foreach((json_t *)parts, i, o) {
            sum += number(o, amounts[k]);
        }
        assert_int_equal(sum, number(total, amounts[k]));
    }
}

/* Older kernels leave out what each processor has counted and not handed in: so much at most. */
static uint64_t counting_slack(void)
{
    uint64_t processors = g_get_num_processors();

    return 3 * MAX(32, 2 * processors) * processors * 4096;
}

static void test_info_memory_adds_up(void **state)
{
    MonitorFixture *f = monitor_fixture_new("-m 512,slots=4,maxmem=4G");
    const json_t *r, *p;
    uint8_t *ram;

    plug(f, "1", "128M");
    monitor_fixture_poke(f, 0x5000, "x", 1);
    memory_system_lock(machine_memory_system(f->machine));
    ram = address_space_ram_host(machine_memory(f->machine), 4 * GIB, 128 * MIB);
    memory_system_unlock(machine_memory_system(f->machine));
    assert_non_null(ram);
    memset(ram, 1, 10 * MIB);
    monitor_fixture_qmp(f, "x-query-memory", NULL);
    r = monitor_fixture_qmp(f, "x-query-memory", NULL);
    check_sum(part(r, "blocks"), part(r, "leaving"), part(r, "guest-total"));
    check_sum(part(r, "vmm"), NULL, part(r, "vmm-total"));
    p = part(r, "process");
    assert_int_equal(number(p, "sum"), number(part(r, "guest-total"), "resident") +
                                           number(part(r, "vmm-total"), "resident"));
    assert_int_equal(number(p, "resident"), number(p, "vm-rss") + number(p, "hugetlb"));
    print_message("# the kernel counts %+d KiB beside the sum\n",
                  (int)((int64_t)(number(p, "resident") - number(p, "sum")) / 1024));
    assert_in_range(number(p, "resident") + counting_slack(), number(p, "sum"),
                    number(p, "sum") + 2 * counting_slack());
    assert_int_equal(number(entry(part(r, "blocks"), "id", "m1"), "resident"), 10 * MIB);
    assert_in_range(number(part(r, "vmm-total"), "resident"), 64 * KIB, 4 * GIB);
    monitor_fixture_free(f);
}

/* Of a machine whose /proc and /sys have nothing, everything that is not known has its reason. */
static void test_info_memory_where_nothing_is_told(void **state)
{
    MonitorFixture *f = monitor_fixture_new("-m 64");
    g_autoptr(MemoryReport) report = machine_memory_report(f->machine, "/nowhere", true);
    json_t *r = memory_report_json(report);
    const json_t *why = part(r, "unknown");
    g_autoptr(GString) text = g_string_new(NULL);

    assert_true(json_is_null(part(entry(part(r, "blocks"), "id", "pc.ram"), "resident")));
    assert_true(json_is_null(part(part(r, "vmm-total"), "resident")));
    assert_true(json_is_null(part(part(r, "process"), "sum")));
    assert_true(json_is_null(part(part(r, "process"), "page-tables")));
    assert_true(json_is_null(part(part(r, "kvm"), "mapped")));
    assert_true(json_is_null(part(part(r, "kvm"), "host-second-level")));
    assert_true(json_is_null(part(part(r, "kvm"), "slots")));
    assert_text_has(json_string_value(part(why, "mappings")), "/nowhere/proc/self/smaps");
    assert_text_has(json_string_value(part(why, "process")), "/nowhere/proc/self/status");
    assert_text_has(json_string_value(part(why, "process.merged")), "ksm_merging_pages");
    assert_text_has(json_string_value(part(why, "kvm.mapped")), "KVM_GET_STATS_FD");
    assert_text_has(json_string_value(part(why, "kvm.mapped")), "/sys/kernel/debug/kvm");
    assert_text_has(json_string_value(part(why, "kvm.group")), "/proc/self/cgroup");
    assert_text_has(json_string_value(part(why, "kvm.host-second-level")), "/proc/meminfo");
    assert_non_null(part(why, "kvm.slots"));
    assert_int_equal(number(part(r, "guest"), "memory"), 64 * MIB);
    memory_report_print(r, text);
    assert_text_has(text->str, "The guest has 64 MiB");
    assert_text_has(text->str, "? mappings: ");
    assert_text_has(text->str, "  all of tessera itself                            ?           ?");
    json_decref(r);
    monitor_fixture_free(f);
}

static void test_info_memory_quick(void **state)
{
    MonitorFixture *f = monitor_fixture_new("-m 64");
    const json_t *r = monitor_fixture_qmp(f, "x-query-memory", "{\"quick\": true}");
    const json_t *p = part(r, "process");

    assert_true(json_is_null(part(part(r, "guest-total"), "resident")));
    assert_true(json_is_null(part(p, "sum")));
    assert_int_equal(number(p, "resident"), number(p, "vm-rss") + number(p, "hugetlb"));
    assert_int_equal(number(p, "vm-rss"),
                     number(p, "rss-anon") + number(p, "rss-file") + number(p, "rss-shmem"));
    assert_text_has(json_string_value(part(part(r, "unknown"), "mappings")), "not asked for");
    assert_text_has(monitor_fixture_hmp(f, "info memory -q"), "? mappings: not asked for");
    monitor_fixture_free(f);
}

static void root_file(const char *root, const char *name, const char *text)
{
    g_autofree char *path = g_build_filename(root, name, NULL);
    g_autofree char *dir = g_path_get_dirname(path);

    assert_int_equal(g_mkdir_with_parents(dir, 0700), 0);
    assert_true(g_file_set_contents(path, text, -1, NULL));
}

static void remove_all(const char *root)
{
    g_autofree char *command = g_strdup_printf("rm -r '%s'", root);

    assert_true(g_spawn_command_line_sync(command, NULL, NULL, NULL, NULL));
}

/* The kernel's side, as a host with control groups and statistics has it. */
static void test_info_memory_kernel_memory(void **state)
{
    static const char *const names[] = { "pages_4k", "pages_2m", "pages_1g" };
    struct kvm_stats_header header = { .name_size = 16, .num_desc = 3, .desc_offset = 24,
                                       .data_offset = 24 + 3 * 32 };
    MonitorFixture *f = monitor_fixture_new("-m 64");
    g_autofree char *root = g_dir_make_tmp("tessera-report-XXXXXX", NULL);
    g_autoptr(GByteArray) stats = g_byte_array_new();
    const uint64_t values[] = { 5, 3, 2 };
    g_autoptr(MemoryReport) report = NULL;
    g_autoptr(GString) text = g_string_new(NULL);
    const json_t *k;
    json_t *r;

    g_byte_array_append(stats, (const guint8 *)&header, sizeof(header));
    for (unsigned i = 0; i < 3; i++) {
        struct kvm_stats_desc desc = {
            .flags = KVM_STATS_TYPE_INSTANT,
            .size = 1,
            .offset = 8 * i,
        };
        char name[16] = "";

        g_strlcpy(name, names[i], sizeof(name));
        g_byte_array_append(stats, (const guint8 *)&desc, sizeof(desc));
        g_byte_array_append(stats, (const guint8 *)name, sizeof(name));
    }
    g_byte_array_append(stats, (const guint8 *)values, sizeof(values));
    model_kvm_set_cap(KVM_CAP_BINARY_STATS_FD, 1);
    model_kvm_set_stats(stats->data, stats->len);
    root_file(root, "proc/self/cgroup", "1:cpu:/\n0::/vms/a\n");
    root_file(root, "sys/fs/cgroup/unified/vms/a/memory.stat",
              "anon 1\nkernel 40960\npagetables 8192\nsec_pagetables 12288\n");
    root_file(root, "proc/meminfo", "MemTotal: 1 kB\nSecPageTables:       77 kB\n");
    report = machine_memory_report(f->machine, root, true);
    r = memory_report_json(report);
    k = part(r, "kvm");
    assert_int_equal(number(k, "mapped-4k"), 5 * 4 * KIB);
    assert_int_equal(number(k, "mapped-2m"), 3 * 2 * MIB);
    assert_int_equal(number(k, "mapped-1g"), 2 * GIB);
    assert_int_equal(number(k, "mapped"), 5 * 4 * KIB + 3 * 2 * MIB + 2 * GIB);
    assert_int_equal(number(k, "group-second-level"), 12288);
    assert_int_equal(number(k, "group-page-tables"), 8192);
    assert_int_equal(number(k, "group-kernel"), 40960);
    assert_int_equal(number(k, "host-second-level"), 77 * KIB);
    assert_string_equal(json_string_value(part(k, "group")), "/vms/a");
    assert_null(json_object_get(part(r, "unknown"), "kvm.mapped"));
    assert_null(json_object_get(part(r, "unknown"), "kvm.group"));
    memory_report_print(r, text);
    assert_text_has(text->str, "of control group /vms/a; all its kernel memory: 40");
    json_decref(r);
    root_file(root, "proc/self/cgroup", "4:memory:/a\n0::/vms/b\n"); /* version 1 has memory */
    memory_report_free(report);
    report = machine_memory_report(f->machine, root, true);
    r = memory_report_json(report);
    assert_true(json_is_null(part(part(r, "kvm"), "group")));
    assert_text_has(json_string_value(part(part(r, "unknown"), "kvm.group")),
                    "no memory of control group '/vms/b' (its controller 'memory' must be on)");
    json_decref(r);
    remove_all(root);
    monitor_fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_info_memory_follows_plug_and_unplug),
        cmocka_unit_test(test_info_memory_refused_plug),
        cmocka_unit_test(test_info_memory_without_slots),
        cmocka_unit_test(test_info_memory_adds_up),
        cmocka_unit_test(test_info_memory_where_nothing_is_told),
        cmocka_unit_test(test_info_memory_quick),
        cmocka_unit_test(test_info_memory_kernel_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
