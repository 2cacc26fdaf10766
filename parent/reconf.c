/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Configuration to the children: each builds it aside, and only when all can
 * use it does anything change.
 */

#include <sys/types.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shoald.h"

#define READY_TIMEOUT	10		/* seconds */

static const enum proc	 parts[] = {
	PROC_NETD, PROC_CTRLD, PROC_DNSD, PROC_PORTMAPD
};

static struct {
	struct shoal_conf	*conf;		/* NULL: none under way */
	void			(*done)(const char *);
	struct event		 ev;
	unsigned int		 waiting;	/* bit per enum proc */
	unsigned int		 told;
} tx;

uint32_t
reconf_force_path(void)
{
#ifdef REGRESS
	const char	*s, *err;
	uint32_t	 v;

	if ((s = getenv("SHOAL_FORCE_PATH")) == NULL)
		return 0;
	v = strtonum(s, 0, 31, &err);
	return err == NULL ? v : 0;
#else
	return 0;
#endif
}

static void
part(struct proc_child *pc, enum msg_type type, const void *data, size_t len)
{
	(void)chan_compose(&pc->pc_chan, type, 0, -1, data, len);
}

static void
part_cafile(struct proc_child *pc, const struct shoal_conf *c)
{
	int	 fd;

	if ((fd = os_ca_open(c->c_cafile)) != -1)
		(void)chan_compose(&pc->pc_chan, IMSG_CA_FILE, 0, fd, NULL,
		    0);
	else if (c->c_control.u_tls && pc->pc_proc == PROC_CTRLD)
		log_warnx("no CA certificates: install the package "
		    "ca-certificates or set `ca file'");
}

static void
part_netd(struct proc_child *pc, const struct shoal_conf *c)
{
	struct msg_conf_netd	 m;

	memset(&m, 0, sizeof(m));
	m.port = c->c_port;
	m.shields_up = prefs_shields(c);
	m.relay = c->c_relay;
	m.hardnat = c->c_hardnat;
	m.mtu = c->c_mtu;
	m.force_path = reconf_force_path();
	part(pc, IMSG_CONF_NETD, &m, sizeof(m));
	part_cafile(pc, c);
}

/* REGRESS builds: so many seconds, to see it renewed. */
static uint32_t
portmap_lease(void)
{
#ifdef REGRESS
	const char	*s, *err;
	uint32_t	 v;

	if ((s = getenv("SHOAL_PORTMAP_LEASE")) == NULL)
		return 0;
	v = strtonum(s, 1, 86400, &err);
	return err == NULL ? v : 0;
#else
	return 0;
#endif
}

static void
part_portmapd(struct proc_child *pc, const struct shoal_conf *c)
{
	struct msg_conf_portmapd	 m;

	memset(&m, 0, sizeof(m));
	m.enabled = c->c_portmap;
	m.lease = portmap_lease();
	part(pc, IMSG_CONF_PORTMAPD, &m, sizeof(m));
}

static void
host_name(const struct shoal_conf *c, char *name, size_t len)
{
	char	 buf[256];

	if (strlcpy(name, prefs_hostname(c), len) > 0)
		return;
	if (gethostname(buf, sizeof(buf)) == -1)
		buf[0] = '\0';
	buf[sizeof(buf) - 1] = '\0';
	buf[strcspn(buf, ".")] = '\0';
	(void)strlcpy(name, buf[0] != '\0' ? buf : "localhost", len);
}

static void
host_words(struct msg_conf_ctrld *m)
{
	struct os_host	 h;

	os_describe(&h);
	(void)strlcpy(m->os, h.oh_os, sizeof(m->os));
	(void)strlcpy(m->os_version, h.oh_version, sizeof(m->os_version));
	(void)strlcpy(m->distro, h.oh_distro, sizeof(m->distro));
	(void)strlcpy(m->distro_version, h.oh_distrover,
	    sizeof(m->distro_version));
	(void)strlcpy(m->distro_code, h.oh_codename, sizeof(m->distro_code));
	(void)strlcpy(m->uname, h.oh_machine, sizeof(m->uname));
	(void)strlcpy(m->machine, h.oh_arch, sizeof(m->machine));
	m->container = h.oh_container;
}

static void
part_ctrld(struct proc_child *pc, const struct shoal_conf *c)
{
	struct msg_conf_ctrld	 m;
	struct msg_str64	 tag;
	size_t			 i;

	memset(&m, 0, sizeof(m));
	(void)strlcpy(m.url, c->c_control.u_text, sizeof(m.url));
	host_name(c, m.hostname, sizeof(m.hostname));
	(void)strlcpy(m.proxy, c->c_proxy.u_text, sizeof(m.proxy));
	(void)strlcpy(m.proxy_auth, c->c_proxy_auth, sizeof(m.proxy_auth));
	host_words(&m);
	m.ephemeral = c->c_ephemeral;
	m.peer_relay = c->c_relay;
	m.shields_up = prefs_shields(c);
	m.want_running = prefs_want_running();
	m.ntags = c->c_ntags;
	part(pc, IMSG_CONF_CTRLD, &m, sizeof(m));
	explicit_bzero(m.proxy_auth, sizeof(m.proxy_auth));
	for (i = 0; i < c->c_ntags; i++) {
		memset(&tag, 0, sizeof(tag));
		(void)strlcpy(tag.s, c->c_tag[i], sizeof(tag.s));
		part(pc, IMSG_CONF_TAG, &tag, sizeof(tag));
	}
	if (c->c_authkey[0] != '\0')
		part(pc, IMSG_CONF_AUTHKEY, c->c_authkey,
		    strlen(c->c_authkey) + 1);
	part_cafile(pc, c);
}

