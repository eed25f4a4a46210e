/* SPDX-License-Identifier: Apache-2.0
 *
 * Getting along with one processor.
 *
 * The threads of a lab talk to each other all the time: a vCPU's doorbell wakes
 * the worker, the worker's interrupt wakes a vCPU.  With several processors
 * that is how batches overlap.  With one, polling for somebody keeps him from
 * running, and a wake-up that takes the processor away from the waker makes
 * every batch one frame long: over ten times less goes through.
 */
#ifndef BASE_SCHED_H
#define BASE_SCHED_H

#include <stdbool.h>

/**
 * sched_alone() - has the machine but one processor?
 *
 * A thread pinned to one of several is not alone: those it serves have the
 * others.
 */
bool sched_alone(void);

/**
 * sched_be_patient() - if so, let who wakes us go on until he waits himself
 *
 * For the calling thread and those that it starts.  Only a matter of speed, so
 * failure is none.
 */
void sched_be_patient(void);

#endif
