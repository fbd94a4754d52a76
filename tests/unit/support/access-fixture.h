/* SPDX-License-Identifier: MIT */
/* For tests of the access path: an address space, RAM in it, and a device that is a row of bytes. */
#ifndef TESSERA_TESTS_ACCESS_FIXTURE_H
#define TESSERA_TESTS_ACCESS_FIXTURE_H

#include <glib.h>
#include "tessera/memory/address-space.h"
#include "tessera/memory/memory-system.h"
#include "tessera/memory/ram-block.h"
#include "tessera/memory/region.h"

#define BYTE_DEVICE_SIZE  64u
#define BYTE_DEVICE_CALLS 64u

/* One call of a callback. */
typedef struct ByteDeviceCall {
    hwaddr offset;
    unsigned size;
    bool is_write;
    uint64_t value;
} ByteDeviceCall;

/*
 * A device whose registers are @bytes, in address order; a value wider than a byte is in the byte
 * order of @ops. Offsets from BYTE_DEVICE_SIZE on read as zero and swallow writes.
 */
typedef struct ByteDevice {
    MemoryRegionOps ops;
    uint8_t bytes[BYTE_DEVICE_SIZE];
    ByteDeviceCall calls[BYTE_DEVICE_CALLS];
    unsigned n_calls;
    MemTxResult answer;                  /* what the callbacks return */
    void (*hook)(struct ByteDevice *d); /* called in each callback, if set */
    void *opaque;                        /* the hook's */
} ByteDevice;

/** byte_device_init() - little-endian, accesses of 1 to 8 bytes, no unaligned ones */
void byte_device_init(ByteDevice *d);

typedef struct AccessFixture {
    MemorySystem *ms;
    MemoryRegion *root;
    AddressSpace *as;
    GPtrArray *regions; /* in the root */
    GPtrArray *blocks;
} AccessFixture;

/** access_fixture_new() - an address space of 2^64 bytes with nothing in it */
AccessFixture *access_fixture_new(void);
/** access_fixture_free() - takes all regions out and frees everything */
void access_fixture_free(AccessFixture *f);
/* For cmocka. */
int access_fixture_setup(void **state);
int access_fixture_teardown(void **state);

/** fill_bytes() - bytes that differ from their neighbours */
void fill_bytes(uint8_t *buf, size_t len, uint8_t first);

/* What a RAM block notifier of the dirty kind was told: start it with DIRTY_LOG_INIT. */
typedef struct DirtyLog {
    RAMBlockNotifier notifier; /* first member */
    RAMBlock *block;           /* of the last call, like the next two */
    uint64_t off, len;
    unsigned count;
} DirtyLog;

#define DIRTY_LOG_INIT { .notifier = { .dirty = dirty_log_note } }
void dirty_log_note(RAMBlockNotifier *n, RAMBlock *block, uint64_t block_off, uint64_t len);

/** access_fixture_add() - puts @mr at @addr; the fixture owns it from now on */
MemoryRegion *access_fixture_add(AccessFixture *f, hwaddr addr, MemoryRegion *mr);
/** access_fixture_remove() - takes @mr out and releases it */
void access_fixture_remove(AccessFixture *f, MemoryRegion *mr);

MemoryRegion *access_fixture_add_ram(AccessFixture *f, hwaddr addr, uint64_t size);
MemoryRegion *access_fixture_add_device(AccessFixture *f, hwaddr addr, uint64_t size,
                                        ByteDevice *d);
/** access_fixture_block() - a new block of @size bytes (a multiple of the page), zeroed */
RAMBlock *access_fixture_block(AccessFixture *f, uint64_t size);
/** access_fixture_host() - host address of a RAM-like region's first byte */
uint8_t *access_fixture_host(const MemoryRegion *mr);

/** access_fixture_seed() - TESSERA_SEED or the default; printed */
uint32_t access_fixture_seed(void);

#endif
