# SPDX-License-Identifier: Apache-2.0
"""Datagram ports, as for QEMU's -netdev dgram: a frame is a datagram.

    a --- dgram:A,peer=a (named) -----+
    b --- dgram:B (who sent last) ----+ switch
    c --- dgram:fd=N (connected) -----+
"""
import os
import socket
import subprocess

import pytest

from test_stream import BACKPLANE, DEADLINE, LEN_MAX, frame, serving


class Peer:
    """Somebody with a datagram socket."""

    def __init__(self, folder, name, port):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.settimeout(DEADLINE)
        self.path = folder / name
        self.sock.bind(str(self.path))
        self.port = str(folder / port)

    def send(self, *frames):
        for data in frames:
            self.sock.sendto(data, self.port)

    def recv(self):
        return self.sock.recv(1 << 17)

    def silent(self, seconds=0.1):
        self.sock.settimeout(seconds)
        try:
            return not self.sock.recv(1 << 17)
        except TimeoutError:
            return True
        finally:
            self.sock.settimeout(DEADLINE)

    def close(self):
        self.sock.close()
        self.path.unlink()


class Connected(Peer):
    """One end of a pair, the server has the other."""

    def __init__(self, sock):    # pylint: disable=super-init-not-called
        self.sock = sock
        self.sock.settimeout(DEADLINE)

    def send(self, *frames):
        for data in frames:
            self.sock.send(data)


@pytest.fixture
def peers(tmp_path):
    """The three of them; the switch knows a and b."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with serving(tmp_path, '--port', f'dgram:{tmp_path}/A,peer={tmp_path}/a',
                 '--port', f'dgram:{tmp_path}/B',
                 '--port', f'dgram:fd={theirs.fileno()}',
                 pass_fds=[theirs.fileno()]):
        theirs.close()
        a, b = Peer(tmp_path, 'a', 'A'), Peer(tmp_path, 'b', 'B')
        c = Connected(ours)
        b.send(frame('*', 'b', b'hello'))
        assert a.recv() == c.recv() == frame('*', 'b', b'hello')
        a.send(frame('b', 'a', b'hello'))
        assert b.recv() == frame('b', 'a', b'hello')
        yield a, b, c
        ours.close()
    assert not (tmp_path / 'A').exists() and not (tmp_path / 'B').exists()


def assert_works(a, b):
    a.send(frame('b', 'a', b'still there?'))
    assert b.recv() == frame('b', 'a', b'still there?')
    b.send(frame('a', 'b', b'yes'))
    assert a.recv() == frame('a', 'b', b'yes')


def test_unicast_and_broadcast(peers):
    a, b, c = peers
    c.send(frame('*', 'c', b'all'))
    assert a.recv() == b.recv() == frame('*', 'c', b'all')
    a.send(frame('c', 'a', b'one'))
    assert c.recv() == frame('c', 'a', b'one')
    assert b.silent()


@pytest.mark.parametrize('size', [14, 60, 1514, 9014, LEN_MAX])
def test_sizes(peers, size):
    a, b, _ = peers
    for _ in range(3):
        sent = frame('b', 'a', size=size)
        a.send(sent)
        assert b.recv() == sent


def test_order_and_nothing_lost(peers):
    a, b, _ = peers
    for start in range(0, 1000, 8):
        sent = [frame('b', 'a', b'%d' % i, 60 + i)
                for i in range(start, start + 8)]
        a.send(*sent)
        assert [b.recv() for _ in sent] == sent


@pytest.mark.parametrize('size', [0, 1, 13, LEN_MAX + 1, LEN_MAX + 30000])
def test_what_is_no_frame_is_dropped(peers, size):
    a, b, _ = peers
    a.send(frame('b', 'a', size=LEN_MAX + 30000)[:size])
    assert b.silent()
    assert_works(a, b)


def test_others_than_the_named_peer_are_dropped(peers, tmp_path):
    a, b, _ = peers
    stranger = Peer(tmp_path, 's', 'A')
    stranger.send(frame('b', 'a', b'it is me'))
    assert b.silent()
    assert_works(a, b)
    stranger.close()


def test_an_unnamed_peer_may_move(peers, tmp_path):
    a, b, _ = peers
    b.close()
    moved = Peer(tmp_path, 'elsewhere', 'B')
    moved.send(frame('a', 'b', b'here now'))
    assert a.recv() == frame('a', 'b', b'here now')
    assert_works(a, moved)
    moved.close()


def test_a_peer_may_go_and_come_back(peers, tmp_path):
    a, b, c = peers
    a.close()
    b.send(*[frame('a', 'b', b'gone?')] * 50)
    c.send(frame('b', 'c', b'others go on'))
    assert b.recv() == frame('b', 'c', b'others go on')
    a = Peer(tmp_path, 'a', 'A')
    assert_works(a, b)
    a.close()


def test_a_full_peer_hinders_nobody(peers):
    a, b, c = peers
    # Nobody reads at a: its socket's queue fills.
    b.sock.settimeout(0.2)
    b.send(*[frame('a', 'b', b'%d' % i) for i in range(200)])
    c.send(frame('b', 'c', b'others go on'))
    assert b.recv() == frame('b', 'c', b'others go on')
    assert a.recv() == frame('a', 'b', b'0')


def test_the_other_end_of_a_pair_is_closed(peers):
    a, b, c = peers
    c.sock.close()
    b.send(*[frame('*', 'b', b'%d' % i) for i in range(3)])
    assert [a.recv() for _ in range(3)] == [
        frame('*', 'b', b'%d' % i) for i in range(3)]
    assert_works(a, b)


@pytest.mark.parametrize('spec, message', [
    ('dgram:', 'expected dgram:PATH'),
    ('dgram:fd=x', 'not a descriptor number'),
    ('dgram:fd=0', 'not a connected datagram socket'),
    ('dgram:fd=9,peer=x', 'expected path of the peer'),
    ('dgram:d,peer=', 'expected path of the peer'),
    ('dgram:d,peer=' + 'x' * 110, "peer's path is too long"),
    ('stream:d,peer=x', "no option 'peer'"),
    ('dgram:/dev/null', 'cannot bind'),
])
def test_errors(tmp_path, spec, message):
    ran = subprocess.run([BACKPLANE, 'serve', '--port', spec], cwd=tmp_path,
                         stdin=subprocess.DEVNULL, capture_output=True,
                         text=True, timeout=DEADLINE, check=False)
    assert ran.returncode != 0
    assert message in ran.stderr
    assert not os.listdir(tmp_path)
