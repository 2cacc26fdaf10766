/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The two children: what they get at their start, what they say.
 */

#include <sys/types.h>

#include <string.h>

#include "derpd.h"

static struct proc_child	 crypt, relay;
static struct proc_child	*kids[] = { &crypt, &relay };
static int			 have_key;
static unsigned int		 configured;	/* P_* */

static void	 child_ready(struct proc_child *);
static int	 child_msg(struct proc_child *, struct imsg *);
static void	 child_lost(struct proc_child *);
static void	 child_stop(const char *);

static const struct proc_parent	 parent = {
	.pp_proc = PROC_DERPD,
	.pp_libexec = "../libexec/derpd",
	.pp_build = ".",
	.pp_ready = child_ready,
	.pp_msg = child_msg,
	.pp_lost = child_lost,
	.pp_stop = child_stop
};

struct proc_child *
child_get(enum proc proc)
{
	size_t	 i;

	for (i = 0; i < nitems(kids); i++)
		if (kids[i]->pc_proc == proc)
			return kids[i];
	fatalx("no child %s", proc_name(proc));
}

int
child_path(size_t n, char *path, size_t len)
{
	return n < nitems(kids) ? proc_path(kids[n], path, len) : -1;
}

void
children_init(void)
{
	crypt.pc_proc = PROC_DERPCRYPT;
	crypt.pc_name = "cryptod";
	relay.pc_proc = PROC_RELAY;
	relay.pc_name = "relay";
	reconf_init();
	proc_parent_init(&parent);
}

void
children_start(void)
{
	size_t	 i;

	for (i = 0; i < nitems(kids); i++)
		if (proc_start(kids[i]) == -1)
			derpd_stop("%s cannot be started",
			    kids[i]->pc_name);
}

static void
child_ready(struct proc_child *pc)
{
	reconf_send(pc, derpd_conf());
	if (pc->pc_proc == PROC_DERPCRYPT) {
		state_send(pc);
		(void)proc_connect(pc, &relay);
	} else
		(void)proc_connect(pc, &crypt);
	proc_startup(pc);
}

/* All there, for the first time? */
static void
children_check_up(void)
{
	if (derpd_up() || !have_key ||
	    configured != (P_DERPCRYPT | P_RELAY))
		return;
	derpd_set_up();
}

int
child_configured(struct proc_child *pc)
{
	configured |= 1U << pc->pc_proc;
	children_check_up();
	return 0;
}

/* What a DERP map must name to trust a certificate of our own. */
static int
child_pin(struct imsg *imsg)
{
	struct msg_key	 m;
	char		 hex[2 * sizeof(m.key) + 1];
	size_t		 i;

	if (msg_get(imsg, &m, sizeof(m)) == -1)
		return -1;
	for (i = 0; i < sizeof(m.key); i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", m.key[i]);
	log_warnx("certificate of its own: pin \"sha256-raw:%s\"", hex);
	return 0;
}

static int
child_msg(struct proc_child *pc, struct imsg *imsg)
{
	switch (imsg_get_type(imsg)) {
	case IMSG_RECONF_READY:
		return transact_ready(pc, imsg);
	case IMSG_SRV_KEY:
		have_key = 1;
		children_check_up();
		return 0;
	case IMSG_DERP_PIN:
		return child_pin(imsg);
	case IMSG_DIAL:
		return dial_msg(pc, imsg);
	case IMSG_ADMIT:
		return local_msg(imsg);
	default:
		return pc->pc_proc == PROC_DERPCRYPT ?
		    state_msg(pc, imsg) : -1;
	}
}

static void
child_lost(struct proc_child *pc)
{
	if (pc->pc_proc == PROC_DERPCRYPT)
		state_child_lost();
	else {
		dial_child_lost();
		local_drop();
	}
	transact_child_lost();
}

static void
child_stop(const char *why)
{
	derpd_stop("%s", why);
}
