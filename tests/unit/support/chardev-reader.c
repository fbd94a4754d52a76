/* SPDX-License-Identifier: MIT */
/* A chardev's front end that keeps what it gets, and a chardev of a test's own folder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "chardev-reader.h"

static size_t reader_can_receive(void *opaque)
{
    return ((Reader *)opaque)->room;
}

static void reader_receive(void *opaque, const uint8_t *buf, size_t len)
{
    Reader *r = opaque;

    assert_true(len <= r->room);
    g_string_append_len(r->got, (const char *)buf, len);
    r->room -= r->room == SIZE_MAX ? 0 : len;
}

static void reader_event(void *opaque, ChardevEvent event)
{
    Reader *r = opaque;

    r->breaks += event == CHARDEV_BREAK;
    r->opened += event == CHARDEV_OPENED;
    r->closed += event == CHARDEV_CLOSED;
    r->input_ends += event == CHARDEV_INPUT_END;
}

static void reader_writable(void *opaque)
{
    ((Reader *)opaque)->writable++;
}

const ChardevFrontend reader_frontend = {
    .can_receive = reader_can_receive,
    .receive = reader_receive,
    .event = reader_event,
    .writable = reader_writable,
};


void reader_init(Reader *r)
{
    *r = (Reader){ .got = g_string_new(NULL), .room = SIZE_MAX };
}

void reader_done(Reader *r)
{
    if (r->got) {
        g_string_free(r->got, TRUE);
    }
}

int chardev_fixture_setup(void **state)
{
    ChardevFixture *f = g_new0(ChardevFixture, 1);

    f->dir = g_dir_make_tmp("tessera-chardev-XXXXXX", NULL);
    f->path = g_build_filename(f->dir, "x", NULL);
    reader_init(&f->reader);
    *state = f;
    return 0;
}

int chardev_fixture_teardown(void **state)
{
    ChardevFixture *f = *state;

    chardev_free(f->chr);
    reader_done(&f->reader);
    g_unlink(f->path);
    assert_int_equal(g_rmdir(f->dir), 0); /* nothing was left behind */
    g_free(f->path);
    g_free(f->dir);
    g_free(f);
    return 0;
}

void chardev_fixture_open(ChardevFixture *f, const char *kind, const char *path)
{
    g_autofree char *spec = g_strconcat(kind, path, NULL);
    g_autoptr(GError) error = NULL;

    f->chr = chardev_new("chr0", spec, NULL, &error);
    assert_null(error);
    assert_non_null(f->chr);
    chardev_set_frontend(f->chr, &reader_frontend, &f->reader);
}

size_t chardev_write_text(Chardev *chr, const char *text)
{
    return chardev_write(chr, (const uint8_t *)text, strlen(text));
}

void read_exactly(int fd, char *buf, size_t len)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = read(fd, buf + done, len - done);

        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            g_main_context_iteration(NULL, FALSE);
            continue;
        }
        assert_true(n > 0);
        done += n;
    }
    buf[len] = 0;
}

int unix_connect(const char *path)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_strlcpy(addr.sun_path, path, sizeof(addr.sun_path));
    if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

void assert_chardev_refused(const char *spec, const char *part)
{
    g_autoptr(GError) error = NULL;
    Chardev *chr = chardev_new("chr0", spec, NULL, &error);

    assert_null(chr);
    assert_non_null(error);
    if (!strstr(error->message, part) || !strstr(error->message, "chr0")) {
        print_error("%s: %s\n", spec, error->message);
    }
    assert_non_null(strstr(error->message, part));
    assert_non_null(strstr(error->message, "chr0"));
}
