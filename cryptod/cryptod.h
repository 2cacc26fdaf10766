/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The node's key process: what its parts share, one section for each file.
 */

#ifndef CRYPTOD_H
#define CRYPTOD_H

#include <sys/types.h>
#include <sys/queue.h>
#include <sys/tree.h>

#include <stddef.h>
#include <stdint.h>

#include "messages.h"

#define CRYPTOD_USER	"_shoalcrypt"

/* --- state.c: what the state file holds --- */

#define STATE_PINS	8
#define STATE_PREFS	48
#define STATE_TEXT_MAX	49152
#define STATE_NL_LEN	64

struct state_pin {
	char		 sp_url[MSG_NAME_LEN];
	uint8_t		 sp_key[MSG_KEY_LEN];
};

/* Private keys that are all zero are not there.  In secret memory. */
struct state {
	uint64_t	 st_run;	/* of which st_disco is */
	uint8_t		 st_machine[MSG_KEY_LEN];
	uint8_t		 st_node[MSG_KEY_LEN];
	uint8_t		 st_pending[MSG_KEY_LEN];
	uint8_t		 st_disco[MSG_KEY_LEN];
	uint8_t		 st_nl[STATE_NL_LEN];	/* seed, public key */
	unsigned int	 st_npins;
	unsigned int	 st_nprefs;
	struct state_pin st_pin[STATE_PINS];
	struct msg_pref	 st_pref[STATE_PREFS];
};

/*
 * Read a state file's text of that length (it is written to).  0, or -1 and
 * the line and what is wrong with it; the state is then zero.
 */
struct statefile_error;
int	 state_parse(struct state *, char *, size_t, struct statefile_error *);
/* The reverse: length of the text, or -1 with errno. */
ssize_t	 state_render(const struct state *, char *, size_t);

/*
 * The server's pinned key for a control URL, or NULL.  Set: 0, or -1 with
 * errno EEXIST (pinned to another), ENOSPC (STATE_PINS of them), EINVAL.
 */
const uint8_t *state_pin_get(const struct state *, const char *);
int	 state_pin_set(struct state *, const char *,
	    const uint8_t [MSG_KEY_LEN]);
void	 state_pin_clear(struct state *);

/*
 * Set a preference; an empty value takes it away.  1 if that changed
 * anything, 0 if not, -1 with errno EINVAL (characters) or ENOSPC.
 */
int	 state_pref_set(struct state *, const char *, const char *);

/* --- noiseop.c: handshakes with the control server --- */

#define NOISEOP_MAX	32		/* at a time: ways that race */
#define NOISEOP_AGE	120		/* seconds that one may take */

struct noiseop;			/* NOISEOP_MAX of them, in secret memory */
size_t	 noiseop_size(void);

/*
 * Begin: memory, the state, id of the request, what is asked, os_now(), 32
 * fresh random bytes; the initiation.  enum msg_error.  Where all are in use
 * the oldest gives way; the same id again begins anew.
 */
uint32_t noiseop_start(struct noiseop *, const struct state *, uint32_t,
	    const struct msg_noise_start *, int64_t, const uint8_t *,
	    uint8_t *);
/*
 * End: the server's message; keys.  On MSG_OK the server has proven itself,
 * and *pin is what to pin (copied out).  Over with either outcome.
 */
uint32_t noiseop_finish(struct noiseop *, const struct state *, uint32_t,
	    const struct msg_noise_msg2 *, int64_t, struct msg_noise_keys *,
	    struct state_pin *);
void	 noiseop_cancel(struct noiseop *, uint32_t);
void	 noiseop_clear(struct noiseop *);

/* --- derpop.c: logins to relays --- */

#define DERPOP_LOGINS	16		/* answers that may come */
#define DERPOP_AGE	30		/* seconds until one has come */

struct derpop_login {
	uint8_t		 dl_server[MSG_KEY_LEN];
	int64_t		 dl_until;	/* 0: none */
};

struct derpop {
	struct derpop_login d_login[DERPOP_LOGINS];
};

/*
 * Seal the login: private node key (zero: none yet), the relay's public key,
 * os_now(), a fresh nonce of 24 bytes; the answer, filled on error too.
 */
uint32_t derpop_seal(struct derpop *, const uint8_t *, const uint8_t *,
	    int64_t, const uint8_t *, struct msg_derp_sealed *);
/*
 * Open the relay's answer, once for each login.  MSG_E_STALE: there was no
 * login to it.
 */
uint32_t derpop_open(struct derpop *, const uint8_t *,
	    const struct msg_derp_open *, int64_t, struct msg_derp_opened *);
void	 derpop_clear(struct derpop *);	/* the node key is another */

/* --- wgop.c: WireGuard handshakes --- */

#define WGOP_SLOTS	512		/* outstanding initiations */
#define WGOP_PEERS	65536
#define WGOP_GONE	4096		/* removed peers still remembered */
#define WGOP_SHARED	1024		/* keys shared with peers, kept */
#define WGOP_BATCH	16		/* initiations answered at once */

struct wgop;

/*
 * Make one: secret memory of wgop_secret_size() bytes for handshakes under
 * way (the caller's), and the offset from os_now() to the date below which
 * timestamps never fall.  NULL with errno.
 */
size_t	 wgop_secret_size(void);
struct wgop *wgop_new(void *, int64_t);
void	 wgop_free(struct wgop *);

/* The node key: private, public; NULL: none.  Ends what was under way. */
void	 wgop_set_key(struct wgop *, const uint8_t *, const uint8_t *);

/* Add, change, remove a peer.  enum msg_error; MSG_E_RATE: too many. */
uint32_t wgop_peer(struct wgop *, const struct msg_wg_peer *);
/* A new netd: forget the peers, but for their timestamps. */
void	 wgop_reset(struct wgop *);

/*
 * The operations: os_now(), os_date(), 32 fresh random bytes where a key is
 * made; what came and the answer, which they fill, error included.
 */
void	 wgop_initiate(struct wgop *, int64_t, int64_t, const uint8_t *,
	    const struct msg_wg_init_req *, struct msg_wg_init *);
void	 wgop_initiation(struct wgop *, int64_t, const uint8_t *,
	    const struct msg_wg_init_in *, struct msg_wg_resp *);
/* Up to WGOP_BATCH, in the order in which they came; random of each. */
void	 wgop_initiations(struct wgop *, int64_t, const uint8_t (*)[32],
	    const struct msg_wg_init_in *, struct msg_wg_resp *, size_t);
void	 wgop_response(struct wgop *, int64_t, const struct msg_wg_resp_in *,
	    struct msg_wg_keys *);
void	 wgop_cancel(struct wgop *, uint32_t);

/* From os_now() to the date that timestamps have reached; it only grows. */
int64_t	 wgop_ahead(const struct wgop *);

struct wgop_stats {
	size_t		 ws_peers;
	size_t		 ws_gone;
	size_t		 ws_slots;	/* in use */
	uint64_t	 ws_initiated;
	uint64_t	 ws_answered;
	uint64_t	 ws_completed;
	uint64_t	 ws_refused;
};
void	 wgop_stats(const struct wgop *, struct wgop_stats *);

#endif
