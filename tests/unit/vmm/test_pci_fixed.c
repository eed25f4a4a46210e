/* SPDX-License-Identifier: Apache-2.0
 *
 * Which bytes of config space nobody but a writer changes; and config spaces
 * that make no sense.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <linux/pci_regs.h>

#include "base/byteorder.h"
#include "vmm/pci_fixed.h"

static uint8_t config[PCI_CONFIG_SIZE];
static struct pci_fixed fixed;

static bool is_fixed(unsigned int off, unsigned int len)
{
	return pci_fixed_all(&fixed, off, len);
}

static void cap(unsigned int at, uint8_t id, uint8_t next)
{
	config[at] = id;
	config[at + 1] = next;
}

static int setup(void **state)
{
	memset(config, 0, sizeof(config));
	le16_store(config, 0x1af4);
	config[PCI_STATUS] = PCI_STATUS_CAP_LIST;
	config[PCI_CAPABILITY_LIST] = 0x40;
	return 0;
}

static void the_header_but_for_status(void **state)
{
	config[PCI_STATUS] = 0;
	pci_fixed_find(&fixed, config);
	assert_true(is_fixed(0, 4) && is_fixed(4, 2) && is_fixed(8, 4));
	assert_false(is_fixed(4, 4) || is_fixed(6, 1) || is_fixed(7, 1));
	assert_true(is_fixed(PCI_HEADER_TYPE, 1));
	assert_false(is_fixed(PCI_BIST, 1) || is_fixed(0x0c, 4));
	for (unsigned int off = 0x10; off < 0x40; off += 4)
		assert_true(is_fixed(off, 4));
	assert_false(is_fixed(0x3c, 8) || is_fixed(0x40, 1));
	assert_false(is_fixed(0xff, 2) || is_fixed(0x100, 1) ||
		     is_fixed(0xffc, 4) || is_fixed(~0u, 4));
}

static void what_capabilities_say(void **state)
{
	cap(0x40, PCI_CAP_ID_PM, 0x50);
	cap(0x50, PCI_CAP_ID_MSI, 0x70);
	cap(0x70, PCI_CAP_ID_MSIX, 0x80);
	cap(0x80, PCI_CAP_ID_EXP, 0xc0);
	cap(0xc0, PCI_CAP_ID_VNDR, 0xd4);
	config[0xc2] = 0x10;
	config[0xc3] = 1;		/* the common configuration */
	cap(0xd4, PCI_CAP_ID_VNDR, 0xf0);
	config[0xd6] = 0x14;
	config[0xd7] = 5;		/* a window to it */
	cap(0xf0, 0x7f, 0);		/* nobody knows that one */
	pci_fixed_find(&fixed, config);
	assert_true(is_fixed(0x40, 4));
	assert_false(is_fixed(0x44, 1));	/* power state */
	assert_true(is_fixed(0x50, 4));
	assert_false(is_fixed(0x54 + 12, 1));	/* pending bits */
	assert_true(is_fixed(0x70, 12));
	assert_true(is_fixed(0x80, 10) && is_fixed(0x8c, 6));
	assert_false(is_fixed(0x8a, 1) || is_fixed(0x92, 1));
	assert_true(is_fixed(0xc0, 16));
	assert_true(is_fixed(0xd4, 2));
	assert_false(is_fixed(0xd4, 4) || is_fixed(0xe4, 1));
	assert_true(is_fixed(0xf0, 2));
	assert_false(is_fixed(0xf2, 1));
	/* Another vendor's may be anything. */
	le16_store(config, 0x1234);
	pci_fixed_find(&fixed, config);
	assert_true(is_fixed(0xc0, 2));
	assert_false(is_fixed(0xc2, 1));
}

static void lists_that_make_no_sense(void **state)
{
	cap(0x40, PCI_CAP_ID_PM, 0x40);		/* round and round */
	pci_fixed_find(&fixed, config);
	assert_true(is_fixed(0x40, 4));
	config[PCI_CAPABILITY_LIST] = 0xff;	/* at the very end */
	cap(0xfc, PCI_CAP_ID_MSIX, 0x04);
	pci_fixed_find(&fixed, config);
	assert_true(is_fixed(0xfc, 4));
	for (unsigned int i = 0; i < 100000; i++) {
		for (unsigned int j = 0; j < sizeof(config); j++)
			config[j] = (uint8_t)rand();
		pci_fixed_find(&fixed, config);
		assert_false(is_fixed(PCI_STATUS, 1) || is_fixed(0xff, 2));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_header_but_for_status, setup),
		cmocka_unit_test_setup(what_capabilities_say, setup),
		cmocka_unit_test_setup(lists_that_make_no_sense, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
