/* SPDX-License-Identifier: MIT */
/* Page walks: tables made by hand, and random ones against a slow reading of the manual. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <inttypes.h>
#include <string.h>
#include <cmocka.h>

#include "support/painter.h" /* TestRandom */
#include "tessera/util/x86-paging.h"

/*
 * Guest memory of the tests: PAGES pages from 0. Tables made by hand lie at
 *   1 PML5   2 PML4   3 PDPT   4 PD   5 PT   6 PD of 32-bit paging   7 its PT
 */
#define PAGE   UINT64_C(0x1000)
#define PAGES  16u
#define PML5   (1 * PAGE)
#define PML4   (2 * PAGE)
#define PDPT   (3 * PAGE)
#define PD     (4 * PAGE)
#define PT     (5 * PAGE)
#define PD32   (6 * PAGE)
#define PT32   (7 * PAGE)
#define TABLE  UINT64_C(0x67) /* present, writable, user, accessed, dirty */
#define NX     (UINT64_C(1) << 63)

typedef struct Memory {
    uint8_t bytes[PAGES * PAGE];
    unsigned reads;
} Memory;

static Memory memory;

static bool read_memory(void *opaque, uint64_t gpa, void *buf, unsigned len)
{
    Memory *m = opaque;

    m->reads++;
    if (gpa > sizeof(m->bytes) - len) {
        return false;
    }
    memcpy(buf, m->bytes + gpa, len);
    return true;
}

static int clear(void **state)
{
    memset(&memory, 0, sizeof(memory));
    return 0;
}

static void set64(uint64_t table, unsigned index, uint64_t value)
{
    memcpy(memory.bytes + table + 8 * index, &value, 8);
}

static void set32(uint64_t table, unsigned index, uint32_t value)
{
    memcpy(memory.bytes + table + 4 * index, &value, 4);
}

static const X86PagingState long_mode = {
    .cr0 = 0x80050033, .cr3 = PML4, .cr4 = 0xa0, .efer = 0xd01, .phys_bits = 40,
    .gib_pages = true,
};
static const X86PagingState la57 = {
    .cr0 = 0x80050033, .cr3 = PML5, .cr4 = 0x10a0, .efer = 0xd01, .phys_bits = 46,
    .gib_pages = true,
};
static const X86PagingState pae = {
    .cr0 = 0x80050033, .cr3 = PDPT + 0x20, .cr4 = 0xa0, .efer = 0x800, .phys_bits = 40,
};
static const X86PagingState legacy = {
    .cr0 = 0x80050033, .cr3 = PD32 + 0x18, .cr4 = 0x90, .phys_bits = 40,
};

static X86Walk walk(const X86PagingState *state, uint64_t gva)
{
    X86Walk w;

    x86_paging_walk(state, gva, read_memory, &memory, &w);
    return w;
}

static void assert_maps(const X86Walk *w, uint64_t gpa, uint64_t page_size)
{
    assert_int_equal(w->result, X86_WALK_MAPPED);
    assert_int_equal(w->gpa, gpa);
    assert_int_equal(w->page_size, page_size);
}

/*
 * 0x0000_7f80_4060_1000: PML4 255, PDPT 1, PD 3, PT 1, by index; the sizes replace the lower ones.
 */
#define GVA (UINT64_C(255) << 39 | UINT64_C(1) << 30 | UINT64_C(3) << 21 | UINT64_C(1) << 12)

static void make_4level(void)
{
    set64(PML4, 255, PDPT | TABLE);
    set64(PDPT, 1, PD | TABLE);
    set64(PDPT, 2, 0x7c0000000 | 0xe7);
    set64(PD, 3, PT | TABLE);
    set64(PD, 4, 0x12600000 | 0xe7);
    set64(PT, 1, 0xabcde000 | 0x67);
}

