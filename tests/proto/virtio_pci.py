# SPDX-License-Identifier: Apache-2.0
"""A driver of virtio-net over PCI, with split rings, as far as the tests need
one.  Written from VIRTIO 1.2 (section numbers are its), not from the server's
sources.
"""
import struct
import time

import vfu

ACKNOWLEDGE, DRIVER, DRIVER_OK, FEATURES_OK = 1, 2, 4, 8
NEEDS_RESET, FAILED = 64, 128
(F_CSUM, F_MTU, F_MAC, F_GUEST_TSO4, F_HOST_TSO4, F_STATUS, F_CTRL_VQ,
 F_CTRL_RX, F_MQ) = (1 << n for n in (0, 3, 5, 7, 11, 16, 17, 18, 22))
F_VERSION_1, F_PACKED, F_RING_RESET = 1 << 32, 1 << 34, 1 << 40
NO_VECTOR = 0xffff
CAP_COMMON, CAP_NOTIFY, CAP_ISR, CAP_DEVICE, CAP_PCI_CFG = range(1, 6)

# The common configuration (4.1.4.3): offset and format.
COMMON = {
    'device_feature_select': (0, 'I'), 'device_feature': (4, 'I'),
    'driver_feature_select': (8, 'I'), 'driver_feature': (12, 'I'),
    'config_msix_vector': (16, 'H'), 'num_queues': (18, 'H'),
    'device_status': (20, 'B'), 'config_generation': (21, 'B'),
    'queue_select': (22, 'H'), 'queue_size': (24, 'H'),
    'queue_msix_vector': (26, 'H'), 'queue_enable': (28, 'H'),
    'queue_notify_off': (30, 'H'), 'queue_desc': (32, 'II'),
    'queue_driver': (40, 'II'), 'queue_device': (48, 'II'),
    'queue_notify_data': (56, 'H'), 'queue_reset': (58, 'H'),
}
HDR_LEN = 12
MEM_SIZE = 4 << 20
AREA = 0x10000          # of each ring: descriptors, available, used, buffers
BUF = 2048
N = 16                  # entries of the rings


class Caps:
    """What the list of capabilities says: {type: (bar, offset, length, at)}"""

    def __init__(self, client):
        config = client.region_read(vfu.CONFIG, 0, 256)
        self.found, self.ids, self.multiplier = {}, [], None
        at = config[0x34]
        while at:
            self.ids.append(config[at])
            if config[at] == 9:
                kind, bar = config[at + 3], config[at + 4]
                off, length = struct.unpack_from('<II', config, at + 8)
                self.found[kind] = (bar, off, length, at)
                if kind == CAP_NOTIFY:
                    self.multiplier, = struct.unpack_from('<I', config,
                                                          at + 16)
            elif config[at] == 0x11:
                self.msix = at
                self.n_vectors = (config[at + 2] | config[at + 3] << 8) + 1
            elif config[at] == 0x10:
                self.express = at
            at = config[at + 1]


class Ring:
    """One virtqueue, the driver's side."""

    def __init__(self, dev, idx, size=N):
        self.dev, self.idx, self.size = dev, idx, size
        self.desc = idx * AREA
        self.avail, self.used = self.desc + 0x2000, self.desc + 0x4000
        self.bufs = self.desc + 0x6000
        self.n_avail = self.n_used = 0
        dev.mem[self.desc:self.desc + AREA] = bytes(AREA)

    def put(self, fmt, off, *values):
        struct.pack_into('<' + fmt, self.dev.mem.map, off, *values)

    def get(self, fmt, off):
        return struct.unpack_from('<' + fmt, self.dev.mem.map, off)[0]

    def add(self, *parts):
        """A chain: bytes are to be read, a number is so much to be written."""
        head = self.n_avail * len(parts) % self.size
        for i, part in enumerate(parts):
            slot = (head + i) % self.size
            at = self.bufs + slot * BUF
            last = i == len(parts) - 1
            is_in = isinstance(part, int)
            if not is_in:
                self.dev.mem[at:at + len(part)] = part
            self.put('QIHH', self.desc + 16 * slot, at,
                     part if is_in else len(part),
                     (2 if is_in else 0) | (0 if last else 1),
                     (slot + 1) % self.size)
        self.put('H', self.avail + 4 + 2 * (self.n_avail % self.size), head)
        self.n_avail = (self.n_avail + 1) & 0xffff
        self.put('H', self.avail + 2, self.n_avail)

    def take(self):
        """(head, bytes written) of the next used chain, or None."""
        if self.get('H', self.used + 2) == self.n_used:
            return None
        at = self.used + 4 + 8 * (self.n_used % self.size)
        self.n_used = (self.n_used + 1) & 0xffff
        return self.get('I', at), self.get('I', at + 4)

    def wait(self, timeout=vfu.DEADLINE):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            used = self.take()
            if used:
                return used
            time.sleep(0.001)
        return None

    def kick(self):
        self.dev.notify(self.idx)


