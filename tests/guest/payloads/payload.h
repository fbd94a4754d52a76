/* SPDX-License-Identifier: MIT */
/* What a payload in C finds: instructions as functions, processors, user mode, the way out. */
#ifndef PAYLOAD_H
#define PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "payload-asm.h"

/*
 * A payload is payload_main(), linked with support/. It runs in long mode at CPL 0, interrupts
 * off, the first 4 GiB mapped one to one. Without hardware virtualization CPL 0 is interpreted,
 * about one instruction a microsecond, integer instructions only (docs/testing.md); CPL 3 runs
 * natively.
 */

/* Ports that both the PC and the small machines of tests/guest/support have. */
#define PORT_SERIAL     0x3f8
#define PORT_DEBUG_EXIT 0x0f4

/* Xen public/arch-x86/hvm/start_info.h, version 1. */
struct hvm_start_info {
    uint32_t magic; /* 0x336ec578 */
    uint32_t version;
    uint32_t flags;
    uint32_t nr_modules;
    uint64_t modlist_paddr;
    uint64_t cmdline_paddr;
    uint64_t rsdp_paddr;
    uint64_t memmap_paddr;
    uint32_t memmap_entries;
    uint32_t reserved;
};

struct hvm_modlist_entry {
    uint64_t paddr;
    uint64_t size;
    uint64_t cmdline_paddr;
    uint64_t reserved;
};

struct hvm_memmap_entry {
    uint64_t addr;
    uint64_t size;
    uint32_t type;
    uint32_t reserved;
};

/** payload_main() - the payload's own; when it returns, the processor halts for good */
void payload_main(const struct hvm_start_info *info);

/* Instructions. */

static inline void outb(uint16_t port, uint8_t v)
{
    __asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port) : "memory");
}
static inline void outw(uint16_t port, uint16_t v)
{
    __asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port) : "memory");
}
static inline void outl(uint16_t port, uint32_t v)
{
    __asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port) : "memory");
}
static inline uint8_t inb(uint16_t port)
{
    uint8_t v;

    __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port) : "memory");
    return v;
}
static inline uint16_t inw(uint16_t port)
{
    uint16_t v;

    __asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port) : "memory");
    return v;
}
static inline uint32_t inl(uint16_t port)
{
    uint32_t v;

    __asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port) : "memory");
    return v;
}

static inline void cpu_pause(void)
{
    __asm__ volatile("pause" : : : "memory");
}
/** wait_for_interrupt() - interrupts on, halt, interrupts off: none is lost in between */
static inline void wait_for_interrupt(void)
{
    __asm__ volatile("sti; hlt; cli" : : : "memory");
}

/* The way out and what is said on it. */

/** payload_exit() - isa-debug-exit; returns only in a machine that goes on after it */
static inline void payload_exit(uint32_t value)
{
    outl(PORT_DEBUG_EXIT, value);
}
void put_char(char c);
void put_string(const char *s);
void put_hex(uint64_t v);

/* Interrupts (support/traps.c). */

/* What interrupts.S leaves on the stack. */
struct interrupt_frame {
    uint64_t r11, r10, r9, r8, rdi, rsi, rdx, rcx, rax;
    uint64_t vector, error;
    uint64_t rip, cs, rflags, rsp, ss;
};

typedef void interrupt_handler(struct interrupt_frame *frame);

/** set_handler() - @vector calls @handler from now on; one without says so and exits with 0x7f */
void set_handler(unsigned vector, interrupt_handler *handler);

/** call_user() - fn(arg) at CPL 3 with interrupts off; all ports are open to it */
void call_user(void (*fn)(void *), void *arg);

/** map_gib() - the GiB that holds @addr, 4 GiB .. 512 GiB, one to one; up to 4 of them */
void map_gib(uint64_t addr);

/* Processors (support/processors.c). */

/** this_processor() - 0: the first. Not at CPL 3 */
unsigned this_processor(void);
/** start_processor() - INIT, SIPI; @main runs on it. Returns when it has begun */
void start_processor(unsigned cpu, void (*main)(unsigned cpu));

#endif
