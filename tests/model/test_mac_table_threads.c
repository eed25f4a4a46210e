/* SPDX-License-Identifier: Apache-2.0
 *
 * The MAC table while it is changed: threads that learn, forget and look
 * addresses up.  What is found is right; an address that stays is found.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <pthread.h>
#include <cmocka.h>

#include "base/time.h"
#include "switch/mac_table.h"

enum {
	MAX = 64,		/* so that chains collide and are moved */
	PORTS = 4,
	STEADY = 8,		/* addresses that stay, on port 0 */
	FLEETING = 200,		/* that come and go, each on one other port */
	SECONDS = 2,
};

static struct mac_table *table;
static bool done;		/* atomic */

static void mac_of(unsigned int i, uint8_t mac[6])
{
	const uint8_t addr[6] = { 2, 0, 0, 0, (uint8_t)(i >> 8), (uint8_t)i };

	for (unsigned int b = 0; b < 6; b++)
		mac[b] = addr[b];
}

/* Where address @i is, if anywhere. */
static unsigned int port_of(unsigned int i)
{
	return i < STEADY ? 0 : 1 + i % (PORTS - 1);
}

/* One thread a port but the first: its addresses come, and all go. */
static void *come_and_go(void *arg)
{
	unsigned int port = *(unsigned int *)arg;
	uint8_t mac[6];

	for (uint64_t now = 1; !__atomic_load_n(&done, __ATOMIC_RELAXED);
	     now++) {
		for (unsigned int i = STEADY; i < STEADY + FLEETING; i++) {
			mac_of(i, mac);
			if (port_of(i) == port)
				mac_table_learn(table, mac, port, now);
		}
		if (now % 4 == 0)
			mac_table_forget(table, port);
	}
	return NULL;
}

static void test_readers_among_writers(void **state)
{
	uint64_t end = time_now_ns() + SECONDS * NS_PER_S;
	unsigned int ports[PORTS], n_unknown = 0, n = 0;
	pthread_t threads[PORTS];
	uint8_t mac[6];
	int port;

	table = mac_table_create(&(struct mac_table_config) {
		.max = MAX, .max_ports = PORTS, .ageing_ms = 1u << 30,
		.seed = 12345 });
	assert_non_null(table);
	mac_table_set_ports(table, PORTS);
	for (unsigned int i = 0; i < STEADY; i++) {
		mac_of(i, mac);
		mac_table_learn(table, mac, 0, 1);
	}
	for (unsigned int i = 1; i < PORTS; i++) {
		ports[i] = i;
		assert_int_equal(pthread_create(&threads[i], NULL, come_and_go,
						&ports[i]), 0);
	}
	for (; time_now_ns() < end; n++) {
		unsigned int i = n % (STEADY + FLEETING);

		mac_of(i, mac);
		port = mac_table_lookup(table, mac, 1);
		assert_true(port == -1 || port == (int)port_of(i));
		/* Moved under our eyes each time that we looked, maybe. */
		n_unknown += i < STEADY && port < 0;
	}
	__atomic_store_n(&done, true, __ATOMIC_RELAXED);
	for (unsigned int i = 1; i < PORTS; i++)
		pthread_join(threads[i], NULL);
	assert_true(n_unknown <= n / 1000);
	for (unsigned int i = 0; i < STEADY; i++) {
		mac_of(i, mac);
		assert_int_equal(mac_table_lookup(table, mac, 1), 0);
	}
	mac_table_destroy(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_readers_among_writers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
