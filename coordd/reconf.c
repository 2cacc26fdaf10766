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

#include "coordd.h"

static const enum proc		 procs[] = {
	PROC_COORDCRYPT, PROC_STORED, PROC_FRONTD
};
static struct coord_conf	*next;

static void
reconf_file(struct proc_child *pc, enum msg_type type, const char *text,
    size_t len, const char *name)
{
	transact_fd(pc, type, state_anon(text, len), name);
}

static void
reconf_policy(struct proc_child *pc, const struct coord_conf *c)
{
	if (c->c_policy == POLICY_FILE)
		reconf_file(pc, IMSG_POLICY_FD, c->c_policy_text,
		    c->c_policy_len, c->c_policy_file);
}

/* A key goes by descriptor: it never passes through this process. */
static void
reconf_certs(struct proc_child *pc, const struct coord_conf *c)
{
	const struct conf_cert	*k;
	size_t			 i;

	for (i = 0; i < c->c_ncerts; i++) {
		k = &c->c_certs[i];
		reconf_file(pc, IMSG_CERT_FD, k->k_text, k->k_len, k->k_cert);
		if (pc->pc_proc == PROC_COORDCRYPT)
			transact_fd(pc, IMSG_TLSKEY_FD, open(k->k_key,
			    O_RDONLY | O_CLOEXEC | O_NOCTTY), k->k_key);
	}
}

static void
reconf_derpmap(struct proc_child *pc, const struct coord_conf *c)
{
	char	*text;
	size_t	 len;

	/* What the file has, and then ours over it. */
	if (c->c_derpmap_text != NULL)
		reconf_file(pc, IMSG_DERPMAP_FD, c->c_derpmap_text,
		    c->c_derpmap_len, c->c_derpmap);
	if ((text = derpmap_text(c, &len)) == NULL)
		return;
	reconf_file(pc, IMSG_DERPMAP_FD, text, len, coordd_conf_file());
	free(text);
}

static void
reconf_send_stored(struct proc_child *pc, const struct coord_conf *c)
{
	struct msg_conf_stored	 m;
	const char		*slash;
	size_t			 i;

	memset(&m, 0, sizeof(m));
	(void)strlcpy(m.url, c->c_url, sizeof(m.url));
	slash = strrchr(c->c_store, '/');
	(void)strlcpy(m.db, slash + 1, sizeof(m.db));
	(void)strlcpy(m.domain, c->c_domain, sizeof(m.domain));
	m.addr4 = c->c_addr4;
	m.addr6 = c->c_addr6;
	m.key_expiry = c->c_key_expiry;
	m.policy = c->c_policy;
	m.approve_manually = c->c_approve_manually;
	m.dns_update = c->c_hook[0] != '\0';
	m.ndns = c->c_ndns;
	m.ephemeral_s = EPHEMERAL_S;
	(void)chan_compose(&pc->pc_chan, IMSG_CONF_STORED, 0, -1, &m,
	    sizeof(m));
	for (i = 0; i < c->c_ndns; i++)
		(void)chan_compose(&pc->pc_chan, IMSG_CONF_DNS, 0, -1,
		    &c->c_dns[i], sizeof(c->c_dns[i]));
	reconf_policy(pc, c);
	reconf_derpmap(pc, c);
	if (c->c_clients[0] != '\0')
		transact_fd(pc, IMSG_CLIENTSKEY_FD, open(c->c_clients,
		    O_RDONLY | O_CLOEXEC | O_NOCTTY), NULL);
}

static void
reconf_send_frontd(struct proc_child *pc, const struct coord_conf *c)
{
	struct msg_conf_frontd	 m;

	memset(&m, 0, sizeof(m));
	(void)strlcpy(m.url, c->c_url, sizeof(m.url));
	m.max_conns = c->c_max_conns;
	m.keepalive_s = KEEPALIVE_S;
	(void)chan_compose(&pc->pc_chan, IMSG_CONF_FRONTD, 0, -1, &m,
	    sizeof(m));
	reconf_certs(pc, c);
	lsock_send(&pc->pc_chan, &c->c_listen);
}

void
reconf_send(struct proc_child *pc, const struct coord_conf *c)
{
	transact_word(pc, IMSG_RECONF_START);
	if (pc->pc_proc == PROC_STORED)
		reconf_send_stored(pc, c);
	else if (pc->pc_proc == PROC_FRONTD)
		reconf_send_frontd(pc, c);
	else
		reconf_certs(pc, c);
	transact_word(pc, IMSG_RECONF_END);
}

static void
reconf_end(int good)
{
	if (good) {
		lsock_commit();
		coordd_set_conf(next);
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
	.ta_up = coordd_up,
	.ta_end = reconf_end,
	.ta_started = child_configured,
	.ta_stop = coordd_stop
};

void
reconf_init(void)
{
	transact_init(&transact);
}

/* All of the new configuration but the children's word on it. */
static int
reconf_prepare(struct coord_conf *c)
{
	const char	*what;
	char		 why[MSG_TEXT_LEN];

	if ((what = conf_needs_restart(coordd_conf(), c)) != NULL) {
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
	struct coord_conf	*c;

	if (transact_may_begin() == -1)
		return;
	if ((c = conf_parse(coordd_conf_file())) == NULL) {
		log_warnx("reload refused: nothing has changed");
		return;
	}
	if (reconf_prepare(c) == -1) {
		conf_free(c);
		return;
	}
	next = c;
	transact_begin(reconf_send_next);
}
