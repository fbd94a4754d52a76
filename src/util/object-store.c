/* SPDX-License-Identifier: MIT */
/* ObjectStore: a machine's objects by id. */
#include "tessera/util/object-store.h"

#include <string.h>
#include "tessera/util/error.h"
#include "tessera/util/suggest.h"

struct ObjectStore {
    ObjectContext context;
    GPtrArray *objects; /* UserObject *, one reference each, in the order of creation */
    GHashTable *by_id;  /* the same; the keys are the objects' own */
};

ObjectStore *object_store_new(const ObjectContext *context)
{
    ObjectStore *store = g_new0(ObjectStore, 1);

    store->context = *context;
    store->objects = g_ptr_array_new();
    store->by_id = g_hash_table_new(g_str_hash, g_str_equal);
    return store;
}

static void drop(UserObject *obj)
{
    if (obj->cls->removed) {
        obj->cls->removed(obj);
    }
    object_unref(&obj->parent);
}

void object_store_free(ObjectStore *store)
{
    if (!store) {
        return;
    }
    g_hash_table_remove_all(store->by_id);
    while (store->objects->len > 0) {
        drop(g_ptr_array_steal_index(store->objects, store->objects->len - 1));
    }
    g_ptr_array_free(store->objects, TRUE);
    g_hash_table_unref(store->by_id);
    g_free(store);
}

UserObject *object_store_find(ObjectStore *store, const char *id)
{
    return g_hash_table_lookup(store->by_id, id);
}

UserObject *object_store_add(ObjectStore *store, const Keyval *properties, GError **error)
{
    const char *type = keyval_get(properties, "qom-type");
    const char *id = keyval_get(properties, "id");
    const ObjectClass *cls;
    UserObject *obj;

    if (!type) {
        g_set_error(
            error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
            "-object: the type is missing: expected is TYPE,id=ID,... ('-object help' lists "
            "the types)");
        return NULL;
    }
    cls = object_class_find(type, error);
    if (!cls) {
        return NULL;
    }
    if (!id) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "-object %s: id=NAME is missing: others refer to the object by it", type);
        return NULL;
    }
    if (object_store_find(store, id)) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_EXISTS,
                    "-object %s: there is an object with the id '%s' already", type, id);
        return NULL;
    }
    obj = user_object_new(cls, id, properties, &store->context, error);
    if (obj) {
        g_ptr_array_add(store->objects, obj);
        g_hash_table_insert(store->by_id, obj->id, obj);
    }
    return obj;
}

UserObject *object_store_add_option(ObjectStore *store, const char *text, GError **error)
{
    g_autoptr(Keyval) kv = keyval_parse(text, "qom-type", error);

    if (!kv) {
        g_prefix_error(error, "-object: ");
        return NULL;
    }
    return object_store_add(store, kv, error);
}

static char *phrase_for_id(ObjectStore *store, const char *id, const char *family)
{
    g_autoptr(GPtrArray) ids = g_ptr_array_new();

    for (guint i = 0; i < store->objects->len; i++) {
        UserObject *obj = store->objects->pdata[i];

        if (!family || g_strcmp0(obj->cls->family, family) == 0) {
            g_ptr_array_add(ids, obj->id);
        }
    }
    g_ptr_array_add(ids, NULL);
    return suggest_phrase(id, (const char *const *)ids->pdata);
}

UserObject *object_store_get(ObjectStore *store, const char *id, const char *family, GError **error)
{
    UserObject *obj = object_store_find(store, id);

    if (!obj) {
        g_autofree char *phrase = phrase_for_id(store, id, family);

        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_NOT_FOUND,
                    "there is no %s with the id '%s'%s", family, id, phrase);
        return NULL;
    }
    if (g_strcmp0(obj->cls->family, family) != 0) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "object '%s' is of type %s; needed is one of the kind %s", id, obj->cls->name,
                    family);
        return NULL;
    }
    return obj;
}

bool object_store_del(ObjectStore *store, const char *id, GError **error)
{
    UserObject *obj = object_store_find(store, id);
    g_autofree char *user = NULL;

    if (!obj) {
        g_autofree char *phrase = phrase_for_id(store, id, NULL);

        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_NOT_FOUND,
                    "there is no object with the id '%s'%s", id, phrase);
        return false;
    }
    user = user_object_user(obj);
    if (user) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "object '%s' is in use by %s: remove that first", id, user);
        return false;
    }
    g_hash_table_remove(store->by_id, id);
    g_ptr_array_remove(store->objects, obj);
    drop(obj);
    return true;
}

void object_store_for_each(ObjectStore *store, void (*fn)(UserObject *obj, void *opaque),
                           void *opaque)
{
    for (guint i = 0; i < store->objects->len; i++) {
        fn(store->objects->pdata[i], opaque);
    }
}
