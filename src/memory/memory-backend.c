/* SPDX-License-Identifier: MIT */
/* Memory backends: what all kinds have in common. */
#include "tessera/memory/memory-backend.h"

#include <inttypes.h>
#include <unistd.h>
#include "backend-internal.h"
#include "tessera/util/error.h"
#include "tessera/util/log.h"
#include "tessera/util/size.h"

/* A bound for typing errors only: threads beyond the number of CPUs do not help. */
#define PREALLOC_THREADS_MAX 1024

const Property memory_backend_properties[] = {
    { .name = "size", .type = PROPERTY_SIZE, .required = true,
      .offset = offsetof(MemoryBackend, size), .help = "how much memory", .min = 1,
      .max = INT64_MAX },
    PROPERTY_DEFINE_BOOL(MemoryBackend, prealloc, "prealloc", "off",
                         "make every page present before the guest starts"),
    { .name = "prealloc-threads", .type = PROPERTY_UINT,
      .offset = offsetof(MemoryBackend, prealloc_threads),
      .help = "threads that preallocate; 0: one for each CPU, 16 at most", .default_text = "0",
      .max = PREALLOC_THREADS_MAX },
    PROPERTY_DEFINE_BOOL(MemoryBackend, merge, "merge", "on",
                         "let the host merge equal pages (KSM); private memory only"),
    PROPERTY_DEFINE_BOOL(MemoryBackend, dump, "dump", "on", "be part of core dumps"),
    PROPERTY_DEFINE_BOOL(MemoryBackend, reserve, "reserve", "on",
                         "set aside swap space or huge pages in advance"),
    { 0 },
};

bool memory_backend_check_size(const MemoryBackend *backend, uint64_t page_size, GError **error)
{
    uint64_t below = backend->size / page_size * page_size;
    g_autofree char *page = size_format(page_size);
    g_autofree char *given = size_format_option(backend->size);
    g_autofree char *low = size_format_option(below);
    g_autofree char *high = size_format_option(below + page_size);

    if (backend->size % page_size == 0) {
        return true;
    }
    g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                "size=%s: not a multiple of the page size, %s: the nearest %s %s%s%s", given, page,
                below ? "are" : "is", below ? low : "", below ? " and " : "", high);
    return false;
}

static bool given(const MemoryBackend *backend, const char *property)
{
    return user_object_property_given(&backend->parent, property);
}

/* vm.overcommit_memory=2: the kernel accounts everything, whatever is asked for. */
static bool overcommit_never(void)
{
    g_autofree char *text = NULL;

    return g_file_get_contents("/proc/sys/vm/overcommit_memory", &text, NULL, NULL) &&
           text[0] == '2';
}

/* A property that was given and cannot have an effect is refused, not forgotten. */
static bool check_combination(const MemoryBackend *backend, const HostMemorySpec *spec,
                              GError **error)
{
    bool private_memory = !spec->shared && !spec->readonly;

    if (given(backend, "merge") && backend->merge && !private_memory) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "merge=on: the host merges private, writable memory only: use share=off, or "
                    "leave merge out");
        return false;
    }
    if (given(backend, "reserve") && !backend->reserve && private_memory && overcommit_never()) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_UNSUPPORTED,
                    "reserve=off: the host reserves all private memory while "
                    "vm.overcommit_memory is 2: set it to 0 or 1, or use share=on");
        return false;
    }
    if (backend->prealloc && spec->readonly) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "prealloc=on: memory that is only read cannot be preallocated: use "
                    "readonly=off or prealloc=off");
        return false;
    }
    return true;
}

static bool apply_advice(const MemoryBackend *backend, HostMemory *mem, GError **error)
{
    g_autoptr(GError) refused = NULL;

    if (backend->merge && !mem->shared && !mem->readonly &&
        !host_memory_set_mergeable(mem, true, &refused) && given(backend, "merge")) {
        g_propagate_prefixed_error(error, g_steal_pointer(&refused), "merge=on: ");
        return false;
    }
    if (!backend->dump && !host_memory_set_dump(mem, false, error)) {
        g_prefix_error(error, "dump=off: ");
        return false;
    }
    return true;
}

typedef struct ProgressCall {
    const ObjectContext *context;
    const char *what;
} ProgressCall;

static bool tell_progress(void *opaque, uint64_t done, uint64_t total)
{
    ProgressCall *call = opaque;

    return call->context->progress(call->context->opaque, call->what, done, total);
}

