/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Disco: the envelope and all its messages; the Geneve header of relays.
 * Source: dataplane.md sections 2.1 to 2.3 and 2.14.
 *
 * Boxes are sealed and opened with the precomputed key of a pair of disco
 * keys (key_box_precompute() in keys.h, which cryptod does).
 */

#ifndef PROTO_DISCO_H
#define PROTO_DISCO_H

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

#define DISCO_KEY_LEN		32
#define DISCO_NONCE_LEN		24
#define DISCO_TAG_LEN		16
#define DISCO_MAGIC_LEN		6
#define DISCO_HDR_LEN		62	/* magic, sender, nonce */
#define DISCO_OVERHEAD		78	/* header and tag */
#define DISCO_TXID_LEN		12
#define DISCO_ADDR_LEN		18	/* address on the wire, with port */
#define DISCO_CHALLENGE_LEN	32
#define DISCO_PING_LEN		124	/* whole packet with key, unpadded */
#define DISCO_PONG_LEN		110
#define DISCO_HARD_NAT_LEN	22	/* body */

enum disco_type {
	DISCO_PING = 1,
	DISCO_PONG,
	DISCO_CALL_ME_MAYBE,
	DISCO_BIND_ENDPOINT,
	DISCO_BIND_CHALLENGE,
	DISCO_BIND_ANSWER,
	DISCO_CALL_ME_MAYBE_VIA,
	DISCO_ALLOC_REQUEST,
	DISCO_ALLOC_RESPONSE,
	/*
	 * Not upstream's, which drops types that it does not know; far from
	 * those that it may yet give out.
	 */
	DISCO_HARD_NAT = 0xf0
};

/*
 * Body of DISCO_HARD_NAT: stage 1 || hard 1 || sockets BE16 || address 18;
 * what follows is ignored.
 */
enum disco_stage {
	DISCO_HN_OFFER = 1,
	DISCO_HN_ACCEPT,
	DISCO_HN_READY
};

/*
 * A pong of our own may say more at its end, which others ignore: 4 bytes,
 * "shl" and what its sender can do.
 */
#define DISCO_CAP_ECN		0x01	/* minds marks of outer headers */
#define DISCO_CAPS_LEN		4

/* An address: IPv4 in the first 4 bytes, port in host order. */
struct disco_addr {
	uint8_t		 da_addr[16];
	uint16_t	 da_port;
	uint8_t		 da_v4;		/* 1: IPv4 */
};

/* A relay's endpoint, messages 7 and 9. */
struct disco_relay {
	uint8_t		 dr_server[DISCO_KEY_LEN];
	uint8_t		 dr_client[2][DISCO_KEY_LEN];	/* as they came */
	uint64_t	 dr_lamport;
	uint32_t	 dr_vni;
	int64_t		 dr_bind_ns;
	int64_t		 dr_steady_ns;
};

/*
 * One message.  Addresses are not copied: dm_addrs points at dm_naddrs wire
 * forms of DISCO_ADDR_LEN bytes each, in the plaintext that was parsed or
 * in what the builder's caller made with disco_addr_put().
 */
struct disco_msg {
	uint8_t			 dm_type;	/* enum disco_type */
	uint8_t			 dm_version;	/* as read; 0 when built */
	const uint8_t		*dm_addrs;	/* 3, 7, 9 */
	size_t			 dm_naddrs;
	size_t			 dm_padding;	/* 1: zeros after the rest */
	uint8_t			 dm_txid[DISCO_TXID_LEN];	/* 1, 2 */
	uint8_t			 dm_nodekey[DISCO_KEY_LEN];	/* 1 */
	uint8_t			 dm_has_nodekey;		/* 1 */
	uint8_t			 dm_caps;	/* 2: DISCO_CAP_* */
	struct disco_addr	 dm_src;	/* 2; 0xf0: its own */
	uint8_t			 dm_stage;	/* 0xf0: DISCO_HN_* */
	uint8_t			 dm_hard;	/* 0xf0: is its NAT? */
	uint16_t		 dm_count;	/* 0xf0: sockets */
	uint32_t		 dm_vni;			/* 4, 5, 6 */
	uint32_t		 dm_generation;		/* 4, 5, 6, 8, 9 */
	uint8_t			 dm_remote[DISCO_KEY_LEN];	/* 4, 5, 6 */
	uint8_t			 dm_challenge[DISCO_CHALLENGE_LEN];
	struct disco_relay	 dm_relay;	/* 7, 9; 8: dr_client */
};

/* 1 if a datagram has the magic and DISCO_HDR_LEN bytes, else 0. */
int	 disco_looks_like(const uint8_t *, size_t);
/* Public key of the sender of a packet that looks like disco. */
const uint8_t *disco_sender(const uint8_t *);

/*
 * Open a packet: (box key, packet, its length, plaintext, its room).
 * Returns the length of the plaintext, or -1 with errno EINVAL (no disco,
 * or short), ENOSPC, EBADMSG.  The plaintext must not overlap the packet.
 */
ssize_t	 disco_open(const uint8_t [DISCO_KEY_LEN], const uint8_t *, size_t,
	    uint8_t *, size_t);
/*
 * Seal one: (box key, own public key, 24 fresh random bytes, plaintext, its
 * length, packet, its room).  Returns length + DISCO_OVERHEAD, or -1 and
 * ENOSPC.  The two must not overlap.
 */
ssize_t	 disco_seal(const uint8_t [DISCO_KEY_LEN],
	    const uint8_t [DISCO_KEY_LEN], const uint8_t [DISCO_NONCE_LEN],
	    const uint8_t *, size_t, uint8_t *, size_t);

/*
 * Parse an opened plaintext.  0, or -1 with errno EINVAL (malformed) or
 * EPROTONOSUPPORT (unknown type): ignore silently.  Messages 3, 7, 8, 9 of
 * a later version parse as empty, as upstream reads them.
 */
int	 disco_parse(const uint8_t *, size_t, struct disco_msg *);
/*
 * Build a plaintext: (message, buffer, its room).  Returns its length, or
 * -1 with errno EINVAL (type; no address in 7 or 9) or ENOSPC.
 */
ssize_t	 disco_build(const struct disco_msg *, uint8_t *, size_t);

/* One address from and to its wire form; IPv4-mapped is unmapped. */
void	 disco_addr_get(const uint8_t [DISCO_ADDR_LEN],
	    struct disco_addr *);
void	 disco_addr_put(const struct disco_addr *,
	    uint8_t [DISCO_ADDR_LEN]);

/* Geneve header in front of relayed packets. */
#define GENEVE_HDR_LEN		8
#define GENEVE_PROTO_DISCO	0x7a11
#define GENEVE_PROTO_WG		0x7a12
#define GENEVE_VNI_MAX		0xffffffU

struct geneve {
	uint32_t	 g_vni;
	uint16_t	 g_proto;
	uint8_t		 g_control;
};

/* (header, fields): 0, or -1 with errno EINVAL. */
int	 geneve_build(uint8_t [GENEVE_HDR_LEN], const struct geneve *);
/*
 * (datagram, its length, fields): 0, or -1 with errno EINVAL for what has
 * no such header.  Any protocol number passes.
 */
int	 geneve_parse(const uint8_t *, size_t, struct geneve *);

#endif
