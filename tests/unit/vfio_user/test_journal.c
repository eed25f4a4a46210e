/* SPDX-License-Identifier: Apache-2.0
 *
 * The books of writes that a server may not have carried out.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "vfio_user/journal.h"

static struct vfu_journal j;

static int setup(void **state)
{
	return vfu_journal_open(&j, 100);
}

static int teardown(void **state)
{
	vfu_journal_close(&j);
	return 0;
}

static uint64_t add(uint64_t off)
{
	struct vfu_write w = { .off = off, .len = 4 };

	return vfu_journal_add(&j, &w);
}

static void numbers_go_on(void **state)
{
	for (uint64_t nr = 101; nr <= 110; nr++)
		assert_int_equal(add(nr), nr);
	vfu_journal_done(&j, 104);
	assert_int_equal(j.n, 6);
	assert_int_equal(j.writes[0].off, 105);
	/* Known already; or not even begun. */
	vfu_journal_done(&j, 103);
	vfu_journal_done(&j, 111);
	vfu_journal_done(&j, UINT64_MAX);
	assert_int_equal(j.n, 6);
	assert_int_equal(add(111), 111);
	vfu_journal_done(&j, 111);
	assert_int_equal(j.n, 0);
}

static void goes_on_where_the_server_is(void **state)
{
	for (uint64_t nr = 101; nr <= 110; nr++)
		(void)!add(nr);
	assert_true(vfu_journal_resumes(&j, 100));
	assert_int_equal(vfu_journal_first(&j, 100), 0);
	assert_true(vfu_journal_resumes(&j, 107));
	assert_int_equal(vfu_journal_first(&j, 107), 7);
	assert_true(vfu_journal_resumes(&j, 110));
	assert_int_equal(vfu_journal_first(&j, 110), 10);
	/* It forgets what it had done, or did what was never asked of it. */
	assert_false(vfu_journal_resumes(&j, 99));
	assert_false(vfu_journal_resumes(&j, 0));
	assert_false(vfu_journal_resumes(&j, 111));
	assert_false(vfu_journal_resumes(&j, UINT64_MAX));
}

static void what_cannot_be_kept_must_be_done(void **state)
{
	struct vfu_write too_long = { .off = 1 };

	assert_int_equal(vfu_journal_add(&j, &too_long), 101);
	assert_int_equal(add(2), 102);
	assert_false(vfu_journal_resumes(&j, 100));
	assert_true(vfu_journal_resumes(&j, 101));
}

static void has_a_bound(void **state)
{
	for (unsigned int i = 0; i < VFU_JOURNAL_MAX; i++)
		assert_int_equal(add(i), 101 + i);
	assert_true(vfu_journal_resumes(&j, 100));
	assert_int_equal(add(0), 0);
	assert_int_equal(j.n, VFU_JOURNAL_MAX);
	assert_false(vfu_journal_resumes(&j, 100));
	assert_false(vfu_journal_resumes(&j, 100 + VFU_JOURNAL_MAX));
	/* Given up is given up, even if there is room again. */
	vfu_journal_done(&j, 200);
	assert_int_equal(add(0), 0);
	assert_false(vfu_journal_resumes(&j, 200));
	/* But after a reset nothing from before matters. */
	vfu_journal_reset(&j);
	assert_true(add(7));
	assert_true(vfu_journal_resumes(&j, 200));
}

static void a_reset_comes_first(void **state)
{
	(void)!add(1);
	(void)!add(2);
	vfu_journal_reset(&j);
	(void)!add(3);
	/* However many of those before it have been carried out. */
	for (uint64_t done = 100; done <= 102; done++) {
		assert_true(vfu_journal_resumes(&j, done));
		assert_int_equal(vfu_journal_first(&j, done), 0);
	}
	assert_int_equal(j.n, 1);
	assert_int_equal(j.writes[0].off, 3);
}

static void without_a_session_nothing_is_kept(void **state)
{
	struct vfu_journal none = { .writes = NULL };
	struct vfu_write w = { .len = 4 };

	assert_int_equal(vfu_journal_add(&none, &w), 0);
	vfu_journal_done(&none, 1);
	vfu_journal_reset(&none);
	assert_false(vfu_journal_resumes(&none, 0));
	vfu_journal_close(&none);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(numbers_go_on),
		T(goes_on_where_the_server_is),
		T(what_cannot_be_kept_must_be_done),
		T(has_a_bound),
		T(a_reset_comes_first),
		T(without_a_session_nothing_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
