# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A stock kernel's boot and a DIMM in and out, as a timeline: a file in which each bar has its end, and
# which shows the plug and the unplug from the command to the guest's answer.
. tests/rig/monitor-lib.sh

if ! is_tessera; then
    skip trace "only Tessera has this trace"
    exit
fi
memory_initrd "$WORK/initrd"
append="$append memhp_default_state=online_movable"
start_guest -m 512,slots=2,maxmem=4G -smp 2 -kernel "$KERNEL/vmlinuz" -initrd "$WORK/initrd" \
    -trace "*,file=$WORK/trace.json" "${monitor_args[@]}"
monitor_connect
wait_for '^=== ready' "$patience" || give_up boot "not ready after $patience s"
ok boot
base=$(guest_do base total)
plug 0 || give_up plug "$reply"
wait_plugged 0
verdict $? plugged "$event"
guest_blocks plugged_blocks 5 $((base + 131072))
unplug 0
verdict $? unplugged "$reply"
equal probes "$(hmp 'info trace-events kvm_slot')" "kvm_slot : state 1"
qmp quit
wait_end "$patience" && equal exit_status "$exit_status" 0
check_no_oops

"$BUILD/tests/trace/check-trace" "$WORK/trace.json" >"$WORK/events" 2>"$WORK/wrong"
verdict $? file_is_whole_and_nested "$(cat "$WORK/wrong")"
echo "# $(wc -c <"$WORK/trace.json") bytes, $(wc -l <"$WORK/events") events;" \
    "threads: $(cut -d' ' -f1 "$WORK/events" | sort | uniq -c | xargs)"
grep -ho '"trace_lost".*' "$WORK/trace.json" | grep -o '"count":[0-9]*' | sed 's/^/# lost: /' | head -n 5
head -n 5 "$WORK/stderr" | sed "s/^/# stderr: /"

# happened NAME LINE...: in this order, others in between
happened()
{
    local name=$1 line from=1 at
    shift
    for line in "$@"; do
        at=$(tail -n "+$from" "$WORK/events" | grep -nxE -m1 -e "$line" | cut -d: -f1)
        [ -n "$at" ] || { not_ok "$name" "no '$line' behind line $from"; return; }
        from=$((from + at))
    done
    ok "$name"
}

for cpu in 0 1; do
    [ "$(grep -c "^vcpu$cpu B vcpu_exit " "$WORK/events")" -gt 100 ]
    verdict $? "vcpu${cpu}_exits" "only $(grep -c "^vcpu$cpu B vcpu_exit " "$WORK/events")"
done
happened start 'main X kvm_ioctl KVM_GET_API_VERSION' 'main B commit board: devices' 'main E commit board: devices' \
    'main i kvm_slot pc.ram' 'main i machine_state running' 'vcpu0 B vcpu_exit IO' \
    'vcpu0 i memory_dispatch serial' 'vcpu0 E vcpu_exit IO'
happened plug 'main B monitor_command device_add' 'main B commit device_add d0' \
    'main X kvm_ioctl KVM_SET_USER_MEMORY_REGION' 'main i kvm_slot d0' 'main E commit device_add d0' \
    'main i dimm_plug d0' 'main E monitor_command device_add' 'vcpu[01] B vcpu_exit IO' 'vcpu[01] i memory_dispatch acpi-memory-hotplug' \
    'vcpu[01] i dimm_ost' 'main i monitor_event ACPI_DEVICE_OST'
happened unplug 'main B monitor_command device_del' 'main i dimm_unplug_request d0' 'main E monitor_command device_del' \
    'vcpu[01] i dimm_ost' 'vcpu[01] B dimm_eject' 'vcpu[01] B commit guest eject of slot 0' \
    'vcpu[01] X kvm_ioctl KVM_SET_USER_MEMORY_REGION' 'vcpu[01] E commit guest eject of slot 0' 'vcpu[01] E dimm_eject' \
    'main i dimm_remove d0' 'main i monitor_event DEVICE_DELETED' \
    'main i machine_state shutdown'
