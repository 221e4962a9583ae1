/* SPDX-License-Identifier: MIT */
/*
 * Keys and sealed values of the store of secrets: pure functions on bytes, and two
 * that touch a file. No state, no loop.
 */
#ifndef PLUGIN_SECRETS_VAULT_H
#define PLUGIN_SECRETS_VAULT_H

#include <stddef.h>
#include <stdint.h>

#define VAULT_KEY_LEN		32u
#define VAULT_SALT_LEN		16u
#define VAULT_NONCE_LEN		12u
#define VAULT_TAG_LEN		16u
#define VAULT_ITERATIONS	600000u	/* of PBKDF2 with HMAC-SHA-256 */
#define VAULT_PASS_MAX		4096u	/* bytes of a passphrase */

/*
 * AES-256-GCM with a random nonce; aad is authenticated, too. Gives base64 of
 * nonce, ciphertext and tag.
 */
int	vault_seal(const uint8_t key[VAULT_KEY_LEN], const char *aad,
	    const void *plain, size_t len, char **ret_text);
/*
 * Gives the bytes with a NUL behind them; the caller ends them with
 * vault_drop(). -EBADMSG: another key or aad, or not what was sealed.
 */
int	vault_unseal(const uint8_t key[VAULT_KEY_LEN], const char *aad,
	    const char *text, char **ret_plain, size_t *ret_len);
/* Wipes and frees; NULL is nothing. */
void	vault_drop(char *plain, size_t len);
void	vault_wipe(void *p, size_t len);

int	vault_random(void *p, size_t len);
int	vault_derive(const char *pass, size_t len, const uint8_t *salt,
	    size_t salt_len, unsigned iterations, uint8_t ret_key[VAULT_KEY_LEN]);

/*
 * Reads a file that only its owner may read: regular, no symbolic link, one name,
 * ours, mode 0600 or less; else -EPERM. Blocks. Gives text with a NUL behind it.
 */
int	vault_read_private(const char *path, size_t max, char **ret_text,
	    size_t *ret_len);
/* The key in a file, which is made when it is not there. Blocks. */
int	vault_key_file(const char *path, uint8_t ret_key[VAULT_KEY_LEN]);

#endif
