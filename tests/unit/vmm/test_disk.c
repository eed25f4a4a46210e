/* SPDX-License-Identifier: Apache-2.0
 *
 * A disk driven through its registers as a driver would, modern and legacy: on
 * the pc board's root bus, with a raw image, guest memory and the real thread.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/byteorder.h"
#include "virtio/blk_wire.h"
#include "vmm/disk.h"
#include "vmm/pci_setup.h"

enum {
	DEVFN = PCI_DEVFN(5, 0),
	IMAGE_SIZE = 1 << 20,
	LEGACY_QUEUE = 256,		/* entries; not the driver's choice */
	/* Where the driver has its things. */
	DESC = 0x10000, AVAIL = 0x12000, USED = 0x13000,
	HEADER = 0x20000, STATUS = 0x20100, DATA = 0x21000,
	WAIT_US = 5000000, POLL_US = 200,
	DESC_NEXT = 1, DESC_WRITE = 2,
	VERSION_1 = BIT(0),		/* of feature word 1 */
	NEEDS_RESET = 64,
	RUNNING = 1 | 2 | 4,		/* ACKNOWLEDGE, DRIVER, DRIVER_OK */
};

static struct pci_host host;
static struct bus pio, mmio;
static struct bus_dev pm;
static struct vm_memory mem;
static struct disk *disk;
static char image[] = "/tmp/test-disk-XXXXXX", image_path[64];
static uint64_t legacy_base, modern_base;
static unsigned int queue_size;
static uint64_t used_gpa;
static unsigned int lines;
static uint32_t features0;		/* feature word 0, a test's choice */

static void set_line(void *opaque, unsigned int gsi, bool level)
{
	unsigned int bit = BIT(gsi);

	if (level)
		__atomic_fetch_or(&lines, bit, __ATOMIC_SEQ_CST);
	else
		__atomic_fetch_and(&lines, ~bit, __ATOMIC_SEQ_CST);
}

static void send_msi(void *opaque, uint64_t addr, uint32_t data)
{
}

static const struct pci_host_ops ops = {
	.set_line = set_line, .send_msi = send_msi,
};

static uint32_t config(unsigned int off, unsigned int len)
{
	struct pci_function *fn = host.root.fn[DEVFN];

	return fn->ops->config_read(fn, off, len);
}

static void config_out(unsigned int off, unsigned int len, uint32_t val)
{
	struct pci_function *fn = host.root.fn[DEVFN];

	fn->ops->config_write(fn, off, len, val);
}

static int setup(void **state)
{
	struct block_config block = { .path = image_path, .format = "raw" };
	int fd;

	strcpy(image_path, image);
	fd = mkstemp(image_path);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, IMAGE_SIZE), 0);
	close(fd);
	lines = 0;
	bus_init(&pio, "ports");
	bus_init(&mmio, "memory");
	bus_dev_init(&pm, "pm", NULL, NULL, 4);
	assert_int_equal(vm_memory_init(&mem, VM_MEMORY_MIN), 0);
	assert_int_equal(pci_host_init(&host, VM_BOARD_PC, &ops, NULL, &pio,
				       &mmio, &pm), 0);
	assert_int_equal(disk_create(&host, &block, "5", &mem, &disk), 0);
	pci_bus_add(&host.root, DEVFN, disk_function(disk));
	assert_int_equal(pci_host_reset(&host), 0);
	assert_int_equal(pci_setup(&host), 0);
	features0 = 0;
	legacy_base = config(PCI_BASE_ADDRESS_0, 4) & ~3u;
	modern_base = config(PCI_BASE_ADDRESS_4, 4) & ~15u;
	disk_function(disk)->ops->config_write(disk_function(disk),
					       PCI_COMMAND, 2, 7);
	return 0;
}

static int teardown(void **state)
{
	disk_destroy(disk);
	pci_host_fini(&host);
	vm_memory_fini(&mem);
	bus_fini(&mmio);
	bus_fini(&pio);
	unlink(image_path);
	return 0;
}

