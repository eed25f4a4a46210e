/* SPDX-License-Identifier: Apache-2.0
 *
 * virtio-blk: requests, the thread that serves them, and the device as a PCI
 * function of ours; see disk.h.  References are to VIRTIO 1.2.
 */
#include "vmm/disk.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/byteorder.h"
#include "base/log.h"
#include "mem/dma.h"
#include "virtio/blk_wire.h"
#include "virtio/ring.h"
#include "virtio/virtio.h"
#include "virtio_pci/virtio_pci.h"
#include "vmm/pci_wire.h"

enum {
	QUEUE_SIZE = 256,
	BATCH = 32,			/* requests served at a time */
	SEGMENTS_MAX = VRING_CHAIN_IOV_MAX - 2,	/* less header and status */
	DISCARD_SECTORS_MAX = 1 << 22,	/* of one request */
	TRANSITIONAL = 0x1001, CLASS_SCSI = 0x010000,
};

struct disk {
	struct pci_function fn;
	struct pci_host *host;
	struct virtio_pci vp;		/* all of it under lock */
	struct bus_dev bar[PCI_N_BARS];	/* as the machine's buses know them */
	struct disk_bar {
		struct disk *disk;
		unsigned int idx;
	} bar_of[PCI_N_BARS];		/* what the above are for */
	struct pci_wire wire;		/* of its interrupts */
	char name[32];			/* "disk@5" */

	struct block *block;		/* the thread's */
	struct dma_space *dma;		/* the guest's memory */
	struct vring ring;		/* under lock */
	pthread_t thread;
	bool has_thread;
	pthread_mutex_t lock;
	pthread_cond_t work;		/* kicked, or end */
	pthread_cond_t idle;		/* no longer busy */
	bool kicked;			/* there may be requests */
	bool busy;			/* a batch is being served */
	unsigned int n_stopping;	/* wait for that; no further one */
	bool end;			/* the thread shall */
};

static struct disk *disk_of(struct virtio_pci *vp)
{
	return container_of(vp, struct disk, vp);
}

/* ---- requests: 5.2.6 ---- */

/* Is it a whole number of sectors that the disk has? */
static bool in_disk(const struct block *block, uint64_t sector, uint64_t len)
{
	return len % BLOCK_SECTOR == 0 &&
	       sector <= block->size / BLOCK_SECTOR &&
	       range_within(sector * BLOCK_SECTOR, len, block->size);
}

static int read_or_write(struct block *block, bool write, struct iovec *iov,
			 unsigned int n, uint64_t sector, uint64_t len)
{
	if (!in_disk(block, sector, len) || (write && block->read_only))
		return -EIO;
	if (!len)
		return 0;
	return (write ? block->ops->write : block->ops->read)(
		block, iov, n, sector * BLOCK_SECTOR);
}

/* One segment of sectors to be discarded or zeroed follows the header, as the
 * configuration says (max_discard_seg, max_write_zeroes_seg): a longer list
 * would keep the thread busy for as long as the guest likes. */
static int discard_or_zero(struct block *block, bool zero,
			   const struct vring_chain *chain)
{
	const uint32_t at = (uint32_t)sizeof(struct virtio_blk_header);
	struct virtio_blk_segment segment;
	uint64_t sector, bytes;
	uint32_t flags;

	if (chain->out_len != at + sizeof(segment) || block->read_only)
		return -EIO;
	vring_chain_read(chain, at, &segment, sizeof(segment));
	sector = le64_get(segment.sector);
	bytes = (uint64_t)le32_get(segment.n_sectors) * BLOCK_SECTOR;
	flags = le32_get(segment.flags);
	if (flags & ~(zero ? (uint32_t)VIRTIO_BLK_ZERO_UNMAP : 0))
		return -ENOTSUP;
	if (!in_disk(block, sector, bytes) ||
	    bytes / BLOCK_SECTOR > DISCARD_SECTORS_MAX)
		return -EIO;
	if (!bytes)
		return 0;
	return zero ? block->ops->zero(block, sector * BLOCK_SECTOR, bytes,
				       flags) :
		      block->ops->discard(block, sector * BLOCK_SECTOR, bytes);
}

