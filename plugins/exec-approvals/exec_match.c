/* SPDX-License-Identifier: MIT */
/*
 * What the policy document says of a plan. Runs on a worker: it looks at files,
 * and touches nothing but its arguments.
 *
 * A rule speaks of a program by its resolved path. What runs other programs
 * (shells, env, xargs, interpreters, find -exec) says nothing by its path
 * alone: such a rule must bind the arguments too, or a person is asked.
 */
#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "exec_priv.h"

#define GLOB_STEPS_MAX		100000u
#define PATTERN_MAX		65536u	/* bytes of an argument pattern */
#define MATCH_LIMIT		100000u
#define DEPTH_LIMIT		1000u
#define HEAP_LIMIT_KIB		1024u
#define SUBJECT_MAX		(2 * CHELA_PLAN_BYTES_MAX)

/* Programs that run what their arguments say. Sorted. */
static const char *const wrappers[] = {
	"ash", "awk", "bash", "bun", "busybox", "bwrap", "chroot", "chrt",
	"cmake", "cpulimit", "csh", "dash", "dbus-run-session", "deno", "doas",
	"docker", "ed", "emacs", "entr", "env", "ex", "expect", "fakeroot",
	"faketime", "firejail", "fish", "flock", "gawk", "gdb", "ionice",
	"ksh", "ld", "less", "ltrace", "lua", "luajit", "make", "man", "mawk",
	"mksh", "more", "nawk", "nc", "ncat", "nice", "node", "nodejs",
	"nohup", "npm", "npx", "nsenter", "numactl", "parallel", "perl", "php",
	"pip", "pipx", "pnpm", "podman", "prlimit", "proot", "pwsh", "python",
	"rsync", "ruby", "run-parts", "runuser", "rvim", "script", "sed",
	"setarch", "setpriv", "setsid", "sh", "socat", "ssh", "stdbuf",
	"strace", "su", "sudo", "systemd-run", "tar", "taskset", "tclsh",
	"tcsh", "time", "timeout", "toybox", "unshare", "uv", "uvx", "vi",
	"vim", "watch", "xargs", "xterm", "yarn", "zsh",
};

/* Variables that change what a person reads and not what runs. */
static const char *const harmless_env[] = {
	"LANG", "LC_ALL", "LC_CTYPE", "LC_MESSAGES", "NO_COLOR", "TERM", "TZ",
};

/* Filters that read their input alone, with these short options only. */
static const struct {
	const char	*name;
	const char	*options;
} safe_bins[] = {
	{ "cut", "bcdfsnz0123456789,-" },
	{ "grep", "abcEFGHhiLlnoqsvwxz0123456789" },
	{ "head", "cnqvz0123456789" },
	{ "tail", "cnqvz0123456789" },
	{ "tr", "cdst" },
	{ "uniq", "cdiuzfsw0123456789" },
	{ "wc", "clmLw" },
};

/* --- globs --- */

static bool
glob_step(const char *g, const char *s, unsigned *steps)
{
	while (*g != '\0') {
		if (++*steps > GLOB_STEPS_MAX)
			return (false);
		if (*g == '*') {
			bool	deep = g[1] == '*';

			while (*g == '*')
				g++;
			for (;; s++) {
				if (glob_step(g, s, steps))
					return (true);
				if (*s == '\0' || (!deep && *s == '/') ||
				    *steps > GLOB_STEPS_MAX)
					return (false);
			}
		}
		if (*s == '\0' || (*g == '?' ? *s == '/' : *g != *s))
			return (false);
		g++;
		s++;
	}
	return (*s == '\0');
}

bool
glob_match(const char *glob, const char *path)
{
	unsigned	steps = 0;

	return (glob_step(glob, path, &steps));
}

/* --- arguments --- */

static bool
subject_of(struct json_object *argv, bool by_nul, char *buf, size_t *ret_len)
{
	size_t		 i, n = json_object_array_length(argv), len = 0, k;
	const char	*s;

	for (i = 1; i < n; i++) {
		s = json_object_get_string(json_object_array_get_idx(argv, i));
		k = strlen(s);
		if (len + k + 1 > SUBJECT_MAX)
			return (false);
		/* Joined by blanks, arguments with blanks could be others. */
		if (!by_nul && (k == 0 || strpbrk(s, " \t\n\v\f\r") != NULL))
			return (false);
		if (!by_nul && i > 1)
			buf[len++] = ' ';
		memcpy(buf + len, s, k);
		len += k;
		if (by_nul)
			buf[len++] = '\0';
	}
	*ret_len = len;
	return (true);
}

