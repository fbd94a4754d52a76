#!/bin/bash
# SPDX-License-Identifier: MIT
# DIMMs that come and go leave nothing behind in the process: its size, its mappings and descriptors
# are exactly what they were. The guest knows no ACPI: a reset carries out the requests.
. "$(dirname "$0")/support/lib.sh"
need_kvm

rounds=${TESSERA_LONG:+2000}
rounds=${rounds:-200}

# A sanitizer keeps freed memory for a while, and its own books, as counting for coverage does: there,
# only descriptors are compared.
sanitized=
if grep -qa -e __asan_init -e __tsan_init -e __gcov_dump "$TESSERA"; then
    sanitized=1
fi

# qmp COMMAND [ARGUMENTS]: true if it succeeded; the answer is in reply.
qmp()
{
    printf '{"execute": "%s", "arguments": {%s}}\n' "$1" "${2:-}" >&"$to"
    while read -r -t 30 reply <&"$from"; do
        case $reply in
        '{"return"'*) return 0 ;;
        '{"error"'*) return 1 ;;
        *DEVICE_DELETED*) deleted=1 ;;
        esac
    done
    return 1
}

# One DIMM in and out. Events come before the answer of the command that caused them.
cycle()
{
    deleted=
    qmp object-add '"qom-type": "memory-backend-ram", "id": "m", "size": 134217728' &&
        qmp device_add '"driver": "pc-dimm", "id": "d", "memdev": "m"' &&
        qmp device_del '"id": "d"' && qmp system_reset && qmp object-del '"id": "m"' &&
        [ -n "$deleted" ]
}

cycles()                        # cycles COUNT
{
    local i
    for ((i = 0; i < $1; i++)); do
        cycle || return
    done
}

mappings() { wc -l <"/proc/$pid/maps"; }

# Mappings that are large enough to be a DIMM.
large()
{
    local range rest count=0
    while read -r range rest; do
        ((0x${range#*-} - 0x${range%-*} >= 134217728)) && ((++count))
    done <"/proc/$pid/maps"
    echo "$count"
}

# The memory of the last DIMM goes after a grace period.
settle()
{
    local i
    for ((i = 0; i < 600 && $(large) > at_rest; i++)); do
        moment
    done
}

footprint()
{
    [ -n "$sanitized" ] ||
        echo "$(awk '/^VmSize/ { print $2 }' "/proc/$pid/status") KiB, $(mappings) mappings,"
    echo "$(find "/proc/$pid/fd" -type l | wc -l) descriptors"
}

start "say=up halt" -serial stdio -m 512,slots=4,maxmem=4G -qmp "unix:$dir/qmp,server=on,wait=off"
if ! wait_for up; then
    report 1 test_dimm_in_and_out
    end
    exit
fi
at_rest=$(large)
mkfifo "$dir/to" "$dir/from"
socat - "UNIX-CONNECT:$dir/qmp" <"$dir/to" >"$dir/from" &
client=$!
exec {to}>"$dir/to" {from}<"$dir/from"
qmp qmp_capabilities && cycles 10
report $? test_dimm_in_and_out
settle
before=$(footprint)
cycles "$rounds"
report $? "test_dimm_in_and_out_$rounds"
settle
after=$(footprint)
echo "# before: ${before//$'\n'/ }; after: ${after//$'\n'/ }"
[ "$before" = "$after" ]
report $? test_dimm_footprint
exec {to}>&- {from}<&-
kill "$pid" "$client" 2>/dev/null
finish
end
