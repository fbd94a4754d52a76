/* SPDX-License-Identifier: MIT */
/* Payload: does what a list in shared memory says (ops.h). */
#include "ops.h"
#include "payload.h"

#define SHARED ((OpsShared *)OPS_SHARED_BASE)

#define LAPIC_EOI        (*(volatile uint32_t *)0xfee000b0UL)
#define VECTOR_NMI       2
#define VECTOR_PIC_FIRST 0x20 /* the tests put the PICs at 0x20 .. 0x2f */
#define VECTOR_PIC_LAST  0x2f
#define PORT_PIC1        0x20
#define PORT_PIC2        0xa0
#define PIC_EOI          0x20

static uint64_t load(uint64_t addr, unsigned size)
{
    switch (size) {
    case 1:
        return *(volatile uint8_t *)addr;
    case 2:
        return *(volatile uint16_t *)addr;
    case 4:
        return *(volatile uint32_t *)addr;
    default:
        return *(volatile uint64_t *)addr;
    }
}

static void store(uint64_t addr, unsigned size, uint64_t value)
{
    switch (size) {
    case 1:
        *(volatile uint8_t *)addr = (uint8_t)value;
        break;
    case 2:
        *(volatile uint16_t *)addr = (uint16_t)value;
        break;
    case 4:
        *(volatile uint32_t *)addr = (uint32_t)value;
        break;
    default:
        *(volatile uint64_t *)addr = value;
    }
}

static uint64_t port_in(uint16_t port, unsigned size)
{
    return size == 1 ? inb(port) : size == 2 ? inw(port) : inl(port);
}

static void port_out(uint16_t port, unsigned size, uint64_t value)
{
    if (size == 1) {
        outb(port, (uint8_t)value);
    } else if (size == 2) {
        outw(port, (uint16_t)value);
    } else {
        outl(port, (uint32_t)value);
    }
}

#define REP(instruction, op)                                                                       \
    do {                                                                                           \
        uint64_t count_ = (op)->value, si_ = (op)->result, di_ = (op)->result;                     \
        __asm__ volatile("rep " instruction                                                        \
                         : "+c"(count_), "+S"(si_), "+D"(di_)                                      \
                         : "d"((uint16_t)(op)->addr)                                               \
                         : "memory");                                                              \
    } while (0)

static void string_in(const Op *op)
{
    if (op->size == 1) {
        REP("insb", op);
    } else if (op->size == 2) {
        REP("insw", op);
    } else {
        REP("insl", op);
    }
}

static void string_out(const Op *op)
{
    if (op->size == 1) {
        REP("outsb", op);
    } else if (op->size == 2) {
        REP("outsw", op);
    } else {
        REP("outsl", op);
    }
}

#define MOVE(instruction)                                                                          \
    __asm__ volatile("rep " instruction : "+c"(count), "+S"(from), "+D"(to) : : "memory")

static void string_move(const Op *op)
{
    uint64_t count = op->result, from = op->addr, to = op->value;

    switch (op->size) {
    case 1:
        MOVE("movsb");
        break;
    case 2:
        MOVE("movsw");
        break;
    case 4:
        MOVE("movsl");
        break;
    default:
        MOVE("movsq");
    }
}

static uint64_t exchange_add(uint64_t addr, unsigned size, uint64_t value)
{
    switch (size) {
    case 1:
        return __atomic_fetch_add((uint8_t *)addr, (uint8_t)value, __ATOMIC_SEQ_CST);
    case 2:
        return __atomic_fetch_add((uint16_t *)addr, (uint16_t)value, __ATOMIC_SEQ_CST);
    case 4:
        return __atomic_fetch_add((uint32_t *)addr, (uint32_t)value, __ATOMIC_SEQ_CST);
    default:
        return __atomic_fetch_add((uint64_t *)addr, value, __ATOMIC_SEQ_CST);
    }
}

static void increment(const Op *op)
{
    for (uint64_t i = 0; i < op->value; i++) {
        __asm__ volatile("lock incl %0" : "+m"(*(uint32_t *)op->addr) : : "memory");
    }
}

static void watch(const Op *op)
{
    OpsShared *s = SHARED;

    while (!s->stop) {
        uint64_t v = load(op->addr, op->size);

        if (v == s->watch_a) {
            s->seen_a++;
        } else if (v == s->watch_b) {
            s->seen_b++;
        } else {
            s->other = v;
            s->seen_other++;
        }
    }
}

/* The rounds are told as they are done: the test waits for them. */
static void hammer(Op *op)
{
    while (!SHARED->stop) {
        __asm__ volatile("lock incq %0" : "+m"(*(uint64_t *)op->addr) : : "memory");
        __asm__ volatile("lock incq %0" : "+m"(*(uint64_t *)op->value) : : "memory");
        *(volatile uint64_t *)&op->result = op->result + 1;
    }
}

