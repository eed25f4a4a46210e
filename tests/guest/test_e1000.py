# SPDX-License-Identifier: Apache-2.0
"""The e1000 under Linux' stock driver, by ethtool and by the lab's cable.

    alice -- e1000 -- lan -- e1000 -- bob
"""
import json
import os
import re
import subprocess
import tempfile
import time

import pytest

from machine import PROGRAM, TREE

DEADLINE = 240
# What `ethtool -t` runs, in its words.
SELF_TESTS = ['Register test', 'Eeprom test', 'Interrupt test',
              'Loopback test', 'Link test']
# ethtool -k's names of what the chip does, each on and off by -K; the driver
# has one switch for both directions of VLAN tags.
OFFLOADS = ['rx', 'tx', 'sg', 'tso', 'rxvlan']
# Words of the kernel's that mean something is wrong with the card.
COMPLAINTS = ('WARNING|BUG:|Call Trace|Oops|NETDEV WATCHDOG|'
              'e1000.*(fail|error|hang|unsupported|reset adapter)')


def backplane(*args):
    return subprocess.run([PROGRAM, *args], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=DEADLINE,
                          check=False)


def ok(*args):
    result = backplane(*args)
    assert result.returncode == 0, (args, result.stdout[-1000:] +
                                    result.stderr)
    return result.stdout


def alice(command):
    """A shell command in the guest; its output."""
    return ok('exec', 'alice', '--', 'sh', '-c', command)


def counters():
    """What the model of alice's card has counted."""
    ports = json.loads(ok('show', 'devices', '--json'))['ports']
    port = next(p for p in ports if p['name'] == 'alice.0')
    return {c['counter']: c['value'] for c in port['device']}


