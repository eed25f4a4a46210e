/* SPDX-License-Identifier: Apache-2.0
 *
 * The stream port over a socket pair, turned by hand: framing, bad lengths,
 * partial reads and writes, a reader that does not read.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../switch/fake_port.h"
#include "base/byteorder.h"
#include "base/time.h"
#include "port/stream.h"
#include "switch/vswitch.h"

/* peer <-> stream port -- switch -- fake port */
static struct worker *worker;
static struct vswitch *sw;
static struct port *stream;
static struct fake_port *fake;
static int peer;
static uint64_t now_ns = NS_PER_S;

static int setup(void **state)
{
	int fds[2];

	worker = worker_create("test", 0);
	worker_set_now(worker, now_ns);
	sw = vswitch_create(&(struct vswitch_config) {
		.name = "net", .worker = worker });
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0)
		return -1;
	peer = fds[0];
	fake = fake_port_new("fake", worker);
	if (stream_port_create("stream", NULL, fds[1], worker, &stream) < 0 ||
	    vswitch_attach(sw, stream) || vswitch_attach(sw, &fake->port))
		return -1;
	return 0;
}

static int teardown(void **state)
{
	vswitch_detach(stream);
	vswitch_detach(&fake->port);
	stream->ops->destroy(stream);
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

static void peer_send(const void *data, size_t len)
{
	assert_int_equal(send(peer, data, len, MSG_NOSIGNAL), len);
}

static uint32_t record(uint8_t *out, const struct packet *packet)
{
	be32_store(out, packet->len);
	memcpy(out + 4, packet->data, packet->len);
	return 4 + packet->len;
}

static bool peer_sees_end(void)
{
	uint8_t byte;

	return recv(peer, &byte, 1, MSG_DONTWAIT) == 0;
}

static const struct port_stats *stats(void)
{
	return &stream->queues[0].stats;
}

static void test_in(void **state)
{
	static struct packet packets[40];
	static uint8_t bytes[40 * 1600];
	uint32_t len = 0;

	for (unsigned int i = 0; i < 40; i++) {
		packet_eth(255, 1, 14 + i * 37, i, &packets[i]);
		len += record(bytes + len, &packets[i]);
	}
	peer_send(bytes, len);
	run();
	assert_int_equal(fake->n_rx, 40);
	for (unsigned int i = 0; i < 40; i++) {
		assert_int_equal(fake->rx[i].len, packets[i].len);
		assert_memory_equal(fake->rx[i].data, packets[i].data,
				    packets[i].len);
	}
}

static void test_in_byte_by_byte(void **state)
{
	static struct packet packet;
	uint8_t bytes[256];
	uint32_t len;

	packet_eth(255, 1, 100, 1, &packet);
	len = record(bytes, &packet);
	for (uint32_t i = 0; i < len; i++) {
		assert_int_equal(fake->n_rx, 0);
		peer_send(bytes + i, 1);
		run();
	}
	assert_int_equal(fake->n_rx, 1);
	assert_memory_equal(fake->rx[0].data, packet.data, 100);
}

/* A whole record that is no frame is dropped; the next one is fine.  Frames
 * held before it do not make it count twice. */
static void test_in_short(void **state)
{
	static struct packet packet;
	uint8_t bytes[256];

	fake->rx_room = 0;
	send(peer, "\0\0\0\x01x\0\0\0\x0dxxxxxxxxxxxxx", 22, 0);
	packet_eth(5, 1, 60, 1, &packet);
	/* Known, so that the sender is held. */
	static struct packet hello;
	packet_eth(255, 5, 60, 1, &hello);
	fake_send(fake, &hello);
	worker_round(worker);
	peer_send(bytes, record(bytes, &packet));
	send(peer, "\0\0\0\x02xx", 6, 0);
	peer_send(bytes, record(bytes, &packet));
	for (unsigned int i = 0; i < 10; i++)
		worker_round(worker);
	assert_int_equal(fake->n_rx, 0);
	fake->rx_room = FAKE_UNLIMITED;
	run();
	assert_int_equal(fake->n_rx, 2);
	assert_int_equal(counter_read(&stats()->tx_bad_len), 3);
	assert_false(peer_sees_end());
}

static void test_in_largest(void **state)
{
	static struct packet packet;
	static uint8_t bytes[4 + FRAME_LEN_MAX];
	uint32_t len, off = 0;

	packet_eth(255, 1, FRAME_LEN_MAX, 1, &packet);
	len = record(bytes, &packet);
	/* More than the socket holds, several times over. */
	for (unsigned int round = 0; round < 9; off = 0, round++)
		while (off < len) {
			ssize_t n = send(peer, bytes + off, len - off,
					 MSG_DONTWAIT);

			if (n > 0)
				off += (uint32_t)n;
			run();
		}
	assert_int_equal(fake->n_rx, 9);
	for (unsigned int i = 0; i < 9; i++)
		assert_memory_equal(fake->rx[i].data, packet.data,
				    FRAME_LEN_MAX);
}

static void test_in_bad_lengths(void **state)
{
	static const uint32_t lens[] = {
		0, FRAME_LEN_MAX + 1, INT32_MAX, 0x80000000, UINT32_MAX
	};
	static struct packet packet;

	packet_eth(255, 1, 60, 1, &packet);
	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		uint8_t bytes[128];
		uint32_t len = record(bytes, &packet);

		be32_store(bytes + len, lens[i]);
		peer_send(bytes, len + 4);
		run();
		/* What came before it is not lost. */
		assert_int_equal(fake->n_rx, 1);
		assert_true(peer_sees_end());
		teardown(NULL);
		setup(NULL);
	}
}

