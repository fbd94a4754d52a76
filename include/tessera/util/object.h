/* SPDX-License-Identifier: MIT */
/* A reference count and a destructor: the base of everything that owns memory regions. */
#ifndef TESSERA_UTIL_OBJECT_H
#define TESSERA_UTIL_OBJECT_H

#include <stdatomic.h>

typedef struct Object Object;

/**
 * struct Object - first member of a reference-counted structure
 * @refs: references held; the object dies when it falls to 0
 * @finalize: releases what the object holds, and the object's own memory. Called once, on whichever
 *      thread drops the last reference (an RCU callback thread among them): it must not edit a
 *      memory map nor wait for a lock that is held while a grace period is awaited.
 */
struct Object {
    _Atomic unsigned refs;
    void (*finalize)(Object *obj);
};

/** object_init() - starts @obj with one reference, the caller's */
void object_init(Object *obj, void (*finalize)(Object *obj));

/** object_ref() - takes a reference. NULL is allowed and returned. Context: any thread */
Object *object_ref(Object *obj);

/** object_unref() - drops a reference; the last one finalizes. NULL is allowed. Context: any thread */
void object_unref(Object *obj);

#endif
