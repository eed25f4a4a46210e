/* SPDX-License-Identifier: Apache-2.0
 *
 * Lab files: what a good one becomes, and what is said about each kind of bad
 * one.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "ctl/lab_config.h"

static struct lab_error error;

static struct lab *parse(const char *text)
{
	return lab_parse(text, strlen(text), "/labs/test.yaml", &error);
}

static void full_file(void **state unused)
{
	struct lab *lab = parse(
		"name: full\n"
		"workers: 2\n"
		"cpus: [3, 5]\n"
		"poll_us: 0\n"
		"networks:\n"
		"  lan:\n"
		"  wan: {ageing: 60, mac_table: 16, taps: [tap0, tap1]}\n"
		"machines:\n"
		"  a:\n"
		"    vcpus: 4\n"
		"    memory: 2G\n"
		"    kernel: vmlinux\n"
		"    initrd: /boot/initrd\n"
		"    append: quiet single\n"
		"    nics:\n"
		"      - {network: wan, mac: '52:54:00:AB:cd:01', link: down,\n"
		"         addresses: [10.0.0.1/24, 'fd00::1/64']}\n"
		"      - network: lan\n");
	const struct lab_machine *m;

	assert_non_null(lab);
	assert_string_equal(lab->name, "full");
	assert_int_equal(lab->n_workers, 2);
	assert_int_equal(lab->n_cpus, 2);
	assert_int_equal(lab->cpus[1], 5);
	assert_int_equal(lab->poll_us, 0);
	assert_int_equal(lab->n_networks, 2);
	assert_int_equal(lab->networks[0].ageing_s, 300);
	assert_int_equal(lab->networks[0].mac_table, 8192);
	assert_int_equal(lab->networks[1].ageing_s, 60);
	assert_int_equal(lab->networks[1].mac_table, 16);
	assert_int_equal(lab->networks[1].n_taps, 2);
	assert_string_equal(lab->networks[1].taps[1], "tap1");
	assert_int_equal(lab_network_idx(lab, "wan"), 1);
	assert_int_equal(lab_network_idx(lab, "none"), -1);
	assert_int_equal(lab->n_machines, 1);
	m = &lab->machines[0];
	assert_string_equal(m->name, "a");
	assert_int_equal(m->vcpus, 4);
	assert_int_equal(m->memory, 2ull << 30);
	assert_string_equal(m->kernel, "/labs/vmlinux");
	assert_string_equal(m->initrd, "/boot/initrd");
	assert_string_equal(m->append, "quiet single");
	assert_int_equal(m->n_nics, 2);
	assert_false(m->nics[0].link_up);
	assert_true(m->nics[1].link_up);
	assert_string_equal(m->nics[1].model, "e1000");
	assert_int_equal(m->nics[0].mac[3], 0xab);
	assert_int_equal(m->nics[0].n_addresses, 2);
	assert_int_equal(m->nics[0].addresses[0].family, AF_INET);
	assert_int_equal(m->nics[0].addresses[0].prefix_len, 24);
	assert_int_equal(m->nics[0].addresses[1].family, AF_INET6);
	lab_free(lab);
}

static void defaults(void **state unused)
{
	struct lab *lab = parse("name: d\nmachines: {a: {}, b: }\n");

	assert_non_null(lab);
	assert_int_equal(lab->n_machines, 2);
	assert_int_equal(lab->machines[1].vcpus, 1);
	assert_int_equal(lab->machines[1].memory, 256ull << 20);
	assert_string_equal(lab->machines[1].kernel, "");
	assert_int_equal(lab->machines[1].n_nics, 0);
	assert_int_equal(lab->machines[1].board, VM_BOARD_PC);
	assert_int_equal(lab->machines[1].spare_ports, 4);
	lab_free(lab);
}

/* Derived addresses: the same each time, different from each other and from
 * those written down. */
