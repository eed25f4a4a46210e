/* SPDX-License-Identifier: Apache-2.0
 *
 * Cards of toy servers on the pcie board: what reaches memory through a bridge,
 * and servers that go away and come back.  KVM has the interrupt controllers;
 * no CPU runs.  Skipped where there is no /dev/kvm.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../vfio_user/toy.h"
#include "loop/worker.h"
#include "vfio_user/client_internal.h"
#include "vfio_user/server.h"
#include "vmm/cards.h"
#include "vmm/pci_setup.h"

enum {
	PORT = PCI_DEVFN(1, 0), BRIDGE = PCI_DEVFN(30, 0),
	SLTSTA = 0x80 + PCI_EXP_SLTSTA,	/* of a port */
	CHANGED = PCI_EXP_SLTSTA_PDC | PCI_EXP_SLTSTA_DLLSC,
	N_TRIES = 2000,
};

/* A NIC's server, in a process of its own as it were. */
struct toy_server {
	char path[64];
	struct worker *worker;
	struct toy toy;
	struct vfu_server *server;
	int bell;			/* of a doorbell; -1: none */
};

static struct {
	char dir[32];
	struct toy_server server[2];	/* of a port's, of a bridge's card */
	int kvm, vm, watch;
	struct irq irq;
	struct bus pio, mmio;
	struct bus_dev pm;
	struct pci_host host;
	struct vm_memory mem;
	struct cards cards;
	unsigned int n_waits;
} t;

static void set_line(void *opaque, unsigned int gsi, bool level)
{
}

static void send_msi(void *opaque, uint64_t addr, uint32_t data)
{
}

static const struct pci_host_ops host_ops = {
	.set_line = set_line, .send_msi = send_msi,
};

static void wait_vcpus(void *arg)
{
	t.n_waits++;
}

static int start(struct toy_server *s)
{
	struct vfu_server_config config = {
		.dev = &s->toy.pci, .path = s->path,
	};

	config.worker = s->worker = worker_create("test", 20000);
	s->bell = eventfd(0, EFD_NONBLOCK);
	if (toy_init(&s->toy))
		return -1;
	s->toy.doorbells[0] = (struct pci_doorbell){ 0, s->bell, 0x40, 4 };
	s->toy.pci.doorbells = s->toy.doorbells;
	s->toy.pci.n_doorbells = 1;
	return vfu_server_create(&config, &s->server) ||
		worker_start(s->worker);
}

static void stop(struct toy_server *s)
{
	if (!s->worker)
		return;
	worker_stop(s->worker);
	vfu_server_destroy(s->server);
	pci_dev_fini(&s->toy.pci);
	worker_destroy(s->worker);
	fd_close(&s->bell);
	s->worker = NULL;
}

static int add(struct toy_server *s, const char *id, unsigned int bridge)
{
	struct vm_nic_config nic = {
		.path = s->path, .id = id, .bridge = bridge, .slot = 1,
	};
	struct vm_error error;

	return cards_add(&t.cards, &nic, false, &error);
}

static int setup(void **state)
{
	memset(&t, 0, sizeof(t));
	t.mem.fd = -1;
	t.kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	t.vm = t.kvm < 0 ? -1 : ioctl(t.kvm, KVM_CREATE_VM, 0);
	if (t.vm < 0)
		return 0;	/* see SKIP_WITHOUT_KVM */
	strcpy(t.dir, "/tmp/cards-XXXXXX");
	if (!mkdtemp(t.dir))
		return -1;
	for (unsigned int i = 0; i < 2; i++) {
		snprintf(t.server[i].path, sizeof(t.server[i].path), "%s/%u",
			 t.dir, i);
		if (start(&t.server[i]))
			return -1;
	}
	bus_init(&t.pio, "ports");
	bus_init(&t.mmio, "memory");
	bus_dev_init(&t.pm, "pm", NULL, NULL, 4);
	t.watch = epoll_create1(EPOLL_CLOEXEC);
	if (irq_init(&t.irq) || irq_create_chips(&t.irq, t.vm) ||
	    vm_memory_init(&t.mem, VM_MEMORY_MIN) ||
	    pci_host_init(&t.host, VM_BOARD_PCIE, &host_ops, NULL, &t.pio,
			  &t.mmio, &t.pm) ||
	    cards_init(&t.cards, &t.host, &t.irq, &t.mem, 1, t.watch) ||
	    add(&t.server[0], "a", 0) || add(&t.server[1], "b", 1))
		return -1;
	return pci_host_reset(&t.host) || pci_setup(&t.host);
}

