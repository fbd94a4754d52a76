# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# gdb on a stock kernel: symbols from its /proc/kallsyms, registers, memory read and written, steps,
# Ctrl-C, vCPUs as threads, the guest's own traps, detach; then the guest goes on to power off.
#
# Breakpoints and watchpoints need a processor that the rig does not emulate in full: QEMU's SVM
# does not intercept INT3, and VMRUN does not put DR7 into force. There they are left out, which a
# note says; on a machine with VT-x or SVM of its own, run-scenarios makes them, and so does
# tests/guest/test-gdb.sh, which shows hardware breakpoints at CPL 0 on any KVM.

if ! command -v gdb >/dev/null; then
    not_ok gdb "there is no gdb here: packages.txt has it"
    exit 1
fi
socket=$WORK/gdb

# debug NAME COMMAND...: gdb connects, does these, and ends; its output goes to $WORK/gdb-NAME
debug()
{
    local command arguments=() out=$WORK/gdb-$1
    shift
    for command in "$@"; do arguments+=(-ex "$command"); done
    timeout -k 5 120 gdb -nx -batch -ex "set pagination off" -ex "set confirm off" \
        -ex "target remote $socket" "${arguments[@]}" "$WORK/symbols" >"$out" 2>&1 </dev/null
    cat "$out" >>"$WORK/gdb-all"
}

# debug_until PATTERN NAME COMMAND...: the same; Ctrl-C once the console shows PATTERN
debug_until()
{
    local pattern=$1 command arguments=() out=$WORK/gdb-$2 gdb left=60
    shift 2
    for command in "$@"; do arguments+=(-ex "$command"); done
    # Not under timeout, which would get the signal in gdb's place.
    gdb -nx -batch -ex "set pagination off" -ex "set confirm off" -ex "target remote $socket" \
        "${arguments[@]}" "$WORK/symbols" >"$out" 2>&1 </dev/null &
    gdb=$!
    wait_for "$pattern" 60
    while kill -INT "$gdb" 2>/dev/null && [ $((left -= 1)) -gt 0 ]; do sleep 1; done
    kill -KILL "$gdb" 2>/dev/null
    wait "$gdb" 2>/dev/null
    cat "$out" >>"$WORK/gdb-all"
}

# seen CHECK NAME PATTERN: gdb's session NAME printed such a line
seen()
{
    grep -qE -- "$3" "$WORK/gdb-$2"
    verdict $? "$1" "$(grep -vE '^$' "$WORK/gdb-$2" | tail -n 12 | tr '\n' ';')"
}

# later LINE: a gdb command that types LINE at the guest's console
later() { echo "shell printf '%s\\n' '$1' >$console_in"; }

guest_initrd "$WORK/script" <<'EOS'
stty -echo
echo "=== symbols"
grep -E ' (_stext|_etext|_end|__x64_sys_sethostname|__x64_sys_newuname|ksys_sync|jiffies_64|linux_banner|init_uts_ns)$' /proc/kallsyms
echo "=== end of symbols"
while read -r line; do eval "$line"; done
EOS
(cd "$FIXTURES" && echo own-traps | cpio -o -H newc --quiet) >"$WORK/traps.cpio"
cat "$WORK/script" "$WORK/traps.cpio" >"$WORK/initrd"
append="$append nokaslr"
start_guest -m 256 -smp 2 -kernel "$KERNEL/vmlinuz" -initrd "$WORK/initrd" -no-reboot -gdb "unix:$socket"
wait_for '^=== end of symbols' 120 || give_up boot "not up after 120 s"
ok boot
section symbols | scripts/kallsyms-elf "$WORK/symbols" || give_up symbols "$(section symbols)"

# What the kernel has there is what gdb reads, and what gdb writes the guest reads. The host name is
# the second string, of 65 bytes each, in struct uts_namespace.
debug look 'p $cr0' 'p $efer' 'p/x $gs_base != 0' 'x/s &linux_banner' 'x/s (char *)&init_uts_ns + 65' \
    'set {char[8]}((char *)&init_uts_ns + 65) = "tessera"' 'info threads' 'monitor info status' \
    'p/x $pc' 'stepi' 'p/x $pc' 'stepi' 'stepi' 'p/x $pc' 'x/1xb 0xfee00000' 'detach'
