/* SPDX-License-Identifier: MIT */
/* What people are told of vCPUs: logs, reasons for an end, registers; and when the kernel refuses. */
#include <errno.h>
#include <glib/gstdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "../../../src/memory/access-internal.h"
#include "support/vcpu-fixture.h"
#include "tessera/util/error.h"
#include "tessera/util/log.h"

static void assert_says(const char *text, const char *word)
{
    if (!strstr(text, word)) {
        fail_msg("\"%s\" lacks \"%s\"", text, word);
    }
}

/* --- The log --- */

static char *log_path;

static int log_setup(void **state)
{
    int fd = g_file_open_tmp("tessera-log-XXXXXX", &log_path, NULL);

    assert_true(fd >= 0);
    close(fd);
    assert_true(log_configure("unimp,exits,guest_errors,irq,slots,cpu,commits", log_path, NULL));
    return vcpu_fixture_setup(state);
}

static int log_teardown(void **state)
{
    assert_true(log_configure("none", NULL, NULL));
    log_close();
    g_unlink(log_path);
    g_clear_pointer(&log_path, g_free);
    return vcpu_fixture_teardown(state);
}

static char *logged(void)
{
    char *text = NULL;

    assert_true(g_file_get_contents(log_path, &text, NULL, NULL));
    return text;
}

/* An access that comes to nothing: who, where, and why. */
static void test_log_tells_why_an_access_failed(void **state)
{
    VcpuFixture *f = *state;
    MemoryRegion *rom = vm_fixture_rom(f->base, "rom", 0x1000);
    uint64_t value = 1;
    g_autofree char *text = NULL;

    vm_fixture_put(f->base, rom, 0x200000, 0);
    f->port.ops.valid.max_access_size = 1;
    f->port.ops.valid.min_access_size = 1;
    f->mmio.ops.valid.min_access_size = 4;
    memory_io_know_sizes(f->port_region); /* as if made with them */
    memory_io_know_sizes(f->mmio_region);
    vcpu_fixture_make(f, 1);
    vcpu_fixture_reset(f);
    model_vcpu_push_io(f->vm, 0, false, 0x60, 1, 1, &value);
    model_vcpu_push_io(f->vm, 0, true, 0x61, 2, 1, &value);
    model_vcpu_push_mmio(f->vm, 0, false, 0xc0000000, 4, &value);
    model_vcpu_push_mmio(f->vm, 0, true, 0x200010, 4, &value);
    model_vcpu_push_mmio(f->vm, 0, true, MMIO_BASE + 2, 2, &value);
    vcpu_set_resume(f->set);
    vcpu_fixture_wait_taken(f, 0);
    vcpu_set_pause(f->set);
    kvm_set_gsi(f->base->kvm, 5, true);
    kvm_set_gsi(f->base->kvm, 5, false);
    text = logged();
    assert_says(text, "vCPU 0: 1 bytes from port 0x60: nothing answers there");
    assert_says(text, "vCPU 0: 2 bytes to port 0x61: nothing answers there");
    assert_says(text, "vCPU 0: 4 bytes from 0xc0000000: nothing answers there");
    assert_says(text, "vCPU 0: 4 bytes to 0x200010: read-only memory");
    assert_says(text, "vCPU 0: 2 bytes to 0xd0000002: the device refuses this access");
    assert_says(text, "vCPU 0: exit 2 IO");
    assert_says(text, "vCPU 0: exit 6 MMIO");
    assert_says(text, "GSI 5 up");
    assert_says(text, "GSI 5 down");
    assert_says(text, "slot "); /* the ROM's */
    assert_says(text, "radix nodes");
}

static void fill_rdmsr(struct kvm_run *run, void *opaque)
{
    run->exit_reason = KVM_EXIT_X86_RDMSR;
    run->msr.index = 0xc0010099;
}

static void fill_wrmsr(struct kvm_run *run, void *opaque)
{
    run->exit_reason = KVM_EXIT_X86_WRMSR;
    run->msr.index = 0xc0010098;
}

static void fill_unknown(struct kvm_run *run, void *opaque)
{
    run->exit_reason = 12345;
}

