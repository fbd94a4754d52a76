/* SPDX-License-Identifier: MIT */
/* Events as lines of text, and as Trace Event Format (JSON) for Perfetto and chrome://tracing. */
#include "trace-internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Fields, one after the other. */

typedef struct Cursor {
    const TraceEventInfo *info;
    const TraceRecord *record;
    unsigned next;
    const char *text; /* of the next TEXT */
    /* The field at hand: */
    const TraceField *field;
    uint64_t value;
    const char *string; /* NAME and TEXT, not terminated; never NULL */
    size_t length;
} Cursor;

static Cursor cursor_new(const TraceRecord *record)
{
    const TraceEventInfo *info = &trace_table[record->event];

    return (Cursor){ .info = info,
                     .record = record,
                     .text = (const char *)&record->values[info->n_fields] };
}

static bool cursor_next(Cursor *c)
{
    if (c->next == c->info->n_fields) {
        return false;
    }
    c->field = &c->info->fields[c->next];
    c->value = c->record->values[c->next++];
    c->string = NULL;
    if (c->field->kind == TRACE_KIND_NAME) {
        c->string = c->value ? (const char *)(uintptr_t)c->value : "";
        c->length = strlen(c->string);
    } else if (c->field->kind == TRACE_KIND_TEXT) {
        c->string = c->text;
        c->length = c->value;
        c->text += c->value;
    }
    return true;
}

static void append_number(GString *out, const Cursor *c)
{
    switch (c->field->kind) {
    case TRACE_KIND_HEX:
        g_string_append_printf(out, "0x%" PRIx64, c->value);
        break;
    case TRACE_KIND_INT:
        g_string_append_printf(out, "%" PRId64, (int64_t)c->value);
        break;
    default:
        g_string_append_printf(out, "%" PRIu64, c->value);
        break;
    }
}

/* Up to @end. Controls, and what turns the line's direction around, must not reach a terminal. */
static void append_character(GString *out, const char *string, const char *end, bool printable)
{
    for (; string < end; string++) {
        if (printable) {
            g_string_append_c(out, *string);
        } else {
            g_string_append_printf(out, "\\x%02x", (uint8_t)*string);
        }
    }
}

/*
 * A string in quotation marks. @json: as RFC 8259 has it, and what is not UTF-8 becomes U+FFFD,
 * since no reader would take the file otherwise; else bytes as in C.
 */
static void append_quoted(GString *out, const char *string, size_t length, bool json)
{
    const char *end = string + length;

    g_string_append_c(out, '"');
    while (string < end) {
        gunichar c = g_utf8_get_char_validated(string, end - string);

        if (*string == '"' || *string == '\\') {
            g_string_append_c(out, '\\');
            g_string_append_c(out, *string++);
        } else if (c == (gunichar)-1 || c == (gunichar)-2) {
            g_string_append_printf(out, json ? "\\ufffd" : "\\x%02x", (uint8_t)*string);
            string++;
        } else if (c < 0x20 || c == 0x7f) {
            g_string_append_printf(out, json ? "\\u%04x" : "\\x%02x", c);
            string++;
        } else {
            const char *next = g_utf8_next_char(string);

            append_character(out, string, next, json || g_unichar_isprint(c));
            string = next;
        }
    }
    g_string_append_c(out, '"');
}

/* Text. */

/* A NAME of several words; one word stands there as it is. */
static bool is_sentence(const Cursor *c)
{
    return c->field->kind == TRACE_KIND_NAME && memchr(c->string, ' ', c->length);
}

void trace_format_text(GString *out, const TraceRecord *record, const char *thread,
                       uint64_t start)
{
    uint64_t at = record->ns > start ? record->ns - start : 0;
    Cursor c = cursor_new(record);

    g_string_append_printf(out, "[%5" PRIu64 ".%09" PRIu64 "] %s: %s", at / 1000000000,
                           at % 1000000000, thread, c.info->name);
    while (cursor_next(&c)) {
        g_string_append_printf(out, " %s=", c.field->name);
        if (c.field->kind == TRACE_KIND_TEXT || is_sentence(&c)) {
            append_quoted(out, c.string, c.length, false);
        } else if (c.string) {
            g_string_append_len(out, c.string, (gssize)c.length);
        } else {
            append_number(out, &c);
        }
    }
    g_string_append_c(out, '\n');
}

/* JSON. */

/*
 * A span is called as what it is of: "commit", not "commit_begin". And one wants to read what it
 * was without clicking at it: the first string says so.
 */
void trace_json_title(GString *out, const TraceRecord *record)
{
    Cursor c = cursor_new(record);
    const char *name = c.info->name;
    size_t length = strlen(name) - (g_str_has_suffix(name, "_begin") ? strlen("_begin") : 0);

    g_string_append_len(out, name, (gssize)length);
    while (cursor_next(&c)) {
        if (c.string) {
            g_string_append_c(out, ' ');
            g_string_append_len(out, c.string, (gssize)c.length);
            break;
        }
    }
}

