/* SPDX-License-Identifier: Apache-2.0
 *
 * The single values of a lab file: from a YAML node to a field, or a sentence
 * that says what was expected; see lab_value.h.
 */
#include "ctl/lab_value.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "nic/model.h"
#include "vmm/board.h"

bool lab_refuse(struct lab_error *error, const char *file, unsigned int line,
		const char *fmt, ...)
{
	va_list args;
	int n;

	n = snprintf(error->text, sizeof(error->text), "%s:%u: ", file, line);
	if (n < 0 || (size_t)n >= sizeof(error->text))
		return false;
	va_start(args, fmt);
	vsnprintf(error->text + n, sizeof(error->text) - (size_t)n, fmt, args);
	va_end(args);
	return false;
}

unsigned int lab_line_of(const yaml_node_t *node)
{
	return (unsigned int)node->start_mark.line + 1;
}

/* Extend the path by a key or "[n]"; the old length, for lab_path_pop(). */
size_t lab_path_push(struct decoder *d, const char *sep, const char *name)
{
	size_t len = strlen(d->path);

	snprintf(d->path + len, sizeof(d->path) - len, "%s%.64s%s",
		 *sep == '[' ? "[" : len ? sep : "", name,
		 *sep == '[' ? "]" : "");
	return len;
}

void lab_path_pop(struct decoder *d, size_t len)
{
	d->path[len] = '\0';
}

const char *lab_kind_of(const yaml_node_t *node)
{
	switch (node->type) {
	case YAML_MAPPING_NODE:
		return "a mapping";
	case YAML_SEQUENCE_NODE:
		return "a list";
	default:
		return "a value";
	}
}

/* `key:` with nothing behind it. */
bool lab_is_empty(const yaml_node_t *node)
{
	return node->type == YAML_SCALAR_NODE && !node->data.scalar.length &&
	       node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

/* The text of a scalar without NULs inside; NULL: refused. */
const char *lab_scalar(struct decoder *d, const struct key *key,
		       yaml_node_t *node)
{
	const char *text;

	if (node->type != YAML_SCALAR_NODE) {
		refuse(d, node, "expected %s, not %s", key->type,
		       lab_kind_of(node));
		return NULL;
	}
	text = (const char *)node->data.scalar.value;
	if (strlen(text) != node->data.scalar.length) {
		refuse(d, node, "has a NUL byte in it");
		return NULL;
	}
	return text;
}

bool decode_name(struct decoder *d, const struct key *key,
		 yaml_node_t *node, void *field)
{
	const char *text = lab_scalar(d, key, node);

	if (!text)
		return false;
	if (!lab_name_ok(text))
		return refuse(d, node, "expected a name (a-z, 0-9 and '-', at most %d characters), not '%.64s'",
			      LAB_NAME_MAX - 1, text);
	strcpy(field, text);
	return true;
}

bool decode_number(struct decoder *d, const struct key *key,
		   yaml_node_t *node, void *field)
{
	const char *text = lab_scalar(d, key, node);
	unsigned long v;
	char *end;

	if (!text)
		return false;
	errno = 0;
	v = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno ||
	    v < key->min || v > key->max)
		return refuse(d, node, "expected a number from %lu to %lu, not '%.64s'",
			      (unsigned long)key->min, (unsigned long)key->max,
			      text);
	*(unsigned int *)field = (unsigned int)v;
	return true;
}

bool decode_size(struct decoder *d, const struct key *key,
		 yaml_node_t *node, void *field)
{
	const char *text = lab_scalar(d, key, node);
	unsigned long long v;
	unsigned int shift;
	char *end;

	if (!text)
		return false;
	errno = 0;
	v = strtoull(text, &end, 10);
	shift = !strcmp(end, "M") ? 20 : !strcmp(end, "G") ? 30 : 0;
	if (*text < '0' || *text > '9' || !shift || errno ||
	    v > key->max >> shift)
		return refuse(d, node, "expected a size such as 512M or 2G, at most %lluG, not '%.64s'",
			      (unsigned long long)key->max >> 30, text);
	v <<= shift;
	if (v < key->min)
		return refuse(d, node, "is too small: expected at least %lluM, not '%.64s'",
			      (unsigned long long)key->min >> 20, text);
	if (v % VM_MEMORY_ALIGN)
		return refuse(d, node, "expected a multiple of %lluM, not '%.64s'",
			      VM_MEMORY_ALIGN >> 20, text);
	*(uint64_t *)field = v;
	return true;
}

