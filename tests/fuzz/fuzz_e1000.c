/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: the e1000's register window, with rings and buffers in memory
 * that the input writes as well.  The input is a program:
 *
 *	0 reg32 val32		write a register (the offset is folded into
 *				those the catalogue has)
 *	1 reg32			read one
 *	2 addr16 len8 bytes	write guest memory
 *	3			let the worker go round once
 *	4 len16 flags8 tci16	deliver a frame, its bytes from guest memory
 *	5 us16			advance the clock
 *	6 bar8 off8 len8 val32	an odd access: I/O window, sizes, alignment
 *	7 what8			accept that many frames; 0x80: bus reset;
 *				0x81: power on; 0x82: unmap; 0x83: map;
 *				0x84, 0x85: cable out, in
 *	8 dir8 n8		rings as a driver sets them up, so that inputs
 *				reach the data path soon
 */
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mem/dma.h"
#include "nic/e1000/e1000.h"

enum {
	MEM_BASE = 0x10000,
	MEM_SIZE = 0x10000,
	RX_RING_OFF = 0x8000,
	/* Rounds after an operation: what has not ended then polls for ever. */
	ROUNDS_MAX = 4096,
};

struct input {
	const uint8_t *at;	/* next byte */
	size_t left;
};

static struct worker *worker;
static struct nic nic;
static uint8_t *mem;
static int memfd = -1;
static uint64_t now;
static unsigned int accept_max;
static struct frame_batch batch;

/* Little endian; zeroes beyond the end. */
static uint32_t take(struct input *in, size_t n)
{
	uint8_t bytes[4] = { 0 };
	size_t have = min_of(n, in->left);

	memcpy(bytes, in->at, have);
	in->at += have;
	in->left -= have;
	return le32_load(bytes);
}

/* The switch: look at every byte, as the wire would. */
static unsigned int input(struct port_queue *queue, struct frame_batch *frames)
{
	static uint8_t bytes[FRAME_LEN_MAX];
	unsigned int n = min_of(frames->n, accept_max);

	for (unsigned int i = 0; i < n; i++) {
		const struct frame *frame = &frames->frames[i];

		if (frame_copy(frame, bytes, sizeof(bytes)) != frame->len)
			abort();
		if (frame->gso && (!frame->gso_size ||
				   frame->gso_hdr_len > frame->hdr_len))
			abort();
	}
	return n;
}

static void intx(struct pci_dev *dev, bool level)
{
}

static const struct pci_irq_ops irq_ops = { .intx = intx };

static void map(void)
{
	nic.pci->ops->dma_changed(nic.pci);
	if (dma_space_map(nic.pci->dma, MEM_BASE, MEM_SIZE,
			  DMA_READ | DMA_WRITE, memfd, 0))
		return;		/* is mapped */
	nic.pci->ops->dma_changed(nic.pci);
}

static void unmap(void)
{
	nic.pci->ops->dma_changed(nic.pci);
	dma_space_clear(nic.pci->dma);
	nic.pci->ops->dma_changed(nic.pci);
}

static void set_up_once(void)
{
	struct nic_params params = {
		.name = "fuzz", .mac = { 0x52, 0x54, 0, 1, 2, 3 },
	};

	if (worker)
		return;
	worker = worker_create("fuzz", 0);
	memfd = memfd_create("fuzz", MFD_CLOEXEC);
	params.worker = worker;
	if (!worker || memfd < 0 || ftruncate(memfd, MEM_SIZE) ||
	    dma_init() || e1000_model.create(&params, &nic))
		abort();
	mem = mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, memfd,
		   0);
	nic.pci->dma = dma_space_create("fuzz", NULL);
	if (mem == MAP_FAILED || !nic.pci->dma)
		abort();
	nic.pci->irq = &irq_ops;
	nic.port->input = input;
	port_queue_start(&nic.port->queues[0]);
}

static void write_reg(uint32_t offset, uint32_t val)
{
	nic.pci->ops->bar_write(nic.pci, E1000_BAR_REGS, offset, 4, val);
}

/* Any offset, but mostly those where there is a register. */
static uint32_t fold(uint32_t val)
{
	const struct e1000_row *row = &e1000_rows[val % e1000_n_rows];

	if (val >> 31)
		return val & (E1000_REGS_SIZE - 4);
	return row->offset + (val >> 8) % row->n * row->stride;
}

