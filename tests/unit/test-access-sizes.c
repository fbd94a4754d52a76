/* SPDX-License-Identifier: MIT */
/* Accesses to devices of every combination of sizes, against a model that knows bytes only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "../../src/memory/access-internal.h"
#include "support/access-fixture.h"

#define NONE MEMTXATTRS_NONE

typedef struct Expected {
    uint8_t bytes[BYTE_DEVICE_SIZE]; /* the device's, afterwards */
    uint8_t buf[32];                 /* what is read */
    MemTxResult result;
} Expected;

static unsigned declared(unsigned size, unsigned fallback)
{
    return size ? size : fallback;
}

/* A write of [@off, @off + @size) as it arrives: lanes that a widened write did not get are zero.
 */
static void model_write(const ByteDevice *d, Expected *e, unsigned off, const uint8_t *buf,
                        unsigned size)
{
    unsigned min = declared(d->ops.impl.min_access_size, 1);

    for (unsigned b = 0; b < BYTE_DEVICE_SIZE; b++) {
        if (b >= off && b < off + size) {
            e->bytes[b] = buf[b - off];
        } else if (d->ops.impl.unaligned) {
            if (size < min && b >= off && b < off + min) {
                e->bytes[b] = 0;
            }
        } else if (b / min >= off / min && b / min <= (off + size - 1) / min) {
            e->bytes[b] = 0;
        }
    }
}

static unsigned model_piece(const ByteDevice *d, unsigned off, unsigned len, bool single)
{
    static const unsigned sizes[] = { 8, 4, 2, 1 };

    for (unsigned i = 0;; i++) {
        if (sizes[i] <= len && sizes[i] <= declared(d->ops.valid.max_access_size, 4) &&
            (single || d->ops.valid.unaligned || off % sizes[i] == 0)) {
            return sizes[i];
        }
    }
}

static void model_access(const ByteDevice *d, Expected *e, unsigned off, const uint8_t *buf,
                         unsigned len, bool is_write)
{
    bool single = len == 1 || len == 2 || len == 4 || len == 8;

    memcpy(e->bytes, d->bytes, sizeof(e->bytes));
    e->result = MEMTX_OK;
    for (unsigned pos = 0, size; pos < len; pos += size) {
        size = model_piece(d, off + pos, len - pos, single);
        if (size < declared(d->ops.valid.min_access_size, 1) ||
            (!d->ops.valid.unaligned && (off + pos) % size)) {
            e->result |= MEMTX_ERROR;
            memset(e->buf + pos, 0xff, size);
        } else if (is_write) {
            model_write(d, e, off + pos, buf + pos, size);
        } else {
            memcpy(e->buf + pos, d->bytes + off + pos, size);
        }
    }
}

static void check_calls(const ByteDevice *d)
{
    unsigned min = declared(d->ops.impl.min_access_size, 1);
    unsigned max = MAX(declared(d->ops.impl.max_access_size, 4), min);

    for (unsigned i = 0; i < d->n_calls; i++) {
        const ByteDeviceCall *call = &d->calls[i];

        assert_in_range(call->size, min, max);
        assert_int_equal(call->size & (call->size - 1), 0);
        assert_true(d->ops.impl.unaligned || call->offset % call->size == 0);
    }
}

static void random_sizes(GRand *rand, unsigned *min, unsigned *max)
{
    unsigned low = g_rand_int_range(rand, 0, 4);

    *min = 1u << low;
    *max = 1u << g_rand_int_range(rand, (gint32)low, 4);
    if (*min == 1 && g_rand_boolean(rand)) {
        *min = 0;
    }
    if (*max == 4 && g_rand_boolean(rand)) {
        *max = 0;
    }
}

static void random_device(GRand *rand, ByteDevice *d)
{
    byte_device_init(d);
    d->ops.endianness = g_rand_boolean(rand) ? DEVICE_BIG_ENDIAN : DEVICE_LITTLE_ENDIAN;
    random_sizes(rand, &d->ops.valid.min_access_size, &d->ops.valid.max_access_size);
    random_sizes(rand, &d->ops.impl.min_access_size, &d->ops.impl.max_access_size);
    d->ops.valid.unaligned = g_rand_boolean(rand);
    d->ops.impl.unaligned = g_rand_boolean(rand);
    for (unsigned i = 0; i < BYTE_DEVICE_SIZE; i++) {
        d->bytes[i] = (uint8_t)g_rand_int(rand);
    }
}

static void test_address_space_rw_random_sizes(void **state)
{
    AccessFixture *f = *state;
    GRand *rand = g_rand_new_with_seed(access_fixture_seed());
    MemoryRegion *mr;
    ByteDevice d;

    byte_device_init(&d);
    mr = access_fixture_add_device(f, 0x1000, BYTE_DEVICE_SIZE, &d);
    for (unsigned round = 0; round < 50000; round++) {
        unsigned off = g_rand_int_range(rand, 8, 32);
        unsigned len = g_rand_boolean(rand) ? 1u << g_rand_int_range(rand, 0, 4)
                                            : (unsigned)g_rand_int_range(rand, 1, 24);
        bool is_write = g_rand_boolean(rand);
        uint8_t buf[32];
        Expected e;
        MemTxResult result;
        bool valid;

        random_device(rand, &d);
        memory_io_know_sizes(mr); /* as if it had been made with these ops */
        fill_bytes(buf, sizeof(buf), (uint8_t)g_rand_int(rand));
        model_access(&d, &e, off, buf, len, is_write);
        valid = address_space_access_valid(f->as, 0x1000 + off, len, is_write, NONE);
        assert_int_equal(d.n_calls, 0);
        result = address_space_rw(f->as, 0x1000 + off, NONE, buf, len, is_write);
        assert_int_equal(result, e.result);
        assert_int_equal(valid, result == MEMTX_OK);
        assert_memory_equal(d.bytes, e.bytes, sizeof(e.bytes));
        if (!is_write) {
            assert_memory_equal(buf, e.buf, len);
        }
        check_calls(&d);
    }
    g_rand_free(rand);
}

static void test_address_space_rw_big_endian_value(void **state)
{
    AccessFixture *f = *state;
    uint8_t out[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
    ByteDevice d;

    byte_device_init(&d);
    d.ops.endianness = DEVICE_BIG_ENDIAN;
    access_fixture_add_device(f, 0, 64, &d);
    address_space_write(f->as, 0, NONE, out, 4);
    assert_int_equal(d.calls[0].value, 0x01020304);
    address_space_write(f->as, 8, NONE, out, 8);
    assert_true(d.calls[1].value == UINT64_C(0x0102030405060708));
    address_space_write(f->as, 16, NONE, out, 2);
    assert_int_equal(d.calls[2].value, 0x0102);
}

#define T(name) cmocka_unit_test_setup_teardown(name, access_fixture_setup, access_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_address_space_rw_random_sizes),
        T(test_address_space_rw_big_endian_value),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
