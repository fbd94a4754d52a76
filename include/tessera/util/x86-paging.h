/* SPDX-License-Identifier: MIT */
/* An x86 processor's way from a virtual to a physical address, entry by entry. */
#ifndef TESSERA_UTIL_X86_PAGING_H
#define TESSERA_UTIL_X86_PAGING_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Four ways, by CR0.PG, CR4.PAE, CR4.LA57 and EFER.LME (Intel SDM volume 3, section 4.1.1; AMD APM
 * volume 2, section 5.1). Each level takes some bits of the linear address as an index:
 *
 *                    PML5E    PML4E    PDPTE    PDE      PTE      offset    entries
 *     5-level        56..48   47..39   38..30   29..21   20..12   11..0     8 bytes   SDM 4.5
 *     4-level                 47..39   38..30   29..21   20..12   11..0     8 bytes   SDM 4.5
 *     PAE                              31..30   29..21   20..12   11..0     8 bytes   SDM 4.4
 *     32-bit                                    31..22   21..12   11..0     4 bytes   SDM 4.3
 *
 * A PDE (PDPTE) with PS set maps a page of 2 MiB, in 32-bit paging 4 MiB (1 GiB) itself.
 *
 * The walk here reads what memory holds now. A processor may have older entries in its TLB, and in
 * PAE paging it may have loaded the four PDPTEs when CR3 was written (SDM 4.4.1; AMD APM 5.2.3).
 * Where Intel's and AMD's processors differ the milder one counts: bit 8 of an entry that names a
 * table is ignored (AMD: must be zero in PML4Es and PDPTEs). Tags in an address (Intel's LAM, AMD's
 * UAI) are the caller's to take off.
 */
typedef enum X86PagingMode {
    X86_PAGING_OFF,
    X86_PAGING_32BIT,
    X86_PAGING_PAE,
    X86_PAGING_4LEVEL,
    X86_PAGING_5LEVEL,
} X86PagingMode;

/* Bits of the control registers that count here (SDM volume 3, sections 2.2.1 and 2.5). */
#define X86_PAGING_CR0_WP   (UINT64_C(1) << 16)
#define X86_PAGING_CR0_PG   (UINT64_C(1) << 31)
#define X86_PAGING_CR4_PSE  (UINT64_C(1) << 4)
#define X86_PAGING_CR4_PAE  (UINT64_C(1) << 5)
#define X86_PAGING_CR4_PGE  (UINT64_C(1) << 7)
#define X86_PAGING_CR4_LA57 (UINT64_C(1) << 12)
#define X86_PAGING_CR4_PKE  (UINT64_C(1) << 22)
#define X86_PAGING_EFER_LME (UINT64_C(1) << 8)
#define X86_PAGING_EFER_NXE (UINT64_C(1) << 11)

/**
 * struct X86PagingState - what a processor translates with
 * @phys_bits: MAXPHYADDR, CPUID 0x80000008 EAX[7:0], 32 .. 52: the bits above are reserved
 * @gib_pages: it has pages of 1 GiB, CPUID 0x80000001 EDX[26]; if not, PS in a PDPTE is reserved
 */
typedef struct X86PagingState {
    uint64_t cr0;
    uint64_t cr3;
    uint64_t cr4;
    uint64_t efer;
    unsigned phys_bits;
    bool gib_pages;
} X86PagingState;

/* What an entry says, wherever the bit stands in it (SDM volume 3, tables 4-4 to 4-20). */
#define X86_ENTRY_PRESENT       (1u << 0)
#define X86_ENTRY_WRITABLE      (1u << 1)
#define X86_ENTRY_USER          (1u << 2)
#define X86_ENTRY_WRITE_THROUGH (1u << 3) /* PWT */
#define X86_ENTRY_NO_CACHE      (1u << 4) /* PCD */
#define X86_ENTRY_ACCESSED      (1u << 5)
#define X86_ENTRY_DIRTY         (1u << 6)
#define X86_ENTRY_LARGE         (1u << 7) /* PS: maps a page that is larger than 4 KiB */
#define X86_ENTRY_GLOBAL        (1u << 8) /* with CR4.PGE */
#define X86_ENTRY_PAT           (1u << 9)
#define X86_ENTRY_NO_EXECUTE    (1u << 10) /* XD, with EFER.NXE */
#define X86_ENTRY_FLAGS         11u

