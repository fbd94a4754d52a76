/* SPDX-License-Identifier: MIT */
/* Tests of hw/input: controller, keyboard and mouse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "support/device-rig.h"
#include "tessera/hw/input/i8042.h"

#define DATA    0x60
#define COMMAND 0x64

#define KBD_IRQ 1
#define AUX_IRQ 12

typedef struct Fixture {
    DeviceRig rig;
    Device *dev;
} Fixture;

static int setup(void **state)
{
    static const int ports[] = { DATA, COMMAND };
    Fixture *f = g_new0(Fixture, 1);

    rig_init(&f->rig);
    f->dev = rig_new(&f->rig, &i8042_device_class);
    i8042_set_irqs(f->dev, rig_irq(&f->rig, KBD_IRQ), rig_irq(&f->rig, AUX_IRQ));
    rig_start(&f->rig, f->dev, ports, 2);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    Fixture *f = *state;

    rig_done(&f->rig);
    g_free(f);
    return 0;
}

static uint8_t status(Fixture *f)
{
    return rig_inb(&f->rig, COMMAND);
}

static void command(Fixture *f, uint8_t c)
{
    rig_outb(&f->rig, COMMAND, c);
}

static void command_with(Fixture *f, uint8_t c, uint8_t parameter)
{
    command(f, c);
    rig_outb(&f->rig, DATA, parameter);
}

/* The next byte, which must be there and come from where it should. */
static uint8_t data_from(Fixture *f, bool aux)
{
    uint8_t s = status(f);

    assert_int_equal(s & I8042_STATUS_OBF, I8042_STATUS_OBF);
    assert_int_equal(!!(s & I8042_STATUS_AUX), aux);
    return rig_inb(&f->rig, DATA);
}

static void assert_bytes(Fixture *f, bool aux, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        assert_int_equal(data_from(f, aux), bytes[i]);
    }
    assert_int_equal(status(f) & I8042_STATUS_OBF, 0);
}

#define ASSERT_KEYBOARD(f, ...)                                                                    \
    assert_bytes(f, false, (const uint8_t[]){ __VA_ARGS__ },                                       \
                 sizeof((const uint8_t[]){ __VA_ARGS__ }))
#define ASSERT_MOUSE(f, ...)                                                                       \
    assert_bytes(f, true, (const uint8_t[]){ __VA_ARGS__ },                                        \
                 sizeof((const uint8_t[]){ __VA_ARGS__ }))

static void set_ctr(Fixture *f, uint8_t ctr)
{
    command_with(f, I8042_CMD_WRITE_RAM, ctr);
}

static void to_keyboard(Fixture *f, uint8_t byte)
{
    rig_outb(&f->rig, DATA, byte);
}

static void to_mouse(Fixture *f, uint8_t byte)
{
    command_with(f, I8042_CMD_AUX_SEND, byte);
}

/* Untranslated, both devices on, both interrupts on. */
static void open_both(Fixture *f)
{
    set_ctr(f, I8042_CTR_KBD_INT | I8042_CTR_AUX_INT | I8042_CTR_SYSTEM);
}

static void test_reset_leaves_it_as_firmware_would(void **state)
{
    Fixture *f = *state;

    assert_int_equal(status(f), I8042_STATUS_SYSTEM | I8042_STATUS_KEYLOCK);
    command(f, I8042_CMD_READ_RAM);
    ASSERT_KEYBOARD(f, I8042_CTR_KBD_INT | I8042_CTR_SYSTEM | I8042_CTR_AUX_OFF |
                           I8042_CTR_XLATE);
    assert_int_equal(status(f) & I8042_STATUS_COMMAND, I8042_STATUS_COMMAND);
}

