/* SPDX-License-Identifier: MIT */
/* What the kernel tells of pages that this process has touched, mapped twice, or given back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "tessera/util/host-memory.h"
#include "tessera/util/host-page.h"
#include "tessera/util/size.h"

#define PAGE 4096u

static bool privileged(void)
{
    return geteuid() == 0; /* all that matters here: CAP_SYS_ADMIN */
}

static HostMemory map(uint64_t size, bool huge)
{
    HostMemorySpec spec = { .size = size, .fd = -1, .noreserve = true };
    HostMemory mem;

    assert_true(host_memory_map(&mem, &spec, NULL));
    madvise(mem.host, mem.size, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    return mem;
}

/* KiB of @host's mapping in transparent huge pages, as smaps counts them. */
static unsigned long huge_kib(const void *host)
{
    FILE *file = fopen("/proc/self/smaps", "r");
    unsigned long start, end, kib = 0;
    bool inside = false;
    char line[512];

    assert_non_null(file);
    while (fgets(line, sizeof(line), file)) {
        if (sscanf(line, "%lx-%lx ", &start, &end) == 2) {
            inside = start <= (uintptr_t)host && (uintptr_t)host < end;
        } else if (inside && sscanf(line, "AnonHugePages: %lu kB", &kib) == 1) {
            break;
        }
    }
    fclose(file);
    return kib;
}

static void assert_small_and_present(const HostPage *page)
{
    assert_int_equal(page->state, HOST_PAGE_PRESENT);
    assert_int_equal(page->kind, HOST_PAGE_KIND_SMALL);
    assert_int_equal(page->size, PAGE);
    assert_null(page->why_no_size);
}

static void test_page_never_touched(void **state)
{
    HostMemory mem = map(16 * PAGE, false);
    HostPage page;

    host_page_look((char *)mem.host + 5 * PAGE, PAGE, &page);
    assert_int_equal(page.state, HOST_PAGE_ABSENT);
    assert_false(page.hpa_known);
    assert_non_null(strstr(page.why_unknown, "never touched"));
    assert_int_equal(page.size, 0);
    assert_non_null(page.why_no_size);
    assert_string_equal(host_page_state_name(page.state), "absent");
    host_page_clear(&page);
    host_page_look((char *)mem.host + 5 * PAGE, PAGE, &page); /* the look has not touched it */
    assert_int_equal(page.state, HOST_PAGE_ABSENT);
    host_page_clear(&page);
    host_memory_unmap(&mem);
}

static void test_page_touched_and_given_back(void **state)
{
    HostMemory mem = map(16 * PAGE, false);
    char *at = (char *)mem.host + 3 * PAGE + 0x123;
    HostPage page;

    *at = 1;
    host_page_look(at, PAGE, &page);
    assert_small_and_present(&page);
    assert_false(page.file);
    assert_int_equal(page.hpa_known, privileged());
    if (privileged()) {
        assert_int_equal(page.hpa % PAGE, 0x123);
        assert_null(page.why_unknown);
    } else {
        assert_non_null(strstr(page.why_unknown, "CAP_SYS_ADMIN"));
    }
    host_page_clear(&page);
    assert_true(host_memory_discard(&mem, 3 * PAGE, PAGE, NULL));
    host_page_look(at, PAGE, &page);
    assert_int_equal(page.state, HOST_PAGE_ABSENT);
    host_page_clear(&page);
    host_memory_unmap(&mem);
}

/* Two addresses of one page of a file: one place in the host's memory. */
static void test_page_mapped_twice(void **state)
{
    int fd = host_memfd_new("twice", 4 * PAGE, 0, false, NULL);
    char *a = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *b = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 2 * PAGE);
    HostPage x, y;

    a[2 * PAGE] = b[8] = 1;
    host_page_look(a + 2 * PAGE + 8, PAGE, &x);
    host_page_look(b + 8, PAGE, &y);
    assert_int_equal(x.state, HOST_PAGE_PRESENT);
    assert_true(x.file && y.file);
    assert_int_equal(x.hpa, y.hpa);
    assert_int_equal(x.hpa_known, privileged());
    host_page_clear(&x);
    host_page_clear(&y);
    munmap(a, 4 * PAGE);
    munmap(b, PAGE);
    close(fd);
}

/* Whether the kernel gives a huge page is its affair: both answers must be told right. */
static void test_page_that_may_be_huge(void **state)
{
    HostMemory mem = map(4 * MIB, true);
    bool huge;
    HostPage page;

    memset(mem.host, 1, 4 * MIB);
    huge = huge_kib(mem.host) == 4096;
    print_message("%lu KiB in huge pages\n", huge_kib(mem.host));
    host_page_look((char *)mem.host + MIB + 77, PAGE, &page);
    if (huge) {
        assert_int_equal(page.kind, HOST_PAGE_KIND_THP);
        assert_int_equal(page.size, 2 * MIB);
    } else if (huge_kib(mem.host) == 0) {
        assert_small_and_present(&page);
    }
    host_page_clear(&page);
    host_memory_unmap(&mem);
}

static void test_page_of_hugetlbfs(void **state)
{
    HostMemory mem = map(16 * PAGE, false);
    HostPage page;

    host_page_look(mem.host, 2 * MIB, &page); /* as a mapping of such pages would be asked about */
    assert_int_equal(page.kind, HOST_PAGE_KIND_HUGETLB);
    assert_int_equal(page.size, 2 * MIB);
    assert_string_equal(host_page_kind_name(page.kind), "hugetlb");
    host_page_clear(&page);
    host_memory_unmap(&mem);
}

/* In a child that has given its rights up. 0: it was told what it should be. */
static int look_without_privilege(char *at, bool readable)
{
    HostPage page;

    if (setresuid(65534, 65534, 65534) != 0 || prctl(PR_SET_DUMPABLE, readable) != 0) {
        return 1;
    }
    host_page_look(at, PAGE, &page);
    if (page.hpa_known || page.hpa || !page.why_unknown) {
        return 2;
    }
    if (readable) {
        return page.state == HOST_PAGE_PRESENT && strstr(page.why_unknown, "CAP_SYS_ADMIN") ? 0 : 3;
    }
    return page.state == HOST_PAGE_UNKNOWN && strstr(page.why_unknown, "pagemap") &&
                   page.why_no_size
               ? 0
               : 4;
}

static void test_page_without_privilege(void **state)
{
    HostMemory mem = map(16 * PAGE, false);

    if (!privileged()) {
        print_message("# skip: there are no rights to give up\n");
        host_memory_unmap(&mem);
        skip();
    }
    madvise(mem.host, mem.size, MADV_DOFORK);
    for (int readable = 0; readable <= 1; readable++) {
        int status;
        pid_t child;

        *(char *)mem.host = 1;
        child = fork();
        if (child == 0) {
            *(char *)mem.host = 2;
            _exit(look_without_privilege(mem.host, readable));
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
    host_memory_unmap(&mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_page_never_touched),
        cmocka_unit_test(test_page_touched_and_given_back),
        cmocka_unit_test(test_page_mapped_twice),
        cmocka_unit_test(test_page_that_may_be_huge),
        cmocka_unit_test(test_page_of_hugetlbfs),
        cmocka_unit_test(test_page_without_privilege),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
