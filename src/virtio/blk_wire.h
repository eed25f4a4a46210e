/* SPDX-License-Identifier: Apache-2.0
 *
 * What driver and device of a disk tell each other: VIRTIO 1.2, 5.2.
 */
#ifndef VIRTIO_BLK_WIRE_H
#define VIRTIO_BLK_WIRE_H

#include "base/byteorder.h"
#include "base/util.h"

enum {
	VIRTIO_ID_BLOCK = 2,

	/* Feature bits, by number. */
	VIRTIO_BLK_F_SEG_MAX = 2, VIRTIO_BLK_F_RO = 5,
	VIRTIO_BLK_F_BLK_SIZE = 6, VIRTIO_BLK_F_FLUSH = 9,
	VIRTIO_BLK_F_DISCARD = 13, VIRTIO_BLK_F_WRITE_ZEROES = 14,

	/* Types of requests. */
	VIRTIO_BLK_T_IN = 0, VIRTIO_BLK_T_OUT = 1, VIRTIO_BLK_T_FLUSH = 4,
	VIRTIO_BLK_T_GET_ID = 8, VIRTIO_BLK_T_DISCARD = 11,
	VIRTIO_BLK_T_WRITE_ZEROES = 13,

	/* How they end. */
	VIRTIO_BLK_S_OK = 0, VIRTIO_BLK_S_IOERR = 1, VIRTIO_BLK_S_UNSUPP = 2,

	VIRTIO_BLK_ID_LEN = 20,		/* of the serial number */
	VIRTIO_BLK_ZERO_UNMAP = BIT(0),	/* flag of a segment to be zeroed */
};

/* Device configuration. */
struct virtio_blk_config {
	le64 capacity;			/* in sectors */
	le32 size_max, seg_max;		/* of a request's pieces */
	uint8_t geometry[4];
	le32 blk_size;
	uint8_t topology[8];
	uint8_t writeback, unused0;
	le16 num_queues;
	le32 max_discard_sectors, max_discard_seg;
	le32 discard_sector_alignment;
	le32 max_write_zeroes_sectors, max_write_zeroes_seg;
	uint8_t write_zeroes_may_unmap, unused1[3];
};
_Static_assert(sizeof(struct virtio_blk_config) == 60, "blk configuration");

/* Head of a request. */
struct virtio_blk_header {
	le32 type;
	le32 reserved;
	le64 sector;
};
_Static_assert(sizeof(struct virtio_blk_header) == 16, "blk header");

/* What to discard or to zero. */
struct virtio_blk_segment {
	le64 sector;
	le32 n_sectors;
	le32 flags;
};
_Static_assert(sizeof(struct virtio_blk_segment) == 16, "blk segment");

#endif
