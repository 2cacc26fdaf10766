/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Records of the control session.
 * Source: control.md section 2.4.
 */

#include <sys/types.h>

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "aead.h"
#include "noise.h"

struct noise_record {
	struct aead	*nr_aead;
	uint64_t	 nr_counter;
	int		 nr_dead;
};

struct noise_record *
noise_record_new(const uint8_t key[NOISE_KEY_LEN], uint64_t counter, int seal)
{
	struct noise_record	*nr;

	if ((nr = calloc(1, sizeof(*nr))) == NULL)
		return NULL;
	if ((nr->nr_aead = aead_new(key, seal)) == NULL) {
		free(nr);
		errno = ENOMEM;
		return NULL;
	}
	nr->nr_counter = counter;
	return nr;
}

void
noise_record_free(struct noise_record *nr)
{
	if (nr == NULL)
		return;
	aead_free(nr->nr_aead);
	free(nr);
}

/* The counter stands big-endian in the nonce, unlike Noise's own rule. */
static int
record_nonce(struct noise_record *nr, uint8_t nonce[AEAD_NONCE_LEN])
{
	int	 i;

	if (nr->nr_dead) {
		errno = EPIPE;
		return -1;
	}
	if (nr->nr_counter == UINT64_MAX) {
		nr->nr_dead = 1;
		errno = EOVERFLOW;
		return -1;
	}
	memset(nonce, 0, 4);
	for (i = 0; i < 8; i++)
		nonce[4 + i] = nr->nr_counter >> (56 - 8 * i);
	nr->nr_counter++;
	return 0;
}

ssize_t
noise_seal(struct noise_record *nr, const uint8_t *plain, size_t len,
    uint8_t *frame)
{
	uint8_t	 nonce[AEAD_NONCE_LEN];

	if (len > NOISE_PLAIN_MAX) {
		errno = EMSGSIZE;
		return -1;
	}
	if (record_nonce(nr, nonce) == -1)
		return -1;
	if (aead_seal(nr->nr_aead, nonce, plain, len, frame + NOISE_HDR_LEN,
	    frame + NOISE_HDR_LEN + len) == -1) {
		nr->nr_dead = 1;
		errno = ENOMEM;
		return -1;
	}
	frame[0] = NOISE_MSG_RECORD;
	frame[1] = (len + NOISE_TAG_LEN) >> 8;
	frame[2] = (len + NOISE_TAG_LEN) & 0xff;
	return len + NOISE_HDR_LEN + NOISE_TAG_LEN;
}

ssize_t
noise_open(struct noise_record *nr, uint8_t *frame, size_t len)
{
	uint8_t	 nonce[AEAD_NONCE_LEN];
	size_t	 n;
	ssize_t	 want;

	if (nr->nr_dead) {
		errno = EPIPE;
		return -1;
	}
	if ((want = noise_frame_len(frame, len)) == -1)
		goto dead;
	if (want == 0 || (size_t)want != len) {
		errno = EPROTO;
		goto dead;
	}
	if (len < NOISE_HDR_LEN + NOISE_TAG_LEN) {
		errno = EBADMSG;
		goto dead;
	}
	if (record_nonce(nr, nonce) == -1)
		return -1;
	n = len - NOISE_HDR_LEN - NOISE_TAG_LEN;
	if (aead_open(nr->nr_aead, nonce, frame + NOISE_HDR_LEN, n,
	    frame + NOISE_HDR_LEN + n, frame + NOISE_HDR_LEN) == -1)
		goto dead;
	return n;
dead:
	nr->nr_dead = 1;
	return -1;
}
