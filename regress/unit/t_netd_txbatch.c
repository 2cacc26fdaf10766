/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * A batch that is larger than its room: each segment is judged once, and
 * either sent once or counted as dropped.
 */

/* link: ../../netd/txbatch.c ../../netd/segment.c ../../netd/ecn.c */
/* link: ../../netd/checksum.c ../../netd/checksum_avx2.c */
/* link: ../../netd/addr.c */

#include <sys/types.h>
#include <sys/endian.h>

#include <err.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../netd/ecn.h"
#include "../../netd/netd.h"
#include "../../netd/tx.h"

#define MTU	1280
#define PAYLOAD	65000
#define HDRS	40		/* of IPv4 and TCP */
#define PACKETS	3

static const struct {
	const char	*what;
	size_t		 room;		/* for what is sealed */
	uint16_t	 size;		/* payload of a segment */
	unsigned int	 drop;		/* every so many, 0: none */
	unsigned int	 mark;
} tests[] = {
	{ "more segments than items",		TX_OUT,	200,	0,	0 },
	{ "and some dropped",			TX_OUT,	200,	3,	0 },
	{ "and some marked",			TX_OUT,	200,	5,	7 },
	{ "all dropped",			TX_OUT,	200,	1,	0 },
	{ "room for few",			3000,	1200,	0,	0 },
	{ "room for few, and some dropped",	3000,	1200,	2,	3 },
	{ "room for one",			1400,	1200,	2,	0 }
};

/* What the queue is asked, and what the socket takes. */
static unsigned int	 judged, dropped, sent, every_drop, every_mark;
static size_t		 bytes;		/* of what was judged */
static uint32_t		 flow;

static void
want(int good, const char *what, const char *test)
{
	if (!good)
		errx(1, "%s: %s", test, what);
}

int
sendq_due(const struct sendq *sq, int64_t now)
{
	return 0;
}

void
sendq_sample(struct sendq *sq, size_t queued, int64_t now)
{
}

int
sendq_busy(const struct sendq *sq)
{
	return 1;
}

void
sendq_sent(struct sendq *sq, size_t before, size_t after)
{
}

enum sendq_verdict
sendq_check(struct sendq *sq, uint32_t f, size_t len, int ect, int64_t now)
{
	want(ect, "the packet is ECT", "sendq_check");
	want(judged == 0 || f == flow, "the flow is one", "sendq_check");
	flow = f;
	bytes += len;
	judged++;
	if (every_drop != 0 && judged % every_drop == 0) {
		dropped++;
		return SENDQ_DROP;
	}
	return every_mark != 0 && judged % every_mark == 0 ? SENDQ_MARK :
	    SENDQ_PASS;
}

void
udp_out_dest(struct tx_dest *d)
{
}

struct udp_out *
udp_out_of(struct tx *tx, struct tx_group *g)
{
	return &tx->t_udp[0];
}

/* Takes all, and sees that no group is empty. */
int
udp_send_groups(struct udp_out *uo, struct tx_group *g, size_t n)
{
	size_t	 i;

	for (i = 0; i < n; i++) {
		want(g[i].g_n > 0 && g[i].g_len > 0, "an empty group",
		    "udp_send_groups");
		want(g[i].g_len <= g[i].g_n * g[i].g_size, "too long a group",
		    "udp_send_groups");
		sent += g[i].g_n;
		g[i].g_sent = g[i].g_len;
	}
	return (int)n;
}

/* A large TCP packet, ECT, as the TUN device has it. */
static void
make(struct tx_pkt *tp, uint8_t *p, uint16_t size)
{
	memset(p, 0, HDRS + PAYLOAD);
	p[0] = 0x45;
	p[1] = ECN_ECT0;
	be16enc(p + 2, HDRS + PAYLOAD);
	p[8] = 64;
	p[9] = PKT_TCP;
	be32enc(p + 12, 0x64400001);
	be32enc(p + 16, 0x64400002);
	be16enc(p + 20, 1234);
	be16enc(p + 22, 80);
	p[32] = 5 << 4;
	p[33] = 0x10;
	memset(&tp->tp_vnet, 0, sizeof(tp->tp_vnet));
	tp->tp_vnet.v_gso_type = VNET_GSO_TCP4;
	tp->tp_vnet.v_gso_size = size;
	tp->tp_vnet.v_csum_start = 20;
	tp->tp_vnet.v_csum_offset = 16;
	tp->tp_data = p;
	tp->tp_len = HDRS + PAYLOAD;
}

static void
run(struct tx *tx, size_t n)
{
	static uint8_t		 pkt[PACKETS][HDRS + PAYLOAD];
	static const uint8_t	 key[WG_KEY_LEN] = { 1 };
	static struct peer	 p;
	struct keypair		 k;
	struct path_to		 to;
	const char		*what = tests[n].what;
	unsigned int		 i, segs;

	memset(&k, 0, sizeof(k));
	memset(&to, 0, sizeof(to));
	if ((k.k_send = wg_key_new(key, 1)) == NULL)
		err(1, "wg_key_new");
	to.pt_addr.a_af = AF_WIRE_INET;
	tx->t_outmax = tests[n].room;
	every_drop = tests[n].drop;
	every_mark = tests[n].mark;
	judged = dropped = sent = 0;
	bytes = 0;
	for (i = 0; i < PACKETS; i++) {
		make(&tx->t_pkt[i], pkt[i], tests[n].size);
		want(batch_add(tx, &p, &k, &to) == 0,
		    "batch_add", what);
	}
	want(batch_run(tx) == 0, "batch_run", what);
	segs = k.k_counter;		/* each has one */
	want(judged == segs, "a segment is judged once", what);
	want(bytes == PACKETS * PAYLOAD + segs * HDRS,
	    "its length is booked once", what);
	want(sent == segs - dropped, "what is not dropped is sent", what);
	want(tx->t_new.s_sent == sent && tx->t_new.s_segs == sent &&
	    tx->t_new.s_drop[TXD_QUEUE] == dropped, "counters", what);
	batch_reset(tx);
	wg_key_free(k.k_send);
}

int
main(void)
{
	static uint8_t	 out[TX_OUT];
	static struct tx tx;
	size_t		 i;

	tx.t_out = out;
	tx.t_mtu = MTU;
	tx.t_udp[0].uo_fd = tx.t_udp[1].uo_fd = -1;
	STAILQ_INIT(&tx.t_handed);
	batch_reset(&tx);
	for (i = 0; i < nitems(tests); i++)
		run(&tx, i);
	return 0;
}
