#!/bin/bash
# SPDX-License-Identifier: MIT
# While nobody traces, an exit costs five instructions more than without trace points, at most: counted
# by valgrind, with the exit path as it is and one that was compiled without them. The counts of a
# build are always the same.
set -u
build=${TESSERA_BUILD:-build/gcc}/tests/bench
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

skip()
{
    echo "ok 1 - test_exits_that_nobody_traces # SKIP $1"
    echo "1..1"
    exit 0
}

command -v valgrind >/dev/null || skip "no valgrind"
[ -x "$build/untraced/bench-run-loop" ] || skip "no run loop without trace points in this build"

count()                             # count PROGRAM: instructions of an exit
{
    valgrind -q --tool=callgrind --callgrind-out-file="$dir/dump" "$1" -i >"$dir/out" 2>&1 || return
    awk '/^desc: Trigger: Client Request: run_loop_exit/ { times = $6 }
         times && /^totals: / { printf "%d\n", $2 / times; exit }' "$dir"/dump*
    rm -f "$dir"/dump*
}

with=$(count "$build/bench-run-loop")
without=$(count "$build/untraced/bench-run-loop")
echo "# $with instructions, $without without trace points"
if [ "${without:-0}" -gt 100 ] && [ "$((with - without))" -ge 1 ] && [ "$((with - without))" -le 5 ]; then
    echo "ok 1 - test_exits_that_nobody_traces"
else
    echo "not ok 1 - test_exits_that_nobody_traces"
    sed 's/^/# /' "$dir/out"
fi
echo "1..1"
