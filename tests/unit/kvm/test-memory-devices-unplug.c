/* SPDX-License-Identifier: MIT */
/* DIMMs on the model KVM: asked for, ejected by a guest's writes, refused, timed out, reset. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "support/dimm-fixture.h"
#include "tessera/util/error.h"

/* What Linux does when it is asked, and all goes well. */
static void test_memory_devices_unplug_as_linux_does_it(void **state)
{
    DimmFixture *f = *state;
    g_autofree char *empty = dimms_snapshot(f);
    g_autofree char *after = NULL;

    dimms_add_memory(f, "m0", BLOCK);
    dimms_plug(f, "m0", true);
    slot_control(f, 0, MEMORY_HOTPLUG_INSERT);
    slot_ost(f, 0, 1, 0);
    dimms_expect_log(f, "size;ost dimm0 0 1 0;dimm0:plugged;answered dimm0;");
    assert_true(dimms_info(f, "dimm0").guest_took_plug);

    assert_true(memory_devices_request_unplug(f->md, "dimm0", NULL));
    assert_int_equal(f->gpes, 2);
    assert_int_equal(slot_status(f, 0), MEMORY_HOTPLUG_ENABLED | MEMORY_HOTPLUG_REMOVE);
    slot_control(f, 0, MEMORY_HOTPLUG_REMOVE);
    slot_ost(f, 0, 3, 0x84);
    dimms_expect_state(f, "dimm0", DIMM_OFFLINING);
    assert_int_equal(dimms_kvm_slots(f), 1);
    slot_eject(f, 0);
    assert_int_equal(slot_status(f, 0), 0);
    assert_int_equal(dimms_kvm_slots(f), 0); /* by the write itself */
    slot_ost(f, 0, 3, 0);
    dimms_expect_log(f, "dimm0:requested;ost dimm0 0 3 84;dimm0:guest-offlining;"
                        "dimm0:ejected;deleted dimm0;size;ost - 0 3 0;");
    assert_false(dimms_has(f, "dimm0"));
    assert_true(object_store_del(f->objects, "m0", NULL));
    after = dimms_snapshot(f);
    assert_string_equal(after, empty);
}

static void test_memory_devices_unplug_refused_says_why_and_can_be_repeated(void **state)
{
    static const struct {
        uint32_t status;
        const char *words;
    } codes[] = {
        { 0x80, "does not support" }, { 0x81, "in use" },  { 0x82, "could not free" },
        { 0x83, "depends" },          { 1, "kernel log" }, { 0xffff, "kernel log" },
    };
    DimmFixture *f = *state;

    dimms_add_memory(f, "m0", BLOCK);
    dimms_plug(f, "m0", false);
    dimms_expect_log(f, "size;");
    for (size_t i = 0; i < G_N_ELEMENTS(codes); i++) {
        g_autofree char *wanted =
            g_strdup_printf("dimm0:requested;ost dimm0 0 3 84;dimm0:guest-offlining;"
                            "ost dimm0 0 3 %x;dimm0:refused;error dimm0;",
                            codes[i].status);

        assert_true(memory_devices_request_unplug(f->md, "dimm0", NULL));
        slot_control(f, 0, MEMORY_HOTPLUG_REMOVE);
        slot_ost(f, 0, 3, 0x84);
        slot_ost(f, 0, 3, codes[i].status);
        dimms_expect_log(f, wanted);
        assert_non_null(strstr(dimms_info(f, "dimm0").reason, codes[i].words));
        assert_int_equal(dimms_kvm_slots(f), 1);
        assert_int_equal(slot_status(f, 0), MEMORY_HOTPLUG_ENABLED);
    }
}

static void test_memory_devices_unplug_twice_and_unknown(void **state)
{
    DimmFixture *f = *state;
    g_autoptr(GError) twice = NULL;
    g_autoptr(GError) unknown = NULL;
    g_autoptr(GError) idle = NULL;

    dimms_add_memory(f, "m0", BLOCK);
    dimms_plug(f, "m0", false);
    assert_false(memory_devices_cancel_unplug(f->md, "dimm0", &idle));
    assert_non_null(strstr(idle->message, "plugged"));
    assert_false(memory_devices_request_unplug(f->md, "dimn0", &unknown));
    assert_int_equal(unknown->code, TESSERA_ERROR_NOT_FOUND);
    assert_non_null(strstr(unknown->message, "'dimm0'"));
    assert_true(memory_devices_request_unplug(f->md, "dimm0", NULL));
    assert_false(memory_devices_request_unplug(f->md, "dimm0", &twice));
    assert_non_null(strstr(twice->message, "requested"));
    assert_int_equal(f->gpes, 1);
}