/* Where the kernel would kill us, half-way, a sentence beforehand is better. */
static bool check_available(const MemoryBackend *backend, GError **error)
{
    uint64_t available = host_memory_available();

    if (available != 0 && backend->size > available) {
        g_autofree char *want = size_format_option(backend->size);
        g_autofree char *have = size_format_option(available);

        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_NO_MEMORY,
                    "prealloc=on: %s are wanted and the host has %s of free memory and swap", want,
                    have);
        return false;
    }
    return true;
}

static bool preallocate(const MemoryBackend *backend, const ObjectContext *context,
                        HostMemory *mem, bool bounded, GError **error)
{
    g_autofree char *what = g_strdup_printf("%s '%s': preallocating", backend->parent.cls->name,
                                            backend->parent.id);
    ProgressCall call = { context, what };
    HostPrealloc how = {
        .threads = (unsigned)backend->prealloc_threads,
        .progress = context->progress ? tell_progress : NULL,
        .opaque = &call,
    };

    if (bounded && mem->page_size == host_page_size() && !check_available(backend, error)) {
        return false;
    }
    if (!host_memory_preallocate(mem, backend->size, &how, error)) {
        g_prefix_error(error, "prealloc=on: ");
        return false;
    }
    return true;
}

static bool prepare(MemoryBackend *backend, const ObjectContext *context, HostMemory *mem,
                    bool bounded, GError **error)
{
    if (!apply_advice(backend, mem, error)) {
        return false;
    }
    if (backend->prealloc && !preallocate(backend, context, mem, bounded, error)) {
        return false;
    }
    backend->block = ram_block_new_from_mapping(context->memory, backend->parent.id, backend->size,
                                                mem, backend->prealloc ? RAM_PREALLOCATED : 0,
                                                error);
    return backend->block != NULL;
}

bool memory_backend_setup(MemoryBackend *backend, const ObjectContext *context,
                          HostMemorySpec *spec, bool bounded, GError **error)
{
    HostMemory mem = { .fd = -1 };

    spec->size = backend->size;
    spec->shared = backend->share;
    spec->noreserve = !backend->reserve;
    if (!memory_backend_check_size(backend, host_fd_page_size(spec->fd), error) ||
        !check_combination(backend, spec, error) || !host_memory_map(&mem, spec, error)) {
        if (spec->fd >= 0) {
            close(spec->fd);
        }
        return false;
    }
    if (!prepare(backend, context, &mem, bounded, error)) {
        host_memory_unmap(&mem);
        return false;
    }
    log_item(LOG_RAM, "%s '%s': %" PRIu64 " bytes at HVA %p, ram_addr_t 0x%" PRIx64
             ", page 0x%zx, fd %d", backend->parent.cls->name, backend->parent.id, backend->size,
             ram_block_host(backend->block), ram_block_offset(backend->block),
             ram_block_page_size(backend->block), ram_block_fd(backend->block));
    return true;
}

void memory_backend_removed(UserObject *obj)
{
    /* Old views may hold the memory for a moment more; a new object may have the id at once. */
    ram_block_release_name(((MemoryBackend *)obj)->block);
}

void memory_backend_finalize(UserObject *obj)
{
    MemoryBackend *backend = (MemoryBackend *)obj;

    ram_block_unref(backend->block);
    backend->block = NULL;
}

MemoryBackend *memory_backend_from_object(UserObject *obj)
{
    return g_strcmp0(obj->cls->family, MEMORY_BACKEND_FAMILY) == 0 ? (MemoryBackend *)obj : NULL;
}

MemoryBackend *memory_backend_get(ObjectStore *store, const char *id, GError **error)
{
    return (MemoryBackend *)object_store_get(store, id, MEMORY_BACKEND_FAMILY, error);
}

bool memory_backend_claim(MemoryBackend *backend, const char *user, GError **error)
{
    return user_object_claim(&backend->parent, user, error);
}

void memory_backend_release(MemoryBackend *backend)
{
    user_object_release(&backend->parent);
}

const char *memory_backend_id(const MemoryBackend *backend)
{
    return backend->parent.id;
}

uint64_t memory_backend_size(const MemoryBackend *backend)
{
    return backend->size;
}

RAMBlock *memory_backend_ram_block(const MemoryBackend *backend)
{
    return backend->block;
}

bool memory_backend_readonly(const MemoryBackend *backend)
{
    return ram_block_flags(backend->block) & RAM_READONLY;
}
