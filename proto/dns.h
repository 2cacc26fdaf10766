/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * DNS messages: the local resolver's answers from its own names, and queries
 * and answers of a stub resolver. No I/O, no clock.
 * Source: RFC 1035, 2308, 6891; features.md section 4.
 */

#ifndef SHOAL_DNS_H
#define SHOAL_DNS_H

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

#define DNS_NAME_LEN	256	/* text with the trailing dot, and a NUL */
#define DNS_UDP_MAX	4095	/* largest answer by UDP */
#define DNS_HDR_LEN	12
#define DNS_TTL		5	/* of tailnet names */
#define DNS_NEG_TTL	10	/* of their absence */

#define DNS_T_A		1
#define DNS_T_NS	2
#define DNS_T_CNAME	5
#define DNS_T_SOA	6
#define DNS_T_PTR	12
#define DNS_T_HINFO	13
#define DNS_T_AAAA	28
#define DNS_T_OPT	41
#define DNS_T_AXFR	252
#define DNS_T_ANY	255

#define DNS_C_IN	1

#define DNS_F_QR	0x8000
#define DNS_F_AA	0x0400
#define DNS_F_TC	0x0200
#define DNS_F_RD	0x0100
#define DNS_F_RA	0x0080

#define DNS_R_OK	0
#define DNS_R_FORMERR	1
#define DNS_R_SERVFAIL	2
#define DNS_R_NXDOMAIN	3
#define DNS_R_NOTIMP	4
#define DNS_R_REFUSED	5

struct dns_ip {
	uint8_t		 af;		/* 4 or 6 */
	uint8_t		 addr[16];	/* IPv4 in the first 4 */
};

/* --- messages ------------------------------------------------------------- */

/* A name: bytes with dots, also at the end; "." is the root. */
struct dns_name {
	size_t		 len;
	char		 text[DNS_NAME_LEN];	/* NUL-terminated as well */
};

struct dns_query {
	uint16_t	 id;
	uint16_t	 flags;
	int		 has_question;
	struct dns_name	 name;		/* as it came */
	struct dns_name	 lower;
	uint16_t	 type;
	uint16_t	 class;
	size_t		 udp_size;	/* what the asker takes, 512 or more */
};

/*
 * Read a query. 0, or -1: answer FORMERR with what is filled (id and flags
 * are 0 if the header was cut; has_question tells of the question).
 */
int	 dns_query_parse(struct dns_query *, const uint8_t *, size_t);

/*
 * Answer without records: rcode, extra flags (DNS_F_*) set besides QR and
 * what the query had. Returns the length, 0 if it does not fit.
 */
size_t	 dns_reply_empty(const struct dns_query *, int, uint16_t, uint8_t *,
	    size_t);
size_t	 dns_reply_servfail(const struct dns_query *, uint8_t *, size_t);

/*
 * An answer of len bytes that shall go to this asker: gets its id; if it is
 * longer than max, it is cut after the question and TC is set. The new length
 * or 0 if it is no answer to this question.
 */
size_t	 dns_reply_adopt(const struct dns_query *, uint8_t *, size_t, size_t);

/* --- names ---------------------------------------------------------------- */

struct dns_db;

struct dns_db	*dns_db_new(void);	/* NULL: no memory */
void		 dns_db_free(struct dns_db *);

/*
 * A name (dot at the end optional, any case) and its addresses in order;
 * replaces what it had. subdomains: also answer for everything below it.
 * 0, or -1 with EINVAL (not a name) or ENOMEM.
 */
int	 dns_db_host_set(struct dns_db *, const char *, const struct dns_ip *,
	    size_t, int);
/* No such name (any more). */
void	 dns_db_host_del(struct dns_db *, const char *);
/* How many names there are. */
size_t	 dns_db_count(const struct dns_db *);
/* Only this resolver knows about that suffix. 0 or -1. */
int	 dns_db_local_add(struct dns_db *, const char *);
/*
 * Forward names under the suffix ("" or ".": all others) to whom data tells;
 * freed with free(3) by the db. NULL: forward to nobody, SERVFAIL. 0 or -1.
 */
int	 dns_db_route_set(struct dns_db *, const char *, void *);

/*
 * Decide about a query. serial: seconds since 1970, for the SOA.
 * Returns the length of the answer in out (room for DNS_UDP_MAX bytes), or 0:
 * forward it to those of *data.
 */
size_t	 dns_db_answer(const struct dns_db *, const struct dns_query *,
	    uint32_t, uint8_t *, void **);

/* Whom a name would be forwarded to: NULL if nobody. */
void	*dns_db_route(const struct dns_db *, const struct dns_name *);

/* --- a stub resolver ------------------------------------------------------ */

#define DNS_LOOKUP_MAX	16		/* addresses of one answer */
#define DNS_CHAIN_MAX	16		/* CNAMEs of one answer */

struct dns_lookup {
	int		 rcode;
	int		 truncated;	/* ask again by TCP */
	uint32_t	 ttl;		/* least of the records used */
	size_t		 n;
	struct dns_ip	 ip[DNS_LOOKUP_MAX];
	struct dns_name	 cname;		/* n == 0: ask for this; len 0: none */
};

/*
 * Build a query: id, name (dot at the end optional), type. Returns the
 * length, or 0 if the name is impossible. out has room for 512 bytes.
 */
size_t	 dns_lookup_build(uint16_t, const char *, uint16_t, uint8_t *);

/*
 * Read the answer to it; follows CNAMEs inside. 0, or -1: not an answer to
 * this question, or malformed: wait for another.
 */
int	 dns_lookup_parse(uint16_t, const char *, uint16_t, const uint8_t *,
	    size_t, struct dns_lookup *);

/* "192.0.2.1" or "2001:db8::1" to an address: 0, or -1. */
int	 dns_ip_parse(const char *, struct dns_ip *);

/* Text to a lower-case name with its dot. 0, or -1 if it cannot be one. */
int	 dns_name_from_text(struct dns_name *, const char *);

#endif /* SHOAL_DNS_H */
