/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Memory for secrets: zeroed, guarded on both sides, not in a core file, gone
 * from a fork or shared by none; constant-time compare; clocks.
 */

#include <sys/types.h>
#include <sys/wait.h>

#include <err.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os.h"

/* Does touching this byte kill? */
static int
kills(volatile uint8_t *p)
{
	pid_t	 pid;
	int	 status;

	if ((pid = fork()) == -1)
		err(1, "fork");
	if (pid == 0) {
		(void)signal(SIGSEGV, SIG_DFL);
		(void)signal(SIGBUS, SIG_DFL);
		*p = 1;
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid)
		err(1, "waitpid");
	return WIFSIGNALED(status);
}

/* "dd" (not dumped) must stand among the mapping's flags. */
static int
not_dumped(const void *p)
{
	FILE		*f;
	char		 line[512];
	unsigned long	 from, to;
	int		 within = 0, found = 0;

	if ((f = fopen("/proc/self/smaps", "r")) == NULL)
		return 1;
	while (fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			within = (unsigned long)p >= from &&
			    (unsigned long)p < to;
		if (within && strncmp(line, "VmFlags:", 8) == 0)
			found = strstr(line, " dd") != NULL;
	}
	(void)fclose(f);
	return found;
}

int
main(void)
{
	long	 page = sysconf(_SC_PAGESIZE);
	uint8_t	*p;
	int64_t	 a, b;
	long	 i;

	if ((p = os_secret_alloc(100)) == NULL)
		err(1, "os_secret_alloc");
	for (i = 0; i < page; i++)
		if (p[i] != 0)
			errx(1, "not zeroed");
	memset(p, 0xaa, page);
	if (!kills(p - 1) || !kills(p + page))
		errx(1, "no guard");
	if (!not_dumped(p))
		errx(1, "would be dumped");
	os_secret_free(p, 100);
	if (!kills(p))
		errx(1, "still mapped");
	os_secret_free(NULL, 0);
	if (os_secret_alloc(0) != NULL || os_secret_alloc(SIZE_MAX) != NULL)
		errx(1, "impossible size");
	if (os_timingsafe_bcmp("abc", "abc", 3) != 0 ||
	    os_timingsafe_bcmp("abc", "abd", 3) == 0 ||
	    os_timingsafe_bcmp("abc", "xyz", 0) != 0)
		errx(1, "os_timingsafe_bcmp");
	a = os_now();
	(void)usleep(1000);
	b = os_now();
	if (b <= a || os_date() < 1000000000LL * 1000000000LL)
		errx(1, "clocks");
	return 0;
}