static void test_walk_4_level_pages_of_each_size(void **state)
{
    X86Walk w;

    make_4level();
    w = walk(&long_mode, GVA + 0x123);
    assert_maps(&w, 0xabcde123, 4096);
    assert_int_equal(w.count, 4);
    assert_int_equal(w.mode, X86_PAGING_4LEVEL);
    for (unsigned i = 0; i < 4; i++) {
        static const uint64_t places[] = { PML4 + 255 * 8, PDPT + 8, PD + 24, PT + 8 };
        static const uint64_t targets[] = { PDPT, PD, PT, 0xabcde000 };

        assert_int_equal(w.entries[i].level, 4 - i);
        assert_int_equal(w.entries[i].gpa, places[i]);
        assert_int_equal(w.entries[i].target, targets[i]);
        assert_int_equal(w.entries[i].leaf, i == 3);
    }
    assert_string_equal(x86_level_name(w.entries[0].level), "PML4E");
    w = walk(&long_mode, GVA + (1 << 21) - 0x1000 + 0x54321);
    assert_maps(&w, 0x12654321, 2 << 20);
    assert_int_equal(w.count, 3);
    w = walk(&long_mode, GVA + (1 << 30) - (3 << 21) - 0x1000 + 0x1234567);
    assert_maps(&w, 0x7c1234567, 1 << 30);
    assert_int_equal(w.count, 2);
    assert_int_equal(w.entries[1].flags, X86_ENTRY_PRESENT | X86_ENTRY_WRITABLE | X86_ENTRY_USER |
                                             X86_ENTRY_ACCESSED | X86_ENTRY_DIRTY |
                                             X86_ENTRY_LARGE);
}

static void test_walk_5_level(void **state)
{
    X86Walk w;

    make_4level();
    set64(PML5, 256, PML4 | TABLE);
    w = walk(&la57, GVA | UINT64_C(0xff) << 56);
    assert_maps(&w, 0xabcde000, 4096);
    assert_int_equal(w.count, 5);
    assert_int_equal(w.entries[0].gpa, PML5 + 256 * 8);
    assert_string_equal(x86_level_name(w.entries[0].level), "PML5E");
    assert_int_equal(walk(&la57, GVA).result, X86_WALK_NOT_PRESENT);
}

static void test_walk_pae(void **state)
{
    X86Walk w;

    set64(PDPT + 0x20, 3, PD | 1);
    set64(PD, 3, PT | TABLE);
    set64(PD, 4, 0x12600000 | 0xe7);
    set64(PT, 1, UINT64_C(0x91abcde000) | NX | 0x63);
    w = walk(&pae, 0xc0601fff);
    assert_maps(&w, 0x91abcdefff, 4096);
    assert_int_equal(w.mode, X86_PAGING_PAE);
    assert_int_equal(w.count, 3);
    assert_int_equal(w.entries[0].gpa, PDPT + 0x20 + 24); /* the root is aligned to 32 bytes only */
    assert_true(w.writable && !w.user && !w.executable); /* the PDPTE has no say */
    w = walk(&pae, 0xc0812345);
    assert_maps(&w, 0x12612345, 2 << 20);
    assert_true(w.writable && w.user && w.executable);
}

static void test_walk_32_bit(void **state)
{
    X86PagingState no_pse = legacy;
    X86Walk w;

    set32(PD32, 0x200, PT32 | 0x67);
    set32(PD32, 0x201, 0x12400000 | 0xe7);
    set32(PD32, 0x202, 0x12400000 | 0x5 << 13 | 0xe7); /* PSE-36: bits 39:32 are 5 */
    set32(PT32, 3, 0x7654e000 | 0x25);
    w = walk(&legacy, 0x80003abc);
    assert_maps(&w, 0x7654eabc, 4096);
    assert_int_equal(w.mode, X86_PAGING_32BIT);
    assert_int_equal(w.entries[0].gpa, PD32 + 0x800); /* CR3's PWT and PCD are no address */
    assert_true(!w.writable && w.user && w.executable);
    w = walk(&legacy, 0x80412345);
    assert_maps(&w, 0x12412345, 4 << 20);
    w = walk(&legacy, 0x80812345);
    assert_maps(&w, 0x512412345, 4 << 20);
    no_pse.cr4 = 0;
    memcpy(memory.bytes + 8 * PAGE, memory.bytes + PT32, PAGE);
    set32(PD32, 0x201, 8 * PAGE | 0xe7); /* PS is ignored: a table */
    w = walk(&no_pse, 0x80403123);
    assert_maps(&w, 0x7654e123, 4096);
    assert_false(w.entries[0].flags & X86_ENTRY_LARGE);
}

