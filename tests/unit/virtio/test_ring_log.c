/* SPDX-License-Identifier: Apache-2.0
 *
 * Rings under a log of written pages: whatever differs in the guest's memory
 * afterwards is marked, and pages that the device left alone are not.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "driver.h"
#include "virtio/virtio.h"

#define INDIRECT BIT64(VIRTIO_F_INDIRECT_DESC)
#define EVENT BIT64(VIRTIO_F_EVENT_IDX)
#define PACKED BIT64(VIRTIO_F_RING_PACKED)
#define BUFS (GUEST_BASE + GUEST_BUFS)

enum {
	SIZE = 512,		/* its used ring is longer than a page */
	LOG_LEN = (GUEST_BASE + GUEST_LEN) / DMA_LOG_PAGE / 8,
	N_PAGES = GUEST_LEN / DMA_LOG_PAGE,
	FIRST_PAGE = GUEST_BASE / DMA_LOG_PAGE,
};

static struct guest guest;
static struct driver drv;
static struct vring ring;
static int log_fd;
static uint8_t *marks;		/* the log, as the client sees it */
static uint8_t before[GUEST_LEN];

static int setup(void **state)
{
	static bool once;

	if (!once && dma_init())
		return -1;
	once = true;
	guest_init(&guest);
	log_fd = memfd_create("log", MFD_CLOEXEC);
	if (log_fd < 0 || ftruncate(log_fd, LOG_LEN))
		return -1;
	marks = mmap(NULL, LOG_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, log_fd,
		     0);
	return marks == MAP_FAILED ||
		dma_space_set_log(guest.dma, log_fd, 0, LOG_LEN) < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	vring_stop(&ring);
	guest_fini(&guest);
	munmap(marks, LOG_LEN);
	close(log_fd);
	return 0;
}

static void start(uint64_t features, bool buffers, bool used)
{
	struct vring_log log = { .buffers = buffers, .used = used };

	driver_init(&drv, &guest, 0, SIZE, features);
	log.used_gpa = drv.config.device;
	assert_int_equal(vring_start(&ring, "test", guest.dma, &drv.config,
				     NULL), 0);
	vring_set_log(&ring, &log);
}

/* From here on, all that changes was written by the device. */
static void begin(void)
{
	memset(marks, 0, LOG_LEN);
	memcpy(before, guest.mem, GUEST_LEN);
}

static bool is_marked(unsigned int page)
{
	return marks[(FIRST_PAGE + page) / 8] & 1u << page % 8;
}

static bool has_changed(unsigned int page)
{
	const uint8_t *now = guest_at(&guest, GUEST_BASE +
				      page * (uint64_t)DMA_LOG_PAGE);

	return memcmp(now, before + (now - guest.mem), DMA_LOG_PAGE) != 0;
}

static unsigned int n_marked(void)
{
	unsigned int n = 0;

	for (unsigned int page = 0; page < N_PAGES; page++)
		n += is_marked(page);
	return n;
}

/* Chains with room for two pages and a bit, from which the device writes @len
 * bytes each. */
static void receive(unsigned int n, uint32_t len, bool indirect)
{
	uint32_t lens[VRING_AHEAD_MAX];
	static unsigned int serial;

	for (unsigned int i = 0; i < n; i++, serial++) {
		uint64_t at = BUFS + serial % 200 * 3 * DMA_LOG_PAGE;
		struct buf bufs[] = { { at + 5, 100 }, { at + 200, 8192 } };

		driver_add(&drv, bufs, 0, 2, indirect);
	}
	begin();
	assert_int_equal(vring_fetch(&ring, n), n);
	for (unsigned int i = 0; i < n; i++) {
		const struct vring_chain *chain = vring_chain(&ring, i);
		uint32_t left = len;

		lens[i] = len;

		for (unsigned int j = 0; left; j++) {
			uint32_t here = min_of((uint32_t)chain->iov[j].iov_len,
					       left);

			memset(chain->iov[j].iov_base, (int)serial | 1, here);
			left -= here;
		}
	}
	/* In two runs. */
	vring_use_run(&ring, lens, n / 3);
	vring_use_run(&ring, lens, n - n / 3);
	vring_publish(&ring);
	vring_arm(&ring);
	vring_disarm(&ring);
}

