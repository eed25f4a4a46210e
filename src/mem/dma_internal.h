/* SPDX-License-Identifier: Apache-2.0
 *
 * File mappings, shared by all DMA spaces; for mem/ only.
 */
#ifndef MEM_DMA_INTERNAL_H
#define MEM_DMA_INTERNAL_H

#include "mem/dma.h"

/* A whole file, mapped once per inode and counted. */
struct dma_file;

/* A bitmap of written pages, in a client's file (dma_log.c). */
struct dma_log;

/* A log for 1 << 48 bytes of addresses, far more than any guest has. */
#define DMA_LOG_BYTES_MAX ((1ull << 48) / DMA_LOG_PAGE / 8)

/**
 * dma_file_get() - the mapping of @fd's file that holds [offset, offset + len)
 * @fd: borrowed
 * @prot: the access a range is going to allow
 * @quota_bytes: largest mapping that may be made or used
 *
 * Takes a reference.  Any thread.
 *
 * Return: 0; -EINVAL (beyond the end of the file, bad alignment); -EPERM (a
 * kind of file, or a way of opening it, that is not allowed); -EDQUOT (larger
 * than @quota_bytes); -ENFILE (the table is full); -ENOMEM.
 */
int must_check dma_file_get(int fd, uint64_t offset, uint64_t len,
			    uint32_t prot, uint64_t quota_bytes,
			    struct dma_file **file);

/** dma_file_put() - give a reference back; the last one unmaps */
void dma_file_put(struct dma_file *file);

/** dma_file_base() - where it lies in this process */
uint8_t *dma_file_base(const struct dma_file *file);

/** dma_file_len() - bytes mapped */
uint64_t dma_file_len(const struct dma_file *file);

/** dma_file_broken() - has it been found truncated?  Any thread. */
bool dma_file_broken(const struct dma_file *file);

/**
 * dma_log_open() - the log in [offset, offset + len) of a file
 * @fd: borrowed
 *
 * Return: 0, -ENOMEM, or as dma_file_get().
 */
int must_check dma_log_open(int fd, uint64_t offset, uint64_t len,
			    struct dma_log **log);

/** dma_log_close() - unmap and free; NULL is fine */
void dma_log_close(struct dma_log *log);

/** dma_log_broken() - has its file been truncated? */
bool dma_log_broken(const struct dma_log *log);

/** dma_log_mark() - the pages of [addr, addr + len), not empty, are written;
 * false: the log does not reach so far, nothing is marked */
bool must_check dma_log_mark(struct dma_log *log, uint64_t addr, uint64_t len);

#endif
