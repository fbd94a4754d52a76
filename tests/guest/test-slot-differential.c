/* SPDX-License-Identifier: MIT */
/*
 * The model KVM of the unit tests beside this machine's kernel: the same random slot calls on both
 * must give the same errno and show the guest the same memory.
 */
#include "../unit/kvm/support/model-kvm.h"
#include "support/probe.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#define PAGE     4096ULL
#define IDS      8   /* slots that come and go; the probe has the next */
#define SPACE    16  /* pages of guest address space that they fill, from 0 */
#define HOST     16  /* pages of host memory that they show */
#define MOST     4   /* pages a slot: the kernel's own books stay small */
#define PROBES   2   /* addresses looked at after each call */
#define SPARSE   50  /* calls between looks at every page */

int __wrap_kvm_system_ioctl(Kvm *kvm, unsigned long req, void *arg);
int __wrap_kvm_vm_ioctl(Kvm *kvm, unsigned long req, void *arg);

typedef struct kvm_userspace_memory_region Region;

/* The kernel's VM through the program's own functions, the model's through the unit tests'. */
typedef struct Pair {
    Kvm *real;
    Kvm model;
    ModelVm *vm; /* the model's */
    Probe probe;
    uint8_t *host;
    uint64_t bitmap[16];
    uint64_t seed, random;
    unsigned nr_slots;
    unsigned call;
    unsigned ram, rom, none; /* addresses found to be that */
} Pair;

static uint32_t below(Pair *p, uint32_t n)
{
    p->random = p->random * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(p->random >> 33) % n;
}

static uint64_t one_of(Pair *p, const uint64_t *values, size_t n)
{
    return values[below(p, (uint32_t)n)];
}
#define ONE_OF(p, ...) one_of(p, (uint64_t[]){__VA_ARGS__}, G_N_ELEMENTS(((uint64_t[]){__VA_ARGS__})))

/* --- Calls. Each of these changes an ordinary region, or a copy of a live slot, into something. */

static Region ordinary(Pair *p)
{
    return (Region){
        .slot = below(p, IDS),
        .flags = (uint32_t)ONE_OF(p, 0, 0, 0, KVM_MEM_LOG_DIRTY_PAGES, KVM_MEM_READONLY,
                                  KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY),
        .guest_phys_addr = below(p, SPACE) * PAGE,
        .memory_size = (1 + below(p, MOST)) * PAGE,
        .userspace_addr = (uintptr_t)p->host + below(p, HOST - MOST) * PAGE,
    };
}

/* A slot as it is; an ordinary region when there is none. */
static Region live(Pair *p)
{
    const GArray *slots = model_vm_slots(p->vm);
    const ModelSlot *s;

    if (slots->len == 1) { /* the probe's */
        return ordinary(p);
    }
    s = &g_array_index(slots, ModelSlot, below(p, slots->len));
    if (s->id == IDS) {
        return live(p);
    }
    return (Region){.slot = s->id,
                    .flags = s->flags,
                    .guest_phys_addr = s->gpa,
                    .memory_size = s->size,
                    .userspace_addr = s->host};
}

static Region call_create(Pair *p)
{
    return ordinary(p);
}

static Region call_delete(Pair *p)
{
    Region m = live(p);

    m.memory_size = 0;
    return m;
}

static Region call_delete_any(Pair *p)
{
    Region m = ordinary(p);

    m.memory_size = 0;
    return m;
}

static Region call_move(Pair *p)
{
    Region m = live(p);

    m.guest_phys_addr = below(p, SPACE) * PAGE;
    return m;
}

static Region call_dirty_log(Pair *p)
{
    Region m = live(p);

    m.flags ^= KVM_MEM_LOG_DIRTY_PAGES;
    return m;
}

static Region call_move_and_dirty_log(Pair *p)
{
    Region m = call_move(p);

    m.flags ^= KVM_MEM_LOG_DIRTY_PAGES;
    return m;
}

static Region call_readonly(Pair *p)
{
    Region m = live(p);

    m.flags ^= KVM_MEM_READONLY;
    return m;
}

static Region call_same_again(Pair *p)
{
    return live(p);
}

static Region call_resize(Pair *p)
{
    Region m = live(p);

    m.memory_size = (1 + below(p, MOST)) * PAGE;
    return m;
}

static Region call_other_host(Pair *p)
{
    Region m = live(p);

    m.userspace_addr = (uintptr_t)p->host + below(p, HOST - MOST) * PAGE;
    return m;
}

