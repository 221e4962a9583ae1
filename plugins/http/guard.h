/* SPDX-License-Identifier: MIT */
/* Which addresses outbound calls may reach. Pure functions. */
#ifndef PLUGIN_HTTP_GUARD_H
#define PLUGIN_HTTP_GUARD_H

#include <sys/socket.h>

/*
 * 0, or -EPERM for an address that is special. trusted (the operator wrote the
 * URL) lets loopback and private ones through, but never link-local ones, those
 * of cloud metadata services, and multicast.
 */
int	guard_check(const struct sockaddr *sa, int trusted);

#endif
