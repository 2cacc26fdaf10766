/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * What comes of a report: the home region, NetInfo for the control server,
 * and answers for operators (dataplane.md 3.7, 4.3, 4.4).
 */

#include <sys/types.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "netcheck.h"

#define ASKERS_MAX	8
#define HOME_GRACE	(10 * NSEC)	/* to get connected */

static struct {
	uint32_t	 a_id;
	uint32_t	 a_flags;	/* NETCHECK_* */
	int64_t		 a_time;
}			 askers[ASKERS_MAX];
static size_t		 naskers;
static struct {
	struct msg_netinfo	 t_info;
	struct msg_netinfo_lat	 t_lat[MSG_LIST_MAX];
}			 told;
static int		 have_told;
static int64_t		 home_since;
static int		 control_up;

static void	 home_set(uint16_t);
static uint16_t	 home_fallback(const struct nc_map *);
static void	 home_choose(const struct nc_map *, const struct nc_report *);
static void	 info_lat(const struct nc_lat *, uint8_t, int64_t);
static void	 info_fill(const struct nc_report *);
static void	 info_send(void);
static void	 tell_report(uint32_t, const struct nc_report *);
static void	 tell_regions(uint32_t, const struct nc_report *);
static void	 tell_seen(uint32_t, const struct nc_seen *, size_t);
static void	 tell_all(uint32_t, const struct nc_report *);
static void	 log_report(const struct nc_report *);

/* --- home --- */

static void
home_set(uint16_t region)
{
	if (region == derp_home())
		return;
	home_since = os_now();
	derp_set_home(region);
}

/* The same one for this node each time, others for others. */
static uint16_t
home_fallback(const struct nc_map *m)
{
	uint32_t	 seed;

	if (endpoints_families() == 0)
		return 0;		/* no network: it would be a guess */
	memcpy(&seed, nd.n_key, sizeof(seed));
	return nc_fallback(m, seed);
}

/*
 * Without the control server nobody hears of a move: peers would look for us
 * where we are no more. So it waits, unless there is no home yet.
 */
static void
home_choose(const struct nc_map *m, const struct nc_report *r)
{
	uint16_t	 home = derp_home(), want = r->nr_preferred;

	if (home != 0 && nc_region_find(m, home) == NULL)
		home = 0;
	if (want == 0)
		want = home != 0 ? home : home_fallback(m);
	if (home != 0 && !control_up)
		want = home;
	home_set(want);
}

void
nctell_early(const struct nc_map *m, const struct nc_report *r)
{
	uint16_t	 region;

	if (derp_home() != 0 && nc_region_find(m, derp_home()) != NULL)
		return;
	if ((region = nc_best(m, r)) == 0)
		region = home_fallback(m);
	home_set(region);
	info_fill(r);
	info_send();
}

/* --- NetInfo --- */

static void
info_lat(const struct nc_lat *l, uint8_t af, int64_t latency)
{
	struct msg_netinfo_lat	*o;

	if (latency == 0 || told.t_info.nlat == MSG_LIST_MAX)
		return;
	o = &told.t_lat[told.t_info.nlat++];
	o->region = l->l_region;
	o->family = af;
	o->latency = latency;
}

static void
info_fill(const struct nc_report *r)
{
	struct msg_netinfo	*m = &told.t_info;
	size_t			 i;

	memset(&told, 0, sizeof(told));
	m->varies = r->nr_varies;
	m->ipv6 = r->nr_ipv6;
	m->os_ipv6 = r->nr_os6;
	m->udp = r->nr_udp;
	m->icmp4 = r->nr_icmp4;
	m->upnp = r->nr_upnp;
	m->pmp = r->nr_pmp;
	m->pcp = r->nr_pcp;
	m->portmap = portmap_state()->ep.af != 0;
	m->preferred_derp = derp_home();
	for (i = 0; i < r->nr_nlat; i++) {
		info_lat(&r->nr_lat[i], AF_WIRE_INET, r->nr_lat[i].l_v4);
		info_lat(&r->nr_lat[i], AF_WIRE_INET6, r->nr_lat[i].l_v6);
	}
	have_told = 1;
}

