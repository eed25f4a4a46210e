/* SPDX-License-Identifier: Apache-2.0
 *
 * The API's requests and routes, over libmicrohttpd.  Streams: api_stream.c.
 */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/unix_socket.h"
#include "ctl/api.h"
#include "ctl/api_internal.h"

enum {
	CONNECTIONS_MAX = 256,	/* at a time; further ones wait */
	LINGER_MS = 300,	/* for the last replies, at the end */
	BACKLOG = 64,		/* connections not yet accepted */
	CONNECTION_MEMORY = 16384, /* for headers, per connection */
};

struct api {
	struct MHD_Daemon *daemon;	/* NULL until it runs */
	const struct api_route *routes;	/* as configured */
	void *owner;			/* as configured */
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* socket */
};

void *api_owner(const struct api_request *request)
{
	return request->api->owner;
}

const char *api_method(const struct api_request *request)
{
	return request->route->method;
}

const char *api_path(const struct api_request *request)
{
	return request->path;
}

const char *api_arg(const struct api_request *request, unsigned int i)
{
	return request->args[i];
}

json_t *api_body(const struct api_request *request)
{
	return request->body;
}

const void *api_body_raw(const struct api_request *request, size_t *len)
{
	*len = request->raw_len;
	return request->raw;
}

/* Hand a response to the library; drops our reference. */
static void queue_response(struct api_request *request, unsigned int status,
			   struct MHD_Response *response, const char *type)
{
	request->replied = true;
	if (!response) {
		request->result = MHD_NO;
		return;
	}
	if (MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
				    type) == MHD_NO)
		request->result = MHD_NO;
	else
		request->result = MHD_queue_response(request->connection,
						     status, response);
	MHD_destroy_response(response);
}

void api_queue_stream(struct api_request *request,
		      struct MHD_Response *response, const char *type)
{
	queue_response(request, MHD_HTTP_OK, response, type);
}

void api_reply(struct api_request *request, unsigned int status, json_t *body)
{
	static char no_memory[] = "{\"error\": \"out of memory\"}\n";
	char *text = body ? json_dumps(body, JSON_INDENT(1)) : NULL;
	struct MHD_Response *response;

	json_decref(body);
	if (text) {
		response = MHD_create_response_from_buffer(strlen(text), text,
						MHD_RESPMEM_MUST_FREE);
		if (!response)
			free(text);
	} else {
		status = MHD_HTTP_INTERNAL_SERVER_ERROR;
		response = MHD_create_response_from_buffer(
			strlen(no_memory), no_memory, MHD_RESPMEM_PERSISTENT);
	}
	queue_response(request, status, response, "application/json");
}

void api_error(struct api_request *request, unsigned int status,
	       const char *fmt, ...)
{
	char text[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	/* What a client sent may be quoted in it, and be no UTF-8. */
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || (unsigned char)*c > '~')
			*c = '?';
	api_reply(request, status, json_pack("{s:s}", "error", text));
}

/* Connections, the library's wake-up channel, memory, its own end. */
static const int syscall_nrs[] = {
	__NR_accept4, __NR_poll, __NR_ppoll, __NR_recvfrom, __NR_recvmsg,
	__NR_sendto, __NR_sendmsg, __NR_shutdown, __NR_setsockopt,
	__NR_getsockopt, __NR_getsockname, __NR_fcntl, __NR_close,
	__NR_read, __NR_write, __NR_futex, __NR_clock_gettime,
	__NR_mmap, __NR_munmap, __NR_mprotect, __NR_mremap, __NR_madvise,
	__NR_brk, __NR_getrandom, __NR_rt_sigprocmask, __NR_set_robust_list,
	__NR_rseq, __NR_prctl, __NR_restart_syscall, __NR_clock_nanosleep,
	__NR_unlink, __NR_exit, __NR_exit_group, -1
};

const struct syscall_list api_syscalls = { "control API", syscall_nrs };

/* Is a word of a route's path a stand-in for any name? */
static bool is_stand_in(const char *word, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!isupper((unsigned char)word[i]))
			return false;
	return len > 0;
}

/* Names are passed on in paths, so they may hold nothing that is special. */
static bool is_name(const char *word, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)word[i]) &&
		    !strchr("-_.:", word[i]))
			return false;
	return len > 0;
}

