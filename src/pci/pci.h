/* SPDX-License-Identifier: Apache-2.0
 *
 * A PCI function as software: what a device model implements (struct
 * pci_dev_ops) and what whoever hosts it (the vfio-user server; the VMM for its
 * own chipset) calls.  The device does not know its host.
 *
 * Life: the model embeds a struct pci_dev, calls pci_dev_init(), adds its
 * capabilities and changes the catalogue where its chip differs; the host sets
 * dma and irq, then pci_dev_reset(POWER_ON), and from then on calls config and
 * BAR accessors.
 *
 * Interrupts.  A function with one cause keeps pci_set_intx() told of its
 * level: while the guest has enabled MSI, the pin is silent and a rising level
 * sends vector 0 instead.  One with several signals each by pci_msi().  What
 * may not be sent now (masked, no bus master, nobody listens) is pending in
 * MSI-X's and in maskable MSI's bits, and is sent as soon as it may.
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
#include "pci/msix.h"

struct dma_space;
struct pci_dev;
struct pci_shared_page;
struct pci_shared_reg;

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
	PCI_RESET_D3,		/* from D3hot to D0 without No_Soft_Reset */
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
	/* Signal MSI or MSI-X vector @vec, for which pci_msi_message() has
	 * address and data; false: nobody takes it now, so it is pending,
	 * until pci_msi_retry(). */
	bool (*msi)(struct pci_dev *dev, unsigned int vec);
	/* The host keeps table and masks itself, as VFIO's clients do: the
	 * function's own are not looked at. */
	bool owns_masks;
};

struct pci_dev_ops {
	const char *model;	/* "e1000" */
	uint32_t state_version;	/* of the model's part of the state block */
	size_t state_size;	/* bytes of the model's part */

	/**
	 * bar_read, bar_write - a register access, from pci_bar_read() and
	 * pci_bar_write()
	 * @off, @len: within the BAR, checked; len is 1, 2, 4 or 8, any
	 *	alignment; values are little endian in the low bytes
	 */
	uint64_t (*bar_read)(struct pci_dev *dev, unsigned int bar,
			     uint64_t off, unsigned int len);
	void (*bar_write)(struct pci_dev *dev, unsigned int bar, uint64_t off,
			  unsigned int len, uint64_t val);

	/** config_reading - bytes [off, off+len) are about to be read: for what
	 * is made at that moment; NULL: nothing to do */
	void (*config_reading)(struct pci_dev *dev, unsigned int off,
			       unsigned int len);

	/** config_written - bytes [off, off+len) of the config space have been
	 * written through the masks; NULL: nothing to do */
	void (*config_written)(struct pci_dev *dev, unsigned int off,
			       unsigned int len);

	/** reset - the model's part; config space is done by pci_dev_reset() */
	void (*reset)(struct pci_dev *dev, enum pci_reset kind);

	/**
	 * quiesce - stop the data path: a reset is to come, or memory to go
	 *
	 * Return: true: it has stopped, no DMA is under way; false: it will
	 * have within a second, and pci_quiesced() says so.  NULL: nothing
	 * runs outside the home worker, so it is always quiet.
	 */
	bool (*quiesce)(struct pci_dev *dev);

	/** resume - what quiesce was called for is done; NULL: as quiesce */
	void (*resume)(struct pci_dev *dev);

	/**
	 * dma_changed - the guest's memory map is about to change
	 *
	 * Called before an unmap and after a map, between batches: drop every
	 * pointer that came from dma_at(), stop the data path before the unmap
	 * if it cannot go on.  Pointers may be taken anew afterwards, at first
	 * use.
	 */
	void (*dma_changed)(struct pci_dev *dev);

	/**
	 * share - keep the words of dev->shared_regs in @page from now on;
	 * NULL: in the state block again, as they are now
	 */
	void (*share)(struct pci_dev *dev, struct pci_shared_page *page);

	/** shared_changed - the client may have accessed registers there: do
	 * what else comes of it; nothing if it is not shared.  Both NULL:
	 * no registers are. */
	void (*shared_changed)(struct pci_dev *dev);

	/** destroy - free the model; NULL: static */
	void (*destroy)(struct pci_dev *dev);
};

