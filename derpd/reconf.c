/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Configuration to the children, as a transaction: all can use the new one,
 * or nothing changes.
 */

#include <sys/types.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "derpd.h"

static const enum proc		 procs[] = { PROC_DERPCRYPT, PROC_RELAY };
static struct derp_conf	*next;
static unsigned int		 waiting;	/* P_* */
static int			 refused;

/* The end of the name is what tells files apart. */
static void
reconf_file(struct proc_child *pc, enum msg_type type, int fd,
    const char *name)
{
	size_t	 len;

	if (fd == -1) {
		log_warn("%s", name);
		return;
	}
	if ((len = strlen(name)) >= MSG_NAME_LEN)
		name += len - MSG_NAME_LEN + 1;
	(void)chan_compose(&pc->pc_chan, type, 0, fd, name, strlen(name) + 1);
}

/* The key goes by descriptor: it never passes through this process. */
static void
reconf_tls(struct proc_child *pc, const struct derp_conf *c)
{
	reconf_file(pc, IMSG_CERT_FD, state_anon(c->c_cert_text,
	    c->c_cert_len), c->c_cert);
	if (pc->pc_proc == PROC_DERPCRYPT)
		reconf_file(pc, IMSG_TLSKEY_FD, open(c->c_key, O_RDONLY |
		    O_CLOEXEC | O_NOCTTY), c->c_key);
}

/* What coordd has to see. The relay needs it, and it is worth the list. */
static void
reconf_clients(struct proc_child *pc, const struct derp_conf *c)
{
	int	 fd;

	if (c->c_verify != RELAY_VERIFY_COORDD)
		return;
	if ((fd = open(c->c_clients, O_RDONLY | O_CLOEXEC | O_NOCTTY)) == -1)
		log_warn("%s", c->c_clients);
	else
		(void)chan_compose(&pc->pc_chan, IMSG_CLIENTSKEY_FD, 0, fd,
		    NULL, 0);
}

/* Those that the relay may be connected to, and how to know them. */
static void
reconf_servers(struct proc_child *pc, const struct derp_conf *c)
{
	size_t	 i;
	int	 fd;

	for (i = 0; i < c->c_nserver; i++)
		(void)chan_compose(&pc->pc_chan, IMSG_CONF_SERVER, 0, -1,
		    &c->c_server[i], sizeof(c->c_server[i]));
	for (i = 0; i < c->c_nboot; i++)
		(void)chan_compose(&pc->pc_chan, IMSG_CONF_BOOTSTRAP, 0, -1,
		    &c->c_boot[i], sizeof(c->c_boot[i]));
	allow_send(pc, c);
	reconf_clients(pc, c);
	if (c->c_nserver == 0)
		return;
	if ((fd = os_ca_open(c->c_cafile)) != -1)
		(void)chan_compose(&pc->pc_chan, IMSG_CA_FILE, 0, fd, NULL,
		    0);
}

/* The key goes by descriptor: it never passes through this process. */
static void
reconf_meshkey(struct proc_child *pc, const struct derp_conf *c)
{
	int	 fd;

	if (c->c_meshkey[0] == '\0')
		return;
	if ((fd = open(c->c_meshkey, O_RDONLY | O_CLOEXEC | O_NOCTTY)) == -1)
		log_warn("%s", c->c_meshkey);
	else
		(void)chan_compose(&pc->pc_chan, IMSG_MESHKEY_FD, 0, fd,
		    NULL, 0);
}