/* Match a path against a route's; fills in the arguments. */
static bool path_matches(const struct api_route *route, const char *path,
			 char args[API_ARGS_MAX][API_PATH_MAX])
{
	const char *want = route->path;
	unsigned int n_args = 0;

	while (*want == '/' && *path == '/') {
		size_t want_len = strcspn(++want, "/");
		size_t len = strcspn(++path, "/");

		if (is_stand_in(want, want_len)) {
			if (!is_name(path, len) || len >= API_PATH_MAX ||
			    n_args == API_ARGS_MAX)
				return false;
			memcpy(args[n_args], path, len);
			args[n_args++][len] = '\0';
		} else if (len != want_len || memcmp(want, path, len)) {
			return false;
		}
		want += want_len;
		path += len;
	}
	return !*want && !*path;
}

/* Find the route of a request, or reply why there is none. */
static const struct api_route *find_route(struct api_request *request,
					  const char *method, const char *path)
{
	bool path_known = false;

	for (const struct api_route *r = request->api->routes; r->method; r++) {
		if (!path_matches(r, path, request->args))
			continue;
		if (!strcmp(r->method, method))
			return r;
		path_known = true;
	}
	if (path_known)
		api_error(request, MHD_HTTP_METHOD_NOT_ALLOWED,
			  "%.16s is not possible on %.128s", method, path);
	else
		api_error(request, MHD_HTTP_NOT_FOUND, "there is no %.128s",
			  path);
	return NULL;
}

static const char *type_name(json_type type)
{
	switch (type) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "an array";
	case JSON_STRING:
		return "a string";
	case JSON_INTEGER:
		return "an integer";
	case JSON_REAL:
		return "a number";
	case JSON_TRUE:
	case JSON_FALSE:
		return "a boolean";
	default:
		return "null";
	}
}

static const struct api_field *find_field(const struct api_route *route,
					  const char *name)
{
	for (unsigned int i = 0;
	     i < API_FIELDS_MAX && route->body[i].name; i++)
		if (!strcmp(route->body[i].name, name))
			return &route->body[i];
	return NULL;
}

/* Does the body have the fields of the route?  Else a reply was sent. */
static bool check_fields(struct api_request *request)
{
	const struct api_route *route = request->route;
	const char *name;
	json_t *value;

	json_object_foreach(request->body, name, value) {
		const struct api_field *field = find_field(route, name);
		json_type type = json_is_boolean(value) ? JSON_TRUE :
				 json_typeof(value);

		if (!field || type != field->type) {
			if (!field)
				api_error(request, MHD_HTTP_BAD_REQUEST,
					  "the body has an unknown key '%.64s'",
					  name);
			else
				api_error(request, MHD_HTTP_BAD_REQUEST,
					  "'%s' in the body: expected %s, not %s",
					  name, type_name(field->type),
					  type_name(type));
			return false;
		}
	}
	for (unsigned int i = 0;
	     i < API_FIELDS_MAX && route->body[i].name; i++)
		if (route->body[i].required &&
		    !json_object_get(request->body, route->body[i].name)) {
			api_error(request, MHD_HTTP_BAD_REQUEST,
				  "the body lacks the key '%s'",
				  route->body[i].name);
			return false;
		}
	return true;
}

/* Decode a JSON body; otherwise a reply was sent. */
static bool decode_body(struct api_request *request)
{
	json_error_t error;

	if (request->route->raw_body)
		return true;
	if (!request->raw_len) {
		request->body = json_object();
	} else {
		request->body = json_loadb(request->raw, request->raw_len,
					   JSON_REJECT_DUPLICATES, &error);
		if (!request->body) {
			api_error(request, MHD_HTTP_BAD_REQUEST,
				  "the body is not JSON: line %d: %s",
				  error.line, error.text);
			return false;
		}
	}
	if (!json_is_object(request->body)) {
		api_error(request, MHD_HTTP_BAD_REQUEST,
			  "the body: expected an object");
		return false;
	}
	return check_fields(request);
}

/* Keep a piece of the body, up to the limit. */
static void take_upload(struct api_request *request, const char *data,
			size_t len)
{
	char *raw;

	if (request->too_large || len > API_BODY_MAX - request->raw_len) {
		request->too_large = true;
		return;
	}
	raw = realloc(request->raw, request->raw_len + len);
	if (!raw) {
		request->too_large = true;
		return;
	}
	memcpy(raw + request->raw_len, data, len);
	request->raw = raw;
	request->raw_len += len;
}

