# SPDX-License-Identifier: Apache-2.0
"""REGION_READ, REGION_WRITE, REGION_WRITE_MULTI, DEVICE_RESET."""
import struct
from errno import EINVAL

import pytest

import e1000
import vfu

BAR_SIZE = 0x20000
IRQ_LINE = 0x3c		# a config byte that keeps what is written


def multi(writes, n=None):
    return struct.pack("=Q", len(writes) if n is None else n) + b"".join(
        struct.pack("=QII", off, region, len(data) if count is None else count)
        + data.ljust(8, b"\0") for off, region, data, count in writes)


def test_config_is_read_whole_and_in_pieces(client):
    whole = client.region_read(vfu.CONFIG, 0, 256)
    assert whole[:4] == b"\x86\x80\x0e\x10"
    for count in (1, 2, 3, 4, 8, 64):
        assert b"".join(
            client.region_read(vfu.CONFIG, off, min(count, 256 - off))
            for off in range(0, 256, count)) == whole


def test_config_is_written_through_its_masks(client):
    client.region_write(vfu.CONFIG, 0, b"\xff" * 64)
    assert client.read32(0, vfu.CONFIG) == 0x100e8086
    assert client.region_read(vfu.CONFIG, IRQ_LINE, 1) == b"\xff"


def test_bar_sizing(client):
    client.write32(0x10, 0xffffffff, vfu.CONFIG)
    assert client.read32(0x10, vfu.CONFIG) & ~0xf == 2**32 - BAR_SIZE
    client.write32(0x10, 0, vfu.CONFIG)


def test_registers(client):
    client.write32(e1000.RDLEN, 0x1000)
    assert client.read32(e1000.RDLEN) == 0x1000
    client.write32(e1000.RDLEN, 0x800, posted=True)
    assert client.read32(e1000.RDLEN) == 0x800


@pytest.mark.parametrize("count", [1, 2, 3, 4, 8, 12, 100, 4096])
def test_bar_accesses_of_any_width(client, count):
    client.region_read(vfu.BAR0, e1000.RDBAL, count)
    client.region_write(vfu.BAR0, e1000.RDBAL, bytes(count))
    client.region_read(vfu.BAR0, BAR_SIZE - count, count)


def test_unaligned_bar_accesses(client):
    for off in range(1, 8):
        client.region_read(vfu.BAR0, e1000.RDBAL + off, 4)
        client.region_write(vfu.BAR0, e1000.RDBAL + off, bytes(4))


@pytest.mark.parametrize("region, size", [(vfu.BAR0, BAR_SIZE),
                                          (vfu.CONFIG, 256)])
@pytest.mark.parametrize("past, count", [
    (0, 1), (-1, 2), (-3, 4), (1, 1), (0, vfu.MAX_DATA)])
def test_beyond_the_end(client, refused, region, size, past, count):
    with refused(EINVAL):
        client.region_read(region, size + past, count)
    with refused(EINVAL):
        client.region_write(region, size + past, bytes(count))
    client.region_read(region, 0, 4)


@pytest.mark.parametrize("off", [2**64 - 1, 2**64 - 4, 2**63, 2**32])
def test_offset_wraps(client, refused, off):
    for region in (vfu.BAR0, vfu.CONFIG):
        with refused(EINVAL):
            client.region_read(region, off, 4)
        with refused(EINVAL):
            client.region_write(region, off, bytes(4))


@pytest.mark.parametrize("region", [5, vfu.VGA, 9, 1000, 0x80000000,
                                    0xffffffff])
def test_bad_region(client, refused, region):
    with refused(EINVAL):
        client.region_read(region, 0, 4)
    with refused(EINVAL):
        client.region_write(region, 0, bytes(4))


def test_rom_is_not_written(client, refused):
    with refused(EINVAL):
        client.region_write(vfu.ROM, 0, bytes(4))


@pytest.mark.parametrize("count", [0, vfu.MAX_DATA + 1, 0x80000000,
                                   0xffffffff])
def test_bad_count(client, refused, count):
    with refused(EINVAL):
        client.call(vfu.REGION_READ, struct.pack("=QII", 0, 0, count))
    with refused(EINVAL):
        client.call(vfu.REGION_WRITE, struct.pack("=QII", 0, 0, count))


