/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * A connection to a relay, with a relay of the test at the other end of a
 * socketpair; and the queues before it.
 */
/* link: ../../netd/derpconn.c ../../netd/derpframe.c */
/* link: ../../netd/derpqueue.c ../../netd/addr.c ../../netd/lock.c */
/* libs: -lssl */

#include <sys/types.h>
#include <sys/endian.h>
#include <sys/socket.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>

#include "../../netd/derpconn.h"
#include "keys.h"

#define HOST	"relay.test"

/* What the connection has told its owner. */
static struct {
	int		 seals, opens, ups, losts, packets, batches, gones;
	uint32_t	 restart;
	uint8_t		 server[KEY_LEN];
	uint8_t		 from[KEY_LEN];
	uint8_t		 pkt[DERP_PACKET_MAX];
	size_t		 len;
} seen;

static struct derp_queue	 disco, data;
static struct derpconn		*conn;
static struct tlsclient		 want;
static SSL_CTX			*sctx;
static SSL			*ssl;		/* the relay's end */
static X509			*cert, *meta;
static int			 sfd;
static uint8_t			 rbuf[256 * 1024];
static size_t			 rlen;
static uint8_t			 relaykey[KEY_LEN];

int
endpoints_local(const struct addr *a)
{
	return 1;
}

/* --- the owner --- */

static void
cb_seal(void *arg, const uint8_t *server)
{
	seen.seals++;
	memcpy(seen.server, server, KEY_LEN);
}

static void
cb_open(void *arg, const struct msg_derp_open *m)
{
	seen.opens++;
	if (memcmp(m->server, relaykey, KEY_LEN) != 0 || m->len != 30)
		errx(1, "another answer to open");
}

static void
cb_up(void *arg)
{
	seen.ups++;
}

static void
cb_lost(void *arg)
{
	seen.losts++;
}

static void
cb_packet(void *arg, const uint8_t *key, uint8_t *pkt, size_t len,
    int64_t now)
{
	seen.packets++;
	memcpy(seen.from, key, KEY_LEN);
	memcpy(seen.pkt, pkt, len);
	seen.len = len;
}

static void
cb_batch(void *arg)
{
	seen.batches++;
}

static void
cb_gone(void *arg, const uint8_t *key, uint8_t reason)
{
	seen.gones += 1 + reason;
}

static void
cb_restart(void *arg, uint32_t ms)
{
	seen.restart = ms;
}

static const struct derpconn_cb	 cb = {
	cb_seal, cb_open, cb_up, cb_lost, cb_packet, cb_batch, cb_gone,
	cb_restart
};

/* --- the relay --- */

static X509 *
certificate(const char *cn, const char *san, int serial, EVP_PKEY *pkey)
{
	X509_EXTENSION	*ext;
	X509_NAME	*name;
	X509		*x;

	if ((x = X509_new()) == NULL || X509_set_version(x, 2) != 1 ||
	    ASN1_INTEGER_set(X509_get_serialNumber(x), serial) != 1 ||
	    X509_gmtime_adj(X509_getm_notBefore(x), -3600) == NULL ||
	    X509_gmtime_adj(X509_getm_notAfter(x), 3600) == NULL ||
	    X509_set_pubkey(x, pkey) != 1)
		errx(1, "certificate");
	name = X509_get_subject_name(x);
	if (X509_NAME_add_entry_by_txt(name, "CN", V_ASN1_UTF8STRING,
	    (const unsigned char *)cn, -1, -1, 0) != 1 ||
	    X509_set_issuer_name(x, name) != 1)
		errx(1, "name");
	if (san != NULL) {
		ext = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name,
		    san);
		if (ext == NULL || X509_add_ext(x, ext, -1) != 1)
			errx(1, "alternative name");
		X509_EXTENSION_free(ext);
	}
	if (X509_sign(x, pkey, EVP_sha256()) == 0)
		errx(1, "signature");
	return x;
}

