/* SPDX-License-Identifier: Apache-2.0
 *
 * The JSON of version messages.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vfio_user/protocol.h"
#include "vfio_user/version.h"

static void knows_the_defaults(void **state)
{
	static const char *const texts[] = {
		"", "{}", "{\"capabilities\":{}}", "{\"other\":1}",
		"{\"capabilities\":{\"migration\":{\"pgsize\":4096}}}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		size_t len = strlen(texts[i]);
		struct vfu_caps caps;

		assert_int_equal(vfu_caps_parse(texts[i], len ? len + 1 : 0,
						&caps), 0);
		assert_int_equal(caps.max_msg_fds, 1);
		assert_int_equal(caps.max_data_xfer_size, 1 << 20);
		assert_int_equal(caps.max_dma_maps, 65535);
		assert_int_equal(caps.pgsizes, 4096);
		assert_false(caps.write_multiple);
		assert_false(caps.shared_regs);
		assert_int_equal(caps.n_writes, VFU_N_WRITES_NONE);
	}
}

static void reads_what_it_prints(void **state)
{
	struct vfu_caps in = {
		7, 4242, 17, 0x201000, true, true, true, "0123abcd", 1ull << 40,
	}, out;
	char buf[VFU_VERSION_JSON_MAX];
	size_t n = vfu_caps_print(&in, buf, sizeof(buf));

	assert_int_equal(buf[n - 1], 0);
	assert_int_equal(vfu_caps_parse(buf, n, &out), 0);
	assert_int_equal(out.max_msg_fds, in.max_msg_fds);
	assert_int_equal(out.max_data_xfer_size, in.max_data_xfer_size);
	assert_int_equal(out.max_dma_maps, in.max_dma_maps);
	assert_int_equal(out.pgsizes, in.pgsizes);
	assert_true(out.write_multiple);
	assert_true(out.shared_regs);
	assert_true(out.has_session);
	assert_string_equal(out.session, in.session);
	assert_int_equal(out.n_writes, in.n_writes);
	in.shared_regs = in.has_session = false;
	in.n_writes = VFU_N_WRITES_NONE;
	n = vfu_caps_print(&in, buf, sizeof(buf));
	assert_int_equal(vfu_caps_parse(buf, n, &out), 0);
	assert_false(out.has_session);
	assert_false(out.shared_regs);
	assert_int_equal(out.n_writes, VFU_N_WRITES_NONE);
}

static void takes_no_session_but_ours(void **state)
{
	static const char *const texts[] = {
		"", "xyz", "\\u0000", "ABCD",
		"0123456789abcdef0123456789abcdef0",
	};
	char buf[256];
	struct vfu_caps caps;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		int n = snprintf(buf, sizeof(buf), "{\"capabilities\":"
				 "{\"backplane_session\":\"%s\"}}",
				 texts[i]);
		int err = vfu_caps_parse(buf, (size_t)n + 1, &caps);

		/* The library itself refuses a NUL in a string. */
		assert_true(err == (strchr(texts[i], '\\') ? -EINVAL : 0));
		assert_true(err || (caps.has_session && !caps.session[0]));
	}
}

static void refuses_nonsense(void **state)
{
	static const char *const texts[] = {
		"{", "[]", "1", "nul", "{\"capabilities\":1}",
		"{\"capabilities\":[]}",
		"{\"capabilities\":{\"max_msg_fds\":\"1\"}}",
		"{\"capabilities\":{\"max_msg_fds\":-1}}",
		"{\"capabilities\":{\"pgsizes\":4096.5}}",
		"{\"capabilities\":{\"max_dma_maps\":99999999999999999999}}",
		"{\"capabilities\":{\"write_multiple\":1}}",
		"{\"capabilities\":{\"backplane_session\":1}}",
		"{\"capabilities\":{\"backplane_writes\":\"1\"}}",
		"{\"capabilities\":{\"backplane_writes\":-1}}",
		"{\"capabilities\":{\"backplane_writes\":null}}",
		"{\"capabilities\":{\"backplane_writes\":1.5}}",
		"{\"capabilities\":{\"backplane_shared_registers\":1}}",
	};
	struct vfu_caps caps;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_int_equal(vfu_caps_parse(texts[i], strlen(texts[i]) + 1,
						&caps), -EINVAL);
	/* No NUL at the end. */
	assert_int_equal(vfu_caps_parse("{}", 2, &caps), -EINVAL);
}

static void survives_deep_nesting(void **state)
{
	char buf[VFU_VERSION_JSON_MAX];
	struct vfu_caps caps;

	memset(buf, '[', sizeof(buf));
	buf[sizeof(buf) - 1] = '\0';
	assert_int_equal(vfu_caps_parse(buf, sizeof(buf), &caps), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_the_defaults),
		cmocka_unit_test(reads_what_it_prints),
		cmocka_unit_test(takes_no_session_but_ours),
		cmocka_unit_test(refuses_nonsense),
		cmocka_unit_test(survives_deep_nesting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
