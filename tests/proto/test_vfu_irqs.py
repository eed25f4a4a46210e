# SPDX-License-Identifier: Apache-2.0
"""DEVICE_SET_IRQS, with interrupts that the card is made to raise (ICS)."""
import os
import struct
import time
from errno import EINVAL

import pytest

import e1000
import vfu
from conftest import wait_for
from vfu import (INTX, IRQ_BOOL, IRQ_EVENTFD, IRQ_MASK, IRQ_NONE, IRQ_TRIGGER,
                 IRQ_UNMASK)

CAUSE = 1 << 4		# receive descriptors low: not by itself here


@pytest.fixture
def irq(client):
    """INTx goes to this eventfd; the card may raise CAUSE."""
    eventfd = vfu.EventFd()
    client.set_irqs(INTX, IRQ_EVENTFD | IRQ_TRIGGER, 0, 1, fds=[eventfd.fd])
    client.write32(e1000.IMS, CAUSE)
    return eventfd


def raised(eventfd, timeout=vfu.DEADLINE):
    """How often it was signalled, once it is; 0 after the time is over."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        n = eventfd.count()
        if n:
            return n
        time.sleep(0.001)
    return 0


def quiet(eventfd):
    return raised(eventfd, 0.05) == 0


def assert_intx(client):
    client.write32(e1000.ICS, CAUSE)


def deassert_intx(client):
    client.read32(e1000.ICR)


def test_intx_is_masked_by_itself(client, irq):
    assert_intx(client)
    assert raised(irq) == 1
    deassert_intx(client)
    assert_intx(client)
    assert quiet(irq)
    client.set_irqs(INTX, IRQ_NONE | IRQ_UNMASK, 0, 1)
    assert raised(irq) == 1


def test_unmask_looks_at_the_level_again(client, irq):
    assert_intx(client)
    assert raised(irq) == 1
    client.set_irqs(INTX, IRQ_BOOL | IRQ_UNMASK, 0, 1, b"\0")
    assert quiet(irq)
    client.set_irqs(INTX, IRQ_BOOL | IRQ_UNMASK, 0, 1, b"\1")
    assert raised(irq) == 1
    deassert_intx(client)
    client.set_irqs(INTX, IRQ_NONE | IRQ_UNMASK, 0, 1)
    assert quiet(irq)


def test_unmask_by_eventfd(client, irq):
    resample = vfu.EventFd()
    client.set_irqs(INTX, IRQ_EVENTFD | IRQ_UNMASK, 0, 1, fds=[resample.fd])
    for _ in range(3):
        assert_intx(client)
        assert raised(irq) == 1
        resample.signal()
        assert raised(irq) == 1
        deassert_intx(client)
        resample.signal()
        assert quiet(irq)
    client.set_irqs(INTX, IRQ_EVENTFD | IRQ_UNMASK, 0, 1)
    assert_intx(client)
    assert raised(irq) == 1
    resample.signal()
    assert quiet(irq)


def test_mask(client, irq):
    client.set_irqs(INTX, IRQ_NONE | IRQ_MASK, 0, 1)
    assert_intx(client)
    assert quiet(irq)
    client.set_irqs(INTX, IRQ_NONE | IRQ_UNMASK, 0, 1)
    assert raised(irq) == 1


def test_off_and_on_while_asserted(client, irq):
    client.set_irqs(INTX, IRQ_NONE | IRQ_TRIGGER, 0, 0)
    assert_intx(client)
    assert quiet(irq)
    client.set_irqs(INTX, IRQ_EVENTFD | IRQ_TRIGGER, 0, 1, fds=[irq.fd])
    assert raised(irq) == 1


def test_taken_away_by_no_descriptor(client, irq):
    client.set_irqs(INTX, IRQ_EVENTFD | IRQ_TRIGGER, 0, 1)
    assert_intx(client)
    assert quiet(irq)


def test_another_eventfd_in_its_place(client, irq):
    other = vfu.EventFd()
    client.set_irqs(INTX, IRQ_EVENTFD | IRQ_TRIGGER, 0, 1, fds=[other.fd])
    assert_intx(client)
    assert raised(other) == 1
    assert quiet(irq)


def test_reset_keeps_the_eventfd(client, irq):
    assert_intx(client)
    assert raised(irq) == 1
    client.reset()
    client.write16(e1000.COMMAND, e1000.IO_AND_MEMORY)
    client.write32(e1000.IMS, CAUSE)
    assert_intx(client)
    assert raised(irq) == 1


def test_interrupt_disable_in_the_command_register(client, irq):
    client.write16(e1000.COMMAND, e1000.IO_AND_MEMORY | 1 << 10)
    assert_intx(client)
    assert quiet(irq)
    client.write16(e1000.COMMAND, e1000.IO_AND_MEMORY)
    assert raised(irq) == 1


def test_triggered_by_the_client(client, irq):
    client.set_irqs(INTX, IRQ_NONE | IRQ_TRIGGER, 0, 1)
    assert raised(irq) == 1


@pytest.mark.parametrize("index", [vfu.ERR, vfu.REQ])
def test_errors_and_requests_are_accepted(client, index):
    eventfd = vfu.EventFd()
    client.set_irqs(index, IRQ_EVENTFD | IRQ_TRIGGER, 0, 1, fds=[eventfd.fd])
    client.set_irqs(index, IRQ_NONE | IRQ_TRIGGER, 0, 0)


def test_eventfds_are_replaced_not_collected(server, client, irq):
    before = server.count_fds()
    resample = vfu.EventFd()
    client.set_irqs(INTX, IRQ_EVENTFD | IRQ_UNMASK, 0, 1, fds=[resample.fd])
    for _ in range(100):
        client.set_irqs(INTX, IRQ_EVENTFD | IRQ_TRIGGER, 0, 1, fds=[irq.fd])
        client.set_irqs(INTX, IRQ_EVENTFD | IRQ_UNMASK, 0, 1,
                        fds=[resample.fd])
    assert wait_for(lambda: server.count_fds() == before + 1)


def test_a_full_blocking_eventfd_holds_nobody_up(client, irq):
    os.set_blocking(irq.fd, True)
    os.write(irq.fd, struct.pack("=Q", 2**64 - 2))
    assert_intx(client)
    client.get_info()
    os.set_blocking(irq.fd, False)


@pytest.mark.parametrize("length", [0, 1, 19])
def test_short(client, refused, irq, length):
    good = struct.pack("=IIIII", 20, IRQ_NONE | IRQ_UNMASK, INTX, 0, 1)
    with refused(EINVAL):
        client.call(vfu.SET_IRQS, good[:length])


@pytest.mark.parametrize("more", [1, 4, 4096, 100000])
def test_long(client, refused, irq, more):
    with refused(EINVAL):
        client.set_irqs(INTX, IRQ_NONE | IRQ_UNMASK, 0, 1, bytes(more))


@pytest.mark.parametrize("argsz", [0, 19])
def test_argsz(client, refused, irq, argsz):
    with refused(EINVAL):
        client.set_irqs(INTX, IRQ_NONE | IRQ_UNMASK, 0, 1, argsz=argsz)


@pytest.mark.parametrize("index", [5, 100, 0x80000000, 0xffffffff])
def test_bad_index(client, refused, irq, index):
    with refused(EINVAL):
        client.set_irqs(index, IRQ_NONE | IRQ_TRIGGER, 0, 0)


@pytest.mark.parametrize("start, count", [
    (0, 2), (1, 1), (2, 0), (1, 0), (0xffffffff, 1), (1, 0xffffffff),
    (0xffffffff, 2), (0, 0xffffffff), (0x80000000, 0x80000000)])
def test_bad_range(client, refused, irq, start, count):
    for flags in (IRQ_NONE | IRQ_UNMASK, IRQ_NONE | IRQ_TRIGGER):
        with refused(EINVAL):
            client.set_irqs(INTX, flags, start, count)


@pytest.mark.parametrize("flags", [
    0, IRQ_NONE, IRQ_TRIGGER, IRQ_NONE | IRQ_BOOL | IRQ_TRIGGER,
    IRQ_NONE | IRQ_MASK | IRQ_UNMASK, IRQ_NONE | IRQ_TRIGGER | 0x40,
    0x80000000, 0xffffffff])
def test_bad_flags(client, refused, irq, flags):
    with refused(EINVAL):
        client.set_irqs(INTX, flags, 0, 1)


@pytest.mark.parametrize("flags", [
    IRQ_NONE | IRQ_MASK, IRQ_NONE | IRQ_UNMASK, IRQ_BOOL | IRQ_TRIGGER,
    IRQ_EVENTFD | IRQ_TRIGGER, IRQ_EVENTFD | IRQ_UNMASK])
def test_count_of_zero_only_switches_off(client, refused, irq, flags):
    with refused(EINVAL):
        client.set_irqs(INTX, flags, 0, 0)


@pytest.mark.parametrize("data", [b"", b"\1\1", b"\1" * 4096])
def test_booleans_of_a_wrong_number(client, refused, irq, data):
    with refused(EINVAL):
        client.set_irqs(INTX, IRQ_BOOL | IRQ_UNMASK, 0, 1, data)


@pytest.mark.parametrize("n", [2, 16, 17, 200])
def test_too_many_descriptors(client, refused, irq, n):
    with refused(EINVAL):
        client.set_irqs(INTX, IRQ_EVENTFD | IRQ_TRIGGER, 0, 1,
                        fds=[irq.fd] * n)
    assert_intx(client)
    assert raised(irq) == 1


@pytest.mark.parametrize("flags", [IRQ_NONE | IRQ_UNMASK,
                                   IRQ_NONE | IRQ_TRIGGER])
def test_descriptors_where_none_belong(client, refused, irq, flags):
    with refused(EINVAL):
        client.set_irqs(INTX, flags, 0, 1, fds=[irq.fd])


@pytest.mark.parametrize("action", [IRQ_TRIGGER, IRQ_UNMASK])
def test_descriptors_that_are_no_eventfds(client, refused, irq, action):
    memory = vfu.Memory(vfu.PAGE)
    pipe = os.pipe()
    for fd in (memory.fd, *pipe, client.sock.fileno()):
        with refused(EINVAL):
            client.set_irqs(INTX, IRQ_EVENTFD | action, 0, 1, fds=[fd])
    for fd in pipe:
        os.close(fd)


def test_masking_by_eventfd(client, refused, irq):
    with refused(EINVAL):
        client.set_irqs(INTX, IRQ_EVENTFD | IRQ_MASK, 0, 1, fds=[irq.fd])


def test_masking_others_than_intx(client, refused):
    with refused(EINVAL):
        client.set_irqs(vfu.ERR, IRQ_NONE | IRQ_MASK, 0, 1)


def test_an_index_without_vectors(client, refused):
    eventfd = vfu.EventFd()
    with refused(EINVAL):
        client.set_irqs(vfu.MSIX, IRQ_EVENTFD | IRQ_TRIGGER, 0, 1,
                        fds=[eventfd.fd])
    client.set_irqs(vfu.MSIX, IRQ_NONE | IRQ_TRIGGER, 0, 0)
