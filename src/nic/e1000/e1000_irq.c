/* SPDX-License-Identifier: Apache-2.0
 *
 * 82540EM interrupts (13.4.17 to 13.4.21): causes, masks, the pin; throttling
 * by ITR; the delays of RDTR, RADV, TIDV and TADV (3.2.7, 3.4.3).
 *
 * Theory of operation.  The pin is high while a cause is set in ICR that IMS
 * lets through.  It falls at once when that ends.  It rises at once too, except
 * within ITR's interval since it last rose; then a timer makes up for it.
 *
 * RXT0 and TXDW may be delayed before they become causes at all: by a timer
 * that each packet starts anew (RDTR, TIDV), whose effect another one limits,
 * which the first packet starts (RADV, TADV).
 *
 * ICR and IMS may be in memory shared with the client (e1000_shared.c): each is
 * changed atomically, and the pin follows when a cause is added, the end of an
 * interrupt is told, or the client sends anything else.
 */
#include "nic/e1000/e1000.h"

void e1000_timer_set(struct e1000 *dev, enum e1000_timer_id id,
		     uint64_t due_ns)
{
	dev->state->timer_due_ns[id] = due_ns;
	worker_set_timer(dev->worker, &dev->timer[id], due_ns);
}

void e1000_timer_cancel(struct e1000 *dev, enum e1000_timer_id id)
{
	dev->state->timer_due_ns[id] = 0;
	worker_cancel_timer(dev->worker, &dev->timer[id]);
}

static bool timer_runs(const struct e1000 *dev, enum e1000_timer_id id)
{
	return dev->state->timer_due_ns[id];
}

void e1000_irq_update(struct e1000 *dev)
{
	struct e1000_state *s = dev->state;
	uint64_t now, next;

	if (!(pci_shared_load(dev->icr) & pci_shared_load(dev->ims))) {
		if (dev->pci.intx_level)
			pci_set_intx(&dev->pci, false);
		return;
	}
	if (dev->pci.intx_level)
		return;
	now = worker_now(dev->worker);
	next = s->irq_last_ns + (uint64_t)s->reg[E1000_ITR] * ITR_UNIT_NS;
	if (s->irq_last_ns && now < next) {
		if (!timer_runs(dev, E1000_TIMER_ITR))
			counter_add(&dev->counters.irq_throttled, 1);
		if (s->timer_due_ns[E1000_TIMER_ITR] != next)
			e1000_timer_set(dev, E1000_TIMER_ITR, next);
		return;
	}
	s->irq_last_ns = now;
	counter_add(&dev->counters.interrupts, 1);
	pci_set_intx(&dev->pci, true);
}

void e1000_raise(struct e1000 *dev, uint32_t causes)
{
	uint32_t before = __atomic_fetch_or(dev->icr, causes,
					    __ATOMIC_SEQ_CST);

	/* It has fallen since, by an access in shared memory: this is another
	 * edge, which counts where edges are signalled (MSI). */
	if (dev->pci.intx_level && !(before & pci_shared_load(dev->ims)))
		pci_set_intx(&dev->pci, false);
	e1000_irq_update(dev);
}

/* Start a pair of delay timers; false: there is no delay. */
static bool delay(struct e1000 *dev, enum e1000_slot rel_reg,
		  enum e1000_timer_id rel, enum e1000_slot abs_reg,
		  enum e1000_timer_id abs)
{
	const uint32_t *reg = dev->state->reg;
	uint64_t now = worker_now(dev->worker);

	if (!reg[rel_reg])
		return false;
	e1000_timer_set(dev, rel,
			now + (uint64_t)reg[rel_reg] * DELAY_UNIT_NS);
	if (reg[abs_reg] && !timer_runs(dev, abs))
		e1000_timer_set(dev, abs,
				now + (uint64_t)reg[abs_reg] * DELAY_UNIT_NS);
	return true;
}

/* Whatever raises the cause, what was to raise it later need not any more
 * (3.2.7.1, 13.4.44). */
static void raise_rx(struct e1000 *dev)
{
	e1000_timer_cancel(dev, E1000_TIMER_RDTR);
	e1000_timer_cancel(dev, E1000_TIMER_RADV);
	e1000_raise(dev, ICR_RXT0);
}

static void raise_tx(struct e1000 *dev)
{
	e1000_timer_cancel(dev, E1000_TIMER_TIDV);
	e1000_timer_cancel(dev, E1000_TIMER_TADV);
	e1000_raise(dev, ICR_TXDW);
}

/* The timers run, or have just expired: an interrupt is owed. */
void e1000_irq_rx_flush(struct e1000 *dev)
{
	if (timer_runs(dev, E1000_TIMER_RDTR) ||
	    timer_runs(dev, E1000_TIMER_RADV))
		raise_rx(dev);
}

void e1000_irq_tx_flush(struct e1000 *dev)
{
	if (timer_runs(dev, E1000_TIMER_TIDV) ||
	    timer_runs(dev, E1000_TIMER_TADV))
		raise_tx(dev);
}

void e1000_irq_received(struct e1000 *dev, bool now)
{
	if (now || !delay(dev, E1000_RDTR, E1000_TIMER_RDTR,
			  E1000_RADV, E1000_TIMER_RADV))
		raise_rx(dev);
}

void e1000_irq_sent(struct e1000 *dev, bool may_delay)
{
	if (!may_delay || !delay(dev, E1000_TIDV, E1000_TIMER_TIDV,
				 E1000_TADV, E1000_TIMER_TADV))
		raise_tx(dev);
}

static void link_expired(struct timer *timer)
{
	struct e1000 *dev = container_of(timer, struct e1000,
					 timer[E1000_TIMER_LINK]);

	dev->state->timer_due_ns[E1000_TIMER_LINK] = 0;
	e1000_link_done(dev);
}

static void itr_expired(struct timer *timer)
{
	struct e1000 *dev = container_of(timer, struct e1000,
					 timer[E1000_TIMER_ITR]);

	dev->state->timer_due_ns[E1000_TIMER_ITR] = 0;
	e1000_irq_update(dev);
}

static void rdtr_expired(struct timer *timer)
{
	raise_rx(container_of(timer, struct e1000,
					 timer[E1000_TIMER_RDTR]));
}

static void radv_expired(struct timer *timer)
{
	raise_rx(container_of(timer, struct e1000,
					 timer[E1000_TIMER_RADV]));
}

static void tidv_expired(struct timer *timer)
{
	raise_tx(container_of(timer, struct e1000,
					 timer[E1000_TIMER_TIDV]));
}

static void tadv_expired(struct timer *timer)
{
	raise_tx(container_of(timer, struct e1000,
					 timer[E1000_TIMER_TADV]));
}

void e1000_irq_init(struct e1000 *dev)
{
	static void (*const expired[E1000_N_TIMERS])(struct timer *) = {
		[E1000_TIMER_LINK] = link_expired,
		[E1000_TIMER_ITR] = itr_expired,
		[E1000_TIMER_RDTR] = rdtr_expired,
		[E1000_TIMER_RADV] = radv_expired,
		[E1000_TIMER_TIDV] = tidv_expired,
		[E1000_TIMER_TADV] = tadv_expired,
	};

	for (unsigned int id = 0; id < E1000_N_TIMERS; id++) {
		dev->timer[id].expired = expired[id];
		list_init(&dev->timer[id].node);
	}
}
