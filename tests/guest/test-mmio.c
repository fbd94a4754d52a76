/* SPDX-License-Identifier: MIT */
/* Memory-mapped accesses of a guest as the devices see them. */
#include "support/guest.h"

#define BASE 0xd0000000ULL

static void check_reads(Guest *guest, Recorder *r)
{
    static const unsigned sizes[] = {1, 2, 4, 8};

    for (unsigned i = 0; i < 4; i++) {
        recorder_assert(r, i, false, 8 * i, sizes[i], recorder_value(8 * i, sizes[i]));
        assert_int_equal(guest_result(guest, i), recorder_value(8 * i, sizes[i]));
    }
    assert_int_equal(r->count, 4);
}

static void test_read_of_each_size(void **state)
{
    Guest *guest = guest_new(1);
    Recorder *r = recorder_new(guest, guest->root, BASE, 0x2000, 0);

    GUEST_OPS(guest, 0, DO(OP_READ, 1, BASE, 0), DO(OP_READ, 2, BASE + 8, 0),
              DO(OP_READ, 4, BASE + 16, 0), DO(OP_READ, 8, BASE + 24, 0));
    guest_run(guest);
    check_reads(guest, r);
    recorder_free(r);
    guest_free(guest);
}

static void test_read_of_each_size_in_user_mode(void **state)
{
    Guest *guest = guest_new(1);
    Recorder *r = recorder_new(guest, guest->root, BASE, 0x2000, 0);

    GUEST_OPS(guest, 0, DO_USER(OP_READ, 1, BASE, 0), DO_USER(OP_READ, 2, BASE + 8, 0),
              DO_USER(OP_READ, 4, BASE + 16, 0), DO_USER(OP_READ, 8, BASE + 24, 0));
    guest_run(guest);
    check_reads(guest, r);
    recorder_free(r);
    guest_free(guest);
}

#define VALUE 0x8877665544332211ULL

static void test_write_of_each_size(void **state)
{
    Guest *guest = guest_new(1);
    Recorder *r = recorder_new(guest, guest->root, BASE, 0x2000, 0);

    GUEST_OPS(guest, 0, DO(OP_WRITE, 1, BASE + 1, VALUE), DO(OP_WRITE, 2, BASE + 2, VALUE),
              DO(OP_WRITE, 4, BASE + 4, VALUE), DO(OP_WRITE, 8, BASE + 8, VALUE),
              DO_USER(OP_WRITE, 1, BASE + 3, VALUE), DO_USER(OP_WRITE, 2, BASE + 6, VALUE),
              DO_USER(OP_WRITE, 4, BASE + 12, VALUE), DO_USER(OP_WRITE, 8, BASE + 16, VALUE));
    guest_run(guest);
    assert_int_equal(r->count, 8);
    recorder_assert(r, 0, true, 1, 1, 0x11);
    recorder_assert(r, 1, true, 2, 2, 0x2211);
    recorder_assert(r, 2, true, 4, 4, 0x44332211);
    recorder_assert(r, 3, true, 8, 8, VALUE);
    recorder_assert(r, 4, true, 3, 1, 0x11);
    recorder_assert(r, 5, true, 6, 2, 0x2211);
    recorder_assert(r, 6, true, 12, 4, 0x44332211);
    recorder_assert(r, 7, true, 16, 8, VALUE);
    recorder_free(r);
    guest_free(guest);
}

/* The bytes that writes put at each offset, whatever accesses they came in. */
static void bytes_written(Recorder *r, hwaddr base, uint8_t *ret_bytes, unsigned n)
{
    for (unsigned i = 0; i < r->count; i++) {
        const Access *a = &r->accesses[i];

        for (unsigned b = 0; a->is_write && b < a->size; b++) {
            if (a->offset + b >= base && a->offset + b < base + n) {
                ret_bytes[a->offset + b - base] = (uint8_t)(a->value >> (8 * b));
            }
        }
    }
}

/* KVM gives one exit for each page, of lengths like 3 and 5: no byte may be lost or come twice. */
static void test_accesses_over_a_page_edge(void **state)
{
    Guest *guest = guest_new(1);
    Recorder *r = recorder_new(guest, guest->root, BASE, 0x2000, 0);
    uint8_t seen[16] = {0};
    unsigned total = 0;

    for (unsigned user = 0; user < 2; user++) {
        for (unsigned before = 1; before < 8; before++) {
            hwaddr at = 0x1000 - before;

            r->count = 0;
            total = 0;
            GUEST_OPS(
                guest, 0,
                (Op){.kind = OP_WRITE, .size = 8, .user = user, .addr = BASE + at, .value = VALUE},
                (Op){.kind = OP_READ, .size = 8, .user = user, .addr = BASE + at});
            guest_run(guest);
            assert_int_equal(guest_result(guest, 1), recorder_value(at, 8));
            bytes_written(r, at, seen, 8);
            for (unsigned i = 0; i < 8; i++) {
                assert_int_equal(seen[i], (uint8_t)(VALUE >> (8 * i)));
                seen[i] = 0;
            }
            for (unsigned i = 0; i < r->count; i++) {
                total += r->accesses[i].size;
            }
            assert_int_equal(total, 16);
        }
    }
    recorder_free(r);
    guest_free(guest);
}

