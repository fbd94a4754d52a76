/* SPDX-License-Identifier: MIT */
/* vCPUs on this machine's KVM: it takes every step of a reset, and pauses and looks tell the truth. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "tessera/accel/kvm/vcpu.h"
#include "tessera/memory/address-space.h"
#include "tessera/memory/memory-system.h"
#include "tessera/memory/ram-block.h"
#include "tessera/memory/region.h"

#define RAM_SIZE  0x100000ULL
#define CODE_AT   0x10000
#define PORT      0x500
#define PATIENCE  (30 * G_USEC_PER_SEC)

typedef struct Machine {
    MemorySystem *ms;
    MemoryRegion *system, *ports, *ram, *port;
    AddressSpace *memory, *io;
    uint8_t *host;
    Kvm *kvm;
    CpuModel *model;
    VcpuSet *set;
    _Atomic unsigned writes;
    _Atomic unsigned last;
    _Atomic unsigned triple_faults;
    bool hold; /* the port's handler holds the vCPUs */
} Machine;

static MemTxResult port_write(void *opaque, hwaddr offset, uint64_t value, unsigned size,
                              MemTxAttrs attrs)
{
    Machine *m = opaque;

    atomic_store(&m->last, (unsigned)value);
    atomic_fetch_add(&m->writes, 1);
    if (m->hold) {
        vcpu_set_hold(m->set);
    }
    return MEMTX_OK;
}

static MemTxResult port_read(void *opaque, hwaddr offset, uint64_t *ret_value, unsigned size,
                             MemTxAttrs attrs)
{
    Machine *m = opaque;

    *ret_value = 0x5a;
    atomic_fetch_add(&m->writes, 1);
    if (m->hold) {
        vcpu_set_hold(m->set);
    }
    return MEMTX_OK;
}

static const MemoryRegionOps port_ops = { .read = port_read, .write = port_write };

static void on_triple_fault(void *opaque, unsigned cpu)
{
    atomic_fetch_add(&((Machine *)opaque)->triple_faults, 1);
}

static void on_system_event(void *opaque, unsigned cpu, unsigned type)
{
}

static void on_failed(void *opaque, unsigned cpu, const char *text)
{
    fprintf(stderr, "%s\n", text);
}

static const VcpuOps ops = {
    .triple_fault = on_triple_fault,
    .system_event = on_system_event,
    .failed = on_failed,
};

static X86EntryState entry_at(uint64_t rip)
{
    return (X86EntryState){
        .mode = X86_ENTRY_PROTECTED_32,
        .rip = rip,
        .rsp = 0x8000,
        .rbx = 0x1234,
        .rflags = X86_ENTRY_RFLAGS_1,
        .cr0 = X86_ENTRY_CR0_PE | X86_ENTRY_CR0_ET,
        .cs = { .limit = 0xffffffff, .selector = 8, .type = 11, .s = true, .db = true, .g = true,
                .present = true },
        .ds = { .limit = 0xffffffff, .selector = 16, .type = 3, .s = true, .db = true, .g = true,
                .present = true },
        .tr = { .limit = 0x67, .type = 11, .present = true },
    };
}

static bool make_machine(Machine *m, GError **error)
{
    const KvmConfig config = { .identity_map_base = 0xfeffc000, .tss_base = 0xfeffd000,
                               .irqchip = true };
    RAMBlock *block = ram_block_new(m->ms, "ram", RAM_SIZE, 0, 0, error);

    m->ram = memory_region_new_ram(m->ms, NULL, "ram", block);
    m->host = ram_block_host(block);
    ram_block_unref(block);
    m->port = memory_region_new_io(m->ms, NULL, &port_ops, m, "port", 4);
    memory_region_add_subregion(m->system, 0, m->ram, NULL);
    memory_region_add_subregion(m->ports, PORT, m->port, NULL);
    m->kvm = kvm_new(&config, error);
    if (!m->kvm || !kvm_attach_memory(m->kvm, m->memory, m->io, error)) {
        return false;
    }
    m->model = cpu_model_new(m->kvm, "host", error);
    m->set = m->model ? vcpu_set_new(m->kvm, m->model, 2, m->memory, m->io, &ops, m, error) : NULL;
    return m->set != NULL;
}

static int setup(void **state)
{
    Machine *m = g_new0(Machine, 1);
    g_autoptr(GError) error = NULL;

    *state = m;
    m->ms = memory_system_new(NULL);
    m->system = memory_region_new_container(m->ms, NULL, "system", INT128_2_64);
    m->ports = memory_region_new_container(m->ms, NULL, "ports", 65536);
    m->memory = address_space_new(m->ms, m->system, "memory", NULL);
    m->io = address_space_new(m->ms, m->ports, "I/O", NULL);
    if (!make_machine(m, &error)) {
        if (m->kvm) {
            fprintf(stderr, "%s\n", error->message);
            return -1;
        }
        fprintf(stderr, "SKIPPED: vCPUs on the kernel's KVM: %s\n", error->message);
    }
    return 0;
}

static int teardown(void **state)
{
    Machine *m = *state;

    vcpu_set_free(m->set);
    cpu_model_free(m->model);
    if (m->kvm) {
        kvm_detach_memory(m->kvm);
    }
    kvm_free(m->kvm);
    memory_region_del_subregion(m->system, m->ram, NULL);
    memory_region_del_subregion(m->ports, m->port, NULL);
    address_space_free(m->memory);
    address_space_free(m->io);
    memory_region_release(m->ram);
    memory_region_release(m->port);
    memory_region_release(m->system);
    memory_region_release(m->ports);
    memory_system_free(m->ms);
    g_free(m);
    return 0;
}

