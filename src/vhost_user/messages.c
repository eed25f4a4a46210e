/* SPDX-License-Identifier: Apache-2.0
 *
 * What each message means.
 *
 * One table row a message: its handler, the size of its payload, how many
 * descriptors may come with it, whether it has an answer of its own, and which
 * protocol feature has to be negotiated.  The dispatcher enforces the row;
 * handlers contain only meaning.  A handler with an answer leaves it in the
 * payload.
 */
#include <errno.h>
#include <string.h>

#include "base/eventfd.h"
#include "base/log.h"
#include "proto/arp.h"
#include "proto/eth.h"
#include "vhost_user/vhost_user_internal.h"

#define P(name) BIT64(VU_PROTOCOL_F_##name)

#define PROTOCOL_FEATURES (P(MQ) | P(LOG_SHMFD) | P(RARP) |		\
	P(REPLY_ACK) | P(MTU) | P(RESET_DEVICE) | P(CONFIGURE_MEM_SLOTS) | \
	P(STATUS))

/* Feature bits that are not virtio's. */
#define VU_FEATURES (BIT64(VU_F_PROTOCOL_FEATURES) | BIT64(VU_F_LOG_ALL))

enum { NO_FEATURE = 64, MTU_MIN = 68, MTU_MAX = 65535 };

struct message {
	const char *name;	/* for messages to the operator */
	int (*handle)(struct vhost_user *vu, union vu_payload *payload);
	uint16_t min_len;	/* of the payload */
	uint16_t max_len;
	uint8_t min_fds;
	uint8_t max_fds;
	uint8_t reply_len;	/* of its own answer; 0: none */
	uint8_t feature;	/* enum vu_protocol_feature, or NO_FEATURE */
};

uint64_t vu_offered(const struct vhost_user *vu)
{
	return vu->net.offered | VU_FEATURES;
}

/* ---- features ---- */

static int get_features(struct vhost_user *vu, union vu_payload *p)
{
	p->u64 = vu_offered(vu);
	return 0;
}

static bool any_started(const struct vhost_user *vu)
{
	for (unsigned int i = 0; i < 2 * vu->net.n_pairs; i++)
		if (virtio_net_queue_started(&vu->net, i))
			return true;
	return false;
}

/* Under traffic, logging alone is switched on and off. */
static int set_features(struct vhost_user *vu, union vu_payload *p)
{
	if (any_started(vu)) {
		if ((p->u64 ^ vu->features) & ~BIT64(VU_F_LOG_ALL))
			return -EBUSY;
	} else if (virtio_net_set_features(&vu->net,
					   p->u64 & ~VU_FEATURES) < 0) {
		return -EINVAL;
	}
	vu->features = p->u64;
	for (unsigned int i = 0; i < VU_QUEUES_MAX; i++)
		vu_queue_log(&vu->queues[i]);
	return 0;
}

static int get_protocol_features(struct vhost_user *vu, union vu_payload *p)
{
	p->u64 = PROTOCOL_FEATURES;
	return 0;
}

static int set_protocol_features(struct vhost_user *vu, union vu_payload *p)
{
	if (p->u64 & ~PROTOCOL_FEATURES)
		return -EINVAL;
	vu->protocol = p->u64;
	return 0;
}

static int get_queue_num(struct vhost_user *vu, union vu_payload *p)
{
	p->u64 = vu->net.n_pairs;
	return 0;
}

static int set_owner(struct vhost_user *vu, union vu_payload *p)
{
	return 0;
}

/* No longer used by front-ends; understood as the specification advises, which
 * is to disable all rings. */
static int reset_owner(struct vhost_user *vu, union vu_payload *p)
{
	for (unsigned int i = 0; i < VU_QUEUES_MAX; i++)
		vu_queue_enable(&vu->queues[i], false);
	return 0;
}

/* As new, but for the connection: the owner, protocol features and memory. */
static int reset_device(struct vhost_user *vu, union vu_payload *p)
{
	vu_reset(vu);
	return 0;
}

/* 0 resets the device (VIRTIO 1.2, 2.1); what the driver refuses to go on with
 * it says by FEATURES_OK. */
static int set_status(struct vhost_user *vu, union vu_payload *p)
{
	if (p->u64 > UINT8_MAX)
		return -EINVAL;
	vu->status = (uint8_t)p->u64;
	if (!vu->status)
		for (unsigned int i = 0; i < VU_QUEUES_MAX; i++)
			vu_queue_stop(&vu->queues[i]);
	return 0;
}

static int get_status(struct vhost_user *vu, union vu_payload *p)
{
	p->u64 = vu->status;
	return 0;
}

/* ---- memory ---- */

