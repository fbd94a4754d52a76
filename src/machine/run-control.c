/* SPDX-License-Identifier: MIT */
/* Running, stopping, resetting and ending a machine. */
#include "machine-internal.h"

#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include "tessera/hw/core/clock.h"
#include "tessera/util/error.h"
#include "tessera/util/log.h"
#include "tessera/util/rcu.h"
#include "tessera/util/trace.h"

const char *run_state_name(RunState state)
{
    static const char *const names[] = {
        [RUN_STATE_PRELAUNCH] = "prelaunch",
        [RUN_STATE_RUNNING] = "running",
        [RUN_STATE_PAUSED] = "paused",
        [RUN_STATE_DEBUG] = "debug",
        [RUN_STATE_SHUTDOWN] = "shutdown",
        [RUN_STATE_INTERNAL_ERROR] = "internal-error",
    };

    return names[state];
}

/*
 * Requests. A vCPU's register handler only notes what is wanted, holds the vCPUs and wakes the main
 * loop: nothing here allocates or waits.
 */

static void request(Machine *machine, unsigned what)
{
    atomic_fetch_or(&machine->run.requests, what);
    if (machine->vcpus) {
        vcpu_set_hold(machine->vcpus);
    }
    event_notifier_set(&machine->run.wakeup);
}

static void request_poweroff(void *opaque, MachineCause cause)
{
    Machine *machine = opaque;

    atomic_store(&machine->run.end_cause, cause);
    request(machine, REQUEST_POWEROFF);
}

static void request_reset(void *opaque, MachineCause cause)
{
    Machine *machine = opaque;

    atomic_store(&machine->run.reset_cause, cause);
    request(machine, REQUEST_RESET);
}

static void request_exit(void *opaque, MachineCause cause, int status)
{
    Machine *machine = opaque;
    int none = -1;

    if (atomic_compare_exchange_strong(&machine->run.exit_status, &none, status)) {
        atomic_store(&machine->run.end_cause, cause);
    }
    request(machine, REQUEST_EXIT);
}

void run_control_fill(Machine *machine, MachineControl *control)
{
    *control = (MachineControl){
        .request_poweroff = request_poweroff,
        .request_reset = request_reset,
        .request_exit = request_exit,
        .opaque = machine,
    };
}

static void on_triple_fault(void *opaque, unsigned cpu)
{
    log_item(LOG_RESET, "vCPU %u: triple fault", cpu);
    request_reset(opaque, MACHINE_CAUSE_TRIPLE_FAULT);
}

static void on_system_event(void *opaque, unsigned cpu, unsigned type)
{
    enum { EVENT_SHUTDOWN = 1, EVENT_RESET = 2 }; /* KVM_SYSTEM_EVENT_* */

    if (type == EVENT_SHUTDOWN) {
        request_poweroff(opaque, MACHINE_CAUSE_GUEST_POWEROFF);
    } else if (type == EVENT_RESET) {
        request_reset(opaque, MACHINE_CAUSE_GUEST_RESET);
    } else {
        log_item(LOG_GUEST_ERROR, "vCPU %u: KVM system event %u is not known", cpu, type);
    }
}

static void on_vcpu_failed(void *opaque, unsigned cpu, const char *text)
{
    Machine *machine = opaque;

    fprintf(stderr, "tessera: %s", text);
    request(machine, REQUEST_FAILED);
}

static void on_debug(void *opaque, unsigned cpu)
{
    request(opaque, REQUEST_DEBUG);
}

const VcpuOps run_control_vcpu_ops = {
    .triple_fault = on_triple_fault,
    .system_event = on_system_event,
    .failed = on_vcpu_failed,
    .debug = on_debug,
};

/* The undo of a commit failed: the map is not what the kernel has. Runs under the machine lock. */
static void on_memory_failed(void *opaque, const GError *commit_error, const GError *revert_error)
{
    Machine *machine = opaque;
    bool one = commit_error == revert_error; /* who failed could not go back, and says so itself */

    fprintf(stderr,
            "tessera: the memory map could not be changed, nor put back: %s%s%s; the machine is "
            "stopped\n",
            commit_error->message, one ? "" : "; ", one ? "" : revert_error->message);
    atomic_store(&machine->run.no_map, true);
    request(machine, REQUEST_FAILED);
}

