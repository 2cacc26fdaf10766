/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * portmapd's state machine against a gateway that is a table of what it
 * speaks, on a clock that this test sets.
 */

/* link: ../../portmapd/mapper.c ../../portmapd/igd.c */
/* link: ../../portmapd/answer.c */
/* libs: -lexpat */

#include <sys/types.h>
#include <sys/endian.h>

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../portmapd/mapper.h"
#include "../../portmapd/portmapd.h"

#define NSEC	1000000000LL
#define MSEC	1000000LL

static const uint8_t	 gw[4] = { 192, 168, 1, 1 };
static const uint8_t	 other[4] = { 192, 168, 1, 66 };
static const uint8_t	 own[4] = { 192, 168, 1, 20 };

/* The gateway: what it does with what it is sent. */
static struct {
	int		 pmp, pcp, upnp;	/* speaks it */
	int		 refuse;		/* maps nothing by PMP, PCP */
	int		 loser;			/* loses the first of each */
	int		 badnonce;
	uint32_t	 epoch;
	uint32_t	 lease;			/* that it gives */
	int		 fault;			/* UPnP error of the next Add */
	int		 silent_http;
	/* What it saw. */
	int		 nmaps, ndeletes, nprobes, nssdp, nhttp;
	int		 lost;
	uint16_t	 wanted;		/* by the last Add */
	char		 lease_text[64];
	uint16_t	 port;			/* mapped; 0: none */
} box;

static struct mapper	 m;
static int64_t		 now;
static int		 changes, releases;
static char		 request[8192];
static int		 requested;

/* Datagrams on their way to us. */
static struct {
	uint8_t		 src[4];
	uint16_t	 port;
	uint8_t		 buf[512];
	size_t		 len;
} queue[256];
static size_t		 nqueue;

static void
reply(const uint8_t *src, uint16_t port, const void *p, size_t len)
{
	if (nqueue == 256)
		errx(1, "too many datagrams");
	memcpy(queue[nqueue].src, src, 4);
	queue[nqueue].port = port;
	memcpy(queue[nqueue].buf, p, len);
	queue[nqueue++].len = len;
}

static void
box_pmp(const uint8_t *p, size_t len)
{
	uint8_t	 r[16] = { 0 };

	if (!box.pmp)
		return;
	r[1] = p[1] | 0x80;
	be32enc(r + 4, box.epoch);
	if (p[1] == 0) {
		memcpy(r + 8, "\313\0\161\11", 4);
		reply(gw, 5351, r, 12);
		return;
	}
	if (be32dec(p + 8) == 0) {
		box.ndeletes++;
		box.port = 0;
	} else {
		box.nmaps++;
		box.wanted = be16dec(p + 6);
		box.port = box.wanted != 0 ? box.wanted : 40001;
	}
	r[3] = box.refuse ? 2 : 0;
	memcpy(r + 8, p + 4, 2);
	be16enc(r + 10, box.refuse ? 0 : box.port);
	be32enc(r + 12, be32dec(p + 8) == 0 ? 0 : box.lease);
	reply(gw, 5351, r, 16);
}

static void
box_pcp(const uint8_t *p, size_t len)
{
	uint8_t	 r[60] = { 2 };

	if (!box.pcp)
		return;
	r[1] = p[1] | 0x80;
	be32enc(r + 8, box.epoch);
	if (len == 24) {
		reply(gw, 5351, r, 24);
		return;
	}
	memcpy(r + 24, p + 24, 36);
	if (be32dec(p + 4) == 0) {
		box.ndeletes++;
		box.port = 0;
	} else {
		box.nmaps++;
		box.wanted = be16dec(p + 42);
		box.port = box.wanted != 0 ? box.wanted : 40002;
	}
	r[3] = box.refuse ? 2 : 0;
	be32enc(r + 4, be32dec(p + 4) == 0 ? 0 : box.lease);
	be16enc(r + 42, box.port);
	ip4_to_mapped(r + 44, (const uint8_t *)"\313\0\161\11");
	if (box.badnonce)
		r[24] ^= 1;
	reply(gw, 5351, r, 60);
}

