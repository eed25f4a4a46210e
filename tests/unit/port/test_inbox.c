/* SPDX-License-Identifier: Apache-2.0
 *
 * The inbox against a plain list: frames of random lengths go in until it is
 * full and come out, in batches of which not all is released, thousands of
 * times round the ring.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../switch/fake_port.h"
#include "port/inbox.h"

enum { ROUNDS = 4000, WAITING_MAX = INBOX_SIZE / INBOX_ALIGN };

/* A frame that is in the inbox: its bytes follow from its number. */
struct waiting {
	uint32_t number;
	uint32_t len;
};

static uint8_t bytes[FRAME_LEN_MAX + 256];
static struct waiting waiting[WAITING_MAX];
static unsigned int n_waiting;

/* Any number's bytes lie somewhere in one pattern. */
static uint8_t *data_of(uint32_t number)
{
	return bytes + number % 251;
}

static uint32_t some_len(void)
{
	switch (rand() % 8) {
	case 0:
		return (uint32_t)(FRAME_LEN_MAX - rand() % 100);
	case 1:
		return (uint32_t)(FRAME_LEN_MIN + rand() % 9000);
	default:
		return (uint32_t)(FRAME_LEN_MIN + rand() % 300);
	}
}

/* Return: was there room? */
static bool put_one(struct inbox *inbox, uint32_t number)
{
	static struct frame_batch batch;
	uint32_t len = some_len();
	struct iovec iov = { data_of(number), len };
	struct frame *frame;

	batch.n = batch.n_segs = 0;
	frame = batch_next(&batch);
	assert_int_equal(batch_fill(&batch, frame, &iov, 1, len), 0);
	frame->verdict = (uint16_t)number;
	frame->vlan_tci = (uint16_t)(number >> 16);
	if (!inbox_put(inbox, &frame, 1, number % PORT_QUEUES_MAX))
		return false;
	waiting[n_waiting++] = (struct waiting){ number, len };
	return true;
}

static void take_some(struct inbox *inbox)
{
	static struct inbox_batch batch;
	static uint8_t got[FRAME_LEN_MAX];
	unsigned int n = inbox_peek(inbox, &batch);

	assert_int_equal(n, min_of(n_waiting, (unsigned int)BATCH_MAX));
	for (unsigned int i = 0; i < n; i++) {
		const struct frame *frame = &batch.frames[i];
		const struct waiting *w = &waiting[i];

		assert_int_equal(frame->len, w->len);
		assert_int_equal(frame->verdict, (uint16_t)w->number);
		assert_int_equal(frame->vlan_tci, w->number >> 16);
		assert_int_equal(frame->cookie, w->number % PORT_QUEUES_MAX);
		frame_copy(frame, got, sizeof(got));
		assert_memory_equal(got, data_of(w->number), w->len);
	}
	n = (unsigned int)rand() % (n + 1);
	inbox_release(inbox, &batch, n);
	n_waiting -= n;
	memmove(waiting, waiting + n, n_waiting * sizeof(waiting[0]));
}

static void test_like_a_list(void **state)
{
	struct worker *worker = worker_create("test", 0);
	struct fake_port *fake = fake_port_new("fake", worker);
	struct inbox *inbox = inbox_create(&fake->port);
	unsigned int n_full = 0;
	uint32_t number = 0;

	srand(5);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 2654435761u >> 13);
	for (unsigned int round = 0; round < ROUNDS; round++) {
		for (unsigned int n = (unsigned int)rand() % 40; n; n--) {
			if (!put_one(inbox, number)) {
				n_full++;
				break;
			}
			number++;
		}
		inbox_publish(inbox);
		take_some(inbox);
	}
	assert_true(n_full > 100);
	while (n_waiting)
		take_some(inbox);
	/* Empty, it takes the largest one wherever the ring stands. */
	for (unsigned int i = 0; i < 2; i++)
		assert_true(put_one(inbox, number++));
	inbox_destroy(inbox);
	fake_port_free(fake);
	worker_destroy(worker);
}

static void test_unseen_before_published(void **state)
{
	struct worker *worker = worker_create("test", 0);
	struct fake_port *fake = fake_port_new("fake", worker);
	struct inbox *inbox = inbox_create(&fake->port);
	static struct inbox_batch batch;

	n_waiting = 0;
	assert_true(put_one(inbox, 1));
	assert_int_equal(inbox_peek(inbox, &batch), 0);
	inbox_publish(inbox);
	assert_int_equal(inbox_peek(inbox, &batch), 1);
	inbox_release(inbox, &batch, 1);
	assert_int_equal(inbox_peek(inbox, &batch), 0);
	inbox_destroy(inbox);
	fake_port_free(fake);
	worker_destroy(worker);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_like_a_list),
		cmocka_unit_test(test_unseen_before_published),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
