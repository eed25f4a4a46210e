/* SPDX-License-Identifier: Apache-2.0
 *
 * The guest agent's line, as the supervisor reads it: any bytes, frames in good
 * form, time that passes, a guest that reads or does not, while commands are
 * started, fed, signalled and hung up on.
 *
 * The input: steps, each a byte that says which (its low three bits) and a
 * number (the rest), then what belongs to it:
 *
 *	BYTES	length (2 bytes), the bytes, as they are
 *	FRAME	type, stream (a byte), length (2 bytes), the payload; the
 *		number: so many bytes of the frame do not come
 *	TICK	- ; the number squared times 10 ms go by
 *	READ	- ; 16 * the number bytes are taken by the guest, or all (0)
 *	EXEC	- ; the number's arguments
 *	STDIN	length (2 bytes); to command `number`
 *	SIGNAL	- ; to command `number / 2 + 1`; or, if it is odd, hang up on it
 *	LINE	- ; it goes, and a new one comes
 */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>

#include "base/byteorder.h"
#include "base/log.h"
#include "base/time.h"
#include "base/util.h"
#include "ctl/agent.h"
#include "ctl/agent_wire.h"
#include "must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BYTES, FRAME, TICK, READ, EXEC, STDIN, SIGNAL, LINE };

enum {
	OUT_MAX = 512 << 10,	/* bytes for the guest that may wait */
	COMMANDS_MAX = 4096,	/* of an input */
};

/* Who listens to a command; the next one has another listener. */
struct listener {
	bool listens;	/* from agent_exec() to exited() or agent_abandon() */
	int id;		/* the command's number */
};

static struct {
	struct agent *agent;
	uint64_t now_ns;
	unsigned int n_listeners;
	struct listener listeners[COMMANDS_MAX];
	/* Where the guest is in what it reads. */
	uint8_t hdr[AGENT_HDR_LEN];
	size_t hdr_len;		/* read of the header */
	size_t left;		/* not read of the payload */
	uint8_t sum;		/* so that every byte is looked at */
} f;

static void look_at(const void *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		f.sum += ((const uint8_t *)data)[i];
}

static void on_output(void *arg, bool is_stderr, const void *data, size_t len)
{
	must(((struct listener *)arg)->listens);
	must(len && len <= AGENT_PAYLOAD_MAX);
	look_at(data, len);
}

static void on_error(void *arg, const char *text, size_t len)
{
	must(((struct listener *)arg)->listens);
	must(len <= AGENT_PAYLOAD_MAX);
	look_at(text, len);
}

static void on_exited(void *arg, int status)
{
	struct listener *l = arg;

	must(l->listens && status >= -1 && status <= 255);
	l->listens = false;
}

static void exec(unsigned int n_args)
{
	static const struct agent_sink sink = { on_output, on_error,
						on_exited };
	const char *argv[32];
	struct listener *l = &f.listeners[f.n_listeners];
	int id;

	if (f.n_listeners == COMMANDS_MAX)
		return;
	for (unsigned int i = 0; i < n_args; i++)
		argv[i] = "an argument";
	id = agent_exec(f.agent, argv, n_args, &sink, l);
	if (id < 0) {
		must(id == (agent_ready(f.agent) ? n_args ? -EBUSY : -EINVAL :
			    -ENOTCONN) || id == -EAGAIN);
		return;
	}
	must(agent_ready(f.agent) && id > 0 && id <= AGENT_STREAMS_MAX);
	for (unsigned int i = 0; i < f.n_listeners; i++)
		must(!f.listeners[i].listens || f.listeners[i].id != id);
	*l = (struct listener){ true, id };
	f.n_listeners++;
}

static void hang_up(int id)
{
	for (unsigned int i = 0; i < f.n_listeners; i++)
		if (f.listeners[i].id == id)
			f.listeners[i].listens = false;
	agent_abandon(f.agent, id);
}

/* What the guest reads is frames, one after the other. */
static void read_one(uint8_t byte)
{
	struct agent_hdr hdr;

	if (f.left) {
		f.left--;
		return;
	}
	f.hdr[f.hdr_len++] = byte;
	if (f.hdr_len < AGENT_HDR_LEN)
		return;
	must(agent_hdr_get(&hdr, f.hdr));
	must(hdr.type >= AGENT_HELLO && hdr.type <= AGENT_SIGNAL);
	must(hdr.type == AGENT_HELLO ||
	     (hdr.stream && hdr.stream <= AGENT_STREAMS_MAX));
	f.hdr_len = 0;
	f.left = hdr.len;
}