/*
 * The whole of the arguments, from the first byte to the last. A pattern that
 * names NUL sees each argument ended by one; "." does not match it, so that
 * what stands for one argument cannot take in a second. Limits end what would
 * take too long, and what has not been shown to match does not.
 */
bool
args_match(const char *pattern, size_t len, struct json_object *argv)
{
	pcre2_compile_context	*cc = NULL;
	pcre2_match_context	*mc = NULL;
	pcre2_match_data	*md = NULL;
	pcre2_code		*code = NULL;
	PCRE2_SIZE		 at;
	size_t			 n = 0;
	char			*subject = NULL;
	bool			 by_nul, fits = false;
	int			 err;

	if (len > PATTERN_MAX)
		return (false);
	by_nul = memchr(pattern, '\0', len) != NULL ||
	    memmem(pattern, len, "\\x00", 4) != NULL ||
	    memmem(pattern, len, "\\u0000", 6) != NULL;
	subject = malloc(SUBJECT_MAX + 1);
	cc = pcre2_compile_context_create(NULL);
	mc = pcre2_match_context_create(NULL);
	if (subject == NULL || cc == NULL || mc == NULL ||
	    !subject_of(argv, by_nul, subject, &n))
		goto out;
	if (pcre2_set_newline(cc, PCRE2_NEWLINE_NUL) != 0 ||
	    pcre2_set_compile_extra_options(cc,
	    PCRE2_EXTRA_ALT_BSUX) != 0)
		goto out;
	code = pcre2_compile((PCRE2_SPTR)pattern, len, PCRE2_UTF |
	    PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_DOLLAR_ENDONLY |
	    PCRE2_NEVER_BACKSLASH_C | PCRE2_MATCH_UNSET_BACKREF, &err, &at, cc);
	if (code == NULL)
		goto out;
	md = pcre2_match_data_create(1, NULL);
	if (md == NULL)
		goto out;
	(void)pcre2_set_match_limit(mc, MATCH_LIMIT);
	(void)pcre2_set_depth_limit(mc, DEPTH_LIMIT);
	(void)pcre2_set_heap_limit(mc, HEAP_LIMIT_KIB);
	fits = pcre2_match(code, (PCRE2_SPTR)subject, n, 0, 0, md, mc) >= 0;
out:
	pcre2_match_data_free(md);
	pcre2_code_free(code);
	pcre2_match_context_free(mc);
	pcre2_compile_context_free(cc);
	free(subject);
	return (fits);
}

char *
args_pattern(struct json_object *argv)
{
	size_t		 i, n = json_object_array_length(argv), size = 8;
	const char	*s;
	char		*out, *w;

	for (i = 1; i < n; i++)
		size += 2 * strlen(json_object_get_string(
		    json_object_array_get_idx(argv, i))) + 4;
	out = malloc(size);
	if (out == NULL)
		return (NULL);
	w = stpcpy(out, "^");
	for (i = 1; i < n; i++) {
		for (s = json_object_get_string(json_object_array_get_idx(argv,
		    i)); *s != '\0'; s++) {
			if (strchr("\\^$.|?*+()[]{}#-/", *s) != NULL)
				*w++ = '\\';
			*w++ = *s;
		}
		w = stpcpy(w, "\\x00");
	}
	/* Without arguments: a NUL that is looked for, and is not there. */
	(void)stpcpy(w, n == 1 ? "(?!\\x00)$" : "$");
	return (out);
}

/* --- programs --- */

static bool
is_program(const char *path)
{
	struct stat	st;

	return (stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
	    access(path, X_OK) == 0);
}

