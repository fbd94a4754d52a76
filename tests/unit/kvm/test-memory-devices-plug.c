/* SPDX-License-Identifier: MIT */
/* DIMMs on the model KVM: plugged, refused, rolled back; up to the last slot and byte. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "support/dimm-fixture.h"
#include "tessera/util/error.h"

static void test_memory_devices_plug_maps_before_the_guest_is_told(void **state)
{
    DimmFixture *f = *state;
    DimmInfo info;

    dimms_add_memory(f, "m0", BLOCK);
    dimms_plug(f, "m0", true);
    assert_int_equal(f->gpes, 0); /* who plugged it is answered first */
    dimms_serve(f);
    assert_int_equal(f->gpes, 1);
    assert_int_equal(f->mapped_at_gpe, 1);
    assert_int_equal(slot_status(f, 0), MEMORY_HOTPLUG_ENABLED | MEMORY_HOTPLUG_INSERT);
    vm_fixture_check(f->vm);
    info = dimms_info(f, "dimm0");
    assert_string_equal(info.memdev, "m0");
    assert_int_equal(info.slot, 0);
    assert_int_equal(info.addr, WINDOW_BASE);
    assert_int_equal(info.size, BLOCK);
    assert_true(info.hotplugged && info.hotpluggable);
    assert_int_equal(info.state, DIMM_PLUGGED);
    dimms_expect_log(f, "size;");
}

static void test_memory_devices_plugs_of_one_turn_are_one_interrupt(void **state)
{
    DimmFixture *f = *state;

    dimms_add_memory(f, "m0", BLOCK);
    dimms_add_memory(f, "m1", BLOCK);
    dimms_plug(f, "m0", true);
    dimms_plug(f, "m1", true);
    dimms_serve(f);
    assert_int_equal(f->gpes, 1);
    assert_int_equal(f->mapped_at_gpe, 2);
    dimms_add_memory(f, "m2", BLOCK);
    dimms_plug(f, "m2", true);
    memory_devices_reset(f->md); /* the next kernel walks the sockets by itself */
    dimms_serve(f);
    assert_int_equal(f->gpes, 1);
}

static void test_memory_devices_memmap_news_is_told_once(void **state)
{
    DimmFixture *f;
    unsigned told = 0;

    model_kvm_reset();
    f = dimms_new(80, 256 * MIB, 16 * GIB);
    for (unsigned i = 0; i < 80; i++) {
        g_autofree char *id = g_strdup_printf("m%u", i);
        g_autofree char *news = NULL;

        dimms_add_memory(f, id, BLOCK);
        dimms_plug(f, id, true);
        news = memory_devices_memmap_news(f->md, BLOCK);
        told += news != NULL;
        /* 33 DIMMs of 128 MiB: 66 MiB of descriptions are more than a quarter. */
        assert_int_equal(told, i >= 32);
    }
    dimms_free(f);
    model_kvm_reset();
}

static void test_memory_devices_plug_before_start_is_not_announced(void **state)
{
    DimmFixture *f = *state;

    dimms_add_memory(f, "m0", BLOCK);
    dimms_plug(f, "m0", false);
    assert_int_equal(f->gpes, 0);
    assert_int_equal(slot_status(f, 0), MEMORY_HOTPLUG_ENABLED);
    assert_false(dimms_info(f, "dimm0").hotplugged);
}

static void test_memory_devices_plug_takes_the_first_that_fits(void **state)
{
    DimmFixture *f = *state;
    MemoryDevicesSummary s;

    dimms_add_memory(f, "m0", BLOCK);
    dimms_add_memory(f, "m1", 2 * BLOCK);
    dimms_add_memory(f, "m2", BLOCK);
    dimms_add_memory(f, "m3", GIB);
    for (unsigned i = 0; i < 3; i++) {
        g_autofree char *id = g_strdup_printf("m%u", i);

        dimms_plug(f, id, true);
    }
    dimms_plug(f, "m3", true);
    assert_int_equal(dimms_info(f, "dimm2").addr, WINDOW_BASE + 3 * BLOCK);
    assert_int_equal(dimms_info(f, "dimm3").addr, WINDOW_BASE + GIB); /* for 1 GiB pages */
    s = memory_devices_summary(f->md);
    assert_int_equal(s.plugged_memory, GIB + 4 * BLOCK);
    assert_int_equal(s.slots_used, 4);
    assert_int_equal(s.block_size, BLOCK);
    assert_int_equal(s.maxmem, 2 * GIB);
    slot_eject(f, 1);
    dimms_serve(f);
    assert_true(object_store_del(f->objects, "m1", NULL));
    dimms_add_memory(f, "m1", 2 * BLOCK);
    dimms_plug(f, "m1", true);
    assert_int_equal(dimms_info(f, "dimm1").slot, 1);
    assert_int_equal(dimms_info(f, "dimm1").addr, WINDOW_BASE + BLOCK);
}

