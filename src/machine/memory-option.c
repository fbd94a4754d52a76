/* SPDX-License-Identifier: MIT */
/* -m: boot RAM, and how far it may grow. */
#include "options-internal.h"

#include <string.h>
#include "tessera/hw/i386/pc-map.h"
#include "tessera/util/error.h"
#include "tessera/util/host-memory.h"
#include "tessera/util/size.h"

/*
 * No x86-64 processor has more physical address bits (Intel SDM volume 3, section 4.1.4). The board
 * refuses what is above this host's own width; here only what no host can have.
 */
#define PHYS_BITS_MAX 52
#define RAM_SIZE_MAX  ((UINT64_C(1) << PHYS_BITS_MAX) - PC_ABOVE_4G_BASE + PC_LOW_RAM_END_MAX)

/* "4097M", or "1048577B": as -m reads it back, where a bare number would count MiB. */
static char *size_text(uint64_t size)
{
    g_autofree char *text = size_format_option(size);
    size_t len = strlen(text);

    return g_strconcat(text, len && g_ascii_isdigit(text[len - 1]) ? "B" : "", NULL);
}

/* What was said is quoted; what would work is computed. */
typedef struct MemoryOption {
    uint64_t size;
    uint64_t slots;
    uint64_t maxmem;
    const char *size_given;   /* NULL: the default counts */
    const char *maxmem_given; /* NULL: none */
} MemoryOption;

static bool refuse(GError **error, const char *key, const char *given, const char *rule)
{
    g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID, "-m %s%s: %s", key, given, rule);
    return false;
}

/* What holds for size and maxmem alike. @key: "" or "maxmem=". */
static bool check_size(const char *key, const char *given, uint64_t value, GError **error)
{
    uint64_t page = host_page_size();
    uint64_t down = value / page * page;
    g_autofree char *rule = NULL;

    if (value < MIB) {
        return refuse(error, key, given, "a PC needs 1 MiB of RAM or more; try 128M");
    }
    if (value > RAM_SIZE_MAX) {
        g_autofree char *most = size_text(RAM_SIZE_MAX);

        rule = g_strdup_printf("no x86-64 processor has more than %d address bits; the most that "
                               "they reach is %s%s",
                               PHYS_BITS_MAX, key, most);
        return refuse(error, key, given, rule);
    }
    if (value != down) {
        g_autofree char *below = size_text(down);
        g_autofree char *above = size_text(down + page);

        rule = g_strdup_printf("not a whole number of the host's pages of %" G_GUINT64_FORMAT
                               " bytes; the nearest are %s%s and %s%s",
                               page, key, below, key, above);
        return refuse(error, key, given, rule);
    }
    return true;
}

/* Sockets without an end of growth, or the other way round. */
static bool check_pair(const MemoryOption *m, GError **error)
{
    g_autofree char *size = size_text(m->size);
    g_autofree char *more = size_text(MIN(m->size * 2, RAM_SIZE_MAX));

    if (m->slots && !m->maxmem_given) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "-m slots=%" G_GUINT64_FORMAT ": memory slots need maxmem=, the most that boot "
                    "RAM and plugged memory may add up to; for example "
                    "-m %s,slots=%" G_GUINT64_FORMAT ",maxmem=%s",
                    m->slots, size, m->slots, more);
        return false;
    }
    if (!m->slots && m->maxmem_given) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "-m maxmem=%s: RAM can only grow where there are slots for it; for example "
                    "-m %s,slots=4,maxmem=%s",
                    m->maxmem_given, size, more);
        return false;
    }
    return true;
}

static bool check(const MemoryOption *m, GError **error)
{
    g_autofree char *size = size_text(m->size);
    g_autofree char *rule = NULL;

    if (m->size_given && !check_size("", m->size_given, m->size, error)) {
        return false;
    }
    if (m->slots > PC_DEVICE_MEMORY_SLOTS_MAX) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "-m slots=%" G_GUINT64_FORMAT ": the board has at most slots=%u", m->slots,
                    PC_DEVICE_MEMORY_SLOTS_MAX);
        return false;
    }
    if (!check_pair(m, error)) {
        return false;
    }
    if (!m->maxmem_given) {
        return true;
    }
    if (m->maxmem < m->size) {
        rule = g_strdup_printf("maxmem counts boot RAM too; it must be maxmem=%s or more", size);
        return refuse(error, "maxmem=", m->maxmem_given, rule);
    }
    return check_size("maxmem=", m->maxmem_given, m->maxmem, error);
}

OptionsResult memory_option(MachineConfig *config, const char *text, GError **error)
{
    static const char *const known[] = { "size", "slots", "maxmem", NULL };
    g_autoptr(Keyval) kv = keyval_parse(text, "size", error);
    MemoryOption m = { .size = MACHINE_RAM_SIZE_DEFAULT };

    if (!kv) {
        g_prefix_error(error, "-m: ");
        return OPTIONS_ERROR;
    }
    if (!keyval_check_known(kv, "-m", known, error) ||
        !keyval_get_size(kv, "-m", "size", MIB, &m.size, error) ||
        !keyval_get_uint(kv, "-m", "slots", 0, UINT64_MAX, &m.slots, error) ||
        !keyval_get_size(kv, "-m", "maxmem", MIB, &m.maxmem, error)) {
        return OPTIONS_ERROR;
    }
    m.size_given = keyval_get(kv, "size");
    m.maxmem_given = keyval_get(kv, "maxmem");
    if (!check(&m, error)) {
        return OPTIONS_ERROR;
    }
    config->ram_size = m.size;
    config->ram_size_given = m.size_given != NULL;
    config->memory_slots = m.slots;
    config->maxmem = m.maxmem;
    return OPTIONS_RUN;
}
