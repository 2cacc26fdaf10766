/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The packet process: start, and who tells it what.
 */

#include <sys/types.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chapoly.h"
#include "hardnat.h"
#include "netd.h"
#include "ossl.h"
#include "tlsclient.h"
#include "tx.h"

#define NETD_USER	"_shoalnet"
#define TURN		100000		/* ns on a processor: soon again */

struct netd	 nd;
static struct msg_conf_netd	 conf_new;
static int			 conf_open;

static void	 netd_warmup(void);
static int	 netd_parent_msg(struct imsg *);
static int	 netd_conf(struct imsg *);
static void	 netd_conf_commit(void);
static int	 netd_descriptor(struct imsg *);
static int	 netd_ctl(struct imsg *);
static int	 netd_channel(enum proc, int, int);
static int	 netd_cryptod_msg(struct chan *, struct imsg *);
static int	 netd_ctrld_msg(struct chan *, struct imsg *);
static int	 netd_dnsd_msg(struct chan *, struct imsg *);
static void	 netd_exit(void);

static const struct proc_self	 self = {
	.ps_proc = PROC_NETD,
	.ps_parent = PROC_PARENT,
	.ps_name = "netd",
	.ps_user = NETD_USER,
	.ps_msg = netd_parent_msg,
	.ps_channel = netd_channel,
	.ps_threads = sender_start,
	.ps_exit = netd_exit
};

static const struct chan_cb	 cryptod_cb = {
	netd_cryptod_msg, proc_sibling_lost
};
static const struct chan_cb	 ctrld_cb = {
	netd_ctrld_msg, proc_sibling_lost
};

static const struct chan_cb	 dnsd_cb = {
	netd_dnsd_msg, proc_sibling_lost
};

/* Algorithms are fetched, tables are read, before the sandbox closes. */
static void
netd_warmup(void)
{
	static const uint8_t	 zero[WG_KEY_LEN];
	uint8_t			 pkt[64];
	struct wg_key		*k;

	ossl_start();
	if ((k = wg_key_new(zero, 1)) == NULL ||
	    wg_seal(k, pkt, pkt + 16, 0, 0, 0) == -1)
		fatal("cipher");
	wg_key_free(k);
	nd.n_cipher = chapoly_init(NULL);
	csum_init();
	tlsclient_warmup();
	os_turns(TURN);
	arc4random_buf(pkt, sizeof(pkt));
}

static int
netd_conf(struct imsg *imsg)
{
	struct msg_u32	 m = { 0 };

	switch (imsg_get_type(imsg)) {
	case IMSG_RECONF_START:
		conf_new = nd.n_conf;
		conf_open = 1;
		return 0;
	case IMSG_CONF_NETD:
		return conf_open ? msg_get(imsg, &conf_new,
		    sizeof(conf_new)) : -1;
	case IMSG_RECONF_END:
		return chan_compose(proc_parent(), IMSG_RECONF_READY, 0, -1,
		    &m, sizeof(m));
	case IMSG_RECONF_COMMIT:
		if (!conf_open)
			return -1;
		netd_conf_commit();
		/* FALLTHROUGH */
	default:
		conf_open = 0;
		return 0;
	}
}

static void
netd_conf_commit(void)
{
	int	 paths;

	paths = conf_new.force_path != nd.n_conf.force_path;
	nd.n_conf = conf_new;
	tlsclient_ca_commit();
	netmap_filter();
	if (!nd.n_conf.relay)
		relays_stop();
	if (!nd.n_conf.hardnat)
		hardnat_reset();
	if (!paths)
		return;
	udp_offloads(&nd.n_udp[0]);
	udp_offloads(&nd.n_udp[1]);
	sender_settle();
	nd.n_cipher = chapoly_init(nd.n_conf.force_path & FORCE_NO_MULTI ?
	    "avx512" : NULL);
	rx_init(nd.n_rx, tun_coal_caps());
}

