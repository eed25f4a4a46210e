/* SPDX-License-Identifier: Apache-2.0
 *
 * 82540EM transmit: from the guest's ring to frames, and the write-back.
 * Called by the port's poller; calls port_deliver() for loopback alone.
 *
 * Theory of operation.  A burst starts at TDH and goes on while there are
 * descriptors, room in the batch, and E1000_TX_DESCS are not exceeded.  Each
 * descriptor is read once, into tx.desc[].  Nothing that the guest can see
 * changes: what would change with each frame is in tx.snap[], and is made true
 * by tx_done() for the frames that were consumed.  What is left is parsed anew
 * by the next burst.
 *
 * What yields no frame (contexts, dropped packets) is made true at once if it
 * comes before all frames of the burst; if it comes after one, the burst ends.
 */
#include <errno.h>
#include <string.h>

#include "mem/dma.h"
#include "nic/e1000/e1000.h"
#include "proto/checksum.h"
#include "proto/eth.h"
#include "proto/ip.h"
#include "proto/tcp.h"
#include "proto/udp.h"

/* What the next descriptors have yielded. */
enum item {
	ITEM_NONE,		/* the ring's end; no or only half a packet */
	ITEM_FULL,		/* no room in the batch or in tx.desc[] */
	ITEM_FRAME,		/* a frame, now in the batch */
	ITEM_DROP,		/* a packet that cannot be sent */
};

/* Where a burst is. */
struct parse {
	uint32_t next;		/* descriptor to read, by ring index */
	uint32_t tail;		/* TDT */
	uint32_t n_descs;	/* in tx.desc[] */
	uint32_t budget;	/* descriptors that may still be read */
	struct e1000_txctx ctx[2]; /* as of here */
	bool skip;		/* dropping up to EOP */
};

/* A packet on its way through its descriptors. */
struct packet {
	uint32_t len;		/* bytes so far */
	unsigned int n_iov;	/* pieces in tx.iov[] */
	bool begun;		/* there was a descriptor */
	uint32_t first_lower, first_upper; /* of the first descriptor */
	uint32_t last_lower, last_upper; /* of the last */
	counter *drop;		/* why it cannot be sent; NULL: it can */
};

/* Is it to be cut up by its context? */
static bool segments(const struct packet *pkt)
{
	return (pkt->first_lower & (TXD_DEXT | TXD_TSE)) ==
		(TXD_DEXT | TXD_TSE);
}

static bool tx_ready(struct e1000 *dev)
{
	const uint32_t *reg = dev->state->reg;

	return reg[E1000_TCTL] & TCTL_EN && reg[E1000_STATUS] & STATUS_LU &&
		e1000_can_dma(dev);
}

/* ---- completion: 3.4.2, 3.4.3 ---- */

/* Short packets are padded on the wire if the driver wants it (13.4.33). */
static void count_sent(struct e1000 *dev, const struct e1000_tx_snap *snap)
{
	bool pad = dev->state->reg[E1000_TCTL] & TCTL_PSP;
	uint32_t min = pad ? E1000_LEN_MIN : 0;

	if (snap->n_wire > 1)
		e1000_stat_sent(dev, snap->dst, max_of(snap->wire_len, min),
				snap->n_wire - 1);
	e1000_stat_sent(dev, snap->dst, max_of(snap->last_len, min), 1);
	if (snap->tso)
		e1000_stat_add(dev, E1000_TSCTC, 1);
}

/* How many descriptors the ring has between @head and @tail. */
static uint32_t ring_used(uint32_t head, uint32_t tail, uint32_t n)
{
	return tail >= head ? tail - head : tail + n - head;
}

/* The status of a descriptor that asked for it.  The driver frees the buffer
 * once it sees DD, so this comes after everything else (release). */
