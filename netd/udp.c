/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * UDP sockets: large sends and receives, and what to do without them.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/udp.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "netd.h"

#ifndef SOL_UDP
#define SOL_UDP		17
#endif

#define REBIND_GAP	(5 * NSEC)

static void	 udp_close(struct udp_sock *);
static void	 udp_read_cb(int, short, void *);
static void	 udp_write_cb(int, short, void *);
static int	 send_gso(struct udp_sock *, const struct addr *,
		    const uint8_t *, size_t, size_t);
static void	 gso_failed(struct udp_sock *, const struct addr *,
		    uint8_t *);
static int	 send_plain(struct udp_sock *, const struct addr *,
		    const uint8_t *, size_t, size_t, size_t *);
static size_t	 recv_segment(struct msghdr *, size_t);

void
udp_init(void)
{
	int	 i;

	for (i = 0; i < 2; i++) {
		nd.n_udp[i].u_fd = -1;
		nd.n_udp[i].u_af = i == 0 ? AF_WIRE_INET : AF_WIRE_INET6;
	}
}

struct udp_sock *
udp_sock(uint8_t af)
{
	return &nd.n_udp[af == AF_WIRE_INET6];
}

static void
udp_read_cb(int fd, short events, void *arg)
{
	struct udp_sock	*u = arg;

	rx_wakeup(nd.n_rx, u->u_af);
}

static void
udp_write_cb(int fd, short events, void *arg)
{
	tx_unblock(nd.n_tx);
}

/* Ask for what the kernel has and the configuration does not forbid. */
void
udp_offloads(struct udp_sock *u)
{
	uint32_t	 force = nd.n_conf.force_path;
	socklen_t	 len;
	int		 v;

	u->u_gso = u->u_gro = u->u_gso_ok = 0;
	if (u->u_fd == -1)
		return;
#ifdef UDP_SEGMENT
	len = sizeof(v);
	if ((force & FORCE_NO_GSO) == 0 &&
	    getsockopt(u->u_fd, SOL_UDP, UDP_SEGMENT, &v, &len) == 0)
		u->u_gso = 1;
#endif
#ifdef UDP_GRO
	v = (force & FORCE_NO_GRO) == 0;
	if (setsockopt(u->u_fd, SOL_UDP, UDP_GRO, &v, sizeof(v)) == 0)
		u->u_gro = v;
#endif
	log_info("udp%d port %u:%s%s", u->u_af, u->u_port,
	    u->u_gso ? " gso" : "", u->u_gro ? " gro" : "");
}

static void
udp_close(struct udp_sock *u)
{
	if (u->u_fd == -1)
		return;
	event_del(&u->u_ev);
	event_del(&u->u_ev_write);
	close(u->u_fd);
	u->u_fd = -1;
}

void
udp_set(int fd, const struct msg_udp *m)
{
	struct udp_sock	*u = udp_sock(m->af);

	udp_close(u);
	u->u_fd = fd;
	u->u_port = m->port;
	udp_offloads(u);
	event_set(&u->u_ev, fd, EV_READ | EV_PERSIST, udp_read_cb, u);
	event_set(&u->u_ev_write, fd, EV_WRITE, udp_write_cb, u);
	if (event_add(&u->u_ev, NULL) == -1)
		fatal("event_add");
	tx_unblock(nd.n_tx);
}

int
udp_send(const struct addr *to, const void *buf, size_t len)
{
	struct sockaddr_storage	 ss;
	struct udp_sock		*u = udp_sock(to->a_af);
	socklen_t		 slen;

	if (u->u_fd == -1 || to->a_af == ADDR_DERP) {
		errno = EAFNOSUPPORT;
		return -1;
	}
	slen = addr_to_ss(to, &ss);
	if (sendto(u->u_fd, buf, len, MSG_DONTWAIT, (struct sockaddr *)&ss,
	    slen) == -1)
		return -1;
	return 0;
}

