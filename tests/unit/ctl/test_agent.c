/* SPDX-License-Identifier: Apache-2.0
 *
 * The host's side of the guest agent against a guest made of frames.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/byteorder.h"
#include "base/time.h"
#include "base/util.h"
#include "ctl/agent.h"
#include "ctl/agent_wire.h"

/* What the sinks were told, as text: "out:x err:y exit:0 ". */
static char told[65536];

static void tell(const char *what, const void *data, size_t len)
{
	size_t n = strlen(told);

	snprintf(told + n, sizeof(told) - n, "%s:%.*s ", what, (int)len,
		 (const char *)data);
}

static void on_output(void *arg unused, bool is_stderr, const void *data,
		      size_t len)
{
	tell(is_stderr ? "err" : "out", data, len);
}

static void on_error(void *arg unused, const char *text, size_t len)
{
	tell("error", text, len);
}

static void on_exited(void *arg unused, int status)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", status);
	tell("exit", text, strlen(text));
}

static const struct agent_sink sink = { on_output, on_error, on_exited };
static const char *const argv[] = { "ls", "-l", "" };

struct fixture {
	struct agent *agent;
	uint64_t now_ns;	/* the time it is told */
};

/* A frame from the guest. */
static void guest(struct fixture *f, uint8_t type, uint16_t stream,
		  const void *payload, uint16_t len)
{
	uint8_t frame[AGENT_HDR_LEN + AGENT_PAYLOAD_MAX];
	const struct agent_hdr hdr = { type, stream, len };

	agent_hdr_put(&hdr, frame);
	if (len)
		memcpy(frame + AGENT_HDR_LEN, payload, len);
	agent_input(f->agent, frame, (size_t)AGENT_HDR_LEN + len, f->now_ns);
}

/* @token: of the hello it answers, 0: the agent has just started. */
static void guest_ready(struct fixture *f, uint16_t token)
{
	guest(f, AGENT_READY, token, &(uint8_t){ AGENT_VERSION }, 1);
}

static void guest_number(struct fixture *f, uint8_t type, uint16_t stream,
			 uint32_t number)
{
	le32 v = le32_of(number);

	guest(f, type, stream, &v, sizeof(v));
}

/* The next frame to the guest; false: there is none. */
static bool next_frame(struct fixture *f, struct agent_hdr *hdr,
		       uint8_t payload[AGENT_PAYLOAD_MAX])
{
	size_t len;
	const uint8_t *out = agent_output(f->agent, &len);

	if (!out)
		return false;
	assert_true(len >= AGENT_HDR_LEN);
	assert_true(agent_hdr_get(hdr, out));
	assert_true(len >= (size_t)AGENT_HDR_LEN + hdr->len);
	memcpy(payload, out + AGENT_HDR_LEN, hdr->len);
	agent_sent(f->agent, (size_t)AGENT_HDR_LEN + hdr->len);
	return true;
}

static void expect_frame(struct fixture *f, uint8_t type, int stream,
			 const void *payload, size_t len)
{
	uint8_t got[AGENT_PAYLOAD_MAX];
	struct agent_hdr hdr;

	assert_true(next_frame(f, &hdr, got));
	assert_int_equal(hdr.type, type);
	assert_int_equal(hdr.stream, stream);
	assert_int_equal(hdr.len, len);
	if (len)
		assert_memory_equal(got, payload, len);
}

static void expect_silence(struct fixture *f)
{
	size_t len;

	assert_null(agent_output(f->agent, &len));
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	told[0] = '\0';
	f->agent = agent_create();
	f->now_ns = 1000 * NS_PER_S;
	agent_attach(f->agent, f->now_ns);
	*state = f;
	return !f->agent;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	agent_detach(f->agent);
	agent_destroy(f->agent);
	free(f);
	return 0;
}

/* To the point where a command runs; its number. */
static int start(struct fixture *f)
{
	int id;

	expect_frame(f, AGENT_HELLO, 1, &(uint8_t){ AGENT_VERSION }, 1);
	guest_ready(f, 0);
	assert_true(agent_ready(f->agent));
	id = agent_exec(f->agent, argv, 3, &sink, NULL);
	assert_true(id > 0);
	expect_frame(f, AGENT_EXEC, id, "ls\0-l\0", 7);
	return id;
}

