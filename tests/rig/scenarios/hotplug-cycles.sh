# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# 20 times a DIMM in and out (200 with TESSERA_LONG, TESSERA_CYCLES: another number) leave nothing
# behind: address space, descriptors and KVM slots exactly, resident memory within 256 KiB.
. tests/rig/monitor-lib.sh

memory_initrd "$WORK/initrd"
append="$append memhp_default_state=online_movable"
start_guest -m 512,slots=4,maxmem=4G -smp 1 -kernel "$KERNEL/vmlinuz" -initrd "$WORK/initrd" "${monitor_args[@]}"
monitor_connect
wait_for '^=== ready' "$patience" || give_up boot "not ready after $patience s"
base=$(guest_do base total)

cycle()
{
    plug 0 || give_up "plug_$1" "$reply"
    wait_plugged 0 || give_up "plug_$1" "$event"
    unplug 0 || give_up "unplug_$1" "$reply"
}

# What the process has. The guest's own RAM is left out of the resident memory, by its mapping's
# size: the guest touches pages of it all the time.
footprint()
{
    awk '/^VmSize/ { print $2 }' "/proc/$guest_pid/status"
    ls "/proc/$guest_pid/fd" | wc -l
    hmp 'info kvm-slots' | wc -l
    awk '/^[0-9a-f]+-/ { big = 0 } /^Size:/ { big = $2 >= 262144 } /^Rss:/ && !big { sum += $2 } END { print sum }' \
        "/proc/$guest_pid/smaps"
}

# The first ones start threads and fill caches.
for n in 1 2 3 4 5; do cycle warm_$n; done
hmp 'info mtree -f' >/dev/null
mapfile -t before < <(footprint)
map=$(hmp 'info mtree -f')
cycles=${TESSERA_CYCLES:-${TESSERA_LONG:+200}}
cycles=${cycles:-20}
for n in $(seq 1 "$cycles"); do cycle "$n"; done
ok "cycles_$cycles"
sleep 1                             # grace periods
mapfile -t after < <(footprint)
echo "# before: ${before[*]}; after: ${after[*]} (VSZ KiB, descriptors, slots, RSS KiB without guest RAM)"
equal vsz_kib "${after[0]}" "${before[0]}"
equal descriptors "${after[1]}" "${before[1]}"
equal slots "${after[2]}" "${before[2]}"
within rss_kib "${after[3]}" 0 $((before[3] + 256))
equal map "$(hmp 'info mtree -f')" "$map"
guest_blocks guest_as_before 4 "$base"
qmp quit
wait_end "$patience" && equal exit_status "$exit_status" 0
check_no_oops
