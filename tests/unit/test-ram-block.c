/* SPDX-License-Identifier: MIT */
/* RAMBlocks: order, lookups, resizing, notifiers, lifetime. */
#include <glib.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../src/memory/ram-internal.h"
#include "support/host-mapping.h"
#include "tessera/util/error.h"
#include "tessera/util/size.h"

static int set_up(void **state)
{
    *state = memory_system_new(NULL);
    return 0;
}

static int tear_down(void **state)
{
    memory_system_free(*state);
    return 0;
}

static RAMBlock *make(MemorySystem *ms, const char *name, uint64_t size)
{
    g_autoptr(GError) error = NULL;
    RAMBlock *block = ram_block_new(ms, name, size, 0, 0, &error);

    if (!block) {
        fail_msg("%s: %s", name, error->message);
    }
    return block;
}

static void test_ram_block_new_attributes(void **state)
{
    RAMBlock *block = make(*state, "pc.ram", 5000);
    uint8_t *host = ram_block_host(block);

    assert_string_equal(ram_block_idstr(block), "pc.ram");
    assert_int_equal((uintptr_t)host % (2 * MIB), 0);
    assert_int_equal(ram_block_used_length(block), 8192); /* rounded up to the page */
    assert_int_equal(ram_block_max_length(block), 8192);
    assert_int_equal(ram_block_page_size(block), sysconf(_SC_PAGESIZE));
    assert_int_equal(ram_block_flags(block), 0);
    assert_int_equal(ram_block_fd(block), -1);
    assert_int_equal(ram_block_offset(block), 0);
    assert_int_equal(host[0], 0);
    memset(host, 0x5a, 8192);
    ram_block_unref(block);
}

static void test_ram_block_new_gigantic_alignment(void **state)
{
    g_autoptr(GError) error = NULL;
    RAMBlock *block = ram_block_new(*state, "big", 5 * GIB, 0, RAM_NORESERVE, &error);

    assert_non_null(block);
    assert_int_equal((uintptr_t)ram_block_host(block) % GIB, 0);
    ((uint8_t *)ram_block_host(block))[5 * GIB - 1] = 1;
    ram_block_unref(block);
}

static void test_ram_block_new_shared_has_a_file(void **state)
{
    g_autoptr(GError) error = NULL;
    RAMBlock *block = ram_block_new(*state, "shared", 8192, 0, RAM_SHARED, &error);
    uint8_t *other;

    assert_non_null(block);
    assert_true(ram_block_flags(block) & RAM_SHARED);
    assert_true(ram_block_fd(block) >= 0);
    other = mmap(NULL, 8192, PROT_READ, MAP_SHARED, ram_block_fd(block), 0);
    assert_true(other != MAP_FAILED);
    strcpy(ram_block_host(block), "seen");
    assert_string_equal(other, "seen");
    munmap(other, 8192);
    ram_block_unref(block);
}

static void expect_refused(RAMBlock *block, GError **error, int code, const char *part)
{
    assert_null(block);
    assert_true(g_error_matches(*error, TESSERA_ERROR, code));
    if (!strstr((*error)->message, part)) {
        fail_msg("'%s' lacks '%s'", (*error)->message, part);
    }
    g_clear_error(error);
}

static void test_ram_block_new_refuses(void **state)
{
    RAMBlock *block = make(*state, "twin", 4096);
    GError *error = NULL;
    char page[4096];
    FILE *file = tmpfile();

    expect_refused(ram_block_new(*state, "twin", 4096, 0, 0, &error), &error, TESSERA_ERROR_EXISTS,
                   "'twin'");
    expect_refused(ram_block_new(*state, "none", 0, 0, 0, &error), &error, TESSERA_ERROR_INVALID,
                   "'none'");
    expect_refused(ram_block_new(*state, "less", 8192, 4096, 0, &error), &error,
                   TESSERA_ERROR_INVALID, "'less'");
    expect_refused(ram_block_new(*state, "huge", UINT64_C(1) << 62, 0, 0, &error), &error,
                   TESSERA_ERROR_NO_MEMORY, "4 EiB");
    expect_refused(ram_block_new(*state, "most", UINT64_MAX, 0, 0, &error), &error,
                   TESSERA_ERROR_INVALID, "'most'");
    expect_refused(ram_block_new_from_ptr(*state, "twin", 4096, page, &error), &error,
                   TESSERA_ERROR_EXISTS, "'twin'");
    assert_int_equal(ftruncate(fileno(file), 4096), 0);
    expect_refused(
        ram_block_new_from_fd(*state, "short", 8192, 0, fileno(file), 0, RAM_SHARED, &error),
        &error, TESSERA_ERROR_INVALID, "too short");
    expect_refused(
        ram_block_new_from_fd(*state, "crooked", 4096, 0, fileno(file), 512, RAM_SHARED, &error),
        &error, TESSERA_ERROR_INVALID, "0x200");
    expect_refused(
        ram_block_new_from_fd(*state, "twin", 4096, 0, fileno(file), 0, RAM_SHARED, &error), &error,
        TESSERA_ERROR_EXISTS, "'twin'");
    assert_true(ftell(file) == 0 && fseek(file, 0, SEEK_END) == 0); /* still ours, still open */
    fclose(file);
    ram_block_unref(block);
}

