/* SPDX-License-Identifier: MIT */
/* Payload: does what the words of its command line say, on the PC that build/tessera makes. */
#include "payload.h"

/*
 *   say=TEXT     TEXT, a line            info       what hvm_start_info says
 *   boots        "boot N"                data       were the image's variables as in the file?
 *   cpus=N       starts N - 1 more       high=ADDR  writes and reads RAM at ADDR
 *   echo         echoes up to a 'q'      acpi       the RSDP's signature
 *   button       waits for the power button   user   turns at CPL 3 until user_enough
 *   poweroff  exit=N  cf9  cf9-wide  keyboard  triple-fault  nowhere  halt  spin
 *   until=N WORD   WORD, unless there were N boots already
 */
#define PORT_PM1A_STATUS  0x600
#define PM1_PWRBTN        0x100
#define PORT_PM1A_CONTROL 0x604
#define PM1_SLP_S5        (5 << 10 | 1 << 13)
#define PORT_PCI_ADDRESS  0xcf8
#define PORT_RESET        0xcf9
#define PORT_KEYBOARD     0x64
#define KEYBOARD_RESET    0xfe

/* In RAM that neither this image nor the loader writes: it lives on over a reset. */
#define BOOTS (*(volatile uint32_t *)0x9e000)

static volatile uint32_t initialized = 0x12345678; /* .data: the file has it */
static volatile uint32_t zeroed;                   /* .bss: the loader clears it */
static volatile uint32_t processors_up;
static volatile uint32_t user_turns;
static volatile uint32_t user_enough; /* a debugger's to set */

static bool is_word(const char *at, const char *word)
{
    while (*word) {
        if (*at++ != *word++) {
            return false;
        }
    }
    return *at == ' ' || *at == '\0' || at[-1] == '=';
}

static uint64_t number(const char *at)
{
    uint64_t n = 0;
    unsigned base = 10;

    if (at[0] == '0' && at[1] == 'x') {
        base = 16;
        at += 2;
    }
    for (;; at++) {
        if (*at >= '0' && *at <= '9') {
            n = n * base + (uint64_t)(*at - '0');
        } else if (base == 16 && *at >= 'a' && *at <= 'f') {
            n = n * base + (uint64_t)(*at - 'a' + 10);
        } else {
            return n;
        }
    }
}

static void say(const char *name, uint64_t value)
{
    put_string(name);
    put_char(' ');
    put_hex(value);
    put_char('\n');
}

static void put_word(const char *at)
{
    while (*at && *at != ' ') {
        put_char(*at++);
    }
    put_char('\n');
}

static void say_memmap(const struct hvm_start_info *info)
{
    const struct hvm_memmap_entry *e = (const void *)(uintptr_t)info->memmap_paddr;

    for (uint32_t i = 0; i < info->memmap_entries; i++) {
        put_string("memmap ");
        put_hex(e[i].addr);
        put_char(' ');
        put_hex(e[i].size);
        put_char(' ');
        put_hex(e[i].type);
        put_char('\n');
    }
}

static void say_modules(const struct hvm_start_info *info)
{
    const struct hvm_modlist_entry *m = (const void *)(uintptr_t)info->modlist_paddr;

    say("modules", info->nr_modules);
    for (uint32_t i = 0; i < info->nr_modules; i++) {
        const uint8_t *bytes = (const uint8_t *)(uintptr_t)m[i].paddr;
        uint64_t sum = 0;

        for (uint64_t at = 0; at < m[i].size; at++) {
            sum += bytes[at];
        }
        say("module-address", m[i].paddr);
        say("module-size", m[i].size);
        say("module-sum", sum);
    }
}

static void say_info(const struct hvm_start_info *info)
{
    say("magic", info->magic);
    say("version", info->version);
    say("flags", info->flags);
    put_string("cmdline ");
    put_string((const char *)(uintptr_t)info->cmdline_paddr);
    put_char('\n');
    say_modules(info);
    say_memmap(info);
}

static void say_acpi(const struct hvm_start_info *info)
{
    const char *rsdp = (const char *)(uintptr_t)info->rsdp_paddr;
    uint8_t sum = 0;

    put_string("rsdp ");
    for (unsigned i = 0; i < 20; i++) {
        sum += (uint8_t)rsdp[i];
        if (i < 7) {
            put_char(rsdp[i]);
        }
    }
    put_char('\n');
    say("rsdp-sum", sum);
}

static void say_data(void)
{
    bool pristine = initialized == 0x12345678 && zeroed == 0;

    put_string(pristine ? "data pristine\n" : "data changed\n");
    initialized = 0xdeadbeef;
    zeroed = 0xdeadbeef;
}

static void try_high(uint64_t addr)
{
    volatile uint64_t *ram = (volatile uint64_t *)addr;

    map_gib(addr);
    ram[0] = 0x1122334455667788 ^ addr;
    ram[511] = addr;
    say("high", ram[0] ^ ram[511]);
}

