# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What `info memory` says of a stock kernel: a DIMM takes nothing before the guest onlines it, then what
# the guest puts there, and is shown as pending while the guest is asked for it; the sums are those of
# their parts and of the kernel.
. tests/rig/monitor-lib.sh

memory_initrd "$WORK/initrd"
append="$append memhp_default_state=offline"
start_guest -m 512,slots=4,maxmem=8G -kernel "$KERNEL/vmlinuz" -initrd "$WORK/initrd" "${monitor_args[@]}"
monitor_connect
wait_for '^=== ready' "$patience" || give_up boot "not ready after $patience s"
ok boot

# ask: the report, in $reply. member GROUP NAME: a number of it. block ID NAME: of that block; part
# KIND NAME: of Tessera's own memory of that kind.
ask() { qmp x-query-memory || not_ok x_query_memory "$reply"; }
member() { sed -nE "s/.*\"$1\": \{[^}]*\"$2\": (null|[0-9]+).*/\1/p" <<<"$reply"; }
block() { sed -nE "s/.*\"id\": \"$1\"[^}]*\"$2\": (null|true|false|[0-9]+|\"[^\"]*\").*/\1/p" <<<"$reply"; }
part() { sed -nE "s/.*\"part\": \"$1\"[^}]*\"$2\": (null|[0-9]+).*/\1/p" <<<"$reply"; }
resident_kib() { echo $(($(block "$1" resident) / 1024)); }

add_up() { grep -oE '"resident": [0-9]+' | awk '{ sum += $2 } END { printf "%d\n", sum }'; }

# sums TAG: the parts of the two halves, and the process by itself.
sums()
{
    local blocks vmm n
    ask
    blocks=${reply#*\"blocks\"}
    vmm=${blocks#*\"vmm\": [}
    vmm=$(add_up <<<"${vmm%%]*}")
    blocks=$(add_up <<<"${blocks%%\"guest-total\"*}")
    equal "$1_guest_total" "$(member guest-total resident)" "$blocks"
    equal "$1_vmm_total" "$(member vmm-total resident)" "$vmm"
    equal "$1_process_sum" "$(member process sum)" $((blocks + vmm))
    # What this kernel's VmRSS lacks: each thread hands in its share of it now and then.
    n=$((($(member process resident) - $(member process sum)) / 1024))
    echo "# $1: the kernel counts $n KiB beside the sum"
    within "$1_kernel_count_off_by_kib" "${n#-}" 0 1024
}

sums at_rest
equal boot_role "$(block pc.ram role)" '"boot"'
within boot_resident_kib "$(resident_kib pc.ram)" 20000 524288
# This kernel gives out huge pages unasked: not to the heap.
within heap_kib $(($(part heap resident) / 1024)) 100 1536
[ "$(member kvm mapped)" != null ] && [ "$(member kvm mapped)" -gt 0 ]
verdict $? kvm_mapped "is $(member kvm mapped)"
within kvm_mapped_kib $(($(member kvm mapped) / 1024)) 1000 600000

# Plugged and not onlined: the guest knows of it, and has touched nothing.
plug 0 || not_ok plug_0 "$reply"
wait_plugged 0
verdict $? plug_event "$event"
ask
equal plugged_bytes "$(member guest plugged-memory)" $((128 << 20))
equal before_online_bytes "$(block m0 resident)" 0

# Onlined, then filled.
guest_do online 'for m in $memory/memory[0-9]*; do grep -q offline $m/state && echo online_movable >$m/state; done; online' >/dev/null
equal onlined_blocks "$(section online)" 5
ask
onlined=$(resident_kib m0)
within onlined_kib "$onlined" 0 65536
guest_do filled 'seq 1 160000 >/tmp/piece; for i in $(seq 1 64); do cat /tmp/piece; done >/tmp/file; md5sum </tmp/file' >/dev/null
used=$(guest_do used 'movable_used')
ask
within filled_kib "$(resident_kib m0)" "$used" 131072
[ "$(resident_kib m0)" -gt $((onlined + 40000)) ]
verdict $? resident_grows "$onlined KiB, then $(resident_kib m0)"
sums filled
hmp 'info memory' | sed 's/^/# /'

# Asked back: pending at once, nothing when it is gone; its backend then is nobody's.
qmp device_del '"id": "d0"' || not_ok device_del "$reply"
ask
equal pending_bytes "$(member guest unplug-pending)" $((128 << 20))
equal pending_block "$(block m0 unplug-pending)" true
wait_event DEVICE_DELETED '"device": "d0"'
verdict $? deleted_event "$event"
ask
equal pending_no_more "$(member guest unplug-pending)" 0
equal plugged_no_more "$(member guest plugged-memory)" 0
equal unused_role "$(block m0 role)" '"unused"'
qmp object-del '"id": "m0"' || not_ok object_del "$reply"
ask
equal block_is_gone "$(block m0 role)" ''
sums end

type_line 'poweroff -f'
wait_event SHUTDOWN
verdict $? shutdown_event "$event"
wait_end "$patience" && equal exit_status "$exit_status" 0
check_no_oops
