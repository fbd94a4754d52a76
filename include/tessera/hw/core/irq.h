/* SPDX-License-Identifier: MIT */
/* IrqLine: an opaque interrupt wire from a device to whatever the board connects it to. */
#ifndef TESSERA_HW_CORE_IRQ_H
#define TESSERA_HW_CORE_IRQ_H

#include <stdbool.h>
#include <stddef.h>

/**
 * struct IrqLine - a wire, passed and kept by value; a zeroed one leads nowhere
 * @set: called with the new level; any thread, several at once; takes no lock that a device holds
 * @opaque, @n: the receiver's, and which of its inputs
 */
typedef struct IrqLine {
    void (*set)(void *opaque, unsigned n, bool level);
    void *opaque;
    unsigned n;
} IrqLine;

/** irq_set() - drives the wire. Repeating a level is allowed */
static inline void irq_set(IrqLine line, bool level)
{
    if (line.set) {
        line.set(line.opaque, line.n, level);
    }
}

/** irq_pulse() - up and down: one edge */
static inline void irq_pulse(IrqLine line)
{
    irq_set(line, true);
    irq_set(line, false);
}

#endif
