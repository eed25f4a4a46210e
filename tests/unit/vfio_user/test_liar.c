/* SPDX-License-Identifier: Apache-2.0
 *
 * The client of a server that lies: each test has one that answers well but for
 * one message.  The VMM goes on, with what makes sense or without the card.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/unix_socket.h"
#include "pci/shared_regs.h"
#include "vfio_user/client_internal.h"

enum { REGION_SIZE = 0x1000, N_IRQS = 4, BODY_MAX = 1 << 16, FDS_MAX = 16 };

/* What the server is about to say. */
struct answer {
	struct vfu_header h;	/* its size is set before the lie is told */
	union {
		uint8_t body[BODY_MAX];
		struct vfu_device_info info;
		struct vfio_region_info region;
		struct {
			struct vfu_region_io_fds io;
			struct vfu_io_fd sub[512];
		};
		struct vfio_irq_info irq;
		char json[BODY_MAX];
	};
	size_t len;		/* bytes of body */
	int fds[FDS_MAX];	/* to go along; closed then */
	unsigned int n_fds;
};

static struct {
	char dir[32], path[64];
	int listener;
	pthread_t thread;
	void (*lie)(struct answer *a);
	struct answer a;
	struct vfu_client *client;
} t;

static void put(const void *body, size_t len)
{
	memcpy(t.a.body, body, len);
	t.a.len = len;
}

/* The truth, to the request in t.a. */
static void tell(void)
{
	static const char caps[] = "\0\0\0\0{\"capabilities\":{"
		"\"max_msg_fds\":8,\"backplane_shared_registers\":true}}";
	uint32_t index = t.a.region.index;

	switch (t.a.h.command) {
	case VFU_VERSION:
		put(caps, sizeof(caps));
		break;
	case VFU_GET_INFO:
		put(&(struct vfu_device_info){ 16, VFIO_DEVICE_FLAGS_PCI,
		    VFIO_PCI_NUM_REGIONS, VFIO_PCI_NUM_IRQS }, 16);
		break;
	case VFU_GET_REGION_INFO:
		put(&(struct vfio_region_info){ .argsz = 32, .flags = 3,
		    .index = index, .size = REGION_SIZE }, 32);
		break;
	case VFU_GET_REGION_IO_FDS:
		put(&(struct vfu_region_io_fds){ 16, 0, index, 0 }, 16);
		break;
	case VFU_GET_IRQ_INFO:
		put(&(struct vfio_irq_info){ 16, 0, index, N_IRQS }, 16);
		break;
	case VFU_REGION_READ:	/* what was asked for, and zeroes */
		t.a.len = sizeof(struct vfu_region_access) + 4;
		break;
	default:
		t.a.len = 0;
	}
}

