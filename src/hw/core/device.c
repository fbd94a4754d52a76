/* SPDX-License-Identifier: MIT */
/* Device: life, regions and the table of classes. */
#include "tessera/hw/core/device.h"

#include "tessera/util/error.h"
#include "tessera/util/registry.h"
#include "tessera/util/suggest.h"

TESSERA_REGISTRY(devices);

/* Two classes of one name are a mistake in the program. */
static GPtrArray *device_classes(void)
{
    g_autoptr(GError) error = NULL;
    GPtrArray *classes = registry_load(REGISTRY(devices), &error);

    g_assert_no_error(error);
    return classes;
}

static void device_finalize(Object *obj)
{
    Device *dev = (Device *)obj;

    /* Timers and handlers end on the main thread, before the last reference. */
    g_assert(!dev->realized);
    if (dev->cls->finalize) {
        dev->cls->finalize(dev);
    }
    for (guint i = 0; i < dev->regions->len; i++) {
        memory_region_release(dev->regions->pdata[i]);
    }
    g_ptr_array_free(dev->regions, TRUE);
    g_free(dev->id);
    g_free(dev);
}

const DeviceClass *device_class_find(const char *name, GError **error)
{
    g_autoptr(GPtrArray) classes = device_classes();
    const DeviceClass *cls = registry_find(classes, name);
    g_autofree const char **names = NULL;
    g_autofree char *phrase = NULL;

    if (!cls) {
        names = registry_names(classes);
        phrase = suggest_phrase(name, names);
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_NOT_FOUND, "there is no device '%s'%s",
                    name, phrase);
    }
    return cls;
}

void device_class_for_each(void (*fn)(const DeviceClass *cls, void *opaque), void *opaque)
{
    g_autoptr(GPtrArray) classes = device_classes();

    for (guint i = 0; i < classes->len; i++) {
        fn(classes->pdata[i], opaque);
    }
}

Device *device_new(const DeviceClass *cls, const DeviceContext *context, const char *id)
{
    Device *dev;

    g_assert(cls->instance_size >= sizeof(Device));
    dev = g_malloc0(cls->instance_size);
    object_init(&dev->obj, device_finalize);
    dev->cls = cls;
    dev->ms = context->ms;
    dev->clock = context->clock;
    dev->control = context->control;
    dev->id = g_strdup(id);
    dev->regions = g_ptr_array_new();
    if (cls->init) {
        cls->init(dev);
    }
    return dev;
}

bool device_realize(Device *dev, GError **error)
{
    g_assert(!dev->realized);
    if (dev->cls->realize && !dev->cls->realize(dev, error)) {
        g_prefix_error(error, "%s: ", dev->id ? dev->id : dev->cls->name);
        return false;
    }
    dev->realized = true;
    return true;
}

void device_unrealize(Device *dev)
{
    if (!dev->realized) {
        return;
    }
    if (dev->cls->unrealize) {
        dev->cls->unrealize(dev);
    }
    dev->realized = false;
}

void device_reset(Device *dev)
{
    g_assert(dev->realized);
    if (dev->cls->reset) {
        dev->cls->reset(dev);
    }
}

Device *device_ref(Device *dev)
{
    object_ref(&dev->obj);
    return dev;
}

void device_unref(Device *dev)
{
    if (dev) {
        object_unref(&dev->obj);
    }
}

Device *device_from_object(Object *obj)
{
    return obj && obj->finalize == device_finalize ? (Device *)obj : NULL;
}

unsigned device_add_region(Device *dev, MemoryRegion *mr)
{
    g_ptr_array_add(dev->regions, mr);
    return dev->regions->len - 1;
}

MemoryRegion *device_region(Device *dev, unsigned index)
{
    g_assert(index < dev->regions->len);
    return dev->regions->pdata[index];
}
