/* SPDX-License-Identifier: MIT */
/* A QMP client that stamps: see qmp.h. */
#include "qmp.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bench.h"

#define ANSWER_MS 60000
#define RETRY_US  2000

static int connect_to(const char *path)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_assert(strlen(path) < sizeof(addr.sun_path));
    strcpy(addr.sun_path, path);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* Takes the first line out of the text: true if there was a whole one, then in @line. */
static bool take_line(BenchQmp *qmp, char *line)
{
    char *end = memchr(qmp->text, '\n', qmp->have);
    size_t length;

    if (!end) {
        return false;
    }
    length = (size_t)(end - qmp->text);
    memcpy(line, qmp->text, length);
    line[length] = '\0';
    qmp->have -= length + 1;
    memmove(qmp->text, end + 1, qmp->have);
    return true;
}

/* The next line, waited for; false at the end, and after a minute. */
static bool next_line(BenchQmp *qmp, char *line)
{
    while (!take_line(qmp, line)) {
        struct pollfd wait = { .fd = qmp->fd, .events = POLLIN };
        ssize_t n = -1;

        if (qmp->have < sizeof(qmp->text) && poll(&wait, 1, ANSWER_MS) > 0) {
            n = read(qmp->fd, qmp->text + qmp->have, sizeof(qmp->text) - qmp->have);
        }
        if (n <= 0) {
            fprintf(stderr, "bench: the QMP monitor says nothing any more\n");
            return false;
        }
        qmp->have += (size_t)n;
    }
    return true;
}

bool bench_qmp_open(BenchQmp *qmp, const char *path, double seconds)
{
    double limit = bench_now_us() + seconds * 1e6;
    char greeting[sizeof(qmp->text)];

    qmp->have = 0;
    while ((qmp->fd = connect_to(path)) < 0) {
        if (bench_now_us() > limit) {
            fprintf(stderr, "bench: %s: %s\n", path, strerror(errno));
            return false;
        }
        g_usleep(RETRY_US);
    }
    if (next_line(qmp, greeting) &&
        bench_qmp(qmp, "{\"execute\": \"qmp_capabilities\"}\n", NULL) >= 0) {
        return true;
    }
    bench_qmp_close(qmp);
    return false;
}

void bench_qmp_close(BenchQmp *qmp)
{
    if (qmp->fd >= 0) {
        close(qmp->fd);
    }
    qmp->fd = -1;
}

double bench_qmp(BenchQmp *qmp, const char *line, double *ret_sent_us)
{
    size_t length = strlen(line);
    char answer[sizeof(qmp->text)];
    double sent = bench_now_us();

    if (ret_sent_us) {
        *ret_sent_us = sent;
    }
    if (send(qmp->fd, line, length, MSG_NOSIGNAL) != (ssize_t)length) {
        perror("bench: QMP");
        return -1;
    }
    while (next_line(qmp, answer)) {
        double now = bench_now_us();

        if (g_str_has_prefix(answer, "{\"return\"")) {
            return now - sent;
        }
        if (g_str_has_prefix(answer, "{\"error\"")) {
            fprintf(stderr, "bench: %s: %s\n", g_strchomp(answer), line);
            return -1;
        }
    }
    return -1;
}
