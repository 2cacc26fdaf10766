/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * What nodes ask besides registration and maps.
 * Source: control.md 5.1.
 */

#include <sys/types.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "jsonutil.h"
#include "log.h"
#include "stored.h"

#ifndef nitems
#define nitems(a)	(sizeof(a) / sizeof((a)[0]))
#endif

#define CALLS_MAX	256	/* waiting for others */
#define ATTRS_MAX	64	/* of one node */
#define ATTR_LEN	64	/* of a name, and of a text */
#define DETAIL_LEN	512
#define TOKEN_LIFE	300	/* seconds */
#define ACME_PREFIX	"_acme-challenge."

static void
answer(struct brain *b, const struct call_req *q, unsigned int status,
    const char *text)
{
	brain_answer(b, &q->q_rpc, status,
	    status == 200 ? RPC_T_JSON : RPC_T_TEXT, text);
}

/* A string of the request, or "" if it is not one. */
static const char *
str_of(json_t *obj, const char *name)
{
	json_t	*v;

	if (ju_fields(obj, &name, 1, &v) == -1 || !json_is_string(v) ||
	    strlen(json_string_value(v)) != json_string_length(v))
		return "";
	return json_string_value(v);
}

/* --- whoami --- */

static void
call_whoami(struct brain *b, const struct call_req *q)
{
	struct buf	 t = { NULL, 0, 0 };
	struct user	*u;
	struct node	*n;

	for (n = node_first_machine(b, q->q_machine); n != NULL;
	    n = node_next_machine(b, n)) {
		u = user_find(b, n->n_rec.r_user);
		buf_fmt(&t, "%s.%s %s\n", n->n_rec.r_label,
		    b->b_conf.c_domain, u == NULL ? "tagged-devices" :
		    u->u_name);
	}
	brain_answer(b, &q->q_rpc, 200, RPC_T_TEXT, t.b_text == NULL ?
	    "no node of this machine is registered\n" : t.b_text);
	buf_free(&t);
}

/* --- attributes --- */

/* Those of other kinds are facts that the server finds for itself. */
static int
attr_name_ok(const char *name)
{
	size_t	 i;

	if (strncmp(name, "custom:", 7) != 0 || name[7] == '\0' ||
	    strlen(name) > ATTR_LEN)
		return 0;
	for (i = 7; name[i] != '\0'; i++)
		if (!isalnum((unsigned char)name[i]) && name[i] != '_')
			return 0;
	return 1;
}

static int
attr_value_ok(json_t *v)
{
	if (json_is_string(v))
		return json_string_length(v) <= ATTR_LEN;
	return json_is_number(v) || json_is_boolean(v) || json_is_null(v);
}

static int
attr_put(struct store *st, uint64_t id, const char *name, json_t *v)
{
	sqlite3_stmt	*s;
	char		*text = NULL;
	int		 rc;

	s = store_stmt(st, json_is_null(v) ? SQL_ATTR_DELETE : SQL_ATTR_SET);
	(void)sqlite3_bind_int64(s, 1, (int64_t)id);
	(void)sqlite3_bind_text(s, 2, name, -1, SQLITE_STATIC);
	if (!json_is_null(v)) {
		if ((text = json_dumps(v, JSON_ENCODE_ANY)) == NULL)
			fatal(NULL);
		(void)sqlite3_bind_text(s, 3, text, -1, SQLITE_STATIC);
	}
	rc = store_step(st, s);
	free(text);
	return rc == -1 ? -1 : 0;
}

static int64_t
attr_count(struct store *st, uint64_t id)
{
	sqlite3_stmt	*s;
	int64_t		 n = -1;

	s = store_stmt(st, SQL_ATTR_COUNT);
	(void)sqlite3_bind_int64(s, 1, (int64_t)id);
	if (store_step(st, s) == 1)
		n = sqlite3_column_int64(s, 0);
	(void)sqlite3_reset(s);
	return n;
}

/* All of them, or none. */
static int
attrs_put(struct brain *b, struct node *n, json_t *update)
{
	const char	*name;
	json_t		*v;

	if (store_begin(b->b_store, 1) == -1)
		return -1;
	json_object_foreach(update, name, v)
		if (attr_put(b->b_store, n->n_rec.r_id, name, v) == -1)
			goto bad;
	if (attr_count(b->b_store, n->n_rec.r_id) <= ATTRS_MAX &&
	    store_commit(b->b_store) == 0)
		return 0;
bad:
	store_rollback(b->b_store);
	return -1;
}

