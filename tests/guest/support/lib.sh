# SPDX-License-Identifier: MIT
# For tests/guest/test-*.sh: starts build/tessera with a payload and looks at what came of it.
set -u
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
: "${TESSERA:=$top/build/tessera}" "${TESSERA_PAYLOADS:=$top/build/gcc/tests/guest/payloads}"
dir=$(mktemp -d)
n=0
pid=                            # of the program that start() started and finish() has not waited for
trap '[ -z "$pid" ] || kill -9 "$pid" 2>/dev/null; rm -rf "$dir"' EXIT

# A pipe that nobody writes to: to wait a moment without a process for it. Thousands of those would
# wear out the numbers of processes, and a kill might meet another one.
mkfifo "$dir/idle"
exec {idle}<>"$dir/idle"

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
}

is_up()                         # has the started program not ended yet?
{
    kill -0 "$pid" 2>/dev/null
}

moment()
{
    read -rt 0.05 -u "$idle" || :
}

finish()                        # waits for the started one, a minute at most; sets status
{
    local i
    for ((i = 0; i < 1200; i++)); do
        is_up || break
        moment
    done
    ! is_up || kill -9 "$pid"
    wait "$pid" 2>/dev/null
    status=$?
    pid=
}

wait_for()                      # wait_for TEXT [FILE]: until it is there; fails after a minute
{
    local i text file=${2:-$dir/out}
    for ((i = 0; i < 1200; i++)); do
        text=()
        [ ! -e "$file" ] || mapfile -d '' text <"$file"
        [[ ${text[0]-} != *"$1"* ]] || return 0
        is_up || return 1
        moment
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
