# SPDX-License-Identifier: Apache-2.0
"""A machine that dies in the middle of its traffic.

    guest a -- e1000 \
    guest b -- e1000 -- switch of `backplane serve` -- Peer (stream)
"""
import signal
import time

from machine import BOOT_SECONDS, Machine
from netserver import Peer, Server

TRAFFIC_BYTES = 100000


def wait_for_traffic(vm):
    """Until the machine has received some."""
    deadline = time.monotonic() + BOOT_SECONDS
    while int(vm.check('cat /sys/class/net/eth0/statistics/rx_bytes')) < \
            TRAFFIC_BYTES:
        assert time.monotonic() < deadline, 'there is no traffic to be cut off'


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
            a.start_exec('iperf3', '-c', '10.0.0.2', '-t', '120')
            wait_for_traffic(b)
            for i in range(5):
                assert peer.ping('10.0.0.2', i)
            a.signal(signal.SIGKILL)
            for i in range(5, 25):
                assert peer.ping('10.0.0.2', i)
        # The same card, for a machine that knows nothing of the last one.
        with Machine(*args) as a:
            a.wait_agent()
            a.check('ping -c 3 10.0.0.2')
            for i in range(25, 30):
                assert peer.ping('10.0.0.2', i)
                assert peer.ping('10.0.0.1', i)
        assert 'Oops' not in b.check('dmesg')