/* What would run: found as execvp(3) does, then without any link. */
static bool
resolve(const char *name, char ret_found[PATH_MAX], char ret_real[PATH_MAX])
{
	const char	*path = getenv("PATH"), *end;
	size_t		 n;

	if (*name == '/') {
		if (snprintf(ret_found, PATH_MAX, "%s", name) >= PATH_MAX)
			return (false);
		return (is_program(ret_found) &&
		    realpath(ret_found, ret_real) != NULL);
	}
	/* Relative to a directory that may be another one by then. */
	if (strchr(name, '/') != NULL || path == NULL)
		return (false);
	for (;; path = end + 1) {
		end = strchrnul(path, ':');
		n = (size_t)(end - path);
		/* A relative entry decides nothing, and hides what follows. */
		if (n == 0 || *path != '/')
			return (false);
		if (snprintf(ret_found, PATH_MAX, "%.*s/%s", (int)n, path,
		    name) < PATH_MAX && is_program(ret_found))
			return (realpath(ret_found, ret_real) != NULL);
		if (*end == '\0')
			return (false);
	}
}

static int
wrapper_cmp(const void *key, const void *member)
{
	return (strcmp(key, *(const char *const *)member));
}

static bool
name_wraps(const char *path)
{
	const char	*base = strrchr(path, '/');
	char		 name[64];
	size_t		 n;

	base = base == NULL ? path : base + 1;
	if (strncmp(base, "ld-", 3) == 0 || strncmp(base, "ld.so", 5) == 0)
		return (true);
	(void)snprintf(name, sizeof name, "%s", base);
	/* python3.11, perl5.36.0, lua5.4 */
	n = strlen(name);
	while (n > 1 && (isdigit((unsigned char)name[n - 1]) ||
	    name[n - 1] == '.'))
		n--;
	name[n] = '\0';
	return (bsearch(name, wrappers, sizeof wrappers / sizeof wrappers[0],
	    sizeof wrappers[0], wrapper_cmp) != NULL);
}

static const char *
base_of(const char *path)
{
	const char	*s = strrchr(path, '/');

	return (s == NULL ? path : s + 1);
}

/* Do these arguments make it run something, or write where it likes? */
static bool
args_wrap(const char *base, struct json_object *argv)
{
	static const char *const acts[] = { "-exec", "-execdir", "-ok",
	    "-okdir", "-delete", "-fprint", "-fprint0", "-fprintf", "-fls" };
	size_t		 i, j, n = json_object_array_length(argv);
	const char	*s;

	if (strcmp(base, "find") == 0) {
		for (i = 1; i < n; i++) {
			s = json_object_get_string(
			    json_object_array_get_idx(argv, i));
			for (j = 0; j < sizeof acts / sizeof acts[0]; j++) {
				if (strcmp(s, acts[j]) == 0)
					return (true);
			}
		}
	}
	/* Options before the command set pagers, aliases, transports. */
	if (strcmp(base, "git") == 0)
		return (n < 2 || *json_object_get_string(
		    json_object_array_get_idx(argv, 1)) == '-');
	if (strcmp(base, "sort") == 0) {
		for (i = 1; i < n; i++) {
			s = json_object_get_string(
			    json_object_array_get_idx(argv, i));
			if (strncmp(s, "--co", 4) == 0)
				return (true);
		}
	}
	return (false);
}

static bool
env_is_harmless(struct json_object *env)
{
	size_t	i, n = sizeof harmless_env / sizeof harmless_env[0];

	json_object_object_foreach(env, name, value) {
		(void)value;
		for (i = 0; i < n && strcmp(name, harmless_env[i]) != 0; i++)
			;
		if (i == n)
			return (false);
	}
	return (true);
}

static bool
is_safe_bin(const char *real, struct json_object *plan)
{
	struct json_object	*argv = get_any(plan, "argv");
	const char		*base = base_of(real), *s;
	const char		*cwd = get_str(plan, "cwd");
	size_t			 i, j, n = json_object_array_length(argv);
	char			 path[PATH_MAX];
	struct stat		 st;

	if (strncmp(real, "/usr/bin/", 9) != 0 &&
	    strncmp(real, "/bin/", 5) != 0)
		return (false);
	for (i = 0; i < sizeof safe_bins / sizeof safe_bins[0]; i++) {
		if (strcmp(safe_bins[i].name, base) == 0)
			break;
	}
	if (i == sizeof safe_bins / sizeof safe_bins[0])
		return (false);
	for (j = 1; j < n; j++) {
		s = json_object_get_string(json_object_array_get_idx(argv, j));
		if (*s == '-' && s[1] != '\0') {
			if (strspn(s + 1, safe_bins[i].options) !=
			    strlen(s + 1))
				return (false);
			continue;
		}
		if (*s == '-' || *s == '~' || strchr(s, '/') != NULL ||
		    strcmp(s, ".") == 0 || strcmp(s, "..") == 0)
			return (false);
		if (snprintf(path, sizeof path, "%s/%s",
		    cwd != NULL ? cwd : "/", s) >= (int)sizeof path ||
		    lstat(path, &st) == 0)
			return (false);
	}
	return (true);
}