static void derived_macs(void **state unused)
{
	static const char text[] =
		"name: m\nnetworks: {n: }\nmachines:\n"
		"  a: {nics: [{network: n}, {network: n}]}\n"
		"  b: {nics: [{network: n}]}\n";
	struct lab *one = parse(text), *two = parse(text), *three;
	char mac[18], other[256];

	assert_non_null(one);
	assert_non_null(two);
	for (unsigned int i = 0; i < 2; i++)
		assert_memory_equal(one->machines[0].nics[i].mac,
				    two->machines[0].nics[i].mac, 6);
	assert_memory_not_equal(one->machines[0].nics[0].mac,
				one->machines[0].nics[1].mac, 6);
	assert_memory_not_equal(one->machines[0].nics[0].mac,
				one->machines[1].nics[0].mac, 6);
	assert_int_equal(one->machines[0].nics[0].mac[0], 0x52);
	lab_mac_text(one->machines[0].nics[0].mac, mac);
	snprintf(other, sizeof(other),
		 "name: m\nnetworks: {n: }\nmachines:\n"
		 "  a: {nics: [{network: n}]}\n"
		 "  z: {nics: [{network: n, mac: '%s'}]}\n", mac);
	three = parse(other);
	assert_non_null(three);
	assert_memory_not_equal(three->machines[0].nics[0].mac,
				three->machines[1].nics[0].mac, 6);
	lab_free(one);
	lab_free(two);
	lab_free(three);
}

static void cmdline(void **state unused)
{
	char text[LAB_CMDLINE_MAX];
	struct lab *lab = parse(
		"name: c\nnetworks: {n: }\nmachines:\n"
		"  a:\n"
		"    append: single\n"
		"    nics:\n"
		"      - {network: n, mac: '02:00:00:00:00:01',\n"
		"         addresses: [10.0.0.1/24, 'fd00::1/64']}\n"
		"      - {network: n, mac: '02:00:00:00:00:02'}\n");

	assert_non_null(lab);
	assert_int_equal(lab_cmdline(&lab->machines[0], text), 0);
	assert_string_equal(text, "backplane.hostname=a "
			    "backplane.net=02:00:00:00:00:01=10.0.0.1/24,fd00::1/64 "
			    "backplane.net=02:00:00:00:00:02=up single");
	lab_free(lab);
}

static void sockets_and_ports(void **state unused)
{
	struct lab *lab = parse("name: s\nmachines: {alice: }\n");
	char path[LAB_SOCKET_MAX], port[64], dir[LAB_SOCKET_MAX];

	assert_non_null(lab);
	assert_int_equal(lab_nic_socket("/run/x", &lab->machines[0], 1, path),
			 0);
	assert_string_equal(path, "/run/x/nic-alice.1.sock");
	lab_port_name(&lab->machines[0], 1, port, sizeof(port));
	assert_string_equal(port, "alice.1");
	memset(dir, 'd', sizeof(dir) - 1);
	dir[sizeof(dir) - 1] = '\0';
	assert_int_not_equal(lab_nic_socket(dir, &lab->machines[0], 1, path),
			     0);
	lab_free(lab);
}

/* M: a lab up to the keys of a machine "a"; N: up to those of a NIC. */
#define M "name: e\nnetworks: {n: }\nmachines:\n  a:\n"
#define N M "    nics:\n      - network: n\n"

