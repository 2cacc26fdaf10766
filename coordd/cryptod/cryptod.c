/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The coordination server's key process: answers handshakes of clients with
 * the server's Noise key, and never gives that out.
 */

#include <sys/types.h>

#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "channel.h"
#include "coordcrypt.h"
#include "keeper.h"
#include "keys.h"
#include "log.h"
#include "os.h"
#include "ossl.h"
#include "proc.h"
#include "rate.h"
#include "tlskey.h"

#define NSEC_PER_SEC	1000000000LL
#define STACK_WIPE	8192	/* deeper than any operation goes */

/* Handshakes: all nodes come back at once after a restart. */
#define NOISE_GAP	(NSEC_PER_SEC / 1500)
#define NOISE_BURST	12000

/* Signatures for TLS: a flood of handshakes leaves time for the others. */
#define SIGN_GAP	(NSEC_PER_SEC / 2000)
#define SIGN_BURST	12000

static struct srvstate	*state;		/* secret memory */
static struct srvseen	*seen;
static struct keeper	 keeper;
static struct chan	 chan_frontd, chan_stored;
static struct rate	 noise_rate = { NOISE_GAP, NOISE_BURST, 0 };
static struct rate	 sign_rate = { SIGN_GAP, SIGN_BURST, 0 };
static struct log_limit	 noise_limit;

static int	coordcrypt_msg(struct imsg *);
static int	coordcrypt_channel(enum proc, int, int);
static void	coordcrypt_exit(void);
static int	frontd_msg(struct chan *, struct imsg *);
static int	stored_msg(struct chan *, struct imsg *);

static const struct proc_self	 self = {
	.ps_proc = PROC_COORDCRYPT,
	.ps_parent = PROC_COORDD,
	.ps_name = "cryptod",
	.ps_user = COORDCRYPT_USER,
	.ps_msg = coordcrypt_msg,
	.ps_channel = coordcrypt_channel,
	.ps_exit = coordcrypt_exit
};
static const struct chan_cb	 frontd_cb = { frontd_msg, proc_sibling_lost };
static const struct chan_cb	 stored_cb = { stored_msg, proc_sibling_lost };

/* What libraries do at first use; and the memory, while still root. */
static void
coordcrypt_warmup(void)
{
	uint8_t	 key[MSG_KEY_LEN];

	ossl_start();
	if (sodium_init() == -1)
		fatalx("sodium_init");
	tlskey_warmup();
	jwt_make_key(key);
	keeper.k_size = SRVSTATE_TEXT_MAX;
	keeper.k_buf = os_secret_alloc(keeper.k_size);
	state = os_secret_alloc(sizeof(*state));
	if (state == NULL || keeper.k_buf == NULL)
		fatal("locked memory for keys");
	if ((seen = calloc(1, sizeof(*seen))) == NULL)
		fatal(NULL);
	arc4random_buf(seen->sv_salt, sizeof(seen->sv_salt));
}

static void
coordcrypt_exit(void)
{
	os_secret_free(keeper.k_buf, keeper.k_size);
	os_secret_free(state, sizeof(*state));
}

static void
key_send(struct chan *c)
{
	struct msg_key	 mk;

	if (!keeper.k_published || !c->c_open)
		return;
	memset(&mk, 0, sizeof(mk));
	key_public(state->ss_server, mk.key);
	(void)chan_compose(c, IMSG_SRV_KEY, 0, -1, &mk, sizeof(mk));
}

/* What frontd tells to who wants to check an ID token. */
static void
jwt_send(void)
{
	struct msg_jwt_key	 m;

	memset(&m, 0, sizeof(m));
	if (keeper.k_published && chan_frontd.c_open &&
	    jwt_public(state->ss_jwt, m.point) == 0)
		(void)chan_compose(&chan_frontd, IMSG_JWT_KEY, 0, -1, &m,
		    sizeof(m));
}

static void
coordcrypt_publish(void)
{
	key_send(proc_parent());
	key_send(&chan_frontd);
	jwt_send();
}

static void
state_use(void)
{
	if (!key_is_zero(state->ss_jwt, sizeof(state->ss_jwt))) {
		keeper_publish(&keeper);
		return;
	}
	/* Of a time before there was one: LOADED when it is there. */
	jwt_make_key(state->ss_jwt);
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
		arc4random_buf(state->ss_server, sizeof(state->ss_server));
		key_clamp(state->ss_server);
		jwt_make_key(state->ss_jwt);
		(void)keeper_change(&keeper);
		return 0;
	case KEEPER_FAILED:
		return 0;
	default:
		return -1;
	}
}

