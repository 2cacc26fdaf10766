/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * A client of coordd's for tests that a good node cannot make: any machine
 * key, any version, any request, a handshake sent twice.
 */

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <netdb.h>

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <nghttp2/nghttp2.h>
#include <openssl/evp.h>

#include "keys.h"
#include "mapframe.h"
#include "noise.h"
#include "register.h"

#define IN_MAX	(1024 * 1024)

static struct noise_record	*rx, *tx;
static struct mapframe		*frames;
static uint8_t			 in[IN_MAX], server_key[32];
static size_t			 inlen;
static int			 fd, finished, frames_left, framed, websocket;
static int			 show;	/* what the session begins with */

__attribute__((noreturn)) static void
usage(void)
{
	fprintf(stderr, "usage: noisecli [-2bgsw] [-f frames] [-k seed] "
	    "[-t seconds] [-v version] host port method path body ...\n");
	exit(2);
}

static int
dial(const char *host, const char *port, int seconds)
{
	struct addrinfo	 hints, *ai;
	struct timeval	 tv = { seconds, 0 };
	int		 s;

	memset(&hints, 0, sizeof(hints));
	hints.ai_socktype = SOCK_STREAM;
	hints.ai_flags = AI_NUMERICHOST;
	if (getaddrinfo(host, port, &hints, &ai) != 0)
		errx(2, "%s: no address", host);
	if ((s = socket(ai->ai_family, SOCK_STREAM, 0)) == -1 ||
	    setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == -1 ||
	    connect(s, ai->ai_addr, ai->ai_addrlen) == -1)
		err(1, "connect");
	freeaddrinfo(ai);
	return s;
}

static void
send_all(const void *data, size_t len)
{
	const uint8_t	*p = data;
	ssize_t		 n;

	for (; len > 0; len -= n, p += n)
		if ((n = write(fd, p, len)) == -1)
			err(1, "write");
}

static void
read_exactly(uint8_t *p, size_t len)
{
	ssize_t	 n;

	for (; len > 0; len -= n, p += n)
		if ((n = read(fd, p, len)) <= 0)
			errx(1, "closed by the server");
}

/* One frame of the server's, which is not masked. */
static void
receive_ws(void)
{
	uint8_t	 hdr[4];
	size_t	 len;

	read_exactly(hdr, 2);
	len = hdr[1];
	if (len == 126) {
		read_exactly(hdr + 2, 2);
		len = hdr[2] << 8 | hdr[3];
	}
	if (hdr[0] != 0x82 || len > sizeof(in) - inlen)
		errx(1, "frame %02x of %zu bytes", hdr[0], len);
	read_exactly(in + inlen, len);
	inlen += len;
}

static void
receive(void)
{
	ssize_t	 n;

	if (inlen == sizeof(in))
		errx(1, "too much came");
	if (tx != NULL && websocket) {
		receive_ws();
		return;
	}
	if ((n = read(fd, in + inlen, sizeof(in) - inlen)) == -1)
		err(1, "read");
	if (n == 0)
		errx(1, "closed by the server");
	inlen += n;
}

static void
take(size_t n)
{
	memmove(in, in + n, inlen - n);
	inlen -= n;
}

/* Read up to the end of an HTTP head; its length. Status on stdout if bad. */
static size_t
http_head(int want)
{
	char	*end;

	for (;;) {
		in[inlen] = '\0';
		if ((end = strstr((char *)in, "\r\n\r\n")) != NULL)
			break;
		receive();
	}
	if (strncmp((char *)in, "HTTP/1.1 ", 9) != 0)
		errx(1, "no HTTP");
	if (strtol((char *)in + 9, NULL, 10) == want)
		return end + 4 - (char *)in;
	printf("%.3s\n", (char *)in + 9);
	exit(3);
}

