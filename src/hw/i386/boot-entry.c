/* SPDX-License-Identifier: MIT */
/* The first vCPU's registers, and the GDT and page tables they point to. */
#include <string.h>

#include "boot-internal.h"
#include "tessera/hw/i386/pc-map.h"

/* The Linux boot protocol fixes the two flat selectors; the TSS takes two slots in long mode. */
#define SELECTOR_CODE 0x10
#define SELECTOR_DATA 0x18
#define SELECTOR_TSS  0x20
#define GDT_SIZE      0x30

#define SEGMENT_TYPE_CODE     0xb /* execute and read, accessed */
#define SEGMENT_TYPE_DATA     0x3 /* read and write, accessed */
#define SEGMENT_TYPE_TSS_BUSY 0xb /* 32-bit, or 64-bit in long mode */

#define PAGE_PRESENT    (1ULL << 0)
#define PAGE_WRITABLE   (1ULL << 1)
#define PAGE_ACCESSED   (1ULL << 5)
#define PAGE_DIRTY      (1ULL << 6)
#define PAGE_LARGE      (1ULL << 7)
#define PAGE_LARGE_SIZE (2 * PC_MIB)
#define PAGE_ENTRIES    512
#define DIRECTORIES     4 /* 1 GiB each */

_Static_assert((2 + DIRECTORIES) * BOOT_PAGE_SIZE == PC_BOOT_PAGE_TABLE_SIZE,
               "the page tables fill what the map gives them");

static X86Segment flat_segment(uint16_t selector, uint8_t type, bool long_mode)
{
    return (X86Segment){
        .limit = 0xffffffff,
        .selector = selector,
        .type = type,
        .s = true,
        .db = !long_mode,
        .l = long_mode,
        .g = true,
        .present = true,
    };
}

static void common_state(X86EntryState *state, bool long_mode)
{
    *state = (X86EntryState){
        .rflags = X86_ENTRY_RFLAGS_1,
        .rsp = PC_BOOT_STACK_TOP,
        .cr0 = X86_ENTRY_CR0_PE | X86_ENTRY_CR0_ET,
        .gdt_base = PC_BOOT_GDT_BASE,
        .gdt_limit = GDT_SIZE - 1,
        .cs = flat_segment(SELECTOR_CODE, SEGMENT_TYPE_CODE, long_mode),
        .ds = flat_segment(SELECTOR_DATA, SEGMENT_TYPE_DATA, false),
        /* The PVH ABI asks for this base and limit; nobody reads the TSS at privilege level 0. */
        .tr = {.limit = 0x67,
               .selector = SELECTOR_TSS,
               .type = SEGMENT_TYPE_TSS_BUSY,
               .present = true},
    };
}

void boot_entry_long_64(X86EntryState *state, uint64_t rip, uint64_t rsi)
{
    common_state(state, true);
    state->mode = X86_ENTRY_LONG_64;
    state->rip = rip;
    state->rsi = rsi;
    state->cr0 |= X86_ENTRY_CR0_PG;
    state->cr3 = PC_BOOT_PAGE_TABLE_BASE;
    state->cr4 = X86_ENTRY_CR4_PAE;
    state->efer = X86_ENTRY_EFER_LME | X86_ENTRY_EFER_LMA;
}

void boot_entry_protected_32(X86EntryState *state, uint32_t rip, uint32_t rsi, uint32_t rbx)
{
    common_state(state, false);
    state->mode = X86_ENTRY_PROTECTED_32;
    state->rip = rip;
    state->rsi = rsi;
    state->rbx = rbx;
}

/* Intel SDM volume 3, figure 3-8. */
static uint64_t descriptor(const X86Segment *segment)
{
    uint64_t limit = segment->g ? segment->limit >> 12 : segment->limit;
    uint64_t base = segment->base;

    return (limit & 0xffff) | (base & 0xffffff) << 16 | (uint64_t)segment->type << 40 |
           (uint64_t)segment->s << 44 | (uint64_t)segment->dpl << 45 |
           (uint64_t)segment->present << 47 | (limit >> 16 & 0xf) << 48 |
           (uint64_t)segment->avl << 52 | (uint64_t)segment->l << 53 | (uint64_t)segment->db << 54 |
           (uint64_t)segment->g << 55 | (base >> 24 & 0xff) << 56;
}

static void put_le64(uint8_t *host, uint64_t value)
{
    value = GUINT64_TO_LE(value);
    memcpy(host, &value, sizeof(value));
}

void boot_entry_write_gdt(uint8_t *page, const X86EntryState *state)
{
    const X86Segment *segments[] = {&state->cs, &state->ds, &state->tr};

    for (size_t i = 0; i < G_N_ELEMENTS(segments); i++) {
        put_le64(page + (segments[i]->selector & ~7), descriptor(segments[i]));
    }
    if (state->mode == X86_ENTRY_LONG_64) {
        put_le64(page + (state->tr.selector & ~7) + 8, state->tr.base >> 32);
    }
}

void boot_entry_write_page_tables(uint8_t *host, uint64_t gpa)
{
    const uint64_t table = PAGE_PRESENT | PAGE_WRITABLE | PAGE_ACCESSED;
    uint8_t *pdpt = host + BOOT_PAGE_SIZE;
    uint8_t *directories = host + 2 * BOOT_PAGE_SIZE;

    memset(host, 0, PC_BOOT_PAGE_TABLE_SIZE);
    put_le64(host, (gpa + BOOT_PAGE_SIZE) | table);
    for (uint64_t i = 0; i < DIRECTORIES; i++) {
        put_le64(pdpt + i * 8, (gpa + (2 + i) * BOOT_PAGE_SIZE) | table);
    }
    for (uint64_t i = 0; i < DIRECTORIES * PAGE_ENTRIES; i++) {
        put_le64(directories + i * 8, (i * PAGE_LARGE_SIZE) | table | PAGE_LARGE | PAGE_DIRTY);
    }
}
