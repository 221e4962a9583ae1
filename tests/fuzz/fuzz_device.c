/* SPDX-License-Identifier: MIT */
/*
 * What strangers say of themselves before anybody knows them: keys, signatures,
 * chains of X-Forwarded-For, networks. The first byte chooses.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/access/device.h"
#include "core/access/limit.h"
#include "core/access/proxy.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *
chain_get(const void *arg, const char *name)
{
	return (strcmp(name, "x-forwarded-for") == 0 ? arg : NULL);
}

static unsigned
chain_count(const void *arg, const char *name)
{
	return (chain_get(arg, name) != NULL);
}

static bool
chain_next(const void *arg, unsigned *i, const char **ret_name,
    const char **ret_value)
{
	*ret_name = "x-forwarded-for";
	*ret_value = arg;
	return ((*i)++ == 0);
}

static void
fuzz_chain(const char *text)
{
	struct proxy_headers	 h = { chain_get, chain_count, chain_next,
	    text };
	struct proxy_rules	 r = { .has_real_ip = true };
	struct proxy_origin	 o;

	if (proxy_net_add(&r.trusted, "10.0.0.0/8") < 0)
		abort();
	proxy_attribute(&r, "10.0.0.1", false, &h, &o);
	/* Loopback never results from a header, nor does a trusted proxy. */
	if (o.kind == PROXY_TRUSTED && (proxy_is_loopback(o.client) ||
	    proxy_net_has(&r.trusted, o.client)))
		abort();
	if (o.kind != PROXY_TRUSTED && o.kind != PROXY_UNKNOWN)
		abort();
}

static void
fuzz_proof(const char *text)
{
	unsigned char		 key[DEVICE_KEY_LEN];
	struct device_proof	 d = { .id = text, .public_key = text,
	    .signature = text, .nonce = text, .signed_at = 1,
	    .platform = text };
	char			 id[DEVICE_ID_SIZE];

	if (device_key_parse(text, key) < 0)
		return;
	if (device_id(key, id) < 0)
		abort();
	d.id = id;
	d.nonce = "n";
	/* A key is no signature: it is too short. */
	if (device_check(&d, "n", 1, key) == DEVICE_OK)
		abort();
}

static void
fuzz_base64(const char *text, size_t len)
{
	unsigned char	*out = malloc(len + 1);
	char		*back = malloc(2 * len + 8);
	size_t		 n;
	int		 r;

	if (out == NULL || back == NULL)
		abort();
	r = base64_read(text, out, len + 1);
	if (r >= 0) {
		base64url_write(back, out, (size_t)r);
		n = strcspn(text, "=");
		if (strlen(back) != n)
			abort();
	}
	free(out);
	free(back);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proxy_nets	 nets = { .n = 0 };
	char			 source[LIMIT_SOURCE_SIZE];
	char			*text;

	if (size == 0 || size > KIB(64))
		return (0);
	text = malloc(size);
	if (text == NULL)
		return (0);
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	switch (data[0] & 3) {
	case 0:
		fuzz_chain(text);
		break;
	case 1:
		fuzz_proof(text);
		break;
	case 2:
		fuzz_base64(text, size - 1);
		break;
	default:
		(void)proxy_net_add(&nets, text);
		limit_source(text, source);
		break;
	}
	free(text);
	return (0);
}
