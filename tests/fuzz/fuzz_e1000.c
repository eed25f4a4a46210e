/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: the e1000's register window, with rings and buffers in memory
 * that the input writes as well.  That memory begins with packets of each kind
 * (see fill_memory()).  The input is a program:
 *
 *	0 reg32 val32		write a register (the offset is folded into
 *				those the catalogue has)
 *	1 reg32			read one
 *	2 addr16 len8 bytes	write guest memory
 *	3			let the queue have its turn
 *	4 len16 flags8 tci16	deliver a frame, its bytes from guest memory
 *	5 us16			advance the clock
 *	6 bar8 off8 len8 val32	an odd access: I/O window, sizes, alignment
 *	7 what8			accept that many frames; 0x80: bus reset;
 *				0x81: power on; 0x82: unmap; 0x83: map;
 *				0x84, 0x85: cable out, in; 0x86, 0x87:
 *				registers in shared memory or not
 *	7 0x88 word8 val32	the client writes there
 *	7 0x89 val32		it takes the causes, and others come
 *	7 0x8a word8 val32	... a tail, say, which the device is not told
 *	8 dir8 n8		rings as a driver sets them up, so that inputs
 *				reach the data path soon
 *	9 addr16 len16 cmd8 type8 special16
 *				a TX descriptor behind the last one
 *	10 which8 mss16 flags8	a context descriptor that fits a packet
 *	11			write TDT behind the last descriptor, a turn
 *	12 n8 step8		RX descriptors with buffers, RDT behind them
 *	13 n8 len16 flags8 start8 off8 gso8 size16 hdr8
 *				deliver a batch, with offloads to be made good
 *
 * After each of them what the guest sees of the interrupt has to be right, and
 * in the end the queue must run dry.  Nothing here makes a system call, but
 * for maps: what counts is executions a second.
 */
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mem/dma.h"
#include "nic/e1000/e1000.h"
#include "proto/eth.h"
#include "proto/ip.h"

enum {
	MEM_BASE = 0x10000,
	MEM_SIZE = 0x10000,
	TX_DESCS_MAX = 256,	/* from offset 0 on */
	PACKETS_OFF = 0x1000,	/* see fill_memory() */
	PACKET_STEP = 0x800,
	N_PACKETS = 4,
	RX_RING_OFF = 0x8000,
	RX_BUFS_OFF = 0xa000,
	/* Rounds after an operation: what has not ended then polls for ever. */
	ROUNDS_MAX = 4096,
};

/* A packet of the template: where its headers end, how a context says so. */
static const struct {
	uint8_t l4, hdr_len, proto;
	bool ip6;
} kinds[N_PACKETS] = {
	{ 34, 54, IP_PROTO_TCP, false }, { 54, 74, IP_PROTO_TCP, true },
	{ 34, 42, IP_PROTO_UDP, false }, { 54, 62, IP_PROTO_UDP, true },
};

struct input {
	const uint8_t *at;	/* next byte */
	size_t left;
};

static struct worker *worker;
static struct nic nic;
static uint8_t *mem;
static int memfd = -1;
static uint8_t template[MEM_SIZE];	/* of `mem`, at the start */
static struct pci_shared_page shared_page;
static uint64_t now;
static unsigned int accept_max;
static unsigned int tx_next;		/* descriptor of 9 and 10 */
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

/* TCP and UDP over IPv4 and IPv6, each with a payload of 0x600 bytes. */
static void fill_memory(void)
{
	static const uint8_t addrs[] = {
		0x52, 0x54, 0, 1, 2, 3, 0x52, 0x54, 0, 0xaa, 0xbb, 0xcc
	};

	for (unsigned int i = 0; i < N_PACKETS; i++) {
		uint8_t *p = template + PACKETS_OFF + i * PACKET_STEP;
		uint16_t len = (uint16_t)(kinds[i].hdr_len - 14 + 0x600);

		memcpy(p, addrs, sizeof(addrs));
		be16_store(p + 12, kinds[i].ip6 ? ETH_TYPE_IP6 : ETH_TYPE_IP4);
		if (kinds[i].ip6) {
			p[14] = 0x60;
			be16_store(p + 18, (uint16_t)(len - 40));
			p[20] = kinds[i].proto;
		} else {
			p[14] = 0x45;
			be16_store(p + 16, len);
			p[23] = kinds[i].proto;
		}
		if (kinds[i].proto == IP_PROTO_TCP)
			p[kinds[i].l4 + 12] = 0x50;
		else
			be16_store(p + kinds[i].l4 + 4,
				   (uint16_t)(len + 14 - kinds[i].l4));
	}
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
	fill_memory();
}

