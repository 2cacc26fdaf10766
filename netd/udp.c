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
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ecn.h"
#include "hardnat.h"
#include "netd.h"
#include "tx.h"

#ifndef SOL_UDP
#define SOL_UDP		17
#endif

#define REBIND_GAP	(5 * NSEC)
#define UDP_MSGS	64		/* of one system call */

struct udp_msgs {
	struct mmsghdr		 um_msg[UDP_MSGS];
	struct iovec		 um_iov[UDP_MSGS];
	struct sockaddr_storage	 um_ss[UDP_MSGS];
	union {
		struct cmsghdr	 hdr;
		uint8_t		 buf[CMSG_SPACE(sizeof(uint16_t)) +
				    CMSG_SPACE(sizeof(int))];
	}			 um_cmsg[UDP_MSGS];
};

/* Further sockets, by number. */
static struct udp_sock	*more[UDP_MORE + 1];
static struct udp_sock	 none = { .u_fd = -1 };

static void	 udp_close(struct udp_sock *);
static void	 udp_open(struct udp_sock *, int, const struct msg_udp *);
static void	 udp_read_cb(int, short, void *);
static void	 udp_write_cb(int, short, void *);
static int	 forbidden(void);
static void	 out_get(struct udp_out *, const struct udp_sock *);
static void	 out_put(const struct udp_out *, struct udp_sock *);
static size_t	 msg_fill(struct udp_msgs *, int, const struct udp_out *,
		    const struct tx_group *, size_t);
static int	 msgs_fill(struct udp_msgs *, const struct udp_out *,
		    const struct tx_group *, size_t);
static int	 msg_failed(struct udp_out *, struct tx_group *, size_t);
static void	 recv_control(struct msghdr *, struct udp_in *);

LOCKED_CB(udp_read_cb)
LOCKED_CB(udp_write_cb)

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

	rx_wakeup(nd.n_rx, u);
}

static void
udp_write_cb(int fd, short events, void *arg)
{
	tx_unblock();
}

/* The server wants no packets but TCP to relays: dataplane.md 3.7. */
static int
forbidden(void)
{
	return (nd.n_self.flags & SELF_ONLY_443) != 0;
}

/* Ask for what the kernel has and nobody forbids. */
void
udp_offloads(struct udp_sock *u)
{
	uint32_t	 force = nd.n_conf.force_path;
	socklen_t	 len;
	int		 v;

	if (nd.n_self.flags & SELF_NO_UDP_GSO)
		force |= FORCE_NO_GSO;
	if (nd.n_self.flags & SELF_NO_UDP_GRO)
		force |= FORCE_NO_GRO;
	u->u_gso = u->u_gro = 0;
	if (u->u_fd == -1)
		return;
#ifdef UDP_SEGMENT
	len = sizeof(v);
	if ((force & FORCE_NO_GSO) == 0 &&
	    getsockopt(u->u_fd, SOL_UDP, UDP_SEGMENT, &v, &len) == 0)
		u->u_gso = 1;
#else
	(void)force;			/* there is nothing to forbid */
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
	sender_leave_sockets();
	event_del(&u->u_ev);
	event_del(&u->u_ev_write);
	close(u->u_fd);
	u->u_fd = -1;
}

static void
udp_open(struct udp_sock *u, int fd, const struct msg_udp *m)
{
	u->u_fd = fd;
	u->u_port = m->port;
	event_set(&u->u_ev, fd, EV_READ | EV_PERSIST, udp_read_cb_locked, u);
	event_set(&u->u_ev_write, fd, EV_WRITE, udp_write_cb_locked, u);
	if (event_add(&u->u_ev, NULL) == -1)
		fatal("event_add");
}

void
udp_set(int fd, const struct msg_udp *m)
{
	struct udp_sock	*u = udp_sock(m->af);

	udp_close(u);
	udp_open(u, fd, m);
	udp_offloads(u);
	tx_unblock();
}

struct udp_sock *
udp_sock_for(const struct addr *a)
{
	if (a->a_sock == 0)
		return udp_sock(a->a_af);
	return more[a->a_sock] != NULL ? more[a->a_sock] : &none;
}

/* Without large sends until it is worth asking the kernel for them. */
void
udp_more_set(unsigned int n, int fd, const struct msg_udp *m)
{
	if ((more[n] = calloc(1, sizeof(*more[n]))) == NULL)
		fatal(NULL);
	more[n]->u_af = m->af;
	more[n]->u_sock = n;
	udp_open(more[n], fd, m);
}

/* What waits for it is sent to nowhere, and so by the relay. */
void
udp_more_close(unsigned int n)
{
	struct udp_sock	*u = more[n];

	if (u == NULL)
		return;
	more[n] = NULL;
	udp_close(u);
	free(u);
	tx_unblock();
}

int
udp_send(const struct addr *to, const void *buf, size_t len)
{
	struct sockaddr_storage	 ss;
	struct udp_sock		*u = udp_sock_for(to);
	socklen_t		 slen;

	if (u->u_fd == -1 || to->a_af == ADDR_DERP || forbidden()) {
		errno = EAFNOSUPPORT;
		return -1;
	}
	slen = addr_to_ss(to, &ss);
	if (sendto(u->u_fd, buf, len, MSG_DONTWAIT, (struct sockaddr *)&ss,
	    slen) == -1)
		return -1;
	return 0;
}

