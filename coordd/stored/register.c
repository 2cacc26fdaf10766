/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Registration: who joins, who comes again, who leaves.
 */

#include <sys/types.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jsonutil.h"
#include "keys.h"
#include "log.h"
#include "srvreq.h"
#include "stored.h"

#define E_OTHER_MACHINE	"node exists with a different machine key"
#define E_EXTEND	"extending key is not allowed"
#define E_AUTHKEY	"invalid authkey"
#define E_STORE		"the server cannot write its store, try again later"

/* Owner of a node as a registration would make it. */
struct owner {
	struct user	*o_user;	/* NULL: tagged */
	struct authkey	*o_key;		/* NULL: a person vouched */
	char		*const *o_tags;
	size_t		 o_ntags;
};

struct answer {
	uint64_t	 a_id;
	const char	*a_login;
	const char	*a_display;
	const char	*a_url;
	const char	*a_error;
	int		 a_expired;
	int		 a_authorized;
};

static const char *
bool_text(int v)
{
	return v ? "true" : "false";
}

static void
answer_send(struct brain *b, const struct msg_rpc *rpc,
    const struct answer *a)
{
	struct buf	 t = { NULL, 0, 0 };

	buf_fmt(&t, "{\"User\":{\"ID\":%llu,\"DisplayName\":",
	    (unsigned long long)a->a_id);
	buf_json(&t, a->a_display);
	buf_fmt(&t, "},\"Login\":{\"ID\":%llu,\"Provider\":\"shoal\","
	    "\"LoginName\":", (unsigned long long)a->a_id);
	buf_json(&t, a->a_login);
	buf_str(&t, ",\"DisplayName\":");
	buf_json(&t, a->a_display);
	buf_fmt(&t, "},\"NodeKeyExpired\":%s,\"MachineAuthorized\":%s,"
	    "\"AuthURL\":", bool_text(a->a_expired),
	    bool_text(a->a_authorized));
	buf_json(&t, a->a_url);
	buf_str(&t, ",\"Error\":");
	buf_json(&t, a->a_error);
	buf_str(&t, ",\"NodeKeySignature\":null}\n");
	brain_answer(b, rpc, 200, RPC_T_JSON, t.b_text);
	buf_free(&t);
}

static void
answer_error(struct brain *b, const struct msg_rpc *rpc, const char *text)
{
	struct answer	 a = { .a_error = text };

	if (log_limit(&b->b_refused, b->b_now, 10, 60))
		log_info("register: refused: %s", text);
	answer_send(b, rpc, &a);
}

static void
answer_expired(struct brain *b, const struct msg_rpc *rpc)
{
	struct answer	 a = { .a_expired = 1 };

	answer_send(b, rpc, &a);
}

void
register_answer_node(struct brain *b, const struct msg_rpc *rpc,
    const struct node *n)
{
	struct answer	 a = { .a_authorized = n->n_rec.r_approved };
	struct user	*u;

	u = user_find(b, n->n_rec.r_user);
	a.a_id = u == NULL ? TAGGED_USER : u->u_id;
	a.a_login = u == NULL ? "tagged-devices" : u->u_name;
	a.a_display = u == NULL ? "Tagged Devices" : u->u_display;
	a.a_expired = node_is_expired(b, n);
	answer_send(b, rpc, &a);
}

void
register_answer_url(struct brain *b, const struct msg_rpc *rpc,
    const struct pending *p)
{
	struct answer	 a = { .a_id = 0 };
	char		 url[MSG_TEXT_LEN];
	size_t		 len = strlen(b->b_conf.c_url);

	while (len > 0 && b->b_conf.c_url[len - 1] == '/')
		len--;
	(void)snprintf(url, sizeof(url), "%.*s/register/%s", (int)len,
	    b->b_conf.c_url, p->p_id);
	a.a_url = url;
	answer_send(b, rpc, &a);
}

static int
same_machine(const struct node *n, const struct reg_req *q)
{
	return !n->n_rec.r_wgonly && memcmp(n->n_rec.r_machine,
	    q->q_machine, MSG_KEY_LEN) == 0;
}

/*
 * The node that this registration is about: by its key, or (its key rotates)
 * the one that this machine has for the same owner. NULL: a new one, or one
 * of another machine (then err is set).
 */
