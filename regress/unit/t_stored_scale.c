/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Two thousand connected nodes: what a change costs, and whom.
 */

/* link: stored_lab.c */
/* link: ../../coordd/stored/addr.c ../../coordd/stored/alloc.c */
/* link: ../../coordd/stored/authkey.c ../../coordd/stored/brain.c */
/* link: ../../coordd/stored/buf.c ../../coordd/stored/hostinfo.c */
/* link: ../../coordd/stored/call.c ../../coordd/stored/ping.c */
/* link: ../../coordd/stored/map.c ../../coordd/stored/map_delta.c */
/* link: ../../coordd/stored/map_full.c ../../coordd/stored/map_node.c */
/* link: ../../coordd/stored/name.c ../../coordd/stored/node.c */
/* link: ../../coordd/stored/noderec.c ../../coordd/stored/online.c */
/* link: ../../coordd/stored/pending.c ../../coordd/stored/register.c */
/* link: ../../coordd/stored/policy_apply.c ../../coordd/stored/store.c */
/* link: ../../coordd/stored/store_node.c ../../coordd/stored/user.c */
/* link: ../../coordd/stored/store_user.c */
/* link: ../../coordd/stored/follow.c */
/* libs: -lsqlite3 */

#include <time.h>

#include "stored_lab.h"

#define NODES	2000
#define USERS	100		/* each with twenty nodes */

/*
 * The bounds are about ten times what was measured on two slow cores, so
 * that a sanitizer or a busy machine does not trip them, but a step from
 * "those who may see it" to "all" does. SLOW relaxes the times further.
 */
static struct lab	 lab;
static double		 slow = 1;

static double
seconds(void)
{
	struct timespec	 ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Let it do its work, and say what it cost. */
static void
measure(const char *what, uint64_t msgs_min, uint64_t msgs_max,
    uint64_t rendered_max, double secs)
{
	double		 start = seconds(), took;
	uint64_t	 sent = lab.l_b.b_nsent, bytes = lab.l_bytes;
	uint64_t	 rendered = lab.l_b.b_nrendered;

	lab_pass(&lab, 3000);
	took = seconds() - start;
	sent = lab.l_b.b_nsent - sent;
	bytes = lab.l_bytes - bytes;
	rendered = lab.l_b.b_nrendered - rendered;
	if (getenv("STORED_VERBOSE") != NULL)
		printf("%-28s %7.1f ms %6llu messages %9llu bytes "
		    "%5llu rendered\n", what, took * 1e3,
		    (unsigned long long)sent, (unsigned long long)bytes,
		    (unsigned long long)rendered);
	if (sent < msgs_min || sent > msgs_max)
		errx(1, "%s: %llu messages, not %llu to %llu", what,
		    (unsigned long long)sent, (unsigned long long)msgs_min,
		    (unsigned long long)msgs_max);
	if (rendered > rendered_max)
		errx(1, "%s: %llu nodes rendered, not at most %llu", what,
		    (unsigned long long)rendered,
		    (unsigned long long)rendered_max);
	if (took > secs * slow)
		errx(1, "%s: took %.3f s, not at most %.3f", what, took,
		    secs * slow);
}

static void
populate(void)
{
	char		 key[AUTHKEY_TEXT], name[32];
	unsigned int	 i;

	for (i = 0; i < NODES; i++) {
		if (i % (NODES / USERS) == 0) {
			(void)snprintf(name, sizeof(name), "user%u",
			    i / (NODES / USERS));
			lab_authkey(&lab, name, NULL, 1, 0, 0, key);
		}
		lab_join(&lab, i + 1, i + 1, key, "host");
	}
	lab.l_drop = 1;
	for (i = 0; i < NODES; i++)
		lab_poll(&lab, i + 1, i + 1, i + 10);
}

int
main(void)
{
	static const char	 own[] = "{\"acls\":[{\"action\":\"accept\","
	    "\"src\":[\"autogroup:member\"],"
	    "\"dst\":[\"autogroup:self:*\"]}]}";
	static const char	 one[] = "{\"acls\":[{\"action\":\"accept\","
	    "\"src\":[\"user0@\"],\"dst\":[\"user1@:22\"]},{\"action\":"
	    "\"accept\",\"src\":[\"autogroup:member\"],"
	    "\"dst\":[\"autogroup:self:*\"]}]}";
	char			 key[AUTHKEY_TEXT];
	int			 per = NODES / USERS;

	if (getenv("SLOW") != NULL)
		slow = 50;
#if defined(__SANITIZE_ADDRESS__)
	slow = 50;
#endif
	lab_open(&lab, NULL, POLICY_FILE, own);
	populate();
	measure("all connect", NODES, 3 * NODES, NODES, 3);
	measure("nothing", 0, 0, 0, 0.1);

	/* One endpoint: as many messages as there are other own devices. */
	lab_lite(&lab, 1, 1, "192.0.2.1:41641", NULL);
	measure("an endpoint, 20 see it", 19, 19, 0, 0.05);

	/* One user more may see another: only those two hear of it. */
	lab_policy(&lab, one);
	measure("a policy for two users", 2 * (uint64_t)per,
	    2 * (uint64_t)per, 2 * (uint64_t)per, 2);
	lab_policy(&lab, one);
	measure("the same policy again", 0, 0, 0, 2);

	/* A node joins: its owner's other devices hear of it. */
	lab.l_drop = 0;
	lab_authkey(&lab, "user7", NULL, 1, 0, 0, key);
	lab_join(&lab, 5000, 5000, key, "late");
	lab.l_drop = 1;
	measure("a node joins", (uint64_t)per, (uint64_t)per, 1, 0.5);
	CHECK(node_delete(&lab.l_b, node_find(&lab.l_b, NODES + 1), "t",
	    "d") == 0);
	measure("a node is deleted", (uint64_t)per, (uint64_t)per, 0, 0.5);

	/* All may talk: everybody is told of everybody, rendered once. */
	CHECK(policy_apply(&lab.l_b, POLICY_ALLOW, NULL, NULL, 0, 0,
	    &(char *){ NULL }) == 0);
	measure("all may talk", NODES, NODES, NODES, 30);
	lab_lite(&lab, 1, 1, "192.0.2.1:1", NULL);
	measure("an endpoint, all see it", NODES - 1, NODES - 1, 0, 0.5);
	lab_policy(&lab, own);
	measure("back to own devices", NODES, NODES, 0, 5);
	lab_close(&lab);
	return 0;
}
