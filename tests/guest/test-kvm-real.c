/* SPDX-License-Identifier: MIT */
/* This machine's KVM beside the model of it: the same calls must give the same errno. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>
#include "../unit/kvm/support/model-kvm.h"
#include "tessera/util/event-notifier.h"

#define PAGE  4096ULL
#define PAGES 32

int __wrap_kvm_system_ioctl(Kvm *kvm, unsigned long req, void *arg);
int __wrap_kvm_vm_ioctl(Kvm *kvm, unsigned long req, void *arg);

/* The kernel's VM through the program's own functions, the model's through those of the unit tests. */
typedef struct Pair {
    Kvm *real;
    Kvm model;
    char *host; /* PAGES */
    uint64_t bitmap[PAGES];
    EventNotifier notifiers[3];
    uint64_t random;
    uint64_t seed;
} Pair;

static int setup(void **state)
{
    const KvmConfig config = { .identity_map_base = 0xfeffc000, .tss_base = 0xfeffd000 };
    g_autoptr(GError) error = NULL;
    Pair *p = g_new0(Pair, 1);
    const char *seed = g_getenv("TESSERA_SEED");

    *state = p;
    model_kvm_reset();
    /* The largest address is the host's affair: nothing is tried between the two limits. */
    model_kvm_set_phys_bits(52);
    p->real = kvm_new(&config, &error);
    if (!p->real) {
        fprintf(stderr, "SKIPPED: no comparison with the kernel: %s\n", error->message);
        return 0;
    }
    p->model = (Kvm){ .system_fd = -1, .vm_fd = -1 };
    p->model.vm_fd = __wrap_kvm_system_ioctl(&p->model, KVM_CREATE_VM, NULL);
    p->host = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (unsigned i = 0; i < G_N_ELEMENTS(p->notifiers); i++) {
        if (!event_notifier_init(&p->notifiers[i], NULL)) {
            return -1;
        }
    }
    p->seed = seed ? strtoull(seed, NULL, 0) : 1;
    p->random = p->seed * 2 + 1;
    return p->model.vm_fd >= 0 && p->host != MAP_FAILED ? 0 : -1;
}

static int teardown(void **state)
{
    Pair *p = *state;

    if (p->real) {
        kvm_free(p->real);
        close(p->model.vm_fd);
        munmap(p->host, PAGES * PAGE);
        for (unsigned i = 0; i < G_N_ELEMENTS(p->notifiers); i++) {
            event_notifier_done(&p->notifiers[i]);
        }
    }
    g_free(p);
    model_kvm_reset();
    return 0;
}

static uint32_t below(Pair *p, uint32_t n)
{
    p->random = p->random * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(p->random >> 33) % n;
}

/* Mostly small and right, at times a value from the edge. */
static uint64_t pick(Pair *p, uint64_t usual, const uint64_t *edges, uint32_t n_edges)
{
    return below(p, 12) ? usual : edges[below(p, n_edges)];
}

static struct kvm_userspace_memory_region random_region(Pair *p)
{
    const uint64_t slots[] = { MODEL_KVM_NR_SLOTS - 1, MODEL_KVM_NR_SLOTS, 65535, 2u << 16 };
    const uint64_t gpas[] = { 0x800, 1ULL << 52, UINT64_MAX - PAGE + 1, 1 };
    const uint64_t sizes[] = { 1, PAGE + 512, (1ULL << 31) * PAGE, UINT64_MAX };
    const uint64_t hosts[] = { 0x10000, 0xffff800000000000ULL, 0x7ffffffff000ULL, 4 };
    const uint64_t flags[] = { 1u << 2, 1u << 4, KVM_MEM_READONLY, KVM_MEM_READONLY };
    uint64_t size = below(p, 3) ? (1 + below(p, 4)) * PAGE : 0;
    uint64_t host = (uintptr_t)p->host + below(p, 2) * PAGE;

    return (struct kvm_userspace_memory_region){
        .slot = (uint32_t)pick(p, below(p, 5), slots, G_N_ELEMENTS(slots)),
        .flags = (uint32_t)pick(p, below(p, 3) ? 0 : KVM_MEM_LOG_DIRTY_PAGES, flags,
                                G_N_ELEMENTS(flags)),
        .guest_phys_addr = pick(p, below(p, 12) * PAGE, gpas, G_N_ELEMENTS(gpas)),
        .memory_size = pick(p, size, sizes, G_N_ELEMENTS(sizes)),
        .userspace_addr = pick(p, host, hosts, G_N_ELEMENTS(hosts)),
    };
}

