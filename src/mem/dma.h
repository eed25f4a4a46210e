/* SPDX-License-Identifier: Apache-2.0
 *
 * Guest memory as a device reaches it: the only door to guest bytes.
 *
 * A *DMA space* is one client's I/O address space: checked ranges (iova,
 * length, protection), each pointing into a *file mapping*.  A file (memfd,
 * tmpfs or hugetlbfs; nothing else, see fstatfs) is mapped once per process,
 * whole, and counted: all ranges of all spaces that lie in the same inode share
 * the mapping.
 *
 * The memory is hostile.  Its owner may change it while it is read (read each
 * field once, into a private copy) and may truncate the file: the access then
 * raises SIGBUS, whose handler puts zeroes there and marks the mapping; every
 * space using it becomes *broken*, and its device stops.  Other spaces go on.
 *
 * A range may have no memory behind it (the client gave no fd): it is known, so
 * that it can be unmapped, but dma_at() refuses it.
 *
 * A client that moves its guest elsewhere gives a *log*: a bitmap of pages, in
 * a file of its own, where the device marks what it has written.  Whoever
 * writes calls dma_logged() or dma_logged_at() afterwards, while there is a
 * need.
 *
 * Threads: a space belongs to one worker, all calls come from there.  The table
 * of file mappings is shared by all and has its own lock.
 */
#ifndef MEM_DMA_H
#define MEM_DMA_H

#include <stdint.h>
#include <sys/uio.h>

#include "base/util.h"

#define DMA_READ  1u	/* the device may read it (guest to wire) */
#define DMA_WRITE 2u	/* the device may write it (wire to guest) */

struct dma_space;

enum {
	DMA_RANGES_DEFAULT = 4096,
	DMA_LOG_PAGE = 4096,	/* bytes for each bit of a log */
};

/* What one client may have at a time. */
struct dma_quota {
	unsigned int max_ranges;	/* mapped ranges; 0: the default */
	unsigned int max_files;		/* distinct files; 0: 64 */
	uint64_t max_bytes;		/* sum of the file mappings; 0: 1 TiB */
};

/* One range, as dma_at() looks it up.  Private to mem/, here for inlining. */
struct dma_range {
	uint64_t iova;		/* first address */
	uint64_t len;		/* bytes, never 0 */
	uint8_t *hva;		/* where it lies here; NULL: refused */
	uint32_t prot;		/* DMA_READ | DMA_WRITE */
	struct dma_file *file;	/* the mapping it lies in; NULL: none */
};

/**
 * dma_init() - install the SIGBUS handler, unless it is; before any map
 *
 * Faults that are not ours go to whoever had the signal before.
 *
 * Return: 0 or negative errno.
 */
int must_check dma_init(void);

/**
 * dma_space_create() - an empty space
 * @name: for messages, copied
 * @quota: NULL or zero fields: the defaults above
 *
 * Return: the space, or NULL if out of memory.
 */
struct dma_space *dma_space_create(const char *name,
				   const struct dma_quota *quota);

/** dma_space_destroy() - unmap everything and free; NULL is fine */
void dma_space_destroy(struct dma_space *space);

/**
 * dma_space_map() - make [iova, iova + len) available
 * @prot: DMA_READ and/or DMA_WRITE, not 0
 * @fd: the file, borrowed (the caller closes its own copy); -1: no memory
 *	behind the range
 * @offset: where in the file the range starts
 *
 * Return: 0; -EINVAL (empty, wraps, range beyond the end of the file, not page
 * aligned); -EEXIST (overlaps another range); -EPERM (not memfd, tmpfs or
 * hugetlbfs, or not opened for what @prot asks); -ENOSPC or -EDQUOT (a quota);
 * -ENOMEM.
 */
int must_check dma_space_map(struct dma_space *space, uint64_t iova,
			     uint64_t len, uint32_t prot, int fd,
			     uint64_t offset);

/**
 * dma_space_unmap() - take away every range within [iova, iova + len)
 *
 * Return: number of bytes unmapped; -EINVAL where the interval would cut a
 * range in two (nothing is unmapped then); -ENOENT if it holds none.
 */
int64_t must_check dma_space_unmap(struct dma_space *space, uint64_t iova,
				   uint64_t len);

