/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * TLS without its private key: cryptod signs. The handshake that waits for a
 * signature is a job of the library's that is taken up again when it comes.
 */

#define OPENSSL_SUPPRESS_DEPRECATED	/* methods of keys are, as a form */

#include <sys/types.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/async.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "log.h"
#include "tlsserver.h"

#define FILE_LEN_MAX	(1024 * 1024)

/* A signature that cryptod was asked for; on the stack of its job. */
struct wait {
	SSL			*w_ssl;
	uint32_t		 w_id;
	int			 w_done;
	struct msg_tls_signed	 w_answer;
};

static RSA_METHOD	*rsa_method;
static EC_KEY_METHOD	*ec_method;
static struct chan	*crypt_chan;
static void		(*resume)(void *);
static struct wait	*waits[TLSSERVER_SIGNS];
static SSL		*current;	/* whose handshake is going on */
static uint32_t		 next_id;

/* --- keys that are elsewhere --- */

static struct wait **
wait_slot(void)
{
	int	 i;

	for (i = 0; i < TLSSERVER_SIGNS; i++)
		if (waits[++next_id % TLSSERVER_SIGNS] == NULL)
			return &waits[next_id % TLSSERVER_SIGNS];
	return NULL;
}

/* What to sign, and the certificate that tells cryptod by which key. */
static int
sign_fill(struct msg_tls_sign *m, uint32_t op, const uint8_t *data, size_t len)
{
	X509	*cert;

	memset(m, 0, sizeof(*m));
	if (len > sizeof(m->data) || current == NULL ||
	    (cert = SSL_get_certificate(current)) == NULL ||
	    X509_digest(cert, EVP_sha256(), m->cert, NULL) != 1)
		return -1;
	m->op = op;
	m->len = len;
	memcpy(m->data, data, len);
	return 0;
}

