/* SPDX-License-Identifier: Apache-2.0
 *
 * Exit statistics; see stats.h.
 */
#include "vmm/stats.h"

#include <inttypes.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/time.h"

const char *const vm_exit_names[N_VM_EXITS] = {
#define R(name, reason, text) #name,
	VM_EXITS(R)
#undef R
};

const char *const vm_exit_texts[N_VM_EXITS] = {
#define R(name, reason, text) text,
	VM_EXITS(R)
#undef R
};

enum vm_exit vm_exit_of(uint32_t reason)
{
	static const int reasons[N_VM_EXITS] = {
#define R(name, kvm_reason, text) kvm_reason,
		VM_EXITS(R)
#undef R
	};

	for (unsigned int i = 0; i < VM_EXIT_OTHER; i++)
		if (reasons[i] == (int)reason)
			return i;
	return VM_EXIT_OTHER;
}

static void add_dev(struct vm_stats *stats, const struct bus_dev *dev)
{
	uint64_t n_reads = __atomic_load_n(&dev->n_reads, __ATOMIC_RELAXED);
	uint64_t n_writes = __atomic_load_n(&dev->n_writes, __ATOMIC_RELAXED);
	struct vm_stats_dev *row;

	if ((!n_reads && !n_writes) || stats->n_devs == VM_STATS_DEVS_MAX)
		return;
	row = &stats->dev[stats->n_devs++];
	memcpy(row->name, dev->name, sizeof(row->name));
	row->n_reads = n_reads;
	row->n_writes = n_writes;
}

void vm_stats_add_bus(struct vm_stats *stats, struct bus *bus)
{
	/* Not bus_lock(): that makes vCPUs wait. */
	pthread_mutex_lock(&bus->lock);
	for (unsigned int i = 0; i < bus->n_ranges; i++) {
		const struct bus_dev *dev = bus->range[i].dev;
		bool seen = false;

		for (unsigned int j = 0; j < i && !seen; j++)
			seen = bus->range[j].dev == dev;
		if (!seen)
			add_dev(stats, dev);
	}
	pthread_mutex_unlock(&bus->lock);
	add_dev(stats, &bus->unclaimed);
}

static struct vm_stats_kvm *kvm_row(struct vm_stats_kvm *row, unsigned int *n,
				    const char *name)
{
	for (unsigned int i = 0; i < *n; i++)
		if (!strcmp(row[i].name, name))
			return &row[i];
	if (*n == VM_STATS_KVM_MAX)
		return NULL;
	row = &row[(*n)++];
	row->value = 0;
	snprintf(row->name, sizeof(row->name), "%s", name);
	return row;
}

/* Is it a plain count?  Histograms, peaks and switches say nothing summed. */
static bool is_count(const struct kvm_stats_desc *desc)
{
	return (desc->flags & KVM_STATS_TYPE_MASK) ==
		KVM_STATS_TYPE_CUMULATIVE &&
	       (desc->flags & KVM_STATS_UNIT_MASK) == KVM_STATS_UNIT_NONE &&
	       desc->size == 1;
}

void vm_stats_add_kvm(struct vm_stats_kvm row[VM_STATS_KVM_MAX],
		      unsigned int *n, int stats_fd)
{
	struct kvm_stats_header header;
	struct kvm_stats_desc *desc;
	struct vm_stats_kvm *to;
	size_t desc_len;
	uint64_t value;

	if (pread(stats_fd, &header, sizeof(header), 0) != sizeof(header))
		return;
	desc_len = sizeof(*desc) + header.name_size;
	desc = malloc(desc_len);
	for (uint32_t i = 0; desc && i < header.num_desc; i++) {
		if (pread(stats_fd, desc, desc_len,
			  (off_t)(header.desc_offset + i * desc_len)) !=
		    (ssize_t)desc_len)
			break;
		if (!is_count(desc) ||
		    pread(stats_fd, &value, sizeof(value),
			  (off_t)(header.data_offset + desc->offset)) !=
		    sizeof(value) || !value)
			continue;
		to = kvm_row(row, n, desc->name);
		if (to)
			to->value += value;
	}
	free(desc);
}

void vm_stats_print(const struct vm_stats *stats, FILE *out)
{
	fprintf(out, "machine %s: %s, %u vCPU(s), %" PRIu64 " MiB, %u NIC(s), "
		"up %.1f s, %" PRIu64 " reset(s)\n", stats->name, stats->state,
		stats->n_cpus, stats->memory >> 20, stats->n_nics,
		(double)stats->uptime_ns / NS_PER_S, stats->n_resets);
	fprintf(out, "%-24s %12s\n", "exits to the VMM by", "count");
	for (unsigned int i = 0; i < N_VM_EXITS; i++)
		if (stats->exits[i])
			fprintf(out, "  %-22s %12" PRIu64 "  %s\n",
				vm_exit_names[i], stats->exits[i],
				vm_exit_texts[i]);
	fprintf(out, "%-24s %12s %12s\n", "accesses by device", "reads",
		"writes");
	for (unsigned int i = 0; i < stats->n_devs; i++)
		fprintf(out, "  %-22s %12" PRIu64 " %12" PRIu64 "\n",
			stats->dev[i].name, stats->dev[i].n_reads,
			stats->dev[i].n_writes);
	if (stats->n_kvm)
		fprintf(out, "%-24s %12s\n", "KVM's own counters", "count");
	for (unsigned int i = 0; i < stats->n_kvm; i++)
		fprintf(out, "  %-22s %12" PRIu64 "\n", stats->kvm[i].name,
			stats->kvm[i].value);
	fflush(out);
}
