/* SPDX-License-Identifier: Apache-2.0
 *
 * The code of the guests, for guest_code.c, which copies it.
 */
#include "host/guest_numbers.h"

	.section .rodata

	.macro label name
	.globl	\name
	.hidden	\name
\name:
	.endm

	label	guest_real
	.code16
	movb	$VALUE, %al
	outb	%al, $PORT
	hlt
	label	guest_real_end

	.code64
	label	guest_long
	movl	$REPORT, %edi
	movl	%cs, %eax
	movl	%eax, AT_CS(%rdi)
	incl	AT_STEP(%rdi)

	cli
	pushfq
	popq	AT_FLAGS_CLI(%rdi)
	sti
	pushfq
	popq	AT_FLAGS_STI(%rdi)
	incl	AT_STEP(%rdi)

	movq	%cr3, %rax
	movq	%rax, %cr3
	lidt	IDT_POINTER
	swapgs
	swapgs
	incl	AT_STEP(%rdi)

	ud2
	incl	AT_STEP(%rdi)

	pcmpeqd	%xmm0, %xmm0
	movd	%xmm0, AT_SSE(%rdi)
	incl	AT_STEP(%rdi)

	movb	$VALUE, %al
	outb	%al, $PORT
	movl	$LOOPS, %ecx
1:	decl	%ecx
	jnz	1b
	incl	AT_STEP(%rdi)
2:	hlt
	jmp	2b

	/* Of #UD, which pushes no error code; UD2 has two bytes. */
	label	guest_long_ud
	incl	AT_EXCEPTIONS(%rdi)
	addq	$2, (%rsp)
	iretq
	label	guest_long_end

	.section .note.GNU-stack, "", @progbits
