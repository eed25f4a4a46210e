# SPDX-License-Identifier: Apache-2.0
"""Stock virtio_net drivers in QEMU's guests, over vhost-user.

    guest 1 -- QEMU -- vhost-user --+
    guest 2 -- QEMU -- vhost-user --+ switch
"""
import json
import os

from conftest import Server, check_exchange, exchange_until_told

VHOST = ['vhost-user:DIR/s1,queues=2', 'vhost-user:DIR/s2']
NETDEV = 'vhost-user,path=DIR/s'


def counters(guest):
    """What the guest's stack holds against the packets it got"""
    bad = {}
    for name in ('snmp', 'snmp6'):
        text = guest.check(f'cat /proc/net/{name}').split('\n')
        if name == 'snmp6':
            values = dict(line.split() for line in text if line)
        else:
            values = {}
            for head, line in zip(text[::2], text[1::2]):
                kind = head.split()[0]
                values |= {kind + k: v for k, v in
                           zip(head.split()[1:], line.split()[1:])}
        bad |= {k: int(v) for k, v in values.items()
                if ('InCsumErrors' in k or 'InErrs' in k or
                    'InHdrErrors' in k) and int(v)}
    return bad


def exchange(guests, seconds=3):
    """Both protocols, both directions; data arrives, nothing is corrupt"""
    a, b = guests
    a.check(f'ping -c 3 -i 0.2 {b.address}')
    a.check('ping -c 2 -i 0.2 fd00::2')
    b.check('iperf3 -s -D')
    got = {}
    for name, args in (('tcp', ''), ('tcp-back', '-R'), ('tcp6', '-6'),
                       ('udp', '-u -b 50M')):
        to = 'fd00::2' if '-6' in args else b.address
        out = json.loads(a.check(f'iperf3 -J -t {seconds} {args} -c {to}',
                                 seconds + 60))
        end = out['end'].get('sum_received') or out['end']['sum']
        got[name] = end['bits_per_second'] / 1e6
        assert got[name] > 1, (name, out)
    # 32 MB, compared.
    b.check('nc -l -p 7 </dev/null >/tmp/got & sleep 0.5')
    a.check('head -c 32M /dev/urandom >/tmp/sent; '
            f'nc {b.address} 7 </tmp/sent; sleep 1')
    assert a.check('md5sum </tmp/sent') == b.check('md5sum </tmp/got')
    for guest in guests:
        assert not counters(guest)
    return got


def test_two_guests(lab):
    server, guests = lab(VHOST, NETDEV + '1,queues=1', NETDEV + '2')
    print(exchange(guests))
    server.stop()


def test_packed_rings(lab):
    server, guests = lab(
        VHOST,
        (NETDEV + '1', 'virtio-net-pci,packed=on'),
        (NETDEV + '2', 'virtio-net-pci,packed=on,mrg_rxbuf=off'))
    print(exchange(guests, 2))
    server.stop()


def test_queue_pairs(lab):
    """One for each of a guest's processors"""
    server, guests = lab(
        ['vhost-user:DIR/s1,queues=2', 'vhost-user:DIR/s2,queues=4'],
        (NETDEV + '1,queues=2', 'virtio-net-pci,mq=on', 2),
        (NETDEV + '2,queues=2', 'virtio-net-pci,mq=on,packed=on', 2))
    for guest in guests:
        n = guest.check('ls -d /sys/class/net/eth0/queues/*')
        assert n.split() == [f'/sys/class/net/eth0/queues/{q}' for q in
                             ('rx-0', 'rx-1', 'tx-0', 'tx-1')]
    print(exchange(guests, 2))
    server.stop()


def test_server_killed_and_started_again(lab, directory):
    """In mid-traffic: QEMU reconnects, TCP goes on, every byte is right, and
    the next server holds as much as the first"""
    def holds():
        pid = server.process.pid
        with open(f'/proc/{pid}/maps', encoding='ascii') as maps:
            return len(os.listdir(f'/proc/{pid}/fd')), sum(
                'memfd:' in line for line in maps)

    server, (a, b) = lab(VHOST, NETDEV + '1', NETDEV + '2')
    a.check(f'ping -c 1 {b.address}')
    before = holds()
    exchange_until_told(a, b)
    for _ in range(5):
        a.check('sleep 1')
        server.process.kill()
        server.process.wait()
        server = Server(directory, *VHOST)
        a.check(f'ping -c 20 -i 0.5 -w 20 {b.address} | grep -q "64 bytes"')
    check_exchange(a, b)
    assert holds() == before
    server.stop()
