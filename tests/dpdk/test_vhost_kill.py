# SPDX-License-Identifier: Apache-2.0
"""kill -9 of testpmd with two virtio-user NICs, and of the server behind them,
in mid-traffic.  Of two workers, each serves one of the NICs.

    testpmd (flowgen) -- vhost-user -- server -- vhost-user -- testpmd

KILLS in the environment is how often, in each test (5).  At the end each says
how often it was, and what the server held of descriptors and of mappings of
clients' memory; pytest -s shows it.
"""
import json
import os
import pathlib
import shutil
import socket
import subprocess
import time

import pytest

TREE = pathlib.Path(__file__).resolve().parents[2]
BACKPLANE = os.environ.get('BACKPLANE', str(TREE / 'build' / 'backplane'))
DRIVER = '/usr/lib/x86_64-linux-gnu/dpdk/pmds-23.0/librte_net_virtio.so'
N_KILLS = int(os.environ.get('KILLS', 5))
N_FRAMES = 5000         # received by each NIC, between two kills
SECONDS = 120
FATES = 'rx_frames', 'rx_full', 'rx_link_down', 'rx_no_fit', 'rx_too_long'
MACS = '02:00:00:00:00:0a', '02:00:00:00:00:0b'

pytestmark = pytest.mark.skipif(
    not shutil.which('dpdk-testpmd') or not os.path.exists(DRIVER),
    reason='dpdk or librte-net-virtio23 is missing')


class Process:
    def __init__(self, log, *command):
        self.log_path = log
        with open(log, 'wb') as out:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE,
                                            stdout=out, stderr=out)

    def log(self):
        return self.log_path.read_text(errors='replace')

    def wait_for(self, condition):
        end = time.monotonic() + SECONDS
        while not condition():
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < end, self.log()
            time.sleep(0.02)

    def kill(self):
        self.process.kill()
        self.process.wait()


class Server(Process):
    def __init__(self, directory, option, workers):
        self.api = str(directory / 'api')
        super().__init__(
            directory / 'serve.log', BACKPLANE, 'serve', '--api', self.api,
            '--workers', str(workers),
            '--port', f'vhost-user:{directory}/a{option}',
            '--port', f'vhost-user:{directory}/b{option}')
        self.wait_for(lambda: 'serving' in self.log())

    def counters(self):
        """Of each port"""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(self.api)
            sock.sendall(b'GET /v1/ports HTTP/1.0\r\nHost: x\r\n\r\n')
            body = sock.makefile('rb').read().split(b'\r\n\r\n', 1)[1]
        return [port['counters'] | {c['counter']: c['value']
                                    for c in port['device']}
                for port in json.loads(body)['ports']]

    def received(self):
        """Frames that each port has given to its NIC"""
        return [port['rx_frames'] for port in self.counters()]

    def wait_for_traffic(self, other):
        """Both ways; `other` has to live meanwhile"""
        before = self.received()

        def enough():
            assert other.process.poll() is None, other.log()
            return all(now - then > N_FRAMES
                       for then, now in zip(before, self.received()))

        self.wait_for(enough)

    def holds(self):
        """Descriptors, and mappings of clients' memory"""
        pid = self.process.pid
        with open(f'/proc/{pid}/maps', encoding='ascii') as maps:
            return len(os.listdir(f'/proc/{pid}/fd')), sum(
                'memfd:' in line for line in maps)

    def holds_when_quiet(self):
        """The same, once connections of the API are gone"""
        time.sleep(0.2)
        return self.holds()


class Pmd(Process):
    def __init__(self, directory, options):
        vdevs = [f'--vdev=net_virtio_user{i},path={directory}/{name},'
                 f'mac={mac},queue_size=256,{options}'
                 for i, (name, mac) in enumerate(zip('ab', MACS))]
        super().__init__(
            directory / 'testpmd.log', 'nice', 'dpdk-testpmd',
            '--lcores=0@(0-1),1@(0-1)', '--no-huge', '--no-shconf', '-m',
            '128', '--no-pci', '--no-telemetry', *vdevs, '--',
            '--total-num-mbufs=8192', '--nb-cores=1', '--forward-mode=flowgen',
            f'--eth-peer=0,{MACS[0]}', f'--eth-peer=1,{MACS[1]}')


def books(server):
    """What has become of the frames that each NIC has sent: how many, and those
    that the other has received, or that were dropped and counted there"""
    ports = server.counters()
    for port in ports:
        assert not any(v for k, v in port.items()
                       if 'bad' in k or 'broken' in k), port
    return [(sender['tx_frames'], {k: receiver[k] for k in FATES})
            for sender, receiver in (ports, ports[::-1])]


def balanced(server):
    """Is each frame in the books once?  Of a server that nobody is connected
    to"""
    return all(sent == sum(fates.values()) for sent, fates in books(server))


by_workers = pytest.mark.parametrize('workers', [1, 2],
                                     ids=['one-worker', 'two-workers'])


@by_workers
@pytest.mark.parametrize('packed', [0, 1], ids=['split', 'packed'])
def test_front_end_killed(tmp_path, packed, workers):
    server = Server(tmp_path, '', workers)
    try:
        idle = server.holds()
        for _ in range(N_KILLS):
            pmd = Pmd(tmp_path, f'packed_vq={packed}')
            try:
                server.wait_for_traffic(pmd)
                busy = server.holds()
                assert all(n > then for n, then in zip(busy, idle)), busy
            finally:
                pmd.kill()
            server.wait_for(lambda: server.holds() == idle)
            server.wait_for(lambda: balanced(server))
        print(f'{N_KILLS} kills: idle {idle}, busy {busy},',
              f'at the end {server.holds()};', books(server))
    finally:
        server.kill()


@by_workers
@pytest.mark.parametrize('packed', [0, 1], ids=['split', 'packed'])
def test_server_killed(tmp_path, packed, workers):
    """The NICs listen, and go on with the next server that connects"""
    server = None
    pmd = Pmd(tmp_path, f'packed_vq={packed},server=1')
    try:
        busy = None
        for _ in range(N_KILLS):
            # DPDK replaces no socket; it makes them before it waits.
            pmd.wait_for(lambda: (tmp_path / 'a').exists())
            server = Server(tmp_path, ',client', workers)
            server.wait_for_traffic(pmd)
            holds = server.holds_when_quiet()
            busy = busy or holds
            assert holds == busy
            seen = books(server)
            server.kill()
        print(f'{N_KILLS} kills: busy {busy}, the last server {holds};', seen)
    finally:
        pmd.kill()
        if server:
            server.kill()
