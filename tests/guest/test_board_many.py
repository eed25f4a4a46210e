# SPDX-License-Identifier: Apache-2.0
"""Very many NICs: as many e1000 as root ports can give I/O space, thirty behind
a PCI bridge, and 128 virtio-net. Each of them pings the host on the stream port.

A processor of the guest has about 200 interrupt vectors, of which a root port
takes one, and a virtio-net one for each queue and one more. Where there are too
few the driver asks for two; and without MSI, all share the eight interrupts
there are for INTx pins, as the e1000 do. What Linux cannot do is to begin to
use a pin when the last vector has gone.
"""
import pytest

from machine import Machine
from netserver import Peer, Server

BOOT_SECONDS = 600

# One `ip` for all. Without IPv6, by which each of them talks to all the others
# as it comes up, which is as many frames as there are pairs.  Where all share one
# emulated processor the first ARP may take longer than it is waited for.
USE = '''
echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6
for i in $(seq 0 {last}); do
	echo "link set eth$i up"
	echo "addr add 10.1.$i.1/24 dev eth$i"
done | ip -batch -
for i in $(seq 0 {last}); do
	until read state </sys/class/net/eth$i/operstate && [ $state = up ]; do
		sleep 0.2
	done
	for try in 1 2 3 4 5; do
		ping -c {pings} -i 0.2 -w 30 -I eth$i 10.1.$i.99 |
			grep -q ' 0% packet loss' && continue 2
	done
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
                            seconds=600) == ''
            vm.start_exec('poweroff', '-f')
            assert vm.wait() == 0


def use_virtio(server, args, memory='1G'):
    """All of the server's NICs work; returns /proc/interrupts."""
    args = ['--board', 'pcie', '--memory', memory, *args]
    count = len(server.names)
    for name in server.names:
        args += ['--nic', f'vfio-user:{server.path(name)}']
    with Peer(server), Machine(*args) as vm:
        vm.wait_agent(BOOT_SECONDS)
        assert vm.check('ls -d /sys/class/net/eth* | wc -l') == f'{count}\n'
        assert vm.check(USE.format(last=count - 1, pings=1),
                        seconds=600) == ''
        interrupts = vm.check('cat /proc/interrupts')
        vm.start_exec('poweroff', '-f')
        assert vm.wait() == 0
    return interrupts


def test_128_virtio():
    """Three vectors each: those of three processors."""
    with Server(*(f'n{i}' for i in range(128)), model='virtio-net') as server:
        interrupts = use_virtio(server, ['--cpus', '4'])
    for what in 'config', 'input.0', 'output.0':
        assert interrupts.count(f'-{what}\n') == 128


def test_vectors_run_out():
    """33 vectors each: one processor has them for the first few."""
    with Server(*(f'n{i}' for i in range(8)),
                model='virtio-net,queues=16') as server:
        interrupts = use_virtio(server, [])
    alone = interrupts.count('-input.0\n')
    assert 0 < alone < 8
    assert interrupts.count('-virtqueues\n') == 8 - alone


def test_virtio_by_pins():
    """No vectors at all: several cards share each interrupt."""
    with Server(*(f'n{i}' for i in range(24)), model='virtio-net') as server:
        interrupts = use_virtio(server, ['--append', 'pci=nomsi'])
    pins = [line for line in interrupts.splitlines() if 'virtio' in line]
    assert len(pins) == 8 and all('IO-APIC' in line for line in pins), pins
    assert sum(line.count('virtio') for line in pins) == 24, pins
