/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * A byte queue: appended at the end, consumed at the front.
 */

#ifndef FRONTD_BUF_H
#define FRONTD_BUF_H

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

struct buf {
	uint8_t	*b_data;
	size_t	 b_off;			/* contents begin here */
	size_t	 b_len;			/* length of the contents */
	size_t	 b_size;		/* allocated */
};

/* All zeros is an empty buffer. Appending is fatal on lack of memory. */
void	 buf_add(struct buf *, const void *, size_t);
uint8_t	*buf_space(struct buf *, size_t);	/* room behind the contents */
void	 buf_added(struct buf *, size_t);	/* so much of it was used */
void	 buf_drain(struct buf *, size_t);
void	 buf_free(struct buf *);

static inline uint8_t *
buf_data(const struct buf *b)
{
	return b->b_data == NULL ? NULL : b->b_data + b->b_off;
}

#endif /* FRONTD_BUF_H */
