/* SPDX-License-Identifier: MIT */
/* The terminal on standard input: raw while a chardev uses it, itself again on every way out. */
#include "terminal-internal.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>
#include "tessera/chardev/chardev.h"

/*
 * A process has one controlling terminal and one set of signal handlers: this state belongs to the
 * process, not to a machine. It is written before @wanted is set and constant from then on, so that
 * a signal handler may read it.
 */
static struct {
    int fd;
    struct termios found;
    struct termios raw;
    _Atomic bool wanted;  /* a chardev uses the terminal */
    _Atomic bool applied; /* it is raw now */
    bool exit_hooked;
} terminal;

static const int fatal_signals[] = { SIGHUP, SIGINT,  SIGQUIT, SIGTERM, SIGABRT,
                                     SIGSEGV, SIGBUS, SIGFPE,  SIGILL };

/* Another job has the terminal: its modes are that job's business, and touching them stops us. */
static bool in_background(void)
{
    pid_t owner = tcgetpgrp(terminal.fd);

    return owner > 0 && owner != getpgrp();
}

/* All below may run in a signal handler. */

static void apply_raw(void)
{
    if (atomic_load(&terminal.wanted) && !in_background()) {
        atomic_store(&terminal.applied, true);
        tcsetattr(terminal.fd, TCSANOW, &terminal.raw);
    }
}

static void take_back(void)
{
    int saved_errno = errno;

    if (atomic_exchange(&terminal.applied, false) && !in_background()) {
        tcsetattr(terminal.fd, TCSANOW, &terminal.found);
    }
    errno = saved_errno;
}

/* The signal's own effect, now: it is blocked while its handler runs. */
static void act_by_default(int sig)
{
    sigset_t set, before;

    signal(sig, SIG_DFL);
    sigemptyset(&set);
    sigaddset(&set, sig);
    raise(sig);
    pthread_sigmask(SIG_UNBLOCK, &set, &before);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void on_fatal(int sig)
{
    take_back();
    act_by_default(sig);
}

static void on_continue(int sig)
{
    int saved_errno = errno;

    apply_raw();
    errno = saved_errno;
}

static void install(int sig, void (*handler)(int), int flags)
{
    struct sigaction old;
    struct sigaction sa = { .sa_handler = handler, .sa_flags = flags };

    sigemptyset(&sa.sa_mask);
    if (sigaction(sig, NULL, &old) == 0 && old.sa_handler == SIG_DFL) {
        sigaction(sig, &sa, NULL);
    }
}

static void remove_handler(int sig, void (*handler)(int))
{
    struct sigaction old;

    if (sigaction(sig, NULL, &old) == 0 && old.sa_handler == handler) {
        signal(sig, SIG_DFL);
    }
}

static void on_stop(int sig)
{
    int saved_errno = errno;

    take_back();
    act_by_default(sig); /* stands still here until SIGCONT */
    install(sig, on_stop, SA_RESTART);
    apply_raw();
    errno = saved_errno;
}

void terminal_set_raw(int fd)
{
    struct termios raw;

    if (atomic_load(&terminal.wanted) || tcgetattr(fd, &terminal.found) < 0) {
        return;
    }
    raw = terminal.found;
    raw.c_iflag &= ~(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    /* OPOST stays: messages of our own end their lines with a bare newline. */
    raw.c_lflag &= ~(ECHO | ECHONL | ICANON | IEXTEN | ISIG);
    raw.c_cflag &= ~(CSIZE | PARENB);
    raw.c_cflag |= CS8;
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    terminal.raw = raw;
    terminal.fd = fd;
    if (!terminal.exit_hooked) {
        terminal.exit_hooked = true;
        atexit(terminal_restore);
    }
    atomic_store(&terminal.wanted, true);
    for (size_t i = 0; i < G_N_ELEMENTS(fatal_signals); i++) {
        install(fatal_signals[i], on_fatal, 0);
    }
    install(SIGTSTP, on_stop, SA_RESTART);
    install(SIGCONT, on_continue, SA_RESTART);
    apply_raw();
}

void terminal_restore(void)
{
    if (!atomic_exchange(&terminal.wanted, false)) {
        return;
    }
    take_back();
    for (size_t i = 0; i < G_N_ELEMENTS(fatal_signals); i++) {
        remove_handler(fatal_signals[i], on_fatal);
    }
    remove_handler(SIGTSTP, on_stop);
    remove_handler(SIGCONT, on_continue);
}
