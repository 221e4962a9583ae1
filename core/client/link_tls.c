/* SPDX-License-Identifier: MIT */
#include "core/client/link_tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <gnutls/gnutls.h>

#define LINK_TLS_FLAGS	(GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL)
#define LINK_TICKET_MAX	KIB(64)	/* bytes; the chain is in it */
#define LINK_TLS_PRIORITY \
	"SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

struct link_tls {
	gnutls_session_t		 session;
	gnutls_certificate_credentials_t cred;
	const struct url		*url;
	bool				 is_ready;
	bool				 is_new;
	bool				 is_believed;	/* the certificate */
	bool				 is_kept;	/* a ticket */
	struct link_ticket		*ticket;
	char				 finger[FINGER_TEXT];
};

static bool
is_name(const char *host)
{
	unsigned char	 ip[16];

	return (inet_pton(AF_INET, host, ip) != 1 &&
	    inet_pton(AF_INET6, host, ip) != 1);
}

static int
link_tls_setup(struct link_tls *t, int fd)
{
	static const gnutls_datum_t http = {
		(unsigned char *)(uintptr_t)"http/1.1", 8
	};
	int	 e;

	e = gnutls_certificate_allocate_credentials(&t->cred);
	if (e >= 0)
		e = gnutls_init(&t->session, LINK_TLS_FLAGS);
	if (e >= 0)
		e = gnutls_priority_set_direct(t->session, LINK_TLS_PRIORITY,
		    NULL);
	if (e >= 0)
		e = gnutls_credentials_set(t->session, GNUTLS_CRD_CERTIFICATE,
		    t->cred);
	if (e >= 0)
		e = gnutls_alpn_set_protocols(t->session, &http, 1, 0);
	/* Numbers are no server names (RFC 6066 section 3). */
	if (e >= 0 && is_name(t->url->host))
		e = gnutls_server_name_set(t->session, GNUTLS_NAME_DNS,
		    t->url->host, strlen(t->url->host));
	if (e < 0)
		return (e);
	gnutls_transport_set_int(t->session, fd);
	/* One that is not taken is no fault: there is a whole handshake then. */
	if (t->ticket->data != NULL)
		(void)gnutls_session_set_data(t->session, t->ticket->data,
		    t->ticket->len);
	link_ticket_fini(t->ticket);
	return (0);
}

void
link_ticket_fini(struct link_ticket *t)
{
	if (t->data != NULL)
		gnutls_memset(t->data, 0, t->len);
	free(t->data);
	*t = (struct link_ticket){ NULL, 0 };
}

/*
 * The first one that came, if the peer is whom it should be. At once: after a
 * connection that just broke there is none to be had.
 */
static void
link_tls_keep(struct link_tls *t)
{
	gnutls_datum_t	 d = { NULL, 0 };

	/* Without one that came, asking for it would wait. */
	if (!t->is_believed || t->is_kept ||
	    (gnutls_session_get_flags(t->session) &
	    GNUTLS_SFLAGS_SESSION_TICKET) == 0 ||
	    gnutls_session_get_data2(t->session, &d) < 0)
		return;
	t->is_kept = true;
	link_ticket_fini(t->ticket);
	if (d.size > 0 && d.size <= LINK_TICKET_MAX)
		t->ticket->data = malloc(d.size);
	if (t->ticket->data != NULL) {
		memcpy(t->ticket->data, d.data, d.size);
		t->ticket->len = d.size;
	}
	gnutls_memset(d.data, 0, d.size);
	gnutls_free(d.data);
}

struct link_tls *
link_tls_new(int fd, const struct url *url, struct link_ticket *ticket)
{
	struct link_tls	*t;

	t = calloc(1, sizeof *t);
	if (t == NULL)
		return (NULL);
	t->url = url;
	t->ticket = ticket;
	if (link_tls_setup(t, fd) < 0)
		return (link_tls_free(t));
	return (t);
}

