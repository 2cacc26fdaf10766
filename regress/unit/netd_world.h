/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * netd as a whole for tests: a TUN device, a peer on a socket, a cryptod, a
 * ctrld; what the peer sends and receives.
 */

#ifndef NETD_WORLD_H
#define NETD_WORLD_H

#include "../../netd/netd.h"
#include "../../netd/tx.h"
#include "disco.h"
#include "keys.h"

#define PEER_ID		7
#define RELAY		900		/* its home region, with NM_RELAY */
#define SECOND		1000		/* in ms */

#define NM_WGONLY	0x01
#define NM_EXIT		0x02		/* and a second peer beside it */
#define NM_RELAY	0x04		/* there is a relay */
#define NM_NOWHERE	0x08		/* no endpoints are known */
#define NM_PEERRELAY	0x10		/* it may relay, and be relayed for */

extern struct chan	 cryptod, ctrld;	/* the test's ends */
extern struct wgop	*wgop;
extern int		 cryptod_silent;
extern int		 peer_deaf;	/* no datagram reaches it */
extern unsigned int	 inits_in;	/* initiations that reached it */
extern int		 tun_fd, sock;	/* the test's ends */
extern struct sockaddr_in netd_sin;
extern uint8_t		 npriv[32], npub[32], ndpriv[32], ndpub[32];
extern uint8_t		 rpriv[32], rpub[32], rdpriv[32], rdpub[32];
extern uint8_t		 rshared[32];
extern struct wg_key	*r_send, *r_recv;
extern uint32_t		 r_index, r_remote;
extern uint64_t		 r_counter;
extern uint64_t		 r_clock;
extern uint8_t		 dg[65536], tunpkt[65536];
extern ssize_t		 dglen, tunlen;

void	 want(int, const char *);
int	 udp_socket(struct sockaddr_in *);
void	 key_pair(uint8_t *, uint8_t *);
void	 turn(void);
int	 receive_raw(int);
/* A disco packet of the peer, into room for BOX_MAX; its length. */
#define BOX_MAX		2048
size_t	 disco_box(uint8_t *, const struct disco_msg *);
void	 disco_out(const struct disco_msg *);
void	 answer_ping(void);	/* to the disco packet in dg */
int	 receive(int, int);
void	 tun_in(uint8_t *, size_t);
int	 tun_out(int);
void	 packet(uint8_t *, uint8_t, uint8_t, uint16_t, size_t);
void	 session(const struct wg_session *, uint32_t);
void	 udp_out(const uint8_t *, size_t);
void	 respond(const uint8_t *, uint8_t *, int);
void	 initiation(struct wg_handshake *, uint8_t *, const uint8_t *);
void	 initiate(void);
size_t	 seal(uint8_t *, const uint8_t *, size_t);
void	 send_packet(uint8_t, uint8_t, uint16_t);
ssize_t	 unseal(void);
void	 netmap(int);
/* An address of our own: 198.51.100.7. */
void	 own_endpoint(void);
void	 setup(void);

#endif
