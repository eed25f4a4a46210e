/* SPDX-License-Identifier: Apache-2.0
 *
 * Which port an address was last seen on; see mac_table.h for how it works and
 * what bounds it.
 */
#include "switch/mac_table.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "proto/eth.h"

/* A slot of the index: address in the upper 48 bits, number of the entry plus
 * 1 in the lower 16; 0: free. */
typedef uint64_t slot;

enum {
	SLOT_NUMBER_BITS = 16,
	PORT_BITS = 16,
	/* How often an address is looked for anew because the index was being
	 * changed.  After that it is unknown, which is never wrong. */
	LOOKS_MAX = 4,
};

struct entry {
	uint64_t where;		/* atomic: address in the upper 48 bits, port in
				 * the lower 16; whole, so that a reader sees
				 * the port of that address or another address*/
	uint64_t seen_ms;	/* atomic: last time */
	struct list node;	/* of its port's list, or of the free ones */
};

/* What one port holds. */
struct holding {
	struct list entries;	/* oldest first */
	unsigned int n;		/* of them */
};

struct mac_table {
	/* Set at creation. */
	struct mac_table_config config;
	uint64_t factor;	/* of the hash: random, odd */
	unsigned int shift;	/* 64 - log2 of the index size */
	unsigned int mask;	/* index size - 1 */

	/* Written under the lock, read by anybody. */
	unsigned int n;		/* atomic: entries in use */
	unsigned int removals;	/* atomic: counts them twice: odd while slots
				 * are being moved */
	slot *index;		/* atomic, each */
	struct entry *entries;	/* config.max of them */

	/* Under the lock. */
	pthread_mutex_t lock;	/* a leaf; held for a bounded time */
	unsigned int n_ports;	/* that share the table */
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
	pthread_mutex_init(&table->lock, NULL);
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
	pthread_mutex_destroy(&table->lock);
	free(table);
}

void mac_table_set_ports(struct mac_table *table, unsigned int n_ports)
{
	pthread_mutex_lock(&table->lock);
	table->n_ports = max_of(n_ports, 1u);
	pthread_mutex_unlock(&table->lock);
}

/* ---- the index ---- */

static unsigned int hash(const struct mac_table *table, uint64_t key)
{
	uint64_t h = key * table->factor;

	/* Twice, so that every bit of the address reaches the upper ones. */
	h ^= h >> 32;
	return (unsigned int)(h * table->factor >> table->shift);
}

static slot slot_at(const struct mac_table *table, unsigned int i)
{
	return __atomic_load_n(&table->index[i], __ATOMIC_ACQUIRE);
}

/* Release: what a slot refers to is there before it. */
static void slot_set(struct mac_table *table, unsigned int i, slot s)
{
	__atomic_store_n(&table->index[i], s, __ATOMIC_RELEASE);
}

static struct entry *slot_entry(const struct mac_table *table, slot s)
{
	return &table->entries[(s & UINT16_MAX) - 1];
}

static slot make_slot(const struct mac_table *table, const struct entry *e,
		      uint64_t key)
{
	return key << SLOT_NUMBER_BITS | (slot)(e - table->entries + 1);
}

/* The slot of @key, or 0 and the place where it would be.  Without the lock it
 * may miss what is being moved; it ends, since half of the slots are free. */
static slot find(const struct mac_table *table, uint64_t key, unsigned int *at)
{
	unsigned int i = hash(table, key);
	slot s;

	while ((s = slot_at(table, i)) && s >> SLOT_NUMBER_BITS != key)
		i = (i + 1) & table->mask;
	*at = i;
	return s;
}

/* Free slot @i; whatever was pushed behind it by a collision moves up. */
static void index_remove(struct mac_table *table, unsigned int i)
{
	unsigned int removals = table->removals;
	unsigned int hole = i, home;
	slot s;

	__atomic_store_n(&table->removals, removals + 1, __ATOMIC_RELAXED);
	for (;;) {
		i = (i + 1) & table->mask;
		s = slot_at(table, i);
		if (!s)
			break;
		home = hash(table, s >> SLOT_NUMBER_BITS);
		/* May it lie in the hole?  Only if it does not start after. */
		if (((i - home) & table->mask) < ((i - hole) & table->mask))
			continue;
		slot_set(table, hole, s);
		hole = i;
	}
	slot_set(table, hole, 0);
	__atomic_store_n(&table->removals, removals + 2, __ATOMIC_RELEASE);
}

