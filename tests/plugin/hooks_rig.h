/* SPDX-License-Identifier: MIT */
/*
 * What the test of plugin hooks stands on: the fake host with the real agents
 * and sessions, and in the place of other plugins an agent that runs what the
 * test says, texts that wait, a channel, and programs.
 */
#ifndef TESTS_PLUGIN_HOOKS_RIG_H
#define TESTS_PLUGIN_HOOKS_RIG_H

#include <chela/services/agent.h>
#include <chela/services/process.h>

#include "tests/plugin/fakehost.h"
#include "tests/plugin/fakeroutes.h"

#define HOOKS_GOOD		"Bearer hook-secret"
#define HOOKS_HEADERS_MAX	6

/* A configuration with hooks, and more members of it. */
#define CONF(more) "{\"agents\":{\"list\":[{\"id\":\"main\"}," \
	"{\"id\":\"ops\"}]},\"hooks\":{\"enabled\":true," \
	"\"token\":\"hook-secret\"" more "}}"
#define ERROR(s) "{\"ok\":false,\"error\":\"" s "\"}"

/* One request, and what came of it. */
struct ask {
	const char	*method;
	const char	*path;
	const char	*query;
	const char	*remote;
	const char	*headers[HOOKS_HEADERS_MAX][2];
	const char	*body;
	size_t		 body_len;
	bool		 is_slow;	/* the body does not come */
	struct fake_http *h;
};

extern struct fake *f;

/* Texts that wait: the newest one, and who was asked to look. */
struct hooks_left {
	char		 key[512];
	char		 text[512];
	char		 turn[512];
	unsigned	 n;
};
extern struct hooks_left left;

/* Runs: what was started, and the watcher. */
#define HOOKS_STARTS_MAX	256
struct hooks_runs {
	const struct chela_agent_watcher *watcher;
	unsigned	 n;
	int		 r;		/* what start() says */
	int		 others;	/* runs of somebody else */
	char		 id[HOOKS_STARTS_MAX][37];
	char		 key[HOOKS_STARTS_MAX][128];
	char		 message[8192];
	char		 channel[64];
	char		 to[64];
	char		 account[64];
	char		 model[64];
	uint32_t	 flags;
	uint64_t	 timeout_us;
	char		 aborted[37];
};
extern struct hooks_runs runs;

/* The program of a mapping: what it was given, and what it says. */
struct hooks_program {
	char		 argv0[64];
	char		 input[4096];
	const char	*output;
	int		 exit_code;
	unsigned	 n;
};
extern struct hooks_program program;
/* Of the program that is under way; NULL: it was forgotten. */
extern const struct chela_process_handler *program_handler;

/* A copy that is cut to fit. */
void	 keep(char *s, size_t size, const char *value);

/* The host with this configuration; what fake_start() says. */
int	 setup(const char *conf);
void	 begin(const char *conf);
void	 end(void);

/* A POST from loopback with a good token. */
struct ask request(const char *path, const char *body);
/* Up to the answer, if there is one at once. */
void	 go(struct ask *rq);
unsigned status_of(const struct ask *rq);	/* 0: none yet */
const char *text_of(const struct ask *rq);
void	 done(struct ask *rq);
/* This answer, then done(). */
void	 expect(struct ask *rq, uint32_t status, const char *text);
void	 post(const char *path, const char *body, uint32_t status,
	    const char *text);
/* Whether hooks are there. */
bool	 is_served(const char *path);

/* An event of the n-th run: a CHELA_AGENT_*. */
void	 run_tell(unsigned n, uint32_t kind, const char *all,
	    const char *delivery);
/* The program ends as program says. */
void	 program_end(void);

#endif
