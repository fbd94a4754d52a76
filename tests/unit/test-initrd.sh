#!/bin/bash
# SPDX-License-Identifier: MIT
# scripts/make-initrd puts into the archive what it is told; scripts/extract-vmlinux unpacks what a
# bzImage says it holds, and refuses the rest.
set -u
cd "$(dirname "$0")/../.." || exit 1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
n=0

report()                        # report STATUS NAME
{
    n=$((n + 1))
    [ "$1" = 0 ] && echo "ok $n - $2" || echo "not ok $n - $2"
}

if ! command -v busybox >/dev/null || ! command -v cpio >/dev/null || ! command -v lz4 >/dev/null; then
    echo "ok 1 - test_initrd # SKIP busybox-static, cpio or lz4 is missing: run make deps"
    echo "1..1"
    exit
fi

echo 'echo hello' >"$dir/script"
scripts/make-initrd -s "$dir/script" -f etc/name="$dir/script" "$dir/initrd.gz"
gzip -dc "$dir/initrd.gz" | cpio -t --quiet >"$dir/list"
[ "$(grep -cxE 'init|script|etc/name|bin/busybox|dev|proc|sys' "$dir/list")" = 7 ]
report $? test_make_initrd_contents

scripts/make-initrd -p "$dir/plain.cpio" && [ "$(head -c 6 "$dir/plain.cpio")" = 070701 ]
report $? test_make_initrd_plain

scripts/make-initrd -m evdev "$dir/x" 2>"$dir/error"
[ $? != 0 ] && grep -q 'evdev needs -k' "$dir/error" && [ ! -e "$dir/x" ]
report $? test_make_initrd_module_without_kernel

# A bzImage of one setup sector whose payload is an LZ4 archive and its size, 0x40 bytes in.
bzimage()                       # bzimage PAYLOAD OUT
{
    local length
    length=$(($(stat -c %s "$1") + 4))
    {
        head -c 1024 /dev/zero
        head -c 64 /dev/zero
        cat "$1"
        printf '\0\1\0\0'
    } >"$2"
    write() { printf "$1" | dd of="$bz" bs=1 seek=$(($2)) conv=notrunc status=none; }
    bz=$2
    write '\001' 0x1f1
    write 'HdrS' 0x202
    write '\100' 0x248
    # shellcheck disable=SC2059
    write "$(printf '\\%03o\\%03o' $((length & 255)) $((length >> 8)))" 0x24c
}

{ printf '\177ELF'; head -c 252 /dev/zero; } >"$dir/elf"
lz4 -q -l -9 "$dir/elf" "$dir/elf.lz4"
bzimage "$dir/elf.lz4" "$dir/bzimage"
scripts/extract-vmlinux "$dir/bzimage" "$dir/vmlinux" && cmp -s "$dir/elf" "$dir/vmlinux"
report $? test_extract_vmlinux_lz4

seq 100 >"$dir/noise"
bzimage "$dir/noise" "$dir/odd"
scripts/extract-vmlinux "$dir/odd" "$dir/none" 2>"$dir/error"
[ $? != 0 ] && grep -q 'unknown way' "$dir/error" && [ ! -e "$dir/none" ]
report $? test_extract_vmlinux_unknown_compression

scripts/extract-vmlinux "$dir/elf.lz4" "$dir/none" 2>"$dir/error"
[ $? != 0 ] && grep -q 'not a bzImage' "$dir/error"
report $? test_extract_vmlinux_no_bzimage
echo "1..$n"
