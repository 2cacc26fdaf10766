/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The state file of a key process, as its parent opens and renames it.
 */

#include <sys/types.h>

#include <errno.h>
#include <string.h>

#include "channel.h"
#include "keyfile.h"
#include "log.h"
#include "messages.h"

void
keyfile_send(const struct keyfile *kf, struct proc_child *pc)
{
	const char	*path = kf->kf_file.a_path;
	struct msg_u32	 m = { 1 };
	int		 fd;

	fd = atomic_read(&kf->kf_file);
	if (fd == -1 && errno == EINVAL)
		kf->kf_stop("%s: is not a file", path);
	if (fd == -1 && errno != ENOENT)
		/* To begin with no state would be a new server. */
		kf->kf_stop("%s: cannot be read: %s", path, strerror(errno));
	if (fd == -1)
		m.v = 0;
	(void)chan_compose(&pc->pc_chan, IMSG_STATE_FD, 0, fd, &m, sizeof(m));
}

static void
keyfile_write(struct keyfile *kf, struct proc_child *pc, uint32_t id)
{
	struct msg_u32	 m = { 0 };
	int		 fd;

	if ((fd = atomic_begin(&kf->kf_file)) == -1) {
		m.v = errno;
		log_warn("%s", kf->kf_file.a_new);
	}
	(void)chan_compose(&pc->pc_chan, IMSG_STATE_NEWFD, id, fd, &m,
	    sizeof(m));
}

static int
keyfile_written(struct keyfile *kf, struct proc_child *pc, struct imsg *imsg)
{
	struct msg_u32	 m;

	if (msg_get(imsg, &m, sizeof(m)) == -1 || m.v > INT32_MAX ||
	    !kf->kf_file.a_open)
		return -1;
	if (m.v != 0) {
		keyfile_child_lost(kf);
		log_warnx("%s: %s; the old one stays", kf->kf_file.a_path,
		    strerror(m.v));
	} else if (atomic_commit(&kf->kf_file) == -1) {
		m.v = errno;
		log_warn("%s", kf->kf_file.a_path);
	}
	(void)chan_compose(&pc->pc_chan, IMSG_STATE_SAVED, imsg_get_id(imsg),
	    -1, &m, sizeof(m));
	return 0;
}

static int
keyfile_result(const struct keyfile *kf, struct imsg *imsg)
{
	struct msg_state_result	 m;

	if (msg_get(imsg, &m, sizeof(m)) == -1 ||
	    !msg_str_ok(m.text, sizeof(m.text)))
		return -1;
	if (m.error == MSG_OK)
		return 0;
	if (m.error == MSG_E_IO)	/* the disk's fault, not the text's */
		kf->kf_stop("%s: %s", kf->kf_file.a_path, m.text);
	kf->kf_stop("%s:%u: %s: bring back a copy; without it %s",
	    kf->kf_file.a_path, m.line, m.text, kf->kf_loss);
}

int
keyfile_msg(struct keyfile *kf, struct proc_child *pc, struct imsg *imsg)
{
	switch (imsg_get_type(imsg)) {
	case IMSG_STATE_LOADED:
		return keyfile_result(kf, imsg);
	case IMSG_STATE_WRITE:
		keyfile_write(kf, pc, imsg_get_id(imsg));
		return 0;
	case IMSG_STATE_WRITTEN:
		return keyfile_written(kf, pc, imsg);
	default:
		return -1;
	}
}

void
keyfile_child_lost(struct keyfile *kf)
{
	atomic_abort(&kf->kf_file);
}