static void test_walk_paging_off(void **state)
{
    X86PagingState off = { .cr0 = 0x11, .phys_bits = 40 };
    X86Walk w = walk(&off, 0xffffffff);

    assert_maps(&w, 0xffffffff, 0);
    assert_int_equal(w.count, 0);
    assert_true(w.writable && w.user && w.executable);
    assert_int_equal(walk(&off, UINT64_C(1) << 32).result, X86_WALK_TOO_WIDE);
    assert_int_equal(walk(&pae, UINT64_C(1) << 32).result, X86_WALK_TOO_WIDE);
    assert_int_equal(walk(&legacy, UINT64_MAX).result, X86_WALK_TOO_WIDE);
    assert_int_equal(memory.reads, 0);
}

static void test_walk_addresses_that_are_not_canonical(void **state)
{
    static const struct {
        uint64_t gva;
        bool canonical4, canonical5;
    } cases[] = {
        { 0, true, true },
        { 0x00007fffffffffff, true, true },
        { 0x0000800000000000, false, true },
        { 0x00ffffffffffffff, false, true },
        { 0x0100000000000000, false, false },
        { 0x8000000000000000, false, false },
        { 0xfeffffffffffffff, false, false },
        { 0xff00000000000000, false, true },
        { 0xffff7fffffffffff, false, true },
        { 0xffff800000000000, true, true },
        { UINT64_MAX, true, true },
    };

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(walk(&long_mode, cases[i].gva).result,
                         cases[i].canonical4 ? X86_WALK_NOT_PRESENT : X86_WALK_NOT_CANONICAL);
        assert_int_equal(walk(&la57, cases[i].gva).result,
                         cases[i].canonical5 ? X86_WALK_NOT_PRESENT : X86_WALK_NOT_CANONICAL);
    }
}

static void test_walk_ends_at_entries_that_are_not_present(void **state)
{
    static const struct {
        uint64_t table;
        unsigned index;
    } way[] = { { PML4, 255 }, { PDPT, 1 }, { PD, 3 }, { PT, 1 } };

    for (unsigned i = 0; i < 4; i++) {
        X86Walk w;

        clear(NULL);
        make_4level();
        set64(way[i].table, way[i].index, ~UINT64_C(1)); /* all else is the guest's own */
        w = walk(&long_mode, GVA);
        assert_int_equal(w.result, X86_WALK_NOT_PRESENT);
        assert_int_equal(w.count, i + 1);
        assert_int_equal(w.entries[i].value, ~UINT64_C(1));
        assert_int_equal(w.entries[i].reserved, 0);
        assert_int_equal(w.entries[i].target, 0);
        assert_false(w.writable || w.user || w.executable);
        assert_int_equal(w.gpa, 0);
    }
}

static void test_walk_tables_outside_of_memory(void **state)
{
    X86Walk w;

    make_4level();
    set64(PD, 3, UINT64_C(0x5500000000) | TABLE);
    w = walk(&long_mode, GVA);
    assert_int_equal(w.result, X86_WALK_UNREADABLE);
    assert_int_equal(w.count, 4);
    assert_int_equal(w.entries[3].gpa, UINT64_C(0x5500000008));
    assert_int_equal(w.entries[3].value, 0);
}

/* A table that is its own lower ones, as systems map their tables into themselves. */
static void test_walk_table_that_refers_to_itself(void **state)
{
    X86Walk w;

    set64(PML4, 511, PML4 | TABLE);
    w = walk(&long_mode, UINT64_MAX - 0xfff);
    assert_maps(&w, PML4, 4096);
    assert_int_equal(memory.reads, 4);
}

static void check_reserved(const X86PagingState *s, uint64_t gva, uint64_t table, unsigned index,
                           uint64_t value, uint64_t reserved)
{
    X86Walk w;

    set64(table, index, value);
    w = walk(s, gva);
    if (reserved) {
        assert_int_equal(w.result, X86_WALK_RESERVED);
        assert_int_equal(w.entries[w.count - 1].reserved, reserved);
    } else {
        assert_int_not_equal(w.result, X86_WALK_RESERVED);
    }
}

