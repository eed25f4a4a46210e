/* SPDX-License-Identifier: Apache-2.0
 *
 * Connections that are lost and taken over: every write is carried out once, in
 * its order.  The device hashes what is written, so that each that is missing,
 * repeated or out of turn shows.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loop/worker.h"
#include "toy.h"
#include "vfio_user/client_internal.h"
#include "vfio_user/server.h"

enum { CONFIG = VFIO_PCI_CONFIG_REGION_INDEX };

static struct {
	char dir[32], path[64];
	struct worker *worker;
	struct toy toy;
	struct vfu_server *server;
	struct vfu_session session;
	struct vfu_client *client;	/* atomic: threads look at it */
	uint32_t n, hash;		/* written so far */
} t;

static struct vfu_client *connect_session(void)
{
	struct vfu_client *client;

	/* The server may not have noticed that the last one went. */
	for (int i = 0; vfu_client_connect_session(t.path, &t.session,
						   &client); i++) {
		assert_true(i < 5000);
		usleep(1000);
	}
	return client;
}

static void command(uint16_t bits)
{
	assert_int_equal(vfu_client_write(t.client, CONFIG, PCI_COMMAND, &bits,
					  2, false), 0);
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
	    worker_start(t.worker))
		return -1;
	t.client = connect_session();
	command(PCI_COMMAND_MEMORY);
	return 0;
}

static int teardown(void **state)
{
	vfu_client_close(t.client);
	worker_stop(t.worker);
	vfu_server_destroy(t.server);
	pci_dev_fini(&t.toy.pci);
	worker_destroy(t.worker);
	rmdir(t.dir);
	return 0;
}

static uint32_t rd(uint64_t off)
{
	uint32_t val = 0;

	assert_int_equal(vfu_client_read(t.client, 0, off, &val, 4), 0);
	return val;
}

/* The next number, by @client. */
static int next(struct vfu_client *client, bool posted)
{
	uint32_t val = ++t.n;

	t.hash = toy_hash(t.hash, val);
	return vfu_client_write(client, 0, TOY_HASH, &val, 4, posted);
}

static void write_some(unsigned int n)
{
	while (n--)
		assert_int_equal(next(t.client, true), 0);
}

/* A read whose answer nobody waits for.  When the connection has been cut the
 * server gets no further than to it. */
static void ask(void)
{
	struct vfu_region_access a = { TOY_HASH, 0, 4 };
	struct vfu_request r = {
		.command = VFU_REGION_READ, .fd = -1,
		.body = &a, .body_len = sizeof(a),
	};

	assert_int_equal(vfu_client_send(t.client, &r, 0xffff, 0), 0);
}

static void cut(void)
{
	uint32_t val;

	shutdown(t.client->fd, SHUT_RDWR);
	assert_int_equal(vfu_client_read(t.client, 0, 0, &val, 4), -ENOTCONN);
}

/* Another connection takes over; how many writes were made up for. */
static unsigned int come_back(void)
{
	struct vfu_session before = t.session;
	struct vfu_client *fresh = connect_session(), *old = t.client;
	unsigned int n;

	assert_string_equal(before.name, t.session.name);
	assert_true(vfu_client_resumes(fresh, old));
	n = vfu_client_take_over(fresh, old, true);
	t.client = fresh;
	vfu_client_close(old);
	return n;
}

static void assert_all_done(void)
{
	assert_int_equal(rd(TOY_HASH), t.hash);
}

static void nothing_is_lost_and_nothing_done_twice(void **state)
{
	write_some(5);
	assert_all_done();
	worker_stop(t.worker);
	write_some(5);		/* the server will have done these */
	ask();
	write_some(6);		/* but not those */
	cut();
	write_some(7);		/* while nobody is there */
	assert_int_equal(worker_start(t.worker), 0);
	assert_int_equal(come_back(), 13);
	assert_all_done();
	write_some(1);
	assert_all_done();
	cut();
	assert_int_equal(come_back(), 0);
	assert_all_done();
}

