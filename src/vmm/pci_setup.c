/* SPDX-License-Identifier: Apache-2.0
 *
 * Addresses for PCI; see pci_setup.h.
 *
 * Each bus has three pools of addresses.  What wants some of a pool (BARs on
 * the bus, windows of the bridges on it) is laid out from the largest alignment
 * to the smallest, without gaps.  Doing that from address 0 tells how much a
 * bus wants, which is the size of its bridge's window; doing it once more from
 * the root downwards, with addresses, hands them out.
 */
#include "vmm/pci_setup.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>

#include "base/log.h"
#include "vmm/pci_bridge.h"

enum pool { POOL_IO, POOL_MEM, POOL_PREF, N_POOLS };

/* What a pool is called, and what its windows come in. */
static const struct {
	const char *what;
	uint64_t granule;
} pools[N_POOLS] = {
	[POOL_IO] = { "ports", PCI_BRIDGE_IO_GRANULE },
	[POOL_MEM] = { "memory", PCI_BRIDGE_MEM_GRANULE },
	[POOL_PREF] = { "prefetchable memory", PCI_BRIDGE_MEM_GRANULE },
};

/* Ports: as a BIOS has them, or where there is more room. */
#define IO_BASE 0xc000ull
#define IO_BASE_LOW 0x1000ull
#define IO_END 0x10000ull

/* One who wants addresses. */
struct want {
	struct pci_function *fn;
	unsigned int bar;	/* of it; N_BARS_ALL: its window, as a bridge */
	uint64_t size;
	uint64_t align;
	unsigned int order;	/* in which it was found */
};

enum { N_BARS_ALL = PCI_N_BARS + 1 };

struct setup {
	struct pci_host *host;
	unsigned int last_bus;		/* number given out last */
	unsigned int io_windows;	/* windows of ports left to give out */
	unsigned int n_without_io;	/* root ports with a card that go
					 * without */
	int err;
};

/* The wants of one bus from one pool. */
struct wants {
	struct want *want;
	size_t n;
	uint64_t size;			/* all together */
	uint64_t align;			/* the largest, at least 1 */
};

static int pool_of(const struct setup *s, const struct pci_bar *bar)
{
	if (bar->kind == PCI_BAR_IO)
		return POOL_IO;
	/* 440FX: nothing above 4 GiB. */
	return bar->kind == PCI_BAR_MEM64 && bar->prefetchable &&
	       s->host->board == VM_BOARD_PCIE ? POOL_PREF : POOL_MEM;
}

static void want_add(struct setup *s, struct wants *w, struct want want)
{
	struct want *more = realloc(w->want, (w->n + 1) * sizeof(*more));

	if (!more) {
		s->err = -ENOMEM;
		return;
	}
	want.order = (unsigned int)w->n;
	w->want = more;
	w->want[w->n++] = want;
}