static void test_walk_reserved_bits(void **state)
{
    X86PagingState no_nx = long_mode, no_gib = long_mode;
    uint64_t above = UINT64_C(0x1ff) << 52; /* bits 60:52 */

    no_nx.efer = 0x500;
    no_gib.gib_pages = false;
    make_4level();
    check_reserved(&long_mode, GVA, PT, 1, PAGE | TABLE | above | NX, 0);
    check_reserved(&no_nx, GVA, PT, 1, PAGE | TABLE | above | NX, NX);
    check_reserved(&long_mode, GVA, PT, 1, PAGE | TABLE | UINT64_C(1) << 40, UINT64_C(1) << 40);
    check_reserved(&long_mode, GVA, PT, 1, PAGE | TABLE | UINT64_C(1) << 51, UINT64_C(1) << 51);
    check_reserved(&long_mode, GVA, PT, 1, PAGE | TABLE | UINT64_C(1) << 39, 0);
    check_reserved(&long_mode, GVA, PT, 1, PAGE | TABLE | 0x80, 0); /* PAT */
    check_reserved(&long_mode, GVA, PD, 3, 0x200000 | 0xe7 | 0x1000, 0); /* PAT of a large page */
    check_reserved(&long_mode, GVA, PD, 3, 0x200000 | 0xe7 | 0x2000, 0x2000);
    check_reserved(&long_mode, GVA, PD, 3, 0x200000 | 0xe7 | 0x100000, 0x100000);
    check_reserved(&long_mode, GVA, PDPT, 1, 0x40000000 | 0xe7 | 0x20002000, 0x20002000);
    check_reserved(&no_gib, GVA, PDPT, 1, 0x40000000 | 0xe7, 0x80);
    make_4level();
    check_reserved(&long_mode, GVA, PML4, 255, PDPT | TABLE | 0x80, 0x80);
    check_reserved(&long_mode, GVA, PML4, 255, PDPT | TABLE | 0x100, 0);
    clear(NULL);
    set64(PDPT + 0x20, 0, PD | 1);
    check_reserved(&pae, 0, PD, 0, PT | TABLE | UINT64_C(1) << 52, UINT64_C(1) << 52);
    check_reserved(&pae, 0, PD, 0, PT | TABLE | UINT64_C(1) << 62, UINT64_C(1) << 62);
    check_reserved(&pae, 0, PD, 0, PT | TABLE | NX, 0);
    check_reserved(&pae, 0, PDPT + 0x20, 0, PD | 0xfff, 0x1e6);
    check_reserved(&pae, 0, PDPT + 0x20, 0, PD | 0xe19, 0);
    check_reserved(&pae, 0, PDPT + 0x20, 0, PD | 1 | NX, NX);
}

static void test_walk_rights_are_those_of_all_levels(void **state)
{
    static const uint64_t tables[] = { PML4, PDPT, PD, PT };
    static const unsigned indexes[] = { 255, 1, 3, 1 };

    for (unsigned i = 0; i < 4; i++) {
        uint64_t at = i < 3 ? tables[i + 1] : 0;
        X86Walk w;

        clear(NULL);
        make_4level();
        set64(tables[i], indexes[i], at | (TABLE & ~UINT64_C(2)));
        w = walk(&long_mode, GVA);
        assert_true(!w.writable && w.user && w.executable);
        set64(tables[i], indexes[i], at | (TABLE & ~UINT64_C(4)));
        w = walk(&long_mode, GVA);
        assert_true(w.writable && !w.user && w.executable);
        set64(tables[i], indexes[i], at | TABLE | NX);
        w = walk(&long_mode, GVA);
        assert_true(w.writable && w.user && !w.executable);
    }
}

