/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Frames of the map stream: length, then plain or zstd-compressed JSON.
 */

#include <sys/types.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "mapframe.h"

#define HDR_LEN		4
#define KEEP_MAX	4096	/* buffers beyond this are given back */
#define GROW_MIN	65536	/* of text whose length nobody told */
#define WINDOW_LOG_MAX	24	/* of frames that do not tell their size */

struct mapframe {
	/*
	 * NULL between frames: it takes 96 KB, and on most streams there is
	 * little more than one frame a minute.
	 */
	ZSTD_DCtx	*f_dctx;
	uint8_t		*f_wire;
	char		*f_plain;
	size_t		 f_wirecap;
	size_t		 f_plaincap;
	size_t		 f_have;	/* payload bytes so far */
	size_t		 f_want;	/* payload length */
	uint8_t		 f_hdr[HDR_LEN];
	unsigned int	 f_hdrlen;
	int		 f_zstd;
};

struct mapframe *
mapframe_new(int zstd)
{
	struct mapframe	*f;

	if ((f = calloc(1, sizeof(*f))) == NULL)
		return NULL;
	f->f_zstd = zstd;
	return f;
}

void
mapframe_free(struct mapframe *f)
{
	if (f == NULL)
		return;
	ZSTD_freeDCtx(f->f_dctx);
	free(f->f_wire);
	free(f->f_plain);
	free(f);
}

int
mapframe_pending(const struct mapframe *f)
{
	return f->f_hdrlen > 0 &&
	    (f->f_hdrlen < HDR_LEN || f->f_have < f->f_want);
}

/* Room for one frame after the other without keeping a large one's. */
static void
frame_reset(struct mapframe *f)
{
	f->f_hdrlen = 0;
	f->f_have = f->f_want = 0;
	if (f->f_wirecap > KEEP_MAX) {
		free(f->f_wire);
		f->f_wire = NULL;
		f->f_wirecap = 0;
	}
	if (f->f_plaincap > KEEP_MAX) {
		free(f->f_plain);
		f->f_plain = NULL;
		f->f_plaincap = 0;
	}
}

static int
plain_grow(struct mapframe *f, size_t need)
{
	char	*p;

	if (need <= f->f_plaincap)
		return 0;
	if (need > MAPFRAME_MAX_PLAIN) {
		errno = E2BIG;
		return -1;
	}
	if ((p = realloc(f->f_plain, need)) == NULL)
		return -1;
	f->f_plain = p;
	f->f_plaincap = need;
	return 0;
}

/* A frame that does not say how large it gets: grow with it. */
static int
inflate_unknown(struct mapframe *f, size_t *outlen)
{
	ZSTD_inBuffer	 in = { f->f_wire, f->f_want, 0 };
	ZSTD_outBuffer	 out;
	size_t		 cap, ret;

	memset(&out, 0, sizeof(out));
	do {
		cap = f->f_plaincap;
		if (out.pos == cap) {
			cap = cap < GROW_MIN ? GROW_MIN : cap * 2;
			if (cap > MAPFRAME_MAX_PLAIN &&
			    f->f_plaincap < MAPFRAME_MAX_PLAIN)
				cap = MAPFRAME_MAX_PLAIN;
			if (plain_grow(f, cap) == -1)
				return -1;
		}
		out.dst = f->f_plain;
		out.size = f->f_plaincap;
		ret = ZSTD_decompressStream(f->f_dctx, &out, &in);
		if (ZSTD_isError(ret) ||
		    (ret != 0 && in.pos == in.size && out.pos < out.size)) {
			errno = EINVAL;
			return -1;
		}
	} while (ret != 0);
	*outlen = out.pos;
	return 0;
}

static int
inflate_begun(struct mapframe *f, size_t *outlen)
{
	unsigned long long	 size;
	size_t			 ret;

	ret = ZSTD_findFrameCompressedSize(f->f_wire, f->f_want);
	size = ZSTD_getFrameContentSize(f->f_wire, f->f_want);
	if (ZSTD_isError(ret) || ret != f->f_want ||
	    size == ZSTD_CONTENTSIZE_ERROR) {
		errno = EINVAL;
		return -1;
	}
	if (size == ZSTD_CONTENTSIZE_UNKNOWN)
		return inflate_unknown(f, outlen);
	if (size > MAPFRAME_MAX_PLAIN) {
		errno = E2BIG;
		return -1;
	}
	if (plain_grow(f, size > 0 ? size : 1) == -1)
		return -1;
	ret = ZSTD_decompressDCtx(f->f_dctx, f->f_plain, f->f_plaincap,
	    f->f_wire, f->f_want);
	if (ZSTD_isError(ret) || ret != size) {
		errno = EINVAL;
		return -1;
	}
	*outlen = ret;
	return 0;
}

