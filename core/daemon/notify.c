/* SPDX-License-Identifier: MIT */
#include "core/daemon/notify.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void
notify_send(const char *state)
{
	const char		*path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un	 sun;
	size_t			 len;
	int			 fd;

	if (path == NULL)
		return;
	len = strlen(path);
	if (len < 2 || len >= sizeof sun.sun_path)
		return;
	memset(&sun, 0, sizeof sun);
	sun.sun_family = AF_UNIX;
	memcpy(sun.sun_path, path, len);
	if (path[0] == '@')
		sun.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	(void)!sendto(fd, state, strlen(state), MSG_NOSIGNAL,
	    (struct sockaddr *)&sun,
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
	(void)close(fd);
}

/* What the names of the descriptors say, "a:b:c". */
static void
read_names(struct notify_fds *fds, const char *names)
{
	size_t	 len;
	int	 i;

	fds->is_own = names != NULL;
	for (i = 0; names != NULL && i < fds->n; i++) {
		len = strcspn(names, ":");
		if (len == sizeof NOTIFY_NAME_SERVE - 1 &&
		    memcmp(names, NOTIFY_NAME_SERVE, len) == 0)
			fds->serve |= UINT32_C(1) << i;
		else if (len != sizeof NOTIFY_NAME_OWN - 1 ||
		    memcmp(names, NOTIFY_NAME_OWN, len) != 0)
			fds->is_own = false;
		names = names[len] == ':' ? names + len + 1 : NULL;
	}
}

void
notify_listen_fds(struct notify_fds *ret)
{
	const char	*pid = getenv("LISTEN_PID");
	const char	*n = getenv("LISTEN_FDS");
	long		 count = 0;
	int		 fd;

	if (pid != NULL && n != NULL && strtol(pid, NULL, 10) == getpid())
		count = strtol(n, NULL, 10);
	*ret = (struct notify_fds){ 0 };
	if (count > 0 && count <= NOTIFY_FDS_MAX) {
		ret->n = (int)count;
		read_names(ret, getenv("LISTEN_FDNAMES"));
	}
	(void)unsetenv("LISTEN_PID");
	(void)unsetenv("LISTEN_FDS");
	(void)unsetenv("LISTEN_FDNAMES");
	for (fd = NOTIFY_FD_FIRST; fd < NOTIFY_FD_FIRST + ret->n; fd++)
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
}
