/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * dnsd: MagicDNS, and the suite's own name look-ups.
 */

#ifndef SHOAL_DNSD_H
#define SHOAL_DNSD_H

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

#include "dns.h"
#include "messages.h"

#define DNSD_USER	"_shoaldns"
#define NSEC_PER_SEC	1000000000LL

#define SERVERS_MAX	8
struct servers {
	size_t			 n;
	struct msg_endpoint	 ep[SERVERS_MAX];
};

#define SEARCH_MAX	6
struct search {
	size_t			 n;
	char			 domain[SEARCH_MAX][DNS_NAME_LEN];
};

struct chan;
struct imsg;

/* --- files.c ---------------------------------------------------------------
 * The system's files. They come as descriptors, which are closed here.
 */

void	 files_read_resolv(int);
void	 files_read_hosts(int);
/* The system's resolvers, our own service address left out. */
const struct servers *files_servers(void);
/* Where to look for names without a dot. */
const struct search *files_search(void);
/* Addresses of a name in the hosts file (lower case, no dot): how many. */
size_t	 files_hosts_find(const char *, struct dns_ip *, size_t);
/* The same on text, for the tests. */
void	 files_parse_resolv(char *, struct servers *, struct search *);
void	 files_parse_hosts(char *);

/* --- names.c ---------------------------------------------------------------
 * What ctrld tells of the tailnet's names, as transactions.
 */

void	 names_init(void);
/* A DNS_* message: 0, or -1 if bad. */
int	 names_msg(struct imsg *);
/* ctrld is gone: forget a change that is not complete. */
void	 names_abort(void);
/*
 * Answer to a query in out (DNS_UDP_MAX bytes): its length, or 0: forward it
 * to those of the list.
 */
size_t	 names_answer(const struct dns_query *, uint8_t *,
	    const struct servers **);
/* Names known; for shoalctl debug. */
size_t	 names_count(void);

/* --- upstream.c ------------------------------------------------------------
 * One query to a list of servers, in turn, by UDP and if need be by TCP.
 */

enum up_verdict {
	UP_FINAL,		/* this is the answer */
	UP_IGNORE,		/* not an answer to this query */
	UP_TRUNCATED,		/* ask again by TCP */
	UP_NEXT			/* ask another server; keep it if all say so */
};

struct up_query;

struct up_cb {
	/* Judge an answer; the id is the one that was sent. */
	enum up_verdict	(*uc_judge)(void *, uint16_t, const uint8_t *, size_t);
	/*
	 * The end: the answer (which may be changed), or len 0 if there is
	 * none. The query is freed after this.
	 */
	void		(*uc_done)(void *, uint8_t *, size_t);
};

/*
 * Ask. The query's id is overwritten with random bits. NULL: too many at
 * once, or no server: uc_done is not called then.
 */
struct up_query	*up_ask(const uint8_t *, size_t, const struct servers *,
		    const struct up_cb *, void *);
/* Forget it, without uc_done; NULL is fine. */
void		 up_cancel(struct up_query *);
/* UPSTREAM_SOCK of the parent. 0, or -1 if bad. */
int		 up_msg(struct imsg *);

/* --- resolve.c -------------------------------------------------------------
 * Look-ups for siblings.
 */

/* RESOLVE: 0, or -1 if bad. Waits until resolve_start. */
int	 resolve_msg(struct chan *, struct imsg *);
/* The system's files have come. */
void	 resolve_start(void);
/* That sibling is gone. */
void	 resolve_drop(const struct chan *);
/* Answers kept, look-ups under way. */
void	 resolve_count(size_t *, size_t *);

/* --- serve.c, tcp.c ----------------------------------------------------------
 * Queries of this host and of the tailnet.
 */

void	 serve_init(void);
/* DNS_SOCK: 0, or -1 if bad; DNS_SOCK_RESET. */
int	 serve_sock(struct imsg *);
void	 serve_reset(void);

/*
 * Answer a query that came by UDP (1) or TCP (0): done is called once, maybe
 * at once, with the answer or len 0 (say nothing). Returns a handle to cancel
 * it by, or NULL if done was called already.
 */
struct serve_job;
struct serve_job *serve_query(const uint8_t *, size_t, int,
	    void (*)(void *, const uint8_t *, size_t), void *);
void	 serve_cancel(struct serve_job *);

/* A listening socket is readable. */
void	 tcp_accept(int);
/* Close all connections. */
void	 tcp_reset(void);
/* May this address ask? */
int	 serve_allowed_peer(const uint8_t *, int);

#endif /* SHOAL_DNSD_H */
