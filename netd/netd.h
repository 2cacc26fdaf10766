/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The packet process: what its parts know of each other.
 */

#ifndef NETD_H
#define NETD_H

#include <sys/types.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/tree.h>
#include <sys/uio.h>

#include <event.h>
#include <stddef.h>
#include <stdint.h>

#include "channel.h"
#include "filter.h"
#include "lock.h"
#include "log.h"
#include "messages.h"
#include "os.h"
#include "proc.h"
#include "wg.h"

#define NSEC		1000000000LL
#define MSEC		1000000LL
#define CACHE_LINE	64

#ifndef nitems
#define nitems(a)	(sizeof(a) / sizeof((a)[0]))
#endif

struct peer;
struct keypair;
struct tx;
struct rx;

/* --- addr.c: addresses of UDP endpoints ---------------------------------- */

/* No padding: compared and hashed as bytes. IPv4 in the first 4 of a_ip. */
struct addr {
	uint8_t		 a_ip[16];
	uint32_t	 a_scope;	/* of IPv6 link-local addresses */
	uint32_t	 a_vni;		/* there is a peer relay; 0: direct */
	uint16_t	 a_port;	/* host order; DERP: the region */
	uint8_t		 a_af;		/* AF_WIRE_*, ADDR_DERP, or 0 */
	uint8_t		 a_sock;	/* by that one of ours; 0: the usual */
};
#define ADDR_DERP	127		/* not an address: over that relay */
#define ADDR_TEXT	64

int	 addr_eq(const struct addr *, const struct addr *);
/* From a socket address; IPv4-mapped is unmapped. -1 if of another family. */
int	 addr_from_ss(struct addr *, const struct sockaddr_storage *);
socklen_t addr_to_ss(const struct addr *, struct sockaddr_storage *);
void	 addr_from_ep(struct addr *, const struct msg_endpoint *);
void	 addr_to_ep(const struct addr *, struct msg_endpoint *);
/* The address that stands for a DERP region. */
void	 addr_from_derp(struct addr *, uint16_t);
/* "192.0.2.1:41641", "[2001:db8::1]:41641", "derp-900"; for ADDR_TEXT. */
const char *addr_print(const struct addr *, char *);
int	 addr_is_loopback(const struct addr *);
int	 addr_is_linklocal(const struct addr *);
int	 addr_is_private(const struct addr *);
/* Could a peer be there at all: a unicast address and a port? */
int	 addr_usable(const struct addr *);
/* Is this address (family, bytes) inside the prefix? */
int	 prefix_has(const struct msg_prefix *, uint8_t, const uint8_t *);
/* Family and length in range, host bits zero? */
int	 prefix_ok(const struct msg_prefix *);

/* --- checksum.c: the Internet checksum ----------------------------------- */

/*
 * A sum of whole blocks of 64 bytes, up to 64 KiB, for csum_add(); of this
 * machine's vector instructions, NULL if it has none that we know.
 */
typedef uint64_t (*csum_blocks)(const uint8_t *, size_t);
csum_blocks csum_avx2(void);
/* Choose how long packets are summed. Before threads are started. */
void	 csum_init(void);

/* Sums are of 16-bit words as they lie in memory; RFC 1071. */
uint64_t csum_add(uint64_t, const void *, size_t);
uint16_t csum_fold(uint64_t);		/* to 16 bits, not complemented */
/* Pseudo header: (IP packet, protocol, transport length). */
uint64_t csum_pseudo(const uint8_t *, uint8_t, uint32_t);
/* Header checksum of an IPv4 header, computed and stored. */
void	 csum_ip4(uint8_t *, size_t);
/*
 * Transport checksum to store: (packet, transport offset, protocol, length,
 * offset of the field in the transport header, which is left out).
 */
uint16_t csum_transport(const uint8_t *, size_t, uint8_t, size_t, size_t);
/* Does the transport checksum verify? (packet, transport offset, proto, len) */
int	 csum_verify(const uint8_t *, size_t, uint8_t, size_t);

/* --- segment.c: packets of the TUN device into segments ------------------ */

/*
 * virtio_net_hdr as the kernel lays it out without merged buffers. The
 * offsets count from the start of the packet, in host order.
 */
struct vnet_hdr {
	uint8_t		 v_flags;
	uint8_t		 v_gso_type;
	uint16_t	 v_hdr_len;
	uint16_t	 v_gso_size;
	uint16_t	 v_csum_start;
	uint16_t	 v_csum_offset;
};
#define VNET_HDR_LEN		10
#define VNET_F_NEEDS_CSUM	0x01
#define VNET_GSO_NONE		0
#define VNET_GSO_TCP4		1
#define VNET_GSO_TCP6		4
#define VNET_GSO_UDP_L4		5
#define VNET_GSO_ECN		0x80

struct segmenter {
	const uint8_t	*s_pkt;
	size_t		 s_len;
	size_t		 s_l4;		/* offset of the transport header */
	size_t		 s_hlen;	/* all headers */
	size_t		 s_off;		/* payload done */
	size_t		 s_size;	/* payload of each; 0: one packet */
	uint64_t	 s_ipsum;	/* of what the IPv4 headers share */
	uint64_t	 s_sum;		/* the same of what is above */
	unsigned int	 s_n;		/* segments made */
	uint16_t	 s_csum;	/* one packet: its checksum begins */
	uint16_t	 s_field;	/* and stands there, 0: complete */
	uint8_t		 s_v4;
	uint8_t		 s_tcp;
	uint8_t		 s_done;
};

/*
 * Begin: (state, header, packet, its length). The packet must stay.
 * Returns 0, or -1 with errno EINVAL if header and packet do not fit
 * together: drop it.
 */
int	 segment_start(struct segmenter *, const struct vnet_hdr *,
	    const uint8_t *, size_t);
/* How many segments there are in all. */
unsigned int	 segment_count(const struct segmenter *);
/* Length of the next segment; 0: there is none. */
size_t	 segment_len(const struct segmenter *);
/*
 * Write the next segment, a whole IP packet with complete checksums, to a
 * place with room for segment_len() bytes. Its length, or 0: no more.
 */
size_t	 segment_next(struct segmenter *, uint8_t *);
/* Leave the next segment out. */
void	 segment_skip(struct segmenter *);

/* --- coalesce.c: packets from peers into writes to the TUN device -------- */

#define COAL_RUNS	8
#define COAL_PIECES	256
#define COAL_TCP	0x01		/* what the device takes */
#define COAL_UDP	0x02
#define COAL_VNET	0x04		/* a vnet header goes in front */

struct coal_run {
	struct iovec	 cr_iov[COAL_PIECES];
	struct vnet_hdr	 cr_vnet;
	uint8_t		*cr_head;	/* first packet: header is changed */
	size_t		 cr_hlen;
	size_t		 cr_l4;
	size_t		 cr_size;	/* payload of the first */
	size_t		 cr_len;	/* joined IP packet */
	uint32_t	 cr_seq;	/* next one wanted */
	int		 cr_n;		/* pieces in use; 0: free */
	int		 cr_segs;
	int		 cr_closed;	/* nothing more may be joined */
	uint8_t		 cr_v4;
	uint8_t		 cr_tcp;
};

/* Write: (argument, pieces, how many, segments in it). */
typedef void (*coal_write)(void *, const struct iovec *, int, int);

