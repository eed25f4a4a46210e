/* SPDX-License-Identifier: Apache-2.0
 *
 * 82540EM receive: filters, checksum status, and frames into the guest's
 * buffers.  Called by the port's egress engine, and by e1000_tx.c for loopback.
 *
 * Stages of one frame: look at its tag (classify), filter it, list what the
 * guest is to see of it (layout), find descriptors for all of it (plan), check
 * its checksums, copy, write back.  Only the last two touch guest memory
 * for writing, and a frame is either there as a whole or not at all.
 */
#include <string.h>

#include "mem/dma.h"
#include "nic/e1000/e1000.h"
#include "proto/checksum.h"
#include "proto/eth.h"
#include "proto/ip.h"
#include "proto/parse.h"
#include "proto/tcp.h"
#include "proto/udp.h"

enum {
	ADDRS_LEN = 2 * ETH_ADDR_LEN,
	/* Pieces of a packet: header in two, tag, payload, padding, CRC. */
	RX_PIECES = FRAME_SEGS_MAX + 5,
	/* Ranges of memory that one buffer may cross. */
	RX_BUFFER_IOVS = 8,
};

/* A frame as the receiver sees it. */
struct rx_packet {
	const struct frame *frame;
	bool tagged;		/* has a tag of the type in VET ... */
	bool tag_beside;	/* has a tag, in frame.vlan_tci */
	uint16_t tci;		/* ... which is this */
	uint32_t wire_len;	/* tag, padding and CRC included */
	bool oversize;		/* longer than LPE allows */
	uint8_t status, errors;	/* of its last descriptor */
	uint16_t csum, special;
	struct iovec piece[RX_PIECES]; /* what is to be copied */
	unsigned int n_pieces;
	unsigned int piece_idx;	/* first that is not copied whole */
	uint32_t len;		/* bytes in all pieces */
	struct vlan_tag tag;	/* a piece */
	be32 crc;		/* a piece; bytes as they go over the wire */
};

/* The descriptors of one packet. */
struct rx_plan {
	uint64_t addr[E1000_RX_DESCS];	/* buffers, as read once */
	uint16_t len[E1000_RX_DESCS];	/* bytes into each */
	uint32_t n;
};

/* ---- classify and filter: 3.2.1, 9.3 ---- */

static void classify(struct e1000 *dev, struct rx_packet *pkt)
{
	const struct frame *frame = pkt->frame;
	uint16_t vet = (uint16_t)dev->state->reg[E1000_VET];

	if (frame->flags & FRAME_VLAN) {
		pkt->tag_beside = true;
		pkt->tagged = vet == ETH_TYPE_VLAN;
		pkt->tci = frame->vlan_tci;
	} else if (frame->hdr_len >= ETH_HDR_LEN + ETH_TAG_LEN &&
		   be16_load(frame->hdr + ADDRS_LEN) == vet) {
		pkt->tagged = true;
		pkt->tci = be16_load(frame->hdr + ADDRS_LEN + 2);
	}
	pkt->wire_len = frame->len + E1000_CRC_LEN +
		(pkt->tag_beside ? ETH_TAG_LEN : 0);
	pkt->wire_len = max_of(pkt->wire_len, (uint32_t)E1000_LEN_MIN);
}

static bool in_receive_addresses(const uint32_t *reg, const uint8_t *dst,
				 const uint8_t *src)
{
	for (unsigned int i = 0; i < 16; i++) {
		uint32_t high = reg[E1000_RAH + i];
		uint64_t key = (uint64_t)(high & 0xffff) << 32 |
			reg[E1000_RAL + i];
		uint32_t select = (high & RAH_AS) >> RAH_AS_SHIFT;

		if (high & RAH_AV && select <= 1 &&
		    key == eth_addr_key(select ? src : dst))
			return true;
	}
	return false;
}

/* The multicast table has a bit for each value of 12 bits of the address;
 * RCTL.MO says which 12 (13.5). */
static bool in_multicast_table(const uint32_t *reg, const uint8_t *dst)
{
	static const uint8_t shift[] = { 4, 3, 2, 0 };
	uint32_t bits = (uint32_t)dst[5] << 8 | dst[4];

	bits = bits >> shift[reg[E1000_RCTL] >> RCTL_MO_SHIFT & 3] & 0xfff;
	return reg[E1000_MTA + bits / 32] & BIT(bits % 32);
}