#ifndef TESSERA_SANITIZE /* a sanitizer's shadow fits into no limit, and it takes the signals */
/* In a child: its address space is too small for the memory, not for the rest. */
static void test_ram_block_new_without_address_space(void **state)
{
    pid_t child = fork();
    int status;

    if (child == 0) {
        struct rlimit limit = { 512 * MIB, 512 * MIB };
        GError *error = NULL;
        RAMBlock *block;

        setrlimit(RLIMIT_AS, &limit);
        block = ram_block_new(*state, "wide", GIB, 0, 0, &error);
        _exit(!block && g_error_matches(error, TESSERA_ERROR, TESSERA_ERROR_NO_MEMORY) &&
                      !ram_list_find_named(((MemorySystem *)*state)->ram, "wide")
                  ? 0
                  : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
#endif

static void test_ram_block_from_fd_offset(void **state)
{
    g_autoptr(GError) error = NULL;
    FILE *file = tmpfile();
    int fd = dup(fileno(file));
    RAMBlock *block;

    assert_int_equal(ftruncate(fd, 3 * 4096), 0);
    assert_int_equal(pwrite(fd, "third", 6, 2 * 4096), 6);
    block = ram_block_new_from_fd(*state, "window", 4096, 0, fd, 2 * 4096,
                                  RAM_SHARED | RAM_READONLY, &error);
    assert_non_null(block);
    assert_string_equal(ram_block_host(block), "third");
    assert_int_equal(ram_block_fd(block), fd);
    assert_int_equal(ram_block_fd_offset(block), 2 * 4096);
    assert_true(ram_block_flags(block) & RAM_READONLY);
    ram_block_unref(block);
    rcu_drain();
    assert_int_equal(close(fd), -1); /* was closed with the mapping */
    fclose(file);
}

static void collect(RAMBlock *block, void *opaque)
{
    g_string_append_printf(opaque, "%s ", ram_block_idstr(block));
}

static void expect_list(MemorySystem *ms, const char *expected)
{
    g_autoptr(GString) names = g_string_new(NULL);

    memory_system_lock(ms);
    ram_block_for_each(ms, collect, names);
    memory_system_unlock(ms);
    assert_string_equal(names->str, expected);
}

/*
 * In units of 64 pages:   0   1   2   3   4   5
 *                       [ a ][  b    ][ c ][ d ]   then b goes, e (1) and f (1) and g (1) come
 */
static void test_ram_block_placement_and_order(void **state)
{
    MemorySystem *ms = *state;
    const uint64_t unit = RAM_ADDR_ALIGN;
    RAMBlock *a = make(ms, "a", unit);
    RAMBlock *b = make(ms, "b", 2 * unit);
    RAMBlock *c = make(ms, "c", 4096); /* smaller than its place */
    RAMBlock *d = make(ms, "d", 4096);
    RAMBlock *e, *f, *g;

    assert_int_equal(ram_block_offset(a), 0);
    assert_int_equal(ram_block_offset(b), unit);
    assert_int_equal(ram_block_offset(c), 3 * unit);
    assert_int_equal(ram_block_offset(d), 4 * unit);
    expect_list(ms, "b a c d ");
    ram_block_unref(b);
    expect_list(ms, "a c d ");
    e = make(ms, "e", unit);
    f = make(ms, "f", unit);
    g = make(ms, "g", unit);
    assert_int_equal(ram_block_offset(e), unit);
    assert_int_equal(ram_block_offset(f), 2 * unit);
    assert_int_equal(ram_block_offset(g), 5 * unit);
    expect_list(ms, "a e f g c d ");
    ram_block_unref(a);
    ram_block_unref(c);
    ram_block_unref(d);
    ram_block_unref(e);
    ram_block_unref(f);
    ram_block_unref(g);
    expect_list(ms, "");
}

static void test_ram_block_lookups(void **state)
{
    MemorySystem *ms = *state;
    RAMBlock *blocks[20];
    uint64_t off = 77;

    for (int i = 0; i < 20; i++) {
        g_autofree char *name = g_strdup_printf("block%d", i);
        blocks[i] = make(ms, name, 4096 * (1 + (i * 7) % 5));
    }
    rcu_read_section_enter();
    for (int i = 0; i < 20; i++) {
        uint64_t len = ram_block_max_length(blocks[i]);
        uint8_t *host = ram_block_host(blocks[i]);
        ram_addr_t start = ram_block_offset(blocks[i]);

        assert_ptr_equal(ram_block_from_host(ms, host, &off), blocks[i]);
        assert_int_equal(off, 0);
        assert_ptr_equal(ram_block_from_host(ms, host + len - 1, &off), blocks[i]);
        assert_int_equal(off, len - 1);
        assert_null(ram_block_from_host(ms, host + len, NULL)); /* the guard page */
        assert_null(ram_block_from_host(ms, host - 1, NULL));
        assert_ptr_equal(ram_block_from_ram_addr(ms, start, &off), blocks[i]);
        assert_int_equal(off, 0);
        assert_ptr_equal(ram_block_from_ram_addr(ms, start + len - 1, &off), blocks[i]);
        assert_int_equal(off, len - 1);
        assert_null(ram_block_from_ram_addr(ms, start + len, NULL));
    }
    rcu_read_section_leave();
    off = 77;
    assert_null(ram_block_from_ram_addr(ms, UINT64_MAX, &off));
    assert_null(ram_block_from_host(ms, NULL, &off));
    assert_int_equal(off, 77);
    memory_system_lock(ms);
    assert_ptr_equal(ram_block_find(ms, "block7"), blocks[7]);
    assert_null(ram_block_find(ms, "block77"));
    memory_system_unlock(ms);
    for (int i = 0; i < 20; i++) {
        ram_block_unref(blocks[i]);
    }
}

static void test_ram_block_from_host_overlapping_pointers(void **state)
{
    MemorySystem *ms = *state;
    uint8_t *buffer = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    RAMBlock *whole = ram_block_new_from_ptr(ms, "whole", 16384, buffer, NULL);
    RAMBlock *part = ram_block_new_from_ptr(ms, "part", 4096, buffer + 4096, NULL);
    uint64_t off;

    assert_true(ram_block_flags(whole) & RAM_FOREIGN);
    assert_ptr_equal(ram_block_from_host(ms, buffer + 100, &off), whole);
    assert_ptr_equal(ram_block_from_host(ms, buffer + 4096, &off), part);
    /* Behind the part, still inside of the whole. */
    assert_ptr_equal(ram_block_from_host(ms, buffer + 8192, &off), whole);
    assert_int_equal(off, 8192);
    ram_block_unref(part);
    ram_block_unref(whole);
    rcu_drain();
    assert_int_equal(buffer[16383], 0); /* still the caller's */
    munmap(buffer, 16384);
}

typedef struct Recorder {
    RAMBlockNotifier notifier;
    GString *text;
} Recorder;

static void on_added(RAMBlockNotifier *n, RAMBlock *block)
{
    Recorder *r = (Recorder *)n;
    g_string_append_printf(r->text, "+%s ", ram_block_idstr(block));
}

static void on_removed(RAMBlockNotifier *n, RAMBlock *block)
{
    Recorder *r = (Recorder *)n;
    g_string_append_printf(r->text, "-%s ", ram_block_idstr(block));
}

static void on_resized(RAMBlockNotifier *n, RAMBlock *block, uint64_t old_size)
{
    Recorder *r = (Recorder *)n;
    g_string_append_printf(r->text, "%s:%d>%d ", ram_block_idstr(block), (int)(old_size / 4096),
                           (int)(ram_block_used_length(block) / 4096));
}

static void on_dirty(RAMBlockNotifier *n, RAMBlock *block, uint64_t off, uint64_t len)
{
    Recorder *r = (Recorder *)n;
    g_string_append_printf(r->text, "*%s@%d+%d ", ram_block_idstr(block), (int)off, (int)len);
}

static Recorder recorder_all(GString *text)
{
    return (Recorder){ .notifier = { on_added, on_removed, on_resized, on_dirty }, .text = text };
}

static void test_ram_block_resize(void **state)
{
    MemorySystem *ms = *state;
    g_autoptr(GError) error = NULL;
    g_autoptr(GString) text = g_string_new(NULL);
    Recorder recorder = recorder_all(text);
    RAMBlock *block = ram_block_new(ms, "rom", 4096, 4 * 4096, 0, &error);
    RAMBlock *fixed = make(ms, "fixed", 4096);
    uint8_t *host = ram_block_host(block);

    assert_true(ram_block_flags(block) & RAM_RESIZABLE);
    assert_int_equal(ram_block_used_length(block), 4096);
    assert_int_equal(ram_block_max_length(block), 4 * 4096);
    host[4095] = 1;
    ram_block_notifier_add(ms, &recorder.notifier);
    assert_true(ram_block_resize(block, 3 * 4096 - 5, &error));
    host[3 * 4096 - 1] = 2;
    assert_true(ram_block_resize(block, 3 * 4096, &error)); /* no change, no news */
    assert_true(ram_block_resize(block, 1, &error));
    assert_int_equal(host[3 * 4096 - 1], 2); /* for readers of the old map */
    assert_true(ram_block_resize(block, 4 * 4096, &error));
    host[4 * 4096 - 1] = 3;
    assert_string_equal(text->str, "+rom +fixed rom:1>3 rom:3>1 rom:1>4 ");

    assert_false(ram_block_resize(block, 4 * 4096 + 1, &error));
    assert_non_null(strstr(error->message, "16384"));
    g_clear_error(&error);
    assert_false(ram_block_resize(block, 0, &error));
    g_clear_error(&error);
    assert_false(ram_block_resize(block, UINT64_MAX, &error));
    g_clear_error(&error);
    assert_false(ram_block_resize(fixed, 8192, &error));
    assert_non_null(strstr(error->message, "'fixed'"));
    assert_true(ram_block_resize(fixed, 4096, NULL));
    assert_int_equal(ram_block_used_length(block), 4 * 4096);
    ram_block_notifier_remove(ms, &recorder.notifier);
    ram_block_unref(fixed);
    ram_block_unref(block);
}

#ifndef TESSERA_SANITIZE
static void test_ram_block_resize_beyond_use_faults(void **state)
{
    RAMBlock *block = ram_block_new(*state, "rom", 4096, 8192, 0, NULL);
    volatile uint8_t *host = ram_block_host(block);
    int fds[2];

    /* The kernel's answer to a buffer there is EFAULT: nothing can be read or written. */
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], (void *)(host + 4096), 1), -1);
    assert_int_equal(write(fds[1], (void *)(host + 4095), 1), 1);
    assert_true(ram_block_resize(block, 8192, NULL));
    assert_int_equal(write(fds[1], (void *)(host + 4096), 1), 1);
    close(fds[0]);
    close(fds[1]);
    ram_block_unref(block);
}
#endif

