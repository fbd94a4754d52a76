# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# For scenarios that drive a guest's monitors: one QMP and one HMP client on unix sockets, and a
# guest that says how much memory it has when it is asked on its console.

# shellcheck disable=SC2034 # for the scenarios
monitor_args=(-monitor "unix:$WORK/hmp,server=on,wait=off" -qmp "unix:$WORK/qmp,server=on,wait=off")
patience=${TESSERA_PATIENCE:-120}        # seconds for whatever should come at once on a quiet machine

# Who has waited in vain once waits less from then on: a scenario in which nothing works comes to its
# end, and says which answer was the first to be missing.
late=$WORK/late
patience() { if [ -e "$late" ]; then echo 5; else echo "$patience"; fi; }
in_vain() { [ -e "$late" ] || stuck "$1, $patience s"; : >"$late"; }

# --- QMP. Replies go to $reply; events wait in the array events until wait_event takes them.

# connect SOCKET OUT-FD IN-FD
connect()
{
    local left=$((patience * 5))
    command -v socat >/dev/null || give_up monitor "there is no socat here"
    while [ ! -S "$WORK/$1" ]; do
        left=$((left - 1))
        [ "$left" -gt 0 ] && guest_running || give_up monitor "no socket $1 after $patience s"
        sleep 0.2
    done
    rm -f "$WORK/$1".{in,out}
    mkfifo "$WORK/$1".{in,out}
    socat -t 1 - "UNIX-CONNECT:$WORK/$1" <"$WORK/$1.in" >"$WORK/$1.out" &
    eval "exec $2>\"\$WORK/$1.in\" $3<\"\$WORK/$1.out\""
}

monitor_connect()
{
    events=()
    qmp_id=0
    connect qmp 5 6
    connect hmp 4 9
    qmp qmp_capabilities || give_up qmp_negotiated "$reply"
}

monitor_disconnect() { exec 4>&- 5>&- 6<&- 9<&-; }

# qmp COMMAND [ARGUMENTS]: runs it; true if it succeeded.
qmp()
{
    local line arguments=${2:-}
    qmp_id=$((qmp_id + 1))
    reply="no answer to $1"
    printf '{"execute": "%s", "arguments": {%s}, "id": %d}\n' "$1" "$arguments" "$qmp_id" >&5
    while IFS= read -r -t "$(patience)" line <&6; do
        case $line in
        *'"event": '*) events+=("$line") ;;
        *"\"id\": $qmp_id}"*)
            reply=${line%$'\r'}
            [[ $reply == *'"return": '* ]]
            return
            ;;
        esac
    done
    in_vain "the answer to QMP's $1"
    return 1
}

# wait_event NAME [GLOB]: until the event NAME came, with data that match; sets event. It and what
# came before it are forgotten.
wait_event()
{
    local end line i
    end=$((SECONDS + $(patience)))
    while true; do
        for i in "${!events[@]}"; do
            event=${events[i]}
            # shellcheck disable=SC2053 # the second argument is a pattern
            [[ $event == *"\"event\": \"$1\""* && $event == *${2:-}* ]] || continue
            events=("${events[@]:i + 1}")
            return 0
        done
        event="no $1 with ${2:-anything} within $patience s; there were: ${events[*]}"
        if [ "$SECONDS" -ge "$end" ]; then
            in_vain "the event $1 with ${2:-anything}"
            return 1
        fi
        IFS= read -r -t 5 line <&6 && [[ $line == *'"event": '* ]] && events+=("$line")
    done
}

# --- HMP.

# hmp LINE: what the command prints. An unknown command behind it marks the end.
hmp()
{
    local line
    printf '%s\nend-of-answer\n' "$1" >&4
    while IFS= read -r -t "$(patience)" line <&9; do
        [[ $line == *"unknown command: 'end-of-answer'"* ]] && return
        # Not the greeting, and not the lines as they are edited: keys that come early are echoed
        # in front of the prompt.
        line=${line%$'\r'}
        case $line in
        '' | Tessera* | "(tessera) "* | "$1" | end-of-answer) ;;
        *) printf '%s\n' "$line" ;;
        esac
    done
    in_vain "HMP's answer to $1"
    echo "no answer"
}

# refused NAME GLOB COMMAND ARGUMENTS: the command fails with a message like GLOB, and leaves the
# memory map as it was.
refused()
{
    local before after
    before=$(hmp 'info mtree -f')
    if qmp "$3" "$4"; then
        not_ok "$1" "it succeeded: $reply"
        return
    fi
    # shellcheck disable=SC2053
    [[ $reply == $2 ]]
    verdict $? "$1" "the message is $reply"
    after=$(hmp 'info mtree -f')
    [[ $before == *pc.ram* && $before == "$after" ]]
    verdict $? "$1_left_the_map" "$(diff <(echo "$before") <(echo "$after") | xargs -d '\n')"
}

# --- DIMMs: DIMM dN sits on the backend mN.

# plug N [SIZE-MIB [PROPERTIES]]: with PROPERTIES as JSON members with a comma before them.
plug()
{
    qmp object-add "\"qom-type\": \"memory-backend-ram\", \"id\": \"m$1\", \"size\": $((${2:-128} << 20))" &&
        qmp device_add "\"driver\": \"pc-dimm\", \"id\": \"d$1\", \"memdev\": \"m$1\"${3:-}"
}

# wait_plugged N: until the guest has said that it took the memory.
wait_plugged() { wait_event ACPI_DEVICE_OST "\"source\": 1, \"status\": 0*\"device\": \"d$1\""; }

# unplug N: asks, waits until the guest has given it back, and deletes the backend.
unplug()
{
    qmp device_del "\"id\": \"d$1\"" || return
    if ! wait_event DEVICE_DELETED "\"device\": \"d$1\""; then
        reply=$event
        return 1
    fi
    qmp object-del "\"id\": \"m$1\""
}

# --- The guest.

# memory_initrd FILE: its script obeys lines of the console; see guest_blocks and guest_do.
memory_initrd()
{
    guest_initrd "$1" <<'EOS'
stty -echo
memory=/sys/devices/system/memory
count() { ls -d $memory/memory[0-9]* | wc -l; }
online() { cat $memory/memory[0-9]*/state | grep -c '^online'; }
total() { awk '/^MemTotal/ { print $2 }' /proc/meminfo; }
# What is in use of the memory that is online as movable, in KiB.
movable_used()
{
    awk '/^Node/ { here = /Movable/ } here && /nr_free_pages|^ *managed/ { n[$1] = $2 }
         END { print (n["managed"] - n["nr_free_pages"]) * 4 }' /proc/zoneinfo
}
# blocks N TAG: until there are N memory blocks and all are online, but no longer than a minute
blocks()
{
    for i in $(seq 1 300); do
        [ "$(count) $(online)" = "$1 $1" ] && break
        sleep 0.2
    done
    echo "=== $2"; echo "$(count) $(online) $(total)"; echo "=== end of $2"
}
echo "=== ready"
while read -r line; do eval "$line"; done
EOS
}

# guest_do TAG COMMAND: runs it in the guest, prints what it said.
guest_do()
{
    type_line "echo '=== $1'; $2; echo '=== end of $1'"
    wait_for "^=== end of $1" "$(patience)" && section "$1"
}

# guest_blocks TAG N KIB: the guest has N memory blocks, all online, and MemTotal is KIB.
guest_blocks()
{
    type_line "blocks $2 $1"
    wait_for "^=== end of $1" "$(patience)" || { not_ok "$1" "the guest does not answer"; return; }
    equal "$1" "$(section "$1")" "$2 $2 $3"
}
