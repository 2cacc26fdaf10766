/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * shoalctl against a shoald of a few lines: command line, exit status,
 * text and JSON.
 */
/* link: ../../shoalctl/collect.c ../../shoalctl/connection.c */
/* link: ../../shoalctl/netcheck.c */
/* link: ../../shoalctl/output.c ../../shoalctl/output_json.c */
/* link: ../../shoalctl/parser.c ../../shoalctl/ping.c */
/* link: ../../shoalctl/query.c ../../shoalctl/up.c */

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "../../shoalctl/shoalctl.h"

#define SECOND	1000000000LL

static char		 dir[64], sock[64 + 8], out[64 + 8];
static char		 hostname[16];	/* as it was set */
static pid_t		 server;
static int		 cleaning;

static void	 cleanup(void);
static void	 send_node(struct imsgbuf *, uint32_t, int);
static void	 send_status(struct imsgbuf *, uint32_t);
static void	 send_state(struct imsgbuf *, uint32_t, uint32_t,
		    const char *);
static void	 send_pong(struct imsgbuf *, uint32_t);
static void	 send_region(struct imsgbuf *, uint32_t, uint16_t,
		    const char *, int64_t);
static void	 send_report(struct imsgbuf *, uint32_t);
static void	 answer(struct imsgbuf *, struct imsg *);
static void	 serve(int);
static void	 start_server(void);
static int	 run(const char *);
static char	*output_of(const char *, int);
static void	 want_status(const char *, int);
static void	 want_text(const char *, int, const char *);
static const char
		*at(json_t *, const char *, const char *);
static void	 check_json(void);
static void	 check_durations(void);
static void	 check_in_vain(void);
static void	 send_watch(struct imsgbuf *, uint32_t);
static void	 check_latencies(void);

static void
cleanup(void)
{
	if (!cleaning)
		return;
	(void)kill(server, SIGKILL);
	(void)unlink(sock);
	(void)unlink(out);
	(void)rmdir(dir);
}

/* Node 1 is the node itself, 2 a peer whose name is hostile. */
static void
send_node(struct imsgbuf *ib, uint32_t id, int self)
{
	struct msg_ctl_node	 m;

	memset(&m, 0, sizeof(m));
	m.id = self ? 1 : 2;
	m.user = self ? 5 : 0;
	memset(m.key, self ? 0x11 : 0x22, sizeof(m.key));
	(void)strlcpy(m.stable, self ? "n1" : "n2", sizeof(m.stable));
	(void)strlcpy(m.name, self ? "a.tail.test." : "b.tail.test.",
	    sizeof(m.name));
	(void)strlcpy(m.hostname, self ? "a" : "b\033[2J",
	    sizeof(m.hostname));
	(void)strlcpy(m.os, "linux", sizeof(m.os));
	if (!self)
		(void)strlcpy(m.tags, "tag:web,tag:db", sizeof(m.tags));
	m.created = 1700000000 * SECOND + 500000000;
	m.flags = (self ? NODE_SELF : 0) | NODE_ONLINE;
	m.naddrs = 1;
	m.addr[0].af = AF_WIRE_INET;
	memcpy(m.addr[0].addr, self ? "\144\100\0\1" : "\144\100\0\2", 4);
	m.nallowed = 1;
	m.allowed[0].af = AF_WIRE_INET;
	m.allowed[0].plen = 32;
	memcpy(m.allowed[0].addr, m.addr[0].addr, 4);
	(void)imsg_compose(ib, IMSG_CTL_NODE, id, 0, -1, &m, sizeof(m));
}

static void
send_state(struct imsgbuf *ib, uint32_t id, uint32_t state, const char *url)
{
	struct msg_ctl_state	 m;

	memset(&m, 0, sizeof(m));
	m.c.state = state;
	m.c.online = 1;
	m.want_running = 1;
	m.c.version = VERSION_TOLD | VERSION_URGENT;
	(void)strlcpy(m.c.latest, "10.1", sizeof(m.c.latest));
	(void)strlcpy(m.c.url, url, sizeof(m.c.url));
	(void)strlcpy(m.version, "9.9", sizeof(m.version));
	(void)imsg_compose(ib, IMSG_CTL_STATE, id, 0, -1, &m, sizeof(m));
}

