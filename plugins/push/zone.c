/* SPDX-License-Identifier: MIT */
/*
 * What time it is in a time zone (RFC 8536): the C library knows one zone for
 * the whole process. Files are read by a worker and kept.
 */
#include "push.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ZONES_MAX	32u		/* kept; the longest unused goes */
#define ZONE_FILE_MAX	65536u
#define HEAD		44u		/* bytes of a header */
#define DAY_S		86400

struct zone {
	char		 name[ZONE_NAME_MAX + 1]; /* "": free */
	uint8_t		*bytes;
	size_t		 len;
	uint64_t	 used;
	bool		 is_loading;
};

/* One file that a worker reads. It outlives a stop that comes meanwhile. */
struct load {
	struct load	*next, **prev;
	char		 name[ZONE_NAME_MAX + 1];
	uint8_t		*bytes;
	size_t		 len;
};

static struct zone	 zones[ZONES_MAX];
static struct load	*loads;
static uint64_t		 n_uses;

/* "Europe/Berlin": nothing that leaves the directory. */
bool
zone_is_name(const char *s)
{
	return (*s >= 'A' && *s <= 'Z' && strlen(s) <= ZONE_NAME_MAX &&
	    strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	    "0123456789+-_/") == strlen(s));
}

void
zone_path(const char *name, char ret[ZONE_PATH_MAX])
{
	(void)snprintf(ret, ZONE_PATH_MAX, "/usr/share/zoneinfo/%s", name);
}

/* --- the rule behind the last transition: "CET-1CEST,M3.5.0,M10.5.0/3" --- */

static const char *
rule_name(const char *s)
{
	size_t	n;

	if (*s == '<') {
		s = strchr(s, '>');
		return (s == NULL ? NULL : s + 1);
	}
	n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
	return (n < 3 ? NULL : s + n);
}

/* [+-]hh[:mm[:ss]] in seconds. */
static const char *
rule_time(const char *s, int32_t *ret)
{
	int32_t		 v = 0, unit = 3600, sign = 1;
	long		 n;
	char		*end;

	if (*s == '-' || *s == '+')
		sign = *s++ == '-' ? -1 : 1;
	for (; unit > 0; unit /= 60) {
		if (*s < '0' || *s > '9')
			return (NULL);
		n = strtol(s, &end, 10);
		if (n > 167)
			return (NULL);
		v += (int32_t)n * unit;
		s = end;
		if (*s != ':')
			break;
		s++;
	}
	*ret = sign * v;
	return (s);
}

/* Days since 1970-01-01 of the first of a month. */
static int64_t
days_of(int64_t year, int month)
{
	static const int	before[] = { 0, 31, 59, 90, 120, 151, 181, 212,
	    243, 273, 304, 334 };
	int64_t			y = year - 1;
	bool			is_leap;

	is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	return (365 * (year - 1970) + y / 4 - y / 100 + y / 400 - 477 +
	    before[month - 1] + (month > 2 && is_leap ? 1 : 0));
}

/* ",Mm.w.d[/time]": when that is in the year, in its local time. */
static const char *
rule_change(const char *s, int64_t year, int64_t *ret)
{
	int		 m, w, d, n = 0;
	int32_t		 at = 7200;
	int64_t		 first, day, end;

	if (sscanf(s, ",M%2d.%1d.%1d%n", &m, &w, &d, &n) != 3 || m < 1 ||
	    m > 12 || w < 1 || w > 5 || d < 0 || d > 6)
		return (NULL);
	s += n;
	if (*s == '/') {
		s = rule_time(s + 1, &at);
		if (s == NULL)
			return (NULL);
	}
	first = days_of(year, m);
	end = m == 12 ? days_of(year + 1, 1) : days_of(year, m + 1);
	/* 1970-01-01 was a Thursday. */
	day = first + (d - (first + 4) % 7 + 7) % 7 + 7 * (w - 1);
	if (day >= end)
		day -= 7;
	*ret = day * DAY_S + at;
	return (s);
}

static int
rule_offset(const char *rule, int64_t now, int32_t *ret)
{
	int32_t		 std, dst;
	int64_t		 year, from, to;
	const char	*s = rule_name(rule);

	s = s == NULL ? NULL : rule_time(s, &std);
	if (s == NULL)
		return (-EINVAL);
	std = -std;
	*ret = std;
	if (*s == '\0')
		return (0);
	s = rule_name(s);
	if (s == NULL)
		return (-EINVAL);
	dst = std + 3600;
	if (*s != ',') {
		s = rule_time(s, &dst);
		if (s == NULL)
			return (-EINVAL);
		dst = -dst;
	}
	for (year = 1970 + (now + std) / (366 * DAY_S);
	    days_of(year + 1, 1) * DAY_S <= now + std; year++)
		;
	s = rule_change(s, year, &from);
	s = s == NULL ? NULL : rule_change(s, year, &to);
	if (s == NULL || *s != '\0')
		return (-EINVAL);
	from -= std;
	to -= dst;
	if (from < to ? now >= from && now < to : now >= from || now < to)
		*ret = dst;
	return (0);
}

/* --- the file --- */

