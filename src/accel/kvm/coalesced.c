/* SPDX-License-Identifier: MIT */
/* Coalesced MMIO and PIO: writes that the kernel queues in a ring instead of leaving the guest. */
#include "kvm-internal.h"

#include <inttypes.h>
#include "tessera/memory/address-space.h"
#include "tessera/memory/memory-system.h"
#include "tessera/util/error.h"

/* The ring's page holds as many entries as fit behind its header (linux/kvm.h). */
#define RING_PAGE    4096
#define RING_ENTRIES                                                                               \
    ((RING_PAGE - sizeof(struct kvm_coalesced_mmio_ring)) / sizeof(struct kvm_coalesced_mmio))
#define ZONE_MAX_BYTES (1ULL << 31) /* the kernel counts a zone in 32 bits */

typedef struct kvm_coalesced_mmio_zone Zone;

/* One address space's. Guarded by the machine lock. */
typedef struct ZoneListener {
    MemoryListener listener;
    Kvm *kvm;
    bool pio;
    bool registered;
    GArray *kernel; /* Zone: what the kernel has */
    GArray *wanted; /* what it shall have after the commit, if @changed */
    GArray *old;    /* what it had before it; the same */
    bool changed;   /* heard of a range since begin: most commits cost nothing here */
} ZoneListener;

struct KvmCoalesced {
    ZoneListener spaces[2];
};

static ZoneListener *from_listener(MemoryListener *l)
{
    return (ZoneListener *)(void *)((char *)l - offsetof(ZoneListener, listener));
}

/* Zones. */

static bool zone_equal(const Zone *a, const Zone *b)
{
    return a->addr == b->addr && a->size == b->size;
}

static bool take_zone(GArray *zones, const Zone *z)
{
    for (guint i = 0; i < zones->len; i++) {
        if (zone_equal(&g_array_index(zones, Zone, i), z)) {
            g_array_remove_index_fast(zones, i);
            return true;
        }
    }
    return false;
}

static void copy_zones(GArray *to, const GArray *from)
{
    g_array_set_size(to, 0);
    g_array_append_vals(to, from->data, from->len);
}

/* What is in @from and not in @without. */
static GArray *zones_without(const GArray *from, const GArray *without)
{
    GArray *rest = g_array_new(FALSE, FALSE, sizeof(Zone));

    copy_zones(rest, from);
    for (guint i = 0; i < without->len; i++) {
        take_zone(rest, &g_array_index(without, Zone, i));
    }
    return rest;
}

static int remove_zone(ZoneListener *zl, const Zone *z)
{
    Zone gone = *z;
    int ret = kvm_vm_ioctl(zl->kvm, KVM_UNREGISTER_COALESCED_MMIO, &gone);

    memory_listener_count_ioctls(&zl->listener, 1);
    /* The kernel drops every zone that contains the one named: a view has no zone inside another. */
    if (ret >= 0) {
        take_zone(zl->kernel, &gone);
    }
    return ret;
}

static int add_zone(ZoneListener *zl, const Zone *z)
{
    Zone new = *z;
    int ret = kvm_vm_ioctl(zl->kvm, KVM_REGISTER_COALESCED_MMIO, &new);

    memory_listener_count_ioctls(&zl->listener, 1);
    if (ret >= 0) {
        g_array_append_val(zl->kernel, new);
    }
    return ret;
}

static void set_zone_error(const ZoneListener *zl, const Zone *z, bool add, int err, GError **error)
{
    if (error && !*error) {
        error_set_errno(error, err,
                        "KVM did not %s the coalesced %s 0x%" PRIx64 "-0x%" PRIx64,
                        add ? "take" : "give up", zl->pio ? "ports" : "range", (uint64_t)z->addr,
                        (uint64_t)(z->addr + z->size - 1));
    }
}

/*
 * Brings the kernel's zones to @target; works from what the kernel has, so that it serves to go back
 * too, from wherever a failure left it. @all: goes on after a refusal.
 */
static bool go_to(ZoneListener *zl, const GArray *target, bool all, GError **error)
{
    g_autoptr(GArray) gone = zones_without(zl->kernel, target);
    g_autoptr(GArray) come = NULL;
    bool ok = true;
    int ret;

    for (guint i = 0; i < gone->len && (ok || all); i++) {
        ret = remove_zone(zl, &g_array_index(gone, Zone, i));
        if (ret < 0) {
            set_zone_error(zl, &g_array_index(gone, Zone, i), false, -ret, error);
            ok = false;
        }
    }
    come = zones_without(target, zl->kernel);
    for (guint i = 0; i < come->len && (ok || all); i++) {
        ret = add_zone(zl, &g_array_index(come, Zone, i));
        if (ret < 0) {
            set_zone_error(zl, &g_array_index(come, Zone, i), true, -ret, error);
            ok = false;
        }
    }
    return ok;
}

/* The listener. */

static void zones_begin(MemoryListener *l)
{
    from_listener(l)->changed = false;
}

/* Calls for a range that is larger than the kernel's zones can be are made in parts. */
static void change_wanted(ZoneListener *zl, hwaddr addr, uint64_t size, bool add)
{
    if (!zl->changed) {
        zl->changed = true;
        copy_zones(zl->old, zl->kernel);
        copy_zones(zl->wanted, zl->kernel);
    }
    while (size > 0) {
        Zone z = { .addr = addr, .size = (uint32_t)MIN(size, ZONE_MAX_BYTES), .pio = zl->pio };

        if (add) {
            g_array_append_val(zl->wanted, z);
        } else {
            take_zone(zl->wanted, &z);
        }
        addr += z.size;
        size -= z.size;
    }
}

