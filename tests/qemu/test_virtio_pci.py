# SPDX-License-Identifier: Apache-2.0
"""QEMU's vfio-user client on our virtio-net card: stock guests with their stock
virtio_pci and virtio_net.

    guest a -- QEMU -- vfio-user --+
    guest b -- QEMU -- vfio-user --+ switch -- stream: the peer, x.x.x.99

Plugging out is not among them: QEMU 11's client aborts as soon as a card with
MSI-X goes (hw/vfio-user/pci.c takes its pending bits out of a BAR that is no
more).
"""
import contextlib
import json
import os
import re
import subprocess
import time

import pytest

from qemu import Peer, Qemu, Server

V = 'virtio-net'


def iperf(vm, target, *args, amount='-t 2'):
    """Mbit/s that arrived."""
    out = json.loads(vm.check(
        f'iperf3 -J {amount} {" ".join(args)} -c {target}', seconds=90))
    end = out['end'].get('sum_received') or out['end']['sum']
    return end['bits_per_second'] / 1e6


def compare_data(source, target, address):
    """32 MB sent through TCP are the same at the other end."""
    target.check('nc -l -p 7 </dev/null >/tmp/got & sleep 0.5')
    source.check('head -c 32M /dev/urandom >/tmp/sent; '
                 f'nc {address} 7 </tmp/sent; sleep 1', seconds=120)
    assert source.check('md5sum </tmp/sent') == \
        target.check('md5sum </tmp/got')


def interrupts(vm):
    """Their names and how often they came: {'virtio0-input.0': 12, ...}"""
    return {line.split()[-1]: int(line.split()[1]) for line in
            vm.check('grep virtio /proc/interrupts || :').splitlines()}


def exchange(a, b, address, address6):
    """Every kind of traffic from a to b and back; what it brought."""
    a.check(f'ping -c 20 -i 0.05 {address}')
    a.check(f'ping -c 2 -i 0.2 -s 8000 {address6}')
    b.check('iperf3 -s -D')
    rates = {
        'tcp': iperf(a, address),
        'tcp back': iperf(a, address, '-R'),
        'tcp6': iperf(a, address6, '-6'),
        'udp': iperf(a, address, '-u', '-b', '50M'),
        'udp back': iperf(a, address, '-u', '-b', '50M', '-R'),
    }
    compare_data(a, b, address)
    for vm in a, b:
        assert not vm.stack_errors()
    assert min(rates.values()) > 1, rates
    return rates


@pytest.mark.parametrize('other', [V, 'e1000'])
def test_traffic_between_guests(other):
    """MSI-X at a (pcie), INTx at b (conventional PCI): TSO and partial
    checksums whole from virtio to virtio, completed for an e1000."""
    with Server('a', 'b', models={'a': V, 'b': other}) as server, \
         Qemu(server.nic('a'),
              append=[server.address('a', '10.1.0.1/24,fd00::1/64')]) as a, \
         Qemu(server.nic('b', addr='3'), board='pc',
              append=['pci=nomsi',
                      server.address('b', '10.1.0.2/24,fd00::2/64')]) as b:
        a.wait_agent()
        b.wait_agent()
        print(other, exchange(a, b, '10.1.0.2', 'fd00::2'))
        assert set(interrupts(a)) == {'virtio0-config', 'virtio0-input.0',
                                      'virtio0-output.0'}
        counters = server.port('b')
        if other == V:
            assert set(interrupts(b)) == {'virtio0'}
            assert counters['gso_cut'] == counters['csum_filled'] == 0
        else:
            assert counters['gso_cut'] and counters['csum_filled']
        assert server.port('a')['refused'] == 0
        with Peer(server) as peer:
            assert peer.ping('10.1.0.1', 1)
            assert peer.ping('10.1.0.2', 2)


@contextlib.contextmanager
def namespace(tap, address, address6):
    """This host's end of a tap, in a namespace: runs a command there."""
    name = f'bp-{os.getpid()}'

    def ip(*args):
        subprocess.run(['ip', *args], check=True)
    ip('netns', 'add', name)
    try:
        ip('link', 'set', tap, 'netns', name)
        ip('-n', name, 'addr', 'add', address, 'dev', tap)
        ip('-n', name, 'addr', 'add', address6, 'dev', tap, 'nodad')
        ip('-n', name, 'link', 'set', tap, 'up')
        yield lambda *args: subprocess.run(
            ['ip', 'netns', 'exec', name, *args], check=True, timeout=90,
            capture_output=True, text=True).stdout
    finally:
        ip('netns', 'del', name)


