/* SPDX-License-Identifier: MIT */
/* Mapping and preallocation on their own: the old kernel's way, cancelling, and running dry. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../src/memory/backend-internal.h"
#include "tessera/util/error.h"
#include "tessera/util/size.h"

static void map(HostMemory *mem, uint64_t size)
{
    HostMemorySpec spec = { .size = size, .fd = -1, .noreserve = true };

    assert_true(host_memory_map(mem, &spec, NULL));
}

static void test_host_memory_preallocate_without_populate(void **state)
{
    HostPrealloc how = { .threads = 2, .no_populate = true };
    g_autofree unsigned char *resident = g_malloc(5000);
    HostMemory mem;

    map(&mem, 5000 * 4096);
    madvise(mem.host, mem.size, MADV_NOHUGEPAGE);
    memset((uint8_t *)mem.host + 4096, 7, 4096);
    assert_true(host_memory_preallocate(&mem, 4999 * 4096, &how, NULL));
    assert_int_equal(mincore(mem.host, 5000 * 4096, resident), 0);
    for (int i = 0; i < 5000; i++) {
        assert_int_equal(resident[i] & 1, i < 4999);
    }
    assert_int_equal(((uint8_t *)mem.host)[4096], 7);
    assert_int_equal(((uint8_t *)mem.host)[8191], 7);
    host_memory_unmap(&mem);
    host_memory_unmap(&mem);
}

/* A file that shrinks behind the mapping: each page past its end would be a SIGBUS. */
static void test_host_memory_preallocate_never_sigbus(void **state)
{
    for (int no_populate = 0; no_populate <= 1; no_populate++) {
        HostPrealloc how = { .threads = 1, .no_populate = no_populate };
        HostMemorySpec spec = { .size = 8 * 4096,
                                .shared = true,
                                .fd = host_memfd_new("shrinks", 8 * 4096, 0, false, NULL) };
        g_autoptr(GError) error = NULL;
        HostMemory mem;

        assert_true(host_memory_map(&mem, &spec, NULL));
        assert_int_equal(ftruncate(mem.fd, 3 * 4096), 0);
        assert_false(host_memory_preallocate(&mem, 8 * 4096, &how, &error));
        assert_true(g_error_matches(error, TESSERA_ERROR, TESSERA_ERROR_NO_MEMORY));
        host_memory_unmap(&mem);
    }
}

static bool cancel_at_once(void *opaque, uint64_t done, uint64_t total)
{
    (*(int *)opaque)++;
    return false;
}

/* Long enough to be asked at least once on the way: a progress callback is, every 100 ms. */
static void test_host_memory_preallocate_cancelled(void **state)
{
    int calls = 0;
    HostPrealloc how = {
        .threads = 1, .progress = cancel_at_once, .opaque = &calls, .no_populate = true
    };
    g_autoptr(GError) error = NULL;
    HostMemory mem;

    map(&mem, 512 * MIB);
    madvise(mem.host, mem.size, MADV_NOHUGEPAGE);
    if (host_memory_preallocate(&mem, 512 * MIB, &how, &error)) {
        assert_int_equal(calls, 1); /* a very fast host: only the call at the end */
    } else {
        assert_int_equal(calls, 1);
        assert_non_null(strstr(error->message, "cancel"));
    }
    host_memory_unmap(&mem);
}

static void test_host_memory_map_refuses(void **state)
{
    static const struct {
        HostMemorySpec spec;
        int code;
    } cases[] = {
        { { .size = 0, .fd = -1 }, TESSERA_ERROR_INVALID },
        { { .size = UINT64_MAX, .fd = -1 }, TESSERA_ERROR_INVALID },
        { { .size = UINT64_C(1) << 63, .fd = -1 }, TESSERA_ERROR_INVALID },
        { { .size = INT64_MAX, .fd = -1 }, TESSERA_ERROR_INVALID },
        { { .size = INT64_MAX - 4095, .fd = -1 }, TESSERA_ERROR_NO_MEMORY },
        { { .size = UINT64_C(1) << 60, .fd = -1 }, TESSERA_ERROR_NO_MEMORY },
        { { .size = 4096, .align = UINT64_C(1) << 63, .fd = -1 }, TESSERA_ERROR_NO_MEMORY },
        { { .size = 4096, .align = 3 * 4096, .fd = -1 }, TESSERA_ERROR_INVALID },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        HostMemory mem;

        assert_false(host_memory_map(&mem, &cases[i].spec, &error));
        if (!g_error_matches(error, TESSERA_ERROR, cases[i].code)) {
            fail_msg("case %zu: %s", i, error->message);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_host_memory_preallocate_without_populate),
        cmocka_unit_test(test_host_memory_preallocate_never_sigbus),
        cmocka_unit_test(test_host_memory_preallocate_cancelled),
        cmocka_unit_test(test_host_memory_map_refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
