/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Records of TLS 1.3: the record of RFC 8448, section 3; both ends of a
 * connection in every suite; what must be refused.
 */
/* link: ../../derpd/relay/record.c */

#include <sys/types.h>

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../derpd/relay/record.h"

#define C_SECRET \
    "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5"
#define S_SECRET \
    "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643"
#define MORE	"00112233445566778899aabbccddeeff"

static const uint8_t	 rfc8448[] = {
	0x17, 0x03, 0x03, 0x00, 0x43, 0xa2, 0x3f, 0x70, 0x54, 0xb6, 0x2c,
	0x94, 0xd0, 0xaf, 0xfa, 0xfe, 0x82, 0x28, 0xba, 0x55, 0xcb, 0xef,
	0xac, 0xea, 0x42, 0xf9, 0x14, 0xaa, 0x66, 0xbc, 0xab, 0x3f, 0x2b,
	0x98, 0x19, 0xa8, 0xa5, 0xb4, 0x6b, 0x39, 0x5b, 0xd5, 0x4a, 0x9a,
	0x20, 0x44, 0x1e, 0x2b, 0x62, 0x97, 0x4e, 0x1f, 0x5a, 0x62, 0x92,
	0xa2, 0x97, 0x70, 0x14, 0xbd, 0x1e, 0x3d, 0xea, 0xe6, 0x3a, 0xee,
	0xbb, 0x21, 0x69, 0x49, 0x15, 0xe4
};

static uint8_t	 text[100000], wire[RECORD_SEALED(100000)];
static uint8_t	 out[RECORD_PLAIN + 1];

/* What comes to a server (0) is what goes from a client (1). */
static struct record *
end_of(uint32_t suite, int client, int len48)
{
	struct record	*r = record_new();
	char		 line[256];
	int		 i;

	for (i = 0; i < 2; i++) {
		(void)snprintf(line, sizeof(line), "%s_TRAFFIC_SECRET_0 "
		    "0011 %s%s", i == 0 ? "CLIENT" : "SERVER",
		    i == client ? C_SECRET : S_SECRET, len48 ? MORE : "");
		record_keylog(r, line);
	}
	if (record_start(r, suite) == -1)
		errx(1, "suite %x", suite);
	return r;
}

static void
test_rfc(void)
{
	struct record	*r = end_of(0x1301, 0, 0);
	size_t		 i, n;

	for (i = 0; i < sizeof(rfc8448); i++)
		if (record_open(r, rfc8448, i, out, &n) != 0)
			errx(1, "%zu bytes are no record", i);
	if (record_open(r, rfc8448, sizeof(rfc8448), out, &n) !=
	    sizeof(rfc8448) || n != 50)
		errx(1, "the record of RFC 8448");
	for (i = 0; i < n; i++)
		if (out[i] != i)
			errx(1, "byte %zu of RFC 8448", i);
	/* Once more: it is another sequence number by now. */
	if (record_open(r, rfc8448, sizeof(rfc8448), out, &n) != -1)
		errx(1, "a record that is repeated");
	record_free(r);
}

/* All of the stream comes out as it went in. */
static void
pass(struct record *from, struct record *to, size_t len)
{
	ssize_t	 n;
	size_t	 got, off = 0, done = 0, sealed;

	arc4random_buf(text, len);
	sealed = record_seal(from, text, len, wire);
	if (sealed > RECORD_SEALED(len))
		errx(1, "%zu bytes for %zu", sealed, len);
	for (; off < sealed; off += n, done += got) {
		if ((n = record_open(to, wire + off, sealed - off, out,
		    &got)) <= 0)
			errx(1, "record at %zu of %zu", off, sealed);
		if (got > len - done || memcmp(out, text + done, got) != 0)
			errx(1, "another text at %zu", done);
	}
	if (done != len)
		errx(1, "%zu bytes of %zu", done, len);
}

static void
test_suite(uint32_t suite, int len48)
{
	static const size_t	 sizes[] = {
		1, 2, 15, 16, 17, 1237, 16383, 16384, 16385, 32768, 100000
	};
	struct record		*a = end_of(suite, 0, len48);
	struct record		*b = end_of(suite, 1, len48);
	size_t			 i, n, k;

	for (k = 0; k < 5; k++) {
		for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			pass(a, b, sizes[i]);
			pass(b, a, sizes[i]);
		}
		record_rest(a);
		if (k == 2) {		/* twice: its memory is given back */
			record_rest(a);
			record_rest(b);
			record_rest(b);
		}
	}
	n = record_seal(a, text, 100, wire);
	wire[arc4random_uniform(n - 5) + 5] ^= 1 << arc4random_uniform(8);
	if (record_open(b, wire, n, out, &k) != -1)
		errx(1, "%x: forged", suite);
	record_free(a);
	record_free(b);
}

static void
test_end(void)
{
	struct record	*a = end_of(0x1301, 0, 0), *b = end_of(0x1301, 1, 0);
	uint8_t		 alert[32];
	size_t		 n, got;

	n = record_close(a, alert);
	if (n > sizeof(alert) || record_open(b, alert, n, out, &got) != -1 ||
	    got != 0)
		errx(1, "the end is not told");
	record_free(a);
	record_free(b);
}

static void
test_bad(void)
{
	static const uint8_t	 heads[][5] = {
		{ 21, 3, 3, 0, 32 }, { 20, 3, 3, 0, 32 }, { 23, 3, 1, 0, 32 },
		{ 23, 2, 3, 0, 32 }, { 23, 3, 3, 0, 16 },
		{ 23, 3, 3, 0x41, 1 }, { 23, 3, 3, 0xff, 0xff }
	};
	struct record		*r;
	uint8_t			 buf[70000];
	size_t			 i, n;

	for (i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		r = end_of(0x1301, 0, 0);
		memset(buf, 0, sizeof(buf));
		memcpy(buf, heads[i], 5);
		if (record_open(r, buf, sizeof(buf), out, &n) != -1)
			errx(1, "bad head %zu", i);
		record_free(r);
	}
	r = record_new();
	record_keylog(r, "CLIENT_TRAFFIC_SECRET_0 00 11");
	record_keylog(r, "SERVER_TRAFFIC_SECRET_0");
	record_keylog(r, "CLIENT_RANDOM 00 " C_SECRET);
	if (record_start(r, 0x1301) != -1)
		errx(1, "begun without secrets");
	record_free(r);
	r = end_of(0x1301, 0, 0);
	if (record_start(r, 0xc02f) != -1)
		errx(1, "a suite of TLS 1.2");
	record_free(r);
	record_free(NULL);
}

int
main(void)
{
	test_rfc();
	test_suite(0x1301, 0);
	test_suite(0x1302, 1);
	test_suite(0x1303, 0);
	test_end();
	test_bad();
	return 0;
}