@pytest.mark.skipif(os.geteuid() != 0, reason='a tap needs root')
def test_traffic_with_this_host():
    """A guest and the kernel behind a tap: offloads pass whole both ways."""
    tap = f'bpq{os.getpid()}'[-15:]
    with Server('a', models={'a': V}, extra=['--port', f'tap:{tap}']) as server, \
         Qemu(server.nic('a'),
              append=[server.address('a', '10.1.0.1/24,fd00::1/64')]) as a, \
         namespace(tap, '10.1.0.3/24', 'fd00::3/64') as run:
        a.wait_agent()
        a.check('ping -c 3 -i 0.2 10.1.0.3')
        a.check('iperf3 -s -D; sleep 1')
        for args in ('10.1.0.1',), ('10.1.0.1', '-R'), ('fd00::1',), \
                ('fd00::1', '-R'), ('10.1.0.1', '-u', '-b', '50M'):
            out = json.loads(run('iperf3', '-J', '-t', '1', '-c', *args))
            end = out['end'].get('sum_received') or out['end'].get('sum')
            assert end and end['bits_per_second'] > 1e6, (args, out)
            time.sleep(0.5)     # the server may still be busy with the last
        assert not a.stack_errors()
        for line in run('nstat', '-asz').splitlines():
            assert 'InCsumErrors' not in line or line.split()[1] == '0', line
        for port in 'a', tap:
            counters = server.port(port)
            assert counters['gso_cut'] == counters['csum_filled'] == 0


def test_what_ethtool_and_ip_can_do():
    """One guest, one card: everything that a driver can be told to change at
    run time, with traffic after each change."""
    with Server('a', 'b', models={'a': V + ',mtu=9000', 'b': V}) as server, \
         Qemu(server.nic('a'),
              append=[server.address('a', '10.1.0.1/24,fd00::1/64')]) as a, \
         Qemu(server.nic('b'),
              append=[server.address('b', '10.1.0.2/24,fd00::2/64')]) as b:
        a.wait_agent()
        b.wait_agent()
        b.check('iperf3 -s -D')
        link = a.check('ethtool eth0')
        assert 'Speed: 10000Mb/s' in link and 'Duplex: Full' in link, link

        # Offloads, all pairs of on and off that the driver lets one set.
        for rx in 'off', 'on':
            for tx in 'off', 'on':
                for tso in ('off', 'on') if tx == 'on' else ('off',):
                    a.check(f'ethtool -K eth0 tx {tx}; '
                            f'ethtool -K eth0 tso {tso} gso {tso}; '
                            f'ethtool -K eth0 rx-gro-hw {rx}')
                    for back in '', '-R':
                        assert iperf(a, '10.1.0.2', back, amount='-n 4M') > 1
        assert 'tcp-segmentation-offload: on' in a.check('ethtool -k eth0')

        # Rings of another size: resets of single queues.
        a.check('ethtool -G eth0 rx 64 tx 128')
        assert re.findall(r'RX:\s+(\d+)', a.check('ethtool -g eth0')) == \
            ['256', '64']
        assert iperf(a, '10.1.0.2', '-R', amount='-n 4M') > 1

        # Notification coalescing.
        a.check('ethtool -C eth0 rx-usecs 1000 rx-frames 32 '
                'tx-usecs 1000 tx-frames 32')
        a.check('ping -c 10 -i 0.05 10.1.0.2')
        a.check('ethtool -C eth0 rx-usecs 0 rx-frames 0 '
                'tx-usecs 0 tx-frames 1')

        # MTU: both can be 9000, by what a was told and as b is set.
        assert int(a.check('cat /sys/class/net/eth0/mtu')) == 9000
        assert a.exec('ip link set eth0 mtu 9001')[0] != 0
        b.check('ip link set eth0 mtu 9000')
        a.check('ping -c 2 -i 0.2 -s 8972 10.1.0.2')
        for vm in a, b:
            vm.check('ip link set eth0 mtu 1500')
        a.check('ping -c 2 -i 0.2 -s 1472 10.1.0.2')

        # Another address, and the old one no longer.
        a.check('ip link set eth0 address 52:54:00:00:01:00')
        a.check('ping -c 2 -i 0.2 10.1.0.2')

        # VLAN filter: a tag that is wanted, one that is not any more.
        for vm, n in (a, 1), (b, 2):
            vm.check('ip link add link eth0 name v5 type vlan id 5 && '
                     f'ip addr add 10.5.0.{n}/24 dev v5 && ip link set v5 up')
        a.check('ping -c 2 -i 0.2 10.5.0.2')
        assert iperf(a, '10.5.0.2', amount='-n 4M') > 1
        filtered = server.port('a')['rx_filtered']
        a.check('ip link del v5')
        b.exec('ping -c 2 -i 0.2 -w 1 10.5.0.1')
        assert server.port('a')['rx_filtered'] > filtered
        # What b says by itself on it would be counted below.
        b.check('ip link del v5')

        # Receive modes: a frame for somebody else, with and without promisc.
        b.check('ip neigh replace 10.1.0.77 lladdr 52:54:00:00:00:77 dev eth0')

        def taken():
            before = server.port('a')['rx_filtered']
            b.exec('ping -c 3 -i 0.2 -w 1 10.1.0.77')
            return server.port('a')['rx_filtered'] == before
        assert not taken()
        a.check('ip link set eth0 promisc on')
        assert taken()
        a.check('ip link set eth0 promisc off')
        assert not taken()

        for vm in a, b:
            assert not vm.stack_errors()
        assert server.port('a')['ctrl_refused'] == 0
        assert server.port('a')['refused'] == 0


