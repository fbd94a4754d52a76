/* SPDX-License-Identifier: MIT */
/*
 * Whole machines with each host call and each ioctl failing, alone and with all later ones: at start,
 * plug, unplug, resize and reset. An error or a way back each time; nothing is lost or left behind.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "../kvm/support/vm-fixture.h"
#include "../support/boot-images.h"
#include "support/faults.h"
#include "support/monitor-fixture.h"
#include "tessera/machine/memory-resize.h"
#include "tessera/util/error.h"

#define OPTIONS "-S -smp 2 -m 256M,slots=4,maxmem=2G"

/* What is done to a machine, with calls failing meanwhile. */
typedef struct Scenario {
    /* The machine before it; NULL: as it was made. Nothing fails here. */
    void (*prepare)(MonitorFixture *f);
    /* True: done. False: an error; or the machine stopped */
    bool (*act)(MonitorFixture *f, GError **error);
    /* An error after part of it was done, which the user is told of and may finish. NULL: never */
    bool (*partly)(MonitorFixture *f);
    bool may_stop;         /* the machine stops with the reason, and the same again brings it back */
    bool threads_optional; /* what starts threads does without them */
} Scenario;

static char *folder; /* for files that backends make */

/* --- What a machine has. */

static unsigned open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned n = 0;

    assert_non_null(dir);
    while (readdir(dir)) {
        n++;
    }
    closedir(dir);
    return n;
}

static VmFixture as_vm(MonitorFixture *f)
{
    return (VmFixture){
        .ms = machine_memory_system(f->machine),
        .memory = machine_memory(f->machine),
        .kvm = machine_kvm(f->machine),
        .vm = f->vm,
    };
}

static void add_dimm(const DimmInfo *info, void *opaque)
{
    g_string_append_printf(opaque, "DIMM %s of %s, slot %u, %lx+%lx\n", info->id, info->memdev,
                           info->slot, (unsigned long)info->addr, (unsigned long)info->size);
}

/* Views, what KVM has, objects, DIMMs: all but where in the host it lies, and what is being waited for. */
static char *digest(MonitorFixture *f)
{
    VmFixture vm = as_vm(f);
    g_autoptr(GArray) runs = vm_fixture_mapped(&vm);
    g_autofree char *views = monitor_fixture_map(f);
    g_autofree char *file = g_build_filename(folder, "ram", NULL);
    GString *s = g_string_new(views);

    for (guint i = 0; i < runs->len; i++) {
        Mapped r = g_array_index(runs, Mapped, i);

        g_string_append_printf(s, "slot %lx+%lx/%lx\n", (unsigned long)r.gpa,
                               (unsigned long)r.size, (unsigned long)r.flags);
    }
    g_string_append_printf(s, "%u ioeventfds, %u zones\n", model_vm_ioeventfds(f->vm)->len,
                           model_vm_zones(f->vm)->len);
    g_string_append(s, monitor_fixture_hmp(f, "info memdev"));
    memory_devices_for_each(machine_memory_devices(f->machine), add_dimm, s);
    g_string_append_printf(s, "the file is %sthere\n", access(file, F_OK) == 0 ? "" : "not ");
    return g_string_free(s, FALSE);
}

static bool has_stopped(MonitorFixture *f)
{
    return machine_run_state(f->machine) == RUN_STATE_INTERNAL_ERROR;
}

static bool slots_agree(MonitorFixture *f)
{
    VmFixture vm = as_vm(f);

    return vm_fixture_agrees(&vm);
}

/* --- One point of one scenario. */

static MonitorFixture *prepared(const Scenario *s)
{
    MonitorFixture *f = monitor_fixture_new(OPTIONS);

    if (s->prepare) {
        s->prepare(f);
    }
    return f;
}

static void unlink_file(void)
{
    g_autofree char *path = g_build_filename(folder, "ram", NULL);

    unlink(path);
}

/* Undisturbed: the digest afterwards, and how many calls there are to fail. */
static char *run_undisturbed(const Scenario *s, unsigned *ret_calls)
{
    MonitorFixture *f = prepared(s);
    g_autoptr(GError) error = NULL;
    char *text;

    faults_arm(0, false);
    if (!s->act(f, &error)) {
        fail_msg("%s", error ? error->message : "stopped");
    }
    *ret_calls = faults_calls();
    faults_disarm();
    text = digest(f);
    assert_true(slots_agree(f));
    monitor_fixture_free(f);
    unlink_file();
    return text;
}

static void check_done(const Scenario *s, MonitorFixture *f, const char *done)
{
    const char *serious = faults_serious();
    g_autofree char *now = digest(f);

    if (serious && !(s->threads_optional && g_str_equal(serious, "pthread_create"))) {
        fail_msg("%s failed, and nobody noticed", serious);
    }
    assert_string_equal(now, done);
}