struct coal {
	struct coal_run	 c_run[COAL_RUNS];
	unsigned int	 c_next;	/* whom to evict */
	unsigned int	 c_caps;	/* COAL_* */
	coal_write	 c_write;
	void		*c_arg;
};

void	 coal_init(struct coal *, unsigned int, coal_write, void *);
/*
 * Take a packet (whole, of its exact length, with its header writable). It
 * is written now or joined to others: its memory must stay until
 * coal_flush(), which must be called before the loop may sleep.
 */
void	 coal_packet(struct coal *, uint8_t *, size_t);
void	 coal_flush(struct coal *);

/* --- timers.c: the timers of one WireGuard peer (dataplane.md 1.4) ------- */

/* Deadlines in os_now() time; 0: not armed. */
struct wg_timers {
	int64_t		 t_retransmit;
	int64_t		 t_newhs;
	int64_t		 t_keepalive;
	int64_t		 t_wipe;
	int64_t		 t_hs_sent;	/* last handshake message sent */
	unsigned int	 t_attempts;
	uint8_t		 t_more_keepalive;
	uint8_t		 t_late_rekey;	/* done for this key */
};

/* What timers_run() asks for. */
#define TIMER_INITIATE		0x01	/* not a retry */
#define TIMER_RETRY		0x02
#define TIMER_GIVE_UP		0x04
#define TIMER_KEEPALIVE		0x08
#define TIMER_WIPE		0x10

void	 timers_init(struct wg_timers *);
/* May a handshake message be sent now? The 5 s gap. */
int	 timers_may_initiate(const struct wg_timers *, int64_t);
/* Initiation sent: (timers, now, jitter 0..333 ms in ns, retry). */
void	 timers_initiation_sent(struct wg_timers *, int64_t, int64_t, int);
void	 timers_response_sent(struct wg_timers *, int64_t);
void	 timers_data_sent(struct wg_timers *, int64_t, int64_t);
void	 timers_data_received(struct wg_timers *, int64_t);
void	 timers_auth_sent(struct wg_timers *);
void	 timers_auth_received(struct wg_timers *);
void	 timers_derived(struct wg_timers *, int64_t);
void	 timers_complete(struct wg_timers *);
/* Earliest deadline, 0: none. */
int64_t	 timers_next(const struct wg_timers *);
/* Run what is due: TIMER_*; for retries the count is kept here. */
unsigned int	 timers_run(struct wg_timers *, int64_t);

/* --- heap.c: deadlines of all peers that have any ------------------------ */

struct heap_node {
	int64_t		 hn_when;
	uint32_t	 hn_pos;	/* 1-based; 0: not in */
};

struct heap {
	struct heap_node **h_node;
	uint32_t	 h_n;
	uint32_t	 h_size;
};

/* Insert or move earlier or later. Fatal on lack of memory. */
void	 heap_set(struct heap *, struct heap_node *, int64_t);
void	 heap_remove(struct heap *, struct heap_node *);
struct heap_node *heap_first(const struct heap *);
void	 heap_free(struct heap *);

/* --- routes.c: which peer has an address --------------------------------- */

struct routes;

struct routes *routes_new(size_t);	/* room for so many prefixes */
/* 0, or -1 if the prefix is another's already: the first one stays. */
int	 routes_add(struct routes *, const struct msg_prefix *, void *);
/* Take a prefix away, unless it is another's. */
void	 routes_del(struct routes *, const struct msg_prefix *, const void *);
/* Is there room for so many more? */
int	 routes_room(const struct routes *, size_t);
/* Longest match for (family, address): what was added with it, or NULL. */
void	*routes_find(const struct routes *, uint8_t, const uint8_t *);
/* Only what was added as this single address. */
void	*routes_find_host(const struct routes *, uint8_t, const uint8_t *);
void	 routes_free(struct routes *);

/* --- index.c: session indices -------------------------------------------- */

enum idx_kind {
	IDX_FREE,
	IDX_HANDSHAKE,		/* own initiation; struct peer */
	IDX_PENDING,		/* initiation of someone, at cryptod */
	IDX_KEYPAIR
};

struct idx_entry {
	uint32_t	 ie_index;
	uint32_t	 ie_kind;
	void		*ie_ptr;
};

struct idx_table {
	struct idx_entry *it_entry;
	uint32_t	 it_n;
	uint32_t	 it_size;	/* power of 2 */
};

/* A fresh random index, not 0. Fatal on lack of memory. */
uint32_t idx_new(struct idx_table *, enum idx_kind, void *);
struct idx_entry *idx_find(const struct idx_table *, uint32_t);
void	 idx_delete(struct idx_table *, uint32_t);

/* --- session.c: key pairs and their slots (dataplane.md 1.5) ------------- */

struct keypair {
	struct wg_key	*k_send;
	struct wg_key	*k_recv;
	struct peer	*k_peer;
	int64_t		 k_created;
	uint32_t	 k_local;
	uint32_t	 k_remote;
	int		 k_initiator;
	/* Written for each packet, by one thread each: no line is shared. */
	uint8_t		 k_gap1[CACHE_LINE];
	uint64_t	 k_counter;	/* next to send */
	uint8_t		 k_gap2[CACHE_LINE];
	struct wg_replay k_replay;
};

struct slots {
	struct keypair	*sl_prev;
	struct keypair	*sl_cur;
	struct keypair	*sl_next;
};

/* (send key, receive key, local, remote, initiator, now); fatal: no memory. */
struct keypair *keypair_new(const uint8_t *, const uint8_t *, uint32_t,
	    uint32_t, int, int64_t);
/* Take its index out of the table and wipe it. NULL is fine. */
void	 keypair_delete(struct idx_table *, struct keypair *);
/* Called before keys go that somebody may be using. */
void	 keypair_guard(void (*)(void));
/* May it send or receive at this time? */
int	 keypair_usable(const struct keypair *, int64_t);

void	 slots_initiator(struct slots *, struct idx_table *, struct keypair *);
void	 slots_responder(struct slots *, struct idx_table *, struct keypair *);
/* A valid packet came under this one: 1 if next became current. */
int	 slots_received(struct slots *, struct idx_table *,
	    struct keypair *);
void	 slots_wipe(struct slots *, struct idx_table *);

/* --- path.c: where a peer is; pure, with the clock handed in (2.4 to 2.6)  */

#define PATH_HEARTBEAT		(3 * NSEC)
#define PATH_ACTIVE		(45 * NSEC)
#define PATH_TRUST		(6500 * MSEC)
#define PATH_PING_TIMEOUT	(5 * NSEC)
#define PATH_PING_GAP		(5 * NSEC)
#define PATH_UPGRADE		(60 * NSEC)
#define PATH_GOOD_ENOUGH	(5 * MSEC)
#define PATH_FALLBACK		(5 * NSEC)
#define PATH_WGONLY_TRUST	(5 * NSEC)
#define PATH_WGONLY_GUESS	(1 * NSEC)
#define PATH_WGONLY_MEMORY	(60 * NSEC)
#define PATH_MAXCAND		100
#define PATH_MAXCALL		32	/* endpoints of one CallMeMaybe */
#define PATH_MAXPINGS		128
#define PATH_EARLY		5	/* quick first tries */

#define CAND_NETMAP	0x01
#define CAND_PING	0x02		/* it pinged us */
#define CAND_CALL	0x04		/* of its last CallMeMaybe */

