/* SPDX-License-Identifier: Apache-2.0
 *
 * The API over a real UNIX socket: routes, bodies, errors, streams; and the
 * client that the CLI uses.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/util.h"
#include "ctl/api.h"
#include "ctl/client.h"

struct fixture {
	struct api *api;
	char dir[32];			/* with the socket */
	char socket[64];
	struct api_stream *stream;	/* of the last GET /v1/stream */
	json_t *body;			/* of the last PUT */
};

static void get_thing(struct api_request *request)
{
	api_reply(request, 200, json_pack("{s:s}", "name",
					  api_arg(request, 0)));
}

static void put_thing(struct api_request *request)
{
	struct fixture *f = api_owner(request);

	json_decref(f->body);
	f->body = json_incref(api_body(request));
	api_reply(request, 200, json_object());
}

static void post_raw(struct api_request *request)
{
	size_t len;
	const char *data = api_body_raw(request, &len);
	unsigned int sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += (uint8_t)data[i];
	api_reply(request, 200, json_pack("{s:i, s:i}", "len", (int)len,
					  "sum", (int)sum));
}

static void get_stream(struct api_request *request)
{
	struct fixture *f = api_owner(request);

	f->stream = api_reply_stream(request, "text/plain");
	api_stream_push(f->stream, "first ", 6);
}

static void no_reply(struct api_request *request unused)
{
}

