/* SPDX-License-Identifier: MIT */
/* The PS/2 keyboard, and the queue that both PS/2 devices use. */
#include "ps2-internal.h"

#include <glib.h>

#define KBD_SET_LEDS      0xed
#define KBD_SCAN_CODE_SET 0xf0
#define KBD_IDENTIFY      0xf2
#define KBD_TYPEMATIC     0xf3
#define KBD_ENABLE        0xf4
#define KBD_DISABLE       0xf5
#define KBD_DEFAULTS      0xf6
#define KBD_ALL_KEYS      0xf7 /* .. 0xfa: set 3's key types, for all keys */
#define KBD_ALL_KEYS_LAST 0xfa
#define KBD_KEY_TYPE      0xfb /* .. 0xfd: for the keys that follow */
#define KBD_KEY_TYPE_LAST 0xfd
#define KBD_RESET         0xff

#define TYPEMATIC_DEFAULT 0x2b /* 10.9 characters a second after 500 ms */

void ps2_queue_clear(Ps2Queue *queue)
{
    queue->head = queue->used = 0;
}

unsigned ps2_queue_room(const Ps2Queue *queue)
{
    return PS2_QUEUE_MAX - queue->used;
}

void ps2_queue_push(Ps2Queue *queue, uint8_t byte)
{
    if (queue->used < PS2_QUEUE_MAX) {
        queue->data[(queue->head + queue->used++) % PS2_QUEUE_MAX] = byte;
    }
}

uint8_t ps2_queue_pop(Ps2Queue *queue)
{
    g_assert(queue->used > 0);
    queue->last = queue->data[queue->head];
    queue->head = (queue->head + 1) % PS2_QUEUE_MAX;
    queue->used--;
    return queue->last;
}

static void set_defaults(Ps2Keyboard *kbd)
{
    kbd->scan_code_set = 2;
    kbd->typematic = TYPEMATIC_DEFAULT;
}

void ps2_keyboard_reset(Ps2Keyboard *kbd)
{
    ps2_queue_clear(&kbd->queue);
    kbd->queue.last = 0;
    kbd->parameter_of = 0;
    kbd->leds = 0;
    kbd->enabled = true;
    set_defaults(kbd);
}

static void take_parameter(Ps2Keyboard *kbd, uint8_t byte)
{
    uint8_t command = kbd->parameter_of;

    kbd->parameter_of = 0;
    ps2_queue_push(&kbd->queue, PS2_ACK);
    switch (command) {
    case KBD_SET_LEDS:
        kbd->leds = byte & 0x07;
        break;
    case KBD_TYPEMATIC:
        kbd->typematic = byte & 0x7f;
        break;
    case KBD_SCAN_CODE_SET:
        if (byte == 0) {
            ps2_queue_push(&kbd->queue, kbd->scan_code_set);
        } else if (byte <= 3) {
            kbd->scan_code_set = byte;
        }
        break;
    default: /* key types: all keys repeat and report their release */
        break;
    }
}

static void take_command(Ps2Keyboard *kbd, uint8_t byte)
{
    Ps2Queue *queue = &kbd->queue;
    uint8_t last = queue->last;

    ps2_queue_clear(queue); /* a command ends whatever the keyboard was about to say */
    if (byte == PS2_RESEND) {
        ps2_queue_push(queue, last);
        return;
    }
    if (byte == PS2_ECHO) {
        ps2_queue_push(queue, PS2_ECHO);
        return;
    }
    if (byte < KBD_SET_LEDS || byte == 0xef || byte == 0xf1) {
        ps2_queue_push(queue, PS2_RESEND);
        return;
    }
    ps2_queue_push(queue, PS2_ACK);
    switch (byte) {
    case KBD_SET_LEDS:
    case KBD_SCAN_CODE_SET:
    case KBD_TYPEMATIC:
    case KBD_KEY_TYPE ... KBD_KEY_TYPE_LAST:
        kbd->parameter_of = byte;
        break;
    case KBD_IDENTIFY:
        ps2_queue_push(queue, 0xab);
        ps2_queue_push(queue, 0x83);
        break;
    case KBD_ENABLE:
        kbd->enabled = true;
        break;
    case KBD_DISABLE:
        kbd->enabled = false;
        set_defaults(kbd);
        break;
    case KBD_DEFAULTS:
        set_defaults(kbd);
        break;
    case KBD_RESET:
        ps2_keyboard_reset(kbd);
        ps2_queue_push(queue, PS2_ACK);
        ps2_queue_push(queue, PS2_BAT_OK);
        break;
    default: /* KBD_ALL_KEYS .. KBD_ALL_KEYS_LAST */
        break;
    }
}

void ps2_keyboard_write(Ps2Keyboard *kbd, uint8_t byte)
{
    /* A byte that looks like a command is one, even where a parameter is due. */
    if (kbd->parameter_of && byte < KBD_SET_LEDS) {
        take_parameter(kbd, byte);
    } else {
        kbd->parameter_of = 0;
        take_command(kbd, byte);
    }
}

bool ps2_keyboard_send(Ps2Keyboard *kbd, const uint8_t *codes, size_t len)
{
    if (!kbd->enabled || len > ps2_queue_room(&kbd->queue)) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        ps2_queue_push(&kbd->queue, codes[i]);
    }
    return true;
}
