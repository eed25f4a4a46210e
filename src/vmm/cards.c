/* SPDX-License-Identifier: Apache-2.0
 *
 * NICs and where they are plugged in; see cards.h.
 */
#include "vmm/cards.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/time.h"

enum {
	/* Root ports are functions 0 of these slots of the root bus, then
	 * functions 1, and so on: INTx pins of what is behind ports of one slot
	 * share a line.  The bridges follow from the top down. */
	PORT_FIRST_SLOT = 1, PORT_N_SLOTS = 22,
	DISK_FIRST_SLOT_PCIE = 23,
	BRIDGE_FIRST_SLOT = VM_SLOT_BRIDGE - VM_BRIDGES_MAX + 1,

	/* The guest lets five seconds pass before it acts. */
	ASK_AGAIN_S = 10,
};
_Static_assert(PORT_FIRST_SLOT + PORT_N_SLOTS <= DISK_FIRST_SLOT_PCIE &&
	       DISK_FIRST_SLOT_PCIE + VM_DISKS_MAX <= BRIDGE_FIRST_SLOT,
	       "ports, disks and bridges do not overlap");
_Static_assert((int)VM_SLOT_LAST == PCI_N_SLOTS - 1, "slots of a bus");
_Static_assert((int)PORT_FIRST_SLOT + PORT_N_SLOTS <= PCI_PORT_SLOTS,
	       "they are wired for ports");
_Static_assert(VM_PORTS_MAX <= PORT_N_SLOTS * 8, "eight functions a slot");

static int refuse(struct vm_error *error, int err, const char *fmt, ...)
	printf_like(3, 4);

static int refuse(struct vm_error *error, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(error->text, sizeof(error->text), fmt, ap);
	va_end(ap);
	return err;
}

static int add_port(struct cards *cards, unsigned int i)
{
	struct pci_bridge *port = calloc(1, sizeof(*port));
	int err = port ? pci_port_init(port, cards->host, i + 1) : -ENOMEM;

	if (err) {
		free(port);
		return err;
	}
	cards->port[i] = port;
	pci_bus_add(&cards->host->root,
		    PCI_DEVFN(PORT_FIRST_SLOT + i % PORT_N_SLOTS,
			      i / PORT_N_SLOTS), &port->fn);
	return 0;
}

/* Conventional bridge @i, made when the first card asks for it. */
static int need_bridge(struct cards *cards, unsigned int i)
{
	unsigned int devfn = PCI_DEVFN(VM_SLOT_BRIDGE - i, 0);
	struct pci_bridge *bridge;
	int err;

	if (cards->bridge[i])
		return 0;
	if (cards->host->root.fn[devfn])
		return -EBUSY;
	bridge = calloc(1, sizeof(*bridge));
	err = bridge ? pci_bridge_init(bridge, cards->host) : -ENOMEM;
	if (err) {
		free(bridge);
		return err;
	}
	cards->bridge[i] = bridge;
	pci_bus_add(&cards->host->root, devfn, &bridge->fn);
	return 0;
}

int cards_init(struct cards *cards, struct pci_host *host, struct irq *irq,
	       const struct vm_memory *mem, unsigned int n_ports, int watch_fd)
{
	int err = 0;

	*cards = (struct cards){
		.watch_fd = watch_fd, .host = host, .irq = irq, .mem = mem,
	};
	while (!err && cards->n_ports < n_ports) {
		err = add_port(cards, cards->n_ports);
		if (!err)
			cards->n_ports++;
	}
	return err;
}

static void free_bridge(struct pci_bridge *bridge)
{
	if (!bridge)
		return;
	pci_bus_remove(&bridge->fn);
	pci_bridge_fini(bridge);
	free(bridge);
}

void cards_fini(struct cards *cards)
{
	for (unsigned int i = 0; i < VM_NICS_MAX; i++) {
		struct card *card = &cards->card[i];

		if (card->nic)
			pci_bus_remove(&card->nic->fn);
		pci_nic_destroy(card->nic);
		*card = (struct card){ 0 };
	}
	for (unsigned int i = 0; i < VM_DISKS_MAX; i++) {
		disk_destroy(cards->disk[i]);
		cards->disk[i] = NULL;
	}
	for (unsigned int i = 0; i < VM_BRIDGES_MAX; i++)
		free_bridge(cards->bridge[i]);
	while (cards->n_ports)
		free_bridge(cards->port[--cards->n_ports]);
}

