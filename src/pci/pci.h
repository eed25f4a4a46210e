/* SPDX-License-Identifier: Apache-2.0
 *
 * A PCI function as software: what a device model implements (struct
 * pci_dev_ops) and what whoever hosts it (the vfio-user server; the VMM for its
 * own chipset) calls.  The device does not know its host.
 *
 * Life: the model embeds a struct pci_dev, calls pci_dev_init(), sets up its
 * config space; the host sets dma and irq, then pci_dev_reset(POWER_ON), and
 * from then on calls config and BAR accessors.
 *
 * State: what a guest can see of a function is one flat block without pointers,
 * `state`, with the config space at its head, so that a host can place it in
 * memory that outlives the process.
 *
 * Threads: one home worker; no call from elsewhere.
 */
#ifndef PCI_PCI_H
#define PCI_PCI_H

#include <stdint.h>

#include "base/util.h"

struct dma_space;
struct pci_dev;

enum {
	PCI_CONFIG_SIZE = 256,		/* conventional */
	PCI_CONFIG_EXT_SIZE = 4096,	/* PCI Express */
	PCI_N_BARS = 6,
	PCI_ROM_BAR = 6,		/* the expansion ROM in bar[] */
};

/* Why a function is reset; tells what survives. */
enum pci_reset {
	PCI_RESET_POWER_ON,	/* nothing survives: a new client */
	PCI_RESET_BUS,		/* RST#, vfio-user DEVICE_RESET: maps and irq
				 * eventfds stay */
	PCI_RESET_FLR,		/* function level reset */
};

enum pci_bar_kind {
	PCI_BAR_NONE,
	PCI_BAR_IO,
	PCI_BAR_MEM32,
	PCI_BAR_MEM64,		/* takes the next BAR's register as well */
};

struct pci_bar {
	enum pci_bar_kind kind;
	bool prefetchable;
	uint64_t size;		/* bytes, a power of two */
};

/* Interrupts as a host carries them out.  All may be called at any time on the
 * home worker; a host without a listener drops them. */
struct pci_irq_ops {
	/* The level of the INTx pin.  The host signals a rising level once, is
	 * then masked, and looks at dev->intx_level again on unmask. */
	void (*intx)(struct pci_dev *dev, bool level);
	/* Signal MSI or MSI-X vector @vec. */
	void (*msi)(struct pci_dev *dev, unsigned int vec);
};

struct pci_dev_ops {
	const char *model;	/* "e1000" */
	uint32_t state_version;	/* of the model's part of the state block */
	size_t state_size;	/* bytes of the model's part */

	/**
	 * bar_read, bar_write - a register access
	 * @off, @len: within the BAR, checked; len is 1, 2, 4 or 8, any
	 *	alignment; values are little endian in the low bytes
	 */
	uint64_t (*bar_read)(struct pci_dev *dev, unsigned int bar,
			     uint64_t off, unsigned int len);
	void (*bar_write)(struct pci_dev *dev, unsigned int bar, uint64_t off,
			  unsigned int len, uint64_t val);

	/** config_written - bytes [off, off+len) of the config space have been
	 * written through the masks; NULL: nothing to do */
	void (*config_written)(struct pci_dev *dev, unsigned int off,
			       unsigned int len);

	/** reset - the model's part; config space is done by pci_dev_reset() */
	void (*reset)(struct pci_dev *dev, enum pci_reset kind);

	/**
	 * dma_changed - the guest's memory map is about to change
	 *
	 * Called before an unmap and after a map, between batches: drop every
	 * pointer that came from dma_at(), stop the data path before the unmap
	 * if it cannot go on.  Pointers may be taken anew afterwards, at first
	 * use.
	 */
	void (*dma_changed)(struct pci_dev *dev);

	/** destroy - free the model; NULL: static */
	void (*destroy)(struct pci_dev *dev);
};

