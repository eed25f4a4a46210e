/* SPDX-License-Identifier: Apache-2.0
 *
 * A tap interface as a port.
 *
 * Frames read from the tap cannot be read again, so they wait in a ring of
 * slots until the switch has consumed them.  The descriptor's watch says when
 * there is something to read; reading ends when the tap is empty, a round's
 * budget is used up or all slots are.
 */
#include "port/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "port/port.h"
#include "port/vnet_hdr.h"

/* Since Linux 6.2. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

enum {
	SLOTS = BATCH_MAX,
	/* A tagged frame of the largest size, and one byte to tell a longer one
	 * that was cut off; in whole pages. */
	SLOT_LEN = (FRAME_LEN_MAX + 4 + 1 + 4095) & ~4095,
	/* Bytes read in a round, lest large frames make rounds long. */
	ROUND_BYTES = 256 << 10,
};

/* A frame that was read. */
struct slot {
	struct vnet_hdr vnet;	/* as read; zero if there is none */
	uint32_t len;		/* bytes of the frame */
	uint8_t *data;		/* SLOT_LEN bytes of tap.buffers */
};

struct tap {
	struct port port;
	struct worker *worker;
	int fd;
	bool vnet_hdr;		/* frames have one before them */
	struct watch watch;
	bool readable;		/* not known to be empty */
	unsigned int first;	/* slot of the first frame not consumed */
	unsigned int n;		/* frames not consumed */
	struct slot slots[SLOTS];
	uint8_t *buffers;	/* SLOTS times SLOT_LEN */
};

static struct tap *tap_of(struct port *port)
{
	return container_of(port, struct tap, port);
}

static bool tap_ready(struct watch *watch, uint32_t events)
{
	struct tap *tap = container_of(watch, struct tap, watch);

	if (events & EPOLLERR) {
		log_err("port %s: its interface has been deleted",
			tap->port.name);
		worker_remove_watch(tap->worker, watch);
	}
	if (events)
		tap->readable = true;
	/* Work only if the queue's poller will see to it. */
	return events && tap->port.queues[0].running;
}

/* ---- from the tap ---- */

/* Read one frame into the next slot; has there been one? */
static bool read_frame(struct tap *tap)
{
	struct slot *slot = &tap->slots[(tap->first + tap->n) % SLOTS];
	size_t hdr_len = tap->vnet_hdr ? sizeof(slot->vnet) : 0;
	struct iovec iov[] = {
		{ &slot->vnet, hdr_len },
		{ slot->data, SLOT_LEN },
	};
	ssize_t len = readv(tap->fd, iov, ARRAY_SIZE(iov));

	if (len <= 0 || (size_t)len < hdr_len) {
		/* Nothing there, or the interface is down: its watch tells. */
		tap->readable = false;
		return false;
	}
	slot->len = (uint32_t)((size_t)len - hdr_len);
	tap->n++;
	return true;
}

/* Make a slot's frame part of the batch.  Return: 0; -ENOBUFS: no room in the
 * batch; another -errno: it is none, and counted. */
static int batch_slot(struct tap *tap, const struct slot *slot,
		      struct frame_batch *batch)
{
	struct port_stats *stats = &tap->port.queues[0].stats;
	struct iovec iov = { slot->data, slot->len };
	struct frame *frame = batch_next(batch);
	int ret;

	if (!frame)
		return -ENOBUFS;
	ret = batch_fill(batch, frame, &iov, 1, slot->len);
	if (ret < 0) {
		counter_add(&stats->tx_bad_len, 1);
		return ret;
	}
	ret = vnet_hdr_get(&slot->vnet, frame);
	if (ret < 0) {
		counter_add(&stats->bad_offload, 1);
		return ret;
	}
	frame_pop_vlan(frame);
	batch_commit(batch, frame);
	return 0;
}

static void tap_tx_burst(struct port_queue *queue, struct frame_batch *batch,
			 bool *worked)
{
	struct tap *tap = tap_of(queue->port);
	uint32_t bytes = 0;

	/* What was held was good when it came, and fitted. */
	for (unsigned int i = 0; i < tap->n; i++)
		if (batch_slot(tap, &tap->slots[(tap->first + i) % SLOTS],
			       batch) < 0)
			return;
	while (tap->readable && tap->n < SLOTS && bytes < ROUND_BYTES &&
	       read_frame(tap)) {
		const struct slot *slot =
			&tap->slots[(tap->first + tap->n - 1) % SLOTS];

		*worked = true;
		bytes += slot->len;
		/* One that is none gives its slot back. */
		if (batch_slot(tap, slot, batch) < 0)
			tap->n--;
	}
}

static void tap_tx_done(struct port_queue *queue,
			const struct frame_batch *batch, unsigned int n)
{
	struct tap *tap = tap_of(queue->port);

	tap->first = (tap->first + n) % SLOTS;
	tap->n -= n;
}

/* ---- to the tap ---- */

/* Return: false: no room. */
static bool write_frame(struct tap *tap, const struct frame *frame)
{
	struct port_stats *stats = &tap->port.queues[0].stats;
	struct iovec iov[2 + FRAME_SEGS_MAX + 1];
	struct vnet_hdr vnet;

	vnet_hdr_put(frame, &vnet);
	iov[0] = (struct iovec){ &vnet, tap->vnet_hdr ? sizeof(vnet) : 0 };
	iov[1] = (struct iovec){ frame->hdr, frame->hdr_len };
	memcpy(&iov[2], frame->segs, frame->n_segs * sizeof(iov[0]));
	if (writev(tap->fd, iov, 2 + frame->n_segs) >= 0)
		return true;
	if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM)
		return false;
	/* EIO: the interface is down; else the kernel does not like it. */
	counter_add(errno == EIO ? &stats->rx_link_down : &stats->bad_offload,
		    1);
	return true;
}

