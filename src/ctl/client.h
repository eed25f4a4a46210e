/* SPDX-License-Identifier: Apache-2.0
 *
 * Client of our APIs: HTTP over a UNIX socket, by libcurl.  Used by the CLI
 * and by the lab's supervisor towards its children.
 *
 * Threads: any; a struct client is one thread's at a time.  Call client_init()
 * once before there are threads.
 */
#ifndef CTL_CLIENT_H
#define CTL_CLIENT_H

#include <jansson.h>

#include "base/util.h"

/* What came back. */
struct reply {
	long status;		/* of HTTP; 0: nobody answered */
	json_t *body;		/* decoded; NULL if it is no JSON */
	char error[1024];	/* one sentence if status is not 2xx */
};

/** client_init() - once per process */
void client_init(void);

/**
 * client_request() - ask and wait
 * @socket: of the server
 * @json: body to send, or NULL; stays the caller's
 * @timeout_ms: give up after; 0: never
 * @reply: filled in; reply_clear() frees it
 *
 * Return: was it answered with a status of 2xx?
 */
bool client_request(const char *socket, const char *method, const char *path,
		    json_t *json, long timeout_ms, struct reply *reply);

/** client_send_raw() - POST bytes; as client_request() */
bool client_send_raw(const char *socket, const char *path, const void *data,
		     size_t len, long timeout_ms, struct reply *reply);

/* Where the bytes of a stream go; false: enough, stop. */
typedef bool (*client_sink)(void *arg, const char *data, size_t len);

/**
 * client_stream() - ask, and pass on the reply as it comes
 * @sink: gets the body if the status is 2xx
 *
 * Return: as client_request(), and the stream came to its end in order (or
 * @sink stopped it).
 */
bool client_stream(const char *socket, const char *method, const char *path,
		   json_t *json, client_sink sink, void *arg,
		   struct reply *reply);

void reply_clear(struct reply *reply);

#endif
