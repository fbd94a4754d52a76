/* SPDX-License-Identifier: MIT */
/* DIMMs on the model KVM: the machine's side, a user's requests, a guest's register accesses. */
#include "dimm-fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "../../../../src/memory/backend-internal.h"
#include "tessera/memory/mtree-dump.h"

/* What brings the classes along from the archive. */
static const ObjectClass *const classes[] = { &memory_backend_ram_class,
                                              &memory_backend_file_class };

unsigned dimms_kvm_slots(DimmFixture *f)
{
    return model_vm_slots(f->vm->vm)->len;
}

static void on_gpe(void *opaque, unsigned n, bool level)
{
    DimmFixture *f = opaque;

    if (level) {
        assert_int_equal(n, MEMORY_HOTPLUG_GPE);
        f->gpes++;
        f->mapped_at_gpe = dimms_kvm_slots(f);
    }
}

static void on_event(void *opaque, const MemoryDeviceEvent *event)
{
    DimmFixture *f = opaque;

    switch (event->kind) {
    case MEMORY_EVENT_OST:
        g_string_append_printf(f->log, "ost %s %u %x %x;", event->id ? event->id : "-", event->slot,
                               event->ost_event, event->ost_status);
        assert_non_null(event->reason);
        break;
    case MEMORY_EVENT_DELETED:
        g_string_append_printf(f->log, "deleted %s%s;", event->id,
                               event->unasked ? " unasked" : "");
        assert_non_null(event->reason);
        break;
    case MEMORY_EVENT_UNPLUG_ERROR:
        g_string_append_printf(f->log, "error %s;", event->id);
        assert_non_null(event->reason);
        break;
    case MEMORY_EVENT_STATE:
        g_string_append_printf(f->log, "%s:%s;", event->id, dimm_state_name(event->state));
        break;
    case MEMORY_EVENT_PLUG_ANSWERED:
        g_string_append_printf(f->log, "answered %s;", event->id);
        assert_non_null(event->reason);
        break;
    case MEMORY_EVENT_SIZE_CHANGE:
        g_string_append(f->log, "size;");
        break;
    }
}

void dimms_serve(DimmFixture *f)
{
    while (g_main_context_iteration(f->context, FALSE)) {
    }
}

void dimms_expect_log(DimmFixture *f, const char *wanted)
{
    dimms_serve(f);
    assert_string_equal(f->log->str, wanted);
    g_string_truncate(f->log, 0);
}

DimmFixture *dimms_new(unsigned slots, uint64_t boot_ram, uint64_t maxmem)
{
    DimmFixture *f = g_new0(DimmFixture, 1);
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

void dimms_free(DimmFixture *f)
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

int dimms_setup(void **state)
{
    model_kvm_reset();
    *state = dimms_new(SLOTS, 256 * MIB, 2 * GIB);
    return 0;
}

int dimms_teardown(void **state)
{
    dimms_free(*state);
    model_kvm_reset();
    return 0;
}

void dimms_add_memory(DimmFixture *f, const char *id, uint64_t size)
{
    g_autofree char *text = g_strdup_printf(
        "memory-backend-ram,reserve=off,id=%s,size=%" G_GUINT64_FORMAT, id, size);
    g_autoptr(GError) error = NULL;

    if (!object_store_add_option(f->objects, text, &error)) {
        fail_msg("%s", error->message);
    }
}

void dimms_plug(DimmFixture *f, const char *memdev, bool hot)
{
    g_autofree char *id = g_strdup_printf("dimm%s", memdev + 1);
    DimmRequest request = { .id = id, .memdev = memdev };
    g_autoptr(GError) error = NULL;

    if (!memory_devices_plug(f->md, &request, hot, &error)) {
        fail_msg("%s", error->message);
    }
}

DimmInfo dimms_info(DimmFixture *f, const char *id)
{
    DimmInfo info;

    assert_true(memory_devices_find(f->md, id, &info));
    return info;
}

void dimms_expect_state(DimmFixture *f, const char *id, DimmState state)
{
    dimms_serve(f);
    assert_int_equal(dimms_info(f, id).state, state);
}

bool dimms_has(DimmFixture *f, const char *id)
{
    DimmInfo info;

    return memory_devices_find(f->md, id, &info);
}

static void outl(DimmFixture *f, unsigned offset, uint32_t value)
{
    address_space_stl_le(f->vm->io, PORT + offset, value, MEMTXATTRS_NONE, NULL);
}

void slot_select(DimmFixture *f, unsigned slot)
{
    outl(f, MEMORY_HOTPLUG_SELECTOR, slot);
}

uint8_t slot_status(DimmFixture *f, unsigned slot)
{
    slot_select(f, slot);
    return address_space_ldub(f->vm->io, PORT + MEMORY_HOTPLUG_STATUS, MEMTXATTRS_NONE, NULL);
}

void slot_control(DimmFixture *f, unsigned slot, uint8_t bits)
{
    slot_select(f, slot);
    address_space_stb(f->vm->io, PORT + MEMORY_HOTPLUG_CONTROL, bits, MEMTXATTRS_NONE, NULL);
}

void slot_ost(DimmFixture *f, unsigned slot, uint32_t event, uint32_t status)
{
    slot_select(f, slot);
    outl(f, MEMORY_HOTPLUG_OST_EVENT, event);
    outl(f, MEMORY_HOTPLUG_OST_STATUS, status);
}

void slot_eject(DimmFixture *f, unsigned slot)
{
    slot_control(f, slot, MEMORY_HOTPLUG_EJECT);
}

char *dimms_snapshot(DimmFixture *f)
{
    GString *s = g_string_new(NULL);
    MemoryDevicesSummary summary = memory_devices_summary(f->md);

    memory_dump_tree(f->vm->ms, s);
    memory_dump_flatviews(f->vm->ms, s);
    g_string_append_printf(s, "%u slots, %u DIMMs, %" G_GUINT64_FORMAT " bytes\n",
                           dimms_kvm_slots(f), summary.slots_used, summary.plugged_memory);
    for (unsigned slot = 0; slot < summary.slots; slot++) {
        g_string_append_printf(s, "%u:%x ", slot, memory_hotplug_status(f->registers, slot));
    }
    vm_fixture_check(f->vm);
    return g_string_free(s, FALSE);
}