static void test_self_test_and_interface_tests(void **state)
{
    Fixture *f = *state;

    command(f, I8042_CMD_SELF_TEST);
    ASSERT_KEYBOARD(f, 0x55);
    command(f, I8042_CMD_KBD_TEST);
    ASSERT_KEYBOARD(f, 0x00);
    command(f, I8042_CMD_AUX_TEST);
    ASSERT_KEYBOARD(f, 0x00);
    command(f, 0x12); /* unknown: nothing */
    assert_int_equal(status(f) & I8042_STATUS_OBF, 0);
}

static void test_self_test_throws_away_what_was_waiting(void **state)
{
    Fixture *f = *state;

    i8042_send_keys(f->dev, (const uint8_t[]){ 0x1c }, 1);
    assert_true(status(f) & I8042_STATUS_OBF);
    command(f, I8042_CMD_SELF_TEST);
    assert_int_equal(data_from(f, false), 0x55);
}

static void test_ram_is_read_as_written(void **state)
{
    Fixture *f = *state;

    command_with(f, I8042_CMD_WRITE_RAM + 0x1f, 0x77);
    command(f, I8042_CMD_READ_RAM + 0x1f);
    ASSERT_KEYBOARD(f, 0x77);
    set_ctr(f, 0x03);
    command(f, I8042_CMD_READ_RAM);
    ASSERT_KEYBOARD(f, 0x03);
    assert_int_equal(status(f) & I8042_STATUS_SYSTEM, 0); /* follows the command byte */
}

static void test_port_commands_show_in_the_command_byte(void **state)
{
    Fixture *f = *state;

    command(f, I8042_CMD_KBD_OFF);
    command(f, I8042_CMD_AUX_ON);
    command(f, I8042_CMD_READ_RAM);
    assert_int_equal(data_from(f, false) & (I8042_CTR_KBD_OFF | I8042_CTR_AUX_OFF),
                     I8042_CTR_KBD_OFF);
    command(f, I8042_CMD_KBD_ON);
    command(f, I8042_CMD_AUX_OFF);
    command(f, I8042_CMD_READ_RAM);
    assert_int_equal(data_from(f, false) & (I8042_CTR_KBD_OFF | I8042_CTR_AUX_OFF),
                     I8042_CTR_AUX_OFF);
}

static void test_a_disabled_port_keeps_its_bytes(void **state)
{
    Fixture *f = *state;

    command(f, I8042_CMD_KBD_OFF);
    i8042_send_keys(f->dev, (const uint8_t[]){ 0x1c }, 1);
    assert_int_equal(status(f) & I8042_STATUS_OBF, 0);
    command(f, I8042_CMD_KBD_ON);
    ASSERT_KEYBOARD(f, 0x1e);
}

static void test_loop_commands_answer_as_the_device(void **state)
{
    Fixture *f = *state;

    open_both(f);
    command_with(f, I8042_CMD_AUX_LOOP, 0x5a);
    assert_true(f->rig.irqs[AUX_IRQ].level); /* Linux tests the interrupt like this */
    assert_false(f->rig.irqs[KBD_IRQ].level);
    ASSERT_MOUSE(f, 0x5a);
    assert_false(f->rig.irqs[AUX_IRQ].level);
    command_with(f, I8042_CMD_KBD_LOOP, 0xa5);
    assert_true(f->rig.irqs[KBD_IRQ].level);
    ASSERT_KEYBOARD(f, 0xa5);
    assert_false(f->rig.irqs[KBD_IRQ].level);
}

/* Linux looks for an active multiplexer: the last byte would come back changed. */
static void test_no_active_multiplexing(void **state)
{
    Fixture *f = *state;

    command_with(f, I8042_CMD_AUX_LOOP, 0xf0);
    ASSERT_MOUSE(f, 0xf0);
    command_with(f, I8042_CMD_AUX_LOOP, 0x56);
    ASSERT_MOUSE(f, 0x56);
    command_with(f, I8042_CMD_AUX_LOOP, 0xa4);
    ASSERT_MOUSE(f, 0xa4);
}

