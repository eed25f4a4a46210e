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
#include "ctl/lab_value.h"
#include "nic/model.h"
#include "port/port.h"
#include "switch/mac_table.h"
#include "vmm/memory.h"
#include "vmm/vm.h"

#define TEXT_OF(number) TEXT_OF_WORD(number)
#define TEXT_OF_WORD(word) #word

static bool decode_mapping(struct decoder *d, const struct key *keys,
			   yaml_node_t *node, void *object);

/* Is it a list, and short enough?  *@n: its entries, none if it is empty. */
static bool check_list(struct decoder *d, const struct key *key,
		       yaml_node_t *node, unsigned int *n)
{
	size_t items;

	*n = 0;
	if (lab_is_empty(node))
		return true;
	if (node->type != YAML_SEQUENCE_NODE)
		return refuse(d, node, "expected %s, not %s", key->type,
			      lab_kind_of(node));
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
	return lab_path_push(d, "[", text);
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
		const char *text = lab_scalar(d, &one, item);

		if (!text)
			return false;
		if (!parse_address(text, &nic->addresses[i]))
			return refuse(d, item, "expected %s, not '%.64s'",
				      one.type, text);
		nic->n_addresses = i + 1;
		lab_path_pop(d, len);
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
		const char *text = lab_scalar(d, &one, item);

		if (!text)
			return false;
		if (!tap_name_ok(text))
			return refuse(d, item, "expected %s (at most %d characters), not '%.64s'",
				      one.type, LAB_TAP_NAME_MAX - 1, text);
		strcpy(net->taps[i], text);
		net->n_taps = i + 1;
		lab_path_pop(d, len);
	}
	return true;
}

static bool decode_cpus(struct decoder *d, const struct key *key,
			yaml_node_t *node, void *field)
{
	struct lab *lab = container_of(field, struct lab, cpus);
	unsigned int n;

	if (!check_list(d, key, node, &n))
		return false;
	for (unsigned int i = 0; i < n; i++) {
		const struct key one = {
			.type = "a processor's number", .max = LAB_CPUS_MAX - 1,
		};
		size_t len = path_push_idx(d, i);

		if (!decode_number(d, &one, list_item(d, node, i),
				   &lab->cpus[i]))
			return false;
		lab->n_cpus = i + 1;
		lab_path_pop(d, len);
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

		m->nics[i].line = lab_line_of(item);
		if (!decode_mapping(d, key->sub, item, &m->nics[i]))
			return false;
		m->n_nics = i + 1;
		lab_path_pop(d, len);
	}
	return true;
}

