/* SPDX-License-Identifier: Apache-2.0
 *
 * Which port an address was last seen on; see mac_table.h for how it works and
 * what bounds it.
 */
#include "switch/mac_table.h"

#include <stdlib.h>
#include <string.h>

#include "proto/eth.h"

/* A slot of the index: address in the upper 48 bits, number of the entry plus
 * 1 in the lower 16; 0: free. */
typedef uint64_t slot;

enum { SLOT_NUMBER_BITS = 16 };

struct entry {
	uint64_t key;		/* eth_addr_key() */
	uint64_t seen_ms;	/* last time */
	uint16_t port;		/* where */
	struct list node;	/* of its port's list, or of the free ones */
};

/* What one port holds. */
struct holding {
	struct list entries;	/* oldest first */
	unsigned int n;		/* of them */
};

struct mac_table {
	struct mac_table_config config;
	unsigned int n;		/* entries in use */
	unsigned int n_ports;	/* that share the table */
	uint64_t factor;	/* of the hash: random, odd */
	unsigned int shift;	/* 64 - log2 of the index size */
	unsigned int mask;	/* index size - 1 */
	slot *index;
	struct entry *entries;	/* config.max of them */
	struct list free;	/* those not in use */
	struct holding *holdings; /* config.max_ports of them */
	struct vswitch_mac_stats stats;
};

struct mac_table *mac_table_create(const struct mac_table_config *config)
{
	struct mac_table *table = calloc(1, sizeof(*table));
	unsigned int bits = 1;

	if (!table)
		return NULL;
	while (1u << bits < 2 * config->max)
		bits++;
	table->config = *config;
	table->n_ports = 1;
	table->factor = config->seed | 1;
	table->shift = 64 - bits;
	table->mask = (1u << bits) - 1;
	table->index = calloc(1u << bits, sizeof(*table->index));
	table->entries = calloc(config->max, sizeof(*table->entries));
	table->holdings = calloc(config->max_ports, sizeof(*table->holdings));
	if (!table->index || !table->entries || !table->holdings) {
		mac_table_destroy(table);
		return NULL;
	}
	list_init(&table->free);
	for (unsigned int i = 0; i < config->max; i++)
		list_append(&table->free, &table->entries[i].node);
	for (unsigned int i = 0; i < config->max_ports; i++)
		list_init(&table->holdings[i].entries);
	return table;
}

void mac_table_destroy(struct mac_table *table)
{
	if (!table)
		return;
	free(table->holdings);
	free(table->entries);
	free(table->index);
	free(table);
}

void mac_table_set_ports(struct mac_table *table, unsigned int n_ports)
{
	table->n_ports = max_of(n_ports, 1u);
}

/* ---- the index ---- */

static unsigned int hash(const struct mac_table *table, uint64_t key)
{
	uint64_t h = key * table->factor;

	/* Twice, so that every bit of the address reaches the upper ones. */
	h ^= h >> 32;
	return (unsigned int)(h * table->factor >> table->shift);
}

static struct entry *slot_entry(const struct mac_table *table, slot s)
{
	return &table->entries[(s & UINT16_MAX) - 1];
}

static slot make_slot(const struct mac_table *table, const struct entry *e)
{
	return e->key << SLOT_NUMBER_BITS | (slot)(e - table->entries + 1);
}

/* Where @key is, or the free slot where it would be. */
static unsigned int find(const struct mac_table *table, uint64_t key)
{
	unsigned int i = hash(table, key);

	while (table->index[i] && table->index[i] >> SLOT_NUMBER_BITS != key)
		i = (i + 1) & table->mask;
	return i;
}

/* Free slot @i; whatever was pushed behind it by a collision moves up. */
static void index_remove(struct mac_table *table, unsigned int i)
{
	unsigned int hole = i, home;

	for (;;) {
		i = (i + 1) & table->mask;
		if (!table->index[i])
			break;
		home = hash(table, table->index[i] >> SLOT_NUMBER_BITS);
		/* May it lie in the hole?  Only if it does not start after. */
		if (((i - home) & table->mask) < ((i - hole) & table->mask))
			continue;
		table->index[hole] = table->index[i];
		hole = i;
	}
	table->index[hole] = 0;
}

/* ---- entries ---- */

static void entry_hold(struct mac_table *table, struct entry *e,
		       unsigned int port)
{
	e->port = (uint16_t)port;
	list_append(&table->holdings[port].entries, &e->node);
	table->holdings[port].n++;
}

static void entry_release(struct mac_table *table, struct entry *e)
{
	list_remove(&e->node);
	table->holdings[e->port].n--;
}

