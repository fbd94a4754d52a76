#!/bin/bash
# SPDX-License-Identifier: MIT
# -trace: the file is whole however the program ends; what goes wrong with it is said, and the machine
# runs on.
. "$(dirname "$0")/support/lib.sh"
need_kvm
check=${TESSERA_BUILD:-$top/build/gcc}/tests/trace/check-trace
trace=$dir/trace.json

# whole [OPTION]: the file is right, and its events are in $dir/events
whole() { "$check" "$@" "$trace" >"$dir/events" 2>>"$dir/err"; }

# has LINE...: these events are there in this order, others in between
has()
{
    local line rest=$dir/rest
    cp "$dir/events" "$rest"
    for line in "$@"; do
        grep -qxF -- "$line" "$rest" || { echo "no \"$line\" where it should be" >>"$dir/err"; return 1; }
        awk -v line="$line" 'found { print } $0 == line { found = 1 }' "$rest" >"$rest.new"
        mv "$rest.new" "$rest"
    done
}

run "say=x exit=1" -trace "*,file=$trace"
[ $status = 3 ] && [ ! -s "$dir/err" ] && whole &&
    has "main X kvm_ioctl KVM_GET_API_VERSION" "main i kvm_slot pc.ram" "main i machine_state running" \
        "main i machine_state shutdown" "main E commit board: its end" &&
    has "main i kvm_slot pc.ram" "vcpu0 B vcpu_exit IO" "vcpu0 i memory_dispatch serial" \
        "vcpu0 E vcpu_exit IO" "vcpu0 i memory_dispatch isa-debug-exit" "main i machine_state shutdown"
report $? test_trace_of_a_machine_that_ends_itself

run "say=x poweroff" -trace "*,file=$trace" -trace enable=-kvm_ioctl
[ $status = 0 ] && whole && has "main i machine_state shutdown" && ! grep -q kvm_ioctl "$dir/events"
report $? test_trace_of_a_poweroff_without_ioctls

run "boots until=3 cf9 exit=1" -trace "machine_*,file=$trace"
[ $status = 3 ] && whole && has "main B machine_reset the guest asked for it" "main E machine_reset the guest asked for it" \
    "main i machine_state running" "main B machine_reset the guest asked for it" \
    "main E machine_reset the guest asked for it" \
    "main i machine_state shutdown" && [ "$(wc -l <"$dir/events")" = 8 ]
report $? test_trace_of_resets

for signal in TERM INT; do
    start "say=up spin" -serial stdio -trace "*,file=$trace"
    wait_for up && kill "-$signal" "$pid"
    finish
    [ $status = $((128 + $(kill -l "$signal"))) ] && whole && has "main i machine_state shutdown"
    report $? "test_trace_file_is_whole_after_sig${signal,,}"
done

# The writer is at it every 10 ms: what the guest said before has come to the file after a moment.
start "say=up spin" -serial stdio -trace "*,file=$trace"
wait_for up
wait_for "memory_dispatch serial" "$trace" && wait_for "machine_state running" "$trace"
kill -9 "$pid"
finish
whole --cut && has "main i machine_state running" && has "vcpu0 i memory_dispatch serial"
report $? test_trace_file_after_a_kill_lacks_its_end_only

run "exit=1" -trace "dimm_*,file=$trace"
[ $status = 3 ] && whole && [ ! -s "$dir/events" ]
report $? test_trace_without_an_event

run "exit=1" -trace "file=$trace"
[ $status = 3 ] && whole && [ ! -s "$dir/events" ]
report $? test_trace_file_that_nothing_was_switched_on_for

run "exit=1" -trace 'machine_state' -trace 'vcpu_e*'
[ $status = 3 ] && grep -qE '^\[ +[0-9]+\.[0-9]{9}\] main: machine_state state=running$' "$dir/err" &&
    grep -qE 'vcpu0: vcpu_exit cpu=0 reason=IO address=0xf4 size=4 count=1 write=1 value=0x1$' "$dir/err" &&
    grep -q 'vcpu0: vcpu_enter cpu=0' "$dir/err" && ! grep -q wait "$dir/err"
report $? test_trace_as_text_on_standard_error

run "exit=1" -trace "*,file=$dir/none/trace.json"
[ $status = 1 ] && [ ! -s "$dir/out" ] && grep -q "^tessera: -trace: .*'$dir/none/trace.json'.*No such file" "$dir/err"
report $? test_trace_file_that_cannot_be_opened

run "exit=1" -trace "vcpu_exot,file=$trace"
[ $status = 1 ] && grep -q "'vcpu_exot' (did you mean 'vcpu_exit'?)" "$dir/err"
report $? test_trace_of_an_event_that_is_none

run "say=alive exit=1" -trace "*,file=/dev/full"
[ $status = 3 ] && says alive && [ "$(wc -l <"$dir/err")" = 1 ] &&
    grep -q "^tessera: trace: cannot write to '/dev/full': No space left on device; .*runs on" "$dir/err"
report $? test_trace_to_a_full_disk

# A file system that fills up: the file ends behind a whole event, and the machine goes on.
trace_limited() { (ulimit -f 8; trap '' XFSZ; run "say=alive boots until=9 cf9 exit=1" -trace "*,file=$trace"; exit $status); }
trace_limited
status=$?
[ $status = 3 ] && says alive && grep -q "cannot write to '$trace': File too large" "$dir/err" && whole &&
    has "main X kvm_ioctl KVM_GET_API_VERSION"
report $? test_trace_file_that_may_not_grow

# The checks above can fail.
printf '[\n{"name":"a","ph":"B","cat":"x","pid":1,"tid":1,"ts":1.0}\n]\n' >"$trace"
! whole && grep -q "without a name" "$dir/err"
report $? test_check_finds_a_thread_without_a_name
meta='{"name":"thread_name","ph":"M","pid":1,"tid":1,"args":{"name":"main"}}'
for flaw in 'an end without:{"name":"a","ph":"E","cat":"x","pid":1,"tid":1,"ts":1.0}' \
    'has no end:{"name":"a","ph":"B","cat":"x","pid":1,"tid":1,"ts":1.0}' \
    'time goes back:{"name":"a","ph":"i","cat":"x","pid":1,"tid":1,"ts":2.0},{"name":"a","ph":"i","cat":"x","pid":1,"tid":1,"ts":1.0}' \
    'ends "a":{"name":"a","ph":"B","cat":"x","pid":1,"tid":1,"ts":1.0},{"name":"b","ph":"E","cat":"x","pid":1,"tid":1,"ts":2.0}'; do
    name=${flaw%%:*}
    printf '[\n%s,\n%s\n]\n' "$meta" "${flaw#*:}" >"$trace"
    : >"$dir/err"
    ! whole && grep -q "$name" "$dir/err"
    report $? "test_check_finds_${name//[^a-z]/_}"
done
end
