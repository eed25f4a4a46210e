/* SPDX-License-Identifier: Apache-2.0
 *
 * 82540EM: the PHY by MDIC, the link, the EEPROM by EERD and by its pins.
 *
 * Theory of operation of the link.  The PHY has link when a cable is in
 * (port.link_up), it is not powered down or held in reset, and
 * autonegotiation, or taking up a forced mode, is over: E1000_AUTONEG_NS after
 * either began.  In loopback it has link at once.  The MAC sees it (STATUS.LU)
 * if CTRL.SLU is set; each change of LU is an LSC interrupt.
 */
#include <string.h>

#include "nic/e1000/e1000.h"

/* What PHY registers reset to, and what MDIC can write. */
static const struct { uint16_t reset, writable; }
phy_regs[E1000_N_PHY_REGS] = {
#define P(number, name, reset, writable) [number] = { reset, writable },
	E1000_PHY_REGISTERS(P)
#undef P
};

/* Speeds as STATUS and CTRL write them. */
enum speed { SPEED_10, SPEED_100, SPEED_1000 };

bool e1000_loopback(const struct e1000 *dev)
{
	return dev->state->reg[E1000_RCTL] & RCTL_LBM ||
		dev->state->phy[PHY_CTRL] & PHY_CTRL_LOOPBACK;
}

/* The mode the PHY is in, once it has link: the best both ends have, or what is
 * forced.  The other end has everything. */
static enum speed phy_mode(const struct e1000_state *s, bool *full_duplex)
{
	uint16_t ctrl = s->phy[PHY_CTRL], adv = s->phy[PHY_AUTONEG_ADV];
	uint16_t adv_1000 = s->phy[PHY_1000T_CTRL];

	if (!(ctrl & PHY_CTRL_AN_ENABLE)) {
		*full_duplex = ctrl & PHY_CTRL_FD;
		if (ctrl & PHY_CTRL_SPEED_MSB)
			return SPEED_1000;
		return ctrl & PHY_CTRL_SPEED_LSB ? SPEED_100 : SPEED_10;
	}
	if (adv_1000 & (PHY_1000T_ADV_FD | PHY_1000T_ADV_HD)) {
		*full_duplex = adv_1000 & PHY_1000T_ADV_FD;
		return SPEED_1000;
	}
	if (adv & (PHY_ADV_100FD | PHY_ADV_100)) {
		*full_duplex = adv & PHY_ADV_100FD;
		return SPEED_100;
	}
	*full_duplex = adv & PHY_ADV_10FD;
	return SPEED_10;
}

void e1000_link_update(struct e1000 *dev)
{
	struct e1000_state *s = dev->state;
	uint32_t ctrl = s->reg[E1000_CTRL], old = s->reg[E1000_STATUS];
	bool full_duplex;
	uint32_t speed = phy_mode(s, &full_duplex), now;

	now = old & ~(STATUS_LU | STATUS_FD | STATUS_SPEEDS);
	now |= speed << STATUS_ASDV_SHIFT;
	if (ctrl & CTRL_FRCSPD)
		speed = (ctrl & CTRL_SPD) >> CTRL_SPD_SHIFT;
	if (ctrl & CTRL_FRCDPX)
		full_duplex = ctrl & CTRL_FD;
	now |= speed << STATUS_SPEED_SHIFT;
	if (full_duplex)
		now |= STATUS_FD;
	if (s->phy_link && ctrl & CTRL_SLU)
		now |= STATUS_LU;
	s->reg[E1000_STATUS] = now;
	e1000_shared_status(dev);
	if ((now ^ old) & STATUS_LU) {
		dev->tx.wait = false;
		e1000_raise(dev, ICR_LSC);
	}
}

/* The PHY has got or lost link: its registers that tell, then the MAC. */
static void set_phy_link(struct e1000 *dev, bool up)
{
	struct e1000_state *s = dev->state;
	uint16_t *phy = s->phy;
	bool full_duplex, an = phy[PHY_CTRL] & PHY_CTRL_AN_ENABLE;
	uint16_t speed = (uint16_t)phy_mode(s, &full_duplex);

	s->phy_link = up;
	if (!up) {
		s->phy_link_lost = true;
		phy[PHY_STATUS] &= (uint16_t)~(PHY_STATUS_LINK |
					       PHY_STATUS_AN_DONE);
		phy[PHY_LP_ABILITY] = 0;
		phy[PHY_AUTONEG_EXP] &= (uint16_t)~PHY_LP_CAN_AUTONEG;
		phy[PHY_1000T_STATUS] = 0;
		phy[PHY_SPEC_STATUS] = 0;
	} else {
		phy[PHY_STATUS] |= PHY_STATUS_LINK;
		phy[PHY_SPEC_STATUS] = (uint16_t)(PHY_SPEC_LINK |
			PHY_SPEC_RESOLVED | speed << PHY_SPEC_SPEED_SHIFT |
			(full_duplex ? PHY_SPEC_FD : 0));
		if (an) {
			phy[PHY_STATUS] |= PHY_STATUS_AN_DONE;
			phy[PHY_LP_ABILITY] = PHY_LP_ALL;
			phy[PHY_AUTONEG_EXP] |= PHY_LP_CAN_AUTONEG;
		}
		if (speed == SPEED_1000)
			phy[PHY_1000T_STATUS] = PHY_1000T_ALL;
	}
	e1000_link_update(dev);
}

