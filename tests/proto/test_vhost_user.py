# SPDX-License-Identifier: Apache-2.0
"""vhost-user ports: front-ends in Python on sockets of one server.

    a --- vhost-user:a ---+
    b --- vhost-user:b ---+ switch
    c <-- vhost-user:c,client --+

One test a message, and for each every wrong size, number of descriptors, index
and value (class T14); frames, reconnection, memory that comes and goes (T15).
"""
import contextlib
import itertools
import mmap
import os
import pathlib
import random
import socket
import struct
import subprocess
import tempfile
import time

import pytest

import vhu
from vhu import Frontend, region, state, table, u64
from vhu_server import (BACKPLANE, MAC_A, MAC_B, N_QUEUES, disconnected, frame,
                        pair, server, servers)  # noqa: F401 (fixtures)

BROADCAST = b'\xff' * 6


@pytest.fixture
def front(server):
    with Frontend(server.dir / 'a', n_rings=N_QUEUES) as f:
        yield f.negotiate()


# ---- every message: size, descriptors, version ----

# request: payload (right), descriptors (right), has an answer of its own
MESSAGES = {
    vhu.GET_FEATURES: (b'', 0, True),
    vhu.SET_FEATURES: (u64(vhu.F_VERSION_1 | vhu.F_PROTOCOL), 0, False),
    vhu.SET_OWNER: (b'', 0, False),
    vhu.RESET_OWNER: (b'', 0, False),
    vhu.SET_MEM_TABLE: (table(region()), 1, False),
    vhu.SET_LOG_BASE: (struct.pack('<QQ', 4096, 0), 1, True),
    vhu.SET_LOG_FD: (b'', 1, False),
    vhu.SET_VRING_NUM: (state(0, 256), 0, False),
    vhu.SET_VRING_ADDR: (struct.pack('<IIQQQQ', 0, 0, vhu.UVA, vhu.UVA,
                                     vhu.UVA, 0), 0, False),
    vhu.SET_VRING_BASE: (state(0, 5), 0, False),
    vhu.GET_VRING_BASE: (state(0, 0), 0, True),
    vhu.SET_VRING_CALL: (u64(0), 1, False),
    vhu.SET_VRING_ERR: (u64(0), 1, False),
    vhu.GET_PROTOCOL_FEATURES: (b'', 0, True),
    vhu.SET_PROTOCOL_FEATURES: (u64(vhu.P_ALL), 0, False),
    vhu.GET_QUEUE_NUM: (b'', 0, True),
    vhu.SET_VRING_ENABLE: (state(0, 1), 0, False),
    vhu.SEND_RARP: (u64(0x0a0000000002), 0, False),
    vhu.NET_SET_MTU: (u64(1500), 0, False),
    vhu.RESET_DEVICE: (b'', 0, False),
    vhu.GET_MAX_MEM_SLOTS: (b'', 0, True),
    vhu.ADD_MEM_REG: (bytes(8) + region(0x1000), 1, False),
    vhu.SET_STATUS: (u64(7), 0, False),
    vhu.GET_STATUS: (b'', 0, True),
}


def right_fds(front, request, n):
    if request in (vhu.SET_MEM_TABLE, vhu.ADD_MEM_REG, vhu.SET_LOG_BASE):
        return [front.fd] * n
    return [front.rings[0].call] * n


@pytest.mark.parametrize('request_id', MESSAGES)
def test_message_as_it_should_be(front, request_id):
    payload, n_fds, answers = MESSAGES[request_id]
    fds = right_fds(front, request_id, n_fds)
    if answers:
        front.get(request_id, payload, fds)
    else:
        assert front.ack(request_id, payload, fds)
    assert front.alive()


@pytest.mark.parametrize('request_id', MESSAGES)
def test_message_of_wrong_size(server, request_id):
    payload, n_fds, answers = MESSAGES[request_id]
    wrong = {payload[:-1], payload + b'\0', payload + bytes(4000), b'\1' * 4}
    for bad in wrong - {payload}:
        with Frontend(server.dir / 'a') as front:
            front.negotiate()
            fds = right_fds(front, request_id, n_fds)
            if answers:
                front.send(request_id, bad, fds)
                assert disconnected(front)
            else:
                assert not front.ack(request_id, bad, fds)
                assert front.alive()


