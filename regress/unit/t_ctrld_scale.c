/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * A map of ten thousand peers: what it costs to take it, to keep it, to
 * change a peer of it, and to write it to the cache.
 */
/* link: stub_ctrld.c */
/* link: ../../ctrld/map.c ../../ctrld/cache.c ../../ctrld/dialplan.c */
/* link: ../../ctrld/push.c ../../ctrld/pushfilter.c ../../ctrld/names.c */
/* link: ../../ctrld/pushderp.c ../../ctrld/ifconf.c ../../ctrld/text.c */

#include <sys/types.h>

#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../../ctrld/ctrld.h"
#include "mapframe.h"
#include "proc.h"
#include "stub_ctrld.h"

#define PEERS		10000

/*
 * The bounds are some five times what was measured on two slow cores.
 * SLOW relaxes the times.
 */
#define FULL_S		3.0		/* a whole map: seconds */
#define AGAIN_S		3.0		/* the same map, of a new poll */
#define DELTA_US	1000.0		/* a change of one peer: microseconds */
#define STORE_S		3.0		/* writing the cache */
#define PEER_BYTES	4096.0		/* memory that a peer keeps */
#define PEER_PEAK	32768.0		/* and takes while it is read */

static struct msg_keys		 keys;
static struct dial_plan		 plan;
static double			 slow = 1, fat = 1;
static uint64_t			 nmsgs, nbytes, nwrites;
static int			 stored = -1;	/* CACHE_WRITTEN's word */

/* --- ctrld's surroundings --- */

void
timer_ms(struct event *ev, uint32_t ms)
{
	struct timeval	 tv = { 0, 0 };

	tv.tv_usec = ms % 1000 * 1000;
	tv.tv_sec = ms / 1000;
	(void)evtimer_del(ev);
	(void)evtimer_add(ev, &tv);
}

int
control_running(void)
{
	return 1;
}

const struct msg_keys *
control_keys_now(void)
{
	return &keys;
}

void
control_self_changed(void)
{
}

void
control_report(int force)
{
}

void
ping_request(json_t *j)
{
}

void
ping_reset(void)
{
}

void
health_set(enum health what, const char *text)
{
}

void
health_forget(void)
{
}

const struct dial_plan *
dial_plan_now(void)
{
	return &plan;
}

void
dial_plan_set(const struct dial_plan *p)
{
}

int
chan_compose(struct chan *c, enum msg_type type, uint32_t id, int fd,
    const void *data, size_t len)
{
	struct msg_u32	 m;

	nmsgs++;
	nbytes += len;
	if (type == IMSG_CACHE_WRITE)
		nwrites++;
	if (type == IMSG_CACHE_WRITTEN) {
		memcpy(&m, data, sizeof(m));
		stored = m.v;
	}
	return 0;
}

int
chan_compose2(struct chan *c, enum msg_type type, uint32_t id, int fd,
    const void *h, size_t hlen, const void *e, size_t elen)
{
	nmsgs++;
	nbytes += hlen + elen;
	return 0;
}

/* --- measuring --- */