/* Exact filters first: what they pass does not need PIF. */
static bool filter_address(const uint32_t *reg, struct rx_packet *pkt)
{
	const uint8_t *dst = pkt->frame->hdr, *src = dst + ETH_ADDR_LEN;
	uint32_t rctl = reg[E1000_RCTL];
	bool multicast = eth_addr_is_multicast(dst);

	if (in_receive_addresses(reg, dst, src))
		return true;
	if (rctl & RCTL_BAM && eth_addr_key(dst) == 0xffffffffffffull)
		return true;
	pkt->status |= RXD_PIF;
	if (rctl & (multicast ? RCTL_MPE : RCTL_UPE))
		return true;
	return multicast && in_multicast_table(reg, dst);
}

static bool filter_vlan(const uint32_t *reg, const struct rx_packet *pkt)
{
	uint32_t rctl = reg[E1000_RCTL];
	uint32_t vid = pkt->tci & VLAN_VID_MASK;

	if (!pkt->tagged || !(rctl & RCTL_VFE))
		return true;
	if (rctl & RCTL_CFIEN && !(pkt->tci & VLAN_DEI) != !(rctl & RCTL_CFI))
		return false;
	return reg[E1000_VFTA + vid / 32] & BIT(vid % 32);
}

/* May the packet be received?  Counts it if not. */
static bool filter(struct e1000 *dev, struct rx_packet *pkt)
{
	const uint32_t *reg = dev->state->reg;
	uint32_t rctl = reg[E1000_RCTL];

	if (!filter_address(reg, pkt) || !filter_vlan(reg, pkt)) {
		counter_add(&dev->counters.rx_filtered, 1);
		return false;
	}
	/* A long packet is a bad one, and stored as such if bad ones are.  The
	 * buffers it needs are found in any case (CVE-2012-6075). */
	pkt->oversize = pkt->wire_len > (rctl & RCTL_LPE ? E1000_LEN_MAX :
					 E1000_LEN_MAX_NORMAL);
	if (pkt->wire_len > E1000_LEN_MAX ||
	    (pkt->oversize && !(rctl & RCTL_SBP))) {
		e1000_stat_oversize(dev, pkt->wire_len);
		counter_add(&dev->counters.rx_long, 1);
		return false;
	}
	return true;
}

/* ---- checksums: 3.2.9 ---- */

void e1000_csum_add_frame(struct csum *sum, const struct frame *frame,
			  uint32_t from, uint32_t len)
{
	uint32_t at = 0;

	if (from < frame->hdr_len) {
		uint32_t n = min_of(len, frame->hdr_len - from);

		csum_add(sum, frame->hdr + from, n);
		from += n;
		len -= n;
	}
	at = frame->hdr_len;
	for (unsigned int i = 0; len && i < frame->n_segs; i++) {
		uint32_t piece = (uint32_t)frame->segs[i].iov_len;

		if (from < at + piece) {
			uint32_t n = min_of(len, at + piece - from);

			csum_add(sum, (const uint8_t *)
				 frame->segs[i].iov_base + (from - at), n);
			from += n;
			len -= n;
		}
		at += piece;
	}
}

/* TCP or UDP: its length by the IP header; 0: that makes no sense. */
static uint32_t l4_len(const struct frame *frame, const struct parsed *at)
{
	const uint8_t *l3 = frame->hdr + at->l3_off;
	uint32_t before = (uint32_t)at->l4_off - at->l3_off, end, len;

	if (at->ip_version == 4)
		end = be16_load(l3 + offsetof(struct ip4_hdr, total_len));
	else
		end = be16_load(l3 + offsetof(struct ip6_hdr, payload_len)) +
			(uint32_t)sizeof(struct ip6_hdr);
	len = end > before ? end - before : 0;
	if (len < (at->ip_proto == IP_PROTO_TCP ? sizeof(struct tcp_hdr) :
		   sizeof(struct udp_hdr)) ||
	    len > frame->len - at->l4_off || at->l4_off + 8u > frame->hdr_len)
		return 0;
	return len;
}

