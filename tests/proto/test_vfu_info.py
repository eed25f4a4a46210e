# SPDX-License-Identifier: Apache-2.0
"""DEVICE_GET_INFO, _REGION_INFO, _REGION_IO_FDS, _IRQ_INFO."""
import struct
from errno import EINVAL

import pytest

import vfu

READ_WRITE = 3
INTX_FLAGS = 7		# eventfd, maskable, automasked
EVENTFD = 1

# command: a good request
GOOD = {
    vfu.GET_INFO: struct.pack("=IIII", 16, 0, 0, 0),
    vfu.GET_REGION_INFO: struct.pack("=IIIIQQ", 32, 0, 0, 0, 0, 0),
    vfu.GET_REGION_IO_FDS: struct.pack("=IIII", 16, 0, 0, 0),
    vfu.GET_IRQ_INFO: struct.pack("=IIII", 16, 0, 0, 0),
}


def test_info(client):
    assert client.get_info() == (3, 9, 5)	# reset, PCI


def test_regions(client):
    assert client.get_region_info(vfu.BAR0) == (READ_WRITE, 0x20000)
    assert client.get_region_info(vfu.CONFIG) == (READ_WRITE, 256)
    assert client.get_region_info(vfu.ROM)[0] & vfu.WRITE == 0
    assert client.get_region_info(vfu.VGA) == (0, 0)


def test_io_fds(client):
    reply = client.call(vfu.GET_REGION_IO_FDS, GOOD[vfu.GET_REGION_IO_FDS])
    assert struct.unpack("=IIII", reply) == (16, 0, 0, 0)


def test_irqs(client):
    assert client.get_irq_info(vfu.INTX) == (INTX_FLAGS, 1)
    assert client.get_irq_info(vfu.MSIX)[1] == 0
    assert client.get_irq_info(vfu.ERR) == (EVENTFD, 1)
    assert client.get_irq_info(vfu.REQ) == (EVENTFD, 1)


@pytest.mark.parametrize("command", GOOD)
@pytest.mark.parametrize("cut", [1, 4, 16])
def test_short(client, refused, command, cut):
    with refused(EINVAL):
        client.call(command, GOOD[command][:-cut])
    client.call(command, GOOD[command])


@pytest.mark.parametrize("command", GOOD)
@pytest.mark.parametrize("more", [1, 8, 4096])
def test_long(client, refused, command, more):
    with refused(EINVAL):
        client.call(command, GOOD[command] + bytes(more))
    client.call(command, GOOD[command])


@pytest.mark.parametrize("command", GOOD)
@pytest.mark.parametrize("argsz", [0, 1, 15])
def test_argsz_too_small(client, refused, command, argsz):
    with refused(EINVAL):
        client.call(command, struct.pack("=I", argsz) + GOOD[command][4:])
    client.call(command, GOOD[command])


@pytest.mark.parametrize("command", GOOD)
def test_argsz_huge_is_only_room(client, command):
    small = client.call(command, GOOD[command])
    assert client.call(command, b"\xff" * 4 + GOOD[command][4:]) == small


@pytest.mark.parametrize("command", GOOD)
@pytest.mark.parametrize("n", [1, 16, 200])
def test_with_descriptors(client, refused, command, n):
    memory = vfu.Memory(vfu.PAGE)
    with refused(EINVAL):
        client.call(command, GOOD[command], [memory.fd] * n)
    client.call(command, GOOD[command])


@pytest.mark.parametrize("index", [9, 100, 0x7fffffff, 0x80000000, 0xffffffff])
def test_bad_region(client, refused, index):
    with refused(EINVAL):
        client.get_region_info(index)
    with refused(EINVAL):
        client.call(vfu.GET_REGION_IO_FDS,
                    struct.pack("=IIII", 16, 0, index, 0))
    client.get_region_info(0)


@pytest.mark.parametrize("index", [5, 100, 0x7fffffff, 0x80000000, 0xffffffff])
def test_bad_irq(client, refused, index):
    with refused(EINVAL):
        client.get_irq_info(index)
    client.get_irq_info(0)


@pytest.mark.parametrize("flags, count", [(1, 0), (0, 1), (0, 0xffffffff)])
def test_io_fds_fields_that_must_be_zero(client, refused, flags, count):
    with refused(EINVAL):
        client.call(vfu.GET_REGION_IO_FDS,
                    struct.pack("=IIII", 16, flags, 0, count))
