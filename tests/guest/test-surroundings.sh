#!/bin/bash
# SPDX-License-Identifier: MIT
# What the program finds around it: closed descriptors, a full disk, signals at odd moments.
. "$(dirname "$0")/support/lib.sh"
need_kvm

pc=(-nodefaults -m 2M -kernel "$TESSERA_PAYLOADS/pc.elf")

# The first files that are opened must not become the serial port.
timeout 60 "$TESSERA" "${pc[@]}" -append "say=hello exit=1" -serial stdio -d reset \
    -D "$dir/log" </dev/null >&- 2>"$dir/err"
status=$?
[ $status = 3 ] && [ -s "$dir/log" ] && ! grep -q hello "$dir/log"
report $? test_serial_with_standard_output_closed

end