static void test_ram_block_notifiers(void **state)
{
    MemorySystem *ms = *state;
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(GString) second_text = g_string_new(NULL);
    Recorder recorder = recorder_all(text);
    Recorder only_added = { .notifier = { .block_added = on_added }, .text = second_text };
    RAMBlock *small = make(ms, "small", 4096);
    RAMBlock *large = make(ms, "large", 8192);
    RAMBlock *late;

    ram_block_mark_dirty(small, 0, 1); /* nobody listens */
    ram_block_notifier_add(ms, &recorder.notifier);
    ram_block_notifier_add(ms, &only_added.notifier);
    assert_string_equal(text->str, "+large +small ");
    late = make(ms, "late", 4096);
    ram_block_mark_dirty(late, 16, 8);
    ram_block_mark_dirty(late, 16, 0);
    ram_block_ref(late);
    ram_block_unref(late);
    ram_block_unref(late);
    assert_string_equal(text->str, "+large +small +late *late@16+8 -late ");
    assert_string_equal(second_text->str, "+large +small +late ");
    ram_block_notifier_remove(ms, &recorder.notifier);
    ram_block_unref(small);
    ram_block_unref(large);
    ram_block_notifier_remove(ms, &only_added.notifier);
    assert_string_equal(text->str, "+large +small +late *late@16+8 -late ");
}

