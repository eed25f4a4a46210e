/* SPDX-License-Identifier: Apache-2.0
 *
 * MSI and MSI-X of a NIC, from its server's eventfds to the bits of a local
 * APIC: a toy behind the vfio-user server, KVM's interrupt controllers, no CPU
 * that runs.  Skipped where there is no /dev/kvm.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../vfio_user/toy_server.h"
#include "vmm/irq.h"
#include "vmm/nic_msi.h"

enum {
	APIC_SVR = 0xf0, APIC_IRR = 0x200,	/* registers of a local APIC */
	APIC_ENABLED = 0x1ff,
	WAIT_MS = 2000,
};

static struct {
	struct toy_server s;
	struct irq irq;
	struct nic_msi msi;
	int kvm, vm, cpu;
} t;

static int setup_kvm(void)
{
	struct kvm_lapic_state apic;

	t.kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	t.vm = t.kvm < 0 ? -1 : ioctl(t.kvm, KVM_CREATE_VM, 0);
	if (t.vm < 0)
		return -1;
	if (ioctl(t.vm, KVM_SET_TSS_ADDR, 0xfffbd000ul) ||
	    irq_init(&t.irq) || irq_create_chips(&t.irq, t.vm))
		return -1;
	t.cpu = ioctl(t.vm, KVM_CREATE_VCPU, 0);
	if (t.cpu < 0 || ioctl(t.cpu, KVM_GET_LAPIC, &apic))
		return -1;
	le32_store(apic.regs + APIC_SVR, APIC_ENABLED);
	return ioctl(t.cpu, KVM_SET_LAPIC, &apic);
}

static void config_read(uint8_t config[PCI_CONFIG_SIZE])
{
	assert_int_equal(vfu_client_read(t.s.client,
					 VFIO_PCI_CONFIG_REGION_INDEX, 0,
					 config, PCI_CONFIG_SIZE), 0);
}

static void config_write(unsigned int off, uint32_t val, unsigned int len)
{
	uint8_t config[PCI_CONFIG_SIZE];

	assert_int_equal(vfu_client_write(t.s.client,
					  VFIO_PCI_CONFIG_REGION_INDEX, off,
					  &val, len, false), 0);
	config_read(config);
	nic_msi_config(&t.msi, config);
}

static int setup(void **state)
{
	uint8_t space[PCI_CONFIG_SIZE];

	memset(&t, 0, sizeof(t));
	t.kvm = t.vm = t.cpu = -1;
	if (setup_kvm())
		return 0;	/* see SKIP_WITHOUT_KVM */
	if (!toy_server_start(&t.s) ||
	    vfu_client_connect(t.s.path, &t.s.client) ||
	    vfu_client_read(t.s.client, VFIO_PCI_CONFIG_REGION_INDEX, 0, space,
			    sizeof(space)) ||
	    nic_msi_init(&t.msi, t.s.client, &t.irq, "toy", space))
		return -1;
	config_write(PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
	return 0;
}

static int teardown(void **state)
{
	nic_msi_fini(&t.msi);
	if (t.s.worker)
		toy_server_stop(&t.s);
	irq_fini(&t.irq);
	fd_close(&t.cpu);
	fd_close(&t.vm);
	fd_close(&t.kvm);
	return 0;
}

#define SKIP_WITHOUT_KVM() do {						\
	if (t.cpu < 0) {						\
		print_message("skipped: no /dev/kvm\n");		\
		skip();							\
	}								\
} while (0)

/* Is interrupt @vector requested?  Forgets that it was. */
static bool requested(uint8_t vector)
{
	unsigned int reg = APIC_IRR + vector / 32 * 16;
	struct kvm_lapic_state apic;
	uint32_t irr;

	assert_int_equal(ioctl(t.cpu, KVM_GET_LAPIC, &apic), 0);
	irr = le32_load(apic.regs + reg);
	if (!(irr & BIT(vector % 32)))
		return false;
	le32_store(apic.regs + reg, irr & ~BIT(vector % 32));
	assert_int_equal(ioctl(t.cpu, KVM_SET_LAPIC, &apic), 0);
	return true;
}

/* KVM's threads carry it out: a little later. */
static bool comes(uint8_t vector)
{
	for (unsigned int i = 0; i < WAIT_MS; i++, usleep(1000))
		if (requested(vector))
			return true;
	return false;
}

static bool stays_away(uint8_t vector)
{
	usleep(20000);
	return !requested(vector);
}

