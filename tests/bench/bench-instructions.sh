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
for bench in bench-memory bench-run-loop bench-coalesced; do
    valgrind -q --tool=callgrind --callgrind-out-file="$dumps/$bench" "$build/tests/bench/$bench" -i \
        2> "$dumps/messages" || { cat "$dumps/messages" >&2; exit 1; }
done
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
