/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * shoalctl: the command line of a node.
 */

#include <sys/types.h>

#include <err.h>
#include <stdio.h>
#include <string.h>

#include "shoalctl.h"

int
main(int argc, char *argv[])
{
	const struct command	*k;
	struct args		 a;
	int			 r;

	if (argc > 2 && (strcmp(argv[1], "-s") == 0 ||
	    strcmp(argv[1], "--socket") == 0)) {
		socket_path = argv[2];
		argv += 2;
		argc -= 2;
	}
	if (argc == 2 && (strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0)) {
		parse_usage();
		return 0;
	}
	if ((k = parse_command(argc - 1, argv + 1, &a)) == NULL)
		return 2;
	r = k->k_run(&a);
	if (fflush(stdout) == EOF)
		err(1, "stdout");
	return r;
}