static uint64_t in(unsigned int off, unsigned int len)
{
	return bus_read(&mmio, modern_base + off, len);
}

static void out(unsigned int off, unsigned int len, uint64_t val)
{
	bus_write(&mmio, modern_base + off, len, val);
}

static uint64_t legacy_in(unsigned int off, unsigned int len)
{
	return bus_read(&pio, legacy_base + off, len);
}

static void legacy_out(unsigned int off, unsigned int len, uint64_t val)
{
	bus_write(&pio, legacy_base + off, len, val);
}

static uint8_t *at(uint64_t gpa)
{
	return vm_memory_at(&mem, gpa, 1);
}

static void negotiate(void)
{
	out(VIRTIO_PCI_COMMON_STATUS, 1, 0);
	out(VIRTIO_PCI_COMMON_STATUS, 1, 3);
	out(VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	out(VIRTIO_PCI_COMMON_GF, 4, VERSION_1);
	out(VIRTIO_PCI_COMMON_GFSELECT, 4, 0);
	out(VIRTIO_PCI_COMMON_GF, 4, features0);
	out(VIRTIO_PCI_COMMON_STATUS, 1, 3 | 8);
	assert_int_equal(in(VIRTIO_PCI_COMMON_STATUS, 1), 3 | 8);
}

static void set_up_queue(void)
{
	queue_size = 8;
	used_gpa = USED;
	out(VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
	out(VIRTIO_PCI_COMMON_Q_SIZE, 2, queue_size);
	out(VIRTIO_PCI_COMMON_Q_DESCLO, 4, DESC);
	out(VIRTIO_PCI_COMMON_Q_AVAILLO, 4, AVAIL);
	/* On a bus of 32 bits that is two writes. */
	out(VIRTIO_PCI_COMMON_Q_USEDLO, 8, USED);
}

static void start_modern(void)
{
	negotiate();
	set_up_queue();
	out(VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	out(VIRTIO_PCI_COMMON_STATUS, 1, RUNNING | 8);
}

static void start_legacy(void)
{
	legacy_out(VIRTIO_PCI_STATUS, 1, 0);
	legacy_out(VIRTIO_PCI_STATUS, 1, 3);
	legacy_out(VIRTIO_PCI_GUEST_FEATURES, 4, 0);
	assert_int_equal(legacy_in(VIRTIO_PCI_QUEUE_NUM, 2), LEGACY_QUEUE);
	queue_size = LEGACY_QUEUE;
	legacy_out(VIRTIO_PCI_QUEUE_SEL, 2, 0);
	legacy_out(VIRTIO_PCI_QUEUE_PFN, 4, DESC >> 12);
	/* The available ring follows the descriptors, a page later the used
	 * one. */
	assert_int_equal(DESC + 16 * LEGACY_QUEUE, DESC + 0x1000);
	used_gpa = DESC + 0x2000;
	legacy_out(VIRTIO_PCI_STATUS, 1, RUNNING);
}

static uint64_t avail_gpa(void)
{
	return queue_size == LEGACY_QUEUE ? DESC + 0x1000 : AVAIL;
}

static void kick(void)
{
	if (queue_size == LEGACY_QUEUE)
		legacy_out(VIRTIO_PCI_QUEUE_NOTIFY, 2, 0);
	else
		out(0x3000, 2, 0);
}

static void descriptor(unsigned int i, uint64_t gpa, uint32_t len,
		       uint16_t flags)
{
	uint8_t *d = at(DESC + 16 * i);

	le64_store(d, gpa);
	le32_store(d + 8, len);
	le16_store(d + 12, flags);
	le16_store(d + 14, (uint16_t)(i + 1));
}

/* With event indexes: has the device asked for this one?  It may still be about
 * to, when it has just answered the last; or have served this one by itself. */
static bool wants_kick(uint16_t idx)
{
	for (int left = WAIT_US; left > 0; left -= POLL_US) {
		if (!features0 || le16_load(at(used_gpa + 4 +
					       8 * queue_size)) == idx)
			return true;
		if (le16_load(at(used_gpa + 2)) == (uint16_t)(idx + 1))
			return false;
		usleep(POLL_US);
	}
	return false;
}

/* Make one request available; returns its number. */
static uint16_t submit(uint32_t type, uint64_t sector, uint32_t len,
		       bool device_writes)
{
	uint8_t *avail = at(avail_gpa());
	uint16_t idx = le16_load(avail + 2);

	le32_store(at(HEADER), type);
	le64_store(at(HEADER + 8), sector);
	*at(STATUS) = 0xee;
	descriptor(0, HEADER, 16, DESC_NEXT);
	if (len)
		descriptor(1, DATA, len, (uint16_t)(DESC_NEXT |
			   (device_writes ? DESC_WRITE : 0)));
	descriptor(len ? 2 : 1, STATUS, 1, DESC_WRITE);
	le16_store(avail + 4 + 2 * (idx % queue_size), 0);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	le16_store(avail + 2, (uint16_t)(idx + 1));
	if (wants_kick(idx))
		kick();
	return idx;
}

/* The status of a request; -1: none comes. */
static int await(uint16_t idx)
{
	uint8_t *used = at(used_gpa);

	for (int left = WAIT_US; left > 0; left -= POLL_US) {
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if (le16_load(used + 2) == (uint16_t)(idx + 1))
			return *at(STATUS);
		usleep(POLL_US);
	}
	return -1;
}

static int request(uint32_t type, uint64_t sector, uint32_t len,
		   bool device_writes)
{
	return await(submit(type, sector, len, device_writes));
}

static void fill(uint8_t seed, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		*at(DATA + i) = (uint8_t)(seed + i * 7);
}

static void test_identity(void **state)
{
	assert_int_equal(config(PCI_VENDOR_ID, 4), 0x10011af4);
	assert_int_equal(config(PCI_CLASS_REVISION, 4), 0x01000000);
	assert_int_equal(config(PCI_SUBSYSTEM_VENDOR_ID, 4), 0x00021af4);
	assert_int_equal(config(PCI_BASE_ADDRESS_0, 4) & 1, 1);
	assert_int_equal(legacy_in(VIRTIO_PCI_CONFIG_OFF(0), 4),
			 IMAGE_SIZE / BLOCK_SECTOR);
	assert_int_equal(in(0x2000, 8), IMAGE_SIZE / BLOCK_SECTOR);
	/* Beyond the device configuration is nothing. */
	assert_int_equal(in(0x2000 + 60, 4), 0);
	assert_int_equal(in(0x2ff8, 8), 0);
}

static void write_read_and_more(void)
{
	uint8_t want[4096], got[512];
	FILE *f;

	fill(1, sizeof(want));
	memcpy(want, at(DATA), sizeof(want));
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 3, sizeof(want), false), 0);
	fill(99, sizeof(want));
	assert_int_equal(request(VIRTIO_BLK_T_IN, 3, sizeof(want), true), 0);
	assert_memory_equal(at(DATA), want, sizeof(want));
	assert_int_equal(request(VIRTIO_BLK_T_FLUSH, 0, 0, false), 0);
	f = fopen(image_path, "r");
	assert_non_null(f);
	assert_int_equal(fseek(f, 3 * BLOCK_SECTOR, SEEK_SET), 0);
	assert_int_equal(fread(got, sizeof(got), 1, f), 1);
	assert_memory_equal(got, want, sizeof(got));
	fclose(f);
	assert_int_equal(request(VIRTIO_BLK_T_GET_ID, 0, 20, true), 0);
	assert_string_equal((char *)at(DATA), "disk@5");
}

static void test_modern(void **state)
{
	start_modern();
	write_read_and_more();
}

/* The device has to say each time that it wants to be kicked. */
static void test_event_index(void **state)
{
	features0 = BIT(29);
	start_modern();
	write_read_and_more();
	features0 = 0;
}

static void test_legacy(void **state)
{
	start_legacy();
	write_read_and_more();
}

static void test_refused_requests(void **state)
{
	static const uint64_t beyond[] = {
		IMAGE_SIZE / BLOCK_SECTOR, IMAGE_SIZE / BLOCK_SECTOR - 1,
		~0ull, ~0ull / BLOCK_SECTOR, 1ull << 55,
	};

	start_modern();
	for (unsigned int i = 0; i < ARRAY_SIZE(beyond); i++) {
		assert_int_equal(request(VIRTIO_BLK_T_IN, beyond[i], 1024,
					 true), VIRTIO_BLK_S_IOERR);
		assert_int_equal(request(VIRTIO_BLK_T_OUT, beyond[i], 1024,
					 false), VIRTIO_BLK_S_IOERR);
	}
	/* Not whole sectors; no such request. */
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, 100, true),
			 VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(77, 0, 512, true), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, 512, true), 0);
}