/* As before, in every respect, and the same works now. */
static void check_refused(const Scenario *s, MonitorFixture *f, const char *before,
                          const char *done, const GError *refused)
{
    g_autofree char *now = digest(f);
    g_autofree char *again = NULL;
    g_autoptr(GError) error = NULL;

    if (!has_stopped(f)) {
        assert_non_null(refused);
        assert_true(strlen(refused->message) > 10);
        if (!s->partly || !s->partly(f)) {
            assert_string_equal(now, before);
        }
    }
    if (!s->act(f, &error)) {
        fail_msg("after \"%s\", the same again: %s", refused ? refused->message : "a stop",
                 error ? error->message : "stopped");
    }
    again = digest(f);
    assert_string_equal(again, done);
}

static void fail_at(const Scenario *s, unsigned n, bool all_later, const char *done)
{
    MonitorFixture *f = prepared(s);
    g_autofree char *before = digest(f);
    g_autoptr(GError) error = NULL;
    bool ok;

    faults_arm(n, all_later);
    ok = s->act(f, &error);
    faults_disarm();
    monitor_fixture_settle();
    assert_true(has_stopped(f) || slots_agree(f));
    if (has_stopped(f) && !s->may_stop) {
        assert_true(all_later); /* what was done could not be undone, and everybody was told */
    } else if (ok) {
        check_done(s, f, done);
    } else {
        check_refused(s, f, before, done, error);
    }
    monitor_fixture_free(f);
    unlink_file();
}

static void check_left(unsigned descriptors, int64_t mapped, unsigned n, bool all_later)
{
    if (open_descriptors() != descriptors || faults_mapped() != mapped) {
        fail_msg("call %u%s: %d descriptors and %lld bytes are left", n,
                 all_later ? " and all later" : "", (int)(open_descriptors() - descriptors),
                 (long long)(faults_mapped() - mapped));
    }
}

static void check_scenario(const Scenario *s, unsigned least)
{
    unsigned calls, descriptors;
    g_autofree char *done = run_undisturbed(s, &calls);
    int64_t mapped;

    printf("# %u calls\n", calls);
    assert_true(calls >= least);
    descriptors = open_descriptors();
    mapped = faults_mapped();
    for (unsigned n = 1; n <= calls; n++) {
        for (unsigned later = 0; later < 2; later++) {
            fail_at(s, n, later, done);
            check_left(descriptors, mapped, n, later);
        }
    }
}

/* --- Acts. */

static bool run_line(MonitorFixture *f, const char *line, GError **error)
{
    g_autoptr(GString) out = g_string_new(NULL);

    return hmp_run_line(&f->mon, line, out, error);
}

static void run_and_settle(MonitorFixture *f)
{
    monitor_fixture_hmp(f, "cont");
    monitor_fixture_settle();
}

static bool add_ram(MonitorFixture *f, GError **error)
{
    return run_line(f, "object_add memory-backend-ram,id=m1,size=128M,dump=off", error);
}

static void test_object_add_ram(void **state)
{
    check_scenario(&(Scenario){.act = add_ram}, 3);
}

static bool add_memfd(MonitorFixture *f, GError **error)
{
    return run_line(f, "object_add memory-backend-memfd,id=m1,size=2M,prealloc=on,"
                       "prealloc-threads=2", error);
}

static void test_object_add_memfd_preallocated(void **state)
{
    check_scenario(&(Scenario){.act = add_memfd, .threads_optional = true}, 6);
}

static bool add_file(MonitorFixture *f, GError **error)
{
    g_autofree char *line = g_strdup_printf("object_add memory-backend-file,id=m1,size=2M,share=on,"
                                            "prealloc=on,mem-path=%s/ram", folder);

    return run_line(f, line, error);
}

/* A file that was made for an object that failed does not stay. */
static void test_object_add_file_preallocated(void **state)
{
    check_scenario(&(Scenario){.act = add_file, .threads_optional = true}, 6);
}

static void with_object(MonitorFixture *f)
{
    run_and_settle(f);
    assert_true(add_ram(f, NULL));
}

static bool add_device(MonitorFixture *f, GError **error)
{
    bool ok = run_line(f, "device_add pc-dimm,id=d1,memdev=m1", error);

    monitor_fixture_settle(); /* the guest is interrupted by the main loop's next turn */
    return ok;
}

static void test_plug(void **state)
{
    check_scenario(&(Scenario){.prepare = with_object, .act = add_device}, 1);
}

