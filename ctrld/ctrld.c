/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * ctrld: main, configuration, channels to the siblings.
 */

#include <sys/types.h>

#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <nghttp2/nghttp2.h>

#include "ctrld.h"
#include "mapframe.h"
#include "ossl.h"
#include "proc.h"
#include "tlsclient.h"

static struct ctrld_conf	*conf, *next;
static struct chan		 chan_cryptod, chan_netd, chan_dnsd;
static int			 links;

static int	 ctrld_parent_msg(struct imsg *);
static int	 ctrld_channel(enum proc, int, int);
static void	 ctrld_startup(void);
static void	 ctrld_exit(void);
static int	 cryptod_msg(struct chan *, struct imsg *);
static int	 netd_msg(struct chan *, struct imsg *);
static int	 dnsd_msg(struct chan *, struct imsg *);

static const struct proc_self	 self = {
	.ps_proc = PROC_CTRLD,
	.ps_parent = PROC_PARENT,
	.ps_name = "ctrld",
	.ps_user = CTRLD_USER,
	.ps_msg = ctrld_parent_msg,
	.ps_channel = ctrld_channel,
	.ps_startup = ctrld_startup,
	.ps_exit = ctrld_exit
};
static const struct chan_cb	 cryptod_cb = {
	cryptod_msg, proc_sibling_lost
};
static const struct chan_cb	 netd_cb = { netd_msg, proc_sibling_lost };
static const struct chan_cb	 dnsd_cb = { dnsd_msg, proc_sibling_lost };

struct chan *
ctrld_cryptod(void)
{
	return &chan_cryptod;
}

struct chan *
ctrld_netd(void)
{
	return &chan_netd;
}

struct chan *
ctrld_dnsd(void)
{
	return &chan_dnsd;
}

const struct ctrld_conf *
ctrld_conf(void)
{
	return conf;
}

uint32_t
ctrld_id(void)
{
	static uint32_t	 id;

	if (++id == 0)
		id++;
	return id;
}

void
timer_ms(struct event *ev, uint32_t ms)
{
	struct timeval	 tv;

	tv.tv_sec = ms / 1000;
	tv.tv_usec = ms % 1000 * 1000;
	(void)evtimer_del(ev);
	if (evtimer_add(ev, &tv) == -1)
		fatal("evtimer_add");
}

/* What libraries do at their first use is done before the sandbox closes. */
static void
ctrld_warmup(void)
{
	nghttp2_session_callbacks	*cbs;
	nghttp2_session			*h2;
	struct mapframe			*f;
	json_t				*j;

	ossl_start();
	tlsclient_warmup();
	json_object_seed(arc4random() | 1);
	if ((j = ju_load("{\"a\":[1,\"b\"]}", 13)) != NULL)
		json_decref(j);
	f = mapframe_new(1);
	mapframe_free(f);
	if (nghttp2_session_callbacks_new(&cbs) != 0 ||
	    nghttp2_session_client_new(&h2, cbs, NULL) != 0)
		fatalx("nghttp2 does not start");
	nghttp2_session_del(h2);
	nghttp2_session_callbacks_del(cbs);
}

int
main(int argc, char *argv[])
{
	proc_child_init(&self, ctrld_warmup, argc, argv);
	if ((conf = calloc(1, sizeof(*conf))) == NULL)
		fatal(NULL);
	control_init();
	map_init();
	cache_init();
	ping_init();
	peerping_init();
	proc_child_run();
}

static void
ctrld_startup(void)
{
	control_report(1);
	control_step();
}

static void
conf_free(struct ctrld_conf *c)
{
	if (c == NULL)
		return;
	freezero(c, sizeof(*c));
}

static void
ctrld_exit(void)
{
	conf_free(conf);
	conf_free(next);
}

/* --- configuration --- */

