# SPDX-License-Identifier: Apache-2.0
"""`backplane vm` boots Debian's kernel: both kinds of file, sizes of memory,
numbers of CPUs, reset and power-off, what the guest sees of the machine."""
import subprocess
import tempfile

import pytest

from machine import GUEST, Machine, request


def mem_total_mib(vm):
    line = vm.check('grep MemTotal /proc/meminfo')
    return int(line.split()[1]) >> 10


def power_off(vm):
    vm.start_exec('poweroff', '-f')
    assert vm.wait() == 0


def test_defaults_boot_the_guest_image():
    """ELF, 512 MiB, one CPU, console on stdio; the chipset; statistics."""
    with Machine('--stats', stdin=subprocess.PIPE) as vm:
        vm.wait_agent()
        assert 400 < mem_total_mib(vm) <= 512
        assert vm.check('nproc') == '1\n'
        lspci = vm.check('lspci -n')
        assert '00:00.0 0600: 8086:1237' in lspci
        assert '00:01.0 0601: 8086:7000' in lspci
        assert '00:01.3 0680: 8086:7113' in lspci
        assert len(lspci.splitlines()) == 3
        vm.process.stdin.write(b'echo co""nsole works\n')
        vm.process.stdin.flush()
        vm.wait_console('console works')
        power_off(vm)
        errors = vm.errors.decode()
        assert 'port I/O' in errors and 'com1' in errors
        assert 'io_exits' in errors     # KVM's own


def test_bzimage_in_256_mib():
    with Machine('--kernel', str(GUEST / 'vmlinuz'),
                 '--initrd', str(GUEST / 'initrd'),
                 '--memory', '256M') as vm:
        vm.wait_agent()
        assert 150 < mem_total_mib(vm) <= 256
        power_off(vm)


def test_memory_that_just_fits_below_the_pci_hole():
    with Machine('--memory', '3.5G', '--cpus', '2') as vm:
        vm.wait_agent()
        assert 3300 < mem_total_mib(vm) <= 3584
        assert vm.check('nproc') == '2\n'
        iomem = vm.check('cat /proc/iomem')
        assert '-dfffffff : System RAM' in iomem
        assert '100000000-' not in iomem
        power_off(vm)


def test_memory_above_4_gib_and_16_cpus():
    with Machine('--memory', '6G', '--cpus', '16') as vm:
        vm.wait_agent()
        assert 5700 < mem_total_mib(vm) <= 6144
        assert vm.check('nproc') == '16\n'
        cpus = vm.check('grep -c ^processor /proc/cpuinfo')
        assert cpus == '16\n'
        iomem = vm.check('cat /proc/iomem')
        assert '-dfffffff : System RAM' in iomem
        assert '100000000-19fffffff : System RAM' in iomem
        power_off(vm)


def test_reset_by_acpi_boots_again():
    with Machine('--stats') as vm:
        vm.wait_agent()
        vm.check('touch /run-before')
        vm.start_exec('reboot', '-f')
        vm.agent.close()
        vm.agent = None
        vm.wait_console('Restarting system')
        vm.wait_agent()
        assert vm.exec('test -e /run-before')[0] == 1
        power_off(vm)
        assert '1 reset(s)' in vm.errors.decode()


@pytest.mark.parametrize('board', ['pc', 'pcie'])
def test_power_button(board):
    """Linux's button driver tells who listens, here a shell; a press that
    nobody waited for is no obstacle to the next."""
    with tempfile.TemporaryDirectory() as folder:
        api = folder + '/api'
        with Machine('--board', board, '--api', api) as vm:
            vm.wait_agent()
            assert request(api, 'POST', '/v1/power-button')[0] == 202
            vm.check('modprobe -a button evdev')
            events = vm.check('for d in /sys/class/input/event*; do '
                              'grep -l LNXPWRBN $d/device/phys; done')
            event = events.split('/')[4]
            vm.check(f'exec 3</dev/input/{event}; '
                     '(head -c 24 <&3; exec poweroff -f) >/dev/null 2>&1 &')
            assert vm.process.poll() is None
            assert request(api, 'POST', '/v1/power-button')[0] == 202
            assert vm.wait() == 0
