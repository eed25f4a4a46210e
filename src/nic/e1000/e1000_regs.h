/* SPDX-License-Identifier: Apache-2.0
 *
 * 82540EM: the register catalogue, bits of registers, descriptors, PHY
 * registers and EEPROM words.
 *
 * Section numbers are those of Intel's "PCI/PCI-X Family of Gigabit Ethernet
 * Controllers Software Developer's Manual", 317453-006, revision 4.0: 3
 * descriptors, 5 EEPROM, 8 link, 9 VLAN, 13 registers (13.4.7 those of the
 * PHY), 14 resets.
 */
#ifndef E1000_REGS_H
#define E1000_REGS_H

#include <assert.h>

#include "base/byteorder.h"
#include "base/util.h"

/*
 * The catalogue: R(offset, NAME, n, stride, reset, writable, read hook, write
 * hook).  Enum, state, dispatch, reset, names and the test that walks every
 * register come from it.
 *
 * reset	value after any reset, of what neither link nor EEPROM decides
 * writable	bits that a write can change
 * read hook	value of a read, with its side effect; NULL: what is stored
 * write hook	does the whole write; NULL: the writable bits are stored
 */
#define E1000_REGISTERS(R)						      \
	/* General, 13.4.1 to 13.4.16 */				      \
	R(0x00000, CTRL,    1, 0, CTRL_RESET, CTRL_WRITABLE, NULL, ctrl_wr)   \
	R(0x00008, STATUS,  1, 0, STATUS_RESET, 0, NULL, NULL)		      \
	R(0x00010, EECD,    1, 0, EECD_RESET, EECD_WRITABLE, eecd_rd, eecd_wr)\
	R(0x00014, EERD,    1, 0, 0, EERD_WRITABLE, NULL, eerd_wr)	      \
	R(0x00018, CTRL_EXT, 1, 0, 0, CTRL_EXT_WRITABLE, NULL, ctrl_ext_wr)   \
	R(0x0001c, FLA,     1, 0, 0, 0, NULL, NULL)			      \
	R(0x00020, MDIC,    1, 0, 0, MDIC_WRITABLE, NULL, mdic_wr)	      \
	R(0x00028, FCAL,    1, 0, 0, 0xffffffff, NULL, NULL)		      \
	R(0x0002c, FCAH,    1, 0, 0, 0x0000ffff, NULL, NULL)		      \
	R(0x00030, FCT,     1, 0, 0, 0x0000ffff, NULL, NULL)		      \
	R(0x00038, VET,     1, 0, 0x8100, 0x0000ffff, NULL, NULL)	      \
	R(0x00170, FCTTV,   1, 0, 0, 0x0000ffff, NULL, NULL)		      \
	R(0x00178, TXCW,    1, 0, 0, 0xc000ffff, NULL, NULL)		      \
	R(0x00180, RXCW,    1, 0, 0, 0, NULL, NULL)			      \
	R(0x00e00, LEDCTL,  1, 0, 0x602, 0xffffffff, NULL, NULL)	      \
	R(0x01000, PBA,     1, 0, PBA_RESET, PBA_RXA, NULL, pba_wr)	      \
	/* Interrupt, 13.4.17 to 13.4.21 */				      \
	R(0x000c0, ICR,     1, 0, 0, ICR_CAUSES, icr_rd, icr_wr)	      \
	R(0x000c4, ITR,     1, 0, 0, 0x0000ffff, NULL, itr_wr)		      \
	R(0x000c8, ICS,     1, 0, 0, ICR_CAUSES, ics_rd, ics_wr)	      \
	R(0x000d0, IMS,     1, 0, 0, ICR_CAUSES, ims_rd, ims_wr)	      \
	R(0x000d8, IMC,     1, 0, 0, ICR_CAUSES, NULL, imc_wr)		      \
	/* Receive, 13.4.22 to 13.4.32, 13.4.46, 13.4.47 */		      \
	R(0x00100, RCTL,    1, 0, 0, RCTL_WRITABLE, NULL, rctl_wr)	      \
	R(0x02160, FCRTL,   1, 0, 0, 0x8000fff8, NULL, NULL)		      \
	R(0x02168, FCRTH,   1, 0, 0, 0x0000fff8, NULL, NULL)		      \
	R(0x02800, RDBAL,   1, 0, 0, 0xfffffff0, NULL, rx_ring_wr)	      \
	R(0x02804, RDBAH,   1, 0, 0, 0xffffffff, NULL, rx_ring_wr)	      \
	R(0x02808, RDLEN,   1, 0, 0, 0x000fff80, NULL, rx_ring_wr)	      \
	R(0x02810, RDH,     1, 0, 0, 0x0000ffff, NULL, NULL)		      \
	R(0x02818, RDT,     1, 0, 0, 0x0000ffff, NULL, rdt_wr)		      \
	R(0x02820, RDTR,    1, 0, 0, 0x0000ffff, NULL, rdtr_wr)		      \
	R(0x02828, RXDCTL,  1, 0, 0, 0x013f3f3f, NULL, NULL)		      \
	R(0x0282c, RADV,    1, 0, 0, 0x0000ffff, NULL, NULL)		      \
	R(0x02c00, RSRPD,   1, 0, 0, 0x00000fff, NULL, NULL)		      \
	R(0x05000, RXCSUM,  1, 0, 0, 0x000007ff, NULL, NULL)		      \
	/* Transmit, 13.4.33 to 13.4.45 */				      \
	R(0x00400, TCTL,    1, 0, 0, TCTL_WRITABLE, NULL, tctl_wr)	      \
	R(0x00410, TIPG,    1, 0, 0, 0x3fffffff, NULL, NULL)		      \
	R(0x00458, AIT,     1, 0, 0, 0x0000ffff, NULL, NULL)		      \
	R(0x03000, TXDMAC,  1, 0, 0, 0x00000001, NULL, NULL)		      \
	R(0x03800, TDBAL,   1, 0, 0, 0xfffffff0, NULL, tx_ring_wr)	      \
	R(0x03804, TDBAH,   1, 0, 0, 0xffffffff, NULL, tx_ring_wr)	      \
	R(0x03808, TDLEN,   1, 0, 0, 0x000fff80, NULL, tx_ring_wr)	      \
	R(0x03810, TDH,     1, 0, 0, 0x0000ffff, NULL, tx_ring_wr)	      \
	R(0x03818, TDT,     1, 0, 0, 0x0000ffff, NULL, tdt_wr)		      \
	R(0x03820, TIDV,    1, 0, 0, 0x0000ffff, NULL, tidv_wr)		      \
	R(0x03828, TXDCTL,  1, 0, 0, 0xff3f3f3f, NULL, NULL)		      \
	R(0x0382c, TADV,    1, 0, 0, 0x0000ffff, NULL, NULL)		      \
	R(0x03830, TSPMT,   1, 0, 0x01000400, 0xffffffff, NULL, NULL)	      \
	/* Filters, 13.5; RA 0 comes from the EEPROM */			      \
	R(0x05200, MTA,   128, 4, 0, 0xffffffff, NULL, NULL)		      \
	R(0x05400, RAL,    16, 8, 0, 0xffffffff, NULL, NULL)		      \
	R(0x05404, RAH,    16, 8, 0, 0x8003ffff, NULL, NULL)		      \
	R(0x05600, VFTA,  128, 4, 0, 0xffffffff, NULL, NULL)		      \
	/* Wake-up and management, 13.6: kept, without effect */	      \
	R(0x05800, WUC,     1, 0, 0, 0x0000000f, NULL, NULL)		      \
	R(0x05808, WUFC,    1, 0, 0, 0x000f80ff, NULL, NULL)		      \
	R(0x05810, WUS,     1, 0, 0, 0, NULL, NULL)			      \
	R(0x05820, MANC,    1, 0, 0, 0xffffffff, NULL, NULL)		      \
	R(0x05838, IPAV,    1, 0, 0, 0x0001000f, NULL, NULL)		      \
	R(0x05840, IP4AT,   4, 8, 0, 0xffffffff, NULL, NULL)		      \
	R(0x05880, IP6AT,   4, 4, 0, 0xffffffff, NULL, NULL)		      \
	R(0x05900, WUPL,    1, 0, 0, 0, NULL, NULL)			      \
	R(0x05a00, WUPM,   32, 4, 0, 0, NULL, NULL)			      \
	R(0x05f00, FFLT,    4, 8, 0, 0x000007ff, NULL, NULL)		      \
	R(0x09000, FFMT,  128, 8, 0, 0x0000000f, NULL, NULL)		      \
	R(0x09800, FFVT,  128, 8, 0, 0xffffffff, NULL, NULL)		      \
	/* Statistics, 13.7: cleared by reading, stop at all ones */	      \
	R(0x04000, CRCERRS, 1, 0, 0, 0, stat_rd, NULL)			      \
	R(0x04004, ALGNERRC, 1, 0, 0, 0, stat_rd, NULL)			      \
	R(0x04008, SYMERRS, 1, 0, 0, 0, stat_rd, NULL)			      \
	R(0x0400c, RXERRC,  1, 0, 0, 0, stat_rd, NULL)			      \
	R(0x04010, MPC,     1, 0, 0, 0, mpc_rd, NULL)			      \
	R(0x04014, SCC,     1, 0, 0, 0, stat_rd, NULL)			      \
	R(0x04018, ECOL,    1, 0, 0, 0, stat_rd, NULL)			      \
	R(0x0401c, MCC,     1, 0, 0, 0, stat_rd, NULL)			      \
	R(0x04020, LATECOL, 1, 0, 0, 0, stat_rd, NULL)			      \
	R(0x04028, COLC,    1, 0, 0, 0, stat_rd, NULL)			      \
	R(0x04030, DC,      1, 0, 0, 0, stat_rd, NULL)			      \
	R(0x04034, TNCRS,   1, 0, 0, 0, stat_rd, NULL)			      \
	R(0x04038, SEC,     1, 0, 0, 0, stat_rd, NULL)			      \
	R(0x0403c, CEXTERR, 1, 0, 0, 0, stat_rd, NULL)			      \
	R(0x04040, RLEC,    1, 0, 0, 0, stat_rd, NULL)			      \
	R(0x04048, XONRXC,  1, 0, 0, 0, stat_rd, NULL)			      \
	R(0x0404c, XONTXC,  1, 0, 0, 0, stat_rd, NULL)			      \
	R(0x04050, XOFFRXC, 1, 0, 0, 0, stat_rd, NULL)			      \
	R(0x04054, XOFFTXC, 1, 0, 0, 0, stat_rd, NULL)			      \
	R(0x04058, FCRUC,   1, 0, 0, 0, stat_rd, NULL)			      \
	R(0x0405c, PRC64,   1, 0, 0, 0, stat_rd, NULL)			      \
	R(0x04060, PRC127,  1, 0, 0, 0, stat_rd, NULL)			      \
	R(0x04064, PRC255,  1, 0, 0, 0, stat_rd, NULL)			      \
	R(0x04068, PRC511,  1, 0, 0, 0, stat_rd, NULL)			      \
	R(0x0406c, PRC1023, 1, 0, 0, 0, stat_rd, NULL)			      \
	R(0x04070, PRC1522, 1, 0, 0, 0, stat_rd, NULL)			      \
	R(0x04074, GPRC,    1, 0, 0, 0, stat_rd, NULL)			      \
	R(0x04078, BPRC,    1, 0, 0, 0, stat_rd, NULL)			      \
	R(0x0407c, MPRC,    1, 0, 0, 0, stat_rd, NULL)			      \
	R(0x04080, GPTC,    1, 0, 0, 0, stat_rd, NULL)			      \
	R(0x04088, GORCL,   1, 0, 0, 0, NULL, NULL)			      \
	R(0x0408c, GORCH,   1, 0, 0, 0, stat_high_rd, NULL)		      \
	R(0x04090, GOTCL,   1, 0, 0, 0, NULL, NULL)			      \
	R(0x04094, GOTCH,   1, 0, 0, 0, stat_high_rd, NULL)		      \
	R(0x040a0, RNBC,    1, 0, 0, 0, stat_rd, NULL)			      \
	R(0x040a4, RUC,     1, 0, 0, 0, stat_rd, NULL)			      \
	R(0x040a8, RFC,     1, 0, 0, 0, stat_rd, NULL)			      \
	R(0x040ac, ROC,     1, 0, 0, 0, stat_rd, NULL)			      \
	R(0x040b0, RJC,     1, 0, 0, 0, stat_rd, NULL)			      \
	R(0x040b4, MGTPRC,  1, 0, 0, 0, stat_rd, NULL)			      \
	R(0x040b8, MGTPDC,  1, 0, 0, 0, stat_rd, NULL)			      \
	R(0x040bc, MGTPTC,  1, 0, 0, 0, stat_rd, NULL)			      \
	R(0x040c0, TORL,    1, 0, 0, 0, NULL, NULL)			      \
	R(0x040c4, TORH,    1, 0, 0, 0, stat_high_rd, NULL)		      \
	R(0x040c8, TOTL,    1, 0, 0, 0, NULL, NULL)			      \
	R(0x040cc, TOTH,    1, 0, 0, 0, stat_high_rd, NULL)		      \
	R(0x040d0, TPR,     1, 0, 0, 0, stat_rd, NULL)			      \
	R(0x040d4, TPT,     1, 0, 0, 0, stat_rd, NULL)			      \
	R(0x040d8, PTC64,   1, 0, 0, 0, stat_rd, NULL)			      \
	R(0x040dc, PTC127,  1, 0, 0, 0, stat_rd, NULL)			      \
	R(0x040e0, PTC255,  1, 0, 0, 0, stat_rd, NULL)			      \
	R(0x040e4, PTC511,  1, 0, 0, 0, stat_rd, NULL)			      \
	R(0x040e8, PTC1023, 1, 0, 0, 0, stat_rd, NULL)			      \
	R(0x040ec, PTC1522, 1, 0, 0, 0, stat_rd, NULL)			      \
	R(0x040f0, MPTC,    1, 0, 0, 0, stat_rd, NULL)			      \
	R(0x040f4, BPTC,    1, 0, 0, 0, stat_rd, NULL)			      \
	R(0x040f8, TSCTC,   1, 0, 0, 0, stat_rd, NULL)			      \
	R(0x040fc, TSCTFC,  1, 0, 0, 0, stat_rd, NULL)			      \
	/* Diagnostics, 13.8: FIFO pointers; kept, without effect */	      \
	R(0x02410, RDFH,    1, 0, 0, 0x00001fff, NULL, NULL)		      \
	R(0x02418, RDFT,    1, 0, 0, 0x00001fff, NULL, NULL)		      \
	R(0x02420, RDFHS,   1, 0, 0, 0x00001fff, NULL, NULL)		      \
	R(0x02428, RDFTS,   1, 0, 0, 0x00001fff, NULL, NULL)		      \
	R(0x02430, RDFPC,   1, 0, 0, 0x00001fff, NULL, NULL)		      \
	R(0x03410, TDFH,    1, 0, 0, 0x000007ff, NULL, NULL)		      \
	R(0x03418, TDFT,    1, 0, 0, 0x000007ff, NULL, NULL)		      \
	R(0x03420, TDFHS,   1, 0, 0, 0x00001fff, NULL, NULL)		      \
	R(0x03428, TDFTS,   1, 0, 0, 0x00001fff, NULL, NULL)		      \
	R(0x03430, TDFPC,   1, 0, 0, 0x00001fff, NULL, NULL)

