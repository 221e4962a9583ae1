/* SPDX-License-Identifier: MIT */
/*
 * One piece of file work: made for a request, done on the pool, answered here.
 */
#include "agents.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct job *
job_new(struct chela_req *req, const char *id)
{
	struct job	*job;

	if (agents.n_jobs >= JOBS_MAX)
		return (NULL);
	job = calloc(1, sizeof *job);
	if (job == NULL)
		return (NULL);
	agents.n_jobs++;
	job->req = agents.host->req_ref(req);
	job->now_ms = agents.host->wall_ms();
	(void)snprintf(job->id, sizeof job->id, "%s", id);
	return (job);
}

void
job_free(struct job *job)
{
	if (job == NULL)
		return;
	agents.n_jobs--;
	agents.host->req_unref(job->req);
	json_object_put(job->result);
	json_object_put(job->params);
	free(job->text);
	free(job);
}

static void
job_run(void *arg)
{
	struct job	*job = arg;

	job->work(job);
}

static void
job_end(struct chela_ctx *ctx, void *arg)
{
	struct job	*job = arg;

	(void)ctx;
	job->done(job);
}

/* Takes the job when it succeeds; done has to free it or start it again. */
int
job_start(struct job *job, job_work_fn *work, job_done_fn *done)
{
	job->work = work;
	job->done = done;
	return (agents.host->work(agents.ctx, job_run, job_end, job));
}