static void
send_status(struct imsgbuf *ib, uint32_t id)
{
	struct msg_ctl_tailnet	 t;
	struct msg_ctl_user	 u;
	struct msg_ctl_peerstat	 s;

	memset(&t, 0, sizeof(t));
	memset(&u, 0, sizeof(u));
	memset(&s, 0, sizeof(s));
	send_state(ib, id, CTRL_RUNNING, "");
	(void)strlcpy(t.domain, "test", sizeof(t.domain));
	(void)strlcpy(t.suffix, "tail.test", sizeof(t.suffix));
	t.magicdns = 1;
	(void)imsg_compose(ib, IMSG_CTL_TAILNET, id, 0, -1, &t, sizeof(t));
	s.id = 2;
	s.rx = 10;
	s.tx = 20;
	s.active = 1;
	s.ep.af = AF_WIRE_INET;
	s.ep.port = 41641;
	memcpy(s.ep.addr, "\12\0\0\2", 4);
	(void)imsg_compose(ib, IMSG_CTL_PEERSTAT, id, 0, -1, &s, sizeof(s));
	send_node(ib, id, 0);
	send_node(ib, id, 1);
	u.id = 5;
	(void)strlcpy(u.login, "alice@example.org", sizeof(u.login));
	(void)imsg_compose(ib, IMSG_CTL_USER, id, 0, -1, &u, sizeof(u));
}

static void
send_pong(struct imsgbuf *ib, uint32_t id)
{
	struct msg_ctl_pong	 m;

	memset(&m, 0, sizeof(m));
	m.latency = 1500000;
	m.ep.af = AF_WIRE_INET;
	m.ep.port = 41641;
	memcpy(m.ep.addr, "\12\0\0\2", 4);
	(void)imsg_compose(ib, IMSG_CTL_PONG, id, 0, -1, &m, sizeof(m));
}

static void
send_region(struct imsgbuf *ib, uint32_t id, uint16_t region,
    const char *code, int64_t latency)
{
	struct msg_ctl_netregion	 m;

	memset(&m, 0, sizeof(m));
	m.id = region;
	(void)strlcpy(m.code, code, sizeof(m.code));
	(void)snprintf(m.name, sizeof(m.name), "Region %u", region);
	m.latency = m.latency4 = latency;
	(void)imsg_compose(ib, IMSG_CTL_NETREGION, id, 0, -1, &m, sizeof(m));
}

static void
send_report(struct imsgbuf *ib, uint32_t id)
{
	struct msg_ctl_netreport	 m;
	struct msg_ctl_netseen		 s;

	memset(&m, 0, sizeof(m));
	m.date = 1700000000 * SECOND + 120000000;
	m.udp = m.ipv4 = m.cansend4 = m.os6 = 1;
	m.varies = 1;
	m.upnp = m.pcp = 1;
	m.captive = m.icmp4 = -1;
	m.preferred = 2;
	m.global4.af = AF_WIRE_INET;
	memcpy(m.global4.addr, "\306\63\144\1", 4);
	m.global4.port = 4242;
	(void)imsg_compose(ib, IMSG_CTL_NETREPORT, id, 0, -1, &m, sizeof(m));
	send_region(ib, id, 1, "one", 123456789);
	send_region(ib, id, 2, "two", 12340000);
	send_region(ib, id, 3, "far", 0);
	memset(&s, 0, sizeof(s));
	s.ep = m.global4;
	s.count = 2;
	(void)imsg_compose(ib, IMSG_CTL_NETSEEN, id, 0, -1, &s, sizeof(s));
}

/*
 * How a login goes on: well, or as the hostname says: no more words, or what
 * to wait for in vain.
 */
static void
send_watch(struct imsgbuf *ib, uint32_t id)
{
	struct msg_ctl_state	 m;

	memset(&m, 0, sizeof(m));
	m.c.state = CTRL_NEEDSLOGIN;
	m.want_running = 1;
	m.c.refused = strtonum(hostname, 0, 9, NULL);
	if (m.c.refused > 0)
		(void)strlcpy(m.c.error, "reason", sizeof(m.c.error));
	else
		(void)strlcpy(m.c.url, "https://c.test/x", sizeof(m.c.url));
	(void)imsg_compose(ib, IMSG_CTL_STATE, id, 0, -1, &m, sizeof(m));
	if (strcmp(hostname, "wait") != 0 && m.c.refused == 0)
		send_state(ib, id, CTRL_RUNNING, "");
}

