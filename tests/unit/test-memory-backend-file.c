/* SPDX-License-Identifier: MIT */
/* Memory backends in files: what becomes of the file, and of its contents. */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "support/backend-fixture.h"
#include "tessera/util/error.h"
#include "tessera/util/rcu.h"
#include "tessera/util/size.h"

static void write_file(BackendFixture *f, uint64_t size, const char *text)
{
    FILE *file = fopen(f->path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fflush(file), 0);
    assert_int_equal(ftruncate(fileno(file), (off_t)size), 0);
    fclose(file);
}

static void test_backend_file_creates(void **state)
{
    BackendFixture *f = *state;
    MemoryBackend *backend =
        backends_add(f, "memory-backend-file,id=m,size=2M,share=on,mem-path=%s", f->path);
    g_autofree char *text = NULL;
    gsize len;

    assert_true(backend_has_flag(backend, "sh"));
    strcpy((char *)backend_host(backend), "kept");
    object_store_del(f->store, "m", NULL);
    rcu_drain();
    assert_true(g_file_get_contents(f->path, &text, &len, NULL));
    assert_int_equal(len, 2 * MIB);
    assert_string_equal(text, "kept");
}

static void test_backend_file_private(void **state)
{
    BackendFixture *f = *state;
    MemoryBackend *backend;
    g_autofree char *text = NULL;

    write_file(f, 8192, "as it was");
    backend = backends_add(f, "memory-backend-file,id=m,size=8K,mem-path=%s,prealloc=on", f->path);
    assert_false(backend_has_flag(backend, "sh"));
    assert_string_equal(backend_host(backend), "as it was"); /* preallocation keeps it */
    strcpy((char *)backend_host(backend), "changed");
    object_store_del(f->store, "m", NULL);
    assert_true(g_file_get_contents(f->path, &text, NULL, NULL));
    assert_string_equal(text, "as it was");
}

static void test_backend_file_prealloc_keeps_contents(void **state)
{
    BackendFixture *f = *state;
    MemoryBackend *backend;

    write_file(f, 8192, "as it was");
    backend = backends_add(f, "memory-backend-file,id=m,size=8K,share=on,prealloc=on,mem-path=%s",
                           f->path);
    assert_string_equal(backend_host(backend), "as it was");
    assert_int_equal(backend_resident_pages(backend), 2);
}

static void test_backend_file_directory(void **state)
{
    BackendFixture *f = *state;
    MemoryBackend *backend =
        backends_add(f, "memory-backend-file,id=m,size=2M,share=on,mem-path=%s", f->dir);
    g_autoptr(GDir) dir = g_dir_open(f->dir, 0, NULL);

    assert_null(g_dir_read_name(dir)); /* nameless from the start */
    backend_host(backend)[2 * MIB - 1] = 1;
    assert_int_equal(ram_block_fd(memory_backend_ram_block(backend)) >= 0, 1);
}

static void test_backend_file_readonly(void **state)
{
    BackendFixture *f = *state;
    MemoryBackend *backend;
    int fds[2];

    write_file(f, 8192, "rom");
    assert_int_equal(chmod(f->path, 0444), 0);
    backend = backends_add(f, "memory-backend-file,id=m,size=8K,readonly=on,mem-path=%s", f->path);
    assert_true(memory_backend_readonly(backend));
    assert_string_equal(backend_host(backend), "rom");
    assert_false(backend_has_flag(backend, "wr"));
    assert_int_equal(fcntl(ram_block_fd(memory_backend_ram_block(backend)), F_GETFL) & O_ACCMODE,
                     O_RDONLY);
    /* The kernel's own write into it fails instead of a signal. */
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_int_equal(read(fds[0], backend_host(backend), 1), -1);
    close(fds[0]);
    close(fds[1]);
}

static void test_backend_file_offset_and_align(void **state)
{
    BackendFixture *f = *state;
    MemoryBackend *backend;

    write_file(f, 3 * 4096, "first");
    {
        int fd = open(f->path, O_WRONLY);
        assert_int_equal(pwrite(fd, "second", 7, 4096), 7);
        close(fd);
    }
    backend = backends_add(f, "memory-backend-file,id=m,size=8K,offset=4K,align=16M,mem-path=%s",
                           f->path);
    assert_string_equal(backend_host(backend), "second");
    assert_int_equal((uintptr_t)backend_host(backend) % (16 * MIB), 0);
    object_store_del(f->store, "m", NULL);
    backends_refuse(f, TESSERA_ERROR_INVALID, "file offset 0x100",
                    "memory-backend-file,id=m,size=4K,offset=0x100,mem-path=%s", f->path);
    backends_refuse(f, TESSERA_ERROR_INVALID, "alignment 0x3000",
                    "memory-backend-file,id=m,size=4K,align=12K,mem-path=%s", f->path);
    backends_refuse(f, TESSERA_ERROR_INVALID, "too short",
                    "memory-backend-file,id=m,size=8K,offset=8K,mem-path=%s", f->path);
    backends_refuse(f, TESSERA_ERROR_INVALID, "2^63",
                    "memory-backend-file,id=m,size=8K,offset=0xfffffffffffff000,mem-path=%s",
                    f->path);
}

