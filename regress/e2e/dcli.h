/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * DERP clients for tests and measurements.
 */

#ifndef REGRESS_DCLI_H
#define REGRESS_DCLI_H

#include <sys/types.h>

#include <stdint.h>

#include <openssl/ssl.h>

#include "derp.h"
#include "keys.h"

#define FRAME_SIZE	(DERP_HDR_LEN + 2 * DERP_KEY_LEN + DERP_PACKET_MAX)

#define CLI_TLS		0x01
#define CLI_FAST	0x02
#define CLI_WEB		0x04		/* by WebSocket */

struct cli {
	SSL	*l_ssl;			/* NULL: plain */
	int	 l_fd;
	int	 l_web;
	size_t	 l_left;		/* of the message that is read */
	uint8_t	 l_priv[KEY_LEN];
	uint8_t	 l_pub[KEY_LEN];
};

/* Address, port, CLI_*, mesh key in hex or NULL; call first. */
void	 cli_setup(const char *, const char *, int, const char *);
/* The server's name, for TLS. */
void	 cli_name(const char *);
/* Connect and log in with a key of its own, or that of the other one. */
void	 cli_open(struct cli *, const struct cli *);
void	 cli_close(struct cli *);

void	 cli_write(struct cli *, const void *, size_t);
/* Read all of it; 0, or -1 at the end. */
int	 cli_fill(struct cli *, uint8_t *, size_t);
/* The next frame, into FRAME_SIZE bytes; 0, or -1 at the end. */
int	 cli_frame(struct cli *, uint8_t *, struct derp_frame *);
/* A packet to the other one. */
void	 cli_send(struct cli *, const struct cli *, const void *, size_t);
/* When a ping is answered, all that was sent before is dealt with. */
void	 cli_ping(struct cli *);

#endif
