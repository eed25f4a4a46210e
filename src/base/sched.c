/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sched.h"

#include <sched.h>
#include <unistd.h>

bool sched_alone(void)
{
	return sysconf(_SC_NPROCESSORS_ONLN) == 1;
}

void sched_be_patient(void)
{
	const struct sched_param param = { .sched_priority = 0 };

	/* A thread of this policy does not preempt when it wakes, sched(7). */
	if (sched_alone())
		(void)sched_setscheduler(0, SCHED_BATCH, &param);
}