/* The last bytes of RAM and the first of a device behind it. */
static void test_accesses_over_the_end_of_ram(void **state)
{
    Guest *guest = guest_new(1);
    Recorder *r = recorder_new(guest, guest->root, GUEST_RAM_SIZE, 0x1000, 0);
    uint8_t *ram_end = (uint8_t *)ram_block_host(guest->ram_block) + GUEST_RAM_SIZE;
    uint8_t seen[8] = {0};

    GUEST_OPS(guest, 0, DO(OP_WRITE, 8, GUEST_RAM_SIZE - 3, VALUE),
              DO(OP_READ, 8, GUEST_RAM_SIZE - 3, 0));
    guest_run(guest);
    bytes_written(r, 0, seen, 8);
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(i < 3 ? (ram_end - 3)[i] : seen[i - 3], (uint8_t)(VALUE >> (8 * i)));
    }
    assert_int_equal(guest_result(guest, 1), (VALUE & 0xffffff) | recorder_value(0, 5) << 24);
    recorder_free(r);
    guest_free(guest);
}

static void test_string_move(void **state)
{
    Guest *guest = guest_new(1);
    Recorder *r = recorder_new(guest, guest->root, BASE, 0x2000, 0);
    uint8_t *buffer = guest->shared->buffer;
    uint64_t at = OPS_SHARED_BASE + offsetof(OpsShared, buffer);

    GUEST_OPS(guest, 0, DO_MANY(OP_MOVS, 8, 0, BASE, at, 8),
              DO_MANY(OP_MOVS, 4, 0, at, BASE + 0x100, 8),
              DO_MANY(OP_MOVS, 1, 1, BASE + 0x40, at + 0x40, 5));
    guest_run(guest);
    for (unsigned i = 0; i < 0x45; i++) {
        assert_int_equal(buffer[i], (uint8_t)(i + 0x10));
    }
    assert_int_equal(r->count, 21);
    for (unsigned i = 0; i < 8; i++) {
        recorder_assert(r, 8 + i, true, 0x100 + 4 * i, 4, recorder_value(4 * i, 4));
    }
    recorder_free(r);
    guest_free(guest);
}

/* A locked read-modify-write on a device: a read, then a write. */
static void test_locked_exchange(void **state)
{
    Guest *guest = guest_new(1);
    Recorder *r = recorder_new(guest, guest->root, BASE, 0x1000, 0);

    GUEST_OPS(guest, 0, DO(OP_XADD, 4, BASE + 4, 1), DO_USER(OP_XADD, 8, BASE + 8, 2));
    guest_run(guest);
    assert_int_equal(guest_result(guest, 0), 0x17161514);
    assert_int_equal(guest_result(guest, 1), recorder_value(8, 8));
    assert_int_equal(r->count, 4);
    recorder_assert(r, 1, true, 4, 4, 0x17161515);
    recorder_assert(r, 3, true, 8, 8, recorder_value(8, 8) + 2);
    recorder_free(r);
    guest_free(guest);
}

static void test_address_without_a_device(void **state)
{
    Guest *guest = guest_new(1);

    GUEST_OPS(guest, 0, DO(OP_WRITE, 4, BASE, 1), DO(OP_READ, 1, BASE, 0),
              DO(OP_READ, 8, BASE + 8, 0), DO_USER(OP_READ, 4, BASE, 0));
    guest_run(guest);
    assert_int_equal(guest_result(guest, 1), 0xff);
    assert_int_equal(guest_result(guest, 2), UINT64_MAX);
    assert_int_equal(guest_result(guest, 3), UINT32_MAX);
    guest_free(guest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_of_each_size),
        cmocka_unit_test(test_read_of_each_size_in_user_mode),
        cmocka_unit_test(test_write_of_each_size),
        cmocka_unit_test(test_accesses_over_a_page_edge),
        cmocka_unit_test(test_accesses_over_the_end_of_ram),
        cmocka_unit_test(test_string_move),
        cmocka_unit_test(test_locked_exchange),
        cmocka_unit_test(test_address_without_a_device),
    };

    return cmocka_run_group_tests_name("mmio", tests, NULL, NULL);
}
