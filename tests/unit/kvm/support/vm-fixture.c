/* SPDX-License-Identifier: MIT */
/* A machine's memory on the model KVM. */
#include "vm-fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>
#include "tessera/memory/section.h"

#define PAGE 4096ULL

static void fixture_park(void *opaque)
{
    VmFixture *f = opaque;

    assert_false(f->parked);
    assert_true(memory_system_is_locked(f->ms));
    f->parked = true;
    f->parks++;
}

static void fixture_unpark(void *opaque)
{
    VmFixture *f = opaque;

    assert_true(f->parked);
    f->parked = false;
}

static const KvmParkOps park_ops = { .park = fixture_park, .unpark = fixture_unpark };

static void fixture_failed(void *opaque, const GError *commit_error, const GError *revert_error)
{
    VmFixture *f = opaque;

    assert_non_null(commit_error);
    f->broken++;
    g_free(f->broken_text);
    f->broken_text = g_strdup(commit_error->message);
}

static VmFixture *fixture_new(bool irqchip)
{
    const KvmConfig config = { .device = MODEL_KVM_DEVICE,
                               .identity_map_base = 0xfeffc000,
                               .tss_base = 0xfeffd000,
                               .irqchip = irqchip };
    g_autoptr(GError) error = NULL;
    VmFixture *f = g_new0(VmFixture, 1);

    f->ms = memory_system_new(NULL);
    f->regions = g_ptr_array_new();
    f->system = memory_region_new_container(f->ms, NULL, "system", INT128_2_64);
    f->ports = memory_region_new_container(f->ms, NULL, "ports", 65536);
    f->memory = address_space_new(f->ms, f->system, "memory", NULL);
    f->io = address_space_new(f->ms, f->ports, "I/O", NULL);
    memory_system_set_failed_handler(f->ms, fixture_failed, f);
    f->kvm = kvm_new(&config, &error);
    assert_null(error);
    f->vm = model_kvm_vm(f->kvm);
    kvm_set_park_ops(f->kvm, &park_ops, f);
    return f;
}

VmFixture *vm_fixture_new_detached(void)
{
    return fixture_new(false);
}

VmFixture *vm_fixture_new_detached_irqchip(void)
{
    return fixture_new(true);
}

VmFixture *vm_fixture_new(void)
{
    g_autoptr(GError) error = NULL;
    VmFixture *f = vm_fixture_new_detached();

    kvm_attach_memory(f->kvm, f->memory, f->io, &error);
    assert_null(error);
    return f;
}

static void take_out(MemoryRegion *mr)
{
    if (memory_region_container(mr)) {
        assert_true(memory_region_del_subregion(memory_region_container(mr), mr, NULL));
    }
}

void vm_fixture_free(VmFixture *f)
{
    kvm_detach_memory(f->kvm);
    kvm_free(f->kvm);
    /* The last made are the aliases: they go before their targets. */
    for (guint i = f->regions->len; i > 0; i--) {
        take_out(g_ptr_array_index(f->regions, i - 1));
    }
    address_space_free(f->memory);
    address_space_free(f->io);
    for (guint i = f->regions->len; i > 0; i--) {
        memory_region_release(g_ptr_array_index(f->regions, i - 1));
    }
    memory_region_release(f->system);
    memory_region_release(f->ports);
    memory_system_free(f->ms);
    g_ptr_array_unref(f->regions);
    g_free(f->broken_text);
    g_free(f);
}

static MemoryRegion *own(VmFixture *f, MemoryRegion *mr)
{
    assert_non_null(mr);
    g_ptr_array_add(f->regions, mr);
    return mr;
}

static RAMBlock *block_new(VmFixture *f, const char *name, uint64_t size)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *idstr = g_strdup_printf("%s-%u", name, f->regions->len);
    RAMBlock *block = ram_block_new(f->ms, idstr, size, 0, RAM_NORESERVE, &error);

    if (error) {
        fail_msg("%s", error->message);
    }
    return block;
}

MemoryRegion *vm_fixture_ram(VmFixture *f, const char *name, uint64_t size)
{
    RAMBlock *block = block_new(f, name, size);
    MemoryRegion *mr = own(f, memory_region_new_ram(f->ms, NULL, name, block));

    ram_block_unref(block);
    return mr;
}

MemoryRegion *vm_fixture_rom(VmFixture *f, const char *name, uint64_t size)
{
    RAMBlock *block = block_new(f, name, size);
    MemoryRegion *mr = own(f, memory_region_new_rom(f->ms, NULL, name, block));

    ram_block_unref(block);
    return mr;
}

static MemTxResult silent_read(void *opaque, hwaddr offset, uint64_t *ret_value, unsigned size,
                               MemTxAttrs attrs)
{
    *ret_value = 0;
    return MEMTX_OK;
}

static MemTxResult silent_write(void *opaque, hwaddr offset, uint64_t value, unsigned size,
                                MemTxAttrs attrs)
{
    return MEMTX_OK;
}

static const MemoryRegionOps silent_ops = { .read = silent_read, .write = silent_write };

MemoryRegion *vm_fixture_rom_device(VmFixture *f, const char *name, uint64_t size)
{
    RAMBlock *block = block_new(f, name, size);
    MemoryRegion *mr =
        own(f, memory_region_new_rom_device(f->ms, NULL, &silent_ops, NULL, name, block));

    ram_block_unref(block);
    return mr;
}

