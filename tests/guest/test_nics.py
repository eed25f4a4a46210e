# SPDX-License-Identifier: Apache-2.0
"""Cards of a running guest: two on one interrupt line, the line moved by the
guest, and machines that die in the middle of their traffic.

    guest a -- e1000 \
    guest b -- e1000 -- switch of `backplane serve` -- Peer (stream)
"""
import signal

from machine import Machine
from netserver import Peer, Server

# Slots four apart have the same PIRQ, and with it the same IRQ.
SLOT, SAME_LINE_SLOT = 3, 7
PIRQC = '62.b'          # of the ISA bridge: where slot 3's pin A is routed


def interrupts(vm, driver='eth0'):
    """The line of /proc/interrupts that @driver is on, as words."""
    out = vm.check('cat /proc/interrupts')
    return next(line.split() for line in out.splitlines() if driver in line)


def test_two_cards_share_a_line_that_the_guest_moves():
    with Server('a', 'b') as server, Peer(server), Machine(
            '--memory', '256M', *server.nic('a', SLOT),
            *server.nic('b', SAME_LINE_SLOT), '--append',
            server.address('a', '10.0.0.1/24') + ' ' +
            server.address('b', '10.0.1.1/24')) as vm:
        vm.wait_agent()
        vm.check('ping -c 3 10.0.0.99')
        vm.check('ping -c 3 10.0.1.99')
        line = interrupts(vm)
        assert line[-2:] == ['eth0,', 'eth1'], line
        assert line[0] == '11:', line
        # Both at once: neither may lose the level that the other holds.
        vm.check('ping -q -c 200 -i 0.01 10.0.0.99 >/dev/null & '
                 'ping -q -c 200 -i 0.01 10.0.1.99 && wait $!')

        # Moved where nobody listens, interrupts stop; moved back, what was
        # pending comes.
        vm.check(f'setpci -s 00:01.0 {PIRQC}=0a')
        before = interrupts(vm)[1]
        assert vm.exec('ping -c 2 -W 1 10.0.0.99')[0] != 0
        assert interrupts(vm)[1] == before
        vm.check(f'setpci -s 00:01.0 {PIRQC}=0b')
        vm.check('ping -c 3 10.0.0.99')
        vm.check('ping -c 3 10.0.1.99')
        assert int(interrupts(vm)[1]) > int(before)
        assert vm.check('dmesg -l err,warn | grep -i e1000 || true') == ''


def test_a_machine_killed_in_mid_traffic_harms_nobody_else():
    with Server('a', 'b') as server, Peer(server) as peer, Machine(
            '--memory', '256M', *server.nic('b'), '--append',
            server.address('b', '10.0.0.2/24')) as b:
        args = ['--memory', '256M', *server.nic('a'), '--append',
                server.address('a', '10.0.0.1/24')]
        with Machine(*args) as a:
            a.wait_agent()
            b.wait_agent()
            b.check('iperf3 -s -D')
            a.start_exec('iperf3', '-c', '10.0.0.2', '-t', '60')
            for i in range(10):
                assert peer.ping('10.0.0.2', i)
            sent = b.check('cat /sys/class/net/eth0/statistics/rx_bytes')
            assert int(sent) > 100000, 'there is no traffic to be cut off'
            a.signal(signal.SIGKILL)
            for i in range(10, 30):
                assert peer.ping('10.0.0.2', i)
        # The same card, for a machine that knows nothing of the last one.
        with Machine(*args) as a:
            a.wait_agent()
            a.check('ping -c 3 10.0.0.2')
            for i in range(30, 40):
                assert peer.ping('10.0.0.2', i)
                assert peer.ping('10.0.0.1', i)
        assert 'Oops' not in b.check('dmesg')
