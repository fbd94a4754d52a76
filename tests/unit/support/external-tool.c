/* SPDX-License-Identifier: MIT */
/* Unit tests that check Tessera's output with a tool of other makers. */
#include "external-tool.h"

#include <glib/gstdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>

#include <cmocka.h>

bool tool_available(const char *program)
{
    g_autofree char *path = g_find_program_in_path(program);

    if (!path)
        fprintf(stderr, "\n*** SKIPPED: %s is not installed; its checks DID NOT RUN ***\n\n",
                program);
    return path != NULL;
}

char *tool_folder_new(void)
{
    g_autoptr(GError) error = NULL;
    char *folder = g_dir_make_tmp("tessera-unit-XXXXXX", &error);

    if (!folder)
        fail_msg("%s", error->message);
    return folder;
}

void tool_folder_remove(char *folder)
{
    const char *name;
    GDir *dir;

    if (!folder)
        return;
    dir = g_dir_open(folder, 0, NULL);
    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(folder, name, NULL);

        g_unlink(path);
    }
    if (dir)
        g_dir_close(dir);
    g_rmdir(folder);
    g_free(folder);
}

void tool_write(const char *folder, const char *name, const void *data, gsize length)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_autoptr(GError) error = NULL;

    if (!g_file_set_contents(path, data, (gssize)length, &error))
        fail_msg("%s", error->message);
}

GByteArray *tool_read(const char *folder, const char *name)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_autoptr(GError) error = NULL;
    char *data;
    gsize length;

    if (!g_file_get_contents(path, &data, &length, &error))
        fail_msg("%s", error->message);
    return g_byte_array_new_take((guint8 *)data, length);
}

int tool_run(const char *folder, char **ret_output, const char *program, ...)
{
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    g_autofree char *out = NULL;
    g_autofree char *err = NULL;
    g_autoptr(GError) error = NULL;
    va_list ap;
    int status;

    va_start(ap, program);
    for (const char *arg = program; arg; arg = va_arg(ap, const char *))
        g_ptr_array_add(argv, (gpointer)arg);
    va_end(ap);
    g_ptr_array_add(argv, NULL);
    if (!g_spawn_sync(folder, (char **)argv->pdata, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &out,
                      &err, &status, &error))
        fail_msg("%s", error->message);
    *ret_output = g_strconcat(out, err, NULL);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