/* Head of the state block. */
struct pci_state {
	uint32_t magic;			/* PCI_STATE_MAGIC */
	uint32_t version;		/* ops->state_version */
	uint32_t size;			/* of the whole block */
	uint32_t config_size;		/* 256 or 4096 */
	uint32_t msix_off;		/* MSI-X table, then pending bits: in
					 * the block, behind model[] */
	uint32_t n_msix;		/* vectors in it */
	uint8_t config[PCI_CONFIG_EXT_SIZE];
	uint8_t model[] cache_aligned;	/* ops->state_size bytes */
};

/* A place where only that something was written counts, not what: a host may
 * have it signal an eventfd in the place of calling bar_write(). */
struct pci_doorbell {
	unsigned int bar;
	int fd;				/* eventfd, the model's */
	uint64_t off;
	uint32_t len;			/* of a write that counts; 0: any */
};

/* Where the MSI-X table lies. */
struct pci_msix_place {
	unsigned int bar, pba_bar;	/* of the table, of the pending bits */
	uint32_t table_off, pba_off;	/* in them, multiples of 8 */
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

	/* Offsets of capabilities in config space; 0: there is none such. */
	uint16_t pm_cap, msi_cap, msix_cap, express_cap;
	uint16_t last_cap, last_ext_cap; /* last of the two lists */
	uint16_t free_cap, free_ext_cap; /* behind all that are there */
	struct pci_msix_place msix_place;
	struct msix msix;		/* in the state block */

	/* Other ways to reach BARs, set by the model if it has any. */
	const struct pci_doorbell *doorbells;
	unsigned int n_doorbells;
	const struct pci_shared_reg *shared_regs; /* see shared_regs.h */
	unsigned int n_shared_regs;

	struct dma_space *dma;		/* the client's memory; NULL: none */
	const struct pci_irq_ops *irq;	/* set by the host; NULL: nobody */
	void *host;			/* the host's own */
	void (*quiesced)(struct pci_dev *dev);	/* the host's: quiesce, which
						 * returned false, is done */
	bool intx_level;		/* what the device last asked for */
	bool level_sent;		/* by MSI, since it has been high */
};

#define PCI_STATE_MAGIC 0x42504c4eu

/* What the standard header says; see pci_dev_init(). */
struct pci_ident {
	uint16_t vendor, device;	/* who, what */
	uint16_t subsys_vendor, subsys;	/* of the board */
	uint32_t class_code;		/* 24 bits: class, subclass, prog-if */
	uint8_t revision;
	uint8_t intx_pin;		/* 0: none; 1: INTA# */
	uint8_t header_type;		/* 0: a function, 1: a PCI-to-PCI
					 * bridge; | 0x80: multi-function */
	uint16_t n_msix;		/* room for so many MSI-X vectors in the
					 * state block, for pci_add_msix() */
};

/**
 * pci_dev_init() - allocate the state block, build the header
 * @bars: PCI_N_BARS + 1 of them (the last: ROM), or NULL: none; a bridge has
 *	but the first two
 * @config_size: PCI_CONFIG_SIZE or PCI_CONFIG_EXT_SIZE
 *
 * Writable afterwards: command (I/O, memory, master, parity, SERR, INTx
 * disable), cache line size, latency timer, interrupt line, the address bits of
 * BARs; of a bridge also bus numbers, windows (16 bit I/O, 64 bit prefetchable)
 * and bridge control; w1c: the error bits of status and secondary status.  The
 * model may change the catalogue before its first reset.
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
 * pci_bar_read(), pci_bar_write() - guest's access to a BAR or to the ROM
 * @off, @len: within it, checked by the caller; @len is 1, 2, 4 or 8
 *
 * Reads ones, and writes are dropped, while the function does not decode the
 * space (command register, D3hot).  The ROM can always be read: whether the
 * guest sees it is up to the host, as for any BAR.  An access to the MSI-X
 * table does not reach the model.
 */
uint64_t pci_bar_read(struct pci_dev *dev, unsigned int bar, uint64_t off,
		      unsigned int len);
void pci_bar_write(struct pci_dev *dev, unsigned int bar, uint64_t off,
		   unsigned int len, uint64_t val);

