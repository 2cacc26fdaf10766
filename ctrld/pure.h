/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Parts of ctrld without state: URLs, HTTP/1.1 heads, back-off.
 */

#ifndef CTRLD_PURE_H
#define CTRLD_PURE_H

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

#include "messages.h"

/* --- url.c --- */

struct url {
	char		 u_host[MSG_NAME_LEN];	/* no brackets */
	char		 u_path[MSG_TEXT_LEN];	/* with query; at least "/" */
	struct msg_ip	 u_ip;			/* af 0: host is a name */
	uint16_t	 u_port;
	uint8_t		 u_tls;
};

/*
 * Read "http://host[:port][/path]" or https. Port defaults to 80 and 443;
 * user information is refused. Returns 0, or -1 with errno EINVAL.
 */
int	 url_parse(const char *, struct url *);

/*
 * "host:port" for a Host header, IPv6 in brackets, the port always there
 * as the reference has it. buf is returned.
 */
char	*url_authority(const struct url *, char *, size_t);

/* --- http1.c --- */

#define HTTP_HEAD_MAX	16384	/* status line and header fields */

#define HTTP_LEN_NONE	(-1)	/* neither length: until the end */
#define HTTP_LEN_CHUNK	(-2)	/* chunked */

struct http_head {
	int		 h_status;	/* 100 to 999 */
	int64_t		 h_length;	/* Content-Length or HTTP_LEN_* */
	const char	*h_retry;	/* Retry-After, in the stream; NULL */
	size_t		 h_retrylen;
	const char	*h_location;	/* Location, likewise */
	size_t		 h_locationlen;
	uint8_t		 h_page;	/* Content-Type is text/html */
	uint8_t		 h_noise;	/* Upgrade names our protocol */
	uint8_t		 h_upgrade;	/* Connection has "upgrade" */
};

/*
 * Read a response head from the front of a stream. Returns its length with
 * the blank line, 0 if more is needed, -1 if it is no HTTP/1.1 response or
 * longer than HTTP_HEAD_MAX. Source: RFC 9112; control.md 2.1.
 */
ssize_t	 http_head_parse(const uint8_t *, size_t, struct http_head *);

/*
 * Undo chunked coding of a complete or growing body, in place at the front
 * of buf. *outlen is what was decoded. Returns 1 (complete), 0 (more
 * needed), -1 (broken). buf is only changed where 1 is returned.
 */
int	 http_chunks(uint8_t *, size_t, size_t *);

/*
 * Is this rather the answer of a captive portal than of a server that was
 * asked by that host name for something that is no page? 1 and a line for
 * people, or 0. A redirect counts if it leads to another host; of where to,
 * only the host is told, and only if it can be one. Source: RFC 6585, 6;
 * RFC 8952, 2.
 */
int	 http_portal(const struct http_head *, const char *, char *, size_t);

/* --- text.c --- */

/*
 * Make a stranger's text fit for a log line: dst[size] gets src with what
 * is not printable ASCII as \ooo, cut where it does not fit.
 */
void	 text_vis(char *, size_t, const char *);

/* Take control characters out of a text for people; UTF-8 stays. */
void	 text_plain(char *);

/* --- backoff.c --- */

#define BACKOFF_MAX_MS	30000

/*
 * Milliseconds to wait after the n-th failure in a row: min(10 * n^2,
 * 30000) times a factor of 0.5 to 1.5, chosen by random, a number evenly
 * spread over 32 bits. n 0: no wait. Source: control.md 6.1.
 */
uint32_t backoff_ms(uint32_t, uint32_t);

#define RETRY_AFTER_MAX	3600	/* seconds; what is longer is not heard */

/*
 * The value of Retry-After, its length, the date in seconds since 1970:
 * seconds from now on, or -1 if it is neither a number nor a date, or later
 * than an hour from now. Source: RFC 9110, 10.2.3; control.md 3.2.
 */
int	 retry_after(const char *, size_t, int64_t);
/*
 * How long a server that is busy asks to be left alone, in ms: (status,
 * Retry-After or -1, 32 random bits). 0: it did not ask. 429 without a time
 * means 5 to 10 seconds.
 */
uint32_t retry_asked_ms(int, int, uint32_t);

#endif /* CTRLD_PURE_H */