/* Head of the state block. */
struct pci_state {
	uint32_t magic;			/* PCI_STATE_MAGIC */
	uint32_t version;		/* ops->state_version */
	uint32_t size;			/* of the whole block */
	uint32_t config_size;		/* 256 or 4096 */
	uint8_t config[PCI_CONFIG_EXT_SIZE];
	uint8_t model[] cache_aligned;	/* ops->state_size bytes */
};

struct pci_dev {
	const struct pci_dev_ops *ops;
	const char *name;		/* for messages; outlives the device */
	struct pci_bar bar[PCI_N_BARS + 1];
	struct pci_state *state;	/* guest-visible; see above */
	uint8_t *config;		/* == state->config */
	unsigned int config_size;	/* 256 or 4096 */

	/* The config space's catalogue, one byte each: */
	uint8_t reset_val[PCI_CONFIG_EXT_SIZE];	/* after any reset */
	uint8_t writable[PCI_CONFIG_EXT_SIZE];	/* bits a guest can change */
	uint8_t w1c[PCI_CONFIG_EXT_SIZE];	/* bits cleared by writing 1 */

	struct dma_space *dma;		/* the client's memory; NULL: none */
	const struct pci_irq_ops *irq;	/* set by the host; NULL: nobody */
	void *host;			/* the host's own */
	bool intx_level;		/* what the device last asked for */
};

#define PCI_STATE_MAGIC 0x42504c4eu

/* What the standard header says; see pci_dev_init(). */
struct pci_ident {
	uint16_t vendor, device;	/* who, what */
	uint16_t subsys_vendor, subsys;	/* of the board */
	uint32_t class_code;		/* 24 bits: class, subclass, prog-if */
	uint8_t revision;
	uint8_t intx_pin;		/* 0: none; 1: INTA# */
	uint8_t header_type;		/* 0x00, 0x80: multi-function */
};

/**
 * pci_dev_init() - allocate the state block, build a type 0 header
 * @bars: PCI_N_BARS + 1 of them (the last: ROM), or NULL: none
 * @config_size: PCI_CONFIG_SIZE or PCI_CONFIG_EXT_SIZE
 *
 * Writable afterwards: command (I/O, memory, master, parity, SERR, INTx
 * disable), cache line size, latency timer, interrupt line, the address bits of
 * BARs; w1c: the error bits of status.  The model may change the catalogue
 * before its first reset.
 *
 * Return: 0 or -ENOMEM.
 */
int must_check pci_dev_init(struct pci_dev *dev, const struct pci_dev_ops *ops,
			    const char *name, const struct pci_ident *ident,
			    const struct pci_bar *bars,
			    unsigned int config_size);

/** pci_dev_fini() - free what init allocated */
void pci_dev_fini(struct pci_dev *dev);

/** pci_dev_reset() - config space to its reset values, INTx low, then the
 * model's own reset */
void pci_dev_reset(struct pci_dev *dev, enum pci_reset kind);

/**
 * pci_config_read(), pci_config_write() - guest's access, any @len <= 8 that
 * lies within the config space (else reads ones, writes are dropped)
 */
uint64_t pci_config_read(struct pci_dev *dev, unsigned int off,
			 unsigned int len);
void pci_config_write(struct pci_dev *dev, unsigned int off, unsigned int len,
		      uint64_t val);

/**
 * pci_find_cap() - offset of a capability in config space
 * @id: PCI_CAP_ID_* of <linux/pci_regs.h>
 *
 * Return: 0 if the function has none such.
 */
unsigned int pci_find_cap(const struct pci_dev *dev, uint8_t id);

/** pci_set_intx() - the device's one way to its INTx pin; honours the
 * command register's INTx disable and keeps the status bit */
void pci_set_intx(struct pci_dev *dev, bool level);

/** pci_intx_pin() - the level at the INTx pin: asked for and not disabled */
bool pci_intx_pin(const struct pci_dev *dev);

/** pci_msi() - signal a vector; dropped unless bus master is on */
void pci_msi(struct pci_dev *dev, unsigned int vec);

/** pci_bus_master() - may the function reach memory (and signal MSI)? */
bool pci_bus_master(const struct pci_dev *dev);

#endif
