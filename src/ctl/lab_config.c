/* SPDX-License-Identifier: Apache-2.0
 *
 * Labs as a whole: reads the file, lets lab_schema.c decode it, and checks what
 * no single value shows: networks that exist, addresses that are unique.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/lab_config.h"
#include "ctl/lab_schema.h"
#include "ctl/lab_slots.h"
#include "nic/model.h"

/* A lab file is read whole; a larger one is not a lab file. */
enum { LAB_FILE_MAX = 1 << 20 };

bool lab_name_ok(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
	size_t len = strlen(name);

	return len && len < LAB_NAME_MAX && strspn(name, letters) == len &&
	       name[0] != '-' && name[len - 1] != '-';
}

int lab_network_idx(const struct lab *lab, const char *name)
{
	for (unsigned int i = 0; i < lab->n_networks; i++)
		if (!strcmp(lab->networks[i].name, name))
			return (int)i;
	return -1;
}

int lab_port_name(const struct lab_machine *machine, unsigned int nic_idx,
		  char *buf, size_t buf_len)
{
	return snprintf(buf, buf_len, "%s.%u", machine->name, nic_idx);
}

int lab_nic_socket(const char *run_dir, const struct lab_machine *machine,
		   unsigned int nic_idx, char buf[LAB_SOCKET_MAX])
{
	int n = snprintf(buf, LAB_SOCKET_MAX, "%s/nic-%s.%u.sock", run_dir,
			 machine->name, nic_idx);

	return n < 0 || n >= LAB_SOCKET_MAX ? -ENAMETOOLONG : 0;
}

void lab_mac_text(const uint8_t mac[6], char buf[18])
{
	snprintf(buf, 18, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1],
		 mac[2], mac[3], mac[4], mac[5]);
}

int lab_cmdline(const struct lab_machine *machine, char buf[LAB_CMDLINE_MAX])
{
	size_t len = 0;

#define add(...) do {							\
	len += (size_t)snprintf(buf + len, LAB_CMDLINE_MAX - len,	\
				__VA_ARGS__);				\
	if (len >= LAB_CMDLINE_MAX)					\
		return -E2BIG;						\
} while (0)
	add("backplane.hostname=%s", machine->name);
	for (unsigned int i = 0; i < machine->n_nics; i++) {
		const struct lab_nic *nic = &machine->nics[i];
		char mac[18];

		lab_mac_text(nic->mac, mac);
		add(" backplane.net=%s=", mac);
		for (unsigned int j = 0; j < nic->n_addresses; j++)
			add("%s%s", j ? "," : "", nic->addresses[j].text);
		if (!nic->n_addresses)
			add("up");
	}
	if (*machine->append)
		add(" %s", machine->append);
#undef add
	return 0;
}

/* Every NIC but @except (or NULL) that has a MAC already. */
static bool mac_taken(const struct lab *lab, const struct lab_nic *except,
		      const uint8_t mac[6])
{
	for (unsigned int i = 0; i < lab->n_machines; i++) {
		const struct lab_machine *m = &lab->machines[i];

		for (unsigned int j = 0; j < m->n_nics; j++)
			if (&m->nics[j] != except &&
			    !memcmp(m->nics[j].mac, mac, 6))
				return true;
	}
	return false;
}

/* FNV-1a, so that the same names give the same address on every host. */
static uint32_t hash_text(const char *text)
{
	uint32_t hash = 2166136261u;

	for (; *text; text++)
		hash = (hash ^ (uint8_t)*text) * 16777619u;
	return hash;
}

/* 52:54:00 is what virtual machines customarily use. */
static void derive_mac(const struct lab *lab, const struct lab_machine *m,
		       unsigned int nic_idx, uint8_t mac[6])
{
	for (unsigned int attempt = 0;; attempt++) {
		char text[2 * LAB_NAME_MAX + 32];
		uint32_t hash;

		snprintf(text, sizeof(text), "%s/%s/%u/%u", lab->name, m->name,
			 nic_idx, attempt);
		hash = hash_text(text);
		mac[0] = 0x52;
		mac[1] = 0x54;
		mac[2] = 0x00;
		mac[3] = (uint8_t)(hash >> 16);
		mac[4] = (uint8_t)(hash >> 8);
		mac[5] = (uint8_t)hash;
		if (!mac_taken(lab, &m->nics[nic_idx], mac))
			return;
	}
}

