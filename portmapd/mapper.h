/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The state machine of port mapping: what to ask the gateway, and when. The
 * clock is handed in, packets and requests go out by callbacks.
 */

#ifndef PORTMAPD_MAPPER_H
#define PORTMAPD_MAPPER_H

#include <stddef.h>
#include <stdint.h>

#include "igd.h"
#include "messages.h"
#include "portmap.h"
#include "upnp.h"

#define MAPPER_LEASE		7200	/* s, asked for */
#define MAPPER_METAS		11	/* devices that are looked at */
#define MAPPER_CONFLICTS	3	/* ports to try by UPnP */

struct mapper_ops {
	/* A datagram: (arg, IPv4 address, port, bytes, length). */
	void	(*mo_send)(void *, const uint8_t *, uint16_t, const void *,
		    size_t);
	/*
	 * An HTTP request to this port of the gateway, one at a time: (arg,
	 * port, text, length). mapper_http tells the answer, never from here.
	 */
	void	(*mo_request)(void *, uint16_t, const char *, size_t);
	void	(*mo_cancel)(void *);
	/* mapper_state() says something new. */
	void	(*mo_changed)(void *);
	/* What mapper_release() began is over. */
	void	(*mo_released)(void *);
};

enum mapper_step {
	MAPPER_OFF,			/* no gateway */
	MAPPER_PROBE,			/* what does it speak? */
	MAPPER_ASK,			/* NAT-PMP or PCP request is out */
	MAPPER_IGD,			/* UPnP is under way */
	MAPPER_IDLE,			/* until a time */
	MAPPER_RELEASE			/* giving it back */
};

struct mapper {
	const struct mapper_ops	*m_ops;
	void			*m_arg;
	struct msg_gateway	 m_g;
	uint32_t		 m_lease;
	enum mapper_step	 m_step;
	int64_t			 m_deadline;	/* of the step; 0: none */

	/* What the gateway speaks. */
	uint8_t			 m_can[PORTMAP_UPNP + 1];
	uint8_t			 m_heard[PORTMAP_UPNP + 1];	/* now */
	int64_t			 m_probed;	/* last probe, 0: none */
	struct ssdp_reply	 m_meta[MAPPER_METAS];
	size_t			 m_nmetas;

	/* An attempt. */
	unsigned int		 m_left;	/* protocols not tried: bits */
	int			 m_kind;	/* that is asked now */
	unsigned int		 m_sends;
	int			 m_got_port;	/* NAT-PMP: two answers */
	int			 m_got_addr;
	uint16_t		 m_try_port;
	uint32_t		 m_try_life;
	uint8_t			 m_try_addr[4];
	size_t			 m_try_meta;
	unsigned int		 m_conflicts;
	int64_t			 m_igd_end;
	struct igd		 m_igd;

	/* The mapping. */
	int			 m_mapped;	/* PORTMAP_PMP, ...; 0: none */
	uint8_t			 m_ip[4];
	uint16_t		 m_port;	/* also the one to wish for */
	uint8_t			 m_nonce[PCP_NONCE_LEN];
	int			 m_has_nonce;
	uint32_t		 m_epoch;
	int64_t			 m_good_until;
	int64_t			 m_renew_at;
	int64_t			 m_check_at;

	int64_t			 m_retry_at;	/* without one; 0: not */
	int64_t			 m_backoff;
	int			 m_ending;
	struct msg_portmap	 m_saved;	/* of a predecessor */
	struct msg_portmap	 m_told;
	uint64_t		 m_ignored;	/* not from the gateway */
};

void	 mapper_init(struct mapper *, const struct mapper_ops *, void *);
/* The lease to ask for, seconds; 0: the usual. */
void	 mapper_set_lease(struct mapper *, uint32_t);
/* What a predecessor had: it is gone on with if the gateway is the same. */
void	 mapper_restore(struct mapper *, const struct msg_portmap *);
/*
 * Does it differ from the gateway that is known? Then what is mapped there
 * is given back: call mapper_forget while the old socket is there, and then
 * mapper_gateway with the new one in place; af 0: there is none.
 */
int	 mapper_differs(const struct mapper *, const struct msg_gateway *);
void	 mapper_forget(struct mapper *, const struct msg_gateway *, int64_t);
void	 mapper_gateway(struct mapper *, const struct msg_gateway *, int64_t);
/* A datagram: (mapper, source address, source port, bytes, length, now). */
void	 mapper_udp(struct mapper *, const uint8_t *, uint16_t,
	    const uint8_t *, size_t, int64_t);
/* Answer to the request: status (0: none came), body, now. */
void	 mapper_http(struct mapper *, int, const char *, size_t, int64_t);
/* Look again what it speaks, or if it still is the one that mapped. */
void	 mapper_probe(struct mapper *, int64_t);
/* Give it back and stop; mo_released tells the end, within 1 s. */
void	 mapper_release(struct mapper *, int64_t);
/* When to call mapper_tick; 0: never. */
int64_t	 mapper_next(const struct mapper *);
void	 mapper_tick(struct mapper *, int64_t);
/* For the parent. */
const struct msg_portmap *mapper_state(struct mapper *);
const char *mapper_kind_name(int);

#endif /* PORTMAPD_MAPPER_H */