/* Where a card goes. */
struct place {
	struct pci_bus *bus;
	unsigned int devfn;
	struct pci_bridge *port;	/* whose slot it is; NULL: none */
	char where[CARDS_WHERE_MAX];
};

/* Slot @wanted of a conventional bus, or (0) the first free one from @first. */
static int find_slot(const struct pci_bus *bus, unsigned int wanted,
		     unsigned int first)
{
	if (wanted >= PCI_N_SLOTS)
		return -EINVAL;
	if (wanted)
		return bus->fn[PCI_DEVFN(wanted, 0)] ? -EBUSY : (int)wanted;
	for (unsigned int i = first; i < PCI_N_SLOTS; i++)
		if (!bus->fn[PCI_DEVFN(i, 0)])
			return (int)i;
	return -ENOSPC;
}

/* Why find_slot() found none. */
static int refuse_slot(struct vm_error *error, int err, unsigned int wanted)
{
	if (err == -ENOSPC)
		return refuse(error, err, "no slot is free");
	if (err == -EINVAL)
		return refuse(error, err, "there is no slot %u, the last one is "
			      "%d", wanted, VM_SLOT_LAST);
	return refuse(error, err, "slot %u is taken", wanted);
}

static bool port_free(const struct pci_bridge *port)
{
	/* One that is being pulled out is still in there. */
	return !port->present && !port->secondary.fn[0];
}

static int place_in_port(struct cards *cards,
			 const struct vm_nic_config *config, struct place *p,
			 struct vm_error *error)
{
	unsigned int i = config->slot ? config->slot - 1 : 0;

	while (!config->slot && i < cards->n_ports &&
	       !port_free(cards->port[i]))
		i++;
	if (i >= cards->n_ports)
		return refuse(error, -ENOSPC, config->slot ?
			      "there is no such slot" : "no slot is free");
	if (!port_free(cards->port[i]))
		return refuse(error, -EBUSY, "slot %u is taken", i + 1);
	p->port = cards->port[i];
	p->bus = &p->port->secondary;
	p->devfn = 0;
	snprintf(p->where, sizeof(p->where), "port%u", i + 1);
	return 0;
}

static int find_place(struct cards *cards, const struct vm_nic_config *config,
		      struct place *p, struct vm_error *error)
{
	int slot;

	if (!config->bridge && cards->n_ports)
		return place_in_port(cards, config, p, error);
	if (!config->bridge) {
		p->bus = &cards->host->root;
		slot = find_slot(p->bus, config->slot, VM_PC_SLOT_NIC);
		snprintf(p->where, sizeof(p->where), "%d", slot);
	} else {
		slot = need_bridge(cards, config->bridge - 1);
		if (slot)
			return refuse(error, slot, "bridge %u cannot be had: "
				      "%s", config->bridge, strerror(-slot));
		p->bus = &cards->bridge[config->bridge - 1]->secondary;
		slot = find_slot(p->bus, config->slot, 1);
		snprintf(p->where, sizeof(p->where), "bridge%u.%d",
			 config->bridge, slot);
	}
	if (slot < 0)
		return refuse_slot(error, slot, config->slot);
	p->devfn = PCI_DEVFN((unsigned int)slot, 0);
	return 0;
}

static struct card *find_card(struct cards *cards, const char *id)
{
	for (unsigned int i = 0; i < VM_NICS_MAX; i++)
		if (cards->card[i].nic && !strcmp(cards->card[i].nic->id, id))
			return &cards->card[i];
	return NULL;
}

static struct card *free_card(struct cards *cards)
{
	for (unsigned int i = 0; i < VM_NICS_MAX; i++)
		if (!cards->card[i].nic)
			return &cards->card[i];
	return NULL;
}

/* A name for a card that was given none. */
static void pick_id(struct cards *cards, char id[PCI_NIC_NAME_MAX])
{
	unsigned int i = 0;

	do {
		snprintf(id, PCI_NIC_NAME_MAX, "nic%u", i++);
	} while (find_card(cards, id));
}

