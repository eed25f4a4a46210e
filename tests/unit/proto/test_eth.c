/* SPDX-License-Identifier: Apache-2.0
 *
 * Ethernet addresses: text and kinds.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <errno.h>
#include <string.h>
#include <cmocka.h>

#include "proto/eth.h"

static void test_parse(void **state)
{
	uint8_t addr[6];

	assert_int_equal(eth_addr_parse("52:54:00:aB:Cd:ff", addr), 0);
	assert_memory_equal(addr, "\x52\x54\x00\xab\xcd\xff", 6);
}

static void test_parse_refuses(void **state)
{
	static const char *const bad[] = {
		"", "5", "52", "52:", "52:54:00:12:34", "52:54:00:12:34:",
		"52:54:00:12:34:5", "52:54:00:12:34:56:", "52:54:00:12:34:567",
		"52-54-00-12-34-56", "5g:54:00:12:34:56", "52:54:00:12:34:56 ",
		" 52:54:00:12:34:56", "525400123456", "52:5:400:12:34:56",
	};
	const uint8_t before[6] = { 1, 2, 3, 4, 5, 6 };
	uint8_t addr[6];

	memcpy(addr, before, sizeof(addr));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(eth_addr_parse(bad[i], addr), -EINVAL);
		assert_memory_equal(addr, before, 6);
	}
}

static void test_kinds(void **state)
{
	uint8_t reserved[6] = { 0x01, 0x80, 0xc2, 0, 0, 0x0f };

	assert_true(eth_addr_is_reserved(reserved));
	reserved[5] = 0x10;
	assert_false(eth_addr_is_reserved(reserved));
	assert_true(eth_addr_is_multicast(reserved));
	assert_false(eth_addr_is_zero(reserved));
	assert_true(eth_addr_is_zero((uint8_t[6]){ 0 }));
	assert_false(eth_addr_is_zero((uint8_t[6]){ 0, 0, 0, 0, 0, 1 }));
	assert_false(eth_addr_is_zero((uint8_t[6]){ 1 }));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_parse_refuses),
		cmocka_unit_test(test_kinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