static void test_walk_flags_of_a_leaf(void **state)
{
    X86PagingState keys = long_mode, no_global = long_mode;
    X86Walk w;

    keys.cr4 |= X86_PAGING_CR4_PKE;
    no_global.cr4 &= ~X86_PAGING_CR4_PGE;
    make_4level();
    set64(PT, 1, PAGE | 0x1f9 | UINT64_C(0xa) << 59);
    w = walk(&long_mode, GVA);
    assert_int_equal(w.entries[3].flags, X86_ENTRY_PRESENT | X86_ENTRY_WRITE_THROUGH |
                                             X86_ENTRY_NO_CACHE | X86_ENTRY_ACCESSED |
                                             X86_ENTRY_DIRTY | X86_ENTRY_PAT | X86_ENTRY_GLOBAL);
    assert_int_equal(w.entries[3].protection_key, -1);
    assert_int_equal(walk(&keys, GVA).entries[3].protection_key, 0xa);
    assert_int_equal(walk(&keys, GVA).entries[2].protection_key, -1);
    assert_false(walk(&no_global, GVA).entries[3].flags & X86_ENTRY_GLOBAL);
    assert_string_equal(x86_entry_flag_name(0), "present");
    assert_string_equal(x86_entry_flag_name(X86_ENTRY_FLAGS - 1), "no-execute");
}

/* --- The slow way: what each single bit is, as the rows of the manual's tables say. --- */

enum BitKind { FLAG, ADDRESS, HIGH_ADDRESS, RESERVED, IGNORED };

static enum BitKind bit_of_32bit(unsigned m, bool large, unsigned bit)
{
    if (bit < 12 || (large && bit == 12)) {
        return FLAG;
    }
    if (!large || bit >= 22) {
        return ADDRESS;
    }
    return bit - 13 + 32 < (m < 40 ? m : 40) ? HIGH_ADDRESS : RESERVED;
}

static enum BitKind bit_of_64bit(const X86PagingState *s, bool is_pae, unsigned level, bool large,
                                 unsigned bit)
{
    bool pdpte_of_pae = is_pae && level == 3;

    if (bit == 63) {
        return !pdpte_of_pae && (s->efer >> 11 & 1) ? FLAG : RESERVED;
    }
    if (bit >= s->phys_bits) {
        return is_pae || bit <= 51 ? RESERVED : IGNORED;
    }
    if (pdpte_of_pae && (bit == 1 || bit == 2 || (bit >= 5 && bit <= 8))) {
        return RESERVED;
    }
    if (bit == 7 && (level >= 4 || (level == 3 && !is_pae && !s->gib_pages))) {
        return RESERVED;
    }
    if (bit < 12 || (large && bit == 12)) {
        return FLAG;
    }
    return large && bit < (level == 3 ? 30u : 21u) ? RESERVED : ADDRESS;
}

typedef struct Slow {
    X86WalkResult result;
    uint64_t gpa;
    uint64_t page_size;
    unsigned count;
    uint64_t reserved;
    bool writable, user, executable;
} Slow;

typedef struct SlowLevel {
    unsigned level, high, low; /* bits of the linear address that are the index */
} SlowLevel;

static const SlowLevel slow_levels[][6] = {
    [X86_PAGING_32BIT] = { { 2, 31, 22 }, { 1, 21, 12 } },
    [X86_PAGING_PAE] = { { 3, 31, 30 }, { 2, 29, 21 }, { 1, 20, 12 } },
    [X86_PAGING_4LEVEL] = { { 4, 47, 39 }, { 3, 38, 30 }, { 2, 29, 21 }, { 1, 20, 12 } },
    [X86_PAGING_5LEVEL] = { { 5, 56, 48 }, { 4, 47, 39 }, { 3, 38, 30 }, { 2, 29, 21 },
                            { 1, 20, 12 } },
};

static uint64_t field(uint64_t value, unsigned high, unsigned low)
{
    uint64_t result = 0;

    for (unsigned bit = low; bit <= high; bit++) {
        result += (value >> bit & 1) << (bit - low);
    }
    return result;
}

static bool slow_canonical(X86PagingMode mode, uint64_t gva)
{
    unsigned top = mode == X86_PAGING_5LEVEL ? 56 : 47;

    for (unsigned bit = top; bit < 64; bit++) {
        if ((gva >> bit & 1) != (gva >> top & 1)) {
            return false;
        }
    }
    return true;
}

