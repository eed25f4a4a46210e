/* SPDX-License-Identifier: Apache-2.0
 *
 * Registers in shared memory: client and server together.  Nothing may come out
 * other than by messages; and how many of those there are.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/time.h"
#include "toy_server.h"
#include "vfio_user/client_internal.h"

static struct {
	struct toy_server s;
	int irq, unmask;
	struct poller poller;	/* of what is stored in TOY_CALL */
	uint32_t seen;		/* by it; atomic */
} t;

static void set_irq(int *fd, uint32_t action)
{
	*fd = eventfd(0, EFD_NONBLOCK);
	assert_int_equal(vfu_client_set_irqs(t.s.client,
					     VFIO_PCI_INTX_IRQ_INDEX,
					     VFIO_IRQ_SET_DATA_EVENTFD | action,
					     0, 1, fd), 0);
}

static void config(unsigned int off, uint16_t val)
{
	assert_int_equal(vfu_client_write(t.s.client,
					  VFIO_PCI_CONFIG_REGION_INDEX, off,
					  &val, 2, false), 0);
}

static void connect_client(void)
{
	for (int i = 0; vfu_client_connect(t.s.path, &t.s.client); i++) {
		assert_true(i < 1000);
		usleep(1000);
	}
	config(PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static int setup(void **state)
{
	memset(&t, 0, sizeof(t));
	t.irq = t.unmask = -1;
	if (!toy_server_start(&t.s))
		return -1;
	connect_client();
	set_irq(&t.unmask, VFIO_IRQ_SET_ACTION_UNMASK);
	set_irq(&t.irq, VFIO_IRQ_SET_ACTION_TRIGGER);
	return 0;
}

static int teardown(void **state)
{
	toy_server_stop(&t.s);
	fd_close(&t.irq);
	fd_close(&t.unmask);
	return 0;
}

static uint32_t rd(uint64_t off)
{
	uint32_t val = 0;

	assert_int_equal(vfu_client_read(t.s.client, 0, off, &val, 4), 0);
	return val;
}

/* Posted, as a VMM does. */
static void wr(uint64_t off, uint32_t val)
{
	assert_int_equal(vfu_client_write(t.s.client, 0, off, &val, 4, true),
			 0);
}

/* The server is through with everything. */
static void settle(void)
{
	(void)rd(0x10);
}

static uint64_t messages(void)
{
	return counter_read(&vfu_server_stats(t.s.server)->messages);
}

static bool signalled(int fd, int timeout_ms)
{
	struct pollfd p = { fd, POLLIN, 0 };
	uint64_t n;

	return poll(&p, 1, timeout_ms) == 1 && read(fd, &n, sizeof(n)) > 0;
}

/* As KVM does at the end of an interrupt. */
static void unmask(void)
{
	assert_int_equal(eventfd_write(t.unmask, 1), 0);
}

static void costs_no_message(void **state)
{
	uint64_t before;

	settle();
	before = messages();
	assert_int_equal(rd(TOY_INFO), TOY_INFO_VALUE);
	wr(TOY_MASK_SET, 0xf);
	wr(TOY_MASK_CLEAR, 0xc);
	assert_int_equal(rd(TOY_CAUSE), 0);
	assert_int_equal(messages(), before);
	/* The server sees what was done. */
	wr(TOY_RAISE, 4);
	settle();
	assert_false(signalled(t.irq, 0));
	wr(TOY_RAISE, 2);
	assert_true(signalled(t.irq, 1000));
	assert_int_equal(rd(TOY_CAUSE), 6);
	assert_int_equal(rd(TOY_CAUSE), 0);
}

static void a_read_is_behind_posted_writes(void **state)
{
	for (uint32_t i = 1; i < 5000; i++) {
		wr(TOY_RAISE, i);
		assert_int_equal(rd(TOY_CAUSE), i);
	}
}

static bool stalled, go_on;	/* atomic */

static void stall(void *arg)
{
	__atomic_store_n(&stalled, true, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&go_on, __ATOMIC_SEQ_CST))
		usleep(100);
}

static void *stall_worker(void *arg)
{
	worker_call(t.s.worker, stall, NULL);
	return NULL;
}

/* While the server does nothing at all. */
static void nobody_waits_for_what_is_apart(void **state)
{
	pthread_t thread;

	settle();
	stalled = go_on = false;
	assert_int_equal(pthread_create(&thread, NULL, stall_worker, NULL), 0);
	while (!__atomic_load_n(&stalled, __ATOMIC_SEQ_CST))
		usleep(100);
	wr(TOY_HASH, 5);
	assert_int_equal(rd(TOY_INFO), TOY_INFO_VALUE);
	wr(TOY_MASK_SET, 1);
	assert_int_equal(pci_shared_load(&t.s.toy.words[1]), 1);
	assert_int_equal(t.s.toy.mem[TOY_HASH], 0);
	__atomic_store_n(&go_on, true, __ATOMIC_SEQ_CST);
	pthread_join(thread, NULL);
	assert_int_equal(rd(TOY_HASH), toy_hash(0, 5));
}

static void another_width_is_not_apart(void **state)
{
	uint32_t val = 1;

	wr(TOY_HASH, 1);
	assert_int_not_equal(t.s.client->n_ahead, t.s.client->n_posted);
	assert_int_equal(vfu_client_write(t.s.client, 0, TOY_HASH, &val, 2,
					  true), 0);
	assert_int_equal(t.s.client->n_ahead, t.s.client->n_posted);
}

static void *write_apart(void *arg)
{
	uint32_t val = 1;

	while (!__atomic_load_n((bool *)arg, __ATOMIC_ACQUIRE) &&
	       !vfu_client_write(t.s.client, 0, TOY_HASH, &val, 4, true))
		;
	return NULL;
}

/* Whatever is apart, from this thread and from another. */
static void a_read_is_behind_other_posted_writes(void **state)
{
	bool stop = false;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, write_apart, &stop), 0);
	for (uint32_t i = 1; i < 2000; i++) {
		wr(TOY_HASH, i);
		wr(TOY_RAISE, i);
		wr(TOY_HASH, i);
		assert_int_equal(rd(TOY_CAUSE), i);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
}