static bool l4_csum_good(const struct frame *frame, const struct parsed *at,
			 uint32_t len)
{
	const uint8_t *l3 = frame->hdr + at->l3_off;
	struct csum sum = CSUM_INIT;

	if (at->ip_version == 4)
		csum_add_pseudo4(&sum, l3 + offsetof(struct ip4_hdr, src),
				 at->ip_proto, (uint16_t)len);
	else
		csum_add_pseudo6(&sum, l3 + offsetof(struct ip6_hdr, src),
				 at->ip_proto, len);
	e1000_csum_add_frame(&sum, frame, at->l4_off, len);
	return be16_get(csum_finish(&sum)) == 0;
}

static void check_ip4(struct rx_packet *pkt, const struct parsed *at)
{
	const uint8_t *l3 = pkt->frame->hdr + at->l3_off;
	uint32_t len = (l3[0] & 15u) * 4;

	if (len < sizeof(struct ip4_hdr) ||
	    len > (uint32_t)pkt->frame->hdr_len - at->l3_off)
		return;
	pkt->status |= RXD_IPCS;
	if (be16_get(csum_of(l3, len)))
		pkt->errors |= RXD_ERR_IPE;
}

static void check_l4(struct rx_packet *pkt, const struct parsed *at)
{
	const struct frame *frame = pkt->frame;
	uint32_t len = l4_len(frame, at);

	if (!len)
		return;
	/* UDP over IPv4 may have none. */
	if (at->ip_proto == IP_PROTO_UDP && at->ip_version == 4 &&
	    !be16_load(frame->hdr + at->l4_off +
		       offsetof(struct udp_hdr, csum)))
		return;
	pkt->status |= RXD_TCPCS;
	if (!(frame->flags & FRAME_CSUM_VALID) &&
	    !l4_csum_good(frame, at, len))
		pkt->errors |= RXD_ERR_TCPE;
}

static void check(struct e1000 *dev, struct rx_packet *pkt)
{
	uint32_t rxcsum = dev->state->reg[E1000_RXCSUM];
	struct parsed at;

	if (rxcsum & (RXCSUM_IPOFL | RXCSUM_TUOFL)) {
		parse_headers(pkt->frame->hdr, pkt->frame->hdr_len, &at);
		if (rxcsum & RXCSUM_IPOFL && at.ip_version == 4)
			check_ip4(pkt, &at);
		if (rxcsum & RXCSUM_TUOFL && at.l4_off && !at.fragment &&
		    (at.ip_proto == IP_PROTO_TCP ||
		     at.ip_proto == IP_PROTO_UDP))
			check_l4(pkt, &at);
	}
	if (!(pkt->status & (RXD_IPCS | RXD_TCPCS)))
		pkt->status |= RXD_IXSM;
}

/* ---- layout: 3.2.2, 9.2 ---- */

static void add_bytes(struct rx_packet *pkt, const void *base, uint32_t len)
{
	if (!len)
		return;
	pkt->piece[pkt->n_pieces++] = (struct iovec){ (void *)base, len };
	pkt->len += len;
}

/* CRC-32 of IEEE 802.3, 3.2.9, four bits at a time. */
static uint32_t crc32_of(const struct iovec *iov, unsigned int n_iov)
{
	static const uint32_t table[16] = {
		0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
		0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
		0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
		0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
	};
	uint32_t crc = ~0u;

	for (unsigned int i = 0; i < n_iov; i++) {
		const uint8_t *p = iov[i].iov_base;

		for (size_t k = 0; k < iov[i].iov_len; k++) {
			crc ^= p[k];
			crc = crc >> 4 ^ table[crc & 15];
			crc = crc >> 4 ^ table[crc & 15];
		}
	}
	return ~crc;
}

/* The packet checksum from byte PCSS on, of what goes into the buffers: the
 * CRC is in it unless it is stripped (3.2.9). */
static uint16_t packet_csum(const struct rx_packet *pkt, uint32_t pcss)
{
	struct csum sum = CSUM_INIT;

	for (unsigned int i = 0; i < pkt->n_pieces; i++) {
		const struct iovec *iov = &pkt->piece[i];
		uint32_t skip = (uint32_t)min_of((size_t)pcss, iov->iov_len);

		csum_add(&sum, (const uint8_t *)iov->iov_base + skip,
			 iov->iov_len - skip);
		pcss -= skip;
	}
	return be16_get(csum_finish(&sum));
}

