#!/bin/bash
# SPDX-License-Identifier: MIT
# Without a usable KVM the first line says so, why, and what to do. Needs no KVM itself.
. "$(dirname "$0")/support/lib.sh"

run_tessera_first_line()        # the first line of what a failed start says
{
    run_tessera -m 2M -kernel "$TESSERA_PAYLOADS/pc.elf" -append "exit=1" "$@"
    head -n 1 "$dir/err" >"$dir/first"
    [ $status = 1 ] && [ ! -s "$dir/out" ]
}

run_tessera_first_line -accel "kvm,device=$dir/nonexistent" &&
    grep -q "^tessera: KVM is missing: cannot open $dir/nonexistent: No such file" "$dir/first" &&
    grep -qE "/proc/cpuinfo|modprobe|kvm_intel|kvm_amd" "$dir/first"
report $? test_no_such_file

run_tessera_first_line -accel "kvm,device=$dir" &&
    grep -q "^tessera: KVM is missing: $dir is a directory" "$dir/first" &&
    grep -q "/dev/kvm" "$dir/first"
report $? test_directory

for file in /dev/null "$dir/file"; do
    : >>"$file"
    run_tessera_first_line -accel "kvm,device=$file" &&
        grep -q "^tessera: KVM is missing: $file is not a KVM device" "$dir/first" &&
        grep -q "/dev/kvm" "$dir/first"
    report $? "test_$([ "$file" = /dev/null ] && echo dev_null || echo plain_file)"
done

# Not permitted: root may open everything, so another user has to try.
: >"$dir/locked"
chmod 000 "$dir/locked"
if [ "$(id -u)" != 0 ]; then
    run_tessera_first_line -accel "kvm,device=$dir/locked" &&
        grep -q "^tessera: KVM is not permitted: cannot open $dir/locked" "$dir/first" &&
        grep -q "group kvm" "$dir/first"
    report $? test_not_permitted
else
    chmod 755 "$dir"
    cp "$TESSERA" "$dir/tessera"
    cp "$TESSERA_PAYLOADS/pc.elf" "$dir/pc.elf"
    timeout 60 setpriv --reuid=65534 --regid=65534 --clear-groups "$dir/tessera" -nodefaults \
        -kernel "$dir/pc.elf" -accel "kvm,device=$dir/locked" >"$dir/out" 2>"$dir/err" </dev/null
    status=$?
    [ $status = 1 ] &&
        grep -q "^tessera: KVM is not permitted: cannot open $dir/locked: Permission denied" \
            "$dir/err" && grep -q "group kvm" "$dir/err"
    report $? test_not_permitted
fi

end
