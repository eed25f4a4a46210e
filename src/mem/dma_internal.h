/* SPDX-License-Identifier: Apache-2.0
 *
 * File mappings, shared by all DMA spaces; for mem/ only.
 */
#ifndef MEM_DMA_INTERNAL_H
#define MEM_DMA_INTERNAL_H

#include "mem/dma.h"

/* A whole file, mapped once per inode and counted. */
struct dma_file;

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

#endif
