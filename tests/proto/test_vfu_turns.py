# SPDX-License-Identifier: Apache-2.0
"""Row T16 of the classes of flaws: a client that asks for all it can on the
worker that serves others, too."""
import multiprocessing
import statistics
import struct
import time

import pytest

import e1000
import vfu

BAR_SIZE = 0x20000
AHEAD, BATCH = 64, 16	# messages
WHOLE = struct.pack("=QII", 0, vfu.BAR0, BAR_SIZE)


def registers(client):
    """Some with values, far from each other."""
    for n, off in enumerate((e1000.RDLEN, e1000.TDLEN, 0x5200, 0x53fc, 0x5400)):
        client.write32(off, 0x80 * (n + 1))


@pytest.mark.parametrize("off, count", [
    (0, BAR_SIZE), (1, BAR_SIZE - 1), (e1000.RDBAL, 0x8003)])
def test_a_long_read_is_that_of_its_words(client, off, count):
    registers(client)
    whole = client.region_read(vfu.BAR0, off, count)
    at = (off + 3) & ~3
    for end in range(at + 256, off + count, 256):
        if at >= 0x100:		# ICR is cleared, and the link comes up
            assert whole[at - off:end - off] == \
                client.region_read(vfu.BAR0, at, end - at)
        at = end


def test_a_long_write_is_that_of_its_words(client):
    table = bytes(i * 7 & 0xff for i in range(0x200))
    data = bytearray(BAR_SIZE)
    data[0x5200:0x5400] = table			# multicast
    data[0x5600:0x5800] = table			# VLANs
    client.region_write(vfu.BAR0, 0, bytes(data))
    assert client.region_read(vfu.BAR0, 0x5200, 0x200) == table
    assert client.region_read(vfu.BAR0, 0x5600, 0x200) == table


def test_long_and_short_ones_keep_their_order(client):
    """Sent at once; what comes behind a long one waits for it."""
    client.send_raw(b"".join(
        client.message(vfu.REGION_READ, WHOLE) +
        client.message(vfu.REGION_WRITE, struct.pack(
            "=QIII", e1000.RDLEN, vfu.BAR0, 4, 0x80 * n)) +
        client.message(vfu.GET_INFO, struct.pack("=IIII", 16, 0, 0, 0))
        for n in range(1, 5)))
    first = client.next_id - 12
    for n in range(4):
        reply = client.recv()
        assert not reply.is_error
        assert reply.id == first + 3 * n and len(reply.payload) == 16 + BAR_SIZE
        at = 16 + e1000.RDLEN
        assert reply.payload[at:at + 4] == struct.pack("=I", 0x80 * n)
        assert client.recv().id == first + 3 * n + 1
        assert client.recv().id == first + 3 * n + 2


def test_gone_amid_a_long_access(server):
    for command, data in ((vfu.REGION_READ, b""),
                          (vfu.REGION_WRITE, bytes(BAR_SIZE))):
        for _ in range(10):
            with server.reconnect() as client:
                client.send(command, WHOLE + data)
    assert server.reconnect().read32(e1000.RDLEN) == 0


def hog(path, command, n_done, stop):
    """Whole regions, AHEAD of them on the way at any time; one in BATCH is
    answered, so that it takes no time to read replies."""
    client = vfu.VfuClient(path)
    client.write16(e1000.COMMAND, e1000.IO_AND_MEMORY)
    data = WHOLE + (bytes(BAR_SIZE) if command == vfu.REGION_WRITE else b"")
    batch = client.message(command, data, vfu.NO_REPLY) * (BATCH - 1) + \
        client.message(command, data)
    for _ in range(AHEAD // BATCH):
        client.send_raw(batch)
    while not stop.is_set():
        client.recv()
        n_done.value += BATCH
        client.send_raw(batch)
    client.close()


@pytest.mark.parametrize("command", [vfu.REGION_READ, vfu.REGION_WRITE])
def test_t16_whole_regions_do_not_hold_up_others(server, client, command):
    """A read of one register takes less time than a whole region of somebody
    else's, however many of those wait."""
    fork = multiprocessing.get_context("fork")
    n_done, stop = fork.Value("q", 0), fork.Event()
    other = fork.Process(target=hog, daemon=True, args=(
        server.paths[1], command, n_done, stop))
    other.start()
    try:
        end = time.monotonic() + vfu.DEADLINE
        while n_done.value < AHEAD:
            assert other.is_alive() and time.monotonic() < end
            time.sleep(0.001)
        begin, n_before, took = time.monotonic(), n_done.value, []
        while len(took) < 100 or n_done.value - n_before < AHEAD:
            before = time.monotonic()
            client.read32(e1000.STATUS)
            took.append(time.monotonic() - before)
            time.sleep(0.001)
        whole = (time.monotonic() - begin) / (n_done.value - n_before)
    finally:
        stop.set()
        other.join(vfu.DEADLINE)
        other.kill()
    assert statistics.median(took) < whole
