/* SPDX-License-Identifier: MIT */
/* What the memory backends share. */
#ifndef TESSERA_MEMORY_BACKEND_INTERNAL_H
#define TESSERA_MEMORY_BACKEND_INTERNAL_H

#include "tessera/memory/memory-backend.h"
#include "tessera/util/host-memory.h"

/* First member of each backend. */
struct MemoryBackend {
    UserObject parent;
    uint64_t size;
    bool share;
    bool prealloc;
    uint64_t prealloc_threads;
    bool merge;
    bool dump;
    bool reserve;
    RAMBlock *block;
};

/* The common properties but for share, whose default differs. */
extern const Property memory_backend_properties[];

/* Registered; named here so that a unit test can link them from the archive. */
extern const ObjectClass memory_backend_ram_class;
extern const ObjectClass memory_backend_memfd_class;
extern const ObjectClass memory_backend_file_class;

/** memory_backend_check_size() - whole pages? @page_size: of what will back it */
bool memory_backend_check_size(const MemoryBackend *backend, uint64_t page_size, GError **error);

/**
 * memory_backend_setup() - maps, advises, preallocates, and makes the RAMBlock
 * @spec: fd, fd_offset, readonly and align as the backend wants them; the rest comes from the
 *      common properties. Owns spec->fd, on failure too.
 * @bounded: the memory can only come from the host's free memory and swap (not from a disk)
 */
bool memory_backend_setup(MemoryBackend *backend, const ObjectContext *context,
                          HostMemorySpec *spec, bool bounded, GError **error);

/** memory_backend_removed() / memory_backend_finalize() - ObjectClass callbacks */
void memory_backend_removed(UserObject *obj);
void memory_backend_finalize(UserObject *obj);

#endif