/* The one that takes over is lost in its turn, before it was of any use. */
static void again_and_again(void **state)
{
	worker_stop(t.worker);
	ask();
	write_some(100);
	cut();
	assert_int_equal(worker_start(t.worker), 0);
	for (unsigned int i = 0; i < 5; i++) {
		come_back();
		cut();
		write_some(10);
	}
	assert_true(come_back() >= 10);
	assert_all_done();
}

/* A client that got no answer to VERSION knows nothing, and asks once more. */
static void a_connection_that_was_not_taken_up(void **state)
{
	struct vfu_client *fresh;

	cut();
	write_some(3);
	fresh = connect_session();
	vfu_client_close(fresh);
	assert_int_equal(come_back(), 3);
	assert_all_done();
}

static void *write_and_wait(void *arg)
{
	return (void *)(intptr_t)next(t.client, false);
}

/* One that is answered for is kept too; until then its caller waits. */
static void without_an_answer(void **state)
{
	for (unsigned int done = 0; done < 2; done++) {
		pthread_t thread;
		uint64_t nr = t.client->journal.n_done + t.client->journal.n;
		void *ret;

		worker_stop(t.worker);
		if (!done)
			ask();
		assert_int_equal(pthread_create(&thread, NULL, write_and_wait,
						NULL), 0);
		for (bool sent = false; !sent; usleep(100)) {
			pthread_mutex_lock(&t.client->send_lock);
			sent = t.client->journal.n_done +
				t.client->journal.n > nr;
			pthread_mutex_unlock(&t.client->send_lock);
		}
		shutdown(t.client->fd, SHUT_RDWR);
		pthread_join(thread, &ret);
		assert_int_equal((intptr_t)ret, 0);
		assert_int_equal(worker_start(t.worker), 0);
		assert_int_equal(come_back(), !done);
		assert_all_done();
	}
}

static void who_is_late_reaches_the_next(void **state)
{
	struct vfu_client *old = t.client, *fresh;

	cut();
	fresh = connect_session();
	assert_int_equal(vfu_client_take_over(fresh, old, true), 0);
	t.client = fresh;
	assert_int_equal(next(old, true), 0);
	assert_int_equal(next(old, false), 0);
	assert_all_done();
	vfu_client_close(old);
}