static void test_slots_random_sequences(void **state)
{
    Pair *p = *state;
    unsigned calls = g_getenv("TESSERA_LONG") ? 200000 : 6000;
    unsigned taken = 0, refused[2] = { 0, 0 };

    if (!p->real) {
        skip();
    }
    printf("TESSERA_SEED=%llu\n", (unsigned long long)p->seed);
    for (unsigned i = 0; i < calls; i++) {
        struct kvm_userspace_memory_region m = random_region(p);
        int real = kvm_vm_ioctl(p->real, KVM_SET_USER_MEMORY_REGION, &m);
        int model = __wrap_kvm_vm_ioctl(&p->model, KVM_SET_USER_MEMORY_REGION, &m);

        if (real != model) {
            fail_msg("call %u: slot %u flags %x gpa %llx size %llx host %llx: KVM %d, model %d", i,
                     m.slot, m.flags, m.guest_phys_addr, m.memory_size, m.userspace_addr, real,
                     model);
        }
        taken += real == 0;
        refused[0] += real == -EINVAL;
        refused[1] += real == -EEXIST;
    }
    assert_true(taken > calls / 10 && refused[0] > calls / 10 && refused[1] > calls / 50);
}

static void test_dirty_log_random_sequences(void **state)
{
    Pair *p = *state;

    if (!p->real) {
        skip();
    }
    for (unsigned i = 0; i < 1000; i++) {
        struct kvm_userspace_memory_region m = random_region(p);
        struct kvm_dirty_log log = { .slot = below(p, 5), .dirty_bitmap = p->bitmap };

        m.memory_size = MIN(m.memory_size, 4 * PAGE); /* the bitmap is small */
        kvm_vm_ioctl(p->real, KVM_SET_USER_MEMORY_REGION, &m);
        __wrap_kvm_vm_ioctl(&p->model, KVM_SET_USER_MEMORY_REGION, &m);
        assert_int_equal(kvm_vm_ioctl(p->real, KVM_GET_DIRTY_LOG, &log),
                         __wrap_kvm_vm_ioctl(&p->model, KVM_GET_DIRTY_LOG, &log));
    }
}

static void test_ioeventfd_random_sequences(void **state)
{
    const uint32_t lens[] = { 0, 1, 2, 4, 8, 3 };
    const uint64_t addrs[] = { UINT64_MAX - 1, UINT64_MAX - 8 };
    Pair *p = *state;
    unsigned calls = 3000, taken = 0;

    if (!p->real) {
        skip();
    }
    for (unsigned i = 0; i < calls; i++) {
        struct kvm_ioeventfd e = {
            .addr = pick(p, 0x1000 + 4 * below(p, 3), addrs, G_N_ELEMENTS(addrs)),
            .len = lens[below(p, G_N_ELEMENTS(lens))],
            .datamatch = below(p, 3),
            .fd = below(p, 10) ? p->notifiers[below(p, 3)].fd : -1,
            .flags = below(p, 20) ? below(p, 8) : 1u << 5,
        };
        int real = kvm_vm_ioctl(p->real, KVM_IOEVENTFD, &e);
        int model = __wrap_kvm_vm_ioctl(&p->model, KVM_IOEVENTFD, &e);

        if (real != model) {
            fail_msg("call %u: addr %llx len %u data %llu fd %d flags %x: KVM %d, model %d", i,
                     e.addr, e.len, e.datamatch, e.fd, e.flags, real, model);
        }
        taken += real == 0;
    }
    assert_true(taken > calls / 20);
}

static int zone_call(Pair *p, bool add, uint64_t addr, uint32_t size, uint32_t pio)
{
    struct kvm_coalesced_mmio_zone z = { .addr = addr, .size = size, .pio = pio };
    unsigned long req = add ? KVM_REGISTER_COALESCED_MMIO : KVM_UNREGISTER_COALESCED_MMIO;
    int real = kvm_vm_ioctl(p->real, req, &z);

    assert_int_equal(real, __wrap_kvm_vm_ioctl(&p->model, req, &z));
    return real;
}

static void test_zones_by_rule(void **state)
{
    Pair *p = *state;

    if (!p->real) {
        skip();
    }
    assert_int_equal(zone_call(p, true, 0x1000, 0x100, 2), -EINVAL);
    assert_int_equal(zone_call(p, false, 0x1000, 0x100, 0), 0); /* there is none */
    assert_int_equal(zone_call(p, true, 0x1000, 0x100, 0), 0);
    assert_int_equal(zone_call(p, true, 0x1000, 0x100, 0), 0); /* the same again */
    assert_int_equal(zone_call(p, true, 0x70, 2, 1), 0);
    assert_int_equal(zone_call(p, false, 0x1010, 0x10, 0), 0);
}

int main(void)
{
#define WITH_PAIR(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_PAIR(test_slots_random_sequences),
        WITH_PAIR(test_dirty_log_random_sequences),
        WITH_PAIR(test_ioeventfd_random_sequences),
        WITH_PAIR(test_zones_by_rule),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