@pytest.mark.parametrize('request_id', MESSAGES)
def test_message_with_wrong_descriptors(server, request_id):
    payload, right, answers = MESSAGES[request_id]
    for n in {0, 1, 2, 8} - {right}:
        with Frontend(server.dir / 'a') as front:
            front.negotiate()
            fds = right_fds(front, request_id, n)
            if answers:
                front.send(request_id, payload, fds)
                assert disconnected(front)
            else:
                assert not front.ack(request_id, payload, fds)
                assert front.alive()
    for n in (9, 253):
        with Frontend(server.dir / 'a') as front:
            front.send(request_id, payload, [front.fd] * n)
            assert disconnected(front)


@pytest.mark.parametrize('request_id', [0, 21, 22, 23, 24, 31, 32, 35, 41,
                                        1000, 0xffffffff])
def test_message_that_is_not_known(front, request_id):
    assert not front.ack(request_id, u64(0))
    assert front.alive()
    front.send(request_id, u64(0))
    assert disconnected(front)


def test_messages_need_their_protocol_feature(server):
    needs = {vhu.GET_QUEUE_NUM, vhu.SEND_RARP, vhu.NET_SET_MTU,
             vhu.RESET_DEVICE, vhu.GET_MAX_MEM_SLOTS, vhu.ADD_MEM_REG,
             vhu.SET_STATUS, vhu.GET_STATUS, vhu.SET_LOG_BASE}
    for request in needs:
        payload, n_fds, _ = MESSAGES[request]
        with Frontend(server.dir / 'a') as front:
            front.negotiate(protocol=0)
            front.send(request, payload, right_fds(front, request, n_fds))
            assert disconnected(front)


@pytest.mark.parametrize('header', [
    struct.pack('<III', 1, 0, 0),               # no version
    struct.pack('<III', 1, 2, 0),               # another one
    struct.pack('<III', 1, 1 | 4, 0),           # a reply
    struct.pack('<III', 1, 1, 4097),
    struct.pack('<III', 1, 1, 0xffffffff),
])
def test_header_that_cannot_be_followed(front, header):
    front.sock.sendall(header)
    assert disconnected(front)


def test_message_in_pieces(front):
    data = struct.pack('<III', vhu.SET_FEATURES, 1, 8) + \
        u64(vhu.F_VERSION_1 | vhu.F_PROTOCOL) + \
        struct.pack('<III', vhu.GET_FEATURES, 1, 0)
    for byte in data:
        front.sock.sendall(bytes([byte]))
        time.sleep(0.0005)
    front.answer(vhu.GET_FEATURES)


def test_half_a_message_and_gone(server):
    for n in (1, 11, 12, 15):
        with Frontend(server.dir / 'a') as front:
            front.sock.sendall((struct.pack('<III', vhu.SET_FEATURES, 1, 8) +
                                u64(0))[:n])


def test_descriptors_in_the_middle(front):
    front.sock.sendall(struct.pack('<III', vhu.SET_VRING_CALL, 1, 8))
    front.sock.sendmsg([u64(0)], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                                   struct.pack('i', front.fd))])
    assert disconnected(front)


def test_front_end_that_does_not_read(server):
    with Frontend(server.dir / 'a') as front, \
            pytest.raises(vhu.Disconnected):
        for _ in range(100000):
            front.send(vhu.GET_FEATURES)


# ---- values ----

def test_features(front):
    offered = front.get64(vhu.GET_FEATURES)
    assert offered & vhu.F_VERSION_1 and offered & vhu.F_PROTOCOL
    assert not front.ack(vhu.SET_FEATURES, u64(1 << 63))
    assert not front.ack(vhu.SET_FEATURES, u64(1 << 7))     # TSO, no checksum
    assert front.ack(vhu.SET_FEATURES, u64(1 << 7 | 1 << 1))


