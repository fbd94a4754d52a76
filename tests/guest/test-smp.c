/* SPDX-License-Identifier: MIT */
/* Several vCPUs: started by messages, held, kicked, reset, editing the map beside one another. */
#include "support/guest.h"

#include <string.h>

#define COUNTER (OPS_SHARED_BASE + offsetof(OpsShared, buffer))
#define SEEN    (OPS_SHARED_BASE + offsetof(OpsShared, seen_a))
#define DONE(cpu)                                                                                  \
    (OPS_SHARED_BASE + offsetof(OpsShared, processors) + (cpu) * sizeof(OpsProcessor) +            \
     offsetof(OpsProcessor, done))
#define BASE 0xd0000000ULL
#define PAGE 0x1000ULL

static volatile uint64_t *counter(Guest *guest, unsigned i)
{
    return (volatile uint64_t *)guest->shared->buffer + i;
}

static void test_locked_increments_of_two_processors(void **state)
{
    enum { ROUNDS = 5000 };
    Guest *guest = guest_new(2);

    for (unsigned mix = 0; mix < 4; mix++) {
        guest_load(guest);
        GUEST_OPS(guest, 1,
                  (Op){.kind = OP_INCREMENT, .user = mix >> 1, .addr = COUNTER, .value = ROUNDS});
        GUEST_OPS(guest, 0, DO(OP_START_PROCESSOR, 0, 0, 1),
                  (Op){.kind = OP_INCREMENT, .user = mix & 1, .addr = COUNTER, .value = ROUNDS},
                  DO(OP_WAIT, 4, DONE(1), 1));
        guest_run(guest);
        assert_int_equal(*counter(guest, 0), 2 * ROUNDS);
    }
    guest_free(guest);
}

static void test_four_processors(void **state)
{
    Guest *guest = guest_new(4);

    for (unsigned cpu = 1; cpu < 4; cpu++) {
        GUEST_OPS(guest, cpu, DO_USER(OP_INCREMENT, 4, COUNTER, 1000));
    }
    GUEST_OPS(guest, 0, DO(OP_START_PROCESSOR, 0, 0, 1), DO(OP_START_PROCESSOR, 0, 0, 2),
              DO(OP_START_PROCESSOR, 0, 0, 3), DO(OP_WAIT, 4, DONE(1), 1),
              DO(OP_WAIT, 4, DONE(2), 1), DO(OP_WAIT, 4, DONE(3), 1));
    guest_run(guest);
    assert_int_equal(*counter(guest, 0), 3000);
    guest_free(guest);
}

/* Both count without pause; processor 0 at CPL 0, processor 1 at CPL 3. */
static void start_counting(Guest *guest)
{
    GUEST_OPS(guest, 1, DO_USER(OP_COUNT, 8, COUNTER + 8, 0));
    GUEST_OPS(guest, 0, DO(OP_START_PROCESSOR, 0, 0, 1), DO(OP_COUNT, 8, COUNTER, 0));
    guest_start(guest);
    guest_wait_shared(guest, counter(guest, 0), 1);
    guest_wait_shared(guest, counter(guest, 1), 1);
}

static void test_pause_stops_all_and_resume_goes_on(void **state)
{
    Guest *guest = guest_new(2);

    start_counting(guest);
    for (unsigned i = 0; i < 100; i++) {
        uint64_t before[2];

        vcpu_set_pause(guest->vcpus);
        assert_true(vcpu_set_paused(guest->vcpus));
        before[0] = *counter(guest, 0);
        before[1] = *counter(guest, 1);
        g_usleep(i % 10 == 0 ? 2000 : 0);
        assert_int_equal(*counter(guest, 0), before[0]);
        assert_int_equal(*counter(guest, 1), before[1]);
        vcpu_set_resume(guest->vcpus);
        if (i % 10 == 0) {
            guest_wait_shared(guest, counter(guest, 0), before[0] + 1);
            guest_wait_shared(guest, counter(guest, 1), before[1] + 1);
        }
    }
    guest->shared->stop = 1;
    guest_finish(guest);
    guest_free(guest);
}

static void test_registers_of_a_running_vcpu(void **state)
{
    Guest *guest = guest_new(2);
    g_autoptr(GString) text = g_string_new(NULL);
    uint64_t before;

    start_counting(guest);
    edit(vcpu_set_dump_registers(guest->vcpus, 1, text, EDIT_ERROR));
    assert_non_null(strstr(text->str, "CS =0023"));
    g_string_truncate(text, 0);
    edit(vcpu_set_dump_registers(guest->vcpus, 0, text, EDIT_ERROR));
    assert_non_null(strstr(text->str, "CS =0008"));
    before = *counter(guest, 1);
    guest_wait_shared(guest, counter(guest, 1), before + 1); /* and it runs on */
    guest->shared->stop = 1;
    guest_finish(guest);
    guest_free(guest);
}

static void test_reset_while_both_run(void **state)
{
    Guest *guest = guest_new(2);

    for (unsigned i = 0; i < 5; i++) {
        start_counting(guest);
        vcpu_set_pause(guest->vcpus);
        guest_load(guest);
        /* The second one waits for a start-up message: only the first does its list. */
        GUEST_OPS(guest, 1, DO(OP_INCREMENT, 4, COUNTER, 1));
        GUEST_OPS(guest, 0, DO(OP_INCREMENT, 4, COUNTER, 1000));
        guest_run(guest);
        assert_int_equal(*counter(guest, 0), 1000);
        assert_int_equal(guest->shared->processors[1].done, 0);
    }
    guest_free(guest);
}

