/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The node's key process: answers operations with the node's private keys,
 * and never gives one out.
 */

#include <sys/types.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "channel.h"
#include "cryptod.h"
#include "dh.h"
#include "keeper.h"
#include "keys.h"
#include "log.h"
#include "os.h"
#include "proc.h"
#include "rate.h"

#define NSEC_PER_SEC	1000000000LL
#define STACK_WIPE	16384	/* deeper than any operation goes */
#define WAITING_MAX	16
#define STAMP_STEP	(1LL << 24)	/* ns: timestamps are no finer */

/* Box keys: what a netmap of thousands asks for at once, then a trickle. */
#define DISCO_GAP	(NSEC_PER_SEC / 500)
#define DISCO_BURST	12000
/* Logins to relays: a tailnet's peers have many homes, all known at once. */
#define DERP_GAP	(NSEC_PER_SEC / 4)
#define DERP_BURST	64

/* Secret memory. */
static struct state	*state;
static struct noiseop	*noise;
static void		*wgmem;

static struct wgop	*wg;
static struct keeper	 keeper;
static struct chan	 chan_netd, chan_ctrld;
static struct rate	 disco_rate = { DISCO_GAP, DISCO_BURST, 0 };
static struct rate	 derp_rate = { DERP_GAP, DERP_BURST, 0 };
static struct derpop	 derp;
static struct log_limit	 netd_limit;
static struct msg_wg_init_in batch[WGOP_BATCH];	/* of netd, to be answered */
static uint32_t		 batch_id[WGOP_BATCH];
static size_t		 nbatch;
static struct event	 ev_batch;
static int64_t		 stamp_told;	/* to the parent */

/*
 * Keys are told once they are on disk: lost with the disk's cache, they
 * would leave a node behind that nobody can be any more.
 */
static uint64_t		 pending_gen;	/* change with st_pending; 0: saved */
static uint32_t		 waiting[WAITING_MAX];	/* for it: ids of ctrld */
static unsigned int	 nwaiting;

static int	cryptod_parent_msg(struct imsg *);
static int	cryptod_channel(enum proc, int, int);
static void	cryptod_exit(void);
static int	netd_msg(struct chan *, struct imsg *);
static int	ctrld_msg(struct chan *, struct imsg *);

static const struct proc_self	 self = {
	.ps_proc = PROC_CRYPTOD,
	.ps_parent = PROC_PARENT,
	.ps_name = "cryptod",
	.ps_user = CRYPTOD_USER,
	.ps_msg = cryptod_parent_msg,
	.ps_channel = cryptod_channel,
	.ps_exit = cryptod_exit
};
static const struct chan_cb	 netd_cb = { netd_msg, proc_sibling_lost };
static const struct chan_cb	 ctrld_cb = { ctrld_msg, proc_sibling_lost };

/* What libraries do at first use; and the memory, while still root. */
static void
cryptod_warmup(void)
{
	if (sodium_init() == -1)
		fatalx("sodium_init");
	(void)dh_init(NULL);
	state = os_secret_alloc(sizeof(*state));
	noise = os_secret_alloc(noiseop_size());
	wgmem = os_secret_alloc(wgop_secret_size());
	keeper.k_size = STATE_TEXT_MAX;
	keeper.k_buf = os_secret_alloc(keeper.k_size);
	if (state == NULL || noise == NULL || wgmem == NULL ||
	    keeper.k_buf == NULL)
		fatal("locked memory for keys");
}

static void
cryptod_exit(void)
{
	wgop_free(wg);
	os_secret_free(keeper.k_buf, keeper.k_size);
	os_secret_free(wgmem, wgop_secret_size());
	os_secret_free(noise, noiseop_size());
	os_secret_free(state, sizeof(*state));
}

/* --- public keys --- */

static void
public_of(const uint8_t *private, uint8_t *public)
{
	if (!key_is_zero(private, KEY_LEN))
		key_public(private, public);
}