@pytest.mark.parametrize("count, length", [(4, 0), (4, 3), (4, 5), (4, 4096),
                                           (0xffffffff, 4), (1, 0)])
def test_write_whose_count_lies(client, refused, count, length):
    with refused(EINVAL):
        client.call(vfu.REGION_WRITE,
                    struct.pack("=QII", e1000.RDLEN, 0, count) +
                    b"\xff" * length)
    assert client.read32(e1000.RDLEN) == 0


@pytest.mark.parametrize("command", [vfu.REGION_READ, vfu.REGION_WRITE,
                                     vfu.REGION_WRITE_MULTI])
@pytest.mark.parametrize("length", [0, 1, 7])
def test_short(client, refused, command, length):
    with refused(EINVAL):
        client.call(command, bytes(length))


def test_read_too_long(client, refused):
    with refused(EINVAL):
        client.call(vfu.REGION_READ, struct.pack("=QII", 0, 0, 4) + b"\0")


def test_posted_writes_are_never_answered(client):
    for payload in (struct.pack("=QII", e1000.RDLEN, 0, 4) + bytes(4),
                    struct.pack("=QII", 2**63, 0, 4) + bytes(4),
                    struct.pack("=QII", 0, 99, 4) + bytes(4), b"", b"x"):
        client.send(vfu.REGION_WRITE, payload, vfu.NO_REPLY)
    client.get_info()		# its reply is the next that comes
    assert client.silent()


@pytest.mark.parametrize("command", [vfu.REGION_READ, vfu.REGION_WRITE,
                                     vfu.REGION_WRITE_MULTI, vfu.RESET])
def test_with_descriptors(client, refused, command):
    memory = vfu.Memory(vfu.PAGE)
    payload = {vfu.REGION_READ: struct.pack("=QII", 0, 0, 4),
               vfu.REGION_WRITE: struct.pack("=QII", 0, 0, 4) + bytes(4),
               vfu.REGION_WRITE_MULTI: multi([]), vfu.RESET: b""}[command]
    with refused(EINVAL):
        client.call(command, payload, [memory.fd])


def test_many_writes_at_once(client):
    writes = [(e1000.RDLEN, 0, struct.pack("=I", 0x1000), None),
              (e1000.TDLEN, 0, struct.pack("=I", 0x800), None),
              (IRQ_LINE, vfu.CONFIG, b"\x10", None)]
    assert client.call(vfu.REGION_WRITE_MULTI, multi(writes)) == \
        struct.pack("=Q", 3)
    assert client.read32(e1000.RDLEN) == 0x1000
    assert client.read32(e1000.TDLEN) == 0x800
    assert client.region_read(vfu.CONFIG, IRQ_LINE, 1) == b"\x10"


@pytest.mark.parametrize("n", [0, 1, 3, 2**32 + 2, 2**63, 2**64 - 1])
def test_many_writes_whose_number_lies(client, refused, n):
    writes = [(e1000.RDLEN, 0, struct.pack("=I", 0x1000), None)] * 2
    with refused(EINVAL):
        client.call(vfu.REGION_WRITE_MULTI, multi(writes, n))
    assert client.read32(e1000.RDLEN) == 0


@pytest.mark.parametrize("bad", [
    (BAR_SIZE, 0, bytes(4), None), (2**64 - 1, 0, bytes(4), None),
    (0, 99, bytes(4), None), (0, 0, bytes(4), 0), (0, 0, bytes(4), 9),
    (0, 0, bytes(4), 0xffffffff)])
def test_many_writes_all_or_none(client, refused, bad):
    good = (e1000.RDLEN, 0, struct.pack("=I", 0x1000), None)
    with refused(EINVAL):
        client.call(vfu.REGION_WRITE_MULTI, multi([good, bad]))
    assert client.read32(e1000.RDLEN) == 0


def test_reset(client):
    client.write32(e1000.RDLEN, 0x1000)
    client.write16(4, 7)
    client.reset()
    assert client.read16(4) == 0
    assert client.read32(e1000.RDLEN) == 0xffffffff  # not decoded
    client.write16(4, 3)
    assert client.read32(e1000.RDLEN) == 0


@pytest.mark.parametrize("length", [1, 16, 65536])
def test_reset_with_a_payload(client, refused, length):
    with refused(EINVAL):
        client.call(vfu.RESET, bytes(length))