static bool decode_disks(struct decoder *d, const struct key *key,
			 yaml_node_t *node, void *field)
{
	struct lab_machine *m = container_of(field, struct lab_machine, disks);
	unsigned int n;

	if (!check_list(d, key, node, &n))
		return false;
	for (unsigned int i = 0; i < n; i++) {
		yaml_node_t *item = list_item(d, node, i);
		size_t len = path_push_idx(d, i);

		m->disks[i].line = lab_line_of(item);
		if (!decode_mapping(d, key->sub, item, &m->disks[i]))
			return false;
		m->n_disks = i + 1;
		lab_path_pop(d, len);
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
	if (lab_is_empty(node))
		return true;
	if (node->type != YAML_MAPPING_NODE)
		return refuse(d, node, "expected %s, not %s", key->type,
			      lab_kind_of(node));
	for (yaml_node_pair_t *p = node->data.mapping.pairs.start;
	     p < node->data.mapping.pairs.top; p++) {
		yaml_node_t *k = yaml_document_get_node(d->doc, p->key);
		yaml_node_t *v = yaml_document_get_node(d->doc, p->value);
		char name[LAB_NAME_MAX];
		size_t len;

		if (!decode_name(d, &(struct key){ .type = "a name" }, k, name))
			return false;
		len = lab_path_push(d, ".", name);
		if (key_repeated(d, node, p, name))
			return refuse(d, k, "is there twice");
		if (*n >= key->max)
			return refuse(d, k, "is one too many: at most %u are possible",
				      (unsigned int)key->max);
		if (!decode_mapping(d, key->sub, v,
				    slot(d->lab, *n, name, lab_line_of(k))))
			return false;
		++*n;
		lab_path_pop(d, len);
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
	  offsetof(struct lab_network, mac_table), 1, MAC_TABLE_MAX, false,
	  "8192", NULL, "How many addresses are learnt at most." },
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

static const struct key disk_keys[] = {
	{ "image", decode_path, "a file's path",
	  offsetof(struct lab_disk, image), 0, 0, true, NULL,
	  NULL, "Its contents; a file or block device." },
	{ "format", decode_format, "raw or qcow2",
	  offsetof(struct lab_disk, format), 0, 0, false, NULL,
	  NULL, "Of the image; qcow2 if that is how its name ends, else raw." },
	{ "read_only", decode_yes, "yes or no",
	  offsetof(struct lab_disk, read_only), 0, 0, false, "no",
	  NULL, "Whether the guest must not write it." },
	{ "slot", decode_number, "number",
	  offsetof(struct lab_disk, slot), VM_PC_SLOT_FIRST, VM_SLOT_LAST,
	  false, NULL, NULL, "PCI slot (board pc); the next free one from 5 on if not given." },
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
	  offsetof(struct lab_machine, vcpus), 1, VM_CPUS_MAX, false, "1",
	  NULL, "Virtual CPUs." },
	{ "memory", decode_size, "size",
	  offsetof(struct lab_machine, memory), VM_MEMORY_MIN, VM_MEMORY_MAX,
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
	{ "disks", decode_disks, "list of disks",
	  offsetof(struct lab_machine, disks), 0, LAB_DISKS_MAX, false, NULL,
	  disk_keys, "virtio-blk disks: vda, vdb and so on." },
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
	{ "workers", decode_number, "number",
	  offsetof(struct lab, n_workers), 1, LAB_WORKERS_MAX, false, "1",
	  NULL, "Threads of the NIC server, which share the ports among them." },
	{ "cpus", decode_cpus, "list of processors",
	  offsetof(struct lab, cpus), 0, LAB_WORKERS_MAX, false, NULL,
	  NULL, "Where each of those threads runs; anywhere if not given." },
	{ "poll_us", decode_number, "microseconds",
	  offsetof(struct lab, poll_us), 0, LAB_POLL_US_MAX, false,
	  TEXT_OF(LAB_POLL_US_DEFAULT),
	  NULL, "How long they poll after the last frame before they sleep." },
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

	if (node->type != YAML_MAPPING_NODE && !lab_is_empty(node))
		return refuse(d, node, "expected a mapping, not %s",
			      lab_kind_of(node));
	for (yaml_node_pair_t *p = lab_is_empty(node) ? NULL :
	     node->data.mapping.pairs.start;
	     p && p < node->data.mapping.pairs.top; p++) {
		yaml_node_t *k = yaml_document_get_node(d->doc, p->key);
		yaml_node_t *v = yaml_document_get_node(d->doc, p->value);
		const struct key any = { .type = "a key" };
		const char *name = lab_scalar(d, &any, k);
		const struct key *key;
		size_t len;

		if (!name)
			return false;
		len = lab_path_push(d, ".", name);
		key = find_key(keys, name);
		if (!key)
			return refuse_key(d, keys, k, name);
		if (seen & BIT(key - keys))
			return refuse(d, k, "is there twice");
		seen |= BIT(key - keys);
		if (!key->decode(d, key, v, (char *)object + key->offset))
			return false;
		lab_path_pop(d, len);
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
		return lab_refuse(d->error, d->lab->file, lab_line_of(root),
				  "expected a mapping with the keys 'name' and 'machines', not %s",
				  lab_kind_of(root));
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
			bool list = k->decode == decode_nics ||
				k->decode == decode_disks;

			strncat(path, list ? "[]." : ".NAME.",
				sizeof(path) - strlen(path) - 1);
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