/* Second addresses of registers, A(offset, NAME): the shadow of CTRL, and where
 * the 82542 had them. */
#define E1000_ALIASES(A)						\
	A(0x00004, CTRL)						\
	A(0x00040, RAL)  A(0x00044, RAH)				\
	A(0x00108, RDTR) A(0x00110, RDBAL) A(0x00114, RDBAH)		\
	A(0x00118, RDLEN) A(0x00120, RDH)  A(0x00128, RDT)		\
	A(0x00160, FCRTH) A(0x00168, FCRTL)				\
	A(0x00200, MTA)							\
	A(0x00420, TDBAL) A(0x00424, TDBAH) A(0x00428, TDLEN)		\
	A(0x00430, TDH)  A(0x00438, TDT)   A(0x00440, TIDV)		\
	A(0x00600, VFTA)						\
	A(0x08000, RDFH) A(0x08008, RDFT)  A(0x08010, TDFH)		\
	A(0x08018, TDFT)

/* Where a register lies in struct e1000_state, reg[]: E1000_RCTL; the second
 * of an array: E1000_MTA + 1. */
enum e1000_slot {
#define R(offset, name, n, stride, reset, writable, rd, wr) \
	E1000_##name, E1000_##name##_LAST = E1000_##name + (n) - 1,
	E1000_REGISTERS(R)
#undef R
	E1000_N_SLOTS,
};