static struct node *
find_target(struct brain *b, const struct reg_req *q, const struct owner *o,
    const char **err)
{
	struct node	*n;

	if ((n = node_find_key(b, q->q_node)) != NULL) {
		if (same_machine(n, q))
			return n;
		*err = E_OTHER_MACHINE;
		return NULL;
	}
	for (n = node_first_machine(b, q->q_machine); n != NULL;
	    n = node_next_machine(b, n)) {
		if (o->o_user != NULL && n->n_rec.r_user == o->o_user->u_id)
			return n;
		if (o->o_user == NULL && n->n_rec.r_ntags > 0)
			return n;
	}
	return NULL;
}

/*
 * Tags that the node itself asks for. All must be the user's to give; those
 * of an auth key go before them. 0, or -1 with a line.
 */
static int
take_requested_tags(struct brain *b, struct noderec *r, const struct user *u,
    char *err, size_t errlen)
{
	char	*tags[NODE_MAX_TAGS];
	json_t	*obj;
	size_t	 i, n;
	int	 ok = 1;

	obj = r->r_hostinfo == NULL ? NULL :
	    ju_load(r->r_hostinfo, strlen(r->r_hostinfo));
	n = hostinfo_tags(obj, tags, NODE_MAX_TAGS);
	json_decref(obj);
	if (n > NODE_MAX_TAGS) {
		n = NODE_MAX_TAGS;
		ok = 0;
	}
	policy_refresh(b);
	for (i = 0; i < n && ok; i++)
		if (b->b_pstate == NULL ||
		    !policy_tag_allowed(b->b_pstate, tags[i], u->u_id)) {
			(void)snprintf(err, errlen, "requested tags [%.*s]"
			    " are invalid or not permitted", 200, tags[i]);
			ok = 0;
		}
	if (ok && n > 0) {
		noderec_set_tags(r, tags, n);
		r->r_user = 0;
	}
	for (i = 0; i < n; i++)
		free(tags[i]);
	return ok ? 0 : -1;
}

/* A person's node expires, a tagged one does not. A wish only shortens. */
static void
set_expiry(struct brain *b, struct noderec *r, int64_t wish)
{
	r->r_expiry = 0;
	if (r->r_ntags > 0)
		return;
	if (b->b_conf.c_key_expiry != 0)
		r->r_expiry = b->b_date + b->b_conf.c_key_expiry;
	if (wish > b->b_date && (r->r_expiry == 0 || wish < r->r_expiry))
		r->r_expiry = wish;
}

/* The record as it will be; 0, or -1 with a line. */
static int
make_record(struct brain *b, const struct reg_req *q, const struct owner *o,
    struct node *n, struct noderec *r, char *err, size_t errlen)
{
	char	 base[NODE_LABEL_MAX];

	memcpy(r->r_machine, q->q_machine, MSG_KEY_LEN);
	memcpy(r->r_key, q->q_node, MSG_KEY_LEN);
	memcpy(r->r_nl, q->q_nl, MSG_KEY_LEN);
	r->r_cap = (uint16_t)q->q_version;
	if (q->q_hostinfo != NULL && noderec_set_hostinfo(r, q->q_hostinfo,
	    q->q_hostinfolen) == -1) {
		(void)strlcpy(err, "bad Hostinfo", errlen);
		return -1;
	}
	r->r_user = o->o_user == NULL ? 0 : o->o_user->u_id;
	noderec_set_tags(r, o->o_tags, o->o_ntags);
	if (o->o_user != NULL &&
	    take_requested_tags(b, r, o->o_user, err, errlen) == -1)
		return -1;
	r->r_authkey = o->o_key == NULL ? 0 : o->o_key->k_id;
	r->r_ephemeral = q->q_ephemeral ||
	    (o->o_key != NULL && o->o_key->k_ephemeral);
	set_expiry(b, r, q->q_expiry);
	if (n != NULL) {
		name_follow(b, n, r);
		return 0;
	}
	r->r_created = b->b_date;
	r->r_approved = !b->b_conf.c_approve;
	name_label(r->r_hostname, base);
	name_unique(b, NULL, base, r->r_label);
	return alloc_addrs(b, r, err, errlen);
}

/*
 * The key is counted and the node written in one transaction: of many that
 * come with a one-shot key one gets in. 0, or -1 with the text.
 */
