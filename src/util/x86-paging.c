/* SPDX-License-Identifier: MIT */
/* x86 page walks. Sections named are those of the Intel SDM, volume 3. */
#include "tessera/util/x86-paging.h"

#include <glib.h>
#include <string.h>

#define BIT(n) (UINT64_C(1) << (n))

#define PAGE_BITS 12

/* Entry bits as they stand in memory (tables 4-4 to 4-20). */
#define ENTRY_PS           BIT(7) /* in a PTE: PAT */
#define ENTRY_G            BIT(8)
#define ENTRY_PAT_OF_LARGE BIT(12)
#define ENTRY_XD           BIT(63)
#define ENTRY_ADDRESS_END  52 /* bits 62:52 are ignored, or the protection key */

/* Bits lo .. hi, both included; none where hi < lo. */
static uint64_t bits(unsigned hi, unsigned lo)
{
    return hi < lo ? 0 : (~UINT64_C(0) >> (63 - hi)) & (~UINT64_C(0) << lo);
}

X86PagingMode x86_paging_mode(const X86PagingState *state)
{
    if (!(state->cr0 & X86_PAGING_CR0_PG)) {
        return X86_PAGING_OFF;
    }
    if (!(state->cr4 & X86_PAGING_CR4_PAE)) {
        return X86_PAGING_32BIT;
    }
    if (!(state->efer & X86_PAGING_EFER_LME)) {
        return X86_PAGING_PAE;
    }
    return state->cr4 & X86_PAGING_CR4_LA57 ? X86_PAGING_5LEVEL : X86_PAGING_4LEVEL;
}

const char *x86_paging_mode_name(X86PagingMode mode)
{
    static const char *const names[] = {
        [X86_PAGING_OFF] = "off",         [X86_PAGING_32BIT] = "32-bit", [X86_PAGING_PAE] = "PAE",
        [X86_PAGING_4LEVEL] = "4-level", [X86_PAGING_5LEVEL] = "5-level",
    };

    return names[mode];
}

const char *x86_level_name(unsigned level)
{
    static const char *const names[] = { "", "PTE", "PDE", "PDPTE", "PML4E", "PML5E" };

    g_assert(level >= 1 && level <= 5);
    return names[level];
}

const char *x86_entry_flag_name(unsigned bit)
{
    static const char *const names[X86_ENTRY_FLAGS] = {
        "present", "writable", "user",   "write-through", "no-cache",   "accessed",
        "dirty",   "large",    "global", "pat",           "no-execute",
    };

    g_assert(bit < X86_ENTRY_FLAGS);
    return names[bit];
}

/* How a mode cuts linear addresses up. */
typedef struct Format {
    unsigned levels;      /* the highest */
    unsigned index_bits;  /* of each but PAE's highest, which has the 2 that are left */
    unsigned entry_bytes;
    unsigned linear_bits;
} Format;

static Format format_of(X86PagingMode mode)
{
    static const Format formats[] = {
        [X86_PAGING_OFF] = { 0, 0, 0, 32 },
        [X86_PAGING_32BIT] = { 2, 10, 4, 32 },
        [X86_PAGING_PAE] = { 3, 9, 8, 32 },
        [X86_PAGING_4LEVEL] = { 4, 9, 8, 48 },
        [X86_PAGING_5LEVEL] = { 5, 9, 8, 57 },
    };

    return formats[mode];
}

/* Where the page or table offset of a level begins: the bits below its index. */
static unsigned level_shift(Format format, unsigned level)
{
    return PAGE_BITS + (level - 1) * format.index_bits;
}

static unsigned level_index(Format format, unsigned level, uint64_t gva)
{
    unsigned shift = level_shift(format, level);
    unsigned width = format.linear_bits - shift;

    width = width < format.index_bits ? width : format.index_bits;
    return (unsigned)(gva >> shift & (BIT(width) - 1));
}

/* CR3's address of the highest table (tables 4-3, 4-7, 4-12). */
static uint64_t root_table(const X86PagingState *state, X86PagingMode mode)
{
    switch (mode) {
    case X86_PAGING_32BIT:
        return state->cr3 & bits(31, 12);
    case X86_PAGING_PAE:
        return state->cr3 & bits(31, 5);
    default:
        return state->cr3 & bits(state->phys_bits - 1, 12);
    }
}

