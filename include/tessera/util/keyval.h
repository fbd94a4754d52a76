/* SPDX-License-Identifier: MIT */
/* Option strings: "first,key=value,switch,text=a,,b". */
#ifndef TESSERA_UTIL_KEYVAL_H
#define TESSERA_UTIL_KEYVAL_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The rules are QEMU's: pairs are separated by commas; two commas in a row stand for one inside a
 * value; a word without '=' in the first place is the value of the option's implied key, elsewhere
 * it is a switch that is on. When a key comes twice, the last one counts.
 */

/**
 * struct KeyvalPair - one key and its value
 * @bare: written without '=' (then @value is "on")
 */
typedef struct KeyvalPair {
    char *key;
    char *value;
    bool bare;
} KeyvalPair;

typedef struct Keyval {
    GArray *pairs; /* of KeyvalPair, in the order given */
} Keyval;

/**
 * keyval_parse() - takes an option's argument apart
 * @implied_key: key of a first word without '=', NULL: it is a switch like the others
 *
 * Keys consist of letters, digits, '-', '_' and '.', and start with a letter. An empty @text has no
 * pairs.
 * Errors: TESSERA_ERROR_INVALID for an empty or crooked key.
 */
Keyval *keyval_parse(const char *text, const char *implied_key, GError **error);

/** keyval_new() / keyval_add() - pairs that come from elsewhere; no comma of @value has a meaning */
Keyval *keyval_new(void);
bool keyval_add(Keyval *kv, const char *key, const char *value, GError **error);
void keyval_free(Keyval *kv);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Keyval, keyval_free)

/** keyval_count() / keyval_pair() - the pairs in the order given */
unsigned keyval_count(const Keyval *kv);
const KeyvalPair *keyval_pair(const Keyval *kv, unsigned index);

/** keyval_get() - the (last) value of @key, or NULL. Borrowed. */
const char *keyval_get(const Keyval *kv, const char *key);

/** keyval_wants_help() - is one of the words "help" or "?"? */
bool keyval_wants_help(const Keyval *kv);

/**
 * keyval_check_known() - refuses a key that is not in @known, naming the nearest one
 * @option: for the message: "-m"
 * @known: NULL-terminated
 *
 * Errors: TESSERA_ERROR_INVALID.
 */
bool keyval_check_known(const Keyval *kv, const char *option, const char *const *known,
                        GError **error);

/*
 * A value of a type. When @key is not there, *@ret_value stays as it is (put the default in it) and
 * the call succeeds. The message of an error starts with @option and names the key.
 */
bool keyval_get_bool(const Keyval *kv, const char *option, const char *key, bool *ret_value,
                     GError **error);
bool keyval_get_uint(const Keyval *kv, const char *option, const char *key, uint64_t min,
                     uint64_t max, uint64_t *ret_value, GError **error);
/* @default_unit: bytes of a number without suffix */
bool keyval_get_size(const Keyval *kv, const char *option, const char *key, uint64_t default_unit,
                     uint64_t *ret_value, GError **error);
/** keyval_get_enum() - the index of the value in @values (NULL-terminated) */
bool keyval_get_enum(const Keyval *kv, const char *option, const char *key,
                     const char *const *values, unsigned *ret_value, GError **error);

#endif
