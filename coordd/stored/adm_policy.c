/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Administrators' verbs about the policy.
 */

#include <sys/types.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "stored.h"

#define TEXT_PIECE	2048	/* each byte may become six of JSON */

static const char *const keys_none[] = { NULL };

static void
text_row(struct adm *a, const char *text, size_t len)
{
	struct buf	 t = { NULL, 0, 0 };
	char		*copy;

	copy = xcalloc(1, len + 1);
	memcpy(copy, text, len);
	buf_str(&t, "{\"text\":");
	buf_json(&t, copy);
	buf_str(&t, "}");
	adm_row(a, &t);
	free(copy);
}

/* Pieces end between characters, or a reader could not decode them. */
static size_t
piece_len(const char *text, size_t len)
{
	size_t	 n;

	if (len <= TEXT_PIECE)
		return len;
	for (n = TEXT_PIECE; n > TEXT_PIECE - 4; n--)
		if (((unsigned char)text[n] & 0xc0) != 0x80)
			break;
	return n;
}

int
adm_policy_get(struct adm *a)
{
	struct brain	*b = a->a_brain;
	size_t		 n, off;

	if (adm_only(a, keys_none) == -1)
		return -1;
	if (b->b_ptext == NULL)
		return adm_fail(a, 1, b->b_conf.c_policy == POLICY_ALLOW ?
		    "no policy: everything is allowed" :
		    "no policy: nobody may talk");
	for (off = 0; off < b->b_ptextlen; off += n) {
		n = piece_len(b->b_ptext + off, b->b_ptextlen - off);
		text_row(a, b->b_ptext + off, n);
	}
	return 0;
}

/* A row for each line of trouble; frees them. How many there were. */
static size_t
trouble_rows(struct adm *a, char *msgs)
{
	struct buf	 t;
	char		*line, *rest = msgs;
	size_t		 n = 0;

	while ((line = strsep(&rest, "\n")) != NULL) {
		if (line[0] == '\0')
			continue;
		memset(&t, 0, sizeof(t));
		if (strlen(line) > TEXT_PIECE)
			line[TEXT_PIECE] = '\0';
		buf_str(&t, "{\"ok\":false,\"text\":");
		buf_json(&t, line);
		buf_str(&t, "}");
		adm_row(a, &t);
		n++;
	}
	free(msgs);
	return n;
}

static int
policy_try_file(struct adm *a, int tests)
{
	char	*msgs;
	int	 rc;

	if (adm_only(a, keys_none) == -1)
		return -1;
	rc = policy_try(a->a_brain, "policy",
	    a->a_file == NULL ? "" : a->a_file, a->a_filelen, tests, &msgs);
	(void)trouble_rows(a, msgs);
	if (rc == -1)
		return adm_fail(a, 1, "the policy cannot be used");
	return 0;
}

static void
ok_row(struct adm *a)
{
	struct buf	 t = { NULL, 0, 0 };

	buf_str(&t, "{\"ok\":true}");
	adm_row(a, &t);
}

int
adm_policy_check(struct adm *a)
{
	if (policy_try_file(a, 0) == -1)
		return -1;
	ok_row(a);
	return 0;
}

int
adm_policy_test(struct adm *a)
{
	if (policy_try_file(a, 1) == -1)
		return -1;
	ok_row(a);
	return 0;
}

static int
policy_write(struct adm *a)
{
	struct brain	*b = a->a_brain;

	if (store_begin(b->b_store, 1) == -1)
		goto bad;
	if (store_meta_set(b->b_store, "policy", a->a_file,
	    a->a_filelen) == -1 || store_audit(b->b_store, b->b_date,
	    a->a_actor, "policy set", "policy", a->a_file) == -1 ||
	    store_commit(b->b_store) == -1) {
		store_rollback(b->b_store);
		goto bad;
	}
	return 0;
bad:
	return adm_fail(a, 1, "store: %s", store_error(b->b_store));
}

int
adm_policy_set(struct adm *a)
{
	struct brain	*b = a->a_brain;
	char		*msgs;

	if (b->b_conf.c_policy != POLICY_STORE)
		return adm_fail(a, 1, "the configuration says where the"
		    " policy is: for this, say `policy store' there");
	if (policy_try_file(a, 1) == -1 || policy_write(a) == -1)
		return -1;
	if (policy_apply(b, POLICY_STORE, "policy of the store", a->a_file,
	    a->a_filelen, 1, &msgs) == -1) {
		free(msgs);
		return adm_fail(a, 1, "the policy cannot be used");
	}
	free(msgs);
	ok_row(a);
	return 0;
}

struct question {
	struct policy_prefix	 e_src[256];
	struct policy_prefix	 e_dst[256];
	int			 e_nsrc;
	int			 e_ndst;
	uint16_t		 e_port;
	uint8_t			 e_proto;
};

static int
explain_number(struct adm *a, const char *key, int64_t max, int64_t def,
    int64_t *out)
{
	const char	*text, *errstr;

	*out = def;
	if ((text = adm_arg(a, key)) == NULL)
		return 0;
	*out = strtonum(text, 0, max, &errstr);
	if (errstr != NULL)
		return adm_fail(a, 2, "%s is %s", key, errstr);
	return 0;
}

