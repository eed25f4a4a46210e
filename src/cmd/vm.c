/* SPDX-License-Identifier: Apache-2.0
 *
 * `backplane vm`: one virtual machine.  Reads what is wanted, builds it, runs
 * it, and turns the way it ended into an exit status.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/sched.h"
#include "cmd/cmd.h"
#include "ctl/guest_image.h"
#include "ctl/vm_api.h"
#include "vmm/boot.h"
#include "vmm/chardev.h"
#include "vmm/memory.h"
#include "vmm/vm.h"

enum {
	EXIT_GUEST_DIED = 3,	/* triple fault, KVM error */
	EXIT_SIGNALLED = 128,	/* plus the signal that asked for the end */
	DEFAULT_MEMORY_MIB = 512,
	DEFAULT_CPUS = 1,
};

/*
 * What every kernel is told unless --cmdline says otherwise: where the console
 * is, to reboot when it panics, and what saves time.  A KVM guest's TSC and
 * timer interrupt need no watching, there is no keyboard controller to look
 * for, and no AGP bridge (the search takes 8000 config accesses, each an exit);
 * the ciphers' self-tests take two seconds where the processor is emulated.
 */
static const char default_cmdline[] =
	"console=ttyS0 quiet panic=-1 reboot=acpi tsc=reliable "
	"i8042.noaux i8042.nokbd 8250.nr_uarts=2 no_timer_check "
	"iommu=noaperture";

static const char usage[] =
	"Usage: backplane vm [OPTIONS]\n\n"
	"Run one virtual machine; vfio-user servers are its network cards.\n\n"
	"  --kernel FILE       ELF vmlinux with a PVH note, or bzImage\n"
	"  --initrd FILE       initial RAM disk\n"
	"                      (default for both: the project's guest image)\n"
	"  --append STRING     add to the kernel's command line\n"
	"  --cmdline STRING    replace it\n"
	"  --cpus N            vCPUs, 1 to 128 (default 1)\n"
	"  --memory SIZE       such as 256M, 3.5G (default 512M); 32M to\n"
	"                      256G, a multiple of 2M\n"
	"  --board pc|pcie     pc: 440FX, conventional PCI (default);\n"
	"                      pcie: Q35, PCI Express, NICs can be plugged\n"
	"  --spare-ports N     pcie: root ports without a card (default 4)\n"
	"  --nic vfio-user:PATH[,id=NAME][,bridge=N][,slot=N]\n"
	"                      a card served at that socket; again for more.\n"
	"                      pc: in PCI slot 2 to 31 (default: the next from\n"
	"                      3 on); pcie: in the slot of root port 1 to 176\n"
	"                      (default: the next); with bridge=1 to 4 (both):\n"
	"                      behind a PCI bridge in slot 1 to 31\n"
	"  --disk FILE[,format=raw|qcow2][,ro=yes][,slot=N]\n"
	"                      a disk image (default: qcow2 if that is how its\n"
	"                      name ends, else raw); again for more, up to 4\n"
	"  --console SPEC      stdio (default), pty, none, unix:PATH or\n"
	"                      file:PATH\n"
	"  --agent SPEC        the second serial port; unix:PATH, or as above\n"
	"  --api PATH          control API on a UNIX socket\n"
	"  --name NAME         for people and messages\n"
	"  --no-reboot         end when the guest resets itself\n"
	"  --stats             print exit statistics at the end\n"
	"                      (SIGUSR1: now)\n"
	"  --help              this text\n\n"
	"On a terminal, Ctrl-A X ends the machine, Ctrl-A H helps.\n\n"
	"Exit status: 0 the guest powered off, or reset itself with\n"
	"--no-reboot, or Ctrl-A X; 1 it could not be set up; 2 usage;\n"
	"3 the guest died; 130, 143: SIGINT, SIGTERM (the power is cut).\n";

/* What the command line says. */
struct options {
	struct vm_config config;
	const char *append;		/* --append; NULL: nothing */
	const char *api;		/* --api; NULL: none */
	bool stats;			/* --stats */
	char cmdline[BOOT_CMDLINE_MAX];	/* default and append together */
	char kernel[LAB_PATH_MAX];	/* of the guest image */
	char initrd[LAB_PATH_MAX];
};

/* For the signal handlers, which have no other way to it. */
static struct vm *running_vm;
static volatile sig_atomic_t end_signal;

static void on_end_signal(int signo)
{
	end_signal = signo;
	if (running_vm)
		vm_stop(running_vm);
}

static void on_stats_signal(int signo)
{
	if (running_vm)
		vm_print_stats(running_vm);
}

