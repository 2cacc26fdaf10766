/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The relay's key process: opens logins with its DERP key, signs for TLS, and
 * never gives a key out.
 */

#include <sys/types.h>

#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "channel.h"
#include "derpcrypt.h"
#include "keeper.h"
#include "derp.h"
#include "keys.h"
#include "log.h"
#include "os.h"
#include "ossl.h"
#include "proc.h"
#include "rate.h"
#include "tlskey.h"

#define NSEC_PER_SEC	1000000000LL
#define STACK_WIPE	8192	/* deeper than any operation goes */

/* Logins and signatures: all nodes come back at once after a restart. */
#define WORK_GAP	(NSEC_PER_SEC / 4000)
#define WORK_BURST	20000
#define META_DAYS	7	/* then a new one */

static struct derpstate	*state;		/* secret memory */
static struct meshkeys	*meshkeys;	/* secret memory */
static struct keeper	 keeper;
static struct chan	 chan_relay;
static struct rate	 work_rate = { WORK_GAP, WORK_BURST, 0 };
static struct event	 ev_meta;
static struct msg_conf_relay conf;
static int		 mesh_bad;	/* of the new configuration */

static int	derpcrypt_msg(struct imsg *);
static int	derpcrypt_channel(enum proc, int, int);
static void	derpcrypt_exit(void);
static int	relay_msg(struct chan *, struct imsg *);

static const struct proc_self	 self = {
	.ps_proc = PROC_DERPCRYPT,
	.ps_parent = PROC_DERPD,
	.ps_name = "cryptod",
	.ps_user = DERPCRYPT_USER,
	.ps_msg = derpcrypt_msg,
	.ps_channel = derpcrypt_channel,
	.ps_exit = derpcrypt_exit
};
static const struct chan_cb	 relay_cb = { relay_msg, proc_sibling_lost };

/* What libraries do at first use; and the memory, while still root. */
static void
derpcrypt_warmup(void)
{
	ossl_start();
	if (sodium_init() == -1)
		fatalx("sodium_init");
	keeper.k_size = DERPSTATE_TEXT_MAX;
	keeper.k_buf = os_secret_alloc(keeper.k_size);
	state = os_secret_alloc(sizeof(*state));
	meshkeys = os_secret_alloc(sizeof(*meshkeys));
	if (state == NULL || keeper.k_buf == NULL || meshkeys == NULL)
		fatal("locked memory for keys");
	mesh_init(meshkeys);
	derpcert_warmup();
}

static void
derpcrypt_exit(void)
{
	os_secret_free(keeper.k_buf, keeper.k_size);
	os_secret_free(state, sizeof(*state));
	os_secret_free(meshkeys, sizeof(*meshkeys));
}

static void
key_send(struct chan *c)
{
	struct msg_key	 mk;

	if (!keeper.k_published || !c->c_open)
		return;
	memset(&mk, 0, sizeof(mk));
	key_public(state->ds_derp, mk.key);
	(void)chan_compose(c, IMSG_SRV_KEY, 0, -1, &mk, sizeof(mk));
}

static void
cert_send(uint32_t kind, const uint8_t *cert, size_t len)
{
	struct msg_derp_cert	 m = { kind };

	if (chan_relay.c_open)
		(void)chan_compose2(&chan_relay, IMSG_DERP_CERT, 0, -1, &m,
		    sizeof(m), cert, len);
}

/* All that the relay needs; it is told anew when it was replaced. */
static void
relay_tell(void)
{
	uint8_t	 meta[1024], key[MSG_KEY_LEN];
	ssize_t	 len;

	if (!keeper.k_published)
		return;
	key_send(&chan_relay);
	if (conf.tls == RELAY_TLS_SELF)
		cert_send(DERP_CERT_TLS, state->ds_cert, state->ds_certlen);
	key_public(state->ds_derp, key);
	if ((len = derpcert_meta(key, os_date() / NSEC_PER_SEC, meta,
	    sizeof(meta))) != -1)
		cert_send(DERP_CERT_META, meta, len);
}