static void rings(uint32_t dir, uint32_t n)
{
	uint32_t base = dir ? 0x2800 : 0x3800;

	write_reg(base, MEM_BASE + (dir ? RX_RING_OFF : 0));
	write_reg(base + 4, 0);
	write_reg(base + 8, (n % 32 + 1) * 128);
	write_reg(base + 0x10, 0);
	write_reg(base + 0x18, n % ((n % 32 + 1) * 8));
	write_reg(dir ? 0x100 : 0x400, 0x0000801a);
}

static void deliver(uint32_t len, uint32_t flags, uint32_t tci)
{
	struct port_queue *queue = &nic.port->queues[0];
	struct iovec iov = { mem, len };
	struct frame *frame;
	uint32_t resume = 0;

	batch.n = batch.n_segs = 0;
	frame = batch_next(&batch);
	if (len > MEM_SIZE || batch_fill(&batch, frame, &iov, 1, len))
		return;
	frame->flags = flags & (FRAME_VLAN | FRAME_CSUM_VALID);
	frame->vlan_tci = (uint16_t)tci;
	(void)port_deliver(queue, &frame, 1, &resume);
	e1000_rx_flush(queue);
}

static void control(uint32_t what)
{
	if (what < 0x80)
		accept_max = what;
	else if (what == 0x80)
		pci_dev_reset(nic.pci, PCI_RESET_BUS);
	else if (what == 0x81)
		pci_dev_reset(nic.pci, PCI_RESET_POWER_ON);
	else if (what == 0x82)
		unmap();
	else if (what == 0x83)
		map();
	else
		port_set_link(nic.port, what & 1);
	pci_config_write(nic.pci, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
}

static void odd_access(struct input *in)
{
	static const unsigned int lens[] = { 1, 2, 4, 8 };
	unsigned int bar = take(in, 1) & 1, off = take(in, 1);
	unsigned int len = lens[take(in, 1) & 3];
	uint32_t val = take(in, 4);

	off &= bar ? E1000_IO_SIZE - 8 : 0xff;
	(void)nic.pci->ops->bar_read(nic.pci, bar, off, len);
	nic.pci->ops->bar_write(nic.pci, bar, off, len, val);
}

static void advance(uint64_t ns)
{
	now += ns;
	worker_set_now(worker, now);
	worker_round(worker);
}

static void step(struct input *in)
{
	uint32_t a, b, c;

	switch (take(in, 1) % 9) {
	case 0:
		a = take(in, 4);
		write_reg(fold(a), take(in, 4));
		break;
	case 1:
		(void)nic.pci->ops->bar_read(nic.pci, E1000_BAR_REGS,
					     fold(take(in, 4)), 4);
		break;
	case 2:
		a = take(in, 2) % MEM_SIZE;
		b = (uint32_t)min_of((size_t)take(in, 1), in->left);
		b = min_of(b, MEM_SIZE - a);
		memcpy(mem + a, in->at, b);
		in->at += b;
		in->left -= b;
		break;
	case 3:
		worker_round(worker);
		break;
	case 4:
		a = take(in, 2);
		b = take(in, 1);
		c = take(in, 2);
		deliver(a, b, c);
		break;
	case 5:
		advance(take(in, 2) * 1000ull);
		break;
	case 6:
		odd_access(in);
		break;
	case 7:
		control(take(in, 1));
		break;
	case 8:
		a = take(in, 1) & 1;
		rings(a, take(in, 1));
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	unsigned int rounds = 0;

	set_up_once();
	now = 1000000000;
	worker_set_now(worker, now);
	accept_max = BATCH_MAX;
	memset(mem, 0, MEM_SIZE);
	port_set_link(nic.port, true);
	map();
	pci_dev_reset(nic.pci, PCI_RESET_POWER_ON);
	pci_config_write(nic.pci, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	advance(E1000_AUTONEG_NS);

	while (in.left)
		step(&in);
	accept_max = BATCH_MAX;
	while (worker_round(worker))
		if (++rounds == ROUNDS_MAX)
			abort();
	return 0;
}
