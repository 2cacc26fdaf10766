/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The netmap cache: a node starts with its control server down.
 *
 * Lines of JSON: what the cache is for and how the server was reached, the
 * map without peers, then a peer a line, each line a map response of its
 * own.
 */

#include <sys/types.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctrld.h"
#include "proc.h"

#define CACHE_MAX	(128 * 1024 * 1024)
#define CACHE_VERSION	1
#define WRITE_FIRST	50	/* ms after the first map of this process */
#define WRITE_SOON	200	/* ms after a later change */
#define WRITE_PAUSE	1000	/* ms between two writings, at least, ... */
#define WRITE_SHARE	100	/* ... or so many times what one takes, ... */
#define WRITE_MOST	10000	/* ... at most: what a stop may lose */

static struct event	 ev_write;
static struct netmap	*cached;	/* read, not yet in use */
static char		*cached_url;
static struct dial_plan	 cached_plan;
static int64_t		 last_write;	/* os_now() when it ended */
static int64_t		 last_took;	/* ns */
static int		 asked;		/* CACHE_WRITE is under way */
static int		 dirty;

/* --- read --- */

static char *
fd_slurp(int fd, size_t *len)
{
	char	*buf, *p;
	size_t	 cap;
	ssize_t	 n;

	buf = NULL;
	cap = *len = 0;
	do {
		if (*len == cap) {
			cap = cap == 0 ? 65536 : cap * 2;
			if (cap > CACHE_MAX || (p = realloc(buf, cap)) ==
			    NULL)
				goto bad;
			buf = p;
		}
		n = read(fd, buf + *len, cap - *len);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			goto bad;
		*len += n;
	} while (n != 0);
	return buf;
bad:
	free(buf);
	return NULL;
}

/*
 * First line: {"cache":1,"url":"...","dial":{...}}; the URL is the caller's.
 * A dial plan that cannot be read is none.
 */
static char *
head_parse(const char *line, size_t len)
{
	const char	*const names[] = { "cache", "url", "dial" };
	char		*url;
	json_t		*j, *v[3];
	int64_t		 version;

	url = NULL;
	version = 0;
	if ((j = ju_load(line, len)) == NULL)
		return NULL;
	if (ju_fields(j, names, 3, v) == -1 ||
	    ju_int(v[0], 0, INT32_MAX, &version) == -1 ||
	    version != CACHE_VERSION ||
	    ju_str(v[1], MSG_NAME_LEN - 1, &url) == -1)
		version = 0;
	else
		(void)dial_plan_parse(v[2], &cached_plan);
	json_decref(j);
	if (version == 0) {
		free(url);
		return NULL;
	}
	return url;
}

static int
line_apply(struct netmap *nm, const char *line, size_t len)
{
	struct ju_time		 now;
	struct nm_delta		 d;
	struct nm_effects	 fx;
	int			 r;

	memset(&now, 0, sizeof(now));
	r = netmap_apply(nm, line, len, &now, &d, &fx);
	nm_delta_free(&d);
	nm_effects_free(&fx);
	return r;
}

static struct netmap *
cache_parse(const char *p, size_t len, char **url)
{
	struct netmap	*nm;
	const char	*nl;
	int		 line;

	*url = NULL;
	if ((nm = netmap_new()) == NULL)
		fatal(NULL);
	for (line = 0; len > 0; line++) {
		/* A line without end was cut off. */
		if ((nl = memchr(p, '\n', len)) == NULL)
			goto bad;
		if (line == 0) {
			if ((*url = head_parse(p, nl - p)) == NULL)
				goto bad;
		} else if (line_apply(nm, p, nl - p) == -1)
			goto bad;
		len -= nl - p + 1;
		p = nl + 1;
	}
	if (nm->nm_self != NULL && *url != NULL)
		return nm;
bad:
	netmap_free(nm);
	free(*url);
	*url = NULL;
	return NULL;
}

int
cache_fd(struct imsg *imsg)
{
	struct msg_u32	 m;
	struct nm_node	*n;
	char		*text;
	size_t		 len;
	int		 fd;

	fd = imsg_get_fd(imsg);
	if (msg_get(imsg, &m, sizeof(m)) == -1 || (m.v != 0) != (fd != -1)) {
		if (fd != -1)
			close(fd);
		return -1;
	}
	if (fd == -1)
		return 0;
	text = fd_slurp(fd, &len);
	close(fd);
	netmap_free(cached);
	cached = NULL;
	free(cached_url);
	cached_url = NULL;
	if (text == NULL ||
	    (cached = cache_parse(text, len, &cached_url)) == NULL) {
		log_warnx("netmap cache is damaged: ignored");
		free(text);
		return 0;
	}
	free(text);
	/* Who was online then says nothing of now. */
	RB_FOREACH(n, nm_tree, &cached->nm_peers)
		n->n_online = NM_UNKNOWN;
	cache_use();
	return 0;
}