def received(vm):
    """Packets by each queue in use."""
    return [int(n) for n in re.findall(r'rx_queue_\d_packets: (\d+)',
                                       vm.check('ethtool -S eth0'))]


def test_queues():
    """Several queue pairs; each has its interrupts, and takes its part."""
    with Server('a', 'b', models={'a': V + ',queues=4', 'b': V}) as server, \
         Qemu(server.nic('a'), extra=['-smp', '2'],
              append=[server.address('a', '10.1.0.1/24')]) as a, \
         Qemu(server.nic('b'),
              append=[server.address('b', '10.1.0.2/24')]) as b:
        a.wait_agent()
        b.wait_agent()
        b.check('iperf3 -s -D')
        for n in 2, 4, 1, 3:
            a.check(f'ethtool -L eth0 combined {n}')
            assert re.findall(r'Combined:\s+(\d+)',
                              a.check('ethtool -l eth0')) == ['4', str(n)]
            assert iperf(a, '10.1.0.2', '-P 8', amount='-n 8M') > 1
            assert iperf(a, '10.1.0.2', '-P 8', '-R', amount='-n 8M') > 1
        a.check('ethtool -L eth0 combined 4')
        assert len(re.findall('virtio0-(?:in|out)put',
                              a.check('cat /proc/interrupts'))) == 8
        # Without a table, flows come back on the pair they are sent on, which
        # with as many pairs as processors is that of the sender's.
        a.check('ethtool -L eth0 combined 2')
        for cpu in 0, 1:
            before = received(a)
            a.check(f'taskset {1 << cpu} ping -c 50 -i 0.02 10.1.0.2')
            got = [n - m for n, m in zip(received(a), before)]
            assert got[cpu] >= 50 > got[1 - cpu], got
        # The driver tells its table of queues only when asked to.
        a.check('ethtool -L eth0 combined 4; ethtool -X eth0 equal 4')
        iperf(a, '10.1.0.2', '-P 16', '-R')
        assert len(received(a)) == 4 and all(received(a))
        assert server.port('a')['ctrl_refused'] == 0


def test_life_of_a_driver():
    """Link, unbind and bind, function level reset, reboot, all in traffic."""
    with Server('a', models={'a': V}) as server, \
         Qemu(server.nic('a', addr='3'),
              append=[server.address('a', '10.1.0.1/24')]) as vm, \
         Peer(server) as peer:
        vm.wait_agent()
        assert peer.ping('10.1.0.1', 1)

        server.link('a', False)
        vm.check('for i in $(seq 50); do grep -q 0 /sys/class/net/eth0/carrier'
                 ' && exit; sleep 0.1; done; exit 1')
        assert not peer.ping('10.1.0.1', 2, seconds=1)
        server.link('a', True)
        vm.check('for i in $(seq 50); do grep -q 1 /sys/class/net/eth0/carrier'
                 ' && exit; sleep 0.1; done; exit 1')
        assert peer.ping('10.1.0.1', 3)

        vm.start('ping', '-A', '-q', '10.1.0.99')
        driver = '/sys/bus/virtio/drivers/virtio_net'
        for i in range(3):
            vm.check(f'echo virtio0 >{driver}/unbind')
            vm.check('! test -e /sys/class/net/eth0')
            vm.check(f'echo virtio0 >{driver}/bind; '
                     'ip addr replace 10.1.0.1/24 dev eth0; '
                     'ip link set eth0 up')
            assert peer.ping('10.1.0.1', 4 + i)
        card = '/sys/bus/pci/devices/0000:00:03.0'
        vm.check(f'echo 0000:00:03.0 >{card}/driver/unbind; '
                 f'echo flr >{card}/reset_method && echo 1 >{card}/reset && '
                 'echo 0000:00:03.0 >/sys/bus/pci/drivers/virtio-pci/bind; '
                 'ip addr replace 10.1.0.1/24 dev eth0; ip link set eth0 up')
        assert peer.ping('10.1.0.1', 10)

        vm.start('ping', '-A', '-q', '10.1.0.99')
        vm.qmp().call('system_reset')
        vm.wait_agent()
        assert peer.ping('10.1.0.1', 11)
        assert server.port('a')['refused'] == 0
        assert vm.text('log') == ''


def test_a_killed_client_makes_room_for_the_next():
    """kill -9 in mid-traffic; the next QEMU is served, nothing leaks."""
    with Server('a', models={'a': V + ',queues=2'}) as server:
        before = server.count_fds()
        for i in range(3):
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