static void test_log_tells_of_exits_that_it_does_not_know(void **state)
{
    VcpuFixture *f = *state;
    g_autofree char *text = NULL;

    vcpu_fixture_make(f, 1);
    vcpu_fixture_reset(f);
    model_vcpu_push_exit(f->vm, 0, &(ModelExit){ .fill = fill_rdmsr });
    model_vcpu_push_exit(f->vm, 0, &(ModelExit){ .fill = fill_wrmsr });
    model_vcpu_push_exit(f->vm, 0, &(ModelExit){ .fill = fill_unknown });
    vcpu_set_resume(f->set);
    vcpu_fixture_wait_event(f, &f->failures, 1);
    vcpu_set_pause(f->set);
    text = logged();
    assert_says(text, "vCPU 0: read of unknown MSR 0xc0010099");
    assert_says(text, "vCPU 0: write of unknown MSR 0xc0010098");
    assert_says(text, "exit 12345 ?");
}

/* --- The end of a vCPU --- */

static void fill_internal_error(struct kvm_run *run, void *opaque)
{
    run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
    run->internal.suberror = GPOINTER_TO_UINT(opaque);
    run->internal.ndata = 99; /* more than there can be: cut */
}

static void test_internal_error_each_suberror_has_a_hint(void **state)
{
    static const struct {
        unsigned suberror;
        const char *word;
    } cases[] = {
        { KVM_INTERNAL_ERROR_SIMUL_EX, "two exceptions" },
        { KVM_INTERNAL_ERROR_DELIVERY_EV, "not RAM" },
        { KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON, "newer host kernel" },
        { 77, "suberror 77: a suberror that this version does not know" },
    };
    VcpuFixture *f = *state;

    vcpu_fixture_make(f, 1);
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        vcpu_fixture_reset(f);
        model_vcpu_push_exit(f->vm, 0,
                             &(ModelExit){ .fill = fill_internal_error,
                                           .opaque = GUINT_TO_POINTER(cases[i].suberror) });
        vcpu_set_resume(f->set);
        vcpu_fixture_wait_event(f, &f->failures, i + 1);
        vcpu_set_pause(f->set);
        assert_says(f->failure_text, cases[i].word);
    }
}

/* The reason is told even when the kernel tells nothing else. */
static void test_failed_without_registers_tells_the_reason(void **state)
{
    static const unsigned long refused[] = { KVM_GET_REGS, KVM_GET_SREGS };
    VcpuFixture *f = *state;

    vcpu_fixture_make(f, 1);
    for (unsigned i = 0; i < G_N_ELEMENTS(refused); i++) {
        vcpu_fixture_reset(f);
        model_kvm_fail_request(refused[i]);
        model_kvm_fail_nth(1, EIO, true);
        model_vcpu_push_exit(f->vm, 0, &(ModelExit){ .ret = -EFAULT });
        vcpu_set_resume(f->set);
        vcpu_fixture_wait_event(f, &f->failures, i + 1);
        vcpu_set_pause(f->set);
        model_kvm_no_faults();
        model_kvm_fail_request(0);
        assert_says(f->failure_text, "could not provide");
        assert_says(f->failure_text, "(the kernel does not give the registers)");
        assert_null(strstr(f->failure_text, "Code at RIP"));
    }
}

static int translate_first_page(ModelVm *vm, unsigned cpu, struct kvm_translation *tr, void *opaque)
{
    tr->valid = tr->linear_address < CODE_BASE + 4;
    tr->physical_address = tr->linear_address;
    return 0;
}

