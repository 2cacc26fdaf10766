/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The children: in which order they start, what each is handed when it is
 * ready (for the first time, or as a replacement), and what they may say.
 */

#include <sys/types.h>

#include <string.h>

#include "shoald.h"

static struct proc_child	 kids[] = {
	{ .pc_proc = PROC_CRYPTOD, .pc_name = "cryptod" },
	{ .pc_proc = PROC_NETD, .pc_name = "netd" },
	{ .pc_proc = PROC_CTRLD, .pc_name = "ctrld" },
	{ .pc_proc = PROC_DNSD, .pc_name = "dnsd" },
	{ .pc_proc = PROC_PORTMAPD, .pc_name = "portmapd" }
};
#define NKIDS	nitems(kids)

/* Who talks to whom. */
static const enum proc	 pairs[][2] = {
	{ PROC_NETD, PROC_CRYPTOD },
	{ PROC_CTRLD, PROC_CRYPTOD },
	{ PROC_CTRLD, PROC_NETD },
	{ PROC_CTRLD, PROC_DNSD },
	{ PROC_NETD, PROC_DNSD }
};

static struct {
	int	 configured;	/* its first configuration is on the way */
	int	 running;
} life[PROC_MAX];

/* netd's last list of peers with sessions: its successor goes on with it. */
static struct {
	uint8_t		 data[sizeof(struct msg_nm_list) +
			    MSG_LIST_MAX * sizeof(struct msg_nm_id)];
	size_t		 len;
} active;

static struct event	 ev_failed;
static int		 begun;		/* all were ready once */
static int		 announced;

static void	children_ready(struct proc_child *);
static int	children_msg(struct proc_child *, struct imsg *);
static void	children_lost(struct proc_child *);
static void	children_stop(const char *);

static const struct proc_parent	 parent = {
	.pp_proc = PROC_PARENT,
	.pp_libexec = "../libexec/shoal",
	.pp_build = "..",
	.pp_ready = children_ready,
	.pp_msg = children_msg,
	.pp_lost = children_lost,
	.pp_stop = children_stop
};

void
children_init(void)
{
	proc_parent_init(&parent);
}

void
children_start(void)
{
	size_t	 i;

	for (i = 0; i < NKIDS; i++) {
		if (kids[i].pc_proc == PROC_NETD)
			kids[i].pc_threads = shoald_conf()->c_sender;
		if (proc_start(&kids[i]) == -1)
			shoald_stop("%s is not installed", kids[i].pc_name);
	}
}

struct proc_child *
child_get(enum proc proc)
{
	return proc_find(proc);
}

int
child_path(size_t i, char *path, size_t len)
{
	if (i >= NKIDS)
		return -1;
	(void)proc_path(&kids[i], path, len);
	return 0;
}

int
child_running(enum proc proc)
{
	return life[proc].running;
}

void
child_send_fd(enum proc proc, enum msg_type type, int fd, const void *data,
    size_t len)
{
	(void)chan_compose(&proc_find(proc)->pc_chan, type, 0, fd, data, len);
}

void
child_send(enum proc proc, enum msg_type type, const void *data, size_t len)
{
	child_send_fd(proc, type, -1, data, len);
}

/* --- start --- */

static void
children_connect(const struct proc_child *pc)
{
	size_t	 i;

	for (i = 0; i < nitems(pairs); i++)
		if (pairs[i][0] == pc->pc_proc || pairs[i][1] == pc->pc_proc)
			/* If the other is not ready, it does this. */
			(void)proc_connect(proc_find(pairs[i][0]),
			    proc_find(pairs[i][1]));
}

static int
all_ready(void)
{
	size_t	 i;

	for (i = 0; i < NKIDS; i++)
		if (kids[i].pc_state != PROC_READY)
			return 0;
	return 1;
}

static void
announce(void)
{
	size_t	 i;

	for (i = 0; i < NKIDS; i++)
		if (!life[kids[i].pc_proc].running)
			return;
	if (announced)
		return;
	announced = 1;
	shoald_started();
}