/* Is there what a link needs, but the time to find each other? */
static bool link_possible(const struct e1000 *dev)
{
	const struct e1000_state *s = dev->state;

	return dev->port.link_up && !(s->phy[PHY_CTRL] & PHY_CTRL_POWER_DOWN) &&
		!(s->reg[E1000_CTRL] & CTRL_PHY_RST);
}

void e1000_link_restart(struct e1000 *dev)
{
	bool loopback = dev->state->phy[PHY_CTRL] & PHY_CTRL_LOOPBACK;

	e1000_timer_cancel(dev, E1000_TIMER_LINK);
	if (loopback) {
		set_phy_link(dev, true);
		return;
	}
	if (dev->state->phy_link)
		set_phy_link(dev, false);
	if (link_possible(dev))
		e1000_timer_set(dev, E1000_TIMER_LINK,
				worker_now(dev->worker) + E1000_AUTONEG_NS);
}

void e1000_link_done(struct e1000 *dev)
{
	if (link_possible(dev))
		set_phy_link(dev, true);
}

void e1000_phy_reset(struct e1000 *dev)
{
	for (unsigned int i = 0; i < E1000_N_PHY_REGS; i++)
		dev->state->phy[i] = phy_regs[i].reset;
}

static uint16_t phy_read(struct e1000 *dev, unsigned int reg)
{
	struct e1000_state *s = dev->state;
	uint16_t val = s->phy[reg];

	/* A loss of link shows once, even if it is over (IEEE 802.3,
	 * 22.2.4.2.13). */
	if (reg == PHY_STATUS && s->phy_link_lost) {
		val &= (uint16_t)~PHY_STATUS_LINK;
		s->phy_link_lost = !s->phy_link;
	}
	return val;
}

static void phy_ctrl_write(struct e1000 *dev, uint16_t val)
{
	const uint16_t actions = PHY_CTRL_RESET | PHY_CTRL_AN_RESTART;
	const uint16_t modes = PHY_CTRL_LOOPBACK | PHY_CTRL_POWER_DOWN |
		PHY_CTRL_AN_ENABLE | PHY_CTRL_FD | PHY_CTRL_SPEED_LSB |
		PHY_CTRL_SPEED_MSB;
	uint16_t old = dev->state->phy[PHY_CTRL];

	dev->state->phy[PHY_CTRL] = val & phy_regs[PHY_CTRL].writable &
		(uint16_t)~actions;
	/* RESET keeps the settings; it is how they take effect in the 88E1011.
	 * So it is one more reason to find the link anew. */
	if (val & actions || (val ^ old) & modes)
		e1000_link_restart(dev);
}

static void phy_write(struct e1000 *dev, unsigned int reg, uint16_t val)
{
	uint16_t writable = phy_regs[reg].writable;

	if (reg == PHY_CTRL)
		phy_ctrl_write(dev, val);
	else
		dev->state->phy[reg] = (uint16_t)
			((dev->state->phy[reg] & ~writable) | (val & writable));
}

void e1000_mdic_write(struct e1000 *dev, uint32_t val)
{
	unsigned int reg = val >> MDIC_REG_SHIFT & 31;
	unsigned int addr = val >> MDIC_PHY_SHIFT & 31;

	val &= MDIC_WRITABLE & ~(MDIC_READY | MDIC_ERROR);
	if (addr != E1000_PHY_ADDR)
		val |= MDIC_ERROR;
	else if (val & MDIC_OP_READ)
		val = (val & ~MDIC_DATA) | phy_read(dev, reg);
	else if (val & MDIC_OP_WRITE)
		phy_write(dev, reg, (uint16_t)(val & MDIC_DATA));
	dev->state->reg[E1000_MDIC] = val | MDIC_READY;
	if (val & MDIC_INT_EN)
		e1000_raise(dev, ICR_MDAC);
}