static void
get_key(const char *host, const char *port)
{
	static const char	 req[] = "GET /key?v=145 HTTP/1.1\r\n"
	    "Host: test\r\n\r\n";
	ssize_t			 n;

	fd = dial(host, port, 10);
	send_all(req, sizeof(req) - 1);
	take(http_head(200));
	while ((n = read(fd, in + inlen, sizeof(in) - inlen)) > 0)
		inlen += n;
	if (serverkey_parse(in, inlen, server_key) == -1)
		err(1, "/key");
	close(fd);
	inlen = 0;
}

/* The same in a URL: a browser's way in. */
static void
send_upgrade_ws(const char *b64)
{
	char	 req[1024], url[600] = "";
	int	 n;

	for (; *b64 != '\0'; b64++)
		if (strlen(url) + 4 < sizeof(url))
			snprintf(url + strlen(url), 4, "%%%02X", *b64);
	n = snprintf(req, sizeof(req), "GET /ts2021?X-Tailscale-Handshake=%s "
	    "HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\n"
	    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
	    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	    "Sec-WebSocket-Protocol: tailscale-control-protocol\r\n\r\n", url);
	send_all(req, n);
}

static void
send_upgrade(const uint8_t init[NOISE_INITIATION_LEN])
{
	char	 b64[200], req[512];
	int	 n;

	EVP_EncodeBlock((unsigned char *)b64, init, NOISE_INITIATION_LEN);
	if (websocket) {
		send_upgrade_ws(b64);
		return;
	}
	n = snprintf(req, sizeof(req), "POST /ts2021 HTTP/1.1\r\n"
	    "Host: test:80\r\nContent-Length: 0\r\nConnection: upgrade\r\n"
	    "Upgrade: tailscale-control-protocol\r\n"
	    "X-Tailscale-Handshake: %s\r\n\r\n", b64);
	send_all(req, n);
}

/* The first frame may have come with the head, others behind it too. */
static void
unwrap_response(void)
{
	static uint8_t	 copy[IN_MAX];
	size_t		 len, n, off, out;

	while (inlen < 2 + NOISE_RESPONSE_LEN)
		receive();
	for (off = out = 0; off < inlen; off += n) {
		n = in[off + 1] == 126 ? in[off + 2] << 8 | in[off + 3] :
		    in[off + 1];
		len = in[off + 1] == 126 ? 4 : 2;
		if (off + len + n > inlen)
			errx(1, "half a frame");
		memcpy(copy + out, in + off + len, n);
		out += n;
		n += len;
	}
	memcpy(in, copy, out);
	inlen = out;
}

static void
handshake(const char *host, const char *port, const char *seed,
    uint16_t version, int seconds, int twice)
{
	struct noise_handshake	 nh;
	struct noise_session	 ns;
	uint8_t			 priv[32], pub[32], eph[32];
	uint8_t			 init[NOISE_INITIATION_LEN];
	ssize_t			 n;

	memset(priv, 0, sizeof(priv));
	strlcpy((char *)priv + 1, seed, sizeof(priv) - 1);
	priv[31] = 64;
	key_public(priv, pub);
	arc4random_buf(eph, sizeof(eph));
	if (noise_initiate(&nh, version, priv, pub, server_key, eph,
	    init) == -1)
		err(1, "initiation");
	if (twice) {	/* somebody recorded it: what does it give him? */
		fd = dial(host, port, seconds);
		send_upgrade(init);
		(void)http_head(101);
		close(fd);
		inlen = 0;
	}
	fd = dial(host, port, seconds);
	send_upgrade(init);
	take(http_head(101));
	if (websocket)
		unwrap_response();
	while ((n = noise_response_len(in, inlen)) == 0)
		receive();
	if (n == -1 || noise_finish(&nh, priv, in, n, &ns) == -1)
		err(1, "response");
	take(n);
	rx = noise_record_new(ns.ns_s2c, 0, 0);
	tx = noise_record_new(ns.ns_c2s, 0, 1);
	if (rx == NULL || tx == NULL)
		err(1, NULL);
}

/* A record; in a masked frame where that is asked for. */
static void
send_record(uint8_t *frame, size_t len)
{
	uint8_t	 ws[8] = { 0x82, 0x80 | 126, len >> 8, len & 0xff, 1, 2, 3, 4 };
	size_t	 i;

	if (websocket) {
		send_all(ws, sizeof(ws));
		for (i = 0; i < len; i++)
			frame[i] ^= ws[4 + i % 4];
	}
	send_all(frame, len);
}

