/* SPDX-License-Identifier: MIT */
/* x-query-translate: the shape of its answers, where ways end, and what people read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "../../../src/accel/kvm/vcpu-internal.h"
#include "support/monitor-fixture.h"
#include "tessera/hw/i386/pc-map.h"
#include "tessera/memory/ram-block.h"
#include "tessera/memory/region.h"

/*
 * Page tables in guest memory:   PML4[0] -> PDPT[0] -> PD[0] -> PT[3] -> 0x123000
 *                                                      PD[1]: the 2 MiB at 0x200000, global, NX
 *                                                      PD[2]: a reserved bit
 *                                                      PD[3] -> a table where there is no memory
 */
#define PML4 0x10000
#define PDPT 0x11000
#define PD   0x12000
#define PT   0x13000
#define NX   (1ULL << 63)

static void set_entry(MonitorFixture *f, hwaddr table, unsigned index, uint64_t value)
{
    monitor_fixture_poke(f, table + 8 * index, &value, sizeof(value));
}

static void set_paging(MonitorFixture *f, unsigned cpu)
{
    struct kvm_sregs sregs = { .cr0 = 0x80000011, .cr3 = PML4, .cr4 = 0xa0, .efer = 0xd00 };
    VcpuSet *set = machine_vcpus(f->machine);

    assert_int_equal(kvm_vcpu_ioctl(set->kvm, set->vcpus[cpu]->fd, KVM_SET_SREGS, &sregs), 0);
}

static MonitorFixture *machine_with_tables(const char *options)
{
    MonitorFixture *f = monitor_fixture_new(options);

    set_entry(f, PML4, 0, PDPT | 0x67);
    set_entry(f, PDPT, 0, PD | 0x67);
    set_entry(f, PD, 0, PT | 0x67);
    set_entry(f, PD, 1, 0x200000 | 0x1e1 | NX);
    set_entry(f, PD, 2, 0x400000 | 0x20e3);
    set_entry(f, PD, 3, 0x50000000 | 0x67);
    set_entry(f, PT, 3, 0x123000 | 0x25);
    set_paging(f, 0);
    return f;
}

static json_t *translate(MonitorFixture *f, const char *arguments)
{
    return monitor_fixture_qmp(f, "x-query-translate", arguments);
}

static const char *text_of(const json_t *o, const char *name)
{
    const char *text = json_string_value(json_object_get(o, name));

    assert_non_null(text);
    return text;
}

static uint64_t u64_of(const json_t *o, const char *name)
{
    json_t *value = json_object_get(o, name);

    assert_true(json_is_integer(value));
    return (uint64_t)json_integer_value(value);
}

static void *host_of(MonitorFixture *f, hwaddr gpa)
{
    MemorySystem *ms = machine_memory_system(f->machine);
    void *host;

    memory_system_lock(ms);
    host = address_space_ram_host(machine_memory(f->machine), gpa, 1);
    memory_system_unlock(ms);
    return host;
}

static bool has_flag(const json_t *entry, const char *flag)
{
    json_t *flags = json_object_get(entry, "flags"), *value;
    size_t i;

    json_array_foreach(flags, i, value) {
        if (strcmp(json_string_value(value), flag) == 0) {
            return true;
        }
    }
    return false;
}

static void check_paging(const json_t *paging)
{
    json_t *entries = json_object_get(paging, "entries");
    static const char *const names[] = { "PML4E", "PDPTE", "PDE", "PTE" };
    static const uint64_t places[] = { PML4, PDPT, PD, PT + 3 * 8 };

    assert_string_equal(text_of(paging, "mode"), "4-level");
    assert_string_equal(text_of(paging, "result"), "mapped");
    assert_int_equal(u64_of(paging, "cr3"), PML4);
    assert_int_equal(json_array_size(entries), 4);
    for (size_t i = 0; i < 4; i++) {
        const json_t *e = json_array_get(entries, i);

        assert_string_equal(text_of(e, "name"), names[i]);
        assert_int_equal(u64_of(e, "level"), 4 - i);
        assert_int_equal(u64_of(e, "gpa"), places[i]);
        assert_int_equal(u64_of(e, "index"), i == 3 ? 3 : 0);
        assert_int_equal(json_is_true(json_object_get(e, "leaf")), i == 3);
        assert_true(has_flag(e, "present") && has_flag(e, "accessed") && has_flag(e, "user"));
        assert_int_equal(has_flag(e, "writable"), i < 3);
    }
    assert_int_equal(u64_of(json_array_get(entries, 3), "value"), 0x123025);
    assert_int_equal(u64_of(paging, "gpa"), 0x123abc);
    assert_int_equal(u64_of(paging, "page-size"), 4096);
    assert_true(json_is_false(json_object_get(paging, "writable")));
    assert_true(json_is_true(json_object_get(paging, "user")));
    assert_true(json_is_true(json_object_get(paging, "executable")));
}

