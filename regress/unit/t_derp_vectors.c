/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * DERP against vectors: derp.json, every kind in it; the scenarios of
 * servers run against the relay's core.
 */

/* link: vec.c ../../derpd/relay/core.c */

#include <sys/types.h>

#include <arpa/inet.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../derpd/relay/core.h"
#include "derp.h"
#include "keys.h"
#include "vec.h"

#define CLIENTS_MAX	16

static uint8_t	 buf[2 * DERP_FRAME_MAX];

static void
put(size_t *len, const void *data, size_t n)
{
	if (n > sizeof(buf) - *len)
		vec_fail("too long");
	memcpy(buf + *len, data, n);
	*len += n;
}

/* A box, complete with nonce, from one private key to a public one. */
static size_t
seal(const uint8_t *priv, const uint8_t *pub, const uint8_t *nonce,
    const char *text, uint8_t *out)
{
	uint8_t	 box[KEY_LEN];

	if (key_box_precompute(priv, pub, box) == -1)
		vec_fail("box key");
	key_box_seal(box, nonce, (const uint8_t *)text, strlen(text), out);
	return strlen(text) + KEY_BOX_OVERHEAD;
}

/*
 * The nonce as it stands in the frame: the members that should tell it are
 * of other moments of the recorder's random stream.
 */
static const uint8_t *
nonce_of(json_t *c, const char *name, size_t off)
{
	uint8_t	*frame;
	size_t	 len;

	frame = vec_hex(c, name, &len);
	if (len < off + KEY_BOX_NONCE_LEN)
		vec_fail("%s is short", name);
	return frame + off;
}

/* The text inside a box, or NULL. */
static char *
open_box(const uint8_t *priv, const uint8_t *pub, const uint8_t *data,
    size_t len)
{
	static char	 text[65536];
	uint8_t		 box[KEY_LEN];

	if (len < KEY_BOX_OVERHEAD || len > sizeof(text) ||
	    key_box_precompute(priv, pub, box) == -1 ||
	    key_box_open(box, data, len, (uint8_t *)text) == -1)
		return NULL;
	text[len - KEY_BOX_OVERHEAD] = '\0';
	return text;
}

static void
login_client(json_t *c)
{
	struct derp_client_info	 ci;
	const char		*want = vec_str(c, "client_info_json");
	char			 text[1024];
	uint8_t			 box[2048], head[DERP_HDR_LEN];
	size_t			 len = 0, n;

	if (derp_client_info_parse(want, strlen(want), &ci) == -1 ||
	    derp_client_info_print(&ci, text, sizeof(text)) == -1 ||
	    strcmp(text, want) != 0)
		vec_fail("client info %s", want);
	n = seal(vec_fix(c, "client_private", KEY_LEN),
	    vec_fix(c, "server_public", KEY_LEN),
	    nonce_of(c, "client_info_frame", DERP_HDR_LEN + KEY_LEN), text,
	    box);
	derp_header(head, DERP_CLIENT_INFO, KEY_LEN + n);
	put(&len, head, sizeof(head));
	put(&len, vec_fix(c, "client_public", KEY_LEN), KEY_LEN);
	put(&len, box, n);
	vec_expect(c, "client_info_frame", buf, len);
}

static void
login_server(json_t *c)
{
	struct derp_server_info	 si;
	const char		*want = vec_str(c, "server_info_json");
	char			 text[1024];
	uint8_t			 box[2048], head[DERP_HDR_LEN];
	size_t			 len = 0, n;

	if (derp_server_info_parse(want, strlen(want), &si) == -1 ||
	    derp_server_info_print(&si, text, sizeof(text)) == -1 ||
	    strcmp(text, want) != 0)
		vec_fail("server info %s", want);
	n = seal(vec_fix(c, "server_private", KEY_LEN),
	    vec_fix(c, "client_public", KEY_LEN),
	    nonce_of(c, "server_info_frame", DERP_HDR_LEN), text, box);
	derp_header(head, DERP_SERVER_INFO, n);
	put(&len, head, sizeof(head));
	put(&len, box, n);
	vec_expect(c, "server_info_frame", buf, len);
}