/* A path, made absolute: relative ones start where the lab file is. */
bool decode_path(struct decoder *d, const struct key *key,
		 yaml_node_t *node, void *field)
{
	const char *text = lab_scalar(d, key, node);
	const char *slash = strrchr(d->lab->file, '/');
	int dir_len = 0, n;

	if (!text)
		return false;
	if (!*text)
		return refuse(d, node, "expected %s, not nothing", key->type);
	if (*text != '/' && slash)
		dir_len = (int)(slash - d->lab->file) + 1;
	n = snprintf(field, LAB_PATH_MAX, "%.*s%s", dir_len, d->lab->file,
		     text);
	if (n < 0 || n >= LAB_PATH_MAX)
		return refuse(d, node, "is too long for a path");
	return true;
}

bool decode_text(struct decoder *d, const struct key *key,
		 yaml_node_t *node, void *field)
{
	const char *text = lab_scalar(d, key, node);

	if (!text)
		return false;
	if (strlen(text) > key->max || strpbrk(text, "\n\r"))
		return refuse(d, node, "expected one line of at most %u characters",
			      (unsigned int)key->max);
	strcpy(field, text);
	return true;
}

bool decode_mac(struct decoder *d, const struct key *key,
		yaml_node_t *node, void *field)
{
	const char *text = lab_scalar(d, key, node);
	struct lab_nic *nic = container_of(field, struct lab_nic, mac);
	static const uint8_t zero[6];
	int end = 0;

	if (!text)
		return false;
	if (sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &nic->mac[0],
		   &nic->mac[1], &nic->mac[2], &nic->mac[3], &nic->mac[4],
		   &nic->mac[5], &end) != 6 || end != 17 || text[end] ||
	    strspn(text, "0123456789abcdefABCDEF:") != 17)
		return refuse(d, node, "expected %s, not '%.64s'", key->type,
			      text);
	if ((nic->mac[0] & 1) || !memcmp(nic->mac, zero, sizeof(zero)))
		return refuse(d, node, "expected the address of one NIC, not a multicast or zero one: '%s'",
			      text);
	nic->has_mac = true;
	return true;
}

bool decode_model(struct decoder *d, const struct key *key,
		  yaml_node_t *node, void *field)
{
	const char *text = lab_scalar(d, key, node);
	char known[256] = "";
	size_t len = 0;

	if (!text)
		return false;
	if (nic_model_find(text) && strlen(text) < LAB_MODEL_MAX) {
		strcpy(field, text);
		return true;
	}
	for (unsigned int i = 0; nic_model_at(i) && len < sizeof(known); i++)
		len += (size_t)snprintf(known + len, sizeof(known) - len,
					"%s%s", i ? ", " : "",
					nic_model_at(i)->name);
	return refuse(d, node, "expected one of %s, not '%.64s'", known, text);
}

/* One of two words; *@field: is it @yes? */
static bool decode_either(struct decoder *d, const struct key *key,
			  yaml_node_t *node, bool *field, const char *no,
			  const char *yes)
{
	const char *text = lab_scalar(d, key, node);

	if (!text)
		return false;
	*field = !strcmp(text, yes);
	return *field || !strcmp(text, no) ||
	       refuse(d, node, "expected %s, not '%.64s'", key->type, text);
}

bool decode_caps(struct decoder *d, const struct key *key,
		 yaml_node_t *node, void *field)
{
	return decode_either(d, key, node, field, "qemu", "full");
}

bool decode_board(struct decoder *d, const struct key *key,
		  yaml_node_t *node, void *field)
{
	const char *text = lab_scalar(d, key, node);

	if (!text)
		return false;
	return vm_board_find(text, field) ||
	       refuse(d, node, "expected %s, not '%.64s'", key->type, text);
}

bool decode_yes(struct decoder *d, const struct key *key,
		yaml_node_t *node, void *field)
{
	return decode_either(d, key, node, field, "no", "yes");
}

bool decode_link(struct decoder *d, const struct key *key,
		 yaml_node_t *node, void *field)
{
	return decode_either(d, key, node, field, "down", "up");
}

bool decode_format(struct decoder *d, const struct key *key,
		   yaml_node_t *node, void *field)
{
	const char *text = lab_scalar(d, key, node);

	if (!text)
		return false;
	if (strcmp(text, "raw") && strcmp(text, "qcow2"))
		return refuse(d, node, "expected %s, not '%.64s'", key->type,
			      text);
	strcpy(field, text);
	return true;
}