/* Code at the end of what is mapped: as far as it goes. */
static void test_failed_shows_code_up_to_its_end(void **state)
{
    VcpuFixture *f = *state;
    struct kvm_regs regs = { .rip = CODE_BASE };
    struct kvm_sregs sregs = { .cr0 = 1 };

    vcpu_fixture_make(f, 1);
    vcpu_fixture_reset(f);
    memcpy(f->code, "\x0f\x0b\x90\xf4", 4);
    kvm_vcpu_ioctl(f->base->kvm, vcpu_fixture_fd(f, 0), KVM_SET_SREGS, &sregs);
    kvm_vcpu_ioctl(f->base->kvm, vcpu_fixture_fd(f, 0), KVM_SET_REGS, &regs);
    model_vm_set_translate(f->vm, translate_first_page, NULL);
    model_vcpu_push_exit(f->vm, 0, &(ModelExit){ .ret = -EFAULT });
    vcpu_set_resume(f->set);
    vcpu_fixture_wait_event(f, &f->failures, 1);
    vcpu_set_pause(f->set);
    assert_says(f->failure_text, "Code at RIP: 0f 0b 90 f4 (ends here)\n");
    model_kvm_fail_request(KVM_TRANSLATE);
    model_kvm_fail_nth(1, EIO, true);
    vcpu_fixture_reset(f);
    model_vcpu_push_exit(f->vm, 0, &(ModelExit){ .ret = -EFAULT });
    vcpu_set_resume(f->set);
    vcpu_fixture_wait_event(f, &f->failures, 2);
    vcpu_set_pause(f->set);
    assert_says(f->failure_text, "Code at RIP: no memory there\n");
    model_kvm_no_faults();
    model_kvm_fail_request(0);
}

/* --- Looking --- */

static void test_show_registers_of_a_vcpu_that_is_not(void **state)
{
    VcpuFixture *f = *state;
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(GError) error = NULL;
    hwaddr gpa;

    vcpu_fixture_make(f, 2);
    assert_false(vcpu_set_show_registers(f->set, 2, text, &error));
    assert_true(g_error_matches(error, TESSERA_ERROR, TESSERA_ERROR_NOT_FOUND));
    assert_says(error->message, "0 to 1");
    assert_int_equal(text->len, 0);
    assert_false(vcpu_set_translate(f->set, 2, 0, &gpa));
    assert_int_equal(vcpu_set_thread_id(f->set, 2), 0);
    assert_true(vcpu_set_translate(f->set, 1, 0x1234, &gpa));
    assert_int_equal(gpa, 0x1234);
}

/* The tables at CODE_BASE: one entry a level, each in a page of its own. */
static void test_walk_reads_registers_and_memory(void **state)
{
    struct kvm_sregs sregs = { .cr0 = 0x80000011, .cr3 = CODE_BASE, .cr4 = 0x20, .efer = 0x500 };
    struct kvm_sregs off = { .cr0 = 0x11 };
    VcpuFixture *f = *state;
    g_autoptr(GError) error = NULL;
    X86PagingState paging;
    X86Walk walk;

    vcpu_fixture_make(f, 2);
    vcpu_fixture_reset(f);
    kvm_vcpu_ioctl(f->base->kvm, vcpu_fixture_fd(f, 0), KVM_SET_SREGS, &off);
    kvm_vcpu_ioctl(f->base->kvm, vcpu_fixture_fd(f, 1), KVM_SET_SREGS, &sregs);
    for (unsigned i = 0; i < 4; i++) {
        uint64_t entry = (i < 3 ? CODE_BASE + (i + 1) * 0x1000 : 0x7654000) | 0x67;

        memcpy(f->code + i * 0x1000 + 8 * i, &entry, 8);
    }
    assert_true(vcpu_set_walk(f->set, 1, (1ULL << 30) | (2ULL << 21) | 0x3123, &paging, &walk, NULL));
    assert_int_equal(walk.result, X86_WALK_MAPPED);
    assert_int_equal(walk.gpa, 0x7654123);
    assert_int_equal(paging.cr3, CODE_BASE);
    assert_int_equal(paging.phys_bits, cpu_model_phys_bits(f->model));
    assert_true(paging.gib_pages && cpu_model_gib_pages(f->model));
    assert_true(vcpu_set_walk(f->set, 0, 0x123, &paging, &walk, NULL));
    assert_int_equal(walk.mode, X86_PAGING_OFF);
    assert_false(vcpu_set_walk(f->set, 2, 0, &paging, &walk, &error));
    assert_says(error->message, "0 to 1");
    g_clear_error(&error);
    vcpu_set_resume(f->set);
    for (unsigned i = 0; i < 100; i++) { /* of a running one, too */
        assert_true(vcpu_set_walk(f->set, i % 2, 1 << 30, &paging, &walk, NULL));
        assert_int_equal(walk.result, i % 2 ? X86_WALK_NOT_PRESENT : X86_WALK_MAPPED);
    }
    vcpu_set_pause(f->set);
    model_kvm_fail_request(KVM_GET_SREGS);
    model_kvm_fail_nth(1, EIO, true);
    assert_false(vcpu_set_walk(f->set, 0, 0, &paging, &walk, &error));
    assert_says(error->message, "KVM_GET_SREGS");
    model_kvm_no_faults();
    model_kvm_fail_request(0);
    assert_int_equal(model_vm_rude_calls(f->vm), 0);
}

