/* SPDX-License-Identifier: Apache-2.0
 *
 * For tests: packets; see packet.h.  Written with bytes and shifts, so as not
 * to share a mistake with src/proto.
 */
#include "packet.h"

#include <string.h>

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

static uint32_t get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t add16(uint32_t sum, uint32_t word)
{
	sum += word;
	return (sum & 0xffff) + (sum >> 16);
}

static uint32_t add_bytes(uint32_t sum, const uint8_t *p, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		sum = add16(sum, i % 2 ? p[i] : (uint32_t)p[i] << 8);
	return sum;
}

/* The pseudo-header of the packet whose IP header is at @ip. */
static uint32_t pseudo(const uint8_t *ip, uint8_t proto, uint32_t l4_len)
{
	uint32_t sum = ip[0] >> 4 == 4 ? add_bytes(0, ip + 12, 8) :
					 add_bytes(0, ip + 8, 32);

	return add16(add16(sum, proto), l4_len);
}

static uint8_t *put_addrs(const struct packet_spec *spec, uint8_t *p)
{
	static const uint8_t prefix[6] = { 0x52, 0x54 };

	memcpy(p, prefix, 6);
	p[5] = spec->dst;
	if (spec->dst == 255)
		memset(p, 0xff, 6);
	memcpy(p + 6, prefix, 6);
	p[11] = spec->src;
	return p + 12;
}

static uint8_t *put_ip4(const struct packet_spec *spec, uint8_t *p,
			uint32_t l4_len)
{
	uint32_t hdr_len = 20 + spec->ip_options;

	p[0] = (uint8_t)(4 << 4 | hdr_len / 4);
	put16(p + 2, hdr_len + l4_len);
	put16(p + 4, PACKET_IP_ID);
	put16(p + 6, 0x4000);
	p[8] = 64;
	p[9] = spec->udp ? 17 : 6;
	memcpy(p + 12, (uint8_t[]){ 10, 0, 0, spec->src }, 4);
	memcpy(p + 16, (uint8_t[]){ 10, 0, 0, spec->dst }, 4);
	memset(p + 20, 1, spec->ip_options);
	put16(p + 10, ~add_bytes(0, p, hdr_len));
	return p + hdr_len;
}

static uint8_t *put_ip6(const struct packet_spec *spec, uint8_t *p,
			uint32_t l4_len)
{
	uint8_t proto = spec->udp ? 17 : 6;

	p[0] = 6 << 4;
	put16(p + 4, spec->ip_options + l4_len);
	p[6] = spec->ip_options ? 60 : proto;
	p[7] = 64;
	p[8] = p[24] = 0xfd;
	p[23] = spec->src;
	p[39] = spec->dst;
	if (spec->ip_options) {
		p[40] = proto;
		p[41] = (uint8_t)(spec->ip_options / 8 - 1);
	}
	return p + 40 + spec->ip_options;
}

static uint8_t *put_l4(const struct packet_spec *spec, uint8_t *p)
{
	put16(p, 1000);
	put16(p + 2, 2000);
	if (spec->udp) {
		put16(p + 4, 8 + spec->payload_len);
		return p + 8;
	}
	put32(p + 4, PACKET_SEQ);
	put32(p + 8, 0x01020304);
	p[12] = (uint8_t)((20 + spec->tcp_options) / 4 << 4);
	p[13] = spec->tcp_flags;
	put16(p + 14, PACKET_WINDOW);
	memset(p + 20, 1, spec->tcp_options);
	return p + 20 + spec->tcp_options;
}

static void put_payload(uint8_t *p, uint32_t len, uint32_t seed)
{
	for (uint32_t i = 0; i < len; i++) {
		seed = seed * 1664525 + 1013904223;
		p[i] = (uint8_t)(seed >> 24);
	}
}

void packet_make(const struct packet_spec *spec, struct packet *packet)
{
	uint32_t l4_len = (spec->udp ? 8 : 20 + spec->tcp_options) +
			  spec->payload_len;
	uint8_t *p = packet->data, *ip;

	memset(packet, 0, 512);
	p = put_addrs(spec, p);
	if (spec->qinq) {
		put32(p, 0x88a80064);
		put32(p + 4, 0x810000c8);
		p += 8;
	}
	put16(p, spec->ip6 ? 0x86dd : 0x0800);
	ip = p + 2;
	packet->l3_off = (uint16_t)(ip - packet->data);
	p = spec->ip6 ? put_ip6(spec, ip, l4_len) : put_ip4(spec, ip, l4_len);
	packet->l4_off = (uint16_t)(p - packet->data);
	packet->csum_offset = spec->udp ? 6 : 16;
	put16(p + packet->csum_offset,
	      pseudo(ip, spec->udp ? 17 : 6, l4_len));
	p = put_l4(spec, p);
	packet->payload_off = (uint16_t)(p - packet->data);
	put_payload(p, spec->payload_len, spec->seed);
	packet->len = packet->payload_off + spec->payload_len;
}

bool packet_csum_good(const uint8_t *data, uint32_t len, uint16_t l3_off,
		      uint16_t l4_off)
{
	const uint8_t *ip = data + l3_off;
	bool ip4 = ip[0] >> 4 == 4;
	uint32_t ip_len = ip4 ? get16(ip + 2) : 40 + get16(ip + 4);
	uint32_t l4_len = ip_len - (l4_off - l3_off);
	/* The extensions made here are one header at most. */
	uint8_t proto = ip4 ? ip[9] : ip[6] == 60 ? ip[40] : ip[6];

	if (l3_off + ip_len > len)
		return false;
	if (ip4 && add_bytes(0, ip, (ip[0] & 15u) * 4) != 0xffff)
		return false;
	return add_bytes(pseudo(ip, proto, l4_len), data + l4_off, l4_len) ==
	       0xffff;
}

void packet_eth(uint8_t dst, uint8_t src, uint32_t len, uint32_t seed,
		struct packet *packet)
{
	struct packet_spec spec = { .dst = dst, .src = src };

	packet->len = len;
	put_payload(packet->data, len, seed);
	put_addrs(&spec, packet->data);
	put16(packet->data + 12, 0x88b5);	/* local experiments */
	packet->l3_off = packet->l4_off = packet->payload_off = 14;
}
