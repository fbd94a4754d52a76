/* SPDX-License-Identifier: MIT */
/* Loads and stores of one value, in little or big endian order. */
#include "tessera/memory/address-space.h"

/* A store or load of @len bytes is one access: aligned values in RAM are never seen torn. */
static bool load(AddressSpace *as, hwaddr addr, MemTxAttrs attrs, void *value, unsigned len,
                 MemTxResult *result)
{
    MemTxResult r = address_space_read(as, addr, attrs, value, len);

    if (result) {
        *result = r;
    }
    return r == MEMTX_OK;
}

static void store(AddressSpace *as, hwaddr addr, MemTxAttrs attrs, const void *value, unsigned len,
                  MemTxResult *result)
{
    MemTxResult r = address_space_write(as, addr, attrs, value, len);

    if (result) {
        *result = r;
    }
}

#define DEFINE_LOAD_STORE(load_name, store_name, bits, ORDER)                                      \
    uint##bits##_t load_name(AddressSpace *as, hwaddr addr, MemTxAttrs attrs,                      \
                             MemTxResult *result)                                                  \
    {                                                                                              \
        uint##bits##_t v;                                                                          \
                                                                                                   \
        return load(as, addr, attrs, &v, sizeof(v), result) ? GUINT##bits##_FROM_##ORDER(v)        \
                                                            : UINT##bits##_MAX;                    \
    }                                                                                              \
                                                                                                   \
    void store_name(AddressSpace *as, hwaddr addr, uint##bits##_t v, MemTxAttrs attrs,             \
                    MemTxResult *result)                                                           \
    {                                                                                              \
        v = GUINT##bits##_TO_##ORDER(v);                                                           \
        store(as, addr, attrs, &v, sizeof(v), result);                                             \
    }

DEFINE_LOAD_STORE(address_space_lduw_le, address_space_stw_le, 16, LE)
DEFINE_LOAD_STORE(address_space_lduw_be, address_space_stw_be, 16, BE)
DEFINE_LOAD_STORE(address_space_ldl_le, address_space_stl_le, 32, LE)
DEFINE_LOAD_STORE(address_space_ldl_be, address_space_stl_be, 32, BE)
DEFINE_LOAD_STORE(address_space_ldq_le, address_space_stq_le, 64, LE)
DEFINE_LOAD_STORE(address_space_ldq_be, address_space_stq_be, 64, BE)

uint8_t address_space_ldub(AddressSpace *as, hwaddr addr, MemTxAttrs attrs, MemTxResult *result)
{
    uint8_t v;

    return load(as, addr, attrs, &v, sizeof(v), result) ? v : UINT8_MAX;
}

void address_space_stb(AddressSpace *as, hwaddr addr, uint8_t v, MemTxAttrs attrs,
                       MemTxResult *result)
{
    store(as, addr, attrs, &v, sizeof(v), result);
}