static int
header_cb(nghttp2_session *h2, const nghttp2_frame *f, const uint8_t *name,
    size_t nlen, const uint8_t *value, size_t vlen, uint8_t flags, void *arg)
{
	if (nlen == 7 && memcmp(name, ":status", 7) == 0)
		printf("%.*s\n", (int)vlen, (const char *)value);
	return 0;
}

static int
data_cb(nghttp2_session *h2, uint8_t flags, int32_t id, const uint8_t *data,
    size_t len, void *arg)
{
	const char	*msg;
	size_t		 used, msglen;
	int		 n;

	if (!framed) {
		printf("%.*s", (int)len, (const char *)data);
		return 0;
	}
	while ((n = mapframe_feed(frames, data, len, &used, &msg,
	    &msglen)) == 1) {
		printf("%.*s\n", (int)msglen, msg);
		fflush(stdout);
		if (--frames_left == 0)
			exit(0);
		data += used;
		len -= used;
	}
	if (n == -1)
		printf("%.*s", (int)len, (const char *)data);
	return 0;
}

static int
close_cb(nghttp2_session *h2, int32_t id, uint32_t error, void *arg)
{
	if (error != 0)
		printf("reset %u\n", error);
	finished = 1;
	return 0;
}

struct body {
	const char	*b_text;
	size_t		 b_len;
};

static ssize_t
body_cb(nghttp2_session *h2, int32_t id, uint8_t *buf, size_t len,
    uint32_t *flags, nghttp2_data_source *source, void *arg)
{
	struct body	*b = source->ptr;

	if (len > b->b_len)
		len = b->b_len;
	memcpy(buf, b->b_text, len);
	b->b_text += len;
	b->b_len -= len;
	if (b->b_len == 0)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return len;
}

static void
pump(nghttp2_session *h2)
{
	const uint8_t	*data;
	uint8_t		 frame[NOISE_FRAME_MAX];
	ssize_t		 len, n, plain;

	while ((len = nghttp2_session_mem_send(h2, &data)) > 0)
		for (; len > 0; len -= plain, data += plain) {
			plain = len < NOISE_PLAIN_MAX ? len : NOISE_PLAIN_MAX;
			if ((n = noise_seal(tx, data, plain, frame)) == -1)
				err(1, "seal");
			send_record(frame, n);
		}
}

static void
input(nghttp2_session *h2)
{
	static struct noise_early	 ne;
	static int			 early = 1;
	uint8_t				*p;
	ssize_t				 len, n;
	size_t				 used = 0;
	enum noise_early_result		 r;

	while ((len = noise_frame_len(in, inlen)) > 0) {
		if ((n = noise_open(rx, in, len)) == -1)
			err(1, "record");
		p = in + NOISE_HDR_LEN;
		if (early) {
			r = noise_early_feed(&ne, p, n, &used);
			early = r == NOISE_EARLY_MORE;
			if (show && r == NOISE_EARLY_DONE)
				printf("early %.*s\n", (int)ne.ne_len,
				    (const char *)ne.ne_json);
			if (r == NOISE_EARLY_NONE)
				(void)nghttp2_session_mem_recv(h2, ne.ne_hdr,
				    sizeof(ne.ne_hdr));
			p += used;
			n -= used;
		}
		if (n > 0 && nghttp2_session_mem_recv(h2, p, n) < 0)
			errx(1, "HTTP/2");
		take(len);
	}
	if (len == -1)
		err(1, "record");
}

