/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Addresses of relays that the DERP map names without one, as netcheck needs
 * them: remembered, and the old ones serve while new ones are asked for.
 */

#include <sys/types.h>
#include <sys/queue.h>

#include <stdlib.h>
#include <string.h>

#include "endpoint.h"
#include "netcheck.h"

#define HOSTS_MAX	256
#define GOOD_FOR	(300 * NSEC)
#define BAD_FOR		(10 * NSEC)

struct host {
	TAILQ_ENTRY(host)	 h_entry;
	char			 h_name[MSG_NAME_LEN];
	struct msg_ip		 h_ip[RESOLVED_MAX];
	uint32_t		 h_n;
	uint32_t		 h_ask;		/* the open question, 0: none */
	int64_t			 h_until;	/* what is known holds */
};

static TAILQ_HEAD(host_list, host)	 hosts =
					    TAILQ_HEAD_INITIALIZER(hosts);
static size_t			 nhosts;

static struct host	*host_get(const char *);
static void		 host_cb(void *, uint32_t, const struct msg_ip *,
			    uint32_t);
static int		 pick(const struct msg_ip *, uint32_t, uint8_t,
			    struct msg_ip *);

/* Found or new; the one used longest ago makes room. */
static struct host *
host_get(const char *name)
{
	struct host	*h;

	TAILQ_FOREACH(h, &hosts, h_entry)
		if (strcmp(h->h_name, name) == 0)
			break;
	if (h != NULL)
		TAILQ_REMOVE(&hosts, h, h_entry);
	else if (nhosts == HOSTS_MAX) {
		h = TAILQ_LAST(&hosts, host_list);
		TAILQ_REMOVE(&hosts, h, h_entry);
		ask_cancel(h->h_ask);
		memset(h, 0, sizeof(*h));
	} else {
		if ((h = calloc(1, sizeof(*h))) == NULL)
			fatal(NULL);
		nhosts++;
	}
	(void)strlcpy(h->h_name, name, sizeof(h->h_name));
	TAILQ_INSERT_HEAD(&hosts, h, h_entry);
	return h;
}

static void
host_cb(void *arg, uint32_t error, const struct msg_ip *ip, uint32_t n)
{
	struct host	*h = arg;

	h->h_ask = 0;
	h->h_until = os_now() + BAD_FOR;
	if (error == MSG_OK) {
		h->h_n = n < RESOLVED_MAX ? n : RESOLVED_MAX;
		memcpy(h->h_ip, ip, h->h_n * sizeof(*ip));
		h->h_until = os_now() + GOOD_FOR;
	}
	netcheck_host_known();
}

static int
pick(const struct msg_ip *list, uint32_t n, uint8_t af, struct msg_ip *out)
{
	uint32_t	 i;

	for (i = 0; i < n; i++)
		if (list[i].af == af) {
			*out = list[i];
			return 1;
		}
	return -1;
}

int
nc_host(const char *name, uint8_t af, struct msg_ip *out)
{
	struct msg_ip	 lit;
	struct host	*h;

	if (ip_parse(&lit, name) == 0)
		return pick(&lit, 1, af, out);
	h = host_get(name);
	if (h->h_until <= os_now() && h->h_ask == 0)
		h->h_ask = ask_resolve(name, host_cb, h);
	if (h->h_n > 0)
		return pick(h->h_ip, h->h_n, af, out);
	return h->h_ask != 0 ? 0 : -1;
}