static int set_mem_table(struct vhost_user *vu, union vu_payload *p)
{
	uint32_t n = p->table.n;

	if (n > VU_TABLE_REGIONS ||
	    vu->conn.header.size != offsetof(struct vu_mem_table, region[n]))
		return -EINVAL;
	return vu_memory_set(vu, &p->table);
}

static int get_max_mem_slots(struct vhost_user *vu, union vu_payload *p)
{
	p->u64 = VU_SLOTS_MAX;
	return 0;
}

static int add_mem_reg(struct vhost_user *vu, union vu_payload *p)
{
	return vu_memory_add(vu, &p->reg.region);
}

static int rem_mem_reg(struct vhost_user *vu, union vu_payload *p)
{
	return vu_memory_remove(vu, &p->reg.region);
}

/* ---- the log ---- */

/* The answer says only that the new log is in use: from now on, nothing is
 * marked in an earlier one. */
static int set_log_base(struct vhost_user *vu, union vu_payload *p)
{
	int ret = dma_space_set_log(vu->dma, vu->conn.fds[0], p->log.offset,
				    p->log.len);

	p->u64 = 0;
	return ret;
}

static int set_log_fd(struct vhost_user *vu, union vu_payload *p)
{
	if (!eventfd_is(vu->conn.fds[0]))
		return -EINVAL;
	fd_close(&vu->log_fd);
	vu->log_fd = vu_conn_take_fd(&vu->conn, 0);
	return 0;
}

/* ---- rings ---- */

static struct vu_queue *queue_at(struct vhost_user *vu, uint64_t idx)
{
	return idx < 2 * vu->net.n_pairs ? &vu->queues[idx] : NULL;
}

/* One that is not being served, so that what is known of it may change. */
static struct vu_queue *stopped_queue_at(struct vhost_user *vu, uint64_t idx)
{
	return virtio_net_queue_started(&vu->net, (unsigned int)idx) ? NULL :
		queue_at(vu, idx);
}

static int set_vring_num(struct vhost_user *vu, union vu_payload *p)
{
	struct vu_queue *q = stopped_queue_at(vu, p->state.idx);

	if (!q || !p->state.num || p->state.num > VRING_SIZE_MAX)
		return -EINVAL;
	q->size = p->state.num;
	return 0;
}

/* Told again while the ring is served, it may only be the same, and switch
 * logging on and off. */
static int set_vring_addr(struct vhost_user *vu, union vu_payload *p)
{
	struct vu_queue *q = queue_at(vu, p->addr.idx);

	if (!q || p->addr.flags & ~(uint32_t)VU_VRING_LOG)
		return -EINVAL;
	if (virtio_net_queue_started(&vu->net, q->idx) &&
	    (p->addr.desc != q->addr.desc || p->addr.used != q->addr.used ||
	     p->addr.avail != q->addr.avail))
		return -EBUSY;
	q->addr = p->addr;
	q->has_addr = true;
	vu_queue_log(q);
	return 0;
}

static int set_vring_base(struct vhost_user *vu, union vu_payload *p)
{
	struct vu_queue *q = stopped_queue_at(vu, p->state.idx);

	if (!q)
		return -EINVAL;
	q->base = p->state.num;
	return 0;
}

static int get_vring_base(struct vhost_user *vu, union vu_payload *p)
{
	struct vu_queue *q = queue_at(vu, p->state.idx);

	if (!q)
		return -EINVAL;
	vu_queue_stop(q);
	p->state.num = q->base;
	return 0;
}

/* Which ring a descriptor is for, and the descriptor, now the caller's; -1:
 * there is none, as the number says. */
static int take_vring_fd(struct vhost_user *vu, uint64_t u64,
			 struct vu_queue **q, int *fd)
{
	*q = queue_at(vu, u64 & VU_VRING_IDX_MASK);
	if (!*q || u64 & ~(uint64_t)(VU_VRING_IDX_MASK | VU_VRING_NOFD) ||
	    vu->conn.n_fds != !(u64 & VU_VRING_NOFD))
		return -EINVAL;
	*fd = -1;
	if (!vu->conn.n_fds)
		return 0;
	if (!eventfd_is(vu->conn.fds[0]))
		return -EINVAL;
	*fd = vu_conn_take_fd(&vu->conn, 0);
	return 0;
}

static int set_vring_kick(struct vhost_user *vu, union vu_payload *p)
{
	struct vu_queue *q;
	int fd, ret;

	ret = take_vring_fd(vu, p->u64, &q, &fd);
	if (!ret)
		ret = vu_queue_kick_fd(q, fd);
	if (ret < 0)
		return ret;
	if (virtio_net_queue_started(&vu->net, q->idx)) {
		virtio_net_queue_poll(&vu->net, q->idx, fd < 0);
		return 0;
	}
	/* Without protocol features there is nothing else to enable it. */
	if (!(vu->features & BIT64(VU_F_PROTOCOL_FEATURES)))
		q->enabled = q->was_enabled = true;
	ret = vu_queue_start(q);
	if (ret < 0)
		log_limited(LOG_WARN, "%s: virtqueue %u cannot be started: %s",
			    vu->net.port.name, q->idx, ret == -EFAULT ?
			    "it is not in the guest's memory" :
			    "its size or addresses are impossible");
	return ret;
}

static int set_vring_call(struct vhost_user *vu, union vu_payload *p)
{
	struct vu_queue *q;
	int fd, ret = take_vring_fd(vu, p->u64, &q, &fd);

	if (ret < 0)
		return ret;
	fd_close(&q->call_fd);
	q->call_fd = fd;
	/* What was used before it came: better one call too many. */
	if (fd >= 0 && virtio_net_queue_started(&vu->net, q->idx))
		eventfd_notify(fd);
	return 0;
}

static int set_vring_err(struct vhost_user *vu, union vu_payload *p)
{
	struct vu_queue *q;
	int fd, ret = take_vring_fd(vu, p->u64, &q, &fd);

	if (ret < 0)
		return ret;
	fd_close(&q->err_fd);
	q->err_fd = fd;
	return 0;
}

static int set_vring_enable(struct vhost_user *vu, union vu_payload *p)
{
	struct vu_queue *q = queue_at(vu, p->state.idx);

	if (!q || p->state.num > 1)
		return -EINVAL;
	vu_queue_enable(q, p->state.num);
	return 0;
}

/* ---- network ---- */

/* Guests that do not announce themselves after a migration are announced: a
 * frame from their address, for the switches to learn (RFC 903). */
static int send_rarp(struct vhost_user *vu, union vu_payload *p)
{
	enum { RARP_FRAME_LEN = 60 };
	static _Thread_local struct frame_batch batch;
	uint8_t bytes[RARP_FRAME_LEN] = { 0 };
	struct port *port = &vu->net.port;
	struct eth_hdr *eth = (struct eth_hdr *)bytes;
	struct arp_hdr *arp = (struct arp_hdr *)(eth + 1);
	struct iovec iov = { bytes, sizeof(bytes) };
	struct frame *frame;

	if (!port->sw)
		return 0;
	memset(eth->dst, 0xff, sizeof(eth->dst));
	memcpy(eth->src, p->bytes, sizeof(eth->src));
	eth->type = be16_of(ETH_TYPE_RARP);
	arp->hw_type = be16_of(ARP_HW_ETHER);
	arp->proto_type = be16_of(ETH_TYPE_IP4);
	arp->hw_len = ETH_ADDR_LEN;
	arp->proto_len = sizeof(arp->sender_ip);
	arp->op = be16_of(RARP_REQUEST);
	memcpy(arp->sender_hw, p->bytes, ETH_ADDR_LEN);
	memcpy(arp->target_hw, p->bytes, ETH_ADDR_LEN);
	batch.n = batch.n_segs = 0;
	frame = batch_next(&batch);
	if (batch_fill(&batch, frame, &iov, 1, sizeof(bytes)) < 0)
		return -EINVAL;
	batch_commit(&batch, frame);
	/* A broadcast is held by nobody. */
	port->input(&port->queues[0], &batch);
	return 0;
}

static int net_set_mtu(struct vhost_user *vu, union vu_payload *p)
{
	if (p->u64 < MTU_MIN || p->u64 > MTU_MAX)
		return -EINVAL;
	vu->net.port.caps.max_len = (uint32_t)p->u64 + ETH_HDR_LEN;
	return 0;
}

/* ---- the table ---- */

enum {
	U64 = sizeof(uint64_t),
	STATE = sizeof(struct vu_vring_state),
	ADDR = sizeof(struct vu_vring_addr),
	TABLE_MIN = offsetof(struct vu_mem_table, region),
	TABLE_MAX = sizeof(struct vu_mem_table),
	REG = sizeof(struct vu_mem_reg),
	LOG = sizeof(struct vu_log),
	F_NONE = NO_FEATURE,
};

/* M(NAME, handler, payload min and max, descriptors min and max, answer,
 * feature) */
