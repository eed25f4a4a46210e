/* SPDX-License-Identifier: Apache-2.0
 *
 * DMA spaces: ranges sorted by address, each pointing into a file mapping
 * (dma_file.c).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "mem/dma_internal.h"

enum {
	PAGE_MASK = 4095,
	FILES_DEFAULT = 64,
};
#define BYTES_DEFAULT (1ull << 40)

/* A file mapping as one space uses it. */
struct used_file {
	struct dma_file *file;	/* one reference is held, however many ranges */
	unsigned int n_ranges;	/* ranges of this space that lie in it */
};

struct dma_space {
	char *name;			/* for messages */
	struct dma_quota quota;		/* all fields set */
	bool was_broken;		/* a broken file has been unmapped */
	bool said_no_memory;		/* the one message is out */

	struct dma_range *ranges;	/* sorted by iova, never overlapping */
	unsigned int n_ranges;		/* in use */
	unsigned int n_alloc;		/* allocated */
	unsigned int last_hit;		/* index of the range found last */

	struct used_file *files;	/* quota.max_files of them */
	unsigned int n_files;		/* in use */
	uint64_t n_bytes;		/* sum of the mappings' lengths */

	struct dma_log *log;		/* of written pages; NULL: none */
	bool log_changed;		/* since it was asked for last */
	bool said_log_short;		/* the one message is out */
};

struct dma_space *dma_space_create(const char *name,
				   const struct dma_quota *quota)
{
	struct dma_space *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	if (quota)
		s->quota = *quota;
	if (!s->quota.max_ranges)
		s->quota.max_ranges = DMA_RANGES_DEFAULT;
	if (!s->quota.max_files)
		s->quota.max_files = FILES_DEFAULT;
	if (!s->quota.max_bytes)
		s->quota.max_bytes = BYTES_DEFAULT;
	s->name = strdup(name);
	s->files = calloc(s->quota.max_files, sizeof(*s->files));
	if (!s->name || !s->files) {
		dma_space_destroy(s);
		return NULL;
	}
	return s;
}

void dma_space_destroy(struct dma_space *space)
{
	if (!space)
		return;
	dma_space_clear(space);
	dma_space_drop_log(space);
	free(space->ranges);
	free(space->files);
	free(space->name);
	free(space);
}

