/* SPDX-License-Identifier: MIT */
/* Tests of hw/char/serial.c, register by register. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "support/device-rig.h"
#include "support/fake-chardev.h"
#include "tessera/hw/char/serial.h"

#define BASE 0x3f8
#define IRQ  4

typedef struct Fixture {
    DeviceRig rig;
    Chardev *chr;
    Device *dev;
} Fixture;

static Device *add_serial(DeviceRig *rig, int base, unsigned irq, Chardev *chr)
{
    Device *dev = rig_new(rig, &serial_device_class);

    serial_set_irq(dev, rig_irq(rig, irq));
    serial_set_chardev(dev, chr);
    rig_start(rig, dev, &base, 1);
    return dev;
}

static int setup(void **state)
{
    Fixture *f = g_new0(Fixture, 1);

    rig_init(&f->rig);
    f->chr = fake_chardev_new();
    f->dev = add_serial(&f->rig, BASE, IRQ, f->chr);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    Fixture *f = *state;

    rig_done(&f->rig);
    chardev_free(f->chr);
    g_free(f);
    return 0;
}

static uint8_t in(Fixture *f, unsigned reg)
{
    return rig_inb(&f->rig, BASE + reg);
}

static void out(Fixture *f, unsigned reg, uint8_t value)
{
    rig_outb(&f->rig, BASE + reg, value);
}

static bool irq(Fixture *f)
{
    return f->rig.irqs[IRQ].level;
}

/* 115,200 baud, 8N1, FIFOs on with the given trigger, OUT2 open; the given interrupts. */
static void start_port(Fixture *f, uint8_t trigger, uint8_t ier)
{
    out(f, SERIAL_LCR, SERIAL_LCR_DLAB | 3);
    out(f, SERIAL_DLL, 1);
    out(f, SERIAL_DLM, 0);
    out(f, SERIAL_LCR, 3);
    out(f, SERIAL_FCR, SERIAL_FCR_ENABLE | trigger << 6);
    out(f, SERIAL_MCR, SERIAL_MCR_DTR | SERIAL_MCR_RTS | SERIAL_MCR_OUT2);
    out(f, SERIAL_IER, ier);
    in(f, SERIAL_MSR);
}

static void test_reset_gives_the_values_of_the_data_sheet(void **state)
{
    Fixture *f = *state;

    assert_int_equal(in(f, SERIAL_IER), 0);
    assert_int_equal(in(f, SERIAL_IIR), SERIAL_IIR_NONE);
    assert_int_equal(in(f, SERIAL_LCR), 0);
    assert_int_equal(in(f, SERIAL_MCR), 0);
    assert_int_equal(in(f, SERIAL_LSR), SERIAL_LSR_THRE | SERIAL_LSR_TEMT);
    assert_false(irq(f));
}

static void test_dlab_shows_the_divisor(void **state)
{
    Fixture *f = *state;

    out(f, SERIAL_IER, 0x05);
    out(f, SERIAL_LCR, 0x83);
    out(f, SERIAL_DLL, 0x34);
    out(f, SERIAL_DLM, 0x12);
    assert_int_equal(in(f, SERIAL_DLL), 0x34);
    assert_int_equal(in(f, SERIAL_DLM), 0x12);
    assert_string_equal(fake_chardev_output(f->chr), ""); /* nothing was sent */
    out(f, SERIAL_LCR, 0x03);
    assert_int_equal(in(f, SERIAL_IER), 0x05);
    assert_int_equal(in(f, SERIAL_LCR), 0x03);
}

static void test_registers_keep_only_their_bits(void **state)
{
    Fixture *f = *state;

    out(f, SERIAL_IER, 0xff);
    assert_int_equal(in(f, SERIAL_IER), 0x0f);
    out(f, SERIAL_MCR, 0xef);
    assert_int_equal(in(f, SERIAL_MCR), 0x0f);
    out(f, SERIAL_SCR, 0xa5);
    assert_int_equal(in(f, SERIAL_SCR), 0xa5);
    out(f, SERIAL_LSR, 0xff);
    out(f, SERIAL_MSR, 0xff);
    assert_int_equal(in(f, SERIAL_LSR), SERIAL_LSR_THRE | SERIAL_LSR_TEMT);
}