/* Asks, lets the guest answer that it has begun (@seen) or not at all, and lets the time pass. */
static void time_out(DimmFixture *f, bool seen)
{
    assert_true(memory_devices_request_unplug(f->md, "dimm0", NULL));
    if (seen) {
        slot_control(f, 0, MEMORY_HOTPLUG_REMOVE);
        slot_ost(f, 0, 3, 0x84);
        dimms_serve(f);
    }
    dimm_time_out(memory_devices_lookup(f->md, "dimm0", NULL));
}

static void test_memory_devices_time_out_frees_nothing_and_honours_a_late_eject(void **state)
{
    for (unsigned seen = 0; seen < 2; seen++) {
        DimmFixture *f = *state;

        dimms_add_memory(f, "m0", BLOCK);
        dimms_plug(f, "m0", false);
        time_out(f, seen);
        dimms_expect_state(f, "dimm0", DIMM_TIMED_OUT);
        assert_non_null(strstr(dimms_info(f, "dimm0").reason, "60 s"));
        assert_int_equal(dimms_kvm_slots(f), 1);
        slot_eject(f, 0);
        dimms_serve(f);
        assert_false(dimms_has(f, "dimm0"));
        assert_true(object_store_del(f->objects, "m0", NULL));
    }
}

static void test_memory_devices_time_out_then_refusal_or_repetition(void **state)
{
    DimmFixture *f = *state;

    dimms_add_memory(f, "m0", BLOCK);
    dimms_plug(f, "m0", false);
    time_out(f, true);
    slot_ost(f, 0, 3, 0x81);
    dimms_expect_state(f, "dimm0", DIMM_REFUSED);
    time_out(f, false);
    assert_true(memory_devices_request_unplug(f->md, "dimm0", NULL));
    dimms_expect_state(f, "dimm0", DIMM_REQUESTED);
    assert_null(dimms_info(f, "dimm0").reason);
}

/* The clock does it too; no test waits for it longer than it takes. */
static void test_memory_devices_time_out_by_the_main_loop(void **state)
{
    DimmFixture *f = *state;

    dimms_add_memory(f, "m0", BLOCK);
    dimms_plug(f, "m0", false);
    assert_true(memory_devices_request_unplug(f->md, "dimm0", NULL));
    memory_devices_set_timeout(f->md, 1); /* runs anew, with the new time */
    while (dimms_info(f, "dimm0").state == DIMM_REQUESTED) {
        g_main_context_iteration(f->context, TRUE);
    }
    dimms_expect_state(f, "dimm0", DIMM_TIMED_OUT);
    memory_devices_set_timeout(f->md, 0);
    assert_true(memory_devices_request_unplug(f->md, "dimm0", NULL));
    assert_null(memory_devices_lookup(f->md, "dimm0", NULL)->timeout);
}

static void test_memory_devices_cancel_before_and_after_the_guest_saw_it(void **state)
{
    DimmFixture *f = *state;

    dimms_add_memory(f, "m0", BLOCK);
    dimms_plug(f, "m0", false);
    assert_true(memory_devices_request_unplug(f->md, "dimm0", NULL));
    assert_true(memory_devices_cancel_unplug(f->md, "dimm0", NULL));
    dimms_expect_state(f, "dimm0", DIMM_CANCELLED);
    assert_non_null(strstr(dimms_info(f, "dimm0").reason, "had not seen"));
    assert_int_equal(slot_status(f, 0), MEMORY_HOTPLUG_ENABLED);

    assert_true(memory_devices_request_unplug(f->md, "dimm0", NULL));
    slot_control(f, 0, MEMORY_HOTPLUG_REMOVE);
    assert_true(memory_devices_cancel_unplug(f->md, "dimm0", NULL));
    assert_non_null(strstr(dimms_info(f, "dimm0").reason, "may still eject"));
    slot_ost(f, 0, 3, 0x84);
    dimms_expect_state(f, "dimm0", DIMM_CANCELLED);
    slot_ost(f, 0, 3, 1); /* it gave up: no eject can come of that */
    dimms_expect_state(f, "dimm0", DIMM_PLUGGED);

    assert_true(memory_devices_request_unplug(f->md, "dimm0", NULL));
    slot_control(f, 0, MEMORY_HOTPLUG_REMOVE);
    assert_true(memory_devices_cancel_unplug(f->md, "dimm0", NULL));
    slot_eject(f, 0); /* late, and honoured */
    dimms_serve(f);
    assert_false(dimms_has(f, "dimm0"));
}

