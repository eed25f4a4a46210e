/* SPDX-License-Identifier: Apache-2.0
 *
 * The learning switch: its ports, and the parts that its workers have of it.
 * The pipeline is in pipeline.c.
 */
#include "switch/vswitch_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/time.h"
#include "switch/mac_table.h"

enum {
	DEFAULT_MACS = 8192,
	DEFAULT_AGEING_MS = 300000,
};

const char *const verdict_names[N_VERDICTS] = {
#define V(name, counter, text) [VERDICT_##name] = counter,
	VSWITCH_VERDICTS(V)
#undef V
};

const char *const verdict_texts[N_VERDICTS] = {
#define V(name, counter, text) [VERDICT_##name] = text,
	VSWITCH_VERDICTS(V)
#undef V
};

struct vswitch {
	char name[VSWITCH_NAME_MAX];
	struct mac_table *macs;
	unsigned int n_parts;
	struct part *parts[VSWITCH_WORKERS_MAX];

	/* The controlling thread's; each part has a copy. */
	unsigned int n_members;
	struct member *members[VSWITCH_PORTS_MAX]; /* in order of attachment */
	struct member *by_idx[VSWITCH_PORTS_MAX]; /* by number; or NULL */
};

/* ---- life ---- */

static struct part *part_create(struct vswitch *sw, struct worker *worker,
				unsigned int idx)
{
	struct part *part = calloc(1, sizeof(*part));

	if (!part)
		return NULL;
	part->sw = sw;
	part->worker = worker;
	part->idx = idx;
	part->macs = sw->macs;
	part->expiry.expired = vswitch_expire;
	list_init(&part->expiry.node);
	return part;
}

/* Whatever has been built of it; its workers have nothing of it. */
static void sw_free(struct vswitch *sw)
{
	for (unsigned int i = 0; i < sw->n_parts; i++)
		free(sw->parts[i]);
	mac_table_destroy(sw->macs);
	free(sw);
}

struct vswitch *vswitch_create(const struct vswitch_config *config)
{
	struct vswitch *sw = calloc(1, sizeof(*sw));
	struct worker *const *workers = config->n_workers ? config->workers :
		&config->worker;
	struct mac_table_config macs = {
		.max = config->max_macs ? config->max_macs : DEFAULT_MACS,
		.max_ports = VSWITCH_PORTS_MAX,
		.ageing_ms = config->ageing_ms ? config->ageing_ms :
						 DEFAULT_AGEING_MS,
	};

	if (!sw)
		return NULL;
	macs.max = min_of(macs.max, (unsigned int)MAC_TABLE_MAX);
	/* The hash is weaker without randomness, but works. */
	if (getrandom(&macs.seed, sizeof(macs.seed), GRND_NONBLOCK) !=
	    sizeof(macs.seed))
		macs.seed = time_now_ns() * 0x9e3779b97f4a7c15;
	snprintf(sw->name, sizeof(sw->name), "%s", config->name);
	sw->macs = mac_table_create(&macs);
	if (!sw->macs)
		goto err_free;
	assert(config->n_workers <= VSWITCH_WORKERS_MAX);
	for (unsigned int i = 0; i < max_of(config->n_workers, 1u); i++) {
		sw->parts[i] = part_create(sw, workers[i], i);
		if (!sw->parts[i])
			goto err_free;
		sw->n_parts++;
	}
	return sw;

err_free:
	sw_free(sw);
	return NULL;
}

static void part_stop(void *arg)
{
	struct part *part = arg;

	worker_cancel_timer(part->worker, &part->expiry);
}

void vswitch_destroy(struct vswitch *sw)
{
	if (!sw)
		return;
	assert(!sw->n_members);
	for (unsigned int i = 0; i < sw->n_parts; i++)
		worker_call(sw->parts[i]->worker, part_stop, sw->parts[i]);
	sw_free(sw);
}

const char *vswitch_name(const struct vswitch *sw)
{
	return sw->name;
}

/* ---- members ---- */

static struct part *part_of(const struct vswitch *sw,
			    const struct worker *worker)
{
	for (unsigned int i = 0; i < sw->n_parts; i++)
		if (sw->parts[i]->worker == worker)
			return sw->parts[i];
	return NULL;
}

static void member_free(struct member *member)
{
	for (unsigned int i = 0; i < VSWITCH_WORKERS_MAX; i++)
		inbox_destroy(member->inboxes[i]);
	free(member);
}

/* With an inbox for each part but its own. */
static struct member *member_create(const struct vswitch *sw,
				    struct port *port, struct part *home)
{
	struct member *member = calloc(1, sizeof(*member));

	if (!member)
		return NULL;
	member->port = port;
	member->home = home;
	while (sw->by_idx[member->idx])
		member->idx++;
	for (unsigned int i = 0; i < sw->n_parts; i++) {
		if (sw->parts[i] == home)
			continue;
		member->inboxes[i] = inbox_create(port);
		if (!member->inboxes[i]) {
			member_free(member);
			return NULL;
		}
		member->inboxes[i]->poller.poll = vswitch_serve_inbox;
	}
	return member;
}

/* The lists of the switch and of a part are alike. */
static void list_member(struct member **members, unsigned int *n,
			struct member **by_idx, struct member *member)
{
	members[(*n)++] = member;
	by_idx[member->idx] = member;
}

static void unlist_member(struct member **members, unsigned int *n,
			  struct member **by_idx, const struct member *member)
{
	unsigned int i = 0;

	while (members[i] != member)
		i++;
	(*n)--;
	memmove(&members[i], &members[i + 1],
		(*n - i) * sizeof(members[0]));
	by_idx[member->idx] = NULL;
}