#define NEEDS_KVM(m)                                                                               \
    do {                                                                                           \
        if (!(m)->kvm) {                                                                           \
            skip();                                                                                \
        }                                                                                          \
    } while (0)

static void reset_to(Machine *m, const void *code, size_t len)
{
    X86EntryState entry = entry_at(CODE_AT);
    g_autoptr(GError) error = NULL;

    vcpu_set_pause(m->set);
    memcpy(m->host + CODE_AT, code, len);
    if (!vcpu_set_reset(m->set, &entry, &error)) {
        fail_msg("%s", error->message);
    }
}

static void wait_writes(Machine *m, unsigned n)
{
    gint64 since = g_get_monotonic_time();

    while (atomic_load(&m->writes) < n) {
        if (g_get_monotonic_time() - since > PATIENCE) {
            fail_msg("the guest wrote %u times, not %u", atomic_load(&m->writes), n);
        }
        g_usleep(100);
    }
}

static uint64_t field(const char *text, const char *name)
{
    const char *at = strstr(text, name);

    assert_non_null(at);
    return strtoull(at + strlen(name), NULL, 16);
}

/*
 * The kernel takes every part of a reset, again and again, from a guest that runs and from one that
 * is halted; the guest finds the entry's EBX each time.
 */
static void test_reset_again_and_again(void **state)
{
    /* mov $0x500, %edx; mov %ebx, %eax; out %al, (%dx); inc %ebx; hlt; or: jmp to itself */
    uint8_t code[] = { 0xba, 0x00, 0x05, 0, 0, 0x89, 0xd8, 0xee, 0x43, 0xf4, 0xeb, 0xfe };
    Machine *m = *state;

    NEEDS_KVM(m);
    for (unsigned turn = 1; turn <= 20; turn++) {
        code[9] = turn % 2 ? 0xf4 : 0x90;
        reset_to(m, code, sizeof(code));
        vcpu_set_resume(m->set);
        wait_writes(m, turn);
        vcpu_set_pause(m->set);
        assert_int_equal(atomic_load(&m->last), 0x34);
        assert_int_equal(atomic_load(&m->writes), turn);
    }
}

/* IN: RIP is behind it and AL has the answer as soon as the pause is over, and not one byte further. */
static void test_in_is_complete_when_paused(void **state)
{
    /* mov $0x500, %edx; xor %eax, %eax; in (%dx), %al; inc %ebx; jmp to itself */
    static const uint8_t code[] = { 0xba, 0x00, 0x05, 0, 0, 0x31, 0xc0, 0xec, 0x43, 0xeb, 0xfe };
    Machine *m = *state;
    g_autoptr(GString) text = g_string_new(NULL);

    NEEDS_KVM(m);
    m->hold = true;
    reset_to(m, code, sizeof(code));
    vcpu_set_resume(m->set);
    wait_writes(m, 1);
    vcpu_set_pause(m->set);
    assert_true(vcpu_set_dump_registers(m->set, 0, text, NULL));
    assert_int_equal(field(text->str, "RAX="), 0x5a);
    assert_int_equal(field(text->str, "RBX="), 0x1234);
    assert_int_equal(field(text->str, "RIP="), CODE_AT + 8);
}

static void test_pause_of_a_guest_that_spins(void **state)
{
    /* inc %ebx; jmp to it */
    static const uint8_t code[] = { 0x43, 0xeb, 0xfd };
    Machine *m = *state;
    uint64_t last = 0x1234;

    NEEDS_KVM(m);
    reset_to(m, code, sizeof(code));
    for (unsigned turn = 0; turn < 50; turn++) {
        g_autoptr(GString) text = g_string_new(NULL);
        g_autoptr(GString) again = g_string_new(NULL);

        vcpu_set_resume(m->set);
        g_usleep(500);
        vcpu_set_pause(m->set);
        assert_true(vcpu_set_dump_registers(m->set, 0, text, NULL));
        assert_true(vcpu_set_dump_registers(m->set, 0, again, NULL));
        assert_string_equal(text->str, again->str);
        last = MAX(last, field(text->str, "RBX="));
    }
    assert_true(last > 0x1234);
}

/* After an IDT of no entries and a fault: the board is told once, and a reset brings the vCPU back. */
static void test_triple_fault_and_reset(void **state)
{
    static const uint8_t fault[] = { 0x0f, 0x0b }; /* ud2 */
    static const uint8_t out[] = { 0xba, 0x00, 0x05, 0, 0, 0xee, 0xf4 };
    Machine *m = *state;
    gint64 since = g_get_monotonic_time();

    NEEDS_KVM(m);
    reset_to(m, fault, sizeof(fault));
    vcpu_set_resume(m->set);
    while (atomic_load(&m->triple_faults) == 0) {
        assert_true(g_get_monotonic_time() - since < PATIENCE);
        g_usleep(100);
    }
    reset_to(m, out, sizeof(out));
    vcpu_set_resume(m->set);
    wait_writes(m, 1);
    vcpu_set_pause(m->set);
    assert_int_equal(atomic_load(&m->triple_faults), 1);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_reset_again_and_again),
        TEST(test_in_is_complete_when_paused),
        TEST(test_pause_of_a_guest_that_spins),
        TEST(test_triple_fault_and_reset),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
