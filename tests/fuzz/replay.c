/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs a fuzz target over the files of a directory, without libFuzzer.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 1 << 20 };

static int replay(const char *dir, const char *name)
{
	uint8_t *data = malloc(INPUT_MAX);
	char path[4096];
	size_t size;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "rb");
	if (!f || !data) {
		perror(path);
		exit(EXIT_FAILURE);
	}
	size = fread(data, 1, INPUT_MAX, f);
	fclose(f);
	printf("%s: %zu bytes\n", name, size);
	fflush(stdout);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	return 1;
}

int main(int argc, char **argv)
{
	struct dirent *entry;
	int n = 0;
	DIR *dir;

	if (argc != 2) {
		fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
		return EXIT_FAILURE;
	}
	dir = opendir(argv[1]);
	if (!dir) {
		perror(argv[1]);
		return EXIT_FAILURE;
	}
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			n += replay(argv[1], entry->d_name);
	closedir(dir);
	printf("%d inputs\n", n);
	/* A corpus that cannot be found must not pass for one that is fine. */
	return n ? EXIT_SUCCESS : EXIT_FAILURE;
}
