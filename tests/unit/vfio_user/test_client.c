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
#include "toy_server.h"
#include "vfio_user/protocol.h"

static struct toy_server t;

static void command(uint16_t bits)
{
	assert_int_equal(vfu_client_write(t.client,
					  VFIO_PCI_CONFIG_REGION_INDEX,
					  PCI_COMMAND, &bits, 2, false), 0);
}

static int setup(void **state)
{
	memset(&t, 0, sizeof(t));
	if (!toy_server_start(&t) || vfu_client_connect(t.path, &t.client))
		return -1;
	command(PCI_COMMAND_MEMORY);
	return 0;
}

static int teardown(void **state)
{
	struct stat st;

	toy_server_stop(&t);
	/* The socket is unlinked with its server. */
	assert_int_equal(stat(t.path, &st), -1);
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

/* ---- doorbells, sessions ---- */

static void reconnect(void)
{
	vfu_client_close(t.client);
	for (int i = 0; vfu_client_connect(t.path, &t.client); i++) {
		assert_true(i < 1000);
		usleep(1000);
	}
}

static void finds_doorbells(void **state)
{
	int bell = eventfd(0, EFD_NONBLOCK);
	const struct vfu_doorbell *bells;
	unsigned int n;
	uint64_t count;

	bells = vfu_client_doorbells(t.client, &n);
	assert_int_equal(n, 0);
	t.toy.doorbells[0] = (struct pci_doorbell){ 0, bell, 0x40, 2 };
	t.toy.doorbells[1] = (struct pci_doorbell){ 0, bell, 0x44, 0 };
	t.toy.doorbells[2] = (struct pci_doorbell){ 0, bell, 0x46, 3 };
	t.toy.pci.doorbells = t.toy.doorbells;
	__atomic_store_n(&t.toy.pci.n_doorbells, 3, __ATOMIC_RELEASE);
	reconnect();
	bells = vfu_client_doorbells(t.client, &n);
	assert_int_equal(n, 2);
	assert_int_equal(bells[1].off, 0x44);
	assert_int_equal(bells[1].len, 0);
	assert_int_equal(bells[0].len, 2);
	assert_int_equal(bells[0].fd, bells[1].fd);
	assert_int_equal(eventfd_write(bells[0].fd, 1), 0);
	assert_int_equal(eventfd_read(bell, &count), 0);
	close(bell);
}

static void come_back(struct vfu_session *session)
{
	vfu_client_close(t.client);
	for (int i = 0; vfu_client_connect_session(t.path, session,
						   &t.client); i++) {
		assert_true(i < 1000);
		usleep(1000);
	}
}

static void comes_back_to_its_session(void **state)
{
	struct vfu_session session = { "" }, same;
	uint16_t bits = 0;
	int mem = memfd_create("ram", 0);

	come_back(&session);
	assert_int_equal(strlen(session.name), VFU_SESSION_LEN);
	command(PCI_COMMAND_MEMORY);
	wr(0x10, 77, 4, false);
	assert_int_equal(ftruncate(mem, 0x1000), 0);
	assert_int_equal(vfu_client_map(t.client, 0, 0x1000, DMA_READ |
					DMA_WRITE, mem, 0), 0);
	same = session;
	come_back(&same);
	assert_string_equal(same.name, session.name);
	assert_int_equal(rd(0x10), 77);
	/* The memory has to be given again. */
	wr(TOY_DMA_TO, 0, 8, false);
	assert_int_equal(rd(TOY_DMA_OK), 0);
	assert_int_equal(vfu_client_map(t.client, 0, 0x1000, DMA_READ |
					DMA_WRITE, mem, 0), 0);
	wr(TOY_DMA_TO, 0, 8, false);
	assert_int_equal(rd(TOY_DMA_OK), 1);
	/* Somebody else finds the function as new, and so does who comes
	 * after him. */
	reconnect();
	assert_int_equal(vfu_client_read(t.client, VFIO_PCI_CONFIG_REGION_INDEX,
					 PCI_COMMAND, &bits, 2), 0);
	assert_int_equal(bits, 0);
	come_back(&same);
	assert_string_not_equal(same.name, session.name);
	command(PCI_COMMAND_MEMORY);
	assert_int_equal(rd(0x10), 0);
	/* A name that is not ours. */
	wr(0x10, 78, 4, false);
	memset(same.name, 'a', VFU_SESSION_LEN);
	come_back(&same);
	command(PCI_COMMAND_MEMORY);
	assert_int_equal(rd(0x10), 0);
	close(mem);
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
		T(serves_many_threads),
		T(fails_at_once_when_the_server_goes),
		T(a_second_client_is_turned_away),
		T(a_live_socket_is_not_replaced),
		T(refuses_other_protocols),
		T(finds_doorbells),
		T(comes_back_to_its_session),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
