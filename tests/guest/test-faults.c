/* SPDX-License-Identifier: MIT */
/* A guest that cannot go on: what is said, and that a reset brings it back. Memory above 4 GiB. */
#include "support/guest.h"

#include <string.h>

#define NOWHERE 0xd0000000ULL

static void assert_runs_after_a_reset(Guest *guest)
{
    vcpu_set_pause(guest->vcpus);
    guest->failures = 0;
    guest_load(guest);
    GUEST_OPS(guest, 0, DO(OP_READ, 4, OPS_SHARED_BASE, 0));
    guest_run(guest);
}

static void assert_says(const char *text, const char *what)
{
    if (!strstr(text, what)) {
        print_error("%s\n", text);
        fail_msg("\"%s\" is not said", what);
    }
}

static void test_triple_fault(void **state)
{
    Guest *guest = guest_new(1);

    for (unsigned i = 1; i <= 3; i++) {
        GUEST_OPS(guest, 0, DO(OP_TRIPLE_FAULT, 0, 0, 0));
        guest_start(guest);
        guest_wait(guest, &guest->triple_faults, i);
        vcpu_set_pause(guest->vcpus);
        assert_int_equal(guest->done, 0);
        assert_runs_after_a_reset(guest);
    }
    guest_free(guest);
}

static void test_jump_to_where_no_memory_is(void **state)
{
    Guest *guest = guest_new(1);

    GUEST_OPS(guest, 0, DO(OP_JUMP, 0, NOWHERE, 0));
    guest_start(guest);
    guest_wait(guest, &guest->failures, 1);
    vcpu_set_pause(guest->vcpus);
    assert_says(guest->failure, "vCPU 0 cannot go on: KVM_EXIT_INTERNAL_ERROR, suberror 1");
    assert_says(guest->failure, "executes where no memory is");
    assert_says(guest->failure, "/proc/cpuinfo shows vmx or svm");
    assert_says(guest->failure, "RIP=00000000d0000000");
    assert_says(guest->failure, "CS =0008");
    assert_says(guest->failure, "EFER=500");
    assert_says(guest->failure, "Code at RIP: no memory there");
    assert_runs_after_a_reset(guest);
    guest_free(guest);
}

/* KVM's emulator, which every host uses for devices, has no x87 loads. */
static void test_instruction_that_kvm_cannot_emulate(void **state)
{
    Guest *guest = guest_new(1);
    g_autofree char *rax = g_strdup_printf("RAX=%016llx", (unsigned long long)NOWHERE);

    GUEST_OPS(guest, 0, DO(OP_FLOAT_LOAD, 4, NOWHERE, 0));
    guest_start(guest);
    guest_wait(guest, &guest->failures, 1);
    vcpu_set_pause(guest->vcpus);
    assert_says(guest->failure, "KVM_EXIT_INTERNAL_ERROR, suberror 1");
    assert_says(guest->failure, rax);
    assert_says(guest->failure, "Code at RIP: d9 00");
    assert_runs_after_a_reset(guest);
    guest_free(guest);
}

static void test_dump_of_registers(void **state)
{
    Guest *guest = guest_new(1);
    g_autoptr(GString) text = g_string_new(NULL);
    const X86EntryState *entry = linux_boot_plan_entry(guest->plan);
    g_autofree char *rip = g_strdup_printf("RIP=%016llx", (unsigned long long)entry->rip);
    g_autofree char *rbx = g_strdup_printf("RBX=%016llx", (unsigned long long)entry->rbx);

    edit(vcpu_set_dump_registers(guest->vcpus, 0, text, EDIT_ERROR));
    assert_says(text->str, rip);
    assert_says(text->str, rbx);
    assert_says(text->str, "CR0=00000011");
    guest_free(guest);
}

/* RAM above 4 GiB, reached through page tables that the guest makes itself. */
static void test_ram_above_4_gib(void **state)
{
    enum { SIZE = 4 << 20 };
    const uint64_t base = 5ULL << 30;
    Guest *guest = guest_new(1);
    RAMBlock *block = ram_block_new(guest->ms, "high", SIZE, 0, 0, NULL);
    MemoryRegion *high = memory_region_new_ram(guest->ms, NULL, "high", block);
    uint64_t *host = ram_block_host(block);

    host[1] = 0x1234;
    edit(memory_region_add_subregion(guest->root, base, high, EDIT_ERROR));
    GUEST_OPS(guest, 0, DO(OP_MAP_GIB, 0, base, 0), DO(OP_READ, 8, base + 8, 0),
              DO(OP_WRITE, 8, base + SIZE - 8, 0x5678), DO_USER(OP_READ, 8, base + SIZE - 8, 0),
              DO(OP_READ, 8, base + SIZE, 0));
    guest_run(guest);
    assert_int_equal(guest_result(guest, 1), 0x1234);
    assert_int_equal(guest_result(guest, 3), 0x5678);
    assert_int_equal(host[SIZE / 8 - 1], 0x5678);
    assert_int_equal(guest_result(guest, 4), UINT64_MAX);
    edit(memory_region_del_subregion(guest->root, high, EDIT_ERROR));
    memory_region_release(high);
    ram_block_unref(block);
    guest_free(guest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_triple_fault),
        cmocka_unit_test(test_jump_to_where_no_memory_is),
        cmocka_unit_test(test_instruction_that_kvm_cannot_emulate),
        cmocka_unit_test(test_dump_of_registers),
        cmocka_unit_test(test_ram_above_4_gib),
    };

    return cmocka_run_group_tests_name("faults", tests, NULL, NULL);
}
