/* SPDX-License-Identifier: Apache-2.0
 *
 * The MAC table's bounds: who is pushed out, and who never is.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "switch/mac_table.h"

enum { MAX = 64, PORTS = 4, SHARE = MAX / PORTS, AGEING_MS = 1000 };

static struct mac_table *table;

static int setup(void **state)
{
	table = mac_table_create(&(struct mac_table_config) {
		.max = MAX, .max_ports = PORTS, .ageing_ms = AGEING_MS,
		.seed = 0x9e3779b97f4a7c15 });
	mac_table_set_ports(table, PORTS);
	return table ? 0 : -1;
}

static int teardown(void **state)
{
	mac_table_destroy(table);
	return 0;
}

static const uint8_t *mac(unsigned int port, unsigned int i)
{
	static uint8_t addr[6];

	addr[0] = 0x02;
	addr[2] = (uint8_t)port;
	memcpy(addr + 3, &i, 3);
	return addr;
}

static void learn(unsigned int port, unsigned int i, uint64_t now)
{
	mac_table_learn(table, mac(port, i), port, now);
}

static bool knows(unsigned int port, unsigned int i, uint64_t now)
{
	int found = mac_table_lookup(table, mac(port, i), now);

	assert_true(found == -1 || found == (int)port);
	return found >= 0;
}

/* T21: random sources from one port cost the others nothing. */
static void test_flooding_port_evicts_itself(void **state)
{
	for (unsigned int port = 0; port < 3; port++)
		for (unsigned int i = 0; i < SHARE; i++)
			learn(port, i, 1);
	for (unsigned int i = 0; i < 100000; i++)
		learn(3, i, 2);
	assert_int_equal(mac_table_count(table), MAX);
	for (unsigned int port = 0; port < 3; port++)
		for (unsigned int i = 0; i < SHARE; i++)
			assert_true(knows(port, i, 2));
	/* Its own latest are there. */
	for (unsigned int i = 100000 - SHARE; i < 100000; i++)
		assert_true(knows(3, i, 2));
	assert_int_equal(counter_read(&mac_table_stats(table)->evicted),
			 100000 - SHARE);
}

/* It came first and took everything: the others still get their share. */
static void test_share_is_taken_back(void **state)
{
	for (unsigned int i = 0; i < 1000; i++)
		learn(3, i, 1);
	for (unsigned int port = 0; port < 3; port++)
		for (unsigned int i = 0; i < SHARE; i++)
			learn(port, i, 2);
	for (unsigned int port = 0; port < 3; port++)
		for (unsigned int i = 0; i < SHARE; i++)
			assert_true(knows(port, i, 2));
	/* What is left of the first is what it saw last. */
	for (unsigned int i = 1000 - SHARE; i < 1000; i++)
		assert_true(knows(3, i, 2));
	assert_false(knows(3, 1000 - SHARE - 1, 2));
}

/* The oldest is the one not seen for longest, not the one learnt first. */
static void test_seen_again_is_young(void **state)
{
	mac_table_set_ports(table, 1);
	for (unsigned int i = 0; i < MAX; i++)
		learn(0, i, 1);
	learn(0, 0, 2);
	learn(0, MAX, 3);
	assert_true(knows(0, 0, 3));
	assert_false(knows(0, 1, 3));
}

/* What nobody else wants is free to all. */
static void test_free_room_is_for_all(void **state)
{
	for (unsigned int i = 0; i < MAX; i++)
		learn(2, i, 1);
	for (unsigned int i = 0; i < MAX; i++)
		assert_true(knows(2, i, 1));
	assert_int_equal(counter_read(&mac_table_stats(table)->evicted), 0);
}

static void test_more_ports_than_room(void **state)
{
	mac_table_set_ports(table, 1000);
	for (unsigned int i = 0; i < MAX; i++)
		learn(0, i, 1);
	learn(1, 0, 1);
	assert_false(knows(1, 0, 1));
	learn(0, MAX, 1);
	assert_true(knows(0, MAX, 1));
	assert_int_equal(mac_table_count(table), MAX);
}

static void test_expiry_time(void **state)
{
	assert_true(mac_table_expire(table, 0) == UINT64_MAX);
	learn(0, 1, 10);
	learn(1, 1, 20);
	assert_int_equal(mac_table_expire(table, 30), 10 + AGEING_MS);
	learn(0, 1, 40);
	assert_int_equal(mac_table_expire(table, 50), 20 + AGEING_MS);
	assert_int_equal(mac_table_expire(table, 20 + AGEING_MS),
			 40 + AGEING_MS);
	assert_int_equal(mac_table_count(table), 1);
	assert_true(mac_table_expire(table, 40 + AGEING_MS) == UINT64_MAX);
	assert_int_equal(mac_table_count(table), 0);
	assert_int_equal(counter_read(&mac_table_stats(table)->aged), 2);
}

/* The largest table there may be, full: numbers of entries do not wrap. */
static void test_largest(void **state)
{
	struct mac_table *large = mac_table_create(&(struct mac_table_config) {
		.max = MAC_TABLE_MAX, .max_ports = 1, .ageing_ms = 1,
		.seed = 0xd1342543de82ef95 });

	assert_non_null(large);
	for (unsigned int i = 0; i < MAC_TABLE_MAX; i++)
		mac_table_learn(large, mac(0, i), 0, 0);
	for (unsigned int i = 0; i < MAC_TABLE_MAX; i++)
		assert_int_equal(mac_table_lookup(large, mac(0, i), 0), 0);
	assert_int_equal(mac_table_count(large), MAC_TABLE_MAX);
	mac_table_destroy(large);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_flooding_port_evicts_itself),
		TEST(test_share_is_taken_back),
		TEST(test_seen_again_is_young),
		TEST(test_free_room_is_for_all),
		TEST(test_more_ports_than_room),
		TEST(test_expiry_time),
		TEST(test_largest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
