/* SPDX-License-Identifier: Apache-2.0
 *
 * vfio-user NICs on the PCI bus; see pci_nic.h.
 */
#include "vmm/pci_nic_internal.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/byteorder.h"
#include "base/eventfd.h"
#include "base/log.h"
#include "vfio_user/client.h"

static unsigned int bar_reg(unsigned int idx)
{
	return idx == PCI_ROM_BAR ? PCI_ROM_ADDRESS :
		PCI_BASE_ADDRESS_0 + 4 * idx;
}

/* Whoever may be in the middle of an access keeps the client alive: a vCPU by
 * its exit, others by the PCI lock. */
static struct vfu_client *client_of(struct pci_nic *nic)
{
	return __atomic_load_n(&nic->client, __ATOMIC_ACQUIRE);
}

void pci_nic_set_gone(struct pci_nic *nic)
{
	if (!__atomic_exchange_n(&nic->gone, true, __ATOMIC_RELAXED))
		log_warn("NIC %s: its server (%s) has gone; the card reads as "
			 "ones until it is back", nic->id, nic->path);
}

void pci_nic_check_gone(struct pci_nic *nic, int err)
{
	if (err != -ENOTCONN)
		return;
	__atomic_fetch_add(&nic->n_lost, 1, __ATOMIC_RELAXED);
	pci_nic_set_gone(nic);
}

static uint64_t bar_read(void *opaque, uint64_t off, unsigned int len)
{
	struct pci_nic_bar *bar = opaque;
	uint64_t val = 0;
	int err;

	if (nic_msi_bar_read(&bar->nic->msi, bar->idx, off, len, &val))
		return val;
	err = vfu_client_read(client_of(bar->nic), bar->idx, off, &val, len);
	if (!err)
		return val;
	pci_nic_check_gone(bar->nic, err);
	return ~0ull;
}

static void bar_write(void *opaque, uint64_t off, unsigned int len,
		      uint64_t val)
{
	struct pci_nic_bar *bar = opaque;
	bool posted = bar->what.kind != PCI_BAR_IO;
	int err;

	if (nic_msi_bar_write(&bar->nic->msi, bar->idx, off, len, val))
		return;
	err = vfu_client_write(client_of(bar->nic), bar->idx, off, &val, len,
			       posted);
	pci_nic_check_gone(bar->nic, err);
}

static const struct bus_dev_ops bar_ops = {
	.read = bar_read,
	.write = bar_write,
};

static int config_get(struct pci_nic *nic, unsigned int off, void *data,
		      unsigned int len)
{
	int err = vfu_client_read(nic->client, VFIO_PCI_CONFIG_REGION_INDEX,
				  off, data, len);

	pci_nic_check_gone(nic, err);
	return err;
}

/* The answer is to the read that follows. */
static int config_put(struct pci_nic *nic, unsigned int off, uint32_t val,
		      unsigned int len)
{
	int err = vfu_client_write(nic->client, VFIO_PCI_CONFIG_REGION_INDEX,
				   off, &val, len, true);

	pci_nic_check_gone(nic, err);
	return err;
}

/* Where a BAR is, from the header; 0: nowhere. */
static uint64_t bar_address(const struct pci_nic_bar *bar)
{
	const uint8_t *header = bar->nic->config;
	uint16_t command = le16_load(header + PCI_COMMAND);
	uint32_t reg = le32_load(header + bar_reg(bar->idx));
	uint64_t addr;

	if (!(command & (bar->what.kind == PCI_BAR_IO ? PCI_COMMAND_IO :
			 PCI_COMMAND_MEMORY)))
		return 0;
	if (bar->idx == PCI_ROM_BAR)
		return reg & PCI_ROM_ADDRESS_ENABLE ?
			reg & PCI_ROM_ADDRESS_MASK : 0;
	if (bar->what.kind == PCI_BAR_IO)
		return reg & (uint32_t)PCI_BASE_ADDRESS_IO_MASK;
	addr = reg & (uint32_t)PCI_BASE_ADDRESS_MEM_MASK;
	if (bar->what.kind == PCI_BAR_MEM64)
		addr |= (uint64_t)le32_load(header + bar_reg(bar->idx) + 4)
			<< 32;
	return addr;
}

