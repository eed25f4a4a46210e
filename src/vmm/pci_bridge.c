/* SPDX-License-Identifier: Apache-2.0
 *
 * Type 1 config space and address windows; see pci_bridge.h.  References are
 * to the PCI-to-PCI Bridge Architecture Specification 1.2.
 */
#include "vmm/pci_bridge.h"

#include <linux/pci_regs.h>
#include <string.h>

#include "base/byteorder.h"
#include "vmm/pci_host.h"

static struct pci_bridge *bridge_of(struct pci_function *fn)
{
	return container_of(fn, struct pci_bridge, fn);
}

static void reset_below(struct pci_function *fn, void *arg)
{
	/* A bridge resets what is behind it by itself; twice is harmless. */
	if (fn->ops->reset)
		(void)!fn->ops->reset(fn);
}

static void config_written(struct pci_dev *dev, unsigned int off,
			   unsigned int len)
{
	struct pci_bridge *bridge = container_of(dev, struct pci_bridge, dev);

	if (ranges_overlap(off, len, PCI_BRIDGE_CONTROL, 2) &&
	    (le16_load(dev->config + PCI_BRIDGE_CONTROL) &
	     PCI_BRIDGE_CTL_BUS_RESET))
		pci_bus_walk(&bridge->secondary, reset_below, NULL);
	if (bridge->is_port)
		pci_port_config_written(bridge, off, len);
	if (ranges_overlap(off, len, PCI_COMMAND, 2))
		pci_host_gate(bridge->host);
	if (ranges_overlap(off, len, PCI_COMMAND, 2) ||
	    ranges_overlap(off, len, PCI_IO_BASE, 2) ||
	    ranges_overlap(off, len, PCI_MEMORY_BASE,
			   PCI_IO_BASE_UPPER16 - PCI_MEMORY_BASE))
		pci_host_map(bridge->host);
}

static void reset(struct pci_dev *dev, enum pci_reset kind)
{
	struct pci_bridge *bridge = container_of(dev, struct pci_bridge, dev);

	if (bridge->is_port)
		pci_port_reset(bridge);
}

static const struct pci_dev_ops bridge_dev_ops = {
	.model = "bridge",
	.config_written = config_written,
	.reset = reset,
};

static uint32_t fn_config_read(struct pci_function *fn, unsigned int off,
			       unsigned int len)
{
	return (uint32_t)pci_config_read(&bridge_of(fn)->dev, off, len);
}

static void fn_config_write(struct pci_function *fn, unsigned int off,
			    unsigned int len, uint32_t val)
{
	pci_config_write(&bridge_of(fn)->dev, off, len, val);
}

static int fn_reset(struct pci_function *fn)
{
	pci_dev_reset(&bridge_of(fn)->dev, PCI_RESET_BUS);
	return 0;
}

static const struct pci_function_ops bridge_ops = {
	.config_read = fn_config_read,
	.config_write = fn_config_write,
	.reset = fn_reset,
};

/* Windows are closed after reset, their base above their limit; and what has a
 * meaning on a conventional bus alone is not there elsewhere. */
static void init_type1(struct pci_dev *dev, bool is_port)
{
	uint8_t *v = dev->reset_val, *w = dev->writable;

	v[PCI_IO_BASE] |= w[PCI_IO_BASE];
	le16_store(v + PCI_MEMORY_BASE, le16_load(w + PCI_MEMORY_BASE));
	le16_store(v + PCI_PREF_MEMORY_BASE, le16_load(v + PCI_PREF_MEMORY_BASE)
		   | le16_load(w + PCI_PREF_MEMORY_BASE));
	/* No window is ever withheld from ISA devices or given to a VGA. */
	le16_store(w + PCI_BRIDGE_CONTROL, PCI_BRIDGE_CTL_PARITY |
		   PCI_BRIDGE_CTL_SERR | PCI_BRIDGE_CTL_BUS_RESET);
	w[PCI_SEC_LATENCY_TIMER] = is_port ? 0 : 0xff;
	if (is_port)
		w[PCI_LATENCY_TIMER] = 0;
}

