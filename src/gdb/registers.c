/* SPDX-License-Identifier: MIT */
/* The table of registers as gdb sees them. */
#include "registers-internal.h"

#include <stddef.h>
#include <string.h>

#define AT(field) .offset = offsetof(VcpuRegisters, field)
#define GENERAL(reg, n, kind)                                                                      \
    { reg, kind, NULL, GDB_FEATURE_CORE, 64, AT(general[n]), .bytes = 8 }
#define SELECTOR(reg)                                                                              \
    { #reg, "int32", NULL, GDB_FEATURE_CORE, 32, AT(reg), .bytes = 2 }
#define STACK(n)                                                                                   \
    { "st" #n, "i387_ext", NULL, GDB_FEATURE_CORE, 80, AT(st[n]), .bytes = 10 }
#define CONTROL(reg, field, n)                                                                     \
    { reg, "int", "float", GDB_FEATURE_CORE, 32, AT(field), .bytes = n }
#define XMM(n)                                                                                     \
    { "xmm" #n, "vec128", NULL, GDB_FEATURE_SSE, 128, AT(xmm[n]), .bytes = 16 }
#define WIDE(reg, kind, feature)                                                                   \
    { #reg, kind, NULL, feature, 64, AT(reg), .bytes = 8 }

/* The order inside a feature is what gdb's own features for i386:x86-64 have. */
const GdbRegister gdb_registers[] = {
    GENERAL("rax", 0, "int64"), GENERAL("rbx", 1, "int64"), GENERAL("rcx", 2, "int64"),
    GENERAL("rdx", 3, "int64"), GENERAL("rsi", 4, "int64"), GENERAL("rdi", 5, "int64"),
    GENERAL("rbp", 6, "data_ptr"), GENERAL("rsp", 7, "data_ptr"),
    GENERAL("r8", 8, "int64"), GENERAL("r9", 9, "int64"), GENERAL("r10", 10, "int64"),
    GENERAL("r11", 11, "int64"), GENERAL("r12", 12, "int64"), GENERAL("r13", 13, "int64"),
    GENERAL("r14", 14, "int64"), GENERAL("r15", 15, "int64"),
    WIDE(rip, "code_ptr", GDB_FEATURE_CORE),
    { "eflags", "i386_eflags", NULL, GDB_FEATURE_CORE, 32, AT(rflags), .bytes = 4 },
    SELECTOR(cs), SELECTOR(ss), SELECTOR(ds), SELECTOR(es), SELECTOR(fs), SELECTOR(gs),
    STACK(0), STACK(1), STACK(2), STACK(3), STACK(4), STACK(5), STACK(6), STACK(7),
    CONTROL("fctrl", fcw, 2), CONTROL("fstat", fsw, 2), CONTROL("ftag", ftw, 1),
    CONTROL("fiseg", fip, 0), /* 64-bit FXSAVE keeps no selectors */
    CONTROL("fioff", fip, 4), CONTROL("foseg", fdp, 0), CONTROL("fooff", fdp, 4),
    CONTROL("fop", fop, 2),
    XMM(0), XMM(1), XMM(2), XMM(3), XMM(4), XMM(5), XMM(6), XMM(7),
    XMM(8), XMM(9), XMM(10), XMM(11), XMM(12), XMM(13), XMM(14), XMM(15),
    { "mxcsr", "i386_mxcsr", "vector", GDB_FEATURE_SSE, 32, AT(mxcsr), .bytes = 4 },
    WIDE(fs_base, "int64", GDB_FEATURE_SEGMENTS), WIDE(gs_base, "int64", GDB_FEATURE_SEGMENTS),
    WIDE(k_gs_base, "int64", GDB_FEATURE_SYSTEM), WIDE(cr0, "x86_cr0", GDB_FEATURE_SYSTEM),
    WIDE(cr2, "data_ptr", GDB_FEATURE_SYSTEM), WIDE(cr3, "int64", GDB_FEATURE_SYSTEM),
    WIDE(cr4, "x86_cr4", GDB_FEATURE_SYSTEM), WIDE(cr8, "int64", GDB_FEATURE_SYSTEM),
    WIDE(efer, "x86_efer", GDB_FEATURE_SYSTEM),
};

const unsigned gdb_register_count = G_N_ELEMENTS(gdb_registers);

static bool is_tag_word(unsigned n)
{
    return gdb_registers[n].offset == offsetof(VcpuRegisters, ftw);
}

/* What kind of number: the tags of an FSTENV image (Intel SDM volume 1, 8.1.7). */
enum { TAG_VALID, TAG_ZERO, TAG_SPECIAL, TAG_EMPTY };

static unsigned tag_of(const uint8_t st[10])
{
    static const uint8_t zeroes[10];
    unsigned exponent = st[8] | (st[9] & 0x7fu) << 8;
    bool integer_bit = st[7] & 0x80;

    if (exponent == 0 && memcmp(st, zeroes, 8) == 0) {
        return TAG_ZERO;
    }
    return exponent == 0 || exponent == 0x7fff || !integer_bit ? TAG_SPECIAL : TAG_VALID;
}

/* FXSAVE has one bit for each physical register; gdb wants the two of x87's own tag word. */
static uint16_t wide_tags(const VcpuRegisters *r)
{
    unsigned top = r->fsw >> 11 & 7;
    uint16_t tags = 0;

    for (unsigned i = 0; i < 8; i++) {
        unsigned tag = r->ftw >> i & 1 ? tag_of(r->st[(i - top) & 7]) : TAG_EMPTY;

        tags |= (uint16_t)(tag << (2 * i));
    }
    return tags;
}

static uint8_t narrow_tags(uint16_t tags)
{
    uint8_t ftw = 0;

    for (unsigned i = 0; i < 8; i++) {
        ftw |= (uint8_t)((tags >> (2 * i) & 3) != TAG_EMPTY) << i;
    }
    return ftw;
}

void gdb_register_get(const VcpuRegisters *r, unsigned n, uint8_t *wire)
{
    const GdbRegister *reg = &gdb_registers[n];

    memset(wire, 0, reg->bits / 8);
    if (is_tag_word(n)) {
        uint16_t tags = wide_tags(r);

        memcpy(wire, &tags, sizeof(tags));
    } else {
        memcpy(wire, (const uint8_t *)r + reg->offset, reg->bytes);
    }
}

void gdb_register_set(VcpuRegisters *r, unsigned n, const uint8_t *wire)
{
    const GdbRegister *reg = &gdb_registers[n];

    if (is_tag_word(n)) {
        uint16_t tags;

        memcpy(&tags, wire, sizeof(tags));
        r->ftw = narrow_tags(tags);
    } else {
        memcpy((uint8_t *)r + reg->offset, wire, reg->bytes);
    }
}
