/* SPDX-License-Identifier: Apache-2.0
 *
 * A test rig for the e1000: the device on a worker that never starts, with a
 * fake clock, guest memory in a memfd, and a switch that keeps what it is
 * given.  Tests drive it through its BARs, as a driver does.
 */
#ifndef E1000_RIG_H
#define E1000_RIG_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "nic/e1000/e1000.h"
#include "port/frame.h"

enum {
	/* Guest memory, and what lies where in it. */
	MEM_BASE = 0x100000,
	MEM_SIZE = 0x400000,
	TX_RING = 0x100000,
	RX_RING = 0x110000,
	TX_BUF = 0x120000,	/* 64 KiB and more */
	RX_BUF = 0x200000,
	NOWHERE = 0x70000000,	/* nothing is mapped there */
	SENT_MAX = 128,
};

/* A frame as the switch has seen it. */
struct sent {
	struct frame frame;	/* fields; hdr and segs are not valid */
	uint32_t len;		/* of bytes */
	uint8_t *bytes;
};

struct rig {
	struct worker *worker;
	struct nic nic;
	struct e1000 *dev;
	int memfd;
	uint8_t *mem;		/* MEM_SIZE at MEM_BASE */
	uint64_t now;
	unsigned int accept;	/* frames the switch takes of each batch */
	unsigned int n_sent;
	struct sent sent[SENT_MAX];
	unsigned int n_irqs;	/* rising edges */
	bool irq_level;
	uint32_t n_tx, n_rx;	/* descriptors in the rings */
};

extern struct rig rig;
extern const uint8_t rig_mac[6];

/* cmocka fixtures: a fresh device, bus master on, link up, no cause pending. */
int rig_setup(void **state);
int rig_setup_exact_crc(void **state);
int rig_teardown(void **state);

uint32_t rd(uint32_t offset);
void wr(uint32_t offset, uint32_t val);

/* The offset of a register by its slot. */
uint32_t offset_of(unsigned int slot);
#define RD(name) rd(offset_of(E1000_##name))
#define WR(name, val) wr(offset_of(E1000_##name), val)

/** rig_run() - let the worker go round until there is nothing to do; fails the
 * test if that does not end */
void rig_run(void);

/** rig_advance() - the clock, then rig_run() */
void rig_advance(uint64_t ns);

/** guest() - where a guest address lies */
void *guest(uint64_t addr);

/** rig_tx_on(), rig_rx_on() - rings of @n descriptors; unit enabled */
void rig_tx_on(uint32_t n);
void rig_rx_on(uint32_t n, uint32_t rctl);

/** tx_put() - the next TX descriptor; not yet handed over */
void tx_put(uint64_t addr, uint32_t lower, uint32_t upper);
void tx_put_ctx(const struct e1000_txctx *ctx);
/** tx_go() - write TDT behind the last tx_put(), run */
void tx_go(void);
/** tx_status() - status byte of TX descriptor @i */
uint8_t tx_status(uint32_t i);

/** rx_give() - descriptors [0, n): buffer i at RX_BUF + i * step; RDT = n */
void rx_give(uint32_t n, uint32_t step);
/** rx_frame() - deliver @len bytes; was there room?  @flags: enum frame_flags,
 * @tci with FRAME_VLAN */
bool rx_frame(const void *bytes, uint32_t len, uint8_t flags, uint16_t tci);
/** rx_desc() - a copy of RX descriptor @i */
struct e1000_rxd rx_desc(uint32_t i);

/** make_frame() - @len bytes from @src to @dst, of type 0x88b5 (experiments) */
void make_frame(uint8_t *bytes, uint32_t len, const uint8_t *dst);
/** make_tcp4(), make_tcp6() - a frame, its length; checksums as a driver
 * leaves them for TSO (@tso: no lengths), or for insertion of one */
uint32_t make_tcp4(uint8_t *bytes, uint32_t payload, bool tso);
uint32_t make_tcp6(uint8_t *bytes, uint32_t payload, bool tso);

#endif