static void
box_ssdp(const uint8_t *dst)
{
	char	 r[512];
	int	 i, n;

	box.nssdp++;
	if (!box.upnp)
		return;
	for (i = 0; i < box.upnp; i++) {
		n = snprintf(r, sizeof(r), "HTTP/1.1 200 OK\r\n"
		    "ST: urn:schemas-upnp-org:device:"
		    "InternetGatewayDevice:1\r\nUSN: uuid:%d::x\r\n"
		    "LOCATION: http://192.168.1.1:%d/d.xml\r\n\r\n", i,
		    5000 + i);
		reply(gw, 1900, r, n);
		/* A stranger answers too, and first. */
		(void)snprintf(r, sizeof(r), "HTTP/1.1 200 OK\r\n"
		    "USN: uuid:9::urn:x:device:InternetGatewayDevice:1\r\n"
		    "LOCATION: http://192.168.1.66:80/e\r\n\r\n");
		reply(other, 1900, r, strlen(r));
	}
}

static void
op_send(void *arg, const uint8_t *ip, uint16_t port, const void *data,
    size_t len)
{
	const uint8_t	*p = data;

	if (port == 1900) {
		box_ssdp(ip);
		return;
	}
	if (memcmp(ip, gw, 4) != 0 || port != 5351)
		errx(1, "sent to port %u", port);
	if (p[0] == 0 && p[1] == 0)
		box.nprobes++;
	if (box.loser && box.lost++ < box.loser)
		return;
	if (p[0] == 0)
		box_pmp(p, len);
	else
		box_pcp(p, len);
}

static void
op_request(void *arg, uint16_t port, const char *text, size_t len)
{
	if (requested)
		errx(1, "two requests at a time");
	if (len >= sizeof(request))
		errx(1, "long request");
	memcpy(request, text, len);
	request[len] = '\0';
	requested = 1;
	box.nhttp++;
}

static void
op_cancel(void *arg)
{
	requested = 0;
}

static void
op_changed(void *arg)
{
	changes++;
}

static void
op_released(void *arg)
{
	releases++;
}

static const struct mapper_ops	 ops = {
	op_send, op_request, op_cancel, op_changed, op_released
};

#define SOAP(b)	"<?xml version=\"1.0\"?><s:Envelope xmlns:s=\"x\"><s:Body>" \
		b "</s:Body></s:Envelope>"

static void
add_answer(char *out, size_t size, int *status)
{
	const char	*p;

	if ((p = strstr(request, "<NewExternalPort>")) == NULL)
		errx(1, "no port: %s", request);
	box.wanted = strtoul(p + 17, NULL, 10);
	if ((p = strstr(request, "<NewLeaseDuration>")) == NULL)
		errx(1, "no lease");
	(void)strlcpy(box.lease_text, p + 18, sizeof(box.lease_text));
	box.lease_text[strcspn(box.lease_text, "<")] = '\0';
	if (box.fault != 0) {
		*status = 500;
		(void)snprintf(out, size, SOAP("<s:Fault><detail><UPnPError>"
		    "<errorCode>%d</errorCode></UPnPError></detail>"
		    "</s:Fault>"), box.fault);
		box.fault = 0;
		return;
	}
	box.nmaps++;
	box.port = box.wanted;
	(void)strlcpy(out, SOAP("<u:AddPortMappingResponse/>"), size);
}