static int
explain_proto(struct adm *a, uint8_t *proto)
{
	static const struct {
		const char	*name;
		uint8_t		 num;
	} names[] = {
		{ "tcp", 6 }, { "udp", 17 }, { "icmp", 1 },
		{ "ipv6-icmp", 58 }, { "sctp", 132 }
	};
	const char	*text;
	size_t		 i;
	int64_t		 v;

	text = adm_arg(a, "proto");
	for (i = 0; text != NULL && i < sizeof(names) / sizeof(names[0]);
	    i++)
		if (strcmp(text, names[i].name) == 0) {
			*proto = names[i].num;
			return 0;
		}
	if (explain_number(a, "proto", 255, 0, &v) == -1)
		return -1;
	*proto = (uint8_t)v;
	return 0;
}

/* A node's name, else what the policy language makes of it. */
static int
explain_side(struct adm *a, const char *key, struct policy_prefix *out,
    int max)
{
	struct brain	*b = a->a_brain;
	const char	*text;
	struct node	*n;
	int		 k = 0;

	if ((text = adm_arg(a, key)) == NULL)
		return adm_fail(a, 2, "%s is needed", key);
	if ((n = node_find_label(b, text)) == NULL) {
		k = policy_resolve(b->b_pstate, text, out, (size_t)max);
		if (k <= 0)
			return adm_fail(a, 1, "%.100s: nothing here is"
			    " called that", text);
		return k < max ? k : max;
	}
	memset(out, 0, 2 * sizeof(*out));
	if (n->n_rec.r_has4) {
		out[k].pp_version = 4;
		out[k].pp_plen = 32;
		memcpy(out[k++].pp_addr, n->n_rec.r_addr4, 4);
	}
	if (n->n_rec.r_has6) {
		out[k].pp_version = 6;
		out[k].pp_plen = 128;
		memcpy(out[k++].pp_addr, n->n_rec.r_addr6, 16);
	}
	return k;
}

static int
explain_question(struct adm *a, struct question *q)
{
	static const char *const keys[] = { "source", "destination", "port",
	    "proto", NULL };
	int64_t			 port;

	if (adm_only(a, keys) == -1 ||
	    explain_number(a, "port", 65535, 0, &port) == -1 ||
	    explain_proto(a, &q->e_proto) == -1)
		return -1;
	q->e_port = (uint16_t)port;
	policy_refresh(a->a_brain);
	if (a->a_brain->b_pstate == NULL)
		return adm_fail(a, 1, "no policy is in force");
	q->e_nsrc = explain_side(a, "source", q->e_src, 256);
	if (q->e_nsrc == -1)
		return -1;
	q->e_ndst = explain_side(a, "destination", q->e_dst, 256);
	return q->e_ndst == -1 ? -1 : 0;
}

/* The text of a line of the running policy, without its indent. */
static void
explain_rule(struct brain *b, size_t line, char *out, size_t len)
{
	const char	*p = b->b_ptext, *end, *nl;

	out[0] = '\0';
	if (p == NULL || line == 0)
		return;
	end = p + b->b_ptextlen;
	while (--line > 0 && (nl = memchr(p, '\n', (size_t)(end - p))) != NULL)
		p = nl + 1;
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	if ((nl = memchr(p, '\n', (size_t)(end - p))) == NULL)
		nl = end;
	if ((size_t)(nl - p) < len)
		len = (size_t)(nl - p) + 1;
	memcpy(out, p, len - 1);
	out[len - 1] = '\0';
}

/* One row: allowed if any pair of addresses is. */
static int
explain_ask(struct adm *a, const struct question *q, size_t *line,
    int *is, int *id)
{
	const struct policy_state	*s = a->a_brain->b_pstate;
	int				 d, i;

	for (i = 0; i < q->e_nsrc; i++)
		for (d = 0; d < q->e_ndst; d++)
			if (q->e_src[i].pp_version ==
			    q->e_dst[d].pp_version &&
			    policy_explain(s, &q->e_src[i], &q->e_dst[d],
			    q->e_port, q->e_proto, line) == 1) {
				*is = i;
				*id = d;
				return 1;
			}
	*is = *id = 0;
	*line = 0;
	return 0;
}

int
adm_policy_explain(struct adm *a)
{
	struct buf	 t = { NULL, 0, 0 };
	struct question	 q;
	char		 dst[ADDR_TEXT], rule[512], src[ADDR_TEXT];
	size_t		 line = 0;
	int		 allowed, id, is;

	memset(&q, 0, sizeof(q));
	if (explain_question(a, &q) == -1)
		return -1;
	allowed = explain_ask(a, &q, &line, &is, &id);
	route_print(&q.e_src[is], src, sizeof(src));
	route_print(&q.e_dst[id], dst, sizeof(dst));
	explain_rule(a->a_brain, line, rule, sizeof(rule));
	buf_fmt(&t, "{\"allowed\":%s,\"source\":\"%s\","
	    "\"destination\":\"%s\",\"port\":%u,\"proto\":%u,\"line\":%zu,"
	    "\"rule\":", allowed ? "true" : "false", src, dst, q.e_port,
	    q.e_proto, line);
	buf_json(&t, rule);
	buf_str(&t, "}");
	adm_row(a, &t);
	return 0;
}
