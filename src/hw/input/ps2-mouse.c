/* SPDX-License-Identifier: MIT */
/* The PS/2 mouse: plain, with a wheel (IntelliMouse), or with five buttons (Explorer). */
#include "ps2-internal.h"

#include <glib.h>

#define MOUSE_SCALING_1_1 0xe6
#define MOUSE_SCALING_2_1 0xe7
#define MOUSE_RESOLUTION  0xe8
#define MOUSE_STATUS      0xe9
#define MOUSE_STREAM      0xea
#define MOUSE_READ        0xeb
#define MOUSE_WRAP_RESET  0xec
#define MOUSE_WRAP_SET    0xee
#define MOUSE_REMOTE      0xf0
#define MOUSE_ID          0xf2
#define MOUSE_SAMPLE_RATE 0xf3
#define MOUSE_ENABLE      0xf4
#define MOUSE_DISABLE     0xf5
#define MOUSE_DEFAULTS    0xf6
#define MOUSE_RESET       0xff

#define ID_PLAIN    0
#define ID_WHEEL    3
#define ID_EXPLORER 4

#define PACKET_MAX 4
#define DELTA_MAX  255
#define MOTION_MAX 100000 /* what adds up while nobody asks */

static void set_defaults(Ps2Mouse *mouse)
{
    mouse->sample_rate = 100;
    mouse->resolution = 2;
    mouse->scaling21 = false;
    mouse->remote = false;
    mouse->enabled = false;
    mouse->dx = mouse->dy = mouse->dz = 0;
}

void ps2_mouse_reset(Ps2Mouse *mouse)
{
    *mouse = (Ps2Mouse){ .buttons = mouse->buttons };
    set_defaults(mouse);
}

/* Takes up to @limit of what has moved. */
static int take_delta(int *moved, int limit)
{
    int delta = CLAMP(*moved, -limit, limit);

    *moved -= delta;
    return delta;
}

static void queue_packet(Ps2Mouse *mouse)
{
    int dx = take_delta(&mouse->dx, DELTA_MAX), dy = take_delta(&mouse->dy, DELTA_MAX);
    uint8_t first = 0x08 | (mouse->buttons & 0x07) | (dx < 0 ? 0x10 : 0) | (dy < 0 ? 0x20 : 0);

    ps2_queue_push(&mouse->queue, first);
    ps2_queue_push(&mouse->queue, (uint8_t)dx);
    ps2_queue_push(&mouse->queue, (uint8_t)dy);
    if (mouse->id == ID_WHEEL) {
        ps2_queue_push(&mouse->queue, (uint8_t)take_delta(&mouse->dz, 127));
    } else if (mouse->id == ID_EXPLORER) {
        int dz = take_delta(&mouse->dz, 7);

        ps2_queue_push(&mouse->queue, (dz & 0x0f) | (mouse->buttons & 0x18) << 1);
    } else {
        mouse->dz = 0;
    }
}

static void queue_status(Ps2Mouse *mouse)
{
    uint8_t b = mouse->buttons; /* left, right, middle; the status has left, middle, right */

    ps2_queue_push(&mouse->queue, (mouse->remote ? 0x40 : 0) | (mouse->enabled ? 0x20 : 0) |
                                      (mouse->scaling21 ? 0x10 : 0) | (b & 1 ? 0x04 : 0) |
                                      (b & 4 ? 0x02 : 0) | (b & 2 ? 0x01 : 0));
    ps2_queue_push(&mouse->queue, mouse->resolution);
    ps2_queue_push(&mouse->queue, mouse->sample_rate);
}

/* 200, 100, 80 asks for a wheel, 200, 200, 80 for five buttons. */
static void knock(Ps2Mouse *mouse, uint8_t rate)
{
    uint8_t *r = mouse->rates;

    r[0] = r[1];
    r[1] = r[2];
    r[2] = rate;
    if (r[0] == 200 && r[1] == 100 && r[2] == 80) {
        mouse->id = ID_WHEEL;
    } else if (r[0] == 200 && r[1] == 200 && r[2] == 80) {
        mouse->id = ID_EXPLORER;
    }
}

