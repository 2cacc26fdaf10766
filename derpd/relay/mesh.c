/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Other relays of the mesh: a connection to each as its client, by which we
 * hear who is there, and pass on what our clients send to them.
 * Source: dataplane.md section 3.5.
 */

#include <sys/types.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "relay.h"

#define T_RETRY		5		/* seconds */
#define T_SILENT	120		/* keepalives come every 60 */
#define MESH_MAX	16

struct mesh {
	struct msg_conf_server	 m_server;
	struct tlsclient	 m_tls;
	struct event		 m_timer;
	char			 m_said[96];	/* last; not said twice */
	struct conn		*m_conn;	/* NULL: not connected */
	size_t			 m_index;	/* of the parent's servers */
	int			 m_dial;	/* -1: not under way */
	int			 m_self;	/* it is this relay */
	int			 m_up;		/* it takes us for its mesh */
	int			 m_used;
};

static struct mesh	 meshes[MESH_MAX];

static void
mesh_say(struct mesh *m, const char *what)
{
	if (strncmp(m->m_said, what, sizeof(m->m_said) - 1) == 0)
		return;
	(void)strlcpy(m->m_said, what, sizeof(m->m_said));
	log_warnx("mesh with %s port %u: %s", m->m_server.host,
	    m->m_server.port, what);
}

static void
mesh_later(struct mesh *m)
{
	struct timeval	 tv = { T_RETRY, 0 };

	if (m->m_used && !m->m_self)
		(void)evtimer_add(&m->m_timer, &tv);
}

static void
mesh_connected(int fd, void *arg)
{
	struct mesh	*m = arg;
	SSL		*ssl;

	m->m_dial = -1;
	if (fd == -1) {
		mesh_say(m, strerror(errno));
		mesh_later(m);
		return;
	}
	servers_prove(&m->m_server, &m->m_tls);
	if ((ssl = tlsclient_new(fd, &m->m_tls)) == NULL) {
		mesh_say(m, m->m_tls.tc_why);
		close(fd);
		mesh_later(m);
		return;
	}
	m->m_conn = conn_dialed(fd, ssl, m);
	conn_sweep();
}

static void
mesh_timer_cb(int fd, short events, void *arg)
{
	struct mesh	*m = arg;

	m->m_dial = dial(m->m_index, mesh_connected, m);
	if (m->m_dial == -1)
		mesh_later(m);
}

void
mesh_lost(struct mesh *m, const struct conn *c)
{
	if (m->m_conn != c)
		return;
	m->m_conn = NULL;
	if (c->c_state == CONN_OPEN)
		mesh_say(m, m->m_up ? "connection lost" :
		    "it ends the connection: is its mesh key another one?");
	m->m_up = 0;
	mesh_later(m);
}

static int
mesh_same(const struct mesh *m, const struct msg_conf_server *s)
{
	return m->m_used && memcmp(&m->m_server, s, sizeof(*s)) == 0;
}

static void
mesh_stop(struct mesh *m)
{
	struct conn	*c = m->m_conn;

	m->m_used = 0;
	(void)evtimer_del(&m->m_timer);
	dial_cancel(m->m_dial);
	m->m_conn = NULL;
	if (c != NULL)
		conn_kill(c);
}

static void
mesh_start(struct mesh *m, const struct msg_conf_server *s, size_t index)
{
	struct timeval	 tv = { 0, 0 };

	if (m->m_used)
		mesh_stop(m);
	memset(m, 0, sizeof(*m));
	m->m_server = *s;
	m->m_index = index;
	m->m_dial = -1;
	m->m_used = 1;
	evtimer_set(&m->m_timer, mesh_timer_cb, m);
	(void)evtimer_add(&m->m_timer, &tv);
}

void
mesh_commit(void)
{
	const struct msg_conf_server	*s;
	size_t				 i, n = 0;

	for (i = 0; i < MESH_MAX; i++) {
		if ((s = servers_next(SERVER_MESH, &n)) == NULL)
			break;
		if (mesh_same(&meshes[i], s))
			meshes[i].m_index = n - 1;
		else
			mesh_start(&meshes[i], s, n - 1);
	}
	for (; i < MESH_MAX; i++)
		if (meshes[i].m_used)
			mesh_stop(&meshes[i]);
}

/* --- what is said --- */

void
mesh_failed(struct conn *c)
{
	mesh_say(c->c_mesh, tlsclient_error(c->c_ssl, -1,
	    &c->c_mesh->m_tls));
}

