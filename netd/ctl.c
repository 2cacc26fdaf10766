/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * What operators ask of netd: traffic, paths, counters.
 */

#include <sys/types.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hardnat.h"
#include "netd.h"
#include "pathmtu.h"

static void	 peer_stat(uint32_t, struct peer *, int64_t);
static void	 text(uint32_t, const char *, ...)
		    __attribute__((__format__ (printf, 2, 3)));
static void	 debug_path(uint32_t);
static void	 debug_choice(uint32_t, struct peer *, int64_t);
static void	 debug_candidates(uint32_t, const struct peer *, int64_t);
static void	 debug_pings(uint32_t, const struct peer *, int64_t);
static void	 debug_peers(uint32_t, uint64_t);
static void	 debug_line(uint32_t, const char *);
static unsigned int permille(uint64_t, uint64_t);

static void
peer_stat(uint32_t id, struct peer *p, int64_t now)
{
	struct msg_ctl_peerstat	 m;
	struct addr		 at;

	memset(&m, 0, sizeof(m));
	m.id = p->p_id;
	m.rx = p->p_rx;
	m.tx = p->p_tx;
	m.handshake = p->p_handshake;
	if (p->p_last_write != 0)
		m.last_write = os_date() - (now - p->p_last_write);
	if (p->p_path != NULL) {
		peer_best(p, now, &at);
		if (at.a_af == ADDR_DERP) {
			m.derp = at.a_port;
			strlcpy(m.relay, derpmap_name(m.derp),
			    sizeof(m.relay));
		} else {
			addr_to_ep(&at, &m.ep);
			m.vni = at.a_vni;
		}
	}
	m.active = p->p_wg != NULL && p->p_wg->w_slots.sl_cur != NULL &&
	    now - p->p_last_write < PATH_ACTIVE;
	(void)chan_compose(proc_parent(), IMSG_CTL_PEERSTAT, id, -1, &m,
	    sizeof(m));
}

int
ctl_status(uint32_t id)
{
	struct peer	*p;
	int64_t		 now = os_now();

	rx_account(nd.n_rx);
	for (p = peer_first(); p != NULL; p = peer_next(p))
		if (p->p_rx != 0 || p->p_tx != 0 || p->p_path != NULL)
			peer_stat(id, p, now);
	netcheck_health(id);
	(void)chan_compose(proc_parent(), IMSG_CTL_END, id, -1, NULL, 0);
	return 0;
}

static void
text(uint32_t id, const char *fmt, ...)
{
	va_list	 ap;
	char	 buf[MSG_TEXT_LEN];

	va_start(ap, fmt);
	vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	(void)chan_compose(proc_parent(), IMSG_CTL_TEXT, id, -1, buf,
	    strlen(buf) + 1);
}

/* Tenths, to be printed as "12.3". */
static unsigned int
permille(uint64_t a, uint64_t b)
{
	return b == 0 ? 0 : a * 10 / b;
}

/* A lock taken once for many packets costs none of them much. */
static void
debug_threads(uint32_t id, const struct tx_stats *t, const struct rx_stats *r)
{
	uint64_t	 packets = t->s_segs + r->s_datagrams;
	unsigned int	 a = permille(t->s_reads, t->s_batches);
	unsigned int	 b = permille(packets, lock_takes());

	if (!lock_threads()) {
		text(id, "sender thread: no");
		return;
	}
	text(id, "sender thread: yes; %llu batches of %u.%u packets of the "
	    "TUN device", (unsigned long long)t->s_batches, a / 10, a % 10);
	text(id, "lock: taken %llu times, %u.%u packets out or in for each",
	    (unsigned long long)lock_takes(), b / 10, b % 10);
}

