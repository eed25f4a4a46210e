/* SPDX-License-Identifier: Apache-2.0
 *
 * The host's side of the guest agent; see agent.h.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/byteorder.h"
#include "base/log.h"
#include "base/time.h"
#include "ctl/agent.h"
#include "ctl/agent_wire.h"
#include "ctl/bytes.h"

/* Until the agent has answered, hello is said so often. */
#define HELLO_INTERVAL_NS (1000 * NS_PER_MS)
/* A frame that has not grown for so long is given up.  More patient than
 * AGENT_FRAME_MS asks for: a guest that is emulated on a busy host stops for
 * seconds in mid-frame, and giving up a good frame loses output. */
#define FRAME_PATIENCE_NS (10 * AGENT_FRAME_MS * NS_PER_MS)
/* A command that outlives its terminal so long is killed. */
#define HANGUP_GRACE_NS (2000 * NS_PER_MS)

enum {
	/* Bytes of one command's standard input that may wait here. */
	STDIN_QUEUE_MAX = 2 * AGENT_STDIN_MAX,
	/* Standard input goes out in such portions, so that a signal never
	 * waits behind more than this. */
	OUT_LOW = 2 * AGENT_PAYLOAD_MAX,
	/* Bytes that may wait for a guest that does not read: a command line
	 * for each stream, and as much again for the rest. */
	OUT_MAX = 2 * AGENT_STREAMS_MAX * (AGENT_HDR_LEN + AGENT_PAYLOAD_MAX),
};

/* One command. */
struct command {
	bool used;			/* from EXEC to EXIT */
	struct agent_sink sink;		/* who listens */
	void *sink_arg;			/* for it; with abandoned: unused */
	bool abandoned;			/* nobody listens any more */
	uint64_t kill_at_ns;		/* 0: not set; or kill it then */
	struct bytes in;		/* standard input, not yet sent */
	bool eof;			/* end of file follows it */
	bool eof_sent;			/* and is on its way */
	size_t in_flight;		/* sent, not yet taken by the command */
};

struct agent {
	bool attached;			/* there is a line */
	bool ready;			/* the agent has answered */
	uint64_t hello_ns;		/* when hello was last said */
	uint16_t token;			/* of the last hello; 0: none yet */
	struct bytes in;		/* read, not yet a whole frame */
	uint64_t in_ns;			/* when it last grew */
	struct bytes out;		/* frames to be written */
	/* Index + 1 is the stream's number. */
	struct command commands[AGENT_STREAMS_MAX];
};

struct agent *agent_create(void)
{
	return calloc(1, sizeof(struct agent));
}

void agent_destroy(struct agent *agent)
{
	if (!agent)
		return;
	for (unsigned int i = 0; i < AGENT_STREAMS_MAX; i++)
		bytes_free(&agent->commands[i].in);
	bytes_free(&agent->in);
	bytes_free(&agent->out);
	free(agent);
}

bool agent_ready(const struct agent *agent)
{
	return agent->ready;
}

/* Does the guest leave too much unread for one more frame? */
static bool out_full(const struct agent *agent)
{
	return agent->out.len > OUT_MAX - AGENT_HDR_LEN - AGENT_PAYLOAD_MAX;
}

/* Queue a whole frame or nothing: no memory, or too much is waiting. */
static bool send_frame(struct agent *agent, enum agent_type type, int stream,
		       const void *payload, size_t len)
{
	uint8_t frame[AGENT_HDR_LEN + AGENT_PAYLOAD_MAX];
	const struct agent_hdr hdr = {
		.type = (uint8_t)type,
		.stream = (uint16_t)stream,
		.len = (uint16_t)len,
	};

	if (out_full(agent))
		return false;
	agent_hdr_put(&hdr, frame);
	if (len)
		memcpy(frame + AGENT_HDR_LEN, payload, len);
	return bytes_append(&agent->out, frame, AGENT_HDR_LEN + len);
}

static void say_hello(struct agent *agent, uint64_t now_ns)
{
	const uint8_t version = AGENT_VERSION;

	/* One unread hello in the line is enough. */
	if (agent->out.len)
		return;
	/* 0 is for an agent that starts. */
	if (!++agent->token)
		agent->token = 1;
	if (send_frame(agent, AGENT_HELLO, agent->token, &version, 1))
		agent->hello_ns = now_ns;
}

