/* SPDX-License-Identifier: MIT */
/* A chardev whose other end is the test. */
#include "fake-chardev.h"

#include "../../../src/chardev/chardev-internal.h"

typedef struct FakeChardev {
    Chardev base;
    size_t room;
    GByteArray *output;
    GByteArray *shown;
    GByteArray *input;
    unsigned accepts;
} FakeChardev;

static size_t fake_write(Chardev *chr, const uint8_t *buf, size_t len)
{
    FakeChardev *f = (FakeChardev *)chr;
    size_t n = MIN(len, f->room);

    g_byte_array_append(f->output, buf, n);
    f->room -= f->room == SIZE_MAX ? 0 : n;
    return n;
}

static void fake_accept_input(Chardev *chr)
{
    ((FakeChardev *)chr)->accepts++;
}

static void fake_close(Chardev *chr)
{
    FakeChardev *f = (FakeChardev *)chr;

    g_byte_array_free(f->output, TRUE);
    g_byte_array_free(f->shown, TRUE);
    g_byte_array_free(f->input, TRUE);
}

static const ChardevClass fake_class = {
    .kind = "fake",
    .size = sizeof(FakeChardev),
    .write = fake_write,
    .accept_input = fake_accept_input,
    .close = fake_close,
};

Chardev *fake_chardev_new(void)
{
    FakeChardev *f = (FakeChardev *)chardev_alloc(&fake_class, "fake0", NULL);

    f->room = SIZE_MAX;
    f->output = g_byte_array_new();
    f->shown = g_byte_array_new();
    f->input = g_byte_array_new();
    f->base.open = true;
    return &f->base;
}

void fake_chardev_set_room(Chardev *chr, size_t room)
{
    FakeChardev *f = (FakeChardev *)chr;
    bool grows = room > f->room;

    f->room = room;
    if (grows) {
        chardev_writable(chr);
    }
}

void fake_chardev_make_room(Chardev *chr, size_t room)
{
    ((FakeChardev *)chr)->room = room;
}

const char *fake_chardev_output(Chardev *chr)
{
    FakeChardev *f = (FakeChardev *)chr;
    GByteArray *taken = f->output;

    f->output = f->shown;
    g_byte_array_set_size(f->output, 0);
    f->shown = taken;
    g_byte_array_append(taken, (const guint8 *)"", 1);
    return (const char *)taken->data;
}

size_t fake_chardev_output_len(Chardev *chr)
{
    return ((FakeChardev *)chr)->shown->len - 1;
}

void fake_chardev_input(Chardev *chr, const void *buf, size_t len)
{
    g_byte_array_append(((FakeChardev *)chr)->input, buf, len);
    fake_chardev_run(chr);
}

size_t fake_chardev_run(Chardev *chr)
{
    FakeChardev *f = (FakeChardev *)chr;
    size_t n;

    while (f->input->len && (n = MIN(chardev_can_receive(chr), f->input->len)) > 0) {
        chardev_receive(chr, f->input->data, n);
        g_byte_array_remove_range(f->input, 0, n);
    }
    return f->input->len;
}

void fake_chardev_event(Chardev *chr, ChardevEvent event)
{
    if (event == CHARDEV_BREAK) {
        chardev_event(chr, event);
    } else {
        chardev_set_open(chr, event == CHARDEV_OPENED);
    }
}

unsigned fake_chardev_accepts(Chardev *chr)
{
    return ((FakeChardev *)chr)->accepts;
}