static bool refuse_nic(const struct lab *lab, const struct lab_machine *m,
		       const struct lab_nic *nic, const char *key,
		       const char *what, const char *value,
		       struct lab_error *error)
{
	return lab_refuse(error, lab->file, nic->line,
			  "machines.%s.nics[%u].%s: %s: '%s'", m->name,
			  (unsigned int)(nic - m->nics), key, what, value);
}

/* Does another NIC of the same network have this address? */
static bool address_taken(const struct lab *lab, const struct lab_nic *nic,
			  const struct lab_address *address)
{
	for (unsigned int i = 0; i < lab->n_machines; i++) {
		const struct lab_machine *m = &lab->machines[i];

		for (unsigned int j = 0; j < m->n_nics; j++) {
			const struct lab_nic *other = &m->nics[j];

			if (strcmp(other->network, nic->network))
				continue;
			for (unsigned int k = 0; k < other->n_addresses; k++)
				if (&other->addresses[k] != address &&
				    other->addresses[k].family ==
				    address->family &&
				    !memcmp(other->addresses[k].bytes,
					    address->bytes, 16))
					return true;
		}
	}
	return false;
}

/* Keys that only some models have. */
static bool check_model(const struct lab *lab, const struct lab_machine *m,
			const struct lab_nic *nic, struct lab_error *error)
{
	unsigned int options = nic_model_find(nic->model)->options;
	const char *key = NULL;

	if (nic->full_caps && !(options & NIC_OPT_CAPS))
		key = "caps";
	else if (nic->queues > 1 && !(options & NIC_OPT_QUEUES))
		key = "queues";
	else if (nic->mtu && !(options & NIC_OPT_MTU))
		key = "mtu";
	return !key || refuse_nic(lab, m, nic, key,
				  "a NIC of this model has no such thing", nic->model,
				  error);
}

static bool check_nic(const struct lab *lab, const struct lab_machine *m,
		      const struct lab_nic *nic, struct lab_error *error)
{
	if (lab_network_idx(lab, nic->network) < 0)
		return refuse_nic(lab, m, nic, "network",
				  "no such network in 'networks'", nic->network,
				  error);
	if (!check_model(lab, m, nic, error))
		return false;
	if (nic->has_mac && mac_taken(lab, nic, nic->mac)) {
		char text[18];

		lab_mac_text(nic->mac, text);
		return refuse_nic(lab, m, nic, "mac",
				  "another NIC has the same address", text,
				  error);
	}
	if (!nic->plugged && (m->board != VM_BOARD_PCIE || nic->bridge))
		return refuse_nic(lab, m, nic, "plugged",
				  "a card can be plugged in later only into a root port (board: pcie, no bridge)",
				  "no", error);
	for (unsigned int i = 0; i < nic->n_addresses; i++)
		if (address_taken(lab, nic, &nic->addresses[i]))
			return refuse_nic(lab, m, nic, "addresses",
					  "is on this network twice",
					  nic->addresses[i].text, error);
	return true;
}

static bool check_disks(const struct lab *lab, const struct lab_machine *m,
			struct lab_error *error)
{
	for (unsigned int i = 0; i < m->n_disks; i++)
		/* `backplane vm` would cut it up. */
		if (strchr(m->disks[i].image, ','))
			return lab_refuse(error, lab->file, m->disks[i].line,
					  "machines.%s.disks[%u].image: a path with a comma cannot be used: '%s'",
					  m->name, i, m->disks[i].image);
	return true;
}

static bool check_taps(const struct lab *lab, struct lab_error *error)
{
	for (unsigned int i = 0; i < lab->n_networks; i++) {
		const struct lab_network *net = &lab->networks[i];

		for (unsigned int n = 0; n < net->n_taps; n++)
			for (unsigned int j = 0; j <= i; j++) {
				const struct lab_network *other =
					&lab->networks[j];
				unsigned int end = j < i ? other->n_taps : n;

				for (unsigned int k = 0; k < end; k++)
					if (!strcmp(other->taps[k],
						    net->taps[n]))
						return lab_refuse(error,
							lab->file, net->line,
							"networks.%s.taps: '%s' is there twice",
							net->name,
							net->taps[n]);
			}
	}
	return true;
}

