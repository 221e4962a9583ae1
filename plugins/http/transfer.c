/* SPDX-License-Identifier: MIT */
/*
 * Calls in curl's hands: the multi handle driven by the host's timers and
 * watches. curl must not be entered again from its own callbacks, so these only
 * note what they think, and transfer_reap() acts once curl has returned.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guard.h"
#include "http_priv.h"

#define KEEP_MAX	16L	/* idle connections */
#define TOTAL_MAX	64L	/* connections */
#define KEEP_S		60L
#define CA_KEEP_S	3600L	/* trusted certificates, as they were read */

static const struct curl_api	*curl;

static void transfer_reap(void);

static void
on_socket_ready(struct chela_ctx *ctx, int fd, uint32_t what, void *arg)
{
	int	 n, mask = 0;

	(void)ctx;
	(void)arg;
	if (what & CHELA_WATCH_READ)
		mask |= CURL_CSELECT_IN;
	if (what & CHELA_WATCH_WRITE)
		mask |= CURL_CSELECT_OUT;
	(void)curl->curl_multi_socket_action(http.multi, fd, mask, &n);
	transfer_reap();
}

static int
on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *mine)
{
	struct chela_watch	*w = mine;
	uint32_t		 mask = 0;

	(void)easy;
	(void)arg;
	if (what == CURL_POLL_REMOVE) {
		http.host->watch_free(w);
		(void)curl->curl_multi_assign(http.multi, fd, NULL);
		return (0);
	}
	if (what & CURL_POLL_IN)
		mask |= CHELA_WATCH_READ;
	if (what & CURL_POLL_OUT)
		mask |= CHELA_WATCH_WRITE;
	if (w != NULL)
		return (http.host->watch_set(w, mask) < 0 ? -1 : 0);
	w = http.host->watch_new(http.ctx, fd, mask, on_socket_ready, NULL);
	if (w == NULL)
		return (-1);
	(void)curl->curl_multi_assign(http.multi, fd, w);
	return (0);
}

static void
on_multi_timer(struct chela_ctx *ctx, void *arg)
{
	int	 n;

	(void)ctx;
	(void)arg;
	(void)curl->curl_multi_socket_action(http.multi, CURL_SOCKET_TIMEOUT, 0,
	    &n);
	transfer_reap();
}

static int
on_timer_wish(CURLM *multi, long ms, void *arg)
{
	(void)multi;
	(void)arg;
	if (ms < 0)
		http.host->timer_stop(http.multi_timer);
	else if (http.host->timer_set(http.multi_timer,
	    (uint64_t)ms * 1000u) < 0)
		return (-1);
	return (0);
}

int
transfer_init(void)
{
	if (http.multi != NULL)
		return (0);
	curl = curl_api();
	http.multi_timer = http.host->timer_new(http.ctx, on_multi_timer, NULL);
	if (http.multi_timer == NULL)
		return (-ENOMEM);
	http.multi = curl->curl_multi_init();
	if (http.multi == NULL) {
		http.host->timer_free(http.multi_timer);
		http.multi_timer = NULL;
		return (-ENOMEM);
	}
	(void)curl->curl_multi_setopt(http.multi, CURLMOPT_SOCKETFUNCTION,
	    on_socket);
	(void)curl->curl_multi_setopt(http.multi, CURLMOPT_TIMERFUNCTION,
	    on_timer_wish);
	(void)curl->curl_multi_setopt(http.multi, CURLMOPT_MAXCONNECTS,
	    KEEP_MAX);
	(void)curl->curl_multi_setopt(http.multi,
	    CURLMOPT_MAX_TOTAL_CONNECTIONS, TOTAL_MAX);
	return (0);
}

void
transfer_fini(void)
{
	if (http.multi == NULL)
		return;
	(void)curl->curl_multi_cleanup(http.multi);
	http.multi = NULL;
	http.host->timer_free(http.multi_timer);
	http.multi_timer = NULL;
}

/* The last word of the guard: the very address that connect() will get. */
static curl_socket_t
on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *sa)
{
	struct chela_http_call	*call = arg;

	if (purpose != CURLSOCKTYPE_IPCXN ||
	    guard_check(&sa->addr, call->is_trusted) < 0) {
		call->r = -EPERM;
		call->why = "the address is not one of the public network";
		return (CURL_SOCKET_BAD);
	}
	return (socket(sa->family, sa->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    sa->protocol));
}

