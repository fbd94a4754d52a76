/* SPDX-License-Identifier: MIT */
/* vCPUs on the model KVM: what each exit does, and what a pause, a park and a look promise. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "support/vcpu-fixture.h"
#include "tessera/memory/access-counters.h"
#include "tessera/util/error.h"

/* Runs @count vCPUs from the reset on. */
static void start(VcpuFixture *f, unsigned count)
{
    vcpu_fixture_make(f, count);
    vcpu_fixture_reset(f);
    vcpu_set_resume(f->set);
}

/* Exits. */

static void test_exit_io_out_reaches_the_device(void **state)
{
    VcpuFixture *f = *state;
    uint32_t value = 0x11223344;

    vcpu_fixture_make(f, 1);
    vcpu_fixture_reset(f);
    model_vcpu_push_io(f->vm, 0, true, PORT_BASE + 4, 1, 1, &value);
    model_vcpu_push_io(f->vm, 0, true, PORT_BASE + 8, 4, 1, &value);
    vcpu_set_resume(f->set);
    vcpu_fixture_wait_taken(f, 0);
    vcpu_set_pause(f->set);
    assert_int_equal(f->port.n_calls, 2);
    assert_int_equal(f->port.calls[0].offset, 4);
    assert_int_equal(f->port.calls[0].size, 1);
    assert_int_equal(f->port.calls[0].value, 0x44);
    assert_int_equal(f->port.calls[1].size, 4);
    assert_int_equal(f->port.calls[1].value, 0x11223344);
    assert_int_equal(vcpu_set_stats(f->set).io, 2);
}

/* The answer is in the guest's registers only after KVM_RUN was entered again. */
static void test_exit_io_in_is_complete_when_paused(void **state)
{
    VcpuFixture *f = *state;

    for (unsigned turn = 0; turn < 200; turn++) {
        uint16_t answer = 0;

        if (!f->set) {
            vcpu_fixture_make(f, 1);
            vcpu_fixture_reset(f);
        }
        f->port.bytes[2] = (uint8_t)turn;
        f->port.bytes[3] = 0xab;
        model_vcpu_push_io(f->vm, 0, false, PORT_BASE + 2, 2, 1, &answer);
        vcpu_set_resume(f->set);
        vcpu_fixture_wait_taken(f, 0);
        vcpu_set_pause(f->set);
        assert_int_equal(answer, 0xab00 | turn);
    }
}

/* A string instruction: @count elements at one port, one exit. */
static void test_exit_io_count_larger_than_one(void **state)
{
    VcpuFixture *f = *state;
    uint16_t out[5] = { 1, 2, 3, 4, 5 };
    uint8_t in[7] = { 0 };

    vcpu_fixture_make(f, 1);
    vcpu_fixture_reset(f);
    f->port.bytes[0x20] = 0x5a;
    model_vcpu_push_io(f->vm, 0, true, PORT_BASE + 6, 2, 5, out);
    model_vcpu_push_io(f->vm, 0, false, PORT_BASE + 0x20, 1, 7, in);
    vcpu_set_resume(f->set);
    vcpu_fixture_wait_taken(f, 0);
    vcpu_set_pause(f->set);
    assert_int_equal(f->port.n_calls, 12);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(f->port.calls[i].offset, 6);
        assert_int_equal(f->port.calls[i].value, i + 1);
    }
    for (unsigned i = 0; i < 7; i++) {
        assert_int_equal(in[i], 0x5a);
    }
    assert_int_equal(vcpu_set_stats(f->set).io, 2);
}

static void test_exit_io_nobody_answers_all_ones(void **state)
{
    VcpuFixture *f = *state;
    uint32_t answer = 0;

    vcpu_fixture_make(f, 1);
    vcpu_fixture_reset(f);
    model_vcpu_push_io(f->vm, 0, false, 0x60, 4, 1, &answer);
    vcpu_set_resume(f->set);
    vcpu_fixture_wait_taken(f, 0);
    vcpu_set_pause(f->set);
    assert_int_equal(answer, 0xffffffff);
}

