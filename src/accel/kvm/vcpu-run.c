/* SPDX-License-Identifier: MIT */
/* A vCPU's thread: the run loop, and what holds a vCPU out of the guest. */
#include "vcpu-internal.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
#include "kvm-internal.h"
#include "tessera/util/error.h"
#include "tessera/util/rcu.h"
#include "tessera/util/trace.h"

#define KICK_SIGNAL SIGUSR1

/*
 * Into the guest and out again.
 *
 * A vCPU announces itself (in_guest) and then looks whether it may go in (hold); who holds vCPUs
 * sets hold and then looks who is inside. Both sides use sequentially consistent accesses, so at
 * least one of them sees the other: either the vCPU stays out, or it gets the kick. immediate_exit
 * is cleared before in_guest is set, so a kick that comes after that is never lost.
 */

static void set_immediate_exit(Vcpu *vcpu, uint8_t value)
{
    __atomic_store_n(&vcpu->run->immediate_exit, value, __ATOMIC_RELEASE);
}

static bool enter_guest(Vcpu *vcpu, unsigned ignored_holds)
{
    set_immediate_exit(vcpu, 0);
    atomic_store(&vcpu->in_guest, 1);
    return (atomic_load(&vcpu->set->hold) & ~ignored_holds) == 0;
}

/*
 * The same the other way round: whoever waits for this vCPU to be outside either sees that it is,
 * or has set hold before, and is then woken.
 */
static void leave_guest(Vcpu *vcpu)
{
    atomic_store(&vcpu->in_guest, 0);
    if (atomic_load(&vcpu->set->hold)) {
        pthread_mutex_lock(&vcpu->set->lock);
        pthread_cond_broadcast(&vcpu->set->outside);
        pthread_mutex_unlock(&vcpu->set->lock);
    }
}

static void kick(Vcpu *vcpu)
{
    set_immediate_exit(vcpu, 1);
    if (vcpu->thread_started) {
        pthread_kill(vcpu->thread, KICK_SIGNAL);
    }
}

/* @traced is a constant, here and below: one loop has trace points, and the other none. */
static inline __attribute__((always_inline)) int run_once(Vcpu *vcpu, bool traced)
{
    int ret;

    if (traced) {
        trace_event(vcpu_enter, .cpu = vcpu->index);
    }
    ret = kvm_vcpu_ioctl(vcpu->set->kvm, vcpu->fd, KVM_RUN, NULL);
    if (traced) {
        vcpu_trace_exit(vcpu, ret);
    }
    leave_guest(vcpu);
    return ret;
}

/* KVM_RUN failed for good: the reason, and what it usually means. */
static ExitAction run_failed(Vcpu *vcpu, int errnum)
{
    g_autofree char *reason = g_strdup_printf(
        "KVM_RUN: %s%s", g_strerror(errnum),
        errnum == EFAULT ? " (guest memory that the host could not provide: a file that shrank, "
                           "no huge pages left, or an address without backing)"
                         : "");

    return vcpu_fail(vcpu, reason);
}

static inline __attribute__((always_inline)) ExitAction after_run(Vcpu *vcpu, int ret, bool traced)
{
    if (ret == 0) {
        return traced ? vcpu_handle_exit_traced(vcpu) : vcpu_handle_exit(vcpu);
    }
    if (ret == -EINTR || ret == -EAGAIN) { /* a kick; or an AP that got its start-up message */
        counter_add(&vcpu->counters.intr, 1);
        return EXIT_CONTINUE;
    }
    return run_failed(vcpu, -ret);
}

static __attribute__((cold)) ExitAction run_traced(Vcpu *vcpu)
{
    return after_run(vcpu, run_once(vcpu, true), true);
}

/* What a vCPU asks about tracing at each exit: one branch, for all that may happen at it. */
static inline ExitAction run_and_handle(Vcpu *vcpu)
{
    if (trace_exits_on()) {
        return run_traced(vcpu);
    }
    return after_run(vcpu, run_once(vcpu, false), false);
}

/*
 * An I/O, MMIO or MSR exit is complete (registers written, RIP moved on) only when KVM_RUN is
 * entered again. With immediate_exit that is all it does; a split access may ask for its next part.
 */
static ExitAction complete_exit(Vcpu *vcpu)
{
    while (vcpu->completion_due) {
        ExitAction action;

        vcpu->completion_due = false;
        if (!enter_guest(vcpu, HOLD_SETTLES)) {
            leave_guest(vcpu);
            vcpu->completion_due = true;
            return EXIT_CONTINUE; /* a park came first: completion waits for its end */
        }
        set_immediate_exit(vcpu, 1);
        action = run_and_handle(vcpu);
        if (action != EXIT_CONTINUE) {
            return action;
        }
    }
    return EXIT_CONTINUE;
}

