/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * cryptod as it runs: confined, with this test as its parent, netd and
 * ctrld.  Needs root, or says that it was left out.
 */

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "channel.h"
#include "imsg.h"
#include "keys.h"
#include "messages.h"
#include "noise.h"
#include "os.h"
#include "proc.h"
#include "wg.h"

#define CRYPTOD	"../../cryptod/cryptod"
#define URL	"http://c.example"

struct end {
	const char	*e_name;
	struct imsgbuf	 e_ib;
	int		 e_fd;
};

static struct end	 parent = { .e_name = "parent" };
static struct end	 netd = { .e_name = "netd" };
static struct end	 ctrld = { .e_name = "ctrld" };
static pid_t		 pid;
static char		 dir[64], path[80], newpath[96];
static struct msg_keys	 keys;

/* --- messages --- */

static void
end_open(struct end *e, int fd)
{
	e->e_fd = fd;
	if (imsgbuf_init(&e->e_ib, fd) == -1)
		err(1, "imsgbuf_init");
	imsgbuf_allow_fdpass(&e->e_ib);
}

static void
end_close(struct end *e)
{
	imsgbuf_clear(&e->e_ib);
	(void)close(e->e_fd);
}

static void
put(struct end *e, enum msg_type type, uint32_t id, int fd, const void *data,
    size_t len)
{
	if (imsg_compose(&e->e_ib, type, id, 0, fd, data, len) == -1 ||
	    imsgbuf_flush(&e->e_ib) == -1)
		err(1, "to cryptod as %s: %s", e->e_name, msg_name(type));
}

static void
put_u32(struct end *e, enum msg_type type, int fd, uint32_t v)
{
	struct msg_u32	 m = { v };

	put(e, type, 0, fd, &m, sizeof(m));
}

/* The next message of this end, whatever it is; 0 at end of file. */
static int
next(struct end *e, struct imsg *imsg)
{
	struct pollfd	 pfd = { e->e_fd, POLLIN, 0 };
	int		 n;

	for (;;) {
		if ((n = imsgbuf_get(&e->e_ib, imsg)) == 1)
			return 1;
		if (n == -1)
			err(1, "%s: bad message", e->e_name);
		if (poll(&pfd, 1, 10000) != 1)
			errx(1, "%s: nothing comes", e->e_name);
		if (imsgbuf_read(&e->e_ib) != 1)
			return 0;
	}
}

static uint32_t
get(struct end *e, enum msg_type type, void *data, size_t len)
{
	struct imsg	 imsg;
	uint32_t	 id;

	if (next(e, &imsg) == 0)
		errx(1, "%s: end of file, not %s", e->e_name, msg_name(type));
	if (imsg_get_type(&imsg) != (uint32_t)type)
		errx(1, "%s: %s, not %s", e->e_name,
		    msg_name(imsg_get_type(&imsg)), msg_name(type));
	if (len > 0 && imsg_get_data(&imsg, data, len) == -1)
		errx(1, "%s: length of %s", e->e_name, msg_name(type));
	id = imsg_get_id(&imsg);
	imsg_free(&imsg);
	return id;
}

/* --- life --- */

static void
start(uint64_t run, const char *file)
{
	struct msg_hello	 mh;
	int			 fd, sp[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sp) == -1)
		err(1, "socketpair");
	if ((pid = fork()) == -1)
		err(1, "fork");
	if (pid == 0) {
		if (sp[1] != PARENT_FD && dup2(sp[1], PARENT_FD) == -1)
			err(1, "dup2");
		closefrom(PARENT_FD + 1);
		if (getenv("VERBOSE") == NULL &&	/* it logs refusals */
		    freopen("/dev/null", "w", stderr) == NULL)
			_exit(1);
		execl(CRYPTOD, "cryptod", (char *)NULL);
		err(1, "%s", CRYPTOD);
	}
	(void)close(sp[1]);
	end_open(&parent, sp[0]);
	memset(&mh, 0, sizeof(mh));
	(void)strlcpy(mh.build, proc_build_id(), sizeof(mh.build));
	mh.proc = PROC_CRYPTOD;
	mh.run = run;
	mh.start_date = os_date();
	mh.start_time = os_now();
	put(&parent, IMSG_HELLO, 0, -1, &mh, sizeof(mh));
	(void)get(&parent, IMSG_READY, NULL, 0);
	fd = file == NULL ? -1 : open(file, O_RDONLY);
	if (file != NULL && fd == -1)
		err(1, "%s", file);
	put_u32(&parent, IMSG_STATE_FD, fd, fd != -1);
}

