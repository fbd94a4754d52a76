/* SPDX-License-Identifier: MIT */
/* One host call fails for a reason of its own: what the user is told, and that nothing is left. */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <grp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "../kvm/support/model-kvm.h"
#include "../support/backend-fixture.h"
#include "support/faults.h"
#include "tessera/memory/ram-block.h"
#include "tessera/util/error.h"
#include "tessera/util/log.h"
#include "tessera/util/rcu.h"

#define MIB (1u << 20)

static void assert_says(const GError *error, const char *word)
{
    assert_non_null(error);
    if (!strstr(error->message, word)) {
        fail_msg("\"%s\" lacks \"%s\"", error->message, word);
    }
}

/* --- Files --- */

/* A file that can be seen and not opened; another that cannot be asked, enlarged, or made. */
static void test_backend_file_each_call(void **state)
{
    static const struct {
        const char *call;
        unsigned nth;
        int err;
        bool exists;
        const char *options;
        const char *words;
        int code;
    } cases[] = {
        { "open", 1, EACCES, true, "", "cannot open it for reading and writing (readonly=on",
          TESSERA_ERROR_SYSTEM },
        { "open", 1, EACCES, true, ",readonly=on", "cannot open it for reading: Permission",
          TESSERA_ERROR_SYSTEM },
        { "open", 1, EROFS, false, "", "cannot create the file: Read-only",
          TESSERA_ERROR_SYSTEM },
        { "ftruncate", 1, ENOSPC, false, "", "cannot enlarge the file to 2097152 bytes",
          TESSERA_ERROR_SYSTEM },
        { "fstat", 2, EIO, false, "", "Input/output error",
          TESSERA_ERROR_SYSTEM },
        { "mmap", 1, ENOMEM, false, "", "mem-path=", TESSERA_ERROR_NO_MEMORY },
    };
    BackendFixture *f = *state;

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_unlink(f->path);
        if (cases[i].exists) {
            int fd = g_open(f->path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);

            assert_int_equal(ftruncate(fd, 2 * MIB), 0);
            close(fd);
        }
        faults_fail_call(cases[i].call, cases[i].nth, cases[i].err);
        backends_refuse(f, cases[i].code, cases[i].words,
                        "memory-backend-file,id=m,size=2M,share=on,mem-path=%s%s", f->path,
                        cases[i].options);
        assert_true(faults_call_failed());
        assert_int_equal(g_access(f->path, F_OK) == 0, cases[i].exists);
    }
}

/* A directory whose file system has no nameless files: a named one, at once without its name. */
static void test_backend_file_in_a_directory_without_nameless_files(void **state)
{
    BackendFixture *f = *state;

    faults_fail_call("open", 1, EOPNOTSUPP);
    backends_add(f, "memory-backend-file,id=m,size=2M,share=on,mem-path=%s", f->dir);
    assert_true(faults_call_failed());
    assert_true(object_store_del(f->store, "m", NULL));
    rcu_drain();
    faults_fail_call("open", 1, EACCES);
    backends_refuse(f, TESSERA_ERROR_SYSTEM, "cannot create a file in the directory",
                    "memory-backend-file,id=n,size=2M,share=on,mem-path=%s", f->dir);
    assert_true(faults_call_failed());
}

/* A path that leads through a file. */
static void test_backend_file_path_through_a_file(void **state)
{
    BackendFixture *f = *state;

    assert_true(g_file_set_contents(f->path, "x", 1, NULL));
    backends_refuse(f, TESSERA_ERROR_SYSTEM, "Not a directory",
                    "memory-backend-file,id=m,size=2M,mem-path=%s/below", f->path);
}

/* Neither file, directory nor device. */
static void test_backend_file_is_a_pipe(void **state)
{
    BackendFixture *f = *state;

    assert_int_equal(mkfifo(f->path, 0600), 0);
    backends_refuse(f, TESSERA_ERROR_INVALID, "neither a file nor a directory nor a device",
                    "memory-backend-file,id=m,size=2M,mem-path=%s", f->path);
}

/* Contents that nobody needs any more stay: the object goes all the same, and the log says so. */
static void test_backend_file_discard_fails(void **state)
{
    BackendFixture *f = *state;
    g_autofree char *log = g_build_filename(f->dir, "log", NULL);
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;

    assert_true(log_configure("ram", log, NULL));
    backends_add(f, "memory-backend-file,id=m,size=2M,share=on,discard-data=on,mem-path=%s",
                 f->path);
    faults_fail_call("fallocate", 1, EOPNOTSUPP);
    assert_true(object_store_del(f->store, "m", &error));
    assert_true(faults_call_failed());
    rcu_drain();
    assert_true(log_configure("none", NULL, NULL));
    log_close();
    assert_true(g_file_get_contents(log, &text, NULL, NULL));
    g_unlink(log);
    assert_non_null(strstr(text, "memory-backend-file 'm': discard-data: "));
    assert_non_null(strstr(text, "2097152 bytes at HVA")); /* its creation */
}

/* --- Advice --- */

/* What was asked for by name must work; what is only the default may not. */
static void test_backend_advice_refused(void **state)
{
    BackendFixture *f = *state;

    faults_fail_call("madvise", 3, EINVAL); /* two hints come first */
    backends_refuse(f, TESSERA_ERROR_UNSUPPORTED, "merge=on: this host's kernel cannot merge",
                    "memory-backend-ram,id=m,size=2M,merge=on");
    assert_true(faults_call_failed());
    faults_fail_call("madvise", 4, ENOMEM);
    backends_refuse(f, TESSERA_ERROR_SYSTEM, "dump=off: ",
                    "memory-backend-ram,id=n,size=2M,dump=off");
    assert_true(faults_call_failed());
    faults_fail_call("madvise", 3, EINVAL);
    backends_add(f, "memory-backend-ram,id=m,size=2M");
    assert_true(faults_call_failed());
}

