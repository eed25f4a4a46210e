/* SPDX-License-Identifier: Apache-2.0
 *
 * Base64; see base64.h.
 */
#include <errno.h>
#include <string.h>

#include "ctl/base64.h"

static const char digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(const void *data, size_t len, char *out)
{
	const uint8_t *in = data;

	for (; len; out += 4) {
		size_t n = min_of(len, (size_t)3);
		uint32_t v = (uint32_t)in[0] << 16;

		if (n > 1)
			v |= (uint32_t)in[1] << 8;
		if (n > 2)
			v |= in[2];
		out[0] = digits[v >> 18];
		out[1] = digits[v >> 12 & 63];
		out[2] = n > 1 ? digits[v >> 6 & 63] : '=';
		out[3] = n > 2 ? digits[v & 63] : '=';
		in += n;
		len -= n;
	}
	*out = '\0';
}

ssize_t base64_decode(const char *text, void *out)
{
	size_t len = strlen(text);
	uint8_t *o = out;

	if (len % 4)
		return -EINVAL;
	for (const char *end = text + len; text < end; text += 4) {
		unsigned int pad = 0;
		uint32_t v = 0;

		for (unsigned int i = 0; i < 4; i++) {
			const char *digit = strchr(digits, text[i]);

			if (text[i] == '=' && text + 4 == end && i > 1)
				pad++;
			else if (!digit || pad)
				return -EINVAL;
			v = v << 6 | (pad ? 0 : (uint32_t)(digit - digits));
		}
		*o++ = (uint8_t)(v >> 16);
		if (pad < 2)
			*o++ = (uint8_t)(v >> 8);
		if (pad < 1)
			*o++ = (uint8_t)v;
	}
	return o - (uint8_t *)out;
}
