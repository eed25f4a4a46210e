/* SPDX-License-Identifier: Apache-2.0
 *
 * A ring of the front-end's: what it has said about it, and when it is served.
 *
 * A ring is started by SET_VRING_KICK, which front-ends send last, and stopped
 * by GET_VRING_BASE.
 */
#include <errno.h>
#include <string.h>

#include "base/eventfd.h"
#include "vhost_user/vhost_user_internal.h"

static bool kick_ready(struct watch *watch, uint32_t events)
{
	struct vu_queue *q = container_of(watch, struct vu_queue, kick);

	if (!eventfd_consume(watch->fd))
		return false;
	virtio_net_kick(&q->vu->net, q->idx);
	return true;
}

void vu_queues_init(struct vhost_user *vu)
{
	for (unsigned int i = 0; i < VU_QUEUES_MAX; i++)
		vu->queues[i] = (struct vu_queue) {
			.vu = vu, .idx = i,
			.kick = { .ready = kick_ready, .fd = -1 },
			.call_fd = -1, .err_fd = -1,
		};
}

static void forget_kick(struct vu_queue *q)
{
	if (q->kick.fd < 0)
		return;
	worker_remove_watch(q->vu->worker, &q->kick);
	fd_close(&q->kick.fd);
}

int vu_queue_kick_fd(struct vu_queue *q, int fd)
{
	int ret;

	forget_kick(q);
	if (fd < 0)
		return 0;
	q->kick.fd = fd;
	ret = worker_add_watch(q->vu->worker, &q->kick);
	if (ret < 0)
		fd_close(&q->kick.fd);
	return ret;
}

/* How many pairs, from the first on, receive. */
static void update_pairs(struct vhost_user *vu)
{
	unsigned int n = 0;

	while (n < vu->net.n_pairs && vu->queues[2 * n].enabled &&
	       virtio_net_queue_started(&vu->net, 2 * n))
		n++;
	virtio_net_set_pairs(&vu->net, max_of(n, 1u));
}

int vu_queue_start(struct vu_queue *q)
{
	struct virtio_net *net = &q->vu->net;
	struct vring_config config = {
		.size = (uint16_t)q->size,
		.features = net->features,
	};
	struct vring_state state = {
		.avail = (uint16_t)q->base,
		.used = (uint16_t)(q->base >> VU_BASE_USED_SHIFT),
	};
	int ret;

	/* DPDK's front-end gives no used position: it is the other one, since
	 * nothing is under way. */
	if (!state.used)
		state.used = state.avail;
	if (!q->size || !q->has_addr)
		return -EINVAL;
	if (!vu_memory_gpa(q->vu, q->addr.desc, &config.desc) ||
	    !vu_memory_gpa(q->vu, q->addr.avail, &config.driver) ||
	    !vu_memory_gpa(q->vu, q->addr.used, &config.device))
		return -EFAULT;
	ret = virtio_net_queue_start(net, q->idx, &config, &state);
	if (ret < 0)
		return ret;
	virtio_net_queue_poll(net, q->idx, q->kick.fd < 0);
	/* Front-ends send the kick before they enable the ring.  What the guest
	 * has sent while nobody served it (a new connection, a migration) is
	 * not discarded in between. */
	if (q->was_enabled)
		virtio_net_queue_enable(net, q->idx, q->enabled);
	else
		virtio_net_queue_hold(net, q->idx);
	vu_queue_log(q);
	update_pairs(q->vu);
	return 0;
}

void vu_queue_stop(struct vu_queue *q)
{
	struct vring_state state;

	forget_kick(q);
	if (!virtio_net_queue_stop(&q->vu->net, q->idx, &state))
		return;
	q->base = state.avail;
	if (q->vu->features & BIT64(VIRTIO_F_RING_PACKED))
		q->base |= (uint32_t)state.used << VU_BASE_USED_SHIFT;
	update_pairs(q->vu);
}

void vu_queue_enable(struct vu_queue *q, bool on)
{
	q->enabled = on;
	q->was_enabled |= on;
	virtio_net_queue_enable(&q->vu->net, q->idx, on);
	update_pairs(q->vu);
}

void vu_queue_log(struct vu_queue *q)
{
	bool all = q->vu->features & BIT64(VU_F_LOG_ALL);
	struct vring_log log = {
		.buffers = all,
		.used = all && q->addr.flags & VU_VRING_LOG,
		.used_gpa = q->addr.log,
	};

	virtio_net_queue_log(&q->vu->net, q->idx, &log);
}

void vu_queue_reset(struct vu_queue *q)
{
	vu_queue_stop(q);
	fd_close(&q->call_fd);
	fd_close(&q->err_fd);
	q->size = q->base = 0;
	q->has_addr = q->enabled = q->was_enabled = false;
}