/* The gateway's HTTP answers, unless it is silent. */
static void
http_turn(void)
{
	static char	 out[4096];
	int		 status = 200;

	if (!requested || box.silent_http)
		return;
	requested = 0;
	if (strncmp(request, "GET /d.xml ", 11) == 0)
		(void)strlcpy(out, "<root><device><serviceList><service>"
		    "<serviceType>urn:schemas-upnp-org:service:"
		    "WANIPConnection:1</serviceType><controlURL>/c"
		    "</controlURL></service></serviceList></device></root>",
		    sizeof(out));
	else if (strstr(request, "<u:AddPortMapping") != NULL)
		add_answer(out, sizeof(out), &status);
	else if (strstr(request, "<u:GetExternalIPAddress") != NULL)
		(void)strlcpy(out, SOAP("<u:R><NewExternalIPAddress>"
		    "203.0.113.9</NewExternalIPAddress></u:R>"),
		    sizeof(out));
	else if (strstr(request, "<u:DeletePortMapping") != NULL) {
		box.ndeletes++;
		box.port = 0;
		(void)strlcpy(out, SOAP("<u:R/>"), sizeof(out));
	} else
		errx(1, "request %s", request);
	mapper_http(&m, status, out, strlen(out), now);
}

/* Deliver what is on its way, until nothing moves at this time. */
static void
settle(void)
{
	size_t	 i, n;

	do {
		n = nqueue;
		nqueue = 0;
		for (i = 0; i < n; i++) {
			uint8_t	 buf[512];
			size_t	 len = queue[i].len;

			memcpy(buf, queue[i].buf, len);
			mapper_udp(&m, queue[i].src, queue[i].port, buf, len,
			    now);
		}
		http_turn();
	} while (nqueue > 0 || (requested && !box.silent_http));
}

/* Let so much time go by. */
static void
pass(int64_t ns)
{
	int64_t	 end = now + ns, t;

	for (;;) {
		settle();
		t = mapper_next(&m);
		if (t == 0 || t > end)
			break;
		if (t > now)
			now = t;
		mapper_tick(&m, now);
	}
	now = end;
}

static struct msg_gateway
gateway(uint16_t port)
{
	struct msg_gateway	 g;

	memset(&g, 0, sizeof(g));
	g.gw.af = g.own.af = AF_WIRE_INET;
	memcpy(g.gw.addr, gw, 4);
	memcpy(g.own.addr, own, 4);
	g.port = port;
	return g;
}

static void
set_gateway(const struct msg_gateway *g)
{
	if (!mapper_differs(&m, g))
		errx(1, "gateway does not differ");
	mapper_forget(&m, g, now);
	mapper_gateway(&m, g, now);
}

static void
begin(int pmp, int pcp, int upnp)
{
	struct msg_gateway	 g = gateway(41641);

	memset(&box, 0, sizeof(box));
	box.pmp = pmp;
	box.pcp = pcp;
	box.upnp = upnp;
	box.epoch = 1000;
	box.lease = 7200;
	nqueue = 0;
	requested = changes = releases = 0;
	now += 1000 * NSEC;
	mapper_init(&m, &ops, NULL);
	if (mapper_next(&m) != 0)
		errx(1, "a timer without a gateway");
	set_gateway(&g);
}

static void
is(const char *what, int kind, int p, int c, int u)
{
	const struct msg_portmap	*s = mapper_state(&m);

	if (s->kind != kind || (s->ep.af != 0) != (kind != 0))
		errx(1, "%s: mapped by %d", what, s->kind);
	if (s->pmp != p || s->pcp != c || s->upnp != u)
		errx(1, "%s: %d %d %d", what, s->pmp, s->pcp, s->upnp);
	if (kind != 0 && (memcmp(s->ep.addr, "\313\0\161\11", 4) != 0 ||
	    s->ep.port != box.port || box.port == 0))
		errx(1, "%s: endpoint", what);
}

#define Y	PORTMAP_YES
#define N	PORTMAP_NO
#define U	PORTMAP_UNKNOWN

