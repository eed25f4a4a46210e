/* SPDX-License-Identifier: Apache-2.0
 *
 * vfio-user NICs on the PCI bus; see pci_nic.h.
 */
#include "vmm/pci_nic.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/byteorder.h"
#include "base/log.h"
#include "vfio_user/client.h"

/* Where the firmware puts BARs: within the windows of dsdt.asl's _CRS. */
#define MEM_WINDOW_BASE VM_PCI_HOLE_BASE
#define MEM_WINDOW_END 0xfec00000ull	/* the I/O APIC; filled downwards */
#define IO_WINDOW_BASE 0xc000ull	/* filled upwards */
#define IO_WINDOW_END 0x10000ull

static unsigned int bar_reg(unsigned int idx)
{
	return idx == PCI_ROM_BAR ? PCI_ROM_ADDRESS :
		PCI_BASE_ADDRESS_0 + 4 * idx;
}

static void check_gone(struct pci_nic *nic, int err)
{
	if (err != -ENOTCONN ||
	    __atomic_exchange_n(&nic->gone, true, __ATOMIC_RELAXED))
		return;
	log_warn("NIC in slot %u: its server (%s) has gone; the card reads as "
		 "ones from now on", nic->slot, nic->path);
}

static uint64_t bar_read(void *opaque, uint64_t off, unsigned int len)
{
	struct pci_nic_bar *bar = opaque;
	uint64_t val = 0;
	int err = vfu_client_read(bar->nic->client, bar->idx, off, &val, len);

	if (!err)
		return val;
	check_gone(bar->nic, err);
	return ~0ull;
}

static void bar_write(void *opaque, uint64_t off, unsigned int len,
		      uint64_t val)
{
	struct pci_nic_bar *bar = opaque;
	bool posted = bar->kind != PCI_BAR_IO;

	check_gone(bar->nic, vfu_client_write(bar->nic->client, bar->idx, off,
					      &val, len, posted));
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

	check_gone(nic, err);
	return err;
}

static int config_put(struct pci_nic *nic, unsigned int off, uint32_t val,
		      unsigned int len)
{
	int err = vfu_client_write(nic->client, VFIO_PCI_CONFIG_REGION_INDEX,
				   off, &val, len, false);

	check_gone(nic, err);
	return err;
}

/* Where a BAR is, from the header; 0: nowhere. */
static uint64_t bar_address(const struct pci_nic_bar *bar,
			    const uint8_t header[PCI_NIC_HEADER_LEN])
{
	uint16_t command = le16_load(header + PCI_COMMAND);
	uint32_t reg = le32_load(header + bar_reg(bar->idx));
	uint64_t addr;

	if (!(command & (bar->kind == PCI_BAR_IO ? PCI_COMMAND_IO :
			 PCI_COMMAND_MEMORY)))
		return 0;
	if (bar->idx == PCI_ROM_BAR)
		return reg & PCI_ROM_ADDRESS_ENABLE ?
			reg & PCI_ROM_ADDRESS_MASK : 0;
	if (bar->kind == PCI_BAR_IO)
		return reg & (uint32_t)PCI_BASE_ADDRESS_IO_MASK;
	addr = reg & (uint32_t)PCI_BASE_ADDRESS_MEM_MASK;
	if (bar->kind == PCI_BAR_MEM64)
		addr |= (uint64_t)le32_load(header + bar_reg(bar->idx) + 4)
			<< 32;
	return addr;
}

static void map_nic(struct pci_nics *nics, struct pci_nic *nic)
{
	for (unsigned int i = 0; i <= PCI_ROM_BAR; i++) {
		struct pci_nic_bar *bar = &nic->bar[i];
		uint64_t addr;

		if (bar->kind == PCI_BAR_NONE)
			continue;
		addr = bar_address(bar, nic->header);
		if (!addr || addr > ~0ull - bar->size ||
		    (bar->kind == PCI_BAR_IO && addr + bar->size > 0x10000))
			continue;
		if (bus_add(bar->kind == PCI_BAR_IO ? nics->pio : nics->mmio,
			    addr, bar->size, &bar->dev, true))
			log_limited(LOG_DEBUG, "%s at %#llx: taken",
				    bar->dev.name, (unsigned long long)addr);
	}
}

/* All anew: what is in the way of what depends on all of them. */
static void map_all(struct pci_nics *nics)
{
	bus_lock(nics->pio);
	bus_lock(nics->mmio);
	bus_clear_movable(nics->pio);
	bus_clear_movable(nics->mmio);
	for (unsigned int i = 0; i < nics->n; i++)
		map_nic(nics, &nics->nic[i]);
	bus_unlock(nics->mmio);
	bus_unlock(nics->pio);
}

/* The server may have taken less than was written: ask. */
static void header_changed(struct pci_nics *nics, struct pci_nic *nic)
{
	uint8_t header[PCI_NIC_HEADER_LEN];

	if (config_get(nic, 0, header, sizeof(header)))
		return;
	memcpy(nic->header, header, sizeof(header));
	map_all(nics);
}

