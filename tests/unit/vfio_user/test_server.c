/* SPDX-License-Identifier: Apache-2.0
 *
 * The server by itself, one round of the worker at a time: how it takes a
 * stream apart, and when it signals.  What each malformed message leads to is
 * tested from outside (tests/proto).
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loop/worker.h"
#include "toy.h"
#include "vfio_user/server_internal.h"

static struct {
	struct worker *worker;
	struct toy toy;
	struct vfu_server *server;
	int fd;			/* the client's end */
	uint64_t now;
} t;

static void run(void)
{
	for (int i = 0; i < 4; i++) {
		worker_set_now(t.worker, t.now += 1000);
		worker_round(t.worker);
	}
}

static void send_fds(const void *buf, size_t len, const int *fds, size_t n_fds)
{
	char control[CMSG_SPACE(64 * sizeof(int))] = "";
	struct iovec iov = { (void *)buf, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n_fds) {
		struct cmsghdr *c;

		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
	}
	assert_int_equal(sendmsg(t.fd, &msg, MSG_NOSIGNAL), len);
}

/* Put a message into @buf; returns its length. */
static size_t put(uint8_t *buf, uint16_t id, uint16_t command, uint32_t flags,
		  const void *payload, size_t len)
{
	struct vfu_header h = { id, command, (uint32_t)(sizeof(h) + len),
				flags, 0 };

	memcpy(buf, &h, sizeof(h));
	if (len)
		memcpy(buf + sizeof(h), payload, len);
	return sizeof(h) + len;
}

static void request(uint16_t id, uint16_t command, const void *payload,
		    size_t len)
{
	uint8_t buf[4096];

	send_fds(buf, put(buf, id, command, 0, payload, len), NULL, 0);
	run();
}

/* The next reply's payload length; its id must be @id, its error @err. */
static size_t reply(uint16_t id, int err, void *payload, size_t max)
{
	struct vfu_header h;

	assert_int_equal(recv(t.fd, &h, sizeof(h), MSG_DONTWAIT), sizeof(h));
	assert_int_equal(h.id, id);
	assert_int_equal(h.error, err);
	assert_int_equal(h.flags, VFU_TYPE_REPLY | (err ? VFU_ERROR : 0));
	if (h.size == sizeof(h))
		return 0;
	assert_true(h.size - sizeof(h) <= max);
	assert_int_equal(recv(t.fd, payload, h.size - sizeof(h), MSG_DONTWAIT),
			 h.size - sizeof(h));
	return h.size - sizeof(h);
}

static void no_reply(void)
{
	char byte;

	assert_int_equal(recv(t.fd, &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
}

static void connect_client(void)
{
	struct vfu_version v = { 0, 0 };
	char json[VFU_VERSION_JSON_MAX];
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
				    pair), 0);
	t.fd = pair[0];
	assert_int_equal(vfu_server_attach(t.server, pair[1]), 0);
	request(1, VFU_VERSION, &v, sizeof(v));
	assert_true(reply(1, 0, json, sizeof(json)) > sizeof(v));
}

static void command(uint16_t bits)
{
	pci_config_write(&t.toy.pci, PCI_COMMAND, 2, bits);
}

static int setup(void **state)
{
	struct vfu_server_config config = {
		.dev = &t.toy.pci, .listen_fd = -1,
	};

	memset(&t, 0, sizeof(t));
	t.now = 1000;
	t.worker = worker_create("test", 0);
	worker_set_now(t.worker, t.now);
	config.worker = t.worker;
	if (toy_init(&t.toy) || vfu_server_create(&config, &t.server))
		return -1;
	connect_client();
	command(PCI_COMMAND_MEMORY);
	return 0;
}

static int teardown(void **state)
{
	vfu_server_destroy(t.server);
	close(t.fd);
	pci_dev_fini(&t.toy.pci);
	worker_destroy(t.worker);
	return 0;
}