/* Where each is in the BAR; of several, the first. */
enum e1000_offset {
#define R(offset, name, n, stride, reset, writable, rd, wr) \
	E1000_AT_##name = (offset),
	E1000_REGISTERS(R)
#undef R
};

enum {
	E1000_BAR_REGS = 0,		/* the registers, memory */
	E1000_BAR_IO = 1,		/* IOADDR and IODATA */
	E1000_REGS_SIZE = 0x20000,
	E1000_IO_SIZE = 64,
	E1000_ROM_SIZE = 0x40000,
	/* In the I/O BAR (13.2.2): a register's offset, then its value. */
	E1000_IOADDR = 0,
	E1000_IODATA = 4,
};

/* CTRL, 13.4.1 */
#define CTRL_FD		BIT(0)		/* full duplex, if forced */
#define CTRL_SLU	BIT(6)		/* let the MAC see the PHY's link */
#define CTRL_SPD	(3u << 8)	/* speed, if forced */
#define CTRL_SPD_SHIFT	8
#define CTRL_FRCSPD	BIT(11)		/* force the speed */
#define CTRL_FRCDPX	BIT(12)		/* force the duplex mode */
#define CTRL_RST	BIT(26)		/* reset all but PCI and PHY */
#define CTRL_VME	BIT(30)		/* 802.1Q tags: strip and insert */
#define CTRL_PHY_RST	BIT(31)		/* PHY's reset pin */
#define CTRL_RESET	(CTRL_SLU | 2u << CTRL_SPD_SHIFT | BIT(18) | BIT(20))
#define CTRL_WRITABLE	0xdbfc1be9

