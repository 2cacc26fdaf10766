/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * TLS sessions to the control server, without sockets or files.
 */

#include <sys/types.h>

#include <stdio.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "ctrld.h"

void
tls_warmup(void)
{
	SSL_CTX	*ctx;
	SSL	*ssl;
	uint8_t	 b;

	if (RAND_bytes(&b, 1) != 1 ||
	    (ctx = SSL_CTX_new(TLS_client_method())) == NULL ||
	    (ssl = SSL_new(ctx)) == NULL)
		fatalx("OpenSSL does not start");
	SSL_free(ssl);
	SSL_CTX_free(ctx);
}

/* All certificates of the PEM text; returns how many. */
static int
ca_load(SSL_CTX *ctx, const char *pem, size_t len)
{
	X509	*x;
	BIO	*bio;
	int	 n;

	if (len == 0 || (bio = BIO_new_mem_buf(pem, len)) == NULL)
		return 0;
	for (n = 0; (x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL;
	    X509_free(x))
		if (X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), x) == 1)
			n++;
	ERR_clear_error();
	BIO_free(bio);
	return n;
}

static SSL_CTX *
ctx_new(char *why, size_t len)
{
	const struct ctrld_conf	*c;
	SSL_CTX			*ctx;

	c = ctrld_conf();
	if ((ctx = SSL_CTX_new(TLS_client_method())) == NULL)
		fatalx("SSL_CTX_new");
	if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1)
		fatalx("SSL_CTX_set_min_proto_version");
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	if (ca_load(ctx, c->c_ca, c->c_calen) == 0) {
		(void)strlcpy(why, "no CA certificates: install "
		    "ca-certificates or set `ca file'", len);
		SSL_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

/* Whose certificate it must be. */
static int
host_set(SSL *ssl, const struct url *u)
{
	char	 name[MSG_NAME_LEN];

	if (u->u_ip.af != 0)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl),
		    u->u_host) == 1 ? 0 : -1;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	(void)strlcpy(name, u->u_host, sizeof(name));
	return SSL_set1_host(ssl, name) == 1 &&
	    SSL_set_tlsext_host_name(ssl, name) == 1 ? 0 : -1;
}

struct ssl_st *
tls_new(const struct url *u, char *why, size_t len)
{
	SSL_CTX	*ctx;
	SSL	*ssl;
	BIO	*in, *out;

	if ((ctx = ctx_new(why, len)) == NULL)
		return NULL;
	ssl = SSL_new(ctx);
	SSL_CTX_free(ctx);		/* ssl holds it */
	in = BIO_new(BIO_s_mem());
	out = BIO_new(BIO_s_mem());
	if (ssl == NULL || in == NULL || out == NULL)
		fatal(NULL);
	SSL_set_bio(ssl, in, out);
	SSL_set_connect_state(ssl);
	if (host_set(ssl, u) == -1) {
		(void)strlcpy(why, "TLS host name", len);
		SSL_free(ssl);
		return NULL;
	}
	return ssl;
}

void
tls_error(struct ssl_st *ssl, char *buf, size_t len)
{
	const char	*reason;
	long		 verify;

	verify = SSL_get_verify_result(ssl);
	if (verify != X509_V_OK) {
		(void)snprintf(buf, len, "server certificate: %s",
		    X509_verify_cert_error_string(verify));
	} else {
		reason = ERR_reason_error_string(ERR_peek_error());
		(void)snprintf(buf, len, "TLS: %s",
		    reason == NULL ? "broken" : reason);
	}
	ERR_clear_error();
}