static struct pci_nic *nic_of(struct pci_function *fn)
{
	return container_of(fn, struct pci_nic, fn);
}

/* A driver sets this when it takes the card.  Before that there is nobody to
 * ring its doorbells, while BARs move a lot, which is slow with them. */
static bool is_master(const struct pci_nic *nic)
{
	return le16_load(nic->config + PCI_COMMAND) & PCI_COMMAND_MASTER;
}

static void nic_map(struct pci_function *fn)
{
	struct pci_nic *nic = nic_of(fn);
	uint64_t doorbell_base = 0;

	for (unsigned int i = 0; i <= PCI_ROM_BAR; i++) {
		struct pci_nic_bar *bar = &nic->bar[i];
		bool is_io = bar->what.kind == PCI_BAR_IO;
		uint64_t addr;

		if (bar->what.kind == PCI_BAR_NONE)
			continue;
		addr = bar_address(bar);
		if (!addr || addr > ~0ull - bar->what.size ||
		    (is_io && addr + bar->what.size > 0x10000) ||
		    !pci_bus_reached(fn->bus, is_io, addr, bar->what.size))
			continue;
		if (bus_add(is_io ? nic->host->pio : nic->host->mmio, addr,
			    bar->what.size, &bar->dev, true))
			log_limited(LOG_DEBUG, "%s at %#llx: taken",
				    bar->dev.name, (unsigned long long)addr);
		else if (!is_io && nic->doorbell.n &&
			 i == nic->doorbell.region && is_master(nic))
			doorbell_base = addr;
	}
	nic_doorbell_move(&nic->doorbell, doorbell_base);
}

static void take_config(struct pci_nic *nic, const uint8_t *config)
{
	memcpy(nic->config, config, sizeof(nic->config));
	pci_fixed_find(&nic->fixed, config);
}

/* The server may have taken less than was written, or more have come of it:
 * ask.  Mapping all BARs anew is spared where none has moved. */
void pci_nic_read_config(struct pci_nic *nic)
{
	uint64_t before[PCI_N_BARS + 1];
	uint8_t config[PCI_CONFIG_SIZE];
	bool moved, was_master = is_master(nic);

	if (config_get(nic, 0, config, sizeof(config)))
		return;
	for (unsigned int i = 0; i <= PCI_ROM_BAR; i++)
		before[i] = bar_address(&nic->bar[i]);
	take_config(nic, config);
	moved = nic->doorbell.n && is_master(nic) != was_master;
	for (unsigned int i = 0; i <= PCI_ROM_BAR; i++)
		moved = moved || before[i] != bar_address(&nic->bar[i]);
	if (moved)
		pci_host_map(nic->host);
	nic_msi_config(&nic->msi, nic->config);
}

static uint32_t nic_config_read(struct pci_function *fn, unsigned int off,
				unsigned int len)
{
	struct pci_nic *nic = nic_of(fn);
	uint32_t val = 0;

	if (pci_fixed_all(&nic->fixed, off, len) &&
	    !__atomic_load_n(&nic->gone, __ATOMIC_RELAXED)) {
		memcpy(&val, nic->config + off, len);
		return val;
	}
	if (!range_within(off, len, nic->config_size) ||
	    config_get(nic, off, &val, len))
		return ~0u;
	return val;
}

static void nic_config_write(struct pci_function *fn, unsigned int off,
			     unsigned int len, uint32_t val)
{
	struct pci_nic *nic = nic_of(fn);

	if (range_within(off, len, nic->config_size) &&
	    !config_put(nic, off, val, len))
		pci_nic_read_config(nic);
}

static const struct pci_bar *nic_bar(struct pci_function *fn, unsigned int idx)
{
	return &nic_of(fn)->bar[idx].what;
}

static void nic_route(struct pci_function *fn)
{
	struct pci_nic *nic = nic_of(fn);

	if (nic->pin)
		irq_intx_route(nic->irq, &nic->intx,
			       pci_host_gsi(nic->host, fn, nic->pin));
}