/* STATUS, 13.4.2 */
#define STATUS_FD	BIT(0)		/* full duplex */
#define STATUS_LU	BIT(1)		/* link up */
#define STATUS_SPEED_SHIFT 6		/* 0, 1, 2: 10, 100, 1000 Mbit/s */
#define STATUS_ASDV_SHIFT 8		/* the same, as auto-detected */
#define STATUS_SPEEDS	(3u << STATUS_SPEED_SHIFT | 3u << STATUS_ASDV_SHIFT)
#define STATUS_RESET	(STATUS_FD | 2u << STATUS_SPEED_SHIFT | \
			 2u << STATUS_ASDV_SHIFT)

/* EECD, 13.4.3: the Microwire EEPROM's pins */
#define EECD_SK		BIT(0)		/* clock */
#define EECD_CS		BIT(1)		/* chip select */
#define EECD_DI		BIT(2)		/* to the EEPROM */
#define EECD_DO		BIT(3)		/* from it */
#define EECD_REQ	BIT(6)		/* ask for access */
#define EECD_GNT	BIT(7)		/* it is granted */
#define EECD_PRES	BIT(8)		/* there is an EEPROM (of 64 words) */
#define EECD_RESET	(EECD_PRES | EECD_DO)
#define EECD_WRITABLE	(EECD_SK | EECD_CS | EECD_DI | 3u << 4 | EECD_REQ)