static void test_wide_accesses_are_cut_into_bytes(void **state)
{
    Fixture *f = *state;

    start_port(f, 0, 0);
    rig_outw(&f->rig, BASE + SERIAL_MCR, 0x0003); /* MCR, and LSR that ignores */
    assert_int_equal(in(f, SERIAL_MCR), 3);
    assert_int_equal(rig_inw(&f->rig, BASE + SERIAL_LCR), 0x0303);
    rig_outl(&f->rig, BASE + SERIAL_SCR, 0x41414177); /* its end is not ours to send */
    assert_int_equal(in(f, SERIAL_SCR), 0x77);
    assert_string_equal(fake_chardev_output(f->chr), "");
}

static void test_write_goes_out(void **state)
{
    Fixture *f = *state;

    start_port(f, 0, 0);
    for (const char *p = "hello\r\n"; *p; p++) {
        assert_true(in(f, SERIAL_LSR) & SERIAL_LSR_THRE);
        out(f, SERIAL_THR, *p);
    }
    assert_string_equal(fake_chardev_output(f->chr), "hello\r\n");
    assert_false(irq(f));
}

static void test_thre_interrupts_when_enabled_and_when_empty(void **state)
{
    Fixture *f = *state;

    start_port(f, 0, SERIAL_IER_THRI);
    assert_true(irq(f)); /* enabling it while empty is enough */
    assert_int_equal(in(f, SERIAL_IIR), SERIAL_IIR_FIFOS | SERIAL_IIR_THRI);
    assert_false(irq(f)); /* reading IIR was the acknowledgement */
    assert_int_equal(in(f, SERIAL_IIR), SERIAL_IIR_FIFOS | SERIAL_IIR_NONE);
    out(f, SERIAL_THR, 'x');
    assert_true(irq(f));
    out(f, SERIAL_IER, 0);
    assert_false(irq(f));
    /* Linux's test for chips that forget: off and on again must interrupt again. */
    in(f, SERIAL_IIR);
    out(f, SERIAL_IER, SERIAL_IER_THRI);
    assert_int_equal(in(f, SERIAL_IIR) & 0x0f, SERIAL_IIR_THRI);
}

static void test_lsr_is_honest_under_back_pressure(void **state)
{
    Fixture *f = *state;

    start_port(f, 0, SERIAL_IER_THRI);
    in(f, SERIAL_IIR);
    fake_chardev_set_room(f->chr, 2);
    for (unsigned i = 0; i < 16; i++) {
        out(f, SERIAL_THR, 'a' + i);
    }
    assert_string_equal(fake_chardev_output(f->chr), "ab");
    assert_int_equal(in(f, SERIAL_LSR) & (SERIAL_LSR_THRE | SERIAL_LSR_TEMT), 0);
    assert_false(irq(f));
    fake_chardev_set_room(f->chr, 4); /* not all yet */
    assert_int_equal(in(f, SERIAL_LSR) & SERIAL_LSR_THRE, 0);
    assert_false(irq(f));
    fake_chardev_set_room(f->chr, 100);
    assert_string_equal(fake_chardev_output(f->chr), "cdefghijklmnop");
    assert_int_equal(in(f, SERIAL_LSR) & SERIAL_LSR_THRE, SERIAL_LSR_THRE);
    assert_true(irq(f));
}

static void test_a_byte_beyond_the_transmit_fifo_is_lost(void **state)
{
    Fixture *f = *state;

    start_port(f, 0, 0);
    fake_chardev_set_room(f->chr, 0);
    for (unsigned i = 0; i < 18; i++) {
        out(f, SERIAL_THR, 'a' + i);
    }
    fake_chardev_set_room(f->chr, SIZE_MAX);
    assert_string_equal(fake_chardev_output(f->chr), "abcdefghijklmnop");
}

