/* SPDX-License-Identifier: MIT */
/* chela secrets: the names in the store, new values, none that comes back. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/client/chela.h"
#include "core/json/json.h"

#define VALUE_MAX	65536u

static int
secrets_list(struct app *a)
{
	struct json_object	*res, *list, *e, *hosts;
	struct table		 t;
	char			 age[32];
	int64_t			 now = (int64_t)clock_wall_ms();
	size_t			 i, k;
	struct buf		 text = BUF_INIT;
	int			 r;

	r = app_get(a, "secrets.store.list", json_object_new_object(), &res);
	if (r != 0 || res == NULL)
		return (r);
	list = json_get_arr(res, "entries");
	table_init(&t, "lllll", "NAME", "KIND", "CHANGED", "BY", "HOSTS", NULL);
	for (i = 0; list != NULL && i < json_object_array_length(list); i++) {
		e = json_object_array_get_idx(list, i);
		table_add(&t, "%s", text_of(e, "name"));
		table_add(&t, "%s", text_of(e, "kind"));
		table_add(&t, "%s", out_age(json_get_int(e, "updatedAtMs", 0),
		    now, age, sizeof age));
		table_add(&t, "%s", text_of(e, "updatedBy"));
		hosts = json_get_arr(e, "allowedHosts");
		buf_reset(&text);
		for (k = 0; hosts != NULL && k < json_object_array_length(
		    hosts); k++)
			(void)buf_printf(&text, "%s%s", k > 0 ? " " : "",
			    json_object_get_string(json_object_array_get_idx(
			    hosts, k)));
		(void)buf_putc(&text, '\0');
		table_add(&t, "%s", text.data != NULL ? text.data : "");
	}
	table_print(&t);
	buf_fini(&text);
	json_object_put(res);
	return (EXIT_OK);
}

/* --- reading a value --- */

static struct termios	 before;
static volatile sig_atomic_t is_hidden;

/* Control-C at the question must not leave the terminal without echo. */
static void
on_signal(int sig)
{
	if (is_hidden)
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &before);
	(void)signal(sig, SIG_DFL);
	(void)raise(sig);
}

static void
echo_off(void)
{
	static const int	 signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct termios		 quiet;
	size_t			 i;

	if (tcgetattr(STDIN_FILENO, &before) < 0)
		return;
	for (i = 0; i < ARRAY_LEN(signals); i++)
		(void)signal(signals[i], on_signal);
	quiet = before;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	quiet.c_lflag |= ECHONL;
	is_hidden = tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet) == 0;
}

static void
echo_on(void)
{
	if (is_hidden)
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &before);
	is_hidden = 0;
}

/*
 * The value from standard input: a line from a terminal, all of it from a file or a
 * pipe, without one newline at its end. Gives; the length or -errno. No stdio: its
 * buffer would keep a copy.
 */
static ssize_t
value_read(char **ret)
{
	bool	 is_terminal = isatty(STDIN_FILENO) == 1;
	char	*p = malloc(VALUE_MAX + 2);
	size_t	 len = 0;
	ssize_t	 n = 1;

	if (p == NULL)
		return (-ENOMEM);
	if (is_terminal) {
		(void)fputs("value: ", stderr);
		(void)fflush(stderr);
		echo_off();
	}
	while (len < VALUE_MAX + 1) {
		n = read(STDIN_FILENO, p + len, VALUE_MAX + 1 - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += (size_t)n;
		if (is_terminal && p[len - 1] == '\n')
			break;
	}
	if (is_terminal)
		echo_on();
	if (n < 0) {
		n = -errno;
		explicit_bzero(p, VALUE_MAX + 2);
		free(p);
		return (n);
	}
	if (len > 0 && p[len - 1] == '\n')
		len--;
	if (len > 0 && p[len - 1] == '\r')
		len--;
	p[len] = '\0';
	*ret = p;
	return ((ssize_t)len);
}

static int
secrets_set(struct app *a, const char *name, char **hosts, int n_hosts)
{
	struct json_object	*p, *list, *res;
	char			*value = NULL;
	ssize_t			 len;
	int			 r, i;

	len = value_read(&value);
	if (len < 0) {
		app_say("cannot read the value: %s", strerror((int)-len));
		return (EXIT_USAGE);
	}
	if (len == 0 || (size_t)len > VALUE_MAX || strlen(value) !=
	    (size_t)len) {
		app_say(len == 0 ? "the value is empty" : (size_t)len > VALUE_MAX
		    ? "the value is longer than 65536 bytes" :
		    "the value has a NUL in it");
		explicit_bzero(value, VALUE_MAX + 2);
		free(value);
		return (EXIT_USAGE);
	}
	r = app_connect(a, CHELA_CLIENT_ONCE);
	if (r == 0) {
		p = params_of("name", name, "value", value, "kind", "secret",
		    NULL);
		if (n_hosts > 0) {
			list = json_object_new_array();
			for (i = 0; i < n_hosts; i++)
				(void)json_object_array_add(list,
				    json_object_new_string(hosts[i]));
			(void)json_add(p, "allowedHosts", list);
		}
		r = app_call(a, "secrets.store.set", p, &res);
		if (r == 0) {
			if (a->is_json)
				out_json(res);
			else if (!a->is_quiet)
				app_say("%s: set%s", name, json_get_bool(res,
				    "reloaded", false) ? ", and in force" : "");
			json_object_put(res);
		}
	}
	explicit_bzero(value, VALUE_MAX + 2);
	free(value);
	return (r);
}

static int
secrets_reload(struct app *a)
{
	struct json_object	*res;
	int64_t			 n;
	int			 r;

	r = app_call(a, "secrets.reload", json_object_new_object(), &res);
	if (r != 0)
		return (r);
	n = json_get_int(res, "warningCount", 0);
	if (a->is_json)
		out_json(res);
	else if (n > 0)
		app_say("reloaded; %lld references have no value, 'chela logs' "
		    "names them", (long long)n);
	else if (!a->is_quiet)
		app_say("reloaded");
	json_object_put(res);
	return (EXIT_OK);
}

int
cmd_secrets(struct app *a, int argc, char **argv)
{
	const char	*verb = argc > 0 ? argv[0] : "list";
	bool		 has_name;
	int		 r;

	has_name = strcmp(verb, "set") == 0 || strcmp(verb, "delete") == 0;
	if (!has_name && strcmp(verb, "list") != 0 &&
	    strcmp(verb, "reload") != 0)
		return (app_usage(a, "secrets cannot '%s'", verb));
	if (has_name ? argc < 2 : argc > 1)
		return (app_usage(a, "secrets %s takes %s", verb, has_name ?
		    "a name" : "nothing"));
	if (strcmp(verb, "delete") == 0 && argc != 2)
		return (app_usage(a, "secrets delete takes one name"));
	if (strcmp(verb, "set") == 0)
		return (secrets_set(a, argv[1], argv + 2, argc - 2));
	r = app_connect(a, CHELA_CLIENT_ONCE);
	if (r != 0)
		return (r);
	if (strcmp(verb, "list") == 0)
		return (secrets_list(a));
	if (strcmp(verb, "reload") == 0)
		return (secrets_reload(a));
	return (app_do(a, "secrets.store.delete", params_of("name", argv[1],
	    NULL), "%s: deleted", argv[1]));
}