void
mesh_shaken(struct conn *c)
{
	char	 out[512];
	int	 n;

	n = snprintf(out, sizeof(out), "GET /derp HTTP/1.1\r\nHost: %s\r\n"
	    "Connection: Upgrade\r\nUpgrade: DERP\r\n\r\n",
	    c->c_mesh->m_server.host);
	conn_write(c, (uint8_t *)out, n);
}

static ssize_t
mesh_head(struct conn *c, const uint8_t *data, size_t len)
{
	const uint8_t	*end;

	if ((end = memmem(data, len, "\r\n\r\n", 4)) == NULL)
		return len < HEAD_MAX ? 0 : -1;
	if (len < 13 || memcmp(data, "HTTP/1.1 101 ", 13) != 0) {
		mesh_say(c->c_mesh, "it is no relay");
		return -1;
	}
	c->c_state = CONN_LOGIN;
	return end + 4 - data;
}

static ssize_t
mesh_greeting(struct conn *c, const uint8_t *data, size_t len)
{
	struct derp_frame	 f;
	struct msg_key		 m;
	struct mesh		*mesh = c->c_mesh;
	uint64_t		 n;

	if ((n = derp_frame_parse(data, len, &f)) == 0)
		return 0;
	if (f.df_len > DERP_SERVERKEY_MAX)
		return -1;
	if (n > len)
		return 0;
	memset(&m, 0, sizeof(m));
	if (derp_server_key_parse(&f, m.key) == -1)
		return -1;
	if (relay_key() != NULL && memcmp(m.key, relay_key(),
	    sizeof(m.key)) == 0) {
		log_info("mesh with %s: that is this relay",
		    mesh->m_server.host);
		mesh->m_self = 1;
		return -1;
	}
	if (chan_compose(relay_crypt(), IMSG_MESH_LOGIN, mesh - meshes, -1,
	    &m, sizeof(m)) == -1)
		return -1;
	c->c_state = CONN_CRYPT;
	event_del(&c->c_ev_read);
	return n;
}

void
mesh_login_done(uint32_t id, const struct msg_mesh_login *ml)
{
	struct derp_msg	 m;
	struct conn	*c;
	uint8_t		 watch[DERP_SMALL_MAX];

	if (id >= MESH_MAX || (c = meshes[id].m_conn) == NULL ||
	    c->c_state != CONN_CRYPT || c->c_is_dead)
		return;
	if (ml->error != MSG_OK || ml->len > sizeof(ml->frame)) {
		mesh_say(&meshes[id], msg_strerror(ml->error));
		conn_kill(c);
		return;
	}
	c->c_state = CONN_OPEN;
	core_fwd_open(&c->c_client);
	conn_write(c, ml->frame, ml->len);
	memset(&m, 0, sizeof(m));
	m.dm_type = DERP_WATCH_CONNS;
	conn_write(c, watch, derp_build(&m, watch));
	conn_timer(c, T_SILENT * 1000);
	event_add(&c->c_ev_read, NULL);
}

/* The first one is ourselves, at least. */
static void
mesh_is_up(struct mesh *m)
{
	if (m->m_up)
		return;
	m->m_up = 1;
	m->m_said[0] = '\0';
	log_info("mesh with %s port %u: connected", m->m_server.host,
	    m->m_server.port);
}

static void
mesh_frame(struct conn *c, const struct derp_frame *f)
{
	struct derp_msg	 m;

	if (derp_client_parse(f, &m) != 1)
		return;
	switch (m.dm_type) {
	case DERP_PEER_PRESENT:
		mesh_is_up(c->c_mesh);
		if (relay_key() == NULL || memcmp(m.dm_key, relay_key(),
		    DERP_KEY_LEN) != 0)
			core_fwd_present(&c->c_client, m.dm_key);
		break;
	case DERP_PEER_GONE:
		core_fwd_absent(&c->c_client, m.dm_key);
		break;
	default:
		break;
	}
}

static ssize_t
mesh_frames(struct conn *c, const uint8_t *data, size_t len)
{
	struct derp_frame	 f;
	uint64_t		 n;
	size_t			 off = 0;

	conn_timer(c, T_SILENT * 1000);
	while ((n = derp_frame_parse(data + off, len - off, &f)) != 0) {
		if (n > DERP_FORWARD_HDR_LEN + DERP_PACKET_MAX)
			return -1;
		if (n > len - off)
			break;
		mesh_frame(c, &f);
		off += n;
	}
	return off;
}

ssize_t
mesh_input(struct conn *c, const uint8_t *data, size_t len)
{
	switch (c->c_state) {
	case CONN_HEAD:
		return mesh_head(c, data, len);
	case CONN_LOGIN:
		return mesh_greeting(c, data, len);
	case CONN_OPEN:
		return mesh_frames(c, data, len);
	default:
		return 0;
	}
}