static void check_memory(const json_t *memory)
{
    json_t *contest = json_object_get(memory, "contest");
    const json_t *winner = json_array_get(contest, 2);
    const json_t *tile = json_object_get(memory, "tile");

    assert_string_equal(text_of(memory, "address-space"), "memory");
    assert_string_equal(text_of(json_array_get(contest, 0), "region"), "system");
    assert_string_equal(text_of(json_array_get(contest, 0), "result"), "entered");
    assert_string_equal(text_of(json_array_get(contest, 1), "region"), "ram-below-4g");
    assert_string_equal(text_of(json_array_get(contest, 1), "target"), "pc.ram");
    assert_string_equal(text_of(winner, "region"), "pc.ram");
    assert_string_equal(text_of(winner, "result"), "won");
    assert_true(json_is_true(json_object_get(winner, "behind-alias")));
    assert_int_equal(u64_of(winner, "offset"), 0x123abc);
    assert_string_equal(text_of(tile, "region"), "pc.ram");
    assert_string_equal(text_of(tile, "kind"), "ram");
    assert_string_equal(text_of(tile, "owner"), "board");
    assert_int_equal(u64_of(tile, "start"), 0xe0000);
    assert_int_equal(u64_of(tile, "last"), 0x3ffffff);
    assert_true(json_is_array(json_object_get(json_object_get(memory, "dispatch"), "steps")));
    assert_true(u64_of(json_object_get(memory, "dispatch"), "section") > 0);
}

static void check_host(const json_t *answer)
{
    const json_t *host = json_object_get(answer, "host");
    const json_t *hpa = json_object_get(host, "hpa");

    assert_string_equal(text_of(host, "page"), "present");
    if (hpa) {
        assert_int_equal(u64_of(host, "hpa") % 4096, 0xabc);
        assert_string_equal(text_of(answer, "ends-at"), "hpa");
    } else {
        assert_string_equal(text_of(answer, "ends-at"), "hva");
        assert_non_null(strstr(text_of(host, "hpa-unknown"), "CAP_SYS_ADMIN"));
    }
    assert_true(json_object_get(host, "page-size") || json_object_get(host, "page-size-unknown"));
}

static void test_translate_virtual_all_the_way(void **state)
{
    MonitorFixture *f = machine_with_tables("-S -m 64M");
    const json_t *answer, *slot, *ram;

    monitor_fixture_poke(f, 0x123abc, "x", 1);
    answer = translate(f, "{\"address\": 15036}"); /* 0x3abc */
    assert_string_equal(text_of(answer, "kind"), "virtual");
    assert_int_equal(u64_of(answer, "address"), 0x3abc);
    assert_int_equal(u64_of(answer, "cpu"), 0);
    assert_int_equal(u64_of(answer, "gpa"), 0x123abc);
    check_paging(json_object_get(answer, "paging"));
    check_memory(json_object_get(answer, "memory"));
    slot = json_object_get(answer, "slot");
    assert_int_equal(u64_of(slot, "gpa"), 0xe0000);
    assert_int_equal(u64_of(slot, "size"), 0x4000000 - 0xe0000);
    assert_true(json_is_false(json_object_get(slot, "readonly")));
    assert_int_equal(u64_of(slot, "largest-page"), 4096);
    ram = json_object_get(answer, "ram");
    assert_string_equal(text_of(ram, "block"), "pc.ram");
    assert_int_equal(u64_of(ram, "offset"), 0x123abc);
    assert_int_equal(u64_of(answer, "hva"), (uintptr_t)host_of(f, 0x123abc));
    assert_int_equal(u64_of(answer, "hva") - u64_of(slot, "hva"), 0x123abc - 0xe0000);
    check_host(answer);
    monitor_fixture_free(f);
}

