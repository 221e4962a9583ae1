/* SPDX-License-Identifier: MIT */
/* chela devices, chela pair, chela setup-code */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifdef HAVE_QRENCODE
#include <qrencode.h>
#endif

#include "core/client/chela.h"
#include "core/json/json.h"

#define ID_SHOWN	16	/* characters of a device's id in tables */
#define QR_BORDER	2	/* light modules around a code */

static int64_t
now_ms(void)
{
	struct timespec	 ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return ((int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000);
}

static const char *
device_name(struct json_object *o)
{
	static const char *const keys[] = { "operatorLabel", "displayName",
	    "clientId" };
	size_t	 i;

	for (i = 0; i < ARRAY_LEN(keys); i++) {
		if (*text_of(o, keys[i]) != '\0')
			return (text_of(o, keys[i]));
	}
	return ("-");
}

/* "operator: read write" from roles and scopes. */
static void
grants_text(struct json_object *o, struct buf *out)
{
	struct json_object	*roles = json_get_arr(o, "roles");
	struct json_object	*scopes = json_get_arr(o, "scopes");
	const char		*s;
	size_t			 i;

	for (i = 0; roles != NULL && i < json_object_array_length(roles); i++)
		(void)buf_printf(out, "%s%s", i > 0 ? "+" : "",
		    json_object_get_string(json_object_array_get_idx(roles,
		    i)));
	for (i = 0; scopes != NULL && i < json_object_array_length(scopes);
	    i++) {
		s = json_object_get_string(json_object_array_get_idx(scopes,
		    i));
		if (strncmp(s, "operator.", 9) == 0)
			s += 9;
		(void)buf_printf(out, "%s%s", i > 0 ? " " : ": ", s);
	}
	(void)buf_putc(out, '\0');
}

static void
print_pending(struct json_object *list)
{
	struct json_object	*o;
	struct table		 t;
	struct buf		 grants = BUF_INIT;
	char			 age[32];
	size_t			 i, n = json_object_array_length(list);

	if (n == 0)
		return;
	table_init(&t, "lllll", "REQUEST", "NAME", "FROM", "ASKS FOR", "SINCE",
	    NULL);
	for (i = 0; i < n; i++) {
		o = json_object_array_get_idx(list, i);
		buf_reset(&grants);
		grants_text(o, &grants);
		table_add(&t, "%s", text_of(o, "requestId"));
		table_add(&t, "%s", device_name(o));
		table_add(&t, "%s", *text_of(o, "remoteIp") != '\0' ?
		    text_of(o, "remoteIp") : "-");
		table_add(&t, "%s", grants.is_failed ? "" : grants.data);
		table_add(&t, "%s", out_age(json_get_int(o, "ts", 0), now_ms(),
		    age, sizeof age));
	}
	table_print(&t);
	buf_fini(&grants);
}

static void
print_paired(struct json_object *list)
{
	struct json_object	*o;
	struct table		 t;
	struct buf		 grants = BUF_INIT;
	char			 age[32];
	size_t			 i, n = json_object_array_length(list);

	table_init(&t, "lllll", "DEVICE", "NAME", "MAY", "VIA", "SEEN", NULL);
	for (i = 0; i < n; i++) {
		o = json_object_array_get_idx(list, i);
		buf_reset(&grants);
		grants_text(o, &grants);
		table_add(&t, "%.*s", ID_SHOWN, text_of(o, "deviceId"));
		table_add(&t, "%s", device_name(o));
		table_add(&t, "%s", grants.is_failed ? "" : grants.data);
		table_add(&t, "%s", text_of(o, "approvedVia"));
		table_add(&t, "%s", json_get_bool(o, "connected", false) ?
		    "connected" : out_age(json_get_int(o, "lastSeenAtMs", 0),
		    now_ms(), age, sizeof age));
	}
	table_print(&t);
	buf_fini(&grants);
}

static int
devices_list(struct app *a, bool is_pending_only)
{
	struct json_object	*res, *pending, *paired;
	int			 r;

	r = app_get(a, "device.pair.list", NULL, &res);
	if (r != 0 || res == NULL)
		return (r);
	pending = json_get_arr(res, "pending");
	paired = json_get_arr(res, "paired");
	if (pending != NULL)
		print_pending(pending);
	if (is_pending_only && (pending == NULL ||
	    json_object_array_length(pending) == 0))
		app_say("no device waits");
	if (!is_pending_only && paired != NULL) {
		if (pending != NULL && json_object_array_length(pending) > 0)
			(void)putchar('\n');
		print_paired(paired);
	}
	json_object_put(res);
	return (EXIT_OK);
}

/* The whole id behind the beginning of one; gives. NULL after saying why. */
static char *
whole_id(struct app *a, const char *list_name, const char *key,
    const char *start, int *ret_exit)
{
	struct json_object	*res, *list;
	const char		*id, *found = NULL;
	char			*copy = NULL;
	size_t			 i, n = 0;

	*ret_exit = app_call(a, "device.pair.list", NULL, &res);
	if (*ret_exit != 0)
		return (NULL);
	list = json_get_arr(res, list_name);
	for (i = 0; list != NULL && i < json_object_array_length(list); i++) {
		id = text_of(json_object_array_get_idx(list, i), key);
		if (strncmp(id, start, strlen(start)) == 0) {
			found = id;
			n++;
		}
	}
	if (n == 1)
		copy = strdup(found);
	else
		app_say(n == 0 ? "there is none that begins with %s" :
		    "several begin with %s: give more of it", start);
	json_object_put(res);
	*ret_exit = copy == NULL ? EXIT_REFUSED : EXIT_OK;
	return (copy);
}

static int
answer(struct app *a, const char *method, struct json_object *params,
    const char *said)
{
	return (app_do(a, method, params, "%s", said));
}

static int
resolve(struct app *a, const char *start, bool is_approval)
{
	char	*id;
	int	 r;

	id = whole_id(a, "pending", "requestId", start, &r);
	if (id == NULL)
		return (r);
	r = answer(a, is_approval ? "device.pair.approve" :
	    "device.pair.reject", params_of("requestId", id, NULL),
	    is_approval ? "approved" : "rejected");
	free(id);
	return (r);
}

static const struct {
	const char	*verb;
	const char	*method;
	const char	*more;		/* name of a third argument, or NULL */
	bool		 is_more_due;
	const char	*otherwise;	/* what the third is when not given */
	const char	*said;
} verbs[] = {
	{ "remove", "device.pair.remove", NULL, false, NULL,
	  "removed; its connections are closed" },
	{ "rename", "device.pair.rename", "label", true, NULL, "renamed" },
	{ "rotate", "device.token.rotate", "role", false, "operator",
	  "rotated; the device gets its new token when it connects" },
	{ "revoke", "device.token.revoke", "role", false, "operator",
	  "revoked; its connections are closed" },
};

static int
change(struct app *a, size_t verb, const char *start, const char *more)
{
	char	*id;
	int	 r;

	id = whole_id(a, "paired", "deviceId", start, &r);
	if (id == NULL)
		return (r);
	if (more == NULL)
		more = verbs[verb].otherwise;
	r = answer(a, verbs[verb].method, verbs[verb].more == NULL ?
	    params_of("deviceId", id, NULL) :
	    params_of("deviceId", id, verbs[verb].more, more, NULL),
	    verbs[verb].said);
	free(id);
	return (r);
}

int
cmd_devices(struct app *a, int argc, char **argv)
{
	const char	*verb = argc > 0 ? argv[0] : "list";
	bool		 is_list = strcmp(verb, "list") == 0;
	bool		 is_answer = strcmp(verb, "approve") == 0 ||
			    strcmp(verb, "reject") == 0;
	size_t		 i;
	int		 r;

	for (i = 0; i < ARRAY_LEN(verbs); i++) {
		if (strcmp(verbs[i].verb, verb) == 0)
			break;
	}
	if (!is_list && !is_answer && i == ARRAY_LEN(verbs))
		return (app_usage(a, "devices cannot '%s'", verb));
	if (is_list ? argc > 1 : is_answer ? argc != 2 :
	    argc < (verbs[i].is_more_due ? 3 : 2) ||
	    argc > (verbs[i].more != NULL ? 3 : 2))
		return (app_usage(a, "devices %s takes %s", verb, is_list ?
		    "nothing" : is_answer ? "the id of a request" :
		    verbs[i].is_more_due ? "the id of a device and a name" :
		    "the id of a device"));
	r = app_connect(a, CHELA_CLIENT_ONCE);
	if (r != 0)
		return (r);
	if (is_list)
		return (devices_list(a, false));
	if (is_answer)
		return (resolve(a, argv[1], strcmp(verb, "approve") == 0));
	return (change(a, i, argv[1], argc > 2 ? argv[2] : NULL));
}

int
cmd_pair(struct app *a, int argc, char **argv)
{
	int	 r;

	if (argc > 1)
		return (app_usage(a, "pair takes one request"));
	r = app_connect(a, CHELA_CLIENT_ONCE);
	if (r != 0)
		return (r);
	if (argc == 0)
		return (devices_list(a, true));
	return (resolve(a, argv[0], true));
}

#ifdef HAVE_QRENCODE
static bool
is_dark(const QRcode *qr, int x, int y)
{
	return (x >= 0 && y >= 0 && x < qr->width && y < qr->width &&
	    (qr->data[y * qr->width + x] & 1) != 0);
}

/* Two rows of modules a line; light is drawn, as terminals are dark. */
static void
print_qr(const char *text)
{
	static const char *const blocks[] = { "\u2588", "\u2584", "\u2580",
	    " " };
	QRcode	*qr;
	int	 x, y;

	qr = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_L);
	if (qr == NULL) {
		app_say("the code is too long for a QR code");
		return;
	}
	for (y = -QR_BORDER; y < qr->width + QR_BORDER; y += 2) {
		for (x = -QR_BORDER; x < qr->width + QR_BORDER; x++)
			(void)fputs(blocks[(is_dark(qr, x, y) ? 1 : 0) +
			    (is_dark(qr, x, y + 1) ? 2 : 0)], stdout);
		(void)putchar('\n');
	}
	QRcode_free(qr);
}
#endif

int
cmd_setup_code(struct app *a, int argc, char **argv)
{
	struct json_object	*res;
	const char		*profile = NULL, *url = NULL;
	int			 i, r;

	for (i = 0; i < argc; i++) {
		if (strcmp(argv[i], "node") == 0)
			profile = "node";
		else if (strstr(argv[i], "://") != NULL && url == NULL)
			url = argv[i];
		else
			return (app_usage(a, "setup-code takes 'node' and a URL, "
			    "not %s", argv[i]));
	}
	r = app_connect(a, CHELA_CLIENT_ONCE);
	if (r == 0)
		r = app_get(a, "device.pair.setupCode",
		    params_of("bootstrapProfile", profile, "publicUrl", url,
		    NULL), &res);
	if (r != 0 || res == NULL)
		return (r);
#ifdef HAVE_QRENCODE
	if (!a->is_quiet)
		print_qr(text_of(res, "setupCode"));
#endif
	out_str(stdout, text_of(res, "setupCode"));
	(void)putchar('\n');
	if (!a->is_quiet)
		app_say("for %s, once, within 10 minutes",
		    text_of(res, "gatewayUrl"));
	json_object_put(res);
	return (EXIT_OK);
}
