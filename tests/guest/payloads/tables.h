/* SPDX-License-Identifier: MIT */
/* What the payload `tables` says of the page tables that it has built. */
#ifndef TESTS_GUEST_TABLES_H
#define TESTS_GUEST_TABLES_H

#include <stdint.h>

#define TABLES_SHARED_BASE 0x90000
#define TABLES_MAX         32

/* How the way of an address ends. */
enum TablesEnd {
    TABLES_MEMORY,      /* both sides of it were tried: what is written at @gpa is read at @gva */
    TABLES_ELSEWHERE,   /* mapped, to where there is no memory: never tried */
    TABLES_NOT_PRESENT, /* @level: of the entry */
    TABLES_RESERVED,
};

#define TABLES_WRITABLE   1u
#define TABLES_USER       2u
#define TABLES_EXECUTABLE 4u

typedef struct TablesEntry {
    uint64_t gva;
    uint64_t gpa;
    uint64_t page_size;
    uint64_t value; /* 8 bytes at the address */
    uint32_t end;
    uint32_t rights;
    uint32_t level;
    uint32_t touched; /* by its virtual address */
} TablesEntry;

typedef struct TablesShared {
    volatile uint32_t ready;
    uint32_t wrong; /* addresses at which the processor did not find what it should */
    uint64_t cr3;
    uint32_t gib_pages; /* the processor has them */
    uint32_t count;
    TablesEntry entries[TABLES_MAX];
} TablesShared;

#endif
