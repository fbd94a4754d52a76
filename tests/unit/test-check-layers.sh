#!/bin/bash
# SPDX-License-Identifier: MIT
# scripts/check-layers passes this tree, and finds each kind of breach planted in a small one.
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
n=0

report()                            # report STATUS NAME
{
    n=$((n + 1))
    [ "$1" = 0 ] && echo "ok $n - $2" || echo "not ok $n - $2"
}

plant()                             # plant FILE LINE...: a file of these lines in the small tree
{
    mkdir -p "$dir/$(dirname "$1")"
    printf '%s\n' "${@:2}" >"$dir/$1"
}

fresh_tree()
{
    rm -rf "${dir:?}"/*
    plant include/tessera/util/range.h '#include <glib.h>'
    plant include/tessera/memory/memory.h '#include "tessera/util/range.h"'
    plant include/tessera/accel/kvm.h '#include "tessera/memory/memory.h"'
    plant include/tessera/hw/i386/pc.h '#include "tessera/accel/kvm.h"'
    plant include/tessera/hw/core/irq.h '#include <stdint.h>'
    plant src/memory/memory-internal.h '#include "tessera/memory/memory.h"'
    plant src/memory/memory.c '#include "tessera/memory/memory.h"' '#include "memory-internal.h"'
    plant src/accel/kvm/vm.c '#include <linux/kvm.h>' '#include "tessera/accel/kvm.h"'
    plant src/hw/char/serial.c '#include "tessera/hw/core/irq.h"'
    plant src/main.c '#include "tessera/hw/i386/pc.h"'
}

passes()                            # passes NAME
{
    local out
    out=$("$top/scripts/check-layers" "$dir") && [ -z "$out" ]
    report $? "$1"
}

refuses()                           # refuses NAME FILE LINE: exactly one breach, at FILE:LINE
{
    local out
    if out=$("$top/scripts/check-layers" "$dir"); then
        report 1 "$1"
    else
        [[ $out == "$2:$3: "* && $(wc -l <<<"$out") = 1 ]]
        report $? "$1"
        # shellcheck disable=SC2001
        sed 's/^/# /' <<<"$out"
    fi
    fresh_tree
}

out=$("$top/scripts/check-layers" "$top")
report $? test_this_tree_obeys
[ -z "$out" ] || sed 's/^/# /' <<<"$out"

fresh_tree
passes test_small_tree_obeys

plant src/memory/memory.c '#include "tessera/memory/memory.h"' '#include "tessera/accel/kvm.h"'
refuses test_memory_including_kvm src/memory/memory.c 2

plant src/hw/char/serial.c '#include "tessera/hw/core/irq.h"' '' '#include "tessera/accel/kvm.h"'
refuses test_device_including_kvm src/hw/char/serial.c 3

plant src/hw/char/serial.c '#include "tessera/hw/i386/pc.h"'
refuses test_device_including_board src/hw/char/serial.c 1

plant include/tessera/util/range.h '#  include "tessera/memory/memory.h"'
refuses test_contract_header_pointing_up include/tessera/util/range.h 1

plant src/accel/kvm/vm.c '#include "tessera/hw/core/irq.h"'
refuses test_kvm_including_devices src/accel/kvm/vm.c 1

plant src/memory/memory.c '#include "memory-internal.h"' '#include "tessera/memory/memory.h"'
refuses test_own_header_not_first src/memory/memory.c 1

plant src/memory/flat-internal.h '#include <glib.h>'
plant src/memory/flat.c '#include "memory-internal.h"' '#include "flat-internal.h"'
refuses test_own_internal_header_not_first src/memory/flat.c 1

plant src/memory/flat-internal.h '#include <glib.h>'
plant src/memory/flat.c '#include "tessera/memory/memory.h"' '#include "flat-internal.h"'
passes test_contract_before_own_internal_header
fresh_tree

plant src/util/range.c '#include "tessera/util/range.h"' '#include "../memory/memory-internal.h"'
refuses test_internal_header_of_another_folder src/util/range.c 2

plant src/util/list.h '#include <glib.h>'
refuses test_header_in_src_not_internal src/util/list.h 1

plant src/hw/i386/pc.c '#include "tessera/hw/i386/pc.h"' '#include <linux/kvm.h>'
refuses test_kvm_interface_outside_accel src/hw/i386/pc.c 2

plant src/other/x.c '#include <glib.h>'
refuses test_unknown_folder src/other/x.c 1

echo "1..$n"
