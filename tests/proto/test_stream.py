# SPDX-License-Identifier: Apache-2.0
"""Stream ports: peers in Python on three sockets of one server, speaking QEMU's
-netdev stream framing (a 32-bit big-endian length, then the frame).

    a --- stream:a ---+
    b --- stream:b ---+ switch
    c --- stream:c ---+
"""
import contextlib
import os
import pathlib
import select
import signal
import socket
import stat
import struct
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BACKPLANE = os.environ.get('BACKPLANE', ROOT / 'build' / 'backplane')
DEADLINE = 60
LEN_MAX = 65536 + 14
BROADCAST = b'\xff' * 6
NAMES = 'abc'


def mac(name):
    return b'\x52\x54\0\0\0' + name.encode()


def frame(dst, src, payload=b'', size=60):
    """An Ethernet frame of `size` bytes, padded with what tells frames apart"""
    head = (BROADCAST if dst == '*' else mac(dst)) + mac(src) + b'\x88\xb5'
    body = payload + bytes(i % 251 for i in range(max(0, size - len(payload))))
    return (head + body)[:max(size, len(head) + len(payload))]


def record(data):
    return struct.pack('>I', len(data)) + data


class Peer:
    """One end of a stream port."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(DEADLINE)
        self.sock.connect(str(path))

    def send(self, *frames):
        self.sock.sendall(b''.join(record(f) for f in frames))

    def read(self, n):
        data = b''
        while len(data) < n:
            piece = self.sock.recv(n - len(data))
            assert piece, 'disconnected'
            data += piece
        return data

    def recv(self):
        return self.read(struct.unpack('>I', self.read(4))[0])

    def silent(self, seconds=0.1):
        return not select.select([self.sock], [], [], seconds)[0]

    def ended(self):
        """Has the server disconnected, or does it within the deadline?"""
        try:
            while self.sock.recv(65536):
                pass
        except ConnectionResetError:
            pass
        except TimeoutError:
            return False
        return True

    def close(self):
        self.sock.close()


@contextlib.contextmanager
def serving(folder, *args, **kw):
    """A server, once all the sockets are there; it has to end well."""
    with subprocess.Popen([BACKPLANE, 'serve', *args], cwd=folder,
                          stderr=subprocess.PIPE, text=True, **kw) as server:
        line = server.stderr.readline()
        try:
            assert 'serving' in line, line + server.stderr.read()
            yield server
            assert server.poll() is None, 'the server has ended'
        finally:
            server.send_signal(signal.SIGTERM)
            try:
                _, errors = server.communicate(timeout=DEADLINE)
            except subprocess.TimeoutExpired:
                server.kill()
                raise
    assert server.returncode == 0, errors
    assert 'ERROR' not in errors, errors


@pytest.fixture
def folder(tmp_path):
    args = [a for n in NAMES for a in ('--port', f'stream:{tmp_path}/{n}')]
    with serving(tmp_path, *args):
        yield tmp_path
    assert not [n for n in NAMES if (tmp_path / n).exists()]


@pytest.fixture
def peers(folder):
    """The three peers, whose addresses the switch has learnt."""
    all_peers = [Peer(folder / n) for n in NAMES]
    # A frame to another port may come before that one's connection is seen.
    for name, peer in zip(NAMES, all_peers):
        hello(all_peers, name, peer)
    yield all_peers
    for peer in all_peers:
        peer.close()


def hello(all_peers, name, peer):
    """`peer` says so to all; returns when all of them have heard it."""
    said = frame('*', name, b'hello')
    waiting = [p for p in all_peers if p is not peer]
    end = time.monotonic() + DEADLINE
    while waiting:
        assert time.monotonic() < end, 'not heard by all'
        peer.send(said)
        time.sleep(0.02)
        for other in list(waiting):
            while not other.silent(0):
                assert other.recv() == said
                if other in waiting:
                    waiting.remove(other)
    # Repeats on their way
    time.sleep(0.05)
    for other in all_peers:
        while not other.silent(0):
            assert other.recv() == said


def assert_works(peers):
    """Whatever has happened, these can talk."""
    a, b = peers
    a.send(frame('b', 'a', b'still there?'))
    assert b.recv() == frame('b', 'a', b'still there?')
    b.send(frame('a', 'b', b'yes'))
    assert a.recv() == frame('a', 'b', b'yes')


def test_unicast_and_broadcast(peers):
    a, b, c = peers
    a.send(frame('b', 'a', b'one'))
    assert b.recv() == frame('b', 'a', b'one')
    c.send(frame('*', 'c', b'two'))
    assert a.recv() == b.recv() == frame('*', 'c', b'two')
    assert a.silent() and b.silent() and c.silent()


@pytest.mark.parametrize('size', [14, 15, 60, 1514, 9014, LEN_MAX])
def test_sizes(peers, size):
    a, b, _ = peers
    sent = [frame('b', 'a', size=size) for _ in range(5)]
    a.send(*sent)
    assert [b.recv() for _ in sent] == sent


def test_many_in_order(peers):
    a, b, _ = peers
    sent = [frame('b', 'a', struct.pack('>I', i), size=60 + i % 1400)
            for i in range(3000)]
    # A bit at a time: back-pressure is another test's.
    for i in range(0, len(sent), 50):
        a.send(*sent[i:i + 50])
        assert [b.recv() for _ in range(50)] == sent[i:i + 50]


def test_record_in_small_pieces(peers):
    a, b, _ = peers
    sent = frame('b', 'a', b'drop by drop')
    for byte in record(sent) + record(sent):
        a.sock.sendall(bytes([byte]))
        time.sleep(0.0002)
    assert b.recv() == b.recv() == sent


@pytest.mark.parametrize('size', [1, 5, 6, 12, 13])
def test_short_frames_are_dropped(peers, size):
    a, b, _ = peers
    a.sock.sendall(record(b'\xff' * size) * 3)
    assert b.silent()
    assert_works((a, b))


@pytest.mark.parametrize('length', [0, LEN_MAX + 1, 2**31 - 1, 2**31,
                                    2**32 - 1])
def test_bad_length_disconnects(folder, peers, length):
    a, b, c = peers
    a.send(frame('b', 'a', b'before'))
    a.sock.sendall(struct.pack('>I', length) + b'x' * 100)
    assert b.recv() == frame('b', 'a', b'before')
    assert a.ended()
    a.close()
    b.send(frame('c', 'b', b'not disturbed'))
    assert c.recv() == frame('c', 'b', b'not disturbed')
    peers[0] = Peer(folder / 'a')
    hello(peers, 'a', peers[0])
    assert_works((peers[0], b))


def test_garbage(folder, peers):
    """Random bytes: whatever they happen to say, the others go on."""
    _, b, c = peers
    for i in range(20):
        peers[0].close()
        peers[0] = Peer(folder / 'a')
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            peers[0].sock.sendall(os.urandom(5000))
        while not b.silent(0.01):
            b.recv()
        while not c.silent(0):
            c.recv()
    assert_works_between(b, c)


def assert_works_between(b, c):
    # c's address may have been "seen" elsewhere in the garbage; it says hello
    c.send(frame('*', 'c', b'me'))
    while b.recv() != frame('*', 'c', b'me'):
        pass
    b.send(frame('c', 'b', b'you'))
    while c.recv() != frame('c', 'b', b'you'):
        pass


def test_reconnect(folder, peers):
    for _ in range(10):
        peers[0].close()
        peers[0] = Peer(folder / 'a')
        hello(peers, 'a', peers[0])
        assert_works((peers[0], peers[1]))


def test_reconnect_in_mid_record(folder, peers):
    """What the old peer had not finished is not glued to what the new one
    says."""
    peers[0].sock.sendall(record(frame('b', 'a', size=1000))[:500])
    peers[0].close()
    peers[0] = Peer(folder / 'a')
    hello(peers, 'a', peers[0])
    assert_works((peers[0], peers[1]))


def test_second_peer_waits(folder, peers):
    second = Peer(folder / 'a')
    second.send(frame('b', 'a', b'second'))
    assert peers[1].silent()
    assert_works((peers[0], peers[1]))
    peers[0].close()
    assert peers[1].recv() == frame('b', 'a', b'second')
    second.close()


def test_sends_and_leaves(folder, peers):
    """What was sent before the end of the stream is forwarded."""
    sent = [frame('b', 'a', struct.pack('>I', i)) for i in range(100)]
    peers[0].send(*sent)
    peers[0].close()
    assert [peers[1].recv() for _ in sent] == sent


def test_slow_reader_does_not_stall_others(peers):
    """c never reads and a floods it; b's frames to a do not wait for that.
    Afterwards c gets whole frames, and only those."""
    a, b, c = peers
    flood = record(frame('c', 'a', size=1514)) * 64
    size = len(flood) // 64
    end = time.monotonic() + 1.5
    worst = sent = n = 0
    while time.monotonic() < end:
        with contextlib.suppress(BlockingIOError):
            sent += a.sock.send(flood[sent % size:], socket.MSG_DONTWAIT)
        start = time.monotonic()
        b.send(frame('a', 'b', struct.pack('>I', n)))
        assert a.recv() == frame('a', 'b', struct.pack('>I', n))
        n += 1
        worst = max(worst, time.monotonic() - start)
    assert sent > 4 << 20, 'the flood itself was stalled'
    assert worst < 0.5
    got = 0
    while not c.silent(0.2):
        assert c.recv() == frame('c', 'a', size=1514)
        got += 1
    assert got > 100


def test_fd(tmp_path):
    """A connected socket, inherited."""
    ours, theirs = socket.socketpair()
    with serving(tmp_path, '--port', f'stream:fd={theirs.fileno()}',
                 '--port', f'stream:{tmp_path}/a',
                 pass_fds=[theirs.fileno()]):
        theirs.close()
        one, a = Peer.__new__(Peer), Peer(tmp_path / 'a')
        one.sock = ours
        ours.settimeout(DEADLINE)
        hello([one, a], 'b', one)
        hello([one, a], 'a', a)
        assert_works((a, one))
        a.close()
    ours.close()


def test_socket_is_private(folder):
    mode = os.stat(folder / 'a').st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o600


def test_stale_socket_is_replaced(tmp_path):
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(str(tmp_path / 'a'))
    with serving(tmp_path, '--port', f'stream:{tmp_path}/a'):
        Peer(tmp_path / 'a').close()


def refused(*args):
    result = subprocess.run([BACKPLANE, 'serve', *args], timeout=DEADLINE,
                            capture_output=True, text=True, check=False)
    assert result.returncode != 0
    return result.stderr


def test_socket_in_use_is_refused(folder):
    assert 'use' in refused('--port', f'stream:{folder}/a')
    Peer(folder / 'a').close()


def test_file_is_not_replaced(tmp_path):
    (tmp_path / 'a').write_text('precious')
    refused('--port', f'stream:{tmp_path}/a')
    assert (tmp_path / 'a').read_text() == 'precious'


def test_path_too_long_is_refused(tmp_path):
    assert 'long' in refused('--port', f'stream:{tmp_path}/' + 'x' * 100)