/* May an entry of @level map a page? (32-bit: CR4.PSE; section 4.3) */
static bool can_be_large(const X86PagingState *state, X86PagingMode mode, unsigned level)
{
    switch (mode) {
    case X86_PAGING_32BIT:
        return level == 2 && (state->cr4 & X86_PAGING_CR4_PSE);
    case X86_PAGING_PAE:
        return level == 2;
    default:
        return level == 2 || (level == 3 && state->gib_pages);
    }
}

/* PSE-36: bits 20:13 of a 4 MiB PDE are bits 39:32 of the page's address, as far as there are. */
static unsigned pse36_bits(const X86PagingState *state)
{
    return (state->phys_bits < 40 ? state->phys_bits : 40) - 32;
}

/* Bits that must be zero in a present entry (32-bit paging: table 4-4). */
static uint64_t reserved_32bit(const X86PagingState *state, const X86WalkEntry *e)
{
    return e->flags & X86_ENTRY_LARGE ? bits(21, 13 + pse36_bits(state)) : 0;
}

/* Entries of 8 bytes (tables 4-8 to 4-11 and 4-14 to 4-20). */
static uint64_t reserved_64bit(const X86PagingState *state, X86PagingMode mode,
                               const X86WalkEntry *e)
{
    bool pae = mode == X86_PAGING_PAE;
    uint64_t reserved = bits(pae ? 62 : ENTRY_ADDRESS_END - 1, state->phys_bits);

    if (pae && e->level == 3) {
        return reserved | ENTRY_XD | bits(8, 5) | bits(2, 1);
    }
    if (!(state->efer & X86_PAGING_EFER_NXE)) {
        reserved |= ENTRY_XD;
    }
    if (e->level >= 4 || (e->level == 3 && !state->gib_pages)) {
        reserved |= ENTRY_PS;
    }
    if (e->flags & X86_ENTRY_LARGE) {
        reserved |= bits(level_shift(format_of(mode), e->level) - 1, 13);
    }
    return reserved;
}

static unsigned decode_flags(const X86PagingState *state, X86PagingMode mode,
                             const X86WalkEntry *e)
{
    uint64_t v = e->value;
    bool large = (v & ENTRY_PS) && can_be_large(state, mode, e->level);
    bool leaf = large || e->level == 1;
    unsigned flags = v & (X86_ENTRY_PRESENT | X86_ENTRY_WRITE_THROUGH | X86_ENTRY_NO_CACHE);

    if (mode == X86_PAGING_PAE && e->level == 3) {
        return flags;
    }
    flags |= v & (X86_ENTRY_WRITABLE | X86_ENTRY_USER | X86_ENTRY_ACCESSED);
    flags |= large ? X86_ENTRY_LARGE : 0;
    if (leaf) {
        flags |= v & X86_ENTRY_DIRTY;
        flags |= (v & ENTRY_G) && (state->cr4 & X86_PAGING_CR4_PGE) ? X86_ENTRY_GLOBAL : 0;
        flags |= v & (large ? ENTRY_PAT_OF_LARGE : ENTRY_PS) ? X86_ENTRY_PAT : 0;
    }
    flags |= (v & ENTRY_XD) && (state->efer & X86_PAGING_EFER_NXE) ? X86_ENTRY_NO_EXECUTE : 0;
    return flags;
}

/* The page or table that @e names; its low bits are zero. */
static uint64_t decode_target(const X86PagingState *state, X86PagingMode mode,
                              const X86WalkEntry *e)
{
    unsigned low = e->leaf ? level_shift(format_of(mode), e->level) : PAGE_BITS;
    unsigned wide = pse36_bits(state);

    if (mode != X86_PAGING_32BIT) {
        return e->value & bits(state->phys_bits - 1, low);
    }
    if (e->flags & X86_ENTRY_LARGE) {
        return (e->value & bits(31, 22)) | (e->value >> 13 & (BIT(wide) - 1)) << 32;
    }
    return e->value & bits(31, 12);
}