/* --- rules --- */

static bool
path_fits(const char *pattern, const char *real)
{
	const char	*home = getenv("HOME");
	char		 full[PATH_MAX], target[PATH_MAX];

	if (strpbrk(pattern, "/~\\") == NULL)
		return (false);
	if (pattern[0] == '~' && (pattern[1] == '/' || pattern[1] == '\0')) {
		if (home == NULL || *home != '/' ||
		    snprintf(full, sizeof full, "%s%s", home, pattern + 1) >=
		    (int)sizeof full)
			return (false);
	} else if (snprintf(full, sizeof full, "%s", pattern) >=
	    (int)sizeof full) {
		return (false);
	}
	if (*full != '/')
		return (false);
	if (glob_match(full, real))
		return (true);
	/* A rule may name a link: it means where that leads. */
	return (strpbrk(full, "*?") == NULL &&
	    realpath(full, target) != NULL && strcmp(target, real) == 0);
}

static struct json_object *
agent_of(struct json_object *doc, const char *id)
{
	struct json_object	*a = get_any(get_any(doc, "agents"), id);

	return (json_object_is_type(a, json_type_object) ? a : NULL);
}

static struct json_object *
rule_find(struct json_object *agent, struct json_object *plan,
    const char *real, bool must_bind)
{
	struct json_object	*list = get_any(agent, "allowlist"), *rule, *v;
	size_t			 i, n;

	if (!json_object_is_type(list, json_type_array))
		return (NULL);
	n = json_object_array_length(list);
	for (i = 0; i < n; i++) {
		rule = json_object_array_get_idx(list, i);
		if (get_str(rule, "pattern") == NULL ||
		    !path_fits(get_str(rule, "pattern"), real))
			continue;
		v = get_any(rule, "argPattern");
		if (v == NULL) {
			if (!must_bind)
				return (rule);
			continue;
		}
		if (json_object_is_type(v, json_type_string) &&
		    args_match(json_object_get_string(v),
		    (size_t)json_object_get_string_len(v),
		    get_any(plan, "argv")))
			return (rule);
	}
	return (NULL);
}

/* The first that says it: the agent, all agents, the defaults. */
static const char *
setting(struct json_object *doc, const char *agent, const char *name,
    const char *const *known, const char *none, const char *strict)
{
	struct json_object	*from[3];
	struct json_object	*v = NULL;
	size_t			 i;

	from[0] = agent != NULL ? agent_of(doc, agent) : NULL;
	from[1] = agent != NULL ? agent_of(doc, "*") : NULL;
	from[2] = get_any(doc, "defaults");
	for (i = 0; i < 3 && v == NULL; i++)
		v = get_any(from[i], name);
	if (v == NULL)
		return (none);
	for (i = 0; known[i] != NULL; i++) {
		if (json_object_is_type(v, json_type_string) &&
		    strcmp(json_object_get_string(v), known[i]) == 0)
			return (known[i]);
	}
	/* A word that means nothing must not open anything. */
	return (strict);
}

static const char *const securities[] = { "deny", "allowlist", "full", NULL };
static const char *const asks[] = { "off", "on-miss", "always", NULL };