static void zones_add(MemoryListener *l, const MemoryRegionSection *section, hwaddr addr,
                      uint64_t size)
{
    change_wanted(from_listener(l), addr, size, true);
}

static void zones_del(MemoryListener *l, const MemoryRegionSection *section, hwaddr addr,
                      uint64_t size)
{
    change_wanted(from_listener(l), addr, size, false);
}

static bool zones_apply(MemoryListener *l, bool *ret_broken, GError **error)
{
    ZoneListener *zl = from_listener(l);
    g_autoptr(GError) first = NULL;
    g_autoptr(GError) second = NULL;

    if (!zl->changed || go_to(zl, zl->wanted, false, &first)) {
        return true;
    }
    if (go_to(zl, zl->old, true, &second)) {
        g_propagate_error(error, g_steal_pointer(&first));
    } else {
        *ret_broken = true;
        g_set_error(error, first->domain, first->code, "%s; and going back: %s", first->message,
                    second->message);
    }
    return false;
}

static bool zones_revert(MemoryListener *l, GError **error)
{
    ZoneListener *zl = from_listener(l);

    return !zl->changed || go_to(zl, zl->old, true, error);
}

static bool follow(ZoneListener *zl, Kvm *kvm, AddressSpace *as, bool pio, GError **error)
{
    zl->kvm = kvm;
    zl->pio = pio;
    zl->kernel = g_array_new(FALSE, FALSE, sizeof(Zone));
    zl->wanted = g_array_new(FALSE, FALSE, sizeof(Zone));
    zl->old = g_array_new(FALSE, FALSE, sizeof(Zone));
    zl->listener = (MemoryListener){
        .name = pio ? "KVM coalesced ports" : "KVM coalesced ranges",
        .priority = KVM_LISTENER_PRIORITY,
        .begin = zones_begin,
        .coalesced_io_add = zones_add,
        .coalesced_io_del = zones_del,
        .apply = zones_apply,
        .revert = zones_revert,
    };
    zl->registered = memory_listener_register(&zl->listener, as, error);
    return zl->registered;
}

static void unfollow(ZoneListener *zl)
{
    if (zl->registered) {
        memory_listener_unregister(&zl->listener);
    }
    g_clear_pointer(&zl->kernel, g_array_unref);
    g_clear_pointer(&zl->wanted, g_array_unref);
    g_clear_pointer(&zl->old, g_array_unref);
}

/* Coalescing saves exits and nothing else: a kernel without it leaves the guest at each write. */
KvmCoalesced *kvm_coalesced_new(Kvm *kvm, AddressSpace *memory, AddressSpace *io, GError **error)
{
    KvmCoalesced *c = g_new0(KvmCoalesced, 1);

    if ((kvm->caps.coalesced_page && !follow(&c->spaces[0], kvm, memory, false, error)) ||
        (kvm->caps.coalesced_pio && !follow(&c->spaces[1], kvm, io, true, error))) {
        kvm_coalesced_free(c);
        return NULL;
    }
    return c;
}

void kvm_coalesced_free(KvmCoalesced *c)
{
    if (c) {
        unfollow(&c->spaces[1]);
        unfollow(&c->spaces[0]);
        g_free(c);
    }
}

/* The ring. */

void kvm_coalesced_set_ring(Kvm *kvm, struct kvm_coalesced_mmio_ring *ring)
{
    kvm->ring.ring = kvm->caps.coalesced_page ? ring : NULL;
}

static void write_entry(const struct kvm_coalesced_mmio *entry, AddressSpace *memory,
                        AddressSpace *io)
{
    struct kvm_coalesced_mmio copy = *entry;
    uint32_t len = MIN(copy.len, sizeof(copy.data));

    /* What the access comes to is the guest's own affair, as with a write that exits. */
    address_space_write(copy.pio ? io : memory, copy.phys_addr, MEMTXATTRS_NONE, copy.data, len);
}

/* Only what is there now: a guest that writes without pause must not keep us here. */
static uint64_t drain_ring(KvmRing *r, AddressSpace *memory, AddressSpace *io)
{
    uint32_t last = __atomic_load_n(&r->ring->last, __ATOMIC_ACQUIRE) % RING_ENTRIES;
    uint64_t n = 0;

    while (r->ring->first != last) {
        uint32_t first = r->ring->first % RING_ENTRIES;

        write_entry(&r->ring->coalesced_mmio[first], memory, io);
        __atomic_store_n(&r->ring->first, (uint32_t)((first + 1) % RING_ENTRIES), __ATOMIC_RELEASE);
        n++;
    }
    return n;
}

uint64_t kvm_coalesced_drain(Kvm *kvm, AddressSpace *memory, AddressSpace *io)
{
    KvmRing *r = &kvm->ring;
    uintptr_t self = (uintptr_t)pthread_self();
    AccessCounters *own;
    uint64_t n;

    if (!kvm_coalesced_pending(kvm) ||
        atomic_load_explicit(&r->owner, memory_order_relaxed) == self) {
        return 0;
    }
    g_assert(!memory_system_is_locked(address_space_system(memory)));
    pthread_mutex_lock(&r->lock);
    atomic_store_explicit(&r->owner, self, memory_order_relaxed);
    own = access_counters_use(r->accesses);
    n = drain_ring(r, memory, io);
    access_counters_use(own);
    atomic_store_explicit(&r->owner, 0, memory_order_relaxed);
    pthread_mutex_unlock(&r->lock);
    return n;
}