static void
stop(int status)
{
	int	 got;

	end_close(&parent);
	if (waitpid(pid, &got, 0) == -1)
		err(1, "waitpid");
	if (!WIFEXITED(got) || WEXITSTATUS(got) != status)
		errx(1, "cryptod ended with %#x", got);
}

static void
sibling(struct end *e, enum proc proc)
{
	struct msg_channel	 mc = { proc, 0 };
	int			 sp[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sp) == -1)
		err(1, "socketpair");
	put(&parent, IMSG_CHANNEL, 0, sp[1], &mc, sizeof(mc));
	end_open(e, sp[0]);
}

/* The new file that was asked for; error: there is none. */
static void
serve_file(int error)
{
	struct msg_u32	 m;
	int		 fd;

	if (error != 0) {
		put_u32(&parent, IMSG_STATE_NEWFD, -1, error);
		return;
	}
	fd = open(newpath, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd == -1)
		err(1, "%s", newpath);
	put_u32(&parent, IMSG_STATE_NEWFD, fd, 0);
	(void)get(&parent, IMSG_STATE_WRITTEN, &m, sizeof(m));
	if (m.v != 0)
		errc(1, m.v, "written");
	if (rename(newpath, path) == -1)
		err(1, "rename");
	put_u32(&parent, IMSG_STATE_SAVED, -1, 0);
}

/* The parent's part of writing the state. */
static void
serve_write(int error)
{
	(void)get(&parent, IMSG_STATE_WRITE, NULL, 0);
	serve_file(error);
}

static void
loaded(uint32_t error, unsigned int line)
{
	struct msg_state_result	 mr;

	(void)get(&parent, IMSG_STATE_LOADED, &mr, sizeof(mr));
	if (mr.error != error || mr.line != line ||
	    (mr.text[0] != '\0') != (error != MSG_OK))
		errx(1, "state: error %u, line %u: %s", mr.error, mr.line,
		    mr.text);
}

/* KEYS come to all three; ctrld's has that id. */
static void
keys_all(uint32_t id)
{
	struct msg_keys	 mk;

	(void)get(&parent, IMSG_KEYS, &keys, sizeof(keys));
	(void)get(&netd, IMSG_KEYS, &mk, sizeof(mk));
	if (memcmp(&mk, &keys, sizeof(mk)) != 0)
		errx(1, "netd hears of other keys");
	if (get(&ctrld, IMSG_KEYS, &mk, sizeof(mk)) != id)
		errx(1, "keys: no answer to %u", id);
	if (memcmp(&mk, &keys, sizeof(mk)) != 0)
		errx(1, "ctrld hears of other keys");
}

static int
none(const uint8_t *key)
{
	return key_is_zero(key, KEY_LEN);
}

/* --- tests --- */

static void
test_first_start(void)
{
	struct msg_keys	 mk;

	start(1, NULL);
	serve_write(0);
	loaded(MSG_OK, 0);
	(void)get(&parent, IMSG_KEYS, &keys, sizeof(keys));
	if (none(keys.machine) || none(keys.disco) || none(keys.nl) ||
	    !none(keys.node) || !none(keys.pending))
		errx(1, "keys of the first start");
	sibling(&netd, PROC_NETD);
	(void)get(&netd, IMSG_KEYS, &mk, sizeof(mk));
	sibling(&ctrld, PROC_CTRLD);
	(void)get(&ctrld, IMSG_KEYS, &mk, sizeof(mk));
	put(&parent, IMSG_STARTUP, 0, -1, NULL, 0);
}

