/* SPDX-License-Identifier: Apache-2.0
 *
 * A process behind the filter, with no system calls but the C library's own.
 * Each test has one of its own, and looks how it ended.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/sandbox.h"

enum { N_BLOCKS = 1000, BLOCK = 16 << 10 };

/* The status of a child that runs @child on a thread of its own. */
static int run(void *(*child)(void *))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (!pid) {
		pthread_t thread;

		if (sandbox_drop_privileges() < 0 ||
		    pthread_create(&thread, NULL, child, NULL))
			_exit(1);
		pthread_join(thread, NULL);
		_exit(2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void enter(void)
{
	static const struct syscall_list *const none[] = { NULL };

	if (sandbox_filter(none) < 0)
		_exit(3);
}

static void *forbidden(void *arg)
{
	enter();
	getppid();
	return NULL;
}

static void anything_else_ends_it(void **state)
{
	int status = run(forbidden);

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}

/* More than is kept: memory goes back to the kernel. */
static void *give_memory_back(void *arg)
{
	static void *blocks[N_BLOCKS];

	enter();
	for (unsigned int i = 0; i < N_BLOCKS; i++) {
		blocks[i] = malloc(BLOCK);
		if (!blocks[i])
			_exit(4);
		memset(blocks[i], 1, BLOCK);
	}
	for (unsigned int i = 0; i < N_BLOCKS; i++)
		free(blocks[i]);
	_exit(0);
}

static void memory_can_be_given_back(void **state)
{
	int status = run(give_memory_back);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(anything_else_ends_it),
		cmocka_unit_test(memory_can_be_given_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