static void
sa_from_text(const char *text, struct sockaddr_storage *ret)
{
	struct addrinfo	 hints = { .ai_flags = AI_NUMERICHOST };
	struct addrinfo	*ai;

	memset(ret, 0, sizeof *ret);	/* AF_UNSPEC: refused */
	if (text == NULL || getaddrinfo(text, NULL, &hints, &ai) != 0)
		return;
	memcpy(ret, ai->ai_addr, ai->ai_addrlen);
	freeaddrinfo(ai);
}

/*
 * Connected, also over a connection that an earlier call left behind: that one
 * may have been trusted, and this call not.
 */
static int
on_connected(void *arg, char *peer, char *local, int peer_port, int local_port)
{
	struct chela_http_call	*call = arg;
	struct sockaddr_storage	 sa;

	(void)local;
	(void)peer_port;
	(void)local_port;
	sa_from_text(peer, &sa);
	if (guard_check((struct sockaddr *)&sa, call->is_trusted) < 0) {
		call->r = -EPERM;
		call->why = "the address is not one of the public network";
		return (CURL_PREREQFUNC_ABORT);
	}
	call->step = STEP_TALK;
	call->last_us = http.host->now_us();
	call_arm(call);
	return (CURL_PREREQFUNC_OK);
}

static int
on_progress(void *arg, curl_off_t dl_total, curl_off_t dl, curl_off_t ul_total,
    curl_off_t ul)
{
	struct chela_http_call	*call = arg;

	(void)dl_total;
	(void)ul_total;
	if (dl + ul != call->moved) {
		call->moved = dl + ul;
		call->last_us = http.host->now_us();
	}
	return (call->is_cancelled);
}

static int
head_keep(struct chela_http_call *call, const char *line, size_t len)
{
	char	*p;

	if (call->head_len + len + 1 > HTTP_HEAD_MAX) {
		call->r = -EMSGSIZE;
		call->why = "the answer's head is too long";
		return (-EMSGSIZE);
	}
	p = realloc(call->head, call->head_len + len + 1);
	if (p == NULL) {
		call->r = -ENOMEM;
		return (-ENOMEM);
	}
	call->head = p;
	memcpy(p + call->head_len, line, len);
	p[call->head_len + len] = '\0';
	call->head_len += len + 1;
	return (0);
}

static int
is_redirect(uint32_t status)
{
	return (status == 301 || status == 302 || status == 303 ||
	    status == 307 || status == 308);
}

/* The head is complete: is it the one that the caller waits for? */
static int
head_end(struct chela_http_call *call)
{
	const char	*s;
	long		 status = 0;

	(void)curl->curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE,
	    &status);
	if (status < 200)
		return (0);
	call->status = (uint32_t)status;
	call->is_redirect = is_redirect(call->status) &&
	    call->redirects_asked > 0 &&
	    transfer_header(call, "location") != NULL;
	if (call->is_redirect)
		return (0);
	s = transfer_header(call, "content-length");
	if (s != NULL && strcmp(call->method, "HEAD") != 0 &&
	    strtoull(s, NULL, 10) > call->max_bytes) {
		call->r = -EMSGSIZE;
		call->why = "the answer is too long";
		return (-EMSGSIZE);
	}
	if (!call->is_head_told && call->handler.head != NULL &&
	    !call->is_cancelled)
		call->handler.head(call, call->status, call->arg);
	call->is_head_told = 1;
	return (0);
}

static size_t
on_head(char *line, size_t one, size_t len, void *arg)
{
	struct chela_http_call	*call = arg;
	size_t			 n = len * one;

	call->last_us = http.host->now_us();
	if (call->is_head_told)
		return (n);		/* trailers: not asked for, not kept */
	if (n >= 5 && strncasecmp(line, "HTTP/", 5) == 0)
		call->head_len = 0;
	while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
		n--;
	if (n == 0)
		return (head_end(call) < 0 ? 0 : len * one);
	return (head_keep(call, line, n) < 0 ? 0 : len * one);
}

