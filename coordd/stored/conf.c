/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The configuration, read as a transaction; the first one opens the store.
 */

#include <sys/types.h>
#include <sys/stat.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "channel.h"
#include "hexkey.h"
#include "log.h"
#include "os.h"
#include "proc.h"
#include "stored.h"

#define CONF_DNS_MAX	1024
#define DERPMAP_MAX	(4 * 1024 * 1024)

/* The one that is being read. */
static struct sconf	 next;
static char		*next_policy;
static size_t		 next_policylen;
static char		 next_file[MSG_NAME_LEN];
static int		 reading, bad;

int
file_read(int fd, size_t max, char **text, size_t *len)
{
	struct buf	 b = { NULL, 0, 0 };
	struct stat	 sb;
	char		 tmp[8192];
	ssize_t		 n;
	int		 saved;

	/* Anybody who may ask could hand in a pipe and say nothing. */
	if (fstat(fd, &sb) == -1 || !S_ISREG(sb.st_mode)) {
		close(fd);
		errno = EINVAL;
		return -1;
	}
	while ((n = read(fd, tmp, sizeof(tmp))) > 0) {
		if ((size_t)n > max - b.b_len) {
			errno = EFBIG;
			n = -1;
			break;
		}
		buf_add(&b, tmp, (size_t)n);
	}
	saved = errno;
	close(fd);
	if (n == -1) {
		buf_free(&b);
		errno = saved;
		return -1;
	}
	*text = b.b_text;
	*len = b.b_len;
	return 0;
}

static void
conf_reset(void)
{
	sconf_free(&next);
	free(next_policy);
	next_policy = NULL;
	next_policylen = 0;
	(void)strlcpy(next_file, "policy", sizeof(next_file));
	bad = 0;
}

static int
conf_stored(struct imsg *imsg)
{
	struct msg_conf_stored	 m;

	if (!reading || msg_get(imsg, &m, sizeof(m)) == -1 ||
	    !msg_str_ok(m.url, sizeof(m.url)) ||
	    !msg_str_ok(m.db, sizeof(m.db)) ||
	    !msg_str_ok(m.domain, sizeof(m.domain)) ||
	    m.policy > POLICY_ALLOW || m.key_expiry < 0 ||
	    m.db[0] == '\0' || strchr(m.db, '/') != NULL ||
	    m.addr4.plen > 32 || m.addr6.plen > 128)
		return -1;
	(void)strlcpy(next.c_url, m.url, sizeof(next.c_url));
	(void)strlcpy(next.c_db, m.db, sizeof(next.c_db));
	(void)strlcpy(next.c_domain, m.domain, sizeof(next.c_domain));
	next.c_addr4 = m.addr4;
	next.c_addr6 = m.addr6;
	next.c_key_expiry = m.key_expiry;
	next.c_ephemeral = m.ephemeral_s * SEC;
	next.c_policy = m.policy;
	next.c_approve = m.approve_manually;
	next.c_dns_update = m.dns_update;
	return 0;
}

static int
conf_dns(struct imsg *imsg)
{
	struct msg_conf_dns	 m;
	struct split_dns	*d;

	if (!reading || msg_get(imsg, &m, sizeof(m)) == -1 ||
	    !msg_str_ok(m.name, sizeof(m.name)) ||
	    !msg_str_ok(m.value, sizeof(m.value)) ||
	    m.kind < CONF_DNS_SERVER || m.kind > CONF_DNS_RECORD ||
	    next.c_ndns >= CONF_DNS_MAX)
		return -1;
	next.c_dns = recallocarray(next.c_dns, next.c_ndns, next.c_ndns + 1,
	    sizeof(*next.c_dns));
	if (next.c_dns == NULL)
		fatal(NULL);
	d = &next.c_dns[next.c_ndns++];
	d->sd_kind = m.kind;
	(void)strlcpy(d->sd_name, m.name, sizeof(d->sd_name));
	(void)strlcpy(d->sd_value, m.value, sizeof(d->sd_value));
	return 0;
}

/* The payload, if there is one, is the file's name for messages. */
static int
conf_policy(struct imsg *imsg)
{
	char	 name[MSG_NAME_LEN];
	size_t	 len = imsg_get_len(imsg);
	int	 fd;

	if (!reading || (fd = imsg_get_fd(imsg)) == -1)
		return -1;
	if (len > 0 && len <= sizeof(name) &&
	    imsg_get_data(imsg, name, len) == 0 && msg_str_ok(name, len))
		(void)strlcpy(next_file, name, sizeof(next_file));
	free(next_policy);
	next_policy = NULL;
	next_policylen = 0;
	if (file_read(fd, POLICY_MAX_LEN, &next_policy,
	    &next_policylen) == -1) {
		log_warn("%s", next_file);
		bad = 1;
	} else if (next_policy == NULL)
		next_policy = xstrdup("");
	return 0;
}

static int
conf_derpmap(struct imsg *imsg)
{
	char	 name[MSG_NAME_LEN], *text = NULL, *why = NULL;
	size_t	 len = 0;
	int	 fd;

	if (!reading || (fd = imsg_get_fd(imsg)) == -1)
		return -1;
	if (msg_get_str(imsg, name, sizeof(name)) == -1) {
		close(fd);
		return -1;
	}
	if (file_read(fd, DERPMAP_MAX, &text, &len) == -1) {
		log_warn("%s", name);
		bad = 1;
	} else if (derpmap_add(&next, name, text == NULL ? "" : text, len,
	    &why) == -1) {
		log_warnx("%s", why);
		bad = 1;
	}
	free(text);
	free(why);
	return 0;
}