static uint64_t file_blocks(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return (uint64_t)st.st_blocks;
}

static void test_backend_file_discard_data(void **state)
{
    BackendFixture *f = *state;
    MemoryBackend *backend = backends_add(
        f, "memory-backend-file,id=m,size=1M,share=on,discard-data=on,mem-path=%s", f->path);
    g_autofree char *text = NULL;
    gsize len;

    memset(backend_host(backend), 0x55, MIB);
    msync(backend_host(backend), MIB, MS_SYNC);
    assert_true(file_blocks(f->path) >= MIB / 512);
    object_store_del(f->store, "m", NULL);
    assert_int_equal(file_blocks(f->path), 0);
    assert_true(g_file_get_contents(f->path, &text, &len, NULL));
    assert_int_equal(len, MIB);
    assert_int_equal(text[0], 0);
}

static void test_backend_file_refuses(void **state)
{
    BackendFixture *f = *state;
    g_autofree char *fifo = g_build_filename(f->dir, "fifo", NULL);

    backends_refuse(f, TESSERA_ERROR_INVALID, "mem-path=string is missing",
                    "memory-backend-file,id=m,size=4K");
    backends_refuse(f, TESSERA_ERROR_SYSTEM, "/nonexistent/x",
                    "memory-backend-file,id=m,size=4K,mem-path=/nonexistent/x");
    backends_refuse(f, TESSERA_ERROR_NOT_FOUND, "readonly=on makes none",
                    "memory-backend-file,id=m,size=4K,readonly=on,mem-path=%s", f->path);
    backends_refuse(f, TESSERA_ERROR_INVALID, "directory",
                    "memory-backend-file,id=m,size=4K,readonly=on,mem-path=%s", f->dir);
    backends_refuse(f, TESSERA_ERROR_INVALID, "discard-data=on",
                    "memory-backend-file,id=m,size=4K,readonly=on,discard-data=on,mem-path=%s",
                    f->path);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    backends_refuse(f, TESSERA_ERROR_INVALID, "neither a file",
                    "memory-backend-file,id=m,size=4K,mem-path=%s", fifo);
    g_unlink(fifo);
    write_file(f, 4096, "short");
    backends_refuse(f, TESSERA_ERROR_INVALID, "too short: it has 4 KiB, needed are 8 KiB",
                    "memory-backend-file,id=m,size=8K,mem-path=%s", f->path);
    assert_int_equal(file_blocks(f->path) > 0, 1); /* untouched */
    backends_refuse(f, TESSERA_ERROR_INVALID, "use readonly=off",
                    "memory-backend-file,id=m,size=4K,readonly=on,prealloc=on,mem-path=%s",
                    f->path);
    write_file(f, 0, "");
    backends_refuse(f, TESSERA_ERROR_INVALID, "empty",
                    "memory-backend-file,id=m,size=4K,readonly=on,mem-path=%s", f->path);
}

static void test_backend_file_failure_leaves_no_file(void **state)
{
    BackendFixture *f = *state;

    backends_refuse(f, TESSERA_ERROR_INVALID, "nearest",
                    "memory-backend-file,id=m,size=5000,mem-path=%s", f->path);
    assert_int_equal(access(f->path, F_OK), -1);
    backends_refuse(f, TESSERA_ERROR_INVALID, "alignment",
                    "memory-backend-file,id=m,size=8K,align=3,mem-path=%s", f->path);
    assert_int_equal(access(f->path, F_OK), -1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, backends_setup, backends_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_backend_file_creates),
        T(test_backend_file_private),
        T(test_backend_file_prealloc_keeps_contents),
        T(test_backend_file_directory),
        T(test_backend_file_readonly),
        T(test_backend_file_offset_and_align),
        T(test_backend_file_discard_data),
        T(test_backend_file_refuses),
        T(test_backend_file_failure_leaves_no_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