/* Over a live slot, by an edge or in the middle: of another slot, or of an existing one that moves. */
static Region call_overlap(Pair *p)
{
    Region over = live(p), m = below(p, 2) ? ordinary(p) : live(p);

    m.guest_phys_addr = over.guest_phys_addr + below(p, (uint32_t)(over.memory_size / PAGE)) * PAGE;
    return m;
}

static Region call_misaligned(Pair *p)
{
    Region m = below(p, 2) ? ordinary(p) : live(p);
    uint64_t by = ONE_OF(p, 1, 8, 512, 2048, 4095);

    switch (below(p, 3)) {
    case 0:
        m.guest_phys_addr += by;
        break;
    case 1:
        m.memory_size += by;
        break;
    default:
        m.userspace_addr += by;
    }
    return m;
}

/* One page less would be taken, with books of 16 GiB. */
static Region call_too_large(Pair *p)
{
    Region m = ordinary(p);

    m.memory_size = ONE_OF(p, (1ULL << 31) * PAGE, (1ULL << 32) * PAGE, 1ULL << 52, 1ULL << 63);
    return m;
}

static Region call_wrap(Pair *p)
{
    Region m = ordinary(p);

    m.guest_phys_addr = 0 - ONE_OF(p, 1, 2, 3) * PAGE;
    return m;
}

/* Between the two limits it is the host's affair what is taken. */
static Region call_too_high(Pair *p)
{
    Region m = below(p, 2) ? ordinary(p) : live(p);

    m.guest_phys_addr = ONE_OF(p, 1ULL << 52, 1ULL << 60, (1ULL << 63) - PAGE);
    return m;
}

/* Address space 1 is another host's system management mode: not 1 << 16. */
static Region call_id_out_of_range(Pair *p)
{
    Region m = below(p, 2) ? ordinary(p) : call_delete(p);

    m.slot = (uint32_t)ONE_OF(p, p->nr_slots, p->nr_slots + 1, 65535, 2 << 16 | m.slot, UINT32_MAX);
    return m;
}

static Region call_last_id(Pair *p)
{
    Region m = ordinary(p);

    m.slot = p->nr_slots - 1;
    m.memory_size = below(p, 2) ? m.memory_size : 0;
    return m;
}

static Region call_unknown_flag(Pair *p)
{
    Region m = below(p, 2) ? ordinary(p) : call_delete(p);

    m.flags |= 1u << (2 + below(p, 30));
    return m;
}

/* How far user space goes is the host's affair too. */
static Region call_no_user_memory(Pair *p)
{
    Region m = below(p, 2) ? ordinary(p) : live(p);

    m.userspace_addr = ONE_OF(p, 1ULL << 63, 0xffff800000000000ULL, UINT64_MAX - PAGE + 1);
    return m;
}

static const struct {
    const char *name;
    Region (*make)(Pair *p);
    unsigned weight;
    int errors[3]; /* that must have been seen, each; 0: taken */
} calls[] = {
    {"create", call_create, 30, {0, EEXIST, EINVAL}},
    {"delete", call_delete, 12, {0, EINVAL, EINVAL}},
    {"delete-any", call_delete_any, 4, {0, EINVAL, EINVAL}},
    {"move", call_move, 10, {0, EEXIST, EEXIST}},
    {"dirty-log", call_dirty_log, 8, {0, 0, 0}},
    {"move-and-dirty-log", call_move_and_dirty_log, 4, {0, EEXIST, EEXIST}},
    {"readonly", call_readonly, 4, {EINVAL, EINVAL, EINVAL}},
    {"same-again", call_same_again, 2, {0, 0, 0}},
    {"resize", call_resize, 4, {0, EINVAL, EINVAL}},
    {"other-host", call_other_host, 4, {0, EINVAL, EINVAL}},
    {"overlap", call_overlap, 8, {EEXIST, EINVAL, EINVAL}},
    {"misaligned", call_misaligned, 4, {EINVAL, EINVAL, EINVAL}},
    {"too-large", call_too_large, 2, {EINVAL, EINVAL, EINVAL}},
    {"wrap", call_wrap, 2, {EINVAL, EINVAL, EINVAL}},
    {"too-high", call_too_high, 2, {EINVAL, EINVAL, EINVAL}},
    {"id-out-of-range", call_id_out_of_range, 3, {EINVAL, EINVAL, EINVAL}},
    {"last-id", call_last_id, 3, {0, EINVAL, EEXIST}},
    {"unknown-flag", call_unknown_flag, 2, {EINVAL, EINVAL, EINVAL}},
    {"no-user-memory", call_no_user_memory, 2, {EINVAL, EINVAL, EINVAL}},
};