/* One log line for each of theirs. */
static void
conf_log_lines(char *msgs)
{
	char	*line, *rest = msgs;

	while ((line = strsep(&rest, "\n")) != NULL)
		if (line[0] != '\0')
			log_warnx("%s", line);
	free(msgs);
}

static void
conf_store_result(const char *text)
{
	struct msg_state_result	 m;

	memset(&m, 0, sizeof(m));
	if (text != NULL) {
		m.error = MSG_E_BAD;
		(void)strlcpy(m.text, text, sizeof(m.text));
	}
	(void)chan_compose(proc_parent(), IMSG_STORE_OPEN, 0, -1, &m,
	    sizeof(m));
}

/* The first configuration: open the store, load what it has. */
static int
conf_open_store(void)
{
	struct store	*st;
	struct brain	*b;
	char		 err[MSG_NAME_LEN];

	if ((st = store_open(next.c_db, STORE_VERSION, err,
	    sizeof(err))) == NULL) {
		conf_store_result(err);
		return -1;
	}
	b = stored_new_brain();
	if (brain_init(b, st, &next, &rpc_sink, NULL, os_now(),
	    os_date()) == -1) {
		conf_store_result("the store cannot be read");
		return -1;
	}
	log_info("store open: %zu nodes, %zu users", b->b_nnodes,
	    b->b_nusers);
	conf_store_result(NULL);
	return 0;
}

/* Of mode `store`: what was set last; nothing yet denies all. */
static uint8_t
conf_stored_policy(struct brain *b, uint8_t mode)
{
	char	*text;
	size_t	 len;

	if (mode != POLICY_STORE)
		return mode;
	if (store_meta_get(b->b_store, "policy", &text, &len) != 1)
		return POLICY_NONE;
	free(next_policy);
	next_policy = text;
	next_policylen = len;
	(void)strlcpy(next_file, "policy of the store", sizeof(next_file));
	return mode;
}

static int
conf_apply_policy(struct brain *b, uint8_t mode)
{
	char	*msgs;
	int	 rc;

	mode = conf_stored_policy(b, mode);
	rc = policy_apply(b, mode, next_file, next_policy, next_policylen, 0,
	    &msgs);
	conf_log_lines(msgs);
	return rc;
}

static int
conf_first(void)
{
	uint8_t	 mode = next.c_policy;

	if (bad || (mode == POLICY_FILE && next_policy == NULL))
		return -1;
	if (conf_open_store() == -1)
		return -1;
	return conf_apply_policy(stored_brain(), mode);
}

/* A reload: would it do? The tests of the policy count here. */
static int
conf_check(struct brain *b)
{
	char	*msgs = NULL;
	int	 rc;

	if (bad)
		return -1;
	if (next.c_policy != POLICY_FILE)
		return 0;
	if (next_policy == NULL)
		return -1;
	rc = policy_try(b, next_file, next_policy, next_policylen, 1, &msgs);
	conf_log_lines(msgs);
	return rc;
}

static int
conf_end(void)
{
	struct msg_u32	 m;

	if (!reading || next.c_db[0] == '\0')
		return -1;
	reading = 0;
	memset(&m, 0, sizeof(m));
	if (stored_brain() == NULL)
		m.v = conf_first() == -1;
	else
		m.v = conf_check(stored_brain()) == -1;
	return chan_compose(proc_parent(), IMSG_RECONF_READY, 0, -1, &m,
	    sizeof(m));
}

static int
conf_commit(void)
{
	struct brain	*b = stored_brain();

	/* The first one is in force already. */
	if (b != NULL && next.c_db[0] != '\0') {
		(void)conf_apply_policy(b, next.c_policy);
		brain_configure(b, &next);
	}
	conf_reset();
	rpc_publish();
	return 0;
}

static int
conf_follow(struct imsg *imsg)
{
	int	 fd;

	if (!reading || (fd = imsg_get_fd(imsg)) == -1)
		return -1;
	if (hexkey_read(fd, next.c_follow) == -1) {
		log_warnx("the file of derp clients must hold 64 hex digits, "
		    "lower case, and nothing else");
		bad = 1;
	}
	next.c_has_follow = 1;
	return 0;
}

int
conf_msg(struct imsg *imsg)
{
	switch (imsg_get_type(imsg)) {
	case IMSG_RECONF_START:
		conf_reset();
		reading = 1;
		return 0;
	case IMSG_CONF_STORED:
		return conf_stored(imsg);
	case IMSG_CONF_DNS:
		return conf_dns(imsg);
	case IMSG_POLICY_FD:
		return conf_policy(imsg);
	case IMSG_DERPMAP_FD:
		return conf_derpmap(imsg);
	case IMSG_CLIENTSKEY_FD:
		return conf_follow(imsg);
	case IMSG_RECONF_END:
		return conf_end();
	case IMSG_RECONF_COMMIT:
		return conf_commit();
	case IMSG_RECONF_ABORT:
		conf_reset();
		return 0;
	default:
		return -1;
	}
}
