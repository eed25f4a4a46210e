/* SPDX-License-Identifier: Apache-2.0
 *
 * What api.c and api_stream.c share.
 */
#ifndef CTL_API_INTERNAL_H
#define CTL_API_INTERNAL_H

#include <microhttpd.h>

#include "ctl/api.h"

/* One request, from its headers to the end of its reply.  Belongs to the API
 * thread that serves the connection. */
struct api_request {
	struct api *api;		/* who got it */
	struct MHD_Connection *connection; /* where it came from */
	const struct api_route *route;	/* NULL until found */
	char path[API_PATH_MAX];	/* as asked for */
	char args[API_ARGS_MAX][API_PATH_MAX]; /* names in the path */
	char *raw;			/* body as it came */
	size_t raw_len;			/* its bytes */
	bool too_large;			/* some of it was thrown away */
	json_t *body;			/* decoded; NULL before, and if raw */
	bool replied;			/* a reply was queued */
	enum MHD_Result result;		/* of queueing it */
};

/** api_queue_stream() - reply 200 with @response, which is taken over */
void api_queue_stream(struct api_request *request,
		      struct MHD_Response *response, const char *type);

#endif