/* Each question that the kernel can refuse: an error that names it, nothing shown. */
static void test_show_registers_each_question_refused(void **state)
{
    static const struct {
        unsigned long req;
        const char *name;
    } cases[] = {
        { KVM_GET_REGS, "KVM_GET_REGS" },
        { KVM_GET_SREGS, "KVM_GET_SREGS" },
        { KVM_GET_DEBUGREGS, "KVM_GET_DEBUGREGS" },
        { KVM_GET_FPU, "KVM_GET_FPU" },
        { KVM_GET_MP_STATE, "KVM_GET_MP_STATE" },
        { KVM_GET_VCPU_EVENTS, "KVM_GET_VCPU_EVENTS" },
    };
    VcpuFixture *f = *state;

    vcpu_fixture_make(f, 1);
    vcpu_fixture_reset(f);
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GString) text = g_string_new(NULL);
        g_autoptr(GError) error = NULL;

        model_kvm_fail_request(cases[i].req);
        model_kvm_fail_nth(1, EIO, true);
        assert_false(vcpu_set_show_registers(f->set, 0, text, &error));
        assert_says(error->message, cases[i].name);
        assert_int_equal(text->len, 0);
        model_kvm_no_faults();
        model_kvm_fail_request(0);
        assert_true(vcpu_set_show_registers(f->set, 0, text, NULL));
    }
}

static void test_get_register_refused(void **state)
{
    static const char *const names[] = { "rip", "cr3" };
    static const unsigned long reqs[] = { KVM_GET_REGS, KVM_GET_SREGS };
    VcpuFixture *f = *state;
    uint64_t value = 5;

    vcpu_fixture_make(f, 1);
    vcpu_fixture_reset(f);
    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autoptr(GError) error = NULL;

        model_kvm_fail_request(reqs[i]);
        model_kvm_fail_nth(1, EIO, true);
        assert_false(vcpu_set_get_register(f->set, 0, names[i], &value, &error));
        assert_says(error->message, i ? "KVM_GET_SREGS" : "KVM_GET_REGS");
        assert_int_equal(value, 5);
        model_kvm_no_faults();
        model_kvm_fail_request(0);
    }
}

/* Every kind of segment that there is, by its own word. */
static void test_show_registers_kinds_of_segments(void **state)
{
    static const struct {
        struct kvm_segment seg;
        const char *word;
    } cases[] = {
        { { .s = 1, .type = 11, .db = 1, .present = 1 }, "CS32 [-RA]" },
        { { .s = 1, .type = 8, .present = 1 }, "CS16 [---]" },
        { { .s = 1, .type = 14, .l = 1, .present = 1 }, "CS64 [CR-]" },
        { { .s = 1, .type = 3, .present = 1 }, "DS16 [-WA]" },
        { { .s = 1, .type = 4, .db = 1, .present = 1 }, "DS   [E--]" },
        { { .s = 1, .type = 3, .present = 1, .unusable = 1 }, "00000000 00000000\n" },
    };
    static const struct {
        struct kvm_segment seg;
        bool wide;
        const char *word;
    } systems[] = {
        { { .type = 11, .present = 1 }, false, "TSS32-busy" },
        { { .type = 9, .present = 1 }, true, "TSS64-avl" },
        { { .type = 2, .present = 1 }, false, "LDT" },
    };
    VcpuFixture *f = *state;
    struct kvm_sregs sregs;

    vcpu_fixture_make(f, 1);
    vcpu_fixture_reset(f);
    for (unsigned i = 0; i < G_N_ELEMENTS(cases) + G_N_ELEMENTS(systems); i++) {
        unsigned k = i - MIN(i, G_N_ELEMENTS(cases));
        bool system = i >= G_N_ELEMENTS(cases);
        g_autoptr(GString) text = g_string_new(NULL);

        memset(&sregs, 0, sizeof(sregs));
        sregs.cr0 = 1; /* protected mode: before it there are no kinds */
        if (system) {
            sregs.tr = systems[k].seg;
            sregs.efer = systems[k].wide ? 0x400 : 0;
        } else {
            sregs.cs = cases[i].seg;
        }
        kvm_vcpu_ioctl(f->base->kvm, vcpu_fixture_fd(f, 0), KVM_SET_SREGS, &sregs);
        assert_true(vcpu_set_show_registers(f->set, 0, text, NULL));
        assert_says(text->str, system ? systems[k].word : cases[i].word);
    }
}