/* List what goes into the guest's buffers. */
static void lay_out(struct e1000 *dev, struct rx_packet *pkt)
{
	static const uint8_t zeros[E1000_LEN_MIN];
	const struct frame *frame = pkt->frame;
	const uint32_t *reg = dev->state->reg;
	bool strip = pkt->tagged && reg[E1000_CTRL] & CTRL_VME;
	uint32_t pcss = reg[E1000_RXCSUM] & RXCSUM_PCSS, min;
	uint32_t cut = strip && !pkt->tag_beside ? ETH_TAG_LEN : 0;

	add_bytes(pkt, frame->hdr, ADDRS_LEN);
	if (pkt->tag_beside && !strip) {
		pkt->tag.tpid = be16_of(ETH_TYPE_VLAN);
		pkt->tag.tci = be16_of(pkt->tci);
		add_bytes(pkt, &pkt->tag, sizeof(pkt->tag));
	}
	add_bytes(pkt, frame->hdr + ADDRS_LEN + cut,
		  frame->hdr_len - ADDRS_LEN - cut);
	for (unsigned int i = 0; i < frame->n_segs; i++)
		add_bytes(pkt, frame->segs[i].iov_base,
			  (uint32_t)frame->segs[i].iov_len);
	min = E1000_LEN_MIN - E1000_CRC_LEN;
	if (pkt->len < min)
		add_bytes(pkt, zeros, min - pkt->len);
	if (strip) {
		pkt->status |= RXD_VP;
		pkt->special = pkt->tci;
	}
	if (!(reg[E1000_RCTL] & RCTL_SECRC)) {
		/* On the wire the CRC's lowest byte is first. */
		le32_store(&pkt->crc, dev->exact_crc ?
			   crc32_of(pkt->piece, pkt->n_pieces) : 0);
		add_bytes(pkt, &pkt->crc, sizeof(pkt->crc));
	}
	if (pcss || dev->exact_crc)
		pkt->csum = packet_csum(pkt, pcss);
}

/* ---- descriptors: 3.2.3 to 3.2.6 ---- */

static uint32_t buffer_size(uint32_t rctl)
{
	uint32_t size = 2048u >> (rctl >> RCTL_BSIZE_SHIFT & 3);

	/* 2048 has no larger brother. */
	return rctl & RCTL_BSEX && size != 2048 ? size * 16 : size;
}

/* Descriptors that are ours, between RDH and RDT. */
static uint32_t ring_avail(const struct e1000 *dev)
{
	uint32_t head = dev->state->reg[E1000_RDH];
	uint32_t tail = dev->state->reg[E1000_RDT];

	return tail >= head ? tail - head : tail + dev->rx.ring.n - head;
}

/* Half a descriptor, the @i-th from RDH on: its buffer's address, or at @half 8
 * what is ours.  Rings are aligned to 16 bytes, memory to pages. */
static uint64_t desc_word(const struct e1000 *dev, uint32_t i, size_t half)
{
	uint32_t idx = dev->state->reg[E1000_RDH] + i;

	if (idx >= dev->rx.ring.n)
		idx -= dev->rx.ring.n;
	return __atomic_load_n((const uint64_t *)(const void *)
			       (dev->rx.ring.hva +
				idx * sizeof(struct e1000_rxd) + half),
			       __ATOMIC_RELAXED);
}

/* Find descriptors for @len bytes: false if there are not enough now.  One
 * without a buffer is passed over (3.2.5). */
static bool plan_descs(const struct e1000 *dev, uint32_t len, uint32_t avail,
		       struct rx_plan *plan)
{
	uint32_t size = buffer_size(dev->state->reg[E1000_RCTL]);

	for (plan->n = 0; len && plan->n < E1000_RX_DESCS; plan->n++) {
		uint32_t i = plan->n;

		if (i == avail)
			return false;
		plan->addr[i] = desc_word(dev, i, 0);
		plan->len[i] = (uint16_t)(plan->addr[i] ? min_of(len, size) :
					  0);
		len -= plan->len[i];
	}
	plan->n = len ? 0 : plan->n;
	return true;
}