def test_protocol_features(front):
    assert not front.ack(vhu.SET_PROTOCOL_FEATURES, u64(1 << 63))
    assert front.ack(vhu.SET_PROTOCOL_FEATURES, u64(vhu.P_REPLY_ACK))


def test_queue_num(front):
    assert front.get64(vhu.GET_QUEUE_NUM) == N_QUEUES // 2


@pytest.mark.parametrize('idx', [N_QUEUES, 0xff, 0x100, 0xffff, 0xffffffff])
def test_ring_that_there_is_not(front, idx):
    for request in (vhu.SET_VRING_NUM, vhu.SET_VRING_BASE,
                    vhu.SET_VRING_ENABLE):
        assert not front.ack(request, state(idx, 1))
    assert not front.ack(vhu.SET_VRING_ADDR, struct.pack(
        '<IIQQQQ', idx, 0, vhu.UVA, vhu.UVA, vhu.UVA, 0))
    if not idx & vhu.NOFD:
        for request in (vhu.SET_VRING_KICK, vhu.SET_VRING_CALL,
                        vhu.SET_VRING_ERR):
            assert not front.ack(request, u64(idx), [front.rings[0].call])
    front.send(vhu.GET_VRING_BASE, state(idx, 0))
    assert disconnected(front)


@pytest.mark.parametrize('num', [0, 32769, 65536, 0xffffffff])
def test_size_that_cannot_be(front, num):
    assert not front.ack(vhu.SET_VRING_NUM, state(0, num))


def test_size_that_a_split_ring_cannot_have(front):
    front.share()
    assert front.ack(vhu.SET_VRING_NUM, state(0, 100))
    assert front.ack(vhu.SET_VRING_ADDR, front.addr(front.rings[0]))
    assert not front.ack(vhu.SET_VRING_KICK, u64(0), [front.rings[0].kick])


def test_kick_before_anything_else(front):
    assert not front.ack(vhu.SET_VRING_KICK, u64(0), [front.rings[0].kick])


@pytest.mark.parametrize('addr', [
    (vhu.UVA - 16, vhu.UVA, vhu.UVA),
    (vhu.UVA + vhu.MEM_LEN - 16, vhu.UVA, vhu.UVA),
    (vhu.UVA, vhu.UVA + vhu.MEM_LEN, vhu.UVA),
    (vhu.UVA, vhu.UVA, 0),
    (vhu.UVA + 8, vhu.UVA, vhu.UVA),
    (2 ** 64 - 16, 2 ** 64 - 16, 2 ** 64 - 16),
])
def test_ring_outside_of_memory(front, addr):
    front.share()
    assert front.ack(vhu.SET_VRING_NUM, state(0, 64))
    assert front.ack(vhu.SET_VRING_ADDR, struct.pack('<IIQQQQ', 0, 0, *addr,
                                                     0))
    assert not front.ack(vhu.SET_VRING_KICK, u64(0), [front.rings[0].kick])


def test_descriptors_that_are_no_eventfds(front):
    front.share()
    with open('/dev/null', 'rb') as null, socket.socket() as sock:
        for request in (vhu.SET_VRING_KICK, vhu.SET_VRING_CALL,
                        vhu.SET_VRING_ERR):
            for fd in (null.fileno(), sock.fileno(), front.fd):
                assert not front.ack(request, u64(0), [fd])


def test_descriptor_announced_and_not(front):
    call = front.rings[0].call
    assert not front.ack(vhu.SET_VRING_CALL, u64(vhu.NOFD), [call])
    assert not front.ack(vhu.SET_VRING_CALL, u64(0))
    assert not front.ack(vhu.SET_VRING_CALL, u64(0x200), [call])
    assert front.ack(vhu.SET_VRING_CALL, u64(vhu.NOFD))


def test_calls_replaced_many_times(server, front):
    for _ in range(500):
        front.send(vhu.SET_VRING_CALL, u64(0), [front.rings[0].call])
        front.send(vhu.SET_VRING_NUM, state(0, 256))
    assert front.alive()
    assert server.count_fds() < server.n_fds + 5


def test_mtu(front):
    for mtu, good in ((67, False), (68, True), (65535, True), (65536, False),
                      (2 ** 64 - 1, False)):
        assert front.ack(vhu.NET_SET_MTU, u64(mtu)) == good


