# SPDX-License-Identifier: Apache-2.0
"""A vhost-user front-end with split rings, as far as the tests need one.

Written from QEMU's docs/interop/vhost-user.rst and VIRTIO 1.2, not from the
server's sources.
"""
import array
import mmap
import os
import select
import socket
import struct
import time

(GET_FEATURES, SET_FEATURES, SET_OWNER, RESET_OWNER, SET_MEM_TABLE,
 SET_LOG_BASE, SET_LOG_FD, SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_BASE,
 GET_VRING_BASE, SET_VRING_KICK, SET_VRING_CALL, SET_VRING_ERR,
 GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES, GET_QUEUE_NUM,
 SET_VRING_ENABLE, SEND_RARP, NET_SET_MTU) = range(1, 21)
RESET_DEVICE = 34
GET_MAX_MEM_SLOTS, ADD_MEM_REG, REM_MEM_REG, SET_STATUS, GET_STATUS = \
    range(36, 41)

P_MQ, P_LOG, P_RARP, P_REPLY_ACK, P_MTU = (1 << i for i in range(5))
P_RESET_DEVICE, P_SLOTS, P_STATUS = 1 << 13, 1 << 15, 1 << 16
P_ALL = (P_MQ | P_LOG | P_RARP | P_REPLY_ACK | P_MTU | P_RESET_DEVICE |
         P_SLOTS | P_STATUS)
F_LOG_ALL = 1 << 26
F_PROTOCOL = 1 << 30
F_VERSION_1 = 1 << 32
F_MRG_RXBUF = 1 << 15
F_EVENT_IDX = 1 << 29
F_RING_PACKED = 1 << 34

VERSION, REPLY, NEED_REPLY = 1, 4, 8
NOFD = 0x100
MEM_LEN = 4 << 20
GPA = 0x40000000
UVA = 0x7f1234000000
SIZE = 64               # of rings
HDR_LEN = 12
RINGS_LEN = 1 << 20     # for all of their areas
QUEUE_LEN = 0x10000     # of each one's at most
BUF_LEN = 4096          # likewise
DEADLINE = 60           # for what has to come: busy hosts take their time


class Disconnected(Exception):
    """The server closed the connection."""


def memfd(length=MEM_LEN, flags=0):
    fd = os.memfd_create('guest', os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING | flags)
    os.ftruncate(fd, length)
    return fd


def wait_readable(fd, timeout=DEADLINE):
    return bool(select.select([fd], [], [], timeout)[0])


def connect(path):
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(DEADLINE)
    sock.connect(str(path))
    return sock