static void entry_drop(struct mac_table *table, struct entry *e)
{
	index_remove(table, find(table, e->key));
	entry_release(table, e);
	list_append(&table->free, &e->node);
	table->n--;
}

static struct entry *oldest(const struct mac_table *table, unsigned int port)
{
	const struct list *entries = &table->holdings[port].entries;

	return list_empty(entries) ? NULL :
	       container_of(entries->next, struct entry, node);
}

static bool has_aged(const struct mac_table *table, const struct entry *e,
		     uint64_t now_ms)
{
	return now_ms - e->seen_ms >= table->config.ageing_ms;
}

/* Make room for @port in a full table, by the rule in mac_table.h.  The search
 * is long, but a port's holding grows by each one and it ends at its share. */
static void evict(struct mac_table *table, unsigned int port)
{
	unsigned int victim = port;

	if (table->holdings[port].n < table->config.max / table->n_ports)
		for (unsigned int i = 0; i < table->config.max_ports; i++)
			if (table->holdings[i].n > table->holdings[victim].n)
				victim = i;
	/* A table of fewer entries than ports: no port has a share. */
	if (!table->holdings[victim].n)
		return;
	entry_drop(table, oldest(table, victim));
	counter_add(&table->stats.evicted, 1);
}

static void learn_new(struct mac_table *table, uint64_t key,
		      unsigned int port, uint64_t now_ms)
{
	struct entry *e;

	if (list_empty(&table->free))
		evict(table, port);
	if (list_empty(&table->free))
		return;
	e = container_of(table->free.next, struct entry, node);
	list_remove(&e->node);
	e->key = key;
	e->seen_ms = now_ms;
	entry_hold(table, e, port);
	table->index[find(table, key)] = make_slot(table, e);
	table->n++;
	counter_add(&table->stats.learnt, 1);
}

void mac_table_learn(struct mac_table *table, const uint8_t *mac,
		     unsigned int port, uint64_t now_ms)
{
	uint64_t key = eth_addr_key(mac);
	slot s = table->index[find(table, key)];
	struct entry *e;

	if (!s) {
		learn_new(table, key, port, now_ms);
		return;
	}
	e = slot_entry(table, s);
	if (e->port == port && e->seen_ms == now_ms)
		return;
	if (has_aged(table, e, now_ms)) {
		entry_drop(table, e);
		counter_add(&table->stats.aged, 1);
		learn_new(table, key, port, now_ms);
		return;
	}
	if (e->port != port)
		counter_add(&table->stats.moved, 1);
	e->seen_ms = now_ms;
	entry_release(table, e);
	entry_hold(table, e, port);
}

int mac_table_lookup(const struct mac_table *table, const uint8_t *mac,
		     uint64_t now_ms)
{
	slot s = table->index[find(table, eth_addr_key(mac))];
	const struct entry *e;

	if (!s)
		return -1;
	e = slot_entry(table, s);
	return has_aged(table, e, now_ms) ? -1 : e->port;
}

void mac_table_forget(struct mac_table *table, unsigned int port)
{
	struct entry *e;

	while ((e = oldest(table, port)))
		entry_drop(table, e);
}

uint64_t mac_table_expire(struct mac_table *table, uint64_t now_ms)
{
	uint64_t next_ms = UINT64_MAX;
	struct entry *e;

	for (unsigned int i = 0; i < table->config.max_ports; i++) {
		while ((e = oldest(table, i)) && has_aged(table, e, now_ms)) {
			entry_drop(table, e);
			counter_add(&table->stats.aged, 1);
		}
		if (e)
			next_ms = min_of(next_ms, e->seen_ms +
					 table->config.ageing_ms);
	}
	return next_ms;
}

unsigned int mac_table_walk(const struct mac_table *table, uint64_t now_ms,
			    struct mac_table_entry *entries, unsigned int max)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < table->config.max_ports; i++) {
		struct list *tmp;
		struct entry *e;

		list_for_each(e, tmp, &table->holdings[i].entries, node) {
			if (n == max)
				return n;
			if (has_aged(table, e, now_ms))
				continue;
			memcpy(entries[n].mac, &e->key, ETH_ADDR_LEN);
			entries[n].port = i;
			entries[n].seen_ms = e->seen_ms;
			n++;
		}
	}
	return n;
}

unsigned int mac_table_count(const struct mac_table *table)
{
	return table->n;
}

const struct vswitch_mac_stats *
mac_table_stats(const struct mac_table *table)
{
	return &table->stats;
}
