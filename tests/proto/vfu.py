# SPDX-License-Identifier: Apache-2.0
"""A vfio-user client, standard library only.

VfuClient does what it is told, right or wrong: the calls with good names send
good messages, send() sends anything.  Numbers are those of QEMU's
docs/interop/vfio-user.rst and <linux/vfio.h>.
"""
import array
import json
import mmap
import os
import socket
import struct
import time

(VERSION, DMA_MAP, DMA_UNMAP, GET_INFO, GET_REGION_INFO, GET_REGION_IO_FDS,
 GET_IRQ_INFO, SET_IRQS, REGION_READ, REGION_WRITE, DMA_READ, DMA_WRITE,
 RESET, DIRTY_PAGES, REGION_WRITE_MULTI, DEVICE_FEATURE, MIG_DATA_READ,
 MIG_DATA_WRITE) = range(1, 19)

REPLY, NO_REPLY, ERROR = 0x1, 0x10, 0x20

BAR0, ROM, CONFIG, VGA = 0, 6, 7, 8
INTX, MSI, MSIX, ERR, REQ = range(5)

IRQ_NONE, IRQ_BOOL, IRQ_EVENTFD = 1, 2, 4
IRQ_MASK, IRQ_UNMASK, IRQ_TRIGGER = 8, 16, 32

READ, WRITE = 1, 2
UNMAP_ALL = 2
PAGE = 4096
MAX_DATA = 1 << 20
# For what has to come: on a busy host it may take its time.
DEADLINE = 60

HEADER = struct.Struct("=HHIII")


class VfuError(Exception):
    """The server's error reply."""

    def __init__(self, command, errno):
        super().__init__(f"command {command}: {os.strerror(errno)}")
        self.command = command
        self.errno = errno


class Disconnected(Exception):
    """The server has closed the connection."""


class Reply:
    def __init__(self, header, payload):
        self.id, self.command, self.size, self.flags, self.errno = header
        self.payload = payload

    @property
    def is_error(self):
        return bool(self.flags & ERROR)


class Memory:
    """A memfd, mapped here too: what a VMM shares of its guest."""

    def __init__(self, size):
        self.size = size
        self.fd = os.memfd_create("guest", os.MFD_CLOEXEC)
        os.ftruncate(self.fd, size)
        self.map = mmap.mmap(self.fd, size)

    def __getitem__(self, key):
        return self.map[key]

    def __setitem__(self, key, value):
        self.map[key] = value

    def truncate(self, size):
        """Behind the back of everybody who has mapped it."""
        os.ftruncate(self.fd, size)

    def close(self):
        if self.fd >= 0:
            self.map.close()
            os.close(self.fd)
            self.fd = -1

    __del__ = close


class EventFd:
    def __init__(self):
        self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def count(self):
        """How often it was signalled since the last time."""
        try:
            return os.eventfd_read(self.fd)
        except BlockingIOError:
            return 0

    def signal(self):
        os.eventfd_write(self.fd, 1)

    def close(self):
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    __del__ = close