/* "3.5G" in bytes; the fraction must come out even. */
static bool parse_size(const char *text, uint64_t *size)
{
	double value;
	char *end;
	unsigned int shift;

	errno = 0;
	value = strtod(text, &end);
	switch (*end) {
	case 'K': case 'k': shift = 10; break;
	case 'M': case 'm': shift = 20; break;
	case 'G': case 'g': shift = 30; break;
	default: return false;
	}
	value *= (double)BIT64(shift);
	if (end == text || end[1] || errno || !(value >= 1) ||
	    value > (double)VM_MEMORY_MAX)
		return false;
	*size = (uint64_t)value;
	return vm_memory_size_ok(*size);
}

static bool parse_number(const char *text, unsigned long min,
			 unsigned long max, unsigned int *number)
{
	unsigned long value;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	value = strtoul(text, &end, 10);
	if (*end || errno || value < min || value > max)
		return false;
	*number = (unsigned int)value;
	return true;
}

/* One of a NIC's options, "slot=3". */
static bool parse_nic_option(char *text, struct vm_nic_config *nic)
{
	char *value = strchr(text, '=');

	if (!value)
		return false;
	*value++ = '\0';
	if (!strcmp(text, "slot"))
		return parse_number(value, 1, VM_PORTS_MAX, &nic->slot);
	if (!strcmp(text, "bridge"))
		return parse_number(value, 1, VM_BRIDGES_MAX, &nic->bridge);
	if (strcmp(text, "id") || !*value)
		return false;
	nic->id = value;
	return true;
}

/* "vfio-user:PATH[,OPTION...]"; cuts @text up. */
static bool parse_nic(char *text, struct vm_config *config)
{
	static const char prefix[] = "vfio-user:";
	struct vm_nic_config nic = { .slot = 0 };
	char *option;

	if (strncmp(text, prefix, strlen(prefix)) ||
	    config->n_nics == VM_NICS_MAX)
		return false;
	text += strlen(prefix);
	nic.path = strsep(&text, ",");
	while ((option = strsep(&text, ",")))
		if (!parse_nic_option(option, &nic))
			return false;
	config->nic[config->n_nics++] = nic;
	return *nic.path;
}

/* One of a disk's options, "format=raw". */
static bool parse_disk_option(char *text, struct vm_disk_config *disk)
{
	char *value = strchr(text, '=');

	if (!value)
		return false;
	*value++ = '\0';
	if (!strcmp(text, "slot"))
		return parse_number(value, 2, 31, &disk->slot);
	if (!strcmp(text, "format")) {
		disk->image.format = value;
		return !strcmp(value, "raw") || !strcmp(value, "qcow2");
	}
	disk->image.read_only = !strcmp(value, "yes");
	return !strcmp(text, "ro") &&
	       (disk->image.read_only || !strcmp(value, "no"));
}

/* "FILE[,OPTION...]"; cuts @text up. */
static bool parse_disk(char *text, struct vm_config *config)
{
	struct vm_disk_config disk = { .slot = 0 };
	char *option;

	if (config->n_disks == VM_DISKS_MAX)
		return false;
	disk.image.path = strsep(&text, ",");
	while ((option = strsep(&text, ",")))
		if (!parse_disk_option(option, &disk))
			return false;
	config->disk[config->n_disks++] = disk;
	return *disk.image.path;
}

/* One option; false: its value is not what was expected. */
static bool take_option(int opt, char *value, struct options *o)
{
	struct vm_config *config = &o->config;

	switch (opt) {
	case 'k': config->kernel = value; return true;
	case 'i': config->initrd = value; return true;
	case 'a': o->append = value; return true;
	case 'l': config->cmdline = value; return true;
	case 'c': return parse_number(value, 1, VM_CPUS_MAX, &config->n_cpus);
	case 'm': return parse_size(value, &config->memory);
	case 'n': return parse_nic(value, config);
	case 'd': return parse_disk(value, config);
	case 'b': return vm_board_find(value, &config->board);
	case 'S': return parse_number(value, 0, VM_PORTS_MAX,
				      &config->spare_ports);
	case 'o': config->console = value; return chardev_spec_ok(value);
	case 'g': config->agent = value;
		  return chardev_spec_ok(value) && strcmp(value, "stdio");
	case 'p': o->api = value; return *value;
	case 'N': config->name = value; return *value;
	case 'r': config->no_reboot = true; return true;
	case 's': o->stats = true; return true;
	default: return false;
	}
}