static void test_output_port_and_a20(void **state)
{
    Fixture *f = *state;

    command(f, I8042_CMD_READ_OUT);
    assert_int_equal(data_from(f, false) & (I8042_OUT_RESET | I8042_OUT_A20),
                     I8042_OUT_RESET | I8042_OUT_A20);
    command(f, I8042_CMD_A20_OFF);
    command(f, I8042_CMD_READ_OUT);
    assert_int_equal(data_from(f, false) & I8042_OUT_A20, 0);
    command_with(f, I8042_CMD_WRITE_OUT, 0xdf);
    command(f, I8042_CMD_READ_OUT);
    assert_int_equal(data_from(f, false) & I8042_OUT_A20, I8042_OUT_A20);
    command(f, I8042_CMD_READ_IN);
    assert_int_equal(data_from(f, false) & 0x80, 0x80);
    assert_int_equal(f->rig.resets, 0);
}

static void test_pulse_and_output_port_reset(void **state)
{
    Fixture *f = *state;

    command(f, 0xff); /* pulses nothing */
    command(f, 0xfd);
    assert_int_equal(f->rig.resets, 0);
    command(f, 0xfe);
    assert_int_equal(f->rig.resets, 1);
    assert_int_equal(f->rig.cause, MACHINE_CAUSE_GUEST_RESET);
    command_with(f, I8042_CMD_WRITE_OUT, 0xce);
    assert_int_equal(f->rig.resets, 2);
}

static void test_keyboard_reset_and_identify(void **state)
{
    Fixture *f = *state;

    open_both(f);
    to_keyboard(f, 0xff);
    ASSERT_KEYBOARD(f, 0xfa, 0xaa);
    to_keyboard(f, 0xf2);
    ASSERT_KEYBOARD(f, 0xfa, 0xab, 0x83);
    to_keyboard(f, 0xee);
    ASSERT_KEYBOARD(f, 0xee);
    to_keyboard(f, 0xfe); /* again, please */
    ASSERT_KEYBOARD(f, 0xee);
    to_keyboard(f, 0x00); /* no command */
    ASSERT_KEYBOARD(f, 0xfe);
}

static void test_keyboard_identity_is_translated_too(void **state)
{
    Fixture *f = *state;

    to_keyboard(f, 0xf2);
    ASSERT_KEYBOARD(f, 0xfa, 0xab, 0x41);
}

static void test_keyboard_parameters(void **state)
{
    Fixture *f = *state;

    open_both(f);
    to_keyboard(f, 0xed);
    ASSERT_KEYBOARD(f, 0xfa);
    to_keyboard(f, 0x05);
    ASSERT_KEYBOARD(f, 0xfa);
    assert_int_equal(i8042_leds(f->dev), 0x05);
    to_keyboard(f, 0xf3);
    ASSERT_KEYBOARD(f, 0xfa);
    to_keyboard(f, 0x00);
    ASSERT_KEYBOARD(f, 0xfa);
    to_keyboard(f, 0xf0);
    ASSERT_KEYBOARD(f, 0xfa);
    to_keyboard(f, 0x00); /* which set? */
    ASSERT_KEYBOARD(f, 0xfa, 0x02);
    to_keyboard(f, 0xf0);
    ASSERT_KEYBOARD(f, 0xfa);
    to_keyboard(f, 0x03);
    ASSERT_KEYBOARD(f, 0xfa);
    to_keyboard(f, 0xf0);
    ASSERT_KEYBOARD(f, 0xfa);
    to_keyboard(f, 0x00);
    ASSERT_KEYBOARD(f, 0xfa, 0x03);
    /* A command where a parameter is due ends the first one. */
    to_keyboard(f, 0xed);
    ASSERT_KEYBOARD(f, 0xfa);
    to_keyboard(f, 0xf4);
    ASSERT_KEYBOARD(f, 0xfa);
    assert_int_equal(i8042_leds(f->dev), 0x05);
}

