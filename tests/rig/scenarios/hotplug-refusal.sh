# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A guest that cannot give a DIMM back, because its kernel keeps something there: it says why, lives
# on, and a reset takes the DIMM.
. tests/rig/monitor-lib.sh

memory_initrd "$WORK/initrd"
append="$append memhp_default_state=online_movable"
start_guest -m 512,slots=4,maxmem=4G -smp 1 -kernel "$KERNEL/vmlinuz" -initrd "$WORK/initrd" "${monitor_args[@]}"
monitor_connect
wait_for '^=== ready' "$patience" || give_up boot "not ready after $patience s"
ok boot
base=$(guest_do base total)
dimm=131072                         # KiB
plug 0 || not_ok plug_0 "$reply"
guest_blocks plugged_movable 5 $((base + dimm))

# Kernel memory does not move. DIMM 1 is the only memory of ZONE_NORMAL, so the kernel takes from it.
guest_do kernel_online 'echo online_kernel >$memory/auto_online_blocks' >/dev/null
plug 1 || not_ok plug_1 "$reply"
guest_blocks plugged_kernel 6 $((base + 2 * dimm))
guest_do pinned 'mkdir /tmp/many; cd /tmp/many; seq 1 4000 | xargs touch; for i in 1 2 3 4; do sleep 9999 & done' >/dev/null
before=$(hmp 'info mtree -f')
qmp device_del '"id": "d1"'
verdict $? unplug_asked "$reply"
wait_event MEM_UNPLUG_ERROR '"device": "d1"'
verdict $? unplug_refused "$event"
[[ $event == *'"msg": "'*busy* ]]
verdict $? refusal_in_words "$event"
wait_event DEVICE_UNPLUG_GUEST_ERROR '"device": "d1"'
verdict $? unplug_guest_error "$event"
qmp query-memory-devices
[[ $reply == *'"id": "d1"'*refused* ]]
verdict $? refusal_kept "$reply"
hmp 'info memory-devices' | sed 's/^/# /'
equal refusal_map "$(hmp 'info mtree -f')" "$before"
guest_blocks lives_on 6 $((base + 2 * dimm))
guest_do dmesg_of_refusal 'dmesg -r' >/dev/null
check_messages dmesg_of_refusal \
    '^(page:|head:|memcg:|aops:|flags: |raw: |page dumped because: unmovable page$|memory memory33: Offline failed\.$)'
unplug 0 || not_ok unplug_after_refusal "$reply"
guest_blocks unplugged_after 5 $((base + dimm))

# A request that is pending when the machine is reset is carried out, whatever the guest kept there.
# Both requests are one piece, so that the guest has no time to answer the first.
events=()
printf '{"execute": "device_del", "arguments": {"id": "d1"}}{"execute": "system_reset"}\n' >&5
wait_event DEVICE_DELETED '"device": "d1"'
verdict $? reset_unplugs "$event"
wait_event RESET
verdict $? reset_event "$event"
wait_for '^=== ready' "$patience" 2 || give_up reset "not ready after $patience s"
guest_blocks reset_without_it 4 "$base"
qmp object-del '"id": "m1"'
verdict $? backend_free_after_reset "$reply"

qmp quit
wait_end "$patience" && equal exit_status "$exit_status" 0
check_no_oops
