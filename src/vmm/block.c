/* SPDX-License-Identifier: Apache-2.0
 *
 * Disk images by their format, and raw ones; see block.h.
 */
#include "vmm/block.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

struct raw {
	struct block block;
	int fd;
};

static struct raw *raw_of(struct block *block)
{
	return container_of(block, struct raw, block);
}

/* Drop the first @len bytes of the pieces. */
static void advance(struct iovec **iov, unsigned int *n, size_t len)
{
	while (*n && len >= (*iov)->iov_len) {
		len -= (*iov)->iov_len;
		++*iov;
		--*n;
	}
	if (*n) {
		(*iov)->iov_base = (char *)(*iov)->iov_base + len;
		(*iov)->iov_len -= len;
	}
}

static int transfer(int fd, struct iovec *iov, unsigned int n, uint64_t off,
		    ssize_t (*call)(int fd, const struct iovec *iov, int n,
				    off_t off))
{
	while (n) {
		ssize_t len = call(fd, iov, (int)n, (off_t)off);

		if (len < 0 && errno == EINTR)
			continue;
		if (len <= 0)
			return len < 0 ? -errno : -EIO;	/* it has shrunk */
		off += (uint64_t)len;
		advance(&iov, &n, (size_t)len);
	}
	return 0;
}

static int raw_read(struct block *block, struct iovec *iov, unsigned int n,
		    uint64_t off)
{
	return transfer(raw_of(block)->fd, iov, n, off, preadv);
}

static int raw_write(struct block *block, struct iovec *iov, unsigned int n,
		     uint64_t off)
{
	return transfer(raw_of(block)->fd, iov, n, off, pwritev);
}

static int raw_flush(struct block *block)
{
	return fdatasync(raw_of(block)->fd) ? -errno : 0;
}

static int raw_discard(struct block *block, uint64_t off, uint64_t len)
{
	/* Advice: a file system that cannot keeps the bytes. */
	(void)!fallocate(raw_of(block)->fd,
			 FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 (off_t)off, (off_t)len);
	return 0;
}

static int raw_zero(struct block *block, uint64_t off, uint64_t len,
		    bool unmap)
{
	static const char zeroes[1 << 16];
	int fd = raw_of(block)->fd, err = 0;

	if (!fallocate(fd, FALLOC_FL_KEEP_SIZE | (unmap ?
		       FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE),
		       (off_t)off, (off_t)len))
		return 0;
	while (len && !err) {
		uint64_t part = min_of(len, (uint64_t)sizeof(zeroes));
		struct iovec iov = { (void *)zeroes, part };

		err = transfer(fd, &iov, 1, off, pwritev);
		off += part;
		len -= part;
	}
	return err;
}

static void raw_close(struct block *block)
{
	fd_close(&raw_of(block)->fd);
	free(raw_of(block));
}

static const struct block_ops raw_ops = {
	.read = raw_read,
	.write = raw_write,
	.flush = raw_flush,
	.discard = raw_discard,
	.zero = raw_zero,
	.close = raw_close,
};

static int raw_size(int fd, uint64_t *size)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	*size = (uint64_t)st.st_size;
	if (S_ISREG(st.st_mode))
		return 0;
	if (!S_ISBLK(st.st_mode))
		return -EINVAL;
	return ioctl(fd, BLKGETSIZE64, size) ? -errno : 0;
}

int block_raw_open(const struct block_config *config, struct block **block)
{
	struct raw *raw = calloc(1, sizeof(*raw));
	int err = 0;

	if (!raw)
		return -ENOMEM;
	raw->block.ops = &raw_ops;
	raw->fd = open(config->path, O_CLOEXEC | O_NONBLOCK |
		       (config->read_only ? O_RDONLY : O_RDWR));
	/* Two machines that write it would ruin it. */
	if (raw->fd < 0 || flock(raw->fd, LOCK_NB | (config->read_only ?
						     LOCK_SH : LOCK_EX)))
		err = -errno;
	if (!err)
		err = raw_size(raw->fd, &raw->block.size);
	if (err) {
		log_err("disk %s: %s", config->path, err == -EWOULDBLOCK ?
			"another machine uses it" : err == -EINVAL ?
			"neither a file nor a block device" : strerror(-err));
		raw_close(&raw->block);
		return err;
	}
	*block = &raw->block;
	return 0;
}

static bool ends_in(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);

	return len >= end_len && !strcmp(text + len - end_len, end);
}

int block_open(const struct block_config *config, struct block **block)
{
	const char *format = config->format;
	int err;

	/* By its name, not by its contents: those a guest could forge. */
	if (!format)
		format = ends_in(config->path, ".qcow2") ? "qcow2" : "raw";
	err = strcmp(format, "raw") ? block_qcow2_open(config, block) :
				      block_raw_open(config, block);
	if (err)
		return err;
	(*block)->read_only = config->read_only;
	if ((*block)->size && (*block)->size % BLOCK_SECTOR == 0)
		return 0;
	log_err("disk %s: %llu bytes, a multiple of %d expected", config->path,
		(unsigned long long)(*block)->size, BLOCK_SECTOR);
	block_close(*block);
	*block = NULL;
	return -EINVAL;
}

void block_close(struct block *block)
{
	if (block)
		block->ops->close(block);
}
