/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Records of TLS 1.3 after the handshake.
 * Source: RFC 8446, sections 5, 4.6.3, 7.1 to 7.3.
 */

#include <sys/types.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "log.h"
#include "record.h"

#define TAG_LEN		16
#define NONCE_LEN	12
#define SECRET_MAX	48
#define KEY_MAX		32
#define WARM		16		/* records, then it keeps a context */
#define SEQ_MAX		(1ULL << 24)	/* RFC 8446, 5.5; then new keys */
#define IDLE_MAX	32		/* records in a row that say nothing */
#define KEY_UPDATE	24

struct suite {
	uint32_t	  s_id;
	const EVP_CIPHER *(*s_cipher)(void);
	const EVP_MD	 *(*s_hash)(void);
	size_t		  s_keylen;
	size_t		  s_hashlen;
	EVP_CIPHER_CTX	 *s_scratch[2];	/* of those who say little */
};

/* One direction. */
struct dir {
	EVP_CIPHER_CTX	*d_ctx;		/* NULL: the suite's scratch */
	uint64_t	 d_seq;
	unsigned int	 d_heat;	/* records since it rested */
	int		 d_known;	/* the secret is there */
	uint8_t		 d_secret[SECRET_MAX];
	uint8_t		 d_key[KEY_MAX];
	uint8_t		 d_iv[NONCE_LEN];
};

struct record {
	struct suite	*r_suite;
	struct dir	 r_dir[2];	/* what comes, what goes */
	unsigned int	 r_idle;
	int		 r_answer;	/* new keys are due from us */
};

#define IN	0
#define OUT	1

static struct suite	 suites[] = {
	{ 0x1301, EVP_aes_128_gcm, EVP_sha256, 16, 32, { NULL, NULL } },
	{ 0x1302, EVP_aes_256_gcm, EVP_sha384, 32, 48, { NULL, NULL } },
	{ 0x1303, EVP_chacha20_poly1305, EVP_sha256, 32, 32, { NULL, NULL } }
};

/* --- keys --- */

/* HKDF-Expand-Label without context, for at most a hash's length. */
static void
expand(const struct suite *s, const uint8_t *secret, const char *label,
    uint8_t *out, size_t len)
{
	uint8_t		 info[32], hash[EVP_MAX_MD_SIZE];
	unsigned int	 n;
	size_t		 l = strlen(label);

	info[0] = 0;
	info[1] = len;
	info[2] = l;
	memcpy(info + 3, label, l);
	info[3 + l] = 0;
	info[4 + l] = 1;		/* the first block of HKDF-Expand */
	if (HMAC(s->s_hash(), secret, s->s_hashlen, info, l + 5, hash,
	    &n) == NULL)
		fatalx("HMAC");
	memcpy(out, hash, len);
	explicit_bzero(hash, sizeof(hash));
}

static void
dir_keys(const struct suite *s, struct dir *d)
{
	expand(s, d->d_secret, "tls13 key", d->d_key, s->s_keylen);
	expand(s, d->d_secret, "tls13 iv", d->d_iv, sizeof(d->d_iv));
	d->d_seq = 0;
	EVP_CIPHER_CTX_free(d->d_ctx);
	d->d_ctx = NULL;
}

static void
dir_update(const struct suite *s, struct dir *d)
{
	uint8_t	 next[SECRET_MAX];

	expand(s, d->d_secret, "tls13 traffic upd", next, s->s_hashlen);
	memcpy(d->d_secret, next, s->s_hashlen);
	explicit_bzero(next, sizeof(next));
	dir_keys(s, d);
}

static EVP_CIPHER_CTX *
ctx_new(const struct suite *s, const uint8_t *key, int out)
{
	EVP_CIPHER_CTX	*ctx;

	if ((ctx = EVP_CIPHER_CTX_new()) == NULL || EVP_CipherInit_ex(ctx,
	    s->s_cipher(), NULL, key, NULL, out) != 1)
		fatalx("cipher");
	return ctx;
}

struct record *
record_new(void)
{
	struct record	*r;

	if ((r = calloc(1, sizeof(*r))) == NULL)
		fatal(NULL);
	return r;
}

