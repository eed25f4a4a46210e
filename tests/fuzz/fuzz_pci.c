/* SPDX-License-Identifier: Apache-2.0
 *
 * Config space, BARs that move, resets and power states of a function, while
 * its DMA and its interrupts run.  The input is a list of 8-byte records:
 *
 *	what; function, log2 of the length, BAR (4, 2, 2 bits); offset (2
 *	bytes); value (4 bytes)
 *
 * The functions are a toy with every capability, and both personalities of the
 * 82540EM.  Whatever comes: no access leaves its bounds, read-only bits keep
 * their reset values, and a function without bus mastering neither reaches
 * memory nor signals.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/byteorder.h"
#include "base/log.h"
#include "loop/worker.h"
#include "mem/dma.h"
#include "nic/model.h"
#include "pci/pci.h"
#include "port/port.h"
#include "switch/vswitch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	N_FUNCTIONS = 3, EXPRESS = 2,
	MEMORY = 16 * 4096,
	RECORD = 8, RECORDS_MAX = 512,
};

enum what { CONFIG_WRITE, CONFIG_READ, BAR_WRITE, BAR_READ, MSI, INTX, RESET,
	    DMA, RETRY, HOST, N_WHAT };

static struct {
	struct worker *worker;
	struct dma_space *dma;
	uint64_t now;
	struct pci_dev *dev[N_FUNCTIONS];
	struct pci_dev express;
	uint8_t bar[0x1000];		/* of the express function */
	bool deaf;			/* the host takes no message */
	int memfd;
} f;

static void intx(struct pci_dev *dev, bool level)
{
	if (level && (pci_msi_enabled(dev) || pci_msix_enabled(dev)))
		abort();
}

static bool msi(struct pci_dev *dev, unsigned int vec)
{
	uint64_t addr;
	uint32_t data;

	if (!pci_bus_master(dev) ||
	    (pci_msix_enabled(dev) ? vec >= dev->msix.n : vec >= 32))
		abort();
	pci_msi_message(dev, vec, &addr, &data);
	if (addr & 3)
		abort();
	return !f.deaf;
}

static const struct pci_irq_ops irq[2] = {
	{ .intx = intx, .msi = msi },
	{ .intx = intx, .msi = msi, .owns_masks = true },
};

static uint64_t bar_read(struct pci_dev *dev, unsigned int bar, uint64_t off,
			 unsigned int len)
{
	uint64_t val = 0;

	if (!range_within(off, len, sizeof(f.bar)))
		abort();
	memcpy(&val, f.bar + off, len);
	return val;
}

static void bar_write(struct pci_dev *dev, unsigned int bar, uint64_t off,
		      unsigned int len, uint64_t val)
{
	if (!range_within(off, len, sizeof(f.bar)))
		abort();
	memcpy(f.bar + off, &val, len);
}

static const struct pci_dev_ops express_ops = {
	.model = "express", .bar_read = bar_read, .bar_write = bar_write,
};

static void create_express(void)
{
	static const struct pci_ident ident = {
		.vendor = 0x1234, .device = 1, .intx_pin = 1, .n_msix = 100,
	};
	static const struct pci_bar bars[PCI_N_BARS + 1] = {
		[0] = { PCI_BAR_MEM64, true, sizeof(f.bar) },
		[2] = { PCI_BAR_IO, false, 256 },
	};
	struct pci_dev *dev = &f.express;

	if (pci_dev_init(dev, &express_ops, "express", &ident, bars,
			 PCI_CONFIG_EXT_SIZE))
		abort();
	pci_add_pm(dev, 0, 3, false);
	pci_add_msi(dev, 0, 32, true);
	pci_add_msix(dev, 0, &(struct pci_msix_place){ 0, 0, 0x100, 0x800 });
	pci_add_express(dev, 0, &(struct pci_express){
		.speed = 1, .width = 1, .flr = true });
	f.dev[EXPRESS] = dev;
}

static void set_up(void)
{
	struct vswitch *sw;

	log_level = LOG_ERR;
	f.worker = worker_create("fuzz", 0);
	f.dma = dma_space_create("fuzz", NULL);
	f.memfd = memfd_create("fuzz", MFD_CLOEXEC);
	worker_set_now(f.worker, f.now = 1);
	if (f.memfd < 0 || dma_init() || ftruncate(f.memfd, MEMORY) ||
	    dma_space_map(f.dma, 0, MEMORY, DMA_READ | DMA_WRITE, f.memfd, 0))
		abort();
	sw = vswitch_create(&(struct vswitch_config){
		.name = "fuzz", .worker = f.worker });
	for (unsigned int i = 0; i < EXPRESS; i++) {
		struct nic_params params = {
			.name = i ? "full" : "qemu", .worker = f.worker,
			.mac = { 2, 0, 0, 0, 0, (uint8_t)i }, .full_caps = i,
		};
		struct nic nic;

		if (e1000_model.create(&params, &nic) ||
		    vswitch_attach(sw, nic.port))
			abort();
		f.dev[i] = nic.pci;
	}
	create_express();
	for (unsigned int i = 0; i < N_FUNCTIONS; i++)
		f.dev[i]->dma = f.dma;
}

