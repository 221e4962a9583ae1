/* SPDX-License-Identifier: MIT */
/*
 * Who runs now. Each call into a plugin leaves a frame, so that a crash names the
 * plugin, a slow call is counted, and a loop that stands still is seen by a thread
 * that only watches.
 */
#include <errno.h>
#include <execinfo.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/plugin/host_priv.h"

#define FRAMES_MAX	64
#define WATCH_SLOW_US	SEC_US(2)	/* a backtrace is logged */
#define WATCH_DEAD_US	SEC_US(30)	/* the service manager starts us anew */
#define WATCH_STEP_S	1
#define BACKTRACE_MAX	64

/* Written by the loop thread, read by the watchdog and in signal handlers. */
static struct frame *volatile	frames[FRAMES_MAX];
static volatile unsigned	n_frames;
static struct host *volatile	crash_host;

static pthread_t		loop_thread;
static pthread_t		watch_thread;
static pthread_mutex_t		watch_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t		watch_cond;
static bool			is_watching, is_watch_ending;

void
frame_enter(struct frame *f, const struct chela_ctx *ctx, const char *what)
{
	f->ctx = ctx;
	f->what = what;
	f->start_us = clock_now_us();
	if (n_frames < FRAMES_MAX)
		frames[n_frames] = f;
	n_frames++;
}

uint64_t
frame_leave(struct frame *f)
{
	uint64_t	 took = clock_now_us() - f->start_us;

	n_frames--;
	return (took);
}

/* Only what may be called in a signal handler. */
static void
put(const char *s)
{
	(void)!write(STDERR_FILENO, s, strlen(s));
}

static void
put_frames(void)
{
	unsigned	 i, n = n_frames < FRAMES_MAX ? n_frames : FRAMES_MAX;

	for (i = n; i > 0; i--) {
		const struct frame *f = frames[i - 1];

		put("  in plugin '");
		put(f->ctx != NULL ? f->ctx->name : "core");
		put("': ");
		put(f->what);
		put("\n");
	}
}

static void
put_backtrace(void)
{
	void	*at[BACKTRACE_MAX];

	backtrace_symbols_fd(at, backtrace(at, BACKTRACE_MAX), STDERR_FILENO);
}

static void
on_crash(int sig)
{
	struct list	*l, *tmp;

	put("chelad: crashed: ");
	put(strsignal(sig));
	put("\n");
	put_frames();
	if (crash_host != NULL) {
		put("  loaded:");
		list_each(l, tmp, &crash_host->plugins) {
			const struct chela_ctx *ctx =
			    container_of(l, struct chela_ctx, link);

			if (ctx->state != PLUGIN_ACTIVE)
				continue;
			put(" ");
			put(ctx->name);
		}
		put("\n");
	}
	put_backtrace();
	/* SA_RESETHAND: the next one ends us, with its own status. */
	(void)raise(sig);
}

static void
on_look(int sig)
{
	(void)sig;
	put("chelad: the loop stands still\n");
	put_frames();
	put_backtrace();
}

void
frame_crash_handlers(struct host *h)
{
	static const int	 sigs[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL,
	    SIGABRT };
	static char		 stack[65536];
	stack_t			 ss = { .ss_sp = stack, .ss_size = sizeof stack };
	struct sigaction	 sa;
	void			*at[1];
	size_t			 i;

	crash_host = h;
#if !defined(__SANITIZE_ADDRESS__)
	if (h == NULL)
		return;
	/* The first call loads libgcc, which may allocate: not in a handler. */
	(void)backtrace(at, 1);
	(void)sigaltstack(&ss, NULL);
	memset(&sa, 0, sizeof sa);
	sa.sa_handler = on_crash;
	sa.sa_flags = SA_ONSTACK | (int)SA_RESETHAND;
	for (i = 0; i < ARRAY_LEN(sigs); i++)
		(void)sigaction(sigs[i], &sa, NULL);
#else
	(void)on_crash;
	(void)ss;
	(void)sa;
	(void)at;
	(void)i;
	(void)sigs;
#endif
}

static void *
watchdog(void *arg)
{
	struct timespec	 until;
	const char	*said = NULL;
	uint64_t	 start, now;

	(void)arg;
	pthread_mutex_lock(&watch_lock);
	while (!is_watch_ending) {
		(void)clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += WATCH_STEP_S;
		(void)pthread_cond_timedwait(&watch_cond, &watch_lock, &until);
		if (n_frames == 0 || frames[0] == NULL) {
			said = NULL;
			continue;
		}
		start = frames[0]->start_us;
		now = clock_now_us();
		if (now < start || now - start < WATCH_SLOW_US)
			continue;
		if (said != frames[0]->what) {
			said = frames[0]->what;
			(void)pthread_kill(loop_thread, SIGUSR2);
		}
		if (now - start > WATCH_DEAD_US) {
			put("chelad: ended by its watchdog\n");
			abort();
		}
	}
	pthread_mutex_unlock(&watch_lock);
	return (NULL);
}

int
frame_watchdog_start(struct host *h)
{
	struct sigaction	 sa;
	pthread_condattr_t	 attr;
	sigset_t		 all, old;
	int			 r;

	(void)h;
	memset(&sa, 0, sizeof sa);
	sa.sa_handler = on_look;
	sa.sa_flags = SA_RESTART;
	(void)sigaction(SIGUSR2, &sa, NULL);
	loop_thread = pthread_self();
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&watch_cond, &attr);
	(void)pthread_condattr_destroy(&attr);
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&watch_thread, NULL, watchdog, NULL);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	is_watching = r == 0;
	return (-r);
}

void
frame_watchdog_stop(void)
{
	if (!is_watching)
		return;
	pthread_mutex_lock(&watch_lock);
	is_watch_ending = true;
	pthread_cond_signal(&watch_cond);
	pthread_mutex_unlock(&watch_lock);
	(void)pthread_join(watch_thread, NULL);
	is_watching = false;
}
