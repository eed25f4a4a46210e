/* SPDX-License-Identifier: Apache-2.0
 *
 * Client and server together, over a socket in the file system, the server on
 * a worker of its own.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/time.h"
#include "loop/worker.h"
#include "toy.h"
#include "vfio_user/client.h"
#include "vfio_user/protocol.h"
#include "vfio_user/server.h"

static struct {
	char dir[32], path[64];
	struct worker *worker;
	struct toy toy;
	struct vfu_server *server;
	struct vfu_client *client;
} t;

static void command(uint16_t bits)
{
	assert_int_equal(vfu_client_write(t.client,
					  VFIO_PCI_CONFIG_REGION_INDEX,
					  PCI_COMMAND, &bits, 2, false), 0);
}

static int setup(void **state)
{
	struct vfu_server_config config = { .dev = &t.toy.pci };

	memset(&t, 0, sizeof(t));
	strcpy(t.dir, "/tmp/vfu-XXXXXX");
	if (!mkdtemp(t.dir))
		return -1;
	snprintf(t.path, sizeof(t.path), "%s/s", t.dir);
	t.worker = worker_create("test", 20000);
	config.worker = t.worker;
	config.path = t.path;
	if (toy_init(&t.toy) || vfu_server_create(&config, &t.server) ||
	    worker_start(t.worker) || vfu_client_connect(t.path, &t.client))
		return -1;
	command(PCI_COMMAND_MEMORY);
	return 0;
}

static int teardown(void **state)
{
	struct stat st;

	vfu_client_close(t.client);
	worker_stop(t.worker);
	vfu_server_destroy(t.server);
	pci_dev_fini(&t.toy.pci);
	worker_destroy(t.worker);
	/* The socket is unlinked with its server. */
	assert_int_equal(stat(t.path, &st), -1);
	rmdir(t.dir);
	return 0;
}

static uint32_t rd(uint64_t off)
{
	uint32_t val = 0;

	assert_int_equal(vfu_client_read(t.client, 0, off, &val, 4), 0);
	return val;
}

static void wr(uint64_t off, uint64_t val, uint32_t len, bool posted)
{
	assert_int_equal(vfu_client_write(t.client, 0, off, &val, len, posted),
			 0);
}