MemoryRegion *vm_fixture_io(VmFixture *f, const char *name, uint64_t size)
{
    return own(f, memory_region_new_io(f->ms, NULL, &silent_ops, NULL, name, size));
}

MemoryRegion *vm_fixture_alias(VmFixture *f, const char *name, MemoryRegion *target, uint64_t offset,
                               uint64_t size)
{
    return own(f, memory_region_new_alias(f->ms, NULL, name, target, offset, size));
}

void vm_fixture_put(VmFixture *f, MemoryRegion *mr, hwaddr addr, int priority)
{
    g_autoptr(GError) error = NULL;

    memory_region_add_subregion_overlap(f->system, addr, mr, priority, &error);
    assert_null(error);
}

/* --- What should be mapped: written anew from the rules, not with the accelerator's helpers --- */

static void append_run(GArray *runs, Mapped run)
{
    Mapped *last = runs->len > 0 ? &g_array_index(runs, Mapped, runs->len - 1) : NULL;

    if (last && last->gpa + last->size == run.gpa && last->host + last->size == run.host &&
        last->flags == run.flags) {
        last->size += run.size;
    } else {
        g_array_append_val(runs, run);
    }
}

static bool want_section(const MemoryRegionSection *s, void *opaque)
{
    RAMBlock *block = memory_region_ram_block(s->mr);
    bool rom_device = memory_region_is_rom_device(s->mr);
    uint64_t first, end, host;
    Mapped run = { .flags = 0 };

    if (!block || (rom_device && !s->romd_mode)) {
        return true;
    }
    host = (uint64_t)(uintptr_t)ram_block_host(block) + s->offset_within_region;
    if (host % PAGE != s->offset_within_address_space % PAGE) {
        return true;
    }
    first = (s->offset_within_address_space + PAGE - 1) / PAGE * PAGE;
    end = (uint64_t)(s->offset_within_address_space + s->size) / PAGE * PAGE;
    if (first >= end) {
        return true;
    }
    run.gpa = first;
    run.size = end - first;
    run.host = host + (first - s->offset_within_address_space);
    run.flags = (s->readonly || rom_device ? KVM_MEM_READONLY : 0) |
                (s->dirty_log_mask ? KVM_MEM_LOG_DIRTY_PAGES : 0);
    append_run(opaque, run);
    return true;
}

GArray *vm_fixture_wanted(VmFixture *f)
{
    GArray *runs = g_array_new(FALSE, TRUE, sizeof(Mapped));

    memory_system_lock(f->ms);
    address_space_for_each(f->memory, want_section, runs);
    memory_system_unlock(f->ms);
    return runs;
}

GArray *vm_fixture_mapped(VmFixture *f)
{
    const GArray *slots = model_vm_slots(f->vm);
    GArray *runs = g_array_new(FALSE, TRUE, sizeof(Mapped));

    for (guint i = 0; i < slots->len; i++) {
        ModelSlot s = g_array_index(slots, ModelSlot, i);

        append_run(runs, (Mapped){ s.gpa, s.size, s.host, s.flags });
    }
    return runs;
}

static bool same_runs(const GArray *a, const GArray *b)
{
    return a->len == b->len &&
           (a->len == 0 || memcmp(a->data, b->data, a->len * sizeof(Mapped)) == 0);
}

static void print_runs(const char *title, const GArray *runs)
{
    printf("%s:\n", title);
    for (guint i = 0; i < runs->len; i++) {
        Mapped m = g_array_index(runs, Mapped, i);

        printf("  %012lx + %lx -> %lx flags %lx\n", (unsigned long)m.gpa, (unsigned long)m.size,
               (unsigned long)m.host, (unsigned long)m.flags);
    }
}

bool vm_fixture_agrees(VmFixture *f)
{
    g_autoptr(GArray) wanted = vm_fixture_wanted(f);
    g_autoptr(GArray) mapped = vm_fixture_mapped(f);

    return same_runs(wanted, mapped);
}

static void collect_info(const KvmSlotInfo *slot, void *opaque)
{
    ModelSlot s = { .id = slot->id,
                    .flags = slot->flags,
                    .gpa = slot->gpa,
                    .size = slot->size,
                    .host = (uint64_t)(uintptr_t)slot->host };

    assert_non_null(slot->region);
    g_array_append_val((GArray *)opaque, s);
}

void vm_fixture_check(VmFixture *f)
{
    g_autoptr(GArray) wanted = vm_fixture_wanted(f);
    g_autoptr(GArray) mapped = vm_fixture_mapped(f);
    g_autoptr(GArray) told = g_array_new(FALSE, TRUE, sizeof(ModelSlot));
    const GArray *slots = model_vm_slots(f->vm);

    if (!same_runs(wanted, mapped)) {
        print_runs("the flat view wants", wanted);
        print_runs("KVM maps", mapped);
        fail_msg("the slots are not the view's RAM");
    }
    memory_system_lock(f->ms);
    kvm_for_each_slot(f->kvm, collect_info, told);
    memory_system_unlock(f->ms);
    assert_int_equal(told->len, slots->len);
    assert_true(slots->len == 0 ||
                memcmp(told->data, slots->data, slots->len * sizeof(ModelSlot)) == 0);
    assert_false(f->parked);
}

const Mapped *mapped_at(const GArray *runs, uint64_t gpa)
{
    for (guint i = 0; i < runs->len; i++) {
        const Mapped *m = &g_array_index(runs, Mapped, i);

        if (gpa >= m->gpa && gpa < m->gpa + m->size) {
            return m;
        }
    }
    return NULL;
}
