# SPDX-License-Identifier: Apache-2.0
"""DPDK's e1000 poll-mode driver on our own VMM; tests/qemu/test_dpdk.py sends
more through it, where that takes less time."""
import pytest

from machine import Machine
from netserver import Server
from testpmd import End, Forwarder, exchange, make_initrd, why_no_dpdk

pytestmark = pytest.mark.skipif(bool(why_no_dpdk()), reason=why_no_dpdk())


def test_forwarding(tmp_path):
    lengths = [60, 61, 1514] + list(range(100, 1500, 10))
    with Server('a') as left, Server('b') as right, \
         Machine('--memory', '384M', '--initrd', str(make_initrd(tmp_path)),
                 *left.nic('a'), *right.nic('b')) as vm:
        vm.wait_agent()
        forwarder = Forwarder(vm)
        ends = End(left.path('peer')), End(right.path('peer'))
        exchange(*ends, lengths, 16)
        for end in ends:
            end.close()
        assert forwarder.stop() == [(len(lengths), len(lengths))] * 2