struct json_object *
policy_defaults(struct json_object *doc)
{
	struct json_object	*o = json_object_new_object(), *v;

	set_str(o, "security", setting(doc, NULL, "security", securities,
	    "deny", "deny"));
	set_str(o, "ask", setting(doc, NULL, "ask", asks, "on-miss", "always"));
	set_str(o, "askFallback", setting(doc, NULL, "askFallback", securities,
	    "deny", "deny"));
	v = get_any(get_any(doc, "defaults"), "autoAllowSkills");
	json_object_object_add(o, "autoAllowSkills", json_object_new_boolean(
	    json_object_is_type(v, json_type_boolean) &&
	    json_object_get_boolean(v)));
	return (o);
}

/* The rule that lets it through; *ret_is_safe: it needs none. */
static struct json_object *
match(struct json_object *doc, struct json_object *plan, const char *agent,
    struct verdict *ret, bool *ret_is_safe)
{
	struct json_object	*argv = get_any(plan, "argv"), *rule;
	char			 found[PATH_MAX], real[PATH_MAX];
	const char		*name;
	bool			 must_bind;

	name = json_object_get_string(json_object_array_get_idx(argv, 0));
	if (get_str(plan, "nodeId") != NULL) {
		(void)snprintf(ret->why, sizeof ret->why,
		    "the programs of a node are not known here");
		return (NULL);
	}
	if (!resolve(name, found, real)) {
		(void)snprintf(ret->why, sizeof ret->why,
		    "it is not known which program would run");
		return (NULL);
	}
	(void)snprintf(ret->resolved, sizeof ret->resolved, "%s", real);
	if (!env_is_harmless(get_any(plan, "env"))) {
		(void)snprintf(ret->why, sizeof ret->why,
		    "its environment can change what the program does");
		return (NULL);
	}
	must_bind = name_wraps(real) || name_wraps(found) || name_wraps(name) ||
	    args_wrap(base_of(real), argv) || args_wrap(base_of(found), argv);
	rule = rule_find(agent_of(doc, "*"), plan, real, must_bind);
	if (rule == NULL)
		rule = rule_find(agent_of(doc, agent), plan, real, must_bind);
	if (rule != NULL)
		return (rule);
	if (strchr(name, '/') == NULL && is_safe_bin(real, plan)) {
		*ret_is_safe = true;
		return (NULL);
	}
	(void)snprintf(ret->why, sizeof ret->why, must_bind ?
	    "it runs other programs, and no rule binds its arguments" :
	    "no rule allows it");
	return (NULL);
}

void
policy_judge(struct json_object *doc, struct json_object *plan,
    struct verdict *ret)
{
	const char	*agent = get_str(plan, "agentId"), *security, *ask, *fb;
	bool		 on_node = get_str(plan, "nodeId") != NULL, fits;
	bool		 is_safe = false;

	memset(ret, 0, sizeof(*ret));
	ret->policy = CHELA_POLICY_DENY;
	if (doc == NULL)
		return;
	if (agent == NULL || *agent == '\0' || strcmp(agent, "default") == 0)
		agent = "main";
	/* A node has a policy of its own; unless told, people are asked. */
	security = setting(doc, agent, "security", securities,
	    on_node ? "allowlist" : "deny", "deny");
	ask = setting(doc, agent, "ask", asks, "on-miss", "always");
	fb = setting(doc, agent, "askFallback", securities, "deny", "deny");
	if (strcmp(security, "deny") == 0) {
		(void)snprintf(ret->why, sizeof ret->why,
		    "the policy lets agent '%.60s' run nothing", agent);
		return;
	}
	ret->entry = match(doc, plan, agent, ret, &is_safe);
	fits = ret->entry != NULL || is_safe;
	ret->fallback = strcmp(fb, "full") == 0 ||
	    (strcmp(fb, "allowlist") == 0 && fits);
	if (strcmp(ask, "always") == 0)
		ret->policy = CHELA_POLICY_ASK;
	else if (strcmp(security, "full") == 0 || fits)
		ret->policy = CHELA_POLICY_ALLOW;
	else
		ret->policy = strcmp(ask, "off") == 0 ? CHELA_POLICY_DENY :
		    CHELA_POLICY_ASK;
	if (ret->policy == CHELA_POLICY_ALLOW)
		(void)snprintf(ret->why, sizeof ret->why, "the policy allows "
		    "it");
	else if (strcmp(ask, "always") == 0)
		(void)snprintf(ret->why, sizeof ret->why,
		    "the policy wants a person to decide each time");
}
