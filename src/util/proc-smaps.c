/* SPDX-License-Identifier: MIT */
/* /proc/PID/smaps: the lines of each mapping, in pieces as they are read. */
#include "tessera/util/proc-smaps.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "tessera/util/error.h"

static const char *const field_names[SMAPS_FIELDS] = {
    [SMAPS_RSS] = "Rss",
    [SMAPS_SHARED_CLEAN] = "Shared_Clean",
    [SMAPS_SHARED_DIRTY] = "Shared_Dirty",
    [SMAPS_ANONYMOUS] = "Anonymous",
    [SMAPS_KSM] = "KSM",
    [SMAPS_ANON_HUGE] = "AnonHugePages",
    [SMAPS_SHMEM_HUGE] = "ShmemPmdMapped",
    [SMAPS_FILE_HUGE] = "FilePmdMapped",
    [SMAPS_SHARED_HUGETLB] = "Shared_Hugetlb",
    [SMAPS_PRIVATE_HUGETLB] = "Private_Hugetlb",
    [SMAPS_SWAP] = "Swap",
};

static bool refuse(const SmapsParser *p, const char *what, GError **error)
{
    g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID, "smaps, line %u: %s: %.64s",
                p->lines + 1, what, p->line);
    return false;
}

static void flush(SmapsParser *p)
{
    if (p->in_mapping) {
        p->fn(&p->now, p->opaque);
    }
}

/* A number in @base that begins right at *@at and goes up to @end, which is stepped over. */
static bool read_number(char **at, unsigned base, char end, uint64_t *ret_value)
{
    char *rest;

    if (!g_ascii_isxdigit(**at)) {
        return false;
    }
    errno = 0;
    *ret_value = g_ascii_strtoull(*at, &rest, base);
    if (errno != 0 || *rest != end) {
        return false;
    }
    *at = rest + (end != '\0');
    return true;
}

/* Steps over a word and the blanks behind it. */
static char *next_word(char *at)
{
    at += strcspn(at, " ");
    return at + strspn(at, " ");
}

/* "START-END PERMS OFFSET DEVICE INODE   NAME": numbers hexadecimal, the inode decimal. */
static bool read_header(SmapsParser *p, SmapsMapping *m)
{
    char *at = p->line, *rest;

    if (!read_number(&at, 16, '-', &m->start) || !read_number(&at, 16, ' ', &m->end) ||
        strcspn(at, " ") != 4) {
        return false;
    }
    memcpy(m->perms, at, 4);
    at = next_word(next_word(next_word(at)));
    if (!g_ascii_isdigit(*at)) {
        return false;
    }
    m->inode = g_ascii_strtoull(at, &rest, 10);
    if (*rest != ' ' && *rest != '\0') {
        return false;
    }
    g_strlcpy(m->name, rest + strspn(rest, " "), sizeof(m->name));
    return true;
}

static bool take_header(SmapsParser *p, GError **error)
{
    SmapsMapping m = { 0 };

    if (!read_header(p, &m)) {
        return refuse(p, "neither a mapping nor a key", error);
    }
    if (m.start >= m.end || (p->in_mapping && m.end <= p->now.end)) {
        return refuse(p, "a mapping that is empty, or not behind the one before", error);
    }
    /* The kernel goes on behind the last one, with what it finds there: maybe that one, grown. */
    m.again = p->in_mapping && m.start < p->now.end;
    for (unsigned i = 0; i < SMAPS_FIELDS; i++) {
        m.bytes[i] = SMAPS_UNTOLD;
    }
    flush(p);
    p->now = m;
    p->in_mapping = true;
    return true;
}

static bool take_amount(SmapsParser *p, SmapsField field, char *at, GError **error)
{
    uint64_t kib;

    at += strspn(at, " \t");
    if (!read_number(&at, 10, ' ', &kib) || strcmp(at, "kB") != 0 || kib > UINT64_MAX / 1024) {
        return refuse(p, "an amount in kB was expected", error);
    }
    p->now.bytes[field] = kib * 1024;
    return true;
}

static void take_flags(SmapsParser *p, char *at)
{
    for (at += strspn(at, " "); *at; at = next_word(at)) {
        p->now.flags |= strncmp(at, "mg", 2) == 0 ? SMAPS_MERGEABLE : 0;
        p->now.flags |= strncmp(at, "hg", 2) == 0 ? SMAPS_HUGE : 0;
        p->now.flags |= strncmp(at, "nh", 2) == 0 ? SMAPS_NO_HUGE : 0;
    }
}

static bool take_key(SmapsParser *p, size_t key_len, GError **error)
{
    char *value = p->line + key_len + 1;

    if (!p->in_mapping) {
        return refuse(p, "a key without a mapping", error);
    }
    for (unsigned i = 0; i < SMAPS_FIELDS; i++) {
        if (strlen(field_names[i]) == key_len && memcmp(p->line, field_names[i], key_len) == 0) {
            return take_amount(p, i, value, error);
        }
    }
    if (key_len == strlen("VmFlags") && memcmp(p->line, "VmFlags", key_len) == 0) {
        take_flags(p, value);
    }
    return true;
}

/* A key ends with a colon before the first blank; a mapping begins with an address. */
static bool take_line(SmapsParser *p, GError **error)
{
    size_t word;

    p->line[p->len] = '\0';
    p->len = 0;
    word = strcspn(p->line, " ");
    if (!(word > 1 && p->line[word - 1] == ':' ? take_key(p, word - 1, error)
                                               : take_header(p, error))) {
        return false;
    }
    p->lines++;
    return true;
}

void smaps_parser_init(SmapsParser *p, SmapsFn *fn, void *opaque)
{
    *p = (SmapsParser){ .fn = fn, .opaque = opaque };
}

bool smaps_parser_feed(SmapsParser *p, const char *text, size_t len, GError **error)
{
    while (len > 0) {
        const char *newline = memchr(text, '\n', len);
        size_t part = newline ? (size_t)(newline - text) : len;
        size_t fits = MIN(part, sizeof(p->line) - 1 - p->len);

        memcpy(p->line + p->len, text, fits);
        p->len += fits;
        if (!newline) {
            return true;
        }
        if (!take_line(p, error)) {
            return false;
        }
        text += part + 1;
        len -= part + 1;
    }
    return true;
}

bool smaps_parser_end(SmapsParser *p, GError **error)
{
    p->line[p->len] = '\0';
    if (p->len > 0 || !p->in_mapping) {
        return refuse(p, p->len > 0 ? "the text ends within a line" : "there is no mapping", error);
    }
    flush(p);
    return true;
}

static bool read_all(int fd, const char *path, SmapsParser *p, GError **error)
{
    char buf[16384]; /* on the stack: a buffer that grew would be counted while it grows */
    ssize_t len;

    do {
        len = read(fd, buf, sizeof(buf));
        if (len < 0 && errno != EINTR) {
            error_set_errno(error, errno, "cannot read '%s'", path);
            return false;
        }
        if (len > 0 && !smaps_parser_feed(p, buf, (size_t)len, error)) {
            return false;
        }
    } while (len != 0);
    return smaps_parser_end(p, error);
}

bool smaps_read(const char *root, SmapsFn *fn, void *opaque, GError **error)
{
    g_autofree char *path = g_strconcat(root ? root : "", "/proc/self/smaps", NULL);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    SmapsParser parser;
    bool done;

    if (fd < 0) {
        error_set_errno(error, errno, "cannot open '%s'", path);
        return false;
    }
    smaps_parser_init(&parser, fn, opaque);
    done = read_all(fd, path, &parser, error);
    close(fd);
    return done;
}