/* The device signals; the server has seen to it on return. */
static void signal_vector(uint32_t vec)
{
	assert_int_equal(vfu_client_write(t.s.client, 0, TOY_MSI, &vec, 4,
					  false), 0);
}

static void entry(unsigned int vec, uint8_t vector, bool masked)
{
	uint64_t at = TOY_TABLE + MSIX_ENTRY_SIZE * vec;

	assert_true(nic_msi_bar_write(&t.msi, TOY_MSIX_BAR, at, 8,
				      LAPIC_GPA));
	assert_true(nic_msi_bar_write(&t.msi, TOY_MSIX_BAR, at + 8, 8,
				      vector | (uint64_t)masked << 32));
}

static uint64_t pending(unsigned int word)
{
	uint64_t val = 0;

	assert_true(nic_msi_bar_read(&t.msi, TOY_MSIX_BAR,
				     TOY_PBA + 8 * word, 8, &val));
	return val;
}

static void msix_control(uint16_t bits)
{
	config_write(TOY_MSIX_CAP + PCI_MSIX_FLAGS, bits, 2);
}

static void msix_reaches_the_apic(void **state)
{
	SKIP_WITHOUT_KVM();
	entry(0, 0x40, false);
	msix_control(PCI_MSIX_FLAGS_ENABLE);
	entry(69, 0x51, false);
	signal_vector(0);
	assert_true(comes(0x40));
	signal_vector(69);
	assert_true(comes(0x51));
	/* Another message, another interrupt. */
	entry(69, 0xe0, false);
	signal_vector(69);
	assert_true(comes(0xe0));
	assert_true(stays_away(0x51));
	msix_control(0);
	signal_vector(0);
	assert_true(stays_away(0x40));
}

