/* SPDX-License-Identifier: MIT */
/* tessera: command line -> MachineConfig -> Machine -> exit status. */
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "tessera/chardev/chardev.h"
#include "tessera/machine/config.h"
#include "tessera/machine/machine.h"
#include "tessera/monitor/monitor.h"
#include "tessera/util/log.h"
#include "tessera/util/trace-control.h"

/*
 * A thread's stack is smaller than a huge page: where the host hands these out without being asked
 * (transparent_hugepage "always"), the first touch of a usual stack of 8 MiB would make 2 MiB
 * resident, and clear them, for each thread. Sanitizers keep their own data in it and need it all:
 * with less pthread_create() fails.
 */
#ifdef TESSERA_SANITIZE
#define THREAD_STACK_BYTES (8u << 20)
#else
#define THREAD_STACK_BYTES (512u << 10)
#endif

static void limit_thread_stacks(void)
{
    pthread_attr_t attr;

    if (pthread_attr_init(&attr) == 0) {
        if (pthread_attr_setstacksize(&attr, THREAD_STACK_BYTES) == 0) {
            pthread_setattr_default_np(&attr);
        }
        pthread_attr_destroy(&attr);
    }
}

/*
 * Started with one of them closed, the first file we open would be standard input or output: the
 * serial port would talk to an eventfd, a log or a disk image.
 */
static void fill_standard_fds(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        /* open() takes the lowest free one, which is @fd: those below are open by now. */
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0) {
            return;
        }
    }
}

/*
 * What one thread allocates, another one frees later, and keeps some blocks of each size: while the
 * memory map changes, the heap would grow and shrink a little. Address space for that is reserved
 * at once (nothing is resident before it is used) and kept, so that the process is as large after a
 * DIMM has come and gone as before. Blocks of 128 KiB and more go back when freed.
 */
#define HEAP_RESERVE_BYTES (8 << 20)

static void reserve_heap(void)
{
    mallopt(M_ARENA_MAX, 1); /* an arena for each vCPU thread would cost resident memory */
    mallopt(M_TOP_PAD, HEAP_RESERVE_BYTES);
    mallopt(M_TRIM_THRESHOLD, 16 << 20);
    mallopt(M_MMAP_THRESHOLD, 128 << 10);
}

/*
 * In such a reserve the host, where it hands out huge pages without being asked, makes 2 MiB
 * resident for the first byte that is used. What lies below the reserve is smaller than that.
 */
static void keep_heap_in_small_pages(void)
{
#ifndef TESSERA_SANITIZE /* which has a heap of its own */
    /* Together more than the heap has before its reserve: it grows. */
    void *pieces[] = { g_malloc(100 << 10), g_malloc(100 << 10) };
    char *end = sbrk(0);

    madvise(end - HEAP_RESERVE_BYTES, HEAP_RESERVE_BYTES, MADV_NOHUGEPAGE);
    g_free(pieces[1]);
    g_free(pieces[0]);
#endif
}

/* Before any thread exists: signals are read by the main loop, and one malloc arena serves all. */
static void prepare_process(void)
{
    sigset_t signals;

    fill_standard_fds();
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGPWR);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    reserve_heap();
    keep_heap_in_small_pages();
    limit_thread_stacks();
}

static int run_with_monitors(Machine *machine, GError **error)
{
    MonitorHub *hub = monitor_hub_new(machine);
    int status = EXIT_STATUS_START;

    if (monitor_hub_add_configured(hub, error)) {
        status = machine_run(machine);
    }
    monitor_hub_free(hub);
    return status;
}

static int run(const MachineConfig *config, GError **error)
{
    Machine *machine = machine_new(config, error);
    int status = EXIT_STATUS_START;

    if (!machine) {
        return status;
    }
    if (config->dump_memory_map &&
        !machine_dump_memory_map(machine, config->dump_memory_map, error)) {
        status = EXIT_STATUS_START;
    } else if (config->dump_dtb) {
        status = machine_dump_device_tree(machine, config->dump_dtb, error)
                     ? EXIT_STATUS_POWEROFF
                     : EXIT_STATUS_START;
    } else {
        status = run_with_monitors(machine, error);
    }
    machine_free(machine);
    return status;
}

/* A pattern behind a '-' switches off what one before it has switched on. */
static bool start_trace(const MachineConfig *config, GError **error)
{
    if (config->trace_file && !trace_set_file(config->trace_file, error)) {
        g_prefix_error(error, "-trace: ");
        return false;
    }
    for (guint i = 0; i < config->traces->len; i++) {
        const char *pattern = config->traces->pdata[i];
        bool off = pattern[0] == '-';

        if (!trace_set(pattern + off, !off, error)) {
            g_prefix_error(error, "-trace %s: ", pattern);
            return false;
        }
    }
    return true;
}

int main(int argc, char *argv[])
{
    g_autoptr(MachineConfig) config = NULL;
    g_autoptr(GError) error = NULL;
    int status = EXIT_STATUS_START;

    prepare_process();
    switch (options_parse(argc, argv, &config, &error)) {
    case OPTIONS_DONE:
        return 0;
    case OPTIONS_RUN:
        if (config->name) {
            prctl(PR_SET_NAME, config->name);
        }
        if (log_configure(config->log_items, config->log_file, &error) &&
            start_trace(config, &error)) {
            status = run(config, &error);
        }
        break;
    case OPTIONS_ERROR:
        break;
    }
    terminal_restore();
    trace_close();
    log_close();
    if (error) {
        fprintf(stderr, "tessera: %s\n", error->message);
    }
    return status;
}
