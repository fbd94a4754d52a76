/* SPDX-License-Identifier: MIT */
/* memory-backend-ram: anonymous memory. */
#include "backend-internal.h"

#include "tessera/util/error.h"

static bool complete(UserObject *obj, const ObjectContext *context, GError **error)
{
    MemoryBackend *backend = (MemoryBackend *)obj;
    HostMemorySpec spec = { .fd = -1 };

    if (!memory_backend_check_size(backend, host_page_size(), error)) {
        return false;
    }
    if (backend->share) {
        /* A file, so that the memory can be handed to another process. */
        spec.fd = host_memfd_new(obj->id, backend->size, 0, true, error);
        if (spec.fd < 0) {
            return false;
        }
    }
    return memory_backend_setup(backend, context, &spec, true, error);
}

static const Property properties[] = {
    PROPERTY_DEFINE_BOOL(MemoryBackend, share, "share", "off",
                         "other processes can map it (vhost-user)"),
    { 0 },
};

static const Property *const tables[] = { memory_backend_properties, properties, NULL };

const ObjectClass memory_backend_ram_class = {
    .name = "memory-backend-ram",
    .family = MEMORY_BACKEND_FAMILY,
    .help = "guest memory from the host's anonymous memory",
    .instance_size = sizeof(MemoryBackend),
    .properties = tables,
    .complete = complete,
    .removed = memory_backend_removed,
    .finalize = memory_backend_finalize,
};

TESSERA_REGISTER(object_class, memory_backend_ram_class);
