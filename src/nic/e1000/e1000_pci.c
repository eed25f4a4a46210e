/* SPDX-License-Identifier: Apache-2.0
 *
 * 82540EM: identity, BARs, creation; the tables by which a host (struct
 * pci_dev_ops) and the switch (struct port_ops) reach the rest.
 *
 * There are two personalities.  By default it is what QEMU shows of this chip:
 * no capability list, cache line size and latency timer read-only and 0.  With
 * caps=full it has power management and MSI as the chip (8254x manual, 4.1).
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include "nic/e1000/e1000.h"

static const struct pci_ident ident = {
	.vendor = 0x8086, .device = 0x100e,
	.subsys_vendor = 0x1af4, .subsys = 0x1100,
	.class_code = 0x020000, .revision = 3, .intx_pin = 1,
};

static const struct pci_bar bars[PCI_N_BARS + 1] = {
	[E1000_BAR_REGS] = { PCI_BAR_MEM32, false, E1000_REGS_SIZE },
	[E1000_BAR_IO] = { PCI_BAR_IO, false, E1000_IO_SIZE },
	[PCI_ROM_BAR] = { PCI_BAR_MEM32, false, E1000_ROM_SIZE },
};

/* The I/O window's dword at @off: IOADDR, IODATA, or nothing.  An IOADDR
 * outside the registers reaches nothing (13.2.2). */
static uint32_t io_read(struct e1000 *dev, uint32_t off)
{
	if (off == E1000_IOADDR)
		return dev->io_addr;
	if (off == E1000_IODATA && dev->io_addr < E1000_REGS_SIZE)
		return e1000_reg_read(dev, dev->io_addr & ~3u);
	return 0;
}

static void io_write(struct e1000 *dev, uint32_t off, uint32_t val)
{
	if (off == E1000_IOADDR)
		dev->io_addr = val;
	else if (off == E1000_IODATA && dev->io_addr < E1000_REGS_SIZE)
		e1000_reg_write(dev, dev->io_addr & ~3u, val);
}

/*
 * Registers are 32 bits wide.  A read of another size or alignment reads the
 * registers that its bytes lie in, each once, and picks the bytes; a write has
 * to be of whole registers, else it is counted and has no effect.
 */
static uint64_t bar_read(struct pci_dev *pci, unsigned int bar, uint64_t off,
			 unsigned int len)
{
	struct e1000 *dev = e1000_of_pci(pci);
	uint32_t at = (uint32_t)off & ~3u, end = (uint32_t)off + len;
	uint8_t bytes[12];

	if (bar == PCI_ROM_BAR)
		return ~0ull;	/* no option ROM is fitted */
	for (unsigned int i = 0; at < end; at += 4, i += 4)
		le32_store(bytes + i, bar == E1000_BAR_IO ?
			   io_read(dev, at) : e1000_reg_read(dev, at));
	memset(bytes + (end - ((uint32_t)off & ~3u)), 0,
	       sizeof(bytes) - (end - ((uint32_t)off & ~3u)));
	return le64_load(bytes + (off & 3));
}

static void bar_write(struct pci_dev *pci, unsigned int bar, uint64_t off,
		      unsigned int len, uint64_t val)
{
	struct e1000 *dev = e1000_of_pci(pci);

	if (bar == PCI_ROM_BAR)
		return;
	if ((off | len) & 3) {
		counter_add(&dev->counters.reg_bad_size, 1);
		return;
	}
	for (; len; len -= 4, off += 4, val >>= 32) {
		if (bar == E1000_BAR_IO)
			io_write(dev, (uint32_t)off, (uint32_t)val);
		else
			e1000_reg_write(dev, (uint32_t)off, (uint32_t)val);
	}
}

/* Bus mastering may have been switched on: look at the rings again. */
static void config_written(struct pci_dev *pci, unsigned int off,
			   unsigned int len)
{
	e1000_of_pci(pci)->tx.wait = false;
}

static void reset(struct pci_dev *pci, enum pci_reset kind)
{
	e1000_reset(e1000_of_pci(pci), kind == PCI_RESET_POWER_ON ?
		    E1000_RESET_POWER_ON : E1000_RESET_BUS);
}

static void dma_changed(struct pci_dev *pci)
{
	struct e1000 *dev = e1000_of_pci(pci);

	dev->tx.ring = dev->rx.ring = (struct e1000_ring){ 0 };
	dev->tx.wait = false;
}

static void destroy(struct pci_dev *pci)
{
	struct e1000 *dev = e1000_of_pci(pci);

	for (unsigned int id = 0; id < E1000_N_TIMERS; id++)
		e1000_timer_cancel(dev, id);
	port_queue_stop(&dev->port.queues[0]);
	pci_dev_fini(pci);
	free(dev);
}

