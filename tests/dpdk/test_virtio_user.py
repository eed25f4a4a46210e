# SPDX-License-Identifier: Apache-2.0
"""DPDK's virtio-user NICs on vhost-user ports, as testpmd drives them.

    left -- stream -- server -- vhost-user -- testpmd -- vhost-user -- server
                                              -- stream -- right
"""
import contextlib
import pathlib
import random
import re
import shutil
import subprocess
import sys
import time

import pytest

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / folder)
                for folder in ('lib', 'guest')]
from qemu import Server  # noqa: E402
from testpmd import End, exchange  # noqa: E402

SECONDS = 120           # until it is ready, under any load
MACS = '02:00:00:00:00:0a', '02:00:00:00:00:0b'


def why_no_dpdk():
    if not shutil.which('dpdk-testpmd'):
        return 'dpdk is missing'
    drivers = pathlib.Path('/usr/lib/x86_64-linux-gnu/dpdk/pmds-23.0')
    if not (drivers / 'librte_net_virtio.so').exists():
        return 'librte-net-virtio23 is missing'
    return ''


pytestmark = pytest.mark.skipif(bool(why_no_dpdk()), reason=why_no_dpdk())


class Pmd:
    """It runs, with a NIC on each path, until stop(); needs no huge pages."""

    def __init__(self, directory, paths, options, *args):
        self.log = directory / 'testpmd'
        vdevs = [f'--vdev=net_virtio_user{i},path={path},mac={mac},{options}'
                 for i, (path, mac) in enumerate(zip(paths, MACS))]
        # The first thread only waits.
        self.process = subprocess.Popen(
            ['nice', 'stdbuf', '-oL', 'dpdk-testpmd', '--lcores=0@(0-1),1@(0-1)',
             '--no-huge', '--no-shconf', '-m', '128', '--no-pci',
             '--no-telemetry', *vdevs, '--', '--total-num-mbufs=8192',
             '--nb-cores=1', *args],
            stdin=subprocess.PIPE, stdout=open(self.log, 'wb'),
            stderr=subprocess.STDOUT)
        deadline = time.monotonic() + SECONDS
        while 'Press enter to exit' not in self.text():
            assert self.process.poll() is None, self.text()
            assert time.monotonic() < deadline, self.text()
            time.sleep(0.05)

    def text(self):
        return self.log.read_text(errors='replace')

    def stop(self):
        """For each port: received, sent, and what it could not send."""
        self.process.communicate(b'\n', timeout=SECONDS)
        result = []
        for port in 0, 1:
            rows = self.text().split(
                f'Forward statistics for port {port} ')[1]
            result.append(tuple(
                int(re.search(rf'{what}: (\d+)', rows).group(1))
                for what in ('RX-packets', 'TX-packets', 'TX-dropped')))
        return result

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.process.kill()
        self.process.wait()


def check_rings(server, port, received, sent):
    """No frame is in one's books alone."""
    counters = server.port(port)
    assert (counters['rx_frames'], counters['tx_frames']) == (received, sent)
    assert not any(v for k, v in counters.items() if 'bad' in k), counters


by_workers = pytest.mark.parametrize('workers', [1, 2],
                                     ids=['one-worker', 'two-workers'])


def new_server(workers, *ports):
    """Of two workers, the first of these ports is on the second one: the stream
    port is on the first."""
    server = Server(ports=ports, extra=['--workers', str(workers)])
    found = [port['worker'] for port in server.api('GET', '/v1/ports')['ports']]
    assert found == [i % workers for i in range(1 + len(ports))]
    return server