/* What a part is to do, on its worker. */
struct part_call {
	struct part *part;
	struct member *member;
};

static void part_add(void *arg)
{
	const struct part_call *call = arg;
	struct part *part = call->part;

	list_member(part->members, &part->n_members, part->by_idx,
		    call->member);
}

static void part_remove(void *arg)
{
	const struct part_call *call = arg;
	struct part *part = call->part;

	unlist_member(part->members, &part->n_members, part->by_idx,
		      call->member);
}

/* Ask every part but the member's own. */
static void call_others(struct vswitch *sw, struct member *member,
			void (*fn)(void *arg))
{
	for (unsigned int i = 0; i < sw->n_parts; i++)
		if (sw->parts[i] != member->home)
			worker_call(sw->parts[i]->worker, fn,
				    &(struct part_call) {
					.part = sw->parts[i],
					.member = member,
				    });
}

static void call_home(struct member *member, void (*fn)(void *arg))
{
	worker_call(member->home->worker, fn, &(struct part_call) {
		.part = member->home, .member = member });
}

/* At home: frames may come. */
static void home_add(void *arg)
{
	const struct part_call *call = arg;
	struct member *member = call->member;
	struct port *port = member->port;

	part_add(arg);
	port->sw = call->part;
	port->sw_idx = member->idx;
	port->input = vswitch_input;
	port->inboxes = member->inboxes;
	port->n_inboxes = call->part->sw->n_parts;
	for (unsigned int i = 0; i < port->n_inboxes; i++)
		if (port->inboxes[i])
			worker_add_poller(call->part->worker,
					  &port->inboxes[i]->poller);
}

static void home_start(void *arg)
{
	const struct part_call *call = arg;
	struct port *port = call->member->port;

	for (unsigned int i = 0; i < port->n_queues; i++)
		if (port->queues[i].wanted)
			port_queue_start(&port->queues[i]);
}

/* What waits in its inboxes is lost.  The port's device sees that it is not
 * attached, and starts no queue any more. */
static void home_stop(void *arg)
{
	const struct part_call *call = arg;
	struct port *port = call->member->port;

	for (unsigned int i = 0; i < port->n_queues; i++)
		port_queue_stop(&port->queues[i]);
	for (unsigned int i = 0; i < port->n_inboxes; i++)
		if (port->inboxes[i])
			worker_remove_poller(call->part->worker,
					     &port->inboxes[i]->poller);
	mac_table_forget(call->part->macs, call->member->idx);
	port->sw = NULL;
	port->input = NULL;
	port->inboxes = NULL;
	port->n_inboxes = 0;
	part_remove(arg);
}

/* Its worker takes frames for it before others can send some, and it sends only
 * when all know it. */
int vswitch_attach(struct vswitch *sw, struct port *port)
{
	struct part *home = part_of(sw, port->queues[0].worker);
	struct member *member;

	if (!home)
		return -EINVAL;
	if (sw->n_members == VSWITCH_PORTS_MAX)
		return -ENOSPC;
	for (unsigned int i = 0; i < sw->n_members; i++)
		if (!strcmp(sw->members[i]->port->name, port->name))
			return -EEXIST;
	member = member_create(sw, port, home);
	if (!member)
		return -ENOMEM;
	list_member(sw->members, &sw->n_members, sw->by_idx, member);
	mac_table_set_ports(sw->macs, sw->n_members);
	call_home(member, home_add);
	call_others(sw, member, part_add);
	call_home(member, home_start);
	return 0;
}

/* The other way round: once it sends nothing its addresses are forgotten and
 * stay so; once no other worker knows it, nothing is put into its inboxes. */
void vswitch_detach(struct port *port)
{
	struct part *home = port->sw;
	struct vswitch *sw = home->sw;
	struct member *member = sw->by_idx[port->sw_idx];

	call_home(member, home_stop);
	call_others(sw, member, part_remove);
	unlist_member(sw->members, &sw->n_members, sw->by_idx, member);
	mac_table_set_ports(sw->macs, sw->n_members);
	member_free(member);
}

void vswitch_forget(struct port *port)
{
	const struct part *home = port->sw;

	mac_table_forget(home->macs, port->sw_idx);
}

/* ---- looking at it ---- */

struct port *vswitch_port_at(const struct vswitch *sw, unsigned int i)
{
	return i < sw->n_members ? sw->members[i]->port : NULL;
}

unsigned int vswitch_macs(const struct vswitch *sw, struct vswitch_mac *macs,
			  unsigned int max)
{
	uint64_t now = worker_now(sw->parts[0]->worker) / NS_PER_MS;
	struct mac_table_entry *entries;
	unsigned int n;

	max = min_of(max, mac_table_count(sw->macs));
	entries = calloc(max_of(max, 1u), sizeof(*entries));
	if (!entries)
		return 0;
	n = mac_table_walk(sw->macs, now, entries, max);
	for (unsigned int i = 0; i < n; i++) {
		const struct mac_table_entry *e = &entries[i];

		memcpy(macs[i].mac, e->mac, sizeof(macs[i].mac));
		/* Another worker's clock may be ahead. */
		macs[i].age_ms = now > e->seen_ms ?
			(unsigned int)(now - e->seen_ms) : 0;
		snprintf(macs[i].port, sizeof(macs[i].port), "%s",
			 sw->by_idx[e->port]->port->name);
	}
	free(entries);
	return n;
}

uint64_t vswitch_verdicts(const struct vswitch *sw, enum verdict verdict)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < sw->n_parts; i++)
		sum += counter_read(&sw->parts[i]->verdicts[verdict]);
	return sum;
}

const struct vswitch_mac_stats *vswitch_mac_stats(const struct vswitch *sw)
{
	return mac_table_stats(sw->macs);
}
