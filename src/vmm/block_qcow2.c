/* SPDX-License-Identifier: Apache-2.0
 *
 * qcow2 images: a qemu-nbd process of our own has the image, we have libnbd's
 * end of a socket to it; see block.h.  It ends when we do.
 */
#include <errno.h>
#include <libnbd.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "vmm/block.h"

struct qcow2 {
	struct block block;
	struct nbd_handle *nbd;
};

enum { REQUEST_MAX = 16 << 20 };	/* bytes; servers take 32 MiB */

static struct nbd_handle *nbd_of(struct block *block)
{
	return container_of(block, struct qcow2, block)->nbd;
}

static int result(int ret)
{
	return ret == 0 ? 0 : nbd_get_errno() ? -nbd_get_errno() : -EIO;
}

static int qcow2_read(struct block *block, struct iovec *iov, unsigned int n,
		      uint64_t off)
{
	for (unsigned int i = 0; i < n; i++)
		for (size_t at = 0, len; at < iov[i].iov_len; at += len) {
			len = min_of(iov[i].iov_len - at, (size_t)REQUEST_MAX);
			if (nbd_pread(nbd_of(block),
				      (char *)iov[i].iov_base + at, len, off,
				      0))
				return result(-1);
			off += len;
		}
	return 0;
}

static int qcow2_write(struct block *block, struct iovec *iov, unsigned int n,
		       uint64_t off)
{
	for (unsigned int i = 0; i < n; i++)
		for (size_t at = 0, len; at < iov[i].iov_len; at += len) {
			len = min_of(iov[i].iov_len - at, (size_t)REQUEST_MAX);
			if (nbd_pwrite(nbd_of(block),
				       (char *)iov[i].iov_base + at, len, off,
				       0))
				return result(-1);
			off += len;
		}
	return 0;
}

static int qcow2_flush(struct block *block)
{
	return result(nbd_flush(nbd_of(block), 0));
}

static int qcow2_discard(struct block *block, uint64_t off, uint64_t len)
{
	return result(nbd_trim(nbd_of(block), len, off, 0));
}

static int qcow2_zero(struct block *block, uint64_t off, uint64_t len,
		      bool unmap)
{
	return result(nbd_zero(nbd_of(block), len, off,
			       unmap ? 0 : LIBNBD_CMD_FLAG_NO_HOLE));
}

static void qcow2_close(struct block *block)
{
	struct qcow2 *qcow2 = container_of(block, struct qcow2, block);

	if (qcow2->nbd)
		nbd_shutdown(qcow2->nbd, 0);
	nbd_close(qcow2->nbd);	/* ends qemu-nbd, too */
	free(qcow2);
}

static const struct block_ops qcow2_ops = {
	.read = qcow2_read,
	.write = qcow2_write,
	.flush = qcow2_flush,
	.discard = qcow2_discard,
	.zero = qcow2_zero,
	.close = qcow2_close,
};

int block_qcow2_open(const struct block_config *config, struct block **block)
{
	char *argv[] = {
		"qemu-nbd", "--format=qcow2", "--discard=unmap",
		config->read_only ? "--read-only" : "--cache=writeback",
		(char *)config->path, NULL,
	};
	struct qcow2 *qcow2 = calloc(1, sizeof(*qcow2));
	int64_t size = -1;

	if (!qcow2)
		return -ENOMEM;
	qcow2->block.ops = &qcow2_ops;
	qcow2->nbd = nbd_create();
	if (qcow2->nbd && !nbd_connect_systemd_socket_activation(qcow2->nbd,
								 argv))
		size = nbd_get_size(qcow2->nbd);
	if (size < 0) {
		log_err("disk %s: qemu-nbd (Debian package qemu-utils) cannot "
			"serve it: %s", config->path, nbd_get_error());
		qcow2_close(&qcow2->block);
		return -EIO;
	}
	qcow2->block.size = (uint64_t)size;
	*block = &qcow2->block;
	return 0;
}