static void hello_until_ready(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(agent_exec(f->agent, argv, 3, &sink, NULL),
			 -ENOTCONN);
	expect_frame(f, AGENT_HELLO, 1, &(uint8_t){ AGENT_VERSION }, 1);
	agent_tick(f->agent, f->now_ns);
	expect_silence(f);
	f->now_ns += 2 * NS_PER_S;
	agent_tick(f->agent, f->now_ns);
	expect_frame(f, AGENT_HELLO, 2, &(uint8_t){ AGENT_VERSION }, 1);
	guest_ready(f, 0);
	f->now_ns += 2 * NS_PER_S;
	agent_tick(f->agent, f->now_ns);
	expect_silence(f);
}

static void other_version(void **state)
{
	struct fixture *f = *state;

	guest(f, AGENT_READY, 0, &(uint8_t){ AGENT_VERSION + 1 }, 1);
	assert_false(agent_ready(f->agent));
	guest(f, AGENT_READY, 0, NULL, 0);
	assert_false(agent_ready(f->agent));
}

static void output_and_exit(void **state)
{
	struct fixture *f = *state;
	int id = start(f);

	guest(f, AGENT_STDOUT, (uint16_t)id, "abc", 3);
	guest(f, AGENT_STDERR, (uint16_t)id, "de", 2);
	guest(f, AGENT_ERROR, (uint16_t)id, "oh", 2);
	guest(f, AGENT_STDOUT, (uint16_t)(id + 1), "nobody's", 8);
	guest_number(f, AGENT_EXIT, (uint16_t)id, 3);
	assert_string_equal(told, "out:abc err:de error:oh exit:3 ");
	guest(f, AGENT_STDOUT, (uint16_t)id, "late", 4);
	guest_number(f, AGENT_EXIT, (uint16_t)id, 4);
	assert_string_equal(told, "out:abc err:de error:oh exit:3 ");
}

/* Whatever comes between frames, and however the bytes are cut. */
static void noise_and_pieces(void **state)
{
	struct fixture *f = *state;
	int id = start(f);
	uint8_t frame[AGENT_HDR_LEN + 3];
	const struct agent_hdr hdr = { AGENT_STDOUT, (uint16_t)id, 3 };
	static const uint8_t noise[] = "\r\nlogin: \xb5\xb5\x82";

	agent_hdr_put(&hdr, frame);
	memcpy(frame + AGENT_HDR_LEN, "abc", 3);
	for (size_t cut = 0; cut <= sizeof(frame); cut++) {
		told[0] = '\0';
		agent_input(f->agent, noise, sizeof(noise) - 1, f->now_ns);
		agent_input(f->agent, frame, cut, f->now_ns);
		agent_input(f->agent, frame + cut, sizeof(frame) - cut,
			    f->now_ns);
		assert_string_equal(told, "out:abc ");
	}
}

/* Every single wrong bit of a header makes it no header. */
static void corrupt_header(void **state)
{
	struct fixture *f = *state;
	int id = start(f);
	const struct agent_hdr hdr = { AGENT_STDOUT, (uint16_t)id, 3 };

	for (unsigned int bit = 0; bit < AGENT_HDR_LEN * 8; bit++) {
		uint8_t frame[AGENT_HDR_LEN + 3];

		told[0] = '\0';
		agent_hdr_put(&hdr, frame);
		memcpy(frame + AGENT_HDR_LEN, "abc", 3);
		frame[bit / 8] ^= (uint8_t)BIT(bit % 8);
		agent_input(f->agent, frame, sizeof(frame), f->now_ns);
		assert_string_equal(told, "");
		guest(f, AGENT_STDOUT, (uint16_t)id, "ok", 2);
		assert_string_equal(told, "out:ok ");
	}
}