void
reconf_send(struct proc_child *pc, const struct shoal_conf *c)
{
	struct msg_conf_dnsd	 dns;

	part(pc, IMSG_RECONF_START, NULL, 0);
	switch (pc->pc_proc) {
	case PROC_NETD:
		part_netd(pc, c);
		break;
	case PROC_CTRLD:
		part_ctrld(pc, c);
		break;
	case PROC_PORTMAPD:
		part_portmapd(pc, c);
		break;
	default:
		memset(&dns, 0, sizeof(dns));
		part(pc, IMSG_CONF_DNSD, &dns, sizeof(dns));
		break;
	}
	part(pc, IMSG_RECONF_END, NULL, 0);
}

/* --- the transaction --- */

static void
tx_end(const char *why)
{
	struct shoal_conf	*c = tx.conf;
	void			(*done)(const char *) = tx.done;
	size_t			 i;

	(void)evtimer_del(&tx.ev);
	for (i = 0; i < nitems(parts); i++)
		if (tx.told & (1U << parts[i]))
			child_send(parts[i], why == NULL ?
			    IMSG_RECONF_COMMIT : IMSG_RECONF_ABORT, NULL, 0);
	memset(&tx, 0, sizeof(tx));
	if (why == NULL) {
		shoald_set_conf(c);
		gateway_update();
	} else if (c != shoald_conf())
		conf_free(c);
	if (done != NULL)
		done(why);
}

static void
tx_timeout_cb(int fd, short events, void *arg)
{
	tx_end("a child does not answer");
}

const char *
reconf_busy(void)
{
	size_t	 i;

	if (tx.conf != NULL)
		return "another change is under way: try again";
	for (i = 0; i < nitems(parts); i++)
		if (!child_running(parts[i]))
			return "a process is being replaced: try again";
	return NULL;
}

void
reconf_start(struct shoal_conf *c, void (*done)(const char *))
{
	struct timeval	 tv = { READY_TIMEOUT, 0 };
	const char	*why;
	size_t		 i;

	if ((why = reconf_busy()) != NULL) {
		if (c != shoald_conf())
			conf_free(c);
		done(why);
		return;
	}
	tx.conf = c;
	tx.done = done;
	evtimer_set(&tx.ev, tx_timeout_cb, NULL);
	(void)evtimer_add(&tx.ev, &tv);
	for (i = 0; i < nitems(parts); i++)
		tx.told |= 1U << parts[i];
	tx.waiting = tx.told;
	for (i = 0; i < nitems(parts); i++)
		reconf_send(child_get(parts[i]), c);
}

void
reconf_ready(struct proc_child *pc, uint32_t error)
{
	if (tx.conf == NULL || (tx.waiting & (1U << pc->pc_proc)) == 0)
		return;			/* of one that timed out */
	tx.waiting &= ~(1U << pc->pc_proc);
	if (error != 0) {
		log_warnx("%s cannot use the new configuration", pc->pc_name);
		tx_end("a process cannot use it");
	} else if (tx.waiting == 0)
		tx_end(NULL);
}

void
reconf_child_lost(void)
{
	if (tx.conf != NULL)
		tx_end("a process died");
}

static void
reload_done(const char *why)
{
	char	 text[256];

	if (why == NULL) {
		log_info("configuration reloaded");
		return;
	}
	(void)tunnel_set_port(shoald_conf()->c_port, text, sizeof(text));
	(void)tunnel_set_relay(shoald_conf()->c_relay,
	    shoald_conf()->c_relay_port, text, sizeof(text));
	log_warnx("configuration not reloaded: %s; the old one stays", why);
}

void
reconf_reload(void)
{
	struct shoal_conf	*c;
	const char		*what;
	char			 why[256];

	if ((c = conf_parse(shoald_conf_file())) == NULL) {
		reload_done("errors above");
		return;
	}
	if ((what = conf_needs_restart(shoald_conf(), c)) != NULL) {
		(void)snprintf(why, sizeof(why), "%s changed, which needs a "
		    "restart", what);
		conf_free(c);
		reload_done(why);
		return;
	}
	if (tunnel_set_port(c->c_port, why, sizeof(why)) == -1 ||
	    tunnel_set_relay(c->c_relay, c->c_relay_port, why,
	    sizeof(why)) == -1) {
		conf_free(c);
		reload_done(why);
		return;
	}
	reconf_start(c, reload_done);
}
