# SPDX-License-Identifier: Apache-2.0
"""Clients that come back: to the state they left, if they can name it."""
import struct
import time

import pytest

import e1000
import vfu
from vfu import INTX, IRQ_EVENTFD, IRQ_TRIGGER

KEY = "backplane_session"
WRITES = "backplane_writes"


def negotiate(server, name):
    """A client that shows a session's name; also the server's capabilities."""
    end = time.monotonic() + vfu.DEADLINE
    while True:
        try:
            client = server.client(negotiate=False)
            caps = client.negotiate(capabilities={KEY: name,
                                                  "write_multiple": True})[2]
            return client, caps
        except (vfu.Disconnected, ConnectionError):
            # The one before has just gone; but has it been noticed?
            assert time.monotonic() < end


def connect(server, name):
    """The same, and the name that holds then."""
    client, caps = negotiate(server, name)
    return client, caps[KEY]


def test_who_does_not_ask_is_offered_none(server):
    client = server.client(negotiate=False)
    caps = client.negotiate()[2]
    assert KEY not in caps and WRITES not in caps


def test_writes_are_counted(server):
    """Messages that write regions, whatever has come of them."""
    client, caps = negotiate(server, "")
    name = caps[KEY]
    assert caps[WRITES] == 0
    client.write16(e1000.COMMAND, e1000.IO_AND_MEMORY)
    client.write32(e1000.RDLEN, 0x1000)
    client.write32(e1000.RDLEN, 0x2000, posted=True)
    multi = struct.pack("=Q", 2) + 2 * struct.pack(
        "=QIIQ", e1000.RDLEN, vfu.BAR0, 4, 0x3000)
    client.call(vfu.REGION_WRITE_MULTI, multi)
    for size in (0, 8):         # of no region; shorter than it says
        with pytest.raises(vfu.VfuError):
            client.call(vfu.REGION_WRITE,
                        struct.pack("=QII", 0, vfu.VGA, 4) + bytes(size))
    client.call(vfu.REGION_READ, struct.pack("=QII", e1000.RDLEN, vfu.BAR0, 4))
    client.reset()
    client.close()
    client, caps = negotiate(server, name)
    assert (caps[KEY], caps[WRITES]) == (name, 6)
    client.write32(e1000.RDLEN, 0x1000)
    client.close()
    client, caps = negotiate(server, name)
    assert caps[WRITES] == 7
    client.close()
    client, caps = negotiate(server, "")
    assert caps[KEY] != name and caps[WRITES] == 0


def test_the_count_tells_which_writes_are_done(server):
    """A reply that nobody takes ends the connection: what came before it is
    done and counted, what comes after it is neither."""
    client, caps = negotiate(server, "")
    name, done = caps[KEY], 1
    client.write16(e1000.COMMAND, e1000.IO_AND_MEMORY)
    for before, after in ((0, 0), (0, 1), (1, 0), (3, 2), (20, 20)):
        with server.stopped():
            for i in range(before + after):
                if i == before:
                    client.send(vfu.REGION_READ, struct.pack(
                        "=QII", e1000.RDLEN, vfu.BAR0, 4))
                client.write32(e1000.RDLEN, 0x80 * (i + 1), posted=True)
            client.close()
        client, caps = negotiate(server, name)
        done += before
        assert (caps[KEY], caps[WRITES]) == (name, done)
        if before:
            assert client.read32(e1000.RDLEN) == 0x80 * before


def test_a_write_cut_in_two_is_not_done(server):
    client, caps = negotiate(server, "")
    client.write16(e1000.COMMAND, e1000.IO_AND_MEMORY)
    message = client.message(
        vfu.REGION_WRITE, struct.pack("=QIII", e1000.RDLEN, vfu.BAR0, 4, 128),
        flags=vfu.NO_REPLY)
    client.send_raw(message[:-1])
    client.close()
    client, again = negotiate(server, caps[KEY])
    assert again[WRITES] == 1
    assert client.read32(e1000.RDLEN) == 0