static uint32_t nic_config_read(void *opaque, unsigned int off,
				unsigned int len)
{
	struct pci_nic *nic = opaque;
	uint32_t val = 0;

	return config_get(nic, off, &val, len) ? ~0u : val;
}

static void nic_config_write(void *opaque, unsigned int off, unsigned int len,
			     uint32_t val)
{
	struct pci_nic *nic = opaque;

	if (config_put(nic, off, val, len))
		return;
	if (ranges_overlap(off, len, PCI_COMMAND, 2) ||
	    ranges_overlap(off, len, PCI_BASE_ADDRESS_0, 4 * PCI_N_BARS) ||
	    ranges_overlap(off, len, PCI_ROM_ADDRESS, 4))
		header_changed(nic->nics, nic);
}

void pci_nics_init(struct pci_nics *nics, struct pci_host *host,
		   struct bus *pio, struct bus *mmio, struct irq *irq)
{
	*nics = (struct pci_nics){
		.host = host, .pio = pio, .mmio = mmio, .irq = irq,
	};
}

void pci_nics_fini(struct pci_nics *nics)
{
	for (unsigned int i = 0; i < nics->n; i++) {
		struct pci_nic *nic = &nics->nic[i];

		nics->host->slot[nic->slot] = (struct pci_slot){ 0 };
		vfu_client_close(nic->client);
		irq_intx_fini(&nic->intx);
	}
	nics->n = 0;
}

/* What BARs there are: kinds from the registers, sizes from the regions. */
static int find_bars(struct pci_nic *nic)
{
	for (unsigned int i = 0; i <= PCI_ROM_BAR; i++) {
		struct pci_nic_bar *bar = &nic->bar[i];
		const struct vfu_region *region =
			vfu_client_region(nic->client, i);
		uint32_t reg = le32_load(nic->header + bar_reg(i));
		char name[BUS_NAME_MAX];

		if (!region || !region->size)
			continue;
		if (!is_power_of_two(region->size)) {
			log_err("NIC in slot %u (%s): BAR %u has %llu bytes, "
				"a power of two expected", nic->slot,
				nic->path, i,
				(unsigned long long)region->size);
			return -EPROTO;
		}
		bar->nic = nic;
		bar->idx = i;
		bar->size = region->size;
		if (i == PCI_ROM_BAR || !(reg & PCI_BASE_ADDRESS_SPACE_IO))
			bar->kind = PCI_BAR_MEM32;
		else
			bar->kind = PCI_BAR_IO;
		if (i < PCI_N_BARS - 1 && bar->kind == PCI_BAR_MEM32 &&
		    (reg & PCI_BASE_ADDRESS_MEM_TYPE_64))
			bar->kind = PCI_BAR_MEM64;
		snprintf(name, sizeof(name), i == PCI_ROM_BAR ?
			 "nic@%u rom" : "nic@%u bar%u", nic->slot, i);
		bus_dev_init(&bar->dev, name, &bar_ops, bar,
			     bar->kind == PCI_BAR_IO ? 4 : 8);
	}
	return 0;
}

static int give_memory(struct pci_nic *nic, const struct vm_memory *mem)
{
	struct vm_memory_part part[2];
	unsigned int n = vm_memory_parts(mem, part);
	int err = 0;

	for (unsigned int i = 0; i < n && !err; i++)
		err = vfu_client_map(nic->client, part[i].gpa, part[i].len,
				     PROT_READ | PROT_WRITE, mem->fd,
				     part[i].offset);
	return err;
}

static int give_intx(struct pci_nic *nic)
{
	uint8_t pin = nic->header[PCI_INTERRUPT_PIN];
	int err;

	if (!vfu_client_irqs(nic->client, VFIO_PCI_INTX_IRQ_INDEX) ||
	    pin < 1 || pin > PCI_N_PIRQS)
		return 0;
	err = irq_intx_init(&nic->intx);
	if (err)
		return err;
	nic->has_intx = true;
	nic->pirq = pci_host_pirq(nic->slot, pin);
	err = vfu_client_set_irqs(nic->client, VFIO_PCI_INTX_IRQ_INDEX,
				  VFIO_IRQ_SET_DATA_EVENTFD |
				  VFIO_IRQ_SET_ACTION_UNMASK, 0, 1,
				  &nic->intx.resample_fd);
	if (err)
		return err;
	return vfu_client_set_irqs(nic->client, VFIO_PCI_INTX_IRQ_INDEX,
				   VFIO_IRQ_SET_DATA_EVENTFD |
				   VFIO_IRQ_SET_ACTION_TRIGGER, 0, 1,
				   &nic->intx.trigger_fd);
}

static unsigned int free_slot(const struct pci_host *host)
{
	for (unsigned int i = PCI_SLOT_NIC; i < PCI_N_SLOTS; i++)
		if (!host->slot[i].config_read)
			return i;
	return 0;
}