/* What a path carries, see pathmtu.c. */
struct path_mtu {
	int64_t		 m_proven;	/* full ping that was answered, or 0 */
	int64_t		 m_next;	/* next ping of its test, 0: none */
	int64_t		 m_again;	/* it does not: ask again then */
	int64_t		 m_latency;
	int64_t		 m_grow;	/* next pings of larger sizes, or 0 */
	uint16_t	 m_size;	/* largest that was answered, or 0 */
	uint8_t		 m_tries;
	uint8_t		 m_volleys;	/* of larger sizes */
	uint8_t		 m_grown;	/* there is no more to be had */
	uint8_t		 m_told;	/* to cut, in this test */
	uint8_t		 m_checks;	/* pings that were not to be cut */
	uint8_t		 m_whole;	/* and one was answered */
	int64_t		 m_cut;		/* datagrams are cut since, 0: not */
	int64_t		 m_check;	/* must they be? Next step, or 0 */
};

struct path_cand {
	struct addr	 pc_addr;
	struct path_mtu	 pc_mtu;
	int64_t		 pc_last_ping;	/* ours to it, 0: never */
	int64_t		 pc_seen;	/* its last ping to us */
	int64_t		 pc_latency;	/* of the last pong, 0: none */
	uint8_t		 pc_txid[12];	/* of its last ping */
	uint8_t		 pc_flags;
};

enum ping_why {
	PING_DISCOVER,
	PING_HEARTBEAT,
	PING_CLI,
	PING_SIZE		/* does the path carry so much? */
};

/* How a ping is sent: the length of its datagram, or 0 for its own, and */
#define PING_LEN(how)	((how) & 0xffff)
#define PING_DF		0x20000		/* not to be cut on its way */
#define PING_TEST	0x10000		/* that it is lost says nothing */
#define PATH_FULL	(1280 + WG_TRANSPORT_OVERHEAD)

struct path_ping {
	struct addr	 pp_addr;
	int64_t		 pp_sent;
	uint32_t	 pp_how;	/* PING_LEN and flags */
	uint8_t		 pp_txid[12];
	uint8_t		 pp_why;	/* enum ping_why */
	uint8_t		 pp_used;
};

/* Where a packet goes; to both while it is not sure which one works. */
struct path_to {
	struct addr	 pt_addr;	/* a_af 0: none */
	uint16_t	 pt_relay;	/* DERP region, 0: none */
	uint8_t		 pt_ecn;	/* mark of the datagrams */
};

#define NOGSO_FAILED	1
#define NOGSO_CUT	2		/* the system cuts datagrams */

struct path {
	struct path_cand *pa_cand;
	struct path_ping *pa_ping;	/* PATH_MAXPINGS once one is sent */
	struct addr	 pa_best;	/* a_af 0: none */
	uint8_t		 pa_server[MSG_KEY_LEN];	/* peer relay of best */
	struct addr	 pa_fallback;	/* where it was heard, authenticated */
	int64_t		 pa_latency;	/* of best */
	int64_t		 pa_trusted;	/* until */
	int64_t		 pa_answered;	/* latest ping to best with a pong */
	int64_t		 pa_fallback_until;
	int64_t		 pa_data_until;	/* authentic data comes from best */
	int64_t		 pa_full_ping;	/* last, 0: never */
	int64_t		 pa_external;	/* last external send, 0: never */
	int64_t		 pa_heartbeat;	/* next, 0: none */
	int64_t		 pa_early_next;	/* next quick try, 0: none */
	int64_t		 pa_cmm_in;	/* CallMeMaybe: paid for until then */
	int64_t		 pa_called;	/* the last one, 0: answered */
	int64_t		 pa_cmm_out;	/* last one sent, 0: never */
	int64_t		 pa_relay;	/* last search for a peer relay */
	uint64_t	 pa_tx;		/* bytes sent at the last heartbeat */
	struct path_mtu	 pa_via;	/* of best, if a peer relay */
	unsigned int	 pa_early;	/* quick tries made */
	unsigned int	 pa_ncand;
	uint8_t		 pa_nogso;	/* no large sends on this path */
	uint8_t		 pa_ecn[2];	/* it minds our marks, IPv4 and 6 */
};

void	 path_free(struct path *);	/* and what is in it */
/* Endpoints of the netmap: those that are gone go. */
void	 path_netmap(struct path *, const struct addr *, size_t);
/*
 * A ping came from there: 1 if it is a repeat of one already seen from the
 * same address. Adds the address as a candidate.
 */
int	 path_pinged(struct path *, const struct addr *, const uint8_t *,
	    int64_t);
/*
 * CallMeMaybe: these are candidates instead of those of the last one, and
 * all are to be pinged now. -1: too many of them have come lately.
 */
int	 path_call(struct path *, const struct addr *, size_t, int64_t);
/* May a CallMeMaybe be sent now? If so it counts as sent. */
int	 path_may_call(struct path *, int64_t);
/*
 * Candidates to ping now that were not pinged for that long; up to so many
 * addresses written. Returns how many.
 */
size_t	 path_pick(struct path *, int64_t, int64_t, struct addr *, size_t);
/* A ping goes out: (path, to, txid, why, PING_LEN and flags, now). */
void	 path_ping_sent(struct path *, const struct addr *, const uint8_t *,
	    enum ping_why, uint32_t, int64_t);
/*
 * A pong: fills in the ping that it answers and its latency. 0, or -1: not
 * ours, too late, or of an address that is no candidate any more.
 */
int	 path_pong(struct path *, const uint8_t *, int64_t,
	    struct path_ping *, int64_t *);
/* The best path answered: (path, latency, when it was asked, now). */
void	 path_trust(struct path *, int64_t, int64_t, int64_t);
/*
 * A path over a peer relay answered: (path, address, key of the relay,
 * latency, when it was asked, now). 1: it is the best one now.
 */
int	 path_install(struct path *, const struct addr *, const uint8_t *,
	    int64_t, int64_t, int64_t);
/*
 * Forget old pings and candidates. 1: the best path owes a pong, is not
 * trusted any more and another is to be looked for at once.
 */
int	 path_expire(struct path *, int64_t);
/*
 * Where to send: (path, now, region of the relay or 0, is it connected).
 * 0: nowhere.
 */
int	 path_dest(struct path *, int64_t, uint16_t, int,
	    struct path_to *);
/* Is the best path, if any, sure enough to use no other? */
int	 path_trusted(const struct path *, int64_t);
int	 path_want_full(const struct path *, int64_t);
/* Something was, or should be, sent to the peer: heartbeats start. */
void	 path_external(struct path *, int64_t);
/* Sending to this address failed with that errno. */
void	 path_error(struct path *, const struct addr *, int);
void	 path_heard(struct path *, const struct addr *, int64_t);
/*
 * Authentic data came from there: if that is the best path, it lives. The
 * flag: there are no heartbeats, so data must do for them (2.11).
 */
void	 path_data(struct path *, const struct addr *, int, int64_t);
/*
 * No pong came to the quick tries and there is no other way: endpoints of
 * the netmap worth an initiation all the same, since the peer may not know
 * our disco key of this run yet. Up to so many written; returns how many.
 */
size_t	 path_blind(const struct path *, int64_t, struct addr *, size_t);
#define PATH_BLIND	4
/* Links changed: all that was measured is void. */
void	 path_reset(struct path *);
int64_t	 path_next(const struct path *);
/* How long to wait before the next quick try. */
int64_t	 path_early_delay(const struct path *);
/* Is a better than b? (address, latency) of both; b's family 0: none. */
int	 path_better(const struct addr *, int64_t, const struct addr *,
	    int64_t);

