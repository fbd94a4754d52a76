/* SPDX-License-Identifier: MIT */
/* Numbers that the assembly and the C parts of a payload agree on. */
#ifndef PAYLOAD_ASM_H
#define PAYLOAD_ASM_H

#define SEL_KERNEL_CODE   0x08
#define SEL_KERNEL_DATA   0x10
#define SEL_USER_DATA     0x1b /* 0x18, RPL 3 */
#define SEL_USER_CODE     0x23 /* 0x20, RPL 3 */
#define SEL_KERNEL_CODE32 0x28
#define SEL_TSS(cpu)      (0x30 + 16 * (cpu))
#define PROCESSORS_MAX    4

#define CR0_PG_PE      0x80000001
#define CR4_PAE_OSFXSR 0x220
#define MSR_EFER       0xc0000080
#define EFER_LME       0x100

#define PAGE_TABLE 0x67 /* present, writable, user, accessed, dirty */
#define PAGE_2M    0xe7

#define AP_START_BASE 0x1000 /* page of the start-up code: vector 1 */

#endif
