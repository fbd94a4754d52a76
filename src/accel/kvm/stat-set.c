/* SPDX-License-Identifier: MIT */
/* Statistics of a VM or vCPU: from the kernel's binary file, or from a folder of debugfs. */
#include "stat-set-internal.h"

#include <linux/kvm.h>
#include <string.h>
#include "tessera/util/error.h"

/* A KvmStat's name belongs to .names, what its values point to is .values. */
struct KvmStatSet {
    char *source;
    GArray *stats;      /* KvmStat */
    GArray *values;     /* uint64_t; never grows once a KvmStat points into it */
    GPtrArray *names;   /* char *, owned */
};

static KvmStatSet *set_new(const char *source)
{
    KvmStatSet *set = g_new0(KvmStatSet, 1);

    set->source = g_strdup(source);
    set->stats = g_array_new(FALSE, FALSE, sizeof(KvmStat));
    set->values = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    set->names = g_ptr_array_new_with_free_func(g_free);
    return set;
}

void kvm_stat_set_free(KvmStatSet *set)
{
    if (set) {
        g_free(set->source);
        g_array_unref(set->stats);
        g_array_unref(set->values);
        g_ptr_array_unref(set->names);
        g_free(set);
    }
}

/* The names have been added in the same order; values stand where the counts add up to. */
static void set_connect(KvmStatSet *set)
{
    guint at = 0;

    for (guint i = 0; i < set->stats->len; i++) {
        KvmStat *stat = &g_array_index(set->stats, KvmStat, i);

        stat->name = set->names->pdata[i];
        stat->values = &g_array_index(set->values, uint64_t, at);
        at += stat->count;
    }
}

/* The binary file. */

static KvmStatType type_of(uint32_t flags)
{
    switch (flags & KVM_STATS_TYPE_MASK) {
    case KVM_STATS_TYPE_CUMULATIVE:
        return KVM_STAT_CUMULATIVE;
    case KVM_STATS_TYPE_INSTANT:
        return KVM_STAT_INSTANT;
    case KVM_STATS_TYPE_PEAK:
        return KVM_STAT_PEAK;
    case KVM_STATS_TYPE_LINEAR_HIST:
        return KVM_STAT_LINEAR_HISTOGRAM;
    case KVM_STATS_TYPE_LOG_HIST:
        return KVM_STAT_LOG_HISTOGRAM;
    default:
        return KVM_STAT_UNKNOWN_TYPE;
    }
}

static KvmStatUnit unit_of(uint32_t flags)
{
    switch (flags & KVM_STATS_UNIT_MASK) {
    case KVM_STATS_UNIT_NONE:
        return KVM_STAT_NO_UNIT;
    case KVM_STATS_UNIT_BYTES:
        return KVM_STAT_BYTES;
    case KVM_STATS_UNIT_SECONDS:
        return KVM_STAT_SECONDS;
    case KVM_STATS_UNIT_CYCLES:
        return KVM_STAT_CYCLES;
    case KVM_STATS_UNIT_BOOLEAN:
        return KVM_STAT_BOOLEAN;
    default:
        return KVM_STAT_UNKNOWN_UNIT;
    }
}

static unsigned base_of(uint32_t flags)
{
    switch (flags & KVM_STATS_BASE_MASK) {
    case KVM_STATS_BASE_POW10:
        return 10;
    case KVM_STATS_BASE_POW2:
        return 2;
    default:
        return 0;
    }
}

/* Is [@off, @off + @n * @size) inside of @len bytes? The products of 32-bit numbers fit in 64. */
static bool inside(uint64_t off, uint64_t n, uint64_t size, size_t len)
{
    return off <= len && n * size <= len - off;
}

static bool refuse(const char *source, const char *what, GError **error)
{
    g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID, "%s: %s", source, what);
    return false;
}

static bool check_header(const struct kvm_stats_header *h, size_t len, const char *source,
                         GError **error)
{
    uint64_t desc_size = sizeof(struct kvm_stats_desc) + (uint64_t)h->name_size;

    if (h->name_size == 0 || h->name_size > len || /* or the product below might not fit */
        !inside(h->desc_offset, h->num_desc, desc_size, len)) {
        return refuse(source, "the descriptors lie outside of the file", error);
    }
    return true;
}

