/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Heads of HTTP/1.1 requests, and answers to them: pure functions.
 */

#ifndef FRONTD_HTTP_H
#define FRONTD_HTTP_H

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

#define HTTP_HEAD_MAX	16384		/* request line and fields */
#define HTTP_FIELDS_MAX	100

struct http_req {
	char		 hr_method[16];
	char		 hr_path[512];		/* as sent, no query */
	char		 hr_query[512];		/* without '?' */
	char		 hr_upgrade[64];	/* lower case; "": none */
	char		 hr_handshake[256];	/* X-Tailscale-Handshake */
	char		 hr_bearer[72];		/* Authorization; "": none */
	char		 hr_ws_key[32];		/* Sec-WebSocket-Key */
	int64_t		 hr_length;		/* Content-Length, 0: none */
	uint8_t		 hr_has_length;
	uint8_t		 hr_chunked;
	uint8_t		 hr_conn_upgrade;	/* Connection: upgrade */
	uint8_t		 hr_ws_version;		/* it is 13 */
	uint8_t		 hr_ws_protocol;	/* ours is among them */
};

/*
 * Read the head that begins the len bytes of a connection. Returns 0 if more
 * is needed, 200 when it is complete (*used is then its length), or the HTTP
 * status to refuse it with: 400 malformed, 414 target too long, 431 too
 * large, 501 transfer coding, 505 version. Both CRLF and LF end a line.
 * Source: RFC 9112, 2 to 6.
 */
int	 http_head_parse(const char *, size_t, struct http_req *, size_t *);

/*
 * Value of a query parameter, percent-decoded, into a buffer. 0, or -1 if it
 * is not there, malformed or too long.
 */
int	 http_query_get(const char *, const char *, char *, size_t);

/* Reason phrase of a status. Static. */
const char	*http_reason(int);

/*
 * Head of an answer that ends the connection: status, content type, further
 * fields (each with CRLF, or ""), length of the body. Returns its length, or
 * -1 if it does not fit.
 */
int	 http_answer_head(char *, size_t, int, const char *, const char *,
	    size_t);

/*
 * Text for HTML, special characters escaped. 0, or -1 if it does not fit
 * (the buffer then holds the empty string).
 */
int	 http_escape(const char *, char *, size_t);

#endif /* FRONTD_HTTP_H */
