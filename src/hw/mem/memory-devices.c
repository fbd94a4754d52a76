/* SPDX-License-Identifier: MIT */
/* MemoryDevices: which DIMMs there are; plugging one. */
#include "tessera/hw/mem/memory-devices.h"

#include "memory-devices-internal.h"
#include <inttypes.h>
#include "tessera/util/error.h"
#include "tessera/util/log.h"
#include "tessera/util/object-class.h"
#include "tessera/util/suggest.h"
#include "tessera/util/trace.h"

#define TIMEOUT_DEFAULT_S 60

/* Looking. */

const char *dimm_id(const Dimm *dimm)
{
    return dimm->dev->id;
}

static Dimm *find_dimm(MemoryDevices *md, const char *id)
{
    return g_hash_table_lookup(md->by_id, id);
}

Dimm *memory_devices_lookup(MemoryDevices *md, const char *id, GError **error)
{
    Dimm *dimm = find_dimm(md, id);
    g_autoptr(GPtrArray) ids = NULL;
    g_autofree char *phrase = NULL;

    if (dimm) {
        return dimm;
    }
    ids = g_ptr_array_new();
    for (guint i = 0; i < md->by_addr->len; i++) {
        g_ptr_array_add(ids, (gpointer)dimm_id(md->by_addr->pdata[i]));
    }
    g_ptr_array_add(ids, NULL);
    phrase = suggest_phrase(id, (const char *const *)ids->pdata);
    g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_NOT_FOUND, "there is no memory device '%s'%s",
                id, phrase);
    return NULL;
}

static DimmInfo dimm_info(const Dimm *dimm)
{
    return (DimmInfo){
        .id = dimm_id(dimm),
        .memdev = memory_backend_id(dimm->backend),
        .slot = dimm->slot,
        .node = dimm->node,
        .addr = dimm->addr,
        .size = dimm->size,
        .hotplugged = dimm->hotplugged,
        .hotpluggable = true,
        .state = dimm->state,
        .guest_took_plug = dimm->guest_took_plug,
        .guest_refused_plug = dimm->guest_refused_plug,
        .reason = dimm->reason,
        .state_since_us = dimm->state_since_us,
    };
}

void memory_devices_for_each(MemoryDevices *md, void (*fn)(const DimmInfo *info, void *opaque),
                             void *opaque)
{
    for (unsigned slot = 0; slot < md->config.slots; slot++) {
        if (md->slots[slot]) {
            DimmInfo info = dimm_info(md->slots[slot]);

            fn(&info, opaque);
        }
    }
}

bool memory_devices_find(MemoryDevices *md, const char *id, DimmInfo *ret_info)
{
    Dimm *dimm = find_dimm(md, id);

    if (dimm) {
        *ret_info = dimm_info(dimm);
    }
    return dimm != NULL;
}

MemoryDevicesSummary memory_devices_summary(MemoryDevices *md)
{
    const MemoryDevicesConfig *c = &md->config;

    return (MemoryDevicesSummary){
        .base_memory = c->boot_ram,
        .plugged_memory = md->plugged,
        .window_base = c->window_base,
        .window_size = (uint64_t)memory_region_size(c->window),
        .maxmem = c->maxmem,
        .slots = c->slots,
        .slots_used = md->by_addr->len,
        .block_size = memory_devices_guest_block(md),
    };
}

char *memory_devices_memmap_warning(MemoryDevices *md, uint64_t size)
{
    return dimm_memmap_warning(md->config.boot_ram, md->plugged, size);
}

char *memory_devices_memmap_news(MemoryDevices *md, uint64_t size)
{
    uint64_t boot_ram = md->config.boot_ram;

    return dimm_memmap_concern(boot_ram, md->plugged) >
                   dimm_memmap_concern(boot_ram, md->plugged - size)
               ? memory_devices_memmap_warning(md, 0)
               : NULL;
}

/* Coming and going. */