static bool write_back(struct e1000 *dev, uint32_t idx,
		       const struct e1000_txd *desc)
{
	uint8_t *hva = dev->tx.ring.hva + idx * sizeof(*desc) + TXD_STATUS_OFF;
	uint32_t status = le32_get(desc->upper) & 0xff & ~TXD_STATUS;

	if (!(le32_get(desc->lower) & (TXD_RS | TXD_RPS)))
		return false;
	__atomic_store_n(hva, (uint8_t)(status | TXD_DD), __ATOMIC_RELEASE);
	return true;
}

/* The first @n of tx.desc[] are done, with @ctx as they have left it. */
static void complete(struct e1000 *dev, uint32_t n,
		     const struct e1000_txctx ctx[2], bool skip)
{
	struct e1000_state *s = dev->state;
	uint32_t head = s->reg[E1000_TDH], tail = s->reg[E1000_TDT];
	uint32_t size = dev->tx.ring.n, causes = 0, low, left;
	bool reported = false, delay = true;

	if (!dev->tx.ring.hva)
		return;
	for (uint32_t i = 0; i < n; i++) {
		if (write_back(dev, head, &dev->tx.desc[i])) {
			reported = true;
			if (!(le32_get(dev->tx.desc[i].lower) & TXD_IDE))
				delay = false;
		}
		if (++head == size)
			head = 0;
	}
	memcpy(s->tx_ctx, ctx, sizeof(s->tx_ctx));
	s->tx_skip = skip;
	s->reg[E1000_TDH] = head;

	/* Passed on the way from one more to this many (13.4.43). */
	low = (s->reg[E1000_TXDCTL] >> TXDCTL_LWTHRESH_SHIFT) * 8;
	left = ring_used(head, tail, size);
	if (left <= low && left + n > low)
		causes |= ICR_TXD_LOW;
	if (head == tail)
		causes |= ICR_TXQE;
	if (causes)
		e1000_raise(dev, causes);
	if (reported)
		e1000_irq_sent(dev, delay);
}

void e1000_tx_done(struct port_queue *queue, const struct frame_batch *batch,
		   unsigned int n)
{
	struct e1000 *dev = e1000_of_port(queue->port);
	const struct e1000_tx_snap *last;

	if (!n)
		return;
	counter_add(&dev->counters.tx_bursts, 1);
	for (unsigned int i = 0; i < n; i++)
		count_sent(dev, &dev->tx.snap[batch->frames[i].cookie]);
	last = &dev->tx.snap[batch->frames[n - 1].cookie];
	complete(dev, last->n_descs, last->ctx, false);
}

/* ---- offloads: 3.5, 3.6, 9.2 ---- */

/* Sum up bytes [css, cse] of the frame into the field at @cso. */
static void insert_csum(struct frame *frame, uint32_t css, uint32_t cso,
			uint32_t cse)
{
	struct csum sum = CSUM_INIT;
	be16 field;

	e1000_csum_add_frame(&sum, frame, css, cse + 1 - css);
	field = csum_finish(&sum);
	memcpy(frame->hdr + cso, &field, sizeof(field));
}

/* Insert a checksum over a range as a descriptor gives it: @css first byte,
 * @cse last (0: the packet's), @cso where it goes.  If the range is the rest of
 * the packet and the field lies in it, it is left to whoever needs it. */
static void offload_csum(struct e1000 *dev, struct frame *frame, uint32_t css,
			 uint32_t cso, uint32_t cse, bool partial)
{
	if (!cse || cse >= frame->len)
		cse = frame->len - 1;
	if (css > cse || cso + 2 > frame->hdr_len) {
		counter_add(&dev->counters.tx_bad_csum, 1);
	} else if (partial && cse == frame->len - 1 && cso >= css &&
		   css >= ETH_HDR_LEN) {
		frame->flags |= FRAME_CSUM_PARTIAL;
		frame->csum_start = (uint16_t)css;
		frame->csum_offset = (uint16_t)(cso - css);
	} else {
		insert_csum(frame, css, cso, cse);
	}
}

