/* SPDX-License-Identifier: MIT */
/* What a node can be asked, apart from running programs. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "core/base/utf8.h"
#include "core/client/chela_node.h"
#include "core/json/json.h"
#include "plugins/process/spawn.h"

/* --- system.which --- */

static void
cmd_which(const struct invoke *in)
{
	struct json_object	*bins = json_get_arr(in->params, "bins");
	struct json_object	*o, *found, *s;
	char			 path[PATH_MAX];
	size_t			 i, n;

	n = bins == NULL ? 0 : json_object_array_length(bins);
	if (bins == NULL || n > NODE_BINS_MAX) {
		node_refuse(in->node, in->id, "INVALID_REQUEST",
		    "bins has to be an array of names");
		return;
	}
	found = json_object_new_object();
	for (i = 0; i < n; i++) {
		s = json_object_array_get_idx(bins, i);
		if (json_object_is_type(s, json_type_string) &&
		    strchr(json_object_get_string(s), '/') == NULL &&
		    spawn_find(json_object_get_string(s), getenv("PATH"), path,
		    sizeof path) == 0)
			(void)json_add_str(found, json_object_get_string(s),
			    path);
	}
	o = json_object_new_object();
	(void)json_add(o, "bins", found);
	node_answer(in->node, in->id, o);
}

/* --- fs.listDir --- */

static int
entry_cmp(const void *a, const void *b)
{
	const char	*p = *(const char *const *)a;
	const char	*q = *(const char *const *)b;
	int		 c = (*p == '.') - (*q == '.');

	return (c != 0 ? c : strcmp(p, q));
}

/* Folders, and links to such; names that JSON can hold. */
static bool
is_folder(DIR *d, const struct dirent *e)
{
	struct stat	 st;

	if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
	    !utf8_is_valid(e->d_name, strlen(e->d_name)))
		return (false);
	if (e->d_type == DT_DIR)
		return (true);
	return ((e->d_type == DT_LNK || e->d_type == DT_UNKNOWN) &&
	    fstatat(dirfd(d), e->d_name, &st, 0) == 0 && S_ISDIR(st.st_mode));
}

static char **
folders_read(const char *path, size_t *ret_n, int *ret_r)
{
	DIR		*d = opendir(path);
	struct dirent	*e;
	char		**names;
	size_t		 n = 0;

	*ret_r = d == NULL ? -errno : 0;
	if (d == NULL)
		return (NULL);
	names = calloc(NODE_ENTRIES_MAX, sizeof *names);
	while (names != NULL && n < NODE_ENTRIES_MAX &&
	    (e = readdir(d)) != NULL) {
		if (!is_folder(d, e))
			continue;
		names[n] = strdup(e->d_name);
		if (names[n] == NULL)
			break;
		n++;
	}
	(void)closedir(d);
	if (names == NULL)
		*ret_r = -ENOMEM;
	else
		qsort(names, n, sizeof *names, entry_cmp);
	*ret_n = n;
	return (names);
}

static struct json_object *
entry_of(const char *folder, const char *name)
{
	struct json_object	*o = json_object_new_object();
	struct buf		 path = BUF_INIT;

	(void)buf_printf(&path, "%s%s%s", folder,
	    strcmp(folder, "/") == 0 ? "" : "/", name);
	(void)json_add_str(o, "name", name);
	(void)json_add(o, "path", json_object_new_string_len(path.data,
	    (int)path.len));
	if (*name == '.')
		(void)json_add_bool(o, "hidden", true);
	buf_fini(&path);
	return (o);
}

static void
cmd_list_dir(const struct invoke *in)
{
	const char		*home = getenv("HOME");
	const char		*path = json_get_str(in->params, "path");
	struct json_object	*o, *list;
	char			 folder[PATH_MAX], *slash, **names;
	size_t			 i, n = 0;
	int			 r;

	if (home == NULL || *home != '/')
		home = "/";
	if (path == NULL)
		path = home;
	if (*path != '/' || strlen(path) >= sizeof folder) {
		node_refuse(in->node, in->id, "INVALID_REQUEST",
		    "fs.listDir path must be absolute");
		return;
	}
	(void)snprintf(folder, sizeof folder, "%s", path);
	while ((i = strlen(folder)) > 1 && folder[i - 1] == '/')
		folder[i - 1] = '\0';
	names = folders_read(folder, &n, &r);
	if (names == NULL) {
		node_refuse(in->node, in->id, "INVALID_REQUEST",
		    "the folder cannot be read (%s)", strerror(-r));
		return;
	}
	list = json_object_new_array();
	for (i = 0; i < n; i++) {
		(void)json_push(list, entry_of(folder, names[i]));
		free(names[i]);
	}
	free(names);
	o = json_object_new_object();
	(void)json_add_str(o, "path", folder);
	slash = strrchr(folder, '/');
	if (folder[1] != '\0') {
		slash[slash == folder ? 1 : 0] = '\0';
		(void)json_add_str(o, "parent", folder);
	}
	(void)json_add_str(o, "home", home);
	(void)json_add(o, "entries", list);
	node_answer(in->node, in->id, o);
}

/* --- the table --- */

static const struct {
	const char	*name;
	void		(*fn)(const struct invoke *in);
} commands[] = {
	{ "fs.listDir", cmd_list_dir },
	{ "system.execApprovals.get", node_policy_get },
	{ "system.execApprovals.set", node_policy_set },
	{ "system.notify", node_notify },
	{ "system.run", node_run },
	{ "system.run.prepare", node_run_prepare },
	{ "system.which", cmd_which },
};

/* What is declared to the gateway: the same names. */
const char *const node_commands[] = {
	"fs.listDir", "system.execApprovals.get", "system.execApprovals.set",
	"system.notify", "system.run", "system.run.prepare", "system.which",
	NULL,
};
_Static_assert(ARRAY_LEN(node_commands) == ARRAY_LEN(commands) + 1,
    "each command is declared");

void
node_invoked(const struct invoke *in)
{
	size_t	 i;

	for (i = 0; i < ARRAY_LEN(commands); i++) {
		if (strcmp(commands[i].name, in->command) == 0) {
			commands[i].fn(in);
			return;
		}
	}
	node_refuse(in->node, in->id, "INVALID_REQUEST",
	    "this node does not know '%.100s'", in->command);
}

/* --- the machine --- */

struct json_object *
node_stats(void)
{
	struct json_object	*o = json_object_new_object(), *list;
	struct sysinfo		 si;
	struct statvfs		 vfs;
	double			 load[3];
	long			 n = sysconf(_SC_NPROCESSORS_ONLN);
	int			 i;

	(void)json_add_int(o, "cpuCount", n > 0 ? n : 1);
	if (getloadavg(load, 3) == 3) {
		list = json_object_new_array();
		for (i = 0; i < 3; i++)
			(void)json_push(list, json_object_new_double(load[i]));
		(void)json_add(o, "loadAverage", list);
	}
	if (sysinfo(&si) == 0) {
		(void)json_add_int(o, "memoryTotalBytes",
		    (int64_t)si.totalram * si.mem_unit);
		(void)json_add_int(o, "memoryFreeBytes",
		    (int64_t)(si.freeram + si.bufferram) * si.mem_unit);
	}
	if (statvfs("/", &vfs) == 0) {
		(void)json_add_int(o, "diskTotalBytes",
		    (int64_t)(vfs.f_blocks * vfs.f_frsize));
		(void)json_add_int(o, "diskAvailableBytes",
		    (int64_t)(vfs.f_bavail * vfs.f_frsize));
	}
	return (o);
}
