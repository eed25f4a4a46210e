/* SPDX-License-Identifier: Apache-2.0
 *
 * 82540EM statistics registers (13.7): cleared by reading, which e1000_reg.c
 * does; stopping at all ones, which is here.
 */
#include "nic/e1000/e1000.h"
#include "proto/eth.h"

void e1000_stat_add(struct e1000 *dev, enum e1000_slot slot, uint32_t n)
{
	uint32_t *reg = &dev->state->reg[slot];

	*reg = *reg > UINT32_MAX - n ? UINT32_MAX : *reg + n;
}

void e1000_stat_add64(struct e1000 *dev, enum e1000_slot slot, uint64_t n)
{
	uint32_t *reg = &dev->state->reg[slot];
	uint64_t val = (uint64_t)reg[1] << 32 | reg[0];

	val = val > UINT64_MAX - n ? UINT64_MAX : val + n;
	reg[0] = (uint32_t)val;
	reg[1] = (uint32_t)(val >> 32);
}

/* The register of a size class; @first: PRC64 or PTC64, the others follow. */
static enum e1000_slot size_class(enum e1000_slot first, uint32_t len)
{
	static const uint16_t up_to[] = { 64, 127, 255, 511, 1023 };
	unsigned int i = 0;

	while (i < ARRAY_SIZE(up_to) && len > up_to[i])
		i++;
	return first + i;
}

static bool is_broadcast(const uint8_t *addr)
{
	return eth_addr_key(addr) == 0xffffffffffffull;
}

void e1000_stat_sent(struct e1000 *dev, const uint8_t *dst, uint32_t len,
		     uint32_t n)
{
	uint64_t bytes = (uint64_t)len * n;

	e1000_stat_add(dev, E1000_TPT, n);
	e1000_stat_add64(dev, E1000_TOTL, bytes);
	/* A short one is not a good one (13.7.30). */
	if (len >= E1000_LEN_MIN) {
		e1000_stat_add(dev, E1000_GPTC, n);
		e1000_stat_add64(dev, E1000_GOTCL, bytes);
	}
	e1000_stat_add(dev, size_class(E1000_PTC64, len), n);
	if (is_broadcast(dst))
		e1000_stat_add(dev, E1000_BPTC, n);
	else if (eth_addr_is_multicast(dst))
		e1000_stat_add(dev, E1000_MPTC, n);
}

void e1000_stat_received(struct e1000 *dev, const uint8_t *dst, uint32_t len)
{
	e1000_stat_add(dev, E1000_TPR, 1);
	e1000_stat_add(dev, E1000_GPRC, 1);
	e1000_stat_add64(dev, E1000_TORL, len);
	e1000_stat_add64(dev, E1000_GORCL, len);
	e1000_stat_add(dev, size_class(E1000_PRC64, len), 1);
	if (is_broadcast(dst))
		e1000_stat_add(dev, E1000_BPRC, 1);
	else if (eth_addr_is_multicast(dst))
		e1000_stat_add(dev, E1000_MPRC, 1);
}

/* Longer than 1522 bytes, or 16384 with LPE (13.7.15, 13.7.36). */
void e1000_stat_oversize(struct e1000 *dev, uint32_t len)
{
	e1000_stat_add(dev, E1000_ROC, 1);
	e1000_stat_add(dev, E1000_RLEC, 1);
	e1000_stat_add(dev, E1000_TPR, 1);
	e1000_stat_add64(dev, E1000_TORL, len);
}

void e1000_stat_missed(struct e1000 *dev)
{
	uint64_t full = counter_read(&dev->port.queues[0].stats.rx_full);

	e1000_stat_add(dev, E1000_MPC, (uint32_t)(full - dev->rx.full_seen));
	dev->rx.full_seen = full;
}
