/* SPDX-License-Identifier: MIT */
/* system.info: the machine and the process. Looked up on a worker. */
#include "system.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

struct info {
	struct chela_req	*req;
	char			*path;		/* of the state */
	struct utsname		 uts;
	char			 os[128];
	char			 cpu[128];
	char			 address[INET_ADDRSTRLEN];
	long			 n_cpus;
	double			 load[3];
	int			 n_load;
	uint64_t		 mem_total;
	uint64_t		 mem_free;
	uint64_t		 disk_total;
	uint64_t		 disk_free;
	bool			 has_disk;
};

/* The value of the first line of a file that begins with a word. */
static bool
file_value(const char *path, const char *word, char *ret, size_t size)
{
	char	 line[512], *s, *end;
	size_t	 n = strlen(word);
	bool	 is_found = false;
	FILE	*f;

	f = fopen(path, "re");
	if (f == NULL)
		return (false);
	while (!is_found && fgets(line, sizeof line, f) != NULL) {
		if (strncmp(line, word, n) != 0)
			continue;
		s = line + n + strspn(line + n, " \t:=\"");
		end = s + strlen(s);
		while (end > s && strchr(" \t\r\n\"", end[-1]) != NULL)
			end--;
		*end = '\0';
		(void)snprintf(ret, size, "%s", s);
		is_found = true;
	}
	(void)fclose(f);
	return (is_found);
}

static uint64_t
meminfo(const char *word)
{
	char	 value[64];

	if (!file_value("/proc/meminfo", word, value, sizeof value))
		return (0);
	return (strtoull(value, NULL, 10) * 1024);
}

/* The first address of a running interface that leads out of this machine. */
static void
lan_address(char ret[INET_ADDRSTRLEN])
{
	struct ifaddrs	*all, *i;
	struct sockaddr_in sin;

	ret[0] = '\0';
	if (getifaddrs(&all) < 0)
		return;
	for (i = all; i != NULL && ret[0] == '\0'; i = i->ifa_next) {
		if (i->ifa_addr == NULL || i->ifa_addr->sa_family != AF_INET ||
		    (i->ifa_flags & (IFF_UP | IFF_LOOPBACK)) != IFF_UP)
			continue;
		memcpy(&sin, i->ifa_addr, sizeof sin);
		(void)inet_ntop(AF_INET, &sin.sin_addr, ret, INET_ADDRSTRLEN);
	}
	freeifaddrs(all);
}

static void
info_work(void *arg)
{
	struct info	*in = arg;
	struct statvfs	 fs;

	(void)uname(&in->uts);
	if (!file_value("/etc/os-release", "PRETTY_NAME=", in->os,
	    sizeof in->os))
		(void)snprintf(in->os, sizeof in->os, "%.100s",
		    in->uts.sysname);
	if (!file_value("/proc/cpuinfo", "model name", in->cpu, sizeof in->cpu))
		(void)file_value("/proc/cpuinfo", "Model", in->cpu,
		    sizeof in->cpu);
	in->n_cpus = sysconf(_SC_NPROCESSORS_ONLN);
	in->n_load = getloadavg(in->load, 3);
	in->mem_total = meminfo("MemTotal:");
	in->mem_free = meminfo("MemAvailable:");
	if (statvfs(in->path, &fs) == 0) {
		in->has_disk = true;
		in->disk_total = (uint64_t)fs.f_blocks * fs.f_frsize;
		in->disk_free = (uint64_t)fs.f_bavail * fs.f_frsize;
	}
	lan_address(in->address);
}

static int
add_text(struct json_object *o, const char *key, const char *s)
{
	return (json_add(o, key, json_object_new_string(s)));
}

static int
add_number(struct json_object *o, const char *key, uint64_t n)
{
	return (json_add(o, key, json_object_new_int64((int64_t)n)));
}

/* The names that clients know, which are those of another runtime. */
static const char *
arch_name(const char *machine)
{
	static const char *const names[][2] = { { "x86_64", "x64" },
		{ "aarch64", "arm64" }, { "i686", "ia32" },
		{ "armv7l", "arm" } };
	size_t	 i;

	for (i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (strcmp(names[i][0], machine) == 0)
			return (names[i][1]);
	}
	return (machine);
}

static int
add_load(const struct info *in, struct json_object *o)
{
	struct json_object	*list, *v;
	int			 i;

	if (in->n_load != 3)
		return (0);
	list = json_object_new_array();
	for (i = 0; list != NULL && i < 3; i++) {
		v = json_object_new_double(in->load[i]);
		if (v == NULL || json_object_array_add(list, v) < 0) {
			json_object_put(v);
			json_object_put(list);
			return (-ENOMEM);
		}
	}
	return (json_add(o, "loadAverage", list));
}

static int
info_fill(const struct info *in, struct json_object *o)
{
	char	 version[64];

	(void)snprintf(version, sizeof version, "chela %.50s",
	    sys.state->version());
	if (add_text(o, "machineName", in->uts.nodename) < 0 ||
	    add_text(o, "hostname", in->uts.nodename) < 0 ||
	    add_text(o, "platform", "linux") < 0 ||
	    add_text(o, "release", in->uts.release) < 0 ||
	    add_text(o, "arch", arch_name(in->uts.machine)) < 0 ||
	    add_text(o, "osLabel", in->os) < 0 ||
	    add_number(o, "port", sys.state->port()) < 0 ||
	    add_text(o, "nodeVersion", version) < 0 ||
	    add_number(o, "pid", (uint64_t)getpid()) < 0 ||
	    add_text(o, "processInstanceId", sys.state->boot_id()) < 0 ||
	    add_number(o, "uptimeMs", sys.state->uptime_ms()) < 0 ||
	    add_number(o, "cpuCount", (uint64_t)(in->n_cpus < 1 ? 1 :
	    in->n_cpus)) < 0 || add_load(in, o) < 0 ||
	    add_number(o, "memoryTotalBytes", in->mem_total) < 0 ||
	    add_number(o, "memoryFreeBytes", in->mem_free) < 0)
		return (-ENOMEM);
	if ((in->address[0] != '\0' &&
	    add_text(o, "lanAddress", in->address) < 0) ||
	    (in->cpu[0] != '\0' && add_text(o, "cpuModel", in->cpu) < 0))
		return (-ENOMEM);
	if (in->has_disk && (add_number(o, "diskTotalBytes", in->disk_total) < 0
	    || add_number(o, "diskAvailableBytes", in->disk_free) < 0 ||
	    add_text(o, "diskPath", in->path) < 0))
		return (-ENOMEM);
	return (0);
}

static void
info_free(struct info *in)
{
	sys.host->req_unref(in->req);
	free(in->path);
	free(in);
}

static void
info_done(struct chela_ctx *ctx, void *arg)
{
	struct info		*in = arg;
	struct json_object	*o = json_object_new_object();

	(void)ctx;
	if (o == NULL || info_fill(in, o) < 0) {
		json_object_put(o);
		(void)sys.host->req_fail(in->req, "UNAVAILABLE", "no memory");
	} else
		(void)sys.host->req_reply(in->req, o);
	info_free(in);
}

int
system_info(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct info	*in;

	(void)params;
	in = calloc(1, sizeof *in);
	if (in == NULL)
		return (-ENOMEM);
	in->path = strdup(sys.host->state_dir());
	in->req = sys.host->req_ref(req);
	if (in->path == NULL || sys.host->work(ctx, info_work, info_done, in)
	    < 0) {
		info_free(in);
		return (sys.host->req_fail(req, "UNAVAILABLE",
		    "too much to do; retry later"));
	}
	return (0);
}
