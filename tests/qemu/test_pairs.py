# SPDX-License-Identifier: Apache-2.0
"""Data between every pair of clients, byte for byte: see ends.py for the LAN.

The machines run all the time.
"""
import concurrent.futures as futures
import itertools
import os

import pytest

from covering import covering_array
from ends import FEATURES, KINDS, XFER, lan
from qemu import iperf3, why_no_debian_qemu

PAIRS = list(itertools.combinations_with_replacement(KINDS, 2))
# With a column for each offload of each end; not all ends can switch all.
COMBINATIONS = covering_array(len(FEATURES) * len(KINDS) * 2)

REASONS = [reason for reason in (
    why_no_debian_qemu(),
    '' if os.geteuid() == 0 else 'taps need root',
    '' if os.access(XFER, os.X_OK) else f'{XFER} is not there (make build)',
) if reason]
pytestmark = pytest.mark.skipif(bool(REASONS), reason='; '.join(REASONS))


@pytest.fixture(scope='module')
def everything():
    with lan() as (server, ends):
        yield server, ends
        # Whatever was sent, nobody broke a rule.
        for port in server.api('GET', '/v1/ports')['ports']:
            bad = {k: v for k, v in port['counters'].items()
                   if v and ('bad' in k or 'too_long' in k)}
            assert not bad, (port['name'], bad)


@pytest.fixture(scope='module', name='ends')
def ends_fixture(everything):
    return everything[1]


def ends_of(ends, pair):
    """The ends of a pair of kinds"""
    return ends[f'{pair[0]}-1'], ends[
        f'{pair[1]}-{1 + (pair[0] == pair[1])}']


def others(ends, end):
    """The first ones of each other kind"""
    return [ends[f'{kind}-1'] for kind in KINDS if kind != end.kind]


def by_pair(function):
    return pytest.mark.parametrize(
        'pair', PAIRS, ids=['-'.join(pair) for pair in PAIRS])(function)


def check_errors(*ends):
    for end in ends:
        errors = end.errors()
        assert not errors, (end, errors)


def test_pairwise():
    """What test_offloads relies on"""
    for n in 2, 7, 36, 62:
        columns = list(zip(*covering_array(n)))
        assert len(columns) == n
        for a, b in itertools.combinations(columns, 2):
            assert len(set(zip(a, b))) == 4


@by_pair
def test_iperf3(ends, pair):
    """Both protocols, both versions of IP, either way"""
    a, b = ends_of(ends, pair)
    for args in (f'-n 1M -c {b.ip4}', f'-n 1M -R -c {b.ip6}',
                 f'-u -b 20M -n 256K -c {b.ip6}',
                 f'-u -b 20M -n 256K -R -c {b.ip4}'):
        end = iperf3(a, args)
        if '-u' in args:
            # Where processors are few the receiving guest comes late, and
            # loses most: test_data counts each datagram.
            assert end['sum']['packets'] > end['sum']['lost_packets'], end
        else:
            # What has come when the sender ends; the rest is on its way.
            assert end['sum_received']['bytes'] > 100 << 10, end
    check_errors(a, b)


@by_pair
def test_data(ends, pair):
    """Streams and datagrams of all lengths, fragments too"""
    a, b = ends_of(ends, pair)
    for one, other in (a, b), (b, a):
        for version in 4, 6:
            print(one.talk(other, version, seed=version, n_bytes=4 << 20,
                           n_datagrams=64, longest=5000))
    check_errors(a, b)


@pytest.fixture(scope='module')
def jumbo(ends):
    """All ends with an MTU that all of them can have."""
    for end in ends.values():
        end.set_mtu(9000)
    yield ends
    for end in ends.values():
        end.set_mtu(1500)


@by_pair
def test_jumbo(jumbo, pair):
    """Frames of 9014 bytes, and fragments of as much"""
    a, b = ends_of(jumbo, pair)
    for version in 4, 6:
        a.talk(b, version, seed=9000 + version, n_bytes=1 << 20,
               n_datagrams=32, longest=20000)
    check_errors(a, b)


UDHCPD = '''
start {lan}.100
end {lan}.149
interface {dev}
lease_file /tmp/leases.{name}
pidfile /tmp/udhcpd.{name}
option subnet 255.255.255.0
option lease 600
'''

UDHCPC = '''
script=/tmp/udhcpc.{name}
printf '%s\\n' '#!/bin/sh' '[ "$1" = bound ] && echo lease $ip' >$script
chmod +x $script
busybox udhcpc -f -n -q -i {dev} -t 20 -T 1 -s $script 2>&1
status=$?
rm $script
exit $status
'''


@pytest.mark.parametrize('kind', KINDS)
def test_dhcp_lease(ends, kind):
    """busybox's server at one end, its client, which looks at checksums, at all
    others; the clients of one guest take turns"""
    server = ends[f'{kind}-1']
    conf = f'/tmp/udhcpd.conf.{server.name}'
    lan = server.ip4.rsplit('.', 1)[0]
    text = UDHCPD.format(lan=lan, dev=server.dev, name=server.name)
    server.check(f"cat >{conf} <<'END'\n{text}END\n"
                 f': >/tmp/leases.{server.name}; '
                 f'busybox udhcpd -S -a 50 {conf}')
    try:
        with futures.ThreadPoolExecutor() as pool:
            said = list(pool.map(lambda client: client.check(
                UDHCPC.format(name=client.name, dev=client.dev)),
                others(ends, server)))
        leases = [out.split('lease ')[-1].split()[0] for out in said]
        assert all(lease.startswith(lan + '.1') for lease in leases), said
        assert len(set(leases)) == len(leases), leases
    finally:
        server.check(f'kill $(cat /tmp/udhcpd.{server.name}); '
                     f'rm -f /tmp/*.{server.name}')


@pytest.mark.parametrize('kind', KINDS)
def test_dhcp_checksums(ends, kind):
    """What a kernel sends to DHCP's ports, with offloads, as a raw socket sees
    it at all other ends: each checksum is there"""
    sender = ends[f'{kind}-1']
    with futures.ThreadPoolExecutor() as pool:
        checks = [pool.submit(end.check, f'xfer dhcp-check {end.dev} 2>&1')
                  for end in others(ends, sender)]
        while not all(check.done() for check in checks):
            sender.check(f'xfer dhcp-send {sender.dev} 2>&1; sleep 0.2')
        for check in checks:
            check.result()


# The last ones: what they switch stays as it is.
@pytest.mark.parametrize('row', range(len(COMBINATIONS)))
def test_offloads(ends, row):
    """All pairs of what `ethtool -K` can switch at any two ends"""
    wanted = dict(zip(((end, feature) for end in ends.values()
                       for feature in end.features), COMBINATIONS[row]))
    for end in ends.values():
        end.set_features({f: bool(wanted[end, f]) for f in end.features})
    for n, pair in enumerate(PAIRS):
        a, b = ends_of(ends, pair)
        if row % 2:
            a, b = b, a
        a.talk(b, 4 if (n + row // 2) % 2 else 6, seed=row,
               n_bytes=512 << 10, n_datagrams=16, longest=3000)
    check_errors(*ends.values())