/* Make the IPv4 header at @off one of a packet of @len bytes. */
static bool tso_ip4(struct frame *frame, uint32_t off, uint32_t len,
		    uint32_t hdr_len, uint8_t proto)
{
	struct ip4_hdr ip;

	if (hdr_len < sizeof(ip) || len > UINT16_MAX)
		return false;
	memcpy(&ip, frame->hdr + off, sizeof(ip));
	if (ip.ver_ihl >> 4 != 4 || ip4_hdr_len(&ip) != hdr_len ||
	    ip.proto != proto)
		return false;
	ip.total_len = be16_of((uint16_t)len);
	ip.csum = be16_of(0);
	memcpy(frame->hdr + off, &ip, sizeof(ip));
	insert_csum(frame, off, off + offsetof(struct ip4_hdr, csum),
		    off + hdr_len - 1);
	return true;
}

/* The same for IPv6; extension headers may lie between it and TCP. */
static bool tso_ip6(struct frame *frame, uint32_t off, uint32_t len,
		    uint32_t hdr_len)
{
	struct ip6_hdr ip;

	if (hdr_len < sizeof(ip) || len - sizeof(ip) > UINT16_MAX)
		return false;
	memcpy(&ip, frame->hdr + off, sizeof(ip));
	if (be32_get(ip.ver_class_flow) >> 28 != 6)
		return false;
	ip.payload_len = be16_of((uint16_t)(len - sizeof(ip)));
	memcpy(frame->hdr + off, &ip, sizeof(ip));
	return true;
}

/* Add the length to the pseudo-header's sum, which the driver has left without
 * one (3.5); in UDP also the header's own length. */
static void tso_l4(struct frame *frame, uint32_t off, uint32_t len, bool tcp)
{
	uint32_t field = off + (tcp ? offsetof(struct tcp_hdr, csum) :
				offsetof(struct udp_hdr, csum));
	uint32_t sum = be16_load(frame->hdr + field);

	sum += len;
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	be16_store(frame->hdr + field, (uint16_t)sum);
	if (!tcp)
		be16_store(frame->hdr + off + offsetof(struct udp_hdr, len),
			   (uint16_t)len);
	frame->flags |= FRAME_CSUM_PARTIAL;
	frame->csum_start = (uint16_t)off;
	frame->csum_offset = (uint16_t)(field - off);
}

/*
 * Keep a packet that is to be segmented whole, as the switch wants it: headers
 * that are right for the large packet.  The context has to agree with itself
 * and with the headers; what a receiver's engine would refuse is refused here.
 *
 * Return: whether it did.
 */
static bool offload_tso(struct frame *frame, const struct e1000_txctx *ctx,
			struct e1000_tx_snap *snap)
{
	uint32_t lower = le32_get(ctx->lower), mss = le16_get(ctx->mss);
	uint32_t ip_off = ctx->ipcss, l4_off = ctx->tucss;
	uint32_t hdr_len = ctx->hdr_len, payload;
	bool tcp = lower & TXD_CTX_TCP, ip4 = lower & TXD_CTX_IP;
	uint32_t l4_min = tcp ? sizeof(struct tcp_hdr) : sizeof(struct udp_hdr);

	if (!mss || hdr_len >= frame->len || hdr_len > frame->hdr_len ||
	    ip_off < ETH_HDR_LEN || l4_off < ip_off ||
	    hdr_len < l4_off + l4_min)
		return false;
	if (ctx->tucso != l4_off + (tcp ? offsetof(struct tcp_hdr, csum) :
				    offsetof(struct udp_hdr, csum)))
		return false;
	payload = frame->len - hdr_len;
	if ((lower & TXD_DATA_LEN) != payload)
		return false;
	if (ip4 ? !tso_ip4(frame, ip_off, frame->len - ip_off, l4_off - ip_off,
			   tcp ? IP_PROTO_TCP : IP_PROTO_UDP) :
	    !tso_ip6(frame, ip_off, frame->len - ip_off, l4_off - ip_off))
		return false;
	tso_l4(frame, l4_off, frame->len - l4_off, tcp);

