/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Control session handshakes: cryptod's side with the pin of the server's
 * key, and the server's with replayed initiations.
 */

/* link: ../../cryptod/noiseop.c ../../cryptod/state.c */
/* link: ../../coordd/cryptod/srvnoise.c ../../coordd/cryptod/srvstate.c */

#include <sys/types.h>

#include <err.h>
#include <stdlib.h>
#include <string.h>

#include "../../coordd/cryptod/coordcrypt.h"
#include "../../cryptod/cryptod.h"
#include "keys.h"
#include "statefile.h"

#define SEC	1000000000LL
#define URL	"https://c.example"

static struct state	 state;
static struct srvstate	 server, other;
static struct srvseen	 seen;
static struct noiseop	*ops;
static int64_t		 now = 5000 * SEC;
static uint8_t		 last_random;

static const uint8_t *
randomly(void)
{
	static uint8_t	 r[KEY_LEN];

	memset(r, ++last_random, sizeof(r));
	r[9] = 99;
	return r;
}

static void
want(const char *what, uint32_t got, uint32_t error)
{
	if (got != error)
		errx(1, "%s: error %u, not %u", what, got, error);
}

static uint32_t
start(uint32_t id, const char *url, const struct srvstate *ss,
    struct msg_srv_noise_in *in)
{
	struct msg_noise_start	 ms;

	memset(&ms, 0, sizeof(ms));
	memset(in, 0, sizeof(*in));
	(void)strlcpy(ms.url, url, sizeof(ms.url));
	key_public(ss->ss_server, ms.server);
	ms.version = 145;
	return noiseop_start(ops, &state, id, &ms, now, randomly(), in->msg);
}

static uint32_t
answer(const struct srvstate *ss, const struct msg_srv_noise_in *in,
    struct msg_srv_noise_out *out)
{
	srvnoise_answer(ss, &seen, randomly(), in, out);
	return out->error;
}

static uint32_t
finish(uint32_t id, const struct msg_srv_noise_out *out,
    struct msg_noise_keys *mk, struct state_pin *pin)
{
	struct msg_noise_msg2	 m2;

	memset(&m2, 0, sizeof(m2));
	memset(mk, 0, sizeof(*mk));
	memcpy(m2.msg, out->msg, sizeof(m2.msg));
	return noiseop_finish(ops, &state, id, &m2, now, mk, pin);
}

static void
test_handshake(void)
{
	struct msg_srv_noise_in	 in;
	struct msg_srv_noise_out out, again;
	struct msg_noise_keys	 mk;
	struct state_pin	 pin;
	uint8_t			 machine[KEY_LEN];

	want("start", start(1, URL, &server, &in), MSG_OK);
	want("answer", answer(&server, &in, &out), MSG_OK);
	key_public(state.st_machine, machine);
	if (memcmp(out.machine, machine, KEY_LEN) != 0 || out.version != 145)
		errx(1, "who it is");
	want("other id", finish(2, &out, &mk, &pin), MSG_E_STALE);
	want("finish", finish(1, &out, &mk, &pin), MSG_OK);
	if (memcmp(mk.tx, out.rx, KEY_LEN) != 0 ||
	    memcmp(mk.rx, out.tx, KEY_LEN) != 0)
		errx(1, "keys differ");
	if (strcmp(pin.sp_url, URL) != 0)
		errx(1, "pin for %s", pin.sp_url);
	want("twice", finish(1, &out, &mk, &pin), MSG_E_STALE);
	if (!key_is_zero(mk.tx, KEY_LEN))
		errx(1, "keys with an error");

	want("replayed", answer(&server, &in, &again), MSG_E_REPLAY);
	if (!key_is_zero(again.tx, KEY_LEN) ||
	    !key_is_zero(again.machine, KEY_LEN))
		errx(1, "keys for a replay");
	in.msg[60] ^= 1;
	want("changed", answer(&server, &in, &again), MSG_E_REPLAY);
	in.msg[7] ^= 1;
	want("changed", answer(&server, &in, &again), MSG_E_CRYPTO);
	in.msg[2] = 4;
	want("other type", answer(&server, &in, &again), MSG_E_BAD);
}