/* How many DIMMs lie below @addr. */
static guint count_below(const MemoryDevices *md, uint64_t addr)
{
    guint low = 0, high = md->ranges->len;

    while (low < high) {
        guint mid = low + (high - low) / 2;

        if (g_array_index(md->ranges, DimmRange, mid).base < addr) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

static void enlist(MemoryDevices *md, Dimm *dimm)
{
    DimmRange range = { dimm->addr, dimm->size };
    guint at = count_below(md, dimm->addr);

    g_ptr_array_insert(md->by_addr, (gint)at, dimm);
    g_array_insert_val(md->ranges, at, range);
    g_hash_table_insert(md->by_id, (gpointer)dimm_id(dimm), dimm);
    md->plugged += dimm->size;
    pthread_mutex_lock(&md->lock);
    md->slots[dimm->slot] = dimm;
    pthread_mutex_unlock(&md->lock);
}

static void dimm_free(Dimm *dimm)
{
    dimm_stop_timeout(dimm);
    device_unrealize(dimm->dev);
    device_unref(dimm->dev); /* views that go hold it, and with it the memory, a moment more */
    memory_backend_release(dimm->backend);
    g_free(dimm->reason);
    g_free(dimm);
}

static void delist(Dimm *dimm)
{
    MemoryDevices *md = dimm->md;
    guint at = count_below(md, dimm->addr);

    pthread_mutex_lock(&md->lock);
    md->slots[dimm->slot] = NULL;
    pthread_mutex_unlock(&md->lock);
    g_ptr_array_remove_index(md->by_addr, at);
    g_array_remove_index(md->ranges, at);
    g_hash_table_remove(md->by_id, dimm_id(dimm));
    md->plugged -= dimm->size;
    memory_hotplug_clear(md->config.registers, dimm->slot);
}

void dimm_remove(Dimm *dimm, const char *reason)
{
    MemoryDevices *md = dimm->md;
    g_autofree char *id = g_strdup(dimm_id(dimm));
    MemoryDeviceEvent event = {
        .id = id,
        .slot = dimm->slot,
        .size = dimm->size,
        .state = DIMM_EJECTED,
        .unasked = !dimm_is_asked_for(dimm),
        .reason = reason,
    };

    log_item(LOG_ACPI, "DIMM '%s' is out of slot %u", id, dimm->slot);
    trace_event(dimm_remove, .id = id, .slot = dimm->slot, .reason = reason);
    delist(dimm);
    dimm_free(dimm);
    event.kind = MEMORY_EVENT_STATE;
    memory_devices_emit(md, &event);
    event.kind = MEMORY_EVENT_DELETED;
    memory_devices_emit(md, &event);
    event.kind = MEMORY_EVENT_SIZE_CHANGE;
    memory_devices_emit(md, &event);
}

bool dimm_unmap(Dimm *dimm, const char *why, GError **error)
{
    MemoryDevices *md = dimm->md;

    memory_region_transaction_begin_for(md->device_context.ms, "%s of slot %u", why, dimm->slot);
    if (!memory_region_del_subregion(md->config.window, pc_dimm_region(dimm->dev), error)) {
        memory_region_transaction_abort(md->device_context.ms);
        return false;
    }
    return memory_region_transaction_commit(md->device_context.ms, error);
}

static bool dimm_map(Dimm *dimm, GError **error)
{
    MemoryDevices *md = dimm->md;

    memory_region_transaction_begin_for(md->device_context.ms, "device_add %s", dimm_id(dimm));
    if (!memory_region_add_subregion(md->config.window, dimm->addr - md->config.window_base,
                                     pc_dimm_region(dimm->dev), error)) {
        memory_region_transaction_abort(md->device_context.ms);
        return false;
    }
    return memory_region_transaction_commit(md->device_context.ms, error);
}

static Device *make_device(MemoryDevices *md, const char *id, MemoryBackend *backend)
{
    Device *dev = device_new(&pc_dimm_device_class, &md->device_context, id);

    pc_dimm_set_backend(dev, backend);
    device_realize(dev, NULL); /* checks nothing, so it cannot fail */
    return dev;
}

static Dimm *dimm_new(MemoryDevices *md, const DimmRequest *request, MemoryBackend *backend)
{
    Dimm *dimm = g_new0(Dimm, 1);

    dimm->md = md;
    dimm->backend = backend;
    dimm->dev = make_device(md, request->id, backend);
    dimm->node = request->node;
    dimm->size = memory_backend_size(backend);
    dimm->state = DIMM_PLUGGED;
    dimm->state_since_us = g_get_monotonic_time();
    return dimm;
}

/* Slot and place are known to be right: map, then tell. */
static bool insert(Dimm *dimm, bool hot, GError **error)
{
    MemoryDevices *md = dimm->md;
    MemoryDeviceEvent event = {
        .kind = MEMORY_EVENT_SIZE_CHANGE,
        .id = dimm_id(dimm),
        .slot = dimm->slot,
        .size = dimm->size,
    };

    if (!dimm_map(dimm, error)) {
        return false;
    }
    dimm->hotplugged = hot;
    enlist(md, dimm);
    memory_hotplug_insert(md->config.registers, dimm->slot, dimm->addr, dimm->size, dimm->node,
                          hot);
    trace_event(dimm_plug, .id = dimm_id(dimm), .slot = dimm->slot, .address = dimm->addr,
                .size = dimm->size, .hot = hot);
    if (hot) {
        guest_tell_soon(md);
    }
    log_item(LOG_ACPI, "DIMM '%s' is in slot %u at 0x%" PRIx64 ", 0x%" PRIx64 " bytes",
             dimm_id(dimm), dimm->slot, dimm->addr, dimm->size);
    memory_devices_emit(md, &event);
    return true;
}

static bool check_request(MemoryDevices *md, const DimmRequest *request, GError **error)
{
    if (!object_id_check(request->id, error)) {
        return false;
    }
    if (find_dimm(md, request->id)) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_EXISTS,
                    "there is a device with this id already");
        return false;
    }
    if (request->node != 0) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "node=%u: the machine has one NUMA node, 0", request->node);
        return false;
    }
    return true;
}

