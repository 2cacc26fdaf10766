/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Plain HTTP: the server's key, the upgrade to Noise, pages for people.
 */

#include <sys/types.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "frontd.h"
#include "hexkey.h"
#include "http.h"
#include "jsonutil.h"
#include "proc.h"

#define TEXT		"text/plain; charset=utf-8"
#define PONG_PATH	"/machine/ping-response/"

static void
web_text(struct conn *c, int status, const char *text)
{
	char	 buf[256];

	snprintf(buf, sizeof(buf), "%s\n", text);
	conn_answer(c, status, TEXT, "", buf, strlen(buf));
}

/* GET /key?v=N. Source: control.md 1.3. */
static void
web_key(struct conn *c, const struct http_req *hr)
{
	char		 text[SRVREQ_KEY_TEXT], v[16];
	const char	*errstr;
	const uint8_t	*key;

	if (http_query_get(hr->hr_query, "v", v, sizeof(v)) == -1) {
		web_text(c, 400, "v= is missing");
		return;
	}
	(void)strtonum(v, SRVREQ_MIN_VERSION, UINT16_MAX, &errstr);
	if (errstr != NULL) {
		conn_refuse(c, 400, "unsupported client version");
		return;
	}
	if ((key = frontd_server_key()) == NULL ||
	    srvreq_key_build(key, text, sizeof(text)) == -1) {
		web_text(c, 503, "starting, try again");
		return;
	}
	conn_answer(c, 200, "application/json", "Cache-Control: no-store\r\n",
	    text, strlen(text));
}

/* Standard base64 with padding into buf; length, or -1. */
static int
web_base64(const char *s, uint8_t *buf, size_t size)
{
	size_t	 len;
	int	 n, pad;

	len = strlen(s);
	if (len == 0 || len % 4 != 0 || len / 4 * 3 > size)
		return -1;
	pad = s[len - 1] != '=' ? 0 : s[len - 2] != '=' ? 1 : 2;
	if ((n = EVP_DecodeBlock(buf, (const unsigned char *)s, len)) == -1)
		return -1;
	return n < pad ? -1 : n - pad;
}

/* Is it an upgrade to what we speak? NULL, or why not. */
static const char *
web_upgrade_check(struct conn *c, const struct http_req *hr)
{
	if (hr->hr_length != 0 || hr->hr_chunked)
		return "a body is not expected";
	if (strcmp(hr->hr_upgrade, "tailscale-control-protocol") == 0)
		return NULL;
	if (hr->hr_upgrade[0] == '\0')
		return "no Upgrade field: does a proxy remove it?";
	if (strcmp(hr->hr_upgrade, "websocket") != 0)
		return "unknown Upgrade";
	if (!hr->hr_ws_version || !hr->hr_ws_protocol ||
	    ws_accept(hr->hr_ws_key, c->c_ws_accept) == -1)
		return "malformed WebSocket upgrade";
	c->c_ws = 1;
	return NULL;
}

/* The initiation: a field of its own, or with WebSocket a parameter. */
static int
web_initiation(struct conn *c, const struct http_req *hr, uint8_t *init,
    size_t size)
{
	char	 text[sizeof(hr->hr_handshake)];

	if (!c->c_ws)
		return web_base64(hr->hr_handshake, init, size);
	if (http_query_get(hr->hr_query, "X-Tailscale-Handshake", text,
	    sizeof(text)) == -1)
		return -1;
	return web_base64(text, init, size);
}

/*
 * The upgrade. A version that is not served is told so before any crypto is
 * spent on it: the clear header is what the client is bound to anyway.
 */
static void
web_upgrade(struct conn *c, const struct http_req *hr)
{
	const char	*why;
	uint8_t		 init[sizeof(hr->hr_handshake)];
	char		 text[64];
	int		 n;

	if ((why = web_upgrade_check(c, hr)) != NULL) {
		conn_refuse(c, 400, why);
		return;
	}
	if ((n = web_initiation(c, hr, init, sizeof(init))) == -1) {
		conn_refuse(c, 400, "no X-Tailscale-Handshake, or malformed");
		return;
	}
	if ((why = noise_initiation_check(init, n, 1)) != NULL) {
		conn_refuse(c, 400, why);
		return;
	}
	if (noise_initiation_version(init) < SRVREQ_MIN_VERSION) {
		snprintf(text, sizeof(text), "unsupported client version: %u",
		    noise_initiation_version(init));
		conn_refuse(c, 400, text);
		return;
	}
	conn_noise(c, init);
}

static void
web_health(struct conn *c)
{
	const char	*text;
	int		 good;

	good = frontd_stored()->c_open && frontd_server_key() != NULL;
	text = good ? "{\"status\":\"pass\"}\n" : "{\"status\":\"fail\"}\n";
	conn_answer(c, good ? 200 : 503, "application/health+json",
	    "Cache-Control: no-store\r\n", text, strlen(text));
}

