# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A stock kernel with a QMP socket and one for people: a client that knows only QEMU's documentation
# negotiates, stops and continues the guest, plugs memory, presses the power button and hears what
# happens; another one leaves in the middle of a request.

socket=$(mktemp -u /tmp/qmp.XXXXXX)
hmp=$(mktemp -u /tmp/hmp.XXXXXX)
answers=$WORK/qmp

# Opens a client on a socket: what is written to fd 8 goes there, $answers is what comes.
connect()
{
    rm -f "$WORK/to-qmp"
    mkfifo "$WORK/to-qmp"
    : >"$answers"
    socat - "UNIX-CONNECT:$1" <"$WORK/to-qmp" >>"$answers" 2>"$WORK/socat" &
    client=$!
    exec 8>"$WORK/to-qmp"
}

disconnect()
{
    exec 8>&-
    wait "$client"
}

# heard PATTERN: within some seconds there is an answer or event like that
heard()
{
    local left=100
    until grep -qE -- "$1" "$answers"; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || return 1
        sleep 0.2
    done
}

# ask NAME REQUEST PATTERN: the next answers have PATTERN
ask()
{
    : >"$answers"
    printf '%s\n' "$2" >&8
    heard "$3"
    verdict $? "$1" "answered $(tr -d '\r' <"$answers" | tail -n 3 | tr '\n' ' ')"
}

guest_initrd "$WORK/initrd" <<'EOS'
for device in /sys/class/input/event*; do
    [ "$(cat "$device/device/name")" = "Power Button" ] || continue
    (dd if="/dev/input/${device##*/}" bs=24 count=1 >/dev/null 2>&1 && poweroff -f) &
done
echo "=== up"
while read -r line; do
    case $line in
    total) echo "=== total"; awk '/^MemTotal/ { print $2 }' /proc/meminfo; echo "=== end of total" ;;
    uptime) echo "=== uptime"; cat /proc/uptime; echo "=== end of uptime" ;;
    report) report ;;
    esac
done
EOS
append="$append memhp_default_state=online_movable"
start_guest -m 256,slots=4,maxmem=2G -smp 2 -kernel "$KERNEL/vmlinuz" -initrd "$WORK/initrd" -no-reboot -S \
    -qmp "unix:$socket,server=on,wait=off" -monitor "unix:$hmp,server=on,wait=off"
for _ in $(seq 1 50); do [ -S "$socket" ] && [ -S "$hmp" ] && break; sleep 0.2; done
[ -S "$socket" ] || give_up sockets "not there after 10 s"

# A client that is gone before its request is complete.
connect "$socket"
heard '"QMP": .*"capabilities": \[\]'
verdict $? greeting "is $(cat "$answers")"
printf '{"execute": "qmp_capabilities"}\n{"execute": "sto' >&8
disconnect
connect "$socket"
heard '"QMP"'
verdict $? greeting_of_the_next "is $(cat "$answers")"

ask no_command_before '{"execute": "query-status", "id": 1}' '"class": "CommandNotFound".*"id": 1'
ask negotiate '{"execute": "qmp_capabilities"}' '^\{"return": \{\}\}'
ask status_prelaunch '{"execute": "query-status"}' '"status": "prelaunch".*"running": false'
ask cont '{"execute": "cont"}' '"event": "RESUME"'
ask status_running '{"execute": "query-status"}' '"status": "running".*"running": true'
wait_for '^=== up' 90 || give_up boot "not up after 90 s"
ok boot

# Stopped, the guest says nothing and its clock stands.
type_line uptime
wait_for '^=== end of uptime' 30
before=$(section uptime | cut -d. -f1)
ask stop '{"execute": "stop", "id": "s"}' '"return": \{\}, "id": "s"'
heard '"event": "STOP"'
verdict $? stop_event "not in $(cat "$answers")"
ask status_paused '{"execute": "query-status"}' '"status": "paused"'
type_line uptime
sleep 8
equal silent_while_stopped "$(grep -c '^=== end of uptime' "$serial")" 1
ask cont_again '{"execute": "cont"}' '"event": "RESUME"'
wait_for '^=== end of uptime' 30 2 || not_ok goes_on "the guest does not answer"
after=$(section uptime | tail -n 1 | cut -d. -f1)
within time_stood_still $((after - before)) 0 6

# Memory, by a client of QEMU's.
type_line total
wait_for '^=== end of total' 30
ask object_add '{"execute": "object-add", "arguments": {"qom-type": "memory-backend-ram", "id": "m1", "size": 134217728}}' \
    '^\{"return": \{\}\}'
ask device_add '{"execute": "device_add", "arguments": {"driver": "pc-dimm", "id": "d1", "memdev": "m1"}}' \
    '"return": \{\}'
ask memory_devices '{"execute": "query-memory-devices"}' '"type": "dimm".*"id": "d1"|"id": "d1".*"type": "dimm"'
sleep 3
type_line total
wait_for '^=== end of total' 30 2
grown=$(($(section total | tail -n 1) - $(section total | head -n 1)))
within grown_kib "$grown" 126000 131072
ask device_del '{"execute": "device_del", "arguments": {"id": "d1"}}' '"event": "DEVICE_DELETED", "data": \{"device": "d1"'
ask unknown_device '{"execute": "device_del", "arguments": {"id": "d1"}}' '"class": "DeviceNotFound"'
ask object_del '{"execute": "object-del", "arguments": {"id": "m1"}}' '"return": \{\}'
ask human '{"execute": "human-monitor-command", "arguments": {"command-line": "info status"}}' 'VM status: running'

# People beside it: the other socket has its own editor.
people=$( (sleep 1; printf 'info sta\tus\rinfo status\r'; sleep 3) | socat -t 5 - "UNIX-CONNECT:$hmp" 2>&1)
grep -q 'VM status: running' <<<"$people"
verdict $? people "got $people"

type_line report
wait_for '^=== end.\?$' 60 || not_ok report "not there after 60 s"
ask powerdown '{"execute": "system_powerdown"}' '"event": "POWERDOWN"'
heard '"event": "SHUTDOWN", "data": \{"guest": true, "reason": "guest-shutdown"\}'
verdict $? shutdown_event "not in $(cat "$answers")"
wait_end 60 || give_up poweroff "still running"
disconnect
equal poweroff_status "$exit_status" 0
[ ! -e "$socket" ] && [ ! -e "$hmp" ]
verdict $? sockets_removed "still there"
check_messages
check_no_oops

# quit ends it at once.
start_guest -m 256 -kernel "$KERNEL/vmlinuz" -initrd "$WORK/initrd" -qmp "unix:$socket,server=on,wait=off"
for _ in $(seq 1 50); do [ -S "$socket" ] && break; sleep 0.2; done
connect "$socket"
ask negotiate_again '{"execute": "qmp_capabilities"}' '^\{"return": \{\}\}'
ask quit '{"execute": "quit"}' '"event": "SHUTDOWN", "data": \{"guest": false, "reason": "host-qmp-quit"\}'
heard '^\{"return": \{\}\}'
verdict $? quit_answer "not in $(cat "$answers")"
wait_end 20 || give_up quit_ends "still running"
equal quit_status "$exit_status" 0
disconnect
