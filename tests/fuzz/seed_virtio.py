#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seeds of the fuzz targets virtio_*, vnet_hdr and vhost_user:
tests/fuzz/seed_virtio.py CORPUS-DIRECTORY"""
import pathlib
import struct
import sys

BASE, AREA, VQS = 0x1000, 512, 5
OUT = pathlib.Path(sys.argv[1])


def save(target, name, data):
    (OUT / target).mkdir(parents=True, exist_ok=True)
    (OUT / target / name).write_bytes(data)


def tcp(payload, ip6=False):
    """A TCP packet as a guest leaves it: the checksum is partial"""
    body = bytes(12) + b'\x50\x10\x12\x34' + bytes(4) + bytes(payload)
    if ip6:
        ip = struct.pack('>IHBB', 6 << 28, len(body), 6, 64) + bytes(32)
    else:
        ip = struct.pack('>BBHHHBBH', 0x45, 0, 20 + len(body), 1, 0, 64, 6,
                         0) + bytes(8)
    return (b'\xff' * 6 + b'\2\0\0\0\0\1' + (b'\x86\xdd' if ip6 else b'\x08\0')
            + ip + body)


def vnet(gso=0, size=0, start=0, offset=0):
    return struct.pack('<BBHHHH', 1 if start else 0, gso, 0, size, start,
                       offset)


def memory(packed, chains):
    """A guest memory; chains: (device, vq) -> list of lists of (data or length,
    writable?)"""
    mem = bytearray(0x8000)
    free = 2 * VQS * 3 * AREA
    for (device, vq), list_ in chains.items():
        at = (device * VQS + vq) * 3 * AREA
        slot = 0
        for n, chain in enumerate(list_):
            head = slot
            for i, (what, writable) in enumerate(chain):
                length = what if isinstance(what, int) else len(what)
                if not isinstance(what, int):
                    mem[free:free + length] = what
                flags = (2 if writable else 0) | (i + 1 < len(chain))
                if packed:
                    desc = struct.pack('<QIHH', BASE + free, length, n,
                                       flags | 0x80)
                else:
                    desc = struct.pack('<QIHH', BASE + free, length, flags,
                                       slot + 1)
                mem[at + 16 * slot:at + 16 * slot + 16] = desc
                free += length + 16
                slot += 1
            if not packed:
                struct.pack_into('<H', mem, at + AREA + 4 + 2 * n, head)
                struct.pack_into('<H', mem, at + AREA + 2, n + 1)
    return bytes(mem)


def virtio_net():
    hdr = vnet() + bytes(2)
    tso = vnet(1, 500, 34, 16) + bytes(2)
    plain = tcp(100)
    rx = [[(600, True)] for _ in range(10)]
    for packed in (0, 1):
        for name, features, chains in (
                ('plain', 1, {(0, 1): [[(hdr + plain, False)]] * 3,
                              (1, 0): rx}),
                ('spread', 1, {(0, 1): [[(hdr[:5], False), (hdr[5:], False),
                                         (plain, False)]],
                               (1, 0): [[(7, True), (600, True)]]}),
                ('tso', 1, {(0, 1): [[(tso + tcp(3000), False)]],
                            (1, 0): rx}),
                ('merged', 9, {(0, 1): [[(hdr + tcp(2000), False)]],
                               (1, 0): rx}),
                ('ctrl', 0x81, {(0, 2): [[(b'\0\0', False), (b'\1', False),
                                          (1, True)]]})):
            if not packed:
                features &= ~1
            for scribble in (0, 77):
                save('virtio_net',
                     f'{name}{"_packed" * packed}{"_racing" * bool(scribble)}',
                     bytes([features, features, 4, scribble]) +
                     memory(packed, chains))


def vnet_hdr():
    save('vnet_hdr', 'tso4', vnet(1, 100, 34, 16) + tcp(900))
    save('vnet_hdr', 'tso4_ecn', vnet(0x81, 100, 34, 16) + tcp(900))
    save('vnet_hdr', 'tso6', vnet(4, 100, 54, 16) + tcp(900, True))
    save('vnet_hdr', 'partial', vnet(0, 0, 34, 16) + tcp(300))
    save('vnet_hdr', 'ufo', vnet(3, 100, 34, 6) + tcp(300))


def vhost_user():
    """Everything a front-end says, in order; formed, so header bytes are the
    request and whether an answer is wanted"""
    def piece(flags, request, payload=b''):
        data = bytes([request, 8]) + bytes(10) + payload
        return struct.pack('<BH', flags | 8, len(data)) + data

    def u64(n):
        return struct.pack('<Q', n)

    uva = 0x7f0000000000
    start = piece(0, 3) + piece(0, 1) + piece(0, 2, u64(1 << 32 | 1 << 30))
    start += piece(0, 15) + piece(0, 16, u64(0x1a01f))
    mem = piece(1, 37, bytes(8) + struct.pack('<QQQQ', 0, 0x40000, uva, 0))
    table = piece(1, 5, struct.pack('<IIQQQQ', 1, 0, 0, 0x40000, uva, 0))
    ring = b''
    for i in (0, 1):
        at = uva + 0x3000 * i
        ring += piece(0, 8, struct.pack('<II', i, 16))
        ring += piece(0, 10, struct.pack('<II', i, 0))
        ring += piece(0, 9, struct.pack('<IIQQQQ', i, 0, at, at + 0x1000,
                                        at + 0x2000, 0))
        ring += piece(2, 13, u64(i)) + piece(2 | 64, 12, u64(i))
        ring += piece(0, 18, struct.pack('<II', i, 1))
    rest = piece(0, 19, u64(0x0a0000000002)) + piece(0, 20, u64(1500))
    rest += piece(0, 39, u64(7)) + piece(0, 40) + piece(0, 36) + piece(0, 17)
    rest += piece(0, 11, struct.pack('<II', 0, 0)) + piece(0, 34)
    save('vhost_user', 'slots', start + mem + ring + rest)
    save('vhost_user', 'table', start + table + ring + rest)
    # Migrated: the log, what is to be logged, an eventfd, and all of it anew.
    log = piece(1, 6, struct.pack('<QQ', 16, 0x30000)) + piece(2, 7)
    log += piece(0, 2, u64(1 << 32 | 1 << 30 | 1 << 26))
    for i in (0, 1):
        at = uva + 0x3000 * i
        log += piece(64, 9, struct.pack('<IIQQQQ', i, 1, at, at + 0x1000,
                                        at + 0x2000, 0x1000 + 0x3000 * i))
    save('vhost_user', 'log', start + mem + log + ring + log + rest)
    save('vhost_user', 'log_first', start + mem + ring + log + rest)
    save('vhost_user', 'truncated', start + piece(
        17, 37, bytes(8) + struct.pack('<QQQQ', 0, 0x40000, uva, 0)) + ring)
    save('vhost_user', 'many', piece(5, 5, bytes(40)) + piece(6, 12, u64(0)))


def virtio_pci():
    """What drivers do: modern, packed, legacy, through the window"""
    (config_write, config_read, bar_write, bar_read, memory_write, run, map_,
     reset) = range(8)
    card, toy = 0, 1
    modern, legacy, msix = 0, 1 << 6, 2 << 6

    def record(what, dev=0, off=0, val=0, length=4, bar=0):
        return struct.pack('<BBHI', what, dev | bar |
                           (length.bit_length() - 1) << 4, off, val)

    def out(dev, off, val, length=4, bar=modern):
        return record(bar_write, dev, off, val, length, bar)

    def chain(packed, desc, avail):
        flags = 0x80 << 16 if packed else 0
        data = record(memory_write, 0, desc, 0x8000)
        data += record(memory_write, 0, desc + 8, 60)
        data += record(memory_write, 0, desc + 12, flags)
        if not packed:
            data += record(memory_write, 0, avail, 1 << 16)
        return data

    def start(dev, features, n_queues):
        packed = features >> 34 & 1
        data = out(dev, 20, 0, 1) + out(dev, 20, 3, 1)
        for word in 0, 1:
            data += out(dev, 0, word) + record(bar_read, dev, 4)
            data += out(dev, 8, word)
            data += out(dev, 12, features >> 32 * word & 0xffffffff)
        data += out(dev, 20, 11, 1) + record(bar_read, dev, 20, 0, 1)
        for i in range(n_queues):
            at = 0x1000 * (i + 1)
            data += out(dev, 22, i, 2) + out(dev, 24, 8, 2)
            data += out(dev, 26, i + 1, 2)
            data += out(dev, 32, at) + out(dev, 40, at + 0x400)
            data += out(dev, 48, at + 0x800) + out(dev, 28, 1, 2)
            data += chain(packed, at, at + 0x400)
        return data + out(dev, 20, 15, 1)

    rest = out(card, 0x3004, 1, 2) + record(run)
    stop = record(config_write, toy, 4, 3, 2) + record(
        config_write, toy, 4, 7, 2)
    gone = record(map_) + record(run) + record(map_, val=1) + record(run)
    for name, features in ('split', 1 << 32), ('packed', 5 << 32), \
            ('events', 1 << 32 | 1 << 29), ('reset', 0x101 << 32):
        data = start(card, features, 2) + rest + gone
        data += out(card, 22, 1, 2) + out(card, 58, 1, 2)
        save('virtio_pci', 'card_' + name, data + record(reset, card, val=2))
        data = start(toy, features, 3) + out(toy, 0x3000, 0, 2) + stop + gone
        data += out(toy, 22, 1, 2) + out(toy, 58, 1, 2)
        save('virtio_pci', 'toy_' + name, data + record(reset, toy, val=1))
    table = out(toy, 0, 0xfee00000, 4, msix) + out(toy, 12, 0, 4, msix)
    save('virtio_pci', 'toy_msix', record(config_write, toy, 0x42, 0x8000, 2) +
         table + start(toy, 1 << 32, 2) + out(toy, 0x3000, 0, 2) +
         record(bar_read, toy, 0x2000) + record(bar_read, toy, 0x1000, 0, 1))
    data = out(toy, 18, 3, 1, legacy) + record(bar_read, toy, 0, bar=legacy)
    data += out(toy, 4, 1 << 29, 4, legacy) + out(toy, 14, 1, 2, legacy)
    data += out(toy, 8, 1, 4, legacy) + chain(False, 0x1000, 0x1080)
    data += out(toy, 18, 7, 1, legacy) + out(toy, 16, 1, 2, legacy) + gone
    data += record(bar_read, toy, 19, 0, 1, legacy)
    data += record(bar_read, toy, 20, 0, 4, legacy)
    save('virtio_pci', 'legacy', data + stop + out(toy, 8, 0, 4, legacy))
    window = 0x9c                       # of the toy, its last capability
    data = b''
    for off, length, val in (20, 1, 3), (12, 4, 1), (0x3000, 2, 0):
        data += record(config_write, toy, window + 4, 4, 1)
        data += record(config_write, toy, window + 8, off)
        data += record(config_write, toy, window + 12, length)
        data += record(config_write, toy, window + 16, val)
        data += record(config_read, toy, window + 16)
    save('virtio_pci', 'window', data)


def virtio_ctrl():
    """Every command, as the driver's negotiation allows it"""
    def command(class_, cmd, data=b''):
        return bytes([class_, cmd]) + struct.pack('<H', len(data)) + data

    key = bytes(range(40))
    rss = struct.pack('<IHH4HH', 0x3f, 3, 0, 0, 1, 2, 3, 4)
    commands = b''.join(command(0, i, b'\1') for i in range(6))
    commands += command(1, 0, struct.pack('<I6sI6s', 1, b'\2' * 6, 1,
                                          b'\1' * 6))
    commands += command(1, 1, b'\2\0\0\0\0\7')
    commands += command(2, 0, b'\5\0') + command(2, 1, b'\5\0')
    commands += command(3, 0) + command(4, 0, b'\2\0')
    save('virtio_ctrl', 'filters', b'\xff' + commands)
    save('virtio_ctrl', 'nothing_negotiated', b'\0' + commands)
    save('virtio_ctrl', 'rss', b'\xff' + command(4, 1, rss + b'\x28' + key) +
         command(4, 0, b'\4\0') + command(
             4, 2, struct.pack('<I8sB', 0x3f, bytes(8), 40) + key) +
         command(4, 1, rss + b'\0'))
    save('virtio_ctrl', 'offloads', b'\xff' + command(
        5, 0, struct.pack('<Q', 0x182)) + command(5, 0, bytes(8)) +
        command(6, 0, struct.pack('<II', 4, 100)) +
        command(6, 1, struct.pack('<II', 0, 100)))


virtio_net()
virtio_pci()
virtio_ctrl()
vnet_hdr()
vhost_user()
