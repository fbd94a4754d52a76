/* SPDX-License-Identifier: MIT */
/* The log: items, destination, lines. */
#include "tessera/util/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>
#include "tessera/util/error.h"
#include "tessera/util/suggest.h"

typedef struct LogItem {
    unsigned mask;
    const char *name;
    const char *help;
} LogItem;

static const LogItem items_table[] = {
    { LOG_GUEST_ERROR, "guest_errors", "what a guest does that no sane guest would" },
    { LOG_UNIMP, "unimp", "accesses to registers and functions that Tessera does not have" },
    { LOG_EXIT, "exits", "each return from KVM_RUN with its reason" },
    { LOG_COMMIT, "commits", "each change of a memory map and what it cost" },
    { LOG_SLOT, "slots", "KVM memory slots that are set, changed and deleted" },
    { LOG_BOOT, "boot", "where kernel, initrd, command line and tables are put" },
    { LOG_CHAR, "char", "character devices: connections, overruns" },
    { LOG_PCI, "pci", "PCI configuration: BARs and command registers" },
    { LOG_ACPI, "acpi", "ACPI registers and events" },
    { LOG_IRQ, "irq", "interrupt routes and lines" },
    { LOG_CPU, "cpu", "vCPUs: creation, CPUID, states" },
    { LOG_RESET, "reset", "resets and what asked for them" },
    { LOG_RAM, "ram", "RAM blocks: creation, resizing, removal" },
    { LOG_POST, "post", "codes that the guest writes to the POST port" },
};

_Atomic unsigned log_items_on;

/* Guards what follows: a line must not go to a file that is being closed. */
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static int log_fd = STDERR_FILENO;
static gint64 log_start_us;

static const LogItem *find_item(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(items_table); i++) {
        if (g_str_equal(items_table[i].name, name)) {
            return &items_table[i];
        }
    }
    return NULL;
}

static const char *item_name(unsigned item)
{
    for (size_t i = 0; i < G_N_ELEMENTS(items_table); i++) {
        if (items_table[i].mask & item) {
            return items_table[i].name;
        }
    }
    return "log";
}

static void write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t done = write(fd, data, len);

        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            return; /* a full disk or a closed pipe must not stop the machine */
        }
        data += done;
        len -= (size_t)done;
    }
}

void log_line(unsigned item, const char *format, ...)
{
    g_autoptr(GString) line = g_string_new(NULL);
    gint64 us;
    va_list ap;

    pthread_mutex_lock(&log_lock);
    us = g_get_monotonic_time() - log_start_us;
    g_string_printf(line, "[%5" G_GINT64_FORMAT ".%06u] %s: ", us / G_USEC_PER_SEC,
                    (unsigned)(us % G_USEC_PER_SEC), item_name(item));
    va_start(ap, format);
    g_string_append_vprintf(line, format, ap);
    va_end(ap);
    g_string_append_c(line, '\n');
    write_all(log_fd, line->str, line->len);
    pthread_mutex_unlock(&log_lock);
}

static bool set_unknown_item(const char *name, GError **error)
{
    const char *names[G_N_ELEMENTS(items_table) + 3] = { "all", "none" };
    g_autofree char *phrase = NULL;

    for (size_t i = 0; i < G_N_ELEMENTS(items_table); i++) {
        names[i + 2] = items_table[i].name;
    }
    phrase = suggest_phrase(name, names);
    g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_NOT_FOUND,
                "-d: there is no log item '%s'%s; '-d help' lists them", name, phrase);
    return false;
}

static bool parse_items(const char *text, unsigned *ret_mask, GError **error)
{
    g_auto(GStrv) words = g_strsplit(text, ",", -1);
    unsigned mask = 0;

    if (!words[0]) {
        return set_unknown_item(text, error);
    }
    for (char **word = words; *word; word++) {
        bool off = (*word)[0] == '-';
        const char *name = *word + off;
        const LogItem *item = find_item(name);

        if (item) {
            mask = off ? mask & ~item->mask : mask | item->mask;
        } else if (g_str_equal(*word, "all")) {
            mask = UINT_MAX;
        } else if (g_str_equal(*word, "none")) {
            mask = 0;
        } else {
            return set_unknown_item(name, error);
        }
    }
    *ret_mask = mask;
    return true;
}

/* The path with each "%d" replaced by the process id; any other '%' stands for itself. */
static int open_file(const char *file, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(file, "%d", -1);
    g_autofree char *pid = g_strdup_printf("%d", (int)getpid());
    g_autofree char *path = g_strjoinv(pid, parts);
    int flags = O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC;
    int fd = open(path, flags | O_NONBLOCK, 0644); /* for a pipe's reader a monitor cannot wait */

    if (fd >= 0) {
        fcntl(fd, F_SETFL, O_APPEND); /* but lines are written whole */
    } else if (errno == ENXIO) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_SYSTEM,
                    "-D: cannot open the log file '%s': it is a pipe or a socket that nobody "
                    "reads; start the reader of a pipe first, or name a file", path);
    } else {
        error_set_errno(error, errno, "-D: cannot open the log file '%s'", path);
    }
    return fd;
}

bool log_configure(const char *items, const char *file, GError **error)
{
    unsigned mask = atomic_load(&log_items_on);
    int fd = -1;

    if (items && !parse_items(items, &mask, error)) {
        return false;
    }
    if (file) {
        fd = open_file(file, error);
        if (fd < 0) {
            return false;
        }
    }
    pthread_mutex_lock(&log_lock);
    if (log_start_us == 0) {
        log_start_us = g_get_monotonic_time();
    }
    if (fd >= 0) {
        if (log_fd != STDERR_FILENO) {
            close(log_fd);
        }
        log_fd = fd;
    }
    pthread_mutex_unlock(&log_lock);
    atomic_store(&log_items_on, mask);
    return true;
}

char *log_items_help(void)
{
    GString *text = g_string_new("Log items (comma separated, '-name' leaves one out):\n");

    for (size_t i = 0; i < G_N_ELEMENTS(items_table); i++) {
        g_string_append_printf(text, "  %-13s %s\n", items_table[i].name, items_table[i].help);
    }
    g_string_append(text, "  all, none     everything, nothing\n");
    return g_string_free(text, FALSE);
}

void log_close(void)
{
    atomic_store(&log_items_on, 0);
    pthread_mutex_lock(&log_lock);
    if (log_fd != STDERR_FILENO) {
        close(log_fd);
    }
    log_fd = STDERR_FILENO;
    pthread_mutex_unlock(&log_lock);
}