/* Takes one entry apart. Returns: where it leads. */
static uint64_t slow_entry(const X86PagingState *s, X86PagingMode mode, unsigned level, bool large,
                           uint64_t value, uint64_t *ret_reserved)
{
    uint64_t target = 0;

    for (unsigned bit = 0; bit < (mode == X86_PAGING_32BIT ? 32 : 64); bit++) {
        enum BitKind kind = mode == X86_PAGING_32BIT
                                ? bit_of_32bit(s->phys_bits, large, bit)
                                : bit_of_64bit(s, mode == X86_PAGING_PAE, level, large, bit);

        if (!(value >> bit & 1)) {
            continue;
        }
        *ret_reserved += kind == RESERVED ? UINT64_C(1) << bit : 0;
        target += kind == ADDRESS ? UINT64_C(1) << bit : 0;
        target += kind == HIGH_ADDRESS ? UINT64_C(1) << (bit - 13 + 32) : 0;
    }
    return target;
}

static bool slow_can_be_large(const X86PagingState *s, X86PagingMode mode, unsigned level)
{
    if (mode == X86_PAGING_32BIT) {
        return level == 2 && (s->cr4 & 0x10);
    }
    return level == 2 || (level == 3 && mode != X86_PAGING_PAE && s->gib_pages);
}

static Slow slow_walk(const X86PagingState *s, X86PagingMode mode, uint64_t gva)
{
    Slow w = { .writable = true, .user = true, .executable = true };
    unsigned bytes = mode == X86_PAGING_32BIT ? 4 : 8;
    uint64_t at = mode == X86_PAGING_32BIT ? field(s->cr3, 31, 12) << 12
                  : mode == X86_PAGING_PAE ? field(s->cr3, 31, 5) << 5
                                           : field(s->cr3, s->phys_bits - 1, 12) << 12;

    if (mode >= X86_PAGING_4LEVEL && !slow_canonical(mode, gva)) {
        w.result = X86_WALK_NOT_CANONICAL;
        return w;
    }
    for (const SlowLevel *l = slow_levels[mode];; l++) {
        uint64_t value = 0;
        bool large;

        at += field(gva, l->high, l->low) * bytes;
        w.count++;
        if (!read_memory(&memory, at, &value, bytes)) {
            w.result = X86_WALK_UNREADABLE;
            return w;
        }
        if (!(value & 1)) {
            w.result = X86_WALK_NOT_PRESENT;
            return w;
        }
        large = (value >> 7 & 1) && slow_can_be_large(s, mode, l->level);
        at = slow_entry(s, mode, l->level, large, value, &w.reserved);
        if (w.reserved) {
            w.result = X86_WALK_RESERVED;
            return w;
        }
        if (!(mode == X86_PAGING_PAE && l->level == 3)) {
            w.writable = w.writable && (value & 2);
            w.user = w.user && (value & 4);
            w.executable = w.executable && !(value >> 63);
        }
        if (large || l->level == 1) {
            w.page_size = UINT64_C(1) << l->low;
            w.gpa = at + field(gva, l->low - 1, 0);
            return w;
        }
    }
}

/* An entry that mostly leads on: present, a table within the memory, seldom a stray bit. */
static uint64_t random_entry(TestRandom *r)
{
    uint64_t value = (uint64_t)test_random_below(r, PAGES) * PAGE;

    value |= test_random_u64(r) & 0xf7e; /* all flags but P and PS */
    value |= test_random_below(r, 16) ? 1 : 0;
    value |= test_random_below(r, 4) ? 0 : 0x80;
    value |= test_random_below(r, 4) ? 0 : (uint64_t)test_random_below(r, 2) << 63;
    if (test_random_below(r, 4) == 0) { /* a page of its own, clear of reserved low bits */
        value = (value & ~UINT64_C(0x3fffe000)) | test_random_u64(r) % 64 << 30;
    }
    if (test_random_below(r, 12) == 0) {
        value ^= UINT64_C(1) << test_random_below(r, 64);
    }
    return test_random_below(r, 5) ? value & ~UINT64_C(0x1e6) : value; /* PAE's PDPTEs */
}