/* Which protocol is taken, of what the gateway speaks. */
static void
test_choice(void)
{
	begin(1, 1, 1);
	pass(NSEC);
	is("all three", PORTMAP_PMP, Y, Y, Y);
	begin(0, 1, 1);
	pass(NSEC);
	is("PCP, UPnP", PORTMAP_PCP, N, Y, Y);
	begin(0, 0, 1);
	pass(NSEC);
	is("UPnP", PORTMAP_UPNP, N, N, Y);
	if (strcmp(box.lease_text, "7200") != 0 || box.wanted < 1024)
		errx(1, "UPnP: lease %s, port %u", box.lease_text,
		    box.wanted);
	begin(1, 1, 1);
	box.refuse = 1;
	pass(2 * NSEC);
	is("refused", PORTMAP_UPNP, Y, Y, Y);
	begin(0, 0, 0);
	pass(3 * NSEC);
	is("none", 0, N, N, N);
	if (m.m_ignored != 0)
		errx(1, "ignored");
}

/* Packets are lost now and then. */
static void
test_loss(void)
{
	begin(1, 0, 0);
	pass(100 * MSEC);		/* probes are answered */
	box.lost = 0;
	box.loser = 2;			/* address and map are not */
	pass(NSEC);
	is("loss", PORTMAP_PMP, Y, N, N);
	begin(1, 0, 1);
	pass(100 * MSEC);
	box.lost = 0;
	box.loser = 4;			/* nothing comes: the next protocol */
	pass(2 * NSEC);
	is("loss of all", PORTMAP_UPNP, Y, N, Y);
}

/* A slow gateway: its answer to a search may take two seconds. */
static void
test_slow(void)
{
	begin(0, 0, 0);
	pass(1800 * MSEC);
	box.upnp = 1;
	box_ssdp(gw);
	settle();
	pass(100 * MSEC);
	is("slow", PORTMAP_UPNP, N, N, Y);
}

/* Only the gateway counts, only our nonce. */
static void
test_strangers(void)
{
	uint8_t	 r[12] = { 0, 0x80, 0, 0, 0, 0, 0, 1, 6, 6, 6, 6 };

	begin(0, 0, 0);
	mapper_udp(&m, other, 5351, r, sizeof(r), now);
	mapper_udp(&m, gw, 5350, r, sizeof(r), now);
	pass(3 * NSEC);
	is("strangers", 0, N, N, N);
	if (m.m_ignored != 1)
		errx(1, "a stranger was heard");
	begin(0, 0, 3);
	pass(NSEC);
	is("SSDP of strangers", PORTMAP_UPNP, N, N, Y);
	if (strstr(request, "192.168.1.66") != NULL || m.m_nmetas != 3)
		errx(1, "%zu devices", m.m_nmetas);
	begin(0, 1, 0);
	box.badnonce = 1;
	pass(2 * NSEC);
	is("another nonce", 0, N, Y, N);
	begin(0, 0, 16);
	pass(NSEC);
	if (m.m_nmetas > MAPPER_METAS)
		errx(1, "%zu devices", m.m_nmetas);
}

static void
test_renewal(void)
{
	static const struct {
		int	 p, c, u, kind;
	} all[] = {
		{ 1, 0, 0, PORTMAP_PMP },
		{ 0, 1, 0, PORTMAP_PCP },
		{ 0, 0, 1, PORTMAP_UPNP }
	};
	size_t	 i;
	uint16_t port;

	for (i = 0; i < 3; i++) {
		begin(all[i].p, all[i].c, all[i].u);
		pass(NSEC);
		port = box.port;
		if (box.nmaps != 1)
			errx(1, "mapped %d times", box.nmaps);
		pass(3590 * NSEC);
		if (box.nmaps != 1)
			errx(1, "renewed too early");
		pass(20 * NSEC);
		if (box.nmaps != 2 || box.port != port || box.wanted != port)
			errx(1, "kind %d: renewal %d, port %u",
			    all[i].kind, box.nmaps, box.port);
		pass(7200 * NSEC);
		if (box.nmaps != 4)
			errx(1, "renewed %d times", box.nmaps);
		/* Then it is silent: kept to the end, and tried. */
		box.pmp = box.pcp = box.upnp = 0;
		box.silent_http = 1;
		pass(3600 * NSEC);
		if (mapper_state(&m)->kind != all[i].kind)
			errx(1, "given up too early");
		pass(3600 * NSEC);
		is("expired", 0, N, N, N);
	}
}