static void assert_ends(const json_t *answer, const char *at, const char *part)
{
    assert_string_equal(text_of(answer, "ends-at"), at);
    assert_text_has(text_of(answer, "message"), part);
}

static void assert_walk_ends(MonitorFixture *f, const char *address, const char *result,
                             size_t entries, const char *part)
{
    g_autofree char *arguments = g_strdup_printf("{\"address\": %s}", address);
    const json_t *answer = translate(f, arguments);
    const json_t *paging = json_object_get(answer, "paging");

    assert_string_equal(text_of(paging, "result"), result);
    assert_int_equal(json_array_size(json_object_get(paging, "entries")), entries);
    assert_null(json_object_get(answer, "gpa"));
    assert_null(json_object_get(answer, "memory"));
    assert_ends(answer, "page-tables", part);
}

static void test_translate_ends_in_the_page_tables(void **state)
{
    MonitorFixture *f = machine_with_tables("-S -m 64M");

    assert_walk_ends(f, "8192", "not-present", 4, "the PTE is not present");
    assert_walk_ends(f, "8388608", "not-present", 3, "the PDE is not present");
    assert_walk_ends(f, "4194304", "reserved-bits", 3, "the PDE has reserved bits set (0x2000)");
    assert_walk_ends(f, "6291456", "no-memory", 4,
                     "no memory at 0x50000000, where the PTE would stand");
    assert_walk_ends(f, "140737488355328", "not-canonical", 0, "bits 63 to 47");
    monitor_fixture_hmp(f, "info translate 0x600000");
    assert_text_has(f->out->str, "  PTE     0 at 0x0000000050000000: no memory there\n");
    monitor_fixture_hmp(f, "info translate 0x400000");
    assert_text_has(f->out->str, " large RESERVED 0x2000\n");
    monitor_fixture_hmp(f, "info translate 0x2000");
    assert_text_has(f->out->str, ": 0x0000000000000000 not present\n");
    monitor_fixture_free(f);
}

static void test_translate_without_paging(void **state)
{
    MonitorFixture *f = monitor_fixture_new("-S -m 64M");
    struct kvm_sregs sregs = { .cr0 = 0x11 };
    VcpuSet *set = machine_vcpus(f->machine);
    const json_t *answer;

    assert_int_equal(kvm_vcpu_ioctl(set->kvm, set->vcpus[0]->fd, KVM_SET_SREGS, &sregs), 0);
    answer = translate(f, "{\"address\": 291}");
    assert_string_equal(text_of(json_object_get(answer, "paging"), "mode"), "off");
    assert_int_equal(u64_of(answer, "gpa"), 291);
    assert_walk_ends(f, "4294967296", "too-wide", 0, "32 bits with no paging; -g takes");
    monitor_fixture_free(f);
}

static void test_translate_each_vcpu_has_its_own_tables(void **state)
{
    MonitorFixture *f = machine_with_tables("-S -m 64M -smp 2");
    struct kvm_sregs sregs = { .cr0 = 0x80000011, .cr3 = PDPT, .cr4 = 0xa0, .efer = 0xd00 };
    VcpuSet *set = machine_vcpus(f->machine);

    assert_int_equal(kvm_vcpu_ioctl(set->kvm, set->vcpus[1]->fd, KVM_SET_SREGS, &sregs), 0);
    assert_int_equal(u64_of(translate(f, "{\"address\": 12288, \"cpu\": 0}"), "gpa"), 0x123000);
    assert_string_equal(text_of(json_object_get(translate(f, "{\"address\": 12288, \"cpu\": 1}"),
                                                "paging"), "result"), "not-present");
    assert_text_has(monitor_fixture_qmp_error(f, "x-query-translate",
                                              "{\"address\": 0, \"cpu\": 2}"), "0 to 1");
    assert_text_has(monitor_fixture_hmp(f, "info translate 0x3000 -c 1"), ", vCPU 1\n");
    monitor_fixture_hmp(f, "cpu 1"); /* the monitor's own is the default */
    assert_text_has(monitor_fixture_hmp(f, "info translate 0x3000"), ", vCPU 1\n");
    monitor_fixture_free(f);
}

