/* SPDX-License-Identifier: MIT */
/* chelad: bringing everything up, the signals, and the way down. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <json-c/json.h>

#include <chela/services/config.h>

#include "core/access/access.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/loop.h"
#include "core/base/uuid.h"
#include "core/config/config.h"
#include "core/config/live.h"
#include "core/daemon/daemon.h"
#include "core/daemon/notify.h"
#include "core/daemon/restart.h"
#include "core/json/json.h"
#include "core/json/schema.h"
#include "core/net/net.h"
#include "core/plugin/host.h"
#include "core/protocol/proto.h"
#include "core/state/state.h"
#include "core/store/store.h"

#define EXIT_RUNNING	3	/* another daemon has the state directory */
#define EXIT_CONFIG	78	/* EX_CONFIG of sysexits.h */
#define SCHEMA_FILE_MAX	MIB(1)

/* Descriptors 0 to 2 are open, so that no socket ever becomes "stderr". */
static void
setup_fds(void)
{
	int	 fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= 2);
	if (fd > 2)
		(void)close(fd);
}

static void
setup_process(void)
{
	struct rlimit	 rl;

	setup_fds();
	(void)umask(077);
	(void)signal(SIGPIPE, SIG_IGN);
	if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
		rl.rlim_cur = rl.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &rl);
	}
	/* A core file would hold tokens and conversations. */
	rl.rlim_cur = rl.rlim_max = 0;
	(void)setrlimit(RLIMIT_CORE, &rl);
	/*
	 * Two arenas: the loop's and one for all workers, so that what a worker
	 * frees can go back to the system as a whole.
	 */
	(void)mallopt(M_ARENA_MAX, 2);
	(void)mallopt(M_MMAP_THRESHOLD, 256 * 1024);
	(void)mallopt(M_TRIM_THRESHOLD, 1024 * 1024);
}

static void
drain_end(void *arg)
{
	struct daemon	*d = arg;

	loop_stop(d->loop);
}

static void
close_one(struct conn *c, void *arg)
{
	(void)arg;
	conn_close(c, 1012, "service restart");
}

static void
drain_look(void *arg)
{
	struct daemon	*d = arg;

	/* All clients have gone: no reason to wait for the rest of the time. */
	if (net_stats(d->net)->n_open == 0)
		loop_stop(d->loop);
	else
		(void)loop_timer_set(d->drain_timer, MS_US(50));
}

void
daemon_stop(struct daemon *d, const char *reason)
{
	struct json_object	*o;

	if (d->is_stopping)
		return;
	d->is_stopping = true;
	loop_timer_stop(d->restart_timer);
	if (!d->is_restarting)
		notify_send("STOPPING=1");
	log_notice("daemon", "stopping (%s)", reason);
	proto_settings(d->proto)->is_draining = true;
	net_stop_listening(d->net);
	net_drain_http(d->net);
	o = json_object_new_object();
	if (o != NULL) {
		(void)json_add_str(o, "reason", d->is_restarting ?
		    "gateway restarting" : "gateway stopping");
		if (d->is_restarting)
			(void)json_add_int(o, "restartExpectedMs",
			    RESTART_EXPECTED_MS);
		(void)bus_emit(state_bus(d->state), "shutdown", o, NULL);
	}
	net_each(d->net, close_one, NULL);
	d->drain_timer = loop_timer_new(d->loop, drain_look, d);
	d->end_timer = loop_timer_new(d->loop, drain_end, d);
	if (d->drain_timer == NULL || d->end_timer == NULL ||
	    loop_timer_set(d->drain_timer, MS_US(10)) < 0 ||
	    loop_timer_set(d->end_timer, DAEMON_DRAIN_US) < 0)
		loop_stop(d->loop);
}

static void
on_signal(int fd, uint32_t what, void *arg)
{
	struct daemon		*d = arg;
	struct signalfd_siginfo	 si;

	(void)what;
	while (read(fd, &si, sizeof si) == (ssize_t)sizeof si) {
		switch (si.ssi_signo) {
		case SIGHUP:
			log_notice("daemon", "reloading (SIGHUP)");
			conf_live_reload(d->live);
			daemon_reload_tls(d);
			host_refresh(d->host, NULL, NULL);
			break;
		case SIGTERM:
		case SIGINT:
			d->is_restarting = false;	/* the end it is */
			if (d->is_stopping)	/* twice: at once */
				loop_stop(d->loop);
			else
				daemon_stop(d, si.ssi_signo == SIGTERM ?
				    "SIGTERM" : "SIGINT");
			break;
		default:
			break;
		}
	}
}

