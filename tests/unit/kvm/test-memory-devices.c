/* SPDX-License-Identifier: MIT */
/* DIMMs on the model KVM: plugged, asked for, ejected by a guest's writes, refused, timed out. */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "../../../src/hw/mem/memory-devices-internal.h"
#include "../../../src/memory/backend-internal.h"
#include "support/vm-fixture.h"
#include "tessera/memory/mtree-dump.h"
#include "tessera/util/error.h"
#include "tessera/util/rcu.h"

#define PORT        0xa00
#define WINDOW_BASE (4 * GIB)
#define BLOCK       (128 * MIB)
#define SLOTS       4

/* What brings the classes along from the archive. */
static const ObjectClass *const classes[] = { &memory_backend_ram_class,
                                              &memory_backend_file_class };

/*
 * @log: what was told, as text: "dimm0:requested;", "deleted dimm0;"
 * @context: the main loop, run by serve()
 */
typedef struct Fixture {
    VmFixture *vm;
    VirtualClock *clock;
    DeviceContext device;
    MemoryRegion *window;
    Device *registers;
    ObjectStore *objects;
    GMainContext *context;
    MemoryDevices *md;
    GString *log;
    unsigned gpes;
    unsigned mapped_at_gpe; /* KVM slots when the last GPE came */
} Fixture;

static unsigned kvm_slots(Fixture *f)
{
    return model_vm_slots(f->vm->vm)->len;
}

static void on_gpe(void *opaque, unsigned n, bool level)
{
    Fixture *f = opaque;

    if (level) {
        assert_int_equal(n, MEMORY_HOTPLUG_GPE);
        f->gpes++;
        f->mapped_at_gpe = kvm_slots(f);
    }
}

static void on_event(void *opaque, const MemoryDeviceEvent *event)
{
    Fixture *f = opaque;

    switch (event->kind) {
    case MEMORY_EVENT_OST:
        g_string_append_printf(f->log, "ost %s %u %x %x;", event->id ? event->id : "-", event->slot,
                               event->ost_event, event->ost_status);
        assert_non_null(event->reason);
        break;
    case MEMORY_EVENT_DELETED:
        g_string_append_printf(f->log, "deleted %s;", event->id);
        break;
    case MEMORY_EVENT_UNPLUG_ERROR:
        g_string_append_printf(f->log, "error %s;", event->id);
        assert_non_null(event->reason);
        break;
    case MEMORY_EVENT_STATE:
        g_string_append_printf(f->log, "%s:%s;", event->id, dimm_state_name(event->state));
        break;
    case MEMORY_EVENT_SIZE_CHANGE:
        g_string_append(f->log, "size;");
        break;
    }
}

static void serve(Fixture *f)
{
    while (g_main_context_iteration(f->context, FALSE)) {
    }
}

/* Compares, and forgets what was compared. */
static void expect_log(Fixture *f, const char *wanted)
{
    serve(f);
    assert_string_equal(f->log->str, wanted);
    g_string_truncate(f->log, 0);
}

static Fixture *fixture_new(unsigned slots, uint64_t boot_ram, uint64_t maxmem)
{
    Fixture *f = g_new0(Fixture, 1);
    ObjectContext objects = { 0 };
    MemoryDevicesConfig config = { 0 };

    for (size_t i = 0; i < G_N_ELEMENTS(classes); i++) {
        assert_ptr_equal(object_class_find(classes[i]->name, NULL), classes[i]);
    }
    f->vm = vm_fixture_new();
    f->clock = virtual_clock_new_manual();
    f->log = g_string_new(NULL);
    f->context = g_main_context_new();
    f->device = (DeviceContext){ .ms = f->vm->ms, .clock = f->clock };
    f->window = memory_region_new_container(f->vm->ms, NULL, "device-memory",
                                            maxmem - boot_ram + slots * GIB);
    assert_true(memory_region_add_subregion(f->vm->system, WINDOW_BASE, f->window, NULL));
    f->registers = device_new(&memory_hotplug_device_class, &f->device, NULL);
    memory_hotplug_wire(f->registers, slots, (IrqLine){ on_gpe, f, MEMORY_HOTPLUG_GPE });
    assert_true(device_realize(f->registers, NULL));
    assert_true(memory_region_add_subregion(f->vm->ports, PORT, device_region(f->registers, 0),
                                            NULL));
    objects.memory = f->vm->ms;
    f->objects = object_store_new(&objects);
    config = (MemoryDevicesConfig){
        .device = &f->device,
        .objects = f->objects,
        .window = f->window,
        .window_base = WINDOW_BASE,
        .registers = f->registers,
        .slots = slots,
        .boot_ram = boot_ram,
        .boot_ram_end = boot_ram,
        .maxmem = maxmem,
        .context = f->context,
    };
    f->md = memory_devices_new(&config, NULL);
    assert_non_null(f->md);
    memory_devices_set_event_handler(f->md, on_event, f);
    return f;
}