/** pci_bar_addr() - where the guest has put it; false: not decoded now */
bool pci_bar_addr(const struct pci_dev *dev, unsigned int bar, uint64_t *addr);

/*
 * Capabilities, to be added after pci_dev_init() and before the first reset;
 * the lists are in the order of the calls.
 * @off: where in config space, a multiple of 4; 0: the first free place
 * Return: the offset.
 */

/** pci_add_cap() - any capability: @len bytes, header included, whose values
 * and writable bits the caller fills into the catalogue */
unsigned int pci_add_cap(struct pci_dev *dev, uint8_t id, unsigned int off,
			 unsigned int len);

/** pci_add_ext_cap() - the same, in the extended config space */
unsigned int pci_add_ext_cap(struct pci_dev *dev, uint16_t id,
			     unsigned int version, unsigned int off,
			     unsigned int len);

/** pci_add_vendor_cap() - vendor specific: @len bytes at @data, the first three
 * being the header, which is filled in; nothing is writable */
unsigned int pci_add_vendor_cap(struct pci_dev *dev, unsigned int off,
				const void *data, uint8_t len);

/**
 * pci_add_pm() - power management: D0 and D3hot
 * @pmc: PCI_PM_CAP_* of the capabilities register
 * @no_soft_reset: D3hot to D0 keeps the function's state, otherwise it is reset
 */
unsigned int pci_add_pm(struct pci_dev *dev, unsigned int off, uint16_t pmc,
			bool no_soft_reset);

/** pci_add_msi() - @n vectors, a power of two up to 32; 64 bit addresses
 * @maskable: with mask and pending bits */
unsigned int pci_add_msi(struct pci_dev *dev, unsigned int off, unsigned int n,
			 bool maskable);

/** pci_add_msix() - the ident's n_msix vectors; the model does not see accesses
 * to table and pending bits */
unsigned int pci_add_msix(struct pci_dev *dev, unsigned int off,
			  const struct pci_msix_place *place);

struct pci_express {
	uint8_t type;		/* PCI_EXP_TYPE_* */
	uint8_t port;		/* port number */
	uint8_t speed;		/* PCI_EXP_LNKSTA_CLS_* */
	uint8_t width;		/* lanes */
	bool flr;		/* function level reset */
	bool slot;		/* a port with a slot: slot registers are there,
				 * whose capabilities the model fills in */
};

/** pci_add_express() - PCI Express, version 2; FLR is carried out here */
unsigned int pci_add_express(struct pci_dev *dev, unsigned int off,
			     const struct pci_express *express);

/** pci_set_intx() - the level of the function's one interrupt cause: goes to
 * the INTx pin, or by MSI; keeps the status bit */
void pci_set_intx(struct pci_dev *dev, bool level);

/** pci_intx_pin() - the level at the INTx pin: asked for, not disabled, nor
 * replaced by MSI or MSI-X */
bool pci_intx_pin(const struct pci_dev *dev);

/**
 * pci_msi() - signal a vector of MSI-X, or of MSI, whichever is enabled
 *
 * A vector that is not there is dropped, and all are while neither is enabled.
 * If the guest has granted fewer MSI vectors than the function has, the lower
 * bits of @vec count (6.8.1.3).
 */
void pci_msi(struct pci_dev *dev, unsigned int vec);

/** pci_msi_enabled(), pci_msix_enabled() - by the guest */
bool pci_msi_enabled(const struct pci_dev *dev);
bool pci_msix_enabled(const struct pci_dev *dev);

/** pci_msi_message() - address and data of a vector of whichever is enabled */
void pci_msi_message(const struct pci_dev *dev, unsigned int vec,
		     uint64_t *addr, uint32_t *data);

/** pci_msi_retry() - the host listens to more vectors now: signal those that
 * are pending */
void pci_msi_retry(struct pci_dev *dev);

/** pci_quiesced() - the data path has stopped, after a quiesce that said it
 * would; on the home worker */
void pci_quiesced(struct pci_dev *dev);

/** pci_bus_master() - may the function reach memory (and signal MSI)? */
bool pci_bus_master(const struct pci_dev *dev);

#endif
