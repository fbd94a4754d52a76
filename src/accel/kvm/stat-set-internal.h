/* SPDX-License-Identifier: MIT */
/* Statistics as the kernel writes them down: binary in a file, or one small file each. */
#ifndef TESSERA_ACCEL_KVM_STAT_SET_INTERNAL_H
#define TESSERA_ACCEL_KVM_STAT_SET_INTERNAL_H

#include <stddef.h>
#include "tessera/accel/kvm/kvm-stats.h"

/*
 * The file (Linux, Documentation/virt/kvm/api.rst, section 4.133 KVM_GET_STATS_FD), all numbers in
 * the host's byte order:
 *
 *   0             header: flags, name_size, num_desc, id_offset, desc_offset, data_offset, u32 each
 *   id_offset     a name for the whole, name_size bytes
 *   desc_offset   num_desc times: flags u32, exponent s16, size u16, offset u32, bucket_size u32,
 *                 then the name, name_size bytes, ended by a zero
 *   data_offset   the values, u64 each: `size` of them at data_offset + `offset`
 *
 * The places of the parts, name_size, and which statistics there are: the header says it, nothing
 * is taken for granted.
 */
#define KVM_STATS_FILE_MAX (1u << 20) /* a bound for what is read; kernels have a few KiB */

/**
 * kvm_stat_set_parse() - all of such a file
 * @source: in words, copied
 *
 * Errors: TESSERA_ERROR_INVALID: a part lies outside of the file, a name is not ended, a value is
 * not aligned. Types and units that are not known here are passed on as unknown.
 */
KvmStatSet *kvm_stat_set_parse(const void *bytes, size_t len, const char *source, GError **error);

/**
 * kvm_stat_set_from_dir() - every file of the folder @path that holds one decimal number
 *
 * Errors: TESSERA_ERROR_SYSTEM: it cannot be opened.
 */
KvmStatSet *kvm_stat_set_from_dir(const char *path, GError **error);

#endif
