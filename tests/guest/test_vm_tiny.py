# SPDX-License-Identifier: Apache-2.0
"""`backplane vm` with guests of a few instructions: ways to end, hostile
accesses, kernel files that are none."""
import os
import signal
import subprocess

import pytest

from machine import GUEST, PROGRAM, Machine
import tiny

POWER_OFF = '''
	mov	$0x604, %dx
	mov	$0x2000, %ax
	out	%ax, %dx
1:	hlt
	jmp	1b
'''

SAY_X_AND_HALT = '''
	mov	$0x3f8, %dx
	mov	$'x', %al
	out	%al, %dx
1:	hlt
	jmp	1b
'''


def run(*args, seconds=60):
    """Run to the end; returns (status, console, errors)."""
    done = subprocess.run([PROGRAM, 'vm', *args], stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=seconds, check=False)
    return done.returncode, done.stdout, done.stderr.decode()


def run_tiny(tmp_path, source, *args):
    return run('--kernel', tiny.build(tmp_path, source), *args)


def test_power_off_ends_with_0(tmp_path):
    status, _, errors = run_tiny(tmp_path, POWER_OFF)
    assert (status, errors) == (0, '')


@pytest.mark.parametrize('port, value', [(0xcf9, 0x06), (0x64, 0xfe)])
def test_reset_with_no_reboot_ends_with_0(tmp_path, port, value):
    status, _, errors = run_tiny(tmp_path, f'''
	mov	${port}, %dx
	mov	${value}, %al
	out	%al, %dx
1:	jmp	1b
''', '--no-reboot')
    assert (status, errors) == (0, '')


def test_reset_boots_again_on_cleared_memory(tmp_path):
    """Says how often it has been here, by a byte that CMOS keeps."""
    status, console, errors = run_tiny(tmp_path, '''
	mov	0x200000, %ebx		/* 0 after power-on */
	movl	$0x55, 0x200000
	mov	$0x40, %al
	out	%al, $0x70
	in	$0x71, %al
	inc	%al
	mov	%al, %cl
	mov	$0x40, %al
	out	%al, $0x70
	mov	%cl, %al
	out	%al, $0x71
	mov	$0x3f8, %dx
	lea	'0'(%ecx), %eax
	out	%al, %dx
	lea	'a'(%ebx), %eax
	out	%al, %dx
	cmp	$3, %cl
	je	2f
	mov	$0xcf9, %dx
	mov	$6, %al
	out	%al, %dx
1:	jmp	1b
2:
''' + POWER_OFF, '--stats')
    assert status == 0
    assert console == b'1a2a3a'
    assert '2 reset(s)' in errors


def test_triple_fault_ends_with_3(tmp_path):
    status, _, errors = run_tiny(tmp_path, '''
	lidt	empty
	int3
empty:	.word	0
	.long	0
''')
    assert status == 3
    assert errors.count('\n') == 1
    assert 'vCPU 0' in errors and 'RIP' in errors and 'triple fault' in errors


def test_ports_can_be_read_and_written(tmp_path):
    """All below 1000h but those that reset, power off or (61h-63h) would be
    written along with them, then every 61st; in all widths."""
    status, _, errors = run_tiny(tmp_path, '''
	xor	%edx, %edx
1:	in	%dx, %al
	in	%dx, %ax
	in	%dx, %eax
	mov	$skip, %esi
2:	movzwl	(%esi), %ecx
	cmp	%cx, %dx
	je	3f
	add	$2, %esi
	cmp	$skip_end, %esi
	jne	2b
	mov	%edx, %eax
	not	%eax
	out	%al, %dx
	out	%ax, %dx
	out	%eax, %dx
3:	inc	%edx
	cmp	$0x1000, %edx
	jb	1b
	add	$60, %edx
	cmp	$0x10000, %edx
	jb	1b
	jmp	4f
skip:
	.word	0x61, 0x62, 0x63, 0x64
	.word	0xcf6, 0xcf7, 0xcf8, 0xcf9
	.word	0x601, 0x602, 0x603, 0x604, 0x605
skip_end:
4:
''' + POWER_OFF, '--stats', '--console', 'none')
    assert status == 0, errors
    assert 'unclaimed ports' in errors


def test_every_config_address_can_be_accessed(tmp_path):
    """CF8 with every bus, slot and function; odd widths and offsets."""
    status, _, errors = run_tiny(tmp_path, '''
	mov	$0x80000000, %ebx
1:	mov	%ebx, %eax
	mov	$0xcf8, %dx
	out	%eax, %dx
	mov	$0xcff, %dx
	in	%dx, %eax
	out	%eax, %dx
	mov	$0xcfd, %dx
	in	%dx, %ax
	out	%ax, %dx
	mov	$0xcfc, %dx
	in	%dx, %eax
	not	%eax
	out	%eax, %dx
	add	$0x1fc, %ebx
	cmp	$0x80200000, %ebx
	jb	1b
''' + POWER_OFF)
    assert status == 0, errors