static double
seconds(void)
{
	struct timespec	 ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* A line of /proc/self/status in bytes; 0 where there is none. */
static double
memory(const char *name)
{
	char	 line[128];
	FILE	*fp;
	double	 kb = 0;

	if ((fp = fopen("/proc/self/status", "r")) == NULL)
		return 0;
	while (fgets(line, sizeof(line), fp) != NULL)
		if (strncmp(line, name, strlen(name)) == 0)
			kb = strtod(line + strlen(name), NULL);
	fclose(fp);
	return kb * 1024;
}

static void
within(const char *what, double got, double max)
{
	if (got > max)
		errx(1, "%s: %.4g, not at most %.4g", what, got, max);
}

/* --- a map as a real server sends it --- */

static void
put_node(FILE *fp, int i)
{
	fprintf(fp, "{\"ID\":%d,\"StableID\":\"n%dCNTRL\",\"Name\":"
	    "\"host-%d.tail1234.ts.example.\",\"User\":%d,"
	    "\"Key\":\"nodekey:%064x\",\"KeyExpiry\":\"2030-01-02T03:04:05Z\","
	    "\"Machine\":\"mkey:%064x\",\"DiscoKey\":\"discokey:%064x\","
	    "\"Addresses\":[\"100.%d.%d.%d/32\",\"fd7a:115c:a1e0::%x:%x/128\"],"
	    "\"AllowedIPs\":[\"100.%d.%d.%d/32\","
	    "\"fd7a:115c:a1e0::%x:%x/128\"],"
	    "\"Endpoints\":[\"198.51.%d.%d:41641\",\"10.1.%d.%d:41641\","
	    "\"[2001:db8::%x]:41641\"],\"HomeDERP\":%d,"
	    "\"Hostinfo\":{\"OS\":\"linux\",\"Hostname\":\"host-%d\","
	    "\"Services\":[{\"Proto\":\"peerapi4\",\"Port\":%d},"
	    "{\"Proto\":\"peerapi6\",\"Port\":%d}]},"
	    "\"Created\":\"2025-01-02T03:04:05Z\",\"Cap\":130,"
	    "\"MachineAuthorized\":true,\"Online\":%s,\"CapMap\":"
	    "{\"https://tailscale.com/cap/file-sharing-target\":null}}",
	    i + 1, i, i, 1 + i % 500, i + 1, i + 1, i + 1,
	    64 + i / 65536, i / 256 % 256, i % 256, i / 65536 + 1, i % 65536,
	    64 + i / 65536, i / 256 % 256, i % 256, i / 65536 + 1, i % 65536,
	    i / 256 % 256, i % 256, i / 256 % 256, i % 256, i, 1 + i % 25, i,
	    40000 + i % 1000, 41000 + i % 1000, i % 3 ? "true" : "false");
}

static char *
map_text(size_t *len)
{
	FILE	*fp;
	char	*text;
	int	 i;

	if ((fp = open_memstream(&text, len)) == NULL)
		err(1, "open_memstream");
	fprintf(fp, "{\"Node\":");
	put_node(fp, PEERS);
	fprintf(fp, ",\"Domain\":\"example.com\",\"DNSConfig\":{\"Proxied\":"
	    "true},\"PacketFilters\":{\"base\":[{\"SrcIPs\":["
	    "\"100.64.0.0/10\"],\"DstPorts\":[{\"IP\":\"*\",\"Ports\":"
	    "{\"First\":0,\"Last\":65535}}]}]},\"UserProfiles\":[");
	for (i = 1; i <= 500; i++)
		fprintf(fp, "%s{\"ID\":%d,\"LoginName\":\"u%d@example.com\","
		    "\"DisplayName\":\"User %d\"}", i > 1 ? "," : "", i, i,
		    i);
	fprintf(fp, "],\"Peers\":[");
	for (i = 0; i < PEERS; i++) {
		if (i > 0)
			fputc(',', fp);
		put_node(fp, i);
	}
	fprintf(fp, "]}");
	if (fclose(fp) == EOF)
		err(1, "fclose");
	return text;
}

/* As it comes over the network: compressed, in pieces. */
static void
feed(const uint8_t *p, size_t len)
{
	const char	*why = "";
	size_t		 n;

	for (; len > 0; len -= n, p += n) {
		n = len < 16384 ? len : 16384;
		if (map_data(p, n, &why) == -1)
			errx(1, "map refused: %s", why);
	}
}

static void
feed_text(const char *text)
{
	uint8_t	*frame;
	size_t	 len;

	if (mapframe_encode(1, text, strlen(text), &frame, &len) == -1)
		err(1, "mapframe_encode");
	feed(frame, len);
	free(frame);
}

/* A file for the cache; returns how long it is then. */
static off_t
give_file(void)
{
	struct msg_u32	 m = { 0 };
	char		 path[] = "/tmp/t_ctrld_scale.XXXXXX";
	off_t		 len;
	int		 fd;

	if ((fd = mkstemp(path)) == -1)
		err(1, "mkstemp");
	(void)unlink(path);
	stub_deliver(cache_newfd, 0, dup(fd), &m, sizeof(m));
	len = lseek(fd, 0, SEEK_END);
	close(fd);
	return len;
}

/* --- the parts --- */

static double	 full_s, again_s, kept, peak;
static uint64_t	 full_msgs, again_msgs;

static void
test_full(void)
{
	uint8_t	*frame;
	char	*text;
	size_t	 framelen, len;
	double	 base, start;

	text = map_text(&len);
	if (mapframe_encode(1, text, len, &frame, &framelen) == -1)
		err(1, "mapframe_encode");
	free(text);
	os_mem_release();
	base = memory("VmRSS:");
	map_begin();
	start = seconds();
	feed(frame, framelen);
	full_s = seconds() - start;
	full_msgs = nmsgs;
	peak = memory("VmHWM:") - base;
	kept = memory("VmRSS:") - base;
	if (map_now() == NULL || map_now()->nm_npeers != PEERS)
		errx(1, "the map was not taken");
	nmsgs = 0;
	map_begin();
	start = seconds();
	feed(frame, framelen);
	again_s = seconds() - start;
	again_msgs = nmsgs;
	free(frame);
	within("whole map, seconds", full_s, FULL_S * slow);
	within("the same again, seconds", again_s, AGAIN_S * slow);
	within("messages for a map that has not changed", again_msgs, 4);
	within("bytes a peer keeps", kept / PEERS, PEER_BYTES * fat);
	within("bytes a peer takes while it is read", peak / PEERS,
	    PEER_PEAK * fat);
}

static double
delta(const char *fmt, int n, uint64_t maxmsgs)
{
	char	 text[256];
	double	 start;
	int	 i;

	nmsgs = 0;
	start = seconds();
	for (i = 0; i < n; i++) {
		(void)snprintf(text, sizeof(text), fmt, 1 + i * 7 % PEERS,
		    i % 2 ? "true" : "false", i % 200);
		feed_text(text);
	}
	within(fmt, nmsgs, maxmsgs * n);
	return (seconds() - start) / n * 1e6;
}

static double	 online_us, moved_us, store_s;
static off_t	 store_bytes;

static void
test_deltas(void)
{
	/* BEGIN, the peer, its prefixes, its endpoints, COMMIT. */
	online_us = delta("{\"OnlineChange\":{\"%d\":%s}}", 2000, 5);
	moved_us = delta("{\"PeersChangedPatch\":[{\"NodeID\":%d,\"Online\":"
	    "%s,\"Endpoints\":[\"192.0.2.%d:1\"]}]}", 2000, 5);
	within("OnlineChange, microseconds", online_us, DELTA_US * slow);
	within("PeersChangedPatch, microseconds", moved_us, DELTA_US * slow);
}

/*
 * All these changes asked for one writing, and the next waits in
 * proportion to what it took: the share of the time is bounded, not the
 * number of changes.
 */
static void
test_cache(void)
{
	double	 start;
	int64_t	 since;

	since = os_now();
	while (nwrites == 0 && os_now() - since < 10 * NS_PER_S)
		(void)event_loop(EVLOOP_ONCE);
	if (nwrites != 1)
		errx(1, "%llu writings asked for, not one",
		    (unsigned long long)nwrites);
	start = seconds();
	store_bytes = give_file();
	store_s = seconds() - start;
	if (stored != 0)
		errx(1, "cache: %d", stored);
	within("writing the cache, seconds", store_s, STORE_S * slow);
	/* Who is online is not worth a writing; an endpoint is, later. */
	nwrites = 0;
	(void)delta("{\"OnlineChange\":{\"%d\":%s}}", 100, 5);
	(void)delta("{\"PeersChangedPatch\":[{\"NodeID\":%d,\"Online\":%s,"
	    "\"Endpoints\":[\"192.0.2.%d:2\"]}]}", 100, 5);
	since = os_now();
	while (os_now() - since < NS_PER_S / 5) {
		(void)event_loop(EVLOOP_NONBLOCK);
		(void)usleep(10000);
	}
	within("writings right after one", nwrites, 0);
	/* All ends: a file that was not asked for takes it, and once only. */
	if (give_file() < store_bytes / 2 || stored != 0)
		errx(1, "what was unsaved at the end: %d", stored);
	if (give_file() != 0 || stored != ECANCELED)
		errx(1, "nothing was unsaved: %d", stored);
}

int
main(void)
{
	const char	*s;

	if ((s = getenv("SLOW")) != NULL)
		slow = strtod(s, NULL);
#if defined(__SANITIZE_ADDRESS__)
	slow *= 5;
	fat = 20;	/* freed memory stays */
#endif
	event_init();
	(void)strlcpy(stub_conf.c_msg.url, "https://c",
	    sizeof(stub_conf.c_msg.url));
	map_init();
	cache_init();
	test_full();
	test_deltas();
	test_cache();
	printf("%d peers: map %.0f ms, again %.0f ms, %.0f MB, peak %.0f MB; "
	    "delta %.0f and %.0f us; cache %.0f ms, %.1f MB\n", PEERS,
	    full_s * 1e3, again_s * 1e3, kept / 1e6, peak / 1e6, online_us,
	    moved_us, store_s * 1e3, (double)store_bytes / 1e6);
	return 0;
}
