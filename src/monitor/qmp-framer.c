/* SPDX-License-Identifier: MIT */
/* Where one JSON value ends and the next begins, in a stream that may break off anywhere. */
#include "monitor-internal.h"

/*
 * Only brackets, strings and escapes are looked at: whether the text is JSON the parser says. A byte
 * 0xff, which JSON cannot contain, throws away what came so far: clients that do not know in which
 * state they found the stream begin with it. People who type commands use '...' for strings, as QEMU
 * allows; they are handed on in JSON's quotation marks.
 */
struct QmpFramer {
    void (*value)(void *opaque, const char *text, size_t len);
    void (*garbage)(void *opaque, const char *why);
    void *opaque;
    GString *text; /* appended to byte by byte: inline, unlike a GByteArray */
    unsigned depth;
    uint8_t quote; /* ' or " within a string, otherwise 0 */
    bool escaped;  /* the byte before was a backslash in a string */
    bool skipping; /* up to the end of the line, after garbage */
    bool called;   /* a callback was called */
};

QmpFramer *qmp_framer_new(void (*value)(void *opaque, const char *text, size_t len),
                          void (*garbage)(void *opaque, const char *why), void *opaque)
{
    QmpFramer *f = g_new0(QmpFramer, 1);

    f->value = value;
    f->garbage = garbage;
    f->opaque = opaque;
    f->text = g_string_new(NULL);
    return f;
}

void qmp_framer_free(QmpFramer *f)
{
    if (f) {
        g_string_free(f->text, TRUE);
        g_free(f);
    }
}

/* A long command's memory goes back at once: many clients may have sent one once. */
static void start_over(QmpFramer *f)
{
    g_string_free(f->text, TRUE);
    f->text = g_string_new(NULL);
    f->depth = 0;
    f->quote = 0;
    f->escaped = false;
}

static void reject(QmpFramer *f, uint8_t byte, const char *why)
{
    start_over(f);
    f->skipping = byte != '\n';
    f->called = true;
    f->garbage(f->opaque, why);
}

static void finish(QmpFramer *f)
{
    f->called = true;
    f->value(f->opaque, f->text->str, f->text->len);
    start_over(f);
}

static void keep(QmpFramer *f, uint8_t byte)
{
    g_string_append_c(f->text, (char)byte);
}

/* Turns '...' into "...": a " within needs a backslash then, and \' needs none. */
static void feed_in_string(QmpFramer *f, uint8_t byte)
{
    if (byte < 0x20) {
        reject(f, byte, "JSON parse error, a string is not closed before the end of its line");
    } else if (f->escaped) {
        f->escaped = false;
        if (byte != '\'') {
            keep(f, '\\');
        }
        keep(f, byte);
    } else if (byte == '\\') {
        f->escaped = true;
    } else if (byte == f->quote) {
        f->quote = 0;
        keep(f, '"');
    } else {
        if (byte == '"') {
            keep(f, '\\');
        }
        keep(f, byte);
    }
}

static void feed_structure(QmpFramer *f, uint8_t byte)
{
    if (byte == '"' || byte == '\'') {
        f->quote = byte;
        keep(f, '"');
        return;
    }
    keep(f, byte);
    if (byte == '{' || byte == '[') {
        if (++f->depth > QMP_DEPTH_MAX) {
            reject(f, byte, "JSON nesting depth limit exceeded");
        }
    } else if (byte == '}' || byte == ']') {
        if (--f->depth == 0) {
            finish(f);
        }
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
    } else if (f->skipping) {
        f->skipping = byte != '\n';
    } else if (f->depth == 0 && is_blank(byte)) {
        return;
    } else if (f->depth == 0 && byte != '{' && byte != '[') {
        reject(f, byte, "JSON parse error, expecting value: a command is {\"execute\": NAME}");
    } else if (f->text->len >= QMP_VALUE_MAX) {
        reject(f, byte, "JSON token size limit exceeded: a command has 1 MiB at most");
    } else if (f->quote) {
        feed_in_string(f, byte);
    } else {
        feed_structure(f, byte);
    }
}

/* How many bytes from @buf on are kept as they are: of a string, nothing special among them. */
static size_t count_plain(const QmpFramer *f, const uint8_t *buf, size_t len)
{
    size_t n = 0;

    if (!f->quote || f->escaped) {
        return 0;
    }
    len = MIN(len, QMP_VALUE_MAX - f->text->len);
    while (n < len && buf[n] >= 0x20 && buf[n] != '\\' && buf[n] != '"' && buf[n] != f->quote &&
           buf[n] != 0xff) {
        n++;
    }
    return n;
}

size_t qmp_framer_feed(QmpFramer *f, const uint8_t *buf, size_t len)
{
    size_t done = 0;

    f->called = false;
    while (done < len && !f->called) {
        size_t plain = count_plain(f, buf + done, len - done);

        if (plain > 0) {
            g_string_append_len(f->text, (const char *)buf + done, (gssize)plain);
            done += plain;
        } else {
            feed_byte(f, buf[done++]);
        }
    }
    return done;
}
