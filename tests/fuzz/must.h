/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_FUZZ_MUST_H
#define TESTS_FUZZ_MUST_H

#include <stdio.h>
#include <stdlib.h>

/* What holds whatever the input. */
#define must(condition) do {						\
	if (!(condition)) {						\
		fprintf(stderr, "%s:%d: " #condition "\n", __FILE__,	\
			__LINE__);					\
		abort();						\
	}								\
} while (0)

#endif
