/* SPDX-License-Identifier: Apache-2.0
 *
 * 82540EM registers: the catalogue as data, dispatch, reset, and the hooks that
 * are not interrupt, PHY or EEPROM.  Called by e1000_pci.c for BAR accesses.
 */
#include <pthread.h>
#include <string.h>

#include "mem/dma.h"
#include "nic/e1000/e1000.h"

static void store(struct e1000 *dev, unsigned int slot, uint32_t val);

static void ctrl_wr(struct e1000 *dev, unsigned int slot, uint32_t val)
{
	uint32_t old = dev->state->reg[slot];

	if (val & CTRL_RST) {
		e1000_reset(dev, E1000_RESET_SOFTWARE);
		return;
	}
	store(dev, slot, val);
	if ((val & ~old) & CTRL_PHY_RST)
		e1000_phy_reset(dev);
	if ((val ^ old) & CTRL_PHY_RST)
		e1000_link_restart(dev);
	e1000_link_update(dev);
}

static void ctrl_ext_wr(struct e1000 *dev, unsigned int slot, uint32_t val)
{
	store(dev, slot, val);
	if (val & CTRL_EXT_EE_RST)
		e1000_eeprom_load(dev);
}

static uint32_t eecd_rd(struct e1000 *dev, unsigned int slot)
{
	return e1000_eecd_read(dev);
}

static void eecd_wr(struct e1000 *dev, unsigned int slot, uint32_t val)
{
	e1000_eecd_write(dev, val);
}

static void eerd_wr(struct e1000 *dev, unsigned int slot, uint32_t val)
{
	e1000_eerd_write(dev, val);
}

static void mdic_wr(struct e1000 *dev, unsigned int slot, uint32_t val)
{
	e1000_mdic_write(dev, val);
}

static void pba_wr(struct e1000 *dev, unsigned int slot, uint32_t val)
{
	uint32_t rxa = val & PBA_RXA;

	if (rxa <= PBA_TOTAL)
		dev->state->reg[slot] = (PBA_TOTAL - rxa) << PBA_TXA_SHIFT |
			rxa;
}

/* ICR clears itself by reading; writing ones clears them. */
static uint32_t icr_rd(struct e1000 *dev, unsigned int slot)
{
	uint32_t val = __atomic_exchange_n(dev->icr, 0, __ATOMIC_SEQ_CST);

	counter_add(&dev->counters.icr_reads, 1);
	e1000_irq_update(dev);
	return val;
}

static void icr_wr(struct e1000 *dev, unsigned int slot, uint32_t val)
{
	__atomic_fetch_and(dev->icr, ~val, __ATOMIC_SEQ_CST);
	e1000_irq_update(dev);
}

/* Documented as write-only; the chip shows ICR here, without clearing it. */
static uint32_t ics_rd(struct e1000 *dev, unsigned int slot)
{
	return pci_shared_load(dev->icr);
}

static void ics_wr(struct e1000 *dev, unsigned int slot, uint32_t val)
{
	e1000_raise(dev, val & ICR_CAUSES);
}

static uint32_t ims_rd(struct e1000 *dev, unsigned int slot)
{
	return pci_shared_load(dev->ims);
}

static void ims_wr(struct e1000 *dev, unsigned int slot, uint32_t val)
{
	__atomic_fetch_or(dev->ims, val & ICR_CAUSES, __ATOMIC_SEQ_CST);
	e1000_irq_update(dev);
}

static void imc_wr(struct e1000 *dev, unsigned int slot, uint32_t val)
{
	__atomic_fetch_and(dev->ims, ~val, __ATOMIC_SEQ_CST);
	e1000_irq_update(dev);
}

static void itr_wr(struct e1000 *dev, unsigned int slot, uint32_t val)
{
	store(dev, slot, val);
	e1000_irq_update(dev);
}

static void rctl_wr(struct e1000 *dev, unsigned int slot, uint32_t val)
{
	store(dev, slot, val);
	dev->tx.wait = false;
}

static void rx_ring_wr(struct e1000 *dev, unsigned int slot, uint32_t val)
{
	store(dev, slot, val);
	dev->rx.ring.known = false;
}

