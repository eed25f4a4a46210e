/* SPDX-License-Identifier: Apache-2.0 */
#include "vfio_user/version.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <jansson.h>

/* The protocol's own defaults, for what the other side does not name. */
static const struct vfu_caps defaults = {
	.max_msg_fds = 1,
	.max_data_xfer_size = 1 << 20,
	.max_dma_maps = 65535,
	.pgsizes = 4096,
	.n_writes = VFU_N_WRITES_NONE,
};

static int get_number(const json_t *caps, const char *key, uint64_t *out)
{
	const json_t *v = json_object_get(caps, key);

	if (!v)
		return 0;
	if (!json_is_integer(v) || json_integer_value(v) < 0)
		return -EINVAL;
	*out = (uint64_t)json_integer_value(v);
	return 0;
}

static int get_bool(const json_t *caps, const char *key, bool *out)
{
	const json_t *v = json_object_get(caps, key);

	if (!v)
		return 0;
	if (!json_is_boolean(v))
		return -EINVAL;
	*out = json_is_true(v);
	return 0;
}

/* What is no name of ours, or too long for one, is as good as none. */
static int get_session(const json_t *caps, struct vfu_caps *out)
{
	const json_t *v = json_object_get(caps, "backplane_session");
	const char *name = json_string_value(v);

	if (!v)
		return 0;
	if (!name)
		return -EINVAL;
	out->has_session = true;
	if (strlen(name) <= VFU_SESSION_LEN &&
	    strspn(name, "0123456789abcdef") == strlen(name))
		strcpy(out->session, name);
	return 0;
}

static int read_caps(const json_t *root, struct vfu_caps *caps)
{
	const json_t *c = json_object_get(root, "capabilities");

	if (!json_is_object(root) || (c && !json_is_object(c)))
		return -EINVAL;
	if (get_number(c, "max_msg_fds", &caps->max_msg_fds) ||
	    get_number(c, "max_data_xfer_size", &caps->max_data_xfer_size) ||
	    get_number(c, "max_dma_maps", &caps->max_dma_maps) ||
	    get_number(c, "pgsizes", &caps->pgsizes) ||
	    get_bool(c, "write_multiple", &caps->write_multiple) ||
	    get_bool(c, "backplane_shared_registers", &caps->shared_regs) ||
	    get_session(c, caps) ||
	    get_number(c, "backplane_writes", &caps->n_writes))
		return -EINVAL;
	return 0;
}

void vfu_caps_init(void)
{
	json_object_seed(0);
}

int vfu_caps_parse(const char *data, size_t len, struct vfu_caps *caps)
{
	json_t *root;
	int err;

	*caps = defaults;
	if (!len)
		return 0;
	if (data[len - 1] != '\0')
		return -EINVAL;
	root = json_loadb(data, len - 1, 0, NULL);
	if (!root)
		return -EINVAL;
	err = read_caps(root, caps);
	json_decref(root);
	return err;
}

size_t vfu_caps_print(const struct vfu_caps *caps, char *buf, size_t size)
{
	char writes[48] = "";
	int n;

	if (caps->n_writes != VFU_N_WRITES_NONE)
		snprintf(writes, sizeof(writes), ",\"backplane_writes\":%llu",
			 (unsigned long long)caps->n_writes);
	n = snprintf(buf, size, "{\"capabilities\":{"
			 "\"max_msg_fds\":%llu,\"max_data_xfer_size\":%llu,"
			 "\"max_dma_maps\":%llu,\"pgsizes\":%llu%s%s%s%s%s%s}}",
			 (unsigned long long)caps->max_msg_fds,
			 (unsigned long long)caps->max_data_xfer_size,
			 (unsigned long long)caps->max_dma_maps,
			 (unsigned long long)caps->pgsizes,
			 caps->write_multiple ?
				",\"write_multiple\":true" : "",
			 caps->shared_regs ?
				",\"backplane_shared_registers\":true" : "",
			 caps->has_session ? ",\"backplane_session\":\"" : "",
			 caps->has_session ? caps->session : "",
			 caps->has_session ? "\"" : "", writes);

	return (size_t)n + 1;
}