static size_t random_call(Pair *p)
{
    unsigned sum = 0, at;
    size_t i = 0;

    for (size_t k = 0; k < G_N_ELEMENTS(calls); k++) {
        sum += calls[k].weight;
    }
    for (at = below(p, sum); at >= calls[i].weight; i++) {
        at -= calls[i].weight;
    }
    return i;
}

/* --- What the guest finds. */

static uint64_t *host_word(Pair *p, unsigned page, unsigned offset)
{
    return (uint64_t *)(void *)(p->host + page * PAGE + offset);
}

/*
 * The same read and write by the kernel's guest and by the model's. The memory is one: the words
 * that the guest's write may have reached are put back before the model's.
 */
static void compare_access(Pair *p, uint64_t gpa)
{
    unsigned offset = gpa % PAGE;
    uint64_t before[HOST], after[HOST], value = (uint64_t)p->call << 32 | below(p, UINT32_MAX);
    uint64_t model_value = PROBE_EXIT_VALUE;
    bool user = below(p, 2), model_reads, model_writes;
    ProbeAccess real;

    for (unsigned i = 0; i < HOST; i++) {
        before[i] = *host_word(p, i, offset);
    }
    real = probe_access(&p->probe, gpa, value, user);
    for (unsigned i = 0; i < HOST; i++) {
        after[i] = *host_word(p, i, offset);
        *host_word(p, i, offset) = before[i];
    }
    model_reads = model_vm_guest_read(p->vm, gpa, 8, &model_value);
    model_writes = model_vm_guest_write(p->vm, false, gpa, 8, value) == MODEL_WRITE_RAM;
    if (real.read_exits == model_reads || real.write_exits == model_writes ||
        real.value != model_value) {
        fail_msg("call %u: CPL %d at %llx: read %s %llx, write %s; model: read %s %llx, write %s",
                 p->call, user ? 3 : 0, (unsigned long long)gpa, real.read_exits ? "exits" : "is",
                 (unsigned long long)real.value, real.write_exits ? "exits" : "lands",
                 model_reads ? "is" : "exits", (unsigned long long)model_value,
                 model_writes ? "lands" : "exits");
    }
    for (unsigned i = 0; i < HOST; i++) {
        if (*host_word(p, i, offset) != after[i]) {
            fail_msg("call %u: the write to %llx reached other pages than the model's", p->call,
                     (unsigned long long)gpa);
        }
    }
    *(model_writes ? &p->ram : model_reads ? &p->rom : &p->none) += 1;
}

static uint64_t in_page(Pair *p, uint64_t page)
{
    return page * PAGE + below(p, PAGE / 8) * 8;
}

static void compare_effect(Pair *p, const Region *m)
{
    if (p->call % SPARSE == 0) {
        for (unsigned i = 0; i < SPACE + MOST; i++) {
            compare_access(p, in_page(p, i));
        }
        return;
    }
    for (unsigned i = 0; i < PROBES; i++) {
        uint64_t page = below(p, SPACE + MOST);

        if (i == 0 && m->guest_phys_addr / PAGE < SPACE) { /* where the call was about */
            page = m->guest_phys_addr / PAGE + below(p, MOST);
        }
        compare_access(p, in_page(p, page));
    }
}

/* Slots of MOST pages: the bitmap has one word. */
static void compare_dirty_log(Pair *p, uint32_t slot)
{
    struct kvm_dirty_log log = {.slot = slot, .dirty_bitmap = p->bitmap};
    int real = kvm_vm_ioctl(p->real, KVM_GET_DIRTY_LOG, &log);
    int model = __wrap_kvm_vm_ioctl(&p->model, KVM_GET_DIRTY_LOG, &log);

    if (real != model) {
        fail_msg("call %u: dirty log of slot %u: KVM %d, model %d", p->call, slot, real, model);
    }
}

/* --- The test. */

static unsigned number_of_calls(void)
{
    const char *text = g_getenv("TESSERA_SLOT_CALLS");

    return text ? (unsigned)atoi(text) : g_getenv("TESSERA_LONG") ? 100000 : 5000;
}

static int do_call(Pair *p, const Region *m, const char *name)
{
    Region copy = *m;
    int real = kvm_vm_ioctl(p->real, KVM_SET_USER_MEMORY_REGION, &copy);
    int model = __wrap_kvm_vm_ioctl(&p->model, KVM_SET_USER_MEMORY_REGION, &copy);

    if (real != model) {
        fail_msg("call %u, %s: slot %u flags %x gpa %llx size %llx host %llx: KVM %d, model %d",
                 p->call, name, m->slot, m->flags, m->guest_phys_addr, m->memory_size,
                 m->userspace_addr, real, model);
    }
    return -real;
}