static void
meta_cb(int fd, short events, void *arg)
{
	struct timeval	 tv = { META_DAYS * 86400, 0 };

	relay_tell();
	(void)evtimer_add(&ev_meta, &tv);
}

static void
pin_send(void)
{
	struct msg_key	 m;

	if (conf.tls != RELAY_TLS_SELF)
		return;
	derpcert_hash(state->ds_cert, state->ds_certlen, m.key);
	(void)chan_compose(proc_parent(), IMSG_DERP_PIN, 0, -1, &m,
	    sizeof(m));
}

static void
derpcrypt_publish(void)
{
	pin_send();
	key_send(proc_parent());
	meta_cb(-1, 0, NULL);
}

/* The keys are there: is there a certificate for them too? */
static void
state_use(void)
{
	int	 changed = 0;

	if (conf.tls == RELAY_TLS_SELF)
		changed = derpcert_self(state, conf.hostname,
		    os_date() / NSEC_PER_SEC);
	if (changed == -1) {
		keeper_answer(&keeper, MSG_E_BAD, 1,
		    "no certificate can be made of it");
		return;
	}
	if (changed) {
		(void)keeper_change(&keeper);
		return;
	}
	keeper_publish(&keeper);
}

static void
state_make(void)
{
	arc4random_buf(state->ds_derp, sizeof(state->ds_derp));
	key_clamp(state->ds_derp);
	if (conf.tls == RELAY_TLS_SELF && derpcert_self(state, conf.hostname,
	    os_date() / NSEC_PER_SEC) == -1)
		fatalx("no certificate can be made");
	(void)keeper_change(&keeper);
}

static int
state_fd(struct imsg *imsg)
{
	switch (keeper_load(&keeper, imsg)) {
	case KEEPER_READ:
		state_use();
		return 0;
	case KEEPER_NONE:
		state_make();
		return 0;
	case KEEPER_FAILED:
		return 0;
	default:
		return -1;
	}
}

static int
derpcrypt_parse(char *buf, size_t len, struct statefile_error *error)
{
	return derpstate_parse(state, buf, len, error);
}

static ssize_t
derpcrypt_render(char *buf, size_t size)
{
	return derpstate_render(state, buf, size);
}

static int
conf_take(struct imsg *imsg)
{
	struct msg_conf_relay	 m;

	if (msg_get(imsg, &m, sizeof(m)) == -1 ||
	    !msg_str_ok(m.hostname, sizeof(m.hostname)))
		return -1;
	conf = m;	/* what could differ here needs a restart */
	return 0;
}

static int
derpcrypt_msg(struct imsg *imsg)
{
	struct msg_u32	 m = { 0 };
	int		 fd;

	switch (imsg_get_type(imsg)) {
	case IMSG_STATE_FD:
		return state_fd(imsg);
	case IMSG_STATE_NEWFD:
	case IMSG_STATE_SAVED:
		return keeper_msg(&keeper, imsg);
	case IMSG_CONF_RELAY:
		return conf_take(imsg);
	case IMSG_CERT_FD:
	case IMSG_TLSKEY_FD:
		return tlskey_msg(imsg);
	case IMSG_MESHKEY_FD:
		if ((fd = imsg_get_fd(imsg)) == -1)
			return -1;
		if (mesh_file(fd) == -1)
			mesh_bad = 1;
		return 0;
	case IMSG_RECONF_END:
		m.v = mesh_bad || !tlskey_complete() ? MSG_E_BAD : MSG_OK;
		return chan_compose(proc_parent(), IMSG_RECONF_READY, 0, -1,
		    &m, sizeof(m));
	case IMSG_RECONF_START:
		mesh_bad = 0;
		tlskey_abort();
		mesh_abort();
		return 0;
	case IMSG_RECONF_COMMIT:
		if (conf.tls == RELAY_TLS_FILE)
			tlskey_commit();
		mesh_commit();
		return 0;
	case IMSG_RECONF_ABORT:
		tlskey_abort();
		mesh_abort();
		return 0;
	default:
		return -1;
	}
}