/* mincore() tells whether a page is mapped at all, without touching it. */
static bool is_mapped(void *page)
{
    unsigned char resident;

    return mincore(page, 4096, &resident) == 0;
}

static void test_ram_block_mapping_outlives_read_section(void **state)
{
    MemorySystem *ms = *state;
    RAMBlock *block = make(ms, "going", 4096);
    void *host = ram_block_host(block);

    rcu_read_section_enter();
    assert_ptr_equal(ram_block_from_host(ms, host, NULL), block);
    ram_block_unref(block);
    /* Out of the list at once; its memory stays for whoever still looks at it. */
    assert_null(ram_block_from_host(ms, host, NULL));
    assert_false(ram_block_try_ref(block));
    usleep(20 * 1000);
    assert_true(is_mapped(host));
    rcu_read_section_leave();
    rcu_drain();
    assert_false(is_mapped(host));
}

static void test_ram_block_references_keep_it(void **state)
{
    MemorySystem *ms = *state;
    RAMBlock *block = make(ms, "kept", 4096);
    void *host = ram_block_host(block);

    assert_ptr_equal(ram_block_ref(block), block);
    assert_true(ram_block_try_ref(block));
    ram_block_unref(block);
    ram_block_unref(block);
    rcu_drain();
    assert_true(is_mapped(host));
    assert_ptr_equal(ram_block_from_host(ms, host, NULL), block);
    ram_block_unref(block);
    ram_block_unref(NULL);
    assert_null(ram_block_ref(NULL));
}

