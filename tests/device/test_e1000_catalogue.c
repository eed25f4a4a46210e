/* SPDX-License-Identifier: Apache-2.0
 *
 * The e1000's registers against a second list of them, written from the
 * manual's chapter 13 and not from the catalogue in src/nic/e1000: where each
 * one lies, what it holds after each kind of reset, which bits a driver can
 * change, what a read does to it; and that there is nothing between them.
 */
#include "e1000_rig.h"

#include <string.h>

enum kind {
	RW,		/* keeps what is written to its writable bits */
	RW_PART,	/* the same, but bits in it have effects: see `avoid` */
	RO,		/* a write changes nothing */
	RC,		/* statistics: a read clears it; a write does nothing */
	RC_LOW,		/* ... a read of the next one clears it */
	OWN,		/* has effects; tested in another file */
};

struct reg {
	const char *name;
	uint32_t offset, n, stride;
	uint32_t reset;		/* after power-on, without link */
	uint32_t writable;
	enum kind kind;
	uint32_t avoid;		/* RW_PART: bits not to be set here */
};

#define ONE(name, offset, reset, writable, kind) \
	{ #name, offset, 1, 0, reset, writable, kind, 0 }
#define MANY(name, offset, n, stride, writable) \
	{ #name, offset, n, stride, 0, writable, RW, 0 }
#define STAT(name, offset) ONE(name, offset, 0, 0, RC)
#define STAT64(low, high, offset) \
	ONE(low, offset, 0, 0, RC_LOW), ONE(high, offset + 4, 0, 0, RC)

static const struct reg regs[] = {
	/* 13.4.1 to 13.4.16.  CTRL: SLU, 1000 Mbit/s, SDP0, ADVD3WUC; RST and
	 * PHY_RST are left alone. */
	{ "CTRL", 0x0000, 1, 0, 0x00140240, 0x5bfc1be9, RW_PART, 0x84000000 },
	ONE(STATUS, 0x0008, 0x00000281, 0, RO),
	ONE(EECD, 0x0010, 0x00000108, 0, OWN),
	ONE(EERD, 0x0014, 0, 0, OWN),
	{ "CTRL_EXT", 0x0018, 1, 0, 0, 0x10c0cfff, RW_PART, 0x00002000 },
	ONE(FLA, 0x001c, 0, 0, RO),
	ONE(MDIC, 0x0020, 0, 0, OWN),
	ONE(FCAL, 0x0028, 0, 0xffffffff, RW),
	ONE(FCAH, 0x002c, 0, 0x0000ffff, RW),
	ONE(FCT, 0x0030, 0, 0x0000ffff, RW),
	ONE(VET, 0x0038, 0x8100, 0x0000ffff, RW),
	ONE(FCTTV, 0x0170, 0, 0x0000ffff, RW),
	ONE(TXCW, 0x0178, 0, 0xc000ffff, RW),
	ONE(RXCW, 0x0180, 0, 0, RO),
	ONE(LEDCTL, 0x0e00, 0x602, 0xffffffff, RW),
	ONE(PBA, 0x1000, 0x00100030, 0, OWN),
	/* 13.4.17 to 13.4.21 */
	ONE(ICR, 0x00c0, 0, 0, OWN),
	ONE(ITR, 0x00c4, 0, 0x0000ffff, RW),
	ONE(ICS, 0x00c8, 0, 0, OWN),
	ONE(IMS, 0x00d0, 0, 0, OWN),
	ONE(IMC, 0x00d8, 0, 0, OWN),
	/* 13.4.22 to 13.4.32, 13.4.46, 13.4.47 */
	ONE(RCTL, 0x0100, 0, 0x06dfb3fe, RW),
	ONE(FCRTL, 0x2160, 0, 0x8000fff8, RW),
	ONE(FCRTH, 0x2168, 0, 0x0000fff8, RW),
	ONE(RDBAL, 0x2800, 0, 0xfffffff0, RW),
	ONE(RDBAH, 0x2804, 0, 0xffffffff, RW),
	ONE(RDLEN, 0x2808, 0, 0x000fff80, RW),
	ONE(RDH, 0x2810, 0, 0x0000ffff, RW),
	ONE(RDT, 0x2818, 0, 0x0000ffff, RW),
	{ "RDTR", 0x2820, 1, 0, 0, 0x0000ffff, RW_PART, 0x80000000 },
	ONE(RXDCTL, 0x2828, 0, 0x013f3f3f, RW),
	ONE(RADV, 0x282c, 0, 0x0000ffff, RW),
	ONE(RSRPD, 0x2c00, 0, 0x00000fff, RW),
	ONE(RXCSUM, 0x5000, 0, 0x000007ff, RW),
	/* 13.4.33 to 13.4.45 */
	ONE(TCTL, 0x0400, 0, 0x03fffffa, RW),
	ONE(TIPG, 0x0410, 0, 0x3fffffff, RW),
	ONE(AIT, 0x0458, 0, 0x0000ffff, RW),
	ONE(TXDMAC, 0x3000, 0, 0x00000001, RW),
	ONE(TDBAL, 0x3800, 0, 0xfffffff0, RW),
	ONE(TDBAH, 0x3804, 0, 0xffffffff, RW),
	ONE(TDLEN, 0x3808, 0, 0x000fff80, RW),
	ONE(TDH, 0x3810, 0, 0x0000ffff, RW),
	ONE(TDT, 0x3818, 0, 0x0000ffff, RW),
	{ "TIDV", 0x3820, 1, 0, 0, 0x0000ffff, RW_PART, 0x80000000 },
	ONE(TXDCTL, 0x3828, 0, 0xff3f3f3f, RW),
	ONE(TADV, 0x382c, 0, 0x0000ffff, RW),
	ONE(TSPMT, 0x3830, 0x01000400, 0xffffffff, RW),
	/* 13.5 */
	MANY(MTA, 0x5200, 128, 4, 0xffffffff),
	MANY(RAL, 0x5400, 16, 8, 0xffffffff),
	MANY(RAH, 0x5404, 16, 8, 0x8003ffff),
	MANY(VFTA, 0x5600, 128, 4, 0xffffffff),
	/* 13.6 */
	ONE(WUC, 0x5800, 0, 0x0000000f, RW),
	ONE(WUFC, 0x5808, 0, 0x000f80ff, RW),
	ONE(WUS, 0x5810, 0, 0, RO),
	ONE(MANC, 0x5820, 0, 0xffffffff, RW),
	ONE(IPAV, 0x5838, 0, 0x0001000f, RW),
	MANY(IP4AT, 0x5840, 4, 8, 0xffffffff),
	MANY(IP6AT, 0x5880, 4, 4, 0xffffffff),
	ONE(WUPL, 0x5900, 0, 0, RO),
	{ "WUPM", 0x5a00, 32, 4, 0, 0, RO, 0 },
	MANY(FFLT, 0x5f00, 4, 8, 0x000007ff),
	MANY(FFMT, 0x9000, 128, 8, 0x0000000f),
	MANY(FFVT, 0x9800, 128, 8, 0xffffffff),
	/* 13.7, in its order */
	STAT(CRCERRS, 0x4000), STAT(ALGNERRC, 0x4004), STAT(SYMERRS, 0x4008),
	STAT(RXERRC, 0x400c), STAT(MPC, 0x4010), STAT(SCC, 0x4014),
	STAT(ECOL, 0x4018), STAT(MCC, 0x401c), STAT(LATECOL, 0x4020),
	STAT(COLC, 0x4028), STAT(DC, 0x4030), STAT(TNCRS, 0x4034),
	STAT(SEC, 0x4038), STAT(CEXTERR, 0x403c), STAT(RLEC, 0x4040),
	STAT(XONRXC, 0x4048), STAT(XONTXC, 0x404c), STAT(XOFFRXC, 0x4050),
	STAT(XOFFTXC, 0x4054), STAT(FCRUC, 0x4058), STAT(PRC64, 0x405c),
	STAT(PRC127, 0x4060), STAT(PRC255, 0x4064), STAT(PRC511, 0x4068),
	STAT(PRC1023, 0x406c), STAT(PRC1522, 0x4070), STAT(GPRC, 0x4074),
	STAT(BPRC, 0x4078), STAT(MPRC, 0x407c), STAT(GPTC, 0x4080),
	STAT64(GORCL, GORCH, 0x4088), STAT64(GOTCL, GOTCH, 0x4090),
	STAT(RNBC, 0x40a0), STAT(RUC, 0x40a4), STAT(RFC, 0x40a8),
	STAT(ROC, 0x40ac), STAT(RJC, 0x40b0), STAT(MGTPRC, 0x40b4),
	STAT(MGTPDC, 0x40b8), STAT(MGTPTC, 0x40bc),
	STAT64(TORL, TORH, 0x40c0), STAT64(TOTL, TOTH, 0x40c8),
	STAT(TPR, 0x40d0), STAT(TPT, 0x40d4), STAT(PTC64, 0x40d8),
	STAT(PTC127, 0x40dc), STAT(PTC255, 0x40e0), STAT(PTC511, 0x40e4),
	STAT(PTC1023, 0x40e8), STAT(PTC1522, 0x40ec), STAT(MPTC, 0x40f0),
	STAT(BPTC, 0x40f4), STAT(TSCTC, 0x40f8), STAT(TSCTFC, 0x40fc),
	/* 13.8 */
	ONE(RDFH, 0x2410, 0, 0x1fff, RW), ONE(RDFT, 0x2418, 0, 0x1fff, RW),
	ONE(RDFHS, 0x2420, 0, 0x1fff, RW), ONE(RDFTS, 0x2428, 0, 0x1fff, RW),
	ONE(RDFPC, 0x2430, 0, 0x1fff, RW),
	ONE(TDFH, 0x3410, 0, 0x07ff, RW), ONE(TDFT, 0x3418, 0, 0x07ff, RW),
	ONE(TDFHS, 0x3420, 0, 0x1fff, RW), ONE(TDFTS, 0x3428, 0, 0x1fff, RW),
	ONE(TDFPC, 0x3430, 0, 0x1fff, RW),
};

/* Where the 82542 had registers, and the shadow of CTRL (13.4.1). */
static const struct { uint32_t offset, n, stride, of; } aliases[] = {
	{ 0x0004, 1, 0, 0x0000 },
	{ 0x0040, 16, 8, 0x5400 }, { 0x0044, 16, 8, 0x5404 },
	{ 0x0108, 1, 0, 0x2820 }, { 0x0110, 1, 0, 0x2800 },
	{ 0x0114, 1, 0, 0x2804 }, { 0x0118, 1, 0, 0x2808 },
	{ 0x0120, 1, 0, 0x2810 }, { 0x0128, 1, 0, 0x2818 },
	{ 0x0160, 1, 0, 0x2168 }, { 0x0168, 1, 0, 0x2160 },
	{ 0x0200, 128, 4, 0x5200 },
	{ 0x0420, 1, 0, 0x3800 }, { 0x0424, 1, 0, 0x3804 },
	{ 0x0428, 1, 0, 0x3808 }, { 0x0430, 1, 0, 0x3810 },
	{ 0x0438, 1, 0, 0x3818 }, { 0x0440, 1, 0, 0x3820 },
	{ 0x0600, 128, 4, 0x5600 },
	{ 0x8000, 1, 0, 0x2410 }, { 0x8008, 1, 0, 0x2418 },
	{ 0x8010, 1, 0, 0x3410 }, { 0x8018, 1, 0, 0x3418 },
};

static const struct reg *find(const char *name)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(regs); i++)
		if (!strcmp(regs[i].name, name))
			return &regs[i];
	return NULL;
}