static int
coordcrypt_parse(char *buf, size_t len, struct statefile_error *error)
{
	return srvstate_parse(state, buf, len, error);
}

static ssize_t
coordcrypt_render(char *buf, size_t size)
{
	return srvstate_render(state, buf, size);
}

static int
coordcrypt_msg(struct imsg *imsg)
{
	struct msg_u32	 m = { 0 };

	switch (imsg_get_type(imsg)) {
	case IMSG_CERT_FD:
	case IMSG_TLSKEY_FD:
		return tlskey_msg(imsg);
	case IMSG_STATE_FD:
		return state_fd(imsg);
	case IMSG_STATE_NEWFD:
	case IMSG_STATE_SAVED:
		return keeper_msg(&keeper, imsg);
	case IMSG_RECONF_END:
		m.v = tlskey_complete() ? MSG_OK : MSG_E_BAD;
		return chan_compose(proc_parent(), IMSG_RECONF_READY, 0, -1,
		    &m, sizeof(m));
	case IMSG_RECONF_START:
		tlskey_abort();
		return 0;
	case IMSG_RECONF_COMMIT:
		tlskey_commit();
		return 0;
	case IMSG_RECONF_ABORT:
		tlskey_abort();
		return 0;
	default:
		return -1;
	}
}

static int
coordcrypt_channel(enum proc proc, int fd, int fresh)
{
	if (proc == PROC_STORED) {
		chan_open(&chan_stored, fd, PROC_COORDCRYPT, PROC_STORED,
		    &stored_cb, NULL);
		return 0;
	}
	if (proc != PROC_FRONTD)
		return -1;
	chan_open(&chan_frontd, fd, PROC_COORDCRYPT, PROC_FRONTD, &frontd_cb,
	    NULL);
	key_send(&chan_frontd);
	jwt_send();
	return 0;
}

static void
noise_refused(uint32_t error)
{
	if (error != MSG_OK && log_limit(&noise_limit, os_now(), 10, 60))
		log_warnx("handshake of a client refused: %s",
		    msg_strerror(error));
}

static int
noise_in(struct imsg *imsg)
{
	struct msg_srv_noise_in	 in;
	struct msg_srv_noise_out out;
	uint8_t			 random[KEY_LEN];

	if (msg_get(imsg, &in, sizeof(in)) == -1)
		return -1;
	memset(&out, 0, sizeof(out));
	arc4random_buf(random, sizeof(random));
	if (!keeper.k_published)
		out.error = MSG_E_NOKEY;
	else if (!rate_take(&noise_rate, os_now()))
		out.error = MSG_E_RATE;
	else
		srvnoise_answer(state, seen, random, &in, &out);
	explicit_bzero(random, sizeof(random));
	noise_refused(out.error);
	(void)chan_compose(&chan_frontd, IMSG_SRV_NOISE_OUT,
	    imsg_get_id(imsg), -1, &out, sizeof(out));
	explicit_bzero(&out, sizeof(out));
	return 0;
}

static int
jwt_in(struct imsg *imsg)
{
	static char	 claims[JWT_CLAIMS_MAX], token[MSG_CHUNK_MAX];

	if (msg_get_str(imsg, claims, sizeof(claims)) == -1)
		return -1;
	if (!keeper.k_published || !rate_take(&sign_rate, os_now()) ||
	    jwt_sign(state->ss_jwt, claims, token, sizeof(token)) == -1)
		token[0] = '\0';
	return chan_compose(&chan_stored, IMSG_JWT_SIGNED, imsg_get_id(imsg),
	    -1, token, strlen(token) + 1);
}

static int
stored_msg(struct chan *c, struct imsg *imsg)
{
	int	 ret;

	if (imsg_get_type(imsg) != IMSG_JWT_SIGN)
		return -1;
	ret = jwt_in(imsg);
	sodium_stackzero(STACK_WIPE);
	return ret;
}

static int
frontd_msg(struct chan *c, struct imsg *imsg)
{
	int	 ret;

	switch (imsg_get_type(imsg)) {
	case IMSG_SRV_NOISE_IN:
		ret = noise_in(imsg);
		break;
	case IMSG_TLS_SIGN:
		ret = tlskey_sign(&chan_frontd, imsg, &sign_rate);
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
	proc_child_init(&self, coordcrypt_warmup, argc, argv);
	keeper.k_parent = proc_parent();
	keeper.k_parse = coordcrypt_parse;
	keeper.k_render = coordcrypt_render;
	keeper.k_publish = coordcrypt_publish;
	keeper_init(&keeper);
	proc_child_run();
}
