/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Logins that wait for a person: bounded, forgotten after a while.
 */

#include <sys/types.h>

#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "jsonutil.h"
#include "log.h"
#include "stored.h"

#define PENDING_HOSTINFO	(16 * 1024)	/* more is left out */

void
pending_free(struct brain *b, struct pending *p)
{
	if (p->p_waits)
		brain_answer(b, &p->p_req.q_rpc, 503, RPC_T_TEXT,
		    "registration timed out");
	TAILQ_REMOVE(&b->b_pendings, p, p_entry);
	b->b_npending--;
	free(p->p_hostinfo);
	free(p);
}

/*
 * Anybody may fill this without being known. So one machine holds few, and
 * the oldest goes when the table is full.
 */
static void
pending_make_room(struct brain *b, const struct reg_req *q)
{
	struct pending	*p, *next, *oldest = NULL;
	size_t		 n = 0;

	TAILQ_FOREACH_SAFE(p, &b->b_pendings, p_entry, next) {
		if (memcmp(p->p_req.q_machine, q->q_machine,
		    MSG_KEY_LEN) != 0)
			continue;
		if (memcmp(p->p_req.q_node, q->q_node, MSG_KEY_LEN) == 0) {
			pending_free(b, p);
			continue;
		}
		if (oldest == NULL)
			oldest = p;
		n++;
	}
	if (n >= PENDING_PER_MACHINE)
		pending_free(b, oldest);
	else if (b->b_npending >= PENDING_MAX)
		pending_free(b, TAILQ_FIRST(&b->b_pendings));
}

struct pending *
pending_add(struct brain *b, const struct reg_req *q)
{
	struct pending	*p;
	uint8_t		 rnd[16];

	pending_make_room(b, q);
	p = xcalloc(1, sizeof(*p));
	p->p_req = *q;
	p->p_req.q_authkey = p->p_req.q_followup = "";
	p->p_req.q_hostinfo = NULL;
	p->p_req.q_hostinfolen = 0;
	if (q->q_hostinfo != NULL && q->q_hostinfolen <= PENDING_HOSTINFO) {
		p->p_hostinfo = xmemdup(q->q_hostinfo, q->q_hostinfolen);
		p->p_req.q_hostinfo = p->p_hostinfo;
		p->p_req.q_hostinfolen = q->q_hostinfolen;
	}
	arc4random_buf(rnd, sizeof(rnd));
	sodium_bin2hex(p->p_id, sizeof(p->p_id), rnd, sizeof(rnd));
	p->p_born = b->b_now;
	TAILQ_INSERT_TAIL(&b->b_pendings, p, p_entry);
	b->b_npending++;
	return p;
}

/*
 * A node that asks again gets the URL that its user may be looking at, as
 * long as there is time left to use it.
 */
struct pending *
pending_get(struct brain *b, const struct reg_req *q)
{
	struct pending	*p;

	TAILQ_FOREACH(p, &b->b_pendings, p_entry)
		if (memcmp(p->p_req.q_machine, q->q_machine,
		    MSG_KEY_LEN) == 0 && memcmp(p->p_req.q_node, q->q_node,
		    MSG_KEY_LEN) == 0 &&
		    b->b_now - p->p_born < PENDING_LIFE / 2)
			return p;
	return pending_add(b, q);
}

struct pending *
pending_find(struct brain *b, const char *text)
{
	const char	*slash;
	struct pending	*p;

	if ((slash = strrchr(text, '/')) != NULL)
		text = slash + 1;
	TAILQ_FOREACH(p, &b->b_pendings, p_entry)
		if (strcmp(p->p_id, text) == 0)
			return p;
	return NULL;
}

/* Text of a stranger, for a page: what does not print is not there. */
static void
clean(char *dst, size_t size, const char *a, const char *b)
{
	char	*p;

	(void)strlcpy(dst, a, size);
	if (b[0] != '\0') {
		(void)strlcat(dst, " ", size);
		(void)strlcat(dst, b, size);
	}
	for (p = dst; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || (unsigned char)*p > '~')
			*p = '?';
}

void
pending_describe(struct brain *b, const char *id, struct msg_web_answer *a)
{
	struct pending	*p;
	json_t		*info = NULL;
	int64_t		 left;

	if ((p = pending_find(b, id)) == NULL)
		return;
	if (p->p_hostinfo != NULL)
		info = ju_load(p->p_hostinfo, p->p_req.q_hostinfolen);
	a->yes = 1;
	left = p->p_born + PENDING_LIFE - b->b_now;
	a->minutes = left <= 0 ? 0 : (uint32_t)(left / (60 * SEC));
	clean(a->name, sizeof(a->name), hostinfo_string(info, "Hostname"), "");
	clean(a->os, sizeof(a->os), hostinfo_string(info, "OS"),
	    hostinfo_string(info, "OSVersion"));
	clean(a->version, sizeof(a->version),
	    hostinfo_string(info, "IPNVersion"), "");
	(void)ju_key_text("nodekey:", p->p_req.q_node, a->key,
	    sizeof(a->key));
	json_decref(info);
}

void
pending_wait(struct brain *b, struct pending *p, const struct msg_rpc *rpc)
{
	if (p->p_waits)
		brain_answer(b, &p->p_req.q_rpc, 409, RPC_T_TEXT,
		    "another request waits for this login");
	p->p_req.q_rpc = *rpc;
	p->p_waits = 1;
}

/* Who still waits then gets a new URL: the old one is worth nothing. */
void
pending_run(struct brain *b)
{
	struct pending	*p, *fresh;
	struct reg_req	 q;
	char		*hostinfo;

	while ((p = TAILQ_FIRST(&b->b_pendings)) != NULL &&
	    b->b_now - p->p_born >= PENDING_LIFE) {
		if (!p->p_waits) {
			pending_free(b, p);
			continue;
		}
		q = p->p_req;
		hostinfo = p->p_hostinfo;
		p->p_hostinfo = NULL;
		p->p_waits = 0;
		fresh = pending_add(b, &q);	/* frees p */
		free(hostinfo);
		register_answer_url(b, &q.q_rpc, fresh);
	}
}

void
pending_drop_rpc(struct brain *b, const struct msg_rpc *rpc)
{
	struct pending	*p;

	TAILQ_FOREACH(p, &b->b_pendings, p_entry)
		if (p->p_waits && p->p_req.q_rpc.conn == rpc->conn &&
		    (rpc->stream == 0 ||
		    p->p_req.q_rpc.stream == rpc->stream))
			p->p_waits = 0;
}
