/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the headers of a frame lie: Ethernet, tags, IPv4 or IPv6, L4.
 */
#include "proto/parse.h"

#include "proto/eth.h"
#include "proto/ip.h"

static void parse_ip4(const uint8_t *hdr, size_t len, struct parsed *parsed)
{
	size_t off = parsed->l3_off;
	struct ip4_hdr ip;
	unsigned int ip_len;
	uint16_t frag;

	if (!range_within(off, sizeof(ip), len))
		return;
	memcpy(&ip, hdr + off, sizeof(ip));
	ip_len = ip4_hdr_len(&ip);
	if (ip.ver_ihl >> 4 != 4 || ip_len < sizeof(ip))
		return;

	parsed->ip_version = 4;
	frag = be16_get(ip.frag);
	parsed->fragment = frag & (IP4_FRAG_MF | IP4_FRAG_OFFSET);
	if (frag & IP4_FRAG_OFFSET || off + ip_len >= len)
		return;
	parsed->ip_proto = ip.proto;
	parsed->l4_off = (uint16_t)(off + ip_len);
}

static bool is_ip6_ext(uint8_t next_hdr)
{
	return next_hdr == IP_PROTO_HOP_OPTS || next_hdr == IP_PROTO_ROUTING ||
	       next_hdr == IP_PROTO_DST_OPTS || next_hdr == IP_PROTO_AUTH ||
	       next_hdr == IP_PROTO_FRAGMENT;
}

static size_t ip6_ext_len(uint8_t kind, const struct ip6_ext *ext)
{
	if (kind == IP_PROTO_FRAGMENT)
		return sizeof(struct ip6_frag);
	if (kind == IP_PROTO_AUTH)
		return (ext->len + 2u) * 4;
	return (ext->len + 1u) * 8;
}

static void parse_ip6(const uint8_t *hdr, size_t len, struct parsed *parsed)
{
	size_t off = parsed->l3_off;
	struct ip6_hdr ip;
	uint8_t next;

	if (!range_within(off, sizeof(ip), len))
		return;
	memcpy(&ip, hdr + off, sizeof(ip));
	if (be32_get(ip.ver_class_flow) >> 28 != 6)
		return;

	parsed->ip_version = 6;
	next = ip.next_hdr;
	off += sizeof(ip);
	for (unsigned int i = 0; is_ip6_ext(next); i++) {
		struct ip6_ext ext;

		if (i == PARSE_EXTS_MAX ||
		    !range_within(off, sizeof(struct ip6_frag), len))
			return;
		memcpy(&ext, hdr + off, sizeof(ext));
		if (next == IP_PROTO_FRAGMENT) {
			uint16_t part = be16_load(hdr + off +
				offsetof(struct ip6_frag, offset_flags));

			parsed->fragment = part & IP6_FRAG_PART;
			if (part & IP6_FRAG_OFFSET)
				return;
		}
		off += ip6_ext_len(next, &ext);
		next = ext.next_hdr;
	}
	if (next == IP_PROTO_NONE || off >= len)
		return;
	parsed->ip_proto = next;
	parsed->l4_off = (uint16_t)off;
}

void parse_headers(const uint8_t *hdr, size_t len, struct parsed *parsed)
{
	size_t off = offsetof(struct eth_hdr, type);
	uint16_t type;

	*parsed = (struct parsed){ 0 };
	/* Offsets are 16 bits wide, and no header lies that far back. */
	len = min_of(len, (size_t)UINT16_MAX);
	if (len < ETH_HDR_LEN)
		return;
	type = be16_load(hdr + off);
	while (type == ETH_TYPE_VLAN || type == ETH_TYPE_QINQ) {
		if (parsed->n_tags == PARSE_TAGS_MAX ||
		    !range_within(off + ETH_TAG_LEN, sizeof(be16), len))
			return;
		parsed->n_tags++;
		off += ETH_TAG_LEN;
		type = be16_load(hdr + off);
	}
	if (type < ETH_TYPE_MIN)
		return;

	parsed->eth_type = type;
	parsed->l3_off = (uint16_t)(off + sizeof(be16));
	if (type == ETH_TYPE_IP4)
		parse_ip4(hdr, len, parsed);
	else if (type == ETH_TYPE_IP6)
		parse_ip6(hdr, len, parsed);
}
