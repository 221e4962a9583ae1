/* SPDX-License-Identifier: MIT */
/* Where the file and the state are. */
#include "core/config/config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"

#define CONF_FILE_SYSTEM	"/etc/chela/chela.json"
#define CONF_FILE_USER		".config/chela/chela.json"
#define STATE_DIR_SYSTEM	"/var/lib/chela"
#define STATE_DIR_USER		".local/state/chela"

/* The variable's value, unless it is empty. */
static const char *
env_get(const char *name)
{
	const char	*v = getenv(name);

	return (v != NULL && *v != '\0' ? v : NULL);
}

/* A home directory worth using: a service user's "/" or none is not. */
static const char *
home_get(void)
{
	const char	*home = env_get("HOME");

	return (home != NULL && home[0] == '/' && home[1] != '\0' ? home :
	    NULL);
}

char *
conf_path_find(const char *arg)
{
	const char	*home = home_get();
	char		*user = NULL;

	if (arg == NULL)
		arg = env_get("CHELA_CONFIG");
	if (arg != NULL)
		return (strdup(arg));
	if (home != NULL) {
		user = file_join(home, CONF_FILE_USER);
		if (user == NULL || access(user, F_OK) == 0)
			return (user);
	}
	if (user == NULL || access(CONF_FILE_SYSTEM, F_OK) == 0) {
		free(user);
		return (strdup(CONF_FILE_SYSTEM));
	}
	return (user);
}

char *
conf_state_dir_find(const char *arg)
{
	const char	*home = home_get();

	if (arg == NULL)
		arg = env_get("CHELA_STATE_DIR");
	if (arg != NULL)
		return (strdup(arg));
	if (home != NULL)
		return (file_join(home, STATE_DIR_USER));
	return (strdup(STATE_DIR_SYSTEM));
}