static const struct api_route routes[] = {
	{ .method = "GET", .path = "/v1/things/NAME", .handle = get_thing },
	{ .method = "PUT", .path = "/v1/things/NAME", .handle = put_thing,
	  .body = { { "up", JSON_TRUE, true, "" },
		    { "n", JSON_INTEGER, false, "" } } },
	{ .method = "POST", .path = "/v1/raw", .handle = post_raw,
	  .raw_body = true },
	{ .method = "GET", .path = "/v1/stream", .handle = get_stream },
	{ .method = "GET", .path = "/v1/forgetful", .handle = no_reply },
	{ 0 },
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct api_config config = { .routes = routes, .owner = f };

	strcpy(f->dir, "/tmp/test-api-XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	snprintf(f->socket, sizeof(f->socket), "%s/api.sock", f->dir);
	config.path = f->socket;
	*state = f;
	return api_start(&config, &f->api);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	api_stop(f->api);
	json_decref(f->body);
	assert_int_equal(access(f->socket, F_OK), -1);
	assert_int_equal(rmdir(f->dir), 0);
	free(f);
	return 0;
}

/* Ask with a body as text; the status. */
static long ask(struct fixture *f, const char *method, const char *path,
		const char *body, struct reply *reply)
{
	json_t *json = body ? json_loads(body, 0, NULL) : NULL;

	client_request(f->socket, method, path, json, 5000, reply);
	json_decref(json);
	return reply->status;
}

static void expect(struct fixture *f, const char *method, const char *path,
		   const char *body, long status, const char *says)
{
	struct reply reply;

	assert_int_equal(ask(f, method, path, body, &reply), status);
	if (!strstr(reply.error, says))
		fail_msg("%s %s: '%s' lacks '%s'", method, path, reply.error,
			 says);
	reply_clear(&reply);
}

static void socket_is_private(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	assert_int_equal(stat(f->socket, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void path_names(void **state)
{
	struct fixture *f = *state;
	struct reply reply;

	assert_int_equal(ask(f, "GET", "/v1/things/alice.0", NULL, &reply),
			 200);
	assert_string_equal(json_string_value(json_object_get(reply.body,
							      "name")),
			    "alice.0");
	reply_clear(&reply);
}

static void wrong_requests(void **state)
{
	struct fixture *f = *state;
	char longish[700];

	expect(f, "GET", "/", NULL, 404, "there is no /");
	expect(f, "GET", "/v1/things", NULL, 404, "there is no");
	expect(f, "GET", "/v1/things/", NULL, 404, "there is no");
	expect(f, "GET", "/v1/things/a/b", NULL, 404, "there is no");
	expect(f, "GET", "/v1/things/a%2fb", NULL, 404, "there is no");
	expect(f, "GET", "/v1/things/a%20b", NULL, 404, "there is no");
	expect(f, "GET", "/v1/things/%ff", NULL, 404, "there is no");
	expect(f, "DELETE", "/v1/things/a", NULL, 405, "DELETE is not possible");
	expect(f, "GET", "/v1/forgetful", NULL, 500, "no reply");
	snprintf(longish, sizeof(longish), "/v1/things/%0600d", 0);
	expect(f, "GET", longish, NULL, 414, "longer than");
}

static void bodies(void **state)
{
	static const char path[] = "/v1/things/a";
	struct fixture *f = *state;

	expect(f, "PUT", path, "{\"up\": true, \"n\": 3}", 200, "");
	assert_int_equal(json_integer_value(json_object_get(f->body, "n")), 3);
	expect(f, "PUT", path, "{\"up\": false}", 200, "");
	expect(f, "PUT", path, NULL, 400, "lacks the key 'up'");
	expect(f, "PUT", path, "{}", 400, "lacks the key 'up'");
	expect(f, "PUT", path, "{\"up\": 1}", 400,
	       "'up' in the body: expected a boolean, not an integer");
	expect(f, "PUT", path, "{\"up\": true, \"n\": \"3\"}", 400,
	       "'n' in the body: expected an integer, not a string");
	expect(f, "PUT", path, "{\"up\": true, \"x\": null}", 400,
	       "unknown key 'x'");
	expect(f, "PUT", path, "[true]", 400, "expected an object");
}

/* Bytes as they are, past the client's own decency. */
static void say(struct fixture *f, const char *text, const char *answer)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	char got[2048];
	size_t len = 0;
	ssize_t n;

	strcpy(addr.sun_path, f->socket);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)),
			 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	shutdown(fd, SHUT_WR);
	while ((n = read(fd, got + len, sizeof(got) - 1 - len)) > 0)
		len += (size_t)n;
	close(fd);
	got[len] = '\0';
	if (!strstr(got, answer))
		fail_msg("'%s' was answered by '%s', which lacks '%s'", text,
			 got, answer);
}

static void not_json(void **state)
{
	struct fixture *f = *state;

	say(f, "PUT /v1/things/a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
	       "Connection: close\r\n\r\n{\"up\"", "not JSON");
	say(f, "PUT /v1/things/a HTTP/1.1\r\nHost: x\r\nContent-Length: 26\r\n"
	       "Connection: close\r\n\r\n{\"up\": true, \"up\": false}\n",
	    "not JSON");
	/* No HTTP at all: the connection just ends. */
	say(f, "nonsense\r\n\r\n", "");
	/* Whatever that was, others are served. */
	expect(f, "GET", "/v1/things/a", NULL, 200, "");
}

static void raw_body(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = calloc(1, API_BODY_MAX + 1);
	struct reply reply;

	memset(data, 1, API_BODY_MAX + 1);
	assert_true(client_send_raw(f->socket, "/v1/raw", data, API_BODY_MAX,
				    5000, &reply));
	assert_int_equal(json_integer_value(json_object_get(reply.body,
							    "sum")),
			 API_BODY_MAX);
	reply_clear(&reply);
	assert_false(client_send_raw(f->socket, "/v1/raw", data,
				     API_BODY_MAX + 1, 5000, &reply));
	assert_int_equal(reply.status, 413);
	reply_clear(&reply);
	assert_true(client_send_raw(f->socket, "/v1/raw", "", 0, 5000,
				    &reply));
	assert_int_equal(json_integer_value(json_object_get(reply.body,
							    "len")), 0);
	reply_clear(&reply);
	free(data);
}

enum { STREAM_LEN = 3000000 };

struct stream_state {
	struct fixture *f;
	size_t len;		/* bytes that have come */
	bool fed;		/* the rest was pushed */
};

/* The first bytes have come while the stream waits: now push the rest. */
static bool take_stream(void *arg, const char *data, size_t len)
{
	struct stream_state *s = arg;

	s->len += len;
	if (!s->fed) {
		char *block = calloc(1, STREAM_LEN);

		s->fed = true;
		assert_memory_equal(data, "first ", 6);
		assert_true(api_stream_check(s->f->stream));
		assert_true(api_stream_push(s->f->stream, block, STREAM_LEN));
		api_stream_end(s->f->stream);
		free(block);
	}
	return true;
}

static void stream(void **state)
{
	struct stream_state s = { .f = *state };
	struct reply reply;

	assert_true(client_stream(s.f->socket, "GET", "/v1/stream", NULL,
				  take_stream, &s, &reply));
	assert_int_equal(s.len, 6 + STREAM_LEN);
	reply_clear(&reply);
}

static bool stop_at_once(void *arg unused, const char *data unused,
			 size_t len unused)
{
	return false;
}

/* A client that hangs up is noticed, though nothing is sent. */
static void stream_hangup(void **state)
{
	struct fixture *f = *state;
	struct reply reply;

	assert_true(client_stream(f->socket, "GET", "/v1/stream", NULL,
				  stop_at_once, NULL, &reply));
	reply_clear(&reply);
	for (unsigned int i = 0; api_stream_check(f->stream); i++) {
		assert_true(i < 500);
		usleep(10000);
	}
	assert_false(api_stream_push(f->stream, "x", 1));
	api_stream_end(f->stream);
}

static void nobody_listens(void **state unused)
{
	struct reply reply;

	assert_false(client_request("/nowhere/x.sock", "GET", "/", NULL, 1000,
				    &reply));
	assert_int_equal(reply.status, 0);
	assert_non_null(strstr(reply.error, "/nowhere/x.sock"));
	reply_clear(&reply);
}

#define with_api(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_api(socket_is_private),
		with_api(path_names),
		with_api(wrong_requests),
		with_api(bodies),
		with_api(not_json),
		with_api(raw_body),
		with_api(stream),
		with_api(stream_hangup),
		cmocka_unit_test(nobody_listens),
	};

	client_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
