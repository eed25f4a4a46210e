/* SPDX-License-Identifier: Apache-2.0
 *
 * Intel 82540EM Gigabit Ethernet Controller, PCI 8086:100e, as a device model.
 *
 * Written from Intel's 8254x Software Developer's Manual, 317453-006 (its
 * section numbers are those cited) and from what drivers expect: Linux 6.1's
 * e1000, DPDK's e1000 poll-mode driver (22.11).  Tested with both.
 *
 * Modelled: legacy, context and data transmit descriptors; TCP and UDP
 * segmentation for IPv4 and IPv6; checksum insertion and validation; 802.1Q
 * insertion, stripping and filtering; all address filters; receive over several
 * descriptors, long packets; interrupt causes, masks, throttling and delays;
 * the EEPROM by EERD and pin by pin, read and written; the PHY (88E1011) with
 * autonegotiation, forced modes and loopback; MAC loopback; the statistics of
 * everything that can happen here.
 *
 * Accepted and without effect: flow control (a bridge does not forward PAUSE,
 * IEEE 802.1Q 8.6.3), wake-up, management, LEDs, collisions, inter-packet gap,
 * descriptor prefetch and write-back thresholds (a descriptor is written back
 * when its burst is done), flash, FIFO diagnostics.
 *
 * Different from the chip on purpose:
 * - A packet is taken from the ring once all its descriptors are there.
 * - A received CRC that the driver keeps is four zero bytes unless the port
 *   asks for exact ones.
 * - The packet checksum of a receive descriptor is 0 until the driver has set
 *   RXCSUM.PCSS, unless the port asks for exact CRCs.
 * - A checksum that is to be inserted beyond the first 256 bytes, where the
 *   switch cannot reach, is counted and left out (CSO and TUCSO of 255).
 * - A received packet that is shorter than 60 bytes without its tag is padded.
 * - Checksums behind LLC and SNAP headers are not looked at (IXSM).
 * - What the chip would do to memory that is not there (stop, or hang the bus)
 *   is a counted drop.
 *
 * Absent: packet buffer memory (0x10000 on); MSI and power management unless
 * asked for (see e1000_pci.c).
 *
 * Reading order: e1000_regs.h, this file, e1000_reg.c, e1000_irq.c,
 * e1000_shared.c, e1000_phy.c, e1000_tx.c, e1000_rx.c, e1000_stats.c,
 * e1000_pci.c.
 *
 * Threads: one home worker.  Register accesses come between batches.
 */
#ifndef E1000_H
#define E1000_H

#include "base/counter.h"
#include "loop/worker.h"
#include "nic/e1000/e1000_regs.h"
#include "nic/model.h"
#include "pci/pci.h"
#include "pci/shared_regs.h"
#include "port/port.h"
#include "proto/checksum.h"

struct e1000;

/* What is reset, and what survives. */
enum e1000_reset {
	E1000_RESET_POWER_ON,	/* nothing survives; the EEPROM is as new */
	E1000_RESET_BUS,	/* PCI RST#: the EEPROM's contents survive */
	E1000_RESET_SOFTWARE,	/* CTRL.RST: also PHY, link and PBA */
};

enum e1000_timer_id {
	E1000_TIMER_LINK,	/* autonegotiation done */
	E1000_TIMER_ITR,	/* interrupt allowed again */
	E1000_TIMER_RDTR,	/* receive: since the last packet */
	E1000_TIMER_RADV,	/* receive: since the first packet */
	E1000_TIMER_TIDV,	/* transmit: since the last packet */
	E1000_TIMER_TADV,	/* transmit: since the first packet */
	E1000_N_TIMERS,
};

/* How long autonegotiation takes.  Copper needs seconds; no driver minds. */
#define E1000_AUTONEG_NS 20000000ull

/* The EEPROM's serial interface: what its pins have seen so far. */
struct e1000_microwire {
	uint32_t in;		/* command bits, newest lowest */
	uint16_t data;		/* word to shift out, or shifted in */
	uint8_t n_in;		/* bits in `in`, from the start bit on */
	uint8_t n_data;		/* bits of `data` done */
	uint8_t write_enabled;	/* EWEN seen */
	uint8_t out;		/* level of DO */
};

/*
 * What the guest can see, flat and without pointers; lies in
 * pci_dev.state->model.  Whatever the guest has written is here as it wrote it.
 */
struct e1000_state {
	/* General */
	uint32_t reg[E1000_N_SLOTS];	/* by enum e1000_slot; while they are
					 * shared, ICR and IMS are not here */
	uint64_t timer_due_ns[E1000_N_TIMERS]; /* 0: not running */

	/* Interrupt */
	uint64_t irq_last_ns;		/* ITR: the pin last rose; 0: never */

