# SPDX-License-Identifier: Apache-2.0
"""A server with two workers or three; ports are dealt out to them in turn.

    of two workers: 0 has a, c and the stream port s, 1 has b and d

vhost-user front-ends send numbered frames to each other, on the same worker and
across; every frame is compared and has to come in order.
"""
import json
import os
import pathlib
import signal
import socket
import struct
import subprocess
import tempfile
import time

import pytest

import vhu
from vhu import Frontend

ROOT = pathlib.Path(__file__).resolve().parents[2]
BACKPLANE = os.environ.get('BACKPLANE', ROOT / 'build' / 'backplane')
NAMES = 'abcd'
SOCKET = 's'
BROADCAST = b'\xff' * 6


def mac(name):
    return b'\x02\0\0\0\0' + name.encode()


class Server:
    def __init__(self, directory, *options):
        self.dir = directory
        self.log_path = directory / 'log'
        ports = [f'vhost-user:{directory}/{n},name={n}' for n in NAMES]
        ports.append(f'stream:{directory}/{SOCKET},name={SOCKET}')
        args = [BACKPLANE, 'serve', '--api', str(directory / 'api'), *options]
        for port in ports:
            args += ['--port', port]
        with open(self.log_path, 'wb') as log:
            self.process = subprocess.Popen(args, stdout=log, stderr=log)
        end = time.monotonic() + vhu.DEADLINE
        while 'serving' not in self.log():
            assert time.monotonic() < end, self.log()
            assert self.process.poll() is None, self.log()
            time.sleep(0.005)
        self.n_fds = self.count_fds()

    def log(self):
        return self.log_path.read_text(errors='replace')

    def count_fds(self):
        return len(os.listdir(f'/proc/{self.process.pid}/fd'))

    def api(self, path):
        out = subprocess.run(['curl', '-s', '--unix-socket', self.dir / 'api',
                              'http://localhost/v1/' + path], check=True,
                             stdout=subprocess.PIPE).stdout
        return json.loads(out)

    def counters(self, name):
        return next(p['counters'] for p in self.api('ports')['ports']
                    if p['name'] == name)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(vhu.DEADLINE) == 0, self.log()
        assert 'Sanitizer' not in self.log(), self.log()
        assert 'runtime error' not in self.log(), self.log()


@pytest.fixture(params=['2', '3'], scope='module')
def server(request):
    with tempfile.TemporaryDirectory() as d:
        server = Server(pathlib.Path(d), '--workers', request.param)
        server.n_workers = int(request.param)
        try:
            yield server
            if server.process.poll() is None:
                server.stop()
        finally:
            server.process.kill()
            server.process.wait()


@pytest.fixture
def station(server):
    """Makes stations, which are gone after the test."""
    made = []

    def make(name):
        made.append(Station(server, name))
        return made[-1]

    yield make
    for s in made:
        s.close()


class Station(Frontend):
    """A front-end that numbers what it sends, and checks what it gets."""

    def __init__(self, server, name):
        super().__init__(server.dir / name)
        self.name = name
        self.sent = {}          # by destination, how many
        self.last = {}          # by sender, the number received last
        self.received = []      # frames to us: (sender, number)
        self.in_flight = 0
        self.start()
        self.offer(vhu.SIZE)

    def put(self, dst, size=60):
        """Sends the next frame to @dst; False: the ring is full."""
        while self.rings[1].take() is not None:
            self.in_flight -= 1
        if self.in_flight == vhu.SIZE:
            return False
        n = self.sent.get(dst, 0) + 1
        self.sent[dst] = n
        self.send_frame(frame(self.name, dst, n, size))
        self.in_flight += 1
        return True

    def get(self):
        """Takes what has come; buffers go back."""
        while True:
            data = self.rings[0].take()
            if data is None:
                return
            data = data[vhu.HDR_LEN:]
            src, dst, number, size = struct.unpack_from('>ccIH', data, 14)
            src, dst = src.decode(), dst.decode()
            assert data == frame(src, dst, number, size)
            if dst == self.name:
                assert number > self.last.get(src, 0)
                self.last[src] = number
                self.received.append((src, number))
            self.rings[0].add()
            self.rings[0].wake()

    # A name of Frontend's that get() hides is for messages.
    def get64(self, request):
        return struct.unpack('<Q', Frontend.get(self, request))[0]


