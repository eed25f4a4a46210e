# SPDX-License-Identifier: Apache-2.0
"""Stock virtio_net drivers in QEMU's guests, over vhost-user.

    guest 1 -- QEMU -- vhost-user --+
    guest 2 -- QEMU -- vhost-user --+ switch
"""
import contextlib
import time

import pytest

import tcp
from conftest import boot
from qemu import QEMU, iperf3, why_no_qemu

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
        out = iperf3(a, f'-t {seconds} {args} -c {to}')
        end = out.get('sum_received') or out['sum']
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


by_workers = pytest.mark.parametrize('workers', [1, 2])


def holds(server):
    """Descriptors, and mappings of guests' memory"""
    with open(f'/proc/{server.process.pid}/maps', encoding='ascii') as maps:
        return server.count_fds(), sum('memfd:' in line for line in maps)


def comes_to(condition):
    """The server has heard of it"""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@by_workers
def test_two_guests(lab, workers):
    _, guests = lab({}, {}, workers=workers)
    print(exchange(guests))


@pytest.mark.skipif(bool(why_no_qemu()), reason=why_no_qemu())
def test_newer_qemu(lab):
    """The one with a vfio-user client; it has messages that Debian's has not"""
    server, guests = lab({'queues': 2, 'mq': True}, {'packed': True},
                         workers=2, program=QEMU)
    print(exchange(guests))
    assert 'refused' not in server.text()
    assert 'not known' not in server.text()


@by_workers
def test_queues(lab, workers):
    """Two pairs at either end, one and both of them in use; meanwhile a stream
    each way, of which every byte is compared"""
    server, (a, b) = lab({'queues': 2, 'mq': True},
                         {'queues': 2, 'mq': True, 'packed': True},
                         workers=workers)
    b.check('iperf3 -s -D')
    b.check('ethtool -L eth0 combined 2')
    tcp.start(a, b, ('10.0.0.1', ADDRESS))
    for n in 1, 2:
        a.check(f'ethtool -L eth0 combined {n}')
        for back in '', '-R':
            a.check(f'iperf3 -P 4 -n 2M {back} -c {ADDRESS}')
        a.check(f'iperf3 -u -b 20M -n 512K -P 4 -c {ADDRESS}')
    tcp.finish(a, b)
    for guest in a, b:
        used = guest.check('ethtool -S eth0 | '
                           'grep "tx_queue_._packets"').split()[1::2]
        assert len(used) == 2 and all(int(n) > 10 for n in used), used
        assert not guest.stack_errors()
    assert 'refused' not in server.text()


def test_sixteen_pairs(lab):
    """As many pairs as there may be, and flows on more than one of them"""
    server, guests = lab({'queues': 16, 'mq': True},
                         {'queues': 16, 'mq': True})
    for guest in guests:
        guest.check('ethtool -L eth0 combined 16')
        guest.check('iperf3 -s -D')
    for guest, other in zip(guests, (ADDRESS, '10.0.0.1')):
        guest.check(f'iperf3 -P 8 -n 512K -c {other}')
        rings = guest.check('ethtool -S eth0 | grep -E "rx_queue_[0-9]+_packets"')
        used = [int(n) > 0 for n in rings.split()[1::2]]
        assert len(used) == 16 and sum(used) > 1, rings
        assert not guest.stack_errors()
    assert 'refused' not in server.text()


def test_packed_rings(lab):
    _, guests = lab({'packed': True}, {'packed': True, 'mrg_rxbuf': False})
    print(exchange(guests, 2))


@pytest.mark.parametrize('workers, client', [(1, False), (2, True)],
                         ids=['1', '2-client'])
def test_server_killed_and_started_again(lab, workers, client):
    """In mid-traffic: whoever connects does so again, TCP goes on, every byte
    is right, and the next server holds as much as the first"""
    server, (a, b) = lab({}, {}, workers=workers, client=client)
    a.check(f'ping -c 1 {ADDRESS}')
    before = holds(server)
    tcp.start(a, b, ('10.0.0.1', ADDRESS))
    for _ in range(5):
        a.check('sleep 1')
        server.process.kill()
        server.process.wait()
        server.start()
        a.check(f'ping -c 20 -i 0.5 -w 20 {ADDRESS} | grep -q "64 bytes"')
    tcp.finish(a, b)
    assert holds(server) == before


def test_guest_killed(lab):
    """QEMU, in mid-traffic: nothing of it stays behind, its port serves the
    next one, and so does the other worker the guest that was left"""
    server, (a, b) = lab({}, {}, workers=2)
    a.check(f'ping -c 1 {ADDRESS}')
    both = holds(server)
    with contextlib.ExitStack() as stack:
        for port in 5301, 5302:
            a.check(f'iperf3 -s -D -p {port}')
            b.check(f'(iperf3 -t 100 --bidir -p {port} -c 10.0.0.1 '
                    '>/tmp/log 2>&1 &); until [ $(cat '
                    '/sys/class/net/eth0/statistics/rx_packets) -gt 2000 ]; '
                    'do sleep 0.1; done')
            b.kill()
            comes_to(lambda: holds(server)[1] < both[1])
            b = stack.enter_context(boot(server, 2, {}))
            b.wait_agent()
            a.check(f'ping -c 20 -i 0.5 -w 20 {ADDRESS} | grep -q "64 bytes"')
            comes_to(lambda: holds(server) == both)
        print(exchange([a, b], 1))
