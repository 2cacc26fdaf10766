/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Servers that the relay is a client of: which ones there are, sockets to
 * them from the parent, TLS with the usual verification or a pin.
 */

#include <sys/types.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "os.h"
#include "proc.h"
#include "relay.h"

#define SERVERS_MAX	16
#define CA_LEN_MAX	(4 * 1024 * 1024)

struct set {
	struct msg_conf_server	 s_server[SERVERS_MAX];
	size_t			 s_n;
	X509_STORE		*s_store;	/* NULL: no CA certificates */
};

struct wait {
	void	(*w_cb)(int, void *);	/* NULL: nobody waits any more */
	void	*w_arg;
	int	 w_used;
};

static struct set	 set, next_set;
static struct wait	 waits[MAX_DIALS];

/* --- which ones --- */

int
servers_add(const struct msg_conf_server *m)
{
	if (next_set.s_n == SERVERS_MAX ||
	    !msg_str_ok(m->host, sizeof(m->host)) ||
	    !msg_str_ok(m->path, sizeof(m->path)))
		return -1;
	next_set.s_server[next_set.s_n++] = *m;
	return 0;
}

static X509_STORE *
store_of(const char *text, size_t len)
{
	X509_STORE	*store;
	X509		*x;
	BIO		*bio;

	if ((store = X509_STORE_new()) == NULL ||
	    (bio = BIO_new_mem_buf(text, len)) == NULL)
		fatal(NULL);
	for (; (x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL;
	    X509_free(x))
		(void)X509_STORE_add_cert(store, x);
	BIO_free(bio);
	ERR_clear_error();
	return store;
}

void
servers_ca(int fd)
{
	char	*text;
	ssize_t	 n;
	size_t	 len = 0;

	if ((text = malloc(CA_LEN_MAX)) == NULL)
		fatal(NULL);
	while ((n = read(fd, text + len, CA_LEN_MAX - len)) > 0)
		len += n;
	(void)close(fd);
	X509_STORE_free(next_set.s_store);
	next_set.s_store = store_of(text, len);
	free(text);
	os_mem_release();
}

void
servers_abort(void)
{
	X509_STORE_free(next_set.s_store);
	memset(&next_set, 0, sizeof(next_set));
}

void
servers_commit(void)
{
	X509_STORE_free(set.s_store);
	set = next_set;
	memset(&next_set, 0, sizeof(next_set));
}

const struct msg_conf_server *
servers_next(uint32_t kind, size_t *n)
{
	for (; *n < set.s_n; (*n)++)
		if (set.s_server[*n].kind == kind)
			return &set.s_server[(*n)++];
	return NULL;
}

/* --- sockets --- */

int
dial(size_t server, void (*cb)(int, void *), void *arg)
{
	struct msg_dial	 m;
	int		 i;

	for (i = 0; i < MAX_DIALS && waits[i].w_used; i++)
		;
	if (i == MAX_DIALS)
		return -1;
	memset(&m, 0, sizeof(m));
	m.serial = relay_conf()->serial;
	m.server = server;
	if (chan_compose(proc_parent(), IMSG_DIAL, i, -1, &m,
	    sizeof(m)) == -1)
		return -1;
	waits[i].w_cb = cb;
	waits[i].w_arg = arg;
	waits[i].w_used = 1;
	return i;
}

void
dial_cancel(int id)
{
	if (id != -1)
		waits[id].w_cb = NULL;	/* the answer is still to come */
}

int
dial_done(uint32_t id, const struct msg_connected *m, int fd)
{
	struct wait	 w;

	if (id >= MAX_DIALS || !waits[id].w_used) {
		if (fd != -1)
			(void)close(fd);
		return -1;
	}
	w = waits[id];
	memset(&waits[id], 0, sizeof(waits[id]));
	if (w.w_cb == NULL) {
		if (fd != -1)
			(void)close(fd);
		return 0;
	}
	errno = m->sys_errno;
	w.w_cb(fd, w.w_arg);
	return 0;
}

/* --- TLS --- */

/* With a pin, everything hangs on servers_pin_ok(). */
static int
tls_verify(SSL *ssl, const struct msg_conf_server *m)
{
	struct msg_ip	 ip;

	if (m->has_pin) {
		SSL_set_verify(ssl, SSL_VERIFY_NONE, NULL);
		return 0;
	}
	SSL_set_verify(ssl, SSL_VERIFY_PEER, NULL);
	if (ip_parse(&ip, m->host) == 0)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl),
		    m->host) == 1 ? 0 : -1;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set1_host(ssl, m->host) == 1 ? 0 : -1;
}

SSL *
servers_tls(const struct msg_conf_server *m, int fd)
{
	struct msg_ip	 ip;
	SSL_CTX		*ctx;
	SSL		*ssl;

	if ((ctx = SSL_CTX_new(TLS_client_method())) == NULL ||
	    !SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION))
		fatalx("TLS context");
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS |
	    SSL_MODE_ENABLE_PARTIAL_WRITE |
	    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	if (set.s_store != NULL) {
		X509_STORE_up_ref(set.s_store);
		SSL_CTX_set_cert_store(ctx, set.s_store);
	}
	ssl = SSL_new(ctx);
	SSL_CTX_free(ctx);		/* the session holds it */
	if (ssl == NULL)
		return NULL;
	if (!SSL_set_fd(ssl, fd) || tls_verify(ssl, m) == -1 ||
	    (ip_parse(&ip, m->host) == -1 &&
	    SSL_set_tlsext_host_name(ssl, m->host) != 1)) {
		SSL_free(ssl);
		ERR_clear_error();
		return NULL;
	}
	SSL_set_connect_state(ssl);
	return ssl;
}

int
servers_pin_ok(const struct msg_conf_server *m, SSL *ssl)
{
	uint8_t	 hash[EVP_MAX_MD_SIZE];
	X509	*x;
	int	 ok;

	if (!m->has_pin)
		return 1;
	if ((x = SSL_get1_peer_certificate(ssl)) == NULL)
		return 0;
	ok = X509_digest(x, EVP_sha256(), hash, NULL) == 1 &&
	    memcmp(hash, m->pin, sizeof(m->pin)) == 0;
	X509_free(x);
	return ok;
}

const char *
servers_tls_error(SSL *ssl)
{
	const char	*reason;
	long		 verify;

	verify = SSL_get_verify_result(ssl);
	reason = verify != X509_V_OK ?
	    X509_verify_cert_error_string(verify) :
	    ERR_reason_error_string(ERR_peek_error());
	ERR_clear_error();
	return reason == NULL ? "connection lost" : reason;
}