static void
debug_path(uint32_t id)
{
	const struct rx_stats	*r = &nd.n_rx->r_stats;
	struct tx_stats		 t;
	unsigned int		 a, b, c;
	int			 i;

	tx_stats(&t);
	text(id, "tun %s mtu %u:%s%s%s", nd.n_tun.t_name, nd.n_tun.t_mtu,
	    nd.n_tun.t_caps & TUN_VNET ? " vnet" : " plain",
	    nd.n_tun.t_caps & TUN_TSO ? " tso" : "",
	    tun_coal_caps() & COAL_UDP ? " uso" : "");
	for (i = 0; i < 2; i++)
		text(id, "udp%d port %u:%s%s", nd.n_udp[i].u_af,
		    nd.n_udp[i].u_port, nd.n_udp[i].u_gso ? " gso" : "",
		    nd.n_udp[i].u_gro ? " gro" : "");
	debug_threads(id, &t, r);
	text(id, "cipher: several packets at once by %s", nd.n_cipher);
	a = permille(t.s_segs, t.s_seals);
	b = permille(r->s_datagrams, r->s_opens);
	text(id, "segments: %u.%u per sealing, %u.%u per opening", a / 10,
	    a % 10, b / 10, b % 10);
	a = permille(t.s_sent, t.s_sends);
	b = permille(r->s_datagrams, r->s_recvs);
	c = permille(r->s_segs, r->s_writes);
	text(id, "segments: %u.%u per send, %u.%u per receive, "
	    "%u.%u per tun write", a / 10, a % 10, b / 10, b % 10, c / 10,
	    c % 10);
	text(id, "sent %llu packets, %llu bytes, in %llu sends by %llu "
	    "calls, %llu waits", (unsigned long long)t.s_segs,
	    (unsigned long long)t.s_bytes, (unsigned long long)t.s_sends,
	    (unsigned long long)t.s_calls, (unsigned long long)t.s_blocked);
	text(id, "received %llu datagrams, %llu bytes, in %llu messages by "
	    "%llu calls", (unsigned long long)r->s_datagrams,
	    (unsigned long long)r->s_bytes, (unsigned long long)r->s_recvs,
	    (unsigned long long)r->s_calls);
	for (i = 0; i < TXD_MAX; i++)
		if (t.s_drop[i] != 0)
			text(id, "dropped out, %s: %llu", tx_drop_name(i),
			    (unsigned long long)t.s_drop[i]);
	for (i = 0; i < RXD_MAX; i++)
		if (r->s_drop[i] != 0)
			text(id, "dropped in, %s: %llu", rx_drop_name(i),
			    (unsigned long long)r->s_drop[i]);
	for (i = FILTER_ACCEPT + 1; i < FILTER_VERDICTS; i++)
		if (r->s_verdict[i] != 0)
			text(id, "filtered, %s: %llu", filter_verdict_name(i),
			    (unsigned long long)r->s_verdict[i]);
}

/* One line for a peer: what is sent where. */
static void
debug_choice(uint32_t id, struct peer *p, int64_t now)
{
	const struct path	*pa = p->p_path;
	struct path_to		 to;
	char			 buf[ADDR_TEXT];
	int			 sure;

	if (!peer_dest(p, now, &to))
		memset(&to, 0, sizeof(to));
	text(id, "peer %llu: sends to %s%s%s; best %s, %lld us, "
	    "packets of %u; session %s",
	    (unsigned long long)p->p_id, to.pt_addr.a_af == 0 ? "" :
	    path_trusted(pa, now) ? "the path" : "the old path",
	    to.pt_addr.a_af != 0 && to.pt_relay != 0 ? " and " :
	    to.pt_addr.a_af == 0 && to.pt_relay == 0 ? "nowhere" : "",
	    to.pt_relay == 0 ? "" : derpmap_name(to.pt_relay),
	    addr_print(&pa->pa_best, buf),
	    (long long)(pa->pa_latency / 1000),
	    pathmtu_limit(p->p_path, &sure),
	    p->p_wg != NULL && p->p_wg->w_slots.sl_cur != NULL ?
	    "up" : "none");
}

