/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Requests of nodes as the server reads them, and the server key answer.
 */

#ifndef PROTO_SRVREQ_H
#define PROTO_SRVREQ_H

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

#include "jsonutil.h"

#define SRVREQ_MAX_BODY		(1024 * 1024)
#define SRVREQ_MAX_HOSTINFO	(64 * 1024)	/* written anew */
#define SRVREQ_MAX_AUTHKEY	511
#define SRVREQ_MAX_FOLLOWUP	511
#define SRVREQ_MAX_ENDPOINTS	256

/*
 * Versions that this server speaks to: the oldest is of March 2023. Those
 * below each of these need the older form of something; control.md 7.
 */
#define SRVREQ_MIN_VERSION	60
#define SRVREQ_V_LITE		68	/* polls say nothing about the node */
#define SRVREQ_V_CAPMAP		74	/* Node.CapMap, not Capabilities */
#define SRVREQ_V_FILTERS	81	/* PacketFilters, not PacketFilter */
#define SRVREQ_V_HOMEDERP	111	/* Node.HomeDERP, not DERP */
#define SRVREQ_V_NOMEASURE	115	/* NoMeasureNoHome, not Avoid */

struct srvreq_register {
	uint8_t		 sr_node[32];
	uint8_t		 sr_oldnode[32];
	uint8_t		 sr_nl[32];
	struct ju_time	 sr_expiry;	/* unset: no wish */
	char		*sr_authkey;	/* never NULL */
	char		*sr_followup;	/* never NULL */
	char		*sr_hostinfo;	/* JSON text, NULL: none */
	size_t		 sr_hostinfolen;
	int64_t		 sr_version;
	uint8_t		 sr_ephemeral;
};

/* Any other call of a node. */
struct srvreq_call {
	uint8_t		 sc_node[32];	/* zero: not said */
	int64_t		 sc_version;	/* 0: not said */
	char		*sc_json;	/* the whole object, written anew */
	size_t		 sc_len;
};
#define SRVREQ_MAX_CALL	16384		/* bytes of it */

struct srvreq_endpoint {
	uint8_t		 se_af;		/* 4 or 6 */
	uint8_t		 se_type;	/* control.md 4.1, 0 to 5 */
	uint16_t	 se_port;
	uint8_t		 se_addr[16];	/* network order; IPv4: first 4 */
};

struct srvreq_map {
	uint8_t		 sm_node[32];
	uint8_t		 sm_disco[32];
	char		*sm_hostinfo;	/* JSON text, NULL: none */
	size_t		 sm_hostinfolen;
	struct srvreq_endpoint
			*sm_endpoints;
	size_t		 sm_nendpoints;
	int64_t		 sm_version;
	uint8_t		 sm_has_endpoints;
	uint8_t		 sm_stream;
	uint8_t		 sm_omitpeers;
	uint8_t		 sm_readonly;
	uint8_t		 sm_keepalive;
	uint8_t		 sm_zstd;
};

/*
 * Read a request body of len bytes. What the server has no use for is
 * ignored; Hostinfo is written anew, without log ids and push tokens, as
 * long as the rest of it is sound JSON.
 * Returns 0, or -1 with errno EINVAL (no object, a known field of a wrong
 * type or value), E2BIG (nested too deep, too long) or ENOMEM; the struct is
 * then empty. Free with srvreq_*_free(), which wipes the auth key.
 * Source: control.md 3.1, 4.1, 8.1.
 */
int	 srvreq_register_parse(const void *, size_t,
	    struct srvreq_register *);
void	 srvreq_register_free(struct srvreq_register *);
int	 srvreq_map_parse(const void *, size_t, struct srvreq_map *);
void	 srvreq_map_free(struct srvreq_map *);

/*
 * The body of any other call, bytes and length; an empty one is an empty
 * object. 0, or -1 with errno as above; srvreq_call_free afterwards.
 */
int	 srvreq_call_parse(const void *, size_t, struct srvreq_call *);
void	 srvreq_call_free(struct srvreq_call *);

/*
 * The answer of /key as text, at most SRVREQ_KEY_TEXT bytes with NUL.
 * Source: control.md 1.3.
 */
#define SRVREQ_KEY_TEXT		256
int	 srvreq_key_build(const uint8_t [32], char *, size_t);

/*
 * The early payload as JSON text: the challenge's public key.
 * Source: control.md 2.5.
 */
int	 srvreq_early_build(const uint8_t [32], char *, size_t);

#endif /* PROTO_SRVREQ_H */