static void config_writes_too(void **state)
{
	uint16_t bits;

	cut();
	command(0);
	command(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(come_back(), 2);
	assert_int_equal(vfu_client_read(t.client, CONFIG, PCI_COMMAND, &bits,
					 2), 0);
	assert_int_equal(bits, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static void a_reset_is_made_up_for(void **state)
{
	write_some(3);
	cut();
	write_some(3);
	assert_int_equal(vfu_client_reset(t.client), -ENOTCONN);
	t.hash = 0;
	command(PCI_COMMAND_MEMORY);
	write_some(2);
	assert_int_equal(come_back(), 3);
	assert_all_done();
}

static void asks_for_an_answer_now_and_then(void **state)
{
	const struct vfu_journal *j = &t.client->journal;

	for (unsigned int i = 0; i < 3 * VFU_JOURNAL_MAX; i++) {
		write_some(1);
		assert_true(j->n <= VFU_JOURNAL_ASK);
	}
	assert_all_done();
}

/* Then the card is a new one, and what was kept is forgotten. */
static void too_many_while_away(void **state)
{
	unsigned int room = VFU_JOURNAL_MAX - t.client->journal.n;
	struct vfu_client *fresh;

	cut();
	write_some(room);
	assert_int_equal(next(t.client, true), -ENOTCONN);
	fresh = connect_session();
	assert_false(vfu_client_resumes(fresh, t.client));
	assert_true(vfu_client_take_over(fresh, t.client, false) >= room);
	vfu_client_close(t.client);
	t.client = fresh;
	assert_int_equal(rd(TOY_HASH), 0);
}

/* It gets too long while another is about to take over: not that one then. */
static void too_many_at_the_last_moment(void **state)
{
	unsigned int room = VFU_JOURNAL_MAX - t.client->journal.n;
	struct vfu_client *old[2] = { t.client };

	cut();
	write_some(room);
	t.client = connect_session();
	assert_true(vfu_client_resumes(t.client, old[0]));
	assert_int_equal(next(old[0], true), -ENOTCONN);
	vfu_client_take_over(t.client, old[0], true);
	assert_false(vfu_client_connected(t.client));
	assert_int_equal(next(old[0], true), -ENOTCONN);
	old[1] = t.client;
	t.client = connect_session();
	assert_false(vfu_client_resumes(t.client, old[1]));
	vfu_client_close(old[0]);
	vfu_client_close(old[1]);
}

static void a_server_that_cannot_be_right(void **state)
{
	struct vfu_client *fresh;

	write_some(10);
	cut();
	fresh = connect_session();
	assert_true(vfu_client_resumes(fresh, t.client));
	fresh->journal.n_done += 1;
	assert_false(vfu_client_resumes(fresh, t.client));
	fresh->journal.n_done = UINT64_MAX;
	assert_false(vfu_client_resumes(fresh, t.client));
	/* It said no number at all. */
	vfu_journal_close(&fresh->journal);
	assert_false(vfu_client_resumes(fresh, t.client));
	vfu_client_close(fresh);
}

/* ---- all at once ---- */

enum { N_THREADS = 4, N_CUTS = 40 };

static struct { bool stop; unsigned int n[N_THREADS]; } many;

/* Each counts up at a place of its own, so that order and number show. */
static void *count_up(void *arg)
{
	unsigned int me = (unsigned int)(uintptr_t)arg;
	uint64_t err = 0;

	while (!err && !__atomic_load_n(&many.stop, __ATOMIC_RELAXED)) {
		uint32_t val = ++many.n[me];
		struct vfu_client *client = __atomic_load_n(&t.client,
							    __ATOMIC_ACQUIRE);

		/* The bound is another test's. */
		while (__atomic_load_n(&client->journal.n, __ATOMIC_RELAXED) >
		       VFU_JOURNAL_MAX - N_THREADS &&
		       client == __atomic_load_n(&t.client, __ATOMIC_ACQUIRE))
			sched_yield();
		err = (uint64_t)vfu_client_write(client, 0, 0x100 + 4 * me,
						 &val, 4, val % 8);
	}
	return (void *)err;
}

static void while_threads_write(void **state)
{
	struct vfu_client *old[N_CUTS];
	pthread_t thread[N_THREADS];
	void *ret;

	memset(&many, 0, sizeof(many));
	for (uintptr_t i = 0; i < N_THREADS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, count_up,
						(void *)i), 0);
	for (unsigned int i = 0; i < N_CUTS; i++) {
		struct vfu_client *fresh;

		usleep(1000);
		old[i] = t.client;
		shutdown(old[i]->fd, SHUT_RDWR);
		fresh = connect_session();
		assert_true(vfu_client_resumes(fresh, old[i]));
		vfu_client_take_over(fresh, old[i], true);
		__atomic_store_n(&t.client, fresh, __ATOMIC_RELEASE);
	}
	__atomic_store_n(&many.stop, true, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < N_THREADS; i++) {
		pthread_join(thread[i], &ret);
		assert_null(ret);
		assert_int_equal(rd(0x100 + 4 * i), many.n[i]);
	}
	for (unsigned int i = 0; i < N_CUTS; i++)
		vfu_client_close(old[i]);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(nothing_is_lost_and_nothing_done_twice),
		T(again_and_again),
		T(a_connection_that_was_not_taken_up),
		T(without_an_answer),
		T(who_is_late_reaches_the_next),
		T(config_writes_too),
		T(a_reset_is_made_up_for),
		T(asks_for_an_answer_now_and_then),
		T(too_many_while_away),
		T(too_many_at_the_last_moment),
		T(a_server_that_cannot_be_right),
		T(while_threads_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