static void take_back(void)
{
	uint16_t id;
	uint32_t len;

	while (driver_used(&drv, &id, &len))
		;
}

static void all_that_changes_is_marked(void **state)
{
	static const uint64_t kinds[] = {
		INDIRECT, INDIRECT | EVENT, INDIRECT | PACKED,
		INDIRECT | PACKED | EVENT,
	};
	static const uint32_t lens[] = { 1, 100, 101, 4000, 8292 };

	for (unsigned int k = 0; k < ARRAY_SIZE(kinds); k++) {
		start(kinds[k], true, true);
		/* Several times round, in batches that end anywhere. */
		for (unsigned int turn = 0; turn < 60; turn++) {
			unsigned int n = 1 + turn * 7 % 60;

			receive(n, lens[turn % ARRAY_SIZE(lens)], turn % 2);
			for (unsigned int page = 0; page < N_PAGES; page++)
				if (has_changed(page))
					assert_true(is_marked(page));
			/* Of the buffers, none that has not been written: 3
			 * pages each at most, and those of the ring. */
			assert_true(n_marked() <= 3 * n + 6);
			take_back();
		}
		vring_stop(&ring);
	}
}

static void only_what_is_asked_for(void **state)
{
	start(INDIRECT, false, false);
	receive(10, 4000, false);
	assert_int_equal(n_marked(), 0);
	vring_stop(&ring);

	/* Page by page: a buffer alone, then the used ring alone. */
	start(INDIRECT, true, false);
	receive(1, 50, false);
	assert_int_equal(n_marked(), 1);
	vring_stop(&ring);

	start(INDIRECT, false, true);
	receive(1, 50, false);
	/* Its beginning, and the flags there. */
	assert_int_equal(n_marked(), 1);
	assert_true(is_marked((unsigned int)((drv.config.device - GUEST_BASE) /
					     DMA_LOG_PAGE)));
}

static void the_used_ring_may_be_logged_elsewhere(void **state)
{
	struct vring_log log = { .used = true, .used_gpa = GUEST_BASE +
				 700 * DMA_LOG_PAGE };

	start(INDIRECT, false, false);
	begin();
	vring_set_log(&ring, &log);
	assert_int_equal(n_marked(), 1);
	assert_true(is_marked(700));
}

/* What cannot be marked is not, and nothing else happens. */
static void beyond_the_log(void **state)
{
	struct vring_log log = { .used = true, .used_gpa = 1ull << 60 };

	start(INDIRECT, true, false);
	assert_int_equal(dma_space_set_log(guest.dma, log_fd, 0, 8), 0);
	receive(1, 50, false);
	assert_int_equal(n_marked(), 0);
	vring_set_log(&ring, &log);
	receive(3, 50, false);
	assert_false(dma_log_changed(guest.dma));
}

/* A driver that makes slots available again before it has been told that they
 * were used: whatever it wins or loses by that, marking has an end. */
static void used_up_more_than_once(void **state)
{
	start(PACKED, true, false);
	/* Up to slot 3; then from there to slot 2, nearly twice round. */
	for (unsigned int i = 0, slot = 0; i < 2 * SIZE + 2; i++) {
		bool wrap = !(i / SIZE % 2);

		driver_desc(&drv, drv.desc + 16 * slot, BUFS, 1,
			    wrap ? 0x80 : 0x8000, 0);
		slot = (slot + 1) % SIZE;
		assert_int_equal(vring_fetch(&ring, 1), 1);
		vring_use(&ring, 0);
		if (i == 2)
			vring_publish(&ring);
	}
	begin();
	vring_publish(&ring);
	assert_int_equal(n_marked(), SIZE * 16 / DMA_LOG_PAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(all_that_changes_is_marked),
		T(only_what_is_asked_for),
		T(the_used_ring_may_be_logged_elsewhere),
		T(beyond_the_log),
		T(used_up_more_than_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