static void fixture_free(Fixture *f)
{
    memory_devices_free(f->md);
    assert_true(memory_region_del_subregion(f->vm->ports, device_region(f->registers, 0), NULL));
    device_unrealize(f->registers);
    device_unref(f->registers);
    assert_true(memory_region_del_subregion(f->vm->system, f->window, NULL));
    memory_region_release(f->window);
    object_store_free(f->objects);
    vm_fixture_free(f->vm);
    g_main_context_unref(f->context);
    virtual_clock_free(f->clock);
    g_string_free(f->log, TRUE);
    g_free(f);
}

static int set_up(void **state)
{
    model_kvm_reset();
    *state = fixture_new(SLOTS, 256 * MIB, 2 * GIB);
    return 0;
}

static int tear_down(void **state)
{
    fixture_free(*state);
    model_kvm_reset();
    return 0;
}

/* The user. */

static void add_memory(Fixture *f, const char *id, uint64_t size)
{
    g_autofree char *text = g_strdup_printf(
        "memory-backend-ram,reserve=off,id=%s,size=%" G_GUINT64_FORMAT, id, size);
    g_autoptr(GError) error = NULL;

    if (!object_store_add_option(f->objects, text, &error)) {
        fail_msg("%s", error->message);
    }
}

/* "m0" becomes "dimm0"; @hot */
static void plug(Fixture *f, const char *memdev, bool hot)
{
    g_autofree char *id = g_strdup_printf("dimm%s", memdev + 1);
    DimmRequest request = { .id = id, .memdev = memdev };
    g_autoptr(GError) error = NULL;

    if (!memory_devices_plug(f->md, &request, hot, &error)) {
        fail_msg("%s", error->message);
    }
}

static DimmInfo info_of(Fixture *f, const char *id)
{
    DimmInfo info;

    assert_true(memory_devices_find(f->md, id, &info));
    return info;
}

static void expect_state(Fixture *f, const char *id, DimmState state)
{
    serve(f);
    assert_int_equal(info_of(f, id).state, state);
}

static bool is_there(Fixture *f, const char *id)
{
    DimmInfo info;

    return memory_devices_find(f->md, id, &info);
}

/* The guest. */

static void outl(Fixture *f, unsigned offset, uint32_t value)
{
    address_space_stl_le(f->vm->io, PORT + offset, value, MEMTXATTRS_NONE, NULL);
}

static void guest_select(Fixture *f, unsigned slot)
{
    outl(f, MEMORY_HOTPLUG_SELECTOR, slot);
}

static uint8_t guest_status(Fixture *f, unsigned slot)
{
    guest_select(f, slot);
    return address_space_ldub(f->vm->io, PORT + MEMORY_HOTPLUG_STATUS, MEMTXATTRS_NONE, NULL);
}

static void guest_control(Fixture *f, unsigned slot, uint8_t bits)
{
    guest_select(f, slot);
    address_space_stb(f->vm->io, PORT + MEMORY_HOTPLUG_CONTROL, bits, MEMTXATTRS_NONE, NULL);
}

static void guest_ost(Fixture *f, unsigned slot, uint32_t event, uint32_t status)
{
    guest_select(f, slot);
    outl(f, MEMORY_HOTPLUG_OST_EVENT, event);
    outl(f, MEMORY_HOTPLUG_OST_STATUS, status);
}

static void guest_eject(Fixture *f, unsigned slot)
{
    guest_control(f, slot, MEMORY_HOTPLUG_EJECT);
}

/* What a refused or failed request must leave as it was. */
static char *snapshot(Fixture *f)
{
    GString *s = g_string_new(NULL);
    MemoryDevicesSummary summary = memory_devices_summary(f->md);

    memory_dump_tree(f->vm->ms, s);
    memory_dump_flatviews(f->vm->ms, s);
    g_string_append_printf(s, "%u slots, %u DIMMs, %" G_GUINT64_FORMAT " bytes\n", kvm_slots(f),
                           summary.slots_used, summary.plugged_memory);
    for (unsigned slot = 0; slot < summary.slots; slot++) {
        g_string_append_printf(s, "%u:%x ", slot, memory_hotplug_status(f->registers, slot));
    }
    vm_fixture_check(f->vm);
    return g_string_free(s, FALSE);
}

static void test_memory_devices_plug_maps_before_the_guest_is_told(void **state)
{
    Fixture *f = *state;
    DimmInfo info;

    add_memory(f, "m0", BLOCK);
    plug(f, "m0", true);
    assert_int_equal(f->gpes, 1);
    assert_int_equal(f->mapped_at_gpe, 1);
    assert_int_equal(guest_status(f, 0), MEMORY_HOTPLUG_ENABLED | MEMORY_HOTPLUG_INSERT);
    vm_fixture_check(f->vm);
    info = info_of(f, "dimm0");
    assert_string_equal(info.memdev, "m0");
    assert_int_equal(info.slot, 0);
    assert_int_equal(info.addr, WINDOW_BASE);
    assert_int_equal(info.size, BLOCK);
    assert_true(info.hotplugged && info.hotpluggable);
    assert_int_equal(info.state, DIMM_PLUGGED);
    expect_log(f, "size;");
}

