/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * What the broker connects children to, and how fast.
 */

/* link: ../../parent/broker_policy.c ../../parent/ifconf.c */
/* link: ../../parent/url.c */

#include <err.h>
#include <string.h>

#include "../../parent/shoald.h"

static const struct {
	const char	*url;
	const char	*addr;
	uint16_t	 port;
	int		 error;
} control[] = {
	{ "https://c.example.org",	"192.0.2.1",	443,	MSG_OK },
	{ "https://c.example.org",	"2001:db8::1",	443,	MSG_OK },
	{ "https://c.example.org",	"10.0.0.1",	443,	MSG_OK },
	{ "https://c.example.org",	"192.0.2.1",	80,	MSG_OK },
	{ "https://c.example.org",	"192.0.2.1",	22,	MSG_E_REFUSED },
	{ "https://c.example.org",	"192.0.2.1",	0,	MSG_E_BAD },
	{ "https://c.example.org:8443/", "192.0.2.1",	8443,	MSG_OK },
	{ "https://c.example.org:8443",	"192.0.2.1",	443,	MSG_E_REFUSED },
	{ "https://c.example.org:8443",	"192.0.2.1",	80,	MSG_OK },
	{ "http://c.example.org",	"192.0.2.1",	80,	MSG_OK },
	{ "http://c.example.org",	"192.0.2.1",	443,	MSG_OK },
	{ "http://c.example.org:8080",	"192.0.2.1",	443,	MSG_OK },
	{ "http://c.example.org:8080",	"192.0.2.1",	80,	MSG_E_REFUSED },
	{ "http://c.example.org",	"127.0.0.1",	80,	MSG_E_REFUSED },
	{ "http://c.example.org",	"::1",		80,	MSG_E_REFUSED },
	{ "http://c.example.org",	"::ffff:127.0.0.1", 80,	MSG_E_REFUSED },
	{ "http://c.example.org",	"0.0.0.0",	80,	MSG_E_REFUSED },
	{ "http://c.example.org",	"::",		80,	MSG_E_REFUSED },
	{ "http://c.example.org",	"169.254.169.254", 80,	MSG_E_REFUSED },
	{ "http://c.example.org",	"fe80::1",	80,	MSG_E_REFUSED },
	{ "http://c.example.org",	"224.0.0.1",	80,	MSG_E_REFUSED },
	{ "http://c.example.org",	"255.255.255.255", 80,	MSG_E_REFUSED },
	{ "http://c.example.org",	"ff02::1",	80,	MSG_E_REFUSED },
	{ "http://c.example.org",	"100.64.0.1",	80,	MSG_E_REFUSED },
	{ "http://c.example.org",	"100.127.255.255", 80,	MSG_E_REFUSED },
	{ "http://c.example.org",	"100.128.0.1",	80,	MSG_OK },
	{ "http://c.example.org", "fd7a:115c:a1e0::5", 80, MSG_E_REFUSED },
	{ "http://c.example.org",	"fd7a:115c:a1e1::5", 80, MSG_OK },
	{ "http://localhost:8080",	"127.0.0.1",	8080,	MSG_OK },
	{ "http://LOCALHOST:8080",	"::1",		8080,	MSG_OK },
	{ "http://127.0.0.1:8080",	"127.0.0.1",	8080,	MSG_OK },
	{ "http://127.0.0.1:8080",	"127.0.0.2",	8080,	MSG_E_REFUSED },
	{ "http://10.1.2.3:8080",	"10.1.2.3",	8080,	MSG_OK },
	{ "http://10.1.2.3:8080",	"10.1.2.4",	8080,	MSG_E_REFUSED },
	{ "http://10.1.2.3:8080",	"::1",		8080,	MSG_E_REFUSED },
	{ "http://100.64.0.1:8080",	"100.64.0.1",	8080,	MSG_OK },
	{ "http://[2001:db8::1]:8080",	"2001:db8::1",	8080,	MSG_OK },
	{ "http://[2001:db8::1]:8080",	"2001:db8::2",	8080,	MSG_E_REFUSED }
};

