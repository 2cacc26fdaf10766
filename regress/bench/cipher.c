/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Sealing batches of packets: by OpenSSL one after another, by our own way of
 * several at once, by Intel's libipsec-mb (with IPSEC_MB). All must seal
 * alike. A line for each size and batch, GB/s: median of the rounds.
 */

#include <sys/types.h>
#include <sys/endian.h>

#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef IPSEC_MB
#include <intel-ipsec-mb.h>
#endif

#include "aead.h"
#include "chapoly.h"

#define BATCH	64
#define STRIDE	1536
#define ROUNDS	9
#define BYTES	(8 << 20)		/* of one measurement */
#define WAYS	3

struct packet {
	uint8_t	 p_nonce[AEAD_NONCE_LEN];
	uint8_t	 p_tag[16];
	uint8_t	 p_data[STRIDE];
};

static const uint8_t	 key[32] = { 1, 2, 3 };
static struct packet	 pkt[BATCH];
static struct aead	*aead;

static void	 by_evp(size_t, size_t, uint64_t);
static void	 by_own(size_t, size_t, uint64_t);
static void	 by_imb(size_t, size_t, uint64_t);

static struct way {
	const char	*w_name;
	void		(*w_seal)(size_t, size_t, uint64_t);
} ways[WAYS] = {
	{ "openssl", by_evp },
	{ "own", by_own },
	{ "ipsec-mb", by_imb }
};

/* So many packets of that length; their counters begin there. */
static void
by_evp(size_t n, size_t len, uint64_t counter)
{
	size_t	 i;

	for (i = 0; i < n; i++) {
		le64enc(pkt[i].p_nonce + 4, counter + i);
		if (aead_seal(aead, pkt[i].p_nonce, pkt[i].p_data, len,
		    pkt[i].p_data, pkt[i].p_tag) == -1)
			err(1, "aead_seal");
	}
}

static void
by_own(size_t n, size_t len, uint64_t counter)
{
	struct chapoly_job	 job[BATCH];
	size_t			 i;

	for (i = 0; i < n; i++)
		job[i] = (struct chapoly_job){ .cj_key = key,
		    .cj_data = pkt[i].p_data, .cj_len = len,
		    .cj_tag = pkt[i].p_tag, .cj_counter = counter + i };
	chapoly_seal(job, n);
}

#ifdef IPSEC_MB
static IMB_MGR	*mgr;

static void
imb_job(struct packet *p, size_t len)
{
	IMB_JOB	*job = IMB_GET_NEXT_JOB(mgr);

	memset(job, 0, sizeof(*job));
	job->cipher_mode = IMB_CIPHER_CHACHA20_POLY1305;
	job->cipher_direction = IMB_DIR_ENCRYPT;
	job->chain_order = IMB_ORDER_CIPHER_HASH;
	job->hash_alg = IMB_AUTH_CHACHA20_POLY1305;
	job->enc_keys = job->dec_keys = key;
	job->key_len_in_bytes = sizeof(key);
	job->iv = p->p_nonce;
	job->iv_len_in_bytes = sizeof(p->p_nonce);
	job->src = job->dst = p->p_data;
	job->msg_len_to_cipher_in_bytes = len;
	job->msg_len_to_hash_in_bytes = len;
	job->auth_tag_output = p->p_tag;
	job->auth_tag_output_len_in_bytes = sizeof(p->p_tag);
	if ((job = IMB_SUBMIT_JOB(mgr)) != NULL &&
	    job->status != IMB_STATUS_COMPLETED)
		errx(1, "libipsec-mb: a job failed");
}

static void
by_imb(size_t n, size_t len, uint64_t counter)
{
	size_t	 i;

	for (i = 0; i < n; i++) {
		le64enc(pkt[i].p_nonce + 4, counter + i);
		imb_job(&pkt[i], len);
	}
	while (IMB_FLUSH_JOB(mgr) != NULL)
		continue;
}

static int
imb_start(void)
{
	if ((mgr = alloc_mb_mgr(0)) == NULL)
		return 0;
	init_mb_mgr_auto(mgr, NULL);
	return 1;
}
#else
static void
by_imb(size_t n, size_t len, uint64_t counter)
{
}

static int
imb_start(void)
{
	return 0;
}
#endif

static double
seconds(void)
{
	struct timespec	 ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* The same packets must come out of each way. */
static void
compare(size_t len)
{
	static struct packet	 want[BATCH];
	unsigned int		 w;
	size_t			 i;

	for (w = 0; w < WAYS; w++) {
		if (ways[w].w_seal == NULL)
			continue;
		for (i = 0; i < BATCH; i++)
			memset(pkt[i].p_data, (int)i, STRIDE);
		ways[w].w_seal(BATCH, len, 77);
		if (w == 0)
			memcpy(want, pkt, sizeof(want));
		for (i = 0; i < BATCH; i++)
			if (memcmp(want[i].p_data, pkt[i].p_data, STRIDE) !=
			    0 || memcmp(want[i].p_tag, pkt[i].p_tag,
			    sizeof(pkt[i].p_tag)) != 0)
				errx(1, "%s differs from %s at %zu bytes",
				    ways[w].w_name, ways[0].w_name, len);
	}
}

static double
measure(const struct way *w, size_t n, size_t len)
{
	size_t	 i, times = BYTES / (n * len);
	double	 t;

	w->w_seal(n, len, 0);
	t = seconds();
	for (i = 1; i <= times; i++)
		w->w_seal(n, len, i * BATCH);
	return (double)(times * n * len) / (seconds() - t) / 1e9;
}

static int
ascending(const void *a, const void *b)
{
	double	 x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* By turns, so that all have the same noise. */
static void
row(size_t n, size_t len)
{
	double		 got[WAYS][ROUNDS];
	unsigned int	 r, w;

	for (r = 0; r < ROUNDS; r++)
		for (w = 0; w < WAYS; w++)
			if (ways[w].w_seal != NULL)
				got[w][r] = measure(&ways[w], n, len);
	printf("%zu %zu", len, n);
	for (w = 0; w < WAYS; w++) {
		if (ways[w].w_seal == NULL) {
			printf(" -");
			continue;
		}
		qsort(got[w], ROUNDS, sizeof(got[w][0]), ascending);
		printf(" %.2f", got[w][ROUNDS / 2]);
	}
	printf("\n");
}

int
main(void)
{
	static const size_t	 sizes[] = { 64, 256, 576, 1280, 1420 };
	static const size_t	 batches[] = { 4, 16, BATCH };
	size_t			 b, s;

	if ((aead = aead_new(key, 1)) == NULL)
		err(1, "aead_new");
	if (strcmp(chapoly_init(NULL), "none") == 0)
		ways[1].w_seal = NULL;
	if (!imb_start())
		ways[2].w_seal = NULL;
	printf("bytes batch %s %s %s\n", ways[0].w_name, ways[1].w_name,
	    ways[2].w_name);
	for (s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		compare(sizes[s]);
		for (b = 0; b < sizeof(batches) / sizeof(batches[0]); b++)
			row(batches[b], sizes[s]);
	}
	return 0;
}