void e1000_eeprom_make(struct e1000 *dev)
{
	uint16_t *word = dev->state->eeprom, sum = 0;

	memset(word, 0xff, sizeof(dev->state->eeprom));
	for (unsigned int i = 0; i < 3; i++)
		word[EEPROM_MAC + i] = (uint16_t)(dev->mac[2 * i] |
						  dev->mac[2 * i + 1] << 8);
	/* IDs of subsystem and device are to be loaded from here. */
	word[EEPROM_INIT_CTRL1] = 0x6403;
	word[EEPROM_SUBSYS] = 0x1100;
	word[EEPROM_SUBSYS_VENDOR] = 0x1af4;
	word[EEPROM_DEVICE] = 0x100e;
	word[EEPROM_VENDOR] = 0x8086;
	/* Advertise symmetric and asymmetric PAUSE. */
	word[EEPROM_INIT_CTRL2] = 0x3000;
	/* No management, no wake-up, no boot agent. */
	for (unsigned int i = EEPROM_INIT_CTRL2 + 1; i < EEPROM_CHECKSUM; i++)
		word[i] = 0;
	for (unsigned int i = 0; i < EEPROM_CHECKSUM; i++)
		sum = (uint16_t)(sum + word[i]);
	word[EEPROM_CHECKSUM] = (uint16_t)(EEPROM_SUM - sum);
}

void e1000_eeprom_load(struct e1000 *dev)
{
	const uint16_t *word = &dev->state->eeprom[EEPROM_MAC];

	dev->state->reg[E1000_RAL] = word[0] | (uint32_t)word[1] << 16;
	dev->state->reg[E1000_RAH] = word[2] | RAH_AV;
}

void e1000_eerd_write(struct e1000 *dev, uint32_t val)
{
	unsigned int word = val >> EERD_ADDR_SHIFT & 0xff;
	uint32_t data = 0xffff;		/* of an address there is not */

	val &= EERD_WRITABLE;
	if (val & EERD_START) {
		if (word < EEPROM_N_WORDS)
			data = dev->state->eeprom[word];
		val = (val & ~EERD_START) | EERD_DONE |
			data << EERD_DATA_SHIFT;
	}
	dev->state->reg[E1000_EERD] = val;
}

/* All bits of a command are in. */
static void microwire_command(struct e1000_state *s)
{
	struct e1000_microwire *mw = &s->microwire;
	unsigned int op = mw->in >> 6 & 3, addr = mw->in & 63;

	mw->n_data = 0;
	mw->data = 0;
	switch (op) {
	case MICROWIRE_READ:
		mw->data = s->eeprom[addr];
		mw->out = 0;	/* a dummy bit comes first */
		break;
	case MICROWIRE_ERASE:
		if (mw->write_enabled)
			s->eeprom[addr] = 0xffff;
		break;
	case MICROWIRE_EXT:
		if (addr >> 4 == MICROWIRE_EXT_EWEN)
			mw->write_enabled = true;
		else if (addr >> 4 == MICROWIRE_EXT_EWDS)
			mw->write_enabled = false;
		break;
	}
}

/* A rising clock with the chip selected. */
static void microwire_clock(struct e1000_state *s, bool in)
{
	struct e1000_microwire *mw = &s->microwire;
	unsigned int op = mw->in >> 6 & 3, addr = mw->in & 63;

	if (mw->n_in < MICROWIRE_CMD_BITS) {
		if (!mw->n_in && !in)
			return;	/* no start bit yet */
		mw->in = mw->in << 1 | in;
		if (++mw->n_in == MICROWIRE_CMD_BITS)
			microwire_command(s);
		return;
	}
	if (op == MICROWIRE_READ) {
		mw->out = mw->data >> 15;
		mw->data = (uint16_t)(mw->data << 1);
		if (++mw->n_data == 16) {	/* goes on with the next word */
			addr = (addr + 1) & 63;
			mw->in = (mw->in & ~63u) | addr;
			mw->data = s->eeprom[addr];
			mw->n_data = 0;
		}
	} else if (op == MICROWIRE_WRITE && mw->n_data < 16) {
		mw->data = (uint16_t)(mw->data << 1 | in);
		if (++mw->n_data == 16 && mw->write_enabled)
			s->eeprom[addr] = mw->data;
	}
}

void e1000_eecd_write(struct e1000 *dev, uint32_t val)
{
	struct e1000_state *s = dev->state;
	uint32_t old = s->reg[E1000_EECD], now;

	now = (old & ~EECD_WRITABLE) | (val & EECD_WRITABLE);
	s->reg[E1000_EECD] = now;
	if (!(now & EECD_CS) || !(old & EECD_CS)) {
		/* Not selected, or only now: ready for a command. */
		s->microwire.n_in = 0;
		s->microwire.in = 0;
		s->microwire.out = 1;
	} else if ((now & ~old) & EECD_SK) {
		microwire_clock(s, now & EECD_DI);
	}
}

uint32_t e1000_eecd_read(struct e1000 *dev)
{
	uint32_t val = dev->state->reg[E1000_EECD] & ~(EECD_DO | EECD_GNT);

	if (val & EECD_REQ)
		val |= EECD_GNT;
	if (dev->state->microwire.out)
		val |= EECD_DO;
	return val;
}
