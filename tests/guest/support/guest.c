/* SPDX-License-Identifier: MIT */
/* The small machine of the guest tests. */
#include "guest.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Far beyond what any of these guests needs: only a broken one meets it. */
#define PATIENCE_S 60

#define IDENTITY_MAP_BASE 0xfeffc000
#define TSS_BASE          0xfeffd000

static void count(Guest *guest, unsigned *what)
{
    pthread_mutex_lock(&guest->lock);
    (*what)++;
    pthread_cond_broadcast(&guest->changed);
    pthread_mutex_unlock(&guest->lock);
}

static MemTxResult port_read(void *opaque, hwaddr offset, uint64_t *ret_value, unsigned size,
                             MemTxAttrs attrs)
{
    *ret_value = UINT64_MAX;
    return MEMTX_OK;
}

static MemTxResult done_write(void *opaque, hwaddr offset, uint64_t value, unsigned size,
                              MemTxAttrs attrs)
{
    Guest *guest = opaque;

    vcpu_set_hold(guest->vcpus);
    if (value) {
        pthread_mutex_lock(&guest->lock);
        g_free(guest->failure);
        guest->failure = g_strdup_printf("the payload ended with 0x%" PRIx64, value);
        guest->failures++;
        pthread_mutex_unlock(&guest->lock);
    }
    count(guest, &guest->done);
    return MEMTX_OK;
}

static MemTxResult interrupt_write(void *opaque, hwaddr offset, uint64_t value, unsigned size,
                                   MemTxAttrs attrs)
{
    Guest *guest = opaque;

    if (guest->on_interrupt) {
        guest->on_interrupt(guest, (uint32_t)value);
    }
    count(guest, &guest->interrupts);
    return MEMTX_OK;
}

static MemTxResult console_write(void *opaque, hwaddr offset, uint64_t value, unsigned size,
                                 MemTxAttrs attrs)
{
    Guest *guest = opaque;

    pthread_mutex_lock(&guest->lock);
    g_string_append_c(guest->console, (char)value);
    pthread_mutex_unlock(&guest->lock);
    return MEMTX_OK;
}

static const MemoryRegionOps console_ops = {.read = port_read, .write = console_write};
static const MemoryRegionOps done_ops = {.read = port_read, .write = done_write};
static const MemoryRegionOps interrupt_ops = {.read = port_read, .write = interrupt_write};

static void on_triple_fault(void *opaque, unsigned cpu)
{
    Guest *guest = opaque;

    count(guest, &guest->triple_faults);
}

static void on_system_event(void *opaque, unsigned cpu, unsigned type)
{
}

static void on_failed(void *opaque, unsigned cpu, const char *text)
{
    Guest *guest = opaque;

    pthread_mutex_lock(&guest->lock);
    g_free(guest->failure);
    guest->failure = g_strdup(text);
    guest->failures++;
    pthread_cond_broadcast(&guest->changed);
    pthread_mutex_unlock(&guest->lock);
}

static const VcpuOps vcpu_ops = {
    .triple_fault = on_triple_fault,
    .system_event = on_system_event,
    .failed = on_failed,
};

/* The reason for which no guest can be started here, or NULL. */
static char *no_kvm(void)
{
    int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

    if (fd < 0) {
        return g_strdup_printf("/dev/kvm: %s", g_strerror(errno));
    }
    close(fd);
    return NULL;
}