/* The queue's turn, without the worker's look at descriptors. */
static bool poll_queue(void)
{
	struct poller *poller = &nic.port->queues[0].poller;

	return poller->poll(poller);
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
	if (!dir)
		tx_next = 0;
}

static void put_desc(uint32_t ring_off, uint32_t i, uint64_t low, uint64_t high)
{
	le64_store(mem + ring_off + 16 * i, low);
	le64_store(mem + ring_off + 16 * i + 8, high);
}

/* The next TX descriptor, in a ring as rings() makes it. */
static void put_tx(uint64_t low, uint64_t high)
{
	const struct e1000 *dev = e1000_of_pci(nic.pci);
	uint32_t n = min_of(dev->state->reg[E1000_TDLEN] / 16,
			    (uint32_t)TX_DESCS_MAX);

	if (!n)
		return;
	put_desc(0, tx_next % n, low, high);
	tx_next = (tx_next + 1) % n;
}

static void tx_desc(struct input *in)
{
	uint64_t addr = take(in, 2), len = take(in, 2), cmd = take(in, 1);
	uint64_t type = take(in, 1), special = take(in, 2);

	/* Mostly packets of the template, and of a length they may have. */
	if (type & 0x80)
		addr = PACKETS_OFF + addr % N_PACKETS * PACKET_STEP;
	if (type & 0x40)
		len %= 0x800;
	put_tx(MEM_BASE + addr, len | (type & 0xf) << 20 | cmd << 24 |
	       (type & 0x30) << 36 | special << 48);
}

/* A context for one of the template's packets; @flags spoil it. */
static void tx_context(uint32_t which, uint32_t mss, uint32_t flags)
{
	uint64_t l4 = kinds[which % N_PACKETS].l4;
	bool tcp = kinds[which % N_PACKETS].proto == IP_PROTO_TCP;
	uint64_t low = 14 | 24 << 8 | (l4 - 1) << 16 | l4 << 32 |
		(l4 + (tcp ? 16 : 6)) << 40;
	uint64_t high = 0x600 | TXD_DEXT;

	if (!kinds[which % N_PACKETS].ip6)
		high |= TXD_CTX_IP;
	if (tcp)
		high |= TXD_CTX_TCP;
	if (!(flags & 1))
		high |= TXD_TSE;
	if (flags & 2)
		high |= TXD_RS;
	high |= (uint64_t)kinds[which % N_PACKETS].hdr_len << 40;
	high |= (uint64_t)mss << 48;
	if (flags & 4)
		high ^= 1ull << (flags >> 3 & 31);
	put_tx(low, high);
}

static void tx_go(void)
{
	write_reg(0x3818, tx_next);
	poll_queue();
}

static void rx_descs(uint32_t n, uint32_t step)
{
	const struct e1000 *dev = e1000_of_pci(nic.pci);
	uint32_t len = min_of(dev->state->reg[E1000_RDLEN] / 16, 256u);

	for (uint32_t i = 0; i < min_of(n, len); i++)
		put_desc(RX_RING_OFF, i, MEM_BASE + RX_BUFS_OFF +
			 (uint64_t)i * step % 0x5000, 0);
	write_reg(0x2818, n);
}

/* @n frames, all the same, as the switch would give them. */
static void deliver(unsigned int n, uint32_t len, const struct frame *like)
{
	struct port_queue *queue = &nic.port->queues[0];
	struct iovec iov = { mem + PACKETS_OFF, len };
	struct frame *frames[BATCH_MAX];
	uint32_t resume = 0;
	unsigned int i;

	batch.n = batch.n_segs = 0;
	for (i = 0; i < n; i++) {
		struct frame *frame = batch_next(&batch);

		if (len > MEM_SIZE - PACKETS_OFF ||
		    batch_fill(&batch, frame, &iov, 1, len))
			return;
		frame->flags = like->flags;
		frame->vlan_tci = like->vlan_tci;
		frame->csum_start = like->csum_start;
		frame->csum_offset = like->csum_offset;
		frame->gso = like->gso;
		frame->gso_size = like->gso_size;
		frame->gso_hdr_len = like->gso_hdr_len;
		batch_commit(&batch, frame);
		frames[i] = frame;
	}
	(void)port_deliver(queue, frames, n, &resume);
	e1000_rx_flush(queue);
}

