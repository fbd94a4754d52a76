/* SPDX-License-Identifier: MIT */
/* Option strings: key=value pairs, separated by commas. */
#include "tessera/util/keyval.h"

#include <string.h>
#include "tessera/util/error.h"
#include "tessera/util/size.h"
#include "tessera/util/suggest.h"

static void pair_clear(void *data)
{
    KeyvalPair *pair = data;

    g_free(pair->key);
    g_free(pair->value);
}

/* Up to the next single comma; two in a row become one. Moves *@p behind the comma or the end. */
static char *read_value(const char **p)
{
    GString *value = g_string_new(NULL);

    while (**p != '\0') {
        if (**p == ',') {
            (*p)++;
            if (**p != ',') {
                break;
            }
        }
        g_string_append_c(value, **p);
        (*p)++;
    }
    return g_string_free(value, FALSE);
}

/* @text: what @key comes from, NULL: from nothing that the user has written as an option */
static bool check_key(const char *key, const char *text, GError **error)
{
    bool good = g_ascii_isalpha(key[0]);

    for (const char *c = key; *c; c++) {
        good = good && (g_ascii_isalnum(*c) || strchr("-_.", *c));
    }
    if (!good && text) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "'%s' in '%s' is not a name of a property: expected is name=value, names have "
                    "letters, digits, '-', '_' and '.' (a comma inside a value is written twice)",
                    key, text);
    } else if (!good) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "'%s' is not a name of a property: names start with a letter; letters, digits, "
                    "'-', '_' and '.' may follow", key);
    }
    return good;
}

/* Reads one pair at *@p. A bare word's value is "on", unless an implied key takes it. */
static KeyvalPair read_pair(const char **p, const char *implied_key)
{
    size_t len = strcspn(*p, "=,");
    KeyvalPair pair = { 0 };

    if ((*p)[len] == '=') {
        pair.key = g_strndup(*p, len);
        *p += len + 1;
        pair.value = read_value(p);
        return pair;
    }
    pair.bare = true;
    pair.key = read_value(p);
    if (implied_key && !g_str_equal(pair.key, "help") && !g_str_equal(pair.key, "?")) {
        pair.value = pair.key;
        pair.key = g_strdup(implied_key);
        pair.bare = false;
    } else {
        pair.value = g_strdup("on");
    }
    return pair;
}

static bool is_help(const KeyvalPair *pair)
{
    return pair->bare && (g_str_equal(pair->key, "help") || g_str_equal(pair->key, "?"));
}

Keyval *keyval_new(void)
{
    Keyval *kv = g_new0(Keyval, 1);

    kv->pairs = g_array_new(FALSE, FALSE, sizeof(KeyvalPair));
    g_array_set_clear_func(kv->pairs, pair_clear);
    return kv;
}

bool keyval_add(Keyval *kv, const char *key, const char *value, GError **error)
{
    KeyvalPair pair = { 0 };

    if (!check_key(key, NULL, error)) {
        return false;
    }
    pair.key = g_strdup(key);
    pair.value = g_strdup(value);
    g_array_append_val(kv->pairs, pair);
    return true;
}

Keyval *keyval_parse(const char *text, const char *implied_key, GError **error)
{
    g_autoptr(Keyval) kv = keyval_new();
    const char *p = text;

    while (*p != '\0') {
        KeyvalPair pair = read_pair(&p, kv->pairs->len == 0 ? implied_key : NULL);

        g_array_append_val(kv->pairs, pair);
        if (!is_help(&pair) && !check_key(pair.key, text, error)) {
            return NULL;
        }
    }
    return g_steal_pointer(&kv);
}

void keyval_free(Keyval *kv)
{
    if (kv) {
        g_array_unref(kv->pairs);
        g_free(kv);
    }
}

unsigned keyval_count(const Keyval *kv)
{
    return kv->pairs->len;
}

const KeyvalPair *keyval_pair(const Keyval *kv, unsigned index)
{
    g_assert(index < kv->pairs->len);
    return &g_array_index(kv->pairs, KeyvalPair, index);
}

const char *keyval_get(const Keyval *kv, const char *key)
{
    for (unsigned i = kv->pairs->len; i-- > 0;) {
        const KeyvalPair *pair = keyval_pair(kv, i);

        if (g_str_equal(pair->key, key)) {
            return pair->value;
        }
    }
    return NULL;
}

bool keyval_wants_help(const Keyval *kv)
{
    for (unsigned i = 0; i < kv->pairs->len; i++) {
        if (is_help(keyval_pair(kv, i))) {
            return true;
        }
    }
    return false;
}

bool keyval_check_known(const Keyval *kv, const char *option, const char *const *known,
                        GError **error)
{
    for (unsigned i = 0; i < kv->pairs->len; i++) {
        const char *key = keyval_pair(kv, i)->key;

        if (!g_strv_contains(known, key)) {
            g_autofree char *phrase = suggest_phrase(key, known);

            g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                        "%s has no property '%s'%s", option, key, phrase);
            return false;
        }
    }
    return true;
}

bool keyval_get_bool(const Keyval *kv, const char *option, const char *key, bool *ret_value,
                     GError **error)
{
    const char *text = keyval_get(kv, key);

    if (text && !bool_parse(text, ret_value, error)) {
        g_prefix_error(error, "%s: %s: ", option, key);
        return false;
    }
    return true;
}

bool keyval_get_uint(const Keyval *kv, const char *option, const char *key, uint64_t min,
                     uint64_t max, uint64_t *ret_value, GError **error)
{
    const char *text = keyval_get(kv, key);

    if (text && !uint_parse(text, min, max, ret_value, error)) {
        g_prefix_error(error, "%s: %s: ", option, key);
        return false;
    }
    return true;
}

bool keyval_get_size(const Keyval *kv, const char *option, const char *key, uint64_t default_unit,
                     uint64_t *ret_value, GError **error)
{
    const char *text = keyval_get(kv, key);

    if (text && !size_parse(text, default_unit, ret_value, error)) {
        g_prefix_error(error, "%s: %s: ", option, key);
        return false;
    }
    return true;
}

bool keyval_get_enum(const Keyval *kv, const char *option, const char *key,
                     const char *const *values, unsigned *ret_value, GError **error)
{
    const char *text = keyval_get(kv, key);
    g_autofree char *phrase = NULL;

    if (!text) {
        return true;
    }
    for (unsigned i = 0; values[i]; i++) {
        if (g_str_equal(text, values[i])) {
            *ret_value = i;
            return true;
        }
    }
    phrase = suggest_phrase(text, values);
    g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID, "%s: %s: unknown value '%s'%s", option,
                key, text, phrase);
    return false;
}