static void test_exit_mmio_reads_and_writes(void **state)
{
    VcpuFixture *f = *state;
    uint64_t value = 0x8877665544332211, answer = 0;

    vcpu_fixture_make(f, 1);
    vcpu_fixture_reset(f);
    model_vcpu_push_mmio(f->vm, 0, true, MMIO_BASE + 8, 8, &value);
    model_vcpu_push_mmio(f->vm, 0, false, MMIO_BASE + 8, 8, &answer);
    vcpu_set_resume(f->set);
    vcpu_fixture_wait_taken(f, 0);
    vcpu_set_pause(f->set);
    assert_true(answer == value);
    assert_int_equal(vcpu_set_stats(f->set).mmio, 2);
}

/* A split access: completion of the first part is the exit for the second, with immediate_exit too. */
static void test_exit_mmio_in_two_parts_is_complete_when_paused(void **state)
{
    VcpuFixture *f = *state;
    uint32_t low = 0, high = 0;

    vcpu_fixture_make(f, 1);
    vcpu_fixture_reset(f);
    for (unsigned i = 0; i < 8; i++) {
        f->mmio.bytes[i] = (uint8_t)(i + 1);
    }
    f->mmio.hook = vcpu_fixture_hook_hold;
    model_vcpu_push_mmio_more(f->vm, 0, false, MMIO_BASE, 4, &low);
    model_vcpu_push_mmio(f->vm, 0, false, MMIO_BASE + 4, 4, &high);
    vcpu_set_resume(f->set);
    vcpu_fixture_wait_taken(f, 0);
    vcpu_set_pause(f->set);
    assert_int_equal(low, 0x04030201);
    assert_int_equal(high, 0x08070605);
}

/* After the handler's hold not one more exit is taken. */
static void test_hold_from_a_handler_lets_no_instruction_follow(void **state)
{
    VcpuFixture *f = *state;
    uint8_t value = 1;

    vcpu_fixture_make(f, 1);
    vcpu_fixture_reset(f);
    f->port.hook = vcpu_fixture_hook_hold;
    for (unsigned turn = 1; turn <= 200; turn++) {
        model_vcpu_push_io(f->vm, 0, true, PORT_BASE, 1, 1, &value);
        model_vcpu_push_io(f->vm, 0, true, PORT_BASE, 1, 1, &value);
        vcpu_set_resume(f->set);
        vcpu_fixture_wait_exits(f, turn);
        vcpu_set_pause(f->set);
        assert_int_equal(vcpu_set_stats(f->set).io, turn);
        assert_int_equal(model_vcpu_exits_left(f->vm, 0), turn);
    }
}

static void test_exit_triple_fault_waits_for_reset(void **state)
{
    VcpuFixture *f = *state;
    uint8_t value = 7;

    vcpu_fixture_make(f, 1);
    vcpu_fixture_reset(f);
    model_vcpu_push_reason(f->vm, 0, KVM_EXIT_SHUTDOWN);
    model_vcpu_push_io(f->vm, 0, true, PORT_BASE, 1, 1, &value);
    vcpu_set_resume(f->set);
    vcpu_fixture_wait_event(f, &f->triple_faults, 1);
    vcpu_set_pause(f->set);
    vcpu_set_resume(f->set); /* a resume is no reset */
    vcpu_set_pause(f->set);
    assert_int_equal(model_vcpu_exits_left(f->vm, 0), 1);
    vcpu_fixture_reset(f);
    vcpu_set_resume(f->set);
    vcpu_fixture_wait_taken(f, 0);
    vcpu_set_pause(f->set);
    assert_int_equal(f->port.n_calls, 1);
    assert_int_equal(f->triple_faults, 1);
}

static void fill_system_event(struct kvm_run *run, void *opaque)
{
    run->exit_reason = KVM_EXIT_SYSTEM_EVENT;
    run->system_event.type = KVM_SYSTEM_EVENT_CRASH;
}