static void
out_get(struct udp_out *uo, const struct udp_sock *u)
{
	uo->uo_fd = forbidden() ? -1 : u->u_fd;
	uo->uo_gso = u->u_gso;
	uo->uo_failed = 0;
}

static void
out_put(const struct udp_out *uo, struct udp_sock *u)
{
	if (!uo->uo_failed || !u->u_gso)
		return;
	log_warn("udp%d: large sends fail, going on without", u->u_af);
	u->u_gso = 0;
}

void
udp_out_get(struct tx *tx)
{
	unsigned int	 i;

	for (i = 0; i < 2; i++)
		out_get(&tx->t_udp[i], &nd.n_udp[i]);
	for (i = 0; i < tx->t_ndest; i++)
		udp_out_dest(&tx->t_dest[i]);
}

void
udp_out_dest(struct tx_dest *d)
{
	if (d->d_to.pt_addr.a_sock != 0)
		out_get(&d->d_udp, udp_sock_for(&d->d_to.pt_addr));
}

void
udp_out_put(const struct tx *tx)
{
	const struct tx_dest	*d;
	unsigned int		 i;

	for (i = 0; i < 2; i++)
		out_put(&tx->t_udp[i], &nd.n_udp[i]);
	for (i = 0; i < tx->t_ndest; i++) {
		d = &tx->t_dest[i];
		if (d->d_to.pt_addr.a_sock != 0)
			out_put(&d->d_udp, udp_sock_for(&d->d_to.pt_addr));
	}
}

struct udp_out *
udp_out_of(struct tx *tx, struct tx_group *g)
{
	return g->g_addr.a_sock != 0 ? &g->g_dest->d_udp :
	    &tx->t_udp[g->g_addr.a_af == AF_WIRE_INET6];
}

/* Room for the next control message, of that payload. */
static struct cmsghdr *
cmsg_add(struct udp_msgs *um, int n, size_t len)
{
	struct msghdr	*mh = &um->um_msg[n].msg_hdr;
	uint8_t		*p = um->um_cmsg[n].buf + mh->msg_controllen;
	struct cmsghdr	*cmsg = (struct cmsghdr *)(void *)p;

	mh->msg_control = um->um_cmsg[n].buf;
	mh->msg_controllen += CMSG_SPACE(len);
	cmsg->cmsg_len = CMSG_LEN(len);
	return cmsg;
}

/* One message, the rest of a group or a datagram of it. Its bytes. */
static size_t
msg_fill(struct udp_msgs *um, int n, const struct udp_out *uo,
    const struct tx_group *g, size_t off)
{
	struct msghdr	*mh = &um->um_msg[n].msg_hdr;
	size_t		 len = g->g_len - off;
#ifdef UDP_SEGMENT
	struct cmsghdr	*cmsg;
	uint16_t	 seg = g->g_size;
#endif

	mh->msg_iov = &um->um_iov[n];
	mh->msg_iovlen = 1;
	um->um_iov[n].iov_base = g->g_buf + off;
#ifdef UDP_SEGMENT
	if (len > g->g_size && uo->uo_gso && !g->g_dest->d_nogso) {
		cmsg = cmsg_add(um, n, sizeof(seg));
		cmsg->cmsg_level = SOL_UDP;
		cmsg->cmsg_type = UDP_SEGMENT;
		memcpy(CMSG_DATA(cmsg), &seg, sizeof(seg));
	} else
#endif
	if (len > g->g_size)
		len = g->g_size;
	um->um_iov[n].iov_len = len;
	if (g->g_dest->d_to.pt_ecn != 0)
		os_cmsg_tos(cmsg_add(um, n, sizeof(int)), g->g_addr.a_af,
		    g->g_dest->d_to.pt_ecn);
	return len;
}

/* Messages of as many groups as fit and go by the same socket. */
static int
msgs_fill(struct udp_msgs *um, const struct udp_out *uo,
    const struct tx_group *g, size_t ngroup)
{
	struct sockaddr_storage	*ss;
	socklen_t		 slen;
	size_t			 i, off;
	int			 n = 0;

	for (i = 0; i < ngroup && n < UDP_MSGS; i++) {
		if (g[i].g_addr.a_af != g[0].g_addr.a_af ||
		    g[i].g_addr.a_sock != g[0].g_addr.a_sock)
			break;
		ss = &um->um_ss[n];
		slen = addr_to_ss(&g[i].g_addr, ss);
		for (off = g[i].g_sent; off < g[i].g_len && n < UDP_MSGS;
		    n++) {
			memset(&um->um_msg[n], 0, sizeof(um->um_msg[n]));
			um->um_msg[n].msg_hdr.msg_name = ss;
			um->um_msg[n].msg_hdr.msg_namelen = slen;
			off += msg_fill(um, n, uo, &g[i], off);
		}
	}
	return n;
}

