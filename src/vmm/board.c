/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of the boards; see board.h.
 */
#include "vmm/board.h"

#include <string.h>

const char *const vm_board_names[N_VM_BOARDS] = {
#define X(name, text, chipset) [VM_BOARD_##name] = text,
	VM_BOARDS(X)
#undef X
};

bool vm_board_find(const char *name, enum vm_board *board)
{
	for (unsigned int i = 0; i < N_VM_BOARDS; i++) {
		if (strcmp(name, vm_board_names[i]))
			continue;
		*board = (enum vm_board)i;
		return true;
	}
	return false;
}