static void test_exit_system_event_tells_its_type(void **state)
{
    VcpuFixture *f = *state;

    start(f, 1);
    model_vcpu_push_exit(f->vm, 0, &(ModelExit){ .fill = fill_system_event });
    vcpu_fixture_wait_event(f, &f->system_events, 1);
    assert_int_equal(f->last_system_event, KVM_SYSTEM_EVENT_CRASH);
}

static void fill_internal_error(struct kvm_run *run, void *opaque)
{
    run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
    run->internal.suberror = KVM_INTERNAL_ERROR_EMULATION;
    run->internal.ndata = 2;
    run->internal.data[0] = 0xdeadbeef;
    run->internal.data[1] = 0x55;
}

static void fill_fail_entry(struct kvm_run *run, void *opaque)
{
    run->exit_reason = KVM_EXIT_FAIL_ENTRY;
    run->fail_entry.hardware_entry_failure_reason = 0x80000021;
}

static void fill_reason_99(struct kvm_run *run, void *opaque)
{
    run->exit_reason = 99;
}

static void fill_dirty_ring(struct kvm_run *run, void *opaque)
{
    run->exit_reason = KVM_EXIT_DIRTY_RING_FULL;
}

static void fill_debug(struct kvm_run *run, void *opaque)
{
    run->exit_reason = KVM_EXIT_DEBUG;
    run->debug.arch.pc = 0x1234;
}

/* Each ends in one call of failed(), with words; the vCPU can be inspected and reset. */
static void test_exit_that_ends_the_vcpu_says_why(void **state)
{
    static const struct {
        ModelExit exit;
        const char *words[3];
    } cases[] = {
        { { .fill = fill_internal_error }, { "suberror 1", "interprets", "deadbeef" } },
        { { .fill = fill_fail_entry }, { "FAIL_ENTRY", "0x80000021", "RIP=" } },
        { { .fill = fill_reason_99 }, { "unexpected exit 99", "not known", "CR0=" } },
        { { .fill = fill_dirty_ring }, { "KVM_EXIT_DIRTY_RING_FULL", "unexpected", "RIP=" } },
        { { .fill = fill_debug }, { "KVM_EXIT_DEBUG", "0x1234", "RIP=" } },
        { { .ret = -EFAULT }, { "KVM_RUN", "could not provide", "RIP=" } },
        { { .ret = -ENOEXEC }, { "KVM_RUN", "Exec format", "RIP=" } },
    };
    VcpuFixture *f = *state;

    vcpu_fixture_make(f, 1);
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GString) text = g_string_new(NULL);

        vcpu_fixture_reset(f);
        model_vcpu_push_exit(f->vm, 0, &cases[i].exit);
        vcpu_set_resume(f->set);
        vcpu_fixture_wait_event(f, &f->failures, i + 1);
        assert_true(vcpu_set_dump_registers(f->set, 0, text, NULL));
        vcpu_set_pause(f->set);
        for (unsigned w = 0; w < G_N_ELEMENTS(cases[i].words); w++) {
            if (!strstr(f->failure_text, cases[i].words[w])) {
                fail_msg("\"%s\" lacks \"%s\"", f->failure_text, cases[i].words[w]);
            }
        }
        assert_non_null(strstr(text->str, "RIP="));
    }
    assert_int_equal(f->failures, G_N_ELEMENTS(cases));
}

