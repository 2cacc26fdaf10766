/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * STUN against vectors: stun.json, every kind in it.
 */

/* link: vec.c */

#include <sys/types.h>

#include <arpa/inet.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stun.h"
#include "vec.h"

static void
addr_read(const char *text, struct stun_addr *sa)
{
	const char	*colon;
	char		 ip[64];

	memset(sa, 0, sizeof(*sa));
	if ((colon = strrchr(text, ':')) == NULL)
		vec_fail("address %s", text);
	sa->sa_v4 = text[0] != '[';
	(void)snprintf(ip, sizeof(ip), "%.*s", sa->sa_v4 ?
	    (int)(colon - text) : (int)(colon - text) - 2,
	    sa->sa_v4 ? text : text + 1);
	if (inet_pton(sa->sa_v4 ? AF_INET : AF_INET6, ip, sa->sa_addr) != 1)
		vec_fail("address %s", text);
	sa->sa_port = strtoul(colon + 1, NULL, 10);
}

static void
request(json_t *c)
{
	uint8_t	 out[STUN_REQUEST_LEN];

	stun_request_build(vec_fix(c, "tx_id", STUN_TXID_LEN), out);
	vec_expect(c, "packet", out, sizeof(out));
}

static void
response(json_t *c)
{
	struct stun_addr	 sa;
	uint8_t			 out[STUN_RESPONSE_MAX];
	size_t			 len;

	addr_read(vec_str(c, "address"), &sa);
	len = stun_response_build(vec_fix(c, "tx_id", STUN_TXID_LEN), &sa,
	    out);
	vec_expect(c, "packet", out, len);
}

static void
parse_request(json_t *c)
{
	uint8_t	*pkt, txid[STUN_TXID_LEN];
	size_t	 len;
	int	 ret;

	pkt = vec_hex(c, "packet", &len);
	ret = stun_request_parse(pkt, len, txid);
	if ((ret == 0) != vec_bool(c, "ok"))
		vec_fail("taken: %d", ret == 0);
	if (ret == 0)
		vec_expect(c, "tx_id", txid, sizeof(txid));
}

static void
parse_response(json_t *c)
{
	struct stun_addr	 sa, want;
	uint8_t			*pkt, txid[STUN_TXID_LEN];
	size_t			 len;
	int			 ret;

	pkt = vec_hex(c, "packet", &len);
	if (stun_looks_like(pkt, len) != vec_bool(c, "is_stun"))
		vec_fail("is STUN: %d", stun_looks_like(pkt, len));
	ret = stun_response_parse(pkt, len, txid, &sa);
	if ((ret == 0) != vec_bool(c, "ok"))
		vec_fail("taken: %d", ret == 0);
	if (ret == -1)
		return;
	vec_expect(c, "tx_id", txid, sizeof(txid));
	addr_read(vec_str(c, "address"), &want);
	if (sa.sa_v4 != want.sa_v4 || sa.sa_port != want.sa_port ||
	    memcmp(sa.sa_addr, want.sa_addr, sizeof(sa.sa_addr)) != 0)
		vec_fail("another address");
}

static const struct vec_kind kinds[] = {
	{ "request",		request },
	{ "response",		response },
	{ "parse_request",	parse_request },
	{ "parse_response",	parse_response },
};

int
main(void)
{
	vec_run(getenv("VECTORS"), "stun", kinds,
	    sizeof(kinds) / sizeof(kinds[0]));
	return 0;
}
