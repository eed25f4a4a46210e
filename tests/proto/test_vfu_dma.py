# SPDX-License-Identifier: Apache-2.0
"""DMA_MAP and DMA_UNMAP."""
import os
import struct
from errno import EDQUOT, EEXIST, EINVAL, ENOENT, ENOSPC, EPERM

import pytest

import vfu
from conftest import wait_for
from vfu import PAGE


@pytest.fixture
def memory():
    return vfu.Memory(16 * PAGE)


def test_maps_and_unmaps(client, memory):
    client.dma_map(0, 4 * PAGE, memory.fd)
    client.dma_map(4 * PAGE, 4 * PAGE, memory.fd, offset=8 * PAGE)
    client.dma_unmap(0, 4 * PAGE)
    client.dma_map(0, PAGE, memory.fd)
    client.dma_unmap(0, 8 * PAGE)


def test_map_without_memory_is_accepted(client):
    client.dma_map(0xc0000, 0x20000, prot=vfu.READ)
    client.dma_unmap(0xc0000, 0x20000)


def test_descriptors_are_not_kept(server, client, memory):
    before = server.count_fds()
    for i in range(16):
        client.dma_map(i * PAGE, PAGE, memory.fd, offset=i * PAGE)
    assert wait_for(lambda: server.count_fds() == before)


def test_unmap_all(client, memory):
    for i in range(8):
        client.dma_map(2 * i * PAGE, PAGE, memory.fd)
    client.dma_unmap(0, 0, vfu.UNMAP_ALL)
    client.dma_map(0, 16 * PAGE, memory.fd)


def test_posted_map_is_not_answered(client, memory):
    client.send(vfu.DMA_MAP, struct.pack("=IIQQQ", 32, 3, 0, 0, PAGE),
                vfu.NO_REPLY, [memory.fd])
    client.dma_unmap(0, PAGE)


@pytest.mark.parametrize("length", [0, 1, 31, 33, 64, 4096])
def test_map_of_a_wrong_size(client, refused, memory, length):
    good = struct.pack("=IIQQQ", 32, 3, 0, 0, PAGE)
    with refused(EINVAL):
        client.call(vfu.DMA_MAP, good.ljust(length, b"\0")[:length],
                    [memory.fd])
    client.dma_map(0, PAGE, memory.fd)


@pytest.mark.parametrize("argsz", [0, 31])
def test_map_argsz(client, refused, memory, argsz):
    with refused(EINVAL):
        client.dma_map(0, PAGE, memory.fd, argsz=argsz)


@pytest.mark.parametrize("prot", [0, 4, 8, 0x80000003, 0xffffffff])
def test_map_flags(client, refused, memory, prot):
    with refused(EINVAL):
        client.dma_map(0, PAGE, memory.fd, prot=prot)
    client.dma_map(0, PAGE, memory.fd)


@pytest.mark.parametrize("addr, size, offset", [
    (0, 0, 0),				# empty
    (1, PAGE, 0), (0, PAGE + 1, 0), (0, PAGE, 1),	# not pages
    (0, 17 * PAGE, 0), (0, PAGE, 16 * PAGE),		# beyond the file
    (0, 2 * PAGE, 15 * PAGE), (0, PAGE, 2**64 - PAGE),
    (0, 2**64 - PAGE, 2 * PAGE),	# offset + size wraps
    (2**64 - PAGE, 2 * PAGE, 0),	# addr + size wraps
    (PAGE, 2**64 - PAGE, 0)])
def test_map_bad_range(client, refused, memory, addr, size, offset):
    with refused(EINVAL):
        client.dma_map(addr, size, memory.fd, offset)
    client.dma_map(0, PAGE, memory.fd)


def test_map_over_another(client, refused, memory):
    client.dma_map(4 * PAGE, 4 * PAGE, memory.fd)
    for addr, size in ((4, 4), (0, 5), (7, 1), (0, 16), (5, 1)):
        with refused(EEXIST):
            client.dma_map(addr * PAGE, size * PAGE, memory.fd)


@pytest.mark.parametrize("n", [2, 16, 17, 200])
def test_map_with_many_descriptors(client, refused, memory, n):
    with refused(EINVAL):
        client.call(vfu.DMA_MAP, struct.pack("=IIQQQ", 32, 3, 0, 0, PAGE),
                    [memory.fd] * n)
    client.dma_map(0, PAGE, memory.fd)