	/* Transmit */
	struct e1000_txctx tx_ctx[2];	/* last context without, with TSE */
	uint32_t tx_skip;		/* drop descriptors up to EOP: the
					 * packet's beginning is gone already */

	/* PHY */
	uint16_t phy[E1000_N_PHY_REGS];	/* by enum e1000_phy_reg */
	uint8_t phy_link;		/* the PHY has link now */
	uint8_t phy_link_lost;		/* ... had none since STATUS was read */

	/* EEPROM */
	uint16_t eeprom[EEPROM_N_WORDS];
	struct e1000_microwire microwire;
};

/* A descriptor ring as checked and mapped.  Dropped when its registers or the
 * memory map change, taken anew at first use. */
struct e1000_ring {
	uint8_t *hva;		/* first descriptor; NULL: not usable */
	uint32_t n;		/* descriptors in it */
	bool known;		/* hva and n are up to date */
};

enum {
	/* Descriptors looked at by one tx_burst(). */
	E1000_TX_DESCS = 256,
	/* Pieces of memory of one packet, before it becomes a frame. */
	E1000_TX_IOVS = 2 * FRAME_SEGS_MAX,
	/* The CRC at a packet's end on the wire. */
	E1000_CRC_LEN = 4,
	/* Packets on the wire, CRC included: the longest received at all, the
	 * longest that is not a long packet, the shortest. */
	E1000_LEN_MAX = 16384,
	E1000_LEN_MAX_NORMAL = 1522,
	E1000_LEN_MIN = 64,
	/* Descriptors that one packet may need: the longest in the smallest
	 * buffers, and some without a buffer. */
	E1000_RX_DESCS = 80,
	/* Descriptors received into before they are written back. */
	E1000_RX_DONE = 2 * E1000_RX_DESCS,
};

/* What has happened on the wire, if the frames up to one are consumed. */
struct e1000_tx_snap {
	uint32_t n_descs;	/* descriptors since the burst's start */
	struct e1000_txctx ctx[2]; /* contexts after them */
	uint32_t n_wire;	/* packets on the wire (TSO: many) */
	uint32_t wire_len;	/* bytes of each, tag and CRC included */
	uint32_t last_len;	/* ... but of the last */
	bool tso;		/* segmented */
	uint8_t dst[6];		/* destination address */
};

/* Transmit, outside the state: one burst. */
struct e1000_tx {
	struct e1000_ring ring;
	bool wait;		/* nothing to do until a register is written */
	struct e1000_txd desc[E1000_TX_DESCS]; /* private copies, from TDH */
	struct iovec iov[E1000_TX_IOVS]; /* the packet being put together */
	struct e1000_tx_snap snap[BATCH_MAX]; /* by frame.cookie */
};

/* Which word of a shared page is which register, and the rows of the list by
 * which they are accessed there. */
enum e1000_shared_word {
	E1000_SHARED_ICR,
	E1000_SHARED_IMS,
	E1000_SHARED_STATUS,
	E1000_SHARED_RDT,
	E1000_SHARED_TDT,
	E1000_SHARED_ASLEEP,	/* not 0: a new TDT needs a call */
};

enum e1000_shared_row {
	E1000_SHARED_READ_ICR,
	E1000_SHARED_WRITE_IMS,
	E1000_SHARED_WRITE_IMC,
	E1000_SHARED_READ_STATUS,
	E1000_SHARED_WRITE_RDT,
	E1000_SHARED_WRITE_TDT,
	E1000_SHARED_WRITE_EECD,
	E1000_N_SHARED,
};

/* What a driver accesses at an interrupt and for a packet, in memory shared
 * with the client. */
struct e1000_shared {
	struct pci_shared_page *page;	/* NULL: not shared */
	uint64_t n[E1000_N_SHARED];	/* of page->n, counted already */
};

/* Receive, outside the state. */
struct e1000_rx {
	struct e1000_ring ring;
	uint32_t n_done;	/* descriptors before RDH to be written back */
	uint64_t done[E1000_RX_DONE]; /* ... with this; none between bursts */
	uint32_t causes;	/* to be raised at rx_flush() */
	bool looping;		/* frames come from our own transmitter */
	bool full;		/* the last frame found no room */
	uint64_t full_seen;	/* port's rx_full that MPC has accounted for */
};

/*
 * Counters of ours, not the chip's, for `show`.
 * C(name, what)
 */