/* Index of the first range that does not end before @iova. */
static unsigned int first_from(const struct dma_space *s, uint64_t iova)
{
	unsigned int lo = 0, hi = s->n_ranges;

	while (lo < hi) {
		unsigned int mid = lo + (hi - lo) / 2;
		const struct dma_range *r = &s->ranges[mid];

		if (r->iova + (r->len - 1) < iova)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* The range that holds @iova, or NULL. */
static struct dma_range *range_at(struct dma_space *s, uint64_t iova)
{
	unsigned int i = s->last_hit;

	if (likely(i < s->n_ranges &&
		   iova - s->ranges[i].iova < s->ranges[i].len))
		return &s->ranges[i];
	i = first_from(s, iova);
	if (i == s->n_ranges || iova < s->ranges[i].iova)
		return NULL;
	s->last_hit = i;
	return &s->ranges[i];
}

static bool wraps(uint64_t iova, uint64_t len)
{
	return iova + (len - 1) < iova;
}

/* Count a range more of @file; takes over the caller's reference. */
static int use_file(struct dma_space *s, struct dma_file *file)
{
	for (unsigned int i = 0; i < s->n_files; i++) {
		if (s->files[i].file != file)
			continue;
		s->files[i].n_ranges++;
		dma_file_put(file);
		return 0;
	}
	if (s->n_files == s->quota.max_files ||
	    dma_file_len(file) > s->quota.max_bytes - s->n_bytes) {
		dma_file_put(file);
		return -EDQUOT;
	}
	s->files[s->n_files++] = (struct used_file){ file, 1 };
	s->n_bytes += dma_file_len(file);
	return 0;
}

static void unuse_file(struct dma_space *s, struct dma_file *file)
{
	unsigned int i = 0;

	while (s->files[i].file != file)
		i++;
	if (--s->files[i].n_ranges)
		return;
	s->was_broken |= dma_file_broken(file);
	s->n_bytes -= dma_file_len(file);
	s->files[i] = s->files[--s->n_files];
	dma_file_put(file);
}

static int make_room(struct dma_space *s)
{
	unsigned int n = s->n_alloc ? 2 * s->n_alloc : 16;
	struct dma_range *ranges;

	if (s->n_ranges == s->quota.max_ranges)
		return -ENOSPC;
	if (s->n_ranges < s->n_alloc)
		return 0;
	ranges = realloc(s->ranges, n * sizeof(*ranges));
	if (!ranges)
		return -ENOMEM;
	s->ranges = ranges;
	s->n_alloc = n;
	return 0;
}

int dma_space_map(struct dma_space *space, uint64_t iova, uint64_t len,
		  uint32_t prot, int fd, uint64_t offset)
{
	struct dma_range r = { .iova = iova, .len = len, .prot = prot };
	unsigned int at;
	int err;

	if (!len || ((iova | len | offset) & PAGE_MASK) || wraps(iova, len) ||
	    !prot || (prot & ~(DMA_READ | DMA_WRITE)))
		return -EINVAL;
	at = first_from(space, iova);
	if (at < space->n_ranges &&
	    ranges_overlap(iova, len, space->ranges[at].iova,
			   space->ranges[at].len))
		return -EEXIST;
	err = make_room(space);
	if (err)
		return err;
	if (fd >= 0) {
		err = dma_file_get(fd, offset, len, prot,
				   space->quota.max_bytes, &r.file);
		if (!err)
			err = use_file(space, r.file);
		if (err)
			return err;
		r.hva = dma_file_base(r.file) + offset;
	}
	memmove(&space->ranges[at + 1], &space->ranges[at],
		(space->n_ranges - at) * sizeof(r));
	space->ranges[at] = r;
	space->n_ranges++;
	return 0;
}

int64_t dma_space_unmap(struct dma_space *space, uint64_t iova, uint64_t len)
{
	unsigned int first, end;
	uint64_t last, bytes = 0;

	if (!len || wraps(iova, len))
		return -EINVAL;
	last = iova + (len - 1);
	first = first_from(space, iova);
	for (end = first; end < space->n_ranges; end++) {
		const struct dma_range *r = &space->ranges[end];

		if (r->iova > last)
			break;
		if (r->iova < iova || r->iova + (r->len - 1) > last)
			return -EINVAL;
		bytes += r->len;
	}
	if (first == end)
		return -ENOENT;
	for (unsigned int i = first; i < end; i++)
		if (space->ranges[i].file)
			unuse_file(space, space->ranges[i].file);
	memmove(&space->ranges[first], &space->ranges[end],
		(space->n_ranges - end) * sizeof(*space->ranges));
	space->n_ranges -= end - first;
	return (int64_t)min_of(bytes, (uint64_t)INT64_MAX);
}

void dma_space_clear(struct dma_space *space)
{
	for (unsigned int i = 0; i < space->n_files; i++)
		dma_file_put(space->files[i].file);
	space->n_files = 0;
	space->n_bytes = 0;
	space->n_ranges = 0;
	space->was_broken = false;
	space->said_no_memory = false;
}

bool dma_space_broken(const struct dma_space *space)
{
	if (unlikely(space->was_broken) ||
	    unlikely(space->log && dma_log_broken(space->log)))
		return true;
	for (unsigned int i = 0; i < space->n_files; i++)
		if (unlikely(dma_file_broken(space->files[i].file)))
			return true;
	return false;
}

void dma_space_usage(const struct dma_space *space, struct dma_usage *usage)
{
	usage->n_ranges = space->n_ranges;
	usage->n_files = space->n_files;
	usage->n_bytes = space->n_bytes;
}

static void say_no_memory(struct dma_space *s, uint64_t iova)
{
	if (s->said_no_memory)
		return;
	s->said_no_memory = true;
	log_warn("%s: DMA to %#llx refused: the VMM has not shared this memory "
		 "(QEMU: -object memory-backend-memfd,share=on as the "
		 "machine's memory-backend)", s->name,
		 (unsigned long long)iova);
}

/* Where [iova, ...) lies; *@len is cut to what is left of the range. */
static uint8_t *piece_at(struct dma_space *s, uint64_t iova, uint32_t prot,
			 uint64_t *len)
{
	struct dma_range *r = range_at(s, iova);

	if (unlikely(!r || (r->prot & prot) != prot))
		return NULL;
	if (unlikely(!r->hva)) {
		say_no_memory(s, iova);
		return NULL;
	}
	*len = min_of(*len, r->len - (iova - r->iova));
	return r->hva + (iova - r->iova);
}

void *dma_at(struct dma_space *space, uint64_t iova, uint64_t len,
	     uint32_t prot)
{
	uint64_t n = len;
	uint8_t *p = piece_at(space, iova, prot, &n);

	return likely(len && n == len) ? p : NULL;
}

void *dma_window_move(struct dma_space *space, struct dma_window *window,
		      uint64_t iova, uint64_t len, uint32_t prot)
{
	void *p = dma_at(space, iova, len, prot);
	const struct dma_range *r = p ? range_at(space, iova) : NULL;

	if (r)
		*window = (struct dma_window){ r->iova, r->len, r->hva,
					       r->prot };
	return p;
}

int dma_iov(struct dma_space *space, uint64_t iova, uint64_t len,
	    uint32_t prot, struct iovec *iov, unsigned int max)
{
	unsigned int n = 0;

	if (len && wraps(iova, len))
		return -EFAULT;
	while (len) {
		uint64_t n_here = len;
		uint8_t *p = piece_at(space, iova, prot, &n_here);

		if (!p)
			return -EFAULT;
		if (n && (uint8_t *)iov[n - 1].iov_base +
			 iov[n - 1].iov_len == p) {
			iov[n - 1].iov_len += n_here;
		} else {
			if (n == max)
				return -E2BIG;
			iov[n++] = (struct iovec){ p, n_here };
		}
		iova += n_here;
		len -= n_here;
	}
	return (int)n;
}

/* Is every byte of [iova, iova + len) there for @prot? */
static bool all_there(struct dma_space *s, uint64_t iova, uint64_t len,
		      uint32_t prot)
{
	if (len && wraps(iova, len))
		return false;
	while (len) {
		uint64_t n = len;

		if (!piece_at(s, iova, prot, &n))
			return false;
		iova += n;
		len -= n;
	}
	return true;
}

int dma_read(struct dma_space *space, uint64_t iova, void *dst, uint64_t len)
{
	uint8_t *to = dst;

	if (!all_there(space, iova, len, DMA_READ))
		return -EFAULT;
	while (len) {
		uint64_t n = len;
		const uint8_t *p = piece_at(space, iova, DMA_READ, &n);

		memcpy(to, p, n);
		to += n;
		iova += n;
		len -= n;
	}
	return 0;
}

int dma_write(struct dma_space *space, uint64_t iova, const void *src,
	      uint64_t len)
{
	const uint8_t *from = src;

	if (!all_there(space, iova, len, DMA_WRITE))
		return -EFAULT;
	while (len) {
		uint64_t n = len;
		uint8_t *p = piece_at(space, iova, DMA_WRITE, &n);

		memcpy(p, from, n);
		from += n;
		iova += n;
		len -= n;
	}
	return 0;
}

/* ---- the log ---- */

int dma_space_set_log(struct dma_space *space, int fd, uint64_t offset,
		      uint64_t len)
{
	struct dma_log *log;
	int ret = dma_log_open(fd, offset, len, &log);

	if (ret < 0)
		return ret;
	dma_space_drop_log(space);
	space->log = log;
	return 0;
}

void dma_space_drop_log(struct dma_space *space)
{
	dma_log_close(space->log);
	space->log = NULL;
	space->log_changed = space->said_log_short = false;
}

void dma_logged(struct dma_space *space, uint64_t iova, uint64_t len)
{
	if (!space->log || !len)
		return;
	if (likely(dma_log_mark(space->log, iova, len))) {
		space->log_changed = true;
	} else if (!space->said_log_short) {
		space->said_log_short = true;
		log_limited(LOG_WARN, "%s: the log of written pages does not reach to %#llx: its guest cannot be migrated",
			    space->name, (unsigned long long)iova);
	}
}

void dma_logged_at(struct dma_space *space, const void *hva, uint64_t len)
{
	uintptr_t from = (uintptr_t)hva, end = from + len;

	for (unsigned int i = 0; i < space->n_ranges; i++) {
		const struct dma_range *r = &space->ranges[i];
		uintptr_t base = (uintptr_t)r->hva;
		uintptr_t lo = max_of(from, base);
		uintptr_t hi = min_of(end, base + r->len);

		if (r->hva && lo < hi)
			dma_logged(space, r->iova + (lo - base), hi - lo);
	}
}

bool dma_log_changed(struct dma_space *space)
{
	bool changed = space->log_changed;

	space->log_changed = false;
	return changed;
}
