/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sched.h"

#include <sched.h>

bool sched_alone(void)
{
	cpu_set_t cpus;

	return sched_getaffinity(0, sizeof(cpus), &cpus) == 0 &&
	       CPU_COUNT(&cpus) == 1;
}

void sched_be_patient(void)
{
	const struct sched_param param = { .sched_priority = 0 };

	/* A thread of this policy does not preempt when it wakes, sched(7). */
	if (sched_alone())
		(void)sched_setscheduler(0, SCHED_BATCH, &param);
}