/* The backend is claimed; on failure the caller releases it. */
static bool plug_backend(MemoryDevices *md, const DimmRequest *request, MemoryBackend *backend,
                         bool hot, GError **error)
{
    unsigned slot;
    uint64_t addr;
    Dimm *dimm;

    if (!dimm_choose(md, request, backend, &slot, &addr, error)) {
        return false;
    }
    dimm = dimm_new(md, request, backend);
    dimm->slot = slot;
    dimm->addr = addr;
    if (!insert(dimm, hot, error)) {
        device_unrealize(dimm->dev);
        device_unref(dimm->dev);
        g_free(dimm);
        return false;
    }
    return true;
}

bool memory_devices_plug(MemoryDevices *md, const DimmRequest *request, bool hot, GError **error)
{
    g_autofree char *user = g_strdup_printf("device '%s'", request->id);
    MemoryBackend *backend = NULL;

    if (check_request(md, request, error)) {
        backend = memory_backend_get(md->config.objects, request->memdev, error);
        if (!backend) {
            g_prefix_error(error, "memdev=%s: ", request->memdev);
        }
    }
    if (backend && memory_backend_claim(backend, user, error)) {
        if (plug_backend(md, request, backend, hot, error)) {
            return true;
        }
        memory_backend_release(backend);
    }
    g_prefix_error(error, "pc-dimm '%s': ", request->id);
    return false;
}

/* Life of the whole. */

static void take_out(Dimm *dimm)
{
    g_autoptr(GError) error = NULL;

    if (!dimm_begin_eject(dimm)) {
        return; /* a vCPU has, and the queue will say so */
    }
    if (dimm_unmap(dimm, "ejection at reset", &error)) {
        dimm_remove(dimm, "the reset took the memory out");
        return;
    }
    dimm_end_eject(dimm);
    dimm_set_state(dimm, DIMM_REFUSED, error->message);
}

/* The new kernel looks by itself and answers nothing: who waits for an answer need not go on. */
static void renew_plug(Dimm *dimm)
{
    bool answered = dimm->guest_took_plug || dimm->guest_refused_plug;

    dimm->guest_took_plug = dimm->guest_refused_plug = false;
    if (dimm->hotplugged && !answered) {
        dimm_tell_plug_answer(dimm, MEMORY_FOUND_AT_START);
    }
}

void memory_devices_reset(MemoryDevices *md)
{
    while (guest_acts_serve(md)) {
        /* all that the guest did before; the vCPUs are paused, so there is an end */
    }
    guest_tell_not(md); /* the new kernel looks by itself */
    for (unsigned slot = 0; slot < md->config.slots; slot++) {
        Dimm *dimm = md->slots[slot];

        if (!dimm) {
            continue;
        }
        if (dimm->state == DIMM_REQUESTED || dimm->state == DIMM_OFFLINING) {
            take_out(dimm);
            continue;
        }
        renew_plug(dimm);
        if (dimm->state != DIMM_PLUGGED || dimm->reason) {
            dimm_set_state(dimm, DIMM_PLUGGED, NULL);
        }
    }
}

MemoryDevices *memory_devices_new(const MemoryDevicesConfig *config, GError **error)
{
    MemoryDevices *md = g_new0(MemoryDevices, 1);

    md->config = *config;
    md->device_context = *config->device;
    pthread_mutex_init(&md->lock, NULL);
    md->slots = g_new0(Dimm *, config->slots);
    md->by_addr = g_ptr_array_new();
    md->ranges = g_array_new(FALSE, FALSE, sizeof(DimmRange));
    md->by_id = g_hash_table_new(g_str_hash, g_str_equal);
    md->timeout_s = TIMEOUT_DEFAULT_S;
    guest_tell_init(md);
    if (!guest_acts_init(md, error)) {
        memory_devices_free(md);
        return NULL;
    }
    memory_hotplug_set_ops(config->registers, &memory_devices_hotplug_ops, md);
    return md;
}

/* As if all had been ejected; nobody is told any more. */
static void take_out_all(MemoryDevices *md)
{
    memory_region_transaction_begin_for(md->device_context.ms, "board: its end");
    for (guint i = 0; i < md->by_addr->len; i++) {
        Dimm *dimm = md->by_addr->pdata[i];

        if (memory_region_container(pc_dimm_region(dimm->dev))) {
            dimm_unmap(dimm, "end", NULL);
        }
    }
    memory_region_transaction_commit(md->device_context.ms, NULL);
    while (md->by_addr->len > 0) {
        Dimm *dimm = md->by_addr->pdata[md->by_addr->len - 1];

        delist(dimm);
        dimm_free(dimm);
    }
}

void memory_devices_free(MemoryDevices *md)
{
    if (!md) {
        return;
    }
    memory_hotplug_set_ops(md->config.registers, NULL, NULL);
    memory_devices_set_event_handler(md, NULL, NULL);
    guest_acts_done(md);
    guest_tell_done(md);
    take_out_all(md);
    g_ptr_array_unref(md->by_addr);
    g_array_unref(md->ranges);
    g_hash_table_unref(md->by_id);
    g_free(md->slots);
    pthread_mutex_destroy(&md->lock);
    g_free(md);
}
