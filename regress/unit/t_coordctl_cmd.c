/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * coordctl: times, destinations, and the words that commands come to.
 */
/* link: ../../coordctl/cmd.c ../../coordctl/columns.c */

#include <sys/types.h>

#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../../coordctl/coordctl.h"

static const struct {
	const char	*text;
	int64_t		 seconds;
} times[] = {
	{ "1s", 1 }, { "90m", 5400 }, { "24h", 86400 }, { "90d", 7776000 },
	{ "2w", 1209600 }, { "1y", 31536000 }, { "10y", 315360000 },
	{ "11y", -1 }, { "0d", -1 }, { "", -1 }, { "d", -1 }, { "1", -1 },
	{ "-1d", -1 }, { "+1d", -1 }, { " 1d", -1 }, { "1x", -1 },
	{ "1.5d", -1 }, { "99999999999999999999d", -1 }
};

static const struct {
	const char	*text, *host, *port, *proto;
} dests[] = {
	{ "www1", "www1", "", "" },
	{ "www1:443", "www1", "443", "" },
	{ "www1:443/udp", "www1", "443", "udp" },
	{ "100.64.0.1", "100.64.0.1", "", "" },
	{ "100.64.0.1:22", "100.64.0.1", "22", "" },
	{ "fd7a::1", "fd7a::1", "", "" },
	{ "fd7a::1:22", "fd7a::1:22", "", "" },
	{ "[fd7a::1]", "fd7a::1", "", "" },
	{ "[fd7a::1]:22/tcp", "fd7a::1", "22", "tcp" },
	{ "tag:web", "tag:web", "", "" },
	{ "tag:web:80", "tag:web", "80", "" },
	{ "group:dev", "group:dev", "", "" },
	{ "", NULL, NULL, NULL },
	{ "[fd7a::1", NULL, NULL, NULL },
	{ "[fd7a::1]x", NULL, NULL, NULL },
	{ "[fd7a::1]:", NULL, NULL, NULL },
	{ "[fd7a::1]:99999", NULL, NULL, NULL },
};

#define ARGC	10

static const struct {
	const char	*arg[ARGC];
	const char	*words;		/* with commas; NULL: wrong usage */
	const char	*file;
} cmds[] = {
	{ { "status" }, "status", NULL },
	{ { "user", "list" }, "user,list", NULL },
	{ { "user", "list", "x" }, NULL, NULL },
	{ { "user", "create" }, NULL, NULL },
	{ { "user", "create", "al" }, "user,create,name=al", NULL },
	{ { "key", "create", "--tag", "tag:a", "tag:b", "--reusable",
	    "--expiry", "1h" },
	    "key,create,tag=tag:a,tag=tag:b,reusable=1,expiry=3600", NULL },
	{ { "key", "create", "--expiry", "soon" }, NULL, NULL },
	{ { "key", "create", "--nothing" }, NULL, NULL },
	{ { "key", "create", "--user" }, NULL, NULL },
	{ { "node", "approve", "x1", "--user", "al" },
	    "node,approve,node=x1,user=al", NULL },
	{ { "node", "approve", "--user", "al", "x1" },
	    "node,approve,user=al,node=x1", NULL },
	{ { "node", "tag", "1", "tag:a", "tag:b" },
	    "node,tag,node=1,tag=tag:a,tag=tag:b", NULL },
	{ { "node", "tag", "1" }, NULL, NULL },
	{ { "node", "routes", "1", "approve", "10.0.0.0/8", "::/0" },
	    "node,routes,node=1,verb=approve,route=10.0.0.0/8,route=::/0",
	    NULL },
	{ { "policy", "set", "/x" }, "policy,set", "/x" },
	{ { "policy", "explain", "a", "b:80/tcp" },
	    "policy,explain,source=a,destination=b,port=80,proto=tcp", NULL },
	{ { "policy", "frobnicate" }, NULL, NULL },
	{ { NULL }, NULL, NULL },
};

/* Wrong usage is explained on stderr: not here. */
static void
quiet(void)
{
	int	 fd;

	if ((fd = open("/dev/null", O_WRONLY)) == -1 ||
	    dup2(fd, STDERR_FILENO) == -1)
		err(1, "/dev/null");
}

static void
check_command(size_t i)
{
	static struct words	 w;
	union {
		const char	*in;
		char		*out;
	} u;
	char			*argv[ARGC], got[1024] = "";
	const char		*p;
	int			 argc;

	for (argc = 0; argc < ARGC && cmds[i].arg[argc] != NULL; argc++) {
		u.in = cmds[i].arg[argc];
		argv[argc] = u.out;
	}
	if (cmd_parse(argc, argv, &w) == NULL) {
		if (cmds[i].words != NULL)
			errx(1, "command %zu refused", i);
		return;
	}
	for (p = w.w_buf; p < w.w_buf + w.w_len; p += strlen(p) + 1) {
		(void)strlcat(got, got[0] == '\0' ? "" : ",", sizeof(got));
		(void)strlcat(got, p, sizeof(got));
	}
	if (cmds[i].words == NULL || strcmp(got, cmds[i].words) != 0 ||
	    (cmds[i].file != NULL && strcmp(cmds[i].file, w.w_file) != 0)) {
		printf("command %zu: %s\n", i, got);
		_exit(1);
	}
}

int
main(void)
{
	char	 host[64], port[8], proto[16];
	size_t	 i;
	int	 ret;

	for (i = 0; i < nitems(times); i++)
		if (cmd_time(times[i].text) != times[i].seconds)
			errx(1, "time %s", times[i].text);
	for (i = 0; i < nitems(dests); i++) {
		ret = cmd_destination(dests[i].text, host, sizeof(host), port,
		    sizeof(port), proto, sizeof(proto));
		if ((ret == -1) != (dests[i].host == NULL))
			errx(1, "destination %s: %d", dests[i].text, ret);
		if (ret == 0 && (strcmp(host, dests[i].host) != 0 ||
		    strcmp(port, dests[i].port) != 0 ||
		    strcmp(proto, dests[i].proto) != 0))
			errx(1, "destination %s: %s %s %s", dests[i].text,
			    host, port, proto);
	}
	quiet();
	for (i = 0; i < nitems(cmds); i++)
		check_command(i);
	return 0;
}