@pytest.mark.parametrize("value", ["1", -1, 1.5, True, None, [], 1 << 64])
def test_a_count_that_is_no_number(server, refused, value):
    client = server.client(negotiate=False)
    with refused(22):
        client.negotiate(capabilities={KEY: "", WRITES: value})


@pytest.mark.parametrize("value", [0, 1, (1 << 63) - 1])
def test_the_count_is_the_servers(server, value):
    client = server.client(negotiate=False)
    caps = client.negotiate(capabilities={KEY: "", WRITES: value})[2]
    assert caps[WRITES] == 0
    client.close()
    # Nor does it make a session.
    client = server.reconnect(negotiate=False)
    assert WRITES not in client.negotiate(capabilities={WRITES: value})[2]


def test_comes_back(server):
    client, name = connect(server, "")
    assert len(name) == 32
    client.write16(e1000.COMMAND, e1000.IO_AND_MEMORY)
    client.write32(e1000.RDLEN, 0x1000)
    client.write32(e1000.IMS, 4)
    client.write32(e1000.ICS, 4)
    client.close()
    client, again = connect(server, name)
    assert again == name
    assert client.read32(e1000.RDLEN) == 0x1000
    # The interrupt is still high, and signalled anew.
    irq = vfu.EventFd()
    client.set_irqs(INTX, IRQ_EVENTFD | IRQ_TRIGGER, 0, 1, fds=[irq.fd])
    assert irq.count() == 1


def test_dma_waits_for_its_memory(server):
    """Rings are known, memory is not: frames are lost until it is."""
    client, name = connect(server, "")
    card = e1000.Driver(client).start()
    other = e1000.Driver(server.client(1)).start()
    other.send(e1000.frame("here"))
    assert card.receive() == e1000.frame("here")
    client.close()
    time.sleep(0.1)
    pattern = b"\xa5" * 0x100
    card.mem[0x30000:0x30100] = pattern
    for i in range(3):
        other.send(e1000.frame(f"lost {i}"))
    other.client.read32(e1000.STATUS)
    card.client, _ = connect(server, name)
    card.client.dma_map(0, e1000.MEM_SIZE, card.mem.fd)
    assert card.receive(0.1) is None
    other.send(e1000.frame("back"))
    assert card.receive() == e1000.frame("back")
    assert card.mem[0x30000:0x30100] == pattern


@pytest.mark.parametrize("show", [None, "", "0" * 32, "0" * 31, "x" * 32,
                                  "0" * 1000])
def test_anybody_else_finds_it_as_new(server, show):
    client, name = connect(server, "")
    client.write16(e1000.COMMAND, e1000.IO_AND_MEMORY)
    client.write32(e1000.RDLEN, 0x1000)
    client.close()
    if show is None:
        client = server.reconnect()
        client.write16(e1000.COMMAND, 0)
    else:
        client, again = connect(server, show)
        assert again != name
    assert client.read16(e1000.COMMAND) == 0
    client.write16(e1000.COMMAND, e1000.IO_AND_MEMORY)
    assert client.read32(e1000.RDLEN) == 0
    client.close()
    # And what there was is gone for who had it.
    client, again = connect(server, name)
    assert again != name


def test_who_says_nothing_changes_nothing(server):
    client, name = connect(server, "")
    client.write16(e1000.COMMAND, e1000.IO_AND_MEMORY)
    client.write32(e1000.RDLEN, 0x1000)
    client.close()
    time.sleep(0.1)
    server.client(negotiate=False).close()
    client, again = connect(server, name)
    assert again == name
    assert client.read32(e1000.RDLEN) == 0x1000


@pytest.mark.parametrize("value", [1, None, True, [], {}])
def test_a_name_that_is_no_string(server, refused, value):
    client = server.client(negotiate=False)
    with refused(22):
        client.negotiate(capabilities={KEY: value})
