/* SPDX-License-Identifier: Apache-2.0
 *
 * Listening, and the life of a connection.  What messages mean is in
 * messages.c.
 */
#include "vfio_user/server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/eventfd.h"
#include "base/log.h"
#include "base/time.h"
#include "base/unix_socket.h"
#include "pci/pci.h"
#include "vfio_user/server_internal.h"
#include "vfio_user/server_syscalls.h"
#include "vfio_user/version.h"

static const int server_nrs[] = {
	__NR_accept4, __NR_recvmsg, __NR_sendto, __NR_fcntl, __NR_close,
	__NR_unlink, __NR_sendmsg, __NR_getrandom,
	/* a model's doorbells and registers, new for each client */
	__NR_eventfd2, __NR_memfd_create, __NR_ftruncate, __NR_mmap,
	__NR_munmap,
	/* base/eventfd.h: the clients' interrupts */
	__NR_io_submit, __NR_io_getevents, __NR_preadv2, __NR_readlink,
	-1,
};

const struct syscall_list vfu_server_syscalls = { "vfio-user", server_nrs };

/* A turn is so many register accesses, or as much time in messages; then others
 * get theirs. */
enum {
	TURN_BUDGET = 1024,
	MESSAGE_COST = 16,		/* of any, in register accesses */
	ACCEPTS_PER_TURN = 16,
	BACKLOG = 16,
};

/* How long the driver's register reads are awaited after an interrupt. */
#define HOT_NS (50 * NS_PER_US)

/* ---- interrupts ---- */

static void dev_intx(struct pci_dev *dev, bool level)
{
	struct vfu_server *s = dev->host;

	vfu_irqs_intx(&s->irqs);
}

static bool dev_msi(struct pci_dev *dev, unsigned int vec)
{
	struct vfu_server *s = dev->host;

	return vfu_irqs_msi(&s->irqs, vec);
}

static const struct pci_irq_ops irq_ops = {
	.intx = dev_intx,
	.msi = dev_msi,
	.owns_masks = true,
};

static void irq_signalled(struct vfu_irqs *irqs)
{
	struct vfu_server *s = container_of(irqs, struct vfu_server, irqs);

	counter_add(&s->stats.irqs, 1);
	/* Where they are shared they come without a message. */
	if (!s->shared.page)
		worker_hot(s->worker, &s->client, HOT_NS);
}

/* ---- a connection ---- */

/* The client has gone and the function is quiet: let go of its memory, and of
 * what it did to the function, unless it may come back to that. */
static void forget_client(struct vfu_server *s)
{
	s->phase = VFU_PHASE_NONE;
	if (s->dev->ops->dma_changed)
		s->dev->ops->dma_changed(s->dev);
	if (!s->session[0])
		pci_dev_reset(s->dev, PCI_RESET_POWER_ON);
	dma_space_clear(s->dma);
	if (s->dev->ops->resume)
		s->dev->ops->resume(s->dev);
}

/* Once this returns the client is not told anything any more; its memory is let
 * go of then, or as soon as the function is quiet. */
static void disconnect(struct vfu_server *s)
{
	bool quiet;

	if (s->phase == VFU_PHASE_NONE || s->phase == VFU_PHASE_LEAVING)
		return;
	s->phase = VFU_PHASE_LEAVING;
	worker_remove_poller(s->worker, &s->memory_check);
	worker_remove_poller(s->worker, &s->go_on);
	worker_remove_watch(s->worker, &s->client);
	vfu_conn_close(&s->conn);
	s->client.fd = -1;
	s->wants_output = false;
	/* Broken off half way it is not to be made again either. */
	if (s->unfinished)
		vfu_message_give_up(s);
	vfu_irqs_clear(&s->irqs);
	vfu_shared_close(&s->shared);
	/* It may be stopping already, because of a message. */
	quiet = !s->waiting &&
		(!s->dev->ops->quiesce || s->dev->ops->quiesce(s->dev));
	s->waiting = false;
	if (quiet)
		forget_client(s);
}

/* The client is cut off because of @err, with one message; or has gone. */
static void drop_client(struct vfu_server *s, int err)
{
	if (err == -ECONNRESET || err == -EPIPE)
		log_debug("%s: client disconnected", s->dev->name);
	else
		log_limited(LOG_WARN, "%s: client disconnected: %s",
			    s->dev->name,
			    err == -ENOBUFS ? "it does not read its replies" :
			    err == -EMSGSIZE ? "it sent an impossible size" :
			    err == -EFAULT ? "it truncated its memory" :
			    strerror(-err));
	disconnect(s);
}