int pci_nics_add(struct pci_nics *nics, const char *path, unsigned int slot,
		 const struct vm_memory *mem)
{
	struct pci_nic *nic;
	int err;

	if (!slot)
		slot = free_slot(nics->host);
	if (slot <= PCI_SLOT_ISA || slot >= PCI_N_SLOTS ||
	    nics->host->slot[slot].config_read) {
		log_err("NIC %s: no such slot or already taken; 2 to %d "
			"expected", path, PCI_N_SLOTS - 1);
		return -EINVAL;
	}
	nic = &nics->nic[nics->n];
	*nic = (struct pci_nic){
		.nics = nics, .path = path, .slot = slot,
		.intx = { -1, -1, IRQ_NO_GSI },
	};
	err = vfu_client_connect(path, &nic->client);
	if (err) {
		log_err("NIC %s: no vfio-user server answers there: %s", path,
			strerror(-err));
		return err;
	}
	nics->n++;	/* from here on, pci_nics_fini() sees to it */
	err = config_get(nic, 0, nic->header, sizeof(nic->header));
	if (!err)
		err = find_bars(nic);
	if (!err)
		err = give_memory(nic, mem);
	if (!err)
		err = give_intx(nic);
	if (err) {
		log_err("NIC %s: its server refused to be set up: %s", path,
			strerror(-err));
		return err;
	}
	nics->host->slot[slot] = (struct pci_slot){
		nic_config_read, nic_config_write, nic,
	};
	return 0;
}

/* What is left of the windows. */
struct windows {
	uint64_t mem_end;	/* memory is taken from here down */
	uint64_t io_base;	/* ports from here up */
};

static int assign_bar(struct pci_nic *nic, const struct pci_nic_bar *bar,
		      struct windows *w)
{
	uint64_t addr;
	int err;

	if (bar->kind == PCI_BAR_IO) {
		addr = align_up(w->io_base, bar->size);
		if (!range_within(addr, bar->size, IO_WINDOW_END))
			return -ENOSPC;
		w->io_base = addr + bar->size;
	} else {
		if (bar->size > w->mem_end)
			return -ENOSPC;
		addr = (w->mem_end - bar->size) & ~(bar->size - 1);
		if (addr < MEM_WINDOW_BASE)
			return -ENOSPC;
		w->mem_end = addr;
	}
	err = config_put(nic, bar_reg(bar->idx), (uint32_t)addr, 4);
	if (!err && bar->kind == PCI_BAR_MEM64)
		err = config_put(nic, bar_reg(bar->idx) + 4, 0, 4);
	return err;
}

static int start_nic(struct pci_nic *nic, struct windows *w)
{
	int err = vfu_client_reset(nic->client);

	for (unsigned int i = 0; !err && i <= PCI_ROM_BAR; i++)
		if (nic->bar[i].kind != PCI_BAR_NONE)
			err = assign_bar(nic, &nic->bar[i], w);
	if (!err)
		err = config_put(nic, PCI_COMMAND,
				 PCI_COMMAND_IO | PCI_COMMAND_MEMORY, 2);
	if (!err)
		err = config_get(nic, 0, nic->header, sizeof(nic->header));
	return err;
}

/* The line a guest without ACPI looks up: where its PIRQ goes at start. */
static int set_interrupt_line(struct pci_nics *nics, struct pci_nic *nic)
{
	int gsi = pci_host_pirq_gsi(nics->host, nic->pirq);

	if (!nic->has_intx || gsi == IRQ_NO_GSI)
		return 0;
	return config_put(nic, PCI_INTERRUPT_LINE, (uint32_t)gsi, 1);
}

int pci_nics_reset(struct pci_nics *nics)
{
	struct windows w = { MEM_WINDOW_END, IO_WINDOW_BASE };

	for (unsigned int i = 0; i < nics->n; i++) {
		struct pci_nic *nic = &nics->nic[i];
		int err = start_nic(nic, &w);

		if (!err)
			err = set_interrupt_line(nics, nic);
		/* A card that has gone does not keep the machine from
		 * rebooting. */
		if (err && err != -ENOTCONN) {
			log_err("NIC in slot %u (%s): %s", nic->slot,
				nic->path, err == -ENOSPC ?
				"no addresses left for its BARs" :
				strerror(-err));
			return err;
		}
	}
	map_all(nics);
	return 0;
}

void pci_nics_route(struct pci_nics *nics)
{
	for (unsigned int i = 0; i < nics->n; i++) {
		struct pci_nic *nic = &nics->nic[i];

		if (nic->has_intx)
			irq_intx_route(nics->irq, &nic->intx,
				       pci_host_pirq_gsi(nics->host,
							 nic->pirq));
	}
}

void pci_nics_unroute(struct pci_nics *nics)
{
	for (unsigned int i = 0; i < nics->n; i++)
		if (nics->nic[i].has_intx)
			irq_intx_route(nics->irq, &nics->nic[i].intx,
				       IRQ_NO_GSI);
}