static void test_ram_block_release_name(void **state)
{
    MemorySystem *ms = *state;
    RAMBlock *old = make(ms, "mem0", 4096);
    RAMBlock *new;

    ram_block_release_name(old);
    new = make(ms, "mem0", 4096);
    memory_system_lock(ms);
    assert_ptr_equal(ram_block_find(ms, "mem0"), new);
    memory_system_unlock(ms);
    assert_string_equal(ram_block_idstr(old), "mem0");
    ram_block_unref(old);
    ram_block_unref(new);
}

static void test_ram_block_discard(void **state)
{
    g_autoptr(GError) error = NULL;
    RAMBlock *block = make(*state, "thrown", 3 * 4096);
    RAMBlock *shared = ram_block_new(*state, "shared", 3 * 4096, 0, RAM_SHARED, NULL);
    RAMBlock *both[] = { block, shared };

    for (int i = 0; i < 2; i++) {
        uint8_t *host = ram_block_host(both[i]);

        memset(host, 0x55, 3 * 4096);
        assert_true(ram_block_discard(both[i], 4096, 4096, &error));
        assert_int_equal(host[4095], 0x55);
        assert_int_equal(host[4096], 0);
        assert_int_equal(host[8191], 0);
        assert_int_equal(host[8192], 0x55);
        assert_false(ram_block_discard(both[i], 1, 4096, &error));
        g_clear_error(&error);
        assert_false(ram_block_discard(both[i], 8192, 8192, &error));
        g_clear_error(&error);
        assert_false(ram_block_discard(both[i], UINT64_MAX - 4095, 4096, &error));
        g_clear_error(&error);
        assert_true(ram_block_discard(both[i], 0, 0, &error));
        ram_block_unref(both[i]);
    }
}

/* Somebody else's memory is not thrown away. */
static void test_ram_block_discard_refuses_foreign_memory(void **state)
{
    static uint8_t page[2 * 4096] __attribute__((aligned(4096)));
    g_autoptr(GError) error = NULL;
    RAMBlock *block = ram_block_new_from_ptr(*state, "foreign", sizeof(page), page, NULL);

    assert_non_null(block);
    page[0] = 0x55;
    assert_false(ram_block_discard(block, 0, 4096, &error));
    assert_true(g_error_matches(error, TESSERA_ERROR, TESSERA_ERROR_INVALID));
    assert_non_null(strstr(error->message, "'foreign'"));
    assert_int_equal(page[0], 0x55);
    ram_block_unref(block);
    g_clear_error(&error);
    assert_null(ram_block_new_from_ptr(*state, "none", 0, page, &error));
    assert_non_null(error);
}

