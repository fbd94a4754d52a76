#!/bin/bash
# SPDX-License-Identifier: MIT
# The manual names exactly what the program's own help lists: options, properties of -machine and
# of each type of -object, log items; and mandoc finds nothing wrong with it. Copies with a flaw
# planted show that each check can fail.
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
page=$top/docs/tessera.1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
n=0

report()                            # report STATUS NAME
{
    n=$((n + 1))
    [ "$1" = 0 ] && echo "ok $n - $2" || echo "not ok $n - $2"
}

if [ ! -x "${TESSERA:-}" ]; then
    echo "ok 1 - test_man_page # SKIP no program to compare with (TESSERA names it)"
    exit 0
fi

# What the program lists, one name a line, sorted.
help_options() { "$TESSERA" -help | sed -nE 's/^  -([^ ,]+)(, -([^ ]+))?.*/\1\n\3/p' | grep . | sort; }
help_machine() { "$TESSERA" -machine help | sed -nE 's/^  ([a-z-]+)=.*/\1/p' | sort; }
help_types() { "$TESSERA" -object help | sed -nE 's/^  ([a-z-]+) .*/\1/p' | sort; }
help_items() { "$TESSERA" -d help | sed -nE 's/^  ([a-z_]+) .*/\1/p' | sort; }
help_properties()
{
    for type in $(help_types); do
        "$TESSERA" -object "$type,help" | sed -nE 's/^  ([a-z-]+)=.*/\1/p'
    done | sort -u
}

# The same from a page: its list items, by section. Options' other names stand at a line's start.
section() { sed -n "/^\.Ss $1\$/,/^\.S[sh] /p" "$2"; }
option_sections()
{
    for name in Machine "Linux kernel" "Consoles and devices" Running "Log and help"; do
        section "$name" "$1"
    done
}
page_options()
{
    {
        option_sections "$1" | sed -nE 's/^\.It Fl ([^ ]+).*/\1/p'
        option_sections "$1" | grep -A1 -E '^\.Fl (M|net|h)$' | sed -nE 's/^\.Fl ([^ ]+)$/\1/p'
    } | sort
}
page_machine()
{
    section Machine "$1" | sed -n '/^\.It Fl machine/,/^\.It Fl accel/p' |
        sed -nE 's/^\.It Cm ([a-z-]+)=.*/\1/p; s/^\.It Fl machine .*Cm (type)=.*/\1/p' | sort
}
page_types() { section "Memory backends" "$1" | sed -nE 's/^\.It Cm (memory-[a-z-]+)$/\1/p' | sort; }
page_items() { section "Log items" "$1" | sed -nE 's/^\.It Cm ([a-z_]+)$/\1/p' | sort; }
page_properties() { section "Memory backends" "$1" | sed -nE 's/^\.It Cm ([a-z-]+)=.*/\1/p' | sort -u; }

same()                              # same WHAT PAGE: prints what only one of them has
{
    "help_$1" >"$dir/help"
    "page_$1" "$2" >"$dir/page"
    [ -s "$dir/help" ] && diff "$dir/help" "$dir/page" >"$dir/diff" && return 0
    sed -n 's/^</# only the program has:/p; s/^>/# only the manual has:/p' "$dir/diff"
    return 1
}

# Which other manuals this host has is not the page's fault.
lint()
{
    mandoc -Tlint "$1" 2>&1 | grep -vE 'referenced manual not found|outdated mandoc.db|mandoc.db:' >"$dir/lint"
    sed 's/^/# /' "$dir/lint"
    [ ! -s "$dir/lint" ]
}

flawed()                            # flawed NAME SED-SCRIPT CHECK...: the check must fail on such a page
{
    sed -E "$2" "$page" >"$dir/flawed.1"
    ! cmp -s "$page" "$dir/flawed.1" && ! "${@:3}" "$dir/flawed.1" >/dev/null
    report $? "$1"
}

for what in options machine types items properties; do
    same "$what" "$page"
    report $? "test_man_page_names_all_$what"
done
lint "$page"
report $? test_man_page_has_no_lint

flawed test_missing_option_is_found '/^\.It Fl initrd/d' same options
flawed test_missing_alias_is_found '/^\.Fl net$/d' same options
flawed test_invented_option_is_found 's/^(\.It Fl) S$/\1 S\n.It Fl invented/' same options
flawed test_missing_machine_property_is_found '/^\.It Cm dumpdtb/d' same machine
flawed test_invented_type_is_found 's/^(\.It Cm memory-backend)-ram$/\1-rom/' same types
flawed test_missing_item_is_found '/^\.It Cm irq/d' same items
flawed test_missing_property_is_found '/^\.It Cm hugetlb=/d' same properties
flawed test_lint_is_found 's/^\.El$//' lint
echo "1..$n"