static void
login(json_t *c)
{
	struct derp_frame	 f;
	uint8_t			 frame[DERP_SERVERKEY_LEN], key[KEY_LEN];

	derp_server_key_build(vec_fix(c, "server_public", KEY_LEN), frame);
	vec_expect(c, "server_key_frame", frame, sizeof(frame));
	if (derp_frame_parse(frame, sizeof(frame), &f) != sizeof(frame) ||
	    derp_server_key_parse(&f, key) == -1)
		vec_fail("own greeting");
	vec_expect(c, "server_public", key, sizeof(key));
	login_client(c);
	login_server(c);
}

/* --- what clients write --- */

static int
send_packet(json_t *args, size_t *len)
{
	const uint8_t	*dst = vec_fix(args, "destination", KEY_LEN);
	uint8_t		*data, head[DERP_FORWARD_HDR_LEN];
	size_t		 n, hlen = DERP_RECV_HDR_LEN;
	int		 ret;

	data = vec_hex(args, "data", &n);
	if (vec_has(args, "source")) {
		hlen = DERP_FORWARD_HDR_LEN;
		ret = derp_forward_head(vec_fix(args, "source", KEY_LEN), dst,
		    n, head);
	} else
		ret = derp_packet_head(DERP_SEND_PACKET, dst, n, head);
	if (ret == -1)
		return -1;
	put(len, head, hlen);
	put(len, data, n);
	return 0;
}

static int
send_small(const char *name, json_t *args, size_t *len)
{
	struct derp_msg	 m;
	uint8_t		 frame[DERP_SMALL_MAX];

	memset(&m, 0, sizeof(m));
	if (strncmp(name, "ping", 4) == 0 || strncmp(name, "pong", 4) == 0) {
		m.dm_type = name[1] == 'i' ? DERP_PING : DERP_PONG;
		memcpy(m.dm_ping, vec_fix(args, "data", DERP_PING_LEN),
		    DERP_PING_LEN);
	} else if (vec_has(args, "preferred")) {
		m.dm_type = DERP_NOTE_PREFERRED;
		m.dm_preferred = vec_bool(args, "preferred");
	} else if (vec_has(args, "peer")) {
		m.dm_type = DERP_CLOSE_PEER;
		memcpy(m.dm_key, vec_fix(args, "peer", KEY_LEN), KEY_LEN);
	} else if (strncmp(name, "watch", 5) == 0)
		m.dm_type = DERP_WATCH_CONNS;
	else
		vec_fail("unknown call");
	put(len, frame, derp_build(&m, frame));
	return 0;
}

static void
client_sends(json_t *c)
{
	json_t	*args = vec_get(c, "args");
	size_t	 len = 0;
	int	 ret;

	ret = vec_has(args, "destination") ? send_packet(args, &len) :
	    send_small(vec_str(c, "name"), args, &len);
	if ((ret == 0) != vec_bool(c, "ok"))
		vec_fail("made: %d", ret == 0);
	vec_expect(c, "frame", buf, len);
}

/* --- what clients read --- */

static const char *const	 msg_names[] = {
	[DERP_SERVER_INFO] =	"server_info",
	[DERP_RECV_PACKET] =	"packet",
	[DERP_KEEP_ALIVE] =	"keep_alive",
	[DERP_PEER_GONE] =	"peer_gone",
	[DERP_PEER_PRESENT] =	"peer_present",
	[DERP_PING] =		"ping",
	[DERP_PONG] =		"pong",
	[DERP_HEALTH] =		"health",
	[DERP_RESTARTING] =	"restarting"
};

