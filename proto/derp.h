/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * DERP: the frames of relays, and the JSON inside the two boxes of a login.
 * Source: dataplane.md sections 3.2 and 3.3.
 *
 * derp.c (frames) links with nothing.  derp_login.c reads and writes the
 * JSON, with jansson; the boxes around it are key_box_seal() and
 * key_box_open() of keys.h, done by key processes.
 */

#ifndef PROTO_DERP_H
#define PROTO_DERP_H

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

#define DERP_VERSION		2
#define DERP_KEY_LEN		32
#define DERP_HDR_LEN		5
#define DERP_PACKET_MAX		65536	/* bytes of a packet */
#define DERP_FRAME_MAX		(1 << 20)	/* payload that clients take */
#define DERP_RECV_HDR_LEN	(DERP_HDR_LEN + DERP_KEY_LEN)
#define DERP_FORWARD_HDR_LEN	(DERP_HDR_LEN + 2 * DERP_KEY_LEN)
#define DERP_SERVERKEY_LEN	45	/* the whole frame, as servers send */
#define DERP_SERVERKEY_MAX	1024	/* its payload, as clients take it */
#define DERP_CLIENTINFO_MIN	56
#define DERP_CLIENTINFO_MAX	(256 * 1024)
#define DERP_PING_LEN		8
#define DERP_PING_MAX		1000
#define DERP_PRESENT_LEN	51
#define DERP_SMALL_MAX		(DERP_HDR_LEN + DERP_PRESENT_LEN)

enum derp_type {
	DERP_SERVER_KEY = 1,
	DERP_CLIENT_INFO,
	DERP_SERVER_INFO,
	DERP_SEND_PACKET,
	DERP_RECV_PACKET,
	DERP_KEEP_ALIVE,
	DERP_NOTE_PREFERRED,
	DERP_PEER_GONE,
	DERP_PEER_PRESENT,
	DERP_FORWARD_PACKET,
	DERP_WATCH_CONNS = 0x10,
	DERP_CLOSE_PEER,
	DERP_PING,
	DERP_PONG,
	DERP_HEALTH,
	DERP_RESTARTING
};

#define DERP_GONE_DISCONNECTED	0
#define DERP_GONE_NOT_HERE	1

#define DERP_PRESENT_REGULAR	0x01
#define DERP_PRESENT_MESH	0x02
#define DERP_PRESENT_PROBER	0x04
#define DERP_PRESENT_NOT_IDEAL	0x08

/* A frame; its payload is not copied. */
struct derp_frame {
	const uint8_t	*df_data;
	uint32_t	 df_len;	/* of the payload */
	uint8_t		 df_type;
};

/*
 * The frame that begins these bytes.  Returns its whole length, 0 if its
 * header is not complete.  The caller compares it with what it is ready to
 * hold, and with what there is: df_data is good only where all has come.
 */
uint64_t derp_frame_parse(const uint8_t *, size_t, struct derp_frame *);

/* Write a header: type and length of the payload. */
void	 derp_header(uint8_t [DERP_HDR_LEN], enum derp_type, uint32_t);

/*
 * A message of either side.  What does not belong to its type is zero;
 * nothing is copied but what has a fixed size.
 */
struct derp_msg {
	enum derp_type	 dm_type;
	uint8_t		 dm_key[DERP_KEY_LEN];	/* destination, source, peer */
	uint8_t		 dm_src[DERP_KEY_LEN];	/* of FORWARD_PACKET */
	const uint8_t	*dm_data;	/* packet, box, text */
	size_t		 dm_len;
	uint8_t		 dm_ping[DERP_PING_LEN];
	uint8_t		 dm_addr[16];	/* PEER_PRESENT */
	uint16_t	 dm_port;
	uint8_t		 dm_has_addr;
	uint8_t		 dm_flags;
	uint8_t		 dm_reason;	/* PEER_GONE */
	uint8_t		 dm_preferred;
	uint32_t	 dm_reconnect_ms;	/* RESTARTING */
	uint32_t	 dm_try_ms;
};

/*
 * What a whole frame says to a client, or to a server.  1: a message; 0: to
 * be skipped (unknown, or for the client: too short); -1 with errno EPROTO:
 * close the connection.  A server asks derp_server_len() at a frame's
 * header already: 1: its length is fine; 0: skip it, whatever its length;
 * -1: close.  The last argument is 1 for a connection with the mesh key.
 */
int	 derp_client_parse(const struct derp_frame *, struct derp_msg *);
int	 derp_server_len(const struct derp_frame *, int);
int	 derp_server_parse(const struct derp_frame *, int,
	    struct derp_msg *);

/* The server's greeting. */
void	 derp_server_key_build(const uint8_t [DERP_KEY_LEN],
	    uint8_t [DERP_SERVERKEY_LEN]);
/* The client reads it: 0 and the key, or -1 with errno EPROTO. */
int	 derp_server_key_parse(const struct derp_frame *,
	    uint8_t [DERP_KEY_LEN]);

/*
 * The head of a frame that carries a packet of that length: destination for
 * SEND_PACKET, source for RECV_PACKET; both for FORWARD_PACKET.  The packet
 * follows.  0, or -1 with errno EMSGSIZE.
 */
int	 derp_packet_head(enum derp_type, const uint8_t [DERP_KEY_LEN],
	    size_t, uint8_t [DERP_RECV_HDR_LEN]);
int	 derp_forward_head(const uint8_t [DERP_KEY_LEN],
	    const uint8_t [DERP_KEY_LEN], size_t,
	    uint8_t [DERP_FORWARD_HDR_LEN]);

/*
 * A frame without a packet: KEEP_ALIVE, NOTE_PREFERRED, PEER_GONE,
 * PEER_PRESENT, WATCH_CONNS, CLOSE_PEER, PING, PONG, RESTARTING.  Returns
 * its length, at most DERP_SMALL_MAX; 0: no such type.
 */
size_t	 derp_build(const struct derp_msg *, uint8_t [DERP_SMALL_MAX]);

/* derp_login.c */

struct derp_client_info {
	int64_t		 ci_version;
	uint8_t		 ci_mesh_key[DERP_KEY_LEN];	/* zero: none */
	uint8_t		 ci_can_ack_pings;
	uint8_t		 ci_prober;
	char		 ci_app[64];	/* longer ones are cut */
};

struct derp_server_info {
	int64_t		 si_version;
	int64_t		 si_rate;	/* bytes a second, 0: no limit */
	int64_t		 si_burst;
};

/*
 * Read, write the JSON as the reference does.  0, or -1 with errno EINVAL;
 * the writers return the length without NUL, or -1 with ENOSPC.
 */
int	 derp_client_info_parse(const void *, size_t,
	    struct derp_client_info *);
ssize_t	 derp_client_info_print(const struct derp_client_info *, char *,
	    size_t);
int	 derp_server_info_parse(const void *, size_t,
	    struct derp_server_info *);
/*
 * The server's without jansson, and stricter: names as the reference writes
 * them.  0, or -1 with errno EINVAL.  derp_scan.c
 */
int	 derp_server_info_scan(const void *, size_t,
	    struct derp_server_info *);
ssize_t	 derp_server_info_print(const struct derp_server_info *, char *,
	    size_t);

#endif
