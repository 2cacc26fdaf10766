/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * WireGuard: messages, macs, cookies, timestamps, replay window, padding.
 * Source: dataplane.md sections 1.1 to 1.3, 1.6, 1.7.
 */

#include <sys/types.h>
#include <sys/endian.h>

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include <sodium.h>

#include "blake2s.h"
#include "wg.h"

#define TAI_BASE	0x400000000000000aULL
#define TAI_STEP	(1U << 24)	/* ns */
#define NSEC		1000000000ULL

#define COOKIE_NONCE	8		/* offsets in a cookie reply */
#define COOKIE_BOX	32

int
wg_classify(const uint8_t *msg, size_t len)
{
	if (len < WG_TRANSPORT_OVERHEAD)
		return 0;
	switch (le32dec(msg)) {
	case WG_MSG_INITIATION:
		return len == WG_INITIATION_LEN ? WG_MSG_INITIATION : 0;
	case WG_MSG_RESPONSE:
		return len == WG_RESPONSE_LEN ? WG_MSG_RESPONSE : 0;
	case WG_MSG_COOKIE:
		return len == WG_COOKIE_REPLY_LEN ? WG_MSG_COOKIE : 0;
	case WG_MSG_TRANSPORT:
		return WG_MSG_TRANSPORT;
	default:
		return 0;
	}
}

uint32_t
wg_sender(const uint8_t *msg)
{
	return le32dec(msg + 4);
}

uint32_t
wg_receiver(const uint8_t *msg)
{
	return le32dec(msg + (msg[0] == WG_MSG_RESPONSE ? 8 : 4));
}

uint64_t
wg_counter(const uint8_t *msg)
{
	return le64dec(msg + 8);
}

const uint8_t *
wg_mac1(const uint8_t *msg)
{
	return msg - 2 * WG_MAC_LEN + (msg[0] == WG_MSG_INITIATION ?
	    WG_INITIATION_LEN : WG_RESPONSE_LEN);
}

int
wg_mac1_key(const uint8_t public[WG_KEY_LEN], uint8_t key[WG_KEY_LEN])
{
	return b2s_hash(key, "mac1----", 8, public, WG_KEY_LEN);
}

int
wg_cookie_key(const uint8_t public[WG_KEY_LEN], uint8_t key[WG_KEY_LEN])
{
	return b2s_hash(key, "cookie--", 8, public, WG_KEY_LEN);
}

int
wg_mac_append(uint8_t *msg, size_t len, const uint8_t key[WG_KEY_LEN],
    const uint8_t *cookie)
{
	uint8_t	*mac1, *mac2;

	mac1 = msg + len - 2 * WG_MAC_LEN;
	mac2 = msg + len - WG_MAC_LEN;
	if (b2s_mac(mac1, key, WG_KEY_LEN, msg, mac1 - msg) == -1)
		return -1;
	if (cookie == NULL) {
		memset(mac2, 0, WG_MAC_LEN);
		return 0;
	}
	return b2s_mac(mac2, cookie, WG_COOKIE_LEN, msg, mac2 - msg);
}

static int
mac_check(const uint8_t *msg, size_t len, const uint8_t *key, size_t keylen)
{
	uint8_t	 mac[WG_MAC_LEN];

	if (b2s_mac(mac, key, keylen, msg, len) == -1)
		return -1;
	if (crypto_verify_16(mac, msg + len) != 0) {
		errno = EBADMSG;
		return -1;
	}
	return 0;
}

int
wg_mac1_check(const uint8_t *msg, size_t len, const uint8_t key[WG_KEY_LEN])
{
	return mac_check(msg, len - 2 * WG_MAC_LEN, key, WG_KEY_LEN);
}

int
wg_mac2_check(const uint8_t *msg, size_t len,
    const uint8_t cookie[WG_COOKIE_LEN])
{
	return mac_check(msg, len - WG_MAC_LEN, cookie, WG_COOKIE_LEN);
}

int
wg_cookie_make(const uint8_t secret[WG_KEY_LEN], const uint8_t *source,
    size_t len, uint8_t cookie[WG_COOKIE_LEN])
{
	return b2s_mac(cookie, secret, WG_KEY_LEN, source, len);
}

