/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * What administrators ask of a node by way of its map stream: whether it is
 * there, and requests that it answers itself.
 * Source: control.md 4.13, 5.3.
 */

#include <sys/types.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "stored.h"

#define PINGS_MAX	64
#define PING_WAIT	(10 * SEC)
#define C2N_WAIT	(40 * SEC)
#define PIECE		8192		/* bytes of an answer in one row */

struct ping {
	TAILQ_ENTRY(ping)	 p_entry;
	char			 p_id[PING_ID_LEN + 1];
	uint8_t			 p_machine[MSG_KEY_LEN];
	uint64_t		 p_node;
	int64_t			 p_asked;	/* b_now */
	int64_t			 p_until;
	uint32_t		 p_adm;		/* who waits: a_id */
	int			 p_c2n;
};

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

/* The host of our URL; Noise leads to us whatever it is. */
static void
ping_send(struct brain *b, struct viewer *v, const struct ping *p,
    const char *payload)
{
	struct buf	 t = { NULL, 0, 0 };
	const char	*host = strstr(b->b_conf.c_url, "://");

	buf_fmt(&t, "{\"PingRequest\":{\"URL\":\"https://%s/machine/"
	    "ping-response/%s\",\"URLIsNoise\":true",
	    host == NULL ? "coordd" : host + 3, p->p_id);
	if (payload != NULL)
		buf_fmt(&t, ",\"Types\":\"c2n\",\"Payload\":\"%s\"", payload);
	buf_str(&t, "}}");
	b->b_sink->s_answer(b->b_sinkarg, &v->v_rpc, 200, RPC_T_MAP, t.b_text,
	    t.b_len, RPC_F_MSGEND);
	buf_free(&t);
}

const char *
ping_start(struct brain *b, struct node *n, uint32_t adm, const char *payload)
{
	const char	*why;
	struct ping	*p;

	if ((why = ping_refusal(b, n)) != NULL)
		return why;
	p = xcalloc(1, sizeof(*p));
	(void)snprintf(p->p_id, sizeof(p->p_id), "%08x%08x", arc4random(),
	    arc4random());
	memcpy(p->p_machine, n->n_rec.r_machine, sizeof(p->p_machine));
	p->p_node = n->n_rec.r_id;
	p->p_asked = b->b_now;
	p->p_c2n = payload != NULL;
	p->p_until = b->b_now + (p->p_c2n ? C2N_WAIT : PING_WAIT);
	p->p_adm = adm;
	TAILQ_INSERT_TAIL(&b->b_pings, p, p_entry);
	b->b_npings++;
	ping_send(b, n->n_viewer, p, payload);
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
ping_row(struct brain *b, const struct ping *p)
{
	struct node	*n = node_find(b, p->p_node);
	char		 row[256];

	(void)snprintf(row, sizeof(row), "{\"id\":%llu,\"name\":\"%s\","
	    "\"milliseconds\":%.1f}", (unsigned long long)p->p_node,
	    n == NULL ? "" : n->n_rec.r_label,
	    (double)(b->b_now - p->p_asked) / MSEC);
	b->b_sink->s_adm(b->b_sinkarg, p->p_adm, row, NULL);
}

/* Its own words alone count: those of the machine that was asked. */
int
ping_answer(struct brain *b, const uint8_t machine[MSG_KEY_LEN],
    const char *data, size_t len)
{
	struct ping	*p;

	if (len < PING_ID_LEN)
		return -1;
	TAILQ_FOREACH(p, &b->b_pings, p_entry)
		if (memcmp(p->p_id, data, PING_ID_LEN) == 0 &&
		    memcmp(p->p_machine, machine, MSG_KEY_LEN) == 0)
			break;
	if (p == NULL)
		return -1;
	if (p->p_c2n)
		ping_rows(b, p, data + PING_ID_LEN, len - PING_ID_LEN);
	else
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
		    "no answer of the node");
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