static const struct {
	const char	*addr;
	uint16_t	 port;
	int		 error;
} upstream[] = {
	{ "127.0.0.53",		53,	MSG_OK },
	{ "2001:db8::53",	53,	MSG_OK },
	{ "127.0.0.53",		853,	MSG_E_REFUSED },
	{ "127.0.0.1",		53,	MSG_E_REFUSED },
	{ "8.8.8.8",		53,	MSG_E_REFUSED },
	{ "100.100.100.100",	53,	MSG_E_REFUSED },
	{ "fd7a:115c:a1e0::53",	53,	MSG_E_REFUSED }
};

static const struct {
	const char	*addr;
	uint16_t	 port;
	uint32_t	 purpose;
	int		 error;
} derp[] = {
	{ "192.0.2.1",		443,	CONN_DERP,	MSG_OK },
	{ "2001:db8::1",	443,	CONN_DERP,	MSG_OK },
	{ "10.77.0.9",		8443,	CONN_DERP,	MSG_OK },
	{ "192.0.2.1",		22,	CONN_DERP,	MSG_E_REFUSED },
	{ "192.0.2.1",		80,	CONN_DERP,	MSG_E_REFUSED },
	{ "192.0.2.1",		0,	CONN_DERP,	MSG_E_BAD },
	{ "192.0.2.1",		443,	CONN_PROBE,	MSG_OK },
	{ "192.0.2.1",		80,	CONN_PROBE,	MSG_OK },
	{ "192.0.2.1",		25,	CONN_PROBE,	MSG_E_REFUSED },
	{ "192.0.2.1",		0,	CONN_ICMP,	MSG_OK },
	{ "192.0.2.1",		443,	CONN_ICMP,	MSG_E_BAD },
	{ "2001:db8::1",	0,	CONN_ICMP,	MSG_E_REFUSED },
	{ "127.0.0.1",		0,	CONN_ICMP,	MSG_E_REFUSED },
	{ "100.64.0.1",		0,	CONN_ICMP,	MSG_E_REFUSED },
	{ "224.0.0.1",		0,	CONN_ICMP,	MSG_E_REFUSED },
	{ "127.0.0.1",		443,	CONN_DERP,	MSG_E_REFUSED },
	{ "127.0.0.1",		80,	CONN_PROBE,	MSG_E_REFUSED },
	{ "::1",		443,	CONN_DERP,	MSG_E_REFUSED },
	{ "::ffff:127.0.0.1",	443,	CONN_DERP,	MSG_E_REFUSED },
	{ "0.0.0.0",		443,	CONN_DERP,	MSG_E_REFUSED },
	{ "169.254.169.254",	80,	CONN_PROBE,	MSG_E_REFUSED },
	{ "fe80::1",		443,	CONN_DERP,	MSG_E_REFUSED },
	{ "224.0.0.1",		443,	CONN_DERP,	MSG_E_REFUSED },
	{ "ff02::1",		443,	CONN_DERP,	MSG_E_REFUSED },
	{ "100.64.0.1",		443,	CONN_DERP,	MSG_E_REFUSED },
	{ "fd7a:115c:a1e0::5",	443,	CONN_DERP,	MSG_E_REFUSED }
};

static const char *badurls[] = {
	"", "coord.example.org", "https://", "ftp://x", "https://a b",
	"https://u@h", "https://h/path", "https://h:0", "https://h:65536",
	"https://h:x", "https://[::1", "https://::1", "https://[1.2.3.4]",
	"https://h?q", "https://a..b", "https://[x]:1"
};

static void
endpoint(struct msg_endpoint *ep, const char *addr, uint16_t port)
{
	struct msg_ip	 ip;

	memset(ep, 0, sizeof(*ep));
	if (ip_parse(&ip, addr) == -1)
		errx(1, "%s: no address", addr);
	ep->af = ip.af;
	memcpy(ep->addr, ip.addr, sizeof(ep->addr));
	ep->port = port;
}

