/* SPDX-License-Identifier: MIT */
/* The exit path: what vCPUs write at each exit is theirs alone; no lock, no allocation. */
#include <dlfcn.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "../../../src/accel/kvm/vcpu-internal.h"
#include "../../../src/memory/access-internal.h"
#include "support/vcpu-fixture.h"
#include "tessera/util/trace-control.h"

/*
 * This program's own malloc() and pthread_mutex_lock() stand before the C library's, for the library
 * under test and for GLib too. They count on a thread that is being watched, outside the model KVM,
 * whose work is the kernel's. Sanitizers have their own: there nothing can be counted, and what is
 * tested is the exits themselves.
 */
#define START_PORT (PORT_BASE + 0x100)
#define END_PORT   (PORT_BASE + 0x101)

static _Thread_local bool watched;
static _Atomic unsigned allocations, frees, locks;

#ifndef TESSERA_SANITIZE
static void count(_Atomic unsigned *what)
{
    if (watched && !model_kvm_inside()) {
        atomic_fetch_add(what, 1);
    }
}

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t align, size_t size);
void __libc_free(void *p);

void *malloc(size_t size)
{
    count(&allocations);
    return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    count(&allocations);
    return __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
    count(&allocations);
    return __libc_realloc(p, size);
}

void *aligned_alloc(size_t align, size_t size)
{
    count(&allocations);
    return __libc_memalign(align, size);
}

int posix_memalign(void **ret, size_t align, size_t size)
{
    count(&allocations);
    *ret = __libc_memalign(align, size);
    return *ret ? 0 : ENOMEM;
}

void free(void *p)
{
    count(&frees);
    __libc_free(p);
}

