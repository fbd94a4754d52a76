# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Many DIMMs, a big one, DIMMs of files and of huge pages, a plug under load, and clients that are
# killed while they ask.
. tests/rig/monitor-lib.sh

memory_initrd "$WORK/initrd"
append="$append memhp_default_state=online_movable"
start_guest -m 768,slots=256,maxmem=8960M -smp 2 -kernel "$KERNEL/vmlinuz" -initrd "$WORK/initrd" "${monitor_args[@]}" \
    -qmp "unix:$WORK/qmp2,server=on,wait=off"
monitor_connect
wait_for '^=== ready' "$patience" || give_up boot "not ready after $patience s"
base=$(guest_do base total)
dimm=131072                         # KiB

# While two processors fill and free memory: the DIMM comes all the same, and goes again.
guest_do load 'for i in 1 2; do (while true; do dd if=/dev/zero of=/tmp/load$i bs=1M count=64 2>/dev/null; rm /tmp/load$i; done) & pids="$pids $!"; done' >/dev/null
plug 0 || not_ok loaded_plug "$reply"
wait_plugged 0
verdict $? loaded_plug_event "$event"
guest_blocks loaded 7 $((base + dimm))
unplug 0
verdict $? loaded_unplug "$reply"
guest_blocks loaded_again 6 "$base"
guest_do calm 'kill $pids; sleep 1; rm -f /tmp/load*' >/dev/null

# 64 of them; slot 255 is the last.
for n in $(seq 1 63); do
    plug "$n" || { not_ok "plug_$n" "$reply"; break; }
done
plug 64 128 ', "slot": 255' || not_ok plug_last_slot "$reply"
qmp query-memory-devices
[[ $reply == *'"slot": 255'* ]]
verdict $? last_slot "$reply"
guest_blocks plugged_64 70 $((base + 64 * dimm))

# That was all that -m maxmem= promised.
qmp query-memory-size-summary
read -r plain plugged < <(sed -E 's/.*"base-memory": ([0-9]+).*"plugged-memory": ([0-9]+).*/\1 \2/' <<<"$reply")
equal maximum_reached $((plain + plugged)) $((8960 << 20))
qmp object-add '"qom-type": "memory-backend-ram", "id": "spare", "size": 134217728' || not_ok spare "$reply"
refused byte_beyond_the_last '*above -m maxmem=*' device_add '"driver": "pc-dimm", "id": "dx", "memdev": "spare"'
refused slot_beyond_the_last '*slot=256*0 .. 255*' device_add '"driver": "pc-dimm", "id": "dx", "memdev": "spare", "slot": 256'
for n in 64 $(seq 1 2 63) $(seq 62 -2 2); do
    unplug "$n" || { not_ok "unplug_$n" "$reply"; break; }
done
guest_blocks unplugged_64 6 "$base"

# 1 GiB, at a multiple of 1 GiB.
plug 65 1024 || not_ok plug_1g "$reply"
guest_blocks plugged_1g 14 $((base + 8 * dimm))
qmp query-memory-devices
echo "# $reply"
address=$(sed -E 's/.*"addr": ([0-9]+).*/\1/' <<<"$reply")
equal aligned_1g $((address % (1 << 30))) 0
unplug 65
verdict $? unplug_1g "$reply"

# A file's memory is the file; it stays when the DIMM has gone.
qmp object-add "\"qom-type\": \"memory-backend-file\", \"id\": \"m66\", \"size\": $((128 << 20)), \"share\": true, \"mem-path\": \"/dev/shm/dimm\"" &&
    qmp device_add '"driver": "pc-dimm", "id": "d66", "memdev": "m66"'
verdict $? plug_file "$reply"
guest_blocks plugged_file 7 $((base + dimm))
unplug 66
verdict $? unplug_file "$reply"
equal file_size "$(stat -c %s /dev/shm/dimm)" $((128 << 20))
rm -f /dev/shm/dimm

# Huge pages: all of them are the pool's again after the unplug.
echo 64 >/proc/sys/vm/nr_hugepages
pool() { awk '/^HugePages_Free/ { print $2 }' /proc/meminfo; }
if [ "$(pool)" = 64 ]; then
    qmp object-add "\"qom-type\": \"memory-backend-memfd\", \"id\": \"m67\", \"size\": $((128 << 20)), \"hugetlb\": true, \"hugetlbsize\": $((2 << 20)), \"prealloc\": true" &&
        qmp device_add '"driver": "pc-dimm", "id": "d67", "memdev": "m67"'
    verdict $? plug_hugetlb "$reply"
    equal pool_used "$(pool)" 0
    guest_blocks plugged_hugetlb 7 $((base + dimm))
    unplug 67
    verdict $? unplug_hugetlb "$reply"
    left=20
    while [ "$(pool)" != 64 ] && [ "$left" -gt 0 ]; do left=$((left - 1)); sleep 0.5; done
    equal pool_back "$(pool)" 64
else
    skip hugetlb "the rig gave $(pool) of 64 huge pages"
fi
echo 0 >/proc/sys/vm/nr_hugepages

# Clients that go in the middle of a request, or without reading the answer.
monitor_disconnect
for n in 1 2 3 4 5 6 7 8; do
    {
        printf '{"execute": "qmp_capabilities"}{"execute": "object-add", "arguments": {"qom-type": "memory-backend-ram", "id": "k%d", "size": 134217728}}' "$n"
        printf '{"execute": "device_add", "arguments": {"driver": "pc-dimm", "id": "kd%d", "memd' "$n"
        sleep 5
    } | socat -u - "UNIX-CONNECT:$WORK/qmp" &
    client=$!
    sleep 1
    kill -9 "$client" 2>/dev/null
    wait "$client" 2>/dev/null
done
monitor_connect
verdict $? answers_after_killed_clients "$reply"
qmp query-memory-devices
[[ $reply == *'"return": []'* ]]
verdict $? half_requests_did_nothing "$reply"
[ "$(hmp 'info memdev' | grep -c '^memory backend: k')" = 8 ]
verdict $? whole_requests_were_done "$(hmp 'info memdev' | xargs)"
plug 68 || not_ok plug_after_killed_clients "$reply"
guest_blocks plugged_after_killed_clients 7 $((base + dimm))
# One that asks for an unplug and dies: the job goes on without it.
{ printf '{"execute": "qmp_capabilities"}{"execute": "device_del", "arguments": {"id": "d68"}}'; sleep 5; } |
    socat -u - "UNIX-CONNECT:$WORK/qmp2" &
client=$!
guest_blocks unplugged_without_client 6 "$base"
kill -9 "$client" 2>/dev/null
type_line report
wait_for '^=== end.\?$' "$patience" || not_ok report "not there after $patience s"
check_messages
qmp quit
wait_end "$patience" && equal exit_status "$exit_status" 0
check_no_oops