struct link_tls *
link_tls_free(struct link_tls *t)
{
	if (t == NULL)
		return (NULL);
	if (t->is_ready)
		(void)gnutls_bye(t->session, GNUTLS_SHUT_WR);
	if (t->session != NULL)
		gnutls_deinit(t->session);
	if (t->cred != NULL)
		gnutls_certificate_free_credentials(t->cred);
	free(t);
	return (NULL);
}

int
link_tls_handshake(struct link_tls *t, struct buf *why)
{
	int	 e;

	do {
		e = gnutls_handshake(t->session);
	} while (e == GNUTLS_E_INTERRUPTED ||
	    e == GNUTLS_E_WARNING_ALERT_RECEIVED);
	if (e == GNUTLS_E_AGAIN)
		return (-EAGAIN);
	if (e == 0) {
		t->is_ready = true;
		return (0);
	}
	(void)gnutls_alert_send_appropriate(t->session, e);
	if (e == GNUTLS_E_FATAL_ALERT_RECEIVED)
		(void)buf_printf(why, "%s refused TLS: %s", t->url->authority,
		    gnutls_alert_get_name(gnutls_alert_get(t->session)));
	else if (e == GNUTLS_E_UNEXPECTED_PACKET ||
	    e == GNUTLS_E_UNSUPPORTED_VERSION_PACKET ||
	    e == GNUTLS_E_PREMATURE_TERMINATION)
		(void)buf_printf(why, "%s does not speak TLS (%s); is it "
		    "ws://?", t->url->authority, gnutls_strerror(e));
	else
		(void)buf_printf(why, "no TLS with %s: %s", t->url->authority,
		    gnutls_strerror(e));
	return (-EPROTO);
}

bool
link_tls_wants_write(const struct link_tls *t)
{
	return (gnutls_record_get_direction(t->session) == 1);
}

int
link_tls_check(struct link_tls *t, const struct trust *trust, struct buf *why)
{
	struct trust_cert	 chain[TRUST_CHAIN_MAX];
	const gnutls_datum_t	*list;
	unsigned		 i, n = 0;
	int			 r;

	list = gnutls_certificate_get_peers(t->session, &n);
	n = list == NULL ? 0 : MIN_OF(n, TRUST_CHAIN_MAX);
	for (i = 0; i < n; i++)
		chain[i] = (struct trust_cert){ list[i].data, list[i].size };
	/* Also of a resumed one: what is believed may have changed since. */
	r = trust_check(trust, t->url, chain, n, t->finger, &t->is_new, why);
	t->is_believed = r == 0;
	return (r);
}

const char *
link_tls_finger(const struct link_tls *t)
{
	return (t->finger);
}

bool
link_tls_is_new(const struct link_tls *t)
{
	return (t->is_new);
}

/* The number of this library as one of the system's. */
static ssize_t
link_tls_errno(ssize_t e)
{
	errno = e == GNUTLS_E_AGAIN ? EAGAIN : e == GNUTLS_E_INTERRUPTED ?
	    EINTR : e == GNUTLS_E_PUSH_ERROR || e == GNUTLS_E_PULL_ERROR ?
	    ECONNRESET : EPROTO;
	return (-1);
}

ssize_t
link_tls_recv(struct link_tls *t, void *p, size_t size)
{
	ssize_t	 n;

	do {
		n = gnutls_record_recv(t->session, p, size);
	} while (n == GNUTLS_E_WARNING_ALERT_RECEIVED);
	if (n == GNUTLS_E_PREMATURE_TERMINATION)
		return (0);
	if (n > 0)
		link_tls_keep(t);
	return (n >= 0 ? n : link_tls_errno(n));
}

ssize_t
link_tls_send(struct link_tls *t, const void *p, size_t len)
{
	ssize_t	 n;

	n = gnutls_record_send(t->session, p, len);
	return (n >= 0 ? n : link_tls_errno(n));
}
