#!/bin/bash
# SPDX-License-Identifier: MIT
# The serial port's back ends from a guest's point of view.
. "$(dirname "$0")/support/lib.sh"
need_kvm

pc=(-nodefaults -m 2M -kernel "$TESSERA_PAYLOADS/pc.elf")

printf 'to be echoed: 0123456789\nq' |
    timeout 60 "$TESSERA" "${pc[@]}" -append "echo exit=1" -serial stdio >"$dir/out" 2>"$dir/err"
status=${PIPESTATUS[1]}
[ "$status" = 3 ] && [ "$(cat "$dir/out")" = $'to be echoed: 0123456789\nq' ]
report $? test_stdio_echo

# More than every buffer on the way holds: back-pressure, and not a byte is lost.
head -c 5000 /dev/zero | tr '\0' x >"$dir/long"
{ cat "$dir/long"; echo q; } |
    timeout 60 "$TESSERA" "${pc[@]}" -append "echo exit=1" -serial stdio >"$dir/out" 2>"$dir/err"
status=${PIPESTATUS[1]}
[ "$status" = 3 ] && [ "$(tr -d '\n' <"$dir/out" | wc -c)" = 5001 ]
report $? test_stdio_echo_of_much

run_tessera -m 2M -kernel "$TESSERA_PAYLOADS/pc.elf" -append "say=hello exit=1" \
    -serial "file:$dir/serial"
[ $status = 3 ] && [ ! -s "$dir/out" ] && [ "$(cat "$dir/serial")" = hello ]
report $? test_file

for backend in null none; do
    run_tessera -m 2M -kernel "$TESSERA_PAYLOADS/pc.elf" -append "say=hello exit=1" \
        -serial $backend
    [ $status = 3 ] && [ ! -s "$dir/out" ]
    report $? "test_$backend"
done

# A client of a unix socket: sends its arguments, prints what comes until the other side closes.
client()
{
    perl -MIO::Socket::UNIX -e '
        my $s;
        for (1 .. 400) {
            last if $s = IO::Socket::UNIX->new(Peer => $ARGV[0]);
            select undef, undef, undef, 0.05;
        }
        defined $s or die "cannot connect to $ARGV[0]: $!\n";
        syswrite $s, $ARGV[1];
        while (sysread $s, my $text, 4096) { print $text }' "$@"
}

start "echo exit=1" -serial "unix:$dir/socket,server=on,wait=off"
client "$dir/socket" "over a socket q" >"$dir/answer" 2>>"$dir/err"
finish
[ $status = 3 ] && [ "$(cat "$dir/answer")" = "over a socket q" ]
report $? test_unix_socket

# With wait=on (the default) nothing runs before somebody is there to see it.
start "say=first-words echo exit=1" -serial "unix:$dir/socket2,server=on"
client "$dir/socket2" "q" >"$dir/answer" 2>>"$dir/err"
finish
[ $status = 3 ] && [ "$(cat "$dir/answer")" = $'first-words\nq' ]
report $? test_unix_socket_waits_for_its_client

end
