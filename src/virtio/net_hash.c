/* SPDX-License-Identifier: Apache-2.0
 *
 * virtio-net: which queue pair receives a packet, by the driver's table and the
 * Toeplitz hash over addresses and ports (RSS; VIRTIO 1.2, 5.1.6.4.3 and
 * 5.1.6.5.7), or by what the driver has sent (5.1.6.5.5).
 */
#include <string.h>

#include "proto/ip.h"
#include "proto/parse.h"
#include "virtio/net_internal.h"

/* Source and destination address, then both ports. */
enum { INPUT_MAX = 2 * 16 + 4 };

static uint32_t toeplitz(const uint8_t *key, const uint8_t *data, size_t len)
{
	uint32_t window = be32_load(key), hash = 0;

	for (size_t i = 0; i < len; i++) {
		for (int bit = 7; bit >= 0; bit--) {
			if (data[i] >> bit & 1)
				hash ^= window;
			window = window << 1 | (key[i + 4] >> bit & 1);
		}
	}
	return hash;
}

/* The kinds of hash for one IP version. */
struct kinds {
	uint32_t ip, tcp, udp;		/* enum virtio_net_hash_type */
	enum virtio_net_hash_report ip_report, tcp_report, udp_report;
};

static const struct kinds kinds4 = {
	HASH_TYPE_IP4, HASH_TYPE_TCP4, HASH_TYPE_UDP4,
	HASH_REPORT_IP4, HASH_REPORT_TCP4, HASH_REPORT_UDP4,
};
static const struct kinds kinds6 = {
	HASH_TYPE_IP6, HASH_TYPE_TCP6, HASH_TYPE_UDP6,
	HASH_REPORT_IP6, HASH_REPORT_TCP6, HASH_REPORT_UDP6,
};

/* How far the packet itself goes: what fills up the frame behind it is not of
 * it.  The headers of one that will be cut up need not say. */
static size_t packet_end(const struct frame *frame, const struct parsed *parsed)
{
	const uint8_t *l3 = frame->hdr + parsed->l3_off;

	if (frame->gso)
		return frame->hdr_len;
	if (parsed->ip_version == 4)
		return parsed->l3_off +
			be16_load(l3 + offsetof(struct ip4_hdr, total_len));
	return parsed->l3_off + sizeof(struct ip6_hdr) +
		be16_load(l3 + offsetof(struct ip6_hdr, payload_len));
}

/* Are there ports, in the first four bytes of L4? */
static bool has_ports(const struct frame *frame, const struct parsed *parsed)
{
	return parsed->l4_off && !parsed->fragment &&
		range_within(parsed->l4_off, 4, frame->hdr_len) &&
		(parsed->ip_proto == IP_PROTO_TCP ||
		 parsed->ip_proto == IP_PROTO_UDP) &&
		range_within(parsed->l4_off, 4, packet_end(frame, parsed));
}

/* What the hash of a parsed packet is made of; NONE: there is none. */
static enum virtio_net_hash_report kind_of(const struct frame *frame,
					   const struct parsed *parsed,
					   uint32_t types)
{
	const struct kinds *k = parsed->ip_version == 6 ? &kinds6 : &kinds4;
	bool ports = has_ports(frame, parsed);

	if (!parsed->ip_version)
		return HASH_REPORT_NONE;
	if (ports && parsed->ip_proto == IP_PROTO_TCP && types & k->tcp)
		return k->tcp_report;
	if (ports && parsed->ip_proto == IP_PROTO_UDP && types & k->udp)
		return k->udp_report;
	return types & k->ip ? k->ip_report : HASH_REPORT_NONE;
}

uint32_t net_hash(const struct virtio_net *net, const struct frame *frame,
		  enum virtio_net_hash_report *report)
{
	uint8_t input[INPUT_MAX];
	const uint8_t *addrs;
	struct parsed parsed;
	size_t len;

