/* SPDX-License-Identifier: Apache-2.0
 *
 * vhost-user: listening or connecting, and the life of a connection.  What
 * messages mean is in messages.c.
 */
#include "vhost_user/vhost_user.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/eventfd.h"
#include "base/log.h"
#include "base/time.h"
#include "base/unix_socket.h"
#include "vhost_user/vhost_user_internal.h"
#include "vhost_user/vhost_user_syscalls.h"

static const int vhost_user_nrs[] = {
	__NR_accept4, __NR_recvmsg, __NR_sendmsg, __NR_close, __NR_unlink,
	/* as client */
	__NR_socket, __NR_connect,
	/* base/eventfd.h: kicks and calls */
	__NR_io_submit, __NR_io_getevents, __NR_preadv2, __NR_readlink,
	-1,
};

const struct syscall_list vhost_user_syscalls = {
	"vhost-user", vhost_user_nrs
};

/* Messages a turn; then queues get theirs. */
enum { MESSAGES_PER_TURN = 64 };

/* All of virtio-net but what a back-end is never told of: the control queue,
 * and the configuration space. */
#define VHOST_USER_FEATURES (						\
	BIT64(VIRTIO_F_VERSION_1) | BIT64(VIRTIO_F_RING_PACKED) |	\
	BIT64(VIRTIO_F_INDIRECT_DESC) | BIT64(VIRTIO_F_EVENT_IDX) |	\
	BIT64(VIRTIO_F_IN_ORDER) | BIT64(VIRTIO_NET_F_CSUM) |		\
	BIT64(VIRTIO_NET_F_GUEST_CSUM) | BIT64(VIRTIO_NET_F_MTU) |	\
	BIT64(VIRTIO_NET_F_GUEST_TSO4) | BIT64(VIRTIO_NET_F_GUEST_TSO6) | \
	BIT64(VIRTIO_NET_F_GUEST_ECN) | BIT64(VIRTIO_NET_F_HOST_TSO4) |	\
	BIT64(VIRTIO_NET_F_HOST_TSO6) | BIT64(VIRTIO_NET_F_HOST_ECN) |	\
	BIT64(VIRTIO_NET_F_MRG_RXBUF) | BIT64(VIRTIO_NET_F_MQ) |	\
	BIT64(VIRTIO_NET_F_GUEST_ANNOUNCE) |				\
	BIT64(VIRTIO_NET_F_GUEST_USO4) | BIT64(VIRTIO_NET_F_GUEST_USO6) | \
	BIT64(VIRTIO_NET_F_HOST_USO))

static struct vhost_user *vu_of(struct virtio_net *net)
{
	return container_of(net, struct vhost_user, net);
}

/* ---- what the device asks of its transport ---- */

static void net_call(struct virtio_net *net, unsigned int vq)
{
	int fd = vu_of(net)->queues[vq].call_fd;

	if (fd >= 0)
		eventfd_notify(fd);
}

static void net_broken(struct virtio_net *net, unsigned int vq)
{
	int fd = vu_of(net)->queues[vq].err_fd;

	if (fd >= 0)
		eventfd_notify(fd);
}

/* ---- a connection ---- */

static void wait_for_peer(struct vhost_user *vu);

void vu_reset(struct vhost_user *vu)
{
	for (unsigned int i = 0; i < VU_QUEUES_MAX; i++)
		vu_queue_reset(&vu->queues[i]);
	virtio_net_reset(&vu->net);
	vu->net.port.caps.max_len = FRAME_LEN_MAX;
	dma_space_drop_log(vu->dma);
	fd_close(&vu->log_fd);
	vu->features = 0;
	vu->status = 0;
}

/* Nothing of this front-end is reached any more once this returns. */
static void disconnect(struct vhost_user *vu)
{
	if (vu->peer.fd < 0)
		return;
	worker_remove_poller(vu->worker, &vu->memory_check);
	worker_remove_watch(vu->worker, &vu->peer);
	vu->peer.fd = -1;
	vu_conn_close(&vu->conn);
	vu_reset(vu);
	vu_memory_clear(vu);
	vu->protocol = 0;
}

