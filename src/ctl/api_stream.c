/* SPDX-License-Identifier: Apache-2.0
 *
 * Replies that go on, of api.h.
 *
 * A stream has two ends, the producer's and the library's, which may part in
 * any order; the last one frees it.  When there is nothing to send the
 * connection is suspended, and resumed by the next push: both under the
 * stream's lock, so that no push goes unnoticed.
 */
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/api_internal.h"
#include "ctl/bytes.h"

enum { STREAM_BLOCK = 16384 };

struct api_stream {
	pthread_mutex_t lock;	/* of all below; no other lock is taken under
				 * it but the library's own */
	struct MHD_Connection *connection; /* valid while reader is there */
	int fd;			/* its socket; the library's */
	bool reader;		/* the library's end is there */
	bool producer;		/* the producer's end is there */
	bool suspended;		/* waits for a push */
	bool hung_up;		/* the client has gone */
	struct bytes data;	/* pushed, not yet sent */
};

static void stream_free(struct api_stream *s)
{
	pthread_mutex_destroy(&s->lock);
	bytes_free(&s->data);
	free(s);
}

/* Let the library look again; with the lock held. */
static void resume(struct api_stream *s)
{
	if (s->suspended) {
		s->suspended = false;
		MHD_resume_connection(s->connection);
	}
}

/* The library asks for bytes to send. */
static ssize_t read_stream(void *cls, uint64_t pos unused, char *buf,
			   size_t max)
{
	struct api_stream *s = cls;
	ssize_t n = 0;

	pthread_mutex_lock(&s->lock);
	if (s->hung_up) {
		n = MHD_CONTENT_READER_END_WITH_ERROR;
	} else if (s->data.len) {
		n = (ssize_t)min_of(max, s->data.len);
		memcpy(buf, bytes_front(&s->data), (size_t)n);
		bytes_drop(&s->data, (size_t)n);
	} else if (!s->producer) {
		n = MHD_CONTENT_READER_END_OF_STREAM;
	} else {
		s->suspended = true;
		MHD_suspend_connection(s->connection);
	}
	pthread_mutex_unlock(&s->lock);
	return n;
}

/* The library is done with it: sent, or the client went away. */
static void reader_gone(void *cls)
{
	struct api_stream *s = cls;
	bool last;

	pthread_mutex_lock(&s->lock);
	s->reader = false;
	s->suspended = false;
	last = !s->producer;
	pthread_mutex_unlock(&s->lock);
	if (last)
		stream_free(s);
}

struct api_stream *api_reply_stream(struct api_request *request,
				    const char *content_type)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(request->connection,
					MHD_CONNECTION_INFO_CONNECTION_FD);
	struct MHD_Response *response;
	struct api_stream *s;

	s = calloc(1, sizeof(*s));
	if (!s)
		goto err_reply;
	pthread_mutex_init(&s->lock, NULL);
	s->connection = request->connection;
	s->fd = info ? info->connect_fd : -1;
	s->producer = true;
	response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN,
		STREAM_BLOCK, read_stream, s, reader_gone);
	if (!response)
		goto err_free;
	s->reader = true;
	api_queue_stream(request, response, content_type);
	return s;

err_free:
	stream_free(s);
err_reply:
	api_reply(request, MHD_HTTP_INTERNAL_SERVER_ERROR, NULL);
	return NULL;
}

bool api_stream_push(struct api_stream *s, const void *data, size_t len)
{
	bool ok;

	pthread_mutex_lock(&s->lock);
	ok = s->reader && !s->hung_up && bytes_append(&s->data, data, len);
	if (ok)
		resume(s);
	pthread_mutex_unlock(&s->lock);
	return ok;
}

bool api_stream_push_json(struct api_stream *s, json_t *line)
{
	char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
	size_t len;
	bool ok;

	json_decref(line);
	if (!text)
		return false;
	len = strlen(text);
	text[len] = '\n';	/* in the place of the NUL */
	ok = api_stream_push(s, text, len + 1);
	free(text);
	return ok;
}

size_t api_stream_pending(struct api_stream *s)
{
	size_t n;

	pthread_mutex_lock(&s->lock);
	n = s->reader ? s->data.len : 0;
	pthread_mutex_unlock(&s->lock);
	return n;
}

bool api_stream_check(struct api_stream *s)
{
	struct pollfd p = { .events = POLLRDHUP };
	bool there;

	pthread_mutex_lock(&s->lock);
	p.fd = s->fd;
	if (s->reader && !s->hung_up && p.fd >= 0 && poll(&p, 1, 0) > 0 &&
	    p.revents & (POLLRDHUP | POLLHUP | POLLERR)) {
		s->hung_up = true;
		resume(s);
	}
	there = s->reader && !s->hung_up;
	pthread_mutex_unlock(&s->lock);
	return there;
}

void api_stream_end(struct api_stream *s)
{
	bool last;

	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->producer = false;
	last = !s->reader;
	if (!last)
		resume(s);
	pthread_mutex_unlock(&s->lock);
	if (last)
		stream_free(s);
}
