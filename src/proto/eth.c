/* SPDX-License-Identifier: Apache-2.0
 *
 * Ethernet addresses as text.
 */
#include "proto/eth.h"

#include <errno.h>

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int eth_addr_parse(const char *text, uint8_t *addr)
{
	uint8_t parsed[ETH_ADDR_LEN];

	for (unsigned int i = 0; i < ETH_ADDR_LEN; i++, text += 3) {
		char end = i == ETH_ADDR_LEN - 1 ? '\0' : ':';
		int high = hex_digit(text[0]);
		int low = high < 0 ? -1 : hex_digit(text[1]);

		if (low < 0 || text[2] != end)
			return -EINVAL;
		parsed[i] = (uint8_t)(high << 4 | low);
	}
	memcpy(addr, parsed, sizeof(parsed));
	return 0;
}
