/* SPDX-License-Identifier: MIT */
/* Interrupt table, task state, user mode; text on the serial port. */
#include "payload.h"

#define VECTOR_UD 6

struct tss {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3;
    uint16_t io_map_base;
    uint8_t io_map[8193]; /* zero: every port is open; the last byte must be all ones */
} __attribute__((packed));

struct gate {
    uint16_t offset_low;
    uint16_t selector;
    uint8_t ist;
    uint8_t type;
    uint16_t offset_mid;
    uint32_t offset_high;
    uint32_t reserved;
};

struct __attribute__((packed)) table_pointer {
    uint16_t limit;
    uint64_t base;
};

extern uint64_t gdt[];
extern const uint8_t interrupt_entries[256][16];
extern const uint8_t user_done[];
void user_enter(void (*fn)(void *), void *arg, void *stack_top, uint64_t *ret_kernel_stack);
void __attribute__((noreturn)) user_leave(uint64_t kernel_stack);
void interrupt_c(struct interrupt_frame *frame);
void payload_start_c(const struct hvm_start_info *info);
void traps_start(unsigned cpu);

static struct gate idt[256] __attribute__((aligned(16)));
static interrupt_handler *handlers[256];
static struct tss tss[PROCESSORS_MAX] __attribute__((aligned(16)));
static uint8_t trap_stacks[PROCESSORS_MAX][4096] __attribute__((aligned(16)));
static uint8_t user_stacks[PROCESSORS_MAX][4096] __attribute__((aligned(16)));
static uint64_t kernel_stacks[PROCESSORS_MAX];

void put_char(char c)
{
    while (!(inb(PORT_SERIAL + 5) & 0x20)) {
        cpu_pause();
    }
    outb(PORT_SERIAL, (uint8_t)c);
}

void put_string(const char *s)
{
    while (*s) {
        put_char(*s++);
    }
}

void put_hex(uint64_t v)
{
    unsigned shift = 60;

    while (shift && !(v >> shift)) {
        shift -= 4;
    }
    put_string("0x");
    for (;; shift -= 4) {
        put_char("0123456789abcdef"[(v >> shift) & 15]);
        if (!shift) {
            return;
        }
    }
}

unsigned this_processor(void)
{
    uint16_t selector;

    __asm__ volatile("str %0" : "=r"(selector));
    return (selector - SEL_TSS(0)) / 16;
}

static void unexpected(struct interrupt_frame *frame)
{
    uint64_t cr2;

    __asm__ volatile("mov %%cr2, %0" : "=r"(cr2));
    put_string("unexpected interrupt ");
    put_hex(frame->vector);
    put_string(" error ");
    put_hex(frame->error);
    put_string(" at ");
    put_hex(frame->rip);
    put_string(" cr2 ");
    put_hex(cr2);
    put_string("\n");
    for (;;) {
        payload_exit(0x7f);
        __asm__ volatile("cli; hlt");
    }
}

void interrupt_c(struct interrupt_frame *frame)
{
    if (frame->vector == VECTOR_UD && frame->rip == (uintptr_t)user_done && (frame->cs & 3) == 3) {
        user_leave(kernel_stacks[this_processor()]);
    }
    if (handlers[frame->vector]) {
        handlers[frame->vector](frame);
    } else {
        unexpected(frame);
    }
}

static void set_gate(unsigned vector)
{
    uint64_t at = (uintptr_t)interrupt_entries[vector];

    idt[vector] = (struct gate){
        .offset_low = (uint16_t)at,
        .selector = SEL_KERNEL_CODE,
        .type = 0x8e,
        .offset_mid = (uint16_t)(at >> 16),
        .offset_high = (uint32_t)(at >> 32),
    };
}

void set_handler(unsigned vector, interrupt_handler *handler)
{
    handlers[vector] = handler;
    set_gate(vector);
}

void call_user(void (*fn)(void *), void *arg)
{
    unsigned cpu = this_processor();

    user_enter(fn, arg, user_stacks[cpu] + sizeof(user_stacks[cpu]) - 16, &kernel_stacks[cpu]);
}

/* Task state and interrupt table of processor @cpu. */
void traps_start(unsigned cpu)
{
    struct table_pointer pointer = {sizeof(idt) - 1, (uintptr_t)idt};
    struct tss *t = &tss[cpu];
    uint64_t base = (uintptr_t)t;
    uint16_t selector = SEL_TSS(cpu);

    t->rsp[0] = (uintptr_t)trap_stacks[cpu] + sizeof(trap_stacks[cpu]);
    t->io_map_base = offsetof(struct tss, io_map);
    t->io_map[sizeof(t->io_map) - 1] = 0xff;
    gdt[selector / 8] =
        (sizeof(*t) - 1) | (base & 0xffffff) << 16 | 0x89ULL << 40 | (base >> 24 & 0xff) << 56;
    gdt[selector / 8 + 1] = base >> 32;
    __asm__ volatile("ltr %0" : : "r"(selector));
    __asm__ volatile("lidt %0" : : "m"(pointer));
}

void payload_start_c(const struct hvm_start_info *info)
{
    for (unsigned vector = 0; vector < 32; vector++) {
        set_gate(vector);
    }
    traps_start(0);
    payload_main(info);
}