static uint64_t random_gva(TestRandom *r, X86PagingMode mode)
{
    unsigned width = mode == X86_PAGING_5LEVEL ? 57 : mode == X86_PAGING_4LEVEL ? 48 : 32;
    uint64_t gva = test_random_u64(r);

    if (width == 32) {
        return (uint32_t)gva;
    }
    return test_random_below(r, 16) ? (uint64_t)((int64_t)(gva << (64 - width)) >> (64 - width))
                                    : gva;
}

static X86PagingState random_state(TestRandom *r, X86PagingMode mode)
{
    static const unsigned widths[] = { 32, 36, 39, 40, 46, 52 };
    uint64_t pke = test_random_below(r, 2) ? X86_PAGING_CR4_PKE : 0;

    return (X86PagingState){
        .cr0 = X86_PAGING_CR0_PG | 1,
        .cr3 = (uint64_t)test_random_below(r, PAGES) * PAGE | test_random_below(r, 0x1000),
        .cr4 = (mode != X86_PAGING_32BIT ? X86_PAGING_CR4_PAE : 0) |
               (mode == X86_PAGING_5LEVEL ? X86_PAGING_CR4_LA57 : 0) |
               (test_random_below(r, 4) ? X86_PAGING_CR4_PSE : 0) | pke,
        .efer = (mode >= X86_PAGING_4LEVEL ? X86_PAGING_EFER_LME : 0) |
                (test_random_below(r, 2) ? X86_PAGING_EFER_NXE : 0),
        .phys_bits = widths[test_random_below(r, 6)],
        .gib_pages = test_random_below(r, 4) != 0,
    };
}

static void compare(const X86PagingState *s, X86PagingMode mode, uint64_t gva)
{
    X86Walk w = walk(s, gva);
    Slow slow = slow_walk(s, mode, gva);
    bool mapped = slow.result == X86_WALK_MAPPED;

    if (w.mode != mode || w.result != slow.result || w.count != slow.count ||
        (mapped && (w.gpa != slow.gpa || w.page_size != slow.page_size ||
                    w.writable != slow.writable || w.user != slow.user ||
                    w.executable != slow.executable)) ||
        (slow.result == X86_WALK_RESERVED && w.entries[w.count - 1].reserved != slow.reserved)) {
        fail_msg("%s, gva 0x%" PRIx64 ": %d after %u at 0x%" PRIx64 ", not %d after %u at 0x%"
                 PRIx64, x86_paging_mode_name(mode), gva, w.result, w.count, w.gpa, slow.result,
                 slow.count, slow.gpa);
    }
}

static void test_walk_random_tables(void **state)
{
    TestRandom r = test_random_new("random page tables", 20261122);
    unsigned results[X86_WALK_UNREADABLE + 1] = { 0 };

    for (unsigned round = 0; round < 200; round++) {
        for (unsigned i = 0; i < sizeof(memory.bytes); i += 8) {
            uint64_t value = random_entry(&r);

            memcpy(memory.bytes + i, &value, 8);
        }
        for (unsigned i = 0; i < 400; i++) {
            X86PagingMode mode = X86_PAGING_32BIT + test_random_below(&r, 4);
            X86PagingState s = random_state(&r, mode);
            uint64_t gva = random_gva(&r, mode);

            compare(&s, mode, gva);
            results[walk(&s, gva).result]++;
        }
    }
    for (unsigned i = 0; i <= X86_WALK_UNREADABLE; i++) { /* each of them was there often */
        assert_true(i == X86_WALK_TOO_WIDE || results[i] > 500);
    }
}

#define T(name) cmocka_unit_test_setup(name, clear)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_walk_4_level_pages_of_each_size),
        T(test_walk_5_level),
        T(test_walk_pae),
        T(test_walk_32_bit),
        T(test_walk_paging_off),
        T(test_walk_addresses_that_are_not_canonical),
        T(test_walk_ends_at_entries_that_are_not_present),
        T(test_walk_tables_outside_of_memory),
        T(test_walk_table_that_refers_to_itself),
        T(test_walk_reserved_bits),
        T(test_walk_rights_are_those_of_all_levels),
        T(test_walk_flags_of_a_leaf),
        T(test_walk_random_tables),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
