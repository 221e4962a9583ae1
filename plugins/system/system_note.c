/* SPDX-License-Identifier: MIT */
/*
 * The note that a change of the configuration left before a restart: it is
 * told to the session that asked, once, and the file goes.
 */
#include "system.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NOTE_FILE	"restart-sentinel.json"
#define NOTE_MAX	65536	/* bytes of the file */

struct note {
	char	*path;
	char	*text;
};

static bool		 is_on;		/* between start and stop */
/* Read by a worker, which nobody waits for: after a stop it is lost here. */
static struct note	*reading;

static void
note_work(void *arg)
{
	struct note	*n = arg;
	size_t		 len;
	FILE		*f;

	f = fopen(n->path, "re");
	if (f == NULL)
		return;
	n->text = malloc(NOTE_MAX + 1);
	if (n->text != NULL) {
		len = fread(n->text, 1, NOTE_MAX, f);
		n->text[len] = '\0';
	}
	(void)fclose(f);
}

static void
note_remove(void *arg)
{
	struct note	*n = arg;

	(void)unlink(n->path);
}

static void
note_free(struct chela_ctx *ctx, void *arg)
{
	struct note	*n = arg;

	(void)ctx;
	free(n->text);
	free(n->path);
	free(n);
}

static void
note_tell(struct json_object *doc)
{
	struct json_object	*payload = NULL;
	const char		*message;
	char			 key[SYSTEM_KEY_MAX];

	(void)json_object_object_get_ex(doc, "payload", &payload);
	message = sys_str(payload, "message");
	if (message == NULL || message[strspn(message, " \t\r\n")] == '\0' ||
	    sys_key(sys_str(payload, "sessionKey"), NULL, key) < 0)
		return;
	if (queue_add(key, message) >= 0)
		beat_request(key);
}

static void
note_done(struct chela_ctx *ctx, void *arg)
{
	struct note		*n = arg;
	struct json_object	*doc;

	reading = NULL;
	/* Stopped meanwhile: it is told at the next start. */
	if (!is_on || n->text == NULL) {
		note_free(ctx, n);
		return;
	}
	doc = json_tokener_parse(n->text);
	if (json_object_is_type(doc, json_type_object))
		note_tell(doc);
	else
		sys.host->log(ctx, CHELA_LOG_WARNING,
		    "restart note: thrown away (not JSON)");
	json_object_put(doc);
	/* Understood or not, it must not be told at every start from now on. */
	if (sys.host->work(ctx, note_remove, note_free, n) < 0)
		note_free(ctx, n);
}

void
note_stop(void)
{
	is_on = false;
}

int
note_start(void)
{
	struct note	*n;

	is_on = true;
	n = calloc(1, sizeof *n);
	if (n == NULL)
		return (-ENOMEM);
	if (asprintf(&n->path, "%s/" NOTE_FILE, sys.host->state_dir()) < 0) {
		free(n);
		return (-ENOMEM);
	}
	reading = n;
	if (sys.host->work(sys.ctx, note_work, note_done, n) < 0) {
		reading = NULL;
		free(n->path);
		free(n);
	}
	return (0);
}