static void decode(const X86PagingState *state, X86PagingMode mode, X86WalkEntry *e)
{
    bool has_key = mode >= X86_PAGING_4LEVEL && (state->cr4 & X86_PAGING_CR4_PKE);

    e->flags = decode_flags(state, mode, e);
    e->leaf = e->level == 1 || (e->flags & X86_ENTRY_LARGE);
    e->protection_key = has_key && e->leaf ? (int)(e->value >> 59 & 0xf) : -1;
    if (e->flags & X86_ENTRY_PRESENT) {
        e->reserved = e->value & (mode == X86_PAGING_32BIT ? reserved_32bit(state, e)
                                                           : reserved_64bit(state, mode, e));
        e->target = decode_target(state, mode, e);
    }
}

/* Entry @e->gpa, read and taken apart; anything but MAPPED ends the walk. */
static X86WalkResult look_at(const X86PagingState *state, X86PagingMode mode, X86ReadMemory *read,
                             void *opaque, X86WalkEntry *e)
{
    unsigned len = format_of(mode).entry_bytes;
    uint32_t narrow;

    if (!read(opaque, e->gpa, len == 4 ? (void *)&narrow : (void *)&e->value, len)) {
        e->value = 0;
        return X86_WALK_UNREADABLE;
    }
    e->value = len == 4 ? narrow : e->value;
    decode(state, mode, e);
    if (!(e->flags & X86_ENTRY_PRESENT)) {
        return X86_WALK_NOT_PRESENT;
    }
    return e->reserved ? X86_WALK_RESERVED : X86_WALK_MAPPED;
}

/* Each level can only take rights away (section 4.6.1). */
static void restrict_access(X86Walk *walk, const X86WalkEntry *e)
{
    if (walk->mode == X86_PAGING_PAE && e->level == 3) {
        return;
    }
    walk->writable &= (e->flags & X86_ENTRY_WRITABLE) != 0;
    walk->user &= (e->flags & X86_ENTRY_USER) != 0;
    walk->executable &= !(e->flags & X86_ENTRY_NO_EXECUTE);
}

static X86WalkResult walk_tables(const X86PagingState *state, uint64_t gva, X86ReadMemory *read,
                                 void *opaque, X86Walk *walk)
{
    Format format = format_of(walk->mode);
    uint64_t table = root_table(state, walk->mode);

    for (unsigned level = format.levels;; level--) {
        X86WalkEntry *e = &walk->entries[walk->count++];
        X86WalkResult result;

        e->level = level;
        e->protection_key = -1;
        e->index = level_index(format, level, gva);
        e->gpa = table + (uint64_t)e->index * format.entry_bytes;
        result = look_at(state, walk->mode, read, opaque, e);
        if (result != X86_WALK_MAPPED) {
            return result;
        }
        restrict_access(walk, e);
        if (e->leaf) {
            walk->page_size = BIT(level_shift(format, level));
            walk->gpa = e->target | (gva & (walk->page_size - 1));
            return X86_WALK_MAPPED;
        }
        table = e->target;
    }
}

/* Outside long mode 32 bits; in it, all bits above the highest index like the one below them. */
static X86WalkResult check_linear(X86PagingMode mode, uint64_t gva)
{
    unsigned width = format_of(mode).linear_bits;

    if (mode < X86_PAGING_4LEVEL) {
        return gva > UINT32_MAX ? X86_WALK_TOO_WIDE : X86_WALK_MAPPED;
    }
    return (uint64_t)((int64_t)(gva << (64 - width)) >> (64 - width)) == gva
               ? X86_WALK_MAPPED
               : X86_WALK_NOT_CANONICAL;
}

void x86_paging_walk(const X86PagingState *state, uint64_t gva, X86ReadMemory *read, void *opaque,
                     X86Walk *ret_walk)
{
    X86Walk *walk = ret_walk;

    memset(walk, 0, sizeof(*walk));
    walk->mode = x86_paging_mode(state);
    walk->result = check_linear(walk->mode, gva);
    if (walk->result != X86_WALK_MAPPED) {
        return;
    }
    walk->writable = walk->user = walk->executable = true;
    walk->gpa = gva;
    if (walk->mode != X86_PAGING_OFF) {
        walk->result = walk_tables(state, gva, read, opaque, walk);
    }
    if (walk->result != X86_WALK_MAPPED) {
        walk->writable = walk->user = walk->executable = false;
        walk->gpa = 0;
    }
}