/* What concerns more than one value; also gives out MAC addresses. */
static bool check_lab(struct lab *lab, struct lab_error *error)
{
	char cmdline[LAB_CMDLINE_MAX];

	if (!lab->n_machines)
		return lab_refuse(error, lab->file, 1,
				  "machines: expected at least one machine");
	if (lab->n_cpus && lab->n_cpus != lab->n_workers)
		return lab_refuse(error, lab->file, 1,
				  "cpus: expected one for each of the %u workers, not %u",
				  lab->n_workers, lab->n_cpus);
	if (!check_taps(lab, error))
		return false;
	for (unsigned int i = 0; i < lab->n_machines; i++)
		for (unsigned int j = 0; j < lab->machines[i].n_nics; j++)
			if (!check_nic(lab, &lab->machines[i],
				       &lab->machines[i].nics[j], error))
				return false;
	for (unsigned int i = 0; i < lab->n_machines; i++)
		if (!check_disks(lab, &lab->machines[i], error) ||
		    !lab_check_slots(lab, &lab->machines[i], error))
			return false;
	for (unsigned int i = 0; i < lab->n_machines; i++) {
		struct lab_machine *m = &lab->machines[i];

		for (unsigned int j = 0; j < m->n_nics; j++)
			if (!m->nics[j].has_mac)
				derive_mac(lab, m, j, m->nics[j].mac);
		if (lab_cmdline(m, cmdline))
			return lab_refuse(error, lab->file, m->line,
					  "machines.%s: addresses and 'append' make a kernel command line of more than %d characters",
					  m->name, LAB_CMDLINE_MAX - 1);
	}
	return true;
}

struct lab *lab_parse(const char *text, size_t len, const char *file,
		      struct lab_error *error)
{
	struct lab *lab = calloc(1, sizeof(*lab));

	if (lab)
		lab->machines = calloc(LAB_MACHINES_MAX,
				       sizeof(*lab->machines));
	if (!lab || !lab->machines) {
		lab_refuse(error, file, 1, "out of memory");
		lab_free(lab);
		return NULL;
	}
	snprintf(lab->file, sizeof(lab->file), "%s", file);
	if (!lab_decode(lab, text, len, error) || !check_lab(lab, error)) {
		lab_free(lab);
		return NULL;
	}
	return lab;
}

/* The whole of a regular file; NULL: errno. */
static char *read_file(const char *path, size_t *len)
{
	struct stat st;
	char *text = NULL;
	ssize_t n;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return NULL;
	if (fstat(fd, &st))
		goto out;
	if (!S_ISREG(st.st_mode) || st.st_size > LAB_FILE_MAX) {
		errno = S_ISDIR(st.st_mode) ? EISDIR : EFBIG;
		goto out;
	}
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		goto out;
	*len = 0;
	while ((n = read(fd, text + *len, (size_t)st.st_size - *len)) > 0)
		*len += (size_t)n;
	if (n < 0) {
		free(text);
		text = NULL;
	}
out:
	fd_close(&fd);
	return text;
}

struct lab *lab_load(const char *path, struct lab_error *error)
{
	char file[LAB_PATH_MAX];
	struct lab *lab;
	size_t len;
	char *text;

	if (!realpath(path, file)) {
		snprintf(error->text, sizeof(error->text),
			 "cannot read the lab file %s: %s", path,
			 strerror(errno));
		return NULL;
	}
	text = read_file(file, &len);
	if (!text) {
		snprintf(error->text, sizeof(error->text),
			 "cannot read the lab file %s: %s", path,
			 strerror(errno));
		return NULL;
	}
	lab = lab_parse(text, len, file, error);
	free(text);
	return lab;
}

void lab_free(struct lab *lab)
{
	if (!lab)
		return;
	free(lab->machines);
	free(lab);
}