/* Where the device keeps it: a statistics register cannot be written. */
static uint32_t *stored(const struct reg *reg)
{
	for (unsigned int r = 0; r < e1000_n_rows; r++)
		if (e1000_rows[r].offset == reg->offset)
			return &rig.dev->state->reg[e1000_rows[r].slot];
	fail_msg("no row for %s", reg->name);
	return NULL;
}

static void expect(const struct reg *reg, unsigned int i, uint32_t want,
		   const char *when)
{
	uint32_t got = rd(reg->offset + i * reg->stride);

	if (got != want)
		fail_msg("%s[%u] %s: %#x, expected %#x", reg->name, i, when,
			 got, want);
}

/* What the EEPROM puts there, by name; else the table's. */
static uint32_t reset_value(const struct reg *reg, unsigned int i)
{
	if (!i && !strcmp(reg->name, "RAL"))
		return 0x12005452;
	if (!i && !strcmp(reg->name, "RAH"))
		return 0x80005634;
	return reg->reset;
}

static void expect_reset_values(const char *when, uint32_t link_up)
{
	for (unsigned int r = 0; r < ARRAY_SIZE(regs); r++)
		for (unsigned int i = 0; i < regs[r].n; i++)
			expect(&regs[r], i, reset_value(&regs[r], i) |
			       (strcmp(regs[r].name, "STATUS") ? 0 : link_up),
			       when);
}