/* --- Refusals at the start --- */

static void test_set_new_wide_apic_ids_refused(void **state)
{
    VcpuFixture *f = *state;
    g_autoptr(GError) error = NULL;

    model_kvm_fail_request(KVM_ENABLE_CAP);
    model_kvm_fail_nth(1, EINVAL, true);
    f->set = vcpu_set_new(f->base->kvm, f->model, 256, f->base->memory, f->base->io,
                          &vcpu_fixture_ops, f, &error);
    assert_null(f->set);
    assert_says(error->message, "-smp 256: more than 255 vCPUs need KVM_CAP_X2APIC_API");
    model_kvm_no_faults();
    model_kvm_fail_request(0);
}

/* A state of FPU and vectors that is larger than struct kvm_xsave: the call that gives all of it. */
static void test_reset_with_a_large_xsave_area(void **state)
{
    VcpuFixture *f = *state;
    const GByteArray *xsave;

    model_kvm_set_cap(KVM_CAP_XSAVE2, 2 * (int)sizeof(struct kvm_xsave));
    model_kvm_reset_counts();
    vcpu_fixture_make(f, 1);
    vcpu_fixture_reset(f);
    assert_int_equal(model_kvm_count(KVM_GET_XSAVE2), 1);
    assert_int_equal(model_kvm_count(KVM_GET_XSAVE), 0);
    vcpu_set_resume(f->set);
    model_vcpu_push_reason(f->vm, 0, KVM_EXIT_INTR);
    vcpu_fixture_wait_taken(f, 0);
    vcpu_set_pause(f->set);
    model_vcpu_set_state(f->vm, 0, KVM_SET_XSAVE, 0xee);
    vcpu_fixture_reset(f);
    xsave = model_vcpu_state(f->vm, 0, KVM_SET_XSAVE);
    assert_non_null(xsave);
    assert_int_equal(xsave->data[100], model_vcpu_power_on_byte(KVM_SET_XSAVE));
}

int main(void)
{
#define WITH_LOG(test) cmocka_unit_test_setup_teardown(test, log_setup, log_teardown)
#define TEST(test)     cmocka_unit_test_setup_teardown(test, vcpu_fixture_setup, vcpu_fixture_teardown)
    const struct CMUnitTest tests[] = {
        WITH_LOG(test_log_tells_why_an_access_failed),
        WITH_LOG(test_log_tells_of_exits_that_it_does_not_know),
        TEST(test_internal_error_each_suberror_has_a_hint),
        TEST(test_failed_without_registers_tells_the_reason),
        TEST(test_failed_shows_code_up_to_its_end),
        TEST(test_show_registers_of_a_vcpu_that_is_not),
        TEST(test_walk_reads_registers_and_memory),
        TEST(test_show_registers_each_question_refused),
        TEST(test_get_register_refused),
        TEST(test_show_registers_kinds_of_segments),
        TEST(test_set_new_wide_apic_ids_refused),
        TEST(test_reset_with_a_large_xsave_area),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
