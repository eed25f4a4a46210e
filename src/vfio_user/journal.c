/* SPDX-License-Identifier: Apache-2.0 */
#include "vfio_user/journal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Others look at it to see how full the journal is. */
static void set_n(struct vfu_journal *j, unsigned int n)
{
	__atomic_store_n(&j->n, n, __ATOMIC_RELAXED);
}

int vfu_journal_open(struct vfu_journal *j, uint64_t n_done)
{
	*j = (struct vfu_journal){ .n_done = n_done };
	j->writes = malloc(VFU_JOURNAL_MAX * sizeof(*j->writes));
	return j->writes ? 0 : -ENOMEM;
}

void vfu_journal_close(struct vfu_journal *j)
{
	free(j->writes);
	j->writes = NULL;
	set_n(j, 0);
}

uint64_t vfu_journal_add(struct vfu_journal *j, const struct vfu_write *write)
{
	if (!j->writes || j->full)
		return 0;
	if (j->n == VFU_JOURNAL_MAX) {
		j->full = true;
		return 0;
	}
	j->writes[j->n] = *write;
	set_n(j, j->n + 1);
	return j->n_done + j->n;
}

void vfu_journal_done(struct vfu_journal *j, uint64_t nr)
{
	unsigned int n;

	/* A later one may have been answered earlier. */
	if (nr <= j->n_done || nr - j->n_done > j->n)
		return;
	n = (unsigned int)(nr - j->n_done);
	memmove(j->writes, j->writes + n, (j->n - n) * sizeof(*j->writes));
	set_n(j, j->n - n);
	j->n_done = nr;
}

void vfu_journal_reset(struct vfu_journal *j)
{
	if (!j->writes)
		return;
	j->n_done += j->n;
	set_n(j, 0);
	j->full = false;
	j->reset_due = true;
}

unsigned int vfu_journal_first(const struct vfu_journal *j, uint64_t n_done)
{
	return j->reset_due ? 0 : (unsigned int)(n_done - j->n_done);
}

bool vfu_journal_resumes(const struct vfu_journal *j, uint64_t n_done)
{
	if (!j->writes || j->full)
		return false;
	if (!j->reset_due && (n_done < j->n_done || n_done - j->n_done > j->n))
		return false;
	for (unsigned int i = vfu_journal_first(j, n_done); i < j->n; i++)
		if (!j->writes[i].len)
			return false;
	return true;
}
