/* SPDX-License-Identifier: MIT */
/* Registries: const tables that files of their own put into one linker section. */
#ifndef TESSERA_UTIL_REGISTRY_H
#define TESSERA_UTIL_REGISTRY_H

#include <glib.h>

/*
 * A device, a backend or a monitor command is known by a const structure at the bottom of its file.
 * TESSERA_REGISTER() puts a pointer to it into the section tessera_<section>; the linker (GNU ld,
 * gold, lld) collects these and offers the bounds as __start_ and __stop_ symbols. There is no list
 * to edit, nothing runs before main(), and nothing depends on the order of linking: who reads the
 * registry gets it sorted by name.
 *
 * The FIRST member of the structure must be `const char *name`.
 *
 *     static const ObjectClass ram_class = { .name = "memory-backend-ram", ... };
 *     TESSERA_REGISTER(object_class, ram_class);
 *
 * and, in the file that uses them:
 *
 *     TESSERA_REGISTRY(object_class);
 *     GPtrArray *classes = registry_load(REGISTRY(object_class), error);
 *
 * The program links every object file. A unit test links an archive, which brings only the members
 * that somebody names: a test that needs a class refers to a function of its file.
 */
#define TESSERA_REGISTER(section_name, var)                                                      \
    static const void *const registered_##var                                                    \
        __attribute__((section("tessera_" #section_name), used)) = &(var)

/* Weak: a program in which nobody registered anything has no such section. */
#define TESSERA_REGISTRY(section_name)                                                           \
    extern const void *const __start_tessera_##section_name[]                                    \
        __attribute__((weak, visibility("hidden")));                                             \
    extern const void *const __stop_tessera_##section_name[]                                     \
        __attribute__((weak, visibility("hidden")))

#define REGISTRY(section_name) \
    #section_name, __start_tessera_##section_name, __stop_tessera_##section_name

/**
 * registry_load() - what is registered, sorted by name
 * @section, @start, @stop: REGISTRY(name)
 *
 * Returns: a new array of pointers to the const structures, or NULL with TESSERA_ERROR_EXISTS when
 * two have the same name.
 */
GPtrArray *registry_load(const char *section, const void *const *start, const void *const *stop,
                         GError **error);

/** registry_find() - by name, in an array from registry_load(), or NULL */
const void *registry_find(const GPtrArray *entries, const char *name);

/** registry_names() - the names, NULL-terminated; the caller frees the array with g_free() */
const char **registry_names(const GPtrArray *entries);

#endif