static void deliver_offloaded(struct input *in)
{
	static const uint8_t gso[] = {
		FRAME_GSO_NONE, FRAME_GSO_TCP4, FRAME_GSO_TCP6, FRAME_GSO_UDP
	};
	unsigned int n = take(in, 1) % 4 + 1;
	uint32_t len = take(in, 2);
	struct frame like = { .flags = (uint8_t)(take(in, 1) & 7) };

	like.csum_start = (uint16_t)take(in, 1);
	like.csum_offset = (uint16_t)take(in, 1);
	like.gso = gso[take(in, 1) & 3];
	like.gso_size = (uint16_t)max_of(take(in, 2), 1u);
	like.gso_hdr_len = (uint16_t)take(in, 1);
	deliver(n, len, &like);
}

/* What only a client that shares registers can do. */
static void control_shared(uint32_t what, struct input *in)
{
	struct e1000 *dev = e1000_of_pci(nic.pci);
	bool stores = what == 0x88, tail = what == 0x8a;
	uint32_t word = stores || tail ? take(in, 1) : 0;
	uint32_t val = take(in, 4);

	if (!dev->shared.page)
		return;
	if (tail) {
		word %= PCI_SHARED_WORDS - E1000_SHARED_RDT;
		dev->shared.page->word[E1000_SHARED_RDT + word] = val;
	} else if (stores) {
		dev->shared.page->n[word % E1000_N_SHARED] = val;
		dev->shared.page->word[word % PCI_SHARED_WORDS] = val;
		nic.pci->ops->shared_changed(nic.pci);
	} else {
		dev->shared.page->word[E1000_SHARED_ICR] = 0;
		e1000_raise(dev, val & ICR_CAUSES);
	}
}

static void control(uint32_t what, struct input *in)
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
	else if (what < 0x86)
		port_set_link(nic.port, what & 1);
	else if (what < 0x88)
		nic.pci->ops->share(nic.pci, what & 1 ? NULL : &shared_page);
	else
		control_shared(what, in);
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

/* The clock, and timers in their order, as the worker runs them. */
static void advance(uint64_t ns)
{
	struct e1000 *dev = e1000_of_pci(nic.pci);

	now += ns;
	worker_set_now(worker, now);
	for (;;) {
		struct timer *next = NULL;

		for (unsigned int id = 0; id < E1000_N_TIMERS; id++) {
			struct timer *t = &dev->timer[id];

			if (t->due_ns && t->due_ns <= now &&
			    (!next || t->due_ns < next->due_ns))
				next = t;
		}
		if (!next)
			return;
		worker_cancel_timer(worker, next);
		next->expired(next);
	}
}

/* The pin follows cause and mask, but for throttling. */
static void check_interrupt(void)
{
	const struct e1000 *dev = e1000_of_pci(nic.pci);
	bool want = *dev->icr & *dev->ims;

	if (nic.pci->intx_level ? !want :
	    want && !dev->timer[E1000_TIMER_ITR].due_ns)
		abort();
}

static void step(struct input *in)
{
	struct frame like = { 0 };
	uint32_t a, b, c;

	switch (take(in, 1) % 14) {
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
		poll_queue();
		break;
	case 4:
		a = take(in, 2);
		like.flags = take(in, 1) & (FRAME_VLAN | FRAME_CSUM_VALID);
		like.vlan_tci = (uint16_t)take(in, 2);
		deliver(1, a, &like);
		break;
	case 5:
		advance(take(in, 2) * 1000ull);
		break;
	case 6:
		odd_access(in);
		break;
	case 7:
		a = take(in, 1);
		control(a, in);
		break;
	case 8:
		a = take(in, 1) & 1;
		rings(a, take(in, 1));
		break;
	case 9:
		tx_desc(in);
		break;
	case 10:
		a = take(in, 1);
		b = take(in, 2);
		c = take(in, 1);
		tx_context(a, b, c);
		break;
	case 11:
		tx_go();
		break;
	case 12:
		a = take(in, 1);
		rx_descs(a, take(in, 1) * 16);
		break;
	case 13:
		deliver_offloaded(in);
		break;
	}
	check_interrupt();
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
	tx_next = 0;
	memcpy(mem, template, MEM_SIZE);
	port_set_link(nic.port, true);
	map();
	nic.pci->ops->share(nic.pci, NULL);
	pci_dev_reset(nic.pci, PCI_RESET_POWER_ON);
	pci_config_write(nic.pci, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	advance(E1000_AUTONEG_NS);

	while (in.left)
		step(&in);
	accept_max = BATCH_MAX;
	while (poll_queue())
		if (++rounds == ROUNDS_MAX)
			abort();
	return 0;
}
