#!/bin/bash
# SPDX-License-Identifier: MIT
# What a directly booted payload finds: start info, memory map, modules, ACPI, device tree, RAM.
. "$(dirname "$0")/support/lib.sh"
need_kvm

run "info acpi exit=1"
[ $status = 3 ] && says "magic 0x336ec578" "version 0x1" "modules 0x0" "cmdline info acpi exit=1" \
    "memmap 0x0 0x9fc00 0x1" "memmap 0x100000 0x100000 0x1" "rsdp RSD PTR" "rsdp-sum 0x0"
report $? test_start_info

run_tessera -m 1M -kernel "$TESSERA_PAYLOADS/pc.elf" -append "info exit=1" -serial stdio
[ $status = 3 ] && says "memmap 0x0 0x9fc00 0x1" && ! grep -q "memmap 0x100000" "$dir/out"
report $? test_one_mebibyte

head -c 5000 /dev/urandom >"$dir/module"
sum=$(od -An -v -tu1 "$dir/module" | tr -s ' ' '\n' | awk '{ s += $1 } END { printf "%x", s }')
run "info until=1 cf9 exit=1" -initrd "$dir/module" -no-reboot
[ $status = 0 ] && says "modules 0x1" "module-size 0x1388" "module-sum 0x$sum"
report $? test_initrd_as_module

# The initrd is loaded anew at each reset, from the file as it was opened.
run "info boots until=2 cf9 exit=1" -initrd "$dir/module"
[ $status = 3 ] && [ "$(count "module-sum 0x$sum")" = 2 ]
report $? test_initrd_after_a_reset

# RAM is split around the hole below 4 GiB; both halves can be used, to the last page.
run "info high=0x100000000 high=0x17ffff000 exit=1" -m 5G
[ $status = 3 ] && [ "$(count "high 0x1122334455667788")" = 2 ] &&
    says "memmap 0x100000 0xbff00000 0x1" "memmap 0x100000000 0x80000000 0x1"
report $? test_ram_above_4_gib

run "info high=0x180000000 exit=1" -m 5G # one byte beyond
[ $status = 3 ] && ! says "high 0x1122334455667788"
report $? test_no_ram_behind_the_end

run "cpus=4 exit=1" -smp 4
[ $status = 3 ] && says "processors 0x4"
report $? test_four_processors

image=$TESSERA_PAYLOADS/images/setup-data.img
run_tessera -m 3M -kernel "$image" -serial stdio
[ $status = 1 ] && [ ! -s "$dir/out" ]
report $? test_bzimage_without_setup_data

run_tessera -m 3M -kernel "$image" -serial none -machine "dumpdtb=$dir/dtb"
[ $status = 0 ] && [ "$(od -An -tx1 -N4 "$dir/dtb" | tr -d ' ')" = d00dfeed ]
report $? test_dumpdtb
size=$(printf %08x "$(stat -c %s "$dir/dtb")")

run_tessera -m 3M -kernel "$image" -serial stdio -machine dtb=on
[ $status = 3 ] && says "setup-data 00000002 $size" "fdt-magic d00dfeed" "fdt-size $size"
report $? test_device_tree_in_setup_data

run "exit=1" -machine dtb=on
[ $status = 1 ] && grep -q "takes no setup_data.*bzImage" "$dir/err"
report $? test_device_tree_is_refused_for_elf

below="0000000000000000-00000000bfffffff (prio 0, ram): alias ram-below-4g @pc.ram 0000000000000000-"
above="0000000100000000-000000017fffffff (prio 0, ram): alias ram-above-4g @pc.ram 00000000c0000000-"
run "exit=1" -m 5G -machine "dump-memory-map=$dir/map"
[ $status = 3 ] &&
    grep -qF "$below" "$dir/map" && grep -qF "$above" "$dir/map" &&
    [ "$(grep -c '^slot ' "$dir/map")" = 4 ] &&
    grep -q '^slot 0: 0000000000000000-000000000009ffff .* rw pc.ram$' "$dir/map" &&
    grep -q '^slot 1: 00000000000c0000-00000000000dffff .* ro pc.rom$' "$dir/map" &&
    grep -q '^slot 2: 00000000000e0000-00000000bfffffff .* rw pc.ram$' "$dir/map" &&
    grep -q '^slot 3: 0000000100000000-000000017fffffff .* rw pc.ram$' "$dir/map"
report $? test_dump_of_the_memory_map

# The picture in the documentation, which is made without KVM, is that of this machine.
run "exit=1" -m 5G -name "The PC with -m 5G" -machine "dump-memory-map=$dir/map.svg"
[ $status = 3 ] && cmp -s "$dir/map.svg" "$top/docs/pictures/pc-5g.svg"
report $? test_picture_of_the_memory_map

run "exit=1" -machine "dump-memory-map=$dir/map.png"
[ $status = 1 ] && [ ! -e "$dir/map.png" ] && grep -q "there is no .png; .*\.svg, \.dot" "$dir/err"
report $? test_picture_of_another_kind

# What is there is written to, not replaced: a device file would be gone, a pipe's reader wait.
touch "$dir/target"
ln -s target "$dir/link"
run "exit=1" -machine "dump-memory-map=$dir/link"
[ $status = 3 ] && [ -L "$dir/link" ] && grep -q "^slot 0:" "$dir/target"
report $? test_dump_through_a_link

mkfifo "$dir/pipe"
timeout 60 cat "$dir/pipe" >"$dir/dtb2" &
reader=$!
run_tessera -m 3M -kernel "$image" -serial none -machine "dumpdtb=$dir/pipe"
wait "$reader"
[ $status = 0 ] && [ -p "$dir/pipe" ] && cmp -s "$dir/dtb" "$dir/dtb2"
report $? test_dumpdtb_into_a_pipe

(cd "$dir" && timeout 60 "$TESSERA" -m 3M -kernel "$image" -serial none -machine dumpdtb=- \
    >dtb3 2>err </dev/null && [ ! -e ./- ] && cmp -s dtb dtb3)
report $? test_dumpdtb_to_standard_output

timeout 60 "$TESSERA" -m 3M -kernel "$image" -serial none -machine dumpdtb=- \
    >/dev/full 2>"$dir/err" </dev/null
[ $? = 1 ] && grep -q "dumpdtb=-: .*No space left" "$dir/err"
report $? test_dumpdtb_to_a_full_disk

run "exit=1" -machine "dump-memory-map=$dir/no/such/folder"
[ $status = 1 ] && grep -q "dump-memory-map=$dir/no/such/folder" "$dir/err"
report $? test_dump_that_cannot_be_written

end
