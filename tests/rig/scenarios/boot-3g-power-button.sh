# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# The largest RAM that lies wholly below 4 GiB, and the power button: the guest gets a key event.

guest_initrd "$WORK/initrd" <<'EOS'
report
for device in /sys/class/input/event*; do
    [ "$(cat "$device/device/name")" = "Power Button" ] || continue
    exec 3<"/dev/input/${device##*/}" # from here on events are kept for us
    echo "=== ready"
    # struct input_event: 16 bytes of time, type (EV_KEY 1), code (KEY_POWER 116), value
    dd bs=24 count=1 <&3 2>/dev/null | od -A n -t u2 -j 16 -N 8 >/event
    echo "=== event"; cat /event; echo "=== end of event"
    poweroff -f
done
echo "no power button"
poweroff -f
EOS
# shellcheck disable=SC2046
start_guest -m 3072 -smp 1 -kernel "$KERNEL/vmlinuz" -initrd "$WORK/initrd" -no-reboot $(power_button_options)
wait_for '^=== ready' 90 || give_up boot "no power button device after 90 s"
ok boot
press_power_button
wait_for '^=== end of event' 30 || give_up power_button "no key event"
equal power_button_event "$(section event | xargs)" "1 116 1 0"
wait_end 60 || give_up poweroff "still running"
equal poweroff_status "$exit_status" 0
check_report 3072 1
check_no_oops
