/* SPDX-License-Identifier: MIT */
/* Memory backends: each property, as the kernel shows it in smaps and mincore. */
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../src/memory/backend-internal.h"
#include "tessera/memory/memory-system.h"
#include "tessera/util/error.h"
#include "tessera/util/rcu.h"
#include "tessera/util/size.h"

/* What brings the classes along from the archive. */
static const ObjectClass *const classes[] = { &memory_backend_ram_class,
                                              &memory_backend_memfd_class,
                                              &memory_backend_file_class };

typedef struct Fixture {
    MemorySystem *ms;
    ObjectContext context;
    ObjectStore *store;
    char *dir;
    char *path; /* in dir, does not exist at first */
    GString *progress;
    bool cancel;
} Fixture;

static bool on_progress(void *opaque, const char *what, uint64_t done, uint64_t total)
{
    Fixture *f = opaque;

    assert_true(done <= total);
    g_string_printf(f->progress, "%s %" G_GUINT64_FORMAT "/%" G_GUINT64_FORMAT, what, done, total);
    return !f->cancel;
}

static int set_up(void **state)
{
    Fixture *f = g_new0(Fixture, 1);

    f->ms = memory_system_new(NULL);
    f->context = (ObjectContext){ .memory = f->ms, .progress = on_progress, .opaque = f };
    f->store = object_store_new(&f->context);
    f->dir = g_dir_make_tmp("tessera-backend-XXXXXX", NULL);
    f->path = g_build_filename(f->dir, "memory", NULL);
    f->progress = g_string_new(NULL);
    *state = f;
    for (size_t i = 0; i < G_N_ELEMENTS(classes); i++) {
        assert_ptr_equal(object_class_find(classes[i]->name, NULL), classes[i]);
    }
    return f->dir ? 0 : -1;
}

static int tear_down(void **state)
{
    Fixture *f = *state;
    int left_over;

    object_store_free(f->store);
    memory_system_free(f->ms);
    g_unlink(f->path);
    left_over = g_rmdir(f->dir); /* fails if somebody left a file behind */
    g_string_free(f->progress, TRUE);
    g_free(f->dir);
    g_free(f->path);
    g_free(f);
    return left_over;
}

static MemoryBackend *add(Fixture *f, const char *format, ...) G_GNUC_PRINTF(2, 3);

static MemoryBackend *add(Fixture *f, const char *format, ...)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL;
    UserObject *obj;
    va_list ap;

    va_start(ap, format);
    text = g_strdup_vprintf(format, ap);
    va_end(ap);
    obj = object_store_add_option(f->store, text, &error);
    if (!obj) {
        fail_msg("%s: %s", text, error->message);
    }
    return memory_backend_from_object(obj);
}

static void expect_refused(Fixture *f, int code, const char *part, const char *format, ...)
    G_GNUC_PRINTF(4, 5);

static void count_block(RAMBlock *block, void *opaque)
{
    (*(unsigned *)opaque)++;
}

static void expect_refused(Fixture *f, int code, const char *part, const char *format, ...)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL;
    unsigned blocks = 0;
    va_list ap;

    va_start(ap, format);
    text = g_strdup_vprintf(format, ap);
    va_end(ap);
    if (object_store_add_option(f->store, text, &error)) {
        fail_msg("'%s' was accepted", text);
    }
    if (!strstr(error->message, part)) {
        fail_msg("'%s' gave '%s' without '%s'", text, error->message, part);
    }
    if (!g_error_matches(error, TESSERA_ERROR, code)) {
        fail_msg("'%s' gave code %d: %s", text, error->code, error->message);
    }
    memory_system_lock(f->ms);
    ram_block_for_each(f->ms, count_block, &blocks);
    memory_system_unlock(f->ms);
    assert_int_equal(blocks, 0);
}

static uint8_t *host_of(MemoryBackend *backend)
{
    return ram_block_host(memory_backend_ram_block(backend));
}

