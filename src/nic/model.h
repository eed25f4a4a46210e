/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of NIC models: all that a program needs to know to make one.
 */
#ifndef NIC_MODEL_H
#define NIC_MODEL_H

#include <stdint.h>

#include "base/util.h"

struct pci_dev;
struct port;
struct worker;

/* Options of a port that only some models know. */
enum nic_option {
	NIC_OPT_CRC = 1,	/* exact_crc */
	NIC_OPT_CAPS = 2,	/* full_caps */
	NIC_OPT_QUEUES = 4,	/* n_pairs */
	NIC_OPT_MTU = 8,	/* mtu */
};

struct nic_params {
	const char *name;	/* of device and port; copied */
	uint8_t mac[6];		/* factory address */
	struct worker *worker;	/* home worker */
	bool exact_crc;		/* compute the FCS where the driver keeps it */
	bool full_caps;		/* all capabilities of the chip, not only those
				 * that QEMU's model of it has */
	unsigned int n_pairs;	/* queue pairs; 0: one */
	uint16_t mtu;		/* told to the driver; 0: none */
};

/* A NIC seen from both sides; both pointers are into one object, freed by
 * pci->ops->destroy(). */
struct nic {
	struct pci_dev *pci;	/* the guest's side */
	struct port *port;	/* the switch's side */
};

struct nic_model {
	const char *name;	/* as in `model=` */
	const char *what;	/* one line for help texts */
	unsigned int options;	/* enum nic_option bits it knows */
	int (*create)(const struct nic_params *params, struct nic *nic);
};

extern const struct nic_model e1000_model;
extern const struct nic_model vnet_model;

/** nic_model_find() - by name; NULL if there is none */
const struct nic_model *nic_model_find(const char *name);

/** nic_model_at() - the @i-th, for help texts; NULL past the end */
const struct nic_model *nic_model_at(unsigned int i);

#endif
