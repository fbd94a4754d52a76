#!/bin/bash
# SPDX-License-Identifier: MIT
# What the program finds around it: closed descriptors, a full disk, signals at odd moments.
. "$(dirname "$0")/support/lib.sh"
need_kvm

pc=(-nodefaults -m 2M -kernel "$TESSERA_PAYLOADS/pc.elf")

# The first files that are opened must not become the serial port.
timeout 60 "$TESSERA" "${pc[@]}" -append "say=hello exit=1" -serial stdio -d reset \
    -D "$dir/log" </dev/null >&- 2>"$dir/err"
status=$?
[ $status = 3 ] && [ -s "$dir/log" ] && ! grep -q hello "$dir/log"
report $? test_serial_with_standard_output_closed

timeout 60 "$TESSERA" "${pc[@]}" -append "exit=1" -serial null -machine dump-memory-map=- \
    >/dev/full 2>"$dir/err" </dev/null
status=$?
[ $status = 1 ] && grep -q "dump-memory-map=-: .*No space left" "$dir/err"
report $? test_map_to_a_full_disk

truncate -s 2M "$dir/ram"
for share in on off; do
    run "exit=1" -machine memory-backend=ram0 \
        -object "memory-backend-file,id=ram0,size=2M,mem-path=$dir/ram,readonly=on,share=$share"
    [ $status = 1 ] && grep -q "memory-backend=ram0: .*readonly=on" "$dir/err"
    report $? "test_boot_ram_that_cannot_be_written_share_$share"
done

# A guest that resets again and again does not fill the terminal with one sentence.
cp "$TESSERA_PAYLOADS/pc.elf" "$dir/kernel"
"$TESSERA" -nodefaults -m 2M -kernel "$dir/kernel" -append "say=up button boots until=9 cf9 exit=1" \
    -serial stdio >"$dir/out" 2>"$dir/err" </dev/null &
pid=$!
pids+=("$pid")
wait_for up
rm "$dir/kernel"
# A press during a reset is lost, as on a machine: press until the guest has had enough of it.
for ((press = 0; press < 1000; press++)); do
    kill -PWR "$pid" 2>/dev/null || break
    sleep 0.05
done
finish
[ $status = 3 ] && [ "$(wc -l <"$dir/err")" = 1 ] && grep -q "another file has that name" "$dir/err"
report $? test_replaced_kernel_is_told_once

# Each part of the heap that could hold a huge page was advised against it (VmFlags nh).
heap_is_of_small_pages()
{
    local line range size=0 seen=0
    while read -r line; do
        case $line in
        *'[heap]') range=${line%% *} size=$((0x${range#*-} - 0x${range%-*})) seen=$((seen + size)) ;;
        [0-9a-f]*-*) size=0 ;;
        VmFlags:*) ((size < 2 << 20)) || [[ "$line " == *' nh '* ]] || return 1 ;;
        esac
    done <"/proc/$pid/smaps"
    ((seen >= 8 << 20))
}

# Where the host gives out huge pages unasked, the heap must not become one of 2 MiB. A sanitizer's heap
# is its own affair.
if grep -qa -e __asan_init -e __tsan_init "$TESSERA"; then
    echo "# sanitized: no test_heap_of_small_pages"
elif [ ! -e /sys/kernel/mm/transparent_hugepage ]; then
    skip_test test_heap_of_small_pages "this kernel has no transparent huge pages"
else
    start "say=up halt" -serial stdio
    wait_for up && heap_is_of_small_pages
    report $? test_heap_of_small_pages
    kill "$pid"
    finish
fi

end
