/* SPDX-License-Identifier: MIT */
/* The model KVM: memory slots and the rules that the kernel makes for them. */
#include "model-internal.h"

#include <errno.h>

#define MAX_SLOT_PAGES ((1ULL << 31) - 1)
#define USER_HOST_END  0x7ffffffff000ULL /* of 47-bit user space */

static ModelSlot *find_slot(ModelVm *vm, uint32_t id)
{
    for (guint i = 0; i < vm->slots->len; i++) {
        ModelSlot *s = &g_array_index(vm->slots, ModelSlot, i);

        if (s->id == id) {
            return s;
        }
    }
    return NULL;
}

static bool page_aligned(uint64_t n)
{
    return (n & (MODEL_PAGE - 1)) == 0;
}

/* What is wrong with the numbers alone, whatever slots there are. */
static int check_numbers(const struct kvm_userspace_memory_region *m)
{
    const uint32_t known = KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY;

    if ((m->flags & ~known) || !page_aligned(m->memory_size) || !page_aligned(m->guest_phys_addr) ||
        !page_aligned(m->userspace_addr)) {
        return -EINVAL;
    }
    if (m->userspace_addr > USER_HOST_END || m->memory_size > USER_HOST_END - m->userspace_addr) {
        return -EINVAL;
    }
    if ((m->slot >> 16) != 0 || m->slot >= model_nr_slots()) {
        return -EINVAL;
    }
    if (m->guest_phys_addr + m->memory_size < m->guest_phys_addr) {
        return -EINVAL;
    }
    return m->memory_size / MODEL_PAGE > MAX_SLOT_PAGES ? -EINVAL : 0;
}

static bool overlaps_another(ModelVm *vm, const struct kvm_userspace_memory_region *m)
{
    for (guint i = 0; i < vm->slots->len; i++) {
        const ModelSlot *s = &g_array_index(vm->slots, ModelSlot, i);

        if (s->id != m->slot && m->guest_phys_addr < s->gpa + s->size &&
            s->gpa < m->guest_phys_addr + m->memory_size) {
            return true;
        }
    }
    return false;
}

static int by_address(const void *a, const void *b)
{
    const ModelSlot *x = a, *y = b;

    return x->gpa < y->gpa ? -1 : x->gpa > y->gpa;
}

static int delete_slot(ModelVm *vm, const ModelSlot *old)
{
    if (!old) {
        return -EINVAL;
    }
    if (atomic_load(&vm->running) > 0) {
        vm->deletions_while_running++;
    }
    g_array_remove_index(vm->slots, (guint)(old - (ModelSlot *)(void *)vm->slots->data));
    return 0;
}

int model_set_slot(ModelVm *vm, const struct kvm_userspace_memory_region *m, unsigned phys_bits)
{
    ModelSlot *old = find_slot(vm, m->slot);
    ModelSlot new = { .id = m->slot, .flags = m->flags, .gpa = m->guest_phys_addr,
                      .size = m->memory_size, .host = m->userspace_addr };
    int ret = check_numbers(m);

    if (ret < 0) {
        return ret;
    }
    if (m->memory_size == 0) {
        return delete_slot(vm, old);
    }
    if (old) {
        if (old->size != new.size || old->host != new.host ||
            ((old->flags ^ new.flags) & KVM_MEM_READONLY)) {
            return -EINVAL;
        }
        if (old->gpa == new.gpa) {
            old->flags = new.flags;
            return 0;
        }
    }
    if (overlaps_another(vm, m)) {
        return -EEXIST;
    }
    if ((new.gpa + new.size - 1) >> phys_bits) {
        return -EINVAL;
    }
    if (old) {
        *old = new;
    } else {
        g_array_append_val(vm->slots, new);
    }
    g_array_sort(vm->slots, by_address);
    return 0;
}

int model_get_dirty_log(ModelVm *vm, const struct kvm_dirty_log *log)
{
    const ModelSlot *s = find_slot(vm, log->slot);

    if ((log->slot >> 16) != 0 || log->slot >= model_nr_slots()) {
        return -EINVAL;
    }
    return s && (s->flags & KVM_MEM_LOG_DIRTY_PAGES) ? 0 : -ENOENT;
}
