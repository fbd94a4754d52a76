# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# DIMMs in and out of a running guest by QMP: what the guest sees, memory in use, what is refused and
# why, other orders, a reboot.
. tests/rig/monitor-lib.sh

memory_initrd "$WORK/initrd"
append="$append memhp_default_state=online_movable"
start_guest -m 512,slots=5,maxmem=8G -smp 2 -kernel "$KERNEL/vmlinuz" -initrd "$WORK/initrd" "${monitor_args[@]}"
monitor_connect
wait_for '^=== ready' "$patience" || give_up boot "not ready after $patience s"
ok boot
base=$(guest_do base total)
dimm=131072                         # KiB

# In: one. What is on it when it is asked back, the guest moves to its other memory.
plug 0 || not_ok plug_0 "$reply"
wait_plugged 0
verdict $? plug_event "$event"
guest_blocks plugged_1 5 $((base + dimm))
guest_do filled 'seq 1 160000 >/tmp/piece; for i in $(seq 1 64); do cat /tmp/piece; done >/tmp/file; md5sum </tmp/file' >/dev/null
used=$(guest_do used 'movable_used')
within dimm_in_use_kib "$used" 60000 "$dimm"
unplug 0
verdict $? unplug_in_use "$reply"
guest_blocks moved_away 4 "$base"
equal content_moved "$(guest_do content 'md5sum </tmp/file; rm /tmp/file /tmp/piece')" "$(section filled)"

# Five: all slots there are.
for n in 0 1 2 3 4; do plug $n || not_ok plug_$n "$reply"; done
guest_blocks plugged_5 9 $((base + 5 * dimm))

# What cannot be.
backend() { qmp object-add "\"qom-type\": \"memory-backend-ram\", \"id\": \"$1\", \"size\": $(($2 << 20))" || not_ok "backend_$1" "$reply"; }
device() { echo "\"driver\": \"pc-dimm\", \"id\": \"dx\", \"memdev\": \"$1\"${2:-}"; }
backend odd 100
backend even 128
backend huge 7296
refused beyond_slots '*all 5 memory slots are in use*' device_add "$(device even)"
unplug 4 || not_ok unplug_4 "$reply"
refused misaligned '*size=100M*128 MiB*block*' device_add "$(device odd)"
refused misaligned_address '*128 MiB*block*' device_add "$(device even ', "addr": 5370806272')"
refused same_slot "*slot=1*'d1' is in it*" device_add "$(device even ', "slot": 1')"
refused same_memdev "*'m1' is in use already, by device 'd1'*" device_add "$(device m1)"
refused overlap "*'d0' lies there*" device_add "$(device even ', "addr": 4294967296')"
refused no_such_slot '*slot=5*slots=5*0 .. 4*' device_add "$(device even ', "slot": 5')"
refused beyond_maxmem '*above -m maxmem=8G*' device_add "$(device huge)"
refused same_id "*d1*" device_add '"driver": "pc-dimm", "id": "d1", "memdev": "even"'
refused no_such_dimm "*dx*" device_del '"id": "dx"'
refused backend_in_use "*m1*d1*" object-del '"id": "m1"'

# Out, in another order; one place is used again.
for n in 2 0; do unplug $n || not_ok unplug_$n "$reply"; done
guest_blocks unplugged_3 6 $((base + 2 * dimm))
plug 5 || not_ok plug_5 "$reply"
guest_blocks plugged_again 7 $((base + 3 * dimm))
type_line report
wait_for '^=== end.\?$' "$patience" || not_ok report "not there after $patience s"
check_messages

# A reboot keeps what is plugged, where it is.
before=$(hmp 'info mtree -f')
type_line 'reboot -f'
wait_for '^=== ready' "$patience" 2 || give_up reboot "not ready after $patience s"
wait_event RESET
verdict $? reboot_event "$event"
guest_blocks rebooted 7 $((base + 3 * dimm))
equal reboot_map "$(hmp 'info mtree -f')" "$before"

type_line 'poweroff -f'
wait_event SHUTDOWN
verdict $? shutdown_event "$event"
wait_end "$patience" && equal exit_status "$exit_status" 0
check_no_oops
