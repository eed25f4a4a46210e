# SPDX-License-Identifier: Apache-2.0
"""examples/virtio.yaml: virtio-net in `backplane vm`, by MSI-X on the board
pcie (alice, two queue pairs) and on pc (bob), beside an e1000 (carol)."""
import re
import time

import pytest

from lab import Lab


@pytest.fixture(scope='module')
def lab():
    with Lab('examples/virtio.yaml') as lab:
        yield lab


def test_driver(lab):
    out = lab.exec('alice', 'lspci -k; cat /proc/interrupts; '
                   'ethtool -l eth0')
    assert 'Virtio 1.0 network device' in out
    for name in 'config', 'input.0', 'output.0', 'input.1', 'output.1':
        assert f'virtio0-{name}' in out
    assert 'Combined:\t2' in out
    assert 'virtio0-input.0' in lab.exec('bob', 'cat /proc/interrupts')


@pytest.mark.parametrize('target', ['10.0.0.2', '10.0.0.3', 'fd00::2'])
def test_traffic(lab, target):
    lab.exec('alice', f'ping -c 5 -i 0.2 -w 20 {target}')
    lab.exec('bob' if target.endswith('2') else 'carol',
             'pidof iperf3 >/dev/null || iperf3 -s -D; sleep 0.5')
    for back in '', '-R':
        lab.exec('alice', f'iperf3 -t 1 {back} -c {target}')


def doorbells(lab, name):
    """(notifications the server got, register writes the VMM saw)"""
    port, = [p for p in lab.json('show', 'ports')['ports']
             if p['name'] == name + '.0']
    device = {c['counter']: c['value'] for c in port['device']}
    assert not device['refused'] and not device['ctrl_refused']
    devices = lab.json('show', 'stats', name)['devices']
    return device['kicks'], sum(
        accesses['writes'] for what, accesses in devices.items()
        if re.match(r'nic@.* bar4', what))


def test_doorbells_need_no_vmm(lab):
    """They are eventfds between KVM and the server."""
    kicks, writes = doorbells(lab, 'alice')
    assert kicks and writes             # the driver's set-up
    # A server that polls asks for none, and on a busy host it is seldom asleep
    # when a frame comes: until there have been enough.
    deadline = time.monotonic() + 120
    kicks_after = kicks
    while kicks_after - kicks < 25:
        assert time.monotonic() < deadline, kicks_after - kicks
        lab.exec('alice', 'ping -c 10 -i 0.05 -w 20 10.0.0.2')
        kicks_after, writes_after = doorbells(lab, 'alice')
    assert writes_after == writes
