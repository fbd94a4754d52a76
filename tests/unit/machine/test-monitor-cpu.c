/* SPDX-License-Identifier: MIT */
/* The monitor's commands for vCPUs, and registers in numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "../../../src/accel/kvm/vcpu-internal.h"
#include "support/monitor-fixture.h"

static void set_state(MonitorFixture *f, unsigned cpu, unsigned long req, void *state)
{
    VcpuSet *set = machine_vcpus(f->machine);

    assert_int_equal(kvm_vcpu_ioctl(set->kvm, set->vcpus[cpu]->fd, req, state), 0);
}

/* A vCPU in long mode whose registers all differ. */
static void set_long_mode(MonitorFixture *f, unsigned cpu)
{
    struct kvm_regs regs = { .rax = 0xa1, .rbx = 0xb2, .rsp = 0xffff888000001000, .r15 = 0xf15,
                             .rip = 0xffffffff81000000, .rflags = 0x246 };
    struct kvm_sregs sregs = { .cr0 = 0x80050033, .cr2 = 0x7f0000001000, .cr3 = 0x1234000,
                               .cr4 = 0x6f0, .efer = 0xd01 };
    struct kvm_debugregs debug = { .dr6 = 0xffff0ff0, .dr7 = 0x400 };
    struct kvm_fpu fpu = { .fcw = 0x37f, .mxcsr = 0x1f80 };
    struct kvm_mp_state mp = { .mp_state = KVM_MP_STATE_HALTED };
    struct kvm_vcpu_events events = { 0 };

    sregs.cs = (struct kvm_segment){ .selector = 0x10, .limit = 0xffffffff, .type = 11, .present = 1,
                                     .s = 1, .l = 1, .g = 1 };
    sregs.ss = (struct kvm_segment){ .selector = 0x18, .limit = 0xffffffff, .type = 3, .present = 1,
                                     .s = 1, .db = 1, .g = 1 };
    sregs.tr = (struct kvm_segment){ .selector = 0x40, .base = 0xfffffe0000003000, .limit = 0x4087,
                                     .type = 11, .present = 1 };
    sregs.ldt = (struct kvm_segment){ .limit = 0xfffff, .type = 2, .present = 1, .unusable = 1 };
    sregs.fs = (struct kvm_segment){ .selector = 0x2b, .limit = 0xffffffff, .type = 3, .dpl = 3,
                                     .present = 1, .s = 1, .db = 1, .g = 1, .avl = 1 };
    sregs.gdt = (struct kvm_dtable){ .base = 0xfffffe0000001000, .limit = 0x7f };
    fpu.xmm[15][0] = 0x42;
    set_state(f, cpu, KVM_SET_REGS, &regs);
    set_state(f, cpu, KVM_SET_SREGS, &sregs);
    set_state(f, cpu, KVM_SET_DEBUGREGS, &debug);
    set_state(f, cpu, KVM_SET_FPU, &fpu);
    set_state(f, cpu, KVM_SET_MP_STATE, &mp);
    set_state(f, cpu, KVM_SET_VCPU_EVENTS, &events);
}

static void test_registers_in_long_mode(void **state)
{
    MonitorFixture *f = monitor_fixture_new("-S");

    set_long_mode(f, 0);
    monitor_fixture_hmp(f, "info registers");
    assert_text_has(f->out->str, "\nCPU#0\nRAX=00000000000000a1 RBX=00000000000000b2 ");
    assert_text_has(f->out->str, "R14=0000000000000000 R15=0000000000000f15\n");
    assert_text_has(f->out->str, "RIP=ffffffff81000000 RFL=00000246 [---Z-P-] CPL=0 II=0 A20=1 "
                                 "SMM=0 HLT=1\n");
    assert_text_has(f->out->str, "CS =0010 0000000000000000 ffffffff 00af9b00 DPL=0 CS64 [-RA]\n");
    assert_text_has(f->out->str, "SS =0018 0000000000000000 ffffffff 00cf9300 DPL=0 DS   [-WA]\n");
    assert_text_has(f->out->str, "TR =0040 fffffe0000003000 00004087 00008b00 DPL=0 TSS64-busy\n");
    assert_text_has(f->out->str, "LDT=0000 0000000000000000 000fffff 00000000\n");
    assert_text_has(f->out->str, "FS =002b 0000000000000000 ffffffff 00dff300 DPL=3 DS   [-WA]\n");
    assert_text_has(f->out->str, "GDT=     fffffe0000001000 0000007f\n");
    assert_text_has(f->out->str, "CR0=80050033 CR2=00007f0000001000 CR3=0000000001234000 "
                                 "CR4=000006f0\n");
    assert_text_has(f->out->str, "DR6=00000000ffff0ff0 DR7=0000000000000400\n"
                                 "EFER=0000000000000d01\n");
    assert_text_has(f->out->str, "FCW=037f FSW=0000 [ST=0] FTW=00 MXCSR=00001f80\n");
    assert_text_has(f->out->str, "XMM15=0000000000000000 0000000000000042\n");
    monitor_fixture_free(f);
}

