# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Guest tests of the memory slots, on a KVM with hardware virtualization below it: the model against
# this kernel, and slots that change under vCPUs that write without pause.

if [ -n "${TESSERA_LONG:-}" ]; then
    export TESSERA_SLOT_CALLS=20000 TESSERA_TOGGLES=500
else
    export TESSERA_SLOT_CALLS=2000 TESSERA_TOGGLES=50
fi
guest_test slot-differential
guest_test slot-toggle
