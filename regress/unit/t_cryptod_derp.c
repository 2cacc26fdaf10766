/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Logins to relays: what is sealed, which answers are opened, and what a
 * netd that was taken over cannot have.
 */

/* link: ../../cryptod/derpop.c */

#include <sys/types.h>

#include <err.h>
#include <stdlib.h>
#include <string.h>

#include "../../cryptod/cryptod.h"
#include "derp.h"
#include "keys.h"

#define SEC	1000000000LL

static uint8_t	 node[KEY_LEN], nodepub[KEY_LEN];
static uint8_t	 relay[KEY_LEN], relaypub[KEY_LEN];
static uint8_t	 nonce[KEY_BOX_NONCE_LEN];

static const struct {
	const char	*text;
	int		 good;
	int64_t		 version, rate, burst;
} scans[] = {
	{ "{}",					1, 0, 0, 0 },
	{ " { } ",				1, 0, 0, 0 },
	{ "{\"version\":2}",			1, 2, 0, 0 },
	{ "{\"version\" : 2 , \"x\" : [ { } , \"}\" ] }", 1, 2, 0, 0 },
	{ "{\"version\":2,\"TokenBucketBytesPerSecond\":10,"
	    "\"TokenBucketBytesBurst\":20}",	1, 2, 10, 20 },
	{ "{\"a\":\"\\\"\",\"version\":-3}",	1, -3, 0, 0 },
	{ "{\"a\":null,\"b\":true,\"c\":1.5e3}", 1, 0, 0, 0 },
	{ "",					0, 0, 0, 0 },
	{ "null",				0, 0, 0, 0 },
	{ "{\"version\":2",			0, 0, 0, 0 },
	{ "{\"version\":2}x",			0, 0, 0, 0 },
	{ "{\"version\":2.5}",			0, 0, 0, 0 },
	{ "{\"version\":\"2\"}",		0, 0, 0, 0 },
	{ "{\"version\":99999999999999999999}",	0, 0, 0, 0 },
	{ "{\"a\":}",				0, 0, 0, 0 },
	{ "{\"a\":[}",				0, 0, 0, 0 },
	{ "{\"a\":\"\\",			0, 0, 0, 0 },
	{ "{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", 0, 0, 0, 0 }
};

static void
test_scan(void)
{
	struct derp_server_info	 si;
	char			*copy;
	size_t			 i, len;
	int			 good;

	for (i = 0; i < sizeof(scans) / sizeof(scans[0]); i++) {
		len = strlen(scans[i].text);	/* ASan sees its end */
		if ((copy = malloc(len == 0 ? 1 : len)) == NULL)
			err(1, NULL);
		memcpy(copy, scans[i].text, len);
		good = derp_server_info_scan(copy, len, &si) == 0;
		free(copy);
		if (good != scans[i].good || si.si_version !=
		    scans[i].version || si.si_rate != scans[i].rate ||
		    si.si_burst != scans[i].burst)
			errx(1, "scan of %s", scans[i].text);
	}
	if (derp_server_info_scan("{\"a\":[\0]}", 9, &si) != -1)
		errx(1, "NUL in a value");
}

/* The relay reads the login. */
static void
check_login(const struct msg_derp_sealed *m)
{
	struct derp_client_info	 ci;
	uint8_t			 box[KEY_LEN], plain[256];

	if (m->error != MSG_OK || memcmp(m->node, nodepub, KEY_LEN) != 0 ||
	    memcmp(m->server, relaypub, KEY_LEN) != 0)
		errx(1, "seal: error %u", m->error);
	if (key_box_precompute(relay, nodepub, box) == -1 ||
	    key_box_open(box, m->box, m->len, plain) == -1)
		errx(1, "the relay cannot open the login");
	if (derp_client_info_parse(plain, m->len - KEY_BOX_OVERHEAD,
	    &ci) == -1 || ci.ci_version != DERP_VERSION ||
	    !ci.ci_can_ack_pings)
		errx(1, "another login");
}