/* --- wgonly.c: peers without disco (2.12) -------------------------------- */

int	 wgonly_dest(struct path *, int64_t, struct path_to *);
/* An authenticated packet came from there. */
void	 wgonly_heard(struct path *, const struct addr *, int64_t);

/* --- peer.c: peers ------------------------------------------------------- */

#define STAGED_MAX	128		/* entries of one peer */
#define STAGED_BYTES	(512 * 1024)
#define STAGED_TOTAL	(16 * 1024 * 1024)

/* A packet waiting for a session, as it was read from the TUN device. */
struct staged {
	STAILQ_ENTRY(staged) st_entry;
	struct vnet_hdr	 st_vnet;
	uint32_t	 st_len;
	uint8_t		 st_pkt[];
};
STAILQ_HEAD(staged_head, staged);

enum hs_state {
	HS_NONE,
	HS_ASKED,			/* cryptod is making the initiation */
	HS_SENT,
	HS_WANTED			/* there was no path to send it on */
};

/* What only a peer that is being talked to needs. */
struct peer_wg {
	struct slots	 w_slots;
	struct wg_timers w_timers;
	struct staged_head w_staged;
	size_t		 w_nstaged;
	size_t		 w_staged_bytes;
	uint32_t	 w_hs_index;	/* of our initiation, 0: none */
	enum hs_state	 w_hs_state;
	int64_t		 w_hs_made;	/* when our last one was asked for */
	uint8_t		 w_has_mac1;
	struct addr	 w_resp_src;	/* where the response came from */
	struct path_to	 w_hs_to;	/* where our initiation went */
	uint8_t		 w_init[WG_INITIATION_LEN];	/* while HS_SENT */
	uint8_t		 w_mac1[WG_MAC_LEN];	/* of the last sent */
	uint8_t		 w_cookie[WG_COOKIE_LEN];
	int64_t		 w_cookie_time;	/* 0: none */
	uint8_t		 w_mac1_key[WG_KEY_LEN];
	uint8_t		 w_cookie_key[WG_KEY_LEN];
};

/* The box key that belongs to a disco key, while someone uses it. */
struct disco_key;

struct peer {
	RB_ENTRY(peer)	 p_by_id;
	RB_ENTRY(peer)	 p_by_disco;
	RB_ENTRY(peer)	 p_by_key;
	uint64_t	 p_id;
	uint8_t		 p_key[MSG_KEY_LEN];
	uint8_t		 p_disco[MSG_KEY_LEN];
	uint8_t		 p_stamp[12];	/* last accepted of its handshakes */
	uint16_t	 p_derp;	/* home region, 0: none */
	uint16_t	 p_heard_derp;	/* region it was heard by, 0: none */
	uint16_t	 p_cap;
	uint32_t	 p_flags;	/* PEER_* */
	uint32_t	 p_nallowed;
	uint32_t	 p_neps;
	uint32_t	 p_ncaps;
	uint8_t		 p_mark;	/* named in this change */
	uint8_t		 p_band_disco;	/* key came in band, not by control */
	uint8_t		 p_call;	/* CallMeMaybe waits for endpoints */
	struct msg_prefix *p_allowed;
	struct addr	*p_eps;
	char		(*p_caps)[FILTER_CAP_MAX];
	struct msg_ip	*p_masq;	/* v4, v6; or NULL */
	struct peer_wg	*p_wg;		/* NULL: idle */
	struct path	*p_path;	/* NULL: idle */
	struct disco_key *p_dkey;	/* NULL: not asked for */
	struct heap_node p_timer;
	TAILQ_ENTRY(peer) p_wanted;
	unsigned int	 p_want;	/* WANT_*, 0: not on the list */
	uint64_t	 p_rx;
	uint64_t	 p_tx;
	int64_t		 p_handshake;	/* date of the last, 0: none */
	int64_t		 p_last_write;	/* os_now() of the last send */
	int64_t		 p_recover;	/* last try after a replacement */
};
TAILQ_HEAD(wanted_head, peer);
RB_HEAD(peer_ids, peer);
RB_HEAD(peer_discos, peer);
RB_HEAD(peer_keys, peer);

struct peer *peer_find(uint64_t);
/* First of the peers with that disco key, and the next one; or NULL. */
struct peer *peer_find_disco(const uint8_t *);
struct peer *peer_next_disco(struct peer *);
/* The peer with that node key, or NULL. */
struct peer *peer_find_key(const uint8_t *);
struct peer *peer_new(uint64_t, const uint8_t *);
void	 peer_set_disco(struct peer *, const uint8_t *);
void	 peer_delete(struct peer *);
struct peer *peer_first(void);
struct peer *peer_next(struct peer *);
/* Make the parts that an active peer needs, if they are not there. */
struct peer_wg *peer_wg(struct peer *);
struct path *peer_path(struct peer *);
/* Drop keys, handshake and staged packets. */
void	 peer_wipe(struct peer *);
/* Let the timer of this peer run at its next deadline. */
void	 peer_rearm(struct peer *);
/* The same, when only one deadline has come nearer; 0: none. */
void	 peer_soon(struct peer *, int64_t);
/*
 * What sending a packet asks for, done when the batch is over: a handshake,
 * what waits to be sent, a look at the timers, a search for a path.
 */
#define WANT_HANDSHAKE	0x01
#define WANT_FLUSH	0x02
#define WANT_TIMER	0x04
#define WANT_PATH	0x08
void	 peer_want(struct peer *, unsigned int);
void	 peer_wanted(int64_t);
/* As peer_soon(), from a batch. */
void	 peer_want_timer(struct peer *, int64_t);
void	 peer_timers_init(void);
/* Run what is long overdue: the machine has slept. Once per wake-up. */
void	 peer_timers_poke(int64_t);
int	 peer_timers_late(int64_t);
/* Packets that wait. stage: copies; drops the oldest when full. */
void	 peer_stage(struct peer *, const struct vnet_hdr *, const uint8_t *,
	    size_t);
void	 peer_unstage(struct peer *, struct staged *);
void	 peer_unstage_all(struct peer *);
/* Where to send to it now; 0: nowhere. */
int	 peer_dest(struct peer *, int64_t, struct path_to *);
/* The relay to use for it, 0: none; *up: is it connected? */
uint16_t peer_relay(const struct peer *, int *);
/* The address it is used by: direct, a peer relay, or a DERP region. */
void	 peer_best(struct peer *, int64_t, struct addr *);
/* Is there a key to send with and a place to send to? */
int	 peer_ready(struct peer *, int64_t);
/* WireGuard was sent to it: the path is worth keeping alive. */
void	 peer_external(struct peer *, int64_t);
/* The same, from a batch: what it asks for is wanted. */
void	 peer_external_tx(struct peer *, int64_t);
/* Is this source address one of the peer's? */
int	 peer_allows(const struct peer *, uint8_t, const uint8_t *);
size_t	 peer_count(void);

/* --- masq.c: addresses that a peer knows us by (6.4) --------------------- */

void	 masq_out(const struct peer *, uint8_t *, const struct pkt *);
void	 masq_in(const struct peer *, uint8_t *, const struct pkt *);

/* --- handshake.c --------------------------------------------------------- */