/* RIP in RAM: its bytes; in a device: none, and the device is not touched. */
static void test_failed_shows_code_but_reads_no_device(void **state)
{
    VcpuFixture *f = *state;
    struct kvm_regs regs = { .rip = CODE_BASE };
    struct kvm_sregs sregs = { .cr0 = 1 };

    vcpu_fixture_make(f, 1);
    vcpu_fixture_reset(f);
    memcpy(f->code, "\xf4\xeb\xfd", 3);
    kvm_vcpu_ioctl(f->base->kvm, vcpu_fixture_fd(f, 0), KVM_SET_SREGS, &sregs);
    kvm_vcpu_ioctl(f->base->kvm, vcpu_fixture_fd(f, 0), KVM_SET_REGS, &regs);
    model_vcpu_push_exit(f->vm, 0, &(ModelExit){ .fill = fill_internal_error });
    vcpu_set_resume(f->set);
    vcpu_fixture_wait_event(f, &f->failures, 1);
    vcpu_set_pause(f->set);
    assert_non_null(strstr(f->failure_text, "Code at RIP: f4 eb fd 00"));

    vcpu_fixture_reset(f);
    regs.rip = MMIO_BASE;
    kvm_vcpu_ioctl(f->base->kvm, vcpu_fixture_fd(f, 0), KVM_SET_SREGS, &sregs);
    kvm_vcpu_ioctl(f->base->kvm, vcpu_fixture_fd(f, 0), KVM_SET_REGS, &regs);
    model_vcpu_push_exit(f->vm, 0, &(ModelExit){ .fill = fill_internal_error });
    vcpu_set_resume(f->set);
    vcpu_fixture_wait_event(f, &f->failures, 2);
    vcpu_set_pause(f->set);
    assert_non_null(strstr(f->failure_text, "Code at RIP: no memory there"));
    assert_int_equal(f->mmio.n_calls, 0);
}

static void fill_msr(struct kvm_run *run, void *opaque)
{
    run->exit_reason = GPOINTER_TO_UINT(opaque);
    run->msr.error = 0;
    run->msr.index = 0xc0010015;
}

static void complete_msr(struct kvm_run *run, void *opaque)
{
    assert_int_equal(run->msr.error, 1);
}

static void fill_hypercall(struct kvm_run *run, void *opaque)
{
    run->exit_reason = KVM_EXIT_HYPERCALL;
    run->hypercall.ret = 0;
}

static void complete_hypercall(struct kvm_run *run, void *opaque)
{
    assert_true((int64_t)run->hypercall.ret == -1000);
}

/* What the guest gets for what nobody has; and exits that need nothing: the vCPU goes on. */
static void test_exit_that_is_answered_or_ignored_goes_on(void **state)
{
    static const uint32_t ignored[] = { KVM_EXIT_INTR, KVM_EXIT_NMI, KVM_EXIT_IRQ_WINDOW_OPEN,
                                        KVM_EXIT_SET_TPR, KVM_EXIT_IOAPIC_EOI,
                                        KVM_EXIT_X86_BUS_LOCK };
    VcpuFixture *f = *state;

    vcpu_fixture_make(f, 1);
    vcpu_fixture_reset(f);
    for (unsigned i = 0; i < 2; i++) {
        uint32_t reason = i ? KVM_EXIT_X86_WRMSR : KVM_EXIT_X86_RDMSR;

        model_vcpu_push_exit(f->vm, 0, &(ModelExit){ .fill = fill_msr, .complete = complete_msr,
                                                     .opaque = GUINT_TO_POINTER(reason) });
    }
    model_vcpu_push_exit(f->vm, 0, &(ModelExit){ .fill = fill_hypercall,
                                                 .complete = complete_hypercall });
    model_vcpu_push_exit(f->vm, 0, &(ModelExit){ .ret = -EAGAIN });
    model_vcpu_push_exit(f->vm, 0, &(ModelExit){ .ret = -EINTR });
    for (unsigned i = 0; i < G_N_ELEMENTS(ignored); i++) {
        model_vcpu_push_reason(f->vm, 0, ignored[i]);
    }
    vcpu_set_resume(f->set);
    vcpu_fixture_wait_taken(f, 0);
    vcpu_set_pause(f->set);
    assert_int_equal(f->failures, 0);
    assert_int_equal(vcpu_set_stats(f->set).exits, 3 + G_N_ELEMENTS(ignored));
}

static void test_exit_hlt_without_apic_waits_for_reset(void **state)
{
    VcpuFixture *f = *state;

    vcpu_fixture_make(f, 1);
    vcpu_fixture_reset(f);
    model_vcpu_push_reason(f->vm, 0, KVM_EXIT_HLT);
    model_vcpu_push_reason(f->vm, 0, KVM_EXIT_NMI);
    vcpu_set_resume(f->set);
    vcpu_fixture_wait_exits(f, 1);
    vcpu_set_pause(f->set);
    assert_int_equal(vcpu_set_stats(f->set).hlt, 1);
    assert_int_equal(model_vcpu_exits_left(f->vm, 0), 1);
}

