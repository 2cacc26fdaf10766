/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The private keys of TLS: from files or made here, told apart by the hash
 * of their certificates.
 */

#include <sys/types.h>
#include <sys/queue.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "log.h"
#include "os.h"
#include "tlskey.h"

#define FILE_LEN_MAX	(1024 * 1024)

enum key_state {
	KEY_RETIRED,		/* what it began is still signed */
	KEY_USED,
	KEY_NEXT		/* of a configuration that may come */
};

struct tlskey {
	TAILQ_ENTRY(tlskey)	 k_entry;
	EVP_PKEY		*k_key;
	enum key_state		 k_state;
	uint8_t			 k_cert[MSG_KEY_LEN];	/* SHA-256 */
};

static TAILQ_HEAD(, tlskey)	 keys = TAILQ_HEAD_INITIALIZER(keys);
static X509			*next_cert;	/* its key comes next */
static int			 keyless;	/* one came without */
static int			 bad;		/* some file was */

static void
ssl_warn(const char *name, const char *what)
{
	const char	*reason = ERR_reason_error_string(ERR_peek_error());

	log_warnx("%s: %s%s%s", name, what, reason == NULL ? "" : ": ",
	    reason == NULL ? "" : reason);
	ERR_clear_error();
}

static void
keys_drop(enum key_state state)
{
	struct tlskey	*k, *tmp;

	TAILQ_FOREACH_SAFE(k, &keys, k_entry, tmp) {
		if (k->k_state != state)
			continue;
		TAILQ_REMOVE(&keys, k, k_entry);
		EVP_PKEY_free(k->k_key);
		free(k);
	}
}

static void
keys_become(enum key_state from, enum key_state to)
{
	struct tlskey	*k;

	TAILQ_FOREACH(k, &keys, k_entry)
		if (k->k_state == from)
			k->k_state = to;
}

/* The key is the list's from here on, also on error. */
static int
key_add(EVP_PKEY *key, X509 *cert)
{
	struct tlskey	*k;

	if ((k = calloc(1, sizeof(*k))) == NULL)
		fatal(NULL);
	k->k_key = key;
	k->k_state = KEY_NEXT;
	if (X509_digest(cert, EVP_sha256(), k->k_cert, NULL) != 1) {
		EVP_PKEY_free(key);
		free(k);
		return -1;
	}
	TAILQ_INSERT_HEAD(&keys, k, k_entry);
	return 0;
}

/* The file's text, or NULL; closes it. The caller wipes FILE_LEN_MAX. */
static char *
file_read(int fd, size_t *len)
{
	char	*text;
	ssize_t	 n;

	if ((text = calloc(1, FILE_LEN_MAX)) == NULL)
		fatal(NULL);
	*len = 0;
	while ((n = read(fd, text + *len, FILE_LEN_MAX - *len)) > 0)
		*len += n;
	(void)close(fd);
	return text;
}

static int
cert_take(int fd, const char *name)
{
	BIO	*bio;
	char	*text;
	size_t	 len;

	if (next_cert != NULL)
		keyless = 1;
	X509_free(next_cert);
	next_cert = NULL;
	text = file_read(fd, &len);
	if ((bio = BIO_new_mem_buf(text, len)) != NULL)
		next_cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	BIO_free(bio);
	free(text);
	if (next_cert != NULL)
		return 0;
	ssl_warn(name, "no certificate is in it");
	return -1;
}

static int
key_take(int fd, const char *name)
{
	EVP_PKEY	*key = NULL;
	BIO		*bio;
	char		*text;
	size_t		 len;

	text = file_read(fd, &len);
	if ((bio = BIO_new_mem_buf(text, len)) != NULL)
		key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	BIO_free(bio);
	freezero(text, FILE_LEN_MAX);
	if (key == NULL) {
		ssl_warn(name, "no private key without passphrase is in it");
		return -1;
	}
	if (next_cert == NULL || X509_check_private_key(next_cert, key) != 1) {
		ssl_warn(name, "not the key of the certificate");
		EVP_PKEY_free(key);
		return -1;
	}
	if (key_add(key, next_cert) == -1)
		return -1;
	X509_free(next_cert);
	next_cert = NULL;
	return 0;
}

int
tlskey_msg(struct imsg *imsg)
{
	char	 name[MSG_NAME_LEN];
	int	 fd, ret;

	if ((fd = imsg_get_fd(imsg)) == -1)
		return -1;
	if (msg_get_str(imsg, name, sizeof(name)) == -1) {
		(void)close(fd);
		return -1;
	}
	ret = imsg_get_type(imsg) == IMSG_CERT_FD ? cert_take(fd, name) :
	    key_take(fd, name);
	if (ret == -1)
		bad = 1;
	return 0;
}

