/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Key types, their sizes and text forms; operations on private keys.
 * Source: control.md section 1.1; Tailscale's key text forms.
 *
 * keys.c has no crypto and links with nothing.  keypair.c (private keys,
 * libsodium) is linked only into the key processes and tests.
 */

#ifndef PROTO_KEYS_H
#define PROTO_KEYS_H

#include <stddef.h>
#include <stdint.h>

#define KEY_LEN			32	/* all X25519 keys, Ed25519 public */
#define KEY_NL_PRIVATE_LEN	64	/* Ed25519 seed, then public key */
#define KEY_HWATTEST_LEN	65	/* P-256 point, uncompressed */
#define KEY_RAW_MAX		65
#define KEY_TEXT_MAX		144	/* longest text form and its NUL */
#define KEY_NODE_BINARY_LEN	34	/* "np" and the key */
#define KEY_SHORT_MAX		24	/* every short form and its NUL */
#define KEY_SIGNATURE_LEN	64
#define KEY_BOX_NONCE_LEN	24
#define KEY_BOX_OVERHEAD	40	/* nonce and tag */

enum key_type {
	KEY_MACHINE,		/* mkey:	machine or server, public */
	KEY_PRIVATE,		/* privkey:	machine or node, private */
	KEY_NODE,		/* nodekey:	WireGuard, public */
	KEY_DISCO,		/* discokey:	disco, public */
	KEY_CHALLENGE,		/* chalpub:	early payload, public */
	KEY_NL,			/* nlpub:	tailnet lock; reads tlpub: */
	KEY_NL_PRIVATE,		/* nlpriv:	tailnet lock, private */
	KEY_HWATTEST,		/* hwattestpub:	hardware attestation */
	KEY_DERP_MESH,		/* no prefix; blanks around it are skipped */
	KEY_TYPE_MAX
};

/* keys.c */

/* Raw size of a key of that type in bytes; 0 if there is no such type. */
size_t	 key_size(enum key_type);

/*
 * Read a key's text form: the exact prefix, then the exact number of hex
 * digits of either case.  Takes the text's length, so that a NUL inside it
 * is seen (and refused); out must hold key_size(type) bytes.
 * Returns 0, or -1 with errno EINVAL and out untouched.  The empty text is
 * refused, except for KEY_HWATTEST, where it is the zero key.
 */
int	 key_parse(enum key_type, const char *, size_t, uint8_t *);

/*
 * Write a key's text form with a NUL into buf of that size (KEY_TEXT_MAX
 * always does).  Returns 0, or -1 with errno ENOSPC or EINVAL (type).
 */
int	 key_print(enum key_type, const uint8_t *, char *, size_t);

/* The form of a tailnet lock public key that people are shown: tlpub: */
int	 key_print_cli(const uint8_t [KEY_LEN], char *, size_t);

/* 1 if all bytes of the key are zero ("unset"), else 0; constant time. */
int	 key_is_zero(const uint8_t *, size_t);

/* "[" first 5 characters of base64 "]", as logs show machine, node keys. */
void	 key_short(const uint8_t [KEY_LEN], char [KEY_SHORT_MAX]);
/* "d:" and the first 16 hex digits, as logs show disco keys. */
void	 key_short_disco(const uint8_t [KEY_LEN], char [KEY_SHORT_MAX]);
/* "peer(abcd…wxyz)", as WireGuard's logs name a peer; UTF-8. */
void	 key_short_peer(const uint8_t [KEY_LEN], char [KEY_SHORT_MAX]);

/* Binary form of a node key in tailnet lock CBOR.  0, or -1 and EINVAL. */
int	 key_node_parse_binary(const uint8_t *, size_t, uint8_t [KEY_LEN]);
void	 key_node_print_binary(const uint8_t [KEY_LEN],
	    uint8_t [KEY_NODE_BINARY_LEN]);

/* A byte made from a public key to spread keys over shards. */
uint8_t	 key_node_shard(const uint8_t [KEY_LEN]);

/* The key that stands in the map for the node key of an expired peer. */
void	 key_node_expired(const uint8_t [KEY_LEN], uint8_t [KEY_LEN]);

/* keypair.c: the caller passes 32 fresh random bytes where one is made. */

/*
 * Make an X25519 private key of random bytes: clamped as upstream does for
 * machine, node and disco keys.  In place.
 */
void	 key_clamp(uint8_t [KEY_LEN]);

/* Public key of an X25519 private key: (private, public). */
void	 key_public(const uint8_t [KEY_LEN], uint8_t [KEY_LEN]);

/*
 * X25519: (private, remote public, shared).  0, or -1 with errno EINVAL if
 * the result is all zero (a point of low order); shared is zero then.
 */
int	 key_dh(const uint8_t [KEY_LEN], const uint8_t [KEY_LEN],
	    uint8_t [KEY_LEN]);

/*
 * Precompute the NaCl box key of a pair: (private, remote public, box key).
 * The result is one way: it gives away neither key.  0, or -1 with errno
 * EINVAL for a remote key of low order.
 */
int	 key_box_precompute(const uint8_t [KEY_LEN], const uint8_t [KEY_LEN],
	    uint8_t [KEY_LEN]);

/*
 * NaCl box as DERP and others send it, the nonce in front: (box key, nonce,
 * plaintext, its length, out).  out takes length + KEY_BOX_OVERHEAD bytes.
 */
void	 key_box_seal(const uint8_t [KEY_LEN],
	    const uint8_t [KEY_BOX_NONCE_LEN], const uint8_t *, size_t,
	    uint8_t *);
/*
 * The reverse: (box key, sealed, its length, out).  out takes length -
 * KEY_BOX_OVERHEAD bytes.  0, or -1 with errno EINVAL (short) or EBADMSG.
 */
int	 key_box_open(const uint8_t [KEY_LEN], const uint8_t *, size_t,
	    uint8_t *);

/* Tailnet lock key: (32 random bytes as seed, private of 64 bytes). */
void	 key_nl_generate(const uint8_t [KEY_LEN],
	    uint8_t [KEY_NL_PRIVATE_LEN]);
/* Ed25519 signature: (private, message, its length, signature). */
void	 key_nl_sign(const uint8_t [KEY_NL_PRIVATE_LEN], const uint8_t *,
	    size_t, uint8_t [KEY_SIGNATURE_LEN]);
/* (public, message, its length, signature): 0, or -1 and EBADMSG. */
int	 key_nl_verify(const uint8_t [KEY_LEN], const uint8_t *, size_t,
	    const uint8_t [KEY_SIGNATURE_LEN]);

#endif
