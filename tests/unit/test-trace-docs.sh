#!/bin/bash
# SPDX-License-Identifier: MIT
# The table in docs/tracing.md has exactly the events that the program lists, with their fields and
# meanings, and the program has a USDT probe for each. Copies with a flaw planted show that it can fail.
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
page=$top/docs/tracing.md
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
n=0

report()                            # report STATUS NAME
{
    n=$((n + 1))
    [ "$1" = 0 ] && echo "ok $n - $2" || echo "not ok $n - $2"
}

if [ ! -x "${TESSERA:-}" ]; then
    echo "ok 1 - test_trace_docs # SKIP no program to compare with (TESSERA names it)"
    exit 0
fi

# "name(field, field)|meaning", a line for each event.
help_events() { "$TESSERA" -trace help | sed -n 's/^  \([a-z_]*(.*)\)$/\1/; T; N; s/\n */|/p'; }
page_events() { sed -nE 's/^\| `([a-z_]+)` \| [BEXi] \| ([^|]*) \| ([^|]*) \|$/\1(\2)|\3/p' "$1"; }

same()                              # same PAGE: prints what only one of them has
{
    help_events >"$dir/help"
    page_events "$1" >"$dir/page"
    [ "$(wc -l <"$dir/help")" -gt 20 ] && diff "$dir/help" "$dir/page" >"$dir/diff" && return 0
    sed -n 's/^</# only the program has:/p; s/^>/# only the page has:/p' "$dir/diff"
    return 1
}

flawed()                            # flawed NAME SED-SCRIPT: the comparison must fail on such a page
{
    sed -E "$2" "$page" >"$dir/flawed.md"
    ! cmp -s "$page" "$dir/flawed.md" && ! same "$dir/flawed.md" >/dev/null
    report $? "$1"
}

same "$page"
report $? test_tracing_page_names_all_events
flawed test_missing_event_is_found '/^\| `dimm_ost`/d'
flawed test_missing_field_is_found '/^\| `kvm_slot`/s/, flags//'
flawed test_other_meaning_is_found '/^\| `commit_end`/s/published/forgotten/'

# The probes are part of the program where <sys/sdt.h> was there when it was built.
if ! echo '#include <sys/sdt.h>' | ${CC:-cc} -E - >/dev/null 2>&1; then
    n=$((n + 1))
    echo "ok $n - test_every_event_has_a_probe # SKIP no <sys/sdt.h> (systemtap-sdt-dev)"
else
    readelf -n "$TESSERA" | sed -nE '/Provider: tessera/{n; s/.*Name: //p}' | sort >"$dir/probes"
    help_events | sed 's/(.*//' | sort | diff - "$dir/probes" | sed 's/^/# /'
    [ "${PIPESTATUS[2]}" = 0 ]
    report $? test_every_event_has_a_probe
    # As many arguments as fields: "4@(%rdi) 8@8(%rdi)".
    readelf -n "$TESSERA" | awk '/Name: / { name = $2 } /Arguments: / { print name, NF - 1 }' | sort >"$dir/arguments"
    help_events | sed -E 's/\|.*//; s/\(/ /; s/\)//' | awk '{ print $1, NF - 1 }' | sort | diff - "$dir/arguments" | sed 's/^/# /'
    [ "${PIPESTATUS[4]}" = 0 ]
    report $? test_every_probe_has_the_fields
fi
echo "1..$n"
