/* SPDX-License-Identifier: Apache-2.0
 *
 * Where running labs keep their sockets and logs: one folder per lab,
 *
 *	$BACKPLANE_RUNDIR/LAB/
 *	$XDG_RUNTIME_DIR/backplane/LAB/
 *	/tmp/backplane-UID/backplane/LAB/
 *
 * the first of these whose variable is set.  Only the user can enter it.  A lab
 * runs exactly while its supervisor holds a lock (flock) on the folder: what
 * lies in a folder without lock is left over from a supervisor that was killed.
 *
 * Threads: any.
 */
#ifndef CTL_RUNDIR_H
#define CTL_RUNDIR_H

#include "ctl/lab_config.h"

enum { RUNDIR_MAX = 256 };

/** rundir_path() - the folder of a lab; 0 or -ENAMETOOLONG */
int must_check rundir_path(const char *lab, char buf[RUNDIR_MAX]);

/**
 * rundir_lock() - make the folder, if need be, and become its holder
 *
 * Return: a descriptor that holds the lock; -EWOULDBLOCK: the lab is up;
 * -EPERM: somebody else's folder is in the way; other -errno.
 */
int must_check rundir_lock(const char *lab);

/** rundir_is_up() - does somebody hold the lock? */
bool rundir_is_up(const char *lab);

/**
 * rundir_clean() - remove what is in a folder whose lock the caller holds
 * @keep_logs: all but files that end in ".log" or ".log.1"; else the folder as
 *	well
 */
void rundir_clean(const char *lab, bool keep_logs);

/** rundir_clean_stale() - the same, but leave the folder itself */
void rundir_clean_stale(const char *lab);

/**
 * rundir_list() - the labs that are up, in alphabetical order
 * @names: room for @max
 *
 * Return: how many.
 */
unsigned int rundir_list(char (*names)[LAB_NAME_MAX], unsigned int max);

#endif