static void
request(nghttp2_session *h2, const char *method, const char *path,
    const char *text, size_t len)
{
	const char		*v[4] = { method, "https", "test", path };
	const char		*k[4] = { ":method", ":scheme", ":authority",
				    ":path" };
	nghttp2_data_provider	 dp;
	nghttp2_nv		 nv[4];
	struct body		 b = { text, len };
	char			 copy[8][256];
	int			 i;

	memset(nv, 0, sizeof(nv));
	for (i = 0; i < 4; i++) {
		strlcpy(copy[i], k[i], sizeof(copy[i]));
		strlcpy(copy[i + 4], v[i], sizeof(copy[i + 4]));
		nv[i].name = (uint8_t *)copy[i];
		nv[i].namelen = strlen(copy[i]);
		nv[i].value = (uint8_t *)copy[i + 4];
		nv[i].valuelen = strlen(copy[i + 4]);
	}
	dp.source.ptr = &b;
	dp.read_callback = body_cb;
	framed = strcmp(path, "/machine/map") == 0;
	frames = mapframe_new(strstr(text, "zstd") != NULL);
	finished = 0;
	if (nghttp2_submit_request(h2, NULL, nv, 4, len > 0 ? &dp : NULL,
	    NULL) < 0)
		errx(1, "request");
	while (!finished) {
		pump(h2);
		input(h2);
		pump(h2);
		fflush(stdout);
		if (!finished)
			receive();
	}
	mapframe_free(frames);
}

/* Until the server has enough of it. */
__attribute__((noreturn)) static void
send_garbage(void)
{
	uint8_t	 frame[NOISE_FRAME_MAX], junk[1000];
	ssize_t	 n;

	arc4random_buf(junk, sizeof(junk));
	if ((n = noise_seal(tx, junk, sizeof(junk), frame)) == -1)
		err(1, "seal");
	send_all(frame, n);
	for (;;) {
		receive();
		inlen = 0;
	}
}

static nghttp2_session *
session(void)
{
	nghttp2_session_callbacks	*cb;
	nghttp2_session			*h2;

	if (nghttp2_session_callbacks_new(&cb) != 0)
		errx(1, "callbacks");
	nghttp2_session_callbacks_set_on_header_callback(cb, header_cb);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, data_cb);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, close_cb);
	if (nghttp2_session_client_new(&h2, cb, NULL) != 0 ||
	    nghttp2_submit_settings(h2, NGHTTP2_FLAG_NONE, NULL, 0) != 0)
		errx(1, "session");
	return h2;
}

int
main(int argc, char *argv[])
{
	nghttp2_session	*h2;
	const char	*seed = "test";
	char		*big;
	size_t		 len;
	int		 ch, garbage = 0, large = 0, seconds = 10, twice = 0;
	int		 version = 145;

	while ((ch = getopt(argc, argv, "2bf:gk:st:v:w")) != -1) {
		switch (ch) {
		case '2':
			twice = 1;
			break;
		case 'b':
			large = 1;	/* 2 MiB of spaces behind each body */
			break;
		case 'f':
			frames_left = strtonum(optarg, 1, 1000, NULL);
			break;
		case 'g':
			garbage = 1;	/* instead of HTTP/2 */
			break;
		case 'k':
			seed = optarg;
			break;
		case 's':
			show = 1;
			break;
		case 't':
			seconds = strtonum(optarg, 1, 1000, NULL);
			break;
		case 'v':
			version = strtonum(optarg, 0, 65535, NULL);
			break;
		case 'w':
			websocket = 1;
			break;
		default:
			usage();
		}
	}
	argv += optind;
	argc -= optind;
	if (argc < 5 || (argc - 2) % 3 != 0)
		usage();
	get_key(argv[0], argv[1]);
	handshake(argv[0], argv[1], seed, version, seconds, twice);
	if (garbage)
		send_garbage();
	h2 = session();
	for (argv += 2; argv[0] != NULL; argv += 3) {
		len = strlen(argv[2]) + (large ? 2 * 1024 * 1024 : 0);
		if ((big = malloc(len + 1)) == NULL)
			err(1, NULL);
		memset(big, ' ', len);
		memcpy(big, argv[2], strlen(argv[2]));
		big[len] = '\0';
		request(h2, argv[0], argv[1], big, len);
		free(big);
	}
	if (show)
		printf("streams %u\n", nghttp2_session_get_remote_settings(h2,
		    NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS));
	return 0;
}
