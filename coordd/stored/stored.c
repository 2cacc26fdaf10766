/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * stored: holds the store and decides. Start-up and the event loop.
 */

#include <sys/types.h>

#include <event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "../adm.h"
#include "channel.h"
#include "log.h"
#include "os.h"
#include "proc.h"
#include "stored.h"

static struct brain	 brain;
static int		 have_brain;
static struct event	 ev_timer;

static int	stored_msg(struct imsg *);
static int	stored_channel(enum proc, int, int);
static void	stored_exit(void);
static int	crypt_msg(struct chan *, struct imsg *);

static const struct chan_cb	 crypt_cb = { crypt_msg, proc_sibling_lost };
static struct chan		 chan_crypt;

static const struct proc_self	 self = {
	.ps_proc = PROC_STORED,
	.ps_parent = PROC_COORDD,
	.ps_name = "stored",
	.ps_user = STORED_USER,
	.ps_root_arg = 1,
	.ps_msg = stored_msg,
	.ps_channel = stored_channel,
	.ps_exit = stored_exit
};

struct brain *
stored_brain(void)
{
	return have_brain ? &brain : NULL;
}

struct brain *
stored_new_brain(void)
{
	have_brain = 1;
	return &brain;
}

void
stored_enter(void)
{
	if (have_brain)
		brain_clock(&brain, os_now(), os_date());
}

void
stored_leave(void)
{
	struct timeval	 tv;
	int64_t		 next;

	if (!have_brain)
		return;
	if ((next = brain_next(&brain)) == -1) {
		evtimer_del(&ev_timer);
		return;
	}
	tv.tv_sec = next / SEC;
	tv.tv_usec = (next % SEC + 999) / 1000;
	evtimer_add(&ev_timer, &tv);
}

/*
 * A flush that took long is not repeated at once: the more there is to do,
 * the more changes go into one message.
 */
static void
stored_timer_cb(int fd, short events, void *arg)
{
	int64_t	 start, cost;

	stored_enter();
	start = os_now();
	brain_run(&brain);
	cost = os_now() - start;
	brain.b_flush_gap = 4 * cost;
	if (brain.b_flush_gap < 10 * MSEC)
		brain.b_flush_gap = 10 * MSEC;
	if (brain.b_flush_gap > SEC)
		brain.b_flush_gap = SEC;
	stored_leave();
}

struct adm_target {
	struct chan	*at_chan;
	uint32_t	 at_id;
};

static void
stored_row(void *arg, const char *row)
{
	struct adm_target	*at = arg;
	size_t			 len = strlen(row) + 1;

	if (len > MSG_CHUNK_MAX)
		log_warnx("a row of %zu bytes is too long", len);
	else
		(void)chan_compose(at->at_chan, IMSG_ADM_ROW, at->at_id, -1,
		    row, len);
}

/* Words: object, verb and arguments, each with its NUL. */
static int
adm_words(struct adm *a, uint8_t *data, size_t len, uint32_t n,
    char *words[ADM_WORDS_MAX])
{
	uint32_t	 i;
	uint8_t		*nul;

	if (n < 1 || n > ADM_WORDS_MAX)
		return -1;
	for (i = 0; i < n; i++) {
		if ((nul = memchr(data, '\0', len)) == NULL)
			return -1;
		words[i] = (char *)data;
		len -= (size_t)(nul - data) + 1;
		data = nul + 1;
	}
	if (len != 0)
		return -1;
	a->a_obj = words[0];
	a->a_verb = n > 1 ? words[1] : "";
	a->a_args = words + (n > 1 ? 2 : 1);
	a->a_nargs = n > 1 ? n - 2 : 0;
	return 0;
}

static void
stored_adm_run(struct adm *a, struct adm_target *at, uint32_t uid, int fd)
{
	struct msg_ctl_fail	 fail;
	int			 rc;

	memset(&fail, 0, sizeof(fail));
	(void)snprintf(a->a_actor, sizeof(a->a_actor), "uid %u", uid);
	a->a_brain = &brain;
	a->a_id = at->at_id;
	a->a_row = stored_row;
	a->a_arg = at;
	if (!have_brain)
		rc = adm_fail(a, 1, "still starting");
	else if (fd != -1 && file_read(fd, ADM_POLICY_MAX, &a->a_file,
	    &a->a_filelen) == -1)
		rc = adm_fail(a, 1, "the file cannot be read");
	else
		rc = adm_run(a);
	free(a->a_file);
	if (rc == 1)
		return;
	if (rc == 0) {
		(void)chan_compose(at->at_chan, IMSG_ADM_END, at->at_id, -1,
		    NULL, 0);
		return;
	}
	fail.code = a->a_code;
	(void)strlcpy(fail.text, a->a_err, sizeof(fail.text));
	(void)chan_compose(at->at_chan, IMSG_CTL_FAIL, at->at_id, -1, &fail,
	    sizeof(fail));
}