	snap->tso = true;
	snap->n_wire = (payload + mss - 1) / mss;
	snap->wire_len = hdr_len + mss + E1000_CRC_LEN;
	snap->last_len = frame->len - (snap->n_wire - 1) * mss + E1000_CRC_LEN;
	if (payload > mss) {
		frame->gso = !tcp ? FRAME_GSO_UDP :
			ip4 ? FRAME_GSO_TCP4 : FRAME_GSO_TCP6;
		frame->gso_size = (uint16_t)mss;
		frame->gso_hdr_len = (uint16_t)hdr_len;
	}
	return true;
}

/* Insert the descriptor's tag: the last one's, or the first one's of a packet
 * to be segmented (3.3.7.1).  0x8100 goes beside the bytes, a type of the
 * driver's own into them.  Without one, a tag in the bytes is taken out. */
static void offload_vlan(struct e1000 *dev, struct frame *frame,
			 const struct packet *pkt)
{
	uint16_t vet = (uint16_t)dev->state->reg[E1000_VET];
	bool tse = segments(pkt);
	uint32_t lower = tse ? pkt->first_lower : pkt->last_lower;
	uint32_t upper = tse ? pkt->first_upper : pkt->last_upper;

	if (!(lower & TXD_VLE) || !(dev->state->reg[E1000_CTRL] & CTRL_VME)) {
		frame_pop_vlan(frame);
		return;
	}
	frame->flags |= FRAME_VLAN;
	frame->vlan_tci = (uint16_t)(upper >> TXD_SPECIAL_SHIFT);
	if (vet != ETH_TYPE_VLAN) {
		frame_push_vlan(frame);
		be16_store(frame->hdr + 2 * ETH_ADDR_LEN, vet);
	}
}

/* What the descriptors ask to be done with a frame; false: it is dropped. */
static bool offload(struct e1000 *dev, struct frame *frame,
		    const struct packet *pkt, const struct parse *p,
		    struct e1000_tx_snap *snap)
{
	const struct e1000_txctx *ctx = &p->ctx[0];
	uint32_t popts = pkt->first_upper, len, inserted;

	snap->tso = false;
	snap->n_wire = 1;
	snap->wire_len = snap->last_len = frame->len + E1000_CRC_LEN;
	memcpy(snap->dst, frame->hdr, sizeof(snap->dst));

	if (!(pkt->first_lower & TXD_DEXT)) {
		if (pkt->last_lower & TXD_IC)
			offload_csum(dev, frame,
				     pkt->first_upper >> TXD_CSS_SHIFT & 0xff,
				     pkt->last_lower >> TXD_CSO_SHIFT & 0xff,
				     0, true);
	} else if (segments(pkt)) {
		if (!offload_tso(frame, &p->ctx[1], snap))
			return false;
	} else {
		if (popts & TXD_POPTS_TXSM)
			offload_csum(dev, frame, ctx->tucss, ctx->tucso,
				     le16_get(ctx->tucse), true);
		if (popts & TXD_POPTS_IXSM)
			offload_csum(dev, frame, ctx->ipcss, ctx->ipcso,
				     le16_get(ctx->ipcse), false);
	}
	len = frame->len;
	offload_vlan(dev, frame, pkt);
	inserted = frame->len - len +
		(frame->flags & FRAME_VLAN ? ETH_TAG_LEN : 0);
	snap->wire_len += inserted;
	snap->last_len += inserted;
	return true;
}

/* ---- descriptors to frames: 3.3, 3.4.1 ---- */