static void
call_attr(struct brain *b, const struct call_req *q, struct node *n,
    json_t *obj)
{
	static const char	*key = "Update";
	const char		*name;
	json_t			*update, *v;

	if (ju_fields(obj, &key, 1, &update) == -1 ||
	    !json_is_object(update) || json_object_size(update) > ATTRS_MAX) {
		answer(b, q, 400, "no Update, or too much of it\n");
		return;
	}
	json_object_foreach(update, name, v)
		if (!attr_name_ok(name) || !attr_value_ok(v)) {
			answer(b, q, 400, "attributes are named custom:..., "
			    "their values strings, numbers or booleans\n");
			return;
		}
	if (attrs_put(b, n, update) == -1)
		answer(b, q, 500, "attributes cannot be kept\n");
	else
		answer(b, q, 200, "{}\n");
}

void
call_attributes(struct brain *b, struct buf *t, uint64_t id)
{
	sqlite3_stmt	*s;
	char		 text[4 * ATTR_LEN];
	int		 k = 0;

	s = store_stmt(b->b_store, SQL_ATTR_ALL);
	(void)sqlite3_bind_int64(s, 1, (int64_t)id);
	buf_str(t, "[");
	while (store_step(b->b_store, s) == 1) {
		(void)snprintf(text, sizeof(text), "%s=%s",
		    (const char *)sqlite3_column_text(s, 0),
		    (const char *)sqlite3_column_text(s, 1));
		if (k++ > 0)
			buf_str(t, ",");
		buf_json(t, text);
	}
	buf_str(t, "]");
	(void)sqlite3_reset(s);
}

/* --- reports of nodes --- */

static void
call_health(struct brain *b, const struct call_req *q, struct node *n,
    json_t *obj)
{
	const char	*error = str_of(obj, "Error");

	if (log_limit(&b->b_refused, b->b_now, 10, 60))
		log_info("%s: health: %.64s: %.256s", n->n_rec.r_label,
		    str_of(obj, "Subsys"), error[0] == '\0' ? "good" : error);
	answer(b, q, 204, "");
}