int64_t	 hs_jitter(void);
/* A handshake with the peer is wanted; retry: by the retransmit timer. */
void	 hs_initiate(struct peer *, int64_t, int);
/* A path to it has been found: send what waited for one. */
void	 hs_path_up(struct peer *, int64_t);
/* A relay is connected, after a while without it. */
void	 hs_relay_up(uint16_t, int64_t);
/* None has been found by the quick tries: try the endpoints all the same. */
void	 hs_blind(struct peer *, int64_t);
/*
 * Initiation, response, cookie reply: (datagram, length, source, the peer
 * that a relay names as its sender or NULL, now).
 */
void	 hs_input(uint8_t *, size_t, const struct addr *, struct peer *,
	    int64_t);
/* Answers of cryptod. -1: malformed. */
int	 hs_wg_init(const struct msg_wg_init *);
int	 hs_wg_resp(const struct msg_wg_resp *);
int	 hs_wg_keys(const struct msg_wg_keys *);
/* Own node key is known or has changed. */
void	 hs_set_key(const uint8_t *);
/* cryptod was replaced: tell it of the peers; kick: it is ready. */
void	 hs_cryptod_new(void);
void	 hs_kick(void);
void	 hs_tell_peer(const struct peer *, int);
/* Drop keys and start over: the peer or we have a new identity. */
void	 hs_reset(struct peer *, int64_t);
/* Its handshake under way is void. */
void	 hs_forget(struct peer *);
/* A packet came under its next key: the responder's side is complete. */
void	 hs_confirmed(struct peer *, int64_t);
/*
 * The peer still uses a key that we have no more, or that is too old here
 * since this side has slept: try for a new one, at times. From where it
 * was sent, or NULL: there is no doubt that it is that peer.
 */
void	 hs_recover(struct peer *, const struct addr *, int64_t);
/* Data of a session unknown here: maybe we were replaced. */
void	 hs_unknown_index(const struct addr *, struct peer *, int64_t);
/* What the netd before us was talking to. */
int	 hs_active_message(struct imsg *);
void	 hs_active_start(void);
/* The set of peers with sessions has changed: the parent keeps it. */
void	 hs_active_changed(void);
void	 hs_init(void);

/* --- cookie.c: load, cookies, and the rate of sources (1.3) -------------- */

#define RATE_BUCKETS	1024
#define RATE_BURST	5
#define RATE_PER_SEC	20

struct srcrate {
	struct {
		uint8_t	 b_ip[16];
		int64_t	 b_time;
		int64_t	 b_tokens;	/* in ns of refill */
	}		 r_bucket[RATE_BUCKETS];
	uint64_t	 r_key;
};

/* May this source have one more? 1 or 0. */
int	 rate_allow(struct srcrate *, const struct addr *, int64_t);

#define LOAD_QUEUE	128		/* this many waiting: under load */
#define LOAD_QUEUE_MAX	1024
#define LOAD_TAIL	NSEC

struct load {
	uint8_t		 l_secret[32];
	int64_t		 l_secret_time;	/* 0: none yet */
	int64_t		 l_until;	/* under load until then */
	unsigned int	 l_pending;
	struct srcrate	 l_rate;
};

enum load_verdict {
	LOAD_PASS,
	LOAD_COOKIE,			/* answer with the cookie */
	LOAD_DROP
};

/*
 * An initiation or response with a good mac1 came: (state, message, length,
 * source, now, the source's cookie).
 */
enum load_verdict load_check(struct load *, const uint8_t *, size_t,
	    const struct addr *, int64_t, uint8_t [WG_COOKIE_LEN]);

/* --- disco.c: pings, pongs and box keys ---------------------------------- */

/*
 * A packet that looks like disco: (packet, length, source, the peer that a
 * relay names as its sender or NULL, now).
 */
void	 disco_input(const uint8_t *, size_t, const struct addr *,
	    struct peer *, int64_t);
/* The list of own endpoints is fresh: CallMeMaybe that waited for it. */
void	 disco_endpoints(int64_t);
/* It is another one: peers without a path to us are told at once. */
void	 disco_endpoints_changed(int64_t);
int	 disco_key_answer(const struct msg_disco_key *);
void	 disco_set_key(const uint8_t *);	/* our own public key */
void	 disco_key_release(struct peer *);
void	 disco_ask_again(void);
/* Ping all candidates that are due; quick: for the first time. */
void	 disco_discover(struct peer *, int64_t);
/* What path.c has due for this peer. */
void	 disco_timer(struct peer *, int64_t);
/* Ping for an operator: 0, or -1 if there is nowhere to. */
int	 disco_ping_cli(struct peer *, int64_t);

/* Ping it there, a peer relay's place; the pong goes to relayc_pong(). */
void	 disco_ping_at(struct peer *, const struct addr *, int64_t);
/* Any other message to it, by its DERP relay: 0 or -1. */
struct disco_msg;
int	 disco_by_relay(struct peer *, const struct disco_msg *);

/* --- relaykey.c: control packets of peer relays (2.14) ------------------- */

/* The box key for this disco key: 1 it is there, 0 it has been asked for. */
int	 relay_key_want(const uint8_t *, int64_t);
/* 1: it was one of these. */
int	 relay_key_answer(const struct msg_disco_key *);
void	 relay_key_forget(void);	/* our own has changed */
/*
 * Seal a bind message with its Geneve header: (buffer, room, disco key of the
 * other side, message); the length, or -1. Open one without that header: 0,
 * or -1 for anything else.
 */
ssize_t	 relay_seal(uint8_t *, size_t, const uint8_t *,
	    const struct disco_msg *);
int	 relay_open(const uint8_t *, size_t, struct disco_msg *);

/* --- relayc.c: peer relays as their client ------------------------------- */

/* Look for a relay to the peer if there is none, or it is time. */
void	 relayc_search(struct peer *, int64_t);
/* A relay gave us a place; a peer calls us to one. */
void	 relayc_answer(struct peer *, const struct disco_msg *, int64_t);
void	 relayc_called(struct peer *, const struct disco_msg *, int64_t);
/* Control packet: (disco packet, length, source with VNI, now). */
void	 relayc_control(const uint8_t *, size_t, const struct addr *, int64_t);
/* A box key has come. */
void	 relayc_key(const uint8_t *, int64_t);
/* The peer pinged us there, or answered: 1: that path is in use now. */
void	 relayc_pinged(struct peer *, const struct addr *, int64_t);
int	 relayc_pong(struct peer *, const struct path_ping *, int64_t,
	    int64_t);
void	 relayc_forget(const struct peer *);

/* --- relays.c: a peer relay for others ----------------------------------- */

/* Its sockets from the parent; stop closes them. */
void	 relays_set(int, const struct msg_udp *);
void	 relays_stop(void);
/* A peer asks for a place. */
void	 relays_asked(struct peer *, const struct disco_msg *, int64_t);
void	 relays_debug(void (*)(uint32_t, const char *, ...), uint32_t);

/* --- ping.c: CTL_PING, TSMP, ICMP ---------------------------------------- */

/* For whoever is at the other end of the channel: parent or ctrld. */
int	 ping_start(struct chan *, uint32_t, const struct msg_ctl_ping *);
/* A pong of disco for the operator: (peer, address, latency). */
void	 ping_disco_pong(struct peer *, const struct addr *, int64_t);
/*
 * A packet from a peer, before the filter: 1 if it was for netd itself
 * (TSMP, an echo reply to our own ping).
 */
