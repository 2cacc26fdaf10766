/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Many WireGuard peers of one node, all of them in one process.
 */

#ifndef MANYPEERS_H
#define MANYPEERS_H

#include <sys/types.h>
#include <sys/socket.h>
#include <netinet/in.h>

#include <stdint.h>

#include "wg.h"

#define PORT		51820		/* of every peer */
#define DATA_PORT	4000		/* inside */
#define BATCH		64		/* datagrams a system call */
#define DGRAM_MAX	1536
#define CONTROL_LEN	64
#define NSEC		1000000000LL
#define MSEC		1000000LL

/*
 * Peer i has the address 10.88.i/256.i%256 outside and 100.96.i/256.i%256
 * inside, and keys that are made of its number.
 */
#define OUTER_NET	0x0a580000U
#define INNER_NET	0x64600000U
#define FORGED_FROM	0x8000U		/* addresses of no peer */

struct mpeer {
	uint8_t		 p_private[WG_KEY_LEN];
	uint8_t		 p_public[WG_KEY_LEN];
	uint8_t		 p_cookie[WG_COOKIE_LEN];
	int64_t		 p_cookie_time;	/* 0: none */
	struct wg_session p_ws;
	struct wg_key	*p_send;
	struct wg_key	*p_recv;
	uint64_t	 p_counter;
};

struct target {
	struct sockaddr_in t_sin;
	uint8_t		 t_public[WG_KEY_LEN];
	uint8_t		 t_mac1_key[WG_KEY_LEN];
	uint8_t		 t_cookie_key[WG_KEY_LEN];
};

/* An initiation made beforehand. */
struct prepared {
	struct wg_handshake pr_hs;
	int64_t		 pr_sent;	/* 0: not yet */
	int64_t		 pr_took;	/* 0: no answer */
	uint32_t	 pr_peer;
	uint8_t		 pr_msg[WG_INITIATION_LEN];
};

/* Datagrams of one system call, each with its own address of ours. */
struct batch {
	struct mmsghdr	 b_msg[BATCH];
	struct iovec	 b_iov[BATCH];
	struct sockaddr_in b_sin[BATCH];
	uint8_t		 b_control[BATCH][CONTROL_LEN]
			    __attribute__((aligned(8)));
	uint8_t		 b_data[BATCH][DGRAM_MAX];
	unsigned int	 b_n;
};

/* --- manypeers.c --- */

extern struct mpeer	*peers;
extern uint32_t		 npeers;
extern struct target	 target;
extern int		 sock;

int64_t	 now_ns(void);
void	 peers_make(uint32_t);
/* Another socket, of all addresses, in place of the one before. */
void	 sock_open(uint16_t);
/* Take up a datagram: (batch, number of our address, length). */
uint8_t	*batch_add(struct batch *, uint32_t, size_t);
/* Send what is there; returns how many the kernel took. */
unsigned int
	 batch_send(struct batch *);
/* Receive what is there without waiting for more; waits at most ms. */
unsigned int
	 batch_recv(struct batch *, int);
/* CPU time that the processes named have used since the last call. */
void	 cpu_mark(char **);
void	 cpu_print(void);

/* --- mphs.c: handshakes --- */

/* Make so many, of all peers by turns; the numbers from first on. */
struct prepared *prepare(uint32_t);
/* (prepared ones, how many, window, seconds at most): how many answered. */
uint32_t handshakes(struct prepared *, uint32_t, uint32_t, double);
void	 handshakes_print(double);
/* A session of every peer. */
void	 sessions_make(void);
void	 flood(uint32_t, double, const char *, uint32_t);

/* --- mptraffic.c: data --- */

void	 traffic_to_node(const char *, size_t, double, double);
void	 traffic_from_node(double);
/* Plain UDP in the node's namespace. */
void	 plain_send(uint32_t, size_t, unsigned int, double, double);
void	 plain_sink(double);

#endif
