/* SPDX-License-Identifier: MIT */
/*
 * What a node of a platform may offer at all, and what an operator needs for
 * it. The configuration adds to it and takes from it:
 * gateway.nodes.commands.allow and .deny.
 */
#include <string.h>
#include <strings.h>

#include "nodes.h"

/* A platform's bit; a command has those of the platforms that may offer it. */
#define IOS		0x01u
#define WATCHOS		0x02u
#define ANDROID		0x04u
#define MACOS		0x08u
#define WINDOWS		0x10u
#define LINUX		0x20u
#define UNKNOWN		0x40u
#define DESKTOP		(MACOS | WINDOWS | LINUX)
#define MOBILE		(IOS | ANDROID)

static const struct {
	const char	*name;
	uint32_t	 platforms;
} commands[] = {
	{ "agent.cli.claude.run.v1", DESKTOP },
	{ "browser.proxy", DESKTOP },
	{ "browser.proxy.upload.v1", DESKTOP },
	{ "calendar.events", MOBILE | MACOS },
	{ "callLog.search", ANDROID },
	{ "camera.list", MOBILE | MACOS | WINDOWS | UNKNOWN },
	{ "camera.ptz.status", MACOS },
	{ "computer.act", DESKTOP },
	{ "contacts.search", MOBILE | MACOS },
	{ "desktop.stream", DESKTOP },
	{ "device.apps", ANDROID | MACOS },
	{ "device.health", ANDROID },
	{ "device.info", MOBILE | WATCHOS | MACOS | WINDOWS },
	{ "device.permissions", ANDROID },
	{ "device.status", MOBILE | WATCHOS | MACOS | WINDOWS },
	{ "fs.listDir", DESKTOP },
	{ "location.get", MOBILE | MACOS | WINDOWS | UNKNOWN },
	{ "mcp.tools.call.v1", DESKTOP },
	{ "mobile.ui.act", ANDROID },
	{ "mobile.ui.observe", ANDROID },
	{ "motion.activity", MOBILE | MACOS },
	{ "motion.pedometer", MOBILE | MACOS },
	{ "notifications.actions", ANDROID },
	{ "notifications.list", ANDROID },
	{ "photos.latest", MOBILE | MACOS },
	{ "reminders.list", MOBILE | MACOS },
	{ "screen.snapshot", DESKTOP },
	{ "system.execApprovals.get", DESKTOP },
	{ "system.execApprovals.set", DESKTOP },
	{ "system.notify", MOBILE | WATCHOS | DESKTOP | UNKNOWN },
	{ "system.run", DESKTOP },
	{ "system.run.prepare", DESKTOP },
	{ "system.which", DESKTOP },
	{ "terminal.upload", DESKTOP },
};

/* Never without the operator's word in the configuration. */
static const char *const dangerous[] = {
	"calendar.add", "camera.clip", "camera.ptz.control", "camera.snap",
	"contacts.add", "health.summary", "reminders.add", "screen.record",
	"sms.search", "sms.send",
};

static const struct {
	const char	*name;
	uint32_t	 bit;
} platforms[] = {
	{ "ios", IOS },
	{ "watchos", WATCHOS },
	{ "android", ANDROID },
	{ "macos", MACOS },
	{ "windows", WINDOWS },
	{ "linux", LINUX },
};

static const struct {
	const char	*word;
	uint32_t	 bit;
} families[] = {
	{ "iphone", IOS },
	{ "ipad", IOS },
	{ "ios", IOS },
	{ "apple watch", WATCHOS },
	{ "watchos", WATCHOS },
	{ "android", ANDROID },
	{ "mac", MACOS },
	{ "windows", WINDOWS },
	{ "linux", LINUX },
};

#define N(a)	(sizeof (a) / sizeof (a)[0])

static uint32_t
family_bit(const char *family)
{
	size_t	 i;

	for (i = 0; i < N(families); i++) {
		if (strcasestr(family, families[i].word) != NULL)
			return (families[i].bit);
	}
	return (0);
}

/*
 * "linux", or "macOS 15.1", or "darwin" and "win32" of a program; a family that
 * says another thing makes it unknown, and so does a name that is none of
 * these.
 */
