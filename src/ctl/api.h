/* SPDX-License-Identifier: Apache-2.0
 *
 * An HTTP+JSON API on a UNIX socket: routes, requests, replies, streams.
 *
 * Theory of operation.  Who serves an API hands over one table of routes; the
 * table is what requests are matched against, what bodies are checked against,
 * and what `backplane lab api` prints.  A handler decodes, acts and replies
 * exactly once, by api_reply() or one of its kin.  What it does not get to see:
 * unknown paths (404), a wrong method (405), bodies that are too large (413),
 * are not JSON or do not match the route's fields (400).  Every error is
 * {"error": "one sentence"}.
 *
 * A stream is a reply that goes on: whoever holds its producing end pushes
 * bytes into it from any thread, at any time after api_reply_stream().
 *
 * Threads: handlers run on the API's own threads (`threads` of them), several
 * at once if there are several; they have to lock what they share.  api_start()
 * creates all threads there will ever be, so that a sandbox may follow.
 */
#ifndef CTL_API_H
#define CTL_API_H

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

#include "base/sandbox.h"
#include "base/util.h"

struct api;
struct api_request;
struct api_stream;

enum {
	API_ARGS_MAX = 2,	/* names in a path */
	API_FIELDS_MAX = 4,	/* keys of a body */
	API_BODY_MAX = 1 << 20,	/* bytes of a request's body */
	API_PATH_MAX = 512,	/* bytes of a request's path */
};

/* A key of a request's JSON body. */
struct api_field {
	const char *name;
	json_type type;		/* JSON_TRUE stands for both booleans */
	bool required;
	const char *help;	/* for the reference */
};

struct api_route {
	const char *method;	/* "GET" */
	const char *path;	/* "/v1/machines/NAME": a word in capitals
				 * stands for any one */
	void (*handle)(struct api_request *request);
	const char *help;	/* one line for the reference */
	bool raw_body;		/* bytes instead of JSON */
	struct api_field body[API_FIELDS_MAX]; /* ends at a NULL name */
};

struct api_config {
	const char *path;		/* socket to create, mode 0600 */
	const struct api_route *routes;	/* ends at a NULL method */
	void *owner;			/* api_owner() of each request */
	unsigned int threads;		/* 0: one */
};

/** api_start() - listen and serve; 0 or -errno */
int must_check api_start(const struct api_config *config, struct api **api);

/** api_stop() - finish what is under way, end the threads, unlink the socket;
 * NULL is fine.  Streams must have been ended. */
void api_stop(struct api *api);

/** api_syscalls - what an API's threads need once they run */
extern const struct syscall_list api_syscalls;

/** api_print_routes() - a table of routes in Markdown */
void api_print_routes(FILE *out, const struct api_route *routes);

/* What a handler asks of its request: */

void *api_owner(const struct api_request *request);

/** api_method(), api_path() - of the request, for passing it on */
const char *api_method(const struct api_request *request);
const char *api_path(const struct api_request *request);

/** api_arg() - the i-th name in the path, decoded */
const char *api_arg(const struct api_request *request, unsigned int i);

/** api_body() - the decoded JSON body, an object; empty if there was none */
json_t *api_body(const struct api_request *request);

/** api_body_raw() - the bytes of a raw body */
const void *api_body_raw(const struct api_request *request, size_t *len);

/* Replies.  Exactly one per request. */

/** api_reply() - JSON; takes over @body.  NULL: out of memory, status 500 */
void api_reply(struct api_request *request, unsigned int status, json_t *body);

/** api_error() - {"error": ...} */
void api_error(struct api_request *request, unsigned int status,
	       const char *fmt, ...) printf_like(3, 4);

/**
 * api_reply_stream() - a reply of unknown length
 *
 * Return: the producing end, to be released by api_stream_end(); NULL: the
 * request has been answered with an error.
 */
struct api_stream *api_reply_stream(struct api_request *request,
				    const char *content_type);

/**
 * api_stream_push() - add bytes; false: the client has gone, or out of memory
 */
bool api_stream_push(struct api_stream *stream, const void *data, size_t len);

/** api_stream_push_json() - add one line; takes over @line */
bool api_stream_push_json(struct api_stream *stream, json_t *line);

/** api_stream_pending() - bytes pushed and not yet sent */
size_t api_stream_pending(struct api_stream *stream);

/**
 * api_stream_check() - is the client still there?  Ask now and then: while
 * there is nothing to send nobody else notices.
 */
bool api_stream_check(struct api_stream *stream);

/** api_stream_end() - no more will come; @stream is not valid any longer */
void api_stream_end(struct api_stream *stream);

#endif
