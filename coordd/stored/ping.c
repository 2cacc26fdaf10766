/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * What administrators ask of a node by way of its map stream: whether it is
 * there, whether it reaches another, and requests that it answers itself.
 * Source: control.md 4.13, 5.3.
 */

#include <sys/types.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "jsonutil.h"
#include "log.h"
#include "os.h"
#include "stored.h"

#ifndef nitems
#define nitems(a)	(sizeof(a) / sizeof((a)[0]))
#endif

#define PINGS_MAX	64
#define PING_WAIT	(15 * SEC)	/* a client pings for 10 s at most */
#define C2N_WAIT	(40 * SEC)
#define PIECE		8192		/* bytes of an answer in one row */
#define PONG_MAX	4096		/* bytes of a PingResponse */
#define PONG_TEXT	128		/* of one of its strings */

struct ping {
	TAILQ_ENTRY(ping)	 p_entry;
	char			 p_id[PING_ID_LEN + 1];
	uint8_t			 p_machine[MSG_KEY_LEN];
	uint64_t		 p_node;
	int64_t			 p_asked;	/* b_now */
	int64_t			 p_until;
	uint32_t		 p_adm;		/* who waits: a_id */
	enum ask_kind		 p_kind;
	char			 p_target[ADDR_TEXT];
};

/* Types is what the client knows it by; NULL: none. control.md 4.13 */
static const struct {
	const char	*name;
	const char	*types;
} kinds[] = {
	[ASK_NOISE] =	 { "noise",	NULL },
	[ASK_WEB] =	 { "http",	NULL },
	[ASK_C2N] =	 { "c2n",	"c2n" },
	[ASK_REQUEST] = { "",		"c2n" },	/* by its own verb */
	[ASK_DISCO] =	 { "disco",	"disco" },
	[ASK_TSMP] =	 { "tsmp",	"TSMP" },
	[ASK_ICMP] =	 { "icmp",	"ICMP" },
	[ASK_PEERAPI] = { "peerapi",	"peerapi" }
};

int
ask_kind(const char *name, enum ask_kind *kind)
{
	size_t	 i;

	for (i = 0; i < nitems(kinds); i++)
		if (kinds[i].name[0] != '\0' &&
		    strcmp(kinds[i].name, name) == 0) {
			*kind = i;
			return 0;
		}
	return -1;
}

static void
ping_free(struct brain *b, struct ping *p)
{
	TAILQ_REMOVE(&b->b_pings, p, p_entry);
	b->b_npings--;
	free(p);
}

/* NULL if a message can be sent to it now, or why not. */
static const char *
ping_refusal(const struct brain *b, const struct node *n)
{
	if (n->n_viewer == NULL)
		return "the node is not connected";
	if (n->n_viewer->v_flags & V_FULL)
		return "the node is just connecting, try again";
	if (b->b_npings >= PINGS_MAX)
		return "too many wait for answers, try again";
	return NULL;
}

/*
 * The host of our URL: Noise leads to us whatever it is. Without Noise the
 * whole URL counts, as anybody would reach it.
 */
static void
ping_url(const struct brain *b, struct buf *t, const struct ping *p)
{
	const char	*url = b->b_conf.c_url, *host = strstr(url, "://");
	size_t		 len;

	if (p->p_kind != ASK_WEB) {
		buf_str(t, "https://");
		url = host == NULL ? "coordd" : host + 3;
	}
	for (len = strlen(url); len > 0 && url[len - 1] == '/'; len--)
		;
	buf_fmt(t, "%.*s/machine/ping-response/%s", (int)len, url, p->p_id);
}

static void
ping_send(struct brain *b, struct viewer *v, const struct ping *p,
    const char *payload)
{
	struct buf	 t = { NULL, 0, 0 };

	buf_str(&t, "{\"PingRequest\":{\"URL\":\"");
	ping_url(b, &t, p);
	buf_str(&t, "\"");
	if (p->p_kind != ASK_WEB)
		buf_str(&t, ",\"URLIsNoise\":true");
	if (kinds[p->p_kind].types != NULL)
		buf_fmt(&t, ",\"Types\":\"%s\"", kinds[p->p_kind].types);
	if (p->p_target[0] != '\0')
		buf_fmt(&t, ",\"IP\":\"%s\"", p->p_target);
	if (payload != NULL)
		buf_fmt(&t, ",\"Payload\":\"%s\"", payload);
	buf_str(&t, "}}");
	b->b_sink->s_answer(b->b_sinkarg, &v->v_rpc, 200, RPC_T_MAP, t.b_text,
	    t.b_len, RPC_F_MSGEND);
	buf_free(&t);
}