static void test_translate_refuses(void **state)
{
    MonitorFixture *f = monitor_fixture_new("-S -m 64M");

    assert_text_has(monitor_fixture_hmp_error(f, "info translate 0 -gp"), "give one of them");
    assert_text_has(monitor_fixture_hmp_error(f, "info translate 0 -v -g"), "give one of them");
    assert_text_has(monitor_fixture_hmp_error(f, "info translate 0 -g -c 0"),
                    "a physical address is the same for every vCPU");
    assert_text_has(monitor_fixture_hmp_error(f, "info translate"), "address is missing");
    model_kvm_fail_request(KVM_GET_SREGS);
    model_kvm_fail_nth(1, EIO, true);
    assert_text_has(monitor_fixture_hmp_error(f, "info translate 0"), "KVM_GET_SREGS");
    model_kvm_no_faults();
    monitor_fixture_free(f);
}

static void test_translate_ends_at_a_device(void **state)
{
    MonitorFixture *f = monitor_fixture_new("-S -m 64M -serial null");
    const json_t *answer = translate(f, "{\"address\": 655377, \"physical\": true}"); /* 0xa0011 */
    json_t *contest = json_object_get(json_object_get(answer, "memory"), "contest");
    const json_t *loser = json_array_get(contest, 2);

    assert_string_equal(text_of(answer, "kind"), "physical");
    assert_ends(answer, "device", "vga-hole answers, at offset 0x11 (owner: board)");
    assert_string_equal(text_of(loser, "region"), "ram-below-4g");
    assert_string_equal(text_of(loser, "result"), "lower-priority");
    assert_string_equal(text_of(loser, "beaten-by"), "vga-hole");
    assert_string_equal(text_of(loser, "would-show"), "pc.ram");
    assert_null(json_object_get(answer, "ram"));
    assert_null(json_object_get(answer, "slot"));
    assert_null(json_object_get(answer, "paging"));
    answer = translate(f, "{\"address\": 1018, \"port\": true}"); /* 0x3fa */
    assert_string_equal(text_of(json_object_get(answer, "memory"), "address-space"), "I/O");
    assert_null(json_object_get(answer, "gpa"));
    assert_ends(answer, "device", "serial answers, at offset 0x2 (owner: dev type=isa-serial)");
    assert_true(json_is_object(json_object_get(
        json_object_get(json_object_get(answer, "memory"), "dispatch"), "subpage")));
    monitor_fixture_hmp(f, "info translate -p 0x3fa");
    assert_text_has(f->out->str, "port 0x00000000000003fa, from the root of address space I/O");
    assert_text_has(f->out->str, " -> subpage {");
    monitor_fixture_free(f);
}

static void test_translate_ends_where_nothing_answers(void **state)
{
    MonitorFixture *f = monitor_fixture_new("-S -m 64M");
    const json_t *answer = translate(f, "{\"address\": 67108864, \"physical\": true}");
    const json_t *memory = json_object_get(answer, "memory");

    assert_ends(answer, "nothing", "no region answers at 0x4000000; pc.ram ends below it, at "
                                   "0x3ffffff");
    assert_null(json_object_get(memory, "tile"));
    assert_string_equal(text_of(json_object_get(json_object_get(memory, "neighbours"), "below"),
                                "region"), "pc.ram");
    answer = translate(f, "{\"address\": -1, \"physical\": true}");
    assert_ends(answer, "nothing", "no region answers at 0xffffffffffffffff");
    answer = translate(f, "{\"address\": 65536, \"port\": true}");
    assert_ends(answer, "nothing", "no region answers at 0x10000, and no instruction reaches it: "
                                   "ports are 0x0 to 0xffff");
    assert_int_equal(json_array_size(json_object_get(json_object_get(answer, "memory"),
                                                     "contest")), 0);
    monitor_fixture_free(f);
}

