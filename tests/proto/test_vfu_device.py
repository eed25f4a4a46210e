# SPDX-License-Identifier: Apache-2.0
"""Whose memory a card reaches, and when it stops: clients that vanish, come
back, or pull their memory away, with the card's rings running."""
import time

import pytest

import e1000
import vfu
from conftest import wait_for
from e1000 import frame


@pytest.fixture
def server(own_server):
    """What is logged matters here, and each thing is logged once a second."""
    return own_server


@pytest.fixture
def pair(server):
    """Two cards with running rings."""
    return [e1000.Driver(server.client(i)).start() for i in range(2)]


def test_frames_pass(pair):
    a, b = pair
    for i in range(3 * e1000.N_DESC):
        a.send(frame(f"to b {i}"))
        assert b.receive() == frame(f"to b {i}")
        b.send(frame(f"to a {i}"))
        assert a.receive() == frame(f"to a {i}")


def test_no_frame_comes_back_to_its_sender(pair):
    a, b = pair
    a.send(frame("hello"))
    assert b.receive()
    assert a.receive(0.1) is None


def test_rings_of_a_dead_client_do_not_reach_the_next_ones_memory(server,
                                                                  pair):
    a, b = pair
    b.send(frame("before"))
    assert a.receive() == frame("before")
    a.client.close()
    client = server.reconnect(0)
    memory = vfu.Memory(e1000.MEM_SIZE)
    pattern = b"\xa5" * e1000.MEM_SIZE
    memory[:] = pattern
    client.dma_map(0, e1000.MEM_SIZE, memory.fd)
    # The new guest lets the card on the bus before it sets up anything.
    client.write16(e1000.COMMAND, e1000.MEMORY_AND_MASTER)
    for i in range(20):
        b.send(frame(f"for the dead {i}"))
    time.sleep(0.2)
    client.get_info()
    assert memory[:] == pattern


def test_frames_of_a_dead_client_are_not_sent_from_the_next_ones_memory(
        server, pair):
    a, b = pair
    a.client.close()
    client = server.reconnect(0)
    new = e1000.Driver(client)
    secret = frame("secret")
    for i in range(e1000.N_DESC):
        at = e1000.TX_BUFS + e1000.BUF_SIZE * i
        new.mem[at:at + len(secret)] = secret
    client.write32(e1000.TDT, 8)
    assert client.read32(e1000.TDLEN) == 0
    assert b.receive(0.2) is None


def test_a_client_killed_at_any_moment(server, pair):
    """Leaves the others exchanging frames."""
    b = pair[1]
    c = e1000.Driver(server.client(2)).start()
    pair[0].client.close()
    for i in range(10):
        a = e1000.Driver(server.reconnect(0))
        steps = [lambda a=a: a.start(),
                 lambda a=a: [a.send(frame("x")) for _ in range(10)],
                 lambda a=a: b.send(frame("to all")),
                 lambda a=a: a.client.send(vfu.RESET),
                 lambda a=a: a.client.send_raw(b"half a mes")]
        for step in steps[:i % 6]:
            step()
        a.client.close()
        while b.receive(0.02) or c.receive(0.02):
            pass
        b.send(frame(f"still here {i}"))
        assert c.receive() == frame(f"still here {i}")


def test_unmapped_memory_is_not_touched(pair):
    a, b = pair
    b.send(frame("before"))
    assert a.receive() == frame("before")
    a.client.dma_unmap(0, e1000.MEM_SIZE)
    image = a.mem[:]
    for i in range(20):
        b.send(frame(f"after {i}"))
    time.sleep(0.1)
    a.client.get_info()
    assert a.mem[:] == image


def test_memory_mapped_again_is_used_again(pair):
    a, b = pair
    a.client.dma_unmap(0, e1000.MEM_SIZE)
    a.client.dma_map(0, e1000.MEM_SIZE // 2, a.mem.fd)
    a.client.dma_map(e1000.MEM_SIZE // 2, e1000.MEM_SIZE // 2, a.mem.fd,
                     e1000.MEM_SIZE // 2)
    b.send(frame("again"))
    assert a.receive() == frame("again")


def test_not_bus_master_means_no_dma(pair):
    a, b = pair
    a.client.write16(e1000.COMMAND, 2)
    b.send(frame("nobody may write that"))
    assert a.receive(0.1) is None


def test_a_reset_stops_the_rings_and_keeps_the_maps(pair):
    a, b = pair
    a.client.reset()
    b.send(frame("lost"))
    assert a.receive(0.1) is None
    a.client.write16(e1000.COMMAND, e1000.MEMORY_AND_MASTER)
    a.rx_next = a.tx_next = 0
    a.start()
    b.send(frame("found"))
    assert a.receive() == frame("found")


def test_memory_not_shared(server, pair):
    """DMA to it is refused, with one message that says what to do."""
    b = pair[1]
    client = server.client(2)
    client.dma_map(0, e1000.MEM_SIZE)
    client.write16(e1000.COMMAND, e1000.MEMORY_AND_MASTER)
    client.write32(e1000.RDBAL, e1000.RX_RING)
    client.write32(e1000.RDLEN, 16 * e1000.N_DESC)
    client.write32(e1000.RCTL, e1000.EN | e1000.BAM | e1000.UPE)
    client.write32(e1000.RDT, e1000.N_DESC - 1)
    for i in range(10):
        b.send(frame(f"to nowhere {i}"))
    assert wait_for(lambda: "share=on" in server.log())
    assert server.log().count("share=on") == 1
    client.get_info()


@pytest.mark.parametrize("left", [0, e1000.RX_RING, e1000.RX_BUFS])
def test_truncated_memory_breaks_that_card_alone(server, pair, left):
    """Rings gone, or rings there and buffers gone."""
    a, b = pair
    c = e1000.Driver(server.client(2)).start()
    a.mem.truncate(left)
    b.send(frame("to all"))
    assert c.receive() == frame("to all")
    assert a.client.is_disconnected()
    assert "truncated" in server.log()
    for i in range(20):
        b.send(frame(f"to c {i}"))
        assert c.receive() == frame(f"to c {i}")
    # Whoever connects there next has a card that works.
    again = e1000.Driver(server.reconnect(0)).start()
    b.send(frame("to all again"))
    assert again.receive() == frame("to all again")


def test_truncated_memory_while_sending(server, pair):
    a, b = pair
    a.mem.truncate(e1000.TX_RING)
    a.client.write32(e1000.TDT, 4, posted=True)
    assert a.client.is_disconnected()
    b.client.get_info()


def test_memory_shared_by_two_cards(server):
    """One guest with two cards: each has the same memory, mapped once."""
    a = e1000.Driver(server.client(0))
    other = server.client(1)
    before = server.count_fds()
    other.dma_map(0, e1000.MEM_SIZE, a.mem.fd)
    assert wait_for(lambda: server.count_fds() == before)
    other.close()
    a.start()
    b = e1000.Driver(server.client(2)).start()
    b.send(frame("hello"))
    assert a.receive() == frame("hello")