static struct command *command_get(struct agent *agent, int id)
{
	if (id < 1 || id > AGENT_STREAMS_MAX || !agent->commands[id - 1].used)
		return NULL;
	return &agent->commands[id - 1];
}

static void command_end(struct command *c, int status)
{
	if (!c->abandoned)
		c->sink.exited(c->sink_arg, status);
	bytes_free(&c->in);
	*c = (struct command){ 0 };
}

static void end_all(struct agent *agent)
{
	for (unsigned int i = 0; i < AGENT_STREAMS_MAX; i++)
		if (agent->commands[i].used)
			command_end(&agent->commands[i], -1);
}

void agent_attach(struct agent *agent, uint64_t now_ns)
{
	agent->attached = true;
	say_hello(agent, now_ns);
}

void agent_detach(struct agent *agent)
{
	agent->attached = false;
	agent->ready = false;
	end_all(agent);
	bytes_free(&agent->in);
	bytes_free(&agent->out);
}

/*
 * READY is the word of an agent that has just started (token 0) or its answer
 * to a hello of ours, however late.  The former comes before all answers; if it
 * comes later than the first of them, the commands of before are gone.  An
 * answer ends none of ours: the line keeps its order, and no hello is said once
 * there was an answer, so each was read before any command.
 */
static void take_ready(struct agent *agent, const struct agent_hdr *hdr,
		       const uint8_t *payload)
{
	if (hdr->len != 1 || *payload != AGENT_VERSION) {
		log_limited(LOG_WARN, "agent: the guest's agent speaks another version of the protocol");
		return;
	}
	if (!hdr->stream)
		end_all(agent);
	agent->ready = true;
}

static void take_frame(struct agent *agent, const struct agent_hdr *hdr,
		       const uint8_t *payload)
{
	struct command *c;

	if (hdr->type == AGENT_READY) {
		take_ready(agent, hdr, payload);
		return;
	}
	c = command_get(agent, hdr->stream);
	if (!c || !agent->ready)
		return;
	switch (hdr->type) {
	case AGENT_STDOUT:
	case AGENT_STDERR:
		if (!c->abandoned && hdr->len)
			c->sink.output(c->sink_arg, hdr->type == AGENT_STDERR,
				       payload, hdr->len);
		break;
	case AGENT_ERROR:
		if (!c->abandoned)
			c->sink.error(c->sink_arg, (const char *)payload,
				      hdr->len);
		break;
	case AGENT_WINDOW:
		if (hdr->len == 4)
			c->in_flight -= min_of(c->in_flight,
					       (size_t)le32_load(payload));
		break;
	case AGENT_EXIT:
		if (hdr->len == 4)
			command_end(c, (int)(le32_load(payload) & 0xff));
		break;
	default:
		break;
	}
}

/* Bytes that begin no frame; skip to the next that may. */
static void skip_noise(struct agent *agent)
{
	const uint8_t *front = bytes_front(&agent->in);
	const uint8_t *sync;

	sync = agent->in.len < 2 ? NULL :
	       memchr(front + 1, AGENT_SYNC, agent->in.len - 1);
	bytes_drop(&agent->in, sync ? (size_t)(sync - front) : agent->in.len);
}

static void take_frames(struct agent *agent)
{
	while (agent->in.len) {
		const uint8_t *front = bytes_front(&agent->in);
		struct agent_hdr hdr;

		if (*front != AGENT_SYNC) {
			skip_noise(agent);
			continue;
		}
		if (agent->in.len < AGENT_HDR_LEN)
			return;
		if (!agent_hdr_get(&hdr, front)) {
			skip_noise(agent);
			continue;
		}
		if (agent->in.len < (size_t)AGENT_HDR_LEN + hdr.len)
			return;
		take_frame(agent, &hdr, front + AGENT_HDR_LEN);
		bytes_drop(&agent->in, (size_t)AGENT_HDR_LEN + hdr.len);
	}
}

void agent_input(struct agent *agent, const void *data, size_t len,
		 uint64_t now_ns)
{
	if (!agent->attached || !bytes_append(&agent->in, data, len))
		return;
	agent->in_ns = now_ns;
	take_frames(agent);
}