static int
audit_action_ok(const char *s)
{
	return s[0] != '\0' && strlen(s) <= 64 &&
	    s[strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_")] == '\0';
}

/* Clients keep what was refused, and try again. */
static void
call_audit(struct brain *b, const struct call_req *q, struct node *n,
    json_t *obj)
{
	const char	*action = str_of(obj, "Action");
	char		 actor[64], detail[DETAIL_LEN];

	if (!audit_action_ok(action)) {
		answer(b, q, 400, "no Action\n");
		return;
	}
	if (!rate_take(&b->b_audit_rate, b->b_now)) {
		answer(b, q, 429, "too many entries\n");
		return;
	}
	(void)snprintf(actor, sizeof(actor), "node %llu",
	    (unsigned long long)n->n_rec.r_id);
	(void)strlcpy(detail, str_of(obj, "Details"), sizeof(detail));
	if (store_audit(b->b_store, b->b_date, actor, action,
	    n->n_rec.r_label, detail) == -1)
		answer(b, q, 500, "store\n");
	else
		answer(b, q, 200, "{}\n");
}

static void
call_feature(struct brain *b, const struct call_req *q, json_t *obj)
{
	const char	*feature = str_of(obj, "Feature");

	if (strcmp(feature, "serve") == 0 && b->b_conf.c_dns_update)
		answer(b, q, 200, "{\"Complete\":true}\n");
	else if (strcmp(feature, "serve") == 0)
		answer(b, q, 200, "{\"Text\":\"This tailnet has no HTTPS "
		    "certificates: its administrator has to set up "
		    "'dns update' in coordd.conf.\"}\n");
	else
		answer(b, q, 200, "{\"Text\":\"This server does not offer "
		    "that.\"}\n");
}

/* --- what others have to do --- */

/* Wait for the sink: the number of the request, or 0: answered. */
static uint32_t
call_wait(struct brain *b, const struct call_req *q)
{
	struct call	*c;

	if (b->b_ncalls >= CALLS_MAX) {
		answer(b, q, 503, "busy, try again\n");
		return 0;
	}
	c = xcalloc(1, sizeof(*c));
	c->c_rpc = q->q_rpc;
	c->c_call = q->q_call;
	if (++b->b_call_last == 0)
		b->b_call_last = 1;
	c->c_id = b->b_call_last;
	TAILQ_INSERT_TAIL(&b->b_calls, c, c_entry);
	b->b_ncalls++;
	return c->c_id;
}

static void
call_free(struct brain *b, struct call *c)
{
	TAILQ_REMOVE(&b->b_calls, c, c_entry);
	b->b_ncalls--;
	free(c);
}

static void
token_answer(struct brain *b, struct call *c, const char *token)
{
	struct buf	 t = { NULL, 0, 0 };

	buf_str(&t, "{\"id_token\":");
	buf_json(&t, token);
	buf_str(&t, "}\n");
	brain_answer(b, &c->c_rpc, 200, RPC_T_JSON, t.b_text);
	buf_free(&t);
}

void
call_done(struct brain *b, uint32_t id, const char *token)
{
	struct call	*c;

	TAILQ_FOREACH(c, &b->b_calls, c_entry)
		if (c->c_id == id)
			break;
	if (c == NULL)
		return;		/* the client was faster */
	if (token == NULL)
		brain_answer(b, &c->c_rpc, 500, RPC_T_TEXT,
		    c->c_call == RPC_CALL_DNS ?
		    "the record could not be made\n" : "no token\n");
	else if (c->c_call == RPC_CALL_DNS)
		brain_answer(b, &c->c_rpc, 200, RPC_T_JSON, "{}\n");
	else
		token_answer(b, c, token);
	call_free(b, c);
}

void
call_drop_rpc(struct brain *b, const struct msg_rpc *rpc)
{
	struct call	*c, *tmp;

	TAILQ_FOREACH_SAFE(c, &b->b_calls, c_entry, tmp)
		if (rpc->conn == 0 || (c->c_rpc.conn == rpc->conn &&
		    (rpc->stream == 0 || c->c_rpc.stream == rpc->stream)))
			call_free(b, c);
}

/* "_acme-challenge.node.tail.example"; 0, or -1: too long for a name. */
static int
acme_name(const struct brain *b, const struct node *n, char *name,
    size_t size)
{
	(void)strlcpy(name, ACME_PREFIX, size);
	(void)strlcat(name, n->n_rec.r_label, size);
	(void)strlcat(name, ".", size);
	return strlcat(name, b->b_conf.c_domain, size) < size ? 0 : -1;
}

static int
acme_value_ok(const char *s)
{
	return s[0] != '\0' && s[0] != '-' && strlen(s) <= 128 &&
	    s[strspn(s, "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=")] == '\0';
}

static void
call_dns(struct brain *b, const struct call_req *q, struct node *n,
    json_t *obj)
{
	const char	*asked = str_of(obj, "Name");
	const char	*value = str_of(obj, "Value");
	char		 name[MSG_NAME_LEN];
	uint32_t	 id;
	size_t		 len = strlen(asked);

	if (!b->b_conf.c_dns_update) {
		answer(b, q, 501, "this server makes no DNS records\n");
		return;
	}
	if (len > 0 && asked[len - 1] == '.')
		len--;
	/* Of this node and no other. */
	if (acme_name(b, n, name, sizeof(name)) == -1 ||
	    strlen(name) != len || strncasecmp(asked, name, len) != 0 ||
	    strcmp(str_of(obj, "Type"), "TXT") != 0 ||
	    !acme_value_ok(value)) {
		answer(b, q, 403, "only a TXT record for a certificate of "
		    "the node itself\n");
		return;
	}
	if ((id = call_wait(b, q)) != 0 && (b->b_sink->s_dns == NULL ||
	    b->b_sink->s_dns(b->b_sinkarg, id, name, value) == -1))
		call_done(b, id, NULL);
}

static void
claims_node(struct brain *b, struct buf *t, const struct node *n)
{
	const struct noderec	*r = &n->n_rec;
	struct user		*u;

	buf_fmt(t, ",\"nid\":%llu,\"node\":\"%s.%s.\",\"domain\":\"%s\"",
	    (unsigned long long)r->r_id, r->r_label, b->b_conf.c_domain,
	    b->b_conf.c_domain);
	noderec_addrs(t, "addresses", r);
	if (r->r_ntags > 0)
		buf_strs(t, "tags", r->r_tags, r->r_ntags);
	else if ((u = user_find(b, r->r_user)) != NULL) {
		buf_str(t, ",\"user\":");
		buf_json(t, u->u_name);
		buf_fmt(t, ",\"uid\":%llu", (unsigned long long)u->u_id);
	}
}

static void
call_idtoken(struct brain *b, const struct call_req *q, struct node *n,
    json_t *obj)
{
	struct buf	 t = { NULL, 0, 0 };
	const char	*audience = str_of(obj, "Audience");
	long long	 now = b->b_date / SEC;
	char		 key[80];
	uint32_t	 id;

	if (audience[0] == '\0' || strlen(audience) > 512 ||
	    node_is_expired(b, n) || !n->n_rec.r_approved) {
		answer(b, q, 403, "no Audience, or no right to a token\n");
		return;
	}
	if ((id = call_wait(b, q)) == 0)
		return;
	buf_str(&t, "{\"iss\":");
	buf_json(&t, b->b_conf.c_url);
	buf_str(&t, ",\"aud\":");
	buf_json(&t, audience);
	buf_fmt(&t, ",\"sub\":\"%s.%s\",\"iat\":%lld,\"nbf\":%lld,"
	    "\"exp\":%lld,\"jti\":\"%08x%08x%08x%08x\",\"key\":\"%s\"",
	    n->n_rec.r_label, b->b_conf.c_domain, now, now,
	    now + TOKEN_LIFE, arc4random(), arc4random(), arc4random(),
	    arc4random(), ju_key_text("nodekey:", n->n_rec.r_key, key,
	    sizeof(key)));
	claims_node(b, &t, n);
	buf_str(&t, "}");
	if (t.b_len >= JWT_CLAIMS_MAX || b->b_sink->s_sign == NULL ||
	    b->b_sink->s_sign(b->b_sinkarg, id, t.b_text) == -1)
		call_done(b, id, NULL);
	buf_free(&t);
}

/* --- */

/* As for maps: a node key counts with its machine key alone. */
static struct node *
call_node(struct brain *b, const struct call_req *q)
{
	struct node	*n;

	n = node_find_key(b, q->q_node);
	if (n != NULL && !n->n_rec.r_wgonly && memcmp(n->n_rec.r_machine,
	    q->q_machine, MSG_KEY_LEN) == 0)
		return n;
	answer(b, q, 404, "node not found\n");
	return NULL;
}

static void
call_by_node(struct brain *b, const struct call_req *q, struct node *n,
    json_t *obj)
{
	switch (q->q_call) {
	case RPC_CALL_ATTR:
		call_attr(b, q, n, obj);
		break;
	case RPC_CALL_HEALTH:
		call_health(b, q, n, obj);
		break;
	case RPC_CALL_AUDIT:
		call_audit(b, q, n, obj);
		break;
	case RPC_CALL_DNS:
		call_dns(b, q, n, obj);
		break;
	case RPC_CALL_IDTOKEN:
		call_idtoken(b, q, n, obj);
		break;
	default:
		answer(b, q, 501, "not implemented\n");
		break;
	}
}

void
call_request(struct brain *b, const struct call_req *q)
{
	struct node	*n;
	json_t		*obj;

	if (q->q_call == RPC_CALL_WHOAMI) {
		call_whoami(b, q);
		return;
	}
	if (q->q_call == RPC_CALL_PONG) {
		answer(b, q, ping_answer(b, q->q_machine, q->q_json,
		    q->q_jsonlen) == -1 ? 404 : 204, "");
		return;
	}
	if ((obj = ju_load(q->q_json, q->q_jsonlen)) == NULL ||
	    !json_is_object(obj))
		answer(b, q, 400, "malformed request\n");
	else if (q->q_call == RPC_CALL_FEATURE) {
		if (node_first_machine(b, q->q_machine) == NULL)
			answer(b, q, 404, "node not found\n");
		else
			call_feature(b, q, obj);
	} else if ((n = call_node(b, q)) != NULL)
		call_by_node(b, q, n, obj);
	json_decref(obj);
}