def test_status(front):
    assert front.get64(vhu.GET_STATUS) == 0
    assert front.ack(vhu.SET_STATUS, u64(0xf))
    assert front.get64(vhu.GET_STATUS) == 0xf
    assert not front.ack(vhu.SET_STATUS, u64(256))
    assert front.ack(vhu.SET_STATUS, u64(0))
    assert front.get64(vhu.GET_STATUS) == 0


# ---- memory ----

@pytest.mark.parametrize('bad', [
    region(length=0),
    region(length=2 ** 64 - 4096),
    region(length=vhu.MEM_LEN + 4096),
    region(offset=4096),
    region(offset=2 ** 64 - 4096),
    region(gpa=vhu.GPA + 1),
    region(gpa=2 ** 64 - 4096),
    region(uva=2 ** 64 - 4096),
    region(length=4097),
])
def test_region_that_cannot_be(front, bad):
    assert not front.ack(vhu.ADD_MEM_REG, bytes(8) + bad, [front.fd])
    assert not front.ack(vhu.SET_MEM_TABLE, table(bad), [front.fd])


def test_table_that_lies_about_its_length(front):
    for n in (2, 8, 9, 0xffffffff):
        payload = struct.pack('<II', n, 0) + region()
        assert not front.ack(vhu.SET_MEM_TABLE, payload, [front.fd])
    # As many descriptors as regions.
    two = table(region(), region(gpa=vhu.GPA + vhu.MEM_LEN))
    assert not front.ack(vhu.SET_MEM_TABLE, two, [front.fd])
    assert not front.ack(vhu.SET_MEM_TABLE, table(region()), [front.fd] * 2)
    # Two regions in one place.
    assert not front.ack(vhu.SET_MEM_TABLE, table(region(), region()),
                         [front.fd] * 2)
    assert front.ack(vhu.SET_MEM_TABLE, two, [front.fd] * 2)


def test_memory_of_a_kind_that_is_not_taken(front):
    with tempfile.TemporaryFile(dir='/var/tmp') as f, \
            open('/dev/zero', 'rb') as zero:
        f.truncate(vhu.MEM_LEN)
        for fd in (f.fileno(), zero.fileno(), front.rings[0].call):
            assert not front.ack(vhu.ADD_MEM_REG, bytes(8) + region(), [fd])


def test_slots_are_counted(front):
    slots = front.get64(vhu.GET_MAX_MEM_SLOTS)
    assert slots >= 32
    for i in range(slots):
        assert front.ack(vhu.ADD_MEM_REG, bytes(8) + region(
            0x1000 * i, 4096, 0x10000000 + 0x1000 * i), [front.fd])
    assert not front.ack(vhu.ADD_MEM_REG, bytes(8) + region(1 << 40, 4096),
                         [front.fd])
    for i in range(slots):
        assert front.ack(vhu.REM_MEM_REG, bytes(8) + region(
            0x1000 * i, 4096, 0x10000000 + 0x1000 * i))