static void test_receive_below_the_trigger_interrupts_by_time_out(void **state)
{
    Fixture *f = *state;

    start_port(f, 3, SERIAL_IER_RDI);
    fake_chardev_input(f->chr, "ab", 2);
    assert_true(in(f, SERIAL_LSR) & SERIAL_LSR_DR);
    assert_false(irq(f));
    virtual_clock_advance(f->rig.clock, 300000); /* 4 characters last 347 us */
    assert_false(irq(f));
    virtual_clock_advance(f->rig.clock, 50000);
    assert_true(irq(f));
    assert_int_equal(in(f, SERIAL_IIR), SERIAL_IIR_FIFOS | SERIAL_IIR_CTI);
    assert_true(irq(f)); /* only a read of the data ends it */
    assert_int_equal(in(f, SERIAL_RBR), 'a');
    assert_false(irq(f)); /* and starts it anew */
    virtual_clock_advance(f->rig.clock, 400000);
    assert_true(irq(f));
    assert_int_equal(in(f, SERIAL_RBR), 'b');
    assert_false(irq(f));
    virtual_clock_advance(f->rig.clock, 1000000000);
    assert_false(irq(f));
    assert_int_equal(in(f, SERIAL_LSR) & SERIAL_LSR_DR, 0);
}

static void test_receive_at_the_trigger_interrupts_at_once(void **state)
{
    static const unsigned levels[] = { 1, 4, 8, 14 };
    Fixture *f = *state;

    for (unsigned trigger = 0; trigger < 4; trigger++) {
        start_port(f, trigger, SERIAL_IER_RDI);
        fake_chardev_input(f->chr, "0123456789abcdef", levels[trigger]);
        assert_true(irq(f));
        assert_int_equal(in(f, SERIAL_IIR), SERIAL_IIR_FIFOS | SERIAL_IIR_RDI);
        assert_int_equal(in(f, SERIAL_RBR), '0');
        assert_false(irq(f)); /* below the level again */
        out(f, SERIAL_FCR, SERIAL_FCR_ENABLE | SERIAL_FCR_CLEAR_RX);
        assert_int_equal(in(f, SERIAL_LSR) & SERIAL_LSR_DR, 0);
    }
}

static void test_receive_takes_as_much_as_fits_and_loses_nothing(void **state)
{
    Fixture *f = *state;
    char text[101] = "", got[101] = "";

    for (unsigned i = 0; i < 100; i++) {
        text[i] = ' ' + i % 90;
    }
    start_port(f, 0, 0);
    fake_chardev_input(f->chr, text, 100);
    assert_int_equal(fake_chardev_run(f->chr), 84);
    for (unsigned i = 0; i < 100; i++) {
        assert_true(in(f, SERIAL_LSR) & SERIAL_LSR_DR);
        got[i] = in(f, SERIAL_RBR);
        fake_chardev_run(f->chr);
    }
    assert_string_equal(got, text);
    assert_int_equal(in(f, SERIAL_LSR) & (SERIAL_LSR_DR | SERIAL_LSR_OE), 0);
    assert_true(fake_chardev_accepts(f->chr) > 0);
}

static void test_without_fifos_one_byte_at_a_time(void **state)
{
    Fixture *f = *state;

    start_port(f, 0, SERIAL_IER_RDI);
    out(f, SERIAL_FCR, 0);
    assert_int_equal(in(f, SERIAL_IIR), SERIAL_IIR_NONE); /* no FIFO bits */
    fake_chardev_input(f->chr, "xy", 2);
    assert_true(irq(f));
    assert_int_equal(fake_chardev_run(f->chr), 1);
    assert_int_equal(in(f, SERIAL_RBR), 'x');
    assert_int_equal(fake_chardev_run(f->chr), 0);
    assert_int_equal(in(f, SERIAL_RBR), 'y');
    fake_chardev_set_room(f->chr, 0);
    out(f, SERIAL_THR, '1');
    out(f, SERIAL_THR, '2'); /* no room: lost */
    fake_chardev_set_room(f->chr, SIZE_MAX);
    assert_string_equal(fake_chardev_output(f->chr), "1");
}