static void check_errors_seen(unsigned seen[][3])
{
    for (size_t i = 0; i < G_N_ELEMENTS(calls); i++) {
        printf("# %-18s %6u taken, %6u EINVAL, %6u EEXIST\n", calls[i].name, seen[i][0],
               seen[i][1], seen[i][2]);
        for (unsigned k = 0; k < 3; k++) {
            int err = calls[i].errors[k];

            if (seen[i][err == EINVAL ? 1 : err == EEXIST ? 2 : 0] == 0) {
                fail_msg("no call \"%s\" gave %s", calls[i].name, err ? strerrorname_np(err) : "0");
            }
        }
    }
}

static void test_slots_random_calls(void **state)
{
    Pair *p = *state;
    unsigned n = number_of_calls(), seen[G_N_ELEMENTS(calls)][3] = {{0}};

    if (!p->real) {
        skip();
    }
    printf("# TESSERA_SEED=%llu, %u calls\n", (unsigned long long)p->seed, n);
    for (p->call = 0; p->call < n; p->call++) {
        size_t kind = random_call(p);
        Region m = calls[kind].make(p);
        int err = do_call(p, &m, calls[kind].name);

        assert_true(err == 0 || err == EINVAL || err == EEXIST);
        seen[kind][err == EINVAL ? 1 : err == EEXIST ? 2 : 0]++;
        compare_effect(p, &m);
        compare_dirty_log(p, m.slot);
        compare_dirty_log(p, below(p, IDS));
    }
    printf("# accesses: %u to RAM, %u to ROM, %u to nothing\n", p->ram, p->rom, p->none);
    if (n >= 5000) { /* by then each kind has met each answer */
        check_errors_seen(seen);
        assert_true(p->ram > n / 10 && p->rom > n / 10 && p->none > n / 10);
    }
}

/* --- The pair. */

/* The probe's slot, and as many ids as this kernel has, in the model too. */
static void follow_the_kernel(Pair *p)
{
    Region m = {.slot = IDS, .guest_phys_addr = PROBE_SPACE,
                .memory_size = PROBE_PAGES * PAGE};

    p->nr_slots = (unsigned)kvm_check_extension(p->real, KVM_CAP_NR_MEMSLOTS);
    model_kvm_set_cap(KVM_CAP_NR_MEMSLOTS, (int)p->nr_slots);
    model_kvm_set_phys_bits(52);
    probe_init(&p->probe, p->real, IDS);
    p->model = (Kvm){.system_fd = -1, .vm_fd = -1};
    p->model.vm_fd = __wrap_kvm_system_ioctl(&p->model, KVM_CREATE_VM, NULL);
    assert_true(p->model.vm_fd >= 0);
    p->vm = model_kvm_vm(&p->model);
    m.userspace_addr = (uintptr_t)p->probe.pages;
    assert_int_equal(__wrap_kvm_vm_ioctl(&p->model, KVM_SET_USER_MEMORY_REGION, &m), 0);
}

static int setup(void **state)
{
    const KvmConfig config = {.identity_map_base = 0xfeffc000, .tss_base = 0xfeffd000};
    const char *seed = g_getenv("TESSERA_SEED");
    g_autoptr(GError) error = NULL;
    Pair *p = g_new0(Pair, 1);

    *state = p;
    model_kvm_reset();
    p->real = kvm_new(&config, &error);
    if (!p->real) {
        print_message("# skip: no comparison with the kernel: %s\n", error->message);
        return 0;
    }
    p->host = mmap(NULL, HOST * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(p->host != MAP_FAILED);
    p->seed = seed ? strtoull(seed, NULL, 0) : 1;
    p->random = p->seed * 2 + 1;
    for (unsigned i = 0; i < HOST * PAGE / 8; i++) {
        ((uint64_t *)(void *)p->host)[i] = ~(uint64_t)i; /* no two words are the same */
    }
    follow_the_kernel(p);
    return 0;
}

static int teardown(void **state)
{
    Pair *p = *state;

    if (p->real) {
        probe_done(&p->probe);
        kvm_free(p->real);
        close(p->model.vm_fd);
        munmap(p->host, HOST * PAGE);
    }
    g_free(p);
    model_kvm_reset();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_slots_random_calls, setup, teardown),
    };

    return cmocka_run_group_tests_name("slot-differential", tests, NULL, NULL);
}