static int
netd_descriptor(struct imsg *imsg)
{
	struct msg_tun	 t;
	struct msg_udp	 u;
	int		 fd;

	if ((fd = imsg_get_fd(imsg)) == -1)
		return -1;
	switch (imsg_get_type(imsg)) {
	case IMSG_TUN:
		if (msg_get(imsg, &t, sizeof(t)) == -1 ||
		    !msg_str_ok(t.name, sizeof(t.name)) ||
		    t.mtu < 576 || t.mtu > WG_MAX_PLAIN)
			break;
		if (t.queue != 0)
			close(fd);	/* one worker, one queue */
		else
			tun_set(fd, &t);
		return 0;
	case IMSG_UDP:
		if (msg_get(imsg, &u, sizeof(u)) == -1 ||
		    (u.af != AF_WIRE_INET && u.af != AF_WIRE_INET6))
			break;
		udp_set(fd, &u);
		endpoints_update(0);
		netcheck_kick(0);	/* another port, another mapping */
		return 0;
	case IMSG_PROBE_SOCK:
		if (msg_get(imsg, &u, sizeof(u)) == -1)
			break;
		return hardnat_sock(fd, &u);
	case IMSG_UDP_RELAY:
		if (msg_get(imsg, &u, sizeof(u)) == -1 ||
		    (u.af != AF_WIRE_INET && u.af != AF_WIRE_INET6))
			break;
		relays_set(fd, &u);
		return 0;
	default:
		(void)tlsclient_ca_fd(fd);
		return 0;
	}
	close(fd);
	return -1;
}

static int
netd_ctl(struct imsg *imsg)
{
	struct msg_ctl_netcheck	 nc;
	struct msg_ctl_ping	 ping;
	struct msg_str64	 what;
	uint32_t		 id = imsg_get_id(imsg);

	switch (imsg_get_type(imsg)) {
	case IMSG_CTL_STATUS:
		return ctl_status(id);
	case IMSG_CTL_PING:
		return msg_get(imsg, &ping, sizeof(ping)) == -1 ? -1 :
		    ping_start(proc_parent(), id, &ping);
	case IMSG_CTL_NETCHECK:
		return msg_get(imsg, &nc, sizeof(nc)) == -1 ? -1 :
		    netcheck_ctl(id, &nc);
	default:
		return msg_get(imsg, &what, sizeof(what)) == -1 ? -1 :
		    ctl_debug(id, &what);
	}
}

static int
netd_parent_msg(struct imsg *imsg)
{
	struct msg_u32	 m;

	switch (imsg_get_type(imsg)) {
	case IMSG_RECONF_START:
	case IMSG_CONF_NETD:
	case IMSG_RECONF_END:
	case IMSG_RECONF_COMMIT:
	case IMSG_RECONF_ABORT:
		return netd_conf(imsg);
	case IMSG_TUN:
	case IMSG_UDP:
	case IMSG_UDP_RELAY:
	case IMSG_PROBE_SOCK:
	case IMSG_CA_FILE:
		return netd_descriptor(imsg);
	case IMSG_PROBE_SOCKS_END:
		return msg_get(imsg, &m, sizeof(m)) == -1 ? -1 :
		    hardnat_socks_end(m.v);
	case IMSG_LOCALADDR_BEGIN:
	case IMSG_LOCALADDR:
	case IMSG_LOCALADDR_END:
		return endpoints_message(imsg);
	case IMSG_PORTMAP:
		return portmap_message(imsg);
	case IMSG_CONNECTED:
		return ask_message(imsg);
	case IMSG_WG_ACTIVE:
		return hs_active_message(imsg);
	case IMSG_CTL_STATUS:
	case IMSG_CTL_PING:
	case IMSG_CTL_NETCHECK:
	case IMSG_CTL_DEBUG:
		return netd_ctl(imsg);
	default:
		return -1;
	}
}

