# SPDX-License-Identifier: Apache-2.0
"""Just enough of an e1000 driver to move frames: 8254x developer's manual,
chapters 3 (descriptors) and 13 (registers)."""
import os
import struct
import time

import vfu

CTRL, STATUS, ICR, IMS, IMC = 0x0000, 0x0008, 0x00c0, 0x00d0, 0x00d8
ICS, EECD = 0x00c8, 0x0010
RCTL, TCTL = 0x0100, 0x0400
RDBAL, RDBAH, RDLEN, RDH, RDT = 0x2800, 0x2804, 0x2808, 0x2810, 0x2818
TDBAL, TDBAH, TDLEN, TDH, TDT = 0x3800, 0x3804, 0x3808, 0x3810, 0x3818
EN, UPE, MPE, BAM = 1 << 1, 1 << 3, 1 << 4, 1 << 15
CTRL_SLU = 1 << 6
STATUS_LU = 1 << 1
EOP_IFCS_RS, DD = 0x0b, 1
COMMAND, IO_AND_MEMORY, MEMORY_AND_MASTER = 4, 3, 6

N_DESC, BUF_SIZE = 16, 2048
TX_RING, RX_RING, TX_BUFS, RX_BUFS = 0x1000, 0x2000, 0x10000, 0x20000
MEM_SIZE = 0x40000


class Driver:
    """One card with its memory at I/O address 0."""

    def __init__(self, client):
        self.client = client
        self.mem = vfu.Memory(MEM_SIZE)
        client.dma_map(0, MEM_SIZE, self.mem.fd)
        client.write16(COMMAND, MEMORY_AND_MASTER)
        self.tx_next = self.rx_next = 0

    def start(self):
        c = self.client
        c.write32(CTRL, c.read32(CTRL) | CTRL_SLU)
        end = time.monotonic() + vfu.DEADLINE
        while not c.read32(STATUS) & STATUS_LU:	# link is being negotiated
            assert time.monotonic() < end, "no link"
            time.sleep(0.001)
        for i in range(N_DESC):
            struct.pack_into("=QQ", self.mem.map, RX_RING + 16 * i,
                             RX_BUFS + BUF_SIZE * i, 0)
        for base, ring in ((TDBAL, TX_RING), (RDBAL, RX_RING)):
            c.write32(base, ring)
            c.write32(base + 4, 0)
            c.write32(base + 8, 16 * N_DESC)
            c.write32(base + 0x10, 0)
            c.write32(base + 0x18, 0)
        c.write32(TCTL, EN)
        c.write32(RCTL, EN | UPE | MPE | BAM)
        c.write32(RDT, N_DESC - 1)
        return self

    def tail(self, register, value, page):
        """Move RDT or TDT; in @page, if there is one, as the client does."""
        if not page:
            self.client.write32(register, value, posted=True)
            return
        page.word(page.TAILS[register], value)
        if register == TDT and page.word(page.ASLEEP):
            page.word(page.ASLEEP, 0)
            os.write(page.call, struct.pack("=Q", 1))

    def send(self, frame, page=None):
        i = self.tx_next
        self.tx_next = (i + 1) % N_DESC
        at = TX_BUFS + BUF_SIZE * i
        self.mem[at:at + len(frame)] = frame
        struct.pack_into("=QHBBBBH", self.mem.map, TX_RING + 16 * i,
                         at, len(frame), 0, EOP_IFCS_RS, 0, 0, 0)
        self.tail(TDT, self.tx_next, page)

    def receive(self, timeout=vfu.DEADLINE, page=None):
        """The next frame, without its CRC, or None."""
        desc = RX_RING + 16 * self.rx_next
        end = time.monotonic() + timeout
        while not self.mem[desc + 12] & DD:
            if time.monotonic() > end:
                return None
            time.sleep(0.001)
        length, = struct.unpack_from("=H", self.mem.map, desc + 8)
        at = RX_BUFS + BUF_SIZE * self.rx_next
        frame = self.mem[at:at + length - 4]
        self.mem[desc + 12] = 0
        self.tail(RDT, self.rx_next, page)
        self.rx_next = (self.rx_next + 1) % N_DESC
        return frame


def frame(text, to=b"\xff" * 6, sender=b"\x52\x54\0\0\0\x01"):
    """An Ethernet frame with an experimental type, long enough."""
    return (to + sender + b"\x88\xb5" + text.encode()).ljust(60, b"\0")