/* Where an address was, and when. */
struct sighting {
	unsigned int port;
	uint64_t seen_ms;
};

static inline bool look_once(const struct mac_table *table, uint64_t key,
		      struct sighting *last)
{
	const struct entry *e;
	unsigned int at;
	uint64_t where;
	slot s = find(table, key, &at);

	if (!s)
		return false;
	e = slot_entry(table, s);
	where = __atomic_load_n(&e->where, __ATOMIC_ACQUIRE);
	last->port = where & UINT16_MAX;
	last->seen_ms = __atomic_load_n(&e->seen_ms, __ATOMIC_RELAXED);
	/* The entry may have become another address's since. */
	return where >> PORT_BITS == key;
}

/* Nothing was found: that counts only if no slot was moved meanwhile. */
static bool look_again(const struct mac_table *table, uint64_t key,
		       struct sighting *last)
{
	for (unsigned int n = 0; n < LOOKS_MAX; n++) {
		unsigned int before = __atomic_load_n(&table->removals,
						      __ATOMIC_ACQUIRE);

		if (look_once(table, key, last))
			return true;
		if (!(before & 1) &&
		    before == __atomic_load_n(&table->removals,
					      __ATOMIC_RELAXED))
			break;
	}
	return false;
}

/* Any thread, without the lock.  What is found was right at some moment of the
 * call. */
static inline bool look(const struct mac_table *table, uint64_t key,
			struct sighting *last)
{
	return likely(look_once(table, key, last)) ||
	       look_again(table, key, last);
}

/* ---- entries ---- */

static uint64_t entry_key(const struct entry *e)
{
	return e->where >> PORT_BITS;
}

static unsigned int entry_port(const struct entry *e)
{
	return e->where & UINT16_MAX;
}

static void entry_hold(struct mac_table *table, struct entry *e, uint64_t key,
		       unsigned int port)
{
	__atomic_store_n(&e->where, key << PORT_BITS | port,
			 __ATOMIC_RELEASE);
	list_append(&table->holdings[port].entries, &e->node);
	table->holdings[port].n++;
}

static void entry_release(struct mac_table *table, struct entry *e)
{
	list_remove(&e->node);
	table->holdings[entry_port(e)].n--;
}

static void entry_see(struct entry *e, uint64_t now_ms)
{
	__atomic_store_n(&e->seen_ms, now_ms, __ATOMIC_RELAXED);
}

static void set_count(struct mac_table *table, unsigned int n)
{
	__atomic_store_n(&table->n, n, __ATOMIC_RELAXED);
}

static void entry_drop(struct mac_table *table, struct entry *e)
{
	unsigned int at;

	find(table, entry_key(e), &at);
	index_remove(table, at);
	entry_release(table, e);
	list_append(&table->free, &e->node);
	set_count(table, table->n - 1);
}

static struct entry *oldest(const struct mac_table *table, unsigned int port)
{
	const struct list *entries = &table->holdings[port].entries;

	return list_empty(entries) ? NULL :
	       container_of(entries->next, struct entry, node);
}

/* Another worker's round may be newer than ours: seen after now is not aged. */
static bool has_aged(const struct mac_table *table, uint64_t seen_ms,
		     uint64_t now_ms)
{
	return seen_ms < now_ms &&
	       now_ms - seen_ms >= table->config.ageing_ms;
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
	unsigned int at;

	if (list_empty(&table->free))
		evict(table, port);
	if (list_empty(&table->free))
		return;
	e = container_of(table->free.next, struct entry, node);
	list_remove(&e->node);
	entry_see(e, now_ms);
	entry_hold(table, e, key, port);
	find(table, key, &at);
	slot_set(table, at, make_slot(table, e, key));
	set_count(table, table->n + 1);
	counter_add(&table->stats.learnt, 1);
}