static void test_memory_devices_plug_before_start_is_not_announced(void **state)
{
    Fixture *f = *state;

    add_memory(f, "m0", BLOCK);
    plug(f, "m0", false);
    assert_int_equal(f->gpes, 0);
    assert_int_equal(guest_status(f, 0), MEMORY_HOTPLUG_ENABLED);
    assert_false(info_of(f, "dimm0").hotplugged);
}

static void test_memory_devices_plug_takes_the_first_that_fits(void **state)
{
    Fixture *f = *state;
    MemoryDevicesSummary s;

    add_memory(f, "m0", BLOCK);
    add_memory(f, "m1", 2 * BLOCK);
    add_memory(f, "m2", BLOCK);
    add_memory(f, "m3", GIB);
    for (unsigned i = 0; i < 3; i++) {
        g_autofree char *id = g_strdup_printf("m%u", i);

        plug(f, id, true);
    }
    plug(f, "m3", true);
    assert_int_equal(info_of(f, "dimm2").addr, WINDOW_BASE + 3 * BLOCK);
    assert_int_equal(info_of(f, "dimm3").addr, WINDOW_BASE + GIB); /* 1 GiB pages stay possible */
    s = memory_devices_summary(f->md);
    assert_int_equal(s.plugged_memory, GIB + 4 * BLOCK);
    assert_int_equal(s.slots_used, 4);
    assert_int_equal(s.block_size, BLOCK);
    assert_int_equal(s.maxmem, 2 * GIB);
    guest_eject(f, 1);
    serve(f);
    assert_true(object_store_del(f->objects, "m1", NULL));
    add_memory(f, "m1", 2 * BLOCK);
    plug(f, "m1", true);
    assert_int_equal(info_of(f, "dimm1").slot, 1);
    assert_int_equal(info_of(f, "dimm1").addr, WINDOW_BASE + BLOCK);
}

typedef struct Refusal {
    DimmRequest request;
    int code;
    const char *words[4];
} Refusal;

static void check_refusal(Fixture *f, const Refusal *r)
{
    g_autofree char *before = snapshot(f);
    g_autofree char *after = NULL;
    g_autoptr(GError) error = NULL;

    assert_false(memory_devices_plug(f->md, &r->request, true, &error));
    assert_int_equal(error->code, r->code);
    for (unsigned i = 0; r->words[i]; i++) {
        if (!strstr(error->message, r->words[i])) {
            fail_msg("no \"%s\" in: %s", r->words[i], error->message);
        }
    }
    after = snapshot(f);
    assert_string_equal(after, before);
}

static void test_memory_devices_plug_every_refusal_changes_nothing(void **state)
{
    Fixture *f = *state;
    const Refusal refusals[] = {
        { { .id = "dimm0", .memdev = "m1" }, TESSERA_ERROR_EXISTS, { "dimm0", "already" } },
        { { .id = "0", .memdev = "m1" }, TESSERA_ERROR_INVALID, { "'0'", "letter" } },
        { { .id = "d", .memdev = "m11" }, TESSERA_ERROR_NOT_FOUND, { "m11", "did you mean" } },
        { { .id = "d", .memdev = "m0" }, TESSERA_ERROR_EXISTS, { "dimm0" } },
        { { .id = "d", .memdev = "odd" }, TESSERA_ERROR_INVALID,
          { "100M", "128 MiB, the guest's memory block", "128M" } },
        { { .id = "d", .memdev = "m1", .has_slot = true, .slot = 4 }, TESSERA_ERROR_INVALID,
          { "slot=4", "0 .. 3" } },
        { { .id = "d", .memdev = "m1", .has_slot = true, .slot = 0 }, TESSERA_ERROR_EXISTS,
          { "slot=0", "'dimm0'" } },
        { { .id = "d", .memdev = "m1", .has_addr = true, .addr = WINDOW_BASE },
          TESSERA_ERROR_EXISTS, { "dimm0", "0x100000000" } },
        { { .id = "d", .memdev = "m1", .has_addr = true, .addr = WINDOW_BASE + BLOCK / 2 },
          TESSERA_ERROR_INVALID, { "128 MiB" } },
        { { .id = "d", .memdev = "m1", .has_addr = true, .addr = GIB }, TESSERA_ERROR_INVALID,
          { "window" } },
        { { .id = "d", .memdev = "m1", .node = 1 }, TESSERA_ERROR_INVALID, { "node=1" } },
        { { .id = "d", .memdev = "big" }, TESSERA_ERROR_LIMIT, { "maxmem=2G", "1664 MiB is left" } },
    };

    add_memory(f, "m0", BLOCK);
    add_memory(f, "m1", BLOCK);
    add_memory(f, "odd", 100 * MIB);
    add_memory(f, "big", 2 * GIB - 256 * MIB);
    plug(f, "m0", true);
    for (size_t i = 0; i < G_N_ELEMENTS(refusals); i++) {
        check_refusal(f, &refusals[i]);
    }
    plug(f, "m1", true); /* nobody kept it */
}