static int
derpcrypt_channel(enum proc proc, int fd, int fresh)
{
	if (proc != PROC_RELAY)
		return -1;
	chan_open(&chan_relay, fd, PROC_DERPCRYPT, PROC_RELAY, &relay_cb,
	    NULL);
	relay_tell();
	return 0;
}

/* Open what a client sends, and seal the answer to it. */
static uint32_t
login_open(const struct msg_derp_login *in, struct msg_derp_login_ok *out)
{
	static const char	 info[] = "{\"version\":2}";
	uint8_t			 box[KEY_LEN], nonce[KEY_BOX_NONCE_LEN];
	uint32_t		 error = MSG_E_CRYPTO;

	if (key_box_precompute(state->ds_derp, in->key, box) == -1)
		return MSG_E_CRYPTO;
	if (key_box_open(box, in->box, in->len, out->info) == 0) {
		out->len = in->len - KEY_BOX_OVERHEAD;
		out->mesh = mesh_check(out->info, out->len);
		arc4random_buf(nonce, sizeof(nonce));
		key_box_seal(box, nonce, (const uint8_t *)info,
		    sizeof(info) - 1, out->box);
		out->boxlen = sizeof(info) - 1 + KEY_BOX_OVERHEAD;
		error = MSG_OK;
	}
	explicit_bzero(box, sizeof(box));
	return error;
}

static int
login_in(struct imsg *imsg)
{
	struct msg_derp_login	 in;
	struct msg_derp_login_ok out;

	if (msg_get(imsg, &in, sizeof(in)) == -1 ||
	    in.len > sizeof(in.box))
		return -1;
	memset(&out, 0, sizeof(out));
	if (!keeper.k_published)
		out.error = MSG_E_NOKEY;
	else if (!rate_take(&work_rate, os_now()))
		out.error = MSG_E_RATE;
	else
		out.error = login_open(&in, &out);
	(void)chan_compose(&chan_relay, IMSG_DERP_LOGIN_OK,
	    imsg_get_id(imsg), -1, &out, sizeof(out));
	explicit_bzero(&out, sizeof(out));
	return 0;
}

static int
mesh_in(struct imsg *imsg)
{
	struct msg_mesh_login	 out;
	struct msg_key		 in;

	if (msg_get(imsg, &in, sizeof(in)) == -1)
		return -1;
	memset(&out, 0, sizeof(out));
	out.error = MSG_E_RATE;
	if (rate_take(&work_rate, os_now()))
		mesh_login(state->ds_derp, in.key, &out);
	(void)chan_compose(&chan_relay, IMSG_MESH_LOGIN_OK,
	    imsg_get_id(imsg), -1, &out, sizeof(out));
	return 0;
}

static int
relay_msg(struct chan *c, struct imsg *imsg)
{
	int	 ret;

	switch (imsg_get_type(imsg)) {
	case IMSG_DERP_LOGIN:
		ret = login_in(imsg);
		break;
	case IMSG_TLS_SIGN:
		ret = tlskey_sign(&chan_relay, imsg, &work_rate);
		break;
	case IMSG_MESH_LOGIN:
		ret = mesh_in(imsg);
		break;
	default:
		return -1;
	}
	sodium_stackzero(STACK_WIPE);
	return ret;
}

int
main(int argc, char *argv[])
{
	proc_child_init(&self, derpcrypt_warmup, argc, argv);
	keeper.k_parent = proc_parent();
	keeper.k_parse = derpcrypt_parse;
	keeper.k_render = derpcrypt_render;
	keeper.k_publish = derpcrypt_publish;
	keeper_init(&keeper);
	evtimer_set(&ev_meta, meta_cb, NULL);
	proc_child_run();
}