/* One more data descriptor of a packet. */
static void add_piece(struct e1000 *dev, struct packet *pkt,
		      const struct e1000_txd *desc)
{
	uint32_t lower = le32_get(desc->lower), len;
	int n;

	if (!pkt->begun) {
		pkt->first_lower = lower;
		pkt->first_upper = le32_get(desc->upper);
		pkt->begun = true;
	}
	pkt->last_lower = lower;
	pkt->last_upper = le32_get(desc->upper);
	if (lower & TXD_DEXT && (lower & TXD_TYPE) != TXD_TYPE_DATA)
		pkt->drop = &dev->counters.tx_drop_type;
	len = lower & (lower & TXD_DEXT ? TXD_DATA_LEN : TXD_LEGACY_LEN);
	/* One without an address or a length transfers nothing (3.3.3.1). */
	if (pkt->drop || !len || !le64_get(desc->addr))
		return;
	if (len > FRAME_LEN_MAX + E1000_CRC_LEN - pkt->len) {
		pkt->drop = &dev->counters.tx_drop_size;
		return;
	}
	n = dma_iov(dev->pci.dma, le64_get(desc->addr), len, DMA_READ,
		    &dev->tx.iov[pkt->n_iov], E1000_TX_IOVS - pkt->n_iov);
	if (n < 0) {
		pkt->drop = n == -E2BIG ? &dev->counters.tx_drop_size :
			&dev->counters.tx_drop_dma;
		return;
	}
	pkt->n_iov += (unsigned int)n;
	pkt->len += len;
}

/* All descriptors of a packet are there. */
static enum item finish_packet(struct e1000 *dev, struct packet *pkt,
			       struct parse *p, struct frame_batch *batch,
			       struct frame *frame)
{
	struct e1000_tx_snap *snap = &dev->tx.snap[batch->n];

	/* Without IFCS the driver has put the CRC there itself; frames have
	 * none.  It cannot do so for segments. */
	if (!(pkt->last_lower & TXD_IFCS) && !segments(pkt))
		pkt->len -= min_of(pkt->len, (uint32_t)E1000_CRC_LEN);
	if (!pkt->drop && batch_fill(batch, frame, dev->tx.iov, pkt->n_iov,
				     pkt->len))
		pkt->drop = &dev->counters.tx_drop_size;
	if (!pkt->drop && !offload(dev, frame, pkt, p, snap))
		pkt->drop = &dev->counters.tx_drop_tso;
	if (pkt->drop)
		return ITEM_DROP;
	snap->n_descs = p->n_descs;
	memcpy(snap->ctx, p->ctx, sizeof(snap->ctx));
	frame->cookie = batch->n;
	batch_commit(batch, frame);
	return ITEM_FRAME;
}

/* Read one descriptor into tx.desc[]: the only time its bytes are looked at. */
static const struct e1000_txd *fetch(struct e1000 *dev, struct parse *p)
{
	struct e1000_txd *desc = &dev->tx.desc[p->n_descs++];

	memcpy(desc, dev->tx.ring.hva + p->next * sizeof(*desc), sizeof(*desc));
	p->budget--;
	if (++p->next == dev->tx.ring.n)
		p->next = 0;
	return desc;
}

static bool is_context(uint32_t lower)
{
	return lower & TXD_DEXT && (lower & TXD_TYPE) == TXD_TYPE_CTX;
}

/* Go on to the next frame, or to what is instead of one.  *@drop: why
 * ITEM_DROP. */
static enum item next_item(struct e1000 *dev, struct parse *p,
			   struct frame_batch *batch, counter **drop)
{
	struct frame *frame = batch_next(batch);
	struct packet pkt = { 0 };
	struct parse start = *p;
	enum item item;

