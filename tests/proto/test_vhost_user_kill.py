# SPDX-License-Identifier: Apache-2.0
"""kill -9 of either side in mid-traffic (T15): who is left goes on, every buffer
comes back once, nothing that belonged to the dead stays behind.

    a <-- numbered frames --> b
"""
import itertools
import os
import random
import signal
import struct
import time

import pytest

import vhu
from vhu import Frontend
from vhu_server import (MAC_A, MAC_B, frame, server, servers)  # noqa: F401

N_KILLS = 100
WINDOW = vhu.SIZE // 2  # frames on their way
BATCH = 32              # of the server: taken from a ring at a time


class Flow:
    """Numbered frames one way, as many as the receiver has room for."""

    def __init__(self, sender, receiver, dst, src):
        self.out, self.into = sender.rings[1], receiver.rings[0]
        self.head = dst + src + b'\x88\xb5'
        self.n_sent = self.n_next = self.n_lost = self.n_repeated = 0

    def fill(self):
        while self.n_sent - self.n_next < WINDOW and \
                len(self.out.given) < vhu.SIZE:
            self.out.add(bytes(vhu.HDR_LEN) + self.head +
                         struct.pack('<I', self.n_sent) + bytes(200))
            self.n_sent += 1
        self.out.wake()

    def receive(self):
        """All that is there"""
        while self.out.take() is not None:
            pass
        while (data := self.into.take()) is not None:
            self.into.add()
            assert data[vhu.HDR_LEN:][:14] == self.head
            n, = struct.unpack_from('<I', data, vhu.HDR_LEN + 14)
            self.n_repeated += n < self.n_next
            self.n_lost += max(0, n - self.n_next)
            self.n_next = max(self.n_next, n + 1)

    def run(self, until):
        while time.monotonic() < until:
            self.fill()
            self.receive()

    def finish(self):
        """All that has been sent arrives, all buffers come back"""
        end = time.monotonic() + vhu.DEADLINE
        while self.n_next < self.n_sent or self.out.given:
            assert time.monotonic() < end, vars(self)
            self.receive()


def flood_until_killed(path):
    """A front-end in a process of its own"""
    front = Frontend(path).start().offer(vhu.SIZE)
    while True:
        while len(front.rings[1].given) < vhu.SIZE:
            front.rings[1].add(bytes(12) + frame(MAC_B, MAC_A, 200))
        front.rings[1].wake()
        while front.rings[1].take() is not None:
            pass
        while front.rings[0].take() is not None:
            front.rings[0].add()


class Gone(Exception):
    """It is, from here on."""


class Limited(Frontend):
    """A front-end that goes after so many messages, without waiting for what
    the last one is answered"""

    def __init__(self, path, n_messages):
        super().__init__(path)
        self.left = n_messages

    def send(self, *args, **kwargs):
        if not self.left:
            raise Gone
        self.left -= 1
        super().send(*args, **kwargs)
        if not self.left:
            raise Gone


def test_gone_at_each_step(server):
    """T15: after each message of those that lead to frames; the ring may hold
    frames, and the other one's frames may be on their way.  The next one finds
    everything as new."""
    with Frontend(server.dir / 'b') as b:
        b.start().offer(vhu.SIZE)
        n_fds, n_maps = server.count_fds(), server.maps()
        for n in itertools.count(1):
            with Limited(server.dir / 'a', n) as a:
                for _ in range(8):
                    a.rings[1].add(bytes(12) + frame(MAC_B, MAC_A, 200))
                b.send_frame(frame(MAC_A, MAC_B))
                try:
                    a.start().offer()
                except Gone:
                    continue
                for _ in range(8):
                    assert b.frame() == frame(MAC_B, MAC_A, 200)
                break
        # Features, memory, seven for each ring.
        assert n > 6 + 2 * 7
        server.wait(lambda: server.count_fds() == n_fds)
        server.wait(lambda: server.maps() == n_maps)


def test_front_end_killed(server):
    """The other one's buffers all come back, each time; the server keeps
    neither descriptors nor memory"""
    rng = random.Random(1)
    with Frontend(server.dir / 'b') as b:
        b.start().offer(vhu.SIZE)
        n_fds, n_maps = server.count_fds(), server.maps()
        n_sent = n_back = n_got = 0
        for _ in range(N_KILLS):
            pid = os.fork()
            if not pid:
                try:
                    flood_until_killed(server.dir / 'a')
                finally:
                    os._exit(1)
            try:
                # Its frames arrive; ours are on their way to it.
                end, first = time.monotonic() + vhu.DEADLINE, n_got
                stop = None
                while stop is None or time.monotonic() < stop:
                    assert time.monotonic() < end, server.log()
                    if stop is None and n_got > first + 100:
                        stop = time.monotonic() + rng.uniform(0, 0.01)
                    while len(b.rings[1].given) < vhu.SIZE:
                        b.rings[1].add(bytes(12) + frame(MAC_A, MAC_B, 200))
                        n_sent += 1
                    b.rings[1].wake()
                    while b.rings[1].take() is not None:
                        n_back += 1
                    while b.rings[0].take() is not None:
                        n_got += 1
                        b.offer(1)
            finally:
                os.kill(pid, signal.SIGKILL)
                assert os.waitpid(pid, 0)[1] == signal.SIGKILL
            server.wait(lambda: server.count_fds() == n_fds)
            server.wait(lambda: server.maps() == n_maps)
        while n_back < n_sent:
            assert b.rings[1].wait() is not None, server.log()
            n_back += 1
        while b.rings[0].take() is not None:
            b.offer(1)
        assert len(b.rings[0].given) == vhu.SIZE and not b.rings[1].given


@pytest.mark.parametrize('base', [None, 0], ids=['used', 'zero'])
def test_server_killed(servers, base):
    """Front-ends that go on where the used rings are (QEMU), or say that they
    begin anew (DPDK): no buffer is lost, at most a batch a kill of frames is
    lost or repeated"""
    rng = random.Random(2)
    with Frontend(servers.dir / 'a') as a, Frontend(servers.dir / 'b') as b:
        a.start().offer(vhu.SIZE)
        b.start().offer(vhu.SIZE)
        flows = Flow(a, b, MAC_B, MAC_A), Flow(b, a, MAC_A, MAC_B)
        n_fds, n_maps = servers.count_fds(), servers.maps()
        for _ in range(N_KILLS // 2):
            flow = rng.choice(flows)
            flow.run(time.monotonic() + rng.uniform(0.001, 0.02))
            for flow in flows:
                flow.fill()
            time.sleep(rng.uniform(0, 0.0003))
            servers.kill()
            servers.start()
            a.reconnect(servers.dir / 'a')
            b.reconnect(servers.dir / 'b')
            # What is sent before the other one receives is lost.
            for ring in a.rings[0], b.rings[0], a.rings[1], b.rings[1]:
                ring.front.start_ring(ring, ring.device_idx() if base is None
                                      else base)
        for flow in flows:
            flow.finish()
            assert flow.n_lost + flow.n_repeated <= BATCH * N_KILLS // 2
            assert len(flow.into.given) == vhu.SIZE
        print([(f.n_sent, f.n_lost, f.n_repeated) for f in flows])
        assert servers.count_fds() == n_fds and servers.maps() == n_maps
    servers.check()
