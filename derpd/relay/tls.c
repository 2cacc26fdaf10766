/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * TLS without its private key: cryptod signs. The handshake that waits for a
 * signature is a job of the library's that is taken up again when it comes.
 */

#define OPENSSL_SUPPRESS_DEPRECATED	/* methods of keys are, as a form */

#include <sys/types.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/async.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "relay.h"

#define FILE_LEN_MAX	(1024 * 1024)
#define CHAIN_MAX	16
#define READ_BUFFER	65536

/* A signature that cryptod was asked for; on the stack of its job. */
struct wait {
	struct conn		*w_conn;
	uint32_t		 w_id;
	int			 w_done;
	struct msg_tls_signed	 w_answer;
};

static SSL_CTX		*ctx;
static X509		*chain[CHAIN_MAX], *next_chain[CHAIN_MAX], *meta;
static RSA_METHOD	*rsa_method;
static EC_KEY_METHOD	*ec_method;
static struct wait	*waits[MAX_SIGNS];
static struct conn	*current;	/* whose handshake is going on */
static uint32_t		 next_id;

/* --- keys that are elsewhere --- */

static struct wait **
wait_slot(void)
{
	int	 i;

	for (i = 0; i < MAX_SIGNS; i++)
		if (waits[++next_id % MAX_SIGNS] == NULL)
			return &waits[next_id % MAX_SIGNS];
	return NULL;
}

/* Ask cryptod, and sleep until it answers. Length of the signature, or -1. */
static int
sign(uint32_t op, const uint8_t *data, size_t len, uint8_t *sig, size_t size)
{
	struct msg_tls_sign	 m;
	struct wait		 w, **slot;

	memset(&m, 0, sizeof(m));
	if (len > sizeof(m.data) || current == NULL ||
	    (slot = wait_slot()) == NULL)
		return -1;
	m.op = op;
	m.len = len;
	memcpy(m.data, data, len);
	memset(&w, 0, sizeof(w));
	w.w_conn = current;
	w.w_id = next_id;
	if (chan_compose(relay_crypt(), IMSG_TLS_SIGN, w.w_id, -1, &m,
	    sizeof(m)) == -1)
		return -1;
	*slot = &w;
	while (!w.w_done)
		if (ASYNC_pause_job() == 0)
			break;
	*slot = NULL;
	if (!w.w_done || w.w_answer.error != MSG_OK || w.w_answer.len > size)
		return -1;
	memcpy(sig, w.w_answer.sig, w.w_answer.len);
	return w.w_answer.len;
}

static int
ec_sign(int type, const unsigned char *digest, int len, unsigned char *sig,
    unsigned int *siglen, const BIGNUM *kinv, const BIGNUM *r, EC_KEY *key)
{
	int	 n;

	n = sign(TLS_OP_ECDSA, digest, len, sig, ECDSA_size(key));
	if (n <= 0)
		return 0;
	*siglen = n;
	return 1;
}

static int
rsa_sign(int len, const unsigned char *from, unsigned char *to, RSA *rsa,
    int padding)
{
	if (padding != RSA_PKCS1_PADDING && padding != RSA_NO_PADDING)
		return -1;
	return sign(padding == RSA_NO_PADDING ? TLS_OP_RSA_RAW :
	    TLS_OP_RSA_PKCS1, from, len, to, RSA_size(rsa));
}

/* The key of a certificate, with methods that ask cryptod. */
static EVP_PKEY *
key_elsewhere(X509 *cert)
{
	EVP_PKEY	*pub, *key;
	EC_KEY		*ec;
	RSA		*rsa;
	int		 ok = 0;

	if ((pub = X509_get0_pubkey(cert)) == NULL ||
	    (key = EVP_PKEY_new()) == NULL)
		return NULL;
	if ((ec = EVP_PKEY_get1_EC_KEY(pub)) != NULL)
		ok = EC_KEY_set_method(ec, ec_method) &&
		    EVP_PKEY_assign_EC_KEY(key, ec);
	else if ((rsa = EVP_PKEY_get1_RSA(pub)) != NULL)
		ok = RSA_set_method(rsa, rsa_method) &&
		    EVP_PKEY_assign_RSA(key, rsa);
	if (ok)
		return key;
	EVP_PKEY_free(key);
	return NULL;
}

