/* SPDX-License-Identifier: MIT */
/* Trace points: trace_event() in the code. What becomes of the events: trace-control.h. */
#ifndef TESSERA_UTIL_TRACE_H
#define TESSERA_UTIL_TRACE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * A trace point is one comparison of memory with 0 as long as nobody wants its event:
 *
 *   trace_states[event]   | probes: 16 bit | on: 16 bit |     compared as one number of 32 bits
 *                            |                  |
 *            the semaphore of its USDT probe    -trace, trace-event
 *            (the kernel counts who listens)
 *
 * If it is not 0, trace_emit_NAME() runs: it holds the probe, and records the event in the ring of
 * its thread if `on` says so.
 */

typedef enum TraceEvent {
#define FIELD(kind, name)
#define EVENT(name, shape, opened, doc, fields) TRACE_##name,
#include "tessera/util/trace-events.h"
    TRACE_EVENT_COUNT,
} TraceEvent;

/* Half of it is changed by the kernel, the other half by trace-control.c. */
typedef union TraceState {
    struct {
        uint16_t probes;
        uint16_t on;
    } each;
    uint32_t any;
} TraceState;

/* The process's, as the log's items: machines share it. By TraceEvent; trace-points.c */
extern TraceState trace_states[TRACE_EVENT_COUNT];

/* The fields of each event: struct TraceArgs_vcpu_exit and so on. */
#define TRACE_TYPE_U32  uint32_t
#define TRACE_TYPE_DEC  uint64_t
#define TRACE_TYPE_HEX  uint64_t
#define TRACE_TYPE_INT  int64_t
#define TRACE_TYPE_BOOL bool
#define TRACE_TYPE_NAME const char *
#define TRACE_TYPE_TEXT const char *
#define FIELD(kind, name) TRACE_TYPE_##kind name;
#define EVENT(event, shape, opened, doc, fields)                                                 \
    typedef struct TraceArgs_##event {                                                           \
        fields                                                                                   \
    } TraceArgs_##event;                                                                         \
    void trace_emit_##event(const TraceArgs_##event *args) __attribute__((cold));
#include "tessera/util/trace-events.h"

/** trace_on() - does anybody want this event (its bare name)? For work that only a trace needs */
#ifdef TESSERA_UNTRACED /* to measure what trace points cost: tests/bench/untraced */
#define trace_on(event) false
#else
#define trace_on(event)                                                                          \
    G_UNLIKELY(__atomic_load_n(&trace_states[TRACE_##event].any, __ATOMIC_RELAXED) != 0)
#endif

/**
 * trace_event() - trace_event(kvm_slot, .slot = id, .address = gpa, ...); fields left out are 0
 *
 * The values are not evaluated while nobody wants the event. Strings may be NULL. Context: any
 * thread, under any lock, not in a signal handler; never waits. A thread's first event while
 * tracing is on allocates its ring.
 */
#define trace_event(event, ...)                                                                  \
    do {                                                                                         \
        if (trace_on(event)) {                                                                   \
            trace_emit_##event(&(const TraceArgs_##event){ __VA_ARGS__ });                       \
        }                                                                                        \
    } while (0)

/** trace_now() - nanoseconds of CLOCK_MONOTONIC, the clock of the time stamps */
uint64_t trace_now(void);

/**
 * trace_exits_on() - does anybody want one of the first four events, those of an exit?
 *
 * They fill 16 bytes, so this is one branch for all of them: a vCPU asks before each KVM_RUN, and
 * runs its traced loop or the other one, in which there are no trace points.
 */
static inline bool trace_exits_on(void)
{
    const uint64_t *pairs = (const uint64_t *)(const void *)trace_states;

    G_STATIC_ASSERT(TRACE_vcpu_exit < 4 && TRACE_vcpu_enter < 4 && TRACE_memory_dispatch < 4 &&
                    TRACE_coalesced_drain < 4 && sizeof(TraceState) == 4);
#ifdef TESSERA_UNTRACED
    return false && pairs;
#else
    return G_UNLIKELY((__atomic_load_n(&pairs[0], __ATOMIC_RELAXED) |
                       __atomic_load_n(&pairs[1], __ATOMIC_RELAXED)) != 0);
#endif
}

#endif
