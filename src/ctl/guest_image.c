/* SPDX-License-Identifier: Apache-2.0
 *
 * Looking for the guest image; see guest_image.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/guest_image.h"

static bool readable(const char *path, struct lab_error *error)
{
	if (!access(path, R_OK))
		return true;
	snprintf(error->text, sizeof(error->text), "cannot read %s: %s", path,
		 strerror(errno));
	return false;
}

bool guest_image_file(const char *name, char path[LAB_PATH_MAX],
		      struct lab_error *error)
{
	static const char *const places[] = {
		"guest", "../share/backplane/guest",
	};
	const char *dir = getenv("BACKPLANE_GUEST_DIR");
	char self[LAB_PATH_MAX], text[LAB_PATH_MAX];
	ssize_t n;

	if (dir && *dir) {
		snprintf(text, sizeof(text), "%.3000s/%s", dir, name);
		strcpy(path, text);
		return readable(path, error);
	}
	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n > 0) {
		self[n] = '\0';
		*strrchr(self, '/') = '\0';
		for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
			snprintf(text, sizeof(text), "%.3000s/%s/%s", self,
				 places[i], name);
			strcpy(path, text);
			if (!access(path, R_OK))
				return true;
		}
	}
	snprintf(error->text, sizeof(error->text),
		 "there is no guest image (%s): make it with `make guest-image`, or name a kernel and an initrd",
		 name);
	return false;
}
