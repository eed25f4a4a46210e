/* SPDX-License-Identifier: Apache-2.0
 *
 * `backplane serve`: the NIC server.  Reads what is wanted (options, a lab
 * file), opens everything, gives up its privileges, and serves until it is told
 * to end.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/log.h"
#include "base/sandbox.h"
#include "base/sched.h"
#include "base/time.h"
#include "cmd/cmd.h"
#include "cmd/port_spec.h"
#include "ctl/api.h"
#include "ctl/lab_config.h"
#include "ctl/nic_server.h"
#include "ctl/server_api.h"
#include "loop/worker.h"
#include "loop/worker_syscalls.h"
#include "mem/dma.h"
#include "mem/dma_syscalls.h"
#include "port/port_syscalls.h"
#include "vfio_user/server_syscalls.h"
#include "vhost_user/vhost_user_syscalls.h"

enum { SPECS_MAX = NIC_SERVER_PORTS_MAX };

struct serve_options {
	const char *lab_file;		/* NULL: --port only */
	const char *run_dir;		/* of the lab's sockets */
	const char *api;		/* control socket; NULL: none */
	unsigned int n_specs;
	const char *specs[SPECS_MAX];	/* --port, as written */
	unsigned int poll_us;		/* how long to poll before sleeping;
					 * UINT_MAX: as the lab says */
	unsigned int n_workers;		/* 0: as the lab says */
	unsigned int n_cpus;		/* 0: as the lab says */
	unsigned int cpus[NIC_SERVER_WORKERS_MAX]; /* of each worker */
	bool sandbox;
};

static void print_help(FILE *out)
{
	fputs("Usage: backplane serve [LAB.yaml] [--port SPEC]... [OPTIONS]\n\n"
	      "Offers network cards to virtual machines, and switches "
	      "between\nthem.  Ports given by --port are all on one network; "
	      "those of a\nlab file are on the networks it says.\n\n"
	      "Ports:\n", out);
	port_spec_help(out);
	fprintf(out,
		"\nOptions:\n"
		"  -p, --port SPEC            add a port\n"
		"      --run-dir DIR          where the lab's sockets are made "
		"(default .)\n"
		"      --api PATH             serve the control API on this "
		"socket\n"
		"      --workers N            serve the ports by so many "
		"threads, 1 to %d\n"
		"                             (default 1)\n"
		"      --cpus LIST            pin them to these processors, "
		"as 2,3\n"
		"      --poll-us N            poll this long after the last "
		"frame before\n"
		"                             sleeping (default %d; 0 on a host "
		"with one\n"
		"                             processor)\n"
		"      --no-sandbox           keep all system calls allowed, "
		"for debuggers\n"
		"  -h, --help                 this text\n"
		"\nSIGINT and SIGTERM end it and remove its sockets.\n"
		"\nExamples:\n"
		"  backplane serve --port vfio-user:/tmp/a.sock "
		"--port vfio-user:/tmp/b.sock\n"
		"  backplane serve --port vfio-user:/tmp/a.sock,model=e1000 "
		"--port tap:tap0\n"
		"  qemu-system-x86_64 ... -netdev "
		"stream,id=n,addr.type=unix,addr.path=/tmp/c.sock\n",
		NIC_SERVER_WORKERS_MAX, LAB_POLL_US_DEFAULT);
}

/* A number alone, up to @max; else false. */
static bool parse_number(const char *text, unsigned long max, unsigned int *n)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || v > max)
		return false;
	*n = (unsigned int)v;
	return true;
}

static bool parse_workers(const char *text, struct serve_options *o)
{
	if (parse_number(text, NIC_SERVER_WORKERS_MAX, &o->n_workers) &&
	    o->n_workers)
		return true;
	log_err("--workers %s: expected 1 to %d", text,
		NIC_SERVER_WORKERS_MAX);
	return false;
}

static bool parse_poll_us(const char *text, struct serve_options *o)
{
	if (parse_number(text, LAB_POLL_US_MAX, &o->poll_us))
		return true;
	log_err("--poll-us %s: expected 0 to %d", text, LAB_POLL_US_MAX);
	return false;
}

static bool parse_cpus(const char *text, struct serve_options *o)
{
	char copy[128] = "";
	char *rest = copy, *part;
	bool ok = strlen(text) < sizeof(copy);

	strncpy(copy, text, sizeof(copy) - 1);
	o->n_cpus = 0;
	while (ok && (part = strsep(&rest, ",")))
		ok = o->n_cpus < NIC_SERVER_WORKERS_MAX &&
		     parse_number(part, LAB_CPUS_MAX - 1,
				  &o->cpus[o->n_cpus++]);
	if (!ok)
		log_err("--cpus %s: expected up to %d numbers of processors, as 2,3",
			text, NIC_SERVER_WORKERS_MAX);
	return ok;
}

enum {
	OPT_RUN_DIR = 256, OPT_API, OPT_WORKERS, OPT_CPUS, OPT_POLL_US,
	OPT_NO_SANDBOX,
};

static const struct option long_options[] = {
	{ "port", required_argument, NULL, 'p' },
	{ "run-dir", required_argument, NULL, OPT_RUN_DIR },
	{ "api", required_argument, NULL, OPT_API },
	{ "workers", required_argument, NULL, OPT_WORKERS },
	{ "cpus", required_argument, NULL, OPT_CPUS },
	{ "poll-us", required_argument, NULL, OPT_POLL_US },
	{ "no-sandbox", no_argument, NULL, OPT_NO_SANDBOX },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

/* Return: 0, or the exit status plus one where the program ends here. */
static int parse_options(int argc, char **argv, struct serve_options *o)
{
	int c;

	optind = 1;
	while ((c = getopt_long(argc, argv, "p:h", long_options,
				NULL)) != -1) {
		switch (c) {
		case 'p':
			if (o->n_specs == SPECS_MAX) {
				log_err("more than %d ports", SPECS_MAX);
				return 1 + EXIT_USAGE;
			}
			o->specs[o->n_specs++] = optarg;
			break;
		case OPT_RUN_DIR:
			o->run_dir = optarg;
			break;
		case OPT_API:
			o->api = optarg;
			break;
		case OPT_WORKERS:
			if (!parse_workers(optarg, o))
				return 1 + EXIT_USAGE;
			break;
		case OPT_CPUS:
			if (!parse_cpus(optarg, o))
				return 1 + EXIT_USAGE;
			break;
		case OPT_POLL_US:
			if (!parse_poll_us(optarg, o))
				return 1 + EXIT_USAGE;
			break;
		case OPT_NO_SANDBOX:
			o->sandbox = false;
			break;
		case 'h':
			print_help(stdout);
			return 1 + EXIT_OK;
		default:
			fputs("backplane serve --help says what there is\n",
			      stderr);
			return 1 + EXIT_USAGE;
		}
	}
	if (optind < argc)
		o->lab_file = argv[optind++];
	if (optind < argc) {
		log_err("'%s': only one lab file can be served", argv[optind]);
		return 1 + EXIT_USAGE;
	}
	if (!o->lab_file && !o->n_specs) {
		log_err("nothing to serve: give a lab file or --port SPEC "
			"(see --help)");
		return 1 + EXIT_USAGE;
	}
	return 0;
}

static int add_lab_nic(struct nic_server *server, const struct lab_machine *m,
		       unsigned int idx, const char *run_dir)
{
	const struct lab_nic *nic = &m->nics[idx];
	struct port_spec spec = {
		.kind = PORT_VFIO_USER,
		.fd = -1,
		.link_down = !nic->link_up,
	};
	char socket[LAB_SOCKET_MAX];
	char text[256];
	int ret;

	ret = lab_nic_socket(run_dir, m, idx, socket);
	if (ret < 0) {
		log_err("machine %s: the path of its NIC's socket under %s is "
			"too long", m->name, run_dir);
		return ret;
	}
	snprintf(spec.where, sizeof(spec.where), "%s", socket);
	snprintf(spec.model, sizeof(spec.model), "%s", nic->model);
	spec.full_caps = nic->full_caps;
	spec.queues = nic->queues;
	spec.mtu = (uint16_t)nic->mtu;
	memcpy(spec.mac, nic->mac, sizeof(spec.mac));
	lab_port_name(m, idx, spec.name, sizeof(spec.name));
	snprintf(text, sizeof(text), "vfio-user:%s,model=%s", socket,
		 nic->model);
	return port_spec_create(&spec, text, server,
				nic_server_find_net(server, nic->network));
}

static int add_lab_network(struct nic_server *server,
			   const struct lab_network *net)
{
	struct vswitch *sw;
	int ret = 0;

	sw = nic_server_add_net(server, net->name, net->ageing_s * 1000,
				net->mac_table);
	if (!sw)
		return -ENOMEM;
	for (unsigned int i = 0; !ret && i < net->n_taps; i++) {
		struct port_spec spec = { .kind = PORT_TAP, .fd = -1 };
		char text[64];

		snprintf(spec.where, sizeof(spec.where), "%s", net->taps[i]);
		snprintf(text, sizeof(text), "tap:%s", net->taps[i]);
		ret = port_spec_create(&spec, text, server, sw);
	}
	return ret;
}

static int add_lab(struct nic_server *server, const struct lab *lab,
		   const char *run_dir)
{
	int ret = 0;

	for (unsigned int i = 0; !ret && i < lab->n_networks; i++)
		ret = add_lab_network(server, &lab->networks[i]);
	for (unsigned int i = 0; !ret && i < lab->n_machines; i++) {
		const struct lab_machine *m = &lab->machines[i];

		for (unsigned int j = 0; !ret && j < m->n_nics; j++)
			ret = add_lab_nic(server, m, j, run_dir);
	}
	return ret;
}

static int add_specs(struct nic_server *server, const struct serve_options *o)
{
	struct vswitch *sw;
	int ret = 0;

	if (!o->n_specs)
		return 0;
	/* A lab may have a network of this name: then it is that one. */
	sw = nic_server_find_net(server, "default");
	if (!sw)
		sw = nic_server_add_net(server, "default", 0, 0);
	if (!sw)
		return -ENOMEM;
	for (unsigned int i = 0; !ret && i < o->n_specs; i++) {
		struct port_spec spec;

		ret = port_spec_parse(o->specs[i], &spec);
		if (!ret)
			ret = port_spec_create(&spec, o->specs[i], server, sw);
	}
	return ret;
}

static int enter_sandbox(void)
{
	static const struct syscall_list *const lists[] = {
		&worker_syscalls, &dma_syscalls, &port_syscalls,
		&vfu_server_syscalls, &vhost_user_syscalls, &api_syscalls,
		NULL,
	};
	int ret = sandbox_filter(lists);

	if (ret < 0)
		log_err("cannot enter the sandbox: %s", strerror(-ret));
	return ret;
}

/* What the options say, else the lab, else one worker. */
static int init_server(struct nic_server *server, struct serve_options *o,
		       const struct lab *lab)
{
	struct nic_server_config config = {
		.name = lab ? lab->name : "serve",
		.poll_ns = LAB_POLL_US_DEFAULT * NS_PER_US,
		.n_workers = 1,
		.n_cpus = o->n_cpus,
		.cpus = o->cpus,
	};
	int ret;

	if (lab) {
		config.poll_ns = lab->poll_us * NS_PER_US;
		config.n_workers = lab->n_workers;
	}
	if (o->poll_us != UINT_MAX)
		config.poll_ns = o->poll_us * NS_PER_US;
	if (o->n_workers)
		config.n_workers = o->n_workers;
	else if (o->n_cpus)
		config.n_workers = o->n_cpus;
	if (lab && !o->n_cpus && !o->n_workers) {
		config.n_cpus = lab->n_cpus;
		config.cpus = lab->cpus;
	}
	if (config.n_cpus && config.n_cpus != config.n_workers) {
		log_err("%u processors for %u workers: expected one for each",
			config.n_cpus, config.n_workers);
		return -EINVAL;
	}
	ret = nic_server_init(server, &config);
	if (ret < 0)
		log_err("cannot make workers: %s", strerror(-ret));
	return ret;
}

/* From here on nothing is opened any more: serve until a signal. */
static int run(struct nic_server *server, const struct serve_options *o,
	       const sigset_t *signals)
{
	struct api *api = NULL;
	int ret;

	ret = sandbox_drop_privileges();
	if (ret < 0) {
		log_err("cannot give up privileges: %s", strerror(-ret));
		return ret;
	}
	/* Workers first: the API calls them. */
	ret = nic_server_start(server);
	if (!ret && o->api)
		ret = server_api_start(o->api, server, &api);
	if (!ret && o->sandbox)
		ret = enter_sandbox();
	if (!ret) {
		log_info("serving %u port%s on %u network%s", server->n_ports,
			 server->n_ports == 1 ? "" : "s", server->n_nets,
			 server->n_nets == 1 ? "" : "s");
		/* A signal's number, or -1 with EINTR after a stop. */
		while (sigwaitinfo(signals, NULL) < 0)
			;
	}
	api_stop(api);
	return ret;
}

int cmd_serve(int argc, char **argv)
{
	struct serve_options options = {
		.run_dir = ".",
		.poll_us = UINT_MAX,
		.sandbox = true,
	};
	static struct nic_server server;
	struct lab_error error;
	struct lab *lab = NULL;
	sigset_t signals;
	int ret;

	ret = parse_options(argc, argv, &options);
	if (ret)
		return ret - 1;
	/* Blocked before the first thread, so that only run() sees them. */
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);

	if (options.lab_file) {
		lab = lab_load(options.lab_file, &error);
		if (!lab) {
			log_err("%s", error.text);
			return EXIT_ERROR;
		}
	}
	sched_be_patient();
	fd_raise_limit();
	ret = dma_init();
	if (ret < 0)
		log_err("cannot start: %s", strerror(-ret));
	if (!ret)
		ret = init_server(&server, &options, lab);
	if (!ret && lab)
		ret = add_lab(&server, lab, options.run_dir);
	if (!ret)
		ret = add_specs(&server, &options);
	if (!ret)
		ret = run(&server, &options, &signals);
	nic_server_fini(&server);
	lab_free(lab);
	return ret ? EXIT_ERROR : EXIT_OK;
}