static void take_parameter(Ps2Mouse *mouse, uint8_t byte)
{
    if (mouse->parameter_of == MOUSE_RESOLUTION) {
        mouse->resolution = byte & 0x03;
    } else {
        mouse->sample_rate = byte;
        knock(mouse, byte);
    }
    mouse->parameter_of = 0;
    ps2_queue_push(&mouse->queue, PS2_ACK);
}

static void take_command(Ps2Mouse *mouse, uint8_t byte)
{
    Ps2Queue *queue = &mouse->queue;
    uint8_t last = queue->last;

    ps2_queue_clear(queue);
    if (byte == PS2_RESEND) {
        ps2_queue_push(queue, last);
        return;
    }
    ps2_queue_push(queue, PS2_ACK);
    switch (byte) {
    case MOUSE_SCALING_1_1:
    case MOUSE_SCALING_2_1:
        mouse->scaling21 = byte == MOUSE_SCALING_2_1;
        break;
    case MOUSE_RESOLUTION:
    case MOUSE_SAMPLE_RATE:
        mouse->parameter_of = byte;
        break;
    case MOUSE_STATUS:
        queue_status(mouse);
        break;
    case MOUSE_STREAM:
    case MOUSE_REMOTE:
        mouse->remote = byte == MOUSE_REMOTE;
        break;
    case MOUSE_READ:
        queue_packet(mouse);
        break;
    case MOUSE_WRAP_RESET:
        break; /* it was not on */
    case MOUSE_WRAP_SET:
        mouse->wrap = true;
        break;
    case MOUSE_ID:
        ps2_queue_push(queue, mouse->id);
        break;
    case MOUSE_ENABLE:
    case MOUSE_DISABLE:
        mouse->enabled = byte == MOUSE_ENABLE;
        mouse->dx = mouse->dy = mouse->dz = 0;
        break;
    case MOUSE_DEFAULTS:
        set_defaults(mouse);
        break;
    case MOUSE_RESET:
        ps2_mouse_reset(mouse);
        ps2_queue_push(queue, PS2_ACK);
        ps2_queue_push(queue, PS2_BAT_OK);
        ps2_queue_push(queue, ID_PLAIN);
        break;
    default:
        ps2_queue_clear(queue);
        ps2_queue_push(queue, PS2_RESEND);
        break;
    }
}

void ps2_mouse_write(Ps2Mouse *mouse, uint8_t byte)
{
    if (mouse->wrap) {
        if (byte == MOUSE_WRAP_RESET || byte == MOUSE_RESET) {
            mouse->wrap = false;
            take_command(mouse, byte);
        } else {
            ps2_queue_push(&mouse->queue, byte);
        }
    } else if (mouse->parameter_of) {
        take_parameter(mouse, byte);
    } else {
        take_command(mouse, byte);
    }
}

static void add_motion(int *moved, int delta)
{
    *moved = CLAMP((int64_t)*moved + delta, -MOTION_MAX, MOTION_MAX);
}

void ps2_mouse_move(Ps2Mouse *mouse, int dx, int dy, int dz, uint8_t buttons)
{
    bool changed = mouse->buttons != (buttons & 0x1f);

    add_motion(&mouse->dx, dx);
    add_motion(&mouse->dy, dy);
    add_motion(&mouse->dz, dz);
    mouse->buttons = buttons & 0x1f;
    if (!mouse->enabled || mouse->remote || mouse->wrap) {
        return;
    }
    while ((changed || mouse->dx || mouse->dy || mouse->dz) &&
           ps2_queue_room(&mouse->queue) >= PACKET_MAX) {
        queue_packet(mouse);
        changed = false;
    }
}
