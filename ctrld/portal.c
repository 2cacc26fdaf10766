/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Is a captive portal in the way to the control server? It shows itself in
 * answers over plain HTTP, so one is asked for where there is TLS alone.
 */

#include <sys/types.h>

#include <string.h>

#include "ctrld.h"

#define PORTAL_PORT	80
#define PORTAL_LIMIT	5000			/* ms until connected */
#define PORTAL_PAUSE	(30 * NS_PER_S)		/* between two questions */

static struct fetch	*asking;
static int64_t		 asked;			/* os_now(); 0: never */

int
portal_found(const struct http_head *h, const char *host)
{
	char	 text[MSG_TEXT_LEN];

	if (h == NULL || !http_portal(h, host, text, sizeof(text)))
		return 0;
	health_set(HEALTH_PORTAL, text);
	return 1;
}

void
portal_gone(void)
{
	fetch_cancel(asking);
	asking = NULL;
	asked = 0;
	health_set(HEALTH_PORTAL, NULL);
}

/* Another answer, or none, is no word on portals. */
static void
portal_cb(int status, const char *body, size_t len, void *arg)
{
	if (!portal_found(fetch_head(asking), fetch_host(asking)))
		health_set(HEALTH_PORTAL, NULL);
	asking = NULL;
	control_step();
}

void
portal_ask(const struct url *u)
{
	struct conn_opt	 opt;
	struct url	 plain;

	if (!u->u_tls) {		/* an answer would have told */
		health_set(HEALTH_PORTAL, NULL);
		return;
	}
	if (map_now() != NULL && nm_node_hascap(map_now()->nm_self,
	    "disable-captive-portal-detection"))
		return;
	if (asking != NULL || (asked != 0 && os_now() - asked < PORTAL_PAUSE))
		return;
	asked = os_now();
	plain = *u;
	plain.u_tls = 0;
	plain.u_port = PORTAL_PORT;
	(void)strlcpy(plain.u_path, "/generate_204", sizeof(plain.u_path));
	memset(&opt, 0, sizeof(opt));
	opt.co_limit = PORTAL_LIMIT;
	asking = fetch_start("GET", &plain, &opt, portal_cb, NULL);
}