static void echo(Op *op)
{
    while (!SHARED->stop) {
        store(op->addr, 8, op->result + 1);
        if (load(op->addr, 8) != op->result + 1) {
            op->value++;
        }
        *(volatile uint64_t *)&op->result = op->result + 1;
    }
}

static void __attribute__((noreturn)) triple_fault(void)
{
    struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } none = {0, 0};

    for (;;) {
        __asm__ volatile("lidt %0; ud2" : : "m"(none));
    }
}

/* What may be done at any CPL. */
static void do_op(void *opaque)
{
    Op *op = opaque;

    switch (op->kind) {
    case OP_READ:
        op->result = load(op->addr, op->size);
        break;
    case OP_WRITE:
        store(op->addr, op->size, op->value);
        break;
    case OP_IN:
        op->result = port_in((uint16_t)op->addr, op->size);
        break;
    case OP_OUT:
        port_out((uint16_t)op->addr, op->size, op->value);
        break;
    case OP_INS:
        string_in(op);
        break;
    case OP_OUTS:
        string_out(op);
        break;
    case OP_MOVS:
        string_move(op);
        break;
    case OP_XADD:
        op->result = exchange_add(op->addr, op->size, op->value);
        break;
    case OP_INCREMENT:
        increment(op);
        break;
    case OP_WATCH:
        watch(op);
        break;
    case OP_SPIN:
        while (!SHARED->stop) {
            cpu_pause();
        }
        break;
    case OP_COUNT:
        while (!SHARED->stop) {
            ++*(volatile uint64_t *)op->addr;
        }
        break;
    case OP_HAMMER:
        hammer(op);
        break;
    case OP_ECHO:
        echo(op);
        break;
    case OP_FLOAT_LOAD:
        __asm__ volatile("flds (%0)" : : "a"(op->addr) : "memory");
        break;
    case OP_JUMP:
        ((void (*)(void))(uintptr_t)op->addr)();
        break;
    default:
        break;
    }
}

static void processor_main(unsigned cpu);

static void do_kernel_op(Op *op)
{
    OpsShared *s = SHARED;

    switch (op->kind) {
    case OP_WAIT_INTERRUPT:
        while (s->interrupts[op->value] < op->addr) {
            wait_for_interrupt();
        }
        break;
    case OP_SPIN_INTERRUPT:
        __asm__ volatile("sti");
        while (s->interrupts[op->value] < op->addr) {
            cpu_pause();
        }
        __asm__ volatile("cli");
        break;
    case OP_HALT:
        for (;;) {
            __asm__ volatile("cli; hlt");
        }
    case OP_START_PROCESSOR:
        start_processor((unsigned)op->value, processor_main);
        break;
    case OP_WAIT:
        while (load(op->addr, op->size) < op->value) {
            cpu_pause();
        }
        break;
    case OP_MAP_GIB:
        map_gib(op->addr);
        break;
    case OP_TRIPLE_FAULT:
        triple_fault();
    default:
        do_op(op);
    }
}

static void do_list(unsigned cpu)
{
    OpsProcessor *p = &SHARED->processors[cpu];

    for (Op *op = p->ops; op->kind != OP_END && op < p->ops + OPS_MAX; op++) {
        if (op->user) {
            call_user(do_op, op);
        } else {
            do_kernel_op(op);
        }
    }
    p->done++;
}

static void processor_main(unsigned cpu)
{
    OpsProcessor *p = &SHARED->processors[cpu];

    for (;;) {
        uint32_t generation = p->generation;

        do_list(cpu);
        while (p->generation == generation) {
            cpu_pause();
        }
    }
}

static void on_interrupt(struct interrupt_frame *frame)
{
    SHARED->interrupts[frame->vector]++;
    outl(OPS_PORT_INTERRUPT, (uint32_t)frame->vector);
    if (frame->vector == VECTOR_NMI) {
        return;
    }
    if (frame->vector < VECTOR_PIC_FIRST || frame->vector > VECTOR_PIC_LAST) {
        LAPIC_EOI = 0;
        return;
    }
    if (frame->vector >= VECTOR_PIC_FIRST + 8) {
        outb(PORT_PIC2, PIC_EOI);
    }
    outb(PORT_PIC1, PIC_EOI);
}

void payload_main(const struct hvm_start_info *info)
{
    set_handler(VECTOR_NMI, on_interrupt);
    for (unsigned vector = VECTOR_PIC_FIRST; vector <= 0x60; vector++) {
        set_handler(vector, on_interrupt);
    }
    for (;;) {
        do_list(0);
        payload_exit(0);
    }
}