/* EERD, 13.4.4 */
#define EERD_START	BIT(0)
#define EERD_DONE	BIT(4)
#define EERD_ADDR_SHIFT	8		/* 8 bits */
#define EERD_DATA_SHIFT	16
#define EERD_WRITABLE	0x0000ff01

/* CTRL_EXT, 13.4.6.  ASDCHK (12) and EE_RST clear themselves. */
#define CTRL_EXT_EE_RST	BIT(13)		/* read the EEPROM again */
#define CTRL_EXT_WRITABLE 0x10c0cfff

/* MDIC, 13.4.7 */
#define MDIC_DATA	0xffffu
#define MDIC_REG_SHIFT	16		/* 5 bits */
#define MDIC_PHY_SHIFT	21		/* 5 bits */
#define MDIC_OP_WRITE	BIT(26)
#define MDIC_OP_READ	BIT(27)
#define MDIC_READY	BIT(28)
#define MDIC_INT_EN	BIT(29)		/* interrupt when ready */
#define MDIC_ERROR	BIT(30)
#define MDIC_WRITABLE	0x2fffffff

/* PBA, 13.4.16: KiB of the 64 that receive has; transmit has the rest */
#define PBA_RXA		0x0000ffffu
#define PBA_TXA_SHIFT	16
#define PBA_TOTAL	64u
#define PBA_RESET	0x00100030