static void bar_write(uint64_t off, uint32_t val)
{
	struct {
		struct vfu_region_access a;
		uint32_t val;
	} w = { { off, 0, 4 }, val };

	request(9, VFU_REGION_WRITE, &w, sizeof(w) - 4);
	assert_int_equal(reply(9, 0, &w, sizeof(w)), sizeof(w.a));
}

static void set_irq(uint32_t index, uint32_t flags, uint32_t start,
		    uint32_t count, int fd, int want)
{
	struct vfio_irq_set set = { sizeof(set), flags, index, start, count };
	uint8_t buf[64];

	send_fds(buf, put(buf, 5, VFU_SET_IRQS, 0, &set, sizeof(set)), &fd,
		 fd >= 0);
	run();
	reply(5, want, buf, sizeof(buf));
}

static uint64_t count_of(int eventfd)
{
	uint64_t n;

	return read(eventfd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

enum { TRIGGER = VFIO_IRQ_SET_ACTION_TRIGGER,
       UNMASK = VFIO_IRQ_SET_ACTION_UNMASK, MASK = VFIO_IRQ_SET_ACTION_MASK,
       NONE = VFIO_IRQ_SET_DATA_NONE, EVENTFD = VFIO_IRQ_SET_DATA_EVENTFD };

static void intx_is_signalled_once_per_unmask(void **state)
{
	int fd = eventfd(0, EFD_NONBLOCK);

	bar_write(TOY_INTX, 1);
	/* High already when the client starts to listen. */
	set_irq(0, EVENTFD | TRIGGER, 0, 1, fd, 0);
	assert_int_equal(count_of(fd), 1);
	bar_write(TOY_INTX, 0);
	bar_write(TOY_INTX, 1);
	assert_int_equal(count_of(fd), 0);
	/* Still high: the level is looked at again. */
	set_irq(0, NONE | UNMASK, 0, 1, -1, 0);
	assert_int_equal(count_of(fd), 1);
	bar_write(TOY_INTX, 0);
	set_irq(0, NONE | UNMASK, 0, 1, -1, 0);
	assert_int_equal(count_of(fd), 0);
	bar_write(TOY_INTX, 1);
	assert_int_equal(count_of(fd), 1);

	/* Masked by the client. */
	bar_write(TOY_INTX, 0);
	set_irq(0, NONE | UNMASK, 0, 1, -1, 0);
	set_irq(0, NONE | MASK, 0, 1, -1, 0);
	bar_write(TOY_INTX, 1);
	assert_int_equal(count_of(fd), 0);
	set_irq(0, NONE | UNMASK, 0, 1, -1, 0);
	assert_int_equal(count_of(fd), 1);

	/* Off, and on again while high. */
	set_irq(0, NONE | TRIGGER, 0, 0, -1, 0);
	bar_write(TOY_INTX, 0);
	bar_write(TOY_INTX, 1);
	assert_int_equal(count_of(fd), 0);
	set_irq(0, EVENTFD | TRIGGER, 0, 1, fd, 0);
	assert_int_equal(count_of(fd), 1);
	close(fd);
}

static void intx_is_unmasked_by_eventfd(void **state)
{
	int fd = eventfd(0, EFD_NONBLOCK), resample = eventfd(0, 0);
	uint64_t one = 1;

	set_irq(0, EVENTFD | TRIGGER, 0, 1, fd, 0);
	set_irq(0, EVENTFD | UNMASK, 0, 1, resample, 0);
	bar_write(TOY_INTX, 1);
	assert_int_equal(count_of(fd), 1);
	assert_int_equal(write(resample, &one, 8), 8);
	run();
	assert_int_equal(count_of(fd), 1);
	bar_write(TOY_INTX, 0);
	assert_int_equal(write(resample, &one, 8), 8);
	run();
	assert_int_equal(count_of(fd), 0);
	bar_write(TOY_INTX, 1);
	assert_int_equal(count_of(fd), 1);

	/* Another one in its place, as when the routing has changed. */
	int other = eventfd(0, EFD_NONBLOCK);

	set_irq(0, EVENTFD | UNMASK, 0, 1, other, 0);
	assert_int_equal(write(resample, &one, 8), 8);
	run();
	assert_int_equal(count_of(fd), 0);
	assert_int_equal(write(other, &one, 8), 8);
	run();
	assert_int_equal(count_of(fd), 1);
	close(fd);
	close(resample);
	close(other);
}

static void full_and_blocking_eventfds_do_no_harm(void **state)
{
	int fd = eventfd(0, 0);
	uint64_t almost = UINT64_MAX - 1;

	assert_int_equal(write(fd, &almost, 8), 8);
	set_irq(0, EVENTFD | TRIGGER, 0, 1, fd, 0);
	bar_write(TOY_INTX, 1);
	assert_int_not_equal(count_of(fd), 0);
	/* How its owner opened it is as it was. */
	assert_false(fcntl(fd, F_GETFL) & O_NONBLOCK);
	close(fd);
}

static void only_eventfds_are_taken(void **state)
{
	int pipes[2], memfd = memfd_create("m", 0);

	assert_int_equal(pipe(pipes), 0);
	set_irq(0, EVENTFD | TRIGGER, 0, 1, pipes[1], EINVAL);
	set_irq(0, EVENTFD | TRIGGER, 0, 1, memfd, EINVAL);
	set_irq(0, EVENTFD | UNMASK, 0, 1, pipes[0], EINVAL);
	close(pipes[0]);
	close(pipes[1]);
	close(memfd);
}

static void msi_goes_to_its_vector(void **state)
{
	int a = eventfd(0, EFD_NONBLOCK), b = eventfd(0, EFD_NONBLOCK);

	set_irq(1, EVENTFD | TRIGGER, 0, 1, a, 0);
	set_irq(1, EVENTFD | TRIGGER, 3, 1, b, 0);
	set_irq(1, EVENTFD | TRIGGER, 4, 1, b, EINVAL);
	pci_config_write(&t.toy.pci, TOY_MSI_CAP + PCI_MSI_FLAGS, 2,
			 PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE);
	bar_write(TOY_MSI, 3);
	assert_int_equal(count_of(b), 0);	/* not bus master */
	command(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	bar_write(TOY_MSI, 3);
	bar_write(TOY_MSI, 2);
	assert_int_equal(count_of(a), 0);
	assert_int_equal(count_of(b), 1);
	/* There are four: the low bits count. */
	bar_write(TOY_MSI, 4);
	bar_write(TOY_MSI, 0x7fffffff);
	assert_int_equal(count_of(a), 1);
	assert_int_equal(count_of(b), 1);
	set_irq(1, EVENTFD | TRIGGER, 3, 1, -1, 0);
	bar_write(TOY_MSI, 3);
	assert_int_equal(count_of(b), 0);
	/* The client rings the bell itself. */
	set_irq(1, NONE | TRIGGER, 0, 1, -1, 0);
	assert_int_equal(count_of(a), 1);
	close(a);
	close(b);
}

/* Messages glued together, some with a descriptor: each gets its own. */
static void descriptors_stay_with_their_message(void **state)
{
	struct vfu_dma_map map = { sizeof(map), 3, 0, 0, 0x1000 };
	int fd[2] = { memfd_create("a", 0), memfd_create("b", 0) };
	uint8_t buf[64];

	for (int i = 0; i < 2; i++) {
		assert_int_equal(ftruncate(fd[i], 0x1000), 0);
		assert_int_equal(pwrite(fd[i], i ? "b" : "a", 1, 0), 1);
	}
	/* Six in the socket at once: none, a, none, b, none, none */
	for (uint16_t i = 0; i < 6; i++) {
		map.addr = i * 0x1000u;
		send_fds(buf, put(buf, i, VFU_DMA_MAP, 0, &map, sizeof(map)),
			 i == 1 ? &fd[0] : &fd[1], i == 1 || i == 3);
	}
	run();
	for (uint16_t i = 0; i < 6; i++)
		reply(i, 0, buf, sizeof(buf));
	assert_null(dma_at(t.toy.pci.dma, 0, 1, DMA_READ));
	assert_memory_equal(dma_at(t.toy.pci.dma, 0x1000, 1, DMA_READ), "a", 1);
	assert_null(dma_at(t.toy.pci.dma, 0x2000, 1, DMA_READ));
	assert_memory_equal(dma_at(t.toy.pci.dma, 0x3000, 1, DMA_READ), "b", 1);
	assert_null(dma_at(t.toy.pci.dma, 0x4000, 1, DMA_READ));
	assert_int_equal(t.toy.n_dma_changed, 6);
	close(fd[0]);
	close(fd[1]);
}

static void a_message_may_come_in_any_pieces(void **state)
{
	struct vfu_region_access a = { 0x10, 0, 4 };
	uint8_t buf[256], answer[64];
	size_t len = 0;

	t.toy.mem[0x10] = 42;
	len += put(buf + len, 1, VFU_REGION_READ, 0, &a, sizeof(a));
	len += put(buf + len, 2, VFU_RESET, 0, NULL, 0);
	len += put(buf + len, 3, VFU_REGION_READ, 0, &a, sizeof(a));
	for (size_t piece = 1; piece < len; piece++) {
		t.toy.mem[0x10] = 42;
		for (size_t at = 0; at < len; at += piece) {
			send_fds(buf + at, min_of(piece, len - at), NULL, 0);
			run();
		}
		assert_int_equal(reply(1, 0, answer, sizeof(answer)), 20);
		assert_int_equal(answer[16], 42);
		assert_int_equal(reply(2, 0, answer, sizeof(answer)), 0);
		assert_int_equal(reply(3, 0, answer, sizeof(answer)), 20);
		assert_int_equal(answer[16], 0xff);	/* not decoded */
		no_reply();
		command(PCI_COMMAND_MEMORY);
	}
}

/* The budget of a turn ends just where a message without payload, already
 * received, follows: it is answered without another byte coming. */
static void nothing_is_left_in_the_buffer(void **state)
{
	enum { N_BEFORE = 61 };		/* use up a budget of 1024, by 16 + 1 */
	struct vfu_region_access a = { 0, 0, 4 };
	uint8_t buf[(N_BEFORE + 1) * 32], answer[64];
	size_t len = 0;

	for (uint16_t i = 0; i < N_BEFORE; i++)
		len += put(buf + len, i, VFU_REGION_READ, 0, &a, sizeof(a));
	len += put(buf + len, N_BEFORE, VFU_RESET, 0, NULL, 0);
	len += put(buf + len, N_BEFORE + 1, VFU_RESET, 0, NULL, 0);
	send_fds(buf, len, NULL, 0);
	worker_round(t.worker);
	for (uint16_t i = 0; i <= N_BEFORE; i++)
		reply(i, 0, answer, sizeof(answer));
	no_reply();
	worker_round(t.worker);
	reply(N_BEFORE + 1, 0, answer, sizeof(answer));
}

/* A turn's work and an access more: the rest, and what follows, comes later. */
static void a_long_access_takes_turns(void **state)
{
	enum { N = TOY_BAR_SIZE - 1, LONG_LEN = 16 + N };
	static uint8_t rw[LONG_LEN], buf[2 * LONG_LEN], *data = rw + 16;
	struct vfu_region_access a = { 1, 0, N };
	size_t len = put(buf, 1, VFU_REGION_READ, 0, &a, sizeof(a));

	for (size_t i = 0; i <= N; i++)
		t.toy.mem[i] = (uint8_t)(i * 7 + i / 256);
	len += put(buf + len, 2, VFU_GET_INFO, 0,
		   &(struct vfu_device_info){ 16, 0, 0, 0 }, 16);
	send_fds(buf, len, NULL, 0);
	assert_true(worker_round(t.worker));
	no_reply();
	assert_true(worker_round(t.worker));
	assert_int_equal(reply(1, 0, rw, sizeof(rw)), LONG_LEN);
	assert_memory_equal(data, t.toy.mem + 1, TOY_INTX - 1);
	run();
	assert_int_equal(reply(2, 0, buf, sizeof(buf)), 16);
	assert_false(worker_round(t.worker));

	memset(data, 0xa5, N);
	memset(data + TOY_INTX - 1, 0, TOY_SHARED_END - TOY_INTX);
	send_fds(buf, put(buf, 3, VFU_REGION_WRITE, 0, rw, LONG_LEN), NULL, 0);
	assert_true(worker_round(t.worker));
	no_reply();
	assert_int_not_equal(t.toy.mem[N], 0xa5);
	run();
	assert_int_equal(reply(3, 0, buf, sizeof(buf)), sizeof(a));
	assert_int_equal(t.toy.mem[N], 0xa5);
}

static void odd_accesses_are_split(void **state)
{
	struct {
		struct vfu_region_access a;
		uint8_t data[16];
	} w = { { 1, 0, 11 }, "hello world" }, r;

	request(1, VFU_REGION_WRITE, &w, sizeof(w.a) + 11);
	reply(1, 0, &r, sizeof(r));
	assert_memory_equal(t.toy.mem + 1, "hello world", 11);
	assert_true(t.toy.widest <= 4);
	request(2, VFU_REGION_READ, &w.a, sizeof(w.a));
	assert_int_equal(reply(2, 0, &r, sizeof(r)), sizeof(r.a) + 11);
	assert_memory_equal(r.data, "hello world", 11);
	w.a.count = 8;
	request(3, VFU_REGION_WRITE, &w, sizeof(w.a) + 8);
	reply(3, 0, &r, sizeof(r));
	assert_int_equal(t.toy.widest, 8);
}

static void a_client_that_does_not_read_is_cut_off(void **state)
{
	struct vfu_region_access a = { 0, 0, TOY_BAR_SIZE };
	uint8_t buf[64];
	size_t len = put(buf, 1, VFU_REGION_READ, 0, &a, sizeof(a));
	unsigned int n = 0;

	fcntl(t.fd, F_SETFL, O_NONBLOCK);
	while (vfu_server_connected(t.server) && n++ < 10000) {
		if (send(t.fd, buf, len, MSG_NOSIGNAL) < 0)
			assert_int_equal(errno, EAGAIN);
		run();
	}
	assert_false(vfu_server_connected(t.server));
}

static void replies_kept_are_sent_later(void **state)
{
	struct vfu_region_access a = { 0, 0, TOY_BAR_SIZE };
	uint8_t buf[TOY_BAR_SIZE + 64];
	size_t len = put(buf, 1, VFU_REGION_READ, 0, &a, sizeof(a));
	int small = 4096;

	assert_int_equal(setsockopt(t.server->conn.fd, SOL_SOCKET, SO_SNDBUF,
				    &small, sizeof(small)), 0);
	for (unsigned int i = 0; i < 100; i++)
		send_fds(buf, len, NULL, 0);
	run();
	run();
	assert_true(t.server->wants_output);
	for (size_t left = 100 * (TOY_BAR_SIZE + 32), n; left; left -= n) {
		ssize_t got = recv(t.fd, buf, sizeof(buf), MSG_DONTWAIT);

		assert_true(got > 0);
		n = (size_t)got;
		run();
	}
	assert_false(t.server->wants_output);
	no_reply();
}

static void a_gone_client_leaves_nothing_behind(void **state)
{
	struct vfu_dma_map map = { sizeof(map), 3, 0, 0, 0x1000 };
	int mem = memfd_create("m", 0), irq = eventfd(0, EFD_NONBLOCK);
	unsigned int resets;
	uint8_t buf[64];

	assert_int_equal(ftruncate(mem, 0x1000), 0);
	send_fds(buf, put(buf, 1, VFU_DMA_MAP, 0, &map, sizeof(map)), &mem, 1);
	run();
	reply(1, 0, buf, sizeof(buf));
	set_irq(0, EVENTFD | TRIGGER, 0, 1, irq, 0);
	bar_write(0x10, 77);
	resets = t.toy.n_resets;
	close(t.fd);
	run();
	assert_false(vfu_server_connected(t.server));
	assert_int_equal(t.toy.n_resets, resets + 1);
	assert_null(dma_at(t.toy.pci.dma, 0, 1, DMA_READ));
	pci_set_intx(&t.toy.pci, true);
	assert_int_equal(count_of(irq), 0);
	pci_set_intx(&t.toy.pci, false);

	connect_client();
	assert_int_equal(t.toy.mem[0x10], 0);
	assert_null(dma_at(t.toy.pci.dma, 0, 1, DMA_READ));
	close(mem);
	close(irq);
}

static void truncated_memory_ends_the_connection(void **state)
{
	struct vfu_dma_map map = { sizeof(map), 3, 0, 0, 0x1000 };
	struct {
		struct vfu_region_access a;
		uint64_t val;
	} w = { { TOY_DMA_TO, 0, 8 }, 0 };
	int mem = memfd_create("m", 0);
	uint8_t buf[64];

	/* Again: cmocka has taken the signal for itself. */
	assert_int_equal(dma_init(), 0);
	assert_int_equal(ftruncate(mem, 0x1000), 0);
	send_fds(buf, put(buf, 1, VFU_DMA_MAP, 0, &map, sizeof(map)), &mem, 1);
	run();
	reply(1, 0, buf, sizeof(buf));
	assert_int_equal(ftruncate(mem, 0), 0);
	run();
	assert_true(vfu_server_connected(t.server));
	send_fds(buf, put(buf, 2, VFU_REGION_WRITE, VFU_NO_REPLY, &w,
			  sizeof(w)), NULL, 0);
	run();
	assert_false(vfu_server_connected(t.server));
	close(mem);
	close(t.fd);
	connect_client();
}

/* ---- quiet before memory goes ---- */

static void an_unmap_is_answered_when_the_device_is_quiet(void **state)
{
	struct vfu_dma_map map = { sizeof(map), 3, 0, 0, 0x1000 };
	struct vfu_dma_unmap unmap = { sizeof(unmap), 0, 0, 0x1000 };
	struct vfu_device_info info = { .argsz = sizeof(info) };
	int mem = memfd_create("m", 0);
	uint8_t buf[256];
	size_t len;

	assert_int_equal(ftruncate(mem, 0x1000), 0);
	send_fds(buf, put(buf, 1, VFU_DMA_MAP, 0, &map, sizeof(map)), &mem, 1);
	run();
	reply(1, 0, buf, sizeof(buf));
	t.toy.busy = true;
	/* What is behind it in the stream waits too. */
	len = put(buf, 2, VFU_DMA_UNMAP, 0, &unmap, sizeof(unmap));
	len += put(buf + len, 3, VFU_GET_INFO, 0, &info, sizeof(info));
	len += put(buf + len, 4, VFU_RESET, 0, NULL, 0);
	send_fds(buf, len, NULL, 0);
	run();
	no_reply();
	assert_int_equal(t.toy.n_quiesce, 1);
	assert_non_null(dma_at(t.toy.pci.dma, 0, 1, DMA_READ));
	pci_quiesced(&t.toy.pci);
	assert_int_equal(t.toy.n_resume, 1);
	assert_null(dma_at(t.toy.pci.dma, 0, 1, DMA_READ));
	reply(2, 0, buf, sizeof(buf));
	reply(3, 0, buf, sizeof(buf));
	run();
	no_reply();
	assert_int_equal(t.toy.n_quiesce, 2);
	t.toy.n_resets = 0;
	pci_quiesced(&t.toy.pci);
	assert_int_equal(t.toy.n_resets, 1);
	reply(4, 0, buf, sizeof(buf));
	/* Nobody waits: it means nothing. */
	pci_quiesced(&t.toy.pci);
	no_reply();
	close(mem);
}

/* T15: a client that goes at each step of an unmap. */
static void t15_a_client_gone_while_the_device_stops(void **state)
{
	struct vfu_dma_map map = { sizeof(map), 3, 0, 0, 0x1000 };
	struct vfu_dma_unmap unmap = { sizeof(unmap), 0, 0, 0x1000 };
	int mem = memfd_create("m", 0);
	uint8_t buf[64];

	assert_int_equal(ftruncate(mem, 0x1000), 0);
	for (int asked = 0; asked < 2; asked++) {
		send_fds(buf, put(buf, 1, VFU_DMA_MAP, 0, &map, sizeof(map)),
			 &mem, 1);
		run();
		reply(1, 0, buf, sizeof(buf));
		t.toy.busy = true;
		t.toy.n_resets = t.toy.n_quiesce = 0;
		if (asked)
			request(2, VFU_DMA_UNMAP, &unmap, sizeof(unmap));
		close(t.fd);
		run();
		/* Its memory is there as long as the device may use it. */
		assert_int_equal(t.toy.n_quiesce, 1);
		assert_int_equal(t.toy.n_resets, 0);
		if (!asked)
			assert_non_null(dma_at(t.toy.pci.dma, 0, 1, DMA_READ));
		t.toy.busy = false;
		pci_quiesced(&t.toy.pci);
		run();
		assert_false(vfu_server_connected(t.server));
		assert_null(dma_at(t.toy.pci.dma, 0, 1, DMA_READ));
		assert_int_equal(t.toy.n_resets, 1);
		connect_client();
		command(PCI_COMMAND_MEMORY);
	}
	close(mem);
}

/* ---- doorbells ---- */

/* A reply and the descriptors with it; how many of them. */
static unsigned int reply_fds(uint16_t id, void *payload, size_t len, int *fds)
{
	struct vfu_header h;
	char control[CMSG_SPACE(VFU_MAX_FDS * sizeof(int))];
	struct iovec iov[2] = { { &h, sizeof(h) }, { payload, len } };
	struct msghdr msg = {
		.msg_iov = iov, .msg_iovlen = 2, .msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *c;

	assert_int_equal(recvmsg(t.fd, &msg, MSG_DONTWAIT), sizeof(h) + len);
	assert_int_equal(h.id, id);
	assert_int_equal(h.size, sizeof(h) + len);
	assert_int_equal(h.flags, VFU_TYPE_REPLY);
	c = CMSG_FIRSTHDR(&msg);
	if (!c)
		return 0;
	len = c->cmsg_len - CMSG_LEN(0);
	memcpy(fds, CMSG_DATA(c), len);
	return (unsigned int)(len / sizeof(int));
}

static void gives_doorbells(void **state)
{
	struct {
		struct vfu_region_io_fds io;
		struct vfu_io_fd sub[2];
	} r = { .io = { .argsz = sizeof(r), .index = 0 } };
	int bell[2] = { eventfd(0, EFD_NONBLOCK), eventfd(0, EFD_NONBLOCK) };
	int fds[VFU_MAX_FDS];

	t.toy.doorbells[0] = (struct pci_doorbell){ 0, bell[0], 0x40, 2 };
	t.toy.doorbells[1] = (struct pci_doorbell){ 2, bell[0], 0x80, 0 };
	t.toy.doorbells[2] = (struct pci_doorbell){ 0, bell[1], 0x44, 0 };
	t.toy.pci.doorbells = t.toy.doorbells;
	t.toy.pci.n_doorbells = 3;
	/* This client takes one descriptor: the other's writes are messages. */
	request(1, VFU_GET_REGION_IO_FDS, &r.io, sizeof(r.io));
	assert_int_equal(reply_fds(1, &r, sizeof(r) - sizeof(r.sub[1]), fds),
			 1);
	assert_int_equal(r.io.count, 1);
	assert_int_equal(r.sub[0].offset, 0x40);
	assert_int_equal(r.sub[0].size, 2);
	assert_int_equal(eventfd_write(fds[0], 3), 0);
	assert_int_equal(count_of(bell[0]), 3);
	close(fds[0]);
	t.server->max_fds = 2;
	r.io = (struct vfu_region_io_fds){ .argsz = sizeof(r) - 1 };
	request(2, VFU_GET_REGION_IO_FDS, &r.io, sizeof(r.io));
	assert_int_equal(reply_fds(2, &r.io, sizeof(r.io), fds), 0);
	assert_int_equal(r.io.argsz, sizeof(r));
	r.io = (struct vfu_region_io_fds){ .argsz = sizeof(r) };
	request(3, VFU_GET_REGION_IO_FDS, &r.io, sizeof(r.io));
	assert_int_equal(reply_fds(3, &r, sizeof(r), fds), 2);
	assert_int_equal(r.io.count, 2);
	assert_int_equal(r.sub[1].offset, 0x44);
	assert_int_equal(r.sub[1].fd_index, 1);
	close(fds[0]);
	close(fds[1]);
	close(bell[0]);
	close(bell[1]);
}

/* ---- MSI-X ---- */

static void msix_waits_for_an_eventfd_in_the_pending_bits(void **state)
{
	int fd = eventfd(0, EFD_NONBLOCK), other = eventfd(0, EFD_NONBLOCK);

	pci_config_write(&t.toy.pci, TOY_MSIX_CAP + PCI_MSIX_FLAGS, 2,
			 PCI_MSIX_FLAGS_ENABLE);
	command(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	/* As QEMU switches it on: one vector, none yet. */
	set_irq(2, EVENTFD | TRIGGER, 0, 1, -1, 0);
	bar_write(TOY_MSI, 69);
	bar_write(TOY_MSI, 69);
	assert_int_equal(pci_bar_read(&t.toy.pci, TOY_MSIX_BAR, TOY_PBA + 8,
				      8), 1 << 5);
	set_irq(2, EVENTFD | TRIGGER, 69, 1, fd, 0);
	assert_int_equal(count_of(fd), 1);
	assert_int_equal(pci_bar_read(&t.toy.pci, TOY_MSIX_BAR, TOY_PBA + 8,
				      8), 0);
	/* Swapped in use, as for a mask in the client. */
	set_irq(2, EVENTFD | TRIGGER, 69, 1, other, 0);
	bar_write(TOY_MSI, 69);
	assert_int_equal(count_of(fd), 0);
	assert_int_equal(count_of(other), 1);
	/* T10 */
	set_irq(2, EVENTFD | TRIGGER, TOY_MSIX_VECTORS, 1, fd, EINVAL);
	bar_write(TOY_MSI, TOY_MSIX_VECTORS);
	close(fd);
	close(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(intx_is_signalled_once_per_unmask),
		T(intx_is_unmasked_by_eventfd),
		T(full_and_blocking_eventfds_do_no_harm),
		T(only_eventfds_are_taken),
		T(msi_goes_to_its_vector),
		T(descriptors_stay_with_their_message),
		T(a_message_may_come_in_any_pieces),
		T(nothing_is_left_in_the_buffer),
		T(a_long_access_takes_turns),
		T(odd_accesses_are_split),
		T(a_client_that_does_not_read_is_cut_off),
		T(replies_kept_are_sent_later),
		T(a_gone_client_leaves_nothing_behind),
		T(truncated_memory_ends_the_connection),
		T(an_unmap_is_answered_when_the_device_is_quiet),
		T(t15_a_client_gone_while_the_device_stops),
		T(gives_doorbells),
		T(msix_waits_for_an_eventfd_in_the_pending_bits),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