def frame(src, dst, number, size):
    head = mac(dst) + mac(src) + b'\x88\xb5' + struct.pack(
        '>ccIH', src.encode(), dst.encode(), number, size)
    return head + bytes((number + i) & 0xff for i in range(size - len(head)))


def announce(stations):
    """Everybody is known to the switch."""
    for s in stations:
        s.send_frame((BROADCAST + mac(s.name) + b'\x88\xb5' + bytes(60))[:60])
        s.in_flight += 1
    end = time.monotonic() + vhu.DEADLINE
    for s in stations:
        for _ in range(len(stations) - 1):
            while s.rings[0].take() is None:
                assert time.monotonic() < end
                time.sleep(0.001)
            s.rings[0].add()


def test_ports_are_dealt_out(server):
    ports = server.api('ports')['ports']
    assert [p['worker'] for p in ports] == [
        i % server.n_workers for i in range(len(ports))]
    worker = server.api('worker')
    assert len(worker['workers']) == server.n_workers
    assert [w['name'] for w in worker['workers']] == [
        f'bp-worker-{i}' for i in range(server.n_workers)]
    tasks = [pathlib.Path(f'/proc/{server.process.pid}/task/{t}/comm')
             .read_text().strip()
             for t in os.listdir(f'/proc/{server.process.pid}/task')]
    assert sum(t.startswith('bp-worker-') for t in tasks) == server.n_workers


def test_everybody_to_everybody(server, station):
    """Frames of all sizes on every way at the same time; none is lost that has
    not been counted, none differs or overtakes."""
    n_each = 300
    stations = [station(n) for n in NAMES]
    before = {n: server.counters(n) for n in NAMES}
    announce(stations)
    ways = [(s, t.name) for s in stations for t in stations if s is not t]
    end = time.monotonic() + vhu.DEADLINE
    while any(s.sent.get(dst, 0) < n_each for s, dst in ways):
        assert time.monotonic() < end
        for i, (s, dst) in enumerate(ways):
            if s.sent.get(dst, 0) < n_each:
                s.put(dst, 60 + (s.sent.get(dst, 0) * 37 + i) % 1454)
        for s in stations:
            s.get()

    def settled():
        for s in stations:
            s.get()
        lost = sum(server.counters(n)['rx_full'] - before[n]['rx_full']
                   for n in NAMES)
        return sum(len(s.received) for s in stations) + lost == \
            n_each * len(ways)

    while not settled():
        assert time.monotonic() < end
        time.sleep(0.02)
    for s in stations:
        assert {src for src, _ in s.received} == set(NAMES) - {s.name}


def test_receiver_without_buffers(server, station):
    """T16: whoever takes nothing costs its senders what they send it, counted,
    and keeps nobody else from anything; when it takes frames again they come.
    """
    a, b, c, d = (station(n) for n in NAMES)
    announce([a, b, c, d])
    before = server.counters('b')['rx_full']
    end = time.monotonic() + vhu.DEADLINE
    # To b, which does not give its buffers back, twice what it has room for, by
    # a sender of either worker; c and d exchange frames all the while.
    while min(s.sent.get('b', 0) for s in (a, c)) < vhu.SIZE or \
            min(len(s.received) for s in (c, d)) < 500:
        assert time.monotonic() < end, (a.sent, c.sent, d.sent)
        for s in a, c:
            if s.sent.get('b', 0) < vhu.SIZE:
                s.put('b')
        c.put('d')
        d.put('c')
        c.get()
        d.get()
    n_to_b = a.sent['b'] + c.sent['b']

    def lost():
        return server.counters('b')['rx_full'] - before

    while lost() + vhu.SIZE < n_to_b:
        assert time.monotonic() < end, lost()
        time.sleep(0.02)
    # All that is not counted is there.
    while len(b.received) + lost() < n_to_b:
        b.get()
        assert time.monotonic() < end, len(b.received)
    assert a.put('b')
    while b.last['a'] != a.sent['b']:
        b.get()
        assert time.monotonic() < end


