# SPDX-License-Identifier: Apache-2.0
"""vfio-user NICs in `backplane vm`: two on one shared INTx line, the line moved
by the guest, a guest's reset, the server gone."""
import os
import subprocess
import time

import pytest

from machine import PROGRAM, Machine

# Two cards of one machine, apart from each other in a namespace of their own.
TWO_ENDS = '''
ip netns add far
ip link set eth1 netns far
ip addr add 10.9.0.1/24 dev eth0
ip link set eth0 up
ip netns exec far ip addr add 10.9.0.2/24 dev eth1
ip netns exec far ip link set eth1 up
'''
PING = 'ping -c 3 -i 0.3 -w 30 10.9.0.2'


@pytest.fixture
def server(tmp_path):
    """Two e1000 ports on one switch; the process has `paths`."""
    paths = [str(tmp_path / name) for name in ('a', 'b')]
    argv = [PROGRAM, 'serve']
    for path in paths:
        argv += ['--port', f'vfio-user:{path},model=e1000']
    process = subprocess.Popen(argv)
    deadline = time.monotonic() + 20
    while not os.path.exists(paths[-1]):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    process.paths = paths
    yield process
    process.kill()
    process.wait()


def interrupts(vm, irq):
    for line in vm.check('cat /proc/interrupts').splitlines():
        if line.split(':')[0].strip() == str(irq):
            return int(line.split()[1]), line
    return 0, ''


def test_two_nics_on_one_line(server):
    # Slots 3 and 7: the same PIRQ input, so the same interrupt.
    with Machine('--nic', f'vfio-user:{server.paths[0]},slot=3',
                 '--nic', f'vfio-user:{server.paths[1]},slot=7',
                 '--stats') as vm:
        vm.wait_agent()
        lspci = vm.check('lspci -k -s 00:03.0; lspci -k -s 00:07.0')
        assert lspci.count('82540EM') == 2
        assert lspci.count('driver in use: e1000') == 2
        vm.check(TWO_ENDS)
        vm.check(PING)
        count, line = interrupts(vm, 11)
        assert count and 'eth0' in line and 'eth1' in line

        # Nobody listens to 10: the cards raise it in vain.
        vm.check('setpci -s 00:01.0 62.b=0a')
        before = interrupts(vm, 11)[0]
        vm.exec('ping -c 1 -w 2 10.9.0.2')
        assert interrupts(vm, 11)[0] == before
        # What is pending moves along with the line.
        vm.check('setpci -s 00:01.0 62.b=0b')
        vm.check(PING)
        assert interrupts(vm, 11)[0] > before

        server.kill()
        server.wait()
        assert vm.check('setpci -s 00:03.0 0.l').strip() == 'ffffffff'
        assert vm.check('setpci -s 00:07.0 10.l').strip() == 'ffffffff'
        assert vm.check('echo alive') == 'alive\n'
        vm.start_exec('poweroff', '-f')
        assert vm.wait() == 0
        errors = vm.errors.decode()
        assert errors.count('has gone') == 2        # once a card
        assert 'nic@3 bar0' in errors and 'nic@7 bar0' in errors


def test_reset_resets_the_cards(server):
    with Machine('--nic', f'vfio-user:{server.paths[0]}') as vm:
        vm.wait_agent()
        vm.check('ip link set eth0 up')
        bar = vm.check('setpci -s 00:03.0 10.l 04.w')
        vm.start_exec('reboot', '-f')
        vm.agent.close()
        vm.agent = None
        vm.wait_console('Restarting system')
        vm.wait_agent()
        assert vm.check('setpci -s 00:03.0 10.l 04.w').split()[0] == \
            bar.split()[0]
        assert 'e1000' in vm.check('lspci -k -s 00:03.0')
        assert 'UP' not in vm.check('ip link show eth0').split('>')[0]
        vm.start_exec('poweroff', '-f')
        assert vm.wait() == 0


def test_msi(tmp_path):
    """Stock drivers of this card use INTx: its MSI capability is programmed by
    hand, with a vector that nobody has, which the kernel complains about."""
    capability, vector = 0xf0, 0xe0
    path = str(tmp_path / 'full')
    process = subprocess.Popen([PROGRAM, 'serve', '--port',
                                f'vfio-user:{path},model=e1000,caps=full'])
    try:
        while not os.path.exists(path):
            assert process.poll() is None
            time.sleep(0.05)
        with Machine('--nic', f'vfio-user:{path},slot=3') as vm:
            vm.wait_agent()
            lspci = vm.check('lspci -vv -s 00:03.0')
            assert '[dc] Power Management version 2' in lspci
            assert '[f0] MSI: Enable- Count=1/1 Maskable- 64bit+' in lspci
            vm.check('ip link set eth0 up; sleep 1')
            vm.check(f'setpci -s 00:03.0 {capability + 4:x}.l=fee00000 '
                     f'{capability + 8:x}.l=0 {capability + 12:x}.w='
                     f'{vector:x} {capability + 2:x}.w=81')
            before = interrupts(vm, 11)[0]
            # Causes an interrupt: the link goes, and comes.
            vm.check('ethtool -r eth0; sleep 1')
            assert f'0.{vector} No irq handler for vector' in vm.check('dmesg')
            assert interrupts(vm, 11)[0] == before
            vm.check(f'setpci -s 00:03.0 {capability + 2:x}.w=80')
            vm.check('ethtool -r eth0; sleep 1')
            assert interrupts(vm, 11)[0] > before
    finally:
        process.kill()
        process.wait()