static void
test_control(void)
{
	struct msg_endpoint	 ep;
	struct url		 u;
	const char		*why;
	size_t			 i;
	int			 got;

	for (i = 0; i < nitems(control); i++) {
		if (url_parse(&u, control[i].url, &why) == -1)
			errx(1, "%s: %s", control[i].url, why);
		endpoint(&ep, control[i].addr, control[i].port);
		got = broker_check_control(&u, &ep);
		if (got != control[i].error)
			errx(1, "%s to %s port %u: %d", control[i].url,
			    control[i].addr, control[i].port, got);
	}
	memset(&ep, 0, sizeof(ep));
	ep.af = 5;
	ep.port = 443;
	if (broker_check_control(&u, &ep) != MSG_E_BAD)
		errx(1, "a family that does not exist");
}

static void
test_derp(void)
{
	static const uint16_t	 ports[] = { 443, 8443 };
	struct msg_endpoint	 ep;
	size_t			 i;
	int			 got;

	for (i = 0; i < nitems(derp); i++) {
		endpoint(&ep, derp[i].addr, derp[i].port);
		got = broker_check_derp(ports, nitems(ports),
		    derp[i].purpose, &ep);
		if (got != derp[i].error)
			errx(1, "relay at %s port %u: %d", derp[i].addr,
			    derp[i].port, got);
	}
	endpoint(&ep, "192.0.2.1", 443);
	if (broker_check_derp(NULL, 0, CONN_DERP, &ep) != MSG_E_REFUSED)
		errx(1, "a relay without a DERP map");
}

/* user, password: what the proxy's URL may hold, and where it goes. */
static const struct {
	const char	*text, *url, *auth;	/* url NULL: refused */
} proxies[] = {
	{ "http://p.example:3128", "http://p.example:3128", "" },
	{ "http://u@p.example:3128/", "http://p.example:3128", "u:" },
	{ "http://u:p@p.example", "http://p.example", "u:p" },
	{ "http://u:p:q@[fd00::1]:3128", "http://[fd00::1]:3128", "u:p:q" },
	{ "http://a%40b:%25%20x@p.example", "http://p.example", "a@b:% x" },
	{ "http://u%3ap@p.example", NULL, NULL },
	{ "http://u:%0d%0aX@p.example", NULL, NULL },
	{ "http://u:%00@p.example", NULL, NULL },
	{ "http://u:%4@p.example", NULL, NULL },
	{ "http://u:%zz@p.example", NULL, NULL },
	{ "http://:p@p.example", NULL, NULL },
	{ "http://u:p@q@p.example", NULL, NULL },
	{ "http://u:p@", NULL, NULL },
	{ "https://u:p@p.example", NULL, NULL },
	{ "p.example:3128", NULL, NULL }
};

static void
test_proxy_url(void)
{
	struct url	 u;
	const char	*why;
	char		 auth[16];
	size_t		 i;
	int		 r;

	for (i = 0; i < nitems(proxies); i++) {
		r = url_parse_proxy(&u, auth, sizeof(auth), proxies[i].text,
		    &why);
		if ((r == 0) != (proxies[i].url != NULL) ||
		    (r == 0 && (strcmp(u.u_text, proxies[i].url) != 0 ||
		    strcmp(auth, proxies[i].auth) != 0)))
			errx(1, "proxy %s: %d", proxies[i].text, r);
	}
	if (url_parse_proxy(&u, auth, sizeof(auth),
	    "http://u:a-rather-long-password@p.example", &why) == 0)
		errx(1, "password without room");
}