static bool take_descriptor(KvmStatSet *set, const struct kvm_stats_header *h, const uint8_t *at,
                            const uint8_t *bytes, size_t len, GError **error)
{
    const char *name = (const char *)at + sizeof(struct kvm_stats_desc);
    struct kvm_stats_desc desc;
    uint64_t off;

    memcpy(&desc, at, sizeof(desc)); /* at any alignment: name_size may be odd */
    off = (uint64_t)h->data_offset + desc.offset;
    if (!memchr(name, '\0', h->name_size)) {
        return refuse(set->source, "a statistic's name is not ended", error);
    }
    if (desc.size == 0 || desc.offset % sizeof(uint64_t) != 0 ||
        !inside(off, desc.size, sizeof(uint64_t), len)) {
        return refuse(set->source, "a statistic's values lie outside of the file", error);
    }
    g_ptr_array_add(set->names, g_strdup(name));
    for (unsigned i = 0; i < desc.size; i++) {
        uint64_t value;

        memcpy(&value, bytes + off + i * sizeof(value), sizeof(value));
        g_array_append_val(set->values, value);
    }
    g_array_append_val(set->stats, ((KvmStat){ .type = type_of(desc.flags),
                                               .unit = unit_of(desc.flags),
                                               .base = base_of(desc.flags),
                                               .exponent = desc.exponent,
                                               .bucket_size = desc.bucket_size,
                                               .count = desc.size }));
    return true;
}

KvmStatSet *kvm_stat_set_parse(const void *bytes, size_t len, const char *source, GError **error)
{
    g_autoptr(KvmStatSet) set = set_new(source);
    struct kvm_stats_header header;
    size_t desc_size;

    if (len < sizeof(header)) {
        refuse(source, "the file is shorter than its header", error);
        return NULL;
    }
    memcpy(&header, bytes, sizeof(header));
    if (!check_header(&header, len, source, error)) {
        return NULL;
    }
    desc_size = sizeof(struct kvm_stats_desc) + header.name_size;
    for (uint32_t i = 0; i < header.num_desc; i++) {
        const uint8_t *at = (const uint8_t *)bytes + header.desc_offset + i * desc_size;

        if (!take_descriptor(set, &header, at, bytes, len, error)) {
            return NULL;
        }
    }
    set_connect(set);
    return g_steal_pointer(&set);
}

/* debugfs: the same counters, but what they mean is not said there. */

static void take_file(KvmStatSet *set, const char *dir, const char *name)
{
    g_autofree char *path = g_build_filename(dir, name, NULL);
    g_autofree char *text = NULL;
    uint64_t value;
    char *end;

    if (!g_file_test(path, G_FILE_TEST_IS_REGULAR) ||
        !g_file_get_contents(path, &text, NULL, NULL) || !g_ascii_isdigit(text[0])) {
        return;
    }
    value = g_ascii_strtoull(text, &end, 10);
    if (*g_strchug(end) == '\0') {
        g_ptr_array_add(set->names, g_strdup(name));
        g_array_append_val(set->values, value);
        g_array_append_val(set->stats, ((KvmStat){ .type = KVM_STAT_UNKNOWN_TYPE,
                                                   .unit = KVM_STAT_UNKNOWN_UNIT,
                                                   .count = 1 }));
    }
}

KvmStatSet *kvm_stat_set_from_dir(const char *path, GError **error)
{
    g_autoptr(KvmStatSet) set = set_new(path);
    g_autoptr(GError) reason = NULL;
    g_autoptr(GDir) dir = g_dir_open(path, 0, &reason);
    const char *name;

    if (!dir) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_SYSTEM, "%s", reason->message);
        return NULL;
    }
    while ((name = g_dir_read_name(dir))) {
        take_file(set, path, name);
    }
    set_connect(set);
    return g_steal_pointer(&set);
}

const char *kvm_stat_set_source(const KvmStatSet *set)
{
    return set->source;
}

unsigned kvm_stat_set_count(const KvmStatSet *set)
{
    return set->stats->len;
}

const KvmStat *kvm_stat_set_at(const KvmStatSet *set, unsigned i)
{
    g_assert(i < set->stats->len);
    return &g_array_index(set->stats, KvmStat, i);
}

const KvmStat *kvm_stat_set_find(const KvmStatSet *set, const char *name)
{
    for (guint i = 0; i < set->stats->len; i++) {
        const KvmStat *stat = &g_array_index(set->stats, KvmStat, i);

        if (strcmp(stat->name, name) == 0) {
            return stat;
        }
    }
    return NULL;
}
