/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads drivers and sets up NICs inside a guest, at boot and at hot-plug.
 * Started by /init; runs modprobe and net-up.
 *
 * It listens to the kernel's uevents first and only then looks for the devices
 * that are there already, so that none is missed in between. Loading a driver
 * makes the kernel announce the NICs it finds, and virtio devices behind a PCI
 * device, before modprobe returns; so once the socket is empty all that was
 * there is set up. The program then goes into the background, and whoever
 * waits for it (init does) goes on.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <linux/netlink.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	/* Room for the events of many NICs while a driver is being loaded. */
	QUEUE_BYTES = 4 << 20,
	/* The kernel's own limit is 2048 bytes and the path. */
	EVENT_MAX = 8192,
	/* Longest modalias, and newline. */
	ALIAS_MAX = 512,
	/* The kernel's own limit. */
	CMDLINE_MAX = 2048,
};

static void die(const char *what)
{
	fprintf(stderr, "hotplug: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Run a program and wait for it; how it ends is for it to tell. */
static void run(char **argv)
{
	pid_t pid = fork();

	if (pid == 0) {
		execvp(argv[0], argv);
		die(argv[0]);
	}
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

/* Has the kernel command line any address at all? */
static bool has_addresses(void)
{
	static char cmdline[CMDLINE_MAX];
	FILE *f = cmdline[0] ? NULL : fopen("/proc/cmdline", "re");

	if (f) {
		if (!fgets(cmdline, sizeof(cmdline), f))
			cmdline[0] = '\0';
		fclose(f);
	}
	return strstr(cmdline, "backplane.net=");
}

/* A process for each of very many NICs takes longer than all the rest. */
static void net_up(char *interface)
{
	if (has_addresses())
		run((char *[]){ "net-up", interface, NULL });
}

/* busybox's modprobe, being static, starts faster than kmod's. */
static void load_driver(char *alias)
{
	run((char *[]){ "busybox", "modprobe", "-abq", alias, NULL });
}

/* Read a device's modalias. Return: NULL if it has none; else to be freed. */
static char *read_alias(const char *bus, const char *device)
{
	char path[PATH_MAX], alias[ALIAS_MAX] = "";
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s/modalias", bus, device);
	f = fopen(path, "re");
	if (!f)
		return NULL;
	if (!fgets(alias, sizeof(alias), f))
		alias[0] = '\0';
	fclose(f);
	alias[strcspn(alias, "\n")] = '\0';
	return *alias ? strdup(alias) : NULL;
}

static bool contains(char **list, size_t n, const char *alias)
{
	while (n--)
		if (!strcmp(list[n], alias))
			return true;
	return false;
}

/* Load the drivers of all devices of a bus, by one modprobe; of devices that
 * are the same, once. */
static void load_drivers(const char *bus)
{
	static char *const modprobe[] = { "busybox", "modprobe", "-abq" };
	enum { FIRST = sizeof(modprobe) / sizeof(modprobe[0]) };
	struct dirent **devices;
	size_t argc = FIRST;
	char **argv;
	/* Sorted: interfaces get their numbers in the order of the slots. */
	int n = scandir(bus, &devices, NULL, alphasort);

	if (n < 0)
		return;
	argv = calloc(FIRST + n + 1, sizeof(*argv));
	if (!argv)
		die("calloc");
	memcpy(argv, modprobe, sizeof(modprobe));
	for (int i = 0; i < n; i++) {
		char *alias = read_alias(bus, devices[i]->d_name);

		if (alias && !contains(argv + FIRST, argc - FIRST, alias))
			argv[argc++] = alias;
		else
			free(alias);
		free(devices[i]);
	}
	free(devices);
	if (argc > FIRST)
		run(argv);
	while (argc > FIRST)
		free(argv[--argc]);
	free(argv);
}

static void load_all_drivers(void)
{
	load_drivers("/sys/bus/pci/devices");
	load_drivers("/sys/bus/virtio/devices");
}

/* Set up all NICs that are there; harmless to those that are set up. */
static void net_up_all(void)
{
	DIR *dir = opendir("/sys/class/net");
	struct dirent *d;

	if (!dir)
		return;
	while ((d = readdir(dir)))
		if (d->d_name[0] != '.')
			net_up(d->d_name);
	closedir(dir);
}

static int uevents_open(void)
{
	const struct sockaddr_nl kernel_events = {
		.nl_family = AF_NETLINK, .nl_groups = 1,
	};
	const int bytes = QUEUE_BYTES;
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC,
			NETLINK_KOBJECT_UEVENT);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&kernel_events,
			   sizeof(kernel_events)) < 0)
		die("uevents");
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes,
		       sizeof(bytes)) < 0)
		die("SO_RCVBUFFORCE");
	return fd;
}

/* The value of a variable in an event's "NAME=value\0..." text, or NULL. */
static char *event_get(char *event, size_t len, const char *name)
{
	size_t name_len = strlen(name);

	for (size_t i = 0; i < len; i += strlen(event + i) + 1)
		if (!strncmp(event + i, name, name_len) &&
		    event[i + name_len] == '=')
			return event + i + name_len + 1;
	return NULL;
}

/* One that has its driver needs none. */
static bool has_driver(const char *devpath)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/sys%s/driver", devpath ? devpath : "");
	return !access(path, F_OK);
}

static void handle_event(char *event, size_t len)
{
	char *action = event_get(event, len, "ACTION");
	char *alias = event_get(event, len, "MODALIAS");
	char *subsystem = event_get(event, len, "SUBSYSTEM");
	char *interface = event_get(event, len, "INTERFACE");

	if (!action || strcmp(action, "add"))
		return;
	if (alias && !has_driver(event_get(event, len, "DEVPATH")))
		load_driver(alias);
	else if (interface && subsystem && !strcmp(subsystem, "net"))
		net_up(interface);
}

/* Handle events; with MSG_DONTWAIT until there are none, with 0 for ever. */
static void handle_events(int fd, int flags)
{
	static char event[EVENT_MAX];
	ssize_t len;

	for (;;) {
		len = recv(fd, event, sizeof(event) - 1, flags);
		if (len >= 0) {
			event[len] = '\0';
			handle_event(event, len);
		} else if (errno == ENOBUFS) {
			/* Events were lost: look at everything again. */
			load_all_drivers();
			net_up_all();
		} else if (errno == EAGAIN) {
			return;
		} else if (errno != EINTR) {
			die("uevents");
		}
	}
}

int main(void)
{
	int fd = uevents_open();
	pid_t pid;

	load_all_drivers();
	handle_events(fd, MSG_DONTWAIT);
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid > 0)
		return 0;
	handle_events(fd, 0);
}