static void
expect_address(json_t *w, const struct derp_msg *m)
{
	static const uint8_t	 mapped[12] = { [10] = 0xff, [11] = 0xff };
	char			 ip[64], text[80] = "";
	int			 v4;

	v4 = memcmp(m->dm_addr, mapped, sizeof(mapped)) == 0;
	(void)inet_ntop(v4 ? AF_INET : AF_INET6, m->dm_addr + (v4 ? 12 : 0),
	    ip, sizeof(ip));
	if (m->dm_has_addr)
		(void)snprintf(text, sizeof(text), v4 ? "%s:%u" : "[%s]:%u",
		    ip, m->dm_port);
	if (!vec_is(w, "address", text))
		vec_fail("address %s", text);
	if (vec_num(w, "flags") != m->dm_flags)
		vec_fail("flags %u", m->dm_flags);
}

static void
expect_info(json_t *c, json_t *w, const struct derp_msg *m)
{
	struct derp_server_info	 si, scan;
	char			*text;

	text = open_box(vec_fix(c, "client_private", KEY_LEN),
	    vec_fix(c, "server_public", KEY_LEN), m->dm_data, m->dm_len);
	if (text == NULL || derp_server_info_parse(text, strlen(text),
	    &si) == -1)
		vec_fail("server info");
	if (derp_server_info_scan(text, strlen(text), &scan) == -1 ||
	    scan.si_version != si.si_version ||
	    scan.si_rate != si.si_rate || scan.si_burst != si.si_burst)
		vec_fail("server info without jansson");
	if ((uint64_t)si.si_rate != vec_num(w,
	    "token_bucket_bytes_per_second") || (uint64_t)si.si_burst !=
	    vec_num(w, "token_bucket_bytes_burst"))
		vec_fail("token bucket");
}

static void
expect_msg(json_t *c, json_t *w, const struct derp_msg *m)
{
	if (!vec_is(w, "type", msg_names[m->dm_type]))
		vec_fail("type %d", m->dm_type);
	switch (m->dm_type) {
	case DERP_SERVER_INFO:
		expect_info(c, w, m);
		break;
	case DERP_RECV_PACKET:
		vec_expect(w, "source", m->dm_key, KEY_LEN);
		vec_expect(w, "data", m->dm_data, m->dm_len);
		break;
	case DERP_PEER_GONE:
		vec_expect(w, "peer", m->dm_key, KEY_LEN);
		if (vec_num(w, "reason") != m->dm_reason)
			vec_fail("reason %u", m->dm_reason);
		break;
	case DERP_PEER_PRESENT:
		vec_expect(w, "peer", m->dm_key, KEY_LEN);
		expect_address(w, m);
		break;
	case DERP_PING:
	case DERP_PONG:
		vec_expect(w, "data", m->dm_ping, DERP_PING_LEN);
		break;
	case DERP_HEALTH:
		vec_expect(w, "problem_hex", m->dm_data, m->dm_len);
		break;
	case DERP_RESTARTING:
		if (vec_num(w, "reconnect_in_ms") != m->dm_reconnect_ms ||
		    vec_num(w, "try_for_ms") != m->dm_try_ms)
			vec_fail("times");
		break;
	default:
		break;
	}
}

/* A server info that does not open is an error like any other. */
static int
info_bad(json_t *c, const struct derp_msg *m)
{
	struct derp_server_info	 si;
	char			*text;

	if (m->dm_type != DERP_SERVER_INFO)
		return 0;
	text = open_box(vec_fix(c, "client_private", KEY_LEN),
	    vec_fix(c, "server_public", KEY_LEN), m->dm_data, m->dm_len);
	return text == NULL || derp_server_info_parse(text, strlen(text),
	    &si) == -1;
}

static void
client_receives(json_t *c)
{
	struct derp_frame	 f;
	struct derp_msg		 m;
	json_t			*want = vec_get(c, "messages");
	uint8_t			*wire;
	uint64_t		 n;
	size_t			 len, off, i = 0;
	int			 clean = 1, cut = 0, ret;

	wire = vec_hex(c, "wire", &len);
	for (off = 0; clean && (n = derp_frame_parse(wire + off, len - off,
	    &f)) != 0; off += n) {
		if (f.df_len <= DERP_FRAME_MAX && n > len - off) {
			cut = 1;
			break;
		}
		if (f.df_len > DERP_FRAME_MAX ||
		    (ret = derp_client_parse(&f, &m)) == -1 ||
		    (ret == 1 && info_bad(c, &m))) {
			clean = 0;
			break;
		}
		if (ret == 1)
			expect_msg(c, json_array_get(want, i++), &m);
	}
	if (i != json_array_size(want))
		vec_fail("%zu messages", i);
	/* What the reference says of a cut frame hangs on its buffers. */
	if (!cut && clean != vec_bool(c, "clean_end"))
		vec_fail("clean end: %d", clean);
}

