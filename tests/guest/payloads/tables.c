/* SPDX-License-Identifier: MIT */
/* Payload: builds page tables of its own, tries them, and says what each address maps to. */
#include "payload.h"
#include "tables.h"

/*
 * The first 512 GiB stay as they are, one to one. Its own part stands twice, in entries 1 and 511 of
 * level 4; there, from its base on:
 *
 *   0            pages of 4 KiB: entry i of the lowest table, to pages in the opposite order
 *   2 MiB        a page of 2 MiB, to LARGE
 *   4 MiB        nothing; 6 MiB: an entry with a reserved bit
 *   1 GiB        a page of 1 GiB, to 0; reserved where the processor has none
 *   2 GiB        nothing
 */
#define SHARED ((TablesShared *)TABLES_SHARED_BASE)
#define LARGE  0x600000ULL
#define MIB    0x100000ULL
#define GIB    0x40000000ULL
#define NX     (1ULL << 63)
#define EFER_NXE 0x800

#define BASE_LOW  (1ULL << 39)
#define BASE_HIGH (511ULL << 39 | 0xffffULL << 48)

#define WXU (TABLES_WRITABLE | TABLES_EXECUTABLE | TABLES_USER)

extern uint64_t page_map[512];

static uint64_t pointers[512] __attribute__((aligned(4096)));
static uint64_t directory[512] __attribute__((aligned(4096)));
static uint64_t table[512] __attribute__((aligned(4096)));
static uint64_t pages[8][512] __attribute__((aligned(4096)));

/* The pages of 4 KiB: flags of their entries beside P, and what those allow. */
static const struct {
    uint64_t flags;
    uint32_t rights;
    uint32_t touch;
} small[] = {
    { 0x006, WXU, 1 },
    { 0x004, TABLES_EXECUTABLE | TABLES_USER, 1 },
    { 0x002, TABLES_EXECUTABLE | TABLES_WRITABLE, 1 },
    { 0x006 | NX, TABLES_WRITABLE | TABLES_USER, 1 },
    { 0x10e, WXU, 1 }, /* global, write-through */
    { 0x006, WXU, 0 },
};
#define SMALL (sizeof(small) / sizeof(small[0]))

static void enable_no_execute(void)
{
    uint32_t low, high;

    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(MSR_EFER));
    __asm__ volatile("wrmsr" : : "a"(low | EFER_NXE), "d"(high), "c"(MSR_EFER));
}

static uint64_t load_tables(void)
{
    uint64_t cr3;

    __asm__ volatile("mov %%cr3, %0; mov %0, %%cr3" : "=r"(cr3) : : "memory");
    return cr3;
}

static uint32_t has_gib_pages(void)
{
    uint32_t a = 0x80000001, b, c, d;

    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d));
    return d >> 26 & 1;
}

static uint64_t small_gpa(unsigned i)
{
    return (uintptr_t)pages[7 - i];
}

static void build(void)
{
    for (unsigned i = 0; i < SMALL; i++) {
        table[i] = small_gpa(i) | small[i].flags | 1;
    }
    table[SMALL] = 0xa0000 | 7;         /* the VGA hole: a device */
    table[SMALL + 1] = 0xd0000000 | 7;  /* nothing */
    directory[0] = (uintptr_t)table | 7;
    directory[1] = LARGE | 0x87;
    directory[3] = LARGE | 0x87 | 0x4000; /* a bit of the address that must be zero */
    pointers[0] = (uintptr_t)directory | 7;
    pointers[1] = 0 | 0x85;
    page_map[1] = page_map[511] = (uintptr_t)pointers | 7;
}

static TablesEntry *add(uint64_t gva, uint32_t end)
{
    TablesEntry *e = &SHARED->entries[SHARED->count++];

    e->gva = gva;
    e->end = end;
    return e;
}

/* Memory: written where it lies one to one, read by its virtual address. */
static void add_memory(uint64_t gva, uint64_t gpa, uint64_t page_size, uint32_t rights,
                       uint32_t touch)
{
    TablesEntry *e = add(gva, TABLES_MEMORY);

    e->gpa = gpa;
    e->page_size = page_size;
    e->rights = rights;
    e->touched = touch;
    e->value = gva * 0x9e3779b97f4a7c15u ^ gpa;
    *(volatile uint64_t *)gpa = e->value;
    if (touch && *(volatile uint64_t *)gva != e->value) {
        SHARED->wrong++;
    }
}

static void add_elsewhere(uint64_t gva, uint64_t gpa, uint64_t page_size, uint32_t rights)
{
    TablesEntry *e = add(gva, TABLES_ELSEWHERE);

    e->gpa = gpa;
    e->page_size = page_size;
    e->rights = rights;
}

/* Each address has a place of its own in memory: the values stay. @n: which of the two bases. */
static void say(uint64_t base, unsigned n)
{
    for (unsigned i = 0; i < SMALL; i++) {
        add_memory(base + i * 4096 + 0x120 + 8 * n, small_gpa(i) + 0x120 + 8 * n, 4096,
                   small[i].rights, small[i].touch);
    }
    add_elsewhere(base + SMALL * 4096 + 5, 0xa0005, 4096, WXU);
    add_elsewhere(base + (SMALL + 1) * 4096, 0xd0000000, 4096, WXU);
    add(base + (SMALL + 2) * 4096, TABLES_NOT_PRESENT)->level = 1;
    add_memory(base + 2 * MIB + 0x12340 + 8 * n, LARGE + 0x12340 + 8 * n, 2 * MIB, WXU, 1);
    add(base + 4 * MIB, TABLES_NOT_PRESENT)->level = 2;
    add(base + 6 * MIB, TABLES_RESERVED)->level = 2;
    if (SHARED->gib_pages) {
        add_memory(base + GIB + 0x345670 + 8 * n, 0x345670 + 8 * n, GIB,
                   TABLES_EXECUTABLE | TABLES_USER, 1);
        add_elsewhere(base + GIB + 0x30000000, 0x30000000, GIB, TABLES_EXECUTABLE | TABLES_USER);
    } else {
        add(base + GIB, TABLES_RESERVED)->level = 3;
    }
    add(base + 2 * GIB, TABLES_NOT_PRESENT)->level = 3;
}

void payload_main(const struct hvm_start_info *info)
{
    SHARED->count = SHARED->wrong = 0; /* RAM lives on over a reset */
    SHARED->gib_pages = has_gib_pages();
    enable_no_execute();
    build();
    SHARED->cr3 = load_tables();
    say(BASE_LOW, 0);
    say(BASE_HIGH, 1);
    add(2ULL << 39, TABLES_NOT_PRESENT)->level = 4;
    SHARED->ready = 1;
    for (;;) {
        cpu_pause();
    }
}