/* A pending key is told when it is safe, current when it is accepted. */
static void
test_node_key(void)
{
	struct msg_key	 mk;

	put(&ctrld, IMSG_NODEKEY_NEW, 7, -1, NULL, 0);
	serve_write(ENOSPC);
	keys_all(7);
	if (!none(keys.pending))
		errx(1, "a pending key that is not on disk");
	put(&ctrld, IMSG_NODEKEY_NEW, 8, -1, NULL, 0);
	serve_write(0);
	keys_all(8);
	if (none(keys.pending) || !none(keys.node))
		errx(1, "pending key");
	memset(&mk, 9, sizeof(mk));
	put(&ctrld, IMSG_NODEKEY_ACCEPT, 9, -1, &mk, sizeof(mk));
	keys_all(9);
	if (none(keys.pending) || !none(keys.node))
		errx(1, "a foreign key was accepted");
	memcpy(mk.key, keys.pending, sizeof(mk.key));
	put(&ctrld, IMSG_NODEKEY_ACCEPT, 10, -1, &mk, sizeof(mk));
	(void)get(&parent, IMSG_STATE_WRITE, NULL, 0);
	keys_all(10);		/* does not wait for the disk */
	serve_file(0);
	if (!none(keys.pending) || memcmp(keys.node, mk.key, KEY_LEN) != 0)
		errx(1, "node key");
}

static uint32_t
noise_begin(uint32_t id, const uint8_t *server, struct msg_noise_msg1 *m1)
{
	struct msg_noise_start	 ms;

	memset(&ms, 0, sizeof(ms));
	(void)strlcpy(ms.url, URL, sizeof(ms.url));
	memcpy(ms.server, server, sizeof(ms.server));
	ms.version = 145;
	put(&ctrld, IMSG_NOISE_START, id, -1, &ms, sizeof(ms));
	if (get(&ctrld, IMSG_NOISE_MSG1, m1, sizeof(*m1)) != id)
		errx(1, "noise: id");
	return m1->error;
}

static void
test_noise(void)
{
	struct msg_noise_msg1	 m1;
	struct msg_noise_msg2	 m2;
	struct msg_noise_keys	 mk;
	struct noise_session	 ns;
	uint8_t			 private[KEY_LEN], public[KEY_LEN];
	uint8_t			 machine[KEY_LEN], other[KEY_LEN];
	uint16_t		 version;

	memset(private, 0x31, sizeof(private));
	key_public(private, public);
	if (noise_begin(20, public, &m1) != MSG_OK)
		errx(1, "noise: error %u", m1.error);
	memset(&m2, 0, sizeof(m2));
	if (noise_respond(private, public, private, m1.msg, sizeof(m1.msg),
	    m2.msg, &ns, machine, &version) == -1)
		err(1, "noise_respond");
	if (memcmp(machine, keys.machine, KEY_LEN) != 0)
		errx(1, "noise: machine key");
	put(&ctrld, IMSG_NOISE_MSG2, 20, -1, &m2, sizeof(m2));
	(void)get(&ctrld, IMSG_NOISE_KEYS, &mk, sizeof(mk));
	if (mk.error != MSG_OK || memcmp(mk.tx, ns.ns_c2s, KEY_LEN) != 0 ||
	    memcmp(mk.rx, ns.ns_s2c, KEY_LEN) != 0)
		errx(1, "noise: keys, error %u", mk.error);
	serve_write(0);		/* the pin */

	memset(private, 0x32, sizeof(private));
	key_public(private, other);
	if (noise_begin(21, other, &m1) != MSG_E_PIN)
		errx(1, "pin: error %u", m1.error);
	if (noise_begin(22, public, &m1) != MSG_OK)
		errx(1, "pin: error %u", m1.error);
	put(&parent, IMSG_PIN_CLEAR, 0, -1, NULL, 0);
	serve_write(0);
	if (noise_begin(23, other, &m1) != MSG_OK)
		errx(1, "pin: error %u", m1.error);
}

