/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Disco envelope, messages, addresses; Geneve header.
 * Source: dataplane.md sections 2.1 to 2.3 and 2.14.
 */

#include <sys/types.h>
#include <sys/endian.h>

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>

#include <sodium.h>

#include "disco.h"

#define DISCO_NONCE_OFF	(DISCO_MAGIC_LEN + DISCO_KEY_LEN)
#define DISCO_BIND_LEN	72	/* common block of 4, 5, 6 */
#define DISCO_RELAY_LEN	124	/* endpoint block without addresses */
#define DISCO_ALLOC_LEN	68

static const uint8_t	 disco_magic[DISCO_MAGIC_LEN] = {
	'T', 'S', 0xf0, 0x9f, 0x92, 0xac
};
static const uint8_t	 v4mapped[12] = {
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff
};

int
disco_looks_like(const uint8_t *pkt, size_t len)
{
	return len >= DISCO_HDR_LEN &&
	    memcmp(pkt, disco_magic, sizeof(disco_magic)) == 0;
}

const uint8_t *
disco_sender(const uint8_t *pkt)
{
	return pkt + DISCO_MAGIC_LEN;
}

ssize_t
disco_open(const uint8_t key[DISCO_KEY_LEN], const uint8_t *pkt, size_t len,
    uint8_t *plain, size_t room)
{
	if (!disco_looks_like(pkt, len) || len < DISCO_OVERHEAD) {
		errno = EINVAL;
		return -1;
	}
	if (len - DISCO_OVERHEAD > room) {
		errno = ENOSPC;
		return -1;
	}
	if (crypto_box_open_easy_afternm(plain, pkt + DISCO_HDR_LEN,
	    len - DISCO_HDR_LEN, pkt + DISCO_NONCE_OFF, key) == -1) {
		errno = EBADMSG;
		return -1;
	}
	return len - DISCO_OVERHEAD;
}

ssize_t
disco_seal(const uint8_t key[DISCO_KEY_LEN],
    const uint8_t public[DISCO_KEY_LEN], const uint8_t nonce[DISCO_NONCE_LEN],
    const uint8_t *plain, size_t len, uint8_t *pkt, size_t room)
{
	if (room < DISCO_OVERHEAD || len > room - DISCO_OVERHEAD) {
		errno = ENOSPC;
		return -1;
	}
	memcpy(pkt, disco_magic, sizeof(disco_magic));
	memcpy(pkt + DISCO_MAGIC_LEN, public, DISCO_KEY_LEN);
	memcpy(pkt + DISCO_NONCE_OFF, nonce, DISCO_NONCE_LEN);
	(void)crypto_box_easy_afternm(pkt + DISCO_HDR_LEN, plain, len, nonce,
	    key);
	return len + DISCO_OVERHEAD;
}

void
disco_addr_get(const uint8_t wire[DISCO_ADDR_LEN], struct disco_addr *da)
{
	memset(da, 0, sizeof(*da));
	da->da_port = be16dec(wire + 16);
	if (memcmp(wire, v4mapped, sizeof(v4mapped)) == 0) {
		da->da_v4 = 1;
		memcpy(da->da_addr, wire + sizeof(v4mapped), 4);
	} else
		memcpy(da->da_addr, wire, 16);
}

void
disco_addr_put(const struct disco_addr *da, uint8_t wire[DISCO_ADDR_LEN])
{
	if (da->da_v4) {
		memcpy(wire, v4mapped, sizeof(v4mapped));
		memcpy(wire + sizeof(v4mapped), da->da_addr, 4);
	} else
		memcpy(wire, da->da_addr, 16);
	be16enc(wire + 16, da->da_port);
}

static const uint8_t	 caps_magic[DISCO_CAPS_LEN - 1] = { 's', 'h', 'l' };

