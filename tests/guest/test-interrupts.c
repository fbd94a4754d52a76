/* SPDX-License-Identifier: MIT */
/* Interrupts from a device's wire, a notifier or a message to a guest's handler. */
#include "support/guest.h"

#include "tessera/util/event-notifier.h"

#define LAPIC  0xfee00000ULL
#define IOAPIC 0xfec00000ULL
#define GSI    10
#define VECTOR 0x50

#define REDIRECT_LEVEL (1u << 15)

/* ICW1..4 for both PICs (Intel 8259A data sheet): vectors 0x20 and 0x28, cascade on 2; all open. */
#define SET_UP_PICS                                                                                \
    DO(OP_OUT, 1, 0x20, 0x11), DO(OP_OUT, 1, 0x21, 0x20), DO(OP_OUT, 1, 0x21, 4),                  \
        DO(OP_OUT, 1, 0x21, 1), DO(OP_OUT, 1, 0xa0, 0x11), DO(OP_OUT, 1, 0xa1, 0x28),              \
        DO(OP_OUT, 1, 0xa1, 2), DO(OP_OUT, 1, 0xa1, 1), DO(OP_OUT, 1, 0x21, 0),                    \
        DO(OP_OUT, 1, 0xa1, 0)

/* At power-on the PICs are open and the timer may wait in one: they are masked. */
#define MASK_PICS DO(OP_OUT, 1, 0x21, 0xff), DO(OP_OUT, 1, 0xa1, 0xff)

/* The local APIC on; IOAPIC pin @gsi to processor 0 (82093AA data sheet, section 3.2.4). */
#define SET_UP_LAPIC MASK_PICS, DO(OP_WRITE, 4, LAPIC + 0xf0, 0x1ff)
#define SET_UP_IOAPIC(gsi, low)                                                                    \
    SET_UP_LAPIC, DO(OP_WRITE, 4, IOAPIC, 0x11 + 2 * (gsi)), DO(OP_WRITE, 4, IOAPIC + 0x10, 0),    \
        DO(OP_WRITE, 4, IOAPIC, 0x10 + 2 * (gsi)), DO(OP_WRITE, 4, IOAPIC + 0x10, (low))

/* Runs a set-up list to its end. */
#define RUN(guest, ...)                                                                            \
    do {                                                                                           \
        GUEST_OPS(guest, 0, __VA_ARGS__);                                                          \
        guest_run(guest);                                                                          \
    } while (0)

static void wait_for(Guest *guest, bool halt, unsigned vector, unsigned n)
{
    GUEST_OPS(guest, 0, DO(halt ? OP_WAIT_INTERRUPT : OP_SPIN_INTERRUPT, 4, n, vector));
    guest_start(guest);
}

static void test_edge_through_the_pic(void **state)
{
    Guest *guest = guest_new(1);

    for (unsigned halt = 0; halt < 2; halt++) {
        guest_load(guest);
        guest->interrupts = 0;
        RUN(guest, SET_UP_PICS);
        wait_for(guest, halt, 0x20 + 5, 3);
        for (unsigned i = 1; i <= 3; i++) {
            kvm_set_gsi(guest->kvm, 5, true);
            kvm_set_gsi(guest->kvm, 5, false);
            guest_wait(guest, &guest->interrupts, i);
        }
        guest_finish(guest);
        assert_int_equal(guest->interrupts, 3);
        assert_int_equal(guest->shared->interrupts[0x25], 3);
    }
    guest_free(guest);
}

static void test_second_pic(void **state)
{
    Guest *guest = guest_new(1);

    RUN(guest, SET_UP_PICS);
    wait_for(guest, true, 0x28 + 3, 1);
    kvm_set_gsi(guest->kvm, 11, true);
    kvm_set_gsi(guest->kvm, 11, false);
    guest_finish(guest);
    assert_int_equal(guest->shared->interrupts[0x2b], 1);
    guest_free(guest);
}

static void test_edge_through_the_ioapic(void **state)
{
    Guest *guest = guest_new(1);

    RUN(guest, SET_UP_IOAPIC(GSI, VECTOR));
    wait_for(guest, true, VECTOR, 2);
    kvm_set_gsi(guest->kvm, GSI, true);
    guest_wait(guest, &guest->interrupts, 1);
    g_usleep(2000);
    assert_int_equal(guest->shared->interrupts[VECTOR], 1); /* still high: no second edge */
    kvm_set_gsi(guest->kvm, GSI, false);
    kvm_set_gsi(guest->kvm, GSI, true);
    guest_finish(guest);
    kvm_set_gsi(guest->kvm, GSI, false);
    assert_int_equal(guest->shared->interrupts[VECTOR], 2);
    guest_free(guest);
}

/* The handler's report is the device's acknowledge: the third one lowers the wire. */
static void lower_at_the_third(Guest *guest, uint32_t vector)
{
    if (guest->interrupts == 2) {
        kvm_set_gsi(guest->kvm, GSI, false);
    }
}