static enum MHD_Result answer(void *cls, struct MHD_Connection *connection,
			      const char *path, const char *method,
			      const char *version unused, const char *upload,
			      size_t *upload_len, void **state)
{
	struct api_request *request = *state;

	if (!request) {
		request = calloc(1, sizeof(*request));
		if (!request)
			return MHD_NO;
		request->api = cls;
		request->connection = connection;
		request->result = MHD_YES;
		*state = request;
		return MHD_YES;
	}
	if (*upload_len) {
		take_upload(request, upload, *upload_len);
		*upload_len = 0;
		return MHD_YES;
	}
	if (request->replied)
		return request->result;
	if (request->too_large) {
		api_error(request, MHD_HTTP_CONTENT_TOO_LARGE,
			  "the body is longer than %d bytes", API_BODY_MAX);
		return request->result;
	}
	if (strlen(path) >= sizeof(request->path)) {
		api_error(request, MHD_HTTP_URI_TOO_LONG,
			  "the path is longer than %d bytes",
			  API_PATH_MAX - 1);
		return request->result;
	}
	strcpy(request->path, path);
	request->route = find_route(request, method, request->path);
	if (request->route && decode_body(request)) {
		request->route->handle(request);
		if (!request->replied)
			api_error(request, MHD_HTTP_INTERNAL_SERVER_ERROR,
				  "no reply to %.128s", path);
	}
	return request->result;
}

static void completed(void *cls unused,
		      struct MHD_Connection *connection unused, void **state,
		      enum MHD_RequestTerminationCode code unused)
{
	struct api_request *request = *state;

	if (!request)
		return;
	json_decref(request->body);
	free(request->raw);
	free(request);
	*state = NULL;
}

static void log_mhd(void *cls unused, const char *fmt, va_list args)
{
	char text[256];

	vsnprintf(text, sizeof(text), fmt, args);
	text[strcspn(text, "\n")] = '\0';
	log_debug("api: %s", text);
}

int api_start(const struct api_config *config, struct api **out)
{
	unsigned int threads = config->threads ? config->threads : 1;
	struct api *api;
	int fd, err;

	/* Both open files at first use, when a sandbox forbids it: the seed of
	 * JSON objects, and the time zone, for the Date header. */
	json_object_seed(0);
	tzset();
	api = calloc(1, sizeof(*api));
	if (!api)
		return -ENOMEM;
	api->routes = config->routes;
	api->owner = config->owner;
	err = unix_listen(config->path, BACKLOG, &fd);
	if (err)
		goto err_free;
	strcpy(api->path, config->path);
	/* With a pool of one the library makes a thread for accepting too. */
	api->daemon = MHD_start_daemon(
		MHD_USE_POLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME |
		MHD_USE_ERROR_LOG, 0, NULL, NULL, answer, api,
		MHD_OPTION_EXTERNAL_LOGGER, log_mhd, NULL,
		MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_NOTIFY_COMPLETED, completed, NULL,
		MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
		MHD_OPTION_THREAD_POOL_SIZE, threads > 1 ? threads : 0,
		MHD_OPTION_END);
	if (!api->daemon) {
		err = -EIO;
		goto err_close;
	}
	*out = api;
	return 0;

err_close:
	unlink(config->path);
	fd_close(&fd);
err_free:
	free(api);
	return err;
}

static unsigned int connections(const struct api *api)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(
		api->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);

	return info ? info->num_connections : 0;
}

void api_stop(struct api *api)
{
	if (!api)
		return;
	/* The library would cut off what is still being sent. */
	for (unsigned int ms = 0; ms < LINGER_MS && connections(api); ms += 10)
		usleep(10000);
	/* Closes the listening socket as well. */
	MHD_stop_daemon(api->daemon);
	unlink(api->path);
	free(api);
}

void api_print_routes(FILE *out, const struct api_route *routes)
{
	fputs("| method | path | body | what |\n| --- | --- | --- | --- |\n",
	      out);
	for (const struct api_route *r = routes; r->method; r++) {
		fprintf(out, "| %s | `%s` | ", r->method, r->path);
		if (r->raw_body)
			fputs("bytes", out);
		else if (!r->body[0].name)
			fputs("-", out);
		for (unsigned int i = 0;
		     i < API_FIELDS_MAX && r->body[i].name; i++)
			fprintf(out, "%s`%s` (%s%s): %s", i ? "; " : "",
				r->body[i].name, type_name(r->body[i].type),
				r->body[i].required ? ", required" : "",
				r->body[i].help);
		fprintf(out, " | %s |\n", r->help);
	}
}
