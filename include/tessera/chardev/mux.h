/* SPDX-License-Identifier: MIT */
/* ChardevMux: several front ends on one character device, and the Ctrl-A keys. */
#ifndef TESSERA_CHARDEV_MUX_H
#define TESSERA_CHARDEV_MUX_H

#include <glib.h>
#include "tessera/chardev/chardev.h"

/*
 *      serial port --- Chardev (port 0) \
 *                                        ChardevMux --- Chardev (stdio)
 *      monitor ------- Chardev (port 1) /
 *
 * Input goes to the port that has the focus, after Ctrl-A keys were taken out; output of all ports
 * goes out as it comes. Ctrl-A keys work while a guest takes no input, until PORT_QUEUE bytes wait
 * for it (chardev/mux.c); then reading stops: bytes are never dropped.
 *
 *      Ctrl-A h  this list          Ctrl-A b  send a break
 *      Ctrl-A x  quit               Ctrl-A t  time stamps on and off
 *      Ctrl-A c  next front end     Ctrl-A Ctrl-A  send one Ctrl-A
 */
typedef struct ChardevMux ChardevMux;

/**
 * chardev_mux_new() - takes @backend over, which must have no front end
 * @quit: Ctrl-A x was typed; main thread
 */
ChardevMux *chardev_mux_new(Chardev *backend, void (*quit)(void *opaque), void *opaque);

/** chardev_mux_free() - frees the ports and the back end; no thread may write to a port any more */
void chardev_mux_free(ChardevMux *mux);

/**
 * chardev_mux_add_port() - one more front end's end; the first one has the focus
 * @label: its name on the screen: "serial0", "monitor"
 *
 * The mux owns it: not for chardev_free(). All ports are added before the first byte flows.
 */
Chardev *chardev_mux_add_port(ChardevMux *mux, const char *label);

/** chardev_mux_set_focus() - input goes to the port of that number (asserted), which gets an event */
void chardev_mux_set_focus(ChardevMux *mux, unsigned port);

#endif