static int
write_record(struct brain *b, struct noderec *r, const struct owner *o,
    const char **err)
{
	char	 actor[32], target[32];
	int	 used = 1;

	*err = E_STORE;
	if (store_begin(b->b_store, 1) == -1)
		return -1;
	if (o->o_key != NULL)
		used = store_authkey_use(b->b_store, o->o_key->k_id,
		    b->b_date);
	if (used != 1 || store_node_put(b->b_store, r) == -1)
		goto bad;
	if (o->o_key != NULL)
		(void)snprintf(actor, sizeof(actor), "key %s",
		    o->o_key->k_prefix);
	else
		(void)snprintf(actor, sizeof(actor), "admin");
	(void)snprintf(target, sizeof(target), "node %llu",
	    (unsigned long long)r->r_id);
	if (store_audit(b->b_store, b->b_date, actor, "register", target,
	    r->r_label) == -1 || store_commit(b->b_store) == -1)
		goto bad;
	return 0;
bad:
	store_rollback(b->b_store);
	if (used == 0)
		*err = "authkey already used";
	return -1;
}

/* Create or update; NULL with a line in err. */
static struct node *
join(struct brain *b, const struct reg_req *q, const struct owner *o,
    char *err, size_t errlen)
{
	struct noderec	 r;
	struct node	*n;
	const char	*text = NULL;

	if ((n = find_target(b, q, o, &text)) == NULL && text != NULL) {
		(void)strlcpy(err, text, errlen);
		return NULL;
	}
	memset(&r, 0, sizeof(r));
	if (n != NULL)
		noderec_copy(&r, &n->n_rec);
	if (make_record(b, q, o, n, &r, err, errlen) == -1) {
		noderec_free(&r);
		return NULL;
	}
	if (write_record(b, &r, o, &text) == -1) {
		(void)strlcpy(err, text, errlen);
		noderec_free(&r);
		return NULL;
	}
	if (o->o_key != NULL)
		o->o_key->k_used++;
	if (n == NULL)
		n = node_add(b, &r);
	else
		node_set(b, n, &r);
	log_info("node %llu (%s): registered",
	    (unsigned long long)n->n_rec.r_id, n->n_rec.r_label);
	return n;
}

static void
do_logout(struct brain *b, const struct reg_req *q, struct node *n)
{
	struct noderec	 r;
	int		 rc;

	if (n->n_rec.r_ephemeral)
		rc = node_delete(b, n, "node", "logout");
	else if (node_is_expired(b, n))
		rc = 0;
	else {
		noderec_copy(&r, &n->n_rec);
		r.r_expiry = b->b_date;
		if ((rc = node_put(b, n, &r, "node", "logout")) == -1)
			noderec_free(&r);
	}
	if (rc == -1)
		answer_error(b, &q->q_rpc, E_STORE);
	else
		answer_expired(b, &q->q_rpc);
}

/* Known key, no auth key: a restart, a follow-up after approval, a wish. */
static void
do_refresh(struct brain *b, const struct reg_req *q, struct node *n)
{
	struct noderec	 r;

	if (node_is_expired(b, n)) {
		answer_expired(b, &q->q_rpc);
		return;
	}
	if (q->q_expiry != 0 && q->q_expiry != n->n_rec.r_expiry) {
		if (n->n_rec.r_expiry != 0 &&
		    q->q_expiry > n->n_rec.r_expiry) {
			answer_error(b, &q->q_rpc, E_EXTEND);
			return;
		}
		noderec_copy(&r, &n->n_rec);
		r.r_expiry = q->q_expiry;
		if (node_put(b, n, &r, "node", "shorten expiry") == -1) {
			noderec_free(&r);
			answer_error(b, &q->q_rpc, E_STORE);
			return;
		}
	}
	register_answer_node(b, &q->q_rpc, n);
}

/* The same owner as the key would give: then nothing has to be proven. */
static int
same_owner(const struct node *n, const struct authkey *k)
{
	size_t	 i;

	if (k->k_user != 0)
		return n->n_rec.r_user == k->k_user ||
		    n->n_rec.r_authkey == k->k_id;
	if (n->n_rec.r_ntags == 0)
		return 0;
	if (n->n_rec.r_authkey == k->k_id)
		return 1;
	for (i = 0; i < k->k_ntags; i++)
		if (i >= n->n_rec.r_ntags ||
		    strcmp(n->n_rec.r_tags[i], k->k_tags[i]) != 0)
			return 0;
	return n->n_rec.r_ntags == k->k_ntags;
}

