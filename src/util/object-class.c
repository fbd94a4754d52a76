/* SPDX-License-Identifier: MIT */
/* Classes of objects that a user makes, their properties, and the objects themselves. */
#include "tessera/util/object-class.h"

#include <string.h>
#include "tessera/util/error.h"
#include "tessera/util/size.h"
#include "tessera/util/suggest.h"

TESSERA_REGISTRY(object_class);

GPtrArray *object_class_list(GError **error)
{
    return registry_load(REGISTRY(object_class), error);
}

const ObjectClass *object_class_find(const char *name, GError **error)
{
    g_autoptr(GPtrArray) classes = object_class_list(error);
    g_autofree const char **names = NULL;
    g_autofree char *phrase = NULL;
    const ObjectClass *cls;

    if (!classes) {
        return NULL;
    }
    cls = registry_find(classes, name);
    if (!cls) {
        names = registry_names(classes);
        phrase = suggest_phrase(name, names);
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_NOT_FOUND,
                    "-object: there is no type '%s'%s", name, phrase);
    }
    return cls;
}

const Property *object_class_property(const ObjectClass *cls, unsigned index)
{
    for (const Property *const *table = cls->properties; *table; table++) {
        for (const Property *p = *table; p->name; p++) {
            if (index-- == 0) {
                return p;
            }
        }
    }
    return NULL;
}

/* Number of the property @name, or -1. */
static int property_index(const ObjectClass *cls, const char *name)
{
    const Property *p;

    for (unsigned i = 0; (p = object_class_property(cls, i)); i++) {
        if (g_str_equal(p->name, name)) {
            return (int)i;
        }
    }
    return -1;
}

static const char **property_names(const ObjectClass *cls)
{
    GPtrArray *names = g_ptr_array_new();
    const Property *p;

    for (unsigned i = 0; (p = object_class_property(cls, i)); i++) {
        g_ptr_array_add(names, (gpointer)p->name);
    }
    g_ptr_array_add(names, (gpointer) "id");
    g_ptr_array_add(names, NULL);
    return (const char **)g_ptr_array_free(names, FALSE);
}

static bool parse_enum(const Property *p, const char *text, unsigned *ret_value, GError **error)
{
    g_autofree char *phrase = NULL;

    for (unsigned i = 0; p->values[i]; i++) {
        if (g_str_equal(p->values[i], text)) {
            *ret_value = i;
            return true;
        }
    }
    phrase = suggest_phrase(text, p->values);
    g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID, "unknown value '%s'%s", text, phrase);
    return false;
}

static bool parse_size_in_range(const Property *p, const char *text, uint64_t *ret_size,
                                GError **error)
{
    uint64_t size;

    if (!size_parse(text, 1, &size, error)) {
        return false;
    }
    if (size < p->min || size > p->max) {
        g_autofree char *min = size_format_option(p->min);
        g_autofree char *max = size_format_option(p->max);

        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "'%s' is out of range: allowed are %s to %s bytes", text, min, max);
        return false;
    }
    *ret_size = size;
    return true;
}

static bool property_set(void *object, const Property *p, const char *text, GError **error)
{
    void *field = (uint8_t *)object + p->offset;
    bool done = false;

    switch (p->type) {
    case PROPERTY_BOOL:
        done = bool_parse(text, field, error);
        break;
    case PROPERTY_SIZE:
        done = parse_size_in_range(p, text, field, error);
        break;
    case PROPERTY_UINT:
        done = uint_parse(text, p->min, p->max, field, error);
        break;
    case PROPERTY_STRING:
        g_free(*(char **)field);
        *(char **)field = g_strdup(text);
        done = true;
        break;
    case PROPERTY_ENUM:
        done = parse_enum(p, text, field, error);
        break;
    }
    if (!done) {
        g_prefix_error(error, "%s=%s: ", p->name, text);
    }
    return done;
}

static char *property_format(const void *object, const Property *p)
{
    const void *field = (const uint8_t *)object + p->offset;

    switch (p->type) {
    case PROPERTY_BOOL:
        return g_strdup(*(const bool *)field ? "on" : "off");
    case PROPERTY_SIZE:
        return size_format_option(*(const uint64_t *)field);
    case PROPERTY_UINT:
        return g_strdup_printf("%" G_GUINT64_FORMAT, *(const uint64_t *)field);
    case PROPERTY_STRING:
        return g_strdup(*(char *const *)field ? *(char *const *)field : "");
    case PROPERTY_ENUM:
        return g_strdup(p->values[*(const unsigned *)field]);
    }
    return NULL;
}

static const char *property_type_text(const Property *p)
{
    static const char *const texts[] = { "on|off", "size", "number", "string", "choice" };

    return texts[p->type];
}

static char *class_help(const ObjectClass *cls)
{
    GString *text = g_string_new(NULL);
    const Property *p;

    g_string_printf(text, "%s: %s\nProperties:\n", cls->name, cls->help);
    for (unsigned i = 0; (p = object_class_property(cls, i)); i++) {
        g_autofree char *values = p->values ? g_strjoinv("|", (char **)p->values) : NULL;
        g_autofree char *left =
            g_strdup_printf("%s=%s", p->name, values ? values : property_type_text(p));

        g_string_append_printf(text, "  %-26s %s", left, p->help);
        if (p->required) {
            g_string_append(text, " (required)");
        } else if (p->default_text) {
            g_string_append_printf(text, " (default: %s)", p->default_text);
        }
        g_string_append_c(text, '\n');
    }
    return g_string_free(text, FALSE);
}