static int
netd_channel(enum proc who, int fd, int fresh)
{
	switch (who) {
	case PROC_CRYPTOD:
		chan_close(&nd.n_cryptod);
		chan_open(&nd.n_cryptod, fd, PROC_NETD, PROC_CRYPTOD,
		    &cryptod_cb, NULL);
		hs_cryptod_new();
		derp_cryptod_new();
		return 0;
	case PROC_CTRLD:
		chan_close(&nd.n_ctrld);
		chan_open(&nd.n_ctrld, fd, PROC_NETD, PROC_CTRLD, &ctrld_cb,
		    NULL);
		netmap_abort();
		endpoints_update(1);
		netcheck_ctrld_new();
		return 0;
	case PROC_DNSD:
		chan_close(&nd.n_dnsd);
		chan_open(&nd.n_dnsd, fd, PROC_NETD, PROC_DNSD, &dnsd_cb,
		    NULL);
		ask_dnsd_new();
		return 0;
	default:
		close(fd);
		return -1;
	}
}

static int
netd_cryptod_msg(struct chan *c, struct imsg *imsg)
{
	union {
		struct msg_keys		 keys;
		struct msg_wg_init	 init;
		struct msg_wg_resp	 resp;
		struct msg_wg_keys	 wgkeys;
		struct msg_disco_key	 disco;
	} m;
	int	 ret = -1;

	switch (imsg_get_type(imsg)) {
	case IMSG_KEYS:
		if (msg_get(imsg, &m.keys, sizeof(m.keys)) == -1)
			break;
		disco_set_key(m.keys.disco);
		hs_set_key(m.keys.node);
		netcheck_kick(0);
		derp_keys(m.keys.node);
		disco_ask_again();
		hs_kick();
		ret = 0;
		break;
	case IMSG_WG_INIT:
		if (msg_get(imsg, &m.init, sizeof(m.init)) == 0)
			ret = hs_wg_init(&m.init);
		break;
	case IMSG_WG_RESP:
		if (msg_get(imsg, &m.resp, sizeof(m.resp)) == 0)
			ret = hs_wg_resp(&m.resp);
		break;
	case IMSG_WG_KEYS:
		if (msg_get(imsg, &m.wgkeys, sizeof(m.wgkeys)) == 0)
			ret = hs_wg_keys(&m.wgkeys);
		break;
	case IMSG_DISCO_KEY:
		if (msg_get(imsg, &m.disco, sizeof(m.disco)) == 0)
			ret = disco_key_answer(&m.disco);
		break;
	case IMSG_DERP_SEALED:
	case IMSG_DERP_OPENED:
		ret = derp_cryptod_answer(imsg);
		break;
	default:
		break;
	}
	explicit_bzero(&m, sizeof(m));
	return ret;
}

static int
netd_ctrld_msg(struct chan *c, struct imsg *imsg)
{
	struct msg_ctl_ping	 ping;

	switch (imsg_get_type(imsg)) {
	case IMSG_CTRL_ONLINE:
		return netcheck_online_message(imsg);
	case IMSG_PEER_PING:
		return msg_get(imsg, &ping, sizeof(ping)) == -1 ? -1 :
		    ping_start(c, imsg_get_id(imsg), &ping);
	default:
		return netmap_message(imsg);
	}
}

static int
netd_dnsd_msg(struct chan *c, struct imsg *imsg)
{
	return imsg_get_type(imsg) == IMSG_RESOLVED ? ask_message(imsg) : -1;
}

static void
netd_exit(void)
{
	struct peer	*p, *next;

	sender_park();			/* and it never goes on */
	derp_exit();
	for (p = peer_first(); p != NULL; p = next) {
		next = peer_next(p);
		peer_delete(p);
	}
}

int
main(int argc, char *argv[])
{
	chan_guard(state_lock, state_unlock);
	proc_child_init(&self, netd_warmup, argc, argv);

	nd.n_tx = tx_new(TX_IN, TX_OUT);
	nd.n_own = tx_new(0, TX_OUT_OWN);
	if ((nd.n_rx = calloc(1, sizeof(*nd.n_rx))) == NULL ||
	    (nd.n_flows = filter_flows_new(FILTER_FLOWS_DEFAULT)) == NULL ||
	    (nd.n_jail_flows = filter_flows_new(FILTER_FLOWS_DEFAULT)) ==
	    NULL)
		fatal(NULL);
	tun_init();
	udp_init();
	rx_init(nd.n_rx, 0);
	peer_timers_init();
	hs_init();
	endpoints_init();
	netcheck_init();
	netmap_filter();
	proc_child_run();
}