int pci_nic_give_memory(const struct pci_nic *nic, struct vfu_client *client)
{
	struct vm_memory_part part[2];
	unsigned int n = vm_memory_parts(nic->mem, part);
	int err = 0;

	for (unsigned int i = 0; i < n && !err; i++)
		err = vfu_client_map(client, part[i].gpa, part[i].len,
				     PROT_READ | PROT_WRITE, nic->mem->fd,
				     part[i].offset);
	return err;
}

static int take_memory(struct pci_nic *nic)
{
	struct vm_memory_part part[2];
	unsigned int n = vm_memory_parts(nic->mem, part);
	int err = 0;

	for (unsigned int i = 0; i < n && !err; i++)
		err = vfu_client_unmap(nic->client, part[i].gpa, part[i].len);
	return err;
}

/* Without bus mastering a bridge does not answer its cards' requests: what they
 * can reach is no memory at all. */
static void nic_gate(struct pci_function *fn)
{
	struct pci_nic *nic = nic_of(fn);
	bool cut_off = !pci_bus_masters(fn->bus);
	int err;

	if (cut_off == nic->cut_off)
		return;
	nic->cut_off = cut_off;
	err = cut_off ? take_memory(nic) :
		pci_nic_give_memory(nic, nic->client);
	pci_nic_check_gone(nic, err);
	if (err && err != -ENOTCONN)
		log_err("NIC %s (%s): its memory cannot be %s: %s", nic->id,
			nic->path, cut_off ? "taken" : "given back",
			strerror(-err));
	nic_msi_cut_off(&nic->msi, cut_off, nic->config);
}

/* A card that has gone does not keep the machine from rebooting; it is reset
 * when it is back. */
static int nic_reset(struct pci_function *fn)
{
	struct pci_nic *nic = nic_of(fn);
	int err = vfu_client_reset(nic->client);

	nic_msi_reset(&nic->msi);
	pci_nic_check_gone(nic, err);
	if (err == -ENOTCONN)
		return 0;
	if (err)
		log_err("NIC %s (%s): reset: %s", nic->id, nic->path,
			strerror(-err));
	else
		pci_nic_read_config(nic);
	return err;
}

static const struct pci_function_ops nic_ops = {
	.config_read = nic_config_read,
	.config_write = nic_config_write,
	.bar = nic_bar,
	.map = nic_map,
	.route = nic_route,
	.gate = nic_gate,
	.reset = nic_reset,
};

/* What BARs there are: kinds from the registers, sizes from the regions. */
static int find_bars(struct pci_nic *nic, const char *where)
{
	for (unsigned int i = 0; i <= PCI_ROM_BAR; i++) {
		struct pci_nic_bar *bar = &nic->bar[i];
		const struct vfu_region *region =
			vfu_client_region(nic->client, i);
		uint32_t reg = le32_load(nic->config + bar_reg(i));
		char name[BUS_NAME_MAX];

		bar->nic = nic;
		bar->idx = i;
		if (!region || !region->size)
			continue;
		if (!is_power_of_two(region->size)) {
			log_err("NIC %s (%s): BAR %u has %llu bytes, a power "
				"of two expected", nic->id, nic->path, i,
				(unsigned long long)region->size);
			return -EPROTO;
		}
		bar->what.size = region->size;
		bar->what.kind = PCI_BAR_MEM32;
		if (i != PCI_ROM_BAR && (reg & PCI_BASE_ADDRESS_SPACE_IO))
			bar->what.kind = PCI_BAR_IO;
		else if (i < PCI_N_BARS - 1 &&
			 (reg & PCI_BASE_ADDRESS_MEM_TYPE_64))
			bar->what.kind = PCI_BAR_MEM64;
		bar->what.prefetchable = i != PCI_ROM_BAR &&
			bar->what.kind != PCI_BAR_IO &&
			(reg & PCI_BASE_ADDRESS_MEM_PREFETCH);
		snprintf(name, sizeof(name), i == PCI_ROM_BAR ?
			 "nic@%s rom" : "nic@%s bar%u", where, i);
		bus_dev_init(&bar->dev, name, &bar_ops, bar,
			     bar->what.kind == PCI_BAR_IO ? 4 : 8);
	}
	return 0;
}