static int
send_gso(struct udp_sock *u, const struct addr *to, const uint8_t *buf,
    size_t len, size_t size)
{
#ifdef UDP_SEGMENT
	union {
		struct cmsghdr	 hdr;
		uint8_t		 buf[CMSG_SPACE(sizeof(uint16_t))];
	} cmsgbuf;
	struct sockaddr_storage	 ss;
	struct msghdr		 mh;
	struct cmsghdr		*cmsg;
	struct iovec		 iov;
	uint16_t		 seg = size;

	memset(&mh, 0, sizeof(mh));
	memset(&cmsgbuf, 0, sizeof(cmsgbuf));
	mh.msg_name = &ss;
	mh.msg_namelen = addr_to_ss(to, &ss);
	iov.iov_base = (void *)(uintptr_t)buf;
	iov.iov_len = len;
	mh.msg_iov = &iov;
	mh.msg_iovlen = 1;
	mh.msg_control = &cmsgbuf.buf;
	mh.msg_controllen = sizeof(cmsgbuf.buf);
	cmsg = CMSG_FIRSTHDR(&mh);
	cmsg->cmsg_level = SOL_UDP;
	cmsg->cmsg_type = UDP_SEGMENT;
	cmsg->cmsg_len = CMSG_LEN(sizeof(seg));
	memcpy(CMSG_DATA(cmsg), &seg, sizeof(seg));
	return sendmsg(u->u_fd, &mh, MSG_DONTWAIT) == -1 ? -1 : 0;
#else
	errno = EIO;
	return -1;
#endif
}

/*
 * EIO: the interface cannot do checksums, so no large send will ever work.
 * EINVAL, EMSGSIZE: most likely the route's MTU is below the segment size,
 * which says nothing of other paths.
 */
static void
gso_failed(struct udp_sock *u, const struct addr *to, uint8_t *nogso)
{
	char	 text[ADDR_TEXT];

	if (errno == EIO || !u->u_gso_ok) {
		log_warn("udp%d: large sends fail, going on without", u->u_af);
		u->u_gso = 0;
	} else {
		log_info("%s: large sends fail on this path",
		    addr_print(to, text));
		*nogso = 1;
	}
}

static int
send_plain(struct udp_sock *u, const struct addr *to, const uint8_t *buf,
    size_t len, size_t size, size_t *done)
{
	struct sockaddr_storage	 ss;
	struct mmsghdr		 mm[GSO_MAX_SEGS];
	struct iovec		 iov[GSO_MAX_SEGS];
	socklen_t		 slen;
	size_t			 off, part;
	int			 i, n;

	slen = addr_to_ss(to, &ss);
	memset(mm, 0, sizeof(mm));
	for (n = 0, off = *done; off < len && n < GSO_MAX_SEGS; n++) {
		part = len - off > size ? size : len - off;
		iov[n].iov_base = (void *)(uintptr_t)(buf + off);
		iov[n].iov_len = part;
		mm[n].msg_hdr.msg_name = &ss;
		mm[n].msg_hdr.msg_namelen = slen;
		mm[n].msg_hdr.msg_iov = &iov[n];
		mm[n].msg_hdr.msg_iovlen = 1;
		off += part;
	}
	if ((n = sendmmsg(u->u_fd, mm, n, MSG_DONTWAIT)) == -1) {
		if (errno != EAGAIN && errno != ENOBUFS)
			*done += iov[0].iov_len;
		return -1;
	}
	for (i = 0; i < n; i++)
		*done += iov[i].iov_len;
	return 0;
}

int
udp_send_many(const struct addr *to, const uint8_t *buf, size_t len,
    size_t size, size_t *done, uint8_t *nogso)
{
	struct udp_sock	*u = udp_sock(to->a_af);
	int		 calls = 0;

	if (u->u_fd == -1) {
		*done = len;
		errno = EAFNOSUPPORT;
		return -1;
	}
	if (*done == 0 && len > size && u->u_gso && !*nogso) {
		calls++;
		if (send_gso(u, to, buf, len, size) == 0) {
			u->u_gso_ok = 1;
			*done = len;
			return calls;
		}
		if (errno != EIO && errno != EINVAL && errno != EMSGSIZE) {
			if (errno != EAGAIN && errno != ENOBUFS)
				*done = len;
			return -1;
		}
		gso_failed(u, to, nogso);
	}
	while (*done < len) {
		calls++;
		if (send_plain(u, to, buf, len, size, done) == -1)
			return -1;
	}
	return calls;
}