/* Turn waiting standard input into frames, as far as window and line allow. */
static void pump_stdin(struct agent *agent)
{
	for (int id = 1; id <= AGENT_STREAMS_MAX; id++) {
		struct command *c = command_get(agent, id);

		while (c && c->in.len && agent->out.len < OUT_LOW &&
		       c->in_flight < AGENT_STDIN_MAX) {
			size_t len = min_of(c->in.len,
					    (size_t)AGENT_PAYLOAD_MAX);

			len = min_of(len, AGENT_STDIN_MAX - c->in_flight);
			if (!send_frame(agent, AGENT_STDIN, id,
					bytes_front(&c->in), len))
				return;
			bytes_drop(&c->in, len);
			c->in_flight += len;
		}
		if (c && c->eof && !c->eof_sent && !c->in.len)
			c->eof_sent = send_frame(agent, AGENT_STDIN, id, NULL,
						 0);
	}
}

const void *agent_output(struct agent *agent, size_t *len)
{
	if (agent->ready)
		pump_stdin(agent);
	*len = agent->out.len;
	return *len ? bytes_front(&agent->out) : NULL;
}

void agent_sent(struct agent *agent, size_t len)
{
	bytes_drop(&agent->out, len);
}

bool agent_busy(const struct agent *agent)
{
	for (unsigned int i = 0; i < AGENT_STREAMS_MAX; i++)
		if (agent->commands[i].abandoned)
			return true;
	return false;
}

void agent_tick(struct agent *agent, uint64_t now_ns)
{
	if (!agent->attached)
		return;
	if (!agent->ready && now_ns - agent->hello_ns >= HELLO_INTERVAL_NS)
		say_hello(agent, now_ns);
	/* The sender died in mid-frame, or it never was one. */
	if (agent->in.len && now_ns - agent->in_ns >= FRAME_PATIENCE_NS) {
		skip_noise(agent);
		take_frames(agent);
	}
	for (int id = 1; id <= AGENT_STREAMS_MAX; id++) {
		struct command *c = command_get(agent, id);
		const uint8_t number = SIGKILL;

		if (!c || !c->abandoned)
			continue;
		if (!c->kill_at_ns)
			c->kill_at_ns = now_ns + HANGUP_GRACE_NS;
		else if (now_ns >= c->kill_at_ns &&
			 send_frame(agent, AGENT_SIGNAL, id, &number, 1))
			c->kill_at_ns = now_ns + HANGUP_GRACE_NS;
	}
}

int agent_exec(struct agent *agent, const char *const *argv,
	       unsigned int n_args, const struct agent_sink *sink, void *arg)
{
	char payload[AGENT_PAYLOAD_MAX];
	size_t len = 0;
	int id = 1;

	if (!agent->ready)
		return -ENOTCONN;
	if (!n_args)
		return -EINVAL;
	for (unsigned int i = 0; i < n_args; i++) {
		size_t arg_len = strlen(argv[i]) + 1;

		if (arg_len > sizeof(payload) - len)
			return -E2BIG;
		memcpy(payload + len, argv[i], arg_len);
		len += arg_len;
	}
	while (id <= AGENT_STREAMS_MAX && agent->commands[id - 1].used)
		id++;
	if (id > AGENT_STREAMS_MAX)
		return -EBUSY;
	if (!send_frame(agent, AGENT_EXEC, id, payload, len))
		return out_full(agent) ? -EAGAIN : -ENOMEM;
	agent->commands[id - 1] = (struct command){
		.used = true, .sink = *sink, .sink_arg = arg,
	};
	return id;
}

int agent_stdin(struct agent *agent, int id, const void *data, size_t len)
{
	struct command *c = command_get(agent, id);

	if (!c || c->abandoned)
		return -ENOENT;
	if (c->eof)
		return -EPIPE;
	if (!len) {
		c->eof = true;
		return 0;
	}
	if (len > STDIN_QUEUE_MAX || c->in.len > STDIN_QUEUE_MAX - len)
		return -EAGAIN;
	return bytes_append(&c->in, data, len) ? 0 : -ENOMEM;
}

int agent_signal(struct agent *agent, int id, uint8_t number)
{
	struct command *c = command_get(agent, id);

	if (!c || c->abandoned)
		return -ENOENT;
	if (send_frame(agent, AGENT_SIGNAL, id, &number, 1))
		return 0;
	return out_full(agent) ? -EAGAIN : -ENOMEM;
}

void agent_abandon(struct agent *agent, int id)
{
	struct command *c = command_get(agent, id);
	const uint8_t number = SIGHUP;

	if (!c)
		return;
	c->abandoned = true;
	/* If this finds no room, agent_tick() kills it later. */
	if (!send_frame(agent, AGENT_SIGNAL, id, &number, 1))
		log_debug("agent: no room to hang up on a command");
}