static void make_memory(Guest *guest)
{
    GError *error = NULL;

    guest->ms = memory_system_new(NULL);
    guest->ram_block = ram_block_new(guest->ms, "ram", GUEST_RAM_SIZE, 0, 0, &error);
    assert_non_null(guest->ram_block);
    guest->root = memory_region_new_container(guest->ms, NULL, "memory", INT128_2_64);
    guest->ram = memory_region_new_ram(guest->ms, NULL, "ram", guest->ram_block);
    guest->io_root = memory_region_new_container(guest->ms, NULL, "io", 0x10000);
    guest->done_port = memory_region_new_io(guest->ms, NULL, &done_ops, guest, "done", 4);
    guest->interrupt_port =
        memory_region_new_io(guest->ms, NULL, &interrupt_ops, guest, "interrupt", 4);
    guest->console_port = memory_region_new_io(guest->ms, NULL, &console_ops, guest, "console", 1);
    assert_true(memory_region_add_subregion(guest->root, 0, guest->ram, &error));
    assert_true(
        memory_region_add_subregion(guest->io_root, OPS_PORT_DONE, guest->done_port, &error));
    assert_true(memory_region_add_subregion(guest->io_root, OPS_PORT_INTERRUPT,
                                            guest->interrupt_port, &error));
    assert_true(memory_region_add_subregion(guest->io_root, 0x3f8, guest->console_port, &error));
    guest->memory = address_space_new(guest->ms, guest->root, "memory", NULL);
    guest->io = address_space_new(guest->ms, guest->io_root, "I/O", NULL);
    guest->shared = (OpsShared *)((uint8_t *)ram_block_host(guest->ram_block) + OPS_SHARED_BASE);
}

static void make_vm(Guest *guest, unsigned cpus)
{
    KvmConfig config = {
        .identity_map_base = IDENTITY_MAP_BASE,
        .tss_base = TSS_BASE,
        .irqchip = true,
    };
    GError *error = NULL;

    guest->kvm = kvm_new(&config, &error);
    if (!guest->kvm) {
        fail_msg("%s", error->message);
    }
    guest->model = cpu_model_new(guest->kvm, "host", &error);
    assert_non_null(guest->model);
    if (!kvm_attach_memory(guest->kvm, guest->memory, guest->io, &error)) {
        fail_msg("%s", error->message);
    }
    guest->vcpus = vcpu_set_new(guest->kvm, guest->model, cpus, guest->memory, guest->io, &vcpu_ops,
                                guest, &error);
    if (!guest->vcpus) {
        fail_msg("%s", error->message);
    }
}

static void make_plan(Guest *guest, unsigned cpus)
{
    PcInfo info = {.cpus = cpus, .ram_below_4g = GUEST_RAM_SIZE};
    const char *folder = g_getenv("TESSERA_PAYLOADS");
    g_autofree char *path = g_build_filename(folder ? folder : ".", "ops.elf", NULL);
    GError *error = NULL;

    guest->image = linux_image_open(path, &error);
    if (guest->image) {
        guest->plan = linux_boot_plan_new(guest->image, NULL, NULL, &info, NULL, NULL, &error);
    }
    if (!guest->plan) {
        fail_msg("%s", error->message);
    }
}

Guest *guest_new(unsigned cpus)
{
    g_autofree char *reason = no_kvm();
    pthread_condattr_t attr;
    Guest *guest;

    if (reason) {
        print_message("# skip: %s\n", reason);
        skip();
    }
    guest = g_new0(Guest, 1);
    pthread_mutex_init(&guest->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&guest->changed, &attr);
    pthread_condattr_destroy(&attr);
    guest->console = g_string_new(NULL);
    make_memory(guest);
    make_vm(guest, cpus);
    make_plan(guest, cpus);
    guest_load(guest);
    return guest;
}

void guest_free(Guest *guest)
{
    vcpu_set_free(guest->vcpus);
    kvm_detach_memory(guest->kvm);
    linux_boot_plan_free(guest->plan);
    linux_image_free(guest->image);
    address_space_free(guest->io);
    address_space_free(guest->memory);
    memory_region_del_subregion(guest->io_root, guest->console_port, NULL);
    memory_region_del_subregion(guest->io_root, guest->interrupt_port, NULL);
    memory_region_del_subregion(guest->io_root, guest->done_port, NULL);
    memory_region_del_subregion(guest->root, guest->ram, NULL);
    memory_region_release(guest->console_port);
    memory_region_release(guest->interrupt_port);
    memory_region_release(guest->done_port);
    memory_region_release(guest->ram);
    memory_region_release(guest->io_root);
    memory_region_release(guest->root);
    ram_block_unref(guest->ram_block);
    cpu_model_free(guest->model);
    kvm_free(guest->kvm);
    memory_system_free(guest->ms);
    pthread_mutex_destroy(&guest->lock);
    pthread_cond_destroy(&guest->changed);
    g_free(guest->failure);
    g_string_free(guest->console, TRUE);
    g_free(guest);
}