/*
 * The first message did not go. A large one: EIO, the interface cannot do
 * checksums, so none will ever work; EINVAL, EMSGSIZE, the route's MTU is
 * below the segment size, which says nothing of other paths. 0: try again,
 * one by one. Else it is skipped.
 */
static int
msg_failed(struct udp_out *uo, struct tx_group *g, size_t len)
{
	if (errno == EAGAIN || errno == ENOBUFS)
		return -1;
	if (len > g->g_size &&
	    (errno == EIO || errno == EINVAL || errno == EMSGSIZE)) {
		if (errno == EIO) {
			uo->uo_gso = 0;
			uo->uo_failed = 1;
		} else
			g->g_dest->d_nogso = g->g_dest->d_newly = 1;
		return 0;
	}
	g->g_sent += len;
	return -1;
}

int
udp_send_groups(struct udp_out *uo, struct tx_group *g, size_t ngroup)
{
	struct udp_msgs	 um;
	int		 i, n;

	if (uo->uo_fd == -1) {
		g->g_sent = g->g_len;
		errno = EAFNOSUPPORT;
		return -1;
	}
	n = msgs_fill(&um, uo, g, ngroup);
	if ((n = sendmmsg(uo->uo_fd, um.um_msg, n, MSG_DONTWAIT)) == -1)
		return msg_failed(uo, g, um.um_iov[0].iov_len);
	for (i = 0; i < n; i++) {
		while (g->g_sent == g->g_len)
			g++;
		g->g_sent += um.um_iov[i].iov_len;
	}
	return n;
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
udp_wait_writable(const struct addr *to)
{
	struct udp_sock	*u = udp_sock_for(to);

	if (u == &none)			/* closed since: soon tried again */
		u = udp_sock(to->a_af);
	if (event_add(&u->u_ev_write, NULL) == -1)
		fatal("event_add");
}

/* Mark and size of the datagrams in a message; its own length if it is one. */
static void
recv_control(struct msghdr *mh, struct udp_in *in)
{
	struct cmsghdr	*cmsg;
	int		 v;

	in->i_seg = in->i_len;
	in->i_ecn = 0;
	for (cmsg = CMSG_FIRSTHDR(mh); cmsg != NULL;
	    cmsg = CMSG_NXTHDR(mh, cmsg)) {
#ifdef UDP_GRO
		if (cmsg->cmsg_level == SOL_UDP &&
		    cmsg->cmsg_type == UDP_GRO &&
		    cmsg->cmsg_len >= CMSG_LEN(sizeof(v))) {
			memcpy(&v, CMSG_DATA(cmsg), sizeof(v));
			if (v > 0)
				in->i_seg = v;
			continue;
		}
#endif
		if ((v = os_cmsg_get_tos(cmsg)) != -1)
			in->i_ecn = v & ECN_MASK;
	}
}

int
udp_recv(struct udp_sock *u, struct rx *rx, struct udp_in *in)
{
	struct sockaddr_storage	 ss[RX_MSGS];
	struct mmsghdr		 mm[RX_MSGS];
	struct iovec		 iov[RX_MSGS];
	uint64_t		 cmsgbuf[RX_MSGS][8];
	size_t			 bytes = 0, room = RX_BUF;
	int			 i, k, n, ask = rx->r_ask;

	if (u->u_fd == -1)
		return 0;
	if (!u->u_gro && nd.n_tun.t_mtu + WG_TRANSPORT_OVERHEAD <=
	    RX_BUF_PLAIN) {
		ask = RX_MSGS;
		room = RX_BUF_PLAIN;
	} else if (ask == 0)
		ask = RX_MSGS_LARGE;
	memset(mm, 0, ask * sizeof(mm[0]));
	for (i = 0; i < ask; i++) {
		iov[i].iov_base = rx->r_buf[0] + i * room;
		iov[i].iov_len = room;
		mm[i].msg_hdr.msg_name = &ss[i];
		mm[i].msg_hdr.msg_namelen = sizeof(ss[i]);
		mm[i].msg_hdr.msg_iov = &iov[i];
		mm[i].msg_hdr.msg_iovlen = 1;
		mm[i].msg_hdr.msg_control = cmsgbuf[i];
		mm[i].msg_hdr.msg_controllen = sizeof(cmsgbuf[i]);
	}
	if ((n = recvmmsg(u->u_fd, mm, ask, MSG_DONTWAIT, NULL)) == -1)
		return -1;
	for (i = k = 0; i < n; i++) {
		if (mm[i].msg_len == 0 || forbidden() ||
		    mm[i].msg_hdr.msg_flags & MSG_TRUNC ||
		    addr_from_ss(&in[k].i_src, &ss[i]) == -1)
			continue;
		in[k].i_src.a_sock = u->u_sock;
		in[k].i_buf = iov[i].iov_base;
		in[k].i_len = mm[i].msg_len;
		bytes += mm[i].msg_len;
		recv_control(&mm[i].msg_hdr, &in[k]);
		k++;
	}
	/* What is read must still be in the cache when it is opened. */
	if (bytes > (size_t)n * RX_SMALL)
		rx->r_ask = RX_MSGS_LARGE;
	else if (n == ask)
		rx->r_ask = RX_MSGS;
	return k;
}
