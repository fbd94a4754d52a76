/* SPDX-License-Identifier: MIT */
/* Memory backends, made and refused as -object does. */
#include "backend-fixture.h"

#include <glib/gstdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "host-mapping.h"
#include "tessera/util/error.h"

/* What brings the classes along from the archive. */
static const ObjectClass *const classes[] = { &memory_backend_ram_class,
                                              &memory_backend_memfd_class,
                                              &memory_backend_file_class };

static bool on_progress(void *opaque, const char *what, uint64_t done, uint64_t total)
{
    BackendFixture *f = opaque;

    assert_true(done <= total);
    g_string_printf(f->progress, "%s %" G_GUINT64_FORMAT "/%" G_GUINT64_FORMAT, what, done, total);
    return !f->cancel;
}

int backends_setup(void **state)
{
    BackendFixture *f = g_new0(BackendFixture, 1);

    f->ms = memory_system_new(NULL);
    f->context = (ObjectContext){ .memory = f->ms, .progress = on_progress, .opaque = f };
    f->store = object_store_new(&f->context);
    f->dir = g_dir_make_tmp("tessera-backend-XXXXXX", NULL);
    f->path = g_build_filename(f->dir, "memory", NULL);
    f->progress = g_string_new(NULL);
    *state = f;
    for (size_t i = 0; i < G_N_ELEMENTS(classes); i++) {
        assert_ptr_equal(object_class_find(classes[i]->name, NULL), classes[i]);
    }
    return f->dir ? 0 : -1;
}

int backends_teardown(void **state)
{
    BackendFixture *f = *state;
    int left_over;

    object_store_free(f->store);
    memory_system_free(f->ms);
    g_unlink(f->path);
    left_over = g_rmdir(f->dir); /* fails if somebody left a file behind */
    g_string_free(f->progress, TRUE);
    g_free(f->dir);
    g_free(f->path);
    g_free(f);
    return left_over;
}

MemoryBackend *backends_add(BackendFixture *f, const char *format, ...)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL;
    UserObject *obj;
    va_list ap;

    va_start(ap, format);
    text = g_strdup_vprintf(format, ap);
    va_end(ap);
    obj = object_store_add_option(f->store, text, &error);
    if (!obj) {
        fail_msg("%s: %s", text, error->message);
    }
    return memory_backend_from_object(obj);
}

static void count_block(RAMBlock *block, void *opaque)
{
    (*(unsigned *)opaque)++;
}

void backends_refuse(BackendFixture *f, int code, const char *part, const char *format, ...)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL;
    unsigned blocks = 0;
    va_list ap;

    va_start(ap, format);
    text = g_strdup_vprintf(format, ap);
    va_end(ap);
    if (object_store_add_option(f->store, text, &error)) {
        fail_msg("'%s' was accepted", text);
    }
    if (!strstr(error->message, part)) {
        fail_msg("'%s' gave '%s' without '%s'", text, error->message, part);
    }
    if (!g_error_matches(error, TESSERA_ERROR, code)) {
        fail_msg("'%s' gave code %d: %s", text, error->code, error->message);
    }
    memory_system_lock(f->ms);
    ram_block_for_each(f->ms, count_block, &blocks);
    memory_system_unlock(f->ms);
    assert_int_equal(blocks, 0);
}

uint8_t *backend_host(MemoryBackend *backend)
{
    return ram_block_host(memory_backend_ram_block(backend));
}

bool backend_has_flag(MemoryBackend *backend, const char *flag)
{
    return host_mapping_has_flag(backend_host(backend), flag);
}

uint64_t backend_resident_pages(MemoryBackend *backend)
{
    uint64_t pages = memory_backend_size(backend) / 4096, resident = 0;
    g_autofree unsigned char *map = g_malloc(pages);

    assert_int_equal(mincore(backend_host(backend), pages * 4096, map), 0);
    for (uint64_t i = 0; i < pages; i++) {
        resident += map[i] & 1;
    }
    return resident;
}
