# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# RAM that crosses the hole below 4 GiB, two vCPUs, an initrd of 100 MiB, the map that Tessera
# dumps, and a guest's reboot under -no-reboot.

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
equal reset_status "$exit_status" "$(expected_status reset)"
equal big_initrd "$(section big | xargs)" "$(stat -c %s "$FIXTURES/big") $(tail -c 16 "$FIXTURES/big" | xargs)"
check_report 5120 2
check_no_oops

if is_tessera; then
    check_map_5g "$WORK/map"
else
    skip memory_map "only Tessera writes its map"
fi