/* Has this vCPU something to complete, and may it? Under set->lock. */
static bool completes_now(Vcpu *vcpu, unsigned hold)
{
    return vcpu->completion_due && !vcpu->stuck && (hold & HOLD_SETTLES) &&
           !(hold & ~HOLD_SETTLES);
}

/* Waits until nothing holds this vCPU. Returns false when it has to end. */
static bool wait_released(Vcpu *vcpu)
{
    VcpuSet *set = vcpu->set;
    ExitAction action;
    bool go_on;

    leave_guest(vcpu);
    pthread_mutex_lock(&set->lock);
    for (;;) {
        unsigned hold = atomic_load(&set->hold);

        if ((hold & HOLD_QUIT) || (hold == 0 && !vcpu->stuck && !vcpu->stays)) {
            break;
        }
        if (completes_now(vcpu, hold)) {
            pthread_mutex_unlock(&set->lock);
            action = complete_exit(vcpu);
            pthread_mutex_lock(&set->lock);
            vcpu->stuck = action == EXIT_STUCK;
            continue;
        }
        if ((vcpu->stuck || !vcpu->completion_due) && !vcpu->settled) {
            vcpu->settled = true;
            pthread_cond_broadcast(&set->outside);
        }
        trace_event(vcpu_wait_begin, .cpu = vcpu->index, .hold = hold);
        pthread_cond_wait(&set->released, &set->lock);
        trace_event(vcpu_wait_end, .cpu = vcpu->index);
    }
    go_on = !(atomic_load(&set->hold) & HOLD_QUIT);
    vcpu->settled = false;
    pthread_mutex_unlock(&set->lock);
    return go_on;
}

static void become_stuck(Vcpu *vcpu)
{
    pthread_mutex_lock(&vcpu->set->lock);
    vcpu->stuck = true;
    pthread_mutex_unlock(&vcpu->set->lock);
}

static void run_loop(Vcpu *vcpu)
{
    for (;;) {
        if (!enter_guest(vcpu, 0)) {
            if (!wait_released(vcpu)) {
                return;
            }
            continue;
        }
        vcpu->completion_due = false;
        if (run_and_handle(vcpu) == EXIT_STUCK) {
            become_stuck(vcpu);
            if (!wait_released(vcpu)) {
                return;
            }
        }
    }
}

static void on_kick(int signal_number)
{
    (void)signal_number; /* its arrival ends KVM_RUN: that is all it is for */
}

bool vcpu_install_kick_handler(GError **error)
{
    struct sigaction action = { .sa_handler = on_kick, .sa_flags = SA_RESTART };

    if (sigaction(KICK_SIGNAL, &action, NULL) < 0) {
        error_set_errno(error, errno, "cannot handle the signal that kicks vCPUs");
        return false;
    }
    return true;
}

void *vcpu_thread(void *opaque)
{
    Vcpu *vcpu = opaque;
    char name[16];

    atomic_store(&vcpu->tid, gettid());
    /* Its own name a thread sets with a system call; anybody else's through /proc. */
    snprintf(name, sizeof(name), "vcpu%u", vcpu->index);
    pthread_setname_np(pthread_self(), name);
    rcu_thread_register();
    access_counters_use(vcpu->accesses);
    if (wait_released(vcpu)) {
        run_loop(vcpu);
    }
    access_counters_use(NULL);
    rcu_thread_unregister();
    return NULL;
}

/* The new thread inherits the mask: no signal of the process can reach it before it is set. */
int vcpu_thread_create(Vcpu *vcpu)
{
    static const int taken[] = { KICK_SIGNAL, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT };
    sigset_t blocked, before;
    int ret;

    sigfillset(&blocked);
    for (size_t i = 0; i < G_N_ELEMENTS(taken); i++) {
        sigdelset(&blocked, taken[i]);
    }
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    ret = pthread_create(&vcpu->thread, NULL, vcpu_thread, vcpu);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return ret;
}

/* Holding. */

static void wait_outside(VcpuSet *set)
{
    for (unsigned i = 0; i < set->count; i++) {
        while (atomic_load(&set->vcpus[i]->in_guest)) {
            pthread_cond_wait(&set->outside, &set->lock);
        }
    }
}

/* After a change of hold: who is in the guest leaves it, who waits looks again. Under the lock. */
static void hold_changed(VcpuSet *set)
{
    if (atomic_load(&set->hold)) {
        for (unsigned i = 0; i < set->count; i++) {
            if (atomic_load(&set->vcpus[i]->in_guest)) {
                kick(set->vcpus[i]);
            }
        }
    }
    pthread_cond_broadcast(&set->released);
}

