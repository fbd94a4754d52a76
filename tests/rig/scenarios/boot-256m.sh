# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# The plain case: one vCPU, 256 MiB, a stock bzImage and a small initrd; a guest's power-off.

guest_initrd "$WORK/initrd" <<'EOS'
report
read -r line
echo "=== typed"; echo "$line"; echo "=== end of typed"
poweroff -f
EOS
start_guest -m 256 -smp 1 -kernel "$KERNEL/vmlinuz" -initrd "$WORK/initrd" -no-reboot
wait_for '^=== end' 90 || give_up boot "no report after 90 s"
ok boot
type_line "mosaic of tiles"
wait_end 60 || give_up poweroff "still running"
equal poweroff_status "$exit_status" 0
equal console_input "$(section typed)" "mosaic of tiles"
check_report 256 1
check_no_oops