int	 ping_input(struct peer *, const uint8_t *, size_t,
	    const struct pkt *);
/* Tell the peer that its TCP connection is not let in. */
void	 tsmp_reject(struct peer *, const uint8_t *, const struct pkt *, int,
	    int64_t);
/* Advertise our disco key inside a new session. */
void	 tsmp_advertise(struct peer *, int64_t);

/* --- tx.c: from the TUN device to UDP ------------------------------------ */

#define TX_OWN_MAX	2048		/* longest packet of our own */

/* Sealed datagrams for a relay. */
struct handed {
	STAILQ_ENTRY(handed) h_entry;
	uint64_t	 h_peer;
	size_t		 h_len;
	size_t		 h_size;	/* of each but the last */
	size_t		 h_skip;	/* header of a peer relay in front */
	unsigned int	 h_n;
	uint16_t	 h_region;	/* 0: any that leads to the peer */
	uint8_t		 h_data[];
};
STAILQ_HEAD(handed_head, handed);

enum tx_drop {
	TXD_NO_ROUTE,
	TXD_MALFORMED,
	TXD_FILTER,
	TXD_STAGED,		/* waited in vain, or too many did */
	TXD_NO_PATH,
	TXD_SEND,
	TXD_SEAL,
	TXD_SIZE,		/* larger than the path carries */
	TXD_QUEUE,		/* the wire is slower: too much waits */
	TXD_MAX
};

struct tx_stats {
	uint64_t	 s_batches;	/* from the TUN device */
	uint64_t	 s_reads;	/* packets from there */
	uint64_t	 s_bytes;
	uint64_t	 s_segs;
	uint64_t	 s_calls;	/* of the system, to send */
	uint64_t	 s_sends;	/* messages: datagrams of one size */
	uint64_t	 s_sent;	/* datagrams */
	uint64_t	 s_blocked;
	uint64_t	 s_seals;	/* calls of the cipher */
	uint64_t	 s_drop[TXD_MAX];
};

/*
 * TUN is readable: one batch. What waits elsewhere comes next, then more of
 * this: several at once would make both directions wait for each other.
 */
void	 tx_wakeup(struct tx *);
void	 tx_unblock(void);		/* UDP takes packets again */
/*
 * Send what waited for a session: 1 if something went. What a full socket
 * keeps back goes later.
 */
int	 tx_flush_staged(struct peer *, int64_t);
/* The same, but for what that makes wanted: peer_wanted() calls it. */
int	 tx_flush(struct peer *, int64_t);
/* A WireGuard message up to that size, as it is. 0, or -1 with errno. */
int	 tx_wg(struct peer *, const struct path_to *, const uint8_t *, size_t);
/*
 * One IP packet of our own, up to TX_OWN_MAX bytes, if there is a session;
 * length 0 is a keepalive. 0, or -1.
 */
int	 tx_own(struct peer *, const uint8_t *, size_t, int64_t);
/* A packet of our own that may wait for a session. */
void	 tx_own_or_stage(struct peer *, const uint8_t *, size_t, int64_t);
/* Count a drop. */
void	 tx_drop(enum tx_drop, unsigned int);
const char *tx_drop_name(enum tx_drop);
/* Counters of all that sends. */
void	 tx_stats(struct tx_stats *);

/* --- rx.c: from UDP to the TUN device ------------------------------------ */

#define RX_MSGS		32		/* of one recvmmsg, at most */
#define RX_MSGS_LARGE	4		/* where GRO joins: as the cache has */
#define RX_SMALL	4096		/* bytes of a message, on average */
#define RX_BUF		65536
#define RX_BUF_PLAIN	8192		/* without GRO */

enum rx_drop {
	RXD_UNKNOWN,		/* nothing we know */
	RXD_INDEX,
	RXD_EXPIRED,
	RXD_AUTH,
	RXD_REPLAY,
	RXD_INNER,
	RXD_SOURCE,
	RXD_FILTER,
	RXD_HANDSHAKE,
	RXD_LOAD,
	RXD_ECN,
	RXD_TUN,
	RXD_MAX
};

/* A transport message that waits to be opened with others. */
struct rx_item {
	struct keypair	*ri_keypair;
	struct addr	 ri_src;
	uint32_t	 ri_index;	/* is the session still there? */
	uint8_t		 ri_ecn;
};

struct rx_stats {
	uint64_t	 s_calls;	/* of the system, to receive */
	uint64_t	 s_recvs;	/* messages */
	uint64_t	 s_opens;	/* calls of the cipher */
	uint64_t	 s_datagrams;
	uint64_t	 s_bytes;
	uint64_t	 s_writes;
	uint64_t	 s_segs;
	uint64_t	 s_drop[RXD_MAX];
	uint64_t	 s_verdict[FILTER_VERDICTS];
};

/* All that one thread needs which carries packets this way. */
struct rx {
	uint8_t		 r_buf[RX_MSGS][RX_BUF];	/* seldom all of it */
	int		 r_ask;		/* messages to ask for, 0: unknown */
	struct wg_item	 r_wg[WG_BATCH];
	struct rx_item	 r_item[WG_BATCH];
	size_t		 r_n;		/* of them */
	struct iovec	 r_pass[WG_BATCH];	/* packets let in */
	size_t		 r_npass;
	struct coal	 r_coal;
	struct rx_stats	 r_stats;
	struct peer	*r_peer;	/* whose packets come at the moment */
	struct pkt	 r_passed;	/* last of a batch; p_src NULL: none */
	struct peer	*r_passer;	/* and whose it was */
	struct peer	*r_via;		/* sender as a relay says, or NULL */
	struct addr	 r_src;		/* and from where */
	uint64_t	 r_bytes;
	int64_t		 r_now;
	int64_t		 r_busy;	/* without a pause since then */
	int64_t		 r_done;	/* end of the last batch */
	int		 r_data;	/* more than keepalives */
	uint8_t		 r_ecn;		/* of the message being read */
};

void	 rx_init(struct rx *, unsigned int);
struct udp_sock;
/* It is readable: one batch, as tx_wakeup(). */
void	 rx_wakeup(struct rx *, struct udp_sock *);
/*
 * A packet came by a DERP relay: (its region, node key of the sender, packet,
 * length, now). Its memory must stay until rx_flush(), at the end of a
 * batch.
 */
void	 rx_relayed(struct rx *, uint16_t, const uint8_t *, uint8_t *,
	    size_t, int64_t);
void	 rx_flush(struct rx *);
/*
 * One datagram: (bytes, which are changed and must stay until rx_open() has
 * been called; length; source).
 */
void	 rx_datagram(struct rx *, uint8_t *, size_t, const struct addr *);
/* Open and deliver what waits for it. */
void	 rx_open(struct rx *);
/* Book what was received so far to the peers. */
void	 rx_account(struct rx *);
const char *rx_drop_name(enum rx_drop);

/* --- udp.c --------------------------------------------------------------- */

struct udp_sock {
	struct event	 u_ev;
	struct event	 u_ev_write;
	int		 u_fd;		/* -1: none */
	uint16_t	 u_port;
	uint8_t		 u_af;
	uint8_t		 u_gso;
	uint8_t		 u_gro;
	uint8_t		 u_sock;	/* as in struct addr */
	int64_t		 u_rebind;	/* last asked for, 0: never */
};