static void
test_proxy(void)
{
	struct msg_endpoint	 ep;
	struct url		 u;
	const char		*why;

	if (url_parse(&u, "http://proxy.example:3128", &why) == -1)
		errx(1, "proxy: %s", why);
	endpoint(&ep, "192.0.2.1", 3128);
	if (broker_check_proxy(&u, &ep) != MSG_OK)
		errx(1, "proxy refused");
	endpoint(&ep, "192.0.2.1", 443);
	if (broker_check_proxy(&u, &ep) != MSG_E_REFUSED)
		errx(1, "another port of the proxy");
	endpoint(&ep, "127.0.0.1", 3128);
	if (broker_check_proxy(&u, &ep) != MSG_E_REFUSED)
		errx(1, "the host itself as proxy");
	if (url_parse(&u, "http://127.0.0.1:3128", &why) == -1 ||
	    broker_check_proxy(&u, &ep) != MSG_OK)
		errx(1, "a local proxy that is configured");
}

static void
test_upstream(void)
{
	static const char	*lines = "# c\nnameserver 127.0.0.53\n"
	    "nameserver\t2001:db8::53 # x\nnameserver 100.100.100.100\n"
	    "nameserverx 8.8.8.8\nsearch nameserver\nnameserver bad\n";
	struct msg_endpoint	 ep;
	struct msg_ip		 list[RESOLVERS_MAX];
	FILE			*fp;
	char			 buf[512];
	size_t			 i, n;
	int			 got;

	(void)strlcpy(buf, lines, sizeof(buf));
	if ((fp = fmemopen(buf, strlen(buf), "r")) == NULL)
		err(1, "fmemopen");
	n = resolver_parse(fp, list, nitems(list));
	fclose(fp);
	if (n != 3)
		errx(1, "%zu resolvers", n);
	for (i = 0; i < nitems(upstream); i++) {
		endpoint(&ep, upstream[i].addr, upstream[i].port);
		got = broker_check_upstream(list, n, &ep);
		if (got != upstream[i].error)
			errx(1, "upstream %s port %u: %d", upstream[i].addr,
			    upstream[i].port, got);
	}
}

static void
test_gateway(void)
{
	struct msg_endpoint	 ep;
	struct msg_ip		 gw, none;

	memset(&none, 0, sizeof(none));
	memset(&gw, 0, sizeof(gw));
	gw.af = AF_WIRE_INET;
	memcpy(gw.addr, "\300\250\001\001", 4);
	endpoint(&ep, "192.168.1.1", 5000);
	if (broker_check_gateway(&gw, &ep) != MSG_OK)
		errx(1, "the gateway is refused");
	if (broker_check_gateway(&none, &ep) != MSG_E_REFUSED)
		errx(1, "without a gateway");
	endpoint(&ep, "192.168.1.2", 5000);
	if (broker_check_gateway(&gw, &ep) != MSG_E_REFUSED)
		errx(1, "its neighbour is allowed");
	endpoint(&ep, "192.168.1.1", 0);
	if (broker_check_gateway(&gw, &ep) != MSG_E_BAD)
		errx(1, "port 0");
}

static void
test_bucket(void)
{
	struct bucket	 b = { 0 };
	int64_t		 now = 1000;
	int		 i;

	for (i = 0; i < 5; i++)
		if (!bucket_take(&b, now, 5, 100))
			errx(1, "burst ends at %d", i);
	if (bucket_take(&b, now, 5, 100))
		errx(1, "burst has no end");
	if (!bucket_take(&b, now + 100, 5, 100) ||
	    bucket_take(&b, now + 100, 5, 100))
		errx(1, "one for each period");
	if (!bucket_take(&b, now - 100000, 5, 100))
		errx(1, "stuck after the clock stepped back");
}

int
main(void)
{
	struct url	 u;
	const char	*why;
	size_t		 i;

	test_control();
	test_derp();
	test_proxy();
	test_proxy_url();
	test_upstream();
	test_gateway();
	test_bucket();
	for (i = 0; i < nitems(badurls); i++)
		if (url_parse(&u, badurls[i], &why) == 0)
			errx(1, "\"%s\" is taken for a URL", badurls[i]);
	return 0;
}
