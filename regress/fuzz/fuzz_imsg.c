/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Fuzz: what an owned sibling may write into a channel. The first byte
 * chooses sender and receiver, the rest is the stream.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "channel.h"
#include "msgtab.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* As a receiver reads: by list, by string, whole. */
static void
consume(struct imsg *imsg)
{
	struct msg_nm_list	 list;
	const uint8_t		*elems;
	char			 str[64];
	uint8_t			 elem[24];
	size_t			 len = imsg_get_len(imsg), i;

	if (msg_get_str(imsg, str, sizeof(str)) == 0) {
		if (strlen(str) >= sizeof(str))
			abort();
		return;
	}
	if (msg_list(imsg, &list, sizeof(list), &elems) == -1)
		return;
	if (msg_list_ok(imsg, sizeof(list), list.n, sizeof(elem)) == 0)
		for (i = 0; i < list.n; i++)
			memcpy(elem, elems + i * sizeof(elem), sizeof(elem));
	if (imsg_get_len(imsg) != len - sizeof(list))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct imsgbuf	 ib;
	struct imsg	 imsg;
	enum proc	 from, to;
	int		 n, sp[2];

	if (len < 1 || len > 60000)
		return 0;
	from = (data[0] >> 4) % PROC_MAX;
	to = (data[0] & 0x0f) % PROC_MAX;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sp) == -1 ||
	    imsgbuf_init(&ib, sp[1]) == -1)
		abort();
	if (msgtab_fdpass(from, to))
		imsgbuf_allow_fdpass(&ib);
	if (len > 1 && send(sp[0], data + 1, len - 1, 0) == -1)
		abort();
	(void)close(sp[0]);
	do {
		n = imsgbuf_read(&ib);
		while (n != -1 && imsgbuf_get(&ib, &imsg) == 1) {
			if (msgtab_check(imsg_get_type(&imsg), from, to,
			    imsg_get_len(&imsg), ibuf_fd_avail(imsg.buf)) ==
			    NULL)
				consume(&imsg);
			imsg_free(&imsg);
		}
	} while (n == 1);
	imsgbuf_clear(&ib);
	(void)close(sp[1]);
	return 0;
}
