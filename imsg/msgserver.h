/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Payloads of the servers' messages: of coordd and derpd, their children and
 * coordctl. Who may send which is said in messages.h.
 */

#ifndef SHOAL_MSGSERVER_H
#define SHOAL_MSGSERVER_H

#include "msgdefs.h"

/* --- coordd --------------------------------------------------------------- */

struct msg_srv_noise_in {
	uint8_t		 msg[101];
	uint8_t		 pad[3];
};

struct msg_srv_noise_out {
	uint32_t	 error;
	uint16_t	 version;		/* the client's */
	uint8_t		 msg[51];
	uint8_t		 pad[3];
	uint8_t		 machine[MSG_KEY_LEN];	/* who it is */
	uint8_t		 tx[MSG_KEY_LEN];
	uint8_t		 rx[MSG_KEY_LEN];
};

struct msg_listen {
	struct msg_endpoint ep;
	uint32_t	 flags;			/* LISTEN_* */
	uint32_t	 cert;			/* which CERT_FD, from 0 */
};
#define LISTEN_TLS	0x01
#define LISTEN_STUN	0x02			/* UDP */
#define LISTEN_METRICS	0x04
#define LISTEN_REDIRECT	0x08			/* to https */

struct msg_conf_frontd {
	char		 url[MSG_NAME_LEN];
	uint32_t	 max_conns;
	uint32_t	 keepalive_s;		/* of maps, before jitter */
};

struct msg_conf_stored {
	char		 url[MSG_NAME_LEN];
	char		 db[64];		/* file name inside the root */
	char		 domain[MSG_NAME_LEN];	/* MagicDNS suffix */
	struct msg_prefix addr4;
	struct msg_prefix addr6;
	int64_t		 key_expiry;		/* ns, 0: never */
	uint8_t		 policy;		/* POLICY_* */
	uint8_t		 approve_manually;
	uint8_t		 dns_update;		/* there is a script */
	uint8_t		 pad[5];
	uint32_t	 ndns;			/* so many CONF_DNS follow */
	uint32_t	 ephemeral_s;		/* offline: delete after */
};
#define POLICY_NONE	0			/* nobody may talk */
#define POLICY_FILE	1			/* a POLICY_FD follows */
#define POLICY_STORE	2
#define POLICY_ALLOW	3			/* `policy allow all` */

#define CONF_DNS_SERVER	1			/* value: address */
#define CONF_DNS_SPLIT	2			/* suffix, address */
#define CONF_DNS_RECORD	3			/* name, value: address */
struct msg_conf_dns {
	uint32_t	 kind;
	char		 name[MSG_NAME_LEN];
	char		 value[64];
};

/* One HTTP/2 stream of one client connection. */
struct msg_rpc {
	uint64_t	 conn;			/* frontd's, never reused */
	uint32_t	 stream;
	uint32_t	 flags;
};

struct msg_rpc_register {
	struct msg_rpc	 rpc;
	uint8_t		 machine[MSG_KEY_LEN];	/* of the Noise session */
	uint8_t		 node[MSG_KEY_LEN];
	uint8_t		 old_node[MSG_KEY_LEN];
	uint8_t		 nl[MSG_KEY_LEN];
	int64_t		 expiry;		/* ns since 1970; 0: no wish */
	uint16_t	 version;
	uint8_t		 ephemeral;
	uint8_t		 pad[5];
	char		 auth_key[MSG_AUTHKEY_LEN];
	char		 followup[MSG_TEXT_LEN];
	uint32_t	 hostinfo_len;		/* RPC_DATA follow with it */
	uint32_t	 pad2;
};

struct msg_rpc_map {
	struct msg_rpc	 rpc;
	uint8_t		 machine[MSG_KEY_LEN];
	uint8_t		 node[MSG_KEY_LEN];
	uint8_t		 disco[MSG_KEY_LEN];
	uint16_t	 version;
	uint8_t		 stream;
	uint8_t		 omit_peers;
	uint8_t		 read_only;
	uint8_t		 pad[3];
	uint32_t	 nendpoints;		/* RPC_ENDPOINTS follow */
	uint32_t	 has_endpoints;		/* field was there */
	uint32_t	 hostinfo_len;		/* RPC_DATA follow with it */
	uint32_t	 pad2;
};

struct msg_rpc_list {			/* then n elements */
	struct msg_rpc	 rpc;
	uint32_t	 n;
	uint32_t	 pad;
};

/*
 * An answer. Of a map stream each message ends with RPC_F_MSGEND; frontd
 * adds the length word and compresses. RPC_F_END ends the HTTP response.
 */
struct msg_rpc_answer {			/* then up to MSG_CHUNK_MAX bytes */
	struct msg_rpc	 rpc;
	uint16_t	 status;		/* HTTP, with the first chunk */
	uint16_t	 type;			/* RPC_T_* */
	uint32_t	 len;
};
#define RPC_F_END	0x01
#define RPC_F_MSGEND	0x02
#define RPC_T_JSON	0
#define RPC_T_TEXT	1
#define RPC_T_MAP	2

/* Any other /machine/ call of a node. */
struct msg_rpc_call {
	struct msg_rpc	 rpc;
	uint8_t		 machine[MSG_KEY_LEN];
	uint8_t		 node[MSG_KEY_LEN];	/* zero: it did not say */
	uint32_t	 call;			/* RPC_CALL_* */
	uint32_t	 version;
	uint32_t	 data_len;		/* RPC_DATA follow with it */
	uint32_t	 pad;
};
#define RPC_CALL_WHOAMI		1
#define RPC_CALL_ATTR		2
#define RPC_CALL_HEALTH		3
#define RPC_CALL_AUDIT		4
#define RPC_CALL_FEATURE	5
#define RPC_CALL_DNS		6
#define RPC_CALL_IDTOKEN	7
#define RPC_CALL_PONG		8	/* data: an ID, its words */
#define PING_ID_LEN		32		/* hexadecimal digits */

