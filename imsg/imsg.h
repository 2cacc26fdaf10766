/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Framed messages with descriptors over a local stream socket: the calls of
 * imsg_init(3) and ibuf_add(3) of OpenBSD 7.8, so that -lutil can take the
 * place of this file there.
 */

#ifndef SHOAL_IMSG_H
#define SHOAL_IMSG_H

#include <sys/types.h>
#include <sys/queue.h>
#include <sys/uio.h>

#include <stddef.h>
#include <stdint.h>

#define MAX_IMSGSIZE		16384		/* header included */
#define IMSG_HEADER_SIZE	sizeof(struct imsg_hdr)
#define IBUF_FDNONE		(-1)

struct msgbuf;

/* A buffer: bytes rpos to wpos are its contents. */
struct ibuf {
	TAILQ_ENTRY(ibuf)	 entry;
	unsigned char		*buf;
	size_t			 size;		/* allocated */
	size_t			 max;		/* may grow up to this */
	size_t			 wpos;
	size_t			 rpos;
	int			 fd;		/* rides along, or -1 */
	int			 borrowed;	/* buf is someone else's */
};

struct imsg_hdr {
	uint32_t	 type;
	uint32_t	 len;			/* header included */
	uint32_t	 peerid;
	uint32_t	 pid;
};

struct imsg {
	struct imsg_hdr	 hdr;
	void		*data;			/* never cast: imsg_get_* */
	struct ibuf	*buf;
};

struct imsgbuf {
	struct msgbuf	*w;
	pid_t		 pid;
	uint32_t	 maxsize;
	int		 fd;
	int		 flags;
};
#define IMSG_ALLOW_FDPASS	0x01

/*
 * Buffers. ibuf_open: fixed size; ibuf_dynamic: grows from len up to max.
 * NULL with errno on lack of memory, ERANGE. ibuf_free closes a descriptor
 * that is still inside and keeps errno; NULL is fine.
 */
struct ibuf	*ibuf_open(size_t);
struct ibuf	*ibuf_dynamic(size_t, size_t);
void		 ibuf_free(struct ibuf *);

/* Append. 0, or -1 with ERANGE (no room) or EINVAL (value too big). */
int		 ibuf_add(struct ibuf *, const void *, size_t);
int		 ibuf_add_ibuf(struct ibuf *, const struct ibuf *);
int		 ibuf_add_zero(struct ibuf *, size_t);
int		 ibuf_add_strbuf(struct ibuf *, const char *, size_t);
int		 ibuf_add_n8(struct ibuf *, uint64_t);
int		 ibuf_add_n16(struct ibuf *, uint64_t);
int		 ibuf_add_n32(struct ibuf *, uint64_t);
int		 ibuf_add_n64(struct ibuf *, uint64_t);
int		 ibuf_add_h16(struct ibuf *, uint64_t);
int		 ibuf_add_h32(struct ibuf *, uint64_t);
int		 ibuf_add_h64(struct ibuf *, uint64_t);
void		*ibuf_reserve(struct ibuf *, size_t);

/* Overwrite at an offset from the read position; never grows. */
void		*ibuf_seek(struct ibuf *, size_t, size_t);
int		 ibuf_set(struct ibuf *, size_t, const void *, size_t);
int		 ibuf_set_n8(struct ibuf *, size_t, uint64_t);
int		 ibuf_set_n16(struct ibuf *, size_t, uint64_t);
int		 ibuf_set_n32(struct ibuf *, size_t, uint64_t);
int		 ibuf_set_n64(struct ibuf *, size_t, uint64_t);
int		 ibuf_set_h16(struct ibuf *, size_t, uint64_t);
int		 ibuf_set_h32(struct ibuf *, size_t, uint64_t);
int		 ibuf_set_h64(struct ibuf *, size_t, uint64_t);

/* What is inside, what still fits. */
void		*ibuf_data(const struct ibuf *);
size_t		 ibuf_size(const struct ibuf *);
size_t		 ibuf_left(const struct ibuf *);
int		 ibuf_truncate(struct ibuf *, size_t);
void		 ibuf_rewind(struct ibuf *);

/* Read on: each moves the read position. 0, or -1 with EBADMSG. */
void		 ibuf_from_buffer(struct ibuf *, void *, size_t);
void		 ibuf_from_ibuf(struct ibuf *, const struct ibuf *);
int		 ibuf_get(struct ibuf *, void *, size_t);
int		 ibuf_get_ibuf(struct ibuf *, size_t, struct ibuf *);
int		 ibuf_get_n8(struct ibuf *, uint8_t *);
int		 ibuf_get_n16(struct ibuf *, uint16_t *);
int		 ibuf_get_n32(struct ibuf *, uint32_t *);
int		 ibuf_get_n64(struct ibuf *, uint64_t *);
int		 ibuf_get_h16(struct ibuf *, uint16_t *);
int		 ibuf_get_h32(struct ibuf *, uint32_t *);
int		 ibuf_get_h64(struct ibuf *, uint64_t *);
char		*ibuf_get_string(struct ibuf *, size_t);  /* caller frees */
int		 ibuf_get_strbuf(struct ibuf *, char *, size_t);
int		 ibuf_skip(struct ibuf *, size_t);