/* Send what t.a says; what is longer than it is comes from behind it. */
static bool say(int fd)
{
	char control[CMSG_SPACE(FDS_MAX * sizeof(int))] = "";
	struct iovec iov[2] = { { &t.a.h, sizeof(t.a.h) },
				{ t.a.body, t.a.len } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };

	if (t.a.n_fds) {
		struct cmsghdr *c;

		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(t.a.n_fds * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(t.a.n_fds * sizeof(int));
		memcpy(CMSG_DATA(c), t.a.fds, t.a.n_fds * sizeof(int));
	}
	if (sendmsg(fd, &msg, MSG_NOSIGNAL) < 0)
		return false;
	for (unsigned int i = 0; i < t.a.n_fds; i++)
		fd_close(&t.a.fds[i]);
	return true;
}

static void *serve(void *arg)
{
	int fd = accept(t.listener, NULL, NULL);

	for (;;) {
		memset(&t.a, 0, sizeof(t.a));
		if (recv(fd, &t.a.h, sizeof(t.a.h), MSG_WAITALL) !=
		    sizeof(t.a.h))
			break;
		t.a.len = t.a.h.size - sizeof(t.a.h);
		if (t.a.len && recv(fd, t.a.body, t.a.len, MSG_WAITALL) !=
		    (ssize_t)t.a.len)
			break;
		tell();
		t.a.h.flags = VFU_TYPE_REPLY;
		t.a.h.size = (uint32_t)(sizeof(t.a.h) + t.a.len);
		t.lie(&t.a);
		if (!say(fd))
			break;
	}
	fd_close(&fd);
	return NULL;
}

/* Connect to one that tells this lie: as vfu_client_connect(). */
static int connect_liar(void (*lie)(struct answer *a))
{
	t.lie = lie;
	strcpy(t.dir, "/tmp/liar-XXXXXX");
	assert_non_null(mkdtemp(t.dir));
	snprintf(t.path, sizeof(t.path), "%s/s", t.dir);
	assert_int_equal(unix_listen(t.path, 1, &t.listener), 0);
	assert_int_equal(fcntl(t.listener, F_SETFL, 0), 0);	/* waits */
	assert_int_equal(pthread_create(&t.thread, NULL, serve, NULL), 0);
	return vfu_client_connect(t.path, &t.client);
}

static void end(void)
{
	vfu_client_close(t.client);
	pthread_join(t.thread, NULL);
	fd_close(&t.listener);
	unlink(t.path);
	rmdir(t.dir);
	memset(&t, 0, sizeof(t));
}

/* So many bytes to the answer, and its size as long. */
static void grow(struct answer *a, size_t len)
{
	a->len = len;
	a->h.size = (uint32_t)(sizeof(a->h) + len);
}

/* ---- messages ---- */

static void wrong_id(struct answer *a)
{
	a->h.id += a->h.command == VFU_GET_INFO;
}

static void wrong_command(struct answer *a)
{
	a->h.command += a->h.command == VFU_GET_INFO;
}

static void short_header(struct answer *a)
{
	if (a->h.command == VFU_GET_INFO)
		a->h.size = sizeof(a->h) - 1;
}

static void endless(struct answer *a)
{
	if (a->h.command == VFU_GET_INFO)
		a->h.size = UINT32_MAX;
}

static void short_info(struct answer *a)
{
	if (a->h.command == VFU_GET_INFO)
		grow(a, sizeof(a->info) - 1);
}

static void long_info(struct answer *a)
{
	if (a->h.command == VFU_GET_INFO)
		grow(a, BODY_MAX);
}

static void no_pci(struct answer *a)
{
	if (a->h.command == VFU_GET_INFO)
		a->info.flags = 0;
}

static void json_without_end(struct answer *a)
{
	if (a->h.command != VFU_VERSION)
		return;
	memset(a->json + 4, '[', BODY_MAX - 4);
	grow(a, 4096);
}

static void messages_that_cannot_be(void **state)
{
	void (*const lies[])(struct answer *a) = {
		wrong_id, wrong_command, short_header, endless, short_info,
		long_info, no_pci, json_without_end,
	};

	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		int err = connect_liar(lies[i]);

		assert_true(err == -EPROTO || err == -ENOTCONN);
		assert_null(t.client);
		end();
	}
}

static void more_than_there_is(struct answer *a)
{
	if (a->h.command == VFU_GET_INFO)
		a->info.n_regions = a->info.n_irqs = UINT32_MAX;
	/* Each of them with all the descriptors there can be, and more. */
	for (int i = 0; a->h.command == VFU_GET_REGION_IO_FDS && i < FDS_MAX;
	     i++)
		a->fds[a->n_fds++] = eventfd(0, EFD_NONBLOCK);
}

static void regions_and_interrupts_without_end(void **state)
{
	assert_int_equal(connect_liar(more_than_there_is), 0);
	assert_int_equal(vfu_client_region(t.client, 0)->size, REGION_SIZE);
	assert_int_equal(vfu_client_region(t.client, 9)->size, 0);
	assert_int_equal(vfu_client_irqs(t.client, 1000), 0);
	assert_true(t.client->n_fds <= VFU_CLIENT_FDS_MAX);
	end();
}

/* ---- regions and doorbells ---- */