static void
test_wireguard(void)
{
	struct msg_wg_peer	 mp;
	struct msg_wg_init_req	 req = { 5, 1234, 0 };
	struct msg_wg_init	 mi;
	struct msg_wg_resp_in	 ri;
	struct msg_wg_keys	 mk;
	struct wg_handshake	 wh;
	struct wg_session	 ws;
	uint8_t			 private[KEY_LEN], ts[WG_TIMESTAMP_LEN];

	memset(private, 0x33, sizeof(private));
	memset(&mp, 0, sizeof(mp));
	mp.peer = 5;
	key_public(private, mp.key);
	put(&netd, IMSG_WG_PEER, 0, -1, &mp, sizeof(mp));
	put(&netd, IMSG_WG_INIT_REQ, 3, -1, &req, sizeof(req));
	if (get(&netd, IMSG_WG_INIT, &mi, sizeof(mi)) != 3 || mi.error != 0)
		errx(1, "initiation: error %u", mi.error);
	if (wg_initiation_open(&wh, private, mp.key, mi.msg) == -1 ||
	    memcmp(wh.wh_remote_s, keys.node, KEY_LEN) != 0 ||
	    wg_initiation_verify(&wh, private, mi.msg, ts) == -1)
		errx(1, "initiation does not open");
	memset(&ri, 0, sizeof(ri));
	ri.index = mi.index;
	if (wg_response_create(&wh, NULL, private, 77, ri.msg, &ws) == -1)
		errx(1, "response");
	put(&netd, IMSG_WG_RESP_IN, 4, -1, &ri, sizeof(ri));
	(void)get(&netd, IMSG_WG_KEYS, &mk, sizeof(mk));
	if (mk.error != MSG_OK || mk.peer != 5 || mk.remote != 77 ||
	    memcmp(mk.send, ws.ws_recv, KEY_LEN) != 0)
		errx(1, "session: error %u", mk.error);
}

static void
test_disco(void)
{
	struct msg_key		 mk;
	struct msg_disco_key	 md;
	uint8_t			 private[KEY_LEN], box[KEY_LEN];

	memset(private, 0x34, sizeof(private));
	key_public(private, mk.key);
	put(&netd, IMSG_DISCO_KEY_REQ, 1, -1, &mk, sizeof(mk));
	(void)get(&netd, IMSG_DISCO_KEY, &md, sizeof(md));
	if (key_box_precompute(private, keys.disco, box) == -1 ||
	    md.error != MSG_OK || memcmp(md.shared, box, KEY_LEN) != 0 ||
	    memcmp(md.pub, mk.key, KEY_LEN) != 0)
		errx(1, "box key: error %u", md.error);
	memset(&mk, 0, sizeof(mk));
	put(&netd, IMSG_DISCO_KEY_REQ, 2, -1, &mk, sizeof(mk));
	(void)get(&netd, IMSG_DISCO_KEY, &md, sizeof(md));
	if (md.error != MSG_E_CRYPTO || !none(md.shared))
		errx(1, "box key of zero: error %u", md.error);
}

static void
test_pref(void)
{
	struct msg_pref	 mp;

	memset(&mp, 0, sizeof(mp));
	(void)strlcpy(mp.name, "want_running", sizeof(mp.name));
	(void)strlcpy(mp.value, "0", sizeof(mp.value));
	put(&parent, IMSG_STATE_SET, 0, -1, &mp, sizeof(mp));
	serve_write(0);
}

