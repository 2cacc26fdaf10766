/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The three children: what they get at their start, what they say.
 */

#include <sys/types.h>

#include <string.h>

#include "coordd.h"

static struct proc_child	 crypt, stored, frontd;
static struct proc_child	*kids[] = { &crypt, &stored, &frontd };
static int			 have_key, store_is_open;
static unsigned int		 configured;	/* P_* */

static void	 child_ready(struct proc_child *);
static int	 child_msg(struct proc_child *, struct imsg *);
static void	 child_lost(struct proc_child *);
static void	 child_stop(const char *);

static const struct proc_parent	 parent = {
	.pp_proc = PROC_COORDD,
	.pp_libexec = "../libexec/coordd",
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

int
child_find(enum proc proc, char *path, size_t len)
{
	return proc_path(child_get(proc), path, len);
}

unsigned int
children_replaced(void)
{
	unsigned int	 n;
	size_t		 i;

	for (i = n = 0; i < nitems(kids); i++)
		if (kids[i]->pc_starts > 1)
			n += kids[i]->pc_starts - 1;
	return n;
}

void
children_init(void)
{
	crypt.pc_proc = PROC_COORDCRYPT;
	crypt.pc_name = "cryptod";
	stored.pc_proc = PROC_STORED;
	stored.pc_name = "stored";
	stored.pc_root = state_store_dir();
	frontd.pc_proc = PROC_FRONTD;
	frontd.pc_name = "frontd";
	reconf_init();
	proc_parent_init(&parent);
}

void
children_start(void)
{
	size_t	 i;

	for (i = 0; i < nitems(kids); i++)
		if (proc_start(kids[i]) == -1)
			coordd_stop("%s cannot be started",
			    kids[i]->pc_name);
}

static void
child_ready(struct proc_child *pc)
{
	switch (pc->pc_proc) {
	case PROC_COORDCRYPT:
		state_send(pc);
		reconf_send(pc, coordd_conf());
		(void)proc_connect(pc, &stored);
		(void)proc_connect(pc, &frontd);
		break;
	case PROC_STORED:
		reconf_send(pc, coordd_conf());
		(void)proc_connect(pc, &crypt);
		(void)proc_connect(pc, &frontd);
		break;
	default:
		reconf_send(pc, coordd_conf());
		(void)proc_connect(pc, &crypt);
		(void)proc_connect(pc, &stored);
		break;
	}
	proc_startup(pc);
}

/* All there, for the first time? */
static void
children_check_up(void)
{
	if (coordd_up() || !have_key || !store_is_open ||
	    configured != (P_COORDCRYPT | P_STORED | P_FRONTD))
		return;
	coordd_set_up();
}

int
child_configured(struct proc_child *pc)
{
	configured |= 1U << pc->pc_proc;
	children_check_up();
	return 0;
}

static int
child_store_open(struct imsg *imsg)
{
	struct msg_state_result	 m;

	if (msg_get(imsg, &m, sizeof(m)) == -1 ||
	    !msg_str_ok(m.text, sizeof(m.text)))
		return -1;
	if (m.error != MSG_OK)
		coordd_stop("%s: %s", coordd_conf()->c_store, m.text);
	store_is_open = 1;
	children_check_up();
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
	case IMSG_STORE_OPEN:
		return child_store_open(imsg);
	case IMSG_DNS_UPDATE:
		return hook_update(imsg);
	case IMSG_ADM_ROW:
	case IMSG_ADM_END:
	case IMSG_CTL_FAIL:
		return control_answer(imsg);
	default:
		return pc->pc_proc == PROC_COORDCRYPT ?
		    state_msg(pc, imsg) : -1;
	}
}

static void
child_lost(struct proc_child *pc)
{
	if (pc->pc_proc == PROC_COORDCRYPT)
		state_child_lost();
	transact_child_lost();
	if (pc->pc_proc == PROC_STORED)
		control_stored_lost();
}

static void
child_stop(const char *why)
{
	coordd_stop("%s", why);
}