static void test_registers_of_real_mode_are_narrow(void **state)
{
    MonitorFixture *f = monitor_fixture_new("-S");
    struct kvm_regs regs = { .rip = 0xfff0, .rflags = 2 };
    struct kvm_sregs sregs = { .cr0 = 0x60000010, .efer = 1 }; /* SCE, not LMA */
    struct kvm_mp_state mp = { 0 };
    struct kvm_vcpu_events events = { .smi.smm = 1 };

    sregs.cs = (struct kvm_segment){ .selector = 0xf000, .base = 0xffff0000, .limit = 0xffff,
                                     .type = 11, .s = 1, .present = 1 };
    set_state(f, 0, KVM_SET_REGS, &regs);
    set_state(f, 0, KVM_SET_SREGS, &sregs);
    set_state(f, 0, KVM_SET_MP_STATE, &mp);
    set_state(f, 0, KVM_SET_VCPU_EVENTS, &events);
    monitor_fixture_hmp(f, "info registers");
    assert_text_has(f->out->str, "EIP=0000fff0 EFL=00000002 [-------] CPL=0 II=0 A20=1 SMM=1 "
                                 "HLT=0\n");
    assert_text_has(f->out->str, "CS =f000 ffff0000 0000ffff 00009b00\n"); /* as in QEMU */
    assert_null(strstr(f->out->str, "R8 "));
    assert_null(strstr(f->out->str, "XMM08"));
    monitor_fixture_free(f);
}

static void test_registers_of_all_and_of_one(void **state)
{
    MonitorFixture *f = monitor_fixture_new("-S -smp 3");

    monitor_fixture_hmp(f, "info registers -a");
    assert_text_has(f->out->str, "\nCPU#0\n");
    assert_text_has(f->out->str, "\nCPU#1\n");
    assert_text_has(f->out->str, "\nCPU#2\n");
    monitor_fixture_hmp(f, "info registers 1");
    assert_text_has(f->out->str, "CPU#1\n");
    assert_null(strstr(f->out->str, "CPU#0\n"));
    assert_text_has(monitor_fixture_hmp_error(f, "info registers 3"), "0 to 2");
    assert_text_has(monitor_fixture_hmp_error(f, "info registers -b"), "-b");
    monitor_fixture_hmp(f, "cont");
    monitor_fixture_hmp(f, "info registers -a"); /* of running vCPUs, too */
    monitor_fixture_free(f);
}

static void test_registers_say_what_the_kernel_refused(void **state)
{
    MonitorFixture *f = monitor_fixture_new("-S");

    model_kvm_fail_request(KVM_GET_FPU);
    model_kvm_fail_nth(1, EIO, true);
    assert_text_has(monitor_fixture_hmp_error(f, "info registers"), "KVM_GET_FPU");
    model_kvm_no_faults();
    monitor_fixture_hmp(f, "info registers");
    monitor_fixture_free(f);
}

static void test_cpu_is_the_monitors_own(void **state)
{
    MonitorFixture *f = monitor_fixture_new("-S -smp 2");
    Monitor other = { .hub = f->hub, .mode = MONITOR_HMP };

    assert_string_equal(monitor_fixture_hmp(f, "cpu 1"), "");
    assert_text_has(monitor_fixture_hmp(f, "info cpus"), "\n* CPU #1: thread_id=");
    assert_text_has(monitor_fixture_hmp(f, "info registers"), "CPU#1\n");
    g_string_truncate(f->out, 0);
    assert_true(hmp_run_line(&other, "info cpus", f->out, NULL));
    assert_text_has(f->out->str, "* CPU #0: thread_id=");
    assert_text_has(monitor_fixture_hmp_error(f, "cpu 2"), "invalid CPU index 2");
    assert_text_has(monitor_fixture_hmp_error(f, "cpu 99999999999999999999"), "index");
    assert_text_has(monitor_fixture_hmp_error(f, "cpu"), "missing");
    assert_text_has(monitor_fixture_hmp(f, "info registers"), "CPU#1\n"); /* nothing was lost */
    monitor_fixture_free(f);
}

