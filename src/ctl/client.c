/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP over a UNIX socket; see client.h.
 */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/client.h"

/* Longest reply kept whole; a stream may be longer. */
enum { REPLY_MAX = 16 << 20 };

struct transfer {
	CURL *curl;		/* of this request */
	char *text;		/* what came and is kept */
	size_t len;		/* its bytes */
	client_sink sink;	/* NULL: keep all */
	void *sink_arg;		/* for it */
	bool stopped;		/* sink had enough */
};

void client_init(void)
{
	curl_global_init(CURL_GLOBAL_NOTHING);
}

static long status_of(CURL *curl)
{
	long status = 0;

	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

static bool is_success(long status)
{
	return status >= 200 && status < 300;
}

static size_t take_body(char *data, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	char *text;

	n *= size;
	if (t->sink && is_success(status_of(t->curl))) {
		if (t->sink(t->sink_arg, data, n))
			return n;
		t->stopped = true;
		return 0;
	}
	if (n > REPLY_MAX - t->len)
		return 0;
	text = realloc(t->text, t->len + n);
	if (!text)
		return 0;
	memcpy(text + t->len, data, n);
	t->text = text;
	t->len += n;
	return n;
}

/* Fill in a reply from what came. */
static bool finish(struct transfer *t, CURLcode code, const char *socket,
		   struct reply *reply)
{
	const char *error;

	reply->status = status_of(t->curl);
	reply->body = t->len ? json_loadb(t->text, t->len, 0, NULL) : NULL;
	if (code != CURLE_OK && !t->stopped) {
		snprintf(reply->error, sizeof(reply->error), "%s: %s", socket,
			 curl_easy_strerror(code));
		if (!is_success(reply->status))
			reply->status = 0;
		return false;
	}
	if (is_success(reply->status))
		return true;
	error = json_string_value(json_object_get(reply->body, "error"));
	snprintf(reply->error, sizeof(reply->error), "%s",
		 error ? error : "an answer without an explanation");
	return false;
}

static bool perform(struct transfer *t, const char *socket, const char *method,
		    const char *path, const void *data, size_t len,
		    const char *type, long timeout_ms, struct reply *reply)
{
	struct curl_slist *headers = NULL;
	char url[1024], content_type[64];
	bool ok;

	memset(reply, 0, sizeof(*reply));
	t->curl = curl_easy_init();
	if (!t->curl) {
		strcpy(reply->error, "out of memory");
		return false;
	}
	snprintf(url, sizeof(url), "http://backplane%s", path);
	snprintf(content_type, sizeof(content_type), "Content-Type: %s", type);
	headers = curl_slist_append(headers, content_type);
	/* No waiting for "100 Continue" before a large body. */
	headers = curl_slist_append(headers, "Expect:");
	curl_easy_setopt(t->curl, CURLOPT_URL, url);
	curl_easy_setopt(t->curl, CURLOPT_UNIX_SOCKET_PATH, socket);
	curl_easy_setopt(t->curl, CURLOPT_PROXY, "");
	curl_easy_setopt(t->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(t->curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(t->curl, CURLOPT_TIMEOUT_MS, timeout_ms);
	curl_easy_setopt(t->curl, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(t->curl, CURLOPT_WRITEDATA, t);
	if (data) {
		curl_easy_setopt(t->curl, CURLOPT_POST, 1L);
		curl_easy_setopt(t->curl, CURLOPT_POSTFIELDS, data);
		curl_easy_setopt(t->curl, CURLOPT_POSTFIELDSIZE_LARGE,
				 (curl_off_t)len);
	}
	curl_easy_setopt(t->curl, CURLOPT_CUSTOMREQUEST, method);
	ok = finish(t, curl_easy_perform(t->curl), socket, reply);
	curl_slist_free_all(headers);
	curl_easy_cleanup(t->curl);
	free(t->text);
	return ok;
}

/* Send a request with an optional JSON body. */
static bool perform_json(struct transfer *t, const char *socket,
			 const char *method, const char *path, json_t *json,
			 long timeout_ms, struct reply *reply)
{
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	bool post = text || !strcmp(method, "POST");
	bool ok;

	ok = perform(t, socket, method, path,
		     text ? text : post ? "" : NULL, text ? strlen(text) : 0,
		     "application/json", timeout_ms, reply);
	free(text);
	return ok;
}

bool client_request(const char *socket, const char *method, const char *path,
		    json_t *json, long timeout_ms, struct reply *reply)
{
	struct transfer t = { 0 };

	return perform_json(&t, socket, method, path, json, timeout_ms, reply);
}

bool client_send_raw(const char *socket, const char *path, const void *data,
		     size_t len, long timeout_ms, struct reply *reply)
{
	struct transfer t = { 0 };

	return perform(&t, socket, "POST", path, data, len,
		       "application/octet-stream", timeout_ms, reply);
}

bool client_stream(const char *socket, const char *method, const char *path,
		   json_t *json, client_sink sink, void *arg,
		   struct reply *reply)
{
	struct transfer t = { .sink = sink, .sink_arg = arg };

	return perform_json(&t, socket, method, path, json, 0, reply);
}

void reply_clear(struct reply *reply)
{
	json_decref(reply->body);
	reply->body = NULL;
}
