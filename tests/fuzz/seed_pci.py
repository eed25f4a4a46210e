#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seeds of corpus/pci/: what a driver does, one file a feature."""
import pathlib
import struct

CONFIG_WRITE, CONFIG_READ, BAR_WRITE, BAR_READ, MSI, INTX, RESET, DMA, RETRY, \
    HOST = range(10)
QEMU, FULL, EXPRESS = range(3)
PM, MSI_CAP, MSIX_CAP, EXP_CAP = 0x40, 0x48, 0x60, 0x6c
TABLE, RESET_BIT = 0x100, 0x8000


def record(what, dev, off=0, val=0, length=4):
    return struct.pack('<BBHI', what, dev + ((length.bit_length() - 1) << 4),
                       off, val)


def command(dev, val):
    return record(CONFIG_WRITE, dev, 4, val, 2)


def bars(dev):
    """Sized, then put somewhere, then elsewhere while decoding."""
    out = b''
    for reg in 0x10, 0x14, 0x18, 0x30:
        out += record(CONFIG_WRITE, dev, reg, 0xffffffff)
        out += record(CONFIG_READ, dev, reg)
        out += record(CONFIG_WRITE, dev, reg, 0xfe000000)
    out += command(dev, 7) + record(BAR_READ, dev)
    for addr in 0xfd000000, 0, 0xffffffff:
        out += record(CONFIG_WRITE, dev, 0x10, addr)
        out += record(BAR_WRITE, dev, 8, addr) + record(DMA, dev)
    return out


def msix():
    out = command(EXPRESS, 6)
    out += record(CONFIG_WRITE, EXPRESS, MSIX_CAP + 2, 0x8000, 2)
    for vec in 0, 65, 99:
        out += record(MSI, EXPRESS, val=vec)
        for i, val in enumerate((0xfee00000, 0, vec, 0)):
            out += record(BAR_WRITE, EXPRESS, TABLE + 16 * vec + 4 * i, val)
        out += record(MSI, EXPRESS, val=vec)
    out += record(RETRY, EXPRESS, val=1) + record(MSI, EXPRESS, val=99)
    return out + record(RETRY, EXPRESS) + record(MSI, EXPRESS, val=100)


def msi(dev, cap):
    out = command(dev, 6) + record(INTX, dev, val=1)
    out += record(CONFIG_WRITE, dev, cap + 4, 0xfee00000)
    out += record(CONFIG_WRITE, dev, cap + 2, 0x71, 2)
    for vec in 0, 31, 32:
        out += record(MSI, dev, val=vec)
    return out + record(INTX, dev) + record(INTX, dev, val=1)


def resets(dev, pm):
    out = bars(dev) + command(dev, 7)
    out += record(CONFIG_WRITE, dev, pm + 4, 3, 2) + record(BAR_READ, dev)
    out += record(CONFIG_WRITE, dev, pm + 4, 0, 2)
    out += command(dev, 7)
    out += record(CONFIG_WRITE, dev, EXP_CAP + 8, RESET_BIT, 2)
    return out + record(RESET, dev, val=1)


def rings(dev):
    """Transmit and receive run while the function is taken from the bus."""
    out = command(dev, 6) + record(DMA, dev)
    for reg, val in ((0, 0x40), (0x3800, 0x1000), (0x3808, 128), (0x2800, 0x2000),
                     (0x2808, 128), (0x400, 2), (0x100, 0x8002),
                     (0x2818, 7), (0xd0, 0xff), (0x3818, 6)):
        out += record(BAR_WRITE, dev, reg, val)
    out += record(DMA, dev) + command(dev, 2) + record(DMA, dev)
    out += record(BAR_WRITE, dev, 0x3818, 3) + command(dev, 6)
    return out + record(DMA, dev) + command(dev, 0) + record(DMA, dev)


SEEDS = {
    'bars': bars(QEMU) + bars(EXPRESS),
    'msix': msix(),
    'msi': msi(EXPRESS, MSI_CAP) + msi(FULL, 0xf0),
    'resets': resets(EXPRESS, PM) + resets(FULL, 0xdc),
    'rings': rings(QEMU) + rings(FULL),
    'host': record(HOST, EXPRESS, val=1) + msix() +
    record(HOST, EXPRESS, val=2) + msix(),
}

folder = pathlib.Path(__file__).parent / 'corpus' / 'pci'
folder.mkdir(exist_ok=True)
for name, data in SEEDS.items():
    (folder / name).write_bytes(data)
