/* SPDX-License-Identifier: Apache-2.0
 *
 * The capabilities in the JSON of a version message, both sides of it.
 */
#ifndef VFIO_USER_VERSION_H
#define VFIO_USER_VERSION_H

#include <stddef.h>
#include <stdint.h>

#include "base/util.h"
#include "vfio_user/protocol.h"

struct vfu_caps {
	uint64_t max_msg_fds;		/* descriptors in one message */
	uint64_t max_data_xfer_size;	/* bytes of one data transfer */
	uint64_t max_dma_maps;		/* ranges at a time */
	uint64_t pgsizes;		/* page sizes of ranges, or'ed */
	bool write_multiple;		/* REGION_WRITE_MULTI is known */
	/* Our own: registers may be in shared memory, pci/shared_regs.h. */
	bool shared_regs;
	/* Our own: the state of a function outlives a connection, for a client
	 * that names the session when it comes back. */
	bool has_session;		/* the name is there, may be empty */
	char session[VFU_SESSION_LEN + 1];
	uint64_t n_writes;		/* of the session, that the server has
					 * dealt with; VFU_N_WRITES_NONE: not
					 * said */
};

#define VFU_N_WRITES_NONE (~0ull)

/**
 * vfu_caps_init() - before the sandbox, and before the first parse
 *
 * The JSON library opens /dev/urandom for its first object; that is now.
 */
void vfu_caps_init(void);

/**
 * vfu_caps_parse() - read a version message's data
 * @len: with the NUL at its end; 0: there is none, the protocol's defaults hold
 * @caps: capabilities that are not named get the protocol's default
 *
 * Return: 0, -EINVAL (no JSON, no NUL, a member of the wrong type) or -ENOMEM.
 */
int must_check vfu_caps_parse(const char *data, size_t len,
			      struct vfu_caps *caps);

/**
 * vfu_caps_print() - the data of a version message, with its NUL
 * @size: of @buf; VFU_VERSION_JSON_MAX is plenty
 *
 * Return: bytes written.
 */
size_t vfu_caps_print(const struct vfu_caps *caps, char *buf, size_t size);

#endif
