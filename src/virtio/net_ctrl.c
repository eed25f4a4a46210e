/* SPDX-License-Identifier: Apache-2.0
 *
 * virtio-net: the control queue (VIRTIO 1.2, 5.1.6.5).
 *
 * One table row a command: its number, the feature it needs, the size of its
 * data, and who carries it out.  A handler is given the data as a private copy
 * of that size; it answers whether it did what was asked.
 */
#include <string.h>

#include "proto/eth.h"
#include "virtio/net_internal.h"

/* Data of one command at most: two tables of a thousand addresses. */
enum { DATA_MAX = 2 * (4 + 6 * 1024) };

struct command {
	uint8_t class;		/* enum virtio_net_ctrl_class */
	uint8_t cmd;		/* enum virtio_net_ctrl_cmd */
	unsigned int feature;	/* has to be negotiated */
	uint32_t min_len;	/* of the data */
	uint32_t max_len;
	bool (*run)(struct virtio_net *net, uint8_t cmd, const uint8_t *data,
		    uint32_t len);
};

static bool rx_mode(struct virtio_net *net, uint8_t cmd, const uint8_t *data,
		    uint32_t len)
{
	struct virtio_net_filter *f = &net->filter;
	bool *const modes[] = {
		[CTRL_RX_PROMISC] = &f->promisc,
		[CTRL_RX_ALLMULTI] = &f->allmulti,
		[CTRL_RX_ALLUNI] = &f->alluni,
		[CTRL_RX_NOMULTI] = &f->nomulti,
		[CTRL_RX_NOUNI] = &f->nouni,
		[CTRL_RX_NOBCAST] = &f->nobcast,
	};

	*modes[cmd] = data[0];
	return true;
}

/* One of the two tables: a count, then so many addresses.  Returns the bytes it
 * takes, or 0: there are not as many. */
static uint32_t take_table(const uint8_t *data, uint32_t len,
			   uint8_t (*addrs)[6], unsigned int *n,
			   bool *overflow)
{
	uint32_t count;

	if (len < sizeof(le32))
		return 0;
	count = le32_load(data);
	if (count > (len - sizeof(le32)) / ETH_ADDR_LEN)
		return 0;
	*overflow = count > MAC_FILTER_MAX;
	*n = *overflow ? 0 : count;
	memcpy(addrs, data + sizeof(le32), *n * ETH_ADDR_LEN);
	return (uint32_t)sizeof(le32) + count * ETH_ADDR_LEN;
}

static bool mac_table_set(struct virtio_net *net, uint8_t cmd,
			  const uint8_t *data, uint32_t len)
{
	struct virtio_net_filter f = net->filter;
	uint32_t n = take_table(data, len, f.uni, &f.n_uni, &f.uni_overflow);
	uint32_t m = n ? take_table(data + n, len - n, f.multi, &f.n_multi,
				    &f.multi_overflow) : 0;

	if (!m || n + m != len)
		return false;
	net->filter = f;
	return true;
}

static bool mac_addr_set(struct virtio_net *net, uint8_t cmd,
			 const uint8_t *data, uint32_t len)
{
	memcpy(net->own_mac, data, sizeof(net->own_mac));
	return true;
}

static bool vlan(struct virtio_net *net, uint8_t cmd, const uint8_t *data,
		 uint32_t len)
{
	uint16_t vid = le16_load(data);
	uint64_t *word = &net->filter.vlans[vid / 64 % 64];

	if (vid > VLAN_VID_MASK)
		return false;
	if (cmd == CTRL_VLAN_ADD)
		*word |= BIT64(vid % 64);
	else
		*word &= ~BIT64(vid % 64);
	return true;
}

static bool announce_ack(struct virtio_net *net, uint8_t cmd,
			 const uint8_t *data, uint32_t len)
{
	net->announce = false;
	return true;
}

static bool pairs_set(struct virtio_net *net, uint8_t cmd,
		      const uint8_t *data, uint32_t len)
{
	uint16_t n = le16_load(data);

	if (!n || n > net->n_pairs)
		return false;
	/* Steering by the number of queues, from now on (5.1.6.5.5). */
	net->rss.steer = false;
	virtio_net_set_pairs(net, n);
	return true;
}