#define M(name, handler, min, max, fds, fds_max, reply, f)		\
	[VU_##name] = { #name, handler, min, max, fds, fds_max, reply, f }
#define PF(name) VU_PROTOCOL_F_##name

static const struct message messages[] = {
	M(GET_FEATURES, get_features, 0, 0, 0, 0, U64, F_NONE),
	M(SET_FEATURES, set_features, U64, U64, 0, 0, 0, F_NONE),
	M(SET_OWNER, set_owner, 0, 0, 0, 0, 0, F_NONE),
	M(RESET_OWNER, reset_owner, 0, 0, 0, 0, 0, F_NONE),
	M(SET_MEM_TABLE, set_mem_table, TABLE_MIN, TABLE_MAX, 0,
	  VU_TABLE_REGIONS, 0, F_NONE),
	M(SET_LOG_BASE, set_log_base, LOG, LOG, 1, 1, U64, PF(LOG_SHMFD)),
	M(SET_LOG_FD, set_log_fd, 0, 0, 1, 1, 0, F_NONE),
	M(SET_VRING_NUM, set_vring_num, STATE, STATE, 0, 0, 0, F_NONE),
	M(SET_VRING_ADDR, set_vring_addr, ADDR, ADDR, 0, 0, 0, F_NONE),
	M(SET_VRING_BASE, set_vring_base, STATE, STATE, 0, 0, 0, F_NONE),
	M(GET_VRING_BASE, get_vring_base, STATE, STATE, 0, 0, STATE, F_NONE),
	M(SET_VRING_KICK, set_vring_kick, U64, U64, 0, 1, 0, F_NONE),
	M(SET_VRING_CALL, set_vring_call, U64, U64, 0, 1, 0, F_NONE),
	M(SET_VRING_ERR, set_vring_err, U64, U64, 0, 1, 0, F_NONE),
	M(GET_PROTOCOL_FEATURES, get_protocol_features, 0, 0, 0, 0, U64,
	  F_NONE),
	M(SET_PROTOCOL_FEATURES, set_protocol_features, U64, U64, 0, 0, 0,
	  F_NONE),
	M(GET_QUEUE_NUM, get_queue_num, 0, 0, 0, 0, U64, PF(MQ)),
	M(SET_VRING_ENABLE, set_vring_enable, STATE, STATE, 0, 0, 0, F_NONE),
	M(SEND_RARP, send_rarp, U64, U64, 0, 0, 0, PF(RARP)),
	M(NET_SET_MTU, net_set_mtu, U64, U64, 0, 0, 0, PF(MTU)),
	M(RESET_DEVICE, reset_device, 0, 0, 0, 0, 0, PF(RESET_DEVICE)),
	M(GET_MAX_MEM_SLOTS, get_max_mem_slots, 0, 0, 0, 0, U64,
	  PF(CONFIGURE_MEM_SLOTS)),
	M(ADD_MEM_REG, add_mem_reg, REG, REG, 1, 1, 0,
	  PF(CONFIGURE_MEM_SLOTS)),
	/* Some front-ends send the descriptor once more. */
	M(REM_MEM_REG, rem_mem_reg, REG, REG, 0, 1, 0,
	  PF(CONFIGURE_MEM_SLOTS)),
	M(SET_STATUS, set_status, U64, U64, 0, 0, 0, PF(STATUS)),
	M(GET_STATUS, get_status, 0, 0, 0, 0, U64, PF(STATUS)),
};

/* The row of the message at hand, if it keeps to it. */
static const struct message *find(const struct vhost_user *vu)
{
	const struct vu_conn *conn = &vu->conn;
	const struct message *m;

	if (conn->header.request >= ARRAY_SIZE(messages))
		return NULL;
	m = &messages[conn->header.request];
	if (!m->handle ||
	    conn->header.size < m->min_len || conn->header.size > m->max_len ||
	    conn->n_fds < m->min_fds || conn->n_fds > m->max_fds ||
	    (m->feature != NO_FEATURE &&
	     !(vu->protocol & BIT64(m->feature))))
		return NULL;
	return m;
}

static void complain(const struct vhost_user *vu, const struct message *m,
		     int err)
{
	uint32_t request = vu->conn.header.request;
	const char *name = request < ARRAY_SIZE(messages) ?
		messages[request].name : NULL;

	if (m)
		log_limited(LOG_WARN, "%s: the front-end's %s is refused: %s",
			    vu->net.port.name, name, strerror(-err));
	else
		log_limited(LOG_WARN, "%s: the front-end sent a %s (message %u) of %u bytes with %u descriptors, which is not known",
			    vu->net.port.name, name ? name : "message",
			    request, vu->conn.header.size, vu->conn.n_fds);
}

int vu_message(struct vhost_user *vu)
{
	const struct message *m = find(vu);
	union vu_payload *p = &vu->conn.payload;
	bool ack = vu->conn.header.flags & VU_NEED_REPLY &&
		vu->protocol & P(REPLY_ACK);
	int ret = -EINVAL;

	if (m)
		ret = m->handle(vu, p);
	if (ret < 0)
		complain(vu, m, ret);
	if (m && m->reply_len && !ret)
		return vu_conn_reply(&vu->conn, m->reply_len);
	/* An answer of its own cannot say that there is none. */
	if (!ack || (m && m->reply_len))
		return ret < 0 ? -EPROTO : 0;
	p->u64 = !!ret;
	return vu_conn_reply(&vu->conn, sizeof(p->u64));
}
