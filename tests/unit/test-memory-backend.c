/* SPDX-License-Identifier: MIT */
/* Memory backends: each property of ram and memfd, as the kernel shows it in smaps and mincore. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "support/backend-fixture.h"
#include "tessera/util/error.h"
#include "tessera/util/rcu.h"
#include "tessera/util/size.h"

static bool kernel_has(const char *path)
{
    return access(path, F_OK) == 0;
}

static void test_backend_ram_defaults(void **state)
{
    BackendFixture *f = *state;
    MemoryBackend *backend = backends_add(f, "memory-backend-ram,id=m0,size=8M");
    RAMBlock *block = memory_backend_ram_block(backend);

    assert_string_equal(memory_backend_id(backend), "m0");
    assert_string_equal(ram_block_idstr(block), "m0");
    assert_int_equal(memory_backend_size(backend), 8 * MIB);
    assert_int_equal(ram_block_used_length(block), 8 * MIB);
    assert_int_equal(ram_block_flags(block), 0);
    assert_false(memory_backend_readonly(backend));
    assert_int_equal((uintptr_t)backend_host(backend) % (2 * MIB), 0);
    assert_false(backend_has_flag(backend, "sh"));
    assert_false(backend_has_flag(backend, "nr"));
    assert_false(backend_has_flag(backend, "dd"));
    assert_true(backend_has_flag(backend, "dc")); /* a forked child does not get it */
    if (kernel_has("/sys/kernel/mm/transparent_hugepage")) {
        assert_true(backend_has_flag(backend, "hg"));
    }
    if (kernel_has("/sys/kernel/mm/ksm")) {
        assert_true(backend_has_flag(backend, "mg"));
    }
    assert_int_equal(backend_resident_pages(backend), 0);
    assert_ptr_equal(memory_backend_get(f->store, "m0", NULL), backend);
}

static void test_backend_ram_each_property(void **state)
{
    BackendFixture *f = *state;

    assert_true(
        backend_has_flag(backends_add(f, "memory-backend-ram,id=a,size=2M,reserve=off"), "nr"));
    assert_true(
        backend_has_flag(backends_add(f, "memory-backend-ram,id=b,size=2M,dump=off"), "dd"));
    assert_false(
        backend_has_flag(backends_add(f, "memory-backend-ram,id=c,size=2M,merge=off"), "mg"));
    assert_true(
        backend_has_flag(backends_add(f, "memory-backend-ram,id=d,size=2M,share=on"), "sh"));
    assert_true(ram_block_fd(memory_backend_ram_block(memory_backend_get(f->store, "d", NULL))) >=
                0);
    assert_true(ram_block_flags(memory_backend_ram_block(memory_backend_get(f->store, "a", NULL))) &
                RAM_NORESERVE);
}

static void test_backend_ram_merge_on(void **state)
{
    if (!kernel_has("/sys/kernel/mm/ksm")) {
        backends_refuse(*state, TESSERA_ERROR_UNSUPPORTED, "merge=on",
                        "memory-backend-ram,id=m,size=2M,merge=on");
    } else {
        assert_true(backend_has_flag(
            backends_add(*state, "memory-backend-ram,id=m,size=2M,merge=on"), "mg"));
    }
    object_store_del(((BackendFixture *)*state)->store, "m", NULL);
    backends_refuse(*state, TESSERA_ERROR_INVALID, "share=off",
                    "memory-backend-ram,id=m,size=2M,merge=on,share=on");
    backends_refuse(*state, TESSERA_ERROR_INVALID, "share=off",
                    "memory-backend-memfd,id=m,size=2M,merge=on");
}

static void test_backend_prealloc(void **state)
{
    static const char *const types[] = { "memory-backend-ram", "memory-backend-ram,share=on",
                                         "memory-backend-memfd",
                                         "memory-backend-ram,prealloc-threads=3" };
    BackendFixture *f = *state;

    for (size_t i = 0; i < G_N_ELEMENTS(types); i++) {
        MemoryBackend *backend = backends_add(f, "%s,id=p%zu,size=6M,prealloc=on", types[i], i);

        assert_int_equal(backend_resident_pages(backend), 6 * MIB / 4096);
        assert_true(ram_block_flags(memory_backend_ram_block(backend)) & RAM_PREALLOCATED);
    }
    assert_string_equal(f->progress->str, "memory-backend-ram 'p3': preallocating 6291456/6291456");
}

