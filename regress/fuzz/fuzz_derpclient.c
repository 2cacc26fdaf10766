/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * netd's reader of what a relay says, after TLS: the HTTP answer, the login
 * and frames. The first byte tells in which state; however the bytes are
 * cut, the same packets must come out.
 */
/* link: ../../netd/derpconn.c ../../netd/derpframe.c */
/* link: ../../netd/derpqueue.c ../../netd/addr.c ../../netd/lock.c */
/* libs: -lssl */

#include <sys/types.h>

#include <stdlib.h>
#include <string.h>

#include "../../netd/derpconn.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
endpoints_local(const struct addr *a)
{
	return 1;
}

static uint64_t		 sum;	/* over what came out, in order */
static uint8_t		*low, *high;

static void
mix(const void *p, size_t len)
{
	const uint8_t	*b = p;

	while (len-- > 0)
		sum = (sum ^ *b++) * 1099511628211ULL;
}

static void
cb_seal(void *arg, const uint8_t *server)
{
	mix(server, MSG_KEY_LEN);
}

static void
cb_open(void *arg, const struct msg_derp_open *m)
{
	mix(m, sizeof(*m));
}

static void
cb_none(void *arg)
{
}

static void
cb_packet(void *arg, const uint8_t *key, uint8_t *pkt, size_t len,
    int64_t now)
{
	if (pkt < low || len > (size_t)(high - pkt) || len > DERP_PACKET_MAX)
		abort();
	mix(key, MSG_KEY_LEN);
	mix(pkt, len);
}

static void
cb_gone(void *arg, const uint8_t *key, uint8_t reason)
{
	mix(key, MSG_KEY_LEN);
	mix(&reason, 1);
}

static void
cb_restart(void *arg, uint32_t ms)
{
	mix(&ms, sizeof(ms));
}

static const struct derpconn_cb	 cb = {
	cb_seal, cb_open, cb_none, cb_none, cb_packet, cb_none, cb_gone,
	cb_restart
};

/* Hand it in, so many new bytes at a time. */
static uint64_t
run(uint8_t state, const uint8_t *data, size_t len, size_t step)
{
	static struct derp_queue disco, queue;
	struct derpconn		 c;
	uint8_t			*buf;
	size_t			 done, have = 0, n, off = 0;

	memset(&c, 0, sizeof(c));
	derpq_init(&disco, DERP_QUEUE_DISCO);
	derpq_init(&queue, DERP_QUEUE_DATA);
	derpq_init(&c.c_ctl, DERP_QUEUE_CTL);
	c.c_cb = &cb;
	c.c_disco = &disco;
	c.c_data = &queue;
	c.c_state = state % 3 == 0 ? DC_UPGRADE : state % 3 == 1 ?
	    DC_SERVERINFO : DC_UP;
	c.c_blocked = 1;
	event_set(&c.c_evr, -1, EV_READ, NULL, NULL);
	event_set(&c.c_evw, -1, EV_WRITE, NULL, NULL);
	evtimer_set(&c.c_again, NULL, NULL);
	if ((buf = malloc(len + 1)) == NULL)
		abort();
	sum = 14695981039346656037ULL;
	while (off < len && c.c_state != DC_FAILED && !c.c_paused) {
		n = len - off < step ? len - off : step;
		memcpy(buf + have, data + off, n);
		off += n;
		have += n;
		low = buf;
		high = buf + have;
		if ((done = derpconn_consume(&c, buf, have, 1)) > have)
			abort();
		have -= done;
		memmove(buf, buf + done, have);
	}
	if (c.c_ctl.dq_bytes > DERP_QUEUE_CTL)
		abort();
	mix(&c.c_state, sizeof(c.c_state));
	mix(c.c_health, strlen(c.c_health));
	(void)evtimer_del(&c.c_again);
	derpq_clear(&c.c_ctl);
	free(buf);
	return sum;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct event_base	*base;
	uint64_t			 whole;

	if (base == NULL)
		base = event_init();
	if (len < 1 || len > 200000)
		return 0;
	whole = run(data[0], data + 1, len - 1, len);
	if (run(data[0], data + 1, len - 1, 7) != whole)
		abort();
	return 0;
}
