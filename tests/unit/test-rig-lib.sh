#!/bin/bash
# SPDX-License-Identifier: MIT
# The rig's checks of what a guest or a program reports find what they are for: each is given output
# that is right, and some that is wrong in one line.
set -u
cd "$(dirname "$0")/../.." || exit 1
export TESSERA=build/tessera
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
. tests/rig/lib.sh
serial=$WORK/serial
n=0

# console [SED-EXPRESSION]: a report as a 5 GiB guest gives it, changed by the expression.
console()
{
    {
        printf '=== cpus\n2\n=== memtotal\n5100000\n=== iomem\n'
        cat <<'EOS'
00000000-00000fff : Reserved
00001000-0009fbff : System RAM
00100000-bfffffff : System RAM
  01000000-01ffffff : Kernel code
c0000000-febfffff : PCI Bus 0000:00
fec00000-fec003ff : IOAPIC 0
fee00000-fee00fff : Local APIC
100000000-17fffffff : System RAM
=== dmesg
<6>[    0.000000] BIOS-e820: [mem 0x0000000000000000-0x000000000009fbff] usable
<6>[    0.000000] BIOS-e820: [mem 0x000000000009fc00-0x000000000009ffff] reserved
<6>[    0.000000] BIOS-e820: [mem 0x00000000000e0000-0x00000000000fffff] reserved
<6>[    0.000000] BIOS-e820: [mem 0x0000000000100000-0x00000000bfffffff] usable
<6>[    0.000000] BIOS-e820: [mem 0x00000000feffc000-0x00000000feffffff] reserved
<6>[    0.000000] BIOS-e820: [mem 0x0000000100000000-0x000000017fffffff] usable
EOS
        for i in $(seq 200); do echo "<6>[    1.000000] line $i"; done
        printf '=== end\n'
    } | sed -E "${1:-}" | sed 's/$/\r/' >"$serial"
}

# expect NAME WANTED: the checks that fail, by name, are these and no others.
expect()
{
    local got
    n=$((n + 1))
    got=$(check_report 5120 2 | sed -n 's/^not ok \([^ ]*\).*/\1/p' | xargs)
    if [ "$got" = "$2" ]; then echo "ok $n - $1"; else echo "not ok $n - $1"; echo "# failed: $got"; fi
}

console; expect test_check_report_good ""
console 's/^2$/1/'; expect test_check_report_cpus cpu_count
console 's/^5100000$/4194304/'; expect test_check_report_memtotal memtotal_kib
console 's/17fffffff\] usable/15fffffff] usable/'; expect test_check_report_e820 e820_usable
console 's/^100000000-17/100000000-16/'; expect test_check_report_iomem iomem_system_ram
console '/PCI Bus/d'; expect test_check_report_pci_bus "iomem_PCI_Bus_0000:00"
console '/0xfeffc000|00feffc000/d'; expect test_check_report_reserved e820_reserved_00000000feffc000-00000000feffffff
console 's/^<6>(.*line 150$)/<4>\1/'; expect test_check_report_warning messages_clean
console 's/^<6>(.*line 150$)/<11>\1/'; expect test_check_report_error_with_facility messages_clean
console 's/line 150$/ACPI BIOS Error (bug): x/'; expect test_check_report_acpi messages_clean
console '/line/d'; expect test_check_report_no_messages messages_reported

# expect_cases NAME STATUS OUTPUT WANTED: what `cases` makes of a program's output (with \n in it).
expect_cases()
{
    local got
    n=$((n + 1))
    printf '%b' "$3" >"$WORK/tap"
    got=$(cases program "$2" "$WORK/tap" | xargs -r -d '\n' printf '%s; ')
    if [ "$got" = "$4" ]; then echo "ok $n - $1"; else echo "not ok $n - $1"; echo "# verdicts: $got"; fi
}

expect_cases test_cases_good 0 '1..2\nok 1 - a\n# b: 5\nok 2 - b\n' "ok a; ok b; "
expect_cases test_cases_failed 1 '1..2\nnot ok 1 - a\n# why\nok 2 - b\n' "not ok a see its output; ok b; "
expect_cases test_cases_skipped 0 '1..2\nok 1 - a\nnot ok 2 # SKIP b\n' "ok a; not ok b it was skipped; "
expect_cases test_cases_missing 0 '1..2\nok 1 - a\n' "ok a; not ok program 1 of 2 cases, status 0; "
expect_cases test_cases_status 139 '1..1\nok 1 - a\n' "ok a; not ok program 1 of 1 cases, status 139; "
expect_cases test_cases_nothing 127 '' "not ok program 0 of 0 cases, status 127; "
echo "1..$n"
