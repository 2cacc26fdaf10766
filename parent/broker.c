/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The broker: connects sockets for children, who cannot.
 */

#include <sys/types.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shoald.h"

#define CONN_TIMEOUT	10		/* seconds */
#define CONN_MAX	16		/* under way, per child */
#define CONN_BURST	64
#define CONN_NS		(200 * 1000000LL)
#define UPSTREAM_BURST	64
#define UPSTREAM_NS	(20 * 1000000LL)

struct conn {
	TAILQ_ENTRY(conn)	 c_entry;
	struct event		 c_ev;
	struct proc_child	*c_child;
	enum msg_type		 c_reply;
	uint32_t		 c_id;
	int			 c_fd;
};

static TAILQ_HEAD(, conn)	 conns = TAILQ_HEAD_INITIALIZER(conns);
static struct bucket		 buckets[PROC_MAX];
static struct log_limit		 limit;
static uint16_t			 derp_ports[MSG_LIST_MAX];
static size_t			 nderp_ports;

static void
answer(struct proc_child *pc, enum msg_type type, uint32_t id, int error,
    int sys, int fd)
{
	struct msg_connected	 m;

	memset(&m, 0, sizeof(m));
	m.error = error;
	m.sys_errno = sys;
	(void)chan_compose(&pc->pc_chan, type, id, fd, &m, sizeof(m));
}

static void
conn_free(struct conn *c)
{
	(void)event_del(&c->c_ev);
	TAILQ_REMOVE(&conns, c, c_entry);
	if (c->c_fd != -1)
		close(c->c_fd);
	free(c);
}

static void
conn_cb(int fd, short events, void *arg)
{
	struct conn	*c = arg;
	socklen_t	 len;
	int		 error = 0;

	len = sizeof(error);
	if (events & EV_TIMEOUT)
		error = ETIMEDOUT;
	else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
		error = errno;
	if (error != 0) {
		answer(c->c_child, c->c_reply, c->c_id,
		    error == ETIMEDOUT ? MSG_E_TIMEOUT : MSG_E_CONN, error,
		    -1);
	} else {
		answer(c->c_child, c->c_reply, c->c_id, MSG_OK, 0, fd);
		c->c_fd = -1;		/* the channel's now */
	}
	conn_free(c);
}

static void
conn_wait(struct proc_child *pc, enum msg_type reply, uint32_t id, int fd)
{
	struct timeval	 tv = { CONN_TIMEOUT, 0 };
	struct conn	*c;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		shoald_stop("out of memory");
	c->c_child = pc;
	c->c_reply = reply;
	c->c_id = id;
	c->c_fd = fd;
	event_set(&c->c_ev, fd, EV_WRITE, conn_cb, c);
	(void)event_add(&c->c_ev, &tv);
	TAILQ_INSERT_TAIL(&conns, c, c_entry);
}

/*
 * A marked socket on its way to ep: 0 connected, 1 under way, -1 errno. Of
 * ICMP the kernel lets nothing through but echo and its answers.
 */
static int
conn_open(const struct msg_endpoint *ep, int type, int proto, int *fdp)
{
	struct sockaddr_storage	 ss;
	socklen_t		 len;
	int			 fd, on = 1, save;

	fd = socket(ep->af == AF_WIRE_INET ? AF_INET : AF_INET6,
	    type | SOCK_NONBLOCK | SOCK_CLOEXEC, proto);
	if (fd == -1)
		return -1;
	if (os_sock_escape(fd) == -1)
		log_warn("socket cannot be marked");
	if (type == SOCK_STREAM)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on,
		    sizeof(on));
	len = endpoint_ss(ep, &ss);
	*fdp = fd;
	if (connect(fd, (struct sockaddr *)&ss, len) == 0)
		return 0;
	if (errno == EINPROGRESS)
		return 1;
	save = errno;
	close(fd);
	errno = save;
	return -1;
}

static void
conn_start(struct proc_child *pc, enum msg_type reply, uint32_t id,
    const struct msg_endpoint *ep, int type, int proto)
{
	int	 fd;

	switch (conn_open(ep, type, proto, &fd)) {
	case 0:
		answer(pc, reply, id, MSG_OK, 0, fd);
		break;
	case 1:
		conn_wait(pc, reply, id, fd);
		break;
	default:
		answer(pc, reply, id, MSG_E_CONN, errno, -1);
		break;
	}
}

/* Too many at once, or too fast? */
static int
conn_allowed(const struct proc_child *pc, unsigned int burst, int64_t ns)
{
	struct conn	*c;
	unsigned int	 n = 0;

	TAILQ_FOREACH(c, &conns, c_entry)
		if (c->c_child == pc)
			n++;
	return n < CONN_MAX &&
	    bucket_take(&buckets[pc->pc_proc], os_now(), burst, ns);
}

