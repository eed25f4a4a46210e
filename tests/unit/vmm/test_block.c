/* SPDX-License-Identifier: Apache-2.0
 *
 * Disk images: what is written is read, by either backend (qcow2 where there
 * is a qemu-nbd to start); files that are no images.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/block.h"

enum { SIZE = 4 << 20 };

static char dir[] = "/tmp/test-block-XXXXXX";
static char path[64];

static int setup(void **state)
{
	strcpy(dir, "/tmp/test-block-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	unlink(path);
	return rmdir(dir);
}

static void make_raw(off_t size)
{
	FILE *f;

	snprintf(path, sizeof(path), "%s/image", dir);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(ftruncate(fileno(f), size), 0);
	fclose(f);
}

static void check_byte(struct block *block, uint64_t off, uint64_t len,
		       uint8_t want)
{
	uint8_t *buf = malloc(len);
	struct iovec iov = { buf, len };

	assert_non_null(buf);
	memset(buf, 0xee, len);
	assert_int_equal(block->ops->read(block, &iov, 1, off), 0);
	for (uint64_t i = 0; i < len; i++)
		assert_int_equal(buf[i], want);
	free(buf);
}

/* In pieces, across each other's borders. */
static void use(struct block *block)
{
	static uint8_t a[512], b[3584], c[2048];
	struct iovec out[] = { { a, sizeof(a) }, { b, sizeof(b) } };
	struct iovec in[] = { { c, sizeof(c) }, { b, sizeof(b) - 1536 } };

	assert_int_equal(block->size, SIZE);
	check_byte(block, 0, 8192, 0);
	memset(a, 1, sizeof(a));
	memset(b, 2, sizeof(b));
	assert_int_equal(block->ops->write(block, out, 2, 1024), 0);
	memset(b, 0, sizeof(b));
	assert_int_equal(block->ops->read(block, in, 2, 1024), 0);
	assert_int_equal(c[511], 1);
	assert_int_equal(c[512], 2);
	assert_int_equal(b[2047], 2);
	assert_int_equal(block->ops->flush(block), 0);
	assert_int_equal(block->ops->zero(block, 1024, 512, false), 0);
	check_byte(block, 1024, 512, 0);
	check_byte(block, 1536, 512, 2);
	assert_int_equal(block->ops->zero(block, 0, SIZE, true), 0);
	check_byte(block, 1536, 512, 0);
	assert_int_equal(block->ops->discard(block, 0, SIZE), 0);
	memset(a, 3, sizeof(a));
	out[0] = (struct iovec){ a, sizeof(a) };
	assert_int_equal(block->ops->write(block, out, 1, SIZE - 512), 0);
	check_byte(block, SIZE - 512, 512, 3);
}

static void test_raw(void **state)
{
	struct block_config config = { .path = path };
	struct block *block, *other;

	make_raw(SIZE);
	assert_int_equal(block_open(&config, &block), 0);
	use(block);
	/* Nobody else meanwhile, not even to read. */
	assert_int_equal(block_open(&config, &other), -EWOULDBLOCK);
	config.read_only = true;
	assert_int_equal(block_open(&config, &other), -EWOULDBLOCK);
	block_close(block);
	assert_int_equal(block_open(&config, &block), 0);
	assert_int_equal(block_open(&config, &other), 0);
	check_byte(block, SIZE - 512, 512, 3);
	block_close(other);
	block_close(block);
}

/* A file that shrinks under us is an error, not a loop. */
static void test_raw_shrinks(void **state)
{
	struct block_config config = { .path = path, .format = "raw" };
	static uint8_t buf[4096];
	struct iovec iov = { buf, sizeof(buf) };
	struct block *block;

	make_raw(SIZE);
	assert_int_equal(block_open(&config, &block), 0);
	assert_int_equal(truncate(path, 1024), 0);
	assert_int_equal(block->ops->read(block, &iov, 1, 0), -EIO);
	block_close(block);
}

static void test_no_images(void **state)
{
	struct block_config config = { .path = path, .format = "raw" };
	struct block *block;

	make_raw(0);
	assert_int_equal(block_open(&config, &block), -EINVAL);
	assert_int_equal(truncate(path, 1000), 0);
	assert_int_equal(block_open(&config, &block), -EINVAL);
	config.path = dir;
	config.read_only = true;
	assert_int_equal(block_open(&config, &block), -EINVAL);
	config.path = "/nowhere/image";
	assert_int_equal(block_open(&config, &block), -ENOENT);
}

static void test_qcow2(void **state)
{
	struct block_config config = { .path = path };
	struct block *block;
	char command[160];

	make_raw(0);
	unlink(path);
	if (system("command -v qemu-nbd >/dev/null && "
		   "command -v qemu-img >/dev/null"))
		skip();
	/* By the end of its name. */
	snprintf(path, sizeof(path), "%s/image.qcow2", dir);
	snprintf(command, sizeof(command),
		 "qemu-img create -q -f qcow2 %s %d", path, (int)SIZE);
	assert_int_equal(system(command), 0);
	assert_int_equal(block_open(&config, &block), 0);
	use(block);
	block_close(block);
	config.read_only = true;
	assert_int_equal(block_open(&config, &block), 0);
	check_byte(block, SIZE - 512, 512, 3);
	block_close(block);
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(block_open(&config, &block), -EIO);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_raw),
		T(test_raw_shrinks),
		T(test_no_images),
		T(test_qcow2),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
