/* SPDX-License-Identifier: Apache-2.0
 *
 * What the guest cannot find out by looking: the PCI host bridge's windows,
 * where INTx pins go (pc: to the PIRQ inputs of the PIIX3, which are routed;
 * pcie: to the I/O APIC), the serial ports, and how to power off.  Goes through
 * the C preprocessor (iasl has no macros; BOARD_PCIE is one or not defined),
 * then iasl, at build time.
 */
#ifdef BOARD_PCIE
/* Pin p of slot s is wired to input 16 + (s + p) mod 8, but INTD# of a slot for
 * root ports, which is the ports' own, to 10 or 11: see pci_host_gsi(). */
#define ROUTE(slot, a, b, c, d) \
	Package () { slot##FFFF, 0, 0, a }, \
	Package () { slot##FFFF, 1, 0, b }, \
	Package () { slot##FFFF, 2, 0, c }, \
	Package () { slot##FFFF, 3, 0, d }

#define SLOTS(s0, s1, s2, s3, s4, s5, s6, s7) \
	ROUTE (s0, 16, 17, 18, 19), \
	ROUTE (s1, 17, 18, 19, 20), \
	ROUTE (s2, 18, 19, 20, 21), \
	ROUTE (s3, 19, 20, 21, 22), \
	ROUTE (s4, 20, 21, 22, 23), \
	ROUTE (s5, 21, 22, 23, 16), \
	ROUTE (s6, 22, 23, 16, 17), \
	ROUTE (s7, 23, 16, 17, 18)

#define PORT_SLOTS(s0, s1, s2, s3, s4, s5, s6, s7) \
	ROUTE (s0, 16, 17, 18, 10), \
	ROUTE (s1, 17, 18, 19, 11), \
	ROUTE (s2, 18, 19, 20, 10), \
	ROUTE (s3, 19, 20, 21, 11), \
	ROUTE (s4, 20, 21, 22, 10), \
	ROUTE (s5, 21, 22, 23, 11), \
	ROUTE (s6, 22, 23, 16, 10), \
	ROUTE (s7, 23, 16, 17, 11)
#else
#define ROUTE(slot, a, b, c, d) \
	Package () { slot##FFFF, 0, a, 0 }, \
	Package () { slot##FFFF, 1, b, 0 }, \
	Package () { slot##FFFF, 2, c, 0 }, \
	Package () { slot##FFFF, 3, d, 0 }

/* Pin p of slot s is wired to PIRQ (s - 1 + p) mod 4. */
#define SLOTS(s0, s1, s2, s3) \
	ROUTE (s0, LNKD, LNKA, LNKB, LNKC), \
	ROUTE (s1, LNKA, LNKB, LNKC, LNKD), \
	ROUTE (s2, LNKB, LNKC, LNKD, LNKA), \
	ROUTE (s3, LNKC, LNKD, LNKA, LNKB)
#endif

#define LINK(name, uid, reg) \
	Device (name) { \
		Name (_HID, EisaId ("PNP0C0F")) \
		Name (_UID, uid) \
		Name (_PRS, ResourceTemplate () { \
			Interrupt (, Level, ActiveHigh, Shared) { 5, 10, 11 } \
		}) \
		Method (_STA) { Return (LSTA (reg)) } \
		Method (_DIS) { reg |= 0x80 } \
		Method (_CRS) { Return (LCRS (reg)) } \
		Method (_SRS, 1) { \
			CreateDWordField (Arg0, 5, IRQN) \
			reg = IRQN \
		} \
	}

DefinitionBlock ("", "DSDT", 2, "BKPLN", "PC", 1)
{
	Name (\_S5, Package () { 0, 0, 0, 0 })

	Scope (\_SB)
	{
		Device (PCI0)
		{
#ifdef BOARD_PCIE
			Name (_HID, EisaId ("PNP0A08"))
			Name (_CID, EisaId ("PNP0A03"))
#else
			Name (_HID, EisaId ("PNP0A03"))
#endif
			Name (_UID, 0)
			Name (_BBN, 0)

			Name (_CRS, ResourceTemplate ()
			{
				WordBusNumber (ResourceProducer, MinFixed,
					MaxFixed, PosDecode,
					0, 0x0000, 0x00FF, 0, 0x0100)
				IO (Decode16, 0x0CF8, 0x0CF8, 1, 8)
				WordIO (ResourceProducer, MinFixed, MaxFixed,
					PosDecode, EntireRange,
					0, 0x0000, 0x0CF7, 0, 0x0CF8)
				WordIO (ResourceProducer, MinFixed, MaxFixed,
					PosDecode, EntireRange,
					0, 0x0D00, 0xFFFF, 0, 0xF300)
#ifdef BOARD_PCIE
				DWordMemory (ResourceProducer, PosDecode,
					MinFixed, MaxFixed, NonCacheable,
					ReadWrite,
					0, 0xF0000000, 0xFEBFFFFF, 0,
					0x0EC00000)
				QWordMemory (ResourceProducer, PosDecode,
					MinFixed, MaxFixed, Prefetchable,
					ReadWrite,
					0, 0x4200000000, 0x43FFFFFFFF, 0,
					0x200000000)
#else
				DWordMemory (ResourceProducer, PosDecode,
					MinFixed, MaxFixed, NonCacheable,
					ReadWrite,
					0, 0xE0000000, 0xFEBFFFFF, 0,
					0x1EC00000)
#endif
			})

#ifdef BOARD_PCIE
			/* The guest may have all it asks for but SHPC hot-plug
			 * (bit 1) and error reports (bit 3), which there are
			 * none of: PCI Firmware 3.2, 4.5.1. */
			Method (_OSC, 4)
			{
				CreateDWordField (Arg3, 0, CDW1)
				If (Arg0 != ToUUID (
					"33DB4D5B-1FF7-401C-9657-7441C03DD766"))
				{
					CDW1 |= 4	/* unknown UUID */
					Return (Arg3)
				}
				CreateDWordField (Arg3, 8, CDW3)
				Local0 = CDW3 & 0x15
				If (Local0 != CDW3)
				{
					CDW1 |= 0x10	/* masked */
				}
				CDW3 = Local0
				Return (Arg3)
			}
#endif

			Name (_PRT, Package ()
			{
#ifdef BOARD_PCIE
				PORT_SLOTS (0x0000, 0x0001, 0x0002, 0x0003,
					    0x0004, 0x0005, 0x0006, 0x0007),
				PORT_SLOTS (0x0008, 0x0009, 0x000A, 0x000B,
					    0x000C, 0x000D, 0x000E, 0x000F),
				PORT_SLOTS (0x0010, 0x0011, 0x0012, 0x0013,
					    0x0014, 0x0015, 0x0016, 0x0017),
				SLOTS (0x0018, 0x0019, 0x001A, 0x001B,
				       0x001C, 0x001D, 0x001E, 0x001F),
#else
				/* Slot 0 is the host bridge. */
				ROUTE (0x0001, LNKA, LNKB, LNKC, LNKD),
				ROUTE (0x0002, LNKB, LNKC, LNKD, LNKA),
				ROUTE (0x0003, LNKC, LNKD, LNKA, LNKB),
				SLOTS (0x0004, 0x0005, 0x0006, 0x0007),
				SLOTS (0x0008, 0x0009, 0x000A, 0x000B),
				SLOTS (0x000C, 0x000D, 0x000E, 0x000F),
				SLOTS (0x0010, 0x0011, 0x0012, 0x0013),
				SLOTS (0x0014, 0x0015, 0x0016, 0x0017),
				SLOTS (0x0018, 0x0019, 0x001A, 0x001B),
				SLOTS (0x001C, 0x001D, 0x001E, 0x001F),
#endif
			})

			/* The ISA or LPC bridge and what hangs off it. */
			Device (ISA)
			{
#ifdef BOARD_PCIE
				Name (_ADR, 0x001F0000)
#else
				Name (_ADR, 0x00010000)
				OperationRegion (PIRQ, PCI_Config, 0x60, 4)
#endif

				Device (COM1)
				{
					Name (_HID, EisaId ("PNP0501"))
					Name (_UID, 1)
					Name (_CRS, ResourceTemplate ()
					{
						IO (Decode16, 0x03F8, 0x03F8,
							0, 8)
						IRQNoFlags () { 4 }
					})
				}

				Device (COM2)
				{
					Name (_HID, EisaId ("PNP0501"))
					Name (_UID, 2)
					Name (_CRS, ResourceTemplate ()
					{
						IO (Decode16, 0x02F8, 0x02F8,
							0, 8)
						IRQNoFlags () { 3 }
					})
				}

				Device (RTC)
				{
					Name (_HID, EisaId ("PNP0B00"))
					Name (_CRS, ResourceTemplate ()
					{
						IO (Decode16, 0x0070, 0x0070,
							0, 2)
					})
				}
			}
		}

#ifdef BOARD_PCIE
		/* What the config space takes is not for anything else. */
		Device (ECAM)
		{
			Name (_HID, EisaId ("PNP0C02"))
			Name (_CRS, ResourceTemplate ()
			{
				Memory32Fixed (ReadWrite, 0xE0000000,
					0x10000000)
			})
		}
#else
		/* The PIRQ route control registers, PIIX3 60h-63h: the IRQ,
		 * or bit 7 for none. */
		Field (PCI0.ISA.PIRQ, ByteAcc, NoLock, Preserve)
		{
			PRQA, 8,
			PRQB, 8,
			PRQC, 8,
			PRQD, 8
		}

		Method (LSTA, 1)
		{
			If (Arg0 & 0x80)
			{
				Return (0x09)	/* present, disabled */
			}
			Return (0x0B)
		}

		Method (LCRS, 1, Serialized)
		{
			Name (BUF, ResourceTemplate ()
			{
				Interrupt (, Level, ActiveHigh, Shared) { 0 }
			})
			CreateDWordField (BUF, 5, IRQN)
			If (!(Arg0 & 0x80))
			{
				IRQN = Arg0
			}
			Return (BUF)
		}

		LINK (LNKA, 0, PRQA)
		LINK (LNKB, 1, PRQB)
		LINK (LNKC, 2, PRQC)
		LINK (LNKD, 3, PRQD)
#endif
	}
}
