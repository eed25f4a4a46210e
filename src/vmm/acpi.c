/* SPDX-License-Identifier: Apache-2.0
 *
 * ACPI tables.  Chapter numbers are those of the ACPI specification 6.4.
 */
#include "vmm/acpi.h"

#include <assert.h>
#include <string.h>

#include "base/byteorder.h"
#include "vmm/dsdt_pc.hex"	/* dsdt_pc_aml_code[], from dsdt.asl */
#include "vmm/dsdt_pcie.hex"
#include "vmm/irq.h"
#include "vmm/legacy.h"

struct acpi_rsdp {			/* 5.2.5.3 */
	char signature[8];
	uint8_t checksum;		/* of the first 20 bytes */
	char oem[6];
	uint8_t revision;
	le32 rsdt_gpa;			/* none: the XSDT is used */
	le32 len;
	le64 xsdt_gpa;
	uint8_t ext_checksum;		/* of all */
	uint8_t reserved[3];
};
_Static_assert(sizeof(struct acpi_rsdp) == 36, "RSDP");

struct acpi_header {			/* 5.2.6 */
	char signature[4];
	le32 len;			/* of the whole table */
	uint8_t revision;
	uint8_t checksum;		/* makes the sum of all bytes 0 */
	char oem[6];
	char oem_table[8];
	le32 oem_revision;
	char creator[4];
	le32 creator_revision;
};
_Static_assert(sizeof(struct acpi_header) == 36, "table header");

struct acpi_gas {			/* 5.2.3.2: where a register is */
	uint8_t space;			/* GAS_IO */
	uint8_t bits;
	uint8_t bit_offset;
	uint8_t access;			/* 1: byte, 2: word, 3: dword */
	le64 addr;
};
_Static_assert(sizeof(struct acpi_gas) == 12, "generic address");

struct acpi_fadt {			/* 5.2.9 */
	struct acpi_header hdr;
	le32 facs_gpa, dsdt_gpa;
	uint8_t reserved0, pm_profile;
	le16 sci_irq;
	le32 smi_cmd;			/* 0: always in ACPI mode */
	uint8_t acpi_enable, acpi_disable, s4bios_req, pstate_cnt;
	le32 pm1a_evt, pm1b_evt, pm1a_cnt, pm1b_cnt, pm2_cnt, pm_tmr;
	le32 gpe0, gpe1;
	uint8_t pm1_evt_len, pm1_cnt_len, pm2_cnt_len, pm_tmr_len;
	uint8_t gpe0_len, gpe1_len, gpe1_base, cst_cnt;
	le16 c2_latency, c3_latency, flush_size, flush_stride;
	uint8_t duty_offset, duty_width, day_alarm, month_alarm, century;
	le16 boot_arch;
	uint8_t reserved1;
	le32 flags;
	struct acpi_gas reset_reg;
	uint8_t reset_value;
	le16 arm_boot_arch;
	uint8_t minor;
	le64 x_facs_gpa, x_dsdt_gpa;
	struct acpi_gas x_pm1a_evt, x_pm1b_evt, x_pm1a_cnt, x_pm1b_cnt;
	struct acpi_gas x_pm2_cnt, x_pm_tmr, x_gpe0, x_gpe1;
};
_Static_assert(sizeof(struct acpi_fadt) == 244, "FADT of revision 4");

struct acpi_facs {			/* 5.2.10 */
	char signature[4];
	le32 len;
	uint8_t rest[56];		/* no waking, no global lock */
};
_Static_assert(sizeof(struct acpi_facs) == 64, "FACS");

struct acpi_madt {			/* 5.2.12 */
	struct acpi_header hdr;
	le32 lapic_gpa;
	le32 flags;
};

struct acpi_madt_lapic {		/* 5.2.12.2 */
	uint8_t type, len;
	uint8_t processor_id, apic_id;
	le32 flags;
};
_Static_assert(sizeof(struct acpi_madt_lapic) == 8, "local APIC");

struct acpi_madt_ioapic {		/* 5.2.12.3 */
	uint8_t type, len;
	uint8_t ioapic_id, reserved;
	le32 gpa;
	le32 gsi_base;
};
_Static_assert(sizeof(struct acpi_madt_ioapic) == 12, "I/O APIC");

struct acpi_madt_override {		/* 5.2.12.5 */
	uint8_t type, len;
	uint8_t bus, irq;
	le32 gsi;
	le16 flags;
};
_Static_assert(sizeof(struct acpi_madt_override) == 10, "override");

struct acpi_madt_nmi {			/* 5.2.12.7 */
	uint8_t type, len;
	uint8_t processor_id;		/* 0xff: all */
	le16 flags;
	uint8_t lint;
};
_Static_assert(sizeof(struct acpi_madt_nmi) == 6, "local APIC NMI");

struct acpi_mcfg {			/* PCI Firmware 3.2, 4.1.2 */
	struct acpi_header hdr;
	le32 reserved0[2];
	le64 base_gpa;			/* of the config space */
	le16 segment;
	uint8_t first_bus, last_bus;
	le32 reserved1;
};
_Static_assert(sizeof(struct acpi_mcfg) == 60, "MCFG");