static void segment(uint64_t sector, uint32_t n, uint32_t flags)
{
	le64_store(at(DATA), sector);
	le32_store(at(DATA + 8), n);
	le32_store(at(DATA + 12), flags);
}

static void test_discard_and_zero(void **state)
{
	start_modern();
	fill(5, 4096);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 0, 4096, false), 0);
	segment(0, 4, 0);
	assert_int_equal(request(VIRTIO_BLK_T_WRITE_ZEROES, 0, 16, false), 0);
	segment(4, 4, 0);
	assert_int_equal(request(VIRTIO_BLK_T_DISCARD, 0, 16, false), 0);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, 2048, true), 0);
	for (unsigned int i = 0; i < 2048; i++)
		assert_int_equal(*at(DATA + i), 0);
	segment(IMAGE_SIZE / BLOCK_SECTOR - 1, 2, 0);
	assert_int_equal(request(VIRTIO_BLK_T_DISCARD, 0, 16, false),
			 VIRTIO_BLK_S_IOERR);
	segment(~0ull - 1, ~0u, 0);
	assert_int_equal(request(VIRTIO_BLK_T_WRITE_ZEROES, 0, 16, false),
			 VIRTIO_BLK_S_IOERR);
	segment(0, 1, 2);
	assert_int_equal(request(VIRTIO_BLK_T_DISCARD, 0, 16, false),
			 VIRTIO_BLK_S_UNSUPP);
	segment(0, 1, 0);
	assert_int_equal(request(VIRTIO_BLK_T_DISCARD, 0, 15, false),
			 VIRTIO_BLK_S_IOERR);
	/* One segment is all that the configuration allows. */
	memset(at(DATA), 0, 1 << 16);
	assert_int_equal(request(VIRTIO_BLK_T_DISCARD, 0, 32, false),
			 VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(VIRTIO_BLK_T_WRITE_ZEROES, 0, 1 << 16, false),
			 VIRTIO_BLK_S_IOERR);
}