static uint32_t
be32(const uint8_t *p)
{
	return ((uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	    (uint32_t)p[2] << 8 | p[3]);
}

static int64_t
be64(const uint8_t *p)
{
	return ((int64_t)((uint64_t)be32(p) << 32 | be32(p + 4)));
}

/* The bytes of a header and its data, whose times are size wide; 0: bad. */
static size_t
block_len(const uint8_t *p, size_t len, size_t size)
{
	size_t	n;
	int	i;

	if (len < HEAD || memcmp(p, "TZif", 4) != 0)
		return (0);
	for (i = 0; i < 6; i++) {
		if (be32(p + 20 + 4 * i) > ZONE_FILE_MAX)
			return (0);
	}
	n = HEAD + be32(p + 32) * (size + 1) + be32(p + 36) * 6 +
	    be32(p + 40) + be32(p + 28) * (size + 4) + be32(p + 24) +
	    be32(p + 20);
	return (n > len ? 0 : n);
}

int
zone_offset(const uint8_t *p, size_t len, int64_t now, int32_t *ret)
{
	const uint8_t	*times, *kinds, *infos;
	uint32_t	 n_times, n_infos, i, kind = 0;
	char		 rule[128];
	size_t		 n = block_len(p, len, 4), rest;

	if (n == 0 || p[4] < '2')
		return (-EINVAL);
	p += n;
	len -= n;
	n = block_len(p, len, 8);
	if (n == 0)
		return (-EINVAL);
	n_times = be32(p + 32);
	n_infos = be32(p + 36);
	times = p + HEAD;
	kinds = times + 8 * (size_t)n_times;
	infos = kinds + n_times;
	if (n_times == 0 || now >= be64(times + 8 * (size_t)(n_times - 1))) {
		/* Between two line ends behind the data. */
		rest = len - n;
		if (rest > 2 && rest - 2 < sizeof rule && p[n] == '\n' &&
		    p[len - 1] == '\n') {
			memcpy(rule, p + n + 1, rest - 2);
			rule[rest - 2] = '\0';
			if (rule_offset(rule, now, ret) == 0)
				return (0);
		}
	}
	for (i = 0; i < n_times && be64(times + 8 * (size_t)i) <= now; i++)
		kind = kinds[i];
	if (kind >= n_infos)
		return (-EINVAL);
	*ret = (int32_t)be32(infos + 6 * (size_t)kind);
	return (0);
}

static void
load_run(void *arg)
{
	struct load	*ld = arg;
	char		 path[ZONE_PATH_MAX];
	ssize_t		 n;
	int		 fd;

	zone_path(ld->name, path);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return;
	ld->bytes = malloc(ZONE_FILE_MAX);
	n = ld->bytes == NULL ? -1 : read(fd, ld->bytes, ZONE_FILE_MAX);
	(void)close(fd);
	ld->len = n < 0 ? 0 : (size_t)n;
}

static void
load_free(struct load *ld)
{
	*ld->prev = ld->next;
	if (ld->next != NULL)
		ld->next->prev = ld->prev;
	free(ld->bytes);
	free(ld);
}

static void
load_done(struct chela_ctx *ctx, void *arg)
{
	struct load	*ld = arg;
	size_t		 i;

	(void)ctx;
	for (i = 0; i < ZONES_MAX; i++) {
		if (!zones[i].is_loading ||
		    strcmp(zones[i].name, ld->name) != 0)
			continue;
		zones[i].is_loading = false;
		zones[i].bytes = ld->bytes;
		zones[i].len = ld->len;
		ld->bytes = NULL;
		break;
	}
	load_free(ld);
	queue_run();
}

static bool
load_start(const char *name)
{
	struct load	*ld = calloc(1, sizeof *ld);

	if (ld == NULL)
		return (false);
	(void)snprintf(ld->name, sizeof ld->name, "%s", name);
	ld->next = loads;
	ld->prev = &loads;
	if (loads != NULL)
		loads->prev = &ld->next;
	loads = ld;
	if (push.host->work(push.ctx, load_run, load_done, ld) == 0)
		return (true);
	load_free(ld);
	return (false);
}

/* 0..1439. -EAGAIN: not known yet, queue_run() follows. -ENOENT: no zone. */
int
zone_minute(const char *name, uint64_t wall_ms)
{
	int64_t		 now = (int64_t)(wall_ms / 1000);
	int32_t		 offset = 0;
	struct zone	*z = NULL;
	size_t		 i;

	if (strcmp(name, "UTC") == 0)
		return ((int)(now / 60 % 1440));
	if (!zone_is_name(name))
		return (-ENOENT);
	for (i = 0; i < ZONES_MAX; i++) {
		if (strcmp(zones[i].name, name) == 0) {
			z = &zones[i];
			break;
		}
		if (!zones[i].is_loading && (z == NULL ||
		    zones[i].used < z->used))
			z = &zones[i];
	}
	if (z == NULL)
		return (-ENOENT);
	z->used = ++n_uses;
	if (strcmp(z->name, name) != 0) {
		free(z->bytes);
		z->bytes = NULL;
		(void)snprintf(z->name, sizeof z->name, "%s", name);
		z->is_loading = load_start(name);
	}
	if (z->is_loading)
		return (-EAGAIN);
	if (z->bytes == NULL || zone_offset(z->bytes, z->len, now,
	    &offset) < 0)
		return (-ENOENT);
	now += offset;
	return ((int)(now / 60 % 1440));
}

void
zone_close(void)
{
	size_t	i;

	for (i = 0; i < ZONES_MAX; i++)
		free(zones[i].bytes);
	memset(zones, 0, sizeof zones);
}