static void
keys_send(struct chan *c, uint32_t id)
{
	struct msg_keys	 mk;

	if (!keeper.k_published || !c->c_open)
		return;
	memset(&mk, 0, sizeof(mk));
	public_of(state->st_machine, mk.machine);
	public_of(state->st_node, mk.node);
	if (pending_gen == 0)
		public_of(state->st_pending, mk.pending);
	public_of(state->st_disco, mk.disco);
	memcpy(mk.nl, state->st_nl + KEY_LEN, sizeof(mk.nl));
	(void)chan_compose(c, IMSG_KEYS, id, -1, &mk, sizeof(mk));
}

/* To all; the answer to ctrld's request of that id, if there is one. */
static void
keys_changed(uint32_t id)
{
	keys_send(proc_parent(), 0);
	keys_send(&chan_netd, 0);
	keys_send(&chan_ctrld, id);
}

/* The node key is another, or gone. */
static void
nodekey_changed(void)
{
	uint8_t	 public[KEY_LEN];

	derpop_clear(&derp);
	if (key_is_zero(state->st_node, KEY_LEN)) {
		wgop_set_key(wg, NULL, NULL);
		return;
	}
	key_public(state->st_node, public);
	wgop_set_key(wg, state->st_node, public);
}

static void
cryptod_publish(void)
{
	nodekey_changed();
	keys_changed(0);
}

/* --- state file --- */

static void
key_make(uint8_t *key)
{
	arc4random_buf(key, KEY_LEN);
	key_clamp(key);
}

/* Make what is missing or of an earlier run; 1 if there was any. */
static int
state_complete(void)
{
	uint8_t	 seed[KEY_LEN];
	int	 changed = 0;

	if (key_is_zero(state->st_machine, KEY_LEN)) {
		key_make(state->st_machine);
		changed = 1;
	}
	if (key_is_zero(state->st_nl, sizeof(state->st_nl))) {
		arc4random_buf(seed, sizeof(seed));
		key_nl_generate(seed, state->st_nl);
		explicit_bzero(seed, sizeof(seed));
		changed = 1;
	}
	if (state->st_run != proc_hello()->run ||
	    key_is_zero(state->st_disco, KEY_LEN)) {
		key_make(state->st_disco);
		state->st_run = proc_hello()->run;
		changed = 1;
	}
	return changed;
}

static int
state_fd(struct imsg *imsg)
{
	enum keeper_fd	 what;
	unsigned int	 i;

	what = keeper_load(&keeper, imsg);
	if (what == KEEPER_BAD || what == KEEPER_FAILED)
		return what == KEEPER_BAD ? -1 : 0;
	if (state_complete())
		(void)keeper_change(&keeper);
	if (what == KEEPER_NONE)
		return 0;	/* published when these keys are on disk */
	for (i = 0; i < state->st_nprefs; i++)
		(void)chan_compose(proc_parent(), IMSG_STATE_PREF, 0, -1,
		    &state->st_pref[i], sizeof(state->st_pref[i]));
	keeper_publish(&keeper);
	return 0;
}

static int
cryptod_parse(char *buf, size_t len, struct statefile_error *error)
{
	return state_parse(state, buf, len, error);
}

static ssize_t
cryptod_render(char *buf, size_t size)
{
	return state_render(state, buf, size);
}

/* Answer those who wait for a pending key that is saved, or not to be had. */
static void
cryptod_ended(int error)
{
	unsigned int	 i;

	if (pending_gen == 0 || pending_gen > keeper.k_writing)
		return;
	pending_gen = 0;
	if (error != 0)
		explicit_bzero(state->st_pending, KEY_LEN);
	keys_changed(nwaiting > 0 ? waiting[0] : 0);
	for (i = 1; i < nwaiting; i++)
		keys_send(&chan_ctrld, waiting[i]);
	nwaiting = 0;
}

static int
state_set(struct imsg *imsg)
{
	struct msg_pref	 mp;
	int		 n;

	if (msg_get(imsg, &mp, sizeof(mp)) == -1 ||
	    !msg_str_ok(mp.name, sizeof(mp.name)) ||
	    !msg_str_ok(mp.value, sizeof(mp.value)))
		return -1;
	if ((n = state_pref_set(state, mp.name, mp.value)) == -1)
		log_warn("preference %s", mp.name);
	else if (n == 1)
		(void)keeper_change(&keeper);
	return 0;
}

