/* SPDX-License-Identifier: Apache-2.0
 *
 * The registers of virtio on PCI, in BARs, in ports and by the window in config
 * space, while queues run, memory comes and goes, and the function is reset.
 * The input is a list of 8-byte records:
 *
 *	what; function, log2 of the length, BAR (4, 2, 2 bits); offset (2
 *	bytes); value (4 bytes)
 *
 * The functions are the virtio-net card, in a switch, and a transitional toy
 * that gives back what comes in its queues.  Whatever comes: a queue is started
 * once, stopped before its device is reset, and runs only while the driver is
 * ready and the function may reach memory; what is accepted has been offered;
 * read-only bits of config space keep their reset values.
 */
#include <linux/pci_regs.h>
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
#include "port/port.h"
#include "switch/vswitch.h"
#include "virtio/virtio.h"
#include "virtio_pci/virtio_pci.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	CARD, TOY, N_FUNCTIONS,
	MEMORY = 16 * 4096,
	TOY_QUEUES = 3, TOY_SIZE = 8, TOY_CONFIG = 20,
	RECORD = 8, RECORDS_MAX = 512,
};
#define TOY_FEATURES (BIT64(VIRTIO_F_RING_PACKED) | BIT64(3) |		\
	BIT64(VIRTIO_F_INDIRECT_DESC) | BIT64(VIRTIO_F_EVENT_IDX) |	\
	BIT64(VIRTIO_F_RING_RESET) | BIT64(VIRTIO_F_VERSION_1))

enum what { CONFIG_WRITE, CONFIG_READ, BAR_WRITE, BAR_READ, MEMORY_WRITE, RUN,
	    MAP, RESET, N_WHAT };

static struct {
	struct worker *worker;
	struct dma_space *dma;
	int memfd;
	bool mapped;
	uint64_t now;
	struct pci_dev *dev[N_FUNCTIONS];
	struct virtio_pci toy;
	struct vring ring[TOY_QUEUES];
	bool runs[TOY_QUEUES];
} f;

static void need(bool ok)
{
	if (!ok)
		abort();
}

/* ---- the toy ---- */

static bool accept(struct virtio_pci *vp, uint64_t features)
{
	need(!(features & ~TOY_FEATURES));
	/* Something for the transport to be refused. */
	return !(features & BIT64(3)) || features & BIT64(VIRTIO_F_EVENT_IDX);
}

static void config(struct virtio_pci *vp, void *image)
{
	memset(image, 0xa5, TOY_CONFIG);
}

static int queue_start(struct virtio_pci *vp, unsigned int queue,
		       const struct vring_config *ring,
		       const struct vring_state *state)
{
	int err;

	need(queue < TOY_QUEUES && !f.runs[queue] && ring->size <= TOY_SIZE);
	need(pci_bus_master(&vp->pci) && !(ring->features & ~TOY_FEATURES));
	err = vring_start(&f.ring[queue], "toy", vp->pci.dma, ring, state);
	f.runs[queue] = !err;
	return err;
}

static bool queue_stop(struct virtio_pci *vp, unsigned int queue,
		       struct vring_state *state)
{
	need(queue < TOY_QUEUES && f.runs[queue]);
	*state = vring_state(&f.ring[queue]);
	vring_stop(&f.ring[queue]);
	f.runs[queue] = false;
	return true;
}

static void notify(struct virtio_pci *vp, unsigned int queue)
{
	struct vring *ring = &f.ring[queue];

	need(queue < TOY_QUEUES && f.runs[queue]);
	for (unsigned int i = 0; i < TOY_SIZE && vring_ready(ring) &&
	     vring_fetch(ring, 1); i++) {
		vring_use(ring, 0);
		vring_publish(ring);
		if (vring_wants_call(ring))
			virtio_pci_call(vp, queue);
	}
	if (ring->broken)
		virtio_pci_needs_reset(vp);
	else
		virtio_pci_config_changed(vp);
}

static void reset(struct virtio_pci *vp)
{
	for (unsigned int i = 0; i < TOY_QUEUES; i++)
		need(!f.runs[i]);
}

static void dma_changed(struct virtio_pci *vp)
{
	virtio_pci_suspend(vp);
	for (unsigned int i = 0; i < TOY_QUEUES; i++)
		need(!f.runs[i]);
}

static const struct virtio_pci_ops toy_ops = {
	.accept = accept,
	.config = config,
	.queue_start = queue_start,
	.queue_stop = queue_stop,
	.notify = notify,
	.reset = reset,
	.dma_changed = dma_changed,
};

/* ---- the host ---- */

static void intx(struct pci_dev *dev, bool level)
{
	need(!level || !pci_msix_enabled(dev));
}

static bool msi(struct pci_dev *dev, unsigned int vec)
{
	need(pci_bus_master(dev) && vec < dev->msix.n);
	return true;
}

static const struct pci_irq_ops irq = { .intx = intx, .msi = msi };