/* ---- tests ---- */

static void same_registers_in_both(void **state)
{
	assert_int_equal(e1000_n_rows, ARRAY_SIZE(regs));
	for (unsigned int r = 0; r < e1000_n_rows; r++) {
		const struct e1000_row *row = &e1000_rows[r];
		const struct reg *reg = find(row->name);

		assert_non_null(reg);
		assert_int_equal(row->offset, reg->offset);
		assert_int_equal(row->n, reg->n);
		assert_int_equal(row->stride, reg->stride);
	}
}

/* Every offset of the BAR: it is one of the above, or there is nothing. */
static void nothing_between(void **state)
{
	static bool taken[E1000_REGS_SIZE / 4];
	counter *unknown = &rig.dev->counters.reg_unknown;
	uint64_t want = 0;

	for (unsigned int r = 0; r < ARRAY_SIZE(regs); r++)
		for (unsigned int i = 0; i < regs[r].n; i++) {
			uint32_t at = regs[r].offset + i * regs[r].stride;

			assert_false(taken[at / 4]);
			taken[at / 4] = true;
		}
	for (unsigned int a = 0; a < ARRAY_SIZE(aliases); a++)
		for (unsigned int i = 0; i < aliases[a].n; i++)
			taken[(aliases[a].offset + i * aliases[a].stride) / 4] =
				true;
	for (uint32_t at = 0; at < E1000_REGS_SIZE; at += 4) {
		uint32_t val;

		if (!taken[at / 4]) {
			wr(at, 0xffffffff);
			want += 2;
		}
		val = rd(at);
		if (!taken[at / 4] && val)
			fail_msg("at %#x there is %#x", at, val);
		assert_int_equal(counter_read(unknown), want);
	}
}