/* With the lock held. */
static void learn(struct mac_table *table, uint64_t key, unsigned int port,
		  uint64_t now_ms)
{
	unsigned int at;
	slot s = find(table, key, &at);
	struct entry *e;

	if (!s) {
		learn_new(table, key, port, now_ms);
		return;
	}
	e = slot_entry(table, s);
	if (has_aged(table, e->seen_ms, now_ms)) {
		entry_drop(table, e);
		counter_add(&table->stats.aged, 1);
		learn_new(table, key, port, now_ms);
		return;
	}
	if (entry_port(e) != port)
		counter_add(&table->stats.moved, 1);
	entry_see(e, max_of(e->seen_ms, now_ms));
	entry_release(table, e);
	entry_hold(table, e, key, port);
}

void mac_table_learn(struct mac_table *table, const uint8_t *mac,
		     unsigned int port, uint64_t now_ms)
{
	uint64_t key = eth_addr_key(mac);
	struct sighting last;

	if (likely(look(table, key, &last)) && last.port == port) {
		if (likely(last.seen_ms >= now_ms))
			return;
		/* It is where it was: the next frame will do as well. */
		if (pthread_mutex_trylock(&table->lock))
			return;
	} else {
		pthread_mutex_lock(&table->lock);
	}
	learn(table, key, port, now_ms);
	pthread_mutex_unlock(&table->lock);
}

int mac_table_lookup(const struct mac_table *table, const uint8_t *mac,
		     uint64_t now_ms)
{
	struct sighting last;

	if (!look(table, eth_addr_key(mac), &last) ||
	    has_aged(table, last.seen_ms, now_ms))
		return -1;
	return (int)last.port;
}

void mac_table_forget(struct mac_table *table, unsigned int port)
{
	struct entry *e;

	pthread_mutex_lock(&table->lock);
	while ((e = oldest(table, port)))
		entry_drop(table, e);
	pthread_mutex_unlock(&table->lock);
}

uint64_t mac_table_expire(struct mac_table *table, uint64_t now_ms)
{
	uint64_t next_ms = UINT64_MAX;
	struct entry *e;

	pthread_mutex_lock(&table->lock);
	for (unsigned int i = 0; i < table->config.max_ports; i++) {
		while ((e = oldest(table, i)) &&
		       has_aged(table, e->seen_ms, now_ms)) {
			entry_drop(table, e);
			counter_add(&table->stats.aged, 1);
		}
		if (e)
			next_ms = min_of(next_ms, e->seen_ms +
					 table->config.ageing_ms);
	}
	pthread_mutex_unlock(&table->lock);
	return next_ms;
}

static unsigned int walk(const struct mac_table *table, uint64_t now_ms,
			 struct mac_table_entry *entries, unsigned int max)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < table->config.max_ports; i++) {
		struct list *tmp;
		struct entry *e;

		list_for_each(e, tmp, &table->holdings[i].entries, node) {
			uint64_t key = entry_key(e);

			if (n == max)
				return n;
			if (has_aged(table, e->seen_ms, now_ms))
				continue;
			memcpy(entries[n].mac, &key, ETH_ADDR_LEN);
			entries[n].port = i;
			entries[n].seen_ms = e->seen_ms;
			n++;
		}
	}
	return n;
}

unsigned int mac_table_walk(struct mac_table *table, uint64_t now_ms,
			    struct mac_table_entry *entries, unsigned int max)
{
	unsigned int n;

	pthread_mutex_lock(&table->lock);
	n = walk(table, now_ms, entries, max);
	pthread_mutex_unlock(&table->lock);
	return n;
}

unsigned int mac_table_count(const struct mac_table *table)
{
	return __atomic_load_n(&table->n, __ATOMIC_RELAXED);
}

const struct vswitch_mac_stats *
mac_table_stats(const struct mac_table *table)
{
	return &table->stats;
}