/* The VmFlags line of the mapping that holds @host. */
static char *vm_flags(const void *host)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    bool inside = false;

    g_file_get_contents("/proc/self/smaps", &text, NULL, NULL);
    lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        unsigned long start, end;

        if (sscanf(*line, "%lx-%lx ", &start, &end) == 2) {
            inside = (uintptr_t)host >= start && (uintptr_t)host < end;
        } else if (inside && g_str_has_prefix(*line, "VmFlags:")) {
            return g_strconcat(*line, " ", NULL);
        }
    }
    return g_strdup("");
}

static bool has_flag(MemoryBackend *backend, const char *flag)
{
    g_autofree char *flags = vm_flags(host_of(backend));
    g_autofree char *word = g_strdup_printf(" %s ", flag);

    return strstr(flags, word) != NULL;
}

static uint64_t resident_pages(MemoryBackend *backend)
{
    uint64_t pages = memory_backend_size(backend) / 4096, resident = 0;
    g_autofree unsigned char *map = g_malloc(pages);

    assert_int_equal(mincore(host_of(backend), pages * 4096, map), 0);
    for (uint64_t i = 0; i < pages; i++) {
        resident += map[i] & 1;
    }
    return resident;
}

static bool kernel_has(const char *path)
{
    return access(path, F_OK) == 0;
}

static void test_backend_ram_defaults(void **state)
{
    Fixture *f = *state;
    MemoryBackend *backend = add(f, "memory-backend-ram,id=m0,size=8M");
    RAMBlock *block = memory_backend_ram_block(backend);

    assert_string_equal(memory_backend_id(backend), "m0");
    assert_string_equal(ram_block_idstr(block), "m0");
    assert_int_equal(memory_backend_size(backend), 8 * MIB);
    assert_int_equal(ram_block_used_length(block), 8 * MIB);
    assert_int_equal(ram_block_flags(block), 0);
    assert_false(memory_backend_readonly(backend));
    assert_int_equal((uintptr_t)host_of(backend) % (2 * MIB), 0);
    assert_false(has_flag(backend, "sh"));
    assert_false(has_flag(backend, "nr"));
    assert_false(has_flag(backend, "dd"));
    assert_true(has_flag(backend, "dc")); /* a forked child does not get it */
    if (kernel_has("/sys/kernel/mm/transparent_hugepage")) {
        assert_true(has_flag(backend, "hg"));
    }
    if (kernel_has("/sys/kernel/mm/ksm")) {
        assert_true(has_flag(backend, "mg"));
    }
    assert_int_equal(resident_pages(backend), 0);
    assert_ptr_equal(memory_backend_get(f->store, "m0", NULL), backend);
}

static void test_backend_ram_each_property(void **state)
{
    Fixture *f = *state;

    assert_true(has_flag(add(f, "memory-backend-ram,id=a,size=2M,reserve=off"), "nr"));
    assert_true(has_flag(add(f, "memory-backend-ram,id=b,size=2M,dump=off"), "dd"));
    assert_false(has_flag(add(f, "memory-backend-ram,id=c,size=2M,merge=off"), "mg"));
    assert_true(has_flag(add(f, "memory-backend-ram,id=d,size=2M,share=on"), "sh"));
    assert_true(ram_block_fd(memory_backend_ram_block(memory_backend_get(f->store, "d", NULL))) >=
                0);
    assert_true(ram_block_flags(memory_backend_ram_block(memory_backend_get(f->store, "a", NULL))) &
                RAM_NORESERVE);
}

static void test_backend_ram_merge_on(void **state)
{
    if (!kernel_has("/sys/kernel/mm/ksm")) {
        expect_refused(*state, TESSERA_ERROR_UNSUPPORTED, "merge=on",
                       "memory-backend-ram,id=m,size=2M,merge=on");
    } else {
        assert_true(has_flag(add(*state, "memory-backend-ram,id=m,size=2M,merge=on"), "mg"));
    }
    object_store_del(((Fixture *)*state)->store, "m", NULL);
    expect_refused(*state, TESSERA_ERROR_INVALID, "share=off",
                   "memory-backend-ram,id=m,size=2M,merge=on,share=on");
    expect_refused(*state, TESSERA_ERROR_INVALID, "share=off",
                   "memory-backend-memfd,id=m,size=2M,merge=on");
}