/* Who may trust our ID tokens reads these. OpenID Connect Discovery 3. */
static void
web_openid(struct conn *c)
{
	const char	*url = frontd_conf()->url;
	char		 text[1024];

	snprintf(text, sizeof(text), "{\"issuer\":\"%s\","
	    "\"jwks_uri\":\"%s/.well-known/jwks.json\","
	    "\"response_types_supported\":[\"id_token\"],"
	    "\"subject_types_supported\":[\"public\"],"
	    "\"id_token_signing_alg_values_supported\":[\"ES256\"]}\n", url,
	    url);
	conn_answer(c, 200, "application/json", "", text, strlen(text));
}

/* 32 bytes in base64 as URLs have it, without padding. */
static void
web_base64url(const uint8_t *p, char out[45])
{
	size_t	 i;

	(void)EVP_EncodeBlock((unsigned char *)out, p, 32);
	for (i = 0; out[i] != '\0'; i++)
		if (out[i] == '+')
			out[i] = '-';
		else if (out[i] == '/')
			out[i] = '_';
		else if (out[i] == '=')
			out[i] = '\0';
}

static void
web_jwks(struct conn *c)
{
	const uint8_t	*key;
	uint8_t		 hash[32];
	char		 text[512], x[45], y[45], kid[17];
	size_t		 i;

	if ((key = frontd_jwt_key()) == NULL || EVP_Digest(key, 65, hash,
	    NULL, EVP_sha256(), NULL) != 1) {
		web_text(c, 503, "starting, try again");
		return;
	}
	web_base64url(key + 1, x);
	web_base64url(key + 33, y);
	for (i = 0; i < 8; i++)
		(void)snprintf(kid + 2 * i, 3, "%02x", hash[i]);
	snprintf(text, sizeof(text), "{\"keys\":[{\"kty\":\"EC\","
	    "\"crv\":\"P-256\",\"alg\":\"ES256\",\"use\":\"sig\","
	    "\"kid\":\"%s\",\"x\":\"%s\",\"y\":\"%s\"}]}\n", kid, x, y);
	conn_answer(c, 200, "application/json", "", text, strlen(text));
}

/* Ask stored; the connection waits for it. */
static void
web_ask(struct conn *c, struct msg_web_ask *m)
{
	m->conn = c->c_id;
	c->c_ask = m->kind;
	if (chan_queued(frontd_stored()) > MAX_RPC_QUEUE ||
	    chan_compose(frontd_stored(), IMSG_WEB_ASK, 0, -1, m,
	    sizeof(*m)) == -1) {
		web_text(c, 503, "busy, try again");
		return;
	}
	c->c_state = CONN_ASK;
	event_del(&c->c_ev_read);
	conn_timer(c, T_ASK);
}

/*
 * The page behind a login URL. Its ID is a secret of 128 bits: who asks for
 * one has it from the machine. It goes into a shell, so it is letters and
 * digits alone.
 */
static void
web_register(struct conn *c, const char *id)
{
	struct msg_web_ask	 m;

	memset(&m, 0, sizeof(m));
	m.kind = WEB_LOGIN;
	if (id[0] == '\0' || strlcpy(m.id, id, sizeof(m.id)) >=
	    sizeof(m.id) || id[strspn(id, "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")] != '\0') {
		page_no_login(c);
		return;
	}
	if ((c->c_ask_id = strdup(id)) == NULL)
		fatal(NULL);
	web_ask(c, &m);
}

/* A node's answer to a ping by URL; who has the ID may give it. */
static void
web_pong(struct conn *c, const char *id)
{
	struct msg_web_ask	 m;

	memset(&m, 0, sizeof(m));
	m.kind = WEB_PONG;
	if (strlen(id) != PING_ID_LEN || id[strspn(id, "0123456789abcdef")] !=
	    '\0') {
		web_text(c, 404, "not found");
		return;
	}
	(void)strlcpy(m.id, id, sizeof(m.id));
	web_ask(c, &m);
}

/*
 * GET /derp/clients: a relay wants to be told who may use it, now and from
 * then on. Who may ask shows a secret, which stored knows.
 */
static void
web_clients(struct conn *c, struct http_req *hr)
{
	struct msg_web_ask	 m;

	memset(&m, 0, sizeof(m));
	m.kind = WEB_CLIENTS;
	if (hexkey_parse(hr->hr_bearer, strlen(hr->hr_bearer), m.key) == -1)
		conn_refuse(c, 403, "no key of a relay");
	else
		web_ask(c, &m);
	explicit_bzero(&m, sizeof(m));
	explicit_bzero(hr->hr_bearer, sizeof(hr->hr_bearer));
}

/* POST /verify: may this node use a relay? Source: control.md 5.4. */
static void
web_verify(struct conn *c, const struct http_req *hr)
{
	if (!hr->hr_has_length || hr->hr_length == 0)
		web_text(c, 400, "a body is expected");
	else if (hr->hr_length > MAX_WEB_BODY)
		web_text(c, 413, "request too large");
	else {
		c->c_state = CONN_BODY;
		c->c_bodylen = hr->hr_length;
		web_body(c);
	}
}