/* Numbers that a double holds are numbers; addresses and the like are for people: hexadecimal. */
static void append_args(GString *out, const TraceRecord *record)
{
    Cursor c = cursor_new(record);
    const char *separator = "";

    g_string_append(out, "\"args\":{");
    while (cursor_next(&c)) {
        bool quoted = c.field->kind == TRACE_KIND_HEX ||
                      (c.field->kind == TRACE_KIND_DEC && c.value > INT64_MAX);

        g_string_append_printf(out, "%s\"%s\":", separator, c.field->name);
        separator = ",";
        if (c.string) {
            append_quoted(out, c.string, c.length, true);
        } else if (c.field->kind == TRACE_KIND_BOOL) {
            g_string_append(out, c.value ? "true" : "false");
        } else {
            g_string_append(out, quoted ? "\"" : "");
            append_number(out, &c);
            g_string_append(out, quoted ? "\"" : "");
        }
    }
    g_string_append_c(out, '}');
}

/* Microseconds, as the format has them; what began before the trace is left of 0. */
static void append_microseconds(GString *out, const char *key, uint64_t ns, uint64_t start)
{
    uint64_t distance = ns >= start ? ns - start : start - ns;

    g_string_append_printf(out, "\"%s\":%s%" PRIu64 ".%03" PRIu64 ",", key, ns < start ? "-" : "",
                           distance / 1000, distance % 1000);
}

/* What all objects begin with, up to the time. The category is the first word of the name. */
static void append_head(GString *out, const char *title, const char *phase, TraceEvent event,
                        int pid, int tid)
{
    const char *name = trace_table[event].name;

    g_string_append(out, ",\n{\"name\":");
    append_quoted(out, title, strlen(title), true);
    g_string_append_printf(out, ",\"ph\":\"%s\",\"cat\":\"%.*s\",\"pid\":%d,\"tid\":%d,", phase,
                           (int)strcspn(name, "_"), name, pid, tid);
}

static uint64_t length_of_complete(const TraceRecord *record)
{
    Cursor c = cursor_new(record);

    while (cursor_next(&c)) {
        if (strcmp(c.field->name, "ns") == 0) {
            return MIN(c.value, record->ns);
        }
    }
    return 0;
}

void trace_json_record(GString *out, int pid, int tid, const TraceRecord *record,
                       const char *title, uint64_t start)
{
    static const char *const phases[] = {
        [TRACE_SHAPE_INSTANT] = "i",
        [TRACE_SHAPE_BEGIN] = "B",
        [TRACE_SHAPE_END] = "E",
        [TRACE_SHAPE_COMPLETE] = "X",
    };
    TraceShape shape = trace_table[record->event].shape;
    uint64_t length = length_of_complete(record);

    append_head(out, title, phases[shape], record->event, pid, tid);
    append_microseconds(out, "ts", record->ns - length, start);
    if (shape == TRACE_SHAPE_COMPLETE) {
        append_microseconds(out, "dur", length, 0);
    } else if (shape == TRACE_SHAPE_INSTANT) {
        g_string_append(out, "\"s\":\"t\","); /* as high as its thread's track */
    }
    append_args(out, record);
    g_string_append_c(out, '}');
}

void trace_json_close_span(GString *out, int pid, int tid, const TraceSpan *span, uint64_t ns,
                           uint64_t start)
{
    append_head(out, span->title, "E", span->event, pid, tid);
    append_microseconds(out, "ts", ns, start);
    g_string_append(out, "\"args\":{\"end\":\"not traced\"}}");
}

static void append_metadata(GString *out, const char *what, int pid, int tid)
{
    g_string_append_printf(out, "{\"name\":\"%s\",\"ph\":\"M\",\"pid\":%d,\"tid\":%d,\"args\":{",
                           what, pid, tid);
}

void trace_json_begin(GString *out, int pid, const char *process)
{
    g_string_append(out, "[\n");
    append_metadata(out, "process_name", pid, pid);
    g_string_append(out, "\"name\":");
    append_quoted(out, process, strlen(process), true);
    g_string_append(out, "}}");
}

/* The main thread above, the vCPUs below it in their order, then the others. */
static int sort_index(const TraceRing *ring)
{
    if (strcmp(ring->name, "main") == 0) {
        return 0;
    }
    return g_str_has_prefix(ring->name, "vcpu") ? 1 + atoi(ring->name + strlen("vcpu")) : 1 << 16;
}

void trace_json_thread(GString *out, int pid, const TraceRing *ring)
{
    g_string_append(out, ",\n");
    append_metadata(out, "thread_name", pid, ring->tid);
    g_string_append(out, "\"name\":");
    append_quoted(out, ring->name, strlen(ring->name), true);
    g_string_append(out, "}},\n");
    append_metadata(out, "thread_sort_index", pid, ring->tid);
    g_string_append_printf(out, "\"sort_index\":%d}}", sort_index(ring));
}

void trace_json_end(GString *out)
{
    g_string_append(out, "\n]\n");
}