/* Before any thread: all of them inherit the mask. */
static int
setup_signals(struct daemon *d)
{
	sigset_t	 set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGHUP);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	d->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return (d->signal_fd < 0 ? -errno : 0);
}

static int
compile_connect(struct daemon *d)
{
	struct json_object	*doc = NULL;
	struct buf		 why = BUF_INIT;
	char			*path;
	int			 r;

	path = file_join(d->opt.schema_dir, "frames.json");
	if (path == NULL)
		return (-ENOMEM);
	r = json_read_file(path, SCHEMA_FILE_MAX, &doc, &why);
	if (r == 0)
		r = schema_compile(doc, "/definitions/connect.native",
		    &d->connect_native, &why);
	if (r == 0)
		r = schema_compile(doc, "/definitions/connect.openclaw",
		    &d->connect_openclaw, &why);
	if (r < 0) {
		(void)buf_putc(&why, '\0');
		log_err("daemon", "schema '%s': %s", path,
		    why.data != NULL ? why.data : strerror(-r));
	}
	json_object_put(doc);
	buf_fini(&why);
	free(path);
	return (r);
}

static int
conf_next_ok(const struct conf *next, struct conf_issues *issues, void *arg)
{
	struct daemon	*d = arg;
	struct buf	 why = BUF_INIT;
	int		 r;

	r = daemon_check_auth(next, issues);
	if (r < 0)
		return (r);
	/* Plugins take it before it is in force, all of them or none. */
	r = host_reload(d->host, (struct conf *)(uintptr_t)next, &why);
	if (r < 0) {
		(void)buf_putc(&why, '\0');
		(void)conf_issues_add(issues, "", 0, 0, "%s",
		    why.data != NULL ? why.data : "refused by a plugin");
	}
	buf_fini(&why);
	return (r);
}

static void
conf_changed(const struct conf_change *change, void *arg)
{
	struct daemon	*d = arg;
	size_t		 i;

	daemon_load_origins(d, conf_live_get(d->live));
	daemon_load_http(d, conf_live_get(d->live));
	for (i = 0; i < change->n_deltas; i++) {
		if (strncmp(change->deltas[i].path, "gateway.tls.", 12) == 0) {
			daemon_reload_tls(d);
			break;
		}
	}
	for (i = 0; i < change->n_deltas; i++) {
		if (strncmp(change->deltas[i].path, "gateway.", 8) == 0) {
			daemon_reload_auth(d, conf_live_get(d->live));
			break;
		}
	}
	for (i = 0; i < change->n_deltas; i++) {
		if (strncmp(change->deltas[i].path, "plugins.", 8) == 0) {
			host_refresh(d->host, NULL, NULL);
			break;
		}
	}
	log_notice("config", "a new configuration is in force (%zu changes)",
	    change->n_deltas);
}

static int
open_config(struct daemon *d)
{
	struct conf_issues	 issues = CONF_ISSUES_INIT;
	struct conf_live_opts	 opts = {
		.path = d->config_path,
		.state_dir = d->state_dir,
		.schema_dir = d->opt.schema_dir,
		.version = CHELA_VERSION_STRING,
	};
	const char		*level;
	int			 r;

	r = conf_live_open(d->loop, &opts, &d->live, &issues);
	if (r < 0) {
		conf_issues_print(&issues, d->config_path, stderr);
		conf_issues_fini(&issues);
		return (r);
	}
	conf_issues_fini(&issues);
	if (d->opt.log_level < 0) {
		level = conf_get_str(conf_live_get(d->live), "logging.level",
		    NULL);
		r = level == NULL ? -EINVAL : log_level_parse(level);
		if (r >= 0)
			log_set_level((enum log_level)r);
	}
	return (0);
}