static void with_dimm(MonitorFixture *f)
{
    with_object(f);
    assert_true(add_device(f, NULL));
}

static bool del_device(MonitorFixture *f, GError **error)
{
    DimmInfo info;

    if (memory_devices_find(machine_memory_devices(f->machine), "d1", &info) &&
        info.state == DIMM_REQUESTED) {
        return true; /* the second time of check_refused() */
    }
    return run_line(f, "device_del d1", error);
}

static void test_unplug_request(void **state)
{
    check_scenario(&(Scenario){.prepare = with_dimm, .act = del_device}, 1);
}

static void with_request(MonitorFixture *f)
{
    with_dimm(f);
    assert_true(del_device(f, NULL));
}

static bool is_gone(MonitorFixture *f, const char *id, GError **error)
{
    DimmInfo info;

    if (memory_devices_find(machine_memory_devices(f->machine), id, &info)) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_SYSTEM, "%s",
                    info.reason ? info.reason : "");
        return false;
    }
    return true;
}

static bool eject(MonitorFixture *f, GError **error)
{
    monitor_fixture_guest_eject(f, 0);
    return is_gone(f, "d1", error);
}

static void test_unplug_eject(void **state)
{
    check_scenario(&(Scenario){.prepare = with_request, .act = eject}, 1);
}

static void with_file(MonitorFixture *f)
{
    g_autofree char *line = g_strdup_printf("object_add memory-backend-file,id=m1,size=2M,share=on,"
                                            "discard-data=on,mem-path=%s/ram", folder);

    assert_true(run_line(f, line, NULL));
}

static bool del_object(MonitorFixture *f, GError **error)
{
    return run_line(f, "object_del m1", error);
}

static void test_unplug_object(void **state)
{
    check_scenario(&(Scenario){.prepare = with_file, .act = del_object}, 1);
}

/* --- Two DIMMs: when the second one fails, the first stays, and the status says why. */

static void cancel_resize(MonitorFixture *f)
{
    if (machine_memory_resize_status(f->machine).state == MEMORY_RESIZE_RUNNING) {
        machine_memory_resize_cancel(f->machine, NULL);
    }
}

static bool grow(MonitorFixture *f, GError **error)
{
    MemoryResizeStatus status;

    if (!machine_memory_resize(f->machine, GIB, error)) {
        return false;
    }
    cancel_resize(f); /* no guest answers: the end result in words */
    status = machine_memory_resize_status(f->machine);
    if (status.now < GIB) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_LIMIT, "%s", status.doing);
        return false;
    }
    return true;
}

static bool grown_partly(MonitorFixture *f)
{
    MemoryResizeStatus status = machine_memory_resize_status(f->machine);

    return status.now > 256 * MIB && strstr(status.doing, "; ");
}

static void test_resize_grow(void **state)
{
    check_scenario(&(Scenario){.prepare = run_and_settle, .act = grow, .partly = grown_partly}, 10);
}

static void with_grown(MonitorFixture *f)
{
    run_and_settle(f);
    assert_true(grow(f, NULL));
}

/* The guest ejects what it is asked for, until nothing is. */
static bool shrink(MonitorFixture *f, GError **error)
{
    MemoryResizeStatus status;

    cancel_resize(f);
    if (!machine_memory_resize(f->machine, 256 * MIB, error)) {
        return false;
    }
    monitor_fixture_guest_eject(f, 0);
    monitor_fixture_guest_eject(f, 1);
    status = machine_memory_resize_status(f->machine);
    if (status.state != MEMORY_RESIZE_COMPLETED) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_LIMIT, "%s", status.doing);
        return false;
    }
    return true;
}

static bool shrunk_partly(MonitorFixture *f)
{
    return machine_memory_resize_status(f->machine).now < GIB;
}

static void test_resize_shrink(void **state)
{
    check_scenario(&(Scenario){.prepare = with_grown, .act = shrink, .partly = shrunk_partly}, 2);
}

static bool do_reset(MonitorFixture *f)
{
    machine_system_reset(f->machine);
    monitor_fixture_settle();
    return !has_stopped(f);
}

/*
 * A DIMM that cannot be unmapped refuses the request, and takes a new one; so it does in a machine
 * that has stopped, once a reset has brought that back.
 */
static bool reset(MonitorFixture *f, GError **error)
{
    DimmInfo info;

    if (memory_devices_find(machine_memory_devices(f->machine), "d1", &info) &&
        info.state == DIMM_REFUSED &&
        ((has_stopped(f) && !do_reset(f)) || !del_device(f, error))) {
        return false;
    }
    return do_reset(f) && is_gone(f, "d1", error);
}

static void test_reset_with_a_request(void **state)
{
    check_scenario(&(Scenario){.prepare = with_request, .act = reset, .may_stop = true}, 20);
}

