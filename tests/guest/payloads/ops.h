/* SPDX-License-Identifier: MIT */
/* What a test on the host tells the payload `ops` to do, through shared memory. */
#ifndef TESTS_GUEST_OPS_H
#define TESTS_GUEST_OPS_H

#include <stdint.h>

/*
 * The test fills a processor's list, lets the vCPUs run, and finds its answers in the same list.
 * When processor 0 has done its list it writes 0 to OPS_PORT_DONE, which holds the vCPUs; going on,
 * it starts with its list again. The others begin when OP_START_PROCESSOR says so, and again each
 * time that `generation` changes.
 */
#define OPS_SHARED_BASE 0x90000
#define OPS_MAX         48
#define OPS_PROCESSORS  4

/* The payload's own ports. */
#define OPS_PORT_DONE      0x0f4 /* isa-debug-exit in a PC */
#define OPS_PORT_INTERRUPT 0xe00 /* 4 bytes: each interrupt taken reports its vector */

enum OpKind {
    OP_END,
    OP_READ,            /* result = *(size *)addr */
    OP_WRITE,           /* *(size *)addr = value */
    OP_IN,              /* result = port addr */
    OP_OUT,             /* port addr = value */
    OP_INS,             /* rep ins: value elements from port addr to memory at result */
    OP_OUTS,            /* rep outs: value elements from memory at result to port addr */
    OP_MOVS,            /* rep movs: result elements from addr to value */
    OP_XADD,            /* lock xadd *(size *)addr += value; result: what was there */
    OP_INCREMENT,       /* lock inc, value times, of the 4 bytes at addr */
    OP_WATCH,           /* reads addr until `stop`: watch_* counts what it saw */
    OP_WAIT_INTERRUPT,  /* sti; hlt; until interrupts[value] >= addr */
    OP_SPIN_INTERRUPT,  /* the same without hlt, interrupts on */
    OP_SPIN,            /* until `stop` */
    OP_HALT,            /* cli; hlt, for ever */
    OP_START_PROCESSOR, /* value: which */
    OP_WAIT,            /* until *(size *)addr >= value */
    OP_COUNT,           /* *(uint64_t *)addr += 1, without pause, until `stop` */
    OP_HAMMER,          /* until `stop`: lock inc of the 8 bytes at addr and at value; result: rounds */
    OP_ECHO,            /* until `stop`: 1, 2, 3 ... to addr, each read back; result: rounds; value
                           counts what came back otherwise */
    OP_MAP_GIB,         /* makes the GiB at addr (above 4 GiB) reachable */
    OP_FLOAT_LOAD,      /* x87 load from addr: KVM's emulator does not have it for a device */
    OP_JUMP,            /* to addr */
    OP_TRIPLE_FAULT,
};

typedef struct Op {
    uint32_t kind;
    uint16_t size; /* bytes: 1, 2, 4, 8 */
    uint16_t user; /* at CPL 3 */
    uint64_t addr;
    uint64_t value;
    uint64_t result;
} Op;

/* Entries of a list: at CPL 0, at CPL 3, and with memory beside the port or address. */
#define DO(kind_, size_, addr_, value_)                                                            \
    (Op)                                                                                           \
    {                                                                                              \
        .kind = (kind_), .size = (size_), .addr = (addr_), .value = (value_)                       \
    }
#define DO_USER(kind_, size_, addr_, value_)                                                       \
    (Op)                                                                                           \
    {                                                                                              \
        .kind = (kind_), .size = (size_), .user = 1, .addr = (addr_), .value = (value_)            \
    }
#define DO_MANY(kind_, size_, user_, addr_, value_, result_)                                       \
    (Op)                                                                                           \
    {                                                                                              \
        .kind = (kind_), .size = (size_), .user = (user_), .addr = (addr_), .value = (value_),     \
        .result = (result_)                                                                        \
    }

typedef struct OpsProcessor {
    volatile uint32_t generation; /* changed by the test: do the list again (not processor 0) */
    volatile uint32_t done;       /* lists finished */
    Op ops[OPS_MAX];
} OpsProcessor;

typedef struct OpsShared {
    volatile uint64_t stop;
    volatile uint64_t watch_a, watch_b; /* in: the two values that may be seen */
    volatile uint64_t seen_a, seen_b, seen_other;
    volatile uint64_t other; /* the last of those */
    volatile uint32_t interrupts[256];
    OpsProcessor processors[OPS_PROCESSORS];
    uint8_t buffer[8192];
} OpsShared;

#endif
