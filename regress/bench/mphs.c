/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Handshakes of many peers: as many as a node answers, and how long an
 * honest one takes while others are forged.
 */

#include <sys/types.h>
#include <sys/endian.h>
#include <sys/wait.h>

#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "keys.h"
#include "manypeers.h"

#define LOST_AFTER	(500 * MSEC)	/* without any answer */
#define COOKIE_AGE	(110 * NSEC)
#define STAMP_GAP	(20 * MSEC)	/* timestamps of one peer */
#define VERIFY_EACH	16		/* others are matched by index only */
#define FORGED		4096		/* different ones, by turns */
#define FLOOD_TICK	MSEC

static struct {
	uint32_t	 s_sent, s_answered, s_verified, s_bad;
	uint32_t	 s_cookies, s_lost;
} st;

static uint64_t
date_ns(void)
{
	struct timespec	 ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

/* The index says which one it is: an answer finds it without a search. */
struct prepared *
prepare(uint32_t n)
{
	struct prepared	*pr, *p;
	struct mpeer	*mp;
	uint8_t		 random[WG_KEY_LEN], ts[WG_TIMESTAMP_LEN];
	uint64_t	 date = date_ns();
	uint32_t	 i;

	if ((pr = calloc(n, sizeof(*pr))) == NULL)
		err(1, NULL);
	for (i = 0; i < n; i++) {
		p = &pr[i];
		p->pr_peer = i % npeers;
		mp = &peers[p->pr_peer];
		arc4random_buf(random, sizeof(random));
		wg_tai64n(date + i / npeers * (uint64_t)STAMP_GAP, ts);
		if (wg_initiation_create(&p->pr_hs, mp->p_private,
		    mp->p_public, target.t_public, random, ts, i,
		    p->pr_msg) == -1 ||
		    wg_mac_append(p->pr_msg, WG_INITIATION_LEN,
		    target.t_mac1_key, NULL) == -1)
			err(1, "initiation");
	}
	return pr;
}

static void
init_add(struct batch *b, struct prepared *p, int64_t now)
{
	struct mpeer	*mp = &peers[p->pr_peer];

	if (mp->p_cookie_time != 0 && now - mp->p_cookie_time < COOKIE_AGE &&
	    wg_mac_append(p->pr_msg, WG_INITIATION_LEN, target.t_mac1_key,
	    mp->p_cookie) == -1)
		errx(1, "mac");
	if (p->pr_sent == 0) {
		p->pr_sent = now;
		st.s_sent++;
	}
	memcpy(batch_add(b, p->pr_peer, WG_INITIATION_LEN), p->pr_msg,
	    WG_INITIATION_LEN);
}

/* Under load: the same one again, with the cookie. */
static void
cookie_in(struct batch *out, struct prepared *pr, uint32_t n,
    const uint8_t *m, int64_t now)
{
	struct mpeer	*mp;
	uint32_t	 i = wg_receiver(m);

	st.s_cookies++;
	if (i >= n || pr[i].pr_took != 0)
		return;
	mp = &peers[pr[i].pr_peer];
	if (wg_cookie_open(m, target.t_cookie_key, wg_mac1(pr[i].pr_msg),
	    mp->p_cookie) == -1) {
		st.s_bad++;
		return;
	}
	mp->p_cookie_time = now;
	if (out->b_n == BATCH)
		(void)batch_send(out);
	init_add(out, &pr[i], now);
}

static void
response_in(struct prepared *pr, uint32_t n, const uint8_t *m, int64_t now,
    int verify)
{
	struct mpeer	*mp;
	uint32_t	 i = wg_receiver(m);

	if (i >= n || pr[i].pr_sent == 0 || pr[i].pr_took != 0) {
		st.s_bad++;
		return;
	}
	mp = &peers[pr[i].pr_peer];
	if (verify) {
		if (wg_response_consume(&pr[i].pr_hs, mp->p_private, NULL, m,
		    &mp->p_ws) == -1) {
			st.s_bad++;
			return;
		}
		st.s_verified++;
	}
	pr[i].pr_took = now - pr[i].pr_sent;
	st.s_answered++;
}

/* Answers that are there; waits for them at most ms. Returns how many. */
static unsigned int
answers(struct batch *out, struct prepared *pr, uint32_t n, int ms, int each)
{
	static struct batch	 in;
	unsigned int		 i, got = batch_recv(&in, ms);
	int64_t			 now = now_ns();

	for (i = 0; i < got; i++)
		switch (wg_classify(in.b_data[i], in.b_msg[i].msg_len)) {
		case WG_MSG_RESPONSE:
			response_in(pr, n, in.b_data[i], now,
			    st.s_answered % (uint32_t)each == 0);
			break;
		case WG_MSG_COOKIE:
			cookie_in(out, pr, n, in.b_data[i], now);
			break;
		default:
			break;		/* data: keepalives of the node */
		}
	return got;
}

static uint32_t
handshakes_each(struct prepared *pr, uint32_t n, uint32_t window,
    double seconds, int each)
{
	static struct batch	 out;
	int64_t			 now = now_ns(), heard = now;
	int64_t			 end = now + (int64_t)(seconds * NSEC);
	uint32_t		 next = 0;

	memset(&st, 0, sizeof(st));
	for (; now < end && (next < n ||
	    st.s_answered + st.s_lost < n); now = now_ns()) {
		while (next < n && out.b_n < BATCH &&
		    next - st.s_answered - st.s_lost < window)
			init_add(&out, &pr[next++], now);
		(void)batch_send(&out);
		if (answers(&out, pr, n, 1, each) > 0)
			heard = now;
		else if (now - heard > LOST_AFTER) {
			st.s_lost = next - st.s_answered;
			heard = now;
		}
		(void)batch_send(&out);
	}
	return st.s_answered;
}

uint32_t
handshakes(struct prepared *pr, uint32_t n, uint32_t window, double seconds)
{
	return handshakes_each(pr, n, window, seconds, VERIFY_EACH);
}

void
handshakes_print(double took)
{
	printf("{\"rate\": %.0f, \"sent\": %u, \"answered\": %u, "
	    "\"verified\": %u, \"bad\": %u, \"cookies\": %u, \"lost\": %u, "
	    "\"seconds\": %.3f, ", st.s_answered / took, st.s_sent,
	    st.s_answered, st.s_verified, st.s_bad, st.s_cookies, st.s_lost,
	    took);
	cpu_print();
	printf("}\n");
}

/* The responder goes over to the new keys with the first data it gets. */
static void
sessions_confirm(void)
{
	static struct batch	 out;
	uint32_t		 i;

	for (i = 0; i < npeers; i++) {
		if (wg_seal(peers[i].p_send, batch_add(&out, i,
		    WG_TRANSPORT_OVERHEAD), NULL, 0, peers[i].p_ws.ws_remote,
		    peers[i].p_counter++) == -1)
			err(1, "seal");
		if (out.b_n == BATCH)
			(void)batch_send(&out);
	}
	(void)batch_send(&out);
}

void
sessions_make(void)
{
	struct prepared	*pr = prepare(npeers);
	uint32_t	 i;

	if (handshakes_each(pr, npeers, 32, 30, 1) != npeers)
		errx(1, "%u of %u peers have a session", st.s_answered,
		    npeers);
	for (i = 0; i < npeers; i++) {
		peers[i].p_send = wg_key_new(peers[i].p_ws.ws_send, 1);
		peers[i].p_recv = wg_key_new(peers[i].p_ws.ws_recv, 0);
		if (peers[i].p_send == NULL || peers[i].p_recv == NULL)
			err(1, NULL);
	}
	free(pr);
	sessions_confirm();
}

/* --- forged ones --- */

/*
 * One that looks right up to mac1: the static key inside is not sealed by
 * anybody, or it is a peer's and who sends it does not have that key.
 */
static void
forge(uint8_t *m, uint32_t i, int mac)
{
	struct wg_handshake	 wh;
	uint8_t			 random[WG_KEY_LEN], ts[WG_TIMESTAMP_LEN];
	struct mpeer		*mp = &peers[i % npeers];

	arc4random_buf(random, sizeof(random));
	arc4random_buf(ts, sizeof(ts));
	if (i % 2 == 0 && wg_initiation_create(&wh, random, mp->p_public,
	    target.t_public, random, ts, i, m) == -1)
		errx(1, "forged initiation");
	if (i % 2 == 1) {
		arc4random_buf(m, WG_INITIATION_LEN);
		le32enc(m, WG_MSG_INITIATION);
		m[39] &= 0x7f;
	}
	if (wg_mac_append(m, WG_INITIATION_LEN, target.t_mac1_key,
	    NULL) == -1)
		errx(1, "mac");
	if (!mac)
		m[WG_INITIATION_LEN - 2 * WG_MAC_LEN] ^= 1;
}

static uint8_t *
forged_make(const char *kind)
{
	uint8_t		*all;
	uint32_t	 i;

	if ((all = calloc(FORGED, WG_INITIATION_LEN)) == NULL)
		err(1, NULL);
	for (i = 0; i < FORGED; i++)
		forge(all + (size_t)i * WG_INITIATION_LEN, i,
		    strcmp(kind, "static") == 0 ||
		    (strcmp(kind, "both") == 0 && i % 4 < 2));
	return all;
}

/* By a process of its own; says how many it has sent. */
static void
flooder(uint32_t rate, double seconds, const uint8_t *all, int report)
{
	static struct batch	 out;
	int64_t			 start = now_ns(), now = start;
	int64_t			 end = start + (int64_t)(seconds * NSEC);
	uint64_t		 sent = 0, due;
	struct timespec		 nap = { 0, FLOOD_TICK };

	sock_open(PORT + 1);	/* what is answered to it, nobody reads */
	for (; now < end; now = now_ns()) {
		due = (uint64_t)((double)(now - start) / NSEC * rate);
		if (sent >= due)
			(void)nanosleep(&nap, NULL);
		while (sent < due && out.b_n < BATCH) {
			memcpy(batch_add(&out, FORGED_FROM +
			    (uint32_t)(sent % 0x7fff), WG_INITIATION_LEN),
			    all + sent % FORGED * WG_INITIATION_LEN,
			    WG_INITIATION_LEN);
			sent++;
		}
		(void)batch_send(&out);
	}
	if (write(report, &sent, sizeof(sent)) != sizeof(sent))
		err(1, "pipe");
	_exit(0);
}

static int
cmp64(const void *a, const void *b)
{
	int64_t	 x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

/* Those without an answer took longer than any. */
static void
flood_print(const struct prepared *pr, uint32_t n, uint64_t forged,
    double seconds)
{
	int64_t		*t;
	uint32_t	 i, count = 0;

	if ((t = calloc(n + 1, sizeof(*t))) == NULL)
		err(1, NULL);
	for (i = 0; i < n; i++)
		if (pr[i].pr_sent != 0)
			t[count++] = pr[i].pr_took != 0 ? pr[i].pr_took :
			    10 * NSEC;
	qsort(t, count, sizeof(*t), cmp64);
	printf("{\"forged\": %.0f, \"honest\": %u, \"answered\": %u, "
	    "\"cookies\": %u, \"p50_ms\": %.3f, \"p99_ms\": %.3f, "
	    "\"max_ms\": %.3f, ", (double)forged / seconds, count,
	    st.s_answered, st.s_cookies, (double)t[count / 2] / MSEC,
	    (double)t[count * 99 / 100] / MSEC,
	    (double)t[count == 0 ? 0 : count - 1] / MSEC);
	cpu_print();
	printf("}\n");
	free(t);
}

static void
honest(struct prepared *pr, uint32_t n, uint32_t rate, double seconds)
{
	static struct batch	 out;
	int64_t			 start = now_ns(), now = start;
	int64_t			 end = start + (int64_t)(seconds * NSEC);
	uint32_t		 next = 0;

	for (; now < end + NSEC && (now < end ||
	    st.s_answered < next); now = now_ns()) {
		while (next < n && out.b_n < BATCH && now < end &&
		    next < (double)(now - start) / NSEC * rate)
			init_add(&out, &pr[next++], now);
		(void)batch_send(&out);
		(void)answers(&out, pr, n, 1, 1);
		(void)batch_send(&out);
	}
}

void
flood(uint32_t rate, double seconds, const char *kind, uint32_t honest_rate)
{
	struct prepared	*pr;
	uint8_t		*all = forged_make(kind);
	uint64_t	 forged = 0;
	uint32_t	 n = (uint32_t)(honest_rate * seconds) + 1;
	pid_t		 pid;
	int		 fds[2];

	pr = prepare(n);
	memset(&st, 0, sizeof(st));
	if (pipe(fds) == -1)
		err(1, "pipe");
	if ((pid = fork()) == -1)
		err(1, "fork");
	if (pid == 0)
		flooder(rate, seconds, all, fds[1]);
	honest(pr, n, honest_rate, seconds);
	if (read(fds[0], &forged, sizeof(forged)) != sizeof(forged) ||
	    waitpid(pid, NULL, 0) == -1)
		err(1, "the process that floods");
	flood_print(pr, n, forged, seconds);
	free(pr);
	free(all);
}
