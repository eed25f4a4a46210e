/* SPDX-License-Identifier: Apache-2.0
 *
 * Random operations on the MAC table and on a plain array that follows the
 * rules as they are written; after each the two agree on every address.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "switch/mac_table.h"

enum {
	MAX = 24,
	PORTS = 5,
	ADDRS = 60,
	AGEING_MS = 40,
	ROUNDS = 300,		/* of different hashes */
	OPERATIONS = 1500,	/* in each */
};

/* By address. */
struct model {
	struct {
		bool used;
		unsigned int port;
		uint64_t seen_ms;
		uint64_t order;		/* of sightings */
	} addrs[ADDRS];
	uint64_t order;
	unsigned int n_ports;
	unsigned int learnt, moved, evicted, aged;
};

static unsigned int held(const struct model *m, int port)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < ADDRS; i++)
		n += m->addrs[i].used &&
		     (port < 0 || m->addrs[i].port == (unsigned int)port);
	return n;
}

static bool aged(const struct model *m, unsigned int i, uint64_t now)
{
	return now - m->addrs[i].seen_ms >= AGEING_MS;
}

/* False: nobody has anything that may be thrown out. */
static bool model_evict(struct model *m, unsigned int port)
{
	unsigned int victim = port, oldest = ADDRS;

	if (held(m, (int)port) < MAX / m->n_ports)
		for (unsigned int i = 0; i < PORTS; i++)
			if (held(m, (int)i) > held(m, (int)victim))
				victim = i;
	for (unsigned int i = 0; i < ADDRS; i++)
		if (m->addrs[i].used && m->addrs[i].port == victim &&
		    (oldest == ADDRS ||
		     m->addrs[i].order < m->addrs[oldest].order))
			oldest = i;
	if (oldest == ADDRS)
		return false;
	m->addrs[oldest].used = false;
	m->evicted++;
	return true;
}

static void model_learn(struct model *m, unsigned int addr, unsigned int port,
			uint64_t now)
{
	if (m->addrs[addr].used && aged(m, addr, now)) {
		m->addrs[addr].used = false;
		m->aged++;
	}
	if (!m->addrs[addr].used) {
		if (held(m, -1) == MAX && !model_evict(m, port))
			return;
		m->learnt++;
	} else if (m->addrs[addr].port != port) {
		m->moved++;
	} else if (m->addrs[addr].seen_ms == now) {
		return;		/* the same moment does not make it younger */
	}
	m->addrs[addr].used = true;
	m->addrs[addr].port = port;
	m->addrs[addr].seen_ms = now;
	m->addrs[addr].order = ++m->order;
}

static void model_forget(struct model *m, unsigned int port)
{
	for (unsigned int i = 0; i < ADDRS; i++)
		if (m->addrs[i].port == port)
			m->addrs[i].used = false;
}

static uint64_t model_expire(struct model *m, uint64_t now)
{
	uint64_t next = UINT64_MAX;

	for (unsigned int i = 0; i < ADDRS; i++) {
		if (!m->addrs[i].used)
			continue;
		if (aged(m, i, now)) {
			m->addrs[i].used = false;
			m->aged++;
		} else {
			next = min_of(next, m->addrs[i].seen_ms + AGEING_MS);
		}
	}
	return next;
}

static const uint8_t *mac(unsigned int i)
{
	static uint8_t addr[6] = { 0x52, 0x54 };

	addr[5] = (uint8_t)i;
	return addr;
}

static void assert_agree(struct mac_table *table, const struct model *m,
			 uint64_t now)
{
	const struct vswitch_mac_stats *stats = mac_table_stats(table);
	struct mac_table_entry entries[ADDRS];
	unsigned int live = 0;

	for (unsigned int i = 0; i < ADDRS; i++) {
		bool known = m->addrs[i].used && !aged(m, i, now);

		live += known;
		assert_int_equal(mac_table_lookup(table, mac(i), now),
				 known ? (int)m->addrs[i].port : -1);
	}
	assert_int_equal(mac_table_walk(table, now, entries, ADDRS), live);
	for (unsigned int i = 0; i < live; i++)
		assert_int_equal(entries[i].seen_ms,
				 m->addrs[entries[i].mac[5]].seen_ms);
	assert_int_equal(mac_table_count(table), held(m, -1));
	assert_int_equal(counter_read(&stats->learnt), m->learnt);
	assert_int_equal(counter_read(&stats->moved), m->moved);
	assert_int_equal(counter_read(&stats->evicted), m->evicted);
	assert_int_equal(counter_read(&stats->aged), m->aged);
}

static void operate(struct mac_table *table, struct model *m, uint64_t now)
{
	unsigned int port = (unsigned int)rand() % PORTS;
	unsigned int addr = (unsigned int)rand() % ADDRS;

	switch (rand() % 40) {
	case 0:
		mac_table_forget(table, port);
		model_forget(m, port);
		break;
	case 1:
		assert_int_equal(mac_table_expire(table, now),
				 model_expire(m, now));
		break;
	case 2:
		m->n_ports = 1 + (unsigned int)rand() % (MAX + 2);
		mac_table_set_ports(table, m->n_ports);
		break;
	default:
		/* Mostly home, so that there is more than moves. */
		if (rand() % 8)
			port = addr % PORTS;
		mac_table_learn(table, mac(addr), port, now);
		model_learn(m, addr, port, now);
	}
}

static void test_model(void **state)
{
	srand(6);
	for (unsigned int round = 0; round < ROUNDS; round++) {
		struct model model = { .n_ports = PORTS };
		struct mac_table *table;
		uint64_t now = 1000;

		table = mac_table_create(&(struct mac_table_config) {
			.max = MAX, .max_ports = PORTS,
			.ageing_ms = AGEING_MS,
			.seed = (uint64_t)rand() << 40 ^
				(uint64_t)rand() << 20 ^ (uint64_t)rand() });
		assert_non_null(table);
		mac_table_set_ports(table, PORTS);
		for (unsigned int i = 0; i < OPERATIONS; i++) {
			now += (uint64_t)(rand() % 3);
			operate(table, &model, now);
			assert_agree(table, &model, now);
		}
		mac_table_destroy(table);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
