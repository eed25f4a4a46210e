# SPDX-License-Identifier: Apache-2.0
"""The card with all the chip's capabilities: MSI and power management."""
import pytest

import e1000
import vfu
from vfu import CONFIG, INTX, IRQ_EVENTFD, IRQ_NONE, IRQ_TRIGGER, MSI

FULL_PORT = 2
PM_CONTROL, MSI_CONTROL = 0xe0, 0xf2
ENABLE, CAUSE = 1, 0x80         # not that of the link, which comes up meanwhile
ON = e1000.IO_AND_MEMORY | e1000.MEMORY_AND_MASTER


@pytest.fixture
def full(server):
    client = server.client(FULL_PORT)
    client.write16(e1000.COMMAND, ON)
    client.write32(e1000.IMS, CAUSE)
    return client


def give(client, index):
    irq = vfu.EventFd()
    client.set_irqs(index, IRQ_EVENTFD | IRQ_TRIGGER, 0, 1, fds=[irq.fd])
    return irq


def test_list(full):
    config = full.region_read(CONFIG, 0, 256)
    assert config[6] & 0x10 and config[0x34] == 0xdc
    assert config[0xdc:0xde] == b"\x01\xf0"
    assert config[0xf0:0xf2] == b"\x05\x00"
    assert full.get_irq_info(MSI)[1] == 1


def test_msi_in_the_place_of_intx(full):
    intx, msi = give(full, INTX), give(full, MSI)
    full.write32(e1000.ICS, CAUSE)
    assert (intx.count(), msi.count()) == (1, 0)
    # Still high when it is enabled: sent at once.
    full.write16(MSI_CONTROL, ENABLE)
    assert (intx.count(), msi.count()) == (0, 1)
    full.read32(e1000.ICR)
    full.write32(e1000.ICS, CAUSE)
    full.write32(e1000.ICS, CAUSE)
    assert (intx.count(), msi.count()) == (0, 1)


def test_msi_is_sent_when_somebody_listens(full):
    full.write16(MSI_CONTROL, ENABLE)
    full.write32(e1000.ICS, CAUSE)
    msi = give(full, MSI)
    assert msi.count() == 1
    full.set_irqs(MSI, IRQ_NONE | IRQ_TRIGGER, 0, 0)
    full.read32(e1000.ICR)
    full.write32(e1000.ICS, CAUSE)
    assert msi.count() == 0


def test_no_msi_without_bus_master(full):
    msi = give(full, MSI)
    full.write16(MSI_CONTROL, ENABLE)
    full.write16(e1000.COMMAND, e1000.IO_AND_MEMORY)
    full.write32(e1000.ICS, CAUSE)
    assert msi.count() == 0
    full.write16(e1000.COMMAND, ON)
    assert msi.count() == 1


def test_d3hot_and_back(full):
    irq = give(full, INTX)
    full.write16(PM_CONTROL, 3)
    assert full.read32(e1000.STATUS) == 0xffffffff
    full.write32(e1000.ICS, CAUSE)
    assert irq.count() == 0
    full.write16(PM_CONTROL, 0)
    # Its soft reset: the card is as after power-on.
    assert full.read16(e1000.COMMAND) == 0
    full.write16(e1000.COMMAND, ON)
    assert full.read32(e1000.IMS) == 0


def test_t8_a_message_to_its_own_registers(full):
    """T8: nothing of the server writes a message, wherever it points."""
    msi = give(full, MSI)
    full.write32(0x10, 0xfe000000, CONFIG)
    full.write32(0xf4, 0xfe000000 + e1000.CTRL, CONFIG)
    full.write32(0xfc, 0xffff, CONFIG)
    full.write16(MSI_CONTROL, ENABLE)
    before = full.read32(e1000.CTRL)
    full.write32(e1000.ICS, CAUSE)
    assert msi.count() == 1
    assert full.read32(e1000.CTRL) == before


def test_t8_dma_to_registers_is_refused(server):
    """T8: descriptors and buffers at a BAR, its own or another card's, reach
    nothing: what the client has not mapped is no memory."""
    card = e1000.Driver(server.client(FULL_PORT)).start()
    other = server.client(1)
    for client, bar in (card.client, 0x80000000), (other, 0x80020000):
        client.write32(0x10, bar, CONFIG)
    card.client.write16(e1000.COMMAND, ON)
    for at in 0x80000000, 0x80020000, 0x80000000 + e1000.TDT:
        before = [c.read32(e1000.CTRL) for c in (card.client, other)]
        card.client.write32(e1000.TDBAL, at)
        card.client.write32(e1000.TDT, 5)
        card.client.write32(e1000.RDBAL, at)
        card.client.write32(e1000.RDT, 7)
        assert [c.read32(e1000.CTRL) for c in (card.client, other)] == before
