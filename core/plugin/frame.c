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
#define WATCH_STEP_US	SEC_US(1)	/* at most, between two looks */
#define WATCH_STEP_MIN_US MS_US(20)
#define BACKTRACE_MAX	64

/* Written by the loop thread, read by the watchdog and in signal handlers. */
static struct frame *volatile	frames[FRAMES_MAX];
static volatile unsigned	n_frames;
static volatile uint64_t	outer_us;	/* start of the outermost; 0: none */
static struct host *volatile	crash_host;

/* Whose job this worker runs. */
static __thread const struct chela_ctx *volatile worker_ctx;

static pthread_t		loop_thread;
static pthread_t		watch_thread;
static pthread_mutex_t		watch_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t		watch_cond;
static uint64_t			watch_slow_us, watch_dead_us;
static bool			is_watching, is_watch_ending;
static volatile bool		is_dead;	/* the watchdog ends us */

static const int		crash_sigs[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL,
    SIGABRT };
static struct sigaction		old_actions[ARRAY_LEN(crash_sigs)];

void
frame_enter(struct frame *f, const struct chela_ctx *ctx, const char *what)
{
	f->ctx = ctx;
	f->what = what;
	f->start_us = clock_now_us();
	if (n_frames < FRAMES_MAX)
		frames[n_frames] = f;
	if (n_frames++ == 0)
		outer_us = f->start_us;
}

uint64_t
frame_leave(struct frame *f)
{
	uint64_t	 took = clock_now_us() - f->start_us;

	if (--n_frames == 0)
		outer_us = 0;
	return (took);
}

void
frame_worker(const struct chela_ctx *ctx)
{
	worker_ctx = ctx;
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

/*
 * The plugin on the frame of the thread that crashed. A thread that a plugin made
 * for itself has no frame: nobody is named for it.
 */
static void
mark_culprit(int sig)
{
	const struct frame	*f;
	unsigned		 n = n_frames;

	if (worker_ctx != NULL)
		crash_mark(worker_ctx->name, "a job on a worker", sig);
	else if (n == 0 || n > FRAMES_MAX ||
	    (!is_dead && !pthread_equal(pthread_self(), loop_thread)))
		crash_mark(NULL, "the core", sig);
	else {
		f = frames[n - 1];
		crash_mark(f->ctx != NULL ? f->ctx->name : NULL, f->what,
		    is_dead ? 0 : sig);
	}
}

static void
on_crash(int sig)
{
	struct list	*l, *tmp;
	size_t		 i;

	mark_culprit(sig);	/* first: what follows may crash itself */
	put("chelad: crashed: ");
	put(strsignal(sig));
	put("\n");
	put_frames();
	if (worker_ctx != NULL) {
		put("  in a job of plugin '");
		put(worker_ctx->name);
		put("'\n");
	}
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
	/* Whoever had the signal before us ends us, with its own status. */
	for (i = 0; i < ARRAY_LEN(crash_sigs); i++) {
		if (crash_sigs[i] == sig)
			(void)sigaction(sig, &old_actions[i], NULL);
	}
	(void)raise(sig);
}

static void
on_look(int sig)
{
	int	 saved = errno;

	(void)sig;
	put("chelad: the loop stands still\n");
	put_frames();
	put_backtrace();
	errno = saved;
}

static void
crash_handlers(void)
{
	struct sigaction	 sa;
	void			*at[1];
	size_t			 i;
#if !defined(__SANITIZE_ADDRESS__)
	static char		 stack[65536];
	stack_t			 ss = { .ss_sp = stack, .ss_size = sizeof stack };

	(void)sigaltstack(&ss, NULL);	/* the sanitizer has its own */
#endif
	/* The first call loads libgcc, which may allocate: not in a handler. */
	(void)backtrace(at, 1);
	memset(&sa, 0, sizeof sa);
	sa.sa_handler = on_crash;
	sa.sa_flags = SA_ONSTACK;
	for (i = 0; i < ARRAY_LEN(crash_sigs); i++)
		(void)sigaction(crash_sigs[i], &sa, &old_actions[i]);
}

static void *
watchdog(void *arg)
{
	struct timespec	 until;
	uint64_t	 start, now, said = 0, step_us = watch_slow_us / 2;

	(void)arg;
	if (step_us > WATCH_STEP_US)
		step_us = WATCH_STEP_US;
	if (step_us < WATCH_STEP_MIN_US)
		step_us = WATCH_STEP_MIN_US;
	pthread_mutex_lock(&watch_lock);
	while (!is_watch_ending) {
		(void)clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += (long)(step_us % 1000000u * 1000u);
		until.tv_sec += (time_t)(step_us / 1000000u) +
		    until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		(void)pthread_cond_timedwait(&watch_cond, &watch_lock, &until);
		start = outer_us;
		now = clock_now_us();
		if (start == 0 || now < start || now - start < watch_slow_us)
			continue;
		if (said != start) {
			said = start;
			(void)pthread_kill(loop_thread, SIGUSR2);
		}
		if (now - start > watch_dead_us && start == outer_us) {
			put("chelad: ended by its watchdog\n");
			is_dead = true;
			abort();
		}
	}
	pthread_mutex_unlock(&watch_lock);
	return (NULL);
}

static int
watchdog_start(void)
{
	struct sigaction	 sa;
	pthread_condattr_t	 attr;
	sigset_t		 all, old;
	int			 r;

	memset(&sa, 0, sizeof sa);
	sa.sa_handler = on_look;
	sa.sa_flags = SA_RESTART;
	(void)sigaction(SIGUSR2, &sa, NULL);
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

int
frame_guard(struct host *h)
{
	loop_thread = pthread_self();
	crash_host = h;
	watch_slow_us = h->env.watch_slow_us != 0 ? h->env.watch_slow_us :
	    HOST_WATCH_SLOW_US;
	watch_dead_us = h->env.watch_dead_us != 0 ? h->env.watch_dead_us :
	    HOST_WATCH_DEAD_US;
	crash_handlers();
	return (watchdog_start());
}

void
frame_unguard(struct host *h)
{
	if (crash_host != h)
		return;
	crash_host = NULL;
	if (!is_watching)
		return;
	pthread_mutex_lock(&watch_lock);
	is_watch_ending = true;
	pthread_cond_signal(&watch_cond);
	pthread_mutex_unlock(&watch_lock);
	(void)pthread_join(watch_thread, NULL);
	is_watching = false;
}
