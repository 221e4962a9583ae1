/* SPDX-License-Identifier: MIT */
/*
 * Compares a guess with a secret, and with a device's token: the program whose
 * instructions tests/unit/secret_count.sh counts. secret_count SECRET GUESS
 */
#include <stdio.h>
#include <string.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include "core/access/pairing.h"
#include "core/access/secret.h"

int
main(int argc, char **argv)
{
	/* At one place, so that a run does not depend on that. */
	static _Alignas(64) char guess[256];
	struct secret	 s = { .is_set = false };
	struct token	 t;
	bool		 is_secret, is_token;

	if (argc != 3 || secret_set(&s, argv[1], NULL) < 0)
		return (2);
	(void)snprintf(guess, sizeof guess, "%s", argv[2]);
	memset(&t, 0, sizeof t);
	memcpy(t.digest, s.digest, sizeof t.digest);
	is_secret = secret_is(&s, guess, strlen(guess));
	is_token = token_is(&t, guess);
	return (is_secret && is_token ? 0 : 1);
}