static void test_backend_shared_without_files(void **state)
{
    BackendFixture *f = *state;

    faults_fail_call("memfd_create", 1, EMFILE);
    backends_refuse(f, TESSERA_ERROR_SYSTEM, "Too many open files",
                    "memory-backend-ram,id=m,size=2M,share=on");
    assert_true(faults_call_failed());
    faults_fail_call("memfd_create", 1, ENFILE);
    backends_refuse(f, TESSERA_ERROR_SYSTEM, "Too many open files",
                    "memory-backend-memfd,id=m,size=2M");
    assert_true(faults_call_failed());
}

/* --- Blocks --- */

static void test_ram_block_shared_each_call(void **state)
{
    static const struct {
        const char *call;
        int err;
    } cases[] = { { "memfd_create", EMFILE }, { "ftruncate", ENOSPC }, { "mmap", ENOMEM } };
    MemorySystem *ms = memory_system_new(NULL);
    int before = open("/dev/null", O_RDONLY | O_CLOEXEC), after;

    close(before);
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;

        faults_fail_call(cases[i].call, 1, cases[i].err);
        assert_null(ram_block_new(ms, "shared", 2 * MIB, 0, RAM_SHARED, &error));
        assert_true(faults_call_failed());
        assert_says(error, "RAM block 'shared': ");
        after = open("/dev/null", O_RDONLY | O_CLOEXEC);
        close(after);
        assert_int_equal(before, after);
    }
    memory_system_free(ms);
}

/* More of the reservation is to be usable, and the host says no: the block is as it was. */
static void test_ram_block_resize_refused_by_the_host(void **state)
{
    MemorySystem *ms = memory_system_new(NULL);
    g_autoptr(GError) error = NULL;
    RAMBlock *block = ram_block_new(ms, "growing", 2 * MIB, 8 * MIB, 0, &error);
    uint8_t *host;

    assert_non_null(block);
    host = ram_block_host(block);
    host[2 * MIB - 1] = 7;
    faults_fail_call("mprotect", 1, ENOMEM);
    assert_false(ram_block_resize(block, 4 * MIB, &error));
    assert_true(faults_call_failed());
    assert_says(error, "RAM block 'growing': ");
    assert_int_equal(ram_block_used_length(block), 2 * MIB);
    assert_true(ram_block_resize(block, 4 * MIB, NULL));
    host[4 * MIB - 1] = 7;
    assert_int_equal(host[2 * MIB - 1], 7);
    ram_block_unref(block);
    memory_system_free(ms);
}

/* --- KVM's device --- */

static void assert_not_opened(const char *path, int err, const char *word)
{
    KvmConfig config = { .device = path, .identity_map_base = 0xfeffc000, .tss_base = 0xfeffd000 };
    g_autoptr(GError) error = NULL;

    model_kvm_reset();
    faults_fail_call("open", 1, err);
    assert_null(kvm_new(&config, &error));
    assert_true(faults_call_failed());
    assert_says(error, word);
    assert_says(error, path);
}

static void test_kvm_open_each_reason(void **state)
{
    assert_not_opened(MODEL_KVM_DEVICE, EBUSY, "another hypervisor holds");
    assert_not_opened(MODEL_KVM_DEVICE, EIO, "KVM cannot be used: cannot open");
    assert_not_opened(MODEL_KVM_DEVICE, ENFILE, "ulimit -n");
    assert_not_opened(MODEL_KVM_DEVICE, ENODEV, "KVM is missing");
    assert_not_opened(MODEL_KVM_DEVICE, EPERM, "join the group kvm");
}

/* The device's group by its own name, where the group may use it. */
static void test_kvm_open_names_the_devices_group(void **state)
{
    gid_t gid = geteuid() == 0 ? 1 : getegid(); /* 1: there is a group of that number everywhere */
    const struct group *group = getgrgid(gid);
    g_autofree char *word = group ? g_strdup_printf("usermod -aG %s USER", group->gr_name) : NULL;
    g_autofree char *path = NULL;
    int fd;

    if (gid == 0 || !group) {
        print_message("# skip: no group to give a file to\n");
        skip();
    }
    fd = g_file_open_tmp("tessera-XXXXXX", &path, NULL);
    assert_true(fd >= 0);
    assert_int_equal(fchown(fd, (uid_t)-1, gid), 0);
    assert_int_equal(fchmod(fd, 0660), 0);
    close(fd);
    assert_not_opened(path, EACCES, word);
    g_unlink(path);
}

static int teardown_model(void **state)
{
    model_kvm_reset();
    return 0;
}

int main(void)
{
#define BACKEND(test) cmocka_unit_test_setup_teardown(test, backends_setup, backends_teardown)
    const struct CMUnitTest tests[] = {
        BACKEND(test_backend_file_each_call),
        BACKEND(test_backend_file_in_a_directory_without_nameless_files),
        BACKEND(test_backend_file_path_through_a_file),
        BACKEND(test_backend_file_is_a_pipe),
        BACKEND(test_backend_file_discard_fails),
        BACKEND(test_backend_advice_refused),
        BACKEND(test_backend_shared_without_files),
        cmocka_unit_test(test_ram_block_shared_each_call),
        cmocka_unit_test(test_ram_block_resize_refused_by_the_host),
        cmocka_unit_test_teardown(test_kvm_open_each_reason, teardown_model),
        cmocka_unit_test_teardown(test_kvm_open_names_the_devices_group, teardown_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