static void test_halted_vcpus_can_be_paused_and_reset(void **state)
{
    Guest *guest = guest_new(2);

    GUEST_OPS(guest, 1, DO(OP_INCREMENT, 4, COUNTER, 1), DO(OP_HALT, 0, 0, 0));
    GUEST_OPS(guest, 0, DO(OP_START_PROCESSOR, 0, 0, 1), DO(OP_HALT, 0, 0, 0));
    guest_start(guest);
    guest_wait_shared(guest, counter(guest, 0), 1);
    vcpu_set_pause(guest->vcpus);
    vcpu_set_resume(guest->vcpus);
    vcpu_set_pause(guest->vcpus);
    guest_load(guest);
    GUEST_OPS(guest, 0, DO(OP_INCREMENT, 4, COUNTER, 7));
    guest_run(guest);
    assert_int_equal(*counter(guest, 0), 7);
    guest_free(guest);
}

static void test_nmi_wakes_a_halted_vcpu(void **state)
{
    Guest *guest = guest_new(1);

    GUEST_OPS(guest, 0, DO(OP_INCREMENT, 4, COUNTER, 1), DO(OP_HALT, 0, 0, 0));
    guest_start(guest);
    guest_wait_shared(guest, counter(guest, 0), 1);
    vcpu_set_inject_nmi(guest->vcpus);
    guest_wait(guest, &guest->interrupts, 1);
    vcpu_set_inject_nmi(guest->vcpus);
    guest_wait(guest, &guest->interrupts, 2);
    vcpu_set_pause(guest->vcpus);
    assert_int_equal(guest->shared->interrupts[2], 2);
    guest_free(guest);
}

/* Processor 0's register write covers and uncovers a page beside the one that processor 1 reads. */
static void toggle_overlay(Recorder *r, const Access *access)
{
    memory_region_set_enabled(r->opaque, access->value, NULL);
}

static void test_one_vcpu_edits_the_map_while_another_reads(void **state)
{
    enum { LISTS = 15 };
    Guest *guest = guest_new(2);
    RAMBlock *block = ram_block_new(guest->ms, "a", 8 * PAGE, 0, 0, NULL);
    MemoryRegion *a = memory_region_new_ram(guest->ms, NULL, "a", block);
    Recorder *overlay, *reg = recorder_new(guest, guest->io_root, 0x1000, 4, 0);
    uint64_t *host = ram_block_host(block);

    host[0] = 0xaaaa;
    edit(memory_region_add_subregion(guest->root, BASE, a, EDIT_ERROR));
    overlay = recorder_new(guest, guest->root, BASE + 4 * PAGE, PAGE, 1);
    reg->hook = toggle_overlay;
    reg->opaque = overlay->region;
    host[4 * PAGE / 8] = 0xcccc;
    guest->shared->watch_a = 0xaaaa;
    GUEST_OPS(guest, 1, DO_USER(OP_WATCH, 8, BASE, 0));
    GUEST_OPS(guest, 0, DO(OP_START_PROCESSOR, 0, 0, 1), DO(OP_OUT, 1, 0x1000, 0));
    guest_run(guest);
    for (unsigned i = 0; i < LISTS; i++) {
        uint64_t seen = guest->shared->seen_a;

        GUEST_OPS(guest, 0, DO(OP_OUT, 1, 0x1000, 1), DO(OP_READ, 8, BASE + 4 * PAGE, 0),
                  DO(OP_OUT, 1, 0x1000, 0), DO(OP_READ, 8, BASE + 4 * PAGE, 0),
                  DO(OP_OUT, 1, 0x1000, 1), DO_USER(OP_READ, 8, BASE + 4 * PAGE, 0),
                  DO(OP_OUT, 1, 0x1000, 0), DO_USER(OP_READ, 8, BASE + 4 * PAGE, 0),
                  DO(OP_WAIT, 8, SEEN, seen + 1));
        guest_run(guest);
        assert_int_equal(guest_result(guest, 1), recorder_value(0, 8));
        assert_int_equal(guest_result(guest, 3), 0xcccc);
        assert_int_equal(guest_result(guest, 5), recorder_value(0, 8));
        assert_int_equal(guest_result(guest, 7), 0xcccc);
        assert_int_equal(guest->shared->seen_other, 0);
    }
    recorder_free(overlay);
    recorder_free(reg);
    edit(memory_region_del_subregion(guest->root, a, EDIT_ERROR));
    memory_region_release(a);
    ram_block_unref(block);
    guest_free(guest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_locked_increments_of_two_processors),
        cmocka_unit_test(test_four_processors),
        cmocka_unit_test(test_pause_stops_all_and_resume_goes_on),
        cmocka_unit_test(test_registers_of_a_running_vcpu),
        cmocka_unit_test(test_reset_while_both_run),
        cmocka_unit_test(test_halted_vcpus_can_be_paused_and_reset),
        cmocka_unit_test(test_nmi_wakes_a_halted_vcpu),
        cmocka_unit_test(test_one_vcpu_edits_the_map_while_another_reads),
    };

    return cmocka_run_group_tests_name("smp", tests, NULL, NULL);
}