/* A gateway that forgot shows it by its epoch. */
static void
test_epoch(void)
{
	begin(1, 0, 0);
	pass(NSEC);
	is("epoch", PORTMAP_PMP, Y, N, N);
	box.epoch += 600;
	pass(601 * NSEC);
	if (box.nmaps != 1)
		errx(1, "mapped again without need");
	box.epoch = 5;
	box.port = 0;
	pass(600 * NSEC);
	if (box.nmaps != 2 || box.port == 0)
		errx(1, "not mapped again");
	is("after epoch", PORTMAP_PMP, Y, N, N);
	begin(0, 1, 0);
	pass(NSEC);
	box.epoch = 5;
	pass(600 * NSEC);
	if (box.nmaps != 2)
		errx(1, "PCP: not mapped again");
}

static void
test_upnp_faults(void)
{
	static const int	 forever[] = { 402, 725 };
	size_t			 i;
	uint16_t		 port;

	for (i = 0; i < 2; i++) {
		begin(0, 0, 1);
		box.fault = forever[i];
		pass(NSEC);
		is("forever", PORTMAP_UPNP, N, N, Y);
		if (strcmp(box.lease_text, "0") != 0)
			errx(1, "lease %s", box.lease_text);
	}
	begin(0, 0, 1);
	box.fault = 718;
	pass(NSEC);
	is("conflict", PORTMAP_UPNP, N, N, Y);
	port = box.port;
	/* Somebody else has the port at renewal: another one. */
	box.fault = 718;
	pass(3600 * NSEC);
	is("conflict at renewal", PORTMAP_UPNP, N, N, Y);
	if (box.port == port || box.port < 1024)
		errx(1, "port %u again", box.port);
	begin(0, 0, 1);
	box.fault = 501;
	pass(NSEC);
	is("fault", 0, N, N, Y);
	begin(0, 0, 2);
	box.silent_http = 1;
	pass(1500 * MSEC);
	if (box.nhttp != 2)
		errx(1, "%d requests: the second device", box.nhttp);
	pass(6 * NSEC);
	is("silent", 0, N, N, Y);
}

/* Quiet, and ever quieter, where there is nothing. */
static void
test_backoff(void)
{
	int	 n;

	begin(0, 0, 0);
	pass(NSEC);
	pass(60 * NSEC);
	if (box.nprobes < 3 || box.nprobes > 5)
		errx(1, "%d probes in the first minute", box.nprobes);
	pass(3600 * NSEC);
	n = box.nprobes;
	pass(36000 * NSEC);
	if (box.nprobes - n < 19 || box.nprobes - n > 21)
		errx(1, "%d probes in ten hours", box.nprobes - n);
	n = box.nprobes;
	mapper_probe(&m, now);
	mapper_probe(&m, now);
	if (box.nprobes != n + 1)
		errx(1, "asked to probe");
	pass(4 * NSEC);
	mapper_probe(&m, now);
	if (box.nprobes != n + 1)
		errx(1, "probed again at once");
	/* The box is switched on. */
	pass(60 * NSEC);
	box.pmp = 1;
	mapper_probe(&m, now);
	pass(NSEC);
	is("switched on", PORTMAP_PMP, Y, N, N);
	n = box.nprobes;
	mapper_probe(&m, now);
	pass(NSEC);
	if (box.nprobes != n)
		errx(1, "mapped a moment ago, and probed");
	pass(60 * NSEC);
	mapper_probe(&m, now);
	mapper_probe(&m, now);
	pass(NSEC);
	if (box.nprobes != n + 1 || box.nmaps != 1)
		errx(1, "the one that maps was not looked at");
	/* It was another one behind the same address. */
	pass(60 * NSEC);
	box.epoch = 5;
	mapper_probe(&m, now);
	pass(NSEC);
	if (box.nmaps != 2)
		errx(1, "not mapped again");
}

