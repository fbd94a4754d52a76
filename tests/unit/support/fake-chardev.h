/* SPDX-License-Identifier: MIT */
/* A chardev whose other end is the test: what is written is kept, input comes by function call. */
#ifndef TESSERA_TESTS_FAKE_CHARDEV_H
#define TESSERA_TESTS_FAKE_CHARDEV_H

#include "tessera/chardev/chardev.h"

Chardev *fake_chardev_new(void);
/* Bytes that it takes before it refuses (at first all: SIZE_MAX); more than before: `writable`. */
void fake_chardev_set_room(Chardev *chr, size_t room);
void fake_chardev_make_room(Chardev *chr, size_t room); /* the same without telling */
/* What was written since the last call, as a string. */
const char *fake_chardev_output(Chardev *chr);
size_t fake_chardev_output_len(Chardev *chr); /* of the last fake_chardev_output() */
/* Offers input; bytes not taken wait for fake_chardev_run(). */
void fake_chardev_input(Chardev *chr, const void *buf, size_t len);
/* Delivers what the front end takes now, until it takes no more. Returns the bytes that wait. */
size_t fake_chardev_run(Chardev *chr);
void fake_chardev_event(Chardev *chr, ChardevEvent event);
unsigned fake_chardev_accepts(Chardev *chr); /* how often the front end asked for input */

#endif
