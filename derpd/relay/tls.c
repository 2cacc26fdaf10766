/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The relay's TLS: its certificates, and sessions of its connections. What
 * needs the private key is cryptod's: tlsserver.h.
 */

#include <sys/types.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/x509.h>

#include "relay.h"

#define READ_BUFFER	65536

static SSL_CTX		*ctx;
static X509		*meta;
static struct tlschain	 chain, next_chain;

/* --- certificates --- */

/* A context of what certificates there are; sessions keep their old one. */
static int
ctx_build(void)
{
	SSL_CTX	*c;

	if (chain.tc_cert[0] == NULL || meta == NULL)
		return 0;
	/* The last one tells fast clients our DERP key. */
	if ((c = tlsserver_ctx(&chain, meta, READ_BUFFER)) == NULL)
		return -1;
	SSL_CTX_free(ctx);
	ctx = c;
	return 0;
}

int
tls_file(int fd, const char *name)
{
	SSL_CTX	*c;

	if (tlschain_read(&next_chain, fd, name) == -1 ||
	    (c = tlsserver_ctx(&next_chain, NULL, READ_BUFFER)) == NULL)
		return -1;
	SSL_CTX_free(c);
	return 0;
}

void
tls_commit(void)
{
	if (next_chain.tc_cert[0] == NULL)
		return;
	tlschain_free(&chain);
	chain = next_chain;
	memset(&next_chain, 0, sizeof(next_chain));
	(void)ctx_build();
}

void
tls_abort(void)
{
	tlschain_free(&next_chain);
}

int
tls_cert(uint32_t kind, const uint8_t *der, size_t len)
{
	const unsigned char	*p = der;
	X509			*x;

	if (kind != DERP_CERT_META)
		return tlschain_set(&chain, der, len) == -1 ? -1 :
		    ctx_build();
	if ((x = d2i_X509(NULL, &p, len)) == NULL) {
		ERR_clear_error();
		return -1;
	}
	X509_free(meta);
	meta = x;
	return ctx_build();
}

static void
tls_resume(void *arg)
{
	conn_signed(arg);
}

void
tls_warmup(void)
{
	tlsserver_warmup();
	tlsserver_init(relay_crypt(), tls_resume);
}

/* --- sessions --- */

SSL *
tls_new(int fd)
{
	return ctx == NULL ? NULL : tlsserver_new(ctx, fd, NULL);
}

int
tls_handshake(struct conn *c)
{
	int	 ret;

	SSL_set_app_data(c->c_ssl, c);
	ret = tlsserver_handshake(c->c_ssl);
	if (ret != TLSSERVER_WRITE)
		return ret;
	event_add(&c->c_ev_write, NULL);
	return TLSSERVER_LATER;
}

void
tls_free(struct conn *c)
{
	tlsserver_free(c->c_ssl);
	c->c_ssl = NULL;
}

ssize_t
tls_read(struct conn *c, void *buf, size_t len)
{
	ssize_t	 n;

	if (c->c_ssl != NULL)
		return tlsserver_read(c->c_ssl, buf, len);
	n = read(c->c_fd, buf, len);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return n > 0 ? n : -1;
}

ssize_t
tls_write(struct conn *c, const void *buf, size_t len)
{
	ssize_t	 n;

	if (c->c_ssl != NULL)
		return tlsserver_write(c->c_ssl, buf, len);
	n = write(c->c_fd, buf, len);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return n;
}
