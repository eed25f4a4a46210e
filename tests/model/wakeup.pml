/* SPDX-License-Identifier: Apache-2.0
 *
 * Model for spin: no wake-up is lost on a worker's way to sleep.
 *
 * The protocol is that of src/loop/worker.h, src/virtio/ring.h (vring_arm(),
 * and, with the parts exchanged, vring_wants_call()) and src/port/inbox.h:
 *
 *   worker                          peer (driver, another worker)
 *     ask                             publish
 *     full barrier                    full barrier
 *     look once more                  asked? then ring
 *     sleep until it rings
 *
 * How it asks, one of:
 *   -DFLAG       a flag: split rings without event index (VIRTIO 1.2, 2.7.10),
 *                packed rings (2.8.10, as used here: enable or disable)
 *   -DEVENT_IDX  the index at which to ring; not asking is to leave one that
 *                has been passed (2.7.10)
 *   -DNUDGE      worker_nudge(): one flag for all rings, taken back by the peer
 *                that rings; two peers
 *
 * Processors are x86 ones as far as it matters (total store order): what a
 * process stores waits in a buffer and becomes visible later, in order, while
 * its loads go ahead.  A full barrier waits until the buffer is empty, as do
 * system calls and exchanges.
 *
 * A lost wake-up is a state without a way out: the worker asleep, the peers at
 * their end, something not served.  spin calls it an invalid end state.
 *
 * What spin must refuse, to show that it would: -DNO_WORKER_BARRIER,
 * -DNO_PEER_BARRIER, -DNO_LOOK, -DEVENT_AHEAD (asks for one too far).
 * tests/model/check-wakeup runs them all.
 */

#ifdef NUDGE
#define N_PEERS 2
#define TOTAL 3			/* published by each peer */
#else
#define N_PEERS 1
#define TOTAL 10		/* more than once round the index */
#endif

#define WRAP 8			/* the index counts modulo this */
#define RING_SIZE 2		/* at most so many not yet served */
#define MOD(x) (((x) + 2 * WRAP) % WRAP)

/* Memory.  `asked`: 0 or 1; or an index. */
byte published[N_PEERS];
byte asked;
byte served[N_PEERS];		/* what the driver sees used */

/* Kernel objects: system calls act at once. */
bool ring_fd;			/* the eventfd is readable */
byte timers = 1;		/* times something else wakes the worker */

/* Store buffers, each with its only writer: location and value. */
mtype = { PUBLISHED, ASKED, SERVED };
chan worker_stores = [4] of { mtype, byte, byte };
chan peer_stores[N_PEERS] = [3] of { byte };

/* What is in a buffer gets to memory, some time. */
active proctype worker_buffer()
{
	mtype what;
	byte i, value;

end:	do
	:: atomic {
		worker_stores ? what, i, value ->
		if
		:: what == ASKED -> asked = value
		:: what == SERVED -> served[i] = value
		fi
	   }
	od
}

active [N_PEERS] proctype peer_buffer()
{
	byte i = _pid - 1, value;

end:	do
	:: atomic { peer_stores[i] ? value -> published[i] = value }
	od
}

#define ASK(value) worker_stores ! ASKED, 0, (value)
#define WORKER_BARRIER empty(worker_stores)
#define PEER_BARRIER empty(peer_stores[i])

#ifdef EVENT_IDX
#ifdef EVENT_AHEAD
#define ASK_ON ASK(MOD(seen[0] + 1))
#else
#define ASK_ON ASK(seen[0])
#endif
#define ASK_OFF ASK(MOD(seen[0] - 1))
#else
#define ASK_ON ASK(1)
#define ASK_OFF ASK(0)
#endif

/* A worker's turn of all pollers: serve one thing of one ring, if there is. */
inline turn()
{
	worked = false;
	i = 0;
	do
	:: i == N_PEERS -> break
	:: i < N_PEERS ->
		if
		:: published[i] != seen[i] ->
			seen[i] = MOD(seen[i] + 1);
			n_seen++;
			worker_stores ! SERVED, i, seen[i];
			worked = true
		:: else
		fi;
		i++
	od
}

active proctype worker()
{
	byte seen[N_PEERS];
	byte n_seen, i;
	bool worked;

	ASK_OFF;
	do
	:: n_seen == N_PEERS * TOTAL -> break
	:: else ->
		turn();
		if
		:: worked -> skip
		:: !worked ->
			ASK_ON;
#ifndef NO_WORKER_BARRIER
			WORKER_BARRIER;
#endif
#ifndef NO_LOOK
			turn();
#endif
			if
			:: worked -> ASK_OFF
			:: !worked && n_seen < N_PEERS * TOTAL ->
				/* epoll: a system call */
				if
				:: ring_fd -> ring_fd = false
				:: timers > 0 -> timers--
				fi;
				ASK_OFF
			fi
		fi
	od
}

/* Is the worker to be told, now that the index went from old to new?  (2.7.10)
 */
#ifdef EVENT_IDX
#define WANTED(old, new) (MOD(new - asked - 1) < MOD(new - old))
#else
#define WANTED(old, new) (asked == 1)
#endif

active [N_PEERS] proctype peer()
{
	byte i = _pid - N_PEERS - 2;
	byte old, new, n;
	bool was_asked;

	do
	:: n == TOTAL -> break
	:: n < TOTAL && MOD(new - served[i]) < RING_SIZE ->
		/* One more into the batch. */
		new = MOD(new + 1);
		n++;
		if
		:: n < TOTAL && MOD(new - served[i]) < RING_SIZE -> skip
		:: true ->
			peer_stores[i] ! new;
#ifndef NO_PEER_BARRIER
			PEER_BARRIER;
#endif
			was_asked = WANTED(old, new);
#ifdef NUDGE
			if
			:: was_asked -> atomic {
				PEER_BARRIER -> was_asked = asked; asked = 0
			   }
			:: else
			fi;
#endif
			old = new;
			if
			:: was_asked -> ring_fd = true
			:: else
			fi
		fi
	od
}