/* One message of the kernel: a datagram, or several of one source. */
struct udp_in {
	uint8_t		*i_buf;
	size_t		 i_len;
	size_t		 i_seg;		/* length of each but the last */
	struct addr	 i_src;
	uint8_t		 i_ecn;
};

void	 udp_init(void);
/* Take over a socket from the parent: (fd, what it is). */
void	 udp_set(int, const struct msg_udp *);
/* The configuration may have forbidden offloads: set them again. */
void	 udp_offloads(struct udp_sock *);
struct udp_sock *udp_sock(uint8_t);
/* One datagram: 0, or -1 with errno. */
int	 udp_send(const struct addr *, const void *, size_t);
/* The socket of this family does not work: ask for another, at times. */
void	 udp_rebind(uint8_t, int64_t);
/* Call tx_unblock() when the socket for this address takes packets. */
void	 udp_wait_writable(const struct addr *);
/*
 * Read messages into the arena, up to RX_MSGS, many if they are small. How
 * many, or -1; r_ask is how many it asks for the next time.
 */
int	 udp_recv(struct udp_sock *, struct rx *, struct udp_in *);

/* --- tun.c --------------------------------------------------------------- */

struct tun {
	struct event	 t_ev;
	int		 t_fd;		/* -1: none */
	uint32_t	 t_caps;	/* TUN_* */
	uint32_t	 t_mtu;
	char		 t_name[16];
};

void	 tun_init(void);
void	 tun_set(int, const struct msg_tun *);
/*
 * A packet of at most so many bytes, with VNET_HDR_LEN bytes of room before
 * it: its length, or -1 with errno.
 */
ssize_t	 tun_read(struct vnet_hdr *, uint8_t *, size_t);
/* 0, or -1 with errno. */
int	 tun_write(const struct iovec *, int);
void	 tun_pause(int);		/* 1: do not read */
void	 tun_fault(int64_t);		/* it cannot be read, errno */
unsigned int tun_coal_caps(void);

/* --- netmap.c: what ctrld tells ------------------------------------------ */

/* A message NM_*: 0, or -1 if it is bad. */
int	 netmap_message(struct imsg *);
/* What the last change cost: peers named in it, ns from its first message. */
struct netmap_last {
	int64_t		 nl_took;
	unsigned int	 nl_peers;
	int		 nl_full;
};
const struct netmap_last *netmap_last(void);
void	 netmap_abort(void);	/* ctrld is gone: forget half a change */
/* Own address of that family, or NULL. */
const struct msg_ip *self_addr(uint8_t);
/* The configuration changed: make the filter anew. */
void	 netmap_filter(void);
/* Does anyone relay for us? */
int	 netmap_any_relay(void);
/* Has the peer that part in peer relaying, RELAY_*? */
int	 netmap_relay(const struct peer *, unsigned int);
/* A peer told us its disco key inside the tunnel. */
void	 netmap_band_disco(struct peer *, const uint8_t *);

/* --- ask.c: names of dnsd, connected sockets of the parent --------------- */

/*
 * Answers: (argument, MSG_OK or enum msg_error, addresses, how many); and
 * (argument, error, errno or 0, descriptor or -1; it is the callee's). The
 * callee may ask again, and may cancel.
 */
typedef void (*ask_resolved)(void *, uint32_t, const struct msg_ip *,
	    uint32_t);
typedef void (*ask_connected)(void *, uint32_t, int, int);

/*
 * Ask: an id for ask_cancel(), never 0; 0 of ask_resolve(): there is no
 * dnsd, ask later. Names only: a literal address is ip_parse()'s. Always
 * answered in the end, after 10 s at most. Purpose: CONN_DERP, CONN_PROBE.
 */
uint32_t ask_resolve(const char *, ask_resolved, void *);
uint32_t ask_connect(const struct msg_endpoint *, uint32_t, ask_connected,
	    void *);
/* No answer is wanted any more. An unknown id is fine. */
void	 ask_cancel(uint32_t);
/* RESOLVED, CONNECTED: 0, or -1 if it is bad. */
int	 ask_message(struct imsg *);
/* dnsd is a new one: what was asked of the old fails with MSG_E_IO. */
void	 ask_dnsd_new(void);

/* --- derpmap.c: the relays that there are (dataplane.md 3.6) ------------- */

struct derp_region {
	struct msg_nm_derp_region dr;
	struct msg_nm_derp_node	*dr_node;	/* in order of priority */
	uint32_t		 dr_nnodes;
};

struct derp_map {
	struct derp_region	*dm_region;	/* sorted by id */
	uint32_t		 dm_nregions;
};

/*
 * A message NM_DERP_*: (map in the making, made by NM_DERP_BEGIN; message).
 * 0, or -1 if it is bad.
 */
int	 derpmap_message(struct derp_map **, struct imsg *);
void	 derpmap_free(struct derp_map *);
/* Put a whole one in force; what is there already is freed. Tells derp.c. */
void	 derpmap_commit(struct derp_map *);
/* The map in force; never NULL, maybe without regions. */
const struct derp_map *derpmap_now(void);
/* A region of it, or NULL. */
const struct derp_region *derpmap_region(uint16_t);
const struct derp_region *derpmap_lookup(const struct derp_map *, uint16_t);
/* "home", or "derp-900" if it has no code; a static buffer. */
const char *derpmap_name(uint16_t);
/* Are both the same but for their scores? NULL is no region. */
int	 derpmap_same(const struct derp_region *, const struct derp_region *);
/* May it be a home: measured, and with a node that relays? */
int	 derpmap_may_home(const struct derp_region *);

/* --- netd_derp.c: packets by relays (dataplane.md 2.6, 3.4) -------------- */

/*
 * Send a packet (disco or WireGuard, up to DERP_PACKET_MAX bytes, copied) to
 * the node with that key by a relay of that region. A connection is made if
 * there is none: packets wait for it, bounded in bytes and time; what is too
 * much drops the oldest, disco last. 0: queued; -1 with errno ENOENT (there
 * is no such region), ENOBUFS (this one was dropped), EMSGSIZE.
 */
int	 derp_send(uint16_t, const uint8_t *, const void *, size_t);
/*
 * The home region: kept connected. 0: none. Whoever chooses it tells ctrld
 * by NETINFO; derp.c does not.
 */
void	 derp_set_home(uint16_t);
uint16_t derp_home(void);
/* Is a connection to that region logged in? */
int	 derp_connected(uint16_t);
/*
 * Where to send to the peer with this key and this home region: an open
 * connection to its home, else to where it was heard, else its home. Home
 * may be 0: then 0 if it was not heard anywhere.
 */
uint16_t derp_route(const uint8_t *, uint16_t);
/* os_now() of the last frame of that region, 0: none, or not connected. */
int64_t	 derp_last_frame(uint16_t);
/* How many connections are logged in. */
unsigned int derp_count(void);
/* The DERP map in force has changed from this one. */
void	 derp_map_changed(const struct derp_map *);
/* Own node key is known or has changed: log in anew. */
void	 derp_keys(const uint8_t *);
/* DERP_SEALED, DERP_OPENED of cryptod: 0, or -1 if it is bad. */
int	 derp_cryptod_answer(struct imsg *);
/* cryptod was replaced; the network has changed; the end. */
void	 derp_cryptod_new(void);
void	 derp_link_changed(void);
void	 derp_exit(void);
/* Connections, line by line: (what takes a line, its argument). */
void	 derp_debug(void (*)(uint32_t, const char *), uint32_t);
/*
 * Upcalls. A packet came: (region, its sender's node key, packet, length,
 * now). Its memory is writable, and stays until derp_input_done().
 */
