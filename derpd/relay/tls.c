/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The relay's TLS: its certificates, and sessions of its connections. What
 * needs the private key is cryptod's: tlsserver.h. The library shakes hands;
 * with TLS 1.3 its session goes then, and record.c does the rest.
 */

#include <sys/types.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/x509.h>

#include "relay.h"

#define READ_BUFFER	65536
#define RAW_SIZE	(128 * 1024)	/* records worked on at once */
#define SEAL_SIZE	(192 * 1024)	/* sealed at once */

static SSL_CTX		*ctx;
static X509		*meta;
static struct tlschain	 chain, next_chain;

/* Of the connection that is being read. */
static uint8_t		 raw[RAW_SIZE];
static size_t		 raw_off, raw_len;
static int		 raw_drained;

/* --- certificates --- */

static void
keylog_cb(const SSL *ssl, const char *line)
{
	struct conn	*c = SSL_get_app_data(ssl);

	if (c->c_rec == NULL)
		c->c_rec = record_new();
	record_keylog(c->c_rec, line);
}

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
	SSL_CTX_set_keylog_callback(c, keylog_cb);
	/* Nothing past the handshake is read before it is over. */
	SSL_CTX_set_read_ahead(c, 0);
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

/* The handshake is over: do without the library's session, if we can. */
static void
tls_take(struct conn *c)
{
	const SSL_CIPHER	*cipher = SSL_get_current_cipher(c->c_ssl);

	if (c->c_rec != NULL && SSL_version(c->c_ssl) == TLS1_3_VERSION &&
	    !SSL_has_pending(c->c_ssl) && record_start(c->c_rec,
	    SSL_CIPHER_get_protocol_id(cipher)) == 0) {
		SSL_set_quiet_shutdown(c->c_ssl, 1);
		tlsserver_free(c->c_ssl);
		c->c_ssl = NULL;
		return;
	}
	record_free(c->c_rec);
	c->c_rec = NULL;
	SSL_set_read_ahead(c->c_ssl, 1);
}

int
tls_handshake(struct conn *c)
{
	int	 ret;

	SSL_set_app_data(c->c_ssl, c);
	ret = tlsserver_handshake(c->c_ssl);
	if (ret == TLSSERVER_DONE && c->c_mesh == NULL)
		tls_take(c);
	if (ret != TLSSERVER_WRITE)
		return ret;
	event_add(&c->c_ev_write, NULL);
	return TLSSERVER_LATER;
}

void
tls_close(struct conn *c)
{
	uint8_t	 out[32];

	if (c->c_ssl != NULL) {
		(void)SSL_shutdown(c->c_ssl);
		return;
	}
	if (c->c_out != NULL)
		return;			/* not in the middle of a record */
	if (c->c_rec != NULL)
		(void)!write(c->c_fd, out, record_close(c->c_rec, out));
	(void)shutdown(c->c_fd, SHUT_WR);
}

void
tls_free(struct conn *c)
{
	if (c->c_ssl != NULL)
		tlsserver_free(c->c_ssl);
	else if (c->c_rec != NULL)
		tls_close(c);
	c->c_ssl = NULL;
	record_free(c->c_rec);
	c->c_rec = NULL;
}

/* --- records --- */

void
tls_begin(struct conn *c)
{
	raw_off = raw_drained = 0;
	if ((raw_len = c->c_cipherlen) > 0)
		memcpy(raw, c->c_cipher, raw_len);
	free(c->c_cipher);
	c->c_cipher = NULL;
	c->c_cipherlen = 0;
}

void
tls_end(struct conn *c)
{
	size_t	 len = raw_len - raw_off;

	if (c->c_rec == NULL || len == 0)
		return;
	if ((c->c_cipher = malloc(len)) == NULL)
		fatal(NULL);
	memcpy(c->c_cipher, raw + raw_off, len);
	c->c_cipherlen = len;
}

/*
 * More from the socket, up to so many bytes in all: they are kept for as long
 * as the connection has to wait. It is not asked again when it gave less.
 */
static ssize_t
raw_fill(struct conn *c, size_t max)
{
	ssize_t	 n;

	if (raw_drained)
		return 0;
	memmove(raw, raw + raw_off, raw_len - raw_off);
	raw_len -= raw_off;
	raw_off = 0;
	n = read(c->c_fd, raw + raw_len, max - raw_len);
	if (n == -1 && (errno == EAGAIN || errno == EINTR)) {
		raw_drained = 1;
		return 0;
	}
	if (n <= 0)
		return -1;
	raw_drained = (size_t)n < max - raw_len;
	raw_len += n;
	return n;
}

static ssize_t
rec_read(struct conn *c, uint8_t *buf, size_t len)
{
	ssize_t	 n;
	size_t	 done = 0, data, max = len / 2;

	if (max < RECORD_WIRE)
		max = RECORD_WIRE;
	if (max > sizeof(raw))
		max = sizeof(raw);
	for (;;) {
		n = len - done < RECORD_WIRE ? 0 : record_open(c->c_rec,
		    raw + raw_off, raw_len - raw_off, buf + done, &data);
		if (n > 0) {
			raw_off += n;
			done += data;
			continue;
		}
		/* What came before the end counts. */
		if (done > 0)
			return done;
		if (n == -1 || (n = raw_fill(c, max)) <= 0)
			return n;
	}
}

const uint8_t *
tls_seal(struct conn *c, const uint8_t *data, size_t *len)
{
	static uint8_t	 sealed[SEAL_SIZE];

	if (c->c_rec == NULL)
		return data;
	if (RECORD_SEALED(*len) > sizeof(sealed))
		fatalx("%zu bytes to seal", *len);
	*len = record_seal(c->c_rec, data, *len, sealed);
	return sealed;
}

ssize_t
tls_read(struct conn *c, void *buf, size_t len)
{
	ssize_t	 n;

	if (c->c_ssl != NULL)
		return tlsserver_read(c->c_ssl, buf, len);
	if (c->c_rec != NULL)
		return rec_read(c, buf, len);
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