def wait_for(condition, what, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


def carrier():
    return alice('cat /sys/class/net/eth0/carrier').strip() == '1'


@pytest.fixture(scope='module', autouse=True)
def lab():
    with tempfile.TemporaryDirectory() as rundir:
        os.environ['BACKPLANE_RUNDIR'] = rundir
        try:
            ok('up', '--timeout', '200', str(TREE / 'examples/demo.yaml'))
            yield
        finally:
            backplane('down')
            del os.environ['BACKPLANE_RUNDIR']


# In one command, for each costs the guest an exit a byte.
LOOK_AFTER = """
for i in $(seq 100); do
        [ "$(cat /sys/class/net/eth0/carrier)" = 1 ] && break
        sleep 0.2
done
ping -c 2 -i 0.2 -w 20 10.0.0.2 >/dev/null || echo no answer
dmesg | grep -iE '%s'
true
""" % COMPLAINTS


@pytest.fixture(autouse=True)
def works_afterwards():
    """Whatever a test did to the card, it carries packets, and the kernel has
    nothing to complain about."""
    yield
    assert alice(LOOK_AFTER) == ''


def test_self_test_offline():
    """Registers by pattern, EEPROM by checksum, interrupts, 640 frames round
    the PHY's loopback, link."""
    out = alice('ethtool -t eth0 offline')
    assert 'The test result is PASS' in out, out
    results = dict(re.findall(r'^(\w+ test) +\(\S+line\)\s+(\d+)$', out, re.M))
    assert results == {name: '0' for name in SELF_TESTS}, out


def test_self_test_online():
    assert 'PASS' in alice('ethtool -t eth0 online')


def test_statistics():
    """-S: what the chip has counted is what the driver has sent."""
    def statistics():
        out = alice('ethtool -S eth0')
        return {k: int(v) for k, v in re.findall(r'(\w+): (\d+)', out)}

    before = statistics()
    alice('ping -c 10 -i 0.2 -s 400 10.0.0.2')
    time.sleep(3)               # the driver reads them every two seconds
    after = statistics()
    assert after['rx_packets'] - before['rx_packets'] >= 10
    assert after['tx_packets'] - before['tx_packets'] >= 10
    assert after['tx_bytes'] - before['tx_bytes'] >= 10 * 442
    for name, value in after.items():
        if 'error' in name or 'drop' in name or 'timeout' in name:
            assert value == 0, name


def test_registers():
    """-d: the driver's view of the registers."""
    out = alice('ethtool -d eth0')
    assert re.search(r'0x00008: STATUS.*0x[0-9A-Fa-f]{7}3', out), out
    assert re.search(r'Link up:\s+link config', out) or 'Link up' in out, out
    assert re.search(r'Receiver:\s+enabled', out), out
    assert re.search(r'Transmitter:\s+enabled', out), out


def test_eeprom():
    """-e: the factory address, and the checksum over all words."""
    out = alice('ethtool -e eth0 raw on | od -An -v -tx1')
    data = bytes.fromhex(out)
    mac = alice('cat /sys/class/net/eth0/address').strip()
    assert data[:6] == bytes.fromhex(mac.replace(':', ''))
    words = [data[i] | data[i + 1] << 8 for i in range(0, 128, 2)]
    assert sum(words) & 0xffff == 0xbaba


def test_ring_sizes():
    """-g, -G: the smallest and the largest rings."""
    assert re.search(r'RX:\s+256', alice('ethtool -g eth0'))
    for n in (80, 4096, 256):
        alice(f'ethtool -G eth0 rx {n} tx {n}')
        out = alice('ethtool -g eth0').split('Current')[1]
        assert re.search(rf'RX:\s+{n}\b', out), out
        wait_for(carrier, 'no link with the new rings')
        alice('ping -c 2 -i 0.2 -w 20 10.0.0.2')


def test_offloads():
    """-k, -K: each of them off and on again, with traffic."""
    for name in OFFLOADS:
        for state in ('off', 'on'):
            alice(f'ethtool -K eth0 {name} {state}')
            wait_for(carrier, 'no link')
            alice('ping -c 2 -i 0.2 -w 20 10.0.0.2')
    out = alice('ethtool -k eth0')
    assert 'tcp-segmentation-offload: on' in out
    assert 'rx-vlan-offload: on' in out


def test_receive_all_and_crc():
    """-K rx-all, rx-fcs: bad packets stored, the CRC shown to the host."""
    alice('ethtool -K eth0 rx-all on rx-fcs on')
    wait_for(carrier, 'no link')
    alice('ping -c 2 -i 0.2 -w 20 10.0.0.2')
    alice('ethtool -K eth0 rx-all off rx-fcs off')


def test_pause_parameters():
    """-a, -A"""
    alice('ethtool -A eth0 autoneg off rx off tx off')
    wait_for(carrier, 'no link')
    assert re.search(r'RX:\s+off', alice('ethtool -a eth0'))
    alice('ethtool -A eth0 autoneg on')


def test_restart_autonegotiation():
    """-r: the link goes and comes back."""
    alice('ethtool -r eth0')
    wait_for(carrier, 'no link after -r')
    out = alice('ethtool eth0')
    assert 'Speed: 1000Mb/s' in out and 'Duplex: Full' in out


def test_forced_speed():
    """-s: 100 Mbit/s, half duplex, and what the PHY made of it."""
    alice('ethtool -s eth0 autoneg off speed 100 duplex half')
    wait_for(carrier, 'no link at 100 Mbit/s')
    out = alice('ethtool eth0')
    assert 'Speed: 100Mb/s' in out and 'Duplex: Half' in out
    alice('ethtool -s eth0 autoneg on')
    wait_for(carrier, 'no link')


def test_jumbo_frames():
    """MTU 16110, the driver's largest; both ends, over several buffers."""
    for name in ('alice', 'bob'):
        ok('exec', name, '--', 'ip', 'link', 'set', 'eth0', 'mtu', '16110')
    wait_for(carrier, 'no link')
    out = alice('ping -c 3 -i 0.2 -w 30 -s 16082 10.0.0.2')
    assert ' 0% packet loss' in out
    for name in ('alice', 'bob'):
        ok('exec', name, '--', 'ip', 'link', 'set', 'eth0', 'mtu', '1500')


def test_vlan():
    """A VLAN device at each end: tags inserted, stripped and filtered."""
    for name, n in (('alice', 1), ('bob', 2)):
        ok('exec', name, '--', 'sh', '-c',
           'ip link add link eth0 name eth0.7 type vlan id 7 && '
           f'ip addr add 10.7.0.{n}/24 dev eth0.7 && ip link set eth0.7 up')
    assert ' 0% packet loss' in alice('ping -c 3 -i 0.2 -w 20 10.7.0.2')
    for name in ('alice', 'bob'):
        ok('exec', name, '--', 'ip', 'link', 'del', 'eth0.7')


def test_cable():
    """The operator pulls it and plugs it in; the guest sees both."""
    ok('link', 'alice.0', 'down')
    wait_for(lambda: not carrier(), 'the guest does not see the cable pulled')
    assert 'Link is Down' in alice('dmesg | tail -n 3')
    ok('link', 'alice.0', 'up')
    wait_for(carrier, 'the guest does not see the cable')


def test_counters_of_the_model():
    """What a packet cost can be asked for."""
    before = counters()
    alice('ping -c 20 -i 0.2 10.0.0.2')
    after = counters()
    cost = {k: after[k] - before[k] for k in after}
    assert cost['tx_doorbells'] >= 20
    assert cost['interrupts'] > 0
    assert cost['reg_reads'] >= cost['icr_reads'] > 0
    # The handler's registers are in memory shared with the VMM.
    assert cost['reg_shared'] >= cost['interrupts']
