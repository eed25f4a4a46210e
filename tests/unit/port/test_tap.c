/* SPDX-License-Identifier: Apache-2.0
 *
 * The tap port on a socket pair that stands in for /dev/net/tun (--wrap): what
 * comes from the kernel's side need not be what a kernel would send, by the
 * rows of flaws that docs/threat-model.md has.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../switch/fake_port.h"
#include "base/time.h"
#include "port/tap.h"
#include "port/vnet_hdr.h"
#include "switch/vswitch.h"

int __wrap_open64(const char *path, int flags, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);

/* peer <-> tap port -- switch -- fake port */
static struct worker *worker;
static struct vswitch *sw;
static struct port *tap;
static struct fake_port *fake;
static int peer, device;
static uint64_t now_ns = NS_PER_S;

int __wrap_open64(const char *path, int flags, ...)
{
	assert_string_equal(path, "/dev/net/tun");
	assert_true(flags & O_NONBLOCK);
	return device;
}

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	assert_int_equal(fd, device);
	return 0;
}

static int set_up(bool vnet_hdr)
{
	int fds[2];

	worker = worker_create("test", 0);
	worker_set_now(worker, now_ns);
	sw = vswitch_create(&(struct vswitch_config) {
		.name = "net", .worker = worker });
	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, fds) < 0)
		return -1;
	peer = fds[0];
	device = fds[1];
	fake = fake_port_new("fake", worker);
	if (tap_port_create("tap", "tap0", vnet_hdr, worker, &tap) < 0 ||
	    vswitch_attach(sw, tap) || vswitch_attach(sw, &fake->port))
		return -1;
	return 0;
}

static int setup(void **state)
{
	return set_up(true);
}

static int setup_bare(void **state)
{
	return set_up(false);
}

static int teardown(void **state)
{
	vswitch_detach(tap);
	vswitch_detach(&fake->port);
	tap->ops->destroy(tap);
	fake_port_free(fake);
	vswitch_destroy(sw);
	worker_destroy(worker);
	close(peer);
	return 0;
}

static void run(void)
{
	while (worker_round(worker))
		;
}

static const struct port_stats *stats(void)
{
	return &tap->queues[0].stats;
}

/* The first @hdr_len bytes of the header, then the frame. */
static void say(const struct vnet_hdr *hdr, size_t hdr_len, const void *data,
		uint32_t len)
{
	struct iovec iov[] = {
		{ (void *)hdr, hdr_len }, { (void *)data, len },
	};

	assert_int_equal(writev(peer, iov, 2), hdr_len + len);
}

static const struct vnet_hdr nothing;

static void expect(unsigned int n_rx, uint64_t bad_len, uint64_t bad_offload)
{
	run();
	assert_int_equal(fake->n_rx, n_rx);
	assert_int_equal(stats()->tx_bad_len.v, bad_len);
	assert_int_equal(stats()->bad_offload.v, bad_offload);
}

static struct packet packet;

/* T7, the class of CVE-2024-41090: shorter than an Ethernet header; nothing;
 * not even as long as what comes before it. */
static void runts(size_t hdr_len)
{
	packet_eth(255, 1, 64, 1, &packet);
	for (uint32_t len = 0; len < 14; len++) {
		if (hdr_len + len)
			say(&nothing, hdr_len, packet.data, len);
		/* The one behind it is none the worse. */
		say(&nothing, hdr_len, packet.data, 14 + len);
		expect(len + 1, hdr_len ? len + 1 : len, 0);
		assert_int_equal(fake->rx[len].len, 14 + len);
		assert_memory_equal(fake->rx[len].data, packet.data, 14 + len);
	}
	for (size_t len = 1; len < hdr_len; len++) {
		say(&nothing, len, NULL, 0);
		run();
		say(&nothing, hdr_len, packet.data, 60);
		expect(14 + (unsigned int)len, 14, 0);
	}
}

static void t7_runts(void **state)
{
	runts(sizeof(nothing));
}

static void t7_runts_bare(void **state)
{
	runts(0);
}