typedef struct Refusal {
    DimmRequest request;
    int code;
    const char *words[4];
} Refusal;

static void check_refusal(DimmFixture *f, const Refusal *r)
{
    g_autofree char *before = dimms_snapshot(f);
    g_autofree char *after = NULL;
    g_autoptr(GError) error = NULL;

    assert_false(memory_devices_plug(f->md, &r->request, true, &error));
    assert_int_equal(error->code, r->code);
    for (unsigned i = 0; r->words[i]; i++) {
        if (!strstr(error->message, r->words[i])) {
            fail_msg("no \"%s\" in: %s", r->words[i], error->message);
        }
    }
    after = dimms_snapshot(f);
    assert_string_equal(after, before);
}

static void test_memory_devices_plug_every_refusal_changes_nothing(void **state)
{
    DimmFixture *f = *state;
    const Refusal refusals[] = {
        { { .id = "dimm0", .memdev = "m1" }, TESSERA_ERROR_EXISTS, { "dimm0", "already" } },
        { { .id = "0", .memdev = "m1" }, TESSERA_ERROR_INVALID, { "'0'", "letter" } },
        { { .id = "d", .memdev = "m11" }, TESSERA_ERROR_NOT_FOUND, { "m11", "did you mean" } },
        { { .id = "d", .memdev = "m0" }, TESSERA_ERROR_EXISTS, { "dimm0" } },
        { { .id = "d", .memdev = "odd" },
          TESSERA_ERROR_INVALID,
          { "100M", "128 MiB, the guest's memory block", "128M" } },
        { { .id = "d", .memdev = "m1", .has_slot = true, .slot = 4 },
          TESSERA_ERROR_INVALID,
          { "slot=4", "0 .. 3" } },
        { { .id = "d", .memdev = "m1", .has_slot = true, .slot = 0 },
          TESSERA_ERROR_EXISTS,
          { "slot=0", "'dimm0'" } },
        { { .id = "d", .memdev = "m1", .has_addr = true, .addr = WINDOW_BASE },
          TESSERA_ERROR_EXISTS,
          { "dimm0", "0x100000000" } },
        { { .id = "d", .memdev = "m1", .has_addr = true, .addr = WINDOW_BASE + BLOCK / 2 },
          TESSERA_ERROR_INVALID,
          { "128 MiB" } },
        { { .id = "d", .memdev = "m1", .has_addr = true, .addr = GIB },
          TESSERA_ERROR_INVALID,
          { "window" } },
        { { .id = "d", .memdev = "m1", .node = 1 }, TESSERA_ERROR_INVALID, { "node=1" } },
        { { .id = "d", .memdev = "big" },
          TESSERA_ERROR_LIMIT,
          { "maxmem=2G", "1664 MiB is left" } },
    };

    dimms_add_memory(f, "m0", BLOCK);
    dimms_add_memory(f, "m1", BLOCK);
    dimms_add_memory(f, "odd", 100 * MIB);
    dimms_add_memory(f, "big", 2 * GIB - 256 * MIB);
    dimms_plug(f, "m0", true);
    for (size_t i = 0; i < G_N_ELEMENTS(refusals); i++) {
        check_refusal(f, &refusals[i]);
    }
    dimms_plug(f, "m1", true); /* nobody kept it */
}

static void test_memory_devices_plug_no_slot_left(void **state)
{
    DimmFixture *f = *state;
    Refusal r = { { .id = "d", .memdev = "m4" }, TESSERA_ERROR_LIMIT, { "4 memory slots" } };

    for (unsigned i = 0; i <= SLOTS; i++) {
        g_autofree char *id = g_strdup_printf("m%u", i);

        dimms_add_memory(f, id, BLOCK);
        if (i < SLOTS) {
            dimms_plug(f, id, true);
        }
    }
    check_refusal(f, &r);
}

/* Each ioctl of a plug fails once: the map, the sockets and the backend are as before. */
static void test_memory_devices_plug_rolls_back_when_kvm_fails(void **state)
{
    DimmFixture *f = *state;
    Refusal r = { { .id = "dimm0", .memdev = "m0" }, TESSERA_ERROR_SYSTEM, { NULL } };

    dimms_add_memory(f, "m0", BLOCK);
    for (unsigned n = 1;; n++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *before = dimms_snapshot(f);
        g_autofree char *after = NULL;

        model_kvm_fail_nth(n, ENOMEM, false);
        if (memory_devices_plug(f->md, &r.request, true, &error)) {
            assert_int_equal(model_kvm_faults_hit(), 0);
            assert_true(n > 1);
            break;
        }
        model_kvm_no_faults();
        after = dimms_snapshot(f);
        assert_string_equal(after, before);
        assert_non_null(strstr(error->message, "dimm0"));
        assert_int_equal(f->gpes, 0);
    }
    model_kvm_no_faults();
}