/* ctrld finds out whether that is news for the server. */
static void
info_send(void)
{
	if (have_told)
		(void)chan_compose2(&nd.n_ctrld, IMSG_NETINFO, 0, -1,
		    &told.t_info, sizeof(told.t_info), told.t_lat,
		    told.t_info.nlat * sizeof(told.t_lat[0]));
}

void
netcheck_ctrld_new(void)
{
	control_up = 0;
	info_send();
}

int
netcheck_online_message(struct imsg *imsg)
{
	struct msg_u32	 m;

	if (msg_get(imsg, &m, sizeof(m)) == -1)
		return -1;
	/* What the last reports wanted can be told now. */
	if (m.v && !control_up && netcheck_report()->nr_now != 0 &&
	    netcheck_report()->nr_preferred != derp_home())
		netcheck_kick(0);
	control_up = m.v != 0;
	return 0;
}

/* --- operators --- */

__attribute__((__format__ (printf, 5, 6)))
static void
health_row(uint32_t id, const char *what, const char *severity,
    const char *title, const char *fmt, ...)
{
	struct msg_ctl_health	 m;
	va_list			 ap;

	memset(&m, 0, sizeof(m));
	(void)strlcpy(m.id, what, sizeof(m.id));
	(void)strlcpy(m.title, title, sizeof(m.title));
	(void)strlcpy(m.severity, severity, sizeof(m.severity));
	va_start(ap, fmt);
	(void)vsnprintf(m.text, sizeof(m.text), fmt, ap);
	va_end(ap);
	(void)chan_compose(proc_parent(), IMSG_CTL_HEALTH, id, -1, &m,
	    sizeof(m));
}

void
netcheck_health(uint32_t id)
{
	const struct nc_report	*r = netcheck_report();
	uint16_t		 home = derp_home();

	if (r->nr_now == 0 || derpmap_now()->dm_nregions == 0)
		return;
	if (r->nr_captive == 1)
		health_row(id, "captive-portal-detected", "high",
		    "Captive portal", "the network wants you to log in with "
		    "a web browser first");
	if (home == 0)
		health_row(id, "no-derp-home", "medium", "No home relay",
		    "no relay can be reached");
	else if (!derp_connected(home) && os_now() - home_since > HOME_GRACE)
		health_row(id, "no-derp-connection", "medium",
		    "Relay unavailable", "the home relay %s cannot be "
		    "reached", derpmap_name(home));
	if (!r->nr_udp && (nd.n_self.flags & SELF_ONLY_443) == 0)
		health_row(id, "no-udp", "low", "UDP is blocked", "no relay "
		    "answers STUN: traffic to most peers goes by relays");
}

int
netcheck_ctl(uint32_t id, const struct msg_ctl_netcheck *m)
{
	struct msg_ctl_fail	 fail;

	if (m->flags & ~(NETCHECK_FULL | NETCHECK_VERBOSE))
		return -1;
	if (naskers == ASKERS_MAX || derpmap_now()->dm_nregions == 0) {
		memset(&fail, 0, sizeof(fail));
		fail.code = 1;
		(void)strlcpy(fail.text, naskers == ASKERS_MAX ?
		    "too many wait for a report" : "there are no relays to "
		    "measure: the control server has not told any",
		    sizeof(fail.text));
		(void)chan_compose(proc_parent(), IMSG_CTL_FAIL, id, -1,
		    &fail, sizeof(fail));
		return 0;
	}
	askers[naskers].a_id = id;
	askers[naskers].a_time = os_now();
	askers[naskers++].a_flags = m->flags;
	netcheck_kick(m->flags & NETCHECK_FULL);
	return 0;
}

int
nctell_verbose(void)
{
	size_t	 i;

	for (i = 0; i < naskers; i++)
		if (askers[i].a_flags & NETCHECK_VERBOSE)
			return 1;
	return 0;
}

