/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Frames of the map stream: length, then plain or zstd-compressed JSON.
 */

#ifndef PROTO_MAPFRAME_H
#define PROTO_MAPFRAME_H

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

#define MAPFRAME_MAX_WIRE	(16 * 1024 * 1024)
#define MAPFRAME_MAX_PLAIN	(64 * 1024 * 1024)

struct mapframe;		/* reader of one stream */

/*
 * A reader. zstd: whether payloads are compressed (Compress was asked).
 * NULL: no memory.
 */
struct mapframe
	*mapframe_new(int);
void	 mapframe_free(struct mapframe *);

/*
 * Feed bytes of the response body. Takes at most one frame:
 * data, len	what arrived; *used says how much of it was consumed.
 * msg, msglen	set to the decoded message if a frame is complete. It
 *		belongs to the reader and is good until the next call.
 * Returns 1 (a message), 0 (more input wanted, all was consumed), or -1
 * with errno EINVAL (empty or not a single zstd frame), E2BIG (length or
 * decoded size beyond the bounds above), ENOMEM. After -1 the stream is
 * dead.
 * Memory grows with what has arrived, not with what the length promises.
 * Source: control.md 4.2.
 */
int	 mapframe_feed(struct mapframe *, const void *, size_t, size_t *,
	    const char **, size_t *);

/* Is a frame begun and not complete? For the end of a stream. */
int	 mapframe_pending(const struct mapframe *);

/*
 * Encode one frame: length and payload, compressed or not. The caller
 * frees *out. Returns 0 or -1 (ENOMEM, E2BIG).
 */
int	 mapframe_encode(int, const void *, size_t, uint8_t **, size_t *);

#endif /* PROTO_MAPFRAME_H */
