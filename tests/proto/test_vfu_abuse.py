# SPDX-License-Identifier: Apache-2.0
"""Rows T10, T14, T15 and T17 of the classes of flaws: selectors out of range,
every message in every wrong form, clients that go at each step, bytes in replies
that nobody has put there."""
import struct

import pytest

import e1000
import vfu
from conftest import wait_for
from vfu import (CONFIG, INTX, IRQ_EVENTFD, IRQ_MASK, IRQ_NONE, IRQ_TRIGGER,
                 IRQ_UNMASK)

FULL_PORT = 2
EDGES = [1, 2, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff]

# A good payload of each command there is.
GOOD = {
    vfu.VERSION: struct.pack("=HH", 0, 0),
    vfu.DMA_MAP: struct.pack("=IIQQQ", 32, 3, 0, 0, vfu.PAGE),
    vfu.DMA_UNMAP: struct.pack("=IIQQ", 24, 0, 0, vfu.PAGE),
    vfu.GET_INFO: struct.pack("=IIII", 16, 0, 0, 0),
    vfu.GET_REGION_INFO: struct.pack("=IIIIQQ", 32, 0, 0, 0, 0, 0),
    vfu.GET_REGION_IO_FDS: struct.pack("=IIII", 16, 0, 0, 0),
    vfu.GET_IRQ_INFO: struct.pack("=IIII", 16, 0, 0, 0),
    vfu.SET_IRQS: struct.pack("=IIIII", 20, IRQ_NONE | IRQ_TRIGGER, 0, 0, 0),
    vfu.REGION_READ: struct.pack("=QII", 0, CONFIG, 4),
    vfu.REGION_WRITE: struct.pack("=QIII", 0x3c, CONFIG, 4, 0),
    vfu.DMA_READ: struct.pack("=QQ", 0, 4),
    vfu.DMA_WRITE: struct.pack("=QQI", 0, 4, 0),
    vfu.RESET: b"",
    vfu.DIRTY_PAGES: bytes(16),
    vfu.REGION_WRITE_MULTI: struct.pack("=QQII8s", 1, 0x3c, CONFIG, 4,
                                        bytes(8)),
    vfu.DEVICE_FEATURE: bytes(16),
    vfu.MIG_DATA_READ: bytes(16),
    vfu.MIG_DATA_WRITE: bytes(16),
}


def answered(client, command, payload, fds=(), flags=0):
    """Sent, and answered once, with this number: error or not."""
    msg_id = client.next_id
    client.send(command, payload, flags, fds)
    reply = client.recv()
    assert (reply.id, reply.command) == (msg_id, command)
    return reply


def test_t10_vectors_regions_and_interrupts_that_are_not_there(server):
    client = server.client(FULL_PORT)
    event = vfu.EventFd()
    for index in range(5):
        n = client.get_irq_info(index)[1]
        for start in [n, n + 1] + EDGES:
            for count in [0, 1] + EDGES:
                if start + count <= n:
                    continue
                for flags in (IRQ_NONE | IRQ_TRIGGER, IRQ_NONE | IRQ_MASK,
                              IRQ_NONE | IRQ_UNMASK):
                    assert answered(client, vfu.SET_IRQS, struct.pack(
                        "=IIIII", 20, flags, index, start, count)).is_error
            assert answered(client, vfu.SET_IRQS, struct.pack(
                "=IIIII", 20, IRQ_EVENTFD | IRQ_TRIGGER, index, start, 1),
                [event.fd]).is_error
    for index in [5, 9, 10, 100] + EDGES[2:]:
        assert answered(client, vfu.GET_IRQ_INFO, struct.pack(
            "=IIII", 16, 0, index, 0)).is_error
        if index != 5:
            assert answered(client, vfu.REGION_READ, struct.pack(
                "=QII", 0, index, 1)).is_error
    for region, size in ((0, 0x20000), (1, 64), (CONFIG, 256)):
        for offset in [size, size + 1, 2**63, 2**64 - 1, 2**64 - 4]:
            for command, data in ((vfu.REGION_READ, b""),
                                  (vfu.REGION_WRITE, bytes(4))):
                assert answered(client, command, struct.pack(
                    "=QII", offset, region, 4) + data).is_error


