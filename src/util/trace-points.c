/* SPDX-License-Identifier: MIT */
/* Trace points: the state of each event, the table of events, and what runs when one is wanted. */
#include "trace-internal.h"

#include <time.h>

/*
 * States lie one behind the other in the section .probes, where debuggers look for semaphores. Each
 * starts with the semaphore of its probe, under the name that <sys/sdt.h> gives it: these names are
 * labels inside the array, which C cannot say.
 */
#define FIELD(kind, name)
#define EVENT(name, shape, opened, doc, fields)                                                  \
    ".globl tessera_" #name "_semaphore\n"                                                       \
    "tessera_" #name "_semaphore:\n"                                                             \
    ".short 0, 0\n"
__asm__(".pushsection .probes, \"aw\", @progbits\n"
        ".balign 64\n"
        ".globl trace_states\n"
        ".type trace_states, @object\n"
        "trace_states:\n"
#include "tessera/util/trace-events.h"
        ".size trace_states, . - trace_states\n"
        ".popsection\n");

#define FIELD(kind, name)
#define EVENT(name, shape, opened, doc, fields) extern uint16_t tessera_##name##_semaphore;
#include "tessera/util/trace-events.h"

/*
 * The probes: a nop each, and a note in the program's file that says where it is and where the
 * values are. The header is that of systemtap; without it there are none.
 */
#if defined(__has_include)
#if __has_include(<sys/sdt.h>)
#define TRACE_HAS_PROBES 1
#define SDT_USE_VARIADIC
#define _SDT_HAS_SEMAPHORES 1
#include <sys/sdt.h>
#endif
#endif

#ifdef TRACE_HAS_PROBES
#define PROBE(name, ...) STAP_PROBEV(tessera, name, ##__VA_ARGS__)
#define FIELD(kind, name) , args->name
#define EVENT(name, shape, opened, doc, fields)                                                  \
    static inline void probe_##name(const TraceArgs_##name *args)                                \
    {                                                                                            \
        PROBE(name fields);                                                                      \
    }
#else
#define FIELD(kind, name)
#define EVENT(name, shape, opened, doc, fields)                                                  \
    static inline void probe_##name(const TraceArgs_##name *args)                                \
    {                                                                                            \
    }
#endif
#include "tessera/util/trace-events.h"

/* A field as it is recorded. */
#define TRACE_VALUE_U32(value)  (value)
#define TRACE_VALUE_DEC(value)  (value)
#define TRACE_VALUE_HEX(value)  (value)
#define TRACE_VALUE_INT(value)  (uint64_t)(value)
#define TRACE_VALUE_BOOL(value) (value)
#define TRACE_VALUE_NAME(value) (uintptr_t)(value)
#define TRACE_VALUE_TEXT(value) (uintptr_t)(value)
#define FIELD(kind, name) TRACE_VALUE_##kind(args->name),
#define EVENT(event, shape, opened, doc, fields)                                                 \
    void trace_emit_##event(const TraceArgs_##event *args)                                       \
    {                                                                                            \
        probe_##event(args);                                                                     \
        if (__atomic_load_n(&trace_states[TRACE_##event].each.on, __ATOMIC_RELAXED)) {           \
            const uint64_t values[] = { fields };                                                \
                                                                                                 \
            G_STATIC_ASSERT(G_N_ELEMENTS(values) <= TRACE_FIELDS_MAX);                           \
            trace_record(TRACE_##event, values);                                                 \
        }                                                                                        \
    }
#include "tessera/util/trace-events.h"

/* The table. */

#define FIELD(kind, name) { #name, TRACE_KIND_##kind },
#define EVENT(event, shape, opened, doc, fields)                                                 \
    static const TraceField fields_of_##event[] = { fields };
#include "tessera/util/trace-events.h"

const TraceEventInfo trace_table[TRACE_EVENT_COUNT] = {
#define FIELD(kind, name)
#define EVENT(event, shape, opened, doc, fields)                                                 \
    [TRACE_##event] = { #event, TRACE_SHAPE_##shape, TRACE_##opened, doc, fields_of_##event,     \
                        G_N_ELEMENTS(fields_of_##event) },
#include "tessera/util/trace-events.h"
};

uint64_t trace_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
