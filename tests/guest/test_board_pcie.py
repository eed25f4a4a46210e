# SPDX-License-Identifier: Apache-2.0
"""The board `pcie`: NICs that come and go in mid-traffic, through the command
line. eth0 and eth1 of one guest ping each other all the while, eth1 in a
namespace of its own, so that the card that comes and goes is called eth1."""
import re
import time

from lab import Lab

TRAFFIC = '''
ip netns add far
ip link set eth1 netns far
ip netns exec far ip addr add 10.9.0.2/24 dev eth1
ip netns exec far ip addr add 10.9.1.2/24 dev eth1
ip netns exec far ip link set eth1 up
ping -c 1 -w 30 10.9.0.2
ping -i 0.3 10.9.0.2 >/tmp/ping </dev/null 2>&1 &
echo $! >/tmp/pid
'''
PCIEHP = 'dmesg | grep pciehp'
STOP_TRAFFIC = 'kill -INT $(cat /tmp/pid); sleep 1; cat /tmp/ping'


def wait_for(lab, command, seconds=60):
    deadline = time.monotonic() + seconds
    while (result := lab.run('exec', 'alice', '--', 'sh', '-c',
                             command)).returncode:
        assert time.monotonic() < deadline, (
            command, result.stdout, lab.exec('alice', 'dmesg | tail -20'))
        time.sleep(0.5)


def plugged(lab):
    nics = lab.json('show', 'nics', 'alice')['nics']
    return {nic['id']: nic['where'] for nic in nics}


def test_hot_plug_in_mid_traffic():
    with Lab('examples/hotplug.yaml') as lab:
        assert 'PCIe Root port' in lab.exec('alice', 'lspci')
        assert plugged(lab) == {'alice.0': 'port1', 'alice.1': 'port2'}
        lab.exec('alice', TRAFFIC)

        lab.ok('attach', 'alice', '2')
        assert plugged(lab)['alice.2'] == 'port3'
        wait_for(lab, 'ping -c 2 -w 20 -I eth1 10.9.1.2')
        again = lab.run('attach', 'alice', 'alice.2')
        assert again.returncode == 1 and 'already' in again.stderr

        # In order: the driver is unbound before the card goes.
        lab.ok('detach', 'alice', '2')
        assert 'alice.2' not in plugged(lab)
        wait_for(lab, '! test -e /sys/class/net/eth1')
        log = lab.exec('alice', PCIEHP)
        assert 'Slot(3): Attention button pressed' in log
        assert 'Card not present' not in log

        # And by force, with the card in use.
        lab.ok('attach', 'alice', '2')
        wait_for(lab, 'ip addr show eth1 | grep 10.9.1.1')
        lab.ok('detach', '--pull', 'alice', 'alice.2')
        wait_for(lab, '! test -e /sys/class/net/eth1')
        assert 'Slot(3): Card not present' in lab.exec('alice', PCIEHP)

        # None was lost in between.
        ping = lab.exec('alice', STOP_TRAFFIC)
        answered = [int(n) for n in re.findall(r'seq=(\d+)', ping)]
        assert answered == list(range(len(answered))), ping
        assert len(answered) > 30
        sent, = re.findall(r'(\d+) packets transmitted', ping)
        assert int(sent) - len(answered) <= 1      # one was under way