static void
test_release(void)
{
	static const int	 all[3][3] = {
		{ 1, 0, 0 }, { 0, 1, 0 }, { 0, 0, 1 }
	};
	struct msg_gateway	 g, none;
	int			 i;

	memset(&none, 0, sizeof(none));
	for (i = 0; i < 3; i++) {
		begin(all[i][0], all[i][1], all[i][2]);
		pass(NSEC);
		mapper_release(&m, now);
		pass(NSEC);
		if (box.port != 0 || box.ndeletes != 1 || releases != 1)
			errx(1, "%d: not released", i);
		/* Another port: the old one goes, the new one comes. */
		begin(all[i][0], all[i][1], all[i][2]);
		pass(NSEC);
		g = gateway(41642);
		set_gateway(&g);
		pass(2 * NSEC);
		if (box.ndeletes != 1 || box.port == 0 || box.nmaps != 2)
			errx(1, "%d: another port", i);
		/* No gateway any more. */
		set_gateway(&none);
		pass(2 * NSEC);
		is("no gateway", 0, U, U, U);
		if (mapper_next(&m) != 0 || releases != 0)
			errx(1, "a timer without a gateway");
	}
	begin(0, 0, 0);
	mapper_release(&m, now);
	if (releases != 1)
		errx(1, "nothing to release");
	begin(0, 0, 1);
	pass(NSEC);
	box.silent_http = 1;
	mapper_release(&m, now);
	pass(NSEC);
	if (releases != 1)
		errx(1, "waits for a silent gateway");
}

/* A successor goes on with the mapping of the one before. */
static void
test_restore(void)
{
	struct msg_portmap	 s;
	struct msg_gateway	 g = gateway(41641);
	uint16_t		 port;
	int			 i;

	for (i = 0; i < 3; i++) {
		begin(i == 0, i == 1, i == 2);
		pass(NSEC);
		s = *mapper_state(&m);
		port = box.port;
		now += 10 * NSEC;
		mapper_init(&m, &ops, NULL);
		changes = 0;
		mapper_restore(&m, &s);
		mapper_gateway(&m, &g, now);
		pass(2 * NSEC);
		is("restored", s.kind, i == 0 ? Y : N, i == 1 ? Y : N,
		    i == 2 ? Y : N);
		if (box.port != port || box.wanted != port ||
		    mapper_state(&m)->ep.port != port)
			errx(1, "%d: port %u became %u", i, port, box.port);
		if (i == 1 && memcmp(s.nonce, mapper_state(&m)->nonce,
		    sizeof(s.nonce)) != 0)
			errx(1, "another nonce");
	}
	/* Of another gateway, or too old: not. */
	s.good_until = now;
	mapper_init(&m, &ops, NULL);
	mapper_restore(&m, &s);
	box.upnp = 0;
	mapper_gateway(&m, &g, now);
	pass(3 * NSEC);
	is("too old", 0, N, N, N);
}

static void
test_http(void)
{
	static const struct {
		const char	*text;
		int		 eof, ret;
		const char	*body;
	} tests[] = {
		{ "HTTP/1.1 200 OK\r\n", 0, 0, NULL },
		{ "HTTP/1.1 200 OK\r\n", 1, -1, NULL },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabc", 0, 1,
		    "ab" },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc", 0, 0,
		    NULL },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc", 1, -1,
		    NULL },
		{ "HTTP/1.0 200 OK\r\n\r\nabc", 0, 0, NULL },
		{ "HTTP/1.0 200 OK\r\n\r\nabc", 1, 1, "abc" },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n", 0,
		    -1, NULL },
		{ "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", 0, -1,
		    NULL },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		    "3\r\nabc\r\n2;x\r\nde\r\n0\r\n\r\n", 0, 1, "abcde" },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		    "3\r\nabc\r\n2\r\nd", 0, 0, NULL },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		    "3\r\nabcd", 0, 0, NULL },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		    "fffffff\r\n", 0, -1, NULL },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", 0,
		    -1, NULL },
		{ "hello\r\n", 0, -1, NULL }
	};
	char	 buf[512], *body;
	size_t	 i, len;
	int	 status, ret;

	for (i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		(void)strlcpy(buf, tests[i].text, sizeof(buf));
		ret = http_complete(buf, strlen(buf), tests[i].eof, &status,
		    &body, &len);
		if (ret != tests[i].ret)
			errx(1, "http %zu: %d", i, ret);
		if (ret == 1 && (len != strlen(tests[i].body) ||
		    memcmp(body, tests[i].body, len) != 0))
			errx(1, "http %zu: body", i);
	}
}

