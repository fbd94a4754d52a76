/* SPDX-License-Identifier: MIT */
/* A chardev's front end that keeps what it gets, and a chardev of a test's own folder. */
#ifndef TESSERA_TESTS_CHARDEV_READER_H
#define TESSERA_TESTS_CHARDEV_READER_H

#include "tessera/chardev/chardev.h"

/* Takes @room bytes (SIZE_MAX: any number) and counts what it is told. */
typedef struct Reader {
    GString *got;
    size_t room;
    unsigned breaks, opened, closed, writable, input_ends;
} Reader;

extern const ChardevFrontend reader_frontend; /* its opaque pointer is a Reader */

/** reader_init() - nothing got yet, room without end */
void reader_init(Reader *r);
void reader_done(Reader *r);

typedef struct ChardevFixture {
    char *dir;
    char *path; /* in @dir; nothing there yet */
    Reader reader;
    Chardev *chr;
} ChardevFixture;

/* For cmocka; the teardown frees @chr and checks that nothing is left in the folder but @path. */
int chardev_fixture_setup(void **state);
int chardev_fixture_teardown(void **state);
/** chardev_fixture_open() - "chr0" by the spec @kind followed by @path; must work */
void chardev_fixture_open(ChardevFixture *f, const char *kind, const char *path);

/** chardev_write_text() - what chardev_write() returns */
size_t chardev_write_text(Chardev *chr, const char *text);
/** read_exactly() - into @buf, with a 0 behind it; runs the main context while nothing is there */
void read_exactly(int fd, char *buf, size_t len);
/** assert_chardev_refused() - the message has @part and the label in it */
void assert_chardev_refused(const char *spec, const char *part);
/** unix_connect() - a stream socket connected to @path, or -1 */
int unix_connect(const char *path);

/* Runs the main context until @condition holds; fails after many rounds. */
#define RUN_UNTIL(condition)                                                                       \
    do {                                                                                           \
        unsigned rounds_ = 0;                                                                      \
        while (!(condition)) {                                                                     \
            assert_true(rounds_++ < 20000);                                                        \
            if (!g_main_context_iteration(NULL, FALSE)) {                                          \
                g_usleep(500);                                                                     \
            }                                                                                      \
        }                                                                                          \
    } while (0)

#endif