static void test_memory_devices_plug_no_slot_left(void **state)
{
    Fixture *f = *state;
    Refusal r = { { .id = "d", .memdev = "m4" }, TESSERA_ERROR_LIMIT, { "4 memory slots" } };

    for (unsigned i = 0; i <= SLOTS; i++) {
        g_autofree char *id = g_strdup_printf("m%u", i);

        add_memory(f, id, BLOCK);
        if (i < SLOTS) {
            plug(f, id, true);
        }
    }
    check_refusal(f, &r);
}

/* Each ioctl of a plug fails once: the map, the sockets and the backend are as before. */
static void test_memory_devices_plug_rolls_back_when_kvm_fails(void **state)
{
    Fixture *f = *state;
    Refusal r = { { .id = "dimm0", .memdev = "m0" }, TESSERA_ERROR_SYSTEM, { NULL } };

    add_memory(f, "m0", BLOCK);
    for (unsigned n = 1;; n++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *before = snapshot(f);
        g_autofree char *after = NULL;

        model_kvm_fail_nth(n, ENOMEM, false);
        if (memory_devices_plug(f->md, &r.request, true, &error)) {
            assert_int_equal(model_kvm_faults_hit(), 0);
            assert_true(n > 1);
            break;
        }
        model_kvm_no_faults();
        after = snapshot(f);
        assert_string_equal(after, before);
        assert_non_null(strstr(error->message, "dimm0"));
        assert_int_equal(f->gpes, 0);
    }
    model_kvm_no_faults();
}

static void test_memory_devices_plug_kvm_slots_full(void **state)
{
    Fixture *f;
    g_autoptr(GError) error = NULL;
    DimmRequest request = { .id = "dimm3", .memdev = "m3" };

    model_kvm_reset();
    model_kvm_set_cap(KVM_CAP_NR_MEMSLOTS, 3);
    f = fixture_new(SLOTS, 256 * MIB, 2 * GIB);
    for (unsigned i = 0; i < SLOTS; i++) {
        g_autofree char *id = g_strdup_printf("m%u", i);

        add_memory(f, id, BLOCK);
        if (i < 3) {
            plug(f, id, true);
        }
    }
    assert_false(memory_devices_plug(f->md, &request, true, &error));
    assert_non_null(strstr(error->message, "slot"));
    vm_fixture_check(f->vm);
    guest_eject(f, 1);
    serve(f);
    plug(f, "m3", true);
    fixture_free(f);
    model_kvm_reset();
}

/* What Linux does when it is asked, and all goes well. */
static void test_memory_devices_unplug_as_linux_does_it(void **state)
{
    Fixture *f = *state;
    g_autofree char *empty = snapshot(f);
    g_autofree char *after = NULL;

    add_memory(f, "m0", BLOCK);
    plug(f, "m0", true);
    guest_control(f, 0, MEMORY_HOTPLUG_INSERT);
    guest_ost(f, 0, 1, 0);
    expect_log(f, "size;ost dimm0 0 1 0;dimm0:plugged;");
    assert_true(info_of(f, "dimm0").guest_took_plug);

    assert_true(memory_devices_request_unplug(f->md, "dimm0", NULL));
    assert_int_equal(f->gpes, 2);
    assert_int_equal(guest_status(f, 0), MEMORY_HOTPLUG_ENABLED | MEMORY_HOTPLUG_REMOVE);
    guest_control(f, 0, MEMORY_HOTPLUG_REMOVE);
    guest_ost(f, 0, 3, 0x84);
    expect_state(f, "dimm0", DIMM_OFFLINING);
    assert_int_equal(kvm_slots(f), 1);
    guest_eject(f, 0);
    assert_int_equal(guest_status(f, 0), 0);
    assert_int_equal(kvm_slots(f), 0); /* by the write itself */
    guest_ost(f, 0, 3, 0);
    expect_log(f, "dimm0:requested;ost dimm0 0 3 84;dimm0:guest-offlining;"
                  "dimm0:ejected;deleted dimm0;size;ost - 0 3 0;");
    assert_false(is_there(f, "dimm0"));
    assert_true(object_store_del(f->objects, "m0", NULL));
    after = snapshot(f);
    assert_string_equal(after, empty);
}