def test_mmio_where_nothing_is(tmp_path):
    """Reads give ones, in all widths; at the edges of the address space."""
    status, console, errors = run_tiny(tmp_path, '''
	mov	$0xe0000000, %ebx
1:	mov	(%ebx), %eax
	movb	$1, 1(%ebx)
	movw	$1, 3(%ebx)
	movl	$1, (%ebx)
	cmp	$-1, %eax
	jne	3f
	add	$0x00100004, %ebx
	cmp	$0xfeb00000, %ebx
	jb	1b
	mov	0xfffffffc, %eax
	mov	$'y', %al
	jmp	2f
3:	mov	$'n', %al
2:	mov	$0x3f8, %dx
	out	%al, %dx
''' + POWER_OFF, '--stats')
    assert (status, console) == (0, b'y'), errors
    assert 'unclaimed memory' in errors


def test_signals_end_it(tmp_path):
    kernel = tiny.build(tmp_path, SAY_X_AND_HALT)
    for signo in (signal.SIGTERM, signal.SIGINT):
        with Machine('--kernel', kernel, agent=False) as vm:
            vm.wait_console('x')
            vm.signal(signo)
            assert vm.wait() == 128 + signo


def test_sigusr1_prints_statistics(tmp_path):
    kernel = tiny.build(tmp_path, SAY_X_AND_HALT)
    with Machine('--kernel', kernel, agent=False) as vm:
        vm.wait_console('x')
        vm.signal(signal.SIGUSR1)
        vm.wait_error('com1')
        assert b'IO ' in vm.errors


def test_console_on_a_pty(tmp_path):
    """Echoes one byte and powers off."""
    kernel = tiny.build(tmp_path, '''
	mov	$0x3fc, %dx		/* MCR: RTS */
	mov	$2, %al
	out	%al, %dx
	mov	$0x3fd, %dx
1:	in	%dx, %al
	test	$1, %al
	jz	1b
	mov	$0x3f8, %dx
	in	%dx, %al
	out	%al, %dx
	mov	$0x3fd, %dx		/* and a second, so that the first */
2:	in	%dx, %al		/* can be read before the end */
	test	$1, %al
	jz	2b
''' + POWER_OFF)
    with Machine('--kernel', kernel, '--console', 'pty', agent=False) as vm:
        vm.wait_error('\n')
        path = vm.errors.decode().split('console: ')[1].split()[0]
        fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
        os.write(fd, b'Q')
        assert os.read(fd, 1) == b'Q'
        os.write(fd, b'R')
        assert vm.wait() == 0
        os.close(fd)


def lying_bzimage():
    """Debian's, cut off in the middle."""
    return (GUEST / 'vmlinuz').read_bytes()[:1 << 20]


def lying_elf(tmp_path):
    """A segment that says it is larger than the file."""
    image = bytearray(open(tiny.build(tmp_path, POWER_OFF), 'rb').read())
    phoff = int.from_bytes(image[32:40], 'little')
    image[phoff + 32:phoff + 48] = b'\xff' * 7 + b'\x7f' + b'\xff' * 7 + b'\x7f'
    return bytes(image)


@pytest.mark.parametrize('kind', ['empty', 'text', 'elf', 'short elf',
                                  'lying elf', 'short bzimage', 'missing'])
def test_kernel_file_that_is_none(tmp_path, kind):
    path = tmp_path / 'kernel'
    if kind == 'text':
        path.write_text('#!/bin/sh\n' * 100)
    elif kind == 'elf':
        path.write_bytes(open('/bin/true', 'rb').read())
    elif kind == 'short elf':
        path.write_bytes(b'\x7fELF\x02\x01\x01')
    elif kind == 'lying elf':
        path.write_bytes(lying_elf(tmp_path))
    elif kind == 'short bzimage':
        path.write_bytes(lying_bzimage())
    elif kind == 'empty':
        path.write_bytes(b'')
    status, _, errors = run('--kernel', str(path))
    assert status == 1
    assert errors.count('\n') == 1 and str(path) in errors


def test_memory_too_small_for_the_kernel():
    status, _, errors = run('--memory', '32M')
    assert status == 1
    assert '--memory' in errors


def test_nic_without_a_server(tmp_path):
    path = str(tmp_path / 'nobody')
    status, _, errors = run('--nic', 'vfio-user:' + path, '--kernel',
                            tiny.build(tmp_path, POWER_OFF))
    assert status == 1
    assert path in errors


@pytest.mark.no_kvm
@pytest.mark.parametrize('args', [
    ('--cpus', '0'), ('--cpus', '1x'), ('--memory', '7'), ('--memory', '1M'),
    ('--memory', 'G'), ('--nic', 'e1000'), ('--nic', 'vfio-user:/x,slot=0'),
    ('--nic', 'vfio-user:'), ('--console', 'vga'), ('--agent', 'stdio'),
    ('--bogus',), ('stray',)])
def test_usage(args):
    status, _, errors = run(*args)
    assert status == 2
    assert errors
