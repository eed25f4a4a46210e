/* SPDX-License-Identifier: Apache-2.0
 *
 * A lab: machines, networks and what joins them, as read from a YAML file.
 *
 * The file's keys are one table (lab_schema.c): the decoder, `backplane lab
 * schema` and the reference in docs/lab-file.md come from it.  A struct lab
 * that lab_load() returns has been checked as a whole: names are unique,
 * networks exist, every NIC has an address of its own, paths are absolute.
 *
 * Both `backplane serve` and the lab's supervisor read the same file and have
 * to agree on sockets and port names: those are functions here.
 *
 * Threads: plain data; constant once loaded.
 */
#ifndef CTL_LAB_CONFIG_H
#define CTL_LAB_CONFIG_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/un.h>

#include "base/util.h"
#include "vmm/board.h"

enum {
	LAB_NAME_MAX = 32,		/* with the NUL: labs, machines, nets */
	LAB_MACHINES_MAX = 64,
	LAB_NETWORKS_MAX = 64,
	LAB_NICS_MAX = 32,		/* per machine */
	LAB_DISKS_MAX = 4,		/* per machine */
	LAB_FORMAT_MAX = 8,		/* with the NUL: a disk's */
	LAB_ADDRESSES_MAX = 8,		/* per NIC */
	LAB_TAPS_MAX = 16,		/* per network */
	LAB_TAP_NAME_MAX = 16,		/* IFNAMSIZ */
	LAB_ADDRESS_TEXT_MAX = 50,	/* an IPv6 address, '/', "128" */
	LAB_MODEL_MAX = 16,
	LAB_APPEND_MAX = 1024,		/* of the user's part */
	LAB_CMDLINE_MAX = 1792,		/* what x86 Linux takes (2048), less
					 * what the VMM says by itself */
	LAB_WORKERS_MAX = 16,		/* threads of the NIC server */
	LAB_CPUS_MAX = 1024,		/* processors are numbered below it */
	LAB_POLL_US_MAX = 1000000,
	LAB_PATH_MAX = PATH_MAX,
	LAB_SOCKET_MAX = sizeof(((struct sockaddr_un *)0)->sun_path),
};

/* How long workers poll before they sleep, see docs/workers.md.  A macro, as it
 * is also a text. */
#define LAB_POLL_US_DEFAULT 50

/* An address with its prefix length, "10.0.0.1/24". */
struct lab_address {
	int family;		/* AF_INET or AF_INET6 */
	uint8_t bytes[16];	/* network order, 4 or 16 used */
	unsigned int prefix_len;
	char text[LAB_ADDRESS_TEXT_MAX]; /* as written */
};

struct lab_nic {
	char network[LAB_NAME_MAX];	/* a network of this lab */
	char model[LAB_MODEL_MAX];	/* "e1000" */
	bool full_caps;			/* all PCI capabilities of the chip */
	unsigned int queues;		/* queue pairs */
	unsigned int mtu;		/* told to the driver; 0: none */
	bool has_mac;			/* written down, not derived */
	uint8_t mac[6];			/* unique in the lab */
	unsigned int n_addresses;
	struct lab_address addresses[LAB_ADDRESSES_MAX];
	bool link_up;			/* cable plugged at the start */
	bool plugged;			/* card in its slot at the start */
	unsigned int bridge, slot;	/* as of struct vm_nic_config */
	unsigned int line;		/* where it stands in the file */
};

struct lab_disk {
	char image[LAB_PATH_MAX];	/* absolute */
	char format[LAB_FORMAT_MAX];	/* "raw", "qcow2"; "": by its name */
	bool read_only;
	unsigned int slot;		/* as of struct vm_disk_config */
	unsigned int line;		/* where it stands in the file */
};

struct lab_machine {
	char name[LAB_NAME_MAX];	/* also the guest's host name */
	enum vm_board board;
	unsigned int spare_ports;	/* pcie: root ports without a card */
	unsigned int vcpus;
	uint64_t memory;		/* bytes */
	char kernel[LAB_PATH_MAX];	/* absolute; "": the default image */
	char initrd[LAB_PATH_MAX];	/* absolute; "": the default image */
	char append[LAB_APPEND_MAX];	/* end of the kernel command line */
	unsigned int n_nics;
	struct lab_nic nics[LAB_NICS_MAX];
	unsigned int n_disks;
	struct lab_disk disks[LAB_DISKS_MAX];
	unsigned int line;		/* where it stands in the file */
};

struct lab_network {
	char name[LAB_NAME_MAX];
	unsigned int ageing_s;		/* of learnt addresses */
	unsigned int mac_table;		/* bound on learnt addresses */
	unsigned int n_taps;
	char taps[LAB_TAPS_MAX][LAB_TAP_NAME_MAX]; /* host interfaces */
	unsigned int line;		/* where it stands in the file */
};

struct lab {
	char name[LAB_NAME_MAX];
	char file[LAB_PATH_MAX];	/* absolute */
	unsigned int n_workers;		/* threads of the NIC server */
	unsigned int n_cpus;		/* 0: anywhere; else n_workers */
	unsigned int cpus[LAB_WORKERS_MAX]; /* processor of each */
	unsigned int poll_us;		/* they poll so long before sleeping */
	unsigned int n_networks;
	struct lab_network networks[LAB_NETWORKS_MAX];
	unsigned int n_machines;
	struct lab_machine *machines;	/* LAB_MACHINES_MAX allocated */
};

/* Why a file was refused: one sentence with file, line and key. */
struct lab_error {
	char text[LAB_PATH_MAX + 512];
};

/**
 * lab_load() - read and check a lab file
 * @error: filled in on failure
 *
 * Return: the lab, to be freed by lab_free(), or NULL.
 */
struct lab *lab_load(const char *path, struct lab_error *error);

/** lab_parse() - the same from memory; @file is for messages and relative
 * paths */
struct lab *lab_parse(const char *text, size_t len, const char *file,
		      struct lab_error *error);

/** lab_free() - NULL is fine */
void lab_free(struct lab *lab);

/** lab_network_idx() - index of a network by its name, or -1 */
int lab_network_idx(const struct lab *lab, const char *name);

/** lab_name_ok() - may a lab, machine or network be called so? */
bool lab_name_ok(const char *name);

/**
 * lab_port_name() - what the port of a machine's NIC is called
 * @nic_idx: position in the machine's list
 *
 * Return: bytes without the NUL, always less than @buf_len for names of ours
 * and PORT_NAME_MAX.
 */
int lab_port_name(const struct lab_machine *machine, unsigned int nic_idx,
		  char *buf, size_t buf_len);

/**
 * lab_nic_socket() - the vfio-user socket of a machine's NIC
 * @run_dir: the lab's runtime directory
 *
 * Return: 0 or -ENAMETOOLONG: longer than a UNIX socket's address can be.
 */
int must_check lab_nic_socket(const char *run_dir,
			      const struct lab_machine *machine,
			      unsigned int nic_idx,
			      char buf[LAB_SOCKET_MAX]);

/** lab_mac_text() - "52:54:00:01:02:03" */
void lab_mac_text(const uint8_t mac[6], char buf[18]);

/**
 * lab_cmdline() - what a lab adds to the kernel command line of a machine
 *
 * Host name and addresses for the guest's init, then the user's own words.
 *
 * Return: 0 or -E2BIG.
 */
int must_check lab_cmdline(const struct lab_machine *machine,
			   char buf[LAB_CMDLINE_MAX]);

/** lab_schema_print() - every key of a lab file, as a Markdown table */
void lab_schema_print(FILE *out);

#endif
