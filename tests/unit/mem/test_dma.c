/* SPDX-License-Identifier: Apache-2.0
 *
 * DMA spaces: what may be mapped, what an address leads to, and what happens
 * when a file is truncated under us.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mem/dma.h"

#define PG 4096ull
#define RW (DMA_READ | DMA_WRITE)

static int memfd(uint64_t pages)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)(pages * PG)), 0);
	return fd;
}

/* The same file, opened another way. */
static int reopen(int fd, int flags)
{
	char path[64];
	int again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, flags | O_CLOEXEC);
	assert_true(again >= 0);
	return again;
}

static int setup(void **state)
{
	*state = dma_space_create("test", NULL);
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	dma_space_destroy(*state);
	return 0;
}

static void finds_bytes_by_address(void **state)
{
	struct dma_space *s = *state;
	int fd = memfd(4);
	char buf[3];

	assert_int_equal(pwrite(fd, "abc", 3, 2 * PG - 1), 3);
	assert_int_equal(dma_space_map(s, 0x10000, 2 * PG, RW, fd, PG), 0);
	close(fd);
	assert_memory_equal(dma_at(s, 0x10fff, 3, DMA_READ), "abc", 3);
	assert_int_equal(dma_read(s, 0x10fff, buf, 3), 0);
	assert_memory_equal(buf, "abc", 3);

	assert_non_null(dma_at(s, 0x10000, 2 * PG, DMA_WRITE));
	assert_null(dma_at(s, 0x10000, 2 * PG + 1, DMA_READ));
	assert_null(dma_at(s, 0x10000, 0, DMA_READ));
	assert_null(dma_at(s, 0xffff, 1, DMA_READ));
	assert_null(dma_at(s, 0x12000, 1, DMA_READ));
	assert_null(dma_at(s, 0x11fff, UINT64_MAX, DMA_READ));
	assert_null(dma_at(s, UINT64_MAX, 2, DMA_READ));
}

static void finds_the_right_one_of_many(void **state)
{
	enum { N = 300 };
	struct dma_space *s = *state;
	int fd = memfd(N);

	/* From the middle outwards, so that insertion is at both ends. */
	for (uint64_t k = 0; k < N; k++) {
		uint64_t i = k & 1 ? N / 2 - 1 - k / 2 : N / 2 + k / 2;

		assert_int_equal(dma_space_map(s, i * 2 * PG, PG, RW, fd,
					       i * PG), 0);
	}
	for (uint64_t i = 0; i < N; i++) {
		uint64_t v = i;

		assert_int_equal(dma_write(s, i * 2 * PG + 8, &v, 8), 0);
		assert_null(dma_at(s, i * 2 * PG + PG, 1, DMA_READ));
	}
	for (uint64_t i = 0; i < N; i++) {
		uint64_t v;

		assert_int_equal(pread(fd, &v, 8, (off_t)(i * PG + 8)), 8);
		assert_int_equal(v, i);
	}
	close(fd);
}

