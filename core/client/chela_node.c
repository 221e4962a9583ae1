/* SPDX-License-Identifier: MIT */
/*
 * chela-node: lends this machine's commands to a gateway. It has a key of its
 * own, is paired once, comes back by itself, and does nothing until an operator
 * has approved what it offers.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "config.h"
#include "core/base/file.h"
#include "core/client/chela_node.h"
#include "core/json/json.h"

#define URL_DEFAULT	"ws://127.0.0.1:18789"
#define SECRET_MAX	4096u		/* bytes of a token's file */
#define TOKEN_FILE	"device-token"
#define STATS_US	SEC_US(60)
#define UNPAIRED_US	SEC_US(3)	/* between two tries to be paired */
#define DEPTH_MAX	64		/* of the parameters of a command */

enum {
	OPT_URL = 256,
	OPT_TOKEN_FILE,
	OPT_FINGERPRINT,
	OPT_TLS_SYSTEM,
	OPT_STATE_DIR,
	OPT_NAME,
	OPT_EXEC,
	OPT_ALLOW_ENV,
};

static const struct option options[] = {
	{ "url", required_argument, NULL, OPT_URL },
	{ "token-file", required_argument, NULL, OPT_TOKEN_FILE },
	{ "tls-fingerprint", required_argument, NULL, OPT_FINGERPRINT },
	{ "tls-system", no_argument, NULL, OPT_TLS_SYSTEM },
	{ "state-dir", required_argument, NULL, OPT_STATE_DIR },
	{ "name", required_argument, NULL, OPT_NAME },
	{ "exec", required_argument, NULL, OPT_EXEC },
	{ "allow-env", required_argument, NULL, OPT_ALLOW_ENV },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

static const char usage[] =
    "usage: chela-node [option...]\n"
    "  --url URL             the gateway; $CHELA_URL, else " URL_DEFAULT "\n"
    "  --token-file FILE     the gateway's token, for the first time; else\n"
    "                        $CHELA_TOKEN\n"
    "  --tls-fingerprint FP  wss: the certificate that is believed, alone\n"
    "  --tls-system          wss: what the system's authorities vouch for\n"
    "  --state-dir DIR       the key and what the gateway gave; else\n"
    "                        $XDG_STATE_HOME/chela-node\n"
    "  --name NAME           how operators see it; else the host's name\n"
    "  --exec full|allowlist|deny  what of system.run is run; full\n"
    "  --allow-env NAMES     variables that system.run may set besides; with\n"
    "                        commas between\n"
    "  --help, --version\n";

/* The whole program. */
struct app {
	struct node		 node;
	struct chela_client_options opt;
	char			*state_dir;
	char			*token;
	char			*saved_token;
	struct loop_timer	*stats_timer;
	struct loop_timer	*again_timer;
	bool			 is_approved;	/* said by the gateway */
	bool			 has_told;	/* that it waits for approval */
	int			 status;	/* of exit */
};

void
node_log(const char *fmt, ...)
{
	va_list		 ap;
	struct buf	 line = BUF_INIT;
	size_t		 i;

	va_start(ap, fmt);
	(void)buf_vprintf(&line, fmt, ap);
	va_end(ap);
	/* What a gateway says must not move the cursor. */
	for (i = 0; i < line.len; i++) {
		if ((unsigned char)line.data[i] < ' ' || line.data[i] == 127)
			line.data[i] = '?';
	}
	(void)fprintf(stderr, "chela-node: %.*s\n", (int)line.len,
	    line.data != NULL ? line.data : "");
	buf_fini(&line);
}

/* --- to the gateway --- */

static void
on_reply(struct chela_client *c, const struct chela_client_reply *r, void *arg)
{
	(void)c;
	(void)arg;
	if (r->status != 0 && r->status != -ECONNRESET)
		node_log("the gateway did not take an answer: %s",
		    r->error->sentence);
}

static void
node_send(struct node *n, const char *method, struct json_object *params)
{
	int	 r;

	r = chela_client_call(n->client, method, params, 0, 0, on_reply, NULL,
	    NULL);
	if (r < 0 && r != -ENOTCONN)
		node_log("%s could not be sent (%s)", method, strerror(-r));
}

static struct json_object *
result_new(struct node *n, const char *id, bool is_ok)
{
	struct json_object	*o = json_object_new_object();

	(void)json_add_str(o, "id", id);
	(void)json_add_str(o, "nodeId", chela_client_device_id(n->client));
	(void)json_add_bool(o, "ok", is_ok);
	return (o);
}

void
node_answer(struct node *n, const char *id, struct json_object *payload)
{
	struct json_object	*o = result_new(n, id, true);

	(void)json_add_str(o, "payloadJSON", json_object_to_json_string_ext(
	    payload, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(payload);
	node_send(n, "node.invoke.result", o);
}

void
node_refuse(struct node *n, const char *id, const char *code, const char *fmt,
    ...)
{
	struct json_object	*o = result_new(n, id, false), *e;
	struct buf		 text = BUF_INIT;
	va_list			 ap;

	va_start(ap, fmt);
	(void)buf_vprintf(&text, fmt, ap);
	va_end(ap);
	(void)buf_putc(&text, '\0');
	e = json_object_new_object();
	(void)json_add_str(e, "code", code);
	(void)json_add_str(e, "message", text.is_failed ? code : text.data);
	(void)json_add(o, "error", e);
	buf_fini(&text);
	node_send(n, "node.invoke.result", o);
}

void
node_tell(struct node *n, const char *event, struct json_object *payload)
{
	struct json_object	*o = json_object_new_object();

	(void)json_add_str(o, "event", event);
	(void)json_add(o, "payload", payload);
	node_send(n, "node.event", o);
}

/* --- being approved --- */

static void
on_stats_timer(void *arg)
{
	struct app	*a = arg;

	if (!a->is_approved ||
	    chela_client_get_state(a->node.client) != CHELA_CLIENT_READY)
		return;
	node_tell(&a->node, "node.host.stats", node_stats());
	(void)loop_timer_set(a->stats_timer, STATS_US);
}

static void
app_approved(struct app *a)
{
	if (!a->is_approved)
		node_log("approved; the gateway may ask now");
	a->is_approved = true;
	a->has_told = false;
	on_stats_timer(a);
}

static void
on_surface(struct chela_client *c, const struct chela_client_reply *r,
    void *arg)
{
	struct app	*a = arg;

	(void)c;
	if (r->status == 0) {
		app_approved(a);
		return;
	}
	if (!a->has_told && r->status == -EREMOTEIO)
		node_log("waits for approval: chela nodes pending, then chela "
		    "nodes approve");
	a->has_told = true;
}

static void
app_ask_surface(struct app *a)
{
	(void)chela_client_call(a->node.client, "node.pluginSurface.refresh",
	    NULL, 0, 0, on_surface, a, NULL);
}

/* --- the connection --- */

static char *
token_path(const struct app *a)
{
	return (file_join(a->state_dir, TOKEN_FILE));
}

static void
app_save_token(struct app *a)
{
	const char	*token = chela_client_device_token(a->node.client);
	char		*path;
	int		 r;

	if (*token == '\0' || (a->saved_token != NULL &&
	    strcmp(token, a->saved_token) == 0))
		return;
	path = token_path(a);
	r = path == NULL ? -ENOMEM : file_write_atomic(path, token,
	    strlen(token), 0600);
	if (r < 0)
		node_log("the gateway's token could not be kept (%s)",
		    strerror(-r));
	free(path);
	free(a->saved_token);
	a->saved_token = strdup(token);
}

static void
on_again(void *arg)
{
	struct app	*a = arg;

	(void)chela_client_open(a->node.client);
}

/* It is not over as long as an operator may still say yes. */
static void
app_ended(struct app *a, const struct chela_client_error *e)
{
	const char	*code = json_get_str(e->details, "code");
	const char	*id = json_get_str(e->details, "requestId");

	if (strcmp(e->code, "NOT_PAIRED") == 0 || (code != NULL &&
	    strcmp(code, "PAIRING_REQUIRED") == 0)) {
		if (!a->has_told)
			node_log("waits to be paired: chela devices approve "
			    "%s", id != NULL ? id : "");
		a->has_told = true;
		(void)loop_timer_set(a->again_timer, UNPAIRED_US);
		return;
	}
	node_log("%s", e->sentence);
	a->status = 2;
	(void)event_base_loopbreak(chela_client_base(a->node.client));
}

static void
on_state(struct chela_client *c, enum chela_client_state state,
    const struct chela_client_error *e, void *arg)
{
	struct app	*a = arg;

	switch (state) {
	case CHELA_CLIENT_READY:
		node_log("connected as %s", chela_client_device_id(c));
		app_save_token(a);
		a->is_approved = false;
		app_ask_surface(a);
		break;
	case CHELA_CLIENT_WAITING:
		node_log("%s; comes back", e->sentence);
		/* Nobody can be given the results any more. */
		node_runs_end(&a->node);
		break;
	case CHELA_CLIENT_ENDED:
		node_runs_end(&a->node);
		app_ended(a, e);
		break;
	default:
		break;
	}
}

static void
app_invoked(struct app *a, struct json_object *data)
{
	struct json_object	*params = NULL;
	struct json_tokener	*tok;
	const char		*text = json_get_str(data, "paramsJSON");
	const char		*node = json_get_str(data, "nodeId");
	struct invoke		 in = {
		.node = &a->node,
		.id = json_get_str(data, "id"),
		.command = json_get_str(data, "command"),
		.timeout_ms = json_get_int(data, "timeoutMs", 0),
	};

	if (in.id == NULL || in.command == NULL || node == NULL ||
	    strcmp(node, chela_client_device_id(a->node.client)) != 0)
		return;
	if (text != NULL) {
		tok = json_tokener_new_ex(DEPTH_MAX);
		params = tok == NULL ? NULL : json_tokener_parse_ex(tok, text,
		    (int)strlen(text) + 1);
		if (tok != NULL)
			json_tokener_free(tok);
	}
	if (params != NULL && !json_object_is_type(params, json_type_object)) {
		json_object_put(params);
		node_refuse(&a->node, in.id, "INVALID_REQUEST",
		    "the parameters have to be an object");
		return;
	}
	in.params = params != NULL ? params : json_object_new_object();
	node_log("%s", in.command);
	node_invoked(&in);
	json_object_put(in.params);
}

static void
on_event(struct chela_client *c, const struct chela_client_event *e, void *arg)
{
	struct app	*a = arg;
	const char	*id;

	(void)c;
	if (strcmp(e->name, "node.invoke.request") == 0) {
		app_invoked(a, e->data);
	} else if (strcmp(e->name, "node.invoke.cancel") == 0) {
		id = json_get_str(e->data, "invokeId");
		if (id != NULL)
			node_run_cancel(&a->node, id);
	} else if (strcmp(e->name, "node.pair.resolved") == 0) {
		app_ask_surface(a);
	}
}

/* --- the program --- */

static char *
state_dir_default(void)
{
	const char	*xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	char		*path;
	int		 n;

	if (xdg != NULL && *xdg == '/')
		n = asprintf(&path, "%s/chela-node", xdg);
	else if (home != NULL && *home == '/')
		n = asprintf(&path, "%s/.local/state/chela-node", home);
	else
		return (NULL);
	return (n < 0 ? NULL : path);
}

/* The first line of a file; gives. */
static char *
read_line(const char *path, int *ret_r)
{
	char	*text;
	size_t	 len;

	*ret_r = file_read(path, SECRET_MAX, &text, &len);
	if (*ret_r < 0)
		return (NULL);
	text[strcspn(text, "\r\n")] = '\0';
	return (text);
}

static int
app_option(struct app *a, int c)
{
	int	 r = 0;

	switch (c) {
	case OPT_URL:
		a->opt.url = optarg;
		break;
	case OPT_TOKEN_FILE:
		free(a->token);
		a->token = read_line(optarg, &r);
		if (r < 0)
			node_log("%s: %s", optarg, strerror(-r));
		break;
	case OPT_FINGERPRINT:
		a->opt.tls_fingerprint = optarg;
		break;
	case OPT_TLS_SYSTEM:
		a->opt.flags |= CHELA_CLIENT_TLS_SYSTEM;
		break;
	case OPT_STATE_DIR:
		free(a->state_dir);
		a->state_dir = strdup(optarg);
		break;
	case OPT_NAME:
		a->opt.display_name = optarg;
		break;
	case OPT_EXEC:
		a->node.exec = strcmp(optarg, "full") == 0 ? NODE_EXEC_FULL :
		    strcmp(optarg, "allowlist") == 0 ? NODE_EXEC_ALLOWLIST :
		    NODE_EXEC_DENY;
		if (a->node.exec == NODE_EXEC_DENY &&
		    strcmp(optarg, "deny") != 0) {
			node_log("--exec is full, allowlist or deny");
			return (-EINVAL);
		}
		break;
	case OPT_ALLOW_ENV:
		a->node.allow_env = optarg;
		break;
	default:
		return (-EINVAL);
	}
	return (r);
}

/* Secrets of ours are for the gateway; they do not stay where children look. */
static void
app_environment(struct app *a)
{
	const char	*url = getenv("CHELA_URL"), *token;

	a->opt.url = url != NULL && *url != '\0' ? url : URL_DEFAULT;
	token = getenv("CHELA_TOKEN");
	if (token != NULL && *token != '\0')
		a->token = strdup(token);
	(void)unsetenv("CHELA_TOKEN");
	(void)unsetenv("CHELA_PASSWORD");
}

static int
app_state(struct app *a)
{
	char	*path;
	int	 r;

	if (a->state_dir == NULL)
		a->state_dir = state_dir_default();
	if (a->state_dir == NULL) {
		node_log("there is no place for its key; give --state-dir");
		return (-EINVAL);
	}
	r = file_mkdirs(a->state_dir, 0700);
	if (r < 0) {
		node_log("%s: %s", a->state_dir, strerror(-r));
		return (r);
	}
	path = token_path(a);
	if (path != NULL)
		a->saved_token = read_line(path, &r);
	free(path);
	return (0);
}

static int
app_client(struct app *a, char *host, size_t size)
{
	static const char *const caps[] = { "system", NULL };
	int	 r;

	if (a->opt.display_name == NULL && gethostname(host, size) == 0) {
		host[size - 1] = '\0';
		a->opt.display_name = host;
	}
	a->opt.size = sizeof a->opt;
	a->opt.token = a->token;
	a->opt.mode = "node";
	a->opt.capabilities = caps;
	a->opt.commands = node_commands;
	a->opt.path_env = getenv("PATH");
	a->opt.device_family = "Linux";
	a->opt.identity_dir = a->state_dir;
	a->opt.device_token = a->saved_token;
	a->opt.on_state = on_state;
	a->opt.on_event = on_event;
	a->opt.arg = a;
	r = chela_client_new(&a->opt, &a->node.client);
	if (r == -EPERM)
		node_log("%s/identity.pem may be read by others; make it 0600",
		    a->state_dir);
	else if (r < 0)
		node_log("cannot start: the URL, the fingerprint or the key "
		    "in %s is none (%s)", a->state_dir, strerror(-r));
	return (r);
}

static void
on_signal(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)event_base_loopbreak(arg);
}

static void
app_run(struct app *a)
{
	struct event_base	*base = chela_client_base(a->node.client);
	struct event		*sigs[2];

	a->node.loop = loop_wrap(base);
	a->node.state_dir = a->state_dir;
	a->stats_timer = loop_timer_new(a->node.loop, on_stats_timer, a);
	a->again_timer = loop_timer_new(a->node.loop, on_again, a);
	sigs[0] = evsignal_new(base, SIGTERM, on_signal, base);
	sigs[1] = evsignal_new(base, SIGINT, on_signal, base);
	if (a->stats_timer == NULL || a->again_timer == NULL ||
	    sigs[0] == NULL || sigs[1] == NULL ||
	    event_add(sigs[0], NULL) < 0 || event_add(sigs[1], NULL) < 0 ||
	    chela_client_open(a->node.client) < 0) {
		node_log("out of memory");
		a->status = 2;
	} else {
		(void)event_base_dispatch(base);
	}
	node_runs_end(&a->node);
	if (sigs[0] != NULL)
		event_free(sigs[0]);
	if (sigs[1] != NULL)
		event_free(sigs[1]);
	(void)loop_timer_free(a->stats_timer);
	(void)loop_timer_free(a->again_timer);
	chela_client_close(a->node.client);
	(void)loop_free(a->node.loop);
}

int
main(int argc, char **argv)
{
	struct app	 a = { .status = 0 };
	char		 host[256];
	int		 c, r = 0;

	list_init(&a.node.runs);
	(void)signal(SIGPIPE, SIG_IGN);
	app_environment(&a);
	while (r == 0 && (c = getopt_long(argc, argv, "h", options, NULL)) !=
	    -1) {
		if (c == 'h' || c == 'V') {
			(void)fputs(c == 'h' ? usage : "chela-node "
			    PACKAGE_VERSION "\n", stdout);
			goto out;
		}
		r = app_option(&a, c);
	}
	if (r == 0 && optind < argc) {
		node_log("'%s' is too much; see --help", argv[optind]);
		r = -EINVAL;
	}
	if (r < 0) {
		a.status = 64;
		goto out;
	}
	if (app_state(&a) < 0 || app_client(&a, host, sizeof host) < 0) {
		a.status = 2;
		goto out;
	}
	app_run(&a);
out:
	(void)chela_client_free(a.node.client);
	free(a.state_dir);
	free(a.token);
	free(a.saved_token);
	return (a.status);
}