/** dma_space_clear() - take away all ranges; the space is no longer broken */
void dma_space_clear(struct dma_space *space);

/** dma_space_broken() - has a file of this space been truncated? */
bool dma_space_broken(const struct dma_space *space);

/* What a space holds at the moment. */
struct dma_usage {
	unsigned int n_ranges;	/* ranges, with memory or without */
	unsigned int n_files;	/* distinct file mappings */
	uint64_t n_bytes;	/* sum of their lengths */
};

/** dma_space_usage() - how much of its quota is in use */
void dma_space_usage(const struct dma_space *space, struct dma_usage *usage);

/**
 * dma_at() - the one way from a guest address to a pointer
 * @prot: what the caller is going to do, DMA_READ or DMA_WRITE
 *
 * The pointer is good until the next unmap of the space (see
 * pci_dev_ops.dma_changed).
 *
 * Return: where the @len bytes lie, or NULL if they are not all within one
 * range that allows it (or @len is 0).
 */
void *dma_at(struct dma_space *space, uint64_t iova, uint64_t len,
	     uint32_t prot);

/* The range that a user of the space found last: its next look-up is likely to
 * be in the same one.  All zero: none.  To be forgotten (len = 0) when the map
 * changes. */
struct dma_window {
	uint64_t iova;		/* first address */
	uint64_t len;		/* bytes; 0: no range */
	uint8_t *hva;		/* where it lies here */
	uint32_t prot;		/* DMA_READ | DMA_WRITE */
};

/** dma_window_move() - dma_at(), and @window becomes the range found */
void *dma_window_move(struct dma_space *space, struct dma_window *window,
		      uint64_t iova, uint64_t len, uint32_t prot);

/** dma_window_find() - as dma_at(), but NULL also if it is not in @window */
static inline void *dma_window_find(const struct dma_window *window,
				    uint64_t iova, uint64_t len, uint32_t prot)
{
	uint64_t off = iova - window->iova;

	if (likely(len && range_within(off, len, window->len) &&
		   (window->prot & prot) == prot))
		return window->hva + off;
	return NULL;
}

/** dma_window_at() - as dma_at(), fast while it stays in @window */
static inline void *dma_window_at(struct dma_space *space,
				  struct dma_window *window, uint64_t iova,
				  uint64_t len, uint32_t prot)
{
	void *hva = dma_window_find(window, iova, len, prot);

	return likely(hva) ? hva :
	       dma_window_move(space, window, iova, len, prot);
}

/**
 * dma_iov() - as dma_at(), across ranges that touch
 * @iov: filled with at most @max pieces
 *
 * Return: number of pieces, or -EFAULT (not mapped), -E2BIG (more than @max).
 */
int must_check dma_iov(struct dma_space *space, uint64_t iova, uint64_t len,
		       uint32_t prot, struct iovec *iov, unsigned int max);

/**
 * dma_read(), dma_write() - copy @len bytes from or to the guest
 *
 * Across ranges that touch.  Nothing is written unless all can be.
 *
 * Return: 0 or -EFAULT.
 */
int must_check dma_read(struct dma_space *space, uint64_t iova, void *dst,
			uint64_t len);
int must_check dma_write(struct dma_space *space, uint64_t iova,
			 const void *src, uint64_t len);

/**
 * dma_space_set_log() - mark written pages in [offset, offset + len) of a file,
 * in place of an earlier log
 * @fd: borrowed
 *
 * Outlives dma_space_clear().
 *
 * Return: 0, or as dma_space_map(); then the earlier log stays.
 */
int must_check dma_space_set_log(struct dma_space *space, int fd,
				 uint64_t offset, uint64_t len);

/** dma_space_drop_log() - nothing is marked any more */
void dma_space_drop_log(struct dma_space *space);

/** dma_logged() - [iova, iova + len) has been written; without a log, nothing
 * happens, as below */
void dma_logged(struct dma_space *space, uint64_t iova, uint64_t len);

/** dma_logged_at() - the same for @len bytes at @hva, which came from here: at
 * all addresses where the client has them */
void dma_logged_at(struct dma_space *space, const void *hva, uint64_t len);

/** dma_log_changed() - has anything been marked since the last call? */
bool must_check dma_log_changed(struct dma_space *space);

#endif