static uint32_t
platform_bit(const char *platform, const char *family)
{
	static const struct {
		const char	*name;
		uint32_t	 bit;
	} also[] = {
		{ "darwin", MACOS },
		{ "win32", WINDOWS },
		{ "ipados", IOS },
	};
	uint32_t	 bit = 0, other = family_bit(family);
	size_t		 i, len = strcspn(platform, " ");

	if (len == 0)
		return (other != 0 ? other : UNKNOWN);
	for (i = 0; bit == 0 && i < N(platforms); i++) {
		if (strlen(platforms[i].name) == len &&
		    strncasecmp(platforms[i].name, platform, len) == 0)
			bit = platforms[i].bit;
	}
	for (i = 0; bit == 0 && i < N(also); i++) {
		if (strlen(also[i].name) == len &&
		    strncasecmp(also[i].name, platform, len) == 0)
			bit = also[i].bit;
	}
	if (bit == 0 || (*family != '\0' && other != bit))
		return (UNKNOWN);
	return (bit);
}

static bool
conf_has(const char *path, const char *name)
{
	struct json_object	*list = nodes.host->conf_path(nodes.ctx, path);
	size_t			 i, n;

	if (!json_object_is_type(list, json_type_array))
		return (false);
	n = json_object_array_length(list);
	for (i = 0; i < n; i++) {
		if (strcmp(json_object_get_string(json_object_array_get_idx(
		    list, i)), name) == 0)
			return (true);
	}
	return (false);
}

bool
policy_is_private(const char *command)
{
	return (strncmp(command, "worker.", 7) == 0);
}

bool
policy_allows(const char *platform, const char *family, const char *command,
    struct policy *ret)
{
	uint32_t	 bit = platform_bit(platform, family);
	bool		 has = false;
	size_t		 i;

	*ret = (struct policy){ .platform = "unknown",
	    .reason = "command not allowlisted" };
	for (i = 0; i < N(platforms); i++) {
		if (platforms[i].bit == bit)
			ret->platform = platforms[i].name;
	}
	for (i = 0; i < N(dangerous); i++) {
		if (strcmp(dangerous[i], command) == 0)
			ret->is_dangerous = true;
	}
	for (i = 0; !has && i < N(commands); i++)
		has = (commands[i].platforms & bit) != 0 &&
		    strcmp(commands[i].name, command) == 0;
	if (!has)
		has = conf_has("gateway.nodes.commands.allow", command) ||
		    conf_has("gateway.nodes.allowCommands", command);
	if (policy_is_private(command) || !has ||
	    conf_has("gateway.nodes.commands.deny", command) ||
	    conf_has("gateway.nodes.denyCommands", command))
		return (false);
	ret->reason = NULL;
	return (true);
}

static bool
is_one_of(const char *const *list, const char *command)
{
	for (; *list != NULL; list++) {
		if (strcmp(*list, command) == 0)
			return (true);
	}
	return (false);
}

const char *
policy_approve_scope(const char *command)
{
	static const char *const admin[] = {
		"system.run", "system.run.prepare", "system.which",
		"fs.listDir", "terminal.upload", NULL,
	};

	return (is_one_of(admin, command) ||
	    strncmp(command, "browser.proxy", 13) == 0 ||
	    strncmp(command, "system.execApprovals.", 21) == 0 ? "admin" :
	    "write");
}

const char *
policy_invoke_scope(const char *command)
{
	static const char *const admin[] = {
		"fs.listDir", "terminal.upload", NULL,
	};

	return (is_one_of(admin, command) ||
	    strncmp(command, "browser.proxy", 13) == 0 ? "admin" : NULL);
}

struct json_object *
policy_scopes(struct json_object *list)
{
	struct json_object	*scopes = json_object_new_array();
	size_t			 i, n = json_object_array_length(list);
	bool			 is_admin = false;

	if (scopes == NULL)
		return (NULL);
	(void)json_object_array_add(scopes,
	    json_object_new_string("operator.pairing"));
	if (n > 0)
		(void)json_object_array_add(scopes,
		    json_object_new_string("operator.write"));
	for (i = 0; !is_admin && i < n; i++)
		is_admin = strcmp(policy_approve_scope(json_object_get_string(
		    json_object_array_get_idx(list, i))), "admin") == 0;
	if (is_admin)
		(void)json_object_array_add(scopes,
		    json_object_new_string("operator.admin"));
	return (scopes);
}
