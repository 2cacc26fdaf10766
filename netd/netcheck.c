/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Runs of netcheck: when, and the STUN of them (dataplane.md 2.9, 4.2).
 */

#include <sys/types.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "netcheck.h"
#include "stun.h"

#define AGAIN_LEAST	(20 * NSEC)	/* between periodic runs */
#define AGAIN_JITTER	(6 * NSEC)
#define TUN_IDLE	(45 * NSEC)
#define EARLY		(400 * MSEC)	/* tell what is known by then, */
#define EARLY_AT_LAST	(1200 * MSEC)	/* or that nothing is */
#define CAPTIVE_AFTER	(200 * MSEC)
#define BREATH		MSEC		/* least wait of the run's timer */
#define GAP		(200 * MSEC)	/* from one run's start to the next */

/* What became of a probe of the plan. */
enum ask_state {
	ASK_PLANNED,
	ASK_SENT,
	ASK_OVER			/* answered, or not worth it */
};

struct stun_ask {
	struct addr	 sa_to;
	int64_t		 sa_sent;
	uint8_t		 sa_txid[STUN_TXID_LEN];
	enum ask_state	 sa_state;
};

struct run {
	struct nc_report r_report;
	struct nc_probe	 r_probe[NC_PROBES_MAX];
	struct stun_ask	 r_ask[NC_PROBES_MAX];
	size_t		 r_n;
	int64_t		 r_start;
	int64_t		 r_stop;	/* of STUN; 0: that is over */
	int64_t		 r_early;	/* 0: told, or not to be */
	int64_t		 r_captive;	/* look for a portal then; 0: no */
	int		 r_full;
	int		 r_tried4;
	uint8_t		 r_ended[NC_REGIONS_MAX][2];
};

static struct nc_map	 map;
static struct nc_history history;
static struct nc_facts	 facts;
static struct run	*run;
static struct event	 ev_run;	/* a run is under way, or begins */
static struct event	 ev_again;	/* the next periodic one */
static int64_t		 active;	/* packets from the TUN device */
static int64_t		 began;		/* the last run, 0: none */
static int		 wanted;	/* one more run, after this one */
static int		 asleep;	/* nobody needs a periodic one */
static uint64_t		 map_print;	/* of the one in force */
static int		 mute4;		/* no packet of the last run left */
static int		 started;

static void	 run_cb(int, short, void *);
static void	 again_cb(int, short, void *);
static void	 timer_set(struct event *, int64_t);
static void	 run_soon(int64_t);
static void	 map_build(void);
static uint8_t	 node_flags(const struct msg_nm_derp_node *);
static int	 node_addr(const struct nc_probe *, struct addr *);
static void	 run_begin(int64_t);
static void	 run_step(int64_t);
static void	 run_early(int64_t);
static void	 run_arm(int64_t);
static void	 refresh(int64_t);
static int	 probe_try(size_t, int64_t);
static void	 probe_sent(const struct nc_probe *, int);
static int	 sets_over(void);
static void	 set_end(const struct nc_probe *);
static int	 set_ended(const struct nc_probe *);
static void	 stun_over(int64_t);
static void	 facts_set(const struct nc_report *, int64_t);
static void	 run_end(int64_t);
static void	 run_drop(void);
static int	 periodic(int64_t);
static uint64_t	 print_add(uint64_t, const void *, size_t);
static uint64_t	 print_map(void);

LOCKED_CB(run_cb)
LOCKED_CB(again_cb)

void
netcheck_init(void)
{
	evtimer_set(&ev_run, run_cb_locked, NULL);
	evtimer_set(&ev_again, again_cb_locked, NULL);
	facts.f_varies = NC_UNKNOWN;
	endpoints_refresher(refresh);
	started = 1;
}

static void
timer_set(struct event *ev, int64_t wait)
{
	struct timeval	 tv;

	if (wait < 0)
		wait = 0;
	tv.tv_sec = wait / NSEC;
	tv.tv_usec = wait % NSEC / 1000;
	(void)evtimer_del(ev);
	if (evtimer_add(ev, &tv) == -1)
		fatal("evtimer_add");
}

