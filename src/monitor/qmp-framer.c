/* SPDX-License-Identifier: MIT */
/* Where one JSON value ends and the next begins, in a stream that may break off anywhere. */
#include "monitor-internal.h"

/*
 * Only brackets, strings and escapes are looked at: whether the text is JSON the parser says. A byte
 * 0xff, which JSON cannot contain, throws away what came so far: clients that do not know in which
 * state they found the stream begin with it.
 */
struct QmpFramer {
    void (*value)(void *opaque, const char *text, size_t len);
    void (*garbage)(void *opaque, const char *why);
    void *opaque;
    GByteArray *text;
    unsigned depth;
    bool in_string;
    bool escaped;
    bool skipping; /* up to the end of the line, after garbage */
};

QmpFramer *qmp_framer_new(void (*value)(void *opaque, const char *text, size_t len),
                          void (*garbage)(void *opaque, const char *why), void *opaque)
{
    QmpFramer *f = g_new0(QmpFramer, 1);

    f->value = value;
    f->garbage = garbage;
    f->opaque = opaque;
    f->text = g_byte_array_new();
    return f;
}

void qmp_framer_free(QmpFramer *f)
{
    if (f) {
        g_byte_array_unref(f->text);
        g_free(f);
    }
}

static void start_over(QmpFramer *f)
{
    g_byte_array_set_size(f->text, 0);
    f->depth = 0;
    f->in_string = false;
    f->escaped = false;
}

static void reject(QmpFramer *f, const char *why)
{
    start_over(f);
    f->skipping = true;
    f->garbage(f->opaque, why);
}

static void finish(QmpFramer *f)
{
    /* The callback may feed no bytes, so that the text stays as it is while it runs. */
    f->value(f->opaque, (const char *)f->text->data, f->text->len);
    start_over(f);
}

static void feed_in_string(QmpFramer *f, uint8_t byte)
{
    if (f->escaped) {
        f->escaped = false;
    } else if (byte == '\\') {
        f->escaped = true;
    } else if (byte == '"') {
        f->in_string = false;
    }
}

static void feed_structure(QmpFramer *f, uint8_t byte)
{
    switch (byte) {
    case '"':
        f->in_string = true;
        break;
    case '{':
    case '[':
        if (++f->depth > QMP_DEPTH_MAX) {
            reject(f, "JSON is nested too deeply");
        }
        break;
    case '}':
    case ']':
        if (--f->depth == 0) {
            finish(f);
        }
        break;
    default:
        break;
    }
}

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

static void feed_byte(QmpFramer *f, uint8_t byte)
{
    if (byte == 0xff) {
        start_over(f);
        f->skipping = false;
        return;
    }
    if (f->skipping) {
        f->skipping = byte != '\n';
        return;
    }
    if (f->depth == 0 && byte != '{' && byte != '[') {
        if (!is_blank(byte)) {
            reject(f, "Invalid JSON syntax: a command is an object, {\"execute\": ...}");
            f->skipping = byte != '\n';
        }
        return;
    }
    if (f->text->len >= QMP_VALUE_MAX) {
        reject(f, "the command is longer than 1 MiB");
        return;
    }
    g_byte_array_append(f->text, &byte, 1);
    if (f->in_string) {
        feed_in_string(f, byte);
    } else {
        feed_structure(f, byte);
    }
}

void qmp_framer_feed(QmpFramer *f, const uint8_t *buf, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        feed_byte(f, buf[i]);
    }
}