void
web_body(struct conn *c)
{
	static const char	*name = "NodePublic";
	struct msg_web_ask	 m;
	json_t			*j, *v = NULL;

	if (c->c_in.b_len < c->c_bodylen)
		return;
	memset(&m, 0, sizeof(m));
	m.kind = WEB_VERIFY;
	j = ju_load(buf_data(&c->c_in), c->c_bodylen);
	buf_drain(&c->c_in, c->c_in.b_len);
	if (!json_is_object(j) || ju_fields(j, &name, 1, &v) == -1 ||
	    v == NULL || ju_key(v, "nodekey:", m.key) == -1)
		web_text(c, 400, "no NodePublic");
	else
		web_ask(c, &m);
	json_decref(j);
}

int
web_answer(struct imsg *imsg)
{
	struct msg_web_answer	 m;
	struct conn		*c;
	const char		*text;

	if (msg_get(imsg, &m, sizeof(m)) == -1 ||
	    !msg_str_ok(m.name, sizeof(m.name)) ||
	    !msg_str_ok(m.os, sizeof(m.os)) ||
	    !msg_str_ok(m.version, sizeof(m.version)) ||
	    !msg_str_ok(m.key, sizeof(m.key)))
		return -1;
	if ((c = conn_find(m.conn)) == NULL || c->c_state != CONN_ASK)
		return 0;
	switch (c->c_ask) {
	case WEB_LOGIN:
		if (m.yes)
			page_login(c, c->c_ask_id, &m);
		else
			page_no_login(c);
		break;
	case WEB_PONG:
		web_text(c, m.yes ? 200 : 404, m.yes ? "thanks" :
		    "not found");
		break;
	case WEB_CLIENTS:
		if (m.yes)
			conn_follow(c, "HTTP/1.1 200 OK\r\n"
			    "Content-Type: text/plain\r\n"
			    "Cache-Control: no-store\r\n"
			    "Connection: close\r\n\r\n");
		else
			conn_refuse(c, 403, "no key of a relay");
		break;
	default:
		text = m.yes ? "{\"Allow\":true}\n" : "{\"Allow\":false}\n";
		conn_answer(c, 200, "application/json",
		    "Cache-Control: no-store\r\n", text, strlen(text));
		break;
	}
	return 0;
}

int
web_lines(struct imsg *imsg)
{
	struct msg_web_lines	 m;
	struct conn		*c;
	const uint8_t		*data;

	if (msg_list(imsg, &m, sizeof(m), &data) == -1 ||
	    msg_list_ok(imsg, sizeof(m), m.len, 1) == -1)
		return -1;
	if ((c = conn_find(m.conn)) != NULL && c->c_state == CONN_FOLLOW)
		conn_lines(c, data, m.len);
	return 0;
}

static void
web_version(struct conn *c)
{
	static const char	 text[] = "{\"version\":\"" SHOAL_VERSION
				    "\"}\n";

	conn_answer(c, 200, "application/json", "", text, sizeof(text) - 1);
}

/* Pages answer GET and HEAD; the body of a HEAD is read by nobody. */
static void
web_get(struct conn *c, const struct http_req *hr)
{
	const char	*path = hr->hr_path;

	if (strcmp(path, "/key") == 0)
		web_key(c, hr);
	else if (strcmp(path, "/health") == 0)
		web_health(c);
	else if (strcmp(path, "/.well-known/openid-configuration") == 0)
		web_openid(c);
	else if (strcmp(path, "/.well-known/jwks.json") == 0)
		web_jwks(c);
	else if (strncmp(path, "/register/", 10) == 0)
		web_register(c, path + 10);
	else if (strcmp(path, "/") == 0)
		page_root(c);
	else if (strcmp(path, "/derpmap/default") == 0)
		published_map(c);
	else if (strcmp(path, "/bootstrap-dns") == 0)
		published_names(c);
	else if (strcmp(path, "/version") == 0)
		web_version(c);
	else if (strcmp(path, "/robots.txt") == 0)
		web_text(c, 200, "User-agent: *\nDisallow: /");
	else
		web_text(c, 404, "not found");
}

/* The head of a request is complete. */
void
web_request(struct conn *c, struct http_req *hr)
{
	int	 get, post;

	get = strcmp(hr->hr_method, "GET") == 0;
	post = strcmp(hr->hr_method, "POST") == 0;
	c->c_headonly = strcmp(hr->hr_method, "HEAD") == 0;
	if (strcmp(hr->hr_path, "/ts2021") == 0) {
		if (get || post)
			web_upgrade(c, hr);
		else
			web_text(c, 405, "only POST and GET");
	} else if (strncmp(hr->hr_path, PONG_PATH, sizeof(PONG_PATH) - 1) ==
	    0) {
		if (c->c_headonly)
			web_pong(c, hr->hr_path + sizeof(PONG_PATH) - 1);
		else
			web_text(c, 405, "only HEAD");
	} else if (get && strcmp(hr->hr_path, "/derp/clients") == 0)
		web_clients(c, hr);
	else if (get || c->c_headonly)
		web_get(c, hr);
	else if (post && strcmp(hr->hr_path, "/verify") == 0)
		web_verify(c, hr);
	else
		web_text(c, post ? 404 : 405, "not found");
}