static void
relay_init(void)
{
	EVP_PKEY	*pkey;
	char		 cn[80] = "derpkey";
	int		 i;

	arc4random_buf(relaykey, sizeof(relaykey));
	for (i = 0; i < KEY_LEN; i++)
		(void)snprintf(cn + 7 + 2 * i, 3, "%02x", relaykey[i]);
	if ((pkey = EVP_EC_gen("P-256")) == NULL ||
	    (sctx = SSL_CTX_new(TLS_server_method())) == NULL)
		errx(1, "server");
	cert = certificate(HOST, "DNS:" HOST, 1, pkey);
	meta = certificate(cn, NULL, DERP_VERSION, pkey);
	if (SSL_CTX_use_certificate(sctx, cert) != 1 ||
	    SSL_CTX_use_PrivateKey(sctx, pkey) != 1)
		errx(1, "certificate of the server");
	SSL_CTX_set_num_tickets(sctx, 0);
	EVP_PKEY_free(pkey);
}

static void
pin_of(X509 *x, char *buf, size_t len)
{
	unsigned char	*der = NULL;
	uint8_t		 hash[32];
	int		 i, n;

	if ((n = i2d_X509(x, &der)) < 0)
		errx(1, "i2d");
	(void)SHA256(der, n, hash);
	OPENSSL_free(der);
	(void)strlcpy(buf, TLSCLIENT_PIN, len);
	for (i = 0; i < 32; i++)
		(void)snprintf(buf + strlen(TLSCLIENT_PIN) + 2 * i, 3,
		    "%02x", hash[i]);
}

/* A turn of both ends. */
static void
turn(void)
{
	int	 n;

	event_loop(EVLOOP_NONBLOCK);
	if (ssl == NULL)
		return;
	if (!SSL_is_init_finished(ssl)) {
		(void)SSL_accept(ssl);
		return;
	}
	n = SSL_read(ssl, rbuf + rlen, sizeof(rbuf) - rlen);
	if (n > 0)
		rlen += n;
}

static void
turns(void)
{
	int	 i;

	for (i = 0; i < 200; i++)
		turn();
}

static void
relay_write(const void *p, size_t len)
{
	size_t	 off = 0;
	int	 i, n;

	for (i = 0; off < len && i < 100000; i++) {
		n = SSL_write(ssl, (const uint8_t *)p + off, len - off);
		if (n > 0)
			off += n;
		else
			turn();
	}
	if (off < len)
		errx(1, "the connection does not read");
	turns();
}

static void
relay_frame(enum derp_type type, const void *p, size_t len)
{
	uint8_t	*buf;

	if ((buf = malloc(DERP_HDR_LEN + len + 1)) == NULL)
		err(1, NULL);
	derp_header(buf, type, len);
	if (len > 0)
		memcpy(buf + DERP_HDR_LEN, p, len);
	relay_write(buf, DERP_HDR_LEN + len);
	free(buf);
}

/* The next frame that the relay has got: its type, or -1. */
static int
relay_got(struct derp_frame *f)
{
	static uint8_t	 copy[sizeof(rbuf)];
	uint64_t	 n;

	turns();
	n = derp_frame_parse(rbuf, rlen, f);
	if (n == 0 || n > rlen)
		return -1;
	memcpy(copy, rbuf, n);
	memmove(rbuf, rbuf + n, rlen - n);
	rlen -= n;
	(void)derp_frame_parse(copy, n, f);
	return f->df_type;
}

/* Connect, with or without the certificate that tells the key. */
static void
start(int fast, int tls12)
{
	int	 sv[2];

	memset(&seen, 0, sizeof(seen));
	rlen = 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv) == -1)
		err(1, "socketpair");
	sfd = sv[1];
	if ((ssl = SSL_new(sctx)) == NULL || SSL_set_fd(ssl, sfd) != 1)
		errx(1, "SSL");
	if (fast && SSL_add1_chain_cert(ssl, meta) != 1)
		errx(1, "chain");
	if (tls12)
		(void)SSL_set_max_proto_version(ssl, TLS1_2_VERSION);
	conn = derpconn_new(sv[0], &want, &(struct derpconn_peer){ 443, "" },
	    &cb, NULL, &disco, &data);
	turns();
}

