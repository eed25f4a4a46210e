/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of a lab file, and what turns YAML into them.  Called by
 * lab_config.c; reads with libyaml, whose nodes know their line.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "ctl/lab_schema.h"
#include "nic/model.h"
#include "port/port.h"
#include "vmm/vm.h"

struct decoder {
	yaml_document_t *doc;		/* what is being read */
	struct lab *lab;		/* what is being filled in */
	struct lab_error *error;	/* why it was refused */
	char path[256];			/* of the current key: "machines.a" */
};

struct key;

/* Decode @node into @field; false: refused. */
typedef bool (*decode_fn)(struct decoder *d, const struct key *key,
			  yaml_node_t *node, void *field);

/* One key of a mapping. */
struct key {
	const char *name;	/* as written in the file; NULL ends a table */
	decode_fn decode;	/* its type */
	const char *type;	/* its type in words, for the reference */
	size_t offset;		/* of the field in the struct filled in */
	uint64_t min, max;	/* bounds, where the type has any */
	bool required;		/* refuse a mapping without it */
	const char *fallback;	/* value if not written; NULL: field stays 0 */
	const struct key *sub;	/* keys of what it contains */
	const char *help;	/* one sentence for the reference */
};

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

static unsigned int line_of(const yaml_node_t *node)
{
	return (unsigned int)node->start_mark.line + 1;
}