/* Interrupt causes: ICR, ICS, IMS, IMC, 13.4.17 */
#define ICR_TXDW	BIT(0)		/* transmit descriptor written back */
#define ICR_TXQE	BIT(1)		/* transmit ring empty */
#define ICR_LSC		BIT(2)		/* link status change */
#define ICR_RXSEQ	BIT(3)		/* receive sequence error */
#define ICR_RXDMT0	BIT(4)		/* few receive descriptors left */
#define ICR_RXO		BIT(6)		/* receiver overrun */
#define ICR_RXT0	BIT(7)		/* received, delays over */
#define ICR_MDAC	BIT(9)		/* MDIC is ready */
#define ICR_TXD_LOW	BIT(15)		/* few transmit descriptors left */
#define ICR_SRPD	BIT(16)		/* small packet received */
/* Reserved bits below 17 included: Linux' interrupt test sets all of 0-9. */
#define ICR_CAUSES	0x0001ffffu
/* ITR counts in 256 ns, RDTR, RADV, TIDV and TADV in 1.024 us. */
#define ITR_UNIT_NS	256u
#define DELAY_UNIT_NS	1024u
#define DELAY_FPD	BIT(31)		/* RDTR, TIDV: expire now */

/* RCTL, 13.4.22 */
#define RCTL_EN		BIT(1)		/* receiver on */
#define RCTL_SBP	BIT(2)		/* store bad packets */
#define RCTL_UPE	BIT(3)		/* all unicast */
#define RCTL_MPE	BIT(4)		/* all multicast */
#define RCTL_LPE	BIT(5)		/* long packets */
#define RCTL_LBM	(3u << 6)	/* loopback; 0: none */
#define RCTL_RDMTS_SHIFT 8		/* threshold: ring / 2, 4, 8 */
#define RCTL_MO_SHIFT	12		/* which bits MTA is looked up by */
#define RCTL_BAM	BIT(15)		/* broadcast */
#define RCTL_BSIZE_SHIFT 16		/* buffers of 2048 >> x bytes */
#define RCTL_VFE	BIT(18)		/* VLAN filter */
#define RCTL_CFIEN	BIT(19)		/* filter by the tag's CFI bit */
#define RCTL_CFI	BIT(20)		/* which has to be this */
#define RCTL_BSEX	BIT(25)		/* buffers 16 times as large */
#define RCTL_SECRC	BIT(26)		/* strip the CRC */
#define RCTL_WRITABLE	0x06dfb3feu

/* RXCSUM, 13.4.47 */
#define RXCSUM_PCSS	0xffu		/* packet checksum: from where */
#define RXCSUM_IPOFL	BIT(8)		/* check IPv4 headers */
#define RXCSUM_TUOFL	BIT(9)		/* check TCP and UDP */

/* TCTL, 13.4.33; TXDCTL, 13.4.43 */
#define TCTL_EN		BIT(1)		/* transmitter on */
#define TCTL_PSP	BIT(3)		/* pad short packets */
#define TCTL_WRITABLE	0x03fffffau
#define TXDCTL_LWTHRESH_SHIFT 25	/* TXD_LOW at this many times 8 */

/* RAH, 13.5 */
#define RAH_AV		BIT(31)		/* address valid */
#define RAH_AS_SHIFT	16		/* 0: destination, 1: source */
#define RAH_AS		(3u << RAH_AS_SHIFT)

