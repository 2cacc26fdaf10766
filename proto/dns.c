/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * DNS messages: names, queries, and the frame of answers.
 */

#include <sys/types.h>

#include <string.h>

#include "dns_int.h"

#define NAME_MAX_TEXT	255		/* dots included, RFC 1035 2.3.4 */
#define LABEL_MAX	63
#define POINTERS_MAX	10
/* What an answer takes over from the query: opcode, AA, TC, RD, RA, AD, CD. */
#define FLAGS_KEPT	0x7fb0
#define RCODE_MASK	0x000f
#define UDP_DEFAULT	512

uint16_t
dns_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

uint32_t
dns_get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	    (uint32_t)p[2] << 8 | p[3];
}

void
dns_put_bytes(struct dns_writer *w, const void *data, size_t len)
{
	if (w->w_bad || len > w->w_max - w->w_len) {
		w->w_bad = 1;
		return;
	}
	memcpy(w->w_buf + w->w_len, data, len);
	w->w_len += len;
}

void
dns_put16(struct dns_writer *w, uint16_t v)
{
	uint8_t	 b[2] = { v >> 8, v & 0xff };

	dns_put_bytes(w, b, sizeof(b));
}

void
dns_put32(struct dns_writer *w, uint32_t v)
{
	dns_put16(w, v >> 16);
	dns_put16(w, v & 0xffff);
}

/* Never compressed: small answers, and names keep the asker's case. */
void
dns_put_name(struct dns_writer *w, const struct dns_name *name)
{
	const char	*p = name->text, *end = p + name->len, *dot;
	uint8_t		 n;

	while (p < end && (dot = memchr(p, '.', end - p)) != NULL) {
		n = dot - p;
		if (n > 0) {
			dns_put_bytes(w, &n, 1);
			dns_put_bytes(w, p, n);
		}
		p = dot + 1;
	}
	n = 0;
	dns_put_bytes(w, &n, 1);
}

size_t
dns_name_wire_len(const struct dns_name *name)
{
	return name->len <= 1 ? 1 : name->len + 1;
}

/* Append a label; dots within would make two of it. */
static int
name_append(struct dns_name *name, const uint8_t *label, size_t n)
{
	if (memchr(label, '.', n) != NULL ||
	    n + 1 > NAME_MAX_TEXT - name->len)
		return -1;
	memcpy(name->text + name->len, label, n);
	name->len += n;
	name->text[name->len++] = '.';
	return 0;
}

int
dns_get_name(const uint8_t *msg, size_t len, size_t *off,
    struct dns_name *name)
{
	size_t		 pos = *off, n;
	int		 pointers = 0;

	name->len = 0;
	for (;;) {
		if (pos >= len)
			return -1;
		n = msg[pos++];
		if (n == 0)
			break;
		if ((n & 0xc0) == 0xc0) {
			if (pos >= len || ++pointers > POINTERS_MAX)
				return -1;
			if (pointers == 1)
				*off = pos + 1;
			pos = (n & 0x3f) << 8 | msg[pos];
			continue;
		}
		if (n > LABEL_MAX || n > len - pos ||
		    name_append(name, msg + pos, n) == -1)
			return -1;
		pos += n;
	}
	if (pointers == 0)
		*off = pos;
	if (name->len == 0)
		name->text[name->len++] = '.';
	name->text[name->len] = '\0';
	return 0;
}

void
dns_name_lower(struct dns_name *to, const struct dns_name *from)
{
	size_t	 i;

	*to = *from;
	for (i = 0; i < to->len; i++)
		if (to->text[i] >= 'A' && to->text[i] <= 'Z')
			to->text[i] += 'a' - 'A';
}

int
dns_name_equal(const struct dns_name *a, const struct dns_name *b)
{
	return a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}

int
dns_name_within(const struct dns_name *name, const struct dns_name *suffix)
{
	size_t	 skip;

	if (suffix->len <= 1)
		return 1;
	if (name->len < suffix->len)
		return 0;
	skip = name->len - suffix->len;
	if (memcmp(name->text + skip, suffix->text, suffix->len) != 0)
		return 0;
	return skip == 0 || name->text[skip - 1] == '.';
}

int
dns_name_from_text(struct dns_name *name, const char *text)
{
	struct dns_name	 raw;
	const char	*dot;
	size_t		 n;

	memset(&raw, 0, sizeof(raw));
	if (strcmp(text, ".") == 0)
		text++;
	while (*text != '\0') {
		dot = strchr(text, '.');
		n = dot != NULL ? (size_t)(dot - text) : strlen(text);
		if (n == 0 || n > LABEL_MAX ||
		    name_append(&raw, (const uint8_t *)text, n) == -1)
			return -1;
		text += n + (dot != NULL);
	}
	if (raw.len == 0)
		raw.text[raw.len++] = '.';
	raw.text[raw.len] = '\0';
	dns_name_lower(name, &raw);
	return 0;
}

