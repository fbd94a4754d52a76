/* SPDX-License-Identifier: MIT */
/* The packets of gdb's remote serial protocol. */
#include "packet-internal.h"

#include <string.h>

#define INTERRUPT 0x03
#define ESCAPE    '}'
#define FLIP      0x20

typedef enum FramerState {
    FRAMER_OUTSIDE,
    FRAMER_PAYLOAD,
    FRAMER_SUM_HIGH,
    FRAMER_SUM_LOW,
} FramerState;

struct GdbFramer {
    void (*input)(void *opaque, GdbInput what, const char *payload, size_t len);
    void *opaque;
    FramerState state;
    GString *payload;
    size_t raw; /* bytes of the payload in the stream */
    bool escaped;
    uint8_t sum;
    int sum_high; /* of what the other side says; -1: no digit */
};

GdbFramer *gdb_framer_new(void (*input)(void *opaque, GdbInput what, const char *payload,
                                        size_t len),
                          void *opaque)
{
    GdbFramer *f = g_new0(GdbFramer, 1);

    f->input = input;
    f->opaque = opaque;
    f->payload = g_string_new(NULL);
    return f;
}

void gdb_framer_free(GdbFramer *f)
{
    if (f) {
        g_string_free(f->payload, TRUE);
        g_free(f);
    }
}

static void begin(GdbFramer *f)
{
    g_string_truncate(f->payload, 0);
    f->state = FRAMER_PAYLOAD;
    f->raw = 0;
    f->escaped = false;
    f->sum = 0;
}

static void tell(GdbFramer *f, GdbInput what)
{
    f->input(f->opaque, what, NULL, 0);
}

static void take_outside(GdbFramer *f, uint8_t c)
{
    switch (c) {
    case '$':
        begin(f);
        break;
    case '+':
        tell(f, GDB_INPUT_ACK);
        break;
    case '-':
        tell(f, GDB_INPUT_NAK);
        break;
    case INTERRUPT:
        tell(f, GDB_INPUT_INTERRUPT);
        break;
    default: /* noise of the line, to be ignored */
        break;
    }
}

static void take_payload(GdbFramer *f, uint8_t c)
{
    if (c == '#') {
        f->state = FRAMER_SUM_HIGH;
        return;
    }
    if (c == '$') { /* the end of the one before was lost */
        begin(f);
        return;
    }
    f->sum += c;
    if (++f->raw > GDB_PACKET_MAX) {
        return;
    }
    if (!f->escaped && c == ESCAPE) {
        f->escaped = true;
        return;
    }
    g_string_append_c(f->payload, (char)(f->escaped ? c ^ FLIP : c));
    f->escaped = false;
}

static void end(GdbFramer *f, int sum_low)
{
    f->state = FRAMER_OUTSIDE;
    if (f->sum_high < 0 || sum_low < 0 || f->sum != (f->sum_high << 4 | sum_low) || f->escaped) {
        tell(f, GDB_INPUT_DAMAGED);
    } else if (f->raw > GDB_PACKET_MAX) {
        tell(f, GDB_INPUT_TOO_LONG);
    } else {
        f->input(f->opaque, GDB_INPUT_PACKET, f->payload->str, f->payload->len);
    }
}

void gdb_framer_feed(GdbFramer *f, const uint8_t *buf, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        switch (f->state) {
        case FRAMER_OUTSIDE:
            take_outside(f, buf[i]);
            break;
        case FRAMER_PAYLOAD:
            take_payload(f, buf[i]);
            break;
        case FRAMER_SUM_HIGH:
            f->sum_high = g_ascii_xdigit_value((char)buf[i]);
            f->state = FRAMER_SUM_LOW;
            break;
        case FRAMER_SUM_LOW:
            end(f, g_ascii_xdigit_value((char)buf[i]));
            break;
        }
    }
}

void gdb_frame(const char *payload, size_t len, GByteArray *out)
{
    g_autofree char *tail = NULL;
    uint8_t sum = 0;

    g_byte_array_append(out, (const guint8 *)"$", 1);
    for (size_t i = 0; i < len; i++) {
        guint8 bytes[2] = { ESCAPE, (guint8)payload[i] };

        if (memchr("#$*}", payload[i], 4)) {
            bytes[1] ^= FLIP;
            g_byte_array_append(out, bytes, 2);
            sum += bytes[0] + bytes[1];
        } else {
            g_byte_array_append(out, &bytes[1], 1);
            sum += bytes[1];
        }
    }
    tail = g_strdup_printf("#%02x", sum);
    g_byte_array_append(out, (const guint8 *)tail, 3);
}

bool gdb_take_number(const char **at, uint64_t *ret_value)
{
    const char *p = *at;
    uint64_t value = 0;

    for (; g_ascii_isxdigit(*p) && p - *at < 16; p++) {
        value = value << 4 | (uint64_t)g_ascii_xdigit_value(*p);
    }
    if (p == *at || g_ascii_isxdigit(*p)) {
        return false;
    }
    *at = p;
    *ret_value = value;
    return true;
}

bool gdb_take_char(const char **at, char c)
{
    if (**at != c) {
        return false;
    }
    ++*at;
    return true;
}

bool gdb_take_word(const char **at, const char *word)
{
    if (!g_str_has_prefix(*at, word)) {
        return false;
    }
    *at += strlen(word);
    return true;
}

bool gdb_take_bytes(const char **at, uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < 2 * n; i++) {
        if (!g_ascii_isxdigit((*at)[i])) { /* the zero byte behind the end is none */
            return false;
        }
    }
    for (size_t i = 0; i < n; i++) {
        bytes[i] = (uint8_t)(g_ascii_xdigit_value((*at)[2 * i]) << 4 |
                             g_ascii_xdigit_value((*at)[2 * i + 1]));
    }
    *at += 2 * n;
    return true;
}

void gdb_put_bytes(GString *out, const void *bytes, size_t n)
{
    const uint8_t *p = bytes;

    for (size_t i = 0; i < n; i++) {
        g_string_append_printf(out, "%02x", p[i]);
    }
}