/* The descriptor of a buffer: ibuf_fd_get gives it away, -1 if none. */
int		 ibuf_fd_avail(struct ibuf *);
int		 ibuf_fd_get(struct ibuf *);
void		 ibuf_fd_set(struct ibuf *, int);

/*
 * Queues of buffers, to write and to read. The reader function gets hdrsz
 * bytes of header and answers with a buffer for the whole message, the
 * header included, or NULL with errno; a descriptor it takes is set to -1.
 */
struct msgbuf	*msgbuf_new(void);
struct msgbuf	*msgbuf_new_reader(size_t,
		    struct ibuf *(*)(struct ibuf *, void *, int *), void *);
void		 msgbuf_free(struct msgbuf *);
void		 msgbuf_clear(struct msgbuf *);
uint32_t	 msgbuf_queuelen(struct msgbuf *);
void		 ibuf_close(struct msgbuf *, struct ibuf *);
struct ibuf	*msgbuf_get(struct msgbuf *);

/*
 * Write the queue (1 or more system calls until it would block), or read.
 * ibuf_*: without descriptors; msgbuf_*: with. Write: 0, or -1. Read: 1 (also
 * when nothing was there), 0 end of file, or -1. EAGAIN is no error.
 */
int		 ibuf_write(int, struct msgbuf *);
int		 msgbuf_write(int, struct msgbuf *);
int		 ibuf_read(int, struct msgbuf *);
int		 msgbuf_read(int, struct msgbuf *);

/*
 * The channel's two queues. imsgbuf_init does not own the socket's blocking
 * mode nor closes it: imsgbuf_clear drops the queues, the caller closes fd.
 * Without imsgbuf_allow_fdpass, descriptors can be neither sent (EINVAL) nor
 * received (closed by the kernel).
 */
int		 imsgbuf_init(struct imsgbuf *, int);
void		 imsgbuf_allow_fdpass(struct imsgbuf *);
int		 imsgbuf_set_maxsize(struct imsgbuf *, uint32_t);
int		 imsgbuf_read(struct imsgbuf *);
int		 imsgbuf_write(struct imsgbuf *);
int		 imsgbuf_flush(struct imsgbuf *);
void		 imsgbuf_clear(struct imsgbuf *);
uint32_t	 imsgbuf_queuelen(struct imsgbuf *);
/* 1: a message, to be freed with imsg_free; 0: none complete; -1: errno. */
int		 imsgbuf_get(struct imsgbuf *, struct imsg *);

/*
 * Reading a message. imsg_get_data wants exactly that length, imsg_get_buf
 * takes the next bytes, imsg_get_strbuf an array of that length that holds a
 * NUL-terminated string, imsg_get_ibuf all that is left. 0, or -1 with EBADMSG.
 * imsg_get_len: bytes not yet taken. imsg_get_fd: the caller's from here.
 */
int		 imsg_get_ibuf(struct imsg *, struct ibuf *);
int		 imsg_get_data(struct imsg *, void *, size_t);
int		 imsg_get_buf(struct imsg *, void *, size_t);
int		 imsg_get_strbuf(struct imsg *, char *, size_t);
int		 imsg_get_fd(struct imsg *);
uint32_t	 imsg_get_id(struct imsg *);
size_t		 imsg_get_len(struct imsg *);
pid_t		 imsg_get_pid(struct imsg *);
uint32_t	 imsg_get_type(struct imsg *);
void		 imsg_free(struct imsg *);

/*
 * Queueing a message: type, id, pid (0: ours), descriptor or -1, data. The
 * descriptor is closed once sent, and on error. 1, or -1 with errno.
 */
int		 imsg_compose(struct imsgbuf *, uint32_t, uint32_t, pid_t, int,
		    const void *, size_t);
int		 imsg_composev(struct imsgbuf *, uint32_t, uint32_t, pid_t, int,
		    const struct iovec *, int);
struct ibuf	*imsg_create(struct imsgbuf *, uint32_t, uint32_t, pid_t,
		    size_t);
int		 imsg_add(struct ibuf *, const void *, size_t);
void		 imsg_close(struct imsgbuf *, struct ibuf *);

#endif /* SHOAL_IMSG_H */