static void drop_peer(struct vhost_user *vu, int err)
{
	const char *name = vu->net.port.name;

	if (err == -ECONNRESET || err == -EPIPE)
		log_debug("%s: front-end disconnected", name);
	else
		log_limited(LOG_WARN, "%s: front-end disconnected: %s", name,
			    err == -EAGAIN ? "it does not read its replies" :
			    err == -EPROTO ? "it broke the protocol" :
			    err == -EFAULT ? "it truncated its memory" :
			    strerror(-err));
	disconnect(vu);
	wait_for_peer(vu);
}

/* Has the memory been truncated?  Costs a few loads a round.  And if the
 * front-end wants to hear of pages logged, it does once a round. */
static bool check_memory(struct poller *poller)
{
	struct vhost_user *vu = container_of(poller, struct vhost_user,
					     memory_check);

	if (unlikely(vu->log_fd >= 0) && dma_log_changed(vu->dma))
		eventfd_notify(vu->log_fd);
	if (likely(!dma_space_broken(vu->dma)))
		return false;
	drop_peer(vu, -EFAULT);
	return true;
}

static bool peer_ready(struct watch *watch, uint32_t events)
{
	struct vhost_user *vu = container_of(watch, struct vhost_user, peer);
	int ret = 1;

	for (unsigned int n = 0; n < MESSAGES_PER_TURN; n++) {
		ret = vu_conn_recv(&vu->conn);
		if (ret <= 0)
			break;
		ret = vu_message(vu);
		vu_conn_done(&vu->conn);
		if (ret < 0)
			break;
		vu->retry_ms = VHOST_USER_RETRY_MIN_MS;
	}
	if (ret < 0)
		drop_peer(vu, ret);
	return true;
}

int vu_attach(struct vhost_user *vu, int fd)
{
	int ret;

	vu->peer.fd = fd;
	ret = worker_add_watch(vu->worker, &vu->peer);
	if (ret < 0) {
		fd_close(&vu->peer.fd);
		return ret;
	}
	vu_conn_open(&vu->conn, fd);
	worker_add_poller(vu->worker, &vu->memory_check);
	vu->said_waiting = false;
	return 0;
}

/* ---- as server ---- */

