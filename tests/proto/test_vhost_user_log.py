# SPDX-License-Identifier: Apache-2.0
"""The log of written pages, as for a live migration: what is marked, and the
messages about it with everything that may be wrong in them (T14, T18)."""
import itertools
import mmap
import os
import select
import struct

import pytest

import vhu
from vhu import Frontend, state, u64
from vhu_server import (MAC_A, MAC_B, disconnected, frame, pair, server,
                        servers)  # noqa: F401 (fixtures)

PAGE = 4096
LOG_LEN = (vhu.GPA + vhu.MEM_LEN) // PAGE // 8
N_PAGES = vhu.MEM_LEN // PAGE

# No frame is like the one that was in its buffer before.
numbers = itertools.count()


class Log:
    """A log, given to the back-end of a front-end."""

    def __init__(self, front, length=LOG_LEN, offset=0):
        self.front, self.offset = front, offset
        self.fd = os.memfd_create('vhost-log', os.MFD_CLOEXEC)
        os.ftruncate(self.fd, offset + length)
        self.bits = mmap.mmap(self.fd, offset + length)
        self.give(length)

    def give(self, length):
        answer = self.front.get(vhu.SET_LOG_BASE,
                                struct.pack('<QQ', length, self.offset),
                                [self.fd])
        assert answer == u64(0)

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.bits.close()
        os.close(self.fd)

    def take(self):
        """Pages marked since the last time, numbered from the memory's first;
        none outside of it"""
        bits = int.from_bytes(self.bits[self.offset:], 'little')
        self.bits[:] = bytes(len(self.bits))
        first = vhu.GPA // PAGE
        pages = {i for i in range(N_PAGES) if bits >> first + i & 1}
        assert bits.bit_count() == len(pages)
        return pages


def switch(front, on):
    """As QEMU does it, at any time"""
    features = front.features | (vhu.F_LOG_ALL if on else 0)
    assert front.ack(vhu.SET_FEATURES, u64(features))
    front.log_used = on
    for ring in front.rings:
        assert front.ack(vhu.SET_VRING_ADDR, front.addr(ring))


def changed(front, before):
    return {i for i in range(N_PAGES)
            if front.mem[i * PAGE:(i + 1) * PAGE] !=
            before[i * PAGE:(i + 1) * PAGE]}


def exchange(a, b, n=12):
    """Frames both ways; pages of b's memory that the back-end has changed.

    All that b's driver writes, it writes before.
    """
    for i in range(n):
        b.rings[1].add(bytes(12) + frame(MAC_A, MAC_B, 900, bytes([i])))
    before = b.mem[:]
    b.rings[1].wake()
    for i in range(n):
        a.send_frame(frame(MAC_B, MAC_A, 1400,
                           struct.pack('<I', next(numbers))))
    for i in range(n):
        assert a.frame()
        a.offer(1)
        assert a.rings[1].wait() == b''
    for i in range(n):
        assert b.frame()
        assert b.rings[1].wait() == b''
    b.get(vhu.GET_VRING_BASE, state(0, 0))      # nothing is written any more
    pages = changed(b, before)
    assert len(pages) >= n
    b.start_ring(b.rings[0], b.rings[0].used_idx)
    b.offer(n)
    return pages


@pytest.mark.parametrize('event_idx', [False, True])
@pytest.mark.parametrize('offset', [0, 24, PAGE])
def test_pages_written_are_marked(server, event_idx, offset):
    features = vhu.F_VERSION_1 | (vhu.F_EVENT_IDX if event_idx else 0)
    with Frontend(server.dir / 'a') as a, Frontend(server.dir / 'b') as b:
        a.start(features).offer()
        b.start(features).offer()
        with Log(b, offset=offset) as log:
            exchange(a, b)
            assert not log.take()               # not switched on
            switch(b, True)
            for _ in range(8):
                pages = exchange(a, b)
                # Starting a ring writes to it, if what was there before.
                assert pages <= log.take() <= pages | {
                    (r.used + off) // PAGE for r in b.rings
                    for off in (0, 4 + 8 * vhu.SIZE)}
            switch(b, False)
            log.take()
            exchange(a, b)
            assert not log.take()