	*report = HASH_REPORT_NONE;
	if (!net->rss.types)
		return 0;
	parse_headers(frame->hdr, frame->hdr_len, &parsed);
	*report = kind_of(frame, &parsed, net->rss.types);
	if (*report == HASH_REPORT_NONE)
		return 0;
	addrs = frame->hdr + parsed.l3_off;
	if (parsed.ip_version == 6) {
		addrs += offsetof(struct ip6_hdr, src);
		len = 2 * 16;
	} else {
		addrs += offsetof(struct ip4_hdr, src);
		len = 2 * 4;
	}
	memcpy(input, addrs, len);
	if (*report != HASH_REPORT_IP4 && *report != HASH_REPORT_IP6) {
		memcpy(input + len, frame->hdr + parsed.l4_off, 4);
		len += 4;
	}
	return toeplitz(net->rss.key, input, len);
}

/* ---- automatic steering ---- */

/* Addresses, pairwise both ways: the same for a packet and its answer. */
static uint32_t mix_addrs(const uint8_t *addrs, size_t len)
{
	uint32_t hash = 0;

	for (size_t i = 0; i < len; i += sizeof(uint32_t)) {
		uint32_t a = be32_load(addrs + i);
		uint32_t b = be32_load(addrs + len + i);

		hash = (hash ^ a ^ b) * 0x9e3779b1 + (a + b);
	}
	return hash;
}

/* Where in net->flows a packet belongs: the same place for those of a flow and
 * for their answers.  False: it is of no flow. */
static bool flow_of(const struct frame *frame, unsigned int *flow)
{
	struct parsed parsed;
	uint32_t hash;

	parse_headers(frame->hdr, frame->hdr_len, &parsed);
	if (!parsed.ip_version)
		return false;
	if (parsed.ip_version == 6)
		hash = mix_addrs(frame->hdr + parsed.l3_off +
				 offsetof(struct ip6_hdr, src), 16);
	else
		hash = mix_addrs(frame->hdr + parsed.l3_off +
				 offsetof(struct ip4_hdr, src), 4);
	if (has_ports(frame, &parsed)) {
		const uint8_t *ports = frame->hdr + parsed.l4_off;
		uint32_t a = be16_load(ports), b = be16_load(ports + 2);

		hash = (hash ^ a ^ b ^ (uint32_t)parsed.ip_proto << 24) *
			0x85ebca6b + (a + b);
	}
	*flow = hash * 0xc2b2ae35u >> (32 - NET_FLOWS_LOG2);
	return true;
}

/* Flows that fall together take turns; a table entry is one store, so that
 * queues of several workers may share it. */
void net_flow_sent(struct virtio_net *net, const struct frame *frame,
		   unsigned int pair)
{
	uint8_t entry = (uint8_t)(pair + 1);
	unsigned int flow;

	if (flow_of(frame, &flow) &&
	    __atomic_load_n(&net->flows[flow], __ATOMIC_RELAXED) != entry)
		__atomic_store_n(&net->flows[flow], entry, __ATOMIC_RELAXED);
}

/* The pair that the driver sent the frame's flow on last; of one that it has
 * not sent, by the sender's queue. */
static unsigned int flow_queue(const struct virtio_net *net,
			       const struct frame *frame, unsigned int sender)
{
	unsigned int flow, entry = 0;

	if (flow_of(frame, &flow))
		entry = __atomic_load_n(&net->flows[flow], __ATOMIC_RELAXED);
	return (entry && entry <= net->n_active ? entry - 1 : sender) %
		net->n_active;
}

unsigned int net_rx_queue(const struct port *port, const struct frame *frame,
			  unsigned int sender)
{
	const struct virtio_net *net = container_of(port, struct virtio_net,
						    port);
	enum virtio_net_hash_report report;
	uint32_t hash;

	if (likely(net->n_active == 1))
		return 0;
	if (!net->rss.steer)
		return flow_queue(net, frame, sender);
	hash = net_hash(net, frame, &report);
	return report == HASH_REPORT_NONE ? net->rss.unclassified :
		net->rss.table[hash & net->rss.table_mask];
}