static void
debug_candidates(uint32_t id, const struct peer *p, int64_t now)
{
	const struct path_cand	*pc;
	char			 buf[ADDR_TEXT];
	unsigned int		 i;

	for (i = 0; i < p->p_path->pa_ncand; i++) {
		pc = &p->p_path->pa_cand[i];
		text(id, "peer %llu: candidate %s,%s%s%s, %lld us, %s%lld s"
		    "%s",
		    (unsigned long long)p->p_id,
		    addr_print(&pc->pc_addr, buf),
		    pc->pc_flags & CAND_NETMAP ? " netmap" : "",
		    pc->pc_flags & CAND_PING ? " ping" : "",
		    pc->pc_flags & CAND_CALL ? " call" : "",
		    (long long)(pc->pc_latency / 1000),
		    pc->pc_last_ping == 0 ? "never pinged for " : "pinged ",
		    (long long)((now - pc->pc_last_ping) / NSEC),
		    pathmtu_unfit(&pc->pc_mtu) ?
		    ", does not carry full packets" :
		    pathmtu_fits(&pc->pc_mtu, now) ?
		    pathmtu_cut(&pc->pc_mtu) ?
		    ", carries full packets in fragments" :
		    ", carries full packets" : "");
	}
}

static void
debug_pings(uint32_t id, const struct peer *p, int64_t now)
{
	static const char *const	 why[] = {
		[PING_DISCOVER] = "discovery",
		[PING_HEARTBEAT] = "heartbeat",
		[PING_CLI] = "operator",
		[PING_SIZE] = "full size"
	};
	const struct path_ping		*pp;
	char				 buf[ADDR_TEXT];
	unsigned int			 i;

	for (i = 0; p->p_path->pa_ping != NULL && i < PATH_MAXPINGS; i++) {
		pp = &p->p_path->pa_ping[i];
		if (pp->pp_used)
			text(id, "peer %llu: no pong yet of %s, %s, %lld ms",
			    (unsigned long long)p->p_id,
			    addr_print(&pp->pp_addr, buf), why[pp->pp_why],
			    (long long)((now - pp->pp_sent) / MSEC));
	}
}

/* All that are active, or one. */
static void
debug_peers(uint32_t id, uint64_t which)
{
	const struct netmap_last *nl = netmap_last();
	struct peer	*p;
	int64_t		 now = os_now();

	for (p = peer_first(); p != NULL; p = peer_next(p)) {
		if (p->p_path == NULL || (which != 0 && which != p->p_id))
			continue;
		debug_choice(id, p, now);
		debug_candidates(id, p, now);
		if (which != 0)
			debug_pings(id, p, now);
	}
	if (which == 0) {
		text(id, "%zu peers", peer_count());
		text(id, "last change of the netmap: %s%u peers, %lld us",
		    nl->nl_full ? "all of it, " : "", nl->nl_peers,
		    (long long)(nl->nl_took / 1000));
	} else if ((p = peer_find(which)) == NULL)
		text(id, "no such peer");
	else if (p->p_path == NULL)
		text(id, "peer %llu: idle", (unsigned long long)which);
}

static void
debug_line(uint32_t id, const char *s)
{
	text(id, "%s", s);
}

int
ctl_debug(uint32_t id, const struct msg_str64 *m)
{
	struct msg_ctl_fail	 fail;

	if (!msg_str_ok(m->s, sizeof(m->s)))
		return -1;
	if (strcmp(m->s, "path") == 0) {
		debug_path(id);
		hardnat_debug(text, id);
	} else if (strcmp(m->s, "peers") == 0)
		debug_peers(id, 0);
	else if (strcmp(m->s, "relay") == 0)
		relays_debug(text, id);
	else if (strncmp(m->s, "peer ", 5) == 0)
		debug_peers(id, strtonum(m->s + 5, 1, INT64_MAX, NULL));
	else if (strcmp(m->s, "derp") == 0)
		derp_debug(debug_line, id);
	else {
		memset(&fail, 0, sizeof(fail));
		fail.code = 2;
		strlcpy(fail.text, "netd knows: derp, path, peer N, peers",
		    sizeof(fail.text));
		(void)chan_compose(proc_parent(), IMSG_CTL_FAIL, id, -1,
		    &fail, sizeof(fail));
		return 0;
	}
	(void)chan_compose(proc_parent(), IMSG_CTL_END, id, -1, NULL, 0);
	return 0;
}