void	 derp_input(uint16_t, const uint8_t *, uint8_t *, size_t, int64_t);
void	 derp_input_done(void);
/* The relay says that this node is not (any more) there: DERP_GONE_*. */
void	 derp_peer_gone(uint16_t, const uint8_t *, uint8_t);

/* --- rules.c: the packet filter, as it is told --------------------------- */

struct rule {
	struct msg_nm_rule r_rule;
	struct msg_range *r_src;
	struct msg_portrange *r_dst;
	struct msg_nm_cap *r_cap;
	uint32_t	 r_nsrc;
	uint32_t	 r_ndst;
	uint32_t	 r_ncap;
};

struct rules {
	struct rule	*rs_rule;
	struct msg_range *rs_relay[2];	/* RELAY_*, less 1 */
	uint32_t	 rs_nrelay[2];
	uint32_t	 rs_n;
	uint32_t	 rs_size;
};

struct rules *rules_new(void);
void	 rules_free(struct rules *);
/* A message NM_FILTER_*: 0, or -1 if it is bad. */
int	 rules_message(struct rules *, struct imsg *);
/* Has that address (family, bytes) that part in peer relaying, RELAY_*? */
int	 rules_relay(const struct rules *, unsigned int, uint8_t,
	    const uint8_t *);
/*
 * Compile: (rules or NULL, shields up, own addresses, routes served, how
 * many). Never NULL: what cannot be compiled is a filter that drops all.
 */
struct filter *rules_filter(const struct rules *, int,
	    const struct msg_nm_self *, const struct msg_prefix *, size_t);

/* --- endpoints.c: where we can be reached (2.8) -------------------------- */

int	 endpoints_message(struct imsg *);
/* The list as it is now, up to so many; returns how many. */
size_t	 endpoints_get(struct msg_endpoint *, size_t);
/* Is this one of the host's addresses? Its port does not matter. */
int	 endpoints_local(const struct addr *);
/* Who measures anew (STUN) when asked, by endpoints_refresh(). */
void	 endpoints_refresher(void (*)(int64_t));
void	 endpoints_refresh(int64_t);
/* That has been done: the list is fresh for 27 s. */
void	 endpoints_measured(int64_t);
/* Is it young enough to tell peers of it (2.5)? */
int	 endpoints_fresh(int64_t);
/* A path has died: our NAT may have moved us, the list is not fresh. */
void	 endpoints_doubt(int64_t);
/* Ports or addresses changed: tell ctrld if the list differs. */
void	 endpoints_update(int);
void	 endpoints_init(void);
/* Attributes of this node changed: SELF_* that differ from before. */
void	 endpoints_attrs(uint32_t);
/* A netmap has come: it tells whether there are relays to ask. */
void	 endpoints_netmap(void);
/* Families that the host has addresses of: NC_HAVE4, NC_HAVE6. */
unsigned int endpoints_families(void);
#define NC_HAVE4	0x01
#define NC_HAVE6	0x02
/* Pure: choose from addresses, with the ports; returns how many. */
size_t	 endpoints_choose(const struct msg_localaddr *, size_t, uint16_t,
	    uint16_t, struct msg_endpoint *, size_t);

/* --- netcheck.c, nctell.c: what the network is like (2.9, 4) ------------- */

#define NC_FACTS_MAX	16

/* What the last run found out about our own addresses. */
struct nc_facts {
	struct addr	 f_addr[NC_FACTS_MAX];	/* the best of a family first */
	size_t		 f_n;
	int64_t		 f_time;	/* 0: nothing is known */
	int8_t		 f_varies;	/* -1 unknown, 0 no, 1 yes */
};

void	 netcheck_init(void);
const struct nc_facts *netcheck_facts(void);
/* A run is wanted, soon; full: of all regions. Runs never overlap. */
void	 netcheck_kick(int);
/* Is one under way, or about to be? */
int	 netcheck_running(void);
/* A STUN message came: (datagram, length, source, now). */
void	 netcheck_stun(const uint8_t *, size_t, const struct addr *, int64_t);
/* Packets came from the TUN device: an idle node asks nobody. */
void	 netcheck_active(int64_t);
/* A change of the netmap was committed. */
void	 netcheck_netmap(void);
void	 netcheck_map_changed(void);	/* the DERP map is another one */
/* The host's addresses changed; 1: a major change (2.7). */
void	 netcheck_link_changed(int);
/* ctrld was replaced. */
void	 netcheck_ctrld_new(void);
/* CTRL_ONLINE: 0, or -1 if it is bad. */
int	 netcheck_online_message(struct imsg *);
/* Rows of CTL_HEALTH: what is not well with the network. */
void	 netcheck_health(uint32_t);
/* An operator asks for a report. 0, or -1 if the question is bad. */
int	 netcheck_ctl(uint32_t, const struct msg_ctl_netcheck *);

/* --- ctl.c: what operators ask ------------------------------------------- */

int	 ctl_status(uint32_t);
int	 ctl_debug(uint32_t, const struct msg_str64 *);

/* --- portmap.c: the port that the gateway maps to ours (dataplane.md 5) --- */

/* PORTMAP of the parent. 0, or -1 if bad. */
int	 portmap_message(struct imsg *);
/* The mapped endpoint, type 3, into this array of so many. 0 or 1. */
size_t	 portmap_endpoint(struct msg_endpoint *, size_t);
/*
 * What is known now: ep.af != 0 if a port is mapped; pmp, pcp and upnp are
 * PORTMAP_UNKNOWN (no private gateway, or not asked yet), _NO or _YES.
 */
const struct msg_portmap *portmap_state(void);
/*
 * Have the gateway probed again, at most once a minute; one that has mapped
 * a port, if it still knows. What is new comes by portmap_message, some 300
 * ms later, or 3 s if it is slow.
 */
void	 portmap_probe(void);

/* --- netd.c -------------------------------------------------------------- */

struct netd {
	struct chan	 n_cryptod;
	struct chan	 n_ctrld;
	struct chan	 n_dnsd;
	struct msg_conf_netd n_conf;
	struct tun	 n_tun;
	struct udp_sock	 n_udp[2];	/* IPv4, IPv6 */
	struct idx_table n_idx;
	struct heap	 n_heap;
	struct routes	*n_routes;
	struct filter	*n_filter;
	struct filter	*n_jail;	/* shields up: for jailed peers */
	struct filter_flows *n_flows;
	struct filter_flows *n_jail_flows;
	struct tx	*n_tx;		/* from the TUN device */
	struct tx	*n_own;		/* what waited, relays */
	struct wanted_head n_wanted;
	struct handed_head n_handed;
	size_t		 n_handed_bytes;
	unsigned int	 n_chores;	/* CHORE_* */
	int		 n_fault;	/* errno of the TUN device */
	int64_t		 n_active;	/* netcheck was told, last */
	struct rx	*n_rx;
	struct msg_nm_self n_self;
	struct msg_portmap n_portmap;
	uint8_t		 n_key[MSG_KEY_LEN];	/* own node key */
	uint8_t		 n_disco[MSG_KEY_LEN];
	const char	*n_cipher;	/* multi-packet way, or "none" */
	size_t		 n_staged;	/* bytes, all peers */
	int		 n_have_key;
};
extern struct netd	 nd;

#endif /* NETD_H */