static void
stop(void)
{
	derpconn_free(conn);
	conn = NULL;
	SSL_free(ssl);
	ssl = NULL;
	close(sfd);
}

static void
expect_request(const char *has)
{
	char	*end;

	turns();
	rbuf[rlen < sizeof(rbuf) ? rlen : rlen - 1] = '\0';
	end = memmem(rbuf, rlen, "\r\n\r\n", 4);
	if (end == NULL || memcmp(rbuf, "GET /derp HTTP/1.1\r\nHost: " HOST
	    "\r\n", 28 + strlen(HOST)) != 0 ||
	    strstr((char *)rbuf, has) == NULL)
		errx(1, "request: %s", (char *)rbuf);
	end += 4;
	rlen -= (uint8_t *)end - rbuf;
	memmove(rbuf, end, rlen);
}

/* cryptod's part, as far as the connection sees it. */
static void
login(void)
{
	struct msg_derp_sealed	 sealed;
	struct msg_derp_opened	 opened;
	struct derp_frame	 f;
	uint8_t			 box[30] = { 1 };

	if (seen.seals != 1 || memcmp(seen.server, relaykey, KEY_LEN) != 0)
		errx(1, "no login was asked for: %s", conn->c_why);
	memset(&sealed, 0, sizeof(sealed));
	memcpy(sealed.server, relaykey, KEY_LEN);
	sealed.len = 40;
	derpconn_sealed(conn, &sealed);
	if (conn->c_fast)
		expect_request("Derp-Fast-Start: 1\r\n");
	if (relay_got(&f) != DERP_CLIENT_INFO || f.df_len != KEY_LEN + 40)
		errx(1, "no login");
	if (conn->c_fast) {
		uint8_t	 hello[DERP_SERVERKEY_LEN];

		derp_server_key_build(relaykey, hello);
		relay_write(hello, sizeof(hello));
	}
	relay_frame(DERP_SERVER_INFO, box, sizeof(box));
	if (seen.opens != 1)
		errx(1, "the answer is not opened: %s", conn->c_why);
	memset(&opened, 0, sizeof(opened));
	opened.version = DERP_VERSION;
	derpconn_opened(conn, &opened);
	turns();
	if (seen.ups != 1 || conn->c_state != DC_UP)
		errx(1, "not up: %s", conn->c_why);
}

/* By 101, in pieces; returns logged in. */
static void
start_slow(int tls12)
{
	static const char	 answer[] = "HTTP/1.1 101 Switching\r\n"
	    "Upgrade: DERP\r\nConnection: Upgrade\r\n\r\n";
	uint8_t			 hello[DERP_SERVERKEY_LEN];
	size_t			 i;

	start(tls12, tls12);
	expect_request("Upgrade: DERP\r\n");
	for (i = 0; i + 1 < sizeof(answer); i++)
		relay_write(answer + i, 1);
	derp_server_key_build(relaykey, hello);
	for (i = 0; i < sizeof(hello); i++)
		relay_write(hello + i, 1);
	login();
}

/* --- tests --- */