/* What a request of plain HTTP wants to know. */
struct msg_web_ask {
	uint64_t	 conn;			/* frontd's, never reused */
	uint32_t	 kind;			/* WEB_* */
	uint32_t	 pad;
	uint8_t		 key[MSG_KEY_LEN];	/* WEB_VERIFY: a node's */
	char		 id[64];		/* WEB_LOGIN, WEB_PONG */
};
#define WEB_LOGIN	1
#define WEB_VERIFY	2
#define WEB_PONG	3			/* a node answers a ping */
#define WEB_CLIENTS	4			/* a relay's: key is its word */

/* Of the list of clients that a relay is told; 0 bytes: no more of it. */
struct msg_web_lines {
	uint64_t	 conn;
	uint32_t	 len;			/* bytes that follow */
	uint32_t	 pad;
};

/* A part of the DERP map as everybody may read it; none: there is none. */
struct msg_web_map {
	uint32_t	 len;			/* bytes that follow */
	uint32_t	 last;			/* that was all */
};
#define WEB_MAP_MAX	32768

struct msg_web_answer {
	uint64_t	 conn;
	uint32_t	 yes;			/* it waits; it may */
	uint32_t	 minutes;		/* that a login still has */
	char		 name[64];
	char		 os[64];
	char		 version[64];
	char		 key[80];
};

struct msg_jwt_key {
	uint8_t		 point[65];		/* P-256, uncompressed */
	uint8_t		 pad[3];
};
#define JWT_CLAIMS_MAX	8192

struct msg_dns_update {
	char		 name[MSG_NAME_LEN];
	char		 value[MSG_NAME_LEN];	/* of the TXT record */
};

struct msg_adm_list {			/* then n NUL-terminated words */
	uint32_t	 n;
	uint32_t	 uid;			/* who asks: the parent's */
};

/* --- derpd ---------------------------------------------------------------- */

struct msg_conf_relay {
	char		 hostname[MSG_NAME_LEN];
	uint32_t	 max_conns;
	uint32_t	 tls;			/* RELAY_TLS_* */
	uint64_t	 rate;			/* bytes/s, 0: no limit */
	uint64_t	 burst;
	uint64_t	 all_rate;		/* of all clients together */
	uint64_t	 all_burst;
	uint32_t	 verify;		/* RELAY_VERIFY_* */
	uint32_t	 serial;		/* of its servers */
};
#define RELAY_TLS_NONE	0
#define RELAY_TLS_SELF	1			/* a certificate of our own */
#define RELAY_TLS_FILE	2			/* CERT_FD, TLSKEY_FD come */

#define RELAY_VERIFY_NONE	0
#define RELAY_VERIFY_URL	1
#define RELAY_VERIFY_FILE	2
#define RELAY_VERIFY_COORDD	3
#define RELAY_VERIFY_SHOALD	4

/* Whom the relay may be connected to; numbered as they come. */
struct msg_conf_server {
	uint32_t	 kind;			/* SERVER_* */
	uint16_t	 port;
	uint8_t		 tls;
	uint8_t		 has_pin;		/* else verify as usual */
	uint8_t		 pin[MSG_KEY_LEN];	/* SHA-256 of its certificate */
	char		 host[MSG_NAME_LEN];
	char		 path[MSG_NAME_LEN];	/* of the URL */
};
#define SERVER_VERIFY	1
#define SERVER_MESH	2
#define SERVER_COORDD	3

struct msg_dial {
	uint32_t	 serial;		/* of the configuration */
	uint32_t	 server;		/* which one of it */
};

struct msg_bootstrap {				/* an answer to bootstrap-dns */
	char		 name[MSG_NAME_LEN];
	struct msg_ip	 ip;
};

struct msg_mesh_login {
	uint32_t	 error;
	uint32_t	 len;
	uint8_t		 frame[512];		/* ClientInfo, whole */
};

#define DERP_BOX_MAX	4096			/* of a login that we take */
struct msg_derp_login {
	uint8_t		 key[MSG_KEY_LEN];	/* the client says that it is */
	uint32_t	 len;
	uint32_t	 pad;
	uint8_t		 box[DERP_BOX_MAX];	/* nonce in front */
};

struct msg_derp_login_ok {
	uint32_t	 error;
	uint32_t	 len;			/* of what the client said */
	uint32_t	 boxlen;
	uint32_t	 mesh;			/* it has the key of the mesh */
	uint8_t		 box[256];		/* the answer, nonce in front */
	uint8_t		 info[DERP_BOX_MAX];
};

/* What a private key does in a TLS handshake. */
#define TLS_OP_ECDSA	1			/* sign a digest */
#define TLS_OP_RSA_PKCS1 2			/* pad like that, then sign */
#define TLS_OP_RSA_RAW	3			/* PSS, padded already */
#define TLS_SIG_MAX	1024
struct msg_tls_sign {
	uint8_t		 cert[MSG_KEY_LEN];	/* whose key: SHA-256 */
	uint32_t	 op;			/* TLS_OP_* */
	uint32_t	 len;
	uint8_t		 data[TLS_SIG_MAX];
};

struct msg_tls_signed {
	uint32_t	 error;
	uint32_t	 len;
	uint8_t		 sig[TLS_SIG_MAX];
};

#define DERP_CERT_TLS	1			/* of our own, for TLS */
#define DERP_CERT_META	2			/* tells the DERP key */
struct msg_derp_cert {				/* then the certificate, DER */
	uint32_t	 kind;
};

#endif /* SHOAL_MSGSERVER_H */