/* Queued writes come before the exit that follows them, and before a pause ends. */
static void test_coalesced_writes_keep_their_place(void **state)
{
    VcpuFixture *f = *state;
    uint8_t value = 9;

    vcpu_fixture_make(f, 1);
    vcpu_fixture_reset(f);
    assert_true(memory_region_add_coalescing(f->mmio_region, 0, 64, NULL));
    assert_int_equal(model_vm_guest_write(f->vm, false, MMIO_BASE + 1, 1, 5), MODEL_WRITE_COALESCED);
    model_vcpu_push_mmio(f->vm, 0, true, MMIO_BASE + 2, 1, &value);
    vcpu_set_resume(f->set);
    vcpu_fixture_wait_taken(f, 0);
    vcpu_set_pause(f->set);
    assert_int_equal(f->mmio.n_calls, 2);
    assert_int_equal(f->mmio.calls[0].offset, 1);
    assert_int_equal(f->mmio.calls[1].offset, 2);

    vcpu_set_resume(f->set);
    assert_int_equal(model_vm_guest_write(f->vm, false, MMIO_BASE + 3, 1, 6), MODEL_WRITE_COALESCED);
    vcpu_set_pause(f->set);
    assert_int_equal(f->mmio.n_calls, 3);
    assert_int_equal(vcpu_set_stats(f->set).coalesced, 2);
}

static void note_reader(const char *name, const MemoryAccessCounts *counts, void *opaque)
{
    g_string_append_printf(opaque, "%s r%u w%u x%u;", name, (unsigned)counts->reads,
                           (unsigned)counts->writes, (unsigned)counts->exits);
}

static void assert_readers(const MemoryRegion *mr, const char *expected)
{
    g_autoptr(GString) readers = g_string_new(NULL);

    memory_region_for_each_reader(mr, note_reader, readers);
    assert_string_equal(readers->str, expected);
}

/* Each vCPU's accesses are its own; a string instruction is one exit; the ring's writes need none. */
static void test_accesses_are_counted_for_each_vcpu(void **state)
{
    VcpuFixture *f = *state;
    uint16_t out[5] = { 1, 2, 3, 4, 5 };
    uint32_t in = 0;
    MemoryRegionSection port;

    vcpu_fixture_make(f, 2);
    vcpu_fixture_reset(f);
    assert_true(memory_region_add_coalescing(f->mmio_region, 0, 64, NULL));
    model_vcpu_push_io(f->vm, 0, true, PORT_BASE + 6, 2, 5, out);
    model_vcpu_push_mmio(f->vm, 0, false, MMIO_BASE + 4, 4, &in);
    model_vcpu_push_mmio(f->vm, 1, false, MMIO_BASE + 8, 4, &in);
    model_vcpu_push_mmio(f->vm, 1, true, MMIO_BASE + 32, 4, &in);
    assert_int_equal(model_vm_guest_write(f->vm, false, MMIO_BASE + 1, 1, 5), MODEL_WRITE_COALESCED);
    vcpu_set_resume(f->set);
    vcpu_fixture_wait_taken(f, 0);
    vcpu_fixture_wait_taken(f, 1);
    vcpu_set_pause(f->set);
    memory_system_lock(f->base->ms);
    assert_true(address_space_find(f->base->io, PORT_BASE, &port));
    memory_system_unlock(f->base->ms);
    assert_readers(port.mr, "vcpu0 r0 w5 x1;");
    assert_readers(f->mmio_region, "coalesced r0 w1 x0;vcpu0 r1 w0 x1;vcpu1 r1 w1 x2;");
}

/* Looking. */