static void test_memory_devices_unplug_refused_says_why_and_can_be_repeated(void **state)
{
    static const struct {
        uint32_t status;
        const char *words;
    } codes[] = {
        { 0x80, "does not support" }, { 0x81, "in use" },    { 0x82, "could not free" },
        { 0x83, "depends" },          { 1, "kernel log" },   { 0xffff, "kernel log" },
    };
    Fixture *f = *state;

    add_memory(f, "m0", BLOCK);
    plug(f, "m0", false);
    expect_log(f, "size;");
    for (size_t i = 0; i < G_N_ELEMENTS(codes); i++) {
        g_autofree char *wanted =
            g_strdup_printf("dimm0:requested;ost dimm0 0 3 84;dimm0:guest-offlining;"
                            "ost dimm0 0 3 %x;dimm0:refused;error dimm0;",
                            codes[i].status);

        assert_true(memory_devices_request_unplug(f->md, "dimm0", NULL));
        guest_control(f, 0, MEMORY_HOTPLUG_REMOVE);
        guest_ost(f, 0, 3, 0x84);
        guest_ost(f, 0, 3, codes[i].status);
        expect_log(f, wanted);
        assert_non_null(strstr(info_of(f, "dimm0").reason, codes[i].words));
        assert_int_equal(kvm_slots(f), 1);
        assert_int_equal(guest_status(f, 0), MEMORY_HOTPLUG_ENABLED);
    }
}

static void test_memory_devices_unplug_twice_and_unknown(void **state)
{
    Fixture *f = *state;
    g_autoptr(GError) twice = NULL;
    g_autoptr(GError) unknown = NULL;
    g_autoptr(GError) idle = NULL;

    add_memory(f, "m0", BLOCK);
    plug(f, "m0", false);
    assert_false(memory_devices_cancel_unplug(f->md, "dimm0", &idle));
    assert_non_null(strstr(idle->message, "plugged"));
    assert_false(memory_devices_request_unplug(f->md, "dimn0", &unknown));
    assert_int_equal(unknown->code, TESSERA_ERROR_NOT_FOUND);
    assert_non_null(strstr(unknown->message, "'dimm0'"));
    assert_true(memory_devices_request_unplug(f->md, "dimm0", NULL));
    assert_false(memory_devices_request_unplug(f->md, "dimm0", &twice));
    assert_non_null(strstr(twice->message, "requested"));
    assert_int_equal(f->gpes, 1);
}

/* Asks, lets the guest answer that it has begun (@seen) or not at all, and lets the time pass. */
static void time_out(Fixture *f, bool seen)
{
    assert_true(memory_devices_request_unplug(f->md, "dimm0", NULL));
    if (seen) {
        guest_control(f, 0, MEMORY_HOTPLUG_REMOVE);
        guest_ost(f, 0, 3, 0x84);
        serve(f);
    }
    dimm_time_out(memory_devices_lookup(f->md, "dimm0", NULL));
}

static void test_memory_devices_time_out_frees_nothing_and_honours_a_late_eject(void **state)
{
    for (unsigned seen = 0; seen < 2; seen++) {
        Fixture *f = *state;

        add_memory(f, "m0", BLOCK);
        plug(f, "m0", false);
        time_out(f, seen);
        expect_state(f, "dimm0", DIMM_TIMED_OUT);
        assert_non_null(strstr(info_of(f, "dimm0").reason, "60 s"));
        assert_int_equal(kvm_slots(f), 1);
        guest_eject(f, 0);
        serve(f);
        assert_false(is_there(f, "dimm0"));
        assert_true(object_store_del(f->objects, "m0", NULL));
    }
}

static void test_memory_devices_time_out_then_refusal_or_repetition(void **state)
{
    Fixture *f = *state;

    add_memory(f, "m0", BLOCK);
    plug(f, "m0", false);
    time_out(f, true);
    guest_ost(f, 0, 3, 0x81);
    expect_state(f, "dimm0", DIMM_REFUSED);
    time_out(f, false);
    assert_true(memory_devices_request_unplug(f->md, "dimm0", NULL));
    expect_state(f, "dimm0", DIMM_REQUESTED);
    assert_null(info_of(f, "dimm0").reason);
}

/* The clock does it too; no test waits for it longer than it takes. */
static void test_memory_devices_time_out_by_the_main_loop(void **state)
{
    Fixture *f = *state;

    add_memory(f, "m0", BLOCK);
    plug(f, "m0", false);
    assert_true(memory_devices_request_unplug(f->md, "dimm0", NULL));
    memory_devices_set_timeout(f->md, 1); /* runs anew, with the new time */
    while (info_of(f, "dimm0").state == DIMM_REQUESTED) {
        g_main_context_iteration(f->context, TRUE);
    }
    expect_state(f, "dimm0", DIMM_TIMED_OUT);
    memory_devices_set_timeout(f->md, 0);
    assert_true(memory_devices_request_unplug(f->md, "dimm0", NULL));
    assert_null(memory_devices_lookup(f->md, "dimm0", NULL)->timeout);
}

