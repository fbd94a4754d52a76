#!/bin/bash
# SPDX-License-Identifier: MIT
# Instructions of the exit path, counted by valgrind: lines "name value unit", the same at each run.
set -eu
build=${TESSERA_BUILD:?the folder that was built into}

if ! command -v valgrind > /dev/null; then
    echo "bench-instructions: no valgrind here" >&2
    exit 0
fi
dumps=$(mktemp -d)
trap 'rm -rf "$dumps"' EXIT

count()                         # count PROGRAM: runs it, leaves dumps named after it
{
    valgrind -q --tool=callgrind --callgrind-out-file="$dumps/${1##*/}" "$build/tests/bench/$1" -i \
        2> "$dumps/messages" || { cat "$dumps/messages" >&2; exit 1; }
}

show()                          # show: a line for each dump, which are forgotten then
{
    # A dump says what it is of, and how often that was executed; then its total.
    find "$dumps" -name 'bench-*.*' | sort -V | xargs awk '
    /^desc: Trigger: Client Request: / { name = $5; times = $6 }
    /^(totals|summary): / { total = $2 }
    FNR == 1 && NR > 1 { print_one() }
    END { print_one() }
    function print_one() {
        if (name && times) printf "%s %.2f instructions\n", name, total / times
        name = ""; times = total = 0
    }'
    rm -f "$dumps"/bench-*
}

for bench in bench-memory bench-run-loop bench-coalesced bench-trace; do
    count $bench
done
show | tee "$dumps/lines"

# What an exit pays for being traceable, while it is not traced: the same path without trace points.
count untraced/bench-run-loop
show | cat "$dumps/lines" - | awk '
    /^run_loop_exit_instructions / { values[n++] = $2 }
    END { printf "trace_off_exit_instructions %.2f instructions\n", values[0] - values[1] }'
