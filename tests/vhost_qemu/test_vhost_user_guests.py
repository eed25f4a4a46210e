# SPDX-License-Identifier: Apache-2.0
"""Stock virtio_net drivers in QEMU's guests, over vhost-user.

    guest 1 -- QEMU -- vhost-user --+
    guest 2 -- QEMU -- vhost-user --+ switch
"""
import json

import tcp

ADDRESS = '10.0.0.2'               # of the second guest


def exchange(guests, seconds=3):
    """Both protocols, both directions; data arrives, nothing is corrupt"""
    a, b = guests
    a.check(f'ping -c 3 -i 0.2 {ADDRESS}')
    a.check('ping -c 2 -i 0.2 fd00::2')
    b.check('iperf3 -s -D')
    got = {}
    for name, args in (('tcp', ''), ('tcp-back', '-R'), ('tcp6', '-6'),
                       ('udp', '-u -b 50M')):
        to = 'fd00::2' if '-6' in args else ADDRESS
        out = json.loads(a.check(f'iperf3 -J -t {seconds} {args} -c {to}',
                                 seconds=seconds + 60))
        end = out['end'].get('sum_received') or out['end']['sum']
        got[name] = end['bits_per_second'] / 1e6
        assert got[name] > 1, (name, out)
    # 32 MB, compared.
    b.check('nc -l -p 7 </dev/null >/tmp/got & sleep 0.5')
    a.check('head -c 32M /dev/urandom >/tmp/sent; '
            f'nc {ADDRESS} 7 </tmp/sent; sleep 1')
    assert a.check('md5sum </tmp/sent') == b.check('md5sum </tmp/got')
    for guest in guests:
        assert not guest.stack_errors()
    return got


def test_two_guests(lab):
    _, guests = lab({}, {})
    print(exchange(guests))


def test_queues(lab):
    """Two pairs, one and both of them in use"""
    server, (a, b) = lab({'queues': 2, 'mq': True}, {})
    b.check('iperf3 -s -D')
    for n in 1, 2:
        a.check(f'ethtool -L eth0 combined {n}')
        for back in '', '-R':
            a.check(f'iperf3 -P 4 -n 4M {back} -c {ADDRESS}')
    used = a.check('ethtool -S eth0 | grep "tx_queue_._packets"').split()[1::2]
    assert len(used) == 2 and all(int(n) > 10 for n in used), used
    assert 'refused' not in server.text()


def test_packed_rings(lab):
    _, guests = lab({'packed': True}, {'packed': True, 'mrg_rxbuf': False})
    print(exchange(guests, 2))


def test_server_killed_and_started_again(lab):
    """In mid-traffic: QEMU reconnects, TCP goes on, every byte is right, and
    the next server holds as much as the first"""
    def holds():
        with open(f'/proc/{server.process.pid}/maps', encoding='ascii') as maps:
            return server.count_fds(), sum('memfd:' in line for line in maps)

    server, (a, b) = lab({}, {})
    a.check(f'ping -c 1 {ADDRESS}')
    before = holds()
    tcp.start(a, b, ('10.0.0.1', ADDRESS))
    for _ in range(5):
        a.check('sleep 1')
        server.process.kill()
        server.process.wait()
        server.start()
        a.check(f'ping -c 20 -i 0.5 -w 20 {ADDRESS} | grep -q "64 bytes"')
    tcp.finish(a, b)
    assert holds() == before