int
wg_cookie_reply(const uint8_t *msg, const uint8_t key[WG_KEY_LEN],
    const uint8_t nonce[WG_COOKIE_NONCE_LEN],
    const uint8_t cookie[WG_COOKIE_LEN], uint8_t reply[WG_COOKIE_REPLY_LEN])
{
	le32enc(reply, WG_MSG_COOKIE);
	memcpy(reply + 4, msg + 4, 4);
	memcpy(reply + COOKIE_NONCE, nonce, WG_COOKIE_NONCE_LEN);
	return crypto_aead_xchacha20poly1305_ietf_encrypt(reply + COOKIE_BOX,
	    NULL, cookie, WG_COOKIE_LEN, wg_mac1(msg), WG_MAC_LEN, NULL,
	    nonce, key);
}

int
wg_cookie_open(const uint8_t *reply, const uint8_t key[WG_KEY_LEN],
    const uint8_t mac1[WG_MAC_LEN], uint8_t cookie[WG_COOKIE_LEN])
{
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(cookie, NULL, NULL,
	    reply + COOKIE_BOX, WG_COOKIE_REPLY_LEN - COOKIE_BOX, mac1,
	    WG_MAC_LEN, reply + COOKIE_NONCE, key) == -1) {
		errno = EBADMSG;
		return -1;
	}
	return 0;
}

void
wg_tai64n(uint64_t unixns, uint8_t ts[WG_TIMESTAMP_LEN])
{
	be64enc(ts, TAI_BASE + unixns / NSEC);
	be32enc(ts + 8, (uint32_t)(unixns % NSEC) & ~(TAI_STEP - 1));
}

void
wg_tai64n_after(const uint8_t last[WG_TIMESTAMP_LEN],
    uint8_t ts[WG_TIMESTAMP_LEN])
{
	uint64_t	 sec;
	uint32_t	 ns;

	if (memcmp(ts, last, WG_TIMESTAMP_LEN) > 0)
		return;
	sec = be64dec(last);
	ns = be32dec(last + 8) + TAI_STEP;
	if (ns >= NSEC) {
		sec++;
		ns = 0;
	}
	be64enc(ts, sec);
	be32enc(ts + 8, ns);
}

void
wg_replay_init(struct wg_replay *r)
{
	memset(r, 0, sizeof(*r));
}

int
wg_replay_check(struct wg_replay *r, uint64_t counter)
{
	uint64_t	 bit, block, last, n, i;

	if (counter >= WG_REJECT_AFTER_MESSAGES) {
		errno = EOVERFLOW;
		return -1;
	}
	block = counter / 64;
	if (counter > r->wr_last) {
		last = r->wr_last / 64;
		n = block - last;
		if (n > WG_REPLAY_BLOCKS)
			n = WG_REPLAY_BLOCKS;
		for (i = 1; i <= n; i++)
			r->wr_ring[(last + i) % WG_REPLAY_BLOCKS] = 0;
		r->wr_last = counter;
	} else if (r->wr_last - counter > WG_REPLAY_WINDOW) {
		errno = ERANGE;
		return -1;
	}
	bit = 1ULL << (counter % 64);
	if (r->wr_ring[block % WG_REPLAY_BLOCKS] & bit) {
		errno = EALREADY;
		return -1;
	}
	r->wr_ring[block % WG_REPLAY_BLOCKS] |= bit;
	return 0;
}

size_t
wg_pad(size_t len, size_t mtu)
{
	size_t	 last, padded;

	last = len;
	if (mtu != 0 && len > mtu)
		last = len % mtu;
	padded = (last + 15) & ~(size_t)15;
	if (mtu != 0 && padded > mtu)
		padded = mtu;
	return len - last + padded;
}

ssize_t
wg_inner_len(const uint8_t *p, size_t len)
{
	size_t	 n;

	if (len == 0)
		return 0;
	switch (p[0] >> 4) {
	case 4:
		if (len < 20 || (n = be16dec(p + 2)) < 20)
			goto bad;
		break;
	case 6:
		if (len < 40)
			goto bad;
		n = (size_t)be16dec(p + 4) + 40;
		break;
	default:
		goto bad;
	}
	if (n > len)
		goto bad;
	return n;
bad:
	errno = EINVAL;
	return -1;
}