static void test_keyboard_off_sends_no_keys(void **state)
{
    Fixture *f = *state;

    open_both(f);
    to_keyboard(f, 0xf5);
    ASSERT_KEYBOARD(f, 0xfa);
    assert_false(i8042_send_keys(f->dev, (const uint8_t[]){ 0x1c }, 1));
    assert_int_equal(status(f) & I8042_STATUS_OBF, 0);
    to_keyboard(f, 0xf4);
    ASSERT_KEYBOARD(f, 0xfa);
    assert_true(i8042_send_keys(f->dev, (const uint8_t[]){ 0x1c }, 1));
    ASSERT_KEYBOARD(f, 0x1c);
}

/* A, left arrow, F7 and Pause, pressed and released: set 2 as it is, and as set 1. */
static const uint8_t keys[] = { 0x1c, 0xf0, 0x1c, 0xe0, 0x6b, 0xe0, 0xf0, 0x6b, 0x83, 0xf0, 0x83,
                                0xe1, 0x14, 0x77, 0xe1, 0xf0, 0x14, 0xf0, 0x77 };

static void test_keys_in_set_2(void **state)
{
    Fixture *f = *state;

    open_both(f);
    assert_true(i8042_send_keys(f->dev, keys, sizeof(keys)));
    assert_bytes(f, false, keys, sizeof(keys));
}

static void test_keys_translated_to_set_1(void **state)
{
    Fixture *f = *state;

    assert_true(i8042_send_keys(f->dev, keys, sizeof(keys)));
    ASSERT_KEYBOARD(f, 0x1e, 0x9e, 0xe0, 0x4b, 0xe0, 0xcb, 0x41, 0xc1, 0xe1, 0x1d, 0x45, 0xe1,
                    0x9d, 0xc5);
}

static void test_each_byte_makes_an_edge(void **state)
{
    Fixture *f = *state;
    unsigned before = f->rig.irqs[KBD_IRQ].rises;

    i8042_send_keys(f->dev, (const uint8_t[]){ 0x1c, 0xf0, 0x1c }, 3);
    assert_true(f->rig.irqs[KBD_IRQ].level);
    rig_inb(&f->rig, DATA);
    assert_true(f->rig.irqs[KBD_IRQ].level);
    rig_inb(&f->rig, DATA);
    assert_false(f->rig.irqs[KBD_IRQ].level);
    assert_int_equal(f->rig.irqs[KBD_IRQ].rises, before + 2);
}

static void test_keys_that_do_not_fit_are_refused_whole(void **state)
{
    Fixture *f = *state;
    uint8_t many[200] = { 0 };
    unsigned sent = 0;

    open_both(f);
    assert_false(i8042_send_keys(f->dev, many, sizeof(many)));
    assert_int_equal(status(f) & I8042_STATUS_OBF, 0);
    while (i8042_send_keys(f->dev, many, 3)) {
        sent += 3;
    }
    assert_true(sent >= 16);
    for (unsigned i = 0; i < sent; i++) {
        data_from(f, false);
    }
    assert_int_equal(status(f) & I8042_STATUS_OBF, 0);
}

static void test_mouse_reset_and_identify(void **state)
{
    Fixture *f = *state;

    open_both(f);
    to_mouse(f, 0xff);
    assert_true(f->rig.irqs[AUX_IRQ].level);
    ASSERT_MOUSE(f, 0xfa, 0xaa, 0x00);
    to_mouse(f, 0xf2);
    ASSERT_MOUSE(f, 0xfa, 0x00);
    to_mouse(f, 0x12);
    ASSERT_MOUSE(f, 0xfe);
}

static void set_rate(Fixture *f, uint8_t rate)
{
    to_mouse(f, 0xf3);
    ASSERT_MOUSE(f, 0xfa);
    to_mouse(f, rate);
    ASSERT_MOUSE(f, 0xfa);
}

