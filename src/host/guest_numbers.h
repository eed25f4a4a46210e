/* SPDX-License-Identifier: Apache-2.0
 *
 * What guest_code_asm.S has to know, as the assembler knows no enum; asserted
 * in guest_code.c.
 */
#ifndef HOST_GUEST_NUMBERS_H
#define HOST_GUEST_NUMBERS_H

/* In struct guest_report */
#define AT_STEP 0
#define AT_CS 4
#define AT_FLAGS_CLI 8
#define AT_FLAGS_STI 16
#define AT_EXCEPTIONS 24
#define AT_SSE 28

/* Where things lie, and the rest */
#define REPORT 0x5000
#define IDT_POINTER 0x6000
#define PORT 0x80
#define VALUE 0x42
#define LOOPS 1000000

#endif
