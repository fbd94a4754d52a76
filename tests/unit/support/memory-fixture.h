/* SPDX-License-Identifier: MIT */
/* What tests of the memory core share: quick regions, drawn maps, a recording listener. */
#ifndef TESSERA_TESTS_MEMORY_FIXTURE_H
#define TESSERA_TESTS_MEMORY_FIXTURE_H

#include <glib.h>
#include "tessera/memory/address-space.h"
#include "tessera/memory/listener.h"
#include "tessera/memory/memory-system.h"
#include "tessera/memory/region.h"
#include "tessera/memory/section.h"

/*
 * Regions that the fixture made are released by fixture_done(), whatever tree they are in. Unit of
 * the drawn maps is one page: a region of 4 pages is FIXTURE_PAGE * 4 long.
 */
#define FIXTURE_PAGE 0x1000u

typedef struct Fixture {
    MemorySystem *ms;
    MemoryRegion *root;   /* container, 16 pages */
    AddressSpace *as;     /* shows root; NULL until fixture_space() */
    GPtrArray *regions;
    GPtrArray *blocks;
    GString *log;         /* of recording listeners */
    GPtrArray *listeners; /* Recorder *, registered */
} Fixture;

Fixture *fixture_new(void);
/** fixture_done() - unregisters, takes every region out, and frees; NULL is allowed */
void fixture_done(Fixture *f);
/** fixture_space() - makes f->as */
void fixture_space(Fixture *f);
/* For cmocka; the second with f->as. */
int fixture_setup(void **state);
int fixture_setup_space(void **state);
int fixture_teardown(void **state);

/* Regions named by one letter, @pages long; the fixture holds the creator's reference. */
MemoryRegion *fixture_container(Fixture *f, const char *name, Int128 pages);
MemoryRegion *fixture_io(Fixture *f, const char *name, Int128 pages);
MemoryRegion *fixture_ram(Fixture *f, const char *name, uint64_t pages);
MemoryRegion *fixture_rom(Fixture *f, const char *name, uint64_t pages);
MemoryRegion *fixture_romd(Fixture *f, const char *name, uint64_t pages);
MemoryRegion *fixture_alias(Fixture *f, const char *name, MemoryRegion *target, uint64_t page,
                            Int128 pages);
/** fixture_keep() - the fixture releases @mr at its end, too */
MemoryRegion *fixture_keep(Fixture *f, MemoryRegion *mr);

/** fixture_add() - puts @sub at page @page of @container; asserts success */
void fixture_add(MemoryRegion *container, uint64_t page, MemoryRegion *sub, int priority);

/**
 * fixture_map() - pages 0 .. 15 of f->as drawn with one character each: the first letter of the
 * region's name, '.' where nothing answers; upper case where it is read-only. The caller frees.
 */
char *fixture_map(Fixture *f);
/** fixture_assert_map() - the map is @drawn */
void fixture_assert_map(Fixture *f, const char *drawn);

/*
 * A listener that writes each callback into f->log as "NAME:callback what;", with pages as
 * FIRST+COUNT and the region's name, and fails where it is told to.
 */
typedef struct Recorder {
    MemoryListener listener;
    Fixture *f;
    bool refuse_prepare;
    bool fail_apply;
    bool break_apply; /* and could not go back */
    bool fail_revert;
} Recorder;

Recorder *fixture_record(Fixture *f, const char *name, int priority);
/** fixture_assert_log() - what was recorded since the last call, entry by entry */
void fixture_assert_log(Fixture *f, const char *expected);
void fixture_clear_log(Fixture *f);

/** fixture_dump() - tree and sibling order of all regions, as text; the caller frees */
char *fixture_dump(Fixture *f);

#endif
