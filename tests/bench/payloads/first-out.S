/* SPDX-License-Identifier: MIT */
/* The smallest guest that shows it is alive: one OUT to the serial port, then it halts for ever. */
    .include "pvh.inc"
_start:
    say '!'
1:  cli
    hlt
    jmp 1b