static int
conf_main(struct imsg *imsg)
{
	struct msg_conf_ctrld	*m;

	if (next == NULL)
		return -1;
	m = &next->c_msg;
	if (msg_get(imsg, m, sizeof(*m)) == -1 ||
	    !msg_str_ok(m->url, sizeof(m->url)) ||
	    !msg_str_ok(m->proxy, sizeof(m->proxy)) ||
	    !msg_str_ok(m->proxy_auth, sizeof(m->proxy_auth)) ||
	    !msg_str_ok(m->hostname, sizeof(m->hostname)) ||
	    !msg_str_ok(m->os, sizeof(m->os)) ||
	    !msg_str_ok(m->os_version, sizeof(m->os_version)) ||
	    !msg_str_ok(m->distro, sizeof(m->distro)) ||
	    !msg_str_ok(m->distro_version, sizeof(m->distro_version)) ||
	    !msg_str_ok(m->distro_code, sizeof(m->distro_code)) ||
	    !msg_str_ok(m->uname, sizeof(m->uname)) ||
	    !msg_str_ok(m->machine, sizeof(m->machine)))
		return -1;
	return 0;
}

static int
conf_part(struct imsg *imsg)
{
	struct msg_str64	*s;
	struct msg_prefix	*p;

	if (next == NULL)
		return -1;
	switch (imsg_get_type(imsg)) {
	case IMSG_CONF_TAG:
		if (next->c_ntags == MAX_TAGS)
			return -1;
		s = &next->c_tags[next->c_ntags++];
		return msg_get(imsg, s, sizeof(*s)) == -1 ||
		    !msg_str_ok(s->s, sizeof(s->s)) ? -1 : 0;
	case IMSG_CONF_ROUTE:
		if (next->c_nroutes == MAX_ROUTES)
			return -1;
		p = &next->c_routes[next->c_nroutes++];
		if (msg_get(imsg, p, sizeof(*p)) == -1)
			return -1;
		return p->plen <= (p->af == AF_WIRE_INET ? 32 :
		    p->af == AF_WIRE_INET6 ? 128 : -1) ? 0 : -1;
	default:
		if (imsg_get_len(imsg) > sizeof(next->c_authkey) ||
		    imsg_get_buf(imsg, next->c_authkey,
		    imsg_get_len(imsg)) == -1 ||
		    !msg_str_ok(next->c_authkey, sizeof(next->c_authkey)))
			return -1;
		return 0;
	}
}

/* What was counted must have come. */
static int
conf_ready(void)
{
	struct msg_u32	 m;

	if (next == NULL)
		return -1;
	memset(&m, 0, sizeof(m));
	m.v = next->c_ntags != next->c_msg.ntags ||
	    next->c_nroutes != next->c_msg.nroutes;
	(void)chan_compose(proc_parent(), IMSG_RECONF_READY, 0, -1, &m,
	    sizeof(m));
	return 0;
}

static int
conf_commit(void)
{
	struct ctrld_conf	*old;
	int			 changed, newkey, rerouted;

	if (next == NULL)
		return -1;
	changed = strcmp(conf->c_msg.url, next->c_msg.url) != 0;
	rerouted = strcmp(conf->c_msg.proxy, next->c_msg.proxy) != 0 ||
	    os_timingsafe_bcmp(conf->c_msg.proxy_auth, next->c_msg.proxy_auth,
	    sizeof(conf->c_msg.proxy_auth)) != 0;
	newkey = os_timingsafe_bcmp(conf->c_authkey, next->c_authkey,
	    sizeof(conf->c_authkey)) != 0;
	old = conf;
	conf = next;
	next = NULL;
	conf_free(old);
	tlsclient_ca_commit();
	control_conf(changed, newkey);
	if (rerouted && !changed)
		control_link_change();
	return 0;
}

static int
ctrld_reconf(struct imsg *imsg)
{
	int	 fd;

	switch (imsg_get_type(imsg)) {
	case IMSG_RECONF_START:
		conf_free(next);
		if ((next = calloc(1, sizeof(*next))) == NULL)
			fatal(NULL);
		return 0;
	case IMSG_CONF_CTRLD:
		return conf_main(imsg);
	case IMSG_CA_FILE:
		if (next == NULL || (fd = imsg_get_fd(imsg)) == -1)
			return -1;
		(void)tlsclient_ca_fd(fd);
		return 0;
	case IMSG_RECONF_END:
		return conf_ready();
	case IMSG_RECONF_COMMIT:
		return conf_commit();
	case IMSG_RECONF_ABORT:
		conf_free(next);
		next = NULL;
		return 0;
	default:
		return conf_part(imsg);
	}
}

