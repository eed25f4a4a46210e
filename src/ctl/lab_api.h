/* SPDX-License-Identifier: Apache-2.0
 *
 * The API of a running lab: what the CLI uses, and nothing else.
 */
#ifndef CTL_LAB_API_H
#define CTL_LAB_API_H

#include "ctl/api.h"
#include "ctl/rundir.h"

struct supervisor;

extern const struct api_route lab_api_routes[];

/** lab_api_socket() - where the API of a lab is served; 0 or -ENAMETOOLONG */
int must_check lab_api_socket(const char *lab, char buf[LAB_SOCKET_MAX]);

/** lab_api_start() - serve it; 0 or -errno */
int must_check lab_api_start(struct supervisor *supervisor, struct api **api);

#endif