/** x86_entry_flag_name() - "present", "no-execute" ... of bit @bit, 0 .. X86_ENTRY_FLAGS - 1 */
const char *x86_entry_flag_name(unsigned bit);

/**
 * struct X86WalkEntry - one entry as it was read
 * @level: 5: PML5E, 4: PML4E, 3: PDPTE, 2: PDE, 1: PTE
 * @index: in its table
 * @gpa: where it stands
 * @value: zero-extended where it has 4 bytes
 * @flags: X86_ENTRY_ bits; none but PRESENT has a meaning while that one is missing
 * @reserved: bits of @value that are set and must not be (none while it is not present)
 * @leaf: maps a page; its address and size are the walk's
 * @target: guest-physical address of the table or page that it names; 0: not present
 * @protection_key: bits 62:59 of a leaf with CR4.PKE; -1: there is none
 */
typedef struct X86WalkEntry {
    unsigned level;
    unsigned index;
    uint64_t gpa;
    uint64_t value;
    unsigned flags;
    uint64_t reserved;
    bool leaf;
    uint64_t target;
    int protection_key;
} X86WalkEntry;

/** x86_level_name() - "PML5E", "PML4E", "PDPTE", "PDE" or "PTE" */
const char *x86_level_name(unsigned level);

typedef enum X86WalkResult {
    X86_WALK_MAPPED,
    X86_WALK_TOO_WIDE,      /* outside long mode linear addresses have 32 bits */
    X86_WALK_NOT_CANONICAL, /* the bits above the highest index are not all like its top bit */
    X86_WALK_NOT_PRESENT,   /* the last entry */
    X86_WALK_RESERVED,      /* the last entry has reserved bits set: a page fault, too */
    X86_WALK_UNREADABLE,    /* no memory at the last entry's @gpa; its @value is not known */
} X86WalkResult;

#define X86_WALK_ENTRIES_MAX 5

/**
 * struct X86Walk - one translation
 * @count: entries looked at, from the highest level down
 * @gpa, @page_size: X86_WALK_MAPPED: of the address, and bytes of its page; @page_size is 0 without
 *      paging
 * @writable, @user, @executable: what all entries together allow (SDM 4.6): each must say WRITABLE,
 *      USER, and none NO_EXECUTE. Without paging all are true. PAE's PDPTEs have no say
 */
typedef struct X86Walk {
    X86PagingMode mode;
    X86WalkResult result;
    unsigned count;
    X86WalkEntry entries[X86_WALK_ENTRIES_MAX];
    uint64_t gpa;
    uint64_t page_size;
    bool writable;
    bool user;
    bool executable;
} X86Walk;

/**
 * X86ReadMemory - reads @len (4 or 8) bytes of guest-physical memory at @gpa
 *
 * Returns: false where there is no memory.
 */
typedef bool X86ReadMemory(void *opaque, uint64_t gpa, void *buf, unsigned len);

X86PagingMode x86_paging_mode(const X86PagingState *state);
/** x86_paging_mode_name() - "off", "32-bit", "PAE", "4-level" or "5-level" */
const char *x86_paging_mode_name(X86PagingMode mode);

/**
 * x86_paging_walk() - translates @gva as the processor's page walker would, but for setting
 * accessed and dirty bits
 * @read: how the tables are read; at most one call for each level
 *
 * Pure: no global state, no lock. What the tables hold is the guest's affair: any contents, also
 * tables that refer to themselves, give an answer.
 */
void x86_paging_walk(const X86PagingState *state, uint64_t gva, X86ReadMemory *read, void *opaque,
                     X86Walk *ret_walk);

#endif