#define E1000_COUNTERS(C)						\
	C(reg_reads, "register reads")					\
	C(reg_writes, "register writes")				\
	C(reg_shared, "of both, in shared memory: without a message")	\
	C(reg_unknown, "accesses to no register")			\
	C(reg_bad_size, "writes that are not 32 bits wide")		\
	C(tx_doorbells, "TDT writes")					\
	C(rx_doorbells, "RDT writes")					\
	C(tx_bursts, "batches of frames taken from the TX ring")	\
	C(rx_bursts, "batches of frames given to the RX ring")		\
	C(icr_reads, "ICR reads")					\
	C(interrupts, "interrupts asserted")				\
	C(irq_throttled, "interrupts held back by ITR")			\
	C(tx_bad_ring, "TX ring not mapped, or TDH or TDT outside")	\
	C(tx_drop_dma, "TX dropped: data not mapped")			\
	C(tx_drop_size, "TX dropped: too short, too long, too many pieces")\
	C(tx_drop_type, "TX dropped: unknown descriptor type")		\
	C(tx_drop_tso, "TX dropped: segmentation makes no sense")	\
	C(tx_bad_csum, "TX checksum outside the header, not inserted")	\
	C(tx_looped, "TX looped back")					\
	C(rx_off, "RX dropped: receiver off or no link")		\
	C(rx_bad_ring, "RX dropped: ring not mapped, or RDH or RDT outside")\
	C(rx_drop_dma, "RX dropped: buffer not mapped")			\
	C(rx_drop_size, "RX dropped: needs too many descriptors")	\
	C(rx_filtered, "RX dropped by address, VLAN or CFI")		\
	C(rx_long, "RX dropped: long packet")				\
	C(rx_no_room, "RX times that descriptors ran out")

struct e1000_counters {
#define C(name, what) counter name;
	E1000_COUNTERS(C)
#undef C
};

struct e1000 {
	struct pci_dev pci;		/* the guest's side */
	struct port port;		/* the switch's side */
	struct worker *worker;		/* home */
	struct e1000_state *state;	/* in pci.state */
	/* Where ICR and IMS are: in the state or in a shared page, where the
	 * client may change them at any time (pci/shared_regs.h). */
	uint32_t *icr, *ims;
	struct e1000_shared shared;
	struct e1000_counters counters;
	struct timer timer[E1000_N_TIMERS]; /* by enum e1000_timer_id */
	struct e1000_tx tx;
	struct e1000_rx rx;
	uint8_t mac[6];			/* as made */
	bool exact_crc;			/* compute the CRC a driver keeps */
	uint32_t io_addr;		/* IOADDR; survives no bus reset */
};

static inline struct e1000 *e1000_of_pci(struct pci_dev *pci)
{
	return container_of(pci, struct e1000, pci);
}

static inline struct e1000 *e1000_of_port(struct port *port)
{
	return container_of(port, struct e1000, port);
}

/* e1000_reg.c */

/* One row of the catalogue. */
struct e1000_row {
	const char *name;
	uint32_t offset;	/* of the first */
	uint16_t n;		/* registers */
	uint16_t stride;	/* bytes from one to the next */
	uint16_t slot;		/* of the first; enum e1000_slot */
	uint32_t reset;
	uint32_t writable;
	uint32_t (*read)(struct e1000 *dev, unsigned int slot);
	void (*write)(struct e1000 *dev, unsigned int slot, uint32_t val);
};

/* The catalogue as data, for dispatch, reset, traces and tests. */
extern const struct e1000_row e1000_rows[];
extern const unsigned int e1000_n_rows;

/** e1000_reg_read(), e1000_reg_write() - one register, by a multiple of 4 */
uint32_t e1000_reg_read(struct e1000 *dev, uint32_t offset);
void e1000_reg_write(struct e1000 *dev, uint32_t offset, uint32_t val);

/** e1000_reset() - the one initialiser of state, timers and rings */
void e1000_reset(struct e1000 *dev, enum e1000_reset kind);

/**
 * e1000_ring_view() - the ring at a base and length register
 * @base_slot: RDBAL or TDBAL; RDBAH and RDLEN, or TDBAH and TDLEN, follow it
 *
 * Return: is it usable?  A ring of length 0 is not.
 */
bool e1000_ring_view(struct e1000 *dev, struct e1000_ring *ring,
		     enum e1000_slot base_slot);

/* May the device reach memory now? */
bool e1000_can_dma(struct e1000 *dev);

/* e1000_irq.c */

/** e1000_raise() - the one way to an interrupt: set causes in ICR */
void e1000_raise(struct e1000 *dev, uint32_t causes);

/** e1000_irq_update() - ICR, IMS or ITR have changed: see to the pin */
void e1000_irq_update(struct e1000 *dev);

/**
 * e1000_irq_received() - a batch was received: RXT0 now or after a delay
 * @now: no delay, whatever the registers say: a small packet was there
 */
void e1000_irq_received(struct e1000 *dev, bool now);

/**
 * e1000_irq_sent() - descriptors were written back: TXDW now or later
 * @delay: all of them asked for a delay (IDE)
 */
