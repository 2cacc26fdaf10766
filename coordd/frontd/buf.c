/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * A byte queue: appended at the end, consumed at the front.
 */

#include <sys/types.h>

#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "log.h"

#define BUF_MIN		512
#define BUF_KEEP	4096	/* an empty buffer larger than this goes */

uint8_t *
buf_space(struct buf *b, size_t len)
{
	size_t	 size;

	if (len <= b->b_size - b->b_off - b->b_len)
		return b->b_data + b->b_off + b->b_len;
	if (b->b_off > 0) {
		memmove(b->b_data, b->b_data + b->b_off, b->b_len);
		b->b_off = 0;
	}
	if (len > SIZE_MAX / 2 - b->b_len)
		fatalx("buffer too large");
	for (size = b->b_size > 0 ? b->b_size : BUF_MIN;
	    size < b->b_len + len; )
		size *= 2;
	if (size > b->b_size) {
		if ((b->b_data = realloc(b->b_data, size)) == NULL)
			fatal(NULL);
		b->b_size = size;
	}
	return b->b_data + b->b_len;
}

void
buf_added(struct buf *b, size_t len)
{
	b->b_len += len;
}

void
buf_add(struct buf *b, const void *data, size_t len)
{
	if (len == 0)
		return;
	memcpy(buf_space(b, len), data, len);
	b->b_len += len;
}

void
buf_drain(struct buf *b, size_t len)
{
	b->b_off += len;
	b->b_len -= len;
	if (b->b_len > 0)
		return;
	b->b_off = 0;
	if (b->b_size > BUF_KEEP)
		buf_free(b);
}

void
buf_free(struct buf *b)
{
	free(b->b_data);
	memset(b, 0, sizeof(*b));
}