static int get_id(const struct disk *disk, struct iovec *iov, unsigned int n,
		  uint32_t len)
{
	char id[VIRTIO_BLK_ID_LEN] = "";

	if (len < sizeof(id) || !n || iov[0].iov_len < sizeof(id))
		return -EIO;
	memcpy(id, disk->name, min_of(strlen(disk->name), sizeof(id)));
	memcpy(iov[0].iov_base, id, sizeof(id));
	return 0;
}

/* A request's pieces of data, without header and status. */
struct pieces {
	struct iovec iov[VRING_CHAIN_IOV_MAX];	/* of a chain, private */
	struct iovec *out, *in;			/* within it */
	unsigned int n_out, n_in;
	uint32_t out_len, in_len;		/* bytes in them */
	uint8_t *status;			/* where it goes */
};

/* False: there is no room for header or status, nor a way to say so. */
static bool take_pieces(const struct vring_chain *chain, struct pieces *p)
{
	size_t skip = sizeof(struct virtio_blk_header);
	struct iovec *last;

	if (chain->bad || !chain->in_len || chain->out_len < skip)
		return false;
	memcpy(p->iov, chain->iov, (size_t)(chain->n_out + chain->n_in) *
	       sizeof(p->iov[0]));
	p->out = p->iov;
	p->n_out = chain->n_out;
	p->out_len = chain->out_len - (uint32_t)skip;
	while (p->n_out && skip >= p->out->iov_len) {
		skip -= p->out->iov_len;
		p->out++;
		p->n_out--;
	}
	if (p->n_out) {
		p->out->iov_base = (uint8_t *)p->out->iov_base + skip;
		p->out->iov_len -= skip;
	}
	/* The status is the last byte (5.2.6). */
	p->in = p->iov + chain->n_out;
	p->n_in = chain->n_in;
	p->in_len = chain->in_len - 1;
	last = &p->in[p->n_in - 1];
	for (; !last->iov_len; last--)	/* there is one that is not empty */
		p->n_in--;
	p->status = (uint8_t *)last->iov_base + --last->iov_len;
	p->n_in -= !last->iov_len;
	return true;
}

/* Carry out one request; how many bytes were written for the driver. */
static uint32_t serve(struct disk *disk, const struct vring_chain *chain)
{
	struct block *block = disk->block;
	struct virtio_blk_header header;
	struct pieces p;
	uint64_t sector;
	int err;

	if (!take_pieces(chain, &p)) {
		log_limited(LOG_WARN, "%s: a request without room for header and status is given back",
			    disk->name);
		return 0;
	}
	vring_chain_read(chain, 0, &header, sizeof(header));
	sector = le64_get(header.sector);
	switch (le32_get(header.type)) {
	case VIRTIO_BLK_T_IN:
		err = read_or_write(block, false, p.in, p.n_in, sector,
				    p.in_len);
		break;
	case VIRTIO_BLK_T_OUT:
		err = read_or_write(block, true, p.out, p.n_out, sector,
				    p.out_len);
		break;
	case VIRTIO_BLK_T_FLUSH:
		err = block->ops->flush(block);
		break;
	case VIRTIO_BLK_T_GET_ID:
		err = get_id(disk, p.in, p.n_in, p.in_len);
		break;
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		err = discard_or_zero(block, le32_get(header.type) ==
				      VIRTIO_BLK_T_WRITE_ZEROES, chain);
		break;
	default:
		err = -ENOTSUP;
		break;
	}
	*p.status = !err ? VIRTIO_BLK_S_OK : err == -ENOTSUP ?
		VIRTIO_BLK_S_UNSUPP : VIRTIO_BLK_S_IOERR;
	return p.in_len + 1;
}

/* ---- the thread ---- */

/* One batch; with the lock held, given up meanwhile.  False: there was none.
 * What is fetched stays where it is: queue_stop() waits. */