static int teardown(void **state)
{
	if (t.vm >= 0) {
		cards_unroute(&t.cards);
		cards_fini(&t.cards);
		pci_host_fini(&t.host);
		bus_fini(&t.mmio);
		bus_fini(&t.pio);
		irq_fini(&t.irq);
		vm_memory_fini(&t.mem);
		fd_close(&t.watch);
		stop(&t.server[0]);
		stop(&t.server[1]);
		rmdir(t.dir);
	}
	fd_close(&t.vm);
	fd_close(&t.kvm);
	return 0;
}

#define SKIP_WITHOUT_KVM() do {						\
	if (t.vm < 0) {							\
		print_message("skipped: no /dev/kvm\n");		\
		skip();							\
	}								\
} while (0)

static uint32_t in(unsigned int bus, unsigned int devfn, unsigned int off,
		   unsigned int len)
{
	uint64_t val = t.host.ecam.ops->read(&t.host, (uint64_t)bus << 20 |
					     devfn << 12 | off, len);

	return (uint32_t)(val & (BIT64(8 * len) - 1));
}

static void out(unsigned int bus, unsigned int devfn, unsigned int off,
		unsigned int len, uint32_t val)
{
	t.host.ecam.ops->write(&t.host, (uint64_t)bus << 20 | devfn << 12 |
			       off, len, val);
}

/* The card on @bus: its devfn, and a register of its BAR 0. */
static unsigned int devfn_on(unsigned int bus)
{
	return bus == 1 ? 0 : PCI_DEVFN(1, 0);
}

static uint64_t reg(unsigned int bus, unsigned int off)
{
	return (in(bus, devfn_on(bus), PCI_BASE_ADDRESS_0, 4) & ~15u) + off;
}

