/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * portmapd: what its parts know of each other.
 */

#ifndef PORTMAPD_H
#define PORTMAPD_H

#include <stddef.h>
#include <stdint.h>

#include "imsg.h"
#include "messages.h"

#define PORTMAPD_USER	"_shoalmap"

/* --- http.c: one request at a time, to the gateway --- */

/*
 * Status and body of the answer, NUL-terminated; 0 and "": there was none.
 * It may start the next request.
 */
typedef void	 (*http_cb)(int, const char *, size_t);

/* (gateway, port, text of the request, its length, who is told) */
void	 http_start(const struct msg_ip *, uint16_t, const char *, size_t,
	    http_cb);
/* Nobody waits for it any more. */
void	 http_cancel(void);
/* CONNECTED of the parent. 0, or -1 if bad. */
int	 http_connected(struct imsg *);

/*
 * Is the answer complete? (bytes, length, has it ended, status, body, its
 * length). 1 yes; 0 no; -1 it is none. The body is put together in place.
 */
int	 http_complete(char *, size_t, int, int *, char **, size_t *);

#endif /* PORTMAPD_H */