static void
set_running(struct proc_child *pc)
{
	proc_startup(pc);
	life[pc->pc_proc].running = 1;
	if (pc->pc_starts > 1)
		log_info("%s is back", pc->pc_name);
	announce();
}

/* What it needs before its first configuration. */
static void
child_feed(struct proc_child *pc)
{
	if (pc->pc_proc == PROC_CRYPTOD) {
		state_send(pc);
		set_running(pc);
	} else if (shoald_up()) {
		life[pc->pc_proc].configured = 1;
		reconf_send(pc, shoald_conf());
	}
}

/* And what comes after it. */
static void
child_equip(struct proc_child *pc)
{
	(void)chan_compose(&pc->pc_chan, IMSG_RECONF_COMMIT, 0, -1, NULL, 0);
	switch (pc->pc_proc) {
	case PROC_NETD:
		tunnel_send_netd(pc);
		linkmon_send(pc);
		gateway_send_netd(pc);
		if (active.len > 0)
			(void)chan_compose(&pc->pc_chan, IMSG_WG_ACTIVE, 0,
			    -1, active.data, active.len);
		break;
	case PROC_CTRLD:
		state_send_cache(pc);
		linkmon_send(pc);
		break;
	case PROC_DNSD:
		resolver_send(pc);
		tunnel_send_dnsd(pc);
		break;
	case PROC_PORTMAPD:
		gateway_send(pc);
		break;
	default:
		break;
	}
	set_running(pc);
}

/*
 * At the first start nobody gets anything before all have confined
 * themselves; then come the keys, and only then the tunnel.
 */
static void
children_ready(struct proc_child *pc)
{
	children_connect(pc);
	if (begun) {
		child_feed(pc);
		return;
	}
	if (!all_ready())
		return;
	begun = 1;
	child_feed(proc_find(PROC_CRYPTOD));
}

/* cryptod has the keys, for the first time. */
static void
children_keys(void)
{
	size_t	 i;

	if (shoald_up() || !state_loaded())
		return;
	shoald_keys();
	for (i = 0; i < NKIDS; i++)
		if (kids[i].pc_proc != PROC_CRYPTOD &&
		    kids[i].pc_state == PROC_READY)
			child_feed(&kids[i]);
}

/* --- death --- */

static void
failed_cb(int fd, short events, void *arg)
{
	struct proc_child	*pc = arg;

	shoald_stop("%s does not start: see the lines above", pc->pc_name);
}

static void
children_lost(struct proc_child *pc)
{
	struct timeval	 tv = { 0, 0 };

	memset(&life[pc->pc_proc], 0, sizeof(life[0]));
	broker_child_lost(pc->pc_proc);
	state_child_lost(pc->pc_proc);
	ctlreq_child_lost(pc->pc_proc);
	if (pc->pc_proc == PROC_CTRLD)
		kroute_child_lost();
	reconf_child_lost();
	if (announced)
		return;
	/* Nothing is to be kept alive yet; its last words come first. */
	evtimer_set(&ev_failed, failed_cb, pc);
	(void)evtimer_add(&ev_failed, &tv);
}

static void
children_stop(const char *line)
{
	shoald_stop("%s", line);
}

/* --- messages --- */

static int
child_reconf_ready(struct proc_child *pc, struct imsg *imsg)
{
	struct msg_u32	 m;

	if (msg_get(imsg, &m, sizeof(m)) == -1)
		return -1;
	if (!life[pc->pc_proc].configured)
		return -1;
	if (life[pc->pc_proc].running) {
		reconf_ready(pc, m.v);
		return 0;
	}
	if (m.v == 0)
		child_equip(pc);
	else if (announced)
		proc_kill(pc, "cannot use the configuration");
	else
		shoald_stop("%s cannot use the configuration: see the lines "
		    "above", pc->pc_name);
	return 0;
}

static int
ctrl_state_msg(struct imsg *imsg)
{
	struct msg_ctrl_state	 m;

	if (msg_get(imsg, &m, sizeof(m)) == -1 || m.state > CTRL_RUNNING ||
	    !msg_str_ok(m.latest, sizeof(m.latest)) ||
	    !msg_str_ok(m.url, sizeof(m.url)) ||
	    !msg_str_ok(m.error, sizeof(m.error)))
		return -1;
	control_state(&m);
	return 0;
}

