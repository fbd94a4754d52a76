#!/bin/bash
# SPDX-License-Identifier: MIT
# The real gdb against the payload. Breakpoints in memory, the processor's watchpoints, and anything
# but a stop at CPL 3 need VT-x or SVM: checked where there is one, and a note says where not.
. "$(dirname "$0")/support/lib.sh"
need_kvm
if ! command -v gdb >/dev/null; then
    skip_test test_gdb "there is no gdb (packages.txt has it)"
    end
    exit 0
fi
elf=$TESSERA_PAYLOADS/pc.elf
socket=$dir/gdb

# debug COMMAND...: gdb connects, does these, and ends; sets gdb_status, fills $dir/gdb-out
debug()
{
    local command arguments=()
    for command in "$@"; do arguments+=(-ex "$command"); done
    timeout -k 5 60 gdb -nx -batch -ex "set pagination off" -ex "set confirm off" -ex "set tcp auto-retry off" \
        -ex "target remote $socket" "${arguments[@]}" "$elf" >"$dir/gdb-out" 2>&1 </dev/null
    gdb_status=$?
}

said() { grep -qE -- "$1" "$dir/gdb-out"; }     # said PATTERN: gdb printed such a line

check()                         # check NAME PATTERN...: gdb printed all of these
{
    local name=$1 pattern
    shift
    for pattern in "$@"; do
        if ! said "$pattern"; then
            report 1 "$name"
            echo "# not there: $pattern"
            sed 's/^/# gdb: /' "$dir/gdb-out"
            return
        fi
    done
    report 0 "$name"
}

begin()                         # begin WORDS [OPTION...]: a machine that gdb can connect to
{
    start "$1" -serial stdio -gdb "unix:$socket" "${@:2}"
    for _ in {1..200}; do [ -S "$socket" ] && break; moment; done
}

# A breakpoint before the first instruction runs, registers, a changed argument, a step; then detach.
begin "say=hello exit=1" -S
debug 'info registers rip' 'p/x $cr0' 'p $efer' 'hbreak put_char' 'continue' 'p $dil' 'backtrace' \
    'set $rdi = 74' 'p/x $pc' 'stepi' 'p/x $pc' 'info registers cs' 'delete' 'detach'
finish
check test_breakpoint_and_registers '^rip +0x[0-9a-f]+ +0x[0-9a-f]+ <payload_start>' \
    '^\$1 = 0x[0-9a-f]+' 'Breakpoint 1.*put_char' '^\$3 = 104' '^#0 +put_char \(c=104' '^cs +0x8 +8' \
    'Inferior 1 .*detached'
said "^\\\$4 = 0x" && [ "$(grep -oP '^\$4 = \K.*' "$dir/gdb-out")" != "$(grep -oP '^\$5 = \K.*' "$dir/gdb-out")" ]
report $? test_stepi
[ $status = 3 ] && says Jello
report $? test_the_guest_goes_on_with_what_was_changed

# Memory: what the guest has is what gdb reads, and the guest reads what gdb writes.
begin "data exit=1" -S
objcopy -O binary -j .data "$elf" "$dir/data"
debug "dump binary memory $dir/seen &initialized (char *)&initialized + 4" 'p/x initialized' \
    'set var initialized = 0x31415926' 'p/x initialized' 'x/2i payload_start' 'x/1xb 0xfee00000' 'detach'
finish
check test_memory '^\$1 = 0x12345678' '^\$2 = 0x31415926' 'payload_start>:.*cli' 'Cannot access memory'
[ "$(od -An -tx4 "$dir/seen" | tr -d ' ')" = 12345678 ] && says 'data changed'
report $? test_memory_is_the_guests

# FPU and SSE registers, segment bases: written and read back.
begin "spin" -S
debug 'set $st0 = 1.5' 'p $st0' 'set $xmm15.v4_int32[2] = -7' 'p $xmm15.v4_int32' 'set $mxcsr = 0x1f00' \
    'p/x $mxcsr' 'set $fs_base = 0x7fff12345000' 'p/x $fs_base' 'set $k_gs_base = 0xffff888000000000' \
    'p/x $k_gs_base' 'set $r15 = -2' 'p $r15' 'set $eflags = 0x46' 'p $eflags' 'p $cr0' 'set $ds = 0x20' 'kill'
finish
check test_all_registers '^\$1 = 1.5' '^\$2 = \{0, 0, -7, 0\}' '^\$3 = 0x1f00' '^\$4 = 0x7fff12345000' \
    '^\$5 = 0xffff888000000000' '^\$6 = -2' '^\$7 = \[.*PF ZF' '^\$8 = \[ .*PE' 'Could not write register'
[ $status = 0 ] && [ ! -S "$socket" ] && grep -q 'ended by gdb' "$dir/err"
report $? test_kill_ends_the_machine

# gdb's own watchpoint: it steps, and looks after each step.
begin "data exit=1" -S
debug 'set can-use-hw-watchpoints 0' 'watch initialized' 'continue' 'backtrace' 'delete' 'detach'
finish
check test_stepped_watchpoint '^Watchpoint 1: initialized' '^Old value = 305419896' '^New value = 3735928559' \
    'payload_main \(info='
[ $status = 3 ] && says 'data pristine'
report $? test_the_guest_goes_on_after_stepped_watchpoint

# Code at CPL 3 runs natively on every KVM: stopped amid it, its memory read and written.
begin_user()                    # the payload turns at CPL 3 until gdb sets user_enough
{
    begin "user exit=1"
    wait_for "user" || :
}

end_user()                      # end_user NAME: it has come out of there, and to its end
{
    finish
    [ $status = 3 ] && says "back from user"
    report $? "$1"
}

