/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Fuzz: queries from strangers, answers from resolvers.
 */

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dns.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static struct dns_db *
names(void)
{
	static const struct dns_ip	 ip[] = {
		{ 4, { 100, 64, 0, 1 } },
		{ 6, { 0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0, [15] = 1 } }
	};
	struct dns_db			*db;

	if ((db = dns_db_new()) == NULL ||
	    dns_db_host_set(db, "alpha.example.ts.net.", ip, 2, 1) == -1 ||
	    dns_db_host_set(db, "beta.example.ts.net", ip, 1, 0) == -1 ||
	    dns_db_local_add(db, "example.ts.net") == -1 ||
	    dns_db_local_add(db, "64.100.in-addr.arpa") == -1 ||
	    dns_db_route_set(db, "", strdup("all")) == -1)
		abort();
	return db;
}

static void
query(const struct dns_db *db, const uint8_t *data, size_t len)
{
	struct dns_query	 q, again;
	void			*route = NULL;
	uint8_t			 out[DNS_UDP_MAX], copy[65535];
	size_t			 n;

	if (dns_query_parse(&q, data, len) == -1) {
		if (dns_reply_empty(&q, DNS_R_FORMERR, DNS_F_AA, out,
		    sizeof(out)) == 0)
			abort();
		return;
	}
	n = dns_db_answer(db, &q, 1, out, &route);
	if ((n == 0) != (route != NULL))
		abort();
	/* Our own answer has the same question, and fits that asker. */
	if (n > 0 && (dns_query_parse(&again, out, n) != -1 ||
	    !again.has_question || again.type != q.type ||
	    dns_reply_adopt(&q, out, n, 512) == 0))
		abort();
	if (len <= sizeof(copy)) {
		memcpy(copy, data, len);
		if (len > 2)
			copy[2] |= 0x80;
		n = dns_reply_adopt(&q, copy, len, 512);
		if (n > 512)
			abort();
	}
}

static void
answer(const uint8_t *data, size_t len)
{
	struct dns_lookup	 l;
	struct dns_query	 q;

	if (len < 2)
		return;
	(void)dns_query_parse(&q, data, len);
	if (!q.has_question)
		return;
	if (dns_lookup_parse(data[0] << 8 | data[1], q.name.text, q.type,
	    data, len, &l) == 0 && l.n > DNS_LOOKUP_MAX)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct dns_db	*db;

	if (db == NULL)
		db = names();
	query(db, data, len);
	answer(data, len);
	return 0;
}
