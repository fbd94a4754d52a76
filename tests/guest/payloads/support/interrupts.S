/* SPDX-License-Identifier: MIT */
/* 256 interrupt entries; the way to user mode and back. */
#include "payload-asm.h"

        .text
        .code64

/* Each entry is 16 bytes. Vectors with an error code have it pushed by the processor. */
        .balign 16
        .globl  interrupt_entries
interrupt_entries:
        .set    vector, 0
        .rept   256
        .balign 16
        .if     !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21)
        pushq   $0
        .endif
        pushq   $vector
        jmp     interrupt_common
        .set    vector, vector + 1
        .endr

        .balign 16
interrupt_common:
        pushq   %rax
        pushq   %rcx
        pushq   %rdx
        pushq   %rsi
        pushq   %rdi
        pushq   %r8
        pushq   %r9
        pushq   %r10
        pushq   %r11
        movq    %rsp, %rdi
        cld
        call    interrupt_c
        popq    %r11
        popq    %r10
        popq    %r9
        popq    %r8
        popq    %rdi
        popq    %rsi
        popq    %rdx
        popq    %rcx
        popq    %rax
        addq    $16, %rsp
        iretq

/*
 * void user_enter(fn, arg, user_stack_top, uint64_t *ret_kernel_stack)
 *
 * Calls fn(arg) at CPL 3. It comes back by ud2: the handler calls user_leave() with what
 * *ret_kernel_stack has.
 */
        .globl  user_enter
user_enter:
        pushq   %rbx
        pushq   %rbp
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
        movq    %rsp, (%rcx)
        pushq   $SEL_USER_DATA
        pushq   %rdx
        pushq   $2
        pushq   $SEL_USER_CODE
        pushq   $user_start
        iretq

user_start:
        movq    %rdi, %rax
        movq    %rsi, %rdi
        call    *%rax
        .globl  user_done
user_done:
        ud2

        .globl  user_leave
user_leave:
        movq    %rdi, %rsp
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %rbp
        popq    %rbx
        ret