static void writes_are_in_order(void **state)
{
	settle();
	for (uint32_t i = 0; i < 1000; i++) {
		/* If the second were first, there would be an interrupt. */
		wr(TOY_MASK_CLEAR, 1);
		wr(TOY_RAISE, 1);
		wr(TOY_MASK_CLEAR, 1);
		assert_int_equal(rd(TOY_CAUSE), 1);
		wr(TOY_MASK_SET, 1);
	}
	settle();
	assert_false(signalled(t.irq, 0));
}

static void only_bits_that_are_there_are_set(void **state)
{
	settle();
	wr(TOY_MASK_SET, ~0u);
	assert_int_equal(pci_shared_load(&t.s.toy.words[1]), TOY_MASKABLE);
}

static void setting_what_is_due_interrupts(void **state)
{
	wr(TOY_RAISE, 1);
	settle();
	assert_false(signalled(t.irq, 0));
	wr(TOY_MASK_SET, 1);
	assert_true(signalled(t.irq, 1000));
}

/* Again and again, each cause and its mask being set at the same time. */
static void *set_masks(void *arg)
{
	struct vfu_client *client = t.s.client;
	uint32_t bit = 1;

	while (!__atomic_load_n((bool *)arg, __ATOMIC_ACQUIRE)) {
		if (vfu_client_write(client, 0, TOY_MASK_CLEAR, &bit, 4,
				     true) ||
		    vfu_client_write(client, 0, TOY_MASK_SET, &bit, 4, true))
			break;
	}
	return NULL;
}

static void raise_one(void *arg)
{
	pci_bar_write(&t.s.toy.pci, 0, TOY_RAISE, 4, 1);
}

