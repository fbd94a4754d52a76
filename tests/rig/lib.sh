# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What the scenarios share: start a guest, talk with it, look at what it says. They run inside the
# rig, in the top folder of the source, each in a shell of its own started by run-scenarios.
#
# From outside: TESSERA (the program with its first options), KERNEL and FULL_KERNEL (fetch-kernel's
# folders of the cloud and the plain flavour), FIXTURES (base.cpio, vmlinux, big.cpio made outside),
# BUILD (where tests/guest and tests/rig/programs were built), WORK (this scenario's own folder).

# --- Verdicts: one line for each thing checked; `check` counts them.

ok() { echo "ok $*"; }
not_ok() { echo "not ok $*"; }
skip() { echo "skip $*"; }          # skip NAME REASON...

# verdict STATUS NAME REASON-IF-NOT...
verdict() { if [ "$1" = 0 ]; then ok "$2"; else not_ok "${@:2}"; fi; }

# equal NAME GOT WANTED
equal() { [ "$2" = "$3" ]; verdict $? "$1" "is \"$2\", not \"$3\""; }

# within NAME GOT LOWEST HIGHEST
within()
{
    [[ $2 =~ ^[0-9]+$ ]] && [ "$2" -ge "$3" ] && [ "$2" -le "$4" ]
    verdict $? "$1" "is \"$2\", not in $3 .. $4"
}

# A scenario that cannot go on says why and ends.
give_up() { not_ok "$@"; stop_guest; exit 1; }

# Is the program under test Tessera? QEMU may stand in to try a scenario itself, or for comparison.
is_tessera() { [[ ${TESSERA%% *} == *tessera ]]; }

# --- Guests. One at a time: its process is guest_pid, its console is the file $serial.

# guest_initrd FILE <<SCRIPT: an initrd whose init runs SCRIPT, after guest-lib.sh and with the
# modules of base.cpio. A second archive over the first one: the kernel unpacks both.
guest_initrd()
{
    local dir=$WORK/initrd.d
    mkdir -p "$dir"
    cat tests/rig/guest-lib.sh - >"$dir/script"
    (cd "$dir" && echo script | cpio -o -H newc --quiet) >"$WORK/script.cpio"
    cat "$FIXTURES/base.cpio" "$WORK/script.cpio" >"$1"
}

# start_guest OPTIONS...: starts the program with its console in $serial; more on append via $append.
append="console=ttyS0 quiet panic=-1"
start_guest()
{
    serial=$WORK/serial
    console_in=$WORK/console-in
    : >"$serial"
    rm -f "$console_in"
    mkfifo "$console_in"
    # shellcheck disable=SC2086 # TESSERA carries options
    $TESSERA -cpu host,-xsave -nodefaults -display none -serial stdio "$@" -append "$append" \
        <"$console_in" >"$serial" 2>"$WORK/stderr" &
    guest_pid=$!
    exec 7>"$console_in"        # held open: the console's input does not end
    echo "# started: $* -append \"$append\""
}

# Types a line at the guest's console.
type_line() { printf '%s\n' "$1" >&7; }

# guest_running: is the process still there?
guest_running() { kill -0 "$guest_pid" 2>/dev/null; }

