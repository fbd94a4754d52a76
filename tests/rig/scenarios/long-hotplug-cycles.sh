# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# 200 times a DIMM in and out (TESSERA_CYCLES: another number) leave nothing behind: address space,
# descriptors and KVM slots exactly, resident memory within 256 KiB.
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

# What the process has. The guest's own RAM is left out of the resident memory, by its mapping's size: the guest
# touches pages of it all the time. KVM's slots are what the map has of RAM and ROM.
footprint()
{
    awk '/^VmSize/ { print $2 }' "/proc/$guest_pid/status"
    ls "/proc/$guest_pid/fd" | wc -l
    hmp 'info mtree -f' | grep -cE '\((ram|rom)\)'
    awk '/^[0-9a-f]+-/ { big = 0 } /^Size:/ { big = $2 >= 262144 } /^Rss:/ && !big { sum += $2 } END { print sum }' \
        "/proc/$guest_pid/smaps"
}

# The first ones fill the caches of allocators and threads; the heap's one step comes within 30.
for n in $(seq 1 40); do cycle warm_$n; done
hmp 'info mtree -f' >/dev/null
mapfile -t before < <(footprint)
map=$(hmp 'info mtree -f')
cycles=${TESSERA_CYCLES:-200}
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
