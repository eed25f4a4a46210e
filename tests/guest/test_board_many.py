# SPDX-License-Identifier: Apache-2.0
"""Very many NICs: as many e1000 as root ports can give I/O space, thirty behind
a PCI bridge, and 128 virtio-net. Each of them pings the host on the stream port;
the e1000 share the eight interrupts there are for INTx pins.

Binding one driver takes a guest under emulation five seconds, hence the time.
"""
import pytest

from machine import Machine
from netserver import Peer, Server

BOOT_SECONDS = 600

USE = '''
for i in $(seq 0 {last}); do
	ip link set eth$i up
	ip addr add 10.1.$i.1/24 dev eth$i
done
for i in $(seq 0 {last}); do
	ping -c {pings} -w 30 -I eth$i 10.1.$i.99 | grep -q ' 0% packet loss' ||
		echo eth$i
done
'''


@pytest.mark.parametrize('count, place', [(12, ''), (30, ',bridge=1')],
                         ids=['12-in-root-ports', '30-behind-a-bridge'])
def test_many_e1000(count, place):
    names = [f'n{i}' for i in range(count)]
    args = ['--board', 'pcie', '--memory', '1G']
    with Server(*names) as server, Peer(server):
        for name in names:
            args += ['--nic', f'vfio-user:{server.path(name)}{place}']
        with Machine(*args) as vm:
            vm.wait_agent(BOOT_SECONDS)
            lspci = vm.check('lspci -k')
            assert lspci.count('82540EM') == count
            assert lspci.count('driver in use: e1000') == count
            assert vm.check(USE.format(last=count - 1, pings=3),
                            seconds=300) == ''
            vm.start_exec('poweroff', '-f')
            assert vm.wait() == 0


@pytest.mark.xfail(run=False, reason="not booted within five minutes under "
                   "emulation; 48 are, in 81 s")
def test_128_virtio():
    """As many vectors as the guest has for them: what it cannot get it does
    without."""
    count = 128
    names = [f'n{i}' for i in range(count)]
    args = ['--board', 'pcie', '--memory', '1G']
    with Server(*names, model='virtio-net') as server, Peer(server):
        for name in names:
            args += ['--nic', f'vfio-user:{server.path(name)}']
        with Machine(*args) as vm:
            vm.wait_agent(BOOT_SECONDS)
            assert vm.check('ls -d /sys/class/net/eth* | wc -l') == '128\n'
            assert vm.check(USE.format(last=count - 1, pings=1),
                            seconds=300) == ''
            vm.start_exec('poweroff', '-f')
            assert vm.wait() == 0