/* Has the memory been truncated?  Costs a few loads a round. */
static bool check_memory(struct poller *poller)
{
	struct vfu_server *s = container_of(poller, struct vfu_server,
					    memory_check);

	if (likely(!dma_space_broken(s->dma)))
		return false;
	drop_client(s, -EFAULT);
	return true;
}

/* One message or the rest of one, if it is here: 1; it is not, or this is not
 * all of it: 0; -errno: the end. */
static int serve_one(struct vfu_server *s)
{
	int ret = s->unfinished ? 1 : vfu_conn_recv(&s->conn);

	if (ret == -EMSGSIZE) {
		counter_add(&s->stats.messages, 1);
		/* As good as it can be; the stream ends here anyhow. */
		if (vfu_message_refuse(s, -EMSGSIZE))
			return ret;
	}
	if (ret <= 0)
		return ret;
	ret = s->unfinished ? vfu_message_go_on(s) : vfu_message_handle(s);
	if (!ret && (s->waiting || s->unfinished))
		return 0;
	if (!ret && dma_space_broken(s->dma))
		ret = -EFAULT;
	s->budget -= min_of(s->budget, (unsigned int)MESSAGE_COST);
	vfu_conn_done(&s->conn);
	return ret ? ret : 1;
}

/* Ask for EPOLLOUT while replies are kept. */
static void update_output(struct vfu_server *s)
{
	bool pending = vfu_conn_pending(&s->conn);

	if (pending == s->wants_output)
		return;
	s->wants_output = pending;
	worker_watch_output(s->worker, &s->client, pending);
}

/* Serve messages until there are no more, or their time is up; was there any
 * work? */
static bool take_turn(struct vfu_server *s)
{
	bool worked = false;
	int ret = 1;

	s->budget = TURN_BUDGET;
	/* A message in our buffer is not left there: no event will come. */
	while (ret > 0 && (s->budget || vfu_conn_buffered(&s->conn))) {
		ret = serve_one(s);
		worked |= ret > 0;
		if (s->conn.drained)
			break;
	}
	if (ret < 0) {
		drop_client(s, ret);
		return true;
	}
	update_output(s);
	/* Nor will one for the rest of what has been read already. */
	if (s->unfinished)
		worker_add_poller(s->worker, &s->go_on);
	else
		worker_remove_poller(s->worker, &s->go_on);
	return worked || s->unfinished;
}

static bool go_on(struct poller *poller)
{
	return take_turn(container_of(poller, struct vfu_server, go_on));
}

static bool client_ready(struct watch *watch, uint32_t events)
{
	struct vfu_server *s = container_of(watch, struct vfu_server, client);
	int err = 0;

	/* It has its turn as a poller.  Half a reply is behind those kept, so
	 * they are to stay where they are. */
	if (s->unfinished)
		return false;
	if (events & EPOLLOUT)
		err = vfu_conn_flush(&s->conn);
	if (err) {
		drop_client(s, err);
		return true;
	}
	if (s->waiting) {
		update_output(s);
		return false;
	}
	return take_turn(s);
}

/* What was asked for by a message, or by disconnect(), can be done now. */
static void dev_quiesced(struct pci_dev *dev)
{
	struct vfu_server *s = dev->host;
	int ret;

	if (s->phase == VFU_PHASE_LEAVING) {
		forget_client(s);
		return;
	}
	if (!s->waiting)
		return;
	s->waiting = false;
	ret = vfu_message_go_on(s);
	vfu_conn_done(&s->conn);
	if (ret)
		drop_client(s, ret);
	else	/* no event will come for what is in our buffer */
		take_turn(s);
}

int vfu_server_attach(struct vfu_server *s, int fd)
{
	int err = s->phase == VFU_PHASE_NONE ? vfu_conn_open(&s->conn, fd) :
		-EBUSY;

	if (!err) {
		s->client.fd = fd;
		err = worker_add_watch(s->worker, &s->client);
	}
	if (err) {
		if (s->conn.fd == fd)
			vfu_conn_close(&s->conn);
		else
			fd_close(&fd);
		return err;
	}
	worker_add_poller(s->worker, &s->memory_check);
	s->max_fds = 1;
	s->may_share = false;
	s->phase = VFU_PHASE_HELLO;
	counter_add(&s->stats.connections, 1);
	return 0;
}

/* ---- listening ---- */

/*
 * No descriptor is left to accept a connection with.  It would be reported for
 * ever, so the spare one is given up to accept and close it.
 */
static void refuse_without_fds(struct vfu_server *s)
{
	int fd;

	log_limited(LOG_ERR, "%s: connection refused: no descriptors left",
		    s->dev->name);
	fd_close(&s->spare_fd);
	fd = accept4(s->listener.fd, NULL, NULL, SOCK_CLOEXEC);
	fd_close(&fd);
	s->spare_fd = fcntl(s->listener.fd, F_DUPFD_CLOEXEC, 0);
}