/* Ask cryptod, and sleep until it answers. Length of the signature, or -1. */
static int
sign(uint32_t op, const uint8_t *data, size_t len, uint8_t *sig, size_t size)
{
	struct msg_tls_sign	 m;
	struct wait		 w, **slot;

	if (sign_fill(&m, op, data, len) == -1 || (slot = wait_slot()) == NULL)
		return -1;
	memset(&w, 0, sizeof(w));
	w.w_ssl = current;
	w.w_id = next_id;
	if (chan_compose(crypt_chan, IMSG_TLS_SIGN, w.w_id, -1, &m,
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

void
tlschain_free(struct tlschain *tc)
{
	size_t	 i;

	for (i = 0; i < TLSCHAIN_MAX; i++)
		X509_free(tc->tc_cert[i]);
	memset(tc, 0, sizeof(*tc));
}

int
tlschain_set(struct tlschain *tc, const uint8_t *der, size_t len)
{
	const unsigned char	*p = der;
	X509			*x;

	if ((x = d2i_X509(NULL, &p, len)) == NULL) {
		ERR_clear_error();
		return -1;
	}
	tlschain_free(tc);
	tc->tc_cert[0] = x;
	return 0;
}

static void
chain_parse(struct tlschain *tc, const char *text, size_t len)
{
	BIO	*bio;
	size_t	 i = 0;

	if ((bio = BIO_new_mem_buf(text, len)) == NULL)
		fatal(NULL);
	while (i < TLSCHAIN_MAX && (tc->tc_cert[i] = PEM_read_bio_X509(bio,
	    NULL, NULL, NULL)) != NULL)
		i++;
	BIO_free(bio);
	ERR_clear_error();
}

int
tlschain_read(struct tlschain *tc, int fd, const char *name)
{
	char	*text;
	ssize_t	 n;
	size_t	 len = 0;

	tlschain_free(tc);
	if ((text = malloc(FILE_LEN_MAX)) == NULL)
		fatal(NULL);
	while ((n = read(fd, text + len, FILE_LEN_MAX - len)) > 0)
		len += n;
	(void)close(fd);
	if (len > 0)
		chain_parse(tc, text, len);
	free(text);
	if (tc->tc_cert[0] == NULL) {
		log_warnx("%s: no certificate is in it", name);
		return -1;
	}
	if (X509_cmp_current_time(X509_get0_notAfter(tc->tc_cert[0])) < 0)
		log_warnx("%s: the certificate has expired", name);
	return 0;
}

/* Clients that offer other protocols too are told that it is HTTP/1.1. */
static int
alpn_cb(SSL *ssl, const unsigned char **out, unsigned char *outlen,
    const unsigned char *in, unsigned int inlen, void *arg)
{
	static const unsigned char	 http[] = "\x08http/1.1";
	unsigned int			 i;

	for (i = 0; i < inlen && in[i] < inlen - i; i += in[i] + 1)
		if (in[i] == http[0] && memcmp(in + i, http,
		    sizeof(http) - 1) == 0) {
			*out = in + i + 1;
			*outlen = in[i];
			return SSL_TLSEXT_ERR_OK;
		}
	return SSL_TLSEXT_ERR_NOACK;
}

static SSL_CTX *
ctx_new(size_t readbuf)
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
	SSL_CTX_set_default_read_buffer_len(c, readbuf);
	SSL_CTX_set_alpn_select_cb(c, alpn_cb, NULL);
	return c;
}

SSL_CTX *
tlsserver_ctx(const struct tlschain *tc, X509 *last, size_t readbuf)
{
	EVP_PKEY	*key;
	SSL_CTX		*c;
	size_t		 i;
	int		 ok;

	c = ctx_new(readbuf);
	key = key_elsewhere(tc->tc_cert[0]);
	ok = key != NULL &&
	    SSL_CTX_use_certificate(c, tc->tc_cert[0]) == 1 &&
	    SSL_CTX_use_PrivateKey(c, key) == 1;
	for (i = 1; ok && i < TLSCHAIN_MAX && tc->tc_cert[i] != NULL; i++)
		ok = SSL_CTX_add1_chain_cert(c, tc->tc_cert[i]) == 1;
	ok = ok && (last == NULL || SSL_CTX_add1_chain_cert(c, last) == 1);
	EVP_PKEY_free(key);
	if (ok)
		return c;
	log_warnx("certificate cannot be used: %s", key == NULL ?
	    "its key is neither RSA nor ECDSA" :
	    ERR_reason_error_string(ERR_peek_last_error()));
	ERR_clear_error();
	SSL_CTX_free(c);
	return NULL;
}

void
tlsserver_warmup(void)
{
	SSL_CTX	*c;

	if (OPENSSL_init_ssl(0, NULL) != 1 ||
	    ASYNC_init_thread(TLSSERVER_SIGNS + 1, 1) != 1)
		fatalx("TLS library");
	methods_init();
	c = ctx_new(0);
	SSL_free(SSL_new(c));
	SSL_CTX_free(c);
}

void
tlsserver_init(struct chan *c, void (*cb)(void *))
{
	crypt_chan = c;
	resume = cb;
}

/* --- sessions --- */

SSL *
tlsserver_new(SSL_CTX *ctx, int fd, void *owner)
{
	SSL	*ssl;

	if ((ssl = SSL_new(ctx)) == NULL)
		return NULL;
	if (!SSL_set_fd(ssl, fd) || !SSL_set_app_data(ssl, owner)) {
		SSL_free(ssl);
		return NULL;
	}
	SSL_set_accept_state(ssl);
	return ssl;
}

int
tlsserver_handshake(SSL *ssl)
{
	int	 n;

	ERR_clear_error();
	current = ssl;
	n = SSL_do_handshake(ssl);
	current = NULL;
	if (n == 1) {
		SSL_clear_mode(ssl, SSL_MODE_ASYNC);
		return TLSSERVER_DONE;
	}
	switch (SSL_get_error(ssl, n)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_ASYNC:
		return TLSSERVER_LATER;
	case SSL_ERROR_WANT_WRITE:
		return TLSSERVER_WRITE;
	default:
		return TLSSERVER_FAILED;
	}
}

/* A job that sleeps must end before its session can be freed. */
void
tlsserver_free(SSL *ssl)
{
	size_t	 i;

	if (ssl == NULL)
		return;
	for (i = 0; i < TLSSERVER_SIGNS; i++)
		if (waits[i] != NULL && waits[i]->w_ssl == ssl) {
			waits[i]->w_answer.error = MSG_E_IO;
			waits[i]->w_done = 1;
			(void)SSL_do_handshake(ssl);
		}
	if (SSL_is_init_finished(ssl))
		(void)SSL_shutdown(ssl);
	SSL_free(ssl);
	ERR_clear_error();
}

static ssize_t
result(SSL *ssl, int n)
{
	if (n > 0)
		return n;
	switch (SSL_get_error(ssl, n)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return 0;
	default:
		return -1;
	}
}

ssize_t
tlsserver_read(SSL *ssl, void *buf, size_t len)
{
	ERR_clear_error();
	return result(ssl, SSL_read(ssl, buf, len));
}

ssize_t
tlsserver_write(SSL *ssl, const void *buf, size_t len)
{
	ERR_clear_error();
	return result(ssl, SSL_write(ssl, buf, len));
}

void
tlsserver_signed(uint32_t id, const struct msg_tls_signed *m)
{
	struct wait	*w = waits[id % TLSSERVER_SIGNS];

	if (w == NULL || w->w_id != id || w->w_done)
		return;
	w->w_answer = *m;
	w->w_done = 1;
	resume(SSL_get_app_data(w->w_ssl));
}

void
tlsserver_crypt_lost(void)
{
	struct msg_tls_signed	 m;
	size_t			 i;

	memset(&m, 0, sizeof(m));
	m.error = MSG_E_IO;
	for (i = 0; i < TLSSERVER_SIGNS; i++)
		if (waits[i] != NULL)
			tlsserver_signed(waits[i]->w_id, &m);
}