int pci_nic_give_intx(const struct pci_nic *nic, struct vfu_client *client)
{
	int err;

	if (!nic->pin)
		return 0;
	err = vfu_client_set_irqs(client, VFIO_PCI_INTX_IRQ_INDEX,
				  VFIO_IRQ_SET_DATA_EVENTFD |
				  VFIO_IRQ_SET_ACTION_UNMASK, 0, 1,
				  &nic->intx.resample_fd);
	if (err)
		return err;
	return vfu_client_set_irqs(client, VFIO_PCI_INTX_IRQ_INDEX,
				   VFIO_IRQ_SET_DATA_EVENTFD |
				   VFIO_IRQ_SET_ACTION_TRIGGER, 0, 1,
				   &nic->intx.trigger_fd);
}

static int init_intx(struct pci_nic *nic)
{
	uint8_t pin = nic->config[PCI_INTERRUPT_PIN];
	int err;

	if (!vfu_client_irqs(nic->client, VFIO_PCI_INTX_IRQ_INDEX) ||
	    pin < 1 || pin > PCI_N_PINS)
		return 0;
	err = irq_intx_init(&nic->intx);
	if (err)
		return err;
	nic->pin = pin;
	return pci_nic_give_intx(nic, nic->client);
}

static int set_up(struct pci_nic *nic, const char *where)
{
	uint8_t config[PCI_CONFIG_SIZE];
	int err = vfu_client_connect_session(nic->path, &nic->session,
					     &nic->client);

	if (err) {
		log_err("NIC %s: no vfio-user server answers there: %s",
			nic->path, strerror(-err));
		return err;
	}
	nic_doorbell_init(&nic->doorbell, nic->client, nic->irq);
	if (nic->doorbell.n)
		err = eventfd_init();
	nic->config_size = (uint32_t)min_of((uint64_t)PCI_CONFIG_EXT_SIZE,
		vfu_client_region(nic->client,
				  VFIO_PCI_CONFIG_REGION_INDEX)->size);
	if (!err)
		err = config_get(nic, 0, config, sizeof(config));
	if (!err)
		take_config(nic, config);
	if (!err)
		err = find_bars(nic, where);
	if (!err)
		err = pci_nic_give_memory(nic, nic->client);
	if (!err)
		err = init_intx(nic);
	if (!err)
		err = nic_msi_init(&nic->msi, nic->client, nic->irq, nic->id,
				   nic->config);
	if (err)
		log_err("NIC %s: its server refused to be set up: %s",
			nic->path, strerror(-err));
	return err;
}

int pci_nic_create(struct pci_host *host, struct irq *irq, const char *path,
		   const char *id, const char *where,
		   const struct vm_memory *mem, struct pci_nic **result)
{
	struct pci_nic *nic = calloc(1, sizeof(*nic));
	int err = -ENOMEM;

	if (!nic)
		return err;
	nic->fn.ops = &nic_ops;
	nic->host = host;
	nic->irq = irq;
	nic->mem = mem;
	nic->intx = (struct irq_intx){ -1, -1, IRQ_NO_GSI };
	snprintf(nic->id, sizeof(nic->id), "%s", id);
	nic->path = strdup(path);
	if (nic->path)
		err = set_up(nic, where);
	if (err) {
		pci_nic_destroy(nic);
		return err;
	}
	*result = nic;
	return 0;
}

void pci_nic_destroy(struct pci_nic *nic)
{
	if (!nic)
		return;
	nic_msi_fini(&nic->msi);
	vfu_client_close(nic->client);
	irq_intx_fini(&nic->intx);
	free(nic->path);
	free(nic);
}

void pci_nic_unroute(struct pci_nic *nic)
{
	if (nic->pin)
		irq_intx_route(nic->irq, &nic->intx, IRQ_NO_GSI);
	nic_msi_unroute(&nic->msi);
	nic_doorbell_move(&nic->doorbell, 0);
}