static void test_cpus_name_their_threads(void **state)
{
    MonitorFixture *f = monitor_fixture_new("-S -smp 2");
    json_t *list = monitor_fixture_qmp(f, "query-cpus-fast", NULL);

    assert_int_equal(json_array_size(list), 2);
    for (size_t i = 0; i < 2; i++) {
        json_t *cpu = json_array_get(list, i);
        json_int_t tid = json_integer_value(json_object_get(cpu, "thread-id"));
        g_autofree char *path = g_strdup_printf("/proc/self/task/%d/comm", (int)tid);
        g_autofree char *name = NULL;
        g_autofree char *wanted = g_strdup_printf("vcpu%zu\n", i);

        assert_int_equal(json_integer_value(json_object_get(cpu, "cpu-index")), i);
        assert_string_equal(json_string_value(json_object_get(cpu, "target")), "x86_64");
        assert_non_null(json_object_get(cpu, "qom-path"));
        assert_int_equal(json_integer_value(json_object_get(json_object_get(cpu, "props"),
                                                            "socket-id")), i);
        assert_true(g_file_get_contents(path, &name, NULL, NULL));
        assert_string_equal(name, wanted);
    }
    assert_int_equal(vcpu_set_thread_id(machine_vcpus(f->machine), 2), 0);
    monitor_fixture_free(f);
}

static uint64_t get(MonitorFixture *f, const char *name)
{
    uint64_t value = 0;

    assert_true(vcpu_set_get_register(machine_vcpus(f->machine), 0, name, &value, NULL));
    return value;
}

static void test_get_register_by_name(void **state)
{
    MonitorFixture *f = monitor_fixture_new("-S");
    g_autoptr(GError) error = NULL;
    uint64_t value = 7;

    set_long_mode(f, 0);
    assert_int_equal(get(f, "rip"), 0xffffffff81000000);
    assert_int_equal(get(f, "pc"), 0xffffffff81000000);
    assert_int_equal(get(f, "eip"), 0x81000000);
    assert_int_equal(get(f, "RSP"), 0xffff888000001000);
    assert_int_equal(get(f, "r15"), 0xf15);
    assert_int_equal(get(f, "r15d"), 0xf15);
    assert_int_equal(get(f, "eflags"), 0x246);
    assert_int_equal(get(f, "cs"), 0x10);
    assert_int_equal(get(f, "tr_base"), 0xfffffe0000003000);
    assert_int_equal(get(f, "gdt_limit"), 0x7f);
    assert_int_equal(get(f, "cr3"), 0x1234000);
    assert_int_equal(get(f, "efer"), 0xd01);
    assert_false(vcpu_set_get_register(machine_vcpus(f->machine), 0, "crr3", &value, &error));
    assert_text_has(error->message, "'cr3'");
    g_clear_error(&error);
    assert_false(vcpu_set_get_register(machine_vcpus(f->machine), 1, "rip", &value, &error));
    assert_text_has(error->message, "vCPU 1");
    g_clear_error(&error);
    model_kvm_fail_request(KVM_GET_SREGS);
    model_kvm_fail_nth(1, EIO, true);
    assert_false(vcpu_set_get_register(machine_vcpus(f->machine), 0, "cr3", &value, &error));
    assert_text_has(error->message, "KVM_GET_SREGS");
    model_kvm_no_faults();
    assert_int_equal(value, 7);
    monitor_fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registers_in_long_mode),
        cmocka_unit_test(test_registers_of_real_mode_are_narrow),
        cmocka_unit_test(test_registers_of_all_and_of_one),
        cmocka_unit_test(test_registers_say_what_the_kernel_refused),
        cmocka_unit_test(test_cpu_is_the_monitors_own),
        cmocka_unit_test(test_cpus_name_their_threads),
        cmocka_unit_test(test_get_register_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