/* Copy the next @len bytes of the packet to @dst.  A guest that sends to itself
 * may have them overlap. */
static void copy_out(struct rx_packet *pkt, uint8_t *dst, size_t len)
{
	while (len) {
		struct iovec *iov = &pkt->piece[pkt->piece_idx];
		size_t n = min_of(len, iov->iov_len);

		memmove(dst, iov->iov_base, n);
		dst += n;
		len -= n;
		iov->iov_base = (uint8_t *)iov->iov_base + n;
		iov->iov_len -= n;
		if (!iov->iov_len)
			pkt->piece_idx++;
	}
}

static bool copy_to_buffers(struct e1000 *dev, struct rx_packet *pkt,
			    const struct rx_plan *plan)
{
	struct iovec iov[RX_BUFFER_IOVS];

	for (uint32_t i = 0; i < plan->n; i++) {
		int n;

		if (!plan->len[i])
			continue;
		n = dma_iov(dev->pci.dma, plan->addr[i], plan->len[i],
			    DMA_WRITE, iov, RX_BUFFER_IOVS);
		if (n < 0)
			return false;
		for (int k = 0; k < n; k++)
			copy_out(pkt, iov[k].iov_base, iov[k].iov_len);
	}
	return true;
}

/* Bytes of a descriptor that are ours, as one word. */
static uint64_t done_word(uint32_t len, uint32_t csum, uint32_t status,
			  uint32_t errors, uint32_t special)
{
	return len | (uint64_t)csum << 16 | (uint64_t)status << 32 |
		(uint64_t)errors << 40 | (uint64_t)special << 48;
}

/* Write back what has been received since, in one go: a driver that looks at
 * the ring meanwhile shares its cache lines once a burst, not once a packet.
 * Buffers are written before the status that says so. */
static void publish(struct e1000 *dev)
{
	struct e1000_rx *rx = &dev->rx;
	uint32_t rdh = dev->state->reg[E1000_RDH];
	uint32_t idx = rdh >= rx->n_done ? rdh - rx->n_done :
		rdh + rx->ring.n - rx->n_done;

	__atomic_thread_fence(__ATOMIC_RELEASE);
	for (uint32_t i = 0; i < rx->n_done; i++) {
		uint8_t *desc = rx->ring.hva + idx * sizeof(struct e1000_rxd);

		__atomic_store_n((uint64_t *)(void *)
				 (desc + offsetof(struct e1000_rxd, len)),
				 rx->done[i], __ATOMIC_RELAXED);
		if (++idx == rx->ring.n)
			idx = 0;
	}
	rx->n_done = 0;
}

/* The packet checksum is in the first descriptor, what else there is to say in
 * the last (3.2.3).  Those without a buffer get DD, and are left alone but for
 * that (3.2.5). */
static void finish_descs(struct e1000 *dev, const struct rx_packet *pkt,
			 const struct rx_plan *plan, bool good)
{
	uint64_t *done = &dev->rx.done[dev->rx.n_done];
	uint32_t csum = good ? pkt->csum : 0;

	for (uint32_t i = 0; i < plan->n; i++) {
		if (!plan->len[i]) {
			done[i] = desc_word(dev, i, 8) |
				done_word(0, 0, RXD_DD, 0, 0);
			continue;
		}
		done[i] = done_word(good ? plan->len[i] : 0, csum, RXD_DD, 0,
				    0);
		csum = 0;
	}
	if (good)
		done[plan->n - 1] |= done_word(0, 0, RXD_EOP | pkt->status,
					       pkt->errors, pkt->special);
	else
		done[plan->n - 1] |= done_word(0, 0, RXD_EOP, RXD_ERR_RXE, 0);
	dev->rx.n_done += plan->n;
}

static void advance(struct e1000 *dev, uint32_t n, uint32_t avail)
{
	uint32_t *rdh = &dev->state->reg[E1000_RDH];
	uint32_t rctl = dev->state->reg[E1000_RCTL];
	uint32_t low = dev->rx.ring.n >> (1 + (rctl >> RCTL_RDMTS_SHIFT & 3));

	*rdh += n;	/* within the ring, and not past RDT */
	if (*rdh >= dev->rx.ring.n)
		*rdh -= dev->rx.ring.n;
	if (avail > low && avail - n <= low)
		dev->rx.causes |= ICR_RXDMT0;
}

