/* SPDX-License-Identifier: Apache-2.0
 *
 * For tests: a port that sends what it is told to and keeps what it gets.
 */
#ifndef TESTS_FAKE_PORT_H
#define TESTS_FAKE_PORT_H

#include "packet.h"
#include "port/port.h"

enum { FAKE_FRAMES_MAX = 4096, FAKE_UNLIMITED = 1u << 30 };

/* A frame to be sent, or received. */
struct fake_frame {
	uint8_t *data;		/* owned */
	uint32_t len;
	uint8_t flags;		/* as in struct frame, from here on */
	uint8_t gso;
	uint16_t gso_size;
	uint16_t gso_hdr_len;
	uint16_t csum_start;
	uint16_t csum_offset;
	uint16_t vlan_tci;
};

struct fake_port {
	struct port port;
	unsigned int rx_room;	/* frames it still takes; FAKE_UNLIMITED */
	unsigned int piece_len;	/* payload is offered in pieces of so much */
	unsigned int n_tx;	/* sent so far (consumed) */
	unsigned int n_to_send;	/* of tx[] in use */
	struct fake_frame tx[FAKE_FRAMES_MAX];
	unsigned int n_rx;	/* of rx[] in use */
	struct fake_frame rx[FAKE_FRAMES_MAX];
	unsigned int n_flushes;	/* rx_flush() calls */
	unsigned int n_unflushed; /* frames since the last one */
	unsigned int n_bursts;	/* rx_burst() calls */
};

/** fake_port_new() - takes everything, as it is, up to FRAME_LEN_MAX */
struct fake_port *fake_port_new(const char *name, struct worker *worker);

/** fake_port_free() - not attached any more */
void fake_port_free(struct fake_port *fake);

/** fake_send() - queue a copy of @packet; returns it, to set its offloads */
struct fake_frame *fake_send(struct fake_port *fake,
			     const struct packet *packet);

/** fake_clear_rx() - forget what was received */
void fake_clear_rx(struct fake_port *fake);

#endif