static size_t
on_body(char *bytes, size_t one, size_t len, void *arg)
{
	struct chela_http_call	*call = arg;
	size_t			 n = one * len;
	int			 r;

	call->last_us = http.host->now_us();
	if (call->is_cancelled)
		return (n == 0 ? 1 : 0);
	call->got += n;
	if (call->is_redirect) {
		/* Read a short one to its end: the connection stays usable. */
		return (call->got > HTTP_REDIRECT_BODY_MAX ? 0 : n);
	}
	if (call->got > call->max_bytes) {
		call->r = -EMSGSIZE;
		call->why = "the answer is too long";
		return (0);
	}
	r = n == 0 || call->handler.data == NULL ? 0 :
	    call->handler.data(call, bytes, n, call->arg);
	if (r < 0) {
		call->r = r;
		call->why = "the receiver ended the call";
		return (0);
	}
	return (n);
}

const char *
transfer_header(const struct chela_http_call *call, const char *name)
{
	const char	*p = call->head, *end = call->head + call->head_len;
	size_t		 n = strlen(name);

	for (; p != NULL && p < end; p += strlen(p) + 1) {
		if (strncasecmp(p, name, n) == 0 && p[n] == ':') {
			p += n + 1;
			return (p + strspn(p, " \t"));
		}
	}
	return (NULL);
}

static void
transfer_method(struct chela_http_call *call)
{
	CURL	*e = call->easy;

	if (call->body != NULL) {
		(void)curl->curl_easy_setopt(e, CURLOPT_POST, 1L);
		(void)curl->curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE,
		    (curl_off_t)call->body_len);
		(void)curl->curl_easy_setopt(e, CURLOPT_POSTFIELDS, call->body);
		if (strcmp(call->method, "POST") != 0)
			(void)curl->curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST,
			    call->method);
	} else if (strcmp(call->method, "HEAD") == 0)
		(void)curl->curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
	else if (strcmp(call->method, "POST") == 0) {
		(void)curl->curl_easy_setopt(e, CURLOPT_POST, 1L);
		(void)curl->curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE, 0L);
		(void)curl->curl_easy_setopt(e, CURLOPT_POSTFIELDS, "");
	} else if (strcmp(call->method, "GET") != 0)
		(void)curl->curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST,
		    call->method);
}

void
transfer_start(struct chela_http_call *call)
{
	CURL	*e;

	if (call->easy == NULL)
		call->easy = curl->curl_easy_init();
	else
		curl->curl_easy_reset(call->easy);
	e = call->easy;
	if (e == NULL) {
		call_end(call, -ENOMEM, "out of memory");
		return;
	}
	call->head_len = 0;
	call->got = 0;
	call->moved = 0;
	call->is_redirect = 0;
	call->r = 0;
	(void)curl->curl_easy_setopt(e, CURLOPT_PRIVATE, call);
	(void)curl->curl_easy_setopt(e, CURLOPT_URL, call->url);
	(void)curl->curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
	(void)curl->curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
	(void)curl->curl_easy_setopt(e, CURLOPT_PROXY, "");
	(void)curl->curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	(void)curl->curl_easy_setopt(e, CURLOPT_HTTP_VERSION,
	    (long)CURL_HTTP_VERSION_1_1);
	(void)curl->curl_easy_setopt(e, CURLOPT_SSLVERSION,
	    (long)CURL_SSLVERSION_TLSv1_2);
	(void)curl->curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L);
	(void)curl->curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L);
	/*
	 * The file alone: a directory that libcurl was built with would be
	 * trusted beside it, and keeps it from keeping what it has read.
	 */
	(void)curl->curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
	(void)curl->curl_easy_setopt(e, CURLOPT_CA_CACHE_TIMEOUT, CA_KEEP_S);
	if (http.ca_file != NULL)
		(void)curl->curl_easy_setopt(e, CURLOPT_CAINFO, http.ca_file);
	(void)curl->curl_easy_setopt(e, CURLOPT_MAXAGE_CONN, KEEP_S);
	(void)curl->curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS,
	    (long)(call->connect_us / 1000u + 1));
	(void)curl->curl_easy_setopt(e, CURLOPT_USERAGENT, "chela");
	(void)curl->curl_easy_setopt(e, CURLOPT_HTTPHEADER, call->headers);
	(void)curl->curl_easy_setopt(e, CURLOPT_RESOLVE, call->pin);
	(void)curl->curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, on_open);
	(void)curl->curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, call);
	(void)curl->curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, on_connected);
	(void)curl->curl_easy_setopt(e, CURLOPT_PREREQDATA, call);
	(void)curl->curl_easy_setopt(e, CURLOPT_NOPROGRESS, 0L);
	(void)curl->curl_easy_setopt(e, CURLOPT_XFERINFOFUNCTION, on_progress);
	(void)curl->curl_easy_setopt(e, CURLOPT_XFERINFODATA, call);
	(void)curl->curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_head);
	(void)curl->curl_easy_setopt(e, CURLOPT_HEADERDATA, call);
	(void)curl->curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	(void)curl->curl_easy_setopt(e, CURLOPT_WRITEDATA, call);
	transfer_method(call);
	if (curl->curl_multi_add_handle(http.multi, e) != CURLM_OK) {
		call_end(call, -ENOMEM, "out of memory");
		return;
	}
	call->step = STEP_CONNECT;
	call_arm(call);
}