static void test_backend_refuses_common(void **state)
{
    BackendFixture *f = *state;

    backends_refuse(f, TESSERA_ERROR_INVALID, "size=size is missing", "memory-backend-ram,id=m");
    backends_refuse(f, TESSERA_ERROR_INVALID, "'0' is out of range",
                    "memory-backend-ram,id=m,size=0");
    backends_refuse(f, TESSERA_ERROR_INVALID, "the nearest are 4K and 8K",
                    "memory-backend-ram,id=m,size=5000");
    backends_refuse(f, TESSERA_ERROR_INVALID, "the nearest is 4K",
                    "memory-backend-memfd,id=m,size=1000");
    backends_refuse(f, TESSERA_ERROR_NO_MEMORY, "4 EiB", "memory-backend-ram,id=m,size=4E");
    backends_refuse(f, TESSERA_ERROR_INVALID, "out of range", "memory-backend-ram,id=m,size=8E");
    backends_refuse(f, TESSERA_ERROR_NO_MEMORY, "4 EiB",
                    "memory-backend-memfd,id=m,size=4E,reserve=off");
    backends_refuse(f, TESSERA_ERROR_INVALID, "allowed are 0 to 1024",
                    "memory-backend-ram,id=m,size=4M,prealloc-threads=1025");
    backends_refuse(f, TESSERA_ERROR_NOT_FOUND, "(did you mean 'prealloc'?)",
                    "memory-backend-ram,id=m,size=4M,prelloc=on");
    backends_refuse(f, TESSERA_ERROR_NOT_FOUND, "no property 'mem-path'",
                    "memory-backend-ram,id=m,size=4M,mem-path=/tmp");
    /* It can be mapped without reserving, and never be filled. */
    backends_refuse(f, TESSERA_ERROR_NO_MEMORY, "of free memory and swap",
                    "memory-backend-ram,id=m,size=%" G_GUINT64_FORMAT "M,prealloc=on,reserve=off",
                    2 * host_memory_available() / MIB);
}

static void test_backend_same_memdev_twice(void **state)
{
    g_autoptr(GError) error = NULL;
    BackendFixture *f = *state;
    MemoryBackend *backend = backends_add(f, "memory-backend-ram,id=m0,size=2M");

    assert_true(memory_backend_claim(backend, "device 'dimm0'", &error));
    assert_false(memory_backend_claim(backend, "device 'dimm1'", &error));
    assert_non_null(strstr(error->message, "in use already, by device 'dimm0'"));
    g_clear_error(&error);
    assert_false(object_store_del(f->store, "m0", &error));
    memory_backend_release(backend);
    assert_true(object_store_del(f->store, "m0", NULL));
    g_clear_error(&error);
    assert_null(memory_backend_get(f->store, "m0", &error));
    assert_true(g_error_matches(error, TESSERA_ERROR, TESSERA_ERROR_NOT_FOUND));
}

/* An old map may hold the block while its id is given to a new object. */
static void test_backend_id_free_after_del(void **state)
{
    BackendFixture *f = *state;
    MemoryBackend *backend = backends_add(f, "memory-backend-ram,id=m0,size=2M");
    RAMBlock *held = ram_block_ref(memory_backend_ram_block(backend));

    assert_true(object_store_del(f->store, "m0", NULL));
    backend = backends_add(f, "memory-backend-ram,id=m0,size=4M");
    assert_ptr_not_equal(memory_backend_ram_block(backend), held);
    memset(ram_block_host(held), 1, 2 * MIB);
    ram_block_unref(held);
}

static int seals_of(MemoryBackend *backend)
{
    return fcntl(ram_block_fd(memory_backend_ram_block(backend)), F_GET_SEALS);
}