static void
answer(struct imsgbuf *ib, struct imsg *imsg)
{
	struct msg_pref		 pref;
	struct msg_resolve	 q;
	struct msg_ctl_fail	 fail;
	uint32_t		 id = imsg_get_id(imsg);

	switch (imsg_get_type(imsg)) {
	case IMSG_CTL_STATUS:
		send_status(ib, id);
		break;
	case IMSG_CTL_STATE:
		send_state(ib, id, CTRL_RUNNING, "");
		break;
	case IMSG_CTL_WATCH:
		send_watch(ib, id);
		return;
	case IMSG_CTL_SET:
		if (imsg_get_data(imsg, &pref, sizeof(pref)) == -1)
			_exit(1);
		(void)strlcpy(hostname, pref.value, sizeof(hostname));
		break;
	case IMSG_CTL_WHOIS:
		if (imsg_get_data(imsg, &q, sizeof(q)) == -1)
			_exit(1);
		memset(&fail, 0, sizeof(fail));
		fail.code = 1;
		(void)strlcpy(fail.text, "no such node", sizeof(fail.text));
		if (strcmp(q.name, "b") != 0 &&
		    strcmp(q.name, "100.64.0.2") != 0) {
			(void)imsg_compose(ib, IMSG_CTL_FAIL, id, 0, -1,
			    &fail, sizeof(fail));
			return;
		}
		send_node(ib, id, 0);
		break;
	case IMSG_CTL_PING:
		send_pong(ib, id);
		break;
	case IMSG_CTL_NETCHECK:
		send_report(ib, id);
		break;
	case IMSG_CTL_DEBUG:
		(void)imsg_compose(ib, IMSG_CTL_TEXT, id, 0, -1, "line", 5);
		break;
	default:
		break;
	}
	(void)imsg_compose(ib, IMSG_CTL_END, id, 0, -1, NULL, 0);
}

static void
serve(int fd)
{
	struct imsgbuf	 ib;
	struct imsg	 imsg;
	int		 s;

	while ((s = accept(fd, NULL, NULL)) != -1) {
		if (imsgbuf_init(&ib, s) == -1)
			_exit(1);
		while (imsgbuf_read(&ib) == 1) {
			while (imsgbuf_get(&ib, &imsg) == 1) {
				answer(&ib, &imsg);
				imsg_free(&imsg);
			}
			(void)imsgbuf_flush(&ib);
		}
		imsgbuf_clear(&ib);
		(void)close(s);
	}
	_exit(0);
}

