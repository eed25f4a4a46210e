/* SPDX-License-Identifier: Apache-2.0
 *
 * The e1000 test rig; see e1000_rig.h.
 */
#include "e1000_rig.h"

#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mem/dma.h"
#include "proto/checksum.h"
#include "proto/ip.h"

struct rig rig;
const uint8_t rig_mac[6] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 };
static const uint8_t other_mac[6] = { 0x52, 0x54, 0x00, 0xaa, 0xbb, 0xcc };

static void intx(struct pci_dev *dev, bool level)
{
	rig.n_irqs += level && !rig.irq_level;
	rig.irq_level = level;
}

static bool msi(struct pci_dev *dev, unsigned int vec)
{
	fail_msg("this device has no MSI");
	return false;
}

static const struct pci_irq_ops irq_ops = { .intx = intx, .msi = msi };

static unsigned int input(struct port_queue *queue, struct frame_batch *batch)
{
	unsigned int n = min_of(batch->n, rig.accept);

	for (unsigned int i = 0; i < n; i++) {
		struct sent *sent;

		if (rig.n_sent == SENT_MAX)
			continue;
		sent = &rig.sent[rig.n_sent++];
		sent->frame = batch->frames[i];
		sent->len = batch->frames[i].len;
		sent->bytes = malloc(sent->len);
		assert_int_equal(frame_copy(&batch->frames[i], sent->bytes,
					    sent->len), sent->len);
	}
	return n;
}

static int setup(bool exact_crc)
{
	static bool once;
	struct nic_params params = { .name = "nic0", .exact_crc = exact_crc };

	if (!once && dma_init())
		return -1;
	once = true;
	memset(&rig, 0, sizeof(rig));
	rig.accept = BATCH_MAX;
	rig.worker = worker_create("rig", 0);
	rig.now = 1000000000;
	worker_set_now(rig.worker, rig.now);
	memcpy(params.mac, rig_mac, sizeof(params.mac));
	params.worker = rig.worker;
	if (e1000_model.create(&params, &rig.nic))
		return -1;
	rig.dev = e1000_of_pci(rig.nic.pci);
	rig.nic.pci->irq = &irq_ops;

	rig.memfd = memfd_create("guest", MFD_CLOEXEC);
	if (rig.memfd < 0 || ftruncate(rig.memfd, MEM_SIZE))
		return -1;
	rig.mem = mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
		       rig.memfd, 0);
	rig.nic.pci->dma = dma_space_create("rig", NULL);
	if (rig.mem == MAP_FAILED ||
	    dma_space_map(rig.nic.pci->dma, MEM_BASE, MEM_SIZE,
			  DMA_READ | DMA_WRITE, rig.memfd, 0))
		return -1;
	rig.nic.port->input = input;
	port_queue_start(&rig.nic.port->queues[0]);
	pci_config_write(rig.nic.pci, PCI_COMMAND, 2, PCI_COMMAND_MEMORY |
			 PCI_COMMAND_IO | PCI_COMMAND_MASTER);
	rig_advance(E1000_AUTONEG_NS);
	(void)RD(ICR);
	return 0;
}

int rig_setup(void **state)
{
	return setup(false);
}

int rig_setup_exact_crc(void **state)
{
	return setup(true);
}

int rig_teardown(void **state)
{
	struct dma_space *dma = rig.nic.pci->dma;

	for (unsigned int i = 0; i < rig.n_sent; i++)
		free(rig.sent[i].bytes);
	rig.nic.pci->ops->destroy(rig.nic.pci);
	dma_space_destroy(dma);
	munmap(rig.mem, MEM_SIZE);
	close(rig.memfd);
	worker_destroy(rig.worker);
	return 0;
}

uint32_t rd(uint32_t offset)
{
	return (uint32_t)rig.nic.pci->ops->bar_read(rig.nic.pci, E1000_BAR_REGS,
						    offset, 4);
}

void wr(uint32_t offset, uint32_t val)
{
	rig.nic.pci->ops->bar_write(rig.nic.pci, E1000_BAR_REGS, offset, 4,
				    val);
}

uint32_t offset_of(unsigned int slot)
{
	for (unsigned int r = 0; r < e1000_n_rows; r++) {
		const struct e1000_row *row = &e1000_rows[r];

		if (slot >= row->slot && slot < row->slot + row->n)
			return row->offset + (slot - row->slot) * row->stride;
	}
	fail_msg("no register has slot %u", slot);
	return 0;
}

void rig_run(void)
{
	for (unsigned int i = 0; worker_round(rig.worker); i++)
		assert_true(i < 10000);
}

void rig_advance(uint64_t ns)
{
	rig.now += ns;
	worker_set_now(rig.worker, rig.now);
	rig_run();
}

void *guest(uint64_t addr)
{
	assert_true(addr >= MEM_BASE && addr < MEM_BASE + MEM_SIZE);
	return rig.mem + (addr - MEM_BASE);
}

void rig_tx_on(uint32_t n)
{
	rig.n_tx = 0;
	WR(TDBAL, TX_RING);
	WR(TDBAH, 0);
	WR(TDLEN, n * 16);
	WR(TDH, 0);
	WR(TDT, 0);
	WR(TCTL, TCTL_EN);
}

