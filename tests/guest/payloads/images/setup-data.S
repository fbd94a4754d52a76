/* SPDX-License-Identifier: MIT */
/* A bzImage (boot protocol 2.12) that walks its setup_data list and says what is in it. */

/*
 * Linux Documentation/arch/x86/boot.rst. One setup sector behind the boot sector; the code
 * behind it is entered at 0x200 in 64-bit mode, %rsi = boot_params. It uses the loader's stack and
 * no absolute address. It says "setup-data TYPE LENGTH" for each entry, for a device tree (type 2)
 * "fdt-magic" and "fdt-size" as the blob has them, and ends with isa-debug-exit, the number of
 * entries as value.
 */
#define SETUP_DTB  2
#define LOAD_BASE  0x100000

        .section .image, "awx"
        .code64

        .org    0x1f1
        .byte   1                       /* setup_sects */
        .word   0                       /* root_flags */
        .long   (image_end - protected) / 16 /* syssize */
        .word   0, 0, 0
        .word   0xaa55                  /* boot_flag */
        .byte   0xeb, header_end - header /* jump: its operand ends the header */
header:
        .ascii  "HdrS"
        .word   0x20c                   /* version */
        .long   0
        .word   0, 0
        .byte   0                       /* type_of_loader */
        .byte   1                       /* loadflags: LOADED_HIGH */
        .word   0
        .long   LOAD_BASE               /* code32_start */
        .long   0, 0                    /* ramdisk */
        .long   0
        .word   0
        .byte   0, 0
        .long   0                       /* cmd_line_ptr */
        .long   0x7fffffff              /* initrd_addr_max */
        .long   0x200000                /* kernel_alignment */
        .byte   0                       /* relocatable_kernel */
        .byte   21                      /* min_alignment */
        .word   1                       /* xloadflags: 64-bit entry */
        .long   255                     /* cmdline_size */
        .long   0
        .quad   0
        .long   0, 0                    /* payload */
        .quad   0                       /* setup_data */
        .quad   LOAD_BASE               /* pref_address */
        .long   0x4000                  /* init_size */
        .long   0                       /* handover_offset */
header_end:

        .org    0x400
protected:                              /* the 32-bit entry is not used */
        hlt
        jmp     protected
        .org    0x600
entry64:
        movq    0x250(%rsi), %r12       /* boot_params.hdr.setup_data */
        xorl    %r13d, %r13d
next:
        testq   %r12, %r12
        jz      finish
        incl    %r13d
        leaq    text_setup(%rip), %rdi
        call    print
        movl    8(%r12), %eax           /* type */
        call    print_hex
        movb    $' ', %al
        call    put_char
        movl    12(%r12), %eax          /* length */
        call    print_line
        cmpl    $SETUP_DTB, 8(%r12)
        jne     1f
        leaq    text_magic(%rip), %rdi
        call    print
        movl    16(%r12), %eax
        bswapl  %eax
        call    print_line
        leaq    text_size(%rip), %rdi
        call    print
        movl    20(%r12), %eax
        bswapl  %eax
        call    print_line
1:      movq    (%r12), %r12
        jmp     next
finish:
        movl    %r13d, %eax
        movw    $0xf4, %dx
        outl    %eax, %dx
        jmp     finish

/* %rdi: text. Changes %rax, %rdx, %rdi. */
print:
        movb    (%rdi), %al
        testb   %al, %al
        jz      2f
        call    put_char
        incq    %rdi
        jmp     print
2:      ret

/* %al, once the transmitter has room. Changes %rdx, %ah. */
put_char:
        movb    %al, %ah
3:      movw    $0x3fd, %dx
        inb     %dx, %al
        testb   $0x20, %al
        jz      3b
        movb    %ah, %al
        movw    $0x3f8, %dx
        outb    %al, %dx
        ret

print_line:
        call    print_hex
        movb    $'\n', %al
        jmp     put_char

/* %eax as 8 digits. Changes %rax, %rbx, %rcx, %rdx. */
print_hex:
        movl    %eax, %ebx
        movl    $8, %ecx
4:      roll    $4, %ebx
        movl    %ebx, %eax
        andl    $15, %eax
        cmpb    $10, %al
        jb      5f
        addb    $'a' - '0' - 10, %al
5:      addb    $'0', %al
        call    put_char
        decl    %ecx
        jnz     4b
        ret

text_setup:
        .asciz  "setup-data "
text_magic:
        .asciz  "fdt-magic "
text_size:
        .asciz  "fdt-size "
        .balign 16
image_end:
