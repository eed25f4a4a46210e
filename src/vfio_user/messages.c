/* SPDX-License-Identifier: Apache-2.0
 *
 * What each vfio-user message means.  The table at the end says what a message
 * must look like, and vfu_message_handle() enforces it; handlers check only
 * what the fields mean together.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/log.h"
#include "pci/pci.h"
#include "pci/shared_regs.h"
#include "vfio_user/server_internal.h"
#include "vfio_user/version.h"

/* A message as its handler sees it. */
struct message {
	const uint8_t *data;	/* payload */
	size_t len;		/* its bytes, within the table's bounds */
	struct vfu_fds *fds;	/* as many as the table allows; those taken
				 * over are set to -1 */
	uint8_t *reply;		/* VFU_PAYLOAD_MAX bytes for the answer */
	size_t reply_len;	/* bytes of it, set by the handler */
	int reply_fds[VFU_MAX_FDS];	/* to go along, the device's */
	unsigned int n_reply_fds;	/* of them */
};

struct message_type {
	const char *name;
	/* 0 or negative errno; NULL: this server does not do it */
	int (*handle)(struct vfu_server *s, struct message *m);
	uint32_t min_len, max_len;	/* of the payload */
	uint8_t min_fds, max_fds;	/* descriptors that come along */
	bool quiesce;			/* the device lets go of memory first */
};

static void dma_changed(struct vfu_server *s)
{
	if (s->dev->ops->dma_changed)
		s->dev->ops->dma_changed(s->dev);
}

/* ---- version ---- */

/* A name that nobody can guess. */
static void new_session(char session[VFU_SESSION_LEN + 1])
{
	uint8_t bytes[VFU_SESSION_LEN / 2];

	session[0] = '\0';
	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return;
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(session + 2 * i, 3, "%02x", bytes[i]);
}

/* Does the client come back to what it left?  Otherwise that has an end. */
static void start_session(struct vfu_server *s, const struct vfu_caps *theirs,
			  struct vfu_caps *ours)
{
	bool same = s->session[0] && !strcmp(theirs->session, s->session);

	if (s->session[0] && !same)
		pci_dev_reset(s->dev, PCI_RESET_POWER_ON);
	if (!same) {
		s->session[0] = '\0';
		s->n_writes = 0;
	}
	if (!same && theirs->has_session)
		new_session(s->session);
	if (!s->session[0])
		return;
	ours->has_session = true;
	strcpy(ours->session, s->session);
	ours->n_writes = s->n_writes;
}

static int do_version(struct vfu_server *s, struct message *m)
{
	struct vfu_version v;
	struct vfu_caps theirs;
	struct vfu_caps ours = {
		.max_msg_fds = VFU_MAX_FDS,
		.max_data_xfer_size = VFU_MAX_DATA,
		.max_dma_maps = s->quota.max_ranges,
		.pgsizes = VFU_PGSIZES,
		.n_writes = VFU_N_WRITES_NONE,
	};
	int err;

	memcpy(&v, m->data, sizeof(v));
	if (v.major != VFU_MAJOR) {
		log_limited(LOG_WARN, "%s: the client speaks vfio-user %u.%u, "
			    "not %u.x", s->dev->name, v.major, v.minor,
			    VFU_MAJOR);
		return -EPROTONOSUPPORT;
	}
	err = vfu_caps_parse((const char *)m->data + sizeof(v),
			     m->len - sizeof(v), &theirs);
	if (err)
		return err;
	if (!(theirs.pgsizes & VFU_PGSIZES))
		return -EINVAL;
	ours.write_multiple = theirs.write_multiple;
	ours.shared_regs = theirs.shared_regs && s->dev->n_shared_regs;
	s->may_share = ours.shared_regs;
	s->max_fds = (unsigned int)min_of(theirs.max_msg_fds,
					  (uint64_t)VFU_MAX_FDS);
	start_session(s, &theirs, &ours);
	v.minor = VFU_MINOR;
	memcpy(m->reply, &v, sizeof(v));
	m->reply_len = sizeof(v) +
		vfu_caps_print(&ours, (char *)m->reply + sizeof(v),
			       VFU_VERSION_JSON_MAX);
	s->phase = VFU_PHASE_READY;
	return 0;
}

/* ---- memory ---- */

static int do_dma_map(struct vfu_server *s, struct message *m)
{
	struct vfu_dma_map map;
	int err;

	memcpy(&map, m->data, sizeof(map));
	if (map.argsz < sizeof(map) ||
	    (map.flags & ~(VFU_DMA_READABLE | VFU_DMA_WRITABLE)))
		return -EINVAL;
	static_assert(VFU_DMA_READABLE == DMA_READ &&
		      VFU_DMA_WRITABLE == DMA_WRITE, "the same bits");
	err = dma_space_map(s->dma, map.addr, map.size, map.flags,
			    m->fds->n ? m->fds->fd[0] : -1, map.offset);
	if (err)
		log_limited(LOG_WARN, "%s: cannot map %#llx bytes at %#llx of "
			    "the client's memory: %s", s->dev->name,
			    (unsigned long long)map.size,
			    (unsigned long long)map.addr, strerror(-err));
	else
		dma_changed(s);
	return err;
}

static int do_dma_unmap(struct vfu_server *s, struct message *m)
{
	struct vfu_dma_unmap unmap;
	int64_t n;

	memcpy(&unmap, m->data, sizeof(unmap));
	if (unmap.argsz < sizeof(unmap))
		return -EINVAL;
	if (unmap.flags == VFIO_DMA_UNMAP_FLAG_ALL) {
		if (unmap.addr || unmap.size)
			return -EINVAL;
		dma_space_clear(s->dma);
	} else if (unmap.flags) {
		return -EINVAL;
	} else {
		n = dma_space_unmap(s->dma, unmap.addr, unmap.size);
		if (n < 0)
			return (int)n;
	}
	memcpy(m->reply, &unmap, sizeof(unmap));
	m->reply_len = sizeof(unmap);
	return 0;
}

/* ---- what the device is ---- */

static int do_get_info(struct vfu_server *s, struct message *m)
{
	struct vfu_device_info info;

	memcpy(&info, m->data, sizeof(info));
	if (info.argsz < sizeof(info))
		return -EINVAL;
	info = (struct vfu_device_info){
		.argsz = sizeof(info),
		.flags = VFIO_DEVICE_FLAGS_RESET | VFIO_DEVICE_FLAGS_PCI,
		.n_regions = VFIO_PCI_NUM_REGIONS,
		.n_irqs = VFIO_PCI_NUM_IRQS,
	};
	memcpy(m->reply, &info, sizeof(info));
	m->reply_len = sizeof(info);
	return 0;
}

static uint64_t region_size(const struct vfu_server *s, uint32_t index)
{
	static_assert((int)VFIO_PCI_ROM_REGION_INDEX == PCI_ROM_BAR,
		      "BARs and ROM: the same numbers");
	if (index <= VFIO_PCI_ROM_REGION_INDEX)
		return s->dev->bar[index].size;
	if (index == VFIO_PCI_CONFIG_REGION_INDEX)
		return s->dev->config_size;
	return 0;
}

static int do_get_region_info(struct vfu_server *s, struct message *m)
{
	struct vfio_region_info info;
	uint32_t index;

	memcpy(&info, m->data, sizeof(info));
	index = info.index;
	if (info.argsz < sizeof(info) || index >= VFIO_PCI_NUM_REGIONS)
		return -EINVAL;
	info = (struct vfio_region_info){
		.argsz = sizeof(info),
		.index = index,
		.size = region_size(s, index),
	};
	if (info.size)
		info.flags = VFIO_REGION_INFO_FLAG_READ;
	if (info.size && index != VFIO_PCI_ROM_REGION_INDEX)
		info.flags |= VFIO_REGION_INFO_FLAG_WRITE;
	memcpy(m->reply, &info, sizeof(info));
	m->reply_len = sizeof(info);
	return 0;
}

/* The place of a descriptor among those that go along; -1: no room. */
static int reply_fd(const struct vfu_server *s, struct message *m, int fd)
{
	for (unsigned int i = 0; i < m->n_reply_fds; i++)
		if (m->reply_fds[i] == fd)
			return (int)i;
	if (m->n_reply_fds >= s->max_fds)
		return -1;
	m->reply_fds[m->n_reply_fds] = fd;
	return (int)m->n_reply_fds++;
}

/* Add an entry to an answer, if there is room for its descriptor. */
static size_t put_io_fd(const struct vfu_server *s, struct message *m,
			size_t len, struct vfu_io_fd *sub, int fd)
{
	int at = fd < 0 ? -1 : reply_fd(s, m, fd);

	if (at < 0)
		return 0;
	sub->fd_index = (uint32_t)at;
	memcpy(m->reply + len, sub, sizeof(*sub));
	return sizeof(*sub);
}

/* The shared registers of a region; none if they cannot be shared. */
static size_t put_shared_regs(struct vfu_server *s, uint32_t index,
			      struct message *m, size_t len)
{
	const size_t before = len;

	for (unsigned int i = 0; s->may_share && i < s->dev->n_shared_regs;
	     i++) {
		const struct pci_shared_reg *reg = &s->dev->shared_regs[i];
		struct vfu_io_fd sub = {
			.offset = reg->off, .size = sizeof(uint32_t),
			.type = VFU_IO_FD_SHARED_REG,
			.flags = reg->kind |
				(uint32_t)reg->word << VFU_SHARED_WORD_SHIFT |
				(uint32_t)reg->due << VFU_SHARED_DUE_SHIFT,
			.datamatch = reg->mask,
		};

		if (reg->bar != index || vfu_shared_open(&s->shared))
			continue;
		len += put_io_fd(s, m, len, &sub,
				 vfu_shared_fd(&s->shared, reg));
	}
	return len - before;
}

/* Doorbells, as many as there is room for descriptors: writes to the others
 * come as messages. */
static int do_get_region_io_fds(struct vfu_server *s, struct message *m)
{
	struct vfu_region_io_fds io;
	size_t len = sizeof(io);
	uint32_t argsz;

	memcpy(&io, m->data, sizeof(io));
	argsz = io.argsz;
	if (argsz < sizeof(io) || io.flags || io.count ||
	    io.index >= VFIO_PCI_NUM_REGIONS)
		return -EINVAL;
	for (unsigned int i = 0; i < s->dev->n_doorbells; i++) {
		const struct pci_doorbell *bell = &s->dev->doorbells[i];
		struct vfu_io_fd sub = {
			.offset = bell->off, .size = bell->len,
			.type = VFU_IO_FD_EVENTFD,
		};

		if (bell->bar == io.index)
			len += put_io_fd(s, m, len, &sub, bell->fd);
	}
	len += put_shared_regs(s, io.index, m, len);
	io.count = (uint32_t)((len - sizeof(io)) / sizeof(struct vfu_io_fd));
	io.argsz = (uint32_t)len;
	/* If there was no room, it asks again with as much as we say. */
	if (len > argsz) {
		m->n_reply_fds = 0;
		len = sizeof(io);
	}
	memcpy(m->reply, &io, sizeof(io));
	m->reply_len = len;
	return 0;
}

static int do_get_irq_info(struct vfu_server *s, struct message *m)
{
	struct vfio_irq_info info;

	memcpy(&info, m->data, sizeof(info));
	if (info.argsz < sizeof(info) || info.index >= VFIO_PCI_NUM_IRQS)
		return -EINVAL;
	info.argsz = sizeof(info);
	info.count = vfu_irqs_info(&s->irqs, info.index, &info.flags);
	memcpy(m->reply, &info, sizeof(info));
	m->reply_len = sizeof(info);
	return 0;
}

static int do_set_irqs(struct vfu_server *s, struct message *m)
{
	union {		/* a copy that is aligned */
		struct vfio_irq_set set;
		uint8_t bytes[sizeof(struct vfio_irq_set) +
			      4 * VFU_VECTORS_MAX];
	} u;

	memcpy(u.bytes, m->data, m->len);
	return vfu_irqs_set(&s->irqs, &u.set, m->len, m->fds);
}

/* ---- registers ---- */

/* The widest access a device can be given: a power of two of at most 8 bytes,
 * whole where the client asked for one such, else naturally aligned words. */
static unsigned int access_len(uint64_t off, uint32_t left, bool first)
{
	unsigned int len = 4;

	if (first && left <= 8 && is_power_of_two(left))
		return left;
	while (len > left || (off & (len - 1)))
		len /= 2;
	return len;
}

/* The next access of a read of which @done bytes are there: its length. */
static unsigned int read_next(struct vfu_server *s,
			      const struct vfu_region_access *a, uint32_t done,
			      uint8_t *to)
{
	uint64_t off = a->offset + done, val;
	unsigned int len = access_len(off, a->count - done, !done);

	if (a->region == VFIO_PCI_CONFIG_REGION_INDEX)
		val = pci_config_read(s->dev, (unsigned int)off, len);
	else
		val = pci_bar_read(s->dev, a->region, off, len);
	memcpy(to + done, &val, len);
	return len;
}

static unsigned int write_next(struct vfu_server *s,
			       const struct vfu_region_access *a,
			       uint32_t done, const uint8_t *from)
{
	uint64_t off = a->offset + done, val = 0;
	unsigned int len = access_len(off, a->count - done, !done);

	memcpy(&val, from + done, len);
	if (a->region == VFIO_PCI_CONFIG_REGION_INDEX)
		pci_config_write(s->dev, (unsigned int)off, len, val);
	else
		pci_bar_write(s->dev, a->region, off, len, val);
	return len;
}

/* The message at hand has done what it may in this turn: was that all? */
static bool finished(struct vfu_server *s, const struct vfu_region_access *a,
		     counter *n)
{
	s->unfinished = s->n_done < a->count;
	if (s->unfinished)
		return false;
	s->n_done = 0;
	if (a->region != VFIO_PCI_CONFIG_REGION_INDEX)
		counter_add(n, 1);
	return true;
}

static bool access_ok(const struct vfu_server *s,
		      const struct vfu_region_access *a, bool write)
{
	if (!a->count || a->count > VFU_MAX_DATA ||
	    (write && a->region == VFIO_PCI_ROM_REGION_INDEX))
		return false;
	return range_within(a->offset, a->count, region_size(s, a->region));
}

static int do_region_read(struct vfu_server *s, struct message *m)
{
	struct vfu_region_access a;

	memcpy(&a, m->data, sizeof(a));
	if (!access_ok(s, &a, false))
		return -EINVAL;
	for (; s->n_done < a.count && s->budget; s->budget--)
		s->n_done += read_next(s, &a, s->n_done, m->reply + sizeof(a));
	if (!finished(s, &a, &s->stats.region_reads))
		return 0;
	memcpy(m->reply, &a, sizeof(a));
	m->reply_len = sizeof(a) + a.count;
	return 0;
}

static int do_region_write(struct vfu_server *s, struct message *m)
{
	struct vfu_region_access a;

	memcpy(&a, m->data, sizeof(a));
	if (!access_ok(s, &a, true) || m->len - sizeof(a) != a.count)
		return -EINVAL;
	for (; s->n_done < a.count && s->budget; s->budget--)
		s->n_done += write_next(s, &a, s->n_done, m->data + sizeof(a));
	if (!finished(s, &a, &s->stats.region_writes))
		return 0;
	memcpy(m->reply, &a, sizeof(a));
	m->reply_len = sizeof(a);
	return 0;
}

/* The @i-th write of a REGION_WRITE_MULTI. */
static struct vfu_region_access multi_write(const struct message *m, size_t i,
					    struct vfu_multi_write *w)
{
	memcpy(w, m->data + sizeof(struct vfu_write_multi) + i * sizeof(*w),
	       sizeof(*w));
	return (struct vfu_region_access){ w->offset, w->region, w->count };
}

static int do_region_write_multi(struct vfu_server *s, struct message *m)
{
	struct vfu_write_multi multi;
	struct vfu_multi_write w;
	struct vfu_region_access a;
	size_t n = (m->len - sizeof(multi)) / sizeof(w);

	memcpy(&multi, m->data, sizeof(multi));
	if (multi.n_writes != n || m->len != sizeof(multi) + n * sizeof(w))
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		a = multi_write(m, i, &w);
		if (!access_ok(s, &a, true) || a.count > sizeof(w.data))
			return -EINVAL;
	}
	for (size_t i = 0; i < n; i++) {
		uint32_t done = 0;

		a = multi_write(m, i, &w);
		while (done < a.count)
			done += write_next(s, &a, done, w.data);
		if (a.region != VFIO_PCI_CONFIG_REGION_INDEX)
			counter_add(&s->stats.region_writes, 1);
	}
	s->budget -= min_of(s->budget, (unsigned int)n);
	memcpy(m->reply, &multi, sizeof(multi));
	m->reply_len = sizeof(multi);
	return 0;
}

static int do_reset(struct vfu_server *s, struct message *m)
{
	pci_dev_reset(s->dev, PCI_RESET_BUS);
	vfu_irqs_reset(&s->irqs);
	return 0;
}

/* ---- the table ---- */

#define ANY_LEN 0, VFU_PAYLOAD_MAX
#define LEN_OF(type) sizeof(struct type), sizeof(struct type)
#define FDS(min, max) min, max

/* Those without a handler have meaning from server to client, or are for
 * migration, which this server does not offer. */
static const struct message_type types[VFU_N_COMMANDS] = {
	[VFU_VERSION] = { "VERSION", do_version,
		sizeof(struct vfu_version),
		sizeof(struct vfu_version) + VFU_VERSION_JSON_MAX,
		FDS(0, 0), false },
	[VFU_DMA_MAP] = { "DMA_MAP", do_dma_map,
		LEN_OF(vfu_dma_map), FDS(0, 1), false },
	[VFU_DMA_UNMAP] = { "DMA_UNMAP", do_dma_unmap,
		LEN_OF(vfu_dma_unmap), FDS(0, 0), true },
	[VFU_GET_INFO] = { "DEVICE_GET_INFO", do_get_info,
		LEN_OF(vfu_device_info), FDS(0, 0), false },
	[VFU_GET_REGION_INFO] = { "DEVICE_GET_REGION_INFO", do_get_region_info,
		LEN_OF(vfio_region_info), FDS(0, 0), false },
	[VFU_GET_REGION_IO_FDS] = { "DEVICE_GET_REGION_IO_FDS",
		do_get_region_io_fds,
		LEN_OF(vfu_region_io_fds), FDS(0, 0), false },
	[VFU_GET_IRQ_INFO] = { "DEVICE_GET_IRQ_INFO", do_get_irq_info,
		LEN_OF(vfio_irq_info), FDS(0, 0), false },
	[VFU_SET_IRQS] = { "DEVICE_SET_IRQS", do_set_irqs,
		sizeof(struct vfio_irq_set),
		sizeof(struct vfio_irq_set) + 4 * VFU_VECTORS_MAX,
		FDS(0, VFU_MAX_FDS), false },
	[VFU_REGION_READ] = { "REGION_READ", do_region_read,
		LEN_OF(vfu_region_access), FDS(0, 0), false },
	[VFU_REGION_WRITE] = { "REGION_WRITE", do_region_write,
		sizeof(struct vfu_region_access), VFU_PAYLOAD_MAX,
		FDS(0, 0), false },
	[VFU_DMA_READ] = { "DMA_READ", NULL, ANY_LEN, FDS(0, 0), false },
	[VFU_DMA_WRITE] = { "DMA_WRITE", NULL, ANY_LEN, FDS(0, 0), false },
	[VFU_RESET] = { "DEVICE_RESET", do_reset, 0, 0, FDS(0, 0), true },
	[VFU_DIRTY_PAGES] = { "DIRTY_PAGES", NULL, ANY_LEN, FDS(0, 0), false },
	[VFU_REGION_WRITE_MULTI] = { "REGION_WRITE_MULTI",
		do_region_write_multi, sizeof(struct vfu_write_multi),
		sizeof(struct vfu_write_multi) +
			VFU_MULTI_WRITES_MAX * sizeof(struct vfu_multi_write),
		FDS(0, 0), false },
	[VFU_FEATURE] = { "DEVICE_FEATURE", NULL, ANY_LEN, FDS(0, 0), false },
	[VFU_MIG_DATA_READ] = { "MIG_DATA_READ", NULL, ANY_LEN, FDS(0, 0),
		false },
	[VFU_MIG_DATA_WRITE] = { "MIG_DATA_WRITE", NULL, ANY_LEN, FDS(0, 0),
		false },
};

/* Does the message look as its row says? */
static int check(const struct vfu_conn *conn, const struct message_type *t)
{
	if ((conn->header.flags & ~(uint32_t)VFU_NO_REPLY) != VFU_TYPE_COMMAND)
		return -EINVAL;
	if (!t || !t->handle)
		return -EOPNOTSUPP;
	if (conn->payload_len < t->min_len || conn->payload_len > t->max_len)
		return -EINVAL;
	if (conn->fds.bad || conn->fds.n < t->min_fds ||
	    conn->fds.n > t->max_fds)
		return -EINVAL;
	return 0;
}