static void test_dump_registers_completes_the_last_exit(void **state)
{
    VcpuFixture *f = *state;

    start(f, 2);
    for (unsigned turn = 0; turn < 300; turn++) {
        g_autoptr(GString) text = g_string_new(NULL);
        uint8_t answer;

        model_vcpu_push_io(f->vm, turn % 2, false, PORT_BASE, 1, 1, &answer);
        assert_true(vcpu_set_dump_registers(f->set, turn % 2, text, NULL));
        assert_non_null(strstr(text->str, "RIP="));
        vcpu_fixture_wait_taken(f, turn % 2);
        assert_false(vcpu_set_paused(f->set));
        vcpu_set_pause(f->set); /* the next turn's answer is not written any more after this one */
        vcpu_set_resume(f->set);
    }
    assert_int_equal(model_vm_rude_calls(f->vm), 0);
}

static void test_dump_registers_while_paused_leaves_the_pause(void **state)
{
    VcpuFixture *f = *state;
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(GError) error = NULL;

    start(f, 2);
    vcpu_set_pause(f->set);
    assert_true(vcpu_set_dump_registers(f->set, 1, text, NULL));
    assert_true(vcpu_set_paused(f->set));
    model_vcpu_push_reason(f->vm, 0, KVM_EXIT_NMI);
    vcpu_set_pause(f->set);
    assert_int_equal(model_vcpu_exits_left(f->vm, 0), 1);
    assert_false(vcpu_set_dump_registers(f->set, 2, text, &error));
    assert_non_null(strstr(error->message, "0 to 1"));
}

static void test_inject_nmi_goes_to_all_out_of_the_guest(void **state)
{
    VcpuFixture *f = *state;

    start(f, 3);
    vcpu_set_inject_nmi(f->set);
    assert_int_equal(model_kvm_count(KVM_NMI), 3);
    assert_int_equal(model_vm_rude_calls(f->vm), 0);
}

/* Otherwise the guest's kernel takes the pause for a lockup. The first start is no pause. */
static void test_resume_tells_the_guest(void **state)
{
    VcpuFixture *f = *state;

    start(f, 2);
    assert_int_equal(model_kvm_count(KVM_KVMCLOCK_CTRL), 0);
    model_vcpu_push_reason(f->vm, 0, KVM_EXIT_NMI);
    model_vcpu_push_reason(f->vm, 1, KVM_EXIT_NMI);
    vcpu_fixture_wait_taken(f, 0);
    vcpu_fixture_wait_taken(f, 1);
    vcpu_set_pause(f->set);
    vcpu_set_resume(f->set);
    vcpu_set_resume(f->set);
    assert_int_equal(model_kvm_count(KVM_KVMCLOCK_CTRL), 2);
    assert_int_equal(model_vm_rude_calls(f->vm), 0);
}

/* Making. */

static void test_set_new_count_beyond_the_hosts(void **state)
{
    VcpuFixture *f = *state;
    g_autoptr(GError) error = NULL;

    assert_null(vcpu_set_new(f->base->kvm, f->model, 1025, f->base->memory, f->base->io,
                             &vcpu_fixture_ops, f, &error));
    assert_true(g_error_matches(error, TESSERA_ERROR, TESSERA_ERROR_LIMIT));
    assert_non_null(strstr(error->message, "1 to 1024"));
    g_clear_error(&error);
    assert_null(vcpu_set_new(f->base->kvm, f->model, 0, f->base->memory, f->base->io,
                             &vcpu_fixture_ops, f, &error));
    assert_true(g_error_matches(error, TESSERA_ERROR, TESSERA_ERROR_LIMIT));
}

static void test_set_new_many_enables_wide_apic_ids(void **state)
{
    VcpuFixture *f = *state;
    const GByteArray *cpuid;

    vcpu_fixture_make(f, 288);
    assert_int_equal(model_vcpu_count(f->vm), 288);
    assert_int_equal(model_kvm_count(KVM_ENABLE_CAP), f->enabled_caps + 1);
    cpuid = model_vcpu_state(f->vm, 287, KVM_SET_CPUID2);
    assert_non_null(cpuid);
    vcpu_fixture_reset(f);
    vcpu_set_resume(f->set);
    model_vcpu_push_reason(f->vm, 287, KVM_EXIT_NMI);
    vcpu_fixture_wait_taken(f, 287);
    vcpu_set_pause(f->set);
}

