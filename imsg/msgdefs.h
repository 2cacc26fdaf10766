/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * What the payloads of all messages share: who, how long, which outcome;
 * the rules for them stand in messages.h.
 */

#ifndef SHOAL_MSGDEFS_H
#define SHOAL_MSGDEFS_H

#include <stdint.h>

enum proc {
	PROC_PARENT,		/* shoald */
	PROC_CRYPTOD,
	PROC_NETD,
	PROC_CTRLD,
	PROC_DNSD,
	PROC_CTL,		/* shoalctl, over the control socket */
	PROC_COORDD,		/* coordd's parent */
	PROC_FRONTD,
	PROC_STORED,
	PROC_COORDCRYPT,
	PROC_COORDCTL,		/* coordctl, over the control socket */
	PROC_DERPD,		/* derpd's parent */
	PROC_RELAY,
	PROC_DERPCRYPT,
	PROC_PORTMAPD,		/* a node's: asks the gateway for a port */
	PROC_MAX
};

#define P_PARENT	(1U << PROC_PARENT)
#define P_CRYPTOD	(1U << PROC_CRYPTOD)
#define P_NETD		(1U << PROC_NETD)
#define P_CTRLD		(1U << PROC_CTRLD)
#define P_DNSD		(1U << PROC_DNSD)
#define P_CTL		(1U << PROC_CTL)
#define P_COORDD	(1U << PROC_COORDD)
#define P_FRONTD	(1U << PROC_FRONTD)
#define P_STORED	(1U << PROC_STORED)
#define P_COORDCRYPT	(1U << PROC_COORDCRYPT)
#define P_COORDCTL	(1U << PROC_COORDCTL)
#define P_DERPD		(1U << PROC_DERPD)
#define P_RELAY		(1U << PROC_RELAY)
#define P_DERPCRYPT	(1U << PROC_DERPCRYPT)
#define P_PORTMAPD	(1U << PROC_PORTMAPD)
#define P_PARENTS	(P_PARENT | P_COORDD | P_DERPD)
#define P_KEYS		(P_CRYPTOD | P_COORDCRYPT | P_DERPCRYPT)
#define P_NODEKIDS	(P_CRYPTOD | P_NETD | P_CTRLD | P_DNSD | P_PORTMAPD)
#define P_DERPKIDS	(P_RELAY | P_DERPCRYPT)
#define P_KIDS		(P_NODEKIDS | P_FRONTD | P_STORED | P_COORDCRYPT | \
			    P_DERPKIDS)

/* Sizes. */
#define MSG_KEY_LEN	32
#define MSG_NAME_LEN	256	/* a DNS name or a URL, NUL included */
#define MSG_TEXT_LEN	512
#define MSG_LIST_MAX	256	/* elements of one list message */
#define MSG_CHUNK_MAX	15360	/* bytes of one chunk of a long thing */
#define MSG_PROXY_AUTH_LEN	256
#define MSG_AUTHKEY_LEN	512

/* Address families as messages carry them. */
#define AF_WIRE_INET	4
#define AF_WIRE_INET6	6

/* Outcome of an operation asked of a sibling; 0 is good. */
enum msg_error {
	MSG_OK,
	MSG_E_NOKEY,		/* there is no such key yet */
	MSG_E_PEER,		/* not a peer of ours */
	MSG_E_CRYPTO,		/* did not authenticate */
	MSG_E_REPLAY,		/* timestamp not greater than the last one */
	MSG_E_RATE,		/* too many, try again later */
	MSG_E_STALE,		/* a newer handshake took its place */
	MSG_E_PIN,		/* the server's key is not the pinned one */
	MSG_E_NAME,		/* name does not exist */
	MSG_E_TIMEOUT,
	MSG_E_REFUSED,		/* the parent's policy forbids it */
	MSG_E_CONN,		/* could not connect */
	MSG_E_IO,
	MSG_E_BAD		/* malformed or impossible */
};

struct msg_ip {
	uint8_t		 af;		/* AF_WIRE_*, 0: none */
	uint8_t		 pad[3];
	uint8_t		 addr[16];	/* IPv4 in the first 4 */
};

struct msg_prefix {
	uint8_t		 af;
	uint8_t		 plen;
	uint8_t		 pad[2];
	uint8_t		 addr[16];	/* host bits zero unless said */
};

struct msg_endpoint {
	uint8_t		 af;
	uint8_t		 type;		/* control.md 4.1 EndpointTypes */
	uint16_t	 port;
	uint32_t	 scope;		/* interface index, or 0 */
	uint8_t		 addr[16];
};

struct msg_range {
	uint8_t		 af;		/* 0: any address of both families */
	uint8_t		 pad[3];
	uint8_t		 lo[16];
	uint8_t		 hi[16];
};

struct msg_portrange {
	struct msg_range r;
	uint16_t	 lo;
	uint16_t	 hi;
};

/* --- life of a child ---------------------------------------------------- */

struct msg_hello {
	char		 build[64];	/* build id: all must be of one build */
	uint64_t	 run;		/* random number of this run */
	int64_t		 start_date;	/* the date when the suite started, or
					 * later: see STAMP_DATE */
	int64_t		 start_time;	/* os_now() at that moment */
	int64_t		 clock_offset;	/* REGRESS builds; else 0: os_now */
	int64_t		 date_offset;	/* the same for os_date */
	uint32_t	 proc;		/* who the receiver is */
	uint32_t	 verbose;
};

struct msg_channel {
	uint32_t	 proc;		/* who is at the other end */
	uint32_t	 fresh;		/* 1: that process was replaced */
};

struct msg_clock {
	int64_t		 clock_offset;	/* for os_clock_step, in all */
	int64_t		 date_offset;
};

struct msg_u32 {
	uint32_t	 v;
};

#endif /* SHOAL_MSGDEFS_H */