int cards_add(struct cards *cards, const struct vm_nic_config *config,
	      bool running, struct vm_error *error)
{
	struct card *card = free_card(cards);
	struct place place = { .port = NULL };
	struct pci_nic *nic;
	char id[PCI_NIC_NAME_MAX];
	int err;

	if (!card)
		return refuse(error, -ENOSPC, "%d NICs are the most there "
			      "can be", VM_NICS_MAX);
	if (config->id && find_card(cards, config->id))
		return refuse(error, -EEXIST, "there is a NIC %s already",
			      config->id);
	if (running && (!cards->n_ports || config->bridge))
		return refuse(error, -EOPNOTSUPP, "a NIC can be plugged into "
			      "a root port only (board pcie)");
	err = find_place(cards, config, &place, error);
	if (err)
		return err;
	snprintf(id, sizeof(id), "%s", config->id ? config->id : "");
	if (!*id)
		pick_id(cards, id);
	err = pci_nic_create(cards->host, cards->irq, config->path, id,
			     place.where, cards->mem, &nic);
	if (err)
		return refuse(error, err, "no vfio-user server at %s, or it "
			      "refused: %s", config->path, strerror(-err));
	err = vfu_client_watch(nic->client, cards->watch_fd);
	if (err) {
		pci_nic_destroy(nic);
		return refuse(error, err, "NIC %s cannot be watched: %s",
			      id, strerror(-err));
	}
	pthread_mutex_lock(&cards->host->lock);
	*card = (struct card){
		.nic = nic, .serial = ++cards->n_cards, .port = place.port,
	};
	memcpy(card->where, place.where, sizeof(card->where));
	pci_bus_add(place.bus, place.devfn, &nic->fn);
	if (running)
		pci_host_route(cards->host);
	if (place.port)
		pci_port_plug(place.port);
	pthread_mutex_unlock(&cards->host->lock);
	return 0;
}

int cards_add_disk(struct cards *cards, const struct vm_disk_config *config,
		   struct vm_error *error)
{
	bool pcie = cards->host->board == VM_BOARD_PCIE;
	struct pci_bus *root = &cards->host->root;
	unsigned int i = 0;
	char where[CARDS_WHERE_MAX];
	int slot, err;

	while (i < VM_DISKS_MAX && cards->disk[i])
		i++;
	if (i == VM_DISKS_MAX)
		return refuse(error, -ENOSPC, "%d disks are the most there "
			      "can be", VM_DISKS_MAX);
	if (pcie && config->slot)
		return refuse(error, -EINVAL, "a disk's slot can be chosen on "
			      "the board pc only");
	slot = find_slot(root, config->slot, pcie ? DISK_FIRST_SLOT_PCIE :
			 VM_PC_SLOT_DISK);
	if (slot < 0)
		return refuse_slot(error, slot, config->slot);
	snprintf(where, sizeof(where), "%d", slot);
	err = disk_create(cards->host, &config->image, where, cards->mem,
			  &cards->disk[i]);
	if (err)
		return refuse(error, err, "%s", strerror(-err));
	pci_bus_add(root, PCI_DEVFN((unsigned int)slot, 0),
		    disk_function(cards->disk[i]));
	return 0;
}

static void release(struct card *card)
{
	__atomic_store_n(&card->released, true, __ATOMIC_RELEASE);
}

int cards_ask(struct cards *cards, const char *id, bool pull,
	      struct vm_error *error)
{
	struct card *card = find_card(cards, id);
	uint64_t now_ns = time_now_ns();

	if (!card)
		return refuse(error, -ENOENT, "there is no NIC %s", id);
	if (!card->port)
		return refuse(error, -EOPNOTSUPP, "NIC %s is not in a root "
			      "port (board pcie), and cannot be taken out", id);
	if (!pull && card->asked_ns &&
	    now_ns - card->asked_ns < ASK_AGAIN_S * NS_PER_S)
		return refuse(error, -EBUSY, "the guest has been asked to let "
			      "go of %s already", id);
	pthread_mutex_lock(&cards->host->lock);
	card->asked_ns = now_ns;
	/* Not there, it may have been released a moment ago; or its server has
	 * gone again, just when it was to be plugged in anew. */
	if (!card->port->present) {
		release(card);
	} else if (pull || pci_port_ask(card->port)) {
		pci_port_unplug(card->port);
		release(card);
	}
	pthread_mutex_unlock(&cards->host->lock);
	return 0;
}

void cards_released(struct cards *cards, const struct pci_bridge *port)
{
	for (unsigned int i = 0; i < VM_NICS_MAX; i++)
		if (cards->card[i].nic && cards->card[i].port == port)
			release(&cards->card[i]);
}