static int
netd_rebind_msg(struct proc_child *pc, struct imsg *imsg)
{
	struct msg_u32	 m;

	if (msg_get(imsg, &m, sizeof(m)) == -1)
		return -1;
	return tunnel_rebind(pc, m.v);
}

static int
netd_probe_msg(struct proc_child *pc, struct imsg *imsg)
{
	struct msg_u32	 m;

	if (msg_get(imsg, &m, sizeof(m)) == -1)
		return -1;
	return tunnel_probe_socks(pc, m.v);
}

static int
netd_narrow_msg(struct imsg *imsg)
{
	struct msg_endpoint	 ep;

	if (msg_get(imsg, &ep, sizeof(ep)) == -1)
		return -1;
	return tunnel_narrow(&ep, imsg_get_id(imsg));
}

static int
netd_active_msg(struct imsg *imsg)
{
	struct msg_nm_list	 ml;
	const uint8_t		*elems;
	size_t			 len;

	if (msg_list(imsg, &ml, sizeof(ml), &elems) == -1 ||
	    ml.n > MSG_LIST_MAX || msg_list_ok(imsg, sizeof(ml), ml.n,
	    sizeof(struct msg_nm_id)) == -1)
		return -1;
	len = ml.n * sizeof(struct msg_nm_id);
	memcpy(active.data, &ml, sizeof(ml));
	memcpy(active.data + sizeof(ml), elems, len);
	active.len = sizeof(ml) + len;
	return 0;
}

/* The table says who may send what; here is what it means. */
static int
children_msg(struct proc_child *pc, struct imsg *imsg)
{
	proc_note_date();
	switch (imsg_get_type(imsg)) {
	case IMSG_RECONF_READY:
		return child_reconf_ready(pc, imsg);
	case IMSG_STATE_LOADED:
	case IMSG_STATE_PREF:
	case IMSG_STATE_WRITE:
	case IMSG_STATE_WRITTEN:
	case IMSG_CACHE_WRITE:
	case IMSG_CACHE_WRITTEN:
	case IMSG_CACHE_FORGET:
		return state_msg(pc, imsg);
	case IMSG_KEYS:
		children_keys();
		return 0;
	case IMSG_UDP_REBIND:
		return netd_rebind_msg(pc, imsg);
	case IMSG_PROBE_SOCKS_REQ:
		return netd_probe_msg(pc, imsg);
	case IMSG_PATH_NARROW:
		return netd_narrow_msg(imsg);
	case IMSG_WG_ACTIVE:
		return netd_active_msg(imsg);
	case IMSG_PORTMAP:
		return gateway_portmap(imsg);
	case IMSG_PORTMAP_PROBE:
		gateway_probe();
		return 0;
	case IMSG_PORTMAP_RELEASED:
		gateway_released();
		return 0;
	case IMSG_CONNECT:
		return broker_connect(pc, imsg);
	case IMSG_DERP_PORTS:
		return broker_derp_ports(imsg);
	case IMSG_UPSTREAM:
		return broker_upstream(pc, imsg);
	case IMSG_CTRL_STATE:
		return ctrl_state_msg(imsg);
	case IMSG_SELF_ATTRS:
		return attrs_msg(imsg);
	case IMSG_IFCONF_BEGIN:
	case IMSG_IFCONF_ADDR:
	case IMSG_IFCONF_ROUTE:
	case IMSG_IFCONF_COMMIT:
		return kroute_msg(imsg);
	case IMSG_CTL_TAILNET:
	case IMSG_CTL_NODE:
	case IMSG_CTL_USER:
	case IMSG_CTL_HEALTH:
	case IMSG_CTL_PEERSTAT:
	case IMSG_CTL_PONG:
	case IMSG_CTL_NETREPORT:
	case IMSG_CTL_NETREGION:
	case IMSG_CTL_NETSEEN:
	case IMSG_CTL_TEXT:
	case IMSG_CTL_END:
	case IMSG_CTL_FAIL:
		return ctlreq_answer(pc, imsg);
	default:
		return -1;
	}
}
