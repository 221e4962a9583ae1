/* SPDX-License-Identifier: MIT */
/* Who waits for a record, and is told on a later turn of the loop. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "approvals_priv.h"

static struct {
	struct wait	*ready, **ready_end;
	bool		 is_posted, is_stopping;
} ws;

static struct wait *
wait_new(struct chela_approval_record *rec, struct chela_ctx *ctx,
    chela_record_done_fn *done, void *arg)
{
	struct wait	*w = calloc(1, sizeof *w);

	if (w == NULL)
		return (NULL);
	*w = (struct wait){ NULL, rec, ctx, done, arg };
	rec->refs++;
	return (w);
}

static void
wait_free(struct wait *w)
{
	record_put(w->rec);
	free(w);
}

static void
on_ready(struct chela_ctx *ctx, void *arg)
{
	struct chela_record_info info = { .struct_size = sizeof info };
	struct wait		*w;

	(void)ctx;
	(void)arg;
	ws.is_posted = false;
	while ((w = ws.ready) != NULL) {
		ws.ready = w->next;
		if (ws.ready == NULL)
			ws.ready_end = &ws.ready;
		record_info(w->rec, &info);
		w->done(w->ctx, &info, w->arg);
		wait_free(w);
	}
}

void
waits_ready(struct wait **list)
{
	if (*list == NULL)
		return;
	*ws.ready_end = *list;
	while (*ws.ready_end != NULL)
		ws.ready_end = &(*ws.ready_end)->next;
	*list = NULL;
	if (!ws.is_posted && !ws.is_stopping)
		ws.is_posted = ap.host->post(ap.ctx, on_ready, NULL) == 0;
}

void
wait_drop(struct wait **list, const struct chela_ctx *ctx, const void *arg)
{
	struct wait	*w;

	while ((w = *list) != NULL) {
		if (w->ctx == ctx && (arg == NULL || w->arg == arg)) {
			*list = w->next;
			wait_free(w);
		} else {
			list = &w->next;
		}
	}
}

void
waits_drop(struct chela_ctx *ctx, void *arg)
{
	struct chela_approval_record	*rec = NULL;

	while ((rec = table_next(rec)) != NULL) {
		wait_drop(&rec->opened, ctx, arg);
		wait_drop(&rec->waits, ctx, arg);
		wait_drop(&rec->settling, ctx, arg);
	}
	wait_drop(&ws.ready, ctx, arg);
	ws.ready_end = &ws.ready;
	while (*ws.ready_end != NULL)
		ws.ready_end = &(*ws.ready_end)->next;
}

int
wait_add(struct wait **list, struct chela_approval_record *rec,
    struct chela_ctx *ctx, chela_record_done_fn *done, void *arg)
{
	struct wait	*w;

	if (done == NULL)
		return (0);
	w = wait_new(rec, ctx, done, arg);
	if (w == NULL)
		return (-ENOMEM);
	while (*list != NULL)
		list = &(*list)->next;
	*list = w;
	return (0);
}

void
waits_free(struct wait **list)
{
	struct wait	*w;

	while ((w = *list) != NULL) {
		*list = w->next;
		wait_free(w);
	}
}

void
waits_start(void)
{
	memset(&ws, 0, sizeof ws);
	ws.ready_end = &ws.ready;
}

void
waits_stop(void)
{
	ws.is_stopping = true;
	waits_free(&ws.ready);
	ws.ready_end = &ws.ready;
}
