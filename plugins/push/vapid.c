/* SPDX-License-Identifier: MIT */
/*
 * The key that push services know this gateway by. From the environment, else from
 * the table, else made once; two who make it at once end with the same.
 */
#include "push.h"

#include "../common/secret.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define KEY		"vapid"
#define WAITERS_MAX	64u
#define ENV_PRIVATE	"CHELA_VAPID_PRIVATE_KEY"

struct waiter {
	vapid_done_fn	*done;
	void		*arg;
};

static struct waiter	waiters[WAITERS_MAX];
static size_t		n_waiters;
static bool		is_making;

static int
key_use(const char *text)
{
	uint8_t	*bytes;
	size_t	 len;
	int	 r;

	if (text == NULL)
		return (-EINVAL);
	r = wp_unbase64(text, &bytes, &len);
	if (r < 0)
		return (r);
	r = len != WP_PRIVATE_LEN ? -EINVAL : wp_key_public(bytes, push.public);
	if (r == 0) {
		memcpy(push.private, bytes, WP_PRIVATE_LEN);
		push.has_key = true;
	}
	explicit_bzero(bytes, len);
	free(bytes);
	return (r);
}

static int
key_load(void)
{
	struct json_object	*o = get_any(push.host->conf(push.ctx),
	    "privateKey");
	const char		*text;
	int			 r;

	if (getenv(ENV_PRIVATE) != NULL)
		return (key_use(getenv(ENV_PRIVATE)));
	if (o != NULL) {
		text = secret_text(push.host, push.ctx, o);
		r = key_use(text);
		/* Not another one: browsers have subscribed with this. */
		if (r < 0)
			push.host->log(push.ctx, CHELA_LOG_ERR, "push: "
			    "plugins.entries.push.config.privateKey %s", text ==
			    NULL ? "refers to a secret that has no value" :
			    "is no private key");
		return (r < 0 ? -EINVAL : 0);
	}
	r = push.host->kv_get(push.ctx, KEY, &o, NULL);
	if (r < 0)
		return (-ENOENT);
	r = key_use(get_str(o, "private"));
	json_object_put(o);
	return (r);
}

static void
answer(int r)
{
	struct waiter	 list[WAITERS_MAX];
	size_t		 i, n = n_waiters;

	memcpy(list, waiters, sizeof list);
	n_waiters = 0;
	is_making = false;
	for (i = 0; i < n; i++)
		list[i].done(r, list[i].arg);
}

static void
on_made(struct chela_ctx *ctx, int r, uint64_t rev, void *arg)
{
	(void)ctx;
	(void)rev;
	(void)arg;
	answer(r < 0 && r != -ESTALE ? r : key_load());
}

static int
key_make(void)
{
	struct json_object	*o;
	uint8_t			 private[WP_PRIVATE_LEN];
	uint8_t			 public[WP_PUBLIC_LEN];
	char			*text[2];
	int			 r;

	r = wp_key_new(private, public);
	if (r < 0)
		return (r);
	text[0] = wp_base64(private, sizeof private);
	text[1] = wp_base64(public, sizeof public);
	explicit_bzero(private, sizeof private);
	r = text[0] == NULL || text[1] == NULL ? -ENOMEM : 0;
	if (r == 0) {
		o = json_object_new_object();
		json_object_object_add(o, "private",
		    json_object_new_string(text[0]));
		json_object_object_add(o, "public",
		    json_object_new_string(text[1]));
		r = push.host->kv_put(push.ctx, KEY, o, CHELA_NEW_REV, on_made,
		    NULL);
	}
	if (text[0] != NULL)
		explicit_bzero(text[0], strlen(text[0]));
	free(text[0]);
	free(text[1]);
	return (r);
}

void
vapid_key(vapid_done_fn *done, void *arg)
{
	int	 r;

	if (!push.has_key && !is_making) {
		r = key_load();
		if (r < 0 && r != -ENOENT) {
			done(r, arg);
			return;
		}
	}
	if (push.has_key && !is_making) {
		done(0, arg);
		return;
	}
	if (n_waiters == WAITERS_MAX) {
		done(-EAGAIN, arg);
		return;
	}
	waiters[n_waiters++] = (struct waiter){ done, arg };
	if (is_making)
		return;
	is_making = true;
	r = key_make();
	if (r < 0)
		answer(r);
}

/* It is looked up anew, unless one is being made. */
void
vapid_forget(void)
{
	if (!is_making)
		push.has_key = false;
}

void
vapid_close(void)
{
	explicit_bzero(push.private, sizeof push.private);
	push.has_key = false;
	n_waiters = 0;
	is_making = false;
}
