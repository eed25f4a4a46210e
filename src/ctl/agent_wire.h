/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frames between the host and the agent inside a guest.
 *
 * Both ends include this file: tools/guest/agent.c, which runs commands in the
 * guest, and the code in src/ctl/ that stands behind `backplane exec`.
 *
 * Theory of operation
 *
 * The two talk over a serial line (the guest's ttyS1 in raw mode), which has
 * no packets, no connection and no end: a guest may reboot in mid-frame, and
 * the firmware or kernel may write text into the line before the agent opens
 * it. So each frame begins with a header that can be told from noise, and a
 * receiver that meets anything else moves on by one byte and tries again:
 *
 *	offset	size	field
 *	0	1	sync	AGENT_SYNC
 *	1	1	type	enum agent_type
 *	2	2	stream	little endian: which command this belongs to
 *	4	2	len	little endian: payload bytes
 *	6	2	check	little endian: agent_check() of bytes 0..5
 *	8	len	payload
 *
 * The check covers the header only: the line does not corrupt bytes, it only
 * loses its place.
 *
 * A conversation:
 *
 *	host				guest
 *					READY token 0, version	(agent started)
 *	HELLO token 1, version
 *					READY token 1, version
 *	EXEC stream 7, "ls\0/proc\0"
 *					STDOUT stream 7, "1\n2\n..."
 *					EXIT stream 7, 0
 *
 * The host picks the stream: any number but 0 that no running command of its
 * own has; several commands run at once. A stream is free again once its EXIT
 * was sent. An EXEC that cannot be obeyed (no such command, malformed, too
 * many commands) is answered by ERROR and EXIT 127 on its stream; an EXEC on a
 * stream in use, by ERROR alone, and the running command stays as it was.
 * Frames of unknown type, or for a stream that does not exist, are ignored:
 * STDIN and SIGNAL may cross the command's EXIT on the way.
 *
 * HELLO also means that the host has begun anew: the agent kills (SIGKILL)
 * the commands that ran for its predecessor and answers READY, after which
 * every stream number is free. What the host reads before that READY belongs
 * to the past and is thrown away. A host that gets no READY (the guest is not
 * up yet) just repeats HELLO; those that lay in the line are all answered when
 * the agent starts. To tell these answers from a guest that has begun anew,
 * HELLO carries a token, any number, in the place of the stream, and its READY
 * carries it back. The READY of an agent that starts has token 0, and comes
 * before all others: if it comes later, no earlier command will send an EXIT.
 *
 * A sender may die in mid-frame. A frame that has not grown for
 * AGENT_FRAME_MS is therefore no frame: its receiver skips one byte and looks
 * for a header again.
 *
 * Flow control: from guest to host there is none in the frames; the line is
 * the window. The host reads at all times, and a slow line makes the agent
 * stop reading the commands' pipes, which makes the commands wait. From host
 * to guest the agent reads at all times too, so that SIGNAL and other streams
 * never wait for a command that does not read its standard input. It keeps
 * what such a command leaves unread, AGENT_STDIN_MAX bytes for each; so the
 * host has at most that many STDIN bytes on the way per stream, counting those
 * sent less those that WINDOW gave back. Bytes beyond are dropped, and the
 * first such loss is told by one ERROR on that stream (the command goes on).
 */
#ifndef BACKPLANE_CTL_AGENT_WIRE_H
#define BACKPLANE_CTL_AGENT_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* First byte of a frame: neither ASCII nor a byte that begins a UTF-8 text. */
#define AGENT_SYNC		0xb5

/* Version of what this file describes, carried by HELLO and READY. */
#define AGENT_VERSION		1

/* Size of the header in bytes. */
#define AGENT_HDR_LEN		8

/* The largest payload of one frame, in bytes. */
#define AGENT_PAYLOAD_MAX	4096

/* Commands running at the same time in one guest. */
#define AGENT_STREAMS_MAX	32

/* Bytes of standard input kept for a command that does not read them. */
#define AGENT_STDIN_MAX		65536

/* A frame that has not grown for so long, in milliseconds, is given up. */
#define AGENT_FRAME_MS		1000

/* EXIT status of a command that could not be started, as in a shell. */
#define AGENT_EXIT_NOT_RUN	127

/* EXIT status of a command that a signal ended: this plus the signal. */
#define AGENT_EXIT_SIGNAL	128

/**
 * enum agent_type - what a frame says
 *
 * Bit 7 is the direction, so that a line that echoes does no harm.
 */
enum agent_type {
	/* Host to guest. Payload: u8 AGENT_VERSION. Begin anew, answer with
	 * READY; the stream field is a token for that READY. */
	AGENT_HELLO = 0x01,
	/* Host to guest. Start a command; payload: its arguments (at least
	 * the first), each ended by a NUL. argv[0] is looked up in PATH. */
	AGENT_EXEC = 0x02,
	/* Host to guest. Bytes for standard input; no bytes: end of file.
	 * Standard input is empty, not closed, until then. */
	AGENT_STDIN = 0x03,
	/* Host to guest. Payload: u8 signal number, for the whole process
	 * group of the command. */
	AGENT_SIGNAL = 0x04,

	/* Guest to host. Payload: u8 AGENT_VERSION; the stream field is the
	 * token of the HELLO that it answers, 0 when the agent starts. */
	AGENT_READY = 0x81,
	/* Guest to host. Bytes from standard output, at least one. */
	AGENT_STDOUT = 0x82,
	/* Guest to host. Bytes from standard error, at least one. */
	AGENT_STDERR = 0x83,
	/* Guest to host. Payload: le32, exit status 0-255 or
	 * AGENT_EXIT_SIGNAL + signal. The last frame of its stream: all that
	 * the command wrote before it ended has been sent. What its
	 * descendants write later is not. */
	AGENT_EXIT = 0x84,
	/* Guest to host. One sentence for a human, without a newline. */
	AGENT_ERROR = 0x85,
	/* Guest to host. Payload: le32, so many more bytes of standard input
	 * were taken, by the command or (when it will read no more) by nobody:
	 * the host may send as many again. */
	AGENT_WINDOW = 0x86,
};

/**
 * struct agent_hdr - a header as the host's byte order has it
 * @type:	enum agent_type, or a value this version does not know
 * @stream:	the command it belongs to; 0 for none
 * @len:	payload bytes that follow, at most AGENT_PAYLOAD_MAX
 */
struct agent_hdr {
	uint8_t type;
	uint16_t stream;
	uint16_t len;
};

/**
 * agent_check() - the check field of a header
 * @p:	AGENT_HDR_LEN bytes, of which the check itself is not looked at
 *
 * Return: the complement of the sum of the bytes before the check.
 */
static inline uint16_t agent_check(const uint8_t *p)
{
	uint16_t sum = 0;

	for (size_t i = 0; i < AGENT_HDR_LEN - 2; i++)
		sum += p[i];
	return sum ^ 0xffff;
}

/**
 * agent_hdr_put() - write a header
 * @hdr:	what to write
 * @p:		AGENT_HDR_LEN bytes, overwritten
 */
static inline void agent_hdr_put(const struct agent_hdr *hdr, uint8_t *p)
{
	uint16_t check;

	p[0] = AGENT_SYNC;
	p[1] = hdr->type;
	p[2] = hdr->stream & 0xff;
	p[3] = hdr->stream >> 8;
	p[4] = hdr->len & 0xff;
	p[5] = hdr->len >> 8;
	check = agent_check(p);
	p[6] = check & 0xff;
	p[7] = check >> 8;
}

/**
 * agent_hdr_get() - read and check a header
 * @hdr:	filled in when the header is good
 * @p:		AGENT_HDR_LEN bytes off the line
 *
 * Return: false if these bytes are no header: skip one byte and look again.
 */
static inline bool agent_hdr_get(struct agent_hdr *hdr, const uint8_t *p)
{
	uint16_t check = p[6] | (uint16_t)p[7] << 8;
	uint16_t len = p[4] | (uint16_t)p[5] << 8;

	if (p[0] != AGENT_SYNC || check != agent_check(p) ||
	    len > AGENT_PAYLOAD_MAX)
		return false;
	hdr->type = p[1];
	hdr->stream = p[2] | (uint16_t)p[3] << 8;
	hdr->len = len;
	return true;
}

#endif /* BACKPLANE_CTL_AGENT_WIRE_H */