const char *
ping_start(struct brain *b, struct node *n, uint32_t adm,
    enum ask_kind kind, const char *what)
{
	const char	*why;
	struct ping	*p;

	if ((why = ping_refusal(b, n)) != NULL)
		return why;
	p = xcalloc(1, sizeof(*p));
	(void)snprintf(p->p_id, sizeof(p->p_id), "%08x%08x%08x%08x",
	    arc4random(), arc4random(), arc4random(), arc4random());
	memcpy(p->p_machine, n->n_rec.r_machine, sizeof(p->p_machine));
	p->p_node = n->n_rec.r_id;
	p->p_asked = b->b_now;
	p->p_kind = kind;
	p->p_until = b->b_now + (kind == ASK_C2N || kind == ASK_REQUEST ?
	    C2N_WAIT : PING_WAIT);
	p->p_adm = adm;
	if (kind >= ASK_DISCO) {
		(void)strlcpy(p->p_target, what, sizeof(p->p_target));
		what = NULL;
	}
	TAILQ_INSERT_TAIL(&b->b_pings, p, p_entry);
	b->b_npings++;
	ping_send(b, n->n_viewer, p, what);
	return NULL;
}

/* The node's answer to a request, in pieces that fit. */
static void
ping_rows(struct brain *b, const struct ping *p, const char *text, size_t len)
{
	struct buf	 t = { NULL, 0, 0 };
	char		 piece[PIECE];
	size_t		 i, n;

	for (; len > 0; len -= n, text += n) {
		n = len < sizeof(piece) - 1 ? len : sizeof(piece) - 1;
		for (i = 0; i < n; i++)
			piece[i] = (text[i] >= ' ' && text[i] <= '~') ||
			    text[i] == '\n' || text[i] == '\t' ? text[i] :
			    text[i] == '\r' ? ' ' : '?';
		piece[n] = '\0';
		buf_str(&t, "{\"text\":");
		buf_json(&t, piece);
		buf_str(&t, "}");
		b->b_sink->s_adm(b->b_sinkarg, p->p_adm, t.b_text, NULL);
		buf_free(&t);
	}
}

static void
row_head(struct brain *b, const struct ping *p, struct buf *t,
    double milliseconds)
{
	struct node	*n = node_find(b, p->p_node);

	buf_fmt(t, "{\"id\":%llu,\"name\":\"%s\",\"type\":\"%s\","
	    "\"milliseconds\":%.1f", (unsigned long long)p->p_node,
	    n == NULL ? "" : n->n_rec.r_label, kinds[p->p_kind].name,
	    milliseconds);
}

static void
row_end(struct brain *b, const struct ping *p, struct buf *t)
{
	buf_str(t, "}");
	b->b_sink->s_adm(b->b_sinkarg, p->p_adm, t->b_text, NULL);
	buf_free(t);
}

/* It is there: how long that took. */
static void
ping_row(struct brain *b, const struct ping *p)
{
	struct buf	 t = { NULL, 0, 0 };

	row_head(b, p, &t, (double)(b->b_now - p->p_asked) / MSEC);
	row_end(b, p, &t);
}

/* A string of the node's, if it has one and is not too long. */
static void
row_text(struct buf *t, const char *name, json_t *v)
{
	if (!json_is_string(v) || json_string_length(v) == 0 ||
	    json_string_length(v) > PONG_TEXT)
		return;
	buf_name(t, name);
	buf_json(t, json_string_value(v));
}