def test_map_of_other_files(client, refused, tmp_path, memory):
    path = tmp_path / "file"
    path.write_bytes(bytes(PAGE))
    pipe = os.pipe()
    read_only = os.open(f"/proc/self/fd/{memory.fd}", os.O_RDONLY)
    socket_fd = client.sock.fileno()
    null = os.open("/dev/null", os.O_RDWR)
    for fd in (null, *pipe, socket_fd):
        with refused(EPERM):
            client.dma_map(0, PAGE, fd)
    with refused(EPERM):
        client.dma_map(0, PAGE, read_only)
    client.dma_map(0, PAGE, read_only, prot=vfu.READ)
    for fd in (null, *pipe, read_only):
        os.close(fd)


def test_map_of_an_empty_file(client, refused):
    empty = vfu.Memory(PAGE)
    empty.truncate(0)
    with refused(EINVAL):
        client.dma_map(0, PAGE, empty.fd)


def test_quota_of_ranges(client, refused, memory):
    n = 0
    with refused(ENOSPC):
        for n in range(70000):
            client.dma_map(2 * n * PAGE, PAGE)
    assert n >= 1024
    client.dma_unmap(0, 0, vfu.UNMAP_ALL)
    client.dma_map(0, PAGE, memory.fd)


def test_quota_of_files(client, refused):
    memories = []
    with refused(EDQUOT):
        for i in range(1000):
            memories.append(vfu.Memory(PAGE))
            client.dma_map(i * PAGE, PAGE, memories[-1].fd)
    assert len(memories) > 8


def test_quota_of_bytes(client, refused):
    fd = os.memfd_create("huge")
    os.ftruncate(fd, 1 << 50)
    with refused(EDQUOT):
        client.dma_map(0, PAGE, fd)
    os.close(fd)


@pytest.mark.parametrize("length", [0, 1, 23, 25, 40, 4096])
def test_unmap_of_a_wrong_size(client, refused, memory, length):
    client.dma_map(0, PAGE, memory.fd)
    good = struct.pack("=IIQQ", 24, 0, 0, PAGE)
    with refused(EINVAL):
        client.call(vfu.DMA_UNMAP, good.ljust(length, b"\0")[:length])
    client.dma_unmap(0, PAGE)


def test_unmap_argsz(client, refused, memory):
    client.dma_map(0, PAGE, memory.fd)
    with refused(EINVAL):
        client.dma_unmap(0, PAGE, argsz=23)
    client.dma_unmap(0, PAGE)


@pytest.mark.parametrize("flags", [1, 3, 4, 0x80000000, 0xffffffff])
def test_unmap_flags(client, refused, memory, flags):
    client.dma_map(0, PAGE, memory.fd)
    with refused(EINVAL):
        client.dma_unmap(0, PAGE, flags)
    client.dma_unmap(0, PAGE)


@pytest.mark.parametrize("addr, size", [(0, PAGE), (PAGE, 0)])
def test_unmap_all_with_a_range(client, refused, addr, size):
    with refused(EINVAL):
        client.dma_unmap(addr, size, vfu.UNMAP_ALL)


@pytest.mark.parametrize("addr, size", [
    (0, 2 * PAGE), (PAGE, 3 * PAGE), (PAGE, PAGE), (0, 0),
    (PAGE, 2**64 - 1), (2**64 - 1, 2)])
def test_unmap_of_part_of_a_range(client, refused, memory, addr, size):
    client.dma_map(0, 4 * PAGE, memory.fd)
    with refused(EINVAL):
        client.dma_unmap(addr, size)
    client.dma_unmap(0, 4 * PAGE)


def test_unmap_of_nothing(client, refused):
    with refused(ENOENT):
        client.dma_unmap(0, PAGE)
    with refused(ENOENT):
        client.dma_unmap(0, 2**64 - 1)


def test_unmap_with_a_descriptor(client, refused, memory):
    client.dma_map(0, PAGE, memory.fd)
    with refused(EINVAL):
        client.call(vfu.DMA_UNMAP, struct.pack("=IIQQ", 24, 0, 0, PAGE),
                    [memory.fd])
    client.dma_unmap(0, PAGE)