static const struct {
	const char *text;	/* of the file */
	unsigned int line;	/* that the message has to name */
	const char *says;	/* words that have to be in it */
} bad[] = {
	{ "", 1, "empty" },
	{ "- a\n", 1, "expected a mapping" },
	{ "name: [a\n", 2, "not YAML" },
	{ "name: a: b\n", 1, "not YAML" },
	{ "machines: {a: }\n", 1, "'name' (name) is missing" },
	{ "name: x\n", 1, "'machines' (mapping" },
	{ "name: x\nmachines: {}\n", 1, "at least one machine" },
	{ "name: Big Name\nmachines: {a: }\n", 1, "expected a name" },
	{ "name: ../x\nmachines: {a: }\n", 1, "expected a name" },
	{ "name: x\nmachines: [a]\n", 2, "not a list" },
	{ "name: x\nmachines:\n  -a: 1\n", 3, "expected a name" },
	{ "name: x\nname: y\nmachines: {a: }\n", 2, "is there twice" },
	{ "name: x\nmachines:\n  a:\n  b:\n  a:\n", 5,
	  "machines.a: is there twice" },
	{ "name: x\nmachine:\n  a:\n", 2, "did you mean 'machines'?" },
	{ "name: x\nzebra: 1\n", 2, "expected one of name, networks" },
	{ M "    vcpu: 1\n", 5, "machines.a.vcpu: there is no such key; did you mean 'vcpus'?" },
	{ M "    vcpus: 0\n", 5, "machines.a.vcpus: expected a number from 1 to 128, not '0'" },
	{ M "    vcpus: 129\n", 5, "expected a number" },
	{ M "    vcpus: 99999999999999999999\n", 5, "expected a number" },
	{ M "    vcpus: -1\n", 5, "expected a number" },
	{ M "    vcpus: 1x\n", 5, "expected a number" },
	{ M "    vcpus: [1]\n", 5, "expected number, not a list" },
	{ M "    memory: 512\n", 5, "machines.a.memory: expected a size such as 512M" },
	{ M "    memory: 1M\n", 5, "too small: expected at least 32M" },
	{ M "    memory: 257G\n", 5, "at most 256G" },
	{ M "    memory: 18446744073709551615G\n", 5, "at most 256G" },
	{ M "    memory: 129M\n", 5, "expected a multiple of 2M" },
	{ M "    memory: {}\n", 5, "not a mapping" },
	{ M "    kernel:\n", 5, "machines.a.kernel" },
	{ M "    append: \"a\\nb\"\n", 5, "expected one line" },
	{ M "    append: \"a\\0b\"\n", 5, "NUL" },
	{ M "    nics: 3\n", 5, "expected list of NICs" },
	{ M "    nics:\n      - model: e1000\n", 6, "'network'" },
	{ M "    nics:\n      - network: nn\n", 6, "no such network" },
	{ N "        model: rtl8139\n", 7, "machines.a.nics[0].model: expected one of e1000" },
	{ N "        queues: 2\n", 6, "machines.a.nics[0].queues" },
	{ N "        mtu: 9000\n", 6, "machines.a.nics[0].mtu" },
	{ N "        model: virtio-net\n        caps: full\n", 6,
	  "machines.a.nics[0].caps" },
	{ N "        model: virtio-net\n        queues: 17\n", 8,
	  "expected a number from 1 to 16" },
	{ N "        model: virtio-net\n        mtu: 67\n", 8,
	  "expected a number from 68" },
	{ N "        mac: 52:54:00:00:00\n", 7, "expected an address such as 52:54" },
	{ N "        mac: 52:54:00:00:00:0g\n", 7, "expected an address" },
	{ N "        mac: 52:54:00:00:00:00:00\n", 7, "expected an address" },
	{ N "        mac: 01:00:00:00:00:01\n", 7, "multicast" },
	{ N "        mac: 00:00:00:00:00:00\n", 7, "zero" },
	{ N "        mac: 02:00:00:00:00:01\n"
	    "      - {network: n, mac: 02:00:00:00:00:01}\n", 6,
	  "another NIC has the same address" },
	{ N "        addresses: [10.0.0.1]\n", 7, "machines.a.nics[0].addresses[0]: expected an address such as" },
	{ N "        addresses: [10.0.0.1/33]\n", 7, "expected an address" },
	{ N "        addresses: [10.0.0/24]\n", 7, "expected an address" },
	{ N "        addresses: [fd00::1/129]\n", 7, "expected an address" },
	{ N "        addresses: [224.0.0.1/4]\n", 7, "expected an address" },
	{ N "        addresses: [\"::/64\"]\n", 7, "expected an address" },
	{ N "        addresses: 10.0.0.1/24\n", 7, "expected list of addresses" },
	{ N "        addresses: [10.0.0.1/24, 10.0.0.1/16]\n", 6, "twice" },
	{ M "    disks:\n      - {format: raw}\n", 6, "'image'" },
	{ M "    disks:\n      - {image: a, format: vmdk}\n", 6,
	  "expected raw or qcow2, not 'vmdk'" },
	{ M "    disks:\n      - {image: a, slot: 1}\n", 6,
	  "expected a number from 2 to 31" },
	{ M "    disks: [{image: a}, {image: b}, {image: c}, {image: d}, "
	    "{image: e}]\n", 5, "has 5 entries, at most 4" },
	{ M "    board: q35\n", 5, "expected pc or pcie, not 'q35'" },
	{ N "        plugged: maybe\n", 7, "expected yes or no" },
	{ N "        plugged: no\n", 6, "only into a root port" },
	{ M "    board: pcie\n    nics:\n"
	    "      - {network: n, plugged: no, bridge: 1}\n", 7,
	  "only into a root port" },
	{ N "        bridge: 5\n", 7, "expected a number from 1 to 4" },
	{ N "        slot: 40\n", 6,
	  "nics[0].slot: expected a number from 2 to 31 here, not '40'" },
	{ N "        slot: 1\n", 6, "expected a number from 2 to 31 here" },
	{ N "        slot: 32\n        bridge: 1\n", 6,
	  "expected a number from 1 to 31 here" },
	{ N "        slot: 7\n      - {network: n, slot: 7}\n", 8,
	  "machines.a.nics[1].slot: 7 is taken" },
	{ N "        slot: 7\n        bridge: 2\n"
	    "      - {network: n, slot: 7, bridge: 2}\n", 9, "7 is taken" },
	{ M "    board: pcie\n    nics:\n"
	    "      - {network: n, slot: 9}\n      - {network: n, slot: 9}\n",
	  8, "9 is taken" },
	{ N "        slot: 29\n      - {network: n, bridge: 2}\n", 8,
	  "nics[1].bridge: the bridge's own slot, 29, is taken" },
	{ N "        slot: 5\n    disks:\n      - {image: i, slot: 5}\n", 9,
	  "disks[0].slot: is taken" },
	{ M "    board: pcie\n    disks:\n      - {image: i, slot: 5}\n", 7,
	  "disks[0].slot: can be chosen on the board pc only" },
	{ M "    disks:\n      - {image: i}\n      - {image: j, slot: 5}\n", 7,
	  "disks[1].slot: is taken" },
	{ M "    disks:\n      - image: 'a,b'\n", 6,
	  "machines.a.disks[0].image: a path with a comma" },
	{ N "        link: maybe\n", 7, "expected up or down, not 'maybe'" },
	{ "name: x\nnetworks:\n  n: {ageing: 0}\nmachines: {a: }\n", 3,
	  "networks.n.ageing: expected a number from 1" },
	{ "name: x\nnetworks:\n  n: {mac_table: 65536}\nmachines: {a: }\n", 3,
	  "networks.n.mac_table: expected a number from 1 to 65535" },
	{ "name: x\nnetworks:\n  n: {taps: [../x]}\nmachines: {a: }\n", 3,
	  "networks.n.taps[0]: expected a tap" },
	{ "name: x\nnetworks:\n  n: {taps: [sixteen-letters0]}\nmachines: {a: }\n",
	  3, "at most 15 characters" },
	{ "name: x\nnetworks:\n  n: {taps: [t]}\n  m: {taps: [t]}\nmachines: {a: }\n",
	  4, "'t' is there twice" },
	{ "name: x\nworkers: 17\nmachines: {a: }\n", 2,
	  "workers: expected a number from 1 to 16" },
	{ "name: x\nworkers: 2\ncpus: [1]\nmachines: {a: }\n", 1,
	  "one for each of the 2 workers, not 1" },
	{ "name: x\ncpus: [a]\nmachines: {a: }\n", 2, "cpus[0]: expected a number" },
	{ "? {a: b}\n: c\n", 1, "expected a key, not a mapping" },
	{ "name: &a [*a]\nmachines: {a: }\n", 1, "expected name, not a list" },
};

