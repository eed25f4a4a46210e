/* SPDX-License-Identifier: Apache-2.0
 *
 * The functions of the table host_probes, by file.
 */
#ifndef HOST_PROBES_H
#define HOST_PROBES_H

#include "host/host.h"

/* probe_cpu.c */
void probe_cpu_virtualization(const struct host *host,
			      struct host_finding *finding);
void probe_nested_paging(const struct host *host,
			 struct host_finding *finding);
void probe_tlb_tags(const struct host *host, struct host_finding *finding);

/* probe_kvm.c */
void probe_kvm(const struct host *host, struct host_finding *finding);
void probe_kvm_guest(const struct host *host, struct host_finding *finding);

/* probe_kernel.c */
void probe_memfd(const struct host *host, struct host_finding *finding);
void probe_seccomp(const struct host *host, struct host_finding *finding);
void probe_shmem_hugepages(const struct host *host,
			   struct host_finding *finding);
void probe_hugepages(const struct host *host, struct host_finding *finding);
void probe_user_namespaces(const struct host *host,
			   struct host_finding *finding);
void probe_qemu_nbd(const struct host *host, struct host_finding *finding);

/* probe_net.c */
void probe_tun(const struct host *host, struct host_finding *finding);
void probe_vhost_net(const struct host *host, struct host_finding *finding);
void probe_af_xdp(const struct host *host, struct host_finding *finding);
void probe_iommu(const struct host *host, struct host_finding *finding);
void probe_sriov(const struct host *host, struct host_finding *finding);

#endif