/* PingResponse. NULL, or what went wrong (in the buffer). */
static const char *
pong_row(struct brain *b, const struct ping *p, json_t *obj, char *why,
    size_t size)
{
	enum { R_ERR, R_LATENCY, R_NAME, R_ENDPOINT, R_RELAY, R_CODE, R_MAX };
	static const char *const names[R_MAX] = { "Err", "LatencySeconds",
	    "NodeName", "Endpoint", "PeerRelay", "DERPRegionCode" };
	struct buf	 t = { NULL, 0, 0 };
	json_t		*v[R_MAX];
	double		 latency = 0;

	if (!json_is_object(obj) || ju_fields(obj, names, R_MAX, v) == -1 ||
	    (v[R_LATENCY] != NULL && ju_real(v[R_LATENCY], &latency) == -1))
		return "the node answered with something else";
	if (json_is_string(v[R_ERR]) && json_string_length(v[R_ERR]) > 0) {
		(void)snprintf(why, size, "the node says: %.200s",
		    json_string_value(v[R_ERR]));
		return why;
	}
	if (!(latency >= 0 && latency < 3600))
		return "the node answered with something else";
	row_head(b, p, &t, latency * 1000);
	buf_fmt(&t, ",\"target\":\"%s\"", p->p_target);
	row_text(&t, "target_name", v[R_NAME]);
	row_text(&t, "endpoint", v[R_ENDPOINT]);
	row_text(&t, "relay", v[R_RELAY]);
	row_text(&t, "derp", v[R_CODE]);
	row_end(b, p, &t);
	return NULL;
}

static const char *
ping_peer(struct brain *b, const struct ping *p, const char *data, size_t len,
    char *why, size_t size)
{
	const char	*error;
	json_t		*obj = NULL;

	if (len <= PONG_MAX)
		obj = ju_load(data, len);
	error = pong_row(b, p, obj, why, size);
	json_decref(obj);
	return error;
}

/* An echo of what was sent, after the head of its answer. */
static int
is_echo(const char *data, size_t len)
{
	static const char	 body[] = PING_ECHO;
	static const char	 ok[] = "HTTP/1.1 200";

	return len >= sizeof(ok) - 1 + sizeof(body) - 1 &&
	    memcmp(data, ok, sizeof(ok) - 1) == 0 &&
	    memmem(data, len, body, sizeof(body) - 1) != NULL;
}

static struct ping *
ping_find(struct brain *b, const char *id)
{
	struct ping	*p;

	TAILQ_FOREACH(p, &b->b_pings, p_entry)
		if (os_timingsafe_bcmp(p->p_id, id, PING_ID_LEN) == 0)
			return p;
	return NULL;
}

/* An ID is good for one answer: those of the machine that was asked. */
int
ping_answer(struct brain *b, const uint8_t machine[MSG_KEY_LEN],
    const char *data, size_t len)
{
	const char	*error = NULL;
	struct ping	*p;
	char		 why[MSG_TEXT_LEN];

	if (len < PING_ID_LEN || (p = ping_find(b, data)) == NULL ||
	    p->p_kind == ASK_WEB ||
	    memcmp(p->p_machine, machine, MSG_KEY_LEN) != 0)
		return -1;
	data += PING_ID_LEN;
	len -= PING_ID_LEN;
	if (p->p_kind == ASK_REQUEST)
		ping_rows(b, p, data, len);
	else if (p->p_kind >= ASK_DISCO)
		error = ping_peer(b, p, data, len, why, sizeof(why));
	else if (p->p_kind == ASK_C2N && !is_echo(data, len))
		error = "the node answered with something else";
	else
		ping_row(b, p);
	b->b_sink->s_adm(b->b_sinkarg, p->p_adm, NULL, error);
	ping_free(b, p);
	return 0;
}

int
ping_web(struct brain *b, const char *id)
{
	struct ping	*p;

	if (strlen(id) != PING_ID_LEN || (p = ping_find(b, id)) == NULL ||
	    p->p_kind != ASK_WEB)
		return -1;
	ping_row(b, p);
	b->b_sink->s_adm(b->b_sinkarg, p->p_adm, NULL, NULL);
	ping_free(b, p);
	return 0;
}

void
ping_run(struct brain *b)
{
	struct ping	*p, *tmp;

	TAILQ_FOREACH_SAFE(p, &b->b_pings, p_entry, tmp) {
		if (p->p_until > b->b_now)
			continue;
		b->b_sink->s_adm(b->b_sinkarg, p->p_adm, NULL,
		    p->p_kind >= ASK_DISCO ? "no answer: of the target, or "
		    "of the node" : "no answer of the node");
		ping_free(b, p);
	}
}

int64_t
ping_next(const struct brain *b)
{
	const struct ping	*p;
	int64_t			 next = -1;

	TAILQ_FOREACH(p, &b->b_pings, p_entry)
		if (next == -1 || p->p_until - b->b_now < next)
			next = p->p_until - b->b_now;
	return next;
}

void
ping_end(struct brain *b)
{
	struct ping	*p;

	while ((p = TAILQ_FIRST(&b->b_pings)) != NULL)
		ping_free(b, p);
}