/* No byte is read or written until the function may master the bus. */
static void test_bus_master(void **state)
{
	const struct pci_function_ops *function = disk_function(disk)->ops;
	uint16_t idx;

	start_modern();
	function->config_write(disk_function(disk), PCI_COMMAND, 2,
			       PCI_COMMAND_IO | PCI_COMMAND_MEMORY);
	idx = submit(VIRTIO_BLK_T_IN, 0, 512, true);
	usleep(20000);		/* for the thread to do what it must not */
	assert_int_equal(*at(STATUS), 0xee);
	function->config_write(disk_function(disk), PCI_COMMAND, 2,
			       PCI_COMMAND_IO | PCI_COMMAND_MEMORY |
			       PCI_COMMAND_MASTER);
	assert_int_equal(await(idx), 0);
}

/* INTA# of slot 5 is PIRQA, which firmware routes to 10. */
static void test_interrupt(void **state)
{
	start_modern();
	assert_int_equal(request(VIRTIO_BLK_T_FLUSH, 0, 0, false), 0);
	for (int left = WAIT_US; left > 0 &&
	     !__atomic_load_n(&lines, __ATOMIC_SEQ_CST); left -= POLL_US)
		usleep(POLL_US);
	assert_int_equal(lines, BIT(10));
	assert_int_equal(in(0x1000, 1), 1);	/* ISR, which clears it */
	assert_int_equal(lines, 0);
	assert_int_equal(in(0x1000, 1), 0);
}