	if (!frame)
		return ITEM_FULL;
	while (p->next != p->tail) {
		const struct e1000_txd *desc;
		uint32_t lower;

		if (!p->budget) {
			if (start.n_descs || p->n_descs != E1000_TX_DESCS) {
				*p = start;
				return ITEM_FULL;
			}
			/* No packet is that long. */
			*drop = pkt.begun ? &dev->counters.tx_drop_size : NULL;
			p->skip |= pkt.begun;
			return ITEM_DROP;
		}
		desc = fetch(dev, p);
		lower = le32_get(desc->lower);
		if (is_context(lower)) {
			memcpy(&p->ctx[!!(lower & TXD_TSE)], desc,
			       sizeof(p->ctx[0]));
		} else if (p->skip) {
			p->skip = !(lower & TXD_EOP);
		} else {
			add_piece(dev, &pkt, desc);
			if (!(lower & TXD_EOP))
				continue;
			item = finish_packet(dev, &pkt, p, batch, frame);
			*drop = pkt.drop;
			if (item == ITEM_DROP && batch->n)
				*p = start;
			return item;
		}
	}
	if (pkt.begun)
		*p = start;
	return ITEM_NONE;
}

static void parse_start(struct e1000 *dev, struct parse *p, uint32_t budget)
{
	const struct e1000_state *s = dev->state;

	p->next = s->reg[E1000_TDH];
	p->tail = s->reg[E1000_TDT];
	p->n_descs = 0;
	p->budget = budget;
	memcpy(p->ctx, s->tx_ctx, sizeof(p->ctx));
	p->skip = s->tx_skip;
}

/* ---- the port's side ---- */

/* Frames that come back: to our own receiver, all of them, now.  It cannot hold
 * us; what it has no room for is lost.  Receiving sends nothing, so this does
 * not come back here (CVE-2021-3416 was the opposite). */
static void loop_back(struct port_queue *queue, struct frame_batch *batch)
{
	struct e1000 *dev = e1000_of_port(queue->port);

	dev->rx.looping = true;
	for (unsigned int i = 0; i < batch->n; i++) {
		struct frame *frame = &batch->frames[i];
		uint32_t resume_seg = 0;

		/* Frames that need no engine also come back without a cable. */
		if (frame->gso || frame->flags & FRAME_CSUM_PARTIAL)
			(void)port_deliver(queue, &frame, 1, &resume_seg);
		else
			(void)e1000_rx_burst(queue, &frame, 1);
	}
	e1000_rx_flush(queue);
	dev->rx.looping = false;
	counter_add(&dev->counters.tx_looped, batch->n);
	e1000_tx_done(queue, batch, batch->n);
	batch->n = 0;
	batch->n_segs = 0;
}

void e1000_tx_burst(struct port_queue *queue, struct frame_batch *batch,
		    bool *worked)
{
	struct e1000 *dev = e1000_of_port(queue->port);
	struct e1000_tx *tx = &dev->tx;
	const uint32_t *reg = dev->state->reg;
	counter *drop = NULL;
	enum item item;
	struct parse p;

	e1000_shared_tdt(dev);
	if (tx->wait)
		return;
	if (reg[E1000_TDH] == reg[E1000_TDT] || !tx_ready(dev))
		return;
	if (!e1000_ring_view(dev, &tx->ring, E1000_TDBAL) ||
	    reg[E1000_TDH] >= tx->ring.n || reg[E1000_TDT] >= tx->ring.n) {
		counter_add(&dev->counters.tx_bad_ring, 1);
		tx->wait = true;
		return;
	}

	parse_start(dev, &p, E1000_TX_DESCS);
	for (;;) {
		item = next_item(dev, &p, batch, &drop);
		if (item == ITEM_FRAME)
			continue;
		if (batch->n || !p.n_descs)
			break;
		/* Nothing but contexts and dropped packets so far. */
		complete(dev, p.n_descs, p.ctx, p.skip);
		*worked = true;
		if (item != ITEM_DROP)
			break;
		if (drop)
			counter_add(drop, 1);
		if (drop == &dev->counters.tx_drop_tso)
			e1000_stat_add(dev, E1000_TSCTFC, 1);
		parse_start(dev, &p, p.budget);
	}
	if (batch->n && e1000_loopback(dev)) {
		loop_back(queue, batch);
		*worked = true;
	}
	/* Half a packet: more of it comes with a write to TDT. */
	if (item == ITEM_NONE && !batch->n)
		tx->wait = true;
}