begin_user
debug 'p/x $cs' 'info symbol $pc' 'p user_turns > 0' 'set var user_enough = 1' 'detach'
end_user test_the_guest_goes_on_from_native_code
check test_native_code '^\$1 = 0x23' '^user_(loop|turn).* in section .text' '^\$2 = 1'

# Met, stepped over, met again a turn later; then gone from the very instruction that runs next.
if ! grep -qwE 'vmx|svm' /proc/cpuinfo || grep -q 'QEMU TCG' /proc/cpuinfo; then
    echo "# no software breakpoint, watchpoint and step at CPL 3 here: KVM without VT-x or SVM does not deliver them"
else
    for break in break hbreak; do
        begin_user
        debug "$break *user_turn" 'continue' 'info symbol $pc' 'set $turns = user_turns' 'stepi' 'info symbol $pc' \
            'continue' 'p user_turns - $turns' 'p/x $cs' 'info breakpoints' 'delete' 'set var user_enough = 1' 'detach'
        end_user "test_the_guest_goes_on_after_$break"
        check "test_native_$break" '^Breakpoint 1, user_turn' '^user_turn in section' '^user_turn \+ [0-9]+ in section' \
            '^\$1 = 1$' '^\$2 = 0x23' 'already hit 2 times'
    done
    begin_user
    debug 'watch user_turns' 'continue' 'set $turns = user_turns' 'continue' 'p user_turns - $turns' 'p/x $cs' \
        'info watchpoints' 'delete' 'set var user_enough = 1' 'detach'
    end_user test_the_guest_goes_on_after_watch
    check test_native_watch '^Hardware watchpoint 1: user_turns' '^New value = ' '^\$1 = 1$' '^\$2 = 0x23' \
        'already hit 2 times'
fi

# vCPUs are threads; the one that was not started waits for its start-up message.
begin "cpus=2 spin" -smp 3
wait_for "processors" || :
debug 'info threads' 'thread 3' 'p/x $cs' 'thread 2' 'p $lm_set = $efer & 0x400' 'monitor info cpus' 'detach'
check test_threads 'Thread 1 \(vCPU 0 \[' 'Thread 2 \(vCPU 1 \[(running|halted)\]\)' \
    'Thread 3 \(vCPU 2 \[not started\]\)' '^\$1 = 0xf000' '^\$2 = 1024' '^\* CPU #0|CPU #0'

# The next client is served as the first one was; Ctrl-C; a lost connection does not stop the guest.
# Not `timeout`, whose child a signal to it would not reach.
gdb -nx -batch -ex "target remote $socket" -ex 'echo going\n' -ex 'continue' -ex 'echo stopped\n' -ex 'p $pc' "$elf" \
    >"$dir/gdb-out" 2>&1 </dev/null &
gdb=$!
for _ in {1..200}; do said going && break; moment; done
moment
for _ in {1..100}; do
    kill -INT "$gdb" 2>/dev/null || break
    moment
done
wait "$gdb"
check test_ctrl_c 'received signal SIGINT' '^stopped' '^\$1 = \(void \(\*\)'
gdb -nx -batch -ex "target remote $socket" -ex 'echo going\n' -ex 'continue' "$elf" >"$dir/gdb-out" 2>&1 </dev/null &
gdb=$!
for _ in {1..200}; do said going && break; moment; done
kill -KILL "$gdb"
wait "$gdb" 2>/dev/null
debug 'monitor info status' 'monitor nonsense' 'monitor quit'
finish
check test_lost_connection_and_monitor 'VM status: paused \(debug\)' "Error: unknown command: 'nonsense'"
[ $status = 0 ]
report $? test_monitor_quit

# What the guest does to the machine is told.
begin "say=x exit=5" -S
debug 'continue'
finish
check test_exit_is_told 'exited with code 013' # 11, in gdb's octal
[ $status = 11 ]
report $? test_exit_status
begin "boots until=2 cf9 exit=1" -S
debug 'continue' 'info registers rip' 'continue'
finish
check test_reset_is_told 'The machine was reset \(the guest asked for it\)' 'received signal SIGTRAP' \
    '<payload_start>' 'exited with code 03'
begin "triple-fault" -S -no-reboot
debug 'continue'
finish
check test_triple_fault_without_reboot_is_told 'exited normally'

# By TCP, on a port that the kernel chooses, from this machine.
mkfifo "$dir/keys"
exec {keys}<>"$dir/keys"
: >"$dir/out"
"$TESSERA" -nodefaults -m 2M -kernel "$elf" -append "spin" -monitor stdio -gdb tcp::0 <&$keys >"$dir/out" 2>"$dir/err" &
pid=$!
echo "info gdbserver" >&$keys
wait_for "listening"
report $? test_tcp_listens
socket=$(tr -d '\r' <"$dir/out" | grep -oE '127\.0\.0\.1:[0-9]+' | head -n 1)
debug 'p/x $cr0' 'detach'
check test_tcp '^\$1 = 0x'
echo "gdbserver none" >&$keys
wait_for "Disabled"
debug 'p 1'
check test_gdbserver_none 'Connection refused'
echo "quit" >&$keys
finish
[ $status = 0 ]
report $? test_quit

# Options that cannot be.
for gdb in "tcp::99999" "tcp:nohost:1" "file:/tmp/x" "unix:/no/such/dir/x"; do
    run_tessera -m 2M -kernel "$elf" -append "exit=1" -serial stdio -gdb "$gdb"
    [ $status = 1 ] && grep -qF -- "-gdb $gdb" "$dir/err"
    report $? "test_refused_$gdb"
done
run_tessera -m 2M -kernel "$elf" -append "exit=1" -serial stdio -gdb none
[ $status = 3 ]
report $? test_gdb_none
end
