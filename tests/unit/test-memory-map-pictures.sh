#!/bin/bash
# SPDX-License-Identifier: MIT
# The pictures in docs/ are what the program draws (make docs writes them), all of them are shown on
# the page, and any XML parser and renderer can read them.
set -u
cd "$(dirname "$0")/../.." || exit 1
: "${TESSERA_BUILD:=$PWD/build/gcc}"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
n=0

report()                            # report STATUS NAME
{
    n=$((n + 1))
    [ "$1" = 0 ] && echo "ok $n - $2" || echo "not ok $n - $2"
}

same()                              # same FOLDER: prints what differs
{
    diff -rq "$dir/pictures" "$1" >"$dir/diff" && return 0
    sed 's/^/# /; $a # make docs writes them' "$dir/diff"
    return 1
}

# What is shown is there, and what is there is shown.
shown()
{
    diff <(grep -oE 'pictures/[a-z0-9-]+\.svg' "$1" | sort -u) \
        <(cd docs && ls pictures/*.svg | LC_ALL=C sort) >"$dir/diff" && return 0
    sed 's/^/# /' "$dir/diff"
    return 1
}

mkdir "$dir/pictures" "$dir/changed"
"$TESSERA_BUILD/scripts/memory-map-pictures" "$dir/pictures" && same docs/pictures
report $? test_pictures_are_what_the_program_draws

cp docs/pictures/*.svg "$dir/changed"
sed -i 's/ram-below-4g/ram-below/' "$dir/changed/pc-5g.svg"
! same "$dir/changed" >/dev/null
report $? test_changed_picture_is_found

shown docs/memory-map.md
report $? test_page_shows_all_pictures

sed 's/pc-5g.svg/pc-6g.svg/' docs/memory-map.md >"$dir/page"
! shown "$dir/page" >/dev/null
report $? test_missing_picture_is_found

if command -v xmllint >/dev/null; then
    xmllint --noout docs/pictures/*.svg
    report $? test_pictures_are_well_formed
    [ "$(xmllint --xpath 'count(//*[@data-region="pc.ram" and @class="tile"])' docs/pictures/pc-5g.svg)" = 3 ]
    report $? test_5_gib_are_three_tiles
else
    n=$((n + 1))
    echo "ok $n - test_pictures_are_well_formed # SKIP xmllint is not installed"
fi

# No script, nothing of others: the namespace is the only address.
! grep -hoE '<script|https?://[^"]*|href=' docs/pictures/*.svg | grep -v '^http://www.w3.org/2000/svg$'
report $? test_pictures_stand_alone
echo "1..$n"
