/* SPDX-License-Identifier: Apache-2.0
 *
 * The small things: ranges that must not wrap, byte order, lists, held-back
 * messages, descriptors.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/byteorder.h"
#include "base/list.h"
#include "base/log.h"
#include "base/util.h"

static void test_ranges_do_not_wrap(void **state)
{
	assert_true(range_within(0, 0, 0));
	assert_true(range_within(4, 4, 8));
	assert_false(range_within(5, 4, 8));
	assert_false(range_within(UINT64_MAX, 2, 8));
	assert_false(range_within(2, UINT64_MAX, 8));
	assert_true(range_within(0, UINT64_MAX, UINT64_MAX));

	assert_true(ranges_overlap(0, 10, 9, 1));
	assert_false(ranges_overlap(0, 10, 10, 1));
	assert_false(ranges_overlap(5, 0, 0, 10));
	assert_true(ranges_overlap(UINT64_MAX, 1, UINT64_MAX - 1, 2));
}

static void test_byte_order(void **state)
{
	static const uint8_t wire[] = { 0x12, 0x34, 0x56, 0x78 };
	uint8_t out[8];

	assert_int_equal(be16_load(wire), 0x1234);
	assert_int_equal(be32_load(wire), 0x12345678);
	assert_int_equal(le16_load(wire), 0x3412);
	assert_int_equal(le32_load(wire), 0x78563412);
	be32_store(out, 0x12345678);
	assert_memory_equal(out, wire, 4);
	le64_store(out, 0x0102030405060708ull);
	assert_int_equal(out[0], 0x08);
	assert_int_equal(out[7], 0x01);
	assert_int_equal(be16_get(be16_of(0xbeef)), 0xbeef);
}

struct item {
	int value;
	struct list node;
};

static void test_list_removal_while_walking(void **state)
{
	struct item items[3] = { { .value = 1 }, { .value = 2 },
				 { .value = 3 } };
	struct list head, *tmp;
	struct item *item;
	int sum = 0;

	list_init(&head);
	assert_true(list_empty(&head));
	for (size_t i = 0; i < ARRAY_SIZE(items); i++)
		list_append(&head, &items[i].node);
	list_for_each(item, tmp, &head, node) {
		sum = sum * 10 + item->value;
		list_remove(&item->node);
		list_remove(&item->node);	/* twice is harmless */
	}
	assert_int_equal(sum, 123);
	assert_true(list_empty(&head));
}

static void test_limited_messages(void **state)
{
	int saved = dup(STDERR_FILENO);
	char text[4096];
	int pipe_fds[2];
	ssize_t len;

	assert_int_equal(pipe(pipe_fds), 0);
	dup2(pipe_fds[1], STDERR_FILENO);
	for (int i = 0; i < 1000; i++)
		log_limited(LOG_WARN, "frame %d is bad", i);
	log_err("%s", "a line longer than any buffer is cut");
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(pipe_fds[1]);
	len = read(pipe_fds[0], text, sizeof(text) - 1);
	close(pipe_fds[0]);
	assert_true(len > 0);
	text[len] = '\0';
	assert_string_equal(text, "backplane: warning: frame 0 is bad\n"
			    "backplane: error: a line longer than any buffer "
			    "is cut\n");
}

static void test_fd_close(void **state)
{
	int fd = open("/dev/null", O_RDONLY);
	int copy = fd;

	errno = EPROTO;
	fd_close(&fd);
	assert_int_equal(fd, -1);
	assert_int_equal(errno, EPROTO);
	assert_int_equal(fcntl(copy, F_GETFD), -1);
	fd_close(&fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ranges_do_not_wrap),
		cmocka_unit_test(test_byte_order),
		cmocka_unit_test(test_list_removal_while_walking),
		cmocka_unit_test(test_limited_messages),
		cmocka_unit_test(test_fd_close),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
