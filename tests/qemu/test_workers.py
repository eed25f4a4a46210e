# SPDX-License-Identifier: Apache-2.0
"""Data between every pair of clients whose ports are on different workers, byte
for byte: see ends.py for the LAN.

The machines run all the time.
"""
import itertools

import pytest

from covering import covering_array
from ends import FEATURES, KINDS, lan
from test_pairs import PAIRS, by_pair, check_errors, pytestmark  # noqa: F401

# Offloads of all kinds at either end; one row switches all ends.
COMBINATIONS = covering_array(len(FEATURES) * 2)


@pytest.fixture(scope='module', name='ends')
def ends_fixture():
    with lan(workers=2) as (server, ends):
        ports = server.api('GET', '/v1/ports')['ports']
        workers = {copy: {port['worker'] for port in ports[1:][copy - 1::2]}
                   for copy in (1, 2)}
        assert len(workers[1]) == len(workers[2]) == 1, workers
        assert workers[1] != workers[2], workers
        yield ends
        # Whatever was sent, nobody broke a rule.
        for port in server.api('GET', '/v1/ports')['ports']:
            bad = {k: v for k, v in port['counters'].items()
                   if v and ('bad' in k or 'too_long' in k)}
            assert not bad, (port['name'], bad)


def ends_of(ends, pair):
    """The ends of a pair of kinds, on different workers"""
    return ends[f'{pair[0]}-1'], ends[f'{pair[1]}-2']


@by_pair
def test_data(ends, pair):
    """Streams and datagrams of all lengths, fragments too"""
    a, b = ends_of(ends, pair)
    for one, other in (a, b), (b, a):
        for version in 4, 6:
            print(one.talk(other, version, seed=version, n_bytes=1 << 20,
                           n_datagrams=64, longest=5000))
    check_errors(a, b)


@pytest.mark.parametrize('row', range(len(COMBINATIONS)))
def test_offloads(ends, row):
    """Large frames and partial checksums from one worker to the other, and what
    has to be made of them there"""
    wanted = dict(zip(itertools.product((1, 2), FEATURES), COMBINATIONS[row]))
    for end in ends.values():
        copy = int(end.name[-1])
        end.set_features({f: bool(wanted[copy, f]) for f in end.features})
    for n, pair in enumerate(PAIRS):
        a, b = ends_of(ends, pair)
        if row % 2:
            a, b = b, a
        a.talk(b, 4 if (n + row // 2) % 2 else 6, seed=row,
               n_bytes=256 << 10, n_datagrams=8, longest=3000)
    check_errors(*ends.values())
