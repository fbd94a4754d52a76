# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# RAM that crosses the hole below 4 GiB, two vCPUs, an initrd of 100 MiB, the map that Tessera
# dumps, and a guest's reboot under -no-reboot.

# map_has NAME LINE: the tree shows LINE, whatever its indentation and priority.
map_has()
{
    sed -E 's/^ +//; s/\(prio -?[0-9]+, /(/' "$WORK/map" | grep -qxF -e "$2"
    verdict $? "$1" "not in the map: $2"
}

# The slots of a PC of 5 GiB: RAM with the VGA hole and the option ROMs cut out, and what is above.
promised_slots()
{
    printf '%016x-%016x\n' 0 0x9ffff 0xc0000 0xdffff 0xe0000 0xbfffffff 0x100000000 0x17fffffff
}

check_map()
{
    map_has map_below_4g "0000000000000000-00000000bfffffff (ram): alias ram-below-4g @pc.ram 0000000000000000-00000000bfffffff"
    map_has map_above_4g "0000000100000000-000000017fffffff (ram): alias ram-above-4g @pc.ram 00000000c0000000-000000013fffffff"
    equal map_slots "$(grep -i '^ *slot ' "$WORK/map" | grep -oE '[0-9a-f]{16}-[0-9a-f]{16}' | xargs)" \
        "$(promised_slots | xargs)"
}

guest_initrd "$WORK/script" <<'EOS'
report
echo "=== big"; wc -c </big; tail -c 16 /big; echo "=== end of big"
reboot -f
EOS
cat "$WORK/script" "$FIXTURES/big.cpio" >"$WORK/initrd"

options=()
is_tessera && options=(-machine "dump-memory-map=$WORK/map")
start_guest -m 5G -smp 2 -kernel "$KERNEL/vmlinuz" -initrd "$WORK/initrd" -no-reboot "${options[@]}"
wait_for '^=== end of big' 120 || give_up boot "no report after 120 s"
ok boot
wait_end 60 || give_up reboot "still running"
equal reset_status "$exit_status" 0
equal big_initrd "$(section big | xargs)" "$(stat -c %s "$FIXTURES/big") $(tail -c 16 "$FIXTURES/big" | xargs)"
check_report 5120 2
check_no_oops

if is_tessera; then
    check_map
else
    skip memory_map "only Tessera writes its map"
fi