class VfuClient:
    def __init__(self, path, negotiate=True, timeout=DEADLINE):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(timeout)
        while True:
            try:
                self.sock.connect(path)
                break
            except BlockingIOError:	# too many wait to be accepted
                time.sleep(0.001)
        self.next_id = 1
        if negotiate:
            self.negotiate()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.sock.close()

    # ---- bytes ----

    def send_raw(self, data, fds=()):
        """Any bytes; descriptors come with the first of them."""
        ancillary = []
        if fds:
            ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                          array.array("i", fds))]
        sent = self.sock.sendmsg([data], ancillary)
        if sent < len(data):
            self.sock.sendall(data[sent:])

    def message(self, command, payload=b"", flags=0, size=None, msg_id=None,
                error=0):
        """A message's bytes; `size` may be a lie."""
        if msg_id is None:
            msg_id = self.next_id
            self.next_id = self.next_id % 0xffff + 1
        if size is None:
            size = HEADER.size + len(payload)
        return HEADER.pack(msg_id, command, size, flags, error) + payload

    def send(self, command, payload=b"", flags=0, fds=(), size=None,
             msg_id=None, error=0):
        self.send_raw(self.message(command, payload, flags, size, msg_id,
                                   error), fds)

    def _recv_exactly(self, n):
        data = b""
        while len(data) < n:
            try:
                piece = self.sock.recv(n - len(data))
            except ConnectionResetError:
                piece = b""
            if not piece:
                raise Disconnected
            data += piece
        return data

    def recv(self):
        header = HEADER.unpack(self._recv_exactly(HEADER.size))
        assert header[2] >= HEADER.size
        return Reply(header, self._recv_exactly(header[2] - HEADER.size))

    def silent(self, seconds=0.1):
        """Does nothing come within that time?"""
        old = self.sock.gettimeout()
        self.sock.settimeout(seconds)
        try:
            return self.sock.recv(1, socket.MSG_PEEK) == b"" and False
        except socket.timeout:
            return True
        finally:
            self.sock.settimeout(old)

    def is_disconnected(self):
        """Waits for the server to close; False if it does something else."""
        try:
            self.recv()
        except Disconnected:
            return True
        except socket.timeout:
            pass
        return False

    # ---- requests ----

    def call(self, command, payload=b"", fds=(), flags=0, size=None):
        """Send, wait, return the reply's payload or raise VfuError."""
        msg_id = self.next_id
        self.send(command, payload, flags, fds, size)
        reply = self.recv()
        assert reply.id == msg_id
        assert reply.command == command
        assert reply.flags & 0xf == REPLY
        if reply.is_error:
            assert reply.payload == b""
            raise VfuError(command, reply.errno)
        return reply.payload

    def negotiate(self, major=0, minor=0, capabilities=None, data=None):
        """Returns (major, minor, capabilities of the server)."""
        if data is None:
            caps = {"max_msg_fds": 8, "max_data_xfer_size": MAX_DATA,
                    "pgsizes": PAGE, "write_multiple": True}
            if capabilities is not None:
                caps = capabilities
            data = json.dumps({"capabilities": caps}).encode() + b"\0"
        reply = self.call(VERSION, struct.pack("=HH", major, minor) + data)
        major, minor = struct.unpack_from("=HH", reply)
        assert reply[-1:] == b"\0"
        return major, minor, json.loads(reply[4:-1])["capabilities"]

    def get_info(self):
        """Returns (flags, regions, irqs)."""
        reply = self.call(GET_INFO, struct.pack("=IIII", 16, 0, 0, 0))
        return struct.unpack("=IIII", reply)[1:]

    def get_region_info(self, index):
        """Returns (flags, size)."""
        reply = self.call(GET_REGION_INFO,
                          struct.pack("=IIIIQQ", 32, 0, index, 0, 0, 0))
        argsz, flags, got, _cap, size, _off = struct.unpack("=IIIIQQ", reply)
        assert (argsz, got) == (32, index)
        return flags, size

    def get_region_io_fds(self, index, room=PAGE):
        """Returns (argsz, [(offset, size, fd_index, type, flags)], fds)."""
        self.send(GET_REGION_IO_FDS, struct.pack("=IIII", room, 0, index, 0))
        data, ancillary, _, _ = self.sock.recvmsg(
            1 << 16, socket.CMSG_SPACE(16 * 4))
        fds = array.array("i")
        for _, _, bytes_ in ancillary:
            fds.frombytes(bytes_)
        header = HEADER.unpack_from(data)
        while len(data) < header[2]:
            data += self.sock.recv(header[2] - len(data))
        if header[3] & ERROR:
            raise VfuError(GET_REGION_IO_FDS, header[4])
        argsz, flags, got, count = struct.unpack_from("=IIII", data, 16)
        assert (flags, got) == (0, index)
        subs = [struct.unpack_from("=QQIII", data, 32 + 40 * i)
                for i in range(count)] if header[2] > 32 else []
        return argsz, subs, list(fds)

    def get_irq_info(self, index):
        """Returns (flags, count)."""
        reply = self.call(GET_IRQ_INFO, struct.pack("=IIII", 16, 0, index, 0))
        argsz, flags, got, count = struct.unpack("=IIII", reply)
        assert (argsz, got) == (16, index)
        return flags, count

    def dma_map(self, addr, size, fd=None, offset=0, prot=READ | WRITE,
                argsz=32):
        self.call(DMA_MAP,
                  struct.pack("=IIQQQ", argsz, prot, offset, addr, size),
                  [] if fd is None else [fd])

    def dma_unmap(self, addr, size, flags=0, argsz=24):
        payload = struct.pack("=IIQQ", argsz, flags, addr, size)
        assert self.call(DMA_UNMAP, payload) == payload

    def set_irqs(self, index, flags, start, count, data=b"", fds=(),
                 argsz=None):
        if argsz is None:
            argsz = 20 + len(data)
        self.call(SET_IRQS, struct.pack("=IIIII", argsz, flags, index, start,
                                        count) + data, fds)

    def region_read(self, region, offset, count):
        reply = self.call(REGION_READ,
                          struct.pack("=QII", offset, region, count))
        assert struct.unpack_from("=QII", reply) == (offset, region, count)
        assert len(reply) == 16 + count
        return reply[16:]

    def region_write(self, region, offset, data, posted=False):
        payload = struct.pack("=QII", offset, region, len(data)) + data
        if posted:
            self.send(REGION_WRITE, payload, NO_REPLY)
        else:
            assert self.call(REGION_WRITE, payload) == payload[:16]

    def reset(self):
        assert self.call(RESET) == b""

    # ---- registers ----

    def read32(self, offset, region=BAR0):
        return struct.unpack("=I", self.region_read(region, offset, 4))[0]

    def write32(self, offset, value, region=BAR0, posted=False):
        self.region_write(region, offset, struct.pack("=I", value), posted)

    def read16(self, offset, region=CONFIG):
        return struct.unpack("=H", self.region_read(region, offset, 2))[0]

    def write16(self, offset, value, region=CONFIG):
        self.region_write(region, offset, struct.pack("=H", value))