static void
on_store_health(void *arg, int r, const char *reason)
{
	(void)arg;
	if (r < 0)
		log_err("store", "writes are refused until the disk works again "
		    "(%s)", reason);
	else
		log_notice("store", "writes are taken again");
}

static int
open_store(struct daemon *d)
{
	struct buf	 why = BUF_INIT;
	int		 r;

	r = store_open(d->loop, d->state_dir, NULL, &d->store, &why);
	if (r == 0)
		store_on_health(d->store, on_store_health, NULL);
	(void)buf_putc(&why, '\0');
	if (r < 0)
		log_err("store", "%s", why.data != NULL ? why.data :
		    strerror(-r));
	else if (why.len > 1)
		log_warn("store", "%s", why.data);
	buf_fini(&why);
	return (r);
}

static int
open_core(struct daemon *d)
{
	struct net_handler	 handler;

	daemon_load_limits(conf_live_get(d->live), &d->limits);
	d->state = state_new(d->loop, d->proto, CHELA_VERSION_STRING);
	if (d->state == NULL)
		return (-ENOMEM);
	proto_net_handler(d->proto, &handler);
	d->net = net_new(d->loop, &d->limits, &handler);
	return (d->net == NULL ? -ENOMEM : 0);
}

/* The hooks' argument is the daemon; each part gets its own from it. */
static void
hook_call(void *arg, struct peer *p, const struct proto_call *call)
{
	host_on_call(((struct daemon *)arg)->host, p, call);
}

static int
hook_hello(void *arg, struct peer *p, char **ret_text, size_t *ret_len)
{
	return (host_hello(((struct daemon *)arg)->host, p, ret_text, ret_len));
}

static void
hook_open(void *arg, struct peer *p)
{
	struct daemon	*d = arg;

	state_peer_opened(d->state, p);
	host_on_open(d->host, p);
}

static void
hook_close(void *arg, struct peer *p)
{
	struct daemon	*d = arg;

	host_on_close(d->host, p);
	state_peer_closed(d->state, p);
}

static void
hook_refused(void *arg, struct peer *p, const char *reason)
{
	struct daemon	*d = arg;

	host_on_refused(d->host, p, reason);
}

static int
open_proto(struct daemon *d)
{
	struct proto_hooks	 hooks = {
		.on_call = hook_call,
		.hello = hook_hello,
		.on_open = hook_open,
		.on_close = hook_close,
		.on_refused = hook_refused,
		.on_http = daemon_on_http,
		.arg = d,
	};

	d->proto = proto_new(d->loop, &hooks, d->connect_native,
	    d->connect_openclaw, CHELA_VERSION_STRING, d->boot_id);
	if (d->proto == NULL)
		return (-ENOMEM);
	proto_settings(d->proto)->access = d->access;
	return (0);
}

static int
open_access(struct daemon *d)
{
	struct buf	 why = BUF_INIT;
	int		 r;

	d->access = access_new(d->loop);
	if (d->access == NULL)
		return (-ENOMEM);
	r = access_open(d->access, d->store, d->state_dir, &why);
	(void)buf_putc(&why, '\0');
	if (r < 0)
		log_err("access", "%s", why.data != NULL && why.len > 1 ?
		    why.data : strerror(-r));
	buf_fini(&why);
	return (r);
}

static int
open_host(struct daemon *d)
{
	struct host_env	 env = {
		.loop = d->loop,
		.proto = d->proto,
		.state = d->state,
		.store = d->store,
		.live = d->live,
		.state_dir = d->state_dir,
		.schema_dir = d->opt.schema_dir,
		.version = CHELA_VERSION_STRING,
		.boot_id = d->boot_id,
		.bind_address = d->bind,
		.limits = &d->limits,
		.sockets = d->net == NULL ? NULL : net_stats(d->net),
		.port = &d->port,
		.restart = d->exe == NULL ? NULL : restart_ask,
		.restart_arg = d,
		.restarted_us = d->restarted_us,
		.check_results = d->opt.check_results,
		.watch_slow_us = MS_US(d->opt.watch_slow_ms),
		.watch_dead_us = MS_US(d->opt.watch_dead_ms),
	};
	size_t		 i;
	int		 r;

	d->host = host_new(&env);
	if (d->host == NULL)
		return (-ENOMEM);
	for (i = 0; i < d->opt.n_plugin_dirs; i++) {
		r = host_add_dir(d->host, d->opt.plugin_dirs[i]);
		if (r < 0)
			log_warn("plugin", "directory '%s': %s",
			    d->opt.plugin_dirs[i], strerror(-r));
	}
	return (0);
}

static int
start_plugins(struct daemon *d)
{
	struct buf	 why = BUF_INIT;
	int		 r;

	r = host_export(d->host, CHELA_CONFIG_SERVICE,
	    conf_live_service(d->live));
	if (r == 0)
		r = host_scan(d->host);
	if (r == 0) {
		host_set_conf(d->host, conf_live_get(d->live));
		r = host_start(d->host, &why);
	}
	(void)buf_putc(&why, '\0');
	if (r < 0)
		log_err("daemon", "not started: %s (mend it, or set plugins."
		    "entries.<name>.optional)", why.data != NULL && why.len > 1 ?
		    why.data : strerror(-r));
	buf_fini(&why);
	return (r);
}

void
daemon_choose_bind(const struct daemon *d, char *ret, size_t size)
{
	struct conf	*conf = conf_live_get(d->live);
	const char	*bind = conf_get_str(conf, "gateway.bind", "loopback");
	const char	*address = "127.0.0.1";

	if (d->opt.bind != NULL)
		address = d->opt.bind;
	else if (strcmp(bind, "custom") == 0)
		address = conf_get_str(conf, "gateway.customBindHost",
		    "127.0.0.1");
	else if (strcmp(bind, "lan") == 0)
		address = "0.0.0.0";
	(void)snprintf(ret, size, "%s", address);
}

/* Loopback is both families; ::1 is missing on some machines. */
static int
listen_on(struct daemon *d, uint16_t port, uint16_t *ret_port, struct buf *why)
{
	uint16_t	 other;
	int		 r;

	r = net_listen(d->net, d->bind, port, ret_port, why);
	if (r == 0 && strcmp(d->bind, "127.0.0.1") == 0)
		(void)net_listen(d->net, "::1", *ret_port, &other, NULL);
	return (r);
}

/* port becomes one that is not tls_port, where there is one. */
static int
listen_inherited(struct daemon *d, const struct notify_fds *fds,
    uint16_t tls_port, uint16_t *port, bool *has_tls_port)
{
	uint16_t	 got = 0;
	int		 i, r = 0;

	for (i = 0; r == 0 && i < fds->n; i++) {
		if ((fds->serve >> i & 1) != 0) {
			r = net_listen_serve_fd(d->net, NOTIFY_FD_FIRST + i,
			    &got);
			continue;
		}
		r = net_listen_fd(d->net, NOTIFY_FD_FIRST + i, &got);
		if (r == 0 && got == tls_port)
			*has_tls_port = true;
		if (r == 0 && (*port == 0 || got != tls_port))
			*port = got;
	}
	if (r == 0 && tls_port != 0 && !*has_tls_port)
		log_warn("tls", "no inherited socket has gateway.tls.port (%u): "
		    "nobody is served by TLS", (unsigned)tls_port);
	return (r);
}

static void
say_listening(const struct daemon *d, bool is_tls, uint16_t port)
{
	(void)fprintf(stderr, strchr(d->bind, ':') != NULL ?
	    "chelad: listening on %s://[%s]:%u\n" :
	    "chelad: listening on %s://%s:%u\n", is_tls ? "wss" : "ws",
	    d->bind, (unsigned)port);
}

/* The lines that say where, and by which certificate it can be known. */
static void
say_ready(const struct daemon *d, uint16_t port, uint16_t tls_port,
    bool has_tls_port)
{
	const char	*finger = daemon_tls_finger(d);
	bool		 is_tls = finger != NULL;

	say_listening(d, is_tls && (tls_port == 0 || tls_port == port), port);
	if (has_tls_port && tls_port != port)
		say_listening(d, true, tls_port);
	if (is_tls) {
		(void)fprintf(stderr, "chelad: fingerprint %s\n", finger);
		log_notice("tls", "certificate fingerprint=%s", finger);
	}
}

/*
 * A listener on loopback for Tailscale Serve alone: what comes through it counts
 * as coming from the tailnet, and never as coming from this machine.
 */
static int
listen_serve(struct daemon *d, struct buf *why)
{
	struct conf	*conf = conf_live_get(d->live);
	uint16_t	 port;
	int		 r;

	if (!d->access->has_tailscale)
		return (0);
	r = net_listen_serve(d->net, (uint16_t)conf_get_int(conf,
	    "gateway.tailscale.port", 0), &port, why);
	if (r == 0)
		log_notice("net", "Tailscale Serve is expected on "
		    "http://127.0.0.1:%u", (unsigned)port);
	return (r);
}

static int
start_listening(struct daemon *d)
{
	struct buf	 why = BUF_INIT;
	uint16_t	 tls_port = d->tls == NULL ? 0 :
	    (uint16_t)conf_get_int(conf_live_get(d->live),
	    "gateway.tls.port", 0);
	uint16_t	 port = 0;
	bool		 has_tls_port = false;
	struct notify_fds fds;
	int		 r;

	notify_listen_fds(&fds);
	d->is_activated = fds.n > 0 && !fds.is_own;
	d->tls_port = tls_port;
	if (fds.n > 0) {
		r = listen_inherited(d, &fds, tls_port, &port, &has_tls_port);
	} else {
		r = listen_on(d, d->opt.port >= 0 ? (uint16_t)d->opt.port :
		    (uint16_t)conf_get_int(conf_live_get(d->live),
		    "gateway.port", 18789), &port, &why);
		has_tls_port = tls_port > 0;
		if (r == 0 && has_tls_port && tls_port != port)
			r = listen_on(d, tls_port, &tls_port, &why);
	}
	if (r == 0 && fds.serve == 0)
		r = listen_serve(d, &why);
	(void)buf_putc(&why, '\0');
	if (r < 0)
		log_err("net", "%s", why.data != NULL && why.len > 1 ? why.data :
		    strerror(-r));
	buf_fini(&why);
	if (r < 0)
		return (r);
	d->port = port;
	say_ready(d, port, tls_port, has_tls_port);
	return (0);
}

static int
open_state_dir(struct daemon *d)
{
	struct stat	 st;
	char		*logs;
	int		 r;

	r = file_mkdirs(d->state_dir, 0700);
	if (r < 0) {
		log_err("daemon", "state directory '%s': %s", d->state_dir,
		    strerror(-r));
		return (r);
	}
	if (stat(d->state_dir, &st) == 0 && (st.st_mode & 077) != 0)
		log_warn("daemon", "state directory '%s': others can look into "
		    "it (mode %04o; 0700 is meant)", d->state_dir,
		    (unsigned)(st.st_mode & 07777));
	logs = file_join(d->state_dir, "logs");
	if (logs == NULL)
		return (-ENOMEM);
	r = file_mkdirs(logs, 0700);
	if (r == 0)
		r = log_file_open(logs, DAEMON_LOG_MAX);
	if (r < 0)
		log_warn("daemon", "no log file in '%s' (%s)", logs,
		    strerror(-r));
	free(logs);
	return (0);
}

static void
daemon_close(struct daemon *d)
{
	if (d->host != NULL)
		host_stop(d->host);
	if (d->live != NULL)
		conf_live_forget(d->live, d);
	access_stop(d->access);
	/* What plugins wrote last is committed before they are forgotten. */
	d->store = store_close(d->store);
	if (d->host != NULL)
		host_fini(d->host);
	daemon_close_tls(d);
	d->net = net_free(d->net);
	d->access = access_free(d->access);
	d->live = conf_live_close(d->live);
	d->signal_watch = loop_watch_free(d->signal_watch);
	d->drain_timer = loop_timer_free(d->drain_timer);
	d->end_timer = loop_timer_free(d->end_timer);
	d->restart_timer = loop_timer_free(d->restart_timer);
	d->loop = loop_free(d->loop);
	daemon_free_tls(d);
	d->host = host_free(d->host);
	d->state = state_free(d->state);
	d->proto = proto_free(d->proto);
	d->connect_native = schema_free(d->connect_native);
	d->connect_openclaw = schema_free(d->connect_openclaw);
	(void)conf_unref(d->origins_conf);
	free(d->config_path);
	free(d->state_dir);
	log_file_close();
}

static void
on_slow_turn(uint64_t took_us)
{
	log_warn("loop", "a turn took %llu us", (unsigned long long)took_us);
}

static int
daemon_run(struct daemon *d)
{
	int	 r;

	if (open_state_dir(d) < 0)
		return (EXIT_FAILURE);
	if (setup_signals(d) < 0)
		return (EXIT_FAILURE);
	uuid_make(d->boot_id);
	d->loop = loop_new();
	if (d->loop == NULL)
		return (EXIT_FAILURE);
	d->signal_watch = loop_watch_new(d->loop, d->signal_fd, LOOP_READ,
	    on_signal, d);
	if (open_config(d) < 0)
		return (EXIT_CONFIG);
	daemon_choose_bind(d, d->bind, sizeof d->bind);
	r = open_store(d);
	if (r < 0)
		return (r == -EBUSY ? EXIT_RUNNING : EXIT_FAILURE);
	if (open_access(d) < 0 || compile_connect(d) < 0 || open_proto(d) < 0 ||
	    open_core(d) < 0 || open_host(d) < 0)
		return (EXIT_FAILURE);
	if (daemon_load_auth(d, conf_live_get(d->live)) < 0 ||
	    daemon_load_tls(d, conf_live_get(d->live)) < 0)
		return (EXIT_CONFIG);
	daemon_load_origins(d, conf_live_get(d->live));
	daemon_load_http(d, conf_live_get(d->live));
	if (host_guard(d->host) < 0 || start_plugins(d) < 0)
		return (EXIT_FAILURE);
	if (conf_live_on_check(d->live, conf_next_ok, d) < 0 ||
	    conf_live_on_change(d->live, conf_changed, d) < 0)
		return (EXIT_FAILURE);
	state_start(d->state);
	if (start_listening(d) < 0)
		return (EXIT_FAILURE);
	host_watch(d->host);
	if (daemon_watch_tls(d) < 0)
		return (EXIT_FAILURE);
	d->is_ready = true;
	conf_live_on_restart(d->live, restart_ask_conf, d);
	notify_send("READY=1");
	loop_measure(d->loop, MS_US(d->opt.slow_turn_ms), on_slow_turn);
	loop_run(d->loop);
	if (d->opt.slow_turn_ms > 0)
		log_notice("loop", "the longest turn took %llu us",
		    (unsigned long long)loop_longest_us(d->loop));
	log_notice("daemon", "stopped");
	return (EXIT_SUCCESS);
}

static int
check_plugins(struct daemon *d)
{
	int	 n;

	if (open_host(d) < 0 || host_scan(d->host) < 0)
		return (EXIT_FAILURE);
	host_check_deps(d->host);
	n = host_print(d->host, stdout);
	if (d->opt.list_methods)
		host_print_methods(d->host, stdout);
	d->host = host_free(d->host);
	return (n == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

int
main(int argc, char **argv)
{
	static struct daemon	 d;
	int			 r;

	setup_process();
	r = options_parse(&d.opt, argc, argv);
	if (r != 0)
		return (r < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
	if (d.opt.log_level >= 0)
		log_set_level((enum log_level)d.opt.log_level);
	if (d.opt.schema_dir == NULL)
		d.opt.schema_dir = CHELA_SCHEMA_DIR;
	if (d.opt.n_plugin_dirs == 0)
		d.opt.plugin_dirs[d.opt.n_plugin_dirs++] = CHELA_PLUGIN_DIR;
	if (d.opt.check_plugins)
		return (check_plugins(&d));
	d.config_path = conf_path_find(d.opt.config);
	d.state_dir = conf_state_dir_find(d.opt.state_dir);
	if (d.config_path == NULL || d.state_dir == NULL)
		return (EXIT_FAILURE);
	if (d.opt.check)
		return (conf_check_file(d.config_path, d.opt.schema_dir,
		    stdout) < 0 ? EXIT_CONFIG : EXIT_SUCCESS);
	restart_init(&d, argv);
	r = daemon_run(&d);
	daemon_close(&d);
	if (r == EXIT_SUCCESS && d.is_restarting)
		r = restart_exec(&d);
	free(d.exe);
	return (r);
}