static bool listener_ready(struct watch *watch, uint32_t events)
{
	struct vfu_server *s = container_of(watch, struct vfu_server, listener);
	unsigned int n;

	if (s->phase == VFU_PHASE_LEAVING)
		return false;
	for (n = 0; n < ACCEPTS_PER_TURN; n++) {
		int fd = accept4(watch->fd, NULL, NULL,
				 SOCK_CLOEXEC | SOCK_NONBLOCK);
		int err;

		if (fd < 0 && (errno == EMFILE || errno == ENFILE)) {
			refuse_without_fds(s);
			continue;
		}
		if (fd < 0)
			break;
		err = vfu_server_attach(s, fd);
		if (err == -EBUSY)
			log_limited(LOG_WARN, "%s: a second client was turned "
				    "away: one is connected", s->dev->name);
		else if (err)
			log_limited(LOG_ERR, "%s: cannot serve a client: %s",
				    s->dev->name, strerror(-err));
	}
	return n;
}

static int start_listening(struct vfu_server *s,
			   const struct vfu_server_config *config)
{
	int err;

	if (config->path) {
		err = unix_listen(config->path, BACKLOG, &s->listener.fd);
		if (err)
			return err;
		s->path = strdup(config->path);
		if (!s->path) {
			unlink(config->path);
			return -ENOMEM;
		}
	} else {
		s->listener.fd = config->listen_fd;
	}
	if (s->listener.fd < 0)
		return 0;
	if (fcntl(s->listener.fd, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	s->spare_fd = fcntl(s->listener.fd, F_DUPFD_CLOEXEC, 0);
	if (s->spare_fd < 0)
		return -errno;
	err = worker_add_watch(s->worker, &s->listener);
	s->listening = !err;
	return err;
}

int vfu_server_create(const struct vfu_server_config *config,
		      struct vfu_server **server)
{
	struct vfu_server *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return -ENOMEM;
	s->worker = config->worker;
	s->dev = config->dev;
	s->quota = config->quota;
	if (!s->quota.max_ranges)
		s->quota.max_ranges = DMA_RANGES_DEFAULT;
	s->listener = (struct watch){ .ready = listener_ready, .fd = -1 };
	s->client = (struct watch){ .ready = client_ready, .fd = -1 };
	s->memory_check = (struct poller){ .poll = check_memory };
	s->go_on = (struct poller){ .poll = go_on };
	s->spare_fd = -1;
	s->conn.fd = -1;
	vfu_shared_init(&s->shared, s->dev, s->worker);
	s->irqs.unmask.fd = -1;

	vfu_caps_init();
	err = dma_init();
	if (!err)
		err = eventfd_init();
	if (!err)
		err = vfu_conn_init(&s->conn);
	if (!err)
		err = vfu_irqs_init(&s->irqs, s->dev, s->worker, irq_signalled);
	if (!err) {
		s->dma = dma_space_create(s->dev->name, &s->quota);
		err = s->dma ? 0 : -ENOMEM;
	}
	if (!err) {
		s->dev->dma = s->dma;
		s->dev->irq = &irq_ops;
		s->dev->host = s;
		s->dev->quiesced = dev_quiesced;
		pci_dev_reset(s->dev, PCI_RESET_POWER_ON);
		err = start_listening(s, config);
	}
	if (err) {
		vfu_server_destroy(s);
		return err;
	}
	*server = s;
	return 0;
}

void vfu_server_destroy(struct vfu_server *s)
{
	if (!s)
		return;
	disconnect(s);
	/* Nothing runs any more, or will, with its worker stopped. */
	if (s->phase == VFU_PHASE_LEAVING)
		forget_client(s);
	if (s->listening)
		worker_remove_watch(s->worker, &s->listener);
	fd_close(&s->listener.fd);
	fd_close(&s->spare_fd);
	if (s->path)
		unlink(s->path);
	if (s->dev->host == s) {
		s->dev->dma = NULL;
		s->dev->irq = NULL;
		s->dev->host = NULL;
		s->dev->quiesced = NULL;
	}
	dma_space_destroy(s->dma);
	vfu_irqs_fini(&s->irqs);
	vfu_conn_fini(&s->conn);
	free(s->path);
	free(s);
}

bool vfu_server_connected(const struct vfu_server *server)
{
	return server->phase > VFU_PHASE_LEAVING;
}

const struct vfu_server_stats *vfu_server_stats(const struct vfu_server *s)
{
	return &s->stats;
}