/* A sender that dies in mid-frame swallows what comes next only for a while. */
static void broken_off_frame(void **state)
{
	struct fixture *f = *state;
	int id = start(f);
	uint8_t frame[AGENT_HDR_LEN];
	const struct agent_hdr hdr = { AGENT_STDOUT, (uint16_t)id, 4000 };

	agent_hdr_put(&hdr, frame);
	agent_input(f->agent, frame, sizeof(frame), f->now_ns);
	guest(f, AGENT_STDERR, (uint16_t)id, "next", 4);
	assert_string_equal(told, "");
	f->now_ns += (AGENT_FRAME_MS + 1) * NS_PER_MS;
	agent_tick(f->agent, f->now_ns);
	/* A slow guest may still go on with it. */
	assert_string_equal(told, "");
	f->now_ns += 10 * AGENT_FRAME_MS * NS_PER_MS;
	agent_tick(f->agent, f->now_ns);
	assert_string_equal(told, "err:next ");
}

static void random_bytes(void **state)
{
	struct fixture *f = *state;
	uint32_t seed = 1;

	start(f);
	for (unsigned int i = 0; i < 20000; i++) {
		uint8_t block[64];

		for (size_t j = 0; j < sizeof(block); j++) {
			seed = seed * 1664525 + 1013904223;
			block[j] = seed >> 30 ? (uint8_t)(seed >> 24) :
				   AGENT_SYNC;
		}
		agent_input(f->agent, block, sizeof(block), f->now_ns);
		f->now_ns += NS_PER_MS;
		agent_tick(f->agent, f->now_ns);
	}
	assert_true(agent_ready(f->agent));
}

/* The agent has started anew: its commands are gone. */
static void guest_restarts(void **state)
{
	struct fixture *f = *state;

	start(f);
	guest_ready(f, 0);
	assert_string_equal(told, "exit:-1 ");
	assert_true(agent_ready(f->agent));
}

/* Hellos that lay in the line until the agent started are all answered after
 * its own word, when a command runs already. */
static void many_hellos_answered(void **state)
{
	struct fixture *f = *state;
	int id;

	expect_frame(f, AGENT_HELLO, 1, &(uint8_t){ AGENT_VERSION }, 1);
	for (uint16_t token = 2; token <= 5; token++) {
		f->now_ns += 2 * NS_PER_S;
		agent_tick(f->agent, f->now_ns);
		expect_frame(f, AGENT_HELLO, token,
			     &(uint8_t){ AGENT_VERSION }, 1);
	}
	guest_ready(f, 0);
	id = agent_exec(f->agent, argv, 3, &sink, NULL);
	assert_true(id > 0);
	for (uint16_t token = 1; token <= 5; token++)
		guest_ready(f, token);
	assert_string_equal(told, "");
	guest_number(f, AGENT_EXIT, (uint16_t)id, 0);
	assert_string_equal(told, "exit:0 ");
}

/* A slow guest's answer is an answer all the same. */
static void hello_answered_late(void **state)
{
	struct fixture *f = *state;
	int id;

	expect_frame(f, AGENT_HELLO, 1, &(uint8_t){ AGENT_VERSION }, 1);
	f->now_ns += 2 * NS_PER_S;
	agent_tick(f->agent, f->now_ns);
	expect_frame(f, AGENT_HELLO, 2, &(uint8_t){ AGENT_VERSION }, 1);
	f->now_ns += 60 * NS_PER_S;
	guest_ready(f, 1);
	assert_true(agent_ready(f->agent));
	id = agent_exec(f->agent, argv, 3, &sink, NULL);
	assert_true(id > 0);
	f->now_ns += 60 * NS_PER_S;
	guest_ready(f, 2);
	assert_string_equal(told, "");
	guest_number(f, AGENT_EXIT, (uint16_t)id, 0);
	assert_string_equal(told, "exit:0 ");
}

/* Tokens start over after the last one, but never with an agent's, 0. */
static void tokens_come_round(void **state)
{
	struct fixture *f = *state;
	uint8_t got[AGENT_PAYLOAD_MAX];
	struct agent_hdr hdr;

	for (unsigned int i = 0; i < 2 * UINT16_MAX; i++) {
		assert_true(next_frame(f, &hdr, got));
		assert_int_not_equal(hdr.stream, 0);
		f->now_ns += 2 * NS_PER_S;
		agent_tick(f->agent, f->now_ns);
	}
}

static void line_goes(void **state)
{
	struct fixture *f = *state;
	int id = start(f);

	agent_detach(f->agent);
	assert_string_equal(told, "exit:-1 ");
	assert_false(agent_ready(f->agent));
	assert_int_equal(agent_signal(f->agent, id, 2), -ENOENT);
}