/* --- the parent --- */

/* Only that the host moved matters here; netd makes the endpoints. */
static int
ctrld_links(struct imsg *imsg)
{
	struct msg_u32	 m;

	if (imsg_get_type(imsg) != IMSG_LOCALADDR_END)
		return 0;
	if (msg_get(imsg, &m, sizeof(m)) == -1)
		return -1;
	if (links && m.v)
		control_link_change();
	links = 1;
	return 0;
}

static int
ctrld_order(struct imsg *imsg)
{
	struct msg_u32	 m;

	if (imsg_get_type(imsg) == IMSG_LOGOUT) {
		control_logout();
		return 0;
	}
	if (msg_get(imsg, &m, sizeof(m)) == -1)
		return -1;
	if (imsg_get_type(imsg) == IMSG_WANT)
		control_want(m.v != 0);
	else
		control_login(m.v);
	return 0;
}

static int
ctrld_parent_msg(struct imsg *imsg)
{
	switch (imsg_get_type(imsg)) {
	case IMSG_RECONF_START:
	case IMSG_RECONF_END:
	case IMSG_RECONF_COMMIT:
	case IMSG_RECONF_ABORT:
	case IMSG_CONF_CTRLD:
	case IMSG_CONF_TAG:
	case IMSG_CONF_ROUTE:
	case IMSG_CONF_AUTHKEY:
	case IMSG_CA_FILE:
		return ctrld_reconf(imsg);
	case IMSG_LOCALADDR_BEGIN:
	case IMSG_LOCALADDR:
	case IMSG_LOCALADDR_END:
		return ctrld_links(imsg);
	case IMSG_CONNECTED:
		return conn_connected(imsg);
	case IMSG_CACHE_FD:
		return cache_fd(imsg);
	case IMSG_CACHE_NEWFD:
		return cache_newfd(imsg);
	case IMSG_WANT:
	case IMSG_LOGIN:
	case IMSG_LOGOUT:
		return ctrld_order(imsg);
	default:
		return answer_msg(imsg);
	}
}

/* --- the siblings --- */

static int
cryptod_msg(struct chan *c, struct imsg *imsg)
{
	struct msg_keys	 m;

	switch (imsg_get_type(imsg)) {
	case IMSG_KEYS:
		if (msg_get(imsg, &m, sizeof(m)) == -1)
			return -1;
		control_keys(&m);
		return 0;
	case IMSG_NOISE_MSG1:
		return session_noise_msg1(imsg);
	case IMSG_NOISE_KEYS:
		return session_noise_keys(imsg);
	default:
		return -1;
	}
}

static int
netd_msg(struct chan *c, struct imsg *imsg)
{
	switch (imsg_get_type(imsg)) {
	case IMSG_ENDPOINTS:
		return endpoints_msg(imsg);
	case IMSG_NETINFO:
		return netinfo_msg(imsg);
	case IMSG_PEER_PONG:
		return peerping_pong(imsg);
	default:
		return -1;
	}
}

static int
dnsd_msg(struct chan *c, struct imsg *imsg)
{
	return imsg_get_type(imsg) == IMSG_RESOLVED ?
	    lookup_resolved(imsg) : -1;
}

static int
ctrld_channel(enum proc proc, int fd, int fresh)
{
	struct chan		*c;
	const struct chan_cb	*cb;

	switch (proc) {
	case PROC_CRYPTOD:
		c = &chan_cryptod;
		cb = &cryptod_cb;
		break;
	case PROC_NETD:
		c = &chan_netd;
		cb = &netd_cb;
		break;
	case PROC_DNSD:
		c = &chan_dnsd;
		cb = &dnsd_cb;
		break;
	default:
		return -1;
	}
	chan_close(c);
	chan_open(c, fd, PROC_CTRLD, proc, cb, NULL);
	if (proc == PROC_CRYPTOD)
		control_cryptod_new();
	else if (proc == PROC_DNSD)
		lookup_dnsd_new();
	else
		control_netd_new();
	map_channel_new(proc);
	return 0;
}
