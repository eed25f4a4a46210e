# SPDX-License-Identifier: Apache-2.0
"""One switch, two VMMs: a guest on QEMU with its vfio-user client, and one on
`backplane vm`, each with an e1000 of the same server."""
import pathlib
import re
import sys

import pytest

from machine import Machine

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'lib'))
from qemu import Qemu, Server, why_no_qemu  # noqa: E402


BOOT_SECONDS = 400


def carried(vm, target):
    """Bits per second that a TCP stream to the target's server brought."""
    out = vm.check('iperf3', '-c', target, '-t', '2')
    rate, unit = re.search(r'([\d.]+) ([KMG])bits/sec +receiver', out).groups()
    return float(rate) * {'K': 1e3, 'M': 1e6, 'G': 1e9}[unit]


def test_a_guest_on_qemu_and_one_of_ours():
    if reason := why_no_qemu():
        pytest.skip(reason)
    with Server('a', 'b') as server, \
         Machine('--nic', f'vfio-user:{server.path("a")}', '--append',
                 server.address('a', '10.1.0.1/24')) as ours, \
         Qemu(server.nic('b'), accel='kvm',
              append=[server.address('b', '10.1.0.2/24')]) as theirs:
        ours.wait_agent(BOOT_SECONDS)
        theirs.wait_agent(BOOT_SECONDS)
        for vm, other in (ours, '10.1.0.2'), (theirs, '10.1.0.1'):
            assert 'driver in use: e1000' in vm.check('lspci -k')
            vm.check(f'ping -c 50 -A -w 60 {other}')
            vm.check('iperf3 -s -D')
        assert carried(ours, '10.1.0.2') > 0
        assert carried(theirs, '10.1.0.1') > 0