void
cache_use(void)
{
	const struct msg_keys	*keys;

	keys = control_keys_now();
	if (cached == NULL || keys == NULL || !control_running())
		return;
	if (map_now() == NULL &&
	    strcmp(cached_url, ctrld_conf()->c_msg.url) == 0 &&
	    memcmp(cached->nm_self->n_key, keys->node, MSG_KEY_LEN) == 0 &&
	    map_adopt(cached) == 0) {
		log_info("netmap of %u peers from the cache",
		    cached->nm_npeers);
		cached = NULL;
		dial_plan_set(&cached_plan);
	}
	netmap_free(cached);
	cached = NULL;
	free(cached_url);
	cached_url = NULL;
}

/* --- write --- */

static int
fd_put(FILE *fp, json_t *j)
{
	int	 r;

	if (j == NULL)
		return -1;
	r = json_dumpf(j, fp, JSON_COMPACT);
	json_decref(j);
	return r == -1 || putc('\n', fp) == EOF ? -1 : 0;
}

static int
fd_put_peer(FILE *fp, const struct nm_node *n)
{
	json_t	*a, *o;

	o = json_object();
	a = json_array();
	if (json_array_append_new(a, nm_node_json(n)) == -1 ||
	    json_object_set_new(o, "PeersChanged", a) == -1) {
		json_decref(o);
		return -1;
	}
	return fd_put(fp, o);
}

/* Returns 0 or an errno; closes fd. */
static int
cache_store(int fd, struct netmap *nm)
{
	struct nm_node	*n;
	FILE		*fp;
	int		 error;

	if ((fp = fdopen(fd, "w")) == NULL) {
		error = errno;
		close(fd);
		return error;
	}
	errno = 0;
	error = fd_put(fp, json_pack("{s:i,s:s,s:o}", "cache",
	    CACHE_VERSION, "url", ctrld_conf()->c_msg.url, "dial",
	    dial_plan_json(dial_plan_now()))) == -1 ||
	    fd_put(fp, netmap_json(nm)) == -1;
	RB_FOREACH(n, nm_tree, &nm->nm_peers)
		if (!error && fd_put_peer(fp, n) == -1)
			error = 1;
	if (fflush(fp) == EOF || fsync(fileno(fp)) == -1)
		error = 1;
	if (error)
		error = errno == 0 ? EIO : errno;
	if (fclose(fp) == EOF && error == 0)
		error = errno;
	return error;
}

int
cache_newfd(struct imsg *imsg)
{
	struct msg_u32	 m;
	int		 fd;

	fd = imsg_get_fd(imsg);
	if (msg_get(imsg, &m, sizeof(m)) == -1 || (m.v == 0) != (fd != -1)) {
		if (fd != -1)
			close(fd);
		return -1;
	}
	asked = 0;
	if (fd == -1)
		return 0;		/* the parent has said why */
	/* One that was not asked for: all ends, it is now or never. */
	if (map_now() == NULL || !dirty) {
		m.v = ECANCELED;
		close(fd);
	} else {
		last_write = os_now();
		if ((m.v = cache_store(fd, map_now())) == 0)
			dirty = 0;
		last_took = os_now() - last_write;
		last_write += last_took;
	}
	(void)chan_compose(proc_parent(), IMSG_CACHE_WRITTEN, 0, -1, &m,
	    sizeof(m));
	return 0;
}

static void
cache_write_cb(int fd, short events, void *arg)
{
	if (!dirty || asked || map_now() == NULL)
		return;
	asked = 1;
	(void)chan_compose(proc_parent(), IMSG_CACHE_WRITE, 0, -1, NULL, 0);
}

/* The tailnet's administrator may not want maps on disks. */
static int
cache_forbidden(void)
{
	static int	 forgotten;

	if (map_now() == NULL || !nm_node_hascap(map_now()->nm_self,
	    "disable-cache-network-maps")) {
		forgotten = 0;
		return 0;
	}
	if (!forgotten)
		cache_forget();
	forgotten = 1;
	return 1;
}

void
cache_changed(void)
{
	int64_t	 ms;

	if (cache_forbidden())
		return;
	dirty = 1;
	if (evtimer_pending(&ev_write, NULL))
		return;
	ms = WRITE_SHARE * last_took / 1000000;
	if (ms < WRITE_PAUSE)
		ms = WRITE_PAUSE;
	if (ms > WRITE_MOST)
		ms = WRITE_MOST;
	ms -= (os_now() - last_write) / 1000000;
	if (ms < WRITE_SOON)
		ms = WRITE_SOON;
	timer_ms(&ev_write, last_write == 0 ? WRITE_FIRST : ms);
}

void
cache_forget(void)
{
	netmap_free(cached);
	cached = NULL;
	dirty = 0;
	(void)evtimer_del(&ev_write);
	(void)chan_compose(proc_parent(), IMSG_CACHE_FORGET, 0, -1, NULL, 0);
}

void
cache_init(void)
{
	evtimer_set(&ev_write, cache_write_cb, NULL);
}