def test_from_silence(station):
    """Workers sleep between frames: each one has to be woken."""
    a, b = station('a'), station('b')
    announce([a, b])
    for i in range(200):
        assert a.put('b') if i % 2 else b.put('a')
        to, end = (b if i % 2 else a), time.monotonic() + vhu.DEADLINE
        n = len(to.received)
        while len(to.received) == n:
            to.get()
            assert time.monotonic() < end, i
        time.sleep(0.0005 * (i % 4))


def stream_frame(s):
    size, = struct.unpack('>I', s.recv(4, socket.MSG_WAITALL))
    return s.recv(size, socket.MSG_WAITALL)


def test_stream_port_of_one_worker(server, station):
    """QEMU's framing on one worker, vhost-user on the others."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(vhu.DEADLINE)
        s.connect(str(server.dir / SOCKET))
        stations = [station(n) for n in NAMES]
        announce(stations)
        hello = BROADCAST + b'\x02\0\0\0\0s' + b'\x88\xb5' + bytes(46)
        s.sendall(struct.pack('>I', len(hello)) + hello)
        for to in stations:
            assert to.frame() == hello
            data = b'\x02\0\0\0\0s' + mac(to.name) + b'\x88\xb5' + \
                bytes(range(200))
            to.send_frame(data)
            while stream_frame(s) != data:
                pass            # a broadcast of before


def test_front_ends_go_in_mid_traffic(server, station):
    """100 times, of each worker in turn, without a word; the frames of the
    others stay whole and in order, and nothing is left behind."""
    stations = {n: station(n) for n in NAMES}
    announce(list(stations.values()))

    def traffic(n):
        for _ in range(n):
            for s in stations.values():
                for dst in NAMES:
                    if dst != s.name:
                        s.put(dst)
            for s in stations.values():
                s.get()

    for i in range(100):
        traffic(3)
        name = NAMES[i % len(NAMES)]
        gone = stations.pop(name)
        gone.close()
        traffic(1)
        stations[name] = station(name)
        stations[name].sent = gone.sent     # goes on counting
    # All ways are open at the end.
    for s in stations.values():
        s.received.clear()
    end = time.monotonic() + vhu.DEADLINE
    while any({src for src, _ in s.received} != set(NAMES) - {n}
              for n, s in stations.items()):
        assert time.monotonic() < end
        traffic(1)
    for s in stations.values():
        s.close()
    while server.count_fds() != server.n_fds:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_cpus(tmp_path):
    cpus = sorted(os.sched_getaffinity(0))[:2]
    if len(cpus) < 2:
        pytest.skip('this machine has one processor')
    server = Server(tmp_path, '--cpus', ','.join(map(str, cpus)))
    try:
        workers = server.api('worker')['workers']
        assert [w['cpu'] for w in workers] == cpus
        allowed = {}
        for t in os.listdir(f'/proc/{server.process.pid}/task'):
            comm = pathlib.Path(
                f'/proc/{server.process.pid}/task/{t}/comm').read_text()
            allowed[comm.strip()] = os.sched_getaffinity(int(t))
        assert [allowed[w['name']] for w in workers] == [{c} for c in cpus]
        server.stop()
    finally:
        server.process.kill()
        server.process.wait()


@pytest.mark.parametrize('options,words', [
    (['--workers', '0'], 'expected 1 to 16'),
    (['--workers', '17'], 'expected 1 to 16'),
    (['--workers', 'x'], 'expected 1 to 16'),
    (['--cpus', '0,,1'], 'numbers of processors'),
    (['--cpus', '0', '--workers', '2'], 'one for each'),
    (['--cpus', '1023'], 'processor 1023'),
    (['--poll-us', '-1'], 'expected 0 to'),
])
def test_bad_options(tmp_path, options, words):
    result = subprocess.run([BACKPLANE, 'serve', '--port',
                             f'stream:{tmp_path}/s', *options], check=False,
                            capture_output=True, text=True, timeout=20)
    assert result.returncode in (1, 2)
    assert words in result.stderr and len(result.stderr.splitlines()) == 1
    assert not (tmp_path / 's').exists()