static void test_mouse_knock_for_wheel_and_five_buttons(void **state)
{
    Fixture *f = *state;

    open_both(f);
    set_rate(f, 200);
    set_rate(f, 100);
    set_rate(f, 80);
    to_mouse(f, 0xf2);
    ASSERT_MOUSE(f, 0xfa, 0x03);
    set_rate(f, 200);
    set_rate(f, 200);
    set_rate(f, 80);
    to_mouse(f, 0xf2);
    ASSERT_MOUSE(f, 0xfa, 0x04);
    to_mouse(f, 0xff);
    ASSERT_MOUSE(f, 0xfa, 0xaa, 0x00);
    to_mouse(f, 0xf2);
    ASSERT_MOUSE(f, 0xfa, 0x00);
}

static void test_mouse_status_and_settings(void **state)
{
    Fixture *f = *state;

    open_both(f);
    to_mouse(f, 0xe9);
    ASSERT_MOUSE(f, 0xfa, 0x00, 0x02, 100);
    to_mouse(f, 0xe7);
    ASSERT_MOUSE(f, 0xfa);
    to_mouse(f, 0xe8);
    ASSERT_MOUSE(f, 0xfa);
    to_mouse(f, 0x03);
    ASSERT_MOUSE(f, 0xfa);
    to_mouse(f, 0xf4);
    ASSERT_MOUSE(f, 0xfa);
    set_rate(f, 60);
    to_mouse(f, 0xe9);
    ASSERT_MOUSE(f, 0xfa, 0x30, 0x03, 60);
    to_mouse(f, 0xf6);
    ASSERT_MOUSE(f, 0xfa);
    to_mouse(f, 0xe9);
    ASSERT_MOUSE(f, 0xfa, 0x00, 0x02, 100);
}

static void test_mouse_wrap_echoes(void **state)
{
    Fixture *f = *state;

    open_both(f);
    to_mouse(f, 0xee);
    ASSERT_MOUSE(f, 0xfa);
    to_mouse(f, 0xf4);
    ASSERT_MOUSE(f, 0xf4);
    to_mouse(f, 0xec);
    ASSERT_MOUSE(f, 0xfa);
    to_mouse(f, 0xf4);
    ASSERT_MOUSE(f, 0xfa);
}

static void test_mouse_packets(void **state)
{
    Fixture *f = *state;

    open_both(f);
    i8042_move_mouse(f->dev, 9, 9, 0, 0);
    assert_int_equal(status(f) & I8042_STATUS_OBF, 0); /* reporting is off */
    to_mouse(f, 0xf4);
    ASSERT_MOUSE(f, 0xfa); /* what was before does not count */
    i8042_move_mouse(f->dev, 5, -3, 0, 1);
    ASSERT_MOUSE(f, 0x29, 5, 0xfd);
    i8042_move_mouse(f->dev, 0, 0, 0, 1);
    assert_int_equal(status(f) & I8042_STATUS_OBF, 0);
    i8042_move_mouse(f->dev, 300, 0, 0, 0);
    ASSERT_MOUSE(f, 0x08, 255, 0, 0x08, 45, 0);
}

static void test_mouse_wheel_packets(void **state)
{
    Fixture *f = *state;

    open_both(f);
    set_rate(f, 200);
    set_rate(f, 100);
    set_rate(f, 80);
    to_mouse(f, 0xf4);
    ASSERT_MOUSE(f, 0xfa);
    i8042_move_mouse(f->dev, 0, 0, -1, 2);
    ASSERT_MOUSE(f, 0x0a, 0, 0, 0xff);
    set_rate(f, 200);
    set_rate(f, 200);
    set_rate(f, 80);
    i8042_move_mouse(f->dev, 0, 0, 1, 0x10);
    ASSERT_MOUSE(f, 0x08, 0, 0, 0x21);
}

static void test_mouse_remote_mode_is_asked(void **state)
{
    Fixture *f = *state;

    open_both(f);
    to_mouse(f, 0xf0);
    ASSERT_MOUSE(f, 0xfa);
    to_mouse(f, 0xf4);
    ASSERT_MOUSE(f, 0xfa);
    i8042_move_mouse(f->dev, 1, 2, 0, 4);
    assert_int_equal(status(f) & I8042_STATUS_OBF, 0);
    to_mouse(f, 0xeb);
    ASSERT_MOUSE(f, 0xfa, 0x0c, 1, 2);
}

