# SPDX-License-Identifier: Apache-2.0
"""DPDK's e1000 poll-mode driver on two of our cards: testpmd forwards."""
import random

import pytest

from qemu import Qemu, Server
from testpmd import End, Forwarder, exchange, make_initrd, why_no_dpdk

pytestmark = pytest.mark.skipif(bool(why_no_dpdk()), reason=why_no_dpdk())

# Packets over several descriptors, received and sent, of 9000 bytes.
JUMBO = '--max-pkt-len=9018 --enable-scatter --tx-offloads=0x8000'


@pytest.mark.parametrize('options,longest,window', [
    pytest.param('', 1514, 32, id='plain'),
    pytest.param(JUMBO, 9014, 8, id='jumbo')])
def test_forwarding(tmp_path, options, longest, window):
    """Every frame that comes in at one card leaves at the other."""
    rng = random.Random(longest)
    lengths = [60, 61, 1514, longest] + [rng.randint(60, longest)
                                         for _ in range(1500)]
    with Server('a') as left, Server('b') as right, \
         Qemu(left.nic('a', addr='3'), right.nic('b', addr='4'), board='pc',
              memory='384M', initrd=make_initrd(tmp_path),
              extra=['-cpu', 'max']) as vm:
        vm.wait_agent()
        forwarder = Forwarder(vm, options)
        ends = End(left.path('peer')), End(right.path('peer'))
        exchange(*ends, lengths, window)
        for end in ends:
            end.close()
        assert forwarder.stop() == [(len(lengths), len(lengths))] * 2