/* A run, but not one after the other without end. */
static void
run_soon(int64_t now)
{
	timer_set(&ev_run, began != 0 && now >= began && now - began < GAP ?
	    GAP - (now - began) : 0);
}

/* --- the map --- */

static uint8_t
node_flags(const struct msg_nm_derp_node *n)
{
	uint8_t	 v = 0;

	if (n->stun_port < 0)
		return 0;
	if (n->stun_test.af != 0)
		return n->stun_test.af == AF_WIRE_INET ? NC_NODE_V4 :
		    NC_NODE_V6;
	if ((n->flags & DERP_NODE_NO4) == 0)
		v |= NC_NODE_V4;
	if ((n->flags & DERP_NODE_NO6) == 0)
		v |= NC_NODE_V6;
	return v;
}

static void
map_build(void)
{
	const struct derp_map		*dm = derpmap_now();
	const struct derp_region	*dr;
	struct nc_region		*r;
	uint32_t			 i, j;

	memset(&map, 0, sizeof(map));
	for (i = 0; i < dm->dm_nregions && map.m_n < NC_REGIONS_MAX; i++) {
		dr = &dm->dm_region[i];
		if (!derpmap_may_home(dr))
			continue;
		r = &map.m_region[map.m_n++];
		r->r_id = dr->dr.id;
		r->r_score = dr->dr.score;
		for (j = 0; j < dr->dr_nnodes && j < NC_NODES_MAX; j++)
			r->r_node[j] = node_flags(&dr->dr_node[j]);
		r->r_nnodes = j;
	}
}

/* Where this probe goes: 1, 0 if the name is being looked up, -1 nowhere. */
static int
node_addr(const struct nc_probe *p, struct addr *a)
{
	const struct derp_region	*dr;
	const struct msg_nm_derp_node	*n;
	struct msg_ip			 ip;
	int				 ret;

	dr = derpmap_region(map.m_region[p->p_region].r_id);
	if (dr == NULL || p->p_node >= dr->dr_nnodes)
		return -1;
	n = &dr->dr_node[p->p_node];
	if (n->stun_test.af != 0)
		ip = n->stun_test;
	else
		ip = p->p_af == AF_WIRE_INET ? n->ip4 : n->ip6;
	if (ip.af == 0 && (ret = nc_host(n->host, p->p_af, &ip)) != 1)
		return ret;
	if (ip.af != p->p_af)
		return -1;
	memset(a, 0, sizeof(*a));
	a->a_af = ip.af;
	a->a_port = n->stun_port;
	memcpy(a->a_ip, ip.addr, ip.af == AF_WIRE_INET ? 4 : 16);
	return addr_usable(a) ? 1 : -1;
}

/* --- a run --- */

static void
run_begin(int64_t now)
{
	unsigned int	 have = endpoints_families();

	map_build();
	(void)evtimer_del(&ev_again);
	asleep = map.m_n == 0;
	if (asleep) {			/* nobody to ask */
		facts.f_n = 0;
		facts.f_varies = NC_UNKNOWN;
		facts.f_time = now;
		endpoints_update(0);
		endpoints_measured(now);
		return;
	}
	if ((run = calloc(1, sizeof(*run))) == NULL)
		fatal(NULL);
	nc_report_init(&run->r_report);
	run->r_start = began = now;
	run->r_stop = now + NC_STUN_TIME;
	run->r_early = now + EARLY;
	run->r_full = nc_want_full(&history, now);
	nc_run_begins(&history, now, run->r_full);
	portmap_probe();
	if (mute4)
		udp_rebind(AF_WIRE_INET, now);
	if ((nd.n_self.flags & SELF_ONLY_443) == 0)
		run->r_n = nc_plan(&map, run->r_full ? NULL :
		    &history.h_last, derp_home(), have, run->r_probe,
		    NC_PROBES_MAX);
	if (run->r_full && have & NC_HAVE4 &&
	    (nd.n_self.flags & SELF_NO_CAPTIVE) == 0)
		run->r_captive = now + CAPTIVE_AFTER;
	run_step(now);
}