static void test_ram_block_avoid_huge_pages_in_a_part(void **state)
{
    RAMBlock *block = make(*state, "cut", 8 * MIB);
    uint8_t *host = ram_block_host(block);

    host[0] = 1;
    ram_block_avoid_huge_pages(block, 0, 2 * MIB);
    if (access("/sys/kernel/mm/transparent_hugepage", F_OK) == 0) {
        assert_true(host_mapping_has_flag(host, "nh"));
        assert_false(host_mapping_has_flag(host + 2 * MIB, "nh"));
        ram_block_avoid_huge_pages(block, 4 * MIB, UINT64_MAX);
        assert_false(host_mapping_has_flag(host + 2 * MIB, "nh"));
        assert_true(host_mapping_has_flag(host + 4 * MIB, "nh"));
    }
    ram_block_avoid_huge_pages(block, UINT64_MAX, 1); /* nothing of the block */
    assert_int_equal(host[0], 1);
    ram_block_unref(block);
}

typedef struct Storm {
    MemorySystem *ms;
    RAMBlock *stays;
    _Atomic bool stop;
    _Atomic unsigned found;
} Storm;

static void *storm_reader(void *opaque)
{
    Storm *storm = opaque;

    rcu_thread_register();
    while (!atomic_load(&storm->stop)) {
        for (ram_addr_t addr = 0; addr < 40 * RAM_ADDR_ALIGN; addr += RAM_ADDR_ALIGN) {
            RAMBlock *block;
            uint64_t off;

            rcu_read_section_enter();
            block = ram_block_from_ram_addr(storm->ms, addr, &off);
            if (block) {
                /* Mapped as long as the section lasts, going away or not. */
                uint8_t *host = ram_block_host(block);
                (void)*(volatile uint8_t *)host;
                g_assert(ram_block_from_host(storm->ms, host, NULL) == block ||
                         block != storm->stays);
                atomic_fetch_add(&storm->found, 1);
            }
            rcu_read_section_leave();
        }
    }
    rcu_thread_unregister();
    return NULL;
}

static void test_ram_block_lookups_while_changing(void **state)
{
    Storm storm = { .ms = *state, .stays = make(*state, "stays", 4096) };
    pthread_t readers[2];
    RAMBlock *blocks[8] = { NULL };

    for (int i = 0; i < 2; i++) {
        pthread_create(&readers[i], NULL, storm_reader, &storm);
    }
    for (int round = 0; round < 2000; round++) {
        int i = round % 8;
        g_autofree char *name = g_strdup_printf("b%d", i);

        ram_block_unref(blocks[i]);
        blocks[i] = make(storm.ms, name, 4096 * (1 + round % 3));
    }
    while (atomic_load(&storm.found) < 1000) {
        sched_yield();
    }
    atomic_store(&storm.stop, true);
    for (int i = 0; i < 2; i++) {
        pthread_join(readers[i], NULL);
    }
    for (int i = 0; i < 8; i++) {
        ram_block_unref(blocks[i]);
    }
    ram_block_unref(storm.stays);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_ram_block_new_attributes),
        T(test_ram_block_new_gigantic_alignment),
        T(test_ram_block_new_shared_has_a_file),
        T(test_ram_block_new_refuses),
        T(test_ram_block_from_fd_offset),
        T(test_ram_block_placement_and_order),
        T(test_ram_block_lookups),
        T(test_ram_block_from_host_overlapping_pointers),
        T(test_ram_block_resize),
        T(test_ram_block_discard_refuses_foreign_memory),
        T(test_ram_block_notifiers),
        T(test_ram_block_mapping_outlives_read_section),
        T(test_ram_block_references_keep_it),
        T(test_ram_block_release_name),
        T(test_ram_block_discard),
        T(test_ram_block_avoid_huge_pages_in_a_part),
        T(test_ram_block_lookups_while_changing),
#ifndef TESSERA_SANITIZE
        T(test_ram_block_new_without_address_space),
        T(test_ram_block_resize_beyond_use_faults),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
