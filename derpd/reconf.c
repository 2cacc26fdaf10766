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

/* The key goes by descriptor: it never passes through this process. */
static void
reconf_tls(struct proc_child *pc, const struct derp_conf *c)
{
	transact_fd(pc, IMSG_CERT_FD, state_anon(c->c_cert_text,
	    c->c_cert_len), c->c_cert);
	if (pc->pc_proc == PROC_DERPCRYPT)
		transact_fd(pc, IMSG_TLSKEY_FD, open(c->c_key, O_RDONLY |
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

void
reconf_send(struct proc_child *pc, const struct derp_conf *c)
{
	transact_word(pc, IMSG_RECONF_START);
	reconf_parts(pc, c);
	transact_word(pc, IMSG_RECONF_END);
}

static void
reconf_end(int good)
{
	if (good) {
		lsock_commit();
		derpd_set_conf(next);
		local_drop();
		allow_watch();
	} else {
		lsock_abort();
		conf_free(next);
	}
	next = NULL;
}

static void
reconf_send_next(struct proc_child *pc)
{
	reconf_send(pc, next);
}

static const struct transact	 transact = {
	.ta_procs = procs,
	.ta_nprocs = nitems(procs),
	.ta_up = derpd_up,
	.ta_end = reconf_end,
	.ta_started = child_configured,
	.ta_stop = derpd_stop
};

void
reconf_init(void)
{
	transact_init(&transact);
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

	if (transact_may_begin() == -1)
		return;
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
	transact_begin(reconf_send_next);
}