/* Receive descriptor, 3.2.3. */
struct e1000_rxd {
	le64 addr;		/* of the buffer; the driver's */
	le16 len;		/* bytes written there; ours from here on */
	le16 csum;		/* packet checksum */
	uint8_t status;		/* RXD_*; DD makes the rest valid */
	uint8_t errors;		/* RXD_ERR_*; valid with EOP */
	le16 special;		/* tag control information, with VP */
};
static_assert(sizeof(struct e1000_rxd) == 16, "e1000_rxd");

#define RXD_DD		BIT(0)		/* done */
#define RXD_EOP		BIT(1)		/* last of a packet */
#define RXD_IXSM	BIT(2)		/* ignore the two below */
#define RXD_VP		BIT(3)		/* tag stripped */
#define RXD_TCPCS	BIT(5)		/* TCP or UDP checksum was looked at */
#define RXD_IPCS	BIT(6)		/* IPv4 checksum was looked at */
#define RXD_PIF		BIT(7)		/* passed by an inexact filter */
#define RXD_ERR_TCPE	BIT(5)		/* TCP or UDP checksum wrong */
#define RXD_ERR_IPE	BIT(6)		/* IPv4 checksum wrong */
#define RXD_ERR_RXE	BIT(7)		/* data error */

/* Transmit descriptor, legacy (3.3.3) or data (3.3.7). */
struct e1000_txd {
	le64 addr;		/* of the buffer */
	le32 lower;		/* length, CSO or type, command */
	le32 upper;		/* status, CSS or POPTS, special */
};
static_assert(sizeof(struct e1000_txd) == 16, "e1000_txd");

/* Transmit context descriptor, 3.3.6. */
struct e1000_txctx {
	uint8_t ipcss;		/* IPv4 checksum: first byte of the range */
	uint8_t ipcso;		/* where it goes */
	le16 ipcse;		/* last byte; 0: the packet's */
	uint8_t tucss;		/* the same for TCP or UDP */
	uint8_t tucso;
	le16 tucse;
	le32 lower;		/* PAYLEN, type, command */
	uint8_t status;		/* DD */
	uint8_t hdr_len;	/* TSO: bytes each segment repeats */
	le16 mss;		/* TSO: payload of a segment */
};
static_assert(sizeof(struct e1000_txctx) == 16, "e1000_txctx");

/* Of `lower`, all kinds */
#define TXD_LEGACY_LEN	0xffffu
#define TXD_CSO_SHIFT	16		/* legacy: 8 bits */
#define TXD_DATA_LEN	0xfffffu	/* data, and PAYLEN of context */
#define TXD_TYPE	(0xfu << 20)
#define TXD_TYPE_CTX	(0u << 20)
#define TXD_TYPE_DATA	(1u << 20)
#define TXD_EOP		BIT(24)		/* last of a packet */
#define TXD_IFCS	BIT(25)		/* append the CRC */
#define TXD_IC		BIT(26)		/* legacy: insert checksum */
#define TXD_TSE		BIT(26)		/* data, context: segment */
#define TXD_RS		BIT(27)		/* report status */
#define TXD_RPS		BIT(28)		/* the same, once sent */
#define TXD_DEXT	BIT(29)		/* data or context */
#define TXD_VLE		BIT(30)		/* insert a tag */
#define TXD_IDE		BIT(31)		/* delay the interrupt */
#define TXD_CTX_TCP	BIT(24)		/* context: TCP, else UDP */
#define TXD_CTX_IP	BIT(25)		/* context: IPv4, else IPv6 */
/* Of `upper` */
#define TXD_DD		BIT(0)		/* status: done */
#define TXD_STATUS	0xfu
#define TXD_CSS_SHIFT	8		/* legacy: 8 bits */
#define TXD_POPTS_IXSM	BIT(8)		/* insert IPv4 checksum */
#define TXD_POPTS_TXSM	BIT(9)		/* insert TCP or UDP checksum */
#define TXD_SPECIAL_SHIFT 16		/* tag control information */
/* Where the status byte lies, in each kind of descriptor. */
#define TXD_STATUS_OFF	12

/* PHY registers, 13.4.7 (IEEE 802.3 clause 22; 88E1011 from 16 on):
 * P(number, NAME, reset, writable).  The others are 0 and read-only. */
