/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Pages for people: they load nothing and run nothing.
 */

#include <sys/types.h>

#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "frontd.h"
#include "http.h"

#define PAGE_MAX	8192

static const char	 style[] =
    ":root{color-scheme:light dark;--b:#fff;--f:#1a1a1a;--m:#595959;"
    "--c:#f0f0f0;--l:#c8c8c8}"
    "@media(prefers-color-scheme:dark){:root{--b:#161616;--f:#ececec;"
    "--m:#a8a8a8;--c:#262626;--l:#484848}}"
    "body{background:var(--b);color:var(--f);max-width:42em;margin:3em auto;"
    "padding:0 1em;font:1rem/1.5 system-ui,sans-serif}"
    "h1{font-size:1.4rem;line-height:1.3}"
    "table{border-collapse:collapse;margin:1.5em 0}"
    "th{text-align:left;font-weight:normal;color:var(--m);padding:.2em 1.5em "
    ".2em 0;vertical-align:top;white-space:nowrap}"
    "td{word-break:break-word;padding:.2em 0}"
    "code{background:var(--c);border:1px solid var(--l);border-radius:4px;"
    "padding:.1em .3em;word-break:break-all;user-select:all}"
    "p.c code{display:block;padding:.6em .8em}";

/* The style that stands in the page, and no other. */
static int
page_fields(char *buf, size_t size)
{
	unsigned char	 hash[EVP_MAX_MD_SIZE], b64[64];
	unsigned int	 len;
	int		 n;

	if (EVP_Digest(style, sizeof(style) - 1, hash, &len, EVP_sha256(),
	    NULL) != 1)
		return -1;
	(void)EVP_EncodeBlock(b64, hash, len);
	n = snprintf(buf, size,
	    "Content-Security-Policy: default-src 'none'; style-src "
	    "'sha256-%s'; base-uri 'none'; form-action 'none'; "
	    "frame-ancestors 'none'\r\n"
	    "X-Frame-Options: DENY\r\n"
	    "Referrer-Policy: no-referrer\r\n"
	    "Cross-Origin-Opener-Policy: same-origin\r\n"
	    "Cache-Control: no-store\r\n", (char *)b64);
	return n < 0 || (size_t)n >= size ? -1 : 0;
}

void
page_send(struct conn *c, int status, const char *title, const char *body)
{
	char	 page[PAGE_MAX], fields[1024];
	int	 n;

	n = snprintf(page, sizeof(page),
	    "<!DOCTYPE html>\n"
	    "<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	    "<meta name=\"viewport\" content=\"width=device-width\">\n"
	    "<title>%s</title>\n<style>%s</style>\n"
	    "</head>\n<body>\n<h1>%s</h1>\n%s</body>\n</html>\n",
	    title, style, title, body);
	if (n < 0 || (size_t)n >= sizeof(page) ||
	    page_fields(fields, sizeof(fields)) == -1)
		conn_refuse(c, 500, "page too long");
	else
		conn_answer(c, status, "text/html; charset=utf-8", fields,
		    page, n);
}

void
page_root(struct conn *c)
{
	page_send(c, 200, "shoal", "<p>This is the coordination server of a "
	    "tailnet. Machines talk to it; there is nothing to see here."
	    "</p>\n");
}

void
page_no_login(struct conn *c)
{
	page_send(c, 404, "No login waits here", "<p>It may have been let in "
	    "already, or be older than 15 minutes. To try again, log in once "
	    "more on the machine: it shows a new address.</p>\n");
}

/* A row of the table; nothing where it is not known. */
static void
page_row(char *buf, size_t size, const char *name, const char *value)
{
	char	 safe[512], row[640];

	if (value[0] == '\0' || http_escape(value, safe, sizeof(safe)) == -1)
		return;
	snprintf(row, sizeof(row), "<tr><th scope=\"row\">%s</th><td>%s</td>"
	    "</tr>\n", name, safe);
	(void)strlcat(buf, row, size);
}

void
page_login(struct conn *c, const char *id, const struct msg_web_answer *m)
{
	char	 body[4096], rows[3072] = "", minutes[64];
	int	 n;

	snprintf(minutes, sizeof(minutes), "in %u minute%s",
	    m->minutes, m->minutes == 1 ? "" : "s");
	page_row(rows, sizeof(rows), "Machine", m->name);
	page_row(rows, sizeof(rows), "System", m->os);
	page_row(rows, sizeof(rows), "Client", m->version);
	page_row(rows, sizeof(rows), "Node key", m->key);
	page_row(rows, sizeof(rows), "This login ends", minutes);
	n = snprintf(body, sizeof(body),
	    "<p>It asks to join this tailnet, and waits.</p>\n"
	    "<table>\n%s</table>\n"
	    "<p>If you know it and it is yours to let in, an administrator "
	    "runs this on the server, with the name of the machine's "
	    "user:</p>\n"
	    "<p class=\"c\"><code>coordctl node approve %s --user NAME</code>"
	    "</p>\n"
	    "<p>The machine then goes on by itself; you may close this page. "
	    "If you do not know it, close the page too: nothing "
	    "happens.</p>\n", rows, id);
	if (n < 0 || (size_t)n >= sizeof(body))
		conn_refuse(c, 500, "page too long");
	else
		page_send(c, 200, "A machine wants to log in", body);
}
