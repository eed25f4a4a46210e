# SPDX-License-Identifier: Apache-2.0
"""Registers in memory shared with the client: who gets them, and what a hostile
client can do with the page.  The layout is that of src/pci/shared_regs.h."""
import contextlib
import fcntl
import mmap
import os
import random
import struct
import time

import pytest

import e1000
import vfu
from conftest import wait_for
from vfu import BAR0, INTX, IRQ_EVENTFD, IRQ_TRIGGER

RDTR = 0x2820
KEY = "backplane_shared_registers"
TYPE = 0x4250
PAGE = 4096
N_DONE, CLOSED, WORDS = 0, 8, 80
ICR, IMS, STATUS, RDT, TDT, ASLEEP = range(6)


class Page:
    TAILS = {e1000.RDT: RDT, e1000.TDT: TDT}
    ASLEEP = ASLEEP

    def __init__(self, fd):
        self.fd = fd
        self.map = mmap.mmap(fd, PAGE)

    def word(self, i, value=None):
        if value is not None:
            struct.pack_into("=I", self.map, WORDS + 4 * i, value)
        return struct.unpack_from("=I", self.map, WORDS + 4 * i)[0]

    def n_done(self):
        return struct.unpack_from("=Q", self.map, N_DONE)[0]

    def close(self):
        self.map.close()
        os.close(self.fd)


@pytest.fixture
def sharing(server):
    """A client with its page."""
    client = server.client(negotiate=False)
    caps = client.negotiate(capabilities={KEY: True, "max_msg_fds": 8})[2]
    assert caps[KEY] is True
    client.write16(e1000.COMMAND, e1000.MEMORY_AND_MASTER)
    _argsz, subs, fds = client.get_region_io_fds(BAR0)
    assert [(sub[0], sub[1], sub[3]) for sub in subs] == [
        (e1000.ICR, 4, TYPE), (e1000.IMS, 4, TYPE), (e1000.IMC, 4, TYPE),
        (e1000.STATUS, 4, TYPE), (e1000.RDT, 4, TYPE), (e1000.TDT, 4, TYPE),
        (e1000.EECD, 4, TYPE)]
    assert len(fds) == 2
    page = Page(fds[0])
    page.call = fds[1]
    yield client, page
    page.close()
    os.close(fds[1])


def test_who_does_not_ask_gets_none(server):
    client = server.client(negotiate=False)
    assert KEY not in client.negotiate()[2]
    assert client.get_region_io_fds(BAR0)[1:] == ([], [])


@pytest.mark.parametrize("value", [1, "yes", None])
def test_a_wish_that_is_no_boolean(server, refused, value):
    client = server.client(negotiate=False)
    with refused(22):
        client.negotiate(capabilities={KEY: value})


def test_no_descriptors_no_page(server):
    client = server.client(negotiate=False)
    client.negotiate(capabilities={KEY: True, "max_msg_fds": 0})
    assert client.get_region_io_fds(BAR0)[1:] == ([], [])


def test_the_page_cannot_be_taken_away(sharing):
    _client, page = sharing
    seals = fcntl.fcntl(page.fd, fcntl.F_GET_SEALS)
    assert seals & fcntl.F_SEAL_SHRINK and seals & fcntl.F_SEAL_SEAL
    with pytest.raises(PermissionError):
        os.ftruncate(page.fd, 0)


def test_registers_and_page_are_one(sharing):
    client, page = sharing
    client.write32(e1000.IMC, 0xffffffff)
    client.read32(e1000.ICR)
    client.write32(e1000.ICS, 4)
    client.write32(e1000.IMS, 0x80)
    assert (page.word(ICR), page.word(IMS)) == (4, 0x80)
    assert page.word(STATUS) == client.read32(e1000.STATUS)
    page.word(IMS, 4)
    assert client.read32(e1000.IMS) == 4
    assert client.read32(e1000.ICR) == 4
    assert page.word(ICR) == 0


