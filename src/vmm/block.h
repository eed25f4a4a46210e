/* SPDX-License-Identifier: Apache-2.0
 *
 * Disk images: raw files and block devices by plain system calls, qcow2 by
 * libnbd and a qemu-nbd that it starts (there is no library that writes qcow2).
 *
 * Threads: one at a time.
 */
#ifndef VMM_BLOCK_H
#define VMM_BLOCK_H

#include <stdint.h>
#include <sys/uio.h>

#include "base/util.h"

struct block;

enum { BLOCK_SECTOR = 512 };

struct block_config {
	const char *path;
	const char *format;	/* "raw", "qcow2"; NULL: by the name's end */
	bool read_only;
};

struct block_ops {
	/* All @n pieces, at @off; within the image.  0 or -errno.  @iov may be
	 * changed. */
	int (*read)(struct block *block, struct iovec *iov, unsigned int n,
		    uint64_t off);
	int (*write)(struct block *block, struct iovec *iov, unsigned int n,
		     uint64_t off);
	/* What was written is on the medium. */
	int (*flush)(struct block *block);
	/* The contents are of no interest any more. */
	int (*discard)(struct block *block, uint64_t off, uint64_t len);
	/* Zeroes from now on; @unmap: and may go from the medium. */
	int (*zero)(struct block *block, uint64_t off, uint64_t len,
		    bool unmap);
	void (*close)(struct block *block);
};

/* The backends embed it. */
struct block {
	const struct block_ops *ops;
	uint64_t size;		/* bytes, a multiple of BLOCK_SECTOR */
	bool read_only;
};

/** block_open() - 0 or -errno, with a message */
int must_check block_open(const struct block_config *config,
			  struct block **block);

/** block_close() - NULL is fine */
void block_close(struct block *block);

/* For block_open(): the backends, likewise. */
int must_check block_raw_open(const struct block_config *config,
			      struct block **block);
int must_check block_qcow2_open(const struct block_config *config,
				struct block **block);

#endif
