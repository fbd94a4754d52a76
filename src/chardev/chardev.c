/* SPDX-License-Identifier: MIT */
/* Chardev: the kinds of back end, and what all of them have in common. */
#include "tessera/chardev/chardev.h"

#include <string.h>
#include "chardev-internal.h"
#include "tessera/util/error.h"
#include "tessera/util/suggest.h"
#include "tessera/util/log.h"

/* A message that nobody takes within this time is dropped. */
#define WRITE_ALL_STEP_US 1000
#define WRITE_ALL_STEPS   500

static const ChardevClass *const kinds[] = {
    &chardev_stdio_class, &chardev_file_class, &chardev_unix_class,
    &chardev_tcp_class,   &chardev_pty_class,  &chardev_null_class, &chardev_none_class,
};

size_t chardev_can_receive(Chardev *chr)
{
    return chr->frontend && chr->frontend->can_receive ? chr->frontend->can_receive(chr->opaque) : 0;
}

void chardev_receive(Chardev *chr, const uint8_t *buf, size_t len)
{
    if (chr->frontend && chr->frontend->receive) {
        chr->frontend->receive(chr->opaque, buf, len);
    }
}

void chardev_event(Chardev *chr, ChardevEvent event)
{
    if (chr->frontend && chr->frontend->event) {
        chr->frontend->event(chr->opaque, event);
    }
}

void chardev_writable(Chardev *chr)
{
    if (chr->frontend && chr->frontend->writable) {
        chr->frontend->writable(chr->opaque);
    }
}

bool chardev_answers(Chardev *chr)
{
    return chr->frontend && chr->frontend->settled;
}

bool chardev_settled(Chardev *chr)
{
    return !chardev_answers(chr) || chr->frontend->settled(chr->opaque);
}

void chardev_set_open(Chardev *chr, bool open)
{
    if (chr->open == open) {
        return;
    }
    chr->open = open;
    log_item(LOG_CHAR, "%s: %s", chr->label, open ? "opened" : "closed");
    chardev_event(chr, open ? CHARDEV_OPENED : CHARDEV_CLOSED);
    if (!open) {
        chardev_writable(chr); /* from now on output is swallowed */
    }
}

Chardev *chardev_alloc(const ChardevClass *cls, const char *label, GMainContext *context)
{
    Chardev *chr = g_malloc0(cls->size);

    chr->cls = cls;
    chr->label = g_strdup(label);
    chr->context = g_main_context_ref(context ? context : g_main_context_default());
    return chr;
}

static const ChardevClass *find_kind(const char *label, const char *spec, GError **error)
{
    g_autofree char *kind = g_strndup(spec, strcspn(spec, ":,"));
    const char *names[G_N_ELEMENTS(kinds) + 1] = { NULL };
    g_autofree char *phrase = NULL;

    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
        if (strcmp(kinds[i]->kind, kind) == 0) {
            return kinds[i];
        }
        names[i] = kinds[i]->kind;
    }
    phrase = suggest_phrase(kind, names);
    g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                "%s: '%s' is no kind of character device%s", label, kind, phrase);
    return NULL;
}

Chardev *chardev_new(const char *label, const char *spec, GMainContext *context, GError **error)
{
    const ChardevClass *cls = find_kind(label, spec, error);
    const char *parameter;
    Chardev *chr;

    if (!cls) {
        return NULL;
    }
    parameter = spec + strlen(cls->kind);
    if (cls->takes_parameter ? parameter[0] != ':' || parameter[1] == 0 : parameter[0] != 0) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "%s: '%s' does not have the form %s", label, spec, cls->usage);
        return NULL;
    }
    chr = chardev_alloc(cls, label, context);
    if (cls->open && !cls->open(chr, cls->takes_parameter ? parameter + 1 : NULL, error)) {
        g_prefix_error(error, "%s: ", label);
        chardev_free(chr);
        return NULL;
    }
    return chr;
}

void chardev_free(Chardev *chr)
{
    if (!chr) {
        return;
    }
    chr->frontend = NULL;
    if (chr->cls->close) {
        chr->cls->close(chr);
    }
    g_main_context_unref(chr->context);
    g_free(chr->label);
    g_free(chr);
}

const char *chardev_label(const Chardev *chr)
{
    return chr->label;
}

char *chardev_description(Chardev *chr)
{
    return chr->cls->describe ? chr->cls->describe(chr) : g_strdup(chr->cls->kind);
}

void chardev_set_frontend(Chardev *chr, const ChardevFrontend *frontend, void *opaque)
{
    chr->frontend = frontend;
    chr->opaque = opaque;
    if (frontend && chr->open) {
        chardev_event(chr, CHARDEV_OPENED);
    }
    chardev_accept_input(chr);
}

bool chardev_has_focus(Chardev *chr)
{
    return !chr->cls->has_focus || chr->cls->has_focus(chr);
}

void chardev_accept_input(Chardev *chr)
{
    if (chr->cls->accept_input) {
        chr->cls->accept_input(chr);
    }
}

size_t chardev_write(Chardev *chr, const uint8_t *buf, size_t len)
{
    return chr->cls->write ? chr->cls->write(chr, buf, len) : len;
}

void chardev_write_all(Chardev *chr, const uint8_t *buf, size_t len)
{
    for (unsigned step = 0; len && step < WRITE_ALL_STEPS; step++) {
        size_t n = chardev_write(chr, buf, len);

        buf += n;
        len -= n;
        if (len) {
            g_usleep(WRITE_ALL_STEP_US);
        }
    }
}
