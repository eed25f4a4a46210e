/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Set the clock by a file of the host:  set-clock FILE
 *
 * The clock of a host restored from a file stands at the time it was saved,
 * while the files in the shared tree get their times from the real host; tools
 * that compare the two are upset by files from the future. So the time is
 * taken from where the files' times come from: FILE, on the shared file
 * system, is created or touched and looked at.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

/* A file's time is the host's last tick, at most 10 ms ago. */
#define TICK_NS		10000000L
#define SECOND_NS	1000000000L

int main(int argc, char **argv)
{
	struct timespec t;
	struct stat st;
	int fd;

	if (argc != 2) {
		fprintf(stderr, "usage: set-clock FILE\n");
		return 2;
	}
	fd = open(argv[1], O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0 || futimens(fd, NULL) < 0 || fstat(fd, &st) < 0) {
		perror(argv[1]);
		return 1;
	}
	t = st.st_mtim;
	t.tv_nsec += TICK_NS;
	if (t.tv_nsec >= SECOND_NS) {
		t.tv_sec++;
		t.tv_nsec -= SECOND_NS;
	}
	if (clock_settime(CLOCK_REALTIME, &t) < 0) {
		perror("set-clock");
		return 1;
	}
	return 0;
}