static void
test_urls(void)
{
	static const struct {
		const char	*base, *ref, *path;
		uint16_t	 port;
	} tests[] = {
		{ "http://10.0.0.1:5000/a/d.xml", "/c", "/c", 5000 },
		{ "http://10.0.0.1:5000/a/d.xml?x=/y", "c", "/a/c", 5000 },
		{ "http://10.0.0.1:5000", "c", "/c", 5000 },
		{ "http://10.0.0.1:5000/d", "http://10.9.9.9:6/x", "/x", 6 },
		{ "http://10.0.0.1:5000/d", "http://10.9.9.9/x#f", "/x", 80 },
		{ "http://10.0.0.1:5000/d", "https://10.9.9.9/x", NULL, 0 },
		{ "http://10.0.0.1:5000/d", "//10.9.9.9/x", NULL, 0 },
		{ "http://10.0.0.1:5000/d", "/x y", NULL, 0 },
		{ "http://10.0.0.1:5000/d", "/x\r\nHost: y", NULL, 0 },
		{ "http://10.0.0.1/d", "/x", NULL, 0 },
		{ "http://gateway:5000/d", "/x", NULL, 0 },
		{ "http://10.0.0.1:0/d", "/x", NULL, 0 },
		{ "http://10.0.0.1:99999/d", "/x", NULL, 0 },
		{ "http://user@10.0.0.1:5000/d", "/x", NULL, 0 }
	};
	struct upnp_url	 base, u;
	size_t		 i;
	int		 ok;

	for (i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		ok = upnp_url_parse(&base, tests[i].base, 1) == 0 &&
		    upnp_url_join(&u, &base, tests[i].ref) == 0;
		if (ok != (tests[i].path != NULL))
			errx(1, "url %zu: %d", i, ok);
		if (ok && (strcmp(u.path, tests[i].path) != 0 ||
		    u.port != tests[i].port))
			errx(1, "url %zu: %s %u", i, u.path, u.port);
	}
}

/* What a hostile neighbour might write. */
static void
test_xml(void)
{
	static const char	*bad[] = {
		"", "<a>", "<a></b>", "x",
		"<!DOCTYPE r [<!ENTITY a \"b\">]><r>&a;</r>",
		"<!DOCTYPE r SYSTEM \"http://10.0.0.1/x\"><r/>",
		"<r>&undeclared;</r>"
	};
	struct upnp_device	 dev;
	struct soap_answer	 a;
	char			 deep[4096];
	size_t			 i, n = 0;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (upnp_device_parse(&dev, bad[i], strlen(bad[i])) == 0 ||
		    soap_parse(&a, bad[i], strlen(bad[i])) == 0)
			errx(1, "xml %zu is taken", i);
	for (i = 0; i < 100; i++)
		n += snprintf(deep + n, sizeof(deep) - n, "<a>");
	for (i = 0; i < 100; i++)
		n += snprintf(deep + n, sizeof(deep) - n, "</a>");
	if (upnp_device_parse(&dev, deep, n) == 0)
		errx(1, "100 deep is taken");
	if (soap_parse(&a, "<r/>", 4) == 0)
		errx(1, "no envelope");
}

int
main(void)
{
	test_choice();
	test_loss();
	test_slow();
	test_strangers();
	test_renewal();
	test_epoch();
	test_upnp_faults();
	test_backoff();
	test_release();
	test_restore();
	test_http();
	test_urls();
	test_xml();
	return 0;
}