/* A pin is for good, and for its URL; any outcome ends a handshake. */
static void
test_pin(void)
{
	struct msg_srv_noise_in	 in, in2;
	struct msg_srv_noise_out out, out2;
	struct msg_noise_keys	 mk;
	struct state_pin	 pin;

	/* Two at once with different keys: the first to end is pinned. */
	want("start", start(1, URL, &server, &in), MSG_OK);
	want("start", start(2, URL, &other, &in2), MSG_OK);
	want("answer", answer(&server, &in, &out), MSG_OK);
	want("answer", answer(&other, &in2, &out2), MSG_OK);
	want("finish", finish(1, &out, &mk, &pin), MSG_OK);
	if (state_pin_set(&state, pin.sp_url, pin.sp_key) == -1)
		err(1, "pin");
	want("other key", finish(2, &out2, &mk, &pin), MSG_E_PIN);
	want("other key", start(3, URL, &other, &in), MSG_E_PIN);
	want("other URL", start(3, "https://d", &other, &in), MSG_OK);
	want("pinned", start(4, URL, &server, &in), MSG_OK);
	want("answer of another", answer(&other, &in, &out), MSG_E_CRYPTO);
	want("no answer", finish(4, &out, &mk, &pin), MSG_E_CRYPTO);
	want("once", finish(4, &out, &mk, &pin), MSG_E_STALE);
	state_pin_clear(&state);
	want("cleared", start(5, URL, &other, &in), MSG_OK);
	noiseop_clear(ops);
}

static void
test_bounds(void)
{
	struct msg_srv_noise_in	 in[NOISEOP_MAX + 1];
	struct msg_srv_noise_out out;
	struct msg_noise_keys	 mk;
	struct state_pin	 pin;
	struct state		 keyless;
	uint32_t		 i;

	for (i = 0; i <= NOISEOP_MAX; i++) {
		want("start", start(i, URL, &server, &in[i]), MSG_OK);
		now += SEC;
	}
	want("answer", answer(&server, &in[0], &out), MSG_OK);
	want("the oldest gave way", finish(0, &out, &mk, &pin), MSG_E_STALE);
	want("answer", answer(&server, &in[1], &out), MSG_OK);
	want("the next is there", finish(1, &out, &mk, &pin), MSG_OK);
	want("answer", answer(&server, &in[2], &out), MSG_OK);
	noiseop_cancel(ops, 2);
	want("cancelled", finish(2, &out, &mk, &pin), MSG_E_STALE);
	want("answer", answer(&server, &in[3], &out), MSG_OK);
	now += 1000 * SEC;
	want("too late", finish(3, &out, &mk, &pin), MSG_E_TIMEOUT);

	memset(&keyless, 0, sizeof(keyless));
	want("no URL", start(9, "", &server, &in[0]), MSG_E_BAD);
	keyless = state;
	memset(state.st_machine, 0, KEY_LEN);
	want("no key", start(9, URL, &server, &in[0]), MSG_E_NOKEY);
	state = keyless;
}

/* The server's state file: there, back, and each cut and changed bit. */
static void
test_srvstate(void)
{
	struct statefile_error	 error;
	struct srvstate		 back;
	char			 text[SRVSTATE_TEXT_MAX];
	char			 copy[SRVSTATE_TEXT_MAX];
	ssize_t			 i, len;

	if ((len = srvstate_render(&server, text, sizeof(text))) == -1)
		err(1, "render");
	memcpy(copy, text, len);
	if (srvstate_parse(&back, copy, len, &error) == -1)
		errx(1, "line %u: %s", error.se_line, error.se_why);
	if (memcmp(&back, &server, sizeof(back)) != 0)
		errx(1, "server key differs");
	for (i = 0; i < len; i++) {
		memcpy(copy, text, len);
		if (srvstate_parse(&back, copy, i, &error) == 0)
			errx(1, "cut to %zd bytes: accepted", i);
		memcpy(copy, text, len);
		copy[i] ^= 4;
		if (srvstate_parse(&back, copy, len, &error) == 0)
			errx(1, "byte %zd changed: accepted", i);
		if (!key_is_zero(back.ss_server, KEY_LEN))
			errx(1, "byte %zd changed: something was read", i);
	}
}

int
main(void)
{
	if ((ops = calloc(1, noiseop_size())) == NULL)
		err(1, NULL);
	memset(state.st_machine, 0x41, KEY_LEN);
	memset(server.ss_server, 0x43, KEY_LEN);
	memset(other.ss_server, 0x45, KEY_LEN);
	test_handshake();
	test_pin();
	test_bounds();
	test_srvstate();
	free(ops);
	return 0;
}