/* Standard input stops at the window and goes on as it opens. */
static void stdin_window(void **state)
{
	struct fixture *f = *state;
	int id = start(f);
	uint8_t got[AGENT_PAYLOAD_MAX];
	static uint8_t data[AGENT_STDIN_MAX];
	struct agent_hdr hdr;
	size_t sent = 0;

	assert_int_equal(agent_stdin(f->agent, id, data, sizeof(data)), 0);
	assert_int_equal(agent_stdin(f->agent, id, data, sizeof(data)), 0);
	assert_int_equal(agent_stdin(f->agent, id, data, 1), -EAGAIN);
	while (next_frame(f, &hdr, got)) {
		assert_int_equal(hdr.type, AGENT_STDIN);
		sent += hdr.len;
	}
	assert_int_equal(sent, AGENT_STDIN_MAX);
	guest_number(f, AGENT_WINDOW, (uint16_t)id, 100);
	assert_true(next_frame(f, &hdr, got));
	assert_int_equal(hdr.len, 100);
	expect_silence(f);
	assert_int_equal(agent_stdin(f->agent, id, NULL, 0), 0);
	assert_int_equal(agent_stdin(f->agent, id, data, 1), -EPIPE);
	expect_silence(f);
	/* More than was ever sent: no more than all of it is given back. */
	guest_number(f, AGENT_WINDOW, (uint16_t)id, 0xffffffff);
	for (sent = 0; next_frame(f, &hdr, got) && hdr.len; sent += hdr.len)
		;
	assert_int_equal(sent, AGENT_STDIN_MAX - 100);
	assert_int_equal(hdr.type, AGENT_STDIN);
	assert_int_equal(hdr.len, 0);
	expect_silence(f);
}

static void signals_and_hangup(void **state)
{
	struct fixture *f = *state;
	int id = start(f);

	assert_int_equal(agent_signal(f->agent, id, 2), 0);
	expect_frame(f, AGENT_SIGNAL, id, "\2", 1);
	assert_int_equal(agent_signal(f->agent, id + 1, 2), -ENOENT);
	agent_abandon(f->agent, id);
	expect_frame(f, AGENT_SIGNAL, id, "\1", 1);
	guest(f, AGENT_STDOUT, (uint16_t)id, "x", 1);
	assert_string_equal(told, "");
	/* It ignores that: it is killed. */
	agent_tick(f->agent, f->now_ns);
	f->now_ns += 3 * NS_PER_S;
	agent_tick(f->agent, f->now_ns);
	expect_frame(f, AGENT_SIGNAL, id, "\11", 1);
	guest_number(f, AGENT_EXIT, (uint16_t)id, 137);
	assert_string_equal(told, "");
	assert_int_equal(agent_exec(f->agent, argv, 3, &sink, NULL), id);
}

static void limits(void **state)
{
	struct fixture *f = *state;
	static char big[AGENT_PAYLOAD_MAX + 1];
	const char *big_argv[] = { big };

	start(f);
	memset(big, 'x', sizeof(big) - 1);
	assert_int_equal(agent_exec(f->agent, big_argv, 1, &sink, NULL),
			 -E2BIG);
	assert_int_equal(agent_exec(f->agent, big_argv, 0, &sink, NULL),
			 -EINVAL);
	big[AGENT_PAYLOAD_MAX - 1] = '\0';
	assert_true(agent_exec(f->agent, big_argv, 1, &sink, NULL) > 0);
	for (unsigned int i = 2; i < AGENT_STREAMS_MAX; i++)
		assert_true(agent_exec(f->agent, argv, 3, &sink, NULL) > 0);
	assert_int_equal(agent_exec(f->agent, argv, 3, &sink, NULL), -EBUSY);
}

#define with_agent(test) \
	cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_agent(hello_until_ready),
		with_agent(other_version),
		with_agent(output_and_exit),
		with_agent(noise_and_pieces),
		with_agent(corrupt_header),
		with_agent(broken_off_frame),
		with_agent(random_bytes),
		with_agent(guest_restarts),
		with_agent(many_hellos_answered),
		with_agent(hello_answered_late),
		with_agent(tokens_come_round),
		with_agent(line_goes),
		with_agent(stdin_window),
		with_agent(signals_and_hangup),
		with_agent(limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