static bool serve_batch(struct disk *disk)
{
	uint32_t written[BATCH];
	unsigned int n = 0;

	if (vring_ready(&disk->ring) && !disk->n_stopping)
		n = min_of(vring_fetch(&disk->ring, BATCH),
			   (unsigned int)BATCH);
	if (!n)
		return false;
	disk->busy = true;
	pthread_mutex_unlock(&disk->lock);
	for (unsigned int i = 0; i < n; i++)
		written[i] = serve(disk, vring_chain(&disk->ring, i));
	pthread_mutex_lock(&disk->lock);
	disk->busy = false;
	pthread_cond_broadcast(&disk->idle);
	for (unsigned int i = 0; i < n; i++)
		vring_use(&disk->ring, written[i]);
	vring_publish(&disk->ring);
	if (vring_wants_call(&disk->ring))
		virtio_pci_call(&disk->vp, 0);
	return true;
}

/* Until there are no more; then the driver kicks again.  Armed first, looked
 * once more after, so that none is missed. */
static void serve_all(struct disk *disk)
{
	bool more = true;

	while (more && !disk->end) {
		if (vring_ready(&disk->ring))
			vring_disarm(&disk->ring);
		while (!disk->end && serve_batch(disk))
			;
		if (vring_ready(&disk->ring))
			vring_arm(&disk->ring);
		more = serve_batch(disk);
	}
}

static void *disk_main(void *arg)
{
	struct disk *disk = arg;

	pthread_mutex_lock(&disk->lock);
	while (!disk->end) {
		if (!disk->kicked) {
			pthread_cond_wait(&disk->work, &disk->lock);
			continue;
		}
		disk->kicked = false;
		serve_all(disk);
		if (disk->ring.dma && disk->ring.broken)
			virtio_pci_needs_reset(&disk->vp);
	}
	pthread_mutex_unlock(&disk->lock);
	return NULL;
}

/* ---- as a virtio device ---- */

static void notify(struct virtio_pci *vp, unsigned int queue)
{
	struct disk *disk = disk_of(vp);

	disk->kicked = true;
	pthread_cond_signal(&disk->work);
}

static int queue_start(struct virtio_pci *vp, unsigned int queue,
		       const struct vring_config *config,
		       const struct vring_state *state)
{
	struct disk *disk = disk_of(vp);

	return vring_start(&disk->ring, disk->name, disk->dma, config, state);
}

static bool queue_stop(struct virtio_pci *vp, unsigned int queue,
		       struct vring_state *state)
{
	struct disk *disk = disk_of(vp);

	disk->n_stopping++;
	while (disk->busy)
		pthread_cond_wait(&disk->idle, &disk->lock);
	disk->n_stopping--;
	if (!disk->ring.dma)
		return false;
	*state = vring_state(&disk->ring);
	vring_stop(&disk->ring);
	return true;
}

/* 5.2.4 */
static void config(struct virtio_pci *vp, void *image)
{
	struct disk *disk = disk_of(vp);
	struct virtio_blk_config *c = image;

	*c = (struct virtio_blk_config) {
		.capacity = le64_of(disk->block->size / BLOCK_SECTOR),
		.seg_max = le32_of(SEGMENTS_MAX),
		.blk_size = le32_of(BLOCK_SECTOR),
		.max_discard_sectors = le32_of(DISCARD_SECTORS_MAX),
		.max_discard_seg = le32_of(1),
		.discard_sector_alignment = le32_of(1),
		.max_write_zeroes_sectors = le32_of(DISCARD_SECTORS_MAX),
		.max_write_zeroes_seg = le32_of(1),
		.write_zeroes_may_unmap = 1,
	};
}

static const struct virtio_pci_ops virtio_ops = {
	.config = config,
	.queue_start = queue_start,
	.queue_stop = queue_stop,
	.notify = notify,
};

/* ---- as a PCI function ---- */

static uint64_t bar_read(void *opaque, uint64_t off, unsigned int len)
{
	struct disk_bar *bar = opaque;
	uint64_t val;

	pthread_mutex_lock(&bar->disk->lock);
	val = pci_bar_read(&bar->disk->vp.pci, bar->idx, off, len);
	pthread_mutex_unlock(&bar->disk->lock);
	return val;
}

static void bar_write(void *opaque, uint64_t off, unsigned int len,
		      uint64_t val)
{
	struct disk_bar *bar = opaque;

	pthread_mutex_lock(&bar->disk->lock);
	pci_bar_write(&bar->disk->vp.pci, bar->idx, off, len, val);
	pthread_mutex_unlock(&bar->disk->lock);
}

