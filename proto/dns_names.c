/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Names that are addresses in another form: reverse zones, and 4via6
 * (features.md 4.2, 5.4).
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <arpa/inet.h>

#include <stdlib.h>
#include <string.h>

#include "dns_int.h"

int
dns_ip_parse(const char *text, struct dns_ip *ip)
{
	memset(ip, 0, sizeof(*ip));
	if (inet_pton(AF_INET, text, ip->addr) == 1) {
		ip->af = 4;
		return 0;
	}
	if (inet_pton(AF_INET6, text, ip->addr) == 1) {
		ip->af = 6;
		return 0;
	}
	return -1;
}

/* "1.2.3.4" of len bytes, no leading zeros. */
static int
ip4_parse(const char *text, size_t len, char sep, uint8_t *addr)
{
	unsigned int	 part = 0, v = 0;
	size_t		 i, digits = 0;

	for (i = 0; i <= len; i++) {
		if (i == len || text[i] == sep) {
			if (digits == 0 || part > 3)
				return -1;
			addr[part++] = v;
			v = digits = 0;
			continue;
		}
		if (text[i] < '0' || text[i] > '9' ||
		    (digits > 0 && v == 0))
			return -1;
		v = v * 10 + (text[i] - '0');
		if (v > 255)
			return -1;
		digits++;
	}
	return part == 4 ? 0 : -1;
}

static int
digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* An integer literal of Go, 32 bits: 7, 0x7, 0o7, 07, 0b111, 1_000. */
static int
site_parse(const char *s, size_t len, uint32_t *site)
{
	uint64_t	 v = 0;
	unsigned int	 base = 10;
	size_t		 i = 0, digits = 0;
	int		 d, under = 1;

	if (len >= 2 && s[0] == '0') {
		base = s[1] == 'x' ? 16 : s[1] == 'o' ? 8 : s[1] == 'b' ? 2 :
		    8;
		i = s[1] == 'x' || s[1] == 'o' || s[1] == 'b' ? 2 : 1;
		under = 0;		/* may follow the prefix */
	}
	for (; i < len; i++) {
		if (s[i] == '_') {
			if (under)
				return -1;
			under = 1;
			continue;
		}
		if ((d = digit_value(s[i])) == -1 || (unsigned int)d >= base)
			return -1;
		v = v * base + d;
		if (v > UINT32_MAX)
			return -1;
		digits++;
		under = 0;
	}
	*site = v;
	return digits > 0 && !under ? 0 : -1;
}

static const char *
find(const char *s, size_t len, const char *what)
{
	return memmem(s, len, what, strlen(what));
}

/* Strictly below it. */
static int
below(const char *s, size_t len, const char *suffix)
{
	size_t	 n = strlen(suffix);

	return len > n && memcmp(s + len - n, suffix, n) == 0 &&
	    s[len - n - 1] == '.';
}

static int
via_result(const char *v4, size_t v4len, char sep, const char *site,
    size_t sitelen, struct dns_ip *ip)
{
	static const uint8_t	 prefix[8] = {
		0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0, 0x0b, 0x1a
	};
	uint32_t		 id;

	memset(ip, 0, sizeof(*ip));
	if (ip4_parse(v4, v4len, sep, ip->addr + 12) == -1 ||
	    site_parse(site, sitelen, &id) == -1)
		return -1;
	ip->af = 6;
	memcpy(ip->addr, prefix, sizeof(prefix));
	ip->addr[8] = id >> 24;
	ip->addr[9] = id >> 16 & 0xff;
	ip->addr[10] = id >> 8 & 0xff;
	ip->addr[11] = id & 0xff;
	return 0;
}

/* a-b-c-d-via-S[.any.ts.net], via-S.a.b.c.d, or a.b.c.d.via-S. */
int
dns_via_parse(const struct dns_name *name, struct dns_ip *ip)
{
	const char	*s = name->text, *via, *dot, *rest;
	size_t		 len = name->len - 1, n;

	if (len < strlen("via-X.0.0.0.0"))
		return -1;
	if (find(s, len, "-via-") != NULL) {
		dot = memchr(s, '.', len);
		n = dot != NULL ? (size_t)(dot - s) : len;
		rest = dot != NULL ? dot + 1 : s + len;
		if (rest != s + len &&
		    !below(rest, s + len - rest, "ts.net") &&
		    !below(rest, s + len - rest, "tailscale.net"))
			return -1;
		if ((via = find(s, n, "-via-")) == NULL)
			return -1;
		rest = via + strlen("-via-");
		return via_result(s, via - s, '-', rest, s + n - rest, ip);
	}
	if (memcmp(s, "via-", 4) == 0) {
		if ((dot = memchr(s, '.', len)) == NULL)
			return -1;
		return via_result(dot + 1, s + len - dot - 1, '.', s + 4,
		    dot - s - 4, ip);
	}
	dot = memrchr(s, '.', len);
	if (dot == NULL || s + len - dot < 6 || memcmp(dot, ".via-", 5) != 0)
		return -1;
	return via_result(s, dot - s, '.', dot + 5, s + len - dot - 5, ip);
}

static int
reverse4(const char *s, size_t len, struct dns_ip *ip)
{
	uint8_t	 a[4];

	if (ip4_parse(s, len, '.', a) == -1)
		return -1;
	ip->af = 4;
	ip->addr[0] = a[3];
	ip->addr[1] = a[2];
	ip->addr[2] = a[1];
	ip->addr[3] = a[0];
	return 0;
}

static int
reverse6(const char *s, size_t len, struct dns_ip *ip)
{
	size_t	 i;
	int	 d;

	if (len != 63)			/* 32 digits and what is between */
		return -1;
	for (i = 0; i < 32; i++) {
		if ((d = digit_value(s[i * 2])) == -1 ||
		    (i < 31 && s[i * 2 + 1] != '.'))
			return -1;
		ip->addr[15 - i / 2] |= i % 2 == 0 ? d : d << 4;
	}
	ip->af = 6;
	return 0;
}

int
dns_reverse_parse(const struct dns_name *name, struct dns_ip *ip)
{
	static const char	 v4[] = ".in-addr.arpa.", v6[] = ".ip6.arpa.";
	size_t			 n4 = sizeof(v4) - 1, n6 = sizeof(v6) - 1;

	memset(ip, 0, sizeof(*ip));
	if (name->len > n4 &&
	    memcmp(name->text + name->len - n4, v4, n4) == 0)
		return reverse4(name->text, name->len - n4, ip);
	if (name->len > n6 &&
	    memcmp(name->text + name->len - n6, v6, n6) == 0)
		return reverse6(name->text, name->len - n6, ip);
	return -1;
}

/* Service discovery of phones and printers: many, and nobody knows them. */
int
dns_bonjour(const struct dns_name *name)
{
	static const char *const	 first[] = {
		"b", "db", "r", "dr", "lb"
	};
	static const char		 rest[] = "._dns-sd._udp.";
	size_t				 i, n;

	for (i = 0; i < sizeof(first) / sizeof(first[0]); i++) {
		n = strlen(first[i]);
		if (name->len >= n + sizeof(rest) - 1 &&
		    memcmp(name->text, first[i], n) == 0 &&
		    memcmp(name->text + n, rest, sizeof(rest) - 1) == 0)
			return 1;
	}
	return 0;
}