static bool can_dma(unsigned int bus)
{
	out(bus, devfn_on(bus), PCI_COMMAND, 2,
	    PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	bus_write(&t.mmio, reg(bus, TOY_DMA_TO), 8, 0x1000);
	return bus_read(&t.mmio, reg(bus, TOY_DMA_OK), 1);
}

static void test_dma_through_a_bridge(void **state)
{
	SKIP_WITHOUT_KVM();
	assert_true(can_dma(1) && can_dma(2));
	assert_memory_equal(vm_memory_at(&t.mem, 0x1000, 4), "toy!", 4);
	out(0, PORT, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_true(!can_dma(1) && can_dma(2));
	out(0, BRIDGE, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_true(!can_dma(1) && !can_dma(2));
	out(0, PORT, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_true(can_dma(1) && !can_dma(2));
	/* The one forbidden before a reset is not forbidden afterwards. */
	assert_int_equal(pci_host_reset(&t.host), 0);
	assert_int_equal(pci_setup(&t.host), 0);
	assert_true(can_dma(1) && can_dma(2));
}

/* The end of a connection is reported, and the card found lost. */
static void find_lost(unsigned int idx, struct cards_lost *lost)
{
	struct epoll_event event;

	assert_int_equal(epoll_wait(t.watch, &event, 1, 5000), 1);
	assert_true(cards_find_lost(&t.cards, 0, lost));
	assert_int_equal(lost->idx, idx);
	assert_true(t.cards.card[idx].nic->gone);
}

static int reconnect(const struct cards_lost *lost)
{
	struct vfu_session session = lost->session;
	struct vfu_client *fresh;

	/* The server may not have noticed that we went. */
	for (int i = 0; vfu_client_connect_session(lost->path, &session,
						   &fresh); i++) {
		assert_true(i < N_TRIES);
		usleep(1000);
	}
	return cards_reconnect(&t.cards, lost, fresh, &session, wait_vcpus,
			       NULL);
}

static void test_the_same_server(void **state)
{
	struct cards_lost lost;

	SKIP_WITHOUT_KVM();
	for (unsigned int i = 0; i < 2; i++) {
		unsigned int bus = i + 1;
		struct pci_nic *nic = t.cards.card[i].nic;

		assert_true(can_dma(bus));
		bus_write(&t.mmio, reg(bus, 0x10), 4, 77);
		out(0, PORT, SLTSTA, 2, CHANGED);
		shutdown(nic->client->fd, SHUT_RDWR);
		find_lost(i, &lost);
		assert_int_equal(bus_read(&t.mmio, reg(bus, 0x10), 4),
				 0xffffffff);
		assert_int_equal(reconnect(&lost), 0);
		assert_int_equal(bus_read(&t.mmio, reg(bus, 0x10), 4), 77);
		assert_true(can_dma(bus));
		assert_false(in(0, PORT, SLTSTA, 2) & CHANGED);
		assert_true(!nic->gone && nic->n_lost);
		assert_int_equal(nic->n_reconnects, 1);
		assert_int_equal(t.n_waits, bus);
		assert_false(cards_find_lost(&t.cards, 0, &lost));
	}
}

static uint64_t messages(unsigned int i)
{
	const struct vfu_server *server = t.server[i].server;

	return counter_read(&vfu_server_stats(server)->messages);
}

static void test_what_cannot_change_is_not_asked_for(void **state)
{
	struct cards_lost lost;
	uint64_t before;

	SKIP_WITHOUT_KVM();
	before = messages(0);
	assert_int_equal(in(1, 0, PCI_VENDOR_ID, 4), 0x56781234);
	assert_int_equal(in(1, 0, PCI_CAPABILITY_LIST, 1), TOY_MSI_CAP);
	assert_int_equal(in(1, 0, TOY_MSI_CAP, 2),
			 TOY_MSIX_CAP << 8 | PCI_CAP_ID_MSI);
	assert_int_equal(messages(0), before);
	(void)in(1, 0, PCI_COMMAND, 4);		/* and status */
	assert_int_equal(messages(0), before + 1);
	/* What is written is seen at once, and what a reset does. */
	out(1, 0, PCI_CACHE_LINE_SIZE, 1, 0x5a);
	assert_int_equal(in(1, 0, PCI_CACHE_LINE_SIZE, 1), 0x5a);
	assert_int_equal(pci_host_reset(&t.host), 0);
	assert_int_equal(pci_setup(&t.host), 0);
	assert_int_equal(in(1, 0, PCI_CACHE_LINE_SIZE, 1), 0);
	/* A card that has gone has gone altogether. */
	shutdown(t.cards.card[0].nic->client->fd, SHUT_RDWR);
	find_lost(0, &lost);
	assert_int_equal(in(1, 0, PCI_VENDOR_ID, 4), 0xffffffff);
	assert_int_equal(reconnect(&lost), 0);
	assert_int_equal(in(1, 0, PCI_VENDOR_ID, 4), 0x56781234);
}

static void test_what_is_done_while_away(void **state)
{
	struct pci_nic *nic = t.cards.card[0].nic;
	struct cards_lost lost;
	eventfd_t rung;
	uint64_t nic_at;

	SKIP_WITHOUT_KVM();
	nic_at = reg(1, 0);
	assert_true(can_dma(1));
	assert_int_equal(eventfd_read(t.server[0].bell, &rung), -1);
	shutdown(nic->client->fd, SHUT_RDWR);
	find_lost(0, &lost);
	for (uint32_t i = 1; i <= 3; i++)
		bus_write(&t.mmio, nic_at + TOY_HASH, 4, i);
	out(1, 0, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(reconnect(&lost), 0);
	assert_int_equal(bus_read(&t.mmio, nic_at + TOY_HASH, 4),
			 toy_hash(toy_hash(toy_hash(0, 1), 2), 3));
	assert_int_equal(in(1, 0, PCI_COMMAND, 2), PCI_COMMAND_MEMORY);
	assert_int_equal(nic->n_late, 4);
	/* Whether somebody rang in vain is not known. */
	assert_int_equal(eventfd_read(t.server[0].bell, &rung), 0);
	assert_true(can_dma(1));
}

/* The machine starts again without the card, which must not go on with what it
 * was at before. */
static void test_a_reset_while_away(void **state)
{
	struct cards_lost lost;

	SKIP_WITHOUT_KVM();
	assert_true(can_dma(1));
	bus_write(&t.mmio, reg(1, 0x10), 4, 77);
	out(0, PORT, SLTSTA, 2, CHANGED);
	shutdown(t.cards.card[0].nic->client->fd, SHUT_RDWR);
	find_lost(0, &lost);
	assert_int_equal(pci_host_reset(&t.host), 0);
	assert_int_equal(pci_setup(&t.host), 0);
	assert_int_equal(reconnect(&lost), 0);
	assert_false(in(0, PORT, SLTSTA, 2) & CHANGED);
	assert_false(in(1, 0, PCI_COMMAND, 2) & PCI_COMMAND_MASTER);
	out(1, 0, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(bus_read(&t.mmio, reg(1, 0x10), 4), 0);
	assert_true(can_dma(1));
}

/* More than is kept: another card, though the server knows the old one. */
static void test_too_much_while_away(void **state)
{
	struct pci_nic *nic = t.cards.card[0].nic;
	struct cards_lost lost;
	uint64_t nic_at;

	SKIP_WITHOUT_KVM();
	nic_at = reg(1, 0);
	bus_write(&t.mmio, reg(1, 0x10), 4, 77);
	out(0, PORT, SLTSTA, 2, CHANGED);
	shutdown(nic->client->fd, SHUT_RDWR);
	find_lost(0, &lost);
	for (uint32_t i = 0; i < VFU_JOURNAL_MAX + 10; i++)
		bus_write(&t.mmio, nic_at + 0x14, 4, i);
	assert_int_equal(reconnect(&lost), 0);
	assert_int_equal(in(0, PORT, SLTSTA, 2) & CHANGED, CHANGED);
	assert_int_equal(bus_read(&t.mmio, reg(1, 0x10), 4), 0);
	assert_int_equal(bus_read(&t.mmio, reg(1, 0x14), 4), 0);
	assert_true(nic->n_lost > VFU_JOURNAL_MAX && !nic->n_late);
	assert_true(can_dma(1));
}

static void test_a_new_server(void **state)
{
	struct vfu_session session = { "" };
	struct vfu_client *fresh;
	struct cards_lost lost;

	SKIP_WITHOUT_KVM();
	/* In the port: the guest is told that it is another card, which has no
	 * state, but is where the old one was. */
	bus_write(&t.mmio, reg(1, 0x10), 4, 77);
	out(0, PORT, SLTSTA, 2, CHANGED);
	stop(&t.server[0]);
	find_lost(0, &lost);
	assert_int_not_equal(vfu_client_connect_session(lost.path, &session,
							&fresh), 0);
	assert_int_equal(start(&t.server[0]), 0);
	assert_int_equal(reconnect(&lost), 0);
	assert_int_equal(in(0, PORT, SLTSTA, 2) & CHANGED, CHANGED);
	assert_true(in(0, PORT, SLTSTA, 2) & PCI_EXP_SLTSTA_PDS);
	assert_int_equal(in(1, 0, 0, 4), 0x56781234);
	assert_int_equal(bus_read(&t.mmio, reg(1, 0x10), 4), 0);
	assert_true(can_dma(1));
	/* Behind the bridge: the guest's set-up holds, the state is gone. */
	bus_write(&t.mmio, reg(2, 0x10), 4, 77);
	out(2, devfn_on(2), TOY_MSIX_CAP + PCI_MSIX_FLAGS, 2,
	    PCI_MSIX_FLAGS_ENABLE);
	stop(&t.server[1]);
	find_lost(1, &lost);
	assert_int_equal(start(&t.server[1]), 0);
	assert_int_equal(reconnect(&lost), 0);
	assert_int_equal(bus_read(&t.mmio, reg(2, 0x10), 4), 0);
	assert_true(can_dma(2));
	assert_true(in(2, devfn_on(2), TOY_MSIX_CAP + PCI_MSIX_FLAGS, 2) &
		    PCI_MSIX_FLAGS_ENABLE);
	/* And both after a reset of the machine. */
	assert_int_equal(pci_host_reset(&t.host), 0);
	assert_int_equal(pci_setup(&t.host), 0);
	assert_true(can_dma(1) && can_dma(2));
}

/* What answers there now is not the card that the guest knows. */
static void test_another_card(void **state)
{
	struct cards_lost lost;

	SKIP_WITHOUT_KVM();
	stop(&t.server[1]);
	find_lost(1, &lost);
	assert_int_equal(start(&t.server[1]), 0);
	t.server[1].toy.pci.config[PCI_SUBSYSTEM_ID] ^= 1;
	t.server[1].toy.pci.reset_val[PCI_SUBSYSTEM_ID] ^= 1;
	assert_int_equal(reconnect(&lost), -EPROTO);
	assert_true(cards_find_lost(&t.cards, 0, &lost));
	assert_true(t.cards.card[1].nic->gone);
	assert_true(can_dma(1));
}

/* Card 0 can be taken out of its port. */
static void take_out(bool pull)
{
	struct vm_error error;

	assert_int_equal(cards_ask(&t.cards, "a", pull, &error), 0);
	assert_true(cards_any_released(&t.cards));
	cards_reap(&t.cards, wait_vcpus, NULL);
	assert_null(t.cards.card[0].nic);
}

/* The same in a port: it stays plugged in, and can be taken out. */
static void test_another_card_in_a_port(void **state)
{
	struct cards_lost lost;

	SKIP_WITHOUT_KVM();
	stop(&t.server[0]);
	find_lost(0, &lost);
	assert_int_equal(start(&t.server[0]), 0);
	t.server[0].toy.pci.config[PCI_SUBSYSTEM_ID] ^= 1;
	t.server[0].toy.pci.reset_val[PCI_SUBSYSTEM_ID] ^= 1;
	assert_int_equal(reconnect(&lost), -EPROTO);
	assert_true(in(0, PORT, SLTSTA, 2) & PCI_EXP_SLTSTA_PDS);
	assert_true(cards_find_lost(&t.cards, 0, &lost));
	take_out(true);
}

/* Its server goes again just when the card is out of the port. */
static void test_a_card_out_of_its_port(void **state)
{
	struct cards_lost lost;

	SKIP_WITHOUT_KVM();
	stop(&t.server[0]);
	find_lost(0, &lost);
	pci_port_unplug(t.cards.card[0].port);
	take_out(false);
}

/* It has been taken out meanwhile, and another put in its place. */
static void test_a_card_that_is_not_there_any_more(void **state)
{
	struct vm_error error;
	struct cards_lost lost;

	SKIP_WITHOUT_KVM();
	stop(&t.server[0]);
	find_lost(0, &lost);
	assert_int_equal(start(&t.server[0]), 0);
	assert_int_equal(cards_ask(&t.cards, "a", true, &error), 0);
	assert_false(cards_find_lost(&t.cards, 0, &lost));
	assert_int_equal(reconnect(&lost), 0);
	cards_reap(&t.cards, wait_vcpus, NULL);
	for (int i = 0; add(&t.server[0], "c", 0); i++) {
		assert_true(i < N_TRIES);
		usleep(1000);
	}
	assert_string_equal(t.cards.card[0].nic->id, "c");
	assert_int_equal(t.cards.card[0].nic->n_reconnects, 0);
}

static void power_on(void *arg)
{
	struct toy_server *s = arg;

	pci_dev_reset(&s->toy.pci, PCI_RESET_POWER_ON);
}

/* Its last client has gone, and it has noticed. */
static void settle(const struct toy_server *s)
{
	for (int i = 0; vfu_server_connected(s->server); i++) {
		assert_true(i < N_TRIES);
		usleep(1000);
	}
}

static unsigned int open_fds(void)
{
	unsigned int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* T15: a card that is created in part only leaves nothing behind, wherever it
 * has failed; and its server is free again. */
static void test_cards_that_cannot_be_had(void **state)
{
	struct toy_server s = { .path = "" };
	struct vfu_client *busy = NULL;
	unsigned int n_fds;
	uint8_t *table;

	SKIP_WITHOUT_KVM();
	snprintf(s.path, sizeof(s.path), "%s/2", t.dir);
	n_fds = open_fds();
	assert_true(add(&s, "c", 1));		/* nobody there */
	assert_int_equal(open_fds(), n_fds);
	assert_int_equal(start(&s), 0);
	n_fds = open_fds();
	assert_int_equal(vfu_client_connect(s.path, &busy), 0);
	assert_true(add(&s, "c", 2));		/* somebody else's */
	vfu_client_close(busy);
	settle(&s);
	/* Its MSI-X table would be outside its BAR: found out last of all, when
	 * it has memory and interrupts. */
	table = s.toy.pci.reset_val + TOY_MSIX_CAP + PCI_MSIX_TABLE;
	le32_store(table, le32_load(table) + TOY_BAR_SIZE);
	worker_call(s.worker, power_on, &s);
	for (unsigned int i = 0; i < 3; i++) {
		assert_true(add(&s, "c", 2));
		settle(&s);
	}
	le32_store(table, le32_load(table) - TOY_BAR_SIZE);
	worker_call(s.worker, power_on, &s);
	assert_int_equal(open_fds(), n_fds);
	assert_int_equal(add(&s, "c", 2), 0);
	stop(&s);
}

/* A slot that is not there is not one that is taken. */
static void test_slots_that_cannot_be_had(void **state)
{
	struct vm_nic_config nic = {
		.path = t.server[0].path, .id = "c", .bridge = 1, .slot = 40,
	};
	struct vm_error error;

	SKIP_WITHOUT_KVM();
	assert_int_equal(cards_add(&t.cards, &nic, false, &error), -EINVAL);
	assert_string_equal(error.text,
			    "there is no slot 40, the last one is 31");
	nic.slot = 1;
	assert_int_equal(cards_add(&t.cards, &nic, false, &error), -EBUSY);
	assert_string_equal(error.text, "slot 1 is taken");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_dma_through_a_bridge),
		T(test_the_same_server),
		T(test_what_cannot_change_is_not_asked_for),
		T(test_what_is_done_while_away),
		T(test_a_reset_while_away),
		T(test_too_much_while_away),
		T(test_a_new_server),
		T(test_another_card),
		T(test_another_card_in_a_port),
		T(test_a_card_out_of_its_port),
		T(test_a_card_that_is_not_there_any_more),
		T(test_cards_that_cannot_be_had),
		T(test_slots_that_cannot_be_had),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
