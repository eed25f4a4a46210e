# SPDX-License-Identifier: Apache-2.0
"""Guests of a few instructions, for what Linux would never do.

They are PVH kernels: 32-bit protected mode without paging, at 1 MiB.
"""
import subprocess

HEAD = '''
	.section .note.Xen, "a"
	.long	4, 4, 18		/* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz	"Xen"
	.long	_start
	.text
	.code32
	.globl	_start
_start:
	mov	$0x80000, %esp
'''


def build(directory, source, name='tiny'):
    """Assemble a guest; returns the path of its kernel file."""
    path = directory / name
    (directory / f'{name}.s').write_text(HEAD + source + '\n')
    subprocess.run(['as', '--64', '-o', f'{path}.o', f'{path}.s'], check=True)
    subprocess.run(['ld', '-m', 'elf_x86_64', '-z', 'noexecstack', '-n',
                    '-Ttext=0x100000', '--build-id=none', '-o', path,
                    f'{path}.o'], check=True)
    return str(path)