static void
answer(struct msg_derp_open *m, const char *text)
{
	uint8_t	 box[KEY_LEN];

	memset(m, 0, sizeof(*m));
	memcpy(m->server, relaypub, sizeof(m->server));
	if (key_box_precompute(relay, nodepub, box) == -1)
		err(1, "precompute");
	key_box_seal(box, nonce, (const uint8_t *)text, strlen(text), m->box);
	m->len = strlen(text) + KEY_BOX_OVERHEAD;
}

static void
expect(struct derpop *d, const struct msg_derp_open *in, int64_t now,
    uint32_t error, const char *what)
{
	struct msg_derp_opened	 out;
	uint32_t		 got;

	got = derpop_open(d, node, in, now, &out);
	if (got != error || out.error != error)
		errx(1, "%s: error %u", what, got);
	if (error != MSG_OK && (out.rate != 0 || out.version != 0))
		errx(1, "%s: it says something all the same", what);
}

static void
test_login(void)
{
	static const uint8_t	 zero[KEY_LEN];
	struct derpop		 d;
	struct msg_derp_sealed	 sealed;
	struct msg_derp_open	 in;
	struct msg_derp_opened	 out;

	derpop_clear(&d);
	if (derpop_seal(&d, zero, relaypub, SEC, nonce, &sealed) !=
	    MSG_E_NOKEY)
		errx(1, "a login without a key");
	if (derpop_seal(&d, node, zero, SEC, nonce, &sealed) != MSG_E_CRYPTO ||
	    derpop_seal(&d, node, nodepub, SEC, nonce, &sealed) !=
	    MSG_E_CRYPTO)
		errx(1, "a login to nobody, or to ourselves");
	answer(&in, "{\"version\":2,\"TokenBucketBytesPerSecond\":7}");
	expect(&d, &in, SEC, MSG_E_STALE, "an answer to nothing");
	(void)derpop_seal(&d, node, relaypub, SEC, nonce, &sealed);
	check_login(&sealed);
	if (derpop_open(&d, node, &in, 2 * SEC, &out) != MSG_OK ||
	    out.version != 2 || out.rate != 7 || out.burst != 0)
		errx(1, "the answer");
	expect(&d, &in, 2 * SEC, MSG_E_STALE, "the same answer again");
	(void)derpop_seal(&d, node, relaypub, SEC, nonce, &sealed);
	expect(&d, &in, (DERPOP_AGE + 2) * SEC, MSG_E_STALE, "a late answer");
	(void)derpop_seal(&d, node, relaypub, SEC, nonce, &sealed);
	in.box[30] ^= 1;
	expect(&d, &in, 2 * SEC, MSG_E_CRYPTO, "a changed answer");
	(void)derpop_seal(&d, node, relaypub, SEC, nonce, &sealed);
	answer(&in, "not what a relay says");
	expect(&d, &in, 2 * SEC, MSG_E_CRYPTO, "another text");
	in.len = 3;
	expect(&d, &in, 2 * SEC, MSG_E_BAD, "a short box");
	in.len = DERP_ANSWER_MAX + 1;
	expect(&d, &in, 2 * SEC, MSG_E_BAD, "a long box");
}

/* So many logins at once, and the first ones are forgotten. */
static void
test_many(void)
{
	struct derpop		 d;
	struct msg_derp_sealed	 sealed;
	struct msg_derp_open	 in;
	uint8_t			 other[KEY_LEN], private[KEY_LEN];
	int			 i;

	derpop_clear(&d);
	(void)derpop_seal(&d, node, relaypub, SEC, nonce, &sealed);
	for (i = 0; i < DERPOP_LOGINS; i++) {
		arc4random_buf(nonce, sizeof(nonce));
		arc4random_buf(private, sizeof(private));
		key_public(private, other);
		(void)derpop_seal(&d, node, other, 2 * SEC, nonce, &sealed);
	}
	answer(&in, "{}");
	expect(&d, &in, 2 * SEC, MSG_E_STALE, "a forgotten login");
}

int
main(void)
{
	arc4random_buf(node, sizeof(node));
	arc4random_buf(relay, sizeof(relay));
	arc4random_buf(nonce, sizeof(nonce));
	key_public(node, nodepub);
	key_public(relay, relaypub);
	test_scan();
	test_login();
	test_many();
	return 0;
}