static void processor_main(unsigned cpu)
{
    __atomic_fetch_add(&processors_up, 1, __ATOMIC_SEQ_CST);
    for (;;) {
        __asm__ volatile("cli; hlt");
    }
}

static void start_processors(unsigned n)
{
    for (unsigned cpu = 1; cpu < n; cpu++) {
        start_processor(cpu, processor_main);
    }
    while (processors_up < n - 1) {
        cpu_pause();
    }
    say("processors", processors_up + 1);
}

static void echo(void)
{
    for (;;) {
        uint8_t c;

        if (!(inb(PORT_SERIAL + 5) & 1)) {
            cpu_pause();
            continue;
        }
        c = inb(PORT_SERIAL);
        put_char((char)c);
        if (c == 'q') {
            put_char('\n');
            return;
        }
    }
}

static void wait_for_button(void)
{
    while (!(inw(PORT_PM1A_STATUS) & PM1_PWRBTN)) {
        cpu_pause();
    }
    put_string("button pressed\n");
}

static void triple_fault(void)
{
    struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } none = {0, 0};

    __asm__ volatile("lidt %0; ud2" : : "m"(none));
}

static void halt(void)
{
    for (;;) {
        __asm__ volatile("cli; hlt");
    }
}

static void spin(void)
{
    for (;;) {
        cpu_pause();
    }
}

static void jump_nowhere(void)
{
    ((void (*)(void))0xd0000000UL)();
}

static void reset_by_chipset(void)
{
    outb(PORT_RESET, 2);
    outb(PORT_RESET, 6);
    put_string("still here\n"); /* no instruction may follow the write */
}

/* Four bytes at the PCI address register cover the reset register, and must not be for it. */
static void write_over_reset(void)
{
    outl(PORT_PCI_ADDRESS, 0x00000600);
    put_string("no reset\n");
}

/* For a debugger to stop at: a turn of the loop. */
__attribute__((noinline)) static void user_turn(uint32_t n)
{
    user_turns = n;
    __asm__ volatile("" : : : "memory");
}

/* At CPL 3: native on any KVM. */
static void user_loop(void *arg)
{
    for (uint32_t n = 1; !user_enough; n++) {
        user_turn(n);
    }
}

static void do_word(const char *word, const struct hvm_start_info *info)
{
    if (is_word(word, "say=")) {
        put_word(word + 4);
    } else if (is_word(word, "info")) {
        say_info(info);
    } else if (is_word(word, "boots")) {
        say("boot", ++BOOTS);
    } else if (is_word(word, "data")) {
        say_data();
    } else if (is_word(word, "cpus=")) {
        start_processors((unsigned)number(word + 5));
    } else if (is_word(word, "high=")) {
        try_high(number(word + 5));
    } else if (is_word(word, "echo")) {
        echo();
    } else if (is_word(word, "button")) {
        wait_for_button();
    } else if (is_word(word, "acpi")) {
        say_acpi(info);
    } else if (is_word(word, "user")) {
        put_string("user\n");
        call_user(user_loop, NULL);
        put_string("back from user\n");
    } else if (is_word(word, "cf9-wide")) {
        write_over_reset();
    }
}

/* Words after which nothing follows; true when one of these came back all the same. */
static bool do_last_word(const char *word)
{
    if (is_word(word, "poweroff")) {
        outw(PORT_PM1A_CONTROL, PM1_SLP_S5);
    } else if (is_word(word, "exit=")) {
        payload_exit((uint32_t)number(word + 5));
    } else if (is_word(word, "cf9")) {
        reset_by_chipset();
    } else if (is_word(word, "keyboard")) {
        outb(PORT_KEYBOARD, KEYBOARD_RESET);
    } else if (is_word(word, "triple-fault")) {
        triple_fault();
    } else if (is_word(word, "nowhere")) {
        jump_nowhere();
    } else if (is_word(word, "halt")) {
        halt();
    } else if (is_word(word, "spin")) {
        spin();
    } else {
        return false;
    }
    return true;
}

void payload_main(const struct hvm_start_info *info)
{
    const char *at = (const char *)(uintptr_t)info->cmdline_paddr;

    while (*at) {
        /* until=N WORD: that word only while there were fewer than N boots. */
        bool skip = is_word(at, "until=") && BOOTS >= number(at + 6);

        if (!is_word(at, "until=")) {
            do_word(at, info);
            if (do_last_word(at)) {
                put_string("and went on\n");
            }
        }
        for (unsigned words = skip ? 2 : 1; words && *at; words--) {
            while (*at && *at != ' ') {
                at++;
            }
            while (*at == ' ') {
                at++;
            }
        }
    }
    put_string("no more words\n");
}
