/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Queries of this host and of the tailnet, by UDP; and what TCP shares. Only
 * what came in by loopback or the tunnel is served: a host's address answers
 * on every interface.
 */

#include <sys/types.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include <net/if.h>
#include <netinet/in.h>
#ifdef IP_RECVIF
#include <net/if_dl.h>
#endif

#include <errno.h>
#include <event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "channel.h"
#include "dnsd.h"
#include "log.h"
#include "os.h"

#define SOCKS_MAX	8
#define JOBS_MAX	64		/* forwarded at once */
#define JOB_SEC		10
#define BURST		32		/* packets of one event */
#define QUERY_MAX	4096

struct sock {
	int		 s_fd;
	int		 s_tcp;
	unsigned int	 s_ifindex;
	struct event	 s_ev;
};

/* A query that is asked of others. */
struct serve_job {
	TAILQ_ENTRY(serve_job)	 j_entry;
	struct dns_query	 j_query;
	struct up_query		*j_up;
	struct event		 j_timer;
	size_t			 j_max;
	void			(*j_done)(void *, const uint8_t *, size_t);
	void			*j_arg;
};

/* Where an answer by UDP goes. */
struct udp_client {
	struct sockaddr_storage	 u_addr;
	socklen_t		 u_len;
	int			 u_fd;
	unsigned int		 u_generation;	/* of the sockets */
};

static struct sock		 socks[SOCKS_MAX];
static size_t			 nsocks;
static unsigned int		 generation;
static unsigned int		 loopback;
static TAILQ_HEAD(, serve_job)	 jobs = TAILQ_HEAD_INITIALIZER(jobs);
static unsigned int		 njobs;

static enum up_verdict	job_judge(void *, uint16_t, const uint8_t *, size_t);
static void		job_answered(void *, uint8_t *, size_t);

static const struct up_cb	 job_cb = { job_judge, job_answered };

/* Before the sandbox closes: the name is not to be had inside. */
void
serve_init(void)
{
	if ((loopback = if_nametoindex("lo")) == 0)
		loopback = if_nametoindex("lo0");
}

/* --- queries that others answer --- */

static void
job_free(struct serve_job *j)
{
	up_cancel(j->j_up);
	(void)evtimer_del(&j->j_timer);
	TAILQ_REMOVE(&jobs, j, j_entry);
	njobs--;
	free(j);
}

void
serve_cancel(struct serve_job *j)
{
	if (j != NULL)
		job_free(j);
}

static void
job_finish(struct serve_job *j, const uint8_t *msg, size_t len)
{
	void	(*done)(void *, const uint8_t *, size_t) = j->j_done;
	void	 *arg = j->j_arg;

	job_free(j);
	done(arg, msg, len);
}

static void
job_servfail(struct serve_job *j)
{
	uint8_t	 out[512];
	size_t	 n;

	n = dns_reply_servfail(&j->j_query, out, sizeof(out));
	job_finish(j, out, n);
}

static void
job_timer_cb(int fd, short events, void *arg)
{
	job_servfail(arg);
}

static enum up_verdict
job_judge(void *arg, uint16_t id, const uint8_t *msg, size_t len)
{
	struct serve_job	*j = arg;
	struct dns_query	 q;
	int			 rcode;

	(void)dns_query_parse(&q, msg, len);
	if (!q.has_question || (q.flags & DNS_F_QR) == 0 || q.id != id ||
	    q.type != j->j_query.type || q.class != j->j_query.class ||
	    strcmp(q.lower.text, j->j_query.lower.text) != 0)
		return UP_IGNORE;
	if (q.flags & DNS_F_TC)
		return UP_TRUNCATED;
	rcode = q.flags & 0x000f;
	return rcode == DNS_R_SERVFAIL || rcode == DNS_R_REFUSED ? UP_NEXT :
	    UP_FINAL;
}

static void
job_answered(void *arg, uint8_t *msg, size_t len)
{
	struct serve_job	*j = arg;

	j->j_up = NULL;			/* freed by its own */
	if (len > 0)
		len = dns_reply_adopt(&j->j_query, msg, len, j->j_max);
	if (len > 0)
		job_finish(j, msg, len);
	else
		job_servfail(j);
}

static struct serve_job *
job_start(const uint8_t *msg, size_t len, const struct dns_query *q,
    const struct servers *servers, size_t max,
    void (*done)(void *, const uint8_t *, size_t), void *arg)
{
	struct timeval		 tv = { JOB_SEC, 0 };
	struct serve_job	*j;

	if (njobs == JOBS_MAX)
		return NULL;
	if ((j = calloc(1, sizeof(*j))) == NULL)
		fatal(NULL);
	j->j_query = *q;
	j->j_max = max;
	j->j_done = done;
	j->j_arg = arg;
	evtimer_set(&j->j_timer, job_timer_cb, j);
	TAILQ_INSERT_TAIL(&jobs, j, j_entry);
	njobs++;
	if ((j->j_up = up_ask(msg, len, servers, &job_cb, j)) == NULL) {
		job_free(j);
		return NULL;
	}
	if (evtimer_add(&j->j_timer, &tv) == -1)
		fatal("evtimer_add");
	return j;
}