seen cr0 look '^\$1 = \[ PE .*WP .*PG \]'
seen efer look '^\$2 = \[ SCE LME LMA NXE'
seen banner look '<linux_banner>:.*"Linux version '
seen host_name look '<init_uts_ns\+65>:.*"\(none\)"'
seen threads look '^  2 +Thread 2 \(vCPU 1 \[(running|halted)\]\)'
seen status look 'VM status: paused \(debug\)'
pcs=$(sed -nE 's/^\$[456] = (0xffffffff8[0-9a-f]+)$/\1/p' "$WORK/gdb-look" | sort -u | wc -l)
equal steps "$pcs" 3
seen no_memory_no_access look 'Cannot access memory at address'
seen detached look 'Inferior 1 .* detached'
type_line 'echo "=== hostname"; hostname; echo "=== end of hostname"'
wait_for '^=== end of hostname' 30
equal written_memory_is_the_guests "$(section hostname)" tessera

# The guest's own traps, with a debugger whose debug registers are in use: each step of the guest's
# is an exit, which must go back to it.
debug_until '^=== own' own 'hbreak ksys_sync' "$(later '/own-traps; echo "=== own"')" 'continue' 'delete' 'detach'
equal own_traps "$(tr -d '\r' <"$serial" | grep '^own traps:')" "own traps: 1 int3, 3 steps"
seen ctrl_c own 'received signal SIGINT'
type_line 'echo "=== after"'
wait_for '^=== after' 30
verdict $? goes_on_after_detach "the guest does not go on"

# One vCPU steps while the other stands still.
debug_until '^=== busy' locked "$(later 'echo "=== busy"; while :; do :; done & sleep 30; kill %1; echo "=== idle"')" \
    'continue' 'set scheduler-locking on' 'thread 2' 'p/x $rip' 'thread 1' 'stepi' 'stepi' 'thread 2' 'p/x $rip' 'detach'
equal other_vcpu_stands "$(sed -n 's/^\$1 = //p' "$WORK/gdb-locked")" "$(sed -n 's/^\$2 = //p' "$WORK/gdb-locked")"
wait_for '^=== idle' 90
verdict $? goes_on_after_locked_steps "the guest does not go on"

if grep -q 'QEMU TCG' /proc/cpuinfo; then
    echo "# no software breakpoint, hardware breakpoint and watchpoint here: QEMU's SVM does not deliver them"
else
    # The system call's argument: struct pt_regs, with RDI at 0x70.
    debug software 'break __x64_sys_sethostname' "$(later 'hostname breakpoint; echo "=== named"')" 'continue' \
        'x/s *(char **)($rdi + 0x70)' 'x/1xb __x64_sys_sethostname' 'stepi' 'stepi' 'info registers rip' \
        'info breakpoints' 'detach'
    seen software_breakpoint software 'Breakpoint 1, 0x[0-9a-f]+ in __x64_sys_sethostname'
    seen software_argument software '"breakpoint"'
    seen software_step software '^rip .*<__x64_sys_sethostname\+[0-9]+>'
    seen software_once software 'breakpoint already hit 1 time'
    wait_for '^=== named' 30
    verdict $? goes_on_after_software "the guest does not go on"
    debug hardware 'hbreak __x64_sys_newuname' "$(later 'uname -a >/dev/null; echo "=== uname"')" 'continue' \
        'stepi' 'info registers rip' 'delete' 'watch *(long *)&jiffies_64' 'continue' 'continue' 'info watchpoints' \
        'delete' 'detach'
    seen hardware_breakpoint hardware 'Breakpoint 1, 0x[0-9a-f]+ in __x64_sys_newuname'
    seen watchpoint hardware 'breakpoint already hit 2 times'
    wait_for '^=== uname' 30
    verdict $? goes_on_after_hardware "the guest does not go on"
fi

# It lives, and nothing of all that is in its log; gdb is told how it ends.
type_line report
wait_for '^=== end.\?$' 60 || not_ok report "not there after 60 s"
debug end "$(later 'poweroff -f')" 'continue'
wait_end 60 || give_up poweroff "still running"
equal poweroff_status "$exit_status" 0
seen told_of_the_end end 'exited normally'
check_messages
check_no_oops