static void refuses_bad_ranges(void **state)
{
	struct dma_space *s = *state;
	int fd = memfd(4);
	static const struct {
		uint64_t iova, len, offset;
		uint32_t prot;
	} bad[] = {
		{ 0, 0, 0, RW },
		{ 1, PG, 0, RW },
		{ 0, PG + 1, 0, RW },
		{ 0, PG, 7, RW },
		{ 0, PG, 0, 0 },
		{ 0, PG, 0, 4 | RW },
		{ 0, 5 * PG, 0, RW },
		{ 0, 4 * PG, PG, RW },
		{ 0, PG, 4 * PG, RW },
		{ 0, PG, UINT64_MAX & ~(PG - 1), RW },
		{ UINT64_MAX & ~(PG - 1), 2 * PG, 0, RW },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(dma_space_map(s, bad[i].iova, bad[i].len,
					       bad[i].prot, fd, bad[i].offset),
				 -EINVAL);
	/* The very last page of the address space is a fine place. */
	assert_int_equal(dma_space_map(s, UINT64_MAX & ~(PG - 1), PG, RW, fd,
				       0), 0);
	assert_non_null(dma_at(s, UINT64_MAX, 1, DMA_READ));
	assert_null(dma_at(s, UINT64_MAX, 2, DMA_READ));
	close(fd);
}

static void refuses_overlaps(void **state)
{
	struct dma_space *s = *state;
	int fd = memfd(4);

	assert_int_equal(dma_space_map(s, 2 * PG, 2 * PG, RW, fd, 0), 0);
	assert_int_equal(dma_space_map(s, 0, 3 * PG, RW, fd, 0), -EEXIST);
	assert_int_equal(dma_space_map(s, 3 * PG, PG, RW, fd, 0), -EEXIST);
	assert_int_equal(dma_space_map(s, 3 * PG, 3 * PG, RW, -1, 0), -EEXIST);
	assert_int_equal(dma_space_map(s, 0, 2 * PG, RW, fd, 0), 0);
	assert_int_equal(dma_space_map(s, 4 * PG, PG, RW, fd, 0), 0);
	close(fd);
}

static void refuses_other_files(void **state)
{
	struct dma_space *s = *state;
	int fd = memfd(1), ro = reopen(fd, O_RDONLY), wo = reopen(fd, O_WRONLY);
	int path = reopen(fd, O_PATH), null = open("/dev/null", O_RDWR);
	int self = open("/proc/self/exe", O_RDONLY), pipes[2];

	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(dma_space_map(s, 0, PG, DMA_READ, null, 0), -EPERM);
	assert_int_equal(dma_space_map(s, 0, PG, DMA_READ, self, 0), -EPERM);
	assert_int_equal(dma_space_map(s, 0, PG, DMA_READ, path, 0), -EPERM);
	assert_int_equal(dma_space_map(s, 0, PG, DMA_READ, wo, 0), -EPERM);
	assert_int_equal(dma_space_map(s, 0, PG, DMA_READ, pipes[0], 0),
			 -EPERM);
	assert_int_equal(dma_space_map(s, 0, PG, RW, ro, 0), -EPERM);
	assert_int_equal(dma_space_map(s, 0, PG, DMA_READ, ro, 0), 0);
	assert_non_null(dma_at(s, 0, 1, DMA_READ));
	assert_null(dma_at(s, 0, 1, DMA_WRITE));
	for (int i = 0; i < 7; i++)
		close((int[]){ fd, ro, wo, null, self, pipes[0], pipes[1] }[i]);
	close(path);
}

static void maps_a_sealed_file_for_reading(void **state)
{
	struct dma_space *s = *state;
	int fd = memfd(1);

	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	assert_int_equal(dma_space_map(s, 0, PG, RW, fd, 0), -EPERM);
	assert_int_equal(dma_space_map(s, 0, PG, DMA_READ, fd, 0), 0);
	assert_non_null(dma_at(s, 0, PG, DMA_READ));
	close(fd);
}

static void shares_one_mapping_per_file(void **state)
{
	struct dma_space *a = *state, *b = dma_space_create("b", NULL);
	int fd = memfd(4);
	struct dma_usage usage;
	char *p;

	assert_int_equal(dma_space_map(a, 0, PG, RW, fd, 0), 0);
	assert_int_equal(dma_space_map(a, 8 * PG, PG, RW, fd, PG), 0);
	assert_int_equal(dma_space_map(b, 0, 2 * PG, RW, fd, 0), 0);
	p = dma_at(a, 0, 1, DMA_READ);
	assert_ptr_equal(dma_at(a, 8 * PG, 1, DMA_READ), p + PG);
	assert_ptr_equal(dma_at(b, PG, 1, DMA_READ), p + PG);
	dma_space_usage(a, &usage);
	assert_int_equal(usage.n_ranges, 2);
	assert_int_equal(usage.n_files, 1);
	assert_int_equal(usage.n_bytes, 4 * PG);

	/* Grown: what lies beyond the first mapping gets another. */
	assert_int_equal(ftruncate(fd, 8 * PG), 0);
	assert_int_equal(dma_space_map(a, 16 * PG, PG, RW, fd, 7 * PG), 0);
	assert_non_null(dma_at(a, 16 * PG, PG, DMA_WRITE));
	dma_space_usage(a, &usage);
	assert_int_equal(usage.n_files, 2);
	close(fd);
	dma_space_destroy(b);
	assert_non_null(dma_at(a, 0, 1, DMA_READ));
}

static void unmaps_whole_ranges_only(void **state)
{
	struct dma_space *s = *state;
	struct dma_usage usage;
	int fd = memfd(4);

	assert_int_equal(dma_space_map(s, 0, 2 * PG, RW, fd, 0), 0);
	assert_int_equal(dma_space_map(s, 2 * PG, 2 * PG, RW, fd, 0), 0);
	close(fd);
	assert_int_equal(dma_space_unmap(s, 0, PG), -EINVAL);
	assert_int_equal(dma_space_unmap(s, 0, 3 * PG), -EINVAL);
	assert_int_equal(dma_space_unmap(s, PG, 3 * PG), -EINVAL);
	assert_int_equal(dma_space_unmap(s, 0, 0), -EINVAL);
	assert_int_equal(dma_space_unmap(s, PG, UINT64_MAX), -EINVAL);
	assert_int_equal(dma_space_unmap(s, 4 * PG, PG), -ENOENT);

	assert_int_equal(dma_space_unmap(s, 2 * PG, 2 * PG), 2 * PG);
	assert_null(dma_at(s, 2 * PG, 1, DMA_READ));
	assert_non_null(dma_at(s, 0, 1, DMA_READ));
	assert_int_equal(dma_space_unmap(s, 0, 1024 * PG), 2 * PG);
	dma_space_usage(s, &usage);
	assert_int_equal(usage.n_ranges, 0);
	assert_int_equal(usage.n_files, 0);
	assert_int_equal(usage.n_bytes, 0);
}

static void refuses_dma_without_memory(void **state)
{
	struct dma_space *s = *state;
	char buf[4] = "";

	assert_int_equal(dma_space_map(s, 0, PG, RW, -1, 0), 0);
	assert_null(dma_at(s, 0, 1, DMA_READ));
	assert_int_equal(dma_read(s, 0, buf, 4), -EFAULT);
	assert_int_equal(dma_space_unmap(s, 0, PG), PG);
}

static void crosses_ranges_that_touch(void **state)
{
	struct dma_space *s = *state;
	struct iovec iov[2];
	int fd = memfd(4);
	char buf[8];

	/* Two neighbours out of order in the file, a third in order. */
	assert_int_equal(dma_space_map(s, 0, PG, RW, fd, 2 * PG), 0);
	assert_int_equal(dma_space_map(s, PG, PG, RW, fd, 0), 0);
	assert_int_equal(dma_space_map(s, 2 * PG, PG, RW, fd, PG), 0);
	assert_int_equal(dma_space_map(s, 3 * PG, PG, DMA_READ, fd, 3 * PG), 0);
	close(fd);
	assert_int_equal(dma_write(s, PG - 4, "12345678", 8), 0);
	assert_int_equal(dma_read(s, PG - 4, buf, 8), 0);
	assert_memory_equal(buf, "12345678", 8);

	assert_int_equal(dma_iov(s, PG - 4, 8, DMA_READ, iov, 2), 2);
	assert_memory_equal(iov[0].iov_base, "1234", 4);
	assert_memory_equal(iov[1].iov_base, "5678", 4);
	assert_int_equal(dma_iov(s, PG - 4, 8, DMA_READ, iov, 1), -E2BIG);
	assert_int_equal(dma_iov(s, PG, 2 * PG, DMA_READ, iov, 1), 1);
	assert_int_equal(iov[0].iov_len, 2 * PG);
	assert_int_equal(dma_iov(s, 3 * PG, PG + 1, DMA_READ, iov, 2), -EFAULT);
	assert_int_equal(dma_iov(s, PG, UINT64_MAX, DMA_READ, iov, 2), -EFAULT);

	/* All or nothing: the second half may not be written. */
	assert_int_equal(dma_write(s, 3 * PG - 4, "abcdefgh", 8), -EFAULT);
	assert_int_equal(dma_read(s, 3 * PG - 4, buf, 8), 0);
	assert_memory_equal(buf, "\0\0\0\0\0\0\0\0", 8);
}

static void keeps_quotas(void **state)
{
	struct dma_quota quota = { .max_ranges = 3, .max_files = 2,
				   .max_bytes = 8 * PG };
	struct dma_space *s = dma_space_create("quota", &quota);
	int a = memfd(4), b = memfd(4), c = memfd(1), big = memfd(9);

	assert_int_equal(dma_space_map(s, 0, PG, RW, big, 0), -EDQUOT);
	assert_int_equal(dma_space_map(s, 0, PG, RW, a, 0), 0);
	assert_int_equal(dma_space_map(s, PG, PG, RW, b, 0), 0);
	assert_int_equal(dma_space_map(s, 2 * PG, PG, RW, c, 0), -EDQUOT);
	assert_int_equal(dma_space_map(s, 2 * PG, PG, RW, a, PG), 0);
	assert_int_equal(dma_space_map(s, 3 * PG, PG, RW, a, 0), -ENOSPC);
	assert_int_equal(dma_space_unmap(s, 0, 3 * PG), 3 * PG);
	assert_int_equal(dma_space_map(s, 0, PG, RW, c, 0), 0);
	dma_space_destroy(s);
	for (int i = 0; i < 4; i++)
		close((int[]){ a, b, c, big }[i]);
}

static void survives_truncation(void **state)
{
	struct dma_space *hit = *state, *other = dma_space_create("o", NULL);
	struct dma_space *shares = dma_space_create("s", NULL);
	int fd = memfd(8), fd2 = memfd(1);
	char buf[16];

	/* Again: cmocka takes the signal for itself around each function. */
	assert_int_equal(dma_init(), 0);
	assert_int_equal(dma_space_map(hit, 0, 8 * PG, RW, fd, 0), 0);
	assert_int_equal(dma_space_map(shares, 0, PG, RW, fd, 0), 0);
	assert_int_equal(dma_space_map(other, 0, PG, RW, fd2, 0), 0);
	assert_int_equal(dma_write(hit, 0, "kept", 4), 0);
	assert_int_equal(dma_write(hit, 5 * PG, "lost", 4), 0);
	assert_int_equal(ftruncate(fd, 4 * PG), 0);
	assert_false(dma_space_broken(hit));

	assert_int_equal(dma_read(hit, 5 * PG, buf, 4), 0);
	assert_memory_equal(buf, "\0\0\0\0", 4);
	assert_true(dma_space_broken(hit));
	assert_true(dma_space_broken(shares));
	assert_false(dma_space_broken(other));
	/* Below the fault and still within the file: untouched. */
	assert_int_equal(dma_read(hit, 0, buf, 4), 0);
	assert_memory_equal(buf, "kept", 4);
	/* Below the fault and gone: faults again, is zeroes again. */
	assert_int_equal(dma_write(hit, 4 * PG + 8, "x", 1), 0);

	/* Unmapping what is broken does not make the space whole. */
	assert_int_equal(dma_space_unmap(hit, 0, 8 * PG), 8 * PG);
	assert_true(dma_space_broken(hit));
	dma_space_clear(hit);
	assert_false(dma_space_broken(hit));

	/* Grown again, the file gets a mapping of its own. */
	assert_int_equal(ftruncate(fd, 8 * PG), 0);
	assert_int_equal(dma_space_map(hit, 0, 8 * PG, RW, fd, 0), 0);
	assert_int_equal(pwrite(fd, "anew", 4, 5 * PG), 4);
	assert_int_equal(dma_read(hit, 5 * PG, buf, 4), 0);
	assert_memory_equal(buf, "anew", 4);
	assert_false(dma_space_broken(hit));
	close(fd);
	close(fd2);
	dma_space_destroy(other);
	dma_space_destroy(shares);
}

/* How does a child that does @what end?  The signal, or -1 for an exit. */
static int dies_of(void (*what)(void))
{
	struct rlimit no_core = { 0, 0 };
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		signal(SIGBUS, SIG_DFL);
		if (dma_init())
			_exit(0);
		setrlimit(RLIMIT_CORE, &no_core);
		close(STDERR_FILENO);
		what();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : -1;
}

static void touch_a_truncated_file_of_ours(void)
{
	int fd = memfd_create("ours", 0);
	volatile char *p = mmap(NULL, PG, PROT_READ, MAP_SHARED, fd, 0);

	(void)*p;
}

static void get_sent_one(void)
{
	raise(SIGBUS);
}

static void dies_of_a_fault_elsewhere(void **state)
{
	assert_int_equal(dies_of(touch_a_truncated_file_of_ours), SIGBUS);
	assert_int_equal(dies_of(get_sent_one), SIGBUS);
}

/* ---- the log of written pages ---- */

static void marks_written_pages(void **state)
{
	struct dma_space *s = *state;
	int log_fd = memfd(1), mem_fd = memfd(8);
	uint8_t *log = mmap(NULL, PG, PROT_READ, MAP_SHARED, log_fd, 0);
	uint8_t *at;

	assert_true(log != MAP_FAILED);
	assert_int_equal(dma_init(), 0);
	/* Without one, nothing happens. */
	dma_logged(s, 0, PG);
	assert_false(dma_log_changed(s));
	/* One that does not start with its file; bits 0 to 63. */
	assert_int_equal(dma_space_set_log(s, log_fd, 3, 8), 0);
	dma_logged(s, 9 * PG - 1, 2);
	assert_int_equal(log[3 + 1], 3);
	assert_true(dma_log_changed(s));
	assert_false(dma_log_changed(s));
	dma_logged(s, 63 * PG, PG);
	assert_int_equal(log[3 + 7], 0x80);
	assert_true(dma_log_changed(s));
	dma_logged(s, 0, 0);
	dma_logged(s, 63 * PG, PG + 1);
	dma_logged(s, 64 * PG, 1);
	dma_logged(s, UINT64_MAX, 2);
	dma_logged(s, UINT64_MAX, UINT64_MAX);
	assert_false(dma_log_changed(s));
	assert_int_equal(log[3 + 8], 0);

	/* By pointer: memory in two places is marked at both. */
	assert_int_equal(dma_space_map(s, 16 * PG, 4 * PG, RW, mem_fd, 0), 0);
	assert_int_equal(dma_space_map(s, 24 * PG, 4 * PG, RW, mem_fd, 2 * PG),
			 0);
	at = dma_at(s, 16 * PG, PG, DMA_WRITE);
	dma_logged_at(s, at + 2 * PG - 1, 2);
	assert_int_equal(log[3 + 2], 6);
	assert_int_equal(log[3 + 3], 1);
	dma_logged_at(s, at - 1, 1);
	dma_logged_at(s, at + 6 * PG, PG);
	assert_int_equal(log[3 + 2], 6);
	assert_int_equal(log[3 + 3], 1);

	/* A refused one leaves the old one, which stays through clear. */
	assert_int_equal(dma_space_set_log(s, log_fd, 0, 0), -EINVAL);
	assert_int_equal(dma_space_set_log(s, log_fd, PG - 7, 8), -EINVAL);
	assert_int_equal(dma_space_set_log(s, log_fd, UINT64_MAX, 8), -EINVAL);
	assert_int_equal(dma_space_set_log(s, log_fd, 0, UINT64_MAX), -EINVAL);
	assert_int_equal(dma_space_set_log(s, STDIN_FILENO, 0, 8), -EPERM);
	dma_space_clear(s);
	dma_logged(s, 0, 1);
	assert_int_equal(log[3], 1);

	/* Truncated, it breaks the space, until it is dropped. */
	assert_false(dma_space_broken(s));
	assert_int_equal(ftruncate(log_fd, 0), 0);
	dma_logged(s, 0, 1);
	assert_true(dma_space_broken(s));
	dma_space_drop_log(s);
	assert_false(dma_space_broken(s));
	munmap(log, PG);
	close(log_fd);
	close(mem_fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(finds_bytes_by_address),
		T(finds_the_right_one_of_many),
		T(refuses_bad_ranges),
		T(refuses_overlaps),
		T(refuses_other_files),
		T(maps_a_sealed_file_for_reading),
		T(shares_one_mapping_per_file),
		T(unmaps_whole_ranges_only),
		T(refuses_dma_without_memory),
		T(crosses_ranges_that_touch),
		T(keeps_quotas),
		T(survives_truncation),
		T(dies_of_a_fault_elsewhere),
		T(marks_written_pages),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
