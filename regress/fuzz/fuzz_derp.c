/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Fuzz: DERP frames for both sides, logins, and a relay with three clients
 * and another relay, which get the input by turns.
 */

/* link: ../../derpd/relay/core.c */

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../derpd/relay/core.h"
#include "derp.h"

#define CLIENTS	3

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static struct client	 clients[CLIENTS], other;
static int		 is_open[CLIENTS];
static uint8_t		 buf[2 * CORE_PULL_MIN];

static void
nothing(struct client *c)
{
}

static void
cut(struct client *c)
{
	is_open[c - clients] = 0;
}

static const struct core_cb	 cb = { nothing, nothing, cut };

static void
texts(const uint8_t *data, size_t len)
{
	struct derp_client_info	 ci;
	struct derp_server_info	 si;
	char			 text[512];

	if (derp_client_info_parse(data, len, &ci) == 0)
		(void)derp_client_info_print(&ci, text, sizeof(text));
	(void)derp_server_info_scan(data, len, &si);
	if (derp_server_info_parse(data, len, &si) == 0)
		(void)derp_server_info_print(&si, text, sizeof(text));
}

static void
begin(void)
{
	uint8_t	 key[DERP_KEY_LEN];
	size_t	 i;

	core_init(&cb);
	memset(clients, 0, sizeof(clients));
	for (i = 0; i < CLIENTS; i++) {
		memset(key, i == 2 ? 'a' : 'a' + (int)i, sizeof(key));
		clients[i].cl_mesh = i == 1;
		core_add(&clients[i], key);
		is_open[i] = 1;
	}
	memset(&other, 0, sizeof(other));
	core_fwd_open(&other);
}

/* What the other relay says of who is there. */
static void
from_other(const struct derp_frame *f)
{
	struct derp_msg	 m;

	if (derp_client_parse(f, &m) != 1)
		return;
	if (m.dm_type == DERP_PEER_PRESENT)
		core_fwd_present(&other, m.dm_key);
	else if (m.dm_type == DERP_PEER_GONE)
		core_fwd_absent(&other, m.dm_key);
}

static void
sweep(int all)
{
	size_t	 i, n;

	while (core_pull(&other, buf, sizeof(buf)) > 0)
		;
	if (all)
		core_fwd_close(&other);
	for (i = 0; i < CLIENTS; i++) {
		if (clients[i].cl_peer == NULL)
			continue;
		while ((n = core_pull(&clients[i], buf, sizeof(buf))) > 0)
			if (n > sizeof(buf))
				abort();
		if (all || !is_open[i])
			core_remove(&clients[i]);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct derp_frame	 f;
	struct derp_msg		 m;
	uint8_t			 key[DERP_KEY_LEN];
	uint64_t		 n;
	size_t			 i;

	texts(data, len);
	begin();
	for (i = 0; (n = derp_frame_parse(data, len, &f)) != 0 && n <= len;
	    i++) {
		from_other(&f);
		(void)derp_client_parse(&f, &m);
		(void)derp_server_key_parse(&f, key);
		if (is_open[i % CLIENTS] &&
		    core_input(&clients[i % CLIENTS], &f, i) == -1)
			is_open[i % CLIENTS] = 0;
		if (i % 4 == 3)
			sweep(0);
		data += n;
		len -= n;
	}
	sweep(1);
	return 0;
}