/* KVM's chips are in no tree; what the map shows there is shown all the same. */
static void test_translate_ends_at_a_chip_of_the_kernel(void **state)
{
    MonitorFixture *f = monitor_fixture_new("-S -m 64M");
    const json_t *answer = translate(f, "{\"address\": 4276092976, \"physical\": true}");

    assert_string_equal(text_of(answer, "kernel-chip"), "local APIC");
    assert_ends(answer, "kernel", "KVM's own local APIC answers there");
    assert_true(json_is_object(json_object_get(answer, "memory")));
    answer = translate(f, "{\"address\": 65, \"port\": true}");
    assert_ends(answer, "kernel", "KVM's own PIT answers");
    answer = translate(f, "{\"address\": 65, \"physical\": true}");
    assert_null(json_object_get(answer, "kernel-chip"));
    answer = translate(f, "{\"address\": 4276097024, \"physical\": true}"); /* 0xfee01000 */
    assert_ends(answer, "nothing", "no region answers at 0xfee01000");
    monitor_fixture_free(f);
}

static void test_translate_memory_that_nobody_touched(void **state)
{
    MonitorFixture *f = monitor_fixture_new("-S -m 64M");
    const json_t *answer = translate(f, "{\"address\": 66060288, \"physical\": true}");

    assert_ends(answer, "hva", "the host-physical address is not known");
    assert_text_has(text_of(json_object_get(answer, "host"), "hpa-unknown"), "never touched");
    assert_string_equal(text_of(json_object_get(answer, "host"), "page"), "absent");
    assert_int_equal(u64_of(answer, "hva"), (uintptr_t)host_of(f, 66060288));
    assert_text_has(monitor_fixture_hmp(f, "info translate -g 0x3f00000"),
                    "HPA not known: this process has no page there");
    monitor_fixture_free(f);
}

/* RAM of a few bytes lies over the end of a page: no slot for that page. */
static void test_translate_memory_without_a_slot(void **state)
{
    MonitorFixture *f = monitor_fixture_new("-S -m 64M");
    MemorySystem *ms = machine_memory_system(f->machine);
    MemoryRegion *root = address_space_root(machine_memory(f->machine));
    RAMBlock *block = ram_block_new(ms, "patch", 4096, 0, 0, NULL);
    MemoryRegion *patch = memory_region_new_ram(ms, NULL, "patch", block);
    MemoryRegion *alias = memory_region_new_alias(ms, NULL, "window", patch, 0x10, 0x20);
    const json_t *answer;

    assert_true(memory_region_add_subregion_overlap(root, 0x200100, alias, 9, NULL));
    answer = translate(f, "{\"address\": 2097416, \"physical\": true}"); /* 0x200108 */
    assert_string_equal(text_of(json_object_get(answer, "ram"), "block"), "patch");
    assert_int_equal(u64_of(json_object_get(answer, "ram"), "offset"), 0x18);
    assert_int_equal(u64_of(answer, "hva"), (uintptr_t)ram_block_host(block) + 0x18);
    assert_null(json_object_get(answer, "slot"));
    assert_text_has(monitor_fixture_hmp(f, "info translate -g 0x200108"),
                    "KVM slot: none, so that each access leaves the guest\n");
    assert_true(memory_region_del_subregion(root, alias, NULL));
    memory_region_release(alias);
    memory_region_release(patch);
    ram_block_unref(block);
    monitor_fixture_free(f);
}