static void test_backend_memfd(void **state)
{
    BackendFixture *f = *state;
    MemoryBackend *shared = backends_add(f, "memory-backend-memfd,id=a,size=2M");
    MemoryBackend *private =
        backends_add(f, "memory-backend-memfd,id=b,size=2M,share=off,seal=off");
    char byte = 1;

    assert_true(backend_has_flag(shared, "sh"));
    assert_int_equal(seals_of(shared), F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
    assert_int_equal(ftruncate(ram_block_fd(memory_backend_ram_block(shared)), 4096), -1);
    backend_host(shared)[5] = 42;
    assert_int_equal(pread(ram_block_fd(memory_backend_ram_block(shared)), &byte, 1, 5), 1);
    assert_int_equal(byte, 42);

    assert_false(backend_has_flag(private, "sh"));
    assert_int_equal(seals_of(private), F_SEAL_SEAL); /* none can be set */
    backend_host(private)[5] = 42;
    assert_int_equal(pread(ram_block_fd(memory_backend_ram_block(private)), &byte, 1, 5), 1);
    assert_int_equal(byte, 0);
}

static void test_backend_memfd_hugetlb_refuses(void **state)
{
    BackendFixture *f = *state;

    backends_refuse(f, TESSERA_ERROR_INVALID, "hugetlb=on",
                    "memory-backend-memfd,id=m,size=2M,hugetlbsize=2M");
    backends_refuse(f, TESSERA_ERROR_UNSUPPORTED, "hugetlbsize=3M",
                    "memory-backend-memfd,id=m,size=6M,hugetlb=on,hugetlbsize=3M");
    backends_refuse(f, TESSERA_ERROR_UNSUPPORTED, "hugetlbsize=4K",
                    "memory-backend-memfd,id=m,size=6M,hugetlb=on,hugetlbsize=4K");
    if (host_huge_page_size_valid(2 * MIB)) {
        backends_refuse(f, TESSERA_ERROR_INVALID, "the nearest are 2M and 4M",
                        "memory-backend-memfd,id=m,size=3M,hugetlb=on,hugetlbsize=2M");
        backends_refuse(f, TESSERA_ERROR_NO_MEMORY, "huge pages of 2 MiB",
                        "memory-backend-memfd,id=m,size=1P,hugetlb=on,hugetlbsize=2M");
    }
}

#define HUGE_POOL "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"

static bool pool_write(uint64_t pages)
{
    g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT, pages);
    int fd = open(HUGE_POOL, O_WRONLY);
    bool done = fd >= 0 && write(fd, text, strlen(text)) > 0;

    if (fd >= 0) {
        close(fd);
    }
    return done;
}

static uint64_t pool_read(void)
{
    g_autofree char *text = NULL;

    return g_file_get_contents(HUGE_POOL, &text, NULL, NULL) ? strtoull(text, NULL, 10) : 0;
}

static uint64_t pool_before;

static int set_up_pool(void **state)
{
    pool_before = pool_read();
    if (host_huge_pages_free(2 * MIB) < 4) {
        pool_write(pool_before + 4);
    }
    return backends_setup(state);
}

static int tear_down_pool(void **state)
{
    int result = backends_teardown(state);

    if (pool_read() != pool_before) {
        pool_write(pool_before);
    }
    return result;
}

static void test_backend_memfd_hugetlb(void **state)
{
    BackendFixture *f = *state;
    uint64_t free_before = host_huge_pages_free(2 * MIB);
    MemoryBackend *reserved, *prealloc;

    if (free_before < 4) {
        print_message("*** hugetlb is NOT tested: no 4 huge pages of 2 MiB can be had here ***\n");
        skip();
    }
    reserved = backends_add(f, "memory-backend-memfd,id=r,size=4M,hugetlb=on,hugetlbsize=2M");
    prealloc =
        backends_add(f, "memory-backend-memfd,id=p,size=4M,hugetlb=on,hugetlbsize=2M,prealloc=on,"
                        "share=off");
    assert_true(backend_has_flag(reserved, "ht"));
    assert_true(backend_has_flag(prealloc, "ht"));
    assert_int_equal(ram_block_page_size(memory_backend_ram_block(reserved)), 2 * MIB);
    assert_int_equal(seals_of(reserved), F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
    assert_int_equal(host_huge_pages_free(2 * MIB), free_before - 4);
    memset(backend_host(reserved), 1, 4 * MIB);
    object_store_del(f->store, "r", NULL);
    object_store_del(f->store, "p", NULL);
    rcu_drain();
    assert_int_equal(host_huge_pages_free(2 * MIB), free_before);

    /* Neither reserved nor there: an error from preallocation, no SIGBUS. */
    backends_refuse(f, TESSERA_ERROR_NO_MEMORY, "ran out of huge pages",
                    "memory-backend-memfd,id=x,size=%" G_GUINT64_FORMAT "M,hugetlb=on,"
                    "hugetlbsize=2M,reserve=off,prealloc=on",
                    2 * (free_before + 8));
}

#define T(name) cmocka_unit_test_setup_teardown(name, backends_setup, backends_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_backend_ram_defaults),
        T(test_backend_ram_each_property),
        T(test_backend_ram_merge_on),
        T(test_backend_prealloc),
        T(test_backend_refuses_common),
        T(test_backend_same_memdev_twice),
        T(test_backend_id_free_after_del),
        T(test_backend_memfd),
        T(test_backend_memfd_hugetlb_refuses),
        cmocka_unit_test_setup_teardown(test_backend_memfd_hugetlb, set_up_pool, tear_down_pool),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