/* One address can be asked over this family; EPERM is a lost packet. */
static void
probe_sent(const struct nc_probe *p, int error)
{
	if (p->p_af == AF_WIRE_INET)
		run->r_tried4 = 1;
	if (error != 0 && error != EPERM)
		return;
	if (p->p_af == AF_WIRE_INET)
		run->r_report.nr_cansend4 = 1;
	else
		run->r_report.nr_cansend6 = 1;
}

/* Send a probe whose time has come. 0: its address is not known yet. */
static int
probe_try(size_t i, int64_t now)
{
	const struct nc_probe	*p = &run->r_probe[i];
	struct stun_ask		*a = &run->r_ask[i];
	uint8_t			 pkt[STUN_REQUEST_LEN];
	int			 ret;

	if (!nc_would_help(&run->r_report, map.m_region[p->p_region].r_id,
	    p->p_af)) {
		set_end(p);
		a->sa_state = ASK_OVER;
		return 1;
	}
	if ((ret = node_addr(p, &a->sa_to)) == 0)
		return 0;
	if (ret == -1) {
		a->sa_state = ASK_OVER;
		return 1;
	}
	arc4random_buf(a->sa_txid, sizeof(a->sa_txid));
	stun_request_build(a->sa_txid, pkt);
	a->sa_sent = os_now();
	a->sa_state = ASK_SENT;
	ret = udp_send(&a->sa_to, pkt, sizeof(pkt));
	probe_sent(p, ret == -1 ? errno : 0);
	return 1;
}

static void
set_end(const struct nc_probe *p)
{
	run->r_ended[p->p_region][p->p_af == AF_WIRE_INET6] = 1;
}

static int
set_ended(const struct nc_probe *p)
{
	return run->r_ended[p->p_region][p->p_af == AF_WIRE_INET6];
}

/* Is there nothing left to send or to hear? */
static int
sets_over(void)
{
	size_t	 i;

	for (i = 0; i < run->r_n; i++)
		if (run->r_ask[i].sa_state != ASK_OVER &&
		    !set_ended(&run->r_probe[i]))
			return 0;
	return 1;
}

static void
run_step(int64_t now)
{
	size_t	 i;

	ncping_names();
	if (run->r_stop != 0) {
		for (i = 0; i < run->r_n; i++)
			if (run->r_ask[i].sa_state == ASK_PLANNED &&
			    !set_ended(&run->r_probe[i]) && now >=
			    run->r_start + run->r_probe[i].p_delay)
				(void)probe_try(i, now);
		if (now >= run->r_stop || sets_over())
			stun_over(now);
	}
	if (run->r_early != 0 && now >= run->r_early)
		run_early(now);
	if (run->r_captive != 0 && now >= run->r_captive) {
		run->r_captive = 0;
		if (!run->r_report.nr_udp)
			ncprobe_captive(derp_home());
	}
	if ((run->r_stop == 0 && !ncprobe_busy() && !ncping_busy()) ||
	    now >= run->r_start + NC_REPORT_TIME)
		run_end(now);
	else
		run_arm(now);
}

/*
 * Some region may be far away or dead: peers that wait for our endpoints get
 * what the others said.
 */
static void
run_early(int64_t now)
{
	nctell_early(&map, &run->r_report);
	if (run->r_report.nr_udp)
		facts_set(&run->r_report, now);
	else if (now < run->r_start + EARLY_AT_LAST) {
		run->r_early = run->r_start + EARLY_AT_LAST;
		return;
	} else
		endpoints_measured(now);
	run->r_early = 0;
}

/* Wake up for what comes next. */
static void
run_arm(int64_t now)
{
	int64_t	 when, next = run->r_start + NC_REPORT_TIME;
	size_t	 i;

	if (run->r_stop != 0 && run->r_stop < next)
		next = run->r_stop;
	if (run->r_early != 0 && run->r_early < next)
		next = run->r_early;
	if (run->r_captive != 0 && run->r_captive < next)
		next = run->r_captive;
	for (i = 0; run->r_stop != 0 && i < run->r_n; i++) {
		when = run->r_start + run->r_probe[i].p_delay;
		/* What is overdue waits for its address. */
		if (run->r_ask[i].sa_state == ASK_PLANNED && when > now &&
		    when < next && !set_ended(&run->r_probe[i]))
			next = when;
	}
	timer_set(&ev_run, next - now < BREATH ? BREATH : next - now);
}