static void
methods_init(void)
{
	if ((rsa_method = RSA_meth_dup(RSA_PKCS1_OpenSSL())) == NULL ||
	    (ec_method = EC_KEY_METHOD_new(EC_KEY_OpenSSL())) == NULL)
		fatalx("methods of keys");
	RSA_meth_set_priv_enc(rsa_method, rsa_sign);
	EC_KEY_METHOD_set_sign(ec_method, ec_sign, NULL, NULL);
}

/* --- certificates --- */

static SSL_CTX *
ctx_new(void)
{
	SSL_CTX	*c;

	if ((c = SSL_CTX_new(TLS_server_method())) == NULL ||
	    !SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION))
		fatalx("TLS context");
	SSL_CTX_set_options(c, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION |
	    SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_num_tickets(c, 0);
	SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ASYNC |
	    SSL_MODE_ENABLE_PARTIAL_WRITE |
	    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(c, 1);
	SSL_CTX_set_default_read_buffer_len(c, READ_BUFFER);
	return c;
}

/* A context of what certificates there are; sessions keep their old one. */
static int
ctx_build(void)
{
	EVP_PKEY	*key;
	SSL_CTX		*c;
	size_t		 i;
	int		 ok;

	if (chain[0] == NULL || meta == NULL)
		return 0;
	c = ctx_new();
	key = key_elsewhere(chain[0]);
	ok = key != NULL && SSL_CTX_use_certificate(c, chain[0]) == 1 &&
	    SSL_CTX_use_PrivateKey(c, key) == 1;
	for (i = 1; ok && i < CHAIN_MAX && chain[i] != NULL; i++)
		ok = SSL_CTX_add1_chain_cert(c, chain[i]) == 1;
	/* The last one tells fast clients our DERP key. */
	ok = ok && SSL_CTX_add1_chain_cert(c, meta) == 1;
	EVP_PKEY_free(key);
	if (!ok) {
		log_warnx("certificate cannot be used: %s",
		    ERR_reason_error_string(ERR_peek_last_error()));
		ERR_clear_error();
		SSL_CTX_free(c);
		return -1;
	}
	SSL_CTX_free(ctx);
	ctx = c;
	return 0;
}

static void
chain_free(X509 **c)
{
	size_t	 i;

	for (i = 0; i < CHAIN_MAX; i++) {
		X509_free(c[i]);
		c[i] = NULL;
	}
}

int
tls_file(int fd)
{
	BIO	*bio;
	char	*text;
	ssize_t	 n;
	size_t	 len = 0, i = 0;

	chain_free(next_chain);
	if ((text = malloc(FILE_LEN_MAX)) == NULL)
		fatal(NULL);
	while ((n = read(fd, text + len, FILE_LEN_MAX - len)) > 0)
		len += n;
	(void)close(fd);
	if ((bio = BIO_new_mem_buf(text, len)) == NULL)
		fatal(NULL);
	while (i < CHAIN_MAX && (next_chain[i] = PEM_read_bio_X509(bio, NULL,
	    NULL, NULL)) != NULL)
		i++;
	BIO_free(bio);
	free(text);
	ERR_clear_error();
	if (i > 0)
		return 0;
	log_warnx("the certificate file has no certificate");
	return -1;
}

void
tls_commit(void)
{
	if (next_chain[0] == NULL)
		return;
	chain_free(chain);
	memcpy(chain, next_chain, sizeof(chain));
	memset(next_chain, 0, sizeof(next_chain));
	(void)ctx_build();
}

void
tls_abort(void)
{
	chain_free(next_chain);
}

