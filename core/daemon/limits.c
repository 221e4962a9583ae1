/* SPDX-License-Identifier: MIT */
/*
 * The ceilings of connections, as gateway.limits has them. Read at the start.
 */
#include "core/base/base.h"
#include "core/config/config.h"
#include "core/daemon/daemon.h"
#include "core/net/net.h"

static uint64_t
limit(const struct conf *conf, const char *path, uint64_t otherwise)
{
	int64_t	 n = conf_get_int(conf, path, -1);

	return (n < 0 ? otherwise : (uint64_t)n);
}

void
daemon_load_limits(const struct conf *conf, struct net_limits *lim)
{
	net_limits_default(lim);
	lim->conns_max = (uint32_t)limit(conf, "gateway.limits.maxConnections",
	    lim->conns_max);
	lim->unauth_per_source = (uint32_t)limit(conf,
	    "gateway.limits.maxPreauthPerAddress", lim->unauth_per_source);
	lim->unauth_total = (uint32_t)limit(conf, "gateway.limits.maxPreauth",
	    lim->unauth_total);
	lim->handshakes_max = (uint32_t)limit(conf,
	    "gateway.limits.maxTlsHandshakes", lim->handshakes_max);
	lim->handshake_us = MS_US(limit(conf,
	    "gateway.limits.handshakeTimeoutMs", lim->handshake_us / 1000));
	lim->ping_us = MS_US(limit(conf, "gateway.limits.pingIntervalMs",
	    lim->ping_us / 1000));
	lim->message_us = MS_US(limit(conf, "gateway.limits.messageTimeoutMs",
	    lim->message_us / 1000));
	lim->message_first = limit(conf,
	    "gateway.limits.maxPreauthPayloadBytes", lim->message_first);
	lim->message_max = limit(conf, "gateway.limits.maxPayloadBytes",
	    lim->message_max);
	lim->out_max = limit(conf, "gateway.limits.maxBufferedBytes",
	    lim->out_max);
	lim->out_total = limit(conf, "gateway.limits.maxBufferedTotalBytes",
	    lim->out_total);
	lim->held_max = limit(conf, "gateway.limits.maxHeldBytes",
	    lim->held_max);
}