/* STUN has said what it will; without an answer, try by TCP. */
static void
stun_over(int64_t now)
{
	run->r_stop = 0;
	if (run->r_report.nr_udp)
		run->r_captive = 0;
	else if (endpoints_families() != 0) {
		ncprobe_https(&map);
		if (endpoints_families() & NC_HAVE4 &&
		    (nd.n_self.flags & SELF_ONLY_443) == 0)
			ncping_start(&map);
	}
}

void
netcheck_stun(const uint8_t *b, size_t len, const struct addr *src,
    int64_t now)
{
	struct stun_addr	 sa;
	struct stun_ask		*a = NULL;
	struct addr		 seen;
	uint8_t			 txid[STUN_TXID_LEN];
	size_t			 i;
	int64_t			 wait;

	if (run == NULL || run->r_stop == 0 ||
	    stun_response_parse(b, len, txid, &sa) == -1)
		return;
	for (i = 0; i < run->r_n && a == NULL; i++)
		if (run->r_ask[i].sa_state == ASK_SENT &&
		    memcmp(run->r_ask[i].sa_txid, txid, sizeof(txid)) == 0 &&
		    addr_eq(&run->r_ask[i].sa_to, src))
			a = &run->r_ask[i];
	if (a == NULL)
		return;
	i--;
	memset(&seen, 0, sizeof(seen));
	seen.a_af = sa.sa_v4 ? AF_WIRE_INET : AF_WIRE_INET6;
	seen.a_port = sa.sa_port;
	memcpy(seen.a_ip, sa.sa_addr, sa.sa_v4 ? 4 : 16);
	a->sa_state = ASK_OVER;
	set_end(&run->r_probe[i]);
	if (!addr_usable(&seen))
		return;
	if (nc_report_stun(&run->r_report,
	    map.m_region[run->r_probe[i].p_region].r_id, &seen,
	    now - a->sa_sent) && run->r_report.nr_nlat == NC_ENOUGH &&
	    !nctell_verbose()) {
		wait = nc_report_slowest(&run->r_report);
		wait = run->r_full ? 2 * wait : wait;
		if (now + wait < run->r_stop)
			run->r_stop = now + wait;
	}
	/* From the loop: whoever called has datagrams left. */
	timer_set(&ev_run, sets_over() ? 0 : BREATH);
}

void
netcheck_https(uint16_t region, uint8_t af, int64_t latency)
{
	if (run != NULL)
		nc_report_https(&run->r_report, region, af, latency);
}

void
netcheck_captive(int found)
{
	if (run != NULL)
		run->r_report.nr_captive = found;
}

void
netcheck_icmp(uint16_t region, int64_t latency)
{
	if (run != NULL)
		nc_report_icmp(&run->r_report, region, latency);
}

/* ncprobe.c or ncping.c has nothing more to do; a name is known. */
void
netcheck_host_known(void)
{
	if (run != NULL)
		timer_set(&ev_run, 0);
}

/* --- what comes of it --- */

static void
facts_set(const struct nc_report *r, int64_t now)
{
	facts.f_time = now;
	facts.f_varies = r->nr_varies;
	facts.f_n = nc_report_globals(r, facts.f_addr, NC_FACTS_MAX);
	endpoints_update(0);
	endpoints_measured(now);
}

const struct nc_facts *
netcheck_facts(void)
{
	return &facts;
}

const struct nc_report *
netcheck_report(void)
{
	return &history.h_last;
}

static void
run_drop(void)
{
	ncprobe_stop();
	ncping_stop();
	(void)evtimer_del(&ev_run);
	free(run);
	run = NULL;
}