/* 3.1.1: what was not offered is not taken. */
static void test_features(void **state)
{
	out(VIRTIO_PCI_COMMON_STATUS, 1, 3);
	out(VIRTIO_PCI_COMMON_STATUS, 1, 3 | 8);	/* not even VERSION_1 */
	assert_int_equal(in(VIRTIO_PCI_COMMON_STATUS, 1), 3);
	out(VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	out(VIRTIO_PCI_COMMON_GF, 4, 0xffffffff);
	out(VIRTIO_PCI_COMMON_STATUS, 1, 3 | 8);
	assert_int_equal(in(VIRTIO_PCI_COMMON_STATUS, 1), 3);
	/* Words there are none of. */
	out(VIRTIO_PCI_COMMON_DFSELECT, 4, 0xffffffff);
	assert_int_equal(in(VIRTIO_PCI_COMMON_DF, 4), 0);
	out(VIRTIO_PCI_COMMON_GFSELECT, 4, 2);
	out(VIRTIO_PCI_COMMON_GF, 4, 1);
	assert_int_equal(in(VIRTIO_PCI_COMMON_GF, 4), 0);
	/* Reset forgets. */
	out(VIRTIO_PCI_COMMON_STATUS, 1, 0);
	assert_int_equal(in(VIRTIO_PCI_COMMON_STATUS, 1), 0);
	/* Discard's fields are beyond the legacy ports: not offered there. */
	assert_int_equal(legacy_in(VIRTIO_PCI_HOST_FEATURES, 4) &
			 BIT(VIRTIO_BLK_F_DISCARD), 0);
	assert_true(legacy_in(VIRTIO_PCI_HOST_FEATURES, 4) &
		    BIT(VIRTIO_BLK_F_FLUSH));
}

/* T10: queues and vectors that there are none of. */
static void test_selectors(void **state)
{
	static const uint16_t none[] = { 1, 2, 63, 64, 0x7fff, 0xffff };

	assert_int_equal(in(VIRTIO_PCI_COMMON_NUMQ, 2), 1);
	for (unsigned int i = 0; i < ARRAY_SIZE(none); i++) {
		out(VIRTIO_PCI_COMMON_Q_SELECT, 2, none[i]);
		assert_int_equal(in(VIRTIO_PCI_COMMON_Q_SIZE, 2), 0);
		for (unsigned int off = VIRTIO_PCI_COMMON_Q_SIZE;
		     off < VIRTIO_PCI_COMMON_Q_USEDHI + 4; off += 2)
			out(off, 2, 1);
		out(0x3000 + 4 * (none[i] % 0x400), 2, none[i]);
		legacy_out(VIRTIO_PCI_QUEUE_SEL, 2, none[i]);
		assert_int_equal(legacy_in(VIRTIO_PCI_QUEUE_NUM, 2), 0);
		legacy_out(VIRTIO_PCI_QUEUE_PFN, 4, 0x1000);
		legacy_out(VIRTIO_PCI_QUEUE_NOTIFY, 2, none[i]);
	}
	out(VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
	out(VIRTIO_PCI_COMMON_Q_MSIX, 2, 1);
	assert_int_equal(in(VIRTIO_PCI_COMMON_Q_MSIX, 2), 1);
	out(VIRTIO_PCI_COMMON_Q_MSIX, 2, 2);
	assert_int_equal(in(VIRTIO_PCI_COMMON_Q_MSIX, 2), 0xffff);
}

/* T9: no power of two, or more than there is. */
static void test_sizes_that_cannot_be(void **state)
{
	static const uint16_t sizes[] = { 0, 3, 255, 512, 0x8000, 0xffff };

	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
		start_modern();
		assert_int_equal(in(VIRTIO_PCI_COMMON_STATUS, 1), RUNNING | 8);
		out(VIRTIO_PCI_COMMON_STATUS, 1, 0);
		negotiate();
		set_up_queue();
		out(VIRTIO_PCI_COMMON_Q_SIZE, 2, sizes[i]);
		out(VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
		out(VIRTIO_PCI_COMMON_STATUS, 1, RUNNING | 8);
		assert_int_equal(in(VIRTIO_PCI_COMMON_STATUS, 1),
				 RUNNING | 8 | NEEDS_RESET);
	}
}

/* Open the window in config space on something; where its data are. */
static unsigned int window(unsigned int bar, uint32_t off, uint32_t len)
{
	unsigned int cap = config(PCI_CAPABILITY_LIST, 1);

	while (config(cap, 1) != PCI_CAP_ID_VNDR ||
	       config(cap + VIRTIO_PCI_CAP_CFG_TYPE, 1) !=
	       VIRTIO_PCI_CAP_PCI_CFG) {
		cap = config(cap + PCI_CAP_LIST_NEXT, 1);
		assert_int_not_equal(cap, 0);
	}
	config_out(cap + VIRTIO_PCI_CAP_BAR, 1, bar);
	config_out(cap + VIRTIO_PCI_CAP_OFFSET, 4, off);
	config_out(cap + VIRTIO_PCI_CAP_LENGTH, 4, len);
	return cap + sizeof(struct virtio_pci_cap);
}

/* 4.1.4.9: firmware reaches the registers without BARs. */
static void test_window(void **state)
{
	static const uint32_t bad[][3] = {
		{ 0, 0, 4 }, { 1, 0, 4 }, { 5, 0, 4 }, { 255, 0, 4 },
		{ 4, 0x4000, 4 }, { 4, ~0u, 1 }, { 4, ~3u, 4 }, { 4, 2, 4 },
		{ 4, 0, 0 }, { 4, 0, 3 }, { 4, 0, 8 }, { 4, 0, ~0u },
	};
	unsigned int data;

	config_out(PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	data = window(4, 0x2000, 4);
	assert_int_equal(config(data, 4), IMAGE_SIZE / BLOCK_SECTOR);
	data = window(4, VIRTIO_PCI_COMMON_STATUS, 1);
	config_out(data, 1, 3);
	assert_int_equal(config(data, 1), 3);
	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		data = window(bad[i][0], bad[i][1], bad[i][2]);
		config_out(data, 4, 0);
		assert_int_equal(config(data, 4), 0);
	}
	data = window(4, VIRTIO_PCI_COMMON_STATUS, 1);
	assert_int_equal(config(data, 1), 3);
}

/* By the address 0, as drivers do that unload. */
static void test_legacy_gives_a_queue_up(void **state)
{
	start_legacy();
	assert_int_equal(request(VIRTIO_BLK_T_FLUSH, 0, 0, false), 0);
	legacy_out(VIRTIO_PCI_QUEUE_PFN, 4, 0);
	assert_int_equal(legacy_in(VIRTIO_PCI_QUEUE_PFN, 4), 0);
	submit(VIRTIO_BLK_T_FLUSH, 0, 0, false);
	usleep(20000);		/* for the thread to do what it must not */
	assert_int_equal(*at(STATUS), 0xee);
	memset(at(avail_gpa()), 0, 4);
	memset(at(used_gpa), 0, 4);
	legacy_out(VIRTIO_PCI_QUEUE_PFN, 4, DESC >> 12);
	assert_int_equal(request(VIRTIO_BLK_T_FLUSH, 0, 0, false), 0);
	/* One that is in use does not move. */
	legacy_out(VIRTIO_PCI_QUEUE_PFN, 4, 1);
	assert_int_equal(legacy_in(VIRTIO_PCI_QUEUE_PFN, 4), DESC >> 12);
}

/* What the driver of one interface has settled, the other does not change. */
static void test_interfaces_do_not_mix(void **state)
{
	start_legacy();
	out(VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	out(VIRTIO_PCI_COMMON_GF, 4, VERSION_1);
	assert_int_equal(in(VIRTIO_PCI_COMMON_GF, 4), 0);
	out(VIRTIO_PCI_COMMON_STATUS, 1, RUNNING | 8);
	assert_int_equal(in(VIRTIO_PCI_COMMON_STATUS, 1), RUNNING);
	assert_int_equal(request(VIRTIO_BLK_T_FLUSH, 0, 0, false), 0);

	start_modern();
	legacy_out(VIRTIO_PCI_GUEST_FEATURES, 4, ~0u);
	legacy_out(VIRTIO_PCI_STATUS, 1, 128);
	assert_int_equal(in(VIRTIO_PCI_COMMON_STATUS, 1), RUNNING | 8);
}

/* Pieces of no bytes, also where the status should be; no room for it. */
static void test_empty_pieces(void **state)
{
	start_modern();
	le32_store(at(HEADER), VIRTIO_BLK_T_GET_ID);
	for (unsigned int status_len = 0; status_len < 2; status_len++) {
		uint16_t idx = le16_load(at(AVAIL + 2));

		descriptor(0, HEADER, 16, DESC_NEXT);
		descriptor(1, DATA, 20 * status_len, DESC_NEXT | DESC_WRITE);
		descriptor(2, STATUS, status_len, DESC_NEXT | DESC_WRITE);
		descriptor(3, STATUS, 0, DESC_WRITE);
		*at(STATUS) = 0xee;
		le16_store(at(AVAIL + 4 + 2 * (idx % queue_size)), 0);
		le16_store(at(AVAIL + 2), (uint16_t)(idx + 1));
		kick();
		for (int left = WAIT_US; left > 0 && le16_load(at(USED + 2)) !=
		     (uint16_t)(idx + 1); left -= POLL_US)
			usleep(POLL_US);
		assert_int_equal(le16_load(at(USED + 2)), idx + 1);
		if (!status_len)
			assert_int_equal(*at(STATUS), 0xee);
	}
	assert_int_equal(request(VIRTIO_BLK_T_FLUSH, 0, 0, false), 0);
}

/* T12: rings and descriptors where there is no memory. */
static void test_no_memory_there(void **state)
{
	start_modern();
	assert_int_equal(request(VIRTIO_BLK_T_FLUSH, 0, 0, false), 0);
	descriptor(0, ~0ull - 8, 16, 0);
	le16_store(at(AVAIL + 2), (uint16_t)(le16_load(at(AVAIL + 2)) + 1));
	kick();
	/* Given back, and the next works. */
	for (int left = WAIT_US; left > 0 && le16_load(at(USED + 2)) !=
	     le16_load(at(AVAIL + 2)); left -= POLL_US)
		usleep(POLL_US);
	assert_int_equal(request(VIRTIO_BLK_T_FLUSH, 0, 0, false), 0);

	out(VIRTIO_PCI_COMMON_STATUS, 1, 0);
	out(VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	out(VIRTIO_PCI_COMMON_GF, 4, VERSION_1);
	out(VIRTIO_PCI_COMMON_STATUS, 1, 3 | 8);
	out(VIRTIO_PCI_COMMON_Q_DESCLO, 8, 0xfffffffff000);
	out(VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	out(VIRTIO_PCI_COMMON_STATUS, 1, RUNNING | 8);
	assert_true(in(VIRTIO_PCI_COMMON_STATUS, 1) & NEEDS_RESET);
	start_modern();
	memset(at(AVAIL), 0, 4);
	memset(at(USED), 0, 4);
	start_modern();
	assert_int_equal(request(VIRTIO_BLK_T_FLUSH, 0, 0, false), 0);
}

/* T13: another vCPU changes the request while it is served. */
static void *flip(void *stop)
{
	for (uint32_t i = 0; !__atomic_load_n((bool *)stop, __ATOMIC_RELAXED);
	     i++) {
		__atomic_store_n((uint64_t *)at(HEADER + 8), i & 1 ? ~0ull : 0,
				 __ATOMIC_RELAXED);
		__atomic_store_n((uint32_t *)at(DESC + 24), i * 2654435761u,
				 __ATOMIC_RELAXED);
	}
	return NULL;
}

static void test_double_fetch(void **state)
{
	pthread_t thread;
	bool stop = false;
	struct stat st;

	start_modern();
	assert_int_equal(pthread_create(&thread, NULL, flip, &stop), 0);
	for (unsigned int i = 0; i < 500; i++) {
		int status = request(VIRTIO_BLK_T_OUT, 0, 512, false);

		/* 0xee: what it has become was no request. */
		assert_true(status == VIRTIO_BLK_S_OK || status == 0xee ||
			    status == VIRTIO_BLK_S_IOERR);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	assert_int_equal(stat(image_path, &st), 0);
	assert_int_equal(st.st_size, IMAGE_SIZE);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, 512, true), 0);
}

/* T15: after a reset, or without bus mastering, no byte is written, whatever
 * was under way. */
static void test_stopped_in_flight(void **state)
{
	for (unsigned int i = 0; i < 200; i++) {
		memset(at(AVAIL), 0, 4);
		memset(at(USED), 0, 4);
		start_modern();
		submit(VIRTIO_BLK_T_IN, 0, 4096, true);
		if (i % 2)
			out(VIRTIO_PCI_COMMON_STATUS, 1, 0);
		else
			config_out(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
		memset(at(DATA), 0xa5, 4096);
		*at(STATUS) = 0xee;
		usleep(200);
		for (unsigned int b = 0; b < 4096; b++)
			assert_int_equal(*at(DATA + b), 0xa5);
		assert_int_equal(*at(STATUS), 0xee);
		config_out(PCI_COMMAND, 2,
			   PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	}
	memset(at(AVAIL), 0, 4);
	memset(at(USED), 0, 4);
	start_modern();
	assert_int_equal(request(VIRTIO_BLK_T_FLUSH, 0, 0, false), 0);
}

/* Any register, any width, any value; then it works all the same. */
static void test_hostile_accesses(void **state)
{
	unsigned int seed = 1;

	for (unsigned int i = 0; i < 100000; i++) {
		unsigned int off = (unsigned int)rand_r(&seed) % 0x4000;
		unsigned int len = BIT((unsigned int)rand_r(&seed) % 4);

		if (i % 3)
			off %= 0x40;
		out(off, len, (uint64_t)rand_r(&seed) << 20 ^
		    (uint64_t)rand_r(&seed));
		in(off, len);
		legacy_out(off % 64, min_of(len, 4u), (uint32_t)rand_r(&seed));
		legacy_in(off % 64, min_of(len, 4u));
	}
	memset(at(0), 0, 1 << 20);
	start_modern();
	assert_int_equal(request(VIRTIO_BLK_T_FLUSH, 0, 0, false), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_identity),
		T(test_modern),
		T(test_event_index),
		T(test_legacy),
		T(test_refused_requests),
		T(test_discard_and_zero),
		T(test_bus_master),
		T(test_interrupt),
		T(test_features),
		T(test_selectors),
		T(test_sizes_that_cannot_be),
		T(test_window),
		T(test_legacy_gives_a_queue_up),
		T(test_interfaces_do_not_mix),
		T(test_empty_pieces),
		T(test_no_memory_there),
		T(test_double_fetch),
		T(test_stopped_in_flight),
		T(test_hostile_accesses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