static void
reconf_parts(struct proc_child *pc, const struct derp_conf *c)
{
	struct msg_conf_relay	 m;

	memset(&m, 0, sizeof(m));
	(void)strlcpy(m.hostname, c->c_hostname, sizeof(m.hostname));
	m.max_conns = MAX_CONNS;
	m.tls = c->c_tls;
	m.rate = c->c_rate;
	m.burst = c->c_burst;
	m.all_rate = c->c_all_rate;
	m.all_burst = c->c_all_burst;
	m.verify = c->c_verify;
	m.serial = c->c_serial;
	(void)chan_compose(&pc->pc_chan, IMSG_CONF_RELAY, 0, -1, &m,
	    sizeof(m));
	if (pc->pc_proc == PROC_RELAY) {
		lsock_send(&pc->pc_chan, &c->c_listen);
		reconf_servers(pc, c);
	} else
		reconf_meshkey(pc, c);
	if (c->c_tls == RELAY_TLS_FILE)
		reconf_tls(pc, c);
}

static void
reconf_word(struct proc_child *pc, enum msg_type type)
{
	(void)chan_compose(&pc->pc_chan, type, 0, -1, NULL, 0);
}

void
reconf_send(struct proc_child *pc, const struct derp_conf *c)
{
	reconf_word(pc, IMSG_RECONF_START);
	reconf_parts(pc, c);
	reconf_word(pc, IMSG_RECONF_END);
}

static void
reconf_finish(void)
{
	size_t	 i;

	for (i = 0; i < nitems(procs); i++)
		if (child_get(procs[i])->pc_state == PROC_READY)
			reconf_word(child_get(procs[i]), refused ?
			    IMSG_RECONF_ABORT : IMSG_RECONF_COMMIT);
	if (refused) {
		lsock_abort();
		conf_free(next);
		log_warnx("reload refused: nothing has changed");
	} else {
		lsock_commit();
		derpd_set_conf(next);
		local_drop();
		allow_watch();
		log_info("configuration reloaded");
	}
	next = NULL;
	waiting = 0;
}

/* All of the new configuration but the children's word on it. */
static int
reconf_prepare(struct derp_conf *c)
{
	const char	*what;
	char		 why[MSG_TEXT_LEN];

	if ((what = conf_needs_restart(derpd_conf(), c)) != NULL) {
		log_warnx("reload refused: a change of %s needs a restart",
		    what);
		return -1;
	}
	if (lsock_open(&c->c_listen, why, sizeof(why)) == -1) {
		log_warnx("reload refused: %s", why);
		return -1;
	}
	return 0;
}

void
reconf_reload(void)
{
	struct derp_conf	*c;
	size_t			 i;

	if (next != NULL) {
		log_warnx("reload refused: another one is under way");
		return;
	}
	for (i = 0; i < nitems(procs); i++)
		if (!derpd_up() ||
		    child_get(procs[i])->pc_state != PROC_READY) {
			log_warnx("reload refused: still starting");
			return;
		}
	if ((c = conf_parse(derpd_conf_file())) == NULL) {
		log_warnx("reload refused: nothing has changed");
		return;
	}
	if (reconf_prepare(c) == -1) {
		conf_free(c);
		return;
	}
	next = c;
	next->c_serial = derpd_conf()->c_serial + 1;
	refused = 0;
	waiting = P_DERPCRYPT | P_RELAY;
	for (i = 0; i < nitems(procs); i++)
		reconf_send(child_get(procs[i]), next);
}

int
reconf_ready(struct proc_child *pc, struct imsg *imsg)
{
	struct msg_u32	 m;

	if (msg_get(imsg, &m, sizeof(m)) == -1)
		return -1;
	if (next == NULL) {
		if (m.v != 0)
			derpd_stop("%s cannot use the configuration: see "
			    "the line above", pc->pc_name);
		reconf_word(pc, IMSG_RECONF_COMMIT);
		return child_configured(pc);
	}
	if ((waiting & (1U << pc->pc_proc)) == 0)
		return -1;
	waiting &= ~(1U << pc->pc_proc);
	if (m.v != 0)
		refused = 1;
	if (waiting == 0)
		reconf_finish();
	return 0;
}

void
reconf_child_lost(void)
{
	if (next == NULL)
		return;
	refused = 1;
	reconf_finish();
}
