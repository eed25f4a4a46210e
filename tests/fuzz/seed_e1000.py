#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Write the first inputs of fuzz_e1000, so that it reaches the data path.

Usage: seed_e1000.py CORPUS-DIRECTORY

The language is described in fuzz_e1000.c.
"""
import pathlib
import struct
import sys

BASE = 0x10000          # guest address of offset 0
PACKET = 0x1000         # offsets in guest memory
RX_RING = 0x8000
RX_BUFS = 0xC000

DEXT, DATA, EOP, IFCS, TSE, RS, VLE, IDE = (
    1 << 29, 1 << 20, 1 << 24, 1 << 25, 1 << 26, 1 << 27, 1 << 30, 1 << 31)
CTX_TCP, CTX_IP = 1 << 24, 1 << 25
CTRL, ITR, IMS, RCTL, RDTR, RADV, TIDV, TADV, RXCSUM = (
    0x0, 0xC4, 0xD0, 0x100, 0x2820, 0x282C, 0x3820, 0x382C, 0x5000)


def reg(offset, val):
    return struct.pack("<BII", 0, 0x80000000 | offset, val)


def mem(offset, data):
    return b"".join(
        struct.pack("<BHB", 2, offset + i, len(data[i:i + 255])) +
        data[i:i + 255] for i in range(0, len(data), 255))


def rings(is_rx, tail):
    return bytes([8, is_rx, tail])


def deliver(length, flags=0, tci=0):
    return struct.pack("<BHBH", 4, length, flags, tci)


def advance(us):
    return struct.pack("<BH", 5, us)


RUN = b"\x03"


def packet(ip6=False, udp=False, payload=400):
    l4 = bytes([0x12, 0x34, 0, 80])
    l4 += bytes(4) if udp else bytes(8) + bytes([0x50, 0x18]) + bytes(6)
    proto = 17 if udp else 6
    if ip6:
        ip = struct.pack(">IHBB", 6 << 28, len(l4) + payload, proto, 64)
        ip += bytes(32)
    else:
        ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(l4) + payload, 0, 0,
                         64, proto, 0) + bytes(8)
    eth = bytes.fromhex("525400010203" "525400aabbcc") + (
        b"\x86\xdd" if ip6 else b"\x08\x00")
    return eth + ip + l4 + bytes(payload), len(eth), len(eth + ip), len(l4)


def context(ip6, udp, mss, payload, l3, l4, l4_len):
    lower = DEXT | TSE | payload | (0 if udp else CTX_TCP)
    lower |= 0 if ip6 else CTX_IP
    return struct.pack("<BBHBBHIBBH", l3, l3 + 10, 0 if ip6 else l4 - 1, l4,
                       l4 + (6 if udp else 16), 0, lower, 0, l4 + l4_len, mss)


def desc(offset, lower, upper=0):
    return struct.pack("<QII", BASE + offset, lower, upper)


def tso(ip6=False, udp=False):
    data, l3, l4, l4_len = packet(ip6, udp)
    ring = context(ip6, udp, 100, 400, l3, l4, l4_len) + desc(
        PACKET, len(data) | DEXT | DATA | TSE | EOP | IFCS | RS | VLE, 0x0300)
    return mem(PACKET, data) + mem(0, ring) + rings(0, 2)


def receive_ring(tail=20):
    return mem(RX_RING, b"".join(
        desc(RX_BUFS + 0x800 * (i % 8), 0) for i in range(tail))) + \
        rings(1, tail)


SEEDS = {
    "legacy": mem(PACKET, packet()[0]) + mem(0, desc(
        PACKET, 454 | EOP | IFCS | RS | 1 << 26 | 50 << 16, 34 << 8)) +
    rings(0, 1) + RUN,
    "tso4": tso() + RUN,
    "tso6": tso(ip6=True) + RUN,
    "uso4": tso(udp=True) + RUN,
    "tagged": reg(CTRL, 0x40000040) + tso() + RUN,
    "receive": receive_ring() + mem(0, packet()[0]) + deliver(454) +
    deliver(454, 1, 0x123),
    "receive_checked": receive_ring() + reg(RXCSUM, 0x30E) +
    mem(0, packet(udp=True)[0]) + deliver(442) + mem(0, packet(True)[0]) +
    deliver(474) + deliver(1600),
    "receive_small_buffers": receive_ring() + reg(RCTL, 0x0003803A) +
    deliver(1518) + deliver(5000),
    "loopback": receive_ring() + tso() + reg(RCTL, 0x805A) + RUN,
    "delays": receive_ring() + reg(RDTR, 10) + reg(RADV, 20) +
    reg(ITR, 200) + reg(IMS, 0x1FFFF) + reg(TIDV, 10) + reg(TADV, 12) +
    deliver(100) + advance(11) + deliver(100) + advance(9) + deliver(100) +
    advance(12) + mem(0, desc(PACKET, 100 | EOP | IFCS | RS | IDE)) +
    rings(0, 1) + RUN + advance(100),
    "shared": receive_ring() + reg(RDTR, 0) + bytes([7, 0x86]) +
    bytes([7, 0x88, 1]) + struct.pack("<I", 0x1FFFF) + deliver(100) +
    bytes([7, 0x88, 0]) + bytes(4) + deliver(100) + bytes([7, 0x89]) +
    struct.pack("<I", 0x80) + bytes([7, 0x88, 1]) + bytes(4) + deliver(100) +
    bytes([7, 0x87]),
}


def main():
    directory = pathlib.Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    for name, data in SEEDS.items():
        (directory / name).write_bytes(data)


main()
