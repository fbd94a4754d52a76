# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# All 256 slots: 255 DIMMs are there when the machine starts, the last one comes while the guest
# runs, and with it the last byte of maxmem. 256 x 128 MiB: the guest needs 512 MiB to describe them.
. tests/rig/monitor-lib.sh

dimms=()
for n in $(seq 0 254); do
    dimms+=(-object "memory-backend-ram,id=m$n,size=128M" -device "pc-dimm,id=d$n,memdev=m$n")
done
memory_initrd "$WORK/initrd"
append="$append memhp_default_state=online_movable"
start_guest -m 1G,slots=256,maxmem=33G -smp 1 -kernel "$KERNEL/vmlinuz" -initrd "$WORK/initrd" "${monitor_args[@]}" \
    "${dimms[@]}" >/dev/null
monitor_connect
wait_for '^=== ready' $((2 * patience)) || give_up boot "not ready after $((2 * patience)) s"
ok boot
dimm=131072                         # KiB
type_line 'blocks 263 cold'
wait_for '^=== end of cold' $((2 * patience)) || give_up cold "the guest does not answer"
read -r all online total < <(section cold)
equal cold_blocks "$all $online" "263 263"

plug 255 || not_ok plug_255 "$reply"
wait_plugged 255
verdict $? plug_event "$event"
guest_blocks plugged_256 264 $((total + dimm))
qmp query-memory-devices
[[ $reply == *'"slot": 255'* ]]
verdict $? last_slot "no slot 255"
qmp query-memory-size-summary
read -r plain plugged < <(sed -E 's/.*"base-memory": ([0-9]+).*"plugged-memory": ([0-9]+).*/\1 \2/' <<<"$reply")
equal maximum_reached $((plain + plugged)) $((33 << 30))
qmp object-add '"qom-type": "memory-backend-ram", "id": "spare", "size": 134217728' || not_ok spare "$reply"
refused one_more '*all 256 memory slots are in use; no machine has more*' device_add '"driver": "pc-dimm", "id": "dx", "memdev": "spare"'
qmp object-add '"qom-type": "memory-backend-ram", "id": "m1", "size": 134217728'
[[ $reply == *m1* ]]
verdict $? same_backend "$reply"

# The first, one in the middle and the last go, and the map is what it is without them.
for n in 255 0 128; do
    unplug "$n" || not_ok "unplug_$n" "$reply"
done
guest_blocks unplugged_3 261 $((total - 2 * dimm))
plug 255 || not_ok plug_again "$reply"
guest_blocks plugged_again 262 $((total - dimm))
type_line report
wait_for '^=== end.\?$' "$patience" || not_ok report "not there after $patience s"
check_messages
qmp quit
wait_end "$patience" && equal exit_status "$exit_status" 0
check_no_oops