#define refuse(d, node, fmt, ...)					\
	lab_refuse((d)->error, (d)->lab->file, line_of(node),		\
		   "%s: " fmt, (d)->path, ##__VA_ARGS__)

/* Extend the path by a key or "[n]"; the old length, for path_pop(). */
static size_t path_push(struct decoder *d, const char *sep, const char *name)
{
	size_t len = strlen(d->path);

	snprintf(d->path + len, sizeof(d->path) - len, "%s%.64s%s",
		 *sep == '[' ? "[" : len ? sep : "", name,
		 *sep == '[' ? "]" : "");
	return len;
}

static void path_pop(struct decoder *d, size_t len)
{
	d->path[len] = '\0';
}

static const char *kind_of(const yaml_node_t *node)
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
static bool is_empty(const yaml_node_t *node)
{
	return node->type == YAML_SCALAR_NODE && !node->data.scalar.length &&
	       node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

/* The text of a scalar without NULs inside; NULL: refused. */
static const char *scalar(struct decoder *d, const struct key *key,
			  yaml_node_t *node)
{
	const char *text;

	if (node->type != YAML_SCALAR_NODE) {
		refuse(d, node, "expected %s, not %s", key->type,
		       kind_of(node));
		return NULL;
	}
	text = (const char *)node->data.scalar.value;
	if (strlen(text) != node->data.scalar.length) {
		refuse(d, node, "has a NUL byte in it");
		return NULL;
	}
	return text;
}

static bool decode_name(struct decoder *d, const struct key *key,
			yaml_node_t *node, void *field)
{
	const char *text = scalar(d, key, node);

	if (!text)
		return false;
	if (!lab_name_ok(text))
		return refuse(d, node, "expected a name (a-z, 0-9 and '-', at most %d characters), not '%.64s'",
			      LAB_NAME_MAX - 1, text);
	strcpy(field, text);
	return true;
}

static bool decode_number(struct decoder *d, const struct key *key,
			  yaml_node_t *node, void *field)
{
	const char *text = scalar(d, key, node);
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

static bool decode_size(struct decoder *d, const struct key *key,
			yaml_node_t *node, void *field)
{
	const char *text = scalar(d, key, node);
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
	*(uint64_t *)field = v;
	return true;
}

/* A path, made absolute: relative ones start where the lab file is. */
static bool decode_path(struct decoder *d, const struct key *key,
			yaml_node_t *node, void *field)
{
	const char *text = scalar(d, key, node);
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

static bool decode_text(struct decoder *d, const struct key *key,
			yaml_node_t *node, void *field)
{
	const char *text = scalar(d, key, node);

	if (!text)
		return false;
	if (strlen(text) > key->max || strpbrk(text, "\n\r"))
		return refuse(d, node, "expected one line of at most %u characters",
			      (unsigned int)key->max);
	strcpy(field, text);
	return true;
}

static bool decode_mac(struct decoder *d, const struct key *key,
		       yaml_node_t *node, void *field)
{
	const char *text = scalar(d, key, node);
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

static bool decode_model(struct decoder *d, const struct key *key,
			 yaml_node_t *node, void *field)
{
	const char *text = scalar(d, key, node);
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
	const char *text = scalar(d, key, node);

	if (!text)
		return false;
	*field = !strcmp(text, yes);
	return *field || !strcmp(text, no) ||
	       refuse(d, node, "expected %s, not '%.64s'", key->type, text);
}

static bool decode_caps(struct decoder *d, const struct key *key,
			yaml_node_t *node, void *field)
{
	return decode_either(d, key, node, field, "qemu", "full");
}

static bool decode_board(struct decoder *d, const struct key *key,
			 yaml_node_t *node, void *field)
{
	const char *text = scalar(d, key, node);

	if (!text)
		return false;
	return vm_board_find(text, field) ||
	       refuse(d, node, "expected %s, not '%.64s'", key->type, text);
}

static bool decode_yes(struct decoder *d, const struct key *key,
		       yaml_node_t *node, void *field)
{
	return decode_either(d, key, node, field, "no", "yes");
}

static bool decode_link(struct decoder *d, const struct key *key,
			yaml_node_t *node, void *field)
{
	return decode_either(d, key, node, field, "down", "up");
}

static bool decode_mapping(struct decoder *d, const struct key *keys,
			   yaml_node_t *node, void *object);

/* The i-th item of a list that is there and short enough; NULL: refused. */
static bool check_list(struct decoder *d, const struct key *key,
		       yaml_node_t *node, unsigned int *n)
{
	size_t items;

	*n = 0;
	if (is_empty(node))
		return true;
	if (node->type != YAML_SEQUENCE_NODE)
		return refuse(d, node, "expected %s, not %s", key->type,
			      kind_of(node));
	items = (size_t)(node->data.sequence.items.top -
			 node->data.sequence.items.start);
	if (items > key->max)
		return refuse(d, node, "has %zu entries, at most %u are possible",
			      items, (unsigned int)key->max);
	*n = (unsigned int)items;
	return true;
}

static yaml_node_t *list_item(struct decoder *d, yaml_node_t *list,
			      unsigned int i)
{
	return yaml_document_get_node(d->doc,
				      list->data.sequence.items.start[i]);
}

static size_t path_push_idx(struct decoder *d, unsigned int i)
{
	char text[12];

	snprintf(text, sizeof(text), "%u", i);
	return path_push(d, "[", text);
}

/* Does an address make sense as that of a host? */
static bool address_is_host(const struct lab_address *a)
{
	static const uint8_t zero[16];

	if (a->family == AF_INET)
		return a->bytes[0] && a->bytes[0] < 224;
	return memcmp(a->bytes, zero, sizeof(zero)) && a->bytes[0] != 0xff;
}

static bool parse_address(const char *text, struct lab_address *a)
{
	char host[LAB_ADDRESS_TEXT_MAX];
	const char *slash = strchr(text, '/');
	unsigned long prefix_len;
	char *end;

	if (strlen(text) >= sizeof(a->text) || !slash ||
	    slash[1] < '0' || slash[1] > '9')
		return false;
	snprintf(host, sizeof(host), "%.*s", (int)(slash - text), text);
	a->family = strchr(host, ':') ? AF_INET6 : AF_INET;
	prefix_len = strtoul(slash + 1, &end, 10);
	if (*end || prefix_len < 1 ||
	    prefix_len > (a->family == AF_INET ? 32 : 128) ||
	    inet_pton(a->family, host, a->bytes) != 1)
		return false;
	a->prefix_len = (unsigned int)prefix_len;
	strcpy(a->text, text);
	return address_is_host(a);
}

static bool decode_addresses(struct decoder *d, const struct key *key,
			     yaml_node_t *node, void *field)
{
	struct lab_nic *nic = container_of(field, struct lab_nic, addresses);
	unsigned int n;

	if (!check_list(d, key, node, &n))
		return false;
	for (unsigned int i = 0; i < n; i++) {
		yaml_node_t *item = list_item(d, node, i);
		size_t len = path_push_idx(d, i);
		const struct key one = {
			.type = "an address such as 10.0.0.1/24 or fd00::1/64",
		};
		const char *text = scalar(d, &one, item);

		if (!text)
			return false;
		if (!parse_address(text, &nic->addresses[i]))
			return refuse(d, item, "expected %s, not '%.64s'",
				      one.type, text);
		nic->n_addresses = i + 1;
		path_pop(d, len);
	}
	return true;
}

/* As the kernel's dev_valid_name() sees it. */
static bool tap_name_ok(const char *name)
{
	size_t len = strlen(name);

	return len && len < LAB_TAP_NAME_MAX && strcmp(name, ".") &&
	       strcmp(name, "..") && !strpbrk(name, "/: \t\n\v\f\r%");
}

static bool decode_taps(struct decoder *d, const struct key *key,
			yaml_node_t *node, void *field)
{
	struct lab_network *net = container_of(field, struct lab_network, taps);
	unsigned int n;

	if (!check_list(d, key, node, &n))
		return false;
	for (unsigned int i = 0; i < n; i++) {
		yaml_node_t *item = list_item(d, node, i);
		size_t len = path_push_idx(d, i);
		const struct key one = { .type = "a tap interface's name" };
		const char *text = scalar(d, &one, item);

		if (!text)
			return false;
		if (!tap_name_ok(text))
			return refuse(d, item, "expected %s (at most %d characters), not '%.64s'",
				      one.type, LAB_TAP_NAME_MAX - 1, text);
		strcpy(net->taps[i], text);
		net->n_taps = i + 1;
		path_pop(d, len);
	}
	return true;
}

static bool decode_nics(struct decoder *d, const struct key *key,
			yaml_node_t *node, void *field)
{
	struct lab_machine *m = container_of(field, struct lab_machine, nics);
	unsigned int n;

	if (!check_list(d, key, node, &n))
		return false;
	for (unsigned int i = 0; i < n; i++) {
		yaml_node_t *item = list_item(d, node, i);
		size_t len = path_push_idx(d, i);

		m->nics[i].line = line_of(item);
		if (!decode_mapping(d, key->sub, item, &m->nics[i]))
			return false;
		m->n_nics = i + 1;
		path_pop(d, len);
	}
	return true;
}

/* Is there the same key earlier in the mapping? */
static bool key_repeated(struct decoder *d, const yaml_node_t *mapping,
			 const yaml_node_pair_t *pair, const char *name)
{
	for (yaml_node_pair_t *p = mapping->data.mapping.pairs.start;
	     p < pair; p++) {
		yaml_node_t *k = yaml_document_get_node(d->doc, p->key);

		if (k->type == YAML_SCALAR_NODE &&
		    !strcmp((const char *)k->data.scalar.value, name))
			return true;
	}
	return false;
}

/* A mapping from names to objects of one kind: machines, networks. */
static bool decode_named(struct decoder *d, const struct key *key,
			 yaml_node_t *node, unsigned int *n,
			 void *(*slot)(struct lab *lab, unsigned int i,
				       const char *name, unsigned int line))
{
	if (is_empty(node))
		return true;
	if (node->type != YAML_MAPPING_NODE)
		return refuse(d, node, "expected %s, not %s", key->type,
			      kind_of(node));
	for (yaml_node_pair_t *p = node->data.mapping.pairs.start;
	     p < node->data.mapping.pairs.top; p++) {
		yaml_node_t *k = yaml_document_get_node(d->doc, p->key);
		yaml_node_t *v = yaml_document_get_node(d->doc, p->value);
		char name[LAB_NAME_MAX];
		size_t len;

		if (!decode_name(d, &(struct key){ .type = "a name" }, k, name))
			return false;
		len = path_push(d, ".", name);
		if (key_repeated(d, node, p, name))
			return refuse(d, k, "is there twice");
		if (*n >= key->max)
			return refuse(d, k, "is one too many: at most %u are possible",
				      (unsigned int)key->max);
		if (!decode_mapping(d, key->sub, v,
				    slot(d->lab, *n, name, line_of(k))))
			return false;
		++*n;
		path_pop(d, len);
	}
	return true;
}

static void *machine_slot(struct lab *lab, unsigned int i, const char *name,
			  unsigned int line)
{
	strcpy(lab->machines[i].name, name);
	lab->machines[i].line = line;
	return &lab->machines[i];
}

static void *network_slot(struct lab *lab, unsigned int i, const char *name,
			  unsigned int line)
{
	strcpy(lab->networks[i].name, name);
	lab->networks[i].line = line;
	return &lab->networks[i];
}

static bool decode_machines(struct decoder *d, const struct key *key,
			    yaml_node_t *node, void *field unused)
{
	return decode_named(d, key, node, &d->lab->n_machines, machine_slot);
}

static bool decode_networks(struct decoder *d, const struct key *key,
			    yaml_node_t *node, void *field unused)
{
	return decode_named(d, key, node, &d->lab->n_networks, network_slot);
}

static const struct key network_keys[] = {
	{ "ageing", decode_number, "seconds",
	  offsetof(struct lab_network, ageing_s), 1, 1000000, false, "300",
	  NULL, "How long an address stays learnt after it was last seen." },
	{ "mac_table", decode_number, "number",
	  offsetof(struct lab_network, mac_table), 1, 1000000, false, "8192",
	  NULL, "How many addresses are learnt at most." },
	{ "taps", decode_taps, "list of tap interfaces",
	  offsetof(struct lab_network, taps), 0, LAB_TAPS_MAX, false, NULL,
	  NULL, "Host interfaces joined to the network; made if not there." },
	{ 0 },
};

static const struct key nic_keys[] = {
	{ "network", decode_name, "name of a network",
	  offsetof(struct lab_nic, network), 0, 0, true, NULL,
	  NULL, "What its cable is plugged into." },
	{ "model", decode_model, "a NIC model",
	  offsetof(struct lab_nic, model), 0, 0, false, "e1000",
	  NULL, "The hardware that the guest sees." },
	{ "caps", decode_caps, "qemu or full",
	  offsetof(struct lab_nic, full_caps), 0, 0, false, "qemu",
	  NULL, "PCI capabilities: those of QEMU's model, or the chip's (power management, MSI)." },
	{ "queues", decode_number, "number", offsetof(struct lab_nic, queues),
	  1, PORT_QUEUES_MAX, false, "1", NULL, "Pairs of queues (model virtio-net)." },
	{ "mtu", decode_number, "number", offsetof(struct lab_nic, mtu),
	  68, UINT16_MAX, false, NULL, NULL, "MTU that the guest's driver is told (model virtio-net)." },
	{ "mac", decode_mac, "an address such as 52:54:00:12:34:56",
	  offsetof(struct lab_nic, mac), 0, 0, false, NULL,
	  NULL, "Factory address; made from the names of lab and machine if not given." },
	{ "addresses", decode_addresses, "list of addresses",
	  offsetof(struct lab_nic, addresses), 0, LAB_ADDRESSES_MAX, false,
	  NULL, NULL, "IPv4 and IPv6 addresses with prefix length, set by the guest's init." },
	{ "link", decode_link, "up or down", offsetof(struct lab_nic, link_up),
	  0, 0, false, "up", NULL, "Whether the cable is plugged in at the start." },
	{ "plugged", decode_yes, "yes or no",
	  offsetof(struct lab_nic, plugged), 0, 0, false, "yes",
	  NULL, "Whether the card is in its slot at the start; `backplane attach` plugs it in (board pcie)." },
	{ "slot", decode_number, "number", offsetof(struct lab_nic, slot),
	  1, VM_PORTS_MAX, false, NULL, NULL, "PCI slot (pc: 2 to 31) or root port (pcie); the next free one if not given." },
	{ "bridge", decode_number, "number", offsetof(struct lab_nic, bridge),
	  1, VM_BRIDGES_MAX, false, NULL, NULL, "Behind which conventional PCI bridge; none if not given." },
	{ 0 },
};

static const struct key machine_keys[] = {
	{ "board", decode_board, "pc or pcie",
	  offsetof(struct lab_machine, board), 0, 0, false, "pc",
	  NULL, "pc: 440FX and conventional PCI; pcie: Q35 and PCI Express, where NICs can be plugged in and out." },
	{ "spare_ports", decode_number, "number",
	  offsetof(struct lab_machine, spare_ports), 0, VM_PORTS_MAX, false,
	  "4", NULL, "Root ports without a card (board pcie)." },
	{ "vcpus", decode_number, "number",
	  offsetof(struct lab_machine, vcpus), 1, 16, false, "1",
	  NULL, "Virtual CPUs." },
	{ "memory", decode_size, "size",
	  offsetof(struct lab_machine, memory), LAB_MEMORY_MIN, LAB_MEMORY_MAX,
	  false, "256M", NULL, "RAM, in M or G (powers of 1024)." },
	{ "kernel", decode_path, "a file's path",
	  offsetof(struct lab_machine, kernel), 0, 0, false, NULL,
	  NULL, "Kernel to boot, an ELF file or a bzImage; the project's guest image if not given." },
	{ "initrd", decode_path, "a file's path",
	  offsetof(struct lab_machine, initrd), 0, 0, false, NULL,
	  NULL, "Its initramfs; with a kernel of your own, none if not given." },
	{ "append", decode_text, "text",
	  offsetof(struct lab_machine, append), 0, LAB_APPEND_MAX - 1, false,
	  NULL, NULL, "Further words for the kernel command line." },
	{ "nics", decode_nics, "list of NICs",
	  offsetof(struct lab_machine, nics), 0, LAB_NICS_MAX, false, NULL,
	  nic_keys, "Network cards, in the order of their PCI slots." },
	{ 0 },
};

static const struct key lab_keys[] = {
	{ "name", decode_name, "name",
	  offsetof(struct lab, name), 0, 0, true, NULL,
	  NULL, "What the lab is called; one lab of a name runs at a time." },
	{ "networks", decode_networks, "mapping from names to networks",
	  0, 0, LAB_NETWORKS_MAX, false, NULL,
	  network_keys, "Each is an Ethernet switch." },
	{ "machines", decode_machines, "mapping from names to machines",
	  0, 0, LAB_MACHINES_MAX, true, NULL,
	  machine_keys, "The virtual machines." },
	{ 0 },
};

/* How far two words are apart: letters to change, insert or leave out. */
static unsigned int word_distance(const char *a, const char *b)
{
	size_t a_len = strlen(a), b_len = strlen(b);
	unsigned int row[33];

	if (b_len >= ARRAY_SIZE(row) || a_len >= ARRAY_SIZE(row))
		return UINT_MAX;
	for (unsigned int j = 0; j <= b_len; j++)
		row[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		unsigned int diagonal = row[0];

		row[0] = (unsigned int)i;
		for (size_t j = 1; j <= b_len; j++) {
			unsigned int change = diagonal + (a[i - 1] != b[j - 1]);
			unsigned int skip = min_of(row[j], row[j - 1]) + 1;

			diagonal = row[j];
			row[j] = min_of(change, skip);
		}
	}
	return row[b_len];
}

static bool refuse_key(struct decoder *d, const struct key *keys,
		       yaml_node_t *node, const char *name)
{
	const struct key *nearest = NULL;
	unsigned int best = 3;		/* further is no mistyping */
	char all[256] = "";
	size_t len = 0;

	for (const struct key *k = keys; k->name; k++) {
		unsigned int distance = word_distance(name, k->name);

		if (distance < best) {
			best = distance;
			nearest = k;
		}
		len += (size_t)snprintf(all + len, sizeof(all) - len, "%s%s",
					k == keys ? "" : ", ", k->name);
	}
	if (nearest)
		return refuse(d, node, "there is no such key; did you mean '%s'?",
			      nearest->name);
	return refuse(d, node, "there is no such key; expected one of %s", all);
}

/* A value that was not written: refuse, or decode the default. */
static bool decode_missing(struct decoder *d, const struct key *key,
			   yaml_node_t *mapping, void *object)
{
	yaml_node_t fallback;

	if (key->required)
		return refuse(d, mapping, "the key '%s' (%s) is missing",
			      key->name, key->type);
	if (!key->fallback)
		return true;
	fallback = (yaml_node_t){
		.type = YAML_SCALAR_NODE,
		.start_mark = mapping->start_mark,
		.data.scalar = {
			.value = (yaml_char_t *)key->fallback,
			.length = strlen(key->fallback),
		},
	};
	return key->decode(d, key, &fallback, (char *)object + key->offset);
}

static const struct key *find_key(const struct key *keys, const char *name)
{
	for (const struct key *k = keys; k->name; k++)
		if (!strcmp(k->name, name))
			return k;
	return NULL;
}

static bool decode_mapping(struct decoder *d, const struct key *keys,
			   yaml_node_t *node, void *object)
{
	uint32_t seen = 0;

	if (node->type != YAML_MAPPING_NODE && !is_empty(node))
		return refuse(d, node, "expected a mapping, not %s",
			      kind_of(node));
	for (yaml_node_pair_t *p = is_empty(node) ? NULL :
	     node->data.mapping.pairs.start;
	     p && p < node->data.mapping.pairs.top; p++) {
		yaml_node_t *k = yaml_document_get_node(d->doc, p->key);
		yaml_node_t *v = yaml_document_get_node(d->doc, p->value);
		const struct key any = { .type = "a key" };
		const char *name = scalar(d, &any, k);
		const struct key *key;
		size_t len;

		if (!name)
			return false;
		len = path_push(d, ".", name);
		key = find_key(keys, name);
		if (!key)
			return refuse_key(d, keys, k, name);
		if (seen & BIT(key - keys))
			return refuse(d, k, "is there twice");
		seen |= BIT(key - keys);
		if (!key->decode(d, key, v, (char *)object + key->offset))
			return false;
		path_pop(d, len);
	}
	for (const struct key *k = keys; k->name; k++)
		if (!(seen & BIT(k - keys)) &&
		    !decode_missing(d, k, node, object))
			return false;
	return true;
}

static bool decode_document(struct decoder *d)
{
	yaml_node_t *root = yaml_document_get_root_node(d->doc);

	if (!root)
		return lab_refuse(d->error, d->lab->file, 1,
				  "the file is empty; expected the keys 'name' and 'machines'");
	if (root->type != YAML_MAPPING_NODE)
		return lab_refuse(d->error, d->lab->file, line_of(root),
				  "expected a mapping with the keys 'name' and 'machines', not %s",
				  kind_of(root));
	strcpy(d->path, "");
	return decode_mapping(d, lab_keys, root, d->lab);
}

bool lab_decode(struct lab *lab, const char *text, size_t len,
		struct lab_error *error)
{
	struct decoder d = { .lab = lab, .error = error };
	yaml_document_t doc;
	yaml_parser_t parser;
	bool ok = false;

	if (!yaml_parser_initialize(&parser))
		return lab_refuse(error, lab->file, 1, "out of memory");
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	if (yaml_parser_load(&parser, &doc)) {
		d.doc = &doc;
		ok = decode_document(&d);
		yaml_document_delete(&doc);
	} else {
		lab_refuse(error, lab->file,
			   (unsigned int)parser.problem_mark.line + 1,
			   "not YAML: %s", parser.problem ? parser.problem :
			   "out of memory");
	}
	yaml_parser_delete(&parser);
	return ok;
}

static void print_keys(FILE *out, const struct key *keys, const char *prefix)
{
	for (const struct key *k = keys; k->name; k++) {
		char path[128];

		snprintf(path, sizeof(path), "%s%s", prefix, k->name);
		fprintf(out, "| `%s` | %s | %s | %s |\n", path, k->type,
			k->required ? "required" :
			k->fallback ? k->fallback : "-", k->help);
		if (k->sub) {
			strncat(path, k->decode == decode_nics ? "[]." :
				".NAME.", sizeof(path) - strlen(path) - 1);
			print_keys(out, k->sub, path);
		}
	}
}

void lab_schema_print(FILE *out)
{
	fputs("| key | type | default | meaning |\n| --- | --- | --- | --- |\n",
	      out);
	print_keys(out, lab_keys, "");
}