def test_posted_writes_are_counted_when_they_are_done(sharing):
    client, page = sharing
    before = page.n_done()
    for i in range(100):
        client.write32(RDTR, i, posted=True)
    assert client.read32(RDTR) == 99
    assert page.n_done() == before + 100
    client.write32(RDTR, 0)
    assert page.n_done() == before + 100


def test_who_takes_but_one_descriptor_gets_no_call(server):
    client = server.client(negotiate=False)
    client.negotiate(capabilities={KEY: True, "max_msg_fds": 1})
    _argsz, subs, fds = client.get_region_io_fds(BAR0)
    assert e1000.RDT in [sub[0] for sub in subs]
    assert e1000.TDT not in [sub[0] for sub in subs]
    for fd in fds:
        os.close(fd)


def test_tails_in_the_page(server, sharing):
    """Frames both ways without a message; the server sleeps in between."""
    client, page = sharing
    driver = e1000.Driver(client).start()
    other = e1000.Driver(server.client(1)).start()
    for i in range(20):
        driver.send(e1000.frame(f"there {i}"), page)
        assert other.receive()[14:].startswith(f"there {i}\0".encode())
        other.send(e1000.frame(f"back {i}", sender=b"\x52\x54\0\0\0\x02"))
        frame = driver.receive(page=page)
        assert frame[14:].startswith(f"back {i}\0".encode())
        assert wait_for(lambda: page.word(ASLEEP) == 1)
    assert client.read32(e1000.TDT) == driver.tx_next
    assert client.read32(e1000.TDH) == driver.tx_next


def test_calls_for_nothing(sharing):
    """An eventfd that is full, or has been read by the client itself."""
    client, page = sharing
    os.write(page.call, struct.pack("=Q", 0xfffffffffffffffe))
    for _ in range(100):
        with contextlib.suppress(BlockingIOError):
            os.write(page.call, struct.pack("=Q", 1))
        with contextlib.suppress(BlockingIOError):
            os.read(page.call, 8)
    assert client.read32(e1000.STATUS)


def test_the_page_is_closed_while_nothing_decodes(sharing):
    client, page = sharing
    assert struct.unpack_from("=Q", page.map, CLOSED)[0] == 0
    client.write16(e1000.COMMAND, 0)
    assert struct.unpack_from("=Q", page.map, CLOSED)[0]
    client.write16(e1000.COMMAND, e1000.IO_AND_MEMORY)
    assert struct.unpack_from("=Q", page.map, CLOSED)[0] == 0


def test_each_connection_has_its_own(server, sharing):
    client, page = sharing
    client.close()
    assert wait_for(lambda: struct.unpack_from("=Q", page.map, CLOSED)[0])
    other = server.reconnect()
    page.word(ICR, 0xffffffff)
    page.word(IMS, 0xffffffff)
    assert other.read32(e1000.IMS) == 0
    # The link may have come up meanwhile.
    assert other.read32(e1000.ICR) & ~4 == 0


def test_a_client_that_writes_anything(server, sharing):
    """T13, T14: while frames come and go; nobody else notices."""
    client, page = sharing
    irq = vfu.EventFd()
    client.set_irqs(INTX, IRQ_EVENTFD | IRQ_TRIGGER, 0, 1, fds=[irq.fd])
    driver = e1000.Driver(client).start()
    other = e1000.Driver(server.client(1)).start()
    dice = random.Random(1)
    end = time.monotonic() + 2
    n = 0
    while time.monotonic() < end:
        page.map[0:PAGE] = dice.randbytes(PAGE)
        driver.send(e1000.frame("hostile"))
        other.send(e1000.frame("honest", sender=b"\x52\x54\0\0\0\x02"))
        assert other.receive() is not None
        client.read32(dice.choice((e1000.ICR, e1000.IMS, e1000.STATUS)))
        n += 1
    assert n > 10
    client.reset()
    assert page.word(IMS) == 0
    irq.close()