static void test_memory_devices_cancel_before_and_after_the_guest_saw_it(void **state)
{
    Fixture *f = *state;

    add_memory(f, "m0", BLOCK);
    plug(f, "m0", false);
    assert_true(memory_devices_request_unplug(f->md, "dimm0", NULL));
    assert_true(memory_devices_cancel_unplug(f->md, "dimm0", NULL));
    expect_state(f, "dimm0", DIMM_CANCELLED);
    assert_non_null(strstr(info_of(f, "dimm0").reason, "had not seen"));
    assert_int_equal(guest_status(f, 0), MEMORY_HOTPLUG_ENABLED);

    assert_true(memory_devices_request_unplug(f->md, "dimm0", NULL));
    guest_control(f, 0, MEMORY_HOTPLUG_REMOVE);
    assert_true(memory_devices_cancel_unplug(f->md, "dimm0", NULL));
    assert_non_null(strstr(info_of(f, "dimm0").reason, "may still eject"));
    guest_ost(f, 0, 3, 0x84);
    expect_state(f, "dimm0", DIMM_CANCELLED);
    guest_ost(f, 0, 3, 1); /* it gave up: no eject can come of that */
    expect_state(f, "dimm0", DIMM_PLUGGED);

    assert_true(memory_devices_request_unplug(f->md, "dimm0", NULL));
    guest_control(f, 0, MEMORY_HOTPLUG_REMOVE);
    assert_true(memory_devices_cancel_unplug(f->md, "dimm0", NULL));
    guest_eject(f, 0); /* late, and honoured */
    serve(f);
    assert_false(is_there(f, "dimm0"));
}

static void test_memory_devices_eject_that_nobody_asked_for(void **state)
{
    Fixture *f = *state;

    add_memory(f, "m0", BLOCK);
    plug(f, "m0", false);
    guest_ost(f, 0, 0x103, 0x84);
    guest_eject(f, 0);
    guest_ost(f, 0, 0x103, 0);
    expect_log(f, "size;ost dimm0 0 103 84;dimm0:ejected;deleted dimm0;size;ost - 0 103 0;");
    guest_eject(f, 0);
    guest_eject(f, 3);
    expect_log(f, "");
}

/* Until the main loop has heard of it, an ejected DIMM's socket and backend are not given away. */
static void test_memory_devices_requests_between_eject_and_main_loop(void **state)
{
    Fixture *f = *state;
    DimmRequest same = { .id = "dimm1", .memdev = "m1", .has_slot = true };

    add_memory(f, "m0", BLOCK);
    add_memory(f, "m1", BLOCK);
    plug(f, "m0", false);
    guest_eject(f, 0);
    assert_false(memory_devices_plug(f->md, &same, true, NULL));
    assert_false(object_store_del(f->objects, "m0", NULL));
    assert_true(memory_devices_request_unplug(f->md, "dimm0", NULL));
    guest_ost(f, 0, 3, 1); /* of no DIMM any more */
    expect_log(f, "size;dimm0:requested;dimm0:ejected;deleted dimm0;size;ost - 0 3 1;");
    assert_true(memory_devices_plug(f->md, &same, true, NULL));
}

static void test_memory_devices_eject_that_kvm_refuses_keeps_the_dimm(void **state)
{
    Fixture *f = *state;
    g_autofree char *before = NULL;
    g_autofree char *after = NULL;

    add_memory(f, "m0", BLOCK);
    plug(f, "m0", false);
    before = snapshot(f);
    assert_true(memory_devices_request_unplug(f->md, "dimm0", NULL));
    guest_control(f, 0, MEMORY_HOTPLUG_REMOVE);
    guest_ost(f, 0, 3, 0x84);
    expect_log(f, "size;dimm0:requested;ost dimm0 0 3 84;dimm0:guest-offlining;");
    model_kvm_fail_nth(1, ENOMEM, false);
    guest_eject(f, 0);
    model_kvm_no_faults();
    assert_int_equal(guest_status(f, 0), MEMORY_HOTPLUG_ENABLED); /* Linux looks, and says so: */
    guest_ost(f, 0, 3, 1);
    expect_log(f, "dimm0:refused;error dimm0;ost dimm0 0 3 1;");
    assert_non_null(strstr(info_of(f, "dimm0").reason, "could not unmap"));
    after = snapshot(f);
    assert_string_equal(after, before);
    assert_true(memory_devices_request_unplug(f->md, "dimm0", NULL));
    guest_eject(f, 0);
    serve(f);
    assert_false(is_there(f, "dimm0"));
}

static void test_memory_devices_plug_that_the_guest_refuses(void **state)
{
    Fixture *f = *state;
    DimmInfo info;

    add_memory(f, "m0", BLOCK);
    plug(f, "m0", true);
    guest_ost(f, 0, 1, 1);
    serve(f);
    info = info_of(f, "dimm0");
    assert_true(info.guest_refused_plug);
    assert_false(info.guest_took_plug);
    assert_non_null(strstr(info.reason, "could not add"));
    assert_int_equal(info.state, DIMM_PLUGGED);
    assert_int_equal(kvm_slots(f), 1);
}

/*
 *     dimm0 plugged   dimm1 requested   dimm2 offlining   dimm3 timed out
 */