static void masked_vectors_are_pending(void **state)
{
	SKIP_WITHOUT_KVM();
	msix_control(PCI_MSIX_FLAGS_ENABLE);
	/* Never unmasked yet: the server remembers. */
	entry(2, 0x42, true);
	signal_vector(2);
	assert_true(stays_away(0x42));
	assert_true(pending(0) == 1 << 2);
	entry(2, 0x42, false);
	assert_true(comes(0x42));
	assert_true(pending(0) == 0);
	/* Masked in use: its eventfd does. */
	entry(2, 0x42, true);
	signal_vector(2);
	assert_true(stays_away(0x42));
	assert_true(pending(0) == 1 << 2);
	entry(2, 0x43, false);
	assert_true(comes(0x43));
	assert_true(pending(0) == 0);
	/* All of them at once. */
	entry(66, 0x44, false);
	msix_control(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	signal_vector(66);
	assert_true(stays_away(0x44));
	assert_true(pending(1) == 1 << 2);
	msix_control(PCI_MSIX_FLAGS_ENABLE);
	assert_true(comes(0x44));
}

static void msi_reaches_the_apic(void **state)
{
	SKIP_WITHOUT_KVM();
	config_write(TOY_MSI_CAP + PCI_MSI_ADDRESS_LO, LAPIC_GPA, 4);
	config_write(TOY_MSI_CAP + PCI_MSI_DATA_64, 0x63, 2);
	config_write(TOY_MSI_CAP + PCI_MSI_FLAGS, PCI_MSI_FLAGS_ENABLE |
		     2 << 4, 2);
	for (uint8_t i = 0; i < TOY_VECTORS; i++) {
		signal_vector(i);
		assert_true(comes(0x60 + i));
	}
	/* One is granted: all of them are that one. */
	config_write(TOY_MSI_CAP + PCI_MSI_FLAGS, PCI_MSI_FLAGS_ENABLE, 2);
	signal_vector(3);
	assert_true(comes(0x63));
	config_write(TOY_MSI_CAP + PCI_MSI_FLAGS, 0, 2);
	signal_vector(0);
	assert_true(stays_away(0x63));
}

static void a_reset_or_another_machine_ends_it(void **state)
{
	SKIP_WITHOUT_KVM();
	msix_control(PCI_MSIX_FLAGS_ENABLE);
	entry(1, 0x45, false);
	assert_int_equal(vfu_client_reset(t.s.client), 0);
	nic_msi_reset(&t.msi);
	config_write(PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
	msix_control(PCI_MSIX_FLAGS_ENABLE);
	signal_vector(1);
	assert_true(stays_away(0x45));
	assert_true(pending(0) == 1 << 1);
	entry(1, 0x46, false);
	assert_true(comes(0x46));
	nic_msi_unroute(&t.msi);
	signal_vector(1);
	assert_true(stays_away(0x46));
}

/* As if a bridge above were no bus master. */
static void cut_off_vectors_are_pending(void **state)
{
	uint8_t config[PCI_CONFIG_SIZE];

	SKIP_WITHOUT_KVM();
	msix_control(PCI_MSIX_FLAGS_ENABLE);
	entry(1, 0x45, false);
	config_read(config);
	nic_msi_cut_off(&t.msi, true, config);
	signal_vector(1);
	entry(2, 0x46, false);
	assert_true(stays_away(0x45));
	assert_true(pending(0) == 1 << 1);
	nic_msi_cut_off(&t.msi, false, config);
	assert_true(comes(0x45));
	signal_vector(2);
	assert_true(comes(0x46));
}

/* A server that knows nothing of what the guest has enabled. */
static void another_server_goes_on(void **state)
{
	uint8_t config[PCI_CONFIG_SIZE];
	uint16_t command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	struct vfu_client *fresh;

	SKIP_WITHOUT_KVM();
	msix_control(PCI_MSIX_FLAGS_ENABLE);
	entry(1, 0x45, false);
	entry(2, 0x46, true);
	config_read(config);
	vfu_client_close(t.s.client);
	for (int i = 0; vfu_client_connect(t.s.path, &fresh); i++) {
		assert_true(i < 1000);
		usleep(1000);
	}
	t.s.client = fresh;
	assert_int_equal(vfu_client_write(fresh, VFIO_PCI_CONFIG_REGION_INDEX,
					  PCI_COMMAND, &command, 2, false), 0);
	assert_int_equal(nic_msi_restore(&t.msi, fresh, config, false), 0);
	signal_vector(1);
	assert_true(comes(0x45));
	signal_vector(2);
	assert_true(stays_away(0x46));
	entry(2, 0x46, false);
	assert_true(comes(0x46));
}

static void messages_that_kvm_does_not_know_harm_nobody(void **state)
{
	SKIP_WITHOUT_KVM();
	msix_control(PCI_MSIX_FLAGS_ENABLE);
	/* T8: to nowhere, to a BAR, to the I/O APIC. */
	for (unsigned int i = 0; i < 3; i++) {
		static const uint64_t addr[] = { 0, ~3ull, 0xfec00000 };
		uint64_t at = TOY_TABLE + MSIX_ENTRY_SIZE * i;

		nic_msi_bar_write(&t.msi, TOY_MSIX_BAR, at, 8, addr[i]);
		nic_msi_bar_write(&t.msi, TOY_MSIX_BAR, at + 8, 8, 0xffffffff);
		signal_vector(i);
	}
	entry(3, 0x47, false);
	signal_vector(3);
	assert_true(comes(0x47));
}

/* No KVM, and no capability but that which a test makes up. */
static int setup_toy(void **state)
{
	memset(&t, 0, sizeof(t));
	t.kvm = t.vm = t.cpu = -1;
	return toy_server_start(&t.s) &&
		!vfu_client_connect(t.s.path, &t.s.client) ? 0 : -1;
}

/* A server makes a capability at the end of config space longer than it was. */
static void the_capability_keeps_its_layout(void **state)
{
	enum { CAP = 0xf4 };	/* room for the shortest */
	uint8_t *config = calloc(1, PCI_CONFIG_SIZE);

	assert_non_null(config);
	config[PCI_STATUS] = PCI_STATUS_CAP_LIST;
	config[PCI_CAPABILITY_LIST] = CAP;
	config[CAP] = PCI_CAP_ID_MSI;
	assert_int_equal(nic_msi_init(&t.msi, t.s.client, &t.irq, "toy",
				      config), 0);
	assert_int_equal(t.msi.n_msi, 1);
	le16_store(config + CAP + PCI_MSI_FLAGS, PCI_MSI_FLAGS_ENABLE |
		   PCI_MSI_FLAGS_64BIT | PCI_MSI_FLAGS_MASKBIT);
	/* What lies beyond is not looked at, here under ASan, nor written. */
	nic_msi_cut_off(&t.msi, true, config);
	assert_int_equal(t.msi.mode, NIC_MSI_MSI);
	assert_int_equal(nic_msi_restore(&t.msi, t.s.client, config, false), 0);
	free(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(msix_reaches_the_apic),
		T(masked_vectors_are_pending),
		T(msi_reaches_the_apic),
		T(a_reset_or_another_machine_ends_it),
		T(cut_off_vectors_are_pending),
		T(another_server_goes_on),
		T(messages_that_kvm_does_not_know_harm_nobody),
#undef T
		cmocka_unit_test_setup_teardown(the_capability_keeps_its_layout,
						setup_toy, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
