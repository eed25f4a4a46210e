# SPDX-License-Identifier: Apache-2.0
"""QEMU's vfio-user client on our e1000: stock guests with their stock driver."""
import re
import signal
import time

import pytest

from qemu import Peer, Qemu, Server

SLOT = '00:03.0'


def carried(vm, target):
    """Bits per second that a TCP stream to the target's server brought."""
    out = vm.check('iperf3', '-c', target, '-t', '2')
    rate, unit = re.search(r'([\d.]+) ([MG])bits/sec +receiver', out).groups()
    return float(rate) * {'M': 1e6, 'G': 1e9}[unit]


def set_up(vm, address):
    """What init does at boot, for a card that has come later."""
    vm.check('''
        for i in $(seq 100); do [ -e /sys/class/net/eth0 ] && break; sleep 0.1
        done
        ip addr replace %s dev eth0 && ip link set eth0 up''' % address)


def test_traffic_between_guests(server):
    """Two QEMUs, one of either board, and a stream port."""
    with Qemu(server.nic('a'),
              append=[server.address('a', '10.1.0.1/24')]) as a, \
         Qemu(server.nic('b', addr='3'), board='pc',
              append=[server.address('b', '10.1.0.2/24')]) as b:
        a.wait_agent()
        b.wait_agent()
        lspci = b.check('lspci', '-k', '-s', SLOT)
        assert '82540EM' in lspci and 'driver in use: e1000' in lspci
        a.check('ping -c 200 -A -w 60 10.1.0.2')
        for vm in a, b:
            vm.check('iperf3 -s -D')
        assert carried(a, '10.1.0.2') > 1e6
        assert carried(b, '10.1.0.1') > 1e6
        with Peer(server) as peer:
            assert peer.ping('10.1.0.1', 1)
            assert peer.ping('10.1.0.2', 2)
            a.check('ping -c 2 -i 0.3 -w 30 10.1.0.99')
        for vm in a, b:
            assert vm.check('cd /sys/class/net/eth0/statistics; '
                            'cat rx_errors tx_errors').split() == ['0', '0']


def test_driver_tests_itself(server):
    """Registers, EEPROM, interrupts, loopback: `ethtool -t` offline."""
    with Qemu(server.nic('a'),
              append=[server.address('a', '10.1.0.1/24')]) as vm, \
         Peer(server) as peer:
        vm.wait_agent()
        assert peer.ping('10.1.0.1', 1)
        out = vm.check('ethtool -t eth0 offline', seconds=120)
        assert 'PASS' in out
        assert peer.ping('10.1.0.1', 2)


def test_unbind_and_bind(server):
    with Qemu(server.nic('b', addr='3'), board='pc',
              append=[server.address('b', '10.1.0.2/24')]) as vm, \
         Peer(server) as peer:
        vm.wait_agent()
        assert peer.ping('10.1.0.2', 1)
        for i in range(3):
            vm.check(f'echo 0000:{SLOT} >/sys/bus/pci/drivers/e1000/unbind')
            vm.check('! test -e /sys/class/net/eth0')
            vm.check(f'echo 0000:{SLOT} >/sys/bus/pci/drivers/e1000/bind')
            set_up(vm, '10.1.0.2/24')
            assert peer.ping('10.1.0.2', 2 + i)


def test_reboot(server):
    """DEVICE_RESET, memory mapped anew by the firmware, in mid-traffic."""
    with Qemu(server.nic('a'),
              append=[server.address('a', '10.1.0.1/24')]) as vm, \
         Peer(server) as peer:
        vm.wait_agent()
        assert peer.ping('10.1.0.1', 1)
        vm.qmp().call('system_reset')
        vm.wait_agent()
        assert peer.ping('10.1.0.1', 2)
        assert vm.text('log') == ''


def test_unplug_and_plug(server):
    with Qemu(server.nic('a', addr='4'), board='pc') as vm, \
         Peer(server) as peer:
        vm.wait_agent()
        set_up(vm, '10.1.0.1/24')
        qmp = vm.qmp()
        for i in range(2):
            assert peer.ping('10.1.0.1', i)
            qmp.call('device_del', id='a')
            qmp.wait_event('DEVICE_DELETED')
            vm.check('! test -e /sys/class/net/eth0')
            qmp.call('device_add', **server.nic('a', addr='4'))
            set_up(vm, '10.1.0.1/24')
        assert peer.ping('10.1.0.1', 9)


def test_a_killed_client_makes_room_for_the_next(server):
    """kill -9 in mid-traffic; the next QEMU is served, nothing leaks."""
    before = server.count_fds()
    for i in range(2):
        with Qemu(server.nic('a'),
                  append=[server.address('a', '10.1.0.1/24')]) as vm, \
             Peer(server) as peer:
            vm.wait_agent()
            assert peer.ping('10.1.0.1', i)
            vm.start('ping', '-A', '-q', '10.1.0.99')
            time.sleep(0.3)
            vm.kill()
            deadline = time.monotonic() + 5
            while server.count_fds() > before + 1:      # the peer's
                assert time.monotonic() < deadline
                time.sleep(0.01)


def test_a_new_server_serves_a_card_plugged_anew():
    """QEMU never connects again: a card whose server has gone is dead, and
    does no harm, until it is unplugged."""
    with Server('a') as server, Qemu(server.nic('a', addr='4'),
                                     board='pc') as vm:
        vm.wait_agent()
        set_up(vm, '10.1.0.1/24')
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(10) == 0
        vm.exec('ping -c 1 -w 1 10.1.0.99')
        server.start()
        qmp = vm.qmp()
        qmp.call('device_del', id='a')
        qmp.wait_event('DEVICE_DELETED')
        qmp.call('device_add', **server.nic('a', addr='4'))
        set_up(vm, '10.1.0.1/24')
        with Peer(server) as peer:
            assert peer.ping('10.1.0.1', 1)


def test_memory_that_is_not_shared(server):
    """The card is there, its DMA is refused, one message says what to do."""
    with Qemu(server.nic('a'), shared=False,
              append=[server.address('a', 'up')]) as vm:
        vm.wait_agent()
        assert '82540EM' in vm.check('lspci')
        vm.exec('ping -c 2 -w 3 -I eth0 10.1.0.99')
        assert server.text().count('share=on') == 1


@pytest.mark.parametrize('posted', [True, False])
def test_posted_writes(server, posted):
    """BAR writes with and without a reply."""
    with Qemu(server.nic('a', **{'x-no-posted-writes': not posted}),
              append=[server.address('a', '10.1.0.1/24')]) as vm, \
         Peer(server):
        vm.wait_agent()
        vm.check('ping -c 20 -A -w 30 10.1.0.99')
