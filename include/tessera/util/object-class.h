/* SPDX-License-Identifier: MIT */
/* Objects that a user makes by name (-object): classes, typed properties, in-use flag. */
#ifndef TESSERA_UTIL_OBJECT_CLASS_H
#define TESSERA_UTIL_OBJECT_CLASS_H

#include <glib.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "tessera/util/keyval.h"
#include "tessera/util/object.h"
#include "tessera/util/registry.h"

typedef struct UserObject UserObject;
typedef struct ObjectClass ObjectClass;

/**
 * struct ObjectContext - what objects may need of the machine they are made for
 * @memory: the machine's memory system; outlives the objects
 * @progress: told of work that takes long ("memory-backend-ram 'm0': preallocating"), bytes done
 *      and in all; returning false cancels. NULL: silent.
 */
typedef struct ObjectContext {
    struct MemorySystem *memory;
    bool (*progress)(void *opaque, const char *what, uint64_t done, uint64_t total);
    void *opaque;
} ObjectContext;

/* Types of properties, and of the fields that hold them. */
typedef enum PropertyType {
    PROPERTY_BOOL,   /* bool; on|off */
    PROPERTY_SIZE,   /* uint64_t; bytes, with a suffix */
    PROPERTY_UINT,   /* uint64_t */
    PROPERTY_STRING, /* char *, owned; NULL: not given */
    PROPERTY_ENUM,   /* unsigned; index in @values */
} PropertyType;

/**
 * struct Property - one line of a class's table; a table ends with a line of zeroes
 * @offset: of the field in the object's structure
 * @default_text: as a user would write it; NULL: zero (see @required)
 * @help: for "-object TYPE,help"
 * @min, @max: of sizes and numbers
 * @values: of an enum, NULL-terminated
 * @required: must be given
 */
typedef struct Property {
    const char *name;
    PropertyType type;
    bool required;
    size_t offset;
    const char *default_text;
    const char *help;
    uint64_t min;
    uint64_t max;
    const char *const *values;
} Property;

#define PROPERTY_DEFINE_BOOL(struct_, field_, name_, default_, help_)                            \
    { .name = (name_), .type = PROPERTY_BOOL, .offset = offsetof(struct_, field_),              \
      .default_text = (default_), .help = (help_) }
#define PROPERTY_DEFINE_SIZE(struct_, field_, name_, default_, help_)                            \
    { .name = (name_), .type = PROPERTY_SIZE, .offset = offsetof(struct_, field_),              \
      .default_text = (default_), .help = (help_), .max = UINT64_MAX }
#define PROPERTY_DEFINE_STRING(struct_, field_, name_, default_, help_)                          \
    { .name = (name_), .type = PROPERTY_STRING, .offset = offsetof(struct_, field_),            \
      .default_text = (default_), .help = (help_) }

/**
 * struct ObjectClass - registered with TESSERA_REGISTER(object_class, ...)
 * @name: "memory-backend-ram"; the first member, as registries need it
 * @family: what users of the object look for ("memory-backend"); compared as a string
 * @help: one line
 * @instance_size: bytes of the structure, whose first member is a UserObject
 * @properties: tables, NULL-terminated; 64 properties in all at most
 * @complete: all properties are set: make the thing. On failure @finalize is called next.
 * @removed: taken out of its store, others may still hold it; gives back names. NULL: nothing
 * @finalize: releases what @complete made, half-made too. String properties and the structure are
 *      released by the caller. See struct Object for its context.
 */
struct ObjectClass {
    const char *name;
    const char *family;
    const char *help;
    size_t instance_size;
    const Property *const *properties;
    bool (*complete)(UserObject *obj, const ObjectContext *context, GError **error);
    void (*removed)(UserObject *obj);
    void (*finalize)(UserObject *obj);
};

/* First member of every object that a user can make. */
struct UserObject {
    Object parent;
    const ObjectClass *cls;
    char *id;
    uint64_t given; /* properties that the user gave, by their number in the class */
    pthread_mutex_t lock; /* guards user */
    char *user;           /* who claimed it, NULL: nobody */
};

/** object_class_find() - by name. Errors: TESSERA_ERROR_NOT_FOUND, with the nearest name */
const ObjectClass *object_class_find(const char *name, GError **error);

/** object_class_list() - all, sorted by name; an error if two have one name (checked at start) */
GPtrArray *object_class_list(GError **error);

/** object_class_property() - number @index of all tables of @cls, NULL behind the last */
const Property *object_class_property(const ObjectClass *cls, unsigned index);

/**
 * object_option_help() - what "-object help" or "-object TYPE,help" asks for
 * @text: the option's argument
 *
 * Returns: a new string, or NULL when no help is asked for, or with @error set when the type is
 * unknown.
 */
char *object_option_help(const char *text, GError **error);

/** object_id_check() - ids start with a letter; letters, digits, '-', '_' and '.' follow */
bool object_id_check(const char *id, GError **error);

/**
 * user_object_new() - an object with its properties set, complete
 * @id: copied; checked
 * @properties: pairs; those of the keys "qom-type" and "id" are left out
 *
 * Every message starts with the class and the id: "memory-backend-ram 'm0': ...".
 * Returns: the caller's reference (object_unref(&obj->parent)), or NULL.
 */
UserObject *user_object_new(const ObjectClass *cls, const char *id, const Keyval *properties,
                            const ObjectContext *context, GError **error);

/** user_object_property_given() - did the user set @name (rather than its default)? */
bool user_object_property_given(const UserObject *obj, const char *name);

/** user_object_property_get() - the value as a new string, NULL if there is no such property */
char *user_object_property_get(const UserObject *obj, const char *name);

/**
 * user_object_claim() - from now on @user ("device 'dimm0'") alone uses @obj; takes a reference
 *
 * Errors: TESSERA_ERROR_EXISTS, naming who uses it. Context: any thread.
 */
bool user_object_claim(UserObject *obj, const char *user, GError **error);
/** user_object_release() - ends a claim and drops its reference */
void user_object_release(UserObject *obj);
/** user_object_user() - who claimed it, a new string, or NULL */
char *user_object_user(UserObject *obj);

#endif
