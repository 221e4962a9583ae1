/* SPDX-License-Identifier: MIT */
/*
 * libcurl, opened at first use: with what it links to it costs megabytes that a
 * daemon without outbound calls should not carry. Types and constants are those
 * of its header; the functions are looked up once, by a worker thread.
 */
#ifndef PLUGIN_HTTP_CURL_H
#define PLUGIN_HTTP_CURL_H

#include <curl/curl.h>

#define CURL_FUNCTIONS(X) \
	X(curl_global_init) \
	X(curl_easy_init) \
	X(curl_easy_setopt) \
	X(curl_easy_getinfo) \
	X(curl_easy_reset) \
	X(curl_easy_cleanup) \
	X(curl_multi_init) \
	X(curl_multi_setopt) \
	X(curl_multi_add_handle) \
	X(curl_multi_remove_handle) \
	X(curl_multi_socket_action) \
	X(curl_multi_assign) \
	X(curl_multi_info_read) \
	X(curl_multi_cleanup) \
	X(curl_slist_append) \
	X(curl_slist_free_all) \
	X(curl_url) \
	X(curl_url_set) \
	X(curl_url_get) \
	X(curl_url_cleanup) \
	X(curl_free)

/* The checking macros of the header wrap names, not members. */
#undef curl_easy_setopt
#undef curl_easy_getinfo
#undef curl_multi_setopt

#define CURL_MEMBER(f)	__typeof__(&f) f;
struct curl_api {
	CURL_FUNCTIONS(CURL_MEMBER)
};
#undef CURL_MEMBER

/* Opens the library, once for the process; blocks. 0 or -ELIBACC. Any thread. */
int	curl_open(void);
/* What was opened; NULL before curl_open() succeeded. */
const struct curl_api *curl_api(void);

#endif