static void test_level_comes_again_until_acknowledged(void **state)
{
    Guest *guest = guest_new(1);

    guest->on_interrupt = lower_at_the_third;
    RUN(guest, SET_UP_IOAPIC(GSI, VECTOR | REDIRECT_LEVEL));
    wait_for(guest, true, VECTOR, 3);
    kvm_set_gsi(guest->kvm, GSI, true);
    guest_finish(guest);
    GUEST_OPS(guest, 0, DO(OP_SPIN_INTERRUPT, 4, 3, VECTOR), DO(OP_SPIN_INTERRUPT, 4, 0, VECTOR));
    guest_run(guest);
    assert_int_equal(guest->interrupts, 3);
    assert_int_equal(guest->shared->interrupts[VECTOR], 3);
    guest_free(guest);
}

static void test_irqfd(void **state)
{
    Guest *guest = guest_new(1);
    EventNotifier n;

    assert_true(event_notifier_init(&n, NULL));
    edit(kvm_add_irqfd(guest->kvm, GSI, &n, NULL, EDIT_ERROR));
    RUN(guest, SET_UP_IOAPIC(GSI, VECTOR));
    wait_for(guest, true, VECTOR, 2);
    event_notifier_set(&n);
    guest_wait(guest, &guest->interrupts, 1);
    event_notifier_set(&n);
    guest_finish(guest);
    assert_int_equal(guest->shared->interrupts[VECTOR], 2);
    edit(kvm_del_irqfd(guest->kvm, GSI, &n, EDIT_ERROR));
    event_notifier_done(&n);
    guest_free(guest);
}

/* Level by notifiers: the kernel signals @resample when the guest ends the interrupt. */
static void test_irqfd_with_resample(void **state)
{
    Guest *guest = guest_new(1);
    EventNotifier n, resample;

    assert_true(event_notifier_init(&n, NULL));
    assert_true(event_notifier_init(&resample, NULL));
    edit(kvm_add_irqfd(guest->kvm, GSI, &n, &resample, EDIT_ERROR));
    RUN(guest, SET_UP_IOAPIC(GSI, VECTOR | REDIRECT_LEVEL));
    assert_false(event_notifier_test_and_clear(&resample));
    wait_for(guest, true, VECTOR, 1);
    event_notifier_set(&n);
    guest_finish(guest);
    assert_int_equal(guest->shared->interrupts[VECTOR], 1);
    assert_true(event_notifier_test_and_clear(&resample));
    edit(kvm_del_irqfd(guest->kvm, GSI, &n, EDIT_ERROR));
    event_notifier_done(&n);
    event_notifier_done(&resample);
    guest_free(guest);
}

static void test_msi(void **state)
{
    Guest *guest = guest_new(1);

    RUN(guest, SET_UP_LAPIC);
    wait_for(guest, true, VECTOR + 1, 2);
    assert_true(kvm_send_msi(guest->kvm, LAPIC, VECTOR + 1));
    guest_wait(guest, &guest->interrupts, 1);
    assert_true(kvm_send_msi(guest->kvm, LAPIC, VECTOR + 1));
    guest_finish(guest);
    assert_int_equal(guest->shared->interrupts[VECTOR + 1], 2);
    guest_free(guest);
}

/* GSI 0, the timer, is pin 0 of the PIC and pin 2 of the IOAPIC: the kernel's own PIT drives it. */
static void test_timer_on_ioapic_pin_2(void **state)
{
    Guest *guest = guest_new(1);

    RUN(guest, SET_UP_IOAPIC(2, VECTOR), DO(OP_OUT, 1, 0x43, 0x34), DO(OP_OUT, 1, 0x40, 0xa9),
        DO(OP_OUT, 1, 0x40, 0x04)); /* channel 0, mode 2, 1193 ticks: 1 ms */
    wait_for(guest, true, VECTOR, 3);
    guest_finish(guest);
    assert_true(guest->shared->interrupts[VECTOR] >= 3);
    guest_free(guest);
}

/* After a reset nothing of what the chips were told is left. */
static void test_reset_forgets_the_chips(void **state)
{
    Guest *guest = guest_new(1);

    RUN(guest, SET_UP_IOAPIC(GSI, VECTOR));
    guest_load(guest);
    GUEST_OPS(guest, 0, SET_UP_LAPIC, DO(OP_WRITE, 4, IOAPIC, 0x10 + 2 * GSI),
              DO(OP_READ, 4, IOAPIC + 0x10, 0));
    guest_run(guest);
    assert_int_equal(guest_result(guest, 4), 0x10000); /* masked */
    assert_int_equal(guest->interrupts, 0);
    guest_free(guest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_edge_through_the_pic),
        cmocka_unit_test(test_second_pic),
        cmocka_unit_test(test_edge_through_the_ioapic),
        cmocka_unit_test(test_level_comes_again_until_acknowledged),
        cmocka_unit_test(test_irqfd),
        cmocka_unit_test(test_irqfd_with_resample),
        cmocka_unit_test(test_msi),
        cmocka_unit_test(test_timer_on_ioapic_pin_2),
        cmocka_unit_test(test_reset_forgets_the_chips),
    };

    return cmocka_run_group_tests_name("interrupts", tests, NULL, NULL);
}