static void test_backend_prealloc(void **state)
{
    static const char *const types[] = { "memory-backend-ram", "memory-backend-ram,share=on",
                                         "memory-backend-memfd",
                                         "memory-backend-ram,prealloc-threads=3" };
    Fixture *f = *state;

    for (size_t i = 0; i < G_N_ELEMENTS(types); i++) {
        MemoryBackend *backend = add(f, "%s,id=p%zu,size=6M,prealloc=on", types[i], i);

        assert_int_equal(resident_pages(backend), 6 * MIB / 4096);
        assert_true(ram_block_flags(memory_backend_ram_block(backend)) & RAM_PREALLOCATED);
    }
    assert_string_equal(f->progress->str, "memory-backend-ram 'p3': preallocating 6291456/6291456");
}

static void test_backend_refuses_common(void **state)
{
    Fixture *f = *state;

    expect_refused(f, TESSERA_ERROR_INVALID, "size=size is missing", "memory-backend-ram,id=m");
    expect_refused(f, TESSERA_ERROR_INVALID, "'0' is out of range",
                   "memory-backend-ram,id=m,size=0");
    expect_refused(f, TESSERA_ERROR_INVALID, "the nearest are 4K and 8K",
                   "memory-backend-ram,id=m,size=5000");
    expect_refused(f, TESSERA_ERROR_INVALID, "the nearest are 4K",
                   "memory-backend-memfd,id=m,size=1000");
    expect_refused(f, TESSERA_ERROR_NO_MEMORY, "4 EiB", "memory-backend-ram,id=m,size=4E");
    expect_refused(f, TESSERA_ERROR_INVALID, "out of range", "memory-backend-ram,id=m,size=8E");
    expect_refused(f, TESSERA_ERROR_NO_MEMORY, "4 EiB",
                   "memory-backend-memfd,id=m,size=4E,reserve=off");
    expect_refused(f, TESSERA_ERROR_INVALID, "allowed are 0 to 1024",
                   "memory-backend-ram,id=m,size=4M,prealloc-threads=1025");
    expect_refused(f, TESSERA_ERROR_NOT_FOUND, "(did you mean 'prealloc'?)",
                   "memory-backend-ram,id=m,size=4M,prelloc=on");
    expect_refused(f, TESSERA_ERROR_NOT_FOUND, "no property 'mem-path'",
                   "memory-backend-ram,id=m,size=4M,mem-path=/tmp");
    /* It can be mapped without reserving, and never be filled. */
    expect_refused(f, TESSERA_ERROR_NO_MEMORY, "of free memory and swap",
                   "memory-backend-ram,id=m,size=%" G_GUINT64_FORMAT "M,prealloc=on,reserve=off",
                   2 * host_memory_available() / MIB);
}