/* T6, the class of CVE-2023-3812: longer than any frame, than the buffer. */
static void t6_oversize(void **state)
{
	static const struct {
		uint32_t len;
		bool good;
	} rows[] = {
		{ 1515, true }, { 65535, true }, { 65536, true },
		{ FRAME_LEN_MAX - 1, true }, { FRAME_LEN_MAX, true },
		{ FRAME_LEN_MAX + 1, false }, { FRAME_LEN_MAX + 4, false },
		{ FRAME_LEN_MAX + 5, false }, { 69631, false },
		{ 69632, false }, { 69633, false }, { 100000, false },
	};
	static uint8_t bytes[100000];
	unsigned int n = 0, bad = 0;

	memset(bytes, 0xff, 6);
	bytes[6] = 2;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		say(&nothing, sizeof(nothing), bytes, rows[i].len);
		n += rows[i].good;
		bad += !rows[i].good;
		expect(n, bad, 0);
		if (rows[i].good)
			assert_int_equal(fake->rx[n - 1].len, rows[i].len);
	}
	say(&nothing, sizeof(nothing), bytes, 60);
	expect(n + 1, bad, 0);
}

/* Good and bad ones, more than there are slots, and a receiver that has no
 * room: those held are looked at again, and none is taken for another. */
static void t7_among_good_ones(void **state)
{
	enum { N = 3 * BATCH_MAX };
	struct vnet_hdr bad = { .gso_type = 77 };
	unsigned int n = 0;

	for (unsigned int i = 0; i < N; i++) {
		packet_eth(255, 1, 60 + i, i, &packet);
		/* As many as the socket takes at a time. */
		if (i % 3 == 0)
			say(&nothing, sizeof(nothing), packet.data, 13);
		else if (i % 3 == 1)
			say(&bad, sizeof(bad), packet.data, packet.len);
		say(&nothing, sizeof(nothing), packet.data, packet.len);
		if (i % 4 == 3)
			run();
	}
	run();
	assert_int_equal(fake->n_rx, N);
	for (; n < N; n++)
		assert_int_equal(fake->rx[n].len, 60 + n);
	expect(N, N / 3, N / 3);
}

/* T23: every kind of offload, with sizes and places at every edge, for one who
 * takes none of it: it is refused and counted, or carried out. */
static void t23_header_sweep(void **state)
{
	static const uint16_t values[] = {
		0, 1, 7, 8, 13, 14, 34, 35, 54, 55, 255, 256, 1999, 2000, 2053,
		2054, 2055, 0x7fff, 0xffff,
	};
	static const uint8_t types[] = { 0, 1, 3, 4, 5, 0x81, 0x84, 0xff };
	uint64_t n = 0, good = 0;

	fake->port.caps = (struct port_caps){ .max_len = FRAME_LEN_MAX };
	for (unsigned int kind = 0; kind < 4; kind++)
	for (size_t t = 0; t < ARRAY_SIZE(types); t++)
	for (size_t size = 0; size < ARRAY_SIZE(values); size++)
	for (size_t from = 0; from < ARRAY_SIZE(values); from++)
	for (size_t to = 0; to < ARRAY_SIZE(values); to += 3) {
		const struct vnet_hdr hdr = {
			.flags = size % 3 ? VNET_HDR_NEEDS_CSUM :
				VNET_HDR_DATA_VALID,
			.gso_type = types[t],
			.gso_size = le16_of(values[size]),
			.hdr_len = le16_of(values[to]),
			.csum_start = le16_of(values[from]),
			.csum_offset = le16_of(values[to]),
		};

		packet_make(&(struct packet_spec) {
			.dst = 255, .src = 1, .ip6 = kind & 1,
			.udp = kind & 2, .payload_len = 2000 }, &packet);
		say(&hdr, sizeof(hdr), packet.data, packet.len);
		run();
		n++;
		good += !!fake->n_rx;
		for (unsigned int i = 0; i < fake->n_rx; i++) {
			assert_in_range(fake->rx[i].len, 14, packet.len);
			assert_int_equal(fake->rx[i].gso, 0);
		}
		fake_clear_rx(fake);
		assert_int_equal(stats()->bad_offload.v, n - good);
	}
	assert_in_range(good, 1, n - 1);
	assert_int_equal(stats()->tx_bad_len.v, 0);
}

int main(void)
{
#define T(name, setup) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(t7_runts, setup),
		T(t7_runts_bare, setup_bare),
		T(t6_oversize, setup),
		T(t7_among_good_ones, setup),
		T(t23_header_sweep, setup),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