void vcpu_set_park(void *opaque)
{
    VcpuSet *set = opaque;

    pthread_mutex_lock(&set->lock);
    atomic_fetch_add(&set->hold, HOLD_PARK_ONE);
    hold_changed(set);
    wait_outside(set);
    pthread_mutex_unlock(&set->lock);
}

void vcpu_set_unpark(void *opaque)
{
    VcpuSet *set = opaque;

    pthread_mutex_lock(&set->lock);
    g_assert(atomic_load(&set->hold) & HOLD_PARKS);
    atomic_fetch_sub(&set->hold, HOLD_PARK_ONE);
    hold_changed(set);
    pthread_mutex_unlock(&set->lock);
}

void vcpu_set_quit(VcpuSet *set)
{
    pthread_mutex_lock(&set->lock);
    atomic_fetch_or(&set->hold, HOLD_QUIT);
    hold_changed(set);
    pthread_mutex_unlock(&set->lock);
}

void vcpu_set_hold(VcpuSet *set)
{
    pthread_mutex_lock(&set->lock);
    atomic_fetch_or(&set->hold, HOLD_PAUSE);
    hold_changed(set);
    pthread_mutex_unlock(&set->lock);
}

/* A vCPU that waited for itself to settle would wait for ever. */
static void assert_no_vcpu_thread(VcpuSet *set)
{
    for (unsigned i = 0; i < set->count; i++) {
        g_assert(!set->vcpus[i]->thread_started ||
                 !pthread_equal(pthread_self(), set->vcpus[i]->thread));
    }
}

/* Under the lock, with a hold that settles. */
static void wait_settled(VcpuSet *set)
{
    for (unsigned i = 0; i < set->count; i++) {
        while (!set->vcpus[i]->settled) {
            pthread_cond_wait(&set->outside, &set->lock);
        }
    }
}

void vcpu_set_look(VcpuSet *set)
{
    assert_no_vcpu_thread(set);
    pthread_mutex_lock(&set->lock);
    g_assert((atomic_load(&set->hold) & HOLD_LOOKS) != HOLD_LOOKS);
    atomic_fetch_add(&set->hold, HOLD_LOOK_ONE);
    hold_changed(set);
    wait_settled(set);
    pthread_mutex_unlock(&set->lock);
}

void vcpu_set_end_look(VcpuSet *set)
{
    pthread_mutex_lock(&set->lock);
    g_assert(atomic_load(&set->hold) & HOLD_LOOKS);
    atomic_fetch_sub(&set->hold, HOLD_LOOK_ONE);
    hold_changed(set);
    pthread_mutex_unlock(&set->lock);
}

void vcpu_set_pause(VcpuSet *set)
{
    assert_no_vcpu_thread(set);
    vcpu_set_hold(set);
    pthread_mutex_lock(&set->lock);
    wait_settled(set);
    pthread_mutex_unlock(&set->lock);
    /* Writes still queued belong to the time before: to the device state that is now looked at. */
    if (kvm_coalesced_pending(set->kvm)) {
        atomic_fetch_add(&set->coalesced_at_pause,
                         kvm_coalesced_drain(set->kvm, set->memory, set->io));
    }
}

static bool has_run(Vcpu *vcpu)
{
    return atomic_load_explicit(&vcpu->counters.exits, memory_order_relaxed) > 0 ||
           atomic_load_explicit(&vcpu->counters.intr, memory_order_relaxed) > 0;
}

/*
 * Without this a guest kernel takes the time that it did not run for a soft lockup. A guest that has
 * no kvmclock (yet) gets EINVAL and needs nothing. Under the lock: settled means out of KVM_RUN.
 */
static void tell_guest_of_pause(VcpuSet *set)
{
    for (unsigned i = 0; set->kvm->caps.kvmclock_ctrl && i < set->count; i++) {
        if (set->vcpus[i]->settled && has_run(set->vcpus[i])) {
            kvm_vcpu_ioctl(set->kvm, set->vcpus[i]->fd, KVM_KVMCLOCK_CTRL, NULL);
        }
    }
}

/*
 * Threads are woken once the lock is free: one that ran at once would only wait for it, and be woken
 * a second time. Nobody has to leave the guest for less holding than before.
 */
void vcpu_set_resume(VcpuSet *set)
{
    bool held;

    pthread_mutex_lock(&set->lock);
    held = atomic_load(&set->hold) & HOLD_PAUSE;
    if (held) {
        tell_guest_of_pause(set);
        atomic_fetch_and(&set->hold, ~HOLD_PAUSE);
    }
    pthread_mutex_unlock(&set->lock);
    if (held) {
        pthread_cond_broadcast(&set->released);
    }
}

bool vcpu_set_paused(const VcpuSet *set)
{
    return atomic_load(&((VcpuSet *)set)->hold) & HOLD_PAUSE;
}
