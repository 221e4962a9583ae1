/* SPDX-License-Identifier: MIT */
/*
 * Whether the certificate that a gateway shows is believed: the one that was
 * pinned; else the one that is known of this address; else one that the
 * system's authorities vouch for; else, on first use, the one that is there,
 * which is then known. A change of what is known is never accepted by itself.
 */
#ifndef CLIENT_TRUST_H
#define CLIENT_TRUST_H

#include "core/base/base.h"
#include "core/base/buf.h"
#include "core/base/finger.h"
#include "core/client/url.h"

#define TRUST_FILE_MAX	MIB(1)
#define TRUST_CHAIN_MAX	16u	/* certificates of one chain */

struct trust {
	bool		 has_pin;
	bool		 is_system_only;	/* authorities; no first use */
	unsigned char	 pin[FINGER_LEN];
	char		*known_path;	/* owned; see trust_known_path() */
};

/* A certificate in DER; as gnutls_datum_t. */
struct trust_cert {
	const unsigned char	*p;
	unsigned		 len;
};

/*
 * 0 and the fingerprint of chain[0]; ret_new: it was written down just now. Or
 * -EKEYREJECTED and a sentence with both fingerprints where there are two.
 * Reads and writes a small file, and may read the authorities.
 */
int	 trust_check(const struct trust *t, const struct url *url,
	    const struct trust_cert *chain, unsigned n,
	    char ret_finger[FINGER_TEXT], bool *ret_new, struct buf *why)
	    must_use;
/* "known_gateways" in the user's folder of configuration (gives), or NULL. */
char	*trust_known_path(void) must_use;
void	 trust_fini(struct trust *t);

#endif
