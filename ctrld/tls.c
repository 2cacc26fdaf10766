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
ctx_new(int lax, char *why, size_t len)
{
	const struct ctrld_conf	*c;
	SSL_CTX			*ctx;

	c = ctrld_conf();
	if ((ctx = SSL_CTX_new(TLS_client_method())) == NULL)
		fatalx("SSL_CTX_new");
	if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1)
		fatalx("SSL_CTX_set_min_proto_version");
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	if (ca_load(ctx, c->c_ca, c->c_calen) == 0 && !lax) {
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

/* The certificate's owner and issuer, for people. */
static void
name_text(const X509_NAME *name, char *dst, size_t len)
{
	char	 buf[128];
	int	 n;

	n = X509_NAME_get_text_by_NID(name, NID_organizationName, buf,
	    sizeof(buf));
	if (n <= 0)
		buf[0] = '\0';
	text_vis(dst, len, buf);
	if (X509_NAME_get_text_by_NID(name, NID_commonName, buf,
	    sizeof(buf)) <= 0)
		return;
	if (dst[0] != '\0')
		(void)strlcat(dst, ", ", len);
	n = strlen(dst);
	text_vis(dst + n, len - n, buf);
}

/* Called for each certificate; the first complaint is kept. */
static int
verify_cb(int good, X509_STORE_CTX *ctx)
{
	struct tls_peer	*tp;
	X509		*leaf;
	SSL		*ssl;

	ssl = X509_STORE_CTX_get_ex_data(ctx,
	    SSL_get_ex_data_X509_STORE_CTX_idx());
	tp = SSL_get_app_data(ssl);
	if (good)
		return 1;
	if (tp->tp_error == X509_V_OK) {
		tp->tp_error = X509_STORE_CTX_get_error(ctx);
		if ((leaf = X509_STORE_CTX_get0_cert(ctx)) != NULL) {
			name_text(X509_get_subject_name(leaf),
			    tp->tp_subject, sizeof(tp->tp_subject));
			name_text(X509_get_issuer_name(leaf),
			    tp->tp_issuer, sizeof(tp->tp_issuer));
		}
	}
	return tp->tp_lax;
}

struct ssl_st *
tls_new(struct tls_peer *tp, char *why, size_t len)
{
	SSL_CTX	*ctx;
	SSL	*ssl;
	BIO	*in, *out;

	if ((ctx = ctx_new(tp->tp_lax, why, len)) == NULL)
		return NULL;
	ssl = SSL_new(ctx);
	SSL_CTX_free(ctx);		/* ssl holds it */
	in = BIO_new(BIO_s_mem());
	out = BIO_new(BIO_s_mem());
	if (ssl == NULL || in == NULL || out == NULL)
		fatal(NULL);
	SSL_set_bio(ssl, in, out);
	SSL_set_connect_state(ssl);
	SSL_set_app_data(ssl, tp);
	SSL_set_verify(ssl, SSL_VERIFY_PEER, verify_cb);
	tp->tp_error = X509_V_OK;
	if (host_set(ssl, tp->tp_url) == -1) {
		(void)strlcpy(why, "TLS host name", len);
		SSL_free(ssl);
		return NULL;
	}
	return ssl;
}

/*
 * A certificate for the right name by an issuer that nobody here knows is
 * the mark of a box that reads along.
 */
static const char *
complaint(long error)
{
	switch (error) {
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_CERT_UNTRUSTED:
		return "something between here and there intercepts TLS, or "
		    "the server has a CA of its own: if it is to be trusted, "
		    "name that CA's certificate with `ca file'";
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		return "this is another server, or a captive portal: check "
		    "the URL and what the name resolves to";
	case X509_V_ERR_CERT_NOT_YET_VALID:
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return "check the date of this host; if it is right, the "
		    "server's certificate must be renewed";
	default:
		return "it is refused";
	}
}

int
tls_complaint(const struct tls_peer *tp, char *buf, size_t len)
{
	if (tp->tp_error == X509_V_OK)
		return 0;
	(void)snprintf(buf, len, "certificate of %s: %s: issued to \"%s\" "
	    "by \"%s\": %s", tp->tp_url->u_host,
	    X509_verify_cert_error_string(tp->tp_error), tp->tp_subject,
	    tp->tp_issuer, complaint(tp->tp_error));
	return 1;
}

void
tls_error(struct tls_peer *tp, char *buf, size_t len)
{
	const char	*reason;

	if (!tls_complaint(tp, buf, len)) {
		reason = ERR_reason_error_string(ERR_peek_error());
		(void)snprintf(buf, len, "TLS with %s: %s",
		    tp->tp_url->u_host, reason == NULL ? "broken" : reason);
	}
	ERR_clear_error();
}
