/* SPDX-License-Identifier: MIT */
/* Memory backends (-object memory-backend-ram|memfd|file): guest RAM with its host policy. */
#ifndef TESSERA_MEMORY_MEMORY_BACKEND_H
#define TESSERA_MEMORY_MEMORY_BACKEND_H

#include <glib.h>
#include "tessera/memory/ram-block.h"
#include "tessera/util/object-store.h"

typedef struct MemoryBackend MemoryBackend;

/* ObjectClass.family of all backends, and the word for them in messages. */
#define MEMORY_BACKEND_FAMILY "memory-backend"

/**
 * memory_backend_get() - the backend with the id @id. Borrowed from the store.
 *
 * Errors: TESSERA_ERROR_NOT_FOUND with the nearest id; _INVALID if that object is no backend.
 */
MemoryBackend *memory_backend_get(ObjectStore *store, const char *id, GError **error);

/** memory_backend_from_object() - @obj as a backend, NULL if it is something else */
MemoryBackend *memory_backend_from_object(UserObject *obj);

/**
 * memory_backend_claim() - @user ("device 'dimm0'", "-machine") takes the memory; one at a time
 * memory_backend_release() - gives it back
 *
 * Errors: TESSERA_ERROR_EXISTS, naming who uses it.
 */
bool memory_backend_claim(MemoryBackend *backend, const char *user, GError **error);
void memory_backend_release(MemoryBackend *backend);

/** memory_backend_id() - the id; also the RAMBlock's idstr */
const char *memory_backend_id(const MemoryBackend *backend);
uint64_t memory_backend_size(const MemoryBackend *backend);

/** memory_backend_ram_block() - its memory; not a new reference */
RAMBlock *memory_backend_ram_block(const MemoryBackend *backend);

/** memory_backend_readonly() - the guest must not write it: make a ROM region of it */
bool memory_backend_readonly(const MemoryBackend *backend);

#endif