/* States. */

static void enter_state(Machine *machine, RunState state)
{
    machine->run.state = state;
    log_item(LOG_RESET, "machine is %s", run_state_name(state));
    trace_event(machine_state, .state = run_state_name(state));
}

/* Why a machine is reset. */
static const char *cause_text(MachineCause cause)
{
    switch (cause) {
    case MACHINE_CAUSE_GUEST_RESET:
        return "the guest asked for it";
    case MACHINE_CAUSE_TRIPLE_FAULT:
        return "triple fault";
    case MACHINE_CAUSE_HOST:
        return "asked for from outside";
    default:
        return "other";
    }
}

static bool is_guests(MachineCause cause)
{
    return cause != MACHINE_CAUSE_HOST && cause != MACHINE_CAUSE_SIGNAL &&
           cause != MACHINE_CAUSE_FAILED;
}

static void emit(Machine *machine, MachineEventKind kind, MachineCause cause)
{
    MachineEvent event = { .kind = kind, .guest = is_guests(cause), .cause = cause };

    machine_emit(machine, &event);
}

static void hold_time(Machine *machine)
{
    vcpu_set_pause(machine->vcpus);
    virtual_clock_stop(machine->clock);
    kvm_pause_clock(machine->kvm);
}

static void let_time_go(Machine *machine)
{
    kvm_resume_clock(machine->kvm);
    virtual_clock_start(machine->clock);
    vcpu_set_resume(machine->vcpus);
}

RunState machine_run_state(const Machine *machine)
{
    return machine->run.state;
}

/* Returns: it did run. */
static bool stand_still(Machine *machine, RunState state)
{
    if (machine->run.state != RUN_STATE_RUNNING) {
        return false;
    }
    hold_time(machine);
    enter_state(machine, state);
    emit(machine, MACHINE_EVENT_STOP, MACHINE_CAUSE_HOST);
    return true;
}

void machine_stop(Machine *machine)
{
    if (stand_still(machine, RUN_STATE_PAUSED)) {
        debugger_tell_halted(machine, MACHINE_HALT_PAUSED, MACHINE_CAUSE_HOST);
    }
}

bool run_control_halt(Machine *machine)
{
    return stand_still(machine, RUN_STATE_DEBUG);
}

void run_control_let_go(Machine *machine)
{
    /* What a vCPU met before belongs to a stop that the debugger has seen. */
    atomic_fetch_and(&machine->run.requests, ~REQUEST_DEBUG);
    let_time_go(machine);
    enter_state(machine, RUN_STATE_RUNNING);
    emit(machine, MACHINE_EVENT_RESUME, MACHINE_CAUSE_HOST);
}

bool run_control_cont(Machine *machine, GError **error)
{
    switch (machine->run.state) {
    case RUN_STATE_RUNNING:
        return true;
    case RUN_STATE_PRELAUNCH:
    case RUN_STATE_PAUSED:
    case RUN_STATE_DEBUG:
        run_control_let_go(machine);
        return true;
    default:
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "the machine is in state %s and cannot go on; system_reset starts it anew",
                    run_state_name(machine->run.state));
        return false;
    }
}

bool machine_cont(Machine *machine, GError **error)
{
    if (debugger_attached(machine) && machine->run.state != RUN_STATE_RUNNING) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "a debugger is attached and takes the machine to stand still: let it go on from "
                    "there, or detach it (gdbserver none)");
        return false;
    }
    return run_control_cont(machine, error);
}

static void end(Machine *machine, int status, MachineCause cause)
{
    if (machine->run.state == RUN_STATE_INTERNAL_ERROR && status == EXIT_STATUS_POWEROFF) {
        status = EXIT_STATUS_FAILED; /* that somebody had a look at it does not make it a success */
    }
    hold_time(machine);
    enter_state(machine, RUN_STATE_SHUTDOWN);
    machine->run.status = status;
    emit(machine, MACHINE_EVENT_SHUTDOWN, cause);
    debugger_tell_ended(machine, status);
    g_main_loop_quit(machine->run.loop);
}