#define E1000_PHY_REGISTERS(P)						\
	P(0,  CTRL,	   0x1140, 0x7fc0)				\
	P(1,  STATUS,	   0x7949, 0)					\
	P(2,  ID1,	   0x0141, 0)					\
	P(3,  ID2,	   0x0c20, 0)					\
	P(4,  AUTONEG_ADV, 0x0de1, 0xbfff)				\
	P(5,  LP_ABILITY,  0, 0)					\
	P(6,  AUTONEG_EXP, 0x0004, 0)					\
	P(7,  NEXT_PAGE,   0x2001, 0xbfff)				\
	P(9,  1000T_CTRL,  0x0e00, 0xff00)				\
	P(10, 1000T_STATUS, 0, 0)					\
	P(15, EXT_STATUS,  0x3000, 0)					\
	P(16, SPEC_CTRL,   0x0360, 0xffff)				\
	P(17, SPEC_STATUS, 0, 0)					\
	P(18, INT_ENABLE,  0, 0xffff)					\
	P(20, EXT_CTRL,	   0x0d60, 0xffff)				\
	P(24, LED_CTRL,	   0x4100, 0xffff)				\
	P(29, PAGE_SELECT, 0, 0xffff)					\
	P(30, GEN_CTRL,	   0, 0xffff)

enum e1000_phy_reg {
#define P(number, name, reset, writable) PHY_##name = (number),
	E1000_PHY_REGISTERS(P)
#undef P
	E1000_N_PHY_REGS = 32,
	E1000_PHY_ADDR = 1,		/* on the MDIO bus */
};

#define PHY_CTRL_SPEED_MSB	BIT(6)
#define PHY_CTRL_FD		BIT(8)
#define PHY_CTRL_AN_RESTART	BIT(9)
#define PHY_CTRL_POWER_DOWN	BIT(11)
#define PHY_CTRL_AN_ENABLE	BIT(12)
#define PHY_CTRL_SPEED_LSB	BIT(13)
#define PHY_CTRL_LOOPBACK	BIT(14)
#define PHY_CTRL_RESET		BIT(15)
#define PHY_STATUS_LINK		BIT(2)	/* stays 0 until read once */
#define PHY_STATUS_AN_DONE	BIT(5)
#define PHY_ADV_10FD		BIT(6)
#define PHY_ADV_100		BIT(7)
#define PHY_ADV_100FD		BIT(8)
#define PHY_1000T_ADV_HD	BIT(8)
#define PHY_1000T_ADV_FD	BIT(9)
#define PHY_SPEC_LINK		BIT(10)	/* SPEC_STATUS */
#define PHY_SPEC_RESOLVED	BIT(11)
#define PHY_SPEC_FD		BIT(13)
#define PHY_SPEC_SPEED_SHIFT	14
/* The link partner: all speeds and modes, acknowledged, no PAUSE. */
#define PHY_LP_ALL		0x41e1
#define PHY_LP_CAN_AUTONEG	BIT(0)	/* AUTONEG_EXP */
/* ... 1000BASE-T in both modes; receivers at both ends work. */
#define PHY_1000T_ALL		0x3c00

/* EEPROM words, 5.6 */
enum e1000_eeprom_word {
	EEPROM_MAC = 0x00,		/* three words */
	EEPROM_INIT_CTRL1 = 0x0a,
	EEPROM_SUBSYS = 0x0b,
	EEPROM_SUBSYS_VENDOR = 0x0c,
	EEPROM_DEVICE = 0x0d,
	EEPROM_VENDOR = 0x0e,
	EEPROM_INIT_CTRL2 = 0x0f,
	EEPROM_CHECKSUM = 0x3f,
	EEPROM_N_WORDS = 64,
	EEPROM_SUM = 0xbaba,		/* of all words */
};

/* Microwire commands of an EEPROM with 64 words: start bit, 2 bits of opcode, 6
 * of address. */
enum {
	MICROWIRE_CMD_BITS = 9,
	MICROWIRE_EXT = 0,		/* by the upper bits of the address: */
	MICROWIRE_WRITE = 1,
	MICROWIRE_READ = 2,
	MICROWIRE_ERASE = 3,
	MICROWIRE_EXT_EWDS = 0,		/* ... writing disabled */
	MICROWIRE_EXT_EWEN = 3,		/* ... enabled */
};

#endif