bool cards_any_released(const struct cards *cards)
{
	for (unsigned int i = 0; i < VM_NICS_MAX; i++)
		if (__atomic_load_n(&cards->card[i].released,
				    __ATOMIC_ACQUIRE))
			return true;
	return false;
}

void cards_reap(struct cards *cards, void (*wait)(void *arg), void *arg)
{
	if (!cards_any_released(cards))
		return;
	pthread_mutex_lock(&cards->host->lock);
	for (unsigned int i = 0; i < VM_NICS_MAX; i++) {
		struct card *card = &cards->card[i];

		if (!card->released)
			continue;
		pci_nic_unroute(card->nic);
		pci_bus_remove(&card->nic->fn);
	}
	pci_host_map(cards->host);
	pthread_mutex_unlock(&cards->host->lock);
	wait(arg);
	for (unsigned int i = 0; i < VM_NICS_MAX; i++) {
		struct card *card = &cards->card[i];

		struct pci_nic *nic = card->nic;

		if (!card->released || nic->fn.bus)
			continue;
		pthread_mutex_lock(&cards->host->lock);
		*card = (struct card){ 0 };
		pthread_mutex_unlock(&cards->host->lock);
		log_info("NIC %s has been taken out", nic->id);
		pci_nic_destroy(nic);
	}
}

bool cards_find_lost(struct cards *cards, unsigned int idx,
		     struct cards_lost *lost)
{
	for (; idx < VM_NICS_MAX; idx++) {
		const struct card *card = &cards->card[idx];

		if (!card->nic || card->released ||
		    !pci_nic_is_lost(card->nic))
			continue;
		lost->idx = idx;
		lost->serial = card->serial;
		lost->session = card->nic->session;
		snprintf(lost->path, sizeof(lost->path), "%s",
			 card->nic->path);
		return true;
	}
	return false;
}

/* With the PCI lock held. */
static int go_on(struct cards *cards, struct card *card,
		 struct vfu_client *fresh, const struct vfu_session *session,
		 struct vfu_client **old)
{
	bool same = pci_nic_resumes(card->nic, fresh, session);
	bool replug = !same && card->port;
	int err = pci_nic_check(card->nic, fresh);

	if (err)
		return err;
	/* The guest's driver finds the new card at the old one's addresses:
	 * Linux's for virtio, when it lets go of a card, waits for its status
	 * to become 0, which ones would never do. */
	if (replug)
		pci_port_unplug(card->port);
	err = pci_nic_reconnect(card->nic, fresh, session, old);
	if (err)
		return err;
	log_info("NIC %s: its server is back%s", card->nic->id, same ? "" :
		 replug ? ", a new one: the card has been plugged in anew" :
		 ", a new one: the card is as after power-on, and its driver "
		 "may have to be restarted");
	if (replug && card->asked_ns)
		release(card);
	else if (replug)
		pci_port_plug(card->port);
	return 0;
}

int cards_reconnect(struct cards *cards, const struct cards_lost *lost,
		    struct vfu_client *fresh,
		    const struct vfu_session *session,
		    void (*wait)(void *arg), void *arg)
{
	struct card *card = &cards->card[lost->idx];
	int err = vfu_client_watch(fresh, cards->watch_fd);
	struct vfu_client *old = NULL;

	pthread_mutex_lock(&cards->host->lock);
	if (!err && card->nic && card->serial == lost->serial &&
	    !card->released)
		err = go_on(cards, card, fresh, session, &old);
	pthread_mutex_unlock(&cards->host->lock);
	if (!old) {
		vfu_client_close(fresh);
		return err;
	}
	wait(arg);
	pci_nic_reconnected(card->nic, old);
	return 0;
}

void cards_reset(struct cards *cards)
{
	pthread_mutex_lock(&cards->host->lock);
	for (unsigned int i = 0; i < VM_NICS_MAX; i++) {
		struct card *card = &cards->card[i];

		if (!card->asked_ns || card->released)
			continue;
		pci_port_unplug(card->port);
		release(card);
	}
	pthread_mutex_unlock(&cards->host->lock);
}

void cards_unroute(struct cards *cards)
{
	for (unsigned int i = 0; i < VM_NICS_MAX; i++)
		if (cards->card[i].nic)
			pci_nic_unroute(cards->card[i].nic);
}