void machine_quit(Machine *machine, int status)
{
    end(machine, status, MACHINE_CAUSE_HOST);
}

static void fail(Machine *machine)
{
    hold_time(machine);
    enter_state(machine, RUN_STATE_INTERNAL_ERROR);
    machine->run.status = EXIT_STATUS_FAILED;
    emit(machine, MACHINE_EVENT_STOP, MACHINE_CAUSE_FAILED);
    if (machine->run.watched) {
        fprintf(stderr, "tessera: the machine has stopped (internal-error); the monitor still "
                        "answers, and its quit ends with status %d\n", EXIT_STATUS_FAILED);
    } else if (!debugger_attached(machine)) {
        g_main_loop_quit(machine->run.loop);
    }
    debugger_tell_halted(machine, MACHINE_HALT_FAILED, MACHINE_CAUSE_FAILED);
}

void run_control_unwatched(Machine *machine)
{
    if (!machine->run.watched) {
        g_main_loop_quit(machine->run.loop);
    }
}

void machine_set_watched(Machine *machine, bool watched)
{
    machine->run.watched = watched;
}

static bool reset_everything(Machine *machine, MachineCause cause, GError **error)
{
    bool ok;

    trace_event(machine_reset_begin, .cause = cause_text(cause));
    ok = kvm_reset_irqchip(machine->kvm, error) && pc_reset(machine->pc, error) &&
         vcpu_set_reset(machine->vcpus, pc_entry(machine->pc), error);
    trace_event(machine_reset_end, .ok = ok);
    return ok;
}

static void reset(Machine *machine, MachineCause cause)
{
    bool was_running = machine->run.state != RUN_STATE_PRELAUNCH &&
                       machine->run.state != RUN_STATE_PAUSED &&
                       machine->run.state != RUN_STATE_DEBUG;
    g_autoptr(GError) error = NULL;

    if (atomic_load(&machine->run.no_map)) {
        fprintf(stderr, "tessera: no reset: the memory map is lost\n");
        return;
    }
    hold_time(machine);
    debugger_tell_resetting(machine);
    if (!reset_everything(machine, cause, &error)) {
        fprintf(stderr, "tessera: reset failed: %s\n", error->message);
        fail(machine);
        return;
    }
    emit(machine, MACHINE_EVENT_RESET, cause);
    memory_resize_on_reset(machine->resize);
    if (was_running && debugger_attached(machine)) {
        enter_state(machine, RUN_STATE_DEBUG);
        emit(machine, MACHINE_EVENT_STOP, MACHINE_CAUSE_HOST);
        debugger_tell_halted(machine, MACHINE_HALT_RESET, cause);
    } else if (was_running) {
        let_time_go(machine);
        enter_state(machine, RUN_STATE_RUNNING);
    }
}

void machine_system_reset(Machine *machine)
{
    reset(machine, MACHINE_CAUSE_HOST);
}

void machine_system_powerdown(Machine *machine)
{
    pc_power_button(machine->pc);
    emit(machine, MACHINE_EVENT_POWERDOWN, MACHINE_CAUSE_HOST);
}

static void serve(Machine *machine, unsigned requests);

/*
 * Until all vCPUs stood still others may have asked for something too. A second reset was meant for
 * the machine that this one ends, and anything else comes before a reset. Returns: it did.
 */
static bool serve_late_requests(Machine *machine)
{
    unsigned late;

    hold_time(machine);
    late = atomic_exchange(&machine->run.requests, 0) & ~(REQUEST_RESET | REQUEST_DEBUG);
    if (late) {
        serve(machine, late);
    }
    return late;
}

static void serve_reset(Machine *machine)
{
    unsigned cause = atomic_load(&machine->run.reset_cause);

    log_item(LOG_RESET, "reset: %s", cause_text(cause));
    if (serve_late_requests(machine)) {
        return;
    }
    if (machine->run.no_reboot) {
        end(machine, EXIT_STATUS_POWEROFF, cause);
    } else {
        reset(machine, cause);
    }
}

