/* SPDX-License-Identifier: Apache-2.0
 *
 * A client's writes of regions that the server may not have carried out yet, in
 * the order in which they were made, so that a session goes on as if its
 * connection had never been lost.
 *
 * Theory of operation.  Both sides number the writes of a session: the client
 * as it sends them, the server as it has dealt with them, whatever the answer.
 * A new connection begins with the server's number, and the writes behind it
 * are made again: none is lost, and none is carried out twice, so that what a
 * write does is of no importance here.  An answered write proves that all
 * before it are done, and they are forgotten.
 *
 * Bounds.  At VFU_JOURNAL_ASK writes a posted one asks for an answer, so that
 * there are never many more while there is a connection.  While there is none
 * up to VFU_JOURNAL_MAX are kept.  Then the journal is given up, and with it
 * the session: a card that has missed a write is not the one that its driver
 * has set up, and is made a new one.
 *
 * Threads: one at a time.
 */
#ifndef VFIO_USER_JOURNAL_H
#define VFIO_USER_JOURNAL_H

#include <stdint.h>

#include "base/util.h"

enum {
	VFU_JOURNAL_ASK = 512,
	VFU_JOURNAL_MAX = 4096,
	VFU_JOURNAL_DATA = 8,	/* bytes of a write that can be made again */
};

struct vfu_write {
	uint64_t off;		/* in the region */
	uint8_t data[VFU_JOURNAL_DATA];
	uint8_t index;		/* of the region */
	uint8_t len;		/* bytes; 0: too many to be kept */
};

struct vfu_journal {
	struct vfu_write *writes;	/* room for VFU_JOURNAL_MAX; NULL: none
					 * is kept */
	unsigned int n;			/* of them; changed atomically */
	uint64_t n_done;		/* those before the first of them */
	bool full;			/* it is given up */
	bool reset_due;			/* the function was reset before the
					 * first of them, without its server */
};

/** vfu_journal_open() - keep writes from now on, in a session that has had
 * @n_done of them; 0 or -ENOMEM */
int must_check vfu_journal_open(struct vfu_journal *j, uint64_t n_done);

/** vfu_journal_close() - keep none; after open, or if it is zero */
void vfu_journal_close(struct vfu_journal *j);

/** vfu_journal_add() - one more; its number, or 0: it is not kept */
uint64_t vfu_journal_add(struct vfu_journal *j, const struct vfu_write *write);

/** vfu_journal_done() - all up to number @nr have been carried out */
void vfu_journal_done(struct vfu_journal *j, uint64_t nr);

/** vfu_journal_reset() - the function is reset while its server is away: that
 * comes first then, and what was before it does not matter any more */
void vfu_journal_reset(struct vfu_journal *j);

/** vfu_journal_resumes() - can the session go on at a server that has dealt
 * with @n_done writes?  The number is checked. */
bool vfu_journal_resumes(const struct vfu_journal *j, uint64_t n_done);

/** vfu_journal_first() - the first write that a server which has dealt with
 * @n_done, and for which it resumes, has to be given again; maybe j->n */
unsigned int vfu_journal_first(const struct vfu_journal *j, uint64_t n_done);

#endif