static void
run_end(int64_t now)
{
	const struct msg_portmap	*pm = portmap_state();
	struct nc_report		*r = &run->r_report;
	struct nc_home			 ho;

	r->nr_os6 = udp_sock(AF_WIRE_INET6)->u_fd != -1;
	r->nr_upnp = (int8_t)pm->upnp - PORTMAP_NO;
	r->nr_pmp = (int8_t)pm->pmp - PORTMAP_NO;
	r->nr_pcp = (int8_t)pm->pcp - PORTMAP_NO;
	r->nr_date = os_date();
	r->nr_took = now - run->r_start;
	ho.ho_map = &map;
	ho.ho_home = derp_home();
	ho.ho_last_frame = derp_last_frame;
	ho.ho_started = run->r_start;
	ho.ho_now = now;
	nc_history_add(&history, r, &ho);
	facts_set(r, now);
	mute4 = run->r_tried4 && !r->nr_cansend4;
	run_drop();
	nctell_report(&map, &history.h_last);
	if (wanted) {
		wanted = 0;
		run_soon(now);
	} else if (periodic(now))
		timer_set(&ev_again, AGAIN_LEAST +
		    arc4random_uniform(AGAIN_JITTER / MSEC) * MSEC);
	else
		asleep = 1;
}

/* --- when --- */

/* Is there anybody whose mappings are worth being kept? */
static int
periodic(int64_t now)
{
	return nd.n_have_key && peer_count() > 0 && map.m_n > 0 &&
	    (nd.n_self.flags & SELF_ALWAYS_STUN ||
	    now - active <= TUN_IDLE);
}

static void
run_cb(int fd, short events, void *arg)
{
	int64_t	 now = os_now();

	if (run == NULL)
		run_begin(now);
	else
		run_step(now);
}

static void
again_cb(int fd, short events, void *arg)
{
	int64_t	 now = os_now();

	if (run != NULL)
		return;
	if (periodic(now))
		run_begin(now);
	else
		asleep = 1;
}

void
netcheck_kick(int full)
{
	if (!started)
		return;
	if (full)
		history.h_next_full = 1;
	if (run != NULL)
		wanted = 1;
	else
		run_soon(os_now());
}

void
netcheck_active(int64_t now)
{
	active = now;
	if (asleep && now - facts.f_time > AGAIN_LEAST) {
		asleep = 0;
		netcheck_kick(0);
	}
}

int
netcheck_running(void)
{
	return run != NULL || evtimer_pending(&ev_run, NULL);
}

/* Somebody waits for endpoints: those of a run under way will do. */
static void
refresh(int64_t now)
{
	if (!netcheck_running())
		netcheck_kick(0);
}

/* FNV-1a: does the map differ from the one before? */
static uint64_t
print_add(uint64_t h, const void *data, size_t len)
{
	const uint8_t	*p = data;
	size_t		 i;

	for (i = 0; i < len; i++)
		h = (h ^ p[i]) * 0x100000001b3ULL;
	return h;
}

static uint64_t
print_map(void)
{
	const struct derp_map	*dm = derpmap_now();
	uint64_t		 h = 0xcbf29ce484222325ULL;
	uint32_t		 i;

	for (i = 0; i < dm->dm_nregions; i++) {
		h = print_add(h, &dm->dm_region[i].dr,
		    sizeof(dm->dm_region[i].dr));
		h = print_add(h, dm->dm_region[i].dr_node,
		    dm->dm_region[i].dr_nnodes *
		    sizeof(*dm->dm_region[i].dr_node));
	}
	return h;
}

void
netcheck_netmap(void)
{
	static int	 had_peers;
	uint64_t	 h = print_map();

	if (h != map_print) {
		map_print = h;
		netcheck_map_changed();
	} else if (!had_peers && peer_count() > 0)
		netcheck_kick(0);
	had_peers = peer_count() > 0;
}

/* The plan of a run that is under way is void. */
void
netcheck_map_changed(void)
{
	if (run != NULL)
		run_drop();
	wanted = 0;
	netcheck_kick(1);
}

void
netcheck_link_changed(int major)
{
	if (major) {
		nc_history_reset(&history);
		facts.f_n = 0;
		facts.f_time = 0;
		if (run != NULL)
			run_drop();
		wanted = 0;
	}
	netcheck_kick(major);
}
