/* SPDX-License-Identifier: MIT */
/*
 * The trace events: everything that is known of them follows from this list.
 *
 *   EVENT(name, shape, opened, doc, fields)    fields: FIELD(kind, name) FIELD(kind, name) ...
 *
 * shape: INSTANT, a moment; BEGIN and END, a span of time on one thread, where END names the event
 * that has opened it (the others name themselves); COMPLETE, a span that is told at its end, with a
 * field `ns`, its length.
 *
 * kind (and C type): U32, decimal (uint32_t); DEC and HEX (uint64_t); INT, decimal (int64_t); BOOL
 * (bool); NAME, a string that exists for ever, and TEXT, one that is copied, of which the first 95
 * bytes count (const char *). The first string of an event names it on a timeline.
 *
 * The first four are those of an exit: trace_exits_on() looks at them together.
 *
 * No guard: whoever includes this defines EVENT and FIELD, which are gone afterwards.
 */
EVENT(vcpu_exit, BEGIN, vcpu_exit, "a vCPU has left the guest; begins what is done about it",
      FIELD(U32, cpu) FIELD(NAME, reason) FIELD(HEX, address) FIELD(U32, size) FIELD(U32, count)
      FIELD(BOOL, write) FIELD(HEX, value))
EVENT(vcpu_enter, END, vcpu_exit, "a vCPU enters the guest; ends its exit",
      FIELD(U32, cpu))
EVENT(memory_dispatch, INSTANT, memory_dispatch,
      "which region answers a piece of a vCPU's access, and at which offset",
      FIELD(TEXT, region) FIELD(TEXT, space) FIELD(HEX, address) FIELD(HEX, offset)
      FIELD(DEC, size) FIELD(BOOL, write))
EVENT(coalesced_drain, INSTANT, coalesced_drain,
      "writes that the kernel had queued have reached their devices, before an exit is handled",
      FIELD(U32, cpu) FIELD(DEC, writes))

EVENT(vcpu_wait_begin, BEGIN, vcpu_wait_begin,
      "a vCPU is held outside the guest: by a pause, a change of slots, the machine's end",
      FIELD(U32, cpu) FIELD(HEX, hold))
EVENT(vcpu_wait_end, END, vcpu_wait_begin, "a held vCPU looks whether it may go on",
      FIELD(U32, cpu))

EVENT(kvm_ioctl, COMPLETE, kvm_ioctl,
      "an ioctl on one of KVM's files; not KVM_RUN, of which vcpu_enter and vcpu_exit tell",
      FIELD(NAME, request) FIELD(INT, fd) FIELD(INT, result) FIELD(DEC, ns))
EVENT(kvm_slot, INSTANT, kvm_slot, "a memory slot was set, changed or (size 0) deleted",
      FIELD(U32, slot) FIELD(HEX, address) FIELD(HEX, size) FIELD(HEX, flags) FIELD(HEX, host)
      FIELD(INT, result) FIELD(TEXT, region))
EVENT(kvm_park_begin, BEGIN, kvm_park_begin,
      "all vCPUs leave the guest, because a slot changes that is in use; done: steps before it",
      FIELD(U32, done))
EVENT(kvm_park_end, END, kvm_park_begin, "the vCPUs may go on",
      FIELD(DEC, us))

EVENT(commit_begin, BEGIN, commit_begin, "the memory map is made anew where it was edited",
      FIELD(TEXT, cause))
EVENT(commit_end, END, commit_begin, "and is published, or (ok=0) as it was before",
      FIELD(TEXT, cause) FIELD(BOOL, ok) FIELD(DEC, us) FIELD(DEC, views) FIELD(DEC, ranges)
      FIELD(DEC, nodes_built) FIELD(DEC, nodes_shared) FIELD(DEC, calls) FIELD(DEC, ioctls)
      FIELD(DEC, pauses) FIELD(DEC, pause_us))

EVENT(dimm_plug, INSTANT, dimm_plug,
      "a DIMM is in its slot, mapped; the guest is told of it if hot",
      FIELD(TEXT, id) FIELD(U32, slot) FIELD(HEX, address) FIELD(HEX, size) FIELD(BOOL, hot))
EVENT(dimm_unplug_request, INSTANT, dimm_unplug_request, "the guest is asked to give a DIMM back",
      FIELD(TEXT, id) FIELD(U32, slot))
EVENT(dimm_state, INSTANT, dimm_state, "where a DIMM's unplugging stands, and why",
      FIELD(TEXT, id) FIELD(NAME, state) FIELD(TEXT, reason))
EVENT(dimm_ost, INSTANT, dimm_ost, "the guest says (_OST) what became of a plug or an unplug",
      FIELD(U32, slot) FIELD(HEX, event) FIELD(HEX, status))
EVENT(dimm_eject_begin, BEGIN, dimm_eject_begin, "the guest ejects (_EJ0) what is in a slot",
      FIELD(U32, slot))
EVENT(dimm_eject_end, END, dimm_eject_begin, "it is unmapped, or (ok=0) could not be",
      FIELD(U32, slot) FIELD(BOOL, ok))
EVENT(dimm_remove, INSTANT, dimm_remove, "a DIMM is gone, and its backend free",
      FIELD(TEXT, id) FIELD(U32, slot) FIELD(TEXT, reason))

EVENT(machine_state, INSTANT, machine_state, "the machine runs, is paused, is off or has failed",
      FIELD(NAME, state))
EVENT(machine_reset_begin, BEGIN, machine_reset_begin, "the machine is reset",
      FIELD(NAME, cause))
EVENT(machine_reset_end, END, machine_reset_begin, "it stands at power-on, or (ok=0) has failed",
      FIELD(BOOL, ok))

EVENT(monitor_command_begin, BEGIN, monitor_command_begin, "a monitor runs a command",
      FIELD(TEXT, command) FIELD(NAME, monitor))
EVENT(monitor_command_end, END, monitor_command_begin, "its answer is made",
      FIELD(TEXT, command) FIELD(BOOL, ok) FIELD(TEXT, error))
EVENT(monitor_event, INSTANT, monitor_event, "QMP clients are told of an event",
      FIELD(TEXT, event))

EVENT(trace_lost, INSTANT, trace_lost,
      "events of this thread that found its buffer full; told whether it is on or not",
      FIELD(DEC, count))
#undef EVENT
#undef FIELD