def test_without_a_log_nothing_is_marked(pair):
    a, b = pair
    switch(b, True)
    exchange(a, b)


def test_ring_alone_and_buffers_alone(pair):
    a, b = pair
    used = b.rings[0].used // PAGE
    with Log(b) as log:
        assert b.ack(vhu.SET_FEATURES, u64(b.features | vhu.F_LOG_ALL))
        a.send_frame(frame(MAC_B, MAC_A))
        assert b.frame()
        b.get(vhu.GET_VRING_BASE, state(0, 0))
        marked = log.take()
        assert len(marked) == 1 and used not in marked


def test_log_replaced_under_traffic(server, pair):
    """The old one is let go at once"""
    a, b = pair

    def n_maps():
        with open(f'/proc/{server.process.pid}/maps', encoding='ascii') as f:
            return sum('memfd:vhost-log' in line for line in f)

    with Log(b) as log:
        switch(b, True)
        n_fds = server.count_fds()
        for _ in range(10):
            with Log(b) as new:
                log.take()
                pages = exchange(a, b)
                assert pages <= new.take()
                assert not log.take()
                assert n_maps() == 1 and server.count_fds() == n_fds
    b.close()
    server.wait(lambda: not n_maps())


def test_log_descriptor_tells_of_marks(pair):
    a, b = pair
    told = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
    with Log(b):
        switch(b, True)
        assert b.ack(vhu.SET_LOG_FD, fds=[told])
        for _ in range(3):
            a.send_frame(frame(MAC_B, MAC_A))
            assert vhu.wait_readable(told)
            os.eventfd_read(told)
            assert b.frame()
            # Used ring and event are marked in the rounds that follow.
            while select.select([told], [], [], 0.05)[0]:
                os.eventfd_read(told)
        assert not b.ack(vhu.SET_LOG_FD, fds=[b.fd])
        assert b.ack(vhu.SET_LOG_FD, fds=[b.rings[0].err])
    os.close(told)


def test_log_truncated(server, pair):
    a, b = pair
    with Log(b) as log:
        switch(b, True)
        os.ftruncate(log.fd, 0)
        a.send_frame(frame(MAC_B, MAC_A))
        server.wait(lambda: 'truncated' in server.log())
        assert disconnected(b)
    assert a.alive()


def test_log_too_short(server, pair):
    """Said once; frames go on"""
    a, b = pair
    with Log(b, 64):
        switch(b, True)
        exchange(a, b)
    assert server.log().count('does not reach') == 1


@pytest.mark.parametrize('length, offset', [
    (0, 0), (LOG_LEN + 1, 0), (LOG_LEN, 1), (1, LOG_LEN),
    (2 ** 64 - 1, 0), (2 ** 64 - 1, 1), (8, 2 ** 64 - 8), (8, 2 ** 63),
])
def test_log_that_cannot_be(server, length, offset):
    with Frontend(server.dir / 'a') as a:
        a.negotiate()
        with Log(a) as log:
            a.send(vhu.SET_LOG_BASE, struct.pack('<QQ', length, offset),
                   [log.fd])
            assert disconnected(a)


def test_log_of_a_kind_that_is_not_taken(server):
    for name in ('/dev/null', '/dev/zero', '/etc/passwd'):
        with Frontend(server.dir / 'a') as a, open(name, 'rb') as f:
            a.negotiate()
            a.send(vhu.SET_LOG_BASE, struct.pack('<QQ', 8, 0), [f.fileno()])
            assert disconnected(a)


def test_flags_that_are_not_known(server):
    with Frontend(server.dir / 'a') as a:
        a.negotiate()
        for flags in (2, 3, 1 << 31):
            assert not a.ack(vhu.SET_VRING_ADDR, struct.pack(
                '<IIQQQQ', 0, flags, vhu.UVA, vhu.UVA, vhu.UVA, 0))


def test_only_logging_changes_under_traffic(pair):
    a, b = pair
    for features in (b.features | vhu.F_MRG_RXBUF, b.features & ~(1 << 32),
                     b.features ^ vhu.F_PROTOCOL):
        assert not b.ack(vhu.SET_FEATURES, u64(features))
    a.send_frame(frame(MAC_B, MAC_A))
    assert b.frame()