/* Whatever another thread can hold. */
#define COUNTED_LOCK(name, type)                                                                   \
    int name(type *lock)                                                                           \
    {                                                                                              \
        static int (*_Atomic real)(type *);                                                        \
        int (*fn)(type *) = atomic_load_explicit(&real, memory_order_relaxed);                     \
                                                                                                   \
        if (!fn) {                                                                                 \
            fn = (int (*)(type *))(uintptr_t)dlsym(RTLD_NEXT, #name);                              \
            atomic_store_explicit(&real, fn, memory_order_relaxed);                                \
        }                                                                                          \
        count(&locks);                                                                             \
        return fn(lock);                                                                           \
    }

COUNTED_LOCK(pthread_mutex_lock, pthread_mutex_t)
COUNTED_LOCK(pthread_mutex_trylock, pthread_mutex_t)
COUNTED_LOCK(pthread_rwlock_rdlock, pthread_rwlock_t)
COUNTED_LOCK(pthread_rwlock_wrlock, pthread_rwlock_t)
COUNTED_LOCK(pthread_spin_lock, pthread_spinlock_t)
#endif

static void forget(void)
{
    atomic_store(&allocations, 0);
    atomic_store(&frees, 0);
    atomic_store(&locks, 0);
}

static void assert_counted(unsigned n_allocations, unsigned n_frees, unsigned n_locks)
{
#ifndef TESSERA_SANITIZE
    assert_int_equal(atomic_load(&allocations), n_allocations);
    assert_int_equal(atomic_load(&frees), n_frees);
    assert_int_equal(atomic_load(&locks), n_locks);
#endif
}

#ifndef TESSERA_SANITIZE
/* The counters are no good unless they count. */
static void test_counters_count_what_this_thread_does(void **state)
{
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    g_autofree char *before = NULL;
    char *text;

    forget();
    before = g_strdup("not watched");
    assert_counted(0, 0, 0);
    watched = true;
    text = g_strdup("watched");
    g_free(text);
    pthread_mutex_lock(&mutex);
    watched = false;
    pthread_mutex_unlock(&mutex);
    assert_counted(1, 1, 1);
}
#endif

/*
 * A port that starts the watch over the thread that writes it, and one that ends it. A value above 1
 * makes the guest's other vCPUs queue so many writes first.
 */
static MemTxResult gate_write(void *opaque, hwaddr offset, uint64_t value, unsigned size,
                              MemTxAttrs attrs)
{
    VcpuFixture *f = opaque;

    for (uint64_t i = 0; offset == 0 && value > 1 && i < value; i++) {
        model_vm_guest_write(f->vm, false, MMIO_BASE + i, 1, i);
    }
    watched = offset == 0;
    return MEMTX_OK;
}

static const MemoryRegionOps gate_ops = {
    .write = gate_write,
    .valid = { .min_access_size = 1, .max_access_size = 1 },
    .impl = { .min_access_size = 1, .max_access_size = 1 },
};

static uint64_t register_value;

static MemTxResult register_read(void *opaque, hwaddr offset, uint64_t *ret_value, unsigned size,
                                 MemTxAttrs attrs)
{
    *ret_value = register_value;
    return MEMTX_OK;
}

static MemTxResult register_write(void *opaque, hwaddr offset, uint64_t value, unsigned size,
                                  MemTxAttrs attrs)
{
    register_value = value;
    return MEMTX_OK;
}

static const MemoryRegionOps register_ops = { .read = register_read, .write = register_write };

static void add_io(VcpuFixture *f, MemoryRegion *container, hwaddr at, const MemoryRegionOps *ops,
                   uint64_t size)
{
    MemoryRegion *mr = memory_region_new_io(f->base->ms, NULL, ops, f, "counted", size);

    g_ptr_array_add(f->base->regions, mr);
    assert_true(memory_region_add_subregion(container, at, mr, NULL));
}

static void push_port(VcpuFixture *f, uint16_t port, uint8_t *byte)
{
    model_vcpu_push_io(f->vm, 0, true, port, 1, 1, byte);
}

/*
 * Every kind of exit that edits no map: ports and memory, read and written, of each size, string
 * I/O, RAM (as an emulated instruction reaches it), nothing at all.
 */
static void push_exits(VcpuFixture *f, uint64_t *data)
{
    static const unsigned sizes[] = { 1, 2, 4, 8 };

    for (unsigned i = 0; i < G_N_ELEMENTS(sizes); i++) {
        for (unsigned is_write = 0; is_write < 2; is_write++) {
            if (sizes[i] <= 4) {
                model_vcpu_push_io(f->vm, 0, is_write, PORT_BASE + 0x200, sizes[i], 1, data);
                model_vcpu_push_io(f->vm, 0, is_write, 0x60, sizes[i], 1, data);
            }
            model_vcpu_push_mmio(f->vm, 0, is_write, MMIO_BASE + 0x10000, sizes[i], data);
            model_vcpu_push_mmio(f->vm, 0, is_write, MMIO_BASE + 0x20001, sizes[i], data);
            model_vcpu_push_mmio(f->vm, 0, is_write, CODE_BASE + 0x800, sizes[i], data);
        }
    }
    model_vcpu_push_io(f->vm, 0, true, PORT_BASE + 0x200, 1, 8, data);
    model_vcpu_push_reason(f->vm, 0, KVM_EXIT_IRQ_WINDOW_OPEN);
    model_vcpu_push_reason(f->vm, 0, KVM_EXIT_INTR);
}

static void prepare(VcpuFixture *f)
{
    add_io(f, f->base->ports, START_PORT, &gate_ops, 2);
    add_io(f, f->base->ports, PORT_BASE + 0x200, &register_ops, 16);
    add_io(f, f->base->system, MMIO_BASE + 0x10000, &register_ops, 0x1000);
    vcpu_fixture_make(f, 2);
    vcpu_fixture_reset(f);
}

static void run(VcpuFixture *f)
{
    vcpu_set_resume(f->set);
    vcpu_fixture_wait_taken(f, 0);
    vcpu_set_pause(f->set);
}

static void test_exit_takes_no_lock_and_allocates_nothing(void **state)
{
    VcpuFixture *f = *state;
    uint64_t data[8] = { 0 };
    uint8_t byte = 1;
    uint64_t exits;

    prepare(f);
    for (unsigned turn = 0; turn < 2; turn++) { /* the thread's first exits, and later ones */
        forget();
        push_port(f, START_PORT, &byte);
        push_exits(f, data);
        push_port(f, END_PORT, &byte);
        exits = vcpu_set_stats(f->set).exits;
        run(f);
        assert_true(vcpu_set_stats(f->set).exits > exits + 40);
        assert_counted(0, 0, 0);
    }
}

/* Nor does one that is traced, but for the ring that its thread gets with its first event. */
static void test_traced_exit_takes_no_lock_and_allocates_nothing(void **state)
{
    VcpuFixture *f = *state;
    uint64_t data[8] = { 0 };
    uint8_t byte = 1;

    prepare(f);
    assert_true(trace_set_file("/dev/null", NULL));
    assert_true(trace_set("*", true, NULL));
    push_port(f, END_PORT, &byte);
    run(f);
    forget();
    push_port(f, START_PORT, &byte);
    push_exits(f, data);
    push_port(f, END_PORT, &byte);
    run(f);
    assert_counted(0, 0, 0);
    trace_close();
}

/* What is queued must have reached its device before the exit is served: one lock, the ring's. */
static void test_exit_with_queued_writes_takes_the_rings_lock(void **state)
{
    VcpuFixture *f = *state;
    uint8_t queued = 5;
    uint64_t data = 0;

    prepare(f);
    assert_true(memory_region_add_coalescing(f->mmio_region, 0, 16, NULL));
    forget();
    push_port(f, START_PORT, &queued);
    model_vcpu_push_mmio(f->vm, 0, false, MMIO_BASE + 0x10000, 4, &data);
    push_port(f, END_PORT, &queued);
    run(f);
    assert_int_equal(vcpu_set_stats(f->set).coalesced, 5);
    assert_int_equal(f->mmio.n_calls, 5);
    assert_counted(0, 0, 1);
}

/* --- Cache lines --- */

static bool same_line(const void *a, const void *b)
{
    return (uintptr_t)a / CACHE_LINE == (uintptr_t)b / CACHE_LINE;
}

/* What the vCPU's thread writes at each exit, and what others write, are on different lines. */
static void test_vcpu_layout(void **state)
{
    assert_int_equal(_Alignof(Vcpu) % CACHE_LINE, 0);
    assert_int_equal(sizeof(Vcpu) % CACHE_LINE, 0);
    assert_int_equal(offsetof(Vcpu, in_guest) % CACHE_LINE, 0);
    assert_true(offsetof(Vcpu, completion_due) > offsetof(Vcpu, in_guest));
    assert_true(offsetof(Vcpu, counters) > offsetof(Vcpu, in_guest));
    assert_true(offsetof(Vcpu, counters) + sizeof(VcpuCounters) <= sizeof(Vcpu));
    /* Read by all at each exit: not beside the lock, nor beside what a pause writes. */
    assert_int_equal(offsetof(VcpuSet, hold) % CACHE_LINE, 0);
    assert_true(offsetof(VcpuSet, lock) / CACHE_LINE > offsetof(VcpuSet, hold) / CACHE_LINE);
    assert_true(offsetof(VcpuSet, hold) / CACHE_LINE >
                (offsetof(VcpuSet, run_size) + sizeof(size_t) - 1) / CACHE_LINE);
}

static void test_vcpus_share_no_cache_line(void **state)
{
    VcpuFixture *f = *state;

    vcpu_fixture_make(f, 8);
    for (unsigned i = 0; i < f->set->count; i++) {
        Vcpu *vcpu = f->set->vcpus[i];

        assert_int_equal((uintptr_t)vcpu % CACHE_LINE, 0);
        assert_int_equal((uintptr_t)vcpu->run % 4096, 0);
        for (unsigned other = 0; other < i; other++) {
            Vcpu *v = f->set->vcpus[other];

            assert_false(same_line((char *)vcpu, (char *)v + sizeof(*v) - 1));
            assert_false(same_line((char *)vcpu + sizeof(*vcpu) - 1, (char *)v));
        }
    }
    assert_int_equal((uintptr_t)f->set % CACHE_LINE, 0);
}

static void *own_sections(void *opaque)
{
    uint8_t byte;

    address_space_read(opaque, CODE_BASE, MEMTXATTRS_NONE, &byte, 1);
    return (void *)recent_sections;
}

/* What lookups remember is each thread's own; the map that they read is written by commits only. */
static void test_recent_sections_share_no_cache_line(void **state)
{
    VcpuFixture *f = *state;
    char *first = own_sections(f->base->memory), *second;
    void *ret;
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, own_sections, f->base->memory), 0);
    assert_int_equal(pthread_join(thread, &ret), 0);
    second = ret;
    assert_false(same_line(first, second + sizeof(recent_sections) - 1));
    assert_false(same_line(first + sizeof(recent_sections) - 1, second));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#ifndef TESSERA_SANITIZE
        cmocka_unit_test(test_counters_count_what_this_thread_does),
#endif
        cmocka_unit_test_setup_teardown(test_exit_takes_no_lock_and_allocates_nothing,
                                        vcpu_fixture_setup, vcpu_fixture_teardown),
        cmocka_unit_test_setup_teardown(test_traced_exit_takes_no_lock_and_allocates_nothing,
                                        vcpu_fixture_setup, vcpu_fixture_teardown),
        cmocka_unit_test_setup_teardown(test_exit_with_queued_writes_takes_the_rings_lock,
                                        vcpu_fixture_setup, vcpu_fixture_teardown),
        cmocka_unit_test(test_vcpu_layout),
        cmocka_unit_test_setup_teardown(test_vcpus_share_no_cache_line, vcpu_fixture_setup,
                                        vcpu_fixture_teardown),
        cmocka_unit_test_setup_teardown(test_recent_sections_share_no_cache_line,
                                        vcpu_fixture_setup, vcpu_fixture_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