/* Somebody may have stopped it meanwhile, and told the debugger so; or it has detached. */
static void serve_debug(Machine *machine)
{
    if (debugger_attached(machine)) {
        if (run_control_halt(machine)) {
            debugger_tell_halted(machine, MACHINE_HALT_DEBUG, MACHINE_CAUSE_HOST);
        }
    } else if (machine->run.state == RUN_STATE_RUNNING) {
        vcpu_set_resume(machine->vcpus); /* the one that asked has held them */
    }
}

static void serve(Machine *machine, unsigned requests)
{
    if (requests & REQUEST_FAILED) {
        fail(machine);
    } else if (requests & REQUEST_EXIT) {
        end(machine, atomic_load(&machine->run.exit_status),
            atomic_load(&machine->run.end_cause));
    } else if (requests & REQUEST_POWEROFF) {
        end(machine, EXIT_STATUS_POWEROFF, atomic_load(&machine->run.end_cause));
    } else if (requests & REQUEST_RESET) {
        serve_reset(machine);
    } else if (requests & REQUEST_DEBUG) {
        serve_debug(machine);
    }
}

static gboolean on_wakeup(gint fd, GIOCondition condition, gpointer opaque)
{
    Machine *machine = opaque;

    event_notifier_test_and_clear(&machine->run.wakeup);
    serve(machine, atomic_exchange(&machine->run.requests, 0));
    return G_SOURCE_CONTINUE;
}

static gboolean on_signal(gint fd, GIOCondition condition, gpointer opaque)
{
    Machine *machine = opaque;
    struct signalfd_siginfo info;

    if (read(fd, &info, sizeof(info)) != (ssize_t)sizeof(info)) {
        return G_SOURCE_CONTINUE;
    }
    if (info.ssi_signo == SIGPWR) {
        machine_system_powerdown(machine);
    } else {
        request_exit(machine, MACHINE_CAUSE_SIGNAL, 128 + (int)info.ssi_signo);
    }
    return G_SOURCE_CONTINUE;
}

/* Making and ending. */

static GSource *watch_fd(int fd, GUnixFDSourceFunc fn, Machine *machine)
{
    GSource *source = g_unix_fd_source_new(fd, G_IO_IN);

    g_source_set_priority(source, G_PRIORITY_HIGH);
    g_source_set_callback(source, G_SOURCE_FUNC(fn), machine, NULL);
    g_source_attach(source, NULL);
    return source;
}

static bool watch_signals(Machine *machine, GError **error)
{
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGPWR);
    machine->run.signal_fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
    if (machine->run.signal_fd < 0) {
        error_set_errno(error, errno, "cannot watch for signals");
        return false;
    }
    machine->run.signal_source = watch_fd(machine->run.signal_fd, on_signal, machine);
    return true;
}

bool run_control_init(Machine *machine, GError **error)
{
    RunControl *run = &machine->run;

    run->state = RUN_STATE_PRELAUNCH;
    run->no_reboot = machine->config->no_reboot;
    run->signal_fd = -1;
    atomic_init(&run->exit_status, -1);
    if (!event_notifier_init(&run->wakeup, error)) {
        return false;
    }
    run->wakeup_source = watch_fd(run->wakeup.fd, on_wakeup, machine);
    run->loop = g_main_loop_new(NULL, FALSE);
    memory_system_set_failed_handler(machine->ms, on_memory_failed, machine);
    return watch_signals(machine, error);
}

static void end_source(GSource *source)
{
    if (source) {
        g_source_destroy(source);
        g_source_unref(source);
    }
}

void run_control_done(Machine *machine)
{
    RunControl *run = &machine->run;

    end_source(run->wakeup_source);
    end_source(run->signal_source);
    if (run->signal_fd > 0) {
        close(run->signal_fd);
    }
    event_notifier_done(&run->wakeup);
    if (run->loop) {
        g_main_loop_unref(run->loop);
    }
}

int run_control_main(Machine *machine)
{
    if (!machine->config->stopped) {
        let_time_go(machine);
        enter_state(machine, RUN_STATE_RUNNING);
    }
    accelerator_started(machine);
    rcu_release_deferred();
    g_main_loop_run(machine->run.loop);
    return machine->run.status;
}
