/* SPDX-License-Identifier: MIT */
/* Tests of gdb/packet.c: framing, and the pieces of payloads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "../../src/gdb/packet-internal.h"

/* What was found, as text: "+", "-", "^C", "<payload>", "!damaged", "!long". */
static void on_input(void *opaque, GdbInput what, const char *payload, size_t len)
{
    GString *seen = opaque;

    switch (what) {
    case GDB_INPUT_PACKET:
        assert_int_equal(payload[len], 0);
        g_string_append_c(seen, '<');
        g_string_append_len(seen, payload, (gssize)len);
        g_string_append_c(seen, '>');
        break;
    case GDB_INPUT_DAMAGED:
        g_string_append(seen, "!damaged");
        break;
    case GDB_INPUT_TOO_LONG:
        g_string_append(seen, "!long");
        break;
    case GDB_INPUT_ACK:
        g_string_append_c(seen, '+');
        break;
    case GDB_INPUT_NAK:
        g_string_append_c(seen, '-');
        break;
    case GDB_INPUT_INTERRUPT:
        g_string_append(seen, "^C");
        break;
    }
}

static void assert_found(const char *bytes, size_t len, const char *wanted)
{
    static const size_t steps[] = { 1, 2, 3, 100000 };

    for (size_t i = 0; i < G_N_ELEMENTS(steps); i++) { /* the same however it is split */
        g_autoptr(GString) seen = g_string_new(NULL);
        GdbFramer *f = gdb_framer_new(on_input, seen);

        for (size_t at = 0; at < len; at += steps[i]) {
            gdb_framer_feed(f, (const uint8_t *)bytes + at, MIN(steps[i], len - at));
        }
        assert_string_equal(seen->str, wanted);
        gdb_framer_free(f);
    }
}
#define FOUND(bytes, wanted) assert_found((bytes), sizeof(bytes) - 1, (wanted))

static void test_framer_finds_packets(void **state)
{
    FOUND("$OK#9a", "<OK>");
    FOUND("$#00", "<>");
    FOUND("+$g#67+$?#3f", "+<g>+<?>");
    FOUND("$OK#9A", "<OK>");
    FOUND("-\x03+", "-^C+");
    FOUND("junk\r\n$g#67", "<g>");
}

static void test_framer_finds_damage(void **state)
{
    FOUND("$OK#9b", "!damaged");
    FOUND("$OK#9b$OK#9a", "!damaged<OK>");
    FOUND("$OK#xy$g#67", "!damaged<g>");
    FOUND("$OK$g#67", "<g>"); /* the end of the first one was lost */
    FOUND("$a}#de", "!damaged"); /* nothing is escaped */
    FOUND("$OK", "");
}

static void test_framer_resolves_escapes(void **state)
{
    FOUND("$}\x03}\x04}]}\n#0a", "!damaged");
    FOUND("$}\x03}\x04}]}\n#62", "<#$}*>");
    FOUND("$\x03#03", "<\x03>"); /* inside a packet it is a byte like others */
}

static void test_framer_drops_what_is_too_long(void **state)
{
    g_autofree char *payload = g_strnfill(GDB_PACKET_MAX + 1, 'a');
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    g_autofree char *just = g_strdup_printf("<%.*s>", GDB_PACKET_MAX, payload);

    gdb_frame(payload, GDB_PACKET_MAX, bytes);
    assert_found((const char *)bytes->data, bytes->len, just);
    g_byte_array_set_size(bytes, 0);
    gdb_frame(payload, GDB_PACKET_MAX + 1, bytes);
    g_byte_array_append(bytes, (const guint8 *)"$g#67", 5);
    assert_found((const char *)bytes->data, bytes->len, "!long<g>");
}

static void test_frame_escapes_and_sums(void **state)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();

    gdb_frame("OK", 2, bytes);
    gdb_frame("", 0, bytes);
    gdb_frame("#$}*", 4, bytes);
    assert_int_equal(bytes->len, 6 + 4 + 12);
    assert_memory_equal(bytes->data, "$OK#9a$#00$}\x03}\x04}]}\n#62", bytes->len);
}

/* Whatever the bytes are, they come back. */
static void test_frame_and_framer_are_inverse(void **state)
{
    for (unsigned round = 0; round < 256; round++) {
        g_autoptr(GByteArray) bytes = g_byte_array_new();
        g_autoptr(GString) wanted = g_string_new("<");
        g_autoptr(GString) seen = g_string_new(NULL);
        GdbFramer *f = gdb_framer_new(on_input, seen);
        char payload[64];

        for (unsigned i = 0; i < sizeof(payload); i++) {
            payload[i] = (char)(round + i * (round | 1));
        }
        gdb_frame(payload, sizeof(payload), bytes);
        gdb_framer_feed(f, bytes->data, bytes->len);
        g_string_append_len(wanted, payload, sizeof(payload));
        g_string_append_c(wanted, '>');
        assert_true(g_string_equal(seen, wanted));
        gdb_framer_free(f);
    }
}

static void test_take_number(void **state)
{
    const char *at = "1aF,";
    uint64_t value = 5;

    assert_true(gdb_take_number(&at, &value));
    assert_int_equal(value, 0x1af);
    assert_string_equal(at, ",");
    assert_false(gdb_take_number(&at, &value));
    assert_string_equal(at, ",");
    assert_int_equal(value, 0x1af);
    at = "ffffffffffffffff";
    assert_true(gdb_take_number(&at, &value));
    assert_true(value == UINT64_MAX);
    at = "10000000000000000"; /* 17 digits */
    assert_false(gdb_take_number(&at, &value));
}

static void test_take_and_put_bytes(void **state)
{
    g_autoptr(GString) out = g_string_new("x");
    const char *at = "00ff7fA";
    uint8_t bytes[4] = { 0 };

    assert_false(gdb_take_bytes(&at, bytes, 4));
    assert_true(gdb_take_bytes(&at, bytes, 3));
    assert_string_equal(at, "A");
    assert_memory_equal(bytes, "\x00\xff\x7f", 4);
    gdb_put_bytes(out, bytes, 3);
    assert_string_equal(out->str, "x00ff7f");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_framer_finds_packets),
        cmocka_unit_test(test_framer_finds_damage),
        cmocka_unit_test(test_framer_resolves_escapes),
        cmocka_unit_test(test_framer_drops_what_is_too_long),
        cmocka_unit_test(test_frame_escapes_and_sums),
        cmocka_unit_test(test_frame_and_framer_are_inverse),
        cmocka_unit_test(test_take_number),
        cmocka_unit_test(test_take_and_put_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
