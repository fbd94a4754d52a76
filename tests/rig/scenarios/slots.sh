# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Guest tests of the memory slots, on a KVM with hardware virtualization below it: the model against
# this kernel, and slots that change under vCPUs that write without pause.

# guest_test NAME: runs a program of tests/guest
guest_test()
{
    TESSERA_PAYLOADS=$BUILD/tests/guest/payloads "$BUILD/tests/guest/test-$1" >"$WORK/$1" 2>&1
    verdict $? "$1" "$(grep -aE 'ERROR|error:' "$WORK/$1" | head -n 2 | tr '\n' ' ')"
    cat "$WORK/$1"
}

if [ -n "${TESSERA_LONG:-}" ]; then
    export TESSERA_SLOT_CALLS=20000 TESSERA_TOGGLES=500
else
    export TESSERA_SLOT_CALLS=2000 TESSERA_TOGGLES=50
fi
guest_test slot-differential
guest_test slot-toggle
