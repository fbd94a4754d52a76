# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Debian's full kernel: larger, compressed with xz, more drivers that look for hardware; four vCPUs
# and most of the rig's memory.

guest_initrd "$WORK/initrd" <<'EOS'
report
poweroff -f
EOS
start_guest -m 6G -smp 4 -kernel "$FULL_KERNEL/vmlinuz" -initrd "$WORK/initrd" -no-reboot
wait_for '^=== end' 240 || give_up boot "no report after 240 s"
ok boot
wait_end 60 || give_up poweroff "still running"
equal poweroff_status "$exit_status" 0
check_report 6144 4
check_no_oops