static int init(struct pci_bridge *bridge, struct pci_host *host,
		const struct pci_ident *ident, const char *name,
		unsigned int config_size, bool is_port)
{
	int err;

	memset(bridge, 0, sizeof(*bridge));
	bridge->host = host;
	bridge->is_port = is_port;
	bridge->fn.ops = &bridge_ops;
	bridge->fn.bridge = bridge;
	bridge->secondary.above = bridge;
	err = pci_dev_init(&bridge->dev, &bridge_dev_ops, name, ident, NULL,
			   config_size);
	if (!err)
		init_type1(&bridge->dev, is_port);
	return err;
}

int pci_bridge_init(struct pci_bridge *bridge, struct pci_host *host)
{
	static const struct pci_ident ident = {	/* "QEMU PCI-PCI bridge" */
		.vendor = 0x1b36, .device = 0x0001, .class_code = 0x060400,
		.header_type = PCI_HEADER_TYPE_BRIDGE,
	};

	return init(bridge, host, &ident, "PCI bridge", PCI_CONFIG_SIZE,
		    false);
}

int pci_port_init(struct pci_bridge *port, struct pci_host *host,
		  unsigned int number)
{
	static const struct pci_ident ident = {	/* "QEMU PCIe Root port" */
		.vendor = 0x1b36, .device = 0x000c, .class_code = 0x060400,
		.header_type = PCI_HEADER_TYPE_BRIDGE | 0x80,
		.intx_pin = PCI_PORT_PIN,
	};
	int err = init(port, host, &ident, "root port", PCI_CONFIG_EXT_SIZE,
		       true);

	port->number = number;
	if (!err)
		pci_port_init_caps(port);
	return err;
}

void pci_bridge_fini(struct pci_bridge *bridge)
{
	pci_dev_fini(&bridge->dev);
}

unsigned int pci_bridge_number(const struct pci_bridge *bridge)
{
	return bridge->dev.config[PCI_SECONDARY_BUS];
}

bool pci_bridge_claims(const struct pci_bridge *bridge, unsigned int number)
{
	return pci_bridge_number(bridge) &&
	       pci_bridge_number(bridge) <= number &&
	       number <= bridge->dev.config[PCI_SUBORDINATE_BUS];
}

bool pci_bridge_up(const struct pci_bridge *bridge)
{
	return !bridge->is_port || pci_port_link(bridge);
}

/* Is [addr, addr + size) within the window from @base to @limit, both in whole
 * granules?  A base above the limit closes it. */
static bool in_window(uint64_t addr, uint64_t size, uint64_t base,
		      uint64_t limit, uint64_t granule)
{
	return base <= limit && addr >= base &&
	       addr + (size - 1) <= limit + (granule - 1);
}

bool pci_bridge_forwards(const struct pci_bridge *bridge, bool is_io,
			 uint64_t addr, uint64_t size)
{
	const uint8_t *c = bridge->dev.config;
	uint16_t command = le16_load(c + PCI_COMMAND);

	if (!pci_bridge_up(bridge) ||
	    !(command & (is_io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY)))
		return false;
	if (is_io)
		return in_window(addr, size,
				 (uint64_t)(c[PCI_IO_BASE] & 0xf0) << 8,
				 (uint64_t)(c[PCI_IO_LIMIT] & 0xf0) << 8,
				 PCI_BRIDGE_IO_GRANULE);
	return in_window(addr, size,
			 (uint64_t)(le16_load(c + PCI_MEMORY_BASE) & 0xfff0)
			 << 16,
			 (uint64_t)(le16_load(c + PCI_MEMORY_LIMIT) & 0xfff0)
			 << 16, PCI_BRIDGE_MEM_GRANULE) ||
	       in_window(addr, size,
			 (uint64_t)le32_load(c + PCI_PREF_BASE_UPPER32) << 32 |
			 (uint64_t)(le16_load(c + PCI_PREF_MEMORY_BASE) &
				    0xfff0) << 16,
			 (uint64_t)le32_load(c + PCI_PREF_LIMIT_UPPER32) << 32 |
			 (uint64_t)(le16_load(c + PCI_PREF_MEMORY_LIMIT) &
				    0xfff0) << 16, PCI_BRIDGE_MEM_GRANULE);
}
