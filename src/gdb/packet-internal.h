/* SPDX-License-Identifier: MIT */
/* The packets of gdb's remote serial protocol: found in a stream of bytes, and put into one. */
#ifndef TESSERA_GDB_PACKET_INTERNAL_H
#define TESSERA_GDB_PACKET_INTERNAL_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 *      $ payload # c1 c2      c1 c2: the sum of the payload's bytes, modulo 256, two hex digits
 *      +  -                   the last packet has arrived well; or not: send it again
 *      0x03                   stop the machine
 *
 * In a payload '}' stands before '}', '$', '#' (and '*' in answers), which follow with bit 5 turned
 * over. A '$' that stands for itself begins a new packet. Source: "Debugging with GDB", appendix E.
 */

/* Bytes of a payload at most, as they stand in the stream: what qSupported's PacketSize says. */
#define GDB_PACKET_MAX 0x4000

typedef enum GdbInput {
    GDB_INPUT_PACKET,
    GDB_INPUT_DAMAGED,  /* its sum is wrong, or none: to be sent again */
    GDB_INPUT_TOO_LONG, /* more than GDB_PACKET_MAX bytes; they are not kept */
    GDB_INPUT_ACK,
    GDB_INPUT_NAK,
    GDB_INPUT_INTERRUPT,
} GdbInput;

typedef struct GdbFramer GdbFramer;

/**
 * gdb_framer_new() - @input is called for each thing that is found
 *
 * @payload: only of GDB_INPUT_PACKET: escapes resolved, a zero byte behind its end; valid during
 * the call. @input must not feed or free the framer.
 */
GdbFramer *gdb_framer_new(void (*input)(void *opaque, GdbInput what, const char *payload,
                                        size_t len),
                          void *opaque);
void gdb_framer_free(GdbFramer *f); /* NULL is allowed */
void gdb_framer_feed(GdbFramer *f, const uint8_t *buf, size_t len);

/** gdb_frame() - @payload as it goes into the stream, escapes and sum included. Appends to @out */
void gdb_frame(const char *payload, size_t len, GByteArray *out);

/*
 * Pieces of payloads. All that take a `const char **at` move it behind what they took, and leave it
 * where it was when they return false.
 */

/** gdb_take_number() - 1 to 16 hexadecimal digits */
bool gdb_take_number(const char **at, uint64_t *ret_value);
/** gdb_take_char() - this one character */
bool gdb_take_char(const char **at, char c);
/** gdb_take_word() - these characters */
bool gdb_take_word(const char **at, const char *word);
/** gdb_take_bytes() - 2 * @n hexadecimal digits */
bool gdb_take_bytes(const char **at, uint8_t *bytes, size_t n);
/** gdb_put_bytes() - two digits each */
void gdb_put_bytes(GString *out, const void *bytes, size_t n);

#endif