/* ---- the port's side ---- */

/* The receiver ran out of descriptors; only the first time counts, since the
 * same frame is offered again and again. */
static void no_room(struct e1000 *dev)
{
	if (dev->rx.full)
		return;
	dev->rx.full = true;
	counter_add(&dev->counters.rx_no_room, 1);
	e1000_stat_add(dev, E1000_RNBC, 1);
	e1000_raise(dev, ICR_RXO);
}

/* Receive one packet for which the filters are open; false: no room. */
static bool deliver(struct e1000 *dev, struct rx_packet *pkt)
{
	uint32_t avail = ring_avail(dev);
	uint32_t small = dev->state->reg[E1000_RSRPD];
	struct rx_plan plan;
	bool good;

	lay_out(dev, pkt);
	if (!plan_descs(dev, pkt->len, avail, &plan)) {
		no_room(dev);
		return false;
	}
	dev->rx.full = false;
	if (!plan.n) {
		counter_add(&dev->counters.rx_drop_size, 1);
		return true;
	}
	check(dev, pkt);
	good = copy_to_buffers(dev, pkt, &plan);
	if (dev->rx.n_done + plan.n > E1000_RX_DONE)
		publish(dev);
	finish_descs(dev, pkt, &plan, good);
	advance(dev, plan.n, avail);
	dev->rx.causes |= ICR_RXT0;
	if (!good)
		counter_add(&dev->counters.rx_drop_dma, 1);
	else if (pkt->oversize)
		e1000_stat_oversize(dev, pkt->wire_len);
	else
		e1000_stat_received(dev, pkt->frame->hdr, pkt->wire_len);
	if (good && pkt->len <= small)
		dev->rx.causes |= ICR_SRPD;
	return true;
}

/* Why nothing at all can be received now; NULL: it can.  Good for a burst, for
 * registers are written between bursts alone. */
static counter *closed(struct e1000 *dev)
{
	const uint32_t *reg = dev->state->reg;

	if (!(reg[E1000_RCTL] & RCTL_EN) || !(reg[E1000_STATUS] & STATUS_LU) ||
	    e1000_loopback(dev) != dev->rx.looping || !e1000_can_dma(dev))
		return &dev->counters.rx_off;
	if (!e1000_ring_view(dev, &dev->rx.ring, E1000_RDBAL) ||
	    reg[E1000_RDH] >= dev->rx.ring.n ||
	    reg[E1000_RDT] >= dev->rx.ring.n)
		return &dev->counters.rx_bad_ring;
	return NULL;
}

/* One frame; false: no room. */
static bool receive(struct e1000 *dev, const struct frame *frame)
{
	struct rx_packet pkt;

	memset(&pkt, 0, offsetof(struct rx_packet, piece));
	pkt.n_pieces = pkt.piece_idx = 0;
	pkt.len = 0;
	pkt.frame = frame;
	classify(dev, &pkt);
	return !filter(dev, &pkt) || deliver(dev, &pkt);
}

unsigned int e1000_rx_burst(struct port_queue *queue,
			    struct frame *const *frames, unsigned int n)
{
	struct e1000 *dev = e1000_of_port(queue->port);
	counter *drop;
	unsigned int i;

	e1000_shared_rdt(dev);
	drop = closed(dev);
	if (drop) {
		counter_add(drop, n);
		return n;
	}
	counter_add(&dev->counters.rx_bursts, 1);
	for (i = 0; i < n; i++)
		if (!receive(dev, frames[i]))
			break;
	publish(dev);
	return i;
}

void e1000_rx_flush(struct port_queue *queue)
{
	struct e1000 *dev = e1000_of_port(queue->port);
	uint32_t causes = dev->rx.causes;

	dev->rx.causes = 0;
	if (causes & ICR_RXT0)
		e1000_irq_received(dev, causes & ICR_SRPD);
	if (causes & ~ICR_RXT0)
		e1000_raise(dev, causes & ~ICR_RXT0);
}
