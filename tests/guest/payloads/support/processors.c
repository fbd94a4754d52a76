/* SPDX-License-Identifier: MIT */
/* Starting other processors: INIT and SIPI through the local APIC (SDM volume 3A, section 9.4). */
#include "payload.h"

#define LAPIC_BASE     0xfee00000UL
#define LAPIC_SVR      0x0f0
#define LAPIC_ICR_LOW  0x300
#define LAPIC_ICR_HIGH 0x310
#define ICR_INIT       0x00004500u
#define ICR_STARTUP    0x00004600u

extern const uint8_t ap_start[], ap_start_end[];
void ap_start_c(void);
void traps_start(unsigned cpu);

uint32_t ap_stack;
static uint8_t ap_stacks[PROCESSORS_MAX][8192] __attribute__((aligned(16)));
static unsigned ap_number;
static void (*ap_main)(unsigned cpu);
static volatile bool ap_begun;

static void lapic_write(unsigned reg, uint32_t v)
{
    *(volatile uint32_t *)(LAPIC_BASE + reg) = v;
}

static void send(unsigned cpu, uint32_t what)
{
    lapic_write(LAPIC_ICR_HIGH, cpu << 24);
    lapic_write(LAPIC_ICR_LOW, what);
}

void ap_start_c(void)
{
    unsigned cpu = ap_number;
    void (*main_fn)(unsigned) = ap_main;

    traps_start(cpu);
    ap_begun = true;
    main_fn(cpu);
}

void start_processor(unsigned cpu, void (*main_fn)(unsigned cpu))
{
    volatile uint8_t *to = (volatile uint8_t *)AP_START_BASE;

    for (size_t i = 0; i < (size_t)(ap_start_end - ap_start); i++) {
        to[i] = ap_start[i];
    }
    ap_number = cpu;
    ap_main = main_fn;
    ap_stack = (uint32_t)(uintptr_t)ap_stacks[cpu] + sizeof(ap_stacks[cpu]);
    ap_begun = false;
    lapic_write(LAPIC_SVR, 0x1ff);
    send(cpu, ICR_INIT);
    send(cpu, ICR_STARTUP | AP_START_BASE >> 12);
    while (!ap_begun) {
        cpu_pause();
    }
}