/* The peer leaves in the middle of a record. */
static void test_peer_leaves(void **state)
{
	static struct packet packet;
	uint8_t bytes[128];
	uint32_t len;

	packet_eth(255, 1, 60, 1, &packet);
	len = record(bytes, &packet);
	peer_send(bytes, len);
	peer_send(bytes, len - 1);
	shutdown(peer, SHUT_RDWR);
	run();
	assert_int_equal(fake->n_rx, 1);
	/* Nobody is there now: counted, and nothing else happens. */
	fake_send(fake, &packet);
	run();
	assert_int_equal(counter_read(&stats()->rx_link_down), 1);
	assert_false(worker_round(worker));
}

static void read_record(struct packet *packet)
{
	uint8_t prefix[4];

	assert_int_equal(recv(peer, prefix, 4, MSG_WAITALL), 4);
	packet->len = be32_load(prefix);
	assert_true(packet->len <= sizeof(packet->data));
	assert_int_equal(recv(peer, packet->data, packet->len, MSG_WAITALL),
			 packet->len);
}

static void test_out(void **state)
{
	static struct packet packet, got;

	for (unsigned int i = 0; i < 40; i++) {
		packet_eth(255, 2, 14 + i * 37, i, &packet);
		fake_send(fake, &packet);
	}
	run();
	for (unsigned int i = 0; i < 40; i++) {
		read_record(&got);
		assert_int_equal(got.len, fake->tx[i].len);
		assert_memory_equal(got.data, fake->tx[i].data, got.len);
	}
}

/* Nobody reads: the port takes a bounded amount, then the senders' frames are
 * dropped, whole; what it took arrives when reading goes on. */
static void test_out_reader_sleeps(void **state)
{
	static struct packet packet, got;
	uint64_t lost, taken;

	for (unsigned int i = 0; i < 1000; i++) {
		packet_eth(255, 2, 4000, i, &packet);
		fake_send(fake, &packet);
	}
	run();
	assert_int_equal(fake->n_tx, 1000);
	lost = counter_read(&stats()->rx_full);
	taken = counter_read(&stats()->rx_frames);
	assert_true(lost > 0 && taken > 100);
	assert_int_equal(lost + taken, 1000);
	for (unsigned int i = 0; i < taken; i++) {
		read_record(&got);
		run();
		assert_int_equal(got.len, 4000);
		/* A flood that finds no room loses the rest of its run, so the
		 * first that were taken are the first that were sent. */
		if (i < 100)
			assert_memory_equal(got.data, fake->tx[i].data, 4000);
	}
	assert_int_equal(recv(peer, got.data, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
	/* And it works as before. */
	packet_eth(255, 2, 60, 1, &packet);
	fake_send(fake, &packet);
	run();
	read_record(&got);
	assert_memory_equal(got.data, packet.data, 60);
}

static void test_tag_in_the_bytes(void **state)
{
	static struct packet packet, got;
	uint8_t bytes[128];

	packet_eth(255, 1, 64, 1, &packet);
	memcpy(packet.data + 12, "\x81\x00\x00\x09", 4);
	peer_send(bytes, record(bytes, &packet));
	run();
	assert_int_equal(fake->rx[0].flags, FRAME_VLAN);
	assert_int_equal(fake->rx[0].vlan_tci, 9);
	assert_int_equal(fake->rx[0].len, 60);
	packet_eth(255, 2, 60, 1, &packet);
	fake_send(fake, &packet);
	fake->tx[0].flags = FRAME_VLAN;
	fake->tx[0].vlan_tci = 10;
	run();
	read_record(&got);
	assert_int_equal(got.len, 64);
	assert_memory_equal(got.data + 12, "\x81\x00\x00\x0a", 4);
}

static void test_not_a_stream_socket(void **state)
{
	struct port *port = NULL;
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(stream_port_create("x", NULL, fds[0], worker, &port),
			 -EINVAL);
	assert_int_equal(stream_port_create("x", NULL, 9999, worker, &port),
			 -EINVAL);
	assert_null(port);
	close(fds[0]);
	close(fds[1]);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_in),
		TEST(test_in_byte_by_byte),
		TEST(test_in_short),
		TEST(test_in_largest),
		TEST(test_in_bad_lengths),
		TEST(test_peer_leaves),
		TEST(test_out),
		TEST(test_out_reader_sleeps),
		TEST(test_tag_in_the_bytes),
		TEST(test_not_a_stream_socket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
