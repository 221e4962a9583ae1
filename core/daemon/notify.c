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

int
notify_listen_fds(void)
{
	const char	*pid = getenv("LISTEN_PID");
	const char	*n = getenv("LISTEN_FDS");
	long		 count = 0;
	int		 fd;

	if (pid != NULL && n != NULL && strtol(pid, NULL, 10) == getpid())
		count = strtol(n, NULL, 10);
	(void)unsetenv("LISTEN_PID");
	(void)unsetenv("LISTEN_FDS");
	(void)unsetenv("LISTEN_FDNAMES");
	if (count < 0 || count > 8)
		return (0);
	for (fd = NOTIFY_FD_FIRST; fd < NOTIFY_FD_FIRST + count; fd++)
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	return ((int)count);
}