static void test_memory_devices_reset_takes_out_what_was_asked_for(void **state)
{
    Fixture *f = *state;

    for (unsigned i = 0; i < SLOTS; i++) {
        g_autofree char *id = g_strdup_printf("m%u", i);

        add_memory(f, id, BLOCK);
        plug(f, id, true);
    }
    assert_true(memory_devices_request_unplug(f->md, "dimm1", NULL));
    assert_true(memory_devices_request_unplug(f->md, "dimm2", NULL));
    assert_true(memory_devices_request_unplug(f->md, "dimm3", NULL));
    guest_ost(f, 2, 3, 0x84);
    serve(f);
    dimm_time_out(memory_devices_lookup(f->md, "dimm3", NULL));
    memory_devices_reset(f->md);
    device_reset(f->registers);
    assert_false(is_there(f, "dimm1"));
    assert_false(is_there(f, "dimm2"));
    expect_state(f, "dimm0", DIMM_PLUGGED);
    expect_state(f, "dimm3", DIMM_PLUGGED);
    assert_int_equal(guest_status(f, 0), MEMORY_HOTPLUG_ENABLED);
    assert_int_equal(guest_status(f, 1), 0);
    assert_int_equal(guest_status(f, 2), 0);
    assert_int_equal(guest_status(f, 3), MEMORY_HOTPLUG_ENABLED);
    assert_int_equal(kvm_slots(f), 2);
    assert_true(object_store_del(f->objects, "m1", NULL));
    assert_false(object_store_del(f->objects, "m0", NULL));
    vm_fixture_check(f->vm);
}

static void test_memory_devices_reset_after_an_eject_that_was_not_served(void **state)
{
    Fixture *f = *state;

    add_memory(f, "m0", BLOCK);
    plug(f, "m0", true);
    assert_true(memory_devices_request_unplug(f->md, "dimm0", NULL));
    guest_eject(f, 0);
    memory_devices_reset(f->md);
    assert_false(is_there(f, "dimm0"));
    expect_log(f, "size;dimm0:requested;dimm0:ejected;deleted dimm0;size;");
}

static void test_memory_devices_flood_of_ost_is_bounded(void **state)
{
    Fixture *f = *state;

    add_memory(f, "m0", BLOCK);
    plug(f, "m0", true);
    for (unsigned i = 0; i < 10 * GUEST_ACTS_MAX; i++) {
        guest_ost(f, 1, 3, 1);
    }
    assert_int_equal(f->md->acts.length, GUEST_ACTS_MAX);
    guest_eject(f, 0); /* is never lost */
    assert_int_equal(f->md->acts.length, GUEST_ACTS_MAX + 1);
    serve(f);
    assert_int_equal(f->md->acts.length, 0);
    assert_false(is_there(f, "dimm0"));
}

static void test_memory_devices_readonly_backend_is_rom(void **state)
{
    Fixture *f = *state;
    char path[] = "/tmp/tessera-dimm-XXXXXX";
    int fd = mkstemp(path);
    g_autofree char *text = NULL;

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)BLOCK), 0);
    text = g_strdup_printf("memory-backend-file,id=m0,size=128M,readonly=on,mem-path=%s", path);
    assert_non_null(object_store_add_option(f->objects, text, NULL));
    unlink(path);
    close(fd);
    plug(f, "m0", false);
    assert_int_equal(address_space_write(f->vm->memory, WINDOW_BASE, MEMTXATTRS_NONE, "x", 1),
                     MEMTX_ROM_WRITE);
    vm_fixture_check(f->vm);
}

/* 256 sockets of 128 MiB: the last one is used, and maxmem is reached to the byte. */
static void test_memory_devices_all_256_slots_to_the_byte(void **state)
{
    Fixture *f;
    MemoryDevicesSummary s;

    model_kvm_reset();
    f = fixture_new(256, GIB, GIB + 256 * BLOCK);
    for (unsigned i = 0; i < 256; i++) {
        g_autofree char *id = g_strdup_printf("m%u", i);

        add_memory(f, id, BLOCK);
        plug(f, id, true);
    }
    s = memory_devices_summary(f->md);
    assert_int_equal(s.base_memory + s.plugged_memory, s.maxmem);
    assert_int_equal(info_of(f, "dimm255").slot, 255);
    assert_int_equal(guest_status(f, 255), MEMORY_HOTPLUG_ENABLED | MEMORY_HOTPLUG_INSERT);
    assert_int_equal(kvm_slots(f), 256);
    fixture_free(f);
    model_kvm_reset();
}

/* Cycles, with the guest on a thread of its own. */

typedef struct Cycle {
    Fixture *f;
    unsigned slot;
} Cycle;

static void *guest_gives_it_back(void *opaque)
{
    Cycle *cycle = opaque;

    rcu_thread_register();
    guest_ost(cycle->f, cycle->slot, 3, 0x84);
    guest_eject(cycle->f, cycle->slot);
    guest_ost(cycle->f, cycle->slot, 3, 0);
    rcu_thread_unregister();
    return NULL;
}

