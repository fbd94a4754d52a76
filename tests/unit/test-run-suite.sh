#!/bin/bash
# SPDX-License-Identifier: MIT
# tests/run-suite counts what programs report, also those that die, hang, or stop half-way.
set -u
cd "$(dirname "$0")/../.." || exit 1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
n=0
unset RUN_SUITE_ONE

program()                       # program NAME <<LINES: a script to be run as a test program
{
    { echo '#!/bin/bash'; cat; } >"$dir/$1"
    chmod +x "$dir/$1"
}

counts()                        # counts NAME "PASSED FAILED SKIPPED" STATUS PROGRAM...
{
    local name=$1 wanted=$2 wanted_status=$3 got status
    shift 3
    tests/run-suite -t 2 suite "$dir/results" "${@/#/$dir/}" >"$dir/out" 2>&1
    status=$?
    got=$(cat "$dir/results/suite.count")
    n=$((n + 1))
    if [ "$got" = "$wanted" ] && [ "$status" = "$wanted_status" ]; then
        echo "ok $n - $name"
    else
        echo "not ok $n - $name"
        echo "# counted $got with status $status, wanted $wanted with $wanted_status"
        sed 's/^/# /' "$dir/out"
    fi
}

program good <<<'echo 1..2; echo "ok 1 - a"; echo "ok 2 - b"'
program bad <<<'echo 1..2; echo "ok 1 - a"; echo "not ok 2 - b"; exit 1'
program skips <<<'echo 1..2; echo "# skip: no such thing here"; echo "not ok 1 # SKIP a"; echo "ok 2 - b # SKIP why"'
program dies <<<'echo 1..2; echo "ok 1 - a"; kill -SEGV $$'
program hangs <<<'echo 1..2; echo "ok 1 - a"; exec sleep 60'
program stops <<<'echo 1..2; echo "ok 1 - a"'
program silent <<<'exit 0'
program fails_quietly <<<'echo 1..1; echo "ok 1 - a"; exit 3'

counts test_run_suite_good "2 0 0" 0 good
counts test_run_suite_failed "1 1 0" 1 bad
counts test_run_suite_skipped "0 0 2" 0 skips
n=$((n + 1))
if grep -q 'skipped: a: no such thing here' "$dir/out" && grep -q 'skipped: b: why' "$dir/out"; then
    echo "ok $n - test_run_suite_skip_reasons"
else
    echo "not ok $n - test_run_suite_skip_reasons"
fi
counts test_run_suite_killed "1 1 0" 1 dies
counts test_run_suite_over_time "1 1 0" 1 hangs
counts test_run_suite_stops_early "1 1 0" 1 stops
counts test_run_suite_silent "0 1 0" 1 silent
counts test_run_suite_status_only "1 1 0" 1 fails_quietly
counts test_run_suite_sums "4 2 2" 1 good bad skips dies
counts test_run_suite_none "0 0 0" 0
echo "1..$n"
