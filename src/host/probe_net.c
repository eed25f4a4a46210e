/* SPDX-License-Identifier: Apache-2.0
 *
 * Ways to networks, and to real devices.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/files.h"
#include "host/probes.h"

void probe_tun(const struct host *host, struct host_finding *finding)
{
	int fd = host_open(host, "/dev/net/tun", O_RDWR);
	unsigned int features;

	if (fd == -EACCES || fd == -EPERM)
		host_found(finding, HOST_DENIED,
			   "/dev/net/tun is there, but not for this user");
	else if (fd < 0)
		host_found(finding, HOST_NO, "/dev/net/tun: %s",
			   strerror(-fd));
	else if (ioctl(fd, TUNGETFEATURES, &features) < 0)
		host_found(finding, HOST_NO, "/dev/net/tun: %s",
			   strerror(errno));
	else if (!(features & IFF_VNET_HDR))
		host_found(finding, HOST_NO,
			   "/dev/net/tun does not hand on offloads (IFF_VNET_HDR)");
	else if (!host_has_capability(host, CAP_NET_ADMIN))
		host_found(finding, HOST_DENIED,
			   "/dev/net/tun can be opened, but to make a tap takes CAP_NET_ADMIN");
	else
		host_found(finding, HOST_YES,
			   "/dev/net/tun can be opened, taps can be made");
	if (fd >= 0)
		fd_close(&fd);
}

void probe_vhost_net(const struct host *host, struct host_finding *finding)
{
	int fd = host_open(host, "/dev/vhost-net", O_RDWR);

	if (fd == -EACCES || fd == -EPERM)
		host_found(finding, HOST_DENIED,
			   "/dev/vhost-net is there, but not for this user");
	else if (fd < 0)
		host_found(finding, HOST_NO,
			   "/dev/vhost-net: %s (kernel module vhost_net)",
			   strerror(-fd));
	else
		host_found(finding, HOST_YES, "/dev/vhost-net can be opened");
	if (fd >= 0)
		fd_close(&fd);
}

void probe_af_xdp(const struct host *host, struct host_finding *finding)
{
	int fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd >= 0)
		host_found(finding, HOST_YES, "made a socket of that family");
	else if (errno == EPERM || errno == EACCES)
		host_found(finding, HOST_DENIED,
			   "the kernel has it, but a socket takes CAP_NET_RAW");
	else
		host_found(finding, HOST_NO, "socket(AF_XDP): %s",
			   strerror(errno));
	fd_close(&fd);
}

void probe_iommu(const struct host *host, struct host_finding *finding)
{
	char units[128], groups[8];
	unsigned int n = host_list(host, "/sys/kernel/iommu_groups", "",
				   groups, sizeof(groups));

	if (!host_list(host, "/sys/class/iommu", "", units, sizeof(units)))
		strcpy(units, "no unit in /sys/class/iommu");
	if (n)
		host_found(finding, HOST_YES,
			   "%u groups of devices in /sys/kernel/iommu_groups (%s)",
			   n, units);
	else
		host_found(finding, HOST_NO,
			   "no group in /sys/kernel/iommu_groups: none, or not switched on in firmware or kernel (%s)",
			   units);
}

/* For host_each(): what can be shared. */
struct sriov_devices {
	const struct host *host;
	struct host_text text;
};

static void add_sriov_device(const char *name, void *arg)
{
	static const char folder[] = "/sys/bus/pci/devices";
	struct sriov_devices *devices = arg;
	long long total, in_use;
	char path[384];

	snprintf(path, sizeof(path), "%s/%s/sriov_totalvfs", folder, name);
	total = host_read_number(devices->host, path);
	snprintf(path, sizeof(path), "%s/%s/sriov_numvfs", folder, name);
	in_use = host_read_number(devices->host, path);
	if (total > 0)
		host_append(&devices->text, "%s: %lld of %lld VFs", name,
			    max_of(in_use, 0ll), total);
}

void probe_sriov(const struct host *host, struct host_finding *finding)
{
	char text[HOST_REASON_MAX] = "";
	struct sriov_devices devices = {
		.host = host, .text = { .buf = text, .size = sizeof(text) },
	};
	unsigned int n = host_each(host, "/sys/bus/pci/devices", "",
				   add_sriov_device, &devices);

	if (devices.text.len)
		host_found(finding, HOST_YES, "%s", text);
	else
		host_found(finding, HOST_NO,
			   "none of %u PCI devices has a sriov_totalvfs above 0",
			   n);
}
