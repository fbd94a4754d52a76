/* SPDX-License-Identifier: MIT */
/* Jobs in a thread of their own, and who waits for them. */
#include <glib.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "tessera/util/worker.h"

/* What the jobs of one test leave behind: a letter each. Only the order of jobs protects it. */
typedef struct Diary {
    GString *letters;
    atomic_uint entries;
    pthread_t by; /* who made the last entry */
    sigset_t blocked;
} Diary;

static int set_up(void **state)
{
    Diary *diary = g_new0(Diary, 1);

    diary->letters = g_string_new(NULL);
    *state = diary;
    return 0;
}

static int tear_down(void **state)
{
    Diary *diary = *state;

    g_string_free(diary->letters, TRUE);
    g_free(diary);
    return 0;
}

static void write_letter(Diary *diary)
{
    g_string_append_c(diary->letters, (char)('a' + diary->letters->len % 26));
    diary->by = pthread_self();
    pthread_sigmask(SIG_SETMASK, NULL, &diary->blocked);
    atomic_fetch_add(&diary->entries, 1);
}

static void job(void *opaque)
{
    write_letter(opaque);
}

static void slow_job(void *opaque)
{
    g_usleep(2000); /* longer than anybody looks out for its end: the waiter sleeps */
    write_letter(opaque);
}

static void test_worker_wait_sees_all_jobs_up_to_its_own(void **state)
{
    Diary *diary = *state;
    Worker *worker = worker_new("test");

    assert_int_equal(worker_add(worker, job, diary), 1);
    assert_int_equal(worker_add(worker, slow_job, diary), 2);
    assert_int_equal(worker_add(worker, job, diary), 3);
    worker_wait(worker, 2);
    assert_true(atomic_load(&diary->entries) >= 2);
    worker_wait(worker, 3);
    worker_wait(worker, 1);
    assert_string_equal(diary->letters->str, "abc");
    worker_free(worker);
}

/* Now the worker is first, now the one who waits; a job is never done twice or left out. */
static void test_worker_wait_for_many(void **state)
{
    Diary *diary = *state;

    for (unsigned round = 0; round < 200; round++) {
        Worker *worker = worker_new("test");
        unsigned last = 0;

        g_string_truncate(diary->letters, 0);
        for (unsigned i = 0; i < 26; i++) {
            last = worker_add(worker, job, diary);
            if (i % 7 == round % 7) {
                worker_wait(worker, last);
            }
        }
        worker_wait(worker, last);
        assert_string_equal(diary->letters->str, "abcdefghijklmnopqrstuvwxyz");
        worker_free(worker);
    }
}

static void test_worker_add_is_done_without_anybody_waiting(void **state)
{
    Diary *diary = *state;
    Worker *worker = worker_new("test");

    for (unsigned n = 1; n <= 3; n++) {
        worker_add(worker, n == 2 ? slow_job : job, diary);
        while (atomic_load(&diary->entries) < n) {
            g_usleep(100);
        }
        worker_wait(worker, n);
        assert_false(pthread_equal(diary->by, pthread_self()));
        assert_true(sigismember(&diary->blocked, SIGINT));
        assert_true(sigismember(&diary->blocked, SIGUSR1));
    }
    worker_free(worker);
    pthread_sigmask(SIG_SETMASK, NULL, &diary->blocked);
    assert_false(sigismember(&diary->blocked, SIGUSR1));
}

typedef struct Place {
    cpu_set_t cpus;
    pthread_t by;
} Place;

static void place_job(void *opaque)
{
    Place *place = opaque;

    sched_getaffinity(0, sizeof(place->cpus), &place->cpus);
    place->by = pthread_self();
}

/* The processors that the thread of a new worker may use. */
static cpu_set_t worker_cpus(void)
{
    Worker *worker = worker_new("test");
    Place place;

    do { /* until it is not the waiting thread that does the job */
        worker_wait(worker, worker_add(worker, place_job, &place));
    } while (pthread_equal(place.by, pthread_self()));
    worker_free(worker);
    return place.cpus;
}

static void test_worker_new_leaves_its_makers_processor(void **state)
{
    cpu_set_t usual, one, seen;
    int here;

    assert_int_equal(sched_getaffinity(0, sizeof(usual), &usual), 0);
    seen = worker_cpus();
    assert_int_equal(CPU_COUNT(&seen), MAX(CPU_COUNT(&usual) - 1, 1));
    CPU_OR(&seen, &seen, &usual);
    assert_true(CPU_EQUAL(&seen, &usual));
    assert_int_equal(sched_getaffinity(0, sizeof(seen), &seen), 0);
    assert_true(CPU_EQUAL(&seen, &usual)); /* the maker's own stay */

    here = sched_getcpu();
    CPU_ZERO(&one);
    CPU_SET(here, &one);
    assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
    seen = worker_cpus();
    assert_int_equal(sched_setaffinity(0, sizeof(usual), &usual), 0);
    assert_true(CPU_EQUAL(&seen, &one)); /* where there is no other */
}

/* No thread has a stack of this size. */
static Worker *new_without_thread(void)
{
    pthread_attr_t usual, huge;
    Worker *worker;

    pthread_getattr_default_np(&usual);
    pthread_getattr_default_np(&huge);
    assert_int_equal(pthread_attr_setstacksize(&huge, (size_t)1 << 62), 0);
    assert_int_equal(pthread_setattr_default_np(&huge), 0);
    worker = worker_new("test");
    assert_int_equal(pthread_setattr_default_np(&usual), 0);
    pthread_attr_destroy(&huge);
    pthread_attr_destroy(&usual);
    return worker;
}

static void test_worker_wait_without_a_thread(void **state)
{
    Diary *diary = *state;
    Worker *worker = new_without_thread();

    for (unsigned n = 1; n <= 3; n++) {
        worker_add(worker, job, diary);
    }
    assert_int_equal(diary->letters->len, 0);
    worker_wait(worker, 2);
    assert_string_equal(diary->letters->str, "ab");
    assert_true(pthread_equal(diary->by, pthread_self()));
    worker_free(worker);
    assert_string_equal(diary->letters->str, "ab");
}

static void test_worker_free_ends_the_job_in_progress(void **state)
{
    Diary *diary = *state;

    for (unsigned round = 0; round < 50; round++) {
        Worker *worker = worker_new("test");
        unsigned begun = atomic_load(&diary->entries);

        worker_add(worker, round % 2 ? job : slow_job, diary);
        worker_add(worker, slow_job, diary);
        worker_free(worker);
        assert_in_range(atomic_load(&diary->entries), begun, begun + 2);
        assert_int_equal(diary->letters->len, atomic_load(&diary->entries));
    }
    worker_free(NULL);
}

int main(void)
{
#define WITH_DIARY(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_DIARY(test_worker_wait_sees_all_jobs_up_to_its_own),
        WITH_DIARY(test_worker_wait_for_many),
        WITH_DIARY(test_worker_add_is_done_without_anybody_waiting),
        cmocka_unit_test(test_worker_new_leaves_its_makers_processor),
        WITH_DIARY(test_worker_wait_without_a_thread),
        WITH_DIARY(test_worker_free_ends_the_job_in_progress),
    };

    return cmocka_run_group_tests_name("worker", tests, NULL, NULL);
}
