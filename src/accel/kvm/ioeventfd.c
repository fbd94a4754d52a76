/* SPDX-License-Identifier: MIT */
/* ioeventfd: a guest's write signals an eventfd inside the kernel, without an exit. */
#include "kvm-internal.h"

#include <inttypes.h>
#include "tessera/memory/region.h"
#include "tessera/util/error.h"
#include "tessera/util/event-notifier.h"

/* A registration to make or to take back. */
typedef struct EventfdOp {
    struct kvm_ioeventfd e; /* without KVM_IOEVENTFD_FLAG_DEASSIGN */
    const MemoryRegion *mr;
    bool add;
} EventfdOp;

/* One address space's. Guarded by the machine lock. */
typedef struct EventfdListener {
    MemoryListener listener;
    Kvm *kvm;
    bool pio;
    bool registered;
    GArray *dels; /* EventfdOp: queued since begin */
    GArray *adds;
    GArray *done; /* executed by apply, kept until commit or revert */
} EventfdListener;

struct KvmIoeventfds {
    EventfdListener spaces[2];
};

static EventfdListener *from_listener(MemoryListener *l)
{
    return (EventfdListener *)(void *)((char *)l - offsetof(EventfdListener, listener));
}

static int run_op(EventfdListener *el, const EventfdOp *op, bool undo)
{
    struct kvm_ioeventfd e = op->e;

    if (op->add == undo) {
        e.flags |= KVM_IOEVENTFD_FLAG_DEASSIGN;
    }
    memory_listener_count_ioctls(&el->listener, 1);
    return kvm_vm_ioctl(el->kvm, KVM_IOEVENTFD, &e);
}

static void set_op_error(const EventfdListener *el, const EventfdOp *op, bool undo, int err,
                         GError **error)
{
    error_set_errno(error, err,
                    "KVM did not %s%s the eventfd at %s 0x%" PRIx64 " (%u bytes, region \"%s\")",
                    op->add != undo ? "bind" : "unbind", undo ? " again" : "",
                    el->pio ? "port" : "address", (uint64_t)op->e.addr, op->e.len,
                    memory_region_name(op->mr));
}

static bool undo_ops(EventfdListener *el, GError **error)
{
    bool ok = true;

    for (guint i = el->done->len; i > 0; i--) {
        const EventfdOp *op = &g_array_index(el->done, EventfdOp, i - 1);
        int ret = run_op(el, op, true);

        if (ret < 0 && ok) {
            ok = false;
            set_op_error(el, op, true, -ret, error);
        }
    }
    g_array_set_size(el->done, 0);
    return ok;
}

static bool run_ops(EventfdListener *el, const GArray *ops, GError **error)
{
    for (guint i = 0; i < ops->len; i++) {
        const EventfdOp *op = &g_array_index(ops, EventfdOp, i);
        int ret;

        if (op->add && op->e.len == 0 && !el->kvm->caps.ioeventfd_any_length) {
            g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_UNSUPPORTED,
                        "region \"%s\" wants an eventfd for writes of any size, which this "
                        "kernel's KVM cannot do (no KVM_CAP_IOEVENTFD_ANY_LENGTH)",
                        memory_region_name(op->mr));
            return false;
        }
        ret = run_op(el, op, false);
        if (ret < 0) {
            set_op_error(el, op, false, -ret, error);
            return false;
        }
        g_array_append_val(el->done, *op);
    }
    return true;
}

static void queue_op(EventfdListener *el, const MemoryRegionSection *section, unsigned size,
                     bool match_data, uint64_t data, const EventNotifier *notifier, bool add)
{
    EventfdOp op = { .mr = section->mr, .add = add };

    op.e.addr = section->offset_within_address_space;
    op.e.len = size;
    op.e.fd = notifier->fd;
    if (match_data) {
        op.e.datamatch = data;
        op.e.flags |= KVM_IOEVENTFD_FLAG_DATAMATCH;
    }
    if (el->pio) {
        op.e.flags |= KVM_IOEVENTFD_FLAG_PIO;
    }
    g_array_append_val(add ? el->adds : el->dels, op);
}

static void eventfd_add(MemoryListener *l, const MemoryRegionSection *section, unsigned size,
                        bool match_data, uint64_t data, EventNotifier *notifier)
{
    queue_op(from_listener(l), section, size, match_data, data, notifier, true);
}

static void eventfd_del(MemoryListener *l, const MemoryRegionSection *section, unsigned size,
                        bool match_data, uint64_t data, EventNotifier *notifier)
{
    queue_op(from_listener(l), section, size, match_data, data, notifier, false);
}

static void eventfd_clear(MemoryListener *l)
{
    EventfdListener *el = from_listener(l);

    g_array_set_size(el->dels, 0);
    g_array_set_size(el->adds, 0);
    g_array_set_size(el->done, 0);
}

static bool eventfd_apply(MemoryListener *l, bool *ret_broken, GError **error)
{
    EventfdListener *el = from_listener(l);
    g_autoptr(GError) first = NULL;
    g_autoptr(GError) second = NULL;

    if (run_ops(el, el->dels, &first) && run_ops(el, el->adds, &first)) {
        return true;
    }
    if (undo_ops(el, &second)) {
        g_propagate_error(error, g_steal_pointer(&first));
    } else {
        *ret_broken = true;
        g_set_error(error, first->domain, first->code, "%s; and going back: %s", first->message,
                    second->message);
    }
    eventfd_clear(l);
    return false;
}

static bool eventfd_revert(MemoryListener *l, GError **error)
{
    bool ok = undo_ops(from_listener(l), error);

    eventfd_clear(l);
    return ok;
}

static bool follow(EventfdListener *el, Kvm *kvm, AddressSpace *as, bool pio, GError **error)
{
    el->kvm = kvm;
    el->pio = pio;
    el->dels = g_array_new(FALSE, FALSE, sizeof(EventfdOp));
    el->adds = g_array_new(FALSE, FALSE, sizeof(EventfdOp));
    el->done = g_array_new(FALSE, FALSE, sizeof(EventfdOp));
    el->listener = (MemoryListener){
        .name = pio ? "KVM ioeventfds (ports)" : "KVM ioeventfds",
        .priority = KVM_LISTENER_PRIORITY,
        .begin = eventfd_clear,
        .eventfd_add = eventfd_add,
        .eventfd_del = eventfd_del,
        .apply = eventfd_apply,
        .revert = eventfd_revert,
        .abort = eventfd_clear,
        .commit = eventfd_clear,
    };
    el->registered = memory_listener_register(&el->listener, as, error);
    return el->registered;
}

static void unfollow(EventfdListener *el)
{
    if (el->registered) {
        memory_listener_unregister(&el->listener);
    }
    g_clear_pointer(&el->dels, g_array_unref);
    g_clear_pointer(&el->adds, g_array_unref);
    g_clear_pointer(&el->done, g_array_unref);
}

KvmIoeventfds *kvm_ioeventfds_new(Kvm *kvm, AddressSpace *memory, AddressSpace *io, GError **error)
{
    KvmIoeventfds *e = g_new0(KvmIoeventfds, 1);

    if (!follow(&e->spaces[0], kvm, memory, false, error) ||
        !follow(&e->spaces[1], kvm, io, true, error)) {
        kvm_ioeventfds_free(e);
        return NULL;
    }
    return e;
}

void kvm_ioeventfds_free(KvmIoeventfds *e)
{
    if (e) {
        unfollow(&e->spaces[1]);
        unfollow(&e->spaces[0]);
        g_free(e);
    }
}