static int
stored_adm(struct imsg *imsg)
{
	struct adm		 a;
	struct adm_target	 at;
	struct msg_adm_list	 m;
	const uint8_t		*data;
	uint8_t			*copy;
	char			*words[ADM_WORDS_MAX];
	size_t			 len;
	int			 fd, rc = -1;

	fd = imsg_get_fd(imsg);
	if (msg_list(imsg, &m, sizeof(m), &data) == -1)
		return -1;
	memset(&a, 0, sizeof(a));
	at.at_chan = proc_parent();
	at.at_id = imsg_get_id(imsg);
	len = imsg_get_len(imsg);
	copy = xmemdup(data, len);
	if (copy != NULL && adm_words(&a, copy, len, m.n, words) == 0) {
		stored_adm_run(&a, &at, m.uid, fd);
		rc = 0;
	} else if (fd != -1)
		close(fd);
	if (copy != NULL)
		freezero(copy, len);
	return rc;
}

void
stored_adm_later(void *arg, uint32_t id, const char *row, const char *why)
{
	struct adm_target	 at = { proc_parent(), id };
	struct msg_ctl_fail	 fail;

	if (row != NULL)
		stored_row(&at, row);
	else if (why == NULL)
		(void)chan_compose(at.at_chan, IMSG_ADM_END, id, -1, NULL, 0);
	else {
		memset(&fail, 0, sizeof(fail));
		fail.code = 1;
		(void)strlcpy(fail.text, why, sizeof(fail.text));
		(void)chan_compose(at.at_chan, IMSG_CTL_FAIL, id, -1, &fail,
		    sizeof(fail));
	}
}

int
stored_sign(void *arg, uint32_t id, const char *claims)
{
	return chan_compose(&chan_crypt, IMSG_JWT_SIGN, id, -1, claims,
	    strlen(claims) + 1);
}

int
stored_dns(void *arg, uint32_t id, const char *name, const char *value)
{
	struct msg_dns_update	 m;

	memset(&m, 0, sizeof(m));
	(void)strlcpy(m.name, name, sizeof(m.name));
	(void)strlcpy(m.value, value, sizeof(m.value));
	return chan_compose(proc_parent(), IMSG_DNS_UPDATE, id, -1, &m,
	    sizeof(m));
}

static int
crypt_msg(struct chan *c, struct imsg *imsg)
{
	static char	 token[MSG_CHUNK_MAX];

	if (imsg_get_type(imsg) != IMSG_JWT_SIGNED ||
	    msg_get_str(imsg, token, sizeof(token)) == -1)
		return -1;
	stored_enter();
	if (have_brain)
		call_done(&brain, imsg_get_id(imsg),
		    token[0] == '\0' ? NULL : token);
	stored_leave();
	return 0;
}

static int
dns_done(struct imsg *imsg)
{
	struct msg_u32	 m;

	if (msg_get(imsg, &m, sizeof(m)) == -1)
		return -1;
	if (have_brain)
		call_done(&brain, imsg_get_id(imsg),
		    m.v == MSG_OK ? "" : NULL);
	return 0;
}

static int
stored_msg(struct imsg *imsg)
{
	int	 rc;

	stored_enter();
	if (imsg_get_type(imsg) == IMSG_ADM_REQ)
		rc = stored_adm(imsg);
	else if (imsg_get_type(imsg) == IMSG_DNS_UPDATED)
		rc = dns_done(imsg);
	else
		rc = conf_msg(imsg);
	stored_leave();
	return rc;
}

static int
stored_channel(enum proc peer, int fd, int fresh)
{
	if (peer == PROC_COORDCRYPT) {
		chan_open(&chan_crypt, fd, PROC_STORED, peer, &crypt_cb,
		    NULL);
		return 0;
	}
	if (peer != PROC_FRONTD)
		return -1;
	stored_enter();
	rpc_open(fd, fresh);
	stored_leave();
	return 0;
}

static void
stored_exit(void)
{
	if (!have_brain)
		return;
	stored_enter();
	brain_free(&brain);
	have_brain = 0;
}

static void
stored_warmup(void)
{
	if (sodium_init() == -1)
		fatalx("sodium_init");
}

int
main(int argc, char *argv[])
{
	if (argc == 4 && strcmp(argv[1], "-n") == 0)
		check_run(self.ps_user, argv[2], argv[3]);
	proc_child_init(&self, stored_warmup, argc, argv);
	evtimer_set(&ev_timer, stored_timer_cb, NULL);
	proc_child_run();
}
