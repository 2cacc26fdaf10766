/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The checks that messages.h generates, and how payloads are read.
 */

#include <sys/types.h>

#include <stdio.h>
#include <string.h>

#include "channel.h"
#include "log.h"
#include "msgtab.h"
#include "proc.h"

struct msg_row {
	const char	*r_name;
	uint32_t	 r_from;
	uint32_t	 r_to;
	size_t		 r_min;
	size_t		 r_max;
	enum msg_fd	 r_fd;
};

/* The length column is two arguments: least and most. */
#define MSG_ROW(n, f, t, l, fd, m)	MSG_ROW_(#n, f, t, l, fd),
#define MSG_ROW_(...)			{ __VA_ARGS__ }
static const struct msg_row rows[IMSG_MAX] = {
	{ "NONE", 0, 0, 0, 0, FD_NO },
	MESSAGES(MSG_ROW)
};
#undef MSG_ROW

static const char *const proc_names[PROC_MAX] = {
	[PROC_PARENT] = "shoald",
	[PROC_CRYPTOD] = "cryptod",
	[PROC_NETD] = "netd",
	[PROC_CTRLD] = "ctrld",
	[PROC_DNSD] = "dnsd",
	[PROC_CTL] = "shoalctl",
	[PROC_COORDD] = "coordd",
	[PROC_FRONTD] = "frontd",
	[PROC_STORED] = "stored",
	[PROC_COORDCRYPT] = "cryptod",
	[PROC_COORDCTL] = "coordctl",
	[PROC_DERPD] = "derpd",
	[PROC_RELAY] = "relay",
	[PROC_DERPCRYPT] = "cryptod",
	[PROC_PORTMAPD] = "portmapd",
};

static const char *const errors[] = {
	[MSG_OK] = "no error",
	[MSG_E_NOKEY] = "there is no key yet",
	[MSG_E_PEER] = "not a peer of ours",
	[MSG_E_CRYPTO] = "did not authenticate",
	[MSG_E_REPLAY] = "a replay",
	[MSG_E_RATE] = "too many, try again later",
	[MSG_E_STALE] = "a newer handshake took its place",
	[MSG_E_PIN] = "the server's key is not the pinned one",
	[MSG_E_NAME] = "name does not exist",
	[MSG_E_TIMEOUT] = "timed out",
	[MSG_E_REFUSED] = "refused by policy",
	[MSG_E_CONN] = "could not connect",
	[MSG_E_IO] = "input or output failed",
	[MSG_E_BAD] = "malformed or impossible",
};

const char *
msgtab_check(uint32_t type, enum proc from, enum proc to, size_t len, int fd)
{
	const struct msg_row	*r;

	if (type == IMSG_NONE || type >= IMSG_MAX)
		return "no such message";
	if (from >= PROC_MAX || to >= PROC_MAX)
		return "no such process";
	r = &rows[type];
	if ((r->r_from & (1U << from)) == 0)
		return "not from this sender";
	if ((r->r_to & (1U << to)) == 0)
		return "not to this receiver";
	if (len < r->r_min || len > r->r_max)
		return "wrong length";
	if (fd && r->r_fd == FD_NO)
		return "unexpected descriptor";
	if (!fd && r->r_fd == FD_YES)
		return "descriptor is missing";
	return NULL;
}

int
msgtab_fdpass(enum proc a, enum proc b)
{
	uint32_t	 ma = 1U << a, mb = 1U << b;
	size_t		 i;

	for (i = 0; i < IMSG_MAX; i++) {
		if (rows[i].r_fd == FD_NO)
			continue;
		if ((rows[i].r_from & ma && rows[i].r_to & mb) ||
		    (rows[i].r_from & mb && rows[i].r_to & ma))
			return 1;
	}
	return 0;
}

/* FNV-1a, 64 bit: tells tables apart, keeps no secret. */
static uint64_t
hash_add(uint64_t h, const void *data, size_t len)
{
	const unsigned char	*p = data;
	size_t			 i;

	for (i = 0; i < len; i++)
		h = (h ^ p[i]) * 0x100000001b3ULL;
	return h;
}

uint64_t
msgtab_hash(void)
{
	uint64_t	 h = 0xcbf29ce484222325ULL, v[5];
	size_t		 i;

	for (i = 0; i < IMSG_MAX; i++) {
		v[0] = rows[i].r_from;
		v[1] = rows[i].r_to;
		v[2] = rows[i].r_min;
		v[3] = rows[i].r_max;
		v[4] = rows[i].r_fd;
		h = hash_add(h, rows[i].r_name, strlen(rows[i].r_name));
		h = hash_add(h, v, sizeof(v));
	}
	return h;
}

const char *
proc_build_id(void)
{
	static char	 id[64];

	if (id[0] == '\0')
		(void)snprintf(id, sizeof(id), "%s+%016llx", SHOAL_VERSION,
		    (unsigned long long)msgtab_hash());
	return id;
}

int
msg_check(struct imsg *imsg, enum proc from, enum proc to)
{
	const char	*why;

	why = msgtab_check(imsg_get_type(imsg), from, to, imsg_get_len(imsg),
	    ibuf_fd_avail(imsg->buf));
	if (why == NULL)
		return 0;
	log_warnx("message %s (%u) of %zu bytes from %s: %s",
	    msg_name(imsg_get_type(imsg)), imsg_get_type(imsg),
	    imsg_get_len(imsg), proc_name(from), why);
	return -1;
}

int
msg_get(struct imsg *imsg, void *data, size_t len)
{
	return imsg_get_data(imsg, data, len);
}

int
msg_get_str(struct imsg *imsg, char *str, size_t len)
{
	size_t	 n;

	n = imsg_get_len(imsg);
	if (n == 0 || n > len ||
	    strnlen(ibuf_data(imsg->buf), n) != n - 1)
		return -1;
	return imsg_get_buf(imsg, str, n);
}

int
msg_list(struct imsg *imsg, void *hdr, size_t hlen, const uint8_t **elems)
{
	if (imsg_get_buf(imsg, hdr, hlen) == -1)
		return -1;
	*elems = ibuf_data(imsg->buf);
	return 0;
}

int
msg_list_ok(struct imsg *imsg, size_t hlen, uint32_t n, size_t elen)
{
	size_t	 len = imsg->hdr.len - IMSG_HEADER_SIZE;

	if (len < hlen || elen == 0)
		return -1;
	len -= hlen;
	return len % elen == 0 && len / elen == n ? 0 : -1;
}

int
msg_str_ok(const char *s, size_t len)
{
	return memchr(s, '\0', len) != NULL;
}

const char *
proc_name(enum proc proc)
{
	return proc < PROC_MAX ? proc_names[proc] : "?";
}

const char *
msg_name(uint32_t type)
{
	return type < IMSG_MAX ? rows[type].r_name : "?";
}

const char *
msg_strerror(uint32_t error)
{
	if (error >= sizeof(errors) / sizeof(errors[0]))
		return "unknown error";
	return errors[error];
}