static void knows_the_device(void **state)
{
	struct stat st;

	assert_int_equal(stat(t.path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_true(vfu_client_connected(t.client));
	assert_int_equal(vfu_client_region(t.client, 0)->size, TOY_BAR_SIZE);
	assert_int_equal(vfu_client_region(t.client, 0)->flags,
			 VFIO_REGION_INFO_FLAG_READ |
			 VFIO_REGION_INFO_FLAG_WRITE);
	assert_int_equal(vfu_client_region(t.client, 1)->size, 0);
	assert_int_equal(vfu_client_region(t.client,
					   VFIO_PCI_CONFIG_REGION_INDEX)->size,
			 256);
	assert_int_equal(vfu_client_region(t.client, 1000)->size, 0);
	assert_int_equal(vfu_client_irqs(t.client, VFIO_PCI_INTX_IRQ_INDEX), 1);
	assert_int_equal(vfu_client_irqs(t.client, VFIO_PCI_MSI_IRQ_INDEX),
			 TOY_VECTORS);
	assert_int_equal(vfu_client_irqs(t.client, VFIO_PCI_MSIX_IRQ_INDEX),
			 TOY_MSIX_VECTORS);
}

static void reads_and_writes(void **state)
{
	uint8_t config[256], out[300], in[300];

	wr(0x20, 0x12345678, 4, false);
	assert_int_equal(rd(0x20), 0x12345678);
	/* Posted writes are done before what follows them. */
	for (uint32_t i = 0; i < 1000; i++)
		wr(0x20, i, 4, true);
	assert_int_equal(rd(0x20), 999);
	assert_int_equal(vfu_client_read(t.client, VFIO_PCI_CONFIG_REGION_INDEX,
					 0, config, sizeof(config)), 0);
	assert_int_equal(config[0], 0x34);
	memset(out, 0xa5, sizeof(out));
	assert_int_equal(vfu_client_write(t.client, 0, 3, out, sizeof(out),
					  false), 0);
	assert_int_equal(vfu_client_read(t.client, 0, 3, in, sizeof(in)), 0);
	assert_memory_equal(in, out, sizeof(in));
}

static void passes_errors_on(void **state)
{
	uint32_t val;

	assert_int_equal(vfu_client_read(t.client, 0, TOY_BAR_SIZE, &val, 4),
			 -EINVAL);
	assert_int_equal(vfu_client_read(t.client, 5, 0, &val, 4), -EINVAL);
	assert_int_equal(vfu_client_read(t.client, 0, 0, &val, 0), -EINVAL);
	assert_int_equal(vfu_client_unmap(t.client, 0, 0x1000), -ENOENT);
	assert_int_equal(vfu_client_map(t.client, 1, 0x1000, 3, -1, 0),
			 -EINVAL);
	assert_true(vfu_client_connected(t.client));
}

static void shares_memory(void **state)
{
	int fd = memfd_create("ram", MFD_CLOEXEC);
	char buf[4] = "";

	assert_int_equal(ftruncate(fd, 0x4000), 0);
	assert_int_equal(vfu_client_map(t.client, 0x100000, 0x2000,
					DMA_READ | DMA_WRITE, fd, 0x2000), 0);
	assert_int_equal(vfu_client_map(t.client, 0x100000, 0x1000, DMA_READ,
					fd, 0), -EEXIST);
	wr(TOY_DMA_TO, 0x100ffe, 8, true);
	assert_int_equal(rd(TOY_DMA_OK), 1);
	assert_int_equal(pread(fd, buf, 4, 0x2ffe), 4);
	assert_memory_equal(buf, "toy!", 4);
	assert_int_equal(vfu_client_reset(t.client), 0);
	command(PCI_COMMAND_MEMORY);
	wr(TOY_DMA_TO, 0x100000, 8, true);
	assert_int_equal(rd(TOY_DMA_OK), 1);	/* maps survive a reset */
	assert_int_equal(vfu_client_unmap(t.client, 0x100000, 0x2000), 0);
	wr(TOY_DMA_TO, 0x100000, 8, true);
	assert_int_equal(rd(TOY_DMA_OK), 0);
	close(fd);
}

static void gets_interrupts(void **state)
{
	int fds[TOY_VECTORS];
	uint64_t n;
	uint16_t enable = PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE;

	for (int i = 0; i < TOY_VECTORS; i++)
		fds[i] = i == 2 ? -1 : eventfd(0, 0);
	assert_int_equal(vfu_client_set_irqs(t.client, VFIO_PCI_MSI_IRQ_INDEX,
					     VFIO_IRQ_SET_DATA_EVENTFD |
					     VFIO_IRQ_SET_ACTION_TRIGGER, 0,
					     TOY_VECTORS, fds), 0);
	assert_int_equal(vfu_client_write(t.client,
					  VFIO_PCI_CONFIG_REGION_INDEX,
					  TOY_MSI_CAP + PCI_MSI_FLAGS, &enable,
					  2, false), 0);
	command(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	for (uint64_t i = 0; i < TOY_VECTORS; i++) {
		wr(TOY_MSI, i, 4, true);
		if (fds[i] >= 0)
			assert_int_equal(read(fds[i], &n, 8), 8);
	}
	assert_int_equal(vfu_client_set_irqs(t.client, VFIO_PCI_MSI_IRQ_INDEX,
					     VFIO_IRQ_SET_DATA_NONE |
					     VFIO_IRQ_SET_ACTION_TRIGGER, 0, 0,
					     NULL), 0);
	for (int i = 0; i < TOY_VECTORS; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

/* Each thread reads what it wrote, at its own place. */
static void rings_doorbells_by_eventfd(void **state)
{
	const struct vfu_doorbells *bells = vfu_client_doorbells(t.client);
	uint64_t deadline = time_now_ns() + 5 * NS_PER_S;

	assert_int_equal(bells->n, TOY_N_BELLS);
	assert_int_equal(bells->region, 0);
	for (unsigned int i = 0; i < TOY_N_BELLS; i++) {
		assert_int_equal(bells->at[i].off,
				 TOY_BELLS + i * TOY_BELL_STRIDE);
		assert_int_equal(bells->at[i].len, 0);
	}
	for (unsigned int n = 0; n < 10; n++) {
		assert_int_equal(eventfd_write(bells->fd, 1), 0);
		while (__atomic_load_n(&t.toy.n_rung, __ATOMIC_RELAXED) <= n)
			assert_true(time_now_ns() < deadline);
	}
}

static void *hammer(void *arg)
{
	uint64_t off = 0x100 + 4 * (uint64_t)(uintptr_t)arg;

	for (uint32_t i = 0; i < 2000; i++) {
		uint32_t val = i ^ (uint32_t)off << 16, got = ~val;

		if (vfu_client_write(t.client, 0, off, &val, 4, i & 1) ||
		    vfu_client_read(t.client, 0, off, &got, 4) || got != val)
			return (void *)-1;
	}
	return NULL;
}

static void serves_many_threads(void **state)
{
	pthread_t thread[8];
	void *ret;

	for (uintptr_t i = 0; i < ARRAY_SIZE(thread); i++)
		assert_int_equal(pthread_create(&thread[i], NULL, hammer,
						(void *)i), 0);
	for (size_t i = 0; i < ARRAY_SIZE(thread); i++) {
		pthread_join(thread[i], &ret);
		assert_null(ret);
	}
}

static void *until_it_fails(void *arg)
{
	uint32_t val;
	int err;

	while (!(err = vfu_client_read(t.client, 0, 0, &val, 4)))
		;
	return (void *)(intptr_t)err;
}

static void fails_at_once_when_the_server_goes(void **state)
{
	pthread_t thread[4];
	uint64_t begin;
	void *ret;
	uint32_t val;

	for (size_t i = 0; i < ARRAY_SIZE(thread); i++)
		assert_int_equal(pthread_create(&thread[i], NULL,
						until_it_fails, NULL), 0);
	usleep(20000);
	begin = time_now_ns();
	worker_stop(t.worker);
	vfu_server_destroy(t.server);
	t.server = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(thread); i++) {
		pthread_join(thread[i], &ret);
		assert_int_equal((intptr_t)ret, -ENOTCONN);
	}
	assert_true(time_now_ns() - begin < NS_PER_S);
	assert_false(vfu_client_connected(t.client));
	assert_int_equal(vfu_client_read(t.client, 0, 0, &val, 4), -ENOTCONN);
	assert_int_equal(vfu_client_write(t.client, 0, 0, &val, 4, true),
			 -ENOTCONN);
}

static void a_second_client_is_turned_away(void **state)
{
	struct vfu_client *second;

	assert_int_equal(vfu_client_connect(t.path, &second), -ENOTCONN);
	assert_int_equal(rd(0x20), 0);
}

static void a_live_socket_is_not_replaced(void **state)
{
	struct toy toy;
	struct vfu_server *second;
	struct vfu_server_config config = {
		.worker = t.worker, .dev = &toy.pci, .path = t.path,
	};

	assert_int_equal(toy_init(&toy), 0);
	assert_int_equal(vfu_server_create(&config, &second), -EADDRINUSE);
	pci_dev_fini(&toy.pci);
	assert_int_equal(rd(0x20), 0);
}

/* A server that answers the version with something else. */
static void *impostor(void *arg)
{
	struct vfu_header h;
	int fd = accept(*(int *)arg, NULL, NULL);

	if (recv(fd, &h, sizeof(h), MSG_WAITALL) == sizeof(h)) {
		h.flags = VFU_TYPE_REPLY;
		h.size = 5;
		send(fd, &h, sizeof(h), MSG_NOSIGNAL);
	}
	close(fd);
	return NULL;
}

static void refuses_other_protocols(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct vfu_client *client;
	pthread_t thread;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/x", t.dir);
	assert_int_equal(vfu_client_connect(address.sun_path, &client),
			 -ENOENT);
	assert_int_equal(bind(fd, (struct sockaddr *)&address,
			      sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(pthread_create(&thread, NULL, impostor, &fd), 0);
	assert_true(vfu_client_connect(address.sun_path, &client) < 0);
	pthread_join(thread, NULL);
	close(fd);
	unlink(address.sun_path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(knows_the_device),
		T(reads_and_writes),
		T(passes_errors_on),
		T(shares_memory),
		T(gets_interrupts),
		T(rings_doorbells_by_eventfd),
		T(serves_many_threads),
		T(fails_at_once_when_the_server_goes),
		T(a_second_client_is_turned_away),
		T(a_live_socket_is_not_replaced),
		T(refuses_other_protocols),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