struct serve_job *
serve_query(const uint8_t *msg, size_t len, int udp,
    void (*done)(void *, const uint8_t *, size_t), void *arg)
{
	const struct servers	*servers;
	struct serve_job	*j;
	struct dns_query	 q;
	uint8_t			 out[DNS_UDP_MAX];
	size_t			 n, max;

	if (dns_query_parse(&q, msg, len) == -1)
		/* An answer to an answer could go to and fro for ever. */
		n = q.flags & DNS_F_QR ? 0 : dns_reply_empty(&q,
		    DNS_R_FORMERR, DNS_F_AA, out, sizeof(out));
	else if ((n = names_answer(&q, out, &servers)) == 0) {
		max = udp ? q.udp_size : UINT16_MAX;
		j = job_start(msg, len, &q, servers, max, done, arg);
		if (j != NULL)
			return j;
		n = dns_reply_servfail(&q, out, sizeof(out));
	}
	if (n > 0 && udp && n > q.udp_size)
		n = dns_reply_adopt(&q, out, n, q.udp_size);
	done(arg, out, n);
	return NULL;
}

/* --- UDP --- */

static void
udp_done(void *arg, const uint8_t *msg, size_t len)
{
	struct udp_client	*u = arg;

	if (len > 0 && u->u_generation == generation)
		(void)sendto(u->u_fd, msg, len, 0,
		    (struct sockaddr *)&u->u_addr, u->u_len);
	free(u);
}

/* The interface that a packet came in by; 0: not told. */
static unsigned int
cmsg_ifindex(struct msghdr *msg)
{
	struct cmsghdr		*c;
#if defined(IP_PKTINFO)
	struct in_pktinfo	 p4;
#elif defined(IP_RECVIF)
	struct sockaddr_dl	 p4;
#endif
	struct in6_pktinfo	 p6;

	for (c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
#if defined(IP_PKTINFO)
		if (c->cmsg_level == IPPROTO_IP &&
		    c->cmsg_type == IP_PKTINFO) {
			memcpy(&p4, CMSG_DATA(c), sizeof(p4));
			return p4.ipi_ifindex;
		}
#elif defined(IP_RECVIF)
		if (c->cmsg_level == IPPROTO_IP &&
		    c->cmsg_type == IP_RECVIF) {
			memcpy(&p4, CMSG_DATA(c),
			    offsetof(struct sockaddr_dl, sdl_type));
			return p4.sdl_index;
		}
#endif
		if (c->cmsg_level == IPPROTO_IPV6 &&
		    c->cmsg_type == IPV6_PKTINFO) {
			memcpy(&p6, CMSG_DATA(c), sizeof(p6));
			return p6.ipi6_ifindex;
		}
	}
	return 0;
}

static int
udp_read(struct sock *s)
{
	union {
		struct cmsghdr	 hdr;
		char		 buf[256];
	} cmsg;
	struct msghdr		 msg;
	struct iovec		 iov;
	struct udp_client	*u;
	uint8_t			 buf[QUERY_MAX];
	ssize_t			 n;
	unsigned int		 ifindex;

	if ((u = calloc(1, sizeof(*u))) == NULL)
		fatal(NULL);
	memset(&msg, 0, sizeof(msg));
	iov.iov_base = buf;
	iov.iov_len = sizeof(buf);
	msg.msg_iov = &iov;
	msg.msg_iovlen = 1;
	msg.msg_name = &u->u_addr;
	msg.msg_namelen = sizeof(u->u_addr);
	msg.msg_control = cmsg.buf;
	msg.msg_controllen = sizeof(cmsg.buf);
	if ((n = recvmsg(s->s_fd, &msg, 0)) == -1) {
		free(u);
		return errno == EAGAIN ? -1 : 0;
	}
	ifindex = cmsg_ifindex(&msg);
	if (ifindex == 0 || (ifindex != s->s_ifindex && ifindex != loopback) ||
	    msg.msg_flags & MSG_TRUNC) {
		free(u);
		return 0;
	}
	u->u_len = msg.msg_namelen;
	u->u_fd = s->s_fd;
	u->u_generation = generation;
	(void)serve_query(buf, n, 1, udp_done, u);
	return 0;
}

static void
sock_event_cb(int fd, short events, void *arg)
{
	struct sock	*s = arg;
	int		 i;

	if (s->s_tcp) {
		tcp_accept(fd);
		return;
	}
	for (i = 0; i < BURST; i++)
		if (udp_read(s) == -1)
			break;
}

/*
 * By TCP the kernel does not tell the interface: loopback, and tailnet
 * addresses, whose answers go through the tunnel whoever asked.
 */
int
serve_allowed_peer(const uint8_t *addr, int af)
{
	static const uint8_t	 ula[6] = {
		0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0
	};
	static const uint8_t	 lo6[16] = { [15] = 1 };

	if (af == AF_WIRE_INET)
		return addr[0] == 127 ||
		    (addr[0] == 100 && (addr[1] & 0xc0) == 64);
	return memcmp(addr, ula, sizeof(ula)) == 0 ||
	    memcmp(addr, lo6, sizeof(lo6)) == 0;
}

int
serve_sock(struct imsg *imsg)
{
	struct msg_dns_sock	 m;
	struct sock		*s;
	int			 fd, flags;

	fd = imsg_get_fd(imsg);
	if (msg_get(imsg, &m, sizeof(m)) == -1 || nsocks == SOCKS_MAX ||
	    (flags = fcntl(fd, F_GETFL)) == -1 ||
	    fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1) {
		(void)close(fd);
		return -1;
	}
	s = &socks[nsocks++];
	s->s_fd = fd;
	s->s_tcp = m.tcp != 0;
	s->s_ifindex = m.ifindex;
	event_set(&s->s_ev, fd, EV_READ | EV_PERSIST, sock_event_cb, s);
	if (event_add(&s->s_ev, NULL) == -1)
		fatal("event_add");
	return 0;
}

void
serve_reset(void)
{
	size_t	 i;

	tcp_reset();
	for (i = 0; i < nsocks; i++) {
		(void)event_del(&socks[i].s_ev);
		(void)close(socks[i].s_fd);
	}
	nsocks = 0;
	generation++;
}