static void
start_server(void)
{
	struct sockaddr_un	 sun;
	int			 fd;

	(void)snprintf(dir, sizeof(dir), "/tmp/t_shoalctl.%d", (int)getpid());
	if (mkdir(dir, 0700) == -1)
		err(1, "%s", dir);
	(void)snprintf(sock, sizeof(sock), "%s/s", dir);
	(void)snprintf(out, sizeof(out), "%s/out", dir);
	memset(&sun, 0, sizeof(sun));
	sun.sun_family = AF_UNIX;
	(void)strlcpy(sun.sun_path, sock, sizeof(sun.sun_path));
	if ((fd = socket(AF_UNIX, SOCK_STREAM, 0)) == -1 ||
	    bind(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1 ||
	    listen(fd, 5) == -1)
		err(1, "%s", sock);
	if ((server = fork()) == -1)
		err(1, "fork");
	if (server == 0)
		serve(fd);
	(void)close(fd);
	cleaning = 1;
	(void)atexit(cleanup);
}

/* One command in a process of its own; output of both kinds in a file. */
static int
run(const char *line)
{
	const struct command	*k;
	struct args		 a;
	char			 buf[256], *argv[16], *p = buf, *w;
	int			 argc = 0, fd, status;
	pid_t			 pid;

	(void)strlcpy(buf, line, sizeof(buf));
	while ((w = strsep(&p, " ")) != NULL && argc < 15)
		if (*w != '\0')
			argv[argc++] = w;
	argv[argc] = NULL;
	(void)fflush(NULL);
	if ((pid = fork()) == -1)
		err(1, "fork");
	if (pid == 0) {
		cleaning = 0;
		fd = open(out, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		if (fd == -1 || dup2(fd, 1) == -1 || dup2(fd, 2) == -1)
			_exit(99);
		socket_path = sock;
		if ((k = parse_command(argc, argv, &a)) == NULL)
			exit(2);
		exit(k->k_run(&a));
	}
	if (waitpid(pid, &status, 0) == -1 || !WIFEXITED(status))
		errx(1, "%s: did not end well", line);
	return WEXITSTATUS(status);
}

static char *
output_of(const char *line, int want)
{
	static char	 buf[16384];
	ssize_t		 n;
	int		 fd, got;

	got = run(line);
	if ((fd = open(out, O_RDONLY)) == -1 ||
	    (n = read(fd, buf, sizeof(buf) - 1)) == -1)
		err(1, "%s", out);
	(void)close(fd);
	buf[n] = '\0';
	if (got != want)
		errx(1, "%s: exit status %d: %s", line, got, buf);
	return buf;
}

static void
want_status(const char *line, int want)
{
	(void)output_of(line, want);
}

static void
want_text(const char *line, int status, const char *want)
{
	char	*got = output_of(line, status);

	if (strstr(got, want) == NULL)
		errx(1, "%s: no \"%s\" in: %s", line, want, got);
	if (strchr(got, '\033') != NULL)
		errx(1, "%s: escapes reach the terminal", line);
}

static const char *
at(json_t *o, const char *a, const char *b)
{
	if (b != NULL)
		o = json_object_get(o, b);
	return json_string_value(json_object_get(o, a));
}

static void
check_json(void)
{
	static const char	*keys[] = {
		"Version", "TUN", "BackendState", "AuthURL", "TailscaleIPs",
		"Self", "Health", "MagicDNSSuffix", "CurrentTailnet",
		"CertDomains", "Peer", "User", "ClientVersion"
	};
	json_t	*o, *p;
	char	 key[80] = "nodekey:";
	size_t	 i;

	o = json_loads(output_of("status --json", 0), 0, NULL);
	for (i = 0; i < nitems(keys); i++)
		if (json_object_get(o, keys[i]) == NULL)
			errx(1, "status --json: no %s", keys[i]);
	p = json_object_get(o, "ClientVersion");
	if (strcmp(at(p, "LatestVersion", NULL), "10.1") != 0 ||
	    !json_is_true(json_object_get(p, "UrgentSecurityUpdate")) ||
	    json_object_get(p, "RunningLatest") != NULL)
		errx(1, "status --json: ClientVersion");
	for (i = 0; i < 32; i++)
		(void)strlcat(key, "22", sizeof(key));
	p = json_object_get(json_object_get(o, "Peer"), key);
	if (p == NULL || strcmp(at(p, "HostName", NULL), "b?[2J") != 0 ||
	    strcmp(at(p, "CurAddr", NULL), "10.0.0.2:41641") != 0 ||
	    strcmp(at(p, "LastHandshake", NULL),
	    "0001-01-01T00:00:00Z") != 0 ||
	    strcmp(at(p, "Created", NULL), "2023-11-14T22:13:20.5Z") != 0 ||
	    json_array_size(json_object_get(p, "Tags")) != 2)
		errx(1, "status --json: peer");
	if (strcmp(at(o, "HostName", "Self"), "a") != 0 ||
	    strcmp(at(o, "MagicDNSSuffix", "CurrentTailnet"),
	    "tail.test") != 0 || strcmp(at(o, "BackendState", NULL),
	    "Running") != 0)
		errx(1, "status --json");
	json_decref(o);
	o = json_loads(output_of("whois --json b", 0), 0, NULL);
	if (strcmp(at(o, "StableID", "Node"), "n2") != 0 ||
	    json_object_get(o, "UserProfile") == NULL)
		errx(1, "whois --json");
	json_decref(o);
}

static void
check_latencies(void)
{
	static const struct {
		int64_t		 ns;
		const char	*text;
	} tests[] = {
		{ 1, "0s" },
		{ 49999, "0s" },
		{ 50000, "100\302\265s" },
		{ 949999, "900\302\265s" },
		{ 999950, "1ms" },
		{ 12340000, "12.3ms" },
		{ 100000000, "100ms" },
		{ 1000000000, "1s" },
		{ 1234567890, "1.2346s" }
	};
	char	 buf[32];
	size_t	 i;

	for (i = 0; i < nitems(tests); i++)
		if (strcmp(latency_text(tests[i].ns, buf, sizeof(buf)),
		    tests[i].text) != 0)
			errx(1, "latency %lld: %s", (long long)tests[i].ns,
			    buf);
}

static void
check_durations(void)
{
	int64_t	 ms;

	if (parse_duration("1m30s", &ms) == -1 || ms != 90000 ||
	    parse_duration("250ms", &ms) == -1 || ms != 250 ||
	    parse_duration("2h", &ms) == -1 || ms != 7200000 ||
	    parse_duration("0", &ms) == -1 || ms != 0 ||
	    parse_duration("5", &ms) == 0 || parse_duration("", &ms) == 0 ||
	    parse_duration("-5s", &ms) == 0 ||
	    parse_duration("999999999s", &ms) == 0 ||
	    parse_duration("99999999h", &ms) == 0)
		errx(1, "durations");
}

static void
check_in_vain(void)
{
	static const struct {
		const char	*line;
		const char	*want;
	} tests[] = {
		{ "up --hostname=1", "the control server refuses: reason\n" },
		{ "up --hostname=1", "ask who runs the control server\n" },
		{ "up --hostname=2", "give shoald.conf another `auth key'" },
		{ "up --hostname=3", ": reason\n" },
		{ "up --hostname=3", "sign the key of this node\n" },
		{ "up --hostname=4", "compare the date of this host" },
		{ "up --hostname=5", "whether its key was changed\n" },
		{ "up --hostname=wait --timeout=50ms",
		    "timed out: waiting for the login" }
	};
	size_t	 i;

	for (i = 0; i < nitems(tests); i++)
		want_text(tests[i].line, 1, tests[i].want);
}

int
main(void)
{
	check_durations();
	check_latencies();
	start_server();
	want_text("frobnicate", 2, "known are: debug down ip login");
	want_status("", 2);
	want_text("status --frobnicate", 2, "unknown flag");
	want_text("up --exit-node=x", 2, "not supported yet");
	want_status("status extra", 2);
	want_status("ping", 2);
	want_text("ping --c x b", 2, "bad value");
	want_status("ip -4 -6", 2);
	want_status("set", 2);
	want_text("status", 0, "100.64.0.1      a                    alice@");
	want_text("status", 0, "active; direct 10.0.0.2:41641, tx 20 rx 10");
	want_text("status --self=false", 0, "tagged-devices");
	want_text("ip -4", 0, "100.64.0.1\n");
	want_status("ip -6", 1);
	want_status("ip --assert 100.64.0.1", 0);
	want_status("ip --assert=100.64.0.9", 1);
	want_text("ip b", 0, "100.64.0.2\n");
	want_text("whois 100.64.0.2:80", 0, "tag:web,tag:db");
	want_text("whois nobody", 1, "no such node");
	want_text("ping --c 1 b", 0,
	    "pong from b (100.64.0.2) via 10.0.0.2:41641 in 1.5ms");
	want_text("netcheck", 0, "\nReport:\n\t* Time: ");
	want_text("netcheck", 0, ".12Z\n\t* UDP: true\n"
	    "\t* IPv4: yes, 198.51.100.1:4242\n"
	    "\t* IPv6: no, but OS has support\n"
	    "\t* MappingVariesByDestIP: true\n"
	    "\t* PortMapping: UPnP, PCP\n"
	    "\t* Nearest DERP: Region 2\n"
	    "\t* DERP latency:\n"
	    "\t\t- two: 12.3ms  (Region 2)\n"
	    "\t\t- one: 123.5ms (Region 1)\n"
	    "\t\t- far:         (Region 3)\n");
	want_text("netcheck --verbose", 0, "(derp2, Region 2)");
	want_text("netcheck --format=json-line", 0,
	    "\"MappingVariesByDestIP\":true,\"UPnP\":true,\"PMP\":false,"
	    "\"PCP\":true,\"PreferredDERP\":2,"
	    "\"RegionLatency\":{\"2\":12340000,\"1\":123456789},");
	want_text("netcheck --format json-line", 0,
	    "\"GlobalV4Counters\":{\"198.51.100.1:4242\":2},"
	    "\"GlobalV6Counters\":null,\"GlobalV4\":\"198.51.100.1:4242\","
	    "\"GlobalV6\":\"\",\"CaptivePortal\":null}\n");
	want_text("netcheck --format=xml", 2, "unknown output format");
	want_text("up", 0, "https://c.test/x");
	want_text("login --force-reauth", 0, "https://c.test/x");
	check_in_vain();
	want_status("down", 0);
	want_status("logout", 0);
	want_status("set --hostname=x", 0);
	want_text("debug netd peers", 0, "line\n");
	want_text("version --daemon", 0, "Daemon: 9.9");
	check_json();
	return 0;
}