static void test_mouse_motion_beyond_the_queue_adds_up(void **state)
{
    Fixture *f = *state;
    int x = 0, packets = 0;

    open_both(f);
    to_mouse(f, 0xf4);
    ASSERT_MOUSE(f, 0xfa);
    for (unsigned i = 0; i < 1000; i++) {
        i8042_move_mouse(f->dev, 3, 0, 0, 0);
    }
    while (status(f) & I8042_STATUS_OBF) {
        assert_int_equal(data_from(f, true), 0x08);
        x += data_from(f, true);
        data_from(f, true);
        packets++;
    }
    assert_int_equal(x, 3000);
    assert_true(packets < 100);
}

static void test_keyboard_has_precedence_over_the_mouse(void **state)
{
    Fixture *f = *state;

    open_both(f);
    to_mouse(f, 0xf4);
    i8042_send_keys(f->dev, (const uint8_t[]){ 0x1c }, 1);
    assert_int_equal(data_from(f, true), 0xfa); /* was in the buffer already */
    i8042_move_mouse(f->dev, 1, 0, 0, 0);
    assert_int_equal(data_from(f, false), 0x1c);
    assert_int_equal(data_from(f, true), 0x08);
}

static void test_two_controllers_know_nothing_of_each_other(void **state)
{
    Fixture *f = *state;
    void *second;

    setup(&second);
    command_with(f, I8042_CMD_WRITE_RAM + 1, 0x11);
    command(second, I8042_CMD_READ_RAM + 1);
    assert_int_equal(data_from(second, false), 0);
    assert_int_equal(status(f) & I8042_STATUS_OBF, 0);
    teardown(&second);
}

static void test_fuzz_survives(void **state)
{
    Fixture *f = *state;
    g_autoptr(GRand) rand = rig_rand("i8042");

    for (unsigned i = 0; i < 3000; i++) {
        rig_fuzz(&f->rig, rand, DATA, 5, 10);
        i8042_send_keys(f->dev, keys, g_rand_int_range(rand, 0, sizeof(keys)));
        i8042_move_mouse(f->dev, (int)g_rand_int(rand), (int)g_rand_int(rand),
                         (int)g_rand_int(rand), (uint8_t)g_rand_int(rand));
    }
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_reset_leaves_it_as_firmware_would),
        T(test_self_test_and_interface_tests),
        T(test_self_test_throws_away_what_was_waiting),
        T(test_ram_is_read_as_written),
        T(test_port_commands_show_in_the_command_byte),
        T(test_a_disabled_port_keeps_its_bytes),
        T(test_loop_commands_answer_as_the_device),
        T(test_no_active_multiplexing),
        T(test_output_port_and_a20),
        T(test_pulse_and_output_port_reset),
        T(test_keyboard_reset_and_identify),
        T(test_keyboard_identity_is_translated_too),
        T(test_keyboard_parameters),
        T(test_keyboard_off_sends_no_keys),
        T(test_keys_in_set_2),
        T(test_keys_translated_to_set_1),
        T(test_each_byte_makes_an_edge),
        T(test_keys_that_do_not_fit_are_refused_whole),
        T(test_mouse_reset_and_identify),
        T(test_mouse_knock_for_wheel_and_five_buttons),
        T(test_mouse_status_and_settings),
        T(test_mouse_wrap_echoes),
        T(test_mouse_packets),
        T(test_mouse_wheel_packets),
        T(test_mouse_remote_mode_is_asked),
        T(test_mouse_motion_beyond_the_queue_adds_up),
        T(test_keyboard_has_precedence_over_the_mouse),
        T(test_two_controllers_know_nothing_of_each_other),
        T(test_fuzz_survives),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