/* EPERM comes of firewalls that know the socket's old owner or cgroup. */
void
udp_rebind(uint8_t af, int64_t now)
{
	struct udp_sock	*u = udp_sock(af);
	struct msg_u32	 m;

	if (u->u_rebind != 0 && now - u->u_rebind < REBIND_GAP)
		return;
	u->u_rebind = now;
	udp_close(u);			/* the new one gets its port */
	m.v = af;
	(void)chan_compose(proc_parent(), IMSG_UDP_REBIND, 0, -1, &m,
	    sizeof(m));
}

void
udp_wait_writable(uint8_t af)
{
	struct udp_sock	*u = udp_sock(af);

	if (event_add(&u->u_ev_write, NULL) == -1)
		fatal("event_add");
}

/* Size of the datagrams in a message; its own length if it is one. */
static size_t
recv_segment(struct msghdr *mh, size_t len)
{
#ifdef UDP_GRO
	struct cmsghdr	*cmsg;
	int		 v;

	for (cmsg = CMSG_FIRSTHDR(mh); cmsg != NULL;
	    cmsg = CMSG_NXTHDR(mh, cmsg)) {
		if (cmsg->cmsg_level != SOL_UDP ||
		    cmsg->cmsg_type != UDP_GRO ||
		    cmsg->cmsg_len < CMSG_LEN(sizeof(v)))
			continue;
		memcpy(&v, CMSG_DATA(cmsg), sizeof(v));
		if (v > 0)
			return v;
	}
#endif
	return len;
}

int
udp_recv(struct udp_sock *u, struct rx *rx, struct udp_in *in)
{
	struct sockaddr_storage	 ss[RX_MSGS_PLAIN];
	struct mmsghdr		 mm[RX_MSGS_PLAIN];
	struct iovec		 iov[RX_MSGS_PLAIN];
	uint64_t		 cmsgbuf[RX_MSGS_PLAIN][8];
	size_t			 room = RX_BUF;
	int			 i, k, n = RX_MSGS;

	if (u->u_fd == -1)
		return 0;
	if (!u->u_gro && nd.n_tun.t_mtu + WG_TRANSPORT_OVERHEAD <=
	    RX_BUF_PLAIN) {
		n = RX_MSGS_PLAIN;
		room = RX_BUF_PLAIN;
	}
	memset(mm, 0, n * sizeof(mm[0]));
	for (i = 0; i < n; i++) {
		iov[i].iov_base = rx->r_buf[0] + i * room;
		iov[i].iov_len = room;
		mm[i].msg_hdr.msg_name = &ss[i];
		mm[i].msg_hdr.msg_namelen = sizeof(ss[i]);
		mm[i].msg_hdr.msg_iov = &iov[i];
		mm[i].msg_hdr.msg_iovlen = 1;
		mm[i].msg_hdr.msg_control = cmsgbuf[i];
		mm[i].msg_hdr.msg_controllen = sizeof(cmsgbuf[i]);
	}
	if ((n = recvmmsg(u->u_fd, mm, n, MSG_DONTWAIT, NULL)) == -1)
		return -1;
	for (i = k = 0; i < n; i++) {
		if (mm[i].msg_len == 0 ||
		    mm[i].msg_hdr.msg_flags & MSG_TRUNC ||
		    addr_from_ss(&in[k].i_src, &ss[i]) == -1)
			continue;
		in[k].i_buf = iov[i].iov_base;
		in[k].i_len = mm[i].msg_len;
		in[k].i_seg = recv_segment(&mm[i].msg_hdr, mm[i].msg_len);
		k++;
	}
	/* All messages may have been bad: the caller still wants to go on. */
	return k == 0 && n > 0 ? 0 : k;
}
