# SPDX-License-Identifier: MIT
# For tests/guest/test-*.sh: starts build/tessera with a payload and looks at what came of it.
set -u
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
: "${TESSERA:=$top/build/tessera}" "${TESSERA_PAYLOADS:=$top/build/gcc/tests/guest/payloads}"
dir=$(mktemp -d)
n=0
pids=()
trap 'for pid in "${pids[@]}"; do kill -9 "$pid" 2>/dev/null; done; rm -rf "$dir"' EXIT

report()                        # report STATUS NAME: a test's result, and what was said if not ok
{
    n=$((n + 1))
    if [ "$1" = 0 ]; then
        echo "ok $n - $2"
        return
    fi
    echo "not ok $n - $2"
    for file in "$dir"/out "$dir"/err; do
        [ -s "$file" ] && sed "s/^/# $(basename "$file"): /" "$file"
    done
    [ -z "${status:-}" ] || echo "# exit status $status"
}

skip_test()                     # skip_test NAME REASON
{
    n=$((n + 1))
    echo "ok $n - $1 # SKIP $2"
}

# Ends the script, loudly, where no guest can be started.
need_kvm()
{
    if [ ! -e /dev/kvm ]; then
        skip_test "$(basename "$0" .sh)" "there is no /dev/kvm"
    elif ! { : <>/dev/kvm; } 2>/dev/null; then
        skip_test "$(basename "$0" .sh)" "/dev/kvm may not be opened by $(id -un)"
    else
        return
    fi
    echo "1..1"
    exit 0
}

# run WORDS [OPTION...]: the payload `pc` to its end; sets status, and fills $dir/out, $dir/err.
run()
{
    local words=$1
    shift
    run_tessera -m 2M -kernel "$TESSERA_PAYLOADS/pc.elf" -append "$words" -serial stdio "$@"
}

run_tessera()                   # the same with a command line of one's own
{
    timeout -k 5 60 "$TESSERA" -nodefaults "$@" >"$dir/out" 2>"$dir/err" </dev/null
    status=$?
}

# start WORDS [OPTION...]: the same without waiting; sets pid. Its serial port goes to $dir/out.
start()
{
    local words=$1
    shift
    : >"$dir/out"
    "$TESSERA" -nodefaults -m 2M -kernel "$TESSERA_PAYLOADS/pc.elf" -append "$words" "$@" \
        >"$dir/out" 2>"$dir/err" </dev/null &
    pid=$!
    pids+=("$pid")
}

finish()                        # waits for the started one; sets status
{
    ( sleep 60; kill -9 "$pid" ) >/dev/null 2>&1 &
    local guard=$!
    wait "$pid" 2>/dev/null
    status=$?
    kill "$guard" 2>/dev/null
    wait "$guard" 2>/dev/null
}

wait_for()                      # wait_for TEXT [FILE]: until a line is there; fails after a while
{
    local i
    for ((i = 0; i < 1200; i++)); do
        grep -qF -- "$1" "${2:-$dir/out}" 2>/dev/null && return 0
        sleep 0.05
    done
    return 1
}

says()                          # says TEXT...: each is a whole line of what the guest said
{
    local text
    for text in "$@"; do
        grep -qxF -- "$text" "$dir/out" || return 1
    done
}

count()                         # count TEXT: how many such lines
{
    grep -cxF -- "$1" "$dir/out"
}

end()
{
    echo "1..$n"
}