static char *all_classes_help(GError **error)
{
    g_autoptr(GPtrArray) classes = object_class_list(error);
    GString *text;

    if (!classes) {
        return NULL;
    }
    text = g_string_new("Types of objects ('-object TYPE,help' shows the properties of one):\n");
    for (guint i = 0; i < classes->len; i++) {
        const ObjectClass *cls = classes->pdata[i];

        g_string_append_printf(text, "  %-22s %s\n", cls->name, cls->help);
    }
    return g_string_free(text, FALSE);
}

char *object_option_help(const char *text, GError **error)
{
    g_autoptr(Keyval) kv = keyval_parse(text, "qom-type", NULL);
    const ObjectClass *cls;

    if (!kv || !keyval_wants_help(kv)) {
        return NULL;
    }
    if (!keyval_get(kv, "qom-type")) {
        return all_classes_help(error);
    }
    cls = object_class_find(keyval_get(kv, "qom-type"), error);
    return cls ? class_help(cls) : NULL;
}

bool object_id_check(const char *id, GError **error)
{
    bool good = g_ascii_isalpha(id[0]);

    for (const char *c = id; *c; c++) {
        good = good && (g_ascii_isalnum(*c) || strchr("-_.", *c));
    }
    if (!good) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "'%s' is not an id: ids start with a letter; letters, digits, '-', '_' and '.' "
                    "may follow",
                    id);
    }
    return good;
}

static void user_object_finalize(Object *parent)
{
    UserObject *obj = (UserObject *)parent;
    const Property *p;

    if (obj->cls->finalize) {
        obj->cls->finalize(obj);
    }
    for (unsigned i = 0; (p = object_class_property(obj->cls, i)); i++) {
        if (p->type == PROPERTY_STRING) {
            g_free(*(char **)((uint8_t *)obj + p->offset));
        }
    }
    pthread_mutex_destroy(&obj->lock);
    g_free(obj->user);
    g_free(obj->id);
    g_free(obj);
}

static void set_defaults(UserObject *obj)
{
    const Property *p;

    for (unsigned i = 0; (p = object_class_property(obj->cls, i)); i++) {
        g_assert(i < 64);
        if (p->default_text) {
            bool done = property_set(obj, p, p->default_text, NULL);

            g_assert(done);
        }
    }
}

static bool set_given(UserObject *obj, const Keyval *properties, GError **error)
{
    for (unsigned i = 0; i < keyval_count(properties); i++) {
        const KeyvalPair *pair = keyval_pair(properties, i);
        int index;

        if (g_str_equal(pair->key, "qom-type") || g_str_equal(pair->key, "id")) {
            continue;
        }
        index = property_index(obj->cls, pair->key);
        if (index < 0) {
            g_autofree const char **names = property_names(obj->cls);
            g_autofree char *phrase = suggest_phrase(pair->key, names);

            g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_NOT_FOUND,
                        "there is no property '%s'%s; '-object %s,help' lists them", pair->key,
                        phrase, obj->cls->name);
            return false;
        }
        if (!property_set(obj, object_class_property(obj->cls, (unsigned)index), pair->value,
                          error)) {
            return false;
        }
        obj->given |= UINT64_C(1) << index;
    }
    return true;
}

static bool check_required(const UserObject *obj, GError **error)
{
    const Property *p;

    for (unsigned i = 0; (p = object_class_property(obj->cls, i)); i++) {
        if (p->required && !(obj->given & (UINT64_C(1) << i))) {
            g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                        "%s=%s is missing: %s", p->name, property_type_text(p), p->help);
            return false;
        }
    }
    return true;
}

UserObject *user_object_new(const ObjectClass *cls, const char *id, const Keyval *properties,
                            const ObjectContext *context, GError **error)
{
    UserObject *obj;

    if (!object_id_check(id, error)) {
        g_prefix_error(error, "%s: id=%s: ", cls->name, id);
        return NULL;
    }
    obj = g_malloc0(cls->instance_size);
    object_init(&obj->parent, user_object_finalize);
    obj->cls = cls;
    obj->id = g_strdup(id);
    pthread_mutex_init(&obj->lock, NULL);
    set_defaults(obj);
    if (!set_given(obj, properties, error) || !check_required(obj, error) ||
        (cls->complete && !cls->complete(obj, context, error))) {
        g_prefix_error(error, "%s '%s': ", cls->name, id);
        object_unref(&obj->parent);
        return NULL;
    }
    return obj;
}

bool user_object_property_given(const UserObject *obj, const char *name)
{
    int index = property_index(obj->cls, name);

    return index >= 0 && (obj->given & (UINT64_C(1) << index));
}

char *user_object_property_get(const UserObject *obj, const char *name)
{
    int index = property_index(obj->cls, name);

    if (index < 0) {
        return NULL;
    }
    return property_format(obj, object_class_property(obj->cls, (unsigned)index));
}

bool user_object_claim(UserObject *obj, const char *user, GError **error)
{
    bool done = false;

    pthread_mutex_lock(&obj->lock);
    if (obj->user) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_EXISTS,
                    "%s '%s' is in use already, by %s: one user each; make another object",
                    obj->cls->name, obj->id, obj->user);
    } else {
        obj->user = g_strdup(user);
        object_ref(&obj->parent);
        done = true;
    }
    pthread_mutex_unlock(&obj->lock);
    return done;
}

void user_object_release(UserObject *obj)
{
    pthread_mutex_lock(&obj->lock);
    g_assert(obj->user);
    g_clear_pointer(&obj->user, g_free);
    pthread_mutex_unlock(&obj->lock);
    object_unref(&obj->parent);
}

char *user_object_user(UserObject *obj)
{
    char *user;

    pthread_mutex_lock(&obj->lock);
    user = g_strdup(obj->user);
    pthread_mutex_unlock(&obj->lock);
    return user;
}