# stuck WHAT: something did not come in its time; says what, and what the guest's threads are at. On
# standard error, because callers often take the standard output of what waits.
stuck()
{
    local task
    {
        echo "# waited in vain for $1"
        for task in "/proc/${guest_pid:-none}"/task/*; do
            echo "# thread $(cat "$task/comm"): $(sed 's/.*) //' "$task/stat" | awk '{ print "state", $1, "user", $12, "system", $13 }')" \
                "$(cat "$task/wchan")"
        done
        tail -n 5 "$serial" | tr -d '\r' | sed 's/^/# console: /'
    } >&2 2>/dev/null
}

# wait_for PATTERN SECONDS [COUNT]: until the console shows PATTERN (COUNT times). Each look costs
# the guest time on the rig's one processor.
wait_for()
{
    local end=$((SECONDS + $2)) wanted=${3:-1}
    while [ "$(grep -c -e "$1" "$serial")" -lt "$wanted" ]; do
        if [ "$SECONDS" -ge "$end" ] || ! guest_running; then
            [ "$(grep -c -e "$1" "$serial")" -lt "$wanted" ] || return 0
            stuck "'$1' ($wanted times) on the console, $2 s"
            return 1
        fi
        sleep 0.5
    done
}

# wait_end SECONDS: until the process ends by itself; sets exit_status. Kills it after that time.
wait_end()
{
    local end=$((SECONDS + $1))
    exit_status=timeout
    while guest_running && [ "$SECONDS" -lt "$end" ]; do
        sleep 0.5
    done
    if guest_running; then
        stop_guest
        return 1
    fi
    wait "$guest_pid"
    exit_status=$?
    exec 7>&-
}

# Ends the guest's process if there is one.
stop_guest()
{
    [ -n "${guest_pid:-}" ] || return 0
    kill "$guest_pid" 2>/dev/null && sleep 1
    kill -9 "$guest_pid" 2>/dev/null
    wait "$guest_pid" 2>/dev/null
    exec 7>&-
    guest_pid=
}

# The last lines of the console and of stderr, as comments, for whoever looks for the reason.
show_end()
{
    tail -n "${1:-25}" "$serial" | tr -d '\r' | sed 's/^/# console: /'
    tail -n 10 "$WORK/stderr" | sed 's/^/# stderr: /'
}

# guest_test NAME: runs a program of tests/guest (RIG_GUEST_TESTS in tests.mk) on this machine's KVM
guest_test()
{
    TESSERA_PAYLOADS=$BUILD/tests/guest/payloads "$BUILD/tests/guest/test-$1" >"$WORK/$1" 2>&1
    verdict $? "$1" "$(grep -aE 'ERROR|error:' "$WORK/$1" | head -n 2 | tr '\n' ' ')"
    cat "$WORK/$1"
}

# rig_test NAME: runs a program of tests/rig/programs; each of its cases is a verdict.
rig_test()
{
    TESSERA_PAYLOADS=$BUILD/tests/guest/payloads CMOCKA_MESSAGE_OUTPUT=TAP \
        "$BUILD/tests/rig/programs/test-$1" >"$WORK/$1" 2>&1
    cases "$1" $? "$WORK/$1"
    sed 's/^/# /' "$WORK/$1"
}

# cases NAME STATUS LOG: the verdicts of a program that ended with STATUS and said LOG (TAP). Such a
# program is there because the rig has what it needs: a case that was skipped has failed, and so have
# those that never came.
cases()
{
    awk -v name="$1" -v status="$2" '
        /^1\.\.[0-9]+$/ { planned += substr($0, 4) }
        /^(not )?ok +[0-9]/ {
            said = $0; sub(/^(not )?ok +[0-9]+ *(- *)?/, "", said); sub(/^# SKIP */, "", said)
            skipped = /# SKIP/
            good = /^ok/ && !skipped
            n++; bad += !good
            print (good ? "ok " : "not ok ") said (good ? "" : skipped ? " it was skipped" : " see its output")
        }
        END {
            if (n == 0 || n != planned || (status != 0 && !bad))
                print "not ok " name " " n + 0 " of " planned + 0 " cases, status " status
        }' "$3"
}

# --- What the guest reported.

# section NAME: the lines between "=== NAME" and the next one.
section() { tr -d '\r' <"$serial" | sed -n "/^=== $1\$/,/^===/p" | grep -v '^==='; }

# The difference between the largest and the smallest of the numbers on standard input.
spread() { sort -n | sed -n '1p;$p' | xargs | awk '{ print $2 - $1 }'; }

# The guest's kernel messages without level and time stamp.
messages() { section dmesg | sed -E 's/^<[0-9]+>\[[^]]*\] //'; }

# check_report MIB CPUS: everything the guest can know about memory and processors is what the
# command line promised.
check_report()
{
    local mib=$1 cpus=$2 total
    section cpus >/dev/null
    equal cpu_count "$(section cpus)" "$cpus"
    # What the kernel keeps for itself: its image and tables (60 MiB), the page structures (1.6 %),
    # and 64 MiB of bounce buffers as soon as there is memory above 4 GiB (QEMU: above 2 GiB).
    total=$(section memtotal)
    within memtotal_kib "${total:-none}" \
        $((mib * 1024 * 98 / 100 - 61440 - (mib >= 3072 ? 65536 : 0))) $((mib * 1024))
    check_e820 "$mib" "${3:-bzImage}"
    check_iomem "$mib"
    check_messages
}

# The promised firmware map: base memory, the rest below 3 GiB, and what goes above 4 GiB.
promised_ram()
{
    local mib=$1 low=$1
    [ "$mib" -le 3072 ] || low=3072
    printf '0000000000000000-000000000009fbff\n'
    printf '0000000000100000-%016x\n' $((low * 1048576 - 1))
    [ "$mib" -le 3072 ] ||
        printf '0000000100000000-%016x\n' $((0x100000000 + (mib - 3072) * 1048576 - 1))
}

