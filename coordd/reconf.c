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
static unsigned int		 waiting;	/* P_* */
static int			 refused;

static void
reconf_fd(struct proc_child *pc, enum msg_type type, int fd, const char *name)
{
	size_t	 len;

	if (fd == -1) {
		log_warn("%s", name == NULL ? "a file" : name);
		return;
	}
	/* The end of the name is what tells files apart. */
	if (name != NULL && (len = strlen(name)) >= MSG_NAME_LEN)
		name += len - MSG_NAME_LEN + 1;
	(void)chan_compose(&pc->pc_chan, type, 0, fd, name,
	    name == NULL ? 0 : strlen(name) + 1);
}

static void
reconf_file(struct proc_child *pc, enum msg_type type, const char *text,
    size_t len, const char *name)
{
	reconf_fd(pc, type, state_anon(text, len), name);
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
			reconf_fd(pc, IMSG_TLSKEY_FD, open(k->k_key,
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
		reconf_fd(pc, IMSG_CLIENTSKEY_FD, open(c->c_clients, O_RDONLY |
		    O_CLOEXEC | O_NOCTTY), NULL);
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

static void
reconf_word(struct proc_child *pc, enum msg_type type)
{
	(void)chan_compose(&pc->pc_chan, type, 0, -1, NULL, 0);
}

void
reconf_send(struct proc_child *pc, const struct coord_conf *c)
{
	reconf_word(pc, IMSG_RECONF_START);
	if (pc->pc_proc == PROC_STORED)
		reconf_send_stored(pc, c);
	else if (pc->pc_proc == PROC_FRONTD)
		reconf_send_frontd(pc, c);
	else
		reconf_certs(pc, c);
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
		coordd_set_conf(next);
		log_info("configuration reloaded");
	}
	next = NULL;
	waiting = 0;
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
	size_t			 i;

	if (next != NULL) {
		log_warnx("reload refused: another one is under way");
		return;
	}
	for (i = 0; i < nitems(procs); i++)
		if (!coordd_up() ||
		    child_get(procs[i])->pc_state != PROC_READY) {
			log_warnx("reload refused: still starting");
			return;
		}
	if ((c = conf_parse(coordd_conf_file())) == NULL) {
		log_warnx("reload refused: nothing has changed");
		return;
	}
	if (reconf_prepare(c) == -1) {
		conf_free(c);
		return;
	}
	next = c;
	refused = 0;
	waiting = P_COORDCRYPT | P_STORED | P_FRONTD;
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
			coordd_stop("%s cannot use the configuration: see "
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