static unsigned int tap_rx_burst(struct port_queue *queue,
				 struct frame *const *frames, unsigned int n)
{
	struct tap *tap = tap_of(queue->port);

	for (unsigned int i = 0; i < n; i++)
		if (!write_frame(tap, frames[i]))
			return i;
	return n;
}

/* ---- life ---- */

static void tap_destroy(struct port *port)
{
	struct tap *tap = tap_of(port);

	worker_remove_watch(tap->worker, &tap->watch);
	fd_close(&tap->fd);
	munmap(tap->buffers, (size_t)SLOTS * SLOT_LEN);
	free(tap);
}

static const struct port_ops tap_ops = {
	.kind = "tap",
	.tx_burst = tap_tx_burst,
	.tx_done = tap_tx_done,
	.rx_burst = tap_rx_burst,
	.destroy = tap_destroy,
};

static int check_ifname(const char *ifname)
{
	size_t len = strlen(ifname);

	if (len && len < IFNAMSIZ && !strpbrk(ifname, "/ \t\n%:") &&
	    strcmp(ifname, ".") && strcmp(ifname, ".."))
		return 0;
	log_err("tap '%s': an interface name has 1 to %d characters, without "
		"'/', ':', '%%' and blanks", ifname, IFNAMSIZ - 1);
	return -EINVAL;
}

static int open_tap(const char *ifname, bool vnet_hdr, int *fd)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	int ret, vnet_len = VNET_HDR_LEN;

	*fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (*fd < 0) {
		ret = -errno;
		log_err("tap %s: cannot open /dev/net/tun: %s", ifname,
			strerror(errno));
		return ret;
	}
	if (vnet_hdr)
		ifr.ifr_flags |= IFF_VNET_HDR;
	strcpy(ifr.ifr_name, ifname);
	if (ioctl(*fd, TUNSETIFF, &ifr) < 0) {
		ret = -errno;
		log_err("tap %s: %s%s", ifname, strerror(errno),
			errno == EPERM ? " (needs CAP_NET_ADMIN, or an "
			"interface made for this user by 'ip tuntap add')" :
			errno == EBUSY ? " (another program has it open)" :
			errno == EINVAL ? " (not a single-queue tap)" : "");
		goto err_close;
	}
	if (vnet_hdr && ioctl(*fd, TUNSETVNETHDRSZ, &vnet_len) < 0) {
		ret = -errno;
		log_err("tap %s: cannot set the length of its header: %s",
			ifname, strerror(errno));
		goto err_close;
	}
	return 0;

err_close:
	fd_close(fd);
	return ret;
}

/* Ask for all that the kernel may know; returns the kinds of GSO it takes. */
static uint8_t set_offloads(int fd, bool vnet_hdr)
{
	static const struct {
		unsigned long tun;	/* TUN_F_* */
		uint8_t gso;		/* enum frame_gso bits */
	} tries[] = {
		{ TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN |
		  TUN_F_USO4 | TUN_F_USO6,
		  FRAME_GSO_TCP4 | FRAME_GSO_TCP6 | FRAME_GSO_UDP |
		  FRAME_GSO_ECN },
		{ TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN,
		  FRAME_GSO_TCP4 | FRAME_GSO_TCP6 | FRAME_GSO_ECN },
		{ TUN_F_CSUM, 0 },
		/* One that stays has what another program asked for. */
		{ 0, 0 },
	};

	for (size_t i = vnet_hdr ? 0 : ARRAY_SIZE(tries) - 1;
	     i < ARRAY_SIZE(tries); i++)
		if (!ioctl(fd, TUNSETOFFLOAD, tries[i].tun))
			return tries[i].gso;
	return 0;
}

int tap_port_create(const char *name, const char *ifname,
		    bool vnet_hdr, struct worker *worker, struct port **port)
{
	struct tap *tap;
	int ret = check_ifname(ifname);

	if (ret < 0)
		return ret;
	tap = calloc(1, sizeof(*tap));
	if (!tap)
		return -ENOMEM;
	port_init(&tap->port, &tap_ops, name, worker, 1);
	tap->worker = worker;
	tap->vnet_hdr = vnet_hdr;
	tap->buffers = mmap(NULL, (size_t)SLOTS * SLOT_LEN,
			    PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (tap->buffers == MAP_FAILED) {
		ret = -ENOMEM;
		goto err_free;
	}
	for (unsigned int i = 0; i < SLOTS; i++)
		tap->slots[i].data = tap->buffers + (size_t)i * SLOT_LEN;
	ret = open_tap(ifname, vnet_hdr, &tap->fd);
	if (ret < 0)
		goto err_unmap;
	tap->port.caps = (struct port_caps) {
		.max_len = FRAME_LEN_MAX,
		.gso = set_offloads(tap->fd, vnet_hdr),
		.csum = vnet_hdr,
	};
	tap->watch.fd = tap->fd;
	tap->watch.ready = tap_ready;
	ret = worker_add_watch(worker, &tap->watch);
	if (ret < 0)
		goto err_close;
	*port = &tap->port;
	return 0;

err_close:
	fd_close(&tap->fd);
err_unmap:
	munmap(tap->buffers, (size_t)SLOTS * SLOT_LEN);
err_free:
	free(tap);
	return ret;
}
