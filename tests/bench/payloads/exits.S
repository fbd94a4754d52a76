/* SPDX-License-Identifier: MIT */
/*
 * Exits in bulk. After each series of COUNT it says a letter on the serial port; the time between
 * two letters is the series' own. It goes round for ever: o (out), i (in), w (MMIO write), r (MMIO
 * read).
 *
 * The port is 0x80 (Tessera: the POST port, a device with a handler); the memory is in the 32-bit
 * PCI window, where nothing answers: the whole way through the dispatch.
 */
    .include "pvh.inc"
    .equ COUNT, 1000            /* bench-exits.c has the same number */
    .equ HOLE, 0xd0000000

_start:
    say 's'
again:
    movl $COUNT, %ecx
1:  outb %al, $0x80
    decl %ecx
    jnz 1b
    say 'o'

    movl $COUNT, %ecx
1:  inb $0x80, %al
    decl %ecx
    jnz 1b
    say 'i'

    movl $HOLE, %ebx
    movl $COUNT, %ecx
1:  movl %eax, (%ebx)
    decl %ecx
    jnz 1b
    say 'w'

    movl $COUNT, %ecx
1:  movl (%ebx), %eax
    decl %ecx
    jnz 1b
    say 'r'
    jmp again