static const struct bus_dev_ops bar_ops = {
	.read = bar_read,
	.write = bar_write,
};

static struct disk *disk_of_fn(struct pci_function *fn)
{
	return container_of(fn, struct disk, fn);
}

static uint32_t fn_config_read(struct pci_function *fn, unsigned int off,
			       unsigned int len)
{
	struct disk *disk = disk_of_fn(fn);
	uint32_t val;

	pthread_mutex_lock(&disk->lock);
	val = (uint32_t)pci_config_read(&disk->vp.pci, off, len);
	pthread_mutex_unlock(&disk->lock);
	return val;
}

static void fn_config_write(struct pci_function *fn, unsigned int off,
			    unsigned int len, uint32_t val)
{
	struct disk *disk = disk_of_fn(fn);

	pthread_mutex_lock(&disk->lock);
	pci_config_write(&disk->vp.pci, off, len, val);
	pthread_mutex_unlock(&disk->lock);
	if (ranges_overlap(off, len, PCI_COMMAND, 2) ||
	    ranges_overlap(off, len, PCI_BASE_ADDRESS_0, 4 * PCI_N_BARS))
		pci_host_map(disk->host);
}

static const struct pci_bar *fn_bar(struct pci_function *fn, unsigned int idx)
{
	return &disk_of_fn(fn)->vp.pci.bar[idx];
}

static void fn_map(struct pci_function *fn)
{
	struct disk *disk = disk_of_fn(fn);

	for (unsigned int i = 0; i < PCI_N_BARS; i++) {
		const struct pci_bar *bar = &disk->vp.pci.bar[i];
		bool is_io = bar->kind == PCI_BAR_IO, there;
		uint64_t addr;

		if (bar->kind == PCI_BAR_NONE)
			continue;
		pthread_mutex_lock(&disk->lock);
		there = pci_bar_addr(&disk->vp.pci, i, &addr);
		pthread_mutex_unlock(&disk->lock);
		if (!there || !addr || addr > ~0ull - bar->size ||
		    (is_io && addr + bar->size > 0x10000) ||
		    !pci_bus_reached(fn->bus, is_io, addr, bar->size))
			continue;
		if (bus_add(is_io ? disk->host->pio : disk->host->mmio, addr,
			    bar->size, &disk->bar[i], true))
			log_limited(LOG_DEBUG, "%s at %#llx: taken",
				    disk->bar[i].name,
				    (unsigned long long)addr);
	}
}

static void fn_route(struct pci_function *fn)
{
	struct disk *disk = disk_of_fn(fn);

	pthread_mutex_lock(&disk->lock);
	pci_wire_route(&disk->vp.pci);
	pthread_mutex_unlock(&disk->lock);
}

static int fn_reset(struct pci_function *fn)
{
	struct disk *disk = disk_of_fn(fn);

	pthread_mutex_lock(&disk->lock);
	pci_dev_reset(&disk->vp.pci, PCI_RESET_BUS);
	pthread_mutex_unlock(&disk->lock);
	return 0;
}

static const struct pci_function_ops function_ops = {
	.config_read = fn_config_read,
	.config_write = fn_config_write,
	.bar = fn_bar,
	.map = fn_map,
	.route = fn_route,
	.reset = fn_reset,
};

/* ---- life ---- */