static const char *name_of(unsigned int command)
{
	return command < VFU_N_COMMANDS && types[command].name ?
		types[command].name : "unknown command";
}

/* Done or refused: in either case not to be made again. */
static void count_write(struct vfu_server *s)
{
	unsigned int command = s->conn.header.command;

	s->n_writes += command == VFU_REGION_WRITE ||
		command == VFU_REGION_WRITE_MULTI;
}

/* Send @m's answer, if the client wants one. */
static int answer(struct vfu_server *s, int err, size_t len)
{
	const struct vfu_header *h = &s->conn.header;

	if (err) {
		counter_add(&s->stats.errors, 1);
		log_debug("%s: message %u (%s), %u bytes, flags %#x: %s",
			  s->dev->name, h->command, name_of(h->command),
			  h->size, h->flags, strerror(-err));
	}
	count_write(s);
	vfu_shared_answer(&s->shared, h->flags & VFU_NO_REPLY);
	/* Answers to what was no question would have no end. */
	if ((h->flags & VFU_NO_REPLY) ||
	    (h->flags & VFU_TYPE_MASK) == VFU_TYPE_REPLY)
		return 0;
	return vfu_conn_reply(&s->conn, err, err ? 0 : len);
}

int vfu_message_refuse(struct vfu_server *server, int err)
{
	if (!vfu_conn_reply_space(&server->conn))
		return -ENOBUFS;
	return answer(server, err, 0);
}

/* Carry out what has been checked, and answer it. */
static int carry_out(struct vfu_server *s, const struct message_type *t,
		     int err)
{
	struct message m = {
		.data = s->conn.payload,
		.len = s->conn.payload_len,
		.fds = &s->conn.fds,
		.reply = vfu_conn_reply_space(&s->conn),
	};
	int end = 0;

	if (!m.reply)
		return -ENOBUFS;
	if (!err && t->quiesce)
		dma_changed(s);
	if (!err)
		err = t->handle(s, &m);
	if (s->unfinished)
		return 0;
	if (!err && m.n_reply_fds &&
	    !(s->conn.header.flags & VFU_NO_REPLY)) {
		end = vfu_conn_attach(&s->conn, m.reply_fds, m.n_reply_fds);
		if (end)
			return end;
	}
	/* No version in common: nothing can follow. */
	if (err == -EPROTONOSUPPORT)
		end = err;
	err = answer(s, err, m.reply_len);
	return err ? err : end;
}

static const struct message_type *type_of(const struct vfu_conn *conn)
{
	return conn->header.command < VFU_N_COMMANDS ?
		&types[conn->header.command] : NULL;
}

int vfu_message_handle(struct vfu_server *server)
{
	const struct pci_dev_ops *ops = server->dev->ops;
	struct vfu_conn *conn = &server->conn;
	const struct message_type *t = type_of(conn);
	bool is_version = conn->header.command == VFU_VERSION;
	bool quiesce;
	int err;

	counter_add(&server->stats.messages, 1);
	vfu_shared_look(&server->shared);
	if (server->phase == VFU_PHASE_HELLO && !is_version) {
		err = vfu_message_refuse(server, -EPROTO);
		return err ? err : -EPROTO;
	}
	err = check(conn, t);
	if (!err && server->phase == VFU_PHASE_READY && is_version)
		err = -EINVAL;
	quiesce = !err && t->quiesce;
	if (quiesce && ops->quiesce && !ops->quiesce(server->dev)) {
		server->waiting = true;
		return 0;
	}
	err = carry_out(server, t, err);
	if (quiesce && ops->resume)
		ops->resume(server->dev);
	return err;
}

int vfu_message_go_on(struct vfu_server *server)
{
	const struct message_type *t = type_of(&server->conn);
	int err = carry_out(server, t, 0);

	if (t->quiesce && server->dev->ops->resume)
		server->dev->ops->resume(server->dev);
	return err;
}

void vfu_message_give_up(struct vfu_server *server)
{
	count_write(server);
	server->unfinished = false;
	server->n_done = 0;
}