enum {
	GAS_IO = 1,
	FADT_REVISION = 4,
	PM_PROFILE_SERVER = 4,
	LATENCY_NONE = 0x0fff,		/* no C2, no C3 */
	BOOT_LEGACY_DEVICES = BIT(0), BOOT_NO_VGA = BIT(2),
	BOOT_NO_ASPM = BIT(4),
	FADT_WBINVD = BIT(0), FADT_PROC_C1 = BIT(2),
	FADT_NO_SLP_BUTTON = BIT(5), FADT_NO_FIX_RTC = BIT(6),
	FADT_RESET_REG = BIT(10),

	MADT_PCAT_COMPAT = 1,		/* there is a pair of 8259s, too */
	MADT_LAPIC = 0, MADT_IOAPIC = 1, MADT_OVERRIDE = 2, MADT_NMI = 4,
	LAPIC_ENABLED = 1,
	FLAGS_LEVEL_HIGH = 0x0d, FLAGS_BUS = 0,
};

/* Where the next table goes; all of it fits, see the end of acpi_build(). */
struct area {
	uint8_t *base;		/* of ACPI_LEN bytes */
	uint32_t used;
};

static void *area_take(struct area *area, uint32_t len, uint32_t *gpa)
{
	uint32_t at = (uint32_t)align_up(area->used, 64);

	assert(range_within(at, len, ACPI_LEN));
	area->used = at + len;
	*gpa = ACPI_BASE + at;
	return area->base + at;
}

static uint8_t checksum(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint8_t sum = 0;

	while (len--)
		sum += *p++;
	return (uint8_t)-sum;
}

static void header(struct acpi_header *hdr, const char *signature, size_t len,
		   uint8_t revision)
{
	memcpy(hdr->signature, signature, sizeof(hdr->signature));
	hdr->len = le32_of((uint32_t)len);
	hdr->revision = revision;
	memcpy(hdr->oem, "BKPLN ", sizeof(hdr->oem));
	memcpy(hdr->oem_table, "PC      ", sizeof(hdr->oem_table));
	hdr->oem_revision = le32_of(1);
	memcpy(hdr->creator, "BKPL", sizeof(hdr->creator));
	hdr->creator_revision = le32_of(1);
}

/* The rest of the table must be there. */
static void seal(struct acpi_header *hdr)
{
	hdr->checksum = 0;
	hdr->checksum = checksum(hdr, le32_get(hdr->len));
}

static struct acpi_gas gas_io(uint64_t port, unsigned int bytes)
{
	return (struct acpi_gas){
		.space = GAS_IO,
		.bits = (uint8_t)(bytes * 8),
		.access = bytes == 4 ? 3 : (uint8_t)bytes,
		.addr = le64_of(port),
	};
}

static const struct {
	const unsigned char *aml;
	uint32_t len;
} dsdts[N_VM_BOARDS] = {
	[VM_BOARD_PC] = { dsdt_pc_aml_code, sizeof(dsdt_pc_aml_code) },
	[VM_BOARD_PCIE] = { dsdt_pcie_aml_code, sizeof(dsdt_pcie_aml_code) },
};

static uint32_t build_fadt(struct area *area, enum vm_board board)
{
	uint32_t gpa, facs_gpa, dsdt_gpa;
	struct acpi_facs *facs = area_take(area, sizeof(*facs), &facs_gpa);
	uint8_t *dsdt = area_take(area, dsdts[board].len, &dsdt_gpa);
	struct acpi_fadt *fadt = area_take(area, sizeof(*fadt), &gpa);

	memcpy(facs->signature, "FACS", 4);
	facs->len = le32_of(sizeof(*facs));
	memcpy(dsdt, dsdts[board].aml, dsdts[board].len);

	header(&fadt->hdr, "FACP", sizeof(*fadt), FADT_REVISION);
	fadt->facs_gpa = le32_of(facs_gpa);
	fadt->dsdt_gpa = le32_of(dsdt_gpa);
	fadt->x_dsdt_gpa = le64_of(dsdt_gpa);
	fadt->pm_profile = PM_PROFILE_SERVER;
	fadt->sci_irq = le16_of(ACPI_SCI_IRQ);
	fadt->pm1a_evt = le32_of(PM1A_EVT_PORT);
	fadt->pm1_evt_len = PM1A_EVT_LEN;
	fadt->x_pm1a_evt = gas_io(PM1A_EVT_PORT, PM1A_EVT_LEN);
	fadt->pm1a_cnt = le32_of(PM1A_CNT_PORT);
	fadt->pm1_cnt_len = PM1A_CNT_LEN;
	fadt->x_pm1a_cnt = gas_io(PM1A_CNT_PORT, PM1A_CNT_LEN);
	fadt->pm_tmr = le32_of(PM_TMR_PORT);
	fadt->pm_tmr_len = PM_TMR_LEN;
	fadt->x_pm_tmr = gas_io(PM_TMR_PORT, PM_TMR_LEN);
	fadt->c2_latency = fadt->c3_latency = le16_of(LATENCY_NONE);
	fadt->boot_arch = le16_of(BOOT_LEGACY_DEVICES | BOOT_NO_VGA |
				  BOOT_NO_ASPM);
	fadt->flags = le32_of(FADT_WBINVD | FADT_PROC_C1 | FADT_NO_SLP_BUTTON |
			      FADT_NO_FIX_RTC |
			      FADT_RESET_REG);
	fadt->reset_reg = gas_io(PCI_RESET_PORT, 1);
	fadt->reset_value = PCI_RESET_FULL;
	seal(&fadt->hdr);
	return gpa;
}