void
record_free(struct record *r)
{
	if (r == NULL)
		return;
	EVP_CIPHER_CTX_free(r->r_dir[IN].d_ctx);
	EVP_CIPHER_CTX_free(r->r_dir[OUT].d_ctx);
	freezero(r, sizeof(*r));
}

void
record_keylog(struct record *r, const char *line)
{
	static const char *const names[] = {
		"CLIENT_TRAFFIC_SECRET_0 ", "SERVER_TRAFFIC_SECRET_0 "
	};
	struct dir	*d = NULL;
	const char	*p;
	size_t		 i;

	for (i = 0; i < 2; i++)
		if (strncmp(line, names[i], strlen(names[i])) == 0)
			d = &r->r_dir[i];
	if (d == NULL || (p = strrchr(line, ' ')) == NULL)
		return;
	for (i = 0, p++; i < SECRET_MAX && p[0] != '\0' && p[1] != '\0';
	    i++, p += 2)
		if (sscanf(p, "%2hhx", &d->d_secret[i]) != 1)
			return;
	d->d_known = i == 32 || i == SECRET_MAX;
}

int
record_start(struct record *r, uint32_t id)
{
	struct suite	*s = NULL;
	size_t		 i;

	for (i = 0; i < sizeof(suites) / sizeof(suites[0]); i++)
		if (suites[i].s_id == id)
			s = &suites[i];
	if (s == NULL || !r->r_dir[IN].d_known || !r->r_dir[OUT].d_known)
		return -1;
	r->r_suite = s;
	for (i = 0; i < 2; i++) {
		dir_keys(s, &r->r_dir[i]);
		if (s->s_scratch[i] == NULL)
			s->s_scratch[i] = ctx_new(s, r->r_dir[i].d_key, i);
	}
	return 0;
}

/* The context, ready for the next record of that direction. */
static EVP_CIPHER_CTX *
dir_next(struct record *r, int which)
{
	struct suite	*s = r->r_suite;
	struct dir	*d = &r->r_dir[which];
	EVP_CIPHER_CTX	*ctx;
	const uint8_t	*key = NULL;
	uint8_t		 nonce[NONCE_LEN];
	size_t		 i;

	if (d->d_ctx == NULL && d->d_heat >= WARM)
		d->d_ctx = ctx_new(s, d->d_key, which);
	d->d_heat++;
	if ((ctx = d->d_ctx) == NULL) {
		ctx = s->s_scratch[which];
		key = d->d_key;
	}
	memcpy(nonce, d->d_iv, sizeof(nonce));
	for (i = 0; i < 8; i++)
		nonce[NONCE_LEN - 1 - i] ^= d->d_seq >> (8 * i);
	if (EVP_CipherInit_ex(ctx, NULL, NULL, key, nonce, which) != 1)
		fatalx("cipher");
	d->d_seq++;
	return ctx;
}

void
record_rest(struct record *r)
{
	struct dir	*d;

	for (d = r->r_dir; d < r->r_dir + 2; d++) {
		if (d->d_heat < WARM) {
			EVP_CIPHER_CTX_free(d->d_ctx);
			d->d_ctx = NULL;
		}
		d->d_heat = 0;
	}
}

/* --- what goes --- */

static void
header(uint8_t *p, size_t len)
{
	p[0] = RECORD_DATA;
	p[1] = p[2] = 3;
	p[3] = len >> 8;
	p[4] = len & 0xff;
}

static size_t
seal(struct record *r, uint8_t type, const uint8_t *data, size_t len,
    uint8_t *out)
{
	EVP_CIPHER_CTX	*ctx = dir_next(r, OUT);
	uint8_t		*p = out + RECORD_HDR_LEN;
	int		 n;

	header(out, len + 1 + TAG_LEN);
	if (EVP_CipherUpdate(ctx, NULL, &n, out, RECORD_HDR_LEN) != 1 ||
	    EVP_CipherUpdate(ctx, p, &n, data, len) != 1 ||
	    EVP_CipherUpdate(ctx, p + len, &n, &type, 1) != 1 ||
	    EVP_CipherFinal_ex(ctx, p + len + 1, &n) != 1 ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_LEN,
	    p + len + 1) != 1)
		fatalx("cipher");
	return RECORD_HDR_LEN + len + 1 + TAG_LEN;
}