static void
client_greeting(json_t *c)
{
	struct derp_frame	 f;
	uint8_t			*wire, key[KEY_LEN];
	uint64_t		 n;
	size_t			 len;
	int			 good;

	wire = vec_hex(c, "wire", &len);
	n = derp_frame_parse(wire, len, &f);
	good = n != 0 && f.df_len <= DERP_SERVERKEY_MAX && n <= len &&
	    derp_server_key_parse(&f, key) == 0;
	if (good != vec_bool(c, "ok"))
		vec_fail("taken: %d", good);
	if (good)
		vec_expect(c, "server_public", key, sizeof(key));
}

/* --- servers --- */

static void
server_reads(json_t *c)
{
	struct derp_client_info	 ci;
	struct derp_frame	 f;
	char			*text;
	uint8_t			*wire;
	uint64_t		 n;
	size_t			 len;
	int			 good;

	wire = vec_hex(c, "wire", &len);
	n = derp_frame_parse(wire, len, &f);
	good = n != 0 && f.df_type == DERP_CLIENT_INFO && n <= len &&
	    f.df_len >= DERP_CLIENTINFO_MIN &&
	    f.df_len <= DERP_CLIENTINFO_MAX;
	if (good) {
		text = open_box(vec_fix(c, "server_private", KEY_LEN),
		    f.df_data, f.df_data + KEY_LEN, f.df_len - KEY_LEN);
		good = text != NULL && derp_client_info_parse(text,
		    f.df_len - KEY_LEN - KEY_BOX_OVERHEAD, &ci) == 0;
	}
	if (good != vec_bool(c, "ok"))
		vec_fail("taken: %d", good);
	if (good)
		vec_expect(c, "client_public", f.df_data, KEY_LEN);
}

static struct lab {
	struct client	 l_client;	/* first: callbacks cast it */
	json_t		*l_json;
	int		 l_open;
} lab[CLIENTS_MAX];
static size_t		 nlab;

static void
lab_wake(struct client *c)
{
}

static void
lab_close(struct client *c)
{
	size_t	 i;

	for (i = 0; i < nlab; i++)
		if (&lab[i].l_client == c)
			lab[i].l_open = 0;
}

static const struct core_cb	 lab_cb = { lab_wake, lab_wake, lab_close };

static struct lab *
lab_find(const char *name)
{
	size_t	 i;

	for (i = 0; i < nlab; i++)
		if (vec_is(lab[i].l_json, "name", name))
			return &lab[i];
	vec_fail("no client %s", name);
}

static int
frame_cmp(const void *a, const void *b)
{
	return memcmp(a, b, DERP_SMALL_MAX);
}

/* What waits for a client; runs of PEER_PRESENT sorted, as in the file. */
static void
lab_expect(struct lab *l, json_t *want, const char *name)
{
	size_t	 len = 0, n, run;
	uint8_t	*p;

	if (l->l_open)
		while ((n = core_pull(&l->l_client, buf + len,
		    sizeof(buf) - len)) > 0)
			len += n;
	p = buf;
	for (run = 0; (run + 1) * DERP_SMALL_MAX <= len &&
	    p[run * DERP_SMALL_MAX] == DERP_PEER_PRESENT; run++)
		;
	qsort(p, run, DERP_SMALL_MAX, frame_cmp);
	if (vec_has(want, name))
		vec_expect(want, name, buf, len);
	else if (len != 0)
		vec_fail("%s got %zu bytes", name, len);
}

