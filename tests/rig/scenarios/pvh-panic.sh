# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# An uncompressed vmlinux through its PVH entry; then a kernel panic, which with panic=-1 resets.

guest_initrd "$WORK/initrd" <<'EOS'
report
echo 1 >/proc/sys/kernel/sysrq
echo c >/proc/sysrq-trigger
EOS
start_guest -m 512 -smp 1 -kernel "$FIXTURES/vmlinux" -initrd "$WORK/initrd" -no-reboot
wait_for '^=== end' 90 || give_up boot "no report after 90 s"
ok boot
wait_end 60 || give_up panic "still running"
grep -q 'Kernel panic - not syncing: sysrq triggered crash' "$serial"
verdict $? panic_seen "the console does not show the panic"
equal panic_reset_status "$exit_status" 0
messages | grep -q 'Hypervisor detected: KVM'
verdict $? hypervisor_detected "the guest does not know that it runs on KVM"
check_report 512 1 pvh