/* A sibling that breaks the rules loses its channel, nothing else. */
static void
test_bad_sibling(void)
{
	struct msg_u32	 m;
	struct imsg	 imsg;

	put(&netd, IMSG_NODEKEY_FORGET, 0, -1, NULL, 0);
	(void)get(&parent, IMSG_BAD_SIBLING, &m, sizeof(m));
	if (m.v != PROC_NETD)
		errx(1, "bad sibling: %u", m.v);
	if (next(&netd, &imsg) != 0)
		errx(1, "channel of a bad sibling stays");
	end_close(&netd);
	sibling(&netd, PROC_NETD);
	(void)get(&netd, IMSG_KEYS, &keys, sizeof(keys));
	if (none(keys.node))
		errx(1, "node key is gone");
}

/* Replaced in the same run: as before. In another: a fresh disco key. */
static void
test_again(uint64_t run, int fresh)
{
	struct msg_pref	 mp;
	struct msg_keys	 was = keys;

	end_close(&netd);
	end_close(&ctrld);
	stop(0);
	start(run, path);
	if (fresh) {
		(void)get(&parent, IMSG_STATE_WRITE, NULL, 0);
		put_u32(&parent, IMSG_STATE_NEWFD, -1, EIO);
	}
	(void)get(&parent, IMSG_STATE_PREF, &mp, sizeof(mp));
	if (strcmp(mp.name, "want_running") != 0 || strcmp(mp.value, "0") != 0)
		errx(1, "preference %s %s", mp.name, mp.value);
	loaded(MSG_OK, 0);
	(void)get(&parent, IMSG_KEYS, &keys, sizeof(keys));
	if ((memcmp(keys.disco, was.disco, KEY_LEN) != 0) != fresh)
		errx(1, "disco key of run %d", (int)run);
	memcpy(was.disco, keys.disco, KEY_LEN);
	if (memcmp(&was, &keys, sizeof(was)) != 0)
		errx(1, "other keys after a new start");
	sibling(&netd, PROC_NETD);
	sibling(&ctrld, PROC_CTRLD);
}

static void
test_logout(void)
{
	(void)get(&netd, IMSG_KEYS, &keys, sizeof(keys));
	(void)get(&ctrld, IMSG_KEYS, &keys, sizeof(keys));
	put(&ctrld, IMSG_NODEKEY_FORGET, 30, -1, NULL, 0);
	keys_all(30);
	serve_write(0);		/* a second after the error before */
	if (!none(keys.node) || none(keys.machine))
		errx(1, "keys after logging out");
}

/* What cannot be used is reported, and the parent may stop. */
static void
test_bad_state(void)
{
	struct stat	 st, after;

	end_close(&netd);
	end_close(&ctrld);
	stop(0);
	if (stat(path, &st) == -1 || truncate(path, st.st_size / 2) == -1 ||
	    stat(path, &st) == -1)
		err(1, "truncate");
	start(2, path);
	loaded(MSG_E_BAD, 3);
	stop(0);
	if (stat(path, &after) == -1 || after.st_size != st.st_size)
		errx(1, "a damaged state was written to");
	start(3, NULL);
	serve_write(ENOSPC);
	loaded(MSG_E_IO, 0);
	put_u32(&parent, IMSG_STATE_FD, -1, 0);
	stop(1);		/* a second state breaks the rules */
}

int
main(void)
{
	if (geteuid() != 0) {
		printf("needs root\n");
		return 77;
	}
	(void)snprintf(dir, sizeof(dir), "/tmp/t_cryptod.%d", (int)getpid());
	if (mkdir(dir, 0700) == -1)
		err(1, "%s", dir);
	(void)snprintf(path, sizeof(path), "%s/state", dir);
	(void)snprintf(newpath, sizeof(newpath), "%s.new", path);
	test_first_start();
	test_node_key();
	test_noise();
	test_wireguard();
	test_disco();
	test_pref();
	test_bad_sibling();
	test_again(1, 0);
	test_again(2, 1);
	test_logout();
	test_bad_state();
	(void)unlink(path);
	(void)rmdir(dir);
	return 0;
}
