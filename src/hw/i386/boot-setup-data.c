/* SPDX-License-Identifier: MIT */
/* The setup_data list: blobs chained in guest memory that a bzImage's parameters point to. */
#include <string.h>

#include "boot-internal.h"

/* Nodes start at multiples of 8: the kernel reads their 64-bit link in place. */
static uint64_t node_size(const LinuxSetupData *entry)
{
    return (sizeof(struct setup_data) + g_bytes_get_size(entry->data) + 7) & ~7ULL;
}

uint64_t boot_setup_data_size(const GArray *list)
{
    uint64_t size = 0;

    for (guint i = 0; i < list->len; i++) {
        const LinuxSetupData *entry = &g_array_index(list, LinuxSetupData, i);
        uint64_t length = g_bytes_get_size(entry->data);

        if (length == 0 || length > UINT32_MAX) {
            return UINT64_MAX;
        }
        size += node_size(entry);
    }
    return size;
}

void boot_setup_data_write(uint8_t *host, uint64_t gpa, const GArray *list)
{
    for (guint i = 0; i < list->len; i++) {
        const LinuxSetupData *entry = &g_array_index(list, LinuxSetupData, i);
        gsize length;
        const void *data = g_bytes_get_data(entry->data, &length);
        uint64_t size = node_size(entry);
        struct setup_data node = {
            .next = i + 1 < list->len ? gpa + size : 0,
            .type = entry->type,
            .len = length,
        };

        memset(host, 0, size);
        memcpy(host, &node, sizeof(node));
        memcpy(host + sizeof(node), data, length);
        host += size;
        gpa += size;
    }
}
