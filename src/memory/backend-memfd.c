/* SPDX-License-Identifier: MIT */
/* memory-backend-memfd: an anonymous file, of huge pages if wished, sealed if wished. */
#include "backend-internal.h"

#include <inttypes.h>
#include "tessera/util/error.h"
#include "tessera/util/size.h"

typedef struct MemfdBackend {
    MemoryBackend backend;
    bool hugetlb;
    uint64_t hugetlbsize;
    bool seal;
} MemfdBackend;

/* Bytes in a page of the file: 0 for ordinary pages. */
static bool huge_page_size(const MemfdBackend *memfd, uint64_t *ret_size, GError **error)
{
    uint64_t size = memfd->hugetlbsize;

    *ret_size = 0;
    if (!memfd->hugetlb) {
        if (user_object_property_given(&memfd->backend.parent, "hugetlbsize")) {
            g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                        "hugetlbsize has no meaning without hugetlb=on: add that");
            return false;
        }
        return true;
    }
    if (size == 0) {
        size = host_huge_page_size_default();
    }
    if ((size & (size - 1)) != 0 || !host_huge_page_size_valid(size)) {
        g_autofree char *text = size_format_option(size);
        g_autofree char *best = size_format_option(host_huge_page_size_default());

        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_UNSUPPORTED,
                    "hugetlbsize=%s: this host has no huge pages of that size; its default is %s "
                    "(/sys/kernel/mm/hugepages lists all)",
                    text, best);
        return false;
    }
    *ret_size = size;
    return true;
}

static bool complete(UserObject *obj, const ObjectContext *context, GError **error)
{
    MemfdBackend *memfd = (MemfdBackend *)obj;
    MemoryBackend *backend = &memfd->backend;
    HostMemorySpec spec = { .fd = -1 };
    uint64_t huge;

    if (!huge_page_size(memfd, &huge, error) ||
        !memory_backend_check_size(backend, huge ? huge : host_page_size(), error)) {
        return false;
    }
    spec.fd = host_memfd_new(obj->id, backend->size, huge, memfd->seal, error);
    if (spec.fd < 0) {
        return false;
    }
    return memory_backend_setup(backend, context, &spec, true, error);
}

static const Property properties[] = {
    PROPERTY_DEFINE_BOOL(MemoryBackend, share, "share", "on",
                         "writes reach the file; off: only our process sees them"),
    PROPERTY_DEFINE_BOOL(MemfdBackend, hugetlb, "hugetlb", "off",
                         "huge pages that the host's administrator set aside"),
    PROPERTY_DEFINE_SIZE(MemfdBackend, hugetlbsize, "hugetlbsize", NULL,
                         "their size, e.g. 2M or 1G; without it the host's default"),
    PROPERTY_DEFINE_BOOL(MemfdBackend, seal, "seal", "on",
                         "nobody who gets the file can change its size"),
    { 0 },
};

static const Property *const tables[] = { memory_backend_properties, properties, NULL };

const ObjectClass memory_backend_memfd_class = {
    .name = "memory-backend-memfd",
    .family = MEMORY_BACKEND_FAMILY,
    .help = "guest memory in an anonymous file (memfd), with huge pages if wished",
    .instance_size = sizeof(MemfdBackend),
    .properties = tables,
    .complete = complete,
    .removed = memory_backend_removed,
    .finalize = memory_backend_finalize,
};

TESSERA_REGISTER(object_class, memory_backend_memfd_class);
