/* SPDX-License-Identifier: Apache-2.0
 *
 * Do a machine's NICs and disks find their slots?
 */
#ifndef CTL_LAB_SLOTS_H
#define CTL_LAB_SLOTS_H

#include "ctl/lab_config.h"

/** lab_check_slots() - of those plugged in at the start; false: @error says
 * which one finds none */
bool must_check lab_check_slots(const struct lab *lab,
				const struct lab_machine *machine,
				struct lab_error *error);

#endif