int
tlskey_complete(void)
{
	if (bad)
		return 0;
	if (next_cert == NULL && !keyless)
		return 1;
	log_warnx("a certificate has no key");
	return 0;
}

void
tlskey_commit(void)
{
	keys_drop(KEY_RETIRED);
	keys_become(KEY_USED, KEY_RETIRED);
	keys_become(KEY_NEXT, KEY_USED);
}

void
tlskey_abort(void)
{
	X509_free(next_cert);
	next_cert = NULL;
	keyless = bad = 0;
	keys_drop(KEY_NEXT);
}

void
tlskey_end(void)
{
	tlskey_abort();
	keys_drop(KEY_USED);
	keys_drop(KEY_RETIRED);
}

int
tlskey_set(const uint8_t *der, size_t len, const uint8_t *cert,
    size_t certlen)
{
	const unsigned char	*p = der, *q = cert;
	EVP_PKEY		*key;
	X509			*x;
	int			 ret = -1;

	x = d2i_X509(NULL, &q, certlen);
	key = d2i_AutoPrivateKey(NULL, &p, len);
	if (x == NULL || key == NULL || X509_check_private_key(x, key) != 1) {
		ssl_warn("TLS", "key and certificate of our own");
		EVP_PKEY_free(key);
	} else if ((ret = key_add(key, x)) == 0)
		tlskey_commit();
	X509_free(x);
	return ret;
}

static int
sign(EVP_PKEY_CTX *ctx, const struct msg_tls_sign *in,
    struct msg_tls_signed *out)
{
	size_t	 len = sizeof(out->sig);

	if (EVP_PKEY_sign_init(ctx) != 1)
		return -1;
	if (in->op == TLS_OP_RSA_PKCS1 &&
	    EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) != 1)
		return -1;
	if (in->op == TLS_OP_RSA_RAW &&
	    EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING) != 1)
		return -1;
	if (EVP_PKEY_sign(ctx, out->sig, &len, in->data, in->len) != 1)
		return -1;
	out->len = len;
	return 0;
}

/* Committed here a moment before or after the process that asks did. */
static EVP_PKEY *
key_find(const uint8_t *cert)
{
	struct tlskey	*k;

	TAILQ_FOREACH(k, &keys, k_entry)
		if (memcmp(k->k_cert, cert, sizeof(k->k_cert)) == 0)
			return k->k_key;
	return NULL;
}

/* Could that come from a server process that keeps the rules? */
static int
sign_ok(const struct msg_tls_sign *m)
{
	return m->len <= sizeof(m->data) && m->op >= TLS_OP_ECDSA &&
	    m->op <= TLS_OP_RSA_RAW;
}

/* The answer is filled, its error too. */
static void
sign_answer(const struct msg_tls_sign *in, struct msg_tls_signed *out)
{
	EVP_PKEY_CTX	*ctx;
	EVP_PKEY	*key;
	int		 ec;

	out->error = MSG_E_CRYPTO;
	if ((key = key_find(in->cert)) == NULL) {
		out->error = MSG_E_NOKEY;
		return;
	}
	ec = EVP_PKEY_get_base_id(key) == EVP_PKEY_EC;
	if (ec != (in->op == TLS_OP_ECDSA) ||
	    (size_t)EVP_PKEY_get_size(key) > sizeof(out->sig) ||
	    (ctx = EVP_PKEY_CTX_new(key, NULL)) == NULL)
		return;
	if (sign(ctx, in, out) == 0)
		out->error = MSG_OK;
	else
		ERR_clear_error();
	EVP_PKEY_CTX_free(ctx);
}

int
tlskey_sign(struct chan *c, struct imsg *imsg, struct rate *rate)
{
	struct msg_tls_sign	 in;
	struct msg_tls_signed	 out;

	if (msg_get(imsg, &in, sizeof(in)) == -1 || !sign_ok(&in))
		return -1;
	memset(&out, 0, sizeof(out));
	if (rate_take(rate, os_now()))
		sign_answer(&in, &out);
	else
		out.error = MSG_E_RATE;
	(void)chan_compose(c, IMSG_TLS_SIGNED, imsg_get_id(imsg), -1, &out,
	    sizeof(out));
	return 0;
}

void
tlskey_warmup(void)
{
	struct msg_tls_signed	 out;
	EVP_PKEY_CTX		*ctx;
	EVP_PKEY		*key;
	struct msg_tls_sign	 in;

	memset(&in, 0, sizeof(in));
	memset(&out, 0, sizeof(out));
	in.op = TLS_OP_ECDSA;
	in.len = MSG_KEY_LEN;
	if ((key = EVP_EC_gen("P-256")) == NULL ||
	    (ctx = EVP_PKEY_CTX_new(key, NULL)) == NULL ||
	    sign(ctx, &in, &out) == -1)
		fatalx("libcrypto does not sign");
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(key);
}
