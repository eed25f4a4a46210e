/* SPDX-License-Identifier: Apache-2.0
 *
 * What a client learns of its device when it has connected.  The server is not
 * trusted: whatever makes no sense is as if it were not there.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vfio_user/client_internal.h"

static int look_up_region(struct vfu_client *c, uint32_t index)
{
	struct vfio_region_info info = {
		.argsz = sizeof(info), .index = index,
	};
	struct vfu_request r = {
		.command = VFU_GET_REGION_INFO, .fd = -1,
		.body = &info, .body_len = sizeof(info),
		.reply = &info, .reply_min = sizeof(info),
		.reply_max = sizeof(info),
	};
	int err = vfu_client_call(c, &r, NULL);

	if (!err)
		c->regions[index] = (struct vfu_region){
			info.size, info.flags,
		};
	return err;
}

static int add_doorbell(struct vfu_client *c, unsigned int index,
			const struct vfu_io_fd *sub, unsigned int first_fd)
{
	struct vfu_doorbell *bells;
	bool any_len = !sub->size;

	/* Others are written by messages. */
	if (sub->type != VFU_IO_FD_EVENTFD || sub->flags ||
	    sub->fd_index >= c->n_fds - first_fd ||
	    (!any_len && (sub->size > 8 || !is_power_of_two(sub->size))) ||
	    !range_within(sub->offset, any_len ? 1 : sub->size,
			  c->regions[index].size) ||
	    c->n_doorbells == VFU_CLIENT_DOORBELLS_MAX)
		return 0;
	bells = realloc(c->doorbells, (c->n_doorbells + 1) * sizeof(*bells));
	if (!bells)
		return -ENOMEM;
	c->doorbells = bells;
	bells[c->n_doorbells++] = (struct vfu_doorbell){
		.index = index, .fd = c->fds[first_fd + sub->fd_index],
		.off = sub->offset, .len = (uint32_t)sub->size,
	};
	return 0;
}

static int look_up_doorbells(struct vfu_client *c, uint32_t index)
{
	const size_t max = sizeof(struct vfu_region_io_fds) +
		VFU_CLIENT_DOORBELLS_MAX * sizeof(struct vfu_io_fd);
	uint8_t *reply = malloc(max);
	struct vfu_region_io_fds io = {
		.argsz = (uint32_t)max, .index = index,
	};
	struct vfu_request r = {
		.command = VFU_GET_REGION_IO_FDS, .fd = -1,
		.body = &io, .body_len = sizeof(io), .reply = reply,
		.reply_min = sizeof(io), .reply_max = max,
	};
	unsigned int first_fd = c->n_fds;
	size_t len;
	int err;

	if (!reply)
		return -ENOMEM;
	c->rx.want_fds = true;
	err = vfu_client_call(c, &r, &len);
	c->rx.want_fds = false;
	for (unsigned int i = 0; !err && i < c->rx.n_fds; i++) {
		c->fds[c->n_fds++] = c->rx.fds[i];
		c->rx.fds[i] = -1;
	}
	for (size_t at = sizeof(io); !err &&
	     range_within(at, sizeof(struct vfu_io_fd), len);
	     at += sizeof(struct vfu_io_fd)) {
		struct vfu_io_fd sub;

		memcpy(&sub, reply + at, sizeof(sub));
		if (sub.type == VFU_IO_FD_SHARED_REG &&
		    sub.fd_index < c->n_fds - first_fd)
			vfu_client_share(c, index, &sub,
					 c->fds[first_fd + sub.fd_index]);
		else
			err = add_doorbell(c, index, &sub, first_fd);
	}
	vfu_client_drop_fds(c);
	free(reply);
	return err;
}

static int look_up_irqs(struct vfu_client *c, uint32_t index)
{
	struct vfio_irq_info irq = { .argsz = sizeof(irq), .index = index };
	struct vfu_request r = {
		.command = VFU_GET_IRQ_INFO, .fd = -1,
		.body = &irq, .body_len = sizeof(irq), .reply = &irq,
		.reply_min = sizeof(irq), .reply_max = sizeof(irq),
	};
	int err = vfu_client_call(c, &r, NULL);

	if (!err)
		c->irqs[index] = irq.count;
	return err;
}

/* One the server knows nothing of is one that is not there. */
static int unless_unknown(int err)
{
	return err == -ENOTCONN || err == -ENOMEM ? err : 0;
}

int vfu_client_look_up(struct vfu_client *c)
{
	struct vfu_device_info info = { .argsz = sizeof(info) };
	struct vfu_request r = {
		.command = VFU_GET_INFO, .fd = -1,
		.body = &info, .body_len = sizeof(info),
		.reply = &info, .reply_min = sizeof(info),
		.reply_max = sizeof(info),
	};
	int err = vfu_client_call(c, &r, NULL);

	if (!err && !(info.flags & VFIO_DEVICE_FLAGS_PCI))
		err = -EPROTO;
	for (uint32_t i = 0; !err && i < min_of(info.n_regions,
				(uint32_t)VFIO_PCI_NUM_REGIONS); i++) {
		err = unless_unknown(look_up_region(c, i));
		if (!err && c->regions[i].size)
			err = unless_unknown(look_up_doorbells(c, i));
	}
	for (uint32_t i = 0; !err && i < min_of(info.n_irqs,
				(uint32_t)VFIO_PCI_NUM_IRQS); i++)
		err = unless_unknown(look_up_irqs(c, i));
	return err;
}
