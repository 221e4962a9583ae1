/* SPDX-License-Identifier: MIT */
/*
 * A command that knows a secret, run without a shell: a question of JSON on its
 * input, an answer on its output, within a time and a size. Blocks the thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/access/secret.h"
#include "core/base/clock.h"
#include "core/daemon/refs.h"

#define LOOK_MS	20	/* between two looks whether it has ended */

/* Nobody else can change what is run. */
static int
check_command(const struct ref *ref)
{
	struct stat	 st;
	char		*real;
	size_t		 i, n;
	int		 r = ref->dirs == NULL ? 0 : -EPERM;

	if (lstat(ref->path, &st) < 0)
		return (-errno);
	if (!S_ISREG(st.st_mode) || (st.st_mode & 022) != 0 ||
	    (st.st_uid != geteuid() && st.st_uid != 0))
		return (-EPERM);
	real = r < 0 ? realpath(ref->path, NULL) : NULL;
	for (i = 0; real != NULL && ref->dirs[i] != NULL; i++) {
		n = strlen(ref->dirs[i]);
		while (n > 1 && ref->dirs[i][n - 1] == '/')
			n--;
		if (strncmp(real, ref->dirs[i], n) == 0 && real[n] == '/')
			r = 0;
	}
	free(real);
	return (r);
}

/* in, out: its ends. Its group is its own, so that all of it can be ended. */
static int
start(const struct ref *ref, int in, int out, pid_t *ret)
{
	posix_spawn_file_actions_t	 fa;
	posix_spawnattr_t		 at;
	sigset_t			 none, all;
	int				 r;

	(void)sigemptyset(&none);
	(void)sigfillset(&all);
	if (posix_spawn_file_actions_init(&fa) != 0)
		return (-ENOMEM);
	if (posix_spawnattr_init(&at) != 0) {
		(void)posix_spawn_file_actions_destroy(&fa);
		return (-ENOMEM);
	}
	r = posix_spawnattr_setflags(&at, POSIX_SPAWN_SETPGROUP |
	    POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	r |= posix_spawnattr_setsigmask(&at, &none);
	r |= posix_spawnattr_setsigdefault(&at, &all);
	r |= posix_spawn_file_actions_adddup2(&fa, in, 0);
	r |= posix_spawn_file_actions_adddup2(&fa, out, 1);
	r |= posix_spawn_file_actions_addopen(&fa, 2, "/dev/null", O_WRONLY, 0);
	/* Whatever a service manager left open is not for it. */
	r |= posix_spawn_file_actions_addclosefrom_np(&fa, 3);
	r = r != 0 ? -ENOMEM : -posix_spawn(ret, ref->path, &fa, &at, ref->argv,
	    ref->env);
	(void)posix_spawnattr_destroy(&at);
	(void)posix_spawn_file_actions_destroy(&fa);
	return (r);
}

/* Until the deadline, or what poll() says first. */
static int
wait_for(struct pollfd *p, nfds_t n, uint64_t end_us)
{
	uint64_t	 now = clock_now_us();
	int		 r;

	if (now >= end_us)
		return (-ETIMEDOUT);
	r = poll(p, n, (int)((end_us - now) / 1000 + 1));
	return (r < 0 && errno != EINTR ? -errno : 0);
}

/* Says the question and reads the answer to its end. */
static int
talk(const struct ref *ref, int *in, int out, char *text, size_t *ret_len,
    uint64_t end_us)
{
	size_t		 said = 0, len = 0, n = strlen(ref->question);
	struct pollfd	 p[2];
	ssize_t		 k;
	int		 r;

	for (;;) {
		p[0] = (struct pollfd){ .fd = out, .events = POLLIN };
		p[1] = (struct pollfd){ .fd = *in, .events = POLLOUT };
		r = wait_for(p, 2, end_us);
		if (r < 0)
			return (r);
		if (p[1].revents != 0) {
			k = write(*in, ref->question + said, n - said);
			said += k > 0 ? (size_t)k : 0;
			/* It need not read what it was asked. */
			if (said == n || (k < 0 && errno != EAGAIN &&
			    errno != EINTR)) {
				(void)close(*in);
				*in = -1;
			}
		}
		if (p[0].revents == 0)
			continue;
		k = read(out, text + len, ref->max - len + 1);
		if (k < 0 && errno != EAGAIN && errno != EINTR)
			return (-errno);
		if (k == 0)
			break;
		len += k > 0 ? (size_t)k : 0;
		if (len > ref->max)
			return (-EFBIG);
	}
	text[len] = '\0';
	*ret_len = len;
	return (0);
}

/* 0: it ended well before the deadline. It is gone in any case. */
static int
end(pid_t pid, int r, uint64_t end_us)
{
	int	 status = 0;
	pid_t	 w = 0;

	while (r == 0 && (w = waitpid(pid, &status, WNOHANG)) == 0 &&
	    clock_now_us() < end_us)
		(void)poll(NULL, 0, LOOK_MS);
	(void)kill(-pid, SIGKILL);
	while (w != pid && (w = waitpid(pid, &status, 0)) < 0 && errno == EINTR)
		continue;
	if (r == 0 && (!WIFEXITED(status) || WEXITSTATUS(status) != 0))
		r = -EPROTO;
	return (r);
}

int
ref_run(const struct ref *ref, char **ret_text, size_t *ret_len)
{
	uint64_t	 end_us = clock_now_us() + ref->timeout_us;
	int		 in[2] = { -1, -1 }, out[2] = { -1, -1 }, r;
	char		*text;
	pid_t		 pid;

	r = check_command(ref);
	if (r < 0)
		return (r);
	text = malloc(ref->max + 2);
	if (text == NULL)
		return (-ENOMEM);
	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0 ||
	    fcntl(in[1], F_SETFL, O_NONBLOCK) < 0)
		r = -errno;
	if (r == 0)
		r = start(ref, in[0], out[1], &pid);
	(void)close(in[0]);
	(void)close(out[1]);
	if (r == 0) {
		r = talk(ref, &in[1], out[0], text, ret_len, end_us);
		r = end(pid, r, end_us);
	}
	if (in[1] >= 0)
		(void)close(in[1]);
	if (out[0] >= 0)
		(void)close(out[0]);
	if (r == 0) {
		*ret_text = text;
		return (0);
	}
	secret_wipe(text, ref->max + 2);
	free(text);
	return (r);
}