static void link(struct port *port, bool up)
{
	e1000_link_restart(e1000_of_port(port));
}

/* The PCI side owns the object and frees it. */
static void port_destroy(struct port *port)
{
}

static const struct pci_dev_ops e1000_pci_ops = {
	.model = "e1000",
	.state_version = 1,
	.state_size = sizeof(struct e1000_state),
	.bar_read = bar_read,
	.bar_write = bar_write,
	.config_written = config_written,
	.reset = reset,
	.dma_changed = dma_changed,
	.share = e1000_share,
	.shared_changed = e1000_shared_changed,
	.destroy = destroy,
};

static const struct port_counter counters[] = {
#define C(name, what) { #name, what },
	E1000_COUNTERS(C)
#undef C
};
static_assert(sizeof(struct e1000_counters) ==
	      ARRAY_SIZE(counters) * sizeof(counter), "counters alone");

static const struct port_ops e1000_port_ops = {
	.kind = "e1000",
	.counters = counters,
	.n_counters = ARRAY_SIZE(counters),
	.tx_burst = e1000_tx_burst,
	.tx_done = e1000_tx_done,
	.rx_burst = e1000_rx_burst,
	.rx_flush = e1000_rx_flush,
	.tx_arm = e1000_tx_arm,
	.tx_disarm = e1000_tx_disarm,
	.link = link,
	.destroy = port_destroy,
};

enum {
	PM_CAP = 0xdc, MSI_CAP = 0xf0,	/* where the chip has them */
	MIN_GNT = 0xff,			/* it bursts as long as it may */
	/* PME# from D0 and D3; device specific initialization; version 2. */
	PMC = 0xc800 | PCI_PM_CAP_DSI | 2,
	/* Values are 0.1 W, for the data register that stays 0. */
	PM_DATA_SCALE = 1 << 13,
};

static void add_caps(struct pci_dev *pci)
{
	unsigned int ctrl = pci_add_pm(pci, PM_CAP, PMC, false) + PCI_PM_CTRL;

	le16_store(pci->reset_val + ctrl, PM_DATA_SCALE);
	le16_store(pci->writable + ctrl, PCI_PM_CTRL_STATE_MASK |
		   PCI_PM_CTRL_PME_ENABLE | PCI_PM_CTRL_DATA_SEL_MASK);
	pci_add_msi(pci, MSI_CAP, 1, false);
	le16_store(pci->reset_val + PCI_STATUS, PCI_STATUS_CAP_LIST |
		   PCI_STATUS_66MHZ | PCI_STATUS_DEVSEL_MEDIUM);
	pci->reset_val[PCI_MIN_GNT] = MIN_GNT;
}

static int create(const struct nic_params *params, struct nic *nic)
{
	struct e1000 *dev = calloc(1, sizeof(*dev));
	int err;

	if (!dev)
		return -ENOMEM;
	port_init(&dev->port, &e1000_port_ops, params->name, params->worker, 1);
	err = pci_dev_init(&dev->pci, &e1000_pci_ops, dev->port.name, &ident,
			   bars, PCI_CONFIG_SIZE);
	if (err)
		goto err_free;
	if (params->full_caps) {
		add_caps(&dev->pci);
	} else {
		dev->pci.writable[PCI_CACHE_LINE_SIZE] = 0;
		dev->pci.writable[PCI_LATENCY_TIMER] = 0;
	}

	dev->pci.shared_regs = e1000_shared_regs;
	dev->pci.n_shared_regs = E1000_N_SHARED;
	dev->worker = params->worker;
	dev->state = (struct e1000_state *)dev->pci.state->model;
	e1000_share(&dev->pci, NULL);
	memcpy(dev->mac, params->mac, sizeof(dev->mac));
	dev->exact_crc = params->exact_crc;
	memcpy(dev->port.mac, params->mac, sizeof(dev->port.mac));
	dev->port.counters = (const counter *)&dev->counters;
	/* Long packets are this device's own business, see e1000_rx.c. */
	dev->port.caps = (struct port_caps){
		.max_len = E1000_LEN_MAX - E1000_CRC_LEN,
		.min_len = E1000_LEN_MIN - E1000_CRC_LEN,
		.vlan = true,
	};
	e1000_irq_init(dev);
	pci_dev_reset(&dev->pci, PCI_RESET_POWER_ON);
	nic->pci = &dev->pci;
	nic->port = &dev->port;
	return 0;

err_free:
	free(dev);
	return err;
}

const struct nic_model e1000_model = {
	.name = "e1000",
	.what = "Intel 82540EM Gigabit Ethernet (PCI 8086:100e)",
	.options = NIC_OPT_CRC | NIC_OPT_CAPS,
	.create = create,
};