static void
test_frames(void)
{
	static uint8_t	 big[KEY_LEN + DERP_PACKET_MAX];
	struct derp_frame f;
	struct derp_msg	 m;
	uint8_t		 buf[DERP_SMALL_MAX];
	size_t		 n;

	arc4random_buf(big, sizeof(big));
	relay_frame(DERP_RECV_PACKET, big, sizeof(big));
	if (seen.packets != 1 || seen.len != DERP_PACKET_MAX ||
	    memcmp(seen.from, big, KEY_LEN) != 0 ||
	    memcmp(seen.pkt, big + KEY_LEN, seen.len) != 0)
		errx(1, "the largest packet");
	relay_frame(0x7f, big, 3);		/* unknown: skipped */
	relay_frame(0x7f, big, 0);
	relay_frame(DERP_KEEP_ALIVE, NULL, 0);
	relay_frame(DERP_RECV_PACKET, big, KEY_LEN + 1);
	if (seen.packets != 2 || seen.len != 1)
		errx(1, "the smallest packet");
	relay_frame(DERP_PING, "12345678", 8);
	if (relay_got(&f) != DERP_PONG || memcmp(f.df_data, "12345678", 8))
		errx(1, "no pong");
	derpconn_ping(conn, 5);
	if (relay_got(&f) != DERP_PING || conn->c_pinged != 5)
		errx(1, "no ping");
	relay_frame(DERP_PONG, "xxxxxxxx", 8);
	if (conn->c_pinged != 5)
		errx(1, "a pong of another ping");
	memcpy(buf, f.df_data, 8);
	relay_frame(DERP_PONG, buf, 8);
	if (conn->c_pinged != 0)
		errx(1, "the pong");
	memset(&m, 0, sizeof(m));
	m.dm_type = DERP_PEER_GONE;
	m.dm_reason = DERP_GONE_NOT_HERE;
	n = derp_build(&m, buf);
	relay_write(buf, n);
	m.dm_type = DERP_RESTARTING;
	m.dm_reconnect_ms = 1234;
	n = derp_build(&m, buf);
	relay_write(buf, n);
	if (seen.gones != 2 || seen.restart != 1234)
		errx(1, "gone, restarting");
	relay_frame(DERP_HEALTH, "bad\n", 4);
	if (strcmp(conn->c_health, "bad?") != 0)
		errx(1, "health: %s", conn->c_health);
	derpconn_prefer(conn, 1);
	if (relay_got(&f) != DERP_NOTE_PREFERRED || f.df_data[0] != 1)
		errx(1, "home");
}

/* Longer than what is held, and then goes on. */
static void
test_skip(void)
{
	uint8_t	*big;

	if ((big = calloc(1, 1 << 20)) == NULL)
		err(1, NULL);
	relay_frame(0x55, big, 1 << 20);
	free(big);
	seen.packets = 0;
	relay_frame(DERP_RECV_PACKET, relaykey, sizeof(relaykey));
	if (seen.losts != 0)
		errx(1, "lost: %s", conn->c_why);
}

static void
queue(struct derp_queue *q, uint8_t tag, size_t len)
{
	static uint8_t	 pkt[DERP_PACKET_MAX];
	uint8_t		 head[DERP_RECV_HDR_LEN], key[KEY_LEN] = { 0 };

	memset(pkt, tag, len);
	if (derp_packet_head(DERP_SEND_PACKET, key, len, head) == -1 ||
	    derpq_add(q, head, sizeof(head), pkt, len, 1) == -1)
		errx(1, "queue");
}

/* A packet that has begun ends; then disco, then the rest, all whole. */
static void
test_send(void)
{
	struct derp_frame	 f;
	int			 i, ndisco = 0, ndata = 0, first = -1;

	for (i = 0; i < 20; i++)
		queue(&data, 'd', 10000);
	queue(&data, 'd', DERP_PACKET_MAX);
	queue(&disco, 'k', 100);
	derpconn_kick(conn);
	for (i = 0; i < 22; i++) {
		if (relay_got(&f) != DERP_SEND_PACKET)
			errx(1, "packet %d", i);
		if (first == -1)
			first = f.df_data[KEY_LEN];
		if (f.df_data[KEY_LEN] == 'k')
			ndisco++;
		else
			ndata++;
		if (f.df_data[f.df_len - 1] != f.df_data[KEY_LEN])
			errx(1, "packets are mixed");
	}
	if (ndisco != 1 || ndata != 21 || first != 'k')
		errx(1, "%d disco, %d data", ndisco, ndata);
	if (data.dq_bytes != 0 || disco.dq_bytes != 0)
		errx(1, "bytes are left");
}

