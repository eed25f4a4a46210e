/* SPDX-License-Identifier: Apache-2.0
 *
 * Taking a lab down, as `down` does, and `up` when it is interrupted; in
 * down.c.
 */
#ifndef CMD_LAB_DOWN_H
#define CMD_LAB_DOWN_H

#include "cmd/cli.h"

/**
 * lab_down() - ask the supervisor, follow the machines, wait for its end
 * @say: print what happens
 *
 * Return: is it down?  Otherwise a message was printed.
 */
bool lab_down(const struct cli_lab *lab, bool keep_logs, bool say);

#endif
