/* SPDX-License-Identifier: MIT */
/* The floor of giving a guest memory: see floor.h. */
#include "floor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define RAM_SIZE (256UL << 20)
#define GPA      (4ULL << 30)
#define SCI      9
#define SLOT     1

static int call(int fd, unsigned long request, void *argument, const char *what)
{
    int result = ioctl(fd, request, argument);

    if (result < 0) {
        fprintf(stderr, "bench: floor: %s: %s\n", what, strerror(errno));
        exit(1);
    }
    return result;
}

static void *map(size_t size)
{
    void *host = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (host == MAP_FAILED) {
        perror("bench: floor: mmap");
        exit(1);
    }
    return host;
}

static void set_slot(const BenchFloor *f, unsigned slot, uint64_t gpa, uint64_t size, void *host)
{
    struct kvm_userspace_memory_region region = { .slot = slot,
                                                  .guest_phys_addr = gpa,
                                                  .memory_size = size,
                                                  .userspace_addr = (uintptr_t)host };

    call(f->vm, KVM_SET_USER_MEMORY_REGION, &region, "KVM_SET_USER_MEMORY_REGION");
}

static void set_irq(const BenchFloor *f, unsigned level)
{
    struct kvm_irq_level irq = { .irq = SCI, .level = level };

    call(f->vm, KVM_IRQ_LINE, &irq, "KVM_IRQ_LINE");
}

void bench_floor_open(BenchFloor *f)
{
    f->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (f->kvm < 0) {
        perror("bench: floor: /dev/kvm");
        exit(1);
    }
    f->vm = call(f->kvm, KVM_CREATE_VM, NULL, "KVM_CREATE_VM");
    f->ram = map(RAM_SIZE);
    set_slot(f, 0, 0, RAM_SIZE, f->ram);
    call(f->vm, KVM_CREATE_IRQCHIP, NULL, "KVM_CREATE_IRQCHIP");
    f->vcpu = call(f->vm, KVM_CREATE_VCPU, NULL, "KVM_CREATE_VCPU");
}

void bench_floor_close(BenchFloor *f)
{
    close(f->vcpu);
    close(f->vm);
    close(f->kvm);
    munmap(f->ram, RAM_SIZE);
}

static void *give(const BenchFloor *f, uint64_t size)
{
    void *host = map(size);

    set_slot(f, SLOT, GPA, size, host);
    set_irq(f, 1);
    return host;
}

static void take_back(const BenchFloor *f, uint64_t size, void *host)
{
    set_irq(f, 0);
    set_slot(f, SLOT, GPA, 0, host);
    munmap(host, size);
}

double bench_floor(BenchFloor *f, uint64_t size)
{
    double start = bench_now_us();
    void *host = give(f, size);
    double end = bench_now_us();

    take_back(f, size, host);
    return end - start;
}

/* The process with the socket. The other end's lines are short and come one at a time. */
static void serve(int fd, uint64_t size) G_GNUC_NORETURN;
static void serve(int fd, uint64_t size)
{
    static const char answer[] = "{\"return\": {}}\r\n";
    char line[1024];
    BenchFloor floor;
    ssize_t n;

    bench_floor_open(&floor);
    while ((n = read(fd, line, sizeof(line) - 1)) > 0) {
        void *host = NULL;

        line[n] = '\0';
        if (strstr(line, "device_add")) {
            host = give(&floor, size);
        }
        if (send(fd, answer, strlen(answer), MSG_NOSIGNAL) < 0) {
            break;
        }
        if (host) {
            take_back(&floor, size, host);
        }
    }
    _exit(0);
}

void bench_floor_server_start(BenchFloorServer *server, uint64_t size)
{
    pid_t parent = getpid();
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0 || (server->pid = fork()) < 0) {
        perror("bench: floor: the process with the socket");
        exit(1);
    }
    if (server->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(fds[0]);
        if (getppid() == parent) {
            serve(fds[1], size);
        }
        _exit(0);
    }
    close(fds[1]);
    server->client = (BenchQmp){ .fd = fds[0] };
}

void bench_floor_server_stop(BenchFloorServer *server)
{
    bench_qmp_close(&server->client); /* its read() ends */
    waitpid(server->pid, NULL, 0);
}