/* New keys for what goes. */
static size_t
seal_update(struct record *r, uint8_t *out)
{
	static const uint8_t	 update[] = { KEY_UPDATE, 0, 0, 1, 0 };
	size_t			 n;

	n = seal(r, RECORD_HANDSHAKE, update, sizeof(update), out);
	dir_update(r->r_suite, &r->r_dir[OUT]);
	r->r_answer = 0;
	return n;
}

size_t
record_seal(struct record *r, const uint8_t *data, size_t len, uint8_t *out)
{
	size_t	 n, done = 0;

	if (r->r_answer || r->r_dir[OUT].d_seq >= SEQ_MAX)
		done = seal_update(r, out);
	for (; len > 0; data += n, len -= n) {
		n = len > RECORD_PLAIN ? RECORD_PLAIN : len;
		done += seal(r, RECORD_DATA, data, n, out + done);
	}
	return done;
}

size_t
record_close(struct record *r, uint8_t out[32])
{
	static const uint8_t	 close_notify[] = { 1, 0 };

	return seal(r, RECORD_ALERT, close_notify, sizeof(close_notify), out);
}

/* --- what comes --- */

/* The text of a record, its type behind it: its length, or -1. */
static ssize_t
unseal(struct record *r, const uint8_t *rec, size_t len, uint8_t *out)
{
	EVP_CIPHER_CTX	*ctx = dir_next(r, IN);
	uint8_t		 tag[TAG_LEN];
	int		 n, last;

	memcpy(tag, rec + RECORD_HDR_LEN + len, sizeof(tag));
	if (EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, sizeof(tag),
	    tag) == 1 &&
	    EVP_CipherUpdate(ctx, NULL, &n, rec, RECORD_HDR_LEN) == 1 &&
	    EVP_CipherUpdate(ctx, out, &n, rec + RECORD_HDR_LEN, len) == 1 &&
	    EVP_CipherFinal_ex(ctx, out + n, &last) == 1)
		return n + last;
	ERR_clear_error();
	return -1;
}

static int
handshake(struct record *r, const uint8_t *p, size_t len)
{
	if (len != 5 || p[0] != KEY_UPDATE || p[1] != 0 || p[2] != 0 ||
	    p[3] != 1 || p[4] > 1)
		return -1;
	dir_update(r->r_suite, &r->r_dir[IN]);
	if (p[4] == 1)
		r->r_answer = 1;
	return 0;
}

static int
contents(struct record *r, uint8_t type, const uint8_t *p, size_t len,
    size_t *data)
{
	*data = 0;
	if (type == RECORD_DATA && len > 0) {
		*data = len;
		r->r_idle = 0;
		return 0;
	}
	/* Such records cost us, and nobody needs many of them. */
	if (++r->r_idle > IDLE_MAX)
		return -1;
	if (type == RECORD_HANDSHAKE)
		return handshake(r, p, len);
	return type == RECORD_DATA ? 0 : -1;	/* an alert is the end */
}

ssize_t
record_open(struct record *r, const uint8_t *rec, size_t have, uint8_t *out,
    size_t *data)
{
	ssize_t	 n;
	size_t	 len;

	*data = 0;
	if (have < RECORD_HDR_LEN)
		return 0;
	len = rec[3] << 8 | rec[4];
	if (rec[0] != RECORD_DATA || rec[1] != 3 || rec[2] != 3 ||
	    len < TAG_LEN + 1 || len > RECORD_WIRE - RECORD_HDR_LEN)
		return -1;
	if (have < RECORD_HDR_LEN + len)
		return 0;
	if (len - TAG_LEN > RECORD_PLAIN + 1)
		return -1;
	if ((n = unseal(r, rec, len - TAG_LEN, out)) == -1)
		return -1;
	while (n > 0 && out[n - 1] == 0)	/* padding */
		n--;
	if (n == 0 || contents(r, out[n - 1], out, n - 1, data) == -1)
		return -1;
	return RECORD_HDR_LEN + len;
}