static void test_set_new_255_needs_no_wide_apic_ids(void **state)
{
    VcpuFixture *f = *state;

    vcpu_fixture_make(f, 255);
    assert_int_equal(model_kvm_count(KVM_ENABLE_CAP), f->enabled_caps);
}

static int first_free_fd(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    close(fd);
    return fd;
}

/*
 * Every ioctl of making and resetting two vCPUs fails once: an error and nothing left (the address
 * sanitizer counts), or, where the answer may be no, a set that works.
 */
static void test_set_new_and_reset_every_failure(void **state)
{
    unsigned refused = 0;

    for (unsigned long n = 1;; n++) {
        VcpuFixture *f = vcpu_fixture_new(true);
        g_autoptr(GError) error = NULL;
        int before = first_free_fd();
        bool hit;

        model_kvm_fail_nth(n, ENOMEM, false);
        f->set = vcpu_set_new(f->base->kvm, f->model, 2, f->base->memory, f->base->io,
                              &vcpu_fixture_ops, f, &error);
        if (f->set && vcpu_set_reset(f->set, &vcpu_fixture_entry, &error)) {
            vcpu_set_pause(f->set);
            f->port.bytes[0] = 1;
            vcpu_set_reset(f->set, &vcpu_fixture_entry, &error);
        }
        hit = model_kvm_faults_hit() > 0;
        model_kvm_no_faults();
        if (error) {
            assert_true(hit);
            assert_true(error->domain == TESSERA_ERROR);
            assert_non_null(strstr(error->message, g_strerror(ENOMEM)));
            refused++;
        } else {
            assert_non_null(f->set);
        }
        vcpu_set_free(f->set);
        f->set = NULL;
        assert_int_equal(first_free_fd(), before);
        vcpu_fixture_free(f);
        if (!hit) {
            break;
        }
    }
    assert_true(refused > 50);
}

static void test_set_free_while_running(void **state)
{
    VcpuFixture *f = *state;
    uint8_t value = 0;

    start(f, 3);
    for (unsigned i = 0; i < 50; i++) {
        model_vcpu_push_io(f->vm, i % 3, true, 0x60, 1, 1, &value);
    }
    vcpu_set_free(f->set);
    f->set = NULL;
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, vcpu_fixture_setup, vcpu_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_exit_io_out_reaches_the_device),
        TEST(test_exit_io_in_is_complete_when_paused),
        TEST(test_exit_io_count_larger_than_one),
        TEST(test_exit_io_nobody_answers_all_ones),
        TEST(test_exit_mmio_reads_and_writes),
        TEST(test_exit_mmio_in_two_parts_is_complete_when_paused),
        TEST(test_hold_from_a_handler_lets_no_instruction_follow),
        TEST(test_exit_triple_fault_waits_for_reset),
        TEST(test_exit_system_event_tells_its_type),
        TEST(test_exit_that_ends_the_vcpu_says_why),
        TEST(test_failed_shows_code_but_reads_no_device),
        TEST(test_exit_that_is_answered_or_ignored_goes_on),
        TEST(test_exit_hlt_without_apic_waits_for_reset),
        TEST(test_coalesced_writes_keep_their_place),
        TEST(test_accesses_are_counted_for_each_vcpu),
        TEST(test_dump_registers_completes_the_last_exit),
        TEST(test_dump_registers_while_paused_leaves_the_pause),
        TEST(test_inject_nmi_goes_to_all_out_of_the_guest),
        TEST(test_resume_tells_the_guest),
        TEST(test_set_new_count_beyond_the_hosts),
        TEST(test_set_new_many_enables_wide_apic_ids),
        TEST(test_set_new_255_needs_no_wide_apic_ids),
        TEST(test_set_new_and_reset_every_failure),
        TEST(test_set_free_while_running),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