static int
parse_ping(const uint8_t *p, size_t len, struct disco_msg *m)
{
	if (len < DISCO_TXID_LEN)
		return -1;
	memcpy(m->dm_txid, p, DISCO_TXID_LEN);
	p += DISCO_TXID_LEN;
	len -= DISCO_TXID_LEN;
	if (len >= DISCO_KEY_LEN) {
		m->dm_has_nodekey = 1;
		memcpy(m->dm_nodekey, p, DISCO_KEY_LEN);
		len -= DISCO_KEY_LEN;
	}
	m->dm_padding = len;
	return 0;
}

static int
parse_pong(const uint8_t *p, size_t len, struct disco_msg *m)
{
	if (len < DISCO_TXID_LEN + DISCO_ADDR_LEN)
		return -1;
	memcpy(m->dm_txid, p, DISCO_TXID_LEN);
	disco_addr_get(p + DISCO_TXID_LEN, &m->dm_src);
	p += DISCO_TXID_LEN + DISCO_ADDR_LEN;
	len -= DISCO_TXID_LEN + DISCO_ADDR_LEN;
	if (len >= DISCO_CAPS_LEN &&
	    memcmp(p, caps_magic, sizeof(caps_magic)) == 0)
		m->dm_caps = p[sizeof(caps_magic)];
	return 0;
}

static int
parse_call_me_maybe(const uint8_t *p, size_t len, struct disco_msg *m)
{
	if (m->dm_version != 0 || len % DISCO_ADDR_LEN != 0)
		return 0;
	m->dm_addrs = p;
	m->dm_naddrs = len / DISCO_ADDR_LEN;
	return 0;
}

static int
parse_bind(const uint8_t *p, size_t len, struct disco_msg *m)
{
	if (len < DISCO_BIND_LEN)
		return -1;
	m->dm_vni = be32dec(p);
	m->dm_generation = be32dec(p + 4);
	memcpy(m->dm_remote, p + 8, DISCO_KEY_LEN);
	memcpy(m->dm_challenge, p + 40, DISCO_CHALLENGE_LEN);
	return 0;
}

/* The endpoint block of 7 and 9: at least one address, and no remainder. */
static int
parse_relay(const uint8_t *p, size_t len, struct disco_msg *m)
{
	struct disco_relay	*dr = &m->dm_relay;

	if (len < DISCO_RELAY_LEN + DISCO_ADDR_LEN ||
	    (len - DISCO_RELAY_LEN) % DISCO_ADDR_LEN != 0)
		return -1;
	memcpy(dr->dr_server, p, DISCO_KEY_LEN);
	memcpy(dr->dr_client[0], p + 32, DISCO_KEY_LEN);
	memcpy(dr->dr_client[1], p + 64, DISCO_KEY_LEN);
	dr->dr_lamport = be64dec(p + 96);
	dr->dr_vni = be32dec(p + 104);
	dr->dr_bind_ns = (int64_t)be64dec(p + 108);
	dr->dr_steady_ns = (int64_t)be64dec(p + 116);
	m->dm_addrs = p + DISCO_RELAY_LEN;
	m->dm_naddrs = (len - DISCO_RELAY_LEN) / DISCO_ADDR_LEN;
	return 0;
}

static int
parse_alloc_request(const uint8_t *p, size_t len, struct disco_msg *m)
{
	if (len < DISCO_ALLOC_LEN)
		return -1;
	memcpy(m->dm_relay.dr_client[0], p, DISCO_KEY_LEN);
	memcpy(m->dm_relay.dr_client[1], p + 32, DISCO_KEY_LEN);
	m->dm_generation = be32dec(p + 64);
	return 0;
}

/* A later version may mean another thing by it. */
static int
parse_hard_nat(const uint8_t *p, size_t len, struct disco_msg *m)
{
	if (m->dm_version != 0 || len < DISCO_HARD_NAT_LEN ||
	    p[0] < DISCO_HN_OFFER || p[0] > DISCO_HN_READY || p[1] > 1)
		return -1;
	m->dm_stage = p[0];
	m->dm_hard = p[1];
	m->dm_count = be16dec(p + 2);
	disco_addr_get(p + 4, &m->dm_src);
	return 0;
}

