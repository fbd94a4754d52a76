/* SPDX-License-Identifier: MIT */
/* From the PVH entry (or a start-up message) to long mode and C. */
#include "payload-asm.h"

/* --- The PVH note (Xen public/elfnote.h: XEN_ELFNOTE_PHYS32_ENTRY). */
        .section .note.pvh, "a", @note
        .balign 4
        .long   4, 4, 18
        .asciz  "Xen"
        .long   payload_start

/* --- Entry: 32-bit protected mode, paging off, %ebx = hvm_start_info. */
        .section .start, "ax"
        .code32
        .globl  payload_start
payload_start:
        cli
        cld
        lgdt    gdt_pointer
        call    enter_long_mode
        ljmp    $SEL_KERNEL_CODE, $start64

/* Tables are constants: nothing is filled in, which would take milliseconds on an interpreter. */
enter_long_mode:
        movl    $page_map, %eax
        movl    %eax, %cr3
        movl    $CR4_PAE_OSFXSR, %eax
        movl    %eax, %cr4
        movl    $MSR_EFER, %ecx
        rdmsr
        orl     $EFER_LME, %eax
        wrmsr
        movl    %cr0, %eax
        orl     $CR0_PG_PE, %eax
        movl    %eax, %cr0
        ret

/* --- Start-up message: real mode at AP_START_BASE, where start_processor() copies this to. */
        .section .start, "ax"
        .code16
        .globl  ap_start, ap_start_end
ap_start:
        cli
        cld
        movw    %cs, %ax
        movw    %ax, %ds
        lgdtl   ap_gdt_pointer - ap_start
        movl    %cr0, %eax
        orl     $1, %eax
        movl    %eax, %cr0
        ljmpl   $SEL_KERNEL_CODE32, $ap32
        .balign 8
ap_gdt_pointer:
        .word   gdt_end - gdt - 1
        .long   gdt
ap_start_end:

        .code32
ap32:
        movw    $SEL_KERNEL_DATA, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movl    ap_stack, %esp
        call    enter_long_mode
        ljmp    $SEL_KERNEL_CODE, $ap64

/* --- Long mode. */
        .code64
load_segments:
        movl    $SEL_KERNEL_DATA, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        xorl    %eax, %eax
        movl    %eax, %fs
        movl    %eax, %gs
        ret

start64:
        movl    $boot_stack_top, %esp
        call    load_segments
        movl    %ebx, %edi
        call    payload_start_c
1:      cli
        hlt
        jmp     1b

ap64:
        movl    ap_stack, %esp
        call    load_segments
        call    ap_start_c
        jmp     1b

/* --- Descriptor table. TSS descriptors, one for each processor, are filled in C. */
        .section .data
        .balign 16
        .globl  gdt
gdt:
        .quad   0
        .quad   0x00af9b000000ffff      /* SEL_KERNEL_CODE: 64-bit */
        .quad   0x00cf93000000ffff      /* SEL_KERNEL_DATA */
        .quad   0x00cff3000000ffff      /* SEL_USER_DATA */
        .quad   0x00affb000000ffff      /* SEL_USER_CODE: 64-bit */
        .quad   0x00cf9b000000ffff      /* SEL_KERNEL_CODE32 */
        .fill   2 * PROCESSORS_MAX, 8, 0
gdt_end:
gdt_pointer:
        .word   gdt_end - gdt - 1
        .quad   gdt

/* --- The first 4 GiB, one to one, 2 MiB pages, open to user mode; level 4 may get more. */
        .section .tables, "aw"
        .balign 4096
        .globl  page_map
page_map:
        .quad   page_pointers + PAGE_TABLE
        .fill   511, 8, 0
        .globl  page_pointers
page_pointers:
        .quad   page_directories + PAGE_TABLE
        .quad   page_directories + 0x1000 + PAGE_TABLE
        .quad   page_directories + 0x2000 + PAGE_TABLE
        .quad   page_directories + 0x3000 + PAGE_TABLE
        .fill   508, 8, 0
page_directories:
        .set    at, 0
        .rept   4 * 512
        .quad   at + PAGE_2M
        .set    at, at + 0x200000
        .endr

        .section .bss
        .balign 16
        .fill   0x2000
boot_stack_top:
