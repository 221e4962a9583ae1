/* SPDX-License-Identifier: MIT */
/* The chela command: options, the connection, the table of commands. */
#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "config.h"
#include "core/base/file.h"
#include "core/client/chela.h"
#include "core/client/url.h"
#include "core/json/json.h"

#define URL_DEFAULT	"ws://127.0.0.1:18789"
#define TIMEOUT_MS	30000u
#define TOKEN_MAX	4096u	/* bytes of a token file */
#define SCOPES_MAX	8u

static const struct command commands[] = {
	{
		.name = "approvals",
		.usage = "[pending | show ID | allow-once ID | allow-always ID | "
		    "deny ID | history | watch]",
		.summary = "see what waits for an answer, and answer",
		.help = "The start of an id will do. While watch runs the gateway "
		    "has somebody to ask.\n-n, --limit lists so many.\n",
		.options = "n",
		.scopes = "approvals",
		.run = cmd_approvals,
	},
	{
		.name = "call",
		.usage = "[--final] METHOD [JSON]",
		.summary = "call a method and print its result",
		.help = "JSON is the object of parameters, '-' reads it from "
		    "standard input.\n--final waits for the second answer of "
		    "methods that say 'accepted' first.\n",
		.options = "F",
		.scopes = "read write admin approvals pairing",
		.run = cmd_call,
	},
	{
		.name = "chat",
		.usage = "[-s KEY] [-a AGENT] [TEXT]",
		.summary = "talk to the assistant",
		.help = "Without TEXT it reads one message a line until the end "
		    "of input or /quit.\nCtrl-C stops the answer that is being "
		    "written.\n-s, --session names the session, -a, --agent the "
		    "agent.\n",
		.options = "sa",
		.scopes = "read write",
		.run = cmd_chat,
	},
	{
		.name = "health",
		.usage = "",
		.summary = "ask the gateway how it is",
		.options = "",
		.scopes = "read",
		.run = cmd_health,
	},
	{
		.name = "status",
		.usage = "",
		.summary = "what the gateway is and does",
		.options = "",
		.scopes = "read",
		.run = cmd_status,
	},
	{
		.name = "methods",
		.usage = "[NAME]",
		.summary = "list what can be called, or describe one method",
		.options = "",
		.scopes = "read",
		.run = cmd_methods,
	},
	{
		.name = "events",
		.usage = "[NAME...]",
		.summary = "print events as they come",
		.options = "",
		.scopes = "read write admin approvals pairing",
		.run = cmd_events,
	},
	{
		.name = "logs",
		.usage = "[-f] [-n LINES]",
		.summary = "print the gateway's log",
		.help = "-f, --follow goes on until Ctrl-C.\n",
		.options = "fn",
		.scopes = "read",
		.run = cmd_logs,
	},
	{
		.name = "nodes",
		.usage = "[list | pending | approve REQUEST | reject REQUEST | "
		    "describe NODE | invoke NODE COMMAND [JSON] | remove NODE | "
		    "rename NODE NAME]",
		.summary = "see machines that lend their commands, and use them",
		.help = "NODE is its id, the start of it, or its name.\n",
		.options = "",
		.scopes = "read write admin pairing",
		.run = cmd_nodes,
	},
	{
		.name = "sessions",
		.usage = "[list | show KEY | history KEY | reset KEY | delete KEY]",
		.summary = "look at conversations, start them anew, delete them",
		.help = "-n, --limit lists so many, -a, --agent only an agent's.\n",
		.options = "na",
		.scopes = "read write admin",
		.run = cmd_sessions,
	},
	{
		.name = "config",
		.usage = "[get [PATH] | set PATH JSON | patch JSON | schema PATH | "
		    "check]",
		.summary = "read and change the gateway's configuration",
		.help = "PATH is dotted: gateway.auth.mode. A value of null "
		    "removes.\n",
		.options = "",
		.scopes = "read write admin",
		.run = cmd_config,
	},
	{
		.name = "plugins",
		.usage = "[list | show ID | enable ID | disable ID | refresh]",
		.summary = "see plugins and turn them on and off",
		.help = "-y, --yes accepts what a plugin declares that it does.\n",
		.options = "y",
		.scopes = "read write admin",
		.run = cmd_plugins,
	},
	{
		.name = "secrets",
		.usage = "[list | set NAME [HOST...] | delete NAME | reload]",
		.summary = "keep secrets for the gateway; none is shown again",
		.help = "set reads the value from standard input, from a "
		    "terminal without echo.\nHOST is where alone it may be "
		    "sent.\n",
		.options = "",
		.scopes = "admin",
		.run = cmd_secrets,
	},
	{
		.name = "audit",
		.usage = "[list [-n COUNT] | verify]",
		.summary = "see what was done, and that nobody changed the record",
		.help = "verify exits with 1 and names the first bad row when "
		    "there is one.\n",
		.options = "n",
		.scopes = "read admin",
		.run = cmd_audit,
	},
	{
		.name = "devices",
		.usage = "[list | approve ID | reject ID | remove ID | "
		    "rename ID NAME | rotate ID [ROLE] | revoke ID [ROLE]]",
		.summary = "see who is paired, let devices in, turn them out",
		.help = "The beginning of an id is enough. ROLE is operator or "
		    "node.\n",
		.options = "",
		.scopes = "read admin pairing",
		.run = cmd_devices,
	},
	{
		.name = "pair",
		.usage = "[REQUEST]",
		.summary = "list what waits for approval, or approve it",
		.options = "",
		.scopes = "read admin pairing",
		.run = cmd_pair,
	},
	{
		.name = "setup-code",
		.usage = "[node] [URL]",
		.summary = "make a code that pairs a device, as text and QR code",
		.help = "URL is where the device reaches the gateway, if that "
		    "is not clear.\n",
		.options = "",
		.scopes = "read admin pairing",
		.run = cmd_setup_code,
	},
};

enum {
	OPT_URL = 256,
	OPT_TOKEN,
	OPT_TOKEN_FILE,
	OPT_PASSWORD,
	OPT_TLS_FINGERPRINT,
	OPT_TLS_SYSTEM,
	OPT_JSON,
	OPT_TIMEOUT,
	OPT_VERSION,
};

static const struct option options[] = {
	{ "url", required_argument, NULL, OPT_URL },
	{ "token", required_argument, NULL, OPT_TOKEN },
	{ "token-file", required_argument, NULL, OPT_TOKEN_FILE },
	{ "password", required_argument, NULL, OPT_PASSWORD },
	{ "tls-fingerprint", required_argument, NULL, OPT_TLS_FINGERPRINT },
	{ "tls-system", no_argument, NULL, OPT_TLS_SYSTEM },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ "quiet", no_argument, NULL, 'q' },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "help", no_argument, NULL, 'h' },
	{ "session", required_argument, NULL, 's' },
	{ "agent", required_argument, NULL, 'a' },
	{ "follow", no_argument, NULL, 'f' },
	{ "final", no_argument, NULL, 'F' },
	{ "limit", required_argument, NULL, 'n' },
	{ "yes", no_argument, NULL, 'y' },
	{ NULL, 0, NULL, 0 },
};

static void printf_like(1, 0)
app_vsay(const char *fmt, va_list ap)
{
	char	*text;
	int	 n;

	n = vasprintf(&text, fmt, ap);
	if (n < 0)
		return;
	(void)fflush(stdout);
	(void)fputs("chela: ", stderr);
	out_str(stderr, text);
	(void)fputc('\n', stderr);
	free(text);
}

void
app_say(const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	app_vsay(fmt, ap);
	va_end(ap);
}

int
app_usage(struct app *a, const char *fmt, ...)
{
	va_list	 ap;
	char	*text;
	int	 n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n >= 0) {
		app_say("%s; see 'chela %s%s--help'", text, a->command != NULL ?
		    a->command->name : "", a->command != NULL ? " " : "");
		free(text);
	}
	return (EXIT_USAGE);
}

static void
print_help(const struct app *a)
{
	const struct command	*c = a->command;
	size_t			 i;

	if (c != NULL) {
		(void)printf("usage: chela %s%s%s\n\n%s\n", c->name,
		    *c->usage != '\0' ? " " : "", c->usage, c->summary);
		if (c->help != NULL)
			(void)printf("\n%s", c->help);
	} else {
		(void)printf("usage: chela [OPTION...] COMMAND [ARGUMENT...]\n"
		    "\ncommands:\n");
		for (i = 0; i < ARRAY_LEN(commands); i++)
			(void)printf("  %-10s %s\n", commands[i].name,
			    commands[i].summary);
	}
	(void)printf("\noptions:\n"
	    "  --url URL          the gateway; $CHELA_URL, else %s\n"
	    "  --token TOKEN      seen by others in the list of processes\n"
	    "  --token-file FILE  else $CHELA_TOKEN, else the state directory's\n"
	    "  --password WORD    else $CHELA_PASSWORD\n"
	    "  --tls-fingerprint F  wss: the one certificate to trust;\n"
	    "                     else $CHELA_TLS_FINGERPRINT\n"
	    "  --tls-system       wss: what the system's authorities vouch for\n"
	    "  --json             one JSON document instead of text\n"
	    "  --timeout SECONDS  for an answer; 30\n"
	    "  -q, --quiet        only what was asked for\n"
	    "  -h, --help         this\n"
	    "  --version\n", URL_DEFAULT);
}

/* --- what went wrong --- */

/* What to do about a refusal, or NULL. */
static const char *
hint_for(const struct chela_client_error *e)
{
	static const struct {
		const char	*code;
		const char	*hint;
	} hints[] = {
		{ "AUTH_TOKEN_MISSING", "give its token with --token-file" },
		{ "AUTH_TOKEN_MISMATCH",
		    "give the right token with --token-file" },
		{ "AUTH_PASSWORD_MISSING",
		    "give its password in $CHELA_PASSWORD" },
		{ "AUTH_PASSWORD_MISMATCH",
		    "give the right password in $CHELA_PASSWORD" },
		{ "AUTH_RATE_LIMITED", "wait, then try again" },
		{ "PAIRING_REQUIRED",
		    "have the request approved on the gateway" },
		{ "DEVICE_IDENTITY_REQUIRED",
		    "give the gateway's token with --token-file" },
		{ "PROTOCOL_MISMATCH",
		    "update the older one of this program and the gateway" },
		{ "MISSING_SCOPE",
		    "use a credential that is allowed to do this" },
	};
	const char	*code = json_get_str(e->details, "code");
	size_t		 i;

	for (i = 0; code != NULL && i < ARRAY_LEN(hints); i++) {
		if (strcmp(hints[i].code, code) == 0)
			return (hints[i].hint);
	}
	return (NULL);
}

/*
 * A method that does not exist and one that is not allowed look alike to those who
 * are not administrators. What hello lists tells them apart.
 */
static bool
is_missing(const struct app *a, const char *method)
{
	struct json_object	*list;
	size_t			 i;

	list = json_get_arr(json_get_obj(chela_client_hello(a->client),
	    "features"), "methods");
	if (list == NULL || method == NULL)
		return (false);
	for (i = 0; i < json_object_array_length(list); i++) {
		if (strcmp(json_object_get_string(json_object_array_get_idx(
		    list, i)), method) == 0)
			return (false);
	}
	return (true);
}

static void
print_json_error(const struct chela_client_error *e)
{
	struct json_object	*o = params_of("error", e->sentence, "code",
	    *e->code != '\0' ? e->code : NULL, NULL);

	if (e->details != NULL)
		(void)json_add(o, "details", json_object_get(e->details));
	out_json(o);
	json_object_put(o);
}

int
app_failed(struct app *a, const char *method, const struct chela_client_error *e)
{
	const char	*hint = hint_for(e);

	if (a->is_json)
		print_json_error(e);
	if (e->status == -EREMOTEIO && hint != NULL &&
	    strncmp(e->sentence, "missing scope", 13) == 0 &&
	    is_missing(a, method)) {
		app_say("%s: the gateway does not offer this; is the plugin "
		    "installed and enabled? See 'chela plugins'", method);
		return (EXIT_REFUSED);
	}
	if (e->status == -EREMOTEIO) {
		app_say("%s%s%s%s%s", method != NULL ? method : "",
		    method != NULL ? ": " : "", e->sentence,
		    hint != NULL ? "; " : "", hint != NULL ? hint : "");
		return (EXIT_REFUSED);
	}
	if (method != NULL)
		app_say("%s: %s", method, e->sentence);
	else if (e->http_status != 0 || e->close_code != 0 ||
	    e->status == -EKEYREJECTED || e->status == -EPROTO)
		app_say("%s", e->sentence);
	else
		app_say("%s; is chelad running? Another gateway is named with "
		    "--url", e->sentence);
	return (EXIT_UNREACHED);
}

/* --- connecting --- */

static char *
read_token(const char *path, int *ret_r)
{
	char	*text;
	size_t	 len;

	*ret_r = file_read(path, TOKEN_MAX, &text, &len);
	if (*ret_r < 0)
		return (NULL);
	text[strcspn(text, "\r\n")] = '\0';
	return (text);
}

static bool
is_loopback(const char *url_text)
{
	struct url	 u;
	bool		 is;

	if (url_parse(url_text, &u) < 0)
		return (false);
	is = strcasecmp(u.host, "localhost") == 0 ||
	    strncmp(u.host, "127.", 4) == 0 || strcmp(u.host, "::1") == 0;
	url_fini(&u);
	return (is);
}

/* The token that a gateway of this machine left in its state directory. */
static char *
find_token(void)
{
	const char	*state = getenv("CHELA_STATE_DIR");
	const char	*xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	char		*paths[3] = { NULL, NULL, NULL }, *token = NULL;
	int		 r, n = 0, i;

	if (state != NULL && *state != '\0') {
		n += asprintf(&paths[0], "%s/token", state) > 0;
	} else {
		if (xdg != NULL && *xdg == '/')
			n += asprintf(&paths[0], "%s/chela/token", xdg) > 0;
		else if (home != NULL)
			n += asprintf(&paths[0], "%s/.local/state/chela/token",
			    home) > 0;
		n += asprintf(&paths[n], "/var/lib/chela/token") > 0;
	}
	for (i = 0; i < n && token == NULL; i++)
		token = read_token(paths[i], &r);
	for (i = 0; i < n; i++)
		free(paths[i]);
	return (token);
}

static void
app_on_event(struct chela_client *c, const struct chela_client_event *e,
    void *arg)
{
	struct app	*a = arg;

	if (a->on_event != NULL)
		a->on_event(c, e, a->event_arg);
}

int
app_connect(struct app *a, uint32_t client_flags)
{
	const char	*scopes[SCOPES_MAX + 1] = { NULL };
	char		*list = strdup(a->command->scopes), *p, *rest = NULL;
	char		*token = NULL;
	unsigned	 n = 0;
	int		 r;
	struct chela_client_options o = {
		.size = sizeof o,
		.url = a->url,
		.password = a->password,
		.display_name = "chela",
		.scopes = scopes,
		.capabilities = a->capabilities,
		.flags = client_flags | (a->is_tls_system ?
		    CHELA_CLIENT_TLS_SYSTEM : 0),
		.tls_fingerprint = a->tls_fingerprint,
		.connect_timeout_ms = a->timeout_ms,
		.call_timeout_ms = a->timeout_ms,
		.on_event = app_on_event,
		.arg = a,
	};

	for (p = list; n < SCOPES_MAX &&
	    (p = strtok_r(p, " ", &rest)) != NULL; p = NULL)
		scopes[n++] = p;
	if (a->token_file != NULL) {
		token = read_token(a->token_file, &r);
		if (token == NULL) {
			app_say("cannot read the token file %s: %s",
			    a->token_file, strerror(-r));
			free(list);
			return (EXIT_USAGE);
		}
	}
	o.token = a->token != NULL ? a->token : token;
	if (o.token == NULL && o.password == NULL)
		o.token = getenv("CHELA_TOKEN");
	/* This machine's secret is for this machine's gateway only. */
	if (o.token == NULL && o.password == NULL && is_loopback(a->url))
		o.token = token = find_token();

	r = chela_client_new(&o, &a->client);
	free(list);
	if (token != NULL) {
		explicit_bzero(token, strlen(token));
		free(token);
	}
	if (r == -EINVAL && a->tls_fingerprint != NULL) {
		app_say("--tls-fingerprint takes 64 hexadecimal digits, perhaps "
		    "after \"sha256:\", for an address with wss://");
		return (EXIT_USAGE);
	}
	if (r == -EINVAL) {
		app_say("%s is no address of a gateway; it looks like %s",
		    a->url, URL_DEFAULT);
		return (EXIT_USAGE);
	}
	if (r == 0)
		r = chela_client_ready_wait(a->client, UINT32_MAX);
	if (r < 0 && a->client != NULL)
		return (app_failed(a, NULL,
		    chela_client_last_error(a->client)));
	if (r == 0 && chela_client_peer_is_new(a->client))
		app_say("first time at %s: trusted from now on is its "
		    "certificate %s", a->url,
		    chela_client_peer_fingerprint(a->client));
	return (r < 0 ? EXIT_UNREACHED : 0);
}

int
app_call(struct app *a, const char *method, struct json_object *params,
    struct json_object **ret)
{
	if (chela_client_call_wait(a->client, method, params, 0, 0, ret) == 0)
		return (0);
	return (app_failed(a, method, chela_client_last_error(a->client)));
}

int
app_get(struct app *a, const char *method, struct json_object *params,
    struct json_object **ret)
{
	int	 r;

	r = app_call(a, method, params, ret);
	if (r != 0 || !a->is_json)
		return (r);
	out_json(*ret);
	json_object_put(*ret);
	*ret = NULL;
	return (0);
}

int
app_do(struct app *a, const char *method, struct json_object *params,
    const char *fmt, ...)
{
	struct json_object	*res;
	va_list			 ap;
	int			 r;

	r = app_get(a, method, params, &res);
	if (r != 0)
		return (r);
	json_object_put(res);
	if (a->is_json || a->is_quiet)
		return (EXIT_OK);
	va_start(ap, fmt);
	app_vsay(fmt, ap);
	va_end(ap);
	return (EXIT_OK);
}

/* --- the command line --- */

static const struct command *
find_command(const char *name)
{
	size_t	 i;

	for (i = 0; i < ARRAY_LEN(commands); i++) {
		if (strcmp(commands[i].name, name) == 0)
			return (&commands[i]);
	}
	return (NULL);
}

static bool
read_number(const char *s, long max, long *ret)
{
	char	*end;

	errno = 0;
	*ret = strtol(s, &end, 10);
	return (errno == 0 && end != s && *end == '\0' && *ret > 0 &&
	    *ret <= max);
}

/* Takes one option: 0, or the exit code. */
static int
app_option(struct app *a, int c, char *used)
{
	long	 n;

	switch (c) {
	case OPT_URL:
		a->url = optarg;
		return (0);
	case OPT_TOKEN:
		a->token = optarg;
		return (0);
	case OPT_TOKEN_FILE:
		a->token_file = optarg;
		return (0);
	case OPT_PASSWORD:
		a->password = optarg;
		return (0);
	case OPT_TLS_FINGERPRINT:
		a->tls_fingerprint = optarg;
		return (0);
	case OPT_TLS_SYSTEM:
		a->is_tls_system = true;
		return (0);
	case OPT_JSON:
		a->is_json = true;
		return (0);
	case OPT_TIMEOUT:
		if (!read_number(optarg, 86400, &n))
			return (app_usage(a, "--timeout takes seconds, not %s",
			    optarg));
		a->timeout_ms = (uint32_t)n * 1000u;
		return (0);
	case 'q':
		a->is_quiet = true;
		return (0);
	case 's':
		a->session = optarg;
		break;
	case 'a':
		a->agent = optarg;
		break;
	case 'f':
		a->follows = true;
		break;
	case 'F':
		a->wants_final = true;
		break;
	case 'y':
		a->says_yes = true;
		break;
	case 'n':
		if (!read_number(optarg, 5000, &a->limit))
			return (app_usage(a, "--limit takes a number up to "
			    "5000, not %s", optarg));
		break;
	default:
		/* getopt has said what; the rest of the hint is ours. */
		return (app_usage(a, "the command line was not understood"));
	}
	if (strlen(used) < 15)
		used[strlen(used)] = (char)c;
	return (0);
}

int
main(int argc, char **argv)
{
	struct app	 a = { .timeout_ms = TIMEOUT_MS };
	char		 used[16] = "";
	bool		 wants_help = false;
	int		 c, r;

	(void)setlocale(LC_CTYPE, "");
	a.url = getenv("CHELA_URL");
	if (a.url == NULL || *a.url == '\0')
		a.url = URL_DEFAULT;
	a.password = getenv("CHELA_PASSWORD");
	a.tls_fingerprint = getenv("CHELA_TLS_FINGERPRINT");
	if (a.tls_fingerprint != NULL && *a.tls_fingerprint == '\0')
		a.tls_fingerprint = NULL;

	if (argc > 0)
		argv[0] = (char *)"chela";	/* getopt's complaints name it */
	while ((c = getopt_long(argc, argv, "qhs:a:fn:y", options, NULL)) !=
	    -1) {
		if (c == 'h') {
			wants_help = true;
		} else if (c == OPT_VERSION) {
			(void)printf("chela %s\n", PACKAGE_VERSION);
			return (EXIT_OK);
		} else {
			r = app_option(&a, c, used);
			if (r != 0)
				return (r);
		}
	}
	argc -= optind;
	argv += optind;
	if (argc > 0)
		a.command = find_command(argv[0]);
	if (wants_help || (argc == 0 && *used == '\0')) {
		print_help(&a);
		return (wants_help ? EXIT_OK : EXIT_USAGE);
	}
	if (a.command == NULL)
		return (app_usage(&a, "there is no command '%s'",
		    argc > 0 ? argv[0] : ""));
	if (strspn(used, a.command->options) != strlen(used))
		return (app_usage(&a, "%s has no option -%c", a.command->name,
		    used[strspn(used, a.command->options)]));

	r = a.command->run(&a, argc - 1, argv + 1);
	if (a.client != NULL)
		chela_client_close(a.client);
	a.client = chela_client_free(a.client);
	if (fflush(stdout) != 0 && r == EXIT_OK) {
		app_say("cannot write the output: %s", strerror(errno));
		r = EXIT_UNREACHED;
	}
	return (r);
}
