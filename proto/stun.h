/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * STUN as relays speak it: binding requests and their answers.
 * Source: dataplane.md section 4.1; RFC 8489.
 */

#ifndef PROTO_STUN_H
#define PROTO_STUN_H

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

#define STUN_HDR_LEN		20
#define STUN_TXID_LEN		12
#define STUN_REQUEST_LEN	40
#define STUN_RESPONSE_MAX	44

/* An address: IPv4 in the first 4 bytes, port in host order. */
struct stun_addr {
	uint8_t		 sa_addr[16];
	uint16_t	 sa_port;
	uint8_t		 sa_v4;		/* 1: IPv4 */
};

/* 1 if a datagram looks like STUN, else 0. */
int	 stun_looks_like(const uint8_t *, size_t);

/* Client: a request of this transaction id. */
void	 stun_request_build(const uint8_t [STUN_TXID_LEN],
	    uint8_t [STUN_REQUEST_LEN]);

/*
 * Server: the transaction id of a request of one of ours.  0, or -1 with
 * errno EPROTO: no such request; it is not to be answered.
 */
int	 stun_request_parse(const uint8_t *, size_t,
	    uint8_t [STUN_TXID_LEN]);

/* Server: the answer that tells that address; returns its length. */
size_t	 stun_response_build(const uint8_t [STUN_TXID_LEN],
	    const struct stun_addr *, uint8_t [STUN_RESPONSE_MAX]);

/*
 * Client: transaction id and address of an answer; an IPv4 address that came
 * as IPv6 is told as IPv4.  0, or -1 with errno EPROTO (no answer) or
 * EBADMSG (malformed, or it has no address).
 */
int	 stun_response_parse(const uint8_t *, size_t,
	    uint8_t [STUN_TXID_LEN], struct stun_addr *);

#endif