int
tls_cert(uint32_t kind, const uint8_t *der, size_t len)
{
	const unsigned char	*p = der;
	X509			*x;

	if ((x = d2i_X509(NULL, &p, len)) == NULL)
		return -1;
	if (kind == DERP_CERT_META) {
		X509_free(meta);
		meta = x;
	} else {
		chain_free(chain);
		chain[0] = x;
	}
	return ctx_build();
}

void
tls_warmup(void)
{
	SSL_CTX	*c;

	if (OPENSSL_init_ssl(0, NULL) != 1 ||
	    ASYNC_init_thread(MAX_SIGNS + 1, 1) != 1)
		fatalx("TLS library");
	methods_init();
	c = ctx_new();
	SSL_free(SSL_new(c));
	SSL_CTX_free(c);
}

/* --- sessions --- */

SSL *
tls_new(int fd)
{
	SSL	*ssl;

	if (ctx == NULL || (ssl = SSL_new(ctx)) == NULL)
		return NULL;
	if (!SSL_set_fd(ssl, fd)) {
		SSL_free(ssl);
		return NULL;
	}
	SSL_set_accept_state(ssl);
	return ssl;
}

int
tls_handshake(struct conn *c)
{
	int	 n;

	ERR_clear_error();
	current = c;
	n = SSL_do_handshake(c->c_ssl);
	current = NULL;
	if (n == 1) {
		SSL_clear_mode(c->c_ssl, SSL_MODE_ASYNC);
		return 1;
	}
	switch (SSL_get_error(c->c_ssl, n)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_ASYNC:
		return 0;
	case SSL_ERROR_WANT_WRITE:
		event_add(&c->c_ev_write, NULL);
		return 0;
	default:
		return -1;
	}
}

/* A job that sleeps must end before its session can be freed. */
void
tls_free(struct conn *c)
{
	size_t	 i;

	if (c->c_ssl == NULL)
		return;
	for (i = 0; i < MAX_SIGNS; i++)
		if (c->c_state == CONN_TLS && waits[i] != NULL &&
		    waits[i]->w_conn == c) {
			waits[i]->w_answer.error = MSG_E_IO;
			waits[i]->w_done = 1;
			(void)SSL_do_handshake(c->c_ssl);
		}
	if (c->c_state != CONN_TLS)
		(void)SSL_shutdown(c->c_ssl);
	SSL_free(c->c_ssl);
	c->c_ssl = NULL;
	ERR_clear_error();
}

static ssize_t
result(struct conn *c, int n)
{
	if (n > 0)
		return n;
	switch (SSL_get_error(c->c_ssl, n)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return 0;
	default:
		return -1;
	}
}

ssize_t
tls_read(struct conn *c, void *buf, size_t len)
{
	ssize_t	 n;

	if (c->c_ssl != NULL) {
		ERR_clear_error();
		return result(c, SSL_read(c->c_ssl, buf, len));
	}
	n = read(c->c_fd, buf, len);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return n > 0 ? n : -1;
}

ssize_t
tls_write(struct conn *c, const void *buf, size_t len)
{
	ssize_t	 n;

	if (c->c_ssl != NULL) {
		ERR_clear_error();
		return result(c, SSL_write(c->c_ssl, buf, len));
	}
	n = write(c->c_fd, buf, len);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return n;
}

void
tls_signed(uint32_t id, const struct msg_tls_signed *m)
{
	struct wait	*w = waits[id % MAX_SIGNS];

	if (w == NULL || w->w_id != id || w->w_done)
		return;
	w->w_answer = *m;
	w->w_done = 1;
	conn_signed(w->w_conn);
}

void
tls_crypt_lost(void)
{
	struct msg_tls_signed	 m;
	size_t			 i;

	memset(&m, 0, sizeof(m));
	m.error = MSG_E_IO;
	for (i = 0; i < MAX_SIGNS; i++)
		if (waits[i] != NULL)
			tls_signed(waits[i]->w_id, &m);
}