static void *ram_at(void *opaque, uint64_t gpa, uint64_t length)
{
    Guest *guest = opaque;

    return address_space_ram_host(guest->memory, gpa, length);
}

void guest_load(Guest *guest)
{
    static const GuestMemoryOps memory_ops = {.host = ram_at};
    GError *error = NULL;
    bool done;

    memory_system_lock(guest->ms);
    done = linux_boot_plan_load(guest->plan, &memory_ops, guest, &error);
    memory_system_unlock(guest->ms);
    if (!done || !kvm_reset_irqchip(guest->kvm, &error) ||
        !vcpu_set_reset(guest->vcpus, linux_boot_plan_entry(guest->plan), &error)) {
        fail_msg("%s", error->message);
    }
    memset(guest->shared, 0, sizeof(*guest->shared));
}

void guest_set_ops(Guest *guest, unsigned cpu, const Op *ops, size_t n)
{
    Op *to = guest->shared->processors[cpu].ops;

    assert_true(n < OPS_MAX);
    memcpy(to, ops, n * sizeof(*ops));
    to[n] = (Op){.kind = OP_END};
}

uint64_t guest_result(Guest *guest, unsigned i)
{
    return guest->shared->processors[0].ops[i].result;
}

/* What the vCPUs were doing; line by line, because cmocka cuts long messages. */
static void give_up(Guest *guest)
{
    GString *text = g_string_new(guest->failure);
    char **lines;

    g_string_append_printf(text, "\nconsole: %s", guest->console->str);
    for (unsigned i = 0; i < vcpu_set_count(guest->vcpus); i++) {
        g_string_append_printf(text, "\nvCPU %u:\n", i);
        vcpu_set_dump_registers(guest->vcpus, i, text, NULL);
    }
    lines = g_strsplit(text->str, "\n", -1);
    for (char **line = lines; *line; line++) {
        print_error("%s\n", *line);
    }
    fail_msg("the guest does not get there");
}

void guest_wait(Guest *guest, const unsigned *what, unsigned n)
{
    struct timespec end;
    bool wants_failure = what == &guest->failures;
    bool there;
    int err = 0;

    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += PATIENCE_S;
    pthread_mutex_lock(&guest->lock);
    while (*what < n && (wants_failure || !guest->failures) && err == 0) {
        err = pthread_cond_timedwait(&guest->changed, &guest->lock, &end);
    }
    there = *what >= n && (wants_failure || !guest->failures);
    pthread_mutex_unlock(&guest->lock);
    if (!there) {
        give_up(guest);
    }
}

static bool has_failed(Guest *guest)
{
    bool failed;

    pthread_mutex_lock(&guest->lock);
    failed = guest->failures > 0;
    pthread_mutex_unlock(&guest->lock);
    return failed;
}

void guest_wait_shared(Guest *guest, const volatile uint64_t *what, uint64_t n)
{
    gint64 end = g_get_monotonic_time() + PATIENCE_S * G_USEC_PER_SEC;

    while (*what < n) {
        if (g_get_monotonic_time() > end || has_failed(guest)) {
            give_up(guest);
        }
        g_usleep(200);
    }
}

void guest_start(Guest *guest)
{
    guest->done = 0;
    vcpu_set_resume(guest->vcpus);
}

void guest_finish(Guest *guest)
{
    guest_wait(guest, &guest->done, 1);
    vcpu_set_pause(guest->vcpus);
}

void guest_run(Guest *guest)
{
    guest_start(guest);
    guest_finish(guest);
}
