/* SPDX-License-Identifier: Apache-2.0
 *
 * The commands of the multi-call binary.  Each is like a main() of its own:
 * argv[0] is the command's name, the result is the exit status.  Each is in the
 * file of its name, but for detach, which is in attach.c.
 */
#ifndef CMD_CMD_H
#define CMD_CMD_H

/* Exit statuses common to all commands. */
enum {
	EXIT_OK = 0,
	EXIT_ERROR = 1,		/* not done; one sentence said why */
	EXIT_USAGE = 2,		/* the command line was not understood */
};

int cmd_attach(int argc, char **argv);
int cmd_console(int argc, char **argv);
int cmd_detach(int argc, char **argv);
int cmd_down(int argc, char **argv);
int cmd_exec(int argc, char **argv);
int cmd_host(int argc, char **argv);
int cmd_lab(int argc, char **argv);
int cmd_link(int argc, char **argv);
int cmd_ps(int argc, char **argv);
int cmd_serve(int argc, char **argv);
int cmd_show(int argc, char **argv);
int cmd_up(int argc, char **argv);
int cmd_vm(int argc, char **argv);

#endif