static void
test_queue(void)
{
	struct derp_queue	 q;
	uint8_t			 b[100] = { 0 };
	int			 i;

	derpq_init(&q, 1000);
	for (i = 0; i < 15; i++)
		if (derpq_add(&q, b, 50, b, 50, i) == -1)
			errx(1, "packet %d", i);
	if (q.dq_bytes != 1000 || q.dq_dropped != 5)
		errx(1, "%zu bytes, %llu dropped", q.dq_bytes,
		    (unsigned long long)q.dq_dropped);
	/* What has begun to go must end. */
	TAILQ_FIRST(&q.dq_pkts)->dp_off = 1;
	if (derpq_add(&q, b, 100, NULL, 0, 20) == -1 ||
	    TAILQ_FIRST(&q.dq_pkts)->dp_time != 5)
		errx(1, "a packet that has begun was dropped");
	TAILQ_FIRST(&q.dq_pkts)->dp_off = 0;
	derpq_expire(&q, 8 + DERP_QUEUE_AGE);
	if (TAILQ_FIRST(&q.dq_pkts)->dp_time != 9)
		errx(1, "old ones stay");
	if (derpq_add(&q, b, 100, b, 100, 1) == -1)
		errx(1, "200 bytes");
	q.dq_max = 100;
	if (derpq_add(&q, b, 100, b, 1, 1) != -1)
		errx(1, "more than there can be");
	derpq_clear(&q);
	if (q.dq_bytes != 0)
		errx(1, "not clear");
}

static void
test_rate(void)
{
	struct derpconn	 c;
	int		 i, n = 0;

	memset(&c, 0, sizeof(c));
	if (!derpconn_allowed(&c, 1000000, 1))
		errx(1, "no limit was told");
	c.c_rate = 100000;
	c.c_tokens = c.c_burst = 5000;
	c.c_token_time = NSEC;
	for (i = 0; i < 10; i++)
		n += derpconn_allowed(&c, 1000, NSEC);
	if (n != 5)
		errx(1, "burst of %d", n);
	/* A second of calls that come every 10 us. */
	for (i = 1, n = 0; i <= 100000; i++)
		n += derpconn_allowed(&c, 1000, NSEC + i * 10000LL);
	if (n < 99 || n > 101)
		errx(1, "%d kB in a second", n);
	n = derpconn_allowed(&c, 5001, 1000 * NSEC);
	if (n != 0)
		errx(1, "more than the bucket holds");
}

/* The relay does this wrong: the connection fails, and says why. */
static void
expect_fail(const char *why)
{
	turns();
	if (seen.losts != 1 || strstr(conn->c_why, why) == NULL)
		errx(1, "wanted \"%s\": %d, \"%s\"", why, seen.losts,
		    conn->c_why);
	stop();
}

static void
test_wrong(void)
{
	struct msg_derp_sealed	 sealed;
	uint8_t			 hdr[DERP_HDR_LEN];
	char			 junk[9000];

	start(0, 0);
	relay_write("HTTP/1.1 404 Not\x1b[Found\r\n\r\n", 27);
	expect_fail("does not upgrade to DERP: HTTP/1.1 404 Not?[Found");
	start(0, 0);
	memset(junk, 'x', sizeof(junk));
	relay_write(junk, sizeof(junk));
	expect_fail("no HTTP answer");
	start(0, 0);
	relay_write("HTTP/1.1 101 x\r\n\r\n\001\0\0\0\003abc", 26);
	expect_fail("does not greet");
	start(1, 0);
	memset(&sealed, 0, sizeof(sealed));
	memcpy(sealed.server, relaykey, KEY_LEN);
	sealed.error = MSG_E_RATE;
	derpconn_sealed(conn, &sealed);
	expect_fail("login: ");
	start_slow(0);
	derp_header(hdr, DERP_RECV_PACKET, KEY_LEN + DERP_PACKET_MAX + 1);
	relay_write(hdr, sizeof(hdr));
	expect_fail("a packet of");
	start_slow(0);
	derp_header(hdr, DERP_HEALTH, DERP_FRAME_MAX + 1);
	relay_write(hdr, sizeof(hdr));
	expect_fail("a frame of");
	start_slow(0);
	(void)SSL_shutdown(ssl);
	expect_fail("closed by the relay");
}

