# SPDX-License-Identifier: Apache-2.0
"""The board `pc` as the lecture's slides show it, to the byte."""
import re

from lab import Lab

LSPCI = '''\
00:00.0 Host bridge: Intel Corporation 440FX - 82441FX PMC [Natoma] (rev 02)
00:01.0 ISA bridge: Intel Corporation 82371SB PIIX3 ISA [Natoma/Triton II]
00:01.3 Bridge: Intel Corporation 82371AB/EB/MB PIIX4 ACPI (rev 03)
00:03.0 Ethernet controller: Intel Corporation 82540EM Gigabit Ethernet \
Controller (rev 03)
'''

# The slide's first 64 bytes; the chip of the slide has no capabilities, so
# that zeroes follow.
LSPCI_XXX = '''\
00: 86 80 0e 10 07 01 00 00 03 00 00 02 00 00 00 00
10: 00 00 bc fe 01 c0 00 00 00 00 00 00 00 00 00 00
20: 00 00 00 00 00 00 00 00 00 00 00 00 f4 1a 00 11
30: 00 00 b8 fe 00 00 00 00 00 00 00 00 0b 01 00 00
''' + ''.join(f'{at:02x}:' + 16 * ' 00' + '\n' for at in range(64, 256, 16))

LSPCI_VVV = '''\
	Subsystem: Red Hat, Inc. QEMU Virtual Machine
	Control: I/O+ Mem+ BusMaster+ SpecCycle- MemWINV- VGASnoop- ParErr- \
Stepping- SERR+ FastB2B- DisINTx-
	Status: Cap- 66MHz- UDF- FastB2B- ParErr- DEVSEL=fast >TAbort- \
<TAbort- <MAbort- >SERR- <PERR- INTx-
	Latency: 0
	Interrupt: pin A routed to IRQ 11
	Region 0: Memory at febc0000 (32-bit, non-prefetchable) [size=128K]
	Region 1: I/O ports at c000 [size=64]
	Expansion ROM at feb80000 [disabled] [size=256K]
	Kernel driver in use: e1000
'''


def test_lecture():
    with Lab('examples/lecture.yaml') as lab:
        assert lab.exec('guest', 'lspci') == LSPCI
        title, _, bytes_ = lab.exec(
            'guest', 'lspci -xxx -s 00:03.0').partition('\n')
        assert title in LSPCI and bytes_.strip() == LSPCI_XXX.strip()
        title, _, text = lab.exec(
            'guest', 'lspci -vvv -s 00:03.0').partition('\n')
        assert title in LSPCI and text.startswith(LSPCI_VVV)

        ports = lab.exec('guest', 'cat /proc/ioports')
        assert re.search('0600-063f : 0000:00:01.3\n'
                         '.*ACPI PM1a_EVT_BLK', ports)
        assert ' c000-c03f : e1000' in ports
        # By the link device: the MADT lets 11 be level, as the link wants it.
        lines = lab.exec('guest', 'dmesg; cat /proc/interrupts')
        assert r'ACPI: \_SB_.LNKC: Enabled at IRQ 11' in lines
        lab.exec('guest', 'ip link set eth0 up; sleep 1')
        assert re.search(r'11: +[1-9][0-9]* +IO-APIC +11-fasteoi +eth0',
                         lab.exec('guest', 'cat /proc/interrupts'))
        refused = lab.run('detach', 'guest', '0')
        assert refused.returncode == 1 and 'board pcie' in refused.stderr
