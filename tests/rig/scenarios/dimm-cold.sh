# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A DIMM that is there when the machine starts: the guest finds it by ACPI, onlines it as movable
# memory, and gives it back by an eject of its own, unasked.

guest_initrd "$WORK/initrd" <<'EOS'
sockets=/sys/bus/acpi/devices
online() { cat /sys/devices/system/memory/memory*/state | grep -c online; }
total() { awk '/^MemTotal/ { print $2 }' /proc/meminfo; }
sleep 1
echo "=== before"; echo "$(ls -d /sys/devices/system/memory/memory* | wc -l) $(online) $(total)"
echo "=== block"; cat /sys/devices/system/memory/block_size_bytes
echo "=== zones"; cat /sys/devices/system/memory/memory32/valid_zones
echo "=== iomem_dimm"; grep 'System RAM' /proc/iomem | tail -n 1
for socket in "$sockets"/PNP0C80:*; do
    [ "$(cat "$socket/status" 2>/dev/null)" = 15 ] && echo 1 >"$socket/eject"
done
for i in $(seq 1 100); do
    [ -e /sys/devices/system/memory/memory32 ] || break
    sleep 0.1
done
echo "=== after"; echo "$(ls -d /sys/devices/system/memory/memory* | wc -l) $(online) $(total)"
echo "=== status"; cat "$sockets"/PNP0C80:*/status
report
poweroff -f
EOS
append="$append memhp_default_state=online_movable"
start_guest -m 256,slots=4,maxmem=1G -smp 1 -kernel "$KERNEL/vmlinuz" -initrd "$WORK/initrd" -no-reboot \
    -object memory-backend-ram,id=mem0,size=256M -device pc-dimm,id=dimm0,memdev=mem0
wait_for '^=== end' 90 || give_up boot "no report after 90 s"
ok boot
wait_end 60 || give_up poweroff "still running"
read -r all_before online_before total_before < <(section before)
read -r all_after online_after total_after < <(section after)
equal block_size "$(section block)" 8000000
equal blocks_before "$all_before $online_before" "4 4"
equal blocks_after "$all_after $online_after" "2 2"
equal zone "$(section zones)" Movable
within plugged_kib $((total_before - total_after)) 260000 262144
equal place "$(section iomem_dimm)" "100000000-10fffffff : System RAM"
check_messages
check_no_oops