static int init_device(struct disk *disk)
{
	const struct virtio_pci_params params = {
		.name = disk->name, .ops = &virtio_ops,
		.type = VIRTIO_ID_BLOCK, .transitional = TRANSITIONAL,
		.class_code = CLASS_SCSI,
		.features = BIT64(VIRTIO_BLK_F_SEG_MAX) |
			BIT64(VIRTIO_BLK_F_BLK_SIZE) |
			BIT64(VIRTIO_BLK_F_FLUSH) |
			BIT64(VIRTIO_BLK_F_DISCARD) |
			BIT64(VIRTIO_BLK_F_WRITE_ZEROES) |
			BIT64(VIRTIO_F_INDIRECT_DESC) |
			BIT64(VIRTIO_F_EVENT_IDX) |
			BIT64(VIRTIO_F_RING_PACKED) |
			BIT64(VIRTIO_F_IN_ORDER) |
			(disk->block->read_only ? BIT64(VIRTIO_BLK_F_RO) : 0),
		/* Their fields are beyond the legacy registers' ports. */
		.modern_features = BIT64(VIRTIO_BLK_F_DISCARD) |
			BIT64(VIRTIO_BLK_F_WRITE_ZEROES),
		.n_queues = 1, .queue_size = QUEUE_SIZE,
		.config_len = sizeof(struct virtio_blk_config),
	};
	int err = virtio_pci_init(&disk->vp, &params);

	for (unsigned int i = 0; !err && i < PCI_N_BARS; i++) {
		char name[BUS_NAME_MAX];

		snprintf(name, sizeof(name), "%.20s bar%u", disk->name, i);
		disk->bar_of[i] = (struct disk_bar){ disk, i };
		bus_dev_init(&disk->bar[i], name, &bar_ops, &disk->bar_of[i],
			     disk->vp.pci.bar[i].kind == PCI_BAR_IO ? 4 : 8);
	}
	pci_wire_connect(&disk->wire, disk->host, &disk->fn, &disk->vp.pci);
	disk->vp.pci.dma = disk->dma;
	return err;
}

static int init_memory(struct disk *disk, const struct vm_memory *mem)
{
	struct vm_memory_part part[2];
	unsigned int n = vm_memory_parts(mem, part);
	int err = dma_init();

	disk->dma = dma_space_create(disk->name, NULL);
	if (!err && !disk->dma)
		err = -ENOMEM;
	for (unsigned int i = 0; !err && i < n; i++)
		err = dma_space_map(disk->dma, part[i].gpa, part[i].len,
				    DMA_READ | DMA_WRITE, mem->fd,
				    part[i].offset);
	return err;
}

int disk_create(struct pci_host *host, const struct block_config *config,
		const char *where, const struct vm_memory *mem,
		struct disk **result_disk)
{
	struct disk *disk = calloc(1, sizeof(*disk));
	int err;

	if (!disk)
		return -ENOMEM;
	disk->host = host;
	disk->fn.ops = &function_ops;
	snprintf(disk->name, sizeof(disk->name), "disk@%s", where);
	pthread_mutex_init(&disk->lock, NULL);
	pthread_cond_init(&disk->work, NULL);
	pthread_cond_init(&disk->idle, NULL);
	err = block_open(config, &disk->block);
	if (err)
		goto err_destroy;
	err = init_memory(disk, mem);
	if (!err)
		err = init_device(disk);
	if (!err)
		err = -pthread_create(&disk->thread, NULL, disk_main, disk);
	if (err) {
		log_err("disk %s: %s", config->path, strerror(-err));
		goto err_destroy;
	}
	disk->has_thread = true;
	*result_disk = disk;
	return 0;

err_destroy:
	disk_destroy(disk);
	return err;
}

void disk_destroy(struct disk *disk)
{
	if (!disk)
		return;
	if (disk->has_thread) {
		pthread_mutex_lock(&disk->lock);
		disk->end = true;
		pthread_cond_signal(&disk->work);
		pthread_mutex_unlock(&disk->lock);
		pthread_join(disk->thread, NULL);
	}
	if (disk->vp.pci.state) {
		pthread_mutex_lock(&disk->lock);
		virtio_pci_fini(&disk->vp);
		pthread_mutex_unlock(&disk->lock);
	}
	/* Only now: while it is served it may interrupt, by way of its bus. */
	pci_bus_remove(&disk->fn);
	dma_space_destroy(disk->dma);
	if (disk->block && !disk->block->read_only &&
	    disk->block->ops->flush(disk->block))
		log_err("%s: what was written last may be lost", disk->name);
	block_close(disk->block);
	pthread_cond_destroy(&disk->idle);
	pthread_cond_destroy(&disk->work);
	pthread_mutex_destroy(&disk->lock);
	free(disk);
}

struct pci_function *disk_function(struct disk *disk)
{
	return &disk->fn;
}