/* Return: -1 to go on, or an exit status. */
static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option options[] = {
		{ "kernel", required_argument, NULL, 'k' },
		{ "initrd", required_argument, NULL, 'i' },
		{ "append", required_argument, NULL, 'a' },
		{ "cmdline", required_argument, NULL, 'l' },
		{ "cpus", required_argument, NULL, 'c' },
		{ "memory", required_argument, NULL, 'm' },
		{ "board", required_argument, NULL, 'b' },
		{ "spare-ports", required_argument, NULL, 'S' },
		{ "nic", required_argument, NULL, 'n' },
		{ "disk", required_argument, NULL, 'd' },
		{ "console", required_argument, NULL, 'o' },
		{ "agent", required_argument, NULL, 'g' },
		{ "api", required_argument, NULL, 'p' },
		{ "name", required_argument, NULL, 'N' },
		{ "no-reboot", no_argument, NULL, 'r' },
		{ "stats", no_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int opt, idx = 0;

	optind = 1;
	while ((opt = getopt_long(argc, argv, "", options, &idx)) >= 0) {
		if (opt == 'h') {
			fputs(usage, stdout);
			return EXIT_OK;
		}
		if (opt == '?')
			return EXIT_USAGE;	/* getopt has said why */
		if (!take_option(opt, optarg, o)) {
			log_err("--%s %s: not understood; see backplane vm "
				"--help", options[idx].name, optarg);
			return EXIT_USAGE;
		}
	}
	if (optind < argc) {
		log_err("%s: an option was expected; see backplane vm --help",
			argv[optind]);
		return EXIT_USAGE;
	}
	return -1;
}

/* Fill in what was not said. */
static bool add_defaults(struct options *o)
{
	struct vm_config *config = &o->config;
	bool own_kernel = config->kernel;
	struct lab_error error;
	int n;

	if (!own_kernel) {
		if (!guest_image_file("vmlinux", o->kernel, &error)) {
			log_err("%s", error.text);
			return false;
		}
		config->kernel = o->kernel;
	}
	if (!own_kernel && !config->initrd) {
		if (!guest_image_file("initrd", o->initrd, &error)) {
			log_err("%s", error.text);
			return false;
		}
		config->initrd = o->initrd;
	}
	n = snprintf(o->cmdline, sizeof(o->cmdline), "%s%s%s",
		     config->cmdline ? config->cmdline : default_cmdline,
		     o->append ? " " : "", o->append ? o->append : "");
	if (n < 0 || (size_t)n >= sizeof(o->cmdline)) {
		log_err("kernel command line: %d bytes, at most %d expected",
			n, BOOT_CMDLINE_MAX - 1);
		return false;
	}
	config->cmdline = o->cmdline;
	return true;
}

static void set_signals(void)
{
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action = { .sa_handler = on_end_signal };

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		sigaction(ends[i], &action, NULL);
	action.sa_handler = on_stats_signal;
	action.sa_flags = SA_RESTART;
	sigaction(SIGUSR1, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static int exit_status(enum vm_end end)
{
	switch (end) {
	case VM_END_POWER_OFF:
	case VM_END_RESET:
		return EXIT_OK;
	case VM_END_DIED:
		return EXIT_GUEST_DIED;
	case VM_END_STOPPED:
		return end_signal ? EXIT_SIGNALLED + end_signal : EXIT_OK;
	default:
		return EXIT_ERROR;
	}
}

static void print_final_stats(struct vm *vm)
{
	struct vm_stats *stats = malloc(sizeof(*stats));

	if (!stats)
		return;
	vm_stats(vm, stats);
	vm_stats_print(stats, stderr);
	free(stats);
}

int cmd_vm(int argc, char **argv)
{
	static struct options o;
	struct api *api = NULL;
	enum vm_end end;
	int status;

	o = (struct options){
		.config = {
			.name = "vm", .n_cpus = DEFAULT_CPUS,
			.memory = (uint64_t)DEFAULT_MEMORY_MIB << 20,
			.console = "stdio", .spare_ports = VM_SPARE_PORTS,
		},
	};
	status = parse_options(argc, argv, &o);
	if (status >= 0)
		return status;
	set_signals();
	sched_be_patient();
	fd_raise_limit();
	if (!add_defaults(&o) || vm_create(&o.config, &running_vm))
		return EXIT_ERROR;
	/* A signal that came before there was a machine to stop. */
	if (end_signal)
		vm_stop(running_vm);
	if (o.api && vm_api_start(o.api, running_vm, &api)) {
		status = EXIT_ERROR;
		goto out_destroy;
	}
	end = vm_run(running_vm);
	status = exit_status(end);
	if (o.stats)
		print_final_stats(running_vm);
	api_stop(api);
out_destroy:
	vm_destroy(running_vm);
	running_vm = NULL;
	return status;
}