def test_memory_that_is_there_already(server, pair):
    """As QEMU 7.2 has it with several queue pairs: each region is added, and
    removed, once for each of them."""
    a, b = pair
    n_fds, maps = server.count_fds(), server.maps()
    for _ in range(3):
        assert b.ack(vhu.ADD_MEM_REG, bytes(8) + region(), [b.fd])
    # Another one at its place is none that is there.
    for other in (region(vhu.GPA, vhu.MEM_LEN // 2), region(vhu.GPA + 4096),
                  region(uva=vhu.UVA + 4096)):
        assert not b.ack(vhu.ADD_MEM_REG, bytes(8) + other, [b.fd])
    a.send_frame(frame(MAC_B, MAC_A, 200))
    assert b.frame() == frame(MAC_B, MAC_A, 200)
    for _ in range(3):
        assert b.ack(vhu.REM_MEM_REG, bytes(8) + region())
    assert server.count_fds() == n_fds and server.maps() == maps - 1


# ---- frames ----

def test_frames_both_ways(pair):
    a, b = pair
    for i in range(200):
        size = 60 + i * 7
        data = frame(MAC_B, MAC_A, size, bytes([i]))
        a.send_frame(data)
        assert b.frame() == data
        b.offer(1)
        data = frame(MAC_A, MAC_B, size, bytes([i + 1 & 255]))
        b.send_frame(data)
        assert a.frame() == data
        a.offer(1)
        assert a.rings[1].wait() == b'' and b.rings[1].wait() == b''


def test_asleep_it_is_woken_and_wakes(pair):
    """After silence: the kick is heard, and the driver is called"""
    a, b = pair
    for i in range(20):
        time.sleep(0.01)
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(b.rings[0].call)
        a.send_frame(frame(MAC_B, MAC_A, 60, bytes([i])))
        assert vhu.wait_readable(b.rings[0].call)
        assert b.frame(1) is not None
        b.offer(1)


def test_silence_costs_nothing(server, pair):
    def cpu_seconds():
        tasks = pathlib.Path(f'/proc/{server.process.pid}/task')
        return sum(int((t / 'schedstat').read_text().split()[0])
                   for t in tasks.iterdir()) / 1e9

    a, b = pair
    a.send_frame(frame(MAC_B, MAC_A))
    assert b.frame()
    time.sleep(0.1)
    before = cpu_seconds()
    time.sleep(2)
    # The port that connects tries once a second by now.
    assert cpu_seconds() - before < 0.02


def test_call_descriptor_set_late(server):
    with Frontend(server.dir / 'a') as a, Frontend(server.dir / 'b') as b:
        a.start().offer()
        b.start().offer()
        assert b.ack(vhu.SET_VRING_CALL, u64(vhu.NOFD))
        a.send_frame(frame(MAC_B, MAC_A))
        assert b.frame()
        assert b.ack(vhu.SET_VRING_CALL, u64(0), [b.rings[0].call])
        assert vhu.wait_readable(b.rings[0].call)


def test_without_kicks_it_polls(server):
    with Frontend(server.dir / 'a') as a, Frontend(server.dir / 'b') as b:
        a.start().offer()
        b.start().offer()
        assert a.ack(vhu.SET_VRING_KICK, u64(1 | vhu.NOFD))
        time.sleep(0.05)
        data = frame(MAC_B, MAC_A)
        a.rings[1].add(bytes(12) + data)        # and no kick
        assert b.frame() == data


def test_disabled_rings(pair):
    a, b = pair
    assert b.ack(vhu.SET_VRING_ENABLE, state(0, 0))
    a.send_frame(frame(MAC_B, MAC_A))
    assert a.rings[1].wait() == b''
    assert b.frame(0.05) is None
    assert b.ack(vhu.SET_VRING_ENABLE, state(0, 1))
    assert a.ack(vhu.SET_VRING_ENABLE, state(1, 0))
    a.send_frame(frame(MAC_B, MAC_A))
    assert a.rings[1].wait() == b''             # discarded
    assert b.frame(0.05) is None
    assert a.ack(vhu.SET_VRING_ENABLE, state(1, 1))
    a.send_frame(frame(MAC_B, MAC_A))
    assert b.frame()


def test_sent_before_it_is_enabled(server):
    """What the guest has sent while its front-end came back is not lost"""
    with Frontend(server.dir / 'a') as a, Frontend(server.dir / 'b') as b:
        b.start().offer()
        a.negotiate().share()
        ring = a.rings[1]
        for i in range(10):
            a.send_frame(frame(MAC_B, MAC_A, 60, bytes([i])))
        a.start_ring(ring, enable=False)
        ring.wake()
        assert ring.wait(0.05) is None
        assert a.ack(vhu.SET_VRING_ENABLE, state(1, 1))
        for i in range(10):
            assert b.frame() == frame(MAC_B, MAC_A, 60, bytes([i]))


def test_reset_owner_disables(pair):
    a, b = pair
    assert a.ack(vhu.RESET_OWNER)
    a.send_frame(frame(MAC_B, MAC_A))
    assert a.rings[1].wait() == b''             # discarded
    assert b.frame(0.05) is None
    for ring in a.rings:
        assert a.ack(vhu.SET_VRING_ENABLE, state(ring.idx, 1))
    a.send_frame(frame(MAC_B, MAC_A))
    assert b.frame()


def test_stopped_and_started_again(pair):
    a, b = pair
    for i in range(10):
        a.send_frame(frame(MAC_B, MAC_A, 60, bytes([i])))
        assert b.frame()
        b.offer(1)
        assert a.rings[1].wait() == b''
        base = struct.unpack('<II', a.get(vhu.GET_VRING_BASE, state(1, 0)))
        assert base == (1, i + 1)
        a.start_ring(a.rings[1], i + 1)


@pytest.mark.parametrize('packed', [0, vhu.F_RING_PACKED],
                         ids=['split', 'packed'])
def test_any_position(server, packed):
    """T18: what a migration brings along may say anything; where it makes no
    sense the ring is given up, or goes on at a place that there is"""
    places = 0, 1, vhu.SIZE - 1, vhu.SIZE, 0x7fff, 0x8000, 0xffff
    rng = random.Random(3)
    for avail, used in itertools.product(places, places):
        with Frontend(server.dir / 'a') as a:
            a.negotiate(vhu.F_VERSION_1 | packed).share()
            for ring in a.rings:
                a.mem[ring.desc:ring.desc + 16 * vhu.SIZE] = rng.randbytes(
                    16 * vhu.SIZE)
                ring.put('H', ring.used + 2, used)
                ring.put('H', ring.avail + 2, avail)
                a.start_ring(ring, used << 16 | avail)
                ring.wake()
            for ring in a.rings:
                idx, base = struct.unpack('<II', a.get(
                    vhu.GET_VRING_BASE, state(ring.idx, 0)))
                assert idx == ring.idx
                for place in base & 0x7fff, base >> 16 & 0x7fff:
                    assert not packed or place < vhu.SIZE
            assert a.alive()


def test_many_queues(server):
    """Frames keep to a queue, as long as the receiver has it"""
    with Frontend(server.dir / 'a', n_rings=N_QUEUES) as a, \
            Frontend(server.dir / 'b', n_rings=N_QUEUES) as b:
        a.start()
        b.start()
        # Both are known from now on.
        b.send_frame(frame(BROADCAST, MAC_B))
        for pair in range(N_QUEUES // 2):
            b.offer(8, pair)
            for i in range(4):
                data = frame(MAC_B, MAC_A, 100, bytes([16 * pair + i]))
                a.send_frame(data, pair=pair)
                assert b.frame(pair=pair) == data
        # With fewer in use the others are spread over those.
        for idx in range(4, N_QUEUES):
            assert b.ack(vhu.SET_VRING_ENABLE, state(idx, 0))
        for pair in range(N_QUEUES // 2):
            data = frame(MAC_B, MAC_A, 100, bytes([100 + pair]))
            a.send_frame(data, pair=pair)
            assert b.frame(pair=pair % 2) == data


@pytest.mark.parametrize('features', [0, vhu.F_EVENT_IDX],
                         ids=['flags', 'events'])
def test_all_queues(server, features):
    """All 32 rings of two front-ends: frames both ways through each pair, asleep
    and one after the other, and then all at once"""
    pairs = range(16)
    path = str(server.dir / 'c')
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        listener.settimeout(vhu.DEADLINE)
        sock, _ = listener.accept()
    os.unlink(path)
    with Frontend(server.dir / 'b', n_rings=32) as b, \
            Frontend(sock=sock, n_rings=32) as c:
        for front in b, c:
            front.start(vhu.F_VERSION_1 | features)
        # Both are known from now on.
        b.send_frame(frame(MAC_A, MAC_B))
        for i in pairs:
            for sender, receiver, dst, src in ((c, b, MAC_B, MAC_A),
                                               (b, c, MAC_A, MAC_B)):
                data = frame(dst, src, 100, bytes([i]))
                receiver.offer(10, i)
                sender.send_frame(data, pair=i)
                assert receiver.frame(pair=i) == data
        for n in range(9):
            for i in pairs:
                b.send_frame(frame(MAC_A, MAC_B, 100, bytes([16 * n + i])),
                             pair=i)
                c.send_frame(frame(MAC_B, MAC_A, 100, bytes([16 * n + i])),
                             pair=i)
        for n in range(9):
            for i in pairs:
                for receiver, dst, src in (b, MAC_B, MAC_A), (c, MAC_A, MAC_B):
                    assert receiver.frame(pair=i) == frame(
                        dst, src, 100, bytes([16 * n + i]))
        for ring in b.rings + c.rings:
            assert ring.take() is None or ring.idx % 2


def test_rarp_from_the_front_end(pair):
    a, b = pair
    assert a.ack(vhu.SEND_RARP, MAC_A + b'\0\0')
    data = b.frame()
    assert data[:14] == BROADCAST + MAC_A + b'\x80\x35'
    assert data[20:28] == b'\0\3' + MAC_A
    # And the switch has learnt from it.
    b.send_frame(frame(MAC_A, MAC_B))
    assert a.frame()


def test_mtu_is_kept_to(pair):
    a, b = pair
    assert b.ack(vhu.NET_SET_MTU, u64(1000))
    a.send_frame(frame(MAC_B, MAC_A, 1015))
    a.send_frame(frame(MAC_B, MAC_A, 1014))
    assert len(b.frame()) == 1014


def test_memory_comes_and_goes_under_traffic(pair):
    a, b = pair
    extra = bytes(8) + region(0x1000, 4096, 0x1000)
    for i in range(50):
        data = frame(MAC_B, MAC_A, 60, bytes([i]))
        a.send_frame(data)
        if i % 2:
            assert b.ack(vhu.REM_MEM_REG, extra)
        else:
            assert b.ack(vhu.ADD_MEM_REG, extra, [b.fd])
        # All of it anew.
        assert a.ack(vhu.SET_MEM_TABLE, table(region()), [a.fd])
        assert b.frame() == data
        b.offer(1)


def test_memory_taken_from_under_a_ring(pair):
    a, b = pair
    assert b.ack(vhu.REM_MEM_REG, bytes(8) + region())
    assert vhu.wait_readable(b.rings[0].err)
    a.send_frame(frame(MAC_B, MAC_A))
    assert a.rings[1].wait() == b''
    assert b.alive()


def test_memory_truncated(server, pair):
    a, b = pair
    os.ftruncate(b.fd, 4096)
    a.send_frame(frame(MAC_B, MAC_A))
    server.wait(lambda: 'truncated' in server.log())
    assert disconnected(b)
    assert a.alive()


def huge_memfd():
    """As DPDK's front-ends have it"""
    fd = vhu.memfd(flags=os.MFD_HUGETLB)
    try:
        mmap.mmap(fd, vhu.MEM_LEN).close()
    except OSError:
        os.close(fd)
        pytest.skip('there are no huge pages (/proc/sys/vm/nr_hugepages)')
    return fd


def test_memory_of_huge_pages(server):
    """It is served; truncated, it breaks that port alone"""
    with Frontend(server.dir / 'a') as a, \
            Frontend(server.dir / 'b', fd=huge_memfd()) as b:
        a.start().offer()
        b.start().offer()
        a.send_frame(frame(MAC_B, MAC_A, 200))
        assert b.frame() == frame(MAC_B, MAC_A, 200)
        b.send_frame(frame(MAC_A, MAC_B, 200))
        assert a.frame() == frame(MAC_A, MAC_B, 200)
        # Less than a page of them is none.
        assert not b.ack(vhu.ADD_MEM_REG, bytes(8) + region(
            1 << 40, 4096, 1 << 40, vhu.MEM_LEN), [b.fd])
        os.ftruncate(b.fd, 0)
        a.send_frame(frame(MAC_B, MAC_A, 200))
        assert not b.sock.recv(1)
        assert a.alive()


def test_ring_that_breaks_the_rules(server, pair):
    a, b = pair
    ring = a.rings[1]
    ring.put('H', ring.avail + 2, 0x8000)
    ring.wake()
    assert vhu.wait_readable(ring.err)
    # The other direction goes on.
    b.send_frame(frame(MAC_A, MAC_B))
    assert a.frame()
    # Stopped and started again it is as good as new.
    a.get(vhu.GET_VRING_BASE, state(1, 0))
    ring.forget()
    a.start_ring(ring)
    a.send_frame(frame(MAC_B, MAC_A))
    assert b.frame()


def test_reset_forgets(pair):
    a, b = pair
    assert a.ack(vhu.RESET_DEVICE)
    a.rings[1].add(bytes(12) + frame(MAC_B, MAC_A))
    a.rings[1].wake()
    assert b.frame(0.05) is None
    for ring in a.rings:
        ring.forget()
        a.start_ring(ring)
    a.offer().send_frame(frame(MAC_B, MAC_A))
    assert b.frame()


# ---- coming and going ----

def test_reconnection_a_hundred_times(server):
    """No buffer is lost: as many frames arrive as were sent to a ring that was
    up, and the next front-end finds everything as new"""
    with Frontend(server.dir / 'b') as b:
        b.start()
        for i in range(100):
            with Frontend(server.dir / 'a') as a:
                a.start()
                b.offer(4)
                data = frame(MAC_B, MAC_A, 100, bytes([i]))
                for _ in range(4):
                    a.send_frame(data)
                for _ in range(4):
                    assert b.frame() == data


def test_gone_in_mid_traffic(server):
    with Frontend(server.dir / 'b') as b:
        b.start().offer(vhu.SIZE - 1)
        for i in range(30):
            a = Frontend(server.dir / 'a').start()
            for _ in range(20):
                a.rings[1].add(bytes(12) + frame(MAC_B, MAC_A))
            a.rings[1].wake()
            a.close()                           # at any moment
        assert b.alive()
        for _ in iter(b.rings[0].take, None):
            b.offer(1)


def test_only_one_at_a_time(server):
    with Frontend(server.dir / 'a') as first:
        first.alive()
        with Frontend(server.dir / 'a') as second:
            second.send(vhu.GET_FEATURES)
            assert not vhu.wait_readable(second.sock, 0.05)
            first.close()
            second.answer(vhu.GET_FEATURES)


def test_as_client_it_comes_back(server):
    path = str(server.dir / 'c')
    for _ in range(3):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen()
            listener.settimeout(vhu.DEADLINE)
            for _ in range(2):
                sock, _ = listener.accept()
                with Frontend(sock=sock) as c, \
                        Frontend(server.dir / 'b') as b:
                    c.start().offer()
                    b.start().offer()
                    data = frame(MAC_B, MAC_A)
                    c.send_frame(data)
                    assert b.frame() == data
    os.unlink(path)


def test_as_client_it_is_patient(server):
    """With somebody who hangs up at once: soon at first, then less often"""
    path = str(server.dir / 'c')
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        listener.settimeout(vhu.DEADLINE)
        with Frontend(sock=listener.accept()[0]) as c:
            c.alive()
        first, n = time.monotonic(), 0
        while time.monotonic() < first + 1.5:
            listener.accept()[0].close()
            n += 1
        # After 10, 20, 40 ms, ...
        assert 4 <= n <= 9
    os.unlink(path)


@pytest.mark.parametrize('spec, complaint', [
    ('vhost-user:', 'expected vhost-user:PATH'),
    ('vhost-user:x,queues=0', 'queue pairs'),
    ('vhost-user:x,queues=17', 'queue pairs'),
    ('vhost-user:x,server=1', "has no value"),
    ('vhost-user:x,queues', 'KEY=VALUE'),
    ('vhost-user:x,mac=52:54:00:00:00:01', "no option 'mac'"),
    ('vhost-user:/nowhere/x', 'cannot listen'),
    ('vhost-user:' + 'x' * 120, 'too long'),
])
def test_what_the_operator_may_get_wrong(tmp_path, spec, complaint):
    run = subprocess.run([BACKPLANE, 'serve', '--port', spec], cwd=tmp_path,
                         capture_output=True, text=True, timeout=20,
                         check=False)
    assert run.returncode and complaint in run.stderr
    assert len(run.stderr.splitlines()) == 1