void rig_rx_on(uint32_t n, uint32_t rctl)
{
	rig.n_rx = n;
	WR(RDBAL, RX_RING);
	WR(RDBAH, 0);
	WR(RDLEN, n * 16);
	WR(RDH, 0);
	WR(RDT, 0);
	WR(RCTL, RCTL_EN | RCTL_BAM | rctl);
}

static uint32_t tx_ring_len(void)
{
	return RD(TDLEN) / 16;
}

void tx_put(uint64_t addr, uint32_t lower, uint32_t upper)
{
	struct e1000_txd desc = {
		le64_of(addr), le32_of(lower), le32_of(upper)
	};

	memcpy(guest(TX_RING + 16 * (rig.n_tx % tx_ring_len())), &desc,
	       sizeof(desc));
	rig.n_tx++;
}

void tx_put_ctx(const struct e1000_txctx *ctx)
{
	memcpy(guest(TX_RING + 16 * (rig.n_tx % tx_ring_len())), ctx,
	       sizeof(*ctx));
	rig.n_tx++;
}

void tx_go(void)
{
	WR(TDT, rig.n_tx % tx_ring_len());
	rig_run();
}

uint8_t tx_status(uint32_t i)
{
	return *(uint8_t *)guest(TX_RING + 16 * i + TXD_STATUS_OFF);
}

void rx_give(uint32_t n, uint32_t step)
{
	for (uint32_t i = 0; i < n; i++) {
		struct e1000_rxd desc = {
			.addr = le64_of(RX_BUF + (uint64_t)i * step)
		};

		memcpy(guest(RX_RING + 16 * i), &desc, sizeof(desc));
	}
	WR(RDT, n);
}

bool rx_frame(const void *bytes, uint32_t len, uint8_t flags, uint16_t tci)
{
	static struct frame_batch batch;
	struct port_queue *queue = &rig.nic.port->queues[0];
	struct iovec iov = { (void *)bytes, len };
	struct frame *frame;
	uint32_t resume = 0;
	unsigned int taken;

	batch.n = batch.n_segs = 0;
	frame = batch_next(&batch);
	assert_int_equal(batch_fill(&batch, frame, &iov, 1, len), 0);
	frame->flags = flags;
	frame->vlan_tci = tci;
	taken = port_deliver(queue, &frame, 1, &resume);
	e1000_rx_flush(queue);
	return taken == 1;
}

struct e1000_rxd rx_desc(uint32_t i)
{
	struct e1000_rxd desc;

	memcpy(&desc, guest(RX_RING + 16 * i), sizeof(desc));
	return desc;
}

void make_frame(uint8_t *bytes, uint32_t len, const uint8_t *dst)
{
	for (uint32_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 256);
	memcpy(bytes, dst, 6);
	memcpy(bytes + 6, other_mac, 6);
	bytes[12] = 0x88;
	bytes[13] = 0xb5;
}

/* What a driver leaves in the checksum field. */
static void seed_tcp(uint8_t *tcp, struct csum *pseudo)
{
	be16 sum = csum_sum(pseudo);

	memcpy(tcp + 16, &sum, sizeof(sum));
}

static void put_tcp(uint8_t *tcp)
{
	memset(tcp, 0, 20);
	tcp[0] = 0x12;
	tcp[3] = 80;
	tcp[12] = 5 << 4;
	tcp[13] = 0x18;
}

uint32_t make_tcp4(uint8_t *bytes, uint32_t payload, bool tso)
{
	uint8_t *ip = bytes + 14, *tcp = ip + 20;
	struct csum sum = CSUM_INIT;

	make_frame(bytes, 54 + payload, rig_mac);
	bytes[12] = 0x08;
	bytes[13] = 0x00;
	memset(ip, 0, 20);
	ip[0] = 0x45;
	be16_store(ip + 2, tso ? 0 : (uint16_t)(40 + payload));
	ip[8] = 64;
	ip[9] = IP_PROTO_TCP;
	ip[12] = 10;
	ip[15] = 1;
	ip[16] = 10;
	ip[19] = 2;
	put_tcp(tcp);
	csum_add_pseudo4(&sum, ip + 12, IP_PROTO_TCP,
			 tso ? 0 : (uint16_t)(20 + payload));
	seed_tcp(tcp, &sum);
	return 54 + payload;
}

uint32_t make_tcp6(uint8_t *bytes, uint32_t payload, bool tso)
{
	uint8_t *ip = bytes + 14, *tcp = ip + 40;
	struct csum sum = CSUM_INIT;

	make_frame(bytes, 74 + payload, rig_mac);
	bytes[12] = 0x86;
	bytes[13] = 0xdd;
	memset(ip, 0, 40);
	ip[0] = 0x60;
	be16_store(ip + 4, tso ? 0 : (uint16_t)(20 + payload));
	ip[6] = IP_PROTO_TCP;
	ip[7] = 64;
	ip[8] = ip[24] = 0xfd;
	ip[23] = 1;
	ip[39] = 2;
	put_tcp(tcp);
	csum_add_pseudo6(&sum, ip + 8, IP_PROTO_TCP, tso ? 0 : 20 + payload);
	seed_tcp(tcp, &sum);
	return 74 + payload;
}
