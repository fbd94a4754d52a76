#!/bin/bash
# SPDX-License-Identifier: MIT
# The device of docs/adding-a-device.md is cut out of the page, built with the flags of this build,
# and its test is run.
set -u
cd "$(dirname "$0")/../.." || exit 1
build=${TESSERA_BUILD:-build/gcc}
page=docs/adding-a-device.md
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

report()                        # report STATUS NUMBER NAME
{
    [ "$1" = 0 ] && echo "ok $2 - $3" || echo "not ok $2 - $3"
}

# A line "<!-- file: PATH -->" names the block that follows it.
mkdir -p "$dir/include/tessera/hw/misc" "$dir/src/hw/misc" "$dir/tests/unit"
awk -v dir="$dir" '
    /^<!-- file: .* -->$/ { path = $3; next }
    /^```c$/ && path { out = dir "/" path; next }
    /^```$/ { out = path = ""; next }
    out { print > out }' "$page"
files=$(find "$dir" -type f | wc -l)
[ "$files" = 3 ]
report $? 1 test_page_has_three_files

# The build's own compiler and flags, sanitizers included; no file of the page may break a layer.
read -r -a flags <"$build/flags"
"${flags[@]}" -I"$dir/include" -Itests/unit -o "$dir/test" "$dir/tests/unit/test-tick-counter.c" \
    "$dir/src/hw/misc/tick-counter.c" tests/unit/support/device-rig.c "$build/libtessera.a" \
    $(pkg-config --libs glib-2.0 liburcu-memb jansson) -lfdt -lcmocka >"$dir/log" 2>&1
status=$?
report $status 2 test_device_of_the_page_builds
sed 's/^/# /' "$dir/log"

status=1
[ -x "$dir/test" ] && CMOCKA_MESSAGE_OUTPUT=STDOUT "$dir/test" >"$dir/log" 2>&1
status=$?
report $status 3 test_device_of_the_page_passes_its_test
[ $status = 0 ] || sed 's/^/# /' "$dir/log"

scripts/check-layers "$dir" >"$dir/log" 2>&1
report $? 4 test_device_of_the_page_keeps_the_layers
sed 's/^/# /' "$dir/log"
echo "1..4"
