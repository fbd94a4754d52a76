/* SPDX-License-Identifier: MIT */
/* A reference count and a destructor. */
#include "tessera/util/object.h"

#include <glib.h>

void object_init(Object *obj, void (*finalize)(Object *obj))
{
    atomic_init(&obj->refs, 1);
    obj->finalize = finalize;
}

Object *object_ref(Object *obj)
{
    if (obj) {
        atomic_fetch_add_explicit(&obj->refs, 1, memory_order_relaxed);
    }
    return obj;
}

void object_unref(Object *obj)
{
    unsigned before;

    if (!obj) {
        return;
    }
    before = atomic_fetch_sub_explicit(&obj->refs, 1, memory_order_acq_rel);
    g_assert(before > 0);
    if (before == 1) {
        obj->finalize(obj);
    }
}