static void test_memory_devices_plug_kvm_slots_full(void **state)
{
    DimmFixture *f;
    g_autoptr(GError) error = NULL;
    DimmRequest request = { .id = "dimm3", .memdev = "m3" };

    model_kvm_reset();
    model_kvm_set_cap(KVM_CAP_NR_MEMSLOTS, 3);
    f = dimms_new(SLOTS, 256 * MIB, 2 * GIB);
    for (unsigned i = 0; i < SLOTS; i++) {
        g_autofree char *id = g_strdup_printf("m%u", i);

        dimms_add_memory(f, id, BLOCK);
        if (i < 3) {
            dimms_plug(f, id, true);
        }
    }
    assert_false(memory_devices_plug(f->md, &request, true, &error));
    assert_non_null(strstr(error->message, "slot"));
    vm_fixture_check(f->vm);
    slot_eject(f, 1);
    dimms_serve(f);
    dimms_plug(f, "m3", true);
    dimms_free(f);
    model_kvm_reset();
}

static void test_memory_devices_plug_that_the_guest_refuses(void **state)
{
    DimmFixture *f = *state;
    DimmInfo info;

    dimms_add_memory(f, "m0", BLOCK);
    dimms_plug(f, "m0", true);
    slot_ost(f, 0, 1, 1);
    dimms_serve(f);
    info = dimms_info(f, "dimm0");
    assert_true(info.guest_refused_plug);
    assert_false(info.guest_took_plug);
    assert_non_null(strstr(info.reason, "could not add"));
    assert_int_equal(info.state, DIMM_PLUGGED);
    assert_int_equal(dimms_kvm_slots(f), 1);
}

static void test_memory_devices_readonly_backend_is_rom(void **state)
{
    DimmFixture *f = *state;
    char path[] = "/tmp/tessera-dimm-XXXXXX";
    int fd = mkstemp(path);
    g_autofree char *text = NULL;

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)BLOCK), 0);
    text = g_strdup_printf("memory-backend-file,id=m0,size=128M,readonly=on,mem-path=%s", path);
    assert_non_null(object_store_add_option(f->objects, text, NULL));
    unlink(path);
    close(fd);
    dimms_plug(f, "m0", false);
    assert_int_equal(address_space_write(f->vm->memory, WINDOW_BASE, MEMTXATTRS_NONE, "x", 1),
                     MEMTX_ROM_WRITE);
    vm_fixture_check(f->vm);
}

/* 256 sockets of 128 MiB: the last one is used, and maxmem is reached to the byte. */
static void test_memory_devices_all_256_slots_to_the_byte(void **state)
{
    g_autoptr(GError) error = NULL;
    DimmFixture *f;
    MemoryDevicesSummary s;

    model_kvm_reset();
    f = dimms_new(256, GIB, GIB + 256 * BLOCK);
    for (unsigned i = 0; i < 256; i++) {
        g_autofree char *id = g_strdup_printf("m%u", i);

        dimms_add_memory(f, id, BLOCK);
        dimms_plug(f, id, true);
    }
    s = memory_devices_summary(f->md);
    assert_int_equal(s.base_memory + s.plugged_memory, s.maxmem);
    assert_int_equal(dimms_info(f, "dimm255").slot, 255);
    assert_int_equal(slot_status(f, 255), MEMORY_HOTPLUG_ENABLED | MEMORY_HOTPLUG_INSERT);
    assert_int_equal(dimms_kvm_slots(f), 256);
    dimms_add_memory(f, "spare", BLOCK);
    assert_false(memory_devices_plug(f->md, &(DimmRequest){ .id = "d", .memdev = "spare" }, true,
                                     &error));
    assert_non_null(strstr(error->message, "all 256 memory slots are in use; no machine has more"));
    dimms_free(f);
    model_kvm_reset();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, dimms_setup, dimms_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_memory_devices_plug_maps_before_the_guest_is_told),
        TEST(test_memory_devices_plugs_of_one_turn_are_one_interrupt),
        cmocka_unit_test(test_memory_devices_memmap_news_is_told_once),
        TEST(test_memory_devices_plug_before_start_is_not_announced),
        TEST(test_memory_devices_plug_takes_the_first_that_fits),
        TEST(test_memory_devices_plug_every_refusal_changes_nothing),
        TEST(test_memory_devices_plug_no_slot_left),
        TEST(test_memory_devices_plug_rolls_back_when_kvm_fails),
        cmocka_unit_test(test_memory_devices_plug_kvm_slots_full),
        TEST(test_memory_devices_plug_that_the_guest_refuses),
        TEST(test_memory_devices_readonly_backend_is_rom),
        cmocka_unit_test(test_memory_devices_all_256_slots_to_the_byte),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