/* The asker's room, if the additional section has an OPT (RFC 6891, 6.2.3). */
static size_t
query_udp_size(const uint8_t *msg, size_t len, size_t off)
{
	struct dns_name	 name;
	unsigned int	 i, n;

	n = dns_get16(msg + 10);
	if (dns_get16(msg + 4) != 1 || dns_get16(msg + 6) != 0 ||
	    dns_get16(msg + 8) != 0)
		return UDP_DEFAULT;
	for (i = 0; i < n; i++) {
		if (dns_get_name(msg, len, &off, &name) == -1 ||
		    len - off < 10)
			return UDP_DEFAULT;
		if (dns_get16(msg + off) == DNS_T_OPT &&
		    dns_get16(msg + off + 2) > UDP_DEFAULT)
			return dns_get16(msg + off + 2);
		if (dns_get16(msg + off + 8) > len - off - 10)
			return UDP_DEFAULT;
		off += 10 + dns_get16(msg + off + 8);
	}
	return UDP_DEFAULT;
}

int
dns_query_parse(struct dns_query *q, const uint8_t *msg, size_t len)
{
	size_t	 off = DNS_HDR_LEN;

	memset(q, 0, sizeof(*q));
	q->udp_size = UDP_DEFAULT;
	if (len < DNS_HDR_LEN)
		return -1;
	q->id = dns_get16(msg);
	q->flags = dns_get16(msg + 2);
	if (dns_get16(msg + 4) == 0 ||
	    dns_get_name(msg, len, &off, &q->name) == -1 || len - off < 4)
		return -1;
	dns_name_lower(&q->lower, &q->name);
	q->type = dns_get16(msg + off);
	q->class = dns_get16(msg + off + 2);
	q->has_question = 1;
	q->udp_size = query_udp_size(msg, len, off + 4);
	if (q->udp_size > DNS_UDP_MAX)
		q->udp_size = DNS_UDP_MAX;
	return q->flags & DNS_F_QR ? -1 : 0;
}

void
dns_put_reply(struct dns_writer *w, const struct dns_query *q, uint16_t flags,
    unsigned int nanswers, unsigned int nauth)
{
	dns_put16(w, q->id);
	dns_put16(w, (q->flags & FLAGS_KEPT) | DNS_F_QR | flags);
	dns_put16(w, q->has_question);
	dns_put16(w, nanswers);
	dns_put16(w, nauth);
	dns_put16(w, 0);
	if (!q->has_question)
		return;
	dns_put_name(w, &q->name);
	dns_put16(w, q->type);
	dns_put16(w, q->class);
}

size_t
dns_reply_empty(const struct dns_query *q, int rcode, uint16_t flags,
    uint8_t *out, size_t max)
{
	struct dns_writer	 w = { out, 0, max, 0 };

	if (q->flags & DNS_F_RD)
		flags |= DNS_F_RA;
	dns_put_reply(&w, q, flags | rcode, 0, 0);
	return w.w_bad ? 0 : w.w_len;
}

size_t
dns_reply_servfail(const struct dns_query *q, uint8_t *out, size_t max)
{
	struct dns_writer	 w = { out, 0, max, 0 };

	dns_put_reply(&w, q, DNS_F_AA | DNS_R_SERVFAIL, 0, 0);
	return w.w_bad ? 0 : w.w_len;
}

size_t
dns_reply_adopt(const struct dns_query *q, uint8_t *msg, size_t len,
    size_t max)
{
	struct dns_name	 name, lower;
	size_t		 off = DNS_HDR_LEN;
	uint16_t	 flags;

	if (len < DNS_HDR_LEN || dns_get16(msg + 4) != 1 ||
	    dns_get_name(msg, len, &off, &name) == -1 || len - off < 4)
		return 0;
	dns_name_lower(&lower, &name);
	flags = dns_get16(msg + 2);
	if ((flags & DNS_F_QR) == 0 || !dns_name_equal(&lower, &q->lower) ||
	    dns_get16(msg + off) != q->type ||
	    dns_get16(msg + off + 2) != q->class)
		return 0;
	msg[0] = q->id >> 8;
	msg[1] = q->id & 0xff;
	if (len <= max)
		return len;
	if (off + 4 > max)
		return 0;
	msg[2] |= DNS_F_TC >> 8;
	memset(msg + 6, 0, 6);		/* no records of any section */
	return off + 4;
}
