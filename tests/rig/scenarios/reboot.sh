# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A guest's reboot without -no-reboot: the machine comes up again, with the same memory.

guest_initrd "$WORK/initrd" <<'EOS'
echo "=== up"; awk '/^MemTotal/ { print $2 }' /proc/meminfo; echo "=== end of up"
reboot -f
EOS
start_guest -m 256 -smp 2 -kernel "$KERNEL/vmlinuz" -initrd "$WORK/initrd"
wait_for '^=== end of up' 90 || give_up boot "not up after 90 s"
ok boot
wait_for '^=== end of up' 90 2 || give_up reboot "not up a second time"
ok reboot
within "same_memory" "$(section up | spread)" 0 1024     # KiB; the kernel moves about by KASLR
check_no_oops
stop_guest