static void
do_authkey(struct brain *b, const struct reg_req *q, struct node *n)
{
	struct authkey	*k;
	struct owner	 o;
	const char	*refusal;
	char		 err[MSG_TEXT_LEN];

	if ((k = authkey_find(b, q->q_authkey)) == NULL) {
		answer_error(b, &q->q_rpc, E_AUTHKEY);
		return;
	}
	if (n != NULL && !node_is_expired(b, n) && same_owner(n, k)) {
		register_answer_node(b, &q->q_rpc, n);
		return;
	}
	if ((refusal = authkey_refusal(k, b->b_date)) != NULL) {
		answer_error(b, &q->q_rpc, refusal);
		return;
	}
	o.o_key = k;
	o.o_user = k->k_user == 0 ? NULL : user_find(b, k->k_user);
	o.o_tags = k->k_tags;
	o.o_ntags = k->k_ntags;
	if ((n = join(b, q, &o, err, sizeof(err))) == NULL)
		answer_error(b, &q->q_rpc, err);
	else
		register_answer_node(b, &q->q_rpc, n);
}

static void
do_followup(struct brain *b, const struct reg_req *q)
{
	struct pending	*p;

	p = pending_find(b, q->q_followup);
	if (p != NULL && memcmp(p->p_req.q_machine, q->q_machine,
	    MSG_KEY_LEN) == 0 && memcmp(p->p_req.q_node, q->q_node,
	    MSG_KEY_LEN) == 0) {
		pending_wait(b, p, &q->q_rpc);
		return;
	}
	register_answer_url(b, &q->q_rpc, pending_get(b, q));
}

static int
acceptable(struct brain *b, const struct reg_req *q)
{
	char	 text[80];

	if (q->q_version < SRVREQ_MIN_VERSION) {
		(void)snprintf(text, sizeof(text),
		    "unsupported client version: (%u)", q->q_version);
		brain_answer(b, &q->q_rpc, 400, RPC_T_TEXT, text);
		return 0;
	}
	if (key_is_zero(q->q_node, MSG_KEY_LEN)) {
		brain_answer(b, &q->q_rpc, 400, RPC_T_TEXT,
		    "zero node key");
		return 0;
	}
	return 1;
}

/*
 * The order is that of control.md 3.4. A log-out of a node that is not known
 * makes nothing: with an auth key beside it, going on would create a node.
 */
void
register_request(struct brain *b, const struct reg_req *q)
{
	struct node	*n;

	if (!acceptable(b, q))
		return;
	n = node_find_key(b, q->q_node);
	if (n != NULL && !same_machine(n, q)) {
		if (log_limit(&b->b_refused, b->b_now, 10, 60))
			log_warnx("register: node key of another machine");
		answer_error(b, &q->q_rpc, E_OTHER_MACHINE);
		return;
	}
	if (q->q_expiry != 0 && q->q_expiry <= b->b_date) {
		if (n != NULL)
			do_logout(b, q, n);
		else
			answer_expired(b, &q->q_rpc);
		return;
	}
	if (q->q_authkey[0] == '\0' && n != NULL)
		do_refresh(b, q, n);
	else if (q->q_followup[0] != '\0')
		do_followup(b, q);
	else if (q->q_authkey[0] != '\0')
		do_authkey(b, q, n);
	else
		register_answer_url(b, &q->q_rpc, pending_get(b, q));
}

struct node *
register_approve(struct brain *b, struct pending *p, struct user *u,
    char *err, size_t errlen)
{
	struct owner	 o;
	struct noderec	 r;
	struct node	*n;

	memset(&o, 0, sizeof(o));
	o.o_user = u;
	if ((n = join(b, &p->p_req, &o, err, errlen)) == NULL)
		return NULL;
	if (!n->n_rec.r_approved) {
		/* Who vouches for the login also approves the node. */
		noderec_copy(&r, &n->n_rec);
		r.r_approved = 1;
		if (node_put(b, n, &r, "admin", "node approve") == -1)
			noderec_free(&r);
	}
	if (p->p_waits)
		register_answer_node(b, &p->p_req.q_rpc, n);
	p->p_waits = 0;
	pending_free(b, p);
	return n;
}