static bool listener_ready(struct watch *watch, uint32_t events)
{
	struct vhost_user *vu = container_of(watch, struct vhost_user,
					     listener);
	int fd = accept4(watch->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	int ret;

	if (fd < 0)
		return false;
	ret = vu_attach(vu, fd);
	if (ret < 0)
		log_limited(LOG_WARN, "%s: cannot serve a front-end: %s",
			    vu->net.port.name, strerror(-ret));
	else
		/* Others wait in the socket's queue. */
		worker_remove_watch(vu->worker, watch);
	return true;
}

/* ---- as client ---- */

static int connect_to(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd, ret;

	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (!connect(fd, (const struct sockaddr *)&addr, sizeof(addr)))
		return fd;
	ret = -errno;
	fd_close(&fd);
	return ret;
}

static void retry_expired(struct timer *timer)
{
	struct vhost_user *vu = container_of(timer, struct vhost_user, retry);
	int ret = connect_to(vu->path);

	if (ret >= 0)
		ret = vu_attach(vu, ret);
	if (ret >= 0)
		return;
	if (!vu->said_waiting)
		log_info("%s: waiting for a front-end on %s",
			 vu->net.port.name, vu->path);
	vu->said_waiting = true;
	wait_for_peer(vu);
}

/* The next front-end is to come. */
static void wait_for_peer(struct vhost_user *vu)
{
	if (vu->is_client) {
		worker_set_timer(vu->worker, &vu->retry,
				 worker_now(vu->worker) +
				 vu->retry_ms * NS_PER_MS);
		vu->retry_ms = min_of(2 * vu->retry_ms,
				      (unsigned int)VHOST_USER_RETRY_MAX_MS);
	} else if (worker_add_watch(vu->worker, &vu->listener) < 0) {
		log_err("%s: cannot wait for front-ends any more",
			vu->net.port.name);
	}
}

/* ---- life ---- */

static void vu_free(struct vhost_user *vu)
{
	dma_space_destroy(vu->dma);
	free(vu->path);
	free(vu);
}

static void net_destroy(struct virtio_net *net)
{
	struct vhost_user *vu = vu_of(net);

	if (vu->peer.fd < 0 && vu->listener.fd >= 0)
		worker_remove_watch(vu->worker, &vu->listener);
	disconnect(vu);
	worker_cancel_timer(vu->worker, &vu->retry);
	if (vu->listener.fd >= 0)
		unlink(vu->path);
	fd_close(&vu->listener.fd);
	vu_free(vu);
}

static bool net_connected(const struct virtio_net *net)
{
	return container_of(net, struct vhost_user, net)->peer.fd >= 0;
}

static const struct virtio_net_ops net_ops = {
	.call = net_call,
	.broken = net_broken,
	.connected = net_connected,
	.destroy = net_destroy,
};

static struct vhost_user *vu_new(const struct vhost_user_config *config)
{
	struct virtio_net_params params = {
		.name = config->name,
		.worker = config->worker,
		.n_pairs = config->n_pairs ? config->n_pairs :
			VIRTIO_NET_PAIRS_MAX,
		.features = VHOST_USER_FEATURES,
	};
	struct dma_quota quota = {
		.max_ranges = VU_SLOTS_MAX,
		.max_files = VU_SLOTS_MAX,
	};
	struct vhost_user *vu = calloc(1, sizeof(*vu));

	if (!vu)
		return NULL;
	virtio_net_init(&vu->net, &net_ops, &params);
	/* The front-end has the number; all we need is to know that it can. */
	vu->net.offered |= BIT64(VIRTIO_NET_F_MTU);
	vu->worker = config->worker;
	vu->is_client = config->client;
	vu->listener = (struct watch){ .ready = listener_ready, .fd = -1 };
	vu->peer = (struct watch){ .ready = peer_ready, .fd = -1 };
	vu->log_fd = -1;
	vu->retry.expired = retry_expired;
	vu->retry_ms = VHOST_USER_RETRY_MIN_MS;
	list_init(&vu->retry.node);
	vu->memory_check.poll = check_memory;
	vu->conn.fd = -1;
	vu_queues_init(vu);
	vu->path = strdup(config->path);
	vu->net.dma = vu->dma = dma_space_create(config->name, &quota);
	if (vu->path && vu->dma)
		return vu;
	vu_free(vu);
	return NULL;
}

static int start_listening(struct vhost_user *vu)
{
	int ret = unix_listen(vu->path, 4, &vu->listener.fd);

	if (ret < 0)
		return ret;
	ret = worker_add_watch(vu->worker, &vu->listener);
	if (ret < 0) {
		unlink(vu->path);
		fd_close(&vu->listener.fd);
	}
	return ret;
}

int vhost_user_create(const struct vhost_user_config *config,
		      struct port **port)
{
	struct vhost_user *vu;
	int ret = -ENAMETOOLONG;

	if (strlen(config->path) < sizeof(((struct sockaddr_un *)0)->sun_path))
		ret = dma_init();
	if (!ret)
		ret = eventfd_init();
	if (ret < 0) {
		log_err("vhost-user:%s: %s", config->path, strerror(-ret));
		return ret;
	}
	vu = vu_new(config);
	if (!vu) {
		log_err("vhost-user:%s: out of memory", config->path);
		return -ENOMEM;
	}
	if (vu->is_client) {
		/* At once, by the first round. */
		worker_set_timer(vu->worker, &vu->retry,
				 worker_now(vu->worker));
	} else {
		ret = start_listening(vu);
		if (ret < 0) {
			log_err("vhost-user:%s: cannot listen: %s",
				config->path, strerror(-ret));
			vu_free(vu);
			return ret;
		}
	}
	*port = &vu->net.port;
	return 0;
}