static void map(bool on)
{
	if (on == f.mapped)
		return;
	for (unsigned int i = 0; i < N_FUNCTIONS; i++)
		f.dev[i]->ops->dma_changed(f.dev[i]);
	if (on)
		need(!dma_space_map(f.dma, 0, MEMORY, DMA_READ | DMA_WRITE,
				    f.memfd, 0));
	else
		need(dma_space_unmap(f.dma, 0, MEMORY) == MEMORY);
	f.mapped = on;
}

static void set_up(void)
{
	static const struct virtio_pci_params toy = {
		.name = "toy", .ops = &toy_ops, .type = 4,
		.transitional = 0x1005, .features = TOY_FEATURES,
		.modern_features = BIT64(3), .n_queues = TOY_QUEUES,
		.queue_size = TOY_SIZE, .config_len = TOY_CONFIG,
	};
	struct nic_params params = { .name = "card", .mac = { 2 },
				     .n_pairs = 2, .mtu = 1500 };
	struct vswitch_config sw = { .name = "fuzz" };
	struct nic nic;

	log_level = LOG_ERR;
	f.worker = worker_create("fuzz", 0);
	worker_set_now(f.worker, f.now = 1);
	f.dma = dma_space_create("fuzz", NULL);
	f.memfd = memfd_create("fuzz", MFD_CLOEXEC);
	need(f.memfd >= 0 && !dma_init() && !ftruncate(f.memfd, MEMORY));
	params.worker = sw.worker = f.worker;
	need(!vnet_model.create(&params, &nic) &&
	     !virtio_pci_init(&f.toy, &toy));
	need(!vswitch_attach(vswitch_create(&sw), nic.port));
	f.dev[CARD] = nic.pci;
	f.dev[TOY] = &f.toy.pci;
	for (unsigned int i = 0; i < N_FUNCTIONS; i++) {
		f.dev[i]->dma = f.dma;
		f.dev[i]->irq = &irq;
	}
}

/* ---- the input ---- */

static void check(const struct pci_dev *dev)
{
	for (unsigned int i = 0; i < dev->config_size; i++) {
		uint8_t own = i == PCI_STATUS ? PCI_STATUS_INTERRUPT : 0;

		need(!((dev->config[i] ^ dev->reset_val[i]) &
		       ~(dev->writable[i] | dev->w1c[i] | own)));
	}
	for (unsigned int i = 0; i < TOY_QUEUES; i++)
		need(!f.runs[i] ||
		     (f.toy.state->status & VIRTIO_S_DRIVER_OK &&
		      f.toy.state->queue[i].enabled &&
		      pci_bus_master(&f.toy.pci)));
}

static void access_bar(struct pci_dev *dev, unsigned int choice, bool write,
		       uint64_t off, unsigned int len, uint64_t val)
{
	static const unsigned int bars[] = { 4, 0, 1, 4 };
	unsigned int bar = bars[choice];

	if (dev->bar[bar].kind == PCI_BAR_NONE)
		return;
	off %= dev->bar[bar].size - len + 1;
	if (write)
		pci_bar_write(dev, bar, off, len, val);
	else
		(void)pci_bar_read(dev, bar, off, len);
}

static void run(void)
{
	for (unsigned int i = 0; i < 4; i++) {
		worker_set_now(f.worker, f.now += 10000000);
		worker_round(f.worker);
	}
	virtio_pci_update(&f.toy);
}

static void step(const uint8_t *r)
{
	struct pci_dev *dev = f.dev[(r[1] & 0xf) % N_FUNCTIONS];
	unsigned int len = 1u << (r[1] >> 4 & 3);
	unsigned int off = le16_load(r + 2);
	uint32_t val = le32_load(r + 4);
	enum what what = r[0] % N_WHAT;

	switch (what) {
	case CONFIG_WRITE:
		pci_config_write(dev, off % PCI_CONFIG_SIZE, len, val);
		break;
	case CONFIG_READ:
		(void)pci_config_read(dev, off % PCI_CONFIG_SIZE, len);
		break;
	case BAR_WRITE:
	case BAR_READ:
		access_bar(dev, r[1] >> 6, what == BAR_WRITE, off, len,
			   (uint64_t)val << 32 | val);
		break;
	case MEMORY_WRITE:
		need(pwrite(f.memfd, r + 4, 4, off % (MEMORY - 4)) == 4);
		break;
	case RUN:
		run();
		break;
	case MAP:
		map(val & 1);
		break;
	case RESET:
		pci_dev_reset(dev, val % (PCI_RESET_D3 + 1));
		break;
	default:
		break;
	}
	check(dev);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!f.worker)
		set_up();
	need(!ftruncate(f.memfd, MEMORY));
	map(true);
	for (unsigned int i = 0; i < N_FUNCTIONS; i++) {
		pci_dev_reset(f.dev[i], PCI_RESET_POWER_ON);
		pci_config_write(f.dev[i], PCI_COMMAND, 2, PCI_COMMAND_IO |
				 PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	}
	for (unsigned int i = 0; i < RECORDS_MAX && size >= RECORD; i++) {
		step(data);
		data += RECORD;
		size -= RECORD;
	}
	/* The rings' memory of the next input is empty. */
	map(false);
	need(!ftruncate(f.memfd, 0));
	return 0;
}