static void refusals(void **state unused)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct lab *lab = parse(bad[i].text);
		char where[64];

		snprintf(where, sizeof(where), "/labs/test.yaml:%u: ",
			 bad[i].line);
		if (lab || strncmp(error.text, where, strlen(where)) ||
		    !strstr(error.text, bad[i].says))
			fail_msg("%s\nwas answered by: %s\nexpected: %s...%s",
				 bad[i].text, lab ? "nothing" : error.text,
				 where, bad[i].says);
	}
}

/* What the VMM would place is not refused. */
static void slots(void **state unused)
{
	static const char *const good[] = {
		N "        slot: 2\n      - {network: n, slot: 31}\n",
		N "      - {network: n, slot: 3}\n",
		N "        slot: 30\n      - {network: n, bridge: 2, slot: 30}\n",
		N "        slot: 7\n        bridge: 1\n"
		"      - {network: n, slot: 7, bridge: 2}\n"
		"      - {network: n, slot: 7}\n",
		M "    board: pcie\n    nics:\n"
		"      - {network: n, slot: 176}\n"
		"      - {network: n, slot: 176, plugged: no}\n",
	};
	char text[8192];
	struct lab *lab;
	int n;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		lab = parse(good[i]);
		if (!lab)
			fail_msg("%s\nwas answered by: %s", good[i],
				 error.text);
		lab_free(lab);
	}
	/* All that have room on the pc's bus, and one more; on the other board
	 * there is no end to them. */
	for (unsigned int n_nics = 29; n_nics <= 30; n_nics++) {
		n = snprintf(text, sizeof(text), M "    nics:\n");
		for (unsigned int i = 0; i < n_nics; i++)
			n += snprintf(text + n, sizeof(text) - (size_t)n,
				      "      - network: n\n");
		lab = parse(text);
		assert_int_equal(!lab, n_nics == 30);
		lab_free(lab);
	}
	assert_non_null(strstr(error.text, "nics[29].slot: none is free"));
	snprintf(text + n, sizeof(text) - (size_t)n, "    board: pcie\n");
	lab = parse(text);
	assert_non_null(lab);
	lab_free(lab);
}

