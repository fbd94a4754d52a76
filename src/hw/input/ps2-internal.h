/* SPDX-License-Identifier: MIT */
/* The two PS/2 devices behind the keyboard controller: bytes in, bytes out. */
#ifndef TESSERA_HW_INPUT_PS2_INTERNAL_H
#define TESSERA_HW_INPUT_PS2_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Commands and answers: Adam Chapweske, "The PS/2 Keyboard Interface" and "The PS/2 Mouse Interface"
 * (1999-2003), after the IBM Personal System/2 Hardware Interface Technical Reference. None of this has
 * a lock: the controller's guards it.
 */
#define PS2_ACK       0xfa
#define PS2_RESEND    0xfe
#define PS2_ECHO      0xee
#define PS2_BAT_OK    0xaa
#define PS2_QUEUE_MAX 64

/** struct Ps2Queue - bytes on their way to the controller */
typedef struct Ps2Queue {
    uint8_t data[PS2_QUEUE_MAX];
    unsigned head, used;
    uint8_t last; /* taken last: what "resend" wants */
} Ps2Queue;

void ps2_queue_clear(Ps2Queue *queue);
unsigned ps2_queue_room(const Ps2Queue *queue);
/** ps2_queue_push() - a byte that finds no room is dropped, as a device with a full buffer does */
void ps2_queue_push(Ps2Queue *queue, uint8_t byte);
/** ps2_queue_pop() - the queue must not be empty (asserted) */
uint8_t ps2_queue_pop(Ps2Queue *queue);

typedef struct Ps2Keyboard {
    Ps2Queue queue;
    uint8_t parameter_of; /* the command whose parameter comes next; 0: none */
    uint8_t scan_code_set;
    uint8_t leds;
    uint8_t typematic;
    bool enabled;
} Ps2Keyboard;

void ps2_keyboard_reset(Ps2Keyboard *kbd);
/** ps2_keyboard_write() - a byte from the controller; answers are queued */
void ps2_keyboard_write(Ps2Keyboard *kbd, uint8_t byte);
/** ps2_keyboard_send() - a key's scan codes, whole or not at all; false: no room, or scanning is off */
bool ps2_keyboard_send(Ps2Keyboard *kbd, const uint8_t *codes, size_t len);

typedef struct Ps2Mouse {
    Ps2Queue queue;
    uint8_t parameter_of;
    uint8_t id; /* 0: plain, 3: wheel, 4: wheel and five buttons */
    uint8_t sample_rate;
    uint8_t rates[3]; /* the last ones set, oldest first: a knock that changes @id */
    uint8_t resolution;
    bool scaling21;
    bool remote;
    bool wrap;
    bool enabled;
    uint8_t buttons;
    int dx, dy, dz; /* moved since the last packet */
} Ps2Mouse;

void ps2_mouse_reset(Ps2Mouse *mouse);
void ps2_mouse_write(Ps2Mouse *mouse, uint8_t byte);
/** ps2_mouse_move() - motion adds up while there is no room for a packet */
void ps2_mouse_move(Ps2Mouse *mouse, int dx, int dy, int dz, uint8_t buttons);

#endif