static void test_interrupts_have_their_priority(void **state)
{
    Fixture *f = *state;

    start_port(f, 0, 0x0f);
    fake_chardev_event(f->chr, CHARDEV_CLOSED); /* modem status */
    fake_chardev_input(f->chr, "a", 1);
    out(f, SERIAL_IER, 0);
    out(f, SERIAL_IER, 0x0f); /* transmitter empty */
    fake_chardev_event(f->chr, CHARDEV_BREAK);
    assert_int_equal(in(f, SERIAL_IIR) & 0x0f, SERIAL_IIR_RDI); /* the break is behind 'a' */
    assert_int_equal(in(f, SERIAL_RBR), 'a');
    assert_int_equal(in(f, SERIAL_IIR) & 0x0f, SERIAL_IIR_RLSI);
    assert_int_equal(in(f, SERIAL_LSR) & (SERIAL_LSR_BI | SERIAL_LSR_DR | SERIAL_LSR_FIFO),
                     SERIAL_LSR_BI | SERIAL_LSR_DR | SERIAL_LSR_FIFO);
    assert_int_equal(in(f, SERIAL_IIR) & 0x0f, SERIAL_IIR_RDI);
    assert_int_equal(in(f, SERIAL_RBR), 0);
    assert_int_equal(in(f, SERIAL_IIR) & 0x0f, SERIAL_IIR_THRI);
    assert_int_equal(in(f, SERIAL_IIR) & 0x0f, SERIAL_IIR_MSI);
    assert_int_equal(in(f, SERIAL_MSR), SERIAL_MSR_CTS | SERIAL_MSR_DSR | SERIAL_MSR_DDCD);
    assert_int_equal(in(f, SERIAL_IIR) & 0x0f, SERIAL_IIR_NONE);
    assert_false(irq(f));
}

static void test_modem_lines_follow_the_other_end(void **state)
{
    Fixture *f = *state;

    start_port(f, 0, 0);
    assert_int_equal(in(f, SERIAL_MSR), SERIAL_MSR_CTS | SERIAL_MSR_DSR | SERIAL_MSR_DCD);
    fake_chardev_event(f->chr, CHARDEV_CLOSED);
    assert_int_equal(in(f, SERIAL_MSR), SERIAL_MSR_CTS | SERIAL_MSR_DSR | SERIAL_MSR_DDCD);
    assert_int_equal(in(f, SERIAL_MSR), SERIAL_MSR_CTS | SERIAL_MSR_DSR);
    fake_chardev_event(f->chr, CHARDEV_OPENED);
    assert_int_equal(in(f, SERIAL_MSR) & (SERIAL_MSR_DCD | SERIAL_MSR_DDCD),
                     SERIAL_MSR_DCD | SERIAL_MSR_DDCD);
}