static void rdt_wr(struct e1000 *dev, unsigned int slot, uint32_t val)
{
	store(dev, slot, val);
	e1000_shared_rdt_set(dev);
	counter_add(&dev->counters.rx_doorbells, 1);
}

static void rdtr_wr(struct e1000 *dev, unsigned int slot, uint32_t val)
{
	store(dev, slot, val);
	if (val & DELAY_FPD)
		e1000_irq_rx_flush(dev);
}

static void tctl_wr(struct e1000 *dev, unsigned int slot, uint32_t val)
{
	store(dev, slot, val);
	dev->tx.wait = false;
}

static void tx_ring_wr(struct e1000 *dev, unsigned int slot, uint32_t val)
{
	store(dev, slot, val);
	dev->tx.ring.known = false;
	dev->tx.wait = false;
}

static void tdt_wr(struct e1000 *dev, unsigned int slot, uint32_t val)
{
	store(dev, slot, val);
	e1000_shared_tdt_set(dev);
	dev->tx.wait = false;
	counter_add(&dev->counters.tx_doorbells, 1);
}

static void tidv_wr(struct e1000 *dev, unsigned int slot, uint32_t val)
{
	store(dev, slot, val);
	if (val & DELAY_FPD)
		e1000_irq_tx_flush(dev);
}

static uint32_t stat_rd(struct e1000 *dev, unsigned int slot)
{
	uint32_t val = dev->state->reg[slot];

	dev->state->reg[slot] = 0;
	return val;
}

/* A pair of registers is read lower half first, and cleared by the upper. */
static uint32_t stat_high_rd(struct e1000 *dev, unsigned int slot)
{
	dev->state->reg[slot - 1] = 0;
	return stat_rd(dev, slot);
}

static uint32_t mpc_rd(struct e1000 *dev, unsigned int slot)
{
	e1000_stat_missed(dev);
	return stat_rd(dev, slot);
}

