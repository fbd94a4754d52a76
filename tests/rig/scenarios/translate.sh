# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Addresses of a stock kernel, taken from its /proc/kallsyms, followed to the host's memory: the bytes
# are the same wherever they are read: by the guest itself, by the monitor at the virtual and at the
# guest-physical address, in this machine at the host-virtual and at the host-physical one.
. tests/rig/monitor-lib.sh

is_tessera || { skip translate "QEMU has no info translate"; exit 0; }

# kcore_functions: for both shells, the guest's and this one. /proc/kcore is an ELF core file: program
# headers say where memory stands in it, by virtual and by physical address.
kcore_functions()
{
    cat <<'EOS'
core_bytes() { dd if=/proc/kcore bs=1 skip="$(($1))" count="$2" 2>/dev/null; }
core_number() { echo $((0x$(core_bytes "$1" "$2" | od -An -v "-tx$2" | tr -d ' '))); }
# core_read FIELD ADDRESS COUNT: bytes in hexadecimal, by the address in that field of the headers (16:
# virtual, 24: physical; -1: there is none)
core_read()
{
    headers=$(core_number 56 2)
    header=$(core_number 32 8)
    while [ "$headers" -gt 0 ]; do
        start=$(core_number $((header + $1)) 8)
        into=$(($2 - start))
        if [ "$(core_number "$header" 4)" = 1 ] && [ "$start" != -1 ] && [ "$into" -ge 0 ] &&
            [ "$into" -lt "$(core_number $((header + 32)) 8)" ]; then
            core_bytes $(($(core_number $((header + 8)) 8) + into)) "$3" | od -An -v -tx1 | tr -d ' \n'
            echo
            return
        fi
        header=$((header + 56))
        headers=$((headers - 1))
    done
}
EOS
}

# bytes_of HMP-LINE: the bytes of an x or xp, in hexadecimal without anything between
bytes_of() { hmp "$1" | sed 's/^[0-9a-f]*://' | tr -d ' \n' | sed 's/0x//g'; }

# after WORD: the number behind a WORD with which a line of the translation begins
after() { sed -nE "s/^$1 (0x[0-9a-f]+).*/\1/p" <<<"$translation"; }

# same NAME GOT WANTED: bytes that are there, and equal
same() { [ ${#2} = ${#3} ] && [ -n "$2" ] && [ "$2" = "$3" ]; verdict $? "$1" "is \"$2\", not \"$3\""; }

# follow NAME ADDRESS COUNT: everything about one kernel address
follow()
{
    local guest gpa hva hpa
    guest=$(guest_do "$1_bytes" "core_read 16 $2 $3" | tr -d '\r\n')
    same "$1_x" "$(bytes_of "x/$3xb $2")" "$guest"
    translation=$(hmp "info translate $2")
    sed 's/^/# /' <<<"$translation"
    gpa=$(after "GPA") hva=$(after "HVA") hpa=$(after "HPA")
    same "$1_gpa" "$(bytes_of "xp/$3xb $gpa")" "$guest"
    same "$1_hva" "$(dd if="/proc/$guest_pid/mem" bs=1 skip="$((hva))" count="$3" 2>/dev/null | od -An -v -tx1 | tr -d ' \n')" "$guest"
    same "$1_hpa" "$(core_read 24 "$hpa" "$3")" "$guest"
    [ "$((gpa))" = "$(($(hmp "gva2gpa $2" | sed 's/gpa: //')))" ]
    verdict $? "$1_gva2gpa" "is not $gpa"
}

eval "$(kcore_functions)"
{
    kcore_functions
    echo 'stty -echo; echo "=== ready"; while read -r line; do eval "$line"; done'
} | guest_initrd "$WORK/initrd"
start_guest -m 256 -kernel "$KERNEL/vmlinuz" -initrd "$WORK/initrd" "${monitor_args[@]}"
monitor_connect
wait_for '^=== ready' 90 || give_up boot "not up after 90 s"
ok boot

banner=0x$(guest_do banner_symbol "grep -w linux_banner /proc/kallsyms" | cut -d' ' -f1)
text=$(guest_do version "cat /proc/version" | tr -d '\r' | head -c 40)
follow banner "$banner" 40
same banner_text "$(bytes_of "x/40xb $banner")" "$(printf %s "$text" | od -An -v -tx1 | tr -d ' \n')"
code=0x$(guest_do code_symbol "grep 'T schedule\$' /proc/kallsyms" | cut -d' ' -f1)
follow code "$code" 16
module=0x$(guest_do module_symbol "grep ' t .*\\[evdev\\]' /proc/kallsyms | head -n 1" | cut -d' ' -f1)
follow module "$module" 8
grep -q '^  page of 4 KiB: .*executable' <<<"$translation"
verdict $? module_page "is not of 4 KiB"

translation=$(hmp "info translate 0x10")
grep -q '^Ends in the page tables: the P[A-Z0-9]* is not present' <<<"$translation"
verdict $? page_zero "is $(tail -n 1 <<<"$translation")"
translation=$(hmp "info translate -g 0xfee00000")
grep -q "^Ends in the kernel: KVM.s own local APIC" <<<"$translation"
verdict $? local_apic "is $(tail -n 1 <<<"$translation")"
monitor_disconnect
check_no_oops
stop_guest

# With hardware below it KVM takes 32-bit and PAE paging, and pages of 1 GiB, too.
guest_test translate
! grep -aE 'takes no|has none' "$WORK/translate"
verdict $? every_kind_of_paging "some were left out"