static void too_many(void **state unused)
{
	char text[8192];
	int n = snprintf(text, sizeof(text), "name: x\nmachines:\n");

	for (unsigned int i = 0; i <= LAB_MACHINES_MAX; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "  m%u:\n",
			      i);
	assert_null(parse(text));
	assert_non_null(strstr(error.text, "at most 64"));

	n = snprintf(text, sizeof(text), M "    nics:\n");
	for (unsigned int i = 0; i <= LAB_NICS_MAX; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n,
			      "      - network: n\n");
	assert_null(parse(text));
	assert_non_null(strstr(error.text, "has 33 entries, at most 32"));
}

static void long_cmdline(void **state unused)
{
	char text[16384];
	int n = snprintf(text, sizeof(text), M "    board: pcie\n    append: ");

	memset(text + n, 'a', LAB_APPEND_MAX - 1);
	n += LAB_APPEND_MAX - 1;
	n += snprintf(text + n, sizeof(text) - (size_t)n, "\n    nics:\n");
	for (unsigned int i = 0; i < LAB_NICS_MAX; i++) {
		n += snprintf(text + n, sizeof(text) - (size_t)n,
			      "      - network: n\n        addresses: [");
		for (unsigned int j = 0; j < LAB_ADDRESSES_MAX; j++)
			n += snprintf(text + n, sizeof(text) - (size_t)n,
				      "%s10.1.%u.%u/24", j ? ", " : "", i,
				      j + 1);
		n += snprintf(text + n, sizeof(text) - (size_t)n, "]\n");
	}
	assert_null(parse(text));
	assert_non_null(strstr(error.text, "kernel command line"));
	assert_non_null(strstr(error.text, "test.yaml:4:"));
}

static void missing_file(void **state unused)
{
	assert_null(lab_load("/nowhere/lab.yaml", &error));
	assert_non_null(strstr(error.text, "/nowhere/lab.yaml"));
	assert_null(lab_load("/", &error));
	assert_non_null(strstr(error.text, "directory"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(full_file),
		cmocka_unit_test(defaults),
		cmocka_unit_test(derived_macs),
		cmocka_unit_test(cmdline),
		cmocka_unit_test(sockets_and_ports),
		cmocka_unit_test(refusals),
		cmocka_unit_test(slots),
		cmocka_unit_test(too_many),
		cmocka_unit_test(long_cmdline),
		cmocka_unit_test(missing_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
