# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Two resets in a row by each way a guest has to ask for one.

guest_initrd "$WORK/initrd" <<'EOS'
echo "=== up"; awk '/^MemTotal/ { print $2 }' /proc/meminfo; echo "=== end of up"
reboot -f
EOS
cmdline=$append
for way in acpi kbd pci triple; do
    append="$cmdline reboot=$way"
    start_guest -m 256 -smp 2 -kernel "$KERNEL/vmlinuz" -initrd "$WORK/initrd"
    if wait_for '^=== end of up' 180 3; then
        ok "reboot_$way"
        resident=$(awk '/^RssAnon/ { print $2 }' "/proc/$guest_pid/status")
        echo "# anonymous memory after two resets: $resident KiB"
        within "same_memory_$way" "$(section up | spread)" 0 1024     # KiB; the kernel moves about by KASLR
    else
        not_ok "reboot_$way" "not up three times"
    fi
    check_no_oops
    stop_guest
done