static int compare(const void *a, const void *b)
{
	const struct want *x = a, *y = b;

	if (x->align != y->align)
		return x->align > y->align ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

static struct wants find_wants(struct setup *s, struct pci_bus *bus, int pool);

/* A bridge's window: what is behind it; at a root port at least a granule, for
 * a card to come. */
static void want_window(struct setup *s, struct wants *w,
			struct pci_function *fn, int pool)
{
	struct wants behind = find_wants(s, &fn->bridge->secondary, pool);
	uint64_t granule = pools[pool].granule;
	struct want want = { .fn = fn, .bar = N_BARS_ALL };

	if (fn->bridge->is_port && !behind.size)
		behind.size = granule;
	if (fn->bridge->is_port && pool == POOL_IO && !fn->bridge->has_io)
		behind.size = 0;
	want.size = align_up(behind.size, granule);
	want.align = max_of(behind.align, granule);
	if (want.size)
		want_add(s, w, want);
	free(behind.want);
}

/* What the functions on a bus want, in the order it is laid out. */
static struct wants find_wants(struct setup *s, struct pci_bus *bus, int pool)
{
	struct wants w = { .align = 1 };

	for (unsigned int i = 0; i < bus->end; i++) {
		struct pci_function *fn = bus->fn[i];

		for (unsigned int bar = 0; fn && fn->ops->bar &&
		     bar < N_BARS_ALL; bar++) {
			const struct pci_bar *b = fn->ops->bar(fn, bar);

			if (b->kind != PCI_BAR_NONE && pool_of(s, b) == pool)
				want_add(s, &w, (struct want){
					.fn = fn, .bar = bar,
					.size = b->size, .align = b->size,
				});
		}
		if (fn && fn->bridge)
			want_window(s, &w, fn, pool);
	}
	if (w.n)
		qsort(w.want, w.n, sizeof(*w.want), compare);
	for (size_t i = 0; i < w.n; i++) {
		w.size = align_up(w.size, w.want[i].align) + w.want[i].size;
		w.align = max_of(w.align, w.want[i].align);
	}
	return w;
}

static void put(struct pci_function *fn, unsigned int off, unsigned int len,
		uint64_t val)
{
	fn->ops->config_write(fn, off, len, (uint32_t)val);
}

static void set_window(struct pci_function *fn, int pool, uint64_t base,
		       uint64_t size)
{
	uint64_t limit = base + size - 1;

	switch (pool) {
	case POOL_IO:
		put(fn, PCI_IO_BASE, 1, base >> 8);
		put(fn, PCI_IO_LIMIT, 1, limit >> 8);
		break;
	case POOL_MEM:
		put(fn, PCI_MEMORY_BASE, 2, base >> 16);
		put(fn, PCI_MEMORY_LIMIT, 2, limit >> 16);
		break;
	default:
		put(fn, PCI_PREF_MEMORY_BASE, 2, base >> 16);
		put(fn, PCI_PREF_MEMORY_LIMIT, 2, limit >> 16);
		put(fn, PCI_PREF_BASE_UPPER32, 4, base >> 32);
		put(fn, PCI_PREF_LIMIT_UPPER32, 4, limit >> 32);
		break;
	}
}

static void set_bar(struct pci_function *fn, unsigned int bar, uint64_t base)
{
	unsigned int off = bar == PCI_ROM_BAR ? PCI_ROM_ADDRESS :
		PCI_BASE_ADDRESS_0 + 4 * bar;

	put(fn, off, 4, base);
	if (fn->ops->bar(fn, bar)->kind == PCI_BAR_MEM64)
		put(fn, off + 4, 4, base >> 32);
}

/* Hand out a bus's share of a pool from @base on. */
static void give(struct setup *s, struct pci_bus *bus, int pool, uint64_t base)
{
	struct wants w = find_wants(s, bus, pool);

	for (size_t i = 0; i < w.n; i++) {
		const struct want *want = &w.want[i];

		base = align_up(base, want->align);
		if (want->bar == N_BARS_ALL) {
			set_window(want->fn, pool, base, want->size);
			give(s, &want->fn->bridge->secondary, pool, base);
		} else {
			set_bar(want->fn, want->bar, base);
		}
		base += want->size;
	}
	free(w.want);
}

/* The highest place below @end that is not below @base; false: none is. */
static bool fit_below(const struct wants *w, uint64_t base, uint64_t end,
		      uint64_t *at)
{
	if (w->size > end - base)
		return false;
	*at = (end - w->size) & ~(w->align - 1);
	return *at >= base;
}

/* Where on the root bus a pool's addresses start; false: too few. */
static bool place(const struct setup *s, int pool, const struct wants *w,
		  uint64_t *at)
{
	switch (pool) {
	case POOL_IO:
		*at = align_up(IO_BASE, w->align);
		if (!range_within(*at, w->size, IO_END))
			*at = align_up(IO_BASE_LOW, w->align);
		return range_within(*at, w->size, IO_END);
	case POOL_MEM:
		return fit_below(w, s->host->board == VM_BOARD_PCIE ?
				 VM_ECAM_BASE + VM_ECAM_LEN : VM_PCI_HOLE_BASE,
				 VM_PCI_HOLE_END, at);
	default:
		*at = align_up(VM_PCI_HIGH_BASE, w->align);
		return range_within(*at - VM_PCI_HIGH_BASE, w->size,
				    VM_PCI_HIGH_LEN);
	}
}

static void setup_pool(struct setup *s, int pool)
{
	struct wants w = find_wants(s, &s->host->root, pool);
	uint64_t at;

	free(w.want);
	if (!w.size || s->err)
		return;
	if (place(s, pool, &w, &at)) {
		give(s, &s->host->root, pool, at);
		return;
	}
	s->err = -ENOSPC;
	log_err("PCI: the cards want %llu KiB of %s, more than there is",
		(unsigned long long)(w.size >> 10), pools[pool].what);
}

/* Windows of ports, for root ports in their order: at first none, then to those
 * with cards that want one, then to empty slots. */
static void close_io(struct pci_function *fn, void *arg)
{
	if (fn->bridge && fn->bridge->is_port)
		fn->bridge->has_io = false;
}

static void take_io(struct setup *s, struct pci_bridge *port, uint64_t size)
{
	unsigned int n = (unsigned int)(align_up(size, PCI_BRIDGE_IO_GRANULE) /
					PCI_BRIDGE_IO_GRANULE);

	port->has_io = n <= s->io_windows;
	if (port->has_io)
		s->io_windows -= n;
	else
		s->n_without_io += port->present;
}

static void open_io(struct pci_function *fn, void *arg)
{
	struct setup *s = arg;
	struct wants behind;

	if (!fn->bridge || !fn->bridge->is_port)
		return;
	behind = find_wants(s, &fn->bridge->secondary, POOL_IO);
	free(behind.want);
	if (behind.size)
		take_io(s, fn->bridge, behind.size);
}

static void open_spare_io(struct pci_function *fn, void *arg)
{
	if (fn->bridge && fn->bridge->is_port && !fn->bridge->present)
		take_io(arg, fn->bridge, PCI_BRIDGE_IO_GRANULE);
}

static void share_io(struct setup *s)
{
	struct pci_bus *root = &s->host->root;
	uint64_t left = IO_END - IO_BASE_LOW;
	struct wants w;

	pci_bus_walk(root, close_io, NULL);
	w = find_wants(s, root, POOL_IO);
	free(w.want);
	left -= min_of(left, align_up(w.size, PCI_BRIDGE_IO_GRANULE));
	s->io_windows = (unsigned int)(left / PCI_BRIDGE_IO_GRANULE);
	pci_bus_walk(root, open_io, s);
	pci_bus_walk(root, open_spare_io, s);
	if (s->n_without_io)
		log_warn("PCI: no I/O ports are left for the cards in %u root "
			 "ports, each of which takes 4 KiB: an e1000 will not "
			 "work there, but behind a PCI bridge (bridge=N)",
			 s->n_without_io);
}

/* Depth first, as a guest would. */
static void number_buses(struct setup *s, struct pci_bus *bus,
			 unsigned int number)
{
	for (unsigned int i = 0; i < bus->end; i++) {
		struct pci_function *fn = bus->fn[i];

		if (!fn || !fn->bridge)
			continue;
		put(fn, PCI_PRIMARY_BUS, 1, number);
		put(fn, PCI_SECONDARY_BUS, 1, ++s->last_bus);
		number_buses(s, &fn->bridge->secondary, s->last_bus);
		put(fn, PCI_SUBORDINATE_BUS, 1, s->last_bus);
	}
}

/* Decoding on; a bridge hands on what its cards send to memory as well. */
static void enable(struct pci_function *fn, void *arg)
{
	struct setup *s = arg;
	uint32_t pin = fn->ops->config_read(fn, PCI_INTERRUPT_PIN, 1) & 0xff;
	int gsi;

	if (fn->ops->bar || fn->bridge)
		put(fn, PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MEMORY |
		    PCI_COMMAND_SERR |
		    (fn->bridge ? PCI_COMMAND_MASTER : 0));
	if (pin < 1 || pin > PCI_N_PINS || !(fn->ops->bar || fn->bridge))
		return;
	/* What a guest without ACPI looks up. */
	gsi = pci_host_gsi(s->host, fn, pin);
	if (gsi != IRQ_NO_GSI)
		put(fn, PCI_INTERRUPT_LINE, 1, (uint64_t)gsi);
}

int pci_setup(struct pci_host *host)
{
	struct setup s = { .host = host };

	pthread_mutex_lock(&host->lock);
	host->quiet = true;
	number_buses(&s, &host->root, 0);
	share_io(&s);
	for (int pool = 0; pool < N_POOLS; pool++)
		setup_pool(&s, pool);
	if (!s.err)
		pci_bus_walk(&host->root, enable, &s);
	host->quiet = false;
	pci_host_map(host);
	pci_host_gate(host);
	pci_host_route(host);
	pthread_mutex_unlock(&host->lock);
	return s.err;
}