static void test_loopback_connects_outputs_to_inputs(void **state)
{
    Fixture *f = *state;

    start_port(f, 0, SERIAL_IER_RDI);
    out(f, SERIAL_MCR, SERIAL_MCR_LOOP | SERIAL_MCR_OUT2 | SERIAL_MCR_RTS);
    assert_int_equal(in(f, SERIAL_MSR) & 0xf0, SERIAL_MSR_DCD | SERIAL_MSR_CTS);
    out(f, SERIAL_MCR, SERIAL_MCR_LOOP | SERIAL_MCR_OUT1 | SERIAL_MCR_DTR);
    assert_int_equal(in(f, SERIAL_MSR) & 0xf0, SERIAL_MSR_RI | SERIAL_MSR_DSR);
    out(f, SERIAL_MCR, SERIAL_MCR_LOOP);
    assert_int_equal(in(f, SERIAL_MSR), SERIAL_MSR_TERI | SERIAL_MSR_DDSR);
    out(f, SERIAL_MCR, SERIAL_MCR_LOOP | SERIAL_MCR_OUT1);
    assert_int_equal(in(f, SERIAL_MSR), SERIAL_MSR_RI); /* only the end of a ring counts */
    out(f, SERIAL_MCR, SERIAL_MCR_LOOP | SERIAL_MCR_OUT2);
    out(f, SERIAL_THR, 'q');
    assert_false(irq(f)); /* OUT2 is inside the loop: the gate is closed */
    fake_chardev_input(f->chr, "z", 1);
    assert_int_equal(fake_chardev_run(f->chr), 1); /* waits for the end of the loop */
    assert_int_equal(in(f, SERIAL_RBR), 'q');
    assert_string_equal(fake_chardev_output(f->chr), "");
    out(f, SERIAL_MCR, SERIAL_MCR_OUT2);
    assert_int_equal(in(f, SERIAL_MSR) & SERIAL_MSR_DCD, SERIAL_MSR_DCD); /* the real line again */
    assert_int_equal(fake_chardev_run(f->chr), 0);
    assert_int_equal(in(f, SERIAL_RBR), 'z');
}

static void test_loopback_overrun_is_reported_once(void **state)
{
    Fixture *f = *state;
    unsigned count = 0;

    start_port(f, 0, 0);
    out(f, SERIAL_MCR, SERIAL_MCR_LOOP);
    for (unsigned i = 0; i < 256; i++) {
        out(f, SERIAL_THR, i);
    }
    assert_true(in(f, SERIAL_LSR) & SERIAL_LSR_OE);
    assert_false(in(f, SERIAL_LSR) & SERIAL_LSR_OE);
    while (count < 256 && (in(f, SERIAL_LSR) & SERIAL_LSR_DR)) {
        assert_int_equal(in(f, SERIAL_RBR), count++);
    }
    assert_int_equal(count, 16); /* how Linux measures a FIFO */
}

static void test_out2_gates_the_interrupt(void **state)
{
    Fixture *f = *state;

    start_port(f, 0, SERIAL_IER_THRI);
    assert_true(irq(f));
    out(f, SERIAL_MCR, SERIAL_MCR_DTR);
    assert_false(irq(f));
    out(f, SERIAL_MCR, SERIAL_MCR_OUT2);
    assert_true(irq(f));
}

/* What Linux's 8250 driver writes and expects when it looks for a 16550A, in its order. */
static void test_linux_autoconfig_finds_a_16550a(void **state)
{
    Fixture *f = *state;
    uint8_t status;

    out(f, SERIAL_IER, 0);
    assert_int_equal(in(f, SERIAL_IER) & 0x0f, 0);
    out(f, SERIAL_IER, 0x0f);
    assert_int_equal(in(f, SERIAL_IER) & 0x0f, 0x0f);
    out(f, SERIAL_IER, 0);
    out(f, SERIAL_MCR, SERIAL_MCR_LOOP | 0x0a);
    assert_int_equal(in(f, SERIAL_MSR) & 0xf0, 0x90);
    out(f, SERIAL_MCR, 0);
    out(f, SERIAL_LCR, 0xbf);
    out(f, 2, 0);
    out(f, SERIAL_LCR, 0);
    out(f, SERIAL_FCR, SERIAL_FCR_ENABLE);
    assert_int_equal(in(f, SERIAL_IIR) >> 6, 3);
    /* Not a 16650 (EFR at 2 behind 0x80 or 0xbf), not a 16750 (64-byte FIFO), no XScale. */
    out(f, SERIAL_LCR, 0x80);
    assert_int_not_equal(in(f, 2), 0);
    out(f, SERIAL_LCR, 0xbf);
    assert_int_not_equal(in(f, 2), 0);
    out(f, SERIAL_LCR, 0);
    out(f, SERIAL_FCR, SERIAL_FCR_ENABLE | 0x20);
    assert_int_equal(in(f, SERIAL_IIR) >> 5, 6);
    out(f, SERIAL_FCR, SERIAL_FCR_ENABLE);
    out(f, SERIAL_LCR, 0x80);
    out(f, SERIAL_FCR, SERIAL_FCR_ENABLE | 0x20);
    assert_int_equal(in(f, SERIAL_IIR) >> 5, 6);
    out(f, SERIAL_LCR, 0);
    out(f, SERIAL_IER, 0x40);
    assert_int_equal(in(f, SERIAL_IER) & 0x40, 0);
    /* Start-up: the test for a transmitter-empty interrupt that does not come. */
    out(f, SERIAL_IER, SERIAL_IER_THRI);
    status = in(f, SERIAL_LSR);
    assert_true(status & SERIAL_LSR_TEMT);
    assert_false(in(f, SERIAL_IIR) & SERIAL_IIR_NONE);
}

