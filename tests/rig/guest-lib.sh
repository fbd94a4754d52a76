# SPDX-License-Identifier: MIT
# shellcheck shell=dash
# Functions for the scripts that scenarios run inside their guests (busybox sh).

# Waits until the console has sent everything, as every setting of the terminal does: a kernel that
# panics or ends forgets what its serial driver still holds.
sent() { stty -F /dev/ttyS0 opost; }

# What the guest knows about its machine, as sections "=== NAME" that section() in lib.sh reads.
report()
{
    echo "=== cpus"; grep -c '^processor' /proc/cpuinfo
    echo "=== memtotal"; awk '/^MemTotal/ { print $2 }' /proc/meminfo
    echo "=== cmdline"; cat /proc/cmdline
    echo "=== iomem"; cat /proc/iomem
    echo "=== dmesg"; dmesg -r
    echo "=== end"
    sent
}