/* @n bytes; 0: all there is. */
static void guest_reads(size_t n)
{
	const uint8_t *out;
	size_t len, left = n;

	while ((out = agent_output(f.agent, &len)) && (left || !n)) {
		must(len && len < OUT_MAX);
		if (n)
			len = min_of(len, left);
		for (size_t i = 0; i < len; i++)
			read_one(out[i]);
		agent_sent(f.agent, len);
		left -= n ? len : 0;
	}
}

/* Take @len bytes off the input, as many as there are. */
static const uint8_t *take(const uint8_t **data, size_t *size, size_t *len)
{
	const uint8_t *at = *data;

	*len = min_of(*len, *size);
	*data += *len;
	*size -= *len;
	return at;
}

static size_t take_len(const uint8_t **data, size_t *size)
{
	size_t n = 2;
	const uint8_t *p = take(data, size, &n);

	return n < 2 ? 0 : le16_load(p);
}

static void guest_frame(unsigned int cut, const uint8_t **data, size_t *size)
{
	uint8_t frame[AGENT_HDR_LEN + UINT16_MAX] = { 0 };
	struct agent_hdr hdr;
	size_t len = 2, whole;
	const uint8_t *p = take(data, size, &len);

	if (len < 2)
		return;
	hdr.type = p[0];
	hdr.stream = p[1];
	hdr.len = (uint16_t)take_len(data, size);
	agent_hdr_put(&hdr, frame);
	len = hdr.len;
	p = take(data, size, &len);
	memcpy(frame + AGENT_HDR_LEN, p, len);
	whole = (size_t)AGENT_HDR_LEN + hdr.len;
	agent_input(f.agent, frame, whole - min_of(whole, (size_t)cut),
		    f.now_ns);
}

static void new_line(void)
{
	agent_detach(f.agent);
	must(!agent_ready(f.agent) && !agent_busy(f.agent));
	for (unsigned int i = 0; i < f.n_listeners; i++)
		must(!f.listeners[i].listens);
	f.hdr_len = f.left = 0;
	agent_attach(f.agent, f.now_ns);
}

static void step(unsigned int what, unsigned int number, const uint8_t **data,
		 size_t *size)
{
	static const uint8_t input[AGENT_STDIN_MAX];
	const uint8_t *p;
	size_t len;
	int ret;

	switch (what) {
	case BYTES:
		len = take_len(data, size);
		p = take(data, size, &len);
		agent_input(f.agent, p, len, f.now_ns);
		break;
	case FRAME:
		guest_frame(number, data, size);
		break;
	case TICK:
		f.now_ns += number * number * 10 * NS_PER_MS;
		agent_tick(f.agent, f.now_ns);
		break;
	case READ:
		guest_reads(16 * number);
		break;
	case EXEC:
		exec(number);
		break;
	case STDIN:
		len = take_len(data, size);
		ret = agent_stdin(f.agent, (int)number, input, len);
		must(!ret || ret == -EAGAIN || ret == -ENOENT || ret == -EPIPE);
		break;
	case SIGNAL:
		if (number & 1)
			hang_up((int)(number / 2 + 1));
		else if (agent_signal(f.agent, (int)(number / 2 + 1), SIGINT))
			f.sum++;
		break;
	case LINE:
		new_line();
		break;
	}
	agent_output(f.agent, &len);
	must(len < OUT_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	log_level = LOG_ERR;
	f.agent = agent_create();
	must(f.agent);
	f.now_ns = 1000 * NS_PER_S;
	f.n_listeners = 0;
	f.hdr_len = f.left = 0;
	agent_attach(f.agent, f.now_ns);
	while (size) {
		unsigned int what = *data & 7, number = *data >> 3;

		data++;
		size--;
		step(what, number, &data, &size);
	}
	guest_reads(0);
	new_line();
	agent_detach(f.agent);
	agent_destroy(f.agent);
	return 0;
}