static void no_interrupt_is_lost(void **state)
{
	pthread_t thread;
	bool stop = false;

	assert_int_equal(pthread_create(&thread, NULL, set_masks, &stop), 0);
	for (int i = 0; i < 2000; i++) {
		worker_call(t.s.worker, raise_one, NULL);
		assert_true(signalled(t.irq, 5000));
		while (!rd(TOY_CAUSE))
			;
		unmask();
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
}

static void the_pin_falls_unseen(void **state)
{
	wr(TOY_MASK_SET, 3);
	wr(TOY_RAISE, 1);
	assert_true(signalled(t.irq, 1000));
	assert_int_equal(rd(TOY_CAUSE), 1);
	/* Not again at the end of the interrupt, but for the next cause. */
	unmask();
	settle();
	assert_false(signalled(t.irq, 20));
	assert_false(t.s.toy.pci.intx_level);
	wr(TOY_RAISE, 2);
	assert_true(signalled(t.irq, 1000));
	/* Unread, it is still there at the end of that one. */
	unmask();
	assert_true(signalled(t.irq, 1000));
}

static void each_edge_is_a_message_signalled_interrupt(void **state)
{
	int msi = eventfd(0, EFD_NONBLOCK);

	assert_int_equal(vfu_client_set_irqs(t.s.client, VFIO_PCI_MSI_IRQ_INDEX,
					     VFIO_IRQ_SET_DATA_EVENTFD |
					     VFIO_IRQ_SET_ACTION_TRIGGER, 0,
					     1, &msi), 0);
	config(TOY_MSI_CAP + PCI_MSI_FLAGS, PCI_MSI_FLAGS_ENABLE);
	wr(TOY_MASK_SET, 1);
	for (int i = 0; i < 1000; i++) {
		wr(TOY_RAISE, 1);
		assert_true(signalled(msi, 1000));
		assert_int_equal(rd(TOY_CAUSE), 1);
	}
	close(msi);
}

static void nothing_without_decoding(void **state)
{
	wr(TOY_MASK_SET, 1);
	settle();
	config(PCI_COMMAND, 0);
	assert_int_equal(rd(TOY_INFO), 0xffffffff);
	assert_int_equal(rd(TOY_CAUSE), 0xffffffff);
	wr(TOY_MASK_CLEAR, 1);
	config(PCI_COMMAND, PCI_COMMAND_MEMORY);
	assert_int_equal(rd(TOY_INFO), TOY_INFO_VALUE);
	assert_int_equal(pci_shared_load(&t.s.toy.words[1]), 1);
}

static void other_widths_are_messages(void **state)
{
	uint64_t before, val = 0;

	settle();
	before = messages();
	assert_int_equal(vfu_client_read(t.s.client, 0, TOY_INFO, &val, 2), 0);
	assert_int_equal(vfu_client_read(t.s.client, 0, TOY_INFO, &val, 8), 0);
	assert_int_equal(messages(), before + 2);
}

/* ---- what is stored ---- */

static void stores_cost_no_message(void **state)
{
	uint64_t before;

	settle();
	before = messages();
	for (uint32_t i = 1; i < 100; i++) {
		wr(TOY_STORE, i << 16 | i);
		assert_int_equal(pci_shared_load(&t.s.toy.words[3]), i);
	}
	assert_int_equal(messages(), before);
	/* Reading it takes one, which comes behind. */
	assert_int_equal(rd(TOY_STORE), 99);
}

static void stores_stay_behind_posted_writes(void **state)
{
	for (uint32_t i = 1; i < 2000; i++) {
		wr(TOY_RAISE, 1);
		wr(TOY_STORE, i);
		wr(TOY_CALL, i);
		assert_int_equal(rd(TOY_STORE), i);
		assert_int_equal(rd(TOY_CALL), i);
	}
}

static bool poll_stored(struct poller *poller)
{
	uint32_t val = pci_shared_load(&t.s.toy.words[4]);
	bool more = val != t.seen;

	__atomic_store_n(&t.seen, val, __ATOMIC_RELEASE);
	return more;
}

static void arm_stored(struct poller *poller)
{
	__atomic_store_n(&t.s.toy.words[5], 1, __ATOMIC_SEQ_CST);
}

static void disarm_stored(struct poller *poller)
{
	__atomic_store_n(&t.s.toy.words[5], 0, __ATOMIC_RELAXED);
}

static void add_poller(void *arg)
{
	worker_add_poller(t.s.worker, &t.poller);
}

static void remove_poller(void *arg)
{
	worker_remove_poller(t.s.worker, &t.poller);
}

/* Whether or not it is about to fall asleep just now. */
static void who_sleeps_is_called(void **state)
{
	uint64_t before;

	t.poller = (struct poller){ .poll = poll_stored, .arm = arm_stored,
				    .disarm = disarm_stored };
	worker_call(t.s.worker, add_poller, NULL);
	settle();
	before = messages();
	for (uint32_t i = 1; i < 5000; i++) {
		uint64_t end_ns = time_now_ns() + 10 * NS_PER_S;

		wr(TOY_CALL, i);
		while (__atomic_load_n(&t.seen, __ATOMIC_ACQUIRE) != i)
			assert_true(time_now_ns() < end_ns);
		/* So that it finds the worker in each of its states. */
		if (i % 3 == 0)
			sched_yield();
		if (i % 64 == 0)
			usleep(i);
	}
	assert_int_equal(messages(), before);
	assert_true(counter_read(&worker_stats(t.s.worker)->sleeps) > 10);
	worker_call(t.s.worker, remove_poller, NULL);
}

/* Whether its server has seen it cannot be known: it is told as well. */
static void a_store_into_a_closed_page_is_a_message(void **state)
{
	uint64_t before;

	settle();
	before = messages();
	t.s.client->shared->closed = true;
	wr(TOY_STORE, 7);
	assert_int_equal(rd(TOY_STORE), 7);
	assert_int_equal(messages(), before + 2);
}

static void a_reset_reaches_the_page(void **state)
{
	wr(TOY_MASK_SET, 1);
	wr(TOY_RAISE, 1);
	assert_int_equal(vfu_client_reset(t.s.client), 0);
	config(PCI_COMMAND, PCI_COMMAND_MEMORY);
	assert_int_equal(rd(TOY_CAUSE), 0);
	assert_int_equal(pci_shared_load(&t.s.toy.words[1]), 0);
}

/* Whoever keeps a page reaches nothing by it. */
static void a_page_is_one_connection_s(void **state)
{
	struct pci_shared_page *old = t.s.client->shared;

	assert_non_null(old);
	t.s.client->shared = NULL;	/* we keep it */
	vfu_client_close(t.s.client);
	connect_client();
	assert_true(__atomic_load_n(&old->closed, __ATOMIC_SEQ_CST));
	wr(TOY_MASK_SET, 2);
	old->word[0] = old->word[1] = ~0u;
	settle();
	assert_int_equal(rd(TOY_CAUSE), 0);
	assert_int_equal(pci_shared_load(&t.s.toy.words[1]), 2);
}

/* The same words, in a page or not, for one that comes back. */
static void a_session_keeps_the_words(void **state)
{
	struct vfu_session session = { "" };
	bool first = true;

	vfu_client_close(t.s.client);
	for (int i = 0; i < 1000; i++) {
		if (vfu_client_connect_session(t.s.path, &session,
					       &t.s.client)) {
			usleep(1000);
			continue;
		}
		if (!first)
			break;
		first = false;
		config(PCI_COMMAND, PCI_COMMAND_MEMORY);
		wr(TOY_MASK_SET, 0xf0);
		wr(TOY_RAISE, 0x0f);
		settle();
		vfu_client_close(t.s.client);
	}
	assert_false(first);
	assert_int_equal(pci_shared_load(&t.s.toy.words[1]), 0xf0);
	assert_int_equal(rd(TOY_CAUSE), 0x0f);
}

static void a_server_that_goes_is_noticed(void **state)
{
	uint32_t val;

	settle();
	worker_stop(t.s.worker);
	vfu_server_destroy(t.s.server);
	t.s.server = NULL;
	assert_int_equal(vfu_client_read(t.s.client, 0, TOY_INFO, &val, 4),
			 -ENOTCONN);
	assert_int_equal(vfu_client_write(t.s.client, 0, TOY_MASK_SET, &val, 4,
					  true), -ENOTCONN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(costs_no_message),
		T(a_read_is_behind_posted_writes),
		T(nobody_waits_for_what_is_apart),
		T(another_width_is_not_apart),
		T(a_read_is_behind_other_posted_writes),
		T(writes_are_in_order),
		T(only_bits_that_are_there_are_set),
		T(setting_what_is_due_interrupts),
		T(no_interrupt_is_lost),
		T(the_pin_falls_unseen),
		T(each_edge_is_a_message_signalled_interrupt),
		T(nothing_without_decoding),
		T(other_widths_are_messages),
		T(stores_cost_no_message),
		T(stores_stay_behind_posted_writes),
		T(who_sleeps_is_called),
		T(a_store_into_a_closed_page_is_a_message),
		T(a_reset_reaches_the_page),
		T(a_page_is_one_connection_s),
		T(a_session_keeps_the_words),
		T(a_server_that_goes_is_noticed),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