void
transfer_drop(struct chela_http_call *call)
{
	if (call->step == STEP_CONNECT || call->step == STEP_TALK)
		(void)curl->curl_multi_remove_handle(http.multi, call->easy);
}

/* What curl's verdict means to a caller. */
static int
transfer_verdict(struct chela_http_call *call, CURLcode code,
    const char **ret_why)
{
	static const struct {
		CURLcode	 code;
		int		 r;
		const char	*why;
	} table[] = {
		{ CURLE_OPERATION_TIMEDOUT, -ETIMEDOUT,
		    "no connection in time" },
		{ CURLE_COULDNT_RESOLVE_HOST, -EHOSTUNREACH,
		    "no address for the host's name" },
		{ CURLE_COULDNT_CONNECT, -ECONNREFUSED,
		    "the connection was refused" },
		{ CURLE_PEER_FAILED_VERIFICATION, -EPROTO,
		    "the server's certificate is not trusted" },
		{ CURLE_SSL_CONNECT_ERROR, -EPROTO, "the TLS handshake failed" },
		{ CURLE_SSL_CACERT_BADFILE, -EPROTO,
		    "the file of trusted certificates cannot be read" },
		{ CURLE_PARTIAL_FILE, -EPROTO,
		    "the answer ended before its announced length" },
		{ CURLE_GOT_NOTHING, -EPROTO,
		    "the connection was closed without an answer" },
		{ CURLE_RECV_ERROR, -EPROTO, "the connection broke" },
		{ CURLE_SEND_ERROR, -EPROTO, "the connection broke" },
		{ CURLE_OUT_OF_MEMORY, -ENOMEM, "out of memory" },
	};
	long	 e = 0;
	size_t	 i;

	if (call->r < 0) {
		*ret_why = call->why != NULL ? call->why : "out of memory";
		return (call->r);
	}
	if (call->is_cancelled) {
		*ret_why = "cancelled";
		return (-ECANCELED);
	}
	*ret_why = "the answer is not HTTP as it should be";
	if (code == CURLE_OK) {
		*ret_why = "";
		return (0);
	}
	for (i = 0; i < sizeof table / sizeof table[0]; i++) {
		if (table[i].code != code)
			continue;
		*ret_why = table[i].why;
		(void)curl->curl_easy_getinfo(call->easy, CURLINFO_OS_ERRNO, &e);
		if (code == CURLE_COULDNT_CONNECT &&
		    (e == EHOSTUNREACH || e == ENETUNREACH)) {
			*ret_why = "the host cannot be reached";
			return (-EHOSTUNREACH);
		}
		return (table[i].r);
	}
	return (-EPROTO);
}

/* Acts on all that curl is done with; each end may start or cancel others. */
static void
transfer_reap(void)
{
	struct chela_http_call	*call;
	const char		*why;
	CURLMsg			*msg;
	CURLcode		 code;
	int			 n, r;

	while (http.multi != NULL &&
	    (msg = curl->curl_multi_info_read(http.multi, &n)) != NULL) {
		if (msg->msg != CURLMSG_DONE)
			continue;
		code = msg->data.result;
		call = NULL;
		(void)curl->curl_easy_getinfo(msg->easy_handle,
		    CURLINFO_PRIVATE, (char **)&call);
		transfer_drop(call);
		call->step = STEP_LOOKUP;	/* out of curl's hands */
		if (call->is_redirect && call->r == 0 && !call->is_cancelled &&
		    (code == CURLE_OK || call->got > HTTP_REDIRECT_BODY_MAX)) {
			hop_follow(call);
			continue;
		}
		r = transfer_verdict(call, code, &why);
		call_end(call, r, why);
	}
}
