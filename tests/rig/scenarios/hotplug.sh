# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# DIMMs in and out of a running guest by QMP: what the guest sees, what is refused and why, other
# orders, memory in use, reboots, and a guest that cannot give the memory back.
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

# Kernel memory does not move. The DIMM is the only memory of ZONE_NORMAL, so the kernel takes from it.
guest_do kernel_online 'echo online_kernel >$memory/auto_online_blocks' >/dev/null
plug 6 || not_ok plug_6 "$reply"
guest_blocks plugged_kernel 8 $((base + 4 * dimm))
guest_do pinned 'mkdir /tmp/many; cd /tmp/many; seq 1 4000 | xargs touch; for i in 1 2 3 4; do sleep 9999 & done' >/dev/null
before=$(hmp 'info mtree -f')
qmp device_del '"id": "d6"'
verdict $? unplug_asked "$reply"
wait_event MEM_UNPLUG_ERROR '"device": "d6"'
verdict $? unplug_refused "$event"
[[ $event == *'"msg": "'*busy* ]]
verdict $? refusal_in_words "$event"
wait_event DEVICE_UNPLUG_GUEST_ERROR '"device": "d6"'
verdict $? unplug_guest_error "$event"
qmp query-memory-devices
[[ $reply == *'"id": "d6"'*refused* ]]
verdict $? refusal_kept "$reply"
hmp 'info memory-devices' | sed 's/^/# /'
equal refusal_map "$(hmp 'info mtree -f')" "$before"
guest_blocks lives_on 8 $((base + 4 * dimm))
guest_do dmesg_of_refusal 'dmesg -r' >/dev/null
check_messages dmesg_of_refusal \
    '^(page:[0-9a-f]+ refcount:.*|flags: .*|raw: .*|page dumped because: unmovable page|memory memory34: Offline failed\.)$'
unplug 1 || not_ok unplug_after_refusal "$reply"
guest_blocks unplugged_after 7 $((base + 3 * dimm))

# A request that is pending when the machine is reset is carried out, whatever the guest kept there.
# Both requests are one piece, so that the guest has no time to answer the first.
events=()
printf '{"execute": "device_del", "arguments": {"id": "d6"}}{"execute": "system_reset"}\n' >&5
wait_event DEVICE_DELETED '"device": "d6"'
verdict $? reset_unplugs "$event"
wait_event RESET
verdict $? reset_event "$event"
wait_for '^=== ready' "$patience" 3 || give_up reset "not ready after $patience s"
guest_blocks reset_without_it 6 $((base + 2 * dimm))
qmp object-del '"id": "m6"'
verdict $? backend_free_after_reset "$reply"

type_line 'poweroff -f'
wait_event SHUTDOWN
verdict $? shutdown_event "$event"
wait_end "$patience" && equal exit_status "$exit_status" 0
check_no_oops