@by_workers
@pytest.mark.parametrize('mergeable', [0, 1], ids=['buffers', 'mergeable'])
@pytest.mark.parametrize('in_order', [0, 1], ids=['any-order', 'in-order'])
@pytest.mark.parametrize('packed', [0, 1], ids=['split', 'packed'])
def test_forwarding(tmp_path, packed, in_order, mergeable, workers):
    """Every frame that comes in at one NIC leaves at the other, as it came."""
    rng = random.Random(packed * 4 + in_order * 2 + mergeable)
    longest = 9000 if mergeable else 1514
    lengths = [60, 61, 1514, longest] + [rng.randint(60, longest)
                                         for _ in range(1500)]
    # More than its ring has room for, in buffers of 2048 bytes.
    jumbo = ['--max-pkt-len=9018', '--enable-scatter',
             '--tx-offloads=0x8000'] if mergeable else []
    with new_server(workers, 'vhost-user:DIR/v') as left, \
         new_server(workers, 'vhost-user:DIR/v') as right, \
         Pmd(tmp_path, (left.path('v'), right.path('v')),
                 f'queue_size=256,packed_vq={packed},in_order={in_order},'
                 f'mrg_rxbuf={mergeable}', '--forward-mode=io',
                 *jumbo) as pmd, contextlib.ExitStack() as stack:
        ends = [End(server.path('peer')) for server in (left, right)]
        for end in ends:
            stack.callback(end.close)
        exchange(*ends, lengths, 16)
        n = len(lengths)
        assert pmd.stop() == [(n, n, 0)] * 2
        check_rings(left, 'v', n, n)
        check_rings(right, 'v', n, n)


def accounts_for(port, n):
    """Have @n frames come to a port's end, one way or the other?  Those that
    find nobody there are in rx_frames only if the device has dropped them."""
    known = port['rx_frames'] + port['rx_full']
    return known <= n <= known + port['rx_link_down']


@by_workers
@pytest.mark.parametrize('packed', [0, 1], ids=['split', 'packed'])
@pytest.mark.parametrize('pairs, size', [(2, 256), (8, 128)],
                         ids=['2-pairs', '8-pairs'])
def test_queues(tmp_path, pairs, size, packed, workers):
    """Several queue pairs of either NIC, as fast as one thread goes: what has
    been sent is received, or dropped by the switch and counted there."""
    with new_server(workers, 'vhost-user:DIR/v',
                    'vhost-user:DIR/w') as server, \
         Pmd(tmp_path, (server.path('v'), server.path('w')),
                 f'queues={pairs},queue_size={size},packed_vq={packed}',
                 '--forward-mode=flowgen', f'--rxq={pairs}', f'--txq={pairs}',
                 f'--eth-peer=0,{MACS[0]}', f'--eth-peer=1,{MACS[1]}',
                 '--no-flush-rx') as pmd:
        # Each of the queues receives enough.
        deadline = time.monotonic() + SECONDS
        while any(server.port(port)['rx_frames'] < 50000 for port in 'vw'):
            assert time.monotonic() < deadline, server.port('v')
            time.sleep(0.1)
        (rx_a, tx_a, _), (rx_b, tx_b, _) = pmd.stop()
        a, b = server.port('v'), server.port('w')
        # What the one has not taken out of the other's rings any more, when
        # testpmd ended, was in them.
        for port, rx, tx in (a, rx_a, tx_a), (b, rx_b, tx_b):
            assert 0 <= port['rx_frames'] - rx <= \
                pairs * size + port['rx_link_down'], (port, rx)
            assert 0 <= tx - port['tx_frames'] <= pairs * size, (port, tx)
        # Beyond that, each is in one's books, as soon as none is on its way
        # between workers: the switch has no other ports.
        while not (accounts_for(a, b['tx_frames']) and
                   accounts_for(b, a['tx_frames'])):
            assert time.monotonic() < deadline, (a, b)
            a, b = server.port('v'), server.port('w')
        streams = re.findall(r'Forward Stats for RX Port= \d/Queue= *(\d+).*\n'
                             r' *RX-packets: (\d+) +TX-packets: (\d+)',
                             pmd.text())
        assert sorted(int(q) for q, _, _ in streams) == sorted(
            [*range(pairs)] * 2)
        assert all(int(rx) > 1000 and int(tx) > 1000
                   for _, rx, tx in streams), streams