static int
parse_alloc_response(const uint8_t *p, size_t len, struct disco_msg *m)
{
	if (len < 4)
		return -1;
	m->dm_generation = be32dec(p);
	return parse_relay(p + 4, len - 4, m);
}

int
disco_parse(const uint8_t *p, size_t len, struct disco_msg *m)
{
	int	 ret;

	memset(m, 0, sizeof(*m));
	if (len < 2)
		goto bad;
	m->dm_type = p[0];
	m->dm_version = p[1];
	p += 2;
	len -= 2;
	switch (m->dm_type) {
	case DISCO_PING:
		ret = parse_ping(p, len, m);
		break;
	case DISCO_PONG:
		ret = parse_pong(p, len, m);
		break;
	case DISCO_CALL_ME_MAYBE:
		ret = parse_call_me_maybe(p, len, m);
		break;
	case DISCO_BIND_ENDPOINT:
	case DISCO_BIND_CHALLENGE:
	case DISCO_BIND_ANSWER:
		ret = parse_bind(p, len, m);
		break;
	case DISCO_CALL_ME_MAYBE_VIA:
		ret = m->dm_version != 0 ? 0 : parse_relay(p, len, m);
		break;
	case DISCO_ALLOC_REQUEST:
		ret = m->dm_version != 0 ? 0 :
		    parse_alloc_request(p, len, m);
		break;
	case DISCO_ALLOC_RESPONSE:
		ret = m->dm_version != 0 ? 0 :
		    parse_alloc_response(p, len, m);
		break;
	case DISCO_HARD_NAT:
		ret = parse_hard_nat(p, len, m);
		break;
	default:
		errno = EPROTONOSUPPORT;
		return -1;
	}
	if (ret == 0)
		return 0;
bad:
	errno = EINVAL;
	return -1;
}

/* Length of a message's body; -1 if it can not be built. */
static ssize_t
body_len(const struct disco_msg *m)
{
	size_t	 addrs;

	if (m->dm_naddrs > SSIZE_MAX / (2 * DISCO_ADDR_LEN) ||
	    m->dm_padding > SSIZE_MAX / 2)
		return -1;
	addrs = m->dm_naddrs * DISCO_ADDR_LEN;
	switch (m->dm_type) {
	case DISCO_PING:
		return DISCO_TXID_LEN + m->dm_padding +
		    (m->dm_has_nodekey ? DISCO_KEY_LEN : 0);
	case DISCO_PONG:
		return DISCO_TXID_LEN + DISCO_ADDR_LEN +
		    (m->dm_caps != 0 ? DISCO_CAPS_LEN : 0);
	case DISCO_CALL_ME_MAYBE:
		return addrs;
	case DISCO_BIND_ENDPOINT:
	case DISCO_BIND_CHALLENGE:
	case DISCO_BIND_ANSWER:
		return DISCO_BIND_LEN;
	case DISCO_CALL_ME_MAYBE_VIA:
		return addrs == 0 ? -1 : (ssize_t)(DISCO_RELAY_LEN + addrs);
	case DISCO_ALLOC_REQUEST:
		return DISCO_ALLOC_LEN;
	case DISCO_ALLOC_RESPONSE:
		return addrs == 0 ? -1 :
		    (ssize_t)(4 + DISCO_RELAY_LEN + addrs);
	case DISCO_HARD_NAT:
		return DISCO_HARD_NAT_LEN;
	default:
		return -1;
	}
}

static void
build_addrs(const struct disco_msg *m, uint8_t *p)
{
	if (m->dm_naddrs > 0)
		memcpy(p, m->dm_addrs, m->dm_naddrs * DISCO_ADDR_LEN);
}