static void mappable(struct answer *a)
{
	static const struct vfio_region_info_cap_sparse_mmap cap = {
		.header = { VFIO_REGION_INFO_CAP_SPARSE_MMAP, 1, 0 },
		.nr_areas = 8,
	};

	if (a->h.command != VFU_GET_REGION_INFO || a->region.index)
		return;
	/* A list of eight parts that can be mapped, as VFIO has it, without the
	 * flag that says so: nobody has asked for it. */
	a->region.flags |= VFIO_REGION_INFO_FLAG_MMAP;
	a->region.cap_offset = sizeof(a->region);
	a->fds[a->n_fds++] = memfd_create("region", MFD_CLOEXEC);
	memcpy(a->body + sizeof(a->region), &cap, sizeof(cap));
	for (unsigned int i = 0; i < cap.nr_areas; i++)
		a->body[sizeof(a->region) + sizeof(cap) + 16 * i + 8] = 1;
	grow(a, sizeof(a->region) + sizeof(cap) + 16 * cap.nr_areas);
}

static void a_region_that_is_too_long(void **state)
{
	/* It is as if it were not there; the next one is as it says. */
	assert_int_equal(connect_liar(mappable), 0);
	assert_int_equal(vfu_client_region(t.client, 0)->size, 0);
	assert_int_equal(vfu_client_region(t.client, 1)->size, REGION_SIZE);
	assert_int_equal(vfu_client_region(t.client, 1)->flags, 3);
	assert_int_equal(t.client->n_fds, 0);
	end();
}

static void bells(struct answer *a)
{
	static const struct vfu_io_fd bad[] = {
		{ .offset = REGION_SIZE, .size = 4 },
		{ .offset = UINT64_MAX, .size = 4 },
		{ .offset = REGION_SIZE - 1, .size = 2 },
		{ .size = 3 }, { .size = 16 }, { .size = UINT64_MAX },
		{ .size = 4, .fd_index = 1 },
		{ .size = 4, .fd_index = UINT32_MAX },
		{ .size = 4, .type = 1 }, { .size = 4, .flags = 1 },
	};

	if (a->h.command != VFU_GET_REGION_IO_FDS || a->io.index)
		return;
	a->fds[a->n_fds++] = eventfd(0, EFD_NONBLOCK);
	memcpy(a->sub, bad, sizeof(bad));
	/* One that is good, however many there are said to be; half of one. */
	a->sub[ARRAY_SIZE(bad)] = (struct vfu_io_fd){ .offset = 8, .size = 4 };
	a->io.count = UINT32_MAX;
	grow(a, sizeof(a->io) + sizeof(bad) + 3 * sizeof(*bad) / 2);
}

static void doorbells_that_cannot_be(void **state)
{
	const struct vfu_doorbell *bell;
	unsigned int n;

	assert_int_equal(connect_liar(bells), 0);
	bell = vfu_client_doorbells(t.client, &n);
	assert_int_equal(n, 1);
	assert_int_equal(bell->off, 8);
	end();
}

static void many_bells(struct answer *a)
{
	if (a->h.command != VFU_GET_REGION_IO_FDS)
		return;
	a->fds[a->n_fds++] = eventfd(0, EFD_NONBLOCK);
	for (unsigned int i = 0; i < VFU_CLIENT_DOORBELLS_MAX; i++)
		a->sub[i] = (struct vfu_io_fd){ .offset = i, .size = 1 };
	grow(a, sizeof(a->io) + VFU_CLIENT_DOORBELLS_MAX * sizeof(*a->sub));
}

static void more_doorbells_than_are_taken(void **state)
{
	unsigned int n;

	assert_int_equal(connect_liar(many_bells), 0);
	vfu_client_doorbells(t.client, &n);
	assert_int_equal(n, VFU_CLIENT_DOORBELLS_MAX);
	end();
}

/* ---- shared registers ---- */