void e1000_irq_sent(struct e1000 *dev, bool delay);

/** e1000_irq_rx_flush(), e1000_irq_tx_flush() - end a delay now */
void e1000_irq_rx_flush(struct e1000 *dev);
void e1000_irq_tx_flush(struct e1000 *dev);

/** e1000_timer_set() - start @id, or start it again */
void e1000_timer_set(struct e1000 *dev, enum e1000_timer_id id,
		     uint64_t due_ns);
void e1000_timer_cancel(struct e1000 *dev, enum e1000_timer_id id);

/** e1000_irq_init() - set up the timers; once */
void e1000_irq_init(struct e1000 *dev);

/* e1000_shared.c */

extern const struct pci_shared_reg e1000_shared_regs[E1000_N_SHARED];

/** e1000_share(), e1000_shared_changed() - as struct pci_dev_ops has them */
void e1000_share(struct pci_dev *pci, struct pci_shared_page *page);
void e1000_shared_changed(struct pci_dev *pci);

/** e1000_shared_status() - STATUS has changed */
void e1000_shared_status(struct e1000 *dev);

/** e1000_shared_rdt(), e1000_shared_tdt() - take the tail over as the client
 * has left it: between two calls it stays what it is */
void e1000_shared_rdt(struct e1000 *dev);
void e1000_shared_tdt(struct e1000 *dev);

/** e1000_shared_rdt_set(), e1000_shared_tdt_set() - written, and not there.
 * Each by itself: the client may be about to write the other one. */
void e1000_shared_rdt_set(struct e1000 *dev);
void e1000_shared_tdt_set(struct e1000 *dev);

/** e1000_tx_arm(), e1000_tx_disarm() - as struct port_ops has them */
void e1000_tx_arm(struct port_queue *queue);
void e1000_tx_disarm(struct port_queue *queue);

/* e1000_phy.c: PHY, link, EEPROM */

void e1000_mdic_write(struct e1000 *dev, uint32_t val);
void e1000_eerd_write(struct e1000 *dev, uint32_t val);
void e1000_eecd_write(struct e1000 *dev, uint32_t val);
uint32_t e1000_eecd_read(struct e1000 *dev);

/** e1000_eeprom_make() - contents as they leave the factory */
void e1000_eeprom_make(struct e1000 *dev);

/** e1000_eeprom_load() - what the MAC takes over from it: RA 0 */
void e1000_eeprom_load(struct e1000 *dev);

/** e1000_phy_reset() - the reset pin: registers as at power-on */
void e1000_phy_reset(struct e1000 *dev);

/** e1000_link_restart() - take the link down, begin to get it anew */
void e1000_link_restart(struct e1000 *dev);

/** e1000_link_done() - autonegotiation's end, by timer */
void e1000_link_done(struct e1000 *dev);

/** e1000_link_update() - set STATUS from PHY and CTRL; LSC if LU changes */
void e1000_link_update(struct e1000 *dev);

/** e1000_loopback() - does what is sent come back, by RCTL or the PHY? */
bool e1000_loopback(const struct e1000 *dev);

/* e1000_tx.c, e1000_rx.c: struct port_ops */

void e1000_tx_burst(struct port_queue *queue, struct frame_batch *batch,
		    bool *worked);
void e1000_tx_done(struct port_queue *queue, const struct frame_batch *batch,
		   unsigned int n);
unsigned int e1000_rx_burst(struct port_queue *queue,
			    struct frame *const *frames, unsigned int n);
void e1000_rx_flush(struct port_queue *queue);

/** e1000_csum_add_frame() - the next bytes of a sum: @len of them, at @from */
void e1000_csum_add_frame(struct csum *sum, const struct frame *frame,
			  uint32_t from, uint32_t len);

/* e1000_stats.c */

/** e1000_stat_add() - add to a statistics register, which stops at its end */
void e1000_stat_add(struct e1000 *dev, enum e1000_slot slot, uint32_t n);

/** e1000_stat_add64() - the same for a pair; @slot: of its lower half */
void e1000_stat_add64(struct e1000 *dev, enum e1000_slot slot, uint64_t n);

/**
 * e1000_stat_sent(), e1000_stat_received() - @n packets of @len bytes each
 * @len: on the wire, tag and CRC included
 * @dst: destination address
 */
void e1000_stat_sent(struct e1000 *dev, const uint8_t *dst, uint32_t len,
		     uint32_t n);
void e1000_stat_received(struct e1000 *dev, const uint8_t *dst, uint32_t len);

/** e1000_stat_oversize() - a packet that is longer than is allowed */
void e1000_stat_oversize(struct e1000 *dev, uint32_t len);

/** e1000_stat_missed() - bring MPC up to the frames the port has given up */
void e1000_stat_missed(struct e1000 *dev);

#endif