static unsigned open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned n = 0;

    while (readdir(dir)) {
        n++;
    }
    closedir(dir);
    return n;
}

static void count_block(RAMBlock *block, void *opaque)
{
    (*(unsigned *)opaque)++;
}

static unsigned ram_blocks(Fixture *f)
{
    unsigned n = 0;

    memory_system_lock(f->vm->ms);
    ram_block_for_each(f->vm->ms, count_block, &n);
    memory_system_unlock(f->vm->ms);
    return n;
}

static uint64_t virtual_size(void)
{
    g_autofree char *text = NULL;

    assert_true(g_file_get_contents("/proc/self/statm", &text, NULL, NULL));
    return g_ascii_strtoull(text, NULL, 10) * 4 * KIB;
}

static void run_cycle(Fixture *f, unsigned i)
{
    Cycle cycle = { .f = f, .slot = 0 };
    pthread_t thread;

    add_memory(f, "m0", BLOCK);
    plug(f, "m0", true);
    memset(ram_block_host(memory_backend_ram_block(memory_backend_get(f->objects, "m0", NULL))),
           (int)i, 64 * KIB);
    assert_true(memory_devices_request_unplug(f->md, "dimm0", NULL));
    assert_int_equal(pthread_create(&thread, NULL, guest_gives_it_back, &cycle), 0);
    while (is_there(f, "dimm0")) {
        g_main_context_iteration(f->context, TRUE);
    }
    pthread_join(thread, NULL);
    serve(f);
    assert_true(object_store_del(f->objects, "m0", NULL));
}

static void settle(void)
{
    for (unsigned i = 0; i < 4; i++) {
        rcu_drain();
    }
}

static void test_memory_devices_200_cycles_leave_nothing(void **state)
{
    Fixture *f = *state;
    g_autofree char *before = NULL;
    g_autofree char *after = NULL;
    unsigned descriptors, blocks;
    uint64_t size;

    run_cycle(f, 0); /* thread-locals and pools come once */
    settle();
    before = snapshot(f);
    descriptors = open_descriptors();
    blocks = ram_blocks(f);
    size = virtual_size();
    for (unsigned i = 1; i <= 200; i++) {
        run_cycle(f, i);
    }
    settle();
    after = snapshot(f);
    assert_string_equal(after, before);
    assert_int_equal(open_descriptors(), descriptors);
    assert_int_equal(ram_blocks(f), blocks);
    assert_true(virtual_size() < size + BLOCK); /* not one DIMM's memory stayed mapped */
}

static void test_memory_devices_free_with_dimms_and_unheard_acts(void **state)
{
    Fixture *f = fixture_new(SLOTS, 256 * MIB, 2 * GIB);

    add_memory(f, "m0", BLOCK);
    add_memory(f, "m1", BLOCK);
    plug(f, "m0", false);
    plug(f, "m1", false);
    assert_true(memory_devices_request_unplug(f->md, "dimm1", NULL));
    guest_eject(f, 0);
    guest_ost(f, 1, 3, 0x84);
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(test_memory_devices_plug_maps_before_the_guest_is_told),
        TEST(test_memory_devices_plug_before_start_is_not_announced),
        TEST(test_memory_devices_plug_takes_the_first_that_fits),
        TEST(test_memory_devices_plug_every_refusal_changes_nothing),
        TEST(test_memory_devices_plug_no_slot_left),
        TEST(test_memory_devices_plug_rolls_back_when_kvm_fails),
        cmocka_unit_test(test_memory_devices_plug_kvm_slots_full),
        TEST(test_memory_devices_unplug_as_linux_does_it),
        TEST(test_memory_devices_unplug_refused_says_why_and_can_be_repeated),
        TEST(test_memory_devices_unplug_twice_and_unknown),
        TEST(test_memory_devices_time_out_frees_nothing_and_honours_a_late_eject),
        TEST(test_memory_devices_time_out_then_refusal_or_repetition),
        TEST(test_memory_devices_time_out_by_the_main_loop),
        TEST(test_memory_devices_cancel_before_and_after_the_guest_saw_it),
        TEST(test_memory_devices_eject_that_nobody_asked_for),
        TEST(test_memory_devices_requests_between_eject_and_main_loop),
        TEST(test_memory_devices_eject_that_kvm_refuses_keeps_the_dimm),
        TEST(test_memory_devices_plug_that_the_guest_refuses),
        TEST(test_memory_devices_reset_takes_out_what_was_asked_for),
        TEST(test_memory_devices_reset_after_an_eject_that_was_not_served),
        TEST(test_memory_devices_flood_of_ost_is_bounded),
        TEST(test_memory_devices_readonly_backend_is_rom),
        cmocka_unit_test(test_memory_devices_all_256_slots_to_the_byte),
        TEST(test_memory_devices_200_cycles_leave_nothing),
        cmocka_unit_test(test_memory_devices_free_with_dimms_and_unheard_acts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