static void
tell_report(uint32_t id, const struct nc_report *r)
{
	struct msg_ctl_netreport	 m;

	memset(&m, 0, sizeof(m));
	m.date = r->nr_date;
	m.took = r->nr_took;
	m.udp = r->nr_udp;
	m.ipv4 = r->nr_ipv4;
	m.ipv6 = r->nr_ipv6;
	m.cansend4 = r->nr_cansend4;
	m.cansend6 = r->nr_cansend6;
	m.os6 = r->nr_os6;
	m.icmp4 = r->nr_icmp4;
	m.varies = r->nr_varies;
	m.upnp = r->nr_upnp;
	m.pmp = r->nr_pmp;
	m.pcp = r->nr_pcp;
	m.captive = r->nr_captive;
	m.preferred = r->nr_preferred;
	m.home = derp_home();
	addr_to_ep(&r->nr_global4, &m.global4);
	addr_to_ep(&r->nr_global6, &m.global6);
	(void)chan_compose(proc_parent(), IMSG_CTL_NETREPORT, id, -1, &m,
	    sizeof(m));
}

static void
tell_regions(uint32_t id, const struct nc_report *r)
{
	const struct derp_map		*dm = derpmap_now();
	struct msg_ctl_netregion	 m;
	const struct nc_lat		*l;
	uint32_t			 i;

	for (i = 0; i < dm->dm_nregions; i++) {
		memset(&m, 0, sizeof(m));
		m.id = dm->dm_region[i].dr.id;
		memcpy(m.code, dm->dm_region[i].dr.code, sizeof(m.code));
		memcpy(m.name, dm->dm_region[i].dr.name, sizeof(m.name));
		if ((l = nc_report_lat(r, m.id)) != NULL) {
			m.latency = l->l_any;
			m.latency4 = l->l_v4;
			m.latency6 = l->l_v6;
		}
		(void)chan_compose(proc_parent(), IMSG_CTL_NETREGION, id, -1,
		    &m, sizeof(m));
	}
}

static void
tell_seen(uint32_t id, const struct nc_seen *seen, size_t n)
{
	struct msg_ctl_netseen	 m;
	size_t			 i;

	for (i = 0; i < n; i++) {
		memset(&m, 0, sizeof(m));
		addr_to_ep(&seen[i].s_addr, &m.ep);
		m.count = seen[i].s_count;
		(void)chan_compose(proc_parent(), IMSG_CTL_NETSEEN, id, -1,
		    &m, sizeof(m));
	}
}

/* --- all of it --- */

static void
log_report(const struct nc_report *r)
{
	char	 buf[ADDR_TEXT];

	log_debug("netcheck: udp=%u v4=%u v6=%u varies=%d portal=%d "
	    "regions=%zu derp=%u in %lld ms, %s", r->nr_udp, r->nr_ipv4,
	    r->nr_ipv6, r->nr_varies, r->nr_captive, r->nr_nlat,
	    r->nr_preferred, (long long)(r->nr_took / MSEC),
	    addr_print(&r->nr_global4, buf));
}

static void
tell_all(uint32_t id, const struct nc_report *r)
{
	tell_report(id, r);
	tell_regions(id, r);
	tell_seen(id, r->nr_seen4, r->nr_nseen4);
	tell_seen(id, r->nr_seen6, r->nr_nseen6);
	(void)chan_compose(proc_parent(), IMSG_CTL_END, id, -1, NULL, 0);
}

void
nctell_report(const struct nc_map *m, const struct nc_report *r)
{
	int64_t	 began = r->nr_now - r->nr_took;
	size_t	 i, n = 0;

	log_report(r);
	home_choose(m, r);
	info_fill(r);
	info_send();
	/* Who asked while it was under way hears of the next one. */
	for (i = 0; i < naskers; i++)
		if (began >= askers[i].a_time)
			tell_all(askers[i].a_id, r);
		else
			askers[n++] = askers[i];
	naskers = n;
}