class Device:
    """One card with its memory at I/O address 0."""

    def __init__(self, client):
        self.client = client
        client.write16(4, 6)            # memory space, bus master
        self.mem = vfu.Memory(MEM_SIZE)
        client.dma_map(0, MEM_SIZE, self.mem.fd)
        self.caps = Caps(client)

    def _at(self, kind):
        return self.caps.found[kind][:2]

    def read(self, name):
        off, fmt = COMMON[name]
        bar, base = self._at(CAP_COMMON)
        if fmt == 'II':
            return sum(self.client.read32(base + off + 4 * i, bar) << 32 * i
                       for i in range(2))
        size = struct.calcsize(fmt)
        return struct.unpack('<' + fmt, self.client.region_read(
            bar, base + off, size))[0]

    def write(self, name, value):
        off, fmt = COMMON[name]
        bar, base = self._at(CAP_COMMON)
        if fmt == 'II':
            for i in range(2):
                self.client.write32(base + off + 4 * i,
                                    value >> 32 * i & 0xffffffff, bar)
        else:
            self.client.region_write(bar, base + off,
                                     struct.pack('<' + fmt, value))

    def config(self, off, length):
        bar, base = self._at(CAP_DEVICE)
        return self.client.region_read(bar, base + off, length)

    def isr(self):
        bar, base = self._at(CAP_ISR)
        return self.client.region_read(bar, base, 1)[0]

    def notify(self, idx):
        bar, base = self._at(CAP_NOTIFY)
        self.client.region_write(bar, base + idx * self.caps.multiplier,
                                 struct.pack('<H', idx & 0xffff))

    @property
    def status(self):
        return self.read('device_status')

    @status.setter
    def status(self, value):
        self.write('device_status', value)

    def offered(self):
        features = 0
        for i in range(2):
            self.write('device_feature_select', i)
            features |= self.read('device_feature') << 32 * i
        return features

    def accept(self, features):
        for i in range(2):
            self.write('driver_feature_select', i)
            self.write('driver_feature', features >> 32 * i & 0xffffffff)

    def negotiate(self, features=F_VERSION_1):
        """Up to FEATURES_OK (3.1.1); did the device take them?"""
        self.status = 0
        assert self.status == 0
        self.status = ACKNOWLEDGE
        self.status = ACKNOWLEDGE | DRIVER
        self.accept(features)
        self.status = ACKNOWLEDGE | DRIVER | FEATURES_OK
        return bool(self.status & FEATURES_OK)

    def set_up(self, ring, enable=True, vector=NO_VECTOR):
        self.write('queue_select', ring.idx)
        self.write('queue_size', ring.size)
        self.write('queue_desc', ring.desc)
        self.write('queue_driver', ring.avail)
        self.write('queue_device', ring.used)
        self.write('queue_msix_vector', vector)
        if enable:
            self.write('queue_enable', 1)

    def ok(self):
        self.status = ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK

    def start(self, features=F_VERSION_1, n_rings=2):
        """A driver that is ready: its rings."""
        assert self.negotiate(features)
        rings = [Ring(self, i) for i in range(n_rings)]
        for ring in rings:
            self.set_up(ring)
        self.ok()
        return rings


def frame(fill=b'x', length=60, to=b'\xff' * 6):
    return (bytes(HDR_LEN) + to + b'\x52\x54\0\0\0\x07\x88\xb5' +
            fill * (length - 14))
