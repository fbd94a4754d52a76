#!/bin/bash
# SPDX-License-Identifier: MIT
# How a machine ends, and with which exit status; resets that run the payload again.
. "$(dirname "$0")/support/lib.sh"
need_kvm

run "say=hello poweroff"
[ $status = 0 ] && says hello && ! says "and went on" && [ ! -s "$dir/err" ]
report $? test_poweroff

for value in 0 1 3 64 127; do
    run "exit=$value"
    [ $status = $((value << 1 | 1)) ]
    report $? "test_debug_exit_$value"
done
run "exit=128"                  # the host keeps eight bits
[ $status = 1 ]
report $? test_debug_exit_beyond_a_byte

for cause in cf9 keyboard triple-fault; do
    run "boots $cause" -no-reboot
    [ $status = 0 ] && [ "$(cat "$dir/out")" = "boot 0x1" ]
    report $? "test_${cause//-/_}_with_no_reboot"

    # RAM that nothing loads lives on; the image's own variables are as in the file again.
    run "boots data until=4 $cause exit=9"
    [ $status = 19 ] && says "boot 0x1" "boot 0x2" "boot 0x3" "boot 0x4" &&
        [ "$(count "data pristine")" = 4 ] && ! says "data changed" && ! says "still here" &&
        ! says "and went on"
    report $? "test_${cause//-/_}_starts_again"
done

run "data data exit=1"          # the check above can fail
[ $status = 3 ] && says "data changed"
report $? test_changed_data_is_seen

run "boots cpus=3 until=3 cf9 exit=2" -smp 3
[ $status = 5 ] && [ "$(count "processors 0x3")" = 3 ]
report $? test_reset_of_three_processors

run "cf9-wide exit=6"
[ $status = 13 ] && says "no reset"
report $? test_wide_write_is_not_for_the_reset_register

for signal in TERM INT HUP; do
    for words in spin halt; do
        start "say=up $words" -serial stdio
        wait_for up && kill "-$signal" "$pid"
        finish
        [ $status = $((128 + $(kill -l "$signal"))) ]
        report $? "test_sig${signal,,}_while_guest_does_$words"
    done
done

start "say=up exit=1" -serial stdio -S -machine "dump-memory-map=$dir/map"
wait_for "slot 0" "$dir/map"
for ((i = 0; i < 4; i++)); do moment; done
[ ! -s "$dir/out" ] && is_up
report $? test_stopped_machine_does_not_run
is_up && kill "$pid"
finish
[ $status = 143 ] && [ ! -s "$dir/out" ]
report $? test_sigterm_ends_a_stopped_machine

start "say=up button exit=5" -serial stdio
wait_for up && kill -PWR "$pid"
finish
[ $status = 11 ] && says "button pressed"
report $? test_sigpwr_presses_the_power_button

run "say=up nowhere"
[ $status = 2 ] && says up && grep -q "cannot go on: KVM_EXIT_INTERNAL_ERROR" "$dir/err" &&
    grep -q "RIP=00000000d0000000" "$dir/err" && grep -q "Code at RIP" "$dir/err"
report $? test_guest_that_cannot_go_on

end
