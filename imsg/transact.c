/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * A server's configuration to its children, as a transaction.
 */

#include <sys/types.h>

#include <string.h>

#include "channel.h"
#include "log.h"
#include "transact.h"

static const struct transact	*ta;
static unsigned int		 waiting;	/* bits of enum proc */
static int			 under_way;
static int			 refused;

void
transact_init(const struct transact *t)
{
	ta = t;
}

void
transact_word(struct proc_child *pc, enum msg_type type)
{
	(void)chan_compose(&pc->pc_chan, type, 0, -1, NULL, 0);
}

void
transact_fd(struct proc_child *pc, enum msg_type type, int fd,
    const char *name)
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

static int
is_ready(enum proc proc)
{
	const struct proc_child	*pc = proc_find(proc);

	return pc != NULL && pc->pc_state == PROC_READY;
}

int
transact_may_begin(void)
{
	size_t	 i;

	if (under_way) {
		log_warnx("reload refused: another one is under way");
		return -1;
	}
	for (i = 0; i < ta->ta_nprocs; i++)
		if (!ta->ta_up() || !is_ready(ta->ta_procs[i])) {
			log_warnx("reload refused: still starting");
			return -1;
		}
	return 0;
}

void
transact_begin(void (*send)(struct proc_child *))
{
	size_t	 i;

	under_way = 1;
	refused = 0;
	waiting = 0;
	for (i = 0; i < ta->ta_nprocs; i++)
		waiting |= 1U << ta->ta_procs[i];
	for (i = 0; i < ta->ta_nprocs; i++)
		send(proc_find(ta->ta_procs[i]));
}

static void
transact_end(void)
{
	size_t	 i;

	for (i = 0; i < ta->ta_nprocs; i++)
		if (is_ready(ta->ta_procs[i]))
			transact_word(proc_find(ta->ta_procs[i]), refused ?
			    IMSG_RECONF_ABORT : IMSG_RECONF_COMMIT);
	under_way = 0;
	waiting = 0;
	ta->ta_end(!refused);
	if (refused)
		log_warnx("reload refused: nothing has changed");
	else
		log_info("configuration reloaded");
}

int
transact_ready(struct proc_child *pc, struct imsg *imsg)
{
	struct msg_u32	 m;

	if (msg_get(imsg, &m, sizeof(m)) == -1)
		return -1;
	if (!under_way) {
		if (m.v != 0)
			ta->ta_stop("%s cannot use the configuration: see "
			    "the line above", pc->pc_name);
		transact_word(pc, IMSG_RECONF_COMMIT);
		return ta->ta_started(pc);
	}
	if ((waiting & (1U << pc->pc_proc)) == 0)
		return -1;
	waiting &= ~(1U << pc->pc_proc);
	if (m.v != 0)
		refused = 1;
	if (waiting == 0)
		transact_end();
	return 0;
}

void
transact_child_lost(void)
{
	if (!under_way)
		return;
	refused = 1;
	transact_end();
}