static void at_two_addresses(void **state)
{
	for (unsigned int a = 0; a < ARRAY_SIZE(aliases); a++)
		for (unsigned int i = 0; i < aliases[a].n; i++) {
			uint32_t step = i * aliases[a].stride;
			uint32_t val = (0x40 + i) * 0x10;

			wr(aliases[a].offset + step, val);
			assert_int_equal(rd(aliases[a].of + step),
					 rd(aliases[a].offset + step));
			if (a)	/* CTRL has bits that are not kept */
				assert_int_equal(rd(aliases[a].of + step) &
						 0x7f0, val & 0x7f0);
		}
}

/* Ones into one register after the other, all others zero: what it keeps, and
 * that no other register takes notice. */
static void writable_bits(void **state)
{
	for (unsigned int r = 0; r < ARRAY_SIZE(regs); r++) {
		const struct reg *reg = &regs[r];
		uint32_t keeps = reg->writable;

		if (reg->kind == OWN)
			continue;
		for (unsigned int i = 0; i < reg->n; i++) {
			uint32_t at = reg->offset + i * reg->stride;
			uint32_t before = rd(at);

			wr(at, ~reg->avoid);
			expect(reg, i, reg->kind <= RW_PART ?
			       (before & ~keeps) | (keeps & ~reg->avoid) :
			       before, "after ones");
			wr(at, 0);
			expect(reg, i, before & ~keeps, "after zeros");
			wr(at, 0xa5a5a5a5 & ~reg->avoid);
			expect(reg, i, (before & ~keeps) |
			       (0xa5a5a5a5 & keeps & ~reg->avoid),
			       "after a pattern");
			wr(at, 0);
		}
	}
	for (unsigned int r = 0; r < ARRAY_SIZE(regs); r++)
		if (regs[r].kind == RW)
			for (unsigned int i = 0; i < regs[r].n; i++)
				expect(&regs[r], i, 0, "in the end");
}

