/* SPDX-License-Identifier: MIT */
/* A guest's program with traps of its own: an int3, and single steps by the trap flag. */
#include <stdint.h>

/*
 * Linked without a C library, static: the guest has none. It says "own traps: 1 int3, N steps" when
 * each signal came to its handler; what never comes back is killed by the signal.
 */
enum { SYS_WRITE = 1, SYS_RT_SIGACTION = 13, SYS_RT_SIGRETURN = 15, SYS_EXIT = 60, SIGNAL_TRAP = 5 };
enum { TRAP_BRKPT = 1, SI_KERNEL = 0x80, FLAG_SIGINFO = 4, FLAG_RESTORER = 0x04000000 };

static long call(long n, long a, long b, long c, long d)
{
    register long r10 __asm__("r10") = d;
    long ret;

    __asm__ volatile("syscall"
                     : "=a"(ret)
                     : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10)
                     : "rcx", "r11", "memory");
    return ret;
}

static volatile int int3s, steps;

/* Of siginfo_t only the code, the third int: SI_KERNEL for int3, TRAP_TRACE (2) for a step. */
static void on_trap(int signal_number, const int *info, void *context)
{
    if (info[2] == SI_KERNEL || info[2] == TRAP_BRKPT) {
        int3s++;
    } else {
        steps++;
    }
}

__attribute__((naked)) static void restorer(void)
{
    __asm__ volatile("mov %0, %%eax; syscall" : : "i"(SYS_RT_SIGRETURN));
}

static void say(const char *text, long len)
{
    call(SYS_WRITE, 1, (long)text, len, 0);
}

__attribute__((used)) static void run(void)
{
    struct {
        void (*handler)(int, const int *, void *);
        unsigned long flags;
        void (*restorer)(void);
        uint64_t mask;
    } action = { on_trap, FLAG_SIGINFO | FLAG_RESTORER, restorer, 0 };
    char text[] = "own traps: 0 int3, 0 steps\n";

    call(SYS_RT_SIGACTION, SIGNAL_TRAP, (long)&action, 0, 8);
    __asm__ volatile("int3");
    /* TF on: a trap behind each of the nops and behind the popf that takes it off again. */
    __asm__ volatile("pushf; pushf; orq $0x100, (%%rsp); popf; nop; nop; popf" : : : "memory", "cc");
    text[11] = (char)('0' + int3s);
    text[19] = (char)('0' + steps);
    say(text, sizeof(text) - 1);
    call(SYS_EXIT, 0, 0, 0, 0);
}

__attribute__((naked, used)) void _start(void)
{
    __asm__ volatile("and $-16, %rsp; call run; ud2");
}