static void test_reset_before_the_start(void **state)
{
    check_scenario(&(Scenario){.act = reset, .may_stop = true}, 20);
}

/* --- Start: there is no machine before. */

static MachineConfig *start_config(bool rich)
{
    g_autoptr(GByteArray) elf = elf_make();
    MachineConfig *config = machine_config_new();

    config->ram_size = 256 * MIB;
    config->memory_slots = 2;
    config->maxmem = 2 * GIB;
    config->cpus = 2;
    config->kernel = image_temp_file(elf, 0);
    config->append = g_strdup("console=ttyS0");
    config->kvm_device = g_strdup(MODEL_KVM_DEVICE);
    config->nodefaults = true;
    config->stopped = true;
    g_ptr_array_add(config->serials, g_strdup("null"));
    if (rich) {
        config->memory_backend = g_strdup("ram0");
        config->initrd = image_temp_file(NULL, 5000);
        g_ptr_array_add(config->objects, g_strdup("memory-backend-memfd,id=ram0,size=256M"));
        g_ptr_array_add(config->objects,
                        g_strdup("memory-backend-file,id=m1,size=128M,mem-path=/tmp,share=on"));
        g_ptr_array_add(config->devices, g_strdup("pc-dimm,id=d1,memdev=m1"));
    }
    return config;
}

static void free_config(MachineConfig *config)
{
    image_temp_file_remove(g_strdup(config->kernel));
    if (config->initrd) {
        image_temp_file_remove(g_strdup(config->initrd));
    }
    machine_config_free(config);
}

/* A start does without a second thread for itself, but not without its vCPUs' threads. */
static void check_only_helpers_missing(Machine *machine, unsigned n)
{
    if (!g_str_equal(faults_serious(), "pthread_create")) {
        fail_msg("%s failed at call %u, and nobody noticed", faults_serious(), n);
    }
    for (unsigned cpu = 0; cpu < vcpu_set_count(machine_vcpus(machine)); cpu++) {
        for (unsigned i = 0; vcpu_set_thread_id(machine_vcpus(machine), cpu) == 0; i++) {
            assert_true(i < 10000); /* each says its number as soon as it runs */
            g_usleep(1000);
        }
    }
}

static bool start_at(const MachineConfig *config, unsigned n, bool all_later)
{
    g_autoptr(GError) error = NULL;
    Machine *machine;

    model_kvm_reset();
    faults_arm(n, all_later);
    machine = machine_new(config, &error);
    faults_disarm();
    assert_true(!machine == !!error);
    if (machine && faults_serious()) {
        check_only_helpers_missing(machine, n);
    }
    assert_true(machine || strlen(error->message) > 10);
    machine_free(machine);
    model_kvm_reset();
    return machine;
}

static void check_start(bool rich)
{
    MachineConfig *config = start_config(rich);
    unsigned calls, descriptors;
    int64_t mapped;

    assert_true(start_at(config, 0, false));
    calls = faults_calls();
    printf("# %u calls\n", calls);
    assert_true(calls > 80);
    descriptors = open_descriptors();
    mapped = faults_mapped();
    for (unsigned n = 1; n <= calls; n++) {
        for (unsigned later = 0; later < 2; later++) {
            start_at(config, n, later);
            check_left(descriptors, mapped, n, later);
        }
    }
    assert_true(start_at(config, 0, false)); /* after all of those */
    free_config(config);
}

static void test_start(void **state)
{
    check_start(false);
}

static void test_start_with_backends_and_a_dimm(void **state)
{
    check_start(true);
}

static int make_folder(void **state)
{
    folder = g_dir_make_tmp("tessera-faults.XXXXXX", NULL);
    return folder ? 0 : -1;
}

static int remove_folder(void **state)
{
    int ret = rmdir(folder);

    g_free(folder);
    return ret;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_start),
        cmocka_unit_test(test_start_with_backends_and_a_dimm),
        cmocka_unit_test(test_object_add_ram),
        cmocka_unit_test(test_object_add_memfd_preallocated),
        cmocka_unit_test(test_object_add_file_preallocated),
        cmocka_unit_test(test_plug),
        cmocka_unit_test(test_unplug_request),
        cmocka_unit_test(test_unplug_eject),
        cmocka_unit_test(test_unplug_object),
        cmocka_unit_test(test_resize_grow),
        cmocka_unit_test(test_resize_shrink),
        cmocka_unit_test(test_reset_with_a_request),
        cmocka_unit_test(test_reset_before_the_start),
    };

    return cmocka_run_group_tests_name("fault-injection", tests, make_folder, remove_folder);
}