static void test_translate_text_of_a_large_page(void **state)
{
    MonitorFixture *f = machine_with_tables("-S -m 64M");

    monitor_fixture_hmp(f, "info translate 0x234567");
    assert_text_has(f->out->str, "GVA 0x0000000000234567, vCPU 0\n"
                                 "paging 4-level: CR0=0x80000011 CR3=0x10000 CR4=0xa0 "
                                 "EFER=0xd00\n");
    assert_text_has(f->out->str, "  PDE     1 at 0x0000000000012008: 0x80000000002001e1 -> page "
                                 "0x200000  present accessed dirty large global no-execute\n"
                                 "  page of 2 MiB: read-only, kernel only, not executable\n"
                                 "GPA 0x0000000000234567, from the root of address space memory "
                                 "down:\n");
    assert_text_has(f->out->str, "allows pages of 2 MiB\n");
    assert_text_has(f->out->str, "RAMBlock pc.ram+0x234567 (ram_addr_t 0x234567, ");
    monitor_fixture_free(f);
}

/* --- While the map changes --- */

typedef struct Editor {
    MemorySystem *ms;
    MemoryRegion *overlay;
    _Atomic bool stop;
    unsigned edits;
} Editor;

/* As a vCPU whose register write edits the map. */
static void *edit_thread(void *opaque)
{
    Editor *e = opaque;

    while (!atomic_load(&e->stop)) {
        assert_true(memory_region_set_enabled(e->overlay, e->edits++ % 2, NULL));
    }
    return NULL;
}

/* A DIMM at 4 GiB comes and goes, and RAM is laid over and uncovered, while both are translated. */
static void test_translate_while_the_map_changes(void **state)
{
    MonitorFixture *f = machine_with_tables("-m 64M,slots=2,maxmem=1G");
    MemorySystem *ms = machine_memory_system(f->machine);
    MemoryRegion *root = address_space_root(machine_memory(f->machine));
    RAMBlock *block = ram_block_new(ms, "over", 2 << 20, 0, 0, NULL);
    Editor editor = { .ms = ms, .overlay = memory_region_new_ram(ms, NULL, "over", block) };
    pthread_t thread;

    monitor_fixture_hmp(f, "cont");
    assert_true(memory_region_add_subregion_overlap(root, 2 << 20, editor.overlay, 9, NULL));
    assert_int_equal(pthread_create(&thread, NULL, edit_thread, &editor), 0);
    for (unsigned round = 0; round < 20; round++) {
        monitor_fixture_hmp(f, "object_add memory-backend-ram,id=m1,size=128M");
        monitor_fixture_hmp(f, "device_add pc-dimm,id=d1,memdev=m1");
        for (unsigned i = 0; i < 5; i++) {
            const json_t *answer = translate(f, "{\"address\": 4294967296, \"physical\": true}");
            const char *block_name;

            assert_string_equal(text_of(json_object_get(answer, "ram"), "block"), "m1");
            answer = translate(f, "{\"address\": 2097152}");
            block_name = text_of(json_object_get(answer, "ram"), "block");
            assert_true(strcmp(block_name, "over") == 0 || strcmp(block_name, "pc.ram") == 0);
        }
        monitor_fixture_hmp(f, "device_del d1");
        monitor_fixture_guest_eject(f, 0);
        assert_ends(translate(f, "{\"address\": 4294967296, \"physical\": true}"), "nothing", "");
        monitor_fixture_hmp(f, "object_del m1");
    }
    atomic_store(&editor.stop, true);
    pthread_join(thread, NULL);
    print_message("%u edits meanwhile\n", editor.edits);
    assert_true(memory_region_del_subregion(root, editor.overlay, NULL));
    memory_region_release(editor.overlay);
    ram_block_unref(block);
    monitor_fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_translate_virtual_all_the_way),
        cmocka_unit_test(test_translate_ends_in_the_page_tables),
        cmocka_unit_test(test_translate_without_paging),
        cmocka_unit_test(test_translate_each_vcpu_has_its_own_tables),
        cmocka_unit_test(test_translate_refuses),
        cmocka_unit_test(test_translate_ends_at_a_device),
        cmocka_unit_test(test_translate_ends_where_nothing_answers),
        cmocka_unit_test(test_translate_ends_at_a_chip_of_the_kernel),
        cmocka_unit_test(test_translate_memory_that_nobody_touched),
        cmocka_unit_test(test_translate_memory_without_a_slot),
        cmocka_unit_test(test_translate_text_of_a_large_page),
        cmocka_unit_test(test_translate_while_the_map_changes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