/* The layout is one part of fixed size, a table, another part, and the key
 * (5.1.6.5.7.1); HASH_CONFIG is the same with fields reserved (5.1.6.5.6.4),
 * the table being one entry. */
static bool rss_config(struct virtio_net *net, uint8_t cmd,
		       const uint8_t *data, uint32_t len)
{
	enum { HEAD = 8, TAIL = 3 };
	bool steer = cmd == CTRL_MQ_RSS_CONFIG;
	struct virtio_net_rss rss = { .steer = steer };
	uint32_t n = (uint32_t)le16_load(data + 4) + 1, key_len;
	const uint8_t *tail;

	rss.types = le32_load(data);
	if (!steer)
		n = 1;
	if (rss.types & ~(uint32_t)HASH_TYPES_ALL || n > RSS_TABLE_MAX ||
	    !is_power_of_two(n) || len < HEAD + 2 * n + TAIL)
		return false;
	tail = data + HEAD + 2 * n;
	key_len = tail[2];
	if (key_len > RSS_KEY_MAX || len != HEAD + 2 * n + TAIL + key_len)
		return false;
	memcpy(rss.key, tail + TAIL, key_len);
	if (!steer) {
		rss.steer = net->rss.steer;
		rss.unclassified = net->rss.unclassified;
		rss.table_mask = net->rss.table_mask;
		memcpy(rss.table, net->rss.table, sizeof(rss.table));
		net->rss = rss;
		return true;
	}
	rss.table_mask = (uint16_t)(n - 1);
	rss.unclassified = le16_load(data + 6);
	if (rss.unclassified >= net->n_pairs)
		return false;
	for (uint32_t i = 0; i < n; i++) {
		rss.table[i] = le16_load(data + HEAD + 2 * i);
		if (rss.table[i] >= net->n_pairs)
			return false;
	}
	if (!le16_load(tail) || le16_load(tail) > net->n_pairs)
		return false;
	net->rss = rss;
	virtio_net_set_pairs(net, net->n_pairs);
	return true;
}

static bool offloads_set(struct virtio_net *net, uint8_t cmd,
			 const uint8_t *data, uint32_t len)
{
	static const uint64_t may =
		BIT64(VIRTIO_NET_F_GUEST_CSUM) |
		BIT64(VIRTIO_NET_F_GUEST_TSO4) |
		BIT64(VIRTIO_NET_F_GUEST_TSO6) |
		BIT64(VIRTIO_NET_F_GUEST_ECN) |
		BIT64(VIRTIO_NET_F_GUEST_USO4) |
		BIT64(VIRTIO_NET_F_GUEST_USO6);
	uint64_t wanted = le64_load(data);

	if (wanted & ~(may & net->features))
		return false;
	net_set_offloads(net, wanted);
	return true;
}

static bool coal_set(struct virtio_net *net, uint8_t cmd, const uint8_t *data,
		     uint32_t len)
{
	struct virtio_net_coal *coal = cmd == CTRL_COAL_TX_SET ?
		&net->coal_tx : &net->coal_rx;

	coal->max_packets = le32_load(data);
	coal->max_usecs = le32_load(data + 4);
	return true;
}