/* What no guest can change: neither writable, nor w1c, nor the device's own
 * (the interrupt's status, MSI's pending bits). */
static void check_config(const struct pci_dev *dev)
{
	for (unsigned int i = 0; i < dev->config_size; i++) {
		uint8_t own = i == 6 ? 0x08 : 0;

		if (dev->msi_cap && i - (dev->msi_cap + 0x14u) < 4)
			own = 0xff;
		if ((dev->config[i] ^ dev->reset_val[i]) &
		    ~(dev->writable[i] | dev->w1c[i] | own))
			abort();
	}
}

static void access_bar(struct pci_dev *dev, unsigned int bar, bool write,
		       uint64_t off, unsigned int len, uint32_t val)
{
	uint64_t size = dev->bar[bar].size, addr;

	if (dev->bar[bar].kind == PCI_BAR_NONE || len > size)
		return;
	off %= size - len + 1;
	if (pci_bar_addr(dev, bar, &addr) && (addr & (size - 1)))
		abort();
	if (write)
		pci_bar_write(dev, bar, off, len, val);
	else
		(void)pci_bar_read(dev, bar, off, len);
}

/* Descriptors everywhere: 60 bytes to everybody, to be sent at once. */
static void fill_memory(void)
{
	static const uint8_t desc[16] = {
		0, 0x40, 0, 0, 0, 0, 0, 0, 60, 0, 0, 0x0b,
	};
	uint8_t *mem = dma_at(f.dma, 0, MEMORY, DMA_WRITE);

	memset(mem, 0xff, MEMORY);
	for (unsigned int at = 0; at < MEMORY / 2; at += sizeof(desc))
		memcpy(mem + at, desc, sizeof(desc));
	memset(mem + 0x4006, 2, 6);	/* the sender: an address of a host */
}

/* What goes on by itself: the switch moves what the cards' rings hold.  It
 * must leave memory alone that no bus master can reach. */
static void run_device(void)
{
	static uint8_t before[MEMORY];
	bool may = pci_bus_master(f.dev[0]) || pci_bus_master(f.dev[1]);
	const uint8_t *mem = dma_at(f.dma, 0, MEMORY, DMA_READ);

	memcpy(before, mem, MEMORY);
	for (unsigned int i = 0; i < 4; i++) {
		worker_set_now(f.worker, f.now += 10000000);
		worker_round(f.worker);
	}
	if (!may && memcmp(before, mem, MEMORY))
		abort();
}

static void step(const uint8_t *r)
{
	struct pci_dev *dev = f.dev[(r[1] & 0xf) % N_FUNCTIONS];
	unsigned int len = 1u << (r[1] >> 4 & 3);
	unsigned int off = le16_load(r + 2);
	uint32_t val = le32_load(r + 4);

	switch ((enum what)(r[0] % N_WHAT)) {
	case CONFIG_WRITE:
		pci_config_write(dev, off % (PCI_CONFIG_EXT_SIZE + 8), len,
				 (uint64_t)val << 32 | val);
		break;
	case CONFIG_READ:
		(void)pci_config_read(dev, off % (PCI_CONFIG_EXT_SIZE + 8),
				      len);
		break;
	case BAR_WRITE:
	case BAR_READ:
		access_bar(dev, r[1] >> 6, r[0] % N_WHAT == BAR_WRITE,
			   off, len, val);
		break;
	case MSI:
		pci_msi(dev, val);
		break;
	case INTX:
		pci_set_intx(dev, val & 1);
		break;
	case RESET:
		pci_dev_reset(dev, val % (PCI_RESET_D3 + 1));
		break;
	case DMA:
		run_device();
		break;
	case RETRY:
		f.deaf = val & 1;
		pci_msi_retry(dev);
		break;
	case HOST:
		dev->irq = val % 3 < 2 ? &irq[val % 3] : NULL;
		break;
	default:
		break;
	}
	check_config(dev);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!f.worker)
		set_up();
	f.deaf = false;
	fill_memory();
	for (unsigned int i = 0; i < N_FUNCTIONS; i++) {
		f.dev[i]->irq = &irq[0];
		pci_dev_reset(f.dev[i], PCI_RESET_POWER_ON);
	}
	for (unsigned int i = 0; i < RECORDS_MAX && size >= RECORD; i++) {
		step(data);
		data += RECORD;
		size -= RECORD;
	}
	return 0;
}
