/* SPDX-License-Identifier: MIT */
/* Memory backends, made and refused as -object does. */
#ifndef TESSERA_TESTS_BACKEND_FIXTURE_H
#define TESSERA_TESTS_BACKEND_FIXTURE_H

#include <glib.h>
#include "../../../src/memory/backend-internal.h"
#include "tessera/memory/memory-system.h"

typedef struct BackendFixture {
    MemorySystem *ms;
    ObjectContext context;
    ObjectStore *store;
    char *dir;
    char *path; /* in dir, does not exist at first */
    GString *progress;
    bool cancel;
} BackendFixture;

/* For cmocka; the teardown fails if anything but @path is left in the folder. */
int backends_setup(void **state);
int backends_teardown(void **state);
/** backends_add() - by the text of -object; must work */
MemoryBackend *backends_add(BackendFixture *f, const char *format, ...) G_GNUC_PRINTF(2, 3);
/** backends_refuse() - with @code and @part in the message, and without a block left */
void backends_refuse(BackendFixture *f, int code, const char *part, const char *format, ...)
    G_GNUC_PRINTF(4, 5);

uint8_t *backend_host(MemoryBackend *backend);
bool backend_has_flag(MemoryBackend *backend, const char *flag);
uint64_t backend_resident_pages(MemoryBackend *backend);

#endif
