# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Accounting of pages that are merged, on swap, or huge: on a host these are the administrator's to
# give. This host is nobody's: it gives them, and takes them back for the scenarios after this one.

ksm=/sys/kernel/mm/ksm/run
huge_pages=/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages

# Swap on a disk in memory: files on tmpfs cannot be swapped to. The module is this kernel's own.
swap_on()
{
    modprobe -d "$FULL_KERNEL/root" brd rd_nr=1 rd_size=65536 &&
        busybox mkswap /dev/ram0 >/dev/null && busybox swapon /dev/ram0
}

take_back()
{
    echo 2 >$ksm; echo 0 >$ksm          # 2: nothing stays merged
    busybox swapoff /dev/ram0 && modprobe -d "$FULL_KERNEL/root" -r brd
    echo 0 >$huge_pages
}

trap 'take_back 2>/dev/null; stop_guest' EXIT
echo 1 >$ksm
equal merging "$(cat $ksm)" 1
swap_on
verdict $? swap "no swap on a disk in memory"
echo 4 >$huge_pages
equal huge_pages "$(cat $huge_pages)" 4

rig_test host-pages

take_back
trap stop_guest EXIT
equal taken_back "$(cat $ksm) $(grep -c / /proc/swaps) $(cat $huge_pages)" "0 0 0"