static int
frame_inflate(struct mapframe *f, size_t *outlen)
{
	int	 ret;

	if ((f->f_dctx = ZSTD_createDCtx()) == NULL ||
	    ZSTD_isError(ZSTD_DCtx_setParameter(f->f_dctx,
	    ZSTD_d_windowLogMax, WINDOW_LOG_MAX))) {
		errno = ENOMEM;
		return -1;
	}
	ret = inflate_begun(f, outlen);
	ZSTD_freeDCtx(f->f_dctx);
	f->f_dctx = NULL;
	return ret;
}

/* The length is there: check it before anything is stored. */
static int
frame_begin(struct mapframe *f)
{
	f->f_want = (size_t)f->f_hdr[0] | (size_t)f->f_hdr[1] << 8 |
	    (size_t)f->f_hdr[2] << 16 | (size_t)f->f_hdr[3] << 24;
	if (f->f_want == 0) {
		errno = EINVAL;
		return -1;
	}
	if (f->f_want > MAPFRAME_MAX_WIRE) {
		errno = E2BIG;
		return -1;
	}
	return 0;
}

static int
wire_add(struct mapframe *f, const uint8_t *p, size_t len)
{
	uint8_t	*q;
	size_t	 cap;

	if (f->f_have + len > f->f_wirecap) {
		cap = f->f_wirecap < 4096 ? 4096 : f->f_wirecap * 2;
		while (cap < f->f_have + len)
			cap *= 2;
		if ((q = realloc(f->f_wire, cap)) == NULL)
			return -1;
		f->f_wire = q;
		f->f_wirecap = cap;
	}
	memcpy(f->f_wire + f->f_have, p, len);
	f->f_have += len;
	return 0;
}

int
mapframe_feed(struct mapframe *f, const void *data, size_t len, size_t *used,
    const char **msg, size_t *msglen)
{
	const uint8_t	*p;
	size_t		 n;

	p = data;
	*used = 0;
	if (f->f_hdrlen == HDR_LEN && f->f_have == f->f_want)
		frame_reset(f);
	while (f->f_hdrlen < HDR_LEN && *used < len) {
		f->f_hdr[f->f_hdrlen++] = p[(*used)++];
		if (f->f_hdrlen == HDR_LEN && frame_begin(f) == -1)
			return -1;
	}
	if (f->f_hdrlen < HDR_LEN)
		return 0;
	n = f->f_want - f->f_have;
	if (n > len - *used)
		n = len - *used;
	if (n > 0 && wire_add(f, p + *used, n) == -1)
		return -1;
	*used += n;
	if (f->f_have < f->f_want)
		return 0;
	if (!f->f_zstd) {
		*msg = (const char *)f->f_wire;
		*msglen = f->f_want;
		return 1;
	}
	if (frame_inflate(f, msglen) == -1)
		return -1;
	*msg = f->f_plain;
	return 1;
}

int
mapframe_encode(int zstd, const void *data, size_t len, uint8_t **out,
    size_t *outlen)
{
	uint8_t	*p;
	size_t	 cap, n;

	cap = zstd ? ZSTD_compressBound(len) : len;
	if (len > MAPFRAME_MAX_PLAIN || (p = malloc(cap + HDR_LEN)) == NULL) {
		errno = len > MAPFRAME_MAX_PLAIN ? E2BIG : ENOMEM;
		return -1;
	}
	n = len;
	if (zstd)
		n = ZSTD_compress(p + HDR_LEN, cap, data, len, 3);
	else
		memcpy(p + HDR_LEN, data, len);
	if (ZSTD_isError(n) || n > MAPFRAME_MAX_WIRE) {
		free(p);
		errno = ZSTD_isError(n) ? ENOMEM : E2BIG;
		return -1;
	}
	p[0] = n;
	p[1] = n >> 8;
	p[2] = n >> 16;
	p[3] = n >> 24;
	*out = p;
	*outlen = n + HDR_LEN;
	return 0;
}