/* Linux gives up ("too much work") after 256 or 512 rounds in one interrupt. */
static void test_long_output_leaves_the_handler_now_and_then(void **state)
{
    Fixture *f = *state;
    unsigned rounds = 0, longest = 0, sent = 0;

    start_port(f, 0, SERIAL_IER_THRI);
    while (sent < 100000) {
        if (!irq(f)) {
            rounds = 0;
            virtual_clock_advance(f->rig.clock, 1000000);
            assert_true(irq(f)); /* it goes on by itself */
        }
        assert_int_equal(in(f, SERIAL_IIR) & 0x0f, SERIAL_IIR_THRI);
        for (unsigned i = 0; i < 16; i++, sent++) {
            out(f, SERIAL_THR, 'x');
        }
        longest = MAX(longest, ++rounds);
    }
    assert_true(longest > 32 && longest < 256);
    fake_chardev_output(f->chr);
    assert_int_equal(fake_chardev_output_len(f->chr), sent);
}

static void test_long_input_leaves_the_handler_now_and_then(void **state)
{
    Fixture *f = *state;
    g_autofree char *text = g_malloc0(5000);
    unsigned got = 0, in_a_row = 0;

    start_port(f, 0, SERIAL_IER_RDI);
    fake_chardev_input(f->chr, text, 5000);
    while (got < 5000) {
        if (!irq(f)) {
            in_a_row = 0;
            virtual_clock_advance(f->rig.clock, 1000000);
            fake_chardev_run(f->chr);
            assert_true(irq(f));
        }
        in(f, SERIAL_RBR);
        got++;
        assert_true(++in_a_row <= 2048);
        fake_chardev_run(f->chr);
    }
}

static void test_reset_sends_last_words_and_forgets_the_rest(void **state)
{
    Fixture *f = *state;

    start_port(f, 0, 0x0f);
    fake_chardev_set_room(f->chr, 0);
    out(f, SERIAL_THR, '!');
    fake_chardev_input(f->chr, "abc", 3);
    fake_chardev_make_room(f->chr, 100); /* nobody has told the port yet */
    device_reset(f->dev);
    assert_string_equal(fake_chardev_output(f->chr), "!");
    assert_false(irq(f));
    assert_int_equal(in(f, SERIAL_LSR), SERIAL_LSR_THRE | SERIAL_LSR_TEMT);
    assert_int_equal(in(f, SERIAL_IIR), SERIAL_IIR_NONE);
    virtual_clock_advance(f->rig.clock, 1000000000);
    assert_false(irq(f));
}

static void test_two_ports_and_two_machines_are_apart(void **state)
{
    Fixture *f = *state, other;
    Chardev *second = fake_chardev_new();

    rig_init(&other.rig);
    other.chr = fake_chardev_new();
    other.dev = add_serial(&other.rig, BASE, IRQ, other.chr);
    add_serial(&f->rig, 0x2f8, 3, second);
    start_port(f, 0, 0);
    rig_outb(&f->rig, 0x2f8, 'B');
    out(f, SERIAL_THR, 'A');
    rig_outb(&other.rig, BASE, 'C');
    assert_string_equal(fake_chardev_output(f->chr), "A");
    assert_string_equal(fake_chardev_output(second), "B");
    assert_string_equal(fake_chardev_output(other.chr), "C");
    rig_done(&other.rig);
    chardev_free(other.chr);
    /* The second port's chardev goes after its device: end the machine here. */
    rig_done(&f->rig);
    chardev_free(second);
    chardev_free(f->chr);
    rig_init(&f->rig);
    f->chr = fake_chardev_new();
    f->dev = add_serial(&f->rig, BASE, IRQ, f->chr);
}

