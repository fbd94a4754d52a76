/* SPDX-License-Identifier: MIT */
/* Jobs that a thread of their own does while who gave them does something else. */
#ifndef TESSERA_UTIL_WORKER_H
#define TESSERA_UTIL_WORKER_H

/*
 * A worker does its jobs one by one, in the order in which they were added. Who waits for a job does
 * what the worker has not begun: on a host whose processors are all busy the thread may come to run
 * only when everything is done, and where there is no thread to be had nothing fails.
 */
typedef struct Worker Worker;

/**
 * worker_new() - @name: of its thread, at most 15 characters, not copied
 *
 * The thread runs on any processor that the caller may use, but not the one on which it is now, if
 * there is another.
 */
Worker *worker_new(const char *name);

/**
 * worker_add() - another job: @fn(@opaque), in the worker's thread, which takes no signal, or in that
 * of somebody who waits for it
 *
 * Context: one thread adds and waits; a job does neither. Returns: the job's number.
 */
unsigned worker_add(Worker *worker, void (*fn)(void *opaque), void *opaque);

/** worker_wait() - returns when job number @job is done, and sees all that it has written */
void worker_wait(Worker *worker, unsigned job);

/** worker_free() - waits for the job in progress; those not begun are never done. NULL is allowed */
void worker_free(Worker *worker);

#endif
