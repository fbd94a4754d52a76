/* SPDX-License-Identifier: MIT */
/* The hotplug benchmark's init: says when a memory block of the guest has come online. */
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * The kernel sends "online@/devices/system/memory/memoryN" behind the block's onlining, on netlink
 * (lib/kobject_uevent.c, device_online()): the guest sleeps until then and polls nothing.
 */
static int listen_to_kernel(void)
{
    struct sockaddr_nl addr = { .nl_family = AF_NETLINK, .nl_groups = 1 };
    int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);

    return fd >= 0 && bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0 ? fd : -1;
}

static void say(const char *text)
{
    size_t length = strlen(text);

    while (length > 0) {
        ssize_t n = write(STDOUT_FILENO, text, length);

        if (n <= 0) {
            return;
        }
        text += n;
        length -= (size_t)n;
    }
}

int main(void)
{
    static const char wanted[] = "online@/devices/system/memory/memory";
    int fd = listen_to_kernel();

    say(fd >= 0 ? "INIT-IS-UP\n" : "NO-NETLINK\n");
    for (;;) {
        char text[4096];
        ssize_t n = recv(fd, text, sizeof(text), 0);

        if (n < 0) {
            sleep(1);
        } else if ((size_t)n >= sizeof(wanted) && memcmp(text, wanted, sizeof(wanted) - 1) == 0) {
            say("ONLINE\n");
        }
    }
}