class Ring:
    """The driver's side of one ring of a front-end."""

    def __init__(self, front, idx, n_rings):
        self.front, self.idx = front, idx
        self.queue_len = min(QUEUE_LEN, RINGS_LEN // n_rings)
        self.desc = idx * self.queue_len
        self.avail = self.desc + self.queue_len // 4
        self.used = self.desc + self.queue_len // 2
        self.buf_len = min(BUF_LEN, (MEM_LEN - RINGS_LEN) // n_rings // SIZE)
        self.bufs = RINGS_LEN + idx * SIZE * self.buf_len
        self.avail_idx = self.used_idx = 0
        self.given = set()      # buffers that the device has
        self.kick = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.call = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.err = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def forget(self):
        """A fresh ring, as after a reset."""
        self.avail_idx = self.used_idx = 0
        self.given = set()
        self.front.mem[self.desc:self.desc + self.queue_len] = \
            bytes(self.queue_len)

    def put(self, fmt, off, *values):
        struct.pack_into('<' + fmt, self.front.mem, off, *values)

    def get(self, fmt, off):
        return struct.unpack_from('<' + fmt, self.front.mem, off)[0]

    def add(self, data=None, gpa=None, length=None):
        """Make one buffer available: to be read (data) or to be written"""
        slot = self.avail_idx % SIZE
        at = self.bufs + slot * self.buf_len
        if data is not None:
            self.front.mem[at:at + len(data)] = data
        if length is None:
            length = self.buf_len if data is None else len(data)
        self.put('QIHH', self.desc + 16 * slot, gpa or GPA + at, length,
                 2 if data is None else 0, 0)
        self.put('H', self.avail + 4 + 2 * slot, slot)
        self.given.add(slot)
        self.avail_idx = (self.avail_idx + 1) & 0xffff
        self.front.words[(self.avail + 2) // 2] = self.avail_idx

    def wake(self):
        os.eventfd_write(self.kick, 1)

    def device_idx(self):
        """How far the device has got"""
        return self.front.words[(self.used + 2) // 2]

    def take(self):
        """The next used buffer, which comes back once: its bytes; None: there
        is none"""
        if self.device_idx() == self.used_idx:
            return None
        at = self.used + 4 + 8 * (self.used_idx % SIZE)
        slot, length = self.get('I', at), self.get('I', at + 4)
        self.used_idx = (self.used_idx + 1) & 0xffff
        self.given.remove(slot)
        at = self.bufs + slot * self.buf_len
        return bytes(self.front.mem[at:at + length])

    def wait(self, timeout=DEADLINE):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            data = self.take()
            if data is not None:
                return data
            time.sleep(0.001)
        return None

    def close(self):
        for fd in (self.kick, self.call, self.err):
            os.close(fd)


class Frontend:
    """One connection."""

    def __init__(self, path=None, sock=None, n_rings=2, fd=None):
        sock = sock or connect(path)
        sock.settimeout(DEADLINE)
        self.sock = sock
        self.fd = memfd() if fd is None else fd
        self.mem = mmap.mmap(self.fd, MEM_LEN)
        # For what the device reads meanwhile: a word is written at once.
        self.words = memoryview(self.mem).cast('H')
        self.rings = [Ring(self, i, n_rings) for i in range(n_rings)]
        self.features = 0
        self.log_used = False   # writes to used rings are to be logged

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.close()

    def reconnect(self, path):
        """To the next server, which gets the memory as it is; rings are to be
        started"""
        self.sock.close()
        self.sock = connect(path)
        self.negotiate(self.features & ~F_PROTOCOL).share()

    def close(self):
        if self.sock is None:
            return
        self.sock.close()
        self.sock = None
        for ring in self.rings:
            ring.close()
        self.words.release()
        self.mem.close()
        os.close(self.fd)

    # ---- messages ----

    def send(self, request, payload=b'', fds=(), flags=VERSION, size=None):
        data = struct.pack('<III', request, flags,
                           len(payload) if size is None else size) + payload
        anc = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', fds))]
        try:
            self.sock.sendmsg([data], anc if fds else [])
        except (BrokenPipeError, ConnectionError) as e:
            raise Disconnected from e

    def recv(self, n):
        data = b''
        while len(data) < n:
            try:
                piece = self.sock.recv(n - len(data))
            except ConnectionError as e:
                raise Disconnected from e
            if not piece:
                raise Disconnected
            data += piece
        return data

    def answer(self, request):
        got, flags, size = struct.unpack('<III', self.recv(12))
        assert got == request and flags == VERSION | REPLY
        return self.recv(size)

    def get(self, request, payload=b'', fds=()):
        """A message with an answer of its own"""
        self.send(request, payload, fds)
        return self.answer(request)

    def get64(self, request):
        return struct.unpack('<Q', self.get(request))[0]

    def ack(self, request, payload=b'', fds=(), size=None):
        """A message that is to be acknowledged; was it carried out?"""
        self.send(request, payload, fds, VERSION | NEED_REPLY, size)
        return struct.unpack('<Q', self.answer(request))[0] == 0

    def negotiate(self, features=F_VERSION_1, protocol=P_ALL):
        self.send(SET_OWNER)
        self.features = features | F_PROTOCOL
        assert self.get64(GET_FEATURES) & self.features == self.features
        self.send(SET_FEATURES, u64(self.features))
        assert self.get64(GET_PROTOCOL_FEATURES) & protocol == protocol
        self.send(SET_PROTOCOL_FEATURES, u64(protocol))
        return self

    def share(self):
        assert self.ack(ADD_MEM_REG, b'\0' * 8 + region(), [self.fd])
        return self

    def start_ring(self, ring, base=0, enable=True):
        i = ring.idx
        assert self.ack(SET_VRING_NUM, state(i, SIZE))
        assert self.ack(SET_VRING_BASE, state(i, base))
        assert self.ack(SET_VRING_ADDR, self.addr(ring))
        assert self.ack(SET_VRING_CALL, u64(i), [ring.call])
        assert self.ack(SET_VRING_ERR, u64(i), [ring.err])
        assert self.ack(SET_VRING_KICK, u64(i), [ring.kick])
        if enable:
            assert self.ack(SET_VRING_ENABLE, state(i, 1))

    def addr(self, ring):
        return struct.pack('<IIQQQQ', ring.idx, self.log_used, UVA + ring.desc,
                           UVA + ring.used, UVA + ring.avail,
                           GPA + ring.used)

    def start(self, features=F_VERSION_1):
        """Everything, up to frames"""
        self.negotiate(features).share()
        for ring in self.rings:
            self.start_ring(ring)
        return self

    def alive(self):
        self.get64(GET_FEATURES)
        return True

    # ---- frames ----

    def send_frame(self, data, hdr=bytes(HDR_LEN), pair=0):
        self.rings[2 * pair + 1].add(hdr + data)
        self.rings[2 * pair + 1].wake()

    def offer(self, n=16, pair=0):
        for _ in range(n):
            self.rings[2 * pair].add()
        return self

    def frame(self, timeout=DEADLINE, pair=0):
        data = self.rings[2 * pair].wait(timeout)
        return data and data[HDR_LEN:]


def u64(n):
    return struct.pack('<Q', n)


def state(idx, num):
    return struct.pack('<II', idx, num)


def region(gpa=GPA, length=MEM_LEN, uva=UVA, offset=0):
    return struct.pack('<QQQQ', gpa, length, uva, offset)


def table(*regions):
    return struct.pack('<II', len(regions), 0) + b''.join(regions)