# A kernel that was entered by PVH marks 0xa0000 .. 0xfffff as reserved by itself, and so joins the
# reserved ranges on both sides of it (arch/x86/platform/pvh/enlighten.c).
promised_reserved()
{
    case $1 in
    bzImage) printf '000000000009fc00-000000000009ffff\n00000000000e0000-00000000000fffff\n' ;;
    pvh) printf '000000000009fc00-00000000000fffff\n' ;;
    esac
    printf '00000000feffc000-00000000feffffff\n'
}

check_e820()
{
    local usable range
    usable=$(messages | sed -nE 's/^BIOS-e820: \[mem 0x([0-9a-f]+)-0x([0-9a-f]+)\] usable$/\1-\2/p')
    if is_tessera; then
        equal e820_usable "$(xargs <<<"$usable")" "$(promised_ram "$1" | xargs)"
        for range in $(promised_reserved "$2"); do
            messages | grep -q "^BIOS-e820: \[mem 0x${range/-/-0x}\] reserved"
            verdict $? "e820_reserved_$range" "not in: $(messages | grep '^BIOS-e820:.*reserved' | tr '\n' ';')"
        done
    else
        [ -n "$usable" ]
        verdict $? e820_usable "the guest saw no usable memory"
    fi
}

check_iomem()
{
    local iomem ram
    iomem=$(section iomem)
    if is_tessera; then
        # Page 0 is the kernel's own; usable ranges are otherwise whole.
        ram=$(sed -nE 's/^([0-9a-f]+)-([0-9a-f]+) : System RAM$/\1 \2/p' <<<"$iomem" |
            while read -r start end; do printf '%016x-%016x\n' "0x$start" "0x$end"; done)
        equal iomem_system_ram "$(xargs <<<"$ram")" "$(promised_ram "$1" | sed 's/^0000000000000000-/0000000000001000-/' | xargs)"
    fi
    for place in "PCI Bus 0000:00" "IOAPIC 0" "Local APIC" "Kernel code"; do
        grep -q " : $place\$" <<<"$iomem"
        verdict $? "iomem_${place// /_}" "not in /proc/iomem"
    done
}

# Every message of level warning or worse, and every complaint of ACPI at any level, must be one
# that tests/rig/expected-messages explains. check_messages [SECTION [PATTERN-EXPECTED-HERE]]
check_messages()
{
    local complaints dmesg=${1:-dmesg}
    sed -E '/^#/d; /^$/d; s/[[:space:]]+#.*$//' tests/rig/expected-messages >"$WORK/expected"
    [ -z "${2:-}" ] || echo "$2" >>"$WORK/expected"
    [ "$(section "$dmesg" | wc -l)" -gt 100 ]
    verdict $? "${dmesg/dmesg/messages}_reported" "only $(section "$dmesg" | wc -l) lines of dmesg"
    complaints=$(
        section "$dmesg" | awk '
            { level = $0; sub(/^</, "", level); sub(/>.*/, "", level); level = level % 8
              text = $0; sub(/^<[0-9]+>\[[^\]]*\] /, "", text) }
            level <= 4 || text ~ /ACPI (BIOS )?(Error|Warning|Exception|BUG|Bug)|ACPI:.*([Ff]ailed|[Ii]nvalid)|Firmware (Bug|Warn)|WARNING:|Call Trace/ { print text }' |
            grep -v -E -f "$WORK/expected"
    )
    [ -z "$complaints" ]
    verdict $? "${dmesg/dmesg/messages}_clean" "$(wc -l <<<"$complaints") unexplained messages"
    [ -z "$complaints" ] || sed 's/^/# unexplained: /' <<<"$complaints"
}

# check_kernel_lived: nothing in the whole console that a kernel in distress prints.
check_no_oops()
{
    ! grep -aE 'Oops|general protection|BUG:|soft lockup|rcu: INFO' "$serial" >"$WORK/oops"
    verdict $? no_oops "$(head -n 1 "$WORK/oops")"
}

# --- Power.

# Presses the machine's power button. QEMU is told by a monitor on a pipe: see monitor_options.
press_power_button()
{
    if is_tessera; then
        kill -s PWR "$guest_pid"
    else
        echo system_powerdown >"$WORK/monitor.in"
    fi
}

# The options that press_power_button needs.
power_button_options()
{
    is_tessera && return
    rm -f "$WORK"/monitor.{in,out}
    mkfifo "$WORK"/monitor.{in,out}
    exec 8<>"$WORK/monitor.out"         # someone must read, or the monitor never opens
    echo "-monitor pipe:$WORK/monitor"
}