static void
lab_login(json_t *j, const uint8_t *mesh_key)
{
	struct lab	*l = &lab[nlab++];
	struct in_addr	 ip;
	const char	*addr = vec_str(j, "address"), *colon;
	char		 text[64];

	memset(l, 0, sizeof(*l));
	l->l_json = j;
	l->l_open = 1;
	l->l_client.cl_mesh = vec_bool(j, "mesh");
	l->l_client.cl_flags = l->l_client.cl_mesh ? DERP_PRESENT_MESH :
	    DERP_PRESENT_REGULAR;
	colon = strrchr(addr, ':');
	(void)snprintf(text, sizeof(text), "%.*s", (int)(colon - addr), addr);
	if (inet_pton(AF_INET, text, &ip) != 1)
		vec_fail("address %s", addr);
	l->l_client.cl_addr[10] = l->l_client.cl_addr[11] = 0xff;
	memcpy(l->l_client.cl_addr + 12, &ip, 4);
	l->l_client.cl_port = strtoul(colon + 1, NULL, 10);
	core_add(&l->l_client, vec_fix(j, "public", KEY_LEN));
}

static void
lab_input(struct lab *l, json_t *step)
{
	struct derp_frame	 f;
	uint8_t			*wire;
	uint64_t		 n;
	size_t			 len, off;

	wire = vec_hex(step, "wire", &len);
	for (off = 0; l->l_open && (n = derp_frame_parse(wire + off,
	    len - off, &f)) != 0; off += n)
		if (derp_server_len(&f, l->l_client.cl_mesh) == -1 ||
		    (n <= len - off &&
		    core_input(&l->l_client, &f, INT64_MAX / 2) == -1))
			l->l_open = 0;
}

static int
listed(json_t *list, const char *name)
{
	json_t	*v;
	size_t	 i;

	json_array_foreach(list, i, v)
		if (strcmp(json_string_value(v), name) == 0)
			return 1;
	return 0;
}

static void
lab_step(json_t *step)
{
	struct lab	*l;
	const char	*name;
	size_t		 i;

	l = lab_find(vec_str(step, "client"));
	if (vec_is(step, "action", "disconnect"))
		l->l_open = 0;
	else
		lab_input(l, step);
	for (i = 0; i < nlab; i++)
		if (!lab[i].l_open && lab[i].l_client.cl_peer != NULL)
			core_remove(&lab[i].l_client);
	for (i = 0; i < nlab; i++) {
		name = vec_str(lab[i].l_json, "name");
		if (lab[i].l_open == listed(vec_get(step, "closed"), name))
			vec_fail("%s is open: %d", name, lab[i].l_open);
		lab_expect(&lab[i], vec_get(step, "received"), name);
	}
}

static void
server_scenario(json_t *c)
{
	const uint8_t	*mesh_key = vec_fix(c, "mesh_key", KEY_LEN);
	json_t		*v;
	size_t		 i;

	nlab = 0;
	core_init(&lab_cb);
	json_array_foreach(vec_get(c, "clients"), i, v) {
		if (nlab == CLIENTS_MAX)
			vec_fail("too many clients");
		lab_login(v, mesh_key);
	}
	for (i = 0; i < nlab; i++)
		lab_expect(&lab[i], lab[i].l_json, "received_after_login");
	json_array_foreach(vec_get(c, "steps"), i, v)
		lab_step(v);
	for (i = 0; i < nlab; i++)
		if (lab[i].l_client.cl_peer != NULL)
			core_remove(&lab[i].l_client);
}

static const struct vec_kind kinds[] = {
	{ "login",			login },
	{ "client_sends",		client_sends },
	{ "client_receives",		client_receives },
	{ "client_greeting",		client_greeting },
	{ "server_reads_client_info",	server_reads },
	{ "server_scenario",		server_scenario },
};

int
main(void)
{
	vec_run(getenv("VECTORS"), "derp", kinds,
	    sizeof(kinds) / sizeof(kinds[0]));
	return 0;
}