static void build_madt_irqs(struct acpi_madt_override *ov)
{
	static const struct {
		uint8_t irq, gsi, flags;
	} row[IRQ_N_OVERRIDES] = {
		{ 0, IRQ_PIT_GSI, FLAGS_BUS },
		{ 5, 5, FLAGS_LEVEL_HIGH },	/* the PIRQ links' choice */
		{ ACPI_SCI_IRQ, ACPI_SCI_IRQ, FLAGS_LEVEL_HIGH },
		{ 10, 10, FLAGS_LEVEL_HIGH },
		{ 11, 11, FLAGS_LEVEL_HIGH },
	};

	for (unsigned int i = 0; i < IRQ_N_OVERRIDES; i++)
		ov[i] = (struct acpi_madt_override){
			.type = MADT_OVERRIDE, .len = sizeof(*ov),
			.irq = row[i].irq, .gsi = le32_of(row[i].gsi),
			.flags = le16_of(row[i].flags),
		};
}

static uint32_t build_madt(struct area *area, unsigned int n_cpus)
{
	struct layout {
		struct acpi_madt madt;
		struct acpi_madt_ioapic ioapic;
		struct acpi_madt_override ov[IRQ_N_OVERRIDES];
		struct acpi_madt_nmi nmi;
		struct acpi_madt_lapic lapic[];
	} *t;
	uint32_t gpa;
	size_t len = sizeof(*t) + n_cpus * sizeof(t->lapic[0]);

	t = area_take(area, (uint32_t)len, &gpa);
	header(&t->madt.hdr, "APIC", len, 3);
	t->madt.lapic_gpa = le32_of(LAPIC_GPA);
	t->madt.flags = le32_of(MADT_PCAT_COMPAT);
	t->ioapic = (struct acpi_madt_ioapic){
		.type = MADT_IOAPIC, .len = sizeof(t->ioapic),
		.ioapic_id = 0, .gpa = le32_of(IOAPIC_GPA),
	};
	build_madt_irqs(t->ov);
	t->nmi = (struct acpi_madt_nmi){
		.type = MADT_NMI, .len = sizeof(t->nmi),
		.processor_id = 0xff, .lint = 1,
	};
	for (unsigned int i = 0; i < n_cpus; i++)
		t->lapic[i] = (struct acpi_madt_lapic){
			.type = MADT_LAPIC, .len = sizeof(t->lapic[i]),
			.processor_id = (uint8_t)i, .apic_id = (uint8_t)i,
			.flags = le32_of(LAPIC_ENABLED),
		};
	seal(&t->madt.hdr);
	return gpa;
}

static uint32_t build_mcfg(struct area *area)
{
	uint32_t gpa;
	struct acpi_mcfg *mcfg = area_take(area, sizeof(*mcfg), &gpa);

	header(&mcfg->hdr, "MCFG", sizeof(*mcfg), 1);
	mcfg->base_gpa = le64_of(VM_ECAM_BASE);
	mcfg->last_bus = 255;
	seal(&mcfg->hdr);
	return gpa;
}

void acpi_build(uint8_t *area_base, unsigned int n_cpus, enum vm_board board)
{
	struct area area = { area_base, 0 };
	struct acpi_rsdp *rsdp;
	struct {
		struct acpi_header hdr;
		le64 table[3];
	} *xsdt;
	/* The MCFG is the last. */
	size_t xsdt_len = sizeof(*xsdt) -
		(board == VM_BOARD_PCIE ? 0 : sizeof(xsdt->table[0]));
	uint32_t gpa, xsdt_gpa;

	memset(area_base, 0, ACPI_LEN);
	rsdp = area_take(&area, sizeof(*rsdp), &gpa);
	xsdt = area_take(&area, sizeof(*xsdt), &xsdt_gpa);
	header(&xsdt->hdr, "XSDT", xsdt_len, 1);
	xsdt->table[0] = le64_of(build_fadt(&area, board));
	xsdt->table[1] = le64_of(build_madt(&area, n_cpus));
	if (board == VM_BOARD_PCIE)
		xsdt->table[2] = le64_of(build_mcfg(&area));
	seal(&xsdt->hdr);

	memcpy(rsdp->signature, "RSD PTR ", 8);
	memcpy(rsdp->oem, "BKPLN ", 6);
	rsdp->revision = 2;
	rsdp->len = le32_of(sizeof(*rsdp));
	rsdp->xsdt_gpa = le64_of(xsdt_gpa);
	rsdp->checksum = checksum(rsdp, 20);
	rsdp->ext_checksum = checksum(rsdp, sizeof(*rsdp));
}