static const struct command commands[] = {
	{ CTRL_RX, CTRL_RX_PROMISC, VIRTIO_NET_F_CTRL_RX, 1, 1, rx_mode },
	{ CTRL_RX, CTRL_RX_ALLMULTI, VIRTIO_NET_F_CTRL_RX, 1, 1, rx_mode },
	{ CTRL_RX, CTRL_RX_ALLUNI, VIRTIO_NET_F_CTRL_RX_EXTRA, 1, 1, rx_mode },
	{ CTRL_RX, CTRL_RX_NOMULTI, VIRTIO_NET_F_CTRL_RX_EXTRA, 1, 1,
	  rx_mode },
	{ CTRL_RX, CTRL_RX_NOUNI, VIRTIO_NET_F_CTRL_RX_EXTRA, 1, 1, rx_mode },
	{ CTRL_RX, CTRL_RX_NOBCAST, VIRTIO_NET_F_CTRL_RX_EXTRA, 1, 1,
	  rx_mode },
	{ CTRL_MAC, CTRL_MAC_TABLE_SET, VIRTIO_NET_F_CTRL_RX, 8, DATA_MAX,
	  mac_table_set },
	{ CTRL_MAC, CTRL_MAC_ADDR_SET, VIRTIO_NET_F_CTRL_MAC_ADDR, 6, 6,
	  mac_addr_set },
	{ CTRL_VLAN, CTRL_VLAN_ADD, VIRTIO_NET_F_CTRL_VLAN, 2, 2, vlan },
	{ CTRL_VLAN, CTRL_VLAN_DEL, VIRTIO_NET_F_CTRL_VLAN, 2, 2, vlan },
	{ CTRL_ANNOUNCE, CTRL_ANNOUNCE_ACK, VIRTIO_NET_F_GUEST_ANNOUNCE, 0, 0,
	  announce_ack },
	{ CTRL_MQ, CTRL_MQ_PAIRS_SET, VIRTIO_NET_F_MQ, 2, 2, pairs_set },
	{ CTRL_MQ, CTRL_MQ_RSS_CONFIG, VIRTIO_NET_F_RSS, 13, DATA_MAX,
	  rss_config },
	{ CTRL_MQ, CTRL_MQ_HASH_CONFIG, VIRTIO_NET_F_HASH_REPORT, 13, DATA_MAX,
	  rss_config },
	{ CTRL_OFFLOADS, CTRL_OFFLOADS_SET, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS,
	  8, 8, offloads_set },
	{ CTRL_COAL, CTRL_COAL_TX_SET, VIRTIO_NET_F_NOTF_COAL, 8, 8,
	  coal_set },
	{ CTRL_COAL, CTRL_COAL_RX_SET, VIRTIO_NET_F_NOTF_COAL, 8, 8,
	  coal_set },
};

static bool run(struct virtio_net *net, const struct virtio_net_ctrl_hdr *hdr,
		const uint8_t *data, uint32_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		const struct command *c = &commands[i];

		if (c->class != hdr->class || c->cmd != hdr->cmd)
			continue;
		return has_feature(net, c->feature) && len >= c->min_len &&
		       len <= c->max_len && c->run(net, hdr->cmd, data, len);
	}
	return false;
}

/* One command; returns the bytes written: the answer, if there is room. */
static uint32_t serve(struct virtio_net *net, const struct vring_chain *chain)
{
	static _Thread_local uint8_t data[DATA_MAX];
	const struct iovec *answer = &chain->iov[chain->n_out];
	struct virtio_net_ctrl_hdr hdr;
	bool ok = false;
	uint32_t len;

	counter_add(&net->counters.ctrl, 1);
	if (chain->out_len >= sizeof(hdr)) {
		vring_chain_read(chain, 0, &hdr, sizeof(hdr));
		len = chain->out_len - (uint32_t)sizeof(hdr);
		if (len <= sizeof(data)) {
			vring_chain_read(chain, sizeof(hdr), data, len);
			ok = run(net, &hdr, data, len);
		}
	}
	if (!ok)
		counter_add(&net->counters.ctrl_refused, 1);
	if (!chain->n_in)
		return 0;
	*(uint8_t *)answer->iov_base = ok ? CTRL_OK : CTRL_ERR;
	return 1;
}

/* Armed all the time; what comes after the last look kicks. */
void net_ctrl_run(struct virtio_net *net)
{
	struct vring *ring = &net->ctrl.ring;

	/* A driver that never stops sending commands gets a queue's worth a
	 * kick; it has kicked again by then. */
	for (unsigned int i = 0; i < ring->size; i++) {
		if (!vring_fetch(ring, 1))
			break;
		vring_use(ring, serve(net, vring_chain(ring, 0)));
		vq_flush(&net->ctrl);
		vring_arm(ring);
	}
	vq_check(&net->ctrl);
}
