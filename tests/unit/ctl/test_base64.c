/* SPDX-License-Identifier: Apache-2.0
 *
 * Base64: the vectors of RFC 4648, section 10, and what is none.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "ctl/base64.h"

static void vectors(void **state unused)
{
	static const char *const rows[][2] = {
		{ "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" },
		{ "foo", "Zm9v" }, { "foob", "Zm9vYg==" },
		{ "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char text[16], data[16];

		base64_encode(rows[i][0], strlen(rows[i][0]), text);
		assert_string_equal(text, rows[i][1]);
		assert_int_equal(base64_decode(text, data),
				 strlen(rows[i][0]));
		assert_memory_equal(data, rows[i][0], strlen(rows[i][0]));
	}
}

static void all_bytes(void **state unused)
{
	uint8_t data[256], back[256 + 2];
	char text[BASE64_LEN(256)];

	for (unsigned int i = 0; i < 256; i++)
		data[i] = (uint8_t)i;
	base64_encode(data, sizeof(data), text);
	assert_int_equal(strlen(text) + 1, sizeof(text));
	assert_int_equal(base64_decode(text, back), 256);
	assert_memory_equal(data, back, 256);
}

static void malformed(void **state unused)
{
	static const char *const rows[] = {
		"Z", "Zg", "Zg=", "Z===", "====", "Zg==Zg==", "Zm9*", "Zm=v",
		"Zm9v\n   ",
	};
	char data[16];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(base64_decode(rows[i], data), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors),
		cmocka_unit_test(all_bytes),
		cmocka_unit_test(malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
