/* SPDX-License-Identifier: MIT */
/* core.lifecycle/1: the phase of the gateway, open calls, the restart. */
#include <errno.h>

#include <chela/services/lifecycle.h>

#include "core/access/access.h"
#include "core/access/device.h"
#include "core/base/clock.h"
#include "core/plugin/host_priv.h"
#include "core/protocol/proto.h"

/* The vtables have no context: there is one host in a process. */
static struct host	*svc_host;

static const char *
svc_device_id(void)
{
	struct identity	*id = proto_settings(svc_host->env.proto)->
	    access->identity;

	return (id == NULL ? NULL : identity_id(id));
}

static const char *
svc_public_key(void)
{
	struct identity	*id = proto_settings(svc_host->env.proto)->
	    access->identity;

	return (id == NULL ? NULL : identity_key(id));
}

static uint32_t
svc_phase(void)
{
	return (proto_settings(svc_host->env.proto)->phase);
}

static const char *
svc_phase_name(void)
{
	return (proto_phase_name(svc_phase()));
}

static int
svc_set_phase(uint32_t phase)
{
	if (phase > CHELA_PHASE_PREPARED)
		return (-EINVAL);
	proto_settings(svc_host->env.proto)->phase = (uint8_t)phase;
	return (0);
}

static int
svc_each_request(int (*cb)(struct chela_req *req, void *arg), void *arg)
{
	struct list	*l, *tmp, *k, *next;
	int		 r = 0;

	list_each(l, tmp, proto_peers(svc_host->env.proto)) {
		struct peer *p = container_of(l, struct peer, link);

		list_each(k, next, &p->reqs) {
			r = cb(container_of(k, struct chela_req, link), arg);
			if (r != 0)
				return (r);
		}
	}
	return (r);
}

static int
svc_restart(uint64_t delay_ms)
{
	if (svc_host->env.restart == NULL)
		return (-ENOTSUP);
	return (svc_host->env.restart(delay_ms, svc_host->env.restart_arg));
}

static uint32_t
svc_port(void)
{
	return (svc_host->env.port == NULL ? 0 : *svc_host->env.port);
}

static uint64_t
svc_restart_age_ms(void)
{
	uint64_t	 at = svc_host->env.restarted_us;

	return (at == 0 ? UINT64_MAX : (clock_now_us() - at) / 1000);
}

static const struct chela_lifecycle_1 lifecycle_vtable = {
	.struct_size = sizeof lifecycle_vtable,
	.device_id = svc_device_id,
	.public_key = svc_public_key,
	.phase = svc_phase,
	.phase_name = svc_phase_name,
	.set_phase = svc_set_phase,
	.each_request = svc_each_request,
	.restart = svc_restart,
	.port = svc_port,
	.restart_age_ms = svc_restart_age_ms,
};

int
lifecycle_service_export(struct host *h)
{
	svc_host = h;
	return (host_export(h, CHELA_LIFECYCLE_SERVICE, &lifecycle_vtable));
}