static int page_fd(size_t len, int seals)
{
	int fd = memfd_create("page", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_int_equal(ftruncate(fd, (off_t)len), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

/* False: that is not what has been asked for. */
static bool share(struct answer *a, int fd, unsigned int n)
{
	if (a->h.command != VFU_GET_REGION_IO_FDS) {
		fd_close(&fd);
		return false;
	}
	a->fds[a->n_fds++] = fd;
	for (unsigned int i = 0; i < n; i++)
		a->sub[i] = (struct vfu_io_fd){
			.offset = 4 * i, .size = 4,
			.type = VFU_IO_FD_SHARED_REG,
		};
	grow(a, sizeof(a->io) + n * sizeof(*a->sub));
	return true;
}

static void shrinkable(struct answer *a)
{
	share(a, page_fd(PCI_SHARED_PAGE, 0), 1);
}

static void too_small(struct answer *a)
{
	share(a, page_fd(PCI_SHARED_PAGE - 1, F_SEAL_SHRINK), 1);
}

static void no_memory(struct answer *a)
{
	share(a, eventfd(0, EFD_NONBLOCK), 1);
}

static void bad_words(struct answer *a)
{
	if (!share(a, page_fd(PCI_SHARED_PAGE, F_SEAL_SHRINK), 6))
		return;
	a->sub[0].flags = PCI_SHARED_WORDS << VFU_SHARED_WORD_SHIFT;
	a->sub[1].flags = (uint32_t)PCI_SHARED_WORDS << VFU_SHARED_DUE_SHIFT;
	a->sub[2].flags = PCI_SHARED_APART + 1;
	a->sub[3].flags = PCI_SHARED_STORE_CALL;	/* no eventfd */
	a->sub[4].size = 8;
	a->sub[5].fd_index = 1;
}

static void many_words(struct answer *a)
{
	share(a, page_fd(PCI_SHARED_PAGE, F_SEAL_SHRINK), 100);
}

static void shared_registers_that_cannot_be(void **state)
{
	void (*const lies[])(struct answer *a) = {
		shrinkable, too_small, no_memory, bad_words,
	};
	uint32_t val;

	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		assert_int_equal(connect_liar(lies[i]), 0);
		assert_int_equal(t.client->n_shared_regs, 0);
		assert_int_equal(vfu_client_read(t.client, 0, 0, &val, 4), 0);
		end();
	}
	assert_int_equal(connect_liar(many_words), 0);
	assert_int_equal(t.client->n_shared_regs, PCI_SHARED_REGS_MAX);
	for (unsigned int i = 0; i < 2 * PCI_SHARED_REGS_MAX; i++)
		assert_int_equal(vfu_client_read(t.client, 0, 4 * i, &val, 4),
				 0);
	end();
}

/* ---- reads ---- */

static void short_read(struct answer *a)
{
	if (a->h.command == VFU_REGION_READ)
		grow(a, sizeof(struct vfu_region_access) + 3);
}

static void long_read(struct answer *a)
{
	if (a->h.command == VFU_REGION_READ)
		grow(a, BODY_MAX);
}

static void errno_out_of_range(struct answer *a)
{
	if (a->h.command != VFU_REGION_READ)
		return;
	a->h.flags |= VFU_ERROR;
	a->h.error = UINT32_MAX;
}

static void reads_of_another_length(void **state)
{
	void (*const lies[])(struct answer *a) = {
		short_read, long_read, errno_out_of_range,
	};
	struct { uint32_t val, behind; } r = { 0, 0x12345678 };

	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		assert_int_equal(connect_liar(lies[i]), 0);
		assert_true(vfu_client_read(t.client, 0, 0, &r.val, 4) < 0);
		assert_int_equal(r.behind, 0x12345678);
		end();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_that_cannot_be),
		cmocka_unit_test(regions_and_interrupts_without_end),
		cmocka_unit_test(a_region_that_is_too_long),
		cmocka_unit_test(doorbells_that_cannot_be),
		cmocka_unit_test(more_doorbells_than_are_taken),
		cmocka_unit_test(shared_registers_that_cannot_be),
		cmocka_unit_test(reads_of_another_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