@pytest.mark.parametrize("command", range(0, 24))
def test_t14_each_message_in_every_wrong_form(server, command):
    """Too short, too long, with descriptors it has no use for, as a reply, with
    flags that mean nothing: an answer to each, and nothing stays open."""
    client = server.client()
    memory = vfu.Memory(vfu.PAGE)
    good = GOOD.get(command, b"")
    for cut in range(len(good)):
        reply = answered(client, command, good[:cut])
        assert reply.is_error and not reply.payload
    for more in 1, 8, 4096, 65536:
        answered(client, command, good + bytes(more))
    for n in 1, 2, 16:
        answered(client, command, good, [memory.fd] * n)
    for flags in 0x40, 0x80000000, 2, 0xf:
        client.send(command, good, flags)
        assert client.recv().is_error
    client.send(command, good, vfu.REPLY)
    client.send(command, good, vfu.NO_REPLY)
    assert client.silent(0.02)
    client.get_info()


def test_t14_floods(server):
    """The same again and again: maps, eventfds, descriptors."""
    client = server.client()
    memory, event = vfu.Memory(vfu.PAGE), vfu.EventFd()
    n_fds = server.count_fds()
    for i in range(300):
        answered(client, vfu.DMA_MAP, GOOD[vfu.DMA_MAP], [memory.fd])
        answered(client, vfu.SET_IRQS, struct.pack(
            "=IIIII", 20, IRQ_EVENTFD | IRQ_TRIGGER, INTX, 0, 1), [event.fd])
        answered(client, vfu.SET_IRQS, struct.pack(
            "=IIIII", 20, IRQ_EVENTFD | IRQ_UNMASK, INTX, 0, 1), [event.fd])
        answered(client, vfu.RESET, b"", [event.fd] * 16)
    # The map's file, the interrupt's eventfd, and the one that unmasks it.
    assert wait_for(lambda: server.count_fds() <= n_fds + 3)


def sending(card):
    for i in range(8):
        card.send(e1000.frame(f"{i}"))


STEPS = {
    "mapped": lambda card: None,
    "rings": lambda card: card.start(),
    "sending": lambda card: (card.start(), sending(card)),
    "sent and unmapped": lambda card: (
        card.start(), sending(card),
        card.client.send(vfu.DMA_UNMAP, struct.pack(
            "=IIQQ", 24, 0, 0, e1000.MEM_SIZE))),
    "sent and reset": lambda card: (
        card.start(), sending(card), card.client.send(vfu.RESET)),
    "sent and off the bus": lambda card: (
        card.start(), sending(card),
        card.client.write16(e1000.COMMAND, 0, CONFIG)),
    "sent and asleep": lambda card: (
        card.start(), sending(card), card.client.write16(0xe0, 3)),
    "truncated": lambda card: (
        card.start(), card.mem.truncate(vfu.PAGE), sending_blind(card)),
}


def sending_blind(card):
    """The memory is gone: only the doorbell."""
    card.client.write32(e1000.TDT, 3, posted=True)


@pytest.mark.parametrize("step", STEPS, ids=lambda name: name.replace(" ", "_"))
def test_t15_gone_at_each_step(server, step):
    """The next client finds a card as new, on memory of its own."""
    b = e1000.Driver(server.client(1)).start()
    for _ in range(3):
        card = e1000.Driver(server.reconnect(FULL_PORT))
        STEPS[step](card)
        b.send(e1000.frame("to all"))
        card.client.close()
        while b.receive(0.02):
            pass
    card = e1000.Driver(server.reconnect(FULL_PORT)).start()
    b.send(e1000.frame("anew"))
    assert card.receive() == e1000.frame("anew")
    card.send(e1000.frame("and back"))
    assert b.receive() == e1000.frame("and back")


def test_t17_replies_hold_nothing_stale(server):
    """The same answers, whatever was in the buffers before: ones or zeroes."""
    client = server.client()
    answers = []
    for region, byte in (6, b"\xff"), (0, b"\0"):
        got = []
        for command, payload in GOOD.items():
            if command == vfu.VERSION:
                continue
            at = 0 if region else 0x10000
            client.write16(e1000.COMMAND, e1000.MEMORY_AND_MASTER)
            assert client.region_read(region, at, 0x8000) == byte * 0x8000
            for argsz in None, 2**16, 2**32 - 1:
                if argsz and len(payload) >= 4:
                    payload = struct.pack("=I", argsz) + payload[4:]
                got.append(answered(client, command, payload).payload)
        answers.append(got)
    assert answers[0] == answers[1]
