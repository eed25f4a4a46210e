/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the project's guest image is: the kernel and initramfs that machines
 * boot whose lab file names none.  tools/guest/mk-guest-image makes them.
 */
#ifndef CTL_GUEST_IMAGE_H
#define CTL_GUEST_IMAGE_H

#include "ctl/lab_config.h"

/**
 * guest_image_file() - where one of its files is
 * @name: the image's file, "vmlinux" or "initrd"
 * @path: filled in
 * @error: filled in on failure
 *
 * The image is looked for in $BACKPLANE_GUEST_DIR; else in the folder `guest`
 * beside the program, where a build has it, or in ../share/backplane/guest,
 * where an installation has it.
 *
 * Return: can it be read?
 */
bool must_check guest_image_file(const char *name, char path[LAB_PATH_MAX],
				 struct lab_error *error);

#endif