static void
refuse(const struct proc_child *pc, const struct msg_endpoint *ep,
    const char *what)
{
	if (!log_limit(&limit, os_now(), 10, 60))
		return;
	log_warnx("%s: connection to %s port %u refused: %s", pc->pc_name,
	    ip_print(ep->af, ep->addr), ep->port, what);
}

int
broker_derp_ports(struct imsg *imsg)
{
	struct msg_nm_list	 ml;
	struct msg_u32		 port;
	const uint8_t		*elems;
	uint32_t		 i;

	if (msg_list(imsg, &ml, sizeof(ml), &elems) == -1 ||
	    msg_list_ok(imsg, sizeof(ml), ml.n, sizeof(port)) == -1 ||
	    ml.n > MSG_LIST_MAX)
		return -1;
	for (i = 0; i < ml.n; i++) {
		memcpy(&port, elems + i * sizeof(port), sizeof(port));
		if (port.v == 0 || port.v > UINT16_MAX)
			return -1;
		derp_ports[i] = port.v;
	}
	nderp_ports = ml.n;
	return 0;
}

static int
purpose_check(enum proc proc, const struct msg_connect *m)
{
	const struct shoal_conf	*c = shoald_conf();

	if (m->purpose == CONN_CONTROL && proc == PROC_CTRLD)
		return c->c_proxy.u_port != 0 ?
		    broker_check_proxy(&c->c_proxy, &m->ep) :
		    broker_check_control(&c->c_control, &m->ep);
	/* ctrld asks relays for names: dataplane.md 3.8. */
	if ((m->purpose == CONN_DERP && proc == PROC_CTRLD) ||
	    ((m->purpose == CONN_DERP || m->purpose == CONN_PROBE ||
	    m->purpose == CONN_ICMP) && proc == PROC_NETD))
		return broker_check_derp(derp_ports, nderp_ports, m->purpose,
		    &m->ep);
	if (m->purpose == CONN_UPNP && proc == PROC_PORTMAPD)
		return broker_check_gateway(gateway_ip(), &m->ep);
	return MSG_E_REFUSED;
}

int
broker_connect(struct proc_child *pc, struct imsg *imsg)
{
	struct msg_connect	 m;
	uint32_t		 id = imsg_get_id(imsg);
	int			 error;

	if (msg_get(imsg, &m, sizeof(m)) == -1)
		return -1;
	error = purpose_check(pc->pc_proc, &m);
	if (error == MSG_E_BAD)
		return -1;
	if (error == MSG_OK && !conn_allowed(pc, CONN_BURST, CONN_NS))
		error = MSG_E_RATE;
	if (error != MSG_OK) {
		/* netd may be faster than what ctrld tells of the map. */
		if (m.purpose == CONN_DERP && nderp_ports == 0)
			log_debug("%s: no relays are known yet", pc->pc_name);
		else
			refuse(pc, &m.ep, error == MSG_E_RATE ? "too many" :
			    "not what the configuration allows");
		answer(pc, IMSG_CONNECTED, id, error, 0, -1);
		return 0;
	}
	if (m.purpose == CONN_ICMP)
		conn_start(pc, IMSG_CONNECTED, id, &m.ep, SOCK_DGRAM,
		    IPPROTO_ICMP);
	else
		conn_start(pc, IMSG_CONNECTED, id, &m.ep, SOCK_STREAM, 0);
	return 0;
}

int
broker_upstream(struct proc_child *pc, struct imsg *imsg)
{
	struct msg_upstream	 m;
	const struct msg_ip	*list;
	uint32_t		 id = imsg_get_id(imsg);
	size_t			 n;
	int			 error;

	if (msg_get(imsg, &m, sizeof(m)) == -1)
		return -1;
	resolver_check();
	n = resolver_list(&list);
	if ((error = broker_check_upstream(list, n, &m.ep)) == MSG_E_BAD)
		return -1;
	if (error == MSG_OK && !conn_allowed(pc, UPSTREAM_BURST, UPSTREAM_NS))
		error = MSG_E_RATE;
	if (error != MSG_OK) {
		refuse(pc, &m.ep, error == MSG_E_RATE ? "too many" :
		    "not a resolver of this host");
		answer(pc, IMSG_UPSTREAM_SOCK, id, error, 0, -1);
		return 0;
	}
	conn_start(pc, IMSG_UPSTREAM_SOCK, id, &m.ep,
	    m.tcp ? SOCK_STREAM : SOCK_DGRAM, 0);
	return 0;
}

void
broker_child_lost(enum proc proc)
{
	struct conn	*c, *tmp;

	TAILQ_FOREACH_SAFE(c, &conns, c_entry, tmp)
		if (c->c_child->pc_proc == proc)
			conn_free(c);
}