static void
test_certificates(void)
{
	char	 pin[MSG_NAME_LEN];

	pin_of(meta, want.tc_cert, sizeof(want.tc_cert));
	start(0, 0);
	expect_fail("not the pinned one");
	(void)strlcpy(want.tc_cert, TLSCLIENT_PIN "12", sizeof(want.tc_cert));
	start(0, 0);
	expect_fail("pin is malformed");
	pin_of(cert, pin, sizeof(pin));
	(void)strlcpy(want.tc_cert, pin, sizeof(want.tc_cert));
	(void)strlcpy(want.tc_host, "other.test", sizeof(want.tc_host));
	start(0, 0);
	expect_fail("not for other.test");
	(void)strlcpy(want.tc_host, HOST, sizeof(want.tc_host));
	want.tc_cert[0] = '\0';
	start(0, 0);
	expect_fail("self-signed");
	want.tc_insecure = 1;
	start(0, 0);
	if (conn->c_state != DC_UPGRADE)
		errx(1, "insecure: %s", conn->c_why);
	stop();
	want.tc_insecure = 0;
	(void)strlcpy(want.tc_cert, pin, sizeof(want.tc_cert));
}

/* An authority's word, for the host or for another name. */
static void
test_authority(void)
{
	char	*pem;
	BIO	*bio;
	long	 n;

	want.tc_cert[0] = '\0';
	if ((bio = BIO_new(BIO_s_mem())) == NULL ||
	    PEM_write_bio_X509(bio, meta) != 1 ||
	    PEM_write_bio_X509(bio, cert) != 1 ||
	    (n = BIO_get_mem_data(bio, &pem)) <= 0 ||
	    (pem = strndup(pem, n)) == NULL)
		errx(1, "PEM");
	BIO_free(bio);
	tlsclient_ca(pem, n);
	start(0, 0);
	expect_fail("no CA certificates");
	tlsclient_ca_commit();
	start(1, 0);
	if (conn->c_state != DC_SEALING)
		errx(1, "authority: %s", conn->c_why);
	stop();
	(void)strlcpy(want.tc_cert, "other.test", sizeof(want.tc_cert));
	start(0, 0);
	expect_fail("is for " HOST ", not for other.test");
	(void)strlcpy(want.tc_cert, HOST, sizeof(want.tc_cert));
	(void)strlcpy(want.tc_host, "front.test", sizeof(want.tc_host));
	start(0, 0);
	if (conn->c_state != DC_UPGRADE)
		errx(1, "another name: %s", conn->c_why);
	stop();
}

int
main(void)
{
	event_init();
	tlsclient_warmup();
	relay_init();
	derpq_init(&disco, DERP_QUEUE_DISCO);
	derpq_init(&data, 2 * DERP_QUEUE_DATA);
	(void)strlcpy(want.tc_host, HOST, sizeof(want.tc_host));
	test_queue();
	test_rate();
	test_certificates();
	start(1, 0);
	login();
	test_frames();
	test_skip();
	test_send();
	stop();
	start_slow(0);
	test_frames();
	stop();
	start_slow(1);		/* TLS 1.2: no fast start, though it could */
	test_send();
	stop();
	test_wrong();
	test_authority();
	return 0;
}
