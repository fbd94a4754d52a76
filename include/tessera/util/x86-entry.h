/* SPDX-License-Identifier: MIT */
/* The registers with which the first vCPU of a directly booted x86 kernel starts. */
#ifndef TESSERA_UTIL_X86_ENTRY_H
#define TESSERA_UTIL_X86_ENTRY_H

#include <stdbool.h>
#include <stdint.h>

/*
 * A loader fills this, an accelerator applies it; neither needs to know the other. It is a plain
 * copy of what the processor has in its registers, the hidden parts of segments included, so that
 * an accelerator fills its own structures field by field and computes nothing.
 *
 * What is not named here has its value after a reset: the remaining general registers are 0, the
 * debug registers, FPU, MSRs (but EFER) and the local APIC are as the accelerator resets them.
 */

typedef enum X86EntryMode {
    X86_ENTRY_PROTECTED_32, /* CR0.PE, no paging, flat 4 GiB segments */
    X86_ENTRY_LONG_64,      /* long mode: CR0.PG, CR4.PAE, EFER.LMA, a 64-bit code segment */
} X86EntryMode;

/* CR0, CR4, EFER and RFLAGS bits that an entry state uses (Intel SDM volume 3, sections 2.2, 2.5).
 */
#define X86_ENTRY_CR0_PE   (1ULL << 0)
#define X86_ENTRY_CR0_ET   (1ULL << 4) /* reads as 1 on every processor */
#define X86_ENTRY_CR0_PG   (1ULL << 31)
#define X86_ENTRY_CR4_PAE  (1ULL << 5)
#define X86_ENTRY_EFER_LME (1ULL << 8)
#define X86_ENTRY_EFER_LMA (1ULL << 10)
#define X86_ENTRY_RFLAGS_1 (1ULL << 1) /* reads as 1; interrupts are off */

/**
 * struct X86Segment - a segment register with its hidden part
 * @base: linear address
 * @limit: last valid offset in bytes, already scaled (0xffffffff for a flat segment)
 * @selector: the visible part: the GDT at X86EntryState.gdt_base has a matching descriptor there
 * @type: 4 bits of type (SDM volume 3, section 3.4.5.1 and table 3-2)
 * @dpl: privilege level, 0..3
 * @s: code or data (a system segment when false)
 * @db: 32-bit operands by default; must be false where @l is set
 * @l: 64-bit code; @g: the descriptor counts its limit in 4 KiB; @avl: free for software
 * @present: usable; a segment that is not present is to be loaded as unusable
 */
typedef struct X86Segment {
    uint64_t base;
    uint32_t limit;
    uint16_t selector;
    uint8_t type;
    uint8_t dpl;
    bool s;
    bool db;
    bool l;
    bool g;
    bool avl;
    bool present;
} X86Segment;

/**
 * struct X86EntryState - the first vCPU's registers at its first instruction
 * @mode: what the fields below add up to, for messages and checks
 * @rip, @rsp, @rsi, @rbx, @rflags: general registers; all others are 0
 * @cr0, @cr3, @cr4, @efer: control registers, whole values (not bits to set)
 * @gdt_base, @gdt_limit: GDTR, limit in bytes minus 1; @idt_base, @idt_limit: IDTR (limit 0: none)
 * @cs: code; @ds: for DS, ES, FS, GS and SS; @tr: a busy TSS; @ldt: not present
 *
 * All guest-physical addresses in it lie in RAM that the loader has filled.
 */
typedef struct X86EntryState {
    X86EntryMode mode;
    uint64_t rip;
    uint64_t rsp;
    uint64_t rsi;
    uint64_t rbx;
    uint64_t rflags;
    uint64_t cr0;
    uint64_t cr3;
    uint64_t cr4;
    uint64_t efer;
    uint64_t gdt_base;
    uint64_t idt_base;
    uint16_t gdt_limit;
    uint16_t idt_limit;
    X86Segment cs;
    X86Segment ds;
    X86Segment tr;
    X86Segment ldt;
} X86EntryState;

#endif