static void test_memory_devices_eject_that_nobody_asked_for(void **state)
{
    DimmFixture *f = *state;

    dimms_add_memory(f, "m0", BLOCK);
    dimms_plug(f, "m0", false);
    slot_ost(f, 0, 0x103, 0x84);
    slot_eject(f, 0);
    slot_ost(f, 0, 0x103, 0);
    dimms_expect_log(f, "size;ost dimm0 0 103 84;dimm0:ejected;deleted dimm0 unasked;size;"
                        "ost - 0 103 0;");
    slot_eject(f, 0);
    slot_eject(f, 3);
    dimms_expect_log(f, "");
}

/* Until the main loop has heard of it, an ejected DIMM's socket and backend are not given away. */
static void test_memory_devices_requests_between_eject_and_main_loop(void **state)
{
    DimmFixture *f = *state;
    DimmRequest same = { .id = "dimm1", .memdev = "m1", .has_slot = true };

    dimms_add_memory(f, "m0", BLOCK);
    dimms_add_memory(f, "m1", BLOCK);
    dimms_plug(f, "m0", false);
    slot_eject(f, 0);
    assert_false(memory_devices_plug(f->md, &same, true, NULL));
    assert_false(object_store_del(f->objects, "m0", NULL));
    assert_true(memory_devices_request_unplug(f->md, "dimm0", NULL));
    slot_ost(f, 0, 3, 1); /* of no DIMM any more */
    dimms_expect_log(f, "size;dimm0:requested;dimm0:ejected;deleted dimm0;size;ost - 0 3 1;");
    assert_true(memory_devices_plug(f->md, &same, true, NULL));
}

static void test_memory_devices_eject_that_kvm_refuses_keeps_the_dimm(void **state)
{
    DimmFixture *f = *state;
    g_autofree char *before = NULL;
    g_autofree char *after = NULL;

    dimms_add_memory(f, "m0", BLOCK);
    dimms_plug(f, "m0", false);
    before = dimms_snapshot(f);
    assert_true(memory_devices_request_unplug(f->md, "dimm0", NULL));
    slot_control(f, 0, MEMORY_HOTPLUG_REMOVE);
    slot_ost(f, 0, 3, 0x84);
    dimms_expect_log(f, "size;dimm0:requested;ost dimm0 0 3 84;dimm0:guest-offlining;");
    model_kvm_fail_nth(1, ENOMEM, false);
    slot_eject(f, 0);
    model_kvm_no_faults();
    assert_int_equal(slot_status(f, 0), MEMORY_HOTPLUG_ENABLED); /* Linux looks, and says so: */
    slot_ost(f, 0, 3, 1);
    dimms_expect_log(f, "dimm0:refused;error dimm0;ost dimm0 0 3 1;");
    assert_non_null(strstr(dimms_info(f, "dimm0").reason, "could not unmap"));
    after = dimms_snapshot(f);
    assert_string_equal(after, before);
    assert_true(memory_devices_request_unplug(f->md, "dimm0", NULL));
    slot_eject(f, 0);
    dimms_serve(f);
    assert_false(dimms_has(f, "dimm0"));
}

/*
 *     dimm0 plugged   dimm1 requested   dimm2 offlining   dimm3 timed out
 */
static void test_memory_devices_reset_takes_out_what_was_asked_for(void **state)
{
    DimmFixture *f = *state;

    for (unsigned i = 0; i < SLOTS; i++) {
        g_autofree char *id = g_strdup_printf("m%u", i);

        dimms_add_memory(f, id, BLOCK);
        dimms_plug(f, id, true);
    }
    assert_true(memory_devices_request_unplug(f->md, "dimm1", NULL));
    assert_true(memory_devices_request_unplug(f->md, "dimm2", NULL));
    assert_true(memory_devices_request_unplug(f->md, "dimm3", NULL));
    slot_ost(f, 2, 3, 0x84);
    dimms_serve(f);
    dimm_time_out(memory_devices_lookup(f->md, "dimm3", NULL));
    memory_devices_reset(f->md);
    device_reset(f->registers);
    assert_false(dimms_has(f, "dimm1"));
    assert_false(dimms_has(f, "dimm2"));
    dimms_expect_state(f, "dimm0", DIMM_PLUGGED);
    dimms_expect_state(f, "dimm3", DIMM_PLUGGED);
    assert_int_equal(slot_status(f, 0), MEMORY_HOTPLUG_ENABLED);
    assert_int_equal(slot_status(f, 1), 0);
    assert_int_equal(slot_status(f, 2), 0);
    assert_int_equal(slot_status(f, 3), MEMORY_HOTPLUG_ENABLED);
    assert_int_equal(dimms_kvm_slots(f), 2);
    assert_true(object_store_del(f->objects, "m1", NULL));
    assert_false(object_store_del(f->objects, "m0", NULL));
    vm_fixture_check(f->vm);
}

static void test_memory_devices_reset_after_an_eject_that_was_not_served(void **state)
{
    DimmFixture *f = *state;

    dimms_add_memory(f, "m0", BLOCK);
    dimms_plug(f, "m0", true);
    assert_true(memory_devices_request_unplug(f->md, "dimm0", NULL));
    slot_eject(f, 0);
    memory_devices_reset(f->md);
    assert_false(dimms_has(f, "dimm0"));
    dimms_expect_log(f, "size;dimm0:requested;dimm0:ejected;deleted dimm0;size;");
}

static void test_memory_devices_flood_of_ost_is_bounded(void **state)
{
    DimmFixture *f = *state;

    dimms_add_memory(f, "m0", BLOCK);
    dimms_plug(f, "m0", true);
    for (unsigned i = 0; i < 10 * GUEST_ACTS_MAX; i++) {
        slot_ost(f, 1, 3, 1);
    }
    assert_int_equal(f->md->acts.length, GUEST_ACTS_MAX);
    slot_eject(f, 0); /* is never lost */
    assert_int_equal(f->md->acts.length, GUEST_ACTS_MAX + 1);
    dimms_serve(f);
    assert_int_equal(f->md->acts.length, 0);
    assert_false(dimms_has(f, "dimm0"));
}

/* What a guest did before the reset does not reach into the life of the next one. */
static void test_memory_devices_reset_serves_all_that_waits(void **state)
{
    DimmFixture *f = *state;

    dimms_add_memory(f, "m0", BLOCK);
    dimms_plug(f, "m0", true);
    for (unsigned i = 0; i < GUEST_ACTS_MAX; i++) {
        slot_ost(f, 1, 3, 1);
    }
    slot_eject(f, 0);
    memory_devices_reset(f->md);
    assert_int_equal(f->md->acts.length, 0);
    assert_false(dimms_has(f, "dimm0"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, dimms_setup, dimms_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_memory_devices_unplug_as_linux_does_it),
        TEST(test_memory_devices_unplug_refused_says_why_and_can_be_repeated),
        TEST(test_memory_devices_unplug_twice_and_unknown),
        TEST(test_memory_devices_time_out_frees_nothing_and_honours_a_late_eject),
        TEST(test_memory_devices_time_out_then_refusal_or_repetition),
        TEST(test_memory_devices_time_out_by_the_main_loop),
        TEST(test_memory_devices_cancel_before_and_after_the_guest_saw_it),
        TEST(test_memory_devices_eject_that_nobody_asked_for),
        TEST(test_memory_devices_requests_between_eject_and_main_loop),
        TEST(test_memory_devices_eject_that_kvm_refuses_keeps_the_dimm),
        TEST(test_memory_devices_reset_takes_out_what_was_asked_for),
        TEST(test_memory_devices_reset_after_an_eject_that_was_not_served),
        TEST(test_memory_devices_flood_of_ost_is_bounded),
        TEST(test_memory_devices_reset_serves_all_that_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