static void test_port_without_a_chardev_swallows(void **state)
{
    DeviceRig rig;

    rig_init(&rig);
    add_serial(&rig, BASE, IRQ, NULL);
    rig_outb(&rig, BASE, 'x');
    assert_int_equal(rig_inb(&rig, BASE + SERIAL_LSR), SERIAL_LSR_THRE | SERIAL_LSR_TEMT);
    assert_int_equal(rig_inb(&rig, BASE + SERIAL_MSR) & SERIAL_MSR_DCD, 0);
    rig_done(&rig);
}

static void test_fuzz_survives(void **state)
{
    Fixture *f = *state;
    g_autoptr(GRand) rand = rig_rand("serial");

    for (unsigned i = 0; i < 20; i++) {
        fake_chardev_input(f->chr, "some input for the port", 23);
        fake_chardev_set_room(f->chr, i * 5);
        rig_fuzz(&f->rig, rand, BASE, 8, 2000);
    }
}

/* A vCPU writes while the main thread brings input and takes output. */
static gpointer guest_thread(gpointer opaque)
{
    Fixture *f = opaque;

    for (unsigned i = 0; i < 20000; i++) {
        out(f, SERIAL_THR, 'x');
        in(f, SERIAL_LSR);
        in(f, SERIAL_IIR);
        in(f, SERIAL_RBR);
    }
    return NULL;
}

static void test_vcpu_and_main_thread_meet(void **state)
{
    Fixture *f = *state;
    GThread *thread;

    start_port(f, 1, 0x0f);
    fake_chardev_input(f->chr, "", 0);
    fake_chardev_set_room(f->chr, SIZE_MAX);
    thread = g_thread_new("guest", guest_thread, f);
    for (unsigned i = 0; i < 2000; i++) {
        fake_chardev_event(f->chr, i & 1 ? CHARDEV_OPENED : CHARDEV_CLOSED);
        fake_chardev_event(f->chr, CHARDEV_BREAK);
        virtual_clock_advance(f->rig.clock, 100000);
    }
    g_thread_join(thread);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_reset_gives_the_values_of_the_data_sheet),
        T(test_dlab_shows_the_divisor),
        T(test_registers_keep_only_their_bits),
        T(test_wide_accesses_are_cut_into_bytes),
        T(test_write_goes_out),
        T(test_thre_interrupts_when_enabled_and_when_empty),
        T(test_lsr_is_honest_under_back_pressure),
        T(test_a_byte_beyond_the_transmit_fifo_is_lost),
        T(test_receive_below_the_trigger_interrupts_by_time_out),
        T(test_receive_at_the_trigger_interrupts_at_once),
        T(test_receive_takes_as_much_as_fits_and_loses_nothing),
        T(test_without_fifos_one_byte_at_a_time),
        T(test_interrupts_have_their_priority),
        T(test_modem_lines_follow_the_other_end),
        T(test_loopback_connects_outputs_to_inputs),
        T(test_loopback_overrun_is_reported_once),
        T(test_out2_gates_the_interrupt),
        T(test_linux_autoconfig_finds_a_16550a),
        T(test_long_output_leaves_the_handler_now_and_then),
        T(test_long_input_leaves_the_handler_now_and_then),
        T(test_reset_sends_last_words_and_forgets_the_rest),
        T(test_two_ports_and_two_machines_are_apart),
        cmocka_unit_test(test_port_without_a_chardev_swallows),
        T(test_fuzz_survives),
        T(test_vcpu_and_main_thread_meet),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