/* Reading changes nothing but the statistics, and those only at once. */
static void reading(void **state)
{
	for (unsigned int r = 0; r < ARRAY_SIZE(regs); r++) {
		const struct reg *reg = &regs[r];

		if (reg->kind == RC || reg->kind == RC_LOW) {
			*stored(reg) = 0x01234567;
			wr(reg->offset, 0);
			expect(reg, 0, 0x01234567, "the first time");
			expect(reg, 0, reg->kind == RC ? 0 : 0x01234567,
			       "the second time");
		} else if (reg->kind != OWN) {
			uint32_t val = rd(reg->offset);

			expect(reg, 0, val, "the second time");
		}
	}
	for (unsigned int r = 0; r < ARRAY_SIZE(regs); r++)
		if (regs[r].kind == RC_LOW) {
			*stored(&regs[r]) = 1;
			*stored(&regs[r + 1]) = 2;
			expect(&regs[r], 0, 1, "before its upper half");
			expect(&regs[r + 1], 0, 2, "after its lower half");
			expect(&regs[r], 0, 0, "after its upper half");
		}
}

/* Dirty every register that takes it. */
static void scribble(void)
{
	for (unsigned int r = 0; r < ARRAY_SIZE(regs); r++)
		for (unsigned int i = 0; i < regs[r].n; i++)
			if (regs[r].kind <= RW_PART)
				wr(regs[r].offset + i * regs[r].stride,
				   0x5a5a5a5a & ~regs[r].avoid);
	WR(IMS, 0xffffffff);
	WR(ICS, 0xffffffff);
	WR(EECD, EECD_REQ | EECD_CS | EECD_SK);
	WR(EERD, 3 << EERD_ADDR_SHIFT | EERD_START);
	WR(MDIC, 1u << MDIC_PHY_SHIFT | 2 << MDIC_REG_SHIFT | MDIC_OP_READ);
	e1000_stat_add(rig.dev, E1000_GPRC, 5);
	e1000_stat_add64(rig.dev, E1000_TORL, 1ull << 33);
}

static void power_on_reset(void **state)
{
	scribble();
	pci_dev_reset(rig.nic.pci, PCI_RESET_POWER_ON);
	expect_reset_values("after power-on", 0);
	assert_false(rig.irq_level);
}

static void bus_reset(void **state)
{
	scribble();
	pci_dev_reset(rig.nic.pci, PCI_RESET_BUS);
	expect_reset_values("after RST#", 0);
	assert_false(rig.irq_level);
}

/* CTRL.RST: the PHY, and with it the link, goes on. */
static void software_reset(void **state)
{
	scribble();
	WR(CTRL, CTRL_RST);
	expect_reset_values("after CTRL.RST", 0x2);
	assert_false(rig.irq_level);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(same_registers_in_both),
		TEST(nothing_between),
		TEST(at_two_addresses),
		TEST(writable_bits),
		TEST(reading),
		TEST(power_on_reset),
		TEST(bus_reset),
		TEST(software_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
