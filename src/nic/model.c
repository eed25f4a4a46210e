/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of NIC models.
 */
#include <string.h>

#include "nic/model.h"

static const struct nic_model *const models[] = {
	&e1000_model,
	&vnet_model,
};

const struct nic_model *nic_model_at(unsigned int i)
{
	return i < ARRAY_SIZE(models) ? models[i] : NULL;
}

const struct nic_model *nic_model_find(const char *name)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(models); i++)
		if (!strcmp(models[i]->name, name))
			return models[i];
	return NULL;
}