static void test_backend_same_memdev_twice(void **state)
{
    g_autoptr(GError) error = NULL;
    Fixture *f = *state;
    MemoryBackend *backend = add(f, "memory-backend-ram,id=m0,size=2M");

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
    Fixture *f = *state;
    MemoryBackend *backend = add(f, "memory-backend-ram,id=m0,size=2M");
    RAMBlock *held = ram_block_ref(memory_backend_ram_block(backend));

    assert_true(object_store_del(f->store, "m0", NULL));
    backend = add(f, "memory-backend-ram,id=m0,size=4M");
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
    Fixture *f = *state;
    MemoryBackend *shared = add(f, "memory-backend-memfd,id=a,size=2M");
    MemoryBackend *private = add(f, "memory-backend-memfd,id=b,size=2M,share=off,seal=off");
    char byte = 1;

    assert_true(has_flag(shared, "sh"));
    assert_int_equal(seals_of(shared), F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
    assert_int_equal(ftruncate(ram_block_fd(memory_backend_ram_block(shared)), 4096), -1);
    host_of(shared)[5] = 42;
    assert_int_equal(pread(ram_block_fd(memory_backend_ram_block(shared)), &byte, 1, 5), 1);
    assert_int_equal(byte, 42);

    assert_false(has_flag(private, "sh"));
    assert_int_equal(seals_of(private), F_SEAL_SEAL); /* none can be set */
    host_of(private)[5] = 42;
    assert_int_equal(pread(ram_block_fd(memory_backend_ram_block(private)), &byte, 1, 5), 1);
    assert_int_equal(byte, 0);
}

static void test_backend_memfd_hugetlb_refuses(void **state)
{
    Fixture *f = *state;

    expect_refused(f, TESSERA_ERROR_INVALID, "hugetlb=on",
                   "memory-backend-memfd,id=m,size=2M,hugetlbsize=2M");
    expect_refused(f, TESSERA_ERROR_UNSUPPORTED, "hugetlbsize=3M",
                   "memory-backend-memfd,id=m,size=6M,hugetlb=on,hugetlbsize=3M");
    expect_refused(f, TESSERA_ERROR_UNSUPPORTED, "hugetlbsize=4K",
                   "memory-backend-memfd,id=m,size=6M,hugetlb=on,hugetlbsize=4K");
    if (host_huge_page_size_valid(2 * MIB)) {
        expect_refused(f, TESSERA_ERROR_INVALID, "the nearest are 2M and 4M",
                       "memory-backend-memfd,id=m,size=3M,hugetlb=on,hugetlbsize=2M");
        expect_refused(f, TESSERA_ERROR_NO_MEMORY, "huge pages of 2 MiB",
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
    return set_up(state);
}

static int tear_down_pool(void **state)
{
    int result = tear_down(state);

    if (pool_read() != pool_before) {
        pool_write(pool_before);
    }
    return result;
}

static void test_backend_memfd_hugetlb(void **state)
{
    Fixture *f = *state;
    uint64_t free_before = host_huge_pages_free(2 * MIB);
    MemoryBackend *reserved, *prealloc;

    if (free_before < 4) {
        print_message("*** hugetlb is NOT tested: no 4 huge pages of 2 MiB can be had here ***\n");
        skip();
    }
    reserved = add(f, "memory-backend-memfd,id=r,size=4M,hugetlb=on,hugetlbsize=2M");
    prealloc = add(f, "memory-backend-memfd,id=p,size=4M,hugetlb=on,hugetlbsize=2M,prealloc=on,"
                      "share=off");
    assert_true(has_flag(reserved, "ht"));
    assert_true(has_flag(prealloc, "ht"));
    assert_int_equal(ram_block_page_size(memory_backend_ram_block(reserved)), 2 * MIB);
    assert_int_equal(seals_of(reserved), F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
    assert_int_equal(host_huge_pages_free(2 * MIB), free_before - 4);
    memset(host_of(reserved), 1, 4 * MIB);
    object_store_del(f->store, "r", NULL);
    object_store_del(f->store, "p", NULL);
    rcu_drain();
    assert_int_equal(host_huge_pages_free(2 * MIB), free_before);

    /* Neither reserved nor there: an error from preallocation, no SIGBUS. */
    expect_refused(f, TESSERA_ERROR_NO_MEMORY, "ran out of huge pages",
                   "memory-backend-memfd,id=x,size=%" G_GUINT64_FORMAT "M,hugetlb=on,"
                   "hugetlbsize=2M,reserve=off,prealloc=on",
                   2 * (free_before + 8));
}

static void write_file(Fixture *f, uint64_t size, const char *text)
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
    Fixture *f = *state;
    MemoryBackend *backend =
        add(f, "memory-backend-file,id=m,size=2M,share=on,mem-path=%s", f->path);
    g_autofree char *text = NULL;
    gsize len;

    assert_true(has_flag(backend, "sh"));
    strcpy((char *)host_of(backend), "kept");
    object_store_del(f->store, "m", NULL);
    rcu_drain();
    assert_true(g_file_get_contents(f->path, &text, &len, NULL));
    assert_int_equal(len, 2 * MIB);
    assert_string_equal(text, "kept");
}

static void test_backend_file_private(void **state)
{
    Fixture *f = *state;
    MemoryBackend *backend;
    g_autofree char *text = NULL;

    write_file(f, 8192, "as it was");
    backend = add(f, "memory-backend-file,id=m,size=8K,mem-path=%s,prealloc=on", f->path);
    assert_false(has_flag(backend, "sh"));
    assert_string_equal(host_of(backend), "as it was"); /* preallocation keeps it */
    strcpy((char *)host_of(backend), "changed");
    object_store_del(f->store, "m", NULL);
    assert_true(g_file_get_contents(f->path, &text, NULL, NULL));
    assert_string_equal(text, "as it was");
}

static void test_backend_file_prealloc_keeps_contents(void **state)
{
    Fixture *f = *state;
    MemoryBackend *backend;

    write_file(f, 8192, "as it was");
    backend = add(f, "memory-backend-file,id=m,size=8K,share=on,prealloc=on,mem-path=%s", f->path);
    assert_string_equal(host_of(backend), "as it was");
    assert_int_equal(resident_pages(backend), 2);
}

static void test_backend_file_directory(void **state)
{
    Fixture *f = *state;
    MemoryBackend *backend =
        add(f, "memory-backend-file,id=m,size=2M,share=on,mem-path=%s", f->dir);
    g_autoptr(GDir) dir = g_dir_open(f->dir, 0, NULL);

    assert_null(g_dir_read_name(dir)); /* nameless from the start */
    host_of(backend)[2 * MIB - 1] = 1;
    assert_int_equal(ram_block_fd(memory_backend_ram_block(backend)) >= 0, 1);
}

static void test_backend_file_readonly(void **state)
{
    Fixture *f = *state;
    MemoryBackend *backend;
    int fds[2];

    write_file(f, 8192, "rom");
    assert_int_equal(chmod(f->path, 0444), 0);
    backend = add(f, "memory-backend-file,id=m,size=8K,readonly=on,mem-path=%s", f->path);
    assert_true(memory_backend_readonly(backend));
    assert_string_equal(host_of(backend), "rom");
    assert_false(has_flag(backend, "wr"));
    assert_int_equal(
        fcntl(ram_block_fd(memory_backend_ram_block(backend)), F_GETFL) & O_ACCMODE, O_RDONLY);
    /* The kernel's own write into it fails instead of a signal. */
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_int_equal(read(fds[0], host_of(backend), 1), -1);
    close(fds[0]);
    close(fds[1]);
}

static void test_backend_file_offset_and_align(void **state)
{
    Fixture *f = *state;
    MemoryBackend *backend;

    write_file(f, 3 * 4096, "first");
    {
        int fd = open(f->path, O_WRONLY);
        assert_int_equal(pwrite(fd, "second", 7, 4096), 7);
        close(fd);
    }
    backend = add(f, "memory-backend-file,id=m,size=8K,offset=4K,align=16M,mem-path=%s", f->path);
    assert_string_equal(host_of(backend), "second");
    assert_int_equal((uintptr_t)host_of(backend) % (16 * MIB), 0);
    object_store_del(f->store, "m", NULL);
    expect_refused(f, TESSERA_ERROR_INVALID, "file offset 0x100",
                   "memory-backend-file,id=m,size=4K,offset=0x100,mem-path=%s", f->path);
    expect_refused(f, TESSERA_ERROR_INVALID, "alignment 0x3000",
                   "memory-backend-file,id=m,size=4K,align=12K,mem-path=%s", f->path);
    expect_refused(f, TESSERA_ERROR_INVALID, "too short",
                   "memory-backend-file,id=m,size=8K,offset=8K,mem-path=%s", f->path);
    expect_refused(f, TESSERA_ERROR_INVALID, "2^63",
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
    Fixture *f = *state;
    MemoryBackend *backend =
        add(f, "memory-backend-file,id=m,size=1M,share=on,discard-data=on,mem-path=%s", f->path);
    g_autofree char *text = NULL;
    gsize len;

    memset(host_of(backend), 0x55, MIB);
    msync(host_of(backend), MIB, MS_SYNC);
    assert_true(file_blocks(f->path) >= MIB / 512);
    object_store_del(f->store, "m", NULL);
    assert_int_equal(file_blocks(f->path), 0);
    assert_true(g_file_get_contents(f->path, &text, &len, NULL));
    assert_int_equal(len, MIB);
    assert_int_equal(text[0], 0);
}

static void test_backend_file_refuses(void **state)
{
    Fixture *f = *state;
    g_autofree char *fifo = g_build_filename(f->dir, "fifo", NULL);

    expect_refused(f, TESSERA_ERROR_INVALID, "mem-path=string is missing",
                   "memory-backend-file,id=m,size=4K");
    expect_refused(f, TESSERA_ERROR_SYSTEM, "/nonexistent/x",
                   "memory-backend-file,id=m,size=4K,mem-path=/nonexistent/x");
    expect_refused(f, TESSERA_ERROR_NOT_FOUND, "readonly=on makes none",
                   "memory-backend-file,id=m,size=4K,readonly=on,mem-path=%s", f->path);
    expect_refused(f, TESSERA_ERROR_INVALID, "directory",
                   "memory-backend-file,id=m,size=4K,readonly=on,mem-path=%s", f->dir);
    expect_refused(f, TESSERA_ERROR_INVALID, "discard-data=on",
                   "memory-backend-file,id=m,size=4K,readonly=on,discard-data=on,mem-path=%s",
                   f->path);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    expect_refused(f, TESSERA_ERROR_INVALID, "neither a file",
                   "memory-backend-file,id=m,size=4K,mem-path=%s", fifo);
    g_unlink(fifo);
    write_file(f, 4096, "short");
    expect_refused(f, TESSERA_ERROR_INVALID, "too short: it has 4 KiB, needed are 8 KiB",
                   "memory-backend-file,id=m,size=8K,mem-path=%s", f->path);
    assert_int_equal(file_blocks(f->path) > 0, 1); /* untouched */
    expect_refused(f, TESSERA_ERROR_INVALID, "use readonly=off",
                   "memory-backend-file,id=m,size=4K,readonly=on,prealloc=on,mem-path=%s", f->path);
    write_file(f, 0, "");
    expect_refused(f, TESSERA_ERROR_INVALID, "empty",
                   "memory-backend-file,id=m,size=4K,readonly=on,mem-path=%s", f->path);
}

static void test_backend_file_failure_leaves_no_file(void **state)
{
    Fixture *f = *state;

    expect_refused(f, TESSERA_ERROR_INVALID, "nearest",
                   "memory-backend-file,id=m,size=5000,mem-path=%s", f->path);
    assert_int_equal(access(f->path, F_OK), -1);
    expect_refused(f, TESSERA_ERROR_INVALID, "alignment",
                   "memory-backend-file,id=m,size=8K,align=3,mem-path=%s", f->path);
    assert_int_equal(access(f->path, F_OK), -1);
}

/* Preallocation on its own: the old kernel's way, cancelling, and running dry. */

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
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
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
        T(test_backend_file_creates),
        T(test_backend_file_private),
        T(test_backend_file_prealloc_keeps_contents),
        T(test_backend_file_directory),
        T(test_backend_file_readonly),
        T(test_backend_file_offset_and_align),
        T(test_backend_file_discard_data),
        T(test_backend_file_refuses),
        T(test_backend_file_failure_leaves_no_file),
        cmocka_unit_test(test_host_memory_preallocate_without_populate),
        cmocka_unit_test(test_host_memory_preallocate_never_sigbus),
        cmocka_unit_test(test_host_memory_preallocate_cancelled),
        cmocka_unit_test(test_host_memory_map_refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