const struct e1000_row e1000_rows[] = {
#define R(offset, name, n, stride, reset, writable, rd, wr) \
	{ #name, offset, n, stride, E1000_##name, reset, writable, rd, wr },
	E1000_REGISTERS(R)
#undef R
};
const unsigned int e1000_n_rows = ARRAY_SIZE(e1000_rows);

static const struct { uint32_t offset; uint16_t slot; } aliases[] = {
#define A(offset, name) { offset, E1000_##name },
	E1000_ALIASES(A)
#undef A
};

/* Which register an offset is: slot + 1 by offset / 4; its row, and its value
 * after a reset, by slot. */
static uint16_t slot_at[E1000_REGS_SIZE / 4];
static uint16_t row_of[E1000_N_SLOTS];
static uint32_t reset_values[E1000_N_SLOTS];
static pthread_once_t maps_once = PTHREAD_ONCE_INIT;

static void map_row(const struct e1000_row *row, uint32_t offset)
{
	for (unsigned int i = 0; i < row->n; i++)
		slot_at[(offset + i * row->stride) / 4] =
			(uint16_t)(row->slot + i + 1);
}

static void make_maps(void)
{
	for (unsigned int r = 0; r < e1000_n_rows; r++) {
		map_row(&e1000_rows[r], e1000_rows[r].offset);
		for (unsigned int i = 0; i < e1000_rows[r].n; i++) {
			row_of[e1000_rows[r].slot + i] = (uint16_t)r;
			reset_values[e1000_rows[r].slot + i] =
				e1000_rows[r].reset;
		}
	}
	for (unsigned int a = 0; a < ARRAY_SIZE(aliases); a++)
		map_row(&e1000_rows[row_of[aliases[a].slot]],
			aliases[a].offset);
}

static void store(struct e1000 *dev, unsigned int slot, uint32_t val)
{
	uint32_t writable = e1000_rows[row_of[slot]].writable;

	dev->state->reg[slot] = (dev->state->reg[slot] & ~writable) |
		(val & writable);
}

uint32_t e1000_reg_read(struct e1000 *dev, uint32_t offset)
{
	unsigned int slot = slot_at[offset / 4];
	const struct e1000_row *row;

	counter_add(&dev->counters.reg_reads, 1);
	if (!slot) {
		counter_add(&dev->counters.reg_unknown, 1);
		return 0;
	}
	slot--;
	row = &e1000_rows[row_of[slot]];
	if (row->slot == E1000_IMC)
		return 0;	/* write-only */
	return row->read ? row->read(dev, slot) : dev->state->reg[slot];
}

void e1000_reg_write(struct e1000 *dev, uint32_t offset, uint32_t val)
{
	unsigned int slot = slot_at[offset / 4];
	const struct e1000_row *row;

	counter_add(&dev->counters.reg_writes, 1);
	if (!slot) {
		counter_add(&dev->counters.reg_unknown, 1);
		return;
	}
	slot--;
	row = &e1000_rows[row_of[slot]];
	if (row->write)
		row->write(dev, slot, val);
	else
		store(dev, slot, val);
}

void e1000_reset(struct e1000 *dev, enum e1000_reset kind)
{
	struct e1000_state *s = dev->state;
	uint32_t pba = s->reg[E1000_PBA];
	bool software = kind == E1000_RESET_SOFTWARE;

	pthread_once(&maps_once, make_maps);
	memcpy(s->reg, reset_values, sizeof(s->reg));
	__atomic_store_n(dev->ims, 0, __ATOMIC_SEQ_CST);
	e1000_shared_rdt_set(dev);
	e1000_shared_tdt_set(dev);
	if (software)
		s->reg[E1000_PBA] = pba; /* a new split needs RST to count */

	for (unsigned int id = 0; id < E1000_N_TIMERS; id++)
		if (id != E1000_TIMER_LINK || !software)
			e1000_timer_cancel(dev, id);
	s->irq_last_ns = 0;
	memset(s->tx_ctx, 0, sizeof(s->tx_ctx));
	s->tx_skip = 0;
	dev->tx.ring = dev->rx.ring = (struct e1000_ring){ 0 };
	dev->tx.wait = false;
	dev->rx.causes = 0;
	dev->rx.full = false;
	dev->rx.full_seen = counter_read(&dev->port.queues[0].stats.rx_full);

	s->microwire = (struct e1000_microwire){ .out = 1 };
	if (kind == E1000_RESET_POWER_ON)
		e1000_eeprom_make(dev);
	e1000_eeprom_load(dev);
	if (!software) {
		dev->io_addr = 0;
		s->phy_link = false;
		s->phy_link_lost = true;
		e1000_phy_reset(dev);
		e1000_link_restart(dev);
	}
	e1000_link_update(dev);
	/* No cause of the time before, nor of the reset itself, remains. */
	__atomic_store_n(dev->icr, 0, __ATOMIC_SEQ_CST);
	e1000_irq_update(dev);
}

bool e1000_can_dma(struct e1000 *dev)
{
	return dev->pci.dma && pci_bus_master(&dev->pci) &&
		!dma_space_broken(dev->pci.dma);
}

bool e1000_ring_view(struct e1000 *dev, struct e1000_ring *ring,
		     enum e1000_slot base_slot)
{
	const uint32_t *reg = &dev->state->reg[base_slot];
	uint64_t base = (uint64_t)reg[1] << 32 | reg[0];
	uint32_t len = reg[2];

	if (likely(ring->known))
		return ring->hva;
	ring->known = true;
	ring->n = len / sizeof(struct e1000_txd);
	ring->hva = dma_at(dev->pci.dma, base, len, DMA_READ | DMA_WRITE);
	return ring->hva;
}
static_assert(sizeof(struct e1000_txd) == sizeof(struct e1000_rxd),
	      "rings of both directions have the same stride");
static_assert(E1000_RDBAH == E1000_RDBAL + 1 && E1000_RDLEN == E1000_RDBAL + 2,
	      "rx ring registers");
static_assert(E1000_TDBAH == E1000_TDBAL + 1 && E1000_TDLEN == E1000_TDBAL + 2,
	      "tx ring registers");
