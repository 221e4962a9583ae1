/* SPDX-License-Identifier: MIT */
#include "curl.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>

/*
 * The OpenSSL flavour first: it keeps the trusted certificates, where the GnuTLS
 * one parses them for each connection (6 ms of the loop, up to 8.8 at least).
 */
static const char *const sonames[] = { "libcurl.so.4", "libcurl-gnutls.so.4" };

#define CURL_NAME(f)	{ #f, offsetof(struct curl_api, f) },
static const struct {
	const char	*name;
	size_t		 at;
} functions[] = {
	CURL_FUNCTIONS(CURL_NAME)
};

static pthread_once_t	once = PTHREAD_ONCE_INIT;
static struct curl_api	table;
static int		is_open;

static void
curl_open_once(void)
{
	void	*so = NULL, *f;
	size_t	 i;

	for (i = 0; so == NULL && i < sizeof sonames / sizeof sonames[0]; i++)
		so = dlopen(sonames[i], RTLD_NOW | RTLD_LOCAL);
	if (so == NULL)
		return;
	for (i = 0; i < sizeof functions / sizeof functions[0]; i++) {
		f = dlsym(so, functions[i].name);
		if (f == NULL)
			return;
		memcpy((char *)&table + functions[i].at, &f, sizeof f);
	}
	if (table.curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return;
	__atomic_store_n(&is_open, 1, __ATOMIC_RELEASE);
}

int
curl_open(void)
{
	(void)pthread_once(&once, curl_open_once);
	return (curl_api() == NULL ? -ELIBACC : 0);
}

const struct curl_api *
curl_api(void)
{
	return (__atomic_load_n(&is_open, __ATOMIC_ACQUIRE) ? &table : NULL);
}