/* --- from the parent --- */

static void
debug_text(uint32_t id, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void
debug_text(uint32_t id, const char *fmt, ...)
{
	va_list	 ap;
	char	 line[MSG_TEXT_LEN];

	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	(void)chan_compose(proc_parent(), IMSG_CTL_TEXT, id, -1, line,
	    strlen(line) + 1);
}

static int
cryptod_debug(uint32_t id)
{
	struct wgop_stats	 ws;

	wgop_stats(wg, &ws);
	debug_text(id, "cryptod: peers %zu, timestamps of former peers %zu",
	    ws.ws_peers, ws.ws_gone);
	debug_text(id, "cryptod: handshakes begun %llu, completed %llu, "
	    "answered %llu, refused %llu, under way %zu",
	    (unsigned long long)ws.ws_initiated,
	    (unsigned long long)ws.ws_completed,
	    (unsigned long long)ws.ws_answered,
	    (unsigned long long)ws.ws_refused, ws.ws_slots);
	debug_text(id, "cryptod: state %s", keeper.k_saved == keeper.k_gen ?
	    "saved" : "not saved yet");
	(void)chan_compose(proc_parent(), IMSG_CTL_END, id, -1, NULL, 0);
	return 0;
}

static int
cryptod_reconf_ready(void)
{
	struct msg_u32	 m = { 0 };

	return chan_compose(proc_parent(), IMSG_RECONF_READY, 0, -1, &m,
	    sizeof(m));
}

/* The clock's offset is known with HELLO, which comes first. */
static void
wg_make(void)
{
	const struct msg_hello	*mh = proc_hello();

	if (wg != NULL)
		return;
	stamp_told = mh->start_date - mh->start_time;
	if ((wg = wgop_new(wgmem, stamp_told)) == NULL)
		fatal(NULL);
}

static int
cryptod_parent_msg(struct imsg *imsg)
{
	wg_make();
	switch (imsg_get_type(imsg)) {
	case IMSG_STATE_FD:
		return state_fd(imsg);
	case IMSG_STATE_NEWFD:
	case IMSG_STATE_SAVED:
		return keeper_msg(&keeper, imsg);
	case IMSG_STATE_SET:
		return state_set(imsg);
	case IMSG_PIN_CLEAR:
		state_pin_clear(state);
		(void)keeper_change(&keeper);
		return 0;
	case IMSG_RECONF_END:
		return cryptod_reconf_ready();
	case IMSG_RECONF_START:
	case IMSG_RECONF_COMMIT:
	case IMSG_RECONF_ABORT:
		return 0;	/* there is nothing to configure */
	case IMSG_CTL_DEBUG:
		return cryptod_debug(imsg_get_id(imsg));
	default:
		return -1;
	}
}

static int
cryptod_channel(enum proc proc, int fd, int fresh)
{
	wg_make();
	switch (proc) {
	case PROC_NETD:
		nbatch = 0;
		if (fresh)
			wgop_reset(wg);
		chan_open(&chan_netd, fd, PROC_CRYPTOD, PROC_NETD, &netd_cb,
		    NULL);
		keys_send(&chan_netd, 0);
		return 0;
	case PROC_CTRLD:
		noiseop_clear(noise);
		nwaiting = 0;
		chan_open(&chan_ctrld, fd, PROC_CRYPTOD, PROC_CTRLD,
		    &ctrld_cb, NULL);
		keys_send(&chan_ctrld, 0);
		return 0;
	default:
		return -1;
	}
}

/* --- from ctrld --- */

static int
nodekey_new(uint32_t id)
{
	if (nwaiting == WAITING_MAX)
		return -1;
	key_make(state->st_pending);
	waiting[nwaiting++] = id;
	pending_gen = keeper_change(&keeper);
	return 0;
}

/*
 * The server has taken a key: whether the state can be written or not, it is
 * the node's from now on (as the pending one it is on disk already).
 */
static int
nodekey_accept(struct imsg *imsg)
{
	struct msg_key	 mk;
	uint8_t		 public[KEY_LEN] = { 0 };

	if (msg_get(imsg, &mk, sizeof(mk)) == -1)
		return -1;
	public_of(state->st_pending, public);
	if (!key_is_zero(mk.key, KEY_LEN) && pending_gen == 0 &&
	    memcmp(mk.key, public, KEY_LEN) == 0) {
		memcpy(state->st_node, state->st_pending, KEY_LEN);
		explicit_bzero(state->st_pending, KEY_LEN);
		nodekey_changed();
		(void)keeper_change(&keeper);
	} else {
		memset(public, 0, sizeof(public));
		public_of(state->st_node, public);
		if (memcmp(mk.key, public, KEY_LEN) != 0)
			log_warnx("accepted node key is not a pending one");
	}
	keys_changed(imsg_get_id(imsg));
	return 0;
}

static int
nodekey_forget(uint32_t id)
{
	explicit_bzero(state->st_node, KEY_LEN);
	explicit_bzero(state->st_pending, KEY_LEN);
	nodekey_changed();
	(void)keeper_change(&keeper);
	keys_changed(id);
	return 0;
}

static int
noise_start(struct imsg *imsg)
{
	struct msg_noise_start	 ms;
	struct msg_noise_msg1	 m1;
	uint8_t			 random[KEY_LEN];
	uint32_t		 id = imsg_get_id(imsg);

	if (msg_get(imsg, &ms, sizeof(ms)) == -1 ||
	    !msg_str_ok(ms.url, sizeof(ms.url)))
		return -1;
	memset(&m1, 0, sizeof(m1));
	arc4random_buf(random, sizeof(random));
	m1.error = !keeper.k_published ? MSG_E_NOKEY : noiseop_start(noise,
	    state, id, &ms, os_now(), random, m1.msg);
	explicit_bzero(random, sizeof(random));
	if (m1.error == MSG_E_PIN)
		log_warnx("%s: the server's key is not the pinned one: "
		    "`shoalctl login --new-server-key` accepts it", ms.url);
	(void)chan_compose(&chan_ctrld, IMSG_NOISE_MSG1, id, -1, &m1,
	    sizeof(m1));
	return 0;
}

/* Trust on first use: the server has shown that it holds that key. */
static void
pin_first(const struct state_pin *pin)
{
	if (state_pin_get(state, pin->sp_url) != NULL)
		return;
	if (state_pin_set(state, pin->sp_url, pin->sp_key) == -1) {
		log_warn("pin of the server's key");
		return;
	}
	if (strncmp(pin->sp_url, "https://", 8) != 0)
		log_warnx("%s: the server's key came without TLS and is "
		    "trusted from now on", pin->sp_url);
	(void)keeper_change(&keeper);
}

static int
noise_msg2(struct imsg *imsg)
{
	struct msg_noise_msg2	 m2;
	struct msg_noise_keys	 mk;
	struct state_pin	 pin;
	uint32_t		 id = imsg_get_id(imsg);

	if (msg_get(imsg, &m2, sizeof(m2)) == -1)
		return -1;
	memset(&mk, 0, sizeof(mk));
	mk.error = noiseop_finish(noise, state, id, &m2, os_now(), &mk, &pin);
	if (mk.error == MSG_OK)
		pin_first(&pin);
	(void)chan_compose(&chan_ctrld, IMSG_NOISE_KEYS, id, -1, &mk,
	    sizeof(mk));
	explicit_bzero(&mk, sizeof(mk));
	return 0;
}

static int
ctrld_dispatch(struct imsg *imsg)
{
	uint32_t	 id = imsg_get_id(imsg);

	switch (imsg_get_type(imsg)) {
	case IMSG_NODEKEY_NEW:
		return nodekey_new(id);
	case IMSG_NODEKEY_ACCEPT:
		return nodekey_accept(imsg);
	case IMSG_NODEKEY_FORGET:
		return nodekey_forget(id);
	case IMSG_NOISE_START:
		return noise_start(imsg);
	case IMSG_NOISE_MSG2:
		return noise_msg2(imsg);
	case IMSG_NOISE_CANCEL:
		noiseop_cancel(noise, id);
		return 0;
	default:
		return -1;
	}
}

static int
ctrld_msg(struct chan *c, struct imsg *imsg)
{
	int	 ret;

	ret = ctrld_dispatch(imsg);
	sodium_stackzero(STACK_WIPE);
	return ret;
}

/* --- from netd --- */

static int
wg_peer(struct imsg *imsg)
{
	struct msg_wg_peer	 mp;
	uint32_t		 error;

	if (msg_get(imsg, &mp, sizeof(mp)) == -1)
		return -1;
	error = wgop_peer(wg, &mp);
	if (error != MSG_OK && log_limit(&netd_limit, os_now(), 5, 60))
		log_warnx("peer %llu refused: %s",
		    (unsigned long long)mp.peer, msg_strerror(error));
	return 0;
}

/* The date went ahead of the clock: a replaced cryptod must know. */
static void
stamp_tell(void)
{
	struct msg_stamp_date	 m = { wgop_ahead(wg) };

	if (m.ahead - stamp_told < STAMP_STEP)
		return;
	stamp_told = m.ahead;
	(void)chan_compose(proc_parent(), IMSG_STAMP_DATE, 0, -1, &m,
	    sizeof(m));
}

static int
wg_init_req(struct imsg *imsg)
{
	struct msg_wg_init_req	 req;
	struct msg_wg_init	 mi;
	uint8_t			 random[KEY_LEN];

	if (msg_get(imsg, &req, sizeof(req)) == -1)
		return -1;
	arc4random_buf(random, sizeof(random));
	wgop_initiate(wg, os_now(), os_date(), random, &req, &mi);
	explicit_bzero(random, sizeof(random));
	stamp_tell();
	(void)chan_compose(&chan_netd, IMSG_WG_INIT, imsg_get_id(imsg), -1,
	    &mi, sizeof(mi));
	return 0;
}

/* Answer those that came in this wake-up; nothing else goes before them. */
static void
batch_answer(void)
{
	struct msg_wg_resp	 mr[WGOP_BATCH];
	uint8_t			 random[WGOP_BATCH][KEY_LEN];
	size_t			 i, n = nbatch;

	if (n == 0)
		return;
	nbatch = 0;
	arc4random_buf(random, n * sizeof(random[0]));
	wgop_initiations(wg, os_now(), random, batch, mr, n);
	for (i = 0; i < n; i++)
		(void)chan_compose(&chan_netd, IMSG_WG_RESP, batch_id[i], -1,
		    &mr[i], sizeof(mr[i]));
	explicit_bzero(random, n * sizeof(random[0]));
	explicit_bzero(mr, n * sizeof(mr[0]));
	sodium_stackzero(STACK_WIPE);
}

static void
batch_cb(int fd, short events, void *arg)
{
	batch_answer();
}

static int
wg_init_in(struct imsg *imsg)
{
	struct timeval	 now = { 0, 0 };

	if (msg_get(imsg, &batch[nbatch], sizeof(batch[0])) == -1)
		return -1;
	batch_id[nbatch] = imsg_get_id(imsg);
	if (nbatch++ == 0)
		evtimer_add(&ev_batch, &now);
	if (nbatch == WGOP_BATCH)
		batch_answer();
	return 0;
}

static int
wg_resp_in(struct imsg *imsg)
{
	struct msg_wg_resp_in	 in;
	struct msg_wg_keys	 mk;

	if (msg_get(imsg, &in, sizeof(in)) == -1)
		return -1;
	wgop_response(wg, os_now(), &in, &mk);
	(void)chan_compose(&chan_netd, IMSG_WG_KEYS, imsg_get_id(imsg), -1,
	    &mk, sizeof(mk));
	explicit_bzero(&mk, sizeof(mk));
	return 0;
}

static int
wg_cancel(struct imsg *imsg)
{
	struct msg_u32	 m;

	if (msg_get(imsg, &m, sizeof(m)) == -1)
		return -1;
	wgop_cancel(wg, m.v);
	return 0;
}

/* The result is one way, so any key may be asked for; but not endlessly. */
static int
disco_key_req(struct imsg *imsg)
{
	struct msg_disco_key	 md;
	struct msg_key		 mk;

	if (msg_get(imsg, &mk, sizeof(mk)) == -1)
		return -1;
	memset(&md, 0, sizeof(md));
	memcpy(md.pub, mk.key, sizeof(md.pub));
	if (!keeper.k_published)
		md.error = MSG_E_NOKEY;
	else if (!rate_take(&disco_rate, os_now()))
		md.error = MSG_E_RATE;
	else if (key_box_precompute(state->st_disco, mk.key, md.shared) == -1)
		md.error = MSG_E_CRYPTO;
	(void)chan_compose(&chan_netd, IMSG_DISCO_KEY, imsg_get_id(imsg), -1,
	    &md, sizeof(md));
	explicit_bzero(&md, sizeof(md));
	return 0;
}

static int
derp_login_req(struct imsg *imsg)
{
	static const uint8_t	 none[KEY_LEN];
	const uint8_t		*node;
	struct msg_derp_sealed	 sealed;
	struct msg_derp_opened	 opened;
	struct msg_derp_open	 in;
	struct msg_key		 server;
	uint8_t			 nonce[KEY_BOX_NONCE_LEN];
	uint32_t		 id = imsg_get_id(imsg);

	node = keeper.k_published ? state->st_node : none;
	if (imsg_get_type(imsg) == IMSG_DERP_OPEN) {
		if (msg_get(imsg, &in, sizeof(in)) == -1 ||
		    derpop_open(&derp, node, &in, os_now(), &opened) ==
		    MSG_E_BAD)
			return -1;
		(void)chan_compose(&chan_netd, IMSG_DERP_OPENED, id, -1,
		    &opened, sizeof(opened));
		return 0;
	}
	if (msg_get(imsg, &server, sizeof(server)) == -1)
		return -1;
	arc4random_buf(nonce, sizeof(nonce));
	if (rate_take(&derp_rate, os_now()))
		(void)derpop_seal(&derp, node, server.key, os_now(), nonce,
		    &sealed);
	else {
		memset(&sealed, 0, sizeof(sealed));
		memcpy(sealed.server, server.key, sizeof(sealed.server));
		sealed.error = MSG_E_RATE;
	}
	(void)chan_compose(&chan_netd, IMSG_DERP_SEALED, id, -1, &sealed,
	    sizeof(sealed));
	return 0;
}

static int
netd_dispatch(struct imsg *imsg)
{
	if (imsg_get_type(imsg) != IMSG_WG_INIT_IN)
		batch_answer();
	switch (imsg_get_type(imsg)) {
	case IMSG_WG_PEER:
		return wg_peer(imsg);
	case IMSG_WG_INIT_REQ:
		return wg_init_req(imsg);
	case IMSG_WG_INIT_IN:
		return wg_init_in(imsg);
	case IMSG_WG_RESP_IN:
		return wg_resp_in(imsg);
	case IMSG_WG_CANCEL:
		return wg_cancel(imsg);
	case IMSG_DISCO_KEY_REQ:
		return disco_key_req(imsg);
	case IMSG_DERP_SEAL:
	case IMSG_DERP_OPEN:
		return derp_login_req(imsg);
	default:
		return -1;
	}
}

static int
netd_msg(struct chan *c, struct imsg *imsg)
{
	int	 ret;

	ret = netd_dispatch(imsg);
	sodium_stackzero(STACK_WIPE);
	return ret;
}

int
main(int argc, char *argv[])
{
	proc_child_init(&self, cryptod_warmup, argc, argv);
	keeper.k_parent = proc_parent();
	keeper.k_parse = cryptod_parse;
	keeper.k_render = cryptod_render;
	keeper.k_publish = cryptod_publish;
	keeper.k_ended = cryptod_ended;
	keeper_init(&keeper);
	evtimer_set(&ev_batch, batch_cb, NULL);
	proc_child_run();
}