static void
build_relay(const struct disco_msg *m, uint8_t *p)
{
	const struct disco_relay	*dr = &m->dm_relay;

	memcpy(p, dr->dr_server, DISCO_KEY_LEN);
	memcpy(p + 32, dr->dr_client[0], DISCO_KEY_LEN);
	memcpy(p + 64, dr->dr_client[1], DISCO_KEY_LEN);
	be64enc(p + 96, dr->dr_lamport);
	be32enc(p + 104, dr->dr_vni);
	be64enc(p + 108, (uint64_t)dr->dr_bind_ns);
	be64enc(p + 116, (uint64_t)dr->dr_steady_ns);
	build_addrs(m, p + DISCO_RELAY_LEN);
}

static void
build_bind(const struct disco_msg *m, uint8_t *p)
{
	be32enc(p, m->dm_vni);
	be32enc(p + 4, m->dm_generation);
	memcpy(p + 8, m->dm_remote, DISCO_KEY_LEN);
	memcpy(p + 40, m->dm_challenge, DISCO_CHALLENGE_LEN);
}

/* p has the room that body_len() asked for, zeroed. */
static void
build_body(const struct disco_msg *m, uint8_t *p)
{
	switch (m->dm_type) {
	case DISCO_PING:
		memcpy(p, m->dm_txid, DISCO_TXID_LEN);
		if (m->dm_has_nodekey)
			memcpy(p + DISCO_TXID_LEN, m->dm_nodekey,
			    DISCO_KEY_LEN);
		break;
	case DISCO_PONG:
		memcpy(p, m->dm_txid, DISCO_TXID_LEN);
		disco_addr_put(&m->dm_src, p + DISCO_TXID_LEN);
		if (m->dm_caps == 0)
			break;
		p += DISCO_TXID_LEN + DISCO_ADDR_LEN;
		memcpy(p, caps_magic, sizeof(caps_magic));
		p[sizeof(caps_magic)] = m->dm_caps;
		break;
	case DISCO_CALL_ME_MAYBE:
		build_addrs(m, p);
		break;
	case DISCO_CALL_ME_MAYBE_VIA:
		build_relay(m, p);
		break;
	case DISCO_ALLOC_REQUEST:
		memcpy(p, m->dm_relay.dr_client[0], DISCO_KEY_LEN);
		memcpy(p + 32, m->dm_relay.dr_client[1], DISCO_KEY_LEN);
		be32enc(p + 64, m->dm_generation);
		break;
	case DISCO_ALLOC_RESPONSE:
		be32enc(p, m->dm_generation);
		build_relay(m, p + 4);
		break;
	case DISCO_HARD_NAT:
		p[0] = m->dm_stage;
		p[1] = m->dm_hard;
		be16enc(p + 2, m->dm_count);
		disco_addr_put(&m->dm_src, p + 4);
		break;
	default:
		build_bind(m, p);
		break;
	}
}

ssize_t
disco_build(const struct disco_msg *m, uint8_t *buf, size_t room)
{
	ssize_t	 len;

	if ((len = body_len(m)) == -1) {
		errno = EINVAL;
		return -1;
	}
	if (room < 2 || (size_t)len > room - 2) {
		errno = ENOSPC;
		return -1;
	}
	memset(buf, 0, len + 2);
	buf[0] = m->dm_type;
	build_body(m, buf + 2);
	return len + 2;
}

int
geneve_build(uint8_t hdr[GENEVE_HDR_LEN], const struct geneve *g)
{
	if (g->g_vni > GENEVE_VNI_MAX) {
		errno = EINVAL;
		return -1;
	}
	hdr[0] = 0;
	hdr[1] = g->g_control ? 0x80 : 0;
	be16enc(hdr + 2, g->g_proto);
	be32enc(hdr + 4, g->g_vni << 8);
	return 0;
}

int
geneve_parse(const uint8_t *p, size_t len, struct geneve *g)
{
	if (len < GENEVE_HDR_LEN || (p[0] & 0xc0) != 0 ||
	    (p[1] & 0x3f) != 0 || p[7] != 0) {
		errno = EINVAL;
		return -1;
	}
	memset(g, 0, sizeof(*g));
	g->g_control = p[1] >> 7;
	g->g_proto = be16dec(p + 2);
	g->g_vni = be32dec(p + 4) >> 8;
	return 0;
}
