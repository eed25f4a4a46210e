/* SPDX-License-Identifier: Apache-2.0
 *
 * The host's side of the guest agent, and of the console, against a guest that
 * means harm: whatever it sends or leaves unread costs memory within bounds
 * (T13, T16; docs/threat-model.md).
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/time.h"
#include "ctl/agent.h"
#include "ctl/agent_wire.h"
#include "ctl/console.h"

enum {
	MEMORY_MAX = 2 << 20,	/* bytes that an agent may come to cost */
	BLOCK = 16384,		/* as much as is read at a time */
};

static struct {
	struct agent *agent;
	uint64_t now_ns;
	unsigned int n_outputs, n_exits;	/* told to the sink */
	size_t at_first;			/* memory in use */
} f;

static size_t in_use(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

static void on_output(void *arg unused, bool is_stderr unused,
		      const void *data unused, size_t len)
{
	assert_in_range(len, 1, AGENT_PAYLOAD_MAX);
	f.n_outputs++;
}

static void on_error(void *arg unused, const char *text unused, size_t len)
{
	assert_in_range(len, 0, AGENT_PAYLOAD_MAX);
	f.n_outputs++;
}

static void on_exited(void *arg unused, int status)
{
	assert_in_range(status + 1, 0, 256);
	f.n_exits++;
}

static int exec(void)
{
	static const struct agent_sink sink = { on_output, on_error,
						on_exited };
	static const char *const argv[] = { "true" };

	return agent_exec(f.agent, argv, 1, &sink, NULL);
}

/* A frame from the guest. */
static void say(uint8_t type, uint16_t stream, const void *payload,
		uint16_t len)
{
	uint8_t frame[AGENT_HDR_LEN + AGENT_PAYLOAD_MAX];
	const struct agent_hdr hdr = { type, stream, len };

	agent_hdr_put(&hdr, frame);
	if (len)
		memcpy(frame + AGENT_HDR_LEN, payload, len);
	agent_input(f.agent, frame, (size_t)AGENT_HDR_LEN + len, f.now_ns);
}

static size_t unread(void)
{
	size_t len;

	return agent_output(f.agent, &len) ? len : 0;
}

/* The guest reads all there is, and answers the last hello. */
static void read_and_answer(void)
{
	const uint8_t version = AGENT_VERSION;
	struct agent_hdr hdr = { 0 };
	const uint8_t *out;
	uint16_t token = 0;
	size_t len;

	while ((out = agent_output(f.agent, &len))) {
		assert_true(len >= AGENT_HDR_LEN && agent_hdr_get(&hdr, out));
		if (hdr.type == AGENT_HELLO)
			token = hdr.stream;
		agent_sent(f.agent, (size_t)AGENT_HDR_LEN + hdr.len);
	}
	if (!agent_ready(f.agent))
		say(AGENT_READY, token, &version, 1);
	assert_true(agent_ready(f.agent));
}

static int setup(void **state unused)
{
	memset(&f, 0, sizeof(f));
	f.now_ns = 1000 * NS_PER_S;
	f.agent = agent_create();
	agent_attach(f.agent, f.now_ns);
	read_and_answer();
	f.at_first = in_use();
	return 0;
}

static int teardown(void **state unused)
{
	agent_detach(f.agent);
	agent_destroy(f.agent);
	return 0;
}

static void expect_bounded(void)
{
	size_t now = in_use();

	assert_true(now < f.at_first || now - f.at_first < MEMORY_MAX);
}

/* A command runs, and says something, as if nothing had happened. */
static void expect_alive(void)
{
	static const uint8_t zero[4];
	unsigned int n_outputs, n_exits;
	int id;

	/* What was begun and not ended is given up. */
	f.now_ns += 3600 * NS_PER_S;
	for (unsigned int i = 0; i < BLOCK; i++)
		agent_tick(f.agent, f.now_ns += NS_PER_S);
	read_and_answer();
	id = exec();
	n_outputs = f.n_outputs;
	n_exits = f.n_exits;
	assert_true(id > 0);
	say(AGENT_STDOUT, (uint16_t)id, "x", 1);
	say(AGENT_EXIT, (uint16_t)id, zero, 4);
	assert_int_equal(f.n_outputs, n_outputs + 1);
	assert_int_equal(f.n_exits, n_exits + 1);
}

/* Garbage, endless lines, beginnings of frames, one type over and over. */
static void flood(void **state unused)
{
	static uint8_t block[BLOCK];
	uint32_t seed = 1;

	for (unsigned int kind = 0; kind < 6; kind++) {
		for (unsigned int n = 0; n < 200; n++) {
			for (size_t i = 0; i < BLOCK; i++) {
				seed = seed * 1664525 + 1013904223;
				block[i] = kind == 0 ? seed >> 24 :
					kind == 1 ? 'x' :
					kind == 2 ? AGENT_SYNC : 0;
			}
			/* The longest frame there can be, and longer ones; of
			 * streams that there are not; begun and not ended. */
			for (size_t i = 0; kind > 2 && i + 8 <= BLOCK;
			     i += kind == 3 ? 8 : 4000)
				agent_hdr_put(&(struct agent_hdr) {
					.type = AGENT_STDOUT,
					.stream = (uint16_t)n,
					.len = kind == 3 ? 0 : kind == 4 ?
						AGENT_PAYLOAD_MAX : 0xffff,
					}, block + i);
			agent_input(f.agent, block, BLOCK, f.now_ns);
			expect_bounded();
		}
		expect_alive();
	}
}

/* It says that commands end, and more are started, but it reads nothing. */
static void reads_nothing(void **state unused)
{
	static const uint8_t zero[4];
	static uint8_t input[AGENT_STDIN_MAX];
	int id = 0, err = 0;

	for (unsigned int n = 0; n < 200000; n++) {
		err = id = exec();
		if (id < 0)
			break;
		if (n % 100 == 0)
			err = agent_stdin(f.agent, id, input, sizeof(input));
		assert_int_equal(err < 0, false);
		say(AGENT_WINDOW, (uint16_t)id, "\377\377\377\377", 4);
		unread();
		say(AGENT_EXIT, (uint16_t)id, zero, 4);
		expect_bounded();
	}
	assert_int_equal(err, -EAGAIN);
	/* It was a good many before that. */
	assert_in_range(unread(), 100000, MEMORY_MAX);
	expect_alive();
}

/* The operator hangs up and is not obeyed; each time more is said. */
static void commands_that_do_not_end(void **state unused)
{
	size_t waiting;
	int id;

	while ((id = exec()) > 0)
		agent_abandon(f.agent, id);
	assert_int_equal(id, -EBUSY);
	assert_true(agent_busy(f.agent));
	for (unsigned int n = 0; n < 100000; n++)
		agent_tick(f.agent, f.now_ns += 3 * NS_PER_S);
	waiting = unread();
	assert_in_range(waiting, 1, MEMORY_MAX / 2);
	expect_bounded();
	/* Once it reads it is told again. */
	read_and_answer();
	agent_tick(f.agent, f.now_ns += 3 * NS_PER_S);
	assert_in_range(unread(), 1, waiting);
	/* One that has begun anew has none of them. */
	say(AGENT_READY, 0, &(uint8_t){ AGENT_VERSION }, 1);
	assert_false(agent_busy(f.agent));
	expect_alive();
}

static void console_flood(void **state unused)
{
	static uint8_t block[BLOCK];
	struct console console = { 0 };
	size_t before = in_use();

	memset(block, '\n', sizeof(block));
	for (unsigned int n = 0; n < 5000; n++) {
		console_output(&console, block, BLOCK - n % 3);
		assert_in_range(console.kept.len, 1, CONSOLE_KEPT);
		assert_true(in_use() - before < 8 * CONSOLE_KEPT);
	}
	/* Nor does it take what is typed. */
	while (!console_type(&console, block, 1000))
		;
	assert_in_range(console.typed.len, CONSOLE_TYPED_MAX - 1000,
			CONSOLE_TYPED_MAX);
	console_fini(&console);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(flood),
		T(reads_nothing),
		T(commands_that_do_not_end),
		T(console_flood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
