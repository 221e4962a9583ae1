/* SPDX-License-Identifier: MIT */
#ifndef DEVICE_DEVICE_H
#define DEVICE_DEVICE_H

#include <json-c/json.h>

#include <chela/plugin.h>
#include <chela/services/access.h>
#include <chela/services/state.h>

extern const struct chela_host		*host;
extern const struct chela_access_1	*core_access;
extern const struct chela_state_1	*core_state;

#define UPGRADE_WAITS_MAX	64	/* callers of waitUpgrade at a time */
#define UPGRADE_LOOK_US		1000000u /* whether a request has run out */
#define SETUP_URL_MAX		512	/* bytes */
#define QR_URL_MAX		16384	/* bytes of a picture's data URL */

void	 add(struct json_object *o, const char *key, struct json_object *v);
void	 add_str(struct json_object *o, const char *key, const char *s);
const char *param(struct json_object *params, const char *key);
/* Answers req with what came of a change; done of core.access/1. arg: a call. */
struct call {
	struct chela_req	*req;	/* counted */
	const char		*denied; /* the one text for all refusals; or NULL */
	const char		*unknown; /* for -ENOENT */
};
struct call *call_new(struct chela_req *req, const char *denied,
    const char *unknown);
void	 call_done(struct chela_ctx *ctx, int r, struct json_object *result,
	    void *arg);
/* r of starting it: 0, or the answer is given here. */
int	 call_started(struct chela_ctx *ctx, struct call *c, int r);

/* device_setup.c */
int	 device_setup_code(struct chela_ctx *ctx, struct chela_req *req,
	    struct json_object *params);
int	 device_setup_status(struct chela_ctx *ctx, struct chela_req *req,
	    struct json_object *params);
/* prefix and the bytes as text; gives, or NULL. */
enum encoding { BASE64, BASE64URL };	/* with padding; without */
char	*encoded(const char *prefix, const void *p, size_t len,
	    enum encoding how);
#ifdef DEVICE_HAS_QR
/* device_qr.c: gives, or NULL for what does not fit into QR_URL_MAX. */
char	*qr_data_url(const char *text);
#endif
/* deviceId, and deviceName where it has one. */
void	 setup_device(struct json_object *o, const char *device_id);
const char *setup_access(const char *profile);

/* device_scopes.c */
int	 device_request_upgrade(struct chela_ctx *ctx, struct chela_req *req,
	    struct json_object *params);
int	 device_wait_upgrade(struct chela_ctx *ctx, struct chela_req *req,
	    struct json_object *params);
void	 upgrade_look(struct chela_ctx *ctx, void *arg);
void	 upgrade_stop(void);

#endif
