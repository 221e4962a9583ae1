/* SPDX-License-Identifier: MIT */
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATH_DEFAULT	"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:" \
			"/sbin:/bin"
#define FD_FIRST_OTHER	3

extern char	**environ;

void
spawn_close(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

/* Ours never blocks; the child's is as a program expects it. */
static int
pipe_new(int fds[2], int ours)
{
	if (pipe2(fds, O_CLOEXEC) < 0)
		return (-errno);
	if (fcntl(fds[ours], F_SETFL, O_NONBLOCK) < 0)
		return (-errno);
	return (0);
}

static int
pidfd_of(pid_t pid)
{
	int	 fd = (int)syscall(SYS_pidfd_open, pid, 0);

	return (fd < 0 ? -errno : fd);
}

/*
 * Signals as a program expects them, a session of its own so that no terminal
 * and no signal of ours reaches it, and no descriptor but three.
 */
static int
spawn_run(const struct spawn *s, const int std[3], pid_t *ret_pid)
{
	posix_spawn_file_actions_t	 fa;
	posix_spawnattr_t		 at;
	sigset_t			 all, none;
	int				 i, r;

	(void)sigfillset(&all);
	(void)sigemptyset(&none);
	r = posix_spawn_file_actions_init(&fa);
	if (r != 0)
		return (-r);
	r = posix_spawnattr_init(&at);
	if (r != 0) {
		(void)posix_spawn_file_actions_destroy(&fa);
		return (-r);
	}
	r = posix_spawnattr_setflags(&at, POSIX_SPAWN_SETSIGDEF |
	    POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID);
	if (r == 0)
		r = posix_spawnattr_setsigdefault(&at, &all);
	if (r == 0)
		r = posix_spawnattr_setsigmask(&at, &none);
	for (i = 0; r == 0 && i < 3; i++)
		r = posix_spawn_file_actions_adddup2(&fa, std[i], i);
	if (r == 0)
		r = posix_spawn_file_actions_addclosefrom_np(&fa,
		    FD_FIRST_OTHER);
	if (r == 0)
		r = posix_spawn_file_actions_addchdir_np(&fa,
		    s->cwd != NULL ? s->cwd : "/");
	if (r == 0)
		r = posix_spawn(ret_pid, s->path, &fa, &at,
		    (char *const *)(const void *)s->argv, s->env);
	(void)posix_spawnattr_destroy(&at);
	(void)posix_spawn_file_actions_destroy(&fa);
	return (-r);
}

/* What cannot be said to posix_spawn() holds from its first moments on. */
static void
spawn_limit(pid_t pid, uint64_t max_memory)
{
	struct rlimit	 none = { 0, 0 }, mem;

	(void)prlimit(pid, RLIMIT_CORE, &none, NULL);
	if (max_memory != 0) {
		mem.rlim_cur = mem.rlim_max = max_memory;
		(void)prlimit(pid, RLIMIT_AS, &mem, NULL);
	}
}

int
spawn_start(const struct spawn *s, struct spawned *ret)
{
	struct spawn	 mine = *s;
	char		 found[PATH_MAX];
	int		 in[2] = { -1, -1 }, out[2] = { -1, -1 };
	int		 err[2] = { -1, -1 }, std[3], r, i;
	struct spawned	 c = { -1, -1, -1, -1, -1 };

	if (mine.path == NULL) {
		r = spawn_find(s->argv[0], getenv("PATH"), found, sizeof found);
		if (r < 0)
			return (r);
		mine.path = found;
	}
	if (s->has_input)
		r = pipe_new(in, 1);
	else {
		in[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
		r = in[0] < 0 ? -errno : 0;
	}
	if (r == 0)
		r = pipe_new(out, 0);
	if (r == 0)
		r = pipe_new(err, 0);
	std[0] = in[0];
	std[1] = out[1];
	std[2] = err[1];
	/* dup2() onto itself would keep the close-on-exec flag. */
	for (i = 0; r == 0 && i < 3; i++) {
		if (std[i] < FD_FIRST_OTHER)
			r = -EBADF;
	}
	if (r == 0)
		r = spawn_run(&mine, std, &c.pid);
	if (r == 0) {
		spawn_limit(c.pid, s->max_memory);
		c.pidfd = pidfd_of(c.pid);
		if (c.pidfd < 0) {
			r = c.pidfd;
			(void)kill(-c.pid, SIGKILL);
			while (waitpid(c.pid, NULL, 0) < 0 && errno == EINTR)
				;
		}
	}
	spawn_close(&in[0]);
	spawn_close(&out[1]);
	spawn_close(&err[1]);
	if (r < 0) {
		spawn_close(&in[1]);
		spawn_close(&out[0]);
		spawn_close(&err[0]);
		return (r);
	}
	c.in = in[1];
	c.out = out[0];
	c.err = err[0];
	*ret = c;
	return (0);
}

void
spawn_signal(const struct spawned *c, int sig)
{
	if (c->pid > 0)
		(void)kill(-c->pid, sig);
}

static int
reap(struct spawned *c, int options, int *ret_code, int *ret_signal)
{
	siginfo_t	 si;
	int		 r;

	memset(&si, 0, sizeof si);
	do {
		r = waitid(P_PID, (id_t)c->pid, &si, WEXITED | WNOWAIT |
		    options);
	} while (r < 0 && errno == EINTR);
	if (r == 0 && si.si_pid == 0)
		return (0);
	*ret_code = -1;
	*ret_signal = 0;
	if (r == 0 && si.si_code == CLD_EXITED)
		*ret_code = si.si_status;
	else if (r == 0)
		*ret_signal = si.si_status;
	/* Its number is still taken: nobody else's group can be hit. */
	(void)kill(-c->pid, SIGKILL);
	while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
		;
	c->pid = -1;
	spawn_close(&c->pidfd);
	return (1);
}

int
spawn_reap(struct spawned *c, int *ret_code, int *ret_signal)
{
	return (reap(c, WNOHANG, ret_code, ret_signal));
}

void
spawn_end(struct spawned *c)
{
	int	 code, sig;

	if (c->pid > 0) {
		spawn_signal(c, SIGKILL);
		(void)reap(c, 0, &code, &sig);
	}
	spawn_close(&c->in);
	spawn_close(&c->out);
	spawn_close(&c->err);
}

/* --- programs --- */

static int
is_program(const char *path)
{
	struct stat	 st;

	if (stat(path, &st) < 0)
		return (-errno);
	if (!S_ISREG(st.st_mode) || access(path, X_OK) < 0)
		return (-EACCES);
	return (0);
}

int
spawn_find(const char *name, const char *path_env, char *ret, size_t size)
{
	const char	*p, *end;
	int		 r = -ENOENT, n;

	if (*name == '\0')
		return (-ENOENT);
	if (strchr(name, '/') != NULL) {
		/* Relative to what? Only the caller could know. */
		if (*name != '/')
			return (-ENOENT);
		n = snprintf(ret, size, "%s", name);
		if (n < 0 || (size_t)n >= size)
			return (-ENAMETOOLONG);
		return (is_program(ret));
	}
	if (path_env == NULL)
		path_env = PATH_DEFAULT;
	for (p = path_env; p != NULL; p = *end == ':' ? end + 1 : NULL) {
		end = strchrnul(p, ':');
		if (*p != '/')
			continue;
		n = snprintf(ret, size, "%.*s/%s", (int)(end - p), p, name);
		if (n < 0 || (size_t)n >= size)
			continue;
		n = is_program(ret);
		if (n == 0)
			return (0);
		if (n == -EACCES)
			r = n;
	}
	return (r);
}

/* --- environment --- */

/* What a child takes over from us: where it is, who it is for, its language. */
static const char *const kept[] = {
	"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ",
	"TMPDIR", "XDG_RUNTIME_DIR", NULL,
};

/*
 * What a caller may say: how things are written, nothing that decides what is
 * run or loaded.
 */
static const char *const settable[] = {
	"LANG", "LANGUAGE", "TZ", "TERM", "COLUMNS", "LINES", "NO_COLOR",
	"CLICOLOR", "FORCE_COLOR", "CI", NULL,
};

static size_t
name_len(const char *s)
{
	return (strcspn(s, "="));
}

static bool
name_in(const char *const *list, const char *name, size_t len)
{
	for (; *list != NULL; list++) {
		if (strlen(*list) == len && memcmp(*list, name, len) == 0)
			return (true);
	}
	return (false);
}

/* LC_ALL, LC_TIME, ... */
static bool
is_locale(const char *name, size_t len)
{
	size_t	 i;

	if (len < 4 || len > 32 || memcmp(name, "LC_", 3) != 0)
		return (false);
	for (i = 3; i < len; i++) {
		if ((name[i] < 'A' || name[i] > 'Z') && name[i] != '_')
			return (false);
	}
	return (true);
}

bool
spawn_env_allowed(const char *name)
{
	size_t	 len = name_len(name);

	return (name_in(settable, name, len) || is_locale(name, len));
}

static bool
is_also(const char *also, const char *name, size_t len)
{
	const char	*p, *end;

	for (p = also; p != NULL; p = *end == ',' ? end + 1 : NULL) {
		end = strchrnul(p, ',');
		if (len > 0 && (size_t)(end - p) == len &&
		    memcmp(p, name, len) == 0)
			return (true);
	}
	return (false);
}

void
spawn_env_free(char **env)
{
	size_t	 i;

	if (env == NULL)
		return;
	for (i = 0; env[i] != NULL; i++)
		free(env[i]);
	free(env);
}

/* The later of two of one name wins. */
static int
env_add(char **env, size_t *n, const char *text)
{
	size_t	 i, len = name_len(text);
	char	*copy;

	if (len == 0 || text[len] != '=')
		return (-EINVAL);
	copy = strdup(text);
	if (copy == NULL)
		return (-ENOMEM);
	for (i = 0; i < *n; i++) {
		if (strncmp(env[i], text, len + 1) == 0) {
			free(env[i]);
			env[i] = copy;
			return (0);
		}
	}
	if (*n == SPAWN_ENV_MAX) {
		free(copy);
		return (-E2BIG);
	}
	env[(*n)++] = copy;
	return (0);
}

static int
env_build(const char *const *extra, const char *also, bool is_exact,
    char ***ret)
{
	char	**env;
	size_t	 i, n = 0;
	int	 r = 0;

	env = calloc(SPAWN_ENV_MAX + 1, sizeof *env);
	if (env == NULL)
		return (-ENOMEM);
	for (i = 0; !is_exact && r == 0 && environ != NULL &&
	    environ[i] != NULL; i++) {
		if (name_in(kept, environ[i], name_len(environ[i])) ||
		    is_locale(environ[i], name_len(environ[i])))
			r = env_add(env, &n, environ[i]);
	}
	for (i = 0; r == 0 && extra != NULL && extra[i] != NULL; i++) {
		if (!is_exact && !spawn_env_allowed(extra[i]) &&
		    !is_also(also, extra[i], name_len(extra[i])))
			r = -EPERM;
		else
			r = env_add(env, &n, extra[i]);
	}
	if (r < 0) {
		spawn_env_free(env);
		return (r);
	}
	*ret = env;
	return (0);
}

int
spawn_env_make(const char *const *extra, const char *also, char ***ret)
{
	return (env_build(extra, also, false, ret));
}

int
spawn_env_copy(const char *const *extra, char ***ret)
{
	return (env_build(extra, NULL, true, ret));
}
