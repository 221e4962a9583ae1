/* SPDX-License-Identifier: MIT */
/*
 * The layout of the plugin ABI, as numbers: what moves breaks plugins that are
 * already built. Sizes are of the first minor version, for 64 bit; structs only
 * grow, so they are lower bounds. No struct ends in padding, where a later
 * member could hide from the size test. This is C99 and C++17 too.
 */
#include <stdio.h>

#include <chela/plugin.h>

static int	 n, n_bad;

static void
is(const char *what, unsigned long got, unsigned long want)
{
	n++;
	if (got != want)
		n_bad++;
	(void)printf("%s %d - %s is %lu\n", got == want ? "ok" : "not ok", n,
	    what, want);
	if (got != want)
		(void)printf("  # it is %lu\n", got);
}

static void
is_least(const char *what, unsigned long got, unsigned long want)
{
	n++;
	if (got < want)
		n_bad++;
	(void)printf("%s %d - %s is at least %lu\n",
	    got >= want ? "ok" : "not ok", n, what, want);
}

#define OFFSET(s, m, want) \
	is("offset of " #s "." #m, (unsigned long)offsetof(struct s, m), want)

/* The last member ends where the struct ends. */
#define NO_TAIL(s, last) \
	is("padding at the end of " #s, (unsigned long)(sizeof(struct s) - \
	    offsetof(struct s, last) - sizeof(((struct s *)0)->last)), 0)

int
main(void)
{
	const unsigned long p = sizeof(void *);

	/* The frozen head, the same in every major version. */
	OFFSET(chela_plugin, magic, 0);
	OFFSET(chela_plugin, abi_major, 4);
	OFFSET(chela_plugin, abi_minor, 6);
	OFFSET(chela_plugin, struct_size, 8);
	OFFSET(chela_plugin, json_abi, 12);
	OFFSET(chela_plugin, name, 16);
	OFFSET(chela_host, struct_size, 0);
	OFFSET(chela_host, abi_major, 4);
	OFFSET(chela_host, abi_minor, 6);
	is("CHELA_MAGIC", CHELA_MAGIC, 0x4348454cul);
	is("CHELA_ABI_MAJOR", CHELA_ABI_MAJOR, 1);

	OFFSET(chela_plugin, version, 16 + p);
	OFFSET(chela_plugin, flags, 20 + p);
	OFFSET(chela_plugin, summary, 24 + p);
	OFFSET(chela_plugin, methods, 24 + 2 * p);
	OFFSET(chela_method, name, 0);
	OFFSET(chela_method, handler, p);
	OFFSET(chela_method, roles, 2 * p);
	OFFSET(chela_method, flags, 2 * p + 4);
	OFFSET(chela_method, scope, 2 * p + 8);
	OFFSET(chela_method, dynamic_scope, 3 * p + 8);
	OFFSET(chela_method, budget_us, 4 * p + 8);
	OFFSET(chela_event, name, 0);
	OFFSET(chela_event, scope, p);
	OFFSET(chela_event, roles, 2 * p);
	OFFSET(chela_dep, name, 0);
	OFFSET(chela_dep, min_version, p);

	NO_TAIL(chela_method, reserved);
	NO_TAIL(chela_event, flags);
	NO_TAIL(chela_dep, flags);
	NO_TAIL(chela_plugin, fini);
	NO_TAIL(chela_host, uuid);
	NO_TAIL(chela_emit, except);
	NO_TAIL(chela_error, details);
	NO_TAIL(chela_row, len);
	NO_TAIL(chela_conn_info, since_ms);

	is_least("size of chela_plugin",
	    (unsigned long)sizeof(struct chela_plugin), 64 + 8 * p);
	is_least("members of chela_host", (unsigned long)
	    ((sizeof(struct chela_host) - 8) / p), 43);
	(void)printf("# %d passed, %d failed\n", n - n_bad, n_bad);
	return (n_bad == 0 ? 0 : 1);
}
