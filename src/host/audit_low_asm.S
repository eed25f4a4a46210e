/* SPDX-License-Identifier: Apache-2.0
 *
 * Far calls and jumps of 64-bit mode, for audit_low.c, which copies the code:
 * it does not care where it lies.  gas takes the far forms here as those with
 * m16:32 and, for LRET, with two doublewords on the stack.
 */
	.section .rodata

	.macro label name
	.globl	\name
	.hidden	\name
\name:
	.endm

	label	audit_low_start
	label	audit_low_call
	pushq	%rbx
	movq	%rsp, %rbx
	movq	%rsi, %rsp
	lcall	*(%rdi)
	movq	%rbx, %rsp
	popq	%rbx
	ret
	label	audit_low_call_target
	movzwl	4(%rsp), %eax
	lretl
	label	audit_low_jump
	ljmp	*(%rdi)
	label	audit_low_jump_target
	movl	%cs, %eax
	ret
	label	audit_low_end

	.section .note.GNU-stack, "", @progbits
