/* SPDX-License-Identifier: Apache-2.0
 *
 * The log of written pages: a bitmap in a file of the client's, which reads and
 * clears it while we set bits.
 */
#include <errno.h>
#include <stdlib.h>

#include "mem/dma_internal.h"

struct dma_log {
	struct dma_file *file;	/* the mapping it lies in */
	uint8_t *bits;		/* one a page, from address 0 on */
	uint64_t n_pages;	/* that have one */
};

int dma_log_open(int fd, uint64_t offset, uint64_t len, struct dma_log **log)
{
	struct dma_log *l;
	int ret;

	if (!len || len > DMA_LOG_BYTES_MAX)
		return -EINVAL;
	l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	ret = dma_file_get(fd, offset, len, DMA_READ | DMA_WRITE,
			   DMA_LOG_BYTES_MAX, &l->file);
	if (ret < 0) {
		free(l);
		return ret;
	}
	l->bits = dma_file_base(l->file) + offset;
	l->n_pages = len * 8;
	*log = l;
	return 0;
}

void dma_log_close(struct dma_log *log)
{
	if (!log)
		return;
	dma_file_put(log->file);
	free(log);
}

bool dma_log_broken(const struct dma_log *log)
{
	return dma_file_broken(log->file);
}

/* The bit is set after the write it tells of, and is seen after it: the client
 * clears the bit first and copies the page then.  Hence the full barrier, and
 * no look whether the bit is set already. */
bool dma_log_mark(struct dma_log *log, uint64_t addr, uint64_t len)
{
	uint64_t first = addr / DMA_LOG_PAGE;
	uint64_t last = (addr + (len - 1)) / DMA_LOG_PAGE;

	if (unlikely(last < first || last >= log->n_pages))
		return false;
	for (uint64_t page = first; page <= last; page++)
		__atomic_fetch_or(&log->bits[page / 8],
				  (uint8_t)(1u << page % 8), __ATOMIC_SEQ_CST);
	return true;
}
