/* SPDX-License-Identifier: MIT */
/* What x-query-translate answers: its parts as JSON, and that JSON as text. */
#ifndef TESSERA_MONITOR_TRANSLATE_INTERNAL_H
#define TESSERA_MONITOR_TRANSLATE_INTERNAL_H

#include "tessera/accel/kvm/vcpu.h"
#include "tessera/memory/address-explain.h"
#include "tessera/memory/ram-block.h"
#include "tessera/monitor/command.h"
#include "tessera/util/host-page.h"

/* Each returns a new object. Addresses are JSON integers whose bits count (json_u64()). */

/**
 * translate_paging_json() - "mode", "cr0", "cr3", "cr4", "efer", "entries", "result", "message", and of
 * an address that is mapped "gpa", "page-size", "writable", "user", "executable"
 */
json_t *translate_paging_json(const X86PagingState *state, const X86Walk *walk);

/**
 * translate_memory_json() - "address-space", "view", "contest", "dispatch", and "tile", or where
 * nothing answers "neighbours". Machine lock
 */
json_t *translate_memory_json(const AddressExplanation *x);

json_t *translate_slot_json(const KvmSlotInfo *slot, hwaddr gpa);
json_t *translate_ram_json(const RAMBlock *block, uint64_t block_off);
json_t *translate_host_json(const HostPage *page);

/** translate_paging_message() - how the walk ended, one sentence without an end; g_free() */
char *translate_paging_message(const X86Walk *walk);

/** translate_print() - the whole answer for people: MonitorCommand.print */
void translate_print(const json_t *result, GString *out);

#endif
