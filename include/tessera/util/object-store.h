/* SPDX-License-Identifier: MIT */
/* ObjectStore: the objects that a machine's user made, by id. */
#ifndef TESSERA_UTIL_OBJECT_STORE_H
#define TESSERA_UTIL_OBJECT_STORE_H

#include <glib.h>
#include "tessera/util/object-class.h"

/* One for each machine. Context of all functions: the thread that runs the control plane. */
typedef struct ObjectStore ObjectStore;

/** object_store_new() - empty; @context is copied */
ObjectStore *object_store_new(const ObjectContext *context);

/** object_store_free() - drops its references, newest object first. NULL is allowed. */
void object_store_free(ObjectStore *store);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ObjectStore, object_store_free)

/**
 * object_store_add_option() - "TYPE,id=ID,property=value,..." (also qom-type=TYPE)
 *
 * Returns: the object, borrowed from the store, or NULL.
 * Errors: TESSERA_ERROR_EXISTS (the id), _NOT_FOUND (class, property), _INVALID, the class's own.
 */
UserObject *object_store_add_option(ObjectStore *store, const char *text, GError **error);

/** object_store_add() - the same from pairs, which hold the keys "qom-type" and "id" too */
UserObject *object_store_add(ObjectStore *store, const Keyval *properties, GError **error);

/** object_store_find() - by id, or NULL. Borrowed. */
UserObject *object_store_find(ObjectStore *store, const char *id);

/**
 * object_store_get() - by id, of @family. Borrowed.
 *
 * Errors: TESSERA_ERROR_NOT_FOUND with the nearest id of that family; _INVALID: another family.
 */
UserObject *object_store_get(ObjectStore *store, const char *id, const char *family,
                             GError **error);

/** object_store_del() - takes it out. Errors: TESSERA_ERROR_NOT_FOUND; _INVALID while in use */
bool object_store_del(ObjectStore *store, const char *id, GError **error);

/** object_store_for_each() - in the order of creation */
void object_store_for_each(ObjectStore *store, void (*fn)(UserObject *obj, void *opaque),
                           void *opaque);

#endif
