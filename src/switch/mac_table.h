/* SPDX-License-Identifier: Apache-2.0
 *
 * Which port an address was last seen on: the filtering database of 802.1D.
 *
 * Theory of operation.  Entries lie in a fixed array; a hash index with linear
 * probing, at most half full, finds them by address.  The hash multiplies by a
 * random odd factor, so that nobody outside can choose addresses that collide.
 * Each port's entries are on a list of their own, the one not seen for longest
 * first.
 *
 * Bounds.  The table never holds more than its maximum.  When it is full, a
 * port that holds its share or more (the maximum, divided by the number of
 * ports) replaces its own oldest address; one that holds less takes the place
 * of the oldest address of the port that holds most.  So a port that floods the
 * switch with random source addresses can fill what is free and push out what
 * others hold beyond their share, but a port that keeps to its share never
 * loses an address to another.
 *
 * The key is the address alone, without the VLAN.  Times are milliseconds of
 * any clock that does not go back; several threads' may differ a little.  Ports
 * are numbers below `max_ports`.
 *
 * Threads: any.  Looking an address up takes no lock: slots of the index and
 * entries are words that are read whole, and a search that found nothing while
 * slots were moved is repeated, a few times (then the address is unknown, and
 * its frame flooded).  Changes are made under one mutex.  Learning that an
 * address is where it was, at most once a millisecond, does not wait for it;
 * only a new address, or one that has moved, does.
 */
#ifndef SWITCH_MAC_TABLE_H
#define SWITCH_MAC_TABLE_H

#include <stdint.h>

#include "base/util.h"
#include "switch/vswitch.h"

/* Entries are numbered in 16 bits, with one number spare. */
enum { MAC_TABLE_MAX = 65535 };

struct mac_table;

struct mac_table_config {
	unsigned int max;	/* entries at most, 1 to MAC_TABLE_MAX */
	unsigned int max_ports;	/* port numbers are below it */
	uint64_t ageing_ms;	/* an entry not seen for so long is gone */
	uint64_t seed;		/* 64 random bits, for the hash */
};

/* One live entry, for walking. */
struct mac_table_entry {
	uint8_t mac[6];		/* the address */
	unsigned int port;	/* where it was seen last */
	uint64_t seen_ms;	/* when */
};

/** mac_table_create() - NULL: out of memory */
struct mac_table *mac_table_create(const struct mac_table_config *config);

/** mac_table_destroy() - NULL is fine */
void mac_table_destroy(struct mac_table *table);

/** mac_table_set_ports() - how many ports share the table, at least 1 */
void mac_table_set_ports(struct mac_table *table, unsigned int n_ports);

/** mac_table_learn() - @mac was seen on @port */
void mac_table_learn(struct mac_table *table, const uint8_t *mac,
		     unsigned int port, uint64_t now_ms);

/** mac_table_lookup() - the port of @mac; -1: not known (any more) */
int mac_table_lookup(const struct mac_table *table, const uint8_t *mac,
		     uint64_t now_ms);

/** mac_table_forget() - drop all entries of @port */
void mac_table_forget(struct mac_table *table, unsigned int port);

/**
 * mac_table_expire() - drop what has aged
 *
 * Return: when the next entry will have aged, if it is not seen again;
 * UINT64_MAX: the table is empty.
 */
uint64_t mac_table_expire(struct mac_table *table, uint64_t now_ms);

/** mac_table_walk() - copy at most @max entries that have not aged; how many */
unsigned int mac_table_walk(struct mac_table *table, uint64_t now_ms,
			    struct mac_table_entry *entries, unsigned int max);

/** mac_table_count() - entries in use, aged ones not yet dropped included */
unsigned int mac_table_count(const struct mac_table *table);

const struct vswitch_mac_stats *
mac_table_stats(const struct mac_table *table);

#endif
